/* secure -- TLS for a peer, and half of it. */
#ifndef TEST_ATTACK_SECURE_H
#define TEST_ATTACK_SECURE_H

#include "test/attack/peer.h"

/* After peer_dial(): shakes hands, believes anybody, asks for h2.  False: it went wrong. */
bool peer_secure(struct peer *peer);

/* The first words of a client; answers their length. */
size_t secure_hello(uint8_t *to, size_t size);

#endif
