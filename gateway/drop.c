/* drop -- DELETE /v1/source/TICKET: one source of a post with ?mode=named ends, the others go on.
 *
 * Who knows the ticket may: only the reader of that post was told it. */
#include "gateway/gateway__in.h"

struct named {
    struct cs_link link; /* of its post's */
    chanserv_source *source;
    size_t len;
    uint8_t ticket[];
};

static void named_free(gateway *gw, struct named *named)
{
    (void)cs_names_remove(&gw->named, cs_bytes_of(named->ticket, named->len));
    cs_unlink(&named->link);
    cs_free(named);
}

cs_err gateway__named_add(gateway *gw, struct cs_list *list, chanserv_source *source)
{
    const cs_bytes ticket = chanserv_source_ticket(source);
    struct named *named = cs_zalloc(sizeof *named + ticket.len);
    cs_err err;

    if (!named)
        return CS_ENOMEM;
    named->source = source;
    named->len = ticket.len;
    memcpy(named->ticket, ticket.base, ticket.len);
    err = cs_names_put(&gw->named, cs_bytes_of(named->ticket, named->len), named);
    if (err == CS_OK)
        cs_list_push(list, &named->link);
    else
        cs_free(named);
    return err;
}

void gateway__named_gone(gateway *gw, const chanserv_source *source)
{
    struct named *named = cs_names_get(&gw->named, chanserv_source_ticket(source));

    if (named)
        named_free(gw, named);
}

void gateway__named_free(gateway *gw, struct cs_list *list)
{
    struct cs_link *link;

    while ((link = cs_list_first(list)))
        named_free(gw, CS_CONTAINER(link, struct named, link));
}

cs_err gateway__drop(gateway_request *request, void *user)
{
    gateway *gw = user;
    uint8_t ticket[GATEWAY__TICKET];
    struct named *named = NULL;
    size_t len;

    if (gateway__ticket_parse(gateway_path_rest(request), ticket, &len))
        named = cs_names_get(&gw->named, cs_bytes_of(ticket, len));
    if (!named)
        return gateway_fail(request, CS_ENOENT, "no post is read that named this source");
    chanserv_source_cancel(named->source);
    gateway_reply(request, 204, NULL, cs_bytes_of(NULL, 0));
    return CS_DONE;
}
