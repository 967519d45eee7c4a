/* call -- how gRPC spells a request and its answer (doc/PROTOCOL-HTTP2.md of grpc/grpc). */
#include "mux/mux__in.h"

#define LITERAL(s)                                                                                 \
    {                                                                                              \
        "" s, sizeof s - 1                                                                         \
    }

static const cs_bytes METHOD = LITERAL(":method"), POST = LITERAL("POST");
static const cs_bytes SCHEME = LITERAL(":scheme"), HTTP = LITERAL("http"), HTTPS = LITERAL("https");
static const cs_bytes PATH = LITERAL(":path"), AUTHORITY = LITERAL(":authority");
static const cs_bytes TE = LITERAL("te"), TRAILERS = LITERAL("trailers");
static const cs_bytes TYPE = LITERAL("content-type"), GRPC = LITERAL("application/grpc");
static const cs_bytes AGENT = LITERAL("user-agent"), US = LITERAL("grpc-c-chanserv/0.1");
static const cs_bytes TIMEOUT = LITERAL("grpc-timeout");
static const cs_bytes CODING = LITERAL("grpc-encoding"), IDENTITY = LITERAL("identity");
static const cs_bytes GZIP = LITERAL("gzip"), CODINGS = LITERAL("grpc-accept-encoding");
static const cs_bytes ALL_CODINGS = LITERAL("identity,gzip");
static const cs_bytes STATUS = LITERAL(":status"), OK = LITERAL("200");
static const cs_bytes NOT_GRPC = LITERAL("415"), NOT_POST = LITERAL("405");
static const cs_bytes NOT_FOUND = LITERAL("404");
static const cs_bytes TOO_LARGE = LITERAL("431");
static const cs_bytes GRPC_STATUS = LITERAL("grpc-status");
static const cs_bytes GRPC_MESSAGE = LITERAL("grpc-message");
static const cs_bytes REASON = LITERAL("chanserv-reason");

static bool starts(cs_bytes b, const char *with)
{
    size_t n = strlen(with);
    return b.len >= n && memcmp(b.base, with, n) == 0;
}

/* "application/grpc", "application/grpc+proto", "application/grpc;..." */
static bool is_grpc(cs_bytes type)
{
    const char *rest = (const char *)type.base + GRPC.len;
    return starts(type, GRPC.base) && (type.len == GRPC.len || *rest == '+' || *rest == ';');
}

/* What gRPC and HTTP use themselves, and what nobody asks for. */
static bool is_ours(cs_bytes name)
{
    return starts(name, ":") || starts(name, "grpc-") || cs_same(name, TE) || cs_same(name, TYPE) ||
           cs_same(name, AGENT);
}

/* ---- A request: client's side --------------------------------------------------------------- */

cs_err mux__call_request(mux_stream *stream)
{
    struct mux__fields f;
    char timeout[16];
    cs_bytes authority = cs_str(stream->conn->authority);
    mux__fields_init(&f);
    mux__fields_add(&f, METHOD, POST, true);
    mux__fields_add(&f, SCHEME, stream->conn->front->tls ? HTTPS : HTTP, true);
    mux__fields_add(&f, PATH, cs_str(stream->what.method), true);
    mux__fields_add(&f, AUTHORITY, authority, true);
    mux__fields_add(&f, TE, TRAILERS, true);
    mux__fields_add(&f, TYPE, GRPC, true);
    mux__fields_add(&f, AGENT, US, true);
    if (mux__extra_of(stream) && mux__extra_of(stream)->deadline) {
        size_t n = wire_timeout_format(timeout, mux_stream_time_left_ms(stream));
        mux__fields_add(&f, TIMEOUT, cs_bytes_of(timeout, n), false);
    }
    if (stream->conn->opt.gzip) {
        mux__fields_add(&f, CODING, GZIP, true);
        mux__fields_add(&f, CODINGS, ALL_CODINGS, true);
    }
    if (mux__extra_of(stream))
        mux__fields_add_meta(&f, mux__extra_of(stream)->own_headers);
    cs_err err = f.err == CS_OK ? mux__h2_request(stream, f.all, f.len) : f.err;
    mux__fields_fini(&f);
    stream->submitted = err == CS_OK;
    return err;
}

