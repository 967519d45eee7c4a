/* rx -- see rx.h.
 *
 *     first                        last
 *     [at ....... end] -> [....] -> [...]     segments, each a view into a block
 *      ^ the first message begins here
 *
 * A message that lies whole in one segment is handed out as it is.  One that straddles is put
 * together in `big`; a long one as its bytes come, so that it may be longer than the window.  One that was
 * compressed is unpacked into a `big` of its own, when it is whole and asked for: what waits stays small.
 */
#include "mux/rx.h"

#include "base/mem.h"
#include "base/ref.h"
#include "mux/gzip__in.h"
#include "proto/wire.h"

enum {
    LONG = 2 * 1024, /* a shorter message can just wait: less than a quarter of a window */
    FIRST_GRANT = 1024 * 1024, /* what a prefix alone may make us allocate */
    SMALL_SHARE = 4,           /* a message of a quarter of its block or less is kept by copying */
    SETTLED_MIN = 512,         /* into blocks of this size, doubling; from the first again beyond */
    SETTLED_MAX = 16 * 1024
};

void mux_rx_init(struct mux_rx *rx, int64_t message_max)
{
    memset(rx, 0, sizeof *rx);
    rx->message_max =
        message_max < 0 || message_max > UINT32_MAX ? UINT32_MAX : (uint32_t)message_max;
    cs_link_init(&rx->fresh);
    cs_link_init(&rx->waits);
}

static void segment_free(struct mux_segment *s)
{
    cs_block_drop(s->block);
    cs_free(s);
}

/* A message that is put together. */
struct mux_rx_big {
    cs_block *block;
    size_t len, have;
    size_t roomed; /* its share of the room */
    bool packed;   /* it is still compressed */
};

static void big_free(struct mux_rx *rx)
{
    if (!rx->big)
        return;
    if (rx->big->roomed > 0) {
        rx->room->used -= (int64_t)rx->big->roomed;
        rx->room->freed = true;
    }
    cs_block_drop(rx->big->block);
    cs_free(rx->big);
    rx->big = NULL;
}

static void release(struct mux_rx *rx) /* what the last message was a view into */
{
    cs_block_drop(rx->held);
    rx->held = NULL;
    rx->lent = false;
    if (rx->big && rx->big->have == rx->big->len)
        big_free(rx);
}

void mux_rx_fini(struct mux_rx *rx)
{
    release(rx);
    big_free(rx);
    for (struct mux_segment *s = rx->first, *next; s; s = next) {
        next = s->next;
        segment_free(s);
    }
    rx->first = rx->last = NULL;
    rx->bytes = 0;
    cs_unlink(&rx->fresh);
    cs_unlink(&rx->waits);
}

cs_err mux_rx_add(struct mux_rx *rx, const uint8_t *bytes, size_t len, cs_block *block)
{
    struct mux_segment *s = cs_alloc(sizeof *s);
    if (!s)
        return CS_ENOMEM;
    s->next = NULL;
    s->at = bytes;
    s->end = bytes + len;
    s->block = cs_block_keep(block);
    s->own = false;
    s->restart = rx->restart_next;
    rx->restarts = rx->restarts || s->restart;
    rx->restart_next = false;
    if (rx->last)
        rx->last->next = s;
    else
        rx->first = s;
    rx->last = s;
    rx->bytes += (uint32_t)len;
    return CS_OK;
}

static void pop(struct mux_rx *rx)
{
    rx->first = rx->first->next;
    if (!rx->first)
        rx->last = NULL;
}

/* Moves up to `len` bytes out of the segments. */
static size_t move(struct mux_rx *rx, uint8_t *to, size_t len)
{
    size_t done = 0;
    while (done < len && rx->first) {
        struct mux_segment *s = rx->first;
        size_t n = (size_t)(s->end - s->at);
        if (n > len - done)
            n = len - done;
        memcpy(to + done, s->at, n);
        done += n;
        s->at += n;
        if (s->at == s->end) {
            pop(rx);
            segment_free(s);
        }
    }
    rx->bytes -= (uint32_t)done;
    rx->taken += (uint32_t)done;
    return done;
}

