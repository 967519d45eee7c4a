/* chanserv -- channels of channels over HTTP/2.  Everything there is. */
#ifndef CHANSERV_CHANSERV_H
#define CHANSERV_CHANSERV_H

#include "chanserv/adapters.h"
#include "chanserv/client.h"
#include "chanserv/server.h"

#endif
