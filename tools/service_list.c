/* service_list -- see service_list.h. */
#include "tools/service_list.h"
#include "tools/field.h"

#include <stdlib.h>

enum { NODE = 2, DRAINING = 3, SERVICES = 4, NAME = 1 };

static cs_err parse_service(cs_bytes rest, cs_bytes *ret)
{
    struct field f;

    *ret = cs_bytes_of(NULL, 0);
    while (rest.len > 0) {
        if (!field_next(&rest, &f))
            return CS_EPROTO;
        if (f.number == NAME && f.type == FIELD_BYTES)
            *ret = f.bytes;
    }
    return CS_OK;
}

static cs_err add_name(struct service_list *list, cs_bytes service)
{
    size_t cap = list->len;
    cs_bytes name, *names;
    cs_err err = parse_service(service, &name);

    if (err != CS_OK)
        return err;
    if ((cap & (cap - 1)) == 0) { /* 0, or full: a power of two */
        names = realloc(list->names, (cap ? 2 * cap : 1) * sizeof *names);
        if (!names)
            return CS_ENOMEM;
        list->names = names;
    }
    list->names[list->len++] = name;
    return CS_OK;
}

static int by_text(const void *a, const void *b)
{
    return cs_order(*(const cs_bytes *)a, *(const cs_bytes *)b);
}

static void sort(struct service_list *list)
{
    size_t n = 0;

    if (list->len == 0)
        return;
    qsort(list->names, list->len, sizeof *list->names, by_text);
    for (size_t i = 1; i < list->len; i++) {
        if (!cs_same(list->names[i], list->names[n]))
            list->names[++n] = list->names[i];
    }
    list->len = n + 1;
}

static cs_err parse(cs_bytes rest, struct service_list *list)
{
    struct field f;
    cs_err err = CS_OK;

    while (err == CS_OK && rest.len > 0) {
        if (!field_next(&rest, &f))
            return CS_EPROTO;
        if (f.number == NODE && f.type == FIELD_BYTES)
            list->node = f.bytes;
        else if (f.number == DRAINING && f.type == FIELD_VARINT)
            list->draining = f.value != 0;
        else if (f.number == SERVICES && f.type == FIELD_BYTES)
            err = add_name(list, f.bytes);
    }
    return err;
}

cs_err service_list_parse(cs_bytes message, struct service_list *ret)
{
    struct service_list list = {.message = malloc(message.len + 1)};
    cs_err err = CS_ENOMEM;

    if (list.message) {
        if (message.len > 0)
            memcpy(list.message, message.base, message.len);
        err = parse(cs_bytes_of(list.message, message.len), &list);
    }
    if (err != CS_OK) {
        service_list_free(&list);
        return err;
    }
    sort(&list);
    *ret = list;
    return CS_OK;
}

void service_list_free(struct service_list *list)
{
    free(list->names);
    free(list->message);
    *list = (struct service_list){.len = 0};
}

bool service_list_has(const struct service_list *list, cs_bytes name)
{
    return list->len > 0 && bsearch(&name, list->names, list->len, sizeof name, by_text);
}
