#include "mux/ring__in.h"

enum { RING_FIRST = 4 * 1024, RING_MAX = 256 * 1024 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

cs_err mux__ring_init(struct mux__ring *ring)
{
    *ring = (struct mux__ring){cs_alloc(RING_FIRST), .cap = RING_FIRST, .limit = RING_MAX};
    return ring->base ? CS_OK : CS_ENOMEM;
}

void mux__ring_fini(struct mux__ring *ring)
{
    cs_free(ring->base);
    ring->base = NULL;
}

void mux__ring_get(struct mux__ring *ring, void *to, size_t n)
{
    size_t first = least(n, ring->cap - ring->from);

    memcpy(to, ring->base + ring->from, first);
    memcpy((uint8_t *)to + first, ring->base, n - first);
    ring->from = (ring->from + n) % ring->cap;
    ring->len -= n;
    ring->limit = RING_MAX;
}

static bool grow(struct mux__ring *ring, size_t cap)
{
    size_t first = least(ring->len, ring->cap - ring->from);
    uint8_t *base = cs_alloc(cap);

    if (!base)
        return false;
    memcpy(base, ring->base + ring->from, first);
    memcpy(base + first, ring->base, ring->len - first);
    cs_free(ring->base);
    ring->base = base;
    ring->cap = cap;
    ring->from = 0;
    return true;
}

static size_t put(struct mux__ring *ring, const uint8_t *from, size_t n)
{
    size_t cap = ring->cap, at, first;

    while (cap < ring->len + n && cap < ring->limit)
        cap *= 2;
    if (cap > ring->cap && !grow(ring, cap))
        ring->limit = ring->cap; /* no memory is only less room: it comes back as it is read */
    n = least(n, ring->cap - ring->len);
    at = (ring->from + ring->len) % ring->cap;
    first = least(n, ring->cap - at);
    memcpy(ring->base + at, from, first);
    memcpy(ring->base, from + first, n - first);
    ring->len += n;
    return n;
}

size_t mux__ring_put_all(struct mux__ring *ring, const struct iovec *iov, int iov_len)
{
    size_t taken = 0, n;

    for (int i = 0; i < iov_len; i++) {
        if (iov[i].iov_len == 0)
            continue;
        n = put(ring, iov[i].iov_base, iov[i].iov_len);
        taken += n;
        if (n < iov[i].iov_len)
            break;
    }
    return taken;
}

size_t mux__iov_bytes(const struct iovec *iov, int iov_len)
{
    size_t sum = 0;

    for (int i = 0; i < iov_len; i++)
        sum += iov[i].iov_len;
    return sum;
}
