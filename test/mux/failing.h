/* failing -- an allocator that says no once, and counts what is alive. */
#ifndef TEST_MUX_FAILING_H
#define TEST_MUX_FAILING_H

#include "base/base.h"

#include <stdatomic.h>
#include <stdlib.h>

static atomic_int failing_next; /* allocations until one fails; 0: none does */
static atomic_int failing_alive;

static inline bool failing_now(void)
{
    return atomic_load(&failing_next) > 0 && atomic_fetch_sub(&failing_next, 1) == 1;
}
static inline void *failing_alloc(size_t size, void *user)
{
    void *p;

    (void)user;
    if (failing_now() || !(p = malloc(size)))
        return NULL;
    atomic_fetch_add(&failing_alive, 1);
    return p;
}
static inline void *failing_realloc(void *old, size_t size, void *user)
{
    void *p;

    (void)user;
    if (failing_now() || !(p = realloc(old, size)))
        return NULL;
    if (!old)
        atomic_fetch_add(&failing_alive, 1);
    return p;
}
static inline void failing_free(void *p, void *user)
{
    (void)user;
    if (p)
        atomic_fetch_sub(&failing_alive, 1);
    free(p);
}

/* To be called before anything else of the library. */
static inline void failing_begin(void)
{
    static const struct cs_allocator allocator = {failing_alloc, failing_realloc, failing_free,
                                                  NULL};
    cs_set_allocator(&allocator);
}

#endif
