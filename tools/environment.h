/* environment -- what a command that we start finds in its environment. */
#ifndef TOOLS_ENVIRONMENT_H
#define TOOLS_ENVIRONMENT_H

#include "base/base.h"

/* Our own environment, with `pairs` in place of variables of the same names.  A pair with an empty
 * value takes its variable away.  What the service manager told us alone (NOTIFY_SOCKET, LISTEN_*,
 * WATCHDOG_*) is left out.  Ends with NULL; free() it, which frees all.  NULL: no memory. */
char **tool_environment(const cs_pair *pairs, size_t len);

#endif
