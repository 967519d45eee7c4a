/* Compressed messages: what zlib is asked, how gRPC negotiates it, and what bad peers send. */
#include "base/ref.h"
#include "mux/gzip__in.h"
#include "mux/rx.h"
#include "mux/stats.h"
#include "proto/wire.h"
#include "test/mux/talk.h"
#include "test/support/failing.h"
#include "test/support/fake_peer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 1 << 20 };
static uint8_t data[MOST];

/* ---- What there is to compress -------------------------------------------------------------- */

static void fill_zeroes(size_t len)
{
    memset(data, 0, len);
}

static void fill_text(size_t len)
{
    static const char *const words[] = {"frame ", "source ", "channel ", "credit\n", "of ", "a "};
    uint32_t dice = 1;
    for (size_t n = 0; n < len;) {
        dice = dice * 1664525 + 1013904223;
        for (const char *p = words[(dice >> 16) % 6]; *p && n < len; p++)
            data[n++] = (uint8_t)*p;
    }
}

static void fill_dice(size_t len)
{
    uint64_t s = 88172645463325252u;
    for (size_t i = 0; i < len; i++) {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        data[i] = (uint8_t)(s >> 32);
    }
}

static void fill_pattern(size_t len)
{
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)i;
}

static cs_bytes made(void (*fill)(size_t len), size_t len)
{
    fill(len);
    return cs_bytes_of(data, len);
}

static const cs_bytes none = {NULL, 0};

static cs_block *pack(cs_bytes message, size_t *len)
{
    struct mux__gzip *gzip = NULL;
    cs_block *block = mux__gzip_pack(&gzip, none, message, len);
    mux__gzip_free(gzip);
    return block;
}

/* ---- Packing -------------------------------------------------------------------------------- */

Test(gzip, what_gets_smaller_comes_back_as_it_was)
{
    void (*const fills[])(size_t len) = {fill_zeroes, fill_text, fill_pattern};
    static const size_t lens[] = {128, 500, 1024, 5000, 65536, MOST};
    struct mux__gzip *gzip = NULL; /* one for all: nothing is remembered */

    for (size_t f = 0; f < 3; f++)
        for (size_t i = 0; i < 6; i++)
            for (size_t head = 0; head <= 100; head += 50) {
                cs_bytes all = made(fills[f], lens[i]);
                size_t len = 0;
                cs_block *packed = mux__gzip_pack(&gzip, cs_bytes_of(data, head),
                                                  cs_bytes_of(data + head, all.len - head), &len);
                if (!packed) {
                    cr_assert_eq(fills[f], fill_pattern, "%zu bytes", lens[i]);
                    continue; /* it does look like dice */
                }
                cr_assert_lt(len, all.len);
                cs_block *back;
                cr_assert_eq(
                    mux__gzip_unpack(cs_bytes_of(cs_block_bytes(packed), len), all.len, &back),
                    CS_OK);
                cr_assert(cs_same(cs_bytes_of(cs_block_bytes(back), back->size), all));
                cs_block_drop(packed);
                cs_block_drop(back);
            }
    mux__gzip_free(gzip);
}

Test(gzip, what_does_not_get_smaller_stays_as_it_is)
{
    size_t len;

    for (size_t n = 0; n < MUX__GZIP_MIN; n++)
        cr_assert_null(pack(made(fill_zeroes, n), &len), "too short to be worth it");
    for (size_t n = MUX__GZIP_MIN; n < 70000; n += n / 3)
        cr_assert_null(pack(made(fill_dice, n), &len), "%zu bytes of noise", n);
}

