/* The Frame by hand, held equal to protobuf-c's: same verdict, same content, whatever the bytes. */
#include "proto/chanserv.pb-c.h"
#include "proto/wire.h"
#include "proto/wire__field.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES(literal) cs_bytes_of(literal, sizeof(literal) - 1)

/* splitmix64: the same numbers at every run. */
static uint64_t dice(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* protobuf-c forgets the first of two gaps; protobuf, and we, merge them. */
static size_t gaps_in(cs_bytes msg)
{
    struct wire__field field;
    size_t n = 0;

    while (wire__field_next(&msg, &field) == CS_OK)
        n += field.number == 2;
    return n;
}

/* The first bytes as hex, for the words of a failure. */
static const char *hex(cs_bytes msg)
{
    static char text[2 * 64 + 1];
    const uint8_t *p = msg.base;
    size_t n = 0;

    for (size_t i = 0; i < msg.len && i < 64; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%02x", p[i]);
    text[n] = '\0';
    return text;
}

static void same_as_protobuf(cs_bytes msg)
{
    struct wire_frame mine;
    cs_err err = wire_frame_parse(msg, &mine);
    Chanserv__V1__Frame *theirs = chanserv__v1__frame__unpack(NULL, msg.len, msg.base);

    if (!theirs) {
        cr_assert_eq(err, CS_EPROTO, "protobuf-c refuses it, we do not: %s", hex(msg));
        return;
    }
    cr_assert_eq(err, CS_OK, "protobuf-c takes it, we do not: %s", hex(msg));
    cr_assert_eq(mine.more, !!theirs->more);
    switch (theirs->what_case) {
    case CHANSERV__V1__FRAME__WHAT_PAYLOAD:
        cr_assert_eq(mine.kind, WIRE_PAYLOAD);
        cr_assert(cs_same(mine.payload, cs_bytes_of(theirs->payload.data, theirs->payload.len)));
        break;
    case CHANSERV__V1__FRAME__WHAT_GAP:
        cr_assert_eq(mine.kind, WIRE_GAP);
        if (gaps_in(msg) == 1) {
            cr_assert_eq(mine.gap_count, theirs->gap->count);
            cr_assert_eq(mine.gap_reason, theirs->gap->reason);
        }
        break;
    default:
        cr_assert_eq(mine.kind, WIRE_HEARTBEAT);
    }
    chanserv__v1__frame__free_unpacked(theirs, NULL);
}

/* A copy of its own, so that the sanitizer sees a read behind its end. */
static void same_at_its_edge(cs_bytes msg)
{
    uint8_t *copy = malloc(msg.len > 0 ? msg.len : 1);

    if (msg.len > 0)
        memcpy(copy, msg.base, msg.len);
    same_as_protobuf(cs_bytes_of(copy, msg.len));
    free(copy);
}

static struct wire_frame parsed(cs_bytes msg)
{
    struct wire_frame frame;

    cr_assert_eq(wire_frame_parse(msg, &frame), CS_OK);
    return frame;
}

static void refused(cs_bytes msg)
{
    struct wire_frame frame = {.gap_count = 77};

    cr_assert_eq(wire_frame_parse(msg, &frame), CS_EPROTO);
    cr_assert_eq(frame.gap_count, 77, "a failed call wrote its answer");
    same_at_its_edge(msg);
}

Test(frame, a_short_payload_is_two_bytes_and_itself)
{
    uint8_t head[WIRE_FRAME_HEAD];
    struct wire_frame frame = parsed(BYTES("\x0a\x03"
                                           "abc"));

    cr_assert_eq(wire_frame_head(head, 3, false), 2);
    cr_assert_arr_eq(head, "\x0a\x03", 2);
    cr_assert_eq(frame.kind, WIRE_PAYLOAD);
    cr_assert_not(frame.more);
    cr_assert(cs_same(frame.payload, cs_str("abc")));
}

Test(frame, the_prefix_is_a_flag_and_a_big_endian_length)
{
    uint8_t prefix[WIRE_PREFIX];

    wire_prefix_put(prefix, true, 0x01020304);
    cr_assert_arr_eq(prefix, "\x01\x01\x02\x03\x04", 5);
    cr_assert_eq(wire_prefix_len(prefix), 0x01020304);
    wire_prefix_put(prefix, false, UINT32_MAX);
    cr_assert_arr_eq(prefix, "\x00\xff\xff\xff\xff", 5);
    cr_assert_eq(wire_prefix_len(prefix), UINT32_MAX);
}

Test(frame, nothing_at_all_is_a_heartbeat)
{
    cr_assert_eq(parsed(BYTES("")).kind, WIRE_HEARTBEAT);
    cr_assert_eq(parsed(cs_bytes_of(NULL, 0)).kind, WIRE_HEARTBEAT);
    cr_assert_eq(parsed(BYTES("\x18\x00")).kind, WIRE_HEARTBEAT);
}

Test(frame, an_empty_payload_is_a_frame_and_no_heartbeat)
{
    struct wire_frame frame = parsed(BYTES("\x0a\x00"));

    cr_assert_eq(frame.kind, WIRE_PAYLOAD);
    cr_assert_eq(frame.payload.len, 0);
}

Test(frame, gaps_have_these_bytes)
{
    uint8_t to[WIRE_GAP_MAX];

    cr_assert_eq(wire_gap_put(to, 3, 1), 6);
    cr_assert_arr_eq(to, "\x12\x04\x08\x03\x10\x01", 6);
    cr_assert_eq(wire_gap_put(to, 300, 2), 7);
    cr_assert_arr_eq(to, "\x12\x05\x08\xac\x02\x10\x02", 7);
    cr_assert_eq(wire_gap_put(to, 0, 0), 2);
    cr_assert_arr_eq(to, "\x12\x00", 2);
}

Test(frame, the_largest_gap_fits_and_comes_back)
{
    uint8_t to[WIRE_GAP_MAX];
    size_t len = wire_gap_put(to, UINT64_MAX, UINT32_MAX);
    struct wire_frame frame = parsed(cs_bytes_of(to, len));

    cr_assert_leq(len, WIRE_GAP_MAX);
    cr_assert_eq(frame.kind, WIRE_GAP);
    cr_assert_eq(frame.gap_count, UINT64_MAX);
    cr_assert_eq(frame.gap_reason, UINT32_MAX);
    same_at_its_edge(cs_bytes_of(to, len));
}

Test(frame, a_gap_said_twice_is_merged_field_by_field)
{
    struct wire_frame frame = parsed(BYTES("\x12\x02\x08\x05\x12\x02\x10\x03"));

    cr_assert_eq(frame.gap_count, 5);
    cr_assert_eq(frame.gap_reason, 3);
    frame = parsed(BYTES("\x12\x04\x08\x05\x10\x01\x12\x02\x08\x06"));
    cr_assert_eq(frame.gap_count, 6);
    cr_assert_eq(frame.gap_reason, 1);
}

Test(frame, of_a_oneof_the_last_one_counts)
{
    struct wire_frame frame = parsed(BYTES("\x12\x02\x08\x05\x0a\x01x"));

    cr_assert_eq(frame.kind, WIRE_PAYLOAD);
    cr_assert(cs_same(frame.payload, cs_str("x")));
    frame = parsed(BYTES("\x0a\x01x\x12\x02\x10\x02"));
    cr_assert_eq(frame.kind, WIRE_GAP);
    cr_assert_eq(frame.gap_count, 0);
    cr_assert_eq(frame.gap_reason, 2);
    frame = parsed(BYTES("\x12\x02\x08\x05\x0a\x01x\x12\x02\x10\x02"));
    cr_assert_eq(frame.gap_count, 0, "a payload between two gaps ends the first");
    frame = parsed(BYTES("\x0a\x01x\x0a\x02yz"));
    cr_assert(cs_same(frame.payload, cs_str("yz")));
}

Test(frame, unknown_fields_are_passed_over)
{
    /* 15: a varint, 14: 64 bits, 13: bytes, 12: 32 bits, and a field number of 29 bits. */
    cs_bytes msg = BYTES("\x78\x96\x01"
                         "\x71"
                         "12345678"
                         "\x6a\x02hi"
                         "\x65"
                         "1234"
                         "\xf8\xff\xff\xff\x0f\x01"
                         "\x0a\x01x"
                         "\x18\x01");
    struct wire_frame frame = parsed(msg);

    cr_assert(frame.more);
    cr_assert(cs_same(frame.payload, cs_str("x")));
    same_at_its_edge(msg);
    for (size_t cut = 0; cut < msg.len; cut++)
        same_at_its_edge(cs_bytes_of(msg.base, cut));
}

Test(frame, groups_and_made_up_wire_types_are_refused)
{
    refused(BYTES("\x7b\x7c")); /* a group, empty */
    refused(BYTES("\x7c"));
    refused(BYTES("\x00\x01")); /* and so is field 0 */
    refused(BYTES("\x7e\x01"));
    refused(BYTES("\x7f\x01"));
}

Test(frame, what_ends_too_early_is_refused)
{
    refused(BYTES("\x0a"));
    refused(BYTES("\x0a\x02x"));
    refused(BYTES("\x0a\x80"));
    refused(BYTES("\x12\x02\x08"));
    refused(BYTES("\x12\x01\x08\x05")); /* the gap's count lies outside the gap */
    refused(BYTES("\x18"));
    refused(BYTES("\x71"
                  "1234567"));
    refused(BYTES("\x65"
                  "123"));
}

Test(frame, numbers_that_are_too_long_are_refused)
{
    refused(BYTES("\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"));
    refused(BYTES("\x8a\x80\x80\x80\x80\x00\x01x"));
    refused(BYTES("\x0a\x81\x80\x80\x80\x80\x00x"));
    refused(BYTES("\x0a\x81\x80\x80\x80\x20x")); /* 2^33 + 1 is not 1 */
    refused(BYTES("\x0a\xff\xff\xff\xff\x0f"
                  "x"));
    refused(BYTES("\x0a\xff\xff\xff\xff\x07"
                  "x"));
}

Test(frame, a_known_field_of_another_type_is_refused)
{
    refused(BYTES("\x08\x01"));
    refused(BYTES("\x10\x01"));
    refused(BYTES("\x0d"
                  "1234"));
    refused(BYTES("\x12\x02\x0a\x00"));
    refused(BYTES("\x12\x05\x15"
                  "1234"));
}

Test(frame, overlong_spellings_mean_what_they_say)
{
    cs_bytes msg = BYTES("\x8a\x80\x80\x80\x00\x81\x80\x80\x80\x00x\x18\x81\x80\x00");
    struct wire_frame frame = parsed(msg);

    cr_assert(frame.more);
    cr_assert(cs_same(frame.payload, cs_str("x")));
    same_at_its_edge(msg);
}

Test(frame, every_size_around_the_borders_comes_back)
{
    static const size_t sizes[] = {0, 1, 126, 127, 128, 129, 16383, 16384, 16385, 1 << 20};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int more = 0; more < 2; more++) {
            uint8_t head[WIRE_FRAME_HEAD];
            size_t n = wire_frame_head(head, sizes[i], more);
            uint8_t *msg = malloc(n + sizes[i]);

            memcpy(msg, head, n);
            memset(msg + n, 0x8a, sizes[i]);
            struct wire_frame frame = parsed(cs_bytes_of(msg, n + sizes[i]));
            cr_assert_eq(frame.kind, WIRE_PAYLOAD);
            cr_assert_eq(frame.more, more == 1);
            cr_assert_eq(frame.payload.len, sizes[i]);
            cr_assert_eq(frame.payload.base, msg + n, "a view, not a copy");
            same_as_protobuf(cs_bytes_of(msg, n + sizes[i]));
            free(msg);
        }
    }
}

