/* reflection -- grpc.reflection.v1 and v1alpha: a stream of questions, and an answer to each.
 *
 * One question is taken when there is room for its answer, so nothing is queued. */
#include "gateway/admin__in.h"

static size_t count_services(const chanserv_server *server)
{
    size_t at = 0;
    cs_bytes name;

    while (chanserv_server_grpc_service(server, &at, &name))
        ;
    return at;
}

static cs_err answer(mux_stream *stream, const gateway_admin *admin, cs_bytes question)
{
    struct wire_spoken spoken = {.sets = admin->sets, .sets_len = admin->sets_len};
    cs_bytes *names = cs_alloc(count_services(admin->server) * sizeof *names);
    uint8_t *reply;
    size_t len;
    cs_err err;

    if (!names)
        return CS_ENOMEM;
    for (size_t at = 0;
         chanserv_server_grpc_service(admin->server, &at, &names[spoken.services_len]);)
        spoken.services_len++;
    spoken.services = names;
    err = wire_reflect(question, &spoken, &reply, &len);
    cs_free(names);
    if (err != CS_OK)
        return err;
    err = mux_stream_send(stream, cs_bytes_of(reply, len), cs_bytes_of(NULL, 0));
    cs_free(reply);
    return err;
}

static void take_one(mux_stream *stream, void *user)
{
    const gateway_admin *admin = user;
    cs_bytes question;
    cs_err err;

    if (admin->freed) {
        mux_stream_finish(stream, CS_EUNAVAIL, NULL);
        return;
    }
    err = mux_stream_recv(stream, &question);
    if (err == CS_DONE)
        mux_stream_finish(stream, CS_OK, NULL);
    if (err != CS_OK || (err = answer(stream, admin, question)) == CS_OK)
        return;
    mux_stream_finish(stream, err == CS_EPROTO ? CS_EINVAL : err,
                      err == CS_EPROTO ? "no ServerReflectionRequest" : NULL);
}

static void readable(mux_stream *stream, void *admin)
{
    (void)admin;
    mux_stream_wake(stream);
}

/* Who has more to ask does so on another connection. */
static void rolled(mux_stream *stream, void *admin)
{
    (void)admin;
    mux_stream_finish(stream, CS_OK, NULL);
}

static void end(mux_stream *stream, cs_err why, void *admin)
{
    (void)stream, (void)why, (void)admin;
}

void gateway__reflect(mux_stream *stream, void *admin)
{
    static const struct mux_stream_ops ops = {
        .readable = readable, .pull = take_one, .end = end, .rolled = rolled};

    (void)mux_stream_accept(stream, &ops, admin);
}
