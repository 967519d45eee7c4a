/* Requests of HTTP/2 that are not gRPC's: what a peer says and sees, and what their taker does. */
#include "base/ref.h"
#include "test/mux/asked.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void begin_with(const struct mux_options *options)
{
    memset(&asked, 0, sizeof asked);
    talk_handlers(&asked.talk);
    mux_handlers_set_plain(asked.talk.handlers, asked_take_in, &asked);
    asked.peer = fake_client(asked.talk.loop, options, asked.talk.handlers);
    asked_settle();
    fake_forget(asked.peer);
}

static void begin(void)
{
    begin_with(NULL);
}

static void end(void)
{
    fake_free(asked.peer);
    asked_settle();
    cr_assert_null(asked.stream, "a stream without an end");
    talk_end(&asked.talk);
}

TestSuite(plain, .init = begin, .fini = end);

static const struct mux_stats *asked_stats(void)
{
    return mux_handlers_stats(asked.talk.handlers);
}

/* ---- The request ------------------------------------------------------------------------------ */

Test(plain, shows_its_whole_head)
{
    fake_headers(asked.peer, 1, true, ASKED_HEAD, ASKED_TYPE, "user-agent", "curl/8", "accept",
                 "*/*", "content-length", "0", NULL);
    asked_settle();
    asked_has(":method", "PUT");
    asked_has(":scheme", "https");
    asked_has(":path", "/a?b=c");
    asked_has(":authority", "a.example");
    asked_has("content-type", "application/json");
    asked_has("user-agent", "curl/8");
    asked_has("accept", "*/*");
    asked_has("content-length", "0");
    cr_assert_eq(asked.last, CS_DONE);
    mux_stream_finish(asked.stream, CS_OK, NULL);
    asked_expect("HEADERS 1 end :status=200\n");
    cr_assert_eq(asked.why, CS_DONE);
    cr_assert_eq(asked_stats()->bad_requests, 0);
}

Test(plain, takes_the_host_for_the_authority)
{
    fake_headers(asked.peer, 1, true, ":method", "GET", ":scheme", "http", ":path", "/", "host",
                 "b.example", NULL);
    asked_settle();
    asked_has(":authority", "b.example");
    mux_stream_cancel(asked.stream, CS_ECANCELED);
}

/* What is noted of a head must be of this one. */
Test(plain, keeps_heads_apart)
{
    fake_request(asked.peer, 1, true, "/no.such/Method");
    fake_headers(asked.peer, 3, true, ":method", "GET", ":scheme", "http", ":path", "/",
                 ":authority", "b", NULL);
    asked_settle();
    asked_has(":path", "/");
    asked_has(":method", "GET");
    mux_stream_cancel(asked.stream, CS_ECANCELED);
}

Test(plain, may_have_the_path_of_a_method)
{
    fake_headers(asked.peer, 1, true, ":method", "POST", ":scheme", "http", ":path", TALK_METHOD,
                 ":authority", "a", "content-type", "application/grpc-web+proto", NULL);
    asked_settle();
    cr_assert_eq(asked.offers, 1);
    cr_assert_eq(asked.talk.accepted, 0);
    asked_has(":path", TALK_METHOD);
    mux_stream_cancel(asked.stream, CS_ECANCELED);
}

Test(plain, leaves_grpc_alone)
{
    fake_request(asked.peer, 1, true, TALK_METHOD);
    asked_settle();
    cr_assert_eq(asked.offers, 0);
    cr_assert_eq(asked.talk.accepted, 1);
    cr_assert(!mux_stream_is_plain(asked.talk.server[0].stream));
    cr_assert_eq(mux_stream_respond(asked.talk.server[0].stream, 200), CS_EMISUSE);
    side_finish(&asked.talk.server[0], CS_OK);
}

Test(plain, is_415_as_ever_without_a_function)
{
    mux_handlers_set_plain(asked.talk.handlers, NULL, NULL);
    fake_headers(asked.peer, 1, true, ":method", "POST", ":scheme", "http", ":path", TALK_METHOD,
                 ":authority", "a", ASKED_TYPE, NULL);
    asked_expect("HEADERS 1 end :status=415\n");
    cr_assert_eq(asked.offers, 0);
}

