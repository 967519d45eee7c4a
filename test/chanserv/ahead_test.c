/* A session before its first post: asked as soon as there is a connection, and whatever becomes of that,
 * a post that waits for it goes out once, or is told why it did not. */
#include "chanserv/client__in.h"
#include "mux/local.h"
#include "test/chanserv/fake_server.h"
#include "test/support/failing.h"

enum { RESUME = 20000 };

static struct fake f;

static struct {
    int calls, resets;   /* of Session; so many are reset before one is answered */
    cs_err answer;       /* CS_OK: it stands; CS_AGAIN: nothing; else so it ends */
    uint8_t ids[64][16]; /* said */
    uint32_t attempts[64];
    mux_stream *stream;
} s;

static void session_readable(mux_stream *stream, void *state)
{
    struct wire_session_up up;
    uint8_t down[WIRE_SESSION_MAX];
    size_t n = wire_session_down_put(down, cs_str("instance"), 30000);
    cs_bytes msg;

    (void)state;
    while (mux_stream_recv(stream, &msg) == CS_OK) {
        cr_assert_eq(wire_session_up_parse(msg, &up), CS_OK);
        if (up.session.len == 0)
            continue;
        cr_assert_lt(s.calls, 64);
        memcpy(s.ids[s.calls], up.session.base, 16);
        s.attempts[s.calls++] = up.attempt;
        if (s.resets > 0) {
            s.resets--;
            mux_stream_cancel(stream, CS_ECANCELED);
        } else if (s.answer == CS_OK)
            cr_assert_eq(mux_stream_send(stream, cs_bytes_of(down, n), cs_str("")), CS_OK);
        else if (s.answer != CS_AGAIN)
            mux_stream_finish(stream, s.answer, "not here");
    }
}

static void session_end(mux_stream *stream, cs_err why, void *state)
{
    (void)why, (void)state;
    if (s.stream == stream)
        s.stream = NULL;
}

static void accept_session(mux_stream *stream, void *user)
{
    static const struct mux_stream_ops ops = {.readable = session_readable, .end = session_end};

    (void)user;
    s.stream = stream;
    cr_assert_eq(mux_stream_accept(stream, &ops, NULL), CS_OK);
}

/* Nothing has been said when this returns. */
static void begin(cs_err answer)
{
    static const struct chanserv_client_options resuming = {.resume_ms = RESUME};

    fake_begin(&f, &resuming);
    memset(&s, 0, sizeof s);
    s.answer = answer;
    cr_assert_eq(mux_handle(f.handlers, "/chanserv.v1.Chanserv/Session", accept_session, NULL),
                 CS_OK);
}

static cs_err status_of(chanserv_feed *feed)
{
    return chanserv_feed_status(feed);
}

Test(ahead, a_session_is_asked_for_by_the_join_and_the_first_post_goes_at_once)
{
    begin(CS_OK);
    cs_loop_settle(f.loop);
    cr_assert_eq(s.calls, 1);
    cr_assert_eq(chanserv__nodes_first(f.client)->bond->standing, CHANSERV__BOND_STANDS);
    (void)fake_post(&f, "x");
    cr_assert_eq(f.posts_len, 1);
    cr_assert_eq(s.calls, 1);
    fake_end(&f);
}

Test(ahead, no_post_goes_out_before_the_answer)
{
    chanserv_feed *feed;
    uint8_t down[WIRE_SESSION_MAX];
    size_t n = wire_session_down_put(down, cs_str("instance"), 30000);

    begin(CS_AGAIN);
    feed = fake_post(&f, "x");
    cs_loop_advance(f.loop, RESUME - 1);
    cr_assert_eq(s.calls, 1);
    cr_assert_eq(f.posts_len, 0);
    cr_assert_eq(mux_stream_send(s.stream, cs_bytes_of(down, n), cs_str("")), CS_OK);
    cs_loop_settle(f.loop);
    cr_assert_eq(f.posts_len, 1);
    cs_loop_advance(f.loop, 10 * RESUME);
    cr_assert_eq(status_of(feed), CS_AGAIN, "from here on nobody counts the time");
    fake_end(&f);
}

