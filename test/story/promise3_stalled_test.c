/* Promise 3: a source nobody reads stops its own producer and no other, and memory is bounded on
 * both sides whatever a reader does. */
#include "test/story/story.h"

#include "chanserv/server__in.h"
#include "test/support/failing.h"
#include "test/support/fake_peer.h"

enum { KIB = 1024, WINDOW = 64 * KIB, QUEUE = 16 * KIB };

static void open_all(struct story *s)
{
    for (size_t i = 0; i < s->sources_len; i++)
        cr_assert_eq(chanserv_source_open(s->sources[i], 0), CS_OK);
    cs_loop_settle(s->loop);
}

/* ---- Stopping -------------------------------------------------------------------------------- */

Test(promise3, an_unread_source_asks_its_producer_for_a_window_and_a_queue_and_no_more)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000}, &feed);
    struct plan *plan = &s->plans[0];
    cs_err err;
    int given;

    open_all(s);
    given = plan->given;
    cr_expect_leq(given * 1000, WINDOW + QUEUE + 1000);
    cr_expect_geq(given * 1000, WINDOW);
    cs_loop_advance(s->loop, 3600 * 1000); /* and it may wait for an hour */
    cr_expect_eq(plan->given, given);
    cr_expect_eq(plan->asked, given, "it is not even asked");
    story_read(s, source, 1000, &err);
    story_wants(err, CS_OK);
    cr_expect_gt(plan->given, given + 900, "and goes on");
    story_free(s);
}

Test(promise3, a_large_frame_counts_as_one)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    chanserv_source *source =
        story_source(s, (struct plan){.frames = 3, .bytes = 3 * 1024 * KIB, .parts = 3}, &feed);

    open_all(s);
    cs_loop_advance(s->loop, 60000);
    cr_expect_eq(s->plans[0].given, 1);
    story_wants(story_drain(s, source), CS_DONE);
    story_free(s);
}

Test(promise3, of_a_thousand_sources_one_is_stalled_and_the_others_finish)
{
    struct story *s = story_new(NULL, NULL);

    for (int i = 0; i < 1000; i++)
        story_plan(s, (struct plan){.frames = 300, .bytes = 500});
    story_take(s, story_post(s));
    cr_assert_eq(s->sources_len, 1000);
    open_all(s); /* now all are stalled, for nobody has read */
    for (size_t i = 0; i < 1000; i++)
        if (i != 333)
            story_wants(story_drain(s, s->sources[i]), CS_DONE);
    cr_expect_leq(s->plans[333].given * 500, WINDOW + QUEUE + 500);
    cr_expect_eq(s->plans[333].ends, 0);
    cr_expect_eq(story_counters(s).sources_open, 1);
    story_wants(story_drain(s, s->sources[333]), CS_DONE);
    story_free(s);
}

static const struct chanserv_client_options lasting = {.resume_ms = 20000};

/* docs/CONFORMANCE, 8. */
Test(promise3, of_a_thousand_sources_one_is_read_an_hour_later)
{
    struct story *s = story_new(NULL, NULL);

    for (int i = 0; i < 1000; i++)
        story_plan(s, (struct plan){.frames = 100, .bytes = 1000});
    story_take(s, story_post(s));
    open_all(s);
    for (size_t i = 0; i < 999; i++)
        story_wants(story_drain(s, s->sources[i]), CS_DONE);
    for (int minute = 0; minute < 60; minute++)
        cs_loop_advance(s->loop, 60000);
    story_wants(story_drain(s, s->sources[999]), CS_DONE);
    story_free(s);
}

/* docs/CONFORMANCE, 8.  Five, each of 12 s, and none is opened before the one in front of it has ended: in
 * a session nobody's time for that runs out. */
Test(promise3, of_five_sources_of_a_session_each_is_opened_behind_the_end_of_the_other)
{
    struct story *s = story_new(NULL, &lasting);

    for (int i = 0; i < 5; i++)
        story_plan(s, (struct plan){.frames = 12, .bytes = 50000});
    story_take(s, story_post(s));
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(chanserv_source_open(s->sources[i], 0), CS_OK);
        for (int second = 0; second < 12; second++) {
            cs_err err;

            cr_assert_eq(story_read(s, s->sources[i], 1, &err), 1);
            cs_loop_advance(s->loop, 1000);
        }
        story_wants(story_drain(s, s->sources[i]), CS_DONE);
    }
    cr_expect_eq(story_counters(s).sessions_total, 1);
    story_free(s);
}