Test(plain, is_404_when_nobody_takes_it)
{
    asked.leaves = true;
    asked_request(true);
    asked_expect("HEADERS 1 end :status=404\n");
    cr_assert_eq(asked_stats()->bad_requests, 1);
    cr_assert_eq(asked_stats()->streams, 0);
}

Test(plain, is_431_with_a_head_that_is_too_long)
{
    end();
    begin_with(&(struct mux_options){.header_max_bytes = 300});
    fake_headers(asked.peer, 1, true, ASKED_HEAD, "a", "one", "b", "two", "c", "three", "d", "four",
                 NULL);
    asked_expect("HEADERS 1 end :status=431\n");
    cr_assert_eq(asked.offers, 0);
    cr_assert_eq(asked_stats()->headers_refused, 1);
}

/* ---- Its body --------------------------------------------------------------------------------- */

Test(plain, receives_pieces_as_they_come)
{
    asked_request(false);
    asked_body("one", false);
    cr_assert_eq(asked.last, CS_AGAIN);
    asked_body("x", false);
    asked_body("", false);
    asked_body("three", true);
    cr_assert_str_eq(asked.heard, "onexthree");
    cr_assert_eq(asked.pieces, 3);
    cr_assert_eq(asked.last, CS_DONE);
    mux_stream_finish(asked.stream, CS_OK, NULL);
    asked_expect("HEADERS 1 end :status=200\n");
}

static void pour_up(size_t bytes)
{
    static const char zeros[1000];

    for (; bytes > 0; bytes -= bytes < sizeof zeros ? bytes : sizeof zeros)
        fake_frame(asked.peer, FAKE_DATA, 0, 1,
                   cs_bytes_of(zeros, bytes < sizeof zeros ? bytes : sizeof zeros));
    asked_settle();
}

Test(plain, opens_its_window_as_pieces_are_taken)
{
    end();
    begin_with(&(struct mux_options){.message_max_bytes = 1000});
    asked.paused = true;
    asked_request(false);
    pour_up(ASKED_WINDOW);
    cr_assert_eq(strstr(fake_said(asked.peer), "WINDOW 1 "), NULL);
    asked.paused = false;
    asked_take();
    asked_settle();
    cr_assert_eq(asked.bytes, ASKED_WINDOW);
    cr_assert_neq(strstr(fake_said(asked.peer), "WINDOW 1 "), NULL);
    pour_up(ASKED_WINDOW / 2);
    cr_assert_eq(asked.bytes, ASKED_WINDOW + ASKED_WINDOW / 2, "and no message is too long here");
    mux_stream_cancel(asked.stream, CS_ECANCELED);
}

/* ---- The answer ------------------------------------------------------------------------------- */

Test(plain, answers_with_what_it_says_and_no_more)
{
    asked_request(true);
    cr_assert_eq(mux_stream_respond(asked.stream, 99), CS_EMISUSE);
    cr_assert_eq(mux_stream_respond(asked.stream, 600), CS_EMISUSE);
    cr_assert_eq(mux_stream_respond(asked.stream, 201), CS_OK);
    cr_assert_eq(mux_stream_respond(asked.stream, 201), CS_EMISUSE, "once");
    asked_set("content-type", "text/plain");
    asked_set("content-length", "5");
    asked_set("set-cookie", "a=1");
    asked_set("set-cookie", "b=\"2\"");
    asked_send("he", "llo");
    cr_assert_eq(mux_stream_set_header(asked.stream, "too", cs_str("late")), CS_EMISUSE);
    mux_stream_finish(asked.stream, CS_OK, NULL);
    asked_settle();
    cr_assert_str_eq(fake_text(asked.peer), "hello");
    asked_expect("HEADERS 1 :status=201 content-type=text/plain content-length=5 set-cookie=a=1 "
                 "set-cookie=b=\"2\"\nDATA 1 end 5\n");
    cr_assert_eq(asked.why, CS_DONE);
    cr_assert_eq(asked.ends, 1);
}

