/* http1 -- what scenarios that speak HTTP/1.1 share. */
#ifndef TEST_ATTACK_HTTP1_H
#define TEST_ATTACK_HTTP1_H

#include "test/attack/attack.h"

#define HTTP1_HOST "Host: localhost\r\n"

/* Speaks no HTTP/2 at all; `words` are sent. */
struct peer *http1_dial(struct attack *attack, const char *words);
/* What came, as text: as frames of HTTP/2 it would be one that has not come whole. */
bool http1_begins(const struct peer *peer, const char *with);
/* It is told what this was with such a status, once, and let go. */
void http1_is_answered(struct attack *attack, struct peer *peer, const char *status, int ms);
void http1_is_served(struct attack *attack); /* somebody else, now */

#endif
