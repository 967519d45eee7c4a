/* GET /v1/source/TICKET: read in three dialects, cut, taken up again, taken over, lost, ended. */
#include "browser.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct browser a, b; /* who announced, or read first; and who comes later */
static char what[256];      /* "GET /v1/source/..." */

static const char *const sse[] = {"accept: text/event-stream", NULL};
static const char *const ndjson[] = {"accept: application/x-ndjson", NULL};

#define FRAME(seq, text)                                                                           \
    "id: " seq "\ndata: {\"frame\":{\"seq\":" seq ",\"text\":\"" text "\"}}\n\n"
#define RETRY "retry: 500\n\n"
#define END "event: end\ndata: {\"end\":{\"code\":\"OK\"}}\n\n"

static bool announce(const char *service, const char *body)
{
    char post[64];
    const char *at;

    snprintf(post, sizeof post, "POST /v1/post/%s?mode=announce", service);
    if (browser_ask(&a, post, NULL, body) != CS_OK || !(at = strstr(a.body, "/v1/source/")))
        return false;
    snprintf(what, sizeof what, "GET %.*s", (int)strcspn(at, "\""), at);
    browser_fini(&a);
    browser_init(&a);
    return true;
}

static void up_with(const struct gateway_options *options, const char *service, const char *body)
{
    cr_assert_eq(world_up(options), CS_OK);
    browser_init(&a);
    browser_init(&b);
    cr_assert(announce(service, body));
}

static void up(const char *service, const char *body)
{
    up_with(NULL, service, body);
}

static void down(void)
{
    browser_fini(&a);
    browser_fini(&b);
    world_down();
}

static void ask(struct browser *browser, const char *accept, const char *field)
{
    const char *const fields[] = {accept ? accept : field, accept ? field : NULL, NULL};

    browser_fini(browser);
    browser_init(browser);
    cr_assert_eq(browser_ask(browser, what, fields, NULL), CS_OK);
}

Test(source, as_it_is)
{
    up("gen", "1 3");
    cr_assert_eq(browser_ask(&a, what, NULL, NULL), CS_OK);
    cr_expect_eq(a.status, 200);
    cr_expect_str_eq(browser_header(&a, "content-type"), "application/octet-stream");
    cr_expect_str_eq(browser_header(&a, "cache-control"), "no-store");
    cr_expect_str_eq(browser_header(&a, "referrer-policy"), "no-referrer");
    cr_expect_str_eq(a.body, "f0f1f2");
    cr_expect(a.finished);
    down();
}

Test(source, as_events)
{
    up("gen", "1 2");
    cr_assert_eq(browser_ask(&a, what, sse, NULL), CS_OK);
    cr_expect_str_eq(browser_header(&a, "content-type"), "text/event-stream");
    cr_expect_str_eq(a.body, RETRY FRAME("0", "f0") FRAME("1", "f1") END);
    down();
}

Test(source, the_end_is_answered_204)
{
    up("gen", "1 2");
    cr_assert_eq(browser_ask(&a, what, sse, NULL), CS_OK);
    ask(&b, sse[0], "last-event-id: 1");
    cr_expect_eq(b.status, 204);
    ask(&b, sse[0], "last-event-id: 0"); /* it did not hear the last one */
    cr_expect_str_eq(b.body, RETRY FRAME("1", "f1") END);
    cs_loop_advance(world.loop, 30000);
    ask(&b, sse[0], "last-event-id: 1"); /* forgotten by now */
    cr_expect_eq(b.status, 409, "%d", b.status);
    down();
}

Test(source, who_was_cut_goes_on)
{
    up("slow", "");
    cr_assert_eq(browser_ask(&a, what, sse, NULL), CS_OK);
    cr_expect_eq(a.status, 200); /* before there is anything to say */
    world_tick();
    world_tick();
    cr_expect_str_eq(a.body, RETRY FRAME("0", "tick0") FRAME("1", "tick1"));
    browser_leave(&a);
    world_tick();
    cs_loop_advance(world.loop, 29999);
    ask(&b, sse[0], "last-event-id: 0");
    cr_expect_str_eq(
        b.body, RETRY FRAME("1", "tick1") "event: gap\ndata: {\"gap\":{\"count\":2}}\n\n" FRAME(
                    "4", "tick2"));
    browser_leave(&b);
    cs_loop_advance(world.loop, 29999);
    cr_expect_str_eq(world.said, "");
    cs_loop_advance(world.loop, 1);
    cr_expect_str_eq(world.said, "slow client-left; ");
    cr_expect_eq(chanserv_server_foreign(world.server)->http_lingered, 1);
    down();
}

