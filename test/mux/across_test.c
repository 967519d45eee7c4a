/* Calls that go on at another loop: t is home, where they are answered; the door is where clients come. */
#include "mux/across.h"

#include "mux/mux__in.h"
#include "test/mux/talk.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>

enum { WINDOW = 64 * 1024 };

static struct talk t;
static struct {
    cs_loop *loop;
    mux_handlers *handlers;
    mux_conn *way;
    int passed, ended, rolled;
    bool takes_first, hears_out;
} door;

static void on_passed_end(void *user)
{
    (void)user;
    door.ended++;
}

static void on_rolled(mux_stream *stream, void *user)
{
    (void)stream, (void)user;
    door.rolled++;
}

static void pass(mux_stream *stream, cs_bytes first)
{
    const struct mux_pass how = {
        .to = door.way, .first = first, .rolled = on_rolled, .end = on_passed_end};

    cr_assert_eq(mux_stream_pass(stream, &how), CS_OK);
    door.passed++;
}

static void first_readable(mux_stream *stream, void *state)
{
    cs_bytes first;

    (void)state;
    if (mux_stream_recv(stream, &first) == CS_OK)
        pass(stream, first);
}

static void first_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why, (void)state;
}

static const struct mux_stream_ops first_ops = {.readable = first_readable, .end = first_end};

static void accept_at_the_door(mux_stream *stream, void *user)
{
    (void)user;
    if (door.hears_out)
        mux_stream_hear_out(stream);
    if (door.takes_first)
        cr_assert_eq(mux_stream_accept(stream, &first_ops, NULL), CS_OK);
    else
        pass(stream, cs_bytes_of(NULL, 0));
}

static void settle(void)
{
    size_t turns;

    do {
        turns = cs_loop_settle(t.loop) + cs_loop_settle(door.loop);
        cr_assert_lt(turns, 100000);
    } while (turns > 0);
}

static void begin(bool two_loops)
{
    static const struct mux_options small = {.window_max_bytes = CS_OFF,
                                             .message_max_bytes = CS_OFF};

    talk_handlers(&t);
    door.loop = t.loop;
    if (two_loops)
        cr_assert_eq(cs_loop_new_virtual(&door.loop), CS_OK);
    cr_assert_eq(mux_handlers_new(&door.handlers), CS_OK);
    cr_assert_eq(mux_handle(door.handlers, TALK_METHOD, accept_at_the_door, NULL), CS_OK);
    cr_assert_eq(mux_dial_across(door.loop, &small, t.loop, t.handlers, &door.way), CS_OK);
    cr_assert_eq(mux_dial_local(door.loop, &small, NULL, door.handlers, &t.conn), CS_OK);
    settle();
}

static void begin_two(void)
{
    begin(true);
}

static void end(void)
{
    mux_conn_free(t.conn);
    settle();
    mux_conn_free(door.way);
    settle();
    cr_assert_eq(mux_handlers_across(t.handlers)->connections, 0);
    mux_handlers_free(door.handlers);
    mux_handlers_free(t.handlers);
    settle();
    for (int i = 0; i < 4; i++)
        cr_assert(!t.client[i].stream && !t.server[i].stream, "a stream without an end");
    cr_assert_eq(door.ended, door.passed);
    if (door.loop != t.loop)
        cs_loop_free(door.loop);
    cs_loop_free(t.loop);
}

TestSuite(across, .init = begin_two, .fini = end);

static void a_conversation(void)
{
    struct side *c = talk_open(&t, 0), *s = &t.server[0];

    side_send(c, "hello");
    settle();
    cr_assert_str_eq(s->text, "hello|");
    side_send(s, "and to you");
    settle();
    cr_assert_str_eq(c->text, "and to you|");
    side_send(c, "bye");
    side_finish(c, CS_OK);
    settle();
    cr_assert_str_eq(s->text, "hello|bye|");
    cr_assert_eq(s->last, CS_DONE);
    side_finish(s, CS_DONE);
    settle();
    cr_assert_eq(c->why, CS_DONE);
    cr_assert_eq(s->why, CS_DONE);
}

