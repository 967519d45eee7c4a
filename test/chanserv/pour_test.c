/* Channels and threads as producers. */
#include "raw.h"

#include <pthread.h>

static cs_chan *the_chan;
static chanserv_outlet *the_outlet;

static cs_err chan_fn(chanserv_post *post, cs_bytes body, void *user)
{
    (void)user;
    cr_assert_eq(chanserv_announce_chan(post, body, the_chan), CS_OK);
    return CS_DONE;
}

static void up(void)
{
    raw_up(NULL);
    cr_assert_eq(cs_chan_new(0, &the_chan), CS_OK);
    cr_assert_eq(chanserv_serve(raw.server, "chan", chan_fn, NULL), CS_OK);
}

static void down(void)
{
    raw_down();
    cs_chan_free(the_chan);
}

static void send(const char *text)
{
    cr_assert_eq(cs_chan_send(the_chan, cs_str(text), CS_NOW), CS_OK);
}

TestSuite(pour, .init = up, .fini = down);

Test(pour, each_message_is_a_frame_and_the_close_is_the_status)
{
    struct raw_call *c;

    send("a");
    c = raw_open(raw_post("chan", "h"), 0, 0);
    raw_heard(c, "a|");
    send("b");
    send("");
    cs_loop_settle(raw.loop);
    raw_heard(c, "a|b||");
    raw_runs(c);
    cs_chan_close(the_chan, CS_DONE);
    cs_loop_settle(raw.loop);
    raw_ended(c, CS_DONE, "", "");
}

Test(pour, a_failing_close_is_the_sources_failure)
{
    struct raw_call *c;

    send("a");
    cs_chan_close(the_chan, CS_EDATALOSS);
    c = raw_open(raw_post("chan", "h"), 0, 0);
    raw_heard(c, "a|");
    raw_ended(c, CS_EDATALOSS, "", "DATA_LOSS");
}

Test(pour, senders_hear_that_the_reader_left)
{
    raw_leave(raw_open(raw_post("chan", "h"), 0, 0));
    cr_assert_eq(cs_chan_send(the_chan, cs_str("x"), CS_NOW), CS_ECANCELED);
}

Test(pour, senders_hear_that_nobody_came)
{
    raw_post("chan", "h");
    cr_assert_eq(cs_chan_send(the_chan, cs_str("x"), CS_NOW), CS_OK);
    cs_loop_advance(raw.loop, 30001);
    cr_assert_eq(cs_chan_send(the_chan, cs_str("x"), CS_NOW), CS_ECANCELED);
}

static cs_err instead_open(chanserv_outlet *o, uint64_t from, void *state)
{
    (void)from, (void)state;
    cr_assert_eq(chanserv_outlet_pour(o, the_chan), CS_OK);
    cr_assert_eq(chanserv_outlet_pour(o, the_chan), CS_EMISUSE);
    the_outlet = o;
    return CS_OK;
}

static cs_err never_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)o, (void)frame, (void)state;
    cr_assert_fail("the channel is asked instead");
    return CS_DONE;
}

static cs_err instead(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.open = instead_open, .next = never_next};

    (void)user;
    cr_assert_eq(chanserv_announce(post, body, &ops, NULL, NULL), CS_OK);
    return CS_DONE;
}

Test(pour, takes_the_place_of_next)
{
    struct raw_call *c;

    cr_assert_eq(chanserv_serve(raw.server, "instead", instead, NULL), CS_OK);
    c = raw_open(raw_post("instead", "h"), 0, 0);
    send("x");
    cs_loop_settle(raw.loop);
    raw_heard(c, "x|");
}

/* ---- Threads: on a real loop, because somebody else wakes it -------------------------------- */

static struct {
    cs_loop *loop;
    chanserv_server *server;
    mux_conn *conn;
    char heard[256];
    uint8_t ticket[32];
    mux_stream *source;
    cs_err why;
    bool leave; /* after the first frame */
} t;

static void source_readable(mux_stream *stream, void *state)
{
    struct wire_frame frame;
    cs_bytes msg;

    (void)state;
    while (mux_stream_recv(stream, &msg) == CS_OK) {
        size_t len = strlen(t.heard);

        cr_assert_eq(wire_frame_parse(msg, &frame), CS_OK);
        snprintf(t.heard + len, sizeof t.heard - len, "%.*s|", CS_FMT(frame.payload));
        if (t.leave)
            mux_stream_cancel(stream, CS_ECANCELED);
    }
}

