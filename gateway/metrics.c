/* metrics -- GET /metrics: every counter of the server as Prometheus reads it (its text format 0.0.4), and
 * what probes ask: /healthz while the process answers at all, /readyz until a drain begins.
 *
 * No series of ours has a name or a label that a client could choose, so there are as many as there are
 * counters; services add theirs (report.c). */
#include "gateway/gateway__in.h"

#include "chanserv/stat.h"

#include <stdio.h>

static bool ends_with(const char *text, const char *end)
{
    const size_t len = strlen(text), n = strlen(end);

    return len >= n && strcmp(text + len - n, end) == 0;
}

void gateway__metric_head(struct gateway__text *to, const char *name, const char *help,
                          const char *type)
{
    const char *const all[] = {"# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n"};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        gateway__text_words(to, all[i]);
}

/* Whoever goes only up is called _total; the help says which go down again. */
static void put(struct gateway__text *to, const char *name, const char *help, uint64_t value)
{
    const bool down = ends_with(help, " now");
    char full[100], line[128];

    snprintf(full, sizeof full, "chanserv_%s%s", name,
             down || ends_with(name, "_total") ? "" : "_total");
    snprintf(line, sizeof line, "%s %llu\n", full, (unsigned long long)value);
    gateway__metric_head(to, full, help, down ? "gauge" : "counter");
    gateway__text_words(to, line);
}

static void put_bucket(struct gateway__text *to, const char *name, int64_t le_us, uint64_t count)
{
    char le[32] = "+Inf", line[160];
    int len;

    if (le_us != INT64_MAX) { /* 0.0001, 0.25, 10: in seconds, without what says nothing */
        len = snprintf(le, sizeof le, "%lld.%06lld", (long long)le_us / 1000000,
                       (long long)le_us % 1000000);
        while (le[len - 1] == '0')
            le[--len] = 0;
        if (le[len - 1] == '.')
            le[--len] = 0;
    }
    snprintf(line, sizeof line, "chanserv_%s_seconds_bucket{le=\"%s\"} %llu\n", name, le,
             (unsigned long long)count);
    gateway__text_words(to, line);
}

static void put_histogram(struct gateway__text *to, const char *name, const char *help,
                          const struct cs_histogram *h)
{
    uint64_t count = 0;
    char line[256];

    snprintf(line, sizeof line, "chanserv_%s_seconds", name);
    gateway__metric_head(to, line, help, "histogram");
    for (size_t i = 0; i <= CS_HISTOGRAM_BOUNDS; i++)
        put_bucket(to, name, cs_histogram_bound_us(i), count += h->counts[i]);
    snprintf(line, sizeof line,
             "chanserv_%s_seconds_sum %llu.%06llu\nchanserv_%s_seconds_count %llu\n", name,
             (unsigned long long)h->sum_us / 1000000, (unsigned long long)h->sum_us % 1000000, name,
             (unsigned long long)count);
    gateway__text_words(to, line);
}

static void put_histograms(struct gateway__text *to, chanserv_server *server)
{
    struct chanserv_histograms now;

    chanserv_server_histograms(server, &now);
#define X(name, help) put_histogram(to, #name, help, &now.name);
    CHANSERV_HISTOGRAMS(X)
#undef X
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
    gateway__metric_head(&text, "chanserv_build_info", "the version that runs", "gauge");
    gateway__text_words(&text, "chanserv_build_info{version=\"");
    gateway__text_words(&text, cs_version());
    gateway__text_words(&text, "\"} 1\n");
    put_histograms(&text, server);
    gateway__reports_metrics(user, &text);
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
