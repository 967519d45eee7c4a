/* server -- the object: its making, its running, and its going.
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
    cs_buf_fini(&server->inlined);
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

    if (!chanserv__options_names_ok(o))
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
        err = chanserv__tickets_init(&server->tickets);
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
        server->lasting = (struct mux_lasting_sort){.ops = &chanserv__channel_lasting,
                                                    .user_bytes = sizeof(struct chanserv__channel),
                                                    .limbo = server->limbo,
                                                    .keep_max = (size_t)server->options.keep_bytes};
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

    if (options && !chanserv__options_are_known(options))
        return CS_EMISUSE;
    if (options && (options->loops < 0 || options->loops > CHANSERV__LOOPS_MAX ||
                    options->busy_poll_us > CS_BUSY_POLL_MAX_US ||
                    (options->loops > 1 && loop && !may_run(loop))))
        return CS_EINVAL;
    server = cs_zalloc(sizeof *server);
    if (!server)
        return CS_ENOMEM;
    if (options)
        server->options = *options;
    chanserv__options_resolve(&server->options);
    server->options.loops = server->options.loops ? server->options.loops : 1;
    server->loop = loop;
    cs_task_init(&server->reap, reap_task);
    server->totals = &server->own_totals;
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
    if (server->options.busy_poll_us != 0)
        (void)cs_loop_busy_poll(server->loop, server->options.busy_poll_us);
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