Test(gzip, noise_is_told_from_other_things_before_zlib_is_asked)
{
    size_t len;

    failing_count();
    cr_assert_null(pack(made(fill_dice, 4096), &len));
    cr_assert_eq(failing_live(), 0);
    struct mux__gzip *gzip = NULL;
    cr_assert_null(mux__gzip_pack(&gzip, none, made(fill_dice, 4096), &len));
    cr_assert_null(gzip);
    cs_block *block = mux__gzip_pack(&gzip, none, made(fill_text, 4096), &len);
    cr_assert_not_null(block);
    cr_assert_not_null(gzip);
    cs_block_drop(block);
    mux__gzip_free(gzip);
}

static void packing(void)
{
    size_t len;
    cs_block *back, *block = pack(made(fill_text, 5000), &len);

    cr_assert(block || failing_failed());
    if (!block)
        return;
    cs_err err = mux__gzip_unpack(cs_bytes_of(cs_block_bytes(block), len), 5000, &back);
    cr_assert(err == CS_OK || (failing_failed() && err == CS_ENOMEM));
    cs_block_drop(block);
    if (err == CS_OK)
        cs_block_drop(back);
}

Test(gzip, without_memory_a_message_goes_as_it_is_or_is_not_read)
{
    cr_assert_geq(failing_story(packing), 8);
}

/* ---- Reading what others made --------------------------------------------------------------- */

/* gzip -c of a file with a name and a time: "hello hello hello hello\n". */
static const uint8_t from_gzip[] = {
    0x1f, 0x8b, 0x08, 0x08, 0x52, 0xa1, 0x01, 0x6b, 0x00, 0x03, 'f',  0x00, 0xcb, 0x48, 0xcd, 0xc9,
    0xc9, 0x57, 0xc8, 0x40, 0x27, 0xb9, 0x00, 0x00, 0x88, 0x59, 0x0b, 0x18, 0x00, 0x00, 0x00};

Test(gzip, a_name_and_a_time_in_its_head_are_passed_over)
{
    cs_block *back;

    cr_assert_eq(mux__gzip_unpack(cs_bytes_of(from_gzip, sizeof from_gzip), 24, &back), CS_OK);
    cr_assert(cs_same(cs_bytes_of(cs_block_bytes(back), back->size),
                      cs_str("hello hello hello hello\n")));
    cs_block_drop(back);
}

