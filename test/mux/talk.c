/* talk -- see talk.h. */
#include "test/mux/talk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

void side_take(struct side *s)
{
    cs_bytes m;
    while (s->stream && (s->last = mux_stream_recv(s->stream, &m)) == CS_OK) {
        s->messages++;
        s->bytes += m.len;
        size_t at = strlen(s->text);
        if (at + m.len + 2 < sizeof s->text)
            snprintf(s->text + at, sizeof s->text - at, "%.*s|", CS_FMT(m));
    }
}

static void on_readable(mux_stream *stream, void *state)
{
    struct side *s = state;
    cr_assert_eq(stream, s->stream, "readable after end");
    s->readables++;
    if (s->on_readable)
        s->on_readable(s);
    else if (!s->paused)
        side_take(s);
}

static void on_writable(mux_stream *stream, void *state)
{
    struct side *s = state;
    cr_assert_eq(stream, s->stream, "writable after end");
    cr_assert_gt(mux_stream_room(stream), 0);
    s->writables++;
    if (s->on_writable)
        s->on_writable(s);
}

static void on_pull(mux_stream *stream, void *state)
{
    struct side *s = state;
    cr_assert_eq(stream, s->stream, "pull after end");
    s->pulls++;
    if (s->on_pull) {
        s->on_pull(s);
        return;
    }
    while (s->pull_left != 0 && mux_stream_room(stream) > 0) {
        side_send_bytes(s, s->pulls_of);
        s->pull_left -= s->pull_left > 0;
    }
    if (s->pull_left == 0 && s->finishes)
        side_finish(s, CS_DONE);
}

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    struct side *s = state;
    cr_assert_eq(stream, s->stream, "a second end");
    s->ends++;
    s->why = why;
    s->never_ran = mux_stream_never_ran(stream);
    s->ended_ms = cs_loop_now_ms(s->talk->loop);
    snprintf(s->errmsg, sizeof s->errmsg, "%s", mux_stream_errmsg(stream));
    if (s->on_end)
        s->on_end(s);
    s->stream = NULL;
}

static void on_rolled(mux_stream *stream, void *state)
{
    struct side *s = state;
    cr_assert_eq(stream, s->stream, "rolled after end");
    s->rolls++;
    if (s->on_rolled)
        s->on_rolled(s);
}

const struct mux_stream_ops talk_ops = {.readable = on_readable,
                                        .writable = on_writable,
                                        .pull = on_pull,
                                        .end = on_end,
                                        .rolled = on_rolled};

static void accept(mux_stream *stream, void *user)
{
    struct talk *t = user;
    struct side *s = &t->server[t->accepted % 4];
    s->talk = t;
    s->stream = stream;
    if (mux_stream_accept(stream, &talk_ops, s) != CS_OK) {
        s->stream = NULL;
        return;
    }
    t->accepted++;
    if (s->on_accept)
        s->on_accept(s);
}

void talk_handlers(struct talk *t)
{
    cr_assert_eq(cs_loop_new_virtual(&t->loop), CS_OK);
    cr_assert_eq(mux_handlers_new(&t->handlers), CS_OK);
    cr_assert_eq(mux_handle(t->handlers, TALK_METHOD, accept, t), CS_OK);
}

void talk_begin(struct talk *t, const struct mux_options *client, const struct mux_options *server)
{
    talk_handlers(t);
    cr_assert_eq(mux_dial_local(t->loop, client, server, t->handlers, &t->conn), CS_OK);
    talk_settle(t);
}

void talk_end(struct talk *t)
{
    mux_conn_free(t->conn);
    talk_settle(t);
    mux_handlers_free(t->handlers);
    talk_settle(t);
    for (int i = 0; i < 4; i++)
        cr_assert(!t->client[i].stream && !t->server[i].stream, "a stream without an end");
    cs_loop_free(t->loop);
}

struct side *talk_open_with(struct talk *t, int i, const struct mux_call_options *options)
{
    struct side *s = &t->client[i];
    s->talk = t;
    cr_assert_eq(mux_stream_open(t->conn, TALK_METHOD, options, &talk_ops, s, &s->stream), CS_OK);
    return s;
}

struct side *talk_open(struct talk *t, int i)
{
    return talk_open_with(t, i, NULL);
}

void talk_settle(struct talk *t)
{
    cr_assert_lt(cs_loop_settle(t->loop), 100000, "the loop finds no rest");
}

void side_send(struct side *s, const char *text)
{
    cr_assert_eq(mux_stream_send(s->stream, cs_str(text), cs_bytes_of(NULL, 0)), CS_OK);
}

void side_send_bytes(struct side *s, size_t len)
{
    static const char zeroes[1 << 20];
    if (len > sizeof zeroes) { /* by reference */
        void *to;
        cs_ref ref;
        cr_assert_eq(cs_ref_alloc(len, &to, &ref), CS_OK);
        memset(to, 0, len);
        cr_assert_eq(mux_stream_send_ref(s->stream, cs_bytes_of(NULL, 0), &ref), CS_OK);
        return;
    }
    cr_assert_eq(mux_stream_send(s->stream, cs_bytes_of(NULL, 0), cs_bytes_of(zeroes, len)), CS_OK);
}

void side_finish(struct side *s, cs_err status)
{
    mux_stream_finish(s->stream, status, NULL);
}
