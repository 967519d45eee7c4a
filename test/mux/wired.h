/* wired -- a connection that does not speak HTTP/2, and its peer, who says bytes as they are, on a link in
 * memory.  Every callback checks that end() has not come yet. */
#ifndef TEST_MUX_WIRED_H
#define TEST_MUX_WIRED_H

#include "mux/mux__in.h"

#define WIRED_GET "GET / HTTP/1.1\r\n\r\n"

enum { WIRED_BIG = 1024 * 1024 };

extern struct wired {
    cs_loop *loop;
    mux_handlers *handlers;
    mux__link *peer; /* the other end; NULL: it hung up */
    char got[256];   /* what came there: the first of it, */
    size_t got_len;  /* and how much; each byte of WIRED_BIG is checked */
    bool deaf;       /* it reads nothing, */
    bool hung_up;    /* or read the end */

    mux_wire *wire;
    bool leaves; /* nobody accepts */
    bool rolls;  /* wants to be told */
    int idle;    /* so often readable takes nothing, and then turns reading off */
    void (*on_readable)(void), (*on_writable)(void);
    char heard[256]; /* what the wire received: bytes, and "|" for the end */
    int readables, writables, offers, ends, rolled;
    cs_err why, last;
    size_t sent;
    int64_t ended_ms;
} wired;

void wired_make(void);                              /* a loop, and who takes wires; nobody dialed */
void wired_dial(const struct mux_options *options); /* the server's; NULL: as they are */
void wired_begin(void);                             /* both */
void wired_end(void);
void wired_settle(void);
const struct mux_stats *wired_stats(void);

/* The peer. */
void wired_say(const char *text);
void wired_say_bytes(const void *bytes, size_t len);
void wired_hear(void); /* after it was deaf */
void wired_hang_up(void);
void wired_peer(mux__link *link); /* this is its link */

/* The wire's side. */
void wired_take_in(mux_wire *wire, void *user); /* who accepts; `user` is &wired */
void wired_send(const char *text);              /* in three pieces, the first of them empty */
void wired_answer(void);                        /* 200 to a whole head, and its last word */
void wired_pour(void);                          /* up to WIRED_BIG, as long as it is taken */

#endif
