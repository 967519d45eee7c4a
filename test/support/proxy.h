/* proxy -- stands between a client and a server of a test, and breaks what goes through it.
 *
 * Real sockets, a thread of its own.  What it does to its n-th connection, and after which byte,
 * follows from the seed alone.
 *
 *   PROXY_BYTES   knows nothing of what it passes
 *   PROXY_HTTP2   speaks HTTP/2 with both: all clients share one connection to the server.  It
 *                 takes up to 1 MiB of a stream ahead of its reader, giving credit itself.  The
 *                 streams of a client that is lost are reset there, by CANCEL or as Envoy does
 *                 by NO_ERROR; those of a server that is lost are reset here, by INTERNAL_ERROR
 */
#ifndef TEST_SUPPORT_PROXY_H
#define TEST_SUPPORT_PROXY_H

#include "base/base.h"

enum proxy_kind { PROXY_BYTES, PROXY_HTTP2 };

/* What may happen to a connection; each that is set, as the dice fall. */
enum proxy_act {
    PROXY_RESET = 1,   /* both ends are reset */
    PROXY_END = 2,     /* both ends are closed */
    PROXY_HALF = 4,    /* one way ends and the other goes on (bytes only) */
    PROXY_SWALLOW = 8, /* nothing passes any more, and nobody is told (bytes only) */
    PROXY_STALL = 16   /* nothing passes for stall_ms; then the dice fall again (bytes only) */
};

struct proxy_options {
    enum proxy_kind kind;
    const char *target; /* "127.0.0.1:PORT" or "unix:/path" */
    unsigned seed;
    unsigned acts; /* 0: it passes everything */
    int64_t bytes; /* one way, before something happens: 1 to so many */
    int most;      /* acts of all connections; what comes later lives in peace.  0: no end */
    int delay_ms;  /* what passes is so late (bytes only) */
    int stall_ms;
    bool no_error; /* HTTP/2: a client's streams are reset by NO_ERROR */
};

struct proxy_counts {
    int connections; /* of clients */
    int cuts;        /* acts but stalls */
    int resets, ends, halves, swallows, stalls;
    int upstream; /* of the cuts: those of the connection to the server (HTTP/2) */
};

typedef struct proxy proxy;

proxy *proxy_start(const struct proxy_options *options); /* NULL: no socket, no thread */
const char *proxy_addr(const proxy *p);                  /* "127.0.0.1:PORT" */
void proxy_count(proxy *p, struct proxy_counts *ret);    /* any thread */

/* From now on nothing passes, and nobody is told (bytes only).  Any thread. */
void proxy_swallow(proxy *p, bool swallows);
void proxy_stop(proxy *p); /* closes all there is; NULL: nothing */

#endif