enum { PAIR = 64 }; /* beside its bytes */

/* Metadata that arrives, of the headers or of the trailers. */
static cs_err keep(mux_stream *stream, bool trailer, cs_bytes name, cs_bytes value)
{
    struct mux__extra *extra = mux__stream_extra(stream);
    if (!extra)
        return CS_ENOMEM;
    struct mux__meta **meta = trailer ? &extra->trailers : &extra->headers;
    if (stream->is_server)
        mux__held_list(stream, PAIR + name.len + value.len);
    cs_err err = mux__meta_make(meta);
    if (err != CS_OK)
        return err;
    /* Of a request that may be plain the rest follows when that is known: mux__plain_begin(). */
    return stream->is_server && stream->conn->handlers->plain
               ? mux__meta_add(*meta, name, value)
               : mux__meta_add_wire(*meta, name, value);
}

/* "identity, gzip": is it in the list? */
static bool has_gzip(cs_bytes list)
{
    const char *p = list.base, *end = p + list.len;
    while (p < end) {
        const char *from = p += *p == ' ' || *p == ',';
        while (p < end && *p != ',' && *p != ' ')
            p++;
        if (cs_same(cs_bytes_of(from, (size_t)(p - from)), GZIP))
            return true;
    }
    return false;
}

/* ---- A request: server's side --------------------------------------------------------------- */

static cs_err timeout_header(mux_stream *stream, cs_bytes value)
{
    struct mux__extra *extra = mux__stream_extra(stream);
    if (!extra)
        return CS_ENOMEM;
    stream->bad_timeout = wire_timeout_parse(value, &extra->deadline_ms) != CS_OK;
    stream->has_timeout = !stream->bad_timeout;
    return CS_OK;
}

cs_err mux__call_request_header(mux_stream *stream, cs_bytes name, cs_bytes value)
{
    cs_err err = CS_OK;
    if (stream->remote_headers)
        return CS_OK; /* trailers of a request mean nothing to gRPC */
    if (cs_same(name, PATH)) {
        stream->plain = stream->framed =
            stream->conn->is_across && cs_same(value, cs_str(mux__plain_method));
        stream->what.handler = mux__handlers_find(stream->conn->handlers, value);
        if (!stream->what.handler && !stream->plain)
            mux__stream_tell(stream, "unknown method %.*s",
                             (int)(value.len < 200 ? value.len : 200), (const char *)value.base);
        return mux__plain_note(stream, name, value);
    } else if (cs_same(name, METHOD)) {
        stream->is_post = cs_same(value, POST);
        return mux__plain_note(stream, name, value);
    } else if (cs_same(name, TYPE)) {
        stream->is_grpc = is_grpc(value);
        return stream->is_grpc || !stream->conn->handlers->plain ? CS_OK
                                                                 : keep(stream, false, name, value);
    } else if (cs_same(name, CODING)) {
        stream->gzip_in = cs_same(value, GZIP);
        stream->bad_coding = !stream->gzip_in && !cs_same(value, IDENTITY);
    } else if (cs_same(name, CODINGS))
        stream->gzip_out = stream->conn->opt.gzip && has_gzip(value);
    else if (cs_same(name, TIMEOUT))
        err = timeout_header(stream, value);
    else if (!is_ours(name))
        return keep(stream, false, name, value);
    return err == CS_OK ? mux__plain_note(stream, name, value) : err;
}

static void answer_http(mux_stream *stream, cs_bytes status)
{
    const struct mux__field field = {STATUS, status, true};
    stream->conn->stats->bad_requests++;
    stream->submitted = stream->finished = stream->trailers_out = true;
    if (mux__h2_answer(stream, &field, 1, true) != CS_OK)
        mux_stream_cancel(stream, CS_ENOMEM);
    mux__conn_flush_soon(stream->conn);
}

