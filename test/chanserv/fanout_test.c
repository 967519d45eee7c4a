/* One publisher and any number of readers: places, policies, history, and what it costs. */
#include "chanserv/chanserv.h"

#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Four of these fill a reader's window and its stream's queue, and not ten. */
enum { LARGE = 32 << 10 };

static struct {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_fanout *fanout;
    char said[4000]; /* what a reader saw */
    unsigned writable;
    size_t alive; /* frames whose memory is there */
    size_t part;  /* the server's part_bytes */
} t;

static cs_err subscribe(chanserv_post *post, cs_bytes body, void *user)
{
    cs_err err = chanserv_fanout_announce(t.fanout, post, body);

    (void)user;
    return err == CS_OK ? CS_DONE : err;
}

static void up_parts(const struct chanserv_fanout_options *options, size_t part)
{
    struct chanserv_server_options server = {.part_bytes = (int64_t)part};

    memset(&t, 0, sizeof t);
    t.part = part;
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    cr_assert_eq(chanserv_server_new(t.loop, &server, &t.server), CS_OK);
    cr_assert_eq(chanserv_serve(t.server, "prices", subscribe, NULL), CS_OK);
    cr_assert_eq(chanserv_client_new(t.loop, NULL, &t.client), CS_OK);
    cr_assert_eq(chanserv_join_local(t.client, t.server), CS_OK);
    cr_assert_eq(chanserv_fanout_new(t.loop, options, &t.fanout), CS_OK);
}

static void up(const struct chanserv_fanout_options *options)
{
    up_parts(options, 1 << 20);
}

static void down(void)
{
    chanserv_client_free(t.client);
    chanserv_server_free(t.server);
    chanserv_fanout_free(t.fanout);
    cs_loop_free(t.loop);
    cr_assert_eq(t.alive, 0, "%zu frames are still held", t.alive);
}

/* ---- Publishing ----------------------------------------------------------------------------- */

static void released(void *user)
{
    t.alive--;
    free(user);
}

/* A frame that says its number, and is `len` long. */
static cs_ref frame_of(size_t len)
{
    char *text = calloc(1, len);
    cs_ref ref;

    snprintf(text, len, "%llu", (unsigned long long)chanserv_fanout_next_number(t.fanout));
    cr_assert_eq(cs_ref_wrap(cs_bytes_of(text, len), released, text, &ref), CS_OK);
    t.alive++;
    return ref;
}

static cs_err publish(size_t len)
{
    cs_ref frame = frame_of(len);
    cs_err err = chanserv_fanout_publish(t.fanout, &frame);

    cr_assert_eq(frame.block == NULL, err == CS_OK, "moved when it was taken, and only then");
    cs_ref_drop(&frame);
    return err;
}

static void publish_many(size_t n, size_t len)
{
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(publish(len), CS_OK);
    cs_loop_settle(t.loop);
}

/* ---- Reading -------------------------------------------------------------------------------- */

static chanserv_source *source(void)
{
    chanserv_feed *feed;
    chanserv_source *got = NULL;

    cr_assert_eq(chanserv_lookup_and_post(t.client, "prices", cs_str("h"), NULL, &feed), CS_OK);
    cr_assert(chanserv_range_source(feed, &got));
    return got;
}

static chanserv_source *reader_from(uint64_t from)
{
    chanserv_source *got = source();

    cr_assert_eq(chanserv_source_open(got, from), CS_OK);
    cs_loop_settle(t.loop);
    return got;
}

static chanserv_source *reader(void)
{
    return reader_from(0);
}

static void say(const char *format, ...) CS_PRINTF(1, 2);
static void say(const char *format, ...)
{
    size_t len = strlen(t.said);
    va_list args;

    va_start(args, format);
    vsnprintf(t.said + len, sizeof t.said - len, format, args);
    va_end(args);
}

