/* frame -- the hot message by hand.
 *
 * The short payload, nearly every frame there is, is decoded inline in wire.h; here is all the
 * rest.  The verdict is protobuf-c's, byte for byte, and the tests hold it there.  One thing is
 * better: a gap that is said twice is merged field by field, as protobuf asks and protobuf-c
 * does not do within a oneof.
 */
#include "proto/wire.h"
#include "proto/wire__field.h"

enum { FRAME_PAYLOAD = 1, FRAME_GAP = 2, FRAME_MORE = 3 };
enum { GAP_COUNT = 1, GAP_REASON = 2 };

size_t wire_gap_put(uint8_t *to, uint64_t count, uint32_t reason)
{
    size_t n = 2;

    if (count > 0) {
        to[n++] = GAP_COUNT << 3 | WIRE__VARINT;
        n += wire_varint_put(to + n, count);
    }
    if (reason > 0) {
        to[n++] = GAP_REASON << 3 | WIRE__VARINT;
        n += wire_varint_put(to + n, reason);
    }
    to[0] = FRAME_GAP << 3 | WIRE__BYTES;
    to[1] = (uint8_t)(n - 2);
    return n;
}

static cs_err gap_merge(cs_bytes msg, struct wire_frame *frame)
{
    struct wire__field field;
    cs_err err;

    while ((err = wire__field_next(&msg, &field)) == CS_OK) {
        if (field.number != GAP_COUNT && field.number != GAP_REASON)
            continue;
        if (field.type != WIRE__VARINT)
            return CS_EPROTO;
        uint64_t value = wire__varint(field.raw.base, field.raw.len);
        if (field.number == GAP_COUNT)
            frame->gap_count = value;
        else
            frame->gap_reason = (uint32_t)value;
    }
    return err == CS_DONE ? CS_OK : err;
}

static cs_err frame_take(const struct wire__field *field, struct wire_frame *frame)
{
    switch (field->number) {
    case FRAME_PAYLOAD:
        if (field->type != WIRE__BYTES)
            return CS_EPROTO;
        frame->kind = WIRE_PAYLOAD;
        frame->payload = field->bytes;
        frame->gap_count = 0; /* the last of a oneof counts, and leaves nothing of the others */
        frame->gap_reason = 0;
        return CS_OK;
    case FRAME_GAP:
        if (field->type != WIRE__BYTES)
            return CS_EPROTO;
        frame->kind = WIRE_GAP;
        frame->payload = cs_bytes_of(NULL, 0);
        return gap_merge(field->bytes, frame);
    case FRAME_MORE:
        frame->more = wire__field_is_true(field);
        return CS_OK;
    default:
        return CS_OK; /* unknown: somebody newer than we are */
    }
}

cs_err wire_frame_parse_slow(cs_bytes msg, struct wire_frame *ret)
{
    struct wire_frame frame = {.kind = WIRE_HEARTBEAT};
    struct wire__field field;
    cs_err err;

    while ((err = wire__field_next(&msg, &field)) == CS_OK) {
        err = frame_take(&field, &frame);
        if (err != CS_OK)
            return err;
    }
    if (err != CS_DONE)
        return err;
    *ret = frame;
    return CS_OK;
}
