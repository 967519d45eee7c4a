/* unary_serve -- methods that take one message and answer one: the server's side. */
#include "base/ref.h"
#include "mux/mux__in.h"

struct mux_request {
    mux_stream *stream; /* NULL: it has ended */
    const struct mux_method *method;
    cs_ref message;
    unsigned messages;
    bool asked, answered;
};

static void request_free(mux_request *request)
{
    cs_ref_drop(&request->message);
    cs_free(request);
}

static void on_readable(mux_stream *stream, void *state)
{
    mux_request *request = state;
    cs_bytes message;
    cs_err err = CS_OK;
    while (!request->asked && err == CS_OK && (err = mux_stream_recv(stream, &message)) == CS_OK) {
        request->messages++;
        err = request->messages == 1 ? cs_ref_copy(message, &request->message) : CS_DONE;
        if (err == CS_ENOMEM)
            mux_stream_finish(stream, err, NULL);
    }
    if (err != CS_DONE || request->asked)
        return;
    if (request->messages != 1) {
        mux_stream_finish(stream, CS_ENOTSUP, "the method takes one message");
        return;
    }
    request->asked = true;
    request->method->fn(request, request->message.bytes, request->method->user);
}

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    mux_request *request = state;
    (void)stream;
    (void)why;
    request->stream = NULL;
    if (!request->asked || request->answered)
        request_free(request); /* else who was asked still has it */
}

static void on_refused(mux_stream *stream, cs_err why, void *state)
{
    (void)stream;
    (void)why;
    (void)state;
}

void mux_serve_unary(mux_stream *stream, void *method)
{
    static const struct mux_stream_ops ops = {.readable = on_readable, .end = on_end};
    static const struct mux_stream_ops refused = {.end = on_refused};
    mux_request *request = cs_zalloc(sizeof *request);
    if (!request) {
        (void)mux_stream_accept(stream, &refused, NULL); /* needs no memory */
        mux_stream_finish(stream, CS_ENOMEM, NULL);
        return;
    }
    request->stream = stream;
    request->method = method;
    (void)mux_stream_accept(stream, &ops, request);
}

void mux_request_answer(mux_request *request, cs_err status, cs_bytes reply, const char *errmsg)
{
    mux_stream *stream = request->stream;
    request->answered = true;
    if (!stream) {
        request_free(request);
        return;
    }
    if (!cs_failed(status)) {
        cs_err err = mux_stream_send(stream, reply, cs_bytes_of(NULL, 0));
        if (err != CS_OK)
            status = err;
    }
    mux_stream_finish(stream, status, errmsg);
}

mux_stream *mux_request_stream(const mux_request *request)
{
    return request->stream;
}
