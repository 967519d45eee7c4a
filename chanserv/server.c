/* server -- the object: its services, its running, and its going.
 *
 * Going is in two steps, because what was told to end still has something to say:
 *
 *   1  every stream is given its last status (UNAVAILABLE, "draining"), every source that nobody
 *      opened ends, every thread is told
 *   2  what is left of streams and connections is cut; when all ends came, the memory goes
 *
 * From outside the loop is turned in between; in a callback the steps are tasks of the REAP
 * phase, this turn's and the next ones'. */
#include "chanserv/loops__in.h"
#include "chanserv/session__in.h"

#include "mux/across.h"
#include "mux/lasting.h"
#include "mux/local.h"
#include "mux/tls.h"

#include <stdio.h>

/* ---- Options -------------------------------------------------------------------------------- */

static int64_t bytes_or(int64_t given, int64_t standard)
{
    return given == 0 ? standard : given < 0 ? INT64_MAX : given;
}

static int64_t at_most(int64_t n, int64_t limit)
{
    return n < limit ? n : limit;
}

static int timeout_or(int given, int standard)
{
    return given == 0 ? standard : given < 0 ? CS_OFF : given;
}

/* A part must fit the 4 MiB that gRPC clients take by default, and so must an announcement. */
enum { PART_LIMIT = (4 << 20) - 64, INLINE_LIMIT = 1 << 20, HEADER_LIMIT = 1 << 20 };

#define RESOLVE_MS timeout_or
#define RESOLVE_BYTES bytes_or
#define RESOLVE_COUNT bytes_or

static void resolve(struct chanserv_server_options *o)
{
    o->serving_timeout_ms = timeout_or(o->serving_timeout_ms, CS_OFF);
    o->sourcing_timeout_ms = timeout_or(o->sourcing_timeout_ms, CS_OFF);
    o->write_timeout_ms = timeout_or(o->write_timeout_ms, CS_OFF);
    o->inline_max_bytes =
        o->inline_max_bytes < 0 ? 0 : at_most(bytes_or(o->inline_max_bytes, 65536), INLINE_LIMIT);
    o->part_bytes = at_most(bytes_or(o->part_bytes, 1 << 20), PART_LIMIT);
    o->body_max_bytes = bytes_or(o->body_max_bytes, 4 << 20);
    o->header_max_bytes = at_most(bytes_or(o->header_max_bytes, 65536), HEADER_LIMIT);
    o->linger_ms = timeout_or(o->linger_ms, 30000);
    o->grace_ms = timeout_or(o->grace_ms, 5000);
    o->keep_bytes = bytes_or(o->keep_bytes, 1 << 20);
#define ROW(X, option, unit, standard, ...) o->option = RESOLVE_##unit(o->option, standard);
    CHANSERV_LIMITS(ROW, )
#undef ROW
    if (o->net.message_max_bytes == 0) /* a body is judged before it is here */
        o->net.message_max_bytes = at_most(o->body_max_bytes, UINT32_MAX);
}

static bool all_zero(const int64_t *reserved, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (reserved[i])
            return false;
    }
    return true;
}

/* One line of a lookup, and never empty. */
static bool node_ok(const char *node)
{
    size_t len = 0;

    for (; node[len]; len++)
        if (node[len] <= ' ' || node[len] > '~')
            return false;
    return len > 0 && len < 256;
}

static bool options_ok(const struct chanserv_server_options *o)
{
    return all_zero(o->reserved, sizeof o->reserved / sizeof *o->reserved) &&
           all_zero(o->net.reserved, sizeof o->net.reserved / sizeof *o->net.reserved);
}

/* ---- Making it ------------------------------------------------------------------------------ */

static void reap_task(cs_task *task);

