/* What no handler is asked for is counted, each kind apart; and what a handler refuses is its own affair. */
#include "browser.h"

#include <criterion/criterion.h>

static const char *const known[] = {"authorization: secret", NULL};

static struct browser b;

static struct chanserv_counters now(void)
{
    struct chanserv_counters counters;

    chanserv_server_counters(world.server, &counters);
    return counters;
}

static void begin(void)
{
    static const struct gateway_options options = {.body_max_bytes = 10};

    cr_assert_eq(world_up(&options), CS_OK);
}

TestSuite(refused, .init = begin, .fini = world_down);

static void ask(int status, const char *what, const char *const *fields, const char *body)
{
    browser_init(&b);
    cr_assert_eq(browser_ask(&b, what, fields, body), CS_OK);
    cr_assert_eq(b.status, status, "%s: %d", what, b.status);
    browser_fini(&b);
}

#define moved(name, n) cr_assert_eq(now().name, n, "%d", (int)now().name)

Test(refused, what_makes_no_sense)
{
    ask(400, "GET /v1/../v1", known, NULL);
    moved(http_refused_bad, 1);
    ask(400, "GET /v1/services?%", known, NULL);
    moved(http_refused_bad, 2);
    moved(http_requests, 2);
}

Test(refused, strange_pages_and_hosts)
{
    static const char *const strange[] = {"origin: http://evil.example", NULL};

    ask(403, "GET /v1/services", strange, NULL);
    moved(http_refused_origin, 1);
}

Test(refused, what_is_not_there)
{
    ask(404, "GET /nothing", known, NULL);
    moved(http_refused_path, 1);
    ask(405, "DELETE /v1/services", known, NULL);
    moved(http_refused_path, 2);
}

Test(refused, bodies)
{
    ask(413, "POST /v1/post/gen", known, "elevenbytes");
    moved(http_bodies_refused, 1);
}

Test(refused, by_a_handler_is_no_business_of_the_gateway)
{
    world.verdict = CS_EPERM;
    ask(403, "GET /v1/stat", NULL, NULL);
    ask(404, "POST /v1/post/nobody", known, "");
    ask(400, "GET /v1/stat?max=x", known, NULL);
    moved(http_requests, 3);
    moved(http_refused_origin, 0);
    moved(http_refused_path, 0);
    moved(http_refused_bad, 0);
    moved(posts_refused_denied, 1);
    moved(posts_refused_no_service, 1);
}