static bool peek_prefix(const struct mux_rx *rx, uint8_t to[WIRE_PREFIX])
{
    size_t n = 0;
    for (const struct mux_segment *s = rx->first; s && n < WIRE_PREFIX; s = s->next)
        for (const uint8_t *p = s->at; p < s->end && n < WIRE_PREFIX;)
            to[n++] = *p++;
    return n == WIRE_PREFIX;
}

static cs_err check_prefix(const struct mux_rx *rx, const uint8_t *prefix)
{
    if (prefix[0] > rx->gzip) /* no coding was negotiated (gRPC: INTERNAL) */
        return CS_EPROTO;
    return wire_prefix_len(prefix) > rx->message_max ? CS_ETOOBIG : CS_OK;
}

/* Room for `len` bytes; the block is nobody else's while a message is under way. */
static cs_err big_grow(struct mux_rx_big *big, size_t len)
{
    cs_block *block = cs_block_new(len);
    if (!block)
        return CS_ENOMEM;
    if (big->block) {
        memcpy(cs_block_bytes(block), cs_block_bytes(big->block), big->have);
        cs_block_drop(big->block);
    }
    big->block = block;
    return CS_OK;
}

/* A prefix is only a promise: memory follows the bytes, by doubling. */
static cs_err big_fill(struct mux_rx *rx)
{
    struct mux_rx_big *big = rx->big;
    while (big->have < big->len && rx->bytes) {
        size_t want = big->have + rx->bytes;
        if (want > big->len)
            want = big->len;
        if (want > big->block->size) {
            size_t grant = 2 * big->block->size > want ? 2 * big->block->size : want;
            cs_err err = big_grow(big, grant > big->len ? big->len : grant);
            if (err != CS_OK)
                return err;
        }
        big->have += move(rx, cs_block_bytes(big->block) + big->have, want - big->have);
    }
    return big->have < big->len ? CS_AGAIN : CS_OK;
}

static bool has_room(struct mux_rx *rx, size_t len)
{
    struct mux_rx_room *room = rx->room;
    const bool has = !room || room->used == 0 || room->used + (int64_t)len <= room->max;

    if (has) {
        cs_unlink(&rx->waits);
    } else if (!cs_linked(&rx->waits)) {
        rx->waits_for = (uint32_t)len;
        cs_list_push(&room->waits, &rx->waits);
    }
    return has;
}

/* The block before the bytes: without memory nothing has been taken. */
static cs_err big_begin(struct mux_rx *rx, size_t len, bool whole, bool packed)
{
    struct mux_rx_big *big = cs_zalloc(sizeof *big);
    cs_err err = big ? big_grow(big, len > FIRST_GRANT && !whole ? FIRST_GRANT : len) : CS_ENOMEM;
    if (err != CS_OK) {
        cs_free(big);
        return err;
    }
    big->len = len;
    big->packed = packed;
    if (rx->room && !whole) {
        big->roomed = len;
        rx->room->used += (int64_t)len;
    }
    rx->big = big;
    return CS_OK;
}

/* Puts what was in the message at its place; what it came in goes. */
static cs_err unpack(struct mux_rx *rx, cs_bytes *msg)
{
    struct mux_rx_big *big = cs_zalloc(sizeof *big);
    cs_err err = big ? mux__gzip_unpack(*msg, rx->message_max, &big->block) : CS_ENOMEM;
    release(rx);
    if (err != CS_OK) {
        cs_free(big);
        return err;
    }
    big->len = big->have = big->block->size;
    *msg = cs_bytes_of(cs_block_bytes(big->block), big->len);
    rx->big = big;
    return CS_OK;
}

