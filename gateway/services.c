/* services -- GET /v1/services: the names that this caller may see; and our routes as a list. */
#include "gateway/gateway__in.h"
#include "gateway/json.h"

/* All of them first, for the hook may change what there is. */
static cs_err copy_names(const chanserv_server *server, struct cs_buf *names)
{
    cs_err err = CS_OK;
    size_t at = 0;
    cs_bytes name;

    while (err == CS_OK && chanserv_server_service(server, &at, &name) == CS_OK)
        if ((err = cs_buf_add(names, name)) == CS_OK)
            err = cs_buf_add(names, cs_bytes_of("\n", 1));
    return err;
}

/* CS_EAUTH: he may see none, for want of an identity. */
static cs_err write_names(gateway_request *request, cs_bytes names, struct gateway__text *to)
{
    size_t all = 0, strange = 0, said = 0;
    const char *at = names.base, *end = at + names.len;

    gateway__text_words(to, "{\"services\":[");
    for (const char *next; at < end; at = next + 1, all++) {
        cs_err err;

        next = memchr(at, '\n', (size_t)(end - at));
        err = gateway_authorise(request, CHANSERV_LIST, cs_bytes_of(at, (size_t)(next - at)));
        strange += err == CS_EAUTH;
        if (err != CS_OK)
            continue;
        gateway__text_words(to, said++ ? "," : "");
        gateway_json_string(gateway__text_put, to, cs_bytes_of(at, (size_t)(next - at)));
    }
    gateway__text_words(to, "]}\n");
    return all > 0 && strange == all ? CS_EAUTH : to->err;
}

cs_err gateway__services(gateway_request *request, void *user)
{
    struct gateway__text text = {.err = CS_OK};
    struct cs_buf names = {.base = NULL};
    cs_err err = copy_names(gateway_server(user), &names);

    if (err == CS_OK)
        err = write_names(request, cs_bytes_of(names.base, names.len), &text);
    if (err == CS_OK) {
        (void)gateway_set_header(request, "cache-control", cs_str("no-store"));
        gateway_reply(request, 200, "application/json", cs_bytes_of(text.buf.base, text.buf.len));
        err = CS_DONE;
    }
    cs_buf_fini(&text.buf);
    cs_buf_fini(&names);
    return err;
}

cs_err gateway__routes_mount(gateway *gw)
{
    cs_err err = gateway_route(gw, "POST", "/v1/post/", gateway__post, gw);

    if (err == CS_OK)
        err = gateway_route(gw, "GET", "/v1/source/", gateway__source, gw);
    if (err == CS_OK)
        err = gateway_route(gw, "DELETE", "/v1/source/", gateway__drop, gw);
    if (err == CS_OK)
        err = gateway_route(gw, "GET", "/v1/services", gateway__services, gw);
    if (err == CS_OK)
        err = gateway__page_mount(gw);
    return err == CS_OK ? gateway__metrics_mount(gw) : err;
}
