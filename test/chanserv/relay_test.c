/* A source from there is a source from here: two servers on one loop, and who reads the second. */
#include "chanserv/chanserv.h"

#include "raw.h"
#include "test/support/failing.h"

#include <stdarg.h>
#include <stdlib.h>

enum { LARGE = 8 << 10 };

static struct {
    cs_loop *loop;
    chanserv_server *there, *here;
    chanserv_client *between; /* the relay's, of `there` */
    chanserv_client *client;  /* of `here` */
    const char *script;       /* see play() */
    const char *header;       /* that the relay announces under; "" its own */
    chanserv_outlet *outlet;  /* there, the one last opened */
    uint64_t from;            /* it was opened from */
    uint64_t asked;           /* frames of a producer without end */
    unsigned opened, ended;
    unsigned whole; /* sources that ended well */
    cs_err why;     /* of the outlet there that ended last */
    cs_err closed;  /* of the post there */
    bool deaf;      /* the producer there hears nothing */
    char said[600]; /* what a reader saw, or a producer heard */
} t;

static void say(const char *format, ...) CS_PRINTF(1, 2);
static void say(const char *format, ...)
{
    size_t len = strlen(t.said);
    va_list args;

    va_start(args, format);
    vsnprintf(t.said + len, sizeof t.said - len, format, args);
    va_end(args);
}

static void said(const char *expected)
{
    cr_assert_str_eq(t.said, expected);
    t.said[0] = '\0';
}

/* ---- The producers there -------------------------------------------------------------------- */

static cs_err opened(chanserv_outlet *o, uint64_t from, void *state)
{
    (void)state;
    t.outlet = o;
    t.from = from;
    t.opened++;
    return from <= 100 ? CS_OK : CS_ERANGE;
}

static void ended(chanserv_outlet *o, cs_err why, void *state)
{
    (void)o, (void)state;
    t.ended++;
    t.why = why;
}

/* A letter is a frame, a digit leaves out so many, "!" fails, "." waits, the end is the end. */
static cs_err play(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    size_t *at = state;

    for (; *at < strlen(t.script); ++*at) {
        char c = t.script[*at];

        if (c == '.')
            return CS_AGAIN;
        if (c == '!')
            return chanserv_outlet_fail(o, CS_EDATALOSS, "the disk is gone");
        if (c < '0' || c > '9') {
            *frame = cs_bytes_of(t.script + (*at)++, 1);
            return CS_OK;
        }
        chanserv_outlet_skip(o, (uint64_t)(c - '0'), CHANSERV_GAP_OVERFLOW);
    }
    return CS_DONE;
}

static const struct chanserv_outlet_ops play_ops = {
    .state_bytes = sizeof(size_t), .open = opened, .next = play, .end = ended};
static const struct chanserv_outlet_ops eager_ops = {
    .state_bytes = sizeof(size_t), .next = play, .eager = true};

static cs_err flood(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    static const char large[LARGE];

    (void)o, (void)state;
    t.asked++;
    *frame = cs_bytes_of(large, sizeof large);
    return CS_OK;
}

static const struct chanserv_outlet_ops flood_ops = {.open = opened, .next = flood, .end = ended};

static void hear(chanserv_outlet *o, void *state)
{
    cs_bytes frame;
    cs_err err = CS_AGAIN;

    (void)state;
    while (!t.deaf && (err = chanserv_outlet_recv(o, &frame)) == CS_OK)
        say("%.*s ", frame.len > 10 ? 1 : (int)frame.len, (const char *)frame.base);
    if (err != CS_AGAIN)
        say("(%s) ", cs_strerror(err));
}

static const struct chanserv_outlet_ops both_ops = {.state_bytes = sizeof(size_t),
                                                    .open = opened,
                                                    .next = play,
                                                    .readable = hear,
                                                    .end = ended,
                                                    .uplink = true};

static void closed_there(chanserv_post *post, cs_err why, void *state)
{
    (void)post, (void)state;
    t.closed = why;
}

static const struct chanserv_post_ops kept_ops = {.closed = closed_there};

