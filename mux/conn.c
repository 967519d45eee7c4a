/* conn -- life of a connection: dialed or accepted, up, lost, freed.
 *
 *              open                 link                 lost
 *     IDLE ───────────▶ DIALING ───────────▶ UP ─────────────────▶ IDLE   (a client's)
 *       ▲                  │ failed                                OVER   (a server's, and freed)
 *       └──────────────────┘
 */
#include "mux/mux__in.h"

#include "base/ref.h"
#include "mux/local.h"

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
    to->window_grow_bytes = pick(from->window_grow_bytes, 64 * 1024 * 1024);
    to->message_max_bytes = pick(from->message_max_bytes, 4 * 1024 * 1024);
    to->streams_max = pick(from->streams_max, 1 << 20);
    to->header_max_bytes = pick(from->header_max_bytes, 64 * 1024);
    to->dial_timeout_ms = (int)pick(from->dial_timeout_ms, 5000);
    to->ping_interval_ms = (int)pick(from->ping_interval_ms, 30000);
    to->ping_timeout_ms = (int)pick(from->ping_timeout_ms, 10000);
    to->stall_timeout_ms = (int)pick(from->stall_timeout_ms, 30000);
    if (to->message_max_bytes == CS_OFF)
        to->message_max_bytes = UINT32_MAX;
    if (to->streams_max == CS_OFF || to->streams_max > INT32_MAX)
        to->streams_max = INT32_MAX;
    if (to->header_max_bytes == CS_OFF || to->header_max_bytes > UINT32_MAX)
        to->header_max_bytes = UINT32_MAX;
    if (to->window_bytes < 0 || to->window_bytes > INT32_MAX)
        to->window_bytes = INT32_MAX;
    /* A quarter of it holds what rx.c lets wait for its end, whatever credit is on its way. */
    if (to->window_bytes < MUX__WINDOW_MIN)
        to->window_bytes = MUX__WINDOW_MIN;
}

cs_err mux__conn_new(cs_loop *loop, const struct mux_options *options, bool is_server,
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
    cs_task_init(&conn->flush, mux__conn_flush);
    cs_task_init(&conn->settle, mux__conn_settle);
    cs_task_init(&conn->reap, reap);
    conn->stats = &conn->own_stats;
    conn->no_peer = (struct mux_peer){.uid = -1, .gid = -1, .pid = -1};
    *ret = conn;
    return CS_OK;
}

/* ---- Up and down ---------------------------------------------------------------------------- */

void mux__conn_up(mux_conn *conn, mux__link *link)
{
    conn->state = MUX__UP;
    conn->link = link;
    conn->stats->connections++;
    conn->stats->connections_total++;
    cs_free(conn->story);
    conn->story = NULL;
    mux__conn_listen(conn);
    mux__alive_start(conn);
    mux__conn_flush_soon(conn);
}

static void end_all(mux_conn *conn, cs_err why, const char *story)
{
    struct cs_link *link, *next;
    for (link = cs_list_first(&conn->streams); link; link = next) {
        mux_stream *stream = CS_CONTAINER(link, mux_stream, link_in);
        next = cs_list_next(&conn->streams, link);
        mux__stream_over(stream, why, story);
        if (conn->freed && !stream->drop_rx) { /* nobody is waited for to take what came */
            stream->drop_rx = true;
            mux__stream_post(stream);
        }
    }
}

/* nghttp2 says nothing of streams that were open, and may be on the stack below us. */
void mux__conn_lost(mux_conn *conn, cs_err why, const char *story)
{
    bool was_up = conn->state == MUX__UP;
    if (conn->state == MUX__OVER || conn->state == MUX__IDLE)
        return;
    conn->state = conn->is_server || conn->freed ? MUX__OVER : MUX__IDLE;
    conn->blocked = conn->pinged = conn->goaway = conn->failed = false;
    if (was_up) {
        conn->stats->connections--;
        cs_story(&conn->story, "%s: %s", conn->addr ? conn->addr : "connection", story);
    } else
        cs_story(&conn->story, "%s", story);
    mux__link_free(conn->link);
    conn->link = NULL;
    mux__dial_free(conn->dial);
    conn->dial = NULL;
    mux__out_fini(&conn->out);
    cs_task_drop(&conn->flush);
    if (conn->alive)
        cs_timer_set(conn->alive, CS_OFF);
    end_all(conn, why, conn->story ? conn->story : story);
    mux__h2_free(conn);
    cs_unlink(&conn->link_in);
    if (conn->state == MUX__OVER)
        mux__conn_stream_gone(conn);
}

static void on_dialed(mux__link *link, const char *why, void *user)
{
    mux_conn *conn = user;
    mux__dial_free(conn->dial);
    conn->dial = NULL;
    if (link)
        mux__conn_up(conn, link);
    else
        mux__conn_lost(conn, CS_EREFUSED, why);
}

/* How much the kernel may hold back before it wakes us: a quarter of what a stream may come to. */
static size_t lowat(const mux_conn *conn)
{
    int64_t window =
        conn->opt.window_max_bytes == CS_OFF ? conn->opt.window_bytes : conn->opt.window_max_bytes;
    return window / 4 > 256 * 1024 ? 256 * 1024 : (size_t)(window / 4);
}

