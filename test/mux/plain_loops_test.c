/* Requests of HTTP/2 that are not gRPC's, which come to one loop and are taken at another. */
#include "mux/across.h"
#include "test/mux/asked.h"

#include <criterion/criterion.h>

static void on_passed_end(void *user)
{
    (void)user;
    asked.door.passed--;
}

static void pass(mux_stream *stream, void *user)
{
    const struct mux_pass how = {.to = asked.door.way, .end = on_passed_end};

    (void)user;
    cr_assert_eq(mux_stream_pass(stream, &how), CS_OK);
    asked.door.passed++;
}

static void begin_across(void)
{
    static const struct mux_options options = {.message_max_bytes = CS_OFF};

    memset(&asked, 0, sizeof asked);
    talk_handlers(&asked.talk);
    mux_handlers_set_plain(asked.talk.handlers, asked_take_in, &asked);
    cr_assert_eq(cs_loop_new_virtual(&asked.door.loop), CS_OK);
    cr_assert_eq(mux_handlers_new(&asked.door.handlers), CS_OK);
    mux_handlers_set_plain(asked.door.handlers, pass, NULL);
    cr_assert_eq(mux_dial_across(asked.door.loop, &options, asked.talk.loop, asked.talk.handlers,
                                 &asked.door.way),
                 CS_OK);
    asked.peer = fake_client(asked.door.loop, NULL, asked.door.handlers);
    asked_settle();
    fake_forget(asked.peer);
}

static void end_across(void)
{
    if (asked.peer)
        fake_free(asked.peer);
    asked_settle();
    mux_conn_free(asked.door.way);
    asked_settle();
    mux_handlers_free(asked.door.handlers);
    asked_settle();
    cr_assert_null(asked.stream, "a stream without an end");
    cr_assert_eq(asked.door.passed, 0);
    talk_end(&asked.talk);
    cs_loop_free(asked.door.loop);
}

TestSuite(plain_across, .init = begin_across, .fini = end_across);

Test(plain_across, is_the_same_there)
{
    asked_request(false);
    asked_has(":method", "PUT");
    asked_has(":path", "/a?b=c");
    asked_has(":authority", "a.example");
    asked_has("content-type", "application/json");
    asked_body("one", false);
    asked_body("two", true);
    cr_assert_str_eq(asked.heard, "onetwo");
    cr_assert_eq(asked.last, CS_DONE);
    cr_assert_eq(mux_stream_respond(asked.stream, 201), CS_OK);
    asked_set("content-type", "text/plain");
    asked_set("status", "not that one");
    asked_set("set-cookie", "a=1");
    asked_set("set-cookie", "b=2");
    asked_send("he", "llo");
    asked_settle();
    cr_assert_str_eq(fake_text(asked.peer), "hello");
    mux_stream_finish(asked.stream, CS_OK, NULL);
    asked_expect("HEADERS 1 :status=201 content-type=text/plain status=not that one set-cookie=a=1 "
                 "set-cookie=b=2\nDATA 1 5\nDATA 1 end 0\n");
    cr_assert_eq(asked.why, CS_DONE);
}

Test(plain_across, may_have_no_body)
{
    asked_request(true);
    mux_stream_respond(asked.stream, 304);
    asked_set("etag", "\"1\"");
    mux_stream_finish(asked.stream, CS_OK, NULL);
    asked_expect("HEADERS 1 :status=304 etag=\"1\"\nDATA 1 end 0\n");
    cr_assert_eq(asked.why, CS_DONE);
}

Test(plain_across, is_404_when_nobody_takes_it)
{
    asked.leaves = true;
    asked_request(true);
    asked_expect("HEADERS 1 :status=404\nDATA 1 end 0\n");
}

Test(plain_across, fails_as_it_does_here)
{
    asked_request(true);
    mux_stream_finish(asked.stream, CS_EABORTED, NULL);
    asked_expect("HEADERS 1 end :status=500\n");
    fake_headers(asked.peer, 3, true, ASKED_HEAD, NULL);
    asked_settle();
    asked_send("half", "");
    asked_settle();
    fake_forget(asked.peer);
    mux_stream_abort(asked.stream, CS_EABORTED, NULL);
    asked_expect("RST_STREAM 3 2\n");
}

Test(plain_across, is_held_up_by_the_peers_window)
{
    asked.on_pull = asked_pull;
    asked_request(true);
    mux_stream_wake(asked.stream);
    asked_settle();
    cr_assert_eq(fake_heard(asked.peer), ASKED_WINDOW);
    cr_assert_lt(asked.sent, ASKED_BIG, "what is under way between the two is all that is ahead");
    fake_word(asked.peer, FAKE_WINDOW, 0, ASKED_BIG);
    fake_word(asked.peer, FAKE_WINDOW, 1, ASKED_BIG);
    asked_settle();
    cr_assert_eq(fake_heard(asked.peer), ASKED_BIG);
    cr_assert_eq(asked.why, CS_DONE);
}

Test(plain_across, hears_that_its_client_left)
{
    asked_request(false);
    asked_body("some", false);
    fake_word(asked.peer, FAKE_RST, 1, 8);
    asked_settle();
    cr_assert_eq(asked.ends, 1);
    fake_headers(asked.peer, 3, false, ASKED_HEAD, NULL);
    asked_settle();
    fake_free(asked.peer);
    asked.peer = NULL;
    asked_settle();
    cr_assert_eq(asked.ends, 2);
}
