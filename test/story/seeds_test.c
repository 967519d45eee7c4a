/* What the original did wrong, or left out, each as a test that it fails: the first chanserv and
 * its multiplexer, as they were found by running and reading them. */
#include "test/story/story.h"

#include "test/story/script.h"
#include "test/support/failing.h"

#include <stdio.h>

/* The original: ten seconds after the sender's close, what was not read is dropped, and the end
 * looks clean.  1,800 frames, the reader 13 s late: 1,025 arrived. */
Test(seeds, a_reader_thirteen_seconds_late_gets_every_frame)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source = story_source(s, (struct plan){.frames = 1800, .bytes = 40}, &feed);
    cs_err err;

    cr_assert_eq(chanserv_source_open(source, 0), CS_OK);
    cs_loop_advance(s->loop, 13000);
    cr_expect_eq(story_read(s, source, STORY_ENDLESS, &err), 1800);
    story_wants(err, CS_DONE);
    story_free(s);
}

Test(seeds, a_reader_a_day_late_gets_every_frame_too)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source = story_source(s, (struct plan){.frames = 1800, .bytes = 400}, &feed);
    cs_err err;

    cr_assert_eq(chanserv_source_open(source, 0), CS_OK);
    for (int hour = 0; hour < 24; hour++)
        cs_loop_advance(s->loop, 3600 * 1000);
    cr_expect_eq(story_read(s, source, STORY_ENDLESS, &err), 1800);
    story_wants(err, CS_DONE);
    story_free(s);
}

/* The original: a server that was killed is never noticed by open streams. */
Test(seeds, a_killed_peer_closes_every_nested_channel_with_an_error)
{
    enum { N = 100 };
    struct story *s = story_new(NULL, NULL);
    cs_err err;

    for (int i = 0; i < N; i++)
        story_plan(s, (struct plan){.frames = 10, .bytes = 9, .waits_at = 5});
    story_take(s, story_post(s));
    for (size_t i = 0; i < N; i++)
        cr_expect_eq(story_read(s, s->sources[i], 10, &err), 5);
    story_swallow(s);
    cs_loop_advance(s->loop, 40000);
    for (size_t i = 0; i < N; i++)
        story_wants(story_drain(s, s->sources[i]), CS_EPEER);
    story_free(s);
}

/* The original: a post waits for its first announcement, for ever if there is none. */
Test(seeds, a_post_never_waits_for_its_first_announcement)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_source *source;
    chanserv_feed *feed;

    s->answer = CS_AGAIN;
    feed = story_post(s); /* has returned */
    story_wants(chanserv_feed_recv(feed, &source), CS_AGAIN);
    story_wants(chanserv_feed_ready(feed), CS_OK);
    story_free(s);
}

/* The original: always after the dial timeout of ten seconds. */
Test(seeds, an_unknown_name_is_told_at_once_if_you_like)
{
    const struct chanserv_client_options options = {.lookup_timeout_ms = CS_OFF};
    struct story *s = story_new(NULL, &options);
    int64_t began = cs_loop_now_ms(s->loop);
    chanserv_feed *feed;

    cr_assert_eq(chanserv_lookup_and_post(s->client, "nobody", cs_str(""), NULL, &feed), CS_OK);
    story_wants(chanserv_feed_ready(feed), CS_ENOENT);
    cr_expect_eq(cs_loop_now_ms(s->loop), began);
    cr_expect(strstr(chanserv_feed_errmsg(feed), "post nobody: NOT_FOUND"), "%s",
              chanserv_feed_errmsg(feed));
    story_free(s);
}

/* The original: success; and then reads hang. */
Test(seeds, a_channel_that_does_not_exist_is_refused)
{
    const struct chanserv_server_options options = {.accept_timeout_ms = 100};
    struct story *s = story_new(&options, NULL);

    story_plan(s, (struct plan){.frames = 1});
    story_take(s, story_post(s));
    cs_loop_advance(s->loop, 200);
    story_wants(story_drain(s, s->sources[0]), CS_EEXPIRED);
    story_free(s);
}

/* The original dials each announced channel before the user sees it: an ignored one costs up to
 * 1,024 frames and 64 KiB, and pins its producer for ever. */
Test(seeds, ignored_sources_cost_nothing_and_pin_nobody)
{
    enum { N = 1000 };
    struct story *s;
    size_t before;

    failing_count();
    s = story_new(NULL, NULL);
    for (int i = 0; i < N; i++)
        story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000});
    before = failing_live_bytes();
    story_take(s, story_post(s));
    cr_expect_leq((failing_live_bytes() - before) / N, 1200);
    cr_expect_eq(story_counters(s).streams, 0);
    cs_loop_advance(s->loop, 30000);
    for (size_t i = 0; i < N; i++) {
        cr_assert_eq(s->plans[i].asked, 0);
        cr_assert_eq(s->plans[i].ends, 1);
    }
    story_free(s);
}

