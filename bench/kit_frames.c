/* All frames are cut from one area of noise, at eight places: the receiver knows each by its number,
 * and a process that sends small ones touches little of it. */
#include "bench/kit.h"

enum { PATTERNS = 8, STEP = 64 };

static uint8_t area[KIT_LARGEST + PATTERNS * STEP];
static size_t filled;

static void fill(size_t until)
{
    static uint32_t x = 2463534242u;
    for (; filled < until; filled++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        area[filled] = (uint8_t)x;
    }
}

cs_bytes kit_frame(uint64_t number, size_t size)
{
    size_t at = number % PATTERNS * STEP;
    if (at + size > filled)
        fill(PATTERNS * STEP + size);
    return cs_bytes_of(area + at, size);
}

bool kit_is_frame(cs_bytes frame, uint64_t number, size_t size)
{
    return frame.len == size &&
           (size == 0 || memcmp(frame.base, kit_frame(number, size).base, size) == 0);
}

cs_bytes kit_spoiled(cs_bytes frame)
{
    static uint8_t spoiled[KIT_LARGEST];
    memcpy(spoiled, frame.base, frame.len);
    spoiled[frame.len / 2] ^= 1;
    return cs_bytes_of(spoiled, frame.len);
}

bool kit_corrupts(void)
{
    static int corrupts = -1;
    if (corrupts < 0)
        corrupts = getenv("BENCH_CORRUPT") != NULL;
    return corrupts > 0;
}
