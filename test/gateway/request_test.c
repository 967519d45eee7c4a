/* Requests: routes, what is answered without a handler, a handler's answers, and errors. */
#include "browser.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct browser b;
static char heard[512];
static gateway_request *kept;
static size_t pieces; /* that next() still has */
static cs_err last;   /* and what it says then */

static void hear(const char *format, ...) CS_PRINTF(1, 2);
static void hear(const char *format, ...)
{
    const size_t len = strlen(heard);
    va_list args;

    va_start(args, format);
    vsnprintf(heard + len, sizeof heard - len, format, args);
    va_end(args);
}

static void again(void)
{
    browser_fini(&b);
    browser_init(&b);
    heard[0] = '\0';
}

static void ask(const char *what)
{
    again();
    cr_assert_eq(browser_ask(&b, what, NULL, NULL), CS_OK);
}

/* ---- Handlers ------------------------------------------------------------------------------------------ */

static cs_err tell(gateway_request *request, void *user)
{
    const cs_bytes param = gateway_param(request, "p");

    hear("%s %.*s %.*s rest=%.*s p=%s%.*s body=%.*s", (const char *)user,
         CS_FMT(gateway_method(request)), CS_FMT(gateway_path(request)),
         CS_FMT(gateway_path_rest(request)), param.base ? "" : "none", CS_FMT(param),
         CS_FMT(gateway_body(request)));
    (void)gateway_set_header(request, "x-kind", cs_str("told"));
    gateway_reply(request, 200, "text/plain", cs_str(heard));
    return CS_DONE;
}

static cs_err fails(gateway_request *request, void *user)
{
    (void)user;
    return gateway_fail(request, CS_EPRECOND, "not on a \"%s\"", "sunday");
}

static cs_err on_behalf(gateway_request *request, void *user)
{
    struct chanserv_post_options options = {0};

    (void)user;
    gateway_on_behalf(request, &options);
    hear("%.*s:", CS_FMT(options.peer->addr));
    for (size_t i = 0; i < options.metadata_len; i++)
        hear(" %.*s=%.*s", CS_FMT(options.metadata[i].name), CS_FMT(options.metadata[i].value));
    gateway_reply(request, 204, NULL, cs_str(""));
    return CS_DONE;
}

static cs_err says_nothing(gateway_request *request, void *user)
{
    (void)request, (void)user;
    return CS_DONE;
}

static cs_err next(gateway_request *request, cs_bytes *piece, void *state)
{
    static char text[2 * GATEWAY__PIECE];

    (void)request;
    cr_assert_eq(*(int *)state, 42);
    if (pieces == 0)
        return last;
    memset(text, 'a' + (int)(--pieces % 26), sizeof text);
    *piece = cs_bytes_of(text, sizeof text);
    return CS_OK;
}

static void ended(gateway_request *request, cs_err why, void *state)
{
    (void)request;
    cr_assert_eq(*(int *)state, 42);
    kept = NULL;
    hear("end %s; ", cs_strerror(why));
}

static const struct gateway_reply_ops ops = {
    .state_bytes = sizeof(int), .next = next, .end = ended};

static cs_err keeps(gateway_request *request, void *user)
{
    int state = 42;

    kept = request;
    cr_assert_eq(gateway_keep(request, &ops, &state), CS_OK);
    cr_assert_eq(gateway_keep(request, &ops, &state), CS_EMISUSE);
    if (!user)
        return CS_AGAIN;
    gateway_begin(request, 200, "text/plain");
    return CS_OK;
}

static void up_with(const struct gateway_options *options)
{
    struct gateway_options with = {0};
    static char at_once;

    memset(heard, 0, sizeof heard);
    kept = NULL;
    pieces = 0;
    last = CS_DONE;
    if (options)
        with = *options;
    with.no_page = true; /* "/" is one of ours */
    cr_assert_eq(world_up(&with), CS_OK);
    browser_init(&b);
    cr_assert_eq(gateway_route(world.gw, "GET", "/a", tell, (void *)"a"), CS_OK);
    cr_assert_eq(gateway_route(world.gw, "POST", "/a", tell, (void *)"post-a"), CS_OK);
    cr_assert_eq(gateway_route(world.gw, "GET", "/a/", tell, (void *)"below-a"), CS_OK);
    cr_assert_eq(gateway_route(world.gw, NULL, "/a/any/", tell, (void *)"any"), CS_OK);
    cr_assert_eq(gateway_route(world.gw, "GET", "/", tell, (void *)"page"), CS_OK);
    cr_assert_eq(gateway_route(world.gw, "GET", "/fails", fails, NULL), CS_OK);
    cr_assert_eq(gateway_route(world.gw, "GET", "/nothing", says_nothing, NULL), CS_OK);
    cr_assert_eq(gateway_route(world.gw, "GET", "/later", keeps, NULL), CS_OK);
    cr_assert_eq(gateway_route(world.gw, "GET", "/stream", keeps, &at_once), CS_OK);
}

