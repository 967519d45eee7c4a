/* ref -- the inside of counted blocks, for rooms that make their own.
 *
 * Room header.  A block is counted atomically; whoever holds one reference and knows that it
 * is the only one may write into it. */
#ifndef CS_REF_H
#define CS_REF_H

#include "base/base.h"

#include <stdatomic.h>

struct cs_block {
    atomic_uint refs;
    void (*release)(void *user); /* NULL: the bytes follow the block itself */
    union {
        void *user; /* what release() gets */
        size_t cap; /* of a block of ours: the memory, with this head */
    } u;
    size_t size; /* bytes that this block keeps alive */
};

/* A block with `size` bytes of its own, one reference, not initialised; NULL: no memory. */
cs_block *cs_block_new(size_t size);
static inline uint8_t *cs_block_bytes(cs_block *block)
{
    return (uint8_t *)block + ((sizeof(cs_block) + 15u) & ~(size_t)15u);
}
static inline cs_block *cs_block_keep(cs_block *block)
{
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return block;
}
void cs_block_drop(cs_block *block);                 /* NULL is fine */
static inline bool cs_block_is_mine(cs_block *block) /* nobody else holds it */
{
    return atomic_load_explicit(&block->refs, memory_order_acquire) == 1;
}

#endif
