/* /metrics as Prometheus reads it, line by line; /healthz and /readyz. */
#include "browser.h"
#include "chanserv/stat.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const known[] = {"authorization: secret", NULL};

static void begin(void)
{
    cr_assert_eq(world_up(NULL), CS_OK);
}

TestSuite(metrics, .init = begin, .fini = world_down);

static struct browser b;

static int get(const char *what)
{
    browser_init(&b);
    cr_assert_eq(browser_ask(&b, what, known, NULL), CS_OK);
    cr_assert(b.finished);
    return b.status;
}

/* A line "NAME[{LABELS}] VALUE"; answers how long it is. */
static int read_value(const char *text, const char *name, char labels[32], double *value)
{
    char again[100];
    int at, more = 0;

    labels[0] = 0;
    cr_assert_eq(sscanf(text, "%99[a-z0-9_]%n", again, &at), 1, "%.60s", text);
    cr_assert_str_eq(again, name);
    if (text[at] == '{') {
        cr_assert_eq(sscanf(text + at, "{%31[^}]}%n", labels, &more), 1, "%.60s", text);
        at += more;
    }
    cr_assert_eq(sscanf(text + at, " %lf%n", value, &more), 1, "%.60s", text);
    cr_assert_eq(text[at + more], '\n');
    return at + more + 1;
}

/* Buckets hold all below them, up to the one without a bound, which is the count. */
static int read_histogram(const char *text, const char *name)
{
    char full[120], labels[32], wanted[32];
    double value, before = 0, sum;
    int at = 0;

    snprintf(full, sizeof full, "%s_bucket", name);
    for (size_t i = 0; i <= CS_HISTOGRAM_BOUNDS; i++, before = value) {
        at += read_value(text + at, full, labels, &value);
        cr_assert_geq(value, before);
        snprintf(wanted, sizeof wanted, "le=\"%g\"", (double)cs_histogram_bound_us(i) / 1e6);
        cr_assert_str_eq(labels, i < CS_HISTOGRAM_BOUNDS ? wanted : "le=\"+Inf\"");
    }
    snprintf(full, sizeof full, "%s_sum", name);
    at += read_value(text + at, full, labels, &sum);
    snprintf(full, sizeof full, "%s_count", name);
    at += read_value(text + at, full, labels, &value);
    cr_assert_eq(value, before);
    return at;
}

/* What promtool check metrics asks for: each has one HELP, then one TYPE, then its value; who goes only up
 * is a _total, and nobody else is. */
Test(metrics, each_counter_is_there_once_with_help_and_type)
{
    char name[100], again[100], type[20], help[400], labels[32];
    double value;
    int all = 0, wanted = 2, at;
    char line[120];

#define X(counter, words) wanted++;
    CHANSERV_COUNTERS(X)
    CHANSERV_HISTOGRAMS(X)
#undef X
    cr_assert_eq(get("GET /metrics"), 200);
    cr_assert_str_eq(browser_header(&b, "content-type"),
                     "text/plain; version=0.0.4; charset=utf-8");
    for (const char *text = b.body; *text; text += at, all++) {
        at = 0;
        cr_assert_eq(sscanf(text, "# HELP %99[a-z0-9_] %399[^\n]\n%n", name, help, &at), 2, "%.60s",
                     text);
        text += at;
        cr_assert_eq(sscanf(text, "# TYPE %99[a-z0-9_] %19[a-z]\n%n", again, type, &at), 2, "%.60s",
                     text);
        cr_assert_str_eq(again, name);
        text += at;
        snprintf(line, sizeof line, "\n# TYPE %s ", name);
        cr_assert_null(strstr(text, line), "%s is there twice", name);
        cr_assert(!strstr(help, " now") || strcmp(type, "gauge") == 0, "%s: %s", name, help);
        at = strcmp(type, "histogram") == 0 ? read_histogram(text, name)
                                            : read_value(text, name, labels, &value);
        cr_assert_eq(strncmp(name, "chanserv_", 9), 0);
        cr_assert_eq(strcmp(type, "counter") == 0,
                     strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0, "%s %s",
                     name, type);
    }
    cr_assert_eq(all, wanted);
    cr_assert(strstr(b.body, "\nchanserv_channels 0\n"));
    cr_assert(strstr(b.body, "\nchanserv_posts_total 0\n"));
    cr_assert(strstr(b.body, "\nchanserv_posts_refused_limit_total 0\n"));
    cr_assert(strstr(b.body, "\nchanserv_build_info{version=\""));
    browser_fini(&b);
}