static void refuse(mux_stream *stream, cs_err status, const char *message)
{
    stream->conn->stats->bad_requests++;
    mux_stream_finish(stream, status, message);
}

static bool is_refused(const mux_stream *stream)
{
    if (stream->plain)
        return false;
    return stream->big_headers || !stream->is_post || !stream->is_grpc || !stream->what.handler ||
           stream->bad_coding || stream->bad_timeout;
}

/* A refusal goes out once the request is here, for a second at most: an answer that ends the call while
 * its body still comes is followed by RST_STREAM(NO_ERROR), and on that clients lose it (curl 7.88; Envoy
 * before 2026).  What comes meanwhile is not kept. */
bool mux__call_waits(mux_stream *stream)
{
    enum {
        PATIENCE_MS = 1000,
        WAITS = 1024 /* bytes that it costs meanwhile */
    };
    if (stream->conn->is_across)
        return mux__pass_waits(stream);
    if (stream->over || stream->remote_done || stream->impatient || !is_refused(stream))
        return false;
    stream->drop_rx = true;
    if (mux__extra_of(stream) && mux__extra_of(stream)->deadline)
        return true;
    if (mux__held_is_full(stream->conn) || mux__stream_set_deadline(stream, PATIENCE_MS) != CS_OK)
        return false;
    mux__held_list(stream, WAITS);
    return true;
}

static cs_err begin_deadline(mux_stream *stream)
{
    return stream->has_timeout
               ? mux__stream_set_deadline(stream, mux__extra_of(stream)->deadline_ms)
               : CS_OK;
}

static void plain_ready(mux_stream *stream)
{
    mux_handlers *handlers = stream->conn->handlers;
    if (handlers->plain)
        handlers->plain(stream, handlers->plain_user);
    if (stream->accepted || stream->over)
        return;
    if (!stream->framed)
        answer_http(stream, NOT_FOUND);
    else if (mux_stream_respond(stream, 404) == CS_OK)
        mux_stream_finish(stream, CS_OK, NULL);
    else
        mux_stream_abort(stream, CS_ENOMEM, NULL);
}

/* RFC 9110, 15.5.16 and 15.5.6 for what is not gRPC; for gRPC always 200 and a status. */
void mux__call_request_ready(mux_stream *stream)
{
    if (stream->plain)
        plain_ready(stream);
    else if (stream->big_headers && stream->conn->handlers->plain && !stream->is_grpc)
        answer_http(stream, TOO_LARGE); /* RFC 6585, 5 */
    else if (stream->big_headers)
        refuse(stream, CS_ELIMIT, "the request has too many header fields");
    else if (!stream->is_post)
        answer_http(stream, NOT_POST);
    else if (!stream->is_grpc)
        answer_http(stream, NOT_GRPC);
    else if (!stream->what.handler)
        refuse(stream, CS_ENOTSUP, mux__story_of(stream));
    else if (stream->bad_coding)
        refuse(stream, CS_ENOTSUP, "grpc-encoding is identity or gzip");
    else if (stream->bad_timeout) {
        (void)mux__stream_reason(stream, WIRE_R_BAD_REQUEST);
        refuse(stream, CS_EINVAL, "grpc-timeout is at most 8 digits and one of H M S m u n");
    } else if (begin_deadline(stream) != CS_OK)
        refuse(stream, CS_ENOMEM, NULL);
    else if (mux__behalf_take(stream) != CS_OK)
        refuse(stream, CS_ENOMEM, NULL);
    else {
        stream->what.handler->accept(stream, stream->what.handler->user);
        if (!stream->accepted && stream->no_memory)
            refuse(stream, CS_ENOMEM, NULL);
        else if (!stream->accepted)
            refuse(stream, CS_ENOTSUP, "nobody took the call");
    }
}

/* ---- The answer: server's side -------------------------------------------------------------- */

