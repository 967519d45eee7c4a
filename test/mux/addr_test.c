#include "mux/link__in.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>

static struct mux__addr parsed(const char *text)
{
    struct mux__addr addr;

    cr_assert_eq(mux__addr_parse(text, &addr), CS_OK, "%s", text);
    return addr;
}

static size_t expanded(const char *text, struct mux__sockaddr *ret)
{
    struct mux__addr addr = parsed(text);
    size_t n;

    cr_assert_eq(mux__addr_expand(&addr, ret, &n), CS_OK, "%s", text);
    return n;
}

Test(addr, takes_a_host_and_a_port_apart)
{
    struct mux__addr addr = parsed("example.org:5555");

    cr_assert_not(addr.is_unix);
    cr_assert_str_eq(addr.host, "example.org");
    cr_assert_eq(addr.port, 5555);
    addr = parsed("[fe80::1]:65535");
    cr_assert_str_eq(addr.host, "fe80::1");
    cr_assert_eq(addr.port, 65535);
    addr = parsed(":0");
    cr_assert_str_eq(addr.host, "");
    cr_assert_eq(addr.port, 0);
    addr = parsed("unix:/run/a:b.sock");
    cr_assert(addr.is_unix);
    cr_assert_str_eq(addr.path, "/run/a:b.sock");
    cr_assert_not(addr.is_fd);
    addr = parsed("fd:31");
    cr_assert(addr.is_fd);
    cr_assert_eq(addr.fd, 31);
}

Test(addr, refuses_what_makes_no_sense)
{
    static const char *const bad[] = {
        "",           "localhost", "localhost:", "localhost:http", "localhost:65536",
        "a:-1",       "a:+1",      "a: 1",       "a:000080",       "::1:80",
        "[::1]",      "[::1]80",   "[::1:80",    "[localhost]:80", "[]:80",
        "[::1%]:80",  "a b:80",    "a/b:80",     "a\n:80",         "[::1%nosuchif]:80",
        "http://a:1", "unix:",     "unix:@",     "[127.0.0.1]:80", "[::1%1x]:80",
        "fd:",        "fd:-1",     "fd:3x",      "fd:1234567",     "fd: 3",
    };
    struct mux__addr addr;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(mux__addr_parse(bad[i], &addr), CS_EINVAL, "\"%s\"", bad[i]);
    cr_expect_eq(mux__addr_parse(NULL, &addr), CS_EINVAL);
}

Test(addr, knows_how_long_a_host_and_a_path_may_be)
{
    struct mux__sockaddr sa[MUX__ADDRS_MAX];
    struct mux__addr addr;
    char text[512], back[136];

    snprintf(text, sizeof text, "%0255d:1", 0);
    cr_assert_eq(mux__addr_parse(text, &addr), CS_OK);
    snprintf(text, sizeof text, "%0256d:1", 0);
    cr_assert_eq(mux__addr_parse(text, &addr), CS_EINVAL);
    snprintf(text, sizeof text, "unix:/%0106d", 0);
    cr_assert_eq(expanded(text, sa), 1);
    mux__sockaddr_format(sa, back, sizeof back);
    cr_assert_str_eq(back, text);
    snprintf(text, sizeof text, "unix:/%0107d", 0);
    cr_assert_eq(mux__addr_parse(text, &addr), CS_EINVAL);
    snprintf(text, sizeof text, "unix:@%0106d", 0);
    cr_assert_eq(expanded(text, sa), 1);
    mux__sockaddr_format(sa, back, sizeof back);
    cr_assert_str_eq(back, text);
}

Test(addr, numbers_and_paths_come_back_as_they_were)
{
    static const char *const same[] = {"127.0.0.1:80", "[::1]:5555", "[::]:0",
                                       "0.0.0.0:1",    "unix:/a/b",  "unix:@abstract"};
    struct mux__sockaddr sa[MUX__ADDRS_MAX];
    char back[136];

    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        cr_assert_eq(expanded(same[i], sa), 1);
        mux__sockaddr_format(sa, back, sizeof back);
        cr_expect_str_eq(back, same[i]);
    }
}

