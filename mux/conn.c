/* conn -- life of a connection: dialed or accepted, up, lost, freed.
 *
 *              open                 link                 lost
 *     IDLE ───────────▶ DIALING ───────────▶ UP ─────────────────▶ IDLE   (a client's)
 *       ▲                  │ failed                                OVER   (a server's, and freed)
 *       └──────────────────┘
 */
#include "mux/mux__in.h"

#include "base/ref.h"

static void reap(cs_task *task);

static int64_t pick(int64_t given, int64_t normal)
{
    return given == 0 ? normal : given < 0 ? CS_OFF : given;
}

void mux__options_fill(struct mux_options *to, const struct mux_options *from)
{
    static const struct mux_options none;
    if (!from)
        from = &none;
    *to = *from;
    to->window_bytes = pick(from->window_bytes, MUX__WINDOW);
    to->window_max_bytes = pick(from->window_max_bytes, 4 * 1024 * 1024);
    to->dial_timeout_ms = (int)pick(from->dial_timeout_ms, 5000);
    to->ping_interval_ms = (int)pick(from->ping_interval_ms, 30000);
    to->ping_timeout_ms = (int)pick(from->ping_timeout_ms, 10000);
    to->connection_age_ms = (int)pick(from->connection_age_ms, CS_OFF);
    to->calls_max = pick(from->calls_max, 1000 * 1000 * 1000);
    to->connections_max = (int)pick(from->connections_max, 4);
#define ROW(X, option, unit, standard, ...)                                                        \
    to->option = (MUX_LIMIT_##unit)pick(from->option, standard);
    MUX_LIMITS(ROW, )
#undef ROW
    if (to->connections_max == CS_OFF)
        to->connections_max = 1;
    if (to->message_max_bytes == CS_OFF)
        to->message_max_bytes = UINT32_MAX;
    if (to->streams_max == CS_OFF || to->streams_max > INT32_MAX)
        to->streams_max = INT32_MAX;
    if (to->header_fields_max == CS_OFF)
        to->header_fields_max = INT32_MAX;
    if (to->header_max_bytes == CS_OFF || to->header_max_bytes > UINT32_MAX)
        to->header_max_bytes = UINT32_MAX;
    if (to->window_bytes < 0 || to->window_bytes > INT32_MAX)
        to->window_bytes = INT32_MAX;
    /* A quarter of it holds what rx.c lets wait for its end, whatever credit is on its way. */
    if (to->window_bytes < MUX__WINDOW_MIN)
        to->window_bytes = MUX__WINDOW_MIN;
}

static cs_err conn_new(cs_loop *loop, const struct mux_options *options, bool is_server,
                       mux_conn **ret)
{
    mux_conn *conn = cs_zalloc(sizeof *conn);
    if (!conn)
        return CS_ENOMEM;
    conn->loop = loop;
    conn->is_server = is_server;
    mux__options_fill(&conn->opt, options);
    cs_link_init(&conn->link_in);
    cs_list_init(&conn->streams);
    cs_list_init(&conn->fresh);
    cs_list_init(&conn->held.room.waits);
    cs_task_init(&conn->flush, mux__conn_flush);
    cs_task_init(&conn->settle, mux__conn_settle);
    cs_task_init(&conn->reap, reap);
    cs_task_init(&conn->rolled, mux__roll_tell);
    conn->stats = &conn->own_stats;
    conn->gzip = &conn->own_gzip;
    conn->no_peer = (struct mux_peer){.uid = -1, .gid = -1, .pid = -1};
    *ret = conn;
    return CS_OK;
}

cs_err mux__conn_new(cs_loop *loop, const struct mux_options *options, bool is_server,
                     mux_conn **ret)
{
    mux_conn *conn;
    cs_err err = conn_new(loop, options, is_server, &conn);
    if (err == CS_OK && !is_server && (err = mux__front_new(conn)) != CS_OK)
        cs_free(conn);
    if (err == CS_OK)
        *ret = conn;
    return err;
}

cs_err mux__conn_sibling(struct mux__front *front, mux_conn **ret)
{
    mux_conn *conn, *main = front->main;
    cs_err err = conn_new(main->loop, &main->opt, false, &conn);
    if (err != CS_OK)
        return err;
    conn->front = front;
    conn->stats = main->stats;
    conn->gzip = main->gzip;
    conn->addr = main->addr;
    conn->authority = main->authority;
    front->siblings_len++;
    cs_list_push(&front->siblings, &conn->link_in);
    *ret = conn;
    return CS_OK;
}

static bool is_sibling(const mux_conn *conn)
{
    return conn->front && conn->front->main != conn;
}

/* What there is to tell of a client's connections is told by the one that the user holds. */
static char **story_of(mux_conn *conn)
{
    return conn->front ? &conn->front->main->story : &conn->story;
}

/* ---- Up and down ---------------------------------------------------------------------------- */

void mux__conn_up(mux_conn *conn, mux__link *link)
{
    conn->state = MUX__UP;
    conn->link = link;
    conn->up_ms = conn->idle_ms = cs_loop_now_ms(conn->loop);
    conn->stats->connections++;
    conn->stats->connections_total++;
    cs_free(*story_of(conn));
    *story_of(conn) = NULL;
    conn->sniffs = mux__wire_may_come(conn);
    mux__conn_listen(conn);
    mux__alive_start(conn);
    mux__roll_up(conn);
    mux__conn_flush_soon(conn);
}

static void end_all(mux_conn *conn, cs_err why, const char *story)
{
    struct cs_link *link, *next;
    if (conn->wire)
        mux__wire_over(conn->wire, why);
    for (link = cs_list_first(&conn->streams); link; link = next) {
        mux_stream *stream = CS_CONTAINER(link, mux_stream, link_in);
        next = cs_list_next(&conn->streams, link);
        mux__stream_broken(stream, why, story);
        if (conn->freed && !stream->drop_rx) { /* nobody is waited for to take what came */
            stream->drop_rx = true;
            mux__stream_post(stream);
        }
    }
}

/* nghttp2 says nothing of streams that were open, and may be on the stack below us. */
void mux__conn_lost(mux_conn *conn, cs_err why, const char *story)
{
    bool was_up = conn->state == MUX__UP, settled = conn->settled;
    char **told = story_of(conn);
    if (conn->state == MUX__OVER || conn->state == MUX__IDLE)
        return;
    conn->state = conn->is_server || conn->freed || is_sibling(conn) ? MUX__OVER : MUX__IDLE;
    conn->blocked = conn->pinged = conn->goaway = conn->failed = false;
    conn->settled = conn->spent = conn->told = conn->answers = false;
    conn->calls = 0;
    if (was_up) {
        conn->stats->connections--;
        cs_story(told, "%s: %s", conn->addr ? conn->addr : "connection", story);
    } else
        cs_story(told, "%s", story);
    if (!was_up && conn->link)
        conn->stats->tls_handshakes--;
    mux__link_free(conn->link);
    conn->link = NULL;
    mux__dial_free(conn->dial);
    conn->dial = NULL;
    mux__out_fini(&conn->out);
    cs_task_drop(&conn->flush);
    mux__roll_stop(conn);
    if (conn->alive)
        cs_timer_set(conn->alive, CS_OFF);
    end_all(conn, why, *told ? *told : story);
    mux__h2_free(conn);
    conn->open = 0;
    if (conn->is_server) {
        cs_unlink(&conn->link_in);
        mux__peer_leave(conn->handlers, conn->of_peer);
        conn->of_peer = NULL;
    }
    mux__front_lost(conn, settled, why, *told ? *told : story);
    if (conn->state == MUX__OVER)
        mux__conn_stream_gone(conn);
}

cs_err mux__conn_accept_tls(cs_loop *loop, mux__link *link, mux__tls *tls,
                            const struct mux_options *options, mux_handlers *handlers,
                            struct cs_list *conns, mux_conn **ret)
{
    mux_conn *conn;
    cs_err err = mux__conn_new(loop, options, true, &conn);
    if (err != CS_OK)
        return err;
    conn->handlers = handlers;
    handlers->refs++;
    conn->is_across = conns == &handlers->across_conns;
    conn->is_local = conns == &handlers->local_conns;
    conn->stats = conn->is_across ? &handlers->across_stats : &handlers->stats;
    conn->gzip = &handlers->gzip;
    err = mux__h2_new(conn);
    if (err == CS_OK)
        err = mux__conn_begin(conn, link, tls);
    if (err != CS_OK) {
        mux_conn_free(conn);
        return err;
    }
    if (conns)
        cs_list_push(conns, &conn->link_in);
    if (ret)
        *ret = conn;
    return CS_OK;
}

cs_err mux__conn_accept(cs_loop *loop, mux__link *link, const struct mux_options *options,
                        mux_handlers *handlers, struct cs_list *conns, mux_conn **ret)
{
    return mux__conn_accept_tls(loop, link, NULL, options, handlers, conns, ret);
}

/* ---- The end -------------------------------------------------------------------------------- */

void mux_conn_free(mux_conn *conn)
{
    if (!conn || conn->freed)
        return;
    conn->freed = true;
    cs_task_post(conn->loop, CS_REAP, &conn->reap);
}

void mux__conns_end(struct cs_list *conns, cs_err why)
{
    struct cs_link *link;
    while ((link = cs_list_pop(conns))) {
        mux_conn *conn = CS_CONTAINER(link, mux_conn, link_in);
        conn->end_why = why;
        mux_conn_free(conn);
    }
}

void mux__conn_stream_gone(mux_conn *conn)
{
    if (!cs_list_empty(&conn->streams) || conn->wire)
        return;
    conn->idle_ms = cs_loop_now_ms(conn->loop);
    if (conn->state == MUX__OVER && (conn->freed || conn->is_server || is_sibling(conn)))
        cs_task_post(conn->loop, CS_REAP, &conn->reap);
    else if (conn->state == MUX__UP && conn->spent) {
        mux__h2_goodbye(conn);
        mux__conn_flush_soon(conn);
    }
}

/* Best effort: the peer hears a good-bye if the kernel takes it at once. */
static void say_goodbye(mux_conn *conn)
{
    size_t n;
    if (conn->blocked || conn->sniffs || conn->wire || !mux__out_ready(&conn->out))
        return;
    mux__h2_goodbye(conn);
    if (mux__h2_fill(conn) == CS_OK && conn->out.len > conn->out.at)
        (void)mux__link_write(conn->link, conn->out.iov + conn->out.at,
                              conn->out.len - conn->out.at, &n);
}

/* A freed connection first ends its streams (their end() comes in the next turn), and goes when the
 * last of them has gone. */
static void reap(cs_task *task)
{
    mux_conn *conn = CS_CONTAINER(task, mux_conn, reap);
    cs_err why = conn->end_why ? conn->end_why : CS_ECANCELED;
    const char *story = conn->is_server ? "the server is going away" : "the connection was freed";
    bool is_front = conn->front && !is_sibling(conn);
    if (is_front)
        mux__front_end(conn->front, why, story);
    end_all(conn, why, story);
    if (conn->state == MUX__UP)
        say_goodbye(conn);
    if (conn->state == MUX__DIALING || conn->state == MUX__UP)
        mux__conn_lost(conn, why, story);
    conn->state = MUX__OVER;
    if (!cs_list_empty(&conn->streams) || conn->wire ||
        (is_front && !mux__front_is_empty(conn->front)))
        return;
    cs_task_drop(&conn->reap);
    cs_task_drop(&conn->flush);
    cs_task_drop(&conn->settle);
    mux__conn_settle(&conn->settle);
    cs_block_drop(conn->block);
    cs_unlink(&conn->link_in);
    cs_buf_fini(&conn->aside);
    cs_timer_free(conn->alive);
    cs_timer_free(conn->roll_timer);
    mux__out_fini(&conn->out);
    if (conn->h2)
        mux__h2_free(conn);
    mux__gzip_free(conn->own_gzip);
    if (is_sibling(conn)) {
        conn->front->siblings_len--;
        mux__conn_stream_gone(conn->front->main); /* it may wait for this */
    } else {
        cs_free(conn->addr);
        cs_free(conn->authority);
        cs_free(conn->story);
    }
    if (is_front)
        mux__front_free(conn->front);
    if (conn->handlers)
        mux__handlers_trim(conn->handlers, conn->loop);
    mux__handlers_drop(conn->handlers);
    cs_free(conn);
}

const char *mux_conn_errmsg(const mux_conn *conn)
{
    if (conn->front && mux__front_standing(conn->front))
        return "";
    return conn->story ? conn->story : "";
}

const struct mux_peer *mux_conn_peer(const mux_conn *conn)
{
    const mux_conn *standing = conn->front ? mux__front_standing(conn->front) : NULL;
    if (!conn->link && standing)
        conn = standing;
    return conn->link ? &conn->link->peer : &conn->no_peer;
}

const struct mux_stats *mux_conn_stats(const mux_conn *conn)
{
    return conn->stats;
}
