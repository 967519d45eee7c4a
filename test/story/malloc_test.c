/* Every allocation of a whole story fails once: ours, nghttp2's and protobuf-c's, on both sides.
 *
 * Whatever fails, nobody crashes or waits for ever, what was taken ends exactly once, and nothing
 * stays alive.  The story is compact, because it is told once for each of its allocations. */
#include "test/story/story.h"
#include "test/support/failing.h"

#include <stdio.h>
#include <stdlib.h>

enum { SOURCES = 6, CHANNELS = 2, MEMBERS = 2 * SOURCES };

/* What was taken, and how often it ended.  One per telling. */
static struct telling {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    int outlets_taken, outlets_ended;
    int posts_kept, posts_closed, posts_ended;
    int feeds_started, feeds_ended;
    int sources_started, sources_ended;
    int frames;
    chanserv_post *waiting; /* kept and not closed */
} t;

/* ---- The server ------------------------------------------------------------------------------ */

struct producer {
    int kind, said;
};

static cs_err produce(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    static const char large[3000] = "in parts";
    struct producer *p = state;

    if (p->said == 2 && p->kind % 2 == 0)
        chanserv_outlet_skip(outlet, 3, CHANSERV_GAP_EXPIRED);
    switch (p->said++) {
    case 0:
        *frame = cs_str("one");
        return CS_OK;
    case 1:
        *frame = cs_bytes_of(large, sizeof large);
        return CS_OK;
    case 2:
        *frame = cs_bytes_of(NULL, 0);
        return CS_OK;
    default:
        break;
    }
    if (p->kind == 1)
        return chanserv_outlet_fail(outlet, CS_EDATALOSS, "sector %d is gone", 7);
    return p->kind == 2 ? CS_AGAIN : CS_DONE; /* 2: waits for ever, until it is cancelled */
}

static cs_err produce_ref(chanserv_outlet *outlet, cs_ref *frame, void *state)
{
    struct producer *p = state;

    (void)outlet;
    if (p->said++ > 1)
        return CS_DONE;
    return cs_ref_copy(cs_str("counted"), frame);
}

static void produced(chanserv_outlet *outlet, cs_err why, void *state)
{
    (void)outlet;
    (void)state;
    cr_assert_neq(why, CS_OK);
    t.outlets_ended++;
}

static const struct chanserv_outlet_ops lazy_ops = {
    .state_bytes = sizeof(struct producer), .next = produce, .end = produced};
static const struct chanserv_outlet_ops eager_ops = {
    .state_bytes = sizeof(struct producer), .next = produce, .end = produced, .eager = true};
static const struct chanserv_outlet_ops ref_ops = {
    .state_bytes = sizeof(struct producer), .next_ref = produce_ref, .end = produced};

static void announce_poured(chanserv_post *post)
{
    cs_chan *chan;

    if (cs_chan_new(0, &chan) != CS_OK)
        return;
    if (cs_chan_send(chan, cs_str("poured"), CS_NOW) == CS_OK)
        cs_chan_close(chan, CS_DONE);
    else
        cs_chan_close(chan, CS_ENOMEM);
    (void)chanserv_announce_chan(post, cs_str("a channel"), chan);
    cs_chan_free(chan);
}

static cs_err more(chanserv_post *post, void *state)
{
    int *said = state;

    for (; *said < SOURCES; ++*said) {
        static const struct chanserv_outlet_ops *const ops[] = {&lazy_ops, &eager_ops, &ref_ops};
        struct producer p = {.kind = *said % 3};
        cs_err err = chanserv_announce(post, cs_str("a source"), ops[*said / 2], &p, NULL);

        if (err != CS_OK)
            return err;
        t.outlets_taken++;
    }
    announce_poured(post);
    return CS_DONE;
}

static void closed(chanserv_post *post, cs_err why, void *state)
{
    (void)post;
    (void)why;
    (void)state;
    t.posts_closed++;
}

