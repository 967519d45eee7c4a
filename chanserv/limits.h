/* limits -- what a server bounds beside its connections: the second half of mux/limits.h's table, with
 * the same columns; fields of struct chanserv_server_options.
 */
#ifndef CHANSERV_LIMITS_H
#define CHANSERV_LIMITS_H

#include "mux/limits.h"

/* clang-format off */
#define CHANSERV_LIMITS(ROW, X) \
    ROW(X, connections_max, COUNT, 10000, "connections-max", connections_refused, \
        "connections refused: connections_max", "connections at once: one more is closed as it comes") \
    ROW(X, connections_peer_max, COUNT, 5000, "connections-peer-max", connections_peer_refused, \
        "connections refused: connections_peer_max", \
        "connections of one address, or of one user of a unix socket: one more is closed") \
    ROW(X, posts_max, COUNT, 100000, "posts-max", posts_refused_limit, \
        "posts refused: posts_max", "posts that run at once: RESOURCE_EXHAUSTED, it never ran") \
    ROW(X, posts_peer_max, COUNT, 50000, "posts-peer-max", posts_peer_refused, \
        "posts refused: posts_peer_max", \
        "of these of one identity, or without any of one address: the same") \
    ROW(X, opens_peer_max, COUNT, 500000, "opens-peer-max", opens_peer_refused, \
        "opens refused: opens_peer_max", \
        "sources of his posts that are open: RESOURCE_EXHAUSTED, and the ticket stays good") \
    ROW(X, memory_max_percent, COUNT, 90, "memory-max-percent", posts_refused_memory, \
        "posts refused: memory_max_percent", \
        "of the machine, its control group or RLIMIT_DATA, that the process has: posts end RESOURCE_EXHAUSTED, " \
        "and ten channels a second without a session that stand still, the longest first") \
    ROW(X, sources_max, COUNT, 1000000, "sources-max", announce_refused_limit, \
        "announcements refused: sources_max", \
        "sources at once, announced or open: announce says CS_ELIMIT") \
    ROW(X, post_sources_max, COUNT, 65536, "post-sources-max", announce_unopened, \
        "announcements told to wait: post_sources_max", \
        "sources of one post announced and not opened: announce says CS_AGAIN") \
    ROW(X, post_queue_bytes, BYTES, 1 << 20, "post-queue", announce_again, \
        "announcements told to wait: post_queue_bytes", \
        "announcements of one post that wait for their client: announce says CS_AGAIN") \
    ROW(X, accept_timeout_ms, MS, 30000, "accept-timeout", accept_timeouts, \
        "sources that nobody opened in time", "an announced source that nobody opens: it ends, accept-timeout") \
    ROW(X, frame_max_bytes, BYTES, 100 << 20, "frame-max", frames_too_large, \
        "frames refused: frame_max_bytes", \
        "a frame, on the sender when that is we: its source ends RESOURCE_EXHAUSTED, too-large") \
    ROW(X, assembly_bytes, BYTES, 256 << 20, "assembly", assembly_refused, \
        "readers ended: assembly_bytes", \
        "all frames of readers that are being put together: their source ends RESOURCE_EXHAUSTED") \
    ROW(X, sessions_max, COUNT, 100000, "sessions-max", sessions_refused_limit, \
        "sessions refused: sessions_max", "sessions at once: RESOURCE_EXHAUSTED") \
    ROW(X, channels_max, COUNT, 1000000, "channels-max", channels_refused, \
        "posts and opens refused: channels_max", \
        "posts and sources of sessions, until their client is done with them: RESOURCE_EXHAUSTED") \
    ROW(X, lingering_max, COUNT, 4096, "lingering-max", lingering_lost, \
        "sessions lost: lingering_max", "sessions without a connection: the oldest is lost") \
    ROW(X, lingering_peer_max, COUNT, 256, "lingering-peer-max", lingering_peer_lost, \
        "sessions lost: lingering_peer_max", \
        "of these of one identity, or without any of one address: its oldest is lost") \
    ROW(X, lingering_bytes, BYTES, 64 << 20, "lingering", lingering_bytes_lost, \
        "sessions lost: lingering_bytes", \
        "bytes kept for these: the oldest is lost, and the newest alone may have more") \
    ROW(X, keep_bytes, BYTES, 1 << 20, "keep", keep_waits, \
        "times a producer waited for keep_bytes", \
        "of a channel of a session, sent and not acknowledged, but for the newest message if over 16 KiB: " \
        "its producer waits") \
    ROW(X, attached_bytes, BYTES, 256 << 20, "attached", sessions_waits, \
        "times a producer waited for attached_bytes or lingering_bytes", \
        "bytes kept for the others: a producer waits until each message is acknowledged")
/* clang-format on */

/* X(name, help) of each row's counter. */
#define CHANSERV_LIMIT_COUNTERS(X) CHANSERV_LIMITS(MUX_LIMIT_COUNTER, X)

#endif
