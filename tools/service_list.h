/* service_list -- what a server answers to Services: its node's name, and the services it has.
 *
 * Read here by hand, for chanserv(1) asks each server itself and says what each of them says; the
 * client's chanserv_lookup() is for who wants to know who serves a name, and not who does not
 * answer.
 */
#ifndef TOOLS_SERVICE_LIST_H
#define TOOLS_SERVICE_LIST_H

#include "base/base.h"

struct service_list { /* {0} is empty; the bytes live in `message` */
    cs_bytes node;    /* empty: it did not say */
    bool draining;
    cs_bytes *names; /* sorted, each once */
    size_t len;
    void *message;
};

/* A message ServiceList (docs/WIRE).  CS_EPROTO: it is none; CS_ENOMEM. */
cs_err service_list_parse(cs_bytes message, struct service_list *ret);
void service_list_free(struct service_list *list); /* leaves {0} */
bool service_list_has(const struct service_list *list, cs_bytes name);

#endif
