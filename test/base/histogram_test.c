/* The classes of a histogram: each bound belongs to the class below it. */
#include "base/histogram.h"

#include <criterion/criterion.h>

Test(histogram, a_bound_is_the_last_of_its_class)
{
    struct cs_histogram h = {.sum_us = 0};
    uint64_t sum = 0;

    for (size_t i = 0; i < CS_HISTOGRAM_BOUNDS; i++) {
        const int64_t bound = cs_histogram_bound_us(i);

        cr_assert_eq(h.counts[i], i > 0, "%zu", i);
        cs_histogram_add(&h, bound);
        cs_histogram_add(&h, bound + 1);
        cr_assert_eq(h.counts[i], i > 0 ? 2 : 1, "%zu", i);
        cr_assert_eq(h.counts[i + 1], 1, "%zu", i);
        sum += (uint64_t)(2 * bound + 1);
    }
    cr_assert_eq(h.sum_us, sum);
}

Test(histogram, the_bounds_rise_from_100_us_to_10_minutes)
{
    cr_assert_eq(cs_histogram_bound_us(0), 100);
    for (size_t i = 1; i < CS_HISTOGRAM_BOUNDS; i++)
        cr_assert_gt(cs_histogram_bound_us(i), cs_histogram_bound_us(i - 1));
    cr_assert_eq(cs_histogram_bound_us(CS_HISTOGRAM_BOUNDS - 1), 600000000);
    cr_assert_eq(cs_histogram_bound_us(CS_HISTOGRAM_BOUNDS), INT64_MAX);
}

Test(histogram, takes_whatever_comes)
{
    struct cs_histogram h = {.sum_us = 0};

    cs_histogram_add(&h, -5);
    cs_histogram_add(&h, 0);
    cs_histogram_add(&h, INT64_MAX);
    cr_assert_eq(h.counts[0], 2);
    cr_assert_eq(h.counts[CS_HISTOGRAM_BOUNDS], 1);
    cr_assert_eq(h.sum_us, (uint64_t)INT64_MAX);
}

Test(histogram, two_are_added_up)
{
    struct cs_histogram a = {.sum_us = 0}, b = {.sum_us = 0};

    cs_histogram_add(&a, 100);
    cs_histogram_add(&b, 100);
    cs_histogram_add(&b, 3000);
    cs_histogram_add(&b, INT64_C(3600) * 1000000);
    cs_histogram_sum(&a, &b);
    cr_assert_eq(a.counts[0], 2);
    cr_assert_eq(a.counts[5], 1);
    cr_assert_eq(a.counts[CS_HISTOGRAM_BOUNDS], 1);
    cr_assert_eq(a.sum_us, 100 + 100 + 3000 + UINT64_C(3600000000));
}
