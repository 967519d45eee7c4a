#include "mux/local.h"
#include "mux/mux.h"
#include "test/support/failing.h"
#include "test/support/fake_peer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define METHOD "/test.Greeter/Hello"

/* ---- The client's side ---------------------------------------------------------------------- */

struct said {
    int times;
    cs_err err;
    char reply[64], errmsg[160], trailer[32];
    mux_call *call;
    int64_t at_ms;
    void (*then)(struct said *);
};

static cs_loop *loop;
static struct fake_net net;
static mux_conn *conn;
static struct said saids[4];

static void on_reply(cs_err err, cs_bytes reply, const char *errmsg, void *user)
{
    struct said *said = user;
    cs_bytes trailer = cs_str("");
    said->times++;
    said->err = err;
    said->at_ms = cs_loop_now_ms(loop);
    snprintf(said->reply, sizeof said->reply, "%.*s", CS_FMT(reply));
    snprintf(said->errmsg, sizeof said->errmsg, "%s", errmsg);
    if (said->call && mux_call_stream(said->call))
        (void)mux_stream_trailer(mux_call_stream(said->call), "colour", &trailer);
    snprintf(said->trailer, sizeof said->trailer, "%.*s", CS_FMT(trailer));
    if (said->then)
        said->then(said);
}

static void settle(void)
{
    cr_assert_lt(cs_loop_settle(loop), 100000, "the loop finds no rest");
}

static struct said *ask(int i, const struct mux_call_options *options)
{
    char method[] = METHOD, text[] = "world";
    saids[i].times = 0;
    cr_assert_eq(
        mux_unary(conn, method, cs_str(text), options, on_reply, &saids[i], &saids[i].call), CS_OK);
    memset(method, 'x', sizeof method - 1); /* all of it was copied */
    memset(text, 'x', sizeof text - 1);
    settle();
    return &saids[i];
}

static void begin(void)
{
    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    fake_net_dial(&net, loop, NULL, &conn);
    settle();
}

static void leave(void)
{
    mux_conn_free(conn);
    settle();
    fake_net_free(&net);
    cs_loop_free(loop);
}

static void expect(const struct said *said, cs_err err, const char *text)
{
    settle();
    cr_assert_eq(said->times, 1, "%d replies", said->times);
    cr_assert_eq(said->err, err, "%s: %s", cs_strerror(said->err), said->errmsg);
    cr_assert(strstr(err == CS_OK ? said->reply : said->errmsg, text), "%s%s", said->reply,
              said->errmsg);
    cr_assert(err == CS_OK || said->reply[0] == 0);
}

static void finish(int peer, int32_t id, const char *status)
{
    fake_headers(net.peers[peer], id, true, "grpc-status", status, "grpc-message", "so%20it%20is",
                 "colour", "blue", NULL);
}

Test(unary, one_message_there_and_one_back)
{
    begin();
    struct said *said = ask(0, NULL);
    cr_assert(strstr(fake_said(net.peers[0]), ":path=" METHOD " "), "%s", fake_said(net.peers[0]));
    cr_assert(strstr(fake_said(net.peers[0]), "DATA 1 end 10\n"));
    fake_answer(net.peers[0], 1);
    fake_message(net.peers[0], 1, "hello", false);
    settle();
    cr_assert_eq(said->times, 0, "not before the status");
    finish(0, 1, "0");
    expect(said, CS_OK, "hello");
    cr_assert_str_eq(said->trailer, "blue");
    cr_assert_str_eq(said->errmsg, "");
    leave();
}

Test(unary, a_status_is_the_end_whatever_came_before)
{
    begin();
    struct said *said = ask(0, NULL);
    fake_answer(net.peers[0], 1);
    fake_message(net.peers[0], 1, "hello", false);
    finish(0, 1, "5");
    expect(said, CS_ENOENT, "NOT_FOUND: so it is");
    leave();
}

Test(unary, an_ok_without_a_message_or_with_two_is_none)
{
    begin();
    ask(0, NULL);
    ask(1, NULL);
    fake_answer(net.peers[0], 1);
    finish(0, 1, "0");
    expect(&saids[0], CS_EPROTO, "no message");
    fake_answer(net.peers[0], 3);
    fake_message(net.peers[0], 3, "hello", false);
    fake_message(net.peers[0], 3, "hello", false);
    expect(&saids[1], CS_EPROTO, "several messages");
    leave();
}

Test(unary, two_messages_and_a_good_status_in_one_go_are_no_answer_either)
{
    begin();
    struct said *said = ask(0, NULL);
    fake_answer(net.peers[0], 1);
    fake_message(net.peers[0], 1, "hello", false);
    fake_message(net.peers[0], 1, "hello", false);
    finish(0, 1, "0");
    expect(said, CS_EPROTO, "several messages");
    leave();
}

