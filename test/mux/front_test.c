#include "mux/stats.h"
#include "test/mux/talk.h"
#include "test/support/failing.h"
#include "test/support/fake_peer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Calls of a client whose every dial meets a fake ----------------------------------------- */

enum { CALLS = 200 };

struct call {
    mux_stream *stream;
    int ends;
    cs_err why;
    bool never_ran;
    char errmsg[160];
    int64_t ended_ms;
};

static cs_loop *loop;
static struct fake_net net;
static mux_conn *conn;
static struct call calls[CALLS];
static const struct mux_call_options patient = {.wait_for_ready = true};

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    struct call *call = state;
    cr_assert_eq(mux_stream_conn(stream), conn, "whatever connection it is on");
    call->stream = NULL;
    call->ends++;
    call->why = why;
    call->never_ran = mux_stream_never_ran(stream);
    call->ended_ms = cs_loop_now_ms(loop);
    snprintf(call->errmsg, sizeof call->errmsg, "%s", mux_stream_errmsg(stream));
}

static const struct mux_stream_ops ops = {.end = on_end};

static void settle(void)
{
    cr_assert_lt(cs_loop_settle(loop), 100000, "the loop finds no rest");
}

static struct call *open_with(int i, const struct mux_call_options *options)
{
    calls[i] = (struct call){.ends = 0};
    cr_assert_eq(mux_stream_open(conn, TALK_METHOD, options, &ops, &calls[i], &calls[i].stream),
                 CS_OK);
    return &calls[i];
}

static void open_some(int from, int to)
{
    for (int i = from; i < to; i++)
        open_with(i, NULL);
    settle();
}

static void begin(const struct mux_options *options)
{
    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    fake_net_dial(&net, loop, options, &conn);
    settle();
}

static void leave(void)
{
    mux_conn_free(conn);
    settle();
    for (int i = 0; i < CALLS; i++)
        cr_assert_null(calls[i].stream, "call %d has no end", i);
    for (int i = 0; i < net.peers_len; i++)
        cr_assert(fake_hung_up(net.peers[i]), "connection %d stands", i);
    fake_net_free(&net);
    cs_loop_free(loop);
}

/* How many requests a fake has heard. */
static int requests(int peer)
{
    int n = 0;
    for (const char *at = fake_said(net.peers[peer]); (at = strstr(at, "HEADERS ")); at++)
        n++;
    return n;
}

static void answer(int peer, int32_t id)
{
    fake_headers(net.peers[peer], id, true, ":status", "200", "grpc-status", "0", NULL);
    settle();
}

static void expect_end(const struct call *call, cs_err why, bool never_ran)
{
    cr_assert_eq(call->ends, 1, "%d ends", call->ends);
    cr_assert_eq(call->why, why, "%s: %s", cs_strerror(call->why), call->errmsg);
    cr_assert_eq(call->never_ran, never_ran, "%s", call->errmsg);
}

/* ---- The peer's limit ----------------------------------------------------------------------- */

