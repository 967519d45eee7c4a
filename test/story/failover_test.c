/* What certainly never ran goes to another node, and nothing else does.  The first node is a fake,
 * which ends a post in every way there is; the second is ours and counts what runs. */
#include "test/story/many.h"
#include "test/support/fake_peer.h"

#include "base/mem.h"

#include <stdio.h>

enum { REFUSED_STREAM = 7, CANCEL = 8, INTERNAL_ERROR = 2 };

static struct fake_net net;
static fake_peer *fake;

static void list_of(int32_t id, const struct wire_services *s)
{
    uint8_t bytes[128], *msg;
    size_t len;

    cr_assert_eq(wire_services_pack(s, &msg, &len), CS_OK);
    cr_assert_leq(WIRE_PREFIX + len, sizeof bytes);
    wire_prefix_put(bytes, false, (uint32_t)len);
    memcpy(bytes + WIRE_PREFIX, msg, len);
    fake_frame(fake, FAKE_DATA, 0, id, cs_bytes_of(bytes, WIRE_PREFIX + len));
    cs_free(msg);
    cs_loop_settle(many.loop);
}

static void list_on(int32_t id, bool draining, const char *name)
{
    cs_bytes names = cs_str(name);
    const struct wire_services s = {.instance = cs_bytes_of("12345678", 8),
                                    .node = cs_str("fake"),
                                    .draining = draining,
                                    .names = &names,
                                    .names_len = 1};

    list_of(id, &s);
}

static void up(void)
{
    struct chanserv__node *node;
    mux_conn *conn;

    many_up();
    memset(&net, 0, sizeof net);
    fake_net_dial(&net, many.loop, NULL, &conn);
    cr_assert_eq(chanserv__nodes_add(many.client, NULL, conn, &node), CS_OK);
    cs_loop_settle(many.loop);
}

static void down(void)
{
    chanserv_client_free(many.client);
    many.client = NULL;
    fake_net_free(&net);
    many_down();
}

/* Ours is there too; both are watched: by stream 1 the fake. */
static void two(void)
{
    many_server(1);
    many_serve(1, "x");
    many_join(1);
    cs_loop_settle(many.loop);
    fake = net.peers[0];
    fake_answer(fake, 1);
    list_on(1, false, "x");
}

TestSuite(failover, .init = up, .fini = down);

/* ---- Every way in which a post can end ------------------------------------------------------- */

static void status(int32_t id, bool answered, const char *code, const char *reason)
{
    if (answered)
        fake_headers(fake, id, 1, "grpc-status", code, "chanserv-reason", reason, NULL);
    else
        fake_headers(fake, id, 1, ":status", "200", "content-type", "application/grpc",
                     "grpc-status", code, "chanserv-reason", reason, NULL);
}

static void refused(void)
{
    fake_word(fake, FAKE_RST, 3, REFUSED_STREAM);
}
static void left_out(void)
{
    fake_goaway(fake, 1, 0);
}
static void draining(void)
{
    status(3, false, "14", "draining");
}
static void no_service(void)
{
    status(3, false, "5", "no-service");
}
static void limit(void)
{
    status(3, false, "8", "limit");
}
static void denied(void)
{
    status(3, false, "7", "denied");
}
static void bad_request(void)
{
    status(3, false, "3", "bad-request");
}
static void unavailable(void)
{
    fake_headers(fake, 3, 1, ":status", "200", "content-type", "application/grpc", "grpc-status",
                 "14", NULL);
}
static void mismatched(void) /* an application's NOT_FOUND has no such reason */
{
    status(3, false, "13", "no-service");
}
static void cut(void)
{
    fake_free(fake);
    net.peers_len = 0;
}
static void reset(void)
{
    fake_word(fake, FAKE_RST, 3, INTERNAL_ERROR);
}
static void cancelled(void)
{
    fake_word(fake, FAKE_RST, 3, CANCEL);
}
static void left_in(void) /* the GOAWAY names it: it may have run */
{
    fake_goaway(fake, 3, 0);
    fake_free(fake);
    net.peers_len = 0;
}
static void begins(void)
{
    fake_headers(fake, 3, 0, ":status", "200", "content-type", "application/grpc",
                 "chanserv-instance", "3132333435363738", NULL);
    cs_loop_settle(many.loop);
}
static void refused_too_late(void)
{
    begins();
    fake_word(fake, FAKE_RST, 3, REFUSED_STREAM);
}
static void cut_too_late(void)
{
    begins();
    cut();
}
static void draining_too_late(void)
{
    begins();
    status(3, true, "14", "draining");
}
static void limit_in_one_packet(void)
{
    fake_headers(fake, 3, 0, ":status", "200", "content-type", "application/grpc",
                 "chanserv-instance", "3132333435363738", NULL);
    status(3, true, "8", "limit");
}
static void http_503(void)
{
    fake_headers(fake, 3, 1, ":status", "503", NULL);
}

