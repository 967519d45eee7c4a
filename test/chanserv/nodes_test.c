/* Several nodes: whose turn it is, what is waited for, and what may be sent again. */
#include "chanserv/client__in.h"
#include "mux/local.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { NODES = 5 };

static struct {
    cs_loop *loop;
    chanserv_client *client;
    chanserv_server *servers[NODES];
    int runs[NODES];
    char last; /* which ran last: 'a' + its place */
} t;

static cs_err echo(chanserv_post *post, cs_bytes body, void *user)
{
    const int i = (int)((int *)user - t.runs);

    (void)post, (void)body;
    t.runs[i]++;
    t.last = (char)('a' + i);
    return CS_DONE;
}

static void server_up(int i)
{
    char name[8];
    struct chanserv_server_options options = {.node = name};

    snprintf(name, sizeof name, "n%d", i);
    cr_assert_eq(chanserv_server_new(t.loop, &options, &t.servers[i]), CS_OK);
}

static void serve(int i, const char *service)
{
    cr_assert_eq(chanserv_serve(t.servers[i], service, echo, &t.runs[i]), CS_OK);
}

static void join(int i)
{
    cr_assert_eq(chanserv_join_local(t.client, t.servers[i]), CS_OK);
}

static void client_up(const struct chanserv_client_options *options)
{
    memset(&t, 0, sizeof t);
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    cr_assert_eq(chanserv_client_new(t.loop, options, &t.client), CS_OK);
}

static void up(void)
{
    client_up(NULL);
}

/* `n` servers that serve "x", joined. */
static void servers(int n)
{
    for (int i = 0; i < n; i++) {
        server_up(i);
        serve(i, "x");
        join(i);
    }
}

static void server_down(int i)
{
    chanserv_server_free(t.servers[i]);
    t.servers[i] = NULL;
}

static void down(void)
{
    chanserv_client_free(t.client);
    for (int i = 0; i < NODES; i++)
        chanserv_server_free(t.servers[i]);
    cs_loop_free(t.loop);
}

static struct chanserv__node *node(int i)
{
    struct chanserv__node *n = chanserv__nodes_first(t.client);

    while (i-- > 0)
        n = chanserv__nodes_next(n);
    return n;
}

static chanserv_feed *post_with(const char *service, const char *bucket, int timeout_ms)
{
    const struct chanserv_post_options options = {.bucket = cs_str(bucket),
                                                  .timeout_ms = timeout_ms};
    chanserv_feed *feed;

    cr_assert_eq(chanserv_lookup_and_post(t.client, service, cs_str(""), &options, &feed), CS_OK);
    return feed;
}

static chanserv_feed *post(const char *service)
{
    return post_with(service, "", 0);
}

/* Waits for its end; which node ran it, or '-'. */
static char ran_with(const char *service, const char *bucket)
{
    chanserv_feed *feed = post_with(service, bucket, 0);
    chanserv_source *source;

    t.last = '-';
    while (chanserv_range_source(feed, &source))
        ;
    (void)chanserv_feed_close(feed);
    return t.last;
}

static char ran(const char *service)
{
    return ran_with(service, "");
}

static void ends(chanserv_feed *feed, cs_err why, const char *words)
{
    chanserv_source *source;

    while (chanserv_range_source(feed, &source))
        ;
    cr_assert_eq(chanserv_feed_status(feed), why == CS_OK ? CS_DONE : why, "%s",
                 chanserv_feed_errmsg(feed));
    cr_assert(strstr(chanserv_feed_errmsg(feed), words), "%s", chanserv_feed_errmsg(feed));
    (void)chanserv_feed_close(feed);
}

static int all_runs(void)
{
    int n = 0;

    for (int i = 0; i < NODES; i++)
        n += t.runs[i];
    return n;
}

TestSuite(nodes, .init = up, .fini = down);

/* ---- Joining and leaving --------------------------------------------------------------------- */

