/* report -- what a service tells of itself, in GET /metrics and in GET /v1/stat; it can break neither.
 *
 *     part ──▶ its function ──▶ gateway_report_put(), checked ──▶ lines, or members of an object
 *
 * A name belongs to one metric, whose series stand together, so what was told is kept by its names. */
#include "gateway/gateway__in.h"
#include "gateway/json.h"

#include <stdio.h>

enum { NAME_MAX_BYTES = 63 };

struct gateway__part {
    struct gateway__part *next;
    gateway_report_fn *fn;
    void *user;
    char name[];
};

struct gateway_report {
    const char *part;
    struct gateway__text *to;
    bool json;
    struct cs_buf told; /* " name full_name  name full_name " */
    /* Of the metric that is being told: */
    struct cs_buf of; /* the values of its label, each behind its length */
    size_t series;
    bool gauge;
    char name[NAME_MAX_BYTES + 1], label[NAME_MAX_BYTES + 1]; /* label "": none */
};

/* ---- Names --------------------------------------------------------------------------------------- */

/* Prometheus allows more; what is here needs no escapes, and promtool has nothing to say about it. */
static bool is_name(const char *name)
{
    const size_t len = name ? strlen(name) : 0;

    if (len == 0 || len > NAME_MAX_BYTES || name[0] < 'a' || name[0] > 'z')
        return false;
    for (size_t i = 0; i < len; i++) {
        const char c = name[i];

        if (c == '_' ? name[i + 1] == '_' || i + 1 == len
                     : !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

static bool ends_with(const char *name, const char *end)
{
    const size_t len = strlen(name), n = strlen(end);

    return len >= n && strcmp(name + len - n, end) == 0;
}

static bool is_ours(const char *name)
{
    static const char *const others[] = {"_sum", "_count", "_bucket", "_created", "_info"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (ends_with(name, others[i]))
            return false;
    return true;
}

static bool is_line(const char *help)
{
    return help && help[0] && !strpbrk(help, "\n\r\\") && gateway_is_utf8(cs_str(help));
}

static bool is_sound(const struct gateway_metric *m)
{
    if (!is_name(m->name) || !is_ours(m->name) || (m->gauge && ends_with(m->name, "_total")))
        return false;
    if (m->label && (!is_name(m->label) || strcmp(m->label, "le") == 0 ||
                     strcmp(m->label, "quantile") == 0 || !gateway_is_utf8(m->of)))
        return false;
    return is_line(m->help);
}

static const char *end_of(const struct gateway_metric *m)
{
    return m->gauge || ends_with(m->name, "_total") ? "" : "_total";
}

/* ---- What was told ------------------------------------------------------------------------------- */

static bool was_told(const gateway_report *r, const char *name, const char *end)
{
    char word[NAME_MAX_BYTES + 10];
    const int len = snprintf(word, sizeof word, " %s%s ", name, end);

    return r->told.len > 0 && memmem(r->told.base, r->told.len, word, (size_t)len);
}

static bool has_value(const gateway_report *r, cs_bytes of)
{
    size_t len;

    for (size_t at = 0; at < r->of.len; at += len) {
        memcpy(&len, r->of.base + at, sizeof len);
        at += sizeof len;
        if (cs_same(cs_bytes_of(r->of.base + at, len), of))
            return true;
    }
    return false;
}

static cs_err remember_value(gateway_report *r, cs_bytes of)
{
    cs_err err = cs_buf_add(&r->of, cs_bytes_of(&of.len, sizeof of.len));

    return err == CS_OK ? cs_buf_add(&r->of, of) : err;
}

static cs_err remember_name(gateway_report *r, const struct gateway_metric *m)
{
    char words[2 * NAME_MAX_BYTES + 12];
    const int len = snprintf(words, sizeof words, " %s %s%s ", m->name, m->name, end_of(m));

    return cs_buf_add(&r->told, cs_bytes_of(words, (size_t)len));
}

static bool goes_on(const gateway_report *r, const struct gateway_metric *m)
{
    return m->label && strcmp(r->name, m->name) == 0 && strcmp(r->label, m->label) == 0 &&
           r->gauge == m->gauge;
}

/* ---- Saying it ----------------------------------------------------------------------------------- */

/* Exposition format 0.0.4: of a value of a label backslash, quote and line feed are escaped. */
static void put_value(struct gateway__text *to, cs_bytes of)
{
    const char *p = of.base;

    for (size_t i = 0; i < of.len; i++) {
        if (p[i] == '\n')
            gateway__text_words(to, "\\n");
        else if (p[i] == '"' || p[i] == '\\')
            gateway__text_put(to, p[i] == '"' ? "\\\"" : "\\\\", 2);
        else
            gateway__text_put(to, p + i, 1);
    }
}

static void put_series(gateway_report *r, const struct gateway_metric *m, bool first)
{
    char full[2 * NAME_MAX_BYTES + 10], value[32];

    snprintf(full, sizeof full, "%s_%s%s", r->part, m->name, end_of(m));
    snprintf(value, sizeof value, " %llu\n", (unsigned long long)m->value);
    if (first)
        gateway__metric_head(r->to, full, m->help, m->gauge ? "gauge" : "counter");
    gateway__text_words(r->to, full);
    if (m->label) {
        gateway__text_words(r->to, "{");
        gateway__text_words(r->to, m->label);
        gateway__text_words(r->to, "=\"");
        put_value(r->to, m->of);
        gateway__text_words(r->to, "\"}");
    }
    gateway__text_words(r->to, value);
}

static void put_member(gateway_report *r, const struct gateway_metric *m, bool first)
{
    if (first && r->name[0])
        gateway__text_words(r->to, r->label[0] ? "}," : ",");
    if (first)
        gateway_json_format(gateway__text_put, r->to, "\"%s\":%s", m->name, m->label ? "{" : "");
    else
        gateway__text_words(r->to, ",");
    if (m->label) {
        gateway_json_string(gateway__text_put, r->to, m->of);
        gateway__text_words(r->to, ":");
    }
    gateway_json_format(gateway__text_put, r->to, "%llu", (unsigned long long)m->value);
}

cs_err gateway_report_put(gateway_report *r, const struct gateway_metric *m)
{
    bool first;

    if (!is_sound(m))
        return CS_EINVAL;
    first = !goes_on(r, m);
    if (first ? was_told(r, m->name, "") || was_told(r, m->name, end_of(m)) : has_value(r, m->of))
        return CS_EEXIST;
    if (!first && r->series == GATEWAY_SERIES_MAX)
        return CS_ELIMIT;
    if (first)
        r->of.len = r->series = 0;
    if ((first && remember_name(r, m) != CS_OK) || (m->label && remember_value(r, m->of) != CS_OK))
        return r->to->err = CS_ENOMEM;
    (r->json ? put_member : put_series)(r, m, first);
    snprintf(r->name, sizeof r->name, "%s", m->name);
    snprintf(r->label, sizeof r->label, "%s", m->label ? m->label : "");
    r->gauge = m->gauge;
    r->series++;
    return CS_OK;
}

/* ---- The parts ----------------------------------------------------------------------------------- */

cs_err gateway_add_report(gateway *gw, const char *part, gateway_report_fn *fn, void *user)
{
    struct gateway__part **at = &gw->parts, *made;

    /* No "_", so that no two parts, nor the server's own metrics, make the same name of a metric. */
    if (!is_name(part) || strchr(part, '_') || strcmp(part, "chanserv") == 0 || !fn)
        return CS_EINVAL;
    for (; *at; at = &(*at)->next)
        if (strcmp((*at)->name, part) == 0)
            return CS_EEXIST;
    if (!(made = cs_zalloc(sizeof *made + strlen(part) + 1)))
        return CS_ENOMEM;
    strcpy(made->name, part);
    made->fn = fn;
    made->user = user;
    *at = made;
    return CS_OK;
}

static void tell(const struct gateway__part *part, struct gateway__text *to, bool json)
{
    gateway_report report = {.part = part->name, .to = to, .json = json};

    if (json)
        gateway_json_format(gateway__text_put, to, "\"%s\":{", part->name);
    part->fn(&report, part->user);
    if (json)
        gateway__text_words(to, report.label[0] ? "}}" : "}");
    cs_buf_fini(&report.told);
    cs_buf_fini(&report.of);
}

void gateway__reports_metrics(const gateway *gw, struct gateway__text *to)
{
    for (const struct gateway__part *part = gw->parts; part; part = part->next)
        tell(part, to, false);
}

void gateway__reports_stat(const gateway *gw, struct gateway__text *to)
{
    gateway__text_words(to, "{");
    for (const struct gateway__part *part = gw->parts; part; part = part->next) {
        tell(part, to, true);
        if (part->next)
            gateway__text_words(to, ",");
    }
    gateway__text_words(to, "}");
}

void gateway__reports_free(gateway *gw)
{
    struct gateway__part *part;

    while ((part = gw->parts)) {
        gw->parts = part->next;
        cs_free(part);
    }
}
