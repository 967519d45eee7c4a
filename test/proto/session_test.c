/* SessionUp, SessionDown and their acks by hand, held equal to protobuf-c's. */
#include "proto/chanserv.pb-c.h"
#include "proto/wire.h"

#include "base/mem.h"
#include "test/proto/as_general.h"

#include <criterion/criterion.h>

#define BYTES(literal) cs_bytes_of(literal, sizeof(literal) - 1)

static const char SESSION[] = "0123456789abcdef";

static void same_acks(cs_bytes acks, Chanserv__V1__Ack **theirs, size_t n)
{
    struct wire_ack mine;
    uint64_t seq;

    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(wire_ack_next(&acks, &mine), CS_OK, "ack %zu of %zu is missing", i, n);
        cr_assert_eq(mine.number, theirs[i]->number);
        cr_assert_eq(mine.next, theirs[i]->next);
        cr_assert_eq(mine.done, !!theirs[i]->done);
        cr_assert(cs_same(mine.reason, cs_str(theirs[i]->reason)));
        for (size_t k = 0; k < theirs[i]->n_skip; k++) {
            cr_assert(wire_skip_next(&mine.skips, &seq));
            cr_assert_eq(seq, theirs[i]->skip[k]);
        }
        cr_assert_not(wire_skip_next(&mine.skips, &seq));
    }
    cr_assert_eq(wire_ack_next(&acks, &mine), CS_DONE);
}

/* CS_DONE: all are. */
static cs_err are_acks(cs_bytes acks)
{
    struct wire_ack ack;
    cs_err err;

    while ((err = wire_ack_next(&acks, &ack)) == CS_OK)
        ;
    return err;
}

/* What we take, protobuf-c takes, and reads the same in it. */
static bool same_up(cs_bytes msg)
{
    struct wire_session_up mine;
    Chanserv__V1__SessionUp *theirs = chanserv__v1__session_up__unpack(NULL, msg.len, msg.base);
    bool taken = wire_session_up_parse(msg, &mine) == CS_OK && are_acks(mine.acks) == CS_DONE;

    if (taken) {
        cr_assert_not_null(theirs, "we take it, protobuf-c does not");
        cr_assert(cs_same(mine.session, cs_bytes_of(theirs->session.data, theirs->session.len)));
        cr_assert_eq(mine.attempt, theirs->attempt);
        same_acks(mine.acks, theirs->acks, theirs->n_acks);
    } else if (theirs) { /* the two things in which we are stricter */
        bool text = true;
        for (size_t i = 0; i < theirs->n_acks; i++)
            text = text && theirs->acks[i]->reason[0] == '\0';
        cr_assert((theirs->session.len != 0 && theirs->session.len != 16) || !text ||
                  memchr(msg.base, 0x22, msg.len));
    }
    if (theirs)
        chanserv__v1__session_up__free_unpacked(theirs, NULL);
    return taken;
}

static bool same_down(cs_bytes msg)
{
    struct wire_session_down mine;
    Chanserv__V1__SessionDown *theirs = chanserv__v1__session_down__unpack(NULL, msg.len, msg.base);
    bool taken = wire_session_down_parse(msg, &mine) == CS_OK && are_acks(mine.acks) == CS_DONE;

    if (taken) {
        cr_assert_not_null(theirs, "we take it, protobuf-c does not");
        cr_assert(cs_same(mine.instance, cs_bytes_of(theirs->instance.data, theirs->instance.len)));
        cr_assert_eq(mine.linger_ms, theirs->linger_ms);
        same_acks(mine.acks, theirs->acks, theirs->n_acks);
    }
    if (theirs)
        chanserv__v1__session_down__free_unpacked(theirs, NULL);
    return taken;
}

Test(session, a_first_message_and_its_acks_are_read_back)
{
    uint8_t msg[WIRE_SESSION_MAX + 2 * WIRE_ACK_MAX + WIRE_SKIP_MAX];
    struct wire_session_up up;
    struct wire_ack ack;
    cs_bytes acks;
    uint64_t seq;
    size_t n = wire_session_up_put(msg, cs_str(SESSION), 3);

    n += wire_ack_put(msg + n, 1, 1000, false, cs_str(""));
    n += wire_ack_put(msg + n, UINT32_MAX, UINT64_MAX, true, cs_str("no longer wanted"));
    n += wire_skip_put(msg + n, 1, 0);
    cr_assert(same_up(cs_bytes_of(msg, n)));
    cr_assert_eq(wire_session_up_parse(cs_bytes_of(msg, n), &up), CS_OK);
    cr_assert(cs_same(up.session, cs_str(SESSION)));
    cr_assert_eq(up.attempt, 3);
    acks = up.acks;
    cr_assert_eq(wire_ack_next(&acks, &ack), CS_OK);
    cr_assert(ack.number == 1 && ack.next == 1000 && !ack.done && ack.reason.len == 0);
    cr_assert_eq(wire_ack_next(&acks, &ack), CS_OK);
    cr_assert(ack.number == UINT32_MAX && ack.next == UINT64_MAX && ack.done);
    cr_assert(cs_same(ack.reason, cs_str("no longer wanted")));
    cr_assert_eq(wire_ack_next(&acks, &ack), CS_OK);
    cr_assert(wire_skip_next(&ack.skips, &seq));
    cr_assert_eq(seq, 0);
    cr_assert_not(wire_skip_next(&ack.skips, &seq));
    cr_assert_eq(wire_ack_next(&acks, &ack), CS_DONE);
}

