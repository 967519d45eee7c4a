#include "test/mux/talk.h"
#include "test/support/fake_peer.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* ---- The ends of a client's call against servers that do as they please --------------------- */

static struct talk t;
static fake_peer *peer;

static struct side *call_a_fake(const struct mux_options *options)
{
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    peer = fake_server(t.loop, options, &t.conn);
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    return c;
}

static void hang_up(void)
{
    mux_conn_free(t.conn);
    talk_settle(&t);
    fake_free(peer);
    cs_loop_free(t.loop);
}

static void expect_end(const struct side *s, cs_err why, const char *words)
{
    talk_settle(&t);
    cr_assert_eq(s->ends, 1, "%d ends", s->ends);
    cr_assert_eq(s->why, why, "%s: %s", cs_strerror(s->why), s->errmsg);
    cr_assert(strstr(s->errmsg, words), "%s", s->errmsg);
}

static void expect_said(const char *line)
{
    talk_settle(&t);
    cr_assert(strstr(fake_said(peer), line), "no \"%s\" in:\n%s", line, fake_said(peer));
}

Test(call, a_request_is_spelt_as_grpc_wants_it)
{
    const struct mux_call_options options = {.timeout_ms = 1500};
    struct side *c = call_a_fake(NULL);
    expect_said("HEADERS 1 :method=POST :scheme=http :path=/test.Talk/Call :authority=fake "
                "te=trailers content-type=application/grpc user-agent=grpc-c-chanserv/0.1\n");
    talk_open_with(&t, 1, &options);
    expect_said("HEADERS 3 :method=POST :scheme=http :path=/test.Talk/Call :authority=fake "
                "te=trailers content-type=application/grpc user-agent=grpc-c-chanserv/0.1 "
                "grpc-timeout=1500m\n");
    side_send(c, "abc");
    side_finish(c, CS_OK);
    expect_said("DATA 1 end 8\n");
    hang_up();
}

Test(call, a_stream_that_ends_without_a_status_is_cut)
{
    struct side *c = call_a_fake(NULL);
    fake_answer(peer, 1);
    fake_message(peer, 1, "one", true);
    expect_end(c, CS_EPROTO, "without a status");
    cr_assert_str_eq(c->text, "one|");
    hang_up();
}

Test(call, a_message_that_is_cut_is_no_good_end)
{
    struct side *c = call_a_fake(NULL);
    fake_answer(peer, 1);
    fake_frame(peer, FAKE_DATA, 0, 1, cs_bytes_of("\0\0\0\0\4ab", 7));
    fake_headers(peer, 1, true, "grpc-status", "0", NULL);
    expect_end(c, CS_EPROTO, "in the middle of a message");
    hang_up();
}

Test(call, a_compressed_message_breaks_the_framing)
{
    struct side *c = call_a_fake(NULL);
    fake_answer(peer, 1);
    fake_frame(peer, FAKE_DATA, 0, 1, cs_bytes_of("\1\0\0\0\1a", 6));
    expect_end(c, CS_EPROTO, "");
    cr_assert_eq(c->last, CS_EPROTO);
    expect_said("RST_STREAM 1 8\n");
    hang_up();
}

Test(call, a_message_over_the_limit_ends_the_call)
{
    const struct mux_options options = {.message_max_bytes = 10};
    struct side *c = call_a_fake(&options);
    fake_answer(peer, 1);
    fake_message(peer, 1, "0123456789", false);
    fake_message(peer, 1, "0123456789a", false);
    expect_end(c, CS_ETOOBIG, "");
    cr_assert_str_eq(c->text, "0123456789|");
    expect_said("RST_STREAM 1 8\n");
    hang_up();
}

Test(call, a_status_in_the_first_headers_does_not_make_a_cut_stream_whole)
{
    struct side *c = call_a_fake(NULL);
    fake_headers(peer, 1, false, ":status", "200", "content-type", "application/grpc",
                 "grpc-status", "0", NULL);
    fake_message(peer, 1, "one", true);
    expect_end(c, CS_EPROTO, "without a status");
    hang_up();
}

Test(call, informational_headers_are_passed_over)
{
    struct side *c = call_a_fake(NULL);
    fake_headers(peer, 1, false, ":status", "103", "link", "x", NULL);
    talk_settle(&t);
    cr_assert_eq(c->readables, 0);
    fake_headers(peer, 1, false, ":status", "200", "content-type", "application/grpc", "real", "1",
                 NULL);
    talk_settle(&t);
    size_t n;
    (void)mux_stream_headers(c->stream, &n);
    cr_assert_eq(n, 1);
    fake_headers(peer, 1, true, "grpc-status", "0", NULL);
    expect_end(c, CS_DONE, "");
    hang_up();
}

