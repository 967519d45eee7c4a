/* The control messages: their bytes, what is refused, and each allocation failed in turn. */
#include "base/mem.h"
#include "proto/chanserv.pb-c.h"
#include "proto/wire.h"
#include "test/proto/as_general.h"
#include "test/proto/as_protobuf.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define BYTES(literal) cs_bytes_of(literal, sizeof(literal) - 1)

/* ---- An allocator that counts, and fails when told ----------------------------------------- */

static size_t live, calls, fail_at; /* fail_at 0: never */

static void *take(size_t size, void *user)
{
    (void)user;
    if (++calls == fail_at)
        return NULL;
    live++;
    return malloc(size > 0 ? size : 1);
}

static void *retake(void *old, size_t size, void *user)
{
    (void)user;
    if (++calls == fail_at)
        return NULL;
    live += !old;
    return realloc(old, size > 0 ? size : 1);
}

static void give(void *p, void *user)
{
    (void)user;
    live -= p != NULL;
    free(p);
}

static void counted(void)
{
    static const struct cs_allocator allocator = {take, retake, give, NULL};

    cs_set_allocator(&allocator);
    live = calls = fail_at = 0;
}

static void nothing_left(void)
{
    cr_assert_eq(live, 0, "%zu allocations leaked", live);
}

TestSuite(control, .init = counted, .fini = nothing_left);

static cs_bytes channel_session(void)
{
    return cs_str("0123456789abcdef");
}

/* Bytes of a pack call, held against `expected`, and freed. */
static void packed_is(cs_err err, uint8_t *bytes, size_t len, cs_bytes expected)
{
    cr_assert_eq(err, CS_OK);
    cr_assert(cs_same(cs_bytes_of(bytes, len), expected));
    cs_free(bytes);
}

/* ---- Post ---------------------------------------------------------------------------------- */

static const char post_hex[] = "\x0a\x06ticker"
                               "\x12\x05hello"
                               "\x1a\x02"
                               "b7"
                               "\x20\x80\x20"
                               "\x28\x03"
                               "\x32\x17"
                               "\x0a\x10"
                               "0123456789abcdef"
                               "\x10\x02\x18\xac\x02";

Test(control, a_post_has_these_bytes)
{
    struct wire_post post = {cs_str("ticker"),
                             cs_str("hello"),
                             cs_str("b7"),
                             4096,
                             3,
                             {true, channel_session(), 2, 300}};
    uint8_t *bytes = NULL;
    size_t len = 0;
    cs_err err = wire_post_pack(&post, &bytes, &len);

    packed_is(err, bytes, len, BYTES(post_hex));
}

Test(control, a_post_comes_out_of_its_bytes)
{
    struct wire_post post;

    cr_assert_eq(wire_post_parse(BYTES(post_hex), &post), CS_OK);
    cr_assert(cs_same(post.service, cs_str("ticker")));
    cr_assert(cs_same(post.body, cs_str("hello")));
    cr_assert(cs_same(post.bucket, cs_str("b7")));
    cr_assert_eq(post.inline_bytes, 4096);
    cr_assert_eq(post.from, 3);
    cr_assert(post.channel.present);
    cr_assert(cs_same(post.channel.session, channel_session()));
    cr_assert_eq(post.channel.attempt, 2);
    cr_assert_eq(post.channel.number, 300);
}

Test(control, an_empty_message_is_a_post_of_nothing)
{
    struct wire_post post, nothing = {.from = 0};
    uint8_t *bytes = NULL;
    size_t len = 77;
    cs_err err = wire_post_pack(&nothing, &bytes, &len);

    packed_is(err, bytes, len, BYTES(""));
    cr_assert_eq(wire_post_parse(cs_bytes_of(NULL, 0), &post), CS_OK);
    cr_assert_eq(post.service.len, 0);
    cr_assert_eq(post.body.len, 0);
    cr_assert_not(post.channel.present);
}

