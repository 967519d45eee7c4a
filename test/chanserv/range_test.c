#include "test/chanserv/fake_server.h"

#include "chanserv/client__in.h"
#include "chanserv/server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static struct fake f;

/* ---- On a loop of the user's: waiting turns it ---------------------------------------------- */

struct later {
    size_t open;
    const char *text; /* NULL: the end */
};

static void say(void *user)
{
    struct later *l = user;
    uint8_t msg[64];
    size_t len;

    if (!l->text) {
        mux_stream_finish(f.opens[l->open].stream, CS_DONE, NULL);
        return;
    }
    len = wire_frame_head(msg, strlen(l->text), false);
    memcpy(msg + len, l->text, strlen(l->text));
    cr_assert_eq(mux_stream_send(f.opens[l->open].stream, cs_bytes_of(msg, len + strlen(l->text)),
                                 cs_str("")),
                 CS_OK);
}

Test(range, waits_on_a_virtual_loop_by_moving_the_clock)
{
    struct later later[] = {{0, "one"}, {0, "two"}, {0, NULL}};
    chanserv_source *source;
    cs_timer *timers[3];
    cs_bytes frame;
    int n = 0;

    fake_begin(&f, NULL);
    source = fake_source(&f, fake_post(&f, "slow"), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(cs_timer_new(f.loop, say, &later[i], &timers[i]), CS_OK);
        cs_timer_set(timers[i], 1000 * (i + 1));
    }
    while (chanserv_range_frame(source, &frame)) {
        cr_expect(cs_same(frame, cs_str(later[n++].text)));
        cr_expect_eq(cs_loop_now_ms(f.loop), 1000 * n);
    }
    cr_expect_eq(n, 2);
    cr_expect_eq(chanserv_source_status(source), CS_DONE);
    cr_expect_eq(cs_loop_now_ms(f.loop), 3000);
    for (int i = 0; i < 3; i++)
        cs_timer_free(timers[i]);
    fake_end(&f);
}

/* No keepalive: nothing at all is left that could happen. */
static const struct chanserv_client_options quiet = {
    .net = {.ping_interval_ms = CS_OFF, .stall_timeout_ms = CS_OFF}};

Test(range, fails_at_once_where_nothing_can_end_the_wait)
{
    chanserv_source *source;
    chanserv_feed *feed;
    cs_bytes frame;

    fake_begin(&f, &quiet);
    feed = fake_post(&f, "silent");
    source = fake_source(&f, feed, 0);
    cr_expect_not(chanserv_range_frame(source, &frame));
    cr_expect_eq(chanserv_source_status(source), CS_EMISUSE);
    cr_expect_str_eq(chanserv_source_errmsg(source), "source 0 (h0): nothing left to wait for");
    fake_end(&f);
}

static bool range_in_callback;
static void on_readable(chanserv_feed *feed, void *state)
{
    chanserv_source *source, *second;
    cs_bytes frame;

    (void)state;
    if (chanserv_feed_recv(feed, &source) != CS_OK)
        return;
    cr_expect_eq(chanserv_feed_ready(feed), CS_OK, "that is known without waiting");
    cr_expect_not(chanserv_range_frame(source, &frame));
    cr_expect_eq(chanserv_source_status(source), CS_EMISUSE);
    cr_expect_str_eq(chanserv_source_errmsg(source), "source 0 (h0): a callback must not wait");
    cr_expect_not(chanserv_range_source(feed, &second));
    cr_expect_eq(chanserv_feed_status(feed), CS_EMISUSE);
    range_in_callback = true;
}

Test(range, in_a_callback_is_misuse)
{
    static const struct chanserv_feed_ops ops = {.readable = on_readable};
    chanserv_feed *feed;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    cr_assert_eq(chanserv_feed_start(feed, &ops, NULL), CS_OK);
    fake_announce(&f, 0);
    cr_expect(range_in_callback);
    fake_end(&f);
}

static void close_it(void *user)
{
    chanserv_feed_close(user);
}

