/* latency -- see latency.h. */
#include "tools/latency.h"

#include <inttypes.h>
#include <time.h>

/* A bucket's number is the exponent and the 6 leading bits of what is in it:
 *
 *     us  0 .. 63   64, 65   66, 67 ..  126, 127   128 .. 131 ..
 *     #   0 .. 63     64       65    ..     95         96     ..
 */
enum { LEADING = 6, HALF = 32 };

uint64_t latency_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static size_t bucket_of(uint64_t us)
{
    int exponent = us < 2 * HALF ? 0 : 64 - LEADING - __builtin_clzll(us);

    return (size_t)exponent * HALF + (size_t)(us >> exponent);
}

/* The greatest that is in it. */
static uint64_t bucket_end(size_t bucket)
{
    size_t exponent = bucket < 2 * HALF ? 0 : bucket / HALF - 1;
    uint64_t leading = bucket - exponent * HALF;

    return (leading << exponent) + ((UINT64_C(1) << exponent) - 1);
}

void latency_add(struct latency *latency, uint64_t us)
{
    if (latency->count == 0 || us < latency->min_us)
        latency->min_us = us;
    if (us > latency->max_us)
        latency->max_us = us;
    latency->count++;
    latency->sum_us += us;
    latency->buckets[bucket_of(us)]++;
}

uint64_t latency_percentile(const struct latency *latency, double percent)
{
    double wanted = (double)latency->count * percent / 100;
    uint64_t seen = 0;

    if (latency->count == 0)
        return 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        seen += latency->buckets[i];
        if (seen > 0 && (double)seen >= wanted) {
            uint64_t us = bucket_end(i);
            return us < latency->max_us ? us : latency->max_us;
        }
    }
    return latency->max_us;
}

static double avg_us(const struct latency *latency)
{
    return latency->count ? (double)latency->sum_us / (double)latency->count : 0;
}

void latency_put_text(FILE *to, const struct latency *latency)
{
    fprintf(to, "min/avg/p50/p90/p99/max %.3f/%.3f/%.3f/%.3f/%.3f/%.3f ms",
            (double)latency->min_us / 1e3, avg_us(latency) / 1e3,
            (double)latency_percentile(latency, 50) / 1e3,
            (double)latency_percentile(latency, 90) / 1e3,
            (double)latency_percentile(latency, 99) / 1e3, (double)latency->max_us / 1e3);
}

void latency_put_json(FILE *to, const struct latency *latency)
{
    fprintf(to,
            "{\"count\":%" PRIu64 ",\"min\":%.3f,\"avg\":%.3f,\"p50\":%.3f,\"p90\":%.3f,"
            "\"p99\":%.3f,\"max\":%.3f}",
            latency->count, (double)latency->min_us / 1e3, avg_us(latency) / 1e3,
            (double)latency_percentile(latency, 50) / 1e3,
            (double)latency_percentile(latency, 90) / 1e3,
            (double)latency_percentile(latency, 99) / 1e3, (double)latency->max_us / 1e3);
}
