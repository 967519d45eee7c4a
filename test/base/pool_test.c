/* The pool of large blocks.  Under AddressSanitizer it keeps nothing, and that is tested too. */
#include "base/pool__in.h"

#include "base/mem.h"
#include "base/ref.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
enum { IS_ON = 0 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { IS_ON = 0 };
#else
enum { IS_ON = 1 };
#endif
#else
enum { IS_ON = 1 };
#endif

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
