/* look -- what a server serves, for those who tell others of it. */
#include "chanserv/loops__in.h"

static const char own[] = "chanserv.v1.Chanserv";

/* ---- What there is -------------------------------------------------------------------------- */

bool chanserv_server_shows(chanserv_server *server, cs_bytes service, mux_stream *stream)
{
    char why[CHANSERV_WHY_MAX];

    if (!cs_names_get(&server->services, service))
        return false;
    return !stream ||
           chanserv__authorise(server, CHANSERV_LIST, chanserv__short_name(server, service), stream,
                               why) == CS_OK;
}

/* "/pkg.Service/Method" without its ends. */
static cs_bytes service_of(const struct chanserv__raw *raw)
{
    const char *name = raw->method + 1;

    return cs_bytes_of(name, (size_t)(strchr(name, '/') - name));
}

/* One whose service is no earlier one's. */
static bool is_first(const chanserv_server *server, const struct chanserv__raw *raw)
{
    const struct chanserv__raw *r = server->raws;

    while (!cs_same(service_of(r), service_of(raw)))
        r = r->next;
    return r == raw && !cs_same(service_of(raw), cs_str(own));
}

bool chanserv_server_grpc_service(const chanserv_server *server, size_t *at, cs_bytes *ret)
{
    const struct chanserv__raw *raw = NULL;

    for (size_t n = 0; n < *at; n++) {
        raw = raw ? raw->next : server->raws;
        while (raw && !is_first(server, raw))
            raw = raw->next;
        if (!raw)
            return false;
    }
    *ret = raw ? service_of(raw) : cs_str(own);
    ++*at;
    return true;
}

bool chanserv_server_is_going(const chanserv_server *server)
{
    return server->dying || server->drain.stage != CHANSERV__SERVES;
}

/* ---- Who wants to know ---------------------------------------------------------------------- */

struct look {
    struct cs_link link; /* of server->looks */
    cs_task task;
    void (*changed)(void *user), (*gone)(void *user);
    void *user;
};

static void tell(cs_task *task)
{
    const struct look *look = CS_CONTAINER(task, struct look, task);

    look->changed(look->user);
}

cs_err chanserv_server_watch(chanserv_server *server, void (*changed)(void *user),
                             void (*gone)(void *user), void *user)
{
    struct look *look = cs_zalloc(sizeof *look);

    if (!look)
        return CS_ENOMEM;
    cs_task_init(&look->task, tell);
    look->changed = changed;
    look->gone = gone;
    look->user = user;
    cs_list_push(&server->looks, &look->link);
    return CS_OK;
}

void chanserv__looks_tell(chanserv_server *server)
{
    struct cs_link *link = cs_list_first(&server->looks);

    for (; link; link = cs_list_next(&server->looks, link)) {
        struct look *look = CS_CONTAINER(link, struct look, link);

        if (look->changed)
            cs_task_post(server->loop, CS_CALL, &look->task);
    }
}

void chanserv__looks_fini(chanserv_server *server)
{
    struct cs_link *link;

    while ((link = cs_list_first(&server->looks))) {
        struct look *look = CS_CONTAINER(link, struct look, link);

        cs_unlink(link);
        cs_task_drop(&look->task);
        if (look->gone)
            look->gone(look->user);
        cs_free(look);
    }
}
