/* Connections that go: they are told to, they are used up, their node is left.  Sessions move, and nobody
 * notices. */
#include "mux/local.h"
#include "test/chanserv/breaks.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>

static void post_one(void)
{
    cs_err *why = &breaks.whys[breaks.whys_len++ % WHYS];
    static const struct chanserv_feed_ops ops = {.end = breaks_feed_end};
    chanserv_feed *feed;

    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "none", cs_str(""), NULL, &feed), CS_OK);
    cr_assert_eq(chanserv_feed_start(feed, &ops, why), CS_OK);
}

/* The server tells connection after connection to go, with all that runs on it. */
Test(resume, a_connection_that_goes_takes_nothing_along_and_nobody_notices)
{
    int rolls = 0;
    uint64_t moves = 0;

    for (unsigned seed = 1; seed <= 20; seed++) {
        cr_assert_eq(breaks_begin(seed, NULL), CS_OK);
        breaks.strict = true;
        cr_assert_eq(chanserv_serve(breaks.server, "none", breaks_none, NULL), CS_OK);
        cr_assert_eq(breaks_post(), CS_OK);
        for (int i = 0; i < 20000 && !breaks_over(); i++) {
            if (i < 2000 && breaks_roll(12) == 0) {
                breaks_roll_over();
                post_one();
                rolls++;
            }
            breaks_tick((int)breaks_roll(12), (int)breaks_roll(4));
        }
        cs_loop_advance(breaks.loop, 10000); /* a session that moves too often rests */
        breaks_expect_all(seed);
        cr_assert_eq(breaks.detached, 0, "seed %u: %d", seed, breaks.detached);
        cr_assert_eq(breaks_counters().sessions_total, 1);
        moves += breaks_counters().sessions_resumed;
        cr_assert_eq(breaks_counters().sources_open, 0);
        cs_loop_advance(breaks.loop, 5000);
        cr_assert_leq(breaks_counters().connections, 1, "seed %u: what went is gone", seed);
        breaks_end();
    }
    cr_assert_gt(rolls, 60, "only %d", rolls);
    cr_assert_gt(moves, 20, "only %u", (unsigned)moves);
}

Test(resume, a_connection_that_is_used_up_is_followed_by_another)
{
    breaks_calls_max = 3;
    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    breaks.strict = true;
    cr_assert_eq(chanserv_serve(breaks.server, "none", breaks_none, NULL), CS_OK);
    cr_assert_eq(breaks_post(), CS_OK);
    for (int i = 0; i < 20000 && !breaks_over(); i++) {
        if (i % 20 == 0)
            post_one();
        breaks_tick((int)breaks_roll(12), (int)breaks_roll(4));
    }
    cs_loop_advance(breaks.loop, 20000);
    breaks_expect_all(1);
    cr_assert_eq(breaks.detached, 0);
    cr_assert_eq(breaks_counters().sessions_total, 1);
    cr_assert_gt(breaks_counters().connections_total, 3);
    cr_assert_leq(breaks_counters().connections, 1);
    breaks_end();
}

Test(resume, a_session_of_nothing_goes_with_its_connection)
{
    breaks_age_ms = 10000;
    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    cr_assert_eq(breaks_post(), CS_OK);
    for (int i = 0; i < 5000 && !breaks_over(); i++)
        breaks_tick(100, 1);
    cs_loop_advance(breaks.loop, 100);
    cr_assert_eq(breaks_counters().sessions, 1);
    cs_loop_advance(breaks.loop, 11000);
    cr_assert_eq(breaks_counters().sessions, 0);
    cr_assert_eq(breaks_counters().connections, 0);
    cr_assert_eq(breaks_counters().connections_total, 1, "nobody was dialed for it");
    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "numbers", cs_str(""), NULL, &breaks.feed),
                 CS_OK);
    cr_assert_eq(chanserv_feed_ready(breaks.feed), CS_OK);
    cr_assert_eq(breaks_counters().sessions_total, 2);
    breaks_end();
}

/* Behind the address there is another process now; the old one still serves what it has. */
Test(resume, where_another_process_is_dialed_the_old_one_is_left_in_peace)
{
    struct chanserv__bond *bond;
    chanserv_feed *feed;

    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    breaks.strict = true;
    cr_assert_eq(breaks_post(), CS_OK);
    for (int i = 0; i < 10; i++)
        breaks_tick(2, 1);
    bond = chanserv__nodes_first(breaks.client)->bond;
    bond->elsewhere = true; /* as its answer to the next attempt says */
    cr_assert_eq(chanserv_serve(breaks.server, "none", breaks_none, NULL), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "none", cs_str(""), NULL, &feed), CS_OK);
    cr_assert_eq(chanserv_feed_ready(feed), CS_OK);
    for (int i = 0; i < 5000 && !breaks_over(); i++)
        breaks_tick(100, 1);
    cs_loop_advance(breaks.loop, 100);
    breaks.runs--;
    breaks_expect_all(1);
    cr_assert_not(bond->elsewhere, "what is new has a session again");
    cr_assert_eq(breaks_counters().sessions, 0);
    breaks_end();
}

Test(resume, a_node_that_was_left_is_let_go_when_all_is_over)
{
    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    cr_assert_eq(breaks_post(), CS_OK);
    cs_loop_advance(breaks.loop, 5);
    chanserv__enter(breaks.client);
    chanserv__node_leave(chanserv__nodes_first(breaks.client));
    chanserv__nodes_changed(breaks.client);
    chanserv__leave(breaks.client);
    for (int i = 0; i < 5000 && !breaks_over(); i++)
        breaks_tick(100, 1);
    chanserv_feed_close(breaks.feed);
    chanserv_feed_close(breaks.talk);
    cs_loop_advance(breaks.loop, 1000);
    cr_assert_eq(breaks_counters().sessions, 0);
    cr_assert_eq(breaks_counters().connections, 0);
    breaks_end();
}

static void story_of_moves(void)
{
    if (breaks_begin_short() == CS_OK)
        for (int i = 0; i < 12 && !breaks_over(); i++) {
            if (i == 2 || i == 5)
                breaks_roll_over();
            breaks_tick(8, 10);
        }
    breaks_end();
}

Test(resume, moves_survive_every_failed_allocation)
{
    failing_story(story_of_moves);
}
