/* open -- the method Open: its checks, and the claim; Talk shares both.
 *
 * Checks and claim are one step, so two Opens in one turn have one winner. */
#include "chanserv/loops__in.h"
#include "chanserv/session__in.h"

#include "mux/rx.h"

#include <stdio.h>

cs_err chanserv__outlet_call_open(chanserv_outlet *o, uint64_t from)
{
    cs_err err;

    o->flags |= CHANSERV__ASKED;
    o->next = from;
    if (!o->ops->open)
        return CS_OK;
    o->flags |= CHANSERV__OPENING;
    err = o->ops->open(o, from, chanserv__outlet_state(o));
    o->flags &= (uint16_t)~CHANSERV__OPENING;
    return err;
}

static void refuse_from(mux_stream *stream, const chanserv_outlet *o, uint64_t from)
{
    char words[96], oldest[24];

    snprintf(oldest, sizeof oldest, "%llu", (unsigned long long)o->next);
    snprintf(words, sizeof words, "frame %llu is not kept; the next one is %s",
             (unsigned long long)from, oldest);
    (void)mux_stream_set_trailer(stream, "chanserv-oldest", cs_str(oldest));
    chanserv__refuse(stream, WIRE_R_NOT_KEPT, words);
}

static const char *remedy(enum wire_reason why)
{
    return why == WIRE_R_OTHER_INSTANCE
               ? "the ticket is of another process: open it where it was announced (one "
                 "connection, pick_first, or a route by the metadata chanserv-instance)"
               : NULL;
}

static void refuse_ticket(chanserv_server *server, mux_stream *stream, enum wire_reason why,
                          cs_err told)
{
    if (why == WIRE_R_CLAIMED)
        server->counters.opens_refused_claimed++;
    else
        server->counters.opens_refused_ticket++;
    if (why == WIRE_NO_REASON) /* its producer gave it up before anybody came */
        mux_stream_finish(stream, told, NULL);
    else
        chanserv__refuse(stream, why, remedy(why));
}

/* False: refused, or the number is known and goes on there. */
static bool check_session(chanserv_server *server, mux_stream *stream,
                          const struct wire_open *asked, struct chanserv__session **ret)
{
    struct chanserv__channel *known = NULL;
    enum wire_reason refusal = chanserv__session_find(server, stream, &asked->channel, ret);

    if (refusal == WIRE_NO_REASON)
        known = cs_row_get(&(*ret)->channels, asked->channel.number);
    if (known)
        chanserv__channel_attach(known, stream, false, asked->from);
    else if (refusal != WIRE_NO_REASON)
        chanserv__refuse(stream, refusal, NULL);
    return refusal == WIRE_NO_REASON && !known;
}

/* The checks; NULL: answered. */
static chanserv_outlet *check(chanserv_server *server, mux_stream *stream,
                              const struct wire_open *asked, bool talks,
                              struct chanserv__session **ret)
{
    enum wire_reason why = WIRE_R_BAD_REQUEST;
    char words[CHANSERV_WHY_MAX];
    chanserv_outlet *o = NULL;
    cs_err err;

    if (asked->ticket.len != CHANSERV__TICKET) {
        server->counters.posts_refused_bad++;
        chanserv__refuse(stream, why, "a ticket has 32 bytes");
        return NULL;
    }
    if (asked->channel.present && !check_session(server, stream, asked, ret))
        return NULL;
    o = chanserv__ticket_find(server, asked->ticket, &why, &err);
    if (!o) {
        refuse_ticket(server, stream, why, err);
        return NULL;
    }
    err = chanserv__authorise(server, CHANSERV_OPEN, o->post->service, stream, words);
    if (err != CS_OK) {
        chanserv__deny(server, stream, err, words);
        return NULL;
    }
    if (o->life == CHANSERV__OVER || server->dying) { /* the hook freed the server */
        chanserv__refuse(stream, WIRE_R_DRAINING, NULL);
    } else if (o->life != CHANSERV__WAITING) {
        refuse_ticket(server, stream, WIRE_R_CLAIMED, CS_OK);
    } else if (talks && !o->ops->uplink) {
        server->counters.posts_refused_bad++;
        chanserv__refuse(stream, WIRE_R_BAD_REQUEST, "the source has no uplink: use Open");
    } else if (asked->from != o->next && (!o->ops->open || o->flags & CHANSERV__ASKED)) {
        refuse_from(stream, o, asked->from);
    } else if (chanserv__owner_is_full(o->post->owner, o->post->owner->opens,
                                       server->options.opens_peer_max, "opens_peer_max",
                                       &server->counters.opens_peer_refused) ||
               chanserv__times_new(o) != CS_OK) {
        chanserv__refuse(stream, WIRE_R_LIMIT, NULL);
    } else {
        return o;
    }
    return NULL;
}

static void claim(chanserv_outlet *o, mux_stream *stream, uint64_t from,
                  struct chanserv__uplink *up, struct chanserv__channel *channel)
{
    chanserv_post *post = o->post;
    cs_err err = CS_OK;

