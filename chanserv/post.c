/* post -- the life of a post: from the checks, through its source function and next(), to end().
 *
 *      request -> checks -> function -> next() ... -> closing -> stream over -> outlets gone -> end
 *
 * A refusal is a Trailers-Only answer and means: the function never ran.  Once it
 * was called, response HEADERS are sent whatever it answers, so that nobody posts again what may
 * have had an effect. */
#include "chanserv/loops__in.h"
#include "chanserv/session__in.h"

/* next() is asked this often before others get their turn; and for no more than the stream takes up at
 * once, so that sources which nobody has heard of are few (DESIGN, promise 5). */
enum { NEXT_MAX = 256, AHEAD = 16 * 1024 };

/* ---- Its clocks ----------------------------------------------------------------------------- */

static void serving_due(void *user)
{
    chanserv__post_cut(user, WIRE_R_DEADLINE, CS_ETIMEOUT);
}

/* Silence is the producer's only while nothing waits for the client. */
static void sourcing_due(void *user)
{
    chanserv_post *post = user;

    if (post->closing)
        return;
    if (cs_list_empty(&post->queue))
        chanserv__post_cut(post, WIRE_R_DEADLINE, CS_ETIMEOUT);
    else
        cs_timer_set(post->sourcing, post->server->options.sourcing_timeout_ms);
}

static cs_err clock_start(chanserv_post *post, int after_ms, void (*due)(void *user),
                          cs_timer **timer)
{
    cs_err err;

    if (after_ms == CS_OFF)
        return CS_OK;
    err = cs_timer_new(post->server->loop, due, post, timer);
    if (err == CS_OK)
        cs_timer_set(*timer, after_ms);
    return err;
}

/* ---- Running -------------------------------------------------------------------------------- */

static void close_with(chanserv_post *post, cs_err status)
{
    if (post->closing)
        return;
    post->closing = true;
    post->status = status == CS_OK ? CS_DONE : status;
    if (!cs_failed(post->status) && (post->lost || post->refused)) {
        post->status = post->lost ? post->lost : CS_ELIMIT;
        post->framework = chanserv__reason_of(post->status);
        chanserv_post_fail(post, post->status, "announcement lost: %s",
                           cs_strerror(post->lost ? post->lost : CS_AGAIN));
    }
    if (!post->in_function)
        mux_stream_wake(post->stream);
}

/* What the source function, or next(), said. */
static void answered(chanserv_post *post, cs_err answer)
{
    bool has_next = post->kept && post->ops->next;
    bool can_go_on = has_next || (post->kept && answer == CS_AGAIN);

    if (post->closing)
        return;
    if (answer == CS_DONE || cs_failed(answer)) {
        close_with(post, answer);
    } else if (!can_go_on) {
        chanserv_post_fail(post, CS_EMISUSE,
                           "the source function wants to go on without chanserv_post_keep()");
        close_with(post, CS_EMISUSE);
    } else {
        /* Told to wait by announce(): it comes again by itself when there is room. */
        post->hungry = has_next && (post->hungry || answer == CS_OK || post->refused);
    }
}

static bool may_ask(const chanserv_post *post)
{
    return !post->full && !post->closing && post->queue_bytes < AHEAD;
}

void chanserv__post_run(cs_task *task)
{
    chanserv_post *post = CS_CONTAINER(task, chanserv_post, task);

    for (int i = 0; post->hungry && may_ask(post); i++) {
        if (i == NEXT_MAX) {
            cs_task_post(post->server->loop, CS_CALL, task);
            return;
        }
        post->hungry = false; /* unless it is woken meanwhile, or its answer says so */
        answered(post, post->ops->next(post, post->state));
    }
}

void chanserv_post_wake(chanserv_post *post)
{
    if (post->closing || !post->ops || !post->ops->next)
        return;
    post->hungry = true;
    if (may_ask(post))
        cs_task_post(post->server->loop, CS_CALL, &post->task);
}

void chanserv__post_room(chanserv_post *post)
{
    const struct chanserv_server_options *options = &post->server->options;

    if (post->full && post->queue_bytes < (uint64_t)options->post_queue_bytes &&
        post->unopened < (uint64_t)options->post_sources_max)
        post->full = false;
    if (post->hungry && may_ask(post))
        cs_task_post(post->server->loop, CS_CALL, &post->task);
}

