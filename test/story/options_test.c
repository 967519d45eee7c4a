/* The options of the first chanserv, each as what it is here: docs/OPTIONS has the table. */
#include "test/story/story.h"

/* OnError and OnChanError were callbacks beside the channels.  Here every post and every source has
 * an end() that comes once, with the reason. */
Test(options, on_error_is_how_a_post_ended)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;

    s->answer = CS_AGAIN;
    feed = story_post(s);
    cr_assert_eq(s->closes, 0);
    chanserv_feed_close(feed);
    cs_loop_settle(s->loop);
    cr_assert_eq(s->closes, 1);
    story_wants(s->closed_why, CS_EPEER);
    story_wants(s->end_why, CS_EPEER);
    story_free(s);
}

Test(options, on_chan_error_is_how_a_source_ended)
{
    struct story *s = story_new(NULL, NULL);
    struct plan *unopened = story_plan(s, (struct plan){.frames = 1});
    struct plan *left = story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000});
    struct plan *fails = story_plan(s, (struct plan){.last = CS_EDATALOSS, .words = "torn tape"});

    story_take(s, story_post(s));
    cr_assert_eq(chanserv_source_open(s->sources[1], 0), CS_OK);
    cs_loop_settle(s->loop);
    story_wants(story_drain(s, s->sources[2]), CS_EDATALOSS);
    chanserv_source_close(s->sources[1]);
    cs_loop_advance(s->loop, 30001);
    story_ended(unopened, CS_EEXPIRED, "accept-timeout");
    story_ended(left, CS_EPEER, "client-left");
    story_ended(fails, CS_EDATALOSS, "failed");
    story_free(s);
}

/* The client's OnError. */
Test(options, on_error_of_a_client_is_the_status_with_its_story)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.last = CS_EDATALOSS, .words = "torn tape"}, &feed);

    story_wants(story_drain(s, source), CS_EDATALOSS);
    story_wants(chanserv_source_status(source), CS_EDATALOSS);
    cr_assert(strstr(chanserv_source_errmsg(source), "torn tape"));
    story_wants(chanserv_feed_status(feed), CS_EDATALOSS);
    cr_assert(strstr(chanserv_feed_errmsg(feed), "torn tape"));
    story_free(s);
}

/* There: the master connection, and each frame connection from its own accept.  The same here. */
Test(options, serving_timeout_ends_the_post_and_each_source_by_its_own_clock)
{
    const struct chanserv_server_options options = {.serving_timeout_ms = 5000};
    struct story *s = story_new(&options, NULL);
    struct plan *plan = story_plan(s, (struct plan){.frames = 2, .bytes = 1, .waits_at = 1});
    cs_err err;

    s->answer = CS_AGAIN; /* and nothing comes */
    story_take(s, story_post(s));
    cs_loop_advance(s->loop, 3000);
    cr_assert_eq(story_read(s, s->sources[0], 2, &err), 1);
    story_wants(err, CS_AGAIN);
    cs_loop_advance(s->loop, 1999);
    cr_assert_eq(s->closes, 0);
    cs_loop_advance(s->loop, 2);
    story_wants(s->closed_why, CS_ETIMEOUT);
    cr_assert_eq(plan->ends, 0, "it was opened three seconds later");
    cs_loop_advance(s->loop, 3000);
    story_ended(plan, CS_ETIMEOUT, "deadline");
    story_wants(story_drain(s, s->sources[0]), CS_ETIMEOUT);
    cr_assert_eq(story_counters(s).deadlines, 2);
    story_free(s);
}

/* There it abandons what is being served; here open sources run on, and what was announced and not
 * opened ends with the word to its producer. */
Test(options, sourcing_timeout_is_silence_and_open_sources_run_on)
{
    const struct chanserv_server_options options = {.sourcing_timeout_ms = 1000};
    struct story *s = story_new(&options, NULL);
    struct plan *open = story_plan(s, (struct plan){.frames = 3, .bytes = 9, .waits_at = 2});
    struct plan *shut = story_plan(s, (struct plan){.frames = 1});
    cs_err err;

    s->answer = CS_AGAIN;
    story_take(s, story_post(s));
    cr_assert_eq(story_read(s, s->sources[0], 3, &err), 2);
    cs_loop_advance(s->loop, 1001);
    story_wants(s->closed_why, CS_ETIMEOUT);
    cr_assert_eq(shut->ends, 1);
    cr_assert_eq(open->ends, 0);
    story_go(s, open);
    story_wants(story_drain(s, s->sources[0]), CS_DONE);
    story_ended(open, CS_DONE, "done");
    story_free(s);
}

