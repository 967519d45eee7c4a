/* Frames and bodies by reference: what moves is not copied, and is let go of exactly once, when it
 * was sent or given up.  A copy would show in the bytes that are alive. */
#include "chanserv/chanserv.h"

#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { LARGE = 300 * 1000, LONG = (3 << 20) + 5, SPARE = 40 * 1000 };

static struct {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *feed;
    chanserv_source *source;
    chanserv_outlet *outlet;
    chanserv_post *post;
    cs_ref give; /* what the producer gives, once */
    cs_chan *chan;
    bool deaf;
    size_t heard; /* bytes */
    cs_ref body;
    bool body_kept;
    const void *body_at;
} t;

static uint8_t *bytes; /* of malloc: not the library's */
static unsigned released;

static void release(void *user)
{
    cr_assert_eq(user, (void *)bytes);
    released++;
}

static cs_ref wrap(size_t len)
{
    cs_ref ref;
    cr_assert_eq(cs_ref_wrap(cs_bytes_of(bytes, len), release, bytes, &ref), CS_OK);
    return ref;
}

/* ---- The producers -------------------------------------------------------------------------- */

static cs_err give_next(chanserv_outlet *o, cs_ref *frame, void *state)
{
    (void)o, (void)state;
    *frame = t.give;
    t.give = (cs_ref){0};
    return frame->block ? CS_OK : CS_AGAIN;
}

static void hear(chanserv_outlet *o, void *state)
{
    cs_ref frame;

    (void)state;
    t.outlet = o;
    while (!t.deaf && chanserv_outlet_recv_ref(o, &frame) == CS_OK) {
        cr_assert_eq(memcmp(frame.bytes.base, bytes, frame.bytes.len), 0);
        t.heard += frame.bytes.len;
        cs_ref_drop(&frame);
    }
}

static const struct chanserv_outlet_ops giver = {.next_ref = give_next};
static const struct chanserv_outlet_ops listener = {.readable = hear, .uplink = true};

static cs_err announce(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body;
    if (user)
        return chanserv_announce(post, cs_str("h"), user, NULL, NULL) == CS_OK ? CS_DONE
                                                                               : CS_ENOMEM;
    return chanserv_announce_chan(post, cs_str("h"), t.chan) == CS_OK ? CS_DONE : CS_ENOMEM;
}

static cs_err keep_body(chanserv_post *post, cs_bytes body, void *user)
{
    cs_ref again;

    (void)user;
    t.body_at = body.base;
    t.post = post;
    cr_assert_eq(chanserv_post_body_ref(post, &t.body), CS_OK);
    cr_assert_eq(chanserv_post_body_ref(post, &again), CS_OK);
    cr_assert_eq(again.bytes.base, body.base, "the same bytes");
    cs_ref_drop(&again);
    return CS_DONE;
}

static cs_err keep_or_not(chanserv_post *post, cs_bytes body, void *user)
{
    cs_err err = chanserv_post_body_ref(post, &t.body);

    (void)body, (void)user;
    cr_assert(err == CS_OK || (err == CS_ENOMEM && !t.body.block));
    return err == CS_OK ? CS_DONE : err;
}

static void end_post(chanserv_post *post, cs_err why, void *state)
{
    (void)why, (void)state;
    cs_ref again;
    cr_assert_eq(chanserv_post_body_ref(post, &again), t.body_kept ? CS_OK : CS_EMISUSE);
    cs_ref_drop(&again);
}

static cs_err keep_post(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {.end = end_post};

    (void)body, (void)user;
    cr_assert_eq(chanserv_post_keep(post, &ops, NULL), CS_OK);
    t.body_kept = true;
    return CS_DONE;
}

/* ---- The world ------------------------------------------------------------------------------ */

