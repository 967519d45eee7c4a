/* h2 -- the one file that speaks with nghttp2.
 *
 * nghttp2 has no socket: bytes go in by feed, and come out by fill into the connection's output.
 * Three things it leaves to us: it does not tell of open streams when it is deleted (conn.c keeps
 * a list); send and receive must not be called from inside its callbacks (nobody else calls them);
 * and trailers overtake DATA that waits for credit, so a status that must not overtake is
 * submitted only when the data source has come to its end (read_data). */
#include "mux/mux__in.h"

#include <nghttp2/nghttp2.h>

/* nghttp2 1.52 frees a DATA frame, remembers it and frees it again with its session, when its queue
 * found no memory to grow.  So once it was told that there is none, the first things it frees stay
 * until its next call, or its end. */
static void *noted(mux_conn *conn, void *p)
{
    if (!p)
        conn->h2_starves = true;
    return p;
}
static void *mem_malloc(size_t size, void *user)
{
    return noted(user, cs_alloc(size));
}
static void mem_free(void *p, void *user)
{
    mux_conn *conn = user;
    for (int i = 0; i < conn->h2_freed_len; i++)
        if (p == conn->h2_freed[i])
            return;
    if (conn->h2_starves && p && conn->h2_freed_len < MUX__FREED)
        conn->h2_freed[conn->h2_freed_len++] = p;
    else
        cs_free(p);
}
static void *mem_calloc(size_t n, size_t size, void *user)
{
    return noted(user, size && n > SIZE_MAX / size ? NULL : cs_zalloc(n * size));
}
static void *mem_realloc(void *p, size_t size, void *user)
{
    return noted(user, cs_realloc(p, size));
}
static void mem_settle(mux_conn *conn)
{
    conn->h2_starves = false;
    while (conn->h2_freed_len > 0)
        cs_free(conn->h2_freed[--conn->h2_freed_len]);
}

/* ---- What nghttp2 says ---------------------------------------------------------------------- */

static mux_stream *stream_of(nghttp2_session *h2, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h2, id);
}

/* It came after the last one that is served, while the word for that was still waiting to be
 * written: the peer will read that it never ran, so it must not. */
static int refuse(nghttp2_session *h2, int32_t id)
{
    return nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM) == 0
               ? 0
               : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    ((mux_conn *)user)->fields = ((mux_conn *)user)->header_bytes = 0;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (((mux_conn *)user)->roll >= MUX__LAST &&
        (uint32_t)frame->hd.stream_id > ((mux_conn *)user)->last_id)
        return refuse(h2, frame->hd.stream_id);
    mux_stream *stream = mux__stream_on_begin(user, frame->hd.stream_id);
    if (!stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* no memory: this stream is reset */
    nghttp2_session_set_stream_user_data(h2, frame->hd.stream_id, stream);
    return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    (void)flags;
    (void)user;
    mux_stream *stream = stream_of(h2, frame->hd.stream_id);
    if (!stream)
        return 0;
    cs_err err =
        mux__stream_on_header(stream, cs_bytes_of(name, name_len), cs_bytes_of(value, value_len));
    return err == CS_OK ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Tells it from those of alive.c. */
static const uint8_t ROLL_PING[8] = {'r', 'o', 'l', 'l', 'o', 'v', 'e', 'r'};

/* gRPC's servers count PINGs (gRFC A8), and end the connection with these words. */
static bool is_tired_of_pings(const nghttp2_goaway *goaway)
{
    return goaway->error_code == NGHTTP2_ENHANCE_YOUR_CALM &&
           cs_same(cs_bytes_of(goaway->opaque_data, goaway->opaque_data_len),
                   cs_str("too_many_pings"));
}

/* A stream that was answered did its work: who cancels that is a good client (PROTOCOL B25). */
static void peer_reset(mux_conn *conn, const mux_stream *stream)
{
    if (conn->is_server && stream && !stream->submitted)
        mux__calm_take(conn, MUX__RESETS);
}

static int on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    mux_conn *conn = user;
    bool is_answered = frame->hd.type == NGHTTP2_SETTINGS || frame->hd.type == NGHTTP2_PING;
    conn->calm.owed += is_answered && !(frame->hd.flags & NGHTTP2_FLAG_ACK);
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        peer_reset(conn, stream_of(h2, frame->hd.stream_id));
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        conn->goaway = true;
        mux__front_goaway(conn, is_tired_of_pings(&frame->goaway));
    } else if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
        mux__front_settings(conn);
    else if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK &&
             memcmp(frame->ping.opaque_data, ROLL_PING, sizeof ROLL_PING) == 0)
        mux__roll_answered(conn);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    mux_stream *stream = stream_of(h2, frame->hd.stream_id);
    if (!stream)
        return 0;
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
    mux_stream *stream = stream_of(h2, id);
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
    mux_stream *stream = stream_of(h2, id);
    if (stream)
        mux__stream_on_close(stream, error);
    mux__front_closed(user);
    return 0;
}

