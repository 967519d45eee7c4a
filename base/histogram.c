/* histogram -- see histogram.h. */
#include "base/histogram.h"

static const int64_t bounds[CS_HISTOGRAM_BOUNDS] = {
    100,    250,    500,    1000,    2500,    5000,    10000,    25000,    50000,
    100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 60000000, 600000000};

int64_t cs_histogram_bound_us(size_t i)
{
    return i < CS_HISTOGRAM_BOUNDS ? bounds[i] : INT64_MAX;
}

/* Most are short; and nobody pays for more than six steps. */
void cs_histogram_add(struct cs_histogram *to, int64_t us)
{
    size_t i = us > bounds[11] ? 12 : us > bounds[5] ? 6 : 0;

    while (i < CS_HISTOGRAM_BOUNDS && us > bounds[i])
        i++;
    to->counts[i]++;
    to->sum_us += us > 0 ? (uint64_t)us : 0;
}

void cs_histogram_sum(struct cs_histogram *to, const struct cs_histogram *from)
{
    for (size_t i = 0; i <= CS_HISTOGRAM_BOUNDS; i++)
        to->counts[i] += from->counts[i];
    to->sum_us += from->sum_us;
}
