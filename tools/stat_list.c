/* stat_list -- see stat_list.h. */
#include "tools/stat_list.h"
#include "tools/field.h"

#include <stdlib.h>

enum { ENTRIES = 1, LEFT = 2, COUNTERS = 3 };
enum { NAME = 1, VALUE = 2 }; /* of a counter */

static void set_number(struct chanserv_stat *s, uint64_t field, uint64_t value)
{
    switch (field) {
    case 2:
        s->loop = (uint32_t)value;
        break;
    case 3:
        s->number = value;
        break;
    case 4:
        s->of = value;
        break;
    case 8:
        s->age_ms = (int64_t)value;
        break;
    case 9:
        s->still_ms = (int64_t)value;
        break;
    case 10:
        s->bytes_in = value;
        break;
    case 11:
        s->bytes_out = value;
        break;
    case 12:
        s->messages = value;
        break;
    case 13:
        s->queued = value;
        break;
    case 14:
        s->kept = value;
        break;
    case 15:
        s->credit = (int64_t)value;
        break;
    case 16:
        s->parts = value;
        break;
    default:
        break;
    }
}

static cs_err parse_entry(cs_bytes rest, struct stat_entry *ret, bool *ret_known)
{
    enum { KIND = 1, SERVICE = 5, PEER = 6, WAITS = 7 };
    struct field f;
    uint64_t kind = 0;

    *ret = (struct stat_entry){.stat.number = 0};
    while (rest.len > 0) {
        if (!field_next(&rest, &f))
            return CS_EPROTO;
        if (f.type == FIELD_VARINT && f.number == KIND)
            kind = f.value;
        else if (f.type == FIELD_VARINT)
            set_number(&ret->stat, f.number, f.value);
        else if (f.type == FIELD_BYTES && f.number == SERVICE)
            ret->stat.service = f.bytes;
        else if (f.type == FIELD_BYTES && f.number == PEER)
            ret->stat.peer = f.bytes;
        else if (f.type == FIELD_BYTES && f.number == WAITS)
            ret->waits = f.bytes;
    }
    *ret_known = kind <= CHANSERV_STAT_SOURCE;
    if (*ret_known)
        ret->stat.kind = (enum chanserv_stat_kind)kind;
    return CS_OK;
}

static cs_err parse_counter(cs_bytes rest, struct stat_counter *ret)
{
    struct field f;

    *ret = (struct stat_counter){.value = 0};
    while (rest.len > 0) {
        if (!field_next(&rest, &f))
            return CS_EPROTO;
        if (f.number == NAME && f.type == FIELD_BYTES)
            ret->name = f.bytes;
        else if (f.number == VALUE && f.type == FIELD_VARINT)
            ret->value = f.value;
    }
    return CS_OK;
}

/* How many there are of each: there is room for all before one is read. */
static cs_err make_room(cs_bytes rest, struct stat_list *list)
{
    size_t entries = 0, counters = 0;
    struct field f;

    while (rest.len > 0) {
        if (!field_next(&rest, &f))
            return CS_EPROTO;
        entries += f.number == ENTRIES && f.type == FIELD_BYTES;
        counters += f.number == COUNTERS && f.type == FIELD_BYTES;
    }
    list->entries = calloc(entries + 1, sizeof *list->entries);
    list->counters = calloc(counters + 1, sizeof *list->counters);
    return list->entries && list->counters ? CS_OK : CS_ENOMEM;
}

static cs_err parse(cs_bytes rest, struct stat_list *list)
{
    struct field f;
    bool known = false;
    cs_err err = make_room(rest, list);

    while (err == CS_OK && rest.len > 0 && field_next(&rest, &f)) {
        if (f.number == LEFT && f.type == FIELD_VARINT)
            list->left = f.value;
        else if (f.number == COUNTERS && f.type == FIELD_BYTES)
            err = parse_counter(f.bytes, &list->counters[list->counters_len++]);
        if (f.number != ENTRIES || f.type != FIELD_BYTES)
            continue;
        err = parse_entry(f.bytes, &list->entries[list->entries_len], &known);
        list->entries_len += err == CS_OK && known;
    }
    return err;
}

cs_err stat_list_parse(cs_bytes message, struct stat_list *ret)
{
    struct stat_list list = {.message = malloc(message.len + 1)};
    cs_err err = CS_ENOMEM;

    if (list.message) {
        if (message.len > 0)
            memcpy(list.message, message.base, message.len);
        err = parse(cs_bytes_of(list.message, message.len), &list);
    }
    if (err == CS_OK)
        *ret = list;
    else
        stat_list_free(&list);
    return err;
}

void stat_list_free(struct stat_list *list)
{
    free(list->entries);
    free(list->counters);
    free(list->message);
    *list = (struct stat_list){.left = 0};
}

uint64_t stat_list_counter(const struct stat_list *list, const char *name)
{
    for (size_t i = 0; i < list->counters_len; i++) {
        if (cs_same(list->counters[i].name, cs_str(name)))
            return list->counters[i].value;
    }
    return 0;
}
