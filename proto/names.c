/* names -- what may be written where the wire says text: service names, and UTF-8 at all. */
#include "proto/wire.h"
#include "proto/wire__field.h"

enum { SERVICE_NAME_MAX = 255 };

static bool name_byte_ok(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '/' || c == '-';
}

bool wire_service_name_ok(cs_bytes name)
{
    const uint8_t *p = name.base;

    if (name.len == 0 || name.len > SERVICE_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!name_byte_ok(p[i]))
            return false;
    }
    return true;
}

/* How many bytes the character at `p` has (RFC 3629: the shortest form, no surrogates, nothing
 * above U+10FFFF); 0 when it is none. */
static size_t utf8_len(const uint8_t *p, size_t n)
{
    uint8_t low = 0x80, high = 0xbf; /* what the second byte may be */
    size_t len;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    if (len > n || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

bool wire__text_ok(cs_bytes text)
{
    const uint8_t *p = text.base;
    size_t len;

    for (size_t i = 0; i < text.len; i += len) {
        len = utf8_len(p + i, text.len - i);
        if (len == 0 || p[i] == 0)
            return false;
    }
    return true;
}

void wire__text_copy(char *to, cs_bytes text)
{
    const uint8_t *p = text.base;
    size_t len;

    for (size_t i = 0; i < text.len; i += len) {
        len = utf8_len(p + i, text.len - i);
        if (len == 0 || p[i] == 0) {
            to[i] = '?';
            len = 1;
        } else {
            memcpy(to + i, p + i, len);
        }
    }
}