Test(session, an_ack_costs_four_to_eight_bytes)
{
    uint8_t msg[WIRE_ACK_MAX];

    cr_assert_eq(wire_ack_put(msg, 7, 100, false, cs_str("")), 6);
    cr_assert_eq(wire_ack_put(msg, 7, 0, true, cs_str("")), 6);
    cr_assert_eq(wire_ack_put(msg, 7, 100000, false, cs_str("")), 8);
}

Test(session, what_it_writes_has_room_where_it_says)
{
    char reason[1000];
    uint8_t msg[WIRE_ACK_MAX];
    struct wire_ack ack;
    cs_bytes rest;
    size_t n;

    memset(reason, 0xc3, sizeof reason); /* no UTF-8, and too long */
    n = wire_ack_put(msg, UINT32_MAX, UINT64_MAX, true, cs_bytes_of(reason, sizeof reason));
    cr_assert_leq(n, WIRE_ACK_MAX);
    rest = cs_bytes_of(msg, n);
    cr_assert(same_up(rest));
    cr_assert_eq(wire_ack_next(&rest, &ack), CS_OK);
    cr_assert_eq(ack.reason.len, WIRE_ACK_REASON_MAX);
    cr_assert_leq(wire_skip_put(msg, UINT32_MAX, UINT64_MAX), WIRE_SKIP_MAX);
    cr_assert_leq(wire_session_down_put(msg, cs_str(SESSION), UINT32_MAX), WIRE_SESSION_MAX);
    cr_assert(same_down(cs_bytes_of(msg, wire_session_down_put(msg, cs_str("instance"), 30000))));
}

Test(session, skips_come_singly_or_packed)
{
    static const struct {
        const char *bytes;
        size_t len;
    } both[] = {{"\x1a\x0a\x08\x01\x28\x05\x28\x00\x2a\x02\x07\x08", 12},
                {"\x1a\x08\x08\x01\x2a\x04\x05\x00\x07\x08", 10}};
    static const uint64_t wanted[] = {5, 0, 7, 8};

    for (size_t i = 0; i < 2; i++) {
        cs_bytes rest = cs_bytes_of(both[i].bytes, both[i].len);
        struct wire_ack ack;
        uint64_t seq;

        cr_assert(same_up(rest));
        cr_assert_eq(wire_ack_next(&rest, &ack), CS_OK);
        for (size_t k = 0; k < 4; k++) {
            cr_assert(wire_skip_next(&ack.skips, &seq));
            cr_assert_eq(seq, wanted[k]);
        }
        cr_assert_not(wire_skip_next(&ack.skips, &seq));
    }
}

Test(session, an_empty_message_is_a_heartbeat)
{
    struct wire_session_up up;
    struct wire_ack ack;

    cr_assert_eq(wire_session_up_parse(BYTES(""), &up), CS_OK);
    cr_assert(up.session.len == 0 && up.attempt == 0);
    cr_assert_eq(wire_ack_next(&up.acks, &ack), CS_DONE);
}

Test(session, what_is_none_is_refused_and_writes_nothing)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"\x0a\x03xyz", 5},
               {"\x08\x01", 2},
               {"\x12\x01x", 3},
               {"\x1a\x02\x08", 3},
               {"\x1a\x03\x08\x80", 4},
               {"\x18\x01", 2},
               {"\x1a\x04\x22\x02\xff\xfe", 6},
               {"\x1a\x03\x22\x01\x00", 5},
               {"\x1a\x03\x2a\x01\x80", 5}};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct wire_session_up up = {.attempt = 77};
        cs_bytes msg = cs_bytes_of(bad[i].bytes, bad[i].len);

        if (wire_session_up_parse(msg, &up) == CS_OK)
            cr_assert_eq(are_acks(up.acks), CS_EPROTO, "%zu", i);
        else
            cr_assert_eq(up.attempt, 77);
        cr_assert_not(same_up(msg));
    }
}

Test(session, has_protobufs_verdict_on_any_short_bytes)
{
    static const uint8_t some[] = {0x00, 0x01, 0x02, 0x08, 0x10, 0x18, 0x1a, 0x28, 0x2a, 0x80};
    uint8_t msg[6];
    unsigned taken = 0;

    for (unsigned i = 0; i < 1000000; i++) {
        unsigned n = i;
        for (size_t at = 0; at < sizeof msg; at++, n /= 10)
            msg[at] = some[n % 10];
        taken += same_up(cs_bytes_of(msg, sizeof msg));
        taken += same_down(cs_bytes_of(msg, sizeof msg));
    }
    cr_assert_gt(taken, 1000);
}

/* How far, and that it is done, as our client says it: each byte changed in all ways, and cut everywhere; and
 * bools of many bytes, of which protobuf looks at all. */
Test(session, an_ack_in_order_is_read_as_any_other)
{
    static const char *const words[] = {"", "no longer wanted"};
    static const char wide[] = "\x08\x01\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02";
    uint8_t msg[WIRE_ACK_MAX];

    for (size_t i = 0; i < 4; i++) {
        size_t len = wire_ack_put(msg, i < 2 ? 300 : UINT32_MAX, i < 2 ? 0 : UINT64_MAX, i % 2 == 0,
                                  cs_str(words[i % 2])) -
                     2;

        memmove(msg, msg + 2, len);
        for (size_t cut = 0; cut <= len; cut++)
            as_general_ack(cs_bytes_of(msg, cut));
        for (size_t at = 0; at < len; at++)
            for (unsigned k = 0; k < 256; k++, msg[at]++)
                as_general_ack(cs_bytes_of(msg, len));
    }
    as_general_ack(BYTES(wide));
}
