/* GET /event and its kin, as the original's users know them, by a browser of the gateway's tests. */
#include "services/rendezvous/rendezvous.h"
#include "test/gateway/browser.h"

#include <criterion/criterion.h>

static struct browser b[3];
static rendezvous *desk;

static void up_with(const struct rendezvous_options *options)
{
    cr_assert_eq(world_up(NULL), CS_OK);
    cr_assert_eq(rendezvous_new(world.server, options, &desk), CS_OK);
    cr_assert_eq(rendezvous_mount(desk, world.gw), CS_OK);
    for (int i = 0; i < 3; i++)
        browser_init(&b[i]);
}

static void up(void)
{
    up_with(NULL);
}

static void down(void)
{
    struct rendezvous_counters counters;

    for (int i = 0; i < 3; i++)
        browser_fini(&b[i]);
    cs_loop_settle(world.loop);
    rendezvous_count(desk, &counters);
    cr_expect_eq(counters.waiting_bytes, 0, "of who has gone stay %llu",
                 (unsigned long long)counters.waiting_bytes);
    rendezvous_free(desk);
    world_down();
}

static uint64_t waiting(void)
{
    struct rendezvous_counters counters;

    rendezvous_count(desk, &counters);
    return counters.waiting;
}

Test(event, blocks_until_somebody_comes)
{
    up();
    browser_ask(&b[0], "GET /event?event=e&actor=a&payload=p%20a", NULL, NULL);
    cr_assert_eq(b[0].status, 0, "%s", b[0].body);
    cr_assert_eq(waiting(), 1);
    browser_ask(&b[1], "GET /event?event=e&actor=b&payload=pb&mates=1", NULL, NULL);
    cr_assert_eq(b[0].status, 200);
    cr_expect_str_eq(b[0].body, "{\"payloads\":{\"a\":\"p a\",\"b\":\"pb\"}}\n");
    cr_expect_str_eq(b[1].body, b[0].body);
    cr_expect_str_eq(browser_header(&b[0], "content-type"), "application/json");
    down();
}

Test(event, a_form_and_an_object_say_the_same)
{
    static const char *const form[] = {"content-type: application/x-www-form-urlencoded", NULL};
    static const char *const json[] = {"content-type: application/json", NULL};

    up();
    browser_ask(&b[0], "POST /event", form, "event=e&actor=a&payload=1%2B1&mates=2");
    browser_ask(&b[1], "POST /event", json,
                " {\"event\":\"e\",\"actor\":\"b\",\"mates\":2,\"form\":\"list\"}");
    cr_assert_eq(waiting(), 2, "%s %s", b[0].body, b[1].body);
    browser_ask(&b[2], "GET /event?event=e&actor=c&mates=2", NULL, NULL);
    cr_expect_str_eq(b[0].body, "{\"payloads\":{\"a\":\"1+1\",\"b\":\"\",\"c\":\"\"}}\n");
    cr_expect(strstr(b[1].body, "{\"parties\":[{\"actor\":\"a\",\"payload\":\"1+1\""));
    down();
}

Test(event, who_hangs_up_frees_his_place)
{
    up();
    browser_ask(&b[0], "GET /event?event=e&actor=a", NULL, NULL);
    browser_leave(&b[0]);
    cr_assert_eq(waiting(), 0);
    browser_ask(&b[1], "GET /event?event=e&actor=b", NULL, NULL);
    cr_assert_eq(b[1].status, 0);
    down();
}

Test(event, what_is_wrong_is_400_and_names_the_parameter)
{
    static const char *const rows[][2] = {
        {"GET /event", "event: it is required"},
        {"GET /event?event=e", "actor: it is required"},
        {"GET /event?event=e&actor=a&mates=two", "mates: an integer from 0 to 1000000 is wanted"},
        {"GET /event?event=e&actor=a&mates=-1", "mates: an integer"},
        {"GET /event?event=e&actor=a&labels=x", "labels: column 1: \\\"x\\\" is not KEY=VALUE"},
        {"GET /event?event=e&actor=a&selector=x%20in%20y", "selector: column 6: found \\\"y\\\""},
        {"GET /event?event=e&actor=a&payload=%FF", "payload: it is not UTF-8"},
        {"GET /event?event=e&actor=a&payload=5%&mates=1",
         "parameter payload: \\\"%\\\" is no escape"},
    };

    up();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        browser_ask(&b[0], rows[i][0], NULL, NULL);
        cr_expect_eq(b[0].status, 400, "%s: %d", rows[i][0], b[0].status);
        cr_expect(strstr(b[0].body, "{\"error\":{\"code\":\"INVALID_ARGUMENT\",\"message\":\""),
                  "%s", b[0].body);
        cr_expect(strstr(b[0].body, rows[i][1]), "%s: %s", rows[i][0], b[0].body);
        browser_fini(&b[0]);
        browser_init(&b[0]);
    }
    down();
}

