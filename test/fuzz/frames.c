/* frames -- how inputs made of HTTP/2's frames are changed: see fuzz.h. */
#include "test/fuzz/fuzz.h"

#include <string.h>

enum { HEAD = FUZZ_FRAME_HEAD, FRAMES = 64, ROOM = 1 << 16, PREFIX = 5 };

/* libFuzzer's own; not there where inputs are only replayed. */
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t len, size_t most) __attribute__((weak));

static uint64_t dice;

static unsigned roll(unsigned sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice >> 33) % sides;
}

/* ---- Taken apart, and put together ------------------------------------------------------------ */

struct frames {
    cs_bytes of[FRAMES]; /* the last may be no whole frame */
    size_t len;
};

static size_t payload_len(const uint8_t *head)
{
    return (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
}

static struct frames frames_of(cs_bytes input, size_t head)
{
    const uint8_t *at = (const uint8_t *)input.base + head;
    size_t left = input.len - head, n;
    struct frames f = {.len = 0};

    for (; left > 0 && f.len < FRAMES; f.len++) {
        n = left < HEAD || f.len == FRAMES - 1 ? left : HEAD + payload_len(at);
        n = n < left ? n : left;
        f.of[f.len] = cs_bytes_of(at, n);
        at += n;
        left -= n;
    }
    return f;
}

static size_t put(uint8_t *to, size_t len, size_t most, cs_bytes bytes)
{
    if (bytes.len == 0 || bytes.len > most - len)
        return len;
    memcpy(to + len, bytes.base, bytes.len);
    return len + bytes.len;
}

/* ---- One frame -------------------------------------------------------------------------------- */

static void length_mend(uint8_t *frame, size_t len)
{
    size_t n = len - HEAD;

    frame[0] = (uint8_t)(n >> 16);
    frame[1] = (uint8_t)(n >> 8);
    frame[2] = (uint8_t)n;
    if (frame[3] != 0 || n < PREFIX || roll(4) == 0)
        return;
    n -= PREFIX;
    frame[HEAD + 1] = (uint8_t)(n >> 24);
    frame[HEAD + 2] = (uint8_t)(n >> 16);
    frame[HEAD + 3] = (uint8_t)(n >> 8);
    frame[HEAD + 4] = (uint8_t)n;
}

/* Types, flags and ids that are near to what stands there. */
static void head_change(uint8_t *frame)
{
    static const uint8_t types[] = {0, 0, 1, 1, 2, 3, 4, 6, 7, 8, 9, 10, 16};

    switch (roll(3)) {
    case 0:
        frame[3] = types[roll(sizeof types)];
        break;
    case 1:
        frame[4] ^= (uint8_t)(1u << roll(8));
        break;
    default:
        frame[8] = (uint8_t)(roll(4) ? 2 * roll(12) + 1 : roll(256));
        break;
    }
}

/* A frame of no content to speak of. */
static size_t made(uint8_t *to)
{
    static const struct {
        uint8_t len, type;
    } kinds[] = {{0, 0}, {5, 0}, {4, 3}, {0, 4}, {6, 4}, {8, 6}, {8, 7}, {4, 8}, {0, 9}, {3, 10}};
    const size_t which = roll(sizeof kinds / sizeof *kinds), n = kinds[which].len;

    memset(to, 0, HEAD + n);
    to[2] = (uint8_t)n;
    to[3] = kinds[which].type;
    to[8] = (uint8_t)(roll(2) * (2 * roll(8) + 1));
    for (size_t i = 0; i < n; i++)
        to[HEAD + i] = (uint8_t)(roll(3) ? 0 : roll(256));
    if (n > 0 && to[3] == 4)
        to[HEAD + 1] = (uint8_t)(1 + roll(6)); /* which setting */
    return HEAD + n;
}

static size_t frame_change(uint8_t *to, size_t room, cs_bytes frame)
{
    size_t n = put(to, 0, room, frame);

    if (n < HEAD)
        return n;
    if (roll(3) == 0) {
        head_change(to);
    } else {
        n = HEAD + LLVMFuzzerMutate(to + HEAD, n - HEAD, room - HEAD);
        length_mend(to, n);
    }
    return n;
}

/* ---- All of them ------------------------------------------------------------------------------ */

enum change { CHANGE, TWICE, DROP, SWAP, INSERT, CHANGES };

size_t fuzz_frames_mutate(uint8_t *bytes, size_t len, size_t most, unsigned seed, size_t head)
{
    static uint8_t to[ROOM], one[ROOM];
    struct frames f;
    size_t n, at;
    enum change change;

    dice = seed;
    if (len <= head || len > ROOM || most > ROOM || roll(8) == 0)
        return LLVMFuzzerMutate(bytes, len, most);
    f = frames_of(cs_bytes_of(bytes, len), head);
    n = put(to, 0, most, cs_bytes_of(bytes, head));
    if (roll(16) == 0)
        to[roll((unsigned)head)] = (uint8_t)roll(256);
    at = roll((unsigned)f.len);
    change = roll(2) ? CHANGE : roll(CHANGES);
    for (size_t i = 0; i < f.len; i++) {
        const bool here = i == at;

        if (here && change == SWAP && i + 1 < f.len)
            n = put(to, n, most, f.of[i + 1]);
        else if (here && change == INSERT)
            n = put(to, n, most, cs_bytes_of(one, made(one)));
        if (here && change == CHANGE)
            n = put(to, n, most, cs_bytes_of(one, frame_change(one, most - n, f.of[i])));
        else if (!(here && change == DROP) && !(change == SWAP && i == at + 1))
            n = put(to, n, most, f.of[i]);
        if (here && change == TWICE)
            n = put(to, n, most, f.of[i]);
    }
    memcpy(bytes, to, n);
    return n;
}

size_t fuzz_frames_cross(cs_bytes a, cs_bytes b, uint8_t *to, size_t most, unsigned seed,
                         size_t head)
{
    struct frames fa, fb;
    size_t n, from;

    dice = seed;
    if (a.len <= head || b.len <= head || a.len > most)
        return 0;
    fa = frames_of(a, head);
    fb = frames_of(b, head);
    n = put(to, 0, most, cs_bytes_of(a.base, head));
    for (size_t i = 0, until = 1 + roll((unsigned)fa.len); i < until; i++)
        n = put(to, n, most, fa.of[i]);
    from = roll((unsigned)fb.len);
    for (size_t i = from, until = from + 1 + roll((unsigned)(fb.len - from)); i < until; i++)
        n = put(to, n, most, fb.of[i]);
    return n;
}
