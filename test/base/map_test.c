/* Maps from numbers and from names. */
#include "base/map.h"
#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static size_t live, calls, fail_at;

static void *some_alloc(size_t size, void *user)
{
    (void)user;
    if (++calls == fail_at)
        return NULL;
    live++;
    return malloc(size);
}

static void *some_realloc(void *old, size_t size, void *user)
{
    (void)user;
    return ++calls == fail_at ? NULL : realloc(old, size);
}

static void some_free(void *p, void *user)
{
    (void)user;
    live--;
    free(p);
}

static const struct cs_allocator some = {some_alloc, some_realloc, some_free, NULL};

static int values[4096];

/* A generator of test data, the same in each run. */
static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

Test(map, what_was_put_is_found_until_it_is_removed)
{
    struct cs_map map = {0};

    cr_assert_null(cs_map_get(&map, 0));
    cr_assert_null(cs_map_remove(&map, 0));
    cr_assert_eq(cs_map_put(&map, 0, &values[0]), CS_OK);
    cr_assert_eq(cs_map_put(&map, UINT64_MAX, &values[1]), CS_OK);
    cr_assert_eq(cs_map_put(&map, 0, &values[2]), CS_EEXIST);
    cr_assert_eq(cs_map_put(&map, 5, NULL), CS_EMISUSE);
    cr_assert_eq(map.len, 2u);
    cr_assert_eq(cs_map_get(&map, 0), &values[0]);
    cr_assert_eq(cs_map_remove(&map, 0), &values[0]);
    cr_assert_null(cs_map_remove(&map, 0));
    cr_assert_null(cs_map_get(&map, 0));
    cr_assert_eq(cs_map_get(&map, UINT64_MAX), &values[1]);
    cs_map_fini(&map);
    cr_assert(!map.slots && map.len == 0 && map.cap == 0);
    cs_map_fini(&map);
}

Test(map, agrees_with_an_array_over_a_long_life)
{
    struct cs_map map = {0};
    bool there[4096] = {0};
    uint32_t state = 1;
    size_t n = 0;

    for (int i = 0; i < 200000; i++) {
        uint32_t k = next_random(&state) % 4096;
        uint64_t key = (uint64_t)k << 32 | k * 8;
        if (next_random(&state) % 2) {
            cr_assert_eq(cs_map_put(&map, key, &values[k]), there[k] ? CS_EEXIST : CS_OK);
            n += !there[k];
            there[k] = true;
        } else {
            cr_assert_eq(cs_map_remove(&map, key), there[k] ? (void *)&values[k] : NULL);
            n -= there[k];
            there[k] = false;
        }
        cr_assert_eq(map.len, n);
    }
    for (uint32_t k = 0; k < 4096; k++)
        cr_assert_eq(cs_map_get(&map, (uint64_t)k << 32 | k * 8),
                     there[k] ? (void *)&values[k] : NULL);
    cs_map_fini(&map);
}

Test(map, each_gives_every_entry_once_and_lets_it_go)
{
    struct cs_map map = {0};
    bool seen[1000] = {0};
    size_t at = 0, n = 0;
    void *value;

    cr_assert_not(cs_map_each(&map, &at, &value));
    for (uint64_t k = 0; k < 1000; k++)
        cr_assert_eq(cs_map_put(&map, k, &values[k]), CS_OK);
    for (at = 0; cs_map_each(&map, &at, &value); n++) {
        size_t k = (size_t)((int *)value - values);
        cr_assert_not(seen[k]);
        seen[k] = true;
        cr_assert_eq(cs_map_remove(&map, k), value);
    }
    cr_assert_eq(n, 1000u);
    cr_assert_eq(map.len, 0u);
    cs_map_fini(&map);
}

Test(map, a_table_that_was_large_shrinks)
{
    struct cs_map map = {0};
    size_t large;

    for (uint64_t k = 0; k < 4096; k++)
        cr_assert_eq(cs_map_put(&map, k, &values[k]), CS_OK);
    large = map.cap;
    for (uint64_t k = 0; k < 4096; k++)
        cr_assert_not_null(cs_map_remove(&map, k));
    for (uint64_t k = 0; k < 100 * large; k++) {
        cr_assert_eq(cs_map_put(&map, k + 10000, &values[0]), CS_OK);
        if (k >= 8)
            cr_assert_not_null(cs_map_remove(&map, k + 10000 - 8));
    }
    cr_assert_eq(map.len, 8u);
    cr_assert_leq(map.cap, large);
    cs_map_fini(&map);
}

Test(map, filling_and_emptying_asks_for_no_more_memory)
{
    struct cs_map map = {0};
    size_t before;

    cs_set_allocator(&some);
    cr_assert_eq(cs_map_put(&map, 1, &values[1]), CS_OK);
    before = calls;
    for (uint64_t k = 2; k < 1000; k++) {
        cr_assert_eq(cs_map_put(&map, k, &values[k]), CS_OK);
        cr_assert_not_null(cs_map_remove(&map, k - 1));
    }
    /* Now and then two marks stand side by side and stay; once in hundreds of times. */
    cr_assert_leq(calls - before, 200u);
    cs_map_fini(&map);
    cr_assert_eq(live, 0u);
}

