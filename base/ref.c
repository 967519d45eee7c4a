/* ref -- counted blocks and the references into them. */
#include "base/ref.h"
#include "base/mem.h"
#include "base/pool__in.h"

static cs_block *block_with(size_t behind, size_t size)
{
    size_t cap = cs_round_up(sizeof(cs_block));
    cs_block *block;

    if (behind > SIZE_MAX - cap)
        return NULL;
    cap += behind;
    block = cs__pool_take(cap, &cap);
    if (!block)
        block = cs_alloc(cap);
    if (!block)
        return NULL;
    atomic_init(&block->refs, 1);
    block->release = NULL;
    block->u.cap = cap;
    block->size = size;
    return block;
}

cs_block *cs_block_new(size_t size)
{
    return block_with(size, size);
}

void cs_block_drop(cs_block *block)
{
    /* Release, so that what this holder did comes before the end; acquire, so that the last
     * one sees what all the others did. */
    if (!block || atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (block->release)
        block->release(block->u.user);
    else if (cs__pool_give(block, block->u.cap))
        return;
    cs_free(block);
}

cs_err cs_ref_alloc(size_t len, void **to, cs_ref *ret)
{
    cs_block *block = cs_block_new(len);

    if (!block)
        return CS_ENOMEM;
    *to = cs_block_bytes(block);
    *ret = (cs_ref){cs_bytes_of(*to, len), block};
    return CS_OK;
}

/* An empty copy has a block as well: it is a message like any other (see struct cs_case). */
cs_err cs_ref_copy(cs_bytes bytes, cs_ref *ret)
{
    void *to;
    cs_ref ref;
    cs_err err = cs_ref_alloc(bytes.len, &to, &ref);

    if (err != CS_OK)
        return err;
    if (bytes.len > 0)
        memcpy(to, bytes.base, bytes.len);
    *ret = ref;
    return CS_OK;
}

cs_err cs_ref_wrap(cs_bytes bytes, void (*release)(void *user), void *user, cs_ref *ret)
{
    cs_block *block = block_with(0, bytes.len);

    if (!block)
        return CS_ENOMEM;
    block->release = release;
    block->u.user = user;
    *ret = (cs_ref){bytes, block};
    return CS_OK;
}

cs_ref cs_ref_dup(cs_ref ref)
{
    if (ref.block)
        cs_block_keep(ref.block);
    return ref;
}

cs_ref cs_ref_slice(cs_ref ref, size_t from, size_t len)
{
    cs_ref part = cs_ref_dup(ref);
    size_t left;

    if (from > ref.bytes.len)
        from = ref.bytes.len;
    left = ref.bytes.len - from;
    if (from > 0)
        part.bytes.base = (const uint8_t *)ref.bytes.base + from;
    part.bytes.len = len < left ? len : left;
    return part;
}

void cs_ref_drop(cs_ref *ref)
{
    cs_block *block = ref->block;

    /* Emptied first: `release` may well look at where the reference lay. */
    *ref = (cs_ref){0};
    cs_block_drop(block);
}
