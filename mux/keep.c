/* keep -- see keep.h. */
#include "mux/keep.h"

#include "base/ref.h"
#include "mux/mux__in.h"
#include "proto/wire.h"

enum {
    BYTES_MAX = 1 << 30, /* and one message more can still be counted */
    WAKE = 16
};

void mux__keep_init(struct mux_keep *keep, size_t bytes_max, uint64_t first,
                    struct mux_keep_sum *sum)
{
    *keep = (mux_keep){.bytes_max = bytes_max < BYTES_MAX ? (uint32_t)bytes_max : BYTES_MAX,
                       .sum = sum,
                       .base = first,
                       .acked = first,
                       .next = first};
    cs_link_init(&keep->waits);
}

/* ---- Together ------------------------------------------------------------------------------- */

static void wake_soon(struct mux_keep_total *total)
{
    if (total->bytes < total->bytes_max && !cs_list_empty(&total->waiting))
        cs_task_post(total->loop, CS_CALL, &total->task);
}

/* A few at a time: what the first ones send may have filled it again. */
static void wake(cs_task *task)
{
    struct mux_keep_total *total = CS_CONTAINER(task, struct mux_keep_total, task);
    struct cs_link *link;

    for (int i = 0; i < WAKE && total->bytes < total->bytes_max; i++) {
        if (!(link = cs_list_pop(&total->waiting)))
            return;
        mux_keep *keep = CS_CONTAINER(link, mux_keep, waits);
        if (keep->stream)
            mux__stream_has_room(keep->stream);
    }
    wake_soon(total);
}

void mux_keep_total_init(struct mux_keep_total *total, cs_loop *loop, uint64_t bytes_max)
{
    *total = (struct mux_keep_total){.loop = loop, .bytes_max = bytes_max};
    cs_list_init(&total->waiting);
    cs_task_init(&total->task, wake);
}

void mux_keep_total_fini(struct mux_keep_total *total)
{
    cs_task_drop(&total->task);
}

void mux_keep_sum_move(struct mux_keep_sum *sum, struct mux_keep_total *total)
{
    if (sum->total) {
        sum->total->bytes -= sum->bytes;
        wake_soon(sum->total);
    }
    sum->total = total;
    if (total)
        total->bytes += sum->bytes;
}

static void subtract(mux_keep *keep, size_t bytes)
{
    keep->bytes -= (uint32_t)bytes;
    if (!keep->sum)
        return;
    keep->sum->bytes -= bytes;
    if (!keep->sum->total)
        return;
    keep->sum->total->bytes -= bytes;
    wake_soon(keep->sum->total);
}

void mux_keep_summed(mux_keep *keep, struct mux_keep_sum *sum)
{
    size_t bytes = keep->bytes;

    cs_unlink(&keep->waits);
    subtract(keep, bytes);
    keep->sum = sum;
    mux__keep_add(keep, bytes);
}

void mux__keep_waits(struct mux_keep *keep)
{
    struct mux_keep_total *total = keep->sum ? keep->sum->total : NULL;

    if (mux__keep_has_enough(keep)) { /* for an acknowledgement of its own */
        if (total && !keep->own_wait) {
            total->own_waits++;
            keep->own_wait = true;
        }
        return;
    }
    if (cs_linked(&keep->waits))
        return;
    total->waits++;
    cs_list_push(&total->waiting, &keep->waits);
}

/* ---- Let go --------------------------------------------------------------------------------- */

static void drop_until(mux_keep *keep, const mux__chunk *end)
{
    while (keep->first && keep->first != end) {
        mux__chunk *chunk = keep->first;

        keep->first = chunk->next;
        keep->base += chunk->begun;
        subtract(keep, chunk->len);
        mux__chunk_drop(chunk);
    }
    if (!keep->first)
        keep->last = NULL;
}

void mux__keep_let_go(struct mux_keep *keep, struct mux__sendq *q)
{
    const mux__chunk *mine = q->first;

    while (mine && mine->loose)
        mine = mine->next;
    drop_until(keep, mine);
    keep->first = keep->last = NULL;
    keep->base = keep->acked = keep->next;
    subtract(keep, keep->bytes);
    keep->stream = NULL;
    keep->rest = NULL;
    q->keep = NULL;
}