/* From here on some of it may reach the peer. */
static int on_before_send(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    (void)user;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        mux_stream *stream = stream_of(h2, frame->hd.stream_id);
        if (stream)
            stream->request_out = true;
    }
    return 0;
}

/* Resets that nghttp2 makes, or makes us make.  Those of our own will cost the peer's mistakes nothing. */
static void we_reset(mux_conn *conn, uint32_t error)
{
    conn->stats->streams_refused += error == NGHTTP2_REFUSED_STREAM;
    if (error == NGHTTP2_REFUSED_STREAM)
        mux__calm_take(conn, MUX__RESETS);
    else if (error != NGHTTP2_NO_ERROR && error != NGHTTP2_CANCEL)
        mux__calm_take(conn, MUX__FAULTS);
}

/* A stream too many of who has acknowledged streams_max: nghttp2 ends the connection with these words. */
static bool is_past_streams_max(const nghttp2_goaway *goaway)
{
    return cs_same(cs_bytes_of(goaway->opaque_data, goaway->opaque_data_len),
                   cs_str("request HEADERS: max concurrent streams exceeded"));
}

static int on_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    mux_conn *conn = user;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        we_reset(conn, frame->rst_stream.error_code);
    else if ((frame->hd.type == NGHTTP2_SETTINGS || frame->hd.type == NGHTTP2_PING) &&
             frame->hd.flags & NGHTTP2_FLAG_ACK && conn->calm.owed > 0)
        conn->calm.owed--;
    else if (frame->hd.type == NGHTTP2_GOAWAY)
        conn->stats->streams_refused += is_past_streams_max(&frame->goaway);
    /* The server's last word ends a call both ways; a client that is still talking is told so
     * without blame (doc/PROTOCOL-HTTP2.md; RFC 9113, 8.1). */
    if (conn->is_server && frame->hd.type == NGHTTP2_HEADERS &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        mux_stream *stream = stream_of(h2, frame->hd.stream_id);
        if (stream && !stream->remote_done &&
            nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                      NGHTTP2_NO_ERROR) != 0)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    /* Not sooner: nghttp2 lets a PING overtake what its answer shall prove to have arrived. */
    if (frame->hd.type == NGHTTP2_GOAWAY && conn->roll == MUX__NOTICE &&
        nghttp2_submit_ping(h2, NGHTTP2_FLAG_NONE, ROLL_PING) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static int on_frame_not_send(nghttp2_session *h2, const nghttp2_frame *frame, int error, void *user)
{
    (void)user;
    /* A request that cannot go is closed by nghttp2 itself. */
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat == NGHTTP2_HCAT_REQUEST ||
        error == NGHTTP2_ERR_STREAM_CLOSED || error == NGHTTP2_ERR_STREAM_CLOSING)
        return 0;
    mux_stream *stream = stream_of(h2, frame->hd.stream_id);
    if (stream) /* too long for a frame: without them the client would wait for ever */
        mux_stream_cancel(stream, CS_ETOOBIG);
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
    mux_stream *stream = stream_of(h2, id);
    bool end = false;
    if (!stream)
        return NGHTTP2_ERR_DEFERRED; /* given up; its RST_STREAM is on the way */
    size_t n = mux__stream_fill(stream, len < UINT16_MAX ? len : UINT16_MAX, &end);
    if (end && stream->is_server) {
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
    mux_stream *stream = stream_of(h2, frame->hd.stream_id);
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

/* ---- A session ------------------------------------------------------------------------------ */

static nghttp2_session_callbacks *callbacks_new(void)
{
    nghttp2_session_callbacks *cb;
    if (nghttp2_session_callbacks_new(&cb) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_before_frame_send_callback(cb, on_before_send);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_send);
    nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
    nghttp2_session_callbacks_set_send_callback(cb, send_bytes);
    return cb;
}

static nghttp2_option *options_new(void)
{
    nghttp2_option *o;
    if (nghttp2_option_new(&o) != 0)
        return NULL;
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1); /* else every finished stream stays in memory */
    /* nghttp2's own limiter ends a connection after 1,000 resets, good client or not: cancelling
     * is normal here. */
    nghttp2_option_set_stream_reset_rate_limit(o, UINT64_C(1) << 40, UINT64_C(1) << 30);
    nghttp2_option_set_max_continuations(o, SIZE_MAX); /* and its others are ours: calm.c */
    nghttp2_option_set_max_outbound_ack(o, SIZE_MAX);
    return o;
}

static int say_settings(mux_conn *conn)
{
    nghttp2_session *h2 = conn->h2;
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
         conn->is_server ? (uint32_t)conn->opt.streams_max : 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)conn->opt.window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)conn->opt.header_max_bytes},
        /* A server's equal streams take turns by RFC 9218, 10 (see mux__h2_answer), and the old
         * tree costs nothing.  A client's can be made equal in nghttp2 by the old tree alone. */
        {conn->is_server ? NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES : NGHTTP2_SETTINGS_ENABLE_PUSH,
         conn->is_server},
    };
    size_t n = sizeof entries / sizeof entries[0];
    int rv = nghttp2_submit_settings(h2, NGHTTP2_FLAG_NONE, entries, n);
    if (rv == 0)
        rv = nghttp2_session_set_local_window_size(h2, NGHTTP2_FLAG_NONE, 0, MUX__CONN_WINDOW);
    return rv;
}

