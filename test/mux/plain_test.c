/* Requests of HTTP/2 that are not gRPC's: what a peer says and sees, and what their taker does. */
#include "base/ref.h"
#include "mux/across.h"
#include "mux/mux__in.h"
#include "test/mux/talk.h"
#include "test/support/failing.h"
#include "test/support/fake_peer.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define HEAD ":method", "PUT", ":scheme", "https", ":path", "/a?b=c", ":authority", "a.example"
#define TYPE "content-type", "application/json"

enum { WINDOW = 65535, BIG = 400 * 1000 };

static struct {
    struct talk talk;
    fake_peer *peer;
    struct { /* where the peer comes to, when it is another loop */
        cs_loop *loop;
        mux_handlers *handlers;
        mux_conn *way;
        int passed;
    } door;
    mux_stream *stream;
    bool leaves; /* nobody takes it */
    bool paused; /* readable takes nothing */
    void (*on_accept)(void), (*on_pull)(void), (*on_readable)(void);
    char heard[256];
    size_t pieces, bytes, longest, sent;
    int offers, ends, writables;
    cs_err last, why;
} t;

/* ---- Who takes them --------------------------------------------------------------------------- */

static void take(void)
{
    cs_bytes piece;

    while ((t.last = mux_stream_recv(t.stream, &piece)) == CS_OK) {
        cr_assert_gt(piece.len, 0);
        if (t.bytes + piece.len < sizeof t.heard)
            memcpy(t.heard + t.bytes, piece.base, piece.len);
        t.bytes += piece.len;
        t.longest = piece.len > t.longest ? piece.len : t.longest;
        t.pieces++;
    }
}

static void on_readable(mux_stream *stream, void *state)
{
    (void)state;
    cr_assert_eq(stream, t.stream);
    if (!t.paused)
        take();
    if (t.on_readable)
        t.on_readable();
}

static void on_writable(mux_stream *stream, void *state)
{
    (void)stream, (void)state;
    t.writables++;
}

static void on_pull(mux_stream *stream, void *state)
{
    (void)stream, (void)state;
    if (t.on_pull)
        t.on_pull();
}

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    (void)state;
    cr_assert_eq(stream, t.stream);
    t.ends++;
    t.why = why;
    t.stream = NULL;
}

static const struct mux_stream_ops ops = {
    .readable = on_readable, .writable = on_writable, .pull = on_pull, .end = on_end};

static void take_in(mux_stream *stream, void *user)
{
    cr_assert_eq(user, &t);
    cr_assert(mux_stream_is_plain(stream));
    t.offers++;
    if (t.leaves || mux_stream_accept(stream, &ops, NULL) != CS_OK)
        return;
    t.stream = stream;
    if (t.on_accept)
        t.on_accept();
}

static void settle(void)
{
    size_t turns;

    do {
        turns = cs_loop_settle(t.talk.loop);
        turns += t.door.loop ? cs_loop_settle(t.door.loop) : 0;
        cr_assert_lt(turns, 100000);
    } while (turns > 0);
}

static void begin_with(const struct mux_options *options)
{
    memset(&t, 0, sizeof t);
    talk_handlers(&t.talk);
    mux_handlers_set_plain(t.talk.handlers, take_in, &t);
    t.peer = fake_client(t.talk.loop, options, t.talk.handlers);
    settle();
    fake_forget(t.peer);
}

static void begin(void)
{
    begin_with(NULL);
}

static void end(void)
{
    fake_free(t.peer);
    settle();
    cr_assert_null(t.stream, "a stream without an end");
    talk_end(&t.talk);
}

TestSuite(plain, .init = begin, .fini = end);

static void request(bool whole)
{
    fake_headers(t.peer, 1, whole, HEAD, TYPE, NULL);
    settle();
}

static void body(const char *text, bool last)
{
    fake_frame(t.peer, FAKE_DATA, last ? FAKE_END : 0, 1, cs_str(text));
    settle();
}

