#include "test/chanserv/fake_server.h"

#include "chanserv/client__in.h"
#include "mux/local.h"

#include <stdlib.h>

static struct fake f;

static cs_err recv_err(chanserv_feed *feed)
{
    chanserv_source *source;
    return chanserv_feed_recv(feed, &source);
}

Test(feed, carries_service_body_and_wish_for_inline_frames)
{
    const struct chanserv_post_options options = {.inline_bytes = CS_OFF};
    chanserv_feed *feed;

    fake_begin(&f, NULL);
    fake_post(&f, "a/b.c");
    cr_assert_eq(f.posts_len, 1);
    cr_expect_str_eq(f.posts[0].service, "a/b.c");
    cr_expect_str_eq(f.posts[0].text, "body");
    cr_expect_eq(f.posts[0].inline_bytes, 4096);
    cr_expect_eq(f.posts[0].timeout_ms, CS_FOREVER);
    cr_assert_eq(chanserv_lookup_and_post(f.client, "x", cs_str(""), &options, &feed), CS_OK);
    cs_loop_settle(f.loop);
    cr_expect_eq(f.posts[1].inline_bytes, 0);
    fake_end(&f);
}

Test(feed, yields_sources_in_order_and_then_its_end)
{
    chanserv_source *source;
    chanserv_feed *feed;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    cr_expect_eq(recv_err(feed), CS_AGAIN);
    for (uint64_t i = 0; i < 3; i++)
        fake_announce(&f, i);
    fake_finish_post(&f, CS_DONE, NULL);
    for (uint64_t i = 0; i < 3; i++) {
        cr_assert_eq(chanserv_feed_recv(feed, &source), CS_OK);
        cr_expect_eq(chanserv_source_index(source), i);
    }
    cr_expect_eq(recv_err(feed), CS_AGAIN);
    cs_loop_settle(f.loop);
    cr_expect_eq(recv_err(feed), CS_DONE);
    cr_expect_eq(recv_err(feed), CS_DONE, "each time it is asked");
    cr_expect_eq(chanserv_feed_status(feed), CS_DONE);
    cr_expect_str_eq(chanserv_feed_errmsg(feed), "");
    cr_expect_eq(chanserv_feed_close(feed), CS_OK);
    fake_end(&f);
}

Test(feed, that_is_refused_says_why)
{
    chanserv_feed *feed;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    fake_finish_post(&f, CS_ENOENT, "no such service");
    cr_expect_eq(recv_err(feed), CS_ENOENT);
    cr_expect_eq(chanserv_feed_status(feed), CS_ENOENT);
    cr_expect_str_eq(chanserv_feed_errmsg(feed), "post ticker: NOT_FOUND: no such service");
    cr_expect_eq(chanserv_feed_ready(feed), CS_ENOENT);
    cr_expect_eq(chanserv_feed_close(feed), CS_ENOENT);
    fake_end(&f);
}

Test(feed, that_breaks_off_says_so_after_its_sources)
{
    chanserv_feed *feed;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    fake_announce(&f, 0);
    mux_conn_break(chanserv__nodes_first(f.client)->conn);
    cs_loop_settle(f.loop);
    cr_expect_eq(recv_err(feed), CS_OK);
    cr_expect_eq(recv_err(feed), CS_AGAIN);
    cs_loop_settle(f.loop);
    cr_expect_eq(recv_err(feed), CS_EPEER);
    cr_expect_eq(chanserv_feed_status(feed), CS_EPEER);
    fake_end(&f);
}

Test(feed, drops_an_announcement_it_has_had_in_silence)
{
    chanserv_source *source;
    chanserv_feed *feed;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    fake_announce(&f, 0);
    fake_announce(&f, 0);
    fake_announce(&f, 1);
    cr_expect_eq(chanserv_feed_recv(feed, &source), CS_OK);
    cr_expect_eq(chanserv_feed_recv(feed, &source), CS_OK);
    cr_expect_eq(chanserv_source_index(source), 1);
    fake_end(&f);
}