static void server_fini(chanserv_server *server)
{
    size_t at = 0;
    void *service;

    cs_free(server->suffix);
    cs_free(server->node);
    cs_free(server->tls);
    cs_free(server->ports);
    if (server->limbo)
        mux_conn_free(server->limbo);
    cs_map_fini(&server->sessions);
    cs_names_fini(&server->owners);
    mux_keep_total_fini(&server->kept_attached);
    mux_keep_total_fini(&server->kept_lingering);
    if (server->handlers)
        mux_handlers_free(server->handlers);
    while (cs_names_each(&server->services, &at, &service))
        cs_free(service);
    cs_names_fini(&server->services);
    chanserv__raws_free(server);
    chanserv__looks_fini(server);
    chanserv__tickets_fini(&server->tickets);
    if (server->accept_timer)
        cs_timer_free(server->accept_timer);
    cs_timer_free(server->drain.timer);
    chanserv__loops_free(server);
    if (server->gone)
        *server->gone = true;
    cs_task_drop(&server->reap);
    cs_free(server->story);
}

static void server_destroy(chanserv_server *server)
{
    cs_loop *own = server->own_loop ? server->loop : NULL;

    if (server->loops && server->at.number == 0)
        chanserv__loops_end(server);
    server_fini(server);
    cs_free(server);
    if (own)
        cs_loop_free(own);
}

/* The strings may go when this returns, so nobody shall look at them again. */
static cs_err copy_names(chanserv_server *server)
{
    struct chanserv_server_options *o = &server->options;

    if ((o->name_space && !wire_service_name_ok(cs_str(o->name_space))) ||
        (o->node && !node_ok(o->node)))
        return CS_EINVAL;
    server->suffix = o->name_space ? cs_printf(".%s", o->name_space) : NULL;
    server->suffix_len = server->suffix ? strlen(server->suffix) : 0;
    server->node = cs_strdup(o->node);
    server->tls = o->net.tls ? mux_tls_dup(o->net.tls) : NULL;
    if ((o->name_space && !server->suffix) || (o->node && !server->node) ||
        (o->net.tls && !server->tls))
        return CS_ENOMEM;
    o->net.tls = server->tls;
    o->name_space = o->node = NULL;
    return CS_OK;
}

static cs_err server_init(chanserv_server *server)
{
    static const char digits[] = "0123456789abcdef";
    cs_err err = copy_names(server);

    if (err == CS_OK)
        err = cs_random(server->instance, sizeof server->instance);

    for (size_t i = 0; i < sizeof server->instance; i++) {
        server->instance_hex[2 * i] = digits[server->instance[i] >> 4];
        server->instance_hex[2 * i + 1] = digits[server->instance[i] & 15];
    }
    if (err == CS_OK)
        err = cs_timer_new(server->loop, chanserv__accept_due, server, &server->accept_timer);
    if (err == CS_OK)
        err = cs_timer_new(server->loop, chanserv__drain_look, server, &server->drain.timer);
    if (err == CS_OK)
        err = mux_handlers_new(&server->handlers);
    if (err == CS_OK)
        mux_handlers_set_max(server->handlers, server->options.connections_max);
    if (err == CS_OK)
        mux_handlers_set_peer_max(server->handlers, server->options.connections_peer_max);
    if (err == CS_OK)
        err = mux_handle(server->handlers, "/chanserv.v1.Chanserv/Post", chanserv__post_accept,
                         server);
    if (err == CS_OK)
        err = mux_handle(server->handlers, "/chanserv.v1.Chanserv/Open", chanserv__open_accept,
                         server);
    if (err == CS_OK)
        err = mux_handle(server->handlers, "/chanserv.v1.Chanserv/Talk", chanserv__talk_accept,
                         server);
    if (err == CS_OK)
        err = mux_handle(server->handlers, "/chanserv.v1.Chanserv/Services",
                         chanserv__services_accept, server);
    if (err == CS_OK && server->options.linger_ms != CS_OFF) {
        err = mux_handle(server->handlers, "/chanserv.v1.Chanserv/Session",
                         chanserv__session_accept, server);
        if (err == CS_OK)
            err = mux_limbo_new(server->loop, server->handlers, &server->limbo);
        server->lasting = (struct mux_lasting_sort){&chanserv__channel_lasting, server->limbo,
                                                    (size_t)server->options.keep_bytes};
    }
    return err;
}

