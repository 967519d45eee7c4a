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
#include "mux/out__in.h"

struct mux__sendq {
    mux__chunk *first, *last;
    uint32_t sent;  /* of the first chunk */
    uint32_t bytes; /* not yet sent, in all */
};

void mux__sendq_fini(struct mux__sendq *q);

/* `len` bytes in one piece, if the last chunk has them: written by the caller there and then.
 * NULL: use mux__sendq_add().  The way of most messages. */
static inline uint8_t *mux__sendq_claim(struct mux__sendq *q, size_t len)
{
    mux__chunk *c = q->last;
    if (!c || c->cap < c->len || c->cap - c->len < len)
        return NULL;
    uint8_t *at = (uint8_t *)(c + 1) + c->len;
    c->len += len;
    q->bytes += (uint32_t)len;
    return at;
}

/* All or nothing: CS_OK or CS_ENOMEM. */
cs_err mux__sendq_add(struct mux__sendq *q, const cs_bytes *parts, size_t n);
cs_err mux__sendq_add_ref(struct mux__sendq *q, const cs_bytes *parts, size_t n, cs_ref *tail);

/* The next `len` bytes go to the output. */
void mux__sendq_emit(struct mux__sendq *q, size_t len, struct mux__out *out);

/* In how many pieces the next `len` bytes lie. */
size_t mux__sendq_pieces(const struct mux__sendq *q, size_t len);

/* Forgets all but the next `keep` bytes. */
void mux__sendq_cut(struct mux__sendq *q, size_t keep);

#endif
