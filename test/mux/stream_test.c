#include "test/mux/talk.h"

#include <criterion/criterion.h>

static struct talk t;

static void greet(struct side *s)
{
    side_send(s, "hello");
    side_finish(s, CS_DONE);
}

static void finish_with_enoent(struct side *s)
{
    mux_stream_finish(s->stream, CS_ENOENT, "kein Schl\xc3\xbcssel: 100%");
}

static void cancel_it(struct side *s)
{
    mux_stream_cancel(s->stream, CS_ECANCELED);
}

static void free_the_connection(struct side *s)
{
    mux_conn_free(s->talk->conn);
}

static void expect_end(const struct side *s, cs_err why)
{
    cr_assert_eq(s->ends, 1, "%d ends", s->ends);
    cr_assert_eq(s->why, why, "%s, %s", cs_strerror(s->why), s->errmsg);
}

/* ---- Good order ---------------------------------------------------------------------------- */

static void answer_what_was_asked(struct side *s)
{
    side_take(s);
    if (s->last != CS_DONE)
        return;
    side_send(s, s->text);
    side_finish(s, CS_DONE);
}

Test(stream, a_request_is_answered)
{
    talk_begin(&t, NULL, NULL);
    t.server[0].on_readable = answer_what_was_asked;
    struct side *c = talk_open(&t, 0);
    side_send(c, "one");
    side_finish(c, CS_OK);
    talk_settle(&t);
    cr_assert_str_eq(c->text, "one||");
    expect_end(c, CS_DONE);
    expect_end(&t.server[0], CS_DONE);
    talk_end(&t);
}

Test(stream, a_server_streams_in_order)
{
    talk_begin(&t, NULL, NULL);
    t.server[0] = (struct side){.pulls_of = 100, .pull_left = 10000, .finishes = true};
    struct side *c = talk_open(&t, 0);
    side_finish(c, CS_OK);
    talk_settle(&t);
    mux_stream_wake(t.server[0].stream);
    talk_settle(&t);
    cr_assert_eq(c->messages, 10000);
    expect_end(c, CS_DONE);
    expect_end(&t.server[0], CS_DONE);
    talk_end(&t);
}

static void echo(struct side *s)
{
    cs_bytes m;
    cs_err err;
    while ((err = mux_stream_recv(s->stream, &m)) == CS_OK)
        cr_assert_eq(mux_stream_send(s->stream, m, cs_str("!")), CS_OK);
    if (err == CS_DONE)
        side_finish(s, CS_DONE);
}

Test(stream, both_ways_at_once)
{
    talk_begin(&t, NULL, NULL);
    t.server[0].on_readable = echo;
    struct side *c = talk_open(&t, 0);
    side_send(c, "a");
    talk_settle(&t);
    cr_assert_str_eq(c->text, "a!|");
    side_send(c, "b");
    side_send(c, "");
    talk_settle(&t);
    cr_assert_str_eq(c->text, "a!|b!|!|");
    cr_assert_eq(c->ends, 0);
    side_finish(c, CS_OK);
    talk_settle(&t);
    expect_end(c, CS_DONE);
    expect_end(&t.server[0], CS_DONE);
    talk_end(&t);
}

Test(stream, a_half_close_is_heard_and_the_answer_still_flows)
{
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open(&t, 0), *s = &t.server[0];
    side_finish(c, CS_OK);
    talk_settle(&t);
    cr_assert_eq(s->last, CS_DONE);
    cr_assert_eq(s->ends, 0);
    cr_assert_eq(mux_stream_send(c->stream, cs_str("x"), cs_str("")), CS_EMISUSE);
    side_send(s, "late");
    talk_settle(&t);
    cr_assert_str_eq(c->text, "late|");
    side_finish(s, CS_DONE);
    talk_settle(&t);
    expect_end(c, CS_DONE);
    talk_end(&t);
}

Test(stream, nothing_is_readable_before_something_came)
{
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    cr_assert_eq(t.accepted, 1);
    cr_assert_eq(t.server[0].readables, 0);
    mux_stream_cancel(c->stream, CS_ECANCELED);
    talk_settle(&t);
    talk_end(&t);
}

Test(stream, a_status_travels_with_its_words)
{
    talk_begin(&t, NULL, NULL);
    t.server[0].on_accept = finish_with_enoent;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    expect_end(c, CS_ENOENT);
    cr_assert_str_eq(c->errmsg, "NOT_FOUND: kein Schl\xc3\xbcssel: 100%");
    expect_end(&t.server[0], CS_DONE);
    talk_end(&t);
}

