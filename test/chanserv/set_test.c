#include "test/chanserv/fake_server.h"

#include "chanserv/client__in.h"

#include <stdio.h>

static struct fake f;
static chanserv_feed *feed;
static chanserv_set *set;

static void begin(void)
{
    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    cr_assert_eq(chanserv_set_new(f.client, &set), CS_OK);
}

static void end(void)
{
    chanserv_set_free(set);
    fake_end(&f);
}

/* The next event in a word: "S0" a source, "F" the feed's end, "0:text" a frame, "0." its end,
 * "m:text" a message, "m." the channel's end; or what select answered. */
static const char *next(int timeout_ms)
{
    static char word[64];
    struct chanserv_event ev;
    cs_err err = chanserv_select(set, timeout_ms, &ev);

    if (err != CS_OK)
        return cs_strerror(err);
    int index = ev.source ? (int)chanserv_source_index(ev.source) : 0;
    switch (ev.kind) {
    case CHANSERV_SOURCE:
        snprintf(word, sizeof word, "S%d", index);
        break;
    case CHANSERV_FEED_END:
        snprintf(word, sizeof word, "F");
        break;
    case CHANSERV_FRAME:
        snprintf(word, sizeof word, "%d:%.*s", index, CS_FMT(ev.frame));
        break;
    case CHANSERV_SOURCE_END:
        snprintf(word, sizeof word, "%d. %d", index, (int)ev.why);
        break;
    case CHANSERV_MESSAGE:
        snprintf(word, sizeof word, "m:%.*s", CS_FMT(ev.message.bytes));
        cs_ref_drop(&ev.message);
        break;
    case CHANSERV_CHAN_END:
        snprintf(word, sizeof word, "m. %d", (int)ev.why);
        break;
    }
    return word;
}

static chanserv_source *add(uint64_t seq)
{
    chanserv_source *source = fake_source(&f, feed, seq);
    cr_assert_eq(chanserv_set_add_source(set, source), CS_OK);
    cs_loop_settle(f.loop);
    return source;
}

Test(set, that_is_empty_is_done)
{
    begin();
    cr_expect_str_eq(next(CS_NOW), cs_strerror(CS_DONE));
    end();
}

Test(set, tells_sources_frames_and_ends)
{
    struct chanserv_event ev;
    begin();
    cr_assert_eq(chanserv_set_add_feed(set, feed), CS_OK);
    cr_expect_str_eq(next(CS_NOW), cs_strerror(CS_AGAIN));
    fake_announce(&f, 0);
    cr_assert_eq(chanserv_select(set, CS_NOW, &ev), CS_OK);
    cr_expect_eq(ev.kind, CHANSERV_SOURCE);
    cr_expect_eq(ev.feed, feed);
    cr_assert_eq(chanserv_set_add_source(set, ev.source), CS_OK);
    cs_loop_settle(f.loop);
    fake_frame(&f, 0, "a");
    fake_finish(&f, 0, CS_ENOENT, "gone");
    cr_expect_str_eq(next(CS_NOW), "0:a");
    cs_loop_settle(f.loop);
    cr_assert_eq(chanserv_select(set, CS_NOW, &ev), CS_OK);
    cr_expect_eq(ev.kind, CHANSERV_SOURCE_END);
    cr_expect_eq(ev.why, CS_ENOENT);
    cr_expect_str_eq(chanserv_source_errmsg(ev.source), "source 0 (h0): NOT_FOUND: gone",
                     "there until the next call");
    fake_finish_post(&f, CS_DONE, NULL);
    cr_expect_str_eq(next(CS_NOW), "F");
    cs_loop_settle(f.loop);
    cr_expect_eq(f.client->lines, 1, "the source is gone, the feed is not");
    cr_expect_str_eq(next(CS_NOW), cs_strerror(CS_DONE));
    end();
}

