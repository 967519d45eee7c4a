/* What a service tells of itself, in /metrics and /v1/stat; and that it can break neither. */
#include "browser.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct gateway_metric told[100];
static cs_err answers[100];
static size_t told_len;

static void tell(gateway_report *report, void *user)
{
    (void)user;
    for (size_t i = 0; i < told_len; i++)
        answers[i] = gateway_report_put(report, &told[i]);
}

static void one(gateway_report *report, void *user)
{
    (void)gateway_report_put(report, user);
}

static void begin(void)
{
    told_len = 0;
    cr_assert_eq(world_up(NULL), CS_OK);
}

TestSuite(report, .init = begin, .fini = world_down);

static struct browser b;

static const char *get(const char *what)
{
    static const char *const known[] = {"authorization: secret", NULL};
    static char text[64 * 1024];

    browser_init(&b);
    cr_assert_eq(browser_ask(&b, what, known, NULL), CS_OK);
    cr_assert(b.finished);
    cr_assert_eq(b.status, 200);
    snprintf(text, sizeof text, "%s", b.body);
    browser_fini(&b);
    return text;
}

/* What stands behind the server's own. */
static const char *lines(void)
{
    const char *text = get("GET /metrics"), *more;

    while ((more = strstr(text, "\nchanserv_")))
        text = more + 1;
    return strchr(text, '\n') + 1;
}

static const char *members(void)
{
    const char *text = strstr(get("GET /v1/stat"), "},\"services\":");

    cr_assert(text);
    return text + 13;
}

Test(report, is_nothing_when_nobody_tells)
{
    cr_assert_str_eq(lines(), "");
    cr_assert_str_eq(members(), "{}}\n");
}

Test(report, is_lines_and_members_in_their_order)
{
    static struct gateway_metric other = {.name = "left_total", .help = "h", .value = UINT64_MAX};

    told[0] = (struct gateway_metric){.name = "arrived", .help = "parties \"here\"", .value = 7};
    told[1] = (struct gateway_metric){
        .name = "waiting", .help = "now", .gauge = true, .label = "form", .of = cs_str("map")};
    told[2] = told[1];
    told[2].of = cs_str("a\"b\\c\nd");
    told[2].value = 3;
    told[3] = (struct gateway_metric){.name = "arrived_now", .help = "h", .gauge = true};
    told_len = 4;
    cr_assert_eq(gateway_add_report(world.gw, "desk", tell, NULL), CS_OK);
    cr_assert_eq(gateway_add_report(world.gw, "desk2", one, &other), CS_OK);
    cr_assert_str_eq(lines(), "# HELP desk_arrived_total parties \"here\"\n"
                              "# TYPE desk_arrived_total counter\n"
                              "desk_arrived_total 7\n"
                              "# HELP desk_waiting now\n"
                              "# TYPE desk_waiting gauge\n"
                              "desk_waiting{form=\"map\"} 0\n"
                              "desk_waiting{form=\"a\\\"b\\\\c\\nd\"} 3\n"
                              "# HELP desk_arrived_now h\n"
                              "# TYPE desk_arrived_now gauge\n"
                              "desk_arrived_now 0\n"
                              "# HELP desk2_left_total h\n"
                              "# TYPE desk2_left_total counter\n"
                              "desk2_left_total 18446744073709551615\n");
    cr_assert_str_eq(members(),
                     "{\"desk\":{\"arrived\":7,\"waiting\":{\"map\":0,\"a\\\"b\\\\c\\nd\":3},"
                     "\"arrived_now\":0},\"desk2\":{\"left_total\":18446744073709551615}}}\n");
    for (size_t i = 0; i < told_len; i++)
        cr_assert_eq(answers[i], CS_OK);
}