Test(front, calls_beyond_the_limit_go_to_further_connections_and_then_wait_for_a_place)
{
    net.streams_max = 2;
    begin(&(struct mux_options){.connections_max = 3});
    open_some(0, 8);
    cr_assert_eq(net.dials, 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(requests(i), 2, "connection %d has %d", i, requests(i));
    for (int i = 0; i < 8; i++)
        cr_assert_eq(calls[i].ends, 0);
    answer(1, 3);
    cr_assert_eq(requests(1), 3, "the first that waits takes the place");
    answer(2, 1);
    cr_assert_eq(requests(2), 3);
    cs_loop_advance(loop, 60000);
    cr_assert_eq(net.dials, 3);
    cr_assert_eq(mux_conn_stats(conn)->streams_no_place, 0);
    leave();
}

Test(front, who_gets_no_place_within_the_dial_timeout_is_told_how_many_there_are)
{
    net.streams_max = 2;
    begin(&(struct mux_options){.connections_max = 2, .dial_timeout_ms = 3000});
    open_some(0, 5);
    cs_loop_advance(loop, 1000);
    open_some(5, 6);
    open_with(6, &patient);
    open_with(7, &(struct mux_call_options){.wait_for_ready = true, .timeout_ms = 10000});
    cs_loop_advance(loop, 1999);
    cr_assert_eq(calls[4].ends, 0);
    cs_loop_advance(loop, 1);
    expect_end(&calls[4], CS_ELIMIT, true);
    cr_assert_str_eq(calls[4].errmsg,
                     "the server allows 2 streams a connection, and 2 connections are full");
    cr_assert_eq(calls[5].ends, 0, "it came later");
    cs_loop_advance(loop, 1000);
    expect_end(&calls[5], CS_ELIMIT, true);
    cs_loop_advance(loop, 10000);
    expect_end(&calls[7], CS_ETIMEOUT, true);
    cr_assert_eq(calls[7].ended_ms, 11000);
    cs_loop_advance(loop, 60000);
    cr_assert_eq(calls[6].ends, 0, "it waits for ever");
    answer(0, 1);
    cr_assert_eq(requests(0), 3);
    cr_assert_eq(mux_conn_stats(conn)->streams_no_place, 2);
    leave();
}

Test(front, with_one_connection_alone_there_is_no_second_dial)
{
    net.streams_max = 1;
    begin(&(struct mux_options){.connections_max = CS_OFF});
    open_some(0, 2);
    cs_loop_advance(loop, 5000);
    expect_end(&calls[1], CS_ELIMIT, true);
    cr_assert_str_eq(calls[1].errmsg,
                     "the server allows 1 streams a connection, and 1 connection is full");
    cr_assert_eq(net.dials, 1);
    leave();
}

Test(front, a_hundred_calls_need_no_settings_and_the_next_waits_for_them)
{
    net.silent = true;
    begin(NULL);
    open_some(0, 120);
    cr_assert_eq(net.dials, 1);
    cr_assert_eq(requests(0), 100);
    fake_settings(net.peers[0], 3, 1000);
    settle();
    cr_assert_eq(net.dials, 1);
    cr_assert_eq(requests(0), 120);
    leave();
}

Test(front, a_server_that_never_says_settings_hangs_nobody)
{
    net.silent = true;
    begin(NULL);
    open_some(0, 101);
    cs_loop_advance(loop, 5000);
    expect_end(&calls[100], CS_ELIMIT, true);
    leave();
}

Test(front, a_further_connection_is_not_asked_for_more_than_its_elder_allowed)
{
    net.streams_max = 3;
    begin(NULL);
    net.silent = true;
    open_some(0, 10);
    cr_assert_eq(net.dials, 2, "one at a time");
    cr_assert_eq(requests(1), 3);
    fake_settings(net.peers[1], 3, 5);
    settle();
    cr_assert_eq(requests(1), 5);
    cr_assert_eq(net.dials, 3);
    cr_assert_eq(requests(2), 2);
    leave();
}

Test(front, a_limit_that_shrinks_calls_back_what_was_not_written)
{
    begin(NULL);
    fake_settings(net.peers[0], 3, 1); /* is read in the turn in which these are to be written */
    net.streams_max = 2;
    const cs_pair pair = {cs_str("colour"), cs_str("blue")};
    open_with(0, NULL);
    open_with(1, &(struct mux_call_options){.metadata = &pair, .metadata_len = 1});
    open_with(2, NULL);
    settle();
    cr_assert_eq(requests(0) + requests(1), 3);
    cr_assert_eq(requests(0), 1);
    cr_assert(strstr(fake_said(net.peers[1]), "HEADERS 1 :method"));
    cr_assert(strstr(fake_said(net.peers[1]), "colour=blue"), "%s", fake_said(net.peers[1]));
    answer(0, 1);
    answer(1, 1);
    answer(1, 3);
    for (int i = 0; i < 3; i++)
        expect_end(&calls[i], CS_DONE, false);
    leave();
}

Test(front, a_server_that_allows_none_hangs_nobody)
{
    begin(NULL);
    fake_settings(net.peers[0], 3, 0);
    settle();
    open_some(0, 1);
    cr_assert_eq(net.dials, 2);
    cr_assert_eq(requests(1), 1, "the next one says nothing of it");
    leave();
}

Test(front, what_a_waiting_call_says_goes_out_when_it_does)
{
    net.streams_max = 1;
    begin(&(struct mux_options){.connections_max = 1});
    open_some(0, 2);
    cr_assert_eq(mux_stream_send(calls[1].stream, cs_str("one"), cs_str("")), CS_OK);
    mux_stream_finish(calls[1].stream, CS_OK, NULL);
    settle();
    answer(0, 1);
    cr_assert(strstr(fake_said(net.peers[0]), "DATA 3 end 8\n"), "%s", fake_said(net.peers[0]));
    answer(0, 3);
    expect_end(&calls[1], CS_DONE, false);
    leave();
}

Test(front, a_waiting_call_may_be_given_up_or_meet_its_deadline)
{
    net.streams_max = 1;
    begin(&(struct mux_options){.connections_max = 1});
    open_some(0, 2);
    open_with(2, &(struct mux_call_options){.timeout_ms = 500});
    mux_stream_cancel(calls[1].stream, CS_ECANCELED);
    settle();
    expect_end(&calls[1], CS_ECANCELED, true);
    cs_loop_advance(loop, 500);
    expect_end(&calls[2], CS_ETIMEOUT, true);
    answer(0, 1);
    cr_assert_eq(requests(0), 1);
    leave();
}

Test(front, a_further_dial_that_fails_harms_nobody_and_is_tried_again)
{
    net.streams_max = 1;
    begin(&(struct mux_options){.dial_timeout_ms = 10000});
    net.refuses = 2;
    open_some(0, 2);
    cr_assert_eq(calls[1].ends, 0);
    cr_assert_eq(net.dials, 2);
    cr_assert_str_eq(mux_conn_errmsg(conn), "");
    cs_loop_advance(loop, 1000);
    cr_assert_eq(net.dials, 4);
    cr_assert_eq(requests(1), 1);
    leave();
}

/* ---- Going away ------------------------------------------------------------------------------ */

Test(front, new_calls_go_to_a_fresh_connection_while_the_old_one_finishes)
{
    begin(NULL);
    open_some(0, 2);
    fake_goaway(net.peers[0], INT32_MAX, 0);
    settle();
    cr_assert_eq(net.dials, 1, "nobody asked for a new one");
    open_some(2, 4);
    cr_assert_eq(net.dials, 2);
    cr_assert_eq(requests(0), 2);
    cr_assert_eq(requests(1), 2);
    cr_assert_str_eq(mux_conn_errmsg(conn), "");
    answer(0, 1);
    cr_assert_not(fake_hung_up(net.peers[0]));
    answer(0, 3);
    cr_assert(fake_hung_up(net.peers[0]), "it goes with its last call");
    cr_assert_eq(mux_conn_stats(conn)->connections, 1);
    cr_assert_str_eq(mux_conn_errmsg(conn), "");
    open_some(4, 5);
    cr_assert_eq(net.dials, 2);
    fake_goaway(net.peers[1], 3, 0); /* it does not know of the last one */
    settle();
    expect_end(&calls[4], CS_EDRAIN, true);
    answer(1, 1);
    answer(1, 3);
    for (int i = 0; i < 4; i++)
        expect_end(&calls[i], CS_DONE, false);
    cr_assert(fake_hung_up(net.peers[1]));
    open_some(5, 6);
    cr_assert_eq(net.dials, 3);
    answer(2, 1);
    expect_end(&calls[5], CS_DONE, false);
    leave();
}

Test(front, a_server_that_finds_pings_too_frequent_gets_half_as_many)
{
    begin(NULL);
    open_some(0, 1);
    cs_loop_advance(loop, 30000);
    cr_assert(strstr(fake_said(net.peers[0]), "PING"));
    fake_frame(net.peers[0], FAKE_GOAWAY, 0, 0,
               cs_bytes_of("\0\0\0\1\0\0\0\13too_many_pings", 8 + 14));
    settle();
    open_some(1, 2);
    cs_loop_advance(loop, 59999);
    cr_assert_not(strstr(fake_said(net.peers[1]), "PING"));
    cs_loop_advance(loop, 1);
    cr_assert(strstr(fake_said(net.peers[1]), "PING"));
    leave();
}

Test(front, a_goaway_for_any_other_reason_leaves_the_pings_alone)
{
    begin(NULL);
    open_some(0, 1);
    fake_goaway(net.peers[0], INT32_MAX, 11);
    settle();
    open_some(1, 2);
    cs_loop_advance(loop, 30000);
    cr_assert(strstr(fake_said(net.peers[1]), "PING"));
    leave();
}

Test(front, calls_that_were_not_written_when_it_went_away_move)
{
    begin(NULL);
    open_some(0, 1);
    fake_goaway(net.peers[0], INT32_MAX, 0);
    open_some(1, 3); /* the GOAWAY is read first */
    cr_assert_eq(requests(0), 1);
    cr_assert_eq(requests(1), 2);
    cr_assert_eq(calls[1].ends + calls[2].ends, 0);
    answer(0, 1);
    expect_end(&calls[0], CS_DONE, false);
    leave();
}

Test(front, calls_that_wait_for_a_place_move_when_it_goes_away)
{
    net.streams_max = 1;
    begin(&(struct mux_options){.connections_max = 1});
    open_some(0, 2);
    cr_assert_eq(net.dials, 1);
    fake_goaway(net.peers[0], INT32_MAX, 0);
    settle();
    cr_assert_eq(requests(1), 1);
    answer(0, 1);
    answer(1, 1);
    expect_end(&calls[1], CS_DONE, false);
    leave();
}

Test(front, a_connection_whose_ids_are_used_up_is_followed_by_another)
{
    begin(NULL);
    fake_spend_ids(conn);
    open_some(0, 3);
    cr_assert_eq(net.dials, 2);
    cr_assert_eq(requests(0), 1);
    cr_assert_eq(requests(1), 2);
    answer(0, INT32_MAX);
    expect_end(&calls[0], CS_DONE, false);
    cr_assert(fake_hung_up(net.peers[0]));
    answer(1, 1);
    answer(1, 3);
    expect_end(&calls[2], CS_DONE, false);
    leave();
}

Test(front, a_connection_that_has_carried_its_calls_is_followed_by_another)
{
    begin(&(struct mux_options){.calls_max = 2});
    open_some(0, 3);
    cr_assert_eq(net.dials, 2);
    cr_assert_eq(requests(0), 2);
    cr_assert_eq(requests(1), 1);
    answer(0, 1);
    cr_assert_not(fake_hung_up(net.peers[0]), "one call is there");
    answer(0, 3);
    cr_assert(fake_hung_up(net.peers[0]));
    open_some(3, 5);
    cr_assert_eq(net.dials, 3);
    cr_assert_eq(requests(1), 2);
    answer(1, 1);
    answer(1, 3);
    answer(2, 1);
    for (int i = 0; i < 5; i++)
        expect_end(&calls[i], CS_DONE, false);
    leave();
}

Test(front, a_connection_that_is_old_is_followed_by_another)
{
    begin(&(struct mux_options){.connection_age_ms = 10000});
    open_some(0, 1);
    cs_loop_advance(loop, 8999);
    open_some(1, 2);
    cr_assert_eq(net.dials, 1);
    cs_loop_advance(loop, 2002);
    open_some(2, 3);
    cr_assert_eq(net.dials, 2);
    answer(0, 1);
    answer(0, 3);
    cr_assert(fake_hung_up(net.peers[0]));
    answer(1, 1);
    expect_end(&calls[2], CS_DONE, false);
    leave();
}

static void told_at_once(mux_stream *stream, void *state)
{
    (void)stream;
    ++*(int *)state;
}

static void count_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why, (void)state;
}

