/* wire_peer -- the other end of a wire: bytes as they are, on a link in memory to a server. */
#ifndef TEST_SUPPORT_WIRE_PEER_H
#define TEST_SUPPORT_WIRE_PEER_H

#include "chanserv/server.h"

typedef struct wire_peer wire_peer;

/* A connection to this server, with these options for its end (or NULL).  NULL: no memory. */
wire_peer *wire_peer_new(chanserv_server *server, const struct mux_options *options);
/* Sends as much as the link takes; false: it did not take all. */
bool wire_peer_say(wire_peer *peer, cs_bytes bytes);
void wire_peer_end(wire_peer *peer); /* its last word; it still listens */
/* What it heard since wire_peer_forget(); a NUL stands behind. */
cs_bytes wire_peer_heard(const wire_peer *peer);
void wire_peer_forget(wire_peer *peer);
/* It reads nothing; or `room` bytes more and then nothing.  CS_OFF: all again. */
void wire_peer_reads(wire_peer *peer, int64_t room);
bool wire_peer_hung_up(const wire_peer *peer); /* the server did */
void wire_peer_free(wire_peer *peer);          /* hangs up; NULL is fine */

#endif
