/* stats -- what a room counts, read by chanserv's counters.
 *
 * Room header.  A struct of plain numbers in the options' place: connections add to the one that
 * they were given; all of a loop's thread. */
#ifndef MUX_STATS_H
#define MUX_STATS_H

#include "base/histogram.h"
#include "mux/mux.h"

#define MUX_STATS(X)                                                                               \
    X(connections_total, "connections accepted or dialed")                                         \
    X(connections, "connections that stand now")                                                   \
    X(connections_refused, "connections closed at once: mux_handlers_set_max()")                   \
    X(connections_peer_refused, "connections closed at once: mux_handlers_set_peer_max()")         \
    X(accepts_paused, "times nobody was let in for want of descriptors or memory")                 \
    X(connections_rolled, "connections told to go: their age, a new certificate, a drain")         \
    X(tls_connections_total, "connections with TLS whose handshake went well")                     \
    X(tls_handshakes, "TLS handshakes under way now")                                              \
    X(tls_handshakes_failed, "TLS handshakes that failed or took too long")                        \
    X(streams_total, "streams opened, either way")                                                 \
    X(streams, "streams open now")                                                                 \
    X(bytes_in, "bytes read from links")                                                           \
    X(bytes_out, "bytes written to links")                                                         \
    X(pings_lost, "connections ended because a PING stayed without answer")                        \
    X(bad_requests, "requests that were not gRPC, or of no known method")                          \
    X(streams_no_place, "calls ended because the peer's limit of streams left no place")           \
    X(windows_grown, "times a stream's window was made larger because it paid")                    \
    X(messages_gzipped, "messages sent compressed")                                                \
    X(gzip_saved, "bytes that compressing them saved")                                             \
    MUX_LIMIT_COUNTERS(X)

struct mux_stats {
#define X(name, help) uint64_t name;
    MUX_STATS(X)
#undef X
    /* Of a stream, from its last byte out to the peer's opening it. */
    struct cs_histogram window_shut;
};

/* What the connections of a table of handlers count; NULL for none. */
struct mux_stats *mux_handlers_stats(mux_handlers *handlers);
/* For how long nothing of the stream went out. */
int64_t mux_stream_still_ms(const mux_stream *stream);
/* What the peer still takes of it; below 0: less than nothing.  0 of one that no connection carries. */
int64_t mux_stream_window_left(const mux_stream *stream);
/* A connection looked at. */
struct mux_conn_look {
    uint64_t number; /* see roll.h */
    uint64_t bytes_in, bytes_out;
    int64_t age_ms, heard_ms; /* since it stands; since the last sign of life */
    int64_t credit;           /* what the peer takes, on all streams together */
    size_t streams, queued;   /* open; bytes that wait on them and in the batch */
    bool blocked, goes;       /* the kernel takes no more; no new streams */
};
void mux_conn_look(mux_conn *conn, struct mux_conn_look *ret);
/* What a client's connection counts. */
const struct mux_stats *mux_conn_stats(const mux_conn *conn);

#endif