/* All there is: "<2>5 6 " are two left out, and the frames 5 and 6; "(...)" is the end. */
static const char *read_all(chanserv_source *from)
{
    cs_bytes frame;
    cs_err err;

    t.said[0] = '\0';
    cs_loop_settle(t.loop);
    while ((err = chanserv_source_recv(from, &frame)) == CS_OK) {
        if (chanserv_source_gap(from))
            say("<%llu>", (unsigned long long)chanserv_source_gap(from));
        say("%s ", (const char *)frame.base);
        cr_assert_eq(chanserv_source_seq(from),
                     strtoull(frame.base, NULL, 10) + (frame.len - 1) / t.part);
        cs_loop_settle(t.loop);
    }
    if (err == CS_AGAIN)
        return t.said;
    if (chanserv_source_gap(from))
        say("<%llu>", (unsigned long long)chanserv_source_gap(from));
    say("(%s)", cs_strerror(err));
    return t.said;
}

static void reads(chanserv_source *from, const char *expected)
{
    cr_assert_str_eq(read_all(from), expected);
}

/* ---- Every reader its own place ------------------------------------------------------------- */

Test(fanout, every_reader_gets_every_frame_and_all_share_one)
{
    up(NULL);
    chanserv_source *a = reader(), *b = reader();
    cr_assert_eq(chanserv_fanout_readers(t.fanout), 2);
    publish_many(3, 8);
    reads(a, "0 1 2 ");
    publish_many(2, 8);
    reads(b, "0 1 2 3 4 ");
    reads(a, "3 4 ");
    cr_assert_eq(t.alive, 5, "each frame is kept, and once");
    chanserv_source_close(a);
    cs_loop_settle(t.loop);
    cr_assert_eq(chanserv_fanout_readers(t.fanout), 1);
    down();
}

Test(fanout, a_newcomer_begins_with_the_next_frame_and_sees_how_many_there_were)
{
    up(NULL);
    publish_many(5, 8);
    chanserv_source *a = reader();
    reads(a, "");
    publish_many(1, 8);
    reads(a, "<5>5 ");
    down();
}

Test(fanout, an_announced_reader_has_its_place_when_it_is_opened)
{
    up(NULL);
    chanserv_source *a = source();
    publish_many(3, 8);
    cr_assert_eq(chanserv_fanout_readers(t.fanout), 0);
    cr_assert_eq(chanserv_source_open(a, 0), CS_OK);
    cs_loop_settle(t.loop);
    publish_many(1, 8);
    reads(a, "<3>3 ");
    down();
}

Test(fanout, a_newcomer_gets_as_much_history_as_is_wanted_and_kept)
{
    up(&(struct chanserv_fanout_options){.history = 3, .frames = 4});
    publish_many(2, 8);
    reads(reader(), "0 1 ");
    publish_many(8, 8);
    reads(reader(), "<7>7 8 9 ");
    down();

    up(&(struct chanserv_fanout_options){.history = 100, .frames = 4});
    publish_many(10, 8);
    reads(reader(), "<6>6 7 8 9 ");
    down();
}

Test(fanout, a_reader_comes_back_to_where_it_was)
{
    up(&(struct chanserv_fanout_options){.frames = 4});
    publish_many(10, 8);
    reads(reader_from(7), "7 8 9 ");
    reads(reader_from(6), "6 7 8 9 ");
    chanserv_source *next = reader_from(10);
    reads(next, "");
    publish_many(1, 8);
    reads(next, "10 ");
    down();
}

Test(fanout, what_is_not_kept_or_not_there_yet_is_refused)
{
    up(&(struct chanserv_fanout_options){.frames = 4});
    publish_many(10, 8);
    chanserv_source *old = reader_from(5), *future = reader_from(11);
    reads(old, "(out of range)");
    cr_assert(strstr(chanserv_source_errmsg(old), "frame 5 is not kept: there are 6 to 10"), "%s",
              chanserv_source_errmsg(old));
    reads(future, "(out of range)");
    cr_assert_eq(chanserv_fanout_readers(t.fanout), 0);
    down();
}

