/* call -- what all streams of the server have in common: a request of one message, and statuses
 * that the framework makes.
 *
 * Every such status has the trailer `chanserv-reason`, and no other has: a reader can tell "the
 * application said so" from "the framework said so". */
#include "chanserv/server__in.h"

#include "mux/rx.h"

void chanserv__refuse(mux_stream *stream, enum wire_reason reason, const char *message)
{
    /* Without memory for the trailer the code alone still says what happened. */
    (void)mux_stream_set_trailer(stream, "chanserv-reason", cs_str(wire_reason_token(reason)));
    /* The row's own code: errors that say more than gRPC has words for stand in several rows. */
    mux_stream_finish(stream, (cs_err)(16 + wire_reason_code(reason)),
                      message ? message : wire_reason_words(reason));
}

void chanserv__abort(mux_stream *stream, enum wire_reason reason)
{
    (void)mux_stream_set_trailer(stream, "chanserv-reason", cs_str(wire_reason_token(reason)));
    mux_stream_abort(stream, wire_reason_err(reason), wire_reason_words(reason));
}

enum wire_reason chanserv__reason_of(cs_err err)
{
    switch (err) {
    case CS_ENOMEM:
    case CS_ELIMIT:
        return WIRE_R_LIMIT;
    case CS_ETOOBIG:
        return WIRE_R_TOO_LARGE;
    default:
        return WIRE_NO_REASON;
    }
}

cs_err chanserv__why_of(cs_err mux_why, enum chanserv__reason *ret)
{
    switch (mux_why) {
    case CS_ETIMEOUT:
        *ret = CHANSERV__DEADLINE;
        return CS_ETIMEOUT;
    case CS_ESTALLED:
        *ret = CHANSERV__STALLED;
        return CS_ESTALLED;
    case CS_EDRAIN:
        *ret = CHANSERV__SHUTDOWN;
        return CS_EDRAIN;
    case CS_ELOST:
        *ret = CHANSERV__LOST;
        return CS_ELOST;
    default: /* a reset, whatever its code, and a lost connection are the same: B8, A3 */
        *ret = CHANSERV__LEFT;
        return CS_EPEER;
    }
}

cs_err chanserv__authorise(chanserv_server *server, enum chanserv_verb verb, cs_bytes service,
                           mux_stream *stream, char *why)
{
    struct chanserv_request request = {.verb = verb, .service = service, .why = why};
    cs_err err;

    why[0] = '\0';
    if (!server->options.authorise)
        return CS_OK;
    request.peer = mux_stream_peer(stream);
    request.metadata = mux_stream_headers(stream, &request.metadata_len);
    err = server->options.authorise(&request, server->options.authorise_user);
    if (err == CS_OK)
        why[0] = '\0';
    return err;
}

void chanserv__deny(chanserv_server *server, mux_stream *stream, cs_err err, const char *why)
{
    server->counters.posts_refused_denied++;
    chanserv__refuse(stream, err == CS_EAUTH ? WIRE_R_NO_IDENTITY : WIRE_R_DENIED,
                     why[0] ? why : NULL);
}

/* After recv() has answered anything but "a message, and nothing behind it". */
static void refuse_request(mux_stream *stream, chanserv_server *server, cs_err err)
{
    server->counters.posts_refused_bad++;
    if (err == CS_OK)
        chanserv__refuse(stream, WIRE_R_BAD_REQUEST, "a request has one message only");
    else if (err == CS_DONE)
        chanserv__refuse(stream, WIRE_R_BAD_REQUEST, "a request has one message");
    else if (err == CS_ETOOBIG)
        chanserv__refuse(stream, WIRE_R_TOO_LARGE, "the request is over the size limit");
    else if (err == CS_ENOMEM)
        chanserv__refuse(stream, WIRE_R_LIMIT, "out of memory");
    else
        chanserv__refuse(stream, WIRE_R_PROTOCOL, NULL);
}

cs_err chanserv__call_whole(mux_stream *stream, chanserv_server *server, cs_bytes *ret)
{
    cs_err err = mux_stream_recv(stream, ret);

    if (err == CS_OK && mux_stream_waiting(stream) == 0)
        return CS_OK;
    refuse_request(stream, server, err);
    return CS_DONE;
}

/* The message is copied because asking for what is behind it takes it away. */
cs_err chanserv__call_read(mux_stream *stream, struct chanserv__call *call)
{
    for (;;) {
        cs_bytes msg;
        cs_err err;

        if (call->heard)
            return CS_DONE;
        err = mux_stream_recv(stream, &msg);
        if (err == CS_AGAIN)
            return CS_AGAIN;
        if (err == CS_DONE && call->request) {
            call->heard = true;
            return CS_OK;
        }
        if (err == CS_OK && !call->request) {
            call->request = cs_bytesdup(msg);
            call->request_len = msg.len;
            if (call->request)
                continue;
            err = CS_ENOMEM;
        }
        call->heard = true;
        chanserv__call_clear(call);
        refuse_request(stream, call->server, err);
    }
}

void chanserv__call_unopened(mux_stream *stream, cs_err why, void *state)
{
    struct chanserv__call *call = state;

    (void)stream, (void)why;
    call->server->calls--;
    chanserv__call_clear(call);
}

void chanserv__call_clear(struct chanserv__call *call)
{
    cs_free(call->request);
    call->request = NULL;
}
