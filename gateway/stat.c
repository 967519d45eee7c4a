/* stat -- GET /v1/stat[?max=N]: what runs on the server and what it waits for, and all counters, as JSON:
 *
 *     {"entries":[{"kind":"source","loop":0,"number":1,"of":7,"service":"...","peer":"...","waits":"claim",
 *                  "age_ms":...}, ...],"left":0,"counters":{"connections":1, ...},
 *      "histograms":{"bounds_us":[100, ...],"post":{"counts":[1, ...],"sum_us":...}, ...},
 *      "services":{"rendezvous":{"waiting":1, ...}}}
 *
 * What is 0 or empty is left out of an entry, but for its number.  Counts of a histogram are of a class each:
 * up to its bound and above the one before, the last above all. */
#include "gateway/gateway__in.h"
#include "gateway/json.h"

#include "chanserv/stat.h"

enum { ENTRIES = 1000, ENTRIES_MAX = 10000 };

struct page {
    struct gateway__text text;
    size_t entries;
};

static void put_entry(const struct chanserv_stat *s, void *user)
{
    struct page *page = user;

    if (page->entries++)
        gateway__text_words(&page->text, ",");
    gateway_json_stat(gateway__text_put, &page->text, s, cs_str(chanserv_waits_word(s->waits)));
}

static void put_counters(struct page *page, chanserv_server *server)
{
    struct chanserv_counters now;
    const char *between = "";

    chanserv_server_counters(server, &now);
#define X(name, help)                                                                              \
    gateway_json_format(gateway__text_put, &page->text, "%s\"" #name "\":%llu", between,           \
                        (unsigned long long)now.name);                                             \
    between = ",";
    CHANSERV_COUNTERS(X)
#undef X
}

static void put_histogram(struct page *page, const char *name, const struct cs_histogram *h)
{
    gateway_json_format(gateway__text_put, &page->text, ",\"%s\":{\"counts\":[", name);
    for (size_t i = 0; i <= CS_HISTOGRAM_BOUNDS; i++)
        gateway_json_format(gateway__text_put, &page->text, "%s%llu", i ? "," : "",
                            (unsigned long long)h->counts[i]);
    gateway_json_format(gateway__text_put, &page->text, "],\"sum_us\":%llu}",
                        (unsigned long long)h->sum_us);
}

static void put_histograms(struct page *page, chanserv_server *server)
{
    struct chanserv_histograms now;

    chanserv_server_histograms(server, &now);
    gateway__text_words(&page->text, "{\"bounds_us\":[");
    for (size_t i = 0; i < CS_HISTOGRAM_BOUNDS; i++)
        gateway_json_format(gateway__text_put, &page->text, "%s%lld", i ? "," : "",
                            (long long)cs_histogram_bound_us(i));
    gateway__text_words(&page->text, "]");
#define X(name, help) put_histogram(page, #name, &now.name);
    CHANSERV_HISTOGRAMS(X)
#undef X
    gateway__text_words(&page->text, "}");
}

/* CS_EINVAL: `max` is no number of entries. */
static cs_err entries_wanted(const gateway_request *request, size_t *ret)
{
    cs_bytes text = gateway_param(request, "max");
    const char *digits = text.base;
    size_t n = 0;

    *ret = ENTRIES;
    if (!text.base)
        return CS_OK;
    for (size_t i = 0; i < text.len; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return CS_EINVAL;
        n = n * 10 + (size_t)(digits[i] - '0');
        n = n < ENTRIES_MAX ? n : ENTRIES_MAX;
    }
    *ret = n;
    return text.len > 0 ? CS_OK : CS_EINVAL;
}

cs_err gateway__stat(gateway_request *request, void *user)
{
    chanserv_server *server = gateway_server(user);
    struct page page = {.text.err = CS_OK};
    uint64_t left = 0;
    size_t max;
    cs_err err = gateway_authorise(request, CHANSERV_RAW, cs_str("/v1/stat"));

    if (err != CS_OK)
        return err;
    if (entries_wanted(request, &max) != CS_OK)
        return gateway_fail(request, CS_EINVAL, "max is a number of entries");
    gateway__text_words(&page.text, "{\"entries\":[");
    chanserv_server_stat(server, max, put_entry, &page, &left);
    gateway_json_format(gateway__text_put, &page.text, "],\"left\":%llu,\"counters\":{",
                        (unsigned long long)left);
    put_counters(&page, server);
    gateway__text_words(&page.text, "},\"histograms\":");
    put_histograms(&page, server);
    gateway__text_words(&page.text, ",\"services\":");
    gateway__reports_stat(user, &page.text);
    gateway__text_words(&page.text, "}\n");
    err = page.text.err;
    if (err == CS_OK) {
        (void)gateway_set_header(request, "cache-control", cs_str("no-store"));
        gateway_reply(request, 200, "application/json",
                      cs_bytes_of(page.text.buf.base, page.text.buf.len));
        err = CS_DONE;
    }
    cs_buf_fini(&page.text.buf);
    return err;
}