Test(across, a_call_goes_on_at_the_other_loop)
{
    a_conversation();
    cr_assert_eq(mux_handlers_stats(t.handlers)->connections, 0, "not one of the server's own");
    cr_assert_eq(mux_handlers_across(t.handlers)->connections, 1);
}

Test(across, what_was_taken_at_the_door_is_said_first)
{
    door.takes_first = true;
    a_conversation();
}

Test(across_one, a_call_goes_on_at_the_same_loop)
{
    begin(false);
    a_conversation();
    end();
}

static void see_caller(struct side *s)
{
    const struct mux_peer *peer = mux_stream_peer(s->stream);
    cs_bytes value;

    cr_assert(mux_stream_is_across(s->stream));
    cr_assert(cs_same(peer->addr, cs_str("alice")));
    cr_assert_eq(peer->uid, 17);
    cr_assert_eq(peer->gid, 18);
    cr_assert_eq(peer->pid, 19);
    cr_assert(cs_same(peer->tls_subject, cs_str("CN=alice")));
    cr_assert_eq(peer->tls_sans_len, 2);
    cr_assert(cs_same(peer->tls_sans[1], cs_str("URI:b")));
    cr_assert_eq(mux_stream_header(s->stream, "colour-bin", &value), CS_OK);
    cr_assert(cs_same(value, cs_bytes_of("\0\n", 2)));
    cr_assert_eq(mux_stream_header(s->stream, "chanserv-cut", &value), CS_OK);
    cr_assert_eq(mux_stream_time_left_ms(s->stream), 5000);
    (void)mux_stream_set_header(s->stream, "mood", cs_str("good"));
    mux_stream_send_headers(s->stream);
}

static void see_mood(struct side *c)
{
    cs_bytes value;

    side_take(c);
    cr_assert_eq(mux_stream_header(c->stream, "mood", &value), CS_OK);
    cr_assert(cs_same(value, cs_str("good")));
}

Test(across, who_called_and_what_is_said_around_messages_goes_along)
{
    const cs_bytes sans[] = {cs_str("DNS:a"), cs_str("URI:b")};
    const cs_pair pairs[] = {{cs_str("colour-bin"), cs_bytes_of("\0\n", 2)},
                             {cs_str("chanserv-cut"), cs_str("1")}};
    const struct mux_call_options options = {
        .metadata = pairs, .metadata_len = 2, .timeout_ms = 5000};
    struct mux_peer *peer;
    struct side *c;

    cr_assert_neq(cs_list_first(&door.handlers->local_conns), NULL);
    peer = &CS_CONTAINER(cs_list_first(&door.handlers->local_conns), mux_conn, link_in)->link->peer;
    *peer = (struct mux_peer){.addr = cs_str("alice"),
                              .uid = 17,
                              .gid = 18,
                              .pid = 19,
                              .tls_subject = cs_str("CN=alice"),
                              .tls_sans = sans,
                              .tls_sans_len = 2};
    t.server[0].on_accept = see_caller;
    t.client[0].on_readable = see_mood;
    c = talk_open_with(&t, 0, &options);
    settle();
    cr_assert_gt(c->readables, 0);
    cr_assert_eq(t.accepted, 1);
    mux_stream_cancel(c->stream, CS_ECANCELED);
    settle();
}

static void see_end(struct side *c)
{
    cs_bytes value;

    cr_assert_eq(mux_stream_trailer(c->stream, "why", &value), CS_OK);
    cr_assert(cs_same(value, cs_str("tired")));
    cr_assert_eq(mux_stream_trailer(c->stream, "chanserv-cut", &value), CS_ENOENT);
}

static void refuse(struct side *s)
{
    (void)mux_stream_set_trailer(s->stream, "why", cs_str("tired"));
    mux_stream_finish(s->stream, CS_EPERM, "not %today");
}

Test(across, a_refusal_is_a_status_alone_in_the_same_words)
{
    struct side *c;

    t.server[0].on_accept = refuse;
    t.client[0].on_end = see_end;
    c = talk_open(&t, 0);
    settle();
    cr_assert_eq(c->why, CS_EPERM);
    cr_assert_str_eq(c->errmsg, "PERMISSION_DENIED: not %today");
    cr_assert_eq(c->readables, 0, "headers came: it looks as if it had run");
}

