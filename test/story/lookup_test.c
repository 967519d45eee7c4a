/* chanserv_lookup(): a source a name, a frame a change, an end when nobody is left. */
#include "test/story/many.h"

#include "mux/local.h"

#include <stdio.h>

static chanserv_feed *look(const char *pattern)
{
    chanserv_feed *feed;

    cr_assert_eq(chanserv_lookup(many.client, pattern, &feed), CS_OK);
    cs_loop_settle(many.loop);
    return feed;
}

/* The next name that was found; NULL: none, now. */
static chanserv_source *found(chanserv_feed *feed, const char *name)
{
    chanserv_source *source = NULL;

    cs_loop_settle(many.loop);
    if (!name) {
        cr_assert_eq(chanserv_feed_recv(feed, &source), CS_AGAIN);
        return NULL;
    }
    cr_assert_eq(chanserv_feed_recv(feed, &source), CS_OK, "%s", chanserv_feed_errmsg(feed));
    cr_assert(cs_same(chanserv_source_header(source), cs_str(name)), "found %.*s",
              CS_FMT(chanserv_source_header(source)));
    return source;
}

/* The next set of its nodes; NULL: none, now. */
static void serves(chanserv_source *source, const char *nodes)
{
    cs_err err;
    cs_bytes frame;

    for (int i = 0; (err = chanserv_source_recv(source, &frame)) == CS_AGAIN && i < 3; i++)
        cs_loop_settle(many.loop);
    cr_assert_eq(err, nodes ? CS_OK : CS_AGAIN, "%s", cs_strerror(err));
    if (nodes)
        cr_assert(cs_same(frame, cs_str(nodes)), "\"%.*s\", not \"%s\"", CS_FMT(frame), nodes);
}

static void is_left(chanserv_source *source)
{
    cs_bytes frame;
    cs_err err;

    for (int i = 0; (err = chanserv_source_recv(source, &frame)) == CS_AGAIN && i < 3; i++)
        cs_loop_settle(many.loop);
    cr_assert_eq(err, CS_DONE, "%s", cs_strerror(err));
}

TestSuite(lookup, .init = many_up, .fini = many_down);

Test(lookup, finds_each_name_and_says_who_serves_it)
{
    chanserv_source *x, *y;
    chanserv_feed *feed;

    many_servers(3);
    many_serve(1, "y");
    many_serve(2, "z");
    feed = look("[xy]");
    x = found(feed, "x");
    y = found(feed, "y");
    found(feed, NULL);
    serves(x, "n0\nn1\nn2");
    serves(x, NULL);
    serves(y, "n1");
    cr_assert_eq(chanserv_unserve(many.servers[0], "x"), CS_OK);
    serves(x, "n1\nn2");
    serves(y, NULL);
    many_serve(0, "x");
    cs_loop_settle(many.loop);
    cr_assert_eq(chanserv_unserve(many.servers[2], "x"), CS_OK);
    cs_loop_settle(many.loop);
    serves(x, "n0\nn1\nn2");
    serves(x, "n0\nn1");
    many_serve(2, "xx");
    found(feed, NULL);
    cr_expect_eq(chanserv_feed_close(feed), CS_OK);
}

Test(lookup, ends_a_name_that_nobody_serves_and_announces_it_again)
{
    chanserv_source *x;
    chanserv_feed *feed;

    many_servers(1);
    feed = look("*");
    x = found(feed, "x");
    serves(x, "n0");
    cr_assert_eq(chanserv_unserve(many.servers[0], "x"), CS_OK);
    is_left(x);
    found(feed, NULL);
    many_serve(0, "x");
    x = found(feed, "x");
    serves(x, "n0");
    many_down_one(0);
    is_left(x);
    cr_expect_eq(chanserv_feed_status(feed), CS_AGAIN, "it goes on");
}

Test(lookup, watches_one_node_too_and_only_as_long)
{
    chanserv_feed *feed;

    many_servers(1);
    cs_loop_settle(many.loop);
    cr_expect_null(many_node(0)->watch);
    feed = look("*");
    cr_expect_not_null(many_node(0)->watch);
    (void)chanserv_feed_close(feed);
    cs_loop_settle(many.loop);
    cr_expect_null(many_node(0)->watch);
}

Test(lookup, does_not_tell_again_of_what_was_closed)
{
    chanserv_feed *feed;

    many_servers(2);
    feed = look("x");
    chanserv_source_close(found(feed, "x"));
    many_serve(0, "y");
    found(feed, NULL);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(chanserv_unserve(many.servers[i], "x"), CS_OK);
    found(feed, NULL);
    many_serve(1, "x");
    serves(found(feed, "x"), "n1");
}

