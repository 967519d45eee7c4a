/* Promise 2: nothing is lost in silence.  Every channel ends with a status that tells success, the
 * producer's error, cancel, timeout and a dead peer apart; what was dropped leaves a gap. */
#include "test/story/story.h"

#include "test/story/script.h"

/* ---- How a source can end, and what each side is told ---------------------------------------- */

Test(promise2, a_good_end_comes_after_every_frame)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source = story_source(s, (struct plan){.frames = 100, .bytes = 50}, &feed);
    cs_err err;

    cr_expect_eq(story_read(s, source, STORY_ENDLESS, &err), 100);
    story_wants(err, CS_DONE);
    story_wants(chanserv_source_status(source), CS_DONE);
    story_wants(chanserv_feed_status(feed), CS_DONE);
    cr_expect_str_eq(chanserv_feed_errmsg(feed), "");
    story_ended(&s->plans[0], CS_DONE, "done");
    story_free(s);
}

Test(promise2, the_producers_error_comes_after_every_frame_with_its_words)
{
    static const char words[] = "Sektor 7 fehlt: \xc3\xbc\xe2\x82\xac\xf0\x9f\x90\x99 100% \x7f";
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source = story_source(
        s, (struct plan){.frames = 5000, .bytes = 99, .last = CS_EDATALOSS, .words = words}, &feed);
    cs_err err;

    cr_expect_eq(story_read(s, source, STORY_ENDLESS, &err), 5000);
    story_wants(err, CS_EDATALOSS);
    cr_expect(strstr(chanserv_source_errmsg(source), words), "%s", chanserv_source_errmsg(source));
    story_wants(chanserv_feed_status(feed), CS_EDATALOSS);
    cr_expect(strstr(chanserv_feed_errmsg(feed), words));
    story_ended(&s->plans[0], CS_EDATALOSS, "failed");
    story_free(s);
}

/* docs/CONFORMANCE, 16. */
Test(promise2, an_error_that_rides_in_the_announcement_is_an_error)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source = story_source(
        s,
        (struct plan){
            .frames = 2, .bytes = 9, .last = CS_EPRECOND, .words = "not today", .eager = true},
        &feed);
    cs_err err;

    story_ended(&s->plans[0], CS_EPRECOND, "failed"); /* and nobody has opened it */
    cr_expect_eq(story_read(s, source, STORY_ENDLESS, &err), 2);
    story_wants(err, CS_EPRECOND);
    cr_expect(strstr(chanserv_source_errmsg(source), "not today"));
    cr_expect_eq(story_counters(s).streams_total, 1);
    story_free(s);
}

Test(promise2, every_failure_arrives_as_the_one_it_was)
{
    static const cs_err ends[] = {CS_ECANCELED, CS_EUNKNOWN, CS_EINVAL,    CS_ETIMEOUT,
                                  CS_ENOENT,    CS_EEXIST,   CS_EPERM,     CS_ELIMIT,
                                  CS_EPRECOND,  CS_EABORTED, CS_ERANGE,    CS_ENOTSUP,
                                  CS_EINTERNAL, CS_EUNAVAIL, CS_EDATALOSS, CS_EAUTH};
    enum { N = sizeof ends / sizeof *ends };
    struct story *s = story_new(NULL, NULL);

    for (size_t i = 0; i < 2 * N; i++)
        story_plan(s, (struct plan){.frames = 1, .bytes = 1, .last = ends[i % N], .eager = i >= N});
    story_take(s, story_post(s));
    for (size_t i = 0; i < 2 * N; i++)
        story_wants(story_drain(s, s->sources[i]), ends[i % N]);
    story_free(s);
}

Test(promise2, an_opening_that_the_producer_refuses_says_so)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source = story_source(s, (struct plan){.refuses = CS_EPERM}, &feed);

    story_wants(story_drain(s, source), CS_EPERM);
    story_ended(&s->plans[0], CS_EPERM, "failed");
    cr_expect_eq(s->plans[0].asked, 0);
    story_free(s);
}

Test(promise2, a_cancel_is_a_cancel_on_both_sides)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 500}, &feed);
    cs_err err;

    cr_expect_eq(story_read(s, source, 10, &err), 10);
    chanserv_source_cancel(source);
    cs_loop_settle(s->loop);
    story_ended(&s->plans[0], CS_EPEER, "client-left");
    story_wants(story_drain(s, source), CS_ECANCELED);
    story_wants(chanserv_feed_status(feed), CS_DONE);
    story_free(s);
}

