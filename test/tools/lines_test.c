/* The line cutter, given its bytes in every possible way. */
#include "tools/lines.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* Feeds `text` in pieces of `step`, writes "[" frame "]" for each line and "(" rest ")". */
static char *cut(const char *text, size_t step)
{
    struct lines lines = {.base = NULL};
    size_t len = strlen(text), out_len;
    char *out = NULL;
    FILE *to = open_memstream(&out, &out_len);
    cs_bytes frame;

    for (size_t at = 0; at < len; at += step) {
        size_t n = len - at < step ? len - at : step, room;
        uint8_t *into = lines_room(&lines, &room);
        cr_assert(into && room >= LINES_MAX);
        memcpy(into, text + at, n);
        lines_added(&lines, n);
        while (lines_next(&lines, &frame))
            fprintf(to, "[%.*s]", CS_FMT(frame));
    }
    if (lines_rest(&lines, &frame))
        fprintf(to, "(%.*s)", CS_FMT(frame));
    cr_assert(lines_empty(&lines));
    lines_clear(&lines);
    fclose(to);
    return out;
}

Test(lines, come_whole_however_they_arrive)
{
    static const struct {
        const char *text, *want;
    } cases[] = {{"", ""},
                 {"a\n", "[a\n]"},
                 {"a", "(a)"},
                 {"\n\n", "[\n][\n]"},
                 {"one\ntwo\n\nfour", "[one\n][two\n][\n](four)"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t step = 1; step <= 20; step++) {
            char *got = cut(cases[i].text, step);
            cr_assert_str_eq(got, cases[i].want, "case %zu by %zu", i, step);
            free(got);
        }
    }
}

/* A line of `len` bytes, its newline among them, in pieces: how many, and how long is the last? */
static size_t pieces(size_t len, size_t *last)
{
    struct lines lines = {.base = NULL};
    size_t left = len, n = 0, room;
    cs_bytes frame;

    while (left > 0) {
        uint8_t *into = lines_room(&lines, &room);
        size_t take = left < room ? left : room;
        memset(into, 'x', take);
        left -= take;
        if (left == 0)
            into[take - 1] = '\n';
        lines_added(&lines, take);
        while (lines_next(&lines, &frame)) {
            cr_assert(frame.len == LINES_MAX || left == 0);
            *last = frame.len;
            n++;
        }
    }
    cr_assert(lines_empty(&lines));
    lines_clear(&lines);
    return n;
}

Test(lines, longer_than_64_KiB_are_cut)
{
    size_t last;

    cr_assert_eq(pieces(LINES_MAX - 1, &last), 1);
    cr_assert_eq(last, LINES_MAX - 1);
    cr_assert_eq(pieces(LINES_MAX, &last), 1);
    cr_assert_eq(last, LINES_MAX);
    cr_assert_eq(pieces(LINES_MAX + 1, &last), 2);
    cr_assert_eq(last, 1);
    cr_assert_eq(pieces(5 * LINES_MAX, &last), 5);
    cr_assert_eq(last, LINES_MAX);
    cr_assert_eq(pieces(5 * LINES_MAX + 7, &last), 6);
    cr_assert_eq(last, 7);
}