static void expect(const char *frames)
{
    settle();
    cr_assert_str_eq(fake_said(t.peer), frames);
    fake_forget(t.peer);
}

static void send_text(const char *head, const char *tail)
{
    cr_assert_eq(mux_stream_send(t.stream, cs_str(head), cs_str(tail)), CS_OK);
}

static void set(const char *name, const char *value)
{
    cr_assert_eq(mux_stream_set_header(t.stream, name, cs_str(value)), CS_OK, "%s", name);
}

static const struct mux_stats *stats(void)
{
    return mux_handlers_stats(t.talk.handlers);
}

/* ---- The request ------------------------------------------------------------------------------ */

static void has(const char *name, const char *value)
{
    cs_bytes found;

    cr_assert_eq(mux_stream_header(t.stream, name, &found), CS_OK, "%s", name);
    cr_assert(cs_same(found, cs_str(value)), "%s: %.*s", name, CS_FMT(found));
}

Test(plain, shows_its_whole_head)
{
    fake_headers(t.peer, 1, true, HEAD, TYPE, "user-agent", "curl/8", "accept", "*/*",
                 "content-length", "0", NULL);
    settle();
    has(":method", "PUT");
    has(":scheme", "https");
    has(":path", "/a?b=c");
    has(":authority", "a.example");
    has("content-type", "application/json");
    has("user-agent", "curl/8");
    has("accept", "*/*");
    has("content-length", "0");
    cr_assert_eq(t.last, CS_DONE);
    mux_stream_finish(t.stream, CS_OK, NULL);
    expect("HEADERS 1 end :status=200\n");
    cr_assert_eq(t.why, CS_DONE);
    cr_assert_eq(stats()->bad_requests, 0);
}

Test(plain, takes_the_host_for_the_authority)
{
    fake_headers(t.peer, 1, true, ":method", "GET", ":scheme", "http", ":path", "/", "host",
                 "b.example", NULL);
    settle();
    has(":authority", "b.example");
    mux_stream_cancel(t.stream, CS_ECANCELED);
}

/* What is noted of a head must be of this one. */
Test(plain, keeps_heads_apart)
{
    fake_request(t.peer, 1, true, "/no.such/Method");
    fake_headers(t.peer, 3, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority",
                 "b", NULL);
    settle();
    has(":path", "/");
    has(":method", "GET");
    mux_stream_cancel(t.stream, CS_ECANCELED);
}

Test(plain, may_have_the_path_of_a_method)
{
    fake_headers(t.peer, 1, true, ":method", "POST", ":scheme", "http", ":path", TALK_METHOD,
                 ":authority", "a", "content-type", "application/grpc-web+proto", NULL);
    settle();
    cr_assert_eq(t.offers, 1);
    cr_assert_eq(t.talk.accepted, 0);
    has(":path", TALK_METHOD);
    mux_stream_cancel(t.stream, CS_ECANCELED);
}

Test(plain, leaves_grpc_alone)
{
    fake_request(t.peer, 1, true, TALK_METHOD);
    settle();
    cr_assert_eq(t.offers, 0);
    cr_assert_eq(t.talk.accepted, 1);
    cr_assert(!mux_stream_is_plain(t.talk.server[0].stream));
    cr_assert_eq(mux_stream_respond(t.talk.server[0].stream, 200), CS_EMISUSE);
    side_finish(&t.talk.server[0], CS_OK);
}

Test(plain, is_415_as_ever_without_a_function)
{
    mux_handlers_set_plain(t.talk.handlers, NULL, NULL);
    fake_headers(t.peer, 1, true, ":method", "POST", ":scheme", "http", ":path", TALK_METHOD,
                 ":authority", "a", TYPE, NULL);
    expect("HEADERS 1 end :status=415\n");
    cr_assert_eq(t.offers, 0);
}

