/* sums -- whether a party fits to all of a group at once: not by asking each member, but by what they have
 * and demand together, counted at the keys and tags of their event.  So a group of n costs n and not n * n. */
#include "services/rendezvous/hall__in.h"

/* What was counted in another epoch is nothing. */
static struct rendezvous__tag *tag_now(const struct rendezvous__sums *sums,
                                       struct rendezvous__tag *tag)
{
    if (tag->epoch != sums->epoch) {
        tag->epoch = sums->epoch;
        tag->have = tag->refuse = tag->accept = 0;
    }
    return tag;
}

static struct rendezvous__key *key_now(const struct rendezvous__sums *sums,
                                       struct rendezvous__key *key)
{
    if (key->epoch != sums->epoch) {
        key->epoch = sums->epoch;
        key->have = key->want = key->lack = key->choose = key->integers = 0;
        key->is_above = key->is_below = false;
    }
    return key;
}

/* ---- One more ------------------------------------------------------------------------------- */

static void add_label(const struct rendezvous__sums *sums, struct rendezvous__tag *tag)
{
    struct rendezvous__key *key = key_now(sums, tag->key);
    int64_t number;

    tag_now(sums, tag)->have++;
    key->have++;
    if (!rendezvous__integer(tag->value, &number))
        return;
    if (key->integers == 0 || number < key->least)
        key->least = number;
    if (key->integers == 0 || number > key->most)
        key->most = number;
    key->integers++;
}

static void add_demand(struct rendezvous__sums *sums, const struct rendezvous__demand *demand,
                       struct rendezvous__key *key, struct rendezvous__tag **tags)
{
    const bool is_wanted = demand->op != RENDEZVOUS__LACKS && demand->op != RENDEZVOUS__OUT;

    key_now(sums, key);
    if (is_wanted && key->want++ == 0)
        sums->wanted++;
    key->lack += demand->op == RENDEZVOUS__LACKS;
    key->choose += demand->op == RENDEZVOUS__IN;
    if (demand->op == RENDEZVOUS__ABOVE && (!key->is_above || demand->bound > key->above)) {
        key->is_above = true;
        key->above = demand->bound;
    }
    if (demand->op == RENDEZVOUS__BELOW && (!key->is_below || demand->bound < key->below)) {
        key->is_below = true;
        key->below = demand->bound;
    }
    for (size_t i = 0; i < demand->values_len; i++) {
        tag_now(sums, tags[i])->refuse += demand->op == RENDEZVOUS__OUT;
        tags[i]->accept += demand->op == RENDEZVOUS__IN;
    }
}

void rendezvous__sums_add(struct rendezvous__sums *sums, const struct rendezvous__party *party)
{
    struct rendezvous__tag **tags = party->tags;

    for (size_t i = 0; i < party->labels.len; i++)
        add_label(sums, *tags++);
    for (size_t i = 0; i < party->selector.len; i++) {
        add_demand(sums, &party->selector.all[i], party->keys[i], tags);
        tags += party->selector.all[i].values_len;
    }
    if (tag_now(sums, *tags)->have++ > 0)
        sums->twins = true;
    if (!party->takes_twins)
        sums->maps = true;
    sums->len++;
}

/* ---- Does it fit? --------------------------------------------------------------------------- */

static bool is_label_taken(const struct rendezvous__sums *sums, struct rendezvous__tag *tag)
{
    const struct rendezvous__key *key = key_now(sums, tag->key);
    int64_t number;

    tag_now(sums, tag);
    if (key->lack > 0 || tag->refuse > 0 || tag->accept != key->choose)
        return false;
    if (!key->is_above && !key->is_below)
        return true;
    return rendezvous__integer(tag->value, &number) && (!key->is_above || number > key->above) &&
           (!key->is_below || number < key->below);
}

static bool is_demand_met(const struct rendezvous__sums *sums,
                          const struct rendezvous__demand *demand, struct rendezvous__key *key,
                          struct rendezvous__tag **tags)
{
    size_t named = 0;

    key_now(sums, key);
    for (size_t i = 0; i < demand->values_len; i++)
        named += tag_now(sums, tags[i])->have;
    switch (demand->op) {
    case RENDEZVOUS__HAS:
        return key->have == sums->len;
    case RENDEZVOUS__LACKS:
        return key->have == 0;
    case RENDEZVOUS__IN:
        return named == sums->len;
    case RENDEZVOUS__OUT:
        return named == 0;
    case RENDEZVOUS__ABOVE:
        return key->integers == sums->len && key->least > demand->bound;
    case RENDEZVOUS__BELOW:
        return key->integers == sums->len && key->most < demand->bound;
    }
    return false;
}

bool rendezvous__sums_fit(const struct rendezvous__sums *sums,
                          const struct rendezvous__party *party)
{
    struct rendezvous__tag **tags = party->tags;
    size_t wanted = 0;

    for (size_t i = 0; i < party->labels.len; i++, tags++) {
        if (!is_label_taken(sums, *tags))
            return false;
        wanted += (*tags)->key->want > 0;
    }
    if (wanted != sums->wanted)
        return false;
    for (size_t i = 0; i < party->selector.len; i++) {
        const struct rendezvous__demand *demand = &party->selector.all[i];
        if (!is_demand_met(sums, demand, party->keys[i], tags))
            return false;
        tags += demand->values_len;
    }
    bool is_twin = tag_now(sums, *tags)->have > 0;
    return (!is_twin && !sums->twins) || (!sums->maps && party->takes_twins);
}