static const struct {
    void (*act)(void);
    cs_err why; /* CS_DONE: it ran at ours */
} endings[] = {{refused, CS_DONE},
               {left_out, CS_DONE},
               {draining, CS_DONE},
               {no_service, CS_DONE},
               {limit, CS_DONE},
               {denied, CS_EPERM},
               {bad_request, CS_EINVAL},
               {unavailable, CS_EUNAVAIL},
               {mismatched, CS_EINTERNAL},
               {cut, CS_EPEER},
               {reset, CS_EINTERNAL},
               {cancelled, CS_ECANCELED},
               {left_in, CS_EDRAIN},
               {refused_too_late, CS_EUNAVAIL},
               {cut_too_late, CS_EPEER},
               {draining_too_late, CS_EDRAIN},
               {limit_in_one_packet, CS_ELIMIT},
               {http_503, CS_EUNAVAIL}};

Test(failover, of_what_certainly_never_ran_and_of_nothing_else)
{
    down();
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        chanserv_feed *feed;
        chanserv_source *source;
        cs_err err;

        up();
        two();
        feed = many_post("x");
        cs_loop_settle(many.loop);
        cr_assert(strstr(fake_said(fake), "Chanserv/Post"), "%zu: %s", i, fake_said(fake));
        cr_assert_eq(many_runs(), 0);
        endings[i].act();
        cs_loop_settle(many.loop);
        cr_expect_not(chanserv_range_source(feed, &source));
        err = chanserv_feed_status(feed);
        cr_expect_eq(err, endings[i].why, "ending %zu: %s", i, chanserv_feed_errmsg(feed));
        cr_expect_eq(many_runs(), endings[i].why == CS_DONE, "ending %zu", i);
        cs_loop_advance(many.loop, 20000);
        cr_expect_eq(many_runs(), endings[i].why == CS_DONE, "ending %zu, later", i);
        (void)chanserv_feed_close(feed);
        down();
    }
    up();
}

Test(failover, from_a_node_that_cannot_be_reached_any_more)
{
    two();
    net.refuses = -1;
    cut();
    for (int i = 0; i < 3; i++)
        cr_expect_eq(many_ran("x"), 'b');
    net.refuses = 0;
    cs_loop_advance(many.loop, 10000);
    fake = net.peers[net.peers_len - 1];
    fake_answer(fake, 1);
    list_on(1, false, "x");
    chanserv_feed *feed = many_post("x");
    cs_loop_settle(many.loop);
    cr_expect(strstr(fake_said(fake), "Chanserv/Post"), "it is back: %s", fake_said(fake));
    (void)chanserv_feed_close(feed);
}

Test(failover, one_that_drains_is_not_asked)
{
    two();
    list_on(1, true, "x");
    for (int i = 0; i < 3; i++)
        cr_expect_eq(many_ran("x"), 'b');
    list_on(1, false, "x");
    chanserv_feed *feed = many_post("x");
    cs_loop_settle(many.loop);
    cr_expect(strstr(fake_said(fake), "Chanserv/Post"));
    (void)chanserv_feed_close(feed);
}

Test(failover, what_is_gone_is_dialed_less_and_less_often)
{
    two();
    net.refuses = -1;
    cut();
    cs_loop_settle(many.loop);
    const int before = net.dials;
    cs_loop_advance(many.loop, 1000);
    cr_expect_geq(net.dials - before, 3);
    cs_loop_advance(many.loop, 60000);
    cr_expect_lt(net.dials - before, 28);
    cr_expect_gt(net.dials - before, 14);
}

Test(failover, nobody_dials_a_single_node_that_nobody_wants)
{
    many_ends(many_post_with("x", "", 10), CS_ETIMEOUT, "");
    net.refuses = -1;
    fake = net.peers[0];
    cut();
    const int before = net.dials;
    cs_loop_advance(many.loop, 60000);
    cr_expect_eq(net.dials, before);
}