/* The body says how many, and then how it ends: "3", "0!"; "3." goes on for ever. */
static cs_err announce(chanserv_post *post, cs_bytes body, void *user)
{
    const char *how = body.base;
    char header[16];

    if (chanserv_post_keep(post, &kept_ops, NULL) != CS_OK)
        return CS_ENOMEM;
    for (int i = 0; i < how[0] - '0'; i++) {
        snprintf(header, sizeof header, "h%d", i);
        if (chanserv_announce(post, cs_str(header), user, NULL, NULL) != CS_OK)
            return CS_ENOMEM;
    }
    if (body.len > 1 && how[1] == '!')
        return chanserv_post_fail(post, CS_EPERM, "not for you");
    return body.len > 1 ? CS_AGAIN : CS_DONE;
}

/* ---- The relay ------------------------------------------------------------------------------ */

/* All of it. */
static cs_err relay(chanserv_post *post, cs_bytes body, void *user)
{
    struct chanserv_post_options o = {.timeout_ms = chanserv_post_time_left_ms(post)};
    chanserv_feed *feed;
    cs_err err;

    (void)user;
    err = chanserv_lookup_and_post(t.between, user, body, &o, &feed);
    if (err == CS_OK && (err = chanserv_relay_feed(post, feed)) != CS_OK)
        chanserv_feed_close(feed);
    return err;
}

/* One source, which another function has already. */
static chanserv_source *ready;

static cs_err relay_one(chanserv_post *post, cs_bytes body, void *user)
{
    cs_err err = chanserv_relay_source(post, cs_str(t.header), ready);

    (void)body, (void)user;
    return err == CS_OK ? CS_DONE : err;
}

static void serve_there(const char *name, const struct chanserv_outlet_ops *ops)
{
    cr_assert_eq(chanserv_serve(t.there, name, announce, (void *)(uintptr_t)ops), CS_OK);
    cr_assert_eq(chanserv_serve(t.here, name, relay, (void *)(uintptr_t)name), CS_OK);
}

static void up_with(const struct chanserv_server_options *here)
{
    memset(&t, 0, sizeof t);
    t.script = "abc";
    t.header = "";
    t.closed = t.why = CS_AGAIN;
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    cr_assert_eq(chanserv_server_new(t.loop, NULL, &t.there), CS_OK);
    cr_assert_eq(chanserv_server_new(t.loop, here, &t.here), CS_OK);
    cr_assert_eq(chanserv_client_new(t.loop, NULL, &t.between), CS_OK);
    cr_assert_eq(chanserv_join_local(t.between, t.there), CS_OK);
    cr_assert_eq(chanserv_client_new(t.loop, NULL, &t.client), CS_OK);
    cr_assert_eq(chanserv_join_local(t.client, t.here), CS_OK);
    serve_there("play", &play_ops);
    serve_there("eager", &eager_ops);
    serve_there("flood", &flood_ops);
    serve_there("both", &both_ops);
    cr_assert_eq(chanserv_serve(t.here, "one", relay_one, NULL), CS_OK);
}

static void up(void)
{
    up_with(NULL);
}

static void down(void)
{
    chanserv_client_free(t.client);
    chanserv_server_free(t.here);
    chanserv_client_free(t.between);
    chanserv_server_free(t.there);
    cs_loop_free(t.loop);
    cr_assert_eq(t.ended >= t.opened, true);
}

TestSuite(relay, .init = up, .fini = down);

/* ---- Reading -------------------------------------------------------------------------------- */

static chanserv_feed *post_to(chanserv_client *client, const char *service, const char *body)
{
    chanserv_feed *feed;

    cr_assert_eq(chanserv_lookup_and_post(client, service, cs_str(body), NULL, &feed), CS_OK);
    return feed;
}

static chanserv_source *first(chanserv_client *client, const char *service)
{
    chanserv_source *source = NULL;

    cr_assert(chanserv_range_source(post_to(client, service, "1"), &source));
    return source;
}

