/* stream -- life of a call, on both sides.
 *
 *     opened or accepted ──▶ runs ──▶ over (the wire is done with it) ──▶ end() ──▶ gone
 *
 * Whatever happens is noted here and told by the call task, in the CALL phase, once a turn: accept, then
 * readable, writable, end.  Between `over` and end() lies only what the owner has not taken yet. */
#include "mux/held.h"
#include "mux/mux__in.h"

static void call(cs_task *task);

cs_err mux__stream_begin(mux_stream *stream, mux_conn *conn, const struct mux_stream_ops *ops,
                         void *state)
{
    stream->conn = conn;
    stream->is_server = conn->is_server;
    stream->gzip_out = conn->opt.gzip && !conn->is_server; /* a server's: if the request lists it */
    cs_link_init(&stream->link_in);
    cs_task_init(&stream->call, call);
    stream->send_max = MUX__SEND_MAX;
    stream->window = (uint32_t)conn->opt.window_bytes;
    stream->born_ms = (uint32_t)cs_loop_now_ms(conn->loop);
    if (ops && mux_stream_accept(stream, ops, state) != CS_OK)
        return CS_ENOMEM;
    cs_list_push(&conn->streams, &stream->link_in);
    conn->stats->streams++;
    conn->stats->streams_total++;
    return CS_OK;
}

mux_stream *mux__stream_new(mux_conn *conn, const struct mux_stream_ops *ops, void *state)
{
    mux_stream *stream = cs_zalloc(sizeof *stream);
    if (stream && mux__stream_begin(stream, conn, ops, state) != CS_OK) {
        cs_free(stream);
        return NULL;
    }
    return stream;
}

cs_err mux_stream_accept(mux_stream *stream, const struct mux_stream_ops *ops, void *state)
{
    if (stream->accepted || !ops->end)
        return CS_EMISUSE;
    if (ops->state_bytes > 0) {
        void *copy = cs_zalloc(ops->state_bytes);
        stream->no_memory = !copy;
        if (!copy)
            return CS_ENOMEM;
        if (state)
            memcpy(copy, state, ops->state_bytes);
        state = copy;
        stream->owns_state = true;
    }
    stream->ops = ops;
    stream->state = state;
    stream->accepted = true;
    return CS_OK;
}

static void state_free(mux_stream *stream)
{
    if (stream->owns_state)
        cs_free(stream->state);
    stream->owns_state = false;
}

void mux_stream_hand_over(mux_stream *stream, const struct mux_stream_ops *ops, void *state)
{
    state_free(stream);
    stream->ops = ops;
    stream->state = state;
}

struct mux__extra *mux__stream_extra(mux_stream *stream)
{
    struct mux__extra **extra = stream->lasts ? &stream->more.lasting->extra : &stream->more.extra;
    if (!*extra)
        *extra = cs_zalloc(sizeof **extra);
    return *extra;
}

static void extra_free(struct mux__extra *extra)
{
    if (!extra)
        return;
    cs_timer_free(extra->deadline);
    cs_free(extra->peer);
    mux__meta_free(extra->headers);
    mux__meta_free(extra->trailers);
    mux__meta_free(extra->own_headers);
    mux__meta_free(extra->own_trailers);
    cs_free(extra->story);
    cs_free(extra);
}

void mux__inflow_free(mux_stream *stream)
{
    struct mux__inflow *in = mux__inflow_of(stream);
    if (!in)
        return;
    mux__held_half_gone(stream);
    mux_rx_fini(&in->rx);
    mux__count_anew(&in->counting);
    cs_free(in);
    stream->rx = NULL;
    mux__held_room(stream->conn);
}

void mux__stream_free(mux_stream *stream)
{
    mux_conn *conn = stream->conn;
    cs_task_drop(&stream->call);
    cs_unlink(&stream->link_in);
    conn->grown -= stream->window - conn->opt.window_bytes;
    mux__inflow_free(stream);
    mux__sendq_fini(&stream->out);
    mux__held_list_gone(stream);
    mux_stream_hold(stream, 0);
    extra_free(mux__extra_of(stream));
    state_free(stream);
    if (stream->lasts)
        mux__lasting_free(stream);
    else
        cs_free(stream);
    conn->stats->streams--;
    mux__conn_stream_gone(conn);
}

void mux__stream_post(mux_stream *stream)
{
    cs_task_post(stream->conn->loop, CS_CALL, &stream->call);
}

/* A server has nobody to answer any more: its end() need not wait. */
static bool all_taken(const mux_stream *stream)
{
    return stream->is_server || stream->drop_rx || stream->dry || !stream->rx ||
           !mux_rx_partial(stream->rx);
}