cs_err mux__h2_new(mux_conn *conn)
{
    nghttp2_mem mem = {conn, mem_malloc, mem_free, mem_calloc, mem_realloc};
    nghttp2_session_callbacks *cb = callbacks_new();
    nghttp2_option *option = options_new();
    nghttp2_session *h2 = NULL;
    int rv = NGHTTP2_ERR_NOMEM;
    if (cb && option)
        rv = conn->is_server ? nghttp2_session_server_new3(&h2, cb, conn, option, &mem)
                             : nghttp2_session_client_new3(&h2, cb, conn, option, &mem);
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(option);
    if (rv != 0) {
        mem_settle(conn);
        return CS_ENOMEM;
    }
    conn->h2 = h2;
    mux__calm_begin(conn);
    if (say_settings(conn) == 0)
        return CS_OK;
    mux__h2_free(conn);
    return CS_ENOMEM;
}

void mux__h2_free(mux_conn *conn)
{
    nghttp2_session_del(conn->h2);
    conn->h2 = NULL;
    mem_settle(conn);
}

cs_err mux__h2_feed(mux_conn *conn, const uint8_t *bytes, size_t len)
{
    mem_settle(conn);
    if (conn->calm.cut)
        return CS_OK; /* until the peer has read why, and hangs up */
    ssize_t n = nghttp2_session_mem_recv(conn->h2, bytes, len);
    if (n == NGHTTP2_ERR_NOMEM)
        return CS_ENOMEM;
    if (n >= 0)
        mux__calm_feed(conn, bytes, len);
    return n < 0 ? CS_EPROTO : CS_OK;
}

cs_err mux__h2_fill(mux_conn *conn)
{
    mem_settle(conn);
    int rv = nghttp2_session_send(conn->h2);
    if (rv == 0)
        return CS_OK;
    return rv == NGHTTP2_ERR_NOMEM ? CS_ENOMEM : CS_EPROTO;
}

