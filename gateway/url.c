#include "gateway/url__in.h"

/* ---- Escapes ---------------------------------------------------------------------------------- */

int gateway__url_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of the escape at the front of `text`; negative: it is none. */
static int escaped(const char *text, size_t len)
{
    int high = len > 2 ? gateway__url_digit((uint8_t)text[1]) : -1,
        low = len > 2 ? gateway__url_digit((uint8_t)text[2]) : -1;

    return high < 0 || low < 0 || (high == 0 && low == 0) ? -1 : high << 4 | low;
}

static cs_err decode(cs_bytes text, char space, const char *never, char *to, cs_bytes *ret)
{
    const char *from = text.base;
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        int c = from[i];
        if (c == '%') {
            if ((c = escaped(from + i, text.len - i)) < 0 || strchr(never, c))
                return CS_EINVAL;
            i += 2;
        } else if (c == '\0')
            return CS_EINVAL;
        else if (c == '+')
            c = space;
        to[n++] = (char)c;
    }
    *ret = cs_bytes_of(to, n);
    return CS_OK;
}

cs_err gateway__url_decode(cs_bytes text, char *to, cs_bytes *ret)
{
    return decode(text, '+', "", to, ret);
}

size_t gateway__url_wrong(cs_bytes text)
{
    const char *at = text.base;
    size_t i = 0;

    while (i < text.len && at[i] && (at[i] != '%' || escaped(at + i, text.len - i) >= 0))
        i++;
    return i;
}

/* ---- Paths and forms -------------------------------------------------------------------------- */

static bool is_dots(const char *segment, size_t len)
{
    return (len == 1 || len == 2) && memcmp(segment, "..", len) == 0;
}

cs_err gateway__url_path(cs_bytes path, char *to, cs_bytes *ret)
{
    cs_bytes plain;
    cs_err err = decode(path, '+', "/", to, &plain);

    if (err != CS_OK || plain.len == 0 || to[0] != '/' || memchr(to, '\\', plain.len))
        return CS_EINVAL;
    for (size_t at = 1, i = 1; i <= plain.len; i++) {
        if (i < plain.len && to[i] != '/')
            continue;
        if (is_dots(to + at, i - at))
            return CS_EINVAL;
        at = i + 1;
    }
    *ret = plain;
    return CS_OK;
}

cs_err gateway__url_form_next(cs_bytes *rest, char **to, cs_pair *ret)
{
    const char *from = rest->base, *end, *cut;
    cs_pair pair = {.value = {.len = 0}};
    cs_err err;

    while (rest->len > 0 && *from == '&')
        *rest = cs_bytes_of(++from, rest->len - 1);
    if (rest->len == 0)
        return CS_DONE;
    end = memchr(from, '&', rest->len);
    end = end ? end : from + rest->len;
    cut = memchr(from, '=', (size_t)(end - from));
    cut = cut ? cut : end;
    err = decode(cs_bytes_of(from, (size_t)(cut - from)), ' ', "", *to, &pair.name);
    if (err != CS_OK)
        return err;
    *to += pair.name.len;
    if (cut < end)
        err = decode(cs_bytes_of(cut + 1, (size_t)(end - cut - 1)), ' ', "", *to, &pair.value);
    if (err != CS_OK)
        return err;
    *to += pair.value.len;
    *rest = cs_bytes_of(end, rest->len - (size_t)(end - from));
    *ret = pair;
    return CS_OK;
}

/* ---- Hosts ------------------------------------------------------------------------------------ */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_letter(p[i]) && !(p[i] >= '0' && p[i] <= '9') && !(p[i] && strchr("-_.", p[i])))
            return false;
    return len > 0 && len <= 255;
}

/* "[...]": nobody is dialed by it, so its letters are enough. */
static bool is_v6(const char *p, size_t len)
{
    bool colon = false;

    for (size_t i = 1; i + 1 < len; i++) {
        colon = colon || p[i] == ':';
        if (gateway__url_digit((uint8_t)p[i]) < 0 && p[i] != ':' && p[i] != '.')
            return false;
    }
    return colon && len <= 47; /* as long as INET6_ADDRSTRLEN, and the brackets */
}

/* 0: it is none. */
static int port_of(const char *p, size_t len)
{
    int port = 0;

    for (size_t i = 0; i < len && len <= 5; i++) {
        if (p[i] < '0' || p[i] > '9')
            return 0;
        port = port * 10 + p[i] - '0';
    }
    return port > 65535 ? 0 : port;
}

bool gateway__url_host(cs_bytes authority, cs_bytes *ret_host, int *ret_port)
{
    const char *p = authority.base, *close = NULL;
    size_t len = authority.len, cut = 0;
    int port = 0;

    if (len > 0 && p[0] == '[') {
        if (!(close = memchr(p, ']', len)) || !is_v6(p, (size_t)(close - p) + 1))
            return false;
        cut = (size_t)(close - p) + 1;
    } else {
        while (cut < len && p[cut] != ':')
            cut++;
        if (!is_name(p, cut))
            return false;
    }
    if (cut < len && (p[cut] != ':' || (port = port_of(p + cut + 1, len - cut - 1)) == 0))
        return false;
    *ret_host = cs_bytes_of(p, cut);
    *ret_port = port;
    return true;
}
