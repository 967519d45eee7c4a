/* One conversation over HTTP/2 streams that are reset, lost and taken over: each side sees every message of
 * the other once, in order, and the same last word. */
#include "mux/lasting.h"
#include "mux/local.h"
#include "mux/mux__in.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define METHOD "/test.Lasting/Call"
enum { MESSAGES = 200, BOUND = 64 * 1024 };

struct half {
    mux_stream *stream; /* lasting; NULL before the first, and, the client's, after end() */
    uint64_t sent, got, left;
    int ends, detached;
    cs_err why;
};

static struct {
    cs_loop *loop;
    mux_handlers *handlers;
    mux_conn *conn, *limbo[2];
    struct mux_lasting_sort sort[2]; /* the client's, the server's */
    struct half client, server;
    mux_stream *fresh;
    cs_err attached, aborts;
    bool resumes;        /* the client reopens by itself */
    int second_thoughts; /* what the server lets last, and does not */
    bool wants_next;
    int reopened, grafted, runs;
    unsigned dice;
} w;

static uint32_t roll(uint32_t n)
{
    w.dice = w.dice * 1103515245u + 12345u;
    return (w.dice >> 8) % n;
}

static uint32_t len_of(uint64_t number)
{
    static const uint32_t lens[] = {0, 1, 40, 100, 190, 900, 5000, 20000, 70000};
    return (uint32_t)sizeof number + lens[(number * 2654435761u >> 7) % 9];
}

static cs_err send_next(struct half *h)
{
    static uint8_t bytes[100000];
    size_t len = len_of(h->sent);

    memset(bytes, (int)(h->sent & 0xff), len);
    memcpy(bytes, &h->sent, sizeof h->sent);
    cs_err err = mux_stream_send(h->stream, cs_bytes_of(bytes, 3), cs_bytes_of(bytes + 3, len - 3));
    if (err == CS_OK) {
        h->sent++;
        h->left--;
    }
    return err;
}

static void send_some(struct half *h)
{
    while (h->stream && h->left > 0 && mux_stream_room(h->stream) > 0)
        if (send_next(h) != CS_OK)
            return;
    if (h->stream && h->left == 0 && h == &w.server)
        mux_stream_finish(h->stream, CS_DONE, NULL);
    else if (h->stream && h->left == 0)
        mux_stream_finish(h->stream, CS_OK, NULL);
}

static void check(struct half *h, cs_bytes msg)
{
    uint64_t number;
    const uint8_t *p = msg.base;

    cr_assert_geq(msg.len, sizeof number);
    memcpy(&number, p, sizeof number);
    cr_assert_eq(number, h->got, "%llu came, %llu was expected", (unsigned long long)number,
                 (unsigned long long)h->got);
    cr_assert_eq(msg.len, len_of(number));
    for (size_t i = sizeof number; i < msg.len; i++)
        cr_assert_eq(p[i], (uint8_t)number);
    h->got++;
}

static void take(struct half *h)
{
    cs_bytes msg;
    while (h->stream && mux_stream_recv(h->stream, &msg) == CS_OK)
        check(h, msg);
}

static uint64_t one_each(cs_bytes message)
{
    uint64_t number;
    cr_assert_geq(message.len, sizeof number);
    memcpy(&number, message.base, sizeof number);
    cr_assert_eq(message.len, len_of(number));
    return 1;
}

/* ---- The server ------------------------------------------------------------------------------ */

static void server_readable(mux_stream *stream, void *state)
{
    (void)stream, (void)state;
    take(&w.server);
}

static void server_pull(mux_stream *stream, void *state)
{
    (void)stream, (void)state;
    send_some(&w.server);
}

static void server_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)state;
    w.server.ends++;
    w.server.why = why;
}

static void server_detached(mux_stream *stream, cs_err why, void *user)
{
    cr_assert_eq(user, &w.server);
    cr_assert(stream == w.server.stream && cs_failed(why));
    w.server.detached++;
}