bool mux__h2_is_over(const mux_conn *conn)
{
    return !nghttp2_session_want_read(conn->h2) && !nghttp2_session_want_write(conn->h2);
}

bool mux__h2_has_more(const mux_conn *conn)
{
    return nghttp2_session_want_write(conn->h2);
}

uint32_t mux__h2_streams_max(const mux_conn *conn)
{
    return nghttp2_session_get_remote_settings(conn->h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

void mux__h2_ping(mux_conn *conn)
{
    nghttp2_submit_ping(conn->h2, NGHTTP2_FLAG_NONE, NULL);
}

void mux__h2_goodbye(mux_conn *conn)
{
    nghttp2_session_terminate_session(conn->h2, NGHTTP2_NO_ERROR);
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
    nvs_free(&nvs);
    return rv == 0 ? CS_OK : CS_ENOMEM;
}

cs_err mux__h2_trailers(mux_stream *stream, const struct mux__field *fields, size_t n)
{
    struct nvs nvs;
    if (!nvs_make(&nvs, fields, n))
        return CS_ENOMEM;
    int rv = nghttp2_submit_trailer(stream->conn->h2, stream->id, nvs.all, n);
    nvs_free(&nvs);
    return rv == 0 ? CS_OK : CS_ENOMEM;
}

/* For what the peer or a stream would wait for without end if it were not said.  Not here and now:
 * nghttp2 may be on the stack. */
static void must(mux_conn *conn, int rv)
{
    if (rv != NGHTTP2_ERR_NOMEM)
        return;
    conn->failed = true;
    cs_task_post(conn->loop, CS_FLUSH, &conn->flush);
}

void mux__h2_enough(mux_conn *conn, const char *why)
{
    must(conn, nghttp2_submit_goaway(conn->h2, NGHTTP2_FLAG_NONE,
                                     nghttp2_session_get_last_proc_stream_id(conn->h2),
                                     NGHTTP2_ENHANCE_YOUR_CALM, (const uint8_t *)why, strlen(why)));
}

void mux__h2_notice(mux_conn *conn)
{
    must(conn, nghttp2_submit_shutdown_notice(conn->h2)); /* the PING: on_frame_send */
}

uint32_t mux__h2_last(mux_conn *conn)
{
    int32_t id = nghttp2_session_get_last_proc_stream_id(conn->h2);
    must(conn, nghttp2_submit_goaway(conn->h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR, NULL, 0));
    return (uint32_t)id;
}

void mux__h2_resume(mux_stream *stream)
{
    nghttp2_data_provider provider = {{.ptr = stream}, read_data};

    if (!stream->mute) {
        must(stream->conn, nghttp2_session_resume_data(stream->conn->h2, stream->id));
        return;
    }
    if (stream->trailers_out)
        return;
    stream->mute = false;
    must(stream->conn,
         nghttp2_submit_data(stream->conn->h2, NGHTTP2_FLAG_END_STREAM, stream->id, &provider));
}

bool mux__h2_said_all(const mux_stream *stream)
{
    return nghttp2_session_get_stream_local_close(stream->conn->h2, stream->id) == 1;
}

void mux__h2_reset(mux_stream *stream, bool refused)
{
    if (stream->id > 0) /* else nobody was told of it yet */
        must(stream->conn,
             nghttp2_submit_rst_stream(stream->conn->h2, NGHTTP2_FLAG_NONE, stream->id,
                                       refused ? NGHTTP2_REFUSED_STREAM : NGHTTP2_CANCEL));
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
    must(stream->conn, nghttp2_session_consume_stream(stream->conn->h2, stream->id, n));
}

void mux__h2_grow(mux_stream *stream, int64_t window)
{
    must(stream->conn, nghttp2_session_set_local_window_size(stream->conn->h2, NGHTTP2_FLAG_NONE,
                                                             stream->id, (int32_t)window));
}

int64_t mux__h2_send_window(const mux_stream *stream)
{
    return nghttp2_session_get_stream_remote_window_size(stream->conn->h2, stream->id);
}
