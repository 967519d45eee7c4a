/* trap -- what a hostile server is, and what it may use.  See trap.c. */
#ifndef TEST_ATTACK_TRAP_H
#define TEST_ATTACK_TRAP_H

#include "base/base.h"
#include "test/attack/peer.h"

enum { TRAP_PEERS = 60 };

struct trapped;

struct trap {
    const char *name;
    const char *options; /* of `chanserv post` */
    int clients;         /* one after the other; 0: one */
    uint64_t least;      /* bytes and frames that it says */
    bool cuts;           /* what is said to client n ends after n + 1 bytes */
    bool may_be_well;    /* the client may have got what it asked for */
    bool is_mute;        /* it is never asked anything */
    bool many_requests;  /* it asks for them */
    /* Each of them may be NULL: a connection came (NULL: SETTINGS); a request (NULL: a good answer);
     * every millisecond, and whenever something came. */
    void (*greet)(struct trapped *t, struct peer *peer);
    void (*request)(struct trapped *t, struct peer *peer, uint32_t id);
    void (*tick)(struct trapped *t, struct peer *peer);
};

struct trapped {
    const struct trap *trap;
    struct work work;
    uint64_t seed, requests;
    int round, turns; /* which client; milliseconds of it, roughly */
    size_t cut_at;    /* 0: not */
    bool hangs_up;    /* set by a scenario: this connection ends behind what was said */
    uint32_t id;      /* for a scenario to remember */
    unsigned seq;
    struct peer *peers[TRAP_PEERS];
    int peers_len;
    long kib;
    uint64_t codes[33];
    char why[512], said[256];
};

/* As a good server says it: HEADERS of an answer; its trailers; an announcement with a ticket of so many
 * bytes; the first word to a session; all of an answer. */
void trap_answer(struct peer *peer, uint32_t id);
void trap_end(struct peer *peer, uint32_t id, const char *status);
void trap_announce(struct peer *peer, uint32_t id, unsigned seq, size_t ticket);
void trap_session(struct peer *peer, uint32_t id);
void trap_good(struct peer *peer, uint32_t id);
bool trap_asks(const struct peer *peer, const char *method); /* was it this one that came last? */

void trap_wrong(struct trapped *t, const char *format, ...) CS_PRINTF(2, 3);
uint64_t trap_random(struct trapped *t);

extern const struct trap traps[], traps_slow[]; /* the last has no name */

#endif