Test(source, without_an_id_it_begins_anew)
{
    up("slow", "");
    cr_assert_eq(browser_ask(&a, what, sse, NULL), CS_OK);
    world_tick();
    browser_leave(&a);
    ask(&b, sse[0], NULL);
    cr_expect_str_eq(b.body, RETRY FRAME("0", "tick0"));
    down();
}

Test(source, from_is_a_number_too)
{
    up("slow", "");
    cr_assert_eq(browser_ask(&a, what, ndjson, NULL), CS_OK);
    world_tick();
    world_tick();
    browser_leave(&a);
    strcat(what, "?from=1");
    ask(&b, ndjson[0], NULL);
    cr_expect_str_eq(b.body, "{\"frame\":{\"seq\":1,\"text\":\"tick1\"}}\n");
    ask(&a, ndjson[0], "last-event-id: x");
    cr_expect_eq(a.status, 400);
    ask(&a, ndjson[0], "last-event-id: 7");
    cr_expect_eq(a.status, 400);
    cr_expect(strstr(a.body, "OUT_OF_RANGE"), "%s", a.body);
    down();
}

Test(source, a_connection_that_looks_alive_is_taken_over)
{
    up("slow", "");
    cr_assert_eq(browser_ask(&a, what, sse, NULL), CS_OK);
    world_tick();
    ask(&b, sse[0], "last-event-id: 0");
    cr_expect(a.finished);
    world_tick();
    cr_expect_str_eq(b.body, RETRY FRAME("1", "tick1"));
    cr_expect_str_eq(a.body, RETRY FRAME("0", "tick0"));
    down();
}

Test(source, but_by_nobody_else)
{
    up("slow", "");
    cr_assert_eq(browser_ask(&a, what, sse, NULL), CS_OK);
    cr_assert_eq(browser_ask_from(&b, "10.0.0.2:5000", what, sse, NULL), CS_OK);
    cr_expect_eq(b.status, 409);
    cr_expect(strstr(b.body, "ALREADY_EXISTS"));
    browser_fini(&b);
    browser_init(&b);
    cr_assert_eq(browser_ask_from(&b, "10.0.0.1:7777", what, sse, NULL), CS_OK);
    cr_expect_eq(b.status, 200);
    down();
}

Test(source, what_is_not_kept_is_said_to_be_lost)
{
    static const struct gateway_options options = {.keep_bytes = 10};

    up_with(&options, "slow", "");
    cr_assert_eq(browser_ask(&a, what, sse, NULL), CS_OK);
    for (int i = 0; i < 4; i++)
        world_tick();
    browser_leave(&a);
    ask(&b, ndjson[0], "last-event-id: 0");
    cr_expect_eq(b.status, 400);
    cr_expect_eq(chanserv_server_foreign(world.server)->http_not_kept, 1);
    ask(&b, sse[0], "last-event-id: 0");
    cr_expect_eq(b.status, 200);
    cr_expect_eq(chanserv_server_foreign(world.server)->http_not_kept, 2);
    cr_expect_str_eq(b.body, RETRY "event: lost\ndata: {\"lost\":{\"from\":1,\"kept\":4}}\n\n");
    cr_expect(b.finished);
    cr_expect_str_eq(world.said, "slow client-left; ");
    ask(&b, sse[0], "last-event-id: 0");
    cr_expect_eq(b.status, 204);
    down();
}

Test(source, without_any_to_keep_only_the_newest_is)
{
    static const struct gateway_options options = {.keep_bytes = CS_OFF};

    up_with(&options, "slow", "");
    cr_assert_eq(browser_ask(&a, what, sse, NULL), CS_OK);
    world_tick();
    world_tick();
    browser_leave(&a);
    ask(&b, sse[0], "last-event-id: 0");
    cr_expect_str_eq(b.body, RETRY FRAME("1", "tick1"));
    browser_leave(&b);
    ask(&b, sse[0], NULL);
    cr_expect_str_eq(b.body, RETRY "event: lost\ndata: {\"lost\":{\"from\":0,\"kept\":1}}\n\n");
    down();
}

Test(source, what_is_kept_is_bounded)
{
    static const struct gateway_options options = {.keep_bytes = 100000};

    up_with(&options, "gen", "1 15 60000");
    a.room = 600000;
    cr_assert_eq(browser_ask(&a, what, NULL, NULL), CS_OK);
    browser_leave(&a);
    strcat(what, "?from=0");
    ask(&b, ndjson[0], NULL);
    cr_expect_eq(b.status, 400);
    cr_expect(strstr(b.body, "begins with the number"), "%s", b.body);
    down();
}

