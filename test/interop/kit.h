/* kit -- what our clients for other people's servers share: one loop, calls that are waited for,
 * and a line a case, "ok client: NAME" or "FAIL client: NAME: why". */
#ifndef TEST_INTEROP_KIT_H
#define TEST_INTEROP_KIT_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/loop.h"
#include "mux/mux.h"

enum { KIT_PATIENCE_MS = 30000 };

static cs_loop *loop;
static const char *kit_suite, *kit_case;
static int kit_bad; /* of this case: a line says why */
static int kit_failed;

/* Says what is wrong; the case ends where it is. */
static void CS_PRINTF(2, 3) kit_fail(int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("FAIL %s: %s: line %d: ", kit_suite, kit_case, line);
    vprintf(format, args);
    puts("");
    va_end(args);
    kit_bad = 1;
}

#define WANT(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            kit_fail(__LINE__, __VA_ARGS__);                                                       \
            return;                                                                                \
        }                                                                                          \
    } while (0)

static void kit_run(const char *name, void (*fn)(void))
{
    kit_case = name;
    kit_bad = 0;
    fn();
    if (kit_bad)
        kit_failed++;
    else
        printf("ok %s: %s\n", kit_suite, name);
    fflush(stdout);
}

static void kit_late(void *user)
{
    (void)user;
    kit_fail(0, "nothing came for %d s", KIT_PATIENCE_MS / 1000);
    fflush(stdout);
    _Exit(3);
}

/* Turns the loop until `*done`, which a callback sets with kit_done(). */
static void kit_wait(const bool *done)
{
    cs_timer *late;
    if (cs_timer_new(loop, kit_late, NULL, &late) != CS_OK)
        _Exit(1);
    cs_timer_set(late, KIT_PATIENCE_MS);
    while (!*done)
        if (cs_loop_run(loop) != CS_OK)
            kit_late(NULL);
    cs_timer_free(late);
}

static void kit_done(bool *done)
{
    *done = true;
    cs_loop_stop(loop);
}

/* ---- Unary calls ---------------------------------------------------------------------------- */

struct answer {
    bool done;
    cs_err err;
    char text[4096]; /* the reply, or what of it fits; NUL behind it */
    size_t len;
    char errmsg[256];
    char header[64], trailer[64]; /* y-word, of both */
    uint8_t raw[16];              /* y-raw-bin, of the trailers */
    size_t raw_len;
    mux_call *call;
};

static void kit_keep(char *to, size_t size, cs_bytes value)
{
    snprintf(to, size, "%.*s", CS_FMT(value));
}

static void kit_on_reply(cs_err err, cs_bytes reply, const char *errmsg, void *user)
{
    struct answer *a = user;
    const mux_stream *stream = mux_call_stream(a->call);
    cs_bytes value;
    a->err = err;
    a->len = reply.len < sizeof a->text ? reply.len : sizeof a->text - 1;
    if (a->len > 0)
        memcpy(a->text, reply.base, a->len);
    a->text[a->len] = 0;
    snprintf(a->errmsg, sizeof a->errmsg, "%s", errmsg);
    if (stream && mux_stream_header(stream, "y-word", &value) == CS_OK)
        kit_keep(a->header, sizeof a->header, value);
    if (stream && mux_stream_trailer(stream, "y-word", &value) == CS_OK)
        kit_keep(a->trailer, sizeof a->trailer, value);
    if (stream && mux_stream_trailer(stream, "y-raw-bin", &value) == CS_OK &&
        value.len <= sizeof a->raw) {
        memcpy(a->raw, value.base, value.len);
        a->raw_len = value.len;
    }
    kit_done(&a->done);
}

static void kit_ask(mux_conn *conn, const char *method, cs_bytes request,
                    const struct mux_call_options *options, struct answer *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->err = mux_unary(conn, method, request, options, kit_on_reply, ret, &ret->call);
    if (ret->err != CS_OK) {
        snprintf(ret->errmsg, sizeof ret->errmsg, "mux_unary: %s", cs_strerror(ret->err));
        return;
    }
    kit_wait(&ret->done);
}

/* ---- Streams -------------------------------------------------------------------------------- */

struct stream {
    mux_stream *stream; /* NULL once it has ended */
    bool news, done;    /* a message or the end; the end */
    cs_err why;
    char errmsg[256];
    char last[4096]; /* the last message */
    size_t last_len;
    size_t messages, bytes;
    char header[64], trailer[64]; /* y-word */
    void (*on_message)(struct stream *s);
    void (*on_writable)(struct stream *s);
};

static void kit_readable(mux_stream *stream, void *state)
{
    struct stream *s = state;
    cs_bytes m;
    if (mux_stream_header(stream, "y-word", &m) == CS_OK)
        kit_keep(s->header, sizeof s->header, m);
    while (s->stream && mux_stream_recv(stream, &m) == CS_OK) {
        s->messages++;
        s->bytes += m.len;
        s->last_len = m.len < sizeof s->last ? m.len : sizeof s->last - 1;
        if (s->last_len > 0)
            memcpy(s->last, m.base, s->last_len);
        s->last[s->last_len] = 0;
        if (s->on_message)
            s->on_message(s);
        kit_done(&s->news);
    }
}

static void kit_writable(mux_stream *stream, void *state)
{
    struct stream *s = state;
    (void)stream;
    if (s->on_writable)
        s->on_writable(s);
}

static void kit_end(mux_stream *stream, cs_err why, void *state)
{
    struct stream *s = state;
    cs_bytes value;
    s->why = why;
    s->stream = NULL;
    snprintf(s->errmsg, sizeof s->errmsg, "%s", mux_stream_errmsg(stream));
    if (mux_stream_trailer(stream, "y-word", &value) == CS_OK)
        kit_keep(s->trailer, sizeof s->trailer, value);
    kit_done(&s->news);
    kit_done(&s->done);
}

static const struct mux_stream_ops kit_ops = {
    .readable = kit_readable, .writable = kit_writable, .end = kit_end};

/* Waits for one more message, or the end. */
static inline void kit_next(struct stream *s)
{
    s->news = s->done;
    kit_wait(&s->news);
}

static inline bool kit_send(struct stream *s, cs_bytes message)
{
    return s->stream && mux_stream_send(s->stream, message, cs_bytes_of(NULL, 0)) == CS_OK;
}

#endif