void mux__keep_fini(struct mux_keep *keep)
{
    if (keep->stream)
        mux__keep_let_go(keep, &keep->stream->out);
    drop_until(keep, NULL);
    cs_unlink(&keep->waits);
}

/* ---- Where a number lies -------------------------------------------------------------------- */

struct place {
    mux__chunk *chunk;
    size_t at;
};

/* Bytes that may lie in several chunks. */
static void place_read(struct place place, uint8_t *to, size_t len)
{
    while (len > 0) {
        if (place.at == place.chunk->len) {
            place = (struct place){place.chunk->next, 0};
            continue;
        }
        *to++ = place.chunk->base[place.at++];
        len--;
    }
}

static struct place place_behind(struct place place)
{
    uint8_t prefix[WIRE_PREFIX];
    size_t len;

    place_read(place, prefix, sizeof prefix);
    len = WIRE_PREFIX + (size_t)wire_prefix_len(prefix);
    while (len > place.chunk->len - place.at) {
        len -= place.chunk->len - place.at;
        place = (struct place){place.chunk->next, 0};
    }
    place.at += len;
    return place;
}

/* A message that takes more than one number is alone in its chunk. */
static cs_err place_of(const mux_keep *keep, uint64_t number, struct place *ret)
{
    uint64_t base = keep->base;
    mux__chunk *chunk = keep->first;

    while (chunk && base + chunk->begun <= number) {
        base += chunk->begun;
        chunk = chunk->next;
    }
    *ret = (struct place){chunk, chunk ? chunk->first_at : 0};
    if (!chunk || base == number)
        return CS_OK;
    if (chunk->heavy)
        return CS_EINVAL;
    for (; base < number; base++)
        *ret = place_behind(*ret);
    return CS_OK;
}

/* ---- Promised ------------------------------------------------------------------------------- */

/* nghttp2 was promised bytes of the queue: another object says them.  What is kept stays. */
void mux__keep_promise(mux_stream *from, mux_stream *to)
{
    struct place place = {from->out.first, from->out.sent};
    size_t len = from->reserved;
    uint8_t *promised = len > 0 ? cs_alloc(len) : NULL;

    if (promised)
        place_read(place, promised, len);
    mux__sendq_fini(&from->out);
    if (len > 0 && (!promised || mux__sendq_add(&to->out, &(cs_bytes){promised, len}, 1) != CS_OK))
        from->conn->failed = true; /* no memory for what must be said */
    cs_free(promised);
}

static void splice(struct mux__sendq *q, mux_keep *keep, struct place place)
{
    /* What the stream has queued goes in front; it was given before, and is not kept. */
    for (mux__chunk *chunk = q->first; chunk; chunk = chunk->next)
        chunk->loose = true;
    if (q->last)
        q->last->cap = q->last->len; /* nothing more is written behind it */
    if (!place.chunk)
        return;
    for (mux__chunk *chunk = place.chunk; chunk; chunk = chunk->next)
        q->bytes += chunk->len;
    q->bytes -= (uint32_t)place.at;
    q->first = place.chunk;
    q->last = keep->last;
    q->sent = (uint32_t)place.at;
}

/* ---- Unpacked ------------------------------------------------------------------------------- */

static void rest_set(mux_keep *keep, struct place place)
{
    if (place.chunk && place.at == place.chunk->len)
        place = (struct place){place.chunk->next, 0};
    keep->rest = place.chunk;
    keep->rest_at = (uint32_t)place.at;
}

