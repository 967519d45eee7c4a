/* The pool of large blocks.  Under AddressSanitizer it keeps nothing, and that is tested too. */
#include "base/pool__in.h"

#include "base/mem.h"
#include "base/ref.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { IS_ON = !CS__KEEPS_NOTHING };
enum { KIB = 1024 };

Test(pool, a_large_block_that_was_dropped_is_the_next_one)
{
    cs_block *first = cs_block_new(64 * KIB), *second;
    cr_assert_not_null(first);
    uintptr_t at = (uintptr_t)first;
    cs_block_drop(first);
    second = cs_block_new(60 * KIB);
    cr_assert_eq((uintptr_t)second == at, IS_ON);
    cr_assert_eq(second->size, 60 * KIB, "it says what it keeps alive for its user");
    memset(cs_block_bytes(second), 1, 60 * KIB);
    cs_block_drop(second);
}

Test(pool, a_small_want_does_not_get_a_large_block)
{
    cs_block *large = cs_block_new(64 * KIB), *small;
    uintptr_t at = (uintptr_t)large;
    cs_block_drop(large);
    small = cs_block_new(40 * KIB);
    cr_assert_neq((uintptr_t)small, at);
    cs_block_drop(small);
}

Test(pool, it_keeps_four_mebibytes_and_no_more)
{
    size_t cap, kept = 0;
    void *memory;
    for (int i = 0; i < 6; i++) {
        memory = malloc(1024 * KIB);
        if (cs__pool_give(memory, 1024 * KIB))
            kept++;
        else
            free(memory);
    }
    cr_assert_eq(kept, IS_ON ? 4 : 0);
    while ((memory = cs__pool_take(1024 * KIB, &cap))) {
        cr_assert_eq(cap, 1024 * KIB);
        free(memory);
        kept--;
    }
    cr_assert_eq(kept, 0);
}

static void *counted_alloc(size_t size, void *user)
{
    ++*(int *)user;
    return malloc(size);
}
static void *counted_realloc(void *old, size_t size, void *user)
{
    (void)user;
    return realloc(old, size);
}
static void counted_free(void *p, void *user)
{
    --*(int *)user;
    free(p);
}

Test(pool, an_allocator_of_the_users_sees_every_block)
{
    int live = 0;
    const struct cs_allocator counted = {counted_alloc, counted_realloc, counted_free, &live};
    cs_set_allocator(&counted);
    cs_block *block = cs_block_new(64 * KIB);
    cr_assert_eq(live, 1);
    cs_block_drop(block);
    cr_assert_eq(live, 0);
    cs_set_allocator(NULL);
}

/* ---- Small ones ---------------------------------------------------------------------------- */

Test(small, a_block_that_was_freed_is_the_next_of_its_size)
{
    void *first = cs_alloc(200), *second;
    uintptr_t at = (uintptr_t)first;
    cs_free(cs_alloc(1)); /* whatever began before */
    size_t before = cs__small_bytes();

    cs_free(first);
    cr_assert_eq(cs__small_bytes() - before, IS_ON ? 208 : 0);
    first = cs_alloc(216);
    second = cs_alloc(194);
    if (IS_ON) {
        cr_assert_neq((uintptr_t)first, at, "it is too small for this");
        cr_assert_eq((uintptr_t)second, at);
        cr_assert_eq(cs__small_bytes(), before);
    }
    memset(second, 1, 194);
    cs_free(first);
    cs_free(second);
}

Test(small, a_mebibyte_waits_and_no_more)
{
    static void *all[6000];

    for (size_t i = 0; i < 6000; i++)
        all[i] = cs_alloc(64 + i % 900);
    for (size_t i = 0; i < 6000; i++)
        cs_free(all[i]);
    cr_assert_leq(cs__small_bytes(), 1024 * KIB);
    cr_assert_eq(cs__small_bytes() > 800 * KIB, IS_ON);
    for (size_t i = 0; i < 6000; i++) {
        all[i] = cs_alloc(64 + i % 900);
        cr_assert_not_null(all[i]);
        memset(all[i], (int)i, 64 + i % 900);
    }
    for (size_t i = 0; i < 6000; i++)
        cs_free(all[i]);
}

