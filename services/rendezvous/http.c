/* http -- GET and POST /event, and GET /stats, by a gateway.
 *
 * A request becomes a post of the gateway's client on behalf of its caller, so who may ask, limits and
 * counters are those of the service; and a client that hangs up takes its post along. */
#include "services/rendezvous/desk.h"
#include "services/rendezvous/meet.h"
#include "services/rendezvous/read.h"

#include "gateway/json.h"

#include <stdlib.h>

/* ---- What is asked -------------------------------------------------------------------------- */

static bool is_object(cs_bytes body)
{
    const char *at = body.base;

    for (size_t i = 0; i < body.len; i++)
        if (!strchr(" \t\r\n", at[i]) || at[i] == '\0')
            return at[i] == '{';
    return false;
}

/* The parameters as an object of strings.  What is empty is as if it was not there. */
static cs_err put_params(FILE *to, gateway_request *request)
{
    static const char *const names[] = {"event",    "actor",   "payload", "mates", "labels",
                                        "selector", "timeout", "form",    "key",   "generation"};

    fputs("{\"roster\":false", to);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const cs_bytes value = gateway_param(request, names[i]);
        if (value.len == 0)
            continue;
        if (!gateway_is_utf8(value))
            return gateway_fail(request, CS_EINVAL, "%s: it is not UTF-8", names[i]);
        fprintf(to, ",\"%s\":", names[i]);
        rendezvous__put_string(to, value);
    }
    fputc('}', to);
    return CS_OK;
}

/* ---- What is answered ----------------------------------------------------------------------- */

/* "post rendezvous: INVALID_ARGUMENT: mates: ...": what is behind the code. */
static const char *words_of(const rendezvous_meeting *meeting)
{
    const char *words = rendezvous_errmsg(meeting), *rest = words;

    for (int i = 0; i < 2 && rest; i++)
        if ((rest = strstr(rest, ": ")))
            rest += 2;
    return rest ? rest : words;
}

/* A timeout that was asked for is not the server's: 408, not 504. */
static void answer_late(gateway_request *request, const char *words)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    if (to) {
        fputs("{\"error\":{\"code\":\"DEADLINE_EXCEEDED\",\"message\":", to);
        rendezvous__put_string(to, cs_str(words));
        fputs("}}\n", to);
    }
    if (rendezvous__put_end(to, &text))
        gateway_reply(request, 408, "application/json", cs_bytes_of(text, len));
    else
        gateway_fail(request, CS_ENOMEM, "no memory");
    free(text);
}

static void answer_match(gateway_request *request, cs_bytes match)
{
    char *line = rendezvous__alloc(match.len + 1);

    if (!line) {
        gateway_fail(request, CS_ENOMEM, "no memory");
        return;
    }
    memcpy(line, match.base, match.len);
    line[match.len] = '\n';
    gateway_reply(request, 200, "application/json", cs_bytes_of(line, match.len + 1));
    free(line);
}

static void met(rendezvous_meeting *meeting, cs_err why, void *user)
{
    gateway_request *request = user;

    if (why == CS_OK)
        answer_match(request, rendezvous_match(meeting));
    else if (why == CS_ETIMEOUT)
        answer_late(request, words_of(meeting));
    else
        gateway_fail(request, why, "%s", words_of(meeting));
}

/* ---- The routes ----------------------------------------------------------------------------- */

/* Who waits by HTTP has his body here twice: of the request, and of its post. */
struct waiter {
    rendezvous *desk;
    size_t bytes;
    rendezvous_meeting *meeting;
};

static void request_end(gateway_request *request, cs_err why, void *state)
{
    struct waiter *waiter = state;

    (void)request, (void)why;
    waiter->desk->hall.bytes -= waiter->bytes;
    rendezvous_close(waiter->meeting);
}

