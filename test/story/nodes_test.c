/* Several nodes: whose turn it is, what is waited for, and what may be sent again. */
#include "test/story/many.h"

#include "mux/local.h"
#include "mux/roll.h"

#include <stdio.h>

TestSuite(nodes, .init = many_up, .fini = many_down);

/* ---- Joining and leaving --------------------------------------------------------------------- */

Test(nodes, an_address_is_joined_once)
{
    many_server(0);
    many_join(0);
    cr_expect_eq(chanserv_join_local(many.client, many.servers[0]), CS_EEXIST);
    cr_expect_eq(chanserv_join(many.client, "localhost:1"), CS_OK);
    cr_expect_eq(chanserv_join(many.client, "localhost:2"), CS_OK);
    cr_expect_eq(chanserv_join(many.client, "localhost:1"), CS_EEXIST);
    cr_expect_eq(chanserv_join(many.client, "nowhere"), CS_EINVAL);
    cr_expect_eq(chanserv_leave(many.client, "localhost:1"), CS_OK);
    cr_expect_eq(chanserv_leave(many.client, "localhost:1"), CS_ENOENT);
    cr_expect_eq(chanserv_leave(many.client, NULL), CS_EINVAL);
    cr_expect_eq(chanserv_join(many.client, "localhost:1"), CS_OK);
}

Test(nodes, with_one_nobody_asks_what_it_serves)
{
    struct chanserv_counters n;

    many_servers(1);
    cr_expect_eq(many_ran("x"), 'a');
    chanserv_server_counters(many.servers[0], &n);
    cr_expect_eq(n.streams_total, 1);
}

Test(nodes, posts_go_round_those_that_serve_the_name)
{
    char order[10] = "";

    many_servers(4);
    many_serve(1, "y");
    many_serve(3, "y");
    cs_loop_settle(many.loop);
    for (int i = 0; i < 8; i++)
        order[i] = many_ran("x");
    cr_expect_str_eq(order, "abcdabcd");
    for (int i = 0; i < 4; i++)
        order[i] = many_ran("y");
    order[4] = '\0';
    cr_expect_str_eq(order, "bdbd");
}

Test(nodes, a_name_that_is_taken_away_is_not_asked_for_there)
{
    many_servers(2);
    cs_loop_settle(many.loop);
    cr_expect_eq(chanserv_unserve(many.servers[0], "x"), CS_OK);
    for (int i = 0; i < 4; i++) /* the first finds out before the list can tell it */
        cr_expect_eq(many_ran("x"), 'b');
    many_serve(0, "x");
    cs_loop_settle(many.loop);
    cr_expect_eq(many_ran("x"), 'a');
    cr_expect_eq(many_runs(), 5);
}

Test(nodes, one_that_goes_gets_no_posts_and_what_it_refused_runs_elsewhere)
{
    many_servers(3);
    cs_loop_settle(many.loop);
    many_down_one(0);
    for (int i = 0; i < 6; i++)
        cr_expect_neq(many_ran("x"), 'a');
    cr_expect_eq(many.runs[1], 3);
    cr_expect_eq(many.runs[2], 3);
}

Test(nodes, a_connection_that_broke_is_made_again)
{
    many_servers(2);
    cs_loop_settle(many.loop);
    mux_conn_break(many_node(0)->conn);
    for (int i = 0; i < 4; i++)
        cr_expect_neq(many_ran("x"), '-');
    cs_loop_advance(many.loop, 1000);
    many.runs[0] = many.runs[1] = 0;
    for (int i = 0; i < 4; i++)
        cr_expect_neq(many_ran("x"), '-');
    cr_expect_eq(many.runs[0], 2);
    cr_expect_eq(many.runs[1], 2);
}

static void roll_over(mux_conn *conn, void *user)
{
    (void)user;
    mux_conn_roll(conn);
}

Test(nodes, a_connection_that_goes_is_not_kept_up_by_the_watch)
{
    struct chanserv_counters n;

    many_servers(2);
    cs_loop_settle(many.loop);
    cs_loop_advance(many.loop, 6000);
    mux_handlers_each_local(chanserv__server_handlers(many.servers[0]), roll_over, NULL);
    cs_loop_settle(many.loop);
    chanserv_server_counters(many.servers[0], &n);
    cr_expect_eq(n.connections, 1);
    cr_expect_eq(n.connections_total, 2);
    cr_expect(chanserv__node_serves(many_node(0), cs_str("x")));
    for (int i = 0; i < 4; i++)
        cr_expect_neq(many_ran("x"), '-');
    cr_expect_eq(many.runs[0], 2);
}

