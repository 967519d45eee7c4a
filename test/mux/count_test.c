/* How many messages have arrived whole, of messages long and short, fed in any pieces. */
#include "mux/count__in.h"

#include "proto/wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { LONGEST = 300, MOST = 64, ROOM = MOST * (WIRE_PREFIX + LONGEST) };

/* A short one takes as many numbers as its first byte says. */
static uint64_t weigh(cs_bytes message)
{
    cr_assert_leq(message.len, MUX_LASTING_HEAD);
    return message.len > 0 ? ((const uint8_t *)message.base)[0] : 1;
}

static const struct mux_lasting_ops ops = {.weigh = weigh};

struct flow {
    uint8_t bytes[ROOM];
    size_t len;
    uint64_t numbers; /* that it takes */
};

static void put(struct flow *f, bool packed, size_t len)
{
    uint8_t *message = f->bytes + f->len + WIRE_PREFIX;

    cr_assert_leq(f->len + WIRE_PREFIX + len, sizeof f->bytes);
    wire_prefix_put(f->bytes + f->len, packed, (uint32_t)len);
    memset(message, 7, len);
    f->len += WIRE_PREFIX + len;
    f->numbers += !packed && len > 0 && len <= MUX_LASTING_HEAD ? 7 : 1;
}

static void feed(const struct flow *f, struct mux__counting *counting, size_t from, size_t len)
{
    cr_assert(mux__count(&ops, counting, f->bytes + from, len));
}

static void counts(const struct flow *f, size_t piece)
{
    struct mux__counting counting = {0};
    size_t at = 0;

    for (; f->len - at > piece; at += piece)
        feed(f, &counting, at, piece);
    feed(f, &counting, at, f->len - at);
    cr_assert_eq(counting.received, f->numbers, "in pieces of %zu bytes: %llu, not %llu", piece,
                 (unsigned long long)counting.received, (unsigned long long)f->numbers);
    cr_assert_null(counting.half);
}

static void counts_in_any_pieces(const struct flow *f)
{
    for (size_t piece = 1; piece < f->len; piece++)
        counts(f, piece);
    counts(f, f->len);
}

Test(count, messages_of_every_length_around_the_bounds)
{
    static const size_t lens[] = {0,
                                  1,
                                  MUX_LASTING_HEAD,
                                  MUX_LASTING_HEAD + 1,
                                  64,
                                  64,
                                  64,
                                  65,
                                  200,
                                  64,
                                  64,
                                  LONGEST,
                                  0,
                                  41,
                                  41,
                                  40,
                                  41,
                                  256,
                                  256 + 41,
                                  41};
    static struct flow f;

    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++)
        put(&f, false, lens[i]);
    counts_in_any_pieces(&f);
}

Test(count, packed_ones_between_others_as_long)
{
    static struct flow f;

    put(&f, true, 0);
    for (unsigned i = 0; i < 12; i++)
        put(&f, i % 3 == 1, i < 6 ? 64 : 20);
    counts_in_any_pieces(&f);
}

Test(count, of_a_row_of_equals_the_last_may_have_come_in_part)
{
    enum { LEN = 64, SIZE = WIRE_PREFIX + LEN };
    static struct flow f;

    for (int i = 0; i < 5; i++)
        put(&f, false, LEN);
    for (size_t len = 0; len <= f.len; len++) {
        struct mux__counting counting = {0};
        uint8_t *exact = malloc(len + 1); /* so that AddressSanitizer sees a look behind them */

        cr_assert_not_null(exact);
        memcpy(exact + 1, f.bytes, len);
        cr_assert(mux__count(&ops, &counting, exact + 1, len));
        cr_assert_eq(counting.received, len / SIZE);
        cr_assert_eq(counting.half == NULL, len % SIZE == 0);
        mux__count_anew(&counting);
        free(exact);
    }
}