/* Each behind a metric of the same part, which stays as it is, in both. */
Test(report, refuses_what_would_break_it)
{
    static const struct {
        struct gateway_metric m;
        cs_err err;
    } cases[] = {
        {{.name = NULL, .help = "h"}, CS_EINVAL},
        {{.name = "", .help = "h"}, CS_EINVAL},
        {{.name = "Upper", .help = "h"}, CS_EINVAL},
        {{.name = "a b", .help = "h"}, CS_EINVAL},
        {{.name = "a__b", .help = "h"}, CS_EINVAL},
        {{.name = "a_", .help = "h"}, CS_EINVAL},
        {{.name = "_a", .help = "h"}, CS_EINVAL},
        {{.name = "1a", .help = "h"}, CS_EINVAL},
        {{.name = "a\n", .help = "h"}, CS_EINVAL},
        {{.name = "a{b=\"c\"}", .help = "h"}, CS_EINVAL},
        {{.name = "a234567890123456789012345678901234567890123456789012345678901234", .help = "h"},
         CS_EINVAL},
        {{.name = "x_total", .help = "h", .gauge = true}, CS_EINVAL},
        {{.name = "x_sum", .help = "h"}, CS_EINVAL},
        {{.name = "x_count", .help = "h"}, CS_EINVAL},
        {{.name = "x_bucket", .help = "h"}, CS_EINVAL},
        {{.name = "x_created", .help = "h"}, CS_EINVAL},
        {{.name = "x_info", .help = "h", .gauge = true}, CS_EINVAL},
        {{.name = "x"}, CS_EINVAL},
        {{.name = "x", .help = ""}, CS_EINVAL},
        {{.name = "x", .help = "a\nb 1"}, CS_EINVAL},
        {{.name = "x", .help = "a\\"}, CS_EINVAL},
        {{.name = "x", .help = "\xff"}, CS_EINVAL},
        {{.name = "x", .help = "h", .label = "le"}, CS_EINVAL},
        {{.name = "x", .help = "h", .label = "quantile"}, CS_EINVAL},
        {{.name = "x", .help = "h", .label = "__name__"}, CS_EINVAL},
        {{.name = "x", .help = "h", .label = "a=\"b\",c"}, CS_EINVAL},
        {{.name = "x", .help = "h", .label = "l", .of = {"\xc3", 1}}, CS_EINVAL},
        {{.name = "arrived", .help = "h"}, CS_EEXIST},
        {{.name = "arrived", .help = "h", .gauge = true}, CS_EEXIST},
        {{.name = "arrived", .help = "h", .label = "l"}, CS_EEXIST},
        {{.name = "arrived_total", .help = "h"}, CS_EEXIST},
        {{.name = "waiting", .help = "h", .gauge = true, .label = "form", .of = {"map", 3}},
         CS_EEXIST},
        {{.name = "waiting", .help = "h", .gauge = true, .label = "other"}, CS_EEXIST},
        {{.name = "waiting", .help = "h", .label = "form"}, CS_EEXIST},
        {{.name = "waiting", .help = "h", .gauge = true}, CS_EEXIST}};
    enum { CASES = sizeof cases / sizeof *cases };

    told[0] = (struct gateway_metric){.name = "arrived", .help = "h", .value = 1};
    told[1] = (struct gateway_metric){
        .name = "waiting", .help = "h", .gauge = true, .label = "form", .of = cs_str("map")};
    for (size_t i = 0; i < CASES; i++)
        told[2 + i] = cases[i].m;
    told[2 + CASES] = told[1]; /* goes on, whatever was refused between */
    told[2 + CASES].of = cs_str("list");
    told_len = 3 + CASES;
    cr_assert_eq(gateway_add_report(world.gw, "desk", tell, NULL), CS_OK);
    cr_assert_str_eq(lines(), "# HELP desk_arrived_total h\n"
                              "# TYPE desk_arrived_total counter\n"
                              "desk_arrived_total 1\n"
                              "# HELP desk_waiting h\n"
                              "# TYPE desk_waiting gauge\n"
                              "desk_waiting{form=\"map\"} 0\n"
                              "desk_waiting{form=\"list\"} 0\n");
    for (size_t i = 0; i < CASES; i++)
        cr_assert_eq(answers[2 + i], cases[i].err, "case %zu: %d", i, (int)answers[2 + i]);
    cr_assert_str_eq(members(), "{\"desk\":{\"arrived\":1,\"waiting\":{\"map\":0,\"list\":0}}}}\n");
}

/* Series of one metric stand together. */
Test(report, a_metric_left_for_another_is_told)
{
    told[0] = (struct gateway_metric){.name = "a", .help = "h", .label = "l", .of = cs_str("1")};
    told[1] = (struct gateway_metric){.name = "b", .help = "h"};
    told[2] = told[0];
    told[2].of = cs_str("2");
    told_len = 3;
    cr_assert_eq(gateway_add_report(world.gw, "desk", tell, NULL), CS_OK);
    cr_assert_null(strstr(lines(), "{l=\"2\"}"));
    cr_assert_eq(answers[2], CS_EEXIST);
}