Test(failover, a_list_is_looked_at_before_it_is_believed)
{
    cs_bytes names[] = {cs_str("no name"), cs_str("x"), cs_str("a")};
    const struct wire_services s = {
        .instance = cs_str("short"), .node = cs_str("two\nlines"), .names = names, .names_len = 3};
    const struct chanserv__node *node;

    two();
    list_of(1, &s);
    node = many_node(0);
    cr_assert_not_null(node->list);
    cr_expect_eq(node->list->len, 2);
    cr_expect(chanserv__node_serves(node, cs_str("a")));
    cr_expect_not(chanserv__node_serves(node, cs_str("no name")));
    cr_expect(cs_same(chanserv__node_name(node), cs_str("two?lines")));
    fake_message(fake, 1, "\x0a\x7fgarbage", false);
    cs_loop_settle(many.loop);
    cr_expect_eq(many_ran("x"), 'b', "what lied is asked again, and nothing goes there meanwhile");
}

/* ---- One node -------------------------------------------------------------------------------- */

/* It lists the name, and has never heard of it: that is not asked for ever. */
Test(failover, a_node_that_contradicts_itself_is_given_up)
{
    chanserv_feed *feed = many_post("x");
    int posts = 0;

    cs_loop_settle(many.loop);
    fake = net.peers[0];
    for (int32_t id = 1; id < 200 && chanserv_feed_status(feed) == CS_AGAIN; id += 2) {
        bool is_post = strstr(fake_said(fake), "Chanserv/Post") != NULL;

        posts += is_post;
        fake_forget(fake);
        if (is_post) {
            status(id, false, "5", "no-service");
        } else {
            fake_answer(fake, id);
            list_on(id, false, "x");
        }
        cs_loop_settle(many.loop);
    }
    cr_expect_eq(chanserv_feed_status(feed), CS_ENOENT);
    cr_expect_eq(posts, 16);
}

Test(failover, one_that_will_not_say_what_it_serves_is_not_waited_for)
{
    chanserv_feed *feed = many_post("x");

    cs_loop_settle(many.loop);
    fake = net.peers[0];
    status(1, false, "5", "no-service");
    cs_loop_settle(many.loop);
    cr_expect_eq(chanserv_feed_status(feed), CS_AGAIN);
    status(3, false, "12", "");
    cs_loop_settle(many.loop);
    cr_expect_eq(chanserv_feed_status(feed), CS_ENOENT, "%s", chanserv_feed_errmsg(feed));
    cr_expect_eq(cs_loop_now_ms(many.loop), 0);
}

Test(failover, a_lookup_of_none_that_says_what_it_serves_ends_in_words)
{
    chanserv_feed *feed;

    cr_assert_eq(chanserv_lookup(many.client, "*", &feed), CS_OK);
    cs_loop_settle(many.loop);
    fake = net.peers[0];
    cr_expect_eq(chanserv_feed_status(feed), CS_AGAIN);
    status(1, false, "12", "");
    many_ends(feed, CS_ENOTSUP, "does not say what it serves: UNIMPLEMENTED");
    cr_expect_eq(cs_loop_now_ms(many.loop), 0);
}

Test(failover, a_refused_stream_is_opened_again_and_not_for_ever)
{
    chanserv_feed *feed = many_post("x");

    cs_loop_settle(many.loop);
    fake = net.peers[0];
    for (int32_t id = 1; id <= 5; id += 2) {
        cr_expect_eq(chanserv_feed_status(feed), CS_AGAIN);
        fake_word(fake, FAKE_RST, id, REFUSED_STREAM);
        cs_loop_settle(many.loop);
    }
    cr_expect_eq(chanserv_feed_status(feed), CS_EUNAVAIL);
}

Test(failover, a_goaway_sends_the_post_over_a_fresh_connection)
{
    chanserv_feed *feed = many_post("x");

    cs_loop_settle(many.loop);
    fake = net.peers[0];
    fake_goaway(fake, 0, 0);
    cs_loop_settle(many.loop);
    cr_assert_eq(net.dials, 2);
    cr_expect(strstr(fake_said(net.peers[1]), "Chanserv/Post"));
    fake_headers(net.peers[1], 1, 1, ":status", "200", "content-type", "application/grpc",
                 "grpc-status", "0", NULL);
    cs_loop_settle(many.loop);
    many_ends(feed, CS_OK, "");
}

/* ---- Opens ----------------------------------------------------------------------------------- */