Test(feed, with_a_missing_announcement_breaks_the_protocol)
{
    chanserv_feed *feed;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    fake_announce(&f, 1);
    cr_expect_eq(recv_err(feed), CS_EPROTO);
    cr_expect_str_eq(chanserv_feed_errmsg(feed), "post ticker: announcement makes no sense");
    cs_loop_settle(f.loop);
    cr_expect_null(f.posts[0].stream, "the server was told");
    fake_end(&f);
}

Test(feed, with_a_senseless_announcement_breaks_the_protocol)
{
    static char long_ticket[65];
    const struct wire_announcement bad[] = {
        {.header = cs_str("neither ticket nor end")},
        {.ticket = cs_bytes_of(long_ticket, sizeof long_ticket)}};
    /* Ticket "t", and an inline frame "x" that goes on in a message that will never be. */
    static const char part[] = "\x12\x01t\x22\x05\x0a\x01x\x18\x01";

    for (size_t i = 0; i < 3; i++) {
        fake_begin(&f, NULL);
        chanserv_feed *feed = fake_post(&f, "ticker");
        if (i < 2)
            fake_announce_full(&f, &bad[i]);
        else
            cr_assert_eq(mux_stream_send(f.posts[0].stream, cs_str(part), cs_str("")), CS_OK);
        cs_loop_settle(f.loop);
        cr_expect_eq(recv_err(feed), CS_EPROTO, "%zu", i);
        fake_end(&f);
    }
}

Test(feed, that_is_not_asked_stops_the_source_function)
{
    uint64_t n = 0, got = 0;
    chanserv_feed *feed;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "many");
    while (mux_stream_room(f.posts[0].stream) > 0 && n < 100000)
        fake_announce(&f, n++);
    cr_expect_lt(n, 100000);
    while (recv_err(feed) == CS_OK)
        got++;
    cs_loop_settle(f.loop);
    cr_expect_gt(mux_stream_room(f.posts[0].stream), 0);
    while (recv_err(feed) == CS_OK || cs_loop_settle(f.loop) > 0)
        got++;
    cr_expect_geq(got, n);
    fake_end(&f);
}

Test(feed, is_ready_when_the_answer_has_begun)
{
    chanserv_feed *feed;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    cr_assert_eq(mux_stream_set_header(f.posts[0].stream, "colour", cs_str("blue")), CS_OK);
    cr_expect(cs_same(chanserv_feed_header(feed, "colour"), cs_str("")));
    mux_stream_send_headers(f.posts[0].stream);
    cr_expect_eq(chanserv_feed_ready(feed), CS_OK);
    cr_expect(cs_same(chanserv_feed_header(feed, "colour"), cs_str("blue")));
    cr_assert_eq(mux_stream_set_trailer(f.posts[0].stream, "sum", cs_str("42")), CS_OK);
    cr_assert_eq(mux_stream_set_trailer(f.posts[0].stream, "note", cs_str("")), CS_OK);
    fake_finish_post(&f, CS_DONE, NULL);
    cr_expect_eq(recv_err(feed), CS_DONE);
    cr_expect(cs_same(chanserv_feed_trailer(feed, "sum"), cs_str("42")));
    cr_expect_eq(chanserv_feed_trailer(feed, "note").len, 0);
    cr_expect_null(chanserv_feed_trailer(feed, "none").base);
    cr_expect(cs_same(chanserv_feed_header(feed, "colour"), cs_str("blue")), "kept");
    cr_expect_eq(chanserv_feed_ready(feed), CS_OK, "it was");
    fake_end(&f);
}

