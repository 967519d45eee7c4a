/* chanserv stat -- a server looked into: what there is, and what it waits for.
 *
 * THREADS    That of the server's first loop (or nobody runs it).
 */
#ifndef CHANSERV_STAT_H
#define CHANSERV_STAT_H

#include "chanserv/server.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- What is served ------------------------------------------------------------------------- */

/* Is there a service of this name, as clients write it (the name space included), that the caller of
 * `stream` may be shown?  As the method Services does; `stream` NULL: nobody is asked. */
CS_API bool chanserv_server_shows(chanserv_server *server, cs_bytes service, mux_stream *stream);

/* The gRPC services that have methods here, "chanserv.v1.Chanserv" and those of chanserv_handle(), each
 * once; false past the last.  `*at` begins at 0; the name is good as long as the server. */
CS_API bool chanserv_server_grpc_service(const chanserv_server *server, size_t *at, cs_bytes *ret);

/* A drain has begun, or the server was freed: nothing new is taken. */
CS_API bool chanserv_server_is_going(const chanserv_server *server);

/* For the server's whole life.  `changed`: services came or went, or a drain began; from the loop, several
 * changes at once.  `gone`: exactly once, last; the server is not there any more.  Either may be NULL.
 * CS_ENOMEM. */
CS_API cs_err chanserv_server_watch(chanserv_server *server, void (*changed)(void *user),
                                    void (*gone)(void *user), void *user);

#ifdef __cplusplus
}
#endif
#endif
