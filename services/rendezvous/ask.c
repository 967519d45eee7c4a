/* ask -- reads {"event":"e","actor":"a","mates":2,...}: one flat object. */
#include "services/rendezvous/ask.h"

#include "services/rendezvous/read.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAME_MAX_BYTES = 255, MATES_MAX = 1000000, TIMEOUT_MAX = 86400000 };

static cs_err want(char *why, const char *member, const char *what)
{
    snprintf(why, RENDEZVOUS__WHY, "%s: %s", member, what);
    return CS_EINVAL;
}

static cs_err set_text(void *to, const struct rendezvous__value *value, const char *member,
                       int64_t max, char *why)
{
    if (value->kind != RENDEZVOUS__TEXT)
        return want(why, member, "a string is wanted");
    if ((int64_t)value->text.len > max) {
        snprintf(why, RENDEZVOUS__WHY, "%s: %zu bytes, and %lld are allowed", member,
                 value->text.len, (long long)max);
        return CS_EINVAL;
    }
    *(cs_bytes *)to = value->text;
    return CS_OK;
}

/* A place is found by its names with zero bytes between: with one within, two would be the same. */
static cs_err set_name(void *to, const struct rendezvous__value *value, const char *member,
                       int64_t max, char *why)
{
    cs_err err = set_text(to, value, member, max, why);

    if (err == CS_OK && value->text.len > 0 && memchr(value->text.base, 0, value->text.len))
        err = want(why, member, "a zero byte is within");
    return err;
}

/* Numbers may be written as strings, as forms have them. */
static cs_err set_number(void *to, const struct rendezvous__value *value, const char *member,
                         int64_t max, char *why)
{
    int64_t number = value->number;

    if (value->kind == RENDEZVOUS__TRUTH ||
        (value->kind == RENDEZVOUS__TEXT && !rendezvous__integer(value->text, &number)) ||
        number < 0 || number > max) {
        snprintf(why, RENDEZVOUS__WHY, "%s: an integer from 0 to %lld is wanted", member,
                 (long long)max);
        return CS_EINVAL;
    }
    *(int64_t *)to = number;
    return CS_OK;
}

static cs_err set_truth(void *to, const struct rendezvous__value *value, const char *member,
                        int64_t max, char *why)
{
    (void)max;
    *(bool *)to = value->number != 0;
    return value->kind == RENDEZVOUS__TRUTH ? CS_OK : want(why, member, "true or false is wanted");
}

static cs_err set_form(void *takes_twins, const struct rendezvous__value *value, const char *member,
                       int64_t max, char *why)
{
    const bool is_text = value->kind == RENDEZVOUS__TEXT;
    const bool is_list = is_text && cs_same(value->text, cs_str("list"));

    (void)max;
    *(bool *)takes_twins = is_list;
    if (is_list || (is_text && cs_same(value->text, cs_str("map"))))
        return CS_OK;
    return want(why, member, "\"map\" or \"list\" is wanted");
}

/* Each once, so that nobody waits with more in memory than its limits say. */
static cs_err set(struct rendezvous__ask *ask, const struct rendezvous__bounds *bounds,
                  cs_bytes name, const struct rendezvous__value *value, unsigned *seen, char *why)
{
    const struct {
        const char *name;
        cs_err (*set)(void *to, const struct rendezvous__value *value, const char *member,
                      int64_t max, char *why);
        void *to;
        int64_t max;
    } rows[] = {{"event", set_name, &ask->event, NAME_MAX_BYTES},
                {"actor", set_name, &ask->actor, NAME_MAX_BYTES},
                {"key", set_name, &ask->key, NAME_MAX_BYTES},
                {"generation", set_name, &ask->generation, NAME_MAX_BYTES},
                {"payload", set_text, &ask->payload, bounds->payload},
                {"labels", set_text, &ask->labels, bounds->text},
                {"selector", set_text, &ask->selector, bounds->text},
                {"mates", set_number, &ask->mates, MATES_MAX},
                {"timeout", set_number, &ask->timeout_ms, TIMEOUT_MAX},
                {"form", set_form, &ask->takes_twins, 0},
                {"channels", set_truth, &ask->channels, 0},
                {"roster", set_truth, &ask->roster, 0}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!cs_same(name, cs_str(rows[i].name)))
            continue;
        if (*seen >> i & 1)
            return want(why, rows[i].name, "it is there twice");
        *seen |= 1u << i;
        return rows[i].set(rows[i].to, value, rows[i].name, rows[i].max, why);
    }
    snprintf(why, RENDEZVOUS__WHY, "%.*s: there is no such parameter",
             (int)(name.len < 64 ? name.len : 64), (const char *)name.base);
    return CS_EINVAL;
}

static cs_err read_members(struct rendezvous__reader *r, const struct rendezvous__bounds *bounds,
                           struct rendezvous__ask *ask)
{
    cs_bytes name;
    struct rendezvous__value value;
    unsigned seen = 0;
    cs_err err;

    if (!rendezvous__read_sign(r, '{'))
        return rendezvous__read_wrong(r,
                                      "expected an object, {\"event\":\"...\",\"actor\":\"...\"}");
    if (!rendezvous__read_sign(r, '}')) {
        do {
            if ((err = rendezvous__read_string(r, &name)) != CS_OK)
                return err;
            if (!rendezvous__read_sign(r, ':'))
                return rendezvous__read_wrong(r, "expected \":\"");
            if ((err = rendezvous__read_value(r, &value)) != CS_OK ||
                (err = set(ask, bounds, name, &value, &seen, r->why)) != CS_OK)
                return err;
        } while (rendezvous__read_sign(r, ','));
        if (!rendezvous__read_sign(r, '}'))
            return rendezvous__read_wrong(r, "expected \",\" or \"}\"");
    }
    return rendezvous__read_end(r);
}

/* A body may have blanks and escapes without end: only what they say is kept. */
static cs_err pack(struct rendezvous__ask *ask)
{
    cs_bytes *const texts[] = {&ask->event,    &ask->actor, &ask->payload,   &ask->labels,
                               &ask->selector, &ask->key,   &ask->generation};
    size_t size = 1;
    char *at, *block;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        size += texts[i]->len;
    if (!(at = block = rendezvous__alloc(size)))
        return CS_ENOMEM;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        memcpy(at, texts[i]->len > 0 ? texts[i]->base : "", texts[i]->len);
        texts[i]->base = at;
        at += texts[i]->len;
    }
    free(ask->block);
    ask->block = block;
    ask->bytes = rendezvous__cost(size);
    return CS_OK;
}

cs_err rendezvous__ask_parse(cs_bytes json, const struct rendezvous__bounds *bounds,
                             struct rendezvous__ask *ret, char why[RENDEZVOUS__WHY])
{
    struct rendezvous__ask ask = {.mates = 1, .roster = true};
    struct rendezvous__reader reader;
    cs_err err;

    if (!(ask.block = rendezvous__read_begin(&reader, json, why)))
        return CS_ENOMEM;
    if ((err = read_members(&reader, bounds, &ask)) == CS_OK && ask.event.len == 0)
        err = want(why, "event", "it is required");
    if (err == CS_OK && ask.actor.len == 0)
        err = want(why, "actor", "it is required");
    if (err == CS_OK)
        err = pack(&ask);
    if (err != CS_OK) {
        free(ask.block);
        return err;
    }
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