Test(front, calls_hear_that_their_connection_takes_no_more)
{
    static const struct mux_stream_ops hears = {.rolled = told_at_once, .end = count_end};
    int told[3] = {0, 0, 0};
    mux_stream *streams[3];

    begin(&(struct mux_options){.calls_max = 2});
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(mux_stream_open(conn, TALK_METHOD, NULL, &hears, &told[i], &streams[i]),
                     CS_OK);
        settle();
        cr_assert_eq(told[0], i > 0);
    }
    cr_assert_eq(told[1], 1);
    cr_assert_eq(told[2], 0, "it is on the next");
    fake_goaway(net.peers[1], INT32_MAX, 0);
    settle();
    fake_goaway(net.peers[1], 1, 0);
    settle();
    cr_assert_eq(told[2], 1);
    leave();
}

Test(front, a_lost_connection_takes_its_own_calls_along_and_no_other)
{
    net.streams_max = 1;
    begin(&(struct mux_options){.connections_max = 2});
    open_some(0, 3);
    fake_free(net.peers[0]);
    net.peers[0] = net.peers[--net.peers_len];
    settle();
    expect_end(&calls[0], CS_EPEER, false);
    cr_assert_eq(calls[1].ends, 0);
    cr_assert_eq(net.dials, 3, "for the one that waits");
    cr_assert_eq(requests(1), 1);
    leave();
}

