/* The pattern of "gen": pinned, so that programs in other languages may rely on it. */
#include "tools/gen.h"

#include <criterion/criterion.h>

Test(gen, a_frame_begins_with_its_numbers)
{
    char frame[64], text[GEN_TEXT_MAX];

    gen_fill(frame, sizeof frame, 12, 345);
    cr_assert_eq(memcmp(frame, "12:345:", 7), 0);
    cr_assert_eq(gen_text(text, UINT64_MAX, UINT64_MAX), 42);
}

Test(gen, the_bytes_behind_are_those_of_the_formula)
{
    static const uint8_t pinned[] = {'0', ':', '0', ':', 0x38, 0x7e, 0x59, 0xe8, 0x4f, 0x0d};
    uint8_t frame[sizeof pinned];

    gen_fill(frame, sizeof frame, 0, 0);
    cr_assert_eq(memcmp(frame, pinned, sizeof pinned), 0);
}

Test(gen, a_short_frame_is_the_text_cut_off)
{
    char frame[8] = "-------";

    gen_fill(frame, 2, 7, 7);
    cr_assert_str_eq(frame, "7:-----");
    gen_fill(frame, 0, 7, 7);
    cr_assert_str_eq(frame, "7:-----");
}

Test(gen, every_size_fills_and_checks)
{
    uint8_t frame[200];

    for (size_t size = 0; size <= sizeof frame; size++) {
        gen_fill(frame, size, 3, 1000);
        cr_assert(gen_check(frame, size, size, 3, 1000), "size %zu", size);
        cr_assert_not(gen_check(frame, size, size + 1, 3, 1000));
    }
}

Test(gen, every_single_changed_bit_is_found)
{
    uint8_t frame[67];

    gen_fill(frame, sizeof frame, 5, 6);
    for (size_t bit = 0; bit < 8 * sizeof frame; bit++) {
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_not(gen_check(frame, sizeof frame, sizeof frame, 5, 6), "bit %zu", bit);
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert(gen_check(frame, sizeof frame, sizeof frame, 5, 6));
}

Test(gen, frames_differ_behind_their_text)
{
    uint8_t a[1024], b[1024];

    gen_fill(a, sizeof a, 1, 2);
    gen_fill(b, sizeof b, 2, 1);
    cr_assert_neq(memcmp(a + 64, b + 64, sizeof a - 64), 0);
    memmove(a + 512, a + 516, 508); /* a word fell out */
    cr_assert_not(gen_check(a, sizeof a, sizeof a, 1, 2));
}