/* By chanserv_server_run(). */
static bool may_run(const cs_loop *loop)
{
    return !cs_loop_is_virtual(loop) && !cs_loop_is_shared(loop);
}

cs_err chanserv_server_new(cs_loop *loop, const struct chanserv_server_options *options,
                           chanserv_server **ret)
{
    chanserv_server *server;
    cs_err err;

    if (options && !options_ok(options))
        return CS_EMISUSE;
    if (options && (options->loops < 0 || options->loops > CHANSERV__LOOPS_MAX ||
                    (options->loops > 1 && loop && !may_run(loop))))
        return CS_EINVAL;
    server = cs_zalloc(sizeof *server);
    if (!server)
        return CS_ENOMEM;
    if (options)
        server->options = *options;
    resolve(&server->options);
    server->options.loops = server->options.loops ? server->options.loops : 1;
    server->loop = loop;
    cs_task_init(&server->reap, reap_task);
    atomic_init(&server->assembling, 0);
    server->memory.used = cs_mem_resident;
    cs_list_init(&server->posts);
    cs_list_init(&server->accept);
    cs_list_init(&server->watchers);
    cs_list_init(&server->attached);
    cs_list_init(&server->lingering);
    cs_list_init(&server->gos);
    cs_list_init(&server->looks);
    if (!loop) {
        err = cs_loop_new(NULL, &server->loop);
        if (err != CS_OK) {
            cs_free(server);
            return err;
        }
        server->own_loop = true;
    }
    mux_keep_total_init(&server->kept_attached, server->loop,
                        (uint64_t)server->options.attached_bytes);
    mux_keep_total_init(&server->kept_lingering, server->loop,
                        (uint64_t)server->options.lingering_bytes);
    err = server_init(server);
    if (err == CS_OK && server->options.loops > 1)
        err = chanserv__loops_new(server, options, NULL, (size_t)server->options.loops);
    if (err != CS_OK) {
        server_destroy(server);
        return err;
    }
    *ret = server;
    return CS_OK;
}

cs_err chanserv__stick(chanserv_server *server, cs_err err, const char *what, const char *words)
{
    if (server->sticky == CS_OK) {
        server->sticky = err;
        cs_story(&server->story, "%s%s", what, words);
    }
    return err;
}

/* ---- Services ------------------------------------------------------------------------------- */

/* The name on the wire; false: not the name of a service, or too long with the name space. */
static bool full_name(const chanserv_server *server, const char *service, char to[256])
{
    size_t len = strlen(service);

    if (!wire_service_name_ok(cs_bytes_of(service, len)) || len + server->suffix_len > 255)
        return false;
    snprintf(to, 256, "%s%s", service, server->suffix ? server->suffix : "");
    return true;
}

bool chanserv__in_space(const chanserv_server *server, cs_bytes full)
{
    const char *end = (const char *)full.base + full.len;

    return full.len > server->suffix_len &&
           (server->suffix_len == 0 ||
            memcmp(end - server->suffix_len, server->suffix, server->suffix_len) == 0);
}

cs_bytes chanserv__short_name(const chanserv_server *server, cs_bytes full)
{
    return cs_bytes_of(full.base, full.len - server->suffix_len);
}

static cs_err add_service(chanserv_server *server, cs_bytes full, chanserv_source_fn *fn,
                          void *user, bool parallel)
{
    struct chanserv__service *s;
    cs_err err;

    if (cs_names_get(&server->services, full))
        return CS_EEXIST;
    s = cs_zalloc(sizeof *s + full.len + 1);
    if (!s)
        return CS_ENOMEM;
    s->fn = fn;
    s->user = user;
    s->parallel = parallel;
    s->name_len = full.len;
    memcpy(s->name, full.base, full.len);
    err = cs_names_put(&server->services, cs_bytes_of(s->name, s->name_len), s);
    if (err != CS_OK)
        cs_free(s);
    else
        chanserv__services_changed(server);
    return err;
}

