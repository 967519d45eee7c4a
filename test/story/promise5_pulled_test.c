/* Promise 5: the producer is pulled.  It is asked only while there is room; whatever can refuse
 * says CS_AGAIN, and what was refused was not taken. */
#include "test/story/story.h"

#include "base/chan.h"

#include <stdio.h>

Test(promise5, a_producer_is_asked_in_step_with_its_reader)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 10000}, &feed);
    struct plan *plan = &s->plans[0];
    cs_err err;

    for (int read = 0; read < 50; read++) {
        cr_assert_eq(story_read(s, source, 1, &err), 1);
        cs_loop_advance(s->loop, 5000); /* slower than what makes a window grow */
        cr_assert_leq(plan->given, read + 1 + (64 + 16) * 1024 / 10000 + 2);
    }
    story_free(s);
}

Test(promise5, a_producer_that_has_nothing_is_not_asked_again_before_it_wakes)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = 10, .bytes = 10, .waits_at = 5}, &feed);
    int asked;
    cs_err err;

    cr_expect_eq(story_read(s, source, 10, &err), 5);
    asked = s->plans[0].asked;
    cr_expect_leq(asked, 7);
    cs_loop_advance(s->loop, 600 * 1000);
    cr_expect_eq(s->plans[0].asked, asked);
    story_go(s, &s->plans[0]);
    story_wants(story_drain(s, source), CS_DONE);
    cr_expect_leq(s->plans[0].asked, asked + 6);
    story_free(s);
}

/* ---- Announcements --------------------------------------------------------------------------- */

Test(promise5, announcements_that_find_no_room_are_not_taken_and_come_later)
{
    const struct chanserv_server_options options = {.post_sources_max = 10};
    struct story *s = story_new(&options, NULL);
    chanserv_feed *feed;

    for (int i = 0; i < 25; i++)
        story_plan(s, (struct plan){.frames = 3, .bytes = 5});
    feed = story_post(s);
    story_take(s, feed);
    cr_expect_eq(s->sources_len, 10);
    story_wants(s->feed_end, CS_AGAIN);
    story_wants(s->plans[10].announced, CS_AGAIN);
    cr_expect_null(s->plans[10].outlet);
    for (size_t i = 0; i < 25; i++) { /* each that is opened makes room for another */
        cr_assert_lt(i, s->sources_len);
        story_wants(story_drain(s, s->sources[i]), CS_DONE);
        cs_loop_settle(s->loop);
        if (s->feed_end == CS_AGAIN)
            story_take(s, feed);
    }
    cr_expect_eq(s->sources_len, 25);
    story_wants(s->feed_end, CS_DONE);
    cr_expect_gt(story_counters(s).announce_unopened, 0);
    story_free(s);
}

Test(promise5, a_queue_of_announcements_is_bounded_in_bytes)
{
    const struct chanserv_server_options options = {.post_queue_bytes = 1000};
    struct story *s = story_new(&options, NULL);
    chanserv_feed *feed;

    for (int i = 0; i < 500; i++)
        story_plan(s, (struct plan){.frames = 1, .bytes = 5, .eager = i % 2});
    s->answer = CS_OK;
    feed = story_post(s);
    story_take(s, feed);
    cr_expect_eq(s->sources_len, 500, "they come as the client takes them");
    cr_expect_gt(story_counters(s).announce_again, 0);
    chanserv_feed_cancel(feed);
    story_free(s);
}

Test(promise5, a_limit_of_the_server_is_an_answer_and_takes_nothing)
{
    const struct chanserv_server_options options = {.sources_max = 7};
    struct story *s = story_new(&options, NULL);

    for (int i = 0; i < 10; i++)
        story_plan(s, (struct plan){.frames = 1});
    story_take(s, story_post(s));
    story_wants(s->feed_end, CS_ELIMIT);
    cr_expect_eq(s->sources_len, 7);
    for (size_t i = 0; i < 10; i++)
        story_wants(s->plans[i].announced, i < 7 ? CS_OK : i == 7 ? CS_ELIMIT : CS_AGAIN);
    cr_expect_eq(story_counters(s).announce_refused_limit, 1);
    story_free(s);
}

/* ---- Channels -------------------------------------------------------------------------------- */

static cs_err pours(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body;
    return chanserv_announce_chan(post, cs_str("poured"), user) == CS_OK ? CS_DONE : CS_EINTERNAL;
}

