#include "mux/count__in.h"

#include "base/mem.h"
#include "proto/wire.h"

void mux__count_anew(struct mux__counting *counting)
{
    cs_free(counting->head);
    counting->head = NULL;
    counting->have = counting->left = 0;
}

static bool is_long(const uint8_t *prefix)
{
    return prefix[0] != 0 || wire_prefix_len(prefix) > MUX_LASTING_HEAD; /* a packed one was long */
}

static uint64_t weight(const struct mux_lasting_ops *ops, const uint8_t *message, size_t len)
{
    return is_long(message) ? 1 : ops->weigh(cs_bytes_of(message + WIRE_PREFIX, len));
}

/* Messages that lie there whole; answers how many bytes they are. */
static size_t count_whole(const struct mux_lasting_ops *ops, struct mux__counting *counting,
                          const uint8_t *bytes, size_t len)
{
    size_t at = 0, n;

    while (len - at >= WIRE_PREFIX && (n = wire_prefix_len(bytes + at)) <= len - at - WIRE_PREFIX) {
        counting->received += weight(ops, bytes + at, n);
        at += WIRE_PREFIX + n;
    }
    return at;
}

/* Half a message.  False: no memory. */
static bool count_begin(struct mux__counting *counting, const uint8_t *bytes, size_t len)
{
    if (len >= WIRE_PREFIX && is_long(bytes)) {
        counting->left = wire_prefix_len(bytes) - (uint32_t)(len - WIRE_PREFIX);
        return true;
    }
    if (len == 0)
        return true;
    if (!(counting->head = cs_alloc(WIRE_PREFIX + MUX_LASTING_HEAD)))
        return false;
    memcpy(counting->head, bytes, len);
    counting->have = (uint32_t)len;
    return true;
}

static size_t gather(struct mux__counting *counting, const uint8_t *bytes, size_t len, size_t until)
{
    size_t n = until - counting->have < len ? until - counting->have : len;

    memcpy(counting->head + counting->have, bytes, n);
    counting->have += (uint32_t)n;
    return n;
}

/* The rest of a message that began before; answers how many bytes that is. */
static size_t count_rest(const struct mux_lasting_ops *ops, struct mux__counting *counting,
                         const uint8_t *bytes, size_t len)
{
    size_t n = 0;

    if (counting->head && counting->have < WIRE_PREFIX)
        n = gather(counting, bytes, len, WIRE_PREFIX);
    if (counting->head && counting->have < WIRE_PREFIX)
        return n;
    if (counting->head && !is_long(counting->head)) {
        size_t whole = WIRE_PREFIX + (size_t)wire_prefix_len(counting->head);

        n += gather(counting, bytes + n, len - n, whole);
        if (counting->have < whole)
            return n;
        counting->received += weight(ops, counting->head, whole - WIRE_PREFIX);
        mux__count_anew(counting);
        return n;
    }
    if (counting->head) {
        uint32_t left = wire_prefix_len(counting->head);

        mux__count_anew(counting);
        counting->left = left;
    }
    len -= n;
    if (len < counting->left) {
        counting->left -= (uint32_t)len;
        return n + len;
    }
    n += counting->left;
    counting->left = 0;
    counting->received++;
    return n;
}

bool mux__count(const struct mux_lasting_ops *ops, struct mux__counting *counting,
                const uint8_t *bytes, size_t len)
{
    size_t n = 0;

    if (counting->head || counting->left > 0)
        n = count_rest(ops, counting, bytes, len);
    if (counting->head || counting->left > 0)
        return true;
    n += count_whole(ops, counting, bytes + n, len - n);
    return count_begin(counting, bytes + n, len - n);
}
