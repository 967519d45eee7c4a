/* Our client and our server, and connections that break at any moment: every frame of every source arrives once,
 * in order, both ways; every source function runs once; every end is told. */
#include "mux/local.h"
#include "test/chanserv/breaks.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>

static void cut(void)
{
    mux_conn *conn = chanserv__nodes_first(breaks.client)->conn;

    breaks.cuts++;
    if (breaks_roll(4))
        mux_conn_break(conn);
    else
        mux_conn_swallow(conn); /* noticed by its keepalive, and not by the server */
}

Test(resume, nothing_is_lost_and_nothing_twice_whatever_breaks)
{
    int cuts = 0;

    for (unsigned seed = 1; seed <= 40; seed++) {
        cr_assert_eq(breaks_begin(seed, NULL), CS_OK);
        breaks.strict = true;
        cr_assert_eq(breaks_post(), CS_OK);
        for (int i = 0; i < 20000 && !breaks_over(); i++) {
            if (i < 2000 && breaks_roll(25) == 0)
                cut();
            breaks_tick((int)breaks_roll(12), (int)breaks_roll(4));
        }
        cs_loop_advance(breaks.loop, 100);
        cr_assert_eq(breaks.runs, 2, "seed %u", seed);
        cr_assert_eq(breaks.feed_why, CS_DONE, "seed %u: %s", seed, cs_strerror(breaks.feed_why));
        cr_assert_eq(breaks.talk_why, CS_DONE, "seed %u: %s", seed, cs_strerror(breaks.talk_why));
        cr_assert_eq(breaks.frames + breaks.gaps, SOURCES * FRAMES, "seed %u: %zu + %zu", seed,
                     breaks.frames, breaks.gaps);
        cr_assert_eq(breaks.said, SAID);
        cr_assert_eq(breaks.heard, SAID);
        cr_assert_eq(breaks.echoed, SAID);
        cr_assert_eq(breaks_counters().sessions, 1);
        cr_assert_eq(breaks_counters().sources_open, 0);
        cr_assert_gt(breaks.attached, 0);
        cr_assert_leq(breaks.attached, breaks.detached);
        cuts += breaks.cuts;
        breaks_end();
    }
    cr_assert_gt(cuts, 300, "only %d", cuts);
}

Test(resume, a_post_that_ran_and_was_not_answered_is_not_run_again)
{
    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    breaks.strict = breaks.cuts_itself = true;
    cr_assert_eq(breaks_post(), CS_OK);
    for (int i = 0; i < 5000 && !breaks_over(); i++)
        breaks_tick(100, 1);
    cr_assert_eq(breaks.runs, 2);
    cr_assert_eq(breaks_counters().sessions_resumed, 1);
    cr_assert_eq(breaks.feed_why, CS_DONE, "%s", cs_strerror(breaks.feed_why));
    cr_assert_eq(breaks.frames + breaks.gaps, SOURCES * FRAMES, "%zu", breaks.frames);
    breaks_end();
}

Test(resume, a_client_that_is_freed_leaves_nothing_behind)
{
    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    cr_assert_eq(breaks_post(), CS_OK);
    cs_loop_advance(breaks.loop, 5);
    cr_assert_eq(breaks_counters().sessions, 1);
    chanserv_client_free(breaks.client);
    breaks.client = NULL;
    cs_loop_advance(breaks.loop, 10);
    cr_assert_eq(breaks_counters().sessions, 0, "it said good-bye");
    cr_assert_eq(breaks_counters().posts, 0);
    cr_assert_eq(breaks_counters().sources_open + breaks_counters().sources_waiting, 0);
    breaks_end();
}

Test(resume, what_is_over_is_forgotten_by_the_server)
{
    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    cr_assert_eq(breaks_post(), CS_OK);
    for (int i = 0; i < 5000 && !breaks_over(); i++)
        breaks_tick(100, 1);
    cs_loop_advance(breaks.loop, 100);
    cr_assert_eq(breaks_counters().streams, 1, "%u: only the session is left",
                 (unsigned)breaks_counters().streams);
    breaks_end();
}

Test(resume, without_sessions_on_the_server_it_goes_on_plainly)
{
    cr_assert_eq(breaks_begin(1, &(struct chanserv_server_options){.linger_ms = CS_OFF}), CS_OK);
    cr_assert_eq(breaks_post(), CS_OK);
    for (int i = 0; i < 5000 && !breaks_over(); i++)
        breaks_tick(100, 1);
    cr_assert_eq(breaks.feed_why, CS_DONE, "%s", cs_strerror(breaks.feed_why));
    cr_assert_eq(breaks.talk_why, CS_DONE, "%s", cs_strerror(breaks.talk_why));
    cr_assert_eq(breaks.runs, 2);
    cr_assert_eq(breaks_counters().sessions_total, 0);
    breaks_end();
}

