/* latency -- how long things took: a histogram of fixed size, for any number of them.
 *
 * Below 64 us a bucket is one microsecond wide, above it a 32nd of its power of two: a percentile
 * is never too low and at most 3.2 % too high.  Least, greatest and average are exact.
 */
#ifndef TOOLS_LATENCY_H
#define TOOLS_LATENCY_H

#include <stdint.h>
#include <stdio.h>

enum { LATENCY_BUCKETS = 1920 };

struct latency { /* {0} is empty */
    uint64_t count, sum_us, min_us, max_us;
    uint64_t buckets[LATENCY_BUCKETS];
};

uint64_t latency_now_us(void); /* the monotonic clock */
void latency_add(struct latency *latency, uint64_t us);

/* The least time that `percent` of all were within, in microseconds; 0 when there are none. */
uint64_t latency_percentile(const struct latency *latency, double percent);

/* "min/avg/p50/p90/p99/max 0.101/..." and {"count":1,"min":0.101,...}, in milliseconds. */
void latency_put_text(FILE *to, const struct latency *latency);
void latency_put_json(FILE *to, const struct latency *latency);

#endif