/* Somebody who lets us in, and tells us to go elsewhere, again and again. */
Test(front, who_is_turned_away_dials_at_once_and_then_no_more_often_than_who_meets_nobody)
{
    static const int waits[] = {0, 0, 100, 200};
    begin(NULL);
    for (int i = 0; i < 4; i++) {
        struct call *call = open_with(i, &patient);
        settle();
        cr_assert_eq(net.dials, waits[i] ? i : i + 1);
        if (waits[i]) {
            cs_loop_advance(loop, waits[i] * 4 / 5 - 1);
            cr_assert_eq(net.dials, i, "not within four fifths of %d ms", waits[i]);
            cs_loop_advance(loop, waits[i] * 2 / 5 + 2);
        }
        cr_assert_eq(net.dials, i + 1);
        if (i == 3) { /* who is answered begins anew */
            answer(3, 1);
            expect_end(call, CS_DONE, false);
        }
        fake_goaway(net.peers[i], i == 3 ? 1 : 0, 0);
        settle();
        if (i < 3)
            expect_end(call, CS_EDRAIN, true);
    }
    for (int i = 4; i < 6; i++) {
        open_with(i, &patient);
        settle();
        cr_assert_eq(net.dials, i + 1, "at once");
        fake_goaway(net.peers[i], 0, 0);
        settle();
    }
    leave();
}

