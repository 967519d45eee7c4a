/* The histogram of durations. */
#include "tools/latency.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct latency l;

static uint64_t only(uint64_t us)
{
    struct latency one = {0};

    latency_add(&one, us);
    latency_add(&one, UINT64_MAX); /* else the greatest would hide the bucket's width */
    return latency_percentile(&one, 50);
}

Test(latency, a_percentile_is_never_too_low_and_3_percent_too_high_at_most)
{
    for (uint64_t us = 0; us < 64; us++)
        cr_assert_eq(only(us), us);
    for (int bit = 6; bit < 64; bit++) {
        for (uint64_t step = 0; step < 130; step++) {
            uint64_t us = (UINT64_C(1) << bit) + step * ((UINT64_C(1) << bit) / 130),
                     got = only(us);
            cr_assert(got >= us, "%llu as %llu", (unsigned long long)us, (unsigned long long)got);
            cr_assert(got - us <= us / 31, "%llu as %llu", (unsigned long long)us,
                      (unsigned long long)got);
        }
    }
}

Test(latency, percentiles_of_a_thousand)
{
    cr_assert_eq(latency_percentile(&l, 50), 0);
    for (uint64_t us = 1000; us >= 1; us--)
        latency_add(&l, us);
    cr_assert_eq(l.count, 1000);
    cr_assert_eq(l.min_us, 1);
    cr_assert_eq(l.max_us, 1000);
    cr_assert_eq(l.sum_us, 500500);
    cr_assert_eq(latency_percentile(&l, 0), 1);
    cr_assert_eq(latency_percentile(&l, 5), 50);
    cr_assert(latency_percentile(&l, 50) >= 500 && latency_percentile(&l, 50) < 517);
    cr_assert(latency_percentile(&l, 99) >= 990);
    cr_assert_eq(latency_percentile(&l, 100), 1000);
}

Test(latency, is_written_in_milliseconds)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    latency_put_json(to, &l);
    latency_add(&l, 10);
    latency_add(&l, 30);
    latency_put_text(to, &l);
    latency_put_json(to, &l);
    fclose(to);
    cr_assert_str_eq(text, "{\"count\":0,\"min\":0.000,\"avg\":0.000,\"p50\":0.000,\"p90\":0.000,"
                           "\"p99\":0.000,\"max\":0.000}"
                           "min/avg/p50/p90/p99/max 0.010/0.020/0.010/0.030/0.030/0.030 ms"
                           "{\"count\":2,\"min\":0.010,\"avg\":0.020,\"p50\":0.010,\"p90\":0.030,"
                           "\"p99\":0.030,\"max\":0.030}");
    free(text);
}
