/* Connections of HTTP/1.1: what goes over the wire, byte by byte, and who is waited for. */
#include "gateway/gateway.h"
#include "test/support/failing.h"
#include "test/support/wire_peer.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>

enum { BIG = 3 * 1024 * 1024 };

static struct {
    cs_loop *loop;
    chanserv_server *server;
    gateway *gateway;
    wire_peer *peer;
    gateway_request *kept; /* by the handler of /later and /drip */
    int asked, ends;
    int before_later; /* how many were asked before it */
    cs_err why;
    size_t given; /* of /big and /drip */
    bool fails;   /* what /drip says next */
} t;

/* ---- Handlers --------------------------------------------------------------------------------- */

static cs_err echo(gateway_request *request, void *user)
{
    (void)user;
    t.asked++;
    gateway_reply(request, 200, "text/plain", gateway_body(request));
    return CS_DONE;
}

static void on_end(gateway_request *request, cs_err why, void *state)
{
    (void)request;
    (void)state;
    t.kept = NULL;
    t.ends++;
    t.why = why;
}

static const struct gateway_reply_ops later_ops = {.end = on_end};

static cs_err later(gateway_request *request, void *user)
{
    (void)user;
    t.before_later = t.asked++;
    t.kept = request;
    cs_err err = gateway_keep(request, &later_ops, NULL);
    return err == CS_OK ? CS_AGAIN : err;
}

static cs_err next_big(gateway_request *request, cs_bytes *piece, void *state)
{
    static char bytes[10000];

    (void)request;
    (void)state;
    if (t.given >= BIG)
        return CS_DONE;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)('a' + (t.given + i) % 23);
    *piece = cs_bytes_of(bytes, sizeof bytes < BIG - t.given ? sizeof bytes : BIG - t.given);
    t.given += piece->len;
    return CS_OK;
}

static cs_err big(gateway_request *request, void *user)
{
    static const struct gateway_reply_ops ops = {.next = next_big, .end = on_end};

    (void)user;
    t.asked++;
    t.given = 0;
    cs_err err = gateway_keep(request, &ops, NULL);
    if (err == CS_OK)
        gateway_begin(request, 200, "text/plain");
    return err;
}

static cs_err next_drip(gateway_request *request, cs_bytes *piece, void *state)
{
    (void)request;
    (void)state;
    if (t.fails)
        return CS_EINTERNAL;
    if (t.given++ == 0) {
        *piece = cs_str("drip");
        return CS_OK;
    }
    return CS_AGAIN;
}

static cs_err drip(gateway_request *request, void *user)
{
    static const struct gateway_reply_ops ops = {.next = next_drip, .end = on_end};

    (void)user;
    t.given = 0;
    t.kept = request;
    cs_err err = gateway_keep(request, &ops, NULL);
    if (err == CS_OK)
        gateway_begin(request, 200, "text/plain");
    return err;
}

/* ---- Up and down ------------------------------------------------------------------------------ */

static void settle(void)
{
    cr_assert_lt(cs_loop_settle(t.loop), 100000);
}

static cs_err up(const struct gateway_options *options)
{
    static const struct {
        const char *method, *path;
        gateway_handler_fn *handler;
    } routes[] = {{"GET", "/echo", echo},
                  {"POST", "/echo", echo},
                  {NULL, "/later", later},
                  {"GET", "/big", big},
                  {"GET", "/drip", drip}};
    cs_err err;

    memset(&t, 0, sizeof t);
    if ((err = cs_loop_new_virtual(&t.loop)) != CS_OK ||
        (err = chanserv_server_new(t.loop, NULL, &t.server)) != CS_OK ||
        (err = gateway_new(t.server, options, &t.gateway)) != CS_OK)
        return err;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0] && err == CS_OK; i++)
        err = gateway_route(t.gateway, routes[i].method, routes[i].path, routes[i].handler, NULL);
    if (err == CS_OK && !(t.peer = wire_peer_new(t.server, NULL)))
        err = CS_ENOMEM;
    return err;
}

