/* Breaks that are not over soon: the server is gone, or another, or does not know the session (yet); what is lost
 * then, and what is not. */
#include "chanserv/session__in.h"
#include "mux/local.h"
#include "test/chanserv/breaks.h"

#include <criterion/criterion.h>

Test(resume, a_break_of_more_than_resume_ms_means_lost_in_words)
{
    struct chanserv__bond *bond;

    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    breaks.say = 100000;
    cr_assert_eq(breaks_post(), CS_OK);
    cs_loop_advance(breaks.loop, 5);
    bond = chanserv__nodes_first(breaks.client)->bond;
    bond->rests = true; /* nobody is there */
    mux_conn_break(bond->node->conn);
    cs_loop_advance(breaks.loop, 19999);
    cr_assert_eq(breaks.lost, 0);
    cs_loop_advance(breaks.loop, 2);
    cr_assert_eq(breaks.lost, SOURCES + 1, "%d", breaks.lost);
    cs_loop_advance(breaks.loop, 10000);
    cr_assert_eq(breaks_counters().sources_open, 0);
    cr_assert_eq(breaks.ends, SOURCES + 1);
    breaks_end();
}

/* Killed, and another process takes its place: the old one says nothing to anybody. */
static void restart(void)
{
    struct chanserv__node *node = chanserv__nodes_first(breaks.client);
    chanserv_server *old = breaks.server;

    cr_assert_eq(chanserv_server_new(breaks.loop, NULL, &breaks.server), CS_OK);
    cr_assert_eq(chanserv_serve(breaks.server, "numbers", breaks_numbers, NULL), CS_OK);
    mux_conn_break(node->conn);
    cs_loop_settle(breaks.loop);
    node->handlers = chanserv__server_handlers(breaks.server);
    mux_conn_redirect(node->conn, chanserv__server_handlers(breaks.server));
    chanserv_server_free(old);
}

Test(resume, a_server_that_was_killed_and_started_again_means_lost_at_once)
{
    static const struct chanserv_feed_ops ops = {.end = breaks_feed_end};
    struct chanserv__bond *bond;

    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    breaks.say = 100000;
    cr_assert_eq(chanserv_serve(breaks.server, "stay", breaks_stay, NULL), CS_OK);
    cr_assert_eq(breaks_post(), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "stay", cs_str(""), NULL, &breaks.feed),
                 CS_OK);
    cr_assert_eq(chanserv_feed_start(breaks.feed, &ops, &breaks.feed_why), CS_OK);
    cs_loop_advance(breaks.loop, 5);
    bond = chanserv__nodes_first(breaks.client)->bond;
    bond->rests = true;
    restart();
    bond->rests = false;
    chanserv__bond_changed(bond);
    cs_loop_advance(breaks.loop, 10);
    cr_assert_eq(breaks.gone, SOURCES + 1, "each source is told: %d", breaks.gone);
    cr_assert_eq(breaks.feed_why, CS_ELOST);
    cr_assert(strstr(chanserv_feed_errmsg(breaks.feed), "session"), "%s",
              chanserv_feed_errmsg(breaks.feed));
    chanserv_feed_close(breaks.feed);
    breaks.runs = 0;
    breaks.frames = breaks.gaps = 0;
    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "numbers", cs_str(""), NULL, &breaks.feed),
                 CS_OK);
    cr_assert_eq(chanserv_feed_start(breaks.feed, &breaks_feed_ops, &breaks.feed_why), CS_OK);
    for (int i = 0; i < 1000 && breaks.frames + breaks.gaps < SOURCES * FRAMES; i++)
        breaks_tick(100, 1);
    cr_assert_eq(breaks.runs, 1, "and what is posted next runs there");
    cr_assert_eq(breaks.frames + breaks.gaps, SOURCES * FRAMES);
    breaks_end();
}

