/* ask -- reads {"event":"e","actor":"a","mates":2,...}: one flat object, by RFC 8259.  Strings are unpacked
 * into one block; what is not UTF-8 is refused, so that whoever meets him can be told in JSON, too. */
#include "services/rendezvous/ask.h"

#include "gateway/json.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAME_MAX_BYTES = 255, MATES_MAX = 1000000, TIMEOUT_MAX = 86400000 };

struct reader {
    const char *start, *at, *end;
    char *to; /* where unpacked bytes go */
    char *why;
};

struct value {
    enum { TEXT, NUMBER, TRUTH } kind;
    cs_bytes text;
    int64_t number;
};

static cs_err wrong(struct reader *r, const char *what)
{
    snprintf(r->why, RENDEZVOUS__WHY, "JSON, column %zu: %s", (size_t)(r->at - r->start) + 1, what);
    return CS_EINVAL;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\r' || *r->at == '\n'))
        r->at++;
}

static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool read_hex(struct reader *r, unsigned *ret)
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

static void put_utf8(struct reader *r, unsigned x)
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
static bool read_escape(struct reader *r)
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

static bool read_char(struct reader *r)
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

static cs_err read_string(struct reader *r, cs_bytes *ret)
{
    const char *from = r->to;

    if (!take(r, '"'))
        return wrong(r, "expected a string");
    while (r->at < r->end && *r->at != '"')
        if (!read_char(r))
            return wrong(r, "no character of JSON, or no UTF-8");
    if (r->at == r->end)
        return wrong(r, "the string does not end");
    r->at++;
    *ret = cs_bytes_of(from, (size_t)(r->to - from));
    return CS_OK;
}

static bool take_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return false;
    r->at += len;
    return true;
}

static cs_err read_value(struct reader *r, struct value *ret)
{
    const char *from;
    size_t len;

    skip_blanks(r);
    if (r->at < r->end && *r->at == '"') {
        ret->kind = TEXT;
        return read_string(r, &ret->text);
    }
    ret->kind = TRUTH;
    if ((ret->number = take_word(r, "true")) || take_word(r, "false"))
        return CS_OK;
    ret->kind = NUMBER;
    from = r->at;
    while (r->at < r->end && (*r->at == '-' || (*r->at >= '0' && *r->at <= '9')))
        r->at++;
    len = (size_t)(r->at - from);
    if (!rendezvous__integer(cs_bytes_of(from, len), &ret->number))
        return wrong(r, "expected a string, an integer, true or false");
    return CS_OK;
}

/* ---- Members -------------------------------------------------------------------------------- */

static cs_err want(char *why, const char *member, const char *what)
{
    snprintf(why, RENDEZVOUS__WHY, "%s: %s", member, what);
    return CS_EINVAL;
}

static cs_err set_text(cs_bytes *to, const struct value *value, const char *member, int64_t max,
                       char *why)
{
    if (value->kind != TEXT)
        return want(why, member, "a string is wanted");
    if ((int64_t)value->text.len > max) {
        snprintf(why, RENDEZVOUS__WHY, "%s: %zu bytes, and %lld are allowed", member,
                 value->text.len, (long long)max);
        return CS_EINVAL;
    }
    *to = value->text;
    return CS_OK;
}

/* Numbers may be written as strings, as forms have them. */
static cs_err set_number(int64_t *to, const struct value *value, const char *member, int64_t max,
                         char *why)
{
    int64_t number = value->number;

    if (value->kind == TRUTH ||
        (value->kind == TEXT && !rendezvous__integer(value->text, &number)) || number < 0 ||
        number > max) {
        snprintf(why, RENDEZVOUS__WHY, "%s: an integer from 0 to %lld is wanted", member,
                 (long long)max);
        return CS_EINVAL;
    }
    *to = number;
    return CS_OK;
}

static cs_err set_truth(bool *to, const struct value *value, const char *member, char *why)
{
    static const struct {
        const char *word;
        bool is;
    } words[] = {{"1", true}, {"true", true}, {"0", false}, {"false", false}};

    *to = value->number != 0;
    if (value->kind != TEXT)
        return CS_OK;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (cs_same(value->text, cs_str(words[i].word))) {
            *to = words[i].is;
            return CS_OK;
        }
    return want(why, member, "true or false is wanted");
}

static cs_err set_form(bool *takes_twins, const struct value *value, char *why)
{
    *takes_twins = value->kind == TEXT && cs_same(value->text, cs_str("list"));
    if (*takes_twins || (value->kind == TEXT && cs_same(value->text, cs_str("map"))))
        return CS_OK;
    return want(why, "form", "\"map\" or \"list\" is wanted");
}