void chanserv_post_finish(chanserv_post *post, cs_err status)
{
    if (status == CS_AGAIN)
        status = CS_EMISUSE;
    if (post->stream)
        close_with(post, status);
}

cs_err chanserv_post_fail(chanserv_post *post, cs_err err, const char *format, ...)
{
    char *message;
    va_list args;

    va_start(args, format);
    message = cs_vprintf(format, args);
    va_end(args);
    if (message) {
        cs_free(post->message);
        post->message = message;
    }
    return err;
}

cs_err chanserv_post_keep(chanserv_post *post, const struct chanserv_post_ops *ops, void *state)
{
    if (!post->in_function || post->kept || !ops)
        return CS_EMISUSE;
    for (size_t i = 0; i < sizeof ops->reserved / sizeof *ops->reserved; i++) {
        if (ops->reserved[i])
            return CS_EMISUSE;
    }
    post->state = state;
    if (ops->state_bytes) {
        post->state = post->state_block = cs_zalloc(ops->state_bytes);
        if (!post->state)
            return CS_ENOMEM;
        if (state)
            memcpy(post->state, state, ops->state_bytes);
    }
    post->ops = ops;
    post->kept = true;
    return CS_OK;
}

/* ---- The method ----------------------------------------------------------------------------- */

/* WIRE_NO_REASON: all passed. */
static enum wire_reason check(chanserv_server *server, mux_stream *stream,
                              const struct wire_post *asked, struct chanserv__service **ret,
                              char *words)
{
    cs_err err;

    if (!wire_service_name_ok(asked->service) || (asked->from > 0 && !asked->channel.present)) {
        server->counters.posts_refused_bad++;
        return WIRE_R_BAD_REQUEST;
    }
    if (server->dying || server->drain.stage != CHANSERV__SERVES) {
        server->counters.posts_refused_draining++;
        return WIRE_R_DRAINING;
    }
    if (!chanserv__in_space(server, asked->service)) {
        server->counters.posts_refused_no_service++;
        return WIRE_R_NO_SERVICE;
    }
    /* First of all about the name: who may not use it does not learn whether it is there. */
    err = chanserv__authorise(server, CHANSERV_POST, chanserv__short_name(server, asked->service),
                              stream, words);
    if (err != CS_OK) {
        server->counters.posts_refused_denied++;
        return err == CS_EAUTH ? WIRE_R_NO_IDENTITY : WIRE_R_DENIED;
    }
    if (chanserv__total_is(&server->totals->posts, server->options.posts_max)) {
        server->counters.posts_refused_limit++;
        return WIRE_R_LIMIT;
    }
    if (chanserv__memory_is_short(server)) {
        server->counters.posts_refused_memory++;
        return WIRE_R_LIMIT;
    }
    if (server->dying) /* the hook may have freed it, */
        return WIRE_R_DRAINING;
    *ret = cs_names_get(&server->services, asked->service); /* or changed what is served */
    server->counters.posts_refused_no_service += !*ret;
    return *ret ? WIRE_NO_REASON : WIRE_R_NO_SERVICE;
}

/* Everything that may fail, before the function is called. */
static cs_err prepare(chanserv_post *post)
{
    chanserv_server *server = post->server;
    cs_err err =
        mux_stream_set_header(post->stream, "chanserv-instance", cs_str(server->instance_hex));

    if (err == CS_OK)
        err = clock_start(post, server->options.serving_timeout_ms, serving_due, &post->serving);
    if (err == CS_OK)
        err = clock_start(post, server->options.sourcing_timeout_ms, sourcing_due, &post->sourcing);
    return err;
}

static void run_function(chanserv_post *post, chanserv_source_fn *fn, void *user)
{
    cs_err answer;

    post->server->counters.posts_total++;
    post->in_function = true;
    answer = fn(post, post->body, user);
    post->in_function = false;
    if (!post->kept)
        chanserv__post_body_free(post);
    mux_stream_send_headers(post->stream);
    if (!cs_list_empty(&post->queue) || post->closing)
        mux_stream_wake(post->stream);
    answered(post, answer);
    if (post->hungry)
        cs_task_post(post->server->loop, CS_CALL, &post->task);
}

/* Of a post that names a session: a number that is known goes on there.  WIRE_NO_REASON with a channel:
 * answered. */
