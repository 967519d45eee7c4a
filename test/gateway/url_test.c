#include "gateway/url__in.h"

#include <criterion/criterion.h>

static cs_err path(cs_bytes text, cs_bytes *ret)
{
    static char room[256];

    memset(room, '!', sizeof room);
    cs_err err = gateway__url_path(text, room, ret);
    cr_assert_eq(room[text.len], '!');
    return err;
}

Test(url, paths_are_decoded)
{
    static const char *const good[][2] = {{"/", "/"},
                                          {"/a", "/a"},
                                          {"/a%20b%2c%2C", "/a b,,"},
                                          {"/%c3%A9", "/\xc3\xa9"},
                                          {"/a+b", "/a+b"},
                                          {"//a//", "//a//"},
                                          {"/...", "/..."},
                                          {"/.a/..b/c.", "/.a/..b/c."},
                                          {"/%2541", "/%41"}};
    cs_bytes plain;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert_eq(path(cs_str(good[i][0]), &plain), CS_OK, "%s", good[i][0]);
        cr_assert(cs_same(plain, cs_str(good[i][1])), "%s", good[i][0]);
    }
}

Test(url, paths_that_must_be_guessed_are_refused)
{
    static const char *const bad[] = {
        "",       "a",        "*",      "/%",      "/%4",    "/%4g",   "/%g4",
        "/%%41",  "/% 1",     "/%+1",   "/%00",    "/a%00b", "/.",     "/..",
        "/./a",   "/../a",    "/a/..",  "/a/../b", "/a/.",   "/%2e",   "/%2e%2E",
        "/.%2e/", "/a/%2E./", "/a%2fb", "/a%2F..", "/a%5cb", "/..\\a", "/%0x41ff"};
    cs_bytes plain;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(path(cs_str(bad[i]), &plain), CS_EINVAL, "%s", bad[i]);
}

Test(url, forms_are_pairs)
{
    char room[64], *to = room;
    cs_bytes rest = cs_str("&a=b&&c+d=%26%3D+&e&=f&g==h=&");
    static const char *const pairs[][2] = {
        {"a", "b"}, {"c d", "&= "}, {"e", ""}, {"", "f"}, {"g", "=h="}};
    cs_pair pair;

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        cr_assert_eq(gateway__url_form_next(&rest, &to, &pair), CS_OK);
        cr_assert(cs_same(pair.name, cs_str(pairs[i][0])), "%zu", i);
        cr_assert(cs_same(pair.value, cs_str(pairs[i][1])), "%zu", i);
    }
    cr_assert_eq(gateway__url_form_next(&rest, &to, &pair), CS_DONE);
    cr_assert(to - room == (ptrdiff_t)strlen("abc d&= efg=h="));
    rest = cs_bytes_of(NULL, 0);
    cr_assert_eq(gateway__url_form_next(&rest, &to, &pair), CS_DONE);

    static const char *const bad[] = {"a=%", "%=a", "a%2=b", "a=%00", "%0a%zz", "a=%4"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rest = cs_str(bad[i]);
        to = room;
        cr_assert_eq(gateway__url_form_next(&rest, &to, &pair), CS_EINVAL, "%s", bad[i]);
        cr_assert_eq(rest.base, bad[i]);
    }
    /* What is behind the pair is not looked at. */
    rest = cs_str("a=%4&1=%");
    to = room;
    cr_assert_eq(gateway__url_form_next(&rest, &to, &pair), CS_EINVAL);
}

Test(url, what_is_wrong_has_a_place)
{
    static const struct {
        const char *text;
        size_t at;
    } rows[] = {{"", 0},       {"a%41", 4}, {"%", 0},     {"a%4", 1},  {"a%zz", 1},
                {"%41%00", 3}, {"%%41", 0}, {"a=%4g", 2}, {"%41%4", 3}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_eq(gateway__url_wrong(cs_str(rows[i].text)), rows[i].at, "%s", rows[i].text);
    cr_assert_eq(gateway__url_wrong(cs_bytes_of("ab\0", 3)), 2);
}

Test(url, plus_is_a_space_in_forms_only)
{
    char room[8];
    cs_bytes plain;

    cr_assert_eq(gateway__url_decode(cs_str("a+%2B"), room, &plain), CS_OK);
    cr_assert(cs_same(plain, cs_str("a++")));
    cr_assert_eq(gateway__url_decode(cs_str("%2"), room, &plain), CS_EINVAL);
    cr_assert_eq(gateway__url_decode(cs_bytes_of("a\0b", 3), room, &plain), CS_EINVAL);
    /* not even when the rest of it stands behind */
    cr_assert_eq(gateway__url_decode(cs_bytes_of("%2B", 2), room, &plain), CS_EINVAL);
}

Test(url, hosts)
{
    static const struct {
        const char *text, *host;
        int port;
    } good[] = {{"h", "h", 0},         {"a-b_c.D9.", "a-b_c.D9.", 0},
                {"h:1", "h", 1},       {"127.0.0.1:65535", "127.0.0.1", 65535},
                {"[::1]", "[::1]", 0}, {"[1:2:3:4:5:6:7.8.9.0]:80", "[1:2:3:4:5:6:7.8.9.0]", 80}};
    static const char *const bad[] = {
        "",       ":",       ":80",      "h:",  "h:0",    "h:65536", "h:1:2", "h:1a",
        "h:-1",   "h: 1",    "h:000001", "u@h", "h/",     "h,i",     "h%41",  "h i",
        "[",      "[]",      "[::1",     "::1", "[::1]a", "h]",      "[g::]", "[1.2.3.4]",
        "[::1]:", "[::1%1]", "\xc3\xa9", "h?",  "h#"};
    cs_bytes host;
    int port;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert(gateway__url_host(cs_str(good[i].text), &host, &port), "%s", good[i].text);
        cr_assert(cs_same(host, cs_str(good[i].host)) && port == good[i].port);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(!gateway__url_host(cs_str(bad[i]), &host, &port), "%s", bad[i]);
    cr_assert(!gateway__url_host(cs_bytes_of("h\0i", 3), &host, &port));

    char name[256];
    memset(name, 'a', sizeof name);
    cr_assert(gateway__url_host(cs_bytes_of(name, 255), &host, &port));
    cr_assert(!gateway__url_host(cs_bytes_of(name, 256), &host, &port));
}