/* What there is: "a0 <3>b4 (ended in good order)"; a gap at the end stands before it. */
static void read_some(chanserv_source *source)
{
    cs_bytes frame;
    cs_err err;

    for (;;) {
        if ((err = chanserv_source_recv(source, &frame)) == CS_AGAIN) {
            cs_loop_settle(t.loop);
            err = chanserv_source_recv(source, &frame);
        }
        if (err != CS_OK)
            break;
        if (chanserv_source_gap(source))
            say("<%u>", (unsigned)chanserv_source_gap(source));
        say("%c%u ", *(const char *)frame.base, (unsigned)chanserv_source_seq(source));
    }
    if (err != CS_AGAIN && chanserv_source_gap(source))
        say("<%u>", (unsigned)chanserv_source_gap(source));
    if (err != CS_AGAIN)
        say("(%s) ", cs_strerror(err));
}

/* ---- A feed --------------------------------------------------------------------------------- */

Test(relay, a_feed_comes_out_as_it_went_in)
{
    chanserv_feed *feed = post_to(t.client, "play", "3");
    chanserv_source *source;

    while (chanserv_range_source(feed, &source)) {
        say("%.*s: ", CS_FMT(chanserv_source_header(source)));
        read_some(source);
    }
    said("h0: a0 b1 c2 (ended in good order) h1: a0 b1 c2 (ended in good order) "
         "h2: a0 b1 c2 (ended in good order) ");
    cr_assert_eq(chanserv_feed_close(feed), CS_OK);
    cr_assert_eq(t.closed, CS_DONE);
    cr_assert_eq(t.why, CS_DONE);
}

Test(relay, the_failure_of_a_feed_passes_with_its_words_after_its_sources)
{
    chanserv_feed *feed = post_to(t.client, "play", "2!");
    chanserv_source *source;
    unsigned n = 0;

    for (; chanserv_range_source(feed, &source); n++)
        ;
    cr_assert_eq(n, 2);
    cr_assert_eq(chanserv_feed_status(feed), CS_EPERM);
    cr_assert(strstr(chanserv_feed_errmsg(feed), "not for you"), "%s", chanserv_feed_errmsg(feed));
}

Test(relay, nobody_serves_it_there)
{
    chanserv_unserve(t.there, "play");
    cr_assert_eq(chanserv_feed_ready(post_to(t.client, "play", "1")), CS_OK);
    chanserv_feed *feed = post_to(t.client, "play", "1");
    chanserv_source *source;
    cr_assert_not(chanserv_range_source(feed, &source));
    cr_assert_eq(chanserv_feed_status(feed), CS_ENOENT);
}

Test(relay, when_our_client_leaves_the_post_there_is_told_and_open_sources_go_on)
{
    chanserv_feed *feed = post_to(t.client, "play", "2.");
    chanserv_source *open, *not_open;

    t.script = "ab.c";
    cr_assert(chanserv_range_source(feed, &open));
    cr_assert(chanserv_range_source(feed, &not_open));
    chanserv_source_keep(open);
    read_some(open);
    said("a0 b1 ");
    chanserv_feed_close(feed);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.closed, CS_EPEER);
    cr_assert_eq(t.ended, 1, "the one that was not opened");
    cr_assert_eq(t.why, CS_ECANCELED);
    t.script = "ab!";
    chanserv_outlet_wake(t.outlet);
    read_some(open);
    said("(the data are damaged) ");
    chanserv_source_close(open);
}

Test(relay, announcements_that_have_no_room_wait)
{
    chanserv_source *source;
    chanserv_feed *feed;
    char header[16];
    int n = 0;

    down();
    up_with(&(struct chanserv_server_options){.post_sources_max = 2});
    feed = post_to(t.client, "play", "9");
    for (; chanserv_range_source(feed, &source); n++) {
        snprintf(header, sizeof header, "h%d", n);
        cr_assert(cs_same(chanserv_source_header(source), cs_str(header)));
        read_some(source);
        said("a0 b1 c2 (ended in good order) ");
    }
    cr_assert_eq(n, 9);
    cr_assert_eq(chanserv_feed_status(feed), CS_DONE);
}

