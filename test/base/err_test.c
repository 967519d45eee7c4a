/* Answers as text, the version, patterns. */
#include "base/base.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(err, every_answer_has_a_text_of_its_own)
{
    static const int first[] = {CS_OK, CS_ECANCELED, CS_EMISUSE};
    static const int last[] = {CS_DONE, CS_EAUTH, CS_ESTALLED};
    const char *none = cs_strerror((cs_err)9999);
    const char *seen[64];
    size_t n = 0;

    for (size_t i = 0; i < 3; i++)
        for (int e = first[i]; e <= last[i]; e++) {
            const char *text = cs_strerror((cs_err)e);
            cr_assert_str_neq(text, none, "answer %d", e);
            for (size_t k = 0; k < n; k++)
                cr_assert_str_neq(text, seen[k], "answer %d", e);
            seen[n++] = text;
        }
    cr_assert_eq(n, 3u + 16u + 12u);
}

Test(err, what_is_no_answer_has_a_text_all_the_same)
{
    static const int none[] = {-1, 3, 16, 33, 47, 60, 1 << 30};

    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        cr_assert_str_eq(cs_strerror((cs_err)none[i]), "no such answer");
}

Test(err, a_failed_deadline_reads_as_its_header_says)
{
    cr_assert_str_eq(cs_strerror(CS_ETIMEOUT), "deadline passed");
    cr_assert(cs_failed(CS_ECANCELED));
    cr_assert_not(cs_failed(CS_DONE));
}

Test(err, the_linked_version_is_the_compiled_one)
{
    char begin[32];

    snprintf(begin, sizeof(begin), "%d.%d.", CS_VERSION_MAJOR, CS_VERSION_MINOR);
    cr_assert_eq(strncmp(cs_version(), begin, strlen(begin)), 0);
}

static void check(const char *pattern, const char *text, bool matches)
{
    cr_assert_eq(cs_glob(cs_str(pattern), cs_str(text)), matches, "'%s' against '%s'", pattern,
                 text);
}

Test(glob, stars_and_questions)
{
    check("", "", true);
    check("", "a", false);
    check("*", "", true);
    check("*", "a/b.c", true);
    check("**", "x", true);
    check("?", "", false);
    check("?", "x", true);
    check("?", "xy", false);
    check("*.log", "boot.log", true);
    check("*.log", "boot.log.1", false);
    check("*.log*", "boot.log.1", true);
    check("a*b*c", "aXbYbZc", true);
    check("a*b*c", "aXbYbZ", false);
    check("*ab", "aab", true);
    check("a?c*", "abcdef", true);
    check("abc", "abc", true);
    check("abc", "abd", false);
    check("abc", "ab", false);
    check("ab", "abc", false);
}

Test(glob, classes)
{
    check("[a-c]", "b", true);
    check("[a-c]", "d", false);
    check("[!a-c]", "d", true);
    check("[^a-c]", "b", false);
    check("[abz]x", "zx", true);
    check("x[0-9][0-9]", "x42", true);
    check("x[0-9][0-9]", "x4", false);
    check("[]]", "]", true);
    check("[!]]", "]", false);
    check("[a-]", "-", true);
    check("[a-]", "b", false);
    check("[*]", "*", true);
    check("[*]", "a", false);
    check("*[0-9].txt", "part7.txt", true);
}

Test(glob, a_class_that_is_never_closed_is_an_ordinary_byte)
{
    check("[ab", "[ab", true);
    check("[ab", "a", false);
    check("a[", "a[", true);
    check("[!", "[!", true);
}

Test(glob, works_byte_by_byte)
{
    cs_bytes text = cs_bytes_of("a\0\xff", 3), pattern = cs_bytes_of("a\0[\x80-\xff]", 7);

    cr_assert(cs_glob(pattern, text));
    cr_assert(cs_glob(cs_str("a??"), text));
    cr_assert_not(cs_glob(cs_str("a"), text));
}

Test(glob, a_pattern_of_stars_costs_no_more_than_the_product, .timeout = 20)
{
    char pattern[401], text[2001];

    for (size_t i = 0; i + 1 < sizeof(pattern); i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[400] = 'b';
    memset(text, 'a', sizeof(text));
    cr_assert_not(cs_glob(cs_bytes_of(pattern, 401), cs_bytes_of(text, sizeof(text))));
}
