/* A server's connection that goes: the frames as a peer sees them, and our client beside it. */
#include "mux/mux__in.h"
#include "mux/roll.h"
#include "mux/stats.h"
#include "test/mux/secure.h"
#include "test/support/failing.h"
#include "test/support/fake_peer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOTICE "GOAWAY 0 2147483647 0\nPING 0\n"

static struct talk t;
static fake_peer *peer;

static void roll(mux_conn *conn, void *user)
{
    (void)user;
    mux_conn_roll(conn);
}

/* ---- What a peer sees ----------------------------------------------------------------------- */

/* One stream, 1, that the server's side holds open. */
static void meet(const struct mux_options *options)
{
    talk_handlers(&t);
    peer = fake_client(t.loop, options, t.handlers);
    fake_request(peer, 1, true, TALK_METHOD);
    talk_settle(&t);
    cr_assert_eq(t.accepted, 1);
    fake_forget(peer);
}

static void part(void)
{
    fake_free(peer);
    talk_settle(&t);
    mux_handlers_free(t.handlers);
    talk_settle(&t);
    cs_loop_free(t.loop);
}

static void roll_it(void)
{
    mux_conn_roll(mux_stream_conn(t.server[0].stream));
    talk_settle(&t);
}

static void answer_ping(void)
{
    fake_frame(peer, FAKE_PING, 1, 0, cs_str("rollover"));
}

static uint64_t standing(void)
{
    return mux_handlers_stats(t.handlers)->connections;
}

Test(roll, goes_in_two_steps_and_serves_what_was_on_its_way)
{
    meet(NULL);
    fake_mute(peer);
    roll_it();
    cr_assert_str_eq(fake_said(peer), NOTICE);
    cr_assert(!mux_conn_takes_none(mux_stream_conn(t.server[0].stream)));
    fake_forget(peer);
    fake_request(peer, 3, true, TALK_METHOD);
    talk_settle(&t);
    cr_assert_eq(t.accepted, 2);
    cr_assert_eq(t.server[0].rolls, 0);
    answer_ping();
    talk_settle(&t);
    cr_assert_str_eq(fake_said(peer), "GOAWAY 0 3 0\n");
    cr_assert(mux_conn_takes_none(mux_stream_conn(t.server[0].stream)));
    cr_assert_eq(t.server[0].rolls, 1);
    cr_assert_eq(t.server[1].rolls, 1);
    fake_request(peer, 5, true, TALK_METHOD);
    side_finish(&t.server[1], CS_DONE);
    talk_settle(&t);
    cr_assert_eq(t.accepted, 2, "after the last one nothing is served");
    cr_assert_eq(t.server[1].why, CS_DONE);
    cs_loop_advance(t.loop, 10 * 1000);
    cr_assert(!fake_hung_up(peer), "it stands for the call that it has");
    part();
}

Test(roll, does_not_wait_for_a_peer_that_answers_no_ping)
{
    meet(NULL);
    fake_mute(peer);
    roll_it();
    fake_forget(peer);
    cs_loop_advance(t.loop, 999);
    cr_assert_str_eq(fake_said(peer), "");
    cs_loop_advance(t.loop, 1);
    cr_assert_str_eq(fake_said(peer), "GOAWAY 0 1 0\n");
    answer_ping(); /* too late: nothing */
    talk_settle(&t);
    cr_assert_str_eq(fake_said(peer), "GOAWAY 0 1 0\n");
    cr_assert_eq(t.server[0].rolls, 1);
    part();
}

Test(roll, takes_another_ping_for_what_it_is)
{
    meet(NULL);
    fake_mute(peer);
    roll_it();
    fake_forget(peer);
    fake_frame(peer, FAKE_PING, 1, 0, cs_bytes_of("\0\0\0\0\0\0\0\0", 8));
    talk_settle(&t);
    cr_assert_str_eq(fake_said(peer), "");
    part();
}

/* Behind the answer to PING, before the last GOAWAY is written. */
Test(roll, refuses_what_it_says_that_it_did_not_serve)
{
    meet(NULL);
    fake_mute(peer);
    roll_it();
    fake_forget(peer);
    answer_ping();
    fake_request(peer, 3, true, TALK_METHOD);
    talk_settle(&t);
    cr_assert_eq(t.accepted, 1);
    cr_assert(strstr(fake_said(peer), "GOAWAY 0 1 0\n"), "%s", fake_said(peer));
    cr_assert(strstr(fake_said(peer), "RST_STREAM 3 7\n"), "%s", fake_said(peer));
    part();
}