Test(relay, a_source_that_waits_for_room_is_let_go_with_its_post)
{
    chanserv_source *source;
    chanserv_feed *feed;

    down();
    up_with(&(struct chanserv_server_options){.post_sources_max = 2});
    feed = post_to(t.client, "play", "9.");
    cr_assert(chanserv_range_source(feed, &source));
    chanserv_feed_close(feed);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ended, 9);
    cr_assert_eq(t.closed, CS_EPEER);
}

static cs_err relay_wrongly(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {0};
    static const struct chanserv_feed_ops feed_ops = {0};
    chanserv_feed *feed = post_to(t.between, "play", "1");
    cs_err err;

    (void)user;
    if (cs_same(body, cs_str("kept")))
        cr_assert_eq(chanserv_post_keep(post, &ops, NULL), CS_OK);
    else
        cr_assert_eq(chanserv_feed_start(feed, &feed_ops, NULL), CS_OK);
    err = chanserv_relay_feed(post, feed);
    cr_assert_eq(err, CS_EMISUSE);
    chanserv_feed_close(feed);
    return chanserv_post_fail(post, CS_EPRECOND, "refused");
}

Test(relay, a_post_that_is_kept_or_a_feed_that_is_started_is_refused)
{
    cr_assert_eq(chanserv_serve(t.here, "wrongly", relay_wrongly, NULL), CS_OK);
    chanserv_feed *kept = post_to(t.client, "wrongly", "kept");
    chanserv_feed *started = post_to(t.client, "wrongly", "started");
    chanserv_source *source;
    cr_assert_not(chanserv_range_source(kept, &source));
    cr_assert_not(chanserv_range_source(started, &source));
    cr_assert_eq(chanserv_feed_status(kept), CS_EPRECOND);
    cr_assert_eq(chanserv_feed_status(started), CS_EPRECOND);
}

/* ---- A source ------------------------------------------------------------------------------- */

Test(relay, gaps_pass_with_their_numbers_those_at_the_end_too)
{
    t.script = "a3bc12d4";
    read_some(first(t.client, "play"));
    said("a0 <3>b4 c5 <3>d9 <4>(ended in good order) ");
}

Test(relay, a_failure_passes_with_its_words_after_the_frames_and_the_gap_before_it)
{
    chanserv_source *source = first(t.client, "play");

    t.script = "ab2!";
    read_some(source);
    said("a0 b1 <2>(the data are damaged) ");
    cr_assert(strstr(chanserv_source_errmsg(source), "the disk is gone"), "%s",
              chanserv_source_errmsg(source));
}

Test(relay, frames_that_rode_in_their_announcement_there_pass)
{
    t.script = "ab2c";
    read_some(first(t.client, "eager"));
    said("a0 b1 <2>c4 (ended in good order) ");
}

Test(relay, nobody_is_opened_there_before_ours_is)
{
    (void)first(t.client, "play");
    cs_loop_settle(t.loop);
    cr_assert_eq(t.opened, 0);
    cs_loop_advance(t.loop, 30001); /* our accept timeout, and the one there */
    cr_assert_eq(t.opened, 0);
    cr_assert_eq(t.ended, 1);
}

Test(relay, it_is_opened_there_from_where_ours_is)
{
    chanserv_source *source = first(t.client, "play"), *beyond = first(t.client, "play");

    cr_assert_eq(chanserv_source_open(source, 7), CS_OK);
    read_some(source);
    said("a7 b8 c9 (ended in good order) ");
    cr_assert_eq(t.from, 7);
    cr_assert_eq(chanserv_source_open(beyond, 101), CS_OK);
    read_some(beyond);
    said("(out of range) ");
}

Test(relay, a_reader_that_does_not_read_stops_the_producer_there_and_no_other)
{
    chanserv_feed *feed = post_to(t.client, "flood", "2");
    chanserv_source *slow, *fast;
    uint64_t asked;
    cs_bytes frame;

    cr_assert(chanserv_range_source(feed, &slow));
    cr_assert(chanserv_range_source(feed, &fast));
    cr_assert_eq(chanserv_source_open(slow, 0), CS_OK);
    cs_loop_settle(t.loop);
    asked = t.asked;
    cr_assert(asked > 8 && asked < 40, "%u frames went without being read", (unsigned)asked);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.asked, asked);
    for (int i = 0; i < 1000; i++)
        cr_assert(chanserv_range_frame(fast, &frame));
    cr_assert_leq(t.asked, asked + 1000 + 600, "%u", (unsigned)t.asked);
    for (int i = 0; i < 100; i++)
        cr_assert(chanserv_range_frame(slow, &frame));
}