cs_err mux__conn_ready_to_open(mux_conn *conn)
{
    if (conn->freed || conn->state == MUX__OVER)
        return CS_ECANCELED;
    if (conn->state != MUX__IDLE)
        return CS_OK;
    if (!conn->addr)
        return CS_EREFUSED; /* inside the process there is no second connection */
    cs_err err = mux__h2_new(conn);
    if (err != CS_OK)
        return err;
    err = mux__dial_new(conn->loop, conn->addr, conn->opt.dial_timeout_ms, lowat(conn), on_dialed,
                        conn, &conn->dial);
    if (err == CS_OK)
        conn->state = MUX__DIALING;
    else
        mux__h2_free(conn);
    return err;
}

cs_err mux_dial(cs_loop *loop, const char *addr, const struct mux_options *options, mux_conn **ret)
{
    struct mux__addr parsed;
    mux_conn *conn;
    cs_err err = mux__addr_parse(addr, &parsed);
    if (err != CS_OK)
        return err;
    if ((err = mux__conn_new(loop, options, false, &conn)) != CS_OK)
        return err;
    conn->addr = cs_strdup(addr);
    conn->authority = cs_strdup(parsed.is_unix ? "localhost" : addr);
    if (!conn->addr || !conn->authority)
        err = CS_ENOMEM;
    else
        err = mux__conn_ready_to_open(conn);
    if (err == CS_OK)
        *ret = conn;
    else
        mux_conn_free(conn);
    return err;
}

cs_err mux__conn_accept(cs_loop *loop, mux__link *link, const struct mux_options *options,
                        mux_handlers *handlers, struct cs_list *conns, mux_conn **ret)
{
    mux_conn *conn;
    cs_err err = mux__conn_new(loop, options, true, &conn);
    if (err != CS_OK)
        return err;
    conn->handlers = handlers;
    handlers->refs++;
    conn->stats = &handlers->stats;
    err = mux__h2_new(conn);
    if (err != CS_OK) {
        mux_conn_free(conn);
        return err;
    }
    if (conns)
        cs_list_push(conns, &conn->link_in);
    mux__conn_up(conn, link);
    if (ret)
        *ret = conn;
    return CS_OK;
}

cs_err mux_dial_local(cs_loop *loop, const struct mux_options *client_options,
                      const struct mux_options *server_options, mux_handlers *handlers,
                      mux_conn **ret)
{
    mux__link *ends[2];
    mux_conn *conn;
    cs_err err = mux__conn_new(loop, client_options, false, &conn);
    if (err != CS_OK)
        return err;
    conn->authority = cs_strdup("local");
    err = conn->authority ? mux__h2_new(conn) : CS_ENOMEM;
    if (err == CS_OK)
        err = mux__link_pair(loop, ends);
    if (err != CS_OK) {
        mux_conn_free(conn);
        return err;
    }
    mux__conn_up(conn, ends[0]);
    err = mux__conn_accept(loop, ends[1], server_options, handlers, &handlers->local_conns, NULL);
    if (err != CS_OK) {
        mux__link_free(ends[1]);
        mux_conn_free(conn);
        return err;
    }
    *ret = conn;
    return CS_OK;
}

void mux_conn_swallow(mux_conn *conn)
{
    if (conn->link)
        mux__link_pair_swallow(conn->link);
}

void mux_conn_break(mux_conn *conn)
{
    if (conn->link)
        mux__link_pair_break(conn->link);
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
    if ((conn->freed || conn->is_server) && conn->state == MUX__OVER &&
        cs_list_empty(&conn->streams))
        cs_task_post(conn->loop, CS_REAP, &conn->reap);
}

/* Best effort: the peer hears a good-bye if the kernel takes it at once. */
static void say_goodbye(mux_conn *conn)
{
    size_t n;
    if (conn->blocked || !mux__out_ready(&conn->out))
        return;
    mux__h2_goodbye(conn);
    if (mux__h2_fill(conn) == CS_OK && conn->out.len > conn->out.at)
        (void)mux__link_write(conn->link, conn->out.iov + conn->out.at,
                              conn->out.len - conn->out.at, &n);
}

/* A freed connection first ends its streams (their end() comes in the next turn), and goes when the last
 * of them has gone. */
static void reap(cs_task *task)
{
    mux_conn *conn = CS_CONTAINER(task, mux_conn, reap);
    cs_err why = conn->end_why ? conn->end_why : CS_ECANCELED;
    const char *story = conn->is_server ? "the server is going away" : "the connection was freed";
    if (conn->state == MUX__UP) {
        end_all(conn, why, story);
        say_goodbye(conn);
    }
    if (conn->state == MUX__DIALING || conn->state == MUX__UP)
        mux__conn_lost(conn, why, story);
    conn->state = MUX__OVER;
    if (!cs_list_empty(&conn->streams))
        return;
    cs_task_drop(&conn->reap);
    cs_task_drop(&conn->flush);
    cs_task_drop(&conn->settle);
    mux__conn_settle(&conn->settle);
    cs_block_drop(conn->block);
    cs_unlink(&conn->link_in);
    cs_timer_free(conn->alive);
    mux__out_fini(&conn->out);
    if (conn->h2)
        mux__h2_free(conn);
    cs_free(conn->addr);
    cs_free(conn->authority);
    cs_free(conn->story);
    mux__handlers_drop(conn->handlers);
    cs_free(conn);
}

const char *mux_conn_errmsg(const mux_conn *conn)
{
    return conn->story ? conn->story : "";
}

const struct mux_peer *mux_conn_peer(const mux_conn *conn)
{
    return conn->link ? &conn->link->peer : &conn->no_peer;
}

const struct mux_stats *mux_conn_stats(const mux_conn *conn)
{
    return conn->stats;
}