Test(resume, a_post_under_another_name_is_none_of_the_session)
{
    const cs_pair other = {cs_str("authorization"), cs_str("Bearer other")};
    const struct chanserv_post_options options = {.metadata = &other, .metadata_len = 1};

    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    cr_assert_eq(breaks_post(), CS_OK);
    cs_loop_advance(breaks.loop, 5);
    cr_assert_eq(breaks_counters().sessions, 1);
    chanserv_feed_close(breaks.feed);
    breaks.runs = breaks.sources_len = 0;
    breaks.frames = breaks.gaps = 0;
    cr_assert_eq(
        chanserv_lookup_and_post(breaks.client, "numbers", cs_str(""), &options, &breaks.feed),
        CS_OK);
    cr_assert_eq(chanserv_feed_start(breaks.feed, &breaks_feed_ops, &breaks.feed_why), CS_OK);
    for (int i = 0; i < 1000 && breaks.frames + breaks.gaps < SOURCES * FRAMES; i++)
        breaks_tick(100, 1);
    cr_assert_eq(breaks.frames + breaks.gaps, SOURCES * FRAMES);
    cr_assert_eq(breaks.runs, 1);
    cr_assert_eq(breaks_counters().sessions, 1);
    breaks_end();
}

Test(resume, what_is_cancelled_in_a_break_is_heard_with_its_reason)
{
    struct chanserv__bond *bond;

    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    cr_assert_eq(breaks_post(), CS_OK);
    cs_loop_advance(breaks.loop, 5);
    bond = chanserv__nodes_first(breaks.client)->bond;
    bond->rests = true; /* it is a long one */
    mux_conn_break(bond->node->conn);
    cs_loop_settle(breaks.loop);
    chanserv_feed_cancel(breaks.feed);
    cs_loop_advance(breaks.loop, 100);
    cr_assert_eq(breaks.unwanted, 0);
    bond->rests = false;
    chanserv__bond_changed(bond);
    cs_loop_advance(breaks.loop, 100);
    cr_assert_eq(breaks.unwanted, SOURCES);
    breaks_end();
}

static void feed_detached(chanserv_feed *feed, cs_err why, void *state)
{
    (void)state;
    cr_assert_eq(why, CS_EPEER);
    cr_assert(chanserv_feed_is_detached(feed));
    breaks.detached++;
}

static void feed_attached(chanserv_feed *feed, void *state)
{
    (void)state;
    cr_assert_not(chanserv_feed_is_detached(feed));
    breaks.attached++;
}

Test(resume, a_break_is_told_and_its_end_too)
{
    static const struct chanserv_feed_ops ops = {
        .end = breaks_feed_end, .detached = feed_detached, .attached = feed_attached};
    struct chanserv__bond *bond;

    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    breaks.say = 100000;
    cr_assert_eq(chanserv_serve(breaks.server, "stay", breaks_stay, NULL), CS_OK);
    cr_assert_eq(breaks_post(), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "stay", cs_str(""), NULL, &breaks.feed),
                 CS_OK);
    cr_assert_eq(chanserv_feed_start(breaks.feed, &ops, &breaks.feed_why), CS_OK);
    cs_loop_advance(breaks.loop, 5);
    cr_assert_eq(breaks.detached, 0, "a channel that begins is not one that broke");
    for (int i = 1; i <= 3; i++) {
        bond = breaks_hurt();
        cr_assert_eq(breaks.detached, i * (SOURCES + 2), "%d", breaks.detached);
        cr_assert(chanserv_feed_is_detached(breaks.feed));
        cr_assert(chanserv_source_is_detached(breaks.mouth));
        cs_loop_advance(breaks.loop, 1000);
        cr_assert_eq(breaks.attached, (i - 1) * (SOURCES + 2), "%d", breaks.attached);
        breaks_heal(bond);
        cr_assert_eq(breaks.attached, i * (SOURCES + 2), "%d", breaks.attached);
        cr_assert_not(chanserv_feed_is_detached(breaks.feed));
        cr_assert_not(chanserv_source_is_detached(breaks.mouth));
    }
    breaks_end();
}

static void close_it(chanserv_source *source, cs_err why, void *state)
{
    (void)why, (void)state;
    chanserv_source_close(source);
    breaks.detached++;
}

static void free_client(chanserv_source *source, cs_err why, void *state)
{
    (void)source, (void)why, (void)state;
    chanserv_client_free(breaks.client);
    breaks.client = NULL;
    breaks.detached++;
}

Test(resume, who_is_told_of_a_break_may_close_and_free)
{
    static const struct chanserv_feed_ops keeps = {.readable = breaks_feed_kept,
                                                   .end = breaks_feed_end};
    const struct chanserv_source_ops ops[] = {{.detached = close_it}, {.detached = free_client}};

    for (int all = 0; all < 2; all++) {
        cr_assert_eq(breaks_begin(1, NULL), CS_OK);
        cr_assert_eq(
            chanserv_lookup_and_post(breaks.client, "numbers", cs_str(""), NULL, &breaks.feed),
            CS_OK);
        cr_assert_eq(chanserv_feed_start(breaks.feed, &keeps, &breaks.feed_why), CS_OK);
        cs_loop_advance(breaks.loop, 50);
        for (int i = 0; i < SOURCES; i++)
            cr_assert_eq(chanserv_source_start(breaks.sources[i], &ops[all], NULL), CS_OK);
        cs_loop_advance(breaks.loop, 50);
        struct chanserv__bond *bond = breaks_hurt();
        cr_assert_eq(breaks.detached, all ? 1 : SOURCES);
        if (!all)
            breaks_heal(bond);
        cs_loop_advance(breaks.loop, 31000);
        cr_assert_eq(breaks.ends, SOURCES, "the producers are told");
        breaks_end();
    }
}

