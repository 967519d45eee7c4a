/* alive -- all that a connection's time brings: keepalive, streams whose window never opened, a
 * beginning or a header block that takes too long, and nothing to do.
 *
 * One timer a connection.  Silence of ping_interval_ms: PING; nothing at all within
 * ping_timeout_ms: the peer is dead, whatever TCP thinks.  Waiting for a live peer is legitimate
 * for ever, so nothing else ends a connection that has a stream. */
#include "mux/mux__in.h"

static void on_timer(void *user);

void mux__alive_heard(mux_conn *conn)
{
    conn->heard_ms = cs_loop_now_ms(conn->loop);
    conn->pinged = false;
}

/* ---- When to look --------------------------------------------------------------------------- */

static void sooner(int64_t *at, int64_t since, int ms)
{
    if (ms != CS_OFF && since + ms < *at)
        *at = since + ms;
}

static int half(int ms)
{
    return ms > 1 ? ms / 2 : 1;
}

static bool is_idle(const mux_conn *conn)
{
    return conn->is_server && cs_list_empty(&conn->streams) && conn->roll == MUX__OPEN;
}

/* INT64_MAX: never. */
static int64_t next_look(const mux_conn *conn)
{
    const struct mux_options *opt = &conn->opt;
    int64_t now = cs_loop_now_ms(conn->loop), at = INT64_MAX;

    if (conn->wire) {
        sooner(&at, conn->idle_ms, conn->roll == MUX__OPEN ? opt->idle_timeout_ms : CS_OFF);
        return at;
    }
    if (conn->calm.cut)
        return conn->close_ms;
    if (conn->pinged)
        sooner(&at, conn->pinged_ms, opt->ping_timeout_ms);
    else
        sooner(&at, conn->heard_ms, opt->ping_interval_ms);
    sooner(&at, now, opt->stall_timeout_ms == CS_OFF ? CS_OFF : half(opt->stall_timeout_ms));
    if (!conn->calm.met)
        sooner(&at, conn->up_ms, opt->preface_timeout_ms);
    if (conn->calm.in_block)
        sooner(&at, conn->calm.block_ms, opt->header_timeout_ms);
    if (conn->is_server)
        sooner(&at, is_idle(conn) ? conn->idle_ms : now, opt->idle_timeout_ms);
    return at;
}

static void set(mux_conn *conn)
{
    int64_t left, now = cs_loop_now_ms(conn->loop);

    conn->look_ms = next_look(conn);
    left = conn->look_ms - now;
    cs_timer_set(conn->alive, conn->look_ms == INT64_MAX ? CS_OFF : left > 0 ? (int)left : 1);
}

void mux__alive_start(mux_conn *conn)
{
    mux__alive_heard(conn);
    /* Without memory there is no keepalive; TCP's own end is still seen. */
    if (!conn->alive) {
        if (cs_timer_new(conn->loop, on_timer, conn, &conn->alive) != CS_OK)
            return;
        cs_timer_is_upkeep(conn->alive);
    }
    set(conn);
}

void mux__alive_look(mux_conn *conn)
{
    if (conn->calm.in_block && conn->alive && conn->state == MUX__UP &&
        conn->opt.header_timeout_ms != CS_OFF &&
        conn->calm.block_ms + conn->opt.header_timeout_ms < conn->look_ms)
        set(conn);
}

void mux__alive_close(mux_conn *conn, int ms)
{
    conn->close_ms = cs_loop_now_ms(conn->loop) + ms;
    if (conn->alive)
        set(conn);
    else
        mux__h2_goodbye(conn); /* then nghttp2 is over as soon as it has said so */
}

/* ---- Stalls --------------------------------------------------------------------------------- */

/* What is pulled has not been asked for while there was no window: only asking tells. */
static bool has_to_say(mux_stream *stream)
{
    bool end = false;
    if (stream->out.bytes == 0 && mux__stream_fill(stream, 1, &end) == 0 && end)
        mux__call_trailers(stream); /* they need no window */
    return !stream->over && (stream->out.bytes > 0 || (stream->plain && stream->finished));
}

static bool is_stalled(mux_stream *stream, uint32_t now)
{
    return stream->submitted && !stream->over && !stream->sent_any &&
           now - stream->born_ms >= (uint32_t)stream->conn->opt.stall_timeout_ms &&
           mux__h2_send_window(stream) == 0 && /* -1: it waits for its turn to be opened */
           has_to_say(stream);
}

/* A stream that has something to say and in all its life was never granted one byte (a reader that
 * merely stopped reading is left alone). */
static void end_stalled(mux_conn *conn)
{
    uint32_t now = (uint32_t)cs_loop_now_ms(conn->loop);
    struct cs_link *link, *next;
    if (conn->opt.stall_timeout_ms == CS_OFF)
        return;
    for (link = cs_list_first(&conn->streams); link; link = next) {
        mux_stream *stream = CS_CONTAINER(link, mux_stream, link_in);
        next = cs_list_next(&conn->streams, link);
        if (!is_stalled(stream, now))
            continue;
        conn->stats->streams_stalled++;
        mux__stream_kill(stream, WIRE_R_STALLED);
    }
}

/* ---- Time is over --------------------------------------------------------------------------- */

static bool is_due(const mux_conn *conn, int64_t since, int ms)
{
    return ms != CS_OFF && cs_loop_now_ms(conn->loop) - since >= ms;
}

static void lose_late(mux_conn *conn)
{
    conn->stats->preface_timeouts++;
    if (conn->is_server)
        cs_log(CS_INFO, "mux", "connection of %.*s: nothing of HTTP/2 came within %d ms",
               CS_FMT(conn->link->peer.addr), conn->opt.preface_timeout_ms);
    mux__conn_lost(conn, CS_EPEER, "the peer did not begin HTTP/2 in time");
}

static void send_ping(mux_conn *conn)
{
    mux__h2_ping(conn);
    conn->pinged = true;
    conn->pinged_ms = cs_loop_now_ms(conn->loop);
    mux__conn_flush_soon(conn);
}

static void roll_idle(mux_conn *conn)
{
    if (!is_due(conn, conn->idle_ms, conn->opt.idle_timeout_ms))
        return;
    conn->stats->connections_idle++;
    mux_conn_roll(conn);
}

/* False: it is lost. */
static bool look(mux_conn *conn)
{
    const struct mux_options *opt = &conn->opt;

    if (conn->wire) {
        if (conn->roll == MUX__OPEN)
            roll_idle(conn);
        return true;
    }
    if (conn->calm.cut && is_due(conn, conn->close_ms, 0)) {
        mux__conn_lost(conn, CS_EPROTO, conn->calm_words);
        return false;
    }
    if (conn->pinged && is_due(conn, conn->pinged_ms, opt->ping_timeout_ms)) {
        conn->stats->pings_lost++;
        mux__conn_lost(conn, CS_EPEER, "the peer answers no PING");
        return false;
    }
    if (!conn->calm.met && is_due(conn, conn->up_ms, opt->preface_timeout_ms)) {
        lose_late(conn);
        return false;
    }
    if (conn->calm.in_block && is_due(conn, conn->calm.block_ms, opt->header_timeout_ms))
        mux__calm_cut(conn, MUX__HEADER_TIMEOUT);
    if (!conn->pinged && is_due(conn, conn->heard_ms, opt->ping_interval_ms))
        send_ping(conn);
    if (is_idle(conn))
        roll_idle(conn);
    return true;
}

static void on_timer(void *user)
{
    mux_conn *conn = user;

    if (conn->state != MUX__UP || !look(conn))
        return;
    end_stalled(conn);
    set(conn);
}