Test(gzip, any_order_of_damage_is_noticed)
{
    size_t len = 0, harmless = 0;
    cs_bytes message = made(fill_text, 300);
    cs_block *block = pack(message, &len), *back;
    uint8_t *p = cs_block_bytes(block);

    for (size_t n = 0; n < len; n++) {
        cs_err err = mux__gzip_unpack(cs_bytes_of(p, n), MOST, &back);
        cr_assert(err == CS_EPROTO || err == CS_ETOOBIG, "cut at %zu: %s", n, cs_strerror(err));
    }
    for (size_t bit = 0; bit < 8 * len; bit++) {
        p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cs_err err = mux__gzip_unpack(cs_bytes_of(p, len), MOST, &back);
        if (err == CS_OK) { /* the time, the system: nobody's message */
            cr_assert(cs_same(cs_bytes_of(cs_block_bytes(back), back->size), message));
            cs_block_drop(back);
            harmless++;
        } else
            cr_assert(err == CS_EPROTO || err == CS_ETOOBIG);
        p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert_leq(harmless, 8 * 7, "%zu", harmless);
    cs_block_drop(block);
}

Test(gzip, one_member_and_nothing_behind_it)
{
    size_t len = 0;
    cs_block *block = pack(made(fill_text, 300), &len), *back;
    uint8_t twice[1000];

    cr_assert_lt(2 * len, sizeof twice);
    memcpy(twice, cs_block_bytes(block), len);
    memcpy(twice + len, cs_block_bytes(block), len);
    cr_assert_eq(mux__gzip_unpack(cs_bytes_of(twice, len), MOST, &back), CS_OK);
    cs_block_drop(back);
    cr_assert_eq(mux__gzip_unpack(cs_bytes_of(twice, 2 * len), MOST, &back), CS_EPROTO);
    /* Garbage whose last bytes claim what is true of the member. */
    memcpy(twice + len, twice + len - 8, 8);
    cr_assert_eq(mux__gzip_unpack(cs_bytes_of(twice, len + 8), MOST, &back), CS_EPROTO);
    cs_block_drop(block);
}

Test(gzip, a_bomb_costs_nothing)
{
    failing_count();
    size_t len = 0, before;
    cs_block *block = pack(made(fill_zeroes, MOST), &len), *back;
    cs_bytes bomb = cs_bytes_of(cs_block_bytes(block), len);
    uint8_t *claim = cs_block_bytes(block) + len - 4;

    cr_assert_lt(len, 5000);
    cr_assert_eq(mux__gzip_unpack(bomb, MOST, &back), CS_OK);
    cs_block_drop(back);
    before = failing_live();
    cr_assert_eq(mux__gzip_unpack(bomb, MOST - 1, &back), CS_ETOOBIG);
    memset(claim, 0, 4); /* it lies that it is small */
    claim[0] = 100;
    cr_assert_eq(mux__gzip_unpack(bomb, MOST, &back), CS_EPROTO);
    cr_assert_eq(failing_live(), before);
    cs_block_drop(block);
    cr_assert_eq(failing_live(), 0);
}

static void *no_alloc(size_t size, void *user)
{
    (void)user;
    cr_assert_lt(size, 100000, "%zu bytes for a lie", size);
    return malloc(size);
}
static void *no_realloc(void *old, size_t size, void *user)
{
    (void)user;
    return realloc(old, size);
}
static void just_free(void *p, void *user)
{
    (void)user;
    free(p);
}

Test(gzip, a_claim_that_gzip_cannot_keep_gets_no_memory)
{
    static const struct cs_allocator wary = {no_alloc, no_realloc, just_free, NULL};
    uint8_t lie[sizeof from_gzip];
    cs_block *back;

    cs_set_allocator(&wary);
    memcpy(lie, from_gzip, sizeof lie);
    lie[sizeof lie - 2] = 0x3f; /* 4 MiB of 31 bytes */
    cr_assert_eq(mux__gzip_unpack(cs_bytes_of(lie, sizeof lie), 4 << 20, &back), CS_EPROTO);
}

/* ---- In rx ---------------------------------------------------------------------------------- */

static struct mux_rx rx;

static void arrive(const uint8_t *bytes, size_t len)
{
    cs_block *block = cs_block_new(len);
    memcpy(cs_block_bytes(block), bytes, len);
    cr_assert_eq(mux_rx_add(&rx, cs_block_bytes(block), len, block), CS_OK);
    cs_block_drop(block);
}

/* A message of the wire at `to`, compressed when it gets smaller. */
static size_t put(uint8_t *to, cs_bytes message)
{
    size_t len = message.len;
    cs_block *block = pack(message, &len);
    wire_prefix_put(to, block, (uint32_t)len);
    memcpy(to + WIRE_PREFIX, block ? cs_block_bytes(block) : message.base, len);
    cs_block_drop(block);
    return WIRE_PREFIX + len;
}

static const size_t lens[] = {0, 200, 5, 3000, 1, 70000, 300};
enum { LENS = sizeof lens / sizeof lens[0] };

static size_t take_from(size_t at)
{
    cs_bytes m;
    cs_err err;
    while ((err = mux_rx_next(&rx, &m)) == CS_OK) {
        cs_bytes wanted = made(at % 2 ? fill_text : fill_dice, lens[at]);
        cr_assert(cs_same(m, wanted), "message %zu of %zu bytes", at, m.len);
        at++;
    }
    cr_assert_eq(err, CS_AGAIN);
    return at;
}

Test(gzip_rx, compressed_messages_come_whole_whatever_the_cut_and_credit_is_of_the_wire)
{
    static uint8_t wire[200000];
    static const size_t cuts[] = {1, 3, 7, 100, 4999, sizeof wire};
    size_t len = 0;

    for (size_t i = 0; i < LENS; i++)
        len += put(wire + len, made(i % 2 ? fill_text : fill_dice, lens[i]));
    cr_assert_lt(len, 60000);
    for (size_t c = 0; c < 6; c++)
        for (int settled = 0; settled < 2; settled++) {
            size_t at = 0, credit = 0;
            mux_rx_init(&rx, 70000);
            rx.gzip = true;
            for (size_t i = 0; i < len; i += cuts[c]) {
                arrive(wire + i, len - i < cuts[c] ? len - i : cuts[c]);
                if (settled)
                    mux_rx_settle(&rx);
                at = take_from(at);
                credit += mux_rx_credit(&rx);
            }
            cr_assert_eq(at, LENS);
            cr_assert_eq(credit, len);
            cr_assert(!mux_rx_partial(&rx));
            mux_rx_fini(&rx);
        }
}

Test(gzip_rx, a_view_stays_until_the_next_is_asked_for_and_a_reference_beyond)
{
    static uint8_t wire[100000];
    size_t len = put(wire, made(fill_text, 20000)), before;
    cs_bytes first, second;
    cs_ref kept;

    len += put(wire + len, made(fill_text, 30000));
    failing_count();
    mux_rx_init(&rx, MOST);
    rx.gzip = true;
    arrive(wire, len);
    cr_assert_eq(mux_rx_next(&rx, &first), CS_OK);
    mux_rx_settle(&rx);
    (void)mux_rx_credit(&rx);
    cr_assert(cs_same(first, made(fill_text, 20000)));
    before = failing_live_bytes();
    cr_assert_eq(mux_rx_keep(&rx, first, &kept), CS_OK);
    cr_assert_eq(kept.bytes.base, first.base, "not copied");
    cr_assert_eq(failing_live_bytes(), before);
    cr_assert_eq(mux_rx_next(&rx, &second), CS_OK);
    cr_assert(cs_same(second, made(fill_text, 30000)));
    mux_rx_fini(&rx);
    cr_assert(cs_same(kept.bytes, made(fill_text, 20000)));
    cr_assert_leq(failing_live_bytes(), 20000 + 100, "it keeps nothing else alive");
    cs_ref_drop(&kept);
    cr_assert_eq(failing_live(), 0);
}

static void reading(void)
{
    uint8_t wire[5000];
    size_t len = put(wire, made(fill_text, 3000));
    cs_bytes m;

    mux_rx_init(&rx, MOST);
    rx.gzip = true;
    for (size_t i = 0; i < len; i += 400) {
        cs_block *block = cs_block_new(400);
        cs_err err = block ? CS_OK : CS_ENOMEM;
        if (block) {
            memcpy(cs_block_bytes(block), wire + i, 400);
            err = mux_rx_add(&rx, cs_block_bytes(block), len - i < 400 ? len - i : 400, block);
        }
        cs_block_drop(block);
        if (err != CS_OK)
            break;
    }
    cs_err err = mux_rx_next(&rx, &m);
    cr_assert(err == CS_OK || failing_failed());
    mux_rx_fini(&rx);
}

Test(gzip_rx, every_failed_allocation_is_survived)
{
    cr_assert_geq(failing_story(reading), 15);
}

/* ---- Two of ours ---------------------------------------------------------------------------- */

static struct talk t;
static const struct mux_options on = {.gzip = true};
static const char *longer;

static const char *text_of_3000(void)
{
    fill_text(3000);
    data[3000] = 0;
    return (const char *)data;
}

static void say_longer(struct side *s)
{
    side_send(s, longer);
}

static struct mux_stats talk_once(const struct mux_options *client,
                                  const struct mux_options *server, struct mux_stats *clients)
{
    struct mux_stats stats;

    longer = text_of_3000();
    t = (struct talk){0};
    talk_begin(&t, client, server);
    t.server[0].on_accept = say_longer;
    struct side *c = talk_open(&t, 0);
    side_send(c, longer);
    side_send(c, "short");
    side_finish(c, CS_OK);
    talk_settle(&t);
    cr_assert_eq(t.server[0].bytes, 3005);
    cr_assert_eq(c->bytes, 3000);
    side_finish(&t.server[0], CS_DONE);
    talk_settle(&t);
    cr_assert_eq(c->why, CS_DONE);
    stats = *mux_handlers_stats(t.handlers);
    *clients = *mux_conn_stats(t.conn);
    talk_end(&t);
    return stats;
}

Test(gzip_talk, messages_are_compressed_both_ways_when_both_want_it)
{
    struct mux_stats client, server = talk_once(&on, &on, &client);

    cr_assert_eq(client.messages_gzipped, 1, "the short one is not");
    cr_assert_eq(server.messages_gzipped, 1);
    cr_assert_gt(client.gzip_saved, 1500);
    cr_assert_gt(server.gzip_saved, 1500);
    cr_assert_lt(client.bytes_out, 1500);
    cr_assert_lt(server.bytes_out, 1500);
}

Test(gzip_talk, nothing_is_compressed_unless_it_was_asked_for)
{
    struct mux_stats client, server = talk_once(NULL, NULL, &client);

    cr_assert_eq(client.messages_gzipped + server.messages_gzipped, 0);
    cr_assert_gt(client.bytes_out, 3000);
    server = talk_once(NULL, &on, &client);
    cr_assert_eq(server.messages_gzipped, 0, "the client has not listed it");
    cr_assert_gt(server.bytes_out, 3000);
}

Test(gzip_talk, a_client_alone_may_compress)
{
    struct mux_stats client, server = talk_once(&on, NULL, &client);

    cr_assert_eq(client.messages_gzipped, 1);
    cr_assert_eq(server.messages_gzipped, 0);
}

static unsigned released;
static void release(void *user)
{
    (void)user;
    released++;
}

Test(gzip_talk, by_reference_what_gets_smaller_is_let_go_of_at_once_and_noise_is_not_copied)
{
    cs_ref ref;

    talk_begin(&t, &on, &on);
    struct side *c = talk_open(&t, 0);
    cr_assert_eq(cs_ref_wrap(made(fill_text, 50000), release, NULL, &ref), CS_OK);
    cr_assert_eq(mux_stream_send_ref(c->stream, cs_str("head"), &ref), CS_OK);
    cr_assert_null(ref.block);
    cr_assert_eq(released, 1);
    talk_settle(&t);
    cr_assert_eq(t.server[0].bytes, 50004);
    cr_assert_eq(cs_ref_wrap(made(fill_dice, 50000), release, NULL, &ref), CS_OK);
    cr_assert_eq(mux_stream_send_ref(c->stream, cs_str("head"), &ref), CS_OK);
    cr_assert_null(ref.block);
    cr_assert_eq(released, 1, "it waits where it is");
    talk_settle(&t);
    cr_assert_eq(released, 2);
    cr_assert_eq(t.server[0].bytes, 100008);
    mux_stream_cancel(c->stream, CS_ECANCELED);
    talk_end(&t);
}

Test(gzip_talk, many_streams_share_one_state)
{
    const char *text = text_of_3000();

    failing_count();
    talk_begin(&t, &on, &on);
    size_t before = 0, after;
    for (int i = 0; i < 4; i++) {
        struct side *c = talk_open(&t, i);
        side_send(c, text);
        talk_settle(&t);
        side_send(&t.server[i], text);
        talk_settle(&t);
        if (i == 0)
            before = failing_live_bytes();
    }
    after = failing_live_bytes();
    cr_assert_eq(mux_handlers_stats(t.handlers)->messages_gzipped, 4);
    cr_assert_lt(after - before, 20000, "%zu bytes for three more streams", after - before);
    for (int i = 0; i < 4; i++)
        mux_stream_cancel(t.client[i].stream, CS_ECANCELED);
    talk_end(&t);
    cr_assert_eq(failing_live(), 0);
}

/* What three more open streams cost, after a first. */
static size_t idle_cost(const struct mux_options *options)
{
    size_t before = 0, cost;

    t = (struct talk){0};
    talk_begin(&t, options, options);
    for (int i = 0; i < 4; i++) {
        side_send(talk_open(&t, i), "here");
        talk_settle(&t);
        side_send(&t.server[i], "and here");
        talk_settle(&t);
        if (i == 0)
            before = failing_live_bytes();
    }
    cost = failing_live_bytes() - before;
    cr_assert_lt(failing_live_bytes(), 200000, "no state is made before it is needed");
    for (int i = 0; i < 4; i++)
        mux_stream_cancel(t.client[i].stream, CS_ECANCELED);
    talk_end(&t);
    return cost;
}

Test(gzip_talk, an_idle_stream_costs_what_it_costs_without)
{
    size_t with, without;

    failing_count();
    without = idle_cost(NULL);
    with = idle_cost(&on);
    cr_assert_eq(with, without, "%zu and %zu bytes", with, without);
}

/* ---- A peer that says what it likes --------------------------------------------------------- */

static fake_peer *peer;

static void serve_a_fake(const struct mux_options *options)
{
    talk_handlers(&t);
    peer = fake_client(t.loop, options, t.handlers);
}

static void leave(void)
{
    fake_free(peer);
    talk_settle(&t);
    mux_handlers_free(t.handlers);
    talk_settle(&t);
    cs_loop_free(t.loop);
}

static void request_with(const char *name, const char *value)
{
    fake_headers(peer, 1, false, ":method", "POST", ":scheme", "http", ":path", TALK_METHOD,
                 ":authority", "fake", "te", "trailers", "content-type", "application/grpc", name,
                 value, NULL);
    talk_settle(&t);
}

static void expect_said(const char *line)
{
    talk_settle(&t);
    cr_assert(strstr(fake_said(peer), line), "no \"%s\" in:\n%s", line, fake_said(peer));
}

static void fake_packed(cs_bytes message)
{
    static uint8_t wire[20000];
    fake_frame(peer, FAKE_DATA, 0, 1, cs_bytes_of(wire, put(wire, message)));
    talk_settle(&t);
}

Test(gzip_call, a_server_answers_compressed_only_who_listed_it)
{
    static const char *const lists[] = {"gzip", "identity,gzip", "identity, deflate, gzip",
                                        "gzip,identity", "br,gzip , zstd"};
    static const char *const others[] = {"", "identity", "gzipx,xgzip", "deflate,gzi", ","};

    for (int i = 0; i < 10; i++) {
        serve_a_fake(&on);
        memset(t.server, 0, sizeof t.server);
        t.accepted = 0;
        request_with("grpc-accept-encoding", i < 5 ? lists[i] : others[i - 5]);
        side_send(&t.server[0], text_of_3000());
        talk_settle(&t);
        if (i < 5)
            expect_said("grpc-encoding=gzip");
        expect_said("grpc-accept-encoding=identity,gzip");
        cr_assert(i < 5 || !strstr(fake_said(peer), "grpc-encoding=gzip"), "%s", others[i - 5]);
        cr_assert(i < 5 ? fake_heard(peer) < 1500 : fake_heard(peer) == 3005, "%zu",
                  fake_heard(peer));
        leave();
    }
}

Test(gzip_call, what_comes_compressed_is_read_whatever_the_option)
{
    serve_a_fake(NULL);
    request_with("grpc-encoding", "gzip");
    fake_packed(made(fill_text, 3000));
    fake_message(peer, 1, "plain", false);
    talk_settle(&t);
    cr_assert_eq(t.server[0].bytes, 3005);
    cr_assert_eq(t.server[0].messages, 2);
    leave();
}

/* Zeroes get small: four messages of a MiB come in one turn, and are read in four. */
Test(gzip_call, what_comes_compressed_is_unpacked_by_the_mebibyte_a_turn)
{
    static uint8_t wire[20000];
    size_t turns, len;

    serve_a_fake(NULL);
    for (int id = 1; id < 9; id += 2)
        fake_headers(peer, id, false, ":method", "POST", ":scheme", "http", ":path", TALK_METHOD,
                     ":authority", "fake", "te", "trailers", "content-type", "application/grpc",
                     "grpc-encoding", "gzip", NULL);
    talk_settle(&t);
    len = put(wire, made(fill_zeroes, MOST));
    for (int id = 1; id < 9; id += 2)
        fake_frame(peer, FAKE_DATA, 0, id, cs_bytes_of(wire, len));
    turns = cs_loop_settle(t.loop);
    cr_assert_geq(turns, 4);
    cr_assert_leq(turns, 8);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(t.server[i].messages, 1);
        cr_assert_eq(t.server[i].bytes, MOST);
    }
    leave();
}