Test(addr, localhost_is_both_loopbacks_and_names_are_looked_up)
{
    struct mux__sockaddr sa[MUX__ADDRS_MAX];
    struct mux__addr addr = parsed("example.org:1");
    char back[136];
    size_t n;

    cr_assert_eq(expanded("LocalHost:7", sa), 2);
    mux__sockaddr_format(&sa[0], back, sizeof back);
    cr_expect_str_eq(back, "127.0.0.1:7");
    mux__sockaddr_format(&sa[1], back, sizeof back);
    cr_expect_str_eq(back, "[::1]:7");
    cr_expect_eq(mux__addr_expand(&addr, sa, &n), CS_AGAIN);
    addr = parsed("127.1:1"); /* no number of ours, though of inet_aton()'s */
    cr_expect_eq(mux__addr_expand(&addr, sa, &n), CS_AGAIN);
}

Test(addr, all_addresses_are_v6_and_v4)
{
    struct mux__sockaddr sa[MUX__ADDRS_MAX];

    cr_assert_eq(expanded(":7", sa), 2);
    cr_expect_eq(sa[0].u.any.sa_family, AF_INET6);
    cr_expect_eq(sa[1].u.any.sa_family, AF_INET);
}

Test(addr, knows_what_no_stranger_can_reach)
{
    static const struct {
        const char *text;
        bool is_local;
    } cases[] = {{"127.0.0.1:1", true},
                 {"127.255.0.9:1", true},
                 {"128.0.0.1:1", false},
                 {"0.0.0.0:1", false},
                 {"[::1]:1", true},
                 {"[::]:1", false},
                 {"[::ffff:127.0.0.1]:1", true},
                 {"[::ffff:10.0.0.1]:1", false},
                 {"[fe80::1]:1", false},
                 {"unix:/x", true},
                 {"unix:@x", true}};
    struct mux__sockaddr sa[MUX__ADDRS_MAX];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expanded(cases[i].text, sa);
        cr_expect_eq(mux__sockaddr_is_local(sa), cases[i].is_local, "%s", cases[i].text);
    }
}

Test(addr, a_v4_peer_of_a_v6_socket_is_written_as_v4)
{
    struct mux__sockaddr sa[MUX__ADDRS_MAX];
    char back[136];

    expanded("[::ffff:10.1.2.3]:9", sa);
    mux__sockaddr_format(sa, back, sizeof back);
    cr_expect_str_eq(back, "10.1.2.3:9");
}

Test(addr, an_interface_is_part_of_an_address)
{
    struct mux__sockaddr sa[MUX__ADDRS_MAX];
    char back[136];

    expanded("[fe80::1%7]:9", sa);
    cr_expect_eq(sa[0].u.v6.sin6_scope_id, 7);
    mux__sockaddr_format(sa, back, sizeof back);
    cr_expect_str_eq(back, "[fe80::1%7]:9");
}

Test(addr, what_it_says_to_whoever_would_listen_there)
{
    static const struct {
        const char *addr;
        bool ok, far;
    } rows[] = {
        {"127.0.0.1:0", true, false},
        {"127.9.9.9:1", true, false},
        {"[::1]:5555", true, false},
        {"localhost:5", true, false},
        {"unix:/run/x", true, false},
        {"unix:@x", true, false},
        {"fd:3", true, false},
        {":5555", true, true},
        {"0.0.0.0:1", true, true},
        {"[::]:65535", true, true},
        {"10.1.2.3:1", true, true},
        {"example:1", true, false},
        {"", false, false},
        {"nonsense", false, false},
        {"a:", false, false},
        {"a:65536", false, false},
        {"a:-1", false, false},
        {"::1:5", false, false},
        {"[::1]", false, false},
        {"[x]:1", false, false},
        {"[]:1", false, false},
        {"unix:", false, false},
        {"unix:@", false, false},
        {"fd:", false, false},
        {"fd:x", false, false},
        {"a b:1", false, false},
        {"http://a:1", false, false},
        {"a:000001", false, false},
        {"[:1", false, false},
        {"fd:999999", true, false},
        {"fd:9999999", false, false},
        {"a$b:1", false, false},
        {"a_b-c.d:1", true, false},
        {"b\xc3\xbc:1", true, false},
        {"[::1%lo]:0", true, false},
        {"[::1%7]:0", true, false},
        {"[::1%07]:0", false, false},
        {"[::1%]:0", false, false},
        {"[::1%nosuch]:0", false, false},
    };
    bool far;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_eq(mux_addr_check(rows[i].addr, &far) == CS_OK, rows[i].ok, "%s", rows[i].addr);
        if (rows[i].ok)
            cr_assert_eq(far, rows[i].far, "%s", rows[i].addr);
    }
}
