/* stream_in -- what nghttp2 says of a stream: its header fields, its DATA, its end. */
#include "mux/mux__in.h"

mux_stream *mux__stream_on_begin(mux_conn *conn, int32_t id)
{
    mux_stream *stream =
        conn->user_room > 0 ? mux__lasting_new(conn) : mux__stream_new(conn, NULL, NULL);
    conn->aside.len = 0;
    if (stream)
        stream->id = id;
    return stream;
}

static void refuse_headers(mux_stream *stream)
{
    struct mux_stats *stats = stream->conn->stats;
    if (stream->big_headers)
        return;
    stream->big_headers = true;
    if (stream->conn->header_bytes > stream->conn->opt.header_max_bytes)
        stats->headers_refused++;
    else
        stats->header_fields_refused++;
    mux__calm_take(stream->conn, MUX__FAULTS);
}

cs_err mux__stream_on_header(mux_stream *stream, cs_bytes name, cs_bytes value)
{
    stream->conn->header_bytes += (uint32_t)(name.len + value.len + 32); /* RFC 9113, 6.5.2 */
    if (stream->conn->header_bytes > stream->conn->opt.header_max_bytes ||
        ++stream->conn->fields > stream->conn->opt.header_fields_max) {
        refuse_headers(stream);
        /* A failure resets the stream, and nghttp2 looks at no field of the rest, of which a byte may
         * mean 4 KiB.  As long as that costs little a request is still answered. */
        if (stream->is_server)
            return stream->conn->header_bytes / 2 > stream->conn->opt.header_max_bytes ? CS_ELIMIT
                                                                                       : CS_OK;
        mux__conn_flush_soon(stream->conn);
        mux__stream_over(stream, CS_ELIMIT, "the answer has too many header fields");
        return CS_ELIMIT;
    }
    return stream->is_server ? mux__call_request_header(stream, name, value)
                             : mux__call_answer_header(stream, name, value);
}

void mux__stream_on_headers(mux_stream *stream, bool last)
{
    if (!stream->is_server) {
        mux__call_answer_begins(stream, last);
        if (stream->http_status >= 100 && stream->http_status < 200)
            return; /* informational: the answer is still to come */
        mux__front_answered(stream->conn);
    }
    stream->remote_headers = true;
    if (stream->is_server) {
        mux__plain_begin(stream);
        stream->acceptable = true;
    } else
        stream->told = true;
    mux__stream_post(stream);
}

struct mux_rx *mux__stream_rx(mux_stream *stream)
{
    struct mux__inflow *in;
    if (!stream->rx && (in = cs_alloc(sizeof *in))) {
        mux_rx_init(&in->rx, stream->conn->opt.message_max_bytes);
        in->rx.room = stream->is_server ? &stream->conn->held.room : NULL;
        in->stream = stream;
        in->half = 0;
        in->counting = (struct mux__counting){0};
        stream->rx = &in->rx;
        mux__inflow_restart(stream);
    }
    if (stream->rx)
        stream->rx->gzip = stream->rx->gzip || stream->gzip_in;
    return stream->rx;
}

void mux__stream_on_data(mux_stream *stream, const uint8_t *bytes, size_t len)
{
    mux_conn *conn = stream->conn;
    if (stream->over || stream->drop_rx || stream->broken) {
        mux__h2_credit(stream, len);
        return;
    }
    stream->longed = stream->longed || stream->dry || mux_stream_waiting(stream) == 0;
    if (!mux__stream_rx(stream) || mux_rx_add(stream->rx, bytes, len, conn->block) != CS_OK ||
        (stream->lasts && !mux__lasting_count(stream, bytes, len))) {
        mux_stream_cancel(stream, CS_ENOMEM);
        return;
    }
    if (!cs_linked(&stream->rx->fresh))
        cs_list_push(&conn->fresh, &stream->rx->fresh);
    stream->dry = false;
    stream->told = true;
    mux__stream_post(stream);
}

void mux__stream_on_remote_end(mux_stream *stream)
{
    stream->remote_done = true;
    if (stream->is_server) {
        stream->told = true;
        mux__stream_post(stream);
    } else
        mux__call_ended(stream);
}

void mux__stream_on_close(mux_stream *stream, uint32_t h2_error)
{
    if (stream->over)
        return;
    stream->id = 0; /* nghttp2 is about to forget it */
    if (!stream->is_server)
        mux__call_reset(stream, h2_error);
    else if (stream->trailers_out && (h2_error == 0 || (stream->plain && stream->aborted)))
        mux__stream_broken(stream, stream->aborted ? stream->status : CS_DONE, NULL);
    else if (h2_error == 8) /* CANCEL */
        mux__stream_broken(stream, CS_ECANCELED, "the client cancelled the call");
    else
        mux__stream_broken(stream, CS_EPEER, "the client reset the stream");
}