Test(call, an_http_status_is_translated)
{
    struct side *c = call_a_fake(NULL);
    fake_headers(peer, 1, true, ":status", "503", "content-type", "text/html", NULL);
    expect_end(c, CS_EUNAVAIL, "HTTP status 503");
    hang_up();
}

Test(call, resets_are_translated)
{
    static const struct {
        uint32_t code;
        cs_err why;
        const char *words;
    } rows[] = {{8, CS_ECANCELED, "CANCEL"},           {11, CS_ELIMIT, "ENHANCE_YOUR_CALM"},
                {12, CS_EPERM, "INADEQUATE_SECURITY"}, {2, CS_EINTERNAL, "INTERNAL_ERROR"},
                {0, CS_EINTERNAL, "NO_ERROR"},         {7, CS_EUNAVAIL, "REFUSED_STREAM"},
                {77, CS_EINTERNAL, "unknown code"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static const struct talk none;
        t = none;
        struct side *c = call_a_fake(NULL);
        fake_word(peer, FAKE_RST, 1, rows[i].code);
        expect_end(c, rows[i].why, rows[i].words);
        hang_up();
    }
}

Test(call, a_status_that_is_no_number_is_unknown)
{
    struct side *c = call_a_fake(NULL);
    fake_headers(peer, 1, true, ":status", "200", "grpc-status", "fine", "grpc-message",
                 "a%20b%c3%bc%zz", NULL);
    expect_end(c, CS_EUNKNOWN, "UNKNOWN: a b\xc3\xbc%zz");
    hang_up();
}

Test(call, a_reason_makes_the_status_exact)
{
    struct side *c = call_a_fake(NULL);
    fake_answer(peer, 1);
    fake_headers(peer, 1, true, "grpc-status", "15", "chanserv-reason", "lost", NULL);
    expect_end(c, CS_ELOST, "DATA_LOSS");
    hang_up();
}

Test(call, trailers_win_over_what_comes_later)
{
    struct side *c = call_a_fake(NULL);
    fake_answer(peer, 1);
    fake_headers(peer, 1, true, "grpc-status", "5", NULL);
    fake_word(peer, FAKE_RST, 1, 8);
    fake_goaway(peer, 0, 0);
    expect_end(c, CS_ENOENT, "NOT_FOUND");
    hang_up();
}

Test(call, a_server_that_has_ended_is_told_that_nothing_more_comes)
{
    struct side *c = call_a_fake(NULL);
    fake_headers(peer, 1, true, ":status", "200", "grpc-status", "0", NULL);
    expect_end(c, CS_DONE, "");
    expect_said("RST_STREAM 1 8\n");
    hang_up();
}

static void last_word(struct side *c)
{
    side_finish(c, CS_OK);
}

Test(call, a_last_word_that_was_not_sent_yet_leaves_nothing_half_open)
{
    struct side *c = call_a_fake(NULL);
    fake_answer(peer, 1);
    talk_settle(&t);
    c->on_readable = last_word; /* in the CALL phase; the trailers are read in the same turn's IO */
    fake_headers(peer, 1, true, "grpc-status", "0", NULL);
    mux_stream_resume(c->stream);
    side_finish(c, CS_OK);
    expect_end(c, CS_DONE, "");
    cr_assert(strstr(fake_said(peer), "DATA 1 end 0\n") ||
                  strstr(fake_said(peer), "RST_STREAM 1 8\n"),
              "%s", fake_said(peer));
    hang_up();
}

Test(call, a_goaway_below_the_id_says_that_it_never_ran)
{
    struct side *c = call_a_fake(NULL), *d = talk_open(&t, 1);
    talk_settle(&t);
    fake_goaway(peer, 1, 0);
    expect_end(d, CS_EDRAIN, "going away");
    cr_assert_eq(c->ends, 0);
    struct side *late = talk_open(&t, 2);
    expect_end(late, CS_EREFUSED, "connection is gone"); /* here nobody answers a second dial */
    fake_answer(peer, 1);
    fake_headers(peer, 1, true, "grpc-status", "0", NULL);
    expect_end(c, CS_DONE, "");
    cr_assert(fake_hung_up(peer));
    hang_up();
}

/* ---- What never ran may be made again -------------------------------------------------------- */

Test(call, what_the_peer_refused_never_ran)
{
    struct side *c = call_a_fake(NULL);
    fake_word(peer, FAKE_RST, 1, 7);
    expect_end(c, CS_EUNAVAIL, "did not run it");
    cr_assert(c->never_ran);
    hang_up();
}

Test(call, what_a_goaway_leaves_out_never_ran_and_what_it_counts_may_have)
{
    struct side *c = call_a_fake(NULL), *d = talk_open(&t, 1);
    talk_settle(&t);
    fake_goaway(peer, 1, 0);
    expect_end(d, CS_EDRAIN, "going away");
    cr_assert(d->never_ran);
    mux_conn_break(t.conn);
    talk_settle(&t);
    cr_assert_eq(c->ends, 1);
    cr_assert_not(c->never_ran, "it was out when the connection broke");
    hang_up();
}

Test(call, a_request_that_was_out_may_have_run_whatever_else_the_reset_says)
{
    static const uint32_t codes[] = {0, 2, 8, 11, 77};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        static const struct talk none;
        t = none;
        struct side *c = call_a_fake(NULL);
        fake_word(peer, FAKE_RST, 1, codes[i]);
        talk_settle(&t);
        cr_assert_eq(c->ends, 1);
        cr_assert_not(c->never_ran, "code %u", codes[i]);
        hang_up();
    }
}

