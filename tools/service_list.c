/* service_list -- see service_list.h. */
#include "tools/service_list.h"

#include <stdlib.h>

/* ---- Protobuf, so far as it is needed ------------------------------------------------------- */

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };
enum { NODE = 2, DRAINING = 3, SERVICES = 4, NAME = 1 };

struct field {
    uint64_t number, type, value; /* the varint, or how long the bytes are */
    cs_bytes bytes;
};

static bool take(cs_bytes *rest, uint64_t len, cs_bytes *ret)
{
    if (len > rest->len)
        return false;
    *ret = cs_bytes_of(rest->base, (size_t)len);
    *rest = cs_bytes_of((const uint8_t *)rest->base + len, rest->len - (size_t)len);
    return true;
}

static bool take_varint(cs_bytes *rest, uint64_t *ret)
{
    cs_bytes one;

    *ret = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (!take(rest, 1, &one))
            return false;
        *ret |= (uint64_t)(*(const uint8_t *)one.base & 0x7f) << shift;
        if (*(const uint8_t *)one.base < 0x80)
            return true;
    }
    return false;
}

/* What we do not know is taken too, and left alone by who asked. */
static bool take_field(cs_bytes *rest, struct field *ret)
{
    uint64_t key;

    if (!take_varint(rest, &key))
        return false;
    ret->number = key >> 3;
    ret->type = key & 7;
    ret->value = 0;
    switch (ret->type) {
    case VARINT:
        return take_varint(rest, &ret->value);
    case FIXED64:
        return take(rest, 8, &ret->bytes);
    case BYTES:
        return take_varint(rest, &ret->value) && take(rest, ret->value, &ret->bytes);
    case FIXED32:
        return take(rest, 4, &ret->bytes);
    default:
        return false;
    }
}

/* ---- The list ------------------------------------------------------------------------------- */

static cs_err parse_service(cs_bytes rest, cs_bytes *ret)
{
    struct field f;

    *ret = cs_bytes_of(NULL, 0);
    while (rest.len > 0) {
        if (!take_field(&rest, &f))
            return CS_EPROTO;
        if (f.number == NAME && f.type == BYTES)
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
        if (!take_field(&rest, &f))
            return CS_EPROTO;
        if (f.number == NODE && f.type == BYTES)
            list->node = f.bytes;
        else if (f.number == DRAINING && f.type == VARINT)
            list->draining = f.value != 0;
        else if (f.number == SERVICES && f.type == BYTES)
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
