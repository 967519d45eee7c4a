/* looped -- a server of three loops, which here are one, and a connection of raw.h to each of them. */
#ifndef TEST_CHANSERV_LOOPED_H
#define TEST_CHANSERV_LOOPED_H

#include "raw.h"

#include "chanserv/loops__in.h"

enum { LOOPED = 3 };

extern struct looped {
    mux_conn *conns[LOOPED]; /* [0] is raw.conn at first */
    chanserv_outlet *outlet;
    chanserv_server *ran_on;
    int handled, asked;
    bool denies;
    int64_t uid;
    char peer[32];
} looped;

/* "p" and "p.ear" are parallel, "s" and "s.ear" are not: "N" frames of a byte (of "0": a million large
 * ones), and what says what it hears; so does how each of them ends. */
void looped_up_with(const struct chanserv_server_options *options);
void looped_up(void);
void looped_up_parallel(void);                                      /* without "s" and "s.ear" */
void looped_up_stay(const struct chanserv_server_options *options); /* so, with "p.stay" */
void looped_down(void);

struct chanserv__loops *looped_loops(void);
void looped_at(int loop);   /* what raw.h does from now on comes to that one */
void looped_lose(int loop); /* its connection breaks, */
void looped_roll(int loop); /* or is told to go */

cs_err looped_count(chanserv_post *post, cs_bytes body, void *user);
void looped_handled(mux_stream *stream, void *user); /* a method of the server's own */

void looped_say(struct raw_call *c, const void *msg, size_t len, bool last);
struct raw_call *looped_open_paused(const struct raw_call *post, int timeout_ms);

#endif
