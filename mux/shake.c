/* shake -- between a link and a connection that is up: the handshake of TLS, if there is one. */
#include "mux/mux__in.h"

#include <stdio.h>

static void on_shaken(const char *why, void *user)
{
    mux_conn *conn = user;
    mux__link *link = conn->link;
    char story[MUX__TLS_WORDS + 300];

    if (!why) {
        conn->stats->tls_handshakes--;
        conn->stats->tls_connections_total++;
        mux__conn_up(conn, link);
        return;
    }
    conn->stats->tls_handshakes_failed++;
    conn->stats->handshake_timeouts += link->timed_out;
    if (conn->is_server) {
        cs_log(CS_INFO, "mux", "connection of %.*s: %s", CS_FMT(link->peer.addr), why);
        snprintf(story, sizeof story, "%s", why);
    } else {
        snprintf(story, sizeof story, "dial %s: %s", conn->addr ? conn->addr : "local", why);
    }
    mux__conn_lost(conn, CS_EREFUSED, story);
}

/* The handshake of what was dialed has what the dial has left of its time. */
static int time_for(const mux_conn *conn)
{
    int64_t left;

    if (conn->is_server)
        return conn->opt.handshake_timeout_ms;
    if (conn->opt.dial_timeout_ms == CS_OFF)
        return CS_OFF;
    left = conn->dialed_ms + conn->opt.dial_timeout_ms - cs_loop_now_ms(conn->loop);
    return left > 0 ? (int)left : 0;
}

cs_err mux__conn_begin(mux_conn *conn, mux__link *link, mux__tls *tls)
{
    cs_err err;

    if (!tls) {
        mux__conn_up(conn, link);
        return CS_OK;
    }
    err = mux__tls_link(tls, link, time_for(conn), on_shaken, conn, &conn->link);
    if (err == CS_OK) {
        if (conn->handlers && conn->handlers->wires)
            mux__tls_offer_http1(conn->link);
        conn->state = MUX__DIALING;
        conn->stats->tls_handshakes++;
    }
    return err;
}