Test(fanout, a_frame_in_parts_has_a_number_for_each)
{
    up_parts(&(struct chanserv_fanout_options){.frames = 4, .part_bytes = 1000}, 1000);
    publish_many(1, 2500); /* 0 1 2 */
    publish_many(1, 8);
    publish_many(1, 1000);
    publish_many(1, 1001); /* 5 6 */
    cr_assert_eq(chanserv_fanout_next_number(t.fanout), 7);
    reads(reader_from(3), "3 4 5 ");
    reads(reader_from(5), "5 ");
    reads(reader_from(7), "");
    reads(reader_from(1), "(out of range)");
    reads(reader_from(6), "(out of range)");
    reads(reader_from(8), "(out of range)");
    chanserv_source *slow = reader();
    publish_many(6, 2500); /* in one turn: two of them fall out */
    reads(slow, "<13>13 16 19 22 ");
    down();
}

Test(fanout, a_server_that_cuts_otherwise_ends_its_readers_before_their_numbers_are_wrong)
{
    up_parts(NULL, 1000);
    chanserv_source *a = reader();
    publish_many(1, 1000);
    publish_many(1, 1001);
    reads(a, "0 1 (internal error)");
    cr_assert(strstr(chanserv_source_errmsg(a), "other parts"), "%s", chanserv_source_errmsg(a));
    down();
}

/* ---- Slow readers --------------------------------------------------------------------------- */

/* One that has read nothing, and has no room. */
static chanserv_source *slow_reader(void)
{
    chanserv_source *slow = reader();

    for (int i = 0; i < 10; i++)
        publish_many(1, LARGE);
    return slow;
}

/* How many frames it sees before the first gap: its window and queue. */
static unsigned before_the_gap(const char *said, const char **rest)
{
    unsigned n = 0;
    char number[16];

    for (;; n++) {
        snprintf(number, sizeof number, "%u ", n);
        if (strncmp(said, number, strlen(number)) != 0)
            break;
        said += strlen(number);
    }
    *rest = said;
    cr_assert(n >= 1 && n < 10, "%u frames went to a reader that does not read", n);
    return n;
}

static void sees_after_some(chanserv_source *slow, uint64_t next, const char *frames)
{
    char expected[100];
    const char *rest;
    unsigned n = before_the_gap(read_all(slow), &rest);

    snprintf(expected, sizeof expected, "<%llu>%s", (unsigned long long)next - n, frames);
    cr_assert_str_eq(rest, expected);
}

Test(fanout, skip_goes_on_at_the_oldest_frame_kept)
{
    up(&(struct chanserv_fanout_options){.frames = 4});
    chanserv_source *slow = slow_reader(), *fast = reader();
    publish_many(90, 8);
    reads(fast, "<96>96 97 98 99 "); /* ninety in one turn are more than the ring has */
    sees_after_some(slow, 96, "96 97 98 99 ");
    publish_many(1, 8);
    reads(slow, "100 ");
    down();
}

Test(fanout, latest_goes_on_at_the_newest)
{
    up(&(struct chanserv_fanout_options){.frames = 4, .slow = CHANSERV_SLOW_LATEST});
    chanserv_source *slow = slow_reader();
    publish_many(90, 8);
    sees_after_some(slow, 99, "99 ");
    publish_many(1, 8);
    reads(slow, "100 ");
    down();
}

Test(fanout, cut_ends_it_and_nobody_else)
{
    const char *rest;

    up(&(struct chanserv_fanout_options){.frames = 4, .slow = CHANSERV_SLOW_CUT});
    chanserv_source *slow = slow_reader(), *fast = reader();
    publish_many(4, 8);
    before_the_gap(read_all(slow), &rest);
    cr_assert_str_eq(rest, "(out of range)");
    cr_assert(strstr(chanserv_source_errmsg(slow), "too slow: frame"), "%s",
              chanserv_source_errmsg(slow));
    reads(fast, "<10>10 11 12 13 ");
    cr_assert_eq(chanserv_fanout_readers(t.fanout), 1);
    down();
}