static void down(void)
{
    wire_peer_free(t.peer);
    gateway_free(t.gateway);
    chanserv_server_free(t.server);
    cs_loop_free(t.loop);
    cr_assert_null(t.kept);
}

static void begin(const struct gateway_options *options)
{
    cr_assert_eq(up(options), CS_OK);
}

static void say(const char *text)
{
    cr_assert(wire_peer_say(t.peer, cs_str(text)));
    settle();
}

/* What it heard is this; "*" stands for anything, as a date. */
static void heard(const char *pattern)
{
    cs_bytes all = wire_peer_heard(t.peer);

    cr_assert(cs_glob(cs_str(pattern), all), "%.*s\nwanted\n%s", CS_FMT(all), pattern);
    wire_peer_forget(t.peer);
}

#define counted(name, n)                                                                           \
    cr_assert_eq(chanserv_server_foreign(t.server)->name, n, "%d",                                 \
                 (int)chanserv_server_foreign(t.server)->name)

#define HOST "Host: localhost\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define OK(type, length, more)                                                                     \
    "HTTP/1.1 200 OK\r\n*content-type: " type "\r\n*date: ???, ?? ??? ???? ??:??:?? GMT\r\n"       \
    "content-length: " length "\r\n" more "\r\n"
#define ECHO(length, more) OK("text/plain", length, more)

/* ---- Answers ---------------------------------------------------------------------------------- */

Test(conn1, requests_are_answered_in_turn)
{
    begin(NULL);
    say(GET("/echo"));
    heard(ECHO("0", ""));
    say("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi" GET("/later") GET("/echo"));
    heard(ECHO("2", "") "hi");
    cr_assert(t.asked == 3 && t.kept);
    gateway_reply(t.kept, 200, "text/plain", cs_str("at last"));
    settle();
    heard(ECHO("7", "") "at last" ECHO("0", ""));
    cr_assert(t.ends == 1 && t.why == CS_DONE && t.asked == 4);
    cr_assert(!wire_peer_hung_up(t.peer));
    down();
}

Test(conn1, byte_by_byte_is_the_same)
{
    static const char text[] =
        "\r\nPOST /echo HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n1\r\nd\r\n0\r\n"
        "a: b\r\n\r\n" GET("/echo") "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nxyz";
    begin(NULL);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        cr_assert(wire_peer_say(t.peer, cs_bytes_of(text + i, 1)));
        settle();
    }
    heard(ECHO("4", "") "abcd" ECHO("0", "") ECHO("3", "") "xyz");
    down();
}

Test(conn1, a_call_of_grpc_web)
{
    begin(NULL);
    say("POST /chanserv.v1.Chanserv/Post HTTP/1.1\r\n" HOST
        "Content-Type: application/grpc-web-text\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nAAAAA\r\n9\r\nAcKA25vbh\r\n2\r\nIA\r\n0\r\n\r\n" GET("/echo"));
    heard("HTTP/1.1 200 OK\r\n*content-type: application/grpc-web-text+proto\r\n*"
          "transfer-encoding: chunked\r\n\r\n"
          "6c\r\ngAAAAExncnBjLXN0YXR1czogNQ0KZ3JwYy1tZXNzYWdlOiBubyBzdWNoIHNlcnZpY2UNCmNoYW5z"
          "ZXJ2LXJlYXNvbjogbm8tc2VydmljZQ0K\r\n0\r\n\r\n" ECHO("0", ""));
    down();
}

Test(conn1, who_wants_no_more_is_told_so_and_let_go)
{
    begin(NULL);
    say("GET /echo HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" GET("/echo"));
    heard(ECHO("0", "connection: close\r\n"));
    cr_assert(wire_peer_hung_up(t.peer) && t.asked == 1);
    down();
}

