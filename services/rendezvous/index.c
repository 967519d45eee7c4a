/* index -- by label, who has it and who seeks it.
 *
 * A party is a carrier of each of its labels.  It is a seeker of the values of its first demand that names a
 * few (of IN): nobody else will do.  Without such a demand it is open to all, with others of the same
 * selector, who are asked as one.  So whom a party can mean are the carriers of what it seeks; and if it is
 * open, those who seek one of its labels, and those who are open too. */
#include "services/rendezvous/hall__in.h"

#include <search.h>
#include <stdlib.h>

enum { FEW = 8 };

/* ---- Trees: each object begins with its name ------------------------------------------------ */

/* What one takes, with its node in the tree. */
static size_t cost_of(cs_bytes name, size_t size)
{
    return rendezvous__cost(size + name.len + 1) + RENDEZVOUS__NODE;
}

/* The one of this name, or a new one of `size` bytes with the name behind it. */
static void *find_or_make(void **tree, cs_bytes name, size_t size, size_t *bytes)
{
    void **at = tfind(&name, tree, rendezvous__by_name);
    char *made;

    if (at)
        return *at;
    if (!(made = rendezvous__alloc(size + name.len + 1)))
        return NULL;
    memset(made, 0, size);
    memcpy(made + size, name.len > 0 ? name.base : "", name.len);
    *(cs_bytes *)(void *)made = cs_bytes_of(made + size, name.len);
    if (tsearch(made, tree, rendezvous__by_name)) {
        *bytes += cost_of(name, size);
        return made;
    }
    free(made);
    return NULL;
}

static void drop(void **tree, void *object, size_t size, size_t *bytes)
{
    *bytes -= cost_of(*(const cs_bytes *)object, size);
    tdelete(object, tree, rendezvous__by_name);
    free(object);
}

struct rendezvous__event *rendezvous__event_of(struct rendezvous__hall *hall, cs_bytes name)
{
    struct rendezvous__event *event =
        find_or_make(&hall->events, name, sizeof *event, &hall->bytes);

    if (event && event->users++ == 0) {
        event->bytes = &hall->bytes;
        cs_list_init(&event->open);
        cs_list_init(&event->sleepers);
        event->version = ++hall->events_made << 32; /* no two are ever of the same version */
    }
    return event;
}

void rendezvous__event_drop(struct rendezvous__hall *hall, struct rendezvous__event *event)
{
    if (--event->users > 0)
        return;
    drop(&hall->events, event, sizeof *event, &hall->bytes);
}

static struct rendezvous__key *key_of(struct rendezvous__event *event, cs_bytes name)
{
    struct rendezvous__key *key = find_or_make(&event->keys, name, sizeof *key, event->bytes);

    if (key)
        key->users++;
    return key;
}

static void drop_key(struct rendezvous__event *event, struct rendezvous__key *key)
{
    if (key != &event->actors && --key->users == 0)
        drop(&event->keys, key, sizeof *key, event->bytes);
}

/* The key's use goes to the tag. */
static struct rendezvous__tag *tag_of(struct rendezvous__event *event, struct rendezvous__key *key,
                                      cs_bytes value)
{
    struct rendezvous__tag *tag =
        key ? find_or_make(&key->tags, value, sizeof *tag, event->bytes) : NULL;

    if (!tag) {
        if (key)
            drop_key(event, key);
        return NULL;
    }
    if (tag->users++ == 0) {
        tag->key = key;
        cs_list_init(&tag->carriers);
        cs_list_init(&tag->seekers);
    }
    return tag;
}

static void drop_tag(struct rendezvous__event *event, struct rendezvous__tag *tag)
{
    struct rendezvous__key *key = tag->key;

    if (--tag->users == 0)
        drop(&key->tags, tag, sizeof *tag, event->bytes);
    drop_key(event, key);
}

static struct rendezvous__kind *kind_of(struct rendezvous__event *event, cs_bytes selector)
{
    struct rendezvous__kind *kind =
        find_or_make(&event->kinds, selector, sizeof *kind, event->bytes);

    if (kind && kind->users++ == 0) {
        cs_list_init(&kind->members);
        cs_link_init(&kind->link);
    }
    return kind;
}

/* ---- Those of a party: tags of labels, then of values, then of the actor -------------------- */

static size_t values_of(const struct rendezvous__selector *selector)
{
    size_t n = 0;

    for (size_t i = 0; i < selector->len; i++)
        n += selector->all[i].values_len;
    return n;
}

/* The demand that makes it a seeker, or NULL; its first tag. */
static const struct rendezvous__demand *anchor_of(const struct rendezvous__party *party,
                                                  struct rendezvous__tag ***tags)
{
    const struct rendezvous__selector *selector = &party->selector;

    *tags = party->tags + party->labels.len;
    for (size_t i = 0; i < selector->len; i++) {
        const struct rendezvous__demand *demand = &selector->all[i];
        if (demand->op == RENDEZVOUS__IN && demand->values_len <= FEW)
            return demand;
        *tags += demand->values_len;
    }
    return NULL;
}

static bool room_for(struct rendezvous__party *party)
{
    const size_t tags = party->labels.len + values_of(&party->selector) + 1;
    const size_t seats = party->labels.len + FEW, keys = party->selector.len;
    const size_t size =
        seats * sizeof *party->seats + tags * sizeof *party->tags + keys * sizeof *party->keys;

    if (!(party->seats = rendezvous__alloc(size)))
        return false;
    party->seats_bytes = rendezvous__cost(size);
    *party->at->bytes += party->seats_bytes;
    memset(party->seats, 0, size);
    party->tags = (void *)(party->seats + seats);
    party->keys = (void *)(party->tags + tags);
    for (size_t i = 0; i < seats; i++) {
        cs_link_init(&party->seats[i].link);
        party->seats[i].party = party;
    }
    return true;
}

