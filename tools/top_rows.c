/* top_rows -- two answers of a server compared: how fast each connection, post and source is. */
#include "tools/top__in.h"

#include <stdlib.h>

const char *const top_sort_names[TOP_SORTS] = {"bytes", "frames", "queued"};

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* By who it is: a source has its number of its post alone. */
static int by_identity(const void *a, const void *b)
{
    const struct chanserv_stat *x = &((const struct stat_entry *)a)->stat,
                               *y = &((const struct stat_entry *)b)->stat;
    int order = compare(x->kind, y->kind);

    if (order == 0)
        order = compare(x->loop, y->loop);
    if (order == 0 && x->kind == CHANSERV_STAT_SOURCE)
        order = compare(x->of, y->of);
    return order ? order : compare(x->number, y->number);
}

static double rate(uint64_t before, uint64_t now, int64_t ms)
{
    return now < before ? 0 : (double)(now - before) * 1e3 / (double)ms;
}

static void fill(struct top_row *row, const struct top_view *view)
{
    const struct chanserv_stat *now = &row->entry->stat, *before;
    const struct stat_entry *found = NULL;

    row->bytes_s = row->frames_s = -1;
    if (view->before.entries_len > 0 && view->apart_ms > 0)
        found = bsearch(row->entry, view->before.entries, view->before.entries_len, sizeof *found,
                        by_identity);
    if (!found)
        return;
    before = &found->stat;
    row->bytes_s =
        rate(before->bytes_in + before->bytes_out, now->bytes_in + now->bytes_out, view->apart_ms);
    row->frames_s = rate(before->messages, now->messages, view->apart_ms);
}

/* The greater one is first; the rows of one array are as the server had them. */
static int by_value(const void *a, const void *b, double x, double y)
{
    const struct stat_entry *p = ((const struct top_row *)a)->entry,
                            *q = ((const struct top_row *)b)->entry;

    return x != y ? (x < y) - (x > y) : (p > q) - (p < q);
}

static int by_bytes(const void *a, const void *b)
{
    const struct top_row *x = a, *y = b;

    return by_value(a, b, x->bytes_s, y->bytes_s);
}

static int by_frames(const void *a, const void *b)
{
    const struct top_row *x = a, *y = b;

    return by_value(a, b, x->frames_s, y->frames_s);
}

static int by_queued(const void *a, const void *b)
{
    const struct top_row *x = a, *y = b;

    return by_value(a, b, (double)x->entry->stat.queued, (double)y->entry->stat.queued);
}

struct top_row *top_rows_new(struct top_view *view)
{
    static int (*const orders[TOP_SORTS])(const void *, const void *) = {by_bytes, by_frames,
                                                                         by_queued};
    const size_t len = view->now.entries_len;
    struct top_row *rows = calloc(len + 1, sizeof *rows);

    if (!rows)
        return NULL;
    if (view->before.entries_len > 0)
        qsort(view->before.entries, view->before.entries_len, sizeof *view->before.entries,
              by_identity);
    for (size_t i = 0; i < len; i++) {
        rows[i].entry = &view->now.entries[i];
        fill(&rows[i], view);
    }
    qsort(rows, len, sizeof *rows, orders[view->sort]);
    return rows;
}