Test(nodes, an_address_is_joined_once)
{
    server_up(0);
    join(0);
    cr_expect_eq(chanserv_join_local(t.client, t.servers[0]), CS_EEXIST);
    cr_expect_eq(chanserv_join(t.client, "localhost:1"), CS_OK);
    cr_expect_eq(chanserv_join(t.client, "localhost:2"), CS_OK);
    cr_expect_eq(chanserv_join(t.client, "localhost:1"), CS_EEXIST);
    cr_expect_eq(chanserv_join(t.client, "nowhere"), CS_EINVAL);
    cr_expect_eq(chanserv_leave(t.client, "localhost:1"), CS_OK);
    cr_expect_eq(chanserv_leave(t.client, "localhost:1"), CS_ENOENT);
    cr_expect_eq(chanserv_leave(t.client, NULL), CS_EINVAL);
    cr_expect_eq(chanserv_join(t.client, "localhost:1"), CS_OK);
}

Test(nodes, with_one_nobody_asks_what_it_serves)
{
    struct chanserv_counters n;

    servers(1);
    cr_expect_eq(ran("x"), 'a');
    chanserv_server_counters(t.servers[0], &n);
    cr_expect_eq(n.streams_total, 1);
}

Test(nodes, posts_go_round_those_that_serve_the_name)
{
    char order[10] = "";

    servers(4);
    serve(1, "y");
    serve(3, "y");
    cs_loop_settle(t.loop);
    for (int i = 0; i < 8; i++)
        order[i] = ran("x");
    cr_expect_str_eq(order, "abcdabcd");
    for (int i = 0; i < 4; i++)
        order[i] = ran("y");
    order[4] = '\0';
    cr_expect_str_eq(order, "bdbd");
}

Test(nodes, a_name_that_is_taken_away_is_not_asked_for_there)
{
    servers(2);
    cs_loop_settle(t.loop);
    cr_expect_eq(chanserv_unserve(t.servers[0], "x"), CS_OK);
    for (int i = 0; i < 4; i++) /* the first finds out before the list can tell it */
        cr_expect_eq(ran("x"), 'b');
    serve(0, "x");
    cs_loop_settle(t.loop);
    cr_expect_eq(ran("x"), 'a');
    cr_expect_eq(all_runs(), 5);
}

Test(nodes, one_that_goes_gets_no_posts_and_what_it_refused_runs_elsewhere)
{
    servers(3);
    cs_loop_settle(t.loop);
    server_down(0);
    for (int i = 0; i < 6; i++)
        cr_expect_neq(ran("x"), 'a');
    cr_expect_eq(t.runs[1], 3);
    cr_expect_eq(t.runs[2], 3);
}

Test(nodes, a_connection_that_broke_is_made_again)
{
    servers(2);
    cs_loop_settle(t.loop);
    mux_conn_break(node(0)->conn);
    for (int i = 0; i < 4; i++)
        cr_expect_neq(ran("x"), '-');
    cs_loop_advance(t.loop, 1000);
    t.runs[0] = t.runs[1] = 0;
    for (int i = 0; i < 4; i++)
        cr_expect_neq(ran("x"), '-');
    cr_expect_eq(t.runs[0], 2);
    cr_expect_eq(t.runs[1], 2);
}

Test(nodes, two_ways_to_one_process_are_one_node)
{
    struct chanserv__node *twin;
    mux_conn *conn;
    char order[7] = "";

    servers(2);
    cr_assert_eq(mux_dial_local(t.loop, NULL, chanserv__server_net(t.servers[0]),
                                chanserv__server_handlers(t.servers[0]), &conn),
                 CS_OK);
    cr_assert_eq(chanserv__nodes_add(t.client, NULL, conn, &twin), CS_OK);
    cs_loop_settle(t.loop);
    for (int i = 0; i < 6; i++)
        order[i] = ran("x");
    cr_expect_str_eq(order, "ababab");
}