Test(set, lets_members_take_turns)
{
    begin();
    for (uint64_t i = 0; i < 3; i++)
        add(i);
    cr_expect_str_eq(next(CS_NOW), cs_strerror(CS_AGAIN));
    for (int i = 0; i < 3; i++)
        fake_frame(&f, 0, "x"); /* the busy one */
    fake_frame(&f, 2, "y");
    fake_frame(&f, 1, "z");
    cr_expect_str_eq(next(CS_NOW), "0:x");
    cr_expect_str_eq(next(CS_NOW), "2:y");
    cr_expect_str_eq(next(CS_NOW), "1:z");
    cr_expect_str_eq(next(CS_NOW), "0:x");
    cr_expect_str_eq(next(CS_NOW), "0:x");
    cr_expect_str_eq(next(CS_NOW), cs_strerror(CS_AGAIN));
    end();
}

Test(set, waits_as_long_as_it_is_told)
{
    begin();
    add(0);
    cr_expect_str_eq(next(250), cs_strerror(CS_AGAIN));
    cr_expect_eq(cs_loop_now_ms(f.loop), 250);
    end();
}

static void say_tick(void *user)
{
    (void)user;
    cr_assert_eq(mux_stream_send(f.opens[0].stream, cs_str("\x0a\x04tick"), cs_str("")), CS_OK);
}

Test(set, is_woken_while_it_waits)
{
    cs_timer *timer;
    begin();
    add(0);
    cr_assert_eq(cs_timer_new(f.loop, say_tick, NULL, &timer), CS_OK);
    cs_timer_set(timer, 100);
    cr_expect_str_eq(next(CS_FOREVER), "0:tick");
    cr_expect_eq(cs_loop_now_ms(f.loop), 100);
    cs_timer_set(timer, 100);
    cr_expect_str_eq(next(1000), "0:tick");
    cs_timer_free(timer);
    end();
}

Test(set, takes_channels_too)
{
    cs_chan *chan;
    begin();
    cr_assert_eq(cs_chan_new(0, &chan), CS_OK);
    cr_assert_eq(chanserv_set_add_chan(set, chan), CS_OK);
    cr_expect_str_eq(next(CS_NOW), cs_strerror(CS_AGAIN));
    cr_assert_eq(cs_chan_send(chan, cs_str("quit"), CS_NOW), CS_OK);
    cs_loop_settle(f.loop);
    cr_expect_str_eq(next(CS_NOW), "m:quit");
    cr_expect_str_eq(next(CS_NOW), cs_strerror(CS_AGAIN));
    cs_chan_close(chan, CS_ELIMIT);
    cs_chan_free(chan);
    cs_loop_settle(f.loop);
    cr_expect_str_eq(next(CS_NOW), "m. 24");
    cr_expect_str_eq(next(CS_NOW), cs_strerror(CS_DONE));
    end();
}

/* Announcements wait where they are, so whoever announces comes to wait too. */
Test(set, a_feed_that_was_taken_out_is_not_asked)
{
    begin();
    cr_assert_eq(chanserv_set_add_feed(set, feed), CS_OK);
    fake_announce(&f, 0);
    cr_expect_str_eq(next(CS_FOREVER), "S0");
    chanserv_set_remove_feed(set, feed);
    chanserv_set_remove_feed(set, feed); /* it is not there any more */
    fake_announce(&f, 1);
    cs_loop_settle(f.loop);
    cr_expect_str_eq(next(CS_NOW), cs_strerror(CS_DONE), "nothing else is in it");
    cr_assert_eq(chanserv_set_add_feed(set, feed), CS_OK);
    cr_expect_str_eq(next(CS_NOW), "S1");
    chanserv_set_remove_feed(set, feed);
    chanserv_feed_cancel(feed);
    cs_loop_settle(f.loop);
    cr_assert_eq(chanserv_set_add_feed(set, feed), CS_OK);
    cr_expect_str_eq(next(CS_NOW), "F", "its end is still to be told");
    end();
}

Test(set, is_left_by_what_is_closed)
{
    chanserv_source *source;
    begin();
    source = add(0);
    add(1);
    fake_frame(&f, 0, "never told");
    chanserv_source_close(source);
    cs_loop_settle(f.loop);
    cr_expect_str_eq(next(CS_NOW), cs_strerror(CS_AGAIN));
    chanserv_feed_close(feed);
    cr_expect_str_eq(next(CS_NOW), cs_strerror(CS_DONE));
    end();
}