Test(plain, says_its_head_and_its_end_when_told_to)
{
    asked_request(true);
    mux_stream_respond(asked.stream, 200);
    mux_stream_send_headers(asked.stream);
    asked_expect("HEADERS 1 :status=200\n");
    asked_send("", "a");
    cr_assert_eq(mux_stream_send(asked.stream, cs_str(""), cs_str("")), CS_OK);
    asked_expect("DATA 1 1\n");
    mux_stream_finish(asked.stream, CS_OK, NULL);
    asked_expect("DATA 1 end 0\n");
    cr_assert_eq(asked.why, CS_DONE);
}

Test(plain, says_nothing_of_the_connection)
{
    static const char *const bad[] = {
        "connection", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding",
        "te",         "Upper",      ":status",          "a b",     "",
        "a:b"};
    static const char *const values[] = {"a\r\nb: c", " a", "a ", "\x7f", "a\n"};

    asked_request(true);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(mux_stream_set_header(asked.stream, bad[i], cs_str("v")), CS_EMISUSE, "%s",
                     bad[i]);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        cr_assert_eq(mux_stream_set_header(asked.stream, "a", cs_str(values[i])), CS_EMISUSE, "%s",
                     values[i]);
    cr_assert_eq(mux_stream_set_header(asked.stream, "a", cs_bytes_of("a\0b", 3)), CS_EMISUSE);
    asked_set("a!", "caf\xc3\xa9\tnoir");
    asked_set("empty", "");
    mux_stream_finish(asked.stream, CS_OK, NULL);
    asked_expect("HEADERS 1 end :status=200 a!=caf\xc3\xa9\tnoir empty=\n");
}

Test(plain, has_trailers_if_there_are_any)
{
    asked_request(true);
    cr_assert_eq(mux_stream_set_trailer(asked.stream, "sum", cs_str("7")), CS_OK);
    asked_send("x", "");
    mux_stream_finish(asked.stream, CS_OK, NULL);
    asked_expect("HEADERS 1 :status=200\nDATA 1 1\nHEADERS 1 end sum=7\n");
    cr_assert_eq(asked.why, CS_DONE);
}

Test(plain, has_trailers_behind_nothing_too)
{
    asked_request(true);
    cr_assert_eq(mux_stream_set_trailer(asked.stream, "sum", cs_str("0")), CS_OK);
    mux_stream_finish(asked.stream, CS_OK, NULL);
    asked_expect("HEADERS 1 :status=200\nHEADERS 1 end sum=0\n");
    cr_assert_eq(asked.why, CS_DONE);
}

Test(plain, sends_references)
{
    static const char big[MUX__OUT_SHORT * 2] = {'b'};
    cs_ref ref;

    asked_request(true);
    cr_assert_eq(cs_ref_copy(cs_bytes_of(big, sizeof big), &ref), CS_OK);
    cr_assert_eq(mux_stream_send_ref(asked.stream, cs_str("a"), &ref), CS_OK);
    cr_assert_null(ref.block);
    cr_assert_eq(cs_ref_copy(cs_bytes_of(big, sizeof big), &ref), CS_OK);
    cr_assert_eq(mux_stream_send_ref(asked.stream, cs_str(""), &ref), CS_OK);
    mux_stream_finish(asked.stream, CS_OK, NULL);
    asked_settle();
    cr_assert_eq(fake_heard(asked.peer), 1 + 2 * sizeof big);
    cr_assert_eq(memcmp(fake_text(asked.peer), "ab", 3), 0);
}

Test(plain, is_pulled_as_far_as_the_window_goes)
{
    asked.on_pull = asked_pull;
    asked_request(true);
    mux_stream_wake(asked.stream);
    asked_settle();
    cr_assert_eq(fake_heard(asked.peer), ASKED_WINDOW);
    cr_assert_lt(asked.sent, ASKED_WINDOW + 3000 + MUX__SEND_MAX,
                 "nobody is asked for what cannot go");
    fake_word(asked.peer, FAKE_WINDOW, 0, ASKED_BIG);
    fake_word(asked.peer, FAKE_WINDOW, 1, ASKED_BIG);
    asked_settle();
    cr_assert_eq(fake_heard(asked.peer), ASKED_BIG);
    cr_assert_eq(asked.why, CS_DONE);
}

