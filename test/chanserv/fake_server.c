#include "test/chanserv/fake_server.h"

#include "base/mem.h"
#include "chanserv/client__in.h"
#include "mux/local.h"

#include <stdio.h>

static void call_end(mux_stream *stream, cs_err why, void *state)
{
    struct fake_call *call = state;
    (void)stream;
    call->stream = NULL;
    call->why = why;
}

static void copy(char *to, size_t room, cs_bytes from)
{
    size_t n = from.len < room - 1 ? from.len : room - 1;
    if (n)
        memcpy(to, from.base, n);
    to[n] = '\0';
}

static void post_readable(mux_stream *stream, void *state)
{
    struct fake_call *call = state;
    struct wire_post post;
    cs_bytes msg;

    while (mux_stream_recv(stream, &msg) == CS_OK) {
        cr_assert_eq(wire_post_parse(msg, &post), CS_OK);
        copy(call->text, sizeof call->text, post.body);
        copy(call->service, sizeof call->service, post.service);
        call->inline_bytes = post.inline_bytes;
    }
}

static void open_readable(mux_stream *stream, void *state)
{
    struct fake_call *call = state;
    struct wire_open open;
    cs_bytes msg;

    while (mux_stream_recv(stream, &msg) == CS_OK) {
        cr_assert_eq(wire_open_parse(msg, &open), CS_OK);
        copy(call->text, sizeof call->text, open.ticket);
        call->from = open.from;
    }
}

static void accept_into(mux_stream *stream, struct fake_call *call,
                        const struct mux_stream_ops *ops)
{
    call->stream = stream;
    call->timeout_ms = mux_stream_time_left_ms(stream);
    cr_assert_eq(mux_stream_accept(stream, ops, call), CS_OK);
}

static void accept_post(mux_stream *stream, void *user)
{
    static const struct mux_stream_ops ops = {.readable = post_readable, .end = call_end};
    struct fake *f = user;
    if (f->posts_len < FAKE_CALLS)
        accept_into(stream, &f->posts[f->posts_len++], &ops);
}

static void accept_open(mux_stream *stream, void *user)
{
    static const struct mux_stream_ops ops = {.readable = open_readable, .end = call_end};
    struct fake *f = user;
    if (f->opens_len < FAKE_CALLS)
        accept_into(stream, &f->opens[f->opens_len++], &ops);
}

void fake_begin(struct fake *f, const struct chanserv_client_options *options)
{
    struct chanserv__node *node;
    mux_conn *conn;

    memset(f, 0, sizeof *f);
    cr_assert_eq(cs_loop_new_virtual(&f->loop), CS_OK);
    cr_assert_eq(mux_handlers_new(&f->handlers), CS_OK);
    cr_assert_eq(mux_handle(f->handlers, "/chanserv.v1.Chanserv/Post", accept_post, f), CS_OK);
    cr_assert_eq(mux_handle(f->handlers, "/chanserv.v1.Chanserv/Open", accept_open, f), CS_OK);
    cr_assert_eq(chanserv_client_new(f->loop, options, &f->client), CS_OK);
    cr_assert_eq(mux_dial_local(f->loop, &f->client->options.net, &f->client->options.net,
                                f->handlers, &conn),
                 CS_OK);
    cr_assert_eq(chanserv__nodes_add(f->client, NULL, conn, &node), CS_OK);
}

void fake_end(struct fake *f)
{
    chanserv_client_free(f->client);
    cs_loop_settle(f->loop);
    mux_handlers_free(f->handlers);
    cs_loop_free(f->loop);
}

chanserv_feed *fake_post(struct fake *f, const char *service)
{
    chanserv_feed *feed;
    cr_assert_eq(chanserv_lookup_and_post(f->client, service, cs_str("body"), NULL, &feed), CS_OK);
    cs_loop_settle(f->loop);
    return feed;
}

void fake_announce_full(struct fake *f, const struct wire_announcement *a)
{
    mux_stream *stream = f->posts[f->posts_len - 1].stream;
    uint8_t *bytes;
    size_t len;

    cr_assert_not_null(stream);
    cr_assert_eq(wire_announcement_pack(a, &bytes, &len), CS_OK);
    cr_assert_eq(mux_stream_send(stream, cs_bytes_of(bytes, len), cs_str("")), CS_OK);
    cs_free(bytes);
    cs_loop_settle(f->loop);
}

void fake_announce(struct fake *f, uint64_t seq)
{
    char ticket[32], header[32];
    snprintf(ticket, sizeof ticket, "t%d", (int)seq);
    snprintf(header, sizeof header, "h%d", (int)seq);
    const struct wire_announcement a = {
        .seq = seq, .ticket = cs_str(ticket), .header = cs_str(header)};
    fake_announce_full(f, &a);
}

chanserv_source *fake_source(struct fake *f, chanserv_feed *feed, uint64_t seq)
{
    chanserv_source *source;
    fake_announce(f, seq);
    cr_assert_eq(chanserv_feed_recv(feed, &source), CS_OK);
    return source;
}

void fake_finish_post(struct fake *f, cs_err status, const char *message)
{
    mux_stream_finish(f->posts[f->posts_len - 1].stream, status, message);
    cs_loop_settle(f->loop);
}

void fake_message(struct fake *f, size_t i, cs_bytes message)
{
    cr_assert_lt(i, f->opens_len, "nobody opened it");
    cr_assert_not_null(f->opens[i].stream);
    cr_assert_eq(mux_stream_send(f->opens[i].stream, message, cs_str("")), CS_OK);
    cs_loop_settle(f->loop);
}

static void payload(struct fake *f, size_t i, const char *text, bool more)
{
    uint8_t msg[WIRE_FRAME_HEAD + 4096];
    size_t len = wire_frame_head(msg, strlen(text), more);
    memcpy(msg + len, text, strlen(text));
    fake_message(f, i, cs_bytes_of(msg, len + strlen(text)));
}

void fake_frame(struct fake *f, size_t i, const char *text)
{
    payload(f, i, text, false);
}

void fake_part(struct fake *f, size_t i, const char *text)
{
    payload(f, i, text, true);
}

void fake_gap(struct fake *f, size_t i, uint64_t count)
{
    uint8_t msg[WIRE_GAP_MAX];
    fake_message(f, i, cs_bytes_of(msg, wire_gap_put(msg, count, 1)));
}

void fake_finish(struct fake *f, size_t i, cs_err status, const char *message)
{
    cr_assert_lt(i, f->opens_len, "nobody opened it");
    mux_stream_finish(f->opens[i].stream, status, message);
    cs_loop_settle(f->loop);
}

void fake_expect(chanserv_source *source, const char *text, uint64_t seq, uint64_t gap)
{
    cs_bytes frame;
    cs_err err = chanserv_source_recv(source, &frame);
    cr_assert_eq(err, CS_OK, "wanted \"%s\", got %s", text, cs_strerror(err));
    cr_assert(cs_same(frame, cs_str(text)), "wanted \"%s\", got \"%.*s\"", text, CS_FMT(frame));
    cr_assert_eq(chanserv_source_seq(source), seq);
    cr_assert_eq(chanserv_source_gap(source), gap);
}
