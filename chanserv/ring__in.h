/* ring -- the last frames of a fan-out.  Private to chanserv.
 *
 *        tail                                head
 *         ▼                                   ▼
 *     ───┤ 17 │ 18 │ 19 │ 20 │ 21 │ 22 │ 23 │┄┄┄
 *
 * A place counts frames from the first on; a number counts what a server counts, messages, of which
 * a long frame is several.  Each place between tail and head, both included, counts the readers
 * whose next frame it is.
 */
#ifndef CHANSERV_RING_IN_H
#define CHANSERV_RING_IN_H

#include "base/base.h"

struct chanserv__slot;
struct chanserv__ring {
    int64_t bytes_max, frames_max, part_bytes; /* set before the first call */
    struct chanserv__slot *slots;              /* place n is slot n & (cap - 1); NULL: none yet */
    size_t cap;                                /* a power of two */
    uint64_t tail, head;                       /* places: of the oldest, of the next */
    uint64_t number;                           /* of the frame at `head` */
    int64_t bytes;                             /* kept, each frame with its place */
    size_t caught_up;                          /* readers at `head` */
};

/* The tail that there will be when a frame of `len` bytes is pushed. */
uint64_t chanserv__ring_tail_with(const struct chanserv__ring *ring, size_t len);

/* The first place below `tail` where a reader stands; `tail`: none. */
uint64_t chanserv__ring_wanted(const struct chanserv__ring *ring, uint64_t tail);

/* Moves the frame, which has a block, to `head`, and lets go of what is below `tail`.  CS_ENOMEM:
 * nothing has changed. */
cs_err chanserv__ring_push(struct chanserv__ring *ring, uint64_t tail, cs_ref *frame);

cs_ref chanserv__ring_dup(const struct chanserv__ring *ring, uint64_t place);

/* From tail to head, which has the number of the next frame. */
uint64_t chanserv__ring_number(const struct chanserv__ring *ring, uint64_t place);
/* The place of the frame with this number, which may be the next; beyond `head`: there is none. */
uint64_t chanserv__ring_place(const struct chanserv__ring *ring, uint64_t number);

/* How many stand there; NULL: its frame is gone, and nobody counts those that want it. */
size_t *chanserv__ring_readers(struct chanserv__ring *ring, uint64_t place);

void chanserv__ring_fini(struct chanserv__ring *ring); /* leaves no frame */

#endif
