/* foreign -- what comes to the ports and is not gRPC, and what its handlers may ask. */
#include "chanserv/loops__in.h"

#include "mux/across.h"
#include "mux/local.h"

static void set(chanserv_server *server, const struct chanserv_foreign *foreign)
{
    mux_handlers_set_wire(server->handlers, foreign->wire, foreign->user);
    mux_handlers_set_plain(server->handlers, foreign->plain, foreign->user);
}

/* Other loops only send on what comes. */
static void send_on(chanserv_server *first, chanserv_server *server,
                    const struct chanserv_foreign *foreign)
{
    mux_handlers_send_wires(server->handlers, first->loop, first->handlers);
    mux_handlers_set_wire(server->handlers, foreign->wire, NULL);
    mux_handlers_set_plain(server->handlers, foreign->plain ? chanserv__route_plain : NULL, server);
}

/* While the threads of other loops run nobody touches these. */
cs_err chanserv_server_set_foreign(chanserv_server *server, const struct chanserv_foreign *foreign)
{
    static const struct chanserv_foreign none;
    const struct chanserv__loops *loops = server->loops;
    const bool alone = !loops || loops->running == 0;

    if (foreign && !alone)
        return CS_EMISUSE;
    if (foreign && server->has_foreign)
        return CS_EEXIST;
    server->has_foreign = foreign != NULL;
    set(server, foreign ? foreign : &none);
    for (size_t i = 1; alone && loops && i < loops->len; i++)
        send_on(server, loops->all[i], foreign ? foreign : &none);
    return CS_OK;
}

struct chanserv_foreign_counters *chanserv_server_foreign(chanserv_server *server)
{
    return &server->foreign;
}

cs_err chanserv_server_dial(chanserv_server *server, const struct mux_options *options,
                            mux_conn **ret)
{
    return mux_dial_local(server->loop, options, &server->options.net, server->handlers, ret);
}

cs_err chanserv_server_authorise(chanserv_server *server, const struct chanserv_request *request)
{
    cs_err err = CS_OK;

    request->why[0] = '\0';
    if (server->options.authorise)
        err = server->options.authorise(request, server->options.authorise_user);
    if (err == CS_OK)
        request->why[0] = '\0';
    else
        server->counters.posts_refused_denied++;
    return err;
}

cs_err chanserv_server_service(const chanserv_server *server, size_t *at, cs_bytes *ret)
{
    const struct chanserv__service *service;
    void *value;

    if (!cs_names_each(&server->services, at, &value))
        return CS_DONE;
    service = value;
    *ret = chanserv__short_name(server, cs_bytes_of(service->name, service->name_len));
    return CS_OK;
}

void chanserv_server_skip(chanserv_server *server, cs_bytes ticket)
{
    enum wire_reason reason;
    cs_err told;
    chanserv_outlet *outlet = ticket.len == CHANSERV__TICKET
                                  ? chanserv__ticket_find(server, ticket, &reason, &told)
                                  : NULL;

    if (outlet && outlet->life == CHANSERV__WAITING)
        chanserv__outlet_over(outlet, CS_ECANCELED, CHANSERV__SKIPPED);
}