Test(ahead, a_server_that_never_answers_is_waited_for_as_long_as_for_one_that_is_gone)
{
    chanserv_feed *feed;

    begin(CS_AGAIN);
    cs_loop_advance(f.loop, RESUME); /* nobody waits */
    feed = fake_post(&f, "x");
    cs_loop_advance(f.loop, RESUME - 1);
    cr_assert_eq(status_of(feed), CS_AGAIN);
    cs_loop_advance(f.loop, 1);
    cr_assert_eq(status_of(feed), CS_EPEER, "%s", chanserv_feed_errmsg(feed));
    cr_assert(strstr(chanserv_feed_errmsg(feed), "does not answer"), "%s",
              chanserv_feed_errmsg(feed));
    cr_assert_eq(f.posts_len, 0);
    s.answer = CS_OK;
    (void)fake_post(&f, "x");
    cr_assert_eq(f.posts_len, 1, "and the next begins anew");
    cr_assert_neq(memcmp(s.ids[0], s.ids[1], 16), 0);
    fake_end(&f);
}

Test(ahead, each_post_is_waited_for_as_long)
{
    chanserv_feed *feed;

    begin(CS_AGAIN);
    feed = fake_post(&f, "x");
    cs_loop_advance(f.loop, RESUME - 1000);
    chanserv_feed_close(feed);
    cs_loop_settle(f.loop);
    feed = fake_post(&f, "x");
    cs_loop_advance(f.loop, RESUME - 1);
    cr_assert_eq(status_of(feed), CS_AGAIN);
    cs_loop_advance(f.loop, 1);
    cr_assert_eq(status_of(feed), CS_EPEER);
    cr_assert_eq(s.calls, 1);
    fake_end(&f);
}

Test(ahead, a_server_without_sessions_is_asked_once_and_serves_plainly_at_once)
{
    chanserv_feed *feed;

    begin(CS_ENOTSUP);
    feed = fake_post(&f, "x");
    cr_assert_eq(f.posts_len, 1);
    fake_finish_post(&f, CS_DONE, NULL);
    cr_assert_eq(status_of(feed), CS_DONE);
    (void)fake_post(&f, "x");
    cr_assert_eq(f.posts_len, 2);
    cs_loop_advance(f.loop, 10 * RESUME);
    cr_assert_eq(s.calls, 1);
    fake_end(&f);
}

Test(ahead, what_is_reset_before_its_answer_is_followed_by_another_session)
{
    chanserv_feed *feed;

    begin(CS_OK);
    s.resets = 7;
    feed = fake_post(&f, "x");
    cr_assert_eq(f.posts_len, 0);
    cs_loop_advance(f.loop, RESUME - 1);
    cr_assert_eq(f.posts_len, 1);
    cr_assert_eq(status_of(feed), CS_AGAIN);
    cr_assert_eq(s.calls, 8);
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(s.attempts[i], 1);
        for (int k = 0; k < i; k++)
            cr_assert_neq(memcmp(s.ids[i], s.ids[k], 16), 0, "%d and %d", i, k);
    }
    fake_end(&f);
}

Test(ahead, one_that_exists_already_is_followed_by_another)
{
    chanserv_feed *feed;

    begin(CS_EEXIST);
    feed = fake_post(&f, "x");
    s.answer = CS_OK;
    cs_loop_advance(f.loop, 1000);
    cr_assert_eq(f.posts_len, 1);
    cr_assert_eq(status_of(feed), CS_AGAIN);
    cr_assert_neq(memcmp(s.ids[0], s.ids[1], 16), 0);
    fake_end(&f);
}

Test(ahead, what_a_proxy_says_of_its_server_is_told_at_once)
{
    chanserv_feed *feed;

    begin(CS_EUNAVAIL);
    feed = fake_post(&f, "x");
    cr_assert_eq(status_of(feed), CS_EUNAVAIL, "%s", chanserv_feed_errmsg(feed));
    cr_assert(strstr(chanserv_feed_errmsg(feed), "not here"), "%s", chanserv_feed_errmsg(feed));
    cr_assert_leq(s.calls, 4, "%d", s.calls);
    cr_assert_eq(f.posts_len, 0);
    s.answer = CS_OK;
    (void)fake_post(&f, "x");
    cr_assert_eq(f.posts_len, 1);
    fake_end(&f);
}