/* The original has no way to say so. */
Test(seeds, a_cancel_reaches_the_producer)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 10}, &feed);
    cs_err err;

    cr_expect_eq(story_read(s, source, 3, &err), 3);
    chanserv_feed_cancel(feed);
    cs_loop_settle(s->loop);
    story_ended(&s->plans[0], CS_EPEER, "client-left");
    story_free(s);
}

/* The original: a payload cut in the middle is a clean end of file. */
Test(seeds, a_frame_that_is_cut_off_is_an_error_and_no_end)
{
    struct script *s = script_new();
    chanserv_source *source = script_source(s);
    cs_bytes frame;
    cs_err err;

    fake_frame(s->peer, FAKE_DATA, FAKE_END, 3, cs_bytes_of("\0\0\0\0\x40\x0a\x3e half of i", 17));
    while ((err = chanserv_source_recv(source, &frame)) == CS_AGAIN && cs_loop_settle(s->loop) > 0)
        ;
    story_wants(err, CS_EPROTO);
    script_free(s);
}

static cs_err announces_one(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body;
    return story_announce(user, post) == CS_OK ? CS_DONE : CS_EINTERNAL;
}

/* The original takes any name of 11 characters of base64url for the number of a node. */
Test(seeds, names_of_eleven_characters_are_names)
{
    static const char *const names[] = {"hello_world", "AAAAAAAAAAA", "elevenchars", "a-b-c-d-e-f"};
    struct story *s = story_new(NULL, NULL);
    struct plan plan = {.frames = 1, .bytes = 1};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        chanserv_source *source;
        chanserv_feed *feed;
        cs_bytes frame;

        cr_assert_eq(strlen(names[i]), 11);
        plan.given = plan.ends = 0;
        cr_assert_eq(chanserv_serve(s->server, names[i], announces_one, &plan), CS_OK);
        cr_assert_eq(chanserv_lookup_and_post(s->client, names[i], cs_str(""), NULL, &feed), CS_OK);
        cr_assert(chanserv_range_source(feed, &source), "%s", chanserv_feed_errmsg(feed));
        cr_assert(chanserv_range_frame(source, &frame));
        cr_assert(!chanserv_range_frame(source, &frame));
        story_wants(chanserv_feed_close(feed), CS_OK);
    }
    story_free(s);
}

/* The original's second life: compression is on, frames that do not compress arrive as 12 bytes,
 * and no error. */
Test(seeds, random_frames_of_64_kib_survive)
{
    const struct chanserv_server_options server = {.net.gzip = true};
    const struct chanserv_client_options client = {.net.gzip = true};
    struct story *s = story_new(&server, &client);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = 200, .bytes = 64 * 1024}, &feed);
    cs_err err;

    cr_expect_eq(story_read(s, source, STORY_ENDLESS, &err), 200);
    story_wants(err, CS_DONE);
    cr_expect_eq(story_counters(s).messages_gzipped, 0, "none got smaller");
    story_free(s);
}

/* The original has no close for a server.  Ours tells everybody, and everything goes. */
Test(seeds, a_server_can_be_closed)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 10}, &feed);
    cs_err err;

    cr_expect_eq(story_read(s, source, 3, &err), 3);
    chanserv_server_free(s->server);
    s->server = NULL;
    story_ended(&s->plans[0], CS_EDRAIN, "shutdown");
    story_wants(story_drain(s, source), CS_EDRAIN);
    story_free(s);
}

/* The original: closed streams linger for ten seconds, so 10,000 channels/s are 100,000 streams. */
Test(seeds, channels_that_come_and_go_leave_nothing_behind)
{
    struct story *s;
    size_t after_one = 0;

    failing_count();
    s = story_new(NULL, NULL);
    for (int round = 0; round < 1000; round++) {
        chanserv_feed *feed;

        s->plans_len = s->sources_len = 0;
        story_plan(s, (struct plan){.frames = 3, .bytes = 100});
        feed = story_post(s);
        story_take(s, feed);
        story_wants(story_drain(s, s->sources[0]), CS_DONE);
        story_wants(chanserv_feed_close(feed), CS_OK);
        cs_loop_settle(s->loop);
        if (round == 99)
            after_one = failing_live_bytes();
    }
    /* The tickets of the dead are remembered: up to 65,536 of them, at a few bytes each. */
    cr_expect_leq(failing_live_bytes() - after_one, 900 * 100);
    cr_expect_eq(story_counters(s).streams, 0);
    story_free(s);
}