Test(control, the_body_may_be_any_bytes)
{
    struct wire_post post = {.service = cs_str("s"), .body = BYTES("\0\xff\x80\0")}, back;
    uint8_t *bytes = NULL;
    size_t len = 0;

    cr_assert_eq(wire_post_pack(&post, &bytes, &len), CS_OK);
    cr_assert_eq(wire_post_parse(cs_bytes_of(bytes, len), &back), CS_OK);
    cr_assert(cs_same(back.body, post.body));
    cs_free(bytes);
}

static void post_refused(cs_bytes msg)
{
    struct wire_post post = {.from = 77};

    cr_assert_eq(wire_post_parse(msg, &post), CS_EPROTO);
    cr_assert_eq(post.from, 77, "a failed call wrote its answer");
    cr_assert_eq(live, 0);
}

Test(control, a_string_with_a_nul_is_refused)
{
    post_refused(BYTES("\x0a\x03"
                       "a\0b"));
    post_refused(BYTES("\x0a\x01\0"));
    post_refused(BYTES("\x1a\x02x\0"));
    post_refused(BYTES("\x0a\x01\0\x0a\x01s")); /* though a later one overrides it */
}

Test(control, a_string_that_is_no_utf8_is_refused)
{
    post_refused(BYTES("\x0a\x01\x80"));
    post_refused(BYTES("\x0a\x01\xc3"));
    post_refused(BYTES("\x0a\x01\xc3\xba\x01\x00")); /* what follows does not complete it */
    post_refused(BYTES("\x0a\x02\xc0\x80"));         /* a NUL in two bytes */
    post_refused(BYTES("\x0a\x02\xc1\xbf"));
    post_refused(BYTES("\x0a\x03\xe0\x9f\xbf")); /* two bytes' worth in three */
    post_refused(BYTES("\x0a\x03\xed\xa0\x80")); /* a surrogate */
    post_refused(BYTES("\x0a\x03\xe2\x82x"));
    post_refused(BYTES("\x0a\x04\xf0\x8f\xbf\xbf"));
    post_refused(BYTES("\x0a\x04\xf4\x90\x80\x80")); /* above U+10FFFF */
    post_refused(BYTES("\x0a\x04\xf5\x80\x80\x80"));
    post_refused(BYTES("\x0a\x01\xff"));
}

