/* selector -- reads the grammar of labels.h.  Whatever is wrong is told with its column, counted from 1. */
#include "services/rendezvous/labels.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAME_MAX_BYTES = 63, PREFIX_MAX_BYTES = 253, SHOWN = 60 };

/* What the next word is.  A name may be "in" or "notin", so that is for who reads it. */
enum word { END, NAME, COMMA, OPEN, CLOSE, BANG, EQUALS, UNEQUAL, MORE, LESS };

struct reader {
    const char *start, *at, *end;
    enum word word; /* the one that comes next, */
    cs_bytes text;  /* and how it is written */
    struct rendezvous__demand *demands;
    cs_bytes *values;
    size_t demands_len, values_len;
    char *why;
};

/* ---- Words ---------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_sign(char c)
{
    return c != '\0' && strchr(",()!=<>", c) != NULL;
}

static void advance(struct reader *r)
{
    static const char signs[] = ",()!=><";
    static const enum word words[] = {COMMA, OPEN, CLOSE, BANG, EQUALS, MORE, LESS};

    while (r->at < r->end && is_blank(*r->at))
        r->at++;
    const char *from = r->at;
    if (from == r->end) {
        r->word = END;
    } else if (!is_sign(*from)) {
        while (r->at < r->end && !is_blank(*r->at) && !is_sign(*r->at))
            r->at++;
        r->word = NAME;
    } else {
        bool is_two = r->end - from > 1 && from[1] == '=' && (*from == '=' || *from == '!');
        r->at += is_two ? 2 : 1;
        r->word = is_two && *from == '!' ? UNEQUAL : words[strchr(signs, *from) - signs];
    }
    r->text = cs_bytes_of(from, (size_t)(r->at - from));
}

static bool is_word(const struct reader *r, const char *word)
{
    return r->word == NAME && cs_same(r->text, cs_str(word));
}

static cs_err wants(struct reader *r, const char *wanted)
{
    int len = (int)(r->text.len < SHOWN ? r->text.len : SHOWN);

    if (r->word == END)
        snprintf(r->why, RENDEZVOUS__WHY, "column %zu: it ends here; expected %s",
                 (size_t)(r->end - r->start) + 1, wanted);
    else
        snprintf(r->why, RENDEZVOUS__WHY, "column %zu: found \"%.*s\"; expected %s",
                 (size_t)((const char *)r->text.base - r->start) + 1, len,
                 (const char *)r->text.base, wanted);
    return CS_EINVAL;
}

/* ---- What names may be ---------------------------------------------------------------------- */

