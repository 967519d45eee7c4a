/* alive -- keepalive, and streams whose window never opened.
 *
 * One timer a connection.  Silence of ping_interval_ms: PING; nothing at all within
 * ping_timeout_ms: the peer is dead, whatever TCP thinks.  Waiting for a live peer is legitimate
 * for ever, so nothing else ends an idle connection (PROTOCOL A5). */
#include "mux/mux__in.h"

static void on_timer(void *user);

void mux__alive_heard(mux_conn *conn)
{
    conn->heard_ms = cs_loop_now_ms(conn->loop);
    conn->pinged = false;
}

static int next_look(const mux_conn *conn)
{
    int ping = conn->opt.ping_interval_ms, stall = conn->opt.stall_timeout_ms;
    if (conn->pinged)
        return conn->opt.ping_timeout_ms;
    if (stall != CS_OFF && (ping == CS_OFF || stall / 2 < ping))
        return stall / 2 > 0 ? stall / 2 : 1;
    return ping;
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
    cs_timer_set(conn->alive, next_look(conn));
}

/* What is pulled has not been asked for while there was no window: only asking tells. */
static bool has_to_say(mux_stream *stream)
{
    bool end = false;
    if (stream->out.bytes == 0 && mux__stream_fill(stream, 1, &end) == 0 && end)
        mux__call_trailers(stream); /* they need no window */
    return !stream->over && stream->out.bytes > 0;
}

static bool is_stalled(mux_stream *stream, uint32_t now)
{
    return stream->submitted && !stream->over && !stream->sent_any &&
           now - stream->born_ms >= (uint32_t)stream->conn->opt.stall_timeout_ms &&
           mux__h2_send_window(stream) == 0 && /* -1: it waits for its turn to be opened */
           has_to_say(stream);
}

/* A stream that has something to say and in all its life was never granted one byte (PROTOCOL A5: a
 * reader that merely stopped reading is left alone). */
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
        conn->stats->stalled++;
        mux__stream_kill(stream, WIRE_R_STALLED);
    }
}

static void on_timer(void *user)
{
    mux_conn *conn = user;
    int64_t silent = cs_loop_now_ms(conn->loop) - conn->heard_ms;
    if (conn->state != MUX__UP)
        return;
    if (conn->pinged) { /* and this is ping_timeout_ms later */
        conn->stats->pings_lost++;
        mux__conn_lost(conn, CS_EPEER, "the peer answers no PING");
        return;
    }
    if (!conn->pinged && conn->opt.ping_interval_ms != CS_OFF &&
        silent >= conn->opt.ping_interval_ms) {
        mux__h2_ping(conn);
        conn->pinged = true;
        mux__conn_flush_soon(conn);
    }
    end_stalled(conn);
    if (conn->pinged) {
        cs_timer_set(conn->alive, conn->opt.ping_timeout_ms);
        return;
    }
    int look = next_look(conn);
    if (conn->opt.ping_interval_ms != CS_OFF && conn->opt.ping_interval_ms - silent < look)
        look = (int)(conn->opt.ping_interval_ms - silent);
    cs_timer_set(conn->alive, look > 0 ? look : 1);
}
