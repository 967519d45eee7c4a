#include "mux/mux__in.h"
#include "test/mux/talk.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct talk t;

static void wake_it(struct side *s)
{
    mux_stream_wake(s->stream);
}

/* ---- Over sockets, on one real loop --------------------------------------------------------- */

static mux_port *port;

static void on_late(void *user)
{
    (void)user;
    cr_assert_fail("nothing came for thirty seconds");
}

static void run_with_a_limit(void)
{
    cs_timer *late;
    cr_assert_eq(cs_timer_new(t.loop, on_late, NULL, &late), CS_OK);
    cs_timer_set(late, 30000);
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cs_timer_free(late);
}

static void stop_at_the_end(struct side *s)
{
    (void)s;
    cs_loop_stop(t.loop);
}

static void real_handlers(void)
{
    talk_handlers(&t);
    cs_loop_free(t.loop);
    cr_assert_eq(cs_loop_new(NULL, &t.loop), CS_OK);
}

static void leave(void)
{
    mux_conn_free(t.conn);
    mux_port_free(port);
    cs_loop_last_turn(t.loop);
    mux_handlers_free(t.handlers);
    cs_loop_last_turn(t.loop);
    cs_loop_free(t.loop);
}

static void call_over(const char *addr)
{
    char why[200];
    real_handlers();
    cr_assert_eq(mux_listen(t.loop, addr, NULL, t.handlers, &port, why, sizeof why), CS_OK, "%s",
                 why);
    cr_assert_eq(mux_dial(t.loop, mux_port_addr(port), NULL, &t.conn), CS_OK);
    t.server[0] = (struct side){.pulls_of = 1000, .pull_left = 5000, .finishes = true};
    t.server[0].on_accept = wake_it;
    t.client[0].on_end = stop_at_the_end;
    struct side *c = talk_open(&t, 0);
    side_send(c, "hello");
    side_finish(c, CS_OK);
    run_with_a_limit();
    cr_assert_eq(c->why, CS_DONE, "%s", c->errmsg);
    cr_assert_eq(c->messages, 5000);
    cr_assert_str_eq(t.server[0].text, "hello|");
    cr_assert_str_eq(mux_conn_errmsg(t.conn), "");
    leave();
}

Test(conn, calls_run_over_tcp)
{
    call_over("127.0.0.1:0");
}

Test(conn, calls_run_over_unix_sockets)
{
    char dir[] = "/tmp/conn_test.XXXXXX", addr[64];
    cr_assert(mkdtemp(dir));
    snprintf(addr, sizeof addr, "unix:%s/s", dir);
    call_over(addr);
    rmdir(dir);
}

Test(conn, a_dial_that_nobody_answers_ends_the_calls_and_is_tried_again)
{
    char why[200], addr[64];
    real_handlers();
    cr_assert_eq(mux_listen(t.loop, "127.0.0.1:0", NULL, t.handlers, &port, why, sizeof why),
                 CS_OK);
    snprintf(addr, sizeof addr, "%s", mux_port_addr(port));
    mux_port_free(port);
    cs_loop_last_turn(t.loop);
    cr_assert_eq(mux_dial(t.loop, addr, NULL, &t.conn), CS_OK);
    t.client[0].on_end = stop_at_the_end;
    struct side *c = talk_open(&t, 0);
    run_with_a_limit();
    cr_assert_eq(c->why, CS_EREFUSED);
    cr_assert(strstr(c->errmsg, "connection refused"), "%s", c->errmsg);
    cr_assert(c->never_ran);
    cr_assert_str_eq(mux_conn_errmsg(t.conn), c->errmsg);
    /* Somebody is there now. */
    cr_assert_eq(mux_listen(t.loop, addr, NULL, t.handlers, &port, why, sizeof why), CS_OK, "%s",
                 why);
    t.client[0].ends = 0;
    t.server[0] = (struct side){.pulls_of = 1, .pull_left = 1, .finishes = true};
    t.server[0].on_accept = wake_it;
    talk_open(&t, 0);
    run_with_a_limit();
    cr_assert_eq(c->why, CS_DONE, "%s", c->errmsg);
    leave();
}

