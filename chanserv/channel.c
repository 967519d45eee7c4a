/* channel -- a post or a source of a session, and the streams that carry it one after the other. */
#include "chanserv/session__in.h"

#include "mux/lasting.h"
#include "mux/roll.h"

#include <stdio.h>

/* ---- Made ----------------------------------------------------------------------------------- */

cs_err chanserv__channel_new(struct chanserv__session *session, uint32_t number, mux_stream *stream,
                             chanserv_post *post, chanserv_outlet *outlet, uint64_t first,
                             struct chanserv__channel **ret)
{
    chanserv_server *server = session->server;
    struct chanserv__channel *channel;
    cs_err err;

    if (chanserv__total_is(&server->totals->channels, server->options.channels_max)) {
        server->counters.channels_refused++;
        return CS_ELIMIT;
    }
    if ((err = mux_stream_last(stream, &server->lasting, first, NULL)) != CS_OK)
        return err;
    channel = mux_stream_lasting_user(stream);
    if ((err = cs_row_put(&session->channels, number, channel)) != CS_OK) {
        mux_stream_last_undo(stream);
        return err;
    }
    channel->session = session;
    channel->stream = stream;
    channel->number = number;
    channel->is_post = post != NULL;
    if (post)
        channel->of.post = post;
    else
        channel->of.outlet = outlet;
    chanserv__channel_linger(channel, post ? server->options.linger_ms : outlet->post->linger_ms);
    server->counters.channels++;
    chanserv__total_add(server, &server->totals->channels, 1);
    *ret = channel;
    return CS_OK;
}

/* ---- Its streams come and go ---------------------------------------------------------------- */

static void on_detached(mux_stream *stream, cs_err why, void *user)
{
    struct chanserv__channel *channel = user;
    chanserv_outlet *o = chanserv__channel_outlet(channel);

    (void)stream, (void)why;
    CS_TRACE("server > channel %u detached", (unsigned)channel->number);
    channel->since_ms = cs_loop_now_ms(channel->session->server->loop);
    if ((int)channel->linger_ms < channel->session->server->options.linger_ms)
        chanserv__session_judge(channel->session); /* which may linger already */
    if (o && o->ops->detached)
        o->ops->detached(o, chanserv__outlet_state(o));
}

static struct mux_keep_sum *sum(void *user)
{
    return &((struct chanserv__channel *)user)->session->kept;
}

const struct mux_lasting_ops chanserv__channel_lasting = {.detached = on_detached, .sum = sum};

static void refuse_from(mux_stream *stream, const struct chanserv__channel *channel, uint64_t from)
{
    char words[96], oldest[24];

    snprintf(oldest, sizeof oldest, "%llu", (unsigned long long)mux_stream_oldest(channel->stream));
    snprintf(words, sizeof words, "message %llu is not kept; the oldest one is %s",
             (unsigned long long)from, oldest);
    (void)mux_stream_set_trailer(stream, "chanserv-oldest", cs_str(oldest));
    chanserv__refuse(stream, WIRE_R_NOT_KEPT, words);
}

/* What the reader is to go on with, as long as the source listens. */
static cs_err say_next(const struct chanserv__channel *channel)
{
    const chanserv_outlet *o = chanserv__channel_outlet(channel);
    char text[24];

    if (!o || !o->u.open.up) {
        mux_stream_unset_header(channel->stream, "chanserv-next");
        return CS_OK;
    }
    snprintf(text, sizeof text, "%llu", (unsigned long long)o->u.open.up->number);
    return mux_stream_set_header(channel->stream, "chanserv-next", cs_str(text));
}

void chanserv__channel_attach(struct chanserv__channel *channel, mux_stream *stream, bool is_post,
                              uint64_t from)
{
    chanserv_outlet *o = chanserv__channel_outlet(channel);
    cs_err err = CS_EINVAL;

    if (!chanserv__channel_stream(channel)) {
        chanserv__refuse(stream, WIRE_R_LOST, NULL);
        return;
    }
    if (is_post == channel->is_post)
        err = mux_stream_graft(channel->stream, stream, from);
    if (err == CS_ERANGE) {
        refuse_from(stream, channel, from);
    } else if (err != CS_OK) {
        channel->session->server->counters.posts_refused_bad++;
        chanserv__refuse(stream, WIRE_R_BAD_REQUEST, NULL);
    } else {
        CS_TRACE("server > channel %u attached", (unsigned)channel->number);
        channel->session->server->counters.channels_resumed++;
        if (say_next(channel) != CS_OK) { /* without memory for it: he will come again */
            mux_stream_detach(channel->stream);
            return;
        }
        mux_stream_send_headers(channel->stream);
        if (chanserv__channel_post(channel))
            channel->of.post->connection = mux_conn_number(mux_stream_conn(channel->stream));
        if (o && o->ops->attached)
            o->ops->attached(o, chanserv__outlet_state(o));
    }
}

