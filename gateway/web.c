/* web -- gRPC-Web: any method of gRPC that the server has, for pages.
 *
 *     the request, whole ──▶ its messages ──▶ a call in the process ──▶ the server
 *     the answer's room  ──▶ next(): a message ..., and at last the trailers
 *
 * The call is one like all others, made for whoever asks (mux/behalf.h): so no method is known here, and
 * limits, authorisation and counters are the server's own.  A browser says all it has to say before it
 * hears anything, so of Talk and the like it has one turn. */
#include "gateway/web__in.h"

#include "chanserv/stat.h"
#include "mux/behalf.h"
#include "proto/status.h"

struct web {
    gateway_request *request;
    struct call *call;         /* NULL: it has ended, */
    struct gateway__text last; /* and these are its trailers, as they go out */
    bool begun, said_last;
    struct cs_buf body; /* of a request in base64 */
    cs_bytes rest;      /* of it: the messages that the call has not taken */
    struct gateway__text frame;
};

struct call {        /* which may stay longer than the request */
    struct web *web; /* or NULL */
    mux_stream *stream;
    char method[];
};

/* ---- What is said to the call --------------------------------------------------------------------- */

static void send_rest(struct web *w)
{
    static const cs_bytes nothing;
    mux_stream *stream = w->call->stream;
    cs_bytes rest = w->rest, msg;

    while (gateway__web_message(&rest, &msg) == CS_OK) {
        cs_err err = mux_stream_send(stream, msg, nothing);

        if (err == CS_ENOMEM)
            mux_stream_cancel(stream, err);
        if (err != CS_OK)
            return; /* writable() comes, or ended() */
        w->rest = rest;
    }
    mux_stream_finish(stream, CS_OK, NULL);
}

static void writable(mux_stream *stream, void *state)
{
    struct call *call = state;

    (void)stream;
    if (call->web)
        send_rest(call->web);
}

/* ---- What it says --------------------------------------------------------------------------------- */

static cs_err set_binary(gateway_request *request, const cs_pair *pair)
{
    const size_t len = wire_base64_len(pair->value.len);
    char *text = cs_alloc(len + 1);
    cs_err err;

    if (!text)
        return CS_ENOMEM;
    err = gateway_set_header(request, pair->name.base,
                             cs_bytes_of(text, wire_base64_encode(text, pair->value)));
    cs_free(text);
    return err;
}

/* CS_OK, or the request is answered already. */
static cs_err begin(struct web *w, const mux_stream *stream)
{
    gateway_request *request = w->request;
    size_t n;
    const cs_pair *pairs = mux_stream_headers(stream, &n);

    if (w->begun)
        return CS_OK;
    w->begun = true;
    for (size_t i = 0; i < n; i++)
        if ((gateway__is_binary(pairs[i].name)
                 ? set_binary(request, &pairs[i])
                 : gateway_set_header(request, pairs[i].name.base, pairs[i].value)) == CS_ENOMEM)
            return gateway_fail(request, CS_ENOMEM, "out of memory");
    (void)gateway_set_header(request, "cache-control", cs_str("no-store"));
    (void)gateway_set_header(request, "x-accel-buffering", cs_str("no"));
    gateway_begin(request, 200, gateway__web_type(request->web));
    return CS_OK;
}

static void readable(mux_stream *stream, void *state)
{
    struct call *call = state;

    if (call->web && begin(call->web, stream) == CS_OK)
        gateway_wake(call->web->request);
}

static void add_trailers(struct web *w, const mux_stream *stream, cs_err why)
{
    struct gateway__text lines = {.err = CS_OK};
    size_t n;
    const cs_pair *pairs = mux_stream_trailers(stream, &n);

    gateway__web_add_status(&lines, why, cs_failed(why) ? mux_stream_errmsg(stream) : "");
    for (size_t i = 0; i < n; i++)
        gateway__web_add_line(&lines, pairs[i]);
    gateway__web_add(&w->last, w->request->web, GATEWAY__WEB_TRAILERS,
                     cs_bytes_of(lines.buf.base, lines.buf.len));
    if (lines.err != CS_OK)
        w->last.err = lines.err;
    cs_buf_fini(&lines.buf);
}

static void ended(mux_stream *stream, cs_err why, void *state)
{
    struct call *call = state;
    struct web *w = call->web;

    if (w) {
        w->call = NULL;
        add_trailers(w, stream, why);
        if (begin(w, stream) == CS_OK)
            gateway_wake(w->request);
    }
    cs_free(call);
}

static const struct mux_stream_ops call_ops = {
    .readable = readable, .writable = writable, .end = ended};

/* ---- The answer ----------------------------------------------------------------------------------- */

/* Whatever recv() says but a message, ended() has the words for. */
static cs_err next(gateway_request *request, cs_bytes *piece, void *state)
{
    struct web *w = state;
    cs_bytes msg;

    if (w->call) {
        if (mux_stream_recv(w->call->stream, &msg) != CS_OK)
            return CS_AGAIN;
        w->frame.buf.len = 0;
        gateway__web_add(&w->frame, request->web, GATEWAY__WEB_MESSAGE, msg);
        *piece = cs_bytes_of(w->frame.buf.base, w->frame.buf.len);
        return w->frame.err;
    }
    if (w->said_last)
        return CS_DONE;
    w->said_last = true;
    *piece = cs_bytes_of(w->last.buf.base, w->last.buf.len);
    return w->last.err;
}

