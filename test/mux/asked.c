/* asked -- see asked.h. */
#include "test/mux/asked.h"

#include <criterion/criterion.h>
#include <string.h>

struct asked asked;

/* ---- Who takes them --------------------------------------------------------------------------- */

void asked_take(void)
{
    cs_bytes piece;

    while ((asked.last = mux_stream_recv(asked.stream, &piece)) == CS_OK) {
        cr_assert_gt(piece.len, 0);
        if (asked.bytes + piece.len < sizeof asked.heard)
            memcpy(asked.heard + asked.bytes, piece.base, piece.len);
        asked.bytes += piece.len;
        asked.longest = piece.len > asked.longest ? piece.len : asked.longest;
        asked.pieces++;
    }
}

static void on_readable(mux_stream *stream, void *state)
{
    (void)state;
    cr_assert_eq(stream, asked.stream);
    if (!asked.paused)
        asked_take();
    if (asked.on_readable)
        asked.on_readable();
}

static void on_writable(mux_stream *stream, void *state)
{
    (void)stream, (void)state;
    asked.writables++;
}

static void on_pull(mux_stream *stream, void *state)
{
    (void)stream, (void)state;
    if (asked.on_pull)
        asked.on_pull();
}

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    (void)state;
    cr_assert_eq(stream, asked.stream);
    asked.ends++;
    asked.why = why;
    asked.stream = NULL;
}

static const struct mux_stream_ops ops = {
    .readable = on_readable, .writable = on_writable, .pull = on_pull, .end = on_end};

void asked_take_in(mux_stream *stream, void *user)
{
    cr_assert_eq(user, &asked);
    cr_assert(mux_stream_is_plain(stream));
    asked.offers++;
    if (asked.leaves || mux_stream_accept(stream, &ops, NULL) != CS_OK)
        return;
    asked.stream = stream;
    if (asked.on_accept)
        asked.on_accept();
}

void asked_settle(void)
{
    size_t turns;

    do {
        turns = cs_loop_settle(asked.talk.loop);
        turns += asked.door.loop ? cs_loop_settle(asked.door.loop) : 0;
        cr_assert_lt(turns, 100000);
    } while (turns > 0);
}

void asked_request(bool whole)
{
    fake_headers(asked.peer, 1, whole, ASKED_HEAD, ASKED_TYPE, NULL);
    asked_settle();
}

void asked_body(const char *text, bool last)
{
    fake_frame(asked.peer, FAKE_DATA, last ? FAKE_END : 0, 1, cs_str(text));
    asked_settle();
}

void asked_expect(const char *frames)
{
    asked_settle();
    cr_assert_str_eq(fake_said(asked.peer), frames);
    fake_forget(asked.peer);
}

void asked_send(const char *head, const char *tail)
{
    cr_assert_eq(mux_stream_send(asked.stream, cs_str(head), cs_str(tail)), CS_OK);
}

void asked_set(const char *name, const char *value)
{
    cr_assert_eq(mux_stream_set_header(asked.stream, name, cs_str(value)), CS_OK, "%s", name);
}

void asked_has(const char *name, const char *value)
{
    cs_bytes found;

    cr_assert_eq(mux_stream_header(asked.stream, name, &found), CS_OK, "%s", name);
    cr_assert(cs_same(found, cs_str(value)), "%s: %.*s", name, CS_FMT(found));
}

void asked_pull(void)
{
    char bytes[3000];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = 'p';
    while (asked.sent < ASKED_BIG && mux_stream_room(asked.stream) > 0) {
        size_t n = ASKED_BIG - asked.sent < sizeof bytes ? ASKED_BIG - asked.sent : sizeof bytes;

        cr_assert_eq(mux_stream_send(asked.stream, cs_bytes_of(NULL, 0), cs_bytes_of(bytes, n)),
                     CS_OK);
        asked.sent += n;
    }
    if (asked.sent == ASKED_BIG)
        mux_stream_finish(asked.stream, CS_OK, NULL);
}