Test(roll, ends_when_its_last_call_has_and_gives_the_peer_time_to_read)
{
    meet(NULL);
    roll_it();
    fake_forget(peer);
    side_send(&t.server[0], "the end");
    side_finish(&t.server[0], CS_DONE);
    talk_settle(&t);
    cr_assert(strstr(fake_said(peer), "grpc-status=0"), "%s", fake_said(peer));
    cs_loop_advance(t.loop, 999);
    cr_assert(!fake_hung_up(peer));
    cr_assert_eq(standing(), 1);
    cs_loop_advance(t.loop, 1);
    cr_assert(fake_hung_up(peer));
    cr_assert_eq(standing(), 0);
    part();
}

Test(roll, is_said_once)
{
    meet(NULL);
    roll_it();
    roll_it();
    fake_forget(peer);
    roll_it();
    cr_assert_str_eq(fake_said(peer), "");
    cr_assert_eq(mux_handlers_stats(t.handlers)->connections_rolled, 1);
    part();
}

Test(roll, an_age_is_kept_within_a_tenth)
{
    const struct mux_options options = {.connection_age_ms = 10000};
    meet(&options);
    cs_loop_advance(t.loop, 8999);
    cr_assert_eq(mux_handlers_stats(t.handlers)->connections_rolled, 0);
    cs_loop_advance(t.loop, 2001);
    cr_assert_eq(mux_handlers_stats(t.handlers)->connections_rolled, 1);
    cr_assert_eq(strncmp(fake_said(peer), NOTICE, strlen(NOTICE)), 0, "%s", fake_said(peer));
    part();
}

Test(roll, ages_differ)
{
    const struct mux_options options = {.connection_age_ms = 1000000};
    int64_t first = 0;
    bool differ = false;
    for (int i = 0; i < 8 && !differ; i++) {
        t = (struct talk){.loop = NULL};
        meet(&options);
        while (mux_handlers_stats(t.handlers)->connections_rolled == 0)
            cs_loop_advance(t.loop, 1000);
        if (i == 0)
            first = cs_loop_now_ms(t.loop);
        differ = cs_loop_now_ms(t.loop) != first;
        part();
    }
    cr_assert(differ);
}

Test(roll, without_an_age_it_stands_for_ever)
{
    meet(NULL);
    cs_loop_advance(t.loop, 1000 * 1000 * 1000);
    cr_assert_eq(mux_handlers_stats(t.handlers)->connections_rolled, 0);
    part();
}

/* ---- Our client beside it ------------------------------------------------------------------- */

Test(roll, old_calls_finish_and_new_ones_go_elsewhere)
{
    talk_begin(&t, NULL, NULL);
    struct side *old = talk_open(&t, 0);
    talk_settle(&t);
    mux_handlers_each_local(t.handlers, roll, NULL);
    talk_settle(&t);
    struct side *young = talk_open(&t, 1);
    talk_settle(&t);
    cr_assert_eq(t.accepted, 2);
    cr_assert_neq(mux_stream_conn(t.server[0].stream), mux_stream_conn(t.server[1].stream));
    cr_assert_lt(mux_conn_number(mux_stream_conn(t.server[0].stream)),
                 mux_conn_number(mux_stream_conn(t.server[1].stream)));
    cr_assert_eq(standing(), 2);
    side_send(old, "still there?");
    talk_settle(&t);
    side_send(&t.server[0], "yes");
    side_finish(&t.server[0], CS_DONE);
    side_finish(&t.server[1], CS_DONE);
    talk_settle(&t);
    cr_assert_str_eq(old->text, "yes|");
    cr_assert_eq(old->why, CS_DONE);
    cr_assert_eq(young->why, CS_DONE);
    cr_assert_eq(standing(), 1, "our client hangs up by itself");
    talk_end(&t);
}

Test(roll, an_idle_connection_goes_at_once)
{
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    side_finish(&t.server[0], CS_DONE);
    talk_settle(&t);
    cr_assert_eq(c->why, CS_DONE);
    cr_assert_eq(standing(), 1);
    mux_handlers_each_local(t.handlers, roll, NULL);
    talk_settle(&t);
    cr_assert_eq(standing(), 0);
    talk_end(&t);
}

static void cancel(struct side *s)
{
    mux_stream_cancel(s->stream, CS_ECANCELED);
}

Test(roll, a_call_may_end_when_it_hears_of_it)
{
    talk_begin(&t, NULL, NULL);
    t.server[0].on_rolled = cancel;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    mux_handlers_each_local(t.handlers, roll, NULL);
    talk_settle(&t);
    cr_assert_eq(t.server[0].why, CS_ECANCELED);
    cr_assert_eq(c->ends, 1);
    cr_assert_eq(standing(), 0);
    talk_end(&t);
}

