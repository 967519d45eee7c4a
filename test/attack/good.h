/* good -- a client beside the attack that does nothing wrong, on a thread and addresses of its own:
 * posts, now on a connection that stays and now on a new one, and knows each byte of the answer. */
#ifndef TEST_ATTACK_GOOD_H
#define TEST_ATTACK_GOOD_H

#include "test/attack/attack.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { GOOD_LIMIT_MS = 2000 };

struct good {
    int port;
    enum fate fate;
    bool secure; /* speaks TLS */
    pthread_t thread;
    atomic_bool over, rests, resting, failed; /* what it shall do, and what it does */
    atomic_int rounds, slowest_ms;
    char why[200]; /* not served; valid once it was stopped */
};

bool good_start(struct good *good, int port, const struct scenario *scenario);
/* Until good_go() it has its one connection and asks nothing. */
void good_rest(struct good *good);
void good_go(struct good *good);
void good_stop(struct good *good);

#endif
