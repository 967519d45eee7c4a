#include "mux/rx.h"
#include "base/ref.h"
#include "proto/wire.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct mux_rx rx;

/* Bytes arrive as a view into a block of their own, or of `size` bytes. */
static void arrive_in(const void *bytes, size_t len, size_t size)
{
    cs_block *block = cs_block_new(size);
    cr_assert(block);
    memcpy(cs_block_bytes(block), bytes, len);
    cr_assert_eq(mux_rx_add(&rx, cs_block_bytes(block), len, block), CS_OK);
    cs_block_drop(block);
}

static void arrive(const void *bytes, size_t len)
{
    arrive_in(bytes, len, len);
}

/* The n-th message of `len` bytes, with its prefix, at `to`. */
static size_t put(uint8_t *to, size_t len, uint8_t n)
{
    wire_prefix_put(to, false, (uint32_t)len);
    for (size_t i = 0; i < len; i++)
        to[WIRE_PREFIX + i] = (uint8_t)(n + i);
    return WIRE_PREFIX + len;
}

static bool is(cs_bytes m, size_t len, uint8_t n)
{
    for (size_t i = 0; i < m.len; i++)
        if (((const uint8_t *)m.base)[i] != (uint8_t)(n + i))
            return false;
    return m.len == len;
}

static const size_t lens[] = {0, 1, 0, 4, 300, 0, 2047, 2048, 5000, 1, 70000};
enum { LENS = sizeof lens / sizeof lens[0] };

/* Takes what there is; the first is number `at`.  Answers the number after the last. */
static size_t take_from(size_t at)
{
    cs_bytes m;
    cs_err err;
    while ((err = mux_rx_next(&rx, &m)) == CS_OK) {
        cr_assert_lt(at, LENS);
        cr_assert(is(m, lens[at], (uint8_t)at), "message %zu of %zu bytes", at, lens[at]);
        at++;
    }
    cr_assert_eq(err, CS_AGAIN);
    return at;
}

/* Cut into pieces of `cut` bytes, taken after each of them or at the end. */
static void cut_at(const uint8_t *bytes, size_t len, size_t cut, bool taken_at_once, bool settled)
{
    size_t at = 0, given = 0;
    mux_rx_init(&rx, 1 << 20);
    for (size_t i = 0; i < len; i += cut) {
        size_t n = len - i < cut ? len - i : cut;
        arrive_in(bytes + i, n, settled ? 8 * n + 64 : n);
        if (settled)
            mux_rx_settle(&rx);
        if (taken_at_once)
            at = take_from(at);
        given += mux_rx_credit(&rx);
    }
    at = take_from(at);
    cr_assert_eq(at, LENS);
    cr_assert_eq(given + mux_rx_credit(&rx), len);
    cr_assert_eq(mux_rx_credit(&rx), 0);
    cr_assert(!mux_rx_partial(&rx));
    mux_rx_fini(&rx);
}

Test(rx, messages_come_whole_whatever_the_cut)
{
    static uint8_t bytes[100000];
    static const size_t cuts[] = {1, 2, 3, 4, 5, 6, 7, 100, 4999, 16384, 65536, sizeof bytes};
    size_t len = 0;
    for (size_t i = 0; i < LENS; i++)
        len += put(bytes + len, lens[i], (uint8_t)i);
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++)
        for (int how = 0; how < 4; how++)
            cut_at(bytes, len, cuts[i], how & 1, how & 2);
}

Test(rx, a_short_message_that_has_not_come_yet_is_not_taken)
{
    uint8_t bytes[2100];
    cs_bytes m;
    mux_rx_init(&rx, 1 << 20);
    cr_assert_eq(mux_rx_next(&rx, &m), CS_AGAIN);
    (void)put(bytes, 2000, 0);
    arrive(bytes, 1000);
    cr_assert_eq(mux_rx_next(&rx, &m), CS_AGAIN);
    cr_assert_eq(mux_rx_credit(&rx), 0);
    cr_assert_eq(rx.bytes, 1000);
    cr_assert(mux_rx_partial(&rx));
    mux_rx_fini(&rx);
}

Test(rx, what_has_come_of_a_long_message_counts_as_taken)
{
    static uint8_t bytes[200000];
    size_t len = put(bytes, 150000, 0), at = 0, credit = 0;
    cs_bytes m;
    mux_rx_init(&rx, 1 << 20);
    for (; at < len; at += 10000) {
        arrive(bytes + at, len - at < 10000 ? len - at : 10000);
        cs_err err = mux_rx_next(&rx, &m);
        credit += mux_rx_credit(&rx);
        cr_assert_eq(credit, at + 10000 < len ? at + 10000 : len);
        cr_assert_eq(err, at + 10000 < len ? CS_AGAIN : CS_OK);
        cr_assert_eq(mux_rx_partial(&rx), at + 10000 < len);
    }
    cr_assert(is(m, 150000, 0));
    mux_rx_fini(&rx);
}