static void remove_service(chanserv_server *server, cs_bytes full)
{
    void *s = cs_names_remove(&server->services, full);

    cs_free(s);
    if (s)
        chanserv__services_changed(server);
}

/* A parallel one is known on all loops, any other on the first alone. */
static cs_err serve(chanserv_server *server, cs_bytes full, chanserv_source_fn *fn, void *user,
                    bool parallel)
{
    struct chanserv__loops *loops = server->loops;
    cs_err err;

    if (loops && loops->begun && (parallel || loops->parallel))
        return CS_EMISUSE;
    err = add_service(server, full, fn, user, parallel);
    for (size_t i = 1; err == CS_OK && parallel && loops && i < loops->len; i++)
        err = add_service(loops->all[i], full, fn, user, true);
    for (size_t i = 0; err == CS_ENOMEM && parallel && loops && i < loops->len; i++)
        remove_service(loops->all[i], full);
    return err;
}

static cs_err serve_sticky(chanserv_server *server, const char *service, chanserv_source_fn *fn,
                           void *user, bool parallel)
{
    char full[256];
    cs_err err;

    if (!fn || !full_name(server, service, full))
        return chanserv__stick(server, CS_EINVAL, "serve: not the name of a service: ", service);
    err = serve(server, cs_str(full), fn, user, parallel);
    if (err == CS_OK)
        return err;
    return chanserv__stick(server, err,
                           err == CS_EEXIST    ? "serve: served already: "
                           : err == CS_EMISUSE ? "serve: too late, the loops run: "
                                               : "serve: out of memory: ",
                           service);
}

cs_err chanserv_serve(chanserv_server *server, const char *service, chanserv_source_fn *fn,
                      void *user)
{
    return serve_sticky(server, service, fn, user, false);
}

cs_err chanserv_serve_parallel(chanserv_server *server, const char *service, chanserv_source_fn *fn,
                               void *user)
{
    return serve_sticky(server, service, fn, user, true);
}

cs_err chanserv_unserve(chanserv_server *server, const char *service)
{
    struct chanserv__loops *loops = server->loops;
    const struct chanserv__service *s;
    char full[256];

    if (!full_name(server, service, full) || !(s = cs_names_get(&server->services, cs_str(full))))
        return CS_ENOENT;
    if (s->parallel && loops && loops->begun)
        return CS_EMISUSE;
    for (size_t i = loops ? loops->len : 1; i-- > 0;)
        remove_service(loops ? loops->all[i] : server, cs_str(full));
    return CS_OK;
}

/* ---- Running -------------------------------------------------------------------------------- */

/* It may be freed meanwhile, in a callback: `*gone` tells. */
static cs_err run_loop(chanserv_server *server, bool signals, bool *gone)
{
    cs_loop *loop = server->loop;
    cs_err err;

    server->ran = true;
    server->gone = gone;
    do
        err = cs_loop_run(loop);
    while (signals && chanserv__signals_came(loop) && !*gone && err == CS_OK &&
           chanserv__drain_signal(server));
    return err;
}

cs_err chanserv_server_run(chanserv_server *server)
{
    bool signals = server->options.signals, gone = false;
    cs_loop *loop = server->loop;
    cs_err err;

    if (server->sticky != CS_OK)
        return server->sticky;
    if (cs_loop_in_turn(loop))
        return CS_EMISUSE;
    if (server->loops && (err = chanserv__loops_begin(server)) != CS_OK)
        return err;
    err = signals ? chanserv__signals_on(loop) : CS_OK;
    if (err != CS_OK) {
        if (server->loops)
            chanserv__loops_pause(server);
        return err;
    }
    server->run_ends = server->own_loop || server->loops;
    err = run_loop(server, signals, &gone);
    if (signals)
        chanserv__signals_off(loop);
    if (gone)
        return err;
    if (server->loops)
        chanserv__loops_pause(server);
    server->gone = NULL;
    if (server->run_ends && server->freed) { /* the loop could not go under its own feet */
        cs_loop_last_turn(loop);
        server_destroy(server);
        return err;
    }
    server->run_ends = false;
    return err;
}

