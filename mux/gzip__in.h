/* gzip -- one message compressed, and read again (RFC 1952).  All that is spoken with zlib.
 *
 * Private to mux.  A message is compressed by itself: nothing is remembered from one to the next,
 * so any stream's messages can be said in any order, kept, and sent to somebody else.
 */
#ifndef MUX_GZIP_IN_H
#define MUX_GZIP_IN_H

#include "base/base.h"

enum { MUX__GZIP_MIN = 128 }; /* in shorter messages there is little to gain */

/* What compressing needs, 264 KiB: a server has one for all its connections, a client's connection
 * one of its own. */
struct mux__gzip;
void mux__gzip_free(struct mux__gzip *gzip); /* NULL is fine */

/* `head` and `tail` as one message, compressed: *ret_len bytes of the block, fewer than both have.
 * NULL: it would not get smaller, does not look as if it would, or there is no memory; then it goes
 * as it is.  `*gzip` is made when it is first needed. */
cs_block *mux__gzip_pack(struct mux__gzip **gzip, cs_bytes head, cs_bytes tail, size_t *ret_len);

/* Reads a compressed message into a block of its own size, any thread.  It is judged by the size it
 * claims before anything is allocated, and a claim is believed only as far as gzip can go.
 *   CS_ETOOBIG  more than `max` bytes
 *   CS_EPROTO   not exactly one whole gzip member: damaged, cut, followed by something, or its
 *               claim is wrong
 *   CS_ENOMEM */
cs_err mux__gzip_unpack(cs_bytes packed, size_t max, cs_block **ret);

#endif
