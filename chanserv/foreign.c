/* foreign -- what handlers of other dialects may ask of the server. */
#include "chanserv/server__in.h"

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
