/* session -- the method Session: what a client says of its channels, and is told (docs/WIRE, Sessions). */
#include "chanserv/loops__in.h"
#include "chanserv/session__in.h"

#include "mux/rx.h"

enum { DOWN_MAX = 4096, UP_MAX = 65536 };

static void nonsense(mux_stream *stream, struct chanserv__call *call, enum wire_reason reason,
                     const char *words)
{
    struct chanserv__session *session = call->object;

    call->server->counters.sessions_refused++;
    call->object = NULL;
    call->heard = true;
    chanserv__refuse(stream, reason, words);
    if (session)
        chanserv__session_end(session, CS_ELOST, CHANSERV__LOST);
}

static void acks(mux_stream *stream, struct chanserv__call *call, cs_bytes msg)
{
    struct chanserv__session *session = call->object;
    struct wire_ack ack;
    cs_err err;

    while ((err = wire_ack_next(&msg, &ack)) == CS_OK) {
        struct chanserv__channel *channel = cs_row_get(&session->channels, ack.number);

        if (channel && chanserv__channel_acked(channel, &ack) != CS_OK) {
            nonsense(stream, call, WIRE_R_BAD_REQUEST, "what was not sent cannot have arrived");
            return;
        }
    }
    if (err != CS_DONE)
        nonsense(stream, call, WIRE_R_BAD_REQUEST, NULL);
}

/* False: it is answered elsewhere, or was refused, and `call` may be gone. */
static bool hear(mux_stream *stream, struct chanserv__call *call, cs_bytes msg)
{
    struct wire_session_up up;
    enum wire_reason reason;

    if (wire_session_up_parse(msg, &up) != CS_OK) {
        nonsense(stream, call, WIRE_R_BAD_REQUEST, NULL);
        return true;
    }
    if (!call->object) {
        call->heard = true; /* when it is refused; when it is passed on, `call` is gone */
        if (chanserv__route_session(stream, call->server, up.session, msg))
            return false;
        call->heard = false;
        reason = chanserv__session_take_up(call, stream, &up);
        if (reason != WIRE_NO_REASON) {
            nonsense(stream, call, reason, NULL);
            return true;
        }
    }
    acks(stream, call, up.acks);
    return true;
}

static void good_bye(mux_stream *stream, struct chanserv__call *call)
{
    struct chanserv__session *session = call->object;

    call->object = NULL;
    mux_stream_finish(stream, CS_DONE, NULL);
    chanserv__session_end(session, CS_EPEER, CHANSERV__LEFT);
}

static void readable(mux_stream *stream, void *state)
{
    struct chanserv__call *call = state;
    cs_bytes msg;
    cs_err err;

    while (!call->heard && (err = mux_stream_recv(stream, &msg)) != CS_AGAIN) {
        if (err == CS_OK) {
            if (!hear(stream, call, msg))
                return;
            continue;
        }
        call->heard = true;
        if (err != CS_DONE || !call->object) {
            nonsense(stream, call, WIRE_R_BAD_REQUEST, NULL);
            return;
        }
        good_bye(stream, call);
    }
}

/* As many acknowledgements as one message holds. */
static size_t fill(struct chanserv__session *session, uint8_t *to)
{
    const chanserv_server *server = session->server;
    struct cs_link *link;
    size_t n = 0;

    if (session->greets)
        n = wire_session_down_put(to, cs_bytes_of(server->instance, sizeof server->instance),
                                  (uint32_t)server->options.linger_ms);
    session->greets = false;
    while (n + WIRE_ACK_MAX <= DOWN_MAX && (link = cs_list_pop(&session->acks)) != NULL) {
        const struct chanserv__uplink *up = CS_CONTAINER(link, struct chanserv__uplink, ack);

        n += wire_ack_put(to + n, up->outlet->u.open.channel->number, up->number, false,
                          cs_bytes_of(NULL, 0));
    }
    return n;
}

static void pull(mux_stream *stream, void *state)
{
    struct chanserv__session *session = ((struct chanserv__call *)state)->object;
    uint8_t msg[DOWN_MAX];
    size_t n;

    while (session && mux_stream_room(stream) > 0 && (n = fill(session, msg)) > 0)
        if (mux_stream_send(stream, cs_bytes_of(msg, n), cs_bytes_of(NULL, 0)) != CS_OK)
            mux_stream_cancel(stream, CS_ENOMEM); /* it can be taken up again */
}

/* The connection broke right behind what its client said last: it was said. */
static void hear_out(mux_stream *stream, struct chanserv__call *call)
{
    cs_bytes msg;
    cs_err err;

    while (call->object && !call->heard && (err = mux_stream_recv(stream, &msg)) != CS_AGAIN) {
        if (err != CS_OK) {
            call->heard = true;
            if (err == CS_DONE)
                good_bye(stream, call);
            return;
        }
        (void)hear(stream, call, msg); /* of a session that is here */
    }
}

static void end(mux_stream *stream, cs_err why, void *state)
{
    struct chanserv__call *call = state;
    struct chanserv__session *session;

    (void)why;
    hear_out(stream, call);
    session = call->object;
    call->server->calls--;
    chanserv__call_clear(call);
    if (session && session->stream == stream)
        chanserv__session_linger(session);
}

/* Its client takes it up again on a new connection; its channels stay where they are.  In a drain
 * there is no better place for it than beside them. */
static void rolled(mux_stream *stream, void *state)
{
    struct chanserv__call *call = state;

    if (call->server->drain.stage != CHANSERV__SERVES || call->heard)
        return;
    call->heard = true; /* what still comes of it will be said again */
    chanserv__abort(stream, WIRE_R_DRAINING);
}

static const struct mux_stream_ops session_ops = {
    .state_bytes = sizeof(struct chanserv__call),
    .readable = readable,
    .pull = pull,
    .end = end,
    .rolled = rolled,
};

void chanserv__session_accept(mux_stream *stream, void *user)
{
    struct chanserv__call call = {.server = user};

    if (mux_stream_accept(stream, &session_ops, &call) != CS_OK)
        return;
    call.server->calls++;
    mux_stream_message_max(stream, UP_MAX); /* whatever a body may have */
    mux_stream_hear_out(stream);
}