static void up(void)
{
    up_with(NULL);
}

static void down(void)
{
    browser_fini(&b);
    world_down();
    world.loop = NULL;
}

/* ---- Routes ---------------------------------------------------------------------------------------------- */

Test(routes, the_longest_path_decides)
{
    static const struct {
        const char *what, *heard;
    } rows[] = {
        {"GET /a", "a GET /a rest= p=none body="},
        {"POST /a", "post-a POST /a rest= p=none body="},
        {"GET /a/b%20c/d", "below-a GET /a/b c/d rest=b c/d p=none body="},
        {"GET /a/", "below-a GET /a/ rest= p=none body="},
        {"PUT /a/any/x", "any PUT /a/any/x rest=x p=none body="},
        {"GET /a/any/x", "any GET /a/any/x rest=x p=none body="},
        {"GET /", "page GET / rest= p=none body="},
        {"GET /a?q=1&p=x%2fy+z&p=2", "a GET /a rest= p=x/y z body="},
        {"GET /a?p", "a GET /a rest= p= body="},
    };

    up();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ask(rows[i].what);
        cr_expect_eq(b.status, 200, "%s", rows[i].what);
        cr_expect_str_eq(heard, rows[i].heard);
        cr_expect_str_eq(b.body, rows[i].heard);
    }
    cr_expect_str_eq(browser_header(&b, "x-kind"), "told");
    cr_expect_str_eq(browser_header(&b, "content-type"), "text/plain");
    cr_expect_str_eq(browser_header(&b, "x-content-type-options"), "nosniff");
    down();
}

Test(routes, what_leads_nowhere)
{
    static const struct {
        const char *what;
        int status;
        const char *allow;
    } rows[] = {
        {"GET /b", 404, ""},
        {"GET /ab", 404, ""},
        {"DELETE /a", 405, "POST, GET, HEAD, OPTIONS"},
        {"POST /", 405, "GET, HEAD, OPTIONS"},
        {"PUT /a/b", 405, "GET, HEAD, OPTIONS"},
        {"OPTIONS /a", 204, "POST, GET, HEAD, OPTIONS"},
        {"OPTIONS *", 204, "GET, HEAD, POST, OPTIONS"},
        {"OPTIONS /b", 404, ""},
        {"GET *", 400, ""},
        {"GET /a/../b", 400, ""},
        {"GET /%zz", 400, ""},
        {"GET /a?p=%zz", 400, ""},
    };

    up();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ask(rows[i].what);
        cr_expect_eq(b.status, rows[i].status, "%s: %d", rows[i].what, b.status);
        cr_expect_str_eq(browser_header(&b, "allow"), rows[i].allow, "%s: %s", rows[i].what,
                         browser_header(&b, "allow"));
        cr_expect(b.status < 400 || strncmp(b.body, "{\"error\":{\"code\":\"", 18) == 0);
        cr_expect(b.finished);
        cr_expect_str_eq(heard, "");
    }
    down();
}

/* In a query and in a form: which one it is, and what would have been right. */
Test(routes, a_parameter_that_makes_no_sense_is_named)
{
    static const char *const form[] = {"content-type: application/x-www-form-urlencoded", NULL};
    static const char *const rows[][2] = {
        {"b=1&p=100%&c=2",
         "parameter p: \\\"%\\\" is no escape; right are %01 to %FF, and %25 for a % itself"},
        {"p=%zzz", "parameter p: \\\"%zz\\\" is no escape"},
        {"&p=%41%00", "parameter p: \\\"%00\\\" is no escape"},
        {"a%=1", "parameter a%: \\\"%=1\\\" is no escape"},
    };
    char what[80];

    up();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(what, sizeof what, "GET /a?%s", rows[i][0]);
        ask(what);
        cr_expect_eq(b.status, 400);
        cr_expect(strstr(b.body, rows[i][1]), "%s: %s", what, b.body);
        again();
        cr_assert_eq(browser_ask(&b, "POST /a", form, rows[i][0]), CS_OK);
        cr_expect_eq(b.status, 400);
        cr_expect(strstr(b.body, rows[i][1]), "%s: %s", rows[i][0], b.body);
    }
    down();
}