Test(plain, is_told_when_there_is_room_again)
{
    char bytes[20 * 1000] = {0};

    asked_request(true);
    while (mux_stream_send(asked.stream, cs_bytes_of(bytes, sizeof bytes), cs_str("")) == CS_OK)
        asked_settle();
    cr_assert_eq(asked.writables, 0);
    fake_word(asked.peer, FAKE_WINDOW, 0, ASKED_BIG);
    fake_word(asked.peer, FAKE_WINDOW, 1, ASKED_BIG);
    asked_settle();
    cr_assert_eq(asked.writables, 1);
    mux_stream_cancel(asked.stream, CS_ECANCELED);
}

/* The peer who still talks is told that nobody listens, without blame. */
Test(plain, may_be_answered_before_its_end)
{
    asked_request(false);
    mux_stream_respond(asked.stream, 413);
    asked_send("no", "");
    mux_stream_finish(asked.stream, CS_OK, NULL);
    asked_expect("HEADERS 1 :status=413\nDATA 1 end 2\nRST_STREAM 1 0\n");
    cr_assert_eq(asked.why, CS_DONE);
    cr_assert_eq(asked_stats()->streams, 0);
}

/* ---- Failures --------------------------------------------------------------------------------- */

Test(plain, fails_with_500_when_nothing_was_said)
{
    asked_request(true);
    mux_stream_respond(asked.stream, 200);
    asked_set("content-type", "text/html");
    mux_stream_finish(asked.stream, CS_EABORTED, "words for the log");
    asked_expect("HEADERS 1 end :status=500\n");
    cr_assert_eq(asked.why, CS_EABORTED);
}

Test(plain, is_reset_when_something_was)
{
    for (int i = 0; i < 200; i++) { /* which costs the peer nothing: see faults_max */
        const int32_t id = 2 * i + 1;

        fake_headers(asked.peer, id, true, ASKED_HEAD, NULL);
        asked_settle();
        asked_send("half", "");
        asked_settle();
        fake_forget(asked.peer);
        mux_stream_abort(asked.stream, CS_EABORTED, NULL);
        asked_settle();
        cr_assert_neq(strstr(fake_said(asked.peer), " 2\n"), NULL, "INTERNAL_ERROR: %s",
                      fake_said(asked.peer));
        cr_assert_eq(asked.why, CS_EABORTED);
    }
    cr_assert_eq(asked_stats()->cut_faults, 0);
    cr_assert_eq(asked_stats()->connections, 1);
}

/* Whose it is knows how to say that it is over. */
Test(plain, is_told_of_a_deadline_and_has_none)
{
    cs_bytes value;

    fake_headers(asked.peer, 1, true, ASKED_HEAD, "grpc-timeout", "1S", NULL);
    asked_settle();
    cr_assert_eq(mux_stream_header(asked.stream, "grpc-timeout", &value), CS_OK);
    cr_assert(cs_same(value, cs_str("1S")));
    cs_loop_advance(asked.talk.loop, 2000);
    cr_assert_eq(asked.ends, 0);
    cr_assert_eq(mux_stream_time_left_ms(asked.stream), CS_FOREVER);
}

Test(plain, may_be_told_of_a_deadline_that_is_none)
{
    fake_headers(asked.peer, 1, true, ASKED_HEAD, "grpc-timeout", "soon", NULL);
    asked_settle();
    cr_assert_eq(asked.offers, 1);
}

Test(plain, has_names_in_bin_as_text)
{
    cs_bytes value;

    fake_headers(asked.peer, 1, true, ASKED_HEAD, "x-what-bin", "AAA=", NULL);
    asked_settle();
    cr_assert_eq(mux_stream_header(asked.stream, "x-what-bin", &value), CS_OK);
    cr_assert(cs_same(value, cs_str("AAA=")));
    cr_assert_eq(mux_stream_set_header(asked.stream, "x-that-bin", cs_str("AQI=")), CS_OK);
    mux_stream_finish(asked.stream, CS_OK, NULL);
    asked_expect("HEADERS 1 end :status=200 x-that-bin=AQI=\n");
}