static void up(void)
{
    failing_count();
    released = 0;
    bytes = malloc(LONG);
    for (size_t i = 0; i < LONG; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    cr_assert_eq(chanserv_server_new(t.loop, NULL, &t.server), CS_OK);
    cr_assert_eq(cs_chan_new(4, &t.chan), CS_OK);
    chanserv_serve(t.server, "give", announce, (void *)(uintptr_t)&giver);
    chanserv_serve(t.server, "listen", announce, (void *)(uintptr_t)&listener);
    chanserv_serve(t.server, "pour", announce, NULL);
    chanserv_serve(t.server, "body", keep_body, NULL);
    chanserv_serve(t.server, "kept", keep_post, NULL);
    cr_assert_eq(chanserv_client_new(t.loop, NULL, &t.client), CS_OK);
    cr_assert_eq(chanserv_join_local(t.client, t.server), CS_OK);
}

static void down(void)
{
    chanserv_client_free(t.client);
    chanserv_server_free(t.server);
    cs_chan_free(t.chan);
    cs_loop_free(t.loop);
    cr_assert_eq(failing_live(), 0);
    free(bytes);
}

TestSuite(ref, .init = up, .fini = down);

static void post(const char *service, cs_bytes body)
{
    cr_assert_eq(chanserv_lookup_and_post(t.client, service, body, NULL, &t.feed), CS_OK);
}

static void post_for_source(const char *service)
{
    post(service, cs_str(""));
    cr_assert(chanserv_range_source(t.feed, &t.source));
}

static void read_long(size_t len)
{
    cs_bytes frame;
    cr_assert(chanserv_range_frame(t.source, &frame), "%s", chanserv_source_errmsg(t.source));
    cr_assert(cs_same(frame, cs_bytes_of(bytes, len)));
}

/* ---- Up ------------------------------------------------------------------------------------- */

/* Holds what was sent in the queue, and looks at what it costs. */
static void send_is_a_move(size_t len)
{
    cs_ref frame = wrap(len);
    size_t before;

    t.deaf = true;
    post_for_source("listen");
    cr_assert_eq(chanserv_source_open(t.source, 0), CS_OK);
    cs_loop_settle(t.loop);
    before = failing_live_bytes();
    cr_assert_eq(chanserv_source_send_ref(t.source, &frame, CS_NOW), CS_OK);
    cr_assert_null(frame.block);
    cr_assert_eq(frame.bytes.len, 0);
    cr_assert_lt(failing_live_bytes() - before, SPARE, "it was copied");
    cs_loop_settle(t.loop);
    cr_assert_eq(released, 0, "most of it waits for the reader's window");
    t.deaf = false;
    hear(t.outlet, NULL);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.heard, len);
    cr_assert_eq(released, 1);
}

Test(ref, a_large_frame_is_sent_from_where_it_is)
{
    send_is_a_move(LARGE);
}

Test(ref, a_frame_in_parts_is_sent_from_where_it_is)
{
    send_is_a_move(LONG);
}

Test(ref, a_frame_that_is_not_taken_is_still_the_callers)
{
    const size_t lens[] = {1, 2000, LARGE, LONG};

    t.deaf = true;
    post_for_source("listen");
    cs_ref first = wrap(LARGE);
    cr_assert_eq(chanserv_source_send_ref(t.source, &first, CS_NOW), CS_OK);
    cs_loop_settle(t.loop);
    for (size_t i = 0; i < 4; i++) {
        cs_ref frame = wrap(lens[i]);
        cr_assert_eq(chanserv_source_send_ref(t.source, &frame, i % 2 ? 20 : CS_NOW), CS_AGAIN);
        cr_assert_eq(frame.bytes.base, (void *)bytes);
        cr_assert_eq(frame.bytes.len, lens[i]);
        cs_ref_drop(&frame);
        cr_assert_eq(released, i + 1);
    }
    chanserv_source_cancel(t.source);
    cs_loop_settle(t.loop);
    cr_assert_eq(released, 5, "what was queued is let go of");
}

Test(ref, small_frames_and_frames_without_a_block_are_taken_too)
{
    cs_ref small = wrap(10), bare = {cs_bytes_of(bytes, LARGE), NULL}, none = {0};

    post_for_source("listen");
    cr_assert_eq(chanserv_source_send_ref(t.source, &small, CS_NOW), CS_OK);
    cr_assert_null(small.block);
    cr_assert_eq(released, 1, "copied, and let go of at once");
    cr_assert_eq(chanserv_source_send_ref(t.source, &none, CS_FOREVER), CS_OK);
    cr_assert_eq(chanserv_source_send_ref(t.source, &bare, CS_FOREVER), CS_OK);
    cr_assert_eq(bare.bytes.len, 0);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.heard, 10 + LARGE);
}

Test(ref, a_frame_over_the_limit_is_refused_to_its_sender_and_stays_his)
{
    cs_ref frame;

    /* Nobody looks at the bytes of a frame that is refused. */
    cr_assert_eq(cs_ref_wrap(cs_bytes_of(bytes, ((size_t)100 << 20) + 1), release, bytes, &frame),
                 CS_OK);
    post_for_source("listen");
    cr_assert_eq(chanserv_source_send_ref(t.source, &frame, CS_NOW), CS_ETOOBIG);
    cr_assert_not_null(frame.block);
    cs_ref_drop(&frame);
    cr_assert_eq(released, 1);
}

/* ---- Down ----------------------------------------------------------------------------------- */

static void given_is_a_move(const char *service, size_t len)
{
    size_t before;

    post_for_source(service);
    cr_assert_eq(chanserv_source_open(t.source, 0), CS_OK);
    before = failing_live_bytes();
    cs_loop_settle(t.loop);
    cr_assert_eq(released, 0, "most of it waits for the reader");
    /* A window of it has arrived, and the link has room for two. */
    cr_assert_lt(failing_live_bytes() - before, LARGE, "it was copied");
    read_long(len);
    cs_loop_settle(t.loop);
    cr_assert_eq(released, 1);
}