Test(unary, what_was_refused_is_asked_again_three_times_with_all_it_carries)
{
    const cs_pair pair = {cs_str("animal"), cs_str("cat")};
    begin();
    struct said *said = ask(
        0, &(struct mux_call_options){.metadata = &pair, .metadata_len = 1, .timeout_ms = 5000});
    for (int i = 0; i < 4; i++) {
        char line[64];
        snprintf(line, sizeof line, "DATA %d end 10\n", 1 + 2 * i);
        cr_assert(strstr(fake_said(net.peers[0]), line), "%s", fake_said(net.peers[0]));
        cr_assert(strstr(fake_said(net.peers[0]), "animal=cat"));
        fake_forget(net.peers[0]);
        cr_assert_eq(said->times, 0);
        fake_word(net.peers[0], FAKE_RST, 1 + 2 * i, 7);
        settle();
        cr_assert_not(strstr(fake_said(net.peers[0]), "HEADERS"), "not at once");
        cs_loop_advance(loop, 40 * (1 << i) - 1);
        cr_assert_not(strstr(fake_said(net.peers[0]), "HEADERS"), "not within 4/5 of the pause");
        cs_loop_advance(loop, 60 * (1 << i) - 40 * (1 << i) + 1);
    }
    expect(said, CS_EUNAVAIL, "REFUSED_STREAM");
    leave();
}

Test(unary, a_pause_longer_than_the_deadline_is_not_made)
{
    begin();
    struct said *said = ask(0, &(struct mux_call_options){.timeout_ms = 39});
    fake_word(net.peers[0], FAKE_RST, 1, 7);
    expect(said, CS_EUNAVAIL, "REFUSED_STREAM");
    leave();
}

static void be_busy(void *user)
{
    cs_loop_advance(loop, *(int *)user);
}

/* With no time left the try would have no deadline at all. */
static void is_busy_until(int ms)
{
    int busy_ms = ms - 30;
    cs_timer *timer;
    begin();
    cr_assert_eq(cs_timer_new(loop, be_busy, &busy_ms, &timer), CS_OK);
    cs_timer_set(timer, 30); /* the pause is 40 at least */
    struct said *said = ask(0, &(struct mux_call_options){.timeout_ms = 100});
    fake_word(net.peers[0], FAKE_RST, 1, 7);
    settle();
    fake_forget(net.peers[0]);
    cs_loop_advance(loop, 30);
    expect(said, CS_ETIMEOUT, "deadline");
    cr_assert_not(strstr(fake_said(net.peers[0]), "HEADERS"));
    cs_timer_free(timer);
    leave();
}

Test(unary, a_loop_that_was_busy_up_to_the_deadline_does_not_try_again)
{
    is_busy_until(100);
}

Test(unary, a_loop_that_was_busy_past_the_deadline_does_not_try_again)
{
    is_busy_until(5000);
}

Test(unary, the_deadline_is_for_all_tries_together)
{
    begin();
    struct said *said = ask(0, &(struct mux_call_options){.timeout_ms = 1000});
    cs_loop_advance(loop, 700);
    fake_word(net.peers[0], FAKE_RST, 1, 7);
    settle();
    cs_loop_advance(loop, 60);
    cr_assert(strstr(fake_said(net.peers[0]), "grpc-timeout=2"), "%s", fake_said(net.peers[0]));
    cs_loop_advance(loop, 1000);
    expect(said, CS_ETIMEOUT, "");
    cr_assert_eq(said->at_ms, 1000);
    leave();
}

Test(unary, what_a_goaway_leaves_out_is_asked_elsewhere_at_once)
{
    begin();
    ask(0, NULL);
    ask(1, NULL);
    fake_goaway(net.peers[0], 1, 0);
    settle();
    cr_assert_eq(net.dials, 2);
    cr_assert(strstr(fake_said(net.peers[1]), "DATA 1 end 10\n"));
    fake_answer(net.peers[1], 1);
    fake_message(net.peers[1], 1, "there", false);
    finish(1, 1, "0");
    expect(&saids[1], CS_OK, "there");
    fake_answer(net.peers[0], 1);
    fake_message(net.peers[0], 1, "here", false);
    finish(0, 1, "0");
    expect(&saids[0], CS_OK, "here");
    leave();
}

Test(unary, what_may_have_run_is_never_asked_twice)
{
    begin();
    struct said *said = ask(0, NULL);
    mux_conn_break(conn);
    expect(said, CS_EPEER, "");
    said = ask(1, NULL);
    fake_headers(net.peers[1], 1, true, ":status", "200", "grpc-status", "14", NULL);
    expect(said, CS_EUNAVAIL, "UNAVAILABLE");
    cs_loop_advance(loop, 1000);
    cr_assert_eq(net.dials, 2);
    cr_assert_not(strstr(fake_said(net.peers[1]), "HEADERS 3"));
    leave();
}