/* The original: 412 MB in the client, 111 MB in the server. */
Test(seeds, two_thousand_channels_open_at_once_stay_small)
{
    enum { N = STORY_PLANS };
    struct story *s;
    size_t before, each;
    cs_err err;

    failing_count();
    s = story_new(NULL, NULL);
    for (int i = 0; i < N; i++)
        story_plan(s, (struct plan){.frames = 3, .bytes = 100, .waits_at = 2});
    before = failing_live_bytes();
    story_take(s, story_post(s));
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(story_read(s, s->sources[i], 3, &err), 2);
    cs_loop_settle(s->loop);
    cr_expect_eq(story_counters(s).streams, N);
    each = (failing_live_bytes() - before) / N;
    cr_expect_leq(each, 5000, "%zu bytes, both sides together: 100 MB for 20,000", each);
    story_free(s);
}

/* ---- The original's own tests ----------------------------------------------------------------- */

struct original {
    chanserv_outlet *outlet;
    cs_timer *timer;
    int said, after_ms;
};
static char original_large[180 * 1024];

static void original_ready(void *user)
{
    struct original *o = user;

    chanserv_outlet_wake(o->outlet);
}

static cs_err original_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct original *o = *(struct original **)state;

    (void)outlet;
    switch (o->said) {
    case 0:
        *frame = cs_str("wait for me!");
        break;
    case 1:
        cs_timer_set(o->timer, o->after_ms);
        o->said++;
        return CS_AGAIN;
    case 2:
        *frame = cs_bytes_of(original_large, sizeof original_large);
        break;
    default:
        return CS_DONE;
    }
    o->said++;
    return CS_OK;
}

static void original_end(chanserv_outlet *outlet, cs_err why, void *state)
{
    (void)outlet;
    (void)why;
    cs_timer_free((*(struct original **)state)->timer);
}

static cs_err original(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {
        .state_bytes = sizeof(void *), .next = original_next, .end = original_end};
    struct original *all = user;

    for (int i = 0; i < 10; i++) {
        struct original *o = &all[i];
        char header[64];

        o->after_ms = 100 * (i + 1); /* its were at random between 100 and 1,000 ms */
        cr_assert_eq(cs_timer_new(chanserv_post_loop(post), original_ready, o, &o->timer), CS_OK);
        snprintf(header, sizeof header, "header %d for %.*s", i, CS_FMT(body));
        cr_assert_eq(chanserv_announce(post, cs_str(header), &ops, &o, &o->outlet), CS_OK);
    }
    return CS_DONE;
}

Test(seeds, test_chanserv_of_the_original)
{
    struct original all[10] = {{.said = 0}};
    struct story *s = story_new(NULL, NULL);
    chanserv_source *source;
    chanserv_feed *feed;
    cs_bytes frame;
    int n = 0;

    cr_assert_eq(chanserv_serve(s->server, "chanserv", original, all), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(s->client, "chanserv", cs_str("hello"), NULL, &feed),
                 CS_OK);
    for (; chanserv_range_source(feed, &source); n++) {
        char header[64];

        snprintf(header, sizeof header, "header %d for hello", n);
        cr_expect(cs_same(chanserv_source_header(source), cs_str(header)));
        cr_assert(chanserv_range_frame(source, &frame));
        cr_expect_eq(frame.len, 12);
        cr_assert(chanserv_range_frame(source, &frame)); /* moves the clock */
        cr_expect_eq(frame.len, 180 * 1024);
        cr_assert(!chanserv_range_frame(source, &frame));
    }
    cr_expect_eq(n, 10);
    story_wants(chanserv_feed_status(feed), CS_DONE);
    cr_expect_leq(cs_loop_now_ms(s->loop), 20000);
    story_free(s);
}

/* Of the multiplexer: 1 MiB written, then closed at once. */
Test(seeds, a_megabyte_and_then_the_end_at_once)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = 1, .bytes = 1024 * 1024}, &feed);
    cs_err err;

    cr_expect_eq(story_read(s, source, STORY_ENDLESS, &err), 1);
    story_wants(err, CS_DONE);
    story_free(s);
}

/* Its benchmark "flood", a hundredth of it. */
Test(seeds, a_flood_of_sources_and_frames_is_exact)
{
    struct story *s = story_new(NULL, NULL);
    cs_err err;

    for (int i = 0; i < 100; i++)
        story_plan(s, (struct plan){.frames = 500, .bytes = 64});
    story_take(s, story_post(s));
    for (size_t i = 0; i < 100; i++) {
        cr_expect_eq(story_read(s, s->sources[i], STORY_ENDLESS, &err), 500);
        story_wants(err, CS_DONE);
    }
    cr_expect_eq(story_counters(s).frames_out, 50000);
    story_free(s);
}
