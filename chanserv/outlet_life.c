/* outlet_life -- how an outlet comes and goes: its memory, its end, and what became of its stream.
 *
 * end() comes from a task of the CALL phase, whatever ended it, so it never comes inside a call of
 * the producer's; the memory goes in the REAP phase after that. */
#include "chanserv/session__in.h"

static cs_err header_keep(chanserv_outlet *o, cs_bytes header)
{
    if (header.len == 0)
        return CS_OK;
    if (header.len > sizeof o->u.brief.bytes)
        return cs_ref_copy(header, &o->u.header);
    o->flags |= CHANSERV__BRIEF;
    o->u.brief.len = (uint8_t)header.len;
    memcpy(o->u.brief.bytes, header.base, header.len);
    return CS_OK;
}

static void header_drop(chanserv_outlet *o)
{
    if (!(o->flags & CHANSERV__BRIEF))
        cs_ref_drop(&o->u.header);
    o->flags &= (uint16_t)~CHANSERV__BRIEF;
}

cs_err chanserv__outlet_new(chanserv_post *post, cs_bytes header,
                            const struct chanserv_outlet_ops *ops, const void *state,
                            chanserv_outlet **ret)
{
    chanserv_server *server = post->server;
    chanserv_outlet *o =
        cs_zalloc_with(sizeof *o, ops->state_bytes ? ops->state_bytes : sizeof state);

    if (!o)
        return CS_ENOMEM;
    if (header_keep(o, header) != CS_OK) {
        cs_free(o);
        return CS_ENOMEM;
    }
    o->ops = ops;
    o->post = post;
    cs_link_init(&o->link);
    if (!ops->state_bytes)
        memcpy(cs_extra(o, sizeof *o), &state, sizeof state);
    else if (state)
        memcpy(cs_extra(o, sizeof *o), state, ops->state_bytes);
    chanserv__stat_born(o);
    post->outlets++;
    chanserv__total_add(server, &server->totals->outlets, 1);
    *ret = o;
    return CS_OK;
}

struct chanserv__outlet_more *chanserv__outlet_more(chanserv_outlet *o)
{
    if (!o->more)
        o->more = cs_zalloc(sizeof *o->more);
    return o->more;
}

/* Everything but the memory itself, and the words. */
static void let_go(chanserv_outlet *o)
{
    cs_chan *chan = o->more ? o->more->chan : NULL;

    if (!o->more)
        return;
    o->more->chan = NULL;
    if (chan) {
        (void)cs_chan_watch_recv(chan, o->post->server->loop, NULL, NULL);
        cs_chan_cancel(chan);
        cs_chan_free(chan);
    }
    cs_ref_drop(
        &o->more->held); /* the producer's own bytes have no block: nothing happens to them */
    chanserv__times_free(o);
}

static void outlet_free(chanserv_outlet *o)
{
    if (o->more)
        cs_free(o->more->message);
    cs_free(o->more);
    cs_free(o);
}

void chanserv__outlet_discard(chanserv_outlet *o)
{
    chanserv_post *post = o->post;

    header_drop(o);
    let_go(o);
    outlet_free(o);
    chanserv__total_add(post->server, &post->server->totals->outlets, -1);
    chanserv__post_outlet_gone(post);
}

static void reap(cs_task *task)
{
    chanserv_outlet *o = CS_CONTAINER(task, chanserv_outlet, u.task);
    chanserv_post *post = o->post;

    outlet_free(o);
    chanserv__post_outlet_gone(post);
}

static void say_end(cs_task *task)
{
    chanserv_outlet *o = CS_CONTAINER(task, chanserv_outlet, u.task);

    if (o->ops->end)
        o->ops->end(o, o->status, chanserv__outlet_state(o));
    cs_task_init(task, reap);
    cs_task_post(o->post->server->loop, CS_REAP, task);
}

static void count_end(chanserv_server *server, const chanserv_outlet *o)
{
    server->counters.readers_left += o->reason == CHANSERV__LEFT;
    server->counters.deadlines += o->reason == CHANSERV__DEADLINE;
}

/* What somebody is told who comes with the ticket later: a claimed one was used; one that the
 * application gave up says so itself; all others came to nothing. */
static cs_err told_later(const chanserv_outlet *o, enum chanserv__life was)
{
    if (was == CHANSERV__OPEN)
        return CS_ECLAIMED;
    return o->reason == CHANSERV__FAILED ? o->status : CS_EEXPIRED;
}

void chanserv__outlet_over(chanserv_outlet *o, cs_err why, enum chanserv__reason reason)
{
    chanserv_post *post = o->post;
    chanserv_server *server = post->server;
    enum chanserv__life was = (enum chanserv__life)o->life;

    if (was == CHANSERV__OVER)
        return;
    if (was == CHANSERV__QUEUED)
        header_drop(o);
    if (was == CHANSERV__WAITING) {
        cs_unlink(&o->u.accept.link);
        chanserv__channel_waits(o, false);
    }
    if (was == CHANSERV__OPEN) {
        chanserv__uplink_free(o);
        if (o->u.open.channel)
            o->u.open.channel->of.outlet = NULL;
    }
    cs_unlink(&o->link);
    o->life = CHANSERV__OVER;
    o->status = why;
    o->reason = (uint8_t)reason;
    if (was != CHANSERV__QUEUED)
        CS_TRACE("server > #%u over: %s", (unsigned)o->seq, chanserv_outlet_reason(o));
    chanserv__ticket_die(server, o, told_later(o, was));
    let_go(o);
    chanserv__total_add(server, &server->totals->outlets, -1);
    if (was == CHANSERV__OPEN) {
        server->counters.sources_open--;
        post->owner->opens--;
    } else {
        server->counters.sources_waiting--;
        post->unopened--;
        chanserv__post_room(post);
    }
    count_end(server, o);
    cs_task_init(&o->u.task, say_end);
    cs_task_post(server->loop, CS_CALL, &o->u.task);
}

void chanserv__outlet_cut(chanserv_outlet *o, enum wire_reason framework, cs_err why,
                          enum chanserv__reason reason)
{
    if (o->life != CHANSERV__OPEN) {
        chanserv__outlet_over(o, why, reason);
        return;
    }
    if (o->flags & CHANSERV__CUT)
        return;
    o->flags |= CHANSERV__CUT;
    o->status = why;
    o->reason = (uint8_t)reason;
    chanserv__abort(o->u.open.stream, framework);
}

void chanserv__outlet_stream_end(mux_stream *stream, cs_err why, void *state)
{
    chanserv_outlet *o = state;
    enum chanserv__reason reason;

    (void)stream;
    o->post->server->calls--;
    /* Our own word counts when it was said, and when it was the one that overtook the rest. */
    if (o->flags & CHANSERV__CUT || (o->flags & CHANSERV__SAID && why == CS_DONE)) {
        why = o->status;
        reason = (enum chanserv__reason)o->reason;
    } else {
        why = chanserv__why_of(why, &reason);
    }
    chanserv__outlet_over(o, why, reason);
}

const char *chanserv_outlet_words(const chanserv_outlet *o)
{
    const char *message = chanserv__outlet_message(o);

    return o->reason == CHANSERV__CANCELLED && message ? message : "";
}

const char *chanserv_outlet_reason(const chanserv_outlet *o)
{
    static const char *const tokens[] = {
#define X(name, token) [CHANSERV__##name] = token,
        CHANSERV__REASONS(X)
#undef X
    };
    return tokens[o->reason];
}
