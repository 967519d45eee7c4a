/* serve -- what a server serves: source functions by name, in its name space. */
#include "chanserv/loops__in.h"

#include <stdio.h>

/* The name on the wire; false: not the name of a service, or too long with the name space. */
static bool full_name(const chanserv_server *server, const char *service, char to[256])
{
    size_t len = strlen(service);

    if (!wire_service_name_ok(cs_bytes_of(service, len)) || len + server->suffix_len > 255)
        return false;
    snprintf(to, 256, "%s%s", service, server->suffix ? server->suffix : "");
    return true;
}

bool chanserv__in_space(const chanserv_server *server, cs_bytes full)
{
    const char *end = (const char *)full.base + full.len;

    return full.len > server->suffix_len &&
           (server->suffix_len == 0 ||
            memcmp(end - server->suffix_len, server->suffix, server->suffix_len) == 0);
}

cs_bytes chanserv__short_name(const chanserv_server *server, cs_bytes full)
{
    return cs_bytes_of(full.base, full.len - server->suffix_len);
}

static cs_err add_service(chanserv_server *server, cs_bytes full, chanserv_source_fn *fn,
                          void *user, bool parallel)
{
    struct chanserv__service *s;
    cs_err err;

    if (cs_names_get(&server->services, full))
        return CS_EEXIST;
    s = cs_zalloc(sizeof *s + full.len + 1);
    if (!s)
        return CS_ENOMEM;
    s->fn = fn;
    s->user = user;
    s->parallel = parallel;
    s->name_len = full.len;
    memcpy(s->name, full.base, full.len);
    err = cs_names_put(&server->services, cs_bytes_of(s->name, s->name_len), s);
    if (err != CS_OK)
        cs_free(s);
    else
        chanserv__services_changed(server);
    return err;
}

static void remove_service(chanserv_server *server, cs_bytes full)
{
    void *s = cs_names_remove(&server->services, full);

    cs_free(s);
    if (s)
        chanserv__services_changed(server);
}

/* A parallel one is known on all loops, any other on the first alone. */
static cs_err serve(chanserv_server *server, cs_bytes full, chanserv_source_fn *fn, void *user,
                    bool parallel)
{
    struct chanserv__loops *loops = server->loops;
    cs_err err;

    if (loops && loops->begun && (parallel || loops->parallel))
        return CS_EMISUSE;
    err = add_service(server, full, fn, user, parallel);
    for (size_t i = 1; err == CS_OK && parallel && loops && i < loops->len; i++)
        err = add_service(loops->all[i], full, fn, user, true);
    for (size_t i = 0; err == CS_ENOMEM && parallel && loops && i < loops->len; i++)
        remove_service(loops->all[i], full);
    return err;
}

static cs_err serve_sticky(chanserv_server *server, const char *service, chanserv_source_fn *fn,
                           void *user, bool parallel)
{
    char full[256];
    cs_err err;

    if (!fn || !full_name(server, service, full))
        return chanserv__stick(server, CS_EINVAL, "serve: not the name of a service: ", service);
    err = serve(server, cs_str(full), fn, user, parallel);
    if (err == CS_OK)
        return err;
    return chanserv__stick(server, err,
                           err == CS_EEXIST    ? "serve: served already: "
                           : err == CS_EMISUSE ? "serve: too late, the loops run: "
                                               : "serve: out of memory: ",
                           service);
}

cs_err chanserv_serve(chanserv_server *server, const char *service, chanserv_source_fn *fn,
                      void *user)
{
    return serve_sticky(server, service, fn, user, false);
}

cs_err chanserv_serve_parallel(chanserv_server *server, const char *service, chanserv_source_fn *fn,
                               void *user)
{
    return serve_sticky(server, service, fn, user, true);
}

cs_err chanserv_unserve(chanserv_server *server, const char *service)
{
    struct chanserv__loops *loops = server->loops;
    const struct chanserv__service *s;
    char full[256];

    if (!full_name(server, service, full) || !(s = cs_names_get(&server->services, cs_str(full))))
        return CS_ENOENT;
    if (s->parallel && loops && loops->begun)
        return CS_EMISUSE;
    for (size_t i = loops ? loops->len : 1; i-- > 0;)
        remove_service(loops ? loops->all[i] : server, cs_str(full));
    return CS_OK;
}