static void done_at_once(struct side *s)
{
    mux_stream_send_headers(s->stream);
    mux_stream_finish(s->stream, CS_ELIMIT, NULL);
}

static void see_headers(struct side *c)
{
    cr_assert(mux_stream_has_headers(c->stream));
    cr_assert_not(c->stream->bare);
}

Test(across, an_answer_without_messages_is_no_refusal)
{
    struct side *c;

    t.server[0].on_accept = done_at_once;
    t.client[0].on_end = see_headers;
    c = talk_open(&t, 0);
    settle();
    cr_assert_eq(c->why, CS_ELIMIT);
}

Test(across, a_reader_that_stalls_stops_its_producer_and_no_other)
{
    struct side *slow, *s;

    t.client[0].paused = true;
    slow = talk_open(&t, 0);
    settle();
    s = &t.server[0];
    s->pulls_of = 1000;
    s->pull_left = -1;
    mux_stream_wake(s->stream);
    settle();
    cr_assert_lt(s->pulls, 1000);
    s->pull_left = 0;
    talk_open(&t, 1);
    settle();
    side_send(&t.server[1], "me too");
    settle();
    cr_assert_str_eq(t.client[1].text, "me too|");
    slow->paused = false;
    mux_stream_resume(slow->stream);
    settle();
    cr_assert_gt(slow->bytes, WINDOW);
    cr_assert_lt(slow->bytes, 6 * WINDOW);
    mux_stream_cancel(slow->stream, CS_ECANCELED);
    mux_stream_cancel(t.client[1].stream, CS_ECANCELED);
    settle();
}

Test(across, a_sender_that_is_not_heard_waits)
{
    struct side *c;

    t.server[0].paused = true;
    c = talk_open(&t, 0);
    c->pulls_of = 5000;
    c->pull_left = 1000;
    c->finishes = true;
    mux_stream_wake(c->stream);
    settle();
    cr_assert_gt(c->pull_left, 800);
    t.server[0].paused = false;
    mux_stream_resume(t.server[0].stream);
    settle();
    cr_assert_eq(t.server[0].messages, 1000);
    cr_assert_eq(t.server[0].bytes, 5000000);
    side_finish(&t.server[0], CS_DONE);
    settle();
    cr_assert_eq(c->why, CS_DONE);
}

Test(across, large_messages_arrive_whole)
{
    struct side *c = talk_open(&t, 0);

    side_send_bytes(c, 3 << 20);
    settle();
    cr_assert_eq(t.server[0].bytes, 3 << 20);
    side_send_bytes(&t.server[0], 5 << 20);
    settle();
    cr_assert_eq(c->bytes, 5 << 20);
    mux_stream_cancel(c->stream, CS_ECANCELED);
    settle();
}

Test(across, who_leaves_is_gone_there)
{
    struct side *c = talk_open(&t, 0);

    settle();
    mux_stream_cancel(c->stream, CS_ECANCELED);
    settle();
    cr_assert_eq(t.server[0].ends, 1);
    cr_assert_eq(t.server[0].why, CS_ECANCELED);
}

Test(across, a_client_whose_connection_breaks_is_gone_there)
{
    talk_open(&t, 0);
    settle();
    mux_conn_break(t.conn);
    settle();
    cr_assert_eq(t.server[0].ends, 1);
    cr_assert(cs_failed(t.server[0].why));
}

Test(across, a_reset_there_is_one_here)
{
    struct side *c = talk_open(&t, 0);

    settle();
    mux_stream_cancel(t.server[0].stream, CS_ENOMEM);
    settle();
    cr_assert_eq(c->ends, 1);
    cr_assert_eq(c->why, CS_ECANCELED);
    cr_assert_str_eq(c->errmsg, "the server reset the stream: CANCEL");
}