Test(plain, is_404_when_nobody_takes_it)
{
    t.leaves = true;
    request(true);
    expect("HEADERS 1 end :status=404\n");
    cr_assert_eq(stats()->bad_requests, 1);
    cr_assert_eq(stats()->streams, 0);
}

Test(plain, is_431_with_a_head_that_is_too_long)
{
    end();
    begin_with(&(struct mux_options){.header_max_bytes = 300});
    fake_headers(t.peer, 1, true, HEAD, "a", "one", "b", "two", "c", "three", "d", "four", NULL);
    expect("HEADERS 1 end :status=431\n");
    cr_assert_eq(t.offers, 0);
    cr_assert_eq(stats()->headers_refused, 1);
}

/* ---- Its body --------------------------------------------------------------------------------- */

Test(plain, receives_pieces_as_they_come)
{
    request(false);
    body("one", false);
    cr_assert_eq(t.last, CS_AGAIN);
    body("x", false);
    body("", false);
    body("three", true);
    cr_assert_str_eq(t.heard, "onexthree");
    cr_assert_eq(t.pieces, 3);
    cr_assert_eq(t.last, CS_DONE);
    mux_stream_finish(t.stream, CS_OK, NULL);
    expect("HEADERS 1 end :status=200\n");
}

static void pour_up(size_t bytes)
{
    static const char zeros[1000];

    for (; bytes > 0; bytes -= bytes < sizeof zeros ? bytes : sizeof zeros)
        fake_frame(t.peer, FAKE_DATA, 0, 1,
                   cs_bytes_of(zeros, bytes < sizeof zeros ? bytes : sizeof zeros));
    settle();
}

Test(plain, opens_its_window_as_pieces_are_taken)
{
    end();
    begin_with(&(struct mux_options){.message_max_bytes = 1000});
    t.paused = true;
    request(false);
    pour_up(WINDOW);
    cr_assert_eq(strstr(fake_said(t.peer), "WINDOW 1 "), NULL);
    t.paused = false;
    take();
    settle();
    cr_assert_eq(t.bytes, WINDOW);
    cr_assert_neq(strstr(fake_said(t.peer), "WINDOW 1 "), NULL);
    pour_up(WINDOW / 2);
    cr_assert_eq(t.bytes, WINDOW + WINDOW / 2, "and no message is too long here");
    mux_stream_cancel(t.stream, CS_ECANCELED);
}

/* ---- The answer ------------------------------------------------------------------------------- */

Test(plain, answers_with_what_it_says_and_no_more)
{
    request(true);
    cr_assert_eq(mux_stream_respond(t.stream, 99), CS_EMISUSE);
    cr_assert_eq(mux_stream_respond(t.stream, 600), CS_EMISUSE);
    cr_assert_eq(mux_stream_respond(t.stream, 201), CS_OK);
    cr_assert_eq(mux_stream_respond(t.stream, 201), CS_EMISUSE, "once");
    set("content-type", "text/plain");
    set("content-length", "5");
    set("set-cookie", "a=1");
    set("set-cookie", "b=\"2\"");
    send_text("he", "llo");
    cr_assert_eq(mux_stream_set_header(t.stream, "too", cs_str("late")), CS_EMISUSE);
    mux_stream_finish(t.stream, CS_OK, NULL);
    settle();
    cr_assert_str_eq(fake_text(t.peer), "hello");
    expect("HEADERS 1 :status=201 content-type=text/plain content-length=5 set-cookie=a=1 "
           "set-cookie=b=\"2\"\nDATA 1 end 5\n");
    cr_assert_eq(t.why, CS_DONE);
    cr_assert_eq(t.ends, 1);
}

Test(plain, says_its_head_and_its_end_when_told_to)
{
    request(true);
    mux_stream_respond(t.stream, 200);
    mux_stream_send_headers(t.stream);
    expect("HEADERS 1 :status=200\n");
    send_text("", "a");
    cr_assert_eq(mux_stream_send(t.stream, cs_str(""), cs_str("")), CS_OK);
    expect("DATA 1 1\n");
    mux_stream_finish(t.stream, CS_OK, NULL);
    expect("DATA 1 end 0\n");
    cr_assert_eq(t.why, CS_DONE);
}