Test(stream, headers_go_out_before_any_message_when_asked)
{
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open(&t, 0), *s = &t.server[0];
    talk_settle(&t);
    cr_assert(!mux_stream_has_headers(c->stream));
    mux_stream_send_headers(s->stream);
    talk_settle(&t);
    cr_assert(mux_stream_has_headers(c->stream));
    cr_assert_eq(c->readables, 1);
    cr_assert_eq(c->messages, 0);
    side_finish(s, CS_DONE);
    talk_settle(&t);
    expect_end(c, CS_DONE);
    talk_end(&t);
}

Test(stream, an_unknown_method_is_unimplemented)
{
    talk_begin(&t, NULL, NULL);
    struct side *c = &t.client[0];
    c->talk = &t;
    cr_assert_eq(mux_stream_open(t.conn, "/test.Talk/Nothing", NULL, &talk_ops, c, &c->stream),
                 CS_OK);
    side_finish(c, CS_OK);
    talk_settle(&t);
    expect_end(c, CS_ENOTSUP);
    cr_assert_str_eq(c->errmsg, "UNIMPLEMENTED: unknown method /test.Talk/Nothing");
    talk_end(&t);
}

/* ---- Metadata ------------------------------------------------------------------------------- */

static void expect_pair(cs_err err, cs_bytes got, const char *want)
{
    cr_assert_eq(err, CS_OK);
    cr_assert(cs_same(got, cs_str(want)), "%.*s, not %s", CS_FMT(got), want);
}

static void meta_accept(struct side *s)
{
    cs_bytes v;
    cs_err err = mux_stream_header(s->stream, "colour", &v);
    expect_pair(err, v, "blue");
    err = mux_stream_header(s->stream, "key-bin", &v);
    cr_assert_eq(err, CS_OK);
    cr_assert(cs_same(v, cs_bytes_of("\0\xff\n", 3)));
    cr_assert_eq(mux_stream_header(s->stream, "user-agent", &v), CS_ENOENT);
    cr_assert_eq(mux_stream_set_header(s->stream, "head", cs_str("h")), CS_OK);
    cr_assert_eq(mux_stream_set_header(s->stream, "head-bin", cs_bytes_of("\1\2", 2)), CS_OK);
    cr_assert_eq(mux_stream_set_trailer(s->stream, "tail", cs_str("")), CS_OK);
    side_send(s, "x");
    cr_assert_eq(mux_stream_set_header(s->stream, "late", cs_str("h")), CS_EMISUSE);
    cr_assert_eq(mux_stream_set_trailer(s->stream, "tail-bin", cs_bytes_of("\0", 1)), CS_OK);
    side_finish(s, CS_DONE);
}

static void meta_end(struct side *c)
{
    size_t n;
    cs_bytes v;
    cs_err err = mux_stream_header(c->stream, "head", &v);
    expect_pair(err, v, "h");
    err = mux_stream_header(c->stream, "head-bin", &v);
    expect_pair(err, v, "\1\2");
    err = mux_stream_trailer(c->stream, "tail", &v);
    expect_pair(err, v, "");
    err = mux_stream_trailer(c->stream, "tail-bin", &v);
    cr_assert(err == CS_OK && cs_same(v, cs_bytes_of("\0", 1)));
    (void)mux_stream_headers(c->stream, &n);
    cr_assert_eq(n, 2);
    (void)mux_stream_trailers(c->stream, &n);
    cr_assert_eq(n, 2);
}

Test(stream, metadata_travels_both_ways)
{
    const cs_pair pairs[] = {{cs_str("colour"), cs_str("blue")},
                             {cs_str("key-bin"), cs_bytes_of("\0\xff\n", 3)}};
    const struct mux_call_options options = {.metadata = pairs, .metadata_len = 2};
    talk_begin(&t, NULL, NULL);
    t.server[0].on_accept = meta_accept;
    t.client[0].on_end = meta_end;
    struct side *c = talk_open_with(&t, 0, &options);
    talk_settle(&t);
    expect_end(c, CS_DONE);
    talk_end(&t);
}

static void only_a_header(struct side *s)
{
    cr_assert_eq(mux_stream_set_header(s->stream, "head", cs_str("h")), CS_OK);
    greet(s);
}

static void header_is_still_there(struct side *c)
{
    size_t n;
    cs_bytes v;
    cs_err err = mux_stream_header(c->stream, "head", &v);
    expect_pair(err, v, "h");
    (void)mux_stream_trailers(c->stream, &n);
    cr_assert_eq(n, 0);
}

