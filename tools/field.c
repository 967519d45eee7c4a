/* field -- see field.h. */
#include "tools/field.h"

static bool take(cs_bytes *rest, uint64_t len, cs_bytes *ret)
{
    if (len > rest->len)
        return false;
    *ret = cs_bytes_of(rest->base, (size_t)len);
    *rest = cs_bytes_of((const uint8_t *)rest->base + len, rest->len - (size_t)len);
    return true;
}

static bool take_varint(cs_bytes *rest, uint64_t *ret)
{
    cs_bytes one;

    *ret = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (!take(rest, 1, &one))
            return false;
        *ret |= (uint64_t)(*(const uint8_t *)one.base & 0x7f) << shift;
        if (*(const uint8_t *)one.base < 0x80)
            return true;
    }
    return false;
}

bool field_next(cs_bytes *rest, struct field *ret)
{
    uint64_t key;

    if (!take_varint(rest, &key))
        return false;
    ret->number = key >> 3;
    ret->type = key & 7;
    ret->value = 0;
    switch (ret->type) {
    case FIELD_VARINT:
        return take_varint(rest, &ret->value);
    case FIELD_FIXED64:
        return take(rest, 8, &ret->bytes);
    case FIELD_BYTES:
        return take_varint(rest, &ret->value) && take(rest, ret->value, &ret->bytes);
    case FIELD_FIXED32:
        return take(rest, 4, &ret->bytes);
    default:
        return false;
    }
}