Test(control, the_borders_of_utf8_are_taken)
{
    cs_bytes text =
        cs_str("\x01\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"
               "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
    struct wire_post post = {.bucket = text}, back;
    uint8_t *bytes = NULL;
    size_t len = 0;

    cr_assert_eq(wire_post_pack(&post, &bytes, &len), CS_OK);
    cr_assert_eq(wire_post_parse(cs_bytes_of(bytes, len), &back), CS_OK);
    cr_assert(cs_same(back.bucket, text));
    cs_free(bytes);
}

Test(control, what_is_no_post_is_refused)
{
    post_refused(BYTES("\x0a\x05tick"));
    post_refused(BYTES("\x08\x01"));
    post_refused(BYTES("\x0b\x0c"));
    post_refused(BYTES("\x32\x02\x0a\x05"));
    post_refused(BYTES("\x30\x01"));
    for (size_t cut = 1; cut < sizeof post_hex - 1; cut++) {
        struct wire_post post;
        cs_err err = wire_post_parse(cs_bytes_of(post_hex, cut), &post);

        cr_assert(err == CS_OK || err == CS_EPROTO);
    }
}

Test(control, a_session_has_sixteen_bytes)
{
    struct wire_open open;

    post_refused(BYTES("\x32\x00"));
    post_refused(BYTES("\x32\x11\x0a\x0f"
                       "0123456789abcde"));
    post_refused(BYTES("\x32\x13\x0a\x11"
                       "0123456789abcdefg"));
    cr_assert_eq(wire_open_parse(BYTES("\x1a\x02\x10\x01"), &open), CS_EPROTO);
}

Test(control, unknown_fields_are_passed_over_and_cost_nothing)
{
    enum { FIELDS = 100000 };
    uint8_t *msg = malloc(2 * FIELDS);
    struct wire_post post;

    for (size_t i = 0; i < FIELDS; i++) {
        msg[2 * i] = 15 << 3;
        msg[2 * i + 1] = 1;
    }
    calls = 0;
    cr_assert_eq(wire_post_parse(cs_bytes_of(msg, 2 * FIELDS), &post), CS_OK);
    cr_assert_eq(post.service.len, 0);
    cr_assert_eq(calls, 0);
    free(msg);
}

/* ---- Open ---------------------------------------------------------------------------------- */

static const char open_hex[] = "\x0a\x03tkt"
                               "\x10\x96\x01"
                               "\x1a\x16"
                               "\x0a\x10"
                               "0123456789abcdef"
                               "\x10\x01\x18\x07";

Test(control, an_open_has_these_bytes)
{
    struct wire_open open = {cs_str("tkt"), 150, {true, channel_session(), 1, 7}};
    uint8_t *bytes = NULL;
    size_t len = 0;
    cs_err err = wire_open_pack(&open, &bytes, &len);

    packed_is(err, bytes, len, BYTES(open_hex));
}

Test(control, an_open_comes_out_of_its_bytes)
{
    struct wire_open open;

    cr_assert_eq(wire_open_parse(BYTES(open_hex), &open), CS_OK);
    cr_assert(cs_same(open.ticket, cs_str("tkt")));
    cr_assert_eq(open.from, 150);
    cr_assert(open.channel.present);
    cr_assert(cs_same(open.channel.session, channel_session()));
    cr_assert_eq(open.channel.attempt, 1);
    cr_assert_eq(open.channel.number, 7);
}

/* ---- Announcement -------------------------------------------------------------------------- */

static const char announcement_hex[] = "\x08\x05"
                                       "\x12\x03tkt"
                                       "\x1a\x06header"
                                       "\x22\x04\x0a\x02hi"
                                       "\x22\x06\x12\x04\x08\x03\x10\x01"
                                       "\x22\x02\x0a\x00"
                                       "\x30\x01\x38\x01";
static const char ended_hex[] = "\x1a\x01h"
                                "\x2a\x17\x08\x05\x12\x09no source\x1a\x08"
                                "no-srvce";

static void announcement_fill(struct wire_announcement *a, struct wire_frame frames[3])
{
    frames[0] = (struct wire_frame){.kind = WIRE_PAYLOAD, .payload = cs_str("hi")};
    frames[1] = (struct wire_frame){.kind = WIRE_GAP, .gap_count = 3, .gap_reason = 1};
    frames[2] = (struct wire_frame){.kind = WIRE_PAYLOAD};
    *a = (struct wire_announcement){.seq = 5,
                                    .ticket = cs_str("tkt"),
                                    .header = cs_str("header"),
                                    .frames = frames,
                                    .frames_len = 3,
                                    .eager = true,
                                    .uplink = true};
}

Test(control, an_announcement_has_these_bytes)
{
    struct wire_frame frames[3];
    struct wire_announcement a;
    uint8_t *bytes = NULL;
    size_t len = 0;

    announcement_fill(&a, frames);
    cs_err err = wire_announcement_pack(&a, &bytes, &len);
    packed_is(err, bytes, len, BYTES(announcement_hex));
}

Test(control, frames_may_be_encoded_before_their_announcement)
{
    uint8_t encoded[3 * (WIRE_INLINE_HEAD + 2)], *bytes = NULL;
    struct wire_frame frames[3];
    struct wire_announcement a;
    size_t len = 0, n;

    for (size_t before = 0; before <= 3; before++) {
        announcement_fill(&a, frames);
        n = 0;
        for (size_t i = 3 - before; i < 3; i++)
            n += wire_inline_put(encoded + n, &frames[i]);
        cr_assert_leq(n, sizeof encoded);
        a.frames_len = 3 - before;
        a.encoded = cs_bytes_of(encoded, n);
        cs_err err = wire_announcement_pack(&a, &bytes, &len);
        packed_is(err, bytes, len, BYTES(announcement_hex));
    }
}

Test(control, an_announcement_comes_out_of_its_bytes)
{
    struct wire_announcement a;

    cr_assert_eq(wire_announcement_unpack(BYTES(announcement_hex), &a), CS_OK);
    cr_assert_eq(a.seq, 5);
    cr_assert(cs_same(a.ticket, cs_str("tkt")));
    cr_assert(cs_same(a.header, cs_str("header")));
    cr_assert(a.eager);
    cr_assert(a.uplink);
    cr_assert_not(a.end.present);
    cr_assert_eq(a.frames_len, 3);
    cr_assert_eq(a.frames[0].kind, WIRE_PAYLOAD);
    cr_assert(cs_same(a.frames[0].payload, cs_str("hi")));
    cr_assert_eq(a.frames[1].kind, WIRE_GAP);
    cr_assert_eq(a.frames[1].gap_count, 3);
    cr_assert_eq(a.frames[1].gap_reason, 1);
    cr_assert_eq(a.frames[2].kind, WIRE_PAYLOAD);
    cr_assert_eq(a.frames[2].payload.len, 0);
    wire_announcement_clear(&a);
    cr_assert_eq(a.frames_len, 0);
}

Test(control, a_source_that_is_finished_has_these_bytes)
{
    struct wire_announcement a = {.header = cs_str("h"),
                                  .end = {true, 5, cs_str("no source"), cs_str("no-srvce")}};
    uint8_t *bytes = NULL;
    size_t len = 0;
    cs_err err = wire_announcement_pack(&a, &bytes, &len);

    packed_is(err, bytes, len, BYTES(ended_hex));
    cr_assert_eq(wire_announcement_unpack(BYTES(ended_hex), &a), CS_OK);
    cr_assert(a.end.present);
    cr_assert_eq(a.end.code, 5);
    cr_assert(cs_same(a.end.message, cs_str("no source")));
    cr_assert(cs_same(a.end.reason, cs_str("no-srvce")));
    cr_assert_null(a.frames);
    wire_announcement_clear(&a);
}

Test(control, an_end_in_good_order_is_there_though_it_is_empty)
{
    struct wire_announcement a = {.end = {.present = true}};
    uint8_t *bytes = NULL;
    size_t len = 0;
    cs_err err = wire_announcement_pack(&a, &bytes, &len);

    packed_is(err, bytes, len, BYTES("\x2a\x00"));
    cr_assert_eq(wire_announcement_unpack(BYTES("\x2a\x00"), &a), CS_OK);
    cr_assert(a.end.present);
    cr_assert_eq(a.end.code, 0);
    wire_announcement_clear(&a);
}

Test(control, heartbeats_among_inlined_frames_have_no_number)
{
    struct wire_announcement a;

    cr_assert_eq(wire_announcement_unpack(BYTES("\x22\x00\x22\x03\x0a\x01x\x22\x00"), &a), CS_OK);
    cr_assert_eq(a.frames_len, 1);
    cr_assert(cs_same(a.frames[0].payload, cs_str("x")));
    wire_announcement_clear(&a);
    cr_assert_eq(wire_announcement_unpack(BYTES("\x22\x00"), &a), CS_OK);
    cr_assert_eq(a.frames_len, 0);
    wire_announcement_clear(&a);
}

static void announcement_refused(cs_bytes msg)
{
    struct wire_announcement a = {.seq = 77};

    cr_assert_eq(wire_announcement_unpack(msg, &a), CS_EPROTO);
    cr_assert_eq(a.seq, 77, "a failed call wrote its answer");
    cr_assert_eq(live, 0);
}

Test(control, only_whole_frames_are_inlined)
{
    announcement_refused(BYTES("\x22\x05\x0a\x01x\x18\x01"));
    announcement_refused(BYTES("\x22\x02\x18\x01"));
    announcement_refused(BYTES("\x22\x03\x0a\x01x\x22\x04\x12\x00\x18\x01"));
}

Test(control, frames_are_inlined_but_not_by_the_million)
{
    enum { FRAMES = 65536 };
    uint8_t *msg = malloc(2 * (FRAMES + 2));
    struct wire_announcement a;

    for (size_t i = 0; i <= FRAMES; i++) {
        msg[2 * i] = 0x22;
        msg[2 * i + 1] = 0;
    }
    cr_assert_eq(wire_announcement_unpack(cs_bytes_of(msg, 2 * FRAMES), &a), CS_OK);
    wire_announcement_clear(&a);
    calls = 0;
    announcement_refused(cs_bytes_of(msg, 2 * (FRAMES + 1)));
    memcpy(msg + 2 * FRAMES, BYTES("\x08\x01\x22\x00").base, 4);
    announcement_refused(cs_bytes_of(msg, 2 * (FRAMES + 2)));
    cr_assert_eq(calls, 0, "refused before anything is allocated for it");
    free(msg);
}

Test(control, what_is_no_announcement_is_refused)
{
    announcement_refused(BYTES("\x22\x03\x0a\x02x"));
    announcement_refused(BYTES("\x22\x02\x08\x01"));
    announcement_refused(BYTES("\x2a\x03\x12\x01\0"));
    announcement_refused(BYTES("\x2a\x03\x1a\x01\xff"));
    announcement_refused(BYTES("\x12\x05tick"));
}

/* An application may end with any bytes for words; its reader must not lose the announcement. */
Test(control, words_that_are_no_text_go_out_as_question_marks)
{
    struct wire_announcement a = {
        .end = {true, 2, BYTES("gr\xc3\xbc\xff\0x\xe2\x82"), cs_bytes_of(NULL, 0)}};
    uint8_t *bytes = NULL;
    size_t len = 0;

    cr_assert_eq(wire_announcement_pack(&a, &bytes, &len), CS_OK);
    cr_assert_eq(wire_announcement_unpack(cs_bytes_of(bytes, len), &a), CS_OK);
    cr_assert(cs_same(a.end.message, cs_str("gr\xc3\xbc??x??")));
    wire_announcement_clear(&a);
    cs_free(bytes);
}

/* ---- The list of services ------------------------------------------------------------------ */

static const char services_hex[] = "\x0a\x08instance"
                                   "\x12\x04node"
                                   "\x18\x01"
                                   "\x22\x08\x0a\x06ticker"
                                   "\x22\x06\x0a\x04"
                                   "echo";

Test(control, a_list_of_services_has_these_bytes)
{
    cs_bytes names[] = {cs_str("ticker"), cs_str("echo")};
    struct wire_services services = {cs_str("instance"), cs_str("node"), true, names, 2, NULL};
    uint8_t *bytes = NULL;
    size_t len = 0;
    cs_err err = wire_services_pack(&services, &bytes, &len);

    packed_is(err, bytes, len, BYTES(services_hex));
}

Test(control, a_list_of_services_comes_out_of_its_bytes)
{
    struct wire_services services;

    cr_assert_eq(wire_services_unpack(BYTES(services_hex), &services), CS_OK);
    cr_assert(cs_same(services.instance, cs_str("instance")));
    cr_assert(cs_same(services.node, cs_str("node")));
    cr_assert(services.draining);
    cr_assert_eq(services.names_len, 2);
    cr_assert(cs_same(services.names[0], cs_str("ticker")));
    cr_assert(cs_same(services.names[1], cs_str("echo")));
    wire_services_clear(&services);
    cr_assert_null(services.owned);
    cr_assert_null(services.names);
}

static cs_err names_unpack(size_t n)
{
    static const uint8_t name[] = {0x22, 0x03, 0x0a, 0x01, 'x'};
    struct wire_services services;
    uint8_t *msg = malloc(n * sizeof name);

    for (size_t i = 0; i < n; i++)
        memcpy(msg + i * sizeof name, name, sizeof name);
    cs_err err = wire_services_unpack(cs_bytes_of(msg, n * sizeof name), &services);
    if (err == CS_OK) {
        cr_expect_eq(services.names_len, n);
        wire_services_clear(&services);
    }
    free(msg);
    return err;
}

Test(control, a_list_of_services_may_be_long_but_not_without_end)
{
    cr_expect_eq(names_unpack(WIRE_SERVICES_MAX), CS_OK);
    cr_expect_eq(names_unpack(WIRE_SERVICES_MAX + 1), CS_EPROTO);
    calls = 0;
    cr_expect_eq(names_unpack(WIRE_SERVICES_MAX + 16), CS_EPROTO);
    cr_expect_eq(calls, 0, "refused before anything is allocated for it");
}

Test(control, what_is_no_list_of_services_is_refused)
{
    struct wire_services services;

    cr_assert_eq(wire_services_unpack(BYTES("\x12\x01\0"), &services), CS_EPROTO);
    cr_assert_eq(wire_services_unpack(BYTES("\x22\x03\x0a\x01\0"), &services), CS_EPROTO);
    cr_assert_eq(wire_services_unpack(BYTES("\x22\x03\x0a\x01\xff"), &services), CS_EPROTO);
    cr_assert_eq(wire_services_unpack(BYTES("\x22\x02\x08\x01"), &services), CS_EPROTO);
    cr_assert_eq(live, 0);
}

Test(control, service_names_are_short_and_plain)
{
    char name[256];

    memset(name, 'x', sizeof name);
    cr_assert(wire_service_name_ok(cs_str("aZ09._/-")));
    cr_assert(wire_service_name_ok(cs_bytes_of(name, 1)));
    cr_assert(wire_service_name_ok(cs_bytes_of(name, 255)));
    cr_assert_not(wire_service_name_ok(cs_bytes_of(name, 256)));
    cr_assert_not(wire_service_name_ok(cs_str("")));
    cr_assert_not(wire_service_name_ok(cs_bytes_of(NULL, 0)));
    for (int c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c;
        bool plain =
            c != 0 && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "._/-",
                             c) != NULL;
        cr_assert_eq(wire_service_name_ok(cs_bytes_of(&byte, 1)), plain, "byte %d", c);
    }
}

