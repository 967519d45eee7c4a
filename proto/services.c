/* services -- the list of services, by protobuf-c: it comes when a node is met, or changes.
 *
 * Before protobuf-c sees a message its raw fields are walked: protobuf-c would cut a string at a
 * NUL, take any bytes for UTF-8, and spend about fifty bytes of memory on each two-byte field a
 * peer cares to send.  The walk refuses all three before a byte is allocated.
 */
#include "base/mem.h"
#include "proto/chanserv.pb-c.h"
#include "proto/wire.h"
#include "proto/wire__field.h"

/* A name is two fields; behind 65,536 names there is room for the rest. */
enum { FIELDS_MAX = 2 * WIRE_SERVICES_MAX + 16 };

/* ---- protobuf-c's memory is ours ----------------------------------------------------------- */

static void *memory_take(void *failed, size_t size)
{
    void *p = cs_alloc(size);

    if (!p)
        *(bool *)failed = true; /* protobuf-c says NULL for this and for a bad message alike */
    return p;
}

static void memory_give(void *failed, void *p)
{
    (void)failed;
    cs_free(p);
}

static void message_free(void **message)
{
    ProtobufCAllocator memory = {memory_take, memory_give, NULL};

    protobuf_c_message_free_unpacked(*message, &memory);
    *message = NULL;
}

/* Goes as deep as the schema, which does not nest itself. */
static cs_err message_check(const ProtobufCMessageDescriptor *type, cs_bytes msg, unsigned *left)
{
    const ProtobufCFieldDescriptor *known;
    struct wire__field field;
    cs_err err;

    while ((err = wire__field_next(&msg, &field)) == CS_OK) {
        if ((*left)-- == 0)
            return CS_EPROTO;
        known = protobuf_c_message_descriptor_get_field(type, field.number);
        if (!known || field.type != WIRE__BYTES)
            continue;
        if (known->type == PROTOBUF_C_TYPE_STRING && !wire__text_ok(field.bytes))
            return CS_EPROTO;
        if (known->type == PROTOBUF_C_TYPE_MESSAGE) {
            err = message_check(known->descriptor, field.bytes, left);
            if (err != CS_OK)
                return err;
        }
    }
    return err == CS_DONE ? CS_OK : err;
}

static cs_err message_unpack(const ProtobufCMessageDescriptor *type, cs_bytes msg, void **ret)
{
    unsigned fields_max = FIELDS_MAX;
    bool failed = false;
    ProtobufCAllocator memory = {memory_take, memory_give, &failed};
    cs_err err = message_check(type, msg, &fields_max);

    if (err != CS_OK)
        return err;
    *ret = protobuf_c_message_unpack(type, &memory, msg.len, msg.base);
    if (*ret)
        return CS_OK;
    return failed ? CS_ENOMEM : CS_EPROTO;
}

static cs_bytes view(ProtobufCBinaryData data)
{
    return cs_bytes_of(data.data, data.len);
}

/* ---- Reading ------------------------------------------------------------------------------- */

cs_err wire_services_unpack(cs_bytes msg, struct wire_services *ret)
{
    struct wire_services services = {.names = NULL};
    void *owned;
    cs_err err = message_unpack(&chanserv__v1__service_list__descriptor, msg, &owned);

    if (err != CS_OK)
        return err;
    const Chanserv__V1__ServiceList *m = owned;
    if (m->n_services > WIRE_SERVICES_MAX) {
        message_free(&owned);
        return CS_EPROTO;
    }
    if (m->n_services > 0) {
        services.names = cs_alloc(m->n_services * sizeof *services.names);
        if (!services.names) {
            message_free(&owned);
            return CS_ENOMEM;
        }
    }
    for (size_t i = 0; i < m->n_services; i++)
        services.names[i] = cs_str(m->services[i]->name);
    services.names_len = m->n_services;
    services.instance = view(m->instance);
    services.node = cs_str(m->node);
    services.draining = m->draining;
    services.owned = owned;
    *ret = services;
    return CS_OK;
}

void wire_services_clear(struct wire_services *services)
{
    cs_free(services->names);
    services->names = NULL;
    services->names_len = 0;
    message_free(&services->owned);
}

/* ---- Writing ------------------------------------------------------------------------------- */

static cs_err message_pack(const void *message, uint8_t **ret, size_t *ret_len)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *to = cs_alloc(len);

    if (!to)
        return CS_ENOMEM;
    *ret_len = protobuf_c_message_pack(message, to);
    *ret = to;
    return CS_OK;
}

static ProtobufCBinaryData data(cs_bytes bytes)
{
    /* protobuf-c only reads it, whatever its type says. */
    return (ProtobufCBinaryData){bytes.len, (uint8_t *)bytes.base};
}

/* Takes text.len + 1 bytes of `*at`. */
static char *string(char **at, cs_bytes text)
{
    char *to = *at;

    wire__text_copy(to, text);
    to[text.len] = '\0';
    *at = to + text.len + 1;
    return to;
}

/* protobuf-c wants pointers to messages; all of them live in one allocation. */
struct service_slot {
    Chanserv__V1__Service *pointer;
    Chanserv__V1__Service service;
};

cs_err wire_services_pack(const struct wire_services *services, uint8_t **ret, size_t *ret_len)
{
    const size_t n = services->names_len;
    size_t text = services->node.len + 1;
    Chanserv__V1__ServiceList m;
    Chanserv__V1__Service **pointers;
    cs_err err;

    for (size_t i = 0; i < n; i++)
        text += services->names[i].len + 1;
    pointers = cs_alloc(n * sizeof(struct service_slot) + text);
    if (!pointers)
        return CS_ENOMEM;
    Chanserv__V1__Service *entries = (Chanserv__V1__Service *)(pointers + n);
    char *at = (char *)(entries + n);
    chanserv__v1__service_list__init(&m);
    for (size_t i = 0; i < n; i++) {
        chanserv__v1__service__init(&entries[i]);
        entries[i].name = string(&at, services->names[i]);
        pointers[i] = &entries[i];
    }
    m.instance = data(services->instance);
    m.node = string(&at, services->node);
    m.draining = services->draining;
    m.n_services = n;
    m.services = pointers;
    err = message_pack(&m, ret, ret_len);
    cs_free(pointers);
    return err;
}
