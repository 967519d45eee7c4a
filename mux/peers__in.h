/* peers -- how many connections each peer has: of an address without its port, or of a user at a unix
 * socket.  Who takes all places that there are leaves none to others. */
#ifndef MUX_PEERS_IN_H
#define MUX_PEERS_IN_H

#include "mux/link__in.h"

struct mux__peer_count;

/* One more connection of whom the link comes from.  CS_ELIMIT: mux_handlers_set_peer_max();
 * CS_ENOMEM.  *ret is what to leave; NULL when nobody counts. */
cs_err mux__peer_enter(mux_handlers *handlers, const mux__link *link, struct mux__peer_count **ret);
void mux__peer_leave(mux_handlers *handlers, struct mux__peer_count *count); /* NULL is fine */
/* The connection leaves it when it is lost. */
void mux__peer_give(mux_conn *conn, struct mux__peer_count *count);

#endif
