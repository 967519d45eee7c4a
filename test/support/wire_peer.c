#include "test/support/wire_peer.h"

#include "chanserv/server__in.h"
#include "mux/mux__in.h"

#include <stdlib.h>

struct wire_peer {
    mux__link *link;
    char *heard; /* not of the library's memory: a test that lets it run short still listens */
    size_t len, cap;
    int64_t room;
    bool hung_up;
};

static void hear(wire_peer *peer, const char *bytes, size_t len)
{
    if (peer->len + len >= peer->cap) {
        peer->cap = 2 * (peer->len + len + 1);
        peer->heard = realloc(peer->heard, peer->cap);
        if (!peer->heard)
            abort();
    }
    memcpy(peer->heard + peer->len, bytes, len);
    peer->len += len;
    peer->heard[peer->len] = '\0';
}

static void on_ready(int can, void *user)
{
    wire_peer *peer = user;
    char bytes[4096];
    size_t n;
    cs_err err = CS_OK;

    (void)can;
    while (err == CS_OK && peer->room != 0) {
        size_t want = peer->room > 0 && peer->room < (int64_t)sizeof bytes ? (size_t)peer->room
                                                                           : sizeof bytes;
        if ((err = mux__link_read(peer->link, bytes, want, &n)) != CS_OK)
            break;
        hear(peer, bytes, n);
        peer->room -= peer->room > 0 ? (int64_t)n : 0;
    }
    peer->hung_up = err != CS_OK && err != CS_AGAIN;
    mux__link_want(peer->link, peer->room != 0 && !peer->hung_up, false);
}

wire_peer *wire_peer_new(chanserv_server *server, const struct mux_options *options)
{
    mux_handlers *handlers = chanserv__server_handlers(server);
    wire_peer *peer = calloc(1, sizeof *peer);
    mux__link *ends[2];

    if (!peer)
        abort();
    peer->room = CS_OFF;
    hear(peer, "", 0);
    if (mux__link_pair(chanserv_server_loop(server), ends) != CS_OK) {
        wire_peer_free(peer);
        return NULL;
    }
    peer->link = ends[0];
    mux__link_listen(peer->link, on_ready, peer);
    mux__link_want(peer->link, true, false);
    if (mux__conn_accept(chanserv_server_loop(server), ends[1], options, handlers,
                         &handlers->local_conns, NULL) != CS_OK) {
        mux__link_free(ends[1]);
        wire_peer_free(peer);
        return NULL;
    }
    return peer;
}

bool wire_peer_say(wire_peer *peer, cs_bytes bytes)
{
    struct iovec iov = {(void *)(uintptr_t)bytes.base, bytes.len};
    size_t n = 0;

    return bytes.len == 0 || (mux__link_write(peer->link, &iov, 1, &n) == CS_OK && n == bytes.len);
}

void wire_peer_end(wire_peer *peer)
{
    (void)mux__link_shut(peer->link);
}

cs_bytes wire_peer_heard(const wire_peer *peer)
{
    return cs_bytes_of(peer->heard, peer->len);
}

void wire_peer_forget(wire_peer *peer)
{
    peer->len = 0;
    peer->heard[0] = '\0';
}

void wire_peer_reads(wire_peer *peer, int64_t room)
{
    peer->room = room;
    mux__link_want(peer->link, room != 0 && !peer->hung_up, false);
}

bool wire_peer_hung_up(const wire_peer *peer)
{
    return peer->hung_up;
}

void wire_peer_free(wire_peer *peer)
{
    if (!peer)
        return;
    mux__link_free(peer->link);
    free(peer->heard);
    free(peer);
}