Test(resume, a_dial_that_is_refused_is_no_end)
{
    struct chanserv__node *node;
    chanserv_server *nobody;

    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    breaks.strict = true;
    cr_assert_eq(breaks_post(), CS_OK);
    for (int i = 0; i < 10; i++)
        breaks_tick(2, 1);
    cr_assert_eq(chanserv_server_new(breaks.loop, NULL, &nobody), CS_OK);
    mux_handlers_end_local(chanserv__server_handlers(nobody));
    node = chanserv__nodes_first(breaks.client);
    mux_conn_redirect(node->conn, chanserv__server_handlers(nobody));
    mux_conn_break(node->conn);
    cs_loop_advance(breaks.loop, 10000);
    cr_assert_gt(breaks.detached, 0);
    cr_assert_eq(breaks.attached, 0);
    mux_conn_redirect(node->conn, chanserv__server_handlers(breaks.server));
    for (int i = 0; i < 20000 && !breaks_over(); i++)
        breaks_tick(12, 1);
    cs_loop_advance(breaks.loop, 100);
    breaks_expect_all(1);
    cr_assert_eq(breaks.attached, breaks.detached);
    chanserv_server_free(nobody);
    breaks_end();
}

Test(resume, of_a_client_that_was_killed_the_posts_end_within_the_linger)
{
    static const struct chanserv_server_options patient = {.linger_ms = 10000};
    chanserv_client *killed;

    cr_assert_eq(breaks_begin(1, &patient), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "numbers", cs_str(""), NULL, &breaks.feed),
                 CS_OK);
    cr_assert_eq(chanserv_feed_start(breaks.feed, &breaks_feed_ops, &breaks.feed_why), CS_OK);
    cs_loop_advance(breaks.loop, 5);
    breaks_hurt(); /* it does not come back, */
    killed = breaks.client;
    cr_assert_eq(chanserv_client_new(breaks.loop, NULL, &breaks.client), CS_OK);
    cr_assert_eq(chanserv_join_local(breaks.client, breaks.server), CS_OK);
    cr_assert_eq(chanserv_serve(breaks.server, "stay", breaks_stay, NULL), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "stay", cs_str(""), NULL, &breaks.feed),
                 CS_OK);
    cr_assert_eq(chanserv_feed_ready(breaks.feed),
                 CS_OK); /* and its successor is served meanwhile */
    cs_loop_advance(breaks.loop, 9900);
    cr_assert_eq(breaks.ends, 0, "%d", breaks.ends);
    cs_loop_advance(breaks.loop, 200);
    cr_assert_eq(breaks.ends, SOURCES, "%d", breaks.ends);
    cr_assert_eq(breaks_counters().sessions, 0);
    cr_assert_eq(chanserv_feed_status(breaks.feed), CS_AGAIN);
    chanserv_client_free(killed);
    breaks_end();
}

/* It was made while nothing could go out, so that it certainly never ran. */
Test(resume, a_post_that_never_went_out_goes_with_the_next_session)
{
    struct chanserv__bond *bond;
    cs_err why = CS_AGAIN;
    chanserv_feed *late;

    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    cr_assert_eq(breaks_post(), CS_OK);
    cs_loop_advance(breaks.loop, 5);
    cr_assert_eq(breaks.runs, 2);
    bond = chanserv__nodes_first(breaks.client)->bond;
    bond->rests = true; /* it is a long break */
    chanserv__sessions_end(breaks.server);
    mux_conn_break(bond->node->conn);
    cs_loop_settle(breaks.loop);
    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "numbers", cs_str(""), NULL, &late),
                 CS_OK);
    cr_assert_eq(chanserv_feed_start(late, &breaks_feed_ops, &why), CS_OK);
    cs_loop_settle(breaks.loop);
    cr_assert_eq(breaks.runs, 2);
    bond->rests = false;
    chanserv__bond_changed(bond);
    for (int i = 0; i < 100 && why == CS_AGAIN; i++)
        breaks_tick(100, 10);
    cr_assert_eq(why, CS_DONE, "%s", chanserv_feed_errmsg(late));
    cr_assert_eq(breaks.runs, 3);
    chanserv_client_free(breaks.client);
    breaks.client = NULL;
    breaks_end();
}