static enum wire_reason check_session(chanserv_server *server, mux_stream *stream,
                                      const struct wire_post *asked, struct chanserv__session **ret,
                                      struct chanserv__channel **known)
{
    enum wire_reason refusal;

    if (!asked->channel.present || !wire_service_name_ok(asked->service))
        return WIRE_NO_REASON;
    refusal = chanserv__session_find(server, stream, &asked->channel, ret);
    if (refusal != WIRE_NO_REASON)
        return refusal;
    *known = cs_row_get(&(*ret)->channels, asked->channel.number);
    if (*known)
        chanserv__channel_attach(*known, stream, true, asked->from);
    else if (asked->from > 0)
        return WIRE_R_LOST; /* what was received of it came from nowhere */
    return WIRE_NO_REASON;
}

/* NULL: no memory, or one post too many of somebody; nothing is left of it. */
static chanserv_post *post_new(chanserv_server *server, mux_stream *stream,
                               const struct wire_post *asked, struct chanserv__session *session)
{
    struct chanserv__owner *owner =
        session ? chanserv__owner_hold(session->owner) : chanserv__owner_of(server, stream);
    chanserv_post *post = NULL;
    cs_err err;

    if (!owner)
        return NULL;
    if (!chanserv__owner_is_full(owner, owner->posts, server->options.posts_peer_max,
                                 "posts_peer_max", &server->counters.posts_peer_refused))
        post = chanserv__post_new(server, stream, asked, owner);
    if (!post) {
        chanserv__owner_drop(server, owner);
        return NULL;
    }
    err = prepare(post);

    if (err == CS_OK && session)
        err = chanserv__channel_new(session, asked->channel.number, stream, post, NULL, 0,
                                    &post->channel);
    if (err == CS_OK)
        return post;
    chanserv__post_count(post, -1);
    chanserv__post_free(post);
    return NULL;
}

static void post_asked(mux_stream *stream, struct chanserv__call *call,
                       const struct wire_post *asked)
{
    chanserv_server *server = call->server;
    struct chanserv__service *service = NULL;
    struct chanserv__session *session = NULL;
    struct chanserv__channel *known = NULL;
    char words[CHANSERV_WHY_MAX] = "";
    chanserv_post *post = NULL;
    enum wire_reason refusal = check_session(server, stream, asked, &session, &known);

    if (refusal == WIRE_NO_REASON && !known)
        refusal = check(server, stream, asked, &service, words);
    if (refusal == WIRE_NO_REASON && !known && !(post = post_new(server, stream, asked, session)))
        refusal = WIRE_R_LIMIT;
    if (refusal != WIRE_NO_REASON)
        chanserv__refuse(stream, refusal, words[0] ? words : NULL);
    if (!post)
        return;
    call->object = post;
    post->request = call->request;
    call->request = NULL;
    post->body = asked->body;
    CS_TRACE("server > post %.*s, %zu bytes", CS_FMT(post->service), post->body.len);
    run_function(post, service->fn, service->user);
}

static void post_request(mux_stream *stream, struct chanserv__call *call)
{
    const cs_bytes request = cs_bytes_of(call->request, call->request_len);
    struct wire_post asked;

    call->request = NULL; /* who passes it on has no call any more */
    if (wire_post_parse(request, &asked) != CS_OK) {
        call->server->counters.posts_refused_bad++;
        chanserv__refuse(stream, WIRE_R_BAD_REQUEST, NULL);
    } else if (!chanserv__route_post(stream, call->server, &asked, request)) {
        call->request = (char *)(uintptr_t)request.base;
        post_asked(stream, call, &asked);
        chanserv__call_clear(call);
        return;
    }
    cs_free((void *)(uintptr_t)request.base);
}

static void readable(mux_stream *stream, void *state)
{
    if (chanserv__call_read(stream, state) == CS_OK)
        post_request(stream, state);
}

static const struct mux_stream_ops master_ops = {
    .state_bytes = sizeof(struct chanserv__call),
    .readable = readable,
    .pull = chanserv__announce_pull,
    .end = chanserv__post_stream_end,
};

void chanserv__post_accept(mux_stream *stream, void *user)
{
    struct chanserv__call call = {.server = user};

    if (mux_stream_accept(stream, &master_ops, &call) == CS_OK)
        call.server->calls++;
}
