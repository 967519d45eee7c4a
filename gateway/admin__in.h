/* admin__in -- what the files of gateway_admin share.  Private to gateway. */
#ifndef GATEWAY_ADMIN_IN_H
#define GATEWAY_ADMIN_IN_H

#include "base/list.h"
#include "base/mem.h"
#include "gateway/admin.h"
#include "proto/reflect.h"

struct gateway_admin {
    chanserv_server *server;
    bool freed, gone; /* by its owner; the server is: its memory goes with the second */
    struct mux_method check, stat; /* of health; of Debug */
    struct cs_list watching;       /* streams of Watch that are asked */
    cs_bytes *sets;                /* ours first, of sets_len; all others are ours to free */
    size_t sets_len;
};

/* mux_unary_fns, and mux_accept_fns; `user` is the admin. */
void gateway__health_check(mux_request *request, cs_bytes message, void *admin);
void gateway__debug_stat(mux_request *request, cs_bytes message, void *admin);
void gateway__health_watch(mux_stream *stream, void *admin);
void gateway__reflect(mux_stream *stream, void *admin);
/* What they watch may have changed. */
void gateway__health_changed(gateway_admin *admin);

/* Not now: freed, or no memory. */
void gateway__admin_refuse(mux_stream *stream, cs_err why);

#endif