Test(roll, a_connection_that_breaks_on_its_way_is_just_lost)
{
    talk_begin(&t, NULL, NULL);
    talk_open(&t, 0);
    talk_settle(&t);
    mux_handlers_each_local(t.handlers, roll, NULL);
    mux_conn_break(t.conn);
    talk_settle(&t);
    cr_assert_eq(t.server[0].why, CS_EPEER);
    cr_assert_eq(standing(), 0);
    cs_loop_advance(t.loop, 5000);
    talk_end(&t);
}

Test(roll, what_is_shut_takes_no_new_connection)
{
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    mux_handlers_shut_local(t.handlers);
    mux_handlers_each_local(t.handlers, roll, NULL);
    talk_settle(&t);
    talk_open(&t, 1);
    talk_settle(&t);
    cr_assert_eq(t.client[1].why, CS_EREFUSED);
    side_finish(&t.server[0], CS_DONE);
    talk_settle(&t);
    cr_assert_eq(c->why, CS_DONE);
    talk_end(&t);
}

/* ---- Without memory ------------------------------------------------------------------------- */

static int opened, client_ends, accepted, server_ends;

static void starving_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why;
    ++*(int *)state;
}

static void starving_rolled(mux_stream *stream, void *state)
{
    (void)state;
    mux_stream_finish(stream, CS_DONE, NULL);
}

static const struct mux_stream_ops starving_client = {.end = starving_end};
static const struct mux_stream_ops starving_server = {.end = starving_end,
                                                      .rolled = starving_rolled};

static void starving_accept(mux_stream *stream, void *user)
{
    (void)user;
    accepted += mux_stream_accept(stream, &starving_server, &server_ends) == CS_OK;
}

static void call_once(mux_conn *conn)
{
    mux_stream *stream;
    if (mux_stream_open(conn, TALK_METHOD, NULL, &starving_client, &client_ends, &stream) == CS_OK)
        opened++;
}

static void story(void)
{
    const struct mux_options aged = {.connection_age_ms = 1000};
    mux_handlers *handlers;
    mux_conn *conn;
    cs_loop *loop;
    opened = client_ends = accepted = server_ends = 0;
    if (cs_loop_new_virtual(&loop) != CS_OK)
        return;
    if (mux_handlers_new(&handlers) == CS_OK) {
        if (mux_handle(handlers, TALK_METHOD, starving_accept, NULL) == CS_OK &&
            mux_dial_local(loop, NULL, &aged, handlers, &conn) == CS_OK) {
            call_once(conn);
            call_once(conn);
            cs_loop_advance(loop, 1200);
            if (!failing_failed()) /* where it hit the timer, it has no age */
                cr_assert_eq(client_ends, opened, "%d of %d calls ended", client_ends, opened);
            mux_handlers_each_local(handlers, roll, NULL);
            cs_loop_advance(loop, 5000);
            cr_assert_eq(client_ends, opened, "%d of %d calls ended", client_ends, opened);
            cr_assert_eq(server_ends, accepted);
            mux_conn_free(conn);
        }
        cr_assert_lt(cs_loop_settle(loop), 100000);
        mux_handlers_free(handlers);
    }
    cr_assert_lt(cs_loop_settle(loop), 100000);
    cs_loop_free(loop);
}

Test(roll, survives_every_failed_allocation)
{
    cr_assert_gt(failing_story(story), 20);
}

/* ---- Ports, on real sockets ----------------------------------------------------------------- */

static mux_port *port;
static mux_conn *conns[2];
static char why[400];

static void on_late(void *user)
{
    (void)user;
    cr_assert_fail("nothing came for thirty seconds");
}

static void run(void)
{
    cs_timer *late;
    cr_assert_eq(cs_timer_new(secure.loop, on_late, NULL, &late), CS_OK);
    cs_timer_set(late, 30000);
    cr_assert_eq(cs_loop_run(secure.loop), CS_OK);
    cs_timer_free(late);
}

static void begin(void)
{
    secure_begin();
    cs_loop_free(secure.loop);
    cr_assert_eq(cs_loop_new(NULL, &secure.loop), CS_OK);
}

static void leave(void)
{
    mux_conn_free(conns[0]);
    mux_conn_free(conns[1]);
    mux_port_free(port);
    cs_loop_last_turn(secure.loop);
    mux_handlers_free(secure.handlers);
    cs_loop_last_turn(secure.loop);
    cs_loop_free(secure.loop);
    certs_end();
}

static void stop(struct side *s)
{
    cs_loop_stop(s->talk->loop);
}

static void listen_at(const char *addr, const struct mux_tls *tls)
{
    struct mux_options options = {.tls = tls};
    cr_assert_eq(mux_listen(secure.loop, addr, &options, secure.handlers, &port, why, sizeof why),
                 CS_OK, "%s", why);
}