/* The message comes into the queue as it was before it was compressed. */
static cs_err unpack(struct mux__sendq *q, bool packed, cs_bytes message)
{
    uint8_t prefix[WIRE_PREFIX] = {0};
    const cs_bytes parts[] = {cs_bytes_of(prefix, sizeof prefix), message};
    cs_block *block;
    cs_ref plain;
    cs_err err;

    if (!packed) {
        wire_prefix_put(prefix, false, (uint32_t)message.len);
        return mux__sendq_add(q, parts, 2);
    }
    if ((err = mux__gzip_unpack(message, INT32_MAX, &block)) != CS_OK)
        return err;
    plain = (cs_ref){cs_bytes_of(cs_block_bytes(block), block->size), block};
    wire_prefix_put(prefix, false, (uint32_t)plain.bytes.len);
    err = mux__sendq_add_ref(q, parts, 1, &plain);
    cs_ref_drop(&plain);
    return err;
}

cs_err mux__keep_unpack(struct mux_keep *keep, struct mux__sendq *q, size_t max)
{
    uint8_t prefix[WIRE_PREFIX];
    uint8_t *whole;
    cs_err err;

    while (keep->rest && q->bytes < max) {
        struct place place = {keep->rest, keep->rest_at};
        size_t len;

        place_read(place, prefix, sizeof prefix);
        len = WIRE_PREFIX + (size_t)wire_prefix_len(prefix);
        if (!(whole = cs_alloc(len)))
            return CS_ENOMEM;
        place_read(place, whole, len);
        err = unpack(q, prefix[0] != 0, cs_bytes_of(whole + WIRE_PREFIX, len - WIRE_PREFIX));
        cs_free(whole);
        if (err != CS_OK)
            return err;
        rest_set(keep, place_behind(place));
    }
    if (!keep->rest && q->last)
        q->last->cap = q->last->len; /* what comes now is kept again */
    return CS_OK;
}

/* ---- Attached, acknowledged ----------------------------------------------------------------- */

cs_err mux__keep_may_attach(const mux_keep *keep, uint64_t from)
{
    struct place place;

    if (from < keep->acked)
        return CS_ERANGE;
    return from > keep->next ? CS_EINVAL : place_of(keep, from, &place);
}

void mux__keep_begin(struct mux_keep *keep, mux_stream *stream)
{
    splice(&stream->out, keep, (struct place){0});
    stream->out.keep = keep;
    keep->stream = stream;
}

cs_err mux_keep_attach(mux_keep *keep, mux_stream *stream, uint64_t from)
{
    struct mux__sendq *q = &stream->out;
    struct place place;
    cs_err err = mux__keep_may_attach(keep, from);

    if (err != CS_OK)
        return err;
    if (stream->over || keep->stream || q->keep || (q->bytes > 0 && from < keep->next))
        return CS_EMISUSE;
    (void)place_of(keep, from, &place);
    if (keep->packs && !stream->gzip_out)
        rest_set(keep, place);
    else
        splice(q, keep, place);
    q->keep = keep;
    keep->stream = stream;
    return CS_OK;
}

cs_err mux_keep_acked(mux_keep *keep, uint64_t next)
{
    const struct mux__sendq *q = keep->stream ? &keep->stream->out : NULL;
    bool waited = mux__keep_has_enough(keep) || cs_linked(&keep->waits);

    if (next > keep->next)
        return CS_EINVAL;
    if (next <= keep->acked)
        return CS_OK;
    keep->acked = next;
    while (keep->first && keep->base + keep->first->begun <= next) {
        if (q && q->bytes > 0 && keep->first == q->first)
            return CS_EINVAL; /* it has not been sent yet */
        if (keep->first == keep->rest)
            return CS_EINVAL;
        drop_until(keep, keep->first->next);
    }
    keep->own_wait = keep->own_wait && mux__keep_has_enough(keep);
    if (waited && keep->stream && !mux__keep_is_full(keep)) {
        cs_unlink(&keep->waits);
        mux__stream_has_room(keep->stream);
    }
    return CS_OK;
}

/* ---- Small things --------------------------------------------------------------------------- */

uint64_t mux_keep_oldest(const mux_keep *keep)
{
    return keep->acked;
}

uint64_t mux_keep_next(const mux_keep *keep)
{
    return keep->next;
}

size_t mux_keep_bytes(const mux_keep *keep)
{
    return keep->bytes;
}