/* As large as what a stream sends from. */
Test(small, some_chunks_wait_and_no_more)
{
    enum { MANY = 100, MOST = 64, CHUNK = CS_CHUNK_LEAST + 64 };
    static uintptr_t was[MANY];
    static void *all[MANY];
    size_t before, found = 0;

    cs_free(cs_alloc(1));
    before = cs__small_bytes();
    for (size_t i = 0; i < MANY; i++) {
        all[i] = cs_alloc(CHUNK);
        was[i] = (uintptr_t)all[i];
        memset(all[i], (int)i, CHUNK);
    }
    for (size_t i = 0; i < MANY; i++)
        cs_free(all[i]);
    cr_assert_eq(cs__small_bytes() - before, IS_ON ? (size_t)MOST * CS_CHUNK : 0);
    for (size_t i = 0; i < MOST; i++) {
        all[i] = cs_alloc(CHUNK);
        found += (uintptr_t)all[i] == was[MOST - 1 - i];
    }
    cr_assert(!IS_ON || found == MOST, "%zu", found);
    cr_assert_eq(cs__small_bytes(), before);
    for (size_t i = 0; i < MOST; i++)
        cs_free(all[i]);
    cs__small_give_back();
    cr_assert_eq(cs__small_bytes(), 0);
}

/* The last one stays, and what lies before it is not at the end of anything. */
Test(small, what_was_let_go_of_goes_back_to_the_system_when_it_is_much)
{
    enum { ALL = 16000, MIB = 1024 * KIB };
    static void *all[ALL];
    size_t before;

    for (size_t i = 0; i < ALL; i++) {
        all[i] = cs_alloc(i % 2 ? 300 : 4000);
        memset(all[i], 1, 300);
    }
    before = cs_mem_resident();
    for (size_t i = 0; i < ALL - 1; i++)
        cs_free(all[i]);
    cs_mem_trim();
    if (IS_ON) {
        cr_assert_eq(cs__small_bytes(), 0);
        cr_assert_lt(cs_mem_resident() + 20 * MIB, before);
    }
    cs_free(all[ALL - 1]);
}

static bool trims(void)
{
    cs_free(cs_alloc(300));
    cs_mem_trim();
    return cs__small_bytes() == 0;
}

/* Some of each page is in use, so nothing can go back. */
Test(small, what_was_tried_in_vain_is_not_tried_each_time)
{
    enum { ALL = 16000 };
    static void *all[ALL];

    for (size_t i = 0; i < ALL; i++)
        all[i] = cs_alloc(i % 2 ? 300 : 3000);
    for (size_t i = 0; i < ALL; i += 2)
        cs_free(all[i]);
    for (int i = 0; IS_ON && i < 11; i++)
        cr_assert_eq(trims(), i == 0 || i == 2 || i == 6, "call %d", i);
    for (size_t i = 1; i < ALL; i += 2)
        cs_free(all[i]);
}

Test(small, what_was_let_go_of_waits_as_long_as_it_is_little)
{
    cs_free(cs_alloc(300));
    size_t before = cs__small_bytes();
    cs_mem_trim();
    cr_assert_eq(cs__small_bytes(), before);
    cr_assert_eq(before > 0, IS_ON);
}

Test(small, a_large_one_does_not_wait)
{
    size_t before = cs__small_bytes();

    cs_free(cs_alloc(2000));
    cr_assert_eq(cs__small_bytes(), before);
}

Test(small, of_one_size_there_are_as_many_as_a_burst_needs)
{
    static void *all[2000];
    size_t before;

    cs_free(cs_alloc(1));
    before = cs__small_bytes();
    for (size_t i = 0; i < 2000; i++)
        all[i] = cs_alloc(40);
    for (size_t i = 0; i < 2000; i++)
        cs_free(all[i]);
    cr_assert_eq(cs__small_bytes() - before, IS_ON ? 2000 * 48 : 0);
}

static void *lets_go(void *user)
{
    cs_free(user);
    cr_assert_eq(cs__small_bytes() > 0, IS_ON);
    return NULL;
}

Test(small, a_thread_takes_what_another_made_and_leaves_nothing)
{
    pthread_t thread;

    for (int i = 0; i < 100; i++) {
        cr_assert_eq(pthread_create(&thread, NULL, lets_go, cs_alloc(500)), 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
    }
}
