/* pour -- a cs_chan as the producer of an outlet: each message is a frame, its close is the
 * status.  The channel is asked while the reader has room, so its senders feel the reader. */
#include "chanserv/server__in.h"

static void ready(void *user)
{
    chanserv_outlet_wake(user);
}

cs_err chanserv_outlet_pour(chanserv_outlet *o, cs_chan *chan)
{
    struct chanserv__outlet_more *more;
    cs_err err;

    if (o->life == CHANSERV__OVER || (o->more && o->more->chan))
        return CS_EMISUSE;
    if (!(more = chanserv__outlet_more(o)))
        return CS_ENOMEM;
    err = cs_chan_watch_recv(chan, o->post->server->loop, ready, o);
    if (err != CS_OK)
        return err;
    more->chan = cs_chan_keep(chan);
    chanserv_outlet_wake(o);
    return CS_OK;
}

/* Never asked: the channel is. */
static const struct chanserv_outlet_ops poured_ops = {0};

cs_err chanserv_announce_chan(chanserv_post *post, cs_bytes header, cs_chan *chan)
{
    chanserv_outlet *o;
    cs_err err = chanserv__announce_check(post, header);

    if (err != CS_OK)
        return err;
    err = chanserv__outlet_new(post, header, &poured_ops, NULL, &o);
    if (err == CS_OK && (err = chanserv_outlet_pour(o, chan)) != CS_OK)
        chanserv__outlet_discard(o);
    if (err != CS_OK)
        return chanserv__announce_lost(post, err);
    chanserv__announce_queue(o);
    return CS_OK;
}