Test(across, a_status_overtakes_what_a_stalled_reader_left)
{
    struct side *c, *s = &t.server[0];

    t.client[0].paused = true;
    c = talk_open(&t, 0);
    settle();
    s->pulls_of = 1000;
    s->pull_left = -1;
    mux_stream_wake(s->stream);
    settle();
    mux_stream_abort(s->stream, CS_EUNAVAIL, "enough");
    settle();
    cr_assert_eq(door.ended, 1, "it waits for its reader");
    side_take(c);
    settle();
    cr_assert_eq(c->why, CS_EUNAVAIL);
    cr_assert_str_eq(c->errmsg, "UNAVAILABLE: enough");
}

Test(across, a_last_word_waits_for_what_was_said_before)
{
    struct side *c, *s = &t.server[0];

    t.client[0].paused = true;
    c = talk_open(&t, 0);
    settle();
    s->pulls_of = 1000;
    s->pull_left = 400;
    s->finishes = true;
    mux_stream_wake(s->stream);
    settle();
    c->paused = false;
    mux_stream_resume(c->stream);
    settle();
    cr_assert_eq(c->messages, 400);
    cr_assert_eq(c->why, CS_DONE);
}

Test(across, the_deadline_is_kept_there)
{
    const struct mux_call_options options = {.timeout_ms = 50};
    struct side *c = talk_open_with(&t, 0, &options);

    settle();
    cs_loop_advance(t.loop, 60); /* the door's clock, and the client's, stand still */
    settle();
    cr_assert_eq(t.server[0].why, CS_ETIMEOUT);
    cr_assert_eq(c->why, CS_ETIMEOUT);
    cr_assert_str_eq(c->errmsg, "DEADLINE_EXCEEDED: the deadline passed");
}

Test(across, what_was_said_before_the_connection_broke_is_heard)
{
    struct side *c;

    door.hears_out = true;
    c = talk_open(&t, 0);
    settle();
    t.server[0].paused = true;
    mux_stream_hear_out(t.server[0].stream);
    t.server[0].on_end = side_take;
    side_send(c, "acks");
    mux_conn_free(t.conn);
    settle();
    cr_assert_str_eq(t.server[0].text, "acks|");
    cr_assert_eq(mux_dial_local(door.loop, NULL, NULL, door.handlers, &t.conn), CS_OK);
}

Test(across, a_last_word_is_no_reset_though_the_connection_goes)
{
    struct side *c;

    door.hears_out = true;
    c = talk_open(&t, 0);
    settle();
    side_send(c, "bye");
    side_finish(c, CS_OK);
    mux_conn_free(t.conn);
    settle();
    cr_assert_eq(t.server[0].ends, 0);
    cr_assert_str_eq(t.server[0].text, "bye|");
    cr_assert_eq(t.server[0].last, CS_DONE);
    side_finish(&t.server[0], CS_DONE);
    settle();
    cr_assert_eq(t.server[0].why, CS_DONE);
    cr_assert_eq(mux_dial_local(door.loop, NULL, NULL, door.handlers, &t.conn), CS_OK);
}

Test(across, a_server_that_ends_there_ends_its_calls_here)
{
    struct side *c = talk_open(&t, 0);

    settle();
    mux_handlers_end_local(t.handlers);
    settle();
    cr_assert_eq(c->ends, 1);
    cr_assert(cs_failed(c->why));
    c = talk_open(&t, 1);
    settle();
    cr_assert_eq(c->ends, 1);
    cr_assert(cs_failed(c->why));
    cr_assert_eq(t.accepted, 1);
}

Test(across, a_connection_that_rolls_over_is_told_and_the_other_stands)
{
    struct side *c = talk_open(&t, 0);

    settle();
    mux_conn_roll(CS_CONTAINER(cs_list_first(&door.handlers->local_conns), mux_conn, link_in));
    settle();
    cr_assert_eq(door.rolled, 1);
    side_send(&t.server[0], "still here");
    settle();
    cr_assert_str_eq(c->text, "still here|");
    mux_stream_cancel(c->stream, CS_ECANCELED);
    settle();
}

/* ---- Without memory ------------------------------------------------------------------------------ */

static struct {
    cs_loop *home, *door;
    mux_handlers *home_handlers, *door_handlers;
    mux_conn *way, *conn;
    int passed, pass_ends, served, serve_ends, ends;
} m;

static void m_serve_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why, (void)state;
    m.serve_ends++;
}

