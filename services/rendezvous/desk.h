/* desk -- what all files share that serve parties: places, and who sits on them.  Private to rendezvous/. */
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
    size_t roster_bytes;      /* what it takes, */
    uint64_t told;            /* and of what version it is */
    bool has_told_match;
};

/* A match in words, for all who hear it. */
struct rendezvous__told {
    char *text;
    size_t len, users;
};

struct rendezvous__place {
    cs_bytes id; /* first: the tree of places is sorted by it; empty: without a key */
    rendezvous *desk;
    struct rendezvous__ask ask;
    struct rendezvous__party party;
    bool is_keyed;                      /* it is in desk->keyed */
    char *names;                        /* what id and party.event point into */
    size_t names_len, bytes;            /* what all of it takes, as it was counted last */
    struct rendezvous__sitter *sitter;  /* NULL: he is away */
    int64_t since_ms, away_ms, over_ms; /* when he came, when he left, when it was over */
    cs_timer *timer;
    cs_err why; /* CS_AGAIN: he waits; CS_DONE: he has met */
    struct rendezvous__told *match;
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
    size_t places_len;
    struct cs_list forming; /* groups that meet at the end of this turn */
    void *keyed;            /* a tree of places */
    cs_timer *release, *rosters;
    bool rosters_due;
    char *here; /* the roster of one event, */
    const struct rendezvous__event *here_at;
    uint64_t here_version; /* as it was then */
};

/* ---- tell.c: JSON that the caller frees; NULL: no memory -------------------------------------- */

char *rendezvous__tell_match(const struct rendezvous__group *group, bool is_list);
/* Of `most` who wait, the oldest. */
char *rendezvous__tell_stats(const rendezvous *desk, size_t most);

/* ---- roster.c: the same, of who is there --------------------------------------------------------- */

char *rendezvous__tell_roster(rendezvous *desk, struct rendezvous__place *place);
/* For who was too late: who is here, who is missing. */
char *rendezvous__tell_late(const rendezvous *desk, struct rendezvous__place *place);
/* Somebody came or went: all who wait there are asked for their next roster, before long. */
void rendezvous__rosters_soon(rendezvous *desk);
void rendezvous__rosters(void *desk); /* the timer's: now */

/* ---- weigh.c: desk->hall.bytes ------------------------------------------------------------------ */

/* What the place takes has changed. */
void rendezvous__place_weigh(struct rendezvous__place *place);
/* `text` is given away, also where there is no memory: NULL. */
struct rendezvous__told *rendezvous__told_new(rendezvous *desk, char *text);
struct rendezvous__told *rendezvous__told_share(struct rendezvous__told *told);
void rendezvous__told_drop(rendezvous *desk, struct rendezvous__told *told); /* NULL is fine */

/* ---- line.c ---------------------------------------------------------------------------------- */

/* A source both ways between each two of a group who have met and asked for it. */
void rendezvous__connect(struct rendezvous__group *group);

/* ---- place.c --------------------------------------------------------------------------------- */

/* What `ask` has moves into the place.  NULL: no memory. */
struct rendezvous__place *rendezvous__place_new(rendezvous *desk, struct rendezvous__ask *ask);
void rendezvous__place_free(struct rendezvous__place *place);
/* Of who comes again by his key: the one he had; or NULL. */
struct rendezvous__place *rendezvous__place_before(rendezvous *desk,
                                                   struct rendezvous__place *place);
/* Lets him come again by his key, if he has one; false: no memory. */
bool rendezvous__place_keep(struct rendezvous__place *place);
/* What the party says and accepts, as it asks.  CS_EINVAL with words in `why`, CS_ENOMEM. */
cs_err rendezvous__place_describe(struct rendezvous__place *place, char why[RENDEZVOUS__WHY]);
/* Until its next time comes: he may have sat down, left, or met. */
void rendezvous__place_wait(struct rendezvous__place *place);
/* It is over for him: whoever sits there is told. */
void rendezvous__place_end(struct rendezvous__place *place, cs_err why);
void rendezvous__sitter_end(struct rendezvous__sitter *sitter, cs_err why, const char *words);

static inline int64_t rendezvous__now(const rendezvous *desk)
{
    return cs_loop_now_ms(chanserv_server_loop(desk->server));
}

static inline struct rendezvous__place *rendezvous__place_of(struct rendezvous__party *party)
{
    return CS_CONTAINER(party, struct rendezvous__place, party);
}

#endif
