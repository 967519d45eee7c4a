/* Posts inside the process that are made for somebody else: who is seen, and counted. */
#include "test/support/failing.h"

#include "base/mem.h"
#include "chanserv/chanserv.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    char said[512];
    cs_err verdict; /* about an Open */
} w;

static void say(const char *format, ...) CS_PRINTF(1, 2);
static void say(const char *format, ...)
{
    const size_t len = strlen(w.said);
    va_list args;

    va_start(args, format);
    vsnprintf(w.said + len, sizeof w.said - len, format, args);
    va_end(args);
}

static void say_peer(const char *what, const struct mux_peer *peer)
{
    say("%s %.*s %d %.*s", what, CS_FMT(peer->addr), (int)peer->uid, CS_FMT(peer->tls_subject));
    for (size_t i = 0; i < peer->tls_sans_len; i++)
        say(" %.*s", CS_FMT(peer->tls_sans[i]));
    say("; ");
}

static cs_err authorise(const struct chanserv_request *request, void *user)
{
    (void)user;
    say_peer(request->verb == CHANSERV_POST ? "post" : "open", request->peer);
    for (size_t i = 0; i < request->metadata_len; i++)
        say("%.*s=%.*s; ", CS_FMT(request->metadata[i].name), CS_FMT(request->metadata[i].value));
    return request->verb == CHANSERV_POST ? CS_OK : w.verdict;
}

static cs_err next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    (void)outlet, (void)state;
    *frame = cs_str("f");
    return chanserv_outlet_next_number(outlet) < 2 ? CS_OK : CS_DONE;
}

static cs_err one(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.next = next};

    (void)body, (void)user;
    say_peer("ran", chanserv_post_peer(post));
    return chanserv_announce(post, cs_str("h"), &ops, NULL, NULL) == CS_OK ? CS_DONE : CS_ENOMEM;
}

static cs_err up(int resume_ms)
{
    const struct chanserv_server_options so = {.authorise = authorise};
    const struct chanserv_client_options co = {.resume_ms = resume_ms, .lookup_timeout_ms = CS_OFF};
    cs_err err;

    memset(&w, 0, sizeof w);
    if ((err = cs_loop_new_virtual(&w.loop)) == CS_OK &&
        (err = chanserv_server_new(w.loop, &so, &w.server)) == CS_OK &&
        (err = chanserv_serve(w.server, "one", one, NULL)) == CS_OK &&
        (err = chanserv_client_new(w.loop, &co, &w.client)) == CS_OK)
        err = chanserv_join_local(w.client, w.server);
    return err;
}

static void down(void)
{
    chanserv_client_free(w.client);
    chanserv_server_free(w.server);
    cs_loop_free(w.loop);
}

static const cs_bytes sans[] = {{"DNS:a.example", 13}, {"URI:x", 5}};
static const struct mux_peer alice = {.addr = {"10.1.2.3:44", 11},
                                      .uid = 7,
                                      .gid = -1,
                                      .pid = -1,
                                      .tls_subject = {"CN=alice", 8},
                                      .tls_sans = sans,
                                      .tls_sans_len = 2};
static const cs_pair tag = {{"x-tag", 5}, {"t", 1}};
static const struct chanserv_post_options for_alice = {
    .peer = &alice, .metadata = &tag, .metadata_len = 1};

#define ALICE "10.1.2.3:44 7 CN=alice DNS:a.example URI:x; "

static size_t read_all(chanserv_feed *feed)
{
    chanserv_source *source;
    cs_bytes frame;
    size_t n = 0;

    while (chanserv_range_source(feed, &source))
        while (chanserv_range_frame(source, &frame))
            n++;
    return n;
}

Test(behalf, who_it_is_for_is_who_posts_and_opens)
{
    chanserv_feed *feed;

    cr_assert_eq(up(CS_OFF), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "one", cs_str(""), &for_alice, &feed), CS_OK);
    cr_expect_eq(read_all(feed), 2);
    cr_expect_str_eq(w.said, "post " ALICE "x-tag=t; ran " ALICE "open " ALICE "x-tag=t; ");
    cr_expect_eq(chanserv_feed_close(feed), CS_OK);
    down();
}

Test(behalf, it_is_no_part_of_our_session)
{
    chanserv_feed *feed;
    struct chanserv_counters c;

    cr_assert_eq(up(1000), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "one", cs_str(""), &for_alice, &feed), CS_OK);
    cr_expect_eq(read_all(feed), 2);
    chanserv_server_counters(w.server, &c);
    cr_expect_eq(c.sessions, 1);
    cr_expect_eq(c.channels, 0);
    cr_expect(strstr(w.said, "ran " ALICE), "%s", w.said);
    chanserv_feed_close(feed);
    down();
}

Test(behalf, a_ticket_is_opened_for_somebody_too)
{
    chanserv_source *announced, *source;
    chanserv_feed *feed;
    cs_bytes frame;
    size_t n = 0;

    cr_assert_eq(up(CS_OFF), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "one", cs_str(""), NULL, &feed), CS_OK);
    cr_assert(chanserv_range_source(feed, &announced));
    w.said[0] = '\0';
    cr_assert_eq(chanserv_open_ticket_for(w.client, NULL, chanserv_source_ticket(announced), 0,
                                          &for_alice, &source),
                 CS_OK);
    while (chanserv_range_frame(source, &frame))
        n++;
    cr_expect_eq(n, 2);
    cr_expect_str_eq(w.said, "open " ALICE "x-tag=t; ");
    chanserv_source_close(source);
    chanserv_feed_close(feed);
    down();
}

