/* gRPC-Web: methods of gRPC as pages call them, in bytes and in base64. */
#include "browser.h"
#include "gateway/web__in.h"
#include "mux/behalf.h"
#include "proto/status.h"
#include "proto/wire.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define POST "POST /chanserv.v1.Chanserv/Post"
#define OPEN "POST /chanserv.v1.Chanserv/Open"
#define BINARY "content-type: application/grpc-web+proto"
#define TEXT "content-type: application/grpc-web-text"

static struct browser b;
static const char *const binary[] = {BINARY, "x-grpc-web: 1", NULL};
static const char *const text[] = {TEXT, "x-grpc-web: 1", NULL};

/* ---- A request, and what came ------------------------------------------------------------------------- */

static char asked[512 * 1024]; /* the request's messages, as they go out */
static size_t asked_len;
static size_t step;   /* bytes of a piece of its body; 0: all of it */
static size_t narrow; /* room that the browser has for the answer; 0: any */

static void say(int flag, cs_bytes message)
{
    wire_prefix_put((uint8_t *)asked + asked_len, false, (uint32_t)message.len);
    asked[asked_len] = (char)flag;
    memcpy(asked + asked_len + WIRE_PREFIX, message.base, message.len);
    asked_len += WIRE_PREFIX + message.len;
}

/* A PostRequest, with nothing inline; an OpenRequest. */
static void say_post(const char *service, const char *body)
{
    char message[256];
    const int n = snprintf(message, sizeof message, "\n%c%s\x12%c%s", (int)strlen(service), service,
                           (int)strlen(body), body);

    asked_len = 0;
    say(0, cs_bytes_of(message, (size_t)n));
}

static void say_open(const char *ticket)
{
    char message[34] = "\n\x20";

    memcpy(message + 2, ticket, 32);
    asked_len = 0;
    say(0, cs_bytes_of(message, sizeof message));
}

static void encode(void)
{
    struct gateway__text out = {.err = CS_OK};
    char *copy = malloc(asked_len + 1);

    /* Of a line of trailers; independent of what is tested only in its words. */
    memcpy(copy, asked, asked_len);
    gateway__web_add_line(&out, (cs_pair){cs_str("a-bin"), cs_bytes_of(copy, asked_len)});
    asked_len = out.buf.len - 7 - 2;
    memcpy(asked, (char *)out.buf.base + 7, asked_len);
    cs_buf_fini(&out.buf);
    free(copy);
}

static cs_err send_as(const char *addr, const char *what, const char *const *fields)
{
    const struct mux_peer peer = {.addr = cs_str(addr), .uid = -1, .gid = -1, .pid = -1};
    const char *space = strchr(what, ' ');
    cs_pair pairs[16];
    size_t n = 0;
    cs_err err;

    browser_fini(&b);
    browser_init(&b);
    if (narrow)
        b.room = narrow;
    for (; fields[n]; n++) {
        const char *colon = strstr(fields[n], ": ");

        pairs[n] =
            (cs_pair){cs_bytes_of(fields[n], (size_t)(colon - fields[n])), cs_str(colon + 2)};
    }
    const struct gateway__head head = {.method = cs_bytes_of(what, (size_t)(space - what)),
                                       .target = cs_str(space + 1),
                                       .authority = cs_str("localhost"),
                                       .fields = pairs,
                                       .fields_len = n,
                                       .length = -1};
    err = gateway__request_new(world.gw, browser_transport(), &b, &peer, &b.request);
    if (err != CS_OK)
        return err;
    if (gateway__request_head(b.request, &head)) {
        bool wanted = true;

        for (size_t at = 0; at < asked_len && wanted; at += step ? step : asked_len) {
            const size_t left = asked_len - at;

            wanted = gateway__request_body(
                b.request, cs_bytes_of(asked + at, step && step < left ? step : left));
        }
        if (wanted)
            gateway__request_end(b.request);
    }
    cs_loop_settle(world.loop);
    return CS_OK;
}

static void ask(const char *what, const char *const *fields)
{
    if (strstr(fields[0], "-text"))
        encode();
    cr_assert_eq(send_as("10.0.0.1:5000", what, fields), CS_OK);
}

static struct {
    struct cs_buf bytes;
    cs_bytes messages[512];
    size_t n;
    char trailers[2048]; /* "" as long as none came */
} got;

