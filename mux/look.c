/* look -- a connection and its streams as operators see them. */
#include "mux/mux__in.h"

int64_t mux_stream_window_left(const mux_stream *stream)
{
    return stream->conn->h2 && stream->submitted ? mux__h2_send_window(stream) : 0;
}

void mux_conn_look(mux_conn *conn, struct mux_conn_look *ret)
{
    const int64_t now = cs_loop_now_ms(conn->loop);
    struct cs_link *link = cs_list_first(&conn->streams);

    *ret = (struct mux_conn_look){.number = conn->number,
                                  .bytes_in = conn->bytes_in,
                                  .bytes_out = conn->bytes_out,
                                  .age_ms = now - conn->up_ms,
                                  .heard_ms = now - conn->heard_ms,
                                  .credit = conn->h2 ? mux__h2_conn_window(conn) : 0,
                                  .queued = conn->out.bytes,
                                  .blocked = conn->blocked,
                                  .goes = mux_conn_takes_none(conn)};
    for (; link; link = cs_list_next(&conn->streams, link)) {
        ret->streams++;
        ret->queued += mux_stream_queued(CS_CONTAINER(link, mux_stream, link_in));
    }
}
