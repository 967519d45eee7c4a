/* held -- what a peer makes a server hold, of one connection together.
 *
 * Room header.  connection_memory_bytes (limits.h) in four equal parts, so that none starves another:
 *
 *   lists     header lists of requests, and of messages what has come while the rest has not
 *   long      messages that are put together, each by the length that it promises
 *   ahead     what an owner has queued for his client, and says here
 *   answers   HEADERS and other frames without DATA that nghttp2 could not write yet
 *
 * What waits whole in a stream's window is bounded by that, and counts nowhere here.  A client's own
 * connections, and those between two loops of a process, have no bound.
 */
#ifndef MUX_HELD_H
#define MUX_HELD_H

#include "mux/mux.h"

/* So much is queued for the stream's client, now; it goes with the stream to another connection, and
 * ends with it. */
void mux_stream_hold(mux_stream *stream, size_t bytes);

/* As much as may be is queued for all streams of its connection.  Who queues nothing may queue one more
 * all the same: nobody would tell him later. */
bool mux_stream_is_crowded(const mux_stream *stream);

#endif
