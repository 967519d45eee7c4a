/* search -- a group with one who has just come, among those who wait. */
#include "services/rendezvous/hall__in.h"

bool rendezvous__accept(const struct rendezvous__party *a, const struct rendezvous__party *b)
{
    if (!(a->takes_twins && b->takes_twins) && cs_same(a->actor, b->actor))
        return false;
    return rendezvous__selector_takes(&a->selector, &b->labels) &&
           rendezvous__selector_takes(&b->selector, &a->labels);
}

/* ---- All of them, for a few ----------------------------------------------------------------- */

struct exact {
    struct rendezvous__party *const *found; /* by age; each accepts the one who came */
    const struct rendezvous__party *party;
    size_t len;
    uint64_t row[RENDEZVOUS__EXACT]; /* whom each accepts; of those who were asked */
    uint64_t asked;
    size_t chosen[RENDEZVOUS__EXACT];
    int steps;
};

static uint64_t row_of(struct exact *e, size_t i)
{
    if (!(e->asked >> i & 1)) {
        e->asked |= UINT64_C(1) << i;
        e->row[i] = 0;
        for (size_t j = 0; j < e->len; j++)
            if (j != i && rendezvous__accept(e->found[i], e->found[j]))
                e->row[i] |= UINT64_C(1) << j;
    }
    return e->row[i];
}

/* Twins, and somebody who does not take them? */
static bool is_torn(const struct exact *e, size_t len)
{
    bool twins = false, maps = !e->party->takes_twins;

    for (size_t i = 0; i < len; i++) {
        const struct rendezvous__party *one = e->found[e->chosen[i]];
        maps = maps || !one->takes_twins;
        twins = twins || cs_same(one->actor, e->party->actor);
        for (size_t j = 0; j < i; j++)
            twins = twins || cs_same(one->actor, e->found[e->chosen[j]]->actor);
    }
    return twins && maps;
}

static size_t most_of(const struct exact *e, uint64_t among)
{
    size_t most = 0;

    for (uint64_t rest = among; rest; rest &= rest - 1) {
        size_t mates = (size_t)e->found[__builtin_ctzll(rest)]->mates;
        most = mates > most ? mates : most;
    }
    return most;
}

/* `len` were chosen, the most modest of whom wants `mates`; `among` are younger and accepted by all of them.
 * First with one more of those, the oldest first: so the oldest decide. */
static size_t choose(struct exact *e, size_t len, size_t mates, uint64_t among)
{
    if (e->steps++ >= RENDEZVOUS__STEPS)
        return 0;
    if (len < mates || len < most_of(e, among))
        for (uint64_t rest = among; rest && e->steps < RENDEZVOUS__STEPS; rest &= rest - 1) {
            const size_t i = (size_t)__builtin_ctzll(rest), own = (size_t)e->found[i]->mates;
            const size_t most = own > mates ? own : mates;
            if (len + (size_t)__builtin_popcountll(rest) < mates)
                break;
            e->chosen[len] = i;
            if (len + (size_t)__builtin_popcountll(rest) < most || is_torn(e, len + 1))
                continue;
            size_t all = choose(e, len + 1, most, rest & (rest - 1) & row_of(e, i));
            if (all > 0)
                return all;
        }
    return len == mates ? len : 0;
}

static size_t find_exactly(struct rendezvous__hall *hall, const struct rendezvous__party *party,
                           size_t n, bool *gave_up)
{
    struct exact e = {.found = hall->found, .party = party, .len = n};
    const uint64_t all = n == RENDEZVOUS__EXACT ? UINT64_MAX : (UINT64_C(1) << n) - 1;
    const size_t len = choose(&e, 0, (size_t)party->mates, all);

    *gave_up = len == 0 && e.steps >= RENDEZVOUS__STEPS;
    for (size_t i = 0; i < len; i++) /* they are in order: chosen[i] is at least i */
        hall->found[i] = hall->found[e.chosen[i]];
    return len;
}

/* ---- By age, for many ----------------------------------------------------------------------- */

/* Those who want more than a round had are left out of the next. */
static size_t find_by_age(struct rendezvous__hall *hall, const struct rendezvous__party *party,
                          size_t n)
{
    enum { ROUNDS = 16 };
    size_t limit = n;

    for (int round = 0; round < ROUNDS && (size_t)party->mates <= limit; round++) {
        struct rendezvous__sums sums = {.epoch = ++hall->epoch};
        size_t len = 0, most = (size_t)party->mates;
        rendezvous__sums_add(&sums, party);
        for (size_t i = 0; i < n && len < most; i++) {
            struct rendezvous__party *one = hall->found[i];
            if ((size_t)one->mates > limit || !rendezvous__sums_fit(&sums, one))
                continue;
            rendezvous__sums_add(&sums, one);
            one->chosen = sums.epoch;
            most = (size_t)one->mates > most ? (size_t)one->mates : most;
            len++;
        }
        if (len == most) {
            for (size_t i = 0, to = 0; to < len; i++)
                if (hall->found[i]->chosen == sums.epoch)
                    hall->found[to++] = hall->found[i];
            return len;
        }
        limit = len;
    }
    return 0;
}

/* ---- From outside --------------------------------------------------------------------------- */

size_t rendezvous__search_accepted(struct rendezvous__hall *hall,
                                   const struct rendezvous__party *party)
{
    size_t n = rendezvous__index_find(hall, party), kept = 0;

    for (size_t i = 0; i < n; i++)
        if (hall->found[i] != party && rendezvous__accept(party, hall->found[i]))
            hall->found[kept++] = hall->found[i];
    return kept;
}

/* Without those who want more than there are, until all who are left could have enough. */
static size_t drop_hopeless(struct rendezvous__hall *hall, size_t n)
{
    size_t before;

    do {
        before = n;
        n = 0;
        for (size_t i = 0; i < before; i++)
            if ((size_t)hall->found[i]->mates <= before)
                hall->found[n++] = hall->found[i];
    } while (n < before);
    return n;
}

bool rendezvous__search(struct rendezvous__hall *hall, const struct rendezvous__party *party,
                        size_t *mates)
{
    bool gave_up = true;

    *mates = 0;
    if (party->mates == 0)
        return true;
    size_t n = drop_hopeless(hall, rendezvous__search_accepted(hall, party));
    if (n < (size_t)party->mates)
        return false;
    if (n <= RENDEZVOUS__EXACT)
        *mates = find_exactly(hall, party, n, &gave_up);
    if (gave_up) {
        hall->greedy++;
        *mates = find_by_age(hall, party, n);
    }
    return *mates > 0;
}