Test(nodes, two_ways_to_one_process_are_one_node)
{
    struct chanserv__node *twin;
    mux_conn *conn;
    char order[7] = "";

    many_servers(2);
    cr_assert_eq(mux_dial_local(many.loop, NULL, chanserv__server_net(many.servers[0]),
                                chanserv__server_handlers(many.servers[0]), &conn),
                 CS_OK);
    cr_assert_eq(chanserv__nodes_add(many.client, NULL, conn, &twin), CS_OK);
    cs_loop_settle(many.loop);
    for (int i = 0; i < 6; i++)
        order[i] = many_ran("x");
    cr_expect_str_eq(order, "ababab");
}

Test(nodes, what_runs_on_a_node_that_is_left_runs_on)
{
    /* Not by an address, because a virtual loop dials none. */
    chanserv_feed *feed;
    struct chanserv__node *left;

    many_servers(2);
    cs_loop_settle(many.loop);
    left = many_node(0);
    feed = many_post("x");
    cr_expect_eq(feed->node, left);
    chanserv__node_leave(left);
    many_ends(feed, CS_OK, "");
    cr_expect_eq(many.runs[0], 1);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(many_ran("x"), 'b');
    cs_loop_settle(many.loop);
    cr_expect(cs_list_empty(&many.client->left), "nothing holds it any more");
}

static cs_err one_frame(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    (void)outlet;
    *frame = cs_str("frame");
    return (*(int *)state)++ ? CS_DONE : CS_OK;
}

static cs_err announce_two(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(int), .next = one_frame};

    (void)body, (void)user;
    for (int i = 0; i < 2; i++)
        cr_assert_eq(chanserv_announce(post, cs_str("h"), &ops, NULL, NULL), CS_OK);
    return CS_DONE;
}

Test(nodes, what_was_announced_by_a_node_that_is_left_can_still_be_opened)
{
    chanserv_source *source, *kept;
    chanserv_feed *feed;
    cs_bytes frame;

    many_server(0);
    cr_assert_eq(chanserv_serve(many.servers[0], "two", announce_two, NULL), CS_OK);
    many_join(0);
    feed = many_post("two");
    cr_assert(chanserv_range_source(feed, &source));
    cr_assert(chanserv_range_source(feed, &kept));
    chanserv__node_leave(many_node(0));
    chanserv_source_keep(kept);
    cr_expect(chanserv_range_frame(source, &frame), "%s", chanserv_source_errmsg(source));
    cr_expect_eq(chanserv_feed_close(feed), CS_OK);
    cs_loop_settle(many.loop);
    cr_expect_not(cs_list_empty(&many.client->left));
    chanserv_client_free(many.client); /* with what was kept of it */
    many.client = NULL;
    cr_expect_not(chanserv_range_frame(kept, &frame));
    cr_expect_eq(chanserv_source_status(kept), CS_ECANCELED);
    chanserv_source_close(kept);
}

Test(nodes, when_all_were_left_posts_wait_for_another)
{
    many_servers(1);
    many_server(1);
    many_serve(1, "y");
    chanserv_feed *feed = many_post("y");
    cs_loop_advance(many.loop, 100);
    chanserv__node_leave(many_node(0));
    cs_loop_advance(many.loop, 100);
    cr_expect_eq(chanserv_feed_status(feed), CS_AGAIN);
    many_join(1);
    many_ends(feed, CS_OK, "");
    cr_expect_eq(many.runs[1], 1);
}

/* ---- Waiting for somebody to serve it -------------------------------------------------------- */

Test(nodes, one_that_is_served_late_is_waited_for)
{
    many_server(0);
    many_join(0);
    chanserv_feed *feed = many_post("x");
    cs_loop_advance(many.loop, 9000);
    cr_expect_eq(chanserv_feed_status(feed), CS_AGAIN);
    many_serve(0, "x");
    many_ends(feed, CS_OK, "");
    cr_expect_eq(many.runs[0], 1);
    cs_loop_settle(many.loop);
    cr_expect_null(many_node(0)->watch, "nobody wants to know any more");
}