static void source_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)state;
    t.why = why;
    t.source = NULL;
    cs_loop_stop(t.loop);
}

static void open_source(void)
{
    static const struct mux_stream_ops ops = {.readable = source_readable, .end = source_end};
    struct wire_open open = {.ticket = {t.ticket, 32}};
    uint8_t *msg;
    size_t len;

    cr_assert_eq(mux_stream_open(t.conn, "/chanserv.v1.Chanserv/Open", NULL, &ops, NULL, &t.source),
                 CS_OK);
    cr_assert_eq(wire_open_pack(&open, &msg, &len), CS_OK);
    cr_assert_eq(mux_stream_send(t.source, cs_bytes_of(msg, len), cs_bytes_of(NULL, 0)), CS_OK);
    mux_stream_finish(t.source, CS_OK, NULL);
    cs_free(msg);
}

static void master_readable(mux_stream *stream, void *state)
{
    struct wire_announcement a;
    cs_bytes msg;

    (void)state;
    while (mux_stream_recv(stream, &msg) == CS_OK) {
        cr_assert_eq(wire_announcement_unpack(msg, &a), CS_OK);
        memcpy(t.ticket, a.ticket.base, 32);
        wire_announcement_clear(&a);
        open_source();
    }
}

static void master_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why, (void)state;
}

static const char go_state[] = "abc"; /* each letter is a frame; ! fails; . until it is told to */

static cs_err letters(cs_chan *out, void *state)
{
    const char *at = state;

    for (; *at; at++) {
        cs_err err;

        if (*at == '!')
            return CS_EDATALOSS;
        do
            err = cs_chan_send(out, cs_bytes_of(at, 1), CS_FOREVER);
        while (err == CS_OK && *at == '.');
        if (err != CS_OK)
            return err;
    }
    return CS_OK;
}

static cs_err go_fn(chanserv_post *post, cs_bytes body, void *user)
{
    char copied[8];

    snprintf(copied, sizeof copied, "%s", (const char *)user);
    cr_assert_eq(chanserv_go(post, body, letters, copied, sizeof copied), CS_OK);
    memset(copied, 'x', sizeof copied);
    return CS_DONE;
}

static void go_up(const char *script)
{
    static const struct mux_stream_ops ops = {.readable = master_readable, .end = master_end};
    struct wire_post post = {.service = cs_str("go")};
    struct chanserv_server_options o = {0};
    mux_stream *master;
    uint8_t *msg;
    size_t len;

    cr_assert_eq(cs_loop_new(NULL, &t.loop), CS_OK);
    cr_assert_eq(chanserv_server_new(t.loop, &o, &t.server), CS_OK);
    cr_assert_eq(chanserv_serve(t.server, "go", go_fn, (void *)(uintptr_t)script), CS_OK);
    cr_assert_eq(chanserv_listen(t.server, "127.0.0.1:0"), CS_OK);
    cr_assert_eq(mux_dial(t.loop, chanserv_server_addr(t.server, 0), NULL, &t.conn), CS_OK);
    cr_assert_eq(mux_stream_open(t.conn, "/chanserv.v1.Chanserv/Post", NULL, &ops, NULL, &master),
                 CS_OK);
    cr_assert_eq(wire_post_pack(&post, &msg, &len), CS_OK);
    cr_assert_eq(mux_stream_send(master, cs_bytes_of(msg, len), cs_bytes_of(NULL, 0)), CS_OK);
    mux_stream_finish(master, CS_OK, NULL);
    cs_free(msg);
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
}

static void go_down(void)
{
    struct chanserv_counters counters;

    mux_conn_free(t.conn);
    cs_loop_last_turn(t.loop);
    chanserv_server_counters(t.server, &counters);
    cr_assert_leq(counters.go_threads, 1);
    chanserv_server_free(t.server);
    cs_loop_free(t.loop);
}

Test(go, a_thread_sends_frames_and_its_answer_is_the_status)
{
    go_up(go_state);
    cr_assert_str_eq(t.heard, "a|b|c|");
    cr_assert_eq(t.why, CS_DONE);
    go_down();
}

Test(go, a_thread_that_fails_fails_the_source)
{
    go_up("a!");
    cr_assert_str_eq(t.heard, "a|");
    cr_assert_eq(t.why, CS_EDATALOSS);
    go_down();
}

Test(go, a_thread_whose_reader_left_is_told_and_waited_for)
{
    t.leave = true;
    go_up("a.");
    cr_assert_eq(t.why, CS_ECANCELED);
    go_down();
}