Test(unary, nobody_there_is_told_at_once_or_waited_for)
{
    net.refuses = 3;
    begin();
    struct said *told = ask(0, NULL);
    expect(told, CS_EREFUSED, "dial fake: nobody is there");
    struct said *waits = ask(1, &(struct mux_call_options){.wait_for_ready = true});
    cs_loop_advance(loop, 1000);
    cr_assert_eq(net.dials, 4);
    fake_answer(net.peers[0], 1);
    fake_message(net.peers[0], 1, "hello", false);
    finish(0, 1, "0");
    expect(waits, CS_OK, "hello");
    leave();
}

Test(unary, a_call_may_be_given_up_before_and_between_and_ends_once)
{
    begin();
    ask(0, NULL);
    mux_call_cancel(saids[0].call);
    mux_call_cancel(saids[0].call);
    cr_assert_eq(saids[0].times, 0, "not within it");
    expect(&saids[0], CS_ECANCELED, "cancel");
    ask(1, NULL);
    fake_word(net.peers[0], FAKE_RST, 3, 7);
    settle();
    mux_call_cancel(saids[1].call);
    cr_assert_eq(saids[1].times, 0);
    expect(&saids[1], CS_ECANCELED, "");
    cs_loop_advance(loop, 1000);
    cr_assert_eq(saids[1].times, 1);
    leave();
}

Test(unary, freeing_the_connection_ends_every_call_once)
{
    begin();
    ask(0, NULL);
    ask(1, NULL);
    fake_word(net.peers[0], FAKE_RST, 1, 7); /* is between two tries */
    settle();
    mux_conn_free(conn);
    expect(&saids[0], CS_ECANCELED, "");
    expect(&saids[1], CS_ECANCELED, "");
    conn = NULL;
    leave();
}

static void free_it(struct said *said)
{
    (void)said;
    mux_conn_free(conn);
}

Test(unary, the_connection_may_be_freed_in_a_reply)
{
    begin();
    saids[0].then = free_it;
    ask(0, NULL);
    ask(1, NULL);
    fake_word(net.peers[0], FAKE_RST, 1, 8);
    expect(&saids[0], CS_ECANCELED, "");
    expect(&saids[1], CS_ECANCELED, "");
    conn = NULL;
    leave();
}

Test(unary, what_makes_no_sense_is_refused_at_once)
{
    const cs_pair bad = {cs_str("grpc-x"), cs_str("1")};
    const struct mux_call_options options = {.metadata = &bad, .metadata_len = 1};
    begin();
    cr_assert_eq(mux_unary(conn, "nonsense", cs_str(""), NULL, on_reply, NULL, NULL), CS_EMISUSE);
    cr_assert_eq(mux_unary(conn, METHOD, cs_str(""), &options, on_reply, NULL, NULL), CS_EMISUSE);
    cr_assert_eq(mux_unary(conn, METHOD, cs_str(""), NULL, NULL, NULL, NULL), CS_EMISUSE);
    settle();
    leave();
}

/* ---- Both sides ------------------------------------------------------------------------------ */

static mux_handlers *handlers;
static mux_request *asked[4];
static int asked_len;
static char heard[64];

static void later(mux_request *request, cs_bytes message, void *user)
{
    (void)user;
    snprintf(heard, sizeof heard, "%.*s", CS_FMT(message));
    asked[asked_len++] = request;
}

static void at_once(mux_request *request, cs_bytes message, void *user)
{
    mux_stream *stream = mux_request_stream(request);
    (void)user;
    (void)mux_stream_set_trailer(stream, "colour", cs_str("green"));
    mux_request_answer(request, CS_OK, message, NULL);
}

static const struct mux_method later_method = {later, NULL}, at_once_method = {at_once, NULL};

static void begin_both(void)
{
    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    cr_assert_eq(mux_handlers_new(&handlers), CS_OK);
    cr_assert_eq(mux_handle(handlers, METHOD, mux_serve_unary, (void *)&later_method), CS_OK);
    cr_assert_eq(
        mux_handle(handlers, "/test.Greeter/Echo", mux_serve_unary, (void *)&at_once_method),
        CS_OK);
    cr_assert_eq(mux_dial_local(loop, NULL, NULL, handlers, &conn), CS_OK);
    settle();
}

static void leave_both(void)
{
    mux_conn_free(conn);
    settle();
    mux_handlers_free(handlers);
    settle();
    cs_loop_free(loop);
}