static chanserv_source *announced(bool uplink)
{
    const struct wire_announcement a = {
        .ticket = cs_str("a ticket"), .header = cs_str("h"), .uplink = uplink};
    chanserv_feed *feed = many_post("x");
    chanserv_source *source;
    uint8_t bytes[64], *msg;
    size_t len;

    cs_loop_settle(many.loop);
    fake = net.peers[0];
    fake_answer(fake, 1);
    cr_assert_eq(wire_announcement_pack(&a, &msg, &len), CS_OK);
    wire_prefix_put(bytes, false, (uint32_t)len);
    memcpy(bytes + WIRE_PREFIX, msg, len);
    fake_frame(fake, FAKE_DATA, 0, 1, cs_bytes_of(bytes, WIRE_PREFIX + len));
    cs_free(msg);
    cs_loop_settle(many.loop);
    cr_assert_eq(chanserv_feed_recv(feed, &source), CS_OK);
    cr_assert_eq(chanserv_source_open(source, 7), CS_OK);
    return source;
}

Test(failover, an_open_that_was_refused_is_made_again_there)
{
    chanserv_source *source = announced(false);
    cs_bytes frame;

    cs_loop_settle(many.loop);
    many_server(1); /* another node has nothing to do with it */
    many_join(1);
    fake_word(fake, FAKE_RST, 3, REFUSED_STREAM);
    cs_loop_settle(many.loop);
    fake_forget(fake);
    fake_word(fake, FAKE_RST, 7, REFUSED_STREAM);
    cs_loop_settle(many.loop);
    cr_expect(strstr(fake_said(fake), "Chanserv/Open"), "%s", fake_said(fake));
    fake_answer(fake, 9);
    fake_message(fake, 9, "\x0a\x01z", false);
    cs_loop_settle(many.loop);
    cr_assert_eq(chanserv_source_recv(source, &frame), CS_OK, "%s", chanserv_source_errmsg(source));
    cr_expect(cs_same(frame, cs_str("z")));
    cr_expect_eq(chanserv_source_seq(source), 7);
}

Test(failover, an_open_is_made_three_times_and_no_more)
{
    chanserv_source *source = announced(false);
    cs_bytes frame;

    for (int32_t id = 3; id <= 7; id += 2) {
        cs_loop_settle(many.loop);
        cr_expect_eq(chanserv_source_recv(source, &frame), CS_AGAIN);
        fake_word(fake, FAKE_RST, id, REFUSED_STREAM);
    }
    cs_loop_settle(many.loop);
    cr_expect_eq(chanserv_source_recv(source, &frame), CS_EUNAVAIL);
}

Test(failover, what_was_said_to_a_producer_is_not_said_twice)
{
    chanserv_source *source = announced(true);
    cs_bytes frame;

    cr_assert_eq(chanserv_source_send(source, cs_str("do it"), CS_NOW), CS_OK);
    cs_loop_settle(many.loop);
    fake_word(fake, FAKE_RST, 3, REFUSED_STREAM);
    cs_loop_settle(many.loop);
    cr_expect_eq(chanserv_source_recv(source, &frame), CS_EUNAVAIL);
}

/* A port that hangs up on everybody, as one with TLS does on plain text. */
Test(strangers, where_nobody_ever_spoke_http2_nobody_is_waited_for)
{
    const struct chanserv_client_options options = {.resume_ms = 20000};
    struct chanserv__node *node;
    mux_conn *conn;
    cs_loop *loop;
    chanserv_client *client;
    chanserv_feed *feed;

    net = (struct fake_net){.silent = true};
    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    cr_assert_eq(chanserv_client_new(loop, &options, &client), CS_OK);
    fake_net_dial(&net, loop, NULL, &conn);
    cr_assert_eq(chanserv__nodes_add(client, NULL, conn, &node), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(client, "x", cs_str(""), NULL, &feed), CS_OK);
    for (int dials = 1; dials <= 3; dials++) {
        cs_loop_advance(loop, 300);
        cr_assert_eq(net.dials, dials);
        cr_assert_eq(chanserv_feed_status(feed), CS_AGAIN);
        fake_free(net.peers[dials - 1]);
    }
    net.peers_len = 0;
    cs_loop_advance(loop, 1);
    cr_assert_eq(chanserv_feed_status(feed), CS_EPEER);
    cr_assert(strstr(chanserv_feed_errmsg(feed), "without a word; does it want TLS?"), "%s",
              chanserv_feed_errmsg(feed));
    chanserv_feed_close(feed);
    chanserv_client_free(client);
    cs_loop_settle(loop);
    fake_net_free(&net);
    cs_loop_free(loop);
}
