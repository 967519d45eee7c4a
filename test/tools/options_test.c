/* Values as people type them. */
#include "tools/tool.h"

#include <criterion/criterion.h>
#include <limits.h>

Test(options, numbers_are_digits_within_their_bound)
{
    uint64_t n = 7;

    cr_assert(tool_number(cs_str("0"), 0, &n) && n == 0);
    cr_assert(tool_number(cs_str("0042"), 42, &n) && n == 42);
    cr_assert(tool_number(cs_str("18446744073709551615"), UINT64_MAX, &n) && n == UINT64_MAX);
    cr_assert_not(tool_number(cs_str("18446744073709551616"), UINT64_MAX, &n));
    cr_assert_not(tool_number(cs_str("43"), 42, &n));
    cr_assert_not(tool_number(cs_str("3"), 2, &n));
    cr_assert_not(tool_number(cs_str(""), 42, &n));
    cr_assert_not(tool_number(cs_str("-1"), 42, &n));
    cr_assert_not(tool_number(cs_str("1 "), 42, &n));
}

Test(options, durations_have_units)
{
    static const struct {
        const char *text;
        int ms;
    } good[] = {{"5", 5000},     {"1.5s", 1500}, {"250ms", 250}, {"2m", 120000},
                {"1h", 3600000}, {".5", 500},    {"0.1ms", 1}};
    static const char *const bad[] = {"", "0", "-1", "s", "5x", "1e99", "nan", "inf", " 1", "5 s"};
    int ms;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_assert(tool_duration_ms(good[i].text, &ms), "%s", good[i].text);
        cr_assert_eq(ms, good[i].ms, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(tool_duration_ms(bad[i], &ms), "%s", bad[i]);
}

Test(options, a_query_is_pairs)
{
    cs_bytes rest = cs_str("a=1&b&=2&c=x=y");
    cs_pair pair;

    cr_assert(tool_query_next(&rest, &pair));
    cr_assert(cs_same(pair.name, cs_str("a")) && cs_same(pair.value, cs_str("1")));
    cr_assert(tool_query_next(&rest, &pair));
    cr_assert(cs_same(pair.name, cs_str("b")) && !pair.value.base);
    cr_assert(tool_query_next(&rest, &pair));
    cr_assert(pair.name.len == 0 && cs_same(pair.value, cs_str("2")));
    cr_assert(tool_query_next(&rest, &pair));
    cr_assert(cs_same(pair.name, cs_str("c")) && cs_same(pair.value, cs_str("x=y")));
    cr_assert_not(tool_query_next(&rest, &pair));
}

Test(options, exit_codes_are_16_and_the_code)
{
    cr_assert_eq(tool_exit_of(CS_OK), 0);
    cr_assert_eq(tool_exit_of(CS_DONE), 0);
    cr_assert_eq(tool_exit_of(CS_ENOENT), 21);
    cr_assert_eq(tool_exit_of(CS_EREFUSED), 30);
    cr_assert_eq(tool_exit_of(CS_ESTALLED), 24);
    cr_assert_str_eq(tool_code_name(CS_DONE), "OK");
    cr_assert_str_eq(tool_code_name(CS_EAUTH), "UNAUTHENTICATED");
    cr_assert_str_eq(tool_code_name(CS_ECLAIMED), "ALREADY_EXISTS");
}

Test(options, a_traceparent_is_one_by_the_letter)
{
#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"
    static const char *const good[] = {"00-" TRACE "-" PARENT "-01", "01-" TRACE "-" PARENT "-00",
                                       "cc-" TRACE "-" PARENT "-01-more"};
    static const char *const bad[] = {"",
                                      "00-" TRACE "-" PARENT "-0",
                                      "00-" TRACE "-" PARENT "-01-more",
                                      "cc-" TRACE "-" PARENT "-01more",
                                      "ff-" TRACE "-" PARENT "-01",
                                      "00-00000000000000000000000000000000-" PARENT "-01",
                                      "00-" TRACE "-0000000000000000-01",
                                      "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
                                      "00-" TRACE "_" PARENT "-01",
                                      "0x-" TRACE "-" PARENT "-01",
                                      "00-" TRACE "-" PARENT "-\n1"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(tool_is_traceparent(cs_str(good[i])), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(tool_is_traceparent(cs_str(bad[i])), "%s", bad[i]);
}
