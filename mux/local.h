/* local -- a connection inside the process: two ends on one loop, no socket.
 *
 * Room header: chanserv_join_local() and every story test on the virtual loop stand on it.  Real
 * HTTP/2 goes through it, with the same limits and credit; only the bytes travel in memory.
 */
#ifndef MUX_LOCAL_H
#define MUX_LOCAL_H

#include "mux/mux.h"

/* A client connection whose peer is a server connection that answers with `handlers`.  The server's
 * end ends with the client's, and the other way round.  It is what mux_dial() says: after a loss
 * the next call makes a new one, and so does a server's limit of streams, until
 * mux_handlers_end_local().  The handlers' memory stays until the client is freed. */
cs_err mux_dial_local(cs_loop *loop, const struct mux_options *client_options,
                      const struct mux_options *server_options, mux_handlers *handlers,
                      mux_conn **ret);

/* Ends every such connection's server end, and those of mux_dial_across(), as mux_port_free() does for a
 * port's: CS_EDRAIN. */
void mux_handlers_end_local(mux_handlers *handlers);

/* For tests of dying peers: from now on neither end hears anything of the other, nor an end. */
void mux_conn_swallow(mux_conn *conn);
/* For tests: the link breaks now, as if the peer's host had reset it. */
void mux_conn_break(mux_conn *conn);
/* And: this end has heard of it already. */
void mux_conn_lose(mux_conn *conn);
/* For tests: the next dial finds these handlers, as if another process had taken the place. */
void mux_conn_redirect(mux_conn *conn, mux_handlers *handlers);

#endif
