/* grpc -- gRPC's spellings in headers and trailers: timeouts, percent-encoding, base64. */
#include "proto/status.h"

/* ---- grpc-timeout -------------------------------------------------------------------------- */

enum { TIMEOUT_DIGITS = 8 };
static const int64_t timeout_most = 99999999;

cs_err wire_timeout_parse(cs_bytes text, int64_t *ret_ms)
{
    const char *p = text.base;
    int64_t value = 0;

    if (text.len < 2 || text.len > TIMEOUT_DIGITS + 1)
        return CS_EINVAL;
    for (size_t i = 0; i < text.len - 1; i++) {
        if (p[i] < '0' || p[i] > '9')
            return CS_EINVAL;
        value = value * 10 + (p[i] - '0');
    }
    switch (p[text.len - 1]) {
    case 'H':
        *ret_ms = value * 3600000; /* eight digits: far from the end of an int64 */
        return CS_OK;
    case 'M':
        *ret_ms = value * 60000;
        return CS_OK;
    case 'S':
        *ret_ms = value * 1000;
        return CS_OK;
    case 'm':
        *ret_ms = value;
        return CS_OK;
    case 'u': /* rounded up: a short deadline is no reason to be dead on arrival */
        *ret_ms = (value + 999) / 1000;
        return CS_OK;
    case 'n':
        *ret_ms = (value + 999999) / 1000000;
        return CS_OK;
    default:
        return CS_EINVAL;
    }
}

size_t wire_timeout_format(char *to, int64_t ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'m', 1}, {'S', 1000}, {'M', 60000}, {'H', 3600000}};
    char digits[TIMEOUT_DIGITS];
    size_t n = 0, len = 0, u = 0;
    int64_t value = ms > 0 ? ms : 0;

    while (value > timeout_most && u < 3) {
        u++;
        value = ms / units[u].ms + (ms % units[u].ms != 0); /* the peer never gives up first */
    }
    if (value > timeout_most)
        value = timeout_most;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0)
        to[len++] = digits[--n];
    to[len++] = units[u].unit;
    to[len] = '\0';
    return len;
}

/* ---- grpc-message -------------------------------------------------------------------------- */

/* At most WIRE_MESSAGE_MAX bytes, and no half of a character.  What is not UTF-8 is cut where it
 * falls: a character has at most three bytes behind its first. */
static size_t message_cut(const uint8_t *p, size_t len)
{
    size_t cut = WIRE_MESSAGE_MAX;

    if (len <= WIRE_MESSAGE_MAX)
        return len;
    while (cut > WIRE_MESSAGE_MAX - 3 && (p[cut] & 0xc0) == 0x80)
        cut--;
    return (p[cut] & 0xc0) == 0x80 ? WIRE_MESSAGE_MAX : cut;
}

size_t wire_percent_encode(char *to, cs_bytes utf8)
{
    static const char hex[] = "0123456789ABCDEF";
    const uint8_t *p = utf8.base;
    size_t len = message_cut(p, utf8.len), n = 0;

    for (size_t i = 0; i < len; i++) {
        if (p[i] >= 0x20 && p[i] <= 0x7e && p[i] != '%') {
            to[n++] = (char)p[i];
        } else {
            to[n++] = '%';
            to[n++] = hex[p[i] >> 4];
            to[n++] = hex[p[i] & 15];
        }
    }
    return n;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

size_t wire_percent_decode(char *to, cs_bytes text)
{
    const char *p = text.base;
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        int high = -1, low = -1;

        if (p[i] == '%' && text.len - i > 2) {
            high = hex_value(p[i + 1]);
            low = hex_value(p[i + 2]);
        }
        if (high >= 0 && low >= 0) {
            to[n++] = (char)(uint8_t)(high << 4 | low);
            i += 2;
        } else {
            to[n++] = p[i];
        }
    }
    return n;
}

/* ---- "-bin" metadata ----------------------------------------------------------------------- */

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t wire_base64_len(size_t len)
{
    return len / 3 * 4 + (len % 3 == 0 ? 0 : len % 3 + 1);
}

size_t wire_base64_encode(char *to, cs_bytes bytes)
{
    const uint8_t *p = bytes.base;
    uint32_t bits = 0; /* the lowest `have` of them still wait */
    unsigned have = 0;
    size_t n = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | p[i];
        for (have += 8; have >= 6; have -= 6)
            to[n++] = base64[bits >> (have - 6) & 63];
    }
    if (have > 0)
        to[n++] = base64[bits << (6 - have) & 63];
    return n;
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

cs_err wire_base64_decode(uint8_t *to, cs_bytes text, size_t *ret_len)
{
    const uint8_t *p = text.base;
    size_t len = text.len, n = 0;
    uint32_t bits = 0;
    unsigned have = 0;

    if (len > 0 && len % 4 == 0 && p[len - 1] == '=')
        len -= p[len - 2] == '=' ? 2 : 1;
    if (len % 4 == 1)
        return CS_EINVAL; /* six bits are no byte */
    for (size_t i = 0; i < len; i++) {
        int value = base64_value(p[i]);

        if (value < 0)
            return CS_EINVAL;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            to[n++] = (uint8_t)(bits >> have);
        }
    }
    *ret_len = n;
    return CS_OK;
}