Test(set, does_not_free_an_ended_source_that_was_kept_or_closed)
{
    chanserv_source *kept, *closed;
    begin();
    kept = add(0);
    closed = add(1);
    fake_finish(&f, 0, CS_DONE, NULL);
    cr_expect_str_eq(next(CS_NOW), "0. 2");
    chanserv_source_keep(kept);
    fake_finish(&f, 1, CS_DONE, NULL);
    cr_expect_str_eq(next(CS_NOW), "1. 2");
    chanserv_source_close(closed);
    cr_expect_str_eq(next(CS_NOW), cs_strerror(CS_DONE));
    cr_expect(cs_same(chanserv_source_header(kept), cs_str("h0")));
    chanserv_source_close(kept);
    end();
}

Test(set, takes_nothing_twice_and_nothing_of_another_client)
{
    static struct fake other;
    chanserv_source *source;
    begin();
    source = add(0);
    cr_expect_eq(chanserv_set_add_source(set, source), CS_EMISUSE);
    fake_begin(&other, NULL);
    cr_expect_eq(chanserv_set_add_feed(set, fake_post(&other, "x")), CS_EMISUSE);
    fake_end(&other);
    end();
}

Test(set, outlives_its_client)
{
    cs_chan *chan;
    begin();
    cr_assert_eq(cs_chan_new(0, &chan), CS_OK);
    cr_assert_eq(chanserv_set_add_chan(set, chan), CS_OK);
    add(0);
    fake_end(&f);
    cr_expect_str_eq(next(CS_FOREVER), cs_strerror(CS_DONE));
    cr_expect_eq(chanserv_set_add_chan(set, chan), CS_EMISUSE);
    cs_chan_free(chan);
    chanserv_set_free(set);
}

/* ---- The face for loops -------------------------------------------------------------------- */

static int readies;
static bool free_it;
static void on_ready(void *user)
{
    (void)user;
    readies++;
    if (free_it) {
        chanserv_set_free(set);
        set = NULL;
        return;
    }
    while (strcmp(next(CS_NOW), cs_strerror(CS_AGAIN)) != 0)
        ;
}

Test(set, calls_ready_when_select_would_have_something_again)
{
    begin();
    add(0);
    cr_expect_eq(chanserv_set_watch(set, on_ready, NULL), CS_OK);
    cs_loop_settle(f.loop);
    readies = 0;
    fake_frame(&f, 0, "a");
    fake_frame(&f, 0, "b");
    cr_expect_eq(readies, 2);
    cs_loop_settle(f.loop);
    cr_expect_eq(readies, 2);
    free_it = true;
    fake_frame(&f, 0, "c");
    cr_expect_eq(readies, 3);
    end();
}

static void free_set(void *user)
{
    (void)user;
    chanserv_set_free(set);
    set = NULL;
}

Test(set, may_be_freed_by_a_callback_while_somebody_waits_in_it)
{
    chanserv_set *waited;
    struct chanserv_event ev;
    cs_timer *timer;
    begin();
    add(0);
    waited = set;
    cr_assert_eq(cs_timer_new(f.loop, free_set, NULL, &timer), CS_OK);
    cs_timer_set(timer, 10);
    cr_expect_eq(chanserv_select(waited, CS_FOREVER, &ev), CS_ECANCELED);
    cs_timer_free(timer);
    end();
}

Test(set, serves_a_thousand_members)
{
    static chanserv_source *sources[1000];
    struct wire_frame frame = {.kind = WIRE_PAYLOAD, .payload = cs_str("x")};
    int frames = 0, ends = 0;
    const char *word;

    begin();
    for (uint64_t i = 0; i < 1000; i++) {
        const struct wire_announcement a = {
            .seq = i, .frames = &frame, .frames_len = 1, .end = {.present = true}};
        fake_announce_full(&f, &a);
        cr_assert_eq(chanserv_feed_recv(feed, &sources[i]), CS_OK);
        cr_assert_eq(chanserv_set_add_source(set, sources[i]), CS_OK);
    }
    while (strcmp(word = next(CS_NOW), cs_strerror(CS_DONE)) != 0)
        strchr(word, ':') ? frames++ : ends++;
    cr_expect_eq(frames, 1000);
    cr_expect_eq(ends, 1000);
    cs_loop_settle(f.loop);
    cr_expect_eq(f.client->lines, 1);
    end();
}
