#include "mux/count__in.h"

#include "base/mem.h"
#include "proto/wire.h"

/* A message is looked at where it lies; of a short one the beginning is put together, of a long one it is
 * enough to know how much is to come. */
struct mux__half {
    uint32_t left; /* of a long one, or 0 */
    uint32_t have;
    uint8_t head[WIRE_PREFIX + MUX_LASTING_HEAD];
};

void mux__count_anew(struct mux__counting *counting)
{
    cs_free(counting->half);
    counting->half = NULL;
}

static bool is_long(const uint8_t *prefix)
{
    return prefix[0] != 0 || wire_prefix_len(prefix) > MUX_LASTING_HEAD; /* a packed one was long */
}

static uint64_t weight(const struct mux_lasting_ops *ops, const uint8_t *message, size_t len)
{
    return is_long(message) ? 1 : ops->weigh(cs_bytes_of(message + WIRE_PREFIX, len));
}

/* The first, and those behind it that are as long, as most are: where the next one lies is known then before it
 * is read, and the processor does not wait for one after the other. */
static size_t count_alike(struct mux__counting *counting, const uint8_t *bytes, size_t len,
                          size_t size)
{
    size_t at = 0;

    do {
        counting->received++;
        at += size;
    } while (len - at >= size && memcmp(bytes + at, bytes, WIRE_PREFIX) == 0);
    return at;
}

/* Messages that lie there whole; answers how many bytes they are. */
static size_t count_whole(const struct mux_lasting_ops *ops, struct mux__counting *counting,
                          const uint8_t *bytes, size_t len)
{
    size_t at = 0, n;

    while (len - at >= WIRE_PREFIX && (n = wire_prefix_len(bytes + at)) <= len - at - WIRE_PREFIX) {
        if (is_long(bytes + at)) {
            at += count_alike(counting, bytes + at, len - at, WIRE_PREFIX + n);
            continue;
        }
        counting->received += weight(ops, bytes + at, n);
        at += WIRE_PREFIX + n;
    }
    return at;
}

/* Half a message.  False: no memory. */
static bool count_begin(struct mux__counting *counting, const uint8_t *bytes, size_t len)
{
    struct mux__half *half;

    if (len == 0)
        return true;
    if (!(half = counting->half = cs_alloc(sizeof *half)))
        return false;
    half->left = half->have = 0;
    if (len >= WIRE_PREFIX && is_long(bytes))
        half->left = wire_prefix_len(bytes) - (uint32_t)(len - WIRE_PREFIX);
    else
        memcpy(half->head, bytes, half->have = (uint32_t)len);
    return true;
}

static size_t gather(struct mux__half *half, const uint8_t *bytes, size_t len, size_t until)
{
    size_t n = until - half->have < len ? until - half->have : len;

    memcpy(half->head + half->have, bytes, n);
    half->have += (uint32_t)n;
    return n;
}

/* The rest of a message that began before; answers how many bytes that is. */
static size_t count_rest(const struct mux_lasting_ops *ops, struct mux__counting *counting,
                         const uint8_t *bytes, size_t len)
{
    struct mux__half *half = counting->half;
    size_t n = 0;

    if (half->left == 0 && half->have < WIRE_PREFIX) {
        n = gather(half, bytes, len, WIRE_PREFIX);
        if (half->have < WIRE_PREFIX)
            return n;
    }
    if (half->left == 0 && !is_long(half->head)) {
        size_t whole = WIRE_PREFIX + (size_t)wire_prefix_len(half->head);

        n += gather(half, bytes + n, len - n, whole);
        if (half->have < whole)
            return n;
        counting->received += weight(ops, half->head, whole - WIRE_PREFIX);
        mux__count_anew(counting);
        return n;
    }
    if (half->left == 0)
        half->left = wire_prefix_len(half->head);
    len -= n;
    if (len < half->left) {
        half->left -= (uint32_t)len;
        return n + len;
    }
    n += half->left;
    counting->received++;
    mux__count_anew(counting);
    return n;
}

bool mux__count(const struct mux_lasting_ops *ops, struct mux__counting *counting,
                const uint8_t *bytes, size_t len)
{
    size_t n = 0;

    if (counting->half)
        n = count_rest(ops, counting, bytes, len);
    if (counting->half)
        return true;
    n += count_whole(ops, counting, bytes + n, len - n);
    return count_begin(counting, bytes + n, len - n);
}
