/* A client and a server that compress: what is read is what was sent, however it travelled. */
#include "chanserv/chanserv.h"

#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { FRAMES = 6, LONGEST = (3 << 20) + 11 };

static const size_t lens[FRAMES] = {2000, 500, 100000, 0, LONGEST, 900};
static uint8_t given[LONGEST], wanted[LONGEST];

static struct {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *feed;
    chanserv_source *source;
    size_t frames, next, heard;
} t;

/* ---- The service ---------------------------------------------------------------------------- */

/* Frame `i`: a text, or every third noise, which does not get smaller. */
static cs_bytes make(uint8_t *bytes, size_t i)
{
    uint32_t dice = (uint32_t)i + 1;

    for (size_t n = 0; n < lens[i]; n++) {
        if (i % 3 == 2 || n % 8 == 0)
            dice = dice * 1664525 + 1013904223;
        bytes[n] = (uint8_t)(dice >> 24);
    }
    return cs_bytes_of(bytes, lens[i]);
}

static cs_bytes frame_of(size_t i)
{
    return make(wanted, i);
}

static cs_err next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)o, (void)state;
    if (t.next == t.frames)
        return CS_DONE;
    *frame = make(given, t.next++);
    return CS_OK;
}

static void hear(chanserv_outlet *o, void *state)
{
    cs_ref frame = {0};
    cs_err err;

    (void)state;
    for (;;) { /* views and references in turn */
        err = t.heard % 2 ? chanserv_outlet_recv_ref(o, &frame)
                          : chanserv_outlet_recv(o, &frame.bytes);
        if (err != CS_OK)
            break;
        cr_assert(cs_same(frame.bytes, frame_of(t.heard)));
        cs_ref_drop(&frame);
        t.heard++;
    }
    if (err == CS_DONE)
        chanserv_outlet_finish(o, CS_DONE);
}

static const struct chanserv_outlet_ops giver = {.next = next};
static const struct chanserv_outlet_ops eager = {.next = next, .eager = true};
static const struct chanserv_outlet_ops listener = {.readable = hear, .uplink = true};

static cs_err announce(chanserv_post *post, cs_bytes body, void *user)
{
    cs_err err;

    cr_assert(cs_same(body, frame_of(0)), "the body was compressed, too");
    err = chanserv_announce(post, cs_str("h"), user, NULL, NULL);
    return err == CS_OK ? CS_DONE : err;
}

/* ---- The world ------------------------------------------------------------------------------ */

static cs_err begin(const struct mux_options *net)
{
    const struct chanserv_server_options server = {.net = *net, .part_bytes = 60000};
    const struct chanserv_client_options client = {.net = *net, .inline_bytes = 4096};
    cs_err err = cs_loop_new_virtual(&t.loop);

    t.next = t.heard = 0;
    t.frames = FRAMES;
    if (err == CS_OK && (err = chanserv_server_new(t.loop, &server, &t.server)) == CS_OK) {
        chanserv_serve(t.server, "give", announce, (void *)(uintptr_t)&giver);
        chanserv_serve(t.server, "eager", announce, (void *)(uintptr_t)&eager);
        chanserv_serve(t.server, "listen", announce, (void *)(uintptr_t)&listener);
        err = chanserv_client_new(t.loop, &client, &t.client);
    }
    return err == CS_OK ? chanserv_join_local(t.client, t.server) : err;
}

static void leave(void)
{
    chanserv_client_free(t.client);
    chanserv_server_free(t.server);
    cs_loop_free(t.loop);
    t.client = NULL;
    t.server = NULL;
    t.loop = NULL;
}

static bool post(const char *service)
{
    return chanserv_lookup_and_post(t.client, service, frame_of(0), NULL, &t.feed) == CS_OK &&
           chanserv_range_source(t.feed, &t.source);
}

static size_t read_all(void)
{
    cs_bytes frame;
    size_t n = 0;

    for (; chanserv_range_frame(t.source, &frame); n++)
        cr_assert(cs_same(frame, frame_of(n)), "frame %zu", n);
    return n;
}