/* A post that lasts 1.25 s, and whose source nobody opens before 0.25 s are over. */
Test(metrics, how_long_things_take_is_there_in_seconds)
{
    struct browser post;

    browser_init(&post);
    cr_assert_eq(browser_ask(&post, "POST /v1/post/hold", known, ""), CS_OK);
    cs_loop_advance(world.loop, 250);
    world_tick();
    cs_loop_advance(world.loop, 1000);
    browser_leave(&post);
    cs_loop_settle(world.loop);
    browser_fini(&post);
    cr_assert_eq(get("GET /metrics"), 200);
    cr_assert(strstr(b.body, "\nchanserv_post_answer_seconds_bucket{le=\"0.1\"} 0\n"));
    cr_assert(strstr(b.body, "\nchanserv_post_answer_seconds_bucket{le=\"0.25\"} 1\n"));
    cr_assert(strstr(b.body, "\nchanserv_post_answer_seconds_sum 0.250000\n"));
    cr_assert(strstr(b.body, "\nchanserv_post_seconds_bucket{le=\"1\"} 0\n"));
    cr_assert(strstr(b.body, "\nchanserv_post_seconds_bucket{le=\"2.5\"} 1\n"));
    cr_assert(strstr(b.body, "\nchanserv_post_seconds_bucket{le=\"+Inf\"} 1\n"));
    cr_assert(strstr(b.body, "\nchanserv_post_seconds_sum 1.250000\n"));
    cr_assert(strstr(b.body, "\nchanserv_post_seconds_count 1\n"));
    browser_fini(&b);
    cr_assert_eq(get("GET /v1/stat"), 200);
    cr_assert(strstr(b.body, "},\"histograms\":{\"bounds_us\":[100,250,500,1000,2500,5000,10000,"
                             "25000,50000,100000,250000,500000,1000000,2500000,5000000,10000000,"
                             "60000000,600000000],\"post_answer\":{\"counts\":[0,0,0,0,0,0,0,0,0,0,"
                             "1,0,0,0,0,0,0,0,0],\"sum_us\":250000},"));
    cr_assert(strstr(b.body, "\"window_shut\":{\"counts\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"
                             "\"sum_us\":0}},\"services\":{}}\n"));
    browser_fini(&b);
}

Test(metrics, are_for_those_who_may)
{
    world.verdict = CS_EPERM;
    browser_init(&b);
    cr_assert_eq(browser_ask(&b, "GET /metrics", NULL, NULL), CS_OK);
    cr_assert_eq(b.status, 403);
    browser_fini(&b);
    cr_assert_eq(get("GET /healthz"), 200);
    browser_fini(&b);
}

Test(metrics, a_drain_is_not_ready_and_well)
{
    cr_assert_eq(get("GET /readyz"), 200);
    cr_assert_str_eq(b.body, "ok\n");
    browser_fini(&b);
    chanserv_server_drain(world.server, 100000);
    cr_assert_eq(get("GET /readyz"), 503);
    cr_assert_str_eq(b.body, "draining\n");
    browser_fini(&b);
    cr_assert_eq(get("GET /healthz"), 200);
    browser_fini(&b);
    cr_assert_eq(get("GET /metrics"), 200);
    cr_assert(strstr(b.body, "\nchanserv_draining 1\n"));
    browser_fini(&b);
}

/* ---- /v1/stat ------------------------------------------------------------------------------- */

Test(metrics, stat_tells_what_runs_as_json)
{
    static struct browser post;

    browser_init(&post);
    post.room = 0;
    cr_assert_eq(browser_ask(&post, "POST /v1/post/slow", known, ""), CS_OK);
    cr_assert_eq(get("GET /v1/stat"), 200);
    cr_assert_str_eq(browser_header(&b, "content-type"), "application/json");
    cr_assert_eq(strncmp(b.body,
                         "{\"entries\":[{\"kind\":\"connection\",\"loop\":0,\"number\":1,\"of\":1,"
                         "\"peer\":\"local\"",
                         72),
                 0, "%s", b.body);
    cr_assert(strstr(b.body, "{\"kind\":\"post\",\"loop\":0,\"number\":1,"), "%s", b.body);
    cr_assert(strstr(b.body, "\"service\":\"slow\",\"peer\":\"10.0.0.1:"), "%s", b.body);
    cr_assert(strstr(b.body, "{\"kind\":\"source\",\"loop\":0,\"number\":0,\"of\":1,"), "%s",
              b.body);
    cr_assert(strstr(b.body, "}],\"left\":0,\"counters\":{\"connections\":1,"), "%s", b.body);
    browser_fini(&b);
    cr_assert_eq(get("GET /v1/stat?max=1"), 200);
    cr_assert_null(strstr(b.body, "\"kind\":\"post\""));
    cr_assert_null(strstr(b.body, "\"left\":0,"));
    browser_fini(&b);
    browser_fini(&post);
}

Test(metrics, stat_refuses_what_is_no_number_and_who_may_not)
{
    static const char *const bad[] = {"GET /v1/stat?max=", "GET /v1/stat?max=-1",
                                      "GET /v1/stat?max=1x"};

    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(get(bad[i]), 400);
        cr_assert(strstr(b.body, "INVALID_ARGUMENT"));
        browser_fini(&b);
    }
    cr_assert_eq(get("GET /v1/stat?max=99999999999999999999999"), 200);
    browser_fini(&b);
    world.verdict = CS_EPERM;
    browser_init(&b);
    cr_assert_eq(browser_ask(&b, "GET /v1/stat", NULL, NULL), CS_OK);
    cr_assert_eq(b.status, 403);
    browser_fini(&b);
}

static void story(void)
{
    if (world_up(NULL) == CS_OK) {
        browser_init(&b);
        (void)browser_ask(&b, "GET /metrics", known, NULL);
        cr_assert(failing_failed() || b.status == 200);
        browser_fini(&b);
        browser_init(&b);
        (void)browser_ask(&b, "GET /v1/stat", known, NULL);
        cr_assert(failing_failed() || b.status == 200);
        browser_fini(&b);
    }
    world_down();
}

Test(metrics_memory, survives_every_failed_allocation)
{
    cr_assert_gt(failing_story(story), 50);
}
