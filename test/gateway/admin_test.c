/* Health and reflection of a server on a virtual loop, asked as any gRPC client asks. */
#include "base/mem.h"
#include "base/turn.h"
#include "gateway/admin.h"
#include "proto/reflect.h"
#include "test/support/dial.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define CHECK "/grpc.health.v1.Health/Check"
#define WATCH "/grpc.health.v1.Health/Watch"
#define REFLECT "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
#define ALPHA "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

static struct {
    cs_loop *loop;
    chanserv_server *server;
    gateway_admin *admin;
    mux_conn *conn;
    bool hides;
} it;

static struct call {
    mux_stream *stream;
    bool paused;
    int messages;
    size_t bytes;
    char heard[256]; /* of health: a digit a message; of reflection: the oneof's number */
    cs_err why;
    char errmsg[80];
} calls[8];

/* ---- A server ------------------------------------------------------------------------------- */

static cs_err nothing(chanserv_post *post, cs_bytes body, void *user)
{
    (void)post, (void)body, (void)user;
    return CS_DONE;
}

static cs_err authorise(const struct chanserv_request *request, void *user)
{
    (void)user;
    if (it.hides && request->verb == CHANSERV_LIST) {
        cr_assert(cs_same(request->service, cs_str("jobs")), "without the name space");
        return CS_EPERM;
    }
    return it.hides && request->verb == CHANSERV_RAW && cs_same(request->service, cs_str(CHECK))
               ? CS_EAUTH
               : CS_OK;
}

/* False: without memory, and nothing is left of it. */
static bool up(void)
{
    struct chanserv_server_options o = {.authorise = authorise, .name_space = "acme"};
    cs_err err = cs_loop_new_virtual(&it.loop);

    it.server = NULL, it.admin = NULL, it.conn = NULL, it.hides = false;
    if (err == CS_OK)
        err = chanserv_server_new(it.loop, &o, &it.server);
    if (err == CS_OK)
        err = chanserv_serve(it.server, "jobs", nothing, NULL);
    if (err == CS_OK)
        err = gateway_admin_new(it.server, &it.admin);
    if (err == CS_OK)
        err = dial_server(it.loop, it.server, &it.conn);
    cr_assert(err == CS_OK || (err == CS_ENOMEM && failing_failed()), "%s", cs_strerror(err));
    return err == CS_OK;
}

static void down(void)
{
    gateway_admin_free(it.admin);
    if (it.conn)
        mux_conn_free(it.conn);
    if (it.server)
        chanserv_server_free(it.server);
    if (it.loop) {
        cs_loop_settle(it.loop);
        cs_loop_free(it.loop);
    }
    it.loop = NULL;
}

/* ---- Calls ---------------------------------------------------------------------------------- */

static void hear(struct call *c, cs_bytes message)
{
    const uint8_t *p = message.base;
    size_t at = 0;

    c->bytes += message.len;
    if (message.len <= 2) /* of health */
        at = message.len ? 1 : 0;
    else /* of reflection: past original_request, which is short here */
        at = 2u + p[1];
    snprintf(c->heard + c->messages++, 2, "%c",
             message.len ? '0' + (message.len <= 2 ? p[at] : p[at] >> 3) : '0');
}

static void readable(mux_stream *stream, void *state)
{
    struct call *c = state;
    cs_bytes message;

    while (!c->paused && mux_stream_recv(stream, &message) == CS_OK)
        hear(c, message);
}

static void end(mux_stream *stream, cs_err why, void *state)
{
    struct call *c = state;

    c->stream = NULL;
    c->why = why;
    snprintf(c->errmsg, sizeof c->errmsg, "%s", mux_stream_errmsg(stream));
}

static struct call *begin(int i, const char *method)
{
    static const struct mux_stream_ops ops = {.readable = readable, .end = end};

    calls[i] = (struct call){.why = CS_AGAIN};
    if (mux_stream_open(it.conn, method, NULL, &ops, &calls[i], &calls[i].stream) != CS_OK)
        calls[i].why = CS_ENOMEM;
    return &calls[i];
}

static void send(struct call *c, const char *message, size_t len, bool last)
{
    if (!c->stream)
        return;
    if (mux_stream_send(c->stream, cs_bytes_of(message, len), cs_bytes_of(NULL, 0)) != CS_OK)
        cr_assert(failing_failed());
    if (last)
        mux_stream_finish(c->stream, CS_OK, NULL);
}

/* Asks of the health of this service. */
static struct call *ask(int i, const char *method, const char *service)
{
    struct call *c = begin(i, method);
    size_t len = strlen(service);
    char message[600] = {0x0a, (char)len};

    if (len > 127) {
        message[1] = (char)(0x80 | (len & 127));
        message[2] = (char)(len >> 7);
    }
    memcpy(message + (len > 127 ? 3 : 2), service, len);
    send(c, message, len ? len + (len > 127 ? 3 : 2) : 0, true);
    cs_loop_settle(it.loop);
    return c;
}

