/* services_say -- what `chanserv services` prints. */
#include "tools/json.h"
#include "tools/print.h"
#include "tools/services.h"

#include <stdlib.h>

/* The name as we would post to it; false: it is not meant. */
static bool is_meant(const struct services *s, cs_bytes *name)
{
    cs_bytes space = cs_str(s->connect.with.name_space ? s->connect.with.name_space : "");
    const char *end = (const char *)name->base + name->len;

    if (space.len > 0) {
        if (name->len < space.len + 2 || end[-(ptrdiff_t)space.len - 1] != '.' ||
            memcmp(end - space.len, space.base, space.len) != 0)
            return false;
        name->len -= space.len + 1;
    }
    return !s->only || cs_glob(cs_str(s->only), *name);
}

static cs_bytes name_of(const struct services_node *node)
{
    return node->list.node.len > 0 ? node->list.node : cs_str(node->addr);
}

static void put_change(const struct services_node *node, bool come, cs_bytes name)
{
    const struct services *s = node->services;

    if (!is_meant(s, &name))
        return;
    if (s->json) {
        fputs(come ? "{\"come\":{" : "{\"gone\":{", stdout);
        gateway_json_member(json_put, stdout, "name", name);
        putchar(',');
        gateway_json_member(json_put, stdout, "node", name_of(node));
        fputs("}}\n", stdout);
        return;
    }
    fputs(come ? "+ " : "- ", stdout);
    print_line(stdout, name);
    if (s->len > 1) {
        putchar(' ');
        print_line(stdout, name_of(node));
    }
    putchar('\n');
}

void services_put_changes(const struct services_node *node, const struct service_list *before)
{
    for (size_t i = 0; i < before->len; i++) {
        if (!service_list_has(&node->list, before->names[i]))
            put_change(node, false, before->names[i]);
    }
    for (size_t i = 0; i < node->list.len; i++) {
        if (!service_list_has(before, node->list.names[i]))
            put_change(node, true, node->list.names[i]);
    }
}

static void put_json_name(const struct services *s, cs_bytes full, cs_bytes name)
{
    const char *comma = "";

    fputs("{\"service\":{", stdout);
    gateway_json_member(json_put, stdout, "name", name);
    fputs(",\"nodes\":[", stdout);
    for (size_t i = 0; i < s->len; i++) {
        if (!service_list_has(&s->nodes[i].list, full))
            continue;
        fputs(comma, stdout);
        gateway_json_string(json_put, stdout, name_of(&s->nodes[i]));
        comma = ",";
    }
    fputs("]}}\n", stdout);
}

static void put_name(const struct services *s, cs_bytes full)
{
    cs_bytes name = full;

    if (!is_meant(s, &name))
        return;
    if (s->json) {
        put_json_name(s, full, name);
        return;
    }
    print_line(stdout, name);
    for (size_t i = 0; s->len > 1 && i < s->len; i++) {
        if (!service_list_has(&s->nodes[i].list, full))
            continue;
        putchar(' ');
        print_line(stdout, name_of(&s->nodes[i]));
    }
    putchar('\n');
}

/* The nodes' lists are sorted: each time the first name of those that are left. */
cs_err services_put(const struct services *s)
{
    size_t *at = calloc(s->len, sizeof *at);
    const cs_bytes *first;

    if (!at)
        return CS_ENOMEM;
    do {
        first = NULL;
        for (size_t i = 0; i < s->len; i++) {
            const struct service_list *list = &s->nodes[i].list;
            if (at[i] < list->len && (!first || cs_order(list->names[at[i]], *first) < 0))
                first = &list->names[at[i]];
        }
        for (size_t i = 0; first && i < s->len; i++) {
            const struct service_list *list = &s->nodes[i].list;
            at[i] += at[i] < list->len && cs_same(list->names[at[i]], *first);
        }
        if (first)
            put_name(s, *first);
    } while (first);
    free(at);
    return CS_OK;
}
