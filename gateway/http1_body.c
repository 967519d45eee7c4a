/* http1_body -- bodies: a number of bytes, or chunks (RFC 9112, 7.1), of which the sizes are read as
 * narrowly as they are written. */
#include "gateway/http1__in.h"
#include "gateway/url__in.h"

static cs_err end(struct gateway__http1 *http1, struct gateway__http1_event *ret)
{
    http1->state = GATEWAY__BETWEEN;
    http1->ended = true;
    *ret = (struct gateway__http1_event){.kind = GATEWAY__HTTP1_END};
    return CS_OK;
}

/* What there is of the `left` bytes. */
static cs_err piece(struct gateway__http1 *http1, cs_bytes *in, struct gateway__http1_event *ret)
{
    size_t len = in->len < http1->left ? in->len : (size_t)http1->left;

    if (len == 0)
        return CS_AGAIN;
    *ret = (struct gateway__http1_event){.kind = GATEWAY__HTTP1_BODY,
                                         .piece = cs_bytes_of(in->base, len)};
    *in = cs_bytes_of((const uint8_t *)in->base + len, in->len - len);
    http1->left -= len;
    return CS_OK;
}

/* ---- Chunks ----------------------------------------------------------------------------------- */

/* Extensions are bounded in all: a body of small chunks must not hide as much of them as it likes. */
static cs_err extension(struct gateway__http1 *http1, const uint8_t *p, size_t len)
{
    if (len > 0 && p[0] != ';')
        return gateway__http1_refuse(http1, 400, "the size of a chunk is no number");
    for (size_t i = 0; i < len; i++)
        if ((p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f)
            return gateway__http1_refuse(http1, 400, "a control character behind a chunk's size");
    http1->extension += len;
    if (http1->extension > GATEWAY__EXTENSIONS_MAX)
        return gateway__http1_refuse(http1, 400, "too much behind the sizes of chunks");
    return CS_OK;
}

static cs_err chunk_size(struct gateway__http1 *http1, cs_bytes *in)
{
    enum { DIGITS_MAX = 16 };
    size_t len, n = 0;
    uint64_t size = 0;
    cs_err err = gateway__http1_line(http1, in, &http1->aside,
                                     DIGITS_MAX + GATEWAY__EXTENSIONS_MAX + 2, &len);

    if (err == CS_ETOOBIG)
        return gateway__http1_refuse(http1, 400, "too much behind the size of a chunk");
    if (err != CS_OK)
        return err;
    const uint8_t *p = http1->aside.base;
    for (; n < len && n < DIGITS_MAX && gateway__url_digit(p[n]) >= 0; n++)
        size = size << 4 | (uint64_t)gateway__url_digit(p[n]);
    if (n == 0)
        return gateway__http1_refuse(http1, 400, "the size of a chunk is no number");
    if ((err = extension(http1, p + n, len - n)) != CS_OK)
        return err;
    if (size > (uint64_t)http1->body_max - http1->taken)
        return gateway__http1_refuse(http1, 413, "the body is too long");
    http1->taken += size;
    http1->left = size;
    http1->aside.len = 0;
    http1->state = size > 0 ? GATEWAY__CHUNK : GATEWAY__TRAILERS;
    return CS_OK;
}

static cs_err chunk_end(struct gateway__http1 *http1, cs_bytes *in)
{
    size_t len;
    cs_err err = gateway__http1_line(http1, in, &http1->aside, 2, &len);

    if (err == CS_ETOOBIG || (err == CS_OK && len > 0))
        return gateway__http1_refuse(http1, 400, "a chunk is not as long as it says");
    http1->aside.len = err == CS_OK ? 0 : http1->aside.len;
    http1->state = err == CS_OK ? GATEWAY__CHUNK_SIZE : http1->state;
    return err;
}

/* CS_DONE: the empty line.  What the lines say is held to the rules, and forgotten. */
static cs_err trailer(struct gateway__http1 *http1, cs_bytes *in)
{
    struct gateway__span value;
    size_t len, name;
    cs_err err = gateway__http1_line(http1, in, &http1->aside, GATEWAY__TRAILERS_MAX, &len);

    if (err == CS_ETOOBIG)
        return gateway__http1_refuse(http1, 431, "the trailers are too long");
    if (err != CS_OK)
        return err;
    if (len == 0)
        return CS_DONE;
    err = gateway__http1_split(http1, http1->aside.base + http1->line, len, &name, &value);
    http1->line = http1->aside.len;
    return err;
}

/* ---- The machine ------------------------------------------------------------------------------ */

static cs_err chunked(struct gateway__http1 *http1, cs_bytes *in, struct gateway__http1_event *ret)
{
    cs_err err = CS_OK;

    while (err == CS_OK) {
        if (http1->state == GATEWAY__CHUNK_SIZE)
            err = chunk_size(http1, in);
        else if (http1->state == GATEWAY__CHUNK_END)
            err = chunk_end(http1, in);
        else if (http1->state == GATEWAY__TRAILERS)
            err = trailer(http1, in);
        else if (http1->left > 0)
            return piece(http1, in, ret);
        else
            http1->state = GATEWAY__CHUNK_END;
    }
    return err == CS_DONE ? end(http1, ret) : err;
}

cs_err gateway__http1_body(struct gateway__http1 *http1, cs_bytes *in,
                           struct gateway__http1_event *ret)
{
    if (http1->chunked)
        return chunked(http1, in, ret);
    return http1->left > 0 ? piece(http1, in, ret) : end(http1, ret);
}