static cs_bytes packed_by_protobuf(Chanserv__V1__Frame *frame, uint8_t *to)
{
    return cs_bytes_of(to, chanserv__v1__frame__pack(frame, to));
}

Test(frame, what_protobuf_packs_we_read_and_pack_alike)
{
    uint64_t state = 1;
    uint8_t payload[300], theirs[400], mine[400];

    for (int i = 0; i < 20000; i++) {
        Chanserv__V1__Frame frame;
        Chanserv__V1__Gap gap;
        uint64_t roll = dice(&state);
        size_t len = dice(&state) % sizeof payload, n;

        memset(payload, (int)(roll >> 8), len);
        chanserv__v1__frame__init(&frame);
        chanserv__v1__gap__init(&gap);
        gap.count = dice(&state) >> (dice(&state) % 64);
        gap.reason = (uint32_t)(dice(&state) >> (32 + dice(&state) % 32));
        frame.more = roll % 5 == 0;
        if (roll % 3 == 1) {
            frame.what_case = CHANSERV__V1__FRAME__WHAT_PAYLOAD;
            frame.payload = (ProtobufCBinaryData){len, payload};
            n = wire_frame_head(mine, len, false);
            memcpy(mine + n, payload, len);
            n += len;
        } else if (roll % 3 == 2) {
            frame.what_case = CHANSERV__V1__FRAME__WHAT_GAP;
            frame.gap = &gap;
            n = wire_gap_put(mine, gap.count, gap.reason);
        } else {
            n = 0;
        }
        cs_bytes packed = packed_by_protobuf(&frame, theirs);
        same_as_protobuf(packed);
        if (!frame.more)
            cr_assert(cs_same(packed, cs_bytes_of(mine, n)));
    }
}