#define expect_ends(call, err, words)                                                              \
    do {                                                                                           \
        cr_assert_eq((call)->why, err, "%s: %s", cs_strerror((call)->why), (call)->errmsg);        \
        cr_assert(strstr((call)->errmsg, words), "%s", (call)->errmsg);                            \
    } while (0)

/* ---- Health --------------------------------------------------------------------------------- */

Test(health, a_check_knows_the_server_and_each_service)
{
    static const char *const there[] = {"",
                                        "jobs.acme",
                                        "chanserv.v1.Chanserv",
                                        "grpc.health.v1.Health",
                                        "grpc.reflection.v1.ServerReflection",
                                        "grpc.reflection.v1alpha.ServerReflection",
                                        "chanserv.v1.Debug"};
    static const char *const not_there[] = {"jobs", "Chanserv", "grpc.health.v1.Health/Check", "/"};

    cr_assert(up());
    for (size_t i = 0; i < sizeof there / sizeof *there; i++) {
        expect_ends(ask(0, CHECK, there[i]), CS_DONE, "");
        cr_assert_str_eq(calls[0].heard, "1", "%s", there[i]);
    }
    for (size_t i = 0; i < sizeof not_there / sizeof *not_there; i++)
        expect_ends(ask(0, CHECK, not_there[i]), CS_ENOENT, "no such service");
    begin(0, CHECK);
    send(&calls[0], "\x0a\x05", 2, true);
    cs_loop_settle(it.loop);
    expect_ends(&calls[0], CS_EINVAL, "no HealthCheckRequest");
    down();
}

Test(health, a_drain_is_told_before_it_is_over)
{
    struct call *c;

    cr_assert(up());
    c = ask(1, WATCH, "jobs.acme");
    cr_assert_str_eq(c->heard, "1");
    cr_assert_eq(c->why, CS_AGAIN);
    chanserv_server_drain(it.server, 0);
    ask(0, CHECK, "");
    cr_assert_str_eq(calls[0].heard, "2", "%s", calls[0].errmsg);
    cr_assert_str_eq(c->heard, "12");
    expect_ends(c, CS_EUNAVAIL, "going away");
    down();
}

Test(health, a_watch_hears_of_services_that_come_and_go)
{
    char name[300];
    struct call *c, *other, *longest, *too_long;

    cr_assert(up());
    c = ask(0, WATCH, "more.acme");
    other = ask(1, WATCH, "jobs.acme");
    memset(name, 'n', sizeof name);
    name[255] = '\0';
    longest = ask(2, WATCH, name);
    name[255] = 'n', name[256] = '\0';
    too_long = ask(3, WATCH, name);
    cr_assert_str_eq(c->heard, "3");
    cr_assert_eq(chanserv_serve(it.server, "more", nothing, NULL), CS_OK);
    name[250] = '\0';
    cr_assert_eq(chanserv_serve(it.server, name, nothing, NULL), CS_OK);
    cs_loop_settle(it.loop);
    cr_assert_str_eq(c->heard, "31");
    cr_assert_eq(chanserv_unserve(it.server, "more"), CS_OK);
    cr_assert_eq(chanserv_serve(it.server, "more", nothing, NULL), CS_OK);
    cs_loop_settle(it.loop);
    cr_assert_str_eq(c->heard, "31", "nothing has changed");
    cr_assert_eq(chanserv_unserve(it.server, "more"), CS_OK);
    cs_loop_settle(it.loop);
    cr_assert_str_eq(c->heard, "313");
    cr_assert_str_eq(other->heard, "1");
    cr_assert_str_eq(longest->heard, "3");
    cr_assert_str_eq(too_long->heard, "3");
    down();
}

Test(health, who_may_not_see_a_service_is_told_there_is_none)
{
    cr_assert(up());
    it.hides = true;
    cr_assert_str_eq(ask(0, WATCH, "jobs.acme")->heard, "3");
    cr_assert_str_eq(ask(1, WATCH, "chanserv.v1.Chanserv")->heard, "1");
    expect_ends(ask(2, CHECK, ""), CS_EAUTH, "");
    down();
}

Test(health, a_watch_takes_one_message)
{
    cr_assert(up());
    begin(0, WATCH);
    send(&calls[0], "", 0, false);
    send(&calls[0], "", 0, true);
    begin(1, WATCH);
    mux_stream_finish(calls[1].stream, CS_OK, NULL);
    begin(2, WATCH);
    send(&calls[2], "\x08\x01\x0a\x05", 4, true);
    cs_loop_settle(it.loop);
    expect_ends(&calls[0], CS_ENOTSUP, "one message");
    expect_ends(&calls[1], CS_ENOTSUP, "one message");
    expect_ends(&calls[2], CS_EINVAL, "no HealthCheckRequest");
    down();
}