static void hear(void)
{
    const uint8_t *at, *end;

    cs_buf_fini(&got.bytes);
    got.n = 0;
    got.trailers[0] = '\0';
    if (strstr(browser_header(&b, "content-type"), "-text"))
        cr_assert_eq(gateway__web_decode(cs_bytes_of(b.body, b.len), &got.bytes), CS_OK);
    else
        cr_assert_eq(cs_buf_add(&got.bytes, cs_bytes_of(b.body, b.len)), CS_OK);
    at = got.bytes.base;
    for (end = at + got.bytes.len; at + WIRE_PREFIX <= end;
         at += WIRE_PREFIX + wire_prefix_len(at)) {
        const cs_bytes one = cs_bytes_of(at + WIRE_PREFIX, wire_prefix_len(at));

        cr_assert_leq(one.len, (size_t)(end - at) - WIRE_PREFIX);
        cr_assert_eq(got.trailers[0], '\0', "nothing comes behind the trailers");
        if (at[0] == 0x80)
            snprintf(got.trailers, sizeof got.trailers, "%.*s", CS_FMT(one));
        else {
            cr_assert_eq(at[0], 0);
            got.messages[got.n++] = one;
        }
    }
    cr_assert_eq(at, end);
}

static void up_with(const struct gateway_options *options)
{
    step = narrow = asked_len = 0;
    cr_assert_eq(world_up(options), CS_OK);
    browser_init(&b);
}

static void up(void)
{
    up_with(NULL);
}

static void down(void)
{
    browser_fini(&b);
    cs_buf_fini(&got.bytes);
    world_down();
}

TestSuite(web, .init = up, .fini = down);

static void expect_status(const char *trailers)
{
    hear();
    cr_assert_eq(b.status, 200, "%d %s", b.status, b.body);
    cr_assert(b.finished);
    cr_assert_eq(got.n, 0);
    cr_assert_str_eq(got.trailers, trailers);
}

/* ---- What comes ---------------------------------------------------------------------------------------- */

static void reads_all(const char *const *fields, size_t pieces)
{
    char tickets[3][32];

    step = pieces;
    say_post("gen", "3 20 4000");
    ask(POST, fields);
    hear();
    cr_assert_eq(b.status, 200);
    cr_assert(b.finished);
    cr_assert_eq(got.n, 3);
    cr_assert_str_eq(got.trailers, "grpc-status: 0\r\n");
    cr_assert_eq(strlen(browser_header(&b, "chanserv-instance")), 16);
    for (size_t i = 0; i < 3; i++) {
        struct wire_announcement one;

        cr_assert_eq(wire_announcement_unpack(got.messages[i], &one), CS_OK);
        cr_assert_eq(one.seq, i);
        cr_assert_eq(one.ticket.len, 32);
        memcpy(tickets[i], one.ticket.base, 32);
        wire_announcement_clear(&one);
    }
    for (size_t i = 0; i < 3; i++) {
        say_open(tickets[i]);
        ask(OPEN, fields);
        hear();
        cr_assert_eq(got.n, 20);
        cr_assert_str_eq(got.trailers, "grpc-status: 0\r\n");
        for (size_t n = 0; n < got.n; n++) {
            struct wire_frame frame;
            char begins[8];
            const int len = snprintf(begins, sizeof begins, "f%zux", n);

            cr_assert_eq(wire_frame_parse(got.messages[n], &frame), CS_OK);
            cr_assert_eq(frame.payload.len, 4000);
            cr_assert_eq(memcmp(frame.payload.base, begins, (size_t)len), 0);
        }
    }
}

Test(web, a_post_and_its_sources)
{
    reads_all(binary, 0);
    cr_assert_str_eq(browser_header(&b, "content-type"), "application/grpc-web+proto");
    cr_assert_str_eq(browser_header(&b, "cache-control"), "no-store");
    cr_assert_eq(b.length, -1);
}

Test(web, the_same_in_base64)
{
    reads_all(text, 0);
    cr_assert_str_eq(browser_header(&b, "content-type"), "application/grpc-web-text+proto");
    cr_assert_eq(b.len % 4, 0);
}

Test(web, the_same_byte_by_byte)
{
    reads_all(binary, 1);
    reads_all(text, 1);
}

/* Written by hand: six bytes are eight digits, and behind them is a piece with a padding of its own. */
Test(web, base64_as_it_is)
{
    say_post("none", "");
    ask(POST, text);
    cr_assert_str_eq(b.body, "gAAAABBncnBjLXN0YXR1czogMA0K");
    asked_len = 0;
    strcpy(asked, "AAAAAAg=CgRub25lEgA=");
    asked_len = strlen(asked);
    cr_assert_eq(send_as("10.0.0.1:5000", POST, text), CS_OK);
    cr_assert_str_eq(b.body, "gAAAABBncnBjLXN0YXR1czogMA0K");
}

