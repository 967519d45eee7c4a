/* peers -- how many connections there are, and how many each peer has: of an address without its port, or of
 * a user at a unix socket.  Who takes all places that there are leaves none to others.
 *
 * The loops of a server count in one table, under a lock that only coming and going takes. */
#ifndef MUX_PEERS_IN_H
#define MUX_PEERS_IN_H

#include "base/map.h"
#include "mux/link__in.h"

#include <pthread.h>

struct mux__peers {
    pthread_mutex_t lock; /* of all this */
    unsigned refs;        /* handlers */
    int64_t all;
    struct cs_names names; /* of struct mux__peer_count */
};
cs_err mux__peers_new(struct mux__peers **ret); /* CS_ENOMEM */
struct mux__peers *mux__peers_hold(struct mux__peers *peers);
void mux__peers_drop(struct mux__peers *peers);
int64_t mux__peers_all(struct mux__peers *peers);

struct mux__peer_count;

/* One more connection of whom the link comes from.  CS_ELIMIT: mux_handlers_set_peer_max();
 * CS_ENOMEM.  *ret is what to leave. */
cs_err mux__peer_enter(mux_handlers *handlers, const mux__link *link, struct mux__peer_count **ret);
void mux__peer_leave(mux_handlers *handlers, struct mux__peer_count *count); /* NULL is fine */
/* The connection leaves it when it is lost. */
void mux__peer_give(mux_conn *conn, struct mux__peer_count *count);

#endif