/* grpc-status, grpc-message and the trailers set; what was copied lives with the fields. */
static void add_status(struct mux__fields *f, mux_stream *stream)
{
    static const char digits[17][3] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                       "9", "10", "11", "12", "13", "14", "15", "16"};
    uint32_t code = wire_code_of(stream->status);
    mux__fields_add(f, GRPC_STATUS, cs_str(digits[code <= 16 ? code : 2]), true);
    const char *story = mux__story_of(stream);
    if (code != 0 && story) {
        char *text = mux__fields_text(f, WIRE_MESSAGE_ENCODED_MAX);
        if (text)
            mux__fields_add(f, GRPC_MESSAGE,
                            cs_bytes_of(text, wire_percent_encode(text, cs_str(story))), false);
    }
    if (mux__extra_of(stream))
        mux__fields_add_meta(f, mux__extra_of(stream)->own_trailers);
    mux__pass_cut(stream, f);
}

void mux__call_answer(mux_stream *stream)
{
    bool trailers_only = stream->finished && mux__sendq_is_empty(&stream->out) &&
                         (!stream->framed || stream->aborted);
    struct mux__fields f;
    if (mux__is_raw(stream)) {
        mux__plain_answer(stream);
        return;
    }
    mux__fields_init(&f);
    mux__fields_add(&f, STATUS, OK, true);
    mux__fields_add(&f, TYPE, GRPC, true);
    if (stream->gzip_out && !trailers_only)
        mux__fields_add(&f, CODING, GZIP, true);
    if (mux__extra_of(stream))
        mux__fields_add_meta(&f, mux__extra_of(stream)->own_headers);
    if (trailers_only)
        add_status(&f, stream);
    if (stream->conn->opt.gzip || stream->bad_coding) /* doc/compression.md of grpc/grpc */
        mux__fields_add(&f, CODINGS, ALL_CODINGS, true);
    cs_err err = f.err == CS_OK ? mux__h2_answer(stream, f.all, f.len, trailers_only) : f.err;
    mux__fields_fini(&f);
    stream->submitted = true;
    stream->trailers_out = trailers_only;
    if (err != CS_OK)
        mux_stream_cancel(stream, err);
    mux__conn_flush_soon(stream->conn);
}

void mux__call_trailers(mux_stream *stream)
{
    struct mux__fields f;
    if (stream->trailers_out)
        return;
    if (mux__is_raw(stream)) {
        mux__plain_trailers(stream);
        return;
    }
    mux__fields_init(&f);
    add_status(&f, stream);
    cs_err err = f.err == CS_OK ? mux__h2_trailers(stream, f.all, f.len) : f.err;
    mux__fields_fini(&f);
    stream->trailers_out = true;
    if (err != CS_OK)
        mux_stream_cancel(stream, err); /* better a reset than an end that looks clean */
}

/* ---- The answer: client's side -------------------------------------------------------------- */

static bool number(cs_bytes text, uint32_t *ret)
{
    uint32_t v = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = ((const char *)text.base)[i];
        if (c < '0' || c > '9' || v > 100000)
            return false;
        v = v * 10 + (uint32_t)(c - '0');
    }
    *ret = v;
    return text.len > 0;
}

cs_err mux__call_answer_header(mux_stream *stream, cs_bytes name, cs_bytes value)
{
    if (cs_same(name, STATUS)) {
        uint32_t status;
        stream->http_status = number(value, &status) && status < 1000 ? (uint16_t)status : 0;
    } else if (cs_same(name, GRPC_STATUS)) {
        stream->has_status = true;
        uint32_t status;
        if (!number(value, &status) || status > UINT8_MAX)
            status = 2; /* UNKNOWN, as gRPC's clients do */
        stream->peer_status = (uint8_t)status;
    } else if (cs_same(name, GRPC_MESSAGE)) {
        struct mux__extra *extra = mux__stream_extra(stream);
        char *text = extra ? cs_bytesdup(value) : NULL;
        if (!text)
            return CS_ENOMEM;
        text[wire_percent_decode(text, cs_bytes_of(text, value.len))] = 0;
        cs_free(extra->story);
        extra->story = text;
    } else if (cs_same(name, CODING))
        stream->gzip_in = cs_same(value, GZIP); /* of any other, what is compressed is no sense */
    else if (!is_ours(name) && stream->remote_headers)
        return keep(stream, true, name, value);
    else if (!is_ours(
                 name)) /* of a Trailers-Only answer they are trailers: mux__call_answer_begins() */
        return keep(stream, false, name, value);
    return CS_OK;
}

