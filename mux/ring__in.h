/* ring -- bytes on their way to an end of a link in memory.  Private to mux.
 *
 * It grows from 4 KiB to 256 KiB as it is filled, and takes no more than it has room for. */
#ifndef MUX_RING_IN_H
#define MUX_RING_IN_H

#include "mux/link__in.h"

struct mux__ring {
    uint8_t *base;
    size_t cap, from, len;
    size_t limit; /* how far it may grow; cap after a growth that found no memory, until a read */
};
cs_err mux__ring_init(struct mux__ring *ring); /* CS_ENOMEM */
void mux__ring_fini(struct mux__ring *ring);
void mux__ring_get(struct mux__ring *ring, void *to, size_t n); /* at most `len` */
/* Answers how many were taken. */
size_t mux__ring_put_all(struct mux__ring *ring, const struct iovec *iov, int iov_len);
size_t mux__iov_bytes(const struct iovec *iov, int iov_len);

#endif