/* A message of likely pieces: fields of every number and type, then some bytes spoilt. */
static size_t soup(uint64_t *state, uint8_t *to, size_t most)
{
    size_t n = 0;

    while (n + 24 < most && dice(state) % 6 != 0) {
        uint64_t number = dice(state) % 5,
                 type = dice(state) % 4 ? 2 * (number < 3) : dice(state) % 8;
        to[n++] = (uint8_t)(number << 3 | type);
        if (type == 2) {
            size_t len = dice(state) % 7;
            to[n++] = (uint8_t)len;
            for (size_t i = 0; i < len; i++)
                to[n++] = (uint8_t)(i % 2 ? dice(state) : (dice(state) % 3) << 3);
        } else {
            n += wire_varint_put(to + n, dice(state) >> (dice(state) % 64));
        }
    }
    for (uint64_t spoil = dice(state) % 3; n > 0 && spoil > 0; spoil--)
        to[dice(state) % n] = (uint8_t)dice(state);
    return n;
}

Test(frame, any_bytes_get_the_verdict_that_protobuf_gives)
{
    uint64_t state = 2;
    uint8_t msg[128];
    size_t taken = 0, refusals = 0;

    for (int i = 0; i < 200000; i++) {
        size_t len = soup(&state, msg, sizeof msg);
        struct wire_frame frame;

        same_at_its_edge(cs_bytes_of(msg, len));
        if (wire_frame_parse(cs_bytes_of(msg, len), &frame) == CS_OK)
            taken++;
        else
            refusals++;
    }
    cr_assert_gt(taken, 20000, "the dice must make both kinds");
    cr_assert_gt(refusals, 20000);
}