Test(unary, a_server_answers_at_once_or_later)
{
    begin_both();
    ask(0, NULL);
    cr_assert_str_eq(heard, "world");
    cr_assert_eq(saids[0].times, 0);
    cr_assert_eq(mux_unary(conn, "/test.Greeter/Echo", cs_str("echo"), NULL, on_reply, &saids[1],
                           &saids[1].call),
                 CS_OK);
    expect(&saids[1], CS_OK, "echo");
    cr_assert_str_eq(saids[1].trailer, "green");
    mux_request_answer(asked[0], CS_OK, cs_str("hello"), NULL);
    expect(&saids[0], CS_OK, "hello");
    ask(2, NULL);
    mux_request_answer(asked[1], CS_EPRECOND, cs_str("dropped"), "not today");
    expect(&saids[2], CS_EPRECOND, "FAILED_PRECONDITION: not today");
    leave_both();
}

Test(unary, a_server_may_answer_a_client_that_has_left)
{
    begin_both();
    ask(0, NULL);
    cr_assert(mux_request_stream(asked[0]));
    mux_call_cancel(saids[0].call);
    settle();
    cr_assert_null(mux_request_stream(asked[0]));
    mux_request_answer(asked[0], CS_OK, cs_str("hello"), NULL);
    ask(1, &(struct mux_call_options){.timeout_ms = 100});
    cs_loop_advance(loop, 100);
    expect(&saids[1], CS_ETIMEOUT, "");
    mux_request_answer(asked[1], CS_ENOENT, cs_str(""), NULL);
    leave_both();
}

Test(unary, a_server_takes_exactly_one_message)
{
    static const char *const frames[] = {"", "one", "two"};
    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    cr_assert_eq(mux_handlers_new(&handlers), CS_OK);
    cr_assert_eq(mux_handle(handlers, METHOD, mux_serve_unary, (void *)&later_method), CS_OK);
    fake_peer *peer = fake_client(loop, NULL, handlers);
    for (int n = 0; n < 3; n++) {
        int32_t id = 1 + 2 * n;
        fake_forget(peer);
        fake_request(peer, id, n == 0, METHOD);
        for (int i = 1; i <= n; i++)
            fake_message(peer, id, frames[i], i == n);
        settle();
        cr_assert_eq(asked_len, n > 0, "with %d messages", n);
        if (n != 1)
            cr_assert(strstr(fake_said(peer), "grpc-status=12"), "%s", fake_said(peer));
    }
    cr_assert_str_eq(heard, "one");
    fake_request(peer, 7, false, METHOD);
    fake_message(peer, 7, "half", false);
    settle();
    cr_assert_eq(asked_len, 1, "not before the client has said its last word");
    mux_request_answer(asked[0], CS_OK, cs_str("x"), NULL);
    settle();
    mux_handlers_free(handlers);
    settle();
    fake_free(peer);
    cs_loop_free(loop);
}

/* ---- Each allocation fails ------------------------------------------------------------------- */

static int replies, wanted;
static int64_t last_ms;

static void count(cs_err err, cs_bytes reply, const char *errmsg, void *user)
{
    (void)reply;
    (void)user;
    cr_assert(errmsg);
    cr_assert(err == CS_OK || failing_failed(), "%s", errmsg);
    replies++;
    last_ms = cs_loop_now_ms(loop);
}

static void three_calls(const struct mux_options *server)
{
    const cs_pair pair = {cs_str("colour"), cs_str("blue")};
    const struct mux_call_options with = {.metadata = &pair, .metadata_len = 1, .timeout_ms = 9000};
    if (mux_handle(handlers, METHOD, mux_serve_unary, (void *)&at_once_method) != CS_OK ||
        mux_dial_local(loop, NULL, server, handlers, &conn) != CS_OK)
        return;
    for (int i = 0; i < 3; i++)
        wanted += mux_unary(conn, METHOD, cs_str("hello"), &with, count, NULL, NULL) == CS_OK;
    cr_assert_lt(cs_loop_settle(loop), 100000);
    cs_loop_advance(loop, 10000);
    cr_assert_eq(replies, wanted);
    mux_conn_free(conn);
}

static void tell(const struct mux_options *server)
{
    replies = wanted = 0;
    if (cs_loop_new_virtual(&loop) != CS_OK)
        return;
    if (mux_handlers_new(&handlers) == CS_OK) {
        three_calls(server);
        cr_assert_lt(cs_loop_settle(loop), 100000);
        mux_handlers_free(handlers);
    }
    cr_assert_lt(cs_loop_settle(loop), 100000);
    cs_loop_free(loop);
}

static void story(void)
{
    tell(NULL);
}

Test(unary, calls_survive_every_failed_allocation)
{
    failing_story(story);
}

/* They are out before the server's SETTINGS are in: what its limit refuses is asked again. */
static void again_story(void)
{
    tell(&(struct mux_options){.streams_max = 1});
    if (!failing_failed())
        cr_assert_geq(last_ms, 40);
}

Test(unary, tries_again_survive_every_failed_allocation)
{
    failing_story(again_story);
}