Test(web, a_type_is_written_in_either_case)
{
    static const char *const rows[][2] = {{"content-type: Application/gRPC-Web", NULL},
                                          {"content-type: application/GRPC-WEB+proto; q", NULL},
                                          {"content-type: APPLICATION/GRPC-WEB-text", NULL}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        say_post("none", "");
        ask(POST, rows[i]);
        cr_assert_eq(b.status, 200, "%s: %d", rows[i][0], b.status);
    }
    say_post("none", "");
    ask(POST, (const char *const[]){"content-type: application/grpc-webx", NULL});
    cr_assert_eq(b.status, 404);
}

Test(web, an_answer_is_what_is_accepted)
{
    static const char *const wants_text[] = {BINARY, "accept: application/grpc-web-text", NULL};
    static const char *const wants_bytes[] = {TEXT, "accept: application/grpc-web+proto", NULL};

    say_post("none", "");
    ask(POST, wants_text);
    cr_assert_str_eq(b.body, "gAAAABBncnBjLXN0YXR1czogMA0K");
    say_post("none", "");
    ask(POST, wants_bytes);
    cr_assert_str_eq(browser_header(&b, "content-type"), "application/grpc-web+proto");
    expect_status("grpc-status: 0\r\n");
}

/* ---- A method of somebody's own -------------------------------------------------------------------------- */

static char seen[1024];
static cs_err raw_why;

static void raw_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)state;
    raw_why = why;
}

static void raw(mux_stream *stream, void *user)
{
    static const struct mux_stream_ops ops = {.end = raw_end};
    static const cs_bytes nothing;
    size_t n;
    const cs_pair *pairs = mux_stream_headers(stream, &n);

    (void)user;
    snprintf(seen, sizeof seen, "%.*s:", CS_FMT(mux_stream_peer(stream)->addr));
    for (size_t i = 0; i < n; i++) {
        const size_t len = strlen(seen);
        snprintf(seen + len, sizeof seen - len, " %.*s=%.*s", CS_FMT(pairs[i].name),
                 CS_FMT(pairs[i].value));
    }
    if (mux_stream_accept(stream, &ops, NULL) != CS_OK)
        return;
    (void)mux_stream_set_header(stream, "first", cs_str("one"));
    (void)mux_stream_set_header(stream, "first-bin", cs_bytes_of("\0\n", 2));
    (void)mux_stream_set_trailer(stream, "last-bin", cs_bytes_of("\xff", 1));
    (void)mux_stream_set_trailer(stream, "last", cs_str("two"));
    if (mux_stream_send(stream, cs_str("said"), nothing) != CS_OK)
        mux_stream_abort(stream, CS_ENOMEM, NULL);
    else
        mux_stream_finish(stream, CS_EPRECOND, "not \"today\":\r\n100 % ✓");
}

Test(web, any_method_with_metadata_both_ways)
{
    static const char *const fields[] = {BINARY, "x-what-bin: aGk", "who: me", NULL};

    cr_assert_eq(chanserv_handle(world.server, "/a.B/C", raw, NULL), CS_OK);
    asked_len = 0;
    say(0, cs_str(""));
    ask("POST /a.B/C", fields);
    hear();
    cr_assert_str_eq(seen, "10.0.0.1:5000: x-what-bin=hi who=me");
    cr_assert_str_eq(browser_header(&b, "first"), "one");
    cr_assert_str_eq(browser_header(&b, "first-bin"), "AAo");
    cr_assert_eq(got.n, 1);
    cr_assert(cs_same(got.messages[0], cs_str("said")));
    cr_assert_str_eq(got.trailers, "grpc-status: 9\r\n"
                                   "grpc-message: not \"today\":%0D%0A100 %25 %E2%9C%93\r\n"
                                   "last-bin: /w==\r\nlast: two\r\n");
}

static size_t heard, heard_bytes;

static void count(mux_stream *stream, void *state)
{
    static const cs_bytes nothing;
    cs_bytes msg;
    cs_err err;

    (void)state;
    while ((err = mux_stream_recv(stream, &msg)) == CS_OK) {
        heard++;
        heard_bytes += msg.len;
    }
    if (err == CS_DONE && mux_stream_send(stream, cs_str("all"), nothing) == CS_OK)
        mux_stream_finish(stream, CS_OK, NULL);
}

