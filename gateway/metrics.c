/* metrics -- GET /metrics: every counter of the server as Prometheus reads it (its text format 0.0.4), and
 * what probes ask: /healthz while the process answers at all, /readyz until a drain begins.
 *
 * No series has a name or a label that a client could choose, so there are as many as there are counters. */
#include "gateway/gateway__in.h"

#include "chanserv/stat.h"

#include <stdio.h>

static bool ends_with(const char *text, const char *end)
{
    const size_t len = strlen(text), n = strlen(end);

    return len >= n && strcmp(text + len - n, end) == 0;
}

/* The help says which go down again. */
static bool goes_down(const char *name, const char *help)
{
    return ends_with(help, " now") || strcmp(name, "channels") == 0;
}

/* Whoever goes only up is called _total. */
static void put(struct gateway__text *to, const char *name, const char *help, uint64_t value)
{
    const bool down = goes_down(name, help);
    const char *end = down || ends_with(name, "_total") ? "" : "_total";
    char line[512];

    snprintf(line, sizeof line,
             "# HELP chanserv_%s%s %s\n# TYPE chanserv_%s%s %s\nchanserv_%s%s %llu\n", name, end,
             help, name, end, down ? "gauge" : "counter", name, end, (unsigned long long)value);
    gateway__text_words(to, line);
}

static cs_err metrics(gateway_request *request, void *user)
{
    chanserv_server *server = gateway_server(user);
    struct gateway__text text = {.err = CS_OK};
    struct chanserv_counters now;
    cs_err err = gateway_authorise(request, CHANSERV_RAW, cs_str("/metrics"));

    if (err != CS_OK)
        return err;
    chanserv_server_counters(server, &now);
#define X(name, help) put(&text, #name, help, now.name);
    CHANSERV_COUNTERS(X)
#undef X
    put(&text, "draining", "1 while a drain is under way now", chanserv_server_is_going(server));
    gateway__text_words(&text, "# HELP chanserv_build_info the version that runs\n"
                               "# TYPE chanserv_build_info gauge\nchanserv_build_info{version=\"");
    gateway__text_words(&text, cs_version());
    gateway__text_words(&text, "\"} 1\n");
    err = text.err;
    if (err == CS_OK) {
        (void)gateway_set_header(request, "cache-control", cs_str("no-store"));
        gateway_reply(request, 200, "text/plain; version=0.0.4; charset=utf-8",
                      cs_bytes_of(text.buf.base, text.buf.len));
        err = CS_DONE;
    }
    cs_buf_fini(&text.buf);
    return err;
}

static void say(gateway_request *request, bool well)
{
    (void)gateway_set_header(request, "cache-control", cs_str("no-store"));
    gateway_reply(request, well ? 200 : 503, "text/plain", cs_str(well ? "ok\n" : "draining\n"));
}

static cs_err healthz(gateway_request *request, void *user)
{
    (void)user;
    say(request, true);
    return CS_DONE;
}

static cs_err readyz(gateway_request *request, void *user)
{
    say(request, !chanserv_server_is_going(gateway_server(user)));
    return CS_DONE;
}

cs_err gateway__metrics_mount(gateway *gw)
{
    cs_err err = gateway_route(gw, "GET", "/metrics", metrics, gw);

    if (err == CS_OK)
        err = gateway_route(gw, "GET", "/healthz", healthz, gw);
    if (err == CS_OK)
        err = gateway_route(gw, "GET", "/readyz", readyz, gw);
    return err == CS_OK ? gateway_route(gw, "GET", "/v1/stat", gateway__stat, gw) : err;
}
