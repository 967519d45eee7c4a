/* announce -- the queue of announcements of a post, and how each is said on the master stream.
 *
 * chanserv_announce() only queues.  The master stream pulls: an outlet gets its ticket, an eager
 * one is asked for frames that ride along, and what is said moves from `queue` to `waiting`.
 * Nothing of the user's runs inside announce(); an outlet that finished before it was said is
 * announced with its end and no ticket. */
#include "chanserv/session__in.h"

#include "mux/held.h"

/* What an announcement weighs in the queue besides its header: ticket, numbers, its record. */
enum { WEIGHT = 64, INLINE_WEIGHT = 8 };
enum { FEW = 2048 }; /* bytes of an announcement; longer ones cost an allocation */

/* ---- Queueing ------------------------------------------------------------------------------- */

/* What would have been lost in silence if the producer looked away. */
cs_err chanserv__announce_lost(chanserv_post *post, cs_err err)
{
    if (!post->lost)
        post->lost = err;
    return err;
}

/* CS_OK: it may be announced now. */
cs_err chanserv__announce_check(chanserv_post *post, cs_bytes header)
{
    chanserv_server *server = post->server;
    const struct chanserv_server_options *options = &server->options;

    if (!post->stream || post->closing || server->dying)
        return CS_ECANCELED;
    if (header.len > (uint64_t)options->header_max_bytes)
        return chanserv__announce_lost(post, CS_ETOOBIG);
    /* Once one was told to wait all are, so that a short one does not pass a long one. */
    if (post->full ||
        (post->queue_bytes > 0 &&
         (post->queue_bytes + header.len + WEIGHT > (uint64_t)options->post_queue_bytes ||
          mux_stream_is_crowded(post->stream))) ||
        post->unopened >= (uint64_t)options->post_sources_max) {
        if (post->unopened >= (uint64_t)options->post_sources_max)
            server->counters.announce_unopened++;
        else
            server->counters.announce_again++;
        post->full = post->refused = true;
        return CS_AGAIN;
    }
    if (chanserv__total_is(&server->totals->outlets, options->sources_max)) {
        server->counters.announce_refused_limit++;
        return chanserv__announce_lost(post, CS_ELIMIT);
    }
    return CS_OK;
}

static void queued(chanserv_post *post, int64_t bytes)
{
    post->queue_bytes += (size_t)bytes;
    mux_stream_hold(post->stream, post->queue_bytes);
}

void chanserv__announce_queue(chanserv_outlet *o)
{
    chanserv_post *post = o->post;

    o->life = CHANSERV__QUEUED;
    cs_list_push(&post->queue, &o->link);
    queued(post, (int64_t)(chanserv__outlet_header(o).len + WEIGHT));
    post->unopened++;
    post->refused = false;
    post->server->counters.sources_total++;
    post->server->counters.sources_waiting++;
    if (post->sourcing)
        cs_timer_set(post->sourcing, post->server->options.sourcing_timeout_ms);
    if (!post->in_function) /* waking sends HEADERS, and the function may still set some */
        mux_stream_wake(post->stream);
}

static bool ops_ok(const struct chanserv_outlet_ops *ops)
{
    if (!ops || (ops->next && ops->next_ref))
        return false;
    if (ops->uplink ? false : ops->readable || (!ops->next && !ops->next_ref))
        return false;
    for (size_t i = 0; i < sizeof ops->reserved / sizeof *ops->reserved; i++) {
        if (ops->reserved[i])
            return false;
    }
    return true;
}

cs_err chanserv_announce(chanserv_post *post, cs_bytes header,
                         const struct chanserv_outlet_ops *ops, void *state, chanserv_outlet **ret)
{
    chanserv_outlet *o;
    cs_err err;

    if (!ops_ok(ops))
        return chanserv__announce_lost(post, CS_EMISUSE);
    err = chanserv__announce_check(post, header);
    if (err != CS_OK)
        return err;
    err = chanserv__outlet_new(post, header, ops, state, &o);
    if (err != CS_OK)
        return chanserv__announce_lost(post, err);
    chanserv__announce_queue(o);
    if (ret)
        *ret = o;
    return CS_OK;
}

/* ---- Frames that ride along ----------------------------------------------------------------- */

struct inlined {
    struct cs_buf *frames; /* encoded at once, because the producer takes them back */
    size_t room;
};