/* As where the session has just moved, and the post met the server before that was known there. */
Test(resume, a_post_whose_session_is_not_there_yet_is_asked_again)
{
    struct chanserv__bond *bond;

    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    breaks.strict = true;
    cs_loop_settle(breaks.loop);
    bond = chanserv__nodes_first(breaks.client)->bond;
    cr_assert_eq(bond->standing, CHANSERV__BOND_STANDS, "it was begun by the join");
    bond->id[15] ^= 1;
    cr_assert_eq(breaks_post(), CS_OK);
    bond->id[15] ^= 1;
    cs_loop_settle(breaks.loop);
    cr_assert_eq(bond->standing, CHANSERV__BOND_STANDS);
    cr_assert_eq(breaks.runs, 2);
    cr_assert_eq(breaks_counters().sessions, 1);
    mux_conn_break(bond->node->conn);
    for (int i = 0; i < 1000 && !breaks_over(); i++)
        breaks_tick(100, 1);
    cr_assert_eq(breaks.frames + breaks.gaps, SOURCES * FRAMES, "%zu", breaks.frames);
    cr_assert_eq(breaks.echoed, SAID);
    breaks_end();
}

Test(resume, a_post_whose_session_is_never_there_is_told_so)
{
    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    cs_loop_settle(breaks.loop);
    chanserv__nodes_first(breaks.client)->bond->id[15] ^= 1;
    cr_assert_eq(breaks_post(), CS_OK);
    cs_loop_advance(breaks.loop, 2000);
    cr_assert_eq(breaks.feed_why, CS_EPRECOND, "%s", chanserv_feed_errmsg(breaks.feed));
    cr_assert_eq(breaks.talk_why, CS_EPRECOND);
    cr_assert_eq(breaks.runs, 0);
    breaks_end();
}

/* It goes out right behind the break, and hears of the dial before the session does. */
Test(resume, what_is_opened_in_a_break_outlives_a_dial_that_is_refused)
{
    static const struct chanserv_feed_ops keeps = {.readable = breaks_feed_kept,
                                                   .end = breaks_feed_end};
    struct chanserv__node *node;
    chanserv_server *nobody;

    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    breaks.strict = true;
    cr_assert_eq(chanserv_lookup_and_post(breaks.client, "numbers", cs_str(""), NULL, &breaks.feed),
                 CS_OK);
    cr_assert_eq(chanserv_feed_start(breaks.feed, &keeps, &breaks.feed_why), CS_OK);
    cs_loop_advance(breaks.loop, 50);
    cr_assert_eq(breaks.sources_len, SOURCES);
    cr_assert_eq(chanserv_server_new(breaks.loop, NULL, &nobody), CS_OK);
    mux_handlers_end_local(chanserv__server_handlers(nobody));
    node = chanserv__nodes_first(breaks.client);
    mux_conn_redirect(node->conn, chanserv__server_handlers(nobody));
    mux_conn_lose(node->conn);
    for (int i = 0; i < SOURCES; i++)
        cr_assert_eq(chanserv_source_start(breaks.sources[i], &breaks_frames_ops, NULL), CS_OK);
    cs_loop_advance(breaks.loop, 1000);
    mux_conn_redirect(node->conn, chanserv__server_handlers(breaks.server));
    for (int i = 0; i < 20000 && breaks.ends < SOURCES; i++)
        breaks_tick(12, 1);
    cs_loop_advance(breaks.loop, 100);
    cr_assert_eq(breaks.frames + breaks.gaps, SOURCES * FRAMES, "%zu", breaks.frames);
    chanserv_server_free(nobody);
    breaks_end();
}

/* It has not gone out: the same post beside its session could not be told from one that ran on a server
 * which is no more. */
Test(resume, a_post_whose_session_was_never_heard_of_goes_with_another)
{
    cr_assert_eq(breaks_begin(1, NULL), CS_OK);
    breaks.strict = true;
    cr_assert_eq(breaks_post(), CS_OK);
    mux_conn_swallow(chanserv__nodes_first(breaks.client)->conn);
    cs_loop_advance(breaks.loop, 99);
    cr_assert_eq(breaks.runs, 0);
    for (int i = 0; i < 5000 && !breaks_over(); i++)
        breaks_tick(100, 1);
    cs_loop_advance(breaks.loop, 100);
    breaks_expect_all(1);
    cr_assert_eq(breaks.detached, 0, "it has only begun late");
    cr_assert_eq(breaks_counters().sessions_total, 1);
    cr_assert_eq(breaks_counters().sessions_resumed, 0);
    breaks_end();
}
