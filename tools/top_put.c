/* top_put -- the table of `chanserv top`, cut to the terminal. */
#include "tools/print.h"
#include "tools/stat_cell.h"
#include "tools/top__in.h"

#include <inttypes.h>
#include <stdlib.h>

enum { WIDE = 80, MIDDLE = 60 }; /* below them a terminal gets fewer columns */

static void put_rate(FILE *to, int width, double rate)
{
    char cell[STAT_CELL_MAX] = "-";

    if (rate >= 0)
        stat_amount(cell, rate);
    fprintf(to, "%*s  ", width, cell);
}

static void put_cell(FILE *to, int width, enum stat_column column, const struct stat_entry *entry)
{
    char cell[STAT_CELL_MAX];

    stat_cell(cell, column, entry);
    fprintf(to, "%*.*s  ", width, width < 0 ? -width : width, cell);
}

static void put_row(FILE *to, const struct top_row *row, size_t width)
{
    static const char *const kinds[] = {"connection", "session", "post", "source"};

    fprintf(to, "%-10s  ", kinds[row->entry->stat.kind]);
    put_rate(to, 7, row->bytes_s);
    put_rate(to, 8, row->frames_s);
    if (width >= MIDDLE) {
        put_cell(to, 6, STAT_QUEUED, row->entry);
        put_cell(to, 5, STAT_STILL, row->entry);
    }
    put_cell(to, -10, STAT_WAITS, row->entry);
    if (width >= WIDE) {
        put_cell(to, 5, STAT_OF, row->entry);
        put_cell(to, 6, STAT_NUMBER, row->entry);
    }
    stat_put_name(to, row->entry, SIZE_MAX);
}

static void put_titles(FILE *to, size_t width)
{
    fprintf(to, "%-10s  %7s  %8s  ", "KIND", "BYTES/s", "FRAMES/s");
    if (width >= MIDDLE)
        fprintf(to, "%6s  %5s  ", "QUEUED", "STILL");
    fprintf(to, "%-10s  ", "WAITS FOR");
    if (width >= WIDE)
        fprintf(to, "%5s  %6s  ", "OF", "NUMBER");
    fputs("WHO", to);
}

static void put_counter(FILE *to, const struct top_view *view, const char *name, const char *words)
{
    char cell[STAT_CELL_MAX];
    const uint64_t now = stat_list_counter(&view->now, name),
                   before = stat_list_counter(&view->before, name);

    if (view->apart_ms == 0 || now < before)
        return;
    stat_amount(cell, (double)(now - before) * 1e3 / (double)view->apart_ms);
    fprintf(to, ", %s %s", cell, words);
}

static void put_head(FILE *to, const struct top_view *view)
{
    fprintf(to, "%s: ", view->addr);
    if (view->trouble) {
        fputs(view->trouble, to);
        return;
    }
    fprintf(to, "%" PRIu64 " connections, %" PRIu64 " sources open",
            stat_list_counter(&view->now, "connections"),
            stat_list_counter(&view->now, "sources_open"));
    put_counter(to, view, "frames_out", "frames/s");
    put_counter(to, view, "bytes_out", "B/s out");
    put_counter(to, view, "bytes_in", "B/s in");
    fprintf(to, "; by %s", top_sort_names[view->sort]);
    if (view->now.left > 0)
        fprintf(to, "; %" PRIu64 " left out", view->now.left);
}

/* A line cut to the width.  It holds no controls: what came from elsewhere was escaped, or is now. */
static cs_err put_line(FILE *to, const struct top_view *view, const struct top_row *row,
                       bool titles)
{
    char *text = NULL;
    size_t len = 0;
    FILE *line = open_memstream(&text, &len);

    if (!line)
        return CS_ENOMEM;
    if (row)
        put_row(line, row, view->width);
    else if (titles)
        put_titles(line, view->width);
    else
        put_head(line, view);
    if (fclose(line) != 0) {
        free(text);
        return CS_ENOMEM;
    }
    print_line_cut(to, cs_bytes_of(text, len), view->width);
    fputs(view->line_end, to);
    free(text);
    return CS_OK;
}

cs_err top_put(FILE *to, struct top_view *view)
{
    struct top_row *rows = top_rows_new(view);
    cs_err err = rows ? put_line(to, view, NULL, false) : CS_ENOMEM;

    if (err == CS_OK)
        err = put_line(to, view, NULL, true);
    /* The line below the last one stays free, for the cursor. */
    for (size_t i = 0; err == CS_OK && i < view->now.entries_len && i + 3 < view->height; i++)
        err = put_line(to, view, &rows[i], false);
    free(rows);
    return err;
}
