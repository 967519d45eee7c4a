/* tickets -- of the sources that were announced to a peer. */
#ifndef TEST_ATTACK_TICKETS_H
#define TEST_ATTACK_TICKETS_H

#include "test/attack/attack.h"

enum { TICKET = 32, TICKETS = 1000 };

struct tickets {
    uint8_t all[TICKETS][TICKET];
    uint64_t len;
};
extern struct tickets tickets; /* of the post that came last */

/* Posts on this stream, and has at least `n` tickets, or says that it has not.  Answers the peer. */
struct peer *tickets_take(struct attack *attack, struct peer *peer, uint32_t id,
                          const char *service, const char *body, uint64_t n);
void tickets_open(struct peer *peer, uint32_t id, const uint8_t *ticket);

#endif
