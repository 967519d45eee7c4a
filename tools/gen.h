/* gen -- what is in a frame of the service kind "gen", for both sides to compute.
 *
 * Frame j of source i begins with the text "i:j:"; behind it, up to the frame's size, byte o is
 *
 *     seed = (i + 1) * 0x9E3779B1  ^  (j + 1) * 0x85EBCA77          all in 32 bits, wrapping
 *     word = (seed ^ o / 4) * 0x27D4EB2F;  word ^= word >> 15
 *     byte = word >> 8 * (o % 4)
 *
 * so that no byte can be lost, doubled, moved or changed unseen, in any language and at the cost
 * of a multiplication for four bytes.  A frame that is shorter than its text is the text cut off.
 */
#ifndef TOOLS_GEN_H
#define TOOLS_GEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { GEN_TEXT_MAX = 48 };

static inline uint32_t gen_seed(uint64_t i, uint64_t j)
{
    return ((uint32_t)i + 1) * UINT32_C(0x9E3779B1) ^ ((uint32_t)j + 1) * UINT32_C(0x85EBCA77);
}

static inline uint32_t gen_word(uint32_t seed, size_t o)
{
    uint32_t word = (seed ^ (uint32_t)(o / 4)) * UINT32_C(0x27D4EB2F);
    return word ^ word >> 15;
}

static inline uint8_t gen_byte(uint32_t seed, size_t o)
{
    return (uint8_t)(gen_word(seed, o) >> 8 * (o % 4));
}

/* The text without a NUL; answers its length. */
static inline size_t gen_text(char to[GEN_TEXT_MAX], uint64_t i, uint64_t j)
{
    int n = snprintf(to, GEN_TEXT_MAX, "%llu:%llu:", (unsigned long long)i, (unsigned long long)j);
    return n > 0 ? (size_t)n : 0;
}

static inline void gen_fill(void *frame, size_t len, uint64_t i, uint64_t j)
{
    uint32_t seed = gen_seed(i, j), word;
    char text[GEN_TEXT_MAX];
    size_t n = gen_text(text, i, j), o = 0;
    uint8_t *to = frame;

    for (; o + 4 <= len; o += 4) {
        word = gen_word(seed, o);
        to[o] = (uint8_t)word;
        to[o + 1] = (uint8_t)(word >> 8);
        to[o + 2] = (uint8_t)(word >> 16);
        to[o + 3] = (uint8_t)(word >> 24);
    }
    for (; o < len; o++)
        to[o] = gen_byte(seed, o);
    if (len > 0)
        memcpy(to, text, n < len ? n : len);
}

/* Is this frame j of source i, whole and of this size? */
static inline bool gen_check(const void *frame, size_t len, size_t size, uint64_t i, uint64_t j)
{
    uint32_t seed = gen_seed(i, j);
    char text[GEN_TEXT_MAX];
    size_t n = gen_text(text, i, j), o;
    const uint8_t *from = frame;

    if (len != size)
        return false;
    if (n > len)
        n = len;
    if (n > 0 && memcmp(from, text, n) != 0)
        return false;
    for (o = n; o < len && o % 4 != 0; o++) {
        if (from[o] != gen_byte(seed, o))
            return false;
    }
    for (; o + 4 <= len; o += 4) {
        uint32_t word = from[o] | (uint32_t)from[o + 1] << 8 | (uint32_t)from[o + 2] << 16 |
                        (uint32_t)from[o + 3] << 24;
        if (word != gen_word(seed, o))
            return false;
    }
    for (; o < len; o++) {
        if (from[o] != gen_byte(seed, o))
            return false;
    }
    return true;
}

#endif