Test(fanout, a_reader_as_far_behind_as_the_ring_is_long_misses_nothing)
{
    up(&(struct chanserv_fanout_options){.frames = 4, .slow = CHANSERV_SLOW_CUT});
    chanserv_source *a = reader();
    for (int i = 0; i < 20; i++)
        publish_many(4, 8);
    cr_assert(strstr(read_all(a), "77 78 79 "), "%s", t.said);
    cr_assert_not(strchr(t.said, '<'));
    down();
}

/* ---- Waiting for the slowest ---------------------------------------------------------------- */

static void on_writable(chanserv_fanout *fanout, void *user)
{
    cr_assert_eq(fanout, t.fanout);
    cr_assert_eq(user, &t);
    t.writable++;
}

static const struct chanserv_fanout_options patient = {
    .frames = 4, .slow = CHANSERV_SLOW_WAIT, .writable = on_writable, .user = &t};

Test(fanout, wait_stops_the_publisher_until_the_slowest_has_moved)
{
    cs_bytes frame;
    unsigned published = 0;
    char last[16];

    up(&patient);
    chanserv_source *slow = reader(), *fast = reader();
    while (publish(LARGE) == CS_OK) {
        cr_assert_lt(++published, 30, "nobody waits");
        cs_loop_settle(t.loop);
    }
    cr_assert(published > 4 && published < 15, "%u went before it had to wait", published);
    cr_assert_eq(publish(8), CS_AGAIN);
    (void)read_all(fast);
    cr_assert_eq(t.writable, 0, "the fast one does not matter");
    for (unsigned i = 0; i < published && t.writable == 0; i++) {
        cr_assert_eq(publish(LARGE), CS_AGAIN);
        cr_assert_eq(chanserv_source_recv(slow, &frame), CS_OK);
        cs_loop_settle(t.loop);
    }
    cr_assert_eq(t.writable, 1, "told once");
    cr_assert_eq(publish(LARGE), CS_OK);
    snprintf(last, sizeof last, "%u ", published);
    reads(fast, last);
    (void)read_all(slow);
    cr_assert_not(strchr(t.said, '<'), "nobody missed anything");
    cr_assert_str_eq(t.said + strlen(t.said) - strlen(last), last);
    down();
}

/* Until publish() waits. */
static void fill(void)
{
    for (int n = 0; publish(LARGE) == CS_OK; n++) {
        cr_assert_lt(n, 30, "nobody waits");
        cs_loop_settle(t.loop);
    }
}

Test(fanout, a_slow_reader_that_leaves_lets_the_publisher_go_on)
{
    up(&patient);
    chanserv_source *slow = reader();
    fill();
    chanserv_source_close(slow);
    cr_assert_eq(t.writable, 0, "never inside a call");
    cs_loop_settle(t.loop);
    cr_assert_eq(t.writable, 1);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(publish(8), CS_OK, "without readers nobody is waited for");
    down();
}

Test(fanout, a_frame_that_needs_the_whole_ring_waits_for_all_of_it)
{
    unsigned told = 0;

    up(&(struct chanserv_fanout_options){
        .bytes = 200000, .slow = CHANSERV_SLOW_WAIT, .writable = on_writable, .user = &t});
    chanserv_source *slow = reader();
    fill();
    for (int i = 0; publish(200000) == CS_AGAIN; i++) {
        cs_bytes frame;
        cr_assert_lt(i, 30);
        cr_assert_eq(chanserv_source_recv(slow, &frame), CS_OK);
        cs_loop_settle(t.loop);
        told += t.writable;
        t.writable = 0;
    }
    cr_assert_gt(told, 1, "the frames went one by one, and each time it was worth a try");
    down();
}