/* More than may be announced at once, so it goes on where it was told to wait: to go through all of
 * them again for each would take longer than anybody waits. */
Test(lookup, finds_each_of_very_many_once, .timeout = 20)
{
    enum { NAMES = 30000 };
    chanserv_source *source;
    chanserv_feed *feed;
    char name[16];

    many_server(0);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "x%05d", i);
        many_serve(0, name);
    }
    many_join(0);
    feed = look("x*");
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "x%05d", i);
        cr_assert(chanserv_range_source(feed, &source));
        cr_assert(cs_same(chanserv_source_header(source), cs_str(name)), "found %.*s, not %s",
                  CS_FMT(chanserv_source_header(source)), name);
        chanserv_source_close(source);
        if (i == 10)
            many_serve(0, "xyz"); /* while it waits */
    }
    chanserv_source_close(found(feed, "xyz"));
    found(feed, NULL);
}

Test(lookup, ends_in_words_when_the_only_list_is_too_long, .timeout = 20)
{
    enum { NAMES = WIRE_SERVICES_MAX + 1 };
    chanserv_feed *feed;
    char name[16];

    many_server(0);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "x%05d", i);
        many_serve(0, name);
    }
    many_join(0);
    feed = look("*");
    many_ends(feed, CS_EINTERNAL, "more than 65,536 names");
    cr_expect_eq(cs_loop_now_ms(many.loop), 0, "at once");
    cr_expect_eq(many_ran("x00007"), 'a', "a post does not need the list");
    cr_assert_eq(chanserv_unserve(many.servers[0], name), CS_OK);
    feed = look("x00007");
    serves(found(feed, "x00007"), "n0");
    cr_expect_eq(many_node(0)->list->len, NAMES - 1);
}

Test(lookup, can_be_ranged_over)
{
    chanserv_source *source;
    chanserv_feed *feed;
    cs_bytes frame;

    many_servers(2);
    cr_assert_eq(chanserv_lookup(many.client, "x", &feed), CS_OK);
    cr_assert(chanserv_range_source(feed, &source));
    cr_assert(chanserv_range_frame(source, &frame));
    if (cs_same(frame, cs_str("n0"))) /* the second has yet to answer */
        cr_assert(chanserv_range_frame(source, &frame));
    cr_expect(cs_same(frame, cs_str("n0\nn1")), "%.*s", CS_FMT(frame));
    chanserv_feed_cancel(feed);
    cr_expect_not(chanserv_range_source(feed, &source));
    cr_expect_eq(chanserv_feed_status(feed), CS_ECANCELED);
}

Test(lookup, is_over_with_its_client)
{
    chanserv_source *kept;

    many_servers(2);
    kept = chanserv_source_keep(found(look("x"), "x"));
    (void)look("*");
    serves(kept, "n0\nn1");
    chanserv_client_free(many.client);
    many.client = NULL;
    cr_expect_eq(chanserv_source_status(kept), CS_ECANCELED);
    chanserv_source_close(kept);
}

Test(lookup, needs_a_node)
{
    chanserv_feed *feed;

    cr_expect_eq(chanserv_lookup(many.client, "*", &feed), CS_EMISUSE);
    many_servers(1);
    cr_expect_eq(chanserv_lookup(many.client, NULL, &feed), CS_EMISUSE);
}

static void up_in_a_name_space(void)
{
    const struct chanserv_client_options options = {.name_space = "a.b"};

    many_client(&options);
}

TestSuite(client_name_space, .init = up_in_a_name_space, .fini = many_down);

Test(client_name_space, is_on_the_wire_and_nowhere_else)
{
    char name[253];
    chanserv_feed *feed;

    many_servers(2);
    many_serve(1, "y.a.b");
    many_serve(0, "x.a.bc");
    cs_loop_settle(many.loop);
    cr_expect_eq(many_ran("y"), 'b');
    feed = look("*");
    serves(found(feed, "y"), "n1");
    found(feed, NULL);
    memset(name, 'n', sizeof name);
    name[252] = '\0';
    cr_expect_eq(chanserv_lookup_and_post(many.client, name, cs_str(""), NULL, &feed), CS_EMISUSE);
}

Test(client_name_space, is_a_name)
{
    static const struct chanserv_client_options bad[] = {
        {.name_space = ""}, {.name_space = "a b"}, {.token = {"two words", 9}}};
    chanserv_client *client;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(chanserv_client_new(many.loop, &bad[i], &client), CS_EINVAL);
}
