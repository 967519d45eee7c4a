/* tls -- options of transport security that outlive the struct they were given in.
 *
 * Room header: a server listens, and a client dials, long after its options were given. */
#ifndef MUX_TLS_H
#define MUX_TLS_H

#include "mux/mux.h"

/* One allocation with its strings; cs_free() it.  NULL: no memory. */
struct mux_tls *mux_tls_dup(const struct mux_tls *tls);

#endif