Test(promise5, a_channel_feels_its_reader)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_source *source;
    chanserv_feed *feed;
    char text[1000] = "";
    cs_bytes frame;
    cs_chan *chan;
    int sent = 0, got = 0;

    cr_assert_eq(cs_chan_new(10000, &chan), CS_OK);
    cr_assert_eq(chanserv_serve(s->server, "pours", pours, chan), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(s->client, "pours", cs_str(""), NULL, &feed), CS_OK);
    cr_assert(chanserv_range_source(feed, &source));
    cr_assert_eq(chanserv_source_open(source, 0), CS_OK);
    for (int round = 0; round < 1000; round++) {
        snprintf(text, sizeof text, "%d", sent);
        while (cs_chan_send(chan, cs_bytes_of(text, sizeof text), CS_NOW) == CS_OK)
            snprintf(text, sizeof text, "%d", ++sent);
        cs_loop_settle(s->loop);
    }
    /* The window, the stream's queue and the channel: nothing else holds any. */
    cr_expect_leq(sent * 1000, (64 + 16) * 1024 + 10000 + 2000);
    cr_expect_geq(sent * 1000, 64 * 1024 + 10000);
    cs_chan_close(chan, CS_EABORTED);
    cs_chan_free(chan);
    while (chanserv_range_frame(source, &frame)) {
        snprintf(text, sizeof text, "%d", got++);
        cr_assert_str_eq(frame.base, text);
    }
    cr_expect_eq(got, sent, "what was refused was not taken, and what was taken arrives");
    story_wants(chanserv_source_status(source), CS_EABORTED);
    story_free(s);
}

Test(promise5, senders_of_a_channel_hear_that_its_reader_left)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_source *source;
    chanserv_feed *feed;
    cs_chan *chan;

    cr_assert_eq(cs_chan_new(0, &chan), CS_OK);
    cr_assert_eq(chanserv_serve(s->server, "pours", pours, chan), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(s->client, "pours", cs_str(""), NULL, &feed), CS_OK);
    cr_assert(chanserv_range_source(feed, &source));
    cr_assert_eq(chanserv_source_open(source, 0), CS_OK);
    cs_loop_settle(s->loop);
    cr_assert_eq(cs_chan_send(chan, cs_str("x"), CS_NOW), CS_OK);
    chanserv_source_close(source);
    cs_loop_settle(s->loop);
    story_wants(cs_chan_send(chan, cs_str("x"), CS_NOW), CS_ECANCELED);
    cs_chan_free(chan);
    story_free(s);
}

/* ---- Sizes ----------------------------------------------------------------------------------- */

Test(promise5, a_frame_at_the_limit_passes_and_one_byte_more_fails_on_the_sender)
{
    const struct chanserv_server_options options = {.frame_max_bytes = 100000, .part_bytes = 4096};
    struct story *s = story_new(&options, NULL);

    story_plan(s, (struct plan){.frames = 1, .bytes = 100000, .parts = 25});
    story_plan(s, (struct plan){.frames = 1, .bytes = 100001});
    story_plan(s, (struct plan){.frames = 1, .bytes = 100001, .eager = true});
    story_take(s, story_post(s));
    story_wants(story_drain(s, s->sources[0]), CS_DONE);
    for (size_t i = 1; i < 3; i++) {
        story_wants(story_drain(s, s->sources[i]), CS_ETOOBIG);
        story_ended(&s->plans[i], CS_ETOOBIG, "failed");
    }
    cr_expect_eq(story_counters(s).frames_too_large, 2);
    story_free(s);
}

Test(promise5, a_body_over_the_limit_is_refused_before_anything_runs)
{
    const struct chanserv_server_options options = {.body_max_bytes = 1000};
    struct story *s = story_new(&options, NULL);
    static const char body[1001];
    chanserv_source *source;
    chanserv_feed *feed;

    for (size_t len = 900; len < 1002; len += 101) {
        cr_assert_eq(
            chanserv_lookup_and_post(s->client, "flood", cs_bytes_of(body, len), NULL, &feed),
            CS_OK);
        while (chanserv_range_source(feed, &source))
            ;
        story_wants(chanserv_feed_status(feed), len < 1000 ? CS_DONE : CS_ETOOBIG);
    }
    cr_expect_eq(s->posts, 1);
    story_free(s);
}