/* ---- What its client says -------------------------------------------------------------------- */

/* Who never skips pays nothing for it: they are put there by the first that is. */
static void lay_out(chanserv_post *post)
{
    struct cs_list *list = &post->waiting;

    if (!(post->skippable = cs_zalloc(sizeof *post->skippable)))
        return;
    for (struct cs_link *at = cs_list_first(list); at; at = cs_list_next(list, at))
        chanserv__channel_waits(CS_CONTAINER(at, chanserv_outlet, link), true);
}

/* Looked up, because a message has room for very many. */
static void skip(chanserv_post *post, uint64_t seq)
{
    chanserv_outlet *o;

    if (!post->skippable)
        lay_out(post);
    o = post->skippable ? cs_map_get(post->skippable, seq) : NULL;
    if (o)
        chanserv__outlet_over(o, CS_ECANCELED, CHANSERV__SKIPPED);
}

static void skip_all(struct chanserv__channel *channel, struct wire_skips skips)
{
    uint64_t seq;

    while (chanserv__channel_post(channel) && wire_skip_next(&skips, &seq))
        skip(channel->of.post, seq);
}

void chanserv__channel_waits(chanserv_outlet *o, bool waits)
{
    struct cs_map *skippable = o->post->skippable;

    if (!skippable)
        return;
    if (waits) /* without memory for it, it stays until its post is done with */
        (void)cs_map_put(skippable, o->seq, o);
    else
        (void)cs_map_remove(skippable, o->seq);
}

cs_err chanserv__channel_acked(struct chanserv__channel *channel, const struct wire_ack *ack)
{
    cs_err err = CS_OK;

    if (channel->is_post)
        skip_all(channel, ack->skips);
    if (ack->next > 0 && chanserv__channel_stream(channel))
        err = mux_stream_acked(channel->stream, ack->next);
    if (err == CS_OK && ack->done)
        chanserv__channel_end(channel, CS_ECANCELED, CHANSERV__CANCELLED, ack->reason);
    return err;
}

void chanserv__channel_took(chanserv_outlet *o)
{
    struct chanserv__session *session = o->u.open.channel->session;

    if (cs_linked(&o->u.open.up->ack))
        return;
    cs_list_push(&session->acks, &o->u.open.up->ack);
    if (session->stream)
        mux_stream_wake(session->stream);
}

/* ---- Its end -------------------------------------------------------------------------------- */

/* While the stream is there its end() tells; the record of a post that is over has only sources left that
 * nobody opened. */
static void post_end(chanserv_post *post, cs_err why, enum chanserv__reason reason)
{
    if (post->stream) {
        post->cut = why;
        post->closing = true;
    } else if (reason == CHANSERV__CANCELLED) {
        chanserv__post_end_unopened(post, CS_ECANCELED, CHANSERV__POST_CANCELLED);
    } else {
        chanserv__post_end_unopened(post, why, reason);
    }
    post->channel = NULL;
}

static void outlet_end(chanserv_outlet *o, cs_err why, enum chanserv__reason reason, cs_bytes words)
{
    o->u.open.channel = NULL;
    if (o->u.open.up)
        cs_unlink(&o->u.open.up->ack);
    if (o->flags & (CHANSERV__CUT | CHANSERV__SAID))
        return;
    o->flags |= CHANSERV__CUT;
    o->status = why;
    o->reason = (uint8_t)reason;
    if (words.len > 0)
        (void)chanserv_outlet_fail(o, why, "%.*s", CS_FMT(words));
}

void chanserv__channel_end(struct chanserv__channel *channel, cs_err why,
                           enum chanserv__reason reason, cs_bytes words)
{
    chanserv_server *server = channel->session->server;

    CS_TRACE("server > channel %u done", (unsigned)channel->number);
    if (chanserv__channel_post(channel))
        post_end(channel->of.post, why, reason);
    if (chanserv__channel_outlet(channel))
        outlet_end(channel->of.outlet, why, reason, words);
    cs_row_remove(&channel->session->channels, channel->number);
    server->counters.channels--;
    chanserv__total_add(server, &server->totals->channels, -1);
    mux_stream_forget(channel->stream, why); /* the channel lies in its memory */
}
