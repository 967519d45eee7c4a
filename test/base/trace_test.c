/* Trace lines. */
#include "base/trace.h"

#include <criterion/criterion.h>
#include <stdio.h>

static char lines[4096];
static int asked;

static void keep(const char *line, void *user)
{
    size_t len = strlen(lines);
    snprintf(lines + len, sizeof(lines) - len, "%s%s\n", (const char *)user, line);
}

static int ask(void)
{
    return ++asked;
}

Test(trace, lines_go_to_the_sink_while_there_is_one)
{
    char user[] = "> ";

    CS_TRACE("nobody hears %d", 1);
    cs_trace_line("nobody hears %d", 2);
    cs_set_trace(keep, user);
    CS_TRACE("open #%d", 3);
    cs_trace_line("done");
    cs_set_trace(NULL, NULL);
    CS_TRACE("nobody hears %d", 4);
    cr_assert_str_eq(lines, "> open #3\n> done\n");
}

Test(trace, when_off_the_arguments_are_not_even_looked_at)
{
    char user[] = "";

    CS_TRACE("%d", ask());
    cr_assert_eq(asked, 0);
    cs_set_trace(keep, user);
    CS_TRACE("%d", ask());
    cs_set_trace(NULL, NULL);
    cr_assert_str_eq(lines, "1\n");
}

Test(trace, a_line_that_is_too_long_is_cut)
{
    char user[] = "";

    cs_set_trace(keep, user);
    CS_TRACE("%02000d", 7);
    cs_set_trace(NULL, NULL);
    cr_assert_eq(strlen(lines), 1024u);
}
