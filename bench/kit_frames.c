/* All frames are cut from one area of noise, at eight places: the receiver knows each by its number,
 * and a process that sends small ones touches little of it. */
#include "bench/kit.h"

uint8_t kit_noise[KIT_NOISE];
size_t kit_noise_len;

void kit_make_noise(size_t until)
{
    static uint32_t x = 2463534242u;
    for (; kit_noise_len < until; kit_noise_len++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        kit_noise[kit_noise_len] = (uint8_t)x;
    }
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