static cs_err next_in_pieces(struct mux_rx *rx, cs_bytes *ret)
{
    cs_err err;
    if (!rx->big) {
        uint8_t prefix[WIRE_PREFIX];
        if (!peek_prefix(rx, prefix))
            return CS_AGAIN;
        if ((err = check_prefix(rx, prefix)) != CS_OK)
            return err;
        size_t len = wire_prefix_len(prefix);
        bool whole = rx->bytes - WIRE_PREFIX >= len;
        if (!whole && (len < LONG || !has_room(rx, len)))
            return CS_AGAIN;
        if ((err = big_begin(rx, len, whole, prefix[0])) != CS_OK)
            return err;
        move(rx, prefix, WIRE_PREFIX);
    }
    if ((err = big_fill(rx)) != CS_OK)
        return err;
    *ret = cs_bytes_of(cs_block_bytes(rx->big->block), rx->big->len);
    return rx->big->packed ? unpack(rx, ret) : CS_OK;
}

/* Bytes that stand before the first restart; all of them when there is none. */
static size_t until_restart(const struct mux_rx *rx, bool *found)
{
    size_t n = 0;
    *found = false;
    for (const struct mux_segment *s = rx->first; s && !*found; s = s->next) {
        *found = s->restart;
        n += *found ? 0 : (size_t)(s->end - s->at);
    }
    return n;
}

static bool is_whole_within(const struct mux_rx *rx, size_t n)
{
    uint8_t prefix[WIRE_PREFIX];
    if (rx->big)
        return n >= rx->big->len - rx->big->have;
    return n >= WIRE_PREFIX && peek_prefix(rx, prefix) &&
           n - WIRE_PREFIX >= wire_prefix_len(prefix);
}

/* Half a message before a restart goes; what is dropped counts as taken. */
static void drop_halves(struct mux_rx *rx)
{
    size_t n;
    while (rx->restarts &&
           ((n = until_restart(rx, &rx->restarts)) == 0 || !is_whole_within(rx, n))) {
        if (!rx->restarts)
            return;
        big_free(rx);
        for (struct mux_segment *s = rx->first; !s->restart; s = rx->first) {
            rx->bytes -= (uint32_t)(s->end - s->at);
            rx->taken += (uint32_t)(s->end - s->at);
            pop(rx);
            segment_free(s);
        }
        rx->first->restart = false;
    }
}

bool mux__rx_next_is_packed(const struct mux_rx *rx)
{
    if (rx->big && rx->big->have < rx->big->len)
        return rx->big->packed;
    return rx->first && rx->first->at < rx->first->end && rx->first->at[0] != 0;
}

cs_err mux_rx_next(struct mux_rx *rx, cs_bytes *ret)
{
    release(rx);
    struct mux_segment *s = rx->first;
    if (!s && !rx->big)
        return CS_AGAIN;
    if (!rx->big && s->end - s->at >= WIRE_PREFIX) {
        size_t len = wire_prefix_len(s->at);
        size_t all = len + WIRE_PREFIX;
        if ((size_t)(s->end - s->at) >= all) {
            cs_err err = check_prefix(rx, s->at);
            if (err != CS_OK)
                return err;
            bool packed = s->at[0];
            *ret = cs_bytes_of(s->at + WIRE_PREFIX, len);
            s->at += all;
            rx->bytes -= (uint32_t)all;
            rx->taken += (uint32_t)all;
            if (s->at == s->end) {
                pop(rx);
                rx->held = s->block;
                cs_free(s);
            } else
                rx->lent = true;
            return packed ? unpack(rx, ret) : CS_OK;
        }
    }
    if (rx->restarts)
        drop_halves(rx);
    return next_in_pieces(rx, ret);
}

cs_err mux_rx_piece(struct mux_rx *rx, cs_bytes *ret)
{
    struct mux_segment *s = rx->first;
    release(rx);
    if (!s)
        return CS_AGAIN;
    *ret = cs_bytes_of(s->at, (size_t)(s->end - s->at));
    rx->bytes -= (uint32_t)ret->len;
    rx->taken += (uint32_t)ret->len;
    pop(rx);
    rx->held = s->block;
    cs_free(s);
    return CS_OK;
}

void mux_rx_restart(struct mux_rx *rx)
{
    rx->restart_next = true;
}

