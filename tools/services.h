/* services -- `chanserv services`: what its two parts share, the asking and the saying. */
#ifndef TOOLS_SERVICES_H
#define TOOLS_SERVICES_H

#include "tools/connect.h"
#include "tools/interrupt.h"
#include "tools/service_list.h"

struct services;
struct services_node {
    struct services *services;
    const char *addr;
    mux_conn *conn;
    mux_stream *stream; /* NULL: it is not asked now */
    cs_timer *again;    /* --watch: when to ask it again */
    struct service_list list;
    bool told; /* that it cannot be asked */
};

struct services {
    struct connect connect;
    const char *only;
    bool json, watch;
    struct services_node *nodes;
    size_t len, waiting; /* those that neither answered nor failed yet */
    cs_loop *loop;
    struct interrupt interrupt;
    bool over;  /* what ends now is our doing */
    cs_err why; /* the first failure */
};

/* The names of all nodes, each once, sorted.  CS_ENOMEM. */
cs_err services_put(const struct services *services);

/* --watch: what is in the node's list and was not before, and the other way round. */
void services_put_changes(const struct services_node *node, const struct service_list *before);

#endif
