/* debug -- see debug.h. */
#include "proto/debug.h"
#include "proto/wire__field.h"

enum { ENTRY = 1, LEFT = 2, COUNTER = 3 }; /* of a StatReply */
enum { SERVICE = 5, PEER = 6, WAITS = 7 }; /* of a StatEntry */
enum {
    FIELD_MAX = 2 + WIRE_VARINT_MAX,
    TEXT_MAX = 255
}; /* fields from 16 on have two bytes of tag */

cs_err wire_stat_parse(cs_bytes msg, uint32_t *ret_max)
{
    struct wire__field field;
    uint32_t max = 0;
    cs_err err;

    while ((err = wire__field_next(&msg, &field)) == CS_OK)
        if (field.number == 1 && (err = wire__take_u32(&field, &max)) != CS_OK)
            return err;
    if (err != CS_DONE)
        return err;
    *ret_max = max;
    return CS_OK;
}

static size_t put_number(uint8_t *to, uint32_t field, uint64_t value)
{
    size_t n;

    if (value == 0)
        return 0;
    n = wire_varint_put(to, (uint64_t)field << 3 | WIRE__VARINT);
    return n + wire_varint_put(to + n, value);
}

/* Of a text that is too long its beginning. */
static size_t put_text(uint8_t *to, uint32_t field, cs_bytes text)
{
    const size_t len = text.len < TEXT_MAX ? text.len : TEXT_MAX;
    size_t n;

    if (len == 0)
        return 0;
    n = wire__put_head(to, field, len);
    wire__text_copy((char *)to + n, cs_bytes_of(text.base, len));
    return n + len;
}

/* `inside` is a message, field `number` of the reply. */
static cs_err add(struct cs_buf *to, uint32_t number, cs_bytes inside)
{
    uint8_t head[1 + WIRE_VARINT_MAX];
    const size_t len = wire__put_head(head, number, inside.len);
    cs_err err = cs_buf_reserve(to, len + inside.len);

    if (err != CS_OK)
        return err;
    (void)cs_buf_add(to, cs_bytes_of(head, len)); /* there is room */
    return cs_buf_add(to, inside);
}

cs_err wire_stat_add(struct cs_buf *to, const struct wire_stat *stat)
{
    static const uint32_t fields[] = {
#define X(name, field) field,
        WIRE_STAT_NUMBERS(X)
#undef X
    };
    uint8_t entry[WIRE_STAT_COUNT * FIELD_MAX + 3 * (3 + TEXT_MAX)];
    size_t n = 0;

    for (size_t i = 0; i < WIRE_STAT_COUNT; i++)
        n += put_number(entry + n, fields[i], stat->numbers[i]);
    n += put_text(entry + n, SERVICE, stat->service);
    n += put_text(entry + n, PEER, stat->peer);
    n += put_text(entry + n, WAITS, stat->waits);
    return add(to, ENTRY, cs_bytes_of(entry, n));
}

cs_err wire_stat_add_left(struct cs_buf *to, uint64_t left)
{
    uint8_t field[FIELD_MAX];

    return cs_buf_add(to, cs_bytes_of(field, put_number(field, LEFT, left)));
}

cs_err wire_stat_add_counter(struct cs_buf *to, const char *name, uint64_t value)
{
    uint8_t entry[3 + TEXT_MAX + FIELD_MAX];
    size_t n = put_text(entry, 1, cs_str(name));

    n += put_number(entry + n, 2, value);
    return add(to, COUNTER, cs_bytes_of(entry, n));
}