Test(stream, headers_stay_headers_when_the_trailers_carry_only_a_status)
{
    talk_begin(&t, NULL, NULL);
    t.server[0].on_accept = only_a_header;
    t.client[0].on_end = header_is_still_there;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    expect_end(c, CS_DONE);
    talk_end(&t);
}

static void trailer_and_finish(struct side *s)
{
    cr_assert_eq(mux_stream_set_trailer(s->stream, "why", cs_str("because")), CS_OK);
    mux_stream_finish(s->stream, CS_EPERM, NULL);
}

static void trailer_is_there(struct side *c)
{
    cs_bytes v;
    cs_err err = mux_stream_trailer(c->stream, "why", &v);
    expect_pair(err, v, "because");
    cr_assert_eq(mux_stream_header(c->stream, "why", &v), CS_ENOENT);
}

Test(stream, trailers_only_are_trailers)
{
    talk_begin(&t, NULL, NULL);
    t.server[0].on_accept = trailer_and_finish;
    t.client[0].on_end = trailer_is_there;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    expect_end(c, CS_EPERM);
    talk_end(&t);
}

Test(stream, bad_calls_are_misuse)
{
    const cs_pair bad[] = {{cs_str("Upper"), cs_str("v")},     {cs_str("grpc-x"), cs_str("v")},
                           {cs_str(":path"), cs_str("/")},     {cs_str("te"), cs_str("v")},
                           {cs_str("connection"), cs_str("")}, {cs_str("ok"), cs_str("a\nb")}};
    talk_begin(&t, NULL, NULL);
    struct side *c = &t.client[0];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct mux_call_options options = {.metadata = &bad[i], .metadata_len = 1};
        cr_assert_eq(mux_stream_open(t.conn, TALK_METHOD, &options, &talk_ops, c, &c->stream),
                     CS_EMISUSE, "%.*s", CS_FMT(bad[i].name));
    }
    cr_assert_eq(mux_stream_open(t.conn, "test/Call", NULL, &talk_ops, c, &c->stream), CS_EMISUSE);
    cr_assert_eq(mux_stream_open(t.conn, "/Call", NULL, &talk_ops, c, &c->stream), CS_EMISUSE);
    talk_end(&t);
}

static void trailer_too_long(struct side *s)
{
    static char text[100 * 1024];
    memset(text, 'x', sizeof text);
    cr_assert_eq(mux_stream_set_trailer(s->stream, "long", cs_bytes_of(text, sizeof text)), CS_OK);
    greet(s);
}

Test(stream, trailers_that_fit_no_frame_end_the_call_all_the_same)
{
    talk_begin(&t, NULL, NULL);
    t.server[0].on_accept = trailer_too_long;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    cr_assert_str_eq(c->text, "hello|");
    cr_assert_eq(c->ends, 1);
    cr_assert(cs_failed(c->why));
    expect_end(&t.server[0], CS_ETOOBIG);
    talk_end(&t);
}

/* Nobody else would take it either: there is nothing to try again. */
Test(stream, a_request_that_fits_no_frame_ends_with_these_words)
{
    static char text[100 * 1024];
    const cs_pair field = {cs_str("long"), cs_bytes_of(text, sizeof text)};
    const struct mux_call_options options = {.metadata = &field, .metadata_len = 1};

    memset(text, 'x', sizeof text);
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open_with(&t, 0, &options);
    talk_settle(&t);
    expect_end(c, CS_ETOOBIG);
    cr_assert_str_eq(c->errmsg, "the header fields of the call are too long");
    cr_assert_eq(t.accepted, 0);
    c = talk_open(&t, 1);
    talk_settle(&t);
    cr_assert_eq(t.accepted, 1, "the connection stands");
    mux_stream_cancel(c->stream, CS_ECANCELED);
    talk_end(&t);
}

/* ---- Every way of ending -------------------------------------------------------------------- */

Test(stream, a_cancel_by_the_client_reaches_the_server)
{
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open(&t, 0), *s = &t.server[0];
    talk_settle(&t);
    mux_stream_cancel(c->stream, CS_ETIMEOUT);
    mux_stream_cancel(c->stream, CS_ENOENT);
    talk_settle(&t);
    expect_end(c, CS_ETIMEOUT);
    expect_end(s, CS_ECANCELED);
    talk_end(&t);
}