Test(gzip_call, compressed_without_a_coding_is_internal)
{
    for (int i = 0; i < 2; i++) {
        serve_a_fake(&on);
        t.accepted = 0;
        request_with(i ? "grpc-encoding" : "x-nothing", "identity");
        fake_packed(made(fill_text, 3000));
        expect_said("grpc-status=13");
        expect_said("chanserv-reason=protocol");
        leave();
    }
}

Test(gzip_call, damaged_is_internal_and_a_bomb_is_exhausted)
{
    static uint8_t wire[20000];
    const struct mux_options small = {.message_max_bytes = 2999};

    serve_a_fake(NULL);
    request_with("grpc-encoding", "gzip");
    size_t len = put(wire, made(fill_text, 3000));
    wire[len / 2] ^= 0x40;
    fake_frame(peer, FAKE_DATA, 0, 1, cs_bytes_of(wire, len));
    expect_said("grpc-status=13");
    leave();
    serve_a_fake(&small);
    t.accepted = 0;
    request_with("grpc-encoding", "gzip");
    fake_packed(made(fill_text, 3000));
    expect_said("grpc-status=8");
    expect_said("chanserv-reason=too-large");
    leave();
}

static struct side *call_a_fake(const struct mux_options *options)
{
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    peer = fake_server(t.loop, options, &t.conn);
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    return c;
}

