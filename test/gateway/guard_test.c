/* Whose pages may ask, and under which names they may reach us. */
#include "browser.h"

#include <criterion/criterion.h>

static struct browser b;
static bool told;

static cs_err tell(gateway_request *request, void *user)
{
    (void)user;
    told = true;
    gateway_reply(request, 200, "text/plain", cs_str("a"));
    return CS_DONE;
}

static void up_with(const struct gateway_options *options)
{
    cr_assert_eq(world_up(options), CS_OK);
    browser_init(&b);
    told = false;
    cr_assert_eq(gateway_route(world.gw, "GET", "/a", tell, NULL), CS_OK);
}

static void again(void)
{
    browser_fini(&b);
    browser_init(&b);
    told = false;
}

static void down(void)
{
    browser_fini(&b);
    world_down();
}

static const struct guard_row {
    const char *fields[4];
    bool passes, named; /* its answer names the origin */
} guard_rows[] = {
    {{NULL}, true, false},
    {{"host: localhost"}, true, false},
    {{"host: LocalHost:8080"}, true, false},
    {{"host: a.localhost"}, true, false},
    {{"host: 127.0.0.1:1"}, true, false},
    {{"host: 192.168.1.5"}, true, false},
    {{"host: [::1]:80"}, true, false},
    {{"host: mq.example"}, true, false},
    {{"host: MQ.example:8080"}, true, false},
    {{"host: a.lan"}, true, false},
    {{"host: evil.example"}, false, false},
    {{"host: localhost.evil.example"}, false, false},
    {{"host: 127.0.0.1.evil.example"}, false, false},
    {{"host: mq.example.evil"}, false, false},
    {{"host: .localhost"}, false, false},
    {{"host: 1.2.3"}, false, false},
    {{"origin: http://localhost:80"}, true, false},
    {{"origin: https://localhost:80"}, false, false},
    {{"origin: http://localhost:81"}, false, false},
    {{"origin: http://evil.example"}, false, false},
    {{"origin: null"}, false, false},
    {{"origin: https://app.example"}, true, true},
    {{"origin: https://app.example.evil"}, false, false},
    {{"host: mq.example", "origin: http://mq.example"}, true, false},
    {{"host: evil.example", "origin: http://evil.example"}, false, false},
    {{"sec-fetch-site: cross-site", "sec-fetch-mode: no-cors"}, false, false},
    {{"sec-fetch-site: cross-site", "sec-fetch-mode: navigate"}, true, false},
    {{"sec-fetch-site: same-origin", "sec-fetch-mode: cors"}, true, false},
};

Test(guard, a_strange_page_or_name_is_refused)
{
    static const struct gateway_options options = {
        .hosts = "mq.example  *.lan", .cors_origins = "https://app.example https://b.example"};

    up_with(&options);
    for (size_t i = 0; i < sizeof guard_rows / sizeof *guard_rows; i++) {
        const struct guard_row *row = &guard_rows[i];

        again();
        cr_assert_eq(browser_ask(&b, "GET /a", row->fields, NULL), CS_OK);
        cr_expect_eq(b.status, row->passes ? 200 : 403, "row %zu: %d", i, b.status);
        cr_expect_eq(told, row->passes, "row %zu", i);
        cr_expect_str_eq(browser_header(&b, "access-control-allow-origin"),
                         row->named ? "https://app.example" : "", "row %zu", i);
        cr_expect_str_eq(browser_header(&b, "vary"), "origin");
    }
    down();
}

Test(guard, anybody_is_let_in_who_is_to_be)
{
    static const char *const fields[] = {"host: evil.example", "origin: http://other.example",
                                         NULL};
    static const struct gateway_options options = {.hosts = "*", .cors_origins = "*"};

    up_with(&options);
    cr_assert_eq(browser_ask(&b, "GET /a", fields, NULL), CS_OK);
    cr_expect_eq(b.status, 200);
    cr_expect_str_eq(browser_header(&b, "access-control-allow-origin"), "http://other.example");
    down();
}

Test(guard, a_page_may_ask_first)
{
    static const char *const fields[] = {"origin: https://app.example",
                                         "access-control-request-method: POST",
                                         "access-control-request-headers: content-type,x-a", NULL};
    static const char *const strange[] = {"origin: https://evil.example",
                                          "access-control-request-method: POST", NULL};
    static const struct gateway_options options = {.cors_origins = "https://app.example"};

    up_with(&options);
    cr_assert_eq(browser_ask(&b, "OPTIONS /v1/post/gen", fields, NULL), CS_OK);
    cr_expect_eq(b.status, 204);
    cr_expect_str_eq(browser_header(&b, "access-control-allow-origin"), "https://app.example");
    cr_expect_str_eq(browser_header(&b, "access-control-allow-methods"), "POST, OPTIONS");
    cr_expect_str_eq(browser_header(&b, "access-control-allow-headers"), "content-type,x-a");
    cr_expect_str_eq(browser_header(&b, "access-control-max-age"), "600");
    again();
    cr_assert_eq(browser_ask(&b, "OPTIONS /v1/post/gen", strange, NULL), CS_OK);
    cr_expect_eq(b.status, 403);
    down();
}
