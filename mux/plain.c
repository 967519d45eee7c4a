/* plain -- see foreign.h: a stream of HTTP/2 whose request is not gRPC's.
 *
 * It is a stream like others: its life, windows, queue and limits are theirs.  Here is what it says
 * around its body.  Whether a request is gRPC's is known behind the fields that a plain one needs, so
 * these are noted aside until then: a call of gRPC pays no allocation for them. */
#include "mux/mux__in.h"

#include <stdio.h>
#include <stdlib.h>

#define LITERAL(s)                                                                                 \
    {                                                                                              \
        "" s, sizeof s - 1                                                                         \
    }

enum { ASIDE_KEPT = 4096 }; /* of a connection, from one request to the next */

/* What gRPC has no use for; in any order. */
static const cs_bytes noted[] = {LITERAL(":method"),    LITERAL(":path"),
                                 LITERAL(":authority"), LITERAL(":scheme"),
                                 LITERAL("user-agent"), LITERAL("grpc-timeout")};
enum { NOTED = sizeof noted / sizeof noted[0] };

struct note {
    uint32_t which, len; /* and so many bytes */
};

/* ---- The request ------------------------------------------------------------------------------ */

cs_err mux__plain_note(mux_stream *stream, cs_bytes name, cs_bytes value)
{
    struct cs_buf *aside = &stream->conn->aside;
    struct note note = {0, (uint32_t)value.len};
    cs_err err;

    if (!stream->conn->handlers->plain)
        return CS_OK;
    while (note.which < NOTED && !cs_same(name, noted[note.which]))
        note.which++;
    if (note.which == NOTED)
        return CS_OK;
    if ((err = cs_buf_add(aside, cs_bytes_of(&note, sizeof note))) != CS_OK)
        return err;
    return cs_buf_add(aside, value);
}

static cs_err keep(struct mux__meta *meta, const struct cs_buf *aside)
{
    const char *at = (const char *)aside->base, *end = at + aside->len;
    cs_err err = CS_OK;

    while (at < end && err == CS_OK) {
        struct note note;

        memcpy(&note, at, sizeof note);
        at += sizeof note;
        err = mux__meta_add(meta, noted[note.which], cs_bytes_of(at, note.len));
        at += note.len;
    }
    return err;
}

/* Who sends no :authority means what stands in "host" (RFC 9113, 8.3.1). */
static cs_err name_authority(struct mux__meta *meta)
{
    cs_bytes value;

    if (mux__meta_get(meta, ":authority", &value) == CS_OK ||
        mux__meta_get(meta, "host", &value) != CS_OK)
        return CS_OK;
    return mux__meta_add(meta, cs_str(":authority"), value);
}

static cs_err begin(mux_stream *stream)
{
    struct mux__extra *extra = mux__stream_extra(stream);
    cs_err err;

    if (!extra)
        return CS_ENOMEM;
    stream->plain = true;
    stream->gzip_in = stream->gzip_out = stream->bad_coding = false;
    stream->has_timeout = stream->bad_timeout = false;
    cs_free(extra->story); /* it knows of no such method */
    extra->story = NULL;
    if ((err = mux__meta_make(&extra->headers)) != CS_OK ||
        (err = keep(extra->headers, &stream->conn->aside)) != CS_OK)
        return err;
    return name_authority(extra->headers);
}

/* What was kept as it came is gRPC's. */
static cs_err decode(mux_stream *stream)
{
    struct mux__extra *extra = mux__extra_of(stream);

    return extra ? mux__meta_decode(extra->headers) : CS_OK;
}

void mux__plain_begin(mux_stream *stream)
{
    mux_conn *conn = stream->conn;
    const bool plain = !conn->is_across && !stream->is_grpc && !stream->big_headers;

    if (conn->handlers->plain && (plain ? begin(stream) : decode(stream)) != CS_OK)
        mux_stream_cancel(stream, CS_ENOMEM);
    if (conn->aside.len > ASIDE_KEPT)
        cs_buf_fini(&conn->aside);
    conn->aside.len = 0;
}

/* ---- The answer ------------------------------------------------------------------------------- */

static const struct mux__meta *own(const mux_stream *stream, bool trailers)
{
    const struct mux__extra *extra = mux__extra_of(stream);

    if (!extra)
        return NULL;
    return trailers ? extra->own_trailers : extra->own_headers;
}

static bool has_trailers(const mux_stream *stream)
{
    return own(stream, true) != NULL;
}

/* As they are: no name means more than another. */
static void add_own(struct mux__fields *f, const struct mux__meta *meta)
{
    for (size_t i = 0; meta && i < meta->len; i++)
        mux__fields_add(f, meta->pairs[i].name, meta->pairs[i].value, false);
}