Test(call, an_answer_that_begins_is_a_sign_of_life_even_if_it_is_refused_then)
{
    struct side *c = call_a_fake(NULL), *d = talk_open(&t, 1);
    talk_settle(&t);
    fake_answer(peer, 1);
    fake_word(peer, FAKE_RST, 1, 7);
    fake_headers(peer, 3, true, ":status", "200", "grpc-status", "14", NULL);
    talk_settle(&t);
    cr_assert(c->ends == 1 && !c->never_ran);
    cr_assert(d->ends == 1 && !d->never_ran, "a status is for the layer above to judge");
    hang_up();
}

Test(call, what_was_given_up_before_it_left_never_ran)
{
    struct side *c = call_a_fake(NULL), *d = talk_open(&t, 1);
    mux_stream_cancel(c->stream, CS_ECANCELED);
    mux_stream_cancel(d->stream, CS_ECANCELED);
    talk_settle(&t);
    cr_assert_not(c->never_ran, "its request was out");
    cr_assert(d->never_ran);
    cr_assert_not(strstr(fake_said(peer), "HEADERS 3"), "%s", fake_said(peer));
    hang_up();
}

Test(call, an_answer_with_too_many_fields_ends_the_call_here)
{
    const struct mux_options options = {.header_max_bytes = 200};
    struct side *c = call_a_fake(&options);
    fake_headers(peer, 1, false, ":status", "200", "a", "0123456789", "b", "0123456789", "c",
                 "0123456789", "d", "0123456789", "e", "0123456789", NULL);
    expect_end(c, CS_ELIMIT, "header fields");
    expect_said("RST_STREAM 1 2\n");
    cr_assert_null(strstr(strstr(fake_said(peer), "RST_STREAM") + 1, "RST_STREAM"), "once");
    hang_up();
}

Test(call, what_breaks_http2_ends_the_connection_with_a_goaway)
{
    struct side *c = call_a_fake(NULL);
    fake_frame(peer, FAKE_DATA, 0, 0, cs_bytes_of("x", 1));
    expect_end(c, CS_EPROTO, "broke the rules");
    expect_said("GOAWAY 0 0 1\n");
    cr_assert(fake_hung_up(peer));
    hang_up();
}

Test(call, what_is_not_http2_at_all_ends_the_connection)
{
    struct side *c = call_a_fake(NULL);
    fake_frame(peer, 'H', 'T', 0x2f312e31, cs_bytes_of("1.1 400 Bad Request\r\n", 21));
    for (int i = 0; i < 10000; i++)
        fake_frame(peer, FAKE_SETTINGS, 0, 0, cs_bytes_of("bad", 3));
    talk_settle(&t);
    cr_assert_eq(c->ends, 1);
    cr_assert(cs_failed(c->why));
    hang_up();
}

/* ---- Requests that clients may send --------------------------------------------------------- */

static void serve_a_fake(const struct mux_options *options)
{
    talk_handlers(&t);
    peer = fake_client(t.loop, options, t.handlers);
    talk_settle(&t);
    fake_forget(peer);
}

static void leave(void)
{
    mux_handlers_free(t.handlers);
    talk_settle(&t);
    for (int i = 0; i < 4; i++)
        cr_assert(!t.server[i].stream);
    fake_free(peer);
    cs_loop_free(t.loop);
}

