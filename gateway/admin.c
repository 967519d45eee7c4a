/* admin -- see admin.h. */
#include "gateway/admin__in.h"

/* ---- Going ---------------------------------------------------------------------------------- */

static void perhaps_free(gateway_admin *admin)
{
    if (!admin->freed || !admin->gone)
        return;
    for (size_t i = 1; i < admin->sets_len; i++)
        cs_free((void *)(uintptr_t)admin->sets[i].base); /* our copy */
    cs_free(admin->sets);
    cs_free(admin);
}

static void refused_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why, (void)state;
}

void gateway__admin_refuse(mux_stream *stream, cs_err why)
{
    static const struct mux_stream_ops ops = {.end = refused_end};

    (void)mux_stream_accept(stream, &ops, NULL); /* needs no memory */
    mux_stream_finish(stream, why, NULL);
}

static void changed(void *admin)
{
    gateway__health_changed(admin);
}

static void gone(void *user)
{
    gateway_admin *admin = user;

    admin->gone = true;
    perhaps_free(admin);
}

/* ---- Making it ------------------------------------------------------------------------------ */

static cs_err add_set(gateway_admin *admin, cs_bytes set)
{
    cs_bytes *sets = cs_realloc(admin->sets, (admin->sets_len + 1) * sizeof *sets);

    if (!sets)
        return CS_ENOMEM;
    admin->sets = sets;
    admin->sets[admin->sets_len++] = set;
    return CS_OK;
}

static cs_err handle_all(chanserv_server *server, gateway_admin *admin)
{
    static const char reflection[] = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    static const char alpha[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
    cs_err err =
        chanserv_handle(server, "/grpc.health.v1.Health/Check", mux_serve_unary, &admin->check);

    if (err == CS_OK)
        err = chanserv_handle(server, "/grpc.health.v1.Health/Watch", gateway__health_watch, admin);
    if (err == CS_OK)
        err = chanserv_handle(server, reflection, gateway__reflect, admin);
    if (err == CS_OK)
        err = chanserv_handle(server, alpha, gateway__reflect, admin);
    return err == CS_OK
               ? chanserv_handle(server, "/chanserv.v1.Debug/Stat", mux_serve_unary, &admin->stat)
               : err;
}

cs_err gateway_admin_new(chanserv_server *server, gateway_admin **ret)
{
    gateway_admin *admin = cs_zalloc(sizeof *admin);
    cs_err err;

    if (!admin)
        return CS_ENOMEM;
    admin->server = server;
    admin->check = (struct mux_method){gateway__health_check, admin};
    admin->stat = (struct mux_method){gateway__debug_stat, admin};
    cs_list_init(&admin->watching);
    err = add_set(admin, wire_descriptors);
    if (err == CS_OK)
        err = chanserv_server_watch(server, changed, gone, admin);
    admin->gone = err != CS_OK;
    if (err == CS_OK)
        err = handle_all(server, admin);
    if (err != CS_OK) {
        gateway_admin_free(admin); /* or the server does, which may have some of the methods */
        return err;
    }
    *ret = admin;
    return CS_OK;
}

void gateway_admin_free(gateway_admin *admin)
{
    if (!admin)
        return;
    admin->freed = true;
    if (!admin->gone)
        gateway__health_changed(admin);
    perhaps_free(admin);
}

cs_err gateway_admin_describe(gateway_admin *admin, cs_bytes set)
{
    const struct wire_spoken before = {.sets = admin->sets, .sets_len = admin->sets_len};
    cs_err err = wire_set_check(set, &before);
    char *copy;

    if (err != CS_OK)
        return err == CS_EPROTO ? CS_EINVAL : err;
    copy = cs_bytesdup(set);
    err = copy ? add_set(admin, cs_bytes_of(copy, set.len)) : CS_ENOMEM;
    if (err != CS_OK)
        cs_free(copy);
    return err;
}