Test(feed, that_is_silent_for_too_long_ends)
{
    const struct chanserv_client_options options = {.announce_timeout_ms = 100};
    chanserv_feed *feed;

    fake_begin(&f, &options);
    feed = fake_post(&f, "slow");
    cs_loop_advance(f.loop, 90);
    fake_announce(&f, 0);
    cs_loop_advance(f.loop, 1000); /* the application's silence does not count */
    cr_expect_eq(recv_err(feed), CS_OK);
    cr_expect_eq(recv_err(feed), CS_AGAIN);
    cs_loop_advance(f.loop, 101);
    cr_expect_eq(recv_err(feed), CS_ETIMEOUT);
    cr_expect_str_eq(chanserv_feed_errmsg(feed), "post slow: no announcement for too long");
    cs_loop_settle(f.loop);
    cr_expect_null(f.posts[0].stream);
    fake_end(&f);
}

Test(feed, has_a_deadline_that_travels)
{
    const struct chanserv_post_options options = {.timeout_ms = 500};
    chanserv_feed *feed;

    fake_begin(&f, NULL);
    cr_assert_eq(chanserv_lookup_and_post(f.client, "slow", cs_str(""), &options, &feed), CS_OK);
    cs_loop_settle(f.loop);
    cr_expect_eq(f.posts[0].timeout_ms, 500);
    cs_loop_advance(f.loop, 501);
    cr_expect_eq(recv_err(feed), CS_ETIMEOUT);
    cr_expect_eq(chanserv_feed_status(feed), CS_ETIMEOUT);
    fake_end(&f);
}

Test(feed, forgets_sources_whose_end_was_told_when_it_is_asked_again)
{
    chanserv_source *source;
    chanserv_feed *feed;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    for (uint64_t i = 0; i < 5; i++) {
        cs_bytes frame;
        source = fake_source(&f, feed, i);
        cr_expect_eq(chanserv_source_recv(source, &frame), CS_AGAIN);
        cs_loop_settle(f.loop);
        fake_finish(&f, (size_t)i, CS_DONE, NULL);
        cr_expect_eq(chanserv_source_recv(source, &frame), CS_DONE);
        cr_expect_eq(chanserv_source_status(source), CS_DONE, "it is still there");
    }
    cr_expect_eq(recv_err(feed), CS_AGAIN);
    cs_loop_settle(f.loop);
    cr_expect_eq(f.client->lines, 1, "the feed alone");
    fake_end(&f);
}

Test(feed, that_is_closed_cancels_its_sources_but_those_kept)
{
    chanserv_source *a, *kept;
    chanserv_feed *feed;
    cs_bytes frame;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    a = fake_source(&f, feed, 0);
    kept = chanserv_source_keep(fake_source(&f, feed, 1));
    fake_source(&f, feed, 2);
    cr_expect_eq(chanserv_source_recv(a, &frame), CS_AGAIN);
    cr_expect_eq(chanserv_source_recv(kept, &frame), CS_AGAIN);
    cs_loop_settle(f.loop);
    cr_expect_eq(chanserv_feed_close(feed), CS_OK);
    cs_loop_settle(f.loop);
    cr_expect_null(f.posts[0].stream);
    cr_expect_null(f.opens[0].stream);
    cr_expect_not_null(f.opens[1].stream);
    cr_expect_eq(f.client->lines, 1);
    chanserv_source_close(kept);
    fake_end(&f);
}

Test(feed, that_is_cancelled_ends_with_its_sources)
{
    chanserv_source *source;
    chanserv_feed *feed;
    cs_bytes frame;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    source = fake_source(&f, feed, 0);
    chanserv_feed_cancel(feed);
    cr_expect_eq(chanserv_source_recv(source, &frame), CS_ECANCELED);
    cr_expect_eq(recv_err(feed), CS_ECANCELED);
    cr_expect_eq(chanserv_feed_status(feed), CS_ECANCELED);
    cr_expect_str_eq(chanserv_feed_errmsg(feed), "post ticker: canceled");
    cs_loop_settle(f.loop);
    cr_expect_null(f.posts[0].stream);
    cr_expect_eq(f.opens_len, 0);
    fake_end(&f);
}

/* ---- Callbacks ----------------------------------------------------------------------------- */

struct log {
    int ready, readable, end, sources;
    cs_err why;
    bool close_in_ready, free_in_readable, leave;
};