Test(health, a_watch_of_a_connection_that_is_to_go_ends_well)
{
    struct call *c;

    cr_assert(up());
    c = ask(0, WATCH, "");
    dial_roll(it.server);
    cs_loop_settle(it.loop);
    expect_ends(c, CS_DONE, "");
    down();
}

Test(health, freed_before_the_server_it_is_unavailable)
{
    struct call *c;

    cr_assert(up());
    c = ask(0, WATCH, "");
    gateway_admin_free(it.admin);
    it.admin = NULL;
    cs_loop_settle(it.loop);
    cr_assert_str_eq(c->heard, "12");
    expect_ends(c, CS_EUNAVAIL, "");
    cr_assert_str_eq(ask(1, CHECK, "")->heard, "2");
    begin(2, REFLECT);
    send(&calls[2], "\x3a\x00", 2, false);
    cs_loop_settle(it.loop);
    expect_ends(&calls[2], CS_EUNAVAIL, "");
    down();
}

Test(health, freed_with_the_server_every_watch_ends)
{
    struct call *c;

    cr_assert(up());
    c = ask(0, WATCH, "");
    chanserv_server_free(it.server);
    it.server = NULL;
    cs_loop_settle(it.loop);
    cr_assert_neq(c->why, CS_AGAIN);
    gateway_admin_free(it.admin);
    it.admin = NULL;
    down();
}

Test(health, once_a_server)
{
    gateway_admin *second;

    cr_assert(up());
    cr_assert_eq(gateway_admin_new(it.server, &second), CS_EEXIST);
    cr_assert_str_eq(ask(0, CHECK, "")->heard, "1", "the first still answers");
    down();
}

/* ---- Reflection ----------------------------------------------------------------------------- */

Test(reflection, each_question_has_its_answer_in_both_versions)
{
    static const char *const methods[] = {REFLECT, ALPHA};

    for (int i = 0; i < 2; i++) {
        struct call *c;

        cr_assert(up());
        c = begin(i, methods[i]);
        send(c, "\x3a\x00", 2, false);
        send(c,
             "\x22\x14"
             "chanserv.v1.Chanserv",
             22, false);
        send(c, "\x1a\x01x", 3, false);
        cs_loop_settle(it.loop);
        cr_assert_str_eq(c->heard, "647");
        cr_assert_eq(c->why, CS_AGAIN);
        send(c,
             "\x32\x1e"
             "chanserv.v1.ServiceListService",
             32, true);
        cs_loop_settle(it.loop);
        cr_assert_str_eq(c->heard, "6477");
        expect_ends(c, CS_DONE, "");
        down();
    }
}

Test(reflection, what_is_no_question_ends_the_call)
{
    cr_assert(up());
    begin(0, REFLECT);
    send(&calls[0], "\x1a\x09x", 3, false);
    cs_loop_settle(it.loop);
    expect_ends(&calls[0], CS_EINVAL, "no ServerReflectionRequest");
    down();
}

Test(reflection, who_does_not_read_is_not_answered)
{
    struct chanserv_counters counters;
    struct call *c;

    cr_assert(up());
    c = begin(0, REFLECT);
    c->paused = true;
    for (int i = 0; i < 400; i++) {
        while (mux_stream_send(c->stream,
                               cs_bytes_of("\x22\x14"
                                           "chanserv.v1.Chanserv",
                                           22),
                               cs_bytes_of(NULL, 0)) == CS_AGAIN)
            cs_loop_settle(it.loop);
    }
    mux_stream_finish(c->stream, CS_OK, NULL);
    cs_loop_settle(it.loop);
    cr_assert_eq(c->messages, 0);
    chanserv_server_counters(it.server, &counters);
    cr_assert_lt(counters.bytes_out, 200000, "%llu bytes", (unsigned long long)counters.bytes_out);
    c->paused = false;
    mux_stream_resume(c->stream);
    cs_loop_settle(it.loop);
    cr_assert_eq(c->messages, 400);
    expect_ends(c, CS_DONE, "");
    down();
}

Test(reflection, users_add_sets_of_their_own)
{
    static const char file[] = "\x0a\x0d\x0a\x01"
                               "f\x12\x01"
                               "p\x22\x05\x0a\x01M\x12\x00";
    struct call *c;

    cr_assert(up());
    cr_assert_eq(gateway_admin_describe(it.admin, cs_str("what?")), CS_EINVAL);
    cr_assert_eq(gateway_admin_describe(it.admin, cs_str("\x0a\x06\x0a\x01"
                                                         "f\x1a\x01x")),
                 CS_ENOENT);
    c = begin(0, REFLECT);
    send(c,
         "\x1a\x01"
         "f",
         3, false);
    cs_loop_settle(it.loop);
    cr_assert_str_eq(c->heard, "7");
    cr_assert_eq(gateway_admin_describe(it.admin, cs_bytes_of(file, sizeof file - 1)), CS_OK);
    send(c,
         "\x1a\x01"
         "f",
         3, false);
    send(c,
         "\x22\x03"
         "p.M",
         5, true);
    cs_loop_settle(it.loop);
    cr_assert_str_eq(c->heard, "744");
    down();
}