/* A message that was begun and not ended is not a good end, whatever the status says. */
static void check_truncated(mux_stream *stream)
{
    if (stream->why != CS_DONE || stream->drop_rx || !stream->rx || !mux_rx_partial(stream->rx))
        return;
    stream->why = CS_EPROTO;
    mux__stream_tell(stream, "the stream ended in the middle of a message");
}

static void call(cs_task *task)
{
    mux_stream *stream = CS_CONTAINER(task, mux_stream, call);
    if (stream->acceptable && !mux__call_waits(stream)) {
        stream->acceptable = false;
        if (!stream->over)
            mux__call_request_ready(stream);
    }
    if (stream->lasts)
        mux__lasting_tell(stream);
    if (stream->ops && stream->told) {
        stream->told = false;
        if (stream->ops->readable && !stream->drop_rx && !(stream->over && all_taken(stream)))
            stream->ops->readable(stream, stream->state);
    }
    const struct mux_stream_ops *ops = stream->ops; /* perhaps it was handed over */
    if (stream->wake_due) {
        stream->wake_due = false;
        mux_stream_wake(stream);
    }
    if (ops && stream->writable_due && !stream->over && mux_stream_room(stream) > 0) {
        stream->writable_due = false;
        if (ops->writable)
            ops->writable(stream, stream->state);
    }
    if (stream->is_server && stream->remote_done && stream->dry)
        mux__inflow_free(stream); /* the request was read: an idle answer keeps no memory for it */
    if (!stream->over || (ops && !all_taken(stream)))
        return;
    check_truncated(stream);
    if (ops)
        ops->end(stream, stream->why, stream->state);
    mux__stream_free(stream);
}

void mux__stream_tell(mux_stream *stream, const char *format, ...)
{
    struct mux__extra *extra = mux__stream_extra(stream);
    va_list args;
    va_start(args, format);
    char *text = extra ? cs_vprintf(format, args) : NULL;
    va_end(args);
    if (!text)
        return;
    /* Only now: the arguments may quote the old one. */
    cs_free(extra->story);
    extra->story = text;
}

void mux__stream_over(mux_stream *stream, cs_err why, const char *story)
{
    if (stream->over)
        return;
    stream->over = true;
    stream->why = why;
    stream->drop_rx = stream->drop_rx || (stream->is_server && !stream->hears_out);
    /* end() waits for what was not taken, and who waits to send may wait for end(). */
    stream->told = stream->told || stream->writable_due || stream->passes;
    if (story && story != mux__story_of(stream))
        mux__stream_tell(stream, "%s", story);
    if (mux__extra_of(stream) && mux__extra_of(stream)->deadline)
        cs_timer_set(mux__extra_of(stream)->deadline, CS_OFF);
    if (stream->waits)
        mux__front_give_up(stream);
    if (stream->conn->h2 && stream->id > 0)
        mux__h2_detach(stream);
    mux__sendq_fini(&stream->out);
    mux__stream_post(stream);
}

void mux__stream_kill(mux_stream *stream, enum wire_reason reason)
{
    cs_err err = wire_reason_err(reason);
    if (stream->over)
        return;
    if (!stream->is_server) {
        mux__h2_reset(stream, false);
        mux__conn_flush_soon(stream->conn);
        mux__stream_over(stream, err, wire_reason_words(reason));
        return;
    }
    /* Without memory for the trailer the code alone has to do. */
    (void)mux__stream_reason(stream, reason);
    stream->drop_rx = true;
    mux_stream_abort(stream, err, wire_reason_words(reason));
}

/* ---- Opening and ending --------------------------------------------------------------------- */

/* What we say around our messages. */
static cs_err set(mux_stream *stream, bool trailer, cs_bytes name, cs_bytes value)
{
    if (!(stream->plain ? mux__plain_field_ok(name, value) : mux_metadata_ok(name, value)))
        return CS_EMISUSE;
    if (stream->framed && !trailer)
        return mux__plain_wrap(stream, name, value);
    struct mux__extra *extra = mux__stream_extra(stream);
    if (!extra)
        return CS_ENOMEM;
    struct mux__meta **meta = trailer ? &extra->own_trailers : &extra->own_headers;
    cs_err err = mux__meta_make(meta);
    if (err != CS_OK)
        return err;
    if (stream->lasts) /* what is said on every stream again has one value */
        mux__meta_remove(*meta, name);
    return mux__meta_add(*meta, name, value);
}

cs_err mux__stream_options(mux_stream *stream, const struct mux_call_options *options)
{
    if (options->send_max_bytes > 0)
        stream->send_max =
            options->send_max_bytes < INT32_MAX ? (uint32_t)options->send_max_bytes : INT32_MAX;
    stream->patient = options->wait_for_ready;
    cs_err err = CS_OK;
    for (size_t i = 0; i < options->metadata_len && err == CS_OK; i++)
        err = set(stream, false, options->metadata[i].name, options->metadata[i].value);
    if (err == CS_OK && options->timeout_ms > 0)
        err = mux__stream_set_deadline(stream, options->timeout_ms);
    return err;
}