Test(rx, too_big_is_said_by_the_prefix_before_anything_is_allocated)
{
    uint8_t prefix[WIRE_PREFIX];
    cs_bytes m;
    failing_count();
    for (int pieces = 1; pieces <= 5; pieces += 4) {
        mux_rx_init(&rx, 1000);
        wire_prefix_put(prefix, false, 1001);
        for (int i = 0; i < pieces; i++)
            arrive(prefix + i * 5 / pieces, (size_t)(5 / pieces));
        size_t live = failing_live();
        cr_assert_eq(mux_rx_next(&rx, &m), CS_ETOOBIG);
        cr_assert_eq(failing_live(), live);
        mux_rx_fini(&rx);
    }
    mux_rx_init(&rx, 1000);
    wire_prefix_put(prefix, false, UINT32_MAX);
    arrive(prefix, sizeof prefix);
    cr_assert_eq(mux_rx_next(&rx, &m), CS_ETOOBIG);
    mux_rx_fini(&rx);
}

Test(rx, a_prefix_alone_gets_no_more_than_a_first_grant)
{
    uint8_t prefix[WIRE_PREFIX];
    cs_bytes m;
    failing_count();
    mux_rx_init(&rx, CS_OFF);
    wire_prefix_put(prefix, false, INT32_MAX);
    arrive(prefix, sizeof prefix);
    cr_assert_eq(mux_rx_next(&rx, &m), CS_AGAIN);
    cr_assert_leq(failing_live_bytes(), 1024 * 1024 + 4096);
    mux_rx_fini(&rx);
    cr_assert_eq(failing_live(), 0);
}

Test(rx, a_compressed_message_is_refused)
{
    uint8_t bytes[WIRE_PREFIX + 1];
    cs_bytes m;
    for (int cut = 0; cut < 2; cut++) {
        mux_rx_init(&rx, 1000);
        wire_prefix_put(bytes, true, 1);
        arrive(bytes, cut ? 3 : 6);
        if (cut)
            arrive(bytes + 3, 3);
        cr_assert_eq(mux_rx_next(&rx, &m), CS_EPROTO);
        mux_rx_fini(&rx);
    }
}

Test(rx, little_bytes_leave_large_blocks)
{
    static uint8_t bytes[60000];
    size_t len = put(bytes, 20, 1);
    failing_count();
    mux_rx_init(&rx, 1000);
    arrive_in(bytes, len, 65536);
    cr_assert_gt(failing_live_bytes(), 65536);
    mux_rx_settle(&rx);
    cr_assert_lt(failing_live_bytes(), 1024);
    cs_bytes m;
    cr_assert_eq(mux_rx_next(&rx, &m), CS_OK);
    cr_assert(is(m, 20, 1));
    mux_rx_fini(&rx);
}

Test(rx, a_view_that_was_handed_out_stays_when_what_is_behind_it_settles)
{
    uint8_t bytes[100];
    size_t len = put(bytes, 20, 1);
    len += put(bytes + len, 30, 2);
    cs_bytes first, second;
    mux_rx_init(&rx, 1000);
    arrive_in(bytes, len, 65536);
    cr_assert_eq(mux_rx_next(&rx, &first), CS_OK);
    mux_rx_settle(&rx);
    arrive_in(bytes, 25, 65536);
    mux_rx_settle(&rx);
    cr_assert(is(first, 20, 1));
    cr_assert_eq(mux_rx_next(&rx, &second), CS_OK);
    cr_assert(is(second, 30, 2));
    mux_rx_settle(&rx);
    cr_assert(is(second, 30, 2));
    cr_assert_eq(mux_rx_next(&rx, &first), CS_OK);
    cr_assert(is(first, 20, 1));
    mux_rx_fini(&rx);
}

Test(rx, one_short_message_a_turn_does_not_cost_a_block_a_message)
{
    uint8_t bytes[64];
    size_t len = put(bytes, 15, 7);
    cs_bytes m;
    failing_count();
    mux_rx_init(&rx, 1000);
    for (int i = 0; i < 3000; i++) {
        arrive_in(bytes, len, 65536);
        mux_rx_settle(&rx);
    }
    cr_assert_lt(failing_live(), 60, "%zu allocations", failing_live());
    cr_assert_lt(failing_live_bytes(), 3 * 3000 * len, "%zu bytes", failing_live_bytes());
    for (int i = 0; i < 3000; i++) {
        cr_assert_eq(mux_rx_next(&rx, &m), CS_OK);
        cr_assert(is(m, 15, 7));
    }
    mux_rx_fini(&rx);
}

Test(rx, behind_a_long_piece_a_short_one_costs_what_it_is)
{
    static uint8_t bytes[20000];
    size_t len = put(bytes, 15500, 7);
    cs_bytes m;
    failing_count();
    mux_rx_init(&rx, sizeof bytes);
    for (size_t i = 0; i < len; i += 15000) {
        arrive_in(bytes + i, len - i < 15000 ? len - i : 15000, 65536);
        mux_rx_settle(&rx);
    }
    cr_assert_lt(failing_live_bytes(), len + 1024, "%zu bytes", failing_live_bytes());
    cr_assert_eq(mux_rx_next(&rx, &m), CS_OK);
    cr_assert(is(m, 15500, 7));
    mux_rx_fini(&rx);
}

