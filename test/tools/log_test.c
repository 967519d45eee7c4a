/* The log: which lines, and what they look like. */
#include "tools/log.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define TICKET "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char *put(const struct log_rules *rules, cs_level level, const char *room, const char *line)
{
    const struct timespec at = {.tv_sec = 1767323045, .tv_nsec = 678999999};
    char *text;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    log_put(rules, to, level, room, line, &at);
    fclose(to);
    return text;
}

static void is(const struct log_rules *rules, const char *line, const char *wanted)
{
    char *text = put(rules, CS_WARN, "mux", line);

    cr_assert_str_eq(text, wanted);
    free(text);
}

static bool said(const struct log_rules *rules, cs_level level, const char *room)
{
    char *text = put(rules, level, room, "x");
    const bool is_there = text[0];

    free(text);
    return is_there;
}

Test(log, a_line_in_each_format)
{
    struct log_rules rules = {.level = CS_WARN};

    is(&rules, "a \"b\" \x1b[2J", "chanserv: mux: a \"b\" \\x1b[2J\n");
    rules.format = LOG_LOGFMT;
    is(&rules, "a \"b\"\\",
       "ts=2026-01-02T03:04:05.678Z level=warn room=mux msg=\"a \\\"b\\\"\\\\\"\n");
    rules.format = LOG_JSON;
    rules.journal = true;
    is(&rules, "a \"b\"",
       "<4>{\"ts\":\"2026-01-02T03:04:05.678Z\",\"level\":\"warn\",\"room\":\"mux\",\"msg\":\"a "
       "\\\"b\\\"\"}\n");
}

Test(log, levels_are_of_all_rooms_and_of_some)
{
    static const char *const wrong[] = {
        "",           "loud",  "mux",   "mux=",          "=warn",
        "attic=warn", "warn,", ",warn", "mux=warn=info", "warn mux=info"};
    struct log_rules rules = {.level = CS_ERROR};

    cr_assert(log_parse_levels(&rules, "mux=debug,warn,client=error"));
    cr_assert(said(&rules, CS_DEBUG, "mux"));
    cr_assert(said(&rules, CS_WARN, "chanserv"));
    cr_assert(said(&rules, CS_WARN, "attic"), "of a room that is not known, as of all");
    cr_assert_not(said(&rules, CS_INFO, "chanserv"));
    cr_assert_not(said(&rules, CS_WARN, "client"));
    cr_assert(said(&rules, CS_ERROR, "client"));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_not(log_parse_levels(&rules, wrong[i]), "'%s'", wrong[i]);
    cr_assert_not(log_parse_format(&rules, "JSON"));
    cr_assert(log_parse_format(&rules, "json"));
    cr_assert_eq(rules.format, LOG_JSON);
}

Test(log, secrets_are_masked)
{
    static const struct log_rules rules = {.level = CS_WARN};
    char line[3000];

    is(&rules, "open " TICKET ": gone", "chanserv: mux: open ***: gone\n");
    is(&rules, "/v1/source/0123456789_-" TICKET " x", "chanserv: mux: /v1/source/*** x\n");
    is(&rules, "/etc/chanserv/certificates/of/the/server.pem: gone",
       "chanserv: mux: /etc/chanserv/certificates/of/the/server.pem: gone\n");
    is(&rules, "authorization: Bearer s x", "chanserv: mux: authorization: Bearer *** x\n");
    is(&rules, "ticket=" TICKET, "chanserv: mux: ticket=***\n");
    is(&rules, "connection of [2001:db8:1111:2222:3333:4444:5555:6666]:12345: x",
       "chanserv: mux: connection of [2001:db8:1111:2222:3333:4444:5555:6666]:12345: x\n");
    for (size_t i = 0; i + 1 < sizeof line; i++)
        line[i] = i % 3 ? ' ' : ':';
    line[sizeof line - 1] = '\0';
    free(put(&rules, CS_WARN, "mux", line));
    for (size_t n = 900; n < 1100; n++) { /* wherever a line is cut */
        memset(line, '.', n);
        memcpy(line + n, "Bearer x " TICKET, sizeof "Bearer x " TICKET);
        free(put(&rules, CS_WARN, "mux", line));
    }
}