cs_err mux_stream_open(mux_conn *conn, const char *method, const struct mux_call_options *options,
                       const struct mux_stream_ops *ops, void *state, mux_stream **ret)
{
    cs_err err = CS_OK;
    if (method[0] != '/' || !strchr(method + 1, '/') || !ops || !ops->end)
        return CS_EMISUSE;
    if (conn->freed || conn->state == MUX__OVER)
        return CS_ECANCELED;
    mux_stream *stream = mux__stream_new(conn, ops, state);
    if (!stream)
        return CS_ENOMEM;
    stream->what.method = method;
    if (options)
        err = mux__stream_options(stream, options);
    if (err == CS_OK)
        err = mux__front_open(stream);
    if (err == CS_OK)
        *ret = stream;
    else
        mux__stream_free(stream);
    return err;
}

void mux_stream_finish(mux_stream *stream, cs_err status, const char *message)
{
    if (stream->over || stream->finished)
        return;
    if (stream->plain && cs_failed(status)) {
        mux_stream_abort(stream, status, message);
        return;
    }
    stream->finished = true;
    if (stream->is_server) {
        stream->status = status;
        if (cs_failed(status))
            mux__stream_tell(stream, "%s", message ? message : cs_strerror(status));
        if (stream->lasts)
            mux__stream_post(stream); /* its owner need not wait until all has arrived */
        if (stream->cut)
            return;
        if (!stream->submitted)
            mux__call_answer(stream);
        else if (mux__sendq_is_empty(&stream->out) && !stream->in_pull)
            mux__call_trailers(stream);
    }
    if (stream->submitted && !stream->in_pull)
        mux__h2_resume(stream);
    mux__conn_flush_soon(stream->conn);
}

void mux_stream_abort(mux_stream *stream, cs_err status, const char *message)
{
    if (stream->over || stream->aborted || stream->trailers_out)
        return;
    stream->finished = stream->aborted = true;
    if (!cs_failed(status)) /* an abortive end is never OK */
        status = CS_EUNKNOWN;
    stream->status = status;
    mux__stream_tell(stream, "%s", message ? message : cs_strerror(stream->status));
    mux__sendq_cut(&stream->out, stream->reserved);
    if (stream->lasts)
        mux__stream_post(stream);
    if (stream->cut)
        return;
    if (!stream->submitted)
        mux__call_answer(stream);
    else
        mux__call_trailers(stream);
    mux__conn_flush_soon(stream->conn);
}

void mux_stream_cancel(mux_stream *stream, cs_err why)
{
    if (stream->over) { /* end() waits for what was not taken: that is given up now */
        stream->drop_rx = true;
        mux__stream_post(stream);
        return;
    }
    stream->drop_rx = true;
    mux__h2_reset(stream, false);
    mux__conn_flush_soon(stream->conn);
    mux__stream_over(stream, why, cs_strerror(why));
}

static void on_deadline(void *user)
{
    mux_stream *stream = user;
    if (!stream->acceptable) {
        mux__stream_kill(stream, WIRE_R_DEADLINE);
        return;
    }
    stream->impatient = true; /* mux__call_waits() */
    mux__stream_post(stream);
}

cs_err mux__stream_set_deadline(mux_stream *stream, int64_t ms)
{
    struct mux__extra *extra = mux__stream_extra(stream);
    if (!extra)
        return CS_ENOMEM;
    cs_err err = cs_timer_new(stream->conn->loop, on_deadline, stream, &extra->deadline);
    if (err != CS_OK)
        return err;
    if (ms > INT32_MAX)
        ms = INT32_MAX; /* 24 days */
    extra->deadline_ms = cs_loop_now_ms(stream->conn->loop) + ms;
    cs_timer_set(extra->deadline, (int)ms);
    return CS_OK;
}

/* ---- What a server says around its messages ------------------------------------------------- */

cs_err mux_stream_set_header(mux_stream *stream, const char *name, cs_bytes value)
{
    if (!stream->is_server || stream->submitted || stream->over)
        return CS_EMISUSE;
    return set(stream, false, cs_str(name), value);
}

cs_err mux_stream_set_trailer(mux_stream *stream, const char *name, cs_bytes value)
{
    if (!stream->is_server || stream->trailers_out || stream->over)
        return CS_EMISUSE;
    return set(stream, true, cs_str(name), value);
}

cs_err mux__stream_reason(mux_stream *stream, enum wire_reason reason)
{
    return set(stream, true, cs_str("chanserv-reason"), cs_str(wire_reason_token(reason)));
}

void mux_stream_send_headers(mux_stream *stream)
{
    if (stream->is_server && !stream->submitted && !stream->over && !stream->cut)
        mux__call_answer(stream);
}
