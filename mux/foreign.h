/* foreign -- what comes to a port and is not gRPC.
 *
 *   wire          a connection whose first bytes begin no HTTP/2: bytes both ways, plain or TLS
 *   plain stream  a request of HTTP/2 whose content-type is not application/grpc: a body both ways
 *
 * The ground of the gateway; nothing here knows HTTP/1.  Without the two functions set below, a port
 * hangs up on the one and answers 415 to the other.
 *
 * THREADS    As mux.h.  With several loops in a server, wires come to its first; see mux/across.h.
 * CALLBACKS  Come only from the loop, once a turn; from one you may call anything.
 * LIMITS     Both are counted and bounded with their port's other connections and streams: so many
 *            connections, of one peer too; preface_timeout_ms until the first byte; idle_timeout_ms
 *            without a byte either way, and connection_age_ms, after which a wire is rolled over.
 */
#ifndef MUX_FOREIGN_H
#define MUX_FOREIGN_H

#include "mux/mux.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Wires -------------------------------------------------------------------------------- */

typedef struct mux_wire mux_wire;

struct mux_wire_ops {
    size_t state_bytes; /* see mux.h, "State" */

    /* There are bytes to receive, or the end (a part of a record of TLS is neither, and told too).  While
     * reading is wanted, as it is at first; and in each turn again until all is taken: who takes none
     * turns reading off. */
    void (*readable)(mux_wire *wire, void *state);

    /* send() took not all, and would now take more.  Once. */
    void (*writable)(mux_wire *wire, void *state);

    /* Exactly once, last.  CS_DONE: after mux_wire_finish().  Else what mux_wire_cancel() said, or
     * CS_EPEER the peer left, CS_EDRAIN the port was freed or the wire rolled over, CS_ENOMEM.  The wire
     * goes when this returns. */
    void (*end)(mux_wire *wire, cs_err why, void *state);

    /* At most once: no new requests, please (a drain, a new certificate, its age, idleness).  Answer
     * what has come, then mux_wire_finish(); what does not end is ended when the port is freed.
     * NULL: the wire ends at once, CS_EDRAIN. */
    void (*rolled)(mux_wire *wire, void *state);

    void (*reserved[2])(void);
};

/* A connection came that is none of HTTP/2: its first byte that differs from "PRI * HTTP/2.0" could be
 * one of an HTTP/1 method (a token, RFC 9110, 5.6.2; also behind CR LF), or TLS agreed on "http/1.1".
 * What was read to find that out is there for mux_wire_recv().  Take it with mux_wire_accept() before
 * returning, else it is closed. */
typedef void mux_wire_fn(mux_wire *wire, void *user);

/* Of all ports of these handlers, for connections that come from now on; NULL: as before, they are
 * closed with a line in the log.  While it is set a port with TLS offers "h2" and "http/1.1", and
 * takes clients that offer nothing if they then speak HTTP/1; and a port says its SETTINGS when the
 * client has begun to speak HTTP/2. */
CS_API void mux_handlers_set_wire(mux_handlers *handlers, mux_wire_fn *accept, void *user);

/* CS_EMISUSE: it is taken already; CS_ENOMEM: nothing has changed. */
CS_API cs_err mux_wire_accept(mux_wire *wire, const struct mux_wire_ops *ops, void *state);

/* Up to `size` bytes: CS_OK, *n > 0 of them; CS_AGAIN: readable() will tell, if reading is wanted;
 * CS_DONE: the peer has said its last word, and may still listen; a failure: end() comes. */
CS_API CS_MUST_USE cs_err mux_wire_recv(mux_wire *wire, void *to, size_t size, size_t *n);

/* Sends them joined; nothing is queued here.  CS_OK: all were taken.  CS_AGAIN: *taken bytes of them were,
 * be it 0, and writable() will tell.  A failure: the wire is over or finished; end() comes. */
CS_API CS_MUST_USE cs_err mux_wire_send(mux_wire *wire, const cs_bytes *pieces, size_t pieces_len,
                                        size_t *taken);

/* While it is off nothing is read and the kernel holds the peer back; but that the peer hung up is still
 * seen (a half-close counts: it cannot be told from leaving), also behind bytes that wait, and ends
 * the wire CS_EPEER.  Whoever means to answer those who close their half leaves reading on; that one of
 * them, whose last word was received, left altogether shows when something is sent to him. */
CS_API void mux_wire_want(mux_wire *wire, bool reading);

/* Our last word was sent: it goes out, behind it our half is closed (TLS: close_notify first), what
 * the peer says is dropped until it hangs up or a second went by, so that no reset takes the answer
 * along; then end(CS_DONE).  No other callback comes before that. */
CS_API void mux_wire_finish(mux_wire *wire);

/* Closes now, whatever waits; end(why) still comes, and nothing else. */
CS_API void mux_wire_cancel(mux_wire *wire, cs_err why);

CS_API const struct mux_peer *mux_wire_peer(const mux_wire *wire);
CS_API bool mux_wire_is_tls(const mux_wire *wire);
CS_API void *mux_wire_state(const mux_wire *wire); /* NULL before mux_wire_accept() */
CS_API cs_loop *mux_wire_loop(const mux_wire *wire);

/* ---- Plain streams ------------------------------------------------------------------------ */

/* A server's stream whose request is not gRPC's: any method, any path, any content-type but
 * application/grpc, application/grpc+proto and the like.  It is a mux_stream with these differences.
 *
 *   mux_stream_header()      also finds ":method", ":path", ":authority" (or "host"), ":scheme",
 *                            "grpc-timeout", which is yours to keep; "-bin" names are as all others
 *   mux_stream_recv()        gives pieces of the body as they come, of any size but 0; CS_DONE at its end
 *   mux_stream_send(), _ref  pieces of the body, never compressed; room, pull, wake, writable as ever
 *   mux_stream_set_header()  any name in lower case but those that HTTP/2 has a use for ("connection",
 *                            "transfer-encoding", ...); "content-type" and "content-length" are yours
 *   mux_stream_finish()      CS_OK: the body ends, behind what is queued; with the trailers of
 *                            mux_stream_set_trailer(), if any.  A failure: as mux_stream_abort()
 *   mux_stream_abort()       500 with nothing in it if nothing was said yet, else RST_STREAM(INTERNAL_ERROR)
 *
 * What the framework itself ends (a stall, a stream that nobody took) ends as by mux_stream_abort().
 * A body has no limit, window apart. */

/* Of all connections of these handlers; NULL: 415 as before.  Take a stream with mux_stream_accept()
 * before returning, else it is answered 404. */
CS_API void mux_handlers_set_plain(mux_handlers *handlers, mux_accept_fn *accept, void *user);
CS_API bool mux_stream_is_plain(const mux_stream *stream);

/* The status, 200 to 599, once, before the first byte of the body; nothing goes out before it is said:
 * who sends or finishes without it says 200.  CS_EMISUSE: not plain, no such status, or too late. */
CS_API cs_err mux_stream_respond(mux_stream *stream, int status);

#ifdef __cplusplus
}
#endif
#endif
