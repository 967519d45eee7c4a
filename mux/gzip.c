/* gzip -- see gzip__in.h. */
#include "mux/gzip__in.h"

#include "base/mem.h"
#include "base/ref.h"

#include <zlib.h>

enum {
    GZIP_BITS = MAX_WBITS + 16, /* a gzip head, and not zlib's */
    GZIP_LEVEL = 1,     /* 64 KiB of C: a third of the default's time, a quarter more bytes */
    GZIP_MEMORY = 8,    /* zlib's default: 128 KiB of tables beside 128 KiB of window */
    HEAD_AND_TAIL = 18, /* of a gzip member */
    SIZE_CLAIM = 4,     /* its last bytes: how long it was */
    RATIO_MAX = 1032    /* deflate's best: 258 bytes of two bits */
};

/* zlib's memory is ours, so that a test can fail it. */
static void *take(void *user, unsigned n, unsigned size)
{
    (void)user;
    return cs_alloc((size_t)n * size);
}

static void give(void *user, void *p)
{
    (void)user;
    cs_free(p);
}

/* ---- Compressing ---------------------------------------------------------------------------- */

struct mux__gzip {
    z_stream z;
};

static struct mux__gzip *gzip_new(void)
{
    struct mux__gzip *gzip = cs_zalloc(sizeof *gzip);

    if (!gzip)
        return NULL;
    gzip->z.zalloc = take;
    gzip->z.zfree = give;
    if (deflateInit2(&gzip->z, GZIP_LEVEL, Z_DEFLATED, GZIP_BITS, GZIP_MEMORY,
                     Z_DEFAULT_STRATEGY) == Z_OK)
        return gzip;
    cs_free(gzip);
    return NULL;
}

void mux__gzip_free(struct mux__gzip *gzip)
{
    if (!gzip)
        return;
    deflateEnd(&gzip->z);
    cs_free(gzip);
}

/* What was compressed or encrypted before looks like dice: all bytes are about equally frequent.
 * 512 throws of a die with 256 faces have a sum of squares of 1534 in the mean, and of 1350 to 1808
 * in a million tries; base64 has 4600.  Pieces from all over the message are looked at.  One that
 * is taken for dice and is none only stays as long as it is. */
static bool looks_like_dice(cs_bytes bytes)
{
    enum { PIECES = 8, PIECE = 64, DICE = 1850 };
    const uint8_t *p = bytes.base;
    uint16_t count[256] = {0};
    unsigned sum = 0;

    if (bytes.len < 2 * PIECES * PIECE)
        return false;
    for (size_t i = 0; i < PIECES; i++) {
        const uint8_t *piece = p + (bytes.len - PIECE) / (PIECES - 1) * i;
        for (size_t j = 0; j < PIECE; j++)
            count[piece[j]]++;
    }
    for (size_t i = 0; i < 256; i++)
        sum += (unsigned)count[i] * count[i];
    return sum < DICE;
}

static void input(z_stream *z, cs_bytes bytes)
{
    z->next_in = (Bytef *)(uintptr_t)bytes.base;
    z->avail_in = (uInt)bytes.len;
}

/* Does all of it fit into what is left of the output? */
static bool deflate_all(z_stream *z, cs_bytes head, cs_bytes tail)
{
    deflateReset(z);
    input(z, head);
    if (head.len > 0 && (deflate(z, Z_NO_FLUSH) != Z_OK || z->avail_in > 0))
        return false;
    input(z, tail);
    return deflate(z, Z_FINISH) == Z_STREAM_END;
}

cs_block *mux__gzip_pack(struct mux__gzip **gzip, cs_bytes head, cs_bytes tail, size_t *ret_len)
{
    size_t len = head.len + tail.len;
    cs_block *block;
    z_stream *z;

    if (len < MUX__GZIP_MIN || looks_like_dice(tail.len > head.len ? tail : head))
        return NULL;
    if (!*gzip && !(*gzip = gzip_new()))
        return NULL;
    if (!(block = cs_block_new(len - 1)))
        return NULL;
    z = &(*gzip)->z;
    z->next_out = cs_block_bytes(block);
    z->avail_out = (uInt)(len - 1);
    if (deflate_all(z, head, tail)) {
        *ret_len = len - 1 - z->avail_out;
        return block;
    }
    cs_block_drop(block);
    return NULL;
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* Into exactly `len` bytes, in one go: so inflate needs no window of its own. */
static cs_err inflate_all(cs_bytes packed, uint8_t *to, size_t len)
{
    z_stream z = {.zalloc = take, .zfree = give};
    bool whole;
    int said;

    if (inflateInit2(&z, GZIP_BITS) != Z_OK)
        return CS_ENOMEM;
    input(&z, packed);
    z.next_out = to;
    z.avail_out = (uInt)len;
    said = inflate(&z, Z_FINISH);
    whole = said == Z_STREAM_END && z.avail_in == 0 && z.avail_out == 0;
    inflateEnd(&z);
    return whole ? CS_OK : said == Z_MEM_ERROR ? CS_ENOMEM : CS_EPROTO;
}

cs_err mux__gzip_unpack(cs_bytes packed, size_t max, cs_block **ret)
{
    const uint8_t *end = (const uint8_t *)packed.base + packed.len;
    cs_block *block;
    size_t len = 0;
    cs_err err;

    if (packed.len <= HEAD_AND_TAIL)
        return CS_EPROTO;
    for (int i = 1; i <= SIZE_CLAIM; i++) /* little endian */
        len = len << 8 | end[-i];
    if (len > max)
        return CS_ETOOBIG;
    if (len / RATIO_MAX > packed.len)
        return CS_EPROTO;
    if (!(block = cs_block_new(len)))
        return CS_ENOMEM;
    err = inflate_all(packed, cs_block_bytes(block), len);
    if (err == CS_OK)
        *ret = block;
    else
        cs_block_drop(block);
    return err;
}