static bool add_demand(struct rendezvous__party *party, size_t i, struct rendezvous__tag ***tags)
{
    const struct rendezvous__demand *demand = &party->selector.all[i];

    if (!(party->keys[i] = key_of(party->at, demand->key)))
        return false;
    for (size_t v = 0; v < demand->values_len; v++, ++*tags)
        if (!(**tags = tag_of(party->at, key_of(party->at, demand->key), demand->values[v])))
            return false;
    return true;
}

cs_err rendezvous__index_add(struct rendezvous__party *party)
{
    struct rendezvous__event *event = party->at;
    struct rendezvous__tag **tags;
    bool is_well = room_for(party);

    party->kind = NULL;
    if (!is_well)
        return CS_ENOMEM;
    tags = party->tags;
    for (size_t i = 0; is_well && i < party->labels.len; i++) {
        const cs_pair *label = &party->labels.all[i];
        is_well = (*tags++ = tag_of(event, key_of(event, label->name), label->value)) != NULL;
    }
    for (size_t i = 0; is_well && i < party->selector.len; i++)
        is_well = add_demand(party, i, &tags);
    is_well = is_well && (*tags = tag_of(event, &event->actors, party->actor)) != NULL;
    if (is_well && !anchor_of(party, &tags))
        is_well = (party->kind = kind_of(event, party->selector.text)) != NULL;
    if (is_well)
        return CS_OK;
    rendezvous__index_drop(party);
    return CS_ENOMEM;
}

void rendezvous__index_drop(struct rendezvous__party *party)
{
    const size_t tags = party->labels.len + values_of(&party->selector) + 1;

    for (size_t i = 0; i < tags && party->tags[i]; i++)
        drop_tag(party->at, party->tags[i]);
    for (size_t i = 0; i < party->selector.len && party->keys[i]; i++)
        drop_key(party->at, party->keys[i]);
    if (party->kind && --party->kind->users == 0)
        drop(&party->at->kinds, party->kind, sizeof *party->kind, party->at->bytes);
    *party->at->bytes -= party->seats_bytes;
    free(party->seats);
    party->seats = NULL;
}

/* ---- In and out of the lists ---------------------------------------------------------------- */

void rendezvous__index_show(struct rendezvous__party *party)
{
    struct rendezvous__seat *seat = party->seats;
    struct rendezvous__tag **sought;
    const struct rendezvous__demand *anchor = anchor_of(party, &sought);

    for (size_t i = 0; i < party->labels.len; i++, seat++)
        cs_list_push(&party->tags[i]->carriers, &seat->link);
    if (!anchor) {
        if (!cs_linked(&party->kind->link))
            cs_list_push(&party->at->open, &party->kind->link);
        cs_list_push(&party->kind->members, &seat->link);
    }
    for (size_t i = 0; anchor && i < anchor->values_len; i++, seat++)
        cs_list_push(&sought[i]->seekers, &seat->link);
}

void rendezvous__index_hide(struct rendezvous__party *party)
{
    for (size_t i = 0; i < party->labels.len + FEW; i++)
        cs_unlink(&party->seats[i].link);
    if (party->kind && !cs_list_first(&party->kind->members))
        cs_unlink(&party->kind->link);
}

/* ---- Whom a party can mean ------------------------------------------------------------------ */

static void gather(struct rendezvous__hall *hall, const struct cs_list *seats, size_t *n)
{
    for (struct cs_link *link = cs_list_first(seats); link; link = cs_list_next(seats, link))
        hall->found[(*n)++] = CS_CONTAINER(link, struct rendezvous__seat, link)->party;
}

/* Of those who are open: whole kinds, if their selector takes it. */
static void gather_open(struct rendezvous__hall *hall, const struct rendezvous__party *party,
                        size_t *n)
{
    const struct cs_list *open = &party->at->open;

    for (struct cs_link *link = cs_list_first(open); link; link = cs_list_next(open, link)) {
        const struct cs_list *members = &CS_CONTAINER(link, struct rendezvous__kind, link)->members;
        const struct rendezvous__party *one =
            CS_CONTAINER(cs_list_first(members), struct rendezvous__seat, link)->party;
        if (rendezvous__selector_takes(&one->selector, &party->labels))
            gather(hall, members, n);
    }
}

static int by_age(const void *a, const void *b)
{
    uint64_t x = (*(struct rendezvous__party *const *)a)->number;
    uint64_t y = (*(struct rendezvous__party *const *)b)->number;

    return (x > y) - (x < y);
}

size_t rendezvous__index_find(struct rendezvous__hall *hall, const struct rendezvous__party *party)
{
    struct rendezvous__tag **sought;
    const struct rendezvous__demand *anchor = anchor_of(party, &sought);
    size_t n = 0;

    /* A party has one value for a key, and is found once so. */
    for (size_t i = 0; anchor && i < anchor->values_len; i++)
        gather(hall, &sought[i]->carriers, &n);
    for (size_t i = 0; !anchor && i < party->labels.len; i++)
        gather(hall, &party->tags[i]->seekers, &n);
    if (!anchor)
        gather_open(hall, party, &n);
    qsort(hall->found, n, sizeof *hall->found, by_age);
    return n;
}