Test(stream, a_cancel_by_the_server_reaches_the_client)
{
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open(&t, 0), *s = &t.server[0];
    talk_settle(&t);
    mux_stream_cancel(s->stream, CS_EINTERNAL);
    talk_settle(&t);
    expect_end(c, CS_ECANCELED);
    expect_end(s, CS_EINTERNAL);
    talk_end(&t);
}

Test(stream, a_cancel_before_the_request_was_sent_sends_nothing)
{
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open(&t, 0);
    mux_stream_cancel(c->stream, CS_ECANCELED);
    talk_settle(&t);
    expect_end(c, CS_ECANCELED);
    cr_assert_eq(t.accepted, 0);
    talk_end(&t);
}

Test(stream, an_abort_overtakes_what_a_stalled_reader_leaves)
{
    talk_begin(&t, NULL, NULL);
    t.client[0].paused = true;
    t.server[0] = (struct side){.pulls_of = 1000, .pull_left = -1};
    struct side *c = talk_open(&t, 0), *s = &t.server[0];
    talk_settle(&t);
    mux_stream_wake(s->stream);
    talk_settle(&t);
    cr_assert_gt(mux_stream_queued(s->stream), 0);
    mux_stream_abort(s->stream, CS_ELIMIT, "enough");
    talk_settle(&t);
    expect_end(s, CS_ELIMIT);
    cr_assert_eq(c->ends, 0); /* what arrived is delivered before */
    side_take(c);
    talk_settle(&t);
    cr_assert_gt(c->messages, 10);
    cr_assert_eq(c->ends, 1);
    cr_assert_eq(c->why, CS_ELIMIT);
    cr_assert_str_eq(c->errmsg, "RESOURCE_EXHAUSTED: enough");
    talk_end(&t);
}

Test(stream, a_good_status_never_overtakes_data)
{
    talk_begin(&t, NULL, NULL);
    t.client[0].paused = true;
    t.server[0] = (struct side){.pulls_of = 1000, .pull_left = 500, .finishes = true};
    struct side *c = talk_open(&t, 0), *s = &t.server[0];
    talk_settle(&t);
    mux_stream_wake(s->stream);
    talk_settle(&t);
    cr_assert_eq(s->ends, 0);
    for (int i = 0; i < 1000 && c->ends == 0; i++) {
        side_take(c);
        talk_settle(&t);
    }
    cr_assert_eq(c->messages, 500);
    expect_end(c, CS_DONE);
    expect_end(s, CS_DONE);
    talk_end(&t);
}

Test(stream, a_deadline_ends_both_sides)
{
    const struct mux_call_options options = {.timeout_ms = 500};
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open_with(&t, 0, &options), *s = &t.server[0];
    talk_settle(&t);
    cr_assert_eq(mux_stream_time_left_ms(s->stream), 500);
    cs_loop_advance(t.loop, 499);
    cr_assert_eq(c->ends + s->ends, 0);
    cr_assert_eq(mux_stream_time_left_ms(c->stream), 1);
    cs_loop_advance(t.loop, 1);
    expect_end(c, CS_ETIMEOUT);
    cr_assert_eq(s->ends, 1);
    cr_assert(s->why == CS_ETIMEOUT || s->why == CS_ECANCELED);
    talk_end(&t);
}

Test(stream, a_break_ends_every_stream_after_what_arrived)
{
    talk_begin(&t, NULL, NULL);
    t.client[0].paused = true;
    struct side *c = talk_open(&t, 0), *s = &t.server[0], *d = talk_open(&t, 1);
    talk_settle(&t);
    side_send(s, "one");
    side_send(s, "two");
    talk_settle(&t);
    mux_conn_break(t.conn);
    talk_settle(&t);
    expect_end(d, CS_EPEER);
    expect_end(s, CS_EPEER);
    cr_assert_eq(c->ends, 0);
    mux_stream_resume(c->stream);
    c->paused = false;
    talk_settle(&t);
    cr_assert_str_eq(c->text, "one|two|");
    expect_end(c, CS_EPEER);
    talk_end(&t);
}

Test(stream, a_connection_inside_the_process_is_made_again_until_its_server_ends)
{
    talk_begin(&t, NULL, NULL);
    mux_conn_break(t.conn);
    talk_settle(&t);
    t.server[0].on_accept = finish_with_enoent;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    expect_end(c, CS_ENOENT);
    mux_handlers_end_local(t.handlers);
    talk_settle(&t);
    struct side *d = talk_open(&t, 1);
    talk_settle(&t);
    expect_end(d, CS_EREFUSED);
    cr_assert(d->never_ran);
    talk_end(&t);
}

