/* read -- see read.h. */
#include "services/rendezvous/read.h"

#include "gateway/json.h"

#include <stdlib.h>

cs_err rendezvous__read_wrong(struct rendezvous__reader *r, const char *what)
{
    snprintf(r->why, RENDEZVOUS__WHY, "JSON, column %zu: %s", (size_t)(r->at - r->start) + 1, what);
    return CS_EINVAL;
}

static void skip_blanks(struct rendezvous__reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\r' || *r->at == '\n'))
        r->at++;
}

bool rendezvous__read_sign(struct rendezvous__reader *r, char c)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool read_hex(struct rendezvous__reader *r, unsigned *ret)
{
    unsigned x = 0;

    if (r->end - r->at < 4)
        return false;
    for (int i = 0; i < 4; i++, r->at++) {
        const char c = *r->at;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return false;
        x = x << 4 | (unsigned)digit;
    }
    *ret = x;
    return true;
}

static void put_utf8(struct rendezvous__reader *r, unsigned x)
{
    static const struct {
        unsigned below, lead;
        int more;
    } rows[] = {{0x80, 0, 0}, {0x800, 0xc0, 1}, {0x10000, 0xe0, 2}, {0x110000, 0xf0, 3}};
    int row = 0;

    while (x >= rows[row].below)
        row++;
    *r->to++ = (char)(rows[row].lead | x >> 6 * rows[row].more);
    for (int i = rows[row].more - 1; i >= 0; i--)
        *r->to++ = (char)(0x80 | (x >> 6 * i & 0x3f));
}

/* Behind "\u"; of a pair the second half follows. */
static bool read_escape(struct rendezvous__reader *r)
{
    unsigned x, low;

    if (!read_hex(r, &x) || (x >= 0xdc00 && x < 0xe000))
        return false;
    if (x >= 0xd800 && x < 0xdc00) {
        if (r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u')
            return false;
        r->at += 2;
        if (!read_hex(r, &low) || low < 0xdc00 || low >= 0xe000)
            return false;
        x = 0x10000 + ((x - 0xd800) << 10) + (low - 0xdc00);
    }
    put_utf8(r, x);
    return true;
}

static bool read_char(struct rendezvous__reader *r)
{
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    const char *name;
    size_t len;

    if (*r->at != '\\') {
        len = (unsigned char)*r->at < 0x20
                  ? 0
                  : gateway_utf8_len(cs_bytes_of(r->at, (size_t)(r->end - r->at)));
        memcpy(r->to, r->at, len);
        r->to += len;
        r->at += len;
        return len > 0;
    }
    if (++r->at == r->end)
        return false;
    if (*r->at == 'u') {
        r->at++;
        return read_escape(r);
    }
    if (*r->at == '\0' || !(name = strchr(names, *r->at)))
        return false;
    r->at++;
    *r->to++ = means[name - names];
    return true;
}

cs_err rendezvous__read_string(struct rendezvous__reader *r, cs_bytes *ret)
{
    const char *from = r->to;

    if (!rendezvous__read_sign(r, '"'))
        return rendezvous__read_wrong(r, "expected a string");
    while (r->at < r->end && *r->at != '"')
        if (!read_char(r))
            return rendezvous__read_wrong(r, "no character of JSON, or no UTF-8");
    if (r->at == r->end)
        return rendezvous__read_wrong(r, "the string does not end");
    r->at++;
    *ret = cs_bytes_of(from, (size_t)(r->to - from));
    return CS_OK;
}

static bool take_word(struct rendezvous__reader *r, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return false;
    r->at += len;
    return true;
}

cs_err rendezvous__read_value(struct rendezvous__reader *r, struct rendezvous__value *ret)
{
    const char *from;
    size_t len;

    skip_blanks(r);
    if (r->at < r->end && *r->at == '"') {
        ret->kind = RENDEZVOUS__TEXT;
        return rendezvous__read_string(r, &ret->text);
    }
    ret->kind = RENDEZVOUS__TRUTH;
    if ((ret->number = take_word(r, "true")) || take_word(r, "false"))
        return CS_OK;
    ret->kind = RENDEZVOUS__NUMBER;
    from = r->at;
    while (r->at < r->end && (*r->at == '-' || (*r->at >= '0' && *r->at <= '9')))
        r->at++;
    len = (size_t)(r->at - from);
    if (!rendezvous__integer(cs_bytes_of(from, len), &ret->number))
        return rendezvous__read_wrong(r, "expected a string, an integer, true or false");
    return CS_OK;
}

char *rendezvous__read_begin(struct rendezvous__reader *r, cs_bytes json, char why[RENDEZVOUS__WHY])
{
    char *to = rendezvous__alloc(json.len + 1);

    *r = (struct rendezvous__reader){.start = json.base, .at = json.base, .to = to, .why = why};
    r->end = r->start + json.len;
    return to;
}

cs_err rendezvous__read_end(struct rendezvous__reader *r)
{
    skip_blanks(r);
    return r->at == r->end ? CS_OK
                           : rendezvous__read_wrong(r, "something stands behind the object");
}

/* ---- To say it ------------------------------------------------------------------------------ */

static void put(void *to, const void *bytes, size_t len)
{
    fwrite(bytes, 1, len, to);
}

void rendezvous__put_string(FILE *to, cs_bytes text)
{
    gateway_json_string(put, to, text);
}

char *rendezvous__put_end(FILE *to, char **text)
{
    bool is_whole = to && !ferror(to);

    if (to && fclose(to) != 0)
        is_whole = false;
    if (is_whole)
        return *text;
    free(*text);
    return *text = NULL;
}
