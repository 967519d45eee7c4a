/* Promise 6: nobody waits for a corpse.  Each wait has an end, and a peer that is silent but alive
 * is waited for. */
#include "test/story/story.h"

#include "chanserv/client__in.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Moves the clock, a second at a time, until the source (or feed) is over; answers the seconds. */
static int seconds_until_over(struct story *s, chanserv_source *source, chanserv_feed *feed,
                              cs_err *ret)
{
    int seconds = 0;

    for (; seconds < 7200; seconds++) {
        chanserv_source *more;
        cs_bytes frame;

        do {
            *ret = source ? chanserv_source_recv(source, &frame) : chanserv_feed_recv(feed, &more);
        } while (*ret == CS_OK);
        if (*ret != CS_AGAIN)
            return seconds;
        cs_loop_advance(s->loop, 1000);
    }
    return seconds;
}

/* ---- Dialing: real sockets, and nobody there -------------------------------------------------- */

static cs_err post_to(const char *addr, char *words, size_t len)
{
    chanserv_client *client;
    chanserv_feed *feed;
    cs_err err;

    cr_assert_eq(chanserv_client_new(NULL, NULL, &client), CS_OK);
    cr_assert_eq(chanserv_join(client, addr), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(client, "ticker", cs_str(""), NULL, &feed), CS_OK);
    err = chanserv_feed_ready(feed);
    snprintf(words, len, "%s", chanserv_feed_errmsg(feed));
    chanserv_client_free(client);
    return err;
}

/* A port that is bound and does not listen: nobody is there, and nobody else can come. */
static int deaf_port(int *ret_fd)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;

    *ret_fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_geq(*ret_fd, 0);
    cr_assert_eq(bind(*ret_fd, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(getsockname(*ret_fd, (struct sockaddr *)&at, &len), 0);
    return ntohs(at.sin_port);
}

Test(promise6, a_dial_to_nobody_says_so_with_the_first_post)
{
    char addr[64], words[256], wanted[160];
    int fd;

    snprintf(addr, sizeof addr, "127.0.0.1:%d", deaf_port(&fd));
    story_wants(post_to(addr, words, sizeof words), CS_EREFUSED);
    snprintf(wanted, sizeof wanted, "post ticker: dial %s: connection refused", addr);
    cr_expect_str_eq(words, wanted);
    close(fd);
}

/* ---- Deadlines ------------------------------------------------------------------------------- */

static void ends_after(const struct chanserv_server_options *server,
                       const struct chanserv_client_options *client, int post_ms, struct plan plan,
                       int seconds, cs_err client_why, cs_err server_why, const char *reason)
{
    struct story *s = story_new(server, client);
    cs_err err;

    s->answer = CS_AGAIN;
    story_plan(s, plan);
    story_take(s, story_post_for(s, post_ms));
    cr_assert_eq(s->sources_len, 1);
    cr_expect_eq(seconds_until_over(s, s->sources[0], NULL, &err), seconds);
    story_wants(err, client_why);
    cs_loop_settle(s->loop);
    story_ended(&s->plans[0], server_why, reason);
    story_free(s);
}

Test(promise6, a_deadline_travels_and_ends_both_sides)
{
    ends_after(NULL, NULL, 7000, (struct plan){.frames = 3, .waits_at = 1}, 7, CS_ETIMEOUT,
               CS_ETIMEOUT, "deadline");
}

Test(promise6, a_source_that_falls_silent_is_left_after_frame_timeout)
{
    const struct chanserv_client_options options = {.frame_timeout_ms = 9000};

    /* Which begins when the reader finds nothing: here a second after the opening. */
    ends_after(NULL, &options, 0, (struct plan){.frames = 3, .waits_at = 1}, 10, CS_ETIMEOUT,
               CS_EPEER, "client-left");
}

Test(promise6, serving_ends_after_serving_timeout)
{
    const struct chanserv_server_options options = {.serving_timeout_ms = 11000};

    ends_after(&options, NULL, 0, (struct plan){.frames = 3, .waits_at = 1}, 11, CS_ETIMEOUT,
               CS_ETIMEOUT, "deadline");
}

Test(promise6, a_deadline_ends_a_post_and_what_nobody_opened)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    cs_err err;

    s->answer = CS_AGAIN;
    story_plan(s, (struct plan){.frames = 3});
    feed = story_post_for(s, 5000);
    cr_expect_eq(seconds_until_over(s, NULL, feed, &err), 5);
    story_wants(err, CS_ETIMEOUT);
    cs_loop_settle(s->loop);
    story_wants(s->closed_why, CS_ETIMEOUT);
    story_ended(&s->plans[0], CS_ETIMEOUT, "deadline");
    story_free(s);
}