/* There 30 s too, but the producer of a channel that nobody dialed leaks. */
Test(options, accept_timeout_tells_both_sides)
{
    const struct chanserv_server_options options = {.accept_timeout_ms = 2000};
    struct story *s = story_new(&options, NULL);
    struct plan *plan = story_plan(s, (struct plan){.frames = 1});

    story_take(s, story_post(s));
    cs_loop_advance(s->loop, 1999);
    cr_assert_eq(plan->ends, 0);
    cs_loop_advance(s->loop, 2);
    story_ended(plan, CS_EEXPIRED, "accept-timeout");
    story_wants(story_drain(s, s->sources[0]), CS_EEXPIRED);
    cr_assert_eq(story_counters(s).accept_timeouts, 1);
    story_free(s);
}

/* FrameWriteTimeout. */
Test(options, frame_write_timeout_is_a_reader_that_takes_nothing)
{
    const struct chanserv_server_options options = {.write_timeout_ms = 4000};
    struct story *s = story_new(&options, NULL);
    struct plan *plan = story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000});

    story_take(s, story_post(s));
    cr_assert_eq(chanserv_source_open(s->sources[0], 0), CS_OK);
    cs_loop_settle(s->loop);
    cs_loop_advance(s->loop, 8001);
    story_ended(plan, CS_ESTALLED, "stalled");
    story_wants(story_drain(s, s->sources[0]), CS_ESTALLED);
    story_free(s);
}

/* SourceBufferSize, FrameBufferSize: there 128 sources and 1,024 frames each are taken from the
 * wire whether anybody wants them or not.  Here nothing is: what is not asked for is not made. */
Test(options, there_are_no_buffers_to_size)
{
    struct story *s = story_new(NULL, NULL);

    for (int i = 0; i < 1000; i++)
        story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000});
    story_take(s, story_post(s));
    cr_assert_eq(s->sources_len, 1000);
    cr_assert_eq(chanserv_source_open(s->sources[7], 0), CS_OK);
    cs_loop_settle(s->loop);
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(s->plans[i].opens, i == 7);
        cr_assert_leq(s->plans[i].given, i == 7 ? 100 : 0, "a window of 64 KiB, and a little");
    }
    story_free(s);
}

/* MasterReadTimeout of the client. */
Test(options, master_read_timeout_is_silence_between_announcements)
{
    const struct chanserv_client_options options = {.announce_timeout_ms = 3000};
    struct story *s = story_new(NULL, &options);
    chanserv_source *source;
    chanserv_feed *feed;

    s->answer = CS_AGAIN;
    feed = story_post(s);
    story_wants(chanserv_feed_recv(feed, &source), CS_AGAIN);
    cs_loop_advance(s->loop, 3001);
    story_wants(chanserv_feed_recv(feed, &source), CS_ETIMEOUT);
    story_wants(s->closed_why, CS_EPEER);
    story_free(s);
}

/* FrameReadTimeout: the silence of a source that is being read. */
Test(options, frame_read_timeout_is_silence_of_a_source)
{
    const struct chanserv_client_options options = {.frame_timeout_ms = 3000};
    struct story *s = story_new(NULL, &options);
    struct plan *plan = story_plan(s, (struct plan){.frames = 2, .bytes = 5, .waits_at = 1});
    cs_err err;

    story_take(s, story_post(s));
    cr_assert_eq(story_read(s, s->sources[0], 2, &err), 1);
    story_wants(err, CS_AGAIN);
    cs_loop_advance(s->loop, 3001);
    story_wants(story_drain(s, s->sources[0]), CS_ETIMEOUT);
    story_ended(plan, CS_EPEER, "client-left");
    story_free(s);
}

/* RequestTag TagMeta: declared there, and never used. */
static cs_err remembers(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body;
    cr_assert(cs_same(chanserv_post_metadata(post, "trace"), cs_str("42")));
    cr_assert(cs_same(chanserv_post_bucket(post), cs_str("alice")));
    ++*(int *)user;
    return CS_DONE;
}

Test(options, tags_are_metadata_and_the_bucket)
{
    const cs_pair metadata = {{"trace", 5}, {"42", 2}};
    const struct chanserv_post_options options = {
        .bucket = cs_str("alice"), .metadata = &metadata, .metadata_len = 1};
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    int ran = 0;

    cr_assert_eq(chanserv_serve(s->server, "remembers", remembers, &ran), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(s->client, "remembers", cs_str(""), &options, &feed),
                 CS_OK);
    cs_loop_settle(s->loop);
    cr_assert_eq(ran, 1);
    story_wants(chanserv_feed_close(feed), CS_OK);
    story_free(s);
}
