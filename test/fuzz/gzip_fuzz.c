/* Any bytes as a compressed message: what is read has the size it claims and is within the limit.
 * And any bytes as a message to compress: it gets smaller and comes back, or stays. */
#include "base/ref.h"
#include "mux/gzip__in.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { MAX = 1 << 16 };

static void must(bool held)
{
    if (!held)
        abort();
}

static void reading(cs_bytes packed)
{
    const uint8_t *end = (const uint8_t *)packed.base + packed.len;
    cs_block *block = NULL;
    cs_err err = mux__gzip_unpack(packed, MAX, &block);

    must(err == CS_OK || err == CS_EPROTO || err == CS_ETOOBIG);
    must(!block == (err != CS_OK));
    if (!block)
        return;
    must(block->size <= MAX && end[-1] == 0 && block->size >> 16 == end[-2]);
    must((block->size & 0xff) == end[-4] && (block->size >> 8 & 0xff) == end[-3]);
    cs_block_drop(block);
}

static void both(cs_bytes message)
{
    struct mux__gzip *gzip = NULL;
    cs_block *block, *back = NULL;

    /* Twice: nothing of the first is in the second. */
    for (size_t head = 0, len = 0; head < 2; head++) {
        if (message.len < head)
            break;
        block = mux__gzip_pack(
            &gzip, cs_bytes_of(message.base, head),
            cs_bytes_of((const uint8_t *)message.base + head, message.len - head), &len);
        if (!block)
            continue;
        must(len < message.len);
        must(mux__gzip_unpack(cs_bytes_of(cs_block_bytes(block), len), message.len, &back) ==
             CS_OK);
        must(cs_same(cs_bytes_of(cs_block_bytes(back), back->size), message));
        cs_block_drop(back);
        must(mux__gzip_unpack(cs_bytes_of(cs_block_bytes(block), len), message.len - 1, &back) ==
             CS_ETOOBIG);
        cs_block_drop(block);
    }
    mux__gzip_free(gzip);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    reading(cs_bytes_of(bytes, len));
    both(cs_bytes_of(bytes, len));
    return 0;
}
