/* naive -- see naive.h. */
#include "test/services/naive.h"

enum { PARTIES = 10 };

const char *const naive_selectors[NAIVE_SELECTORS] = {
    NULL,  "",        "x=1",    "x!=1",        "x in (1,2)",
    "y",   "!y",      "x>1",    "x<3",         "x notin (2),y",
    "x=2", "y=1,x=1", "y!=1,x", "x in (1),!y", "x<3,x>0"};
const char *const naive_labels[NAIVE_LABELS] = {NULL,      "x=1",     "x=2",     "x=3,y=1", "y=1",
                                                "x=1,y=2", "x=-,y=1", "x=1,y=1", "z=1"};
unsigned naive_seed = 1;

unsigned naive_below(unsigned n)
{
    naive_seed = naive_seed * 1103515245 + 12345;
    return (naive_seed >> 16) % n;
}

bool naive_is_group(struct rendezvous__party *const *all, unsigned set)
{
    int64_t most = 0, len = __builtin_popcount(set);
    bool twins = false, maps = false;

    for (unsigned i = 0; i < PARTIES; i++) {
        if (!(set >> i & 1))
            continue;
        most = all[i]->mates > most ? all[i]->mates : most;
        maps = maps || !all[i]->takes_twins;
        for (unsigned j = 0; j < i; j++) {
            if (!(set >> j & 1))
                continue;
            if (!rendezvous__selector_takes(&all[i]->selector, &all[j]->labels) ||
                !rendezvous__selector_takes(&all[j]->selector, &all[i]->labels))
                return false;
            twins = twins || cs_same(all[i]->actor, all[j]->actor);
        }
    }
    return len == most + 1 && !(twins && maps);
}

/* Is the set `a` to be preferred?  The first, by age, that only one of them has decides: who has it. */
static bool is_better(struct rendezvous__party *const *all, unsigned a, unsigned b, unsigned newest)
{
    uint64_t oldest = UINT64_MAX;
    unsigned by = 0, differ = (a ^ b) & ~(1u << newest);

    for (unsigned i = 0; i < PARTIES; i++)
        if ((differ >> i & 1) && all[i]->number < oldest) {
            oldest = all[i]->number;
            by = i;
        }
    return a >> by & 1;
}

unsigned naive_group(struct rendezvous__party *const *all, unsigned waiting, unsigned newest)
{
    unsigned best = 0;

    if (all[newest]->mates == 0)
        return 1u << newest;
    for (unsigned rest = waiting;; rest = (rest - 1) & waiting) {
        unsigned set = rest | 1u << newest;
        if (naive_is_group(all, set) && (!best || is_better(all, set, best, newest)))
            best = set;
        if (rest == 0)
            return best;
    }
}

unsigned naive_starving(struct rendezvous__party *const *all, unsigned waiting)
{
    for (unsigned set = waiting; set; set = (set - 1) & waiting)
        if (naive_is_group(all, set))
            return set;
    return 0;
}

struct orders {
    unsigned parties, at, events[2 * PARTIES], left[PARTIES]; /* of each: how often yet */
    void (*story)(const unsigned *events, unsigned len, unsigned at);
};

static void each_order(struct orders *o, unsigned len)
{
    if (len == 2 * o->parties) {
        o->story(o->events, len, o->at++);
        return;
    }
    for (unsigned i = 0; i < o->parties; i++) {
        if (o->left[i] == 0)
            continue;
        o->left[i]--;
        o->events[len] = i;
        each_order(o, len + 1);
        o->left[i]++;
    }
}

void naive_orders(unsigned parties,
                  void (*story)(const unsigned *events, unsigned len, unsigned at))
{
    struct orders o = {.parties = parties, .story = story};

    for (unsigned i = 0; i < parties; i++)
        o.left[i] = 2;
    each_order(&o, 0);
}