/* What was received is acknowledged, not what was read: of sources that nobody reads the server keeps what
 * waits to go out, and nothing of what went. */
Test(promise3, of_a_session_nothing_is_kept_that_has_arrived_although_nobody_reads_it)
{
    enum { SOURCES = 20, SIZE = 1000, WAITS = (16 + 2) * 1024 };
    struct story *s = story_new(NULL, &lasting);

    for (int i = 0; i < SOURCES; i++)
        story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = SIZE});
    story_take(s, story_post(s));
    open_all(s);
    cs_loop_advance(s->loop, 1000);
    for (int i = 0; i < SOURCES; i++)
        cr_expect_gt(s->plans[i].given * SIZE, 60 * 1024, "%d frames went", s->plans[i].given);
    cr_expect_gt(story_counters(s).sessions_kept, 0);
    cr_expect_lt(story_counters(s).sessions_kept, SOURCES * WAITS, "%llu bytes",
                 (unsigned long long)story_counters(s).sessions_kept);
    story_free(s);
}

Test(promise3, a_lazy_reader_holds_up_no_greedy_one_and_is_never_cut_off)
{
    struct story *s = story_new(NULL, NULL);
    cs_err err;

    story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000});
    story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000});
    story_take(s, story_post(s));
    open_all(s);
    for (int minute = 0; minute < 120; minute++) {
        cr_assert_eq(story_read(s, s->sources[0], 1, &err), 1);
        cr_assert_eq(story_read(s, s->sources[1], 500, &err), 500);
        cs_loop_advance(s->loop, 60000);
    }
    cr_expect_lt(s->plans[0].given, 300);
    cr_expect_gt(s->plans[1].given, 60000);
    story_free(s);
}

static cs_err gives_nothing(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    (void)outlet;
    (void)frame;
    (void)state;
    return CS_DONE;
}

static cs_err announces_for_ever(chanserv_post *post, void *state)
{
    static const struct chanserv_outlet_ops ops = {.next = gives_nothing};
    size_t *n = *(size_t **)state;
    cs_err err;

    while ((err = chanserv_announce(post, cs_str("one more"), &ops, NULL, NULL)) == CS_OK)
        ++*n;
    return err;
}

static cs_err endless(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {.state_bytes = sizeof(void *),
                                                 .next = announces_for_ever};

    (void)body;
    return chanserv_post_keep(post, &ops, &user) == CS_OK ? CS_OK : CS_ENOMEM;
}

Test(promise3, a_feed_nobody_asks_stops_its_own_source_function_and_no_other)
{
    const struct chanserv_server_options options = {.post_sources_max = CS_OFF};
    struct story *s = story_new(&options, NULL);
    size_t announced = 0, first;
    chanserv_feed *feed;
    chanserv_source *source;

    cr_assert_eq(chanserv_serve(s->server, "endless", endless, &announced), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(s->client, "endless", cs_str(""), NULL, &feed), CS_OK);
    cs_loop_settle(s->loop);
    first = announced;
    cs_loop_advance(s->loop, 20000);
    cr_expect_eq(announced, first);
    /* In the queue one weighs 72 bytes, on the wire at least 48. */
    cr_expect_leq(first, 1024 * KIB / 72 + (WINDOW + QUEUE) / 48 + 1);
    story_plan(s, (struct plan){.frames = 10, .bytes = 10});
    story_take(s, story_post(s));
    story_wants(story_drain(s, s->sources[0]), CS_DONE);
    for (int i = 0; i < 20000; i++) {
        cr_assert(chanserv_range_source(feed, &source));
        chanserv_source_close(source);
    }
    cs_loop_settle(s->loop);
    cr_expect_gt(announced, first);
    story_free(s);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

Test(promise3, memory_is_a_window_and_a_queue_for_each_stalled_source)
{
    const struct chanserv_client_options options = {.net = {.window_bytes = 16 * KIB}};
    enum { N = 500, EACH = 16 * KIB + QUEUE + 1000 + 8 * KIB };
    struct story *s;
    size_t before, after;

    failing_count();
    s = story_new(NULL, &options);
    for (int i = 0; i < N; i++)
        story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000});
    story_take(s, story_post(s));
    before = failing_live_bytes();
    open_all(s);
    cs_loop_advance(s->loop, 60000);
    after = failing_live_bytes();
    cr_expect_leq(after - before, N * EACH, "%zu bytes a source", (after - before) / N);
    for (size_t i = 0; i < N; i++)
        cr_assert_leq(s->plans[i].given * 1000, 16 * KIB + QUEUE + 1000);
    story_free(s);
    cr_expect_eq(failing_live(), 0);
}

