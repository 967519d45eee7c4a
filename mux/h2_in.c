/* h2_in -- what nghttp2 says: frames that came, and streams that are closed. */
#include "mux/h2__in.h"

/* RFC 9113, 8.1.1 */
static int malformed(nghttp2_session *h2, int32_t id)
{
    return nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_PROTOCOL_ERROR) == 0
               ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
               : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* It came after the last one that is served, while the word for that was still waiting to be
 * written: the peer will read that it never ran, so it must not. */
static int refuse(nghttp2_session *h2, int32_t id, uint32_t error)
{
    return nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, id, error) == 0
               ? 0
               : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    ((mux_conn *)user)->fields = ((mux_conn *)user)->header_bytes = 0;
    mux__h2_head_begins(user);
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (((mux_conn *)user)->roll >= MUX__LAST &&
        (uint32_t)frame->hd.stream_id > ((mux_conn *)user)->last_id)
        return refuse(h2, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
    if (mux__held_is_full(user)) {
        ((mux_conn *)user)->stats->memory_refused++;
        return refuse(h2, frame->hd.stream_id, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    mux_stream *stream = mux__stream_on_begin(user, frame->hd.stream_id);
    if (!stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* no memory: this stream is reset */
    nghttp2_session_set_stream_user_data(h2, frame->hd.stream_id, stream);
    return 0;
}

/* RFC 9113, 8.2.1, does not allow it; but gRPC's peers send texts as they are, and gRPC has it that
 * whoever gets them takes it away (doc/PROTOCOL-HTTP2.md, ASCII-Value). */
static cs_bytes without_space(cs_bytes value)
{
    const char *from = value.base, *end = from + value.len;
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    while (from < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return cs_bytes_of(from, (size_t)(end - from));
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    (void)flags;
    mux_stream *stream = mux__h2_stream(h2, frame->hd.stream_id);
    if (!stream)
        return 0;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST &&
        !mux__h2_head_field(user, mux__h2_text(name), value))
        return malformed(h2, frame->hd.stream_id);
    cs_err err =
        mux__stream_on_header(stream, mux__h2_text(name), without_space(mux__h2_text(value)));
    return err == CS_OK ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Of a name or a value with bytes that have no place there: nghttp2 would drop the field. */
static int on_invalid_header(nghttp2_session *h2, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                             nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    (void)h2;
    (void)frame;
    (void)name;
    (void)value;
    (void)flags;
    (void)user;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* the same as above, done by nghttp2 */
}

/* gRPC's servers count PINGs (gRFC A8), and end the connection with these words. */
static bool is_tired_of_pings(const nghttp2_goaway *goaway)
{
    return goaway->error_code == NGHTTP2_ENHANCE_YOUR_CALM &&
           cs_same(cs_bytes_of(goaway->opaque_data, goaway->opaque_data_len),
                   cs_str("too_many_pings"));
}

/* A stream that was answered did its work: who cancels that is a good client. */
static void peer_reset(mux_conn *conn, const mux_stream *stream)
{
    if (conn->is_server && stream && !stream->submitted)
        mux__calm_take(conn, MUX__RESETS);
}

/* Those of streams there are. */
static bool moves_windows(const mux_conn *conn, const nghttp2_settings *settings)
{
    for (size_t i = 0; i < settings->niv && !cs_list_empty(&conn->streams); i++)
        if (settings->iv[i].settings_id == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE)
            return true;
    return false;
}

/* nghttp2 has taken it already, and says 0 for less than nothing. */
static void window_opens(mux_conn *conn, const mux_stream *stream, int64_t by)
{
    if (stream && mux__h2_send_window(stream) <= by)
        cs_histogram_add(&conn->stats->window_shut, mux_stream_still_ms(stream) * 1000);
}

static int on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    mux_conn *conn = user;
    bool is_answered = frame->hd.type == NGHTTP2_SETTINGS || frame->hd.type == NGHTTP2_PING;
    conn->calm.owed += is_answered && !(frame->hd.flags & NGHTTP2_FLAG_ACK);
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        peer_reset(conn, mux__h2_stream(h2, frame->hd.stream_id));
    if (frame->hd.type == NGHTTP2_WINDOW_UPDATE)
        window_opens(conn, mux__h2_stream(h2, frame->hd.stream_id),
                     frame->window_update.window_size_increment);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        conn->goaway = true;
        mux__front_goaway(conn, is_tired_of_pings(&frame->goaway));
    } else if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
        conn->windows_moved = conn->windows_moved || moves_windows(conn, &frame->settings);
        mux__front_settings(conn);
    } else if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK &&
               memcmp(frame->ping.opaque_data, MUX__ROLL_PING, sizeof MUX__ROLL_PING - 1) == 0)
        mux__roll_answered(conn);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    mux_stream *stream = mux__h2_stream(h2, frame->hd.stream_id);
    if (!stream)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST &&
        !mux__h2_head_ends(conn))
        return malformed(h2, frame->hd.stream_id) == NGHTTP2_ERR_CALLBACK_FAILURE
                   ? NGHTTP2_ERR_CALLBACK_FAILURE
                   : 0;
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (frame->hd.type == NGHTTP2_HEADERS && !(end && stream->remote_headers))
        mux__stream_on_headers(stream, end);
    if (end)
        mux__stream_on_remote_end(stream);
    return 0;
}

static int on_data_chunk(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *user)
{
    (void)flags;
    (void)user;
    mux_stream *stream = mux__h2_stream(h2, id);
    /* The connection's credit goes back as the bytes come (DESIGN, promise 3): else one source
     * that nobody reads would stop the others. */
    if (nghttp2_session_consume_connection(h2, len) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (stream)
        mux__stream_on_data(stream, data, len);
    return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error, void *user)
{
    mux_stream *stream = mux__h2_stream(h2, id);
    if (stream)
        mux__stream_on_close(stream, error);
    mux__front_closed(user);
    return 0;
}

void mux__h2_hears(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
}
