/* handlers -- the table of methods that a server answers. */
#include "mux/across.h"
#include "mux/local.h"
#include "mux/mux__in.h"

cs_err mux_handlers_new(mux_handlers **ret)
{
    mux_handlers *handlers = cs_zalloc(sizeof *handlers);
    if (!handlers)
        return CS_ENOMEM;
    if (mux__peers_new(&handlers->peers) != CS_OK) {
        cs_free(handlers);
        return CS_ENOMEM;
    }
    handlers->refs = 1;
    cs_list_init(&handlers->local_conns);
    cs_list_init(&handlers->across_conns);
    *ret = handlers;
    return CS_OK;
}

static void on_trim(void *user)
{
    mux_handlers *handlers = user;
    handlers->trims = false;
    cs_mem_trim();
}

/* Not at once: its streams and what belongs to them follow it, and others may.  Without memory for a
 * timer it stays ours. */
void mux__handlers_trim(mux_handlers *handlers, cs_loop *loop)
{
    enum { TRIM_MS = 1000 };
    if (!handlers->trim) {
        if (cs_timer_new(loop, on_trim, handlers, &handlers->trim) != CS_OK)
            return;
        cs_timer_is_upkeep(handlers->trim);
    }
    if (!handlers->trims)
        cs_timer_set(handlers->trim, TRIM_MS);
    handlers->trims = true;
}

void mux__handlers_drop(mux_handlers *handlers)
{
    if (!handlers || --handlers->refs > 0)
        return;
    size_t at = 0;
    void *handler;
    while (cs_names_each(&handlers->methods, &at, &handler))
        cs_free(handler);
    cs_names_fini(&handlers->methods);
    cs_timer_free(handlers->trim);
    mux__peers_drop(handlers->peers);
    mux__gzip_free(handlers->gzip);
    cs_free(handlers);
}

void mux_handlers_free(mux_handlers *handlers)
{
    if (!handlers)
        return;
    mux_handlers_end_local(handlers);
    mux__handlers_drop(handlers);
}

cs_err mux_handle(mux_handlers *handlers, const char *method, mux_accept_fn *accept, void *user)
{
    size_t len = strlen(method);
    if (method[0] != '/' || !strchr(method + 1, '/') || !accept)
        return CS_EMISUSE;
    struct mux__handler *handler = cs_alloc(sizeof *handler + len + 1);
    if (!handler)
        return CS_ENOMEM;
    handler->accept = accept;
    handler->user = user;
    handler->method = cs_bytes_of(memcpy(handler + 1, method, len + 1), len);
    cs_err err = cs_names_put(&handlers->methods, handler->method, handler);
    if (err != CS_OK)
        cs_free(handler);
    return err;
}

/* Most ask for the same as the one before them. */
struct mux__handler *mux__handlers_find(mux_handlers *handlers, cs_bytes method)
{
    if (!handlers->found || !cs_same(handlers->found->method, method))
        handlers->found = cs_names_get(&handlers->methods, method);
    return handlers->found;
}

void mux_handlers_end_local(mux_handlers *handlers)
{
    handlers->local_ended = handlers->across_ended = true;
    mux__conns_end(&handlers->local_conns, CS_EDRAIN);
    mux__conns_end(&handlers->across_conns, CS_EDRAIN);
}

void mux_handlers_shut_local(mux_handlers *handlers)
{
    handlers->local_ended = true;
}

void mux_handlers_each_local(mux_handlers *handlers, mux_conn_fn *fn, void *user)
{
    mux__conns_each(&handlers->local_conns, fn, user);
}

void mux_handlers_set_max(mux_handlers *handlers, int64_t connections)
{
    handlers->connections_max = connections;
}

void mux_handlers_set_peer_max(mux_handlers *handlers, int64_t connections)
{
    handlers->peer_max = connections;
}

void mux_handlers_count_with(mux_handlers *handlers, mux_handlers *with)
{
    mux__peers_drop(handlers->peers);
    handlers->peers = mux__peers_hold(with->peers);
}

bool mux__handlers_are_full(mux_handlers *handlers)
{
    if (handlers->connections_max <= 0 ||
        mux__peers_all(handlers->peers) < handlers->connections_max) {
        handlers->has_complained = false;
        return false;
    }
    if (!handlers->has_complained)
        cs_log(CS_WARN, "mux", "there are %lld connections, and more are refused",
               (long long)handlers->connections_max);
    handlers->has_complained = true;
    handlers->stats.connections_refused++;
    return true;
}

struct mux_stats *mux_handlers_stats(mux_handlers *handlers)
{
    return handlers ? &handlers->stats : NULL;
}