/* ---- Both sides send as much as they can through a narrow pipe ------------------------------ */

enum { FLOOD = 64 * 1024 * 1024, PIECE = 64 * 1024 };

static void narrow_pair(int fds[2])
{
    int small = 4096;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
        cr_assert_eq(setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    }
}

Test(conn, sixty_four_mebibytes_both_ways_at_once_through_tiny_buffers)
{
    mux__link *ends[2];
    int fds[2];
    real_handlers();
    narrow_pair(fds);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(mux__link_of_socket(t.loop, fds[i], 0, &ends[i]), CS_OK);
    cr_assert_eq(mux__conn_new(t.loop, NULL, false, &t.conn), CS_OK);
    t.conn->authority = cs_strdup("narrow");
    cr_assert_eq(mux__h2_new(t.conn), CS_OK);
    mux__conn_up(t.conn, ends[0]);
    cr_assert_eq(
        mux__conn_accept(t.loop, ends[1], NULL, t.handlers, &t.handlers->local_conns, NULL), CS_OK);
    t.server[0] = (struct side){.pulls_of = PIECE, .pull_left = FLOOD / PIECE};
    t.server[0].on_accept = wake_it;
    t.client[0] = (struct side){.pulls_of = PIECE, .pull_left = FLOOD / PIECE, .finishes = true};
    t.client[0].on_end = stop_at_the_end;
    struct side *c = talk_open(&t, 0), *s = &t.server[0];
    mux_stream_wake(c->stream);
    s->finishes = true;
    run_with_a_limit();
    cr_assert_eq(c->bytes, FLOOD);
    cr_assert_eq(c->why, CS_DONE, "%s", c->errmsg);
    leave();
}

static const char answer[] = "\0\0\0\4\0\0\0\0\0"         /* SETTINGS */
                             "\0\0\20\1\5\0\0\0\1"        /* HEADERS 1, the end */
                             "\210\0\13grpc-status\0015"; /* :status 200 */

static void send_more(void *user)
{
    struct side *c = user;
    cr_assert_eq(mux_stream_send(c->stream, cs_str("more"), cs_str("")), CS_OK);
}

static void say_and_hang_up(void *user)
{
    int *fd = user;
    cr_assert_eq(write(*fd, answer, sizeof answer - 1), (ssize_t)sizeof answer - 1);
    close(*fd);
    /* In the turn of this call, before the socket is looked at: writing fails first. */
    send_more(&t.client[0]);
}

Test(conn, what_the_peer_said_before_it_hung_up_is_heard_though_writing_fails)
{
    mux__link *link;
    int fds[2];
    real_handlers();
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    cr_assert_eq(mux__link_of_socket(t.loop, fds[0], 0, &link), CS_OK);
    cr_assert_eq(mux__conn_new(t.loop, NULL, false, &t.conn), CS_OK);
    t.conn->authority = cs_strdup("hangs up");
    cr_assert_eq(mux__h2_new(t.conn), CS_OK);
    mux__conn_up(t.conn, link);
    t.client[0].on_end = stop_at_the_end;
    struct side *c = talk_open(&t, 0);
    cs_loop_last_turn(t.loop); /* the request goes out */
    cr_assert_eq(cs_loop_call(t.loop, say_and_hang_up, &fds[1]), CS_OK);
    run_with_a_limit();
    cr_assert_eq(c->why, CS_ENOENT, "%s: %s", cs_strerror(c->why), c->errmsg);
    leave();
}

/* ---- Life of a connection ------------------------------------------------------------------- */

Test(conn, an_idle_connection_keeps_no_buffers)
{
    failing_count();
    talk_begin(&t, NULL, NULL);
    t.client[0].paused = true;
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    size_t before = failing_live_bytes();
    side_send(&t.server[0], "unread and small");
    side_send_bytes(c, 4000);
    talk_settle(&t);
    cr_assert_eq(c->readables, 1);
    cr_assert_eq(t.server[0].bytes, 4000);
    cr_assert_leq(failing_live_bytes(), before + 12 * 1024, "%zu more",
                  failing_live_bytes() - before);
    mux_stream_cancel(c->stream, CS_ECANCELED);
    talk_settle(&t);
    talk_end(&t);
}