Test(event, a_timeout_is_408_and_says_who_was_there)
{
    up();
    browser_ask(&b[0], "GET /event?event=e&actor=a&mates=2&timeout=1000", NULL, NULL);
    browser_ask(&b[1], "GET /event?event=e&actor=b&mates=2", NULL, NULL);
    cs_loop_advance(world.loop, 1000);
    cr_expect_eq(b[0].status, 408);
    cr_expect_str_eq(b[0].body, "{\"error\":{\"code\":\"DEADLINE_EXCEEDED\",\"message\":"
                                "\"nobody met a in 1000 ms; missing: 1; here: a, b\"}}\n");
    down();
}

Test(event, stats_say_who_waits_for_whom)
{
    up();
    browser_ask(&b[0], "GET /event?event=e&actor=a&payload=abc&mates=2&selector=x%3D1", NULL, NULL);
    cs_loop_advance(world.loop, 250);
    browser_ask(&b[1], "GET /stats", NULL, NULL);
    cr_expect_eq(b[1].status, 200);
    cr_expect(strstr(b[1].body,
                     "{\"waiting\":[{\"event\":\"e\",\"actor\":\"a\",\"labels\":{\"actor\":\"a\"},"
                     "\"selector\":\"x=1\",\"mates\":2,\"payload_bytes\":3,\"age_ms\":250,"
                     "\"missing\":2}],\"counters\":{\"waiting\":1,\"arrived\":1,"),
              "%s", b[1].body);
    down();
}

static bool metrics_have(const char *line)
{
    browser_fini(&b[2]);
    browser_init(&b[2]);
    browser_ask(&b[2], "GET /metrics", NULL, NULL);
    return strstr(b[2].body, line);
}

/* Waits of 0 ms, 1,234 ms and 0 ms; one too late, one who left a group, one refused. */
Test(event, all_is_counted_and_told_to_metrics)
{
    struct browser more[3];

    up();
    for (int i = 0; i < 3; i++)
        browser_init(&more[i]);
    browser_ask(&b[0], "GET /event?event=e&actor=a", NULL, NULL);
    cs_loop_advance(world.loop, 1234);
    cr_expect(metrics_have("\nrendezvous_waiting 1\n"), "%s", b[2].body);
    browser_ask(&b[1], "GET /event?event=e&actor=b", NULL, NULL);
    browser_ask(&more[0], "GET /event?event=e&actor=alone&mates=0", NULL, NULL);
    browser_ask(&more[1], "GET /event?event=e&actor=late&timeout=50", NULL, NULL);
    cs_loop_advance(world.loop, 50);
    browser_ask(&more[2], "GET /event?event=e&actor=bad&mates=x", NULL, NULL);
    cr_expect(metrics_have("\nrendezvous_waiting 0\n"));
    cr_expect(metrics_have("# TYPE rendezvous_arrived_total counter\nrendezvous_arrived_total 4\n"),
              "%s", b[2].body);
    cr_expect(metrics_have("\nrendezvous_matched_total 3\n"));
    cr_expect(metrics_have("\nrendezvous_groups_total 2\n"));
    cr_expect(metrics_have("\nrendezvous_timeouts_total 1\n"));
    cr_expect(metrics_have("\nrendezvous_refused_bad_total 1\n"));
    cr_expect(metrics_have("\nrendezvous_refused_limit_total 0\n"));
    cr_expect(metrics_have("\nrendezvous_greedy_total 0\n"));
    cr_expect(metrics_have("\nrendezvous_waited_total{upto=\"10ms\"} 2\n"), "%s", b[2].body);
    cr_expect(metrics_have("\nrendezvous_waited_total{upto=\"10s\"} 1\n"));
    cr_expect(metrics_have("\nrendezvous_waited_total{upto=\"more\"} 0\n"));
    cr_expect(metrics_have("\nrendezvous_waited_seconds_total 1\n"));
    for (int i = 0; i < 3; i++)
        browser_fini(&more[i]);
    down();
}