Test(report, a_counter_is_known_by_either_name)
{
    told[0] = (struct gateway_metric){.name = "x_total", .help = "h"};
    told[1] = (struct gateway_metric){.name = "x", .help = "h"};
    told[2] = (struct gateway_metric){.name = "y", .help = "h"};
    told[3] = (struct gateway_metric){.name = "y_total", .help = "h"};
    told_len = 4;
    cr_assert_eq(gateway_add_report(world.gw, "desk", tell, NULL), CS_OK);
    cr_assert_str_eq(members(), "{\"desk\":{\"x_total\":0,\"y\":0}}}\n");
    cr_assert_eq(answers[1], CS_EEXIST);
    cr_assert_eq(answers[3], CS_EEXIST);
}

Test(report, has_so_many_series_a_metric_and_no_more)
{
    static char names[GATEWAY_SERIES_MAX + 1][4];

    for (size_t i = 0; i <= GATEWAY_SERIES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "%zu", i);
        told[i] =
            (struct gateway_metric){.name = "a", .help = "h", .label = "l", .of = cs_str(names[i])};
    }
    told_len = GATEWAY_SERIES_MAX + 1;
    cr_assert_eq(gateway_add_report(world.gw, "desk", tell, NULL), CS_OK);
    cr_assert(strstr(lines(), "desk_a_total{l=\"63\"} 0\n"));
    cr_assert_eq(answers[GATEWAY_SERIES_MAX - 1], CS_OK);
    cr_assert_eq(answers[GATEWAY_SERIES_MAX], CS_ELIMIT);
    cr_assert_null(strstr(lines(), "{l=\"64\"}"));
}

Test(report, of_no_part_that_cannot_be_is_told)
{
    static const char *const bad[] = {
        "",
        "Desk",
        "de_sk",
        "chanserv",
        "1desk",
        "de sk",
        "a234567890123456789012345678901234567890123456789012345678901234"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(gateway_add_report(world.gw, bad[i], tell, NULL), CS_EINVAL, "%s", bad[i]);
    cr_assert_eq(gateway_add_report(world.gw, "desk", NULL, NULL), CS_EINVAL);
    cr_assert_eq(gateway_add_report(world.gw, "desk", tell, NULL), CS_OK);
    cr_assert_eq(gateway_add_report(world.gw, "desk", tell, NULL), CS_EEXIST);
}

Test(report, asks_nobody_for_those_who_may_not)
{
    told[0] = (struct gateway_metric){.name = "a", .help = "h"};
    told_len = 1;
    answers[0] = CS_EDATALOSS;
    cr_assert_eq(gateway_add_report(world.gw, "desk", tell, NULL), CS_OK);
    world.verdict = CS_EPERM;
    browser_init(&b);
    cr_assert_eq(browser_ask(&b, "GET /metrics", NULL, NULL), CS_OK);
    cr_assert_eq(b.status, 403);
    cr_assert_eq(answers[0], CS_EDATALOSS);
    browser_fini(&b);
}

static void ask(const char *what, const char *wanted)
{
    static const char *const known[] = {"authorization: secret", NULL};

    browser_init(&b);
    if (browser_ask(&b, what, known, NULL) == CS_OK && b.status == 200)
        cr_assert(strstr(b.body, wanted), "%s", b.body); /* whole, or not at all */
    else
        cr_assert(failing_failed());
    browser_fini(&b);
}

static void story(void)
{
    told[0] = (struct gateway_metric){.name = "a", .help = "h", .label = "l", .of = cs_str("1")};
    told[1] = told[0];
    told[1].of = cs_str("2");
    told_len = 2;
    if (world_up(NULL) == CS_OK) {
        const cs_err err = gateway_add_report(world.gw, "desk", tell, NULL);

        cr_assert(err == CS_OK || failing_failed());
        if (err == CS_OK) {
            ask("GET /metrics", "desk_a_total{l=\"1\"} 0\ndesk_a_total{l=\"2\"} 0\n");
            ask("GET /v1/stat", "\"services\":{\"desk\":{\"a\":{\"1\":0,\"2\":0}}}}\n");
        }
    }
    world_down();
}

Test(report_memory, survives_every_failed_allocation)
{
    cr_assert_gt(failing_story(story), 50);
}
