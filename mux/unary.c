/* unary -- calls of one message each way, made again when they certainly never ran. */
#include "base/ref.h"
#include "mux/mux__in.h"

enum { TRIES = 4, PAUSE_MS = 50 };

struct mux_call {
    struct cs_link link_in; /* of the front's unaries */
    mux_conn *conn;
    mux_stream *stream; /* NULL between two tries */
    char *method;
    cs_ref request;
    struct mux__meta *metadata;
    struct mux_call_options options;
    int64_t deadline_ms; /* -1: none */
    unsigned tries;
    cs_timer *pause;
    cs_task task; /* the end of a call that has no stream */
    cs_err why;   /* what it says */
    char *story;
    cs_ref reply;
    unsigned replies;
    mux_reply_fn *fn;
    void *user;
};

static void call_free(mux_call *call)
{
    mux_conn *conn = call->conn;
    cs_task_drop(&call->task);
    cs_unlink(&call->link_in);
    cs_timer_free(call->pause);
    cs_ref_drop(&call->request);
    cs_ref_drop(&call->reply);
    mux__meta_free(call->metadata);
    cs_free(call->method);
    cs_free(call->story);
    cs_free(call);
    mux__conn_stream_gone(conn); /* it may wait for this */
}

static void over(mux_call *call, cs_err err, const char *story)
{
    static const cs_bytes none = {"", 0};
    call->fn(err, err == CS_OK ? call->reply.bytes : none, err == CS_OK ? "" : story, call->user);
    call_free(call);
}

static void on_task(cs_task *task)
{
    mux_call *call = CS_CONTAINER(task, mux_call, task);
    over(call, call->why, call->story ? call->story : cs_strerror(call->why));
}

/* Without a stream its end has to be told in a turn of its own. */
static void over_soon(mux_call *call, cs_err why)
{
    if (call->pause)
        cs_timer_set(call->pause, CS_OFF);
    call->why = why;
    cs_task_post(call->conn->loop, CS_CALL, &call->task);
}

/* ---- A try ---------------------------------------------------------------------------------- */

static const struct mux_stream_ops ops;

static int64_t time_left(const mux_call *call)
{
    return call->deadline_ms < 0 ? INT32_MAX : call->deadline_ms - cs_loop_now_ms(call->conn->loop);
}

static cs_err try_it(mux_call *call)
{
    if (time_left(call) <= 0) /* the loop was busy; and to mux_stream_open() 0 is none */
        return CS_ETIMEOUT;
    cs_ref request = cs_ref_dup(call->request);
    call->tries++;
    if (call->deadline_ms >= 0)
        call->options.timeout_ms = (int)time_left(call);
    cs_err err =
        mux_stream_open(call->conn, call->method, &call->options, &ops, call, &call->stream);
    if (err == CS_OK) {
        cs_err sent = mux_stream_send_ref(call->stream, cs_bytes_of(NULL, 0), &request);
        if (sent == CS_OK)
            mux_stream_finish(call->stream, CS_OK, NULL);
        else
            mux_stream_cancel(call->stream, sent);
    }
    cs_ref_drop(&request);
    return err;
}

static void on_pause(void *user)
{
    mux_call *call = user;
    cs_err err = try_it(call);
    if (err != CS_OK)
        over_soon(call, err);
}

/* False: there is no time for it, or no memory. */
static bool try_again(mux_call *call, cs_err why)
{
    int pause = why == CS_EDRAIN ? 0 : mux__pause_ms(PAUSE_MS, INT32_MAX, call->tries - 1);
    if (call->tries >= TRIES || time_left(call) <= pause)
        return false;
    if (!call->pause && cs_timer_new(call->conn->loop, on_pause, call, &call->pause) != CS_OK)
        return false;
    cs_free(call->story);
    call->story = NULL;
    call->stream = NULL;
    cs_timer_set(call->pause, pause);
    return true;
}

/* ---- What happens to it --------------------------------------------------------------------- */

static void on_readable(mux_stream *stream, void *state)
{
    mux_call *call = state;
    cs_bytes message;
    while (mux_stream_recv(stream, &message) == CS_OK) {
        call->replies++;
        cs_err err = call->replies == 1 ? cs_ref_copy(message, &call->reply) : CS_EPROTO;
        if (err == CS_OK)
            continue;
        if (err == CS_EPROTO)
            cs_story(&call->story, "the server answered several messages, and not one");
        mux_stream_cancel(stream, err);
        call->why = err;
        break;
    }
}

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    mux_call *call = state;
    bool may = why == CS_EUNAVAIL || why == CS_EDRAIN || why == CS_EPEER;
    if (call->why != CS_OK) /* it was we who gave it up, whatever the status says by now */
        why = call->why;
    else if (may && mux_stream_never_ran(stream) && try_again(call, why))
        return;
    if (why == CS_DONE && call->replies == 0) {
        why = CS_EPROTO;
        cs_story(&call->story, "the server answered no message");
    }
    over(call, why == CS_DONE ? CS_OK : why, call->story ? call->story : mux_stream_errmsg(stream));
}

static const struct mux_stream_ops ops = {.readable = on_readable, .end = on_end};

void mux__unaries_end(struct mux__front *front)
{
    struct cs_link *link = cs_list_first(&front->unaries);
    for (; link; link = cs_list_next(&front->unaries, link)) {
        mux_call *call = CS_CONTAINER(link, mux_call, link_in);
        if (!call->stream)
            over_soon(call, CS_ECANCELED);
    }
}

/* ---- Made ----------------------------------------------------------------------------------- */

static cs_err keep(mux_call *call, const char *method, cs_bytes request,
                   const struct mux_call_options *options)
{
    cs_err err = cs_ref_copy(request, &call->request);
    call->method = cs_strdup(method);
    if (err == CS_OK && !call->method)
        err = CS_ENOMEM;
    if (!options || err != CS_OK)
        return err;
    call->options = *options;
    if (options->timeout_ms > 0)
        call->deadline_ms = cs_loop_now_ms(call->conn->loop) + options->timeout_ms;
    if (options->metadata_len > 0)
        err = mux__meta_make(&call->metadata);
    for (size_t i = 0; i < options->metadata_len && err == CS_OK; i++)
        err = mux__meta_add(call->metadata, options->metadata[i].name, options->metadata[i].value);
    call->options.metadata = call->metadata ? call->metadata->pairs : NULL;
    return err;
}

cs_err mux_unary(mux_conn *conn, const char *method, cs_bytes request,
                 const struct mux_call_options *options, mux_reply_fn *reply, void *user,
                 mux_call **ret)
{
    if (!reply)
        return CS_EMISUSE;
    mux_call *call = cs_zalloc(sizeof *call);
    if (!call)
        return CS_ENOMEM;
    call->conn = conn;
    call->fn = reply;
    call->user = user;
    call->deadline_ms = -1;
    cs_link_init(&call->link_in);
    cs_task_init(&call->task, on_task);
    cs_err err = keep(call, method, request, options);
    if (err == CS_OK)
        err = try_it(call);
    if (err != CS_OK) {
        call_free(call);
        return err;
    }
    cs_list_push(&conn->front->unaries, &call->link_in);
    if (ret)
        *ret = call;
    return CS_OK;
}

void mux_call_cancel(mux_call *call)
{
    if (!call->stream)
        over_soon(call, CS_ECANCELED);
    else {
        if (call->why == CS_OK)
            call->why = CS_ECANCELED;
        mux_stream_cancel(call->stream, CS_ECANCELED);
    }
}

const mux_stream *mux_call_stream(const mux_call *call)
{
    return call->stream;
}
