#include "test/support/dial.h"

#include "chanserv/server__in.h"
#include "mux/local.h"
#include "mux/roll.h"

cs_err dial_server(cs_loop *loop, chanserv_server *server, mux_conn **ret)
{
    return mux_dial_local(loop, NULL, chanserv__server_net(server),
                          chanserv__server_handlers(server), ret);
}

static void roll(mux_conn *conn, void *user)
{
    (void)user;
    mux_conn_roll(conn);
}

void dial_roll(chanserv_server *server)
{
    mux_handlers_each_local(chanserv__server_handlers(server), roll, NULL);
}