static void never_granted(bool says)
{
    end();
    begin_with(NULL);
    fake_settings(asked.peer, 4, 0); /* INITIAL_WINDOW_SIZE */
    asked_settle();
    asked_request(true);
    mux_stream_respond(asked.stream, 200);
    mux_stream_send_headers(asked.stream);
    asked_settle();
    if (says)
        asked_send("x", "");
    mux_stream_finish(asked.stream, CS_OK, NULL);
    cs_loop_advance(asked.talk.loop, 46 * 1000);
    asked_settle();
    cr_assert_eq(asked.ends, 1);
    cr_assert_eq(asked_stats()->streams_stalled, 1);
    cr_assert_eq(asked_stats()->streams, 0);
}

Test(plain, does_not_wait_for_ever_for_a_window_that_never_opens)
{
    never_granted(true);
    never_granted(false); /* the end alone waits for it too */
}

static void left_by(bool resets, bool reads)
{
    end();
    begin();
    asked.paused = !reads;
    asked_request(false);
    asked_body("some", false);
    asked_send("some", "");
    asked_settle();
    if (resets) {
        fake_word(asked.peer, FAKE_RST, 1, 8);
    } else {
        fake_free(asked.peer);
        asked.peer = NULL;
    }
    asked_settle();
    cr_assert_eq(asked.ends, 1);
    cr_assert_eq(asked.why, resets ? CS_ECANCELED : CS_EPEER);
    if (!asked.peer)
        asked.peer = fake_client(asked.talk.loop, NULL, asked.talk.handlers);
}

Test(plain, is_left_by_its_client)
{
    left_by(true, true);
    left_by(true, false);
    left_by(false, true);
    left_by(false, false);
}

Test(plain, ends_with_its_server)
{
    asked_request(false);
    mux_handlers_end_local(asked.talk.handlers);
    asked_settle();
    cr_assert_eq(asked.ends, 1);
    cr_assert_eq(asked.why, CS_EDRAIN);
    cr_assert(fake_hung_up(asked.peer));
}

/* ---- Memory ----------------------------------------------------------------------------------- */

static void answer(void)
{
    if (asked.last != CS_DONE)
        return;
    (void)mux_stream_respond(asked.stream, 200);
    (void)mux_stream_set_header(asked.stream, "content-type", cs_str("text/plain"));
    (void)mux_stream_set_trailer(asked.stream, "sum", cs_str("1"));
    mux_stream_finish(asked.stream, mux_stream_send(asked.stream, cs_str("he"), cs_str("llo")),
                      NULL);
}

/* One request, with its nth allocation failing: it ends one way or the other.  False: none failed. */
static bool lives_through(size_t nth)
{
    bool failed;

    begin();
    asked.on_readable = answer;
    failing_arm(nth);
    fake_headers(asked.peer, 1, false, ASKED_HEAD, ASKED_TYPE, "user-agent", "curl/8", NULL);
    talk_settle(&asked.talk);
    fake_frame(asked.peer, FAKE_DATA, FAKE_END, 1, cs_str("body"));
    talk_settle(&asked.talk);
    failed = failing_failed();
    failing_arm(0);
    cr_assert(failed ||
                  strcmp(fake_said(asked.peer), "HEADERS 1 :status=200 content-type=text/plain\n"
                                                "DATA 1 5\nHEADERS 1 end sum=1\n") == 0,
              "%s", fake_said(asked.peer));
    end();
    return failed;
}

Test(plain_memory, survives_every_failed_allocation)
{
    size_t nth = 0, alive;

    failing_count();
    alive = failing_live();
    do
        nth++;
    while (lives_through(nth));
    cr_assert_eq(failing_live(), alive);
    cr_assert_gt(nth, 20);
}
