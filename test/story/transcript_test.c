/* Transcripts: what both sides did, in which order and at which millisecond.  They are the shortest
 * description of the protocol there is. */
#include "test/story/story.h"

#include "base/trace.h"

#include <stdio.h>

static struct {
    struct story *s;
    char text[8192];
    size_t len;
} told;

static void sink(const char *line, void *user)
{
    (void)user;
    told.len += (size_t)snprintf(told.text + told.len, sizeof told.text - told.len, "[%5d] %s\n",
                                 (int)cs_loop_now_ms(told.s->loop), line);
    cr_assert_lt(told.len, sizeof told.text);
}

static struct story *begin(void)
{
    told.s = story_new(NULL, NULL);
    cs_set_trace(sink, NULL);
    return told.s;
}

static void expect(const char *text)
{
    cr_expect_str_eq(told.text, text, "it went\n%s", told.text);
    cs_set_trace(NULL, NULL);
    story_free(told.s);
}

/* Five sources, as in the README; the one that is not wanted is never opened. */
Test(transcript, a_post_is_answered_by_sources_and_a_source_by_frames)
{
    struct story *s = begin();

    for (int i = 0; i < 3; i++)
        story_plan(s, (struct plan){.frames = 2, .bytes = 10});
    story_take(s, story_post(s));
    story_wants(story_drain(s, s->sources[0]), CS_DONE);
    cs_loop_advance(s->loop, 5000);
    story_wants(story_drain(s, s->sources[2]), CS_DONE);
    cs_loop_advance(s->loop, 30000);
    expect("[    0] client > post flood\n"
           "[    0] server > post flood, 4 bytes\n"
           "[    0] server > announce #0\n"
           "[    0] server > announce #1\n"
           "[    0] server > announce #2\n"
           "[    0] server > post over: ended in good order\n"
           "[    0] client > feed over: ended in good order\n"
           "[    0] client > open #0\n"
           "[    0] server > #0 opened\n"
           "[    0] server > #0 over: done\n"
           "[    0] client > #0 over: ended in good order\n"
           "[ 5000] client > open #2\n"
           "[ 5000] server > #2 opened\n"
           "[ 5000] server > #2 over: done\n"
           "[ 5000] client > #2 over: ended in good order\n"
           "[30000] server > #1 over: accept-timeout\n");
}

Test(transcript, a_source_nobody_reads_blocks_nobody)
{
    struct story *s = begin();

    story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000});
    story_plan(s, (struct plan){.frames = 1000, .bytes = 1000});
    story_take(s, story_post_for(s, 60000));
    cr_assert_eq(chanserv_source_open(s->sources[0], 0), CS_OK);
    cs_loop_advance(s->loop, 9000);
    story_wants(story_drain(s, s->sources[1]), CS_DONE);
    cs_loop_advance(s->loop, 51000);
    story_wants(story_drain(s, s->sources[0]), CS_ETIMEOUT);
    expect("[    0] client > post flood\n"
           "[    0] server > post flood, 4 bytes\n"
           "[    0] server > announce #0\n"
           "[    0] server > announce #1\n"
           "[    0] server > post over: ended in good order\n"
           "[    0] client > feed over: ended in good order\n"
           "[    0] client > open #0\n"
           "[    0] server > #0 opened\n"
           "[ 9000] client > open #1\n"
           "[ 9000] server > #1 opened\n"
           "[ 9000] server > #1 over: done\n"
           "[ 9000] client > #1 over: ended in good order\n"
           "[60000] server > #0 over: deadline\n"
           "[60000] client > #0 over: deadline passed\n");
}

Test(transcript, a_peer_that_dies_is_found_dead_forty_seconds_later)
{
    struct story *s = begin();
    chanserv_feed *feed;
    cs_err err;

    s->answer = CS_AGAIN;
    story_plan(s, (struct plan){.frames = 2, .bytes = 5, .waits_at = 1});
    story_plan(s, (struct plan){.frames = 2, .bytes = 5, .eager = true});
    feed = story_post(s);
    story_take(s, feed);
    cr_assert_eq(story_read(s, s->sources[0], 2, &err), 1);
    story_swallow(s);
    cs_loop_advance(s->loop, 40000);
    story_wants(story_drain(s, s->sources[0]), CS_EPEER);
    story_take(s, feed);
    expect("[    0] client > post flood\n"
           "[    0] server > post flood, 4 bytes\n"
           "[    0] server > announce #0\n"
           "[    0] server > announce #1, whole\n"
           "[    0] client > open #0\n"
           "[    0] server > #0 opened\n"
           "[40000] server > post over: the peer vanished\n"
           "[40000] server > #0 over: client-left\n"
           "[40000] client > #0 over: the peer vanished\n"
           "[40000] client > feed over: the peer vanished\n");
}
