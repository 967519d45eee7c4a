/* roll -- a server's connections that are told to go, and go when their last call has ended.
 *
 * Room header: what draining a server is made of.  Rolling over is two GOAWAYs, so that no call is
 * refused that was on its way (RFC 9113, 6.8):
 *
 *      OPEN ──▶ NOTICE ───────▶ LAST ─────────▶ SHUT ─────────▶ gone
 *               GOAWAY 2^31-1   GOAWAY with     no stream is    the peer hung up,
 *               and PING        the last id     left            or a second went by
 *                  │              ▲
 *                  └─ PING answered, or a second
 *
 * A stream that comes before LAST is served; one that comes after it is refused, and never ran.  In
 * LAST each stream's rolled() is told.  Everything on the loop of the connections.
 */
#ifndef MUX_ROLL_H
#define MUX_ROLL_H

#include "mux/mux.h"

/* Begins that.  One whose hands are still being shaken begins when it stands; one that has begun,
 * was freed or is a client's: nothing. */
void mux_conn_roll(mux_conn *conn);
bool mux_conn_takes_none(const mux_conn *conn); /* it is in LAST or behind it: no new streams */

/* Of a server's connection that stands: 1, 2, 3 ... as its handlers met them, never used twice; 0: of
 * mux_dial_across(). */
uint64_t mux_conn_number(const mux_conn *conn);

/* Every connection of it that stands, in any order; `fn` may roll it over. */
typedef void mux_conn_fn(mux_conn *conn, void *user);
void mux_port_each(mux_port *port, mux_conn_fn *fn, void *user);
void mux_handlers_each_local(mux_handlers *handlers, mux_conn_fn *fn, void *user);

/* No new connections from now on; those that wait to be accepted still are, and those that stand
 * stay.  The port's address is free for somebody else. */
void mux_port_shut(mux_port *port);
void mux_handlers_shut_local(mux_handlers *handlers);

#endif
