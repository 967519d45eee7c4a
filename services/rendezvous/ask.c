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

static cs_err set_text(cs_bytes *to, const struct rendezvous__value *value, const char *member,
                       int64_t max, char *why)
{
    if (value->kind != RENDEZVOUS__TEXT)
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
static cs_err set_number(int64_t *to, const struct rendezvous__value *value, const char *member,
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
    *to = number;
    return CS_OK;
}

static cs_err set_truth(bool *to, const struct rendezvous__value *value, const char *member,
                        char *why)
{
    *to = value->number != 0;
    return value->kind == RENDEZVOUS__TRUTH ? CS_OK : want(why, member, "true or false is wanted");
}

static cs_err set_form(bool *takes_twins, const struct rendezvous__value *value, char *why)
{
    *takes_twins = value->kind == RENDEZVOUS__TEXT && cs_same(value->text, cs_str("list"));
    if (*takes_twins || (value->kind == RENDEZVOUS__TEXT && cs_same(value->text, cs_str("map"))))
        return CS_OK;
    return want(why, "form", "\"map\" or \"list\" is wanted");
}

static cs_err set(struct rendezvous__ask *ask, const struct rendezvous__bounds *bounds,
                  cs_bytes name, const struct rendezvous__value *value, char *why)
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

static cs_err read_members(struct rendezvous__reader *r, const struct rendezvous__bounds *bounds,
                           struct rendezvous__ask *ask)
{
    cs_bytes name;
    struct rendezvous__value value;
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
                (err = set(ask, bounds, name, &value, r->why)) != CS_OK)
                return err;
        } while (rendezvous__read_sign(r, ','));
        if (!rendezvous__read_sign(r, '}'))
            return rendezvous__read_wrong(r, "expected \",\" or \"}\"");
    }
    return rendezvous__read_end(r);
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