Test(nodes, what_runs_on_a_node_that_is_left_runs_on)
{
    /* Not by an address, because a virtual loop dials none. */
    chanserv_feed *feed;
    struct chanserv__node *left;

    servers(2);
    cs_loop_settle(t.loop);
    left = node(0);
    feed = post("x");
    cr_expect_eq(feed->node, left);
    chanserv__node_leave(left);
    ends(feed, CS_OK, "");
    cr_expect_eq(t.runs[0], 1);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(ran("x"), 'b');
    cs_loop_settle(t.loop);
    cr_expect(cs_list_empty(&t.client->left), "nothing holds it any more");
}

/* ---- Waiting for somebody to serve it -------------------------------------------------------- */

Test(nodes, one_that_is_served_late_is_waited_for)
{
    server_up(0);
    join(0);
    chanserv_feed *feed = post("x");
    cs_loop_advance(t.loop, 9000);
    cr_expect_eq(chanserv_feed_status(feed), CS_AGAIN);
    serve(0, "x");
    ends(feed, CS_OK, "");
    cr_expect_eq(t.runs[0], 1);
    cs_loop_settle(t.loop);
    cr_expect_null(node(0)->watch, "nobody wants to know any more");
}

Test(nodes, with_several_the_same)
{
    server_up(0);
    server_up(1);
    join(0);
    join(1);
    chanserv_feed *feed = post("x");
    cs_loop_advance(t.loop, 5000);
    serve(1, "x");
    ends(feed, CS_OK, "");
    cr_expect_eq(t.runs[1], 1);
}

Test(nodes, a_node_that_comes_late_is_waited_for)
{
    server_up(0);
    server_up(1);
    serve(1, "x");
    join(0);
    chanserv_feed *feed = post("x");
    cs_loop_advance(t.loop, 5000);
    join(1);
    ends(feed, CS_OK, "");
    cr_expect_eq(t.runs[1], 1);
}

Test(nodes, nobody_who_serves_it_is_told_after_the_lookup_timeout)
{
    int64_t began;

    for (int i = 0; i < 2; i++) {
        server_up(i);
        join(i);
        began = cs_loop_now_ms(t.loop);
        ends(post("x"), CS_ENOENT,
             i ? "post x: NOT_FOUND: nobody serves it (10000 ms)"
               : "post x: NOT_FOUND: no such service; nobody came to serve");
        cr_expect_eq(cs_loop_now_ms(t.loop) - began, 10000);
    }
}

Test(nodes, the_deadline_of_a_post_counts_while_it_waits)
{
    server_up(0);
    join(0);
    const int64_t began = cs_loop_now_ms(t.loop);
    ends(post_with("x", "", 300), CS_ETIMEOUT, "deadline");
    cr_expect_eq(cs_loop_now_ms(t.loop) - began, 300);
}

Test(nodes, who_waits_can_be_cancelled)
{
    server_up(0);
    join(0);
    chanserv_feed *feed = post("x"), *other = post("y");
    cs_loop_advance(t.loop, 10);
    chanserv_feed_cancel(feed);
    ends(feed, CS_ECANCELED, "");
    cr_expect_eq(chanserv_feed_close(other), CS_OK);
    serve(0, "x");
    cs_loop_advance(t.loop, 20000);
    cr_expect_eq(all_runs(), 0);
}

Test(nodes, one_that_cannot_be_reached_is_told_at_once)
{
    cr_assert_eq(chanserv_join(t.client, "localhost:5555"), CS_OK);
    const int64_t began = cs_loop_now_ms(t.loop);
    ends(post("x"), CS_EREFUSED, "post x: dial localhost:5555: ");
    cr_expect_eq(cs_loop_now_ms(t.loop), began);
}

Test(nodes, of_several_those_that_can_be_reached_are_used)
{
    cr_assert_eq(chanserv_join(t.client, "localhost:5555"), CS_OK);
    servers(1);
    cr_expect_eq(ran("x"), 'a');
    cr_expect_eq(ran_with("x", "bucket"), 'a');
}