Test(call, a_get_is_answered_405)
{
    serve_a_fake(NULL);
    fake_headers(peer, 1, true, ":method", "GET", ":scheme", "http", ":path", TALK_METHOD,
                 ":authority", "fake", NULL);
    expect_said("HEADERS 1 end :status=405\n");
    cr_assert_eq(t.accepted, 0);
    leave();
}

Test(call, another_content_type_is_answered_415)
{
    static const char *const types[] = {"application/json", "application/grpc-web", "application/g",
                                        "text/plain"};
    serve_a_fake(NULL);
    for (int32_t i = 0; i < 4; i++) {
        char line[64];
        fake_headers(peer, 1 + 2 * i, true, ":method", "POST", ":scheme", "http", ":path",
                     TALK_METHOD, ":authority", "fake", "content-type", types[i], NULL);
        snprintf(line, sizeof line, "HEADERS %d end :status=415\n", 1 + 2 * i);
        expect_said(line);
    }
    cr_assert_eq(t.accepted, 0);
    leave();
}

Test(call, the_spellings_of_grpc_are_accepted)
{
    static const char *const types[] = {"application/grpc", "application/grpc+proto",
                                        "application/grpc;charset=utf-8"};
    serve_a_fake(NULL);
    for (int32_t i = 0; i < 3; i++)
        fake_headers(peer, 1 + 2 * i, true, ":method", "POST", ":scheme", "http", ":path",
                     TALK_METHOD, ":authority", "fake", "content-type", types[i], "grpc-encoding",
                     "identity", NULL);
    talk_settle(&t);
    cr_assert_eq(t.accepted, 3);
    leave();
}

static void request_with(const char *name, const char *value)
{
    fake_headers(peer, 1, true, ":method", "POST", ":scheme", "http", ":path", TALK_METHOD,
                 ":authority", "fake", "te", "trailers", "content-type", "application/grpc", name,
                 value, NULL);
}

Test(call, a_malformed_timeout_is_a_bad_request)
{
    serve_a_fake(NULL);
    request_with("grpc-timeout", "123456789m");
    expect_said("HEADERS 1 end :status=200 content-type=application/grpc grpc-status=3");
    expect_said("chanserv-reason=bad-request");
    cr_assert_eq(t.accepted, 0);
    leave();
}

Test(call, a_coding_that_is_not_known_is_unimplemented)
{
    serve_a_fake(NULL);
    request_with("grpc-encoding", "deflate");
    expect_said("grpc-status=12 grpc-message=grpc-encoding is identity or gzip "
                "grpc-accept-encoding=identity,gzip\n");
    cr_assert_eq(t.accepted, 0);
    leave();
}

Test(call, a_request_with_too_many_fields_is_refused)
{
    const struct mux_options options = {.header_max_bytes = 400};
    serve_a_fake(&options);
    request_with("long", "01234567890123456789012345678901234567890123456789012345678901234567890"
                         "01234567890123456789012345678901234567890123456789012345678901234567890");
    expect_said("grpc-status=8");
    cr_assert_eq(t.accepted, 0);
    leave();
}

/* Nobody looks at what comes behind twice the limit: it may be much, and cost nothing to send. */
Test(call, a_request_with_fields_without_end_is_reset)
{
    const struct mux_options options = {.header_max_bytes = 100};
    serve_a_fake(&options);
    request_with("long", "01234567890123456789012345678901234567890123456789012345678901234567890"
                         "01234567890123456789012345678901234567890123456789012345678901234567890");
    expect_said("RST_STREAM 1 2");
    cr_assert_null(strstr(fake_said(peer), "HEADERS 1"), "%s", fake_said(peer));
    fake_frame(peer, FAKE_PING, 0, 0, cs_str("12345678"));
    expect_said("PING 0 ack");
    cr_assert_eq(t.accepted, 0);
    leave();
}

Test(call, a_refusal_waits_for_the_rest_of_its_request_but_not_for_ever)
{
    serve_a_fake(NULL);
    for (int id = 1; id <= 3; id += 2)
        fake_headers(peer, id, false, ":method", "POST", ":scheme", "http", ":path", "/no/such",
                     ":authority", "fake", "te", "trailers", "content-type", "application/grpc",
                     NULL);
    talk_settle(&t);
    cr_assert_null(strstr(fake_said(peer), "grpc-status=12"), "%s", fake_said(peer));
    fake_message(peer, 1, "the rest", true);
    expect_said("HEADERS 1 end :status=200 content-type=application/grpc grpc-status=12");
    cr_assert_null(strstr(fake_said(peer), "RST_STREAM 1"));
    cr_assert_null(strstr(fake_said(peer), "HEADERS 3"));
    cs_loop_advance(t.loop, 1000);
    expect_said("HEADERS 3 end :status=200 content-type=application/grpc grpc-status=12");
    expect_said("RST_STREAM 3 0");
    cr_assert_eq(t.accepted, 0);
    leave();
}