Test(plain, says_nothing_of_the_connection)
{
    static const char *const bad[] = {
        "connection", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding",
        "te",         "Upper",      ":status",          "a b",     "",
        "a:b"};
    static const char *const values[] = {"a\r\nb: c", " a", "a ", "\x7f", "a\n"};

    request(true);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(mux_stream_set_header(t.stream, bad[i], cs_str("v")), CS_EMISUSE, "%s",
                     bad[i]);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        cr_assert_eq(mux_stream_set_header(t.stream, "a", cs_str(values[i])), CS_EMISUSE, "%s",
                     values[i]);
    cr_assert_eq(mux_stream_set_header(t.stream, "a", cs_bytes_of("a\0b", 3)), CS_EMISUSE);
    set("a!", "caf\xc3\xa9\tnoir");
    set("empty", "");
    mux_stream_finish(t.stream, CS_OK, NULL);
    expect("HEADERS 1 end :status=200 a!=caf\xc3\xa9\tnoir empty=\n");
}

Test(plain, has_trailers_if_there_are_any)
{
    request(true);
    cr_assert_eq(mux_stream_set_trailer(t.stream, "sum", cs_str("7")), CS_OK);
    send_text("x", "");
    mux_stream_finish(t.stream, CS_OK, NULL);
    expect("HEADERS 1 :status=200\nDATA 1 1\nHEADERS 1 end sum=7\n");
    cr_assert_eq(t.why, CS_DONE);
}

Test(plain, has_trailers_behind_nothing_too)
{
    request(true);
    cr_assert_eq(mux_stream_set_trailer(t.stream, "sum", cs_str("0")), CS_OK);
    mux_stream_finish(t.stream, CS_OK, NULL);
    expect("HEADERS 1 :status=200\nHEADERS 1 end sum=0\n");
    cr_assert_eq(t.why, CS_DONE);
}

Test(plain, sends_references)
{
    static const char big[MUX__OUT_SHORT * 2] = {'b'};
    cs_ref ref;

    request(true);
    cr_assert_eq(cs_ref_copy(cs_bytes_of(big, sizeof big), &ref), CS_OK);
    cr_assert_eq(mux_stream_send_ref(t.stream, cs_str("a"), &ref), CS_OK);
    cr_assert_null(ref.block);
    cr_assert_eq(cs_ref_copy(cs_bytes_of(big, sizeof big), &ref), CS_OK);
    cr_assert_eq(mux_stream_send_ref(t.stream, cs_str(""), &ref), CS_OK);
    mux_stream_finish(t.stream, CS_OK, NULL);
    settle();
    cr_assert_eq(fake_heard(t.peer), 1 + 2 * sizeof big);
    cr_assert_eq(memcmp(fake_text(t.peer), "ab", 3), 0);
}

static void pull_some(void)
{
    char bytes[3000];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = 'p';
    while (t.sent < BIG && mux_stream_room(t.stream) > 0) {
        size_t n = BIG - t.sent < sizeof bytes ? BIG - t.sent : sizeof bytes;

        cr_assert_eq(mux_stream_send(t.stream, cs_bytes_of(NULL, 0), cs_bytes_of(bytes, n)), CS_OK);
        t.sent += n;
    }
    if (t.sent == BIG)
        mux_stream_finish(t.stream, CS_OK, NULL);
}

