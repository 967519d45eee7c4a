/* h2_out -- what nghttp2 asks, and what streams have it say.
 *
 * Trailers overtake DATA that waits for credit, so a status that must not overtake is submitted only
 * when the data source has come to its end (read_data). */
#include "mux/h2__in.h"

/* ---- What went out, or did not --------------------------------------------------------------- */

/* From here on some of it may reach the peer. */
static int on_before_send(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        mux__ids_opened(&((mux_conn *)user)->ids, (uint32_t)frame->hd.stream_id);
        mux_stream *stream = mux__h2_stream(h2, frame->hd.stream_id);
        if (stream)
            stream->request_out = true;
    }
    return 0;
}

/* Resets that nghttp2 makes, or makes us make.  Those of our own will cost the peer's mistakes nothing. */
static void we_reset(mux_conn *conn, mux_stream *stream, uint32_t error)
{
    conn->stats->streams_refused += error == NGHTTP2_REFUSED_STREAM;
    if (error == NGHTTP2_REFUSED_STREAM || error == NGHTTP2_ENHANCE_YOUR_CALM)
        mux__calm_take(conn, MUX__RESETS);
    else if (error != NGHTTP2_NO_ERROR && error != NGHTTP2_CANCEL) {
        mux__calm_take(conn, MUX__FAULTS);
        if (stream && !conn->is_server &&
            error != NGHTTP2_INTERNAL_ERROR) /* that is ours: no memory */
            mux__stream_broken(stream, CS_EPROTO, "the server broke the rules of HTTP/2");
    }
    /* RFC 9113, 6.9.2: SETTINGS that overflow a window; nghttp2 takes it for the stream's mistake. */
    if (error == NGHTTP2_FLOW_CONTROL_ERROR && conn->windows_moved)
        mux__h2_breach(conn, NGHTTP2_FLOW_CONTROL_ERROR);
}

/* A stream too many of who has acknowledged streams_max: nghttp2 ends the connection with these words. */
static bool is_past_streams_max(const nghttp2_goaway *goaway)
{
    return cs_same(cs_bytes_of(goaway->opaque_data, goaway->opaque_data_len),
                   cs_str("request HEADERS: max concurrent streams exceeded"));
}

/* What nghttp2 keeps of a list until it is written. */
static int64_t weight(const nghttp2_nv *nva, size_t n)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += (int64_t)(sizeof *nva + nva[i].namelen + nva[i].valuelen);
    return bytes;
}

/* Of very many that end in one turn the first are written while the rest is made: else two peers that ask each
 * other by the hundred wait for each other, one at a time.  A connection that is freed says all it can at once. */
static void ended_one(mux_conn *conn)
{
    if (++conn->out.ends == MUX__OUT_ENDS)
        conn->out.enough = !conn->freed && mux__link_is_apart(conn->link);
}