static struct chanserv_counters counters(void)
{
    struct chanserv_counters seen;
    chanserv_server_counters(t.server, &seen);
    return seen;
}

static const struct mux_options on = {.gzip = true}, off = {.gzip = false};

/* ---- What travels --------------------------------------------------------------------------- */

Test(gzip, frames_come_down_as_they_were_and_cost_less)
{
    uint64_t plain;

    cr_assert_eq(begin(&off), CS_OK);
    cr_assert(post("give"));
    cr_assert_eq(read_all(), FRAMES);
    plain = counters().bytes_out;
    cr_assert_eq(counters().messages_gzipped, 0);
    leave();
    cr_assert_eq(begin(&on), CS_OK);
    cr_assert(post("give"));
    cr_assert_eq(read_all(), FRAMES);
    cr_assert_eq(chanserv_source_status(t.source), CS_DONE);
    cr_assert_eq(counters().messages_gzipped, 2 + LONGEST / 60000 + 1, "2000, 500, and all parts");
    cr_assert_lt(counters().bytes_out, plain / 2);
    cr_assert_gt(counters().gzip_saved, plain / 2);
    cr_assert_eq(counters().frame_bytes_out, 2000 + 500 + 100000 + LONGEST + 900,
                 "counted as they were");
    leave();
}

Test(gzip, frames_go_up_as_they_were)
{
    cr_assert_eq(begin(&on), CS_OK);
    cr_assert(post("listen"));
    for (size_t i = 0; i < FRAMES; i++)
        cr_assert_eq(chanserv_source_send(t.source, make(given, i), CS_FOREVER), CS_OK);
    chanserv_source_finish(t.source);
    cr_assert_eq(read_all(), 0);
    cr_assert_eq(chanserv_source_status(t.source), CS_DONE);
    cr_assert_eq(t.heard, FRAMES);
    cr_assert_lt(counters().bytes_in, LONGEST / 2 + 100000);
    leave();
}

Test(gzip, frames_in_an_announcement_are_compressed_with_it)
{
    cr_assert_eq(begin(&on), CS_OK);
    cr_assert(post("eager"));
    cr_assert_eq(counters().messages_gzipped, 1);
    cr_assert_eq(read_all(), FRAMES);
    leave();
}

Test(gzip, a_frame_is_valid_until_the_next_is_asked_for_and_a_reference_is_ones_own)
{
    cs_bytes view;
    cs_ref mine = {0};
    cs_err err;

    cr_assert_eq(begin(&on), CS_OK);
    cr_assert(post("give"));
    cr_assert(chanserv_range_frame(t.source, &view));
    cs_loop_settle(t.loop);
    cr_assert(cs_same(view, frame_of(0)), "while more arrives");
    for (size_t i = 1; i < FRAMES; i++) {
        while ((err = chanserv_source_recv_ref(t.source, &mine)) == CS_AGAIN)
            cs_loop_settle(t.loop);
        cr_assert_eq(err, CS_OK);
        if (i < FRAMES - 1)
            cs_ref_drop(&mine);
    }
    leave();
    cr_assert(cs_same(mine.bytes, frame_of(FRAMES - 1)));
    cs_ref_drop(&mine);
}

/* ---- Memory --------------------------------------------------------------------------------- */

static unsigned told;

static void story(void)
{
    cs_err why = begin(&on);

    t.frames = 4; /* the longest takes too long */
    if (why == CS_OK && post("give")) {
        size_t n = read_all();
        why = chanserv_source_status(t.source);
        cr_assert(why != CS_DONE || n == t.frames, "%zu frames and a good end", n);
    }
    told += why != CS_DONE;
    leave();
}

Test(gzip, every_failed_allocation_is_survived_or_told)
{
    cr_assert_geq(failing_story(story), 100);
    cr_assert_gt(told, 10);
}
