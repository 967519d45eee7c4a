/* What desk.c, tell.c and line.c share: places and who sits on them.  Private to rendezvous/. */
#ifndef RENDEZVOUS_DESK_H
#define RENDEZVOUS_DESK_H

#include "services/rendezvous/ask.h"
#include "services/rendezvous/hall.h"
#include "services/rendezvous/rendezvous.h"

/* How long who met had waited: up to 10 ms, 100 ms ... 100 s; and longer. */
enum { RENDEZVOUS__WAIT_MS = 10, RENDEZVOUS__WAITS = 6 };

/* Who sits on a place: the state of a post, which its outlets share. */
struct rendezvous__sitter {
    struct rendezvous__place *place; /* NULL: he had to go, */
    cs_err why;                      /* and is told this */
    const char *words;
    chanserv_post *post;
    chanserv_outlet *meeting; /* NULL: it has ended */
    char *roster;             /* the one given last, */
    uint64_t told;            /* and of what version it is */
    bool has_told_match;
};

struct rendezvous__place {
    cs_bytes id; /* first: the tree of places is sorted by it; empty: without a key */
    rendezvous *desk;
    struct rendezvous__ask ask;
    struct rendezvous__party party;
    bool is_keyed;                      /* it is in desk->keyed */
    char *names;                        /* what id and party.event point into */
    struct rendezvous__sitter *sitter;  /* NULL: he is away */
    int64_t since_ms, away_ms, over_ms; /* when he came, when he left, when it was over */
    cs_timer *timer;
    cs_err why; /* CS_AGAIN: he waits; CS_DONE: he has met */
    cs_ref match;
    char *words;         /* of a failure, or NULL */
    struct cs_link link; /* in desk->places */
};

struct rendezvous {
    chanserv_server *server;
    char *service;
    struct rendezvous_options options;
    struct rendezvous__hall hall;
    struct rendezvous_counters counters;
    uint64_t waits[RENDEZVOUS__WAITS]; /* who met, by how long they waited, */
    uint64_t waited_ms;                /* and all of it */
    struct cs_list places;
    struct cs_list forming; /* groups that meet at the end of this turn */
    void *keyed;            /* a tree of places */
    cs_timer *release, *rosters;
    bool rosters_due;
    char *here; /* the roster of one event, */
    const struct rendezvous__event *here_at;
    uint64_t here_version; /* as it was then */
};

/* ---- tell.c: JSON that the caller frees; NULL: no memory -------------------------------------- */

char *rendezvous__tell_roster(rendezvous *desk, struct rendezvous__place *place);
/* For who was too late: who is here, who is missing. */
char *rendezvous__tell_late(const rendezvous *desk, struct rendezvous__place *place);
char *rendezvous__tell_match(const struct rendezvous__group *group, bool is_list);
/* Of `most` who wait, the oldest. */
char *rendezvous__tell_stats(const rendezvous *desk, size_t most);

/* ---- line.c ---------------------------------------------------------------------------------- */

/* A source both ways between two of a group who have met. */
cs_err rendezvous__line(struct rendezvous__place *a, struct rendezvous__place *b);

static inline struct rendezvous__place *rendezvous__place_of(struct rendezvous__party *party)
{
    return CS_CONTAINER(party, struct rendezvous__place, party);
}

#endif
