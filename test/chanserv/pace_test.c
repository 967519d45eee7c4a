/* What is kept until it is acknowledged sets no pace of its own: the clock stands still in these tests. */
#include "chanserv/chanserv.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { KEPT = 1 << 20 }; /* by default, and as long as a message becomes */

static struct {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *feed;
    chanserv_source *source;
    cs_err why;
    size_t len;        /* of a frame */
    int frames, given; /* that there are, and that were asked for */
    int got;
} w;

static uint8_t *bytes;

static cs_err give(chanserv_outlet *outlet, cs_ref *frame, void *state)
{
    (void)outlet, (void)state;
    if (w.given == w.frames)
        return CS_DONE;
    w.given++;
    return cs_ref_wrap(cs_bytes_of(bytes, w.len), NULL, NULL, frame);
}

static cs_err serve(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.next_ref = give};
    cs_err err = chanserv_announce(post, cs_str(""), &ops, NULL, NULL);

    (void)body, (void)user;
    return err == CS_OK ? CS_DONE : err;
}

static void take(chanserv_source *source, void *state)
{
    cs_bytes frame;

    (void)state;
    while (chanserv_source_recv(source, &frame) == CS_OK)
        w.got += frame.len == w.len;
}

static void over(chanserv_source *source, cs_err why, void *state)
{
    (void)source, (void)state;
    w.why = why;
}

static void open_it(chanserv_feed *feed, void *state)
{
    static const struct chanserv_source_ops ops = {.readable = take, .end = over};

    (void)state;
    while (chanserv_feed_recv(feed, &w.source) == CS_OK)
        cr_assert_eq(chanserv_source_start(w.source, &ops, NULL), CS_OK);
}

static void begin(size_t len, int frames)
{
    static const struct chanserv_feed_ops ops = {.readable = open_it};
    static const struct chanserv_client_options resumes = {.resume_ms = 30000}; /* locally, too */

    memset(&w, 0, sizeof w);
    w.len = len;
    w.frames = frames;
    w.why = CS_AGAIN;
    cr_assert((bytes = calloc(1, len)));
    cr_assert_eq(cs_loop_new_virtual(&w.loop), CS_OK);
    cr_assert_eq(chanserv_server_new(w.loop, NULL, &w.server), CS_OK);
    cr_assert_eq(chanserv_serve(w.server, "large", serve, NULL), CS_OK);
    cr_assert_eq(chanserv_client_new(w.loop, &resumes, &w.client), CS_OK);
    cr_assert_eq(chanserv_join_local(w.client, w.server), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "large", cs_str(""), NULL, &w.feed), CS_OK);
    cr_assert_eq(chanserv_feed_start(w.feed, &ops, NULL), CS_OK);
    cs_loop_settle(w.loop);
}

static void end(void)
{
    chanserv_client_free(w.client);
    chanserv_server_free(w.server);
    cs_loop_free(w.loop);
    free(bytes);
}

static void all_at_once(size_t len, int frames)
{
    struct chanserv_counters counters;

    begin(len, frames);
    chanserv_server_counters(w.server, &counters);
    cr_assert_eq(counters.sessions, 1);
    cr_assert_eq(w.got, frames, "%d of %d frames of %zu bytes", w.got, frames, len);
    cr_assert_eq(w.why, CS_DONE);
    end();
}

Test(pace, frames_as_large_as_what_is_kept_wait_for_no_timer)
{
    all_at_once(KEPT, 9);
    all_at_once(KEPT - 100, 9);
    all_at_once(KEPT / 2, 9);
    all_at_once(KEPT / 5, 30);
}

Test(pace, frames_in_several_parts_wait_for_no_timer)
{
    all_at_once(3 * KEPT + 17, 5);
}

Test(pace, small_frames_wait_for_no_timer)
{
    all_at_once(100, 50000);
}