Test(fanout, a_small_frame_that_passes_meanwhile_does_not_lose_the_word)
{
    cs_bytes frame;

    up(&(struct chanserv_fanout_options){
        .bytes = 200000, .slow = CHANSERV_SLOW_WAIT, .writable = on_writable, .user = &t});
    chanserv_source *slow = reader();
    fill();
    while (t.writable == 0) { /* it leaves the oldest place */
        cr_assert_eq(chanserv_source_recv(slow, &frame), CS_OK);
        cs_loop_settle(t.loop);
    }
    t.writable = 0;
    cr_assert_eq(publish(150000), CS_AGAIN);
    cr_assert_eq(publish(8), CS_OK);
    (void)read_all(slow);
    cr_assert_eq(t.writable, 1, "told %u times", t.writable);
    down();
}

/* ---- What it costs -------------------------------------------------------------------------- */

Test(fanout, the_ring_is_bounded_in_frames)
{
    up(&(struct chanserv_fanout_options){.frames = 7});
    publish_many(100, 8);
    cr_assert_eq(t.alive, 7);
    down();
}

Test(fanout, the_ring_is_bounded_in_bytes_and_empty_frames_count_too)
{
    up(&(struct chanserv_fanout_options){.bytes = 10000});
    publish_many(100, 936); /* 1,000 with its place */
    cr_assert_eq(t.alive, 10);
    publish_many(1, 1937); /* one byte more than two of them leave */
    cr_assert_eq(t.alive, 8);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(chanserv_fanout_publish(t.fanout, &(cs_ref){{NULL, 0}, NULL}), CS_OK);
    cr_assert_eq(t.alive, 0);
    chanserv_source *a = reader_from(chanserv_fanout_next_number(t.fanout) - 156);
    cr_assert_eq(chanserv_source_status(a), CS_AGAIN);
    chanserv_source *b = reader_from(chanserv_fanout_next_number(t.fanout) - 157);
    reads(b, "(out of range)");
    down();
}

Test(fanout, without_options_a_mebibyte_is_kept_and_parts_are_as_long)
{
    up(NULL);
    publish_many(2000, 936);
    cr_assert_eq(t.alive, (1 << 20) / 1000);
    publish_many(1, 1 << 20);
    cr_assert_eq(chanserv_fanout_next_number(t.fanout), 2001);
    publish_many(1, (1 << 20) + 1);
    cr_assert_eq(chanserv_fanout_next_number(t.fanout), 2003);
    down();
}

Test(fanout, bytes_that_belong_to_somebody_else_are_copied)
{
    char text[] = "0";
    cs_ref frame = {cs_bytes_of(text, sizeof text), NULL};

    up(&(struct chanserv_fanout_options){.history = 1});
    cr_assert_eq(chanserv_fanout_publish(t.fanout, &frame), CS_OK);
    cr_assert_null(frame.bytes.base);
    text[0] = 'x';
    reads(reader(), "0 ");
    down();
}

Test(fanout, the_newest_frame_is_kept_however_large_it_is)
{
    up(&(struct chanserv_fanout_options){.bytes = 100, .history = 1});
    publish_many(3, 8);
    publish_many(1, 5000);
    cr_assert_eq(t.alive, 1);
    reads(reader(), "<3>3 ");
    down();
}

static unsigned readables;

static void count_readable(chanserv_source *from, void *state)
{
    cs_bytes frame;

    readables++;
    while (chanserv_source_recv(from, &frame) == CS_OK)
        ++*(int *)state;
}

Test(fanout, readers_are_woken_once_a_turn)
{
    static const struct chanserv_source_ops ops = {.readable = count_readable};
    int frames = 0;

    up(NULL);
    chanserv_source *a = source();
    cr_assert_eq(chanserv_source_start(a, &ops, &frames), CS_OK);
    cs_loop_settle(t.loop);
    readables = 0;
    publish_many(100, 8);
    cr_assert_eq(frames, 100);
    cr_assert_eq(readables, 1, "%u wake-ups for one turn", readables);
    down();
}