Test(promise2, a_deadline_overtakes_what_is_under_way_and_says_so_to_both)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    cs_err err;

    story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 500});
    feed = story_post_for(s, 5000);
    story_take(s, feed);
    cr_expect_eq(story_read(s, s->sources[0], 10, &err), 10);
    cs_loop_advance(s->loop, 4999);
    cr_expect_eq(story_read(s, s->sources[0], 10, &err), 10);
    cs_loop_advance(s->loop, 1);
    story_wants(story_drain(s, s->sources[0]), CS_ETIMEOUT);
    story_ended(&s->plans[0], CS_ETIMEOUT, "deadline");
    cr_expect_eq(s->plans[0].end_ms - s->plans[0].opened_ms, 5000);
    story_free(s);
}

Test(promise2, a_connection_that_breaks_in_the_middle_is_no_end)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 500}, &feed);
    cs_err err;
    int arrived;

    cr_expect_eq(story_read(s, source, 10, &err), 10);
    story_break(s);
    arrived = story_read(s, source, STORY_ENDLESS, &err);
    story_wants(err, CS_EPEER);
    cr_expect_gt(arrived, 0, "what had come before is still delivered");
    story_ended(&s->plans[0], CS_EPEER, "client-left");
    story_wants(chanserv_feed_status(feed), CS_EPEER);
    story_free(s);
}

Test(promise2, half_a_frame_is_none)
{
    const struct chanserv_server_options options = {.part_bytes = 10000};
    struct story *s = story_new(&options, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = 3, .bytes = 8000000, .parts = 800}, &feed);
    cs_bytes frame;

    story_wants(chanserv_source_recv(source, &frame), CS_AGAIN);
    for (int turn = 0; turn < 4; turn++) {
        cs_loop_advance(s->loop, 0);
        story_wants(chanserv_source_recv(source, &frame), CS_AGAIN);
    }
    cr_expect_eq(s->plans[0].given, 1);
    story_break(s);
    story_wants(chanserv_source_recv(source, &frame), CS_EPEER);
    story_free(s);
}

Test(promise2, a_break_before_the_answer_began_is_known_for_one)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source;

    cs_loop_settle(s->loop);
    cr_assert_eq(chanserv_lookup_and_post(s->client, "flood", cs_str("x"), NULL, &feed), CS_OK);
    story_break(s);
    story_wants(chanserv_feed_recv(feed, &source), CS_EPEER);
    story_wants(chanserv_feed_ready(feed), CS_EPEER);
    cr_expect_eq(s->posts, 0, "it never ran");
    story_free(s);
}

Test(promise2, a_server_that_is_freed_says_so_to_every_channel)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    cs_err err;

    s->answer = CS_AGAIN; /* the post stays, too */
    story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 10});
    story_plan(s, (struct plan){.frames = 1});
    feed = story_post(s);
    story_take(s, feed);
    cr_expect_eq(story_read(s, s->sources[0], 10, &err), 10);
    chanserv_server_free(s->server);
    s->server = NULL;
    cs_loop_settle(s->loop);
    story_ended(&s->plans[0], CS_EDRAIN, "shutdown");
    story_ended(&s->plans[1], CS_EDRAIN, "shutdown");
    story_wants(s->closed_why, CS_EDRAIN);
    story_wants(story_drain(s, s->sources[0]), CS_EDRAIN);
    story_take(s, feed);
    story_wants(s->feed_end, CS_EDRAIN);
    story_free(s);
}

Test(promise2, a_client_that_is_freed_is_known_to_every_producer)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    cs_err err;

    s->answer = CS_AGAIN;
    story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 10});
    story_plan(s, (struct plan){.frames = 1});
    feed = story_post(s);
    story_take(s, feed);
    cr_expect_eq(story_read(s, s->sources[0], 10, &err), 10);
    chanserv_client_free(s->client);
    s->client = NULL;
    cs_loop_settle(s->loop);
    story_ended(&s->plans[0], CS_EPEER, "client-left");
    story_ended(&s->plans[1], CS_ECANCELED, "post-cancelled");
    story_wants(s->closed_why, CS_EPEER);
    story_free(s);
}

/* ---- Posts ----------------------------------------------------------------------------------- */

Test(promise2, a_post_that_fails_after_its_announcements_delivers_them_and_says_so)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source;

    for (int i = 0; i < 3; i++)
        story_plan(s, (struct plan){.frames = 10, .bytes = 5});
    s->answer = CS_EPRECOND;
    s->words = "the fourth is missing";
    feed = story_post(s);
    story_take(s, feed);
    cr_expect_eq(s->sources_len, 3);
    story_wants(s->feed_end, CS_EPRECOND);
    story_wants(chanserv_feed_recv(feed, &source), CS_EPRECOND);
    cr_expect(strstr(chanserv_feed_errmsg(feed), "the fourth is missing"));
    story_wants(s->closed_why, CS_EPRECOND);
    story_free(s);
}

