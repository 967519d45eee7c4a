/* control -- the control messages out of their bytes, by protobuf-c.
 *
 * Before protobuf-c sees a message its raw fields are walked: protobuf-c would cut a string at a
 * NUL, take any bytes for UTF-8, and spend about fifty bytes of memory on each two-byte field a
 * peer cares to send.  The walk refuses all three before a byte is allocated.
 */
#include "base/mem.h"
#include "proto/chanserv.pb-c.h"
#include "proto/wire.h"
#include "proto/wire__field.h"

/* Far more than anybody means, and still only some megabytes of protobuf-c's memory. */
enum { FIELDS_MAX = 65536 };
/* A name in the list of services is two fields; behind 65,536 names there is room for the rest. */
enum { LIST_FIELDS_MAX = 2 * WIRE_SERVICES_MAX + 16 };
enum { SESSION_LEN = 16 };

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

static cs_err message_unpack(const ProtobufCMessageDescriptor *type, cs_bytes msg,
                             unsigned fields_max, void **ret)
{
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

/* ---- Requests ------------------------------------------------------------------------------ */

static cs_err channel_view(const Chanserv__V1__Channel *from, struct wire_channel *ret)
{
    if (!from) {
        *ret = (struct wire_channel){0};
        return CS_OK;
    }
    *ret = (struct wire_channel){true, view(from->session), from->attempt, from->number};
    return from->session.len == SESSION_LEN ? CS_OK : CS_EPROTO;
}

cs_err wire_post_unpack(cs_bytes msg, struct wire_post *ret)
{
    struct wire_post post;
    void *owned;
    cs_err err = message_unpack(&chanserv__v1__post_request__descriptor, msg, FIELDS_MAX, &owned);

    if (err != CS_OK)
        return err;
    const Chanserv__V1__PostRequest *m = owned;
    err = channel_view(m->channel, &post.channel);
    if (err != CS_OK) {
        message_free(&owned);
        return err;
    }
    post.service = cs_str(m->service);
    post.body = view(m->body);
    post.bucket = cs_str(m->bucket);
    post.inline_bytes = m->inline_bytes;
    post.from = m->from;
    post.owned = owned;
    *ret = post;
    return CS_OK;
}

void wire_post_clear(struct wire_post *post)
{
    message_free(&post->owned);
}

cs_err wire_open_unpack(cs_bytes msg, struct wire_open *ret)
{
    struct wire_open open;
    void *owned;
    cs_err err = message_unpack(&chanserv__v1__open_request__descriptor, msg, FIELDS_MAX, &owned);

    if (err != CS_OK)
        return err;
    const Chanserv__V1__OpenRequest *m = owned;
    err = channel_view(m->channel, &open.channel);
    if (err != CS_OK) {
        message_free(&owned);
        return err;
    }
    open.ticket = view(m->ticket);
    open.from = m->from;
    open.owned = owned;
    *ret = open;
    return CS_OK;
}

void wire_open_clear(struct wire_open *open)
{
    message_free(&open->owned);
}

/* ---- Announcement -------------------------------------------------------------------------- */

/* CS_OK, CS_AGAIN: a heartbeat, which has no number and is passed over, CS_EPROTO. */
static cs_err frame_view(const Chanserv__V1__Frame *from, struct wire_frame *ret)
{
    *ret = (struct wire_frame){.kind = WIRE_HEARTBEAT};
    if (from->more)
        return CS_EPROTO; /* only whole payloads ride in an announcement */
    switch (from->what_case) {
    case CHANSERV__V1__FRAME__WHAT_PAYLOAD:
        ret->kind = WIRE_PAYLOAD;
        ret->payload = view(from->payload);
        return CS_OK;
    case CHANSERV__V1__FRAME__WHAT_GAP:
        ret->kind = WIRE_GAP;
        ret->gap_count = from->gap->count;
        ret->gap_reason = from->gap->reason;
        return CS_OK;
    default:
        return CS_AGAIN;
    }
}

static cs_err frames_view(const Chanserv__V1__Announcement *from, struct wire_announcement *ret)
{
    cs_err err;

    ret->frames = NULL;
    ret->frames_len = 0;
    if (from->n_frames == 0)
        return CS_OK;
    ret->frames = cs_alloc(from->n_frames * sizeof *ret->frames);
    if (!ret->frames)
        return CS_ENOMEM;
    for (size_t i = 0; i < from->n_frames; i++) {
        err = frame_view(from->frames[i], &ret->frames[ret->frames_len]);
        if (cs_failed(err)) {
            cs_free(ret->frames);
            return err;
        }
        ret->frames_len += err == CS_OK;
    }
    return CS_OK;
}

static struct wire_status status_view(const Chanserv__V1__Status *from)
{
    if (!from)
        return (struct wire_status){0};
    return (struct wire_status){true, from->code, cs_str(from->message), cs_str(from->reason)};
}

cs_err wire_announcement_unpack(cs_bytes msg, struct wire_announcement *ret)
{
    struct wire_announcement a;
    void *owned;
    cs_err err = message_unpack(&chanserv__v1__announcement__descriptor, msg, FIELDS_MAX, &owned);

    if (err != CS_OK)
        return err;
    const Chanserv__V1__Announcement *m = owned;
    err = frames_view(m, &a);
    if (err != CS_OK) {
        message_free(&owned);
        return err;
    }
    a.seq = m->seq;
    a.ticket = view(m->ticket);
    a.header = view(m->header);
    a.end = status_view(m->end);
    a.eager = m->eager;
    a.uplink = m->uplink;
    a.owned = owned;
    *ret = a;
    return CS_OK;
}

void wire_announcement_clear(struct wire_announcement *announcement)
{
    cs_free(announcement->frames);
    announcement->frames = NULL;
    announcement->frames_len = 0;
    message_free(&announcement->owned);
}

/* ---- The list of services ------------------------------------------------------------------ */

cs_err wire_services_unpack(cs_bytes msg, struct wire_services *ret)
{
    struct wire_services services = {.names = NULL};
    void *owned;
    cs_err err =
        message_unpack(&chanserv__v1__service_list__descriptor, msg, LIST_FIELDS_MAX, &owned);

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