static int many_ends;
static void many_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream;
    (void)why;
    (void)state;
    many_ends++;
}

static const struct mux_stream_ops many_ops = {.end = many_end};

static void many_accept(mux_stream *stream, void *user)
{
    (void)user;
    cr_assert_eq(mux_stream_accept(stream, &many_ops, NULL), CS_OK);
    mux_stream_send_headers(stream);
}

Test(conn, a_stream_that_waits_costs_little)
{
    enum { MANY = 1000 };
    failing_count();
    talk_begin(&t, NULL, NULL);
    cr_assert_eq(mux_handle(t.handlers, "/test.Talk/Many", many_accept, NULL), CS_OK);
    size_t before = failing_live_bytes();
    for (int i = 0; i < MANY; i++) {
        mux_stream *stream;
        cr_assert_eq(mux_stream_open(t.conn, "/test.Talk/Many", NULL, &many_ops, NULL, &stream),
                     CS_OK);
        mux_stream_finish(stream, CS_OK, NULL);
    }
    talk_settle(&t);
    size_t each = (failing_live_bytes() - before) / MANY;
    cr_assert_leq(each, 960, "%zu bytes, both sides together", each);
    mux_conn_free(t.conn);
    talk_settle(&t);
    cr_assert_eq(many_ends, 2 * MANY);
    t.conn = NULL;
    talk_end(&t);
}

static char asked[8];

static void by_name(mux_stream *stream, void *user)
{
    strncat(asked, user, sizeof asked - strlen(asked) - 1);
    cr_assert_eq(mux_stream_accept(stream, &many_ops, NULL), CS_OK);
    mux_stream_finish(stream, CS_DONE, NULL);
}

Test(conn, each_call_comes_to_its_own_method_whichever_was_asked_before)
{
    static const char *const methods[] = {"/test.Talk/A", "/test.Talk/B", "/test.Talk/C"};

    talk_begin(&t, NULL, NULL);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(mux_handle(t.handlers, methods[i], by_name, (void *)(methods[i] + 11)), CS_OK);
    for (const char *which = "AABACCB"; *which; which++) {
        mux_stream *stream;
        cr_assert_eq(mux_stream_open(t.conn, methods[*which - 'A'], NULL, &many_ops, NULL, &stream),
                     CS_OK);
        mux_stream_finish(stream, CS_OK, NULL);
    }
    talk_settle(&t);
    cr_assert_str_eq(asked, "AABACCB");
    talk_end(&t);
}

static void heir_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream;
    cr_assert_eq(why, CS_ECANCELED);
    ++*(int *)state;
}
static const struct mux_stream_ops heir_ops = {.state_bytes = 1, .end = heir_end};

static void hand_over(mux_stream *stream, void *state)
{
    mux_stream_hand_over(stream, &heir_ops, *(int **)state);
}
static void never_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why, (void)state;
    cr_assert_fail("it was handed over");
}
static const struct mux_stream_ops first_ops = {
    .state_bytes = sizeof(int *), .readable = hand_over, .end = never_end};

static void first_accept(mux_stream *stream, void *user)
{
    int *ends = user;
    cr_assert_eq(mux_stream_accept(stream, &first_ops, &ends), CS_OK);
}

Test(conn, a_stream_that_is_handed_over_has_one_owner)
{
    int ends = 0;
    mux_stream *stream;
    talk_begin(&t, NULL, NULL);
    cr_assert_eq(mux_handle(t.handlers, "/test.Talk/First", first_accept, &ends), CS_OK);
    cr_assert_eq(mux_stream_open(t.conn, "/test.Talk/First", NULL, &many_ops, NULL, &stream),
                 CS_OK);
    mux_stream_finish(stream, CS_OK, NULL);
    talk_settle(&t);
    cr_assert_eq(ends, 0);
    mux_stream_cancel(stream, CS_ECANCELED);
    talk_settle(&t);
    cr_assert_eq(ends, 1, "the copy of the first one's state went with it");
    talk_end(&t);
}