/* Only where nobody else can be told: it would be a lie to another process. */
Test(behalf, not_to_another_process)
{
    chanserv_feed *feed;
    chanserv_source *source;

    cr_assert_eq(up(CS_OFF), CS_OK);
    cr_assert_eq(chanserv_join(w.client, "unix:/nowhere"), CS_OK);
    cr_expect_eq(chanserv_lookup_and_post(w.client, "one", cs_str(""), &for_alice, &feed),
                 CS_EMISUSE);
    cr_expect_eq(chanserv_open_ticket_for(w.client, NULL, cs_str("t"), 0, &for_alice, &source),
                 CS_EMISUSE);
    down();
}

static void story(void)
{
    chanserv_feed *feed = NULL;

    if (up(CS_OFF) == CS_OK &&
        chanserv_lookup_and_post(w.client, "one", cs_str(""), &for_alice, &feed) == CS_OK) {
        (void)read_all(feed);
        if (!failing_failed())
            cr_expect_str_eq(w.said, "post " ALICE "x-tag=t; ran " ALICE "open " ALICE "x-tag=t; ");
        else
            cr_expect_not(strstr(w.said, "ran local"), "%s", w.said);
        chanserv_feed_close(feed);
    }
    down();
}

Test(behalf, every_failed_allocation)
{
    failing_story(story);
}

/* ---- What handlers of other dialects ask ---------------------------------------------------------- */

Test(behalf, the_hook_is_asked_as_of_a_call)
{
    char why[CHANSERV_WHY_MAX] = "old";
    const struct chanserv_request asks = {
        .verb = CHANSERV_RAW, .service = cs_str("/x"), .why = why, .peer = &alice};
    struct chanserv_counters c;

    cr_assert_eq(up(CS_OFF), CS_OK);
    w.verdict = CS_EPERM;
    cr_expect_eq(chanserv_server_authorise(w.server, &asks), CS_EPERM);
    cr_expect_str_eq(w.said, "open " ALICE);
    chanserv_server_counters(w.server, &c);
    cr_expect_eq(c.posts_refused_denied, 1);
    w.verdict = CS_OK;
    cr_expect_eq(chanserv_server_authorise(w.server, &asks), CS_OK);
    cr_expect_str_eq(why, "");
    down();
}

Test(behalf, what_nobody_will_open_is_over_and_what_is_open_stays)
{
    chanserv_source *opened, *source;
    chanserv_feed *feed, *other;
    char guess[32];
    cs_bytes ticket, frame;
    struct chanserv_counters c;

    cr_assert_eq(up(CS_OFF), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "one", cs_str(""), NULL, &feed), CS_OK);
    cr_assert(chanserv_range_source(feed, &opened));
    cr_assert(chanserv_range_frame(opened, &frame));
    chanserv_server_skip(w.server, chanserv_source_ticket(opened));
    cr_expect(chanserv_range_frame(opened, &frame));
    cr_assert_eq(chanserv_lookup_and_post(w.client, "one", cs_str(""), NULL, &other), CS_OK);
    cr_assert(chanserv_range_source(other, &source));
    ticket = chanserv_source_ticket(source);
    cr_assert_eq(ticket.len, sizeof guess);
    memcpy(guess, ticket.base, sizeof guess);
    guess[31] ^= 1;
    chanserv_server_skip(w.server, cs_bytes_of(guess, sizeof guess));
    chanserv_server_skip(w.server, cs_bytes_of(guess, 31));
    chanserv_server_counters(w.server, &c);
    cr_expect_eq(c.sources_waiting, 1);
    chanserv_server_skip(w.server, ticket);
    chanserv_server_counters(w.server, &c);
    cr_expect_eq(c.sources_waiting, 0);
    cr_expect_not(chanserv_range_frame(source, &frame));
    cr_expect_eq(chanserv_source_status(source), CS_EEXPIRED);
    chanserv_feed_close(feed);
    chanserv_feed_close(other);
    down();
}

Test(behalf, the_names_that_it_serves)
{
    size_t at = 0;
    cs_bytes name;

    cr_assert_eq(up(CS_OFF), CS_OK);
    cr_assert_eq(chanserv_server_service(w.server, &at, &name), CS_OK);
    cr_expect(cs_same(name, cs_str("one")));
    cr_expect_eq(chanserv_server_service(w.server, &at, &name), CS_DONE);
    down();
}

static void replied(cs_err err, cs_bytes reply, const char *errmsg, void *user)
{
    (void)errmsg, (void)user;
    say("%s %d; ", cs_strerror(err), reply.len > 0);
}

Test(behalf, any_method_is_called_in_the_process)
{
    static const char post[] = "/chanserv.v1.Chanserv/Post";
    mux_conn *conn;

    cr_assert_eq(up(CS_OFF), CS_OK);
    cr_assert_eq(chanserv_server_dial(w.server, NULL, &conn), CS_OK);
    cr_assert_eq(mux_unary(conn, post, cs_str("\n\3one"), NULL, replied, NULL, NULL), CS_OK);
    cs_loop_settle(w.loop);
    cr_expect_str_eq(w.said, "post local -1 ; ran local -1 ; ok 1; ");
    chanserv_server_free(w.server);
    w.server = NULL;
    w.said[0] = '\0';
    cr_assert_eq(mux_unary(conn, post, cs_str("\n\3one"), NULL, replied, NULL, NULL), CS_OK);
    cs_loop_advance(w.loop, 1000);
    cr_expect(strstr(w.said, " 0; "), "%s", w.said);
    mux_conn_free(conn);
    down();
}