/* ---- Each allocation failed in turn -------------------------------------------------------- */

/* What there is to trip over: fields that are not known or said twice, oneofs that change their
 * mind. */
static const char posts_all[] = "\x0a\x01"
                                "a\x12\x01"
                                "b\x1a\x01"
                                "c\x0a\x01"
                                "d\x12\x01"
                                "e\x1a\x01"
                                "f\x78\x01\x7a\x01g\x78\x02\x78\x03\x78\x04\x78\x05\x78\x06\x78\x07"
                                "\x78\x08\x78\x09\x32\x14\x0a\x10"
                                "0123456789abcdef\x78\x01"
                                "\x32\x12\x0a\x10"
                                "0123456789abcdef";
static const char announcements_all[] = "\x12\x01t\x12\x01u\x1a\x01h\x22\x03\x0a\x01x\x22\x06\x12"
                                        "\x00\x0a\x02xy\x22\x07\x0a\x01x\x12\x02"
                                        "\x08\x05\x22\x06\x12\x00\x12\x02\x10\x01"
                                        "\x2a\x03\x12\x01m\x2a\x03\x1a\x01r\x78\x01";

static cs_err announcement_round(void)
{
    struct wire_announcement a;
    cs_err err = wire_announcement_unpack(BYTES(announcements_all), &a);

    if (err == CS_OK)
        wire_announcement_clear(&a);
    return err;
}

