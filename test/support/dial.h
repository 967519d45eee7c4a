/* dial -- a connection to a server of this process, for calls of any method: tests of rooms that must not
 * look into chanserv. */
#ifndef TEST_SUPPORT_DIAL_H
#define TEST_SUPPORT_DIAL_H

#include "chanserv/server.h"

/* As mux_dial_local(). */
cs_err dial_server(cs_loop *loop, chanserv_server *server, mux_conn **ret);
/* All of them are rolled over (mux/roll.h). */
void dial_roll(chanserv_server *server);

#endif