static cs_err inline_add(struct inlined *in, const struct wire_frame *frame)
{
    struct cs_buf *to = in->frames;
    const size_t most = WIRE_INLINE_HEAD + frame->payload.len;
    cs_err err = to->cap - to->len < most ? cs_buf_reserve(to, most) : CS_OK;

    if (err == CS_OK)
        to->len += wire_inline_put(to->base + to->len, frame);
    return err;
}

/* Ten bytes more than promised are better than a frame in front of its gap. */
static cs_err inline_gap(chanserv_outlet *o, struct inlined *in)
{
    struct wire_frame frame = {.kind = WIRE_GAP};
    cs_err err;

    if (!(o->flags & CHANSERV__GAP))
        return CS_OK;
    frame.gap_count = o->more->gap;
    frame.gap_reason = o->more->gap_why;
    err = inline_add(in, &frame);
    if (err != CS_OK)
        return err;
    o->next += o->more->gap;
    o->more->gap = 0;
    o->flags &= (uint16_t)~CHANSERV__GAP;
    o->post->server->counters.gaps++;
    return CS_OK;
}

/* CS_DONE: it did not fit and is held, to be the first after the opening. */
static cs_err inline_frame(chanserv_outlet *o, struct inlined *in, cs_ref *taken)
{
    chanserv_server *server = o->post->server;
    struct wire_frame frame = {.kind = WIRE_PAYLOAD, .payload = taken->bytes};
    size_t weight = taken->bytes.len + INLINE_WEIGHT;
    cs_err err = inline_gap(o, in);

    if (err != CS_OK) {
        cs_ref_drop(taken);
        return err;
    }
    if (weight > in->room || taken->bytes.len > (uint64_t)server->options.part_bytes) {
        err = chanserv__outlet_hold(o, taken);
        return err == CS_OK ? CS_DONE : err;
    }
    err = inline_add(in, &frame);
    if (err == CS_OK) {
        in->room -= weight;
        o->next++;
        server->counters.frames_out++;
        server->counters.frame_bytes_out += taken->bytes.len;
    }
    cs_ref_drop(taken);
    return err;
}

/* Asks an eager outlet while it answers at once.  A failure is ours: no memory. */
static cs_err inline_pull(chanserv_outlet *o, struct inlined *in)
{
    cs_err err;

    if (!(o->flags & CHANSERV__ASKED)) {
        err = chanserv__outlet_call_open(o, 0);
        if (cs_failed(err) && o->life != CHANSERV__OVER)
            chanserv__outlet_last(o, err);
    }
    for (;;) {
        cs_ref frame = {{NULL, 0}, NULL};

        if (o->life == CHANSERV__OVER || o->flags & CHANSERV__LAST)
            break;
        err = chanserv__outlet_ask(o, &frame);
        if (o->life == CHANSERV__OVER || o->flags & CHANSERV__CUT) { /* in next() */
            cs_ref_drop(&frame);
            return CS_OK;
        }
        if (err == CS_AGAIN)
            break;
        if (err != CS_OK) {
            chanserv__outlet_last(o, err);
        } else if (chanserv__outlet_too_large(o, &frame)) {
            cs_ref_drop(&frame);
        } else {
            err = inline_frame(o, in, &frame);
            if (err != CS_OK)
                return err == CS_DONE ? CS_OK : err;
        }
    }
    return o->life == CHANSERV__OVER ? CS_OK : inline_gap(o, in);
}

/* What is kept for the next announcement is as much as most take. */
static void inline_done(struct inlined *in)
{
    in->frames->len = 0;
    if (in->frames->cap > FEW)
        cs_buf_fini(in->frames);
}

/* ---- Saying it ------------------------------------------------------------------------------ */

static void end_fill(const chanserv_outlet *o, struct wire_status *end)
{
    enum wire_reason framework = (enum wire_reason)o->framework;
    const char *message = NULL;

    if (cs_failed(o->status) && !(message = chanserv__outlet_message(o)))
        message = framework ? wire_reason_words(framework) : cs_strerror(o->status);
    end->present = true;
    end->code = wire_code_of(o->status);
    end->message = cs_str(message ? message : "");
    end->reason = cs_str(wire_reason_token(framework));
}

static cs_err send_announcement(chanserv_post *post, const struct wire_announcement *a)
{
    uint8_t few[FEW], *msg = few;
    const size_t len = wire_announcement_len(a);
    cs_err err;

    if (len > sizeof few && !(msg = cs_alloc(len)))
        return CS_ENOMEM;
    (void)wire_announcement_put(msg, a);
    err = mux_stream_send(post->stream, cs_bytes_of(msg, len), cs_bytes_of(NULL, 0));
    if (msg != few)
        cs_free(msg);
    return err;
}

