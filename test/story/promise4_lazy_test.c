/* Promise 4: an announced source costs its announcement; nothing is asked of its producer before it
 * is opened, unless it said that it is eager; leaving it reaches the producer with the reason. */
#include "test/story/story.h"

#include <string.h>

Test(promise4, nothing_is_asked_of_a_producer_before_its_source_is_opened)
{
    struct story *s = story_new(NULL, NULL);

    for (int i = 0; i < 100; i++)
        story_plan(s, (struct plan){.frames = 10, .bytes = 10});
    story_take(s, story_post(s));
    cs_loop_advance(s->loop, 20000);
    for (size_t i = 0; i < 100; i++)
        cr_expect_eq(s->plans[i].opens + s->plans[i].asked, 0);
    cr_expect_eq(story_counters(s).streams_total, 1);
    story_wants(story_drain(s, s->sources[42]), CS_DONE);
    for (size_t i = 0; i < 100; i++)
        cr_expect_eq(s->plans[i].opens, i == 42);
    story_free(s);
}

Test(promise4, open_comes_once_and_before_the_first_next)
{
    struct story *s = story_new(NULL, NULL);

    story_plan(s, (struct plan){.frames = 10000, .bytes = 100});
    story_plan(s, (struct plan){.frames = 10000, .bytes = 100, .eager = true});
    story_plan(s, (struct plan){.frames = 1, .bytes = 100, .eager = true});
    story_take(s, story_post(s));
    for (size_t i = 0; i < 3; i++) {
        story_wants(story_drain(s, s->sources[i]), CS_DONE);
        cr_expect_eq(s->plans[i].opens, 1);
    }
    story_free(s);
}

Test(promise4, a_source_nobody_opens_ends_by_its_accept_timeout)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source = story_source(s, (struct plan){.frames = 1}, &feed);

    cs_loop_advance(s->loop, 29999);
    cr_expect_eq(s->plans[0].ends, 0);
    cs_loop_advance(s->loop, 1);
    story_ended(&s->plans[0], CS_EEXPIRED, "accept-timeout");
    cr_expect_eq(s->plans[0].asked, 0);
    cr_expect_eq(story_counters(s).accept_timeouts, 1);
    story_wants(story_drain(s, source), CS_EEXPIRED);
    story_free(s);
}

Test(promise4, a_source_that_is_skipped_costs_no_stream)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source = story_source(s, (struct plan){.frames = 1}, &feed);

    chanserv_source_close(source);
    cs_loop_settle(s->loop);
    cr_expect_eq(story_counters(s).streams_total, 1);
    cr_expect_eq(s->plans[0].ends, 0, "an unopened ticket may still be used by somebody else");
    cs_loop_advance(s->loop, 30000);
    story_ended(&s->plans[0], CS_EEXPIRED, "accept-timeout");
    story_free(s);
}

Test(promise4, a_feed_that_is_dropped_takes_its_unopened_sources_with_it_at_once)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    cs_err err;

    s->answer = CS_AGAIN; /* the post is still there */
    for (int i = 0; i < 3; i++)
        story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 10});
    feed = story_post(s);
    story_take(s, feed);
    cr_expect_eq(story_read(s, s->sources[0], 5, &err), 5);
    cr_expect_eq(story_read(s, s->sources[1], 5, &err), 5);
    chanserv_source_keep(s->sources[1]);
    story_wants(chanserv_feed_close(feed), CS_OK);
    cs_loop_settle(s->loop);
    story_ended(&s->plans[0], CS_EPEER, "client-left");
    story_ended(&s->plans[2], CS_ECANCELED, "post-cancelled");
    cr_expect_eq(s->plans[2].asked, 0);
    story_wants(s->closed_why, CS_EPEER);
    cr_expect_eq(story_read(s, s->sources[1], 5000, &err), 5000, "what was kept lives on");
    chanserv_source_close(s->sources[1]);
    cs_loop_settle(s->loop);
    story_ended(&s->plans[1], CS_EPEER, "client-left");
    story_free(s);
}

Test(promise4, dropping_a_source_half_way_reaches_its_producer_in_the_same_moment)
{
    struct story *s = story_new(NULL, NULL);
    cs_err err;

    for (int i = 0; i < 50; i++)
        story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 100});
    story_take(s, story_post(s));
    for (size_t i = 0; i < 50; i++) {
        int asked;

        cr_expect_eq(story_read(s, s->sources[i], 3, &err), 3);
        chanserv_source_close(s->sources[i]);
        cs_loop_settle(s->loop);
        story_ended(&s->plans[i], CS_EPEER, "client-left");
        asked = s->plans[i].asked;
        cs_loop_advance(s->loop, 100);
        cr_expect_eq(s->plans[i].asked, asked);
    }
    cr_expect_eq(story_counters(s).readers_left, 50);
    cr_expect_eq(story_counters(s).sources_open, 0);
    story_free(s);
}

Test(promise4, a_producer_that_waits_hears_of_a_reader_that_left)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = 10, .bytes = 10, .waits_at = 5}, &feed);
    cs_err err;

    cr_expect_eq(story_read(s, source, 10, &err), 5);
    cs_loop_advance(s->loop, 3600 * 1000);
    chanserv_source_close(source);
    cs_loop_settle(s->loop);
    story_ended(&s->plans[0], CS_EPEER, "client-left");
    story_free(s);
}

Test(promise4, an_eager_source_rides_whole_in_its_announcement)
{
    struct story *s = story_new(NULL, NULL);

    for (int i = 0; i < 500; i++)
        story_plan(s, (struct plan){.frames = 2, .bytes = 16, .eager = true});
    story_take(s, story_post(s));
    for (size_t i = 0; i < 500; i++) {
        story_ended(&s->plans[i], CS_DONE, "done");
        story_wants(story_drain(s, s->sources[i]), CS_DONE);
    }
    cr_expect_eq(story_counters(s).streams_total, 1);
    cr_expect_eq(story_counters(s).sources_inline, 500);
    story_free(s);
}

Test(promise4, an_eager_source_is_not_asked_when_the_client_wants_nothing_inline)
{
    const struct chanserv_client_options options = {.inline_bytes = CS_OFF};
    struct story *s = story_new(NULL, &options);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = 2, .bytes = 16, .eager = true}, &feed);

    cs_loop_advance(s->loop, 10000);
    cr_expect_eq(s->plans[0].asked, 0);
    story_wants(story_drain(s, source), CS_DONE);
    story_free(s);
}

/* An eager one that has more than fits is asked for that much, for the rest when opened. */
Test(promise4, an_eager_source_is_asked_for_what_fits_and_not_for_more)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 100, .eager = true}, &feed);
    int given = s->plans[0].given;
    cs_err err;

    cr_expect_leq(given, 4096 / 100 + 1);
    cs_loop_advance(s->loop, 20000);
    cr_expect_eq(s->plans[0].given, given);
    cr_expect_eq(story_read(s, source, 1000, &err), 1000);
    story_free(s);
}

Test(promise4, a_ticket_opens_once)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source = story_source(s, (struct plan){.frames = 10, .waits_at = 5}, &feed);

    cr_assert_eq(chanserv_source_open(source, 0), CS_OK);
    cr_expect_eq(chanserv_source_open(source, 0), CS_EMISUSE);
    cs_loop_settle(s->loop);
    cr_expect_eq(chanserv_source_open(source, 0), CS_EMISUSE);
    cr_expect_eq(s->plans[0].opens, 1);
    story_free(s);
}
