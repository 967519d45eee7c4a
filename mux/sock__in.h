/* sock -- what dialing, listening and socket links share about sockets.
 *
 * Private to mux.
 *
 *   sock      a socket as we want it, and the system's words for what went wrong
 *   resolve   a name becomes addresses, on a helper thread or at once
 *   lowat     how full a receive buffer must be before the kernel wakes us
 */
#ifndef MUX_SOCK_IN_H
#define MUX_SOCK_IN_H

#include "mux/link__in.h"

/* A stream socket: non-blocking, closed on exec.  -1: errno says why. */
int mux__sock_new(int family);

/* No waiting for more to send; harmless on unix sockets. */
void mux__sock_nodelay(int fd);

/* "connection refused": the system's words in our case. */
enum { MUX__WORDS = 96 };
void mux__sock_words(int error, char *to, size_t len);

/* ---- Names -------------------------------------------------------------------------------- */

struct mux__addrs {
    struct mux__sockaddr at[MUX__ADDRS_MAX];
    size_t len;
    char words[MUX__WORDS]; /* len 0: why */
};

/* Waits for the answer: for set-up time, and for helper threads. `passive`: to listen on. */
void mux__resolve_now(const struct mux__addr *addr, bool passive, struct mux__addrs *ret);

/* `done` once, from the loop, unless freed before; what it is given is valid inside only.  Freeing
 * is legal in `done`, and at any time while the helper thread runs. */
typedef struct mux__resolve mux__resolve;
cs_err mux__resolve_new(cs_loop *loop, const struct mux__addr *addr,
                        void (*done)(const struct mux__addrs *addrs, void *user), void *user,
                        mux__resolve **ret);
void mux__resolve_free(mux__resolve *resolve); /* NULL is fine */

/* ---- The low-water mark ------------------------------------------------------------------- */

struct mux__lowat {
    int fd;
    size_t max;        /* 0: never adapts */
    size_t mark;       /* what the kernel was told last; 1 at first */
    unsigned streak;   /* large reads in a row */
    unsigned patience; /* how many it takes before the mark goes up */
    bool has_read;     /* since the timer was set */
    cs_timer *timer;   /* set only while mark > 1 */
};
cs_err mux__lowat_init(struct mux__lowat *lowat, cs_loop *loop, int fd, size_t max);
void mux__lowat_fini(struct mux__lowat *lowat);
void mux__lowat_read(struct mux__lowat *lowat, size_t bytes); /* so many came in one read */

#endif
