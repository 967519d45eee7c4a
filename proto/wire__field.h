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

/* How many bytes the value at `p` has, its length prefix (told in `ret_prefix`) included; 0 when
 * there is no such value. */
static inline size_t wire__value_len(uint32_t type, const uint8_t *p, size_t n, size_t *ret_prefix)
{
    uint64_t len;

    switch (type) {
    case WIRE__VARINT:
        return wire__varint_len(p, n, WIRE_VARINT_MAX);
    case WIRE__FIXED64:
        return n < 8 ? 0 : 8;
    case WIRE__FIXED32:
        return n < 4 ? 0 : 4;
    case WIRE__BYTES:
        *ret_prefix = wire__varint_len(p, n, 5);
        len = wire__varint(p, *ret_prefix);
        if (*ret_prefix == 0 || len > n - *ret_prefix)
            return 0;
        return *ret_prefix + (size_t)len;
    default:
        return 0;
    }
}

/* Takes the next field off the front: CS_OK, CS_DONE at the end, CS_EPROTO when what is left is
 * no field. */
static inline cs_err wire__field_next(cs_bytes *rest, struct wire__field *ret)
{
    const uint8_t *p = rest->base;
    size_t tag_len, prefix = 0, len;
    uint64_t tag;

    if (rest->len == 0)
        return CS_DONE;
    tag_len = wire__varint_len(p, rest->len, 5);
    if (tag_len == 0)
        return CS_EPROTO;
    tag = wire__varint(p, tag_len);
    ret->number = (uint32_t)(tag >> 3);
    ret->type = tag & 7;
    if (ret->number == 0 && tag_len == 1)
        return CS_EPROTO;
    p += tag_len;
    len = wire__value_len(ret->type, p, rest->len - tag_len, &prefix);
    if (len == 0)
        return CS_EPROTO;
    ret->raw = cs_bytes_of(p, len);
    ret->bytes = cs_bytes_of(p + prefix, len - prefix);
    *rest = cs_bytes_of(p + len, rest->len - tag_len - len);
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
    to[0] = (uint8_t)(number << 3 | WIRE__VARINT);
    return 1 + wire_varint_put(to + 1, value);
}

/* What stands in front of `len` bytes, which may be none. */
static inline size_t wire__put_head(uint8_t *to, uint32_t number, size_t len)
{
    to[0] = (uint8_t)(number << 3 | WIRE__BYTES);
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