static cs_err refuses(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body;
    (void)user;
    return chanserv_post_fail(post, CS_EPERM, "not for you");
}

static cs_err forgets(chanserv_post *post, cs_bytes body, void *user)
{
    cs_err err;
    int n = 0;

    (void)body;
    while ((err = chanserv_announce(post, cs_str("more and more"), &story_lazy_ops, user, NULL)) ==
           CS_OK)
        n++;
    cr_assert_eq(err, CS_AGAIN);
    cr_assert_eq(n, 3);
    return CS_DONE; /* and does not care */
}

Test(promise2, refusals_are_told_apart)
{
    const struct chanserv_server_options options = {.post_sources_max = 3};
    struct story *s = story_new(&options, NULL);
    struct plan several = {.frames = 0};
    static const struct {
        const char *service, *words;
        cs_err err;
    } cases[] = {{"nowhere", "no such service", CS_ENOENT},
                 {"refuses", "not for you", CS_EPERM},
                 {"forgets", "announcement lost", CS_ELIMIT}};

    cr_assert_eq(chanserv_serve(s->server, "refuses", refuses, NULL), CS_OK);
    cr_assert_eq(chanserv_serve(s->server, "forgets", forgets, &several), CS_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        chanserv_feed *feed;
        chanserv_source *source;

        cr_assert_eq(chanserv_lookup_and_post(s->client, cases[i].service, cs_str(""), NULL, &feed),
                     CS_OK);
        while (chanserv_range_source(feed, &source))
            ;
        story_wants(chanserv_feed_status(feed), cases[i].err);
        cr_expect(strstr(chanserv_feed_errmsg(feed), cases[i].words), "%s",
                  chanserv_feed_errmsg(feed));
    }
    cs_loop_settle(s->loop);
    chanserv_client_free(s->client);
    s->client = NULL;
    cs_loop_advance(s->loop, 30000);
    cr_expect_eq(several.ends, 3);
    story_free(s);
}

/* ---- Gaps and empty frames: docs/CONFORMANCE, 15 -------------------------------------------- */

static void gap_of(struct plan plan)
{
    for (int eager = 0; eager < 2; eager++) {
        struct story *s = story_new(NULL, NULL);
        chanserv_feed *feed;
        chanserv_source *source;
        uint64_t gaps = 0;
        cs_bytes frame;
        cs_err err;
        int n = 0;

        plan.eager = eager;
        source = story_source(s, plan, &feed);
        while ((err = chanserv_source_recv(source, &frame)) == CS_OK ||
               (err == CS_AGAIN && cs_loop_settle(s->loop) > 0)) {
            if (err == CS_AGAIN)
                continue;
            gaps += chanserv_source_gap(source);
            cr_expect_eq(chanserv_source_gap(source), n == plan.gap_at ? plan.gap : 0);
            cr_expect_eq(chanserv_source_seq(source), (uint64_t)n + gaps);
            story_compare(&s->plans[0], source, frame);
            n++;
        }
        story_wants(err, plan.last ? plan.last : CS_DONE);
        cr_expect_eq(n, plan.frames);
        if (plan.gap_at == plan.frames)
            gaps += chanserv_source_gap(source);
        cr_expect_eq(gaps, plan.gap);
        story_free(s);
    }
}

Test(promise2, a_gap_before_the_first_frame_is_seen)
{
    gap_of((struct plan){.frames = 5, .bytes = 3, .gap_at = 0, .gap = 7});
}

Test(promise2, a_gap_in_the_middle_is_seen)
{
    gap_of((struct plan){.frames = 5, .bytes = 3, .gap_at = 2, .gap = 1});
    gap_of((struct plan){.frames = 5, .bytes = 0, .gap_at = 2, .gap = UINT64_C(1) << 40});
}

Test(promise2, a_gap_at_the_end_is_seen)
{
    gap_of((struct plan){.frames = 5, .bytes = 3, .gap_at = 5, .gap = 9});
    gap_of((struct plan){.frames = 5, .bytes = 3, .gap_at = 5, .gap = 9, .last = CS_EABORTED});
    gap_of((struct plan){.frames = 0, .gap_at = 0, .gap = 4});
}

