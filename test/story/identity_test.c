/* Who a call says it is: the token of a client on everything, the metadata of a post on the opening
 * of its sources; and tickets that came by other hands. */
#include "test/story/many.h"

#include "mux/local.h"

#include <stdio.h>

static char heard[400]; /* what the hooks of the servers were told */

static cs_err hear(const struct chanserv_request *request, void *user)
{
    static const char *const verbs[] = {"post", "open", "list"};
    size_t at = strlen(heard);

    (void)user;
    at += (size_t)snprintf(heard + at, sizeof heard - at, "%s", verbs[request->verb]);
    for (size_t i = 0; i < request->metadata_len && at < sizeof heard; i++)
        at +=
            (size_t)snprintf(heard + at, sizeof heard - at, " %.*s=%.*s",
                             CS_FMT(request->metadata[i].name), CS_FMT(request->metadata[i].value));
    if (at < sizeof heard)
        snprintf(heard + at, sizeof heard - at, "; ");
    return CS_OK;
}

static cs_err give(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    int *given = state;

    (void)outlet;
    if (*given == 3)
        return CS_DONE;
    *frame = cs_bytes_of(&"abc"[(*given)++], 1);
    return CS_OK;
}

static cs_err begin(chanserv_outlet *outlet, uint64_t from, void *state)
{
    (void)outlet;
    *(int *)state = (int)from;
    return CS_OK;
}

static cs_err three(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {
        .state_bytes = sizeof(int), .open = begin, .next = give};
    const int *runs = user;
    char header[8];

    (void)body;
    snprintf(header, sizeof header, "n%d", (int)(runs - many.runs));
    for (int i = 0; i < 2; i++)
        if (chanserv_announce(post, cs_str(header), &ops, NULL, NULL) != CS_OK)
            return CS_ENOMEM;
    return CS_DONE;
}

static void two_servers(void)
{
    for (int i = 0; i < 2; i++) {
        const struct chanserv_server_options options = {.authorise = hear};

        cr_assert_eq(chanserv_server_new(many.loop, &options, &many.servers[i]), CS_OK);
        cr_assert_eq(chanserv_serve(many.servers[i], "three", three, &many.runs[i]), CS_OK);
    }
    heard[0] = '\0';
}

static void up(void)
{
    const struct chanserv_client_options options = {.token = cs_str("t0k3n")};

    many_client(&options);
    two_servers();
}

static cs_err read_all(chanserv_source *source, char text[16])
{
    cs_bytes frame;

    text[0] = '\0';
    while (chanserv_range_frame(source, &frame))
        snprintf(text + strlen(text), 16 - strlen(text), "%.*s", CS_FMT(frame));
    return chanserv_source_status(source);
}

TestSuite(identity, .init = up, .fini = many_down);

Test(identity, the_token_is_sent_with_each_call)
{
    chanserv_source *source;
    chanserv_feed *feed;
    char text[16];

    many_join(0);
    feed = many_post("three");
    cr_assert(chanserv_range_source(feed, &source));
    cr_expect_eq(read_all(source, text), CS_DONE);
    cr_expect_str_eq(heard, "post authorization=Bearer t0k3n; open authorization=Bearer t0k3n; ");
    heard[0] = '\0';
    many_join(1);
    cs_loop_settle(many.loop);
    cr_expect_str_eq(heard, "list authorization=Bearer t0k3n; list authorization=Bearer t0k3n; ");
}

Test(identity, the_metadata_of_a_post_are_sent_with_the_opening_of_its_sources)
{
    char value[] = "00-4bf9-00f0-01";
    const cs_pair more[] = {{cs_str("traceparent"), cs_str(value)}, {cs_str("who"), cs_str("me")}};
    const struct chanserv_post_options options = {.metadata = more, .metadata_len = 2};
    chanserv_source *source, *kept;
    chanserv_feed *feed;
    char text[16];

    many_join(0);
    cr_assert_eq(chanserv_lookup_and_post(many.client, "three", cs_str(""), &options, &feed),
                 CS_OK);
    memset(value, '-', sizeof value - 1); /* they were copied */
    cr_assert(chanserv_range_source(feed, &source));
    cr_assert(chanserv_range_source(feed, &kept));
    chanserv_source_keep(kept);
    (void)chanserv_feed_close(feed);
    cr_expect_eq(read_all(kept, text), CS_DONE, "%s", chanserv_source_errmsg(kept));
    cr_expect_str_eq(heard, "post authorization=Bearer t0k3n traceparent=00-4bf9-00f0-01 who=me; "
                            "open authorization=Bearer t0k3n traceparent=00-4bf9-00f0-01 who=me; ");
    chanserv_source_close(kept);
}