    cs_histogram_add(&post->server->histograms.claim,
                     cs_loop_now_us(post->server->loop) - o->u.accept.since_us);
    cs_unlink(&o->u.accept.link);
    chanserv__channel_waits(o, false);
    o->u.open.up = up; /* in the same place */
    if (up) {
        up->outlet = o;
        cs_link_init(&up->ack);
    }
    o->u.open.channel = channel;
    cs_unlink(&o->link);
    cs_list_push(&post->open, &o->link);
    post->unopened--;
    post->server->counters.sources_waiting--;
    post->server->counters.sources_open++;
    post->owner->opens++;
    o->life = CHANSERV__OPEN;
    o->u.open.stream = stream;
    chanserv__post_room(post);
    CS_TRACE("server > #%u opened", (unsigned)o->seq);
    if (!(o->flags & CHANSERV__ASKED))
        err = chanserv__outlet_call_open(o, from);
    if (o->flags & CHANSERV__CUT)
        return;
    if (cs_failed(err)) { /* Trailers-Only: refused */
        chanserv__outlet_last(o, err);
        o->flags |= CHANSERV__SAID;
        mux_stream_finish(stream, o->status, chanserv__outlet_message(o));
        return;
    }
    mux_stream_drop_headers(stream); /* nobody asks a quiet source what came with its opening */
    mux_stream_send_headers(stream);
    mux_stream_wake(stream);
}

chanserv_outlet *chanserv__open_claim(mux_stream *stream, chanserv_server *server,
                                      const struct wire_open *asked, bool talks)
{
    struct chanserv__session *session = NULL;
    struct chanserv__channel *channel = NULL;
    struct chanserv__uplink *up = NULL;
    chanserv_outlet *o = check(server, stream, asked, talks, &session);
    cs_err err = CS_OK;

    if (!o)
        return NULL;
    if (talks && !(up = cs_zalloc(sizeof *up)))
        err = CS_ENOMEM;
    if (up && session) /* to one who has talked to it before, and was not heard */
        err = mux_stream_set_header(stream, "chanserv-next", cs_str("0"));
    if (err == CS_OK && session)
        err = chanserv__channel_new(session, asked->channel.number, stream, NULL, o, asked->from,
                                    &channel);
    if (err != CS_OK) {
        chanserv__times_free(o);
        cs_free(up);
        chanserv__refuse(stream, WIRE_R_LIMIT, NULL);
        return NULL;
    }
    if (up)
        up->armed = true;
    server->counters.talks += talks;
    (void)chanserv__memory_is_short(server); /* what was announced can be opened, and others end */
    claim(o, stream, asked->from, up, channel);
    return o;
}

static const struct mux_stream_ops opened_ops = {.pull = chanserv__outlet_pull,
                                                 .end = chanserv__outlet_stream_end};

/* NULL: refused, or passed on. */
static chanserv_outlet *open_by(mux_stream *stream, chanserv_server *server, cs_bytes request)
{
    struct wire_open asked;

    if (wire_open_parse(request, &asked) == CS_OK)
        return chanserv__route_open(stream, server, &asked, request, true)
                   ? NULL
                   : chanserv__open_claim(stream, server, &asked, false);
    server->counters.posts_refused_bad++;
    chanserv__refuse(stream, WIRE_R_BAD_REQUEST, NULL);
    return NULL;
}

static void hand_over(mux_stream *stream, chanserv_outlet *o)
{
    if (!o)
        return;
    mux_stream_hand_over(stream, &opened_ops, o);
    if (o->ops->uplink) /* it hears that this reader will say nothing */
        chanserv__uplink_readable(o);
}

static void readable(mux_stream *stream, void *state)
{
    struct chanserv__call *call = state;
    chanserv_outlet *o;
    char *request;

    if (chanserv__call_read(stream, call) != CS_OK)
        return;
    request = call->request;
    call->request = NULL; /* who passes it on has no call any more */
    o = open_by(stream, call->server, cs_bytes_of(request, call->request_len));
    cs_free(request);
    hand_over(stream, o);
}

static const struct mux_stream_ops open_ops = {.state_bytes = sizeof(struct chanserv__call),
                                               .readable = readable,
                                               .end = chanserv__call_unopened};

/* Most of them have come as a whole: then there is nothing to remember. */
static void whole_readable(mux_stream *stream, void *state)
{
    cs_bytes request;

    if (chanserv__call_whole(stream, state, &request) != CS_OK)
        return;
    hand_over(stream, open_by(stream, state, request));
    (void)mux_stream_recv(stream, &request); /* it is used: an idle answer keeps no memory for it */
}

static void whole_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why;
    ((chanserv_server *)state)->calls--;
}

static const struct mux_stream_ops whole_ops = {.readable = whole_readable, .end = whole_end};

void chanserv__open_accept(mux_stream *stream, void *user)
{
    struct chanserv__call call = {.server = user};
    const bool is_whole = mux_stream_is_heard(stream);

    if (mux_stream_accept(stream, is_whole ? &whole_ops : &open_ops,
                          is_whole ? user : (void *)&call) == CS_OK)
        call.server->calls++;
}