static void counts(mux_stream *stream, void *user)
{
    static const struct mux_stream_ops ops = {.readable = count, .end = raw_end};

    (void)user;
    cr_assert_eq(mux_stream_accept(stream, &ops, NULL), CS_OK);
}

/* More than a call takes at once; what it has no room for goes on when it has. */
Test(web, a_method_that_listens_has_one_turn)
{
    static char message[3000];

    cr_assert_eq(chanserv_handle(world.server, "/a.B/Count", counts, NULL), CS_OK);
    heard = heard_bytes = asked_len = 0;
    for (int i = 0; i < 100; i++)
        say(0, cs_bytes_of(message, (size_t)i * 30));
    ask("POST /a.B/Count", text);
    hear();
    cr_assert_eq(heard, 100);
    cr_assert_eq(heard_bytes, 99 * 50 * 30);
    cr_assert_eq(got.n, 1);
    cr_assert_str_eq(got.trailers, "grpc-status: 0\r\n");
}

/* Inside the process the field says for whom a call is made. */
Test(web, nobody_says_that_he_is_another)
{
    const struct mux_peer admin = {.addr = cs_str("10.9.9.9:1"), .uid = 0, .gid = 0, .pid = 1};
    uint8_t packed[256], *to = packed;
    char field[512] = MUX_BEHALF ": ";
    const char *const fields[] = {BINARY, field, NULL};

    mux_peer_pack(&admin, &to);
    (void)wire_base64_encode(field + strlen(field), cs_bytes_of(packed, (size_t)(to - packed)));
    cr_assert_eq(chanserv_handle(world.server, "/a.B/C", raw, NULL), CS_OK);
    ask("POST /a.B/C", fields);
    cr_assert_str_eq(seen, "10.0.0.1:5000:");
}

Test(web, who_may_not_is_told)
{
    static const char *const secret[] = {BINARY, "authorization: secret", NULL};

    world.verdict = CS_EPERM;
    say_post("none", "");
    ask(POST, binary);
    expect_status("grpc-status: 7\r\ngrpc-message: show yourself\r\nchanserv-reason: denied\r\n");
    cr_assert_str_eq(world.said, "post none by 10.0.0.1:5000; ");
    ask(POST, secret);
    expect_status("grpc-status: 0\r\n");
}

/* ---- What is refused ------------------------------------------------------------------------------------- */

Test(web, failures_are_statuses)
{
    say_post("nobody", "");
    ask(POST, binary);
    expect_status(
        "grpc-status: 5\r\ngrpc-message: no such service\r\nchanserv-reason: no-service\r\n");
    say_post("bad", "");
    ask(POST, text);
    expect_status("grpc-status: 9\r\ngrpc-message: not \"today\"\r\n");
    say_post("none", "");
    ask("POST /a.B/Nothing", binary);
    hear();
    cr_assert_eq(
        strncmp(got.trailers, "grpc-status: 12\r\ngrpc-message: unknown method /a.B/Nothing", 58),
        0, "%s", got.trailers);
    ask("POST /nothing", binary);
    expect_status("grpc-status: 12\r\ngrpc-message: this is no method\r\n");
    ask("POST /a%20b/c", binary);
    expect_status("grpc-status: 12\r\ngrpc-message: this is no method\r\n");
    ask("POST /a%0D%0Ab/c", binary);
    expect_status("grpc-status: 12\r\ngrpc-message: this is no method\r\n");
    ask("POST /a/../c", binary);
    expect_status("grpc-status: 3\r\ngrpc-message: this is no path\r\n");
}

static void body_is(const char *bytes, size_t len, const char *const *fields, const char *trailers)
{
    memcpy(asked, bytes, len);
    asked_len = len;
    cr_assert_eq(send_as("10.0.0.1:5000", POST, fields), CS_OK);
    expect_status(trailers);
}

