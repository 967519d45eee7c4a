/* Bad moments of docs/CONFORMANCE, by their numbers, that concern plain channels and are not told elsewhere.
 *
 *   8, second half, 9, 14, 23   promise3      13   promise6      15, 16   promise2
 *
 * Here: 8, first half, as far as a plain channel goes; 10; 19; and 20 for a channel without a
 * session, whose life is that of its stream. */
#include "test/story/story.h"

#include "chanserv/client__in.h"
#include "mux/local.h"
#include "test/support/failing.h"

/* 8.  Five sources of 12 s each, one after the other.  A plain channel's accept timeout runs, so
 * whoever reads so slowly opens them first: then each waits for as long as it takes. */
Test(protocol, five_sources_of_twelve_seconds_are_read_in_a_row_when_they_are_opened_first)
{
    struct story *s = story_new(NULL, NULL);
    cs_err err;

    for (int i = 0; i < 5; i++)
        story_plan(s, (struct plan){.frames = 12, .bytes = 50000});
    story_take(s, story_post(s));
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(chanserv_source_open(s->sources[i], 0), CS_OK);
    for (size_t i = 0; i < 5; i++) {
        for (int second = 0; second < 12; second++) {
            cr_assert_eq(story_read(s, s->sources[i], 1, &err), 1);
            cs_loop_advance(s->loop, 1000);
        }
        story_wants(story_drain(s, s->sources[i]), CS_DONE);
    }
    story_free(s);
}

/* 10.  A client that leaves its loop and neither reads nor cancels, again and again: what it leaves
 * behind is bounded by the windows, and goes when its connection does. */
Test(protocol, a_reader_that_breaks_without_cancel_costs_its_window_and_no_more)
{
    const struct chanserv_client_options narrow = {.net = {.window_bytes = 16 * 1024}};
    /* What was received may pin a third more than its size; the queue; a frame; the stream. */
    enum { N = 1000, EACH = (22 + 16 + 20) * 1024 };
    struct story *s;
    size_t before, each;
    cs_err err;

    failing_count();
    s = story_new(NULL, &narrow);
    for (int i = 0; i < N; i++)
        story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000});
    before = failing_live_bytes();
    story_take(s, story_post(s));
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(story_read(s, s->sources[i], 1, &err), 1); /* break; */
    cs_loop_advance(s->loop, 3600 * 1000);
    each = (failing_live_bytes() - before) / N;
    cr_expect_leq(each, EACH, "%zu bytes", each);
    cr_expect_eq(story_counters(s).sources_open, N);
    story_break(s);
    cr_expect_eq(story_counters(s).sources_open, 0);
    for (size_t i = 0; i < N; i++)
        story_ended(&s->plans[i], CS_EPEER, "client-left");
    story_free(s);
}

/* 19, as much of it as fits a unit test: memory is flat. */
Test(protocol, churn_leaves_memory_flat)
{
    struct story *s;
    size_t early = 0, late = 0;

    failing_count();
    s = story_new(NULL, NULL);
    for (int round = 0; round < 60; round++) {
        chanserv_feed *feed;

        s->plans_len = s->sources_len = 0;
        for (int i = 0; i < 100; i++)
            story_plan(s, (struct plan){.frames = i % 4, .bytes = 20, .eager = i % 2});
        feed = story_post(s);
        story_take(s, feed);
        for (size_t i = 0; i < 100; i++)
            if (i % 5) /* one in five is cancelled half-way, or before it began */
                story_wants(story_drain(s, s->sources[i]), CS_DONE);
        story_wants(chanserv_feed_close(feed), CS_OK);
        cs_loop_advance(s->loop, 31000);
        if (round == 49)
            early = failing_live_bytes();
        late = failing_live_bytes();
    }
    /* Only the memory of dead tickets grows: 65,536 of them at the most. */
    cr_expect_leq(late, early + 10 * 100 * 64);
    cr_expect_eq(story_counters(s).sources_waiting, 0);
    story_free(s);
}

/* 20.  A lock: one holder at a time, the next one waits.  When the holder is cut off, the next
 * has it at once. */
struct lock {
    chanserv_outlet *holder, *waiting;
};

static cs_err hold(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct lock *lock = *(struct lock **)state;

    if (lock->holder == outlet)
        return CS_AGAIN;
    if (lock->holder) {
        lock->waiting = outlet;
        return CS_AGAIN;
    }
    lock->holder = outlet;
    *frame = cs_str("yours");
    return CS_OK;
}

static void release(chanserv_outlet *outlet, cs_err why, void *state)
{
    struct lock *lock = *(struct lock **)state;

    cr_assert_eq(why, CS_EPEER);
    if (lock->waiting == outlet)
        lock->waiting = NULL;
    if (lock->holder != outlet)
        return;
    lock->holder = NULL;
    if (lock->waiting)
        chanserv_outlet_wake(lock->waiting);
    lock->waiting = NULL;
}

static cs_err acquire(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {
        .state_bytes = sizeof(struct lock *), .next = hold, .end = release};

    return chanserv_announce(post, body, &ops, &user, NULL) == CS_OK ? CS_DONE : CS_ELIMIT;
}

static chanserv_source *acquire_by(chanserv_client *client)
{
    chanserv_source *source;
    chanserv_feed *feed;

    cr_assert_eq(chanserv_lookup_and_post(client, "lock", cs_str("a"), NULL, &feed), CS_OK);
    cr_assert(chanserv_range_source(feed, &source));
    cr_assert_eq(chanserv_source_open(source, 0), CS_OK);
    return source;
}

Test(protocol, a_holder_that_is_cut_off_leaves_its_lock_to_the_next_at_once)
{
    struct story *s = story_new(NULL, NULL);
    struct lock lock = {NULL, NULL};
    chanserv_source *first, *second;
    chanserv_client *other;
    int64_t cut_ms;
    cs_bytes frame;

    cr_assert_eq(chanserv_serve(s->server, "lock", acquire, &lock), CS_OK);
    cr_assert_eq(chanserv_client_new(s->loop, NULL, &other), CS_OK);
    cr_assert_eq(chanserv_join_local(other, s->server), CS_OK);
    first = acquire_by(s->client);
    cr_assert(chanserv_range_frame(first, &frame));
    second = acquire_by(other);
    cs_loop_advance(s->loop, 600 * 1000);
    story_wants(chanserv_source_recv(second, &frame), CS_AGAIN);
    cut_ms = cs_loop_now_ms(s->loop);
    mux_conn_break(chanserv__nodes_first(s->client)->conn);
    cr_assert(chanserv_range_frame(second, &frame));
    cr_expect_eq(cs_loop_now_ms(s->loop), cut_ms);
    chanserv_client_free(other);
    story_free(s);
}
