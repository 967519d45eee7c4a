/* routes -- whose a request is: by its path, then by its method. */
#include "gateway/gateway__in.h"

struct gateway__route {
    struct gateway__route *next;
    const char *method; /* NULL: any */
    cs_bytes path;
    bool below; /* and all that begins with it */
    gateway_handler_fn *handler;
    void *user;
    char texts[];
};

static bool is_same(const struct gateway__route *route, const char *method, cs_bytes path)
{
    return cs_same(route->path, path) && (!route->method) == (!method) &&
           (!method || strcmp(route->method, method) == 0);
}

cs_err gateway_route(gateway *gw, const char *method, const char *path, gateway_handler_fn *handler,
                     void *user)
{
    const size_t path_len = strlen(path), method_len = method ? strlen(method) : 0;
    struct gateway__route *route;
    char *to;

    if (path[0] != '/' || !handler)
        return CS_EINVAL;
    for (route = gw->routes; route; route = route->next)
        if (is_same(route, method, cs_bytes_of(path, path_len)))
            return CS_EEXIST;
    route = cs_zalloc(sizeof *route + path_len + method_len + 1);
    if (!route)
        return CS_ENOMEM;
    to = route->texts;
    route->path = cs_bytes_put(&to, cs_bytes_of(path, path_len));
    if (method)
        route->method = cs_bytes_put(&to, cs_bytes_of(method, method_len)).base;
    route->below = path_len > 1 && path[path_len - 1] == '/';
    route->handler = handler;
    route->user = user;
    route->next = gw->routes;
    gw->routes = route;
    return CS_OK;
}

static bool leads_to(const struct gateway__route *route, cs_bytes path)
{
    if (!route->below)
        return cs_same(route->path, path);
    return path.len >= route->path.len && memcmp(path.base, route->path.base, route->path.len) == 0;
}

static void take(struct gateway__found *found, const struct gateway__route *route)
{
    found->handler = route->handler;
    found->user = route->user;
}

static void allow(struct gateway__found *found, const char *method)
{
    const size_t len = strlen(found->allow), more = strlen(method);

    if (strstr(found->allow, method) || len + more + 3 > sizeof found->allow)
        return;
    memcpy(found->allow + len, len ? ", " : "", len ? 2 : 0);
    memcpy(found->allow + len + (len ? 2 : 0), method, more + 1);
}

/* The longest path there is decides, also about what is not allowed. */
static cs_bytes longest(const gateway *gw, cs_bytes path)
{
    cs_bytes best = {NULL, 0};

    for (const struct gateway__route *route = gw->routes; route; route = route->next)
        if (leads_to(route, path) && route->path.len > best.len)
            best = route->path;
    return best;
}

void gateway__routes_find(const gateway *gw, cs_bytes method, cs_bytes path,
                          struct gateway__found *ret)
{
    const cs_bytes best = longest(gw, path);
    const bool is_head = cs_same(method, cs_str("HEAD"));
    const struct gateway__route *any = NULL, *get = NULL, *own = NULL;

    *ret = (struct gateway__found){.rest = best.len};
    for (const struct gateway__route *route = gw->routes; route && best.len > 0;
         route = route->next) {
        if (!cs_same(route->path, best))
            continue;
        if (!route->method) {
            any = route;
            continue;
        }
        allow(ret, route->method);
        if (cs_same(method, cs_str(route->method)))
            own = route;
        if (strcmp(route->method, "GET") == 0) {
            get = is_head ? route : NULL;
            allow(ret, "HEAD");
        }
    }
    if (own || get || any)
        take(ret, own ? own : get ? get : any);
    if (best.len > 0)
        allow(ret, any ? "GET, HEAD, POST, PUT, DELETE, OPTIONS" : "OPTIONS");
}

void gateway__routes_free(gateway *gw)
{
    struct gateway__route *route;

    while ((route = gw->routes)) {
        gw->routes = route->next;
        cs_free(route);
    }
}