Test(web, a_body_that_is_none)
{
    static const char none[] = "grpc-status: 13\r\ngrpc-message: the body is no messages\r\n";
    static const char base64[] = "grpc-status: 3\r\ngrpc-message: the body is not base64\r\n";

    body_is("\0\0\0\0\2\n", 6, binary, none);
    body_is("\0\0\0\0", 4, binary, none);
    body_is("\0\xff\xff\xff\xff..", 7, binary, none);
    body_is("\x80\0\0\0\0", 5, binary, none);
    body_is("\1\0\0\0\0", 5, binary,
            "grpc-status: 12\r\ngrpc-message: messages of gRPC-Web are not compressed\r\n");
    body_is("AAAA*", 5, text, base64);
    body_is("AA=AAAAA", 8, text, base64);
    body_is("=", 1, text, base64);
    body_is("AAAA====", 8, text, base64);
    body_is("AAAAA", 5, text, base64);
    body_is("AAAAAA==", 8, text, none);
    body_is("", 0, binary,
            "grpc-status: 3\r\ngrpc-message: a request has one message\r\n"
            "chanserv-reason: bad-request\r\n");
    body_is("\0\0\0\0\0\0\0\0\0\0", 10, binary,
            "grpc-status: 3\r\ngrpc-message: a request has one message only\r\n"
            "chanserv-reason: bad-request\r\n");
}

Test(web, a_body_that_is_too_large)
{
    static const struct gateway_options options = {.body_max_bytes = 10};

    down();
    up_with(&options);
    say_post("none", "");
    ask(POST, binary);
    expect_status("grpc-status: 8\r\ngrpc-message: the body is over body_max_bytes\r\n");
}

Test(web, more_fields_than_a_call_may_have)
{
    static char field[70000] = "x-long: ";
    const char *const fields[] = {BINARY, field, NULL};

    memset(field + 8, 'x', sizeof field - 9);
    say_post("none", "");
    ask(POST, fields);
    hear();
    cr_assert(b.finished);
    cr_assert_eq(got.n, 0);
    cr_assert_str_neq(got.trailers, "");
    cr_assert_neq(strncmp(got.trailers, "grpc-status: 0", 14), 0);
    ask(POST, binary); /* and the connection that it went by is as good as before */
    expect_status("grpc-status: 0\r\n");
}

/* Other methods are no business of it. */
Test(web, a_get_is_none)
{
    ask("GET /v1/services", binary);
    cr_assert_str_eq(browser_header(&b, "content-type"), "application/json");
    ask("POST /v1/services", (const char *const[]){"content-type: application/grpc-webby", NULL});
    cr_assert_eq(b.status, 405);
}

/* ---- Who reads slowly, or leaves ------------------------------------------------------------------------- */

static void open_first(const char *body, const char *const *fields)
{
    struct wire_announcement one;
    char ticket[32];

    say_post("gen", body);
    ask(POST, fields);
    hear();
    cr_assert_eq(wire_announcement_unpack(got.messages[0], &one), CS_OK);
    memcpy(ticket, one.ticket.base, 32);
    wire_announcement_clear(&one);
    say_open(ticket);
    if (strstr(fields[0], "-text"))
        encode();
    cr_assert_eq(send_as("10.0.0.1:5000", OPEN, fields), CS_OK);
}

Test(web, who_does_not_read_stops_the_producer)
{
    static const char *const who[2][3] = {{BINARY, NULL}, {TEXT, NULL}};
    size_t before, now;

    for (int i = 0; i < 2; i++) {
        narrow = 1;
        before = world_made();
        open_first("1 150 4096", who[i]);
        narrow = 0;
        cs_loop_advance(world.loop, 1000);
        now = world_made() - before;
        cr_assert_lt(now, 60, "%zu", now); /* two windows, and what is on its way */
        browser_room(&b, 100000);
        cr_assert_gt(world_made() - before, now);
        browser_room(&b, SIZE_MAX);
        hear();
        cr_assert_eq(got.n, 150);
        cr_assert(b.finished);
        cr_assert_str_eq(got.trailers, "grpc-status: 0\r\n");
    }
}

Test(web, who_leaves_takes_the_call_along)
{
    narrow = 1;
    open_first("1 1000 4096", binary);
    browser_leave(&b);
    cr_assert_str_eq(world.said, "source client-left; ");
    world.said[0] = '\0';
    say_post("hold", "");
    narrow = 0;
    ask(POST, binary);
    cr_assert_eq(b.status, 200); /* before there is anything to say */
    world_tick();
    hear();
    cr_assert_eq(got.n, 1);
    cr_assert_str_eq(got.trailers, "");
    browser_leave(&b);
    cr_assert(strstr(world.said, "hold "), "%s", world.said);
}

