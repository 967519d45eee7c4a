#include "test/chanserv/fake_server.h"

#include "chanserv/client__in.h"
#include "chanserv/server.h"
#include "test/support/failing.h"

static struct fake f;

Test(client, checks_what_it_is_given)
{
    const struct chanserv_client_options reserved = {.reserved = {1}};
    const struct chanserv_client_options net = {.net = {.reserved = {0, 1}}};
    const struct chanserv_client_options busy = {.busy_poll_us = CS_BUSY_POLL_MAX_US + 1};
    const struct chanserv_post_options post = {.reserved = {0, 0, 1}};
    const cs_pair pair = {cs_str("Upper"), cs_str("case")};
    const struct chanserv_post_options metadata = {.metadata = &pair, .metadata_len = 1};
    chanserv_client *client;
    chanserv_feed *feed;

    fake_begin(&f, NULL);
    cr_expect_eq(chanserv_client_new(f.loop, &reserved, &client), CS_EMISUSE);
    cr_expect_eq(chanserv_client_new(f.loop, &net, &client), CS_EMISUSE);
    cr_expect_eq(chanserv_client_new(f.loop, &busy, &client), CS_EINVAL);
    cr_assert_eq(chanserv_client_new(f.loop, NULL, &client), CS_OK);
    cr_expect_eq(chanserv_lookup_and_post(client, "x", cs_str(""), NULL, &feed), CS_EMISUSE,
                 "it has not joined");
    cr_expect_eq(chanserv_join(client, "what is this?"), CS_EINVAL);
    cr_expect_eq(chanserv_client_loop(client), f.loop);
    chanserv_client_free(client);
    cr_expect_eq(chanserv_lookup_and_post(f.client, "", cs_str(""), NULL, &feed), CS_EMISUSE);
    cr_expect_eq(chanserv_lookup_and_post(f.client, "a b", cs_str(""), NULL, &feed), CS_EMISUSE);
    cr_expect_eq(chanserv_lookup_and_post(f.client, "x", cs_str(""), &post, &feed), CS_EMISUSE);
    cr_expect_eq(chanserv_lookup_and_post(f.client, "x", cs_str(""), &metadata, &feed), CS_EMISUSE);
    cs_loop_settle(f.loop);
    cr_expect_eq(f.posts_len, 0);
    cr_expect_eq(f.client->lines, 0, "nothing is left of them");
    fake_end(&f);
}

static void stop(void *loop)
{
    cs_loop_stop(loop);
}

static uint64_t looks_of(cs_loop *loop)
{
    cs_timer *timer;

    cr_assert_eq(cs_timer_new(loop, stop, loop, &timer), CS_OK);
    for (int i = 0; i < 10; i++) {
        cs_timer_set(timer, 1);
        cr_assert_eq(cs_loop_run(loop), CS_OK);
    }
    cs_timer_free(timer);
    return cs_loop_busy_polls(loop).looks;
}

Test(client, says_how_long_its_loop_looks_for_news_or_nothing)
{
    const struct chanserv_client_options off = {.busy_poll_us = CS_OFF};
    chanserv_client *client, *other;
    cs_loop *loop;

    cr_assert_eq(cs_loop_new(NULL, &loop), CS_OK);
    cr_assert_eq(chanserv_client_new(loop, &off, &client), CS_OK);
    cr_assert_eq(chanserv_client_new(loop, NULL, &other), CS_OK);
    cr_assert_eq(looks_of(loop), 0);
    chanserv_client_free(client);
    chanserv_client_free(other);
    cs_loop_free(loop);
}

Test(client, sends_metadata)
{
    const cs_pair pair = {cs_str("tenant"), cs_str("blue")};
    const struct chanserv_post_options options = {.metadata = &pair, .metadata_len = 1};
    chanserv_feed *feed;
    cs_bytes value;

    fake_begin(&f, NULL);
    cr_assert_eq(chanserv_lookup_and_post(f.client, "x", cs_str(""), &options, &feed), CS_OK);
    cs_loop_settle(f.loop);
    cr_assert_eq(mux_stream_header(f.posts[0].stream, "tenant", &value), CS_OK);
    cr_expect(cs_same(value, cs_str("blue")));
    fake_end(&f);
}

Test(client, may_be_null_wherever_things_are_freed)
{
    chanserv_client_free(NULL);
    chanserv_feed_close(NULL);
    chanserv_source_close(NULL);
    chanserv_set_free(NULL);
}

Test(client, that_is_freed_ends_everything_at_the_server)
{
    chanserv_feed *feed;
    chanserv_source *source;
    cs_bytes frame;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    source = fake_source(&f, feed, 0);
    cr_expect_eq(chanserv_source_recv(source, &frame), CS_AGAIN);
    cs_loop_settle(f.loop);
    cr_assert_eq(f.opens_len, 1);
    chanserv_client_free(f.client);
    f.client = NULL;
    cs_loop_settle(f.loop);
    cr_expect_null(f.posts[0].stream);
    cr_expect_null(f.opens[0].stream);
    fake_end(&f);
}

