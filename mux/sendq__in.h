/* sendq -- what a stream has to say, encoded, until it is on its way.
 *
 * Private to mux.  A list of chunks: small ones that are filled one behind the other, and
 * references to bytes of somebody else's.  The bytes are written once, and sent from where they
 * are: the output (out__in.h) keeps the chunks that the kernel has not taken yet.
 *
 *     first                    last
 *     [sent | ......] -> [ref] -> [.....  spare]
 */
#ifndef MUX_SENDQ_IN_H
#define MUX_SENDQ_IN_H

#include "base/base.h"
#include "mux/keep.h"
#include "mux/out__in.h"

enum { MUX__CHUNK = 16 * 1024 }; /* the largest that small messages share */

struct mux__sendq {
    mux__chunk *first, *last;
    struct mux_keep *keep; /* what was sent stays there until it is acknowledged; or NULL */
    uint32_t sent;  /* of the first chunk; while there is none: how large it shall be, or 0 */
    uint32_t bytes; /* not yet sent, in all */
};

/* What was sent and is kept, and behind it what is queued: one list.
 *
 *     keep->first            q->first              q->last, keep->last
 *     [acked | ...] -> [...] -> [sent | ......] -> [.....  spare]
 */
struct mux_keep {
    mux__chunk *first, *last;
    struct mux_stream *stream; /* that sends from it, or NULL */
    uint64_t base;             /* number of the first message that begins in `first` */
    uint64_t acked, next;      /* numbers: below which all is acknowledged; of the next message */
    struct mux_keep_sum *sum;  /* or NULL */
    struct cs_link waits;      /* of its total's waiting */
    mux__chunk *rest; /* attached to a stream that reads no gzip: what is still to be unpacked, */
    uint32_t rest_at; /* from there on; or NULL */
    bool packs;       /* something is kept compressed, or was */
    bool own_wait;    /* that it has enough is counted */
    uint32_t bytes, bytes_max;
};

static inline void mux__keep_add(struct mux_keep *keep, size_t bytes)
{
    keep->bytes += (uint32_t)bytes;
    if (!keep->sum)
        return;
    keep->sum->bytes += bytes;
    if (keep->sum->total)
        keep->sum->total->bytes += bytes;
}

/* The message of `len` bytes that ends where the queue does begins in this chunk, there, and takes so many
 * numbers. */
static inline void mux__keep_count(struct mux_keep *keep, mux__chunk *chunk, size_t at, size_t len,
                                   uint64_t numbers)
{
    if (chunk->begun == 0)
        chunk->first_at = (uint32_t)at;
    chunk->begun += numbers;
    keep->next += numbers;
    mux__keep_add(keep, len);
}

/* Without the newest message, if it is a large one: else messages as large as the bound would go one a
 * round trip. */
static inline bool mux__keep_has_enough(const struct mux_keep *keep)
{
    const uint32_t newest = keep->last && keep->last->len > MUX__CHUNK ? keep->last->len : 0;

    return keep->bytes >= keep->bytes_max && keep->bytes - newest >= keep->bytes_max;
}

/* As much is kept as may be: of its own, or, unless it is all acknowledged, of all together. */
static inline bool mux__keep_is_full(const struct mux_keep *keep)
{
    const struct mux_keep_total *total = keep->sum ? keep->sum->total : NULL;

    return mux__keep_has_enough(keep) ||
           (total && total->bytes >= total->bytes_max && keep->acked < keep->next);
}
/* How much it may certainly be given before it is full, of which it is not: at least one message. */
static inline uint32_t mux__keep_room(const struct mux_keep *keep)
{
    const struct mux_keep_total *total = keep->sum ? keep->sum->total : NULL;
    uint64_t room = keep->bytes < keep->bytes_max ? keep->bytes_max - keep->bytes : 1;

    if (total && total->bytes >= total->bytes_max)
        return 1;
    if (total && total->bytes_max - total->bytes < room)
        room = total->bytes_max - total->bytes;
    return (uint32_t)room;
}
void mux__keep_waits(struct mux_keep *keep); /* it is full, and its stream has more to send */

/* Of what is to be unpacked, about `max` bytes come into the queue.  CS_OK, CS_ENOMEM. */
cs_err mux__keep_unpack(struct mux_keep *keep, struct mux__sendq *q, size_t max);

/* The same of a queue that is not full, and has `most` at most. */
static inline uint32_t mux__sendq_least_room(const struct mux__sendq *q, uint32_t most)
{
    const uint32_t room = q->keep ? mux__keep_room(q->keep) : UINT32_MAX;

    return room < most - q->bytes ? room : most - q->bytes;
}

static inline bool mux__sendq_has_rest(const struct mux__sendq *q)
{
    return q->keep && q->keep->rest;
}
static inline bool mux__sendq_is_empty(const struct mux__sendq *q)
{
    return q->bytes == 0 && !mux__sendq_has_rest(q);
}

void mux__keep_init(struct mux_keep *keep, size_t bytes_max, uint64_t first,
                    struct mux_keep_sum *sum); /* where it is counted, or NULL */
/* `stream` sends what is kept from now on, and nothing is so far: mux_keep_attach() of such a one. */
void mux__keep_begin(struct mux_keep *keep, struct mux_stream *stream);
void mux__keep_fini(struct mux_keep *keep);

/* CS_OK, or as mux_keep_attach(). */
cs_err mux__keep_may_attach(const struct mux_keep *keep, uint64_t from);

/* Forgets what was sent; the rest is the queue's alone. */
void mux__keep_let_go(struct mux_keep *keep, struct mux__sendq *q);

void mux__sendq_fini(struct mux__sendq *q);

/* `len` bytes in one piece, if the last chunk has them: written by the caller there and then.
 * NULL: use mux__sendq_add().  The way of most messages. */
static inline uint8_t *mux__sendq_claim(struct mux__sendq *q, size_t len)
{
    mux__chunk *c = q->last;
    if (!c || c->cap < c->len || c->cap - c->len < len)
        return NULL;
    uint8_t *at = (uint8_t *)(c + 1) + c->len;
    if (q->keep)
        mux__keep_count(q->keep, c, c->len, len, 1);
    c->len += (uint32_t)len;
    q->bytes += (uint32_t)len;
    return at;
}

/* No more than so much will go soon: a queue that is empty begins with a chunk that is no larger, or the
 * smallest. */
static inline void mux__sendq_expect(struct mux__sendq *q, size_t most)
{
    if (!q->first && q->sent > most)
        q->sent = (uint32_t)most;
}

/* One message, in parts: all or nothing, CS_OK or CS_ENOMEM. */
cs_err mux__sendq_add(struct mux__sendq *q, const cs_bytes *parts, size_t n);
cs_err mux__sendq_add_ref(struct mux__sendq *q, const cs_bytes *parts, size_t n, cs_ref *tail);
/* The message takes so many numbers. */
cs_err mux__sendq_add_heavy(struct mux__sendq *q, const cs_bytes *parts, size_t n,
                            uint64_t numbers);

/* The next `len` bytes go to the output. */
void mux__sendq_emit(struct mux__sendq *q, size_t len, struct mux__out *out);

/* In how many pieces the next `len` bytes lie. */
size_t mux__sendq_pieces(const struct mux__sendq *q, size_t len);

/* Forgets all but the next `keep` bytes. */
void mux__sendq_cut(struct mux__sendq *q, size_t keep);

#endif