void chanserv_server_stop(chanserv_server *server)
{
    cs_loop_stop(server->loop);
}

const char *chanserv_server_errmsg(const chanserv_server *server)
{
    return server->story ? server->story : "";
}

cs_loop *chanserv_server_loop(const chanserv_server *server)
{
    return server->loop;
}

mux_handlers *chanserv__server_handlers(struct chanserv_server *server)
{
    return server->handlers;
}

const struct mux_options *chanserv__server_net(struct chanserv_server *server)
{
    return &server->options.net;
}

/* ---- Going ---------------------------------------------------------------------------------- */

/* A connection that stands could still bring a call. */
static bool all_gone(const chanserv_server *server)
{
    return cs_list_empty(&server->posts) && server->calls == 0 &&
           mux_handlers_stats(server->handlers)->connections == 0 &&
           mux_handlers_across(server->handlers)->connections == 0;
}

void chanserv__server_tell_all(chanserv_server *server)
{
    struct cs_link *link = cs_list_first(&server->posts);

    server->dying = true;
    for (; link; link = cs_list_next(&server->posts, link)) {
        chanserv_post *post = CS_CONTAINER(link, chanserv_post, link);

        chanserv__post_cut(post, WIRE_R_DRAINING, CS_EDRAIN);
        chanserv__post_end_unopened(post, CS_EDRAIN, CHANSERV__SHUTDOWN);
        for (struct cs_link *at = cs_list_first(&post->open); at;
             at = cs_list_next(&post->open, at))
            chanserv__outlet_cut(CS_CONTAINER(at, chanserv_outlet, link), WIRE_R_DRAINING,
                                 CS_EDRAIN, CHANSERV__SHUTDOWN);
    }
    chanserv__services_shut(server);
    chanserv__go_stop(server);
}

static void break_all(chanserv_server *server)
{
    for (size_t i = 0; i < server->ports_len; i++)
        mux_port_free(server->ports[i]);
    server->ports_len = 0;
    chanserv__sessions_end(server);
    if (server->limbo)
        mux_conn_free(server->limbo);
    server->limbo = NULL;
    for (size_t i = 0; server->at.ways && i < server->loops->cap; i++) {
        mux_conn_free(server->at.ways[i]);
        server->at.ways[i] = NULL;
    }
    mux_handlers_end_local(server->handlers);
    chanserv__go_join(server);
}

static void reap_task(cs_task *task)
{
    chanserv_server *server = CS_CONTAINER(task, chanserv_server, reap);

    if (!server->dead) {
        server->dead = true;
        break_all(server);
    }
    if (!all_gone(server))
        cs_task_post(server->loop, CS_REAP, task);
    else if (server->own_loop || server->run_ends)
        cs_loop_stop(server->loop); /* chanserv_server_run() sees to the rest */
    else
        server_destroy(server);
}

void chanserv_server_free(chanserv_server *server)
{
    if (!server || server->freed)
        return;
    server->freed = true;
    cs_timer_set(server->drain.timer, CS_OFF);
    if (!server->dying)
        chanserv__server_tell_all(server);
    if (cs_loop_in_turn(server->loop)) {
        cs_task_post(server->loop, CS_REAP, &server->reap);
        return;
    }
    if (server->loops && server->at.number == 0)
        chanserv__loops_end(server);
    cs_loop_last_turn(server->loop);
    break_all(server);
    cs_loop_last_turn(server->loop);
    server_destroy(server);
}