static bool is_lower(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_label(const char *at, size_t len)
{
    if (len == 0 || len > NAME_MAX_BYTES || !is_alnum(at[0]) || !is_alnum(at[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(at[i]) && at[i] != '-' && at[i] != '_' && at[i] != '.')
            return false;
    return true;
}

/* RFC 1123's: parts of lower case letters, digits and "-" within, a dot between two. */
static bool is_domain(const char *at, size_t len)
{
    if (len == 0 || len > PREFIX_MAX_BYTES)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool is_edge = i == 0 || i + 1 == len || at[i - 1] == '.' || at[i + 1] == '.';
        if (!is_lower(at[i]) && (is_edge || (at[i] != '-' && at[i] != '.')))
            return false;
    }
    return true;
}

static bool is_key(cs_bytes key)
{
    const char *at = key.base, *slash = memchr(at, '/', key.len);

    if (!slash)
        return is_label(at, key.len);
    return is_domain(at, (size_t)(slash - at)) &&
           is_label(slash + 1, key.len - (size_t)(slash - at) - 1);
}

/* ---- The grammar ---------------------------------------------------------------------------- */

static cs_err read_key(struct reader *r, cs_bytes *key)
{
    if (r->word != NAME)
        return wants(r, "a key");
    if (!is_key(r->text))
        return wants(r, "a key: [domain/]name, of letters, digits and \"-_.\"");
    *key = r->text;
    advance(r);
    return CS_OK;
}

static cs_err add_value(struct reader *r, cs_bytes value)
{
    if (value.len > 0 && !is_label(value.base, value.len))
        return wants(r, "a value: up to 63 letters, digits and \"-_.\"");
    r->values[r->values_len++] = value;
    return CS_OK;
}

/* "( a , b )": between two signs stands a value or the empty one. */
static cs_err read_values(struct reader *r)
{
    cs_err err;

    if (r->word != OPEN)
        return wants(r, "\"(\"");
    do {
        cs_bytes value = {"", 0};
        advance(r);
        if (r->word == NAME)
            value = r->text;
        if ((err = add_value(r, value)) != CS_OK)
            return err;
        if (r->word == NAME)
            advance(r);
    } while (r->word == COMMA);
    if (r->word != CLOSE)
        return wants(r, "\",\" or \")\"");
    advance(r);
    return CS_OK;
}

static cs_err read_value(struct reader *r)
{
    cs_bytes value = {"", 0};
    cs_err err;

    if (r->word != NAME && r->word != END && r->word != COMMA)
        return wants(r, "a value");
    if (r->word == NAME)
        value = r->text;
    if ((err = add_value(r, value)) == CS_OK && r->word == NAME)
        advance(r);
    return err;
}

static cs_err read_bound(struct reader *r, int64_t *bound)
{
    /* A bound is a value, too: so it has no sign. */
    if (r->word != NAME || !is_label(r->text.base, r->text.len) ||
        !rendezvous__integer(r->text, bound))
        return wants(r, "an integer of digits");
    advance(r);
    return CS_OK;
}

static size_t sort_values(cs_bytes *values, size_t n)
{
    size_t kept = 0;

    qsort(values, n, sizeof *values, rendezvous__by_name);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !cs_same(values[kept - 1], values[i]))
            values[kept++] = values[i];
    return kept;
}

/* What stands behind the key. */
static cs_err read_rest(struct reader *r, struct rendezvous__demand *demand)
{
    const size_t from = r->values_len;
    enum word word = r->word;
    bool is_in = is_word(r, "in"), is_list = is_in || is_word(r, "notin");
    cs_err err;

    if (word == END || word == COMMA) {
        demand->op = RENDEZVOUS__HAS;
        return CS_OK;
    }
    if (word != EQUALS && word != UNEQUAL && word != MORE && word != LESS && !is_list)
        return wants(r, "\"=\", \"==\", \"!=\", \"in\", \"notin\", \"<\", \">\" or \",\"");
    advance(r);
    if (word == MORE || word == LESS) {
        demand->op = word == MORE ? RENDEZVOUS__ABOVE : RENDEZVOUS__BELOW;
        return read_bound(r, &demand->bound);
    }
    demand->op = is_in || word == EQUALS ? RENDEZVOUS__IN : RENDEZVOUS__OUT;
    if ((err = is_list ? read_values(r) : read_value(r)) != CS_OK)
        return err;
    demand->values = r->values + from;
    demand->values_len = sort_values(r->values + from, r->values_len - from);
    return CS_OK;
}

static cs_err read_demand(struct reader *r)
{
    struct rendezvous__demand demand = {.op = RENDEZVOUS__LACKS};
    bool lacks = r->word == BANG;
    cs_err err;

    if (lacks)
        advance(r);
    if ((err = read_key(r, &demand.key)) != CS_OK ||
        (err = lacks ? CS_OK : read_rest(r, &demand)) != CS_OK)
        return err;
    r->demands[r->demands_len++] = demand;
    return r->word == END || r->word == COMMA ? CS_OK : wants(r, "\",\" or the end");
}

static cs_err read_all(struct reader *r)
{
    cs_err err;

    advance(r);
    if (r->word == END)
        return CS_OK;
    while ((err = read_demand(r)) == CS_OK && r->word == COMMA)
        advance(r);
    return err;
}

static int by_key(const void *a, const void *b)
{
    const struct rendezvous__demand *x = a, *y = b;
    int order = cs_order(x->key, y->key);

    return order ? order : (x->key.base > y->key.base) - (x->key.base < y->key.base);
}

/* ---- From outside --------------------------------------------------------------------------- */

/* One block: the demands, their values, the text.  Each demand but the first has a comma before it, and so
 * has each value but the first of its demand. */
static bool begin(struct reader *r, cs_bytes text, struct rendezvous__selector *selector)
{
    size_t commas = 0;
    char *at;

    for (size_t i = 0; i < text.len; i++)
        commas += ((const char *)text.base)[i] == ',';
    size_t demands = (commas + 1) * sizeof *r->demands, values = (commas + 1) * sizeof *r->values;
    const size_t size = demands + values + text.len + 1;
    *selector = (struct rendezvous__selector){.block = at = rendezvous__alloc(size),
                                              .bytes = rendezvous__cost(size)};
    if (!at)
        return false;
    r->demands = (void *)at;
    r->values = (void *)(at + demands);
    at += demands + values;
    *at++ = '\0';
    if (text.len > 0)
        memcpy(at, text.base, text.len);
    selector->text = cs_bytes_of(at, text.len);
    r->start = r->at = at;
    r->end = at + text.len;
    return true;
}

cs_err rendezvous__selector_parse(cs_bytes text, struct rendezvous__selector *ret,
                                  char why[RENDEZVOUS__WHY])
{
    struct rendezvous__selector selector;
    struct reader reader = {.why = why};
    cs_err err;

    if (!begin(&reader, text, &selector))
        return CS_ENOMEM;
    if ((err = read_all(&reader)) != CS_OK) {
        free(selector.block);
        return err;
    }
    qsort(reader.demands, reader.demands_len, sizeof *reader.demands, by_key);
    selector.all = reader.demands;
    selector.len = reader.demands_len;
    *ret = selector;
    return CS_OK;
}

cs_err rendezvous__selector_of(cs_bytes actor, struct rendezvous__selector *ret)
{
    struct rendezvous__selector selector;
    struct reader r;

    if (!begin(&r, actor, &selector))
        return CS_ENOMEM;
    r.values[0] = cs_bytes_of(r.start, actor.len);
    r.demands[0] = (struct rendezvous__demand){
        .op = RENDEZVOUS__OUT, .key = cs_str("actor"), .values = r.values, .values_len = 1};
    selector.all = r.demands;
    selector.len = 1;
    selector.text = cs_bytes_of(r.start - 1, actor.len + 1); /* with a NUL, as no other has */
    *ret = selector;
    return CS_OK;
}

void rendezvous__selector_fini(struct rendezvous__selector *selector)
{
    free(selector->block);
    *selector = (struct rendezvous__selector){0};
}