static cs_err set(struct rendezvous__ask *ask, const struct rendezvous__bounds *bounds,
                  cs_bytes name, const struct value *value, char *why)
{
    const struct {
        const char *name;
        cs_bytes *text;
        int64_t max;
        int64_t *number;
        bool *truth;
    } rows[] = {{"event", &ask->event, NAME_MAX_BYTES, NULL, NULL},
                {"actor", &ask->actor, NAME_MAX_BYTES, NULL, NULL},
                {"key", &ask->key, NAME_MAX_BYTES, NULL, NULL},
                {"generation", &ask->generation, NAME_MAX_BYTES, NULL, NULL},
                {"payload", &ask->payload, bounds->payload, NULL, NULL},
                {"labels", &ask->labels, bounds->text, NULL, NULL},
                {"selector", &ask->selector, bounds->text, NULL, NULL},
                {"mates", NULL, MATES_MAX, &ask->mates, NULL},
                {"timeout", NULL, TIMEOUT_MAX, &ask->timeout_ms, NULL},
                {"channels", NULL, 0, NULL, &ask->channels},
                {"roster", NULL, 0, NULL, &ask->roster}};

    if (cs_same(name, cs_str("form")))
        return set_form(&ask->takes_twins, value, why);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (cs_same(name, cs_str(rows[i].name)))
            return rows[i].text ? set_text(rows[i].text, value, rows[i].name, rows[i].max, why)
                   : rows[i].number
                       ? set_number(rows[i].number, value, rows[i].name, rows[i].max, why)
                       : set_truth(rows[i].truth, value, rows[i].name, why);
    snprintf(why, RENDEZVOUS__WHY, "%.*s: there is no such parameter",
             (int)(name.len < 64 ? name.len : 64), (const char *)name.base);
    return CS_EINVAL;
}

static cs_err read_members(struct reader *r, const struct rendezvous__bounds *bounds,
                           struct rendezvous__ask *ask)
{
    cs_bytes name;
    struct value value;
    cs_err err;

    if (!take(r, '{'))
        return wrong(r, "expected an object, {\"event\":\"...\",\"actor\":\"...\"}");
    if (!take(r, '}')) {
        do {
            if ((err = read_string(r, &name)) != CS_OK)
                return err;
            if (!take(r, ':'))
                return wrong(r, "expected \":\"");
            if ((err = read_value(r, &value)) != CS_OK ||
                (err = set(ask, bounds, name, &value, r->why)) != CS_OK)
                return err;
        } while (take(r, ','));
        if (!take(r, '}'))
            return wrong(r, "expected \",\" or \"}\"");
    }
    skip_blanks(r);
    return r->at == r->end ? CS_OK : wrong(r, "something stands behind the object");
}

cs_err rendezvous__ask_parse(cs_bytes json, const struct rendezvous__bounds *bounds,
                             struct rendezvous__ask *ret, char why[RENDEZVOUS__WHY])
{
    struct rendezvous__ask ask = {.mates = 1, .roster = true};
    struct reader reader = {.start = json.base, .at = json.base, .why = why};
    cs_err err;

    /* Nothing is longer unpacked. */
    if (!(ask.block = reader.to = rendezvous__alloc(json.len + 1)))
        return CS_ENOMEM;
    reader.end = reader.start + json.len;
    if ((err = read_members(&reader, bounds, &ask)) == CS_OK && ask.event.len == 0)
        err = want(why, "event", "it is required");
    if (err == CS_OK && ask.actor.len == 0)
        err = want(why, "actor", "it is required");
    if (err != CS_OK) {
        free(ask.block);
        return err;
    }
    ask.has_labels = ask.labels.len > 0;
    ask.has_selector = ask.selector.len > 0;
    *ret = ask;
    return CS_OK;
}

void rendezvous__ask_fini(struct rendezvous__ask *ask)
{
    free(ask->block);
    *ask = (struct rendezvous__ask){.block = NULL};
}

bool rendezvous__ask_same(const struct rendezvous__ask *a, const struct rendezvous__ask *b)
{
    return cs_same(a->event, b->event) && cs_same(a->actor, b->actor) &&
           cs_same(a->payload, b->payload) && cs_same(a->labels, b->labels) &&
           cs_same(a->selector, b->selector) && cs_same(a->generation, b->generation) &&
           a->mates == b->mates && a->takes_twins == b->takes_twins;
}