Test(promise3, an_announced_source_costs_its_announcement)
{
    enum { N = 2000 };
    struct story *s;
    size_t before, after;

    failing_count();
    s = story_new(NULL, NULL);
    for (int i = 0; i < N; i++)
        story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000});
    before = failing_live_bytes();
    story_take(s, story_post(s));
    after = failing_live_bytes();
    cr_expect_leq((after - before) / N, 1200, "%zu bytes, both sides together",
                  (after - before) / N);
    story_free(s);
}

/* Windows that grow while they pay are paid from one budget, and given back. */
Test(promise3, memory_of_greedy_readers_stays_within_the_budget_and_comes_back)
{
    const struct chanserv_client_options options = {
        .net = {.window_bytes = 16 * KIB, .window_grow_bytes = 1024 * KIB}};
    enum { N = 20 };
    size_t most = 0, before;
    struct story *s;
    cs_err err;

    failing_count();
    s = story_new(NULL, &options);
    for (int i = 0; i < N; i++)
        story_plan(s, (struct plan){.frames = 3000, .bytes = 1000});
    story_take(s, story_post(s));
    before = failing_live_bytes();
    for (int round = 0; round < 300; round++)
        for (size_t i = 0; i < N; i++) {
            cr_assert_eq(story_read(s, s->sources[i], 10, &err), 10);
            if (failing_live_bytes() > most)
                most = failing_live_bytes();
        }
    /* Each source its own, the budget, and what the connection has between its ends. */
    cr_expect_leq(most - before, N * (16 + 16 + 8) * KIB + (1024 + 2 * 256 + 512) * KIB, "%zu",
                  most - before);
    for (size_t i = 0; i < N; i++)
        story_wants(story_drain(s, s->sources[i]), CS_DONE);
    cs_loop_settle(s->loop);
    cr_expect_leq(failing_live_bytes() - before, (2 * 256 + 256) * KIB);
    story_free(s);
}

Test(promise3, frames_being_put_together_share_a_cap)
{
    const struct chanserv_server_options server = {.part_bytes = 10000};
    const struct chanserv_client_options client = {.assembly_bytes = 1000000};
    enum { N = 8 };
    struct story *s = story_new(&server, &client);
    int done = 0, refused = 0;
    bool over[N] = {false};

    for (int i = 0; i < N; i++)
        story_plan(s, (struct plan){.frames = 2, .bytes = 400000, .parts = 40});
    story_take(s, story_post(s));
    for (int round = 0; done + refused < N; round++) {
        cr_assert_lt(round, 10000);
        for (size_t i = 0; i < N; i++) { /* all at once, so that all are half there */
            cs_bytes frame;
            cs_err err = over[i] ? CS_AGAIN : chanserv_source_recv(s->sources[i], &frame);

            if (err == CS_OK)
                story_compare(&s->plans[i], s->sources[i], frame);
            if (err == CS_OK || err == CS_AGAIN)
                continue;
            over[i] = true;
            done += err == CS_DONE;
            refused += err == CS_ELIMIT;
        }
        cs_loop_settle(s->loop);
    }
    cr_expect_eq(done + refused, N);
    cr_expect_gt(done, 0);
    cr_expect_gt(refused, 0);
    story_free(s);
}

/* ---- Fairness and both ways at once ---------------------------------------------------------- */