void mux__plain_answer(mux_stream *stream)
{
    const bool failed = stream->aborted;
    const bool end =
        failed || (stream->finished && mux__sendq_is_empty(&stream->out) && !has_trailers(stream));
    struct mux__fields f;
    char status[4];
    cs_err err;

    snprintf(status, sizeof status, "%u",
             failed                ? 500u
             : stream->http_status ? stream->http_status % 1000u
                                   : 200u);
    mux__fields_init(&f);
    mux__fields_add(&f, cs_str(":status"), cs_str(status), false);
    if (!failed)
        add_own(&f, own(stream, false));
    err = f.err == CS_OK ? mux__h2_answer(stream, f.all, f.len, end) : f.err;
    mux__fields_fini(&f);
    stream->submitted = true;
    stream->trailers_out = end;
    if (err != CS_OK)
        mux_stream_cancel(stream, err);
    mux__conn_flush_soon(stream->conn);
}

void mux__plain_trailers(mux_stream *stream)
{
    struct mux__fields f;
    cs_err err;

    if (stream->aborted) {
        stream->trailers_out = true;
        mux__h2_fail(stream);
        return;
    }
    if (!has_trailers(stream))
        return; /* the body ends with its last DATA: mux__plain_ends() */
    mux__fields_init(&f);
    add_own(&f, own(stream, true));
    err = f.err == CS_OK ? mux__h2_trailers(stream, f.all, f.len) : f.err;
    mux__fields_fini(&f);
    stream->trailers_out = true;
    if (err != CS_OK)
        mux_stream_cancel(stream, err);
}

bool mux__plain_ends(mux_stream *stream)
{
    if (!mux__is_raw(stream) || has_trailers(stream))
        return false;
    stream->trailers_out = true;
    return true;
}

/* ---- Fields that may be said ------------------------------------------------------------------ */

/* RFC 9113, 8.2: none in upper case, none of the connection's own. */
bool mux__plain_field_ok(cs_bytes name, cs_bytes value)
{
    static const cs_bytes taken[] = {LITERAL("connection"),       LITERAL("keep-alive"),
                                     LITERAL("proxy-connection"), LITERAL("transfer-encoding"),
                                     LITERAL("upgrade"),          LITERAL("te")};
    const uint8_t *n = name.base, *v = value.base;

    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (cs_same(name, taken[i]))
            return false;
    for (size_t i = 0; i < name.len; i++)
        if (!mux__is_token(n[i]) || (n[i] >= 'A' && n[i] <= 'Z'))
            return false;
    for (size_t i = 0; i < value.len; i++)
        if ((v[i] < ' ' && v[i] != '\t') || v[i] == 0x7f)
            return false;
    return name.len > 0 && (value.len == 0 || (v[0] > ' ' && v[value.len - 1] > ' '));
}

/* ---- From loop to loop ------------------------------------------------------------------------ */

/* A call of gRPC carries it (pass.c): each piece is a message, and each field of the answer's head is
 * metadata with this before its name, which is longer than any that gRPC would take for its own. */
const char mux__plain_method[] = "/chanserv.v1.Loop/Plain";
static const char WRAP[] = "chanserv-plain-";

cs_err mux__plain_wrap(mux_stream *stream, cs_bytes name, cs_bytes value)
{
    struct mux__extra *extra = mux__stream_extra(stream);
    const char *bare = name.base;
    cs_err err;
    char *wrapped;

    if (!extra)
        return CS_ENOMEM;
    if ((err = mux__meta_make(&extra->own_headers)) != CS_OK)
        return err;
    if (bare[0] == ':') /* no name begins so behind the wrap, nor otherwise with nothing */
        name = cs_bytes_of(bare + 1, name.len - 1);
    wrapped = cs_printf("%s%s%.*s", WRAP, bare[0] == ':' ? "" : "-", CS_FMT(name));
    err = wrapped ? mux__meta_add(extra->own_headers, cs_str(wrapped), value) : CS_ENOMEM;
    cs_free(wrapped);
    return err;
}

cs_err mux__plain_unwrap(mux_stream *near, const cs_pair *pair)
{
    const size_t len = sizeof WRAP - 1;
    const char *name = pair->name.base;

    if (pair->name.len <= len || memcmp(name, WRAP, len) != 0)
        return CS_ENOENT;
    if (name[len] == '-')
        return mux_stream_set_header(near, name + len + 1, pair->value);
    return mux_stream_respond(near, atoi(pair->value.base)); /* a NUL follows it */
}

/* ---- Its calls -------------------------------------------------------------------------------- */

void mux_handlers_set_plain(mux_handlers *handlers, mux_accept_fn *accept, void *user)
{
    handlers->plain = accept;
    handlers->plain_user = user;
}

bool mux_stream_is_plain(const mux_stream *stream)
{
    return stream->plain;
}

cs_err mux_stream_respond(mux_stream *stream, int status)
{
    if (!stream->plain || stream->submitted || stream->over || stream->http_status != 0 ||
        status < 200 || status > 599)
        return CS_EMISUSE;
    if (stream->framed) {
        char text[4];
        cs_err err;

        snprintf(text, sizeof text, "%u", (unsigned)status % 1000u);
        if ((err = mux__plain_wrap(stream, cs_str(":status"), cs_str(text))) != CS_OK)
            return err;
    }
    stream->http_status = (uint16_t)status;
    return CS_OK;
}