/* The post is over, and what is opened now the server does not hear of before the session stands again. */
Test(resume, what_is_opened_in_a_break_is_still_there_although_its_feed_has_ended)
{
    static const struct chanserv_feed_ops keeps = {.readable = breaks_feed_kept,
                                                   .end = breaks_feed_end};
    struct chanserv__bond *bond;

    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    breaks.strict = true;
    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "numbers", cs_str(""), NULL, &breaks.feed),
                 CS_OK);
    cr_assert_eq(chanserv_feed_start(breaks.feed, &keeps, &breaks.feed_why), CS_OK);
    cs_loop_advance(breaks.loop, 50);
    cr_assert_eq(breaks.feed_why, CS_DONE);
    cr_assert_eq(breaks.sources_len, SOURCES);
    bond = chanserv__nodes_first(breaks.client)->bond;
    bond->rests = true;
    mux_conn_break(bond->node->conn);
    cs_loop_settle(breaks.loop);
    for (int i = 0; i < SOURCES; i++)
        cr_assert_eq(chanserv_source_start(breaks.sources[i], &breaks_frames_ops, NULL), CS_OK);
    cs_loop_advance(breaks.loop, 100);
    bond->rests = false;
    chanserv__bond_changed(bond);
    for (int i = 0; i < 1000 && breaks.ends < SOURCES; i++)
        breaks_tick(100, 1);
    cs_loop_advance(breaks.loop, 100);
    cr_assert_eq(breaks.frames + breaks.gaps, SOURCES * FRAMES, "%zu", breaks.frames);
    cr_assert_eq(breaks_counters().channels, 0, "and the post is forgotten at last");
    breaks_end();
}

/* The same, but nobody wants it any more before the Open went out. */
Test(resume, what_is_opened_and_closed_in_a_break_is_over_on_the_server)
{
    static const struct chanserv_feed_ops keeps = {.readable = breaks_feed_kept,
                                                   .end = breaks_feed_end};
    struct chanserv__bond *bond;

    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "numbers", cs_str(""), NULL, &breaks.feed),
                 CS_OK);
    cr_assert_eq(chanserv_feed_start(breaks.feed, &keeps, &breaks.feed_why), CS_OK);
    cs_loop_advance(breaks.loop, 50);
    bond = chanserv__nodes_first(breaks.client)->bond;
    bond->rests = true;
    mux_conn_break(bond->node->conn);
    cs_loop_settle(breaks.loop);
    cr_assert_eq(chanserv_source_open(breaks.sources[2], 0), CS_OK);
    chanserv_feed_close(breaks.feed);
    bond->rests = false;
    chanserv__bond_changed(bond);
    cs_loop_advance(breaks.loop, 100);
    cr_assert_eq(breaks_counters().sources_waiting + breaks_counters().sources_open, 0);
    cr_assert_eq(breaks.ends, SOURCES);
    breaks_end();
}

/* The server never heard of the Open, nor of what was said behind it. */
Test(resume, what_was_said_behind_an_open_that_was_lost_is_said_again)
{
    static const struct chanserv_feed_ops keeps = {.readable = breaks_feed_kept,
                                                   .end = breaks_feed_end};

    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    breaks.strict = true;
    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "echo", cs_str(""), NULL, &breaks.talk),
                 CS_OK);
    cr_assert_eq(chanserv_feed_start(breaks.talk, &keeps, &breaks.talk_why), CS_OK);
    cs_loop_advance(breaks.loop, 50);
    cr_assert_eq(breaks.sources_len, 1);
    mux_conn_swallow(chanserv__nodes_first(breaks.client)->conn);
    cr_assert_eq(chanserv_source_start(breaks.sources[0], &breaks_mouth_ops, NULL), CS_OK);
    breaks_say(breaks.sources[0], NULL);
    cr_assert_gt(breaks.said, 0);
    for (int i = 0; i < 1000 && breaks.ends < 1; i++)
        breaks_tick(100, 1);
    cr_assert_eq(breaks.said, SAID, "%zu", breaks.said);
    cr_assert_eq(breaks.heard, SAID, "%zu", breaks.heard);
    cs_loop_advance(breaks.loop, 100);
    cr_assert_eq(breaks.echoed, SAID);
    breaks_end();
}

static void story(void)
{
    if (breaks_begin_short() == CS_OK)
        for (int i = 0; i < 12 && !breaks_over(); i++) {
            if (i == 2 || i == 5)
                mux_conn_break(chanserv__nodes_first(breaks.client)->conn);
            breaks_tick(8, 10);
        }
    breaks_end();
}

Test(resume, survives_every_failed_allocation)
{
    failing_story(story);
}