/* docs/CONFORMANCE, 23. */
Test(promise3, a_select_over_a_busy_and_a_slow_source_serves_both)
{
    struct story *s = story_new(NULL, NULL);
    struct chanserv_event event;
    chanserv_set *set;
    int slow = 0, at = 0;

    story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 100});
    story_plan(s, (struct plan){.frames = 20, .bytes = 100, .waits_at = 10});
    story_take(s, story_post(s));
    cr_assert_eq(chanserv_set_new(s->client, &set), CS_OK);
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(chanserv_set_add_source(set, s->sources[i]), CS_OK);
    for (int n = 0; n < 300; n++) {
        story_wants(chanserv_select(set, CS_FOREVER, &event), CS_OK);
        if (n == 100)
            story_go(s, &s->plans[1]);
        if (event.kind == CHANSERV_FRAME && event.source == s->sources[1]) {
            slow++;
            at = n;
        }
    }
    cr_expect_eq(slow, 20);
    cr_expect_lt(at, 150, "each in its turn");
    chanserv_set_free(set);
    story_free(s);
}

static cs_err echo_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    if ((*(int *)state)++ > 0)
        return CS_DONE;
    *frame = chanserv_post_body(chanserv_outlet_post(outlet));
    return CS_OK;
}

static cs_err echo(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(int), .next = echo_next};
    static const struct chanserv_post_ops stays = {.reserved = {NULL}};

    (void)body;
    (void)user;
    if (chanserv_post_keep(post, &stays, NULL) != CS_OK)
        return CS_ENOMEM;
    return chanserv_announce(post, cs_str("echo"), &ops, NULL, NULL) == CS_OK ? CS_DONE : CS_ELIMIT;
}

/* docs/CONFORMANCE, 14: nobody stops listening because he has much to say. */
Test(promise3, both_sides_send_megabytes_at_once)
{
    struct story *s = story_new(NULL, NULL);
    const struct plan what = {.bytes = 4000000, .index = 3};
    chanserv_feed *feeds[16];
    chanserv_source *source;
    cs_bytes frame;

    cr_assert_eq(chanserv_serve(s->server, "echo", echo, NULL), CS_OK);
    for (int i = 0; i < 16; i++)
        cr_assert_eq(
            chanserv_lookup_and_post(s->client, "echo", story_payload(&what, i), NULL, &feeds[i]),
            CS_OK);
    for (int i = 0; i < 16; i++) {
        cr_assert(chanserv_range_source(feeds[i], &source), "%s", chanserv_feed_errmsg(feeds[i]));
        cr_assert_eq(chanserv_source_open(source, 0), CS_OK);
        cr_assert(chanserv_range_frame(source, &frame));
        cr_expect(cs_same(frame, story_payload(&what, i)));
        cr_assert(!chanserv_range_frame(source, &frame));
        story_wants(chanserv_source_status(source), CS_DONE);
    }
    story_free(s);
}

/* docs/CONFORMANCE, 9. */
Test(promise3, a_peer_that_never_grants_a_byte_is_ended_and_a_lazy_reader_is_not)
{
    static const char post[] = "\0\0\0\0\x07\x0a\x05"
                               "flood";
    struct story *s = story_new(NULL, NULL);
    chanserv_source *lazy;
    chanserv_feed *feed;
    fake_peer *attacker;

    lazy = story_source(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000}, &feed);
    open_all(s);
    story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000});
    attacker = fake_client(s->loop, NULL, chanserv__server_handlers(s->server));
    fake_settings(attacker, 4, 0); /* INITIAL_WINDOW_SIZE */
    fake_request(attacker, 1, false, "/chanserv.v1.Chanserv/Post");
    fake_frame(attacker, FAKE_DATA, FAKE_END, 1, cs_bytes_of(post, sizeof post - 1));
    cs_loop_settle(s->loop);
    cr_expect_eq(story_counters(s).posts, 1);
    for (int i = 0; i < 5; i++)
        cs_loop_advance(s->loop, 10000);
    cr_expect_eq(story_counters(s).streams_stalled, 1);
    cr_expect_eq(story_counters(s).posts, 0);
    cr_expect(strstr(fake_said(attacker), "RST_STREAM 1") || strstr(fake_said(attacker), "grpc-st"),
              "%s", fake_said(attacker));
    story_wants(s->closed_why, CS_ESTALLED);
    fake_free(attacker);
    cs_loop_advance(s->loop, 3600 * 1000);
    cr_expect_eq(s->plans[0].ends, 0);
    cs_err err;
    cr_expect_eq(story_read(s, lazy, 200, &err), 200);
    story_free(s);
}
