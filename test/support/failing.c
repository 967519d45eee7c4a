/* failing -- see failing.h.  Each allocation has its size in front: bytes can be counted. */
#include "test/support/failing.h"

#include "base/base.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEAD = 16 }; /* keeps what follows aligned for any type */

static atomic_size_t asked, fails_at, alive, alive_bytes;

static bool drought; /* from then on all fail */

static bool says_no(void)
{
    const size_t n = atomic_fetch_add(&asked, 1) + 1, at = atomic_load(&fails_at);
    return at > 0 && (drought ? n >= at : n == at);
}

static void *from(void *head, size_t size)
{
    if (!head)
        return NULL;
    memcpy(head, &size, sizeof size);
    atomic_fetch_add(&alive, 1);
    atomic_fetch_add(&alive_bytes, size);
    return (char *)head + HEAD;
}

static void forget(void *p)
{
    size_t size;
    memcpy(&size, (char *)p - HEAD, sizeof size);
    atomic_fetch_sub(&alive, 1);
    atomic_fetch_sub(&alive_bytes, size);
}

static void *take(size_t size, void *user)
{
    (void)user;
    return says_no() ? NULL : from(malloc(HEAD + size), size);
}

static void *retake(void *old, size_t size, void *user)
{
    (void)user;
    if (says_no())
        return NULL;
    if (old)
        forget(old);
    return from(realloc(old ? (char *)old - HEAD : NULL, HEAD + size), size);
}

static void give_back(void *p, void *user)
{
    (void)user;
    if (!p)
        return;
    forget(p);
    free((char *)p - HEAD);
}

void failing_count(void)
{
    static const struct cs_allocator allocator = {take, retake, give_back, NULL};
    cs_set_allocator(&allocator);
}

size_t failing_live(void)
{
    return atomic_load(&alive);
}

size_t failing_live_bytes(void)
{
    return atomic_load(&alive_bytes);
}

bool failing_failed(void)
{
    return atomic_load(&fails_at) > 0 && atomic_load(&asked) >= atomic_load(&fails_at);
}

void failing_arm(size_t nth)
{
    atomic_store(&asked, 0);
    atomic_store(&fails_at, nth);
}

static size_t tell(void (*story)(void), size_t step)
{
    size_t n = 0;
    failing_count();
    do {
        n += step;
        failing_arm(n);
        story();
        cr_assert_eq(failing_live(), 0, "%zu alive after allocation %zu failed", failing_live(), n);
    } while (failing_failed());
    failing_arm(0);
    cr_assert_gt(n, step, "the story asked for no memory");
    return n - step;
}

size_t failing_story(void (*story)(void))
{
    size_t n = tell(story, 1);
    fprintf(stderr, "failed 1..%zu, live 0\n", n);
    return n;
}

void failing_drought(void (*story)(void), size_t step)
{
    drought = true;
    (void)tell(story, step);
    drought = false;
}
