/* health -- grpc.health.v1 (doc/health-checking.md of grpc/grpc).
 *
 * A Watch says what is true at once, and again when that has changed; what could not be sent yet is not
 * queued.  With a drain it ends, behind its last word: who still wants to know asks again, and the
 * connection can go. */
#include "gateway/admin__in.h"
#include "proto/health.h"

enum { NAME_MAX = 255, UNSAID = -1 }; /* no service has a longer name */

static bool is_grpc_service(const chanserv_server *server, cs_bytes name)
{
    size_t at = 0;
    cs_bytes one;

    while (chanserv_server_grpc_service(server, &at, &one))
        if (cs_same(one, name))
            return true;
    return false;
}

static bool goes(const gateway_admin *admin)
{
    return admin->freed || chanserv_server_is_going(admin->server);
}

static enum wire_health health_of(const gateway_admin *admin, cs_bytes name, mux_stream *stream)
{
    if (name.len > 0 && !is_grpc_service(admin->server, name) &&
        !chanserv_server_shows(admin->server, name, stream))
        return WIRE_SERVICE_UNKNOWN;
    return goes(admin) ? WIRE_NOT_SERVING : WIRE_SERVING;
}

/* ---- Check ---------------------------------------------------------------------------------- */

void gateway__health_check(mux_request *request, cs_bytes message, void *user)
{
    const gateway_admin *admin = user;
    uint8_t reply[WIRE_HEALTH_MAX];
    enum wire_health health;
    cs_bytes name;

    if (wire_health_parse(message, &name) != CS_OK) {
        mux_request_answer(request, CS_EINVAL, cs_str(""), "no HealthCheckRequest");
        return;
    }
    health = health_of(admin, name, mux_request_stream(request));
    if (health == WIRE_SERVICE_UNKNOWN)
        mux_request_answer(request, CS_ENOENT, cs_str(""), "no such service");
    else
        mux_request_answer(request, CS_OK, cs_bytes_of(reply, wire_health_put(reply, health)),
                           NULL);
}

/* ---- Watch ---------------------------------------------------------------------------------- */

struct watch { /* the state of such a stream */
    gateway_admin *admin;
    mux_stream *stream;
    struct cs_link link; /* of admin->watching, from the question on */
    int said;            /* a wire_health, or UNSAID */
    bool asked;
    uint16_t name_len;
    char name[NAME_MAX + 1]; /* one that is too long is cut, and is none */
};

static void finish(struct watch *w, cs_err err, const char *words)
{
    cs_unlink(&w->link);
    mux_stream_finish(w->stream, err, words);
}

static void say(mux_stream *stream, void *state)
{
    struct watch *w = state;
    uint8_t message[WIRE_HEALTH_MAX];
    enum wire_health health;
    cs_err err = CS_OK;

    if (!cs_linked(&w->link) || mux_stream_room(stream) == 0)
        return;
    health = health_of(w->admin, cs_bytes_of(w->name, w->name_len), stream);
    if (!cs_linked(&w->link)) /* the hook has ended it */
        return;
    if ((int)health != w->said)
        err = mux_stream_send(stream, cs_bytes_of(message, wire_health_put(message, health)),
                              cs_bytes_of(NULL, 0));
    w->said = (int)health;
    if (err != CS_OK)
        finish(w, err, NULL);
    else if (goes(w->admin))
        finish(w, CS_EUNAVAIL, "the server is going away");
}

static void ask(struct watch *w, cs_bytes message)
{
    cs_bytes name;

    w->asked = true;
    if (wire_health_parse(message, &name) != CS_OK) {
        mux_stream_finish(w->stream, CS_EINVAL, "no HealthCheckRequest");
        return;
    }
    w->name_len = (uint16_t)(name.len < sizeof w->name ? name.len : sizeof w->name);
    memcpy(w->name, name.base, w->name_len);
    cs_list_push(&w->admin->watching, &w->link);
    mux_stream_wake(w->stream);
}

static void readable(mux_stream *stream, void *state)
{
    struct watch *w = state;
    cs_bytes message;
    cs_err err;

    while ((err = mux_stream_recv(stream, &message)) == CS_OK) {
        if (!w->asked)
            ask(w, message);
        else if (cs_linked(&w->link))
            finish(w, CS_ENOTSUP, "the method takes one message");
    }
    if (err == CS_DONE && !w->asked)
        mux_stream_finish(stream, CS_ENOTSUP, "the method takes one message");
}

/* It is asked again on another connection. */
static void rolled(mux_stream *stream, void *state)
{
    struct watch *w = state;

    if (!cs_linked(&w->link))
        return;
    if (goes(w->admin))
        mux_stream_wake(stream);
    else
        finish(w, CS_DONE, NULL);
}

static void end(mux_stream *stream, cs_err why, void *state)
{
    struct watch *w = state;

    (void)stream, (void)why;
    cs_unlink(&w->link);
    cs_free(w);
}

void gateway__health_watch(mux_stream *stream, void *user)
{
    static const struct mux_stream_ops ops = {
        .readable = readable, .pull = say, .end = end, .rolled = rolled};
    struct watch *w = cs_zalloc(sizeof *w);

    if (!w) {
        gateway__admin_refuse(stream, CS_ENOMEM);
        return;
    }
    w->admin = user;
    w->stream = stream;
    w->said = UNSAID;
    cs_link_init(&w->link);
    (void)mux_stream_accept(stream, &ops, w);
}

void gateway__health_changed(gateway_admin *admin)
{
    struct cs_link *link = cs_list_first(&admin->watching);

    for (; link; link = cs_list_next(&admin->watching, link))
        mux_stream_wake(CS_CONTAINER(link, struct watch, link)->stream);
}
