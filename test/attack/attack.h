/* attack -- what a scenario is, and what it may use.
 *
 * A scenario is one kind of hostile client.  The runner starts a server for it, lets it rage, and
 * judges what became of the server and of an innocent client beside it: see main.c.  A scenario
 * only says what is wrong with the answers that it itself got. */
#ifndef TEST_ATTACK_ATTACK_H
#define TEST_ATTACK_ATTACK_H

#include "base/base.h"
#include "test/attack/peer.h"

enum { PEERS_MAX = 4096 };

struct attack {
    int port;
    struct work work;
    uint64_t seed;
    char why[256]; /* what went wrong first; "": nothing */
    struct peer *peers[PEERS_MAX];
    int peers_len;
};

/* A connection that ends with the scenario at the latest; never NULL, perhaps over. */
struct peer *attack_dial(struct attack *attack); /* says nothing yet */
struct peer *attack_open(struct attack *attack); /* said the preface and SETTINGS */
void attack_drop(struct attack *attack, struct peer *peer);
/* What has come for each that is not deaf, without waiting. */
void attack_hear(struct attack *attack);

void attack_wrong(struct attack *attack, const char *format, ...) CS_PRINTF(2, 3);
#define EXPECT(attack, condition, ...)                                                             \
    do {                                                                                           \
        if (!(condition))                                                                          \
            attack_wrong(attack, __VA_ARGS__);                                                     \
    } while (0)

uint64_t attack_random(struct attack *attack); /* by the seed */

/* The server still answers this connection. */
void attack_is_served(struct attack *attack, struct peer *peer, uint32_t id);
/* It was told to go with ENHANCE_YOUR_CALM, or only cut. */
void attack_is_cut(struct attack *attack, struct peer *peer);

/* What becomes of the innocent client, where a limit is everybody's: it is served as ever; no new
 * connection of it comes in; it is answered, perhaps RESOURCE_EXHAUSTED. */
enum fate { SERVED, CROWDED, REFUSED };

/* Once `run` is over its peers go on hearing until the counter has moved, 5 s at most: it need not wait
 * for what the server does by itself. */
struct scenario {
    const char *name;
    const char *limit; /* the row of the table of limits that it breaks; NULL: a class of attack */
    const char *counter; /* that moves by `moves` */
    int64_t moves;
    uint64_t least;      /* frames and connections that it makes */
    const char *options; /* of the server, besides the usual; NULL: none */
    void (*run)(struct attack *attack);
    enum fate fate;
    bool secure;  /* the server wants TLS, and the innocent client speaks it */
    int data_mib; /* RLIMIT_DATA of the server; 0: none */
};

/* Each ends with one without a name. */
extern const struct scenario attack_resets[], attack_floods[], attack_fields[], attack_windows[],
    attack_links[], attack_bodies[], attack_sessions[], attack_limits[], attack_secure[],
    attack_harmless[], attack_http1[], attack_http1_sources[];

#endif
