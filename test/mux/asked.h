/* asked -- a request of HTTP/2 that is not gRPC's: a peer who says frames, and who takes the request. */
#ifndef TEST_MUX_ASKED_H
#define TEST_MUX_ASKED_H

#include "mux/mux__in.h"
#include "test/mux/talk.h"
#include "test/support/fake_peer.h"

#define ASKED_HEAD                                                                                 \
    ":method", "PUT", ":scheme", "https", ":path", "/a?b=c", ":authority", "a.example"
#define ASKED_TYPE "content-type", "application/json"

enum { ASKED_WINDOW = 65535, ASKED_BIG = 400 * 1000 };

extern struct asked {
    struct talk talk;
    fake_peer *peer;
    struct { /* where the peer comes to, when it is another loop */
        cs_loop *loop;
        mux_handlers *handlers;
        mux_conn *way;
        int passed;
    } door;
    mux_stream *stream;
    bool leaves; /* nobody takes it */
    bool paused; /* readable takes nothing */
    void (*on_accept)(void), (*on_pull)(void), (*on_readable)(void);
    char heard[256];
    size_t pieces, bytes, longest, sent;
    int offers, ends, writables;
    cs_err last, why;
} asked;

void asked_take_in(mux_stream *stream, void *user); /* who accepts; `user` is &asked */
void asked_settle(void);                            /* both loops, when there are two */

/* The peer. */
void asked_request(bool whole);               /* its head, on stream 1 */
void asked_body(const char *text, bool last); /* a DATA of it */
void asked_expect(const char *frames);        /* what it heard since the last time */

/* Who took it. */
void asked_has(const char *name, const char *value); /* so its head is */
void asked_take(void);                               /* all that came */
void asked_send(const char *head, const char *tail);
void asked_set(const char *name, const char *value); /* of the answer's head */
void asked_pull(void); /* for on_pull: ASKED_BIG in all, and the end */

#endif