Test(range, returns_when_a_callback_closes_what_it_waits_for)
{
    chanserv_source *source;
    chanserv_feed *feed;
    cs_timer *timer;
    cs_bytes frame;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    source = fake_source(&f, feed, 0);
    cr_assert_eq(cs_timer_new(f.loop, close_it, feed, &timer), CS_OK);
    cs_timer_set(timer, 10);
    cr_expect_not(chanserv_range_frame(source, &frame));
    cs_timer_free(timer);

    feed = fake_post(&f, "ticker");
    cr_assert_eq(cs_timer_new(f.loop, close_it, feed, &timer), CS_OK);
    cs_timer_set(timer, 10);
    cr_expect_not(chanserv_range_source(feed, &source));
    cs_timer_free(timer);
    fake_end(&f);
}

Test(range, does_not_wait_for_what_a_set_waits_for)
{
    chanserv_source *source;
    chanserv_set *set;
    cs_bytes frame;

    fake_begin(&f, NULL);
    source = fake_source(&f, fake_post(&f, "ticker"), 0);
    cr_assert_eq(chanserv_set_new(f.client, &set), CS_OK);
    cr_assert_eq(chanserv_set_add_source(set, source), CS_OK);
    cr_expect_not(chanserv_range_frame(source, &frame));
    cr_expect_eq(chanserv_source_status(source), CS_EMISUSE);
    chanserv_set_free(set);
    fake_end(&f);
}

/* ---- With a thread of its own, against the real server -------------------------------------- */

struct ticker {
    int said;
};

static cs_err ticker_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    static const char *const texts[] = {"wait for me!", "ok I'm ready"};
    struct ticker *t = state;
    (void)out;
    if (t->said == 2)
        return CS_DONE;
    *frame = cs_str(texts[t->said++]);
    return CS_OK;
}

static cs_err ticker(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(struct ticker),
                                                   .next = ticker_next};
    (void)user;
    for (int i = 0; i < 5; i++)
        cr_assert_eq(chanserv_announce(post, body, &ops, NULL, NULL), CS_OK);
    return CS_DONE;
}

static cs_err never_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    (void)out, (void)frame, (void)state;
    return CS_AGAIN;
}

static cs_err never(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.next = never_next};
    (void)user;
    return chanserv_announce(post, body, &ops, NULL, NULL) == CS_OK ? CS_DONE : CS_ENOMEM;
}

static chanserv_server *server;
static pthread_t server_thread;

static void *run_server(void *user)
{
    cr_expect_eq(chanserv_server_run(user), CS_OK);
    return NULL;
}

static chanserv_client *join_server(void)
{
    chanserv_client *client;

    cr_assert_eq(chanserv_server_new(NULL, NULL, &server), CS_OK);
    cr_assert_eq(chanserv_serve(server, "ticker", ticker, NULL), CS_OK);
    cr_assert_eq(chanserv_serve(server, "never", never, NULL), CS_OK);
    cr_assert_eq(chanserv_listen(server, "127.0.0.1:0"), CS_OK);
    cr_assert_eq(chanserv_client_new(NULL, NULL, &client), CS_OK);
    cr_assert_eq(chanserv_join(client, chanserv_server_addr(server, 0)), CS_OK);
    cr_assert_eq(pthread_create(&server_thread, NULL, run_server, server), 0);
    return client;
}

static void stop_server(void)
{
    chanserv_server_stop(server);
    pthread_join(server_thread, NULL);
    chanserv_server_free(server);
}

Test(range, reads_like_go)
{
    chanserv_client *client = join_server();
    chanserv_source *source;
    chanserv_feed *feed;
    int heads = 0, frames = 0;
    cs_bytes frame;

    cr_assert_eq(chanserv_lookup_and_post(client, "ticker", cs_str("hello"), NULL, &feed), CS_OK);
    while (chanserv_range_source(feed, &source)) {
        heads++;
        cr_expect(cs_same(chanserv_source_header(source), cs_str("hello")));
        while (chanserv_range_frame(source, &frame))
            frames++;
        cr_expect_eq(chanserv_source_status(source), CS_DONE);
    }
    cr_expect_eq(heads, 5);
    cr_expect_eq(frames, 10);
    cr_expect_eq(chanserv_feed_status(feed), CS_DONE);
    cr_expect_null(chanserv_client_loop(client));
    chanserv_client_free(client);
    stop_server();
}

