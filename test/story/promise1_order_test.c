/* Promise 1: frames of a source arrive in the order they were sent.  Sources are independent.
 *
 * story_read() compares each frame with the one that belongs at its place. */
#include "test/story/story.h"

#include <stdio.h>

Test(promise1, frames_of_a_source_arrive_in_the_order_they_were_sent)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = 20000, .bytes = 300, .varied = true}, &feed);
    cs_err err;

    cr_expect_eq(story_read(s, source, STORY_ENDLESS, &err), 20000);
    story_wants(err, CS_DONE);
    story_free(s);
}

Test(promise1, frames_of_many_parts_arrive_whole_and_in_order)
{
    const struct chanserv_server_options options = {.part_bytes = 1000};
    struct story *s = story_new(&options, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = 50, .bytes = 99001, .parts = 100}, &feed);
    cs_err err;

    cr_expect_eq(story_read(s, source, STORY_ENDLESS, &err), 50);
    story_wants(err, CS_DONE);
    story_free(s);
}

/* What fits in the announcement, what is larger, and what comes behind it are one row. */
Test(promise1, frames_that_ride_inline_come_before_those_that_do_not)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = 200, .bytes = 100, .eager = true}, &feed);
    int inlined = s->plans[0].given;
    cs_err err;

    cr_expect_gt(inlined, 20);
    cr_expect_lt(inlined, 50);
    cr_expect_eq(story_read(s, source, STORY_ENDLESS, &err), 200);
    story_wants(err, CS_DONE);
    story_free(s);
}

Test(promise1, sources_are_announced_in_the_order_of_their_announcing)
{
    struct story *s = story_new(NULL, NULL);

    for (int i = 0; i < 1000; i++)
        story_plan(s, (struct plan){.frames = i % 3, .bytes = i % 50, .eager = i % 2});
    story_take(s, story_post(s)); /* compares their places */
    cr_assert_eq(s->sources_len, 1000);
    for (size_t i = 0; i < 1000; i++) {
        char header[16];

        snprintf(header, sizeof header, "%zu", i);
        cr_expect(cs_same(chanserv_source_header(s->sources[i]), cs_str(header)));
    }
    story_free(s);
}

Test(promise1, sources_are_independent_of_the_order_they_are_read_in)
{
    struct story *s = story_new(NULL, NULL);
    cs_err err;
    int read = 0;

    for (int i = 0; i < 40; i++)
        story_plan(s, (struct plan){.frames = 300, .bytes = 1000, .varied = true});
    story_take(s, story_post(s));
    for (int round = 0; round < 10; round++)
        for (size_t i = 40; i-- > 0;) /* the last first, 30 frames each in turn */
            read += story_read(s, s->sources[i * 7 % 40], 30, &err);
    cr_expect_eq(read, 40 * 300);
    for (size_t i = 0; i < 40; i++)
        story_wants(story_drain(s, s->sources[i]), CS_DONE);
    story_free(s);
}

Test(promise1, a_source_that_waits_holds_up_no_other)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    cs_err err;

    story_plan(s, (struct plan){.frames = 100, .bytes = 10, .waits_at = 50});
    story_plan(s, (struct plan){.frames = 100, .bytes = 10});
    feed = story_post(s);
    story_take(s, feed);
    cr_expect_eq(story_read(s, s->sources[0], 100, &err), 50);
    story_wants(err, CS_AGAIN);
    story_wants(story_drain(s, s->sources[1]), CS_DONE);
    story_go(s, &s->plans[0]);
    cr_expect_eq(story_read(s, s->sources[0], STORY_ENDLESS, &err), 50);
    story_wants(err, CS_DONE);
    story_free(s);
}

Test(promise1, sources_outlive_the_feed_that_announced_them)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source = story_source(s, (struct plan){.frames = 5000, .bytes = 100}, &feed);
    cs_err err;

    story_wants(s->feed_end, CS_DONE);
    cr_expect_eq(story_read(s, source, 100, &err), 100);
    chanserv_source_keep(source);
    story_wants(chanserv_feed_close(feed), CS_OK);
    cs_loop_settle(s->loop);
    cr_expect_eq(story_read(s, source, STORY_ENDLESS, &err), 4900);
    story_wants(err, CS_DONE);
    chanserv_source_close(source);
    story_free(s);
}
