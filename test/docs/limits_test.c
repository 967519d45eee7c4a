/* limits -- whatever the tables of limits name is where it must be: in the manual, in the help, and in
 * the list of attacks. */
#include "test/docs/doc.h"

#include "chanserv/chanserv.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *option, *name, *counter;
} rows[] = {
#define ROW(X, option, unit, standard, name, counter, ...) {#option, name, #counter},
    CHANSERV_LIMITS(ROW, ) MUX_LIMITS(ROW, )
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
            cr_expect_str_neq(rows[i].counter, rows[j].counter, "%s and %s", rows[i].option,
                              rows[j].option);
}

static bool is_in_one_of(const char *const *files, size_t n, const char *scenario)
{
    char path[64], wanted[80];
    bool found = false;

    snprintf(wanted, sizeof wanted, ".name = \"%s\"", scenario);
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "test/attack/%s.c", files[i]);
        char *page = doc_read(path);
        found = found || strstr(page, wanted);
        free(page);
    }
    return found;
}

/* One of main.c's. */
static bool is_scenario(const char *name)
{
    static const char *const files[] = {"resets", "floods",   "fields", "windows", "links",
                                        "bodies", "sessions", "limits", "secure",  "harmless"};
    return is_in_one_of(files, sizeof files / sizeof *files, name);
}

/* One of trap.c's. */
static bool is_trap(const char *name)
{
    static const char *const files[] = {"traps", "traps_slow"};
    return is_in_one_of(files, sizeof files / sizeof *files, name);
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
        cr_assert(is_scenario(scenario), "there is no attack %s", scenario);
        at++;
    }
    cr_assert_eq(at, ROWS, "no line for %s", rows[at < ROWS ? at : 0].option);
    free(page);
}