Test(ahead, who_posts_nothing_asks_once)
{
    begin(CS_OK);
    s.resets = 100;
    cs_loop_advance(f.loop, 100 * RESUME);
    cr_assert_eq(s.calls, 1);
    s.resets = 0;
    (void)fake_post(&f, "x");
    cr_assert_eq(f.posts_len, 1);
    cr_assert_eq(s.calls, 2);
    fake_end(&f);
}

Test(ahead, who_posted_nothing_does_not_dial_again_either)
{
    begin(CS_OK);
    cs_loop_settle(f.loop);
    mux_conn_break(chanserv__nodes_first(f.client)->conn);
    cs_loop_advance(f.loop, RESUME - 1);
    cr_assert_eq(s.calls, 1);
    (void)fake_post(&f, "x");
    cr_assert_eq(f.posts_len, 1);
    cr_assert_eq(s.calls, 2);
    mux_conn_break(chanserv__nodes_first(f.client)->conn);
    cs_loop_advance(f.loop, 100 * RESUME);
    cr_assert_leq(s.calls, 3, "%d", s.calls); /* the post's own */
    cr_assert_eq(s.attempts[1], 2,
                 "it takes its session up: perhaps something was done at its end");
    fake_end(&f);
}

/* Each time it is greeted and nothing more. */
Test(ahead, who_was_there_is_asked_again_within_a_second_or_so)
{
    int ms = 0;

    begin(CS_OK);
    (void)fake_post(&f, "x");
    for (int i = 0; i < 20; i++) {
        const int calls = s.calls;

        mux_conn_break(chanserv__nodes_first(f.client)->conn);
        for (ms = 0; s.calls == calls && ms < RESUME; ms++)
            cs_loop_advance(f.loop, 1);
        cs_loop_settle(f.loop);
        cr_assert_eq(chanserv__nodes_first(f.client)->bond->standing, CHANSERV__BOND_STANDS);
        cr_assert_leq(ms, 1201, "the %dth: %d", i, ms);
    }
    cr_assert_geq(ms, 800, "but not at once either: %d", ms);
    fake_end(&f);
}

Test(ahead, an_open_of_a_ticket_waits_too)
{
    chanserv_source *source;

    begin(CS_AGAIN);
    cr_assert_eq(chanserv_open_ticket(f.client, NULL, cs_str("ticket"), 0, &source), CS_OK);
    cs_loop_settle(f.loop);
    cr_assert_eq(f.opens_len, 0);
    s.answer = CS_OK;
    mux_conn_break(chanserv__nodes_first(f.client)->conn);
    cs_loop_advance(f.loop, 1000);
    cr_assert_eq(f.opens_len, 1);
    cr_assert_eq(s.calls, 2);
    cr_assert_eq(s.attempts[1], 1);
    fake_end(&f);
}

static void story(void)
{
    static const struct chanserv_client_options resuming = {.resume_ms = RESUME};
    chanserv_server *server = NULL;
    chanserv_client *client = NULL;
    chanserv_feed *feed;
    cs_loop *loop;

    if (cs_loop_new_virtual(&loop) != CS_OK)
        return;
    if (chanserv_server_new(loop, NULL, &server) == CS_OK &&
        chanserv_client_new(loop, &resuming, &client) == CS_OK &&
        chanserv_join_local(client, server) == CS_OK &&
        chanserv_lookup_and_post(client, "x", cs_str(""), NULL, &feed) == CS_OK) {
        mux_conn_break(chanserv__nodes_first(client)->conn);
        cs_loop_advance(loop, 1000);
        mux_conn_break(chanserv__nodes_first(client)->conn);
        cs_loop_advance(loop, 1000);
    }
    chanserv_client_free(client);
    chanserv_server_free(server);
    cs_loop_free(loop);
}

Test(ahead, survives_every_failed_allocation)
{
    failing_story(story);
}