static bool server_is_there(void)
{
    return w.server.stream && !mux_stream_is_gone(w.server.stream);
}

static const struct mux_lasting_ops server_lasting = {.detached = server_detached};

/* The first message says from where; then the stream is the call's, or carries it on. */
static void first_readable(mux_stream *stream, void *state)
{
    char next[24];
    cs_bytes msg;
    uint64_t from = 0;

    (void)state;
    if (mux_stream_recv(stream, &msg) != CS_OK)
        return;
    cr_assert_eq(msg.len, sizeof from);
    memcpy(&from, msg.base, sizeof from);
    if (!server_is_there()) {
        mux_stream_finish(stream, CS_ELOST, NULL);
        return;
    }
    w.attached = mux_stream_graft(w.server.stream, stream, from);
    if (w.attached != CS_OK) {
        mux_stream_finish(stream, w.attached, NULL);
        return;
    }
    w.grafted++;
    snprintf(next, sizeof next, "%llu", (unsigned long long)w.server.got);
    (void)mux_stream_set_header(w.server.stream, "next", cs_str(next));
    mux_stream_send_headers(w.server.stream);
}

static void fresh_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why, (void)state;
}

static const struct mux_stream_ops fresh_ops = {.readable = first_readable, .end = fresh_end};

static void begin_readable(mux_stream *stream, void *state)
{
    cs_bytes msg;
    (void)state;
    if (w.server.stream) {
        server_readable(stream, state);
        return;
    }
    if (mux_stream_recv(stream, &msg) != CS_OK)
        return;
    for (int i = w.second_thoughts; i > 0; i--) {
        static const struct mux_lasting_ops none;
        const struct mux_lasting_sort more = {
            .ops = &none, .limbo = w.limbo[1], .user_bytes = 64 * (size_t)i};
        char user[64 * 2] = "much";

        cr_assert_eq(mux_stream_last(stream, &more, 0, user), CS_OK);
        cr_assert_str_eq(mux_stream_lasting_user(stream), "much");
        mux_stream_last_undo(stream);
        cr_assert_not(mux_stream_is_lasting(stream));
    }
    if (mux_stream_last(stream, &w.sort[1], 0, &w.server) != CS_OK) {
        mux_stream_finish(stream, CS_ENOMEM, NULL);
        return;
    }
    w.runs++;
    w.server.stream = stream;
    if (w.aborts)
        mux_stream_abort(stream, w.aborts, "as asked");
    mux_stream_send_headers(stream);
    mux_stream_wake(stream);
    take(&w.server);
}

static const struct mux_stream_ops begin_ops = {
    .readable = begin_readable, .pull = server_pull, .end = server_end};

static void on_accept(mux_stream *stream, void *user)
{
    (void)user;
    (void)mux_stream_accept(stream, w.runs > 0 ? &fresh_ops : &begin_ops, NULL);
}

/* ---- The client ------------------------------------------------------------------------------ */

static void client_readable(mux_stream *stream, void *state)
{
    cs_bytes next;
    char text[24] = "";

    (void)state;
    if (w.wants_next && mux_stream_header(stream, "next", &next) == CS_OK) {
        memcpy(text, next.base, next.len < sizeof text ? next.len : sizeof text - 1);
        w.wants_next = false;
        cr_assert_eq(mux_stream_resend(stream, strtoull(text, NULL, 10)), CS_OK);
    }
    take(&w.client);
    send_some(&w.client);
}

static void client_writable(mux_stream *stream, void *state)
{
    (void)stream, (void)state;
    send_some(&w.client);
}

static void client_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)state;
    w.client.stream = NULL;
    w.client.ends++;
    w.client.why = why;
}

static const struct mux_stream_ops client_ops = {
    .readable = client_readable, .writable = client_writable, .end = client_end};

static void reopen(void)
{
    uint64_t from = mux_stream_received(w.client.stream);
    cs_err err = mux_stream_reopen(w.client.stream, w.conn, cs_bytes_of(&from, sizeof from));

    w.reopened++;
    w.wants_next = true;
    if (err != CS_OK) {
        cr_assert(failing_failed());
        mux_stream_cancel(w.client.stream, err);
    }
}