Test(conn1, of_1_0_a_connection_stays_if_it_asks)
{
    begin(NULL);
    say("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n" HOST "\r\n");
    heard(ECHO("0", "connection: keep-alive\r\n"));
    say("GET /echo HTTP/1.0\r\n" HOST "\r\n");
    heard(ECHO("0", "connection: close\r\n"));
    cr_assert(wire_peer_hung_up(t.peer));
    down();
}

Test(conn1, a_head_has_no_body)
{
    begin(NULL);
    say("HEAD /echo HTTP/1.1\r\n" HOST "\r\nHEAD /big HTTP/1.1\r\n" HOST "\r\n"
        "OPTIONS /echo HTTP/1.1\r\n" HOST "\r\n" GET("/echo"));
    heard(
        ECHO("0", "") "HTTP/1.1 200 OK\r\n*GMT\r\n\r\nHTTP/1.1 204 No Content\r\n*GMT\r\n\r\n" ECHO(
            "0", ""));
    down();
}

Test(conn1, errors_are_json)
{
    begin(NULL);
    say(GET("/nothing"));
    heard("HTTP/1.1 404 Not Found\r\n*application/json\r\n*\r\n\r\n"
          "{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"*\"}}\n");
    say("DELETE /echo HTTP/1.1\r\n" HOST "\r\n");
    heard("HTTP/1.1 405 Method Not Allowed\r\nallow: *GET, *\r\n\r\n{\"error\":*}\n");
    cr_assert(!wire_peer_hung_up(t.peer));
    say("GET /echo HTTP/1.1\r\nHost : localhost\r\n\r\n" GET("/echo"));
    heard("HTTP/1.1 400 Bad Request\r\n*connection: close\r\n\r\n"
          "{\"error\":{\"code\":\"INVALID_ARGUMENT\",\"message\":\"the name of a field is "
          "none\"}}\n");
    cr_assert(wire_peer_hung_up(t.peer) && t.asked == 0);
    down();
}

Test(conn1, a_chunk_that_is_none_is_told)
{
    begin(NULL);
    say("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n+1\r\ny\r\n");
    heard("HTTP/1.1 400 Bad Request\r\n*connection: close\r\n\r\n{*}\n");
    cr_assert(wire_peer_hung_up(t.peer) && t.asked == 0);
    counted(http_refused_bad, 1);
    down();
}