Test(nodes, with_several_the_same)
{
    many_server(0);
    many_server(1);
    many_join(0);
    many_join(1);
    chanserv_feed *feed = many_post("x");
    cs_loop_advance(many.loop, 5000);
    many_serve(1, "x");
    many_ends(feed, CS_OK, "");
    cr_expect_eq(many.runs[1], 1);
}

Test(nodes, a_node_that_comes_late_is_waited_for)
{
    many_server(0);
    many_server(1);
    many_serve(1, "x");
    many_join(0);
    chanserv_feed *feed = many_post("x");
    cs_loop_advance(many.loop, 5000);
    many_join(1);
    many_ends(feed, CS_OK, "");
    cr_expect_eq(many.runs[1], 1);
}

Test(nodes, nobody_who_serves_it_is_told_after_the_lookup_timeout)
{
    int64_t began;

    for (int i = 0; i < 2; i++) {
        many_server(i);
        many_join(i);
        began = cs_loop_now_ms(many.loop);
        many_ends(many_post("x"), CS_ENOENT,
                  i ? "post x: NOT_FOUND: nobody serves it; waited 10000 ms"
                    : "post x: NOT_FOUND: no such service; waited 10000 ms");
        cr_expect_eq(cs_loop_now_ms(many.loop) - began, 10000);
    }
}

Test(nodes, the_deadline_of_a_post_counts_while_it_waits)
{
    many_server(0);
    many_join(0);
    const int64_t began = cs_loop_now_ms(many.loop);
    many_ends(many_post_with("x", "", 300), CS_ETIMEOUT, "deadline");
    cr_expect_eq(cs_loop_now_ms(many.loop) - began, 300);
}

struct told {
    int ready, readable, ends;
    cs_err why;
};

static void on_ready(chanserv_feed *feed, void *state)
{
    struct told *told = *(struct told **)state;

    (void)feed;
    told->ready++;
}

static void on_readable(chanserv_feed *feed, void *state)
{
    struct told *told = *(struct told **)state;
    chanserv_source *source;

    told->readable++;
    while (chanserv_feed_recv(feed, &source) == CS_OK)
        ;
}

static void on_end(chanserv_feed *feed, cs_err why, void *state)
{
    struct told *told = *(struct told **)state;

    (void)feed;
    told->ends++;
    told->why = why;
}

Test(nodes, callbacks_hear_of_the_end_alone_however_often_it_was_sent)
{
    static const struct chanserv_feed_ops ops = {.state_bytes = sizeof(struct told *),
                                                 .ready = on_ready,
                                                 .readable = on_readable,
                                                 .end = on_end};
    struct told late = {0}, never = {0}, *to[] = {&late, &never};
    const char *const names[] = {"x", "never"};

    many_server(0);
    many_join(0);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(chanserv_feed_start(many_post(names[i]), &ops, &to[i]), CS_OK);
    cs_loop_advance(many.loop, 5000);
    cr_expect_eq(late.ready + late.readable + late.ends, 0);
    many_serve(0, "x");
    cs_loop_advance(many.loop, 4999);
    cr_expect_eq(late.ready, 1);
    cr_expect_eq(late.ends, 1);
    cr_expect_eq(late.why, CS_DONE);
    cr_expect_eq(never.ends, 0);
    cs_loop_advance(many.loop, 1);
    cr_expect_eq(never.ready + never.readable, 0);
    cr_expect_eq(never.ends, 1);
    cr_expect_eq(never.why, CS_ENOENT);
}

Test(nodes, a_set_waits_for_a_post_that_waits)
{
    struct chanserv_event event;
    chanserv_set *set;

    many_server(0);
    many_join(0);
    cr_assert_eq(chanserv_set_new(many.client, &set), CS_OK);
    cr_assert_eq(chanserv_set_add_feed(set, many_post("x")), CS_OK);
    cr_expect_eq(chanserv_select(set, 5000, &event), CS_AGAIN);
    many_serve(0, "x");
    cr_assert_eq(chanserv_select(set, 5000, &event), CS_OK);
    cr_expect_eq(event.kind, CHANSERV_FEED_END);
    cr_expect_eq(event.why, CS_DONE);
    chanserv_set_free(set);
}