/* ---- Nobody is there yet -------------------------------------------------------------------- */

Test(front, a_call_that_waits_for_ready_is_dialed_for_again_and_again)
{
    net.refuses = 5;
    begin(NULL);
    struct call *call = open_with(0, &patient);
    cr_assert_eq(mux_stream_send(call->stream, cs_str("x"), cs_str("")), CS_OK);
    settle();
    cr_assert_eq(net.dials, 1, "not at once");
    cs_loop_advance(loop, 79);
    cr_assert_eq(net.dials, 1, "not within four fifths of 100 ms");
    cs_loop_advance(loop, 121 - 79);
    cr_assert_eq(net.dials, 2);
    cs_loop_advance(loop, 3600); /* 100, 200, 400, 800 and 1,600 ms: all and a fifth */
    cr_assert_eq(net.dials, 6);
    cr_assert(strstr(fake_said(net.peers[0]), "DATA 1 6\n"), "%s", fake_said(net.peers[0]));
    answer(0, 1);
    expect_end(call, CS_DONE, false);
    leave();
}

Test(front, dials_come_no_more_often_than_every_four_seconds_at_last)
{
    net.refuses = -1;
    begin(NULL);
    struct call *call =
        open_with(0, &(struct mux_call_options){.wait_for_ready = true, .timeout_ms = 600000});
    cs_loop_advance(loop, 60000);
    int before = net.dials;
    cs_loop_advance(loop, 400000);
    cr_assert(net.dials - before >= 66 && net.dials - before <= 100, "%d", net.dials - before);
    cs_loop_advance(loop, 200000);
    expect_end(call, CS_ETIMEOUT, true);
    int last = net.dials;
    cs_loop_advance(loop, 60000);
    cr_assert_eq(net.dials, last, "nobody waits any more");
    leave();
}

Test(front, who_does_not_wait_for_ready_is_answered_by_a_dial_of_its_own)
{
    net.refuses = -1;
    begin(NULL);
    struct call *waits = open_with(0, &patient);
    cs_loop_advance(loop, 2000);
    int before = net.dials;
    struct call *asks = open_with(1, NULL);
    settle();
    cr_assert_eq(net.dials, before + 1);
    expect_end(asks, CS_EREFUSED, true);
    cr_assert_str_eq(asks->errmsg, "dial fake: nobody is there");
    cr_assert_str_eq(mux_conn_errmsg(conn), asks->errmsg);
    cr_assert_eq(waits->ends, 0);
    net.refuses = 0;
    open_with(2, NULL);
    settle();
    cr_assert_eq(requests(0), 2, "and takes along who waited");
    leave();
}

Test(front, calls_wait_for_a_dial_that_is_under_way)
{
    net.holds = true;
    begin(NULL);
    open_some(0, 150);
    cs_loop_advance(loop, 4000);
    cr_assert_eq(net.dials, 1);
    net.holds = false;
    fake_net_answer(&net);
    settle();
    cr_assert_eq(requests(0), 150);
    cr_assert_eq(net.dials, 1);
    leave();
}

