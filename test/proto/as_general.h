/* as_general -- the straight way of our decoders held against their general one, which any message takes that
 * begins with an unknown field. */
#ifndef TEST_PROTO_AS_GENERAL_H
#define TEST_PROTO_AS_GENERAL_H

#include "proto/wire.h"
#include "proto/wire__field.h"

#include <stdlib.h>

static inline void as_general_must(bool held)
{
    if (!held)
        abort();
}

enum { AS_GENERAL_MAX = 120 };

/* `msg` behind such a field, in `to`; with `number` all of it is such a field's bytes. */
static inline cs_bytes as_general(uint8_t to[4 + AS_GENERAL_MAX], uint32_t number, cs_bytes msg)
{
    const size_t head = number ? 4 : 2;

    to[0] = (uint8_t)(number << 3 | WIRE__BYTES);
    to[1] = (uint8_t)(2 + msg.len);
    to[head - 2] = 15 << 3 | WIRE__VARINT;
    to[head - 1] = 0;
    if (msg.len > 0)
        memcpy(to + head, msg.base, msg.len);
    return cs_bytes_of(to, head + msg.len);
}

static inline void as_general_open(cs_bytes msg)
{
    struct wire_open one = {.from = 77}, two = {.from = 77};
    uint8_t bytes[4 + AS_GENERAL_MAX];

    if (msg.len > AS_GENERAL_MAX)
        return;
    as_general_must(wire_open_parse(msg, &one) == wire_open_parse(as_general(bytes, 0, msg), &two));
    as_general_must(one.from == two.from && cs_same(one.ticket, two.ticket));
    as_general_must(one.channel.present == two.channel.present);
    as_general_must(cs_same(one.channel.session, two.channel.session));
    as_general_must(one.channel.attempt == two.channel.attempt);
    as_general_must(one.channel.number == two.channel.number);
}

/* `ack` is what stands in one. */
static inline void as_general_ack(cs_bytes ack)
{
    uint8_t plain[4 + AS_GENERAL_MAX] = {3 << 3 | WIRE__BYTES}, bytes[4 + AS_GENERAL_MAX];
    struct wire_ack one = {.next = 77}, two = {.next = 77};
    cs_bytes first, second;
    bool is_there = true;
    uint64_t mine, other;

    if (ack.len > AS_GENERAL_MAX)
        return;
    plain[1] = (uint8_t)ack.len;
    if (ack.len > 0)
        memcpy(plain + 2, ack.base, ack.len);
    first = cs_bytes_of(plain, 2 + ack.len);
    second = as_general(bytes, 3, ack);
    as_general_must(wire_ack_next(&first, &one) == wire_ack_next(&second, &two));
    as_general_must(one.number == two.number && one.next == two.next && one.done == two.done);
    as_general_must(cs_same(one.reason, two.reason));
    while (is_there) {
        is_there = wire_skip_next(&one.skips, &mine);
        as_general_must(is_there == wire_skip_next(&two.skips, &other));
        as_general_must(!is_there || mine == other);
    }
}

#endif
