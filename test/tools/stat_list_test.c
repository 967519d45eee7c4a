/* The answer of chanserv.v1.Debug as it is on the wire, and the cells that people see of it. */
#include "tools/print.h"
#include "tools/stat_cell.h"
#include "tools/stat_list.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define MESSAGE(text) cs_bytes_of(text, sizeof text - 1)

static const char reply[] =
    "\x0a\x0e"
    "\x10\x02\x18\x07\x20\x03\x32\x03p:1\x50\xac\x02" /* a connection */
    "\x0a\x02\x08\x09"                                /* of a kind that we do not know */
    "\x0a\x20"
    "\x08\x03\x18\x01\x20\x05\x2a\x03gen\x3a\x05"
    "claim\x40\xe8\x07\x78\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" /* a source; credit -1 */
    "\x10\x04"
    "\x1a\x09\x0a\x05posts\x10\x06"
    "\x78\x01";

Test(stat_list, has_entries_and_counters)
{
    struct stat_list list;

    cr_assert_eq(stat_list_parse(MESSAGE(reply), &list), CS_OK);
    cr_assert_eq(list.entries_len, 2);
    cr_assert_eq(list.left, 4);
    cr_assert_eq(list.entries[0].stat.kind, CHANSERV_STAT_CONNECTION);
    cr_assert_eq(list.entries[0].stat.loop, 2);
    cr_assert_eq(list.entries[0].stat.number, 7);
    cr_assert_eq(list.entries[0].stat.of, 3);
    cr_assert(cs_same(list.entries[0].stat.peer, cs_str("p:1")));
    cr_assert_eq(list.entries[0].stat.bytes_in, 300);
    cr_assert_eq(list.entries[0].waits.len, 0);
    cr_assert_eq(list.entries[1].stat.kind, CHANSERV_STAT_SOURCE);
    cr_assert(cs_same(list.entries[1].stat.service, cs_str("gen")));
    cr_assert(cs_same(list.entries[1].waits, cs_str("claim")));
    cr_assert_eq(list.entries[1].stat.age_ms, 1000);
    cr_assert_eq(list.entries[1].stat.credit, -1);
    cr_assert_eq(stat_list_counter(&list, "posts"), 6);
    cr_assert_eq(stat_list_counter(&list, "post"), 0);
    stat_list_free(&list);
    cr_assert_eq(stat_list_counter(&list, "posts"), 0);
}

Test(stat_list, a_message_that_is_cut_is_none)
{
    struct stat_list list;
    size_t whole = 0;

    for (size_t len = 0; len < sizeof reply - 1; len++) {
        char *cut = malloc(len + 1);
        memcpy(cut, reply, len);
        cut = realloc(cut, len ? len : 1); /* so that a byte too far is seen */
        if (stat_list_parse(cs_bytes_of(cut, len), &list) == CS_OK) {
            whole++;
            stat_list_free(&list);
        }
        free(cut);
    }
    cr_assert_eq(whole, 6, "%zu", whole); /* between two fields of the reply, and empty */
    cr_assert_eq(stat_list_parse(MESSAGE("\x0a\x02\x18\x80"), &list), CS_EPROTO);
    cr_assert_eq(stat_list_parse(MESSAGE("\x1a\x02\x0a\x07"), &list), CS_EPROTO);
}

static void is_cell(enum stat_column column, const struct stat_entry *entry, const char *wanted)
{
    char cell[STAT_CELL_MAX];

    stat_cell(cell, column, entry);
    cr_assert_str_eq(cell, wanted);
}

Test(stat_list, cells_are_short_and_harmless)
{
    static const struct {
        double amount;
        const char *text;
    } amounts[] = {{0, "0"},      {999, "999"},     {1000, "1.0k"},   {9949, "9.9k"},
                   {9999, "10k"}, {999499, "999k"}, {999500, "1.0M"}, {64e6, "64M"},
                   {-1, "-1"},    {-65536, "-66k"}, {12e9, "12G"},    {3e18, "3.0E"}};
    static const struct {
        int64_t ms;
        const char *text;
    } times[] = {{0, "0ms"},     {999, "999ms"},  {1500, "1.5s"},   {59999, "59s"},
                 {120000, "2m"}, {7200000, "2h"}, {172800000, "2d"}};
    struct stat_entry entry = {.stat = {.kind = CHANSERV_STAT_POST, .loop = 1, .number = 7},
                               .waits = cs_str("\x1b[2Jan and so on")};
    char cell[STAT_CELL_MAX];

    for (size_t i = 0; i < sizeof amounts / sizeof *amounts; i++) {
        stat_amount(cell, amounts[i].amount);
        cr_assert_str_eq(cell, amounts[i].text);
    }
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        stat_time(cell, times[i].ms);
        cr_assert_str_eq(cell, times[i].text);
    }
    is_cell(STAT_NUMBER, &entry, "1/7");
    is_cell(STAT_OF, &entry, "-");
    is_cell(STAT_WAITS, &entry, "????an?and");
    entry.waits.len = 0;
    is_cell(STAT_WAITS, &entry, "-");
    entry.stat.kind = CHANSERV_STAT_SOURCE;
    is_cell(STAT_NUMBER, &entry, "7");
}

static char *name_of(const char *service, const char *peer, size_t columns)
{
    struct stat_entry entry = {.stat = {.service = cs_str(service), .peer = cs_str(peer)}};
    char *text;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    stat_put_name(to, &entry, columns);
    fclose(to);
    return text;
}

Test(stat_list, names_fit_the_line)
{
    static const struct {
        const char *service, *peer;
        size_t columns;
        const char *text;
    } rows[] = {{"gen", "p:1", 99, "gen p:1"},
                {"gen", "p:1", 7, "gen p:1"},
                {"gen", "p:1", 6, "gen p:"},
                {"gen", "p:1", 4, "gen"},
                {"gen", "p:1", 2, "ge"},
                {"", "p:1", 2, "p:"},
                {"a\x1b[2J", "", 99, "a\\x1b[2J"},
                {"a\x1b", "", 4, "a"},
                {"好好", "", 3, "好"},
                {"ä", "", 1, "ä"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = name_of(rows[i].service, rows[i].peer, rows[i].columns);

        cr_assert_str_eq(text, rows[i].text);
        free(text);
    }
}