static void client_detached(mux_stream *stream, cs_err why, void *user)
{
    cr_assert_eq(user, &w.client);
    cr_assert(stream == w.client.stream && cs_failed(why));
    w.client.detached++;
    if (w.resumes)
        reopen();
}

static const struct mux_lasting_ops client_lasting = {.detached = client_detached,
                                                      .weigh = one_each};

/* ---- The stage ------------------------------------------------------------------------------- */

static cs_err stage(unsigned seed, uint64_t down, uint64_t up)
{
    static const struct mux_options quick = {.ping_interval_ms = 20, .ping_timeout_ms = 20};
    static const struct mux_options slow = {.ping_interval_ms = CS_OFF};
    cs_err err;

    memset(&w, 0, sizeof w);
    w.dice = seed;
    w.resumes = true;
    w.client.left = up;
    w.server.left = down;
    err = cs_loop_new_virtual(&w.loop);
    if (err == CS_OK)
        err = mux_handlers_new(&w.handlers);
    if (err == CS_OK)
        err = mux_handle(w.handlers, METHOD, on_accept, NULL);
    if (err == CS_OK)
        err = mux_limbo_new(w.loop, NULL, &w.limbo[0]);
    if (err == CS_OK)
        err = mux_limbo_new(w.loop, w.handlers, &w.limbo[1]);
    w.sort[0] = (struct mux_lasting_sort){&client_lasting, w.limbo[0], BOUND, 0};
    w.sort[1] = (struct mux_lasting_sort){&server_lasting, w.limbo[1], BOUND, 0};
    if (err == CS_OK)
        err = mux_dial_local(w.loop, &quick, &slow, w.handlers, &w.conn);
    return err;
}

static cs_err ask(void)
{
    const uint64_t from = 0;
    const struct mux_lasting_call call = {
        .sort = &w.sort[0], .method = METHOD, .ops = &client_ops, .user = &w.client};
    cs_err err =
        mux_stream_open_lasting(&call, w.conn, cs_bytes_of(&from, sizeof from), &w.client.stream);

    if (err == CS_OK)
        send_some(&w.client);
    return err;
}

static cs_err begin(unsigned seed, uint64_t down, uint64_t up)
{
    cs_err err = stage(seed, down, up);

    return err == CS_OK ? ask() : err;
}

static void end(void)
{
    if (w.server.stream)
        mux_stream_forget(w.server.stream, CS_ECANCELED);
    if (w.client.stream)
        mux_stream_cancel(w.client.stream, CS_ECANCELED);
    for (int i = 0; i < 2; i++)
        if (w.limbo[i])
            mux_conn_free(w.limbo[i]);
    if (w.conn)
        mux_conn_free(w.conn);
    if (w.handlers) {
        mux_handlers_end_local(w.handlers);
        cs_loop_settle(w.loop);
        mux_handlers_free(w.handlers);
    }
    if (w.loop) {
        cs_loop_settle(w.loop);
        cs_loop_free(w.loop);
    }
}

static void acknowledge(void)
{
    if (server_is_there() && mux_stream_kept(w.server.stream) && w.client.stream)
        cr_assert_eq(
            mux_keep_acked(mux_stream_kept(w.server.stream), mux_stream_received(w.client.stream)),
            CS_OK);
    if (w.client.stream && mux_stream_kept(w.client.stream))
        cr_assert_eq(mux_keep_acked(mux_stream_kept(w.client.stream), w.server.got), CS_OK);
}

static void trouble(void)
{
    switch (roll(5)) {
    case 0:
        mux_conn_break(w.conn);
        break;
    case 1: /* the client notices by its keepalive, the server does not */
        mux_conn_swallow(w.conn);
        cs_loop_advance(w.loop, 100);
        break;
    default: /* a proxy resets the one stream, in both directions */
        if (server_is_there() && w.server.stream->id > 0) {
            mux__h2_reset(w.server.stream, false);
            mux__conn_flush_soon(w.server.stream->conn);
        }
        break;
    }
}