Test(call, a_client_that_does_not_half_close_is_told_without_blame)
{
    serve_a_fake(NULL);
    fake_request(peer, 1, false, TALK_METHOD);
    talk_settle(&t);
    side_send(&t.server[0], "x");
    mux_stream_finish(t.server[0].stream, CS_DONE, NULL);
    expect_said("DATA 1 6\nHEADERS 1 end grpc-status=0\nRST_STREAM 1 0\n");
    expect_end(&t.server[0], CS_DONE, "");
    leave();
}

Test(call, a_truncated_message_of_a_client_ends_its_call)
{
    serve_a_fake(NULL);
    fake_request(peer, 1, false, TALK_METHOD);
    fake_frame(peer, FAKE_DATA, FAKE_END, 1, cs_bytes_of("\0\0\0\0\4ab", 7));
    expect_said("grpc-status=13");
    expect_said("chanserv-reason=protocol");
    expect_end(&t.server[0], CS_EPROTO, "");
    cr_assert_eq(t.server[0].last, CS_EPROTO);
    leave();
}

Test(call, the_deadline_of_a_request_is_kept)
{
    serve_a_fake(NULL);
    request_with("grpc-timeout", "2S");
    talk_settle(&t);
    cr_assert_eq(mux_stream_time_left_ms(t.server[0].stream), 2000);
    mux_stream_send_headers(t.server[0].stream);
    cs_loop_advance(t.loop, 2000);
    expect_said("grpc-status=4");
    expect_said("chanserv-reason=deadline");
    expect_end(&t.server[0], CS_ETIMEOUT, "");
    leave();
}

Test(call, a_client_that_resets_before_the_status_went_out_has_not_got_it)
{
    serve_a_fake(NULL);
    fake_request(peer, 1, false, TALK_METHOD);
    talk_settle(&t);
    fake_word(peer, FAKE_RST, 1, 8);
    expect_end(&t.server[0], CS_ECANCELED, "");
    fake_request(peer, 3, false, TALK_METHOD);
    talk_settle(&t);
    fake_word(peer, FAKE_RST, 3, 2);
    expect_end(&t.server[1], CS_EPEER, "");
    fake_request(peer, 5, false, TALK_METHOD);
    talk_settle(&t);
    fake_word(peer, FAKE_RST, 5, 8);
    mux_stream_finish(t.server[2].stream, CS_DONE, NULL); /* read first, then written */
    expect_end(&t.server[2], CS_ECANCELED, "");
    leave();
}

static void hear_out(struct side *s)
{
    mux_stream_hear_out(s->stream);
}

Test(call, what_came_before_the_end_is_heard_out_if_that_is_asked_for)
{
    static const struct {
        bool hears_out, half_closed;
        const char *text;
        cs_err last;
    } rows[] = {{false, true, "", CS_ECANCELED},
                {true, true, "one|two|", CS_DONE},
                {true, false, "one|two|", CS_ECANCELED}};
    serve_a_fake(NULL);
    for (int i = 0; i < 3; i++) {
        int32_t id = 1 + 2 * i;
        t.server[i].on_accept = rows[i].hears_out ? hear_out : NULL;
        t.server[i].on_end = side_take;
        fake_request(peer, id, false, TALK_METHOD);
        talk_settle(&t);
        fake_message(peer, id, "one", false);
        fake_message(peer, id, "two", rows[i].half_closed);
        fake_word(peer, FAKE_RST, id, 8);
        expect_end(&t.server[i], CS_ECANCELED, "");
        cr_assert_str_eq(t.server[i].text, rows[i].text);
        cr_assert_eq(t.server[i].last, rows[i].last);
    }
    leave();
}

Test(call, a_handler_that_takes_nothing_refuses)
{
    talk_handlers(&t);
    peer = fake_client(t.loop, NULL, t.handlers);
    fake_headers(peer, 1, true, ":method", "POST", ":scheme", "http", ":path", "/no/such",
                 ":authority", "fake", "content-type", "application/grpc", NULL);
    expect_said("grpc-status=12 grpc-message=unknown method /no/such\n");
    leave();
}