static cs_err post(gateway_request *request, rendezvous *desk, cs_bytes body)
{
    static const struct gateway_reply_ops reply = {.state_bytes = sizeof(struct waiter),
                                                   .end = request_end};
    static const struct rendezvous_meeting_ops ops = {.end = met};
    struct chanserv_post_options options = {.timeout_ms = 0};
    const struct rendezvous_ask ask = {.service = desk->service, .post = &options};
    struct waiter waiter = {.desk = desk,
                            .bytes = rendezvous__cost(gateway_body(request).len) +
                                     rendezvous__cost(body.len)};
    cs_err err = gateway_keep(request, &reply, &waiter);

    if (err != CS_OK)
        return err;
    desk->hall.bytes += waiter.bytes;
    gateway_on_behalf(request, &options);
    err = rendezvous__come(gateway_client(gateway_of(request)), &ask, body, &ops, request,
                           &((struct waiter *)gateway_state(request))->meeting);
    return err == CS_OK ? CS_AGAIN : err;
}

static cs_err on_event(gateway_request *request, void *user)
{
    rendezvous *desk = user;
    char *body = NULL;
    size_t len = 0;
    FILE *to;
    cs_err err;

    if (is_object(gateway_body(request)))
        return post(request, desk, gateway_body(request));
    if (!(to = open_memstream(&body, &len)))
        return CS_ENOMEM;
    err = put_params(to, request);
    if (!rendezvous__put_end(to, &body))
        err = CS_ENOMEM;
    if (err == CS_OK)
        err = post(request, desk, cs_bytes_of(body, len));
    free(body);
    return err;
}

static cs_err on_stats(gateway_request *request, void *user)
{
    const rendezvous *desk = user;
    const cs_bytes limit = gateway_param(request, "limit");
    cs_err err = gateway_authorise(request, CHANSERV_POST, cs_str(desk->service));
    int64_t most = INT64_MAX;
    char *text;

    if (err != CS_OK)
        return err;
    if (limit.len > 0 && (!rendezvous__integer(limit, &most) || most < 0))
        return gateway_fail(request, CS_EINVAL, "limit: a number is wanted");
    if (!(text = rendezvous__tell_stats(desk, (size_t)most)))
        return CS_ENOMEM;
    (void)gateway_set_header(request, "cache-control", cs_str("no-store"));
    gateway_reply(request, 200, "application/json", cs_str(text));
    free(text);
    return CS_DONE;
}

/* ---- Metrics -------------------------------------------------------------------------------- */

static bool is_now(const char *name)
{
    return strcmp(name, "waiting") == 0 || strcmp(name, "waiting_bytes") == 0;
}

static void on_report(gateway_report *report, void *user)
{
    static const char *const bounds[RENDEZVOUS__WAITS] = {"10ms", "100ms", "1s",
                                                          "10s",  "100s",  "more"};
    const rendezvous *desk = user;
    struct rendezvous_counters counters;

    rendezvous_count(desk, &counters);
#define X(name_, help_)                                                                            \
    (void)gateway_report_put(report, &(struct gateway_metric){.name = #name_,                      \
                                                              .help = help_,                       \
                                                              .gauge = is_now(#name_),             \
                                                              .value = counters.name_});
    RENDEZVOUS_COUNTERS(X)
#undef X
    for (size_t i = 0; i < RENDEZVOUS__WAITS; i++)
        (void)gateway_report_put(
            report, &(struct gateway_metric){.name = "waited",
                                             .help = "parties that met, by how long they waited",
                                             .label = "upto",
                                             .of = cs_str(bounds[i]),
                                             .value = desk->waits[i]});
    (void)gateway_report_put(
        report, &(struct gateway_metric){.name = "waited_seconds",
                                         .help = "what all parties that met waited, together",
                                         .value = desk->waited_ms / 1000});
}

cs_err rendezvous_mount(rendezvous *desk, gateway *gw)
{
    cs_err err = gateway_route(gw, "GET", "/event", on_event, desk);

    if (err == CS_OK)
        err = gateway_route(gw, "POST", "/event", on_event, desk);
    if (err == CS_OK)
        err = gateway_route(gw, "GET", "/stats", on_stats, desk);
    return err == CS_OK ? gateway_add_report(gw, "rendezvous", on_report, desk) : err;
}