static cs_err services_round(void)
{
    struct wire_services services;
    cs_err err = wire_services_unpack(BYTES(services_hex), &services);

    if (err == CS_OK)
        wire_services_clear(&services);
    return err;
}

static cs_err pack_round(void)
{
    cs_bytes names[] = {cs_str("ticker"), cs_str("echo")};
    struct wire_services services = {cs_str("instance"), cs_str("node"), true, names, 2, NULL};
    struct wire_post post = {.service = cs_str("s"), .channel = {true, channel_session(), 1, 1}};
    struct wire_open open = {.ticket = cs_str("t")};
    struct wire_frame frames[3];
    struct wire_announcement a;
    uint8_t *bytes[4] = {NULL, NULL, NULL, NULL};
    size_t len[4];
    cs_err err;

    announcement_fill(&a, frames);
    err = wire_services_pack(&services, &bytes[0], &len[0]);
    if (err == CS_OK)
        err = wire_post_pack(&post, &bytes[1], &len[1]);
    if (err == CS_OK)
        err = wire_open_pack(&open, &bytes[2], &len[2]);
    if (err == CS_OK)
        err = wire_announcement_pack(&a, &bytes[3], &len[3]);
    for (size_t i = 0; i < 4; i++)
        cs_free(bytes[i]);
    return err;
}

