/* page -- GET /: the page to look at a server with, and to try its services.  All of it is one file,
 * which asks by the public routes, so nobody is asked who may have it. */
#include "gateway/page__in.h"

static cs_err page(gateway_request *request, void *user)
{
    (void)user;
    (void)gateway_set_header(request, "content-security-policy", cs_str(gateway__page_policy));
    (void)gateway_set_header(request, "cache-control", cs_str("no-cache"));
    (void)gateway_set_header(request, "referrer-policy", cs_str("no-referrer"));
    gateway_reply(request, 200, "text/html; charset=utf-8", gateway__page);
    return CS_DONE;
}

cs_err gateway__page_mount(gateway *gw)
{
    return gw->options.no_page ? CS_OK : gateway_route(gw, "GET", "/", page, gw);
}