static void ended(chanserv_post *post, cs_err why, void *state)
{
    (void)post;
    (void)why;
    (void)state;
    t.posts_ended++;
    cr_assert_eq(t.posts_ended <= t.posts_closed, true, "closed, then end");
}

static const struct chanserv_post_ops more_ops = {
    .state_bytes = sizeof(int), .next = more, .closed = closed, .end = ended};
/* Stays until the client leaves, or its deadline comes. */
static const struct chanserv_post_ops stay_ops = {.closed = closed, .end = ended};

static cs_err serve_more(chanserv_post *post, cs_bytes body, void *user)
{
    cs_err err = chanserv_post_keep(post, &more_ops, NULL);

    (void)body;
    (void)user;
    if (err != CS_OK)
        return err;
    t.posts_kept++;
    if ((err = chanserv_post_set_header(post, "kind", cs_str("more"))) != CS_OK ||
        (err = chanserv_post_set_trailer(post, "count", cs_str("7"))) != CS_OK)
        return err;
    return CS_OK; /* ask more() */
}

static cs_err serve_stay(chanserv_post *post, cs_bytes body, void *user)
{
    struct producer p = {.kind = 2};
    cs_err err = chanserv_post_keep(post, &stay_ops, NULL);

    (void)body;
    (void)user;
    if (err != CS_OK)
        return err;
    t.posts_kept++;
    err = chanserv_announce(post, cs_str("never opened"), &lazy_ops, &p, NULL);
    if (err != CS_OK)
        return err;
    t.outlets_taken++;
    return CS_AGAIN;
}

/* ---- The client with callbacks --------------------------------------------------------------- */

static void source_readable(chanserv_source *source, void *state)
{
    cs_bytes frame;
    int *n = state;

    while (chanserv_source_recv(source, &frame) == CS_OK) {
        t.frames++;
        if (++*n == 2 && chanserv_source_index(source) == 4)
            chanserv_source_cancel(source);
    }
}

static void source_end(chanserv_source *source, cs_err why, void *state)
{
    (void)source;
    (void)state;
    cr_assert_neq(why, CS_AGAIN);
    t.sources_ended++;
}

static void feed_readable(chanserv_feed *feed, void *state)
{
    static const struct chanserv_source_ops ops = {
        .state_bytes = sizeof(int), .readable = source_readable, .end = source_end};
    chanserv_source *source;

    (void)state;
    while (chanserv_feed_recv(feed, &source) == CS_OK) {
        if (chanserv_source_start(source, &ops, NULL) == CS_OK)
            t.sources_started++;
        else
            chanserv_source_close(source);
    }
}

static void feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)feed;
    (void)state;
    cr_assert_neq(why, CS_AGAIN);
    t.feeds_ended++;
}

static void read_with_callbacks(chanserv_feed *feed)
{
    static const struct chanserv_feed_ops ops = {.readable = feed_readable, .end = feed_end};

    if (chanserv_feed_start(feed, &ops, NULL) != CS_OK)
        return;
    t.feeds_started++;
    cs_loop_settle(t.loop);
    (void)chanserv_feed_header(feed, "kind");
    (void)chanserv_feed_trailer(feed, "count");
}

/* ---- The client with select ------------------------------------------------------------------ */

static void read_with_select(chanserv_feed *feed)
{
    struct chanserv_event event;
    chanserv_set *set;
    cs_err err = chanserv_set_new(t.client, &set);

    if (err != CS_OK)
        return;
    err = chanserv_set_add_feed(set, feed);
    for (int i = 0; err == CS_OK && i < 200; i++) {
        err = chanserv_select(set, 10, &event);
        if (err == CS_OK && event.kind == CHANSERV_SOURCE) {
            if (chanserv_source_index(event.source) == 3)
                chanserv_source_close(event.source);
            else if (chanserv_set_add_source(set, event.source) != CS_OK)
                chanserv_source_close(event.source);
        }
        t.frames += err == CS_OK && event.kind == CHANSERV_FRAME;
    }
    cr_assert_neq(err, CS_OK, "an end to it");
    chanserv_set_free(set);
}

/* ---- The client that ranges ------------------------------------------------------------------ */