/* Each of these may hold its window and no more, and all of them together one ring. */
Test(fanout, ten_thousand_readers_that_never_read_hold_one_ring, .timeout = 120)
{
    enum { READERS = 10000, FRAME = 8 << 10, RING = 1 << 20 };
    struct chanserv_client_options options = {.net = {.window_bytes = 16 << 10}};
    size_t before, after;

    failing_count();
    up(NULL);
    chanserv_client_free(t.client);
    cr_assert_eq(chanserv_client_new(t.loop, &options, &t.client), CS_OK);
    cr_assert_eq(chanserv_join_local(t.client, t.server), CS_OK);
    for (int i = 0; i < READERS; i++)
        (void)reader();
    cr_assert_eq(chanserv_fanout_readers(t.fanout), READERS);
    publish_many(20, FRAME); /* every window is full */
    before = failing_live_bytes();
    publish_many(1000, FRAME);
    after = failing_live_bytes();
    cr_assert_leq(after, before + RING, "%zu bytes more", after - before);
    cr_assert_leq(t.alive, RING / FRAME + 20, "%zu frames are held", t.alive);
    down();
}

/* ---- Ends ----------------------------------------------------------------------------------- */

Test(fanout, finish_comes_after_what_is_kept_for_each_reader)
{
    up(&(struct chanserv_fanout_options){.frames = 4, .history = 2});
    chanserv_source *slow = slow_reader(), *fast = reader();
    (void)read_all(fast);
    publish_many(2, 8);
    chanserv_fanout_finish(t.fanout, CS_OK);
    chanserv_fanout_finish(t.fanout, CS_EABORTED);
    reads(fast, "10 11 (ended in good order)");
    sees_after_some(slow, 8, "8 9 10 11 (ended in good order)");
    reads(reader(), "<10>10 11 (ended in good order)");
    cr_assert_eq(publish(8), CS_EMISUSE);
    down();
}

Test(fanout, finish_with_a_failure_is_the_status_of_all)
{
    up(NULL);
    chanserv_source *a = reader();
    publish_many(1, 8);
    chanserv_fanout_finish(t.fanout, CS_EDATALOSS);
    reads(a, "0 (the data are damaged)");
    down();
}

Test(fanout, free_ends_readers_opened_or_not)
{
    chanserv_feed *feed;

    up(NULL);
    chanserv_source *open = reader(), *waiting = source();
    publish_many(1, 8);
    cr_assert_eq(chanserv_lookup_and_post(t.client, "prices", cs_str(""), NULL, &feed), CS_OK);
    chanserv_fanout_free(t.fanout);
    cr_assert_eq(t.alive, 0);
    t.fanout = NULL;
    chanserv_unserve(t.server, "prices");
    reads(open, "0 (canceled)"); /* what had arrived is the reader's */
    cr_assert_eq(chanserv_source_open(waiting, 0), CS_OK);
    reads(waiting, "(canceled)");
    down();
}

static void free_it(chanserv_fanout *fanout, void *user)
{
    (void)user;
    t.writable++;
    chanserv_fanout_free(fanout);
    t.fanout = NULL;
}

Test(fanout, it_may_be_freed_in_writable)
{
    up(&(struct chanserv_fanout_options){
        .frames = 4, .slow = CHANSERV_SLOW_WAIT, .writable = free_it});
    chanserv_source *slow = reader();
    fill();
    (void)read_all(slow);
    cr_assert_eq(t.writable, 1);
    cr_assert_null(t.fanout);
    down();
}

Test(fanout, options_without_a_bound_or_without_sense_are_refused)
{
    chanserv_fanout *f;

    up(NULL);
    cr_assert_eq(
        chanserv_fanout_new(t.loop, &(struct chanserv_fanout_options){.bytes = CS_OFF}, &f),
        CS_EMISUSE);
    cr_assert_eq(chanserv_fanout_new(t.loop, &(struct chanserv_fanout_options){.slow = 4}, &f),
                 CS_EMISUSE);
    cr_assert_eq(chanserv_fanout_new(
                     t.loop, &(struct chanserv_fanout_options){.reserved = {0, 0, 0, 1}}, &f),
                 CS_EMISUSE);
    cr_assert_eq(chanserv_fanout_new(
                     t.loop, &(struct chanserv_fanout_options){.bytes = CS_OFF, .frames = 1}, &f),
                 CS_OK);
    chanserv_fanout_free(f);
    chanserv_fanout_free(NULL);
    down();
}

