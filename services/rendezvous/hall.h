/* hall -- who waits for whom, and who has met.  Private to rendezvous/.
 *
 * A party waits at an event until a group is there: parties that all accept each other, both ways, as many
 * as the one of them who wants most (its mates, and itself).  Of the groups that are possible the oldest
 * party decides: the group has the oldest of those that could meet, then the next oldest that still fits,
 * and so on.  Two of one actor meet only where all of the group take a list (`takes_twins`).
 *
 *     enter() ──▶ waits ──▶ formed() ──▶ release(): all of them have met, and are out
 *                   ▲           │
 *                   └───────────┘ leave(): one of them went, the others wait on where they stood
 *
 * Whoever arrives is compared with those that his selector, or theirs, can mean, by an index of labels.  Of
 * up to RENDEZVOUS__EXACT of them the group is found if there is one, within RENDEZVOUS__STEPS; beyond, they
 * are taken by age as far as each fits to those before, which may miss a group, and is counted.
 */
#ifndef RENDEZVOUS_HALL_H
#define RENDEZVOUS_HALL_H

#include "base/list.h"
#include "services/rendezvous/labels.h"

enum { RENDEZVOUS__EXACT = 64, RENDEZVOUS__STEPS = 10000 };

struct rendezvous__tag;
struct rendezvous__key;
struct rendezvous__kind;
struct rendezvous__event;

struct rendezvous__group {
    struct cs_list members; /* of parties, by age */
    size_t len;
    struct cs_link link; /* the owner's */
};

struct rendezvous__party {
    /* What the owner says, before it enters; all of it stays until the party is out. */
    cs_bytes event, actor;
    int64_t mates; /* at least 0 */
    bool takes_twins;
    struct rendezvous__labels labels;
    struct rendezvous__selector selector;

    /* The hall's. */
    uint64_t number; /* by age; 0: not in the hall */
    struct rendezvous__event *at;
    struct rendezvous__group *group; /* NULL: it waits */
    struct rendezvous__group own;    /* of the one who came last */
    struct cs_link link_group, link_all;
    struct cs_link link_sleep;      /* among the sleepers; in no list: it is awake, or in a group */
    struct rendezvous__seat *seats; /* in lists of the index; one block with tags and keys, */
    size_t seats_bytes;             /* which takes this */
    struct rendezvous__tag **tags;  /* of its labels, of the values of its demands, of its actor */
    struct rendezvous__key **keys;  /* of its demands */
    struct rendezvous__kind *kind;  /* NULL: it is a seeker */
    uint64_t chosen;                /* for the group of this epoch */
};

struct rendezvous__hall {
    struct cs_list all; /* parties, by age */
    size_t len;
    uint64_t clock;
    void *events; /* a tree */
    uint64_t events_made;
    struct rendezvous__party **found;
    size_t found_cap;
    uint64_t epoch;     /* of the sums of tags */
    uint64_t greedy;    /* searches that were not exact */
    uint64_t dissolved; /* groups of which one left */
    size_t bytes;       /* of memory, in all: the index, and what the owner adds */
    size_t bytes_max;   /* the owner's: beyond it nobody enters */
    void (*formed)(struct rendezvous__group *group, void *user);
    void *user;
};

void rendezvous__hall_init(struct rendezvous__hall *hall,
                           void (*formed)(struct rendezvous__group *group, void *user), void *user);
void rendezvous__hall_fini(struct rendezvous__hall *hall); /* it is empty */

/* formed() may come in here.  CS_ENOMEM, CS_ELIMIT: there would be more than bytes_max; it is not in. */
cs_err rendezvous__enter(struct rendezvous__hall *hall, struct rendezvous__party *party);
/* Harmless when it is out.  If it was in a group, its mates wait again, and formed() may come. */
void rendezvous__leave(struct rendezvous__hall *hall, struct rendezvous__party *party);
/* They have met: all are out, and stay linked in group->members until their owners let go of them. */
void rendezvous__release(struct rendezvous__hall *hall, struct rendezvous__group *group);

/* How many more a waiting party needs, at least, among those that are there now; 0: it has met. */
int64_t rendezvous__missing(struct rendezvous__hall *hall, struct rendezvous__party *party);
/* Grows when somebody comes to his event or goes; of no two events the same, also one after the other. */
uint64_t rendezvous__version(const struct rendezvous__party *party);

#endif