static void read_with_range(chanserv_feed *feed)
{
    chanserv_source *source, *kept = NULL;
    cs_bytes frame;

    while (chanserv_range_source(feed, &source)) {
        for (int n = 0; n < 3 && chanserv_range_frame(source, &frame); n++)
            t.frames++;
        if (!kept)
            kept = chanserv_source_keep(source);
    }
    cr_assert_neq(chanserv_feed_status(feed), CS_AGAIN);
    (void)chanserv_feed_errmsg(feed);
    (void)chanserv_feed_close(feed);
    while (kept && chanserv_range_frame(kept, &frame))
        t.frames++;
    chanserv_source_close(kept);
}

/* ---- The story ------------------------------------------------------------------------------- */

static chanserv_feed *post(const char *service, int timeout_ms)
{
    static const cs_pair metadata[] = {{{"who", 3}, {"somebody", 8}}};
    const struct chanserv_post_options options = {
        .timeout_ms = timeout_ms, .bucket = {"b", 1}, .metadata = metadata, .metadata_len = 1};
    chanserv_feed *feed;

    if (chanserv_lookup_and_post(t.client, service, cs_str("body"), &options, &feed) != CS_OK)
        return NULL;
    return feed;
}

static void talk(void)
{
    chanserv_feed *feed;

    if ((feed = post("more", 0)))
        read_with_callbacks(feed);
    if ((feed = post("more", 60000)))
        read_with_select(feed);
    if ((feed = post("more", 0)))
        read_with_range(feed);
    if ((feed = post("nobody", 0)))
        cr_assert(cs_failed(chanserv_feed_ready(feed)));
    (void)post("stay", 1000); /* ends by its deadline */
    feed = post("stay", 0);   /* by cancel */
    cs_loop_advance(t.loop, 2000);
    if (feed)
        chanserv_feed_cancel(feed);
    cs_loop_settle(t.loop);
    (void)post("stay", 0); /* by the end of the world */
    cs_loop_settle(t.loop);
}

static bool both_sides(void)
{
    const struct chanserv_server_options server = {
        .part_bytes = 1000, .serving_timeout_ms = 600000, .write_timeout_ms = 60000};
    const struct chanserv_client_options client = {.announce_timeout_ms = 30000,
                                                   .frame_timeout_ms = 30000};

    return cs_loop_new_virtual(&t.loop) == CS_OK &&
           chanserv_server_new(t.loop, &server, &t.server) == CS_OK &&
           chanserv_serve(t.server, "more", serve_more, NULL) == CS_OK &&
           chanserv_serve(t.server, "stay", serve_stay, NULL) == CS_OK &&
           chanserv_client_new(t.loop, &client, &t.client) == CS_OK &&
           chanserv_join_local(t.client, t.server) == CS_OK;
}

static void story(void)
{
    memset(&t, 0, sizeof t);
    if (both_sides())
        talk();
    chanserv_client_free(t.client);
    chanserv_server_free(t.server);
    if (t.loop)
        cs_loop_free(t.loop);
    cr_assert_eq(t.outlets_ended, t.outlets_taken);
    cr_assert_eq(t.posts_closed, t.posts_kept);
    cr_assert_eq(t.posts_ended, t.posts_kept);
    cr_assert_eq(t.feeds_ended, t.feeds_started);
    cr_assert_eq(t.sources_ended, t.sources_started);
}

Test(malloc, no_allocation_that_fails_breaks_a_promise, .timeout = 120)
{
    cr_assert_geq(failing_story(story), 500);
    /* The last telling was the whole one. */
    cr_expect_eq(t.posts_kept, 6);
    cr_expect_eq(t.sources_started, SOURCES + 1);
    cr_expect_eq(t.outlets_taken, 3 * SOURCES + 3);
    cr_expect_gt(t.frames, 30);
}

Test(malloc, no_memory_at_all_from_some_moment_on_breaks_none_either, .timeout = 120)
{
    failing_drought(story, 7);
    cr_expect_eq(t.posts_kept, 6);
}
