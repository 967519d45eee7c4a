/* held -- see held.h: the sums, and who waits for room in them. */
#include "mux/held.h"

#include "mux/mux__in.h"

enum { PARTS = 4 };

/* INT64_MAX: there is no bound; a limbo has none. */
static int64_t part(const mux_conn *conn)
{
    return conn->is_server && conn->h2 && conn->opt.connection_memory_bytes != CS_OFF
               ? conn->opt.connection_memory_bytes / PARTS
               : INT64_MAX;
}

void mux__held_begin(mux_conn *conn)
{
    conn->held.said = 0;
    conn->held.room.max = part(conn);
}

bool mux__held_is_full(const mux_conn *conn)
{
    return conn->held.lists > part(conn);
}

/* ---- Header lists ------------------------------------------------------------------------------ */

void mux__held_list(mux_stream *stream, size_t bytes)
{
    mux__extra_of(stream)->listed += (uint32_t)bytes;
    stream->conn->held.lists += (int64_t)bytes;
}

void mux__held_list_gone(mux_stream *stream)
{
    struct mux__extra *extra = mux__extra_of(stream);

    if (!extra)
        return;
    stream->conn->held.lists -= extra->listed;
    extra->listed = 0;
}

/* ---- Messages ---------------------------------------------------------------------------------- */

bool mux__held_half(mux_stream *stream)
{
    struct mux__inflow *in = mux__inflow_of(stream);
    mux_conn *conn = stream->conn;

    if (!in || in->half == in->rx.bytes)
        return true;
    conn->held.lists += (int64_t)in->rx.bytes - in->half;
    in->half = in->rx.bytes;
    if (!mux__held_is_full(conn))
        return true;
    conn->stats->memory_refused++;
    return false;
}

void mux__held_half_gone(mux_stream *stream)
{
    struct mux__inflow *in = mux__inflow_of(stream);

    if (!in)
        return;
    stream->conn->held.lists -= in->half;
    in->half = 0;
}

/* Those that fit now are told, in their order; when there is room for the longest, all are: one of them
 * may not want it any more, and would tell nobody. */
void mux__held_room(mux_conn *conn)
{
    struct mux_rx_room *room = &conn->held.room;
    int64_t left = room->max - room->used;
    struct cs_link *link;

    if (!room->freed)
        return;
    room->freed = false;
    while ((room->used == 0 || left > 0) && (link = cs_list_pop(&room->waits))) {
        struct mux_rx *rx = CS_CONTAINER(link, struct mux_rx, waits);
        left -= rx->waits_for;
        mux_stream_resume(CS_CONTAINER(rx, struct mux__inflow, rx)->stream);
    }
}

/* ---- What waits to be said --------------------------------------------------------------------- */

bool mux__held_unread(const mux_conn *conn, int share)
{
    return mux__h2_waiting(conn) > part(conn) / share;
}

void mux_stream_hold(mux_stream *stream, size_t bytes)
{
    stream->conn->held.ahead += (int64_t)bytes - stream->ahead;
    stream->ahead = (uint32_t)bytes;
}

bool mux_stream_is_crowded(const mux_stream *stream)
{
    return stream->conn->held.ahead > part(stream->conn);
}

/* ---- Elsewhere --------------------------------------------------------------------------------- */

void mux__held_move(mux_stream *stream, mux_conn *to)
{
    const struct mux__extra *extra = mux__extra_of(stream);
    const uint32_t listed = extra ? extra->listed : 0;

    stream->conn->held.lists -= listed;
    stream->conn->held.ahead -= stream->ahead;
    to->held.lists += listed;
    to->held.ahead += stream->ahead;
}
