/* services -- the method Services: the whole list of names at once, and again when it changes.
 *
 * The stream stays until the client leaves.  A list that could not be sent yet is not queued: what
 * is said when there is room is what is true then. */
#include "chanserv/loops__in.h"

#include <stdio.h>
#include <unistd.h>

struct watcher { /* the state of such a stream */
    struct chanserv__call call;
    struct cs_link link; /* of server->watchers, once it is asked */
    mux_stream *stream;
    bool stale; /* the client does not know the latest */
};

/* What buckets are hashed with: as it was given; else host name and port, or path, of the first
 * listener. */
static void node_of(const chanserv_server *server, char *to, size_t len)
{
    const char *addr = server->ports_len ? mux_port_addr(server->ports[0]) : NULL;
    const char *port = addr ? strrchr(addr, ':') : NULL;
    char host[256] = "";

    if (server->node) {
        snprintf(to, len, "%s", server->node);
        return;
    }
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    snprintf(to, len, "%s%s", host[0] ? host : "localhost", port ? port : "");
}

/* All names, with their bytes behind them: the hook may serve and unserve while it is asked. */
static cs_bytes *names_copy(const chanserv_server *server, size_t *ret)
{
    const struct chanserv__service *service;
    size_t at = 0, bytes = 0, n = 0;
    cs_bytes *names;
    void *value;
    char *to;

    while (cs_names_each(&server->services, &at, &value)) {
        service = value;
        bytes += service->name_len;
    }
    names = cs_alloc(server->services.len * sizeof *names + bytes);
    if (!names)
        return NULL;
    to = (char *)(names + server->services.len);
    for (at = 0; cs_names_each(&server->services, &at, &value); n++) {
        service = value;
        names[n] = cs_bytes_put(&to, cs_bytes_of(service->name, service->name_len));
    }
    *ret = n;
    return names;
}

/* Takes out what the caller may not use.  CS_EAUTH: every name, for want of an identity; `why` has
 * the words of the last. */
static cs_err names_allowed(struct watcher *w, size_t all, struct wire_services *list, char *why)
{
    size_t strange = 0;

    for (size_t i = 0; i < all; i++) {
        cs_err err = chanserv__authorise(w->call.server, CHANSERV_LIST,
                                         chanserv__short_name(w->call.server, list->names[i]),
                                         w->stream, why);

        if (err == CS_OK)
            list->names[list->names_len++] = list->names[i];
        strange += err == CS_EAUTH;
    }
    return all > 0 && strange == all ? CS_EAUTH : CS_OK;
}

static cs_err list_send(struct watcher *w, char *why)
{
    chanserv_server *server = w->call.server;
    struct wire_services list = {.draining = server->drain.stage != CHANSERV__SERVES};
    size_t all = 0, len;
    char node[512];
    uint8_t *msg;
    cs_err err;

    list.names = names_copy(server, &all);
    if (!list.names)
        return CS_ENOMEM;
    err = names_allowed(w, all, &list, why);
    if (err != CS_OK) {
        cs_free(list.names);
        return err;
    }
    node_of(server, node, sizeof node);
    list.node = cs_str(node);
    list.instance = cs_bytes_of(server->instance, sizeof server->instance);
    err = wire_services_pack(&list, &msg, &len);
    cs_free(list.names);
    if (err != CS_OK)
        return err;
    err = mux_stream_send(w->stream, cs_bytes_of(msg, len), cs_bytes_of(NULL, 0));
    cs_free(msg);
    return err;
}

static void pull(mux_stream *stream, void *state)
{
    struct watcher *w = state;
    char why[CHANSERV_WHY_MAX];
    cs_err err;

    if (!w->stale || mux_stream_room(stream) == 0)
        return;
    w->stale = false; /* unless the hook changes what there is */
    err = list_send(w, why);
    if (err == CS_EAUTH) {
        cs_unlink(&w->link); /* that was its last list */
        w->stream = NULL;
        chanserv__deny(w->call.server, stream, err, why);
    }
    if (err == CS_ENOMEM)
        chanserv__refuse(stream, WIRE_R_LIMIT, "out of memory");
}

static void readable(mux_stream *stream, void *state)
{
    struct watcher *w = state;

    if (chanserv__call_read(stream, &w->call) != CS_OK)
        return;
    chanserv__call_clear(&w->call); /* a ServicesRequest says nothing */
    if (w->call.server->dying) {
        chanserv__refuse(stream, WIRE_R_DRAINING, NULL);
        return;
    }
    cs_list_push(&w->call.server->watchers, &w->link);
    w->stream = stream;
    w->stale = true;
    mux_stream_send_headers(stream);
    mux_stream_wake(stream);
}

static void end(mux_stream *stream, cs_err why, void *state)
{
    struct watcher *w = state;

    (void)stream, (void)why;
    if (w->stream)
        cs_unlink(&w->link);
    w->call.server->calls--;
    chanserv__call_clear(&w->call);
}

/* It asks again on a new connection, if there will be one. */
static void rolled(mux_stream *stream, void *state)
{
    struct watcher *w = state;

    if (!w->stream)
        return;
    cs_unlink(&w->link);
    w->stream = NULL;
    w->stale = false;
    if (w->call.server->drain.stage == CHANSERV__SERVES)
        mux_stream_finish(stream, CS_DONE, NULL);
    else
        chanserv__abort(stream, WIRE_R_DRAINING);
}

static const struct mux_stream_ops watch_ops = {
    .state_bytes = sizeof(struct watcher),
    .readable = readable,
    .pull = pull,
    .end = end,
    .rolled = rolled,
};

void chanserv__services_accept(mux_stream *stream, void *user)
{
    struct watcher w = {.call.server = user};

    if (chanserv__route_services(stream, user))
        return;
    if (mux_stream_accept(stream, &watch_ops, &w) == CS_OK)
        w.call.server->calls++;
}

void chanserv__services_changed(chanserv_server *server)
{
    struct cs_link *link = cs_list_first(&server->watchers);

    for (; link; link = cs_list_next(&server->watchers, link)) {
        struct watcher *w = CS_CONTAINER(link, struct watcher, link);

        w->stale = true;
        mux_stream_wake(w->stream);
    }
    chanserv__looks_tell(server);
}

void chanserv__services_shut(chanserv_server *server)
{
    struct cs_link *link = cs_list_first(&server->watchers);

    for (; link; link = cs_list_next(&server->watchers, link)) {
        struct watcher *w = CS_CONTAINER(link, struct watcher, link);

        w->stale = false;
        chanserv__abort(w->stream, WIRE_R_DRAINING);
    }
}