static int on_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    mux_conn *conn = user;
    if (frame->hd.type <= NGHTTP2_HEADERS && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        ended_one(conn);
    if (conn->is_server && frame->hd.type == NGHTTP2_HEADERS)
        conn->held.said -= weight(frame->headers.nva, frame->headers.nvlen);
    if (frame->hd.type == NGHTTP2_RST_STREAM &&
        !mux__plain_failed(mux__h2_stream(h2, frame->hd.stream_id)))
        we_reset(conn, mux__h2_stream(h2, frame->hd.stream_id), frame->rst_stream.error_code);
    else if ((frame->hd.type == NGHTTP2_SETTINGS || frame->hd.type == NGHTTP2_PING) &&
             frame->hd.flags & NGHTTP2_FLAG_ACK && conn->calm.owed > 0)
        conn->calm.owed--;
    else if (frame->hd.type == NGHTTP2_GOAWAY)
        conn->stats->streams_refused += is_past_streams_max(&frame->goaway);
    /* The server's last word ends a call both ways; a client that is still talking is told so
     * without blame (doc/PROTOCOL-HTTP2.md; RFC 9113, 8.1). */
    if (conn->is_server && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        mux_stream *stream = mux__h2_stream(h2, frame->hd.stream_id);
        if (stream && !stream->remote_done &&
            nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                      NGHTTP2_NO_ERROR) != 0)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    /* Not sooner: nghttp2 lets a PING overtake what its answer shall prove to have arrived. */
    if (frame->hd.type == NGHTTP2_GOAWAY && conn->roll == MUX__NOTICE &&
        nghttp2_submit_ping(h2, NGHTTP2_FLAG_NONE, (const uint8_t *)MUX__ROLL_PING) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static int on_frame_not_send(nghttp2_session *h2, const nghttp2_frame *frame, int error, void *user)
{
    mux_conn *conn = user;
    if (conn->is_server && frame->hd.type == NGHTTP2_HEADERS)
        conn->held.said -= weight(frame->headers.nva, frame->headers.nvlen);
    if (frame->hd.type != NGHTTP2_HEADERS || error == NGHTTP2_ERR_STREAM_CLOSED ||
        error == NGHTTP2_ERR_STREAM_CLOSING)
        return 0;
    const bool asks = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    mux_stream *stream = mux__h2_stream(h2, frame->hd.stream_id);
    if (stream && !asks) /* too long for a frame: without them the client would wait for ever */
        mux_stream_cancel(stream, CS_ETOOBIG);
    else if (stream && error == NGHTTP2_ERR_FRAME_SIZE_ERROR) /* nghttp2 closes it, as if refused */
        mux__stream_over(stream, CS_ETOOBIG, "the header fields of the call are too long");
    return 0;
}

/* ---- What nghttp2 asks ---------------------------------------------------------------------- */

/* Whoever has something to say later has said something before, mostly.  The others are very many at times,
 * and need not hold what nghttp2 has ready for a frame: it sends none that is empty and ends nothing. */
static ssize_t wait_for_data(mux_stream *stream, uint32_t *data_flags)
{
    if (!stream->is_server || stream->sent_any)
        return NGHTTP2_ERR_DEFERRED;
    stream->mute = true;
    *data_flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return 0;
}

static ssize_t read_data(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t len,
                         uint32_t *data_flags, nghttp2_data_source *source, void *user)
{
    (void)buf;
    (void)source;
    (void)user;
    mux_stream *stream = mux__h2_stream(h2, id);
    bool end = false;
    if (!stream)
        return NGHTTP2_ERR_DEFERRED; /* given up; its RST_STREAM is on the way */
    size_t n = mux__stream_fill(stream, len < UINT16_MAX ? len : UINT16_MAX, &end);
    if (end && stream->is_server && !mux__plain_ends(stream)) {
        mux__call_trailers(stream);
        if (n == 0)
            return NGHTTP2_ERR_DEFERRED; /* saves an empty DATA: trailers need none before them */
        *data_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    if (end)
        *data_flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (n == 0)
        return wait_for_data(stream, data_flags);
    *data_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    stream->reserved = (uint16_t)n;
    return (ssize_t)n;
}

static int send_data(nghttp2_session *h2, nghttp2_frame *frame, const uint8_t *head, size_t len,
                     nghttp2_data_source *source, void *user)
{
    (void)source;
    mux_conn *conn = user;
    mux_stream *stream = mux__h2_stream(h2, frame->hd.stream_id);
    if (!stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (mux__out_full(&conn->out) ||
        !mux__out_fits(&conn->out, len, mux__sendq_pieces(&stream->out, len)))
        return NGHTTP2_ERR_WOULDBLOCK;
    MUX__CALM_SENT(conn, len);
    stream->born_ms = (uint32_t)cs_loop_now_ms(conn->loop);
    mux__out_copy(&conn->out, head, 9);
    mux__sendq_emit(&stream->out, len, &conn->out);
    stream->reserved = 0;
    stream->sent_any = true;
    if (stream->writable_due)
        mux__stream_post(stream);
    return 0;
}

static ssize_t send_bytes(nghttp2_session *h2, const uint8_t *bytes, size_t len, int flags,
                          void *user)
{
    (void)h2;
    (void)flags;
    mux_conn *conn = user;
    struct mux__out *out = &conn->out;
    if (mux__out_full(out) || !mux__out_fits(out, 0, 1) || out->copied >= MUX__OUT_COPIES)
        return NGHTTP2_ERR_WOULDBLOCK;
    if (len > MUX__OUT_COPIES - out->copied)
        len = MUX__OUT_COPIES - out->copied;
    mux__out_copy(out, bytes, len);
    return (ssize_t)len;
}

void mux__h2_speaks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_before_frame_send_callback(cb, on_before_send);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_send);
    nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
    nghttp2_session_callbacks_set_send_callback(cb, send_bytes);
}

/* ---- Streams -------------------------------------------------------------------------------- */

enum { FIELDS_MAX = 16 }; /* on the stack; more are allocated */

struct nvs {
    nghttp2_nv few[FIELDS_MAX], *all;
};

static bool nvs_make(struct nvs *nvs, const struct mux__field *fields, size_t n)
{
    nvs->all = n <= FIELDS_MAX ? nvs->few : cs_alloc(n * sizeof *nvs->all);
    for (size_t i = 0; nvs->all && i < n; i++)
        nvs->all[i] = (nghttp2_nv){(uint8_t *)(uintptr_t)fields[i].name.base,
                                   (uint8_t *)(uintptr_t)fields[i].value.base, fields[i].name.len,
                                   fields[i].value.len,
                                   (uint8_t)(fields[i].lasting ? NGHTTP2_NV_FLAG_NO_COPY_NAME |
                                                                     NGHTTP2_NV_FLAG_NO_COPY_VALUE
                                                               : NGHTTP2_NV_FLAG_NONE)};
    return nvs->all;
}

static void nvs_free(struct nvs *nvs)
{
    if (nvs->all != nvs->few)
        cs_free(nvs->all);
}

cs_err mux__h2_request(mux_stream *stream, const struct mux__field *fields, size_t n)
{
    struct nvs nvs;
    nghttp2_data_provider provider = {{.ptr = stream}, read_data};
    if (!nvs_make(&nvs, fields, n))
        return CS_ENOMEM;
    int32_t id = nghttp2_submit_request(stream->conn->h2, NULL, nvs.all, n, &provider, stream);
    nvs_free(&nvs);
    if (id == NGHTTP2_ERR_NOMEM)
        return CS_ENOMEM;
    if (id < 0)
        return CS_AGAIN;
    stream->id = id;
    stream->conn->open++;
    MUX__CALM_OPENED(stream->conn);
    return CS_OK;
}

cs_err mux__h2_answer(mux_stream *stream, const struct mux__field *fields, size_t n, bool end)
{
    nghttp2_session *h2 = stream->conn->h2;
    struct nvs nvs;
    nghttp2_data_provider provider = {{.ptr = stream}, read_data};
    /* Incremental: streams of equal urgency take turns, a frame each (RFC 9218, 10). */
    nghttp2_extpri turns = {NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
    if (!nvs_make(&nvs, fields, n))
        return CS_ENOMEM;
    if (!end)
        nghttp2_session_change_extpri_stream_priority(h2, stream->id, &turns, 1);
    int rv = nghttp2_submit_response(h2, stream->id, nvs.all, n, end ? NULL : &provider);
    if (rv == 0)
        stream->conn->held.said += weight(nvs.all, n);
    nvs_free(&nvs);
    return rv == 0 ? CS_OK : CS_ENOMEM;
}

cs_err mux__h2_trailers(mux_stream *stream, const struct mux__field *fields, size_t n)
{
    struct nvs nvs;
    if (!nvs_make(&nvs, fields, n))
        return CS_ENOMEM;
    int rv = nghttp2_submit_trailer(stream->conn->h2, stream->id, nvs.all, n);
    if (rv == 0)
        stream->conn->held.said += weight(nvs.all, n);
    nvs_free(&nvs);
    return rv == 0 ? CS_OK : CS_ENOMEM;
}

void mux__h2_resume(mux_stream *stream)
{
    nghttp2_data_provider provider = {{.ptr = stream}, read_data};

    if (!stream->mute) {
        mux__h2_must(stream->conn, nghttp2_session_resume_data(stream->conn->h2, stream->id));
        return;
    }
    if (stream->trailers_out)
        return;
    stream->mute = false;
    mux__h2_must(stream->conn, nghttp2_submit_data(stream->conn->h2, NGHTTP2_FLAG_END_STREAM,
                                                   stream->id, &provider));
}

bool mux__h2_said_all(const mux_stream *stream)
{
    return nghttp2_session_get_stream_local_close(stream->conn->h2, stream->id) == 1;
}

void mux__h2_reset(mux_stream *stream, bool refused)
{
    if (stream->id > 0) /* else nobody was told of it yet */
        mux__h2_must(stream->conn,
                     nghttp2_submit_rst_stream(stream->conn->h2, NGHTTP2_FLAG_NONE, stream->id,
                                               refused ? NGHTTP2_REFUSED_STREAM : NGHTTP2_CANCEL));
}

void mux__h2_fail(mux_stream *stream)
{
    mux__h2_must(stream->conn, nghttp2_submit_rst_stream(stream->conn->h2, NGHTTP2_FLAG_NONE,
                                                         stream->id, NGHTTP2_INTERNAL_ERROR));
}

void mux__h2_detach(mux_stream *stream)
{
    nghttp2_session_set_stream_user_data(stream->conn->h2, stream->id, NULL);
}

void mux__h2_attach(mux_stream *stream, mux_conn *conn)
{
    if (conn->h2)
        nghttp2_session_set_stream_user_data(conn->h2, stream->id, stream);
}

void mux__h2_credit(mux_stream *stream, size_t n)
{
    mux__h2_must(stream->conn, nghttp2_session_consume_stream(stream->conn->h2, stream->id, n));
}

void mux__h2_grow(mux_stream *stream, int64_t window)
{
    mux__h2_must(stream->conn,
                 nghttp2_session_set_local_window_size(stream->conn->h2, NGHTTP2_FLAG_NONE,
                                                       stream->id, (int32_t)window));
}

int64_t mux__h2_send_window(const mux_stream *stream)
{
    return nghttp2_session_get_stream_remote_window_size(stream->conn->h2, stream->id);
}