Test(web, a_deadline_is_a_status)
{
    static const char *const fields[] = {TEXT, "grpc-timeout: 250m", NULL};
    static const char *const wrong[] = {TEXT, "grpc-timeout: soon", NULL};

    say_post("hold", "");
    ask(POST, fields);
    world_tick();
    cs_loop_advance(world.loop, 249);
    cr_assert(!b.finished);
    cs_loop_advance(world.loop, 2);
    hear();
    cr_assert(b.finished);
    cr_assert_eq(got.n, 1);
    cr_assert_eq(strncmp(got.trailers, "grpc-status: 4\r\n", 16), 0, "%s", got.trailers);
    cr_assert(strstr(world.said, "hold "), "%s", world.said);
    say_post("none", "");
    ask(POST, wrong);
    hear();
    cr_assert_eq(strncmp(got.trailers, "grpc-status: 3\r\ngrpc-message: grpc-timeout ", 43), 0);
}

Test(web, the_end_of_the_gateway_breaks_it_off)
{
    say_post("hold", "");
    ask(POST, binary);
    gateway_free(world.gw);
    world.gw = NULL;
    cs_loop_settle(world.loop);
    cr_assert_eq(b.aborted, CS_ECANCELED);
    cr_assert(strstr(world.said, "hold "), "%s", world.said);
}

/* ---- Pages of other origins ------------------------------------------------------------------------------ */

#define APP "origin: https://app.example"

Test(web, pages_ask_first_and_may_read)
{
    static const struct gateway_options options = {.cors_origins = "https://app.example"};
    static const char *const first[] = {
        APP, "access-control-request-method: POST",
        "access-control-request-headers: authorization,content-type,grpc-timeout,who,x-grpc-web,"
        "x-user-agent",
        NULL};
    static const char *const then[] = {TEXT, APP, NULL};
    static const char *const strange[] = {TEXT, "origin: https://evil.example", NULL};
    static const char *const strangely[] = {"origin: https://evil.example",
                                            "access-control-request-method: POST", NULL};

    down();
    up_with(&options);
    ask("OPTIONS /chanserv.v1.Chanserv/Post", first);
    cr_assert_eq(b.status, 204);
    cr_assert_str_eq(browser_header(&b, "access-control-allow-origin"), "https://app.example");
    cr_assert_str_eq(browser_header(&b, "access-control-allow-methods"), "POST, OPTIONS");
    cr_assert_str_eq(browser_header(&b, "access-control-allow-headers"),
                     "authorization,content-type,grpc-timeout,who,x-grpc-web,x-user-agent");
    ask("OPTIONS /grpc.health.v1.Health/Check", first);
    cr_assert_eq(b.status, 404); /* this server has none */
    ask("OPTIONS /chanserv.v1.Chanserv", first);
    cr_assert_eq(b.status, 404);
    say_post("none", "");
    ask(POST, then);
    cr_assert_str_eq(browser_header(&b, "access-control-allow-origin"), "https://app.example");
    cr_assert_str_eq(browser_header(&b, "access-control-expose-headers"),
                     "grpc-status, grpc-message, grpc-status-details-bin, *");
    expect_status("grpc-status: 0\r\n");
    ask(POST, strange);
    cr_assert_eq(b.status, 403);
    cr_assert_str_eq(browser_header(&b, "access-control-allow-origin"), "");
    ask("OPTIONS /chanserv.v1.Chanserv/Post", strangely);
    cr_assert_eq(b.status, 403);
}

/* ---- Without memory -------------------------------------------------------------------------------------- */

static void story(void)
{
    static const char *const fields[] = {TEXT, "x-a-bin: AAAA", "grpc-timeout: 5S", APP, NULL};
    static const struct gateway_options options = {.cors_origins = "*"};

    memset(&b, 0, sizeof b);
    if (world_up(&options) == CS_OK &&
        chanserv_handle(world.server, "/a.B/C", raw, NULL) == CS_OK) {
        asked_len = 0;
        strcpy(asked, "AAAAAAA=");
        asked_len = strlen(asked);
        narrow = 1;
        if (send_as("10.0.0.1:5000", "POST /a.B/C", fields) == CS_OK) {
            browser_room(&b, SIZE_MAX);
            cr_expect(b.finished || b.aborted != CS_OK);
        }
        strcpy(asked, "AAAAAAgKBGhvbGQSAA==");
        asked_len = strlen(asked);
        if (send_as("10.0.0.1:5000", POST, fields) == CS_OK)
            browser_leave(&b);
    }
    browser_fini(&b);
    world_down();
}

Test(web_memory, every_failed_allocation)
{
    failing_story(story);
}

Test(web_memory, none_at_all_from_some_moment_on)
{
    failing_drought(story, 5);
}