Test(relay, a_reader_that_leaves_is_told_to_the_producer_there)
{
    chanserv_source *source = first(t.client, "play");

    t.script = "a.";
    read_some(source);
    said("a0 ");
    chanserv_source_close(source);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ended, 1);
    cr_assert_eq(t.why, CS_EPEER);
}

Test(relay, when_the_producer_there_gives_up_ours_ends_the_same)
{
    chanserv_source *source = first(t.client, "play");

    t.script = "a.";
    read_some(source);
    chanserv_outlet_cancel(t.outlet, CS_EABORTED);
    read_some(source);
    said("a0 (lost a race) ");
}

Test(relay, when_the_server_there_goes_ours_ends_unavailable)
{
    chanserv_source *source = first(t.client, "play");

    t.script = "a.";
    read_some(source);
    chanserv_server_free(t.there);
    t.there = NULL;
    read_some(source);
    said("a0 (unavailable for now) ");
}

Test(relay, when_the_client_between_is_freed_open_ones_and_others_end_canceled)
{
    chanserv_feed *feed = post_to(t.client, "play", "2.");
    chanserv_source *open, *waiting, *none;

    t.script = "a2b.";
    cr_assert(chanserv_range_source(feed, &open));
    cr_assert(chanserv_range_source(feed, &waiting));
    read_some(open);
    said("a0 <2>b3 ");
    chanserv_client_free(t.between);
    t.between = NULL;
    read_some(open);
    said("(canceled) ");
    cr_assert_eq(chanserv_source_open(waiting, 0), CS_OK);
    read_some(waiting);
    said("(canceled) ");
    cr_assert_not(chanserv_range_source(feed, &none));
    cr_assert_eq(chanserv_feed_status(feed), CS_ECANCELED);
}

Test(relay, one_source_comes_out_under_another_header_or_its_own)
{
    chanserv_source *source;

    ready = first(t.between, "play");
    source = first(t.client, "one");
    cr_assert(cs_same(chanserv_source_header(source), cs_str("h0")));
    read_some(source);
    said("a0 b1 c2 (ended in good order) ");
    ready = first(t.between, "play");
    t.header = "another";
    source = first(t.client, "one");
    cr_assert(cs_same(chanserv_source_header(source), cs_str("another")));
    cs_loop_settle(t.loop);
    read_some(source);
    said("a0 b1 c2 (ended in good order) ");
}

Test(relay, a_source_that_somebody_reads_already_is_misuse_and_its_state_is_let_alone)
{
    int mine = 5;

    t.script = "a.";
    ready = first(t.between, "play");
    read_some(ready);
    chanserv_source_set_state(ready, &mine);
    chanserv_source *source = first(t.client, "one");
    read_some(source);
    said("a0 (internal error) ");
    cr_assert(strstr(chanserv_source_errmsg(source), "is open already"), "%s",
              chanserv_source_errmsg(source));
    cr_assert_eq(mine, 5);
}

Test(relay, one_that_cannot_be_announced_is_still_the_callers)
{
    down();
    up_with(&(struct chanserv_server_options){.header_max_bytes = 1});
    ready = first(t.between, "play");
    chanserv_source *source;
    cr_assert_not(chanserv_range_source(post_to(t.client, "one", "1"), &source));
    read_some(ready);
    said("a0 b1 c2 (ended in good order) ");
}

/* ---- Uplinks -------------------------------------------------------------------------------- */

