/* What a message of a peer is made of, and a look at it: one byte, so that it costs next to nothing.
 * Ours compare every byte. */
#ifndef BENCH_PEERS_SPOT_H
#define BENCH_PEERS_SPOT_H

#include "bench/bench.h"

static inline char spot_byte(int server)
{
    static int corrupts = -1;
    if (corrupts < 0)
        corrupts = getenv("BENCH_CORRUPT") != NULL;
    return server && corrupts ? 'y' : 'x';
}
/* A message, the server's or, in w7, the client's. */
static inline void spot_fill(void *message, size_t n, int server)
{
    memset(message, spot_byte(server), n);
}
/* One that need not be filled: the byte that is looked at. */
static inline void spot_seal(void *message, size_t n)
{
    char *bytes = BENCH_CAST(char *, message);
    if (n > 0)
        bytes[n - 1] = spot_byte(1);
}
static inline void spot_look(const void *message, size_t n)
{
    const char *bytes = BENCH_CAST(const char *, message);
    if (n > 0 && bytes[n - 1] != 'x')
        DIE("a message came with the wrong content");
}

#endif