Test(stream, freeing_the_connection_ends_streams_that_nobody_reads)
{
    talk_begin(&t, NULL, NULL);
    t.client[0].paused = true;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    side_send(&t.server[0], "unread");
    talk_settle(&t);
    mux_conn_free(t.conn);
    talk_settle(&t);
    expect_end(c, CS_ECANCELED);
    cr_assert_eq(t.server[0].ends, 1);
    t.conn = NULL;
    talk_end(&t);
}

Test(stream, the_end_of_the_server_is_told_as_such)
{
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    mux_handlers_end_local(t.handlers);
    talk_settle(&t);
    expect_end(c, CS_EDRAIN);
    expect_end(&t.server[0], CS_EDRAIN);
    cr_assert(!c->never_ran && !t.server[0].never_ran);
    talk_end(&t);
}

/* The side that frees or cancels, and in which callback. */
enum { READABLE, WRITABLE, PULL, ACCEPT, END };
static void set(struct side *s, int where, void (*fn)(struct side *))
{
    void (**slots[])(struct side *) = {&s->on_readable, &s->on_writable, &s->on_pull, &s->on_accept,
                                       &s->on_end};
    *slots[where] = fn;
}

static void everything_happens(bool client, int where, void (*fn)(struct side *))
{
    static const struct talk none;
    t = none;
    talk_begin(&t, NULL, NULL);
    struct side *c = &t.client[0], *s = &t.server[0];
    set(client ? c : s, where, fn);
    if (s->on_pull == NULL) {
        s->pulls_of = 3000;
        s->pull_left = 100;
        s->finishes = true;
    }
    talk_open(&t, 0);
    /* Fills its queue, so that it is told of room later. */
    while (mux_stream_send(c->stream, cs_str("0123456789"), cs_str("")) == CS_OK)
        ;
    mux_stream_wake(c->stream);
    talk_settle(&t);
    if (s->stream && !s->on_readable) {
        while (mux_stream_send(s->stream, cs_str("0123456789"), cs_str("")) == CS_OK)
            ;
        mux_stream_wake(s->stream);
    }
    talk_settle(&t);
    if (c->stream)
        mux_stream_cancel(c->stream, CS_ECANCELED);
    talk_settle(&t);
    cr_assert_eq(c->ends, 1);
    cr_assert_eq(s->ends, t.accepted > 0);
    if (fn == free_the_connection)
        t.conn = NULL;
    talk_end(&t);
}

Test(stream, the_connection_may_be_freed_in_every_callback)
{
    for (int where = READABLE; where <= END; where++) {
        everything_happens(false, where, free_the_connection);
        if (where != ACCEPT)
            everything_happens(true, where, free_the_connection);
    }
}

Test(stream, a_stream_may_be_cancelled_in_every_callback)
{
    for (int where = READABLE; where <= END; where++) {
        everything_happens(false, where, cancel_it);
        if (where != ACCEPT)
            everything_happens(true, where, cancel_it);
    }
}

static void say_and_finish(struct side *s)
{
    cs_err err = mux_stream_send(s->stream, cs_str("x"), cs_str(""));
    cr_assert(err == CS_OK || err == CS_AGAIN || cs_failed(err));
    side_finish(s, CS_DONE);
}

static void abort_it(struct side *s)
{
    mux_stream_abort(s->stream, CS_EABORTED, NULL);
}

Test(stream, a_server_may_abort_or_finish_in_every_callback)
{
    for (int where = READABLE; where <= END; where++) {
        everything_happens(false, where, abort_it);
        everything_happens(false, where, finish_with_enoent);
        everything_happens(false, where, say_and_finish);
    }
}

/* A second call is opened in each callback, on nghttp2's stack too. */
static void open_another(struct side *s)
{
    struct talk *talk = s->talk;
    if (!talk->client[1].stream && talk->client[1].ends == 0)
        talk_open(talk, 1);
    if (s->stream && s->ends == 0)
        mux_stream_finish(s->stream, CS_DONE, NULL);
}

Test(stream, a_call_may_be_opened_in_every_callback)
{
    for (int where = READABLE; where <= END; where++) {
        everything_happens(false, where, open_another);
        cr_assert_eq(t.client[1].ends, 1);
        if (where != ACCEPT) {
            everything_happens(true, where, open_another);
            cr_assert_eq(t.client[1].ends, 1);
        }
    }
}
