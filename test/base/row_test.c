/* A row against an array that says what is in it. */
#include "base/mem.h"
#include "base/row.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>

enum { KEYS = 4096 };

static int values[KEYS];

static uint32_t roll(uint32_t n)
{
    static uint32_t state = 1;
    state = state * 1103515245u + 12345u;
    return (state >> 8) % n;
}

static size_t len(const struct cs_row *row)
{
    return row->here + row->rest.len;
}

Test(row, numbers_that_count_up_are_at_home)
{
    struct cs_row row = {0};

    for (uint64_t k = 1; k < 100000; k++) {
        cr_assert_eq(cs_row_put(&row, k, &values[k % KEYS]), CS_OK);
        cr_assert_eq(cs_row_put(&row, k, &values[0]), CS_EEXIST);
        if (k > 1000)
            cr_assert_eq(cs_row_remove(&row, k - 1000), &values[(k - 1000) % KEYS]);
    }
    cr_assert_eq(row.rest.len, 0u);
    cr_assert_eq(row.here, 1000u);
    cr_assert_leq(row.cap, 1024u);
    cs_row_fini(&row);
    cr_assert(!row.slots && !row.rest.slots);
    cs_row_fini(&row);
}

/* Some in order, some that stay, some of somebody who wants them all in one place. */
static uint64_t key_of(uint32_t k)
{
    return k % 4 == 0 ? (uint64_t)k << 32 : k;
}

Test(row, agrees_with_an_array_over_a_long_life)
{
    struct cs_row row = {0};
    bool there[KEYS] = {0};
    size_t n = 0;

    for (int i = 0; i < 400000; i++) {
        const uint32_t range = (i / 50000) % 2 ? 40 : KEYS; /* it shrinks and grows */
        const uint32_t k = roll(range);

        if (i % 50000 == 0)
            for (uint32_t all = 0; all < KEYS; all++) {
                cr_assert_eq(cs_row_remove(&row, key_of(all)) != NULL, there[all]);
                n -= there[all];
                there[all] = false;
            }
        if (roll(2)) {
            cr_assert_eq(cs_row_put(&row, key_of(k), &values[k]), there[k] ? CS_EEXIST : CS_OK);
            n += !there[k];
            there[k] = true;
        } else {
            cr_assert_eq(cs_row_remove(&row, key_of(k)), there[k] ? (void *)&values[k] : NULL);
            n -= there[k];
            there[k] = false;
        }
        cr_assert_eq(len(&row), n);
        cr_assert_eq(cs_row_get(&row, key_of(k)), there[k] ? (void *)&values[k] : NULL);
    }
    for (uint32_t k = 0; k < KEYS; k++)
        cr_assert_eq(cs_row_get(&row, key_of(k)), there[k] ? (void *)&values[k] : NULL);
    cs_row_fini(&row);
}

Test(row, each_gives_every_entry_once_and_lets_it_go)
{
    struct cs_row row = {0};
    bool seen[1000] = {0};
    size_t at = 0, n = 0;
    void *value;

    cr_assert_not(cs_row_each(&row, &at, &value));
    for (uint32_t k = 0; k < 1000; k++)
        cr_assert_eq(cs_row_put(&row, key_of(k), &values[k]), CS_OK);
    cr_assert_gt(row.rest.len, 0u);
    for (at = 0; cs_row_each(&row, &at, &value); n++) {
        size_t k = (size_t)((int *)value - values);
        cr_assert_not(seen[k]);
        seen[k] = true;
        cr_assert_eq(cs_row_remove(&row, key_of((uint32_t)k)), value);
    }
    cr_assert_eq(n, 1000u);
    cr_assert_eq(len(&row), 0u);
    cs_row_fini(&row);
}

Test(row, who_wants_all_in_one_place_gets_no_large_row)
{
    struct cs_row row = {0};

    for (uint64_t k = 0; k < KEYS; k++)
        cr_assert_eq(cs_row_put(&row, k << 32, &values[k]), CS_OK);
    cr_assert_leq(row.cap, 16u);
    cr_assert_eq(row.here, 1u);
    cs_row_fini(&row);
}

Test(row, one_that_was_large_shrinks_around_those_that_stay)
{
    struct cs_row row = {0};

    for (uint64_t k = 0; k < KEYS; k++)
        cr_assert_eq(cs_row_put(&row, k, &values[k]), CS_OK);
    for (uint64_t k = 0; k < KEYS; k++)
        if (k % 512 > 0)
            cr_assert_not_null(cs_row_remove(&row, k));
    for (uint64_t k = KEYS + 1; k < 2 * KEYS; k++) {
        cr_assert_eq(cs_row_put(&row, k, &values[0]), CS_OK);
        cr_assert_eq(cs_row_remove(&row, k), &values[0]);
    }
    cr_assert_leq(row.cap, 256u);
    for (uint64_t k = 0; k < KEYS; k += 512)
        cr_assert_eq(cs_row_get(&row, k), &values[k]);
    cs_row_fini(&row);
}

/* As a client opens what is announced to it all at once, and is done with all of it; one stays. */
Test(row, one_that_fills_and_empties_is_built_seldom)
{
    const struct cs_row_slot *slots;
    struct cs_row row = {0};
    uint64_t k = 2;
    size_t built = 0;

    cr_assert_eq(cs_row_put(&row, 1, &values[1]), CS_OK);
    for (int round = 0; round < 1000; round++) {
        for (uint64_t i = 0; i < 100; i++) {
            slots = row.slots;
            cr_assert_eq(cs_row_put(&row, k + i, &values[0]), CS_OK);
            built += row.slots != slots;
        }
        for (uint64_t i = 0; i < 100; i++)
            cr_assert_eq(cs_row_remove(&row, k++), &values[0]);
    }
    cr_assert_leq(built, 10u);
    cr_assert_eq(cs_row_get(&row, 1), &values[1]);
    cs_row_fini(&row);
}

static void story(void)
{
    struct cs_row row = {0};
    bool there[600] = {0};

    for (uint32_t k = 0; k < 600; k++)
        there[k] = cs_row_put(&row, key_of(k), &values[k]) == CS_OK;
    for (uint32_t k = 0; k < 600; k++)
        cr_assert_eq(cs_row_get(&row, key_of(k)), there[k] ? (void *)&values[k] : NULL);
    for (uint32_t k = 0; k < 600; k++)
        if (k % 64 > 0) {
            cr_assert_eq(cs_row_remove(&row, key_of(k)), there[k] ? (void *)&values[k] : NULL);
            there[k] = false;
        }
    for (uint32_t k = 1; k < 40; k += 2)
        there[k] = cs_row_put(&row, key_of(k), &values[k]) == CS_OK;
    for (uint32_t k = 0; k < 600; k++)
        cr_assert_eq(cs_row_get(&row, key_of(k)), there[k] ? (void *)&values[k] : NULL);
    cs_row_fini(&row);
}

Test(row, without_memory_nothing_is_put_and_nothing_is_lost)
{
    failing_story(story);
}
