/* out -- see out__in.h. */
#include "mux/out__in.h"

#include "base/mem.h"
#include "base/ref.h"

void mux__chunk_drop(mux__chunk *chunk)
{
    if (--chunk->refs > 0)
        return;
    cs_ref_drop(&chunk->ref);
    cs_free(chunk);
}

bool mux__out_ready(struct mux__out *out)
{
    if (!out->copies_in) {
        out->copies_in = cs_block_new(MUX__OUT_COPIES);
        out->copies = out->copies_in ? cs_block_bytes(out->copies_in) : NULL;
    }
    return out->copies;
}

static void drop_holds(struct mux__out *out)
{
    for (int i = out->at; i < out->len; i++)
        if (out->hold[i])
            mux__chunk_drop(out->hold[i]);
}

void mux__out_reset(struct mux__out *out)
{
    drop_holds(out);
    out->len = out->at = 0;
    out->bytes = out->copied = 0;
    out->ends = 0;
    out->enough = false;
    /* An idle connection keeps no buffer. */
    cs_block_drop(out->copies_in);
    out->copies_in = NULL;
    out->copies = NULL;
}

void mux__out_fini(struct mux__out *out)
{
    mux__out_reset(out);
}

bool mux__out_fits(const struct mux__out *out, size_t len, size_t pieces)
{
    /* At worst each piece is short and copied, and each needs an entry of its own. */
    size_t copies = pieces * MUX__OUT_SHORT < len ? pieces * MUX__OUT_SHORT : len;
    return (size_t)out->len + pieces + 1 <= MUX__OUT_IOV &&
           out->copied + copies + 16 <= MUX__OUT_COPIES;
}

void mux__out_copy(struct mux__out *out, const void *bytes, size_t len)
{
    uint8_t *to = out->copies + out->copied;
    memcpy(to, bytes, len);
    out->copied += len;
    out->bytes += len;
    struct iovec *last = out->len > out->at ? &out->iov[out->len - 1] : NULL;
    if (last && !out->hold[out->len - 1] && (uint8_t *)last->iov_base + last->iov_len == to) {
        last->iov_len += len;
        return;
    }
    out->hold[out->len] = NULL;
    out->iov[out->len++] = (struct iovec){to, len};
}

void mux__out_piece(struct mux__out *out, const uint8_t *bytes, size_t len, mux__chunk *chunk)
{
    if (len < MUX__OUT_SHORT) {
        mux__out_copy(out, bytes, len);
        return;
    }
    chunk->refs++;
    out->hold[out->len] = chunk;
    out->iov[out->len++] = (struct iovec){(void *)(uintptr_t)bytes, len};
    out->bytes += len;
}

void mux__out_written(struct mux__out *out, size_t n)
{
    out->bytes -= n;
    while (n > 0) {
        struct iovec *v = &out->iov[out->at];
        if (n < v->iov_len) {
            v->iov_base = (uint8_t *)v->iov_base + n;
            v->iov_len -= n;
            return;
        }
        n -= v->iov_len;
        if (out->hold[out->at])
            mux__chunk_drop(out->hold[out->at]);
        out->at++;
    }
}
