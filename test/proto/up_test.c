/* Up by hand, held equal to protobuf-c's. */
#include "proto/chanserv.pb-c.h"
#include "proto/wire.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define BYTES(literal) cs_bytes_of(literal, sizeof(literal) - 1)

static struct wire_up parsed(cs_bytes msg)
{
    struct wire_up up;

    cr_assert_eq(wire_up_parse(msg, &up), CS_OK);
    return up;
}

static void same_frame(const struct wire_frame *mine, const Chanserv__V1__Frame *theirs)
{
    cr_assert_eq(mine->more, !!theirs->more);
    if (theirs->what_case == CHANSERV__V1__FRAME__WHAT_PAYLOAD)
        cr_assert(cs_same(mine->payload, cs_bytes_of(theirs->payload.data, theirs->payload.len)));
    else
        cr_assert_neq(mine->kind, WIRE_PAYLOAD);
}

/* What we refuse protobuf-c refuses; what it refuses and we take has a bad `open` in it. */
static void same_as_protobuf(const void *bytes, size_t len)
{
    struct wire_up mine = {.kind = WIRE_UP_NOTHING};
    cs_err err = wire_up_parse(cs_bytes_of(bytes, len), &mine);
    Chanserv__V1__Up *theirs = chanserv__v1__up__unpack(NULL, len, bytes);

    if (err != CS_OK) {
        cr_assert_eq(err, CS_EPROTO);
        cr_assert_null(theirs, "we refuse it, protobuf-c does not");
    }
    if (!theirs)
        return;
    switch (theirs->what_case) {
    case CHANSERV__V1__UP__WHAT_OPEN:
        cr_assert_eq(mine.kind, WIRE_UP_OPEN);
        break;
    case CHANSERV__V1__UP__WHAT_FRAME:
        cr_assert_eq(mine.kind, WIRE_UP_FRAME);
        same_frame(&mine.frame, theirs->frame);
        break;
    default:
        cr_assert_eq(mine.kind, WIRE_UP_NOTHING);
    }
    chanserv__v1__up__free_unpacked(theirs, NULL);
}

Test(up, a_frame_is_a_head_and_its_payload)
{
    static const size_t lengths[] = {0, 1, 123, 124, 125, 126, 127, 128, 16380, 16384, 1 << 21};

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (int more = 0; more < 2; more++) {
            uint8_t *msg = calloc(1, WIRE_UP_HEAD + lengths[i]);
            size_t n = wire_up_head(msg, lengths[i], more);
            struct wire_up up = parsed(cs_bytes_of(msg, n + lengths[i]));

            cr_assert_leq(n, WIRE_UP_HEAD);
            cr_assert_eq(up.kind, WIRE_UP_FRAME);
            cr_assert_eq(up.frame.kind, WIRE_PAYLOAD);
            cr_assert_eq(up.frame.more, more);
            cr_assert_eq(up.frame.payload.len, lengths[i]);
            cr_assert_eq(up.frame.payload.base, msg + n);
            same_as_protobuf(msg, n + lengths[i]);
            free(msg);
        }
    }
}

Test(up, a_short_frame_costs_four_bytes)
{
    uint8_t head[WIRE_UP_HEAD];

    cr_assert_eq(wire_up_head(head, 2, false), 4);
    cr_assert_arr_eq(head, "\x12\x04\x0a\x02", 4);
}

Test(up, an_open_is_an_open_request_inside)
{
    const struct wire_open open = {.ticket = cs_str("ticket"), .from = 7};
    struct wire_open inside;
    struct wire_up up;
    uint8_t *msg;
    size_t len;

    cr_assert_eq(wire_up_open_pack(&open, &msg, &len), CS_OK);
    up = parsed(cs_bytes_of(msg, len));
    cr_assert_eq(up.kind, WIRE_UP_OPEN);
    cr_assert_eq(wire_open_parse(up.open, &inside), CS_OK);
    cr_assert(cs_same(inside.ticket, cs_str("ticket")));
    cr_assert_eq(inside.from, 7);
    same_as_protobuf(msg, len);
    cs_free(msg);
}

Test(up, nothing_and_what_is_unknown_are_heartbeats)
{
    cr_assert_eq(parsed(BYTES("")).kind, WIRE_UP_NOTHING);
    cr_assert_eq(parsed(BYTES("\x1a\x01x")).kind, WIRE_UP_NOTHING);
}

Test(up, the_last_of_the_two_counts)
{
    cr_assert_eq(parsed(BYTES("\x0a\x00\x12\x00")).kind, WIRE_UP_FRAME);
    cr_assert_eq(parsed(BYTES("\x12\x00\x0a\x00")).kind, WIRE_UP_OPEN);
    cr_assert_eq(parsed(BYTES("\x12\x03\x0a\x01x\x12\x00")).frame.kind, WIRE_HEARTBEAT);
}

Test(up, what_is_none_is_refused_and_writes_nothing)
{
    static const char *const bad[] = {"\x0a", "\x12\x05x", "\x08\x01", "\x10\x01",
                                      "\x12\x02\x0a\x09"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct wire_up up = {.frame.gap_count = 77};

        cr_assert_eq(wire_up_parse(cs_str(bad[i]), &up), CS_EPROTO, "%zu", i);
        cr_assert_eq(up.frame.gap_count, 77);
        same_as_protobuf(bad[i], strlen(bad[i]));
    }
}

Test(up, has_protobufs_verdict_on_any_short_bytes)
{
    static const uint8_t some[] = {0x00, 0x01, 0x02, 0x05, 0x08, 0x0a, 0x10, 0x12, 0x18, 0x80};
    uint8_t msg[6];

    for (unsigned i = 0; i < 1000000; i++) {
        unsigned n = i;
        for (size_t at = 0; at < sizeof msg; at++, n /= 10)
            msg[at] = some[n % 10];
        same_as_protobuf(msg, 1 + i % sizeof msg);
    }
}
