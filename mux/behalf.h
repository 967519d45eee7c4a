/* behalf -- who called, as bytes: for calls that are made inside the process for somebody else.
 *
 * Room header.  The metadatum MUX_BEHALF of a call that comes by mux_dial_local() says whose it is: the
 * server's end takes it out, and mux_stream_peer() is that peer.  By any other way it is a metadatum
 * like all others. */
#ifndef MUX_BEHALF_H
#define MUX_BEHALF_H

#include "base/inner.h"
#include "mux/mux.h"

#define MUX_BEHALF "chanserv-behalf-bin"

CS_INNER size_t mux_peer_packed_len(const struct mux_peer *peer);
/* Writes that many bytes to `*to`, which moves behind them. */
CS_INNER void mux_peer_pack(const struct mux_peer *peer, uint8_t **to);
/* One block, for cs_free(); `*at`, of what was packed in this process, moves behind it.  NULL: no memory. */
struct mux_peer *mux_peer_unpack(const uint8_t **at);
CS_INNER struct mux_peer *mux_peer_dup(const struct mux_peer *peer);

#endif