Test(conn, freeing_twice_and_nothing_is_harmless)
{
    talk_begin(&t, NULL, NULL);
    mux_conn_free(NULL);
    mux_conn_free(t.conn);
    mux_conn_free(t.conn);
    cr_assert_eq(
        mux_stream_open(t.conn, TALK_METHOD, NULL, &talk_ops, &t.client[0], &t.client[0].stream),
        CS_ECANCELED);
    talk_settle(&t);
    t.conn = NULL;
    talk_end(&t);
}

Test(conn, an_address_that_makes_no_sense_is_refused)
{
    mux_conn *conn;
    talk_begin(&t, NULL, NULL);
    cr_assert_eq(mux_dial(t.loop, "nonsense", NULL, &conn), CS_EINVAL);
    talk_end(&t);
}

/* ---- Every allocation fails once ------------------------------------------------------------ */

static void failing_end(mux_stream *stream, cs_err why, void *state)
{
    int *ends = state;
    (void)stream;
    cr_assert(why != CS_OK && why != CS_AGAIN);
    ++*ends;
}

static void failing_readable(mux_stream *stream, void *state)
{
    cs_bytes m;
    (void)state;
    while (mux_stream_recv(stream, &m) == CS_OK)
        ;
}

static int opened, client_ends, accepted, server_ends, sent;

static void failing_pull(mux_stream *stream, void *state)
{
    static char text[5000];
    (void)state;
    while (sent < 20 && mux_stream_room(stream) > 0) {
        if (sent == 10) {
            cs_ref ref;
            if (cs_ref_copy(cs_bytes_of(text, sizeof text), &ref) != CS_OK)
                break;
            cs_err err = mux_stream_send_ref(stream, cs_str("head"), &ref);
            cs_ref_drop(&ref);
            if (err != CS_OK)
                break;
        } else if (mux_stream_send(stream, cs_bytes_of(text, (size_t)sent * 200), cs_str("tail")) !=
                   CS_OK)
            break;
        sent++;
    }
    if (sent < 20 && mux_stream_room(stream) > 0)
        mux_stream_abort(stream, CS_ENOMEM, "no memory for a message");
    else if (sent == 20)
        mux_stream_finish(stream, CS_ENOENT, "the end of it");
}

static const struct mux_stream_ops failing_server = {
    .readable = failing_readable, .pull = failing_pull, .end = failing_end};
static const struct mux_stream_ops failing_client = {.readable = failing_readable,
                                                     .end = failing_end};

static void failing_accept(mux_stream *stream, void *user)
{
    (void)user;
    if (mux_stream_accept(stream, &failing_server, &server_ends) != CS_OK)
        return;
    accepted++;
    (void)mux_stream_set_header(stream, "head", cs_str("h"));
    (void)mux_stream_set_trailer(stream, "tail-bin", cs_str("\1\2"));
    mux_stream_wake(stream);
}

static void one_call(mux_conn *conn, const struct mux_call_options *options)
{
    mux_stream *stream;
    if (mux_stream_open(conn, TALK_METHOD, options, &failing_client, &client_ends, &stream) !=
        CS_OK)
        return;
    opened++;
    if (mux_stream_send(stream, cs_str("question"), cs_str("")) == CS_OK)
        mux_stream_finish(stream, CS_OK, NULL);
    else
        mux_stream_cancel(stream, CS_ENOMEM);
}