Test(client, that_is_cancelled_ends_what_was_kept_too)
{
    chanserv_source *kept;
    chanserv_feed *feed;
    cs_bytes frame;

    fake_begin(&f, NULL);
    feed = fake_post(&f, "ticker");
    kept = chanserv_source_keep(fake_source(&f, feed, 0));
    chanserv_client_cancel(f.client);
    cr_expect_eq(chanserv_source_recv(kept, &frame), CS_ECANCELED);
    cr_expect_eq(chanserv_feed_status(feed), CS_ECANCELED);
    chanserv_source_close(kept);
    fake_end(&f);
}

/* ---- A server of this process --------------------------------------------------------------- */

static cs_err letter_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    const char **rest = state;
    (void)out;
    if (!**rest)
        return CS_DONE;
    *frame = cs_bytes_of((*rest)++, 1);
    return CS_OK;
}

static const struct chanserv_outlet_ops letters_ops = {.state_bytes = sizeof(char *),
                                                       .next = letter_next};
static const struct chanserv_outlet_ops eager_ops = {
    .state_bytes = sizeof(char *), .next = letter_next, .eager = true};

static cs_err letters(chanserv_post *post, cs_bytes body, void *user)
{
    const char *rest = "abc";
    (void)user;
    cs_err err = chanserv_announce(post, body, &letters_ops, &rest, NULL);
    if (err == CS_OK)
        err = chanserv_announce(post, body, &eager_ops, &rest, NULL);
    return err == CS_OK ? CS_DONE : err;
}

/* Posts "letters" and reads it all: how it went, or where it failed. */
static cs_err read_letters(chanserv_client *client, char *to)
{
    chanserv_source *source;
    chanserv_feed *feed;
    cs_bytes frame;
    cs_err err = chanserv_lookup_and_post(client, "letters", cs_str("hi"), NULL, &feed);

    if (err != CS_OK)
        return err;
    while (chanserv_range_source(feed, &source))
        while (chanserv_range_frame(source, &frame))
            strncat(to, frame.base, frame.len);
    err = chanserv_feed_status(feed);
    chanserv_feed_close(feed);
    return err == CS_DONE ? CS_OK : err;
}

Test(client, joins_a_server_of_its_process)
{
    chanserv_server *server;
    chanserv_client *client;
    char text[16] = "";
    cs_loop *loop;

    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    cr_assert_eq(chanserv_server_new(loop, NULL, &server), CS_OK);
    cr_assert_eq(chanserv_serve(server, "letters", letters, NULL), CS_OK);
    cr_assert_eq(chanserv_client_new(loop, NULL, &client), CS_OK);
    cr_assert_eq(chanserv_join_local(client, server), CS_OK);
    cr_expect_eq(chanserv_join_local(client, server), CS_EEXIST);
    cs_err err = read_letters(client, text);
    cr_expect_eq(err, CS_OK, "%s", cs_strerror(err));
    cr_expect_str_eq(text, "abcabc");
    chanserv_server_free(server); /* the server first: fine */
    chanserv_client_free(client);
    cs_loop_free(loop);
}

Test(client, does_not_join_a_server_on_another_loop)
{
    chanserv_server *server;
    chanserv_client *client, *own;
    cs_loop *a, *b;

    cr_assert_eq(cs_loop_new_virtual(&a), CS_OK);
    cr_assert_eq(cs_loop_new_virtual(&b), CS_OK);
    cr_assert_eq(chanserv_server_new(a, NULL, &server), CS_OK);
    cr_assert_eq(chanserv_client_new(b, NULL, &client), CS_OK);
    cr_assert_eq(chanserv_client_new(NULL, NULL, &own), CS_OK);
    cr_expect_eq(chanserv_join_local(client, server), CS_EMISUSE);
    cr_expect_eq(chanserv_join_local(own, server), CS_EMISUSE);
    chanserv_client_free(client);
    chanserv_client_free(own);
    chanserv_server_free(server);
    cs_loop_free(a);
    cs_loop_free(b);
}

/* ---- Every allocation fails once ------------------------------------------------------------ */

/* Whatever fails: nothing is left, and what is missing was said to be. */
static void story(void)
{
    chanserv_server *server = NULL;
    chanserv_client *client = NULL;
    cs_loop *loop = NULL;
    char text[16] = "";
    cs_err err;

    if ((err = cs_loop_new_virtual(&loop)) == CS_OK &&
        (err = chanserv_server_new(loop, NULL, &server)) == CS_OK &&
        (err = chanserv_serve(server, "letters", letters, NULL)) == CS_OK &&
        (err = chanserv_client_new(loop, NULL, &client)) == CS_OK &&
        (err = chanserv_join_local(client, server)) == CS_OK)
        err = read_letters(client, text);
    if (err == CS_OK)
        cr_assert_str_eq(text, "abcabc", "\"%s\" and no word of it", text);
    chanserv_client_free(client);
    chanserv_server_free(server);
    cs_loop_free(loop);
}

Test(client, survives_every_failed_allocation_and_says_so, .timeout = 60)
{
    cr_expect_gt(failing_story(story), 50);
}
