/* raw -- gRPC methods of the server's own, beside those of chanserv.
 *
 * The hook is asked before the method hears of the call at all; what is refused is a stream of
 * ours, that says its status and goes. */
#include "chanserv/loops__in.h"

static void end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why, (void)state;
}

static const struct mux_stream_ops refused_ops = {.end = end};

static void accept(mux_stream *stream, void *user)
{
    const struct chanserv__raw *raw = user;
    chanserv_server *server = raw->server;
    char why[CHANSERV_WHY_MAX];
    cs_err err;

    if (chanserv__route_raw(stream, server))
        return;
    err = chanserv__authorise(server, CHANSERV_RAW, cs_str(raw->method), stream, why);
    if (err == CS_OK && !server->dying) { /* the hook may have freed it */
        raw->accept(stream, raw->user);
        return;
    }
    (void)mux_stream_accept(stream, &refused_ops, NULL); /* needs no memory */
    if (err != CS_OK)
        chanserv__deny(server, stream, err, why);
    else
        chanserv__refuse(stream, WIRE_R_DRAINING, NULL);
}

static bool method_ok(const char *method)
{
    const char *slash = method[0] == '/' ? strchr(method + 1, '/') : NULL;

    return slash && slash > method + 1 && slash[1] && !strchr(slash + 1, '/');
}

static cs_err add(chanserv_server *server, const char *method, mux_accept_fn *accept_fn, void *user)
{
    size_t len = strlen(method);
    struct chanserv__raw *raw = cs_zalloc(sizeof *raw + len + 1);
    cs_err err;

    if (!raw)
        return CS_ENOMEM;
    raw->server = server;
    raw->accept = accept_fn;
    raw->user = user;
    memcpy(raw->method, method, len);
    if ((err = mux_handle(server->handlers, method, accept, raw)) != CS_OK) {
        cs_free(raw);
        return err;
    }
    raw->next = server->raws;
    server->raws = raw;
    return CS_OK;
}

/* Each loop knows it, and passes it to the first. */
cs_err chanserv_handle(chanserv_server *server, const char *method, mux_accept_fn *accept_fn,
                       void *user)
{
    const struct chanserv__loops *loops = server->loops;
    cs_err err;

    if (!accept_fn || !method_ok(method))
        return chanserv__stick(server, CS_EINVAL, "handle: not the path of a method: ", method);
    err = loops && loops->begun ? CS_EMISUSE : add(server, method, accept_fn, user);
    for (size_t i = 1; err == CS_OK && loops && i < loops->len; i++)
        err = add(loops->all[i], method, accept_fn, user);
    if (err == CS_OK)
        return err;
    return chanserv__stick(server, err,
                           err == CS_EEXIST    ? "handle: there is one already: "
                           : err == CS_EMISUSE ? "handle: too late, the loops run: "
                                               : "handle: out of memory: ",
                           method);
}

void chanserv__raws_free(chanserv_server *server)
{
    struct chanserv__raw *raw;

    while ((raw = server->raws)) {
        server->raws = raw->next;
        cs_free(raw);
    }
}