Test(front, a_connection_that_dies_before_its_settings_is_not_dialed_in_a_hurry)
{
    net.silent = true;
    begin(NULL);
    for (int i = 0; i < 101; i++)
        open_with(i, &patient);
    settle();
    fake_free(net.peers[0]);
    net.peers_len = 0;
    settle();
    expect_end(&calls[0], CS_EPEER, false);
    cr_assert_eq(calls[100].ends, 0);
    cr_assert_eq(net.dials, 1);
    cs_loop_advance(loop, 121);
    cr_assert_eq(net.dials, 2);
    cr_assert_eq(requests(0), 1);
    fake_settings(net.peers[0], 3, 1);
    leave();
}

/* ---- The end -------------------------------------------------------------------------------- */

Test(front, freeing_ends_every_connection_and_every_call_that_waits)
{
    net.streams_max = 1;
    begin(&(struct mux_options){.connections_max = 2});
    open_some(0, 4);
    fake_goaway(net.peers[0], INT32_MAX, 0);
    settle();
    cr_assert_eq(net.dials, 3);
    mux_conn_free(conn);
    settle();
    for (int i = 0; i < 4; i++)
        expect_end(&calls[i], CS_ECANCELED, i == 3);
    for (int i = 0; i < 3; i++)
        cr_assert(fake_hung_up(net.peers[i]));
    conn = NULL;
    leave();
}

Test(front, freeing_while_a_further_dial_is_under_way_is_harmless)
{
    net.streams_max = 1;
    begin(NULL);
    net.holds = true;
    open_some(0, 2);
    cr_assert(net.held);
    leave();
}

/* ---- Inside the process, with each allocation failing ---------------------------------------- */

static int opened, ended, served;

static void story_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream;
    (void)state;
    cr_assert(why != CS_OK && why != CS_AGAIN);
    ended++;
}

static const struct mux_stream_ops story_ops = {.end = story_end};

static void serve_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream;
    (void)why;
    (void)state;
}

static void serve_readable(mux_stream *stream, void *state)
{
    cs_bytes m;
    (void)state;
    if (mux_stream_recv(stream, &m) == CS_DONE)
        mux_stream_finish(stream, CS_DONE, NULL);
}

static const struct mux_stream_ops serve_ops = {.readable = serve_readable, .end = serve_end};

static void serve(mux_stream *stream, void *user)
{
    (void)user;
    served += mux_stream_accept(stream, &serve_ops, NULL) == CS_OK;
}

static void story(void)
{
    const cs_pair pair = {cs_str("colour"), cs_str("blue")};
    const struct mux_call_options with = {.metadata = &pair, .metadata_len = 1, .timeout_ms = 9000};
    const struct mux_options narrow = {.streams_max = 2};
    mux_stream *streams[7];
    mux_handlers *handlers;
    opened = ended = served = 0;
    if (cs_loop_new_virtual(&loop) != CS_OK)
        return;
    if (mux_handlers_new(&handlers) == CS_OK) {
        if (mux_handle(handlers, TALK_METHOD, serve, NULL) == CS_OK &&
            mux_dial_local(loop, &(struct mux_options){.connections_max = 3}, &narrow, handlers,
                           &conn) == CS_OK) {
            cr_assert_lt(cs_loop_settle(loop), 100000);
            for (int i = 0; i < 7; i++)
                if (mux_stream_open(conn, TALK_METHOD, &with, &story_ops, NULL, &streams[opened]) ==
                    CS_OK)
                    opened++;
            cr_assert_lt(cs_loop_settle(loop), 100000);
            for (int i = 0; i < opened && ended == 0; i++)
                mux_stream_finish(streams[i], CS_OK, NULL);
            cs_loop_advance(loop, 10000);
            cr_assert_eq(ended, opened);
            if (!failing_failed())
                cr_assert_eq(served, 7);
            mux_conn_free(conn);
        }
        cr_assert_lt(cs_loop_settle(loop), 100000);
        mux_handlers_free(handlers);
    }
    cr_assert_lt(cs_loop_settle(loop), 100000);
    cs_loop_free(loop);
}

Test(front, further_connections_survive_every_failed_allocation)
{
    failing_story(story);
}
