/* limits -- whatever the tables of limits name is where it must be: in the manual, in the help, and in
 * the list of attacks. */
#include "test/docs/doc.h"

#include "gateway/gateway.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *option, *name, *counter;
    size_t at; /* there is such a counter */
} rows[] = {
#define ROW(X, option, unit, standard, name, counter, ...)                                         \
    {#option, name, #counter, offsetof(struct chanserv_counters, counter)},
    CHANSERV_LIMITS(ROW, ) MUX_LIMITS(ROW, ) GATEWAY_LIMITS(ROW, )
#undef ROW
};
enum { ROWS = sizeof rows / sizeof *rows };

static void is_in(const char *file, const char *before, const char *after)
{
    char *page = doc_read(file), wanted[128];

    for (size_t i = 0; i < ROWS; i++) {
        snprintf(wanted, sizeof wanted, "%s%s%s", before, rows[i].name, after);
        cr_expect(strstr(page, wanted), "%s has no %s", file, wanted);
    }
    free(page);
}

Test(limits, each_is_in_the_manual_and_in_the_help)
{
    is_in("docs/man/chanserv.conf.5.scd", "\n*", "*\n\t");
    is_in("tools/serve.c", "--", "");
}

Test(limits, each_has_a_counter_of_its_own)
{
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = i + 1; j < ROWS; j++)
            cr_expect_neq(rows[i].at, rows[j].at, "%s and %s", rows[i].option, rows[j].option);
}

/* What one of these files says of it, for the caller to free; NULL: nothing. */
static char *found_in(const char *const *files, size_t n, const char *scenario)
{
    char path[64], wanted[80], *at = NULL, *next;

    snprintf(wanted, sizeof wanted, ".name = \"%s\"", scenario);
    for (size_t i = 0; i < n && !at; i++) {
        snprintf(path, sizeof path, "test/attack/%s.c", files[i]);
        char *page = doc_read(path);
        if ((at = strstr(page, wanted)) != NULL) {
            next = strstr(at + 1, ".name = ");
            at = strndup(at, next ? (size_t)(next - at) : strlen(at));
        }
        free(page);
    }
    return at;
}

/* One of main.c's. */
static char *scenario_of(const char *name)
{
    static const char *const files[] = {"resets", "floods",   "fields",   "windows",
                                        "links",  "bodies",   "sessions", "limits",
                                        "secure", "harmless", "http1",    "http1_sources"};
    return found_in(files, sizeof files / sizeof *files, name);
}

static bool is_scenario(const char *name)
{
    char *text = scenario_of(name);

    free(text);
    return text != NULL;
}

/* It breaks this limit, and is not content before this counter moved. */
static void breaks(const char *scenario, const char *option, const char *counter)
{
    char *text = scenario_of(scenario), limit[96], moves[96];

    cr_assert(text, "there is no attack %s", scenario);
    snprintf(limit, sizeof limit, ".limit = \"%s\"", option);
    snprintf(moves, sizeof moves, ".counter = \"%s\"", counter);
    cr_expect(strstr(text, limit), "%s is no attack on %s", scenario, option);
    cr_expect(strstr(text, moves), "%s does not wait for %s", scenario, counter);
    free(text);
}

/* One of trap.c's. */
static bool is_trap(const char *name)
{
    static const char *const files[] = {"traps", "traps_slow"};
    char *text = found_in(files, sizeof files / sizeof *files, name);

    free(text);
    return text != NULL;
}

/* "CLASS SCENARIO SCENARIO", a line each. */
Test(limits, each_kind_of_attack_is_there_both_ways)
{
    char *page = doc_read("test/attack/classes"), class[64], client[64], server[64];
    cs_bytes text = cs_str(page), line;
    size_t n = 0;

    while (doc_line(&text, &line)) {
        char words[256];

        snprintf(words, sizeof words, "%.*s", CS_FMT(line));
        if (words[0] == '#' || words[0] == 0)
            continue;
        cr_assert_eq(sscanf(words, "%63s %63s %63s", class, client, server), 3, "%s", words);
        cr_expect(is_scenario(client), "%s: no client does %s", class, client);
        cr_expect(is_trap(server), "%s: no server does %s", class, server);
        n++;
    }
    cr_expect_gt(n, 25, "%zu", n);
    free(page);
}

/* "OPTION SCENARIO", a line each in the order of the tables. */
Test(limits, each_has_its_attack)
{
    char *page = doc_read("test/attack/scenarios"), option[64], scenario[64];
    cs_bytes text = cs_str(page), line;
    size_t at = 0;

    while (doc_line(&text, &line)) {
        char words[256];

        snprintf(words, sizeof words, "%.*s", CS_FMT(line));
        if (words[0] == '#' || words[0] == 0)
            continue;
        cr_assert_eq(sscanf(words, "%63s %63s", option, scenario), 2, "%s", words);
        cr_assert(at < ROWS, "there is no %s", option);
        cr_assert_str_eq(option, rows[at].option);
        breaks(scenario, option, rows[at].counter);
        at++;
    }
    cr_assert_eq(at, ROWS, "no line for %s", rows[at < ROWS ? at : 0].option);
    free(page);
}