/* `least`: so many allocations there are, or the scenario is not what it was. */
static void each_failed_in_turn(cs_err round(void), size_t least)
{
    size_t needed;

    calls = fail_at = 0;
    cr_assert_eq(round(), CS_OK);
    needed = calls;
    cr_assert_geq(needed, least);
    for (size_t n = 1; n <= needed; n++) {
        calls = 0;
        fail_at = n;
        cr_assert_eq(round(), CS_ENOMEM, "allocation %zu of %zu", n, needed);
        cr_assert_eq(live, 0, "allocation %zu of %zu left %zu behind", n, needed, live);
    }
    fail_at = 0;
}

Test(control, no_memory_is_told_apart_from_a_bad_message)
{
    each_failed_in_turn(announcement_round, 1);
    each_failed_in_turn(services_round, 7);
    each_failed_in_turn(pack_round, 5);
}

/* ---- The same as protobuf-c ------------------------------------------------------------------ */

static uint32_t dice = 2463534242u;

static uint32_t roll(uint32_t sides)
{
    dice ^= dice << 13;
    dice ^= dice >> 17;
    dice ^= dice << 5;
    return dice % sides;
}

/* Two messages behind each other, with some bytes changed, added or taken away. */
static size_t spoil(uint8_t *to, cs_bytes one, cs_bytes other)
{
    size_t len = one.len;

    memcpy(to, one.base, one.len);
    if (roll(2)) {
        memcpy(to + len, other.base, other.len);
        len += other.len;
    }
    for (uint32_t n = roll(4); n > 0 && len > 0; n--) {
        size_t at = roll((uint32_t)len);

        switch (roll(3)) {
        case 0:
            to[at] = (uint8_t)roll(256);
            break;
        case 1:
            to[at] = (uint8_t)(to[at] + roll(5) - 2);
            break;
        default:
            memmove(to + at, to + at + 1, --len - at);
        }
    }
    return len;
}

