/* served -- a server on a virtual loop, with services for a fuzzer to ask for:
 *
 *   "a"   three sources: one lazy with a frame in parts and a gap, one eager, one that listens and
 *         says again what it hears
 *   "s"   a source at once, another with each wake-up; stays until its client leaves
 *   "c"   one source poured from a channel
 *   "f"   fails, behind a header and a trailer
 *
 * Who is allowed nothing asks for "n".  What was taken must have ended once when all is over.
 */
#ifndef TEST_FUZZ_SERVED_H
#define TEST_FUZZ_SERVED_H

#include "chanserv/server.h"

enum { /* how */
       SERVED_GZIP = 1,
       SERVED_NARROW = 2,   /* limits that a small input can reach */
       SERVED_NO_LINGER = 4 /* no sessions */
};

struct served {
    cs_loop *loop;
    chanserv_server *server;
    mux_handlers *handlers;
    struct chanserv_server_options options;
};

void served_begin(struct served *s, unsigned how);
void served_wake(void);            /* posts and sources that wait */
void served_end(struct served *s); /* after its connections */

#endif