static void free_client(void *client)
{
    chanserv_client_free(client);
}

Test(nodes, a_client_may_be_freed_in_a_callback_whatever_it_waits_for)
{
    chanserv_feed *feed;

    many_servers(2);
    cr_assert_eq(chanserv_join(many.client, "localhost:5555"), CS_OK);
    cr_assert_eq(chanserv_lookup(many.client, "*", &feed), CS_OK);
    (void)many_post("nobody");
    (void)many_post_with("x", "bucket", 0);
    cr_assert_eq(cs_loop_call(many.loop, free_client, many.client), CS_OK);
    many.client = NULL;
    cs_loop_settle(many.loop);
}

static cs_err hold_on(chanserv_post *post, void *state)
{
    (void)post, (void)state;
    return CS_AGAIN;
}

static cs_err hold(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {.next = hold_on};

    (void)body, (void)user;
    cr_assert_eq(chanserv_post_keep(post, &ops, NULL), CS_OK);
    return CS_AGAIN;
}

/* Watches and redials look after something; nobody waits for ever for their sake. */
Test(nodes, a_wait_that_nothing_can_end_is_found_out_though_nodes_are_watched)
{
    chanserv_source *source;
    chanserv_feed *feed;

    many_server(0);
    cr_assert_eq(chanserv_serve(many.servers[0], "hold", hold, NULL), CS_OK);
    many_join(0);
    cr_assert_eq(chanserv_join(many.client, "localhost:5555"), CS_OK);
    feed = many_post("hold");
    cr_expect_not(chanserv_range_source(feed, &source));
    cr_expect_eq(chanserv_feed_status(feed), CS_EMISUSE, "%s", chanserv_feed_errmsg(feed));
}

static void up_attentive(void)
{
    const struct chanserv_client_options options = {.announce_timeout_ms = 100};

    many_client(&options);
}

TestSuite(nodes_attentive, .init = up_attentive, .fini = many_down);

Test(nodes_attentive, silence_does_not_begin_before_somebody_serves_it)
{
    many_server(0);
    many_join(0);
    chanserv_feed *feed = many_post("x");
    cs_loop_advance(many.loop, 5000);
    cr_expect_eq(chanserv_feed_status(feed), CS_AGAIN, "%s", chanserv_feed_errmsg(feed));
    many_serve(0, "x");
    many_ends(feed, CS_OK, "");
}

Test(nodes, who_waits_can_be_cancelled)
{
    many_server(0);
    many_join(0);
    chanserv_feed *feed = many_post("x"), *other = many_post("y");
    cs_loop_advance(many.loop, 10);
    chanserv_feed_cancel(feed);
    many_ends(feed, CS_ECANCELED, "");
    cr_expect_eq(chanserv_feed_close(other), CS_OK);
    many_serve(0, "x");
    cs_loop_advance(many.loop, 20000);
    cr_expect_eq(many_runs(), 0);
}

Test(nodes, one_that_cannot_be_reached_is_told_at_once)
{
    cr_assert_eq(chanserv_join(many.client, "localhost:5555"), CS_OK);
    const int64_t began = cs_loop_now_ms(many.loop);
    many_ends(many_post("x"), CS_EREFUSED, "post x: dial localhost:5555: ");
    cr_expect_eq(cs_loop_now_ms(many.loop), began);
}

Test(nodes, of_several_those_that_can_be_reached_are_used)
{
    cr_assert_eq(chanserv_join(many.client, "localhost:5555"), CS_OK);
    many_servers(1);
    cr_expect_eq(many_ran("x"), 'a');
    cr_expect_eq(many_ran_with("x", "bucket"), 'a');
}

Test(nodes, when_none_can_be_reached_they_are_tried_until_the_time_is_up)
{
    cr_assert_eq(chanserv_join(many.client, "localhost:5555"), CS_OK);
    cr_assert_eq(chanserv_join(many.client, "localhost:5556"), CS_OK);
    const int64_t began = cs_loop_now_ms(many.loop);
    many_ends(many_post("x"), CS_EREFUSED, "post x: dial localhost:555");
    cr_expect_eq(cs_loop_now_ms(many.loop) - began, 10000);
}