/* By HTTP as by gRPC: who would take too much is told so, and counted. */
Test(event, who_takes_too_much_memory_is_429)
{
    up_with(&(struct rendezvous_options){.waiting_max_bytes = 4000});
    browser_ask(&b[0], "GET /event?event=e&actor=a", NULL, NULL);
    cr_assert_eq(waiting(), 1);
    browser_ask(&b[1],
                "GET /event?event=f&actor=a&labels=a=,b=,c=,d=,e=,f=,g=,h=,i=,j=&selector=k,l,m,n",
                NULL, NULL);
    cr_expect_eq(b[1].status, 429);
    cr_expect_str_eq(
        b[1].body, "{\"error\":{\"code\":\"RESOURCE_EXHAUSTED\",\"message\":\"who waits would take "
                   "more than 4000 bytes of memory: labels and a selector cost more than they are "
                   "long\"}}\n");
    cr_expect(metrics_have("\nrendezvous_refused_bytes_total 1\n"), "%s", b[2].body);
    cr_expect(metrics_have("# TYPE rendezvous_waiting_bytes gauge\nrendezvous_waiting_bytes "));
    cr_expect_not(metrics_have("\nrendezvous_waiting_bytes 0\n"));
    browser_leave(&b[0]);
    cr_expect(metrics_have("\nrendezvous_waiting_bytes 0\n"), "%s", b[2].body);
    down();
}

/* What nobody reads of a body is there while he waits. */
Test(event, a_body_of_blanks_is_429_too)
{
    static char body[5000];

    memset(body, ' ', sizeof body - 1);
    memcpy(body, "{\"event\":\"e\",\"actor\":\"a\"", 24);
    body[sizeof body - 2] = '}';
    up_with(&(struct rendezvous_options){.waiting_max_bytes = 11000});
    browser_ask(&b[0], "POST /event", NULL, "{\"event\":\"e\",\"actor\":\"a\",\"mates\":3}");
    browser_ask(&b[1], "POST /event", NULL, body);
    cr_expect_eq(b[0].status, 0);
    cr_expect_eq(b[1].status, 429, "%s", b[1].body);
    browser_ask(&b[2], "GET /event?event=e&actor=b&mates=3", NULL, NULL);
    cr_expect_eq(b[2].status, 0, "what he took is free again");
    down();
}

Test(event, stats_have_a_limit)
{
    up();
    browser_ask(&b[0], "GET /event?event=e&actor=a&mates=3", NULL, NULL);
    browser_ask(&b[1], "GET /event?event=e&actor=b&mates=3&generation=7", NULL, NULL);
    browser_ask(&b[2], "GET /stats?limit=1", NULL, NULL);
    cr_expect(strstr(b[2].body, "\"actor\":\"a\"") && !strstr(b[2].body, "\"actor\":\"b\""));
    browser_fini(&b[2]);
    browser_init(&b[2]);
    browser_ask(&b[2], "GET /stats", NULL, NULL);
    cr_expect(strstr(b[2].body, "\"actor\":\"b\",\"generation\":\"7\""), "%s", b[2].body);
    browser_fini(&b[2]);
    browser_init(&b[2]);
    browser_ask(&b[2], "GET /stats?limit=-1", NULL, NULL);
    cr_expect_eq(b[2].status, 400);
    down();
}

/* He who may not post may not look either. */
Test(event, is_refused_to_who_may_not)
{
    up();
    world.verdict = CS_EPERM;
    browser_ask(&b[0], "GET /event?event=e&actor=a", NULL, NULL);
    cr_expect_eq(b[0].status, 403);
    browser_ask(&b[1], "GET /stats", NULL, NULL);
    cr_expect_eq(b[1].status, 403);
    down();
}