cs_err mux_rx_keep(struct mux_rx *rx, cs_bytes message, cs_ref *ret)
{
    cs_block *block = rx->big && rx->big->have == rx->big->len ? rx->big->block
                      : rx->held                               ? rx->held
                      : rx->first                              ? rx->first->block
                                                               : NULL;
    if (!block || message.len < block->size / SMALL_SHARE)
        return cs_ref_copy(message, ret);
    ret->bytes = message;
    ret->block = cs_block_keep(block);
    return CS_OK;
}

size_t mux_rx_credit(struct mux_rx *rx)
{
    size_t n = rx->taken;
    rx->taken = 0;
    return n;
}

bool mux_rx_partial(const struct mux_rx *rx)
{
    return rx->bytes > 0 || (rx->big && rx->big->have < rx->big->len);
}

void mux_rx_append(struct mux_rx *rx, struct mux_rx *from)
{
    if (!from->first)
        return;
    rx->gzip = from->gzip;
    if (rx->last)
        rx->last->next = from->first;
    else
        rx->first = from->first;
    rx->last = from->last;
    rx->bytes += from->bytes;
    rx->restarts = rx->restarts || from->restarts;
    from->restarts = false;
    from->first = from->last = NULL;
    from->bytes = 0;
}

static size_t share(const struct mux_segment *s)
{
    return (size_t)(s->end - s->at);
}

/* Behind the end of a segment's own block. */
static size_t spare(const struct mux_segment *s)
{
    return s->own ? (size_t)(cs_block_bytes(s->block) + s->block->size - s->end) : 0;
}

/* A block of its own for a small segment, with room at the end: else one short message a turn
 * would cost a block a message. */
static bool settle_one(struct mux_rx *rx, struct mux_segment *s, const struct mux_segment *before)
{
    size_t cap = before && before->own ? 2 * before->block->size : SETTLED_MIN;
    if (cap > SETTLED_MAX) /* what a long piece left over is short: not a block like its own */
        cap = SETTLED_MIN;
    if (cap < share(s))
        cap = share(s);
    cs_block *block = cs_block_new(cap);
    if (!block)
        return false;
    size_t len = share(s);
    memcpy(cs_block_bytes(block), s->at, len);
    if (s == rx->first && rx->lent) { /* the message handed out stays where it is */
        rx->held = s->block;
        rx->lent = false;
    } else
        cs_block_drop(s->block);
    s->block = block;
    s->at = cs_block_bytes(block);
    s->end = s->at + len;
    s->own = true;
    return true;
}

/* Does this rx hold less than three quarters of what the segment's block keeps alive?  Segments of one block
 * follow each other. */
static bool pins_too_much(const struct mux_segment *s)
{
    size_t len = 0;
    for (const struct mux_segment *t = s; t && t->block == s->block; t = t->next)
        len += share(t);
    return len < s->block->size * 3 / 4;
}

/* Behind the one before, if there is room; answers that one, or NULL. */
static struct mux_segment *join(struct mux_rx *rx, struct mux_segment *before,
                                struct mux_segment *s)
{
    if (!before || s->restart || spare(before) < share(s))
        return NULL;
    uint8_t *bytes = cs_block_bytes(before->block);
    memcpy(bytes + (before->end - bytes), s->at, share(s));
    before->end += share(s);
    before->next = s->next;
    if (!s->next)
        rx->last = before;
    segment_free(s);
    return before;
}

void mux_rx_settle(struct mux_rx *rx)
{
    const cs_block *block = NULL;
    struct mux_segment *before = NULL, *next;
    bool move_out = false;
    for (struct mux_segment *s = rx->first; s; before = s, s = next) {
        next = s->next;
        if (s->own)
            continue;
        if (s->block != block) {
            block = s->block;
            move_out = pins_too_much(s);
        }
        struct mux_segment *joined = move_out ? join(rx, before, s) : NULL;
        if (joined)
            s = joined;
        else if (move_out && !settle_one(rx, s, before))
            return;
    }
}