static void call_story(void)
{
    const cs_pair pairs[] = {{cs_str("colour"), cs_str("blue")}, {cs_str("b-bin"), cs_str("\1")}};
    const struct mux_call_options options = {
        .metadata = pairs, .metadata_len = 2, .timeout_ms = 60000};
    cs_loop *loop;
    mux_handlers *handlers;
    mux_conn *conn;
    opened = client_ends = accepted = server_ends = sent = 0;
    if (cs_loop_new_virtual(&loop) != CS_OK)
        return;
    if (mux_handlers_new(&handlers) == CS_OK) {
        if (mux_handle(handlers, TALK_METHOD, failing_accept, NULL) == CS_OK &&
            mux_dial_local(loop, NULL, NULL, handlers, &conn) == CS_OK) {
            one_call(conn, &options);
            one_call(conn, NULL);
            cr_assert_lt(cs_loop_settle(loop), 100000);
            /* Not by a deadline, not by keepalive: whoever ran out of memory said so. */
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

Test(conn, a_call_survives_every_failed_allocation)
{
    failing_story(call_story);
}

/* More than windows and batches hold, both ways, with a pause in the middle. */
enum { FLOOD_MESSAGES = 30, FLOOD_LEN = 9000 };

struct flood {
    mux_stream *stream;
    int left, got;
    bool paused;
};

static void flood_pull(mux_stream *stream, void *state)
{
    static char text[FLOOD_LEN];
    struct flood *f = state;
    cs_ref ref;
    while (f->left > 0 && mux_stream_room(stream) > 0) {
        cs_err err = CS_ENOMEM;
        if (cs_ref_copy(cs_bytes_of(text, sizeof text), &ref) == CS_OK) {
            err = mux_stream_send_ref(stream, cs_str("head"), &ref);
            cs_ref_drop(&ref);
        }
        if (err != CS_OK) {
            mux_stream_cancel(stream, err);
            return;
        }
        f->left--;
    }
    if (f->left == 0)
        mux_stream_finish(stream, CS_OK, NULL);
}

static void flood_readable(mux_stream *stream, void *state)
{
    struct flood *f = state;
    cs_bytes m;
    while (!f->paused && mux_stream_recv(stream, &m) == CS_OK)
        f->got++;
}

static void flood_end(mux_stream *stream, cs_err why, void *state)
{
    struct flood *f = state;
    (void)stream;
    cr_assert(f->stream, "a second end");
    cr_assert(why == CS_DONE || failing_failed(), "%s", cs_strerror(why));
    f->stream = NULL;
}

static const struct mux_stream_ops flood_ops = {
    .readable = flood_readable, .pull = flood_pull, .end = flood_end};
static struct flood floods[2];

static void flood_accept(mux_stream *stream, void *user)
{
    (void)user;
    if (mux_stream_accept(stream, &flood_ops, &floods[1]) != CS_OK)
        return;
    floods[1].stream = stream;
    mux_stream_wake(stream);
}

static void flood_over(cs_loop *loop, mux_handlers *handlers)
{
    const struct mux_options narrow = {.window_bytes = 16384, .window_max_bytes = 65536};
    mux_conn *conn;
    for (int i = 0; i < 2; i++)
        floods[i] = (struct flood){.left = FLOOD_MESSAGES, .paused = i == 0};
    if (mux_handle(handlers, TALK_METHOD, flood_accept, NULL) != CS_OK ||
        mux_dial_local(loop, &narrow, &narrow, handlers, &conn) != CS_OK)
        return;
    if (mux_stream_open(conn, TALK_METHOD, NULL, &flood_ops, &floods[0], &floods[0].stream) ==
        CS_OK) {
        mux_stream_wake(floods[0].stream);
        cr_assert_lt(cs_loop_settle(loop), 100000);
        floods[0].paused = false;
        if (floods[0].stream)
            mux_stream_resume(floods[0].stream);
        cr_assert_lt(cs_loop_settle(loop), 100000);
        cr_assert(!floods[0].stream && !floods[1].stream, "a call hangs");
        if (!failing_failed())
            cr_assert_eq(floods[0].got, FLOOD_MESSAGES);
    }
    mux_conn_free(conn);
    cr_assert_lt(cs_loop_settle(loop), 100000);
}

static void flood_story(void)
{
    cs_loop *loop;
    mux_handlers *handlers;
    if (cs_loop_new_virtual(&loop) != CS_OK)
        return;
    if (mux_handlers_new(&handlers) == CS_OK) {
        flood_over(loop, handlers);
        mux_handlers_free(handlers);
    }
    cr_assert_lt(cs_loop_settle(loop), 100000);
    cs_loop_free(loop);
}

Test(conn, a_flood_both_ways_survives_every_failed_allocation)
{
    failing_story(flood_story);
}

Test(conn, any_negative_number_switches_an_option_off)
{
    const struct mux_options given = {.streams_max = INT64_MIN, .header_max_bytes = -2};
    struct mux_options o;

    mux__options_fill(&o, &given);
    cr_expect_eq(o.streams_max, INT32_MAX);
    cr_expect_eq(o.header_max_bytes, UINT32_MAX);
}