Test(fanout, a_post_of_another_loop_is_refused)
{
    cs_loop *other;
    chanserv_fanout *mine;
    chanserv_feed *feed;

    up(NULL);
    cr_assert_eq(cs_loop_new_virtual(&other), CS_OK);
    mine = t.fanout;
    cr_assert_eq(chanserv_fanout_new(other, NULL, &t.fanout), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(t.client, "prices", cs_str(""), NULL, &feed), CS_OK);
    cs_loop_settle(t.loop);
    chanserv_source *got;
    cr_assert_eq(chanserv_feed_recv(feed, &got), CS_EINTERNAL);
    chanserv_fanout_free(t.fanout);
    t.fanout = mine;
    cs_loop_free(other);
    down();
}

/* ---- Without memory ------------------------------------------------------------------------- */

static struct {
    cs_loop *loop;
    chanserv_fanout *fanout;
    unsigned published, missed, got, lost;
    cs_err status;
} m;

static cs_err subscribe_m(chanserv_post *post, cs_bytes body, void *user)
{
    cs_err err = chanserv_fanout_announce(m.fanout, post, body);

    (void)user;
    return err == CS_OK ? CS_DONE : err;
}

static void follow(chanserv_client *client)
{
    chanserv_source *prices;
    chanserv_feed *feed;
    cs_bytes frame;
    cs_ref ref;

    if (chanserv_lookup_and_post(client, "prices", cs_str("h"), NULL, &feed) != CS_OK ||
        !chanserv_range_source(feed, &prices) || chanserv_source_open(prices, 0) != CS_OK)
        return;
    cs_loop_settle(m.loop);
    for (int i = 0; i < 40; i++) {
        if (cs_ref_copy(cs_str("price"), &ref) != CS_OK) {
            m.missed++;
            continue;
        }
        if (chanserv_fanout_publish(m.fanout, &ref) == CS_OK)
            m.published++;
        else
            m.missed++;
        cs_ref_drop(&ref);
    }
    chanserv_fanout_finish(m.fanout, CS_DONE);
    while (chanserv_range_frame(prices, &frame)) {
        m.got++;
        m.lost += (unsigned)chanserv_source_gap(prices);
    }
    m.lost += (unsigned)chanserv_source_gap(prices);
    m.status = chanserv_source_status(prices);
    cr_assert(m.status != CS_DONE || m.got + m.lost == m.published, "%u and %u of %u", m.got,
              m.lost, m.published);
}

static void nothing(chanserv_fanout *fanout, void *user)
{
    (void)fanout, (void)user;
}

static void story(void)
{
    chanserv_server *server = NULL;
    chanserv_client *client = NULL;

    memset(&m, 0, sizeof m);
    m.status = CS_AGAIN;
    if (cs_loop_new_virtual(&m.loop) == CS_OK &&
        chanserv_fanout_new(m.loop,
                            &(struct chanserv_fanout_options){.frames = 30, .writable = nothing},
                            &m.fanout) == CS_OK &&
        chanserv_server_new(m.loop, NULL, &server) == CS_OK &&
        chanserv_serve(server, "prices", subscribe_m, NULL) == CS_OK &&
        chanserv_client_new(m.loop, NULL, &client) == CS_OK &&
        chanserv_join_local(client, server) == CS_OK)
        follow(client);
    chanserv_client_free(client);
    chanserv_server_free(server);
    chanserv_fanout_free(m.fanout);
    if (m.loop)
        cs_loop_free(m.loop);
}

Test(fanout_memory, no_allocation_that_fails_loses_a_frame_in_silence, .timeout = 120)
{
    cr_assert_gt(failing_story(story), 40);
    cr_assert(m.status == CS_DONE && m.got == 30 && m.lost == 10 && m.missed == 0,
              "the last telling was the whole one");
}
