/* counters -- the server's own and those of its connections, in one table; histograms the same. */
#include "chanserv/loops__in.h"

#include "mux/roll.h"

static void add_queued(mux_conn *conn, void *user)
{
    struct mux_conn_look look;

    mux_conn_look(conn, &look);
    *(uint64_t *)user += look.queued;
}

/* By asking, because a message on its way is not to pay for it. */
static uint64_t queued(chanserv_server *server)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < server->ports_len; i++)
        mux_port_each(server->ports[i], add_queued, &bytes);
    mux_handlers_each_local(server->handlers, add_queued, &bytes);
    return bytes;
}

void chanserv__counters_here(chanserv_server *server, struct chanserv__counted *all)
{
    const struct mux_stats *mux = mux_handlers_stats(server->handlers);
    struct chanserv_counters *ret = &all->counters;

    all->histograms = server->histograms;
    all->histograms.window_shut = mux->window_shut;
    *ret = server->counters;
    ret->sessions_kept = server->kept_attached.bytes + server->kept_lingering.bytes;
    ret->sessions_waits = server->kept_attached.waits + server->kept_lingering.waits;
    ret->keep_waits = server->kept_attached.own_waits + server->kept_lingering.own_waits;
    ret->connections = mux->connections;
    ret->connections_total = mux->connections_total;
    ret->connections_refused = mux->connections_refused;
    ret->accepts_paused = mux->accepts_paused;
    ret->connections_peer_refused = mux->connections_peer_refused;
    ret->tls_connections_total = mux->tls_connections_total;
    ret->tls_handshakes = mux->tls_handshakes;
    ret->tls_handshakes_failed = mux->tls_handshakes_failed;
    ret->bytes_in = mux->bytes_in;
    ret->bytes_out = mux->bytes_out;
    ret->queued_bytes = queued(server);
    ret->streams = mux->streams;
    ret->streams_total = mux->streams_total;
    ret->busy_polls = cs_loop_busy_polls(server->loop).looks;
    ret->busy_poll_hits = cs_loop_busy_polls(server->loop).hits;
    ret->bad_requests = mux->bad_requests;
    ret->connections_rolled = mux->connections_rolled;
    ret->pings_lost = mux->pings_lost;
    ret->messages_gzipped = mux->messages_gzipped;
    ret->gzip_saved = mux->gzip_saved;
#define X(name, help) ret->name = server->foreign.name;
    CHANSERV_FOREIGN_COUNTERS(X)
#undef X
#define X(name, help) ret->name = mux->name;
    MUX_LIMIT_COUNTERS(X)
#undef X
}

static void count(chanserv_server *server, struct chanserv__counted *ret)
{
    chanserv__counters_here(server, ret);
    if (server->loops)
        chanserv__loops_count(server, ret);
}

void chanserv_server_counters(chanserv_server *server, struct chanserv_counters *ret)
{
    struct chanserv__counted now;

    count(server, &now);
    *ret = now.counters;
}

void chanserv_server_histograms(chanserv_server *server, struct chanserv_histograms *ret)
{
    struct chanserv__counted now;

    count(server, &now);
    *ret = now.histograms;
}
