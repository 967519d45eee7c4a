/* wire__field -- a cursor over the fields of a protobuf message as they stand in the bytes.
 *
 * Private to the room.  It takes and refuses exactly what protobuf-c 1.4 does (groups are
 * refused; field 0 is, unless spelt overlong; tags and lengths have at most five bytes), so that
 * whoever looked at the bytes with it has seen what protobuf-c will see.
 */
#ifndef WIRE__FIELD_H
#define WIRE__FIELD_H

#include "base/base.h"
#include "proto/wire.h"

#include <string.h>

enum { WIRE__VARINT = 0, WIRE__FIXED64 = 1, WIRE__BYTES = 2, WIRE__FIXED32 = 5 };
#define WIRE__TAG(number, type) ((number) << 3 | (type)) /* of a field below 16 */

struct wire__field {
    uint32_t number, type;
    cs_bytes raw;   /* everything behind the tag */
    cs_bytes bytes; /* WIRE__BYTES only: `raw` without its length */
};

/* How long the varint at `p` is; 0 when it does not end within `n` and `most` bytes. */
static inline size_t wire__varint_len(const uint8_t *p, size_t n, size_t most)
{
    if (n > 0 && p[0] < 0x80) /* as most are */
        return 1;
    for (size_t i = 1; i < n && i < most; i++) {
        if (p[i] < 0x80)
            return i + 1;
    }
    return 0;
}

/* The varint in these `n` bytes; bits above the 64th are lost, as protobuf says. */
static inline uint64_t wire__varint(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint64_t v = n > 0 ? p[0] & 0x7f : 0;
    for (size_t i = 1; i < n; i++)
        v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
    return v;
}

/* A varint of at most WIRE__FEW bytes, where so many can be read: what stands behind it; NULL: it is longer. */
enum { WIRE__FEW = 4 };
static inline const uint8_t *wire__few(const uint8_t *p, uint32_t *ret)
{
    uint32_t v = p[0];

    for (unsigned i = 1; *p++ >= 0x80; i++) {
        if (i == WIRE__FEW)
            return NULL;
        v += ((uint32_t)*p - 1) << (7 * i); /* 1: the bit that said that there is more */
    }
    *ret = v;
    return p;
}

/* wire__field_next() of any field there is. */
cs_err wire__field_next_any(cs_bytes *rest, struct wire__field *ret);

/* Takes the next field off the front: CS_OK, CS_DONE at the end, CS_EPROTO when what is left is
 * no field. */
static inline cs_err wire__field_next(cs_bytes *rest, struct wire__field *ret)
{
    const uint8_t *p = rest->base;
    const size_t n = rest->len;
    size_t len;

    if (n == 0)
        return CS_DONE;
    /* Nearly always the tag has one byte, and a length another one. */
    if (n < 2 || p[0] < 8 || p[0] >= 0x80)
        return wire__field_next_any(rest, ret);
    ret->number = p[0] >> 3;
    ret->type = p[0] & 7;
    if (ret->type == WIRE__VARINT && (len = wire__varint_len(p + 1, n - 1, WIRE_VARINT_MAX)) > 0) {
        ret->raw = ret->bytes = cs_bytes_of(p + 1, len);
        *rest = cs_bytes_of(p + 1 + len, n - 1 - len);
        return CS_OK;
    }
    len = p[1];
    if (ret->type != WIRE__BYTES || len >= 0x80 || len > n - 2)
        return wire__field_next_any(rest, ret);
    ret->raw = cs_bytes_of(p + 1, 1 + len);
    ret->bytes = cs_bytes_of(p + 2, len);
    *rest = cs_bytes_of(p + 2 + len, n - 2 - len);
    return CS_OK;
}

/* protobuf-c takes a bool of any wire type and looks at all its bytes; so do we. */
static inline bool wire__field_is_true(const struct wire__field *field)
{
    const uint8_t *p = field->raw.base;

    for (size_t i = 0; i < field->raw.len; i++) {
        if (p[i] & 0x7f)
            return true;
    }
    return false;
}

/* UTF-8 without a NUL. */
bool wire__text_ok(cs_bytes text);
/* Copies text.len bytes; a NUL and what is not UTF-8 become '?', so that the peer can take it. */
void wire__text_copy(char *to, cs_bytes text);

/* ---- A field of a known kind: CS_OK, or CS_EPROTO ------------------------------------------- */

static inline cs_err wire__take_u64(const struct wire__field *field, uint64_t *ret)
{
    if (field->type != WIRE__VARINT)
        return CS_EPROTO;
    *ret = wire__varint(field->raw.base, field->raw.len);
    return CS_OK;
}

static inline cs_err wire__take_u32(const struct wire__field *field, uint32_t *ret)
{
    if (field->type != WIRE__VARINT)
        return CS_EPROTO;
    *ret = (uint32_t)wire__varint(field->raw.base, field->raw.len);
    return CS_OK;
}