static void said(chanserv_outlet *o)
{
    chanserv_post *post = o->post;

    if ((o->flags & CHANSERV__PENDING) == CHANSERV__LAST) {
        CS_TRACE("server > announce #%u, whole", (unsigned)o->seq);
        post->server->counters.sources_inline++;
        chanserv__outlet_over(o, o->status, (enum chanserv__reason)o->reason);
        return;
    }
    CS_TRACE("server > announce #%u", (unsigned)o->seq);
    cs_unlink(&o->link);
    cs_list_push(&post->waiting, &o->link);
    o->life = CHANSERV__WAITING;
    chanserv__channel_waits(o, true);
    chanserv__accept_wait(o);
}

static cs_err fill_and_send(chanserv_outlet *o, struct wire_announcement *a, struct inlined *in)
{
    uint8_t ticket[CHANSERV__TICKET];
    chanserv_post *post = o->post;
    cs_err err;

    a->encoded = cs_bytes_of(in->frames->base, in->frames->len);
    if ((o->flags & CHANSERV__PENDING) == CHANSERV__LAST) {
        end_fill(o, &a->end);
    } else {
        err = chanserv__ticket_issue(post->server, o);
        if (err != CS_OK)
            return err;
        chanserv__ticket_put(o, ticket);
        a->ticket = cs_bytes_of(ticket, sizeof ticket);
    }
    err = send_announcement(post, a);
    if (err == CS_OK && post->seq++ == 0)
        cs_histogram_add(&post->server->histograms.post_answer,
                         cs_loop_now_us(post->server->loop) - post->since_us);
    return err;
}

/* From where it lies something else will. */
static cs_ref header_move(chanserv_outlet *o, uint8_t *brief)
{
    cs_ref header = {{NULL, 0}, NULL};

    if (o->flags & CHANSERV__BRIEF) {
        header.bytes = cs_bytes_of(brief, o->u.brief.len);
        memcpy(brief, o->u.brief.bytes, o->u.brief.len);
        o->flags &= (uint16_t)~CHANSERV__BRIEF;
    } else {
        header = o->u.header;
    }
    o->u.header = (cs_ref){{NULL, 0}, NULL};
    return header;
}

/* The first of the queue.  The outlet may end meanwhile, in its own next(); then so be it. */
static void say(chanserv_post *post, chanserv_outlet *o)
{
    const int64_t inline_max = post->server->options.inline_max_bytes;
    struct wire_announcement a = {
        .seq = post->seq, .eager = o->ops->eager, .uplink = o->ops->uplink};
    struct inlined in = {.frames = &post->server->inlined, .room = (size_t)inline_max};
    uint8_t brief[sizeof o->u.brief.bytes];
    cs_ref header = header_move(o, brief);
    cs_err err = CS_OK;

    o->seq = (uint32_t)post->seq;
    queued(post, -(int64_t)(header.bytes.len + WEIGHT));
    a.header = header.bytes;
    if (post->inline_bytes < in.room)
        in.room = post->inline_bytes;
    if (o->ops->eager && in.room > 0)
        err = inline_pull(o, &in);
    if (o->life != CHANSERV__OVER && !post->cut) {
        if (err == CS_OK)
            err = fill_and_send(o, &a, &in);
        if (err == CS_OK)
            said(o);
        else
            chanserv__outlet_over(o, CS_ECANCELED, CHANSERV__POST_CANCELLED);
        if (err == CS_ENOMEM || err == CS_ESYS) /* no memory, or no secret for its ticket */
            chanserv__post_cut(post, WIRE_R_LIMIT, err);
    }
    cs_ref_drop(&header);
    inline_done(&in);
}

void chanserv__announce_pull(mux_stream *stream, void *state)
{
    chanserv_post *post = ((struct chanserv__call *)state)->object;
    struct cs_link *link;

    if (!post || post->said || post->cut)
        return;
    while (mux_stream_room(stream) > 0 && (link = cs_list_first(&post->queue)) != NULL) {
        say(post, CS_CONTAINER(link, chanserv_outlet, link));
        if (post->cut)
            return;
    }
    chanserv__post_room(post);
    if (!post->closing || !cs_list_empty(&post->queue))
        return;
    post->said = true;
    if (post->framework)
        chanserv__refuse(stream, post->framework, post->message);
    else
        mux_stream_finish(stream, post->status, cs_failed(post->status) ? post->message : NULL);
}