Test(rx, what_one_has_not_taken_is_appended_to_another)
{
    struct mux_rx other;
    uint8_t bytes[300];
    size_t len = put(bytes, 100, 1);
    len += put(bytes + len, 100, 2);
    cs_bytes m;
    mux_rx_init(&rx, 1000);
    mux_rx_init(&other, 1000);
    mux_rx_append(&rx, &other);
    cr_assert_eq(rx.bytes, 0);
    arrive(bytes, 50);
    mux_rx_append(&other, &rx);
    arrive(bytes + 50, len - 50);
    mux_rx_append(&other, &rx);
    cr_assert_eq(rx.bytes, 0);
    cr_assert_eq(mux_rx_next(&rx, &m), CS_AGAIN);
    cr_assert_eq(mux_rx_next(&other, &m), CS_OK);
    cr_assert(is(m, 100, 1));
    cr_assert_eq(mux_rx_next(&other, &m), CS_OK);
    cr_assert(is(m, 100, 2));
    cr_assert_eq(mux_rx_credit(&other), len);
    mux_rx_fini(&other);
    mux_rx_fini(&rx);
}

static void keep_is_the_same(size_t len, size_t block, size_t cut)
{
    static uint8_t bytes[70000];
    cs_bytes m;
    cs_ref ref;
    size_t all = put(bytes, len, 9);
    mux_rx_init(&rx, 1 << 20);
    arrive_in(bytes, cut < all ? cut : all, block);
    if (cut < all)
        arrive_in(bytes + cut, all - cut, block);
    cr_assert_eq(mux_rx_next(&rx, &m), CS_OK);
    cr_assert_eq(mux_rx_keep(&rx, m, &ref), CS_OK);
    mux_rx_fini(&rx);
    cr_assert(is(ref.bytes, len, 9));
    cs_ref_drop(&ref);
}

Test(rx, a_message_that_is_kept_outlives_the_rest)
{
    static const size_t sizes[] = {0, 1, 100, 10000, 60000};
    for (size_t i = 0; i < 5; i++)
        for (size_t cut = 1; cut < 100000; cut = cut * 7 + 1)
            keep_is_the_same(sizes[i], 65536, cut);
}

Test(rx, random_pieces_settled_and_taken_at_random)
{
    static uint8_t bytes[1 << 20];
    uint32_t sizes[3000];
    srand(42);
    for (int round = 0; round < 5; round++) {
        size_t len = 0, at = 0, took = 0, n = 0;
        cs_bytes m = {NULL, 0};
        for (; n < 3000 && len < sizeof bytes - 10000; n++) {
            sizes[n] = (uint32_t)(rand() % 20 ? rand() % 200 : rand() % 9000);
            len += put(bytes + len, sizes[n], (uint8_t)n);
        }
        mux_rx_init(&rx, 1 << 20);
        while (took < n) {
            if (at < len && rand() % 2) {
                size_t piece = (size_t)rand() % 3000 + 1;
                piece = piece < len - at ? piece : len - at;
                arrive_in(bytes + at, piece, rand() % 2 ? 65536 : piece);
                at += piece;
            }
            if (rand() % 3 == 0)
                mux_rx_settle(&rx);
            if (took > 0 && m.base)
                cr_assert(is(m, sizes[took - 1], (uint8_t)(took - 1)), "a view went stale");
            cs_err err = mux_rx_next(&rx, &m);
            if (err == CS_OK) {
                cr_assert(is(m, sizes[took], (uint8_t)took));
                took++;
            } else {
                cr_assert_eq(err, CS_AGAIN);
                cr_assert(at < len || took == n);
                m.base = NULL;
            }
        }
        cr_assert(!mux_rx_partial(&rx));
        mux_rx_fini(&rx);
    }
}

static void starving_story(void)
{
    static uint8_t bytes[20000];
    size_t len = put(bytes, 10, 1), ends[3] = {len};
    cs_err err = CS_OK;
    cs_bytes m;
    cs_ref ref;
    len += put(bytes + len, 9000, 2);
    ends[1] = len;
    len += put(bytes + len, 10, 3);
    mux_rx_init(&rx, 100000);
    for (size_t at = 0; at < len && err == CS_OK; at += 500) {
        cs_block *block = cs_block_new(65536);
        size_t n = len - at < 500 ? len - at : 500;
        if (!block)
            break;
        memcpy(cs_block_bytes(block), bytes + at, n);
        err = mux_rx_add(&rx, cs_block_bytes(block), n, block);
        cs_block_drop(block);
        if (at > ends[0])
            mux_rx_settle(&rx);
    }
    for (uint8_t n = 1; err == CS_OK && (err = mux_rx_next(&rx, &m)) == CS_OK; n++) {
        cr_assert(is(m, n == 2 ? 9000 : 10, n));
        if (mux_rx_keep(&rx, m, &ref) == CS_OK)
            cs_ref_drop(&ref);
    }
    cr_assert(err == CS_AGAIN || err == CS_ENOMEM);
    mux_rx_fini(&rx);
}

Test(rx, survives_every_failed_allocation)
{
    failing_story(starving_story);
}