static inline cs_err wire__take_bytes(const struct wire__field *field, cs_bytes *ret)
{
    if (field->type != WIRE__BYTES)
        return CS_EPROTO;
    *ret = field->bytes;
    return CS_OK;
}

static inline cs_err wire__take_text(const struct wire__field *field, cs_bytes *ret)
{
    if (field->type != WIRE__BYTES || !wire__text_ok(field->bytes))
        return CS_EPROTO;
    *ret = field->bytes;
    return CS_OK;
}

/* ---- The straight way ------------------------------------------------------------------------
 *
 * Nearly all messages are as protobuf writes them: fields in order, each once, lengths of one byte.  Each
 * of these takes the field `number`, if it is what stands at `at`, and answers where the next one begins;
 * what it does not find or does not know it leaves where it is.  Who does not get to the end so has learnt
 * nothing, and begins again with wire__field_next(). */

static inline const uint8_t *wire__straight_u64(const uint8_t *at, const uint8_t *end,
                                                uint32_t number, uint64_t *ret)
{
    const uint8_t *p;
    uint64_t v;

    if (end - at < 2 || at[0] != WIRE__TAG(number, WIRE__VARINT))
        return at;
    p = at + 1;
    v = *p & 0x7f;
    for (unsigned shift = 7; *p >= 0x80; shift += 7) {
        if (++p == end || shift >= 7 * WIRE_VARINT_MAX)
            return at;
        v |= (uint64_t)(*p & 0x7f) << shift;
    }
    *ret = v;
    return p + 1;
}

static inline const uint8_t *wire__straight_u32(const uint8_t *at, const uint8_t *end,
                                                uint32_t number, uint32_t *ret)
{
    uint64_t v = *ret;

    at = wire__straight_u64(at, end, number, &v);
    *ret = (uint32_t)v;
    return at;
}

static inline const uint8_t *wire__straight_bytes(const uint8_t *at, const uint8_t *end,
                                                  uint32_t number, cs_bytes *ret)
{
    const size_t n = (size_t)(end - at);

    if (n < 2 || at[0] != WIRE__TAG(number, WIRE__BYTES) || at[1] >= 0x80 || at[1] > n - 2)
        return at;
    *ret = cs_bytes_of(at + 2, at[1]);
    return at + 2 + at[1];
}

/* Passes over fields of that number and of bytes that stand one behind the other, `most` of them; how many. */
static inline size_t wire__straight_pass(cs_bytes *msg, uint32_t number, size_t most)
{
    const uint8_t *at = msg->base, *next, *end;
    size_t n = 0;
    cs_bytes one;

    if (msg->len == 0)
        return 0;
    end = at + msg->len;
    while (n < most && (next = wire__straight_bytes(at, end, number, &one)) != at) {
        at = next;
        n++;
    }
    *msg = cs_bytes_of(at, (size_t)(end - at));
    return n;
}

/* ---- Fields as they are written: what is nothing is left out --------------------------------- */

static inline size_t wire__varint_room(uint64_t v)
{
    size_t n = 1;

    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static inline size_t wire__put_u64(uint8_t *to, uint32_t number, uint64_t value)
{
    if (value == 0)
        return 0;
    to[0] = (uint8_t)WIRE__TAG(number, WIRE__VARINT);
    return 1 + wire_varint_put(to + 1, value);
}

/* What stands in front of `len` bytes, which may be none. */
static inline size_t wire__put_head(uint8_t *to, uint32_t number, size_t len)
{
    to[0] = (uint8_t)WIRE__TAG(number, WIRE__BYTES);
    return 1 + wire_varint_put(to + 1, len);
}

static inline size_t wire__put_bytes(uint8_t *to, uint32_t number, cs_bytes bytes)
{
    size_t n;

    if (bytes.len == 0)
        return 0;
    n = wire__put_head(to, number, bytes.len);
    memcpy(to + n, bytes.base, bytes.len);
    return n + bytes.len;
}

/* The head of the `len` bytes that were written before it, two bytes behind `to`; answers the length of both. */
static inline size_t wire__put_around(uint8_t *to, uint32_t number, size_t len)
{
    if (len >= 0x80)
        memmove(to + 1 + wire__varint_room(len), to + 2, len);
    return wire__put_head(to, number, len) + len;
}

static inline size_t wire__len_u64(uint64_t value)
{
    return value ? 1 + wire__varint_room(value) : 0;
}

static inline size_t wire__len_head(size_t len)
{
    return 1 + wire__varint_room(len);
}

static inline size_t wire__len_bytes(size_t len)
{
    return len > 0 ? wire__len_head(len) + len : 0;
}

#endif