static void *read_kept(void *user)
{
    chanserv_source *source = user;
    cs_bytes frame;
    int n = 0;

    while (chanserv_range_frame(source, &frame))
        n++;
    cr_expect_eq(n, 2);
    chanserv_source_close(source);
    return NULL;
}

Test(range, takes_one_thread_for_each_kept_source)
{
    chanserv_client *client = join_server();
    chanserv_source *source;
    chanserv_feed *feed;
    pthread_t threads[5];
    size_t n = 0;

    cr_assert_eq(chanserv_lookup_and_post(client, "ticker", cs_str("hello"), NULL, &feed), CS_OK);
    while (n < 5 && chanserv_range_source(feed, &source))
        cr_assert_eq(pthread_create(&threads[n++], NULL, read_kept, chanserv_source_keep(source)),
                     0);
    cr_expect_eq(n, 5);
    while (n > 0)
        pthread_join(threads[--n], NULL);
    cr_expect_eq(chanserv_feed_close(feed), CS_OK);
    chanserv_client_free(client);
    stop_server();
}

static void *wait_for_ever(void *user)
{
    cs_bytes frame;
    cr_expect_not(chanserv_range_frame(user, &frame));
    return NULL;
}

Test(range, is_woken_by_a_cancel_from_another_thread)
{
    chanserv_client *client = join_server();
    chanserv_source *source;
    chanserv_feed *feed;
    pthread_t thread;

    cr_assert_eq(chanserv_lookup_and_post(client, "never", cs_str(""), NULL, &feed), CS_OK);
    cr_expect_eq(chanserv_feed_ready(feed), CS_OK);
    cr_assert(chanserv_range_source(feed, &source));
    cr_assert_eq(pthread_create(&thread, NULL, wait_for_ever, source), 0);
    chanserv_client_cancel(client);
    pthread_join(thread, NULL);
    cr_expect_eq(chanserv_source_status(source), CS_ECANCELED);
    chanserv_client_free(client);
    stop_server();
}

Test(range, on_a_client_with_a_thread_knows_no_callbacks)
{
    static const struct chanserv_feed_ops ops = {.readable = on_readable};
    static const struct chanserv_source_ops source_ops = {.state_bytes = 0};
    chanserv_client *client = join_server();
    chanserv_source *source;
    chanserv_feed *feed;

    cr_assert_eq(chanserv_lookup_and_post(client, "never", cs_str(""), NULL, &feed), CS_OK);
    cr_expect_eq(chanserv_feed_start(feed, &ops, NULL), CS_EMISUSE);
    cr_assert(chanserv_range_source(feed, &source));
    cr_expect_eq(chanserv_source_start(source, &source_ops, NULL), CS_EMISUSE);
    chanserv_client_free(client);
    stop_server();
}

Test(range, leaves_a_kept_source_to_close_after_its_client_is_freed)
{
    chanserv_client *client = join_server();
    chanserv_source *source;
    chanserv_feed *feed;
    cs_bytes frame;

    cr_assert_eq(chanserv_lookup_and_post(client, "never", cs_str(""), NULL, &feed), CS_OK);
    cr_assert(chanserv_range_source(feed, &source));
    chanserv_source_keep(source);
    cr_expect_eq(chanserv_source_open(source, 0), CS_OK);
    chanserv_client_free(client);
    cr_expect_not(chanserv_range_frame(source, &frame));
    cr_expect_eq(chanserv_source_status(source), CS_ECANCELED);
    chanserv_source_close(source);
    stop_server();
}

Test(range, says_what_was_dialed_when_nobody_is_there)
{
    chanserv_client *client;
    chanserv_source *source;
    chanserv_feed *feed;

    cr_assert_eq(chanserv_client_new(NULL, NULL, &client), CS_OK);
    cr_assert_eq(chanserv_join(client, "unix:/nonexistent/socket"), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(client, "ticker", cs_str(""), NULL, &feed), CS_OK);
    cr_expect_not(chanserv_range_source(feed, &source));
    cr_expect_eq(chanserv_feed_status(feed), CS_EREFUSED);
    cr_expect_str_eq(chanserv_feed_errmsg(feed), "post ticker: dial unix:/nonexistent/socket: "
                                                 "no such file or directory");
    cr_expect_eq(chanserv_feed_ready(feed), CS_EREFUSED);
    chanserv_client_free(client);
}