/* conns[i] with a call, which the server has accepted. */
static struct side *call(int i, const struct mux_tls *tls)
{
    struct mux_options options = {.tls = tls};
    cr_assert_eq(mux_dial(secure.loop, mux_port_addr(port), &options, &conns[i]), CS_OK);
    secure.conn = conns[i];
    secure.server[i].on_accept = stop;
    secure.client[i].on_end = stop;
    struct side *c = talk_open(&secure, i);
    run();
    cr_assert_eq(c->ends, 0, "%s", c->errmsg);
    return c;
}

static bool shows(int i, const char *san)
{
    const struct mux_peer *p = mux_conn_peer(conns[i]);
    return p->tls_sans_len == 1 && cs_same(p->tls_sans[0], cs_str(san));
}

static void certify(const char *host)
{
    certs_make("server", &(struct certs_about){.cn = host, .sans = "IP:127.0.0.1"});
}

Test(roll_port, new_connections_meet_the_new_certificate_and_old_calls_finish, .init = begin,
     .fini = leave)
{
    struct mux_tls server = secure_server("server"), client = secure_client();
    listen_at("127.0.0.1:0", &server);
    struct side *old = call(0, &client);
    cr_assert_eq(mux_conn_peer(conns[0])->tls_sans_len, 3);
    certify("a new one");
    cr_assert_eq(mux_port_reload(port, why, sizeof why), CS_OK, "%s", why);
    struct side *young = call(1, &client);
    cr_assert(shows(1, "IP:127.0.0.1"));
    cr_assert_eq(mux_handlers_stats(secure.handlers)->connections_rolled, 1);
    side_send(&secure.server[0], "to the end");
    side_finish(&secure.server[0], CS_DONE);
    run();
    cr_assert_eq(old->why, CS_DONE, "%s", old->errmsg);
    cr_assert_str_eq(old->text, "to the end|");
    cr_assert_eq(young->ends, 0);
}

Test(roll_port, a_bad_certificate_leaves_the_old_one_in_use, .init = begin, .fini = leave)
{
    struct mux_tls server = secure_server("server"), client = secure_client();
    listen_at("127.0.0.1:0", &server);
    certs_write("server.pem", "no certificate\n");
    cr_assert_eq(mux_port_reload(port, why, sizeof why), CS_EINVAL);
    cr_assert(strstr(why, "server.pem: no certificate in it"), "%s", why);
    unlink(certs_path("server.pem"));
    cr_assert_eq(mux_port_reload(port, why, sizeof why), CS_ESYS);
    cr_assert(strstr(why, "no such file or directory"), "%s", why);
    struct side *c = call(0, &client);
    cr_assert_eq(mux_conn_peer(conns[0])->tls_sans_len, 3);
    cr_assert_eq(mux_handlers_stats(secure.handlers)->connections_rolled, 0);
    cr_assert_eq(c->ends, 0);
}

Test(roll_port, a_port_without_tls_has_nothing_to_read_again, .init = begin, .fini = leave)
{
    listen_at("127.0.0.1:0", NULL);
    cr_assert_eq(mux_port_reload(port, why, sizeof why), CS_ENOTSUP);
    cr_assert(strstr(why, "has no TLS"), "%s", why);
}

Test(roll_port, what_is_shut_leaves_its_address_and_keeps_its_calls, .init = begin, .fini = leave)
{
    char addr[160];
    mux_port *other;
    listen_at("127.0.0.1:0", NULL);
    struct side *c = call(0, NULL);
    snprintf(addr, sizeof addr, "%s", mux_port_addr(port));
    mux_port_shut(port);
    mux_port_shut(port);
    cr_assert_str_eq(mux_port_addr(port), addr);
    cr_assert_eq(mux_listen(secure.loop, addr, NULL, secure.handlers, &other, why, sizeof why),
                 CS_OK, "%s", why);
    mux_port_free(other);
    side_send(&secure.server[0], "and on");
    side_finish(&secure.server[0], CS_DONE);
    run();
    cr_assert_eq(c->why, CS_DONE, "%s", c->errmsg);
    cr_assert_str_eq(c->text, "and on|");
}

static int standing_seen;

static void count(mux_conn *conn, void *user)
{
    (void)conn, (void)user;
    standing_seen++;
}

Test(roll_port, all_of_a_port_are_rolled_over, .init = begin, .fini = leave)
{
    listen_at("127.0.0.1:0", NULL);
    call(0, NULL);
    call(1, NULL);
    mux_port_each(port, count, NULL);
    cr_assert_eq(standing_seen, 2);
    mux_port_roll(port);
    cr_assert_eq(mux_handlers_stats(secure.handlers)->connections_rolled, 2);
}
