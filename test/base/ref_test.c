/* Counted bytes. */
#include "base/mem.h"
#include "base/ref.h"

#include <criterion/criterion.h>
#include <pthread.h>

static void count_release(void *user)
{
    ++*(int *)user;
}

static void *no_memory(size_t size, void *user)
{
    (void)size;
    (void)user;
    return NULL;
}

static void *no_more_memory(void *old, size_t size, void *user)
{
    (void)old;
    (void)size;
    (void)user;
    return NULL;
}

static void no_free(void *p, void *user)
{
    (void)p;
    (void)user;
}

Test(ref, a_copy_is_independent_of_its_original)
{
    char text[] = "hello";
    cs_ref ref;

    cr_assert_eq(cs_ref_copy(cs_str(text), &ref), CS_OK);
    text[0] = 'j';
    cr_assert(cs_same(ref.bytes, cs_str("hello")));
    cr_assert_eq(ref.block->size, 5u);
    cr_assert(cs_block_is_mine(ref.block));
    cs_ref_drop(&ref);
    cr_assert(!ref.block && !ref.bytes.base && ref.bytes.len == 0);
}

Test(ref, an_empty_copy_is_a_message_all_the_same)
{
    cs_ref ref;

    cr_assert_eq(cs_ref_copy(cs_bytes_of(NULL, 0), &ref), CS_OK);
    cr_assert_not_null(ref.block);
    cr_assert_eq(ref.bytes.len, 0u);
    cs_ref_drop(&ref);
}

Test(ref, room_is_filled_before_it_is_handed_on)
{
    void *to;
    cs_ref ref;

    cr_assert_eq(cs_ref_alloc(4, &to, &ref), CS_OK);
    cr_assert_eq((uintptr_t)to % 16, 0u);
    cr_assert_eq(to, (void *)cs_block_bytes(ref.block));
    memcpy(to, "abcd", 4);
    cr_assert(cs_same(ref.bytes, cs_str("abcd")));
    cs_ref_drop(&ref);
}

Test(ref, the_release_runs_once_when_the_last_one_goes)
{
    int released = 0;
    cs_ref a, b, c;

    cr_assert_eq(cs_ref_wrap(cs_str("mine"), count_release, &released, &a), CS_OK);
    b = cs_ref_dup(a);
    c = cs_ref_slice(b, 1, 2);
    cr_assert(cs_same(c.bytes, cs_str("in")));
    cr_assert_not(cs_block_is_mine(a.block));
    cs_ref_drop(&a);
    cs_ref_drop(&b);
    cr_assert_eq(released, 0);
    cr_assert(cs_block_is_mine(c.block));
    cs_ref_drop(&c);
    cr_assert_eq(released, 1);
    cs_ref_drop(&c);
    cr_assert_eq(released, 1);
}

Test(ref, a_slice_is_clipped)
{
    cs_ref ref, part;

    cr_assert_eq(cs_ref_copy(cs_str("abcdef"), &ref), CS_OK);
    part = cs_ref_slice(ref, 4, SIZE_MAX);
    cr_assert(cs_same(part.bytes, cs_str("ef")));
    cs_ref_drop(&part);
    part = cs_ref_slice(ref, 100, 1);
    cr_assert_eq(part.bytes.len, 0u);
    cr_assert_eq(part.block, ref.block);
    cs_ref_drop(&part);
    part = cs_ref_slice(ref, 0, 0);
    cr_assert_eq(part.bytes.len, 0u);
    cs_ref_drop(&part);
    cr_assert(cs_block_is_mine(ref.block));
    cs_ref_drop(&ref);
}

Test(ref, the_empty_reference_owns_nothing)
{
    cs_ref none = {0}, also = cs_ref_dup(none), part = cs_ref_slice(none, 1, 1);

    cr_assert(!also.block && !part.block && part.bytes.len == 0);
    cs_ref_drop(&none);
    cs_block_drop(NULL);
}

Test(ref, without_memory_nothing_is_written)
{
    struct cs_allocator none = {no_memory, no_more_memory, no_free, NULL};
    cs_ref ref = {cs_str("old"), NULL};
    void *to = &ref;
    int released = 0;

    cs_set_allocator(&none);
    cr_assert_eq(cs_ref_copy(cs_str("x"), &ref), CS_ENOMEM);
    cr_assert_eq(cs_ref_alloc(1, &to, &ref), CS_ENOMEM);
    cr_assert_eq(cs_ref_wrap(cs_str("x"), count_release, &released, &ref), CS_ENOMEM);
    cs_set_allocator(NULL);
    cr_assert(cs_same(ref.bytes, cs_str("old")));
    cr_assert_eq(to, (void *)&ref);
    cr_assert_eq(released, 0);
    cr_assert_null(cs_block_new(SIZE_MAX - 8));
}

static void *dup_and_drop(void *user)
{
    cs_ref *ref = user;

    for (int i = 0; i < 10000; i++) {
        cs_ref mine = cs_ref_dup(*ref);
        cs_ref_drop(&mine);
    }
    return NULL;
}

Test(ref, threads_count_the_same_block)
{
    pthread_t threads[4];
    int released = 0;
    cs_ref ref;

    cr_assert_eq(cs_ref_wrap(cs_str("x"), count_release, &released, &ref), CS_OK);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, dup_and_drop, &ref), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(released, 0);
    cr_assert(cs_block_is_mine(ref.block));
    cs_ref_drop(&ref);
    cr_assert_eq(released, 1);
}
