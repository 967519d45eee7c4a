/* stat_cell -- see stat_cell.h. */
#include "tools/stat_cell.h"
#include "tools/print.h"

#include <inttypes.h>

void stat_amount(char to[STAT_CELL_MAX], double amount)
{
    static const char units[] = " kMGTPE";
    const double size = amount < 0 ? -amount : amount;
    double n = size;
    size_t unit = 0;

    while (n >= 999.5 && unit + 2 < sizeof units) {
        n /= 1000;
        unit++;
    }
    if (unit == 0)
        snprintf(to, STAT_CELL_MAX, "%.0f", amount);
    else
        snprintf(to, STAT_CELL_MAX, "%s%.*f%c", amount < 0 ? "-" : "", n < 9.95 ? 1 : 0, n,
                 units[unit]);
}

void stat_time(char to[STAT_CELL_MAX], int64_t ms)
{
    const int64_t s = ms / 1000;

    if (ms < 1000)
        snprintf(to, STAT_CELL_MAX, "%" PRId64 "ms", ms);
    else if (s < 10)
        snprintf(to, STAT_CELL_MAX, "%" PRId64 ".%" PRId64 "s", s, ms % 1000 / 100);
    else if (s < 120)
        snprintf(to, STAT_CELL_MAX, "%" PRId64 "s", s);
    else if (s < 7200)
        snprintf(to, STAT_CELL_MAX, "%" PRId64 "m", s / 60);
    else if (s < 48 * 3600)
        snprintf(to, STAT_CELL_MAX, "%" PRId64 "h", s / 3600);
    else
        snprintf(to, STAT_CELL_MAX, "%" PRId64 "d", s / 86400);
}

/* Of another server's choosing: letters only. */
static void put_word(char to[STAT_CELL_MAX], cs_bytes word)
{
    enum { WIDTH = 10 };
    const char *p = word.base;
    size_t n = 0;

    for (; n < word.len && n < WIDTH; n++)
        to[n] = (p[n] >= 'a' && p[n] <= 'z') || p[n] == '-' ? p[n] : '?';
    to[n] = '\0';
    if (n == 0)
        memcpy(to, "-", 2);
}

static void put_number(char to[STAT_CELL_MAX], uint32_t loop, uint64_t number)
{
    if (loop == 0)
        snprintf(to, STAT_CELL_MAX, "%" PRIu64, number);
    else
        snprintf(to, STAT_CELL_MAX, "%" PRIu32 "/%" PRIu64, loop, number);
}

void stat_cell(char to[STAT_CELL_MAX], enum stat_column column, const struct stat_entry *entry)
{
    const struct chanserv_stat *s = &entry->stat;

    switch (column) {
    case STAT_NUMBER:
        put_number(to, s->kind == CHANSERV_STAT_SOURCE ? 0 : s->loop, s->number);
        break;
    case STAT_OF:
        if (s->of == 0)
            memcpy(to, "-", 2);
        else
            put_number(to, s->loop, s->of);
        break;
    case STAT_AGE:
        stat_time(to, s->age_ms);
        break;
    case STAT_STILL:
        stat_time(to, s->still_ms);
        break;
    case STAT_WAITS:
        put_word(to, entry->waits);
        break;
    case STAT_IN:
        stat_amount(to, (double)s->bytes_in);
        break;
    case STAT_OUT:
        stat_amount(to, (double)s->bytes_out);
        break;
    case STAT_MESSAGES:
        stat_amount(to, (double)s->messages);
        break;
    case STAT_QUEUED:
        stat_amount(to, (double)s->queued);
        break;
    case STAT_KEPT:
        stat_amount(to, (double)s->kept);
        break;
    case STAT_CREDIT:
        stat_amount(to, (double)s->credit);
        break;
    case STAT_PARTS:
        stat_amount(to, (double)s->parts);
        break;
    }
}

void stat_put_name(FILE *to, const struct stat_entry *entry, size_t columns)
{
    const struct chanserv_stat *s = &entry->stat;
    size_t used = print_line_cut(to, s->service, columns);

    if (s->peer.len == 0 || columns - used < 2)
        return;
    if (used > 0) {
        putc(' ', to);
        used++;
    }
    print_line_cut(to, s->peer, columns - used);
}