Test(conn1, limits_of_the_options_hold)
{
    begin(&(struct gateway_options){.header_max_bytes = 100, .body_max_bytes = 10});
    say("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n0123456789");
    heard(ECHO("10", "") "0123456789");
    say("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n");
    heard("HTTP/1.1 413 *connection: close\r\n\r\n{*}\n");
    counted(http_bodies_refused, 1);
    cr_assert(wire_peer_hung_up(t.peer));
    wire_peer_free(t.peer);
    cr_assert((t.peer = wire_peer_new(t.server, NULL)));
    say("GET /echo HTTP/1.1\r\n" HOST
        "A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    heard("HTTP/1.1 431 *connection: close\r\n\r\n{*}\n");
    counted(http_heads_refused, 1);
    counted(http_requests, 3);
    down();
}

/* ---- Bodies ----------------------------------------------------------------------------------- */

Test(conn1, who_waits_for_100_gets_it_if_the_body_is_wanted)
{
    begin(NULL);
    say("POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    heard("HTTP/1.1 100 Continue\r\n\r\n");
    say("hi");
    heard(ECHO("2", "") "hi");
    say("POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi");
    heard(ECHO("2", "") "hi");
    say("POST /nothing HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    heard("HTTP/1.1 404 *connection: close\r\n\r\n{*}\n");
    cr_assert(wire_peer_hung_up(t.peer));
    down();
}

/* A body that nobody wants is read if it is here, else the connection is not worth it. */
Test(conn1, what_is_refused_early_costs_no_connection_if_it_is_small)
{
    begin(NULL);
    say("POST /nothing HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi" GET("/echo"));
    heard("HTTP/1.1 404 *\r\n\r\n{*}\n" ECHO("0", ""));
    say("POST /nothing HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nhi");
    heard("HTTP/1.1 404 *connection: close\r\n\r\n{*}\n");
    cr_assert(wire_peer_hung_up(t.peer));
    down();
}

static void check_big(cs_bytes body)
{
    const char *p = body.base;

    cr_assert_eq(body.len, BIG);
    for (size_t i = 0; i < BIG; i++)
        cr_assert_eq(p[i], (char)('a' + i % 23));
}

/* Takes the chunks apart; answers how long the body was, which it leaves in their place. */
static size_t dechunk(char *text, size_t len)
{
    size_t at = 0, to = 0, size = 1;

    while (size > 0 && at < len) {
        char *end;
        size = strtoul(text + at, &end, 16);
        cr_assert(memcmp(end, "\r\n", 2) == 0);
        at = (size_t)(end - text) + 2;
        memmove(text + to, text + at, size);
        at += size + 2;
        to += size;
    }
    cr_assert(size == 0 && at == len);
    return to;
}

Test(conn1, a_long_answer_is_asked_for_only_as_it_is_read)
{
    begin(NULL);
    wire_peer_reads(t.peer, 0);
    say(GET("/big"));
    size_t before = t.given;
    cr_assert_lt(before, 500000); /* the link holds most of it */
    wire_peer_reads(t.peer, 200000);
    settle();
    cr_assert(t.given > before && t.given <= before + 200000 + 65536 + 10000, "%zu", t.given);
    wire_peer_reads(t.peer, CS_OFF);
    settle();
    cs_bytes all = wire_peer_heard(t.peer);
    cr_assert(cs_glob(cs_str("HTTP/1.1 200 OK\r\n*transfer-encoding: chunked\r\n\r\n*"), all));
    char *body = strstr(all.base, "\r\n\r\n") + 4;
    size_t len = dechunk(body, all.len - (size_t)(body - (const char *)all.base));
    check_big(cs_bytes_of(body, len));
    wire_peer_forget(t.peer);
    cr_assert(t.ends == 1 && t.why == CS_DONE);
    say(GET("/echo"));
    heard(ECHO("0", ""));
    down();
}

Test(conn1, to_1_0_a_body_without_a_length_ends_with_the_connection)
{
    begin(NULL);
    say("GET /big HTTP/1.0\r\nConnection: keep-alive\r\n" HOST "\r\n");
    cs_bytes all = wire_peer_heard(t.peer);
    cr_assert(cs_glob(cs_str("HTTP/1.1 200 OK\r\n*GMT\r\nconnection: close\r\n\r\na*"), all));
    size_t head = (size_t)(strstr(all.base, "\r\n\r\n") + 4 - (const char *)all.base);
    check_big(cs_bytes_of((const char *)all.base + head, all.len - head));
    cr_assert(wire_peer_hung_up(t.peer));
    down();
}

Test(conn1, what_breaks_off_has_no_last_chunk)
{
    begin(NULL);
    say(GET("/drip"));
    heard("HTTP/1.1 200 *chunked\r\n\r\n4\r\ndrip\r\n");
    cr_assert(!wire_peer_hung_up(t.peer));
    t.fails = true;
    gateway_wake(t.kept);
    settle();
    heard("");
    cr_assert(wire_peer_hung_up(t.peer));
    cr_assert(t.ends == 1 && t.why == CS_EINTERNAL);
    down();
}

/* ---- Who leaves, and who is too slow ---------------------------------------------------------- */

Test(conn1, who_leaves_is_noticed_at_once)
{
    static const char *const said[] = {"",
                                       "GE",
                                       GET("/later"),
                                       GET("/drip"),
                                       GET("/big"),
                                       GET("/later") GET("/echo"),
                                       "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nhi",
                                       "POST /echo HTTP/1.1\r\n" HOST
                                       "Transfer-Encoding: chunked\r\n\r\n3\r\nh"};

    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        for (int half = 0; half < 2; half++) {
            begin(NULL);
            wire_peer_reads(t.peer, 0);
            say(said[i]);
            if (half)
                wire_peer_end(t.peer);
            else {
                wire_peer_free(t.peer);
                t.peer = NULL;
            }
            settle();
            cr_assert_null(t.kept, "%s", said[i]);
            if (strstr(said[i], "GET"))
                cr_assert(t.ends == 1 && t.why == CS_EPEER, "%s", said[i]);
            down();
        }
    }
}

Test(conn1, who_says_his_last_word_still_hears_what_was_answered)
{
    begin(NULL);
    cr_assert(wire_peer_say(t.peer, cs_str(GET("/echo") GET("/echo"))));
    wire_peer_end(t.peer);
    settle();
    heard(ECHO("0", "") ECHO("0", ""));
    cr_assert(wire_peer_hung_up(t.peer));
    down();
}

Test(conn1, a_head_has_its_time_however_it_drips)
{
    begin(&(struct gateway_options){.request_timeout_ms = 1000, .idle_timeout_ms = 5000});
    say(GET("/echo"));
    heard(ECHO("0", ""));
    cs_loop_advance(t.loop, 4000);
    for (int i = 0; i < 9; i++) {
        say(i == 0 ? "GET /" : "a");
        cs_loop_advance(t.loop, 100);
    }
    heard("");
    cs_loop_advance(t.loop, 101);
    heard("HTTP/1.1 408 Request Timeout\r\n*connection: close\r\n\r\n{*}\n");
    cr_assert(wire_peer_hung_up(t.peer));
    counted(http_timeouts, 1);
    down();
}

Test(conn1, a_body_has_its_time_however_it_drips)
{
    begin(&(struct gateway_options){.request_timeout_ms = 1000});
    say("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\n");
    for (int i = 0; i < 9; i++) {
        say("a");
        cs_loop_advance(t.loop, 100);
    }
    heard("");
    cs_loop_advance(t.loop, 101);
    heard("HTTP/1.1 408 Request Timeout\r\n*connection: close\r\n\r\n{*}\n");
    cr_assert(wire_peer_hung_up(t.peer));
    counted(http_timeouts, 1);
    down();
}

Test(conn1, an_idle_connection_ends_without_a_word)
{
    begin(&(struct gateway_options){.idle_timeout_ms = 5000});
    for (int i = 0; i < 3; i++) {
        say(GET("/echo"));
        heard(ECHO("0", ""));
        cs_loop_advance(t.loop, 4999);
        cr_assert(!wire_peer_hung_up(t.peer));
    }
    cs_loop_advance(t.loop, 2);
    heard("");
    cr_assert(wire_peer_hung_up(t.peer));
    counted(http_idle, 1);
    down();
}

Test(conn1, an_answer_that_takes_long_is_not_idle)
{
    begin(&(struct gateway_options){.idle_timeout_ms = 1000, .request_timeout_ms = 1000});
    say(GET("/later"));
    cs_loop_advance(t.loop, 20000);
    cr_assert(t.kept && !wire_peer_hung_up(t.peer));
    gateway_reply(t.kept, 200, "text/plain", cs_str("x"));
    settle();
    heard(ECHO("1", "") "x");
    down();
}

Test(conn1, who_does_not_read_has_his_time_too)
{
    begin(&(struct gateway_options){.stall_timeout_ms = 1000, .idle_timeout_ms = 1});
    wire_peer_reads(t.peer, 0);
    say(GET("/big"));
    for (int i = 0; i < 5; i++) {
        cs_loop_advance(t.loop, 900);
        wire_peer_reads(t.peer, 100000);
        settle();
        cr_assert_eq(t.ends, 0);
    }
    cs_loop_advance(t.loop, 1001);
    cr_assert(t.ends == 1 && t.why == CS_ESTALLED);
    counted(http_stalled, 1);
    counted(http_idle, 0);
    down();
}

/* Neither what is asked nor what is answered grows without end. */
Test(conn1, who_asks_without_reading_is_not_read_either)
{
    char many[8000] = "";
    int said = 0, asked;

    begin(NULL);
    while (strlen(many) + sizeof GET("/echo") < sizeof many)
        strcat(many, GET("/echo"));
    wire_peer_reads(t.peer, 0);
    while (said < 10000 && wire_peer_say(t.peer, cs_str(many))) {
        settle();
        said++;
    }
    cr_assert(said > 10 && said < 200, "%d", said);
    asked = t.asked;
    settle();
    cr_assert_eq(t.asked, asked);
    wire_peer_reads(t.peer, CS_OFF);
    settle();
    cr_assert_geq(t.asked, said * (int)(strlen(many) / strlen(GET("/echo"))));
    down();
}

Test(conn1, who_asks_much_at_once_does_not_keep_others_waiting)
{
    char many[8000] = "";
    wire_peer *greedy;

    begin(NULL);
    while (strlen(many) + sizeof GET("/echo") < sizeof many)
        strcat(many, GET("/echo"));
    greedy = t.peer;
    cr_assert((t.peer = wire_peer_new(t.server, NULL)));
    cr_assert(wire_peer_say(greedy, cs_str(many)));
    say(GET("/later"));
    cr_assert(t.kept && t.before_later < 20, "%d", t.before_later);
    cr_assert_eq(t.asked, 1 + (int)(strlen(many) / strlen(GET("/echo"))));
    wire_peer_free(greedy);
    gateway_reply(t.kept, 200, NULL, cs_str(""));
    settle();
    down();
}

/* ---- Ends ------------------------------------------------------------------------------------- */

Test(conn1, a_gateway_that_goes_ends_what_is_under_way)
{
    static const char *const said[] = {
        "",           "GE",        GET("/later"),
        GET("/drip"), GET("/big"), "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nhi"};

    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        begin(NULL);
        wire_peer_reads(t.peer, 0);
        say(said[i]);
        gateway_free(t.gateway);
        t.gateway = NULL;
        settle();
        cr_assert(!t.kept);
        down();
    }
}

Test(conn1, a_drain_ends_idle_connections_and_the_others_behind_their_answer)
{
    begin(NULL);
    wire_peer *idle = t.peer;
    say(GET("/echo"));
    heard(ECHO("0", ""));
    cr_assert((t.peer = wire_peer_new(t.server, NULL)));
    say(GET("/later"));
    chanserv_server_drain(t.server, 60000);
    settle();
    cs_loop_advance(t.loop, 1000);
    cr_assert(wire_peer_hung_up(idle) && !wire_peer_hung_up(t.peer));
    gateway_reply(t.kept, 200, "text/plain", cs_str("x"));
    settle();
    heard(ECHO("1", "connection: close\r\n") "x");
    cr_assert(wire_peer_hung_up(t.peer));
    wire_peer_free(idle);
    down();
}

/* ---- Memory ----------------------------------------------------------------------------------- */

static void conversation(void)
{
    if (up(NULL) != CS_OK)
        cr_assert(failing_failed());
    else {
        (void)wire_peer_say(t.peer, cs_str("POST /echo HTTP/1.1\r\n" HOST
                                           "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
        (void)cs_loop_settle(t.loop);
        (void)wire_peer_say(t.peer, cs_str("hi" GET("/nothing") GET("/drip")));
        (void)cs_loop_settle(t.loop);
        (void)wire_peer_say(t.peer, cs_str(GET("/echo") "X"));
        (void)cs_loop_settle(t.loop);
        wire_peer_end(t.peer);
        (void)cs_loop_settle(t.loop);
    }
    down();
}

Test(conn1, survives_every_failed_allocation)
{
    cr_assert_gt(failing_story(conversation), 30);
}
