/* limits -- what a gateway bounds: a table of the columns of mux/limits.h, but for `counted`, which
 * chanserv/server.h has; fields of struct gateway_options.
 *
 *     ROW(X, option, unit, standard, name, counter, beyond)
 *
 * 0 is the standard, CS_OFF switches one off; but of keep_bytes it means that only the newest frame is kept.
 */
#ifndef GATEWAY_LIMITS_H
#define GATEWAY_LIMITS_H

#include "mux/limits.h"

/* clang-format off */
#define GATEWAY_LIMITS(ROW, X) \
    ROW(X, header_max_bytes, BYTES, 64 << 10, "http-header-max", http_heads_refused, \
        "request line and fields of HTTP/1.1: 431, or 414; of HTTP/2 it is the port's") \
    ROW(X, body_max_bytes, BYTES, 1 << 20, "http-body-max", http_bodies_refused, \
        "the body of a request: 413") \
    ROW(X, request_timeout_ms, MS, 10000, "http-request-timeout", http_timeouts, \
        "until the head of a request is there, and again until its body is: 408") \
    ROW(X, idle_timeout_ms, MS, 60000, "http-idle-timeout", http_idle, \
        "a connection of HTTP/1.1 between two requests: it is closed") \
    ROW(X, stall_timeout_ms, MS, 60000, "http-stall-timeout", http_stalled, \
        "an answer by HTTP/1.1 of which nobody reads a byte: the connection is cut") \
    ROW(X, linger_ms, MS, 30000, "http-linger", http_lingered, \
        "a source of GET /v1/source/ that waits for its reader: it ends") \
    ROW(X, keep_bytes, BYTES, 256 << 10, "http-keep", http_not_kept, \
        "of such a source, written last, for a reader who comes back: what is older is lost to him") \
    ROW(X, lingering_bytes, BYTES, 64 << 20, "http-lingering", http_lingering_lost, \
        "all such sources that nobody reads, and 1 KiB each: the one that waits longest ends")
/* clang-format on */

#define GATEWAY_LIMIT_FIELD(X, option, unit, standard, name, counter, beyond)                      \
    MUX_LIMIT_##unit option;

#endif