Test(routes, one_of_a_kind)
{
    up();
    cr_expect_eq(gateway_route(world.gw, "GET", "/a", tell, NULL), CS_EEXIST);
    cr_expect_eq(gateway_route(world.gw, NULL, "/a/any/", tell, NULL), CS_EEXIST);
    cr_expect_eq(gateway_route(world.gw, "GET", "a", tell, NULL), CS_EINVAL);
    down();
}

Test(routes, too_many_parameters_are_none)
{
    static char what[4096] = "GET /a?p=1";

    up();
    for (int i = 1; i < GATEWAY__PARAMS_MAX; i++)
        strcat(what, "&q=1");
    ask(what);
    cr_expect_eq(b.status, 200);
    strcat(what, "&");
    ask(what);
    cr_expect_eq(b.status, 400);
    cr_expect(strstr(b.body, "257 parameters, and 256 are allowed"), "%s", b.body);
    down();
}

Test(routes, a_form_has_parameters)
{
    static const char *const form[] = {"content-type: application/x-www-form-urlencoded; x=y",
                                       NULL};
    static const char *const other[] = {"content-type: text/plain", NULL};

    up();
    cr_assert_eq(browser_ask(&b, "POST /a?q=1", form, "p=a%2Bb"), CS_OK);
    cr_expect_str_eq(heard, "post-a POST /a rest= p=a+b body=p=a%2Bb");
    again();
    cr_assert_eq(browser_ask(&b, "POST /a", other, "p=1"), CS_OK);
    cr_expect_str_eq(heard, "post-a POST /a rest= p=none body=p=1");
    down();
}

/* ---- Answers --------------------------------------------------------------------------------------------- */

Test(request, head_is_get_without_a_body)
{
    up();
    ask("HEAD /a");
    cr_expect_eq(b.status, 200);
    cr_expect(b.bare);
    cr_expect_eq(b.length, (int64_t)strlen(heard));
    cr_expect_eq(b.len, 0);
    cr_expect(b.finished);
    pieces = 3;
    ask("HEAD /stream");
    cr_expect(b.bare && b.finished);
    cr_expect_eq(pieces, 3);
    cr_expect_str_eq(heard, "end ended in good order; ");
    down();
}

Test(request, a_failure_is_json)
{
    up();
    ask("GET /fails");
    cr_expect_eq(b.status, 400);
    cr_expect_str_eq(b.body, "{\"error\":{\"code\":\"FAILED_PRECONDITION\",\"message\":\"not on a "
                             "\\\"sunday\\\"\"}}\n");
    ask("GET /nothing");
    cr_expect_eq(b.status, 500);
    cr_expect(strstr(b.body, "INTERNAL"));
    down();
}

