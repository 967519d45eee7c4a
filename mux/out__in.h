/* out -- a batch of output of one connection: what one writev() will say.
 *
 * Private to mux.  Short things are copied behind each other, long ones are pointed at.  A batch is
 * filled, written until the kernel has all of it, and only then filled again.
 */
#ifndef MUX_OUT_IN_H
#define MUX_OUT_IN_H

#include "base/base.h"

#include <sys/uio.h>

/* Bytes that are counted on one loop: written by a stream, waited for by its connection. */
typedef struct mux__chunk {
    struct mux__chunk *next; /* in the stream's queue */
    uint16_t refs;
    bool loose;          /* in front of what is kept (keep.h), and not part of it */
    bool heavy;          /* one message that takes several numbers, and nothing else */
    uint32_t cap;        /* of its own bytes */
    const uint8_t *base; /* its own bytes, or those of `ref` */
    uint32_t len;
    uint32_t first_at; /* where the first message begins, of those that begin here */
    uint64_t begun;    /* how many these are; only if they are kept */
    cs_ref ref;
} mux__chunk;

void mux__chunk_drop(mux__chunk *chunk);

enum {
    MUX__OUT_IOV = 120,
    MUX__OUT_BATCH = 256 * 1024, /* where a larger writev() gained nothing any more */
    MUX__OUT_COPIES = 64 * 1024, /* room for what is copied */
    MUX__OUT_SHORT = 1024,       /* shorter pieces are copied */
    MUX__OUT_ENDS = 48           /* streams that end in it: the peer may begin with these */
};

struct mux__out {
    struct iovec iov[MUX__OUT_IOV];
    mux__chunk *hold[MUX__OUT_IOV]; /* what iov[i] points into; NULL: the copies */
    int len, at;                    /* at .. len are still to be written */
    size_t bytes;                   /* in them */
    cs_block *copies_in;
    uint8_t *copies; /* its bytes */
    size_t copied;
    int ends;
    bool enough; /* so many, and the peer is on another processor */
};

bool mux__out_ready(struct mux__out *out); /* has its buffer; false: no memory */
void mux__out_fini(struct mux__out *out);
void mux__out_reset(struct mux__out *out); /* all was written: begin the next batch */
static inline bool mux__out_full(const struct mux__out *out)
{
    return out->bytes >= MUX__OUT_BATCH || out->enough;
}
/* Room for a frame of `len` bytes of payload in at most `pieces` pieces? */
bool mux__out_fits(const struct mux__out *out, size_t len, size_t pieces);
void mux__out_copy(struct mux__out *out, const void *bytes, size_t len);
void mux__out_piece(struct mux__out *out, const uint8_t *bytes, size_t len, mux__chunk *chunk);
void mux__out_written(struct mux__out *out, size_t n);

#endif