Test(relay, what_our_reader_says_is_heard_there_with_its_last_word)
{
    chanserv_source *source;

    t.script = ".";
    source = first(t.client, "both");
    cr_assert(chanserv_source_has_uplink(source));
    cr_assert_eq(chanserv_source_send(source, cs_str("x"), CS_NOW), CS_OK);
    cr_assert_eq(chanserv_source_send(source, cs_str(""), CS_NOW), CS_OK);
    cr_assert_eq(chanserv_source_send(source, cs_str("y"), CS_NOW), CS_OK);
    cs_loop_settle(t.loop);
    said("x  y ");
    chanserv_source_finish(source);
    cs_loop_settle(t.loop);
    said("(ended in good order) ");
    t.script = "ab";
    chanserv_outlet_wake(t.outlet);
    read_some(source);
    said("a0 b1 (ended in good order) ");
}

Test(relay, a_producer_there_that_hears_nothing_stops_our_reader_and_nothing_is_lost)
{
    static char large[LARGE];
    chanserv_source *source;
    unsigned n = 0, heard = 0;

    t.script = ".";
    t.deaf = true;
    memset(large, 'x', sizeof large);
    source = first(t.client, "both");
    while (chanserv_source_send(source, cs_bytes_of(large, sizeof large), CS_NOW) == CS_OK) {
        cs_loop_settle(t.loop);
        cr_assert_lt(++n, 60);
    }
    cr_assert_gt(n, 8);
    t.deaf = false;
    hear(t.outlet, NULL);
    cs_loop_settle(t.loop);
    for (const char *at = t.said; *at; at++)
        heard += *at == 'x';
    cr_assert_eq(heard, n, "%u of %u", heard, n);
    cr_assert_eq(chanserv_source_send(source, cs_str("z"), CS_NOW), CS_OK);
}

Test(relay, our_reader_may_leave_while_it_is_stopped)
{
    static const char large[LARGE];
    chanserv_source *source;

    t.script = ".";
    t.deaf = true;
    source = first(t.client, "both");
    while (chanserv_source_send(source, cs_bytes_of(large, sizeof large), CS_NOW) == CS_OK)
        cs_loop_settle(t.loop);
    chanserv_source_close(source);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.ended, 1);
    cr_assert_eq(t.why, CS_EPEER);
}

Test(relay, a_frame_too_large_for_the_way_there_ends_ours)
{
    chanserv_source *source;
    struct chanserv_client_options small = {.frame_max_bytes = 100};

    t.script = ".";
    chanserv_client_free(t.between);
    cr_assert_eq(chanserv_client_new(t.loop, &small, &t.between), CS_OK);
    cr_assert_eq(chanserv_join_local(t.between, t.there), CS_OK);
    source = first(t.client, "both");
    static const char large[101];
    cr_assert_eq(chanserv_source_send(source, cs_bytes_of(large, 101), CS_NOW), CS_OK);
    read_some(source);
    said("(a limit is reached) ");
}

/* Our client cannot send a gap; any gRPC client can. */
Test(relay, a_gap_in_what_is_sent_up_ends_it)
{
    const uint8_t gap[] = {0x12, 0x04, 0x12, 0x02, 0x08, 0x03}, x[] = {0x12, 0x03, 0x0a, 0x01, 'x'};
    struct wire_open open = {.from = 0};
    struct raw_call *post, *talk;
    uint8_t *msg;
    size_t len;

    down();
    raw_up(NULL);
    t.loop = raw.loop;
    t.script = ".";
    cr_assert_eq(chanserv_server_new(raw.loop, NULL, &t.there), CS_OK);
    cr_assert_eq(chanserv_client_new(raw.loop, NULL, &t.between), CS_OK);
    cr_assert_eq(chanserv_join_local(t.between, t.there), CS_OK);
    t.here = raw.server;
    serve_there("both", &both_ops);
    post = raw_post("both", "1");
    open.ticket = cs_bytes_of(post->tickets[0], 32);
    talk = raw_begin("/chanserv.v1.Chanserv/Talk", RAW_FRAMES, 0);
    cr_assert_eq(wire_up_open_pack(&open, &msg, &len), CS_OK);
    raw_send(talk, msg, len, false);
    cs_free(msg);
    raw_send(talk, x, sizeof x, false);
    raw_send(talk, gap, sizeof gap, false);
    cs_loop_settle(raw.loop);
    said("x ");
    raw_runs(talk);
    raw_send(talk, x, sizeof x, false);
    cs_loop_settle(raw.loop);
    raw_ended(talk, CS_ENOTSUP, "", "cannot be relayed");
    chanserv_client_free(t.between);
    chanserv_server_free(t.there);
    raw_down();
    up();
}

