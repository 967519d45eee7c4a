/* up -- what a reader says in Talk, by hand: its frames are as hot as those towards it.
 *
 * The verdict is protobuf-c's, and the tests hold it there, but for what stands inside `open`:
 * wire_open_unpack() looks into that. */
#include "proto/wire.h"
#include "proto/wire__field.h"

enum { UP_OPEN = 1, UP_FRAME = 2 };

size_t wire_up_head(uint8_t *to, size_t payload_len, bool more)
{
    size_t frame_len = (more ? 2u : 0u) + 1 + wire__varint_room(payload_len) + payload_len;
    size_t n = 0;

    to[n++] = UP_FRAME << 3 | WIRE__BYTES;
    n += wire_varint_put(to + n, frame_len);
    return n + wire_frame_head(to + n, payload_len, more);
}

static cs_err up_take(const struct wire__field *field, struct wire_up *up)
{
    if (field->number != UP_OPEN && field->number != UP_FRAME)
        return CS_OK; /* unknown: somebody newer than we are */
    if (field->type != WIRE__BYTES)
        return CS_EPROTO;
    if (field->number == UP_OPEN) {
        up->kind = WIRE_UP_OPEN;
        up->open = field->bytes;
        return CS_OK;
    }
    up->kind = WIRE_UP_FRAME;
    return wire_frame_parse(field->bytes, &up->frame);
}

cs_err wire_up_parse(cs_bytes msg, struct wire_up *ret)
{
    struct wire_up up = {.kind = WIRE_UP_NOTHING};
    struct wire__field field;
    cs_err err;

    while ((err = wire__field_next(&msg, &field)) == CS_OK) {
        err = up_take(&field, &up);
        if (err != CS_OK)
            return err;
    }
    if (err != CS_DONE)
        return err;
    *ret = up;
    return CS_OK;
}
