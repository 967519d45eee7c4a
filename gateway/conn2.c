/* conn2 -- a request that came by HTTP/2, as a plain stream of mux.
 *
 * An answer that ends while its request still comes would be followed by a reset, and on that clients lose it
 * (curl 7.88).  So what is left of the request is heard and dropped first, until nothing comes for a second, or
 * for ten. */
#include "gateway/gateway__in.h"

#include <stdio.h>

enum { PATIENCE_MS = 1000, REST_MS = 10000 };

struct conn2 {
    struct gateway__carrier carrier;
    gateway *gateway;
    mux_stream *stream;
    gateway_request *request; /* NULL: parted */
    cs_timer *patience;       /* answered, and the request still comes, */
    int64_t until_ms;         /* but not beyond this */
    bool heard;               /* all of it */
};

/* ---- What the answer asks for ------------------------------------------------------------------------ */

static cs_err begin(void *carrier, const struct gateway__answer *answer)
{
    struct conn2 *c = carrier;
    char length[24];
    cs_err err = mux_stream_respond(c->stream, answer->status);

    for (size_t i = 0; err == CS_OK && i < answer->headers_len; i++)
        err = mux_stream_set_header(c->stream, answer->headers[i].name.base,
                                    answer->headers[i].value);
    if (err == CS_OK && answer->length >= 0 && answer->status != 204 && answer->status != 304) {
        snprintf(length, sizeof length, "%lld", (long long)answer->length);
        err = mux_stream_set_header(c->stream, "content-length", cs_str(length));
    }
    if (err == CS_OK && !answer->bare && answer->length != 0)
        mux_stream_send_headers(c->stream);
    return err;
}

static cs_err write_piece(void *carrier, cs_bytes piece)
{
    struct conn2 *c = carrier;

    return mux_stream_send(c->stream, piece, cs_bytes_of(NULL, 0));
}

static void on_patience(void *user)
{
    struct conn2 *c = user;

    mux_stream_finish(c->stream, CS_OK, NULL);
}

static void finish(void *carrier)
{
    struct conn2 *c = carrier;

    c->request = NULL;
    if (!c->heard && !mux_stream_is_heard(c->stream) &&
        cs_timer_new(c->gateway->loop, on_patience, c, &c->patience) == CS_OK) {
        c->until_ms = cs_loop_now_ms(c->gateway->loop) + REST_MS;
        cs_timer_set(c->patience, PATIENCE_MS);
        mux_stream_resume(c->stream);
    } else {
        mux_stream_finish(c->stream, CS_OK, NULL);
    }
}

static void abort_answer(void *carrier, cs_err why)
{
    struct conn2 *c = carrier;

    c->request = NULL;
    mux_stream_abort(c->stream, cs_failed(why) ? why : CS_EINTERNAL, NULL);
}

static const struct gateway__transport transport = {
    .begin = begin, .write = write_piece, .finish = finish, .abort = abort_answer};

/* ---- What the stream says ---------------------------------------------------------------------------- */

static void heard(struct conn2 *c)
{
    c->heard = true;
    if (c->patience) {
        cs_timer_set(c->patience, CS_OFF);
        mux_stream_finish(c->stream, CS_OK, NULL);
    } else if (c->request) {
        gateway__request_end(c->request);
    }
}

static void wait_on(struct conn2 *c)
{
    const int64_t left = c->until_ms - cs_loop_now_ms(c->gateway->loop);

    if (c->patience && !c->heard) /* less than nothing would stop it */
        cs_timer_set(c->patience, left > PATIENCE_MS ? PATIENCE_MS : left > 0 ? (int)left : 0);
}

static void readable(mux_stream *stream, void *state)
{
    struct conn2 *c = state;
    cs_bytes piece;
    cs_err err;

    while (!c->heard && (err = mux_stream_recv(stream, &piece)) != CS_AGAIN) {
        if (err == CS_DONE)
            heard(c);
        else if (err != CS_OK)
            return; /* end() comes */
        else if (c->request)
            (void)gateway__request_body(c->request, piece);
        else
            wait_on(c);
    }
}

static void writable(mux_stream *stream, void *state)
{
    struct conn2 *c = state;

    (void)stream;
    if (c->request)
        gateway__request_room(c->request);
}

static void end(mux_stream *stream, cs_err why, void *state)
{
    struct conn2 *c = state;

    (void)stream;
    cs_timer_free(c->patience);
    if (c->request)
        gateway__request_left(c->request, why);
    gateway__carrier_gone(c->gateway, &c->carrier);
}

static const struct mux_stream_ops ops = {
    .state_bytes = sizeof(struct conn2), .readable = readable, .writable = writable, .end = end};

static void cut(struct gateway__carrier *carrier, cs_err why)
{
    mux_stream_cancel(CS_CONTAINER(carrier, struct conn2, carrier)->stream, why);
}

/* ---- A new one --------------------------------------------------------------------------------------- */

static cs_bytes header(const mux_stream *stream, const char *name)
{
    cs_bytes value = {NULL, 0};

    (void)mux_stream_header(stream, name, &value);
    return value;
}

/* CS_OFF: not known; what makes no sense is mux's to refuse. */
static int64_t length_of(const mux_stream *stream)
{
    const cs_bytes text = header(stream, "content-length");
    int64_t n = 0;

    for (size_t i = 0; i < text.len && n < INT64_MAX / 16; i++)
        n = 10 * n + (((const char *)text.base)[i] - '0');
    return text.len > 0 ? n : mux_stream_is_heard(stream) ? 0 : -1;
}

static void tell_head(struct conn2 *c)
{
    struct gateway__head head = {.method = header(c->stream, ":method"),
                                 .target = header(c->stream, ":path"),
                                 .authority = header(c->stream, ":authority"),
                                 .length = length_of(c->stream),
                                 .is_tls = cs_same(header(c->stream, ":scheme"), cs_str("https"))};

    head.fields = mux_stream_headers(c->stream, &head.fields_len);
    (void)gateway__request_head(c->request, &head);
}

void gateway__conn2_accept(mux_stream *stream, void *user)
{
    const struct conn2 born = {.gateway = user, .stream = stream};
    struct conn2 *c;

    if (mux_stream_accept(stream, &ops, (void *)(uintptr_t)&born) != CS_OK)
        return;
    c = mux_stream_state(stream);
    c->carrier.end = cut;
    gateway__carrier_add(user, &c->carrier);
    if (gateway__request_new(user, &transport, c, mux_stream_peer(stream), &c->request) == CS_OK)
        tell_head(c);
    else
        abort_answer(c, CS_ENOMEM);
    mux_stream_resume(stream);
}