Test(plain, is_pulled_as_far_as_the_window_goes)
{
    t.on_pull = pull_some;
    request(true);
    mux_stream_wake(t.stream);
    settle();
    cr_assert_eq(fake_heard(t.peer), WINDOW);
    cr_assert_lt(t.sent, WINDOW + 3000 + MUX__SEND_MAX, "nobody is asked for what cannot go");
    fake_word(t.peer, FAKE_WINDOW, 0, BIG);
    fake_word(t.peer, FAKE_WINDOW, 1, BIG);
    settle();
    cr_assert_eq(fake_heard(t.peer), BIG);
    cr_assert_eq(t.why, CS_DONE);
}

Test(plain, is_told_when_there_is_room_again)
{
    char bytes[20 * 1000] = {0};

    request(true);
    while (mux_stream_send(t.stream, cs_bytes_of(bytes, sizeof bytes), cs_str("")) == CS_OK)
        settle();
    cr_assert_eq(t.writables, 0);
    fake_word(t.peer, FAKE_WINDOW, 0, BIG);
    fake_word(t.peer, FAKE_WINDOW, 1, BIG);
    settle();
    cr_assert_eq(t.writables, 1);
    mux_stream_cancel(t.stream, CS_ECANCELED);
}

/* The peer who still talks is told that nobody listens, without blame. */
Test(plain, may_be_answered_before_its_end)
{
    request(false);
    mux_stream_respond(t.stream, 413);
    send_text("no", "");
    mux_stream_finish(t.stream, CS_OK, NULL);
    expect("HEADERS 1 :status=413\nDATA 1 end 2\nRST_STREAM 1 0\n");
    cr_assert_eq(t.why, CS_DONE);
    cr_assert_eq(stats()->streams, 0);
}

/* ---- Failures --------------------------------------------------------------------------------- */

Test(plain, fails_with_500_when_nothing_was_said)
{
    request(true);
    mux_stream_respond(t.stream, 200);
    set("content-type", "text/html");
    mux_stream_finish(t.stream, CS_EABORTED, "words for the log");
    expect("HEADERS 1 end :status=500\n");
    cr_assert_eq(t.why, CS_EABORTED);
}

Test(plain, is_reset_when_something_was)
{
    for (int i = 0; i < 200; i++) { /* which costs the peer nothing: see faults_max */
        const int32_t id = 2 * i + 1;

        fake_headers(t.peer, id, true, HEAD, NULL);
        settle();
        send_text("half", "");
        settle();
        fake_forget(t.peer);
        mux_stream_abort(t.stream, CS_EABORTED, NULL);
        settle();
        cr_assert_neq(strstr(fake_said(t.peer), " 2\n"), NULL, "INTERNAL_ERROR: %s",
                      fake_said(t.peer));
        cr_assert_eq(t.why, CS_EABORTED);
    }
    cr_assert_eq(stats()->cut_faults, 0);
    cr_assert_eq(stats()->connections, 1);
}

/* Whose it is knows how to say that it is over. */
Test(plain, is_told_of_a_deadline_and_has_none)
{
    cs_bytes value;

    fake_headers(t.peer, 1, true, HEAD, "grpc-timeout", "1S", NULL);
    settle();
    cr_assert_eq(mux_stream_header(t.stream, "grpc-timeout", &value), CS_OK);
    cr_assert(cs_same(value, cs_str("1S")));
    cs_loop_advance(t.talk.loop, 2000);
    cr_assert_eq(t.ends, 0);
    cr_assert_eq(mux_stream_time_left_ms(t.stream), CS_FOREVER);
}

Test(plain, may_be_told_of_a_deadline_that_is_none)
{
    fake_headers(t.peer, 1, true, HEAD, "grpc-timeout", "soon", NULL);
    settle();
    cr_assert_eq(t.offers, 1);
}

Test(plain, has_names_in_bin_as_text)
{
    cs_bytes value;

    fake_headers(t.peer, 1, true, HEAD, "x-what-bin", "AAA=", NULL);
    settle();
    cr_assert_eq(mux_stream_header(t.stream, "x-what-bin", &value), CS_OK);
    cr_assert(cs_same(value, cs_str("AAA=")));
    cr_assert_eq(mux_stream_set_header(t.stream, "x-that-bin", cs_str("AQI=")), CS_OK);
    mux_stream_finish(t.stream, CS_OK, NULL);
    expect("HEADERS 1 end :status=200 x-that-bin=AQI=\n");
}

