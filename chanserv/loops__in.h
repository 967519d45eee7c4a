/* loops__in -- a server of several loops.  Private to chanserv.
 *
 *     clients ──▶ loop 0: the server that the user holds ─┐
 *     clients ──▶ loop 1: another, beside it              ├─ each can pass a call to each other
 *     clients ──▶ loop 2: another                        ─┘  (mux/across.h)
 *
 * Each loop carries a whole server: its own connections, posts, tickets and sessions, touched by its
 * thread alone.  A call is answered where what it is about lives, and passed there by the loop it came
 * to (route.c).  Nothing else knows of it.
 */
#ifndef CHANSERV_LOOPS_IN_H
#define CHANSERV_LOOPS_IN_H

#include "chanserv/server__in.h"

#include <pthread.h>

enum { CHANSERV__LOOPS_MAX = 255 }; /* a ticket has a byte for it */

struct chanserv__loops {
    chanserv_server **all; /* [0] is the one that the user holds */
    size_t len, cap;
    pthread_t *threads; /* of [1] and on, the first `running` of them */
    size_t running;
    size_t next;       /* whose the next connection is */
    bool begun, ended; /* services of all loops are fixed; nobody is there to pass a call to */
    bool parallel;     /* every service is, so sessions live where they began; else on loop 0 */
    atomic_bool stops;
    pthread_mutex_t lock;   /* of: */
    struct cs_map sessions; /* `parallel`: public part of the name -> its server */
    uint64_t asked;         /* counters, or stat: the number of the question */
    size_t stat_max;
    pthread_cond_t counted;
};

/* The server of `loop`, or (NULL) of as many loops of their own, becomes one of `n`. */
cs_err chanserv__loops_new(chanserv_server *server, const struct chanserv_server_options *options,
                           cs_loop *loop, size_t n);
void chanserv__loops_free(chanserv_server *server); /* NULL loops: nothing */

/* Services are fixed now; and, unless all loops are one, the others run. */
cs_err chanserv__loops_begin(chanserv_server *server); /* CS_ESYS */
void chanserv__loops_pause(chanserv_server *server);   /* they have stopped when it returns */
/* All say their last words, and all but the first go.  Nobody runs any of them. */
void chanserv__loops_end(chanserv_server *server);

/* Connections of this port are for all loops. */
cs_err chanserv__loops_listen(chanserv_server *server, mux_port *port, char *why, size_t why_len);
void chanserv__loops_reload(chanserv_server *server);
void chanserv__loops_drain(chanserv_server *server, int grace_ms); /* or CS_OFF */
void chanserv__loops_count(chanserv_server *server, struct chanserv__counted *add_to);
/* at.stat of all the others is as they are now, or empty. */
void chanserv__loops_stat(chanserv_server *server, size_t max);

/* What the others have said of their draining. */
size_t chanserv__loops_held(const chanserv_server *server); /* tickets may come of so many posts */
bool chanserv__loops_shut(const chanserv_server *server);   /* none waits for a connection */
bool chanserv__loops_over(const chanserv_server *server);   /* nothing runs on any */

/* A session begins on this loop; and is gone.  CS_EEXIST, CS_ENOMEM. */
cs_err chanserv__loops_home(chanserv_server *server, uint64_t session);
void chanserv__loops_forget(chanserv_server *server, uint64_t session);

/* ---- route.c: where a call is answered; true: not here, and it was passed, or refused.  It had a state
 * that was a copy: that is gone then, or will be.  `first` is the message of which `asked` is a part. */

bool chanserv__route_post(mux_stream *stream, chanserv_server *server,
                          const struct wire_post *asked, cs_bytes first);
bool chanserv__route_open(mux_stream *stream, chanserv_server *server,
                          const struct wire_open *asked, cs_bytes first, bool whole);
bool chanserv__route_session(mux_stream *stream, chanserv_server *server, cs_bytes session,
                             cs_bytes first);
/* Calls that loop 0 answers, whatever they say; not accepted yet. */
bool chanserv__route_services(mux_stream *stream, chanserv_server *server);
bool chanserv__route_raw(mux_stream *stream, chanserv_server *server);
/* A mux_accept_fn for plain streams (mux/foreign.h) of a loop that is not the first: they go there. */
void chanserv__route_plain(mux_stream *stream, void *server);

#endif
