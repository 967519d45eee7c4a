/* talk -- the method Talk: an Open that stays open towards us.
 *
 * The first message is the opening, and claims when it is there and not at the half-close; what
 * comes behind it is the producer's to ask for (uplink.c). */
#include "chanserv/loops__in.h"

static void refuse(mux_stream *stream, struct chanserv__call *call, enum wire_reason reason,
                   const char *words)
{
    call->server->counters.posts_refused_bad += reason != WIRE_R_LIMIT;
    chanserv__refuse(stream, reason, words);
}

/* NULL: refused, or passed on: `call` is gone. */
static chanserv_outlet *open_by(mux_stream *stream, struct chanserv__call *call, cs_bytes msg,
                                const struct wire_up *up)
{
    struct wire_open asked;

    if (up->kind != WIRE_UP_OPEN)
        refuse(stream, call, WIRE_R_BAD_REQUEST, "the first message of Talk is `open`");
    else if (wire_open_parse(up->open, &asked) != CS_OK)
        refuse(stream, call, WIRE_R_BAD_REQUEST, NULL);
    else if (!chanserv__route_open(stream, call->server, &asked, msg, false))
        return chanserv__open_claim(stream, call->server, &asked, true);
    return NULL;
}

/* NULL: it is not there yet, or was refused. */
static chanserv_outlet *read_first(mux_stream *stream, struct chanserv__call *call)
{
    struct wire_up up;
    cs_bytes msg;
    cs_err err;

    do {
        err = mux_stream_recv(stream, &msg);
        if (err == CS_AGAIN)
            return NULL;
        if (err == CS_OK && wire_up_parse(msg, &up) != CS_OK)
            err = CS_EPROTO;
    } while (err == CS_OK && up.kind == WIRE_UP_NOTHING);
    call->heard = true;
    if (err == CS_OK)
        return open_by(stream, call, msg, &up);
    if (err == CS_DONE)
        refuse(stream, call, WIRE_R_BAD_REQUEST, "the first message of Talk is `open`");
    else if (err == CS_ETOOBIG)
        refuse(stream, call, WIRE_R_TOO_LARGE, "the request is over the size limit");
    else
        refuse(stream, call, err == CS_ENOMEM ? WIRE_R_LIMIT : WIRE_R_BAD_REQUEST, NULL);
    return NULL;
}

static void talking_readable(mux_stream *stream, void *state)
{
    (void)stream;
    chanserv__uplink_readable(state);
}

static const struct mux_stream_ops talking_ops = {.readable = talking_readable,
                                                  .pull = chanserv__outlet_pull,
                                                  .end = chanserv__outlet_stream_end};

static void readable(mux_stream *stream, void *state)
{
    struct chanserv__call *call = state;
    chanserv_outlet *o = call->heard ? NULL : read_first(stream, call);

    if (!o)
        return;
    mux_stream_hand_over(stream, &talking_ops, o);
    chanserv__uplink_readable(o);
}

static const struct mux_stream_ops talk_ops = {.state_bytes = sizeof(struct chanserv__call),
                                               .readable = readable,
                                               .end = chanserv__call_unopened};

void chanserv__talk_accept(mux_stream *stream, void *user)
{
    struct chanserv__call call = {.server = user};

    if (mux_stream_accept(stream, &talk_ops, &call) == CS_OK)
        call.server->calls++;
}
