/* gateway -- the object: made beside a server, and its going.
 *
 * It goes when its last request and its last connection have gone, each of which has something to say
 * to its handler, or a link to close. */
#include "gateway/gateway__in.h"

/* ---- Options --------------------------------------------------------------------------------------- */

static int64_t bytes_or(int64_t given, int64_t standard)
{
    return given == 0 ? standard : given < 0 ? INT64_MAX : given;
}

static int timeout_or(int given, int standard)
{
    return given == 0 ? standard : given < 0 ? CS_FOREVER : given;
}

#define RESOLVE_MS timeout_or
#define RESOLVE_BYTES bytes_or

static void resolve(struct gateway_options *o)
{
    const bool keeps_none = o->keep_bytes < 0;

#define ROW(X, option, unit, standard, ...) o->option = RESOLVE_##unit(o->option, standard);
    GATEWAY_LIMITS(ROW, )
#undef ROW
    if (keeps_none)
        o->keep_bytes = 0;
}

static bool options_ok(const struct gateway_options *o)
{
    for (size_t i = 0; i < sizeof o->reserved / sizeof *o->reserved; i++)
        if (o->reserved[i])
            return false;
    return true;
}

/* ---- Going ------------------------------------------------------------------------------------------ */

static void destroy(gateway *gw)
{
    cs_task_drop(&gw->reap);
    gateway__kept_free(gw);
    cs_names_fini(&gw->named);
    mux_conn_free(gw->calls);
    chanserv_client_free(gw->client);
    gateway__routes_free(gw);
    gateway__reports_free(gw);
    cs_free(gw->hosts);
    cs_free(gw->origins);
    cs_free(gw);
}

static void on_reap(cs_task *task)
{
    gateway *dead = CS_CONTAINER(task, gateway, reap);

    if (cs_list_empty(&dead->requests) && cs_list_empty(&dead->carriers))
        destroy(dead);
}

void gateway__let_go(gateway *gw)
{
    if (gw->freed)
        cs_task_post(gw->loop, CS_REAP, &gw->reap);
}

void gateway__carrier_add(gateway *gw, struct gateway__carrier *carrier)
{
    cs_list_push(&gw->carriers, &carrier->link);
}

void gateway__carrier_gone(gateway *gw, struct gateway__carrier *carrier)
{
    cs_unlink(&carrier->link);
    gateway__let_go(gw);
}

static void end_requests(gateway *gw)
{
    struct cs_link *link = cs_list_first(&gw->requests), *next;

    for (; link; link = next) {
        gateway_request *request = CS_CONTAINER(link, gateway_request, link);

        next = cs_list_next(&gw->requests, link);
        if (request->stage != GATEWAY__OVER)
            gateway__request_abort(request, CS_ECANCELED);
    }
}

static void end_carriers(gateway *gw)
{
    struct cs_link *link = cs_list_first(&gw->carriers), *next;

    for (; link; link = next) {
        struct gateway__carrier *carrier = CS_CONTAINER(link, struct gateway__carrier, link);

        next = cs_list_next(&gw->carriers, link);
        carrier->end(carrier, CS_ECANCELED);
    }
}

void gateway_free(gateway *gw)
{
    cs_loop *loop;

    if (!gw || gw->freed)
        return;
    loop = gw->loop;
    gw->freed = true;
    (void)chanserv_server_set_foreign(gw->server, NULL);
    end_requests(gw);
    end_carriers(gw);
    gateway__let_go(gw);
    if (!cs_loop_in_turn(loop))
        cs_loop_last_turn(loop);
}

/* ---- Made ------------------------------------------------------------------------------------------- */

static cs_err copy_texts(gateway *gw)
{
    struct gateway_options *o = &gw->options;

    gw->hosts = cs_strdup(o->hosts);
    gw->origins = cs_strdup(o->cors_origins);
    if ((o->hosts && !gw->hosts) || (o->cors_origins && !gw->origins))
        return CS_ENOMEM;
    o->hosts = o->cors_origins = NULL;
    return CS_OK;
}

/* What a source has ahead of its reader is for a way that has no length, and it is his who may never
 * read: so it is little. */
enum { AHEAD = 16 * 1024 };
const struct mux_options gateway__net = {
    .connections_max = 64, .window_bytes = AHEAD, .window_max_bytes = CS_OFF};

/* Nothing in the process breaks, so no session; and one name is served here or nowhere. */
static cs_err join(gateway *gw)
{
    const struct chanserv_client_options options = {
        .resume_ms = CS_OFF, .lookup_timeout_ms = CS_OFF, .net = gateway__net};
    cs_err err = chanserv_client_new(gw->loop, &options, &gw->client);

    return err == CS_OK ? chanserv_join_local(gw->client, gw->server) : err;
}

static cs_err init(gateway *gw)
{
    const struct chanserv_foreign foreign = {
        .wire = gateway__conn1_accept, .plain = gateway__conn2_accept, .user = gw};
    cs_err err = copy_texts(gw);

    if (err == CS_OK)
        err = join(gw);
    if (err == CS_OK)
        err = gateway__routes_mount(gw);
    if (err == CS_OK)
        err = chanserv_server_set_foreign(gw->server, &foreign);
    return err;
}

cs_err gateway_new(chanserv_server *server, const struct gateway_options *options, gateway **ret)
{
    gateway *made;
    cs_err err;

    if (options && !options_ok(options))
        return CS_EMISUSE;
    if (!(made = cs_zalloc(sizeof *made)))
        return CS_ENOMEM;
    made->server = server;
    made->loop = chanserv_server_loop(server);
    cs_list_init(&made->requests);
    cs_list_init(&made->carriers);
    cs_list_init(&made->lingering);
    cs_task_init(&made->reap, on_reap);
    if (options)
        made->options = *options;
    resolve(&made->options);
    if ((err = init(made)) == CS_OK)
        *ret = made;
    else
        destroy(made);
    return err;
}

chanserv_client *gateway_client(gateway *gw)
{
    return gw->client;
}

chanserv_server *gateway_server(gateway *gw)
{
    return gw->server;
}