Test(identity, a_post_may_say_that_it_is_somebody_else)
{
    const cs_pair other = {cs_str("authorization"), cs_str("Bearer other")};
    const struct chanserv_post_options options = {.metadata = &other, .metadata_len = 1};
    chanserv_feed *feed;

    many_join(0);
    cr_assert_eq(chanserv_lookup_and_post(many.client, "three", cs_str(""), &options, &feed),
                 CS_OK);
    cs_loop_settle(many.loop);
    cr_expect_str_eq(heard, "post authorization=Bearer other; ");
}

Test(identity, bad_metadata_is_told_before_anything_is_waited_for)
{
    const cs_pair bad = {cs_str("Upper"), cs_str("x")};
    const struct chanserv_post_options options = {.metadata = &bad, .metadata_len = 1};
    chanserv_feed *feed;

    many_join(0);
    many_join(1);
    cr_expect_eq(chanserv_lookup_and_post(many.client, "three", cs_str(""), &options, &feed),
                 CS_EMISUSE);
}

/* ---- Tickets --------------------------------------------------------------------------------- */

/* Of a source that another client was told of. */
static void ticket_of(int server, uint8_t ticket[32], chanserv_client **ret)
{
    chanserv_source *source;
    chanserv_feed *feed;

    cr_assert_eq(chanserv_client_new(many.loop, NULL, ret), CS_OK);
    cr_assert_eq(chanserv_join_local(*ret, many.servers[server]), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(*ret, "three", cs_str(""), NULL, &feed), CS_OK);
    cr_assert(chanserv_range_source(feed, &source));
    cr_assert_eq(chanserv_source_ticket(source).len, 32);
    memcpy(ticket, chanserv_source_ticket(source).base, 32);
}

Test(identity, a_ticket_opens_at_the_node_that_it_names)
{
    for (int known = 0; known < 2; known++) {
        for (int server = 0; server < 2; server++) {
            chanserv_client *other;
            chanserv_source *source;
            uint8_t ticket[32];
            char text[16];

            if (!many_node(0)) {
                many_join(0);
                many_join(1);
            }
            if (known)
                cs_loop_settle(many.loop);
            ticket_of(server, ticket, &other);
            cr_assert_eq(
                chanserv_open_ticket(many.client, NULL, cs_bytes_of(ticket, 32), 1, &source),
                CS_OK);
            cr_expect_null(chanserv_source_feed(source));
            cr_expect_eq(read_all(source, text), CS_DONE, "%s", chanserv_source_errmsg(source));
            cr_expect_str_eq(text, "bc");
            chanserv_source_close(source);
            chanserv_client_free(other);
        }
    }
}

Test(identity, a_ticket_of_another_process_says_what_to_do)
{
    chanserv_client *other;
    chanserv_source *source;
    uint8_t ticket[32];
    char text[16];

    many_join(0);
    ticket_of(1, ticket, &other);
    cr_assert_eq(chanserv_open_ticket(many.client, NULL, cs_bytes_of(ticket, 32), 0, &source),
                 CS_OK);
    cr_expect_eq(read_all(source, text), CS_EPRECOND);
    cr_expect(strstr(chanserv_source_errmsg(source), "open it where it was announced"), "%s",
              chanserv_source_errmsg(source));
    chanserv_source_close(source);
    chanserv_client_free(other);
}

Test(identity, what_is_no_ticket_is_refused_here)
{
    uint8_t long_one[65] = {0};
    chanserv_source *source;

    cr_expect_eq(chanserv_open_ticket(many.client, NULL, cs_bytes_of(long_one, 32), 0, &source),
                 CS_EMISUSE);
    many_join(0);
    cr_expect_eq(chanserv_open_ticket(many.client, NULL, cs_bytes_of(long_one, 65), 0, &source),
                 CS_EINVAL);
    cr_expect_eq(chanserv_open_ticket(many.client, NULL, cs_str(""), 0, &source), CS_EINVAL);
    cr_expect_eq(chanserv_open_ticket(many.client, "x:1", cs_bytes_of(long_one, 32), 0, &source),
                 CS_ENOENT);
}
