/* listen -- where a server listens, and what it shows there. */
#include "chanserv/loops__in.h"

#include <stdio.h>

cs_err chanserv_listen(chanserv_server *server, const char *addr)
{
    char why[256] = "";
    mux_port **ports, *port = NULL;
    cs_err err;

    ports = cs_realloc(server->ports, (server->ports_len + 1) * sizeof *ports);
    if (!ports)
        return chanserv__stick(server, CS_ENOMEM, "listen: out of memory: ", addr);
    server->ports = ports;
    err = mux_listen(server->loop, addr, &server->options.net, server->handlers, &port, why,
                     sizeof why);
    if (err != CS_OK) {
        if (why[0])
            return chanserv__stick(server, err, "", why);
        snprintf(why, sizeof why, "%s: %s", addr, cs_strerror(err));
        return chanserv__stick(server, err, "listen ", why);
    }
    if (!server->options.insecure && !server->options.net.tls && !mux_port_is_local(port)) {
        snprintf(why, sizeof why,
                 "%s: strangers could read and post in plain text: listen on localhost or a unix "
                 "socket, give options.net.tls, or set options.insecure",
                 mux_port_addr(port));
        mux_port_free(port);
        return chanserv__stick(server, CS_EPERM, "listen ", why);
    }
    why[0] = '\0';
    if (server->loops && (err = chanserv__loops_listen(server, port, why, sizeof why)) != CS_OK) {
        mux_port_free(port);
        return chanserv__stick(server, err, "", why[0] ? why : "listen: out of memory");
    }
    server->ports[server->ports_len++] = port;
    return CS_OK;
}

const char *chanserv_server_addr(const chanserv_server *server, size_t i)
{
    return i < server->ports_len ? mux_port_addr(server->ports[i]) : NULL;
}

/* All ports read the same files. */
cs_err chanserv_server_reload(chanserv_server *server)
{
    char why[512] = "no port has TLS";
    cs_err err = CS_ENOTSUP;

    for (size_t i = 0; i < server->ports_len; i++) {
        err = mux_port_reload(server->ports[i], why, sizeof why);
        if (err != CS_OK)
            break;
    }
    if (err != CS_OK)
        cs_story(&server->story, "%s", why);
    else if (server->loops && server->at.number == 0)
        chanserv__loops_reload(server);
    return err;
}
