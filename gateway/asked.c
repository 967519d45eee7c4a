/* asked -- what a handler may ask about its request. */
#include "gateway/gateway__in.h"
#include "gateway/url__in.h"

#include <stdio.h>

static const cs_bytes nothing;

cs_bytes gateway_method(const gateway_request *request)
{
    return request->method;
}

cs_bytes gateway_path(const gateway_request *request)
{
    return request->path;
}

cs_bytes gateway_path_rest(const gateway_request *request)
{
    return cs_bytes_of((const char *)request->path.base + request->rest_at,
                       request->path.len - request->rest_at);
}

cs_bytes gateway_body(const gateway_request *request)
{
    return cs_bytes_of(request->body.base, request->body.len);
}

const struct mux_peer *gateway_peer(const gateway_request *request)
{
    return request->peer;
}

gateway *gateway_of(const gateway_request *request)
{
    return request->gateway;
}

void *gateway_state(const gateway_request *request)
{
    return request->state;
}

cs_bytes gateway_header(const gateway_request *request, const char *name)
{
    for (size_t i = 0; i < request->fields_len; i++)
        if (cs_same(request->fields[i].name, cs_str(name)))
            return request->fields[i].value;
    return nothing;
}

void gateway_on_behalf(const gateway_request *request, struct chanserv_post_options *ret)
{
    ret->peer = request->peer;
    ret->metadata = request->behalf;
    ret->metadata_len = request->behalf_len;
}

cs_err gateway_authorise(gateway_request *request, enum chanserv_verb verb, cs_bytes service)
{
    char why[CHANSERV_WHY_MAX];
    const struct chanserv_request asks = {.verb = verb,
                                          .service = service,
                                          .why = why,
                                          .peer = request->peer,
                                          .metadata = request->behalf,
                                          .metadata_len = request->behalf_len};
    cs_err err = chanserv_server_authorise(request->gateway->server, &asks);

    return err != CS_OK && why[0] ? gateway_fail(request, err, "%s", why) : err;
}

/* ---- Parameters --------------------------------------------------------------------------------- */

static cs_bytes cut(cs_bytes *rest, char at)
{
    const char *mark = rest->len ? memchr(rest->base, at, rest->len) : NULL;
    const size_t n = mark ? (size_t)(mark - (const char *)rest->base) : rest->len;
    const cs_bytes first = cs_bytes_of(rest->base, n);

    *rest = mark ? cs_bytes_of(mark + 1, rest->len - n - 1) : nothing;
    return first;
}

static bool is_form(const gateway_request *request)
{
    static const char type[] = "application/x-www-form-urlencoded";
    const cs_bytes given = gateway_header(request, "content-type");
    const size_t n = sizeof type - 1;

    return given.len >= n && memcmp(given.base, type, n) == 0 &&
           (given.len == n || strchr("; \t", ((const char *)given.base)[n]));
}

static size_t count(cs_bytes text)
{
    size_t n = text.len > 0;

    for (size_t i = 0; i < text.len; i++)
        n += ((const char *)text.base)[i] == '&';
    return n;
}

/* "name=...%zz...&...": which parameter it is, and what stands there. */
static void explain(cs_bytes text, char why[CHANSERV_WHY_MAX])
{
    enum { SHOWN = 60, ESCAPE = 3 };
    const cs_bytes pair = cut(&text, '&');
    const size_t at = gateway__url_wrong(pair), left = pair.len - at;
    const char *wrong = (const char *)pair.base + at;
    cs_bytes rest = pair, name = cut(&rest, '=');

    if (name.len > SHOWN)
        name.len = SHOWN;
    if (*wrong == '\0')
        snprintf(why, CHANSERV_WHY_MAX, "parameter %.*s: a zero byte is within", CS_FMT(name));
    else
        snprintf(why, CHANSERV_WHY_MAX,
                 "parameter %.*s: \"%.*s\" is no escape; right are %%01 to %%FF, and %%25 for a %% "
                 "itself",
                 CS_FMT(name), (int)(left < ESCAPE ? left : ESCAPE), wrong);
}

static cs_err read_from(gateway_request *request, cs_bytes text, char **to,
                        char why[CHANSERV_WHY_MAX])
{
    cs_pair pair;
    cs_err err;

    while ((err = gateway__url_form_next(&text, to, &pair)) == CS_OK)
        request->params[request->params_len++] = pair;
    if (err == CS_EINVAL)
        explain(text, why);
    return err == CS_DONE ? CS_OK : err;
}

cs_err gateway__params_read(gateway_request *request, char why[CHANSERV_WHY_MAX])
{
    const cs_bytes form = is_form(request) ? gateway_body(request) : nothing;
    const size_t n = count(request->query) + count(form);
    char *to;
    cs_err err;

    if (n == 0)
        return CS_OK;
    if (n > GATEWAY__PARAMS_MAX) {
        snprintf(why, CHANSERV_WHY_MAX, "%zu parameters, and %d are allowed", n,
                 GATEWAY__PARAMS_MAX);
        return CS_EINVAL;
    }
    snprintf(why, CHANSERV_WHY_MAX, "%s", cs_strerror(CS_ENOMEM));
    request->params = cs_alloc(n * sizeof *request->params);
    request->params_text = to = cs_alloc(request->query.len + form.len);
    if (!request->params || !to)
        return CS_ENOMEM;
    err = read_from(request, request->query, &to, why);
    return err == CS_OK ? read_from(request, form, &to, why) : err;
}

cs_bytes gateway_param(const gateway_request *request, const char *name)
{
    for (size_t i = 0; i < request->params_len; i++)
        if (cs_same(request->params[i].name, cs_str(name)))
            return request->params[i].value.len ? request->params[i].value : cs_str("");
    return nothing;
}

/* ---- Accept ------------------------------------------------------------------------------------- */

static cs_bytes trimmed(cs_bytes b)
{
    const char *p = b.base;

    while (b.len > 0 && (*p == ' ' || *p == '\t'))
        p++, b.len--;
    while (b.len > 0 && (p[b.len - 1] == ' ' || p[b.len - 1] == '\t'))
        b.len--;
    return cs_bytes_of(p, b.len);
}

bool gateway_accepts(const gateway_request *request, const char *type)
{
    for (size_t i = 0; i < request->fields_len; i++) {
        cs_bytes rest = request->fields[i].value;

        if (!cs_same(request->fields[i].name, cs_str("accept")))
            continue;
        while (rest.len > 0) {
            cs_bytes one = cut(&rest, ',');

            if (cs_same(trimmed(cut(&one, ';')), cs_str(type)))
                return true;
        }
    }
    return false;
}
