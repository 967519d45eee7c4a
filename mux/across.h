/* across -- calls that go on at another loop of the process.
 *
 * Room header: a server of several loops stands on it.
 *
 *     client ── stream ──▶ loop B ── the same call, on a connection in memory ──▶ loop A
 *
 *   mux_dial_across()   that connection: real HTTP/2 by our own client, its two ends on two loops
 *   mux_stream_pass()   a call that came here is made there, and each tells the other all that is said
 *   mux_handlers_send_wires()  connections that do not speak HTTP/2 live at one of them
 *   mux_port_beside()   connections that one port accepts, on several loops
 *   mux_handlers_count_with()  and all are counted together
 *
 * Who answers there sees the peer and the metadata of the call as they came here.
 */
#ifndef MUX_ACROSS_H
#define MUX_ACROSS_H

#include "mux/mux.h"
#include "mux/stats.h"

/* A client connection of `loop` whose server's end is on `there`, and answers with `handlers`, which
 * belong to that loop.  Both stay until it is freed and each loop has turned since.  `options` are of
 * both ends; it has no TLS, no age and no keepalive.  It is what mux_dial_local() says but for that: the
 * handlers' limits and stats do not count it, and it is not rolled over.  CS_ENOMEM. */
cs_err mux_dial_across(cs_loop *loop, const struct mux_options *options, cs_loop *there,
                       mux_handlers *handlers, mux_conn **ret);

/* The same handlers' ends of such connections: what they count. */
const struct mux_stats *mux_handlers_across(mux_handlers *handlers);
/* Did the call come by such a connection? */
bool mux_stream_is_across(const mux_stream *stream);

struct mux_pass {
    mux_conn *to;   /* of mux_dial_across(), on this loop */
    cs_bytes first; /* what was taken of it already: its first message; base NULL: nothing */
    bool whole;     /* and that was all */
    void (*rolled)(mux_stream *stream, void *user); /* as of mux_stream_ops; or NULL */
    void (*end)(void *user); /* the call is over here, and `stream` goes; or NULL */
    void *user;
};
/* The call (a server's) goes on there, by the same method, or as the plain stream that it is: its stream, taken with mux_stream_accept() or not,
 * belongs to us.  From now on each message, the headers, the status and the trailers, a half-close, a reset
 * and a deadline go through, each way only as the other end of it has room.  Not in pull() or end().
 * CS_ENOMEM, CS_ECANCELED: nothing has changed. */
cs_err mux_stream_pass(mux_stream *stream, const struct mux_pass *pass);

/* A port of another loop that listens nowhere: it has the connections that `port` accepts for it, with its
 * own handlers.  Made while nobody runs the two loops, and freed after `port`.  Failures as of mux_listen(),
 * but for the address. */
cs_err mux_port_beside(cs_loop *loop, const mux_port *port, const struct mux_options *options,
                       mux_handlers *handlers, mux_port **ret, char *why, size_t why_len);
/* Whose is the connection that comes next?  A port beside it, or NULL: its own. */
typedef mux_port *mux_share_fn(const mux_port *port, void *user);
void mux_port_share(mux_port *port, mux_share_fn *whose, void *user);

/* Connections are counted against the limits of both together.  Made before `handlers` have any, while nobody
 * runs the two loops. */
void mux_handlers_count_with(mux_handlers *handlers, mux_handlers *with);

/* Connections that turn out to be wires (mux/foreign.h) become another loop's: they are offered to the
 * function that `to` has then, and end as connections of mux_dial_local() to it do.  They count against
 * the limits of `to`.  Those of `handlers` come to pass only while it has such a function itself, which
 * is never called.  Made while nobody runs the two loops; `to` stays until each loop has turned. */
void mux_handlers_send_wires(mux_handlers *handlers, cs_loop *there, mux_handlers *to);

#endif