Test(promise6, a_source_function_that_falls_silent_is_left_after_announce_timeout)
{
    const struct chanserv_client_options options = {.announce_timeout_ms = 6000};
    struct story *s = story_new(NULL, &options);
    cs_err err;

    s->answer = CS_AGAIN;
    cr_expect_eq(seconds_until_over(s, NULL, story_post(s), &err), 6);
    story_wants(err, CS_ETIMEOUT);
    cs_loop_settle(s->loop);
    story_wants(s->closed_why, CS_EPEER);
    story_free(s);
}

Test(promise6, a_source_function_that_falls_silent_is_ended_after_sourcing_timeout)
{
    const struct chanserv_server_options options = {.sourcing_timeout_ms = 6000};
    struct story *s = story_new(&options, NULL);
    cs_err err;

    s->answer = CS_AGAIN;
    cr_expect_eq(seconds_until_over(s, NULL, story_post(s), &err), 6);
    story_wants(err, CS_ETIMEOUT);
    story_wants(s->closed_why, CS_ETIMEOUT);
    story_free(s);
}

Test(promise6, a_reader_that_takes_nothing_is_ended_after_write_timeout)
{
    const struct chanserv_server_options options = {.write_timeout_ms = 8000};
    struct story *s = story_new(&options, NULL);
    int after_ms;
    cs_err err;

    story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000});
    story_plan(s, (struct plan){.frames = STORY_ENDLESS, .bytes = 1000});
    story_take(s, story_post(s));
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(chanserv_source_open(s->sources[i], 0), CS_OK);
    cs_loop_settle(s->loop);
    for (int i = 0; i < 60; i++) { /* the second one is slow, but not dead */
        cs_loop_advance(s->loop, 1000);
        cr_assert_eq(story_read(s, s->sources[1], 50, &err), 50);
    }
    story_ended(&s->plans[0], CS_ESTALLED, "stalled");
    after_ms = (int)(s->plans[0].end_ms - s->plans[0].opened_ms);
    cr_expect(after_ms >= 8000 && after_ms <= 9000, "after %d ms", after_ms);
    cr_expect_eq(s->plans[1].ends, 0);
    story_wants(story_drain(s, s->sources[0]), CS_ESTALLED);
    story_free(s);
}

/* docs/CONFORMANCE, 13. */
Test(promise6, a_deadline_arrives_on_a_stream_whose_window_is_shut)
{
    struct story *s = story_new(NULL, NULL);
    cs_err err;

    story_plan(s, (struct plan){.frames = 200, .bytes = 1000});
    story_take(s, story_post_for(s, 5000));
    cr_assert_eq(chanserv_source_open(s->sources[0], 0), CS_OK);
    cs_loop_settle(s->loop);
    cs_loop_advance(s->loop, 5000);
    story_ended(&s->plans[0], CS_ETIMEOUT, "deadline");
    cr_expect_lt(story_read(s, s->sources[0], STORY_ENDLESS, &err), 200);
    story_wants(err, CS_ETIMEOUT);
    story_free(s);
}

Test(promise6, a_good_end_never_overtakes_its_frames)
{
    struct story *s = story_new(NULL, NULL);
    cs_err err;

    story_plan(s, (struct plan){.frames = 85, .bytes = 1000}); /* more than the window */
    story_take(s, story_post(s));
    cr_assert_eq(chanserv_source_open(s->sources[0], 0), CS_OK);
    cs_loop_advance(s->loop, 3600 * 1000);
    cr_expect_eq(story_read(s, s->sources[0], STORY_ENDLESS, &err), 85);
    story_wants(err, CS_DONE);
    story_free(s);
}