static void end(gateway_request *request, cs_err why, void *state)
{
    struct web *w = state;

    (void)request, (void)why;
    if (w->call) {
        w->call->web = NULL;
        mux_stream_cancel(w->call->stream, CS_ECANCELED);
    }
    cs_buf_fini(&w->body);
    cs_buf_fini(&w->frame.buf);
    cs_buf_fini(&w->last.buf);
}

static const struct gateway_reply_ops web_ops = {
    .state_bytes = sizeof(struct web), .next = next, .end = end};

/* ---- The request ---------------------------------------------------------------------------------- */

/* All of it is seen before anything is done. */
static cs_err read_body(struct web *w)
{
    gateway_request *request = w->request;
    cs_bytes rest, msg;
    cs_err err = CS_OK;

    w->rest = gateway_body(request);
    if (request->web.sends_text) {
        err = gateway__web_decode(w->rest, &w->body);
        w->rest = cs_bytes_of(w->body.base, w->body.len);
    }
    if (err != CS_OK)
        return err == CS_EINVAL ? gateway_fail(request, err, "the body is not base64") : err;
    rest = w->rest;
    while ((err = gateway__web_message(&rest, &msg)) == CS_OK)
        ;
    if (err == CS_ENOTSUP)
        return gateway_fail(request, err, "messages of gRPC-Web are not compressed");
    return err == CS_DONE ? CS_OK : gateway_fail(request, err, "the body is no messages");
}

/* It was decoded, and goes into a head again: nothing may stand there that has no business in one. */
static bool method_ok(cs_bytes path)
{
    const uint8_t *at = path.base;

    for (size_t i = 0; i < path.len; i++)
        if (at[i] <= ' ' || at[i] > '~')
            return false;
    return path.len > 1 && memchr(at + 1, '/', path.len - 1);
}

static cs_err read_timeout(gateway_request *request, int *ret)
{
    const cs_bytes text = gateway_header(request, "grpc-timeout");
    int64_t ms;

    *ret = 0;
    if (!text.base)
        return CS_OK;
    if (wire_timeout_parse(text, &ms) != CS_OK)
        return gateway_fail(request, CS_EINVAL,
                            "grpc-timeout is at most 8 digits and one of H M S m u n");
    *ret = ms < 1 ? 1 : ms < INT32_MAX ? (int)ms : INT32_MAX;
    return CS_OK;
}

/* Who asks, and with which metadata: both in one block. */
static cs_err write_metadata(const gateway_request *request, cs_pair **ret)
{
    const size_t n = request->behalf_len, len = mux_peer_packed_len(request->peer);
    cs_pair *pairs = cs_alloc((n + 1) * sizeof *pairs + len);
    uint8_t *to;

    if (!pairs)
        return CS_ENOMEM;
    to = (uint8_t *)(pairs + n + 1);
    if (n > 0)
        memcpy(pairs, request->behalf, n * sizeof *pairs);
    pairs[n] = (cs_pair){cs_str(MUX_BEHALF), cs_bytes_of(to, len)};
    mux_peer_pack(request->peer, &to);
    *ret = pairs;
    return CS_OK;
}

static cs_err open_call(struct web *w, struct call *call, int timeout_ms)
{
    struct mux_call_options options = {.timeout_ms = timeout_ms,
                                       .metadata_len = w->request->behalf_len + 1};
    gateway *gw = gateway_of(w->request);
    cs_pair *pairs;
    cs_err err = write_metadata(w->request, &pairs);

    if (err != CS_OK)
        return err;
    options.metadata = pairs;
    if (!gw->calls)
        err = chanserv_server_dial(gw->server, &gateway__net, &gw->calls);
    if (err == CS_OK)
        err = mux_stream_open(gw->calls, call->method, &options, &call_ops, call, &call->stream);
    cs_free(pairs);
    return err;
}

static cs_err start(struct web *w, int timeout_ms)
{
    const cs_bytes path = gateway_path(w->request);
    struct call *call = cs_zalloc(sizeof *call + path.len + 1);
    cs_err err;

    if (!call)
        return CS_ENOMEM;
    memcpy(call->method, path.base, path.len);
    if ((err = open_call(w, call, timeout_ms)) != CS_OK) {
        cs_free(call);
        return err;
    }
    call->web = w;
    w->call = call;
    send_rest(w);
    return CS_AGAIN;
}

cs_err gateway__web(gateway_request *request, void *user)
{
    const struct web born = {.request = request};
    int timeout_ms;
    cs_err err;

    (void)user;
    if (!method_ok(gateway_path(request)))
        return gateway_fail(request, CS_ENOTSUP, "this is no method");
    if ((err = read_timeout(request, &timeout_ms)) != CS_OK ||
        (err = gateway_keep(request, &web_ops, (void *)(uintptr_t)&born)) != CS_OK ||
        (err = read_body(gateway_state(request))) != CS_OK)
        return err;
    return start(gateway_state(request), timeout_ms);
}

bool gateway__web_has(const gateway_request *request)
{
    const char *path = request->path.base;
    const char *slash = memchr(path + 1, '/', request->path.len - 1);
    size_t at = 0;
    cs_bytes name;

    while (slash && chanserv_server_grpc_service(request->gateway->server, &at, &name))
        if (cs_same(name, cs_bytes_of(path + 1, (size_t)(slash - path - 1))))
            return true;
    return false;
}
