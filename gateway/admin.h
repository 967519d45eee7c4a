/* gateway admin -- what operators' tools ask of any gRPC server: is it well, and what does it speak.
 *
 *   grpc.health.v1.Health                  Check, Watch
 *   grpc.reflection.v1.ServerReflection    and v1alpha, the same
 *   chanserv.v1.Debug                      Stat: what runs and what it waits for, and all counters
 *
 * Methods on the server's own ports, so its authorise hook is asked (CHANSERV_RAW).  Health knows all
 * of the server by the name "", each gRPC service, and each service that the caller may be shown, by the
 * name that clients write: SERVING, or NOT_SERVING from the moment that a drain begins.
 *
 * THREADS    That of the server's first loop.
 */
#ifndef GATEWAY_ADMIN_H
#define GATEWAY_ADMIN_H

#include "chanserv/chanserv.h"
#include "chanserv/stat.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gateway_admin gateway_admin;

/* From now on the server answers them.  Once a server: CS_EEXIST; CS_EMISUSE: it has run, on several
 * loops; CS_ENOMEM. */
CS_API cs_err gateway_admin_new(chanserv_server *server, gateway_admin **ret);
/* Before the server or after it; before it: the methods answer UNAVAILABLE from now on. */
CS_API void gateway_admin_free(gateway_admin *admin); /* NULL is fine */

/* Reflection tells of these files too: a google.protobuf.FileDescriptorSet, as `protoc
 * --include_imports --descriptor_set_out` writes it; copied.  Of files of one name the first counts.
 * Which services it lists depends on what chanserv_handle() was given, not on this.  CS_EINVAL: it is no
 * such set; CS_ENOENT: a file imports one that is not there; CS_ENOMEM. */
CS_API cs_err gateway_admin_describe(gateway_admin *admin, cs_bytes file_descriptor_set);

#ifdef __cplusplus
}
#endif
#endif
