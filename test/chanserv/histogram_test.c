/* How long things take on a server: what is measured, and what is not. */
#include "raw.h"

#include "chanserv/loops__in.h"

static struct chanserv_histograms now;
static chanserv_post *kept;

static uint64_t count_of(const struct cs_histogram *h)
{
    uint64_t n = 0;

    for (size_t i = 0; i <= CS_HISTOGRAM_BOUNDS; i++)
        n += h->counts[i];
    return n;
}

/* So many of it, that took so long together. */
#define measured(name, n, us)                                                                      \
    do {                                                                                           \
        chanserv_server_histograms(raw.server, &now);                                              \
        cr_assert_eq(count_of(&now.name), n, "%d", (int)count_of(&now.name));                      \
        cr_assert_eq(now.name.sum_us, us, "%d", (int)now.name.sum_us);                             \
    } while (0)

static cs_err one(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)o, (void)frame, (void)state;
    return CS_DONE;
}

static cs_err large(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    static const char bytes[20000];
    int *left = state;

    (void)o;
    if ((*left)-- == 0)
        return CS_DONE;
    *frame = cs_bytes_of(bytes, sizeof bytes);
    return CS_OK;
}

static chanserv_outlet *dripping;
static int drops;

static cs_err drip(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    static const char bytes[20000];

    (void)state;
    dripping = o;
    if (drops-- == 0)
        return CS_AGAIN;
    *frame = cs_bytes_of(bytes, sizeof bytes);
    return CS_OK;
}

static void announce(bool eager)
{
    static const struct chanserv_outlet_ops ops = {.next = one},
                                            eager_ops = {.next = one, .eager = true};

    cr_assert_eq(chanserv_announce(kept, cs_str("h"), eager ? &eager_ops : &ops, NULL, NULL),
                 CS_OK);
    cs_loop_settle(raw.loop);
}

static cs_err waits(chanserv_post *post, void *state)
{
    (void)post, (void)state;
    return CS_AGAIN;
}

static cs_err keep(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {.next = waits};

    (void)body, (void)user;
    kept = post;
    return chanserv_post_keep(post, &ops, NULL);
}

static cs_err flood(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(int), .next = large};
    int frames = 20;

    (void)body, (void)user;
    cr_assert_eq(chanserv_announce(post, cs_str("h"), &ops, &frames, NULL), CS_OK);
    cr_assert_eq(chanserv_announce(post, cs_str("h"), &ops, &frames, NULL), CS_OK);
    return CS_DONE;
}

static cs_err drips(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.next = drip};

    (void)body, (void)user;
    cr_assert_eq(chanserv_announce(post, cs_str("h"), &ops, NULL, NULL), CS_OK);
    return CS_DONE;
}

static void up(void)
{
    raw_up(NULL);
    cr_assert_eq(chanserv_serve_parallel(raw.server, "keep", keep, NULL), CS_OK);
    cr_assert_eq(chanserv_serve_parallel(raw.server, "flood", flood, NULL), CS_OK);
    cr_assert_eq(chanserv_serve_parallel(raw.server, "drip", drips, NULL), CS_OK);
}

TestSuite(histograms, .init = up, .fini = raw_down);

Test(histograms, a_post_is_measured_to_its_first_announcement_and_to_its_end)
{
    raw_post("keep", "");
    cs_loop_advance(raw.loop, 7);
    measured(post_answer, 0, 0);
    announce(false);
    measured(post_answer, 1, 7000);
    cr_assert_eq(now.post_answer.counts[6], 1); /* 5 ms < 7 ms <= 10 ms */
    cs_loop_advance(raw.loop, 100);
    announce(false);
    measured(post_answer, 1, 7000);
    measured(post, 0, 0);
    chanserv_post_finish(kept, CS_OK);
    cs_loop_settle(raw.loop);
    measured(post, 1, 107000);
}

Test(histograms, an_answer_inline_is_one)
{
    raw_post_inline("keep", 1000);
    cs_loop_advance(raw.loop, 2);
    announce(true);
    measured(post_answer, 1, 2000);
    measured(claim, 0, 0);
}

Test(histograms, a_post_that_its_client_left_is_over_too_and_had_no_answer)
{
    struct raw_call *post = raw_post("keep", "");

    cs_loop_advance(raw.loop, 1000);
    raw_leave(post);
    measured(post, 1, 1000000);
    measured(post_answer, 0, 0);
}

Test(histograms, what_was_refused_took_no_time)
{
    raw_post("nobody", "");
    measured(post, 0, 0);
    measured(post_answer, 0, 0);
}

Test(histograms, a_source_is_measured_from_its_announcement_to_its_opening)
{
    struct raw_call *post = raw_post("keep", "");

    cs_loop_advance(raw.loop, 50);
    announce(false);
    announce(false);
    cs_loop_advance(raw.loop, 3000);
    measured(claim, 0, 0);
    raw_open(post, 0, 0);
    measured(claim, 1, 3000000);
    raw_open(post, 0, 0); /* it is not there any more */
    measured(claim, 1, 3000000);
    raw_open(post, 1, 0);
    measured(claim, 2, 6000000);
}

static struct raw_call *open_paused(const struct raw_call *post, size_t i)
{
    const struct wire_open open = {.ticket = cs_bytes_of(post->tickets[i], 32)};
    struct raw_call *c = raw_open_with(&open, 0);

    raw_pause(c);
    cs_loop_settle(raw.loop);
    return c;
}

Test(histograms, a_window_is_shut_until_its_reader_opens_it)
{
    struct raw_call *post = raw_post("flood", ""), *c = open_paused(post, 0);
    uint64_t times;

    cs_loop_advance(raw.loop, 2000);
    measured(window_shut, 0, 0);
    raw_resume(c); /* and all the rest within no time, with the window shut now and then */
    chanserv_server_histograms(raw.server, &now);
    times = now.window_shut.counts[0];
    measured(window_shut, times + 1, 2000000);
    cr_assert_eq(now.window_shut.counts[13], 1); /* 1 s < 2 s <= 2.5 s */
    c = open_paused(post, 1);
    cs_loop_advance(raw.loop, 500);
    cr_assert_gt(raw_counters().queued_bytes, 10000);
    raw_leave(c); /* he never opened it again */
    measured(window_shut, times + 1, 2000000);
    cr_assert_eq(raw_counters().queued_bytes, 0);
}

Test(histograms, a_window_that_is_opened_in_time_was_never_shut)
{
    struct raw_call *post = raw_post("drip", "");

    raw_open(post, 0, 0);
    for (int i = 0; i < 20; i++) {
        cs_loop_advance(raw.loop, 1000);
        drops = 1;
        chanserv_outlet_wake(dripping);
        cs_loop_settle(raw.loop);
    }
    measured(window_shut, 0, 0);
    cr_assert_gt(raw_counters().frame_bytes_out, 399999);
}

Test(histograms, those_of_several_loops_are_added_up)
{
    const struct chanserv_server_options o = {.loops = 1};

    cr_assert_eq(chanserv__loops_new(raw.server, &o, raw.loop, 3), CS_OK);
    cr_assert_eq(chanserv_serve_parallel(raw.server, "everywhere", keep, NULL), CS_OK);
    cr_assert_eq(chanserv__loops_begin(raw.server), CS_OK);
    for (size_t i = 0; i < 3; i++) {
        raw_move(i);
        raw_post("everywhere", "");
        cs_loop_advance(raw.loop, 10);
        announce(false);
        measured(post_answer, i + 1, 10000 * (i + 1));
    }
}
