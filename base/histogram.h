/* histogram -- how long things took: how many of each class, and all together.
 *
 * Room for every length there can be, and nothing is ever allocated; the bounds are the same everywhere, so
 * histograms can be added up.  Plain numbers, without a lock: one thread at a time; nothing here fails.
 */
#ifndef CS_HISTOGRAM_H
#define CS_HISTOGRAM_H

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 100 us, 250 us, 500 us, and so on to 10 s; then 60 s and 600 s. */
enum { CS_HISTOGRAM_BOUNDS = 18 };

struct cs_histogram {
    /* Each up to its bound and above the one before; the last above all. */
    uint64_t counts[CS_HISTOGRAM_BOUNDS + 1];
    uint64_t sum_us; /* of what took longer than nothing */
};

CS_API int64_t cs_histogram_bound_us(size_t i); /* inclusive; past the last: INT64_MAX */
CS_API void cs_histogram_add(struct cs_histogram *to, int64_t us); /* below 0: as 0 */
/* Adds all of `from` to `to`. */
CS_API void cs_histogram_sum(struct cs_histogram *to, const struct cs_histogram *from);

#ifdef __cplusplus
}
#endif
#endif