Test(lasting, a_conversation_goes_on_whatever_breaks)
{
    int troubles = 0;

    for (unsigned seed = 1; seed <= 60; seed++) {
        cr_assert_eq(begin(seed, MESSAGES, MESSAGES), CS_OK);
        for (int i = 0; i < 5000 && w.client.ends == 0; i++) {
            if (i < 600 && roll(8) == 0)
                trouble();
            if (roll(3) == 0)
                acknowledge();
            cs_loop_advance(w.loop, (int)roll(3));
        }
        cr_assert_eq(w.client.ends, 1, "seed %u: %llu came down, %llu went up", seed,
                     (unsigned long long)w.client.got, (unsigned long long)w.server.got);
        cr_assert_eq(w.client.why, CS_DONE);
        cr_assert_eq(w.client.got, MESSAGES);
        cr_assert_eq(w.server.ends, 1);
        cr_assert_eq(w.server.why, CS_DONE);
        cr_assert_eq(w.runs, 1);
        troubles += w.reopened;
        end();
    }
    cr_assert_gt(troubles, 300, "only %d", troubles);
}

Test(lasting, what_was_said_last_is_said_again)
{
    cr_assert_eq(begin(1, 3, 0), CS_OK);
    w.resumes = false;
    cs_loop_settle(w.loop);
    cr_assert_eq(w.client.why, CS_DONE);
    cr_assert_eq(w.server.ends, 1, "its owner heard the end at once");
    cr_assert_not(mux_stream_is_gone(w.server.stream), "and what it said is kept");
    end();
}

Test(lasting, a_status_that_was_cut_off_arrives_on_the_next_stream)
{
    cr_assert_eq(begin(1, 3, 1), CS_OK);
    w.aborts = CS_ETIMEOUT;
    w.resumes = false;
    for (int i = 0; i < 1000 && w.server.ends == 0; i++)
        cs_loop_advance(w.loop, 1);
    mux_conn_break(w.conn);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.server.why, CS_ETIMEOUT);
    if (w.client.ends == 0) {
        reopen();
        cs_loop_settle(w.loop);
    }
    cr_assert_eq(w.client.ends, 1);
    cr_assert_eq(w.client.why, CS_ETIMEOUT);
    end();
}

Test(lasting, a_detached_call_is_ended_by_either_side)
{
    cr_assert_eq(begin(1, MESSAGES, 1), CS_OK);
    w.resumes = false;
    cs_loop_settle(w.loop);
    mux_conn_break(w.conn);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.server.detached, 1);
    cr_assert_eq(w.client.detached, 1);
    cr_assert(mux_stream_is_detached(w.server.stream));
    cr_assert_eq(mux_stream_room(w.server.stream), 0);
    mux_stream_abort(w.server.stream, CS_ETIMEOUT, "too late");
    mux_stream_cancel(w.client.stream, CS_ECANCELED);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.server.why, CS_ETIMEOUT);
    cr_assert_eq(w.server.ends, 1);
    cr_assert_eq(w.client.why, CS_ECANCELED);
    end();
}

/* And of the later ones on the connection there is room behind, for the first that was asked for or more. */
Test(lasting, a_server_may_think_again_of_what_lasts)
{
    enum { SOME = 3 };

    cr_assert_eq(stage(1, SOME, 0), CS_OK);
    for (int i = 0; i < 4; i++) {
        w.server = (struct half){.left = SOME};
        w.client = (struct half){0};
        w.runs = 0;
        w.second_thoughts = i % 3;
        cr_assert_eq(ask(), CS_OK);
        cs_loop_settle(w.loop);
        cr_assert_eq(w.client.why, CS_DONE);
        cr_assert_eq(w.client.got, SOME);
        cr_assert_eq(mux_stream_lasting_user(w.server.stream), &w.server);
        mux_stream_forget(w.server.stream, CS_ECANCELED);
        w.server.stream = NULL;
    }
    end();
}