Test(source, who_waits_longest_goes_when_it_is_too_much)
{
    static const struct gateway_options options = {.lingering_bytes = 2500};
    char first[256];

    up_with(&options, "slow", "");
    cr_assert_eq(browser_ask(&a, what, sse, NULL), CS_OK);
    browser_leave(&a);
    snprintf(first, sizeof first, "%s", what);
    for (int i = 0; i < 2; i++) {
        cr_expect_str_eq(world.said, "");
        browser_fini(&a);
        browser_init(&a);
        cr_assert(announce("gen", "1 1"));
        cr_assert_eq(browser_ask(&a, what, sse, NULL), CS_OK);
        cr_expect_str_eq(a.body, RETRY FRAME("0", "f0") END);
    }
    cr_expect_str_eq(world.said, "slow client-left; ");
    ask(&b, sse[0], "last-event-id: 0");
    cr_expect_eq(b.status, 204); /* the newest is there */
    snprintf(what, sizeof what, "%s", first);
    ask(&b, sse[0], NULL);
    cr_expect_eq(b.status, 409);
    cr_expect_eq(chanserv_server_foreign(world.server)->http_lingering_lost, 1);
    cr_expect_eq(chanserv_server_foreign(world.server)->http_lingered, 0);
    down();
}

Test(source, who_does_not_read_stops_the_producer)
{
    size_t before;

    up("gen", "1 1000 4096");
    a.room = 1;
    cr_assert_eq(browser_ask(&a, what, NULL, NULL), CS_OK);
    before = world_made();
    cr_expect_lt(before, 60);
    cs_loop_advance(world.loop, 1000);
    cr_expect_eq(world_made(), before);
    browser_leave(&a);
    cs_loop_advance(world.loop, 30000);
    cr_expect_str_eq(world.said, "source client-left; ");
    down();
}

Test(source, its_failure_is_told)
{
    up("slow", "");
    cr_assert_eq(browser_ask(&a, what, sse, NULL), CS_OK);
    for (int i = 0; i < 999; i++)
        world_tick();
    ask(&b, NULL, "last-event-id: 1000");
    cr_expect_eq(b.status, 200);
    ask(&a, sse[0], "last-event-id: 1000");
    world_tick();
    cr_expect(strstr(a.body, "event: end\ndata: {\"end\":{\"code\":\"DATA_LOSS\",\"message\":"),
              "%s", a.body);
    ask(&b, NULL, "last-event-id: 1000");
    cr_expect_eq(b.status, 204);
    down();
}

Test(source, raw_bytes_that_fail_are_broken_off)
{
    up("slow", "");
    cr_assert_eq(browser_ask(&a, what, NULL, NULL), CS_OK);
    for (int i = 0; i < 1000; i++)
        world_tick();
    cr_expect_eq(a.aborted, CS_EDATALOSS);
    down();
}

Test(source, tickets_that_are_none)
{
    static const char *const none[] = {"GET /v1/source/", "GET /v1/source/zz", "GET /v1/source/0",
                                       "GET /v1/source/AB"};

    up("gen", "1 1");
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        snprintf(what, sizeof what, "%s", none[i]);
        ask(&b, NULL, NULL);
        cr_expect_eq(b.status, 404, "%s: %d", what, b.status);
    }
    snprintf(what, sizeof what, "GET /v1/source/%064d", 0);
    ask(&b, NULL, NULL);
    cr_expect_geq(b.status, 400);
    cr_expect(b.finished);
    down();
}

Test(source, the_hook_is_asked_of_who_opens)
{
    up("gen", "1 1");
    world.verdict = CS_EPERM;
    ask(&b, NULL, NULL);
    cr_expect_eq(b.status, 403);
    cr_expect_str_eq(world.said, "open gen by 10.0.0.1:5000; ");
    down();
}

/* ---- Without memory ---------------------------------------------------------------------------------- */

static void story(void)
{
    static const char *const again[] = {"accept: text/event-stream", "last-event-id: 0", NULL};

    browser_init(&a);
    browser_init(&b);
    if (world_up(NULL) == CS_OK && announce("gen", "1 2") &&
        browser_ask(&a, what, sse, NULL) == CS_OK) {
        cs_loop_advance(world.loop, 100);
        cr_expect(a.finished || a.aborted != CS_OK);
        if (a.finished && a.status == 200 && !strstr(a.body, "\"message\""))
            cr_expect_str_eq(a.body, RETRY FRAME("0", "f0") FRAME("1", "f1") END);
        if (a.finished && a.status == 200 && browser_ask(&b, what, again, NULL) == CS_OK)
            cr_expect(b.finished || b.aborted != CS_OK);
    }
    browser_fini(&a);
    browser_fini(&b);
    world_down();
}

Test(source, every_failed_allocation)
{
    failing_story(story);
}