static void never_granted(bool says)
{
    end();
    begin_with(NULL);
    fake_settings(t.peer, 4, 0); /* INITIAL_WINDOW_SIZE */
    settle();
    request(true);
    mux_stream_respond(t.stream, 200);
    mux_stream_send_headers(t.stream);
    settle();
    if (says)
        send_text("x", "");
    mux_stream_finish(t.stream, CS_OK, NULL);
    cs_loop_advance(t.talk.loop, 46 * 1000);
    settle();
    cr_assert_eq(t.ends, 1);
    cr_assert_eq(stats()->streams_stalled, 1);
    cr_assert_eq(stats()->streams, 0);
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
    t.paused = !reads;
    request(false);
    body("some", false);
    send_text("some", "");
    settle();
    if (resets) {
        fake_word(t.peer, FAKE_RST, 1, 8);
    } else {
        fake_free(t.peer);
        t.peer = NULL;
    }
    settle();
    cr_assert_eq(t.ends, 1);
    cr_assert_eq(t.why, resets ? CS_ECANCELED : CS_EPEER);
    if (!t.peer)
        t.peer = fake_client(t.talk.loop, NULL, t.talk.handlers);
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
    request(false);
    mux_handlers_end_local(t.talk.handlers);
    settle();
    cr_assert_eq(t.ends, 1);
    cr_assert_eq(t.why, CS_EDRAIN);
    cr_assert(fake_hung_up(t.peer));
}

/* ---- From another loop ------------------------------------------------------------------------ */

static void on_passed_end(void *user)
{
    (void)user;
    t.door.passed--;
}

static void pass(mux_stream *stream, void *user)
{
    const struct mux_pass how = {.to = t.door.way, .end = on_passed_end};

    (void)user;
    cr_assert_eq(mux_stream_pass(stream, &how), CS_OK);
    t.door.passed++;
}

static void begin_across(void)
{
    static const struct mux_options options = {.message_max_bytes = CS_OFF};

    memset(&t, 0, sizeof t);
    talk_handlers(&t.talk);
    mux_handlers_set_plain(t.talk.handlers, take_in, &t);
    cr_assert_eq(cs_loop_new_virtual(&t.door.loop), CS_OK);
    cr_assert_eq(mux_handlers_new(&t.door.handlers), CS_OK);
    mux_handlers_set_plain(t.door.handlers, pass, NULL);
    cr_assert_eq(mux_dial_across(t.door.loop, &options, t.talk.loop, t.talk.handlers, &t.door.way),
                 CS_OK);
    t.peer = fake_client(t.door.loop, NULL, t.door.handlers);
    settle();
    fake_forget(t.peer);
}

static void end_across(void)
{
    if (t.peer)
        fake_free(t.peer);
    settle();
    mux_conn_free(t.door.way);
    settle();
    mux_handlers_free(t.door.handlers);
    settle();
    cr_assert_null(t.stream, "a stream without an end");
    cr_assert_eq(t.door.passed, 0);
    talk_end(&t.talk);
    cs_loop_free(t.door.loop);
}

TestSuite(plain_across, .init = begin_across, .fini = end_across);

