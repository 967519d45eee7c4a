/* control_pack -- the control messages into bytes, by protobuf-c.
 *
 * protobuf-c wants pointers to messages and strings that end in a NUL; ours are views.  What it
 * needs besides the message itself lives in one allocation, and the bytes are a second.
 */
#include "base/mem.h"
#include "proto/chanserv.pb-c.h"
#include "proto/wire.h"
#include "proto/wire__field.h"

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

static Chanserv__V1__Channel *channel_fill(Chanserv__V1__Channel *to,
                                           const struct wire_channel *from)
{
    if (!from->present)
        return NULL;
    chanserv__v1__channel__init(to);
    to->session = data(from->session);
    to->attempt = from->attempt;
    to->number = from->number;
    return to;
}

cs_err wire_post_pack(const struct wire_post *post, uint8_t **ret, size_t *ret_len)
{
    Chanserv__V1__PostRequest m;
    Chanserv__V1__Channel channel;
    char *scratch = cs_alloc(post->service.len + 1 + post->bucket.len + 1);
    char *at = scratch;
    cs_err err;

    if (!scratch)
        return CS_ENOMEM;
    chanserv__v1__post_request__init(&m);
    m.service = string(&at, post->service);
    m.body = data(post->body);
    m.bucket = string(&at, post->bucket);
    m.inline_bytes = post->inline_bytes;
    m.from = post->from;
    m.channel = channel_fill(&channel, &post->channel);
    err = message_pack(&m, ret, ret_len);
    cs_free(scratch);
    return err;
}

static void open_fill(Chanserv__V1__OpenRequest *to, Chanserv__V1__Channel *channel,
                      const struct wire_open *from)
{
    chanserv__v1__open_request__init(to);
    to->ticket = data(from->ticket);
    to->from = from->from;
    to->channel = channel_fill(channel, &from->channel);
}

cs_err wire_open_pack(const struct wire_open *open, uint8_t **ret, size_t *ret_len)
{
    Chanserv__V1__OpenRequest m;
    Chanserv__V1__Channel channel;

    open_fill(&m, &channel, open);
    return message_pack(&m, ret, ret_len);
}

cs_err wire_up_open_pack(const struct wire_open *open, uint8_t **ret, size_t *ret_len)
{
    Chanserv__V1__Up up;
    Chanserv__V1__OpenRequest m;
    Chanserv__V1__Channel channel;

    open_fill(&m, &channel, open);
    chanserv__v1__up__init(&up);
    up.what_case = CHANSERV__V1__UP__WHAT_OPEN;
    up.open = &m;
    return message_pack(&up, ret, ret_len);
}

/* A frame, the gap it may point to, and its place in the array of pointers. */
struct frame_slot {
    Chanserv__V1__Frame *pointer;
    Chanserv__V1__Frame frame;
    Chanserv__V1__Gap gap;
};

static void frame_fill(Chanserv__V1__Frame *to, Chanserv__V1__Gap *gap,
                       const struct wire_frame *from)
{
    chanserv__v1__frame__init(to);
    if (from->kind == WIRE_PAYLOAD) {
        to->what_case = CHANSERV__V1__FRAME__WHAT_PAYLOAD;
        to->payload = data(from->payload);
    } else if (from->kind == WIRE_GAP) {
        chanserv__v1__gap__init(gap);
        gap->count = from->gap_count;
        gap->reason = from->gap_reason;
        to->what_case = CHANSERV__V1__FRAME__WHAT_GAP;
        to->gap = gap;
    }
}

cs_err wire_announcement_pack(const struct wire_announcement *a, uint8_t **ret, size_t *ret_len)
{
    const size_t n = a->frames_len;
    Chanserv__V1__Announcement m;
    Chanserv__V1__Status end;
    /* All pointers, then all frames, then all gaps, then the text: aligned without padding. */
    Chanserv__V1__Frame **pointers =
        cs_alloc(n * sizeof(struct frame_slot) + a->end.message.len + 1 + a->end.reason.len + 1);
    cs_err err;

    if (!pointers)
        return CS_ENOMEM;
    Chanserv__V1__Frame *frames = (Chanserv__V1__Frame *)(pointers + n);
    Chanserv__V1__Gap *gaps = (Chanserv__V1__Gap *)(frames + n);
    char *at = (char *)(gaps + n);
    chanserv__v1__announcement__init(&m);
    for (size_t i = 0; i < n; i++) {
        frame_fill(&frames[i], &gaps[i], &a->frames[i]);
        pointers[i] = &frames[i];
    }
    m.seq = a->seq;
    m.ticket = data(a->ticket);
    m.header = data(a->header);
    m.n_frames = n;
    m.frames = pointers;
    m.eager = a->eager;
    m.uplink = a->uplink;
    if (a->end.present) {
        chanserv__v1__status__init(&end);
        end.code = a->end.code;
        end.message = string(&at, a->end.message);
        end.reason = string(&at, a->end.reason);
        m.end = &end;
    }
    err = message_pack(&m, ret, ret_len);
    cs_free(pointers);
    return err;
}

/* The same for a service. */
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
