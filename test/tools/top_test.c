/* Two answers of a server compared, and the table of it. */
#include "tools/top__in.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct stat_entry entry(enum chanserv_stat_kind kind, uint64_t of, uint64_t number,
                               uint64_t bytes, uint64_t messages)
{
    return (struct stat_entry){.stat = {.kind = kind,
                                        .of = of,
                                        .number = number,
                                        .bytes_in = bytes / 2,
                                        .bytes_out = bytes - bytes / 2,
                                        .messages = messages}};
}

enum { LEN = 4 };
static struct stat_entry before[LEN], now[LEN];

static struct top_view two_looks(enum top_sort sort)
{
    before[0] = entry(CHANSERV_STAT_CONNECTION, 0, 9, 1000, 0);
    before[1] = entry(CHANSERV_STAT_SOURCE, 1, 0, 0, 10);
    before[2] = entry(CHANSERV_STAT_SOURCE, 2, 0, 0, 20);
    before[3] = entry(CHANSERV_STAT_CONNECTION, 0, 3, 5000, 0);
    now[0] = entry(CHANSERV_STAT_CONNECTION, 0, 3, 5500, 0);
    now[1] = entry(CHANSERV_STAT_CONNECTION, 0, 9, 4000, 0);
    now[2] = entry(CHANSERV_STAT_SOURCE, 1, 0, 0, 11);
    now[3] = entry(CHANSERV_STAT_SOURCE, 2, 0, 0, 60);
    now[2].stat.queued = 7;
    return (struct top_view){.addr = "a:1",
                             .sort = sort,
                             .before = {.entries = before, .entries_len = LEN},
                             .now = {.entries = now, .entries_len = LEN},
                             .apart_ms = 500,
                             .width = SIZE_MAX,
                             .height = SIZE_MAX,
                             .line_end = "\n"};
}

Test(top, rates_are_of_the_same_ones)
{
    struct top_view view = two_looks(TOP_BYTES);
    struct top_row *rows = top_rows_new(&view);

    cr_assert_eq(rows[0].entry, &now[1]);
    cr_assert_float_eq(rows[0].bytes_s, 6000, 1e-9);
    cr_assert_eq(rows[1].entry, &now[0]);
    cr_assert_float_eq(rows[1].bytes_s, 1000, 1e-9);
    free(rows);
    view = two_looks(TOP_FRAMES);
    rows = top_rows_new(&view);
    cr_assert_eq(rows[0].entry, &now[3]);
    cr_assert_float_eq(rows[0].frames_s, 80, 1e-9);
    cr_assert_eq(rows[1].entry, &now[2]);
    cr_assert_float_eq(rows[1].frames_s, 2, 1e-9);
    cr_assert_eq(rows[2].entry, &now[0], "equal ones stay as they were");
    free(rows);
    view = two_looks(TOP_QUEUED);
    rows = top_rows_new(&view);
    cr_assert_eq(rows[0].entry, &now[2]);
    free(rows);
}

Test(top, who_was_not_there_has_no_rate)
{
    struct top_view view = two_looks(TOP_BYTES);
    struct top_row *rows;

    now[0].stat.number = 4;
    rows = top_rows_new(&view);
    cr_assert_eq(rows[3].entry, &now[0]);
    cr_assert_lt(rows[3].bytes_s, 0);
    free(rows);
    view = two_looks(TOP_BYTES);
    view.apart_ms = 0;
    rows = top_rows_new(&view);
    cr_assert_lt(rows[0].bytes_s, 0);
    free(rows);
}

Test(top, a_table_fits_its_terminal)
{
    static const size_t widths[] = {1, 20, 59, 60, 79, 80, 200};
    struct top_view view = two_looks(TOP_BYTES);

    view.height = 4;
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        size_t lines = 0, len;
        char *text, *at, *end;
        FILE *to = open_memstream(&text, &len);

        view.width = widths[i];
        view.trouble = i % 2 ? "\x1b[2J gone" : NULL;
        cr_assert_eq(top_put(to, &view), CS_OK);
        fclose(to);
        cr_assert_null(strchr(text, '\x1b'));
        for (at = text; (end = strchr(at, '\n')); at = end + 1, lines++)
            cr_assert_leq((size_t)(end - at), widths[i]);
        cr_assert_eq(lines, 3);
        free(text);
    }
}
