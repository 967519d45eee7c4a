/* json -- see json.h.  The stream's error flag is the answer of everything here. */
#include "tools/json.h"

size_t json_utf8_len(cs_bytes b)
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

bool json_is_utf8(cs_bytes b)
{
    while (b.len > 0) {
        size_t n = json_utf8_len(b);
        if (n == 0)
            return false;
        b = behind(b, n);
    }
    return true;
}

/* One character of ASCII, escaped if JSON (RFC 8259, 7) wants it so. */
static void put_ascii(FILE *to, uint8_t c)
{
    static const char *const shorts[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};

    if (c == '"' || c == '\\') {
        putc('\\', to);
        putc(c, to);
    } else if (c < sizeof shorts / sizeof *shorts && shorts[c]) {
        fputs(shorts[c], to);
    } else if (c < 0x20 || c == 0x7f) {
        fprintf(to, "\\u%04x", c);
    } else {
        putc(c, to);
    }
}

void json_put_string(FILE *to, cs_bytes text)
{
    putc('"', to);
    while (text.len > 0) {
        size_t n = json_utf8_len(text);
        if (n == 1)
            put_ascii(to, *(const uint8_t *)text.base);
        else if (n == 0)
            fputs("\\ufffd", to);
        else
            fwrite(text.base, 1, n, to);
        text = behind(text, n ? n : 1);
    }
    putc('"', to);
}

void json_put_base64(FILE *to, cs_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = bytes.base;

    putc('"', to);
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t three = (uint32_t)p[i] << 16;
        if (left > 1)
            three |= (uint32_t)p[i + 1] << 8;
        if (left > 2)
            three |= p[i + 2];
        putc(digits[three >> 18], to);
        putc(digits[three >> 12 & 63], to);
        putc(left > 1 ? digits[three >> 6 & 63] : '=', to);
        putc(left > 2 ? digits[three & 63] : '=', to);
    }
    putc('"', to);
}

void json_put_member(FILE *to, const char *name, cs_bytes value)
{
    bool is_text = json_is_utf8(value);

    if (is_text)
        fprintf(to, "\"%s\":", name);
    else if (strcmp(name, "text") == 0)
        fputs("\"base64\":", to);
    else
        fprintf(to, "\"%s_base64\":", name);
    if (is_text)
        json_put_string(to, value);
    else
        json_put_base64(to, value);
}