static void forget_status(mux_stream *stream)
{
    struct mux__extra *extra = mux__extra_of(stream);
    if (extra) {
        cs_free(extra->story);
        extra->story = NULL;
    }
    stream->has_status = false;
}

/* The fields of a Trailers-Only answer are its trailers.  Of any other first HEADERS a status is not
 * the end of the call, and of an informational one nothing is meant for us. */
void mux__call_answer_begins(mux_stream *stream, bool last)
{
    struct mux__extra *extra = mux__extra_of(stream);
    stream->bare = last;
    if (stream->http_status >= 100 && stream->http_status < 200) {
        mux_stream_drop_headers(stream);
        forget_status(stream);
    } else if (!last)
        forget_status(stream);
    else if (extra && stream->has_status) {
        extra->trailers = extra->headers;
        extra->headers = NULL;
    }
}

void mux__call_ended(mux_stream *stream)
{
    cs_bytes token = {"", 0};
    cs_err why = CS_EPROTO;
    if (stream->over)
        return;
    struct mux__extra *extra = mux__extra_of(stream);
    if (extra)
        (void)mux__meta_get(extra->trailers, REASON.base, &token);
    if (stream->has_status) {
        why = wire_err_of(stream->peer_status, token);
        const char *words = mux__story_of(stream);
        if (cs_failed(why))
            mux__stream_tell(stream, "%s: %s", wire_code_name(stream->peer_status),
                             words && *words ? words : cs_strerror(why));
    } else if (stream->http_status != 200) {
        why = wire_err_of_http(stream->http_status);
        mux__stream_tell(stream, "the server answered HTTP status %u", stream->http_status);
    } else
        mux__stream_tell(stream, "the stream ended without a status");
    /* A server's last word ends the call both ways. */
    if (!mux__h2_said_all(stream)) {
        mux__h2_reset(stream, false);
        mux__conn_flush_soon(stream->conn);
    }
    if (stream->has_status && !mux__lasting_again(stream, why))
        mux__stream_over(stream, why, NULL);
    else
        mux__stream_broken(stream, why, NULL);
}

void mux__call_reset(mux_stream *stream, uint32_t h2_error)
{
    enum { REFUSED = 7 };
    static const char *const names[] = {"NO_ERROR",
                                        "PROTOCOL_ERROR",
                                        "INTERNAL_ERROR",
                                        "FLOW_CONTROL_ERROR",
                                        "SETTINGS_TIMEOUT",
                                        "STREAM_CLOSED",
                                        "FRAME_SIZE_ERROR",
                                        "REFUSED_STREAM",
                                        "CANCEL",
                                        "COMPRESSION_ERROR",
                                        "CONNECT_ERROR",
                                        "ENHANCE_YOUR_CALM",
                                        "INADEQUATE_SECURITY",
                                        "HTTP_1_1_REQUIRED"};
    stream->refused = h2_error == REFUSED;
    if (stream->conn->goaway && stream->refused) {
        mux__stream_broken(stream, CS_EDRAIN, "the server is going away");
        return;
    }
    if (stream->refused)
        mux__stream_tell(stream,
                         "the server refused the stream and did not run it: REFUSED_STREAM");
    else
        mux__stream_tell(stream, "the server reset the stream: %s",
                         h2_error < sizeof names / sizeof names[0] ? names[h2_error]
                                                                   : "an unknown code");
    mux__stream_broken(stream, wire_err_of_rst(h2_error), NULL);
}
