/* json -- see json.h. */
#include "gateway/json.h"
#include "proto/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

size_t gateway_utf8_len(cs_bytes b)
{
    const uint8_t *p = b.base;
    uint32_t c;
    size_t n;

    if (b.len == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || b.len < n)
        return 0;
    c = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff ||
        (c >= 0xd800 && c <= 0xdfff))
        return 0;
    return n;
}

static cs_bytes behind(cs_bytes b, size_t n)
{
    return cs_bytes_of((const char *)b.base + n, b.len - n);
}

bool gateway_is_utf8(cs_bytes b)
{
    while (b.len > 0) {
        size_t n = gateway_utf8_len(b);
        if (n == 0)
            return false;
        b = behind(b, n);
    }
    return true;
}

static void put_words(gateway_put_fn *put, void *to, const char *words)
{
    put(to, words, strlen(words));
}

void gateway_json_format(gateway_put_fn *put, void *to, const char *format, ...)
{
    char text[128];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_words(put, to, text);
}

/* ---- Strings ------------------------------------------------------------------------------------- */

/* How JSON (RFC 8259, 7) wants a character of ASCII; NULL: as it is. */
static const char *escape(uint8_t c, char to[7])
{
    static const char *const shorts[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};

    if (c == '"')
        return "\\\"";
    if (c == '\\')
        return "\\\\";
    if (c < sizeof shorts / sizeof *shorts && shorts[c])
        return shorts[c];
    if (c >= 0x20 && c != 0x7f)
        return NULL;
    snprintf(to, 7, "\\u%04x", c);
    return to;
}

/* What stands as it is goes in one piece. */
void gateway_json_string(gateway_put_fn *put, void *to, cs_bytes text)
{
    const char *plain = text.base;
    char room[7];

    put(to, "\"", 1);
    while (text.len > 0) {
        const char *at = text.base;
        const size_t n = gateway_utf8_len(text);
        const char *instead = n == 0 ? "\\ufffd" : n == 1 ? escape((uint8_t)*at, room) : NULL;

        text = behind(text, n ? n : 1);
        if (!instead)
            continue;
        if (at > plain)
            put(to, plain, (size_t)(at - plain));
        put_words(put, to, instead);
        plain = text.base;
    }
    if ((const char *)text.base > plain)
        put(to, plain, (size_t)((const char *)text.base - plain));
    put(to, "\"", 1);
}

void gateway_json_base64(gateway_put_fn *put, void *to, cs_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = bytes.base;
    char text[256];
    size_t n = 0;

    put(to, "\"", 1);
    for (size_t i = 0; i < bytes.len; i += 3) {
        const size_t left = bytes.len - i;
        uint32_t three = (uint32_t)p[i] << 16;

        if (left > 1)
            three |= (uint32_t)p[i + 1] << 8;
        if (left > 2)
            three |= p[i + 2];
        text[n++] = digits[three >> 18];
        text[n++] = digits[three >> 12 & 63];
        text[n++] = left > 1 ? digits[three >> 6 & 63] : '=';
        text[n++] = left > 2 ? digits[three & 63] : '=';
        if (n == sizeof text || left <= 3) {
            put(to, text, n);
            n = 0;
        }
    }
    put(to, "\"", 1);
}

void gateway_json_member(gateway_put_fn *put, void *to, const char *name, cs_bytes value)
{
    const bool is_text = gateway_is_utf8(value);

    put(to, "\"", 1);
    if (is_text || strcmp(name, "text") != 0)
        put_words(put, to, name);
    if (!is_text)
        put_words(put, to, strcmp(name, "text") == 0 ? "base64" : "_base64");
    put(to, "\":", 2);
    if (is_text)
        gateway_json_string(put, to, value);
    else
        gateway_json_base64(put, to, value);
}

/* ---- Lines ---------------------------------------------------------------------------------------- */

static void begin(gateway_put_fn *put, void *to, const char *kind, int64_t source)
{
    gateway_json_format(put, to, "{\"%s\":{", kind);
    if (source != CS_OFF)
        gateway_json_format(put, to, "\"source\":%" PRId64 ",", source);
}

void gateway_json_announce(gateway_put_fn *put, void *to, int64_t source, cs_bytes header,
                           const char *url)
{
    begin(put, to, "announce", source);
    gateway_json_member(put, to, "header", header);
    if (url) {
        put_words(put, to, ",\"url\":");
        gateway_json_string(put, to, cs_str(url));
    }
    put(to, "}}", 2);
}

void gateway_json_frame(gateway_put_fn *put, void *to, int64_t source, uint64_t seq, cs_bytes frame)
{
    begin(put, to, "frame", source);
    gateway_json_format(put, to, "\"seq\":%" PRIu64 ",", seq);
    gateway_json_member(put, to, "text", frame);
    put(to, "}}", 2);
}

void gateway_json_gap(gateway_put_fn *put, void *to, int64_t source, uint64_t count)
{
    begin(put, to, "gap", source);
    gateway_json_format(put, to, "\"count\":%" PRIu64 "}}", count);
}

void gateway_json_end(gateway_put_fn *put, void *to, int64_t source, cs_err why, const char *words)
{
    begin(put, to, "end", source);
    gateway_json_format(put, to, "\"code\":\"%s\"", wire_code_name(wire_code_of(why)));
    if (cs_failed(why) && words[0]) {
        put_words(put, to, ",\"message\":");
        gateway_json_string(put, to, cs_str(words));
    }
    put(to, "}}", 2);
}