/* ---- Keepalive ------------------------------------------------------------------------------- */

Test(promise6, a_swallowed_peer_is_found_by_both_sides_within_forty_seconds)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    cs_err err;
    int seconds;

    s->answer = CS_AGAIN;
    for (int i = 0; i < 3; i++)
        story_plan(s, (struct plan){.frames = 3, .waits_at = 1});
    feed = story_post(s);
    story_take(s, feed);
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(story_read(s, s->sources[i], 3, &err), 1);
    story_swallow(s);
    seconds = seconds_until_over(s, s->sources[0], NULL, &err);
    cr_expect_eq(seconds, 40);
    story_wants(err, CS_EPEER);
    for (size_t i = 1; i < 3; i++)
        story_wants(story_drain(s, s->sources[i]), CS_EPEER);
    story_take(s, feed);
    story_wants(s->feed_end, CS_EPEER);
    for (size_t i = 0; i < 3; i++) {
        story_ended(&s->plans[i], CS_EPEER, "client-left");
        cr_expect_leq(s->plans[i].end_ms - s->plans[i].opened_ms, 40000);
    }
    story_wants(s->closed_why, CS_EPEER);
    cr_expect_eq(story_counters(s).pings_lost, 1);
    cr_expect_eq(story_counters(s).connections, 0);
    story_free(s);
}

Test(promise6, keepalive_listens_to_its_options)
{
    const struct chanserv_server_options server = {.net = {.ping_interval_ms = CS_OFF}};
    const struct chanserv_client_options client = {
        .net = {.ping_interval_ms = 5000, .ping_timeout_ms = 2000}};
    struct story *s = story_new(&server, &client);
    chanserv_source *source;
    chanserv_feed *feed;
    cs_err err;

    source = story_source(s, (struct plan){.frames = 3, .waits_at = 1}, &feed);
    cr_expect_eq(story_read(s, source, 3, &err), 1);
    story_swallow(s);
    cr_expect_eq(seconds_until_over(s, source, NULL, &err), 7);
    story_wants(err, CS_EPEER);
    cs_loop_advance(s->loop, 3600 * 1000);
    cr_expect_eq(s->plans[0].ends, 0, "whose keepalive is off waits for ever");
    story_free(s);
}

Test(promise6, a_silent_but_living_peer_is_waited_for)
{
    struct story *s = story_new(NULL, NULL);
    chanserv_feed *feed;
    cs_err err;

    s->answer = CS_AGAIN;
    story_plan(s, (struct plan){.frames = 3, .waits_at = 1});
    feed = story_post(s);
    story_take(s, feed);
    cr_expect_eq(story_read(s, s->sources[0], 3, &err), 1);
    for (int hour = 0; hour < 24; hour++)
        cs_loop_advance(s->loop, 3600 * 1000);
    story_go(s, &s->plans[0]);
    story_wants(story_drain(s, s->sources[0]), CS_DONE);
    s->answer = CS_DONE;
    chanserv_post_wake(s->post);
    cs_loop_settle(s->loop);
    story_take(s, feed);
    story_wants(s->feed_end, CS_DONE);
    cr_expect_eq(story_counters(s).pings_lost, 0);
    story_free(s);
}

/* ---- Waiting that cannot be ------------------------------------------------------------------- */

Test(promise6, a_wait_that_nothing_can_end_fails_at_once)
{
    const struct chanserv_server_options server = {
        .net = {.ping_interval_ms = CS_OFF, .stall_timeout_ms = CS_OFF}};
    const struct chanserv_client_options client = {
        .net = {.ping_interval_ms = CS_OFF, .stall_timeout_ms = CS_OFF}};
    struct story *s = story_new(&server, &client);
    chanserv_source *source;
    chanserv_feed *feed;

    s->answer = CS_AGAIN;
    feed = story_post(s);
    cr_assert(!chanserv_range_source(feed, &source));
    story_wants(chanserv_feed_status(feed), CS_EMISUSE);
    cr_expect(strstr(chanserv_feed_errmsg(feed), "nothing left to wait for"), "%s",
              chanserv_feed_errmsg(feed));
    story_free(s);
}