Test(nodes, when_none_can_be_reached_they_are_tried_until_the_time_is_up)
{
    cr_assert_eq(chanserv_join(t.client, "localhost:5555"), CS_OK);
    cr_assert_eq(chanserv_join(t.client, "localhost:5556"), CS_OK);
    const int64_t began = cs_loop_now_ms(t.loop);
    ends(post("x"), CS_EREFUSED, "post x: dial localhost:555");
    cr_expect_eq(cs_loop_now_ms(t.loop) - began, 10000);
}

static void up_impatient(void)
{
    const struct chanserv_client_options options = {.lookup_timeout_ms = CS_OFF};

    client_up(&options);
}

TestSuite(nodes_impatient, .init = up_impatient, .fini = down);

Test(nodes_impatient, wait_for_what_nodes_say_and_no_longer)
{
    server_up(0);
    join(0);
    const int64_t began = cs_loop_now_ms(t.loop);
    ends(post("y"), CS_ENOENT, "NOT_FOUND: no such service");
    server_up(1);
    serve(1, "x");
    join(1);
    cr_expect_eq(ran("x"), 'b', "its list had yet to come");
    ends(post("y"), CS_ENOENT, "NOT_FOUND: nobody serves it");
    cr_expect_eq(cs_loop_now_ms(t.loop), began);
}

/* ---- Buckets --------------------------------------------------------------------------------- */

Test(bucket, moves_only_with_its_node_and_all_are_spread_evenly)
{
    enum { KEYS = 10000 };
    static const char *const names[NODES] = {"a:5555", "b:5555", "c:5555", "d:5555", "e:5555"};
    int count[NODES] = {0}, moved = 0;
    char key[16];

    for (int k = 0; k < KEYS; k++) {
        uint64_t best[2] = {0, 0};
        int owner[2] = {-1, -1};

        snprintf(key, sizeof key, "user-%d", k);
        for (int round = 0; round < 2; round++)
            for (int i = 0; i < NODES - round; i++) { /* then without the last */
                uint64_t w = chanserv__bucket_weight(cs_str(key), cs_str(names[i]));
                if (owner[round] < 0 || w > best[round]) {
                    owner[round] = i;
                    best[round] = w;
                }
            }
        count[owner[0]]++;
        moved += owner[0] != owner[1];
        cr_assert(owner[0] == owner[1] || owner[0] == NODES - 1, "%s moved for nothing", key);
    }
    cr_expect_eq(moved, count[NODES - 1]);
    for (int i = 0; i < NODES; i++) {
        cr_expect_lt(count[i], KEYS / NODES * 13 / 10, "%s: %d", names[i], count[i]);
        cr_expect_gt(count[i], KEYS / NODES * 7 / 10, "%s: %d", names[i], count[i]);
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
    char owners[64], key[8];
    int moved = 0;

    servers(5);
    for (int k = 0; k < 60; k++) {
        snprintf(key, sizeof key, "k%d", k);
        owners[k] = ran_with("x", key);
    }
    for (int i = 0; i < 5; i++)
        cr_expect_gt(t.runs[i], 0);
    server_down(4);
    for (int k = 0; k < 60; k++) {
        snprintf(key, sizeof key, "k%d", k);
        char owner = ran_with("x", key);
        cr_expect(owner == owners[k] || owners[k] == 'e', "%s: %c, then %c", key, owners[k], owner);
        moved += owner != owners[k];
    }
    cr_expect_gt(moved, 0);
    server_up(4); /* the same node, another process */
    serve(4, "x");
    join(4);
    for (int k = 0; k < 60; k++) {
        snprintf(key, sizeof key, "k%d", k);
        cr_expect_eq(ran_with("x", key), owners[k]);
    }
}

Test(nodes, a_bucket_does_not_wait_for_ever_for_a_node_that_says_nothing)
{
    int64_t began;

    servers(2);
    mux_conn_swallow(node(1)->conn);
    began = cs_loop_now_ms(t.loop);
    cr_expect_eq(ran("x"), 'a', "others do not wait at all");
    cr_expect_eq(cs_loop_now_ms(t.loop), began);
    cr_expect_eq(ran_with("x", "key"), 'a');
    cr_expect_eq(cs_loop_now_ms(t.loop) - began, 1000);
}
