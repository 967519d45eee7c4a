/* What hall.c, index.c and search.c share. */
#ifndef RENDEZVOUS_HALL__IN_H
#define RENDEZVOUS_HALL__IN_H

#include "services/rendezvous/hall.h"

/* Of the group that is being put together by age: how many of it...  It counts for one epoch. */
struct rendezvous__tag { /* a label: key=value; a party may have a thousand, so it is small */
    cs_bytes value;
    struct rendezvous__key *key;
    uint32_t users;
    uint32_t have, refuse, accept; /* have it, refuse it, name it in a demand of IN */
    struct cs_list carriers;       /* seats of those awake who have it */
    struct cs_list seekers; /* seats of those awake who accept nobody without it, or one of a few */
    uint64_t epoch;
};

struct rendezvous__key {
    cs_bytes name;
    void *tags; /* a tree */
    uint64_t epoch;
    uint32_t users;
    uint32_t have, want, lack; /* have it, demand it (IN counts in `choose` as well), refuse it */
    uint32_t choose;           /* demands of IN */
    uint32_t integers;         /* have it as an integer, */
    int64_t least, most;       /* between these */
    int64_t above, below;      /* and demand it so, */
    bool is_above, is_below;   /* if they do */
};

struct rendezvous__seat { /* of a party, in a list of carriers or seekers */
    struct cs_link link;
    struct rendezvous__party *party;
};

struct rendezvous__kind { /* those who seek nobody certain and have the same selector */
    cs_bytes name;
    size_t users;
    struct cs_list members; /* seats of those awake */
    struct cs_link link;    /* in event->open, if there are any */
};

struct rendezvous__event {
    cs_bytes name;
    size_t users;                  /* parties, those in groups too */
    size_t waiting;                /* those that are in none */
    uint64_t version;              /* grows when one comes or goes */
    void *keys;                    /* a tree */
    struct rendezvous__key actors; /* not a label: who they are */
    void *kinds;                   /* a tree */
    size_t *bytes;                 /* the hall's */
    struct cs_list open;           /* kinds of those awake who are in no list of seekers */
    struct cs_list sleepers; /* parties that want more than there are, the most modest first */
};

/* ---- index.c -------------------------------------------------------------------------------- */

struct rendezvous__event *rendezvous__event_of(struct rendezvous__hall *hall, cs_bytes name);
void rendezvous__event_drop(struct rendezvous__hall *hall, struct rendezvous__event *event);

/* Makes or finds the tags of a party.  CS_ENOMEM: nothing was done. */
cs_err rendezvous__index_add(struct rendezvous__party *party);
void rendezvous__index_drop(struct rendezvous__party *party);
/* Into the lists and out of them. */
void rendezvous__index_show(struct rendezvous__party *party);
void rendezvous__index_hide(struct rendezvous__party *party);

/* Those awake who may accept it and be accepted, by age; not all of them do. */
size_t rendezvous__index_find(struct rendezvous__hall *hall, const struct rendezvous__party *party);

/* ---- sums.c: a group that grows ----------------------------------------------------------------- */

struct rendezvous__sums {
    uint64_t epoch;
    size_t len;    /* of the group */
    size_t wanted; /* keys without which nobody is accepted */
    bool twins, maps;
};
void rendezvous__sums_add(struct rendezvous__sums *sums, const struct rendezvous__party *party);
bool rendezvous__sums_fit(const struct rendezvous__sums *sums,
                          const struct rendezvous__party *party);

/* ---- search.c ------------------------------------------------------------------------------- */

/* Is there a group with this party, who waits?  Its mates lie in hall->found, by age. */
bool rendezvous__search(struct rendezvous__hall *hall, const struct rendezvous__party *party,
                        size_t *mates);
/* How many awake ones it accepts who accept it; they lie in hall->found. */
size_t rendezvous__search_accepted(struct rendezvous__hall *hall,
                                   const struct rendezvous__party *party);
bool rendezvous__accept(const struct rendezvous__party *a, const struct rendezvous__party *b);

#endif