/* ---- Debug ---------------------------------------------------------------------------------- */

/* Field `number` of a message, of bytes, the next one; false: none. */
static bool next_of(cs_bytes *message, uint8_t number, cs_bytes *ret)
{
    const uint8_t *p = message->base, *end = p + message->len;

    while (p < end) {
        uint64_t tag = 0, value = 0;
        unsigned shift = 0;

        for (; *p & 0x80; shift += 7)
            tag |= (uint64_t)(*p++ & 0x7f) << shift;
        tag |= (uint64_t)*p++ << shift;
        for (shift = 0; *p & 0x80; shift += 7)
            value |= (uint64_t)(*p++ & 0x7f) << shift;
        value |= (uint64_t)*p++ << shift;
        if ((tag & 7) == 0)
            continue;
        *ret = cs_bytes_of(p, (size_t)value);
        p += value;
        *message = cs_bytes_of(p, (size_t)(end - p));
        if (tag >> 3 == number)
            return true;
    }
    return false;
}

static int entries, counters;
static char said[200];

static void on_stat(cs_err err, cs_bytes reply, const char *errmsg, void *user)
{
    cs_bytes rest = reply, one, text;

    (void)user;
    entries = counters = 0;
    snprintf(said, sizeof said, "%s", errmsg);
    if (err != CS_OK)
        return;
    for (; next_of(&rest, 1, &one); entries++) {
        cs_bytes at = one;

        if (next_of(&at, 6, &text))
            snprintf(said + strlen(said), sizeof said - strlen(said), "%.*s;", CS_FMT(text));
    }
    for (rest = reply; next_of(&rest, 3, &one); counters++)
        cr_assert(next_of(&one, 1, &text) && text.len > 3);
}

static void ask_stat(cs_bytes request)
{
    cr_assert_eq(mux_unary(it.conn, "/chanserv.v1.Debug/Stat", request, NULL, on_stat, NULL, NULL),
                 CS_OK);
    cs_loop_settle(it.loop);
}

Test(debug, what_runs_is_told_with_all_counters)
{
    int all = 0;

#define X(name, help) all++;
    CHANSERV_COUNTERS(X)
#undef X
    cr_assert(up());
    ask_stat(cs_str(""));
    cr_assert_str_eq(said, "local;");
    cr_assert_eq(entries, 1);
    cr_assert_eq(counters, all);
    ask_stat(cs_bytes_of("\x08\x90\xce\x01", 4));
    cr_assert_eq(entries, 1);
    ask_stat(cs_str("\x0a\x09"));
    cr_assert(strstr(said, "no StatRequest"), "%s", said);
    gateway_admin_free(it.admin);
    it.admin = NULL;
    ask_stat(cs_str(""));
    cr_assert(strstr(said, "UNAVAILABLE"), "%s", said);
    down();
}

/* ---- Memory --------------------------------------------------------------------------------- */

static void story(void)
{
    static const char file[] = "\x0a\x03\x0a\x01"
                               "f";
    cs_err err;

    if (up()) {
        err = gateway_admin_describe(it.admin, cs_bytes_of(file, sizeof file - 1));
        cr_assert(err == CS_OK || (err == CS_ENOMEM && failing_failed()));
        ask(0, CHECK, "jobs.acme");
        ask(1, WATCH, "jobs.acme");
        begin(2, REFLECT);
        send(&calls[2], "\x3a\x00", 2, false);
        send(&calls[2],
             "\x1a\x01"
             "f",
             3, true);
        cs_loop_settle(it.loop);
        said[0] = '\0';
        err = mux_unary(it.conn, "/chanserv.v1.Debug/Stat", cs_str(""), NULL, on_stat, NULL, NULL);
        cs_loop_settle(it.loop);
        cr_assert(failing_failed() || (err == CS_OK && strcmp(said, "local;") == 0), "%s", said);
        for (int i = 0; i < 3; i++)
            cr_assert(failing_failed() ||
                          strspn(calls[i].heard, "1") + strspn(calls[i].heard, "46") > 0,
                      "%d", i);
        chanserv_server_drain(it.server, CS_OFF);
        cs_loop_settle(it.loop);
        for (int i = 0; i < 3; i++)
            cr_assert_null(calls[i].stream);
    }
    down();
}

Test(admin, survives_every_failed_allocation)
{
    cr_assert_gt(failing_story(story), 50);
}
