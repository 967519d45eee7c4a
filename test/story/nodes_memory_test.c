/* Several nodes, while every allocation fails once: nobody crashes or waits for ever, nothing runs
 * twice, and nothing stays alive. */
#include "chanserv/client__in.h"
#include "mux/local.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { SERVERS = 3, POSTS = 16 };

static struct {
    cs_loop *loop;
    chanserv_server *servers[SERVERS];
    chanserv_client *client;
    int runs[POSTS], posts, lookups;
    uint8_t ticket[32];
} t;

static cs_err give(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    (void)outlet;
    if ((*(int *)state)++ > 0)
        return CS_DONE;
    *frame = cs_str("frame");
    return CS_OK;
}

static cs_err count(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(int), .next = give};
    const int number = *(const uint8_t *)body.base;
    cs_err err;

    (void)user;
    cr_assert_eq(++t.runs[number], 1, "post %d ran twice", number);
    err = chanserv_announce(post, cs_str("h"), &ops, NULL, NULL);
    return err == CS_OK ? CS_DONE : err;
}

static bool up(void)
{
    const struct chanserv_client_options options = {.name_space = "a.b", .token = cs_str("t0k3n")};

    if (cs_loop_new_virtual(&t.loop) != CS_OK ||
        chanserv_client_new(t.loop, &options, &t.client) != CS_OK)
        return false;
    for (int i = 0; i < SERVERS; i++) {
        char name[16];
        const struct chanserv_server_options server = {.node = name, .name_space = "a.b"};

        snprintf(name, sizeof name, "n%d", i);
        if (chanserv_server_new(t.loop, &server, &t.servers[i]) != CS_OK ||
            chanserv_serve(t.servers[i], "x", count, NULL) != CS_OK)
            return false;
    }
    return chanserv_join_local(t.client, t.servers[0]) == CS_OK;
}

static void read_all(chanserv_feed *feed, bool keeps_ticket)
{
    chanserv_source *source;
    cs_bytes frame;

    while (chanserv_range_source(feed, &source)) {
        cs_bytes ticket = chanserv_source_ticket(source);
        if (keeps_ticket && ticket.len == sizeof t.ticket)
            memcpy(t.ticket, ticket.base, sizeof t.ticket);
        else
            while (chanserv_range_frame(source, &frame))
                ;
    }
    cr_assert_neq(chanserv_feed_status(feed), CS_AGAIN);
}

static chanserv_feed *post(const char *service, const char *bucket)
{
    static const cs_pair who = {{"who", 3}, {"me", 2}};
    const struct chanserv_post_options options = {
        .bucket = cs_str(bucket), .metadata = &who, .metadata_len = 1};
    const uint8_t number = (uint8_t)t.posts++;
    chanserv_feed *feed;
    cs_err err =
        chanserv_lookup_and_post(t.client, service, cs_bytes_of(&number, 1), &options, &feed);

    cr_assert(err == CS_OK || err == CS_ENOMEM, "%s", cs_strerror(err));
    return err == CS_OK ? feed : NULL;
}

static void post_and_read(const char *service, const char *bucket, bool keeps_ticket)
{
    chanserv_feed *feed = post(service, bucket);

    if (feed) {
        read_all(feed, keeps_ticket);
        (void)chanserv_feed_close(feed);
    }
}

static void open_ticket(void)
{
    chanserv_source *source;
    cs_bytes frame;

    if (chanserv_open_ticket(t.client, NULL, cs_bytes_of(t.ticket, sizeof t.ticket), 0, &source) !=
        CS_OK)
        return;
    while (chanserv_range_frame(source, &frame))
        ;
    cr_assert_neq(chanserv_source_status(source), CS_AGAIN);
    chanserv_source_close(source);
}

static void look(void)
{
    chanserv_source *source;
    chanserv_feed *feed;
    cs_bytes frame;

    if (chanserv_lookup(t.client, "*", &feed) != CS_OK)
        return;
    cs_loop_settle(t.loop);
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            (void)chanserv_serve(t.servers[0], "y", count, NULL);
        cs_loop_settle(t.loop);
        if (chanserv_feed_recv(feed, &source) == CS_OK)
            t.lookups += chanserv_source_recv(source, &frame) == CS_OK;
    }
    (void)chanserv_feed_close(feed);
}

static void talk(void)
{
    chanserv_feed *late;

    post_and_read("x", "", false); /* one node */
    late = post("late", "");
    cs_loop_advance(t.loop, 500);
    (void)chanserv_serve(t.servers[0], "late", count, NULL);
    if (late)
        read_all(late, false);
    for (int i = 1; i < SERVERS; i++)
        (void)chanserv_join_local(t.client, t.servers[i]);
    for (int i = 0; i < SERVERS; i++)
        post_and_read("x", i < 2 ? "" : "bucket", i == 1);
    open_ticket();
    look();
    (void)chanserv_unserve(t.servers[1], "x"); /* it finds out by itself */
    chanserv_server_free(t.servers[2]);
    t.servers[2] = NULL;
    mux_conn_break(chanserv__nodes_first(t.client)->conn);
    for (int i = 0; i < SERVERS; i++)
        post_and_read("x", "", false);
    post_and_read("nobody", "", false);
    (void)chanserv_join(t.client, "localhost:1");
    (void)chanserv_leave(t.client, "localhost:1");
    (void)post("x", "");
}

static void story(void)
{
    memset(&t, 0, sizeof t);
    if (up())
        talk();
    chanserv_client_free(t.client);
    for (int i = 0; i < SERVERS; i++)
        chanserv_server_free(t.servers[i]);
    if (t.loop)
        cs_loop_free(t.loop);
    if (!failing_failed()) {
        cr_assert_gt(t.lookups, 1);
        for (int i = 0; i < 8; i++)
            cr_assert_eq(t.runs[i], 1, "post %d", i);
    }
}

Test(nodes_memory, survives_every_failed_allocation)
{
    failing_story(story);
}

Test(nodes_memory, survives_a_drought)
{
    for (size_t step = 1; step < 12; step++)
        failing_drought(story, 1 + step * 37);
}
