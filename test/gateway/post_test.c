/* POST /v1/post/SERVICE and GET /v1/services: what comes as lines, who pays for a slow reader, and
 * what becomes of the post when he leaves. */
#include "browser.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct browser b;

static void up(void)
{
    cr_assert_eq(world_up(NULL), CS_OK);
    browser_init(&b);
}

static void down(void)
{
    browser_fini(&b);
    world_down();
}

static int count(const char *text, const char *what)
{
    int n = 0;

    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

Test(post, lines_of_json)
{
    up();
    cr_assert_eq(browser_ask(&b, "POST /v1/post/gen", NULL, "1 2"), CS_OK);
    cr_expect_eq(b.status, 200);
    cr_expect_str_eq(browser_header(&b, "content-type"), "application/x-ndjson");
    cr_expect_str_eq(browser_header(&b, "cache-control"), "no-store");
    cr_expect_str_eq(browser_header(&b, "referrer-policy"), "no-referrer");
    cr_expect(b.finished);
    cr_expect_str_eq(b.body, "{\"announce\":{\"source\":0,\"header\":\"s0\"}}\n"
                             "{\"frame\":{\"source\":0,\"seq\":0,\"text\":\"f0\"}}\n"
                             "{\"frame\":{\"source\":0,\"seq\":1,\"text\":\"f1\"}}\n"
                             "{\"end\":{\"source\":0,\"code\":\"OK\"}}\n"
                             "{\"end\":{\"code\":\"OK\"}}\n");
    down();
}

Test(post, events)
{
    static const char *const accept[] = {"accept: text/html;q=0.1, text/event-stream", NULL};

    up();
    cr_assert_eq(browser_ask(&b, "POST /v1/post/gen", accept, "1 1"), CS_OK);
    cr_expect_str_eq(browser_header(&b, "content-type"), "text/event-stream");
    cr_expect_str_eq(b.body, "retry: 500\n\n"
                             "data: {\"announce\":{\"source\":0,\"header\":\"s0\"}}\n\n"
                             "data: {\"frame\":{\"source\":0,\"seq\":0,\"text\":\"f0\"}}\n\n"
                             "data: {\"end\":{\"source\":0,\"code\":\"OK\"}}\n\n"
                             "event: end\ndata: {\"end\":{\"code\":\"OK\"}}\n\n");
    down();
}

Test(post, no_source_at_all)
{
    up();
    cr_assert_eq(browser_ask(&b, "POST /v1/post/none", NULL, ""), CS_OK);
    cr_expect_eq(b.status, 200);
    cr_expect_str_eq(b.body, "{\"end\":{\"code\":\"OK\"}}\n");
    down();
}

static void refused(const char *what, int status, const char *body)
{
    struct browser one;

    browser_init(&one);
    cr_assert_eq(browser_ask(&one, what, NULL, ""), CS_OK);
    cr_expect_eq(one.status, status, "%s: %d", what, one.status);
    cr_expect_str_eq(one.body, body);
    cr_expect(one.finished);
    browser_fini(&one);
}

Test(post, what_is_refused_says_so)
{
    up();
    refused("POST /v1/post/nobody", 404,
            "{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"post nobody: NOT_FOUND: no such "
            "service\"}}\n");
    refused("POST /v1/post/bad", 400,
            "{\"error\":{\"code\":\"FAILED_PRECONDITION\",\"message\":\"post bad: "
            "FAILED_PRECONDITION: not \\\"today\\\"\"}}\n");
    refused("POST /v1/post/", 400,
            "{\"error\":{\"code\":\"INVALID_ARGUMENT\",\"message\":\"post : the request makes no "
            "sense\"}}\n");
    refused("GET /v1/post/gen", 405,
            "{\"error\":{\"code\":\"UNIMPLEMENTED\",\"message\":\"not with this method\"}}\n");
    down();
}

Test(post, sources_take_turns)
{
    up();
    cr_assert_eq(browser_ask(&b, "POST /v1/post/gen", NULL, "3 40"), CS_OK);
    cr_expect(b.finished);
    cr_expect_eq(count(b.body, "\"frame\""), 120);
    /* Half way through, each has come half way. */
    b.body[b.len / 2] = '\0';
    for (int i = 0; i < 3; i++) {
        char one[32];

        snprintf(one, sizeof one, "{\"source\":%d,\"seq\"", i);
        cr_expect(count(b.body, one) > 12, "%d of source %d", count(b.body, one), i);
    }
    down();
}

Test(post, those_that_are_wanted)
{
    up();
    cr_assert_eq(browser_ask(&b, "POST /v1/post/gen?open=s%5B13%5D", NULL, "5 1"), CS_OK);
    cr_expect(b.finished);
    cr_expect_eq(count(b.body, "\"announce\""), 2);
    cr_expect_eq(count(b.body, "\"header\":\"s1\""), 1);
    cr_expect_eq(count(b.body, "\"header\":\"s3\""), 1);
    cr_expect_eq(count(b.body, "\"frame\""), 2);
    cr_expect_eq(count(world.said, "source skipped; "), 3, "%s", world.said);
    down();
}

Test(post, who_does_not_read_stops_the_producers)
{
    size_t before;

    up();
    b.room = 1;
    cr_assert_eq(browser_ask(&b, "POST /v1/post/gen", NULL, "2 1000 4096"), CS_OK);
    cr_expect_eq(b.status, 200);
    before = world_made();
    cr_expect_lt(before, 100); /* two windows, and what is on its way */
    cs_loop_advance(world.loop, 1000);
    cr_expect_eq(world_made(), before);
    for (int i = 0; i < 100; i++)
        browser_room(&b, 4096);
    cr_expect_gt(world_made(), before);
    browser_leave(&b);
    cr_expect(strstr(world.said, "source client-left; source client-left; "), "%s", world.said);
    down();
}

Test(post, the_client_who_leaves_takes_the_post_along)
{
    up();
    cr_assert_eq(browser_ask(&b, "POST /v1/post/hold", NULL, ""), CS_OK);
    cr_expect_eq(b.status, 200); /* before there is anything to say */
    world_tick();
    cr_expect_eq(count(b.body, "\"announce\""), 1);
    cr_expect_eq(count(b.body, "\"frame\""), 1);
    browser_leave(&b);
    cr_expect_str_eq(world.said, "hold the peer vanished; ");
    down();
}

Test(post, a_gap_stands_before_what_came_behind_it)
{
    up();
    cr_assert_eq(browser_ask(&b, "POST /v1/post/slow", NULL, ""), CS_OK);
    for (int i = 0; i < 3; i++)
        world_tick();
    cr_expect(strstr(b.body,
                     "\"seq\":1,\"text\":\"tick1\"}}\n{\"gap\":{\"source\":0,\"count\":2}}\n"
                     "{\"frame\":{\"source\":0,\"seq\":4,\"text\":\"tick2\"}}\n"),
              "%s", b.body);
    down();
}

Test(post, announcements_have_urls)
{
    static const char *const accept[] = {"accept: application/x-ndjson", NULL};
    struct browser one;
    char what[256] = "GET ";
    const char *at;

    up();
    cr_assert_eq(browser_ask(&b, "POST /v1/post/gen?mode=announce", NULL, "2 2"), CS_OK);
    cr_expect(b.finished);
    cr_expect_eq(count(b.body, "\"url\":\"/v1/source/"), 2);
    cr_expect_eq(count(b.body, "\"frame\""), 0);
    cr_assert_not_null(at = strstr(b.body, "/v1/source/"));
    strncat(what, at, strcspn(at, "\""));
    browser_init(&one);
    cr_assert_eq(browser_ask(&one, what, accept, NULL), CS_OK);
    cr_expect_eq(one.status, 200);
    cr_expect_str_eq(one.body, "{\"frame\":{\"seq\":0,\"text\":\"f0\"}}\n"
                               "{\"frame\":{\"seq\":1,\"text\":\"f1\"}}\n"
                               "{\"end\":{\"code\":\"OK\"}}\n");
    browser_fini(&one);
    down();
}

Test(post, whoever_asks_is_asked_about)
{
    static const char *const token[] = {"authorization: secret", NULL};
    struct browser one;

    up();
    world.verdict = CS_EAUTH;
    cr_assert_eq(browser_ask(&b, "POST /v1/post/gen", NULL, ""), CS_OK);
    cr_expect_eq(b.status, 401);
    cr_expect_str_eq(browser_header(&b, "www-authenticate"), "Bearer");
    cr_expect_str_eq(world.said, "post gen by 10.0.0.1:5000; ");
    cr_expect(strstr(b.body, "show yourself"), "%s", b.body);
    browser_init(&one);
    cr_assert_eq(browser_ask(&one, "POST /v1/post/gen", token, ""), CS_OK);
    cr_expect_eq(one.status, 200);
    cr_expect_eq(count(one.body, "\"frame\""), 1);
    browser_fini(&one);
    down();
}

Test(services, are_those_that_the_caller_may_see)
{
    static const char *const token[] = {"authorization: secret", NULL};
    struct browser one;

    up();
    cr_assert_eq(browser_ask(&b, "GET /v1/services", NULL, NULL), CS_OK);
    cr_expect_eq(b.status, 200);
    cr_expect_str_eq(browser_header(&b, "content-type"), "application/json");
    for (const char *const *name =
             (const char *const[]){"gen", "none", "bad", "slow", "hold", NULL};
         *name; name++)
        cr_expect(strstr(b.body, *name), "%s", b.body);
    world.verdict = CS_EAUTH;
    browser_init(&one);
    cr_assert_eq(browser_ask(&one, "GET /v1/services", NULL, NULL), CS_OK);
    cr_expect_eq(one.status, 401);
    browser_fini(&one);
    world.verdict = CS_EPERM;
    browser_init(&one);
    cr_assert_eq(browser_ask(&one, "GET /v1/services", NULL, NULL), CS_OK);
    cr_expect_str_eq(one.body, "{\"services\":[]}\n");
    browser_fini(&one);
    world.verdict = CS_EAUTH;
    browser_init(&one);
    cr_assert_eq(browser_ask(&one, "GET /v1/services", token, NULL), CS_OK);
    cr_expect_eq(one.status, 200);
    browser_fini(&one);
    down();
}

/* ---- Without memory ---------------------------------------------------------------------------------- */

/* Whatever fails: an answer that is whole, an error, or broken off; never less in silence. */
static void story(const char *what, const char *body, int frames)
{
    browser_init(&b);
    if (world_up(NULL) == CS_OK && browser_ask(&b, what, NULL, body) == CS_OK) {
        cs_loop_advance(world.loop, 100);
        cr_expect(b.finished || b.aborted != CS_OK, "%s: neither answered nor broken off", what);
        if (b.finished && b.status == 200 && count(b.body, "\"frame\"") != frames)
            cr_expect(strstr(b.body, "\"message\""), "%s", b.body); /* of an end that is not OK */
        if (b.status != 200 && b.status != 0)
            cr_expect(b.status >= 429 && strstr(b.body, "\"error\""), "%d %s", b.status, b.body);
    }
    browser_fini(&b);
    world_down();
}

static void story_of_a_post(void)
{
    story("POST /v1/post/gen?open=*", "2 2", 4);
}

static void story_of_announcements(void)
{
    story("POST /v1/post/gen?mode=announce", "2 2", 0);
}

static void story_of_services(void)
{
    story("GET /v1/services", NULL, 0);
}

Test(post, every_failed_allocation)
{
    failing_story(story_of_a_post);
}

Test(post, every_failed_allocation_of_announcements)
{
    failing_story(story_of_announcements);
}

Test(services, every_failed_allocation)
{
    failing_story(story_of_services);
}
