/* chanserv stat -- a server looked into: what there is, and what it waits for.
 *
 * THREADS    That of the server's first loop (or nobody runs it).
 */
#ifndef CHANSERV_STAT_H
#define CHANSERV_STAT_H

#include "base/histogram.h"
#include "chanserv/server.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- What is served ------------------------------------------------------------------------- */

/* Is there a service of this name, as clients write it (the name space included), that the caller of
 * `stream` may be shown?  As the method Services does; `stream` NULL: nobody is asked. */
CS_API bool chanserv_server_shows(chanserv_server *server, cs_bytes service, mux_stream *stream);

/* The gRPC services that have methods here, "chanserv.v1.Chanserv" and those of chanserv_handle(), each
 * once; false past the last.  `*at` begins at 0; the name is good as long as the server. */
CS_API bool chanserv_server_grpc_service(const chanserv_server *server, size_t *at, cs_bytes *ret);

/* A drain has begun, or the server was freed: nothing new is taken. */
CS_API bool chanserv_server_is_going(const chanserv_server *server);

/* For the server's whole life.  `changed`: services came or went, or a drain began; from the loop, several
 * changes at once.  `gone`: exactly once, last; the server is not there any more.  Either may be NULL.
 * CS_ENOMEM. */
CS_API cs_err chanserv_server_watch(chanserv_server *server, void (*changed)(void *user),
                                    void (*gone)(void *user), void *user);

/* ---- What runs, and what it waits for ------------------------------------------------------- */

/* X(name, word, what it waits for) */
#define CHANSERV_WAITS(X)                                                                          \
    X(NOTHING, "", "nothing: it goes on as fast as it can")                                        \
    X(ROOM, "room", "a source: room on its post for the announcement")                             \
    X(CLAIM, "claim", "a source: announced, and nobody has opened it")                             \
    X(WINDOW, "window", "its reader: the window of its stream is shut")                            \
    X(CONNECTION, "connection", "the connection: its window is shut, or the kernel takes no more") \
    X(ACKS, "acks", "a source of a session: so much is unacknowledged that no more is kept")       \
    X(PRODUCER, "producer", "its producer, who said CS_AGAIN")                                     \
    X(READER, "reader", "its client, who is away")                                                 \
    X(SOURCES, "sources", "a post that is over: its last sources")
enum chanserv_waits {
#define X(name, word, what) CHANSERV_WAITS_##name,
    CHANSERV_WAITS(X)
#undef X
};
CS_API const char *chanserv_waits_word(enum chanserv_waits waits);

enum chanserv_stat_kind {
    CHANSERV_STAT_CONNECTION,
    CHANSERV_STAT_SESSION,
    CHANSERV_STAT_POST,
    CHANSERV_STAT_SOURCE
};

/* One of them, as it was at one moment.  What makes no sense for its kind is 0 or empty. */
struct chanserv_stat {
    enum chanserv_stat_kind kind;
    enum chanserv_waits waits;
    uint32_t loop; /* 0: the first */
    uint64_t
        number; /* its own, on that loop, never used twice; of a source its place in the post, 0 before
                           that is said */
    uint64_t of;        /* the post of a source, the connection of the others; 0: of none now */
    cs_bytes service;   /* of posts and sources */
    cs_bytes peer;      /* its address */
    int64_t age_ms;     /* of a source: since it was announced */
    int64_t still_ms;   /* since something of it went out, or was heard of a connection */
    uint64_t bytes_in;  /* of a connection */
    uint64_t bytes_out; /* the same */
    uint64_t messages;  /* frames of a source so far, announcements of a post */
    uint64_t queued;    /* bytes that wait to go out */
    uint64_t kept;      /* bytes of a session, or of one of its posts or sources, unacknowledged */
    int64_t credit;     /* bytes that the peer takes now; can be below 0 */
    uint64_t parts;     /* streams of a connection, channels of a session, sources of a post */
};
typedef void chanserv_stat_fn(const struct chanserv_stat *stat, void *user);

/* Looks at all that runs, on every loop: `fn` is called for each connection, then each session, then each
 * post followed by its sources; loop by loop.  It must not change anything of the server, and what `stat`
 * points at is good until it returns.  At most `max` of each loop, which does nothing else meanwhile.
 * *ret_left (or NULL): how many were left out, without those of loops that
 * are busy for 100 ms, or had no memory to say it. */
CS_API void chanserv_server_stat(chanserv_server *server, size_t max, chanserv_stat_fn *fn,
                                 void *user, uint64_t *ret_left);

/* ---- How long it takes ---------------------------------------------------------------------- */

/* X(name, from what to what).  By the clock of the loop, which stands while a turn lasts: what a service
 * computes before it answers in the same turn is not in it. */
#define CHANSERV_HISTOGRAMS(X)                                                                     \
    X(post_answer, "from the arrival of a post to its first announcement")                         \
    X(post, "from the arrival of a post to the end of its stream")                                 \
    X(claim, "from the announcement of a source to its opening")                                   \
    X(window_shut, "from the byte that shut the window of a stream to its reader opening it "      \
                   "again")

struct chanserv_histograms {
#define X(name, help) struct cs_histogram name;
    CHANSERV_HISTOGRAMS(X)
#undef X
};
/* Of several loops the sum, as chanserv_server_counters(). */
CS_API void chanserv_server_histograms(chanserv_server *server, struct chanserv_histograms *ret);

#ifdef __cplusplus
}
#endif
#endif