static void on_ready(chanserv_feed *feed, void *state)
{
    struct log *log = state;
    log->ready++;
    if (log->close_in_ready)
        chanserv_feed_close(feed);
}

static void on_readable(chanserv_feed *feed, void *state)
{
    struct log *log = state;
    chanserv_source *source;
    cr_expect_eq(log->ready, 1, "ready comes first");
    log->readable++;
    if (log->free_in_readable) {
        chanserv_client_free(f.client);
        f.client = NULL;
        return;
    }
    while (!log->leave && chanserv_feed_recv(feed, &source) == CS_OK)
        log->sources++;
}

static void on_end(chanserv_feed *feed, cs_err why, void *state)
{
    struct log *log = state;
    (void)feed;
    log->end++;
    log->why = why;
}

static const struct chanserv_feed_ops ops = {
    .ready = on_ready, .readable = on_readable, .end = on_end};

static chanserv_feed *started(struct log *log)
{
    chanserv_feed *feed;
    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    cr_assert_eq(chanserv_feed_start(feed, &ops, log), CS_OK);
    cs_loop_settle(f.loop);
    return feed;
}

Test(feed, that_is_started_is_told_ready_readable_and_end)
{
    struct log log = {0};
    chanserv_feed *feed = started(&log);
    cr_expect_eq(chanserv_feed_start(feed, &ops, &log), CS_EMISUSE);
    cr_expect_eq(chanserv_feed_state(feed), &log);
    cr_expect_eq(log.ready + log.readable, 0);
    fake_announce(&f, 0);
    fake_announce(&f, 1);
    cr_expect_eq(log.sources, 2);
    fake_finish_post(&f, CS_DONE, NULL);
    cr_expect_eq(log.end, 1);
    cr_expect_eq(log.why, CS_DONE);
    fake_end(&f);
    cr_expect_eq(log.end, 1);
}

Test(feed, that_is_left_unread_is_not_told_again_before_it_resumes)
{
    struct log log = {.leave = true};
    chanserv_feed *feed = started(&log);

    fake_announce(&f, 0);
    fake_announce(&f, 1);
    cs_loop_settle(f.loop);
    cr_expect_eq(log.readable, 1);
    log.leave = false;
    chanserv_feed_resume(feed);
    cr_expect_eq(log.readable, 1, "not within the call");
    cs_loop_settle(f.loop);
    cr_expect_eq(log.readable, 2);
    cr_expect_eq(log.sources, 2);
    fake_end(&f);
}

Test(feed, started_late_is_told_of_what_came_before)
{
    struct log log = {0};
    chanserv_feed *feed;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    fake_announce(&f, 0);
    fake_finish_post(&f, CS_DONE, NULL);
    cr_assert_eq(chanserv_feed_start(feed, &ops, &log), CS_OK);
    cs_loop_settle(f.loop);
    cr_expect_eq(log.ready, 1);
    cr_expect_eq(log.sources, 1);
    cr_expect_eq(log.end, 1);
    fake_end(&f);
}

Test(feed, can_be_closed_in_ready)
{
    struct log log = {.close_in_ready = true};
    started(&log);
    fake_announce(&f, 0);
    cr_expect_eq(log.ready, 1);
    cr_expect_eq(log.readable, 0);
    cr_expect_eq(log.end, 1);
    cr_expect_eq(log.why, CS_ECANCELED);
    fake_end(&f);
}

Test(feed, can_lose_its_client_in_readable)
{
    struct log log = {.free_in_readable = true};
    started(&log);
    fake_announce(&f, 0);
    cr_expect_eq(log.readable, 1);
    cr_expect_eq(log.end, 1);
    cr_expect_eq(log.why, CS_ECANCELED);
    fake_end(&f);
}

Test(feed, whose_reserved_ops_are_set_is_misuse)
{
    struct chanserv_feed_ops bad = {.reserved = {(void (*)(void))abort}};
    chanserv_feed *feed;
    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    cr_expect_eq(chanserv_feed_start(feed, &bad, NULL), CS_EMISUSE);
    fake_end(&f);
}