Test(map, without_memory_nothing_is_put_and_nothing_is_lost)
{
    cs_set_allocator(&some);
    for (fail_at = 1; fail_at < 10; fail_at++) {
        struct cs_map map = {0};
        uint64_t put = 0;
        bool failed = false;
        calls = 0;
        for (uint64_t k = 0; k < 500; k++) {
            cs_err err = cs_map_put(&map, k, &values[k]);
            if (err == CS_ENOMEM) {
                failed = true;
                cr_assert_null(cs_map_get(&map, k));
                err = cs_map_put(&map, k, &values[k]);
            }
            cr_assert_eq(err, CS_OK);
            put++;
            cr_assert_eq(map.len, put);
        }
        for (uint64_t k = 0; k < 500; k++)
            cr_assert_eq(cs_map_get(&map, k), &values[k]);
        cr_assert_eq(failed, calls >= fail_at);
        cs_map_fini(&map);
        cr_assert_eq(live, 0u);
    }
}

Test(map, the_seed_differs_from_map_to_map)
{
    struct cs_map a = {0}, b = {0};

    cr_assert_eq(cs_map_put(&a, 1, &values[0]), CS_OK);
    cr_assert_eq(cs_map_put(&b, 1, &values[0]), CS_OK);
    cr_assert_neq(a.seed, b.seed);
    cs_map_fini(&a);
    cs_map_fini(&b);
}

Test(names, what_was_put_is_found_until_it_is_removed)
{
    struct cs_names names = {0};
    cs_bytes zero = cs_bytes_of("a\0", 2);

    cr_assert_null(cs_names_get(&names, cs_str("a")));
    cr_assert_null(cs_names_remove(&names, cs_str("a")));
    cr_assert_eq(cs_names_put(&names, cs_str("a"), &values[0]), CS_OK);
    cr_assert_eq(cs_names_put(&names, zero, &values[1]), CS_OK);
    cr_assert_eq(cs_names_put(&names, cs_bytes_of(NULL, 0), &values[2]), CS_OK);
    cr_assert_eq(cs_names_put(&names, cs_str("a"), &values[3]), CS_EEXIST);
    cr_assert_eq(cs_names_put(&names, cs_str("b"), NULL), CS_EMISUSE);
    cr_assert_eq(cs_names_get(&names, cs_str("a")), &values[0]);
    cr_assert_eq(cs_names_get(&names, zero), &values[1]);
    cr_assert_eq(cs_names_get(&names, cs_str("")), &values[2]);
    cr_assert_eq(cs_names_remove(&names, zero), &values[1]);
    cr_assert_null(cs_names_get(&names, zero));
    cr_assert_eq(names.len, 2u);
    cs_names_fini(&names);
    cr_assert(!names.slots && names.len == 0 && names.cap == 0);
}

Test(names, keys_of_each_length_are_told_apart)
{
    struct cs_names names = {0};
    static const uint8_t zeros[64];

    for (size_t len = 0; len <= 64; len++)
        cr_assert_eq(cs_names_put(&names, cs_bytes_of(zeros, len), &values[len]), CS_OK);
    for (size_t len = 0; len <= 64; len++)
        cr_assert_eq(cs_names_get(&names, cs_bytes_of(zeros, len)), &values[len]);
    cs_names_fini(&names);
}

Test(names, agrees_with_an_array_and_forgets_the_keys_it_removed)
{
    struct cs_names names = {0};
    char *keys[512] = {0};
    uint32_t state = 7;
    size_t at = 0, n = 0, seen = 0;
    void *value;

    for (int i = 0; i < 50000; i++) {
        uint32_t k = next_random(&state) % 512;
        if (!keys[k]) {
            keys[k] = cs_printf("service/%u", k);
            cr_assert_eq(cs_names_put(&names, cs_str(keys[k]), &values[k]), CS_OK);
            n++;
        } else {
            cr_assert_eq(cs_names_remove(&names, cs_str(keys[k])), &values[k]);
            cs_free(keys[k]); /* a look at it from now on is found by the sanitizer */
            keys[k] = NULL;
            n--;
        }
    }
    cr_assert_eq(names.len, n);
    while (cs_names_each(&names, &at, &value)) {
        size_t k = (size_t)((int *)value - values);
        cr_assert_eq(cs_names_remove(&names, cs_str(keys[k])), value);
        cs_free(keys[k]);
        seen++;
    }
    cr_assert_eq(seen, n);
    cs_names_fini(&names);
}

Test(names, without_memory_nothing_is_put)
{
    struct cs_names names = {0};

    cs_set_allocator(&some);
    fail_at = 1;
    cr_assert_eq(cs_names_put(&names, cs_str("a"), &values[0]), CS_ENOMEM);
    cr_assert_null(cs_names_get(&names, cs_str("a")));
    cr_assert_eq(cs_names_put(&names, cs_str("a"), &values[0]), CS_OK);
    cs_names_fini(&names);
    cr_assert_eq(live, 0u);
}