static void up_impatient(void)
{
    const struct chanserv_client_options options = {.lookup_timeout_ms = CS_OFF};

    many_client(&options);
}

TestSuite(nodes_impatient, .init = up_impatient, .fini = many_down);

Test(nodes_impatient, wait_for_what_nodes_say_and_no_longer)
{
    many_server(0);
    many_join(0);
    const int64_t began = cs_loop_now_ms(many.loop);
    many_ends(many_post("y"), CS_ENOENT, "NOT_FOUND: no such service");
    many_server(1);
    many_serve(1, "x");
    many_join(1);
    cr_expect_eq(many_ran("x"), 'b', "its list had yet to come");
    many_ends(many_post("y"), CS_ENOENT, "NOT_FOUND: nobody serves it");
    cr_expect_eq(cs_loop_now_ms(many.loop), began);
}

/* ---- Buckets --------------------------------------------------------------------------------- */

Test(bucket, moves_only_with_its_node_and_all_are_spread_evenly)
{
    enum { KEYS = 10000 };
    static const char *const names[MANY] = {"a:5555", "b:5555", "c:5555", "d:5555", "e:5555"};
    int count[MANY] = {0}, moved = 0;
    char key[24];

    for (int k = 0; k < KEYS; k++) {
        uint64_t best[2] = {0, 0};
        int owner[2] = {-1, -1};

        snprintf(key, sizeof key, "user-%d", k);
        for (int round = 0; round < 2; round++)
            for (int i = 0; i < MANY - round; i++) { /* then without the last */
                uint64_t w = chanserv__bucket_weight(cs_str(key), cs_str(names[i]));
                if (owner[round] < 0 || w > best[round]) {
                    owner[round] = i;
                    best[round] = w;
                }
            }
        count[owner[0]]++;
        moved += owner[0] != owner[1];
        cr_assert(owner[0] == owner[1] || owner[0] == MANY - 1, "%s moved for nothing", key);
    }
    cr_expect_eq(moved, count[MANY - 1]);
    for (int i = 0; i < MANY; i++) {
        cr_expect_lt(count[i], KEYS / MANY * 13 / 10, "%s: %d", names[i], count[i]);
        cr_expect_gt(count[i], KEYS / MANY * 7 / 10, "%s: %d", names[i], count[i]);
    }
}

/* They are in docs/WIRE: another client must come to the same. */
Test(bucket, weights_are_these)
{
    cr_expect_eq(chanserv__bucket_weight(cs_str(""), cs_str("")), 0x979b58e39043fbd3u);
    cr_expect_eq(chanserv__bucket_weight(cs_str("user-7"), cs_str("a:5555")), 0x1b9155ac6215b611u);
}

Test(nodes, a_bucket_stays_where_it_is)
{
    char owners[64], key[16];
    int moved = 0;

    many_servers(5);
    for (int k = 0; k < 60; k++) {
        snprintf(key, sizeof key, "k%d", k);
        owners[k] = many_ran_with("x", key);
    }
    for (int i = 0; i < 5; i++)
        cr_expect_gt(many.runs[i], 0);
    many_down_one(4);
    for (int k = 0; k < 60; k++) {
        snprintf(key, sizeof key, "k%d", k);
        char owner = many_ran_with("x", key);
        cr_expect(owner == owners[k] || owners[k] == 'e', "%s: %c, then %c", key, owners[k], owner);
        moved += owner != owners[k];
    }
    cr_expect_gt(moved, 0);
    many_server(4); /* the same node, another process */
    many_serve(4, "x");
    many_join(4);
    for (int k = 0; k < 60; k++) {
        snprintf(key, sizeof key, "k%d", k);
        cr_expect_eq(many_ran_with("x", key), owners[k]);
    }
}

Test(nodes, a_bucket_does_not_wait_for_ever_for_a_node_that_says_nothing)
{
    int64_t began;

    many_servers(2);
    mux_conn_swallow(many_node(1)->conn);
    began = cs_loop_now_ms(many.loop);
    cr_expect_eq(many_ran("x"), 'a', "others do not wait at all");
    cr_expect_eq(cs_loop_now_ms(many.loop), began);
    cr_expect_eq(many_ran_with("x", "key"), 'a');
    cr_expect_eq(cs_loop_now_ms(many.loop) - began, 1000);
}