Test(lasting, of_one_that_is_over_what_its_user_has_stays)
{
    cr_assert_eq(begin(1, MESSAGES, 1), CS_OK);
    w.resumes = false;
    cs_loop_advance(w.loop, 1);
    mux_stream_abort(w.server.stream, CS_ETIMEOUT, "too late");
    cs_loop_settle(w.loop);
    cr_assert_eq(w.client.why, CS_ETIMEOUT);
    cr_assert_not(mux_stream_is_gone(w.server.stream),
                  "what it said last may have to be said again");
    mux_stream_cancel(w.server.stream, CS_ECANCELED);
    cs_loop_settle(w.loop);
    cr_assert(mux_stream_is_gone(w.server.stream));
    cr_assert_eq(w.server.ends, 1);
    cr_assert_eq(mux_stream_lasting_user(w.server.stream), &w.server);
    mux_conn_free(w.limbo[1]);
    w.limbo[1] = NULL;
    cs_loop_settle(w.loop);
    end();
}

Test(lasting, a_call_is_made_later_and_its_user_goes_with_it)
{
    enum { SOME = 3 };
    static const struct mux_lasting_ops none;
    struct mux_lasting_sort sort = {.ops = &none, .user_bytes = sizeof w.runs};
    int number = 7;
    struct mux_lasting_call call = {
        .sort = &sort, .method = METHOD, .ops = &client_ops, .user = &number};

    cr_assert_eq(stage(1, SOME, 0), CS_OK);
    sort.limbo = w.limbo[0];
    cr_assert_eq(mux_stream_open_lasting(&call, NULL, cs_bytes_of(NULL, 0), &w.client.stream),
                 CS_OK);
    cr_assert(mux_stream_is_detached(w.client.stream));
    number = 8;
    cr_assert_eq(*(int *)mux_stream_lasting_user(w.client.stream), 7);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.runs, 0);
    cr_assert_eq(mux_stream_send(w.client.stream, cs_str("more"), cs_bytes_of(NULL, 0)), CS_EMISUSE,
                 "it keeps nothing: one message is all that it says");
    reopen();
    cr_assert_not(mux_stream_is_detached(w.client.stream));
    cs_loop_settle(w.loop);
    cr_assert_eq(w.runs, 1);
    cr_assert_eq(w.client.got, SOME);
    end();
}

Test(lasting, a_call_is_compressed_whichever_way_it_goes_out)
{
    static const struct mux_lasting_ops none;
    const struct mux_lasting_sort *sort = &w.sort[0];
    struct mux_lasting_sort mine = {.ops = &none, .keep_max = BOUND};
    struct mux_lasting_call call = {.sort = &mine, .method = METHOD, .ops = &client_ops};
    mux_stream *at_once;

    cr_assert_eq(stage(1, 0, 0), CS_OK);
    w.conn->opt.gzip = true;
    mine.limbo = sort->limbo;
    cr_assert_eq(mux_stream_open_lasting(&call, w.conn, cs_str("8 bytes."), &at_once), CS_OK);
    cr_assert(at_once->gzip_out);
    mux_stream_cancel(at_once, CS_ECANCELED);
    cr_assert_eq(mux_stream_open_lasting(&call, NULL, cs_bytes_of(NULL, 0), &w.client.stream),
                 CS_OK);
    reopen();
    cr_assert(w.client.stream->gzip_out);
    end();
}

static void story(void)
{
    if (begin(5, 40, 10) == CS_OK)
        for (int i = 0; i < 200 && w.client.ends == 0; i++) {
            if (i % 7 == 6 && w.reopened < 4)
                mux_conn_break(w.conn);
            if (server_is_there() && w.client.stream)
                acknowledge();
            cs_loop_advance(w.loop, 1);
        }
    end();
}

Test(lasting, survives_every_failed_allocation)
{
    failing_story(story);
}