static void hang_up(void)
{
    mux_conn_free(t.conn);
    talk_settle(&t);
    fake_free(peer);
    cs_loop_free(t.loop);
}

Test(gzip_call, a_client_says_that_it_compresses_and_reads_compressed_answers)
{
    struct side *c = call_a_fake(&on);

    expect_said("user-agent=grpc-c-chanserv/0.1 grpc-encoding=gzip "
                "grpc-accept-encoding=identity,gzip\n");
    fake_headers(peer, 1, false, ":status", "200", "content-type", "application/grpc",
                 "grpc-encoding", "gzip", NULL);
    fake_packed(made(fill_text, 3000));
    cr_assert_eq(c->bytes, 3000);
    fake_headers(peer, 1, true, "grpc-status", "0", NULL);
    talk_settle(&t);
    cr_assert_eq(c->why, CS_DONE);
    hang_up();
}

Test(gzip_call, a_compressed_answer_without_a_coding_or_with_another_is_no_sense)
{
    static const char *const codings[] = {"identity", "br"};

    for (int i = 0; i < 2; i++) {
        t.client[0] = (struct side){0};
        struct side *c = call_a_fake(&on);
        fake_headers(peer, 1, false, ":status", "200", "content-type", "application/grpc",
                     "grpc-encoding", codings[i], NULL);
        fake_packed(made(fill_text, 3000));
        cr_assert_eq(c->ends, 1);
        cr_assert_eq(c->why, CS_EPROTO);
        hang_up();
    }
}
