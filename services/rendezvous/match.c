/* match -- reads what those who met are told: {"payloads":{...}} or {"parties":[...]}. */
#include "services/rendezvous/meet.h"

#include "services/rendezvous/read.h"

#include <stdlib.h>

struct parties { /* room for as many as there can be: see rendezvous__match_read() */
    struct rendezvous__reader reader;
    struct rendezvous_party *all;
    cs_pair *labels;
    size_t len, labels_len;
};

typedef cs_err read_fn(struct parties *p);

/* Behind the sign that begins it: what `each` reads, with "," between, and the sign that ends it. */
static cs_err read_all(struct parties *p, char end, read_fn *each)
{
    cs_err err = CS_OK;

    if (rendezvous__read_sign(&p->reader, end))
        return CS_OK;
    do
        err = each(p);
    while (err == CS_OK && rendezvous__read_sign(&p->reader, ','));
    return err != CS_OK || rendezvous__read_sign(&p->reader, end) ? err : CS_EINVAL;
}

static cs_err read_name(struct parties *p, cs_bytes *name)
{
    cs_err err = rendezvous__read_string(&p->reader, name);

    return err != CS_OK || rendezvous__read_sign(&p->reader, ':') ? err : CS_EINVAL;
}

static cs_err read_pair(struct parties *p, cs_bytes *name, cs_bytes *value)
{
    cs_err err = read_name(p, name);

    return err == CS_OK ? rendezvous__read_string(&p->reader, value) : err;
}

static cs_err read_payload(struct parties *p)
{
    struct rendezvous_party *party = &p->all[p->len++];

    return read_pair(p, &party->actor, &party->payload);
}

static cs_err read_label(struct parties *p)
{
    cs_pair *label = &p->labels[p->labels_len++];

    return read_pair(p, &label->name, &label->value);
}

static cs_err read_member(struct parties *p)
{
    struct rendezvous_party *party = &p->all[p->len];
    cs_bytes name;
    cs_err err = read_name(p, &name);
    const size_t from = p->labels_len;

    if (err != CS_OK)
        return err;
    if (cs_same(name, cs_str("actor")))
        return rendezvous__read_string(&p->reader, &party->actor);
    if (cs_same(name, cs_str("payload")))
        return rendezvous__read_string(&p->reader, &party->payload);
    if (!cs_same(name, cs_str("labels")) || !rendezvous__read_sign(&p->reader, '{'))
        return CS_EINVAL;
    err = read_all(p, '}', read_label);
    party->labels = p->labels + from;
    party->labels_len = p->labels_len - from;
    return err;
}

static cs_err read_party(struct parties *p)
{
    cs_err err = rendezvous__read_sign(&p->reader, '{') ? read_all(p, '}', read_member) : CS_EINVAL;

    p->len++;
    return err;
}

/* {"payloads":{...}} or {"parties":[...]} */
static cs_err read_match(struct parties *p)
{
    cs_bytes name;
    bool is_map;
    cs_err err;

    if (!rendezvous__read_sign(&p->reader, '{') || (err = read_name(p, &name)) != CS_OK)
        return CS_EINVAL;
    is_map = cs_same(name, cs_str("payloads"));
    if (!rendezvous__read_sign(&p->reader, is_map ? '{' : '['))
        return CS_EINVAL;
    err = read_all(p, is_map ? '}' : ']', is_map ? read_payload : read_party);
    if (err == CS_OK && !rendezvous__read_sign(&p->reader, '}'))
        err = CS_EINVAL;
    return err == CS_OK ? rendezvous__read_end(&p->reader) : err;
}

cs_err rendezvous__match_read(cs_bytes json, struct rendezvous__match *ret)
{
    const char *at = json.base;
    char why[RENDEZVOUS__WHY];
    size_t most = 1;
    cs_err err = CS_ENOMEM;
    struct parties p = {.len = 0};
    char *texts = rendezvous__read_begin(&p.reader, json, why);

    /* A payload has a ':' of its own, a label has, and a party has a '{'. */
    for (size_t i = 0; i < json.len; i++)
        most += at[i] == ':' || at[i] == '{';
    p.all = rendezvous__alloc(most * (sizeof *p.all + sizeof *p.labels));
    if (p.all && texts) {
        memset(p.all, 0, most * sizeof *p.all);
        p.labels = (void *)(p.all + most);
        err = read_match(&p) == CS_OK ? CS_OK : CS_EPROTO;
    }
    *ret = (struct rendezvous__match){p.all, p.len, texts};
    if (err != CS_OK)
        rendezvous__match_fini(ret);
    return err;
}

void rendezvous__match_fini(struct rendezvous__match *match)
{
    free(match->parties);
    free(match->texts);
    *match = (struct rendezvous__match){.parties = NULL};
}