Test(ref, what_next_ref_gives_is_sent_from_where_it_is)
{
    t.give = wrap(LARGE);
    given_is_a_move("give", LARGE);
}

Test(ref, what_next_ref_gives_is_sent_in_parts_from_where_it_is)
{
    t.give = wrap(LONG);
    given_is_a_move("give", LONG);
}

Test(ref, what_a_channel_is_given_is_poured_without_a_copy)
{
    cs_ref frame = wrap(LARGE);

    cr_assert_eq(cs_chan_give(t.chan, &frame, CS_NOW), CS_OK);
    given_is_a_move("pour", LARGE);
}

static cs_ref receive_one(void)
{
    cs_ref mine;
    cs_err err;

    t.give = wrap(LARGE);
    post_for_source("give");
    while ((err = chanserv_source_recv_ref(t.source, &mine)) == CS_AGAIN)
        cs_loop_settle(t.loop);
    cr_assert_eq(err, CS_OK);
    chanserv_feed_close(t.feed);
    cs_loop_settle(t.loop);
    return mine;
}

Test(ref, what_is_received_by_reference_is_the_memory_it_was_put_together_in)
{
    cs_ref mine = receive_one();
    size_t before;

    cs_ref_drop(&mine);
    before = failing_live_bytes(); /* the link keeps its room */
    mine = receive_one();
    cr_assert(cs_same(mine.bytes, cs_bytes_of(bytes, LARGE)), "it outlives its source");
    cr_expect_lt(failing_live_bytes() - before, LARGE + SPARE, "its own memory, and no other");
    cs_ref_drop(&mine);
    cr_expect_lt(failing_live_bytes() - before, SPARE);
}

/* ---- Bodies --------------------------------------------------------------------------------- */

Test(ref, a_body_is_kept_without_a_copy_beyond_its_post)
{
    post("body", cs_bytes_of(bytes, LARGE));
    cs_loop_settle(t.loop);
    chanserv_feed_close(t.feed);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.body.bytes.base, t.body_at);
    cr_assert(cs_same(t.body.bytes, cs_bytes_of(bytes, LARGE)));
    size_t before = failing_live_bytes();
    cs_ref_drop(&t.body);
    cr_assert_geq(before - failing_live_bytes(), LARGE);
}

Test(ref, the_body_of_a_kept_post_can_be_asked_for_until_its_end)
{
    post("kept", cs_bytes_of(bytes, LARGE));
    cs_loop_settle(t.loop);
    chanserv_feed_close(t.feed);
    cs_loop_settle(t.loop);
    cr_assert(t.body_kept);
}

/* ---- Memory --------------------------------------------------------------------------------- */

/* A body kept, a long frame sent and a large one given: each may fail, and then says so; every
 * reference is let go of once. */
static void keep_and_send(void)
{
    cs_ref frame = {0};
    chanserv_feed *kept;

    if (chanserv_lookup_and_post(t.client, "body", cs_bytes_of(bytes, 5000), NULL, &kept) == CS_OK)
        cs_loop_settle(t.loop);
    if (chanserv_lookup_and_post(t.client, "listen", cs_str(""), NULL, &t.feed) != CS_OK ||
        !chanserv_range_source(t.feed, &t.source) ||
        cs_ref_wrap(cs_bytes_of(bytes, LONG), release, bytes, &frame) != CS_OK)
        return;
    if (chanserv_source_send_ref(t.source, &frame, CS_NOW) == CS_OK)
        cr_assert_null(frame.block);
    else
        cr_assert(released || frame.block, "it is somebody's");
    cs_ref_drop(&frame);
    cs_loop_settle(t.loop);
}

static void story(void)
{
    unsigned before = released;

    memset(&t, 0, sizeof t);
    if (cs_loop_new_virtual(&t.loop) == CS_OK &&
        chanserv_server_new(t.loop, NULL, &t.server) == CS_OK &&
        chanserv_serve(t.server, "body", keep_or_not, NULL) == CS_OK &&
        chanserv_serve(t.server, "listen", announce, (void *)(uintptr_t)&listener) == CS_OK &&
        chanserv_client_new(t.loop, NULL, &t.client) == CS_OK &&
        chanserv_join_local(t.client, t.server) == CS_OK)
        keep_and_send();
    if (!failing_failed()) {
        cr_assert_eq(t.heard, LONG, "%zu bytes", t.heard);
        cr_assert_eq(t.body.bytes.len, 5000);
    }
    cs_ref_drop(&t.body);
    chanserv_client_free(t.client);
    chanserv_server_free(t.server);
    if (t.loop)
        cs_loop_free(t.loop);
    cr_assert_leq(released - before, 1);
}

Test(ref_memory, whatever_fails_each_reference_is_let_go_of_once, .timeout = 120)
{
    bytes = calloc(1, LONG);
    cr_assert_geq(failing_story(story), 50);
    cr_assert_gt(released, 20);
    free(bytes);
}