Test(plain_across, is_the_same_there)
{
    request(false);
    has(":method", "PUT");
    has(":path", "/a?b=c");
    has(":authority", "a.example");
    has("content-type", "application/json");
    body("one", false);
    body("two", true);
    cr_assert_str_eq(t.heard, "onetwo");
    cr_assert_eq(t.last, CS_DONE);
    cr_assert_eq(mux_stream_respond(t.stream, 201), CS_OK);
    set("content-type", "text/plain");
    set("status", "not that one");
    set("set-cookie", "a=1");
    set("set-cookie", "b=2");
    send_text("he", "llo");
    settle();
    cr_assert_str_eq(fake_text(t.peer), "hello");
    mux_stream_finish(t.stream, CS_OK, NULL);
    expect("HEADERS 1 :status=201 content-type=text/plain status=not that one set-cookie=a=1 "
           "set-cookie=b=2\nDATA 1 5\nDATA 1 end 0\n");
    cr_assert_eq(t.why, CS_DONE);
}

Test(plain_across, may_have_no_body)
{
    request(true);
    mux_stream_respond(t.stream, 304);
    set("etag", "\"1\"");
    mux_stream_finish(t.stream, CS_OK, NULL);
    expect("HEADERS 1 :status=304 etag=\"1\"\nDATA 1 end 0\n");
    cr_assert_eq(t.why, CS_DONE);
}

Test(plain_across, is_404_when_nobody_takes_it)
{
    t.leaves = true;
    request(true);
    expect("HEADERS 1 :status=404\nDATA 1 end 0\n");
}

Test(plain_across, fails_as_it_does_here)
{
    request(true);
    mux_stream_finish(t.stream, CS_EABORTED, NULL);
    expect("HEADERS 1 end :status=500\n");
    fake_headers(t.peer, 3, true, HEAD, NULL);
    settle();
    send_text("half", "");
    settle();
    fake_forget(t.peer);
    mux_stream_abort(t.stream, CS_EABORTED, NULL);
    expect("RST_STREAM 3 2\n");
}

Test(plain_across, is_held_up_by_the_peers_window)
{
    t.on_pull = pull_some;
    request(true);
    mux_stream_wake(t.stream);
    settle();
    cr_assert_eq(fake_heard(t.peer), WINDOW);
    cr_assert_lt(t.sent, BIG, "what is under way between the two is all that is ahead");
    fake_word(t.peer, FAKE_WINDOW, 0, BIG);
    fake_word(t.peer, FAKE_WINDOW, 1, BIG);
    settle();
    cr_assert_eq(fake_heard(t.peer), BIG);
    cr_assert_eq(t.why, CS_DONE);
}

Test(plain_across, hears_that_its_client_left)
{
    request(false);
    body("some", false);
    fake_word(t.peer, FAKE_RST, 1, 8);
    settle();
    cr_assert_eq(t.ends, 1);
    fake_headers(t.peer, 3, false, HEAD, NULL);
    settle();
    fake_free(t.peer);
    t.peer = NULL;
    settle();
    cr_assert_eq(t.ends, 2);
}

/* ---- Memory ----------------------------------------------------------------------------------- */

static void answer(void)
{
    if (t.last != CS_DONE)
        return;
    (void)mux_stream_respond(t.stream, 200);
    (void)mux_stream_set_header(t.stream, "content-type", cs_str("text/plain"));
    (void)mux_stream_set_trailer(t.stream, "sum", cs_str("1"));
    mux_stream_finish(t.stream, mux_stream_send(t.stream, cs_str("he"), cs_str("llo")), NULL);
}

/* One request, with its nth allocation failing: it ends one way or the other.  False: none failed. */
static bool lives_through(size_t nth)
{
    bool failed;

    begin();
    t.on_readable = answer;
    failing_arm(nth);
    fake_headers(t.peer, 1, false, HEAD, TYPE, "user-agent", "curl/8", NULL);
    talk_settle(&t.talk);
    fake_frame(t.peer, FAKE_DATA, FAKE_END, 1, cs_str("body"));
    talk_settle(&t.talk);
    failed = failing_failed();
    failing_arm(0);
    cr_assert(failed || strcmp(fake_said(t.peer), "HEADERS 1 :status=200 content-type=text/plain\n"
                                                  "DATA 1 5\nHEADERS 1 end sum=1\n") == 0,
              "%s", fake_said(t.peer));
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
