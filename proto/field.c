/* field -- see wire__field.h. */
#include "proto/wire__field.h"

/* How many bytes the value at `p` has, its length prefix (told in `ret_prefix`) included; 0 when
 * there is no such value. */
static size_t value_len(uint32_t type, const uint8_t *p, size_t n, size_t *ret_prefix)
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

cs_err wire__field_next_any(cs_bytes *rest, struct wire__field *ret)
{
    const uint8_t *p = rest->base;
    size_t tag_len, prefix = 0, len;
    uint64_t tag;

    tag_len = wire__varint_len(p, rest->len, 5);
    if (tag_len == 0)
        return CS_EPROTO;
    tag = wire__varint(p, tag_len);
    ret->number = (uint32_t)(tag >> 3);
    ret->type = tag & 7;
    if (ret->number == 0 && tag_len == 1)
        return CS_EPROTO;
    p += tag_len;
    len = value_len(ret->type, p, rest->len - tag_len, &prefix);
    if (len == 0)
        return CS_EPROTO;
    ret->raw = cs_bytes_of(p, len);
    ret->bytes = cs_bytes_of(p + prefix, len - prefix);
    *rest = cs_bytes_of(p + len, rest->len - tag_len - len);
    return CS_OK;
}