static void m_serve_readable(mux_stream *stream, void *state)
{
    static const char large[9000];
    cs_bytes msg;

    (void)state;
    while (mux_stream_recv(stream, &msg) == CS_OK)
        (void)!mux_stream_send(stream, cs_bytes_of(large, sizeof large), cs_bytes_of(NULL, 0));
    mux_stream_finish(stream, CS_DONE, NULL);
}

static const struct mux_stream_ops m_serve_ops = {.readable = m_serve_readable, .end = m_serve_end};

static void m_serve(mux_stream *stream, void *user)
{
    (void)user;
    (void)mux_stream_set_header(stream, "mood", cs_str("good"));
    m.served += mux_stream_accept(stream, &m_serve_ops, NULL) == CS_OK;
}

static void m_pass_end(void *user)
{
    (void)user;
    m.pass_ends++;
}

static void m_pass(mux_stream *stream, void *user)
{
    const struct mux_pass how = {.to = m.way, .end = m_pass_end};

    (void)user;
    m.passed += mux_stream_pass(stream, &how) == CS_OK;
}

static void m_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)state;
    cr_assert(why != CS_OK && why != CS_AGAIN);
    cr_assert(why == CS_DONE || failing_failed(), "%s", cs_strerror(why));
    m.ends++;
}

static void m_readable(mux_stream *stream, void *state)
{
    cs_bytes msg;

    (void)state;
    while (mux_stream_recv(stream, &msg) == CS_OK)
        ;
}

static const struct mux_stream_ops m_ops = {.readable = m_readable, .end = m_end};

static void m_settle(void)
{
    size_t turns;

    do {
        turns = cs_loop_settle(m.home) + cs_loop_settle(m.door);
        cr_assert_lt(turns, 100000);
    } while (turns > 0);
}

static void m_call(void)
{
    static const char large[5000];
    const cs_pair pair = {cs_str("colour"), cs_str("blue")};
    const struct mux_call_options options = {.metadata = &pair, .metadata_len = 1, .timeout_ms = 9};
    mux_stream *stream;

    if (mux_stream_open(m.conn, TALK_METHOD, &options, &m_ops, NULL, &stream) != CS_OK) {
        m.ends++;
        return;
    }
    if (mux_stream_send(stream, cs_bytes_of(large, sizeof large), cs_bytes_of(NULL, 0)) == CS_OK)
        mux_stream_finish(stream, CS_OK, NULL);
    else
        mux_stream_cancel(stream, CS_ENOMEM);
    m_settle();
}

static void story(void)
{
    memset(&m, 0, sizeof m);
    if (cs_loop_new_virtual(&m.home) != CS_OK)
        return;
    if (cs_loop_new_virtual(&m.door) != CS_OK) {
        cs_loop_free(m.home);
        return;
    }
    if (mux_handlers_new(&m.home_handlers) == CS_OK &&
        mux_handlers_new(&m.door_handlers) == CS_OK &&
        mux_handle(m.home_handlers, TALK_METHOD, m_serve, NULL) == CS_OK &&
        mux_handle(m.door_handlers, TALK_METHOD, m_pass, NULL) == CS_OK &&
        mux_dial_across(m.door, &(struct mux_options){.gzip = false}, m.home, m.home_handlers,
                        &m.way) == CS_OK &&
        mux_dial_local(m.door, NULL, NULL, m.door_handlers, &m.conn) == CS_OK) {
        m_call();
        m_call();
        cs_loop_advance(m.home, 20);
        cs_loop_advance(m.door, 20);
        m_settle();
        cr_assert_eq(m.ends, 2);
        if (!failing_failed())
            cr_assert_eq(m.served, 2);
    }
    mux_conn_free(m.conn);
    m_settle();
    mux_conn_free(m.way);
    m_settle();
    mux_handlers_free(m.door_handlers);
    mux_handlers_free(m.home_handlers);
    m_settle();
    cr_assert_eq(m.pass_ends, m.passed);
    cr_assert_eq(m.serve_ends, m.served);
    cs_loop_free(m.home);
    cs_loop_free(m.door);
}

Test(across_memory, survives_every_failed_allocation)
{
    cr_assert_geq(failing_story(story), 100);
}