Test(promise2, empty_frames_are_frames)
{
    struct story *s = story_new(NULL, NULL);
    cs_err err;

    story_plan(s, (struct plan){.frames = 1});
    story_plan(s, (struct plan){.frames = 1, .eager = true});
    story_plan(s, (struct plan){.frames = 30000}); /* more than a window of them */
    story_plan(s, (struct plan){.frames = 3000, .eager = true});
    story_plan(s, (struct plan){.frames = 0});
    story_plan(s, (struct plan){.frames = 0, .eager = true});
    story_take(s, story_post(s));
    for (size_t i = 0; i < s->plans_len; i++) {
        cr_expect_eq(story_read(s, s->sources[i], STORY_ENDLESS, &err), s->plans[i].frames);
        story_wants(err, CS_DONE);
    }
    story_free(s);
}

/* ---- A server that breaks off: written by hand ----------------------------------------------- */

static cs_err source_of(struct script *s, chanserv_source *source)
{
    cs_bytes frame;
    cs_err err;

    while ((err = chanserv_source_recv(source, &frame)) == CS_OK ||
           (err == CS_AGAIN && cs_loop_settle(s->loop) > 0))
        s->frames += err == CS_OK;
    return err;
}

Test(promise2, a_stream_without_a_status_is_truncated_and_no_end)
{
    struct script *s = script_new();
    chanserv_source *source = script_source(s);

    script_frame(s, "one", false);
    script_frame(s, "two", true); /* END_STREAM, and never a word about how it went */
    story_wants(source_of(s, source), CS_EPROTO);
    cr_expect_eq(s->frames, 2, "what came is delivered");
    cr_expect_eq(chanserv_feed_status(s->feed), CS_EPROTO);
    script_free(s);
}

Test(promise2, a_stream_that_ends_within_a_message_is_truncated)
{
    struct script *s = script_new();
    chanserv_source *source = script_source(s);

    script_frame(s, "one", false);
    fake_frame(s->peer, FAKE_DATA, 0, 3, cs_bytes_of("\0\0\0\0\x0a\x0a\x08half", 11));
    fake_headers(s->peer, 3, true, "grpc-status", "0", NULL); /* says that all is well */
    story_wants(source_of(s, source), CS_EPROTO);
    cr_expect_eq(s->frames, 1);
    script_free(s);
}

Test(promise2, a_stream_that_ends_within_a_frame_of_parts_is_truncated)
{
    struct script *s = script_new();
    chanserv_source *source = script_source(s);

    script_frame(s, "one", false);
    /* payload "ab", more = true; and then a good end */
    fake_frame(s->peer, FAKE_DATA, 0, 3,
               cs_bytes_of("\0\0\0\0\x06\x0a\x02"
                           "ab\x18\x01",
                           11));
    fake_headers(s->peer, 3, true, "grpc-status", "0", NULL);
    story_wants(source_of(s, source), CS_EPROTO);
    cr_expect_eq(s->frames, 1);
    script_free(s);
}

/* A proxy that loses its client resets with NO_ERROR or CANCEL (docs/CONFORMANCE, 7). */
Test(promise2, a_reset_is_never_a_good_end)
{
    static const uint32_t codes[] = {0, 8, 2, 7, 11};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct script *s = script_new();
        chanserv_source *source = script_source(s);
        cs_err err;

        script_frame(s, "one", false);
        fake_word(s->peer, FAKE_RST, 3, codes[i]);
        err = source_of(s, source);
        cr_expect(cs_failed(err), "RST_STREAM(%u): %s", (unsigned)codes[i], cs_strerror(err));
        script_free(s);
    }
}

/* C9: an RST_STREAM(NO_ERROR) behind the trailers is legal and takes nothing away. */
Test(promise2, a_reset_behind_a_good_end_takes_nothing_away)
{
    struct script *s = script_new();
    chanserv_source *source = script_source(s);

    script_frame(s, "one", false);
    fake_headers(s->peer, 3, true, "grpc-status", "0", NULL);
    fake_word(s->peer, FAKE_RST, 3, 0);
    story_wants(source_of(s, source), CS_DONE);
    cr_expect_eq(s->frames, 1);
    script_free(s);
}

Test(promise2, a_feed_that_breaks_off_is_no_end)
{
    struct script *s = script_new();
    chanserv_source *source;

    (void)script_source(s);
    fake_frame(s->peer, FAKE_DATA, FAKE_END, 1, cs_str(""));
    cs_loop_settle(s->loop);
    story_wants(chanserv_feed_recv(s->feed, &source), CS_EPROTO);
    script_free(s);
}

Test(promise2, a_link_that_ends_is_a_dead_peer)
{
    struct script *s = script_new();
    chanserv_source *source = script_source(s);

    script_frame(s, "one", false);
    fake_free(s->peer);
    s->peer = NULL;
    story_wants(source_of(s, source), CS_EPEER);
    cr_expect_eq(s->frames, 1);
    script_free(s);
}