/* docs/GATEWAY has the table. */
Test(request, the_status_of_each_error)
{
    static const struct {
        cs_err err;
        int status;
    } rows[] = {{CS_OK, 200},        {CS_DONE, 200},     {CS_ECANCELED, 499}, {CS_EUNKNOWN, 500},
                {CS_EINVAL, 400},    {CS_ETIMEOUT, 504}, {CS_ENOENT, 404},    {CS_EEXIST, 409},
                {CS_EPERM, 403},     {CS_ELIMIT, 429},   {CS_EPRECOND, 400},  {CS_EABORTED, 409},
                {CS_ERANGE, 400},    {CS_ENOTSUP, 501},  {CS_EINTERNAL, 500}, {CS_EUNAVAIL, 503},
                {CS_EDATALOSS, 500}, {CS_EAUTH, 401},    {CS_EMISUSE, 500},   {CS_ENOMEM, 429},
                {CS_ETOOBIG, 413},   {CS_ESYS, 500},     {CS_EPROTO, 500},    {CS_EREFUSED, 503},
                {CS_EPEER, 503},     {CS_EDRAIN, 503},   {CS_ELOST, 500},     {CS_ECLAIMED, 409},
                {CS_EEXPIRED, 404},  {CS_ESTALLED, 429}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(gateway_status_of(rows[i].err), rows[i].status, "%s",
                     cs_strerror(rows[i].err));
}

Test(request, an_answer_may_come_later)
{
    up();
    ask("GET /later");
    cr_expect_eq(b.status, 0);
    gateway_reply(kept, 201, "text/plain", cs_str("late"));
    cr_expect_eq(b.status, 201);
    cr_expect_str_eq(b.body, "late");
    cr_expect_str_eq(heard, ""); /* end() comes from the loop */
    cs_loop_settle(world.loop);
    cr_expect_str_eq(heard, "end ended in good order; ");
    ask("GET /later");
    gateway_fail(kept, CS_EUNAVAIL, "not %s", "now");
    cr_expect_eq(b.status, 503);
    cs_loop_settle(world.loop);
    cr_expect_str_eq(heard, "end unavailable for now; ");
    ask("GET /later");
    browser_leave(&b);
    cr_expect_str_eq(heard, "end the peer vanished; ");
    down();
}

Test(request, a_body_goes_out_as_there_is_room)
{
    up();
    b.room = 1;
    pieces = 3;
    cr_assert_eq(browser_ask(&b, "GET /stream", NULL, NULL), CS_OK);
    cr_expect_eq(b.len, (size_t)GATEWAY__PIECE);
    cr_expect_eq(pieces, 2);
    browser_room(&b, 1);
    cr_expect_eq(b.len, 2 * (size_t)GATEWAY__PIECE);
    cr_expect_eq(pieces, 1); /* one is held at most */
    browser_room(&b, 0);
    cr_expect_eq(pieces, 1);
    b.wants_room = true;
    last = CS_AGAIN;
    browser_room(&b, SIZE_MAX);
    cr_expect_eq(b.len, 6 * (size_t)GATEWAY__PIECE);
    cr_expect(!b.finished);
    pieces = 1;
    last = CS_DONE;
    gateway_wake(kept);
    cr_expect_eq(pieces, 1);
    cs_loop_settle(world.loop);
    cr_expect(b.finished);
    cr_expect_eq(b.len, 8 * (size_t)GATEWAY__PIECE);
    cr_expect_str_eq(heard, "end ended in good order; ");
    down();
}

Test(request, a_body_that_fails_is_broken_off)
{
    up();
    pieces = 1;
    last = CS_EDATALOSS;
    ask("GET /stream");
    cr_expect_eq(b.aborted, CS_EDATALOSS);
    cr_expect_str_eq(heard, "end the data are damaged; ");
    pieces = 1;
    last = CS_AGAIN;
    ask("GET /stream");
    cr_expect_eq(b.aborted, CS_OK);
    gateway_fail(kept, CS_EUNAVAIL, "gone");
    cr_expect_eq(b.aborted, CS_EUNAVAIL);
    down();
}

Test(request, a_connection_that_cannot_is_let_go)
{
    up();
    b.refuses = CS_ENOMEM;
    cr_assert_eq(browser_ask(&b, "GET /stream", NULL, NULL), CS_OK);
    cr_expect_eq(b.aborted, CS_ENOMEM);
    cr_expect_str_eq(heard, "end out of memory; ");
    down();
}

Test(request, a_large_reply_waits_for_room)
{
    static char large[3 * GATEWAY__PIECE];

    up();
    memset(large, 'x', sizeof large);
    b.room = 1;
    cr_assert_eq(browser_ask(&b, "GET /later", NULL, NULL), CS_OK);
    gateway_reply(kept, 200, NULL, cs_bytes_of(large, sizeof large));
    memset(large, 'y', sizeof large);
    cr_expect_eq(b.len, (size_t)GATEWAY__PIECE);
    browser_room(&b, SIZE_MAX);
    cr_expect(b.finished);
    cr_expect_eq(b.len, sizeof large);
    cr_expect_eq(strspn(b.body, "x"), sizeof large);
    down();
}

Test(request, a_header_that_cannot_be_is_refused)
{
    up();
    ask("GET /later");
    cr_expect_eq(gateway_set_header(kept, "X-Upper", cs_str("v")), CS_EMISUSE);
    cr_expect_eq(gateway_set_header(kept, "", cs_str("v")), CS_EMISUSE);
    cr_expect_eq(gateway_set_header(kept, "x", cs_str("a\r\nb: c")), CS_EMISUSE);
    cr_expect_eq(gateway_set_header(kept, "x", cs_str("a\tb")), CS_OK);
    gateway_begin(kept, 200, NULL);
    cr_expect_eq(gateway_set_header(kept, "x", cs_str("late")), CS_EMISUSE);
    cs_loop_settle(world.loop);
    cr_expect_str_eq(browser_header(&b, "x"), "a\tb");
    down();
}

/* What is base64 in HTTP is bytes in metadata; what is neither is left alone. */
Test(request, what_goes_on_as_metadata)
{
    static const char *const fields[] = {"authorization: Basic a",
                                         "x-a: b",
                                         "x-b-bin: aGk=",
                                         "x-c-bin: ?",
                                         "accept: */*",
                                         "d-bin: aGk=",
                                         NULL};

    up();
    cr_assert_eq(gateway_route(world.gw, "GET", "/behalf", on_behalf, NULL), CS_OK);
    cr_assert_eq(browser_ask(&b, "GET /behalf", fields, NULL), CS_OK);
    cr_expect_eq(b.status, 204);
    cr_expect_str_eq(heard, "10.0.0.1:5000: authorization=Basic a x-a=b x-b-bin=hi x-c-bin=?");
    down();
}

/* ---- Limits ---------------------------------------------------------------------------------------------- */

Test(request, a_body_has_a_limit)
{
    static const struct gateway_options options = {.body_max_bytes = 8};

    up_with(&options);
    cr_assert_eq(browser_ask(&b, "POST /a", NULL, "12345678"), CS_OK);
    cr_expect_eq(b.status, 200);
    again();
    cr_assert_eq(browser_ask(&b, "POST /a", NULL, "123456789"), CS_OK);
    cr_expect_eq(b.status, 413);
    cr_expect_str_eq(heard, "");
    down();
}

static void begin_body(int64_t length)
{
    static const struct mux_peer peer = {.addr = {"unix:", 5}};
    const struct gateway__head head = {.method = cs_str("POST"),
                                       .target = cs_str("/a"),
                                       .authority = cs_str("localhost"),
                                       .length = length};

    again();
    cr_assert_eq(gateway__request_new(world.gw, browser_transport(), &b, &peer, &b.request), CS_OK);
    cr_assert(gateway__request_head(b.request, &head));
}

Test(request, a_body_of_unknown_length_has_it_too)
{
    static const struct gateway_options options = {.body_max_bytes = 8};

    up_with(&options);
    begin_body(-1);
    cr_expect(gateway__request_body(b.request, cs_str("12345")));
    cr_expect_not(gateway__request_body(b.request, cs_str("6789")));
    cr_expect_eq(b.status, 413);
    cr_expect(b.finished);
    down();
}

Test(request, a_body_comes_in_time)
{
    up();
    begin_body(5);
    cs_loop_advance(world.loop, 9999);
    cr_expect_eq(b.status, 0);
    cs_loop_advance(world.loop, 1);
    cr_expect_eq(b.status, 408);
    begin_body(5);
    cr_expect(gateway__request_body(b.request, cs_str("12345")));
    gateway__request_end(b.request);
    cr_expect_eq(b.status, 200);
    cs_loop_advance(world.loop, 20000);
    down();
}

Test(request, a_connection_may_refuse_it)
{
    up();
    begin_body(5);
    gateway__request_refuse(b.request, 400, "a chunk without a size");
    cr_expect_eq(b.status, 400);
    cr_expect_str_eq(
        b.body,
        "{\"error\":{\"code\":\"INVALID_ARGUMENT\",\"message\":\"a chunk without a size\"}}\n");
    cr_expect(b.finished);
    down();
}

/* ---- Its end --------------------------------------------------------------------------------------------- */

Test(request, ends_with_the_gateway)
{
    up();
    ask("GET /later");
    gateway_free(world.gw);
    world.gw = NULL;
    cr_expect_eq(b.aborted, CS_ECANCELED);
    cr_expect_str_eq(heard, "end canceled; ");
    down();
}

Test(request, options_that_are_none)
{
    const struct gateway_options options = {.reserved = {1}};
    gateway *other;

    up();
    cr_expect_eq(gateway_new(world.server, NULL, &other), CS_EEXIST);
    cr_expect_eq(gateway_new(world.server, &options, &other), CS_EMISUSE);
    gateway_free(world.gw);
    world.gw = NULL;
    cr_expect_eq(gateway_new(world.server, NULL, &world.gw), CS_OK);
    down();
}

/* ---- Without memory -------------------------------------------------------------------------------------- */

static void story(void)
{
    static const char *const fields[] = {"origin: https://app.example", "x-a: b", NULL};
    static const struct gateway_options options = {.hosts = "h", .cors_origins = "*"};

    heard[0] = '\0';
    pieces = 1;
    last = CS_DONE;
    browser_init(&b);
    b.room = 1;
    if (world_up(&options) == CS_OK &&
        gateway_route(world.gw, "GET", "/a/", tell, (void *)"a") == CS_OK &&
        browser_ask(&b, "GET /a/b?p=1", fields, NULL) == CS_OK) {
        browser_room(&b, SIZE_MAX);
        cr_expect(b.finished || b.aborted != CS_OK);
        if (b.finished && b.status == 200)
            cr_expect_str_eq(b.body, "a GET /a/b rest=b p=1 body=");
    }
    browser_fini(&b);
    world_down();
}

Test(request, every_failed_allocation)
{
    failing_story(story);
}