Test(control, the_verdict_is_that_of_protobuf_c)
{
    const cs_bytes all[] = {BYTES(post_hex),  BYTES(open_hex),  BYTES(announcement_hex),
                            BYTES(ended_hex), BYTES(posts_all), BYTES(announcements_all)};
    uint8_t msg[512];

    for (int i = 0; i < 200000; i++) {
        size_t len = spoil(msg, all[roll(6)], all[roll(6)]);

        as_protobuf_post(cs_bytes_of(msg, len));
        as_protobuf_open(cs_bytes_of(msg, len));
        as_protobuf_announcement(cs_bytes_of(msg, len));
    }
}

/* What our client writes, with each byte changed in all ways, and cut everywhere. */
Test(control, an_open_in_order_is_read_as_any_other)
{
    const struct wire_open opens[] = {
        {.ticket = cs_str("0123456789abcdef0123456789abcdef"),
         .from = 300,
         .channel = {true, channel_session(), 1, 1234567}},
        {.ticket = cs_str("0123456789abcdef"), .channel = {true, channel_session(), UINT32_MAX, 7}},
        {.ticket = cs_str("t"), .from = UINT64_MAX},
    };
    uint8_t msg[WIRE_OPEN_MAX];

    for (size_t i = 0; i < sizeof opens / sizeof *opens; i++) {
        const size_t len = wire_open_put(msg, &opens[i]);
        struct wire_open read;

        cr_assert_eq(wire_open_parse(cs_bytes_of(msg, len), &read), CS_OK);
        cr_assert(read.from == opens[i].from && read.channel.number == opens[i].channel.number);
        for (size_t cut = 0; cut <= len; cut++)
            as_general_open(cs_bytes_of(msg, cut));
        for (size_t at = 0; at < len; at++)
            for (unsigned k = 0; k < 256; k++, msg[at]++) {
                as_general_open(cs_bytes_of(msg, len));
                as_protobuf_open(cs_bytes_of(msg, len));
            }
    }
}