/* Says back what it hears. */
static cs_err echo(chanserv_outlet *o, cs_ref *frame, void *state)
{
    (void)state;
    return chanserv_outlet_recv_ref(o, frame);
}

static void wake_echo(chanserv_outlet *o, void *state)
{
    (void)state;
    chanserv_outlet_wake(o);
}

static const struct chanserv_outlet_ops echo_ops = {
    .next_ref = echo, .readable = wake_echo, .uplink = true};

Test(relay, frames_in_parts_pass_both_ways_with_their_numbers)
{
    enum { HUGE_FRAME = (5 << 20) / 2 };
    char *huge = malloc(HUGE_FRAME);
    chanserv_source *source;
    cs_bytes frame;

    serve_there("echo", &echo_ops);
    for (size_t i = 0; i < HUGE_FRAME; i++)
        huge[i] = (char)(i * 7 + i / 1000);
    source = first(t.client, "echo");
    cr_assert_eq(chanserv_source_send(source, cs_bytes_of(huge, HUGE_FRAME), CS_FOREVER), CS_OK);
    cr_assert_eq(chanserv_source_send(source, cs_str("x"), CS_FOREVER), CS_OK);
    chanserv_source_finish(source);
    cr_assert(chanserv_range_frame(source, &frame));
    cr_assert(cs_same(frame, cs_bytes_of(huge, HUGE_FRAME)));
    cr_assert_eq(chanserv_source_seq(source), 2);
    read_some(source);
    said("x3 (ended in good order) ");
    free(huge);
}

/* ---- Without memory ------------------------------------------------------------------------- */

static void converse(void)
{
    chanserv_feed *feed;
    chanserv_source *source;
    cs_bytes frame;
    unsigned n = 0;

    if (chanserv_lookup_and_post(t.client, "both", cs_str("2"), NULL, &feed) != CS_OK)
        return;
    while (chanserv_range_source(feed, &source)) {
        bool sent = chanserv_source_send(source, cs_str("x"), CS_NOW) == CS_OK;

        chanserv_source_finish(source);
        for (n = 0; chanserv_range_frame(source, &frame);)
            n += 1 + (unsigned)chanserv_source_gap(source);
        n += (unsigned)chanserv_source_gap(source);
        if (chanserv_source_status(source) != CS_DONE)
            continue;
        cr_assert_eq(n, 6, "%u of 6, and a good end", n);
        cr_assert(sent || failing_failed());
        t.whole++;
    }
}

static void story(void)
{
    memset(&t, 0, sizeof t);
    t.script = "a2bc1";
    if (cs_loop_new_virtual(&t.loop) == CS_OK &&
        chanserv_server_new(t.loop, NULL, &t.there) == CS_OK &&
        chanserv_server_new(t.loop, NULL, &t.here) == CS_OK &&
        chanserv_client_new(t.loop, NULL, &t.between) == CS_OK &&
        chanserv_join_local(t.between, t.there) == CS_OK &&
        chanserv_client_new(t.loop, NULL, &t.client) == CS_OK &&
        chanserv_join_local(t.client, t.here) == CS_OK &&
        chanserv_serve(t.there, "both", announce, (void *)(uintptr_t)&both_ops) == CS_OK &&
        chanserv_serve(t.here, "both", relay, (void *)(uintptr_t) "both") == CS_OK)
        converse();
    chanserv_client_free(t.client);
    chanserv_server_free(t.here);
    chanserv_client_free(t.between);
    chanserv_server_free(t.there);
    if (t.loop)
        cs_loop_free(t.loop);
    cr_assert_leq(t.opened, t.ended);
}

Test(relay_memory, no_allocation_that_fails_loses_a_frame_in_silence, .timeout = 120)
{
    cr_assert_gt(failing_story(story), 80);
    cr_assert_eq(t.whole, 2, "the last telling was the whole one");
}
