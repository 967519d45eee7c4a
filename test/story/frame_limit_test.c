/* The largest frame by default, 100 MiB, passes both ways, and one byte more fails on its sender.
 * Zeroes that nobody writes to: the system gives no memory for them. */
#include "chanserv/chanserv.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { LIMIT = 100 << 20 };

static struct {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_source *source;
    uint8_t *zeroes;
    size_t give, heard;
    cs_err ended;
} t;

static cs_err next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)o, (void)state;
    if (t.give == 0)
        return CS_AGAIN;
    *frame = cs_bytes_of(t.zeroes, t.give);
    t.give = 0;
    return CS_OK;
}

static void hear(chanserv_outlet *o, void *state)
{
    cs_bytes frame;

    (void)state;
    while (chanserv_outlet_recv(o, &frame) == CS_OK)
        t.heard = frame.len;
}

static void end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)o, (void)state;
    t.ended = why;
}

static const struct chanserv_outlet_ops ops = {
    .next = next, .readable = hear, .end = end, .uplink = true};

static cs_err announce(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    return chanserv_announce(post, cs_str("h"), &ops, NULL, NULL) == CS_OK ? CS_DONE : CS_ENOMEM;
}

static void up(void)
{
    chanserv_feed *feed;

    t.zeroes = calloc(1, LIMIT + 1);
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    cr_assert_eq(chanserv_server_new(t.loop, NULL, &t.server), CS_OK);
    chanserv_serve(t.server, "s", announce, NULL);
    cr_assert_eq(chanserv_client_new(t.loop, NULL, &t.client), CS_OK);
    cr_assert_eq(chanserv_join_local(t.client, t.server), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(t.client, "s", cs_str(""), NULL, &feed), CS_OK);
    cr_assert(chanserv_range_source(feed, &t.source));
}

static void down(void)
{
    chanserv_client_free(t.client);
    chanserv_server_free(t.server);
    cs_loop_free(t.loop);
    free(t.zeroes);
}

TestSuite(frame_limit, .init = up, .fini = down);

Test(frame_limit, a_frame_of_100_mib_comes_down)
{
    cs_bytes frame;

    t.give = LIMIT;
    cr_assert(chanserv_range_frame(t.source, &frame), "%s", chanserv_source_errmsg(t.source));
    cr_assert(cs_same(frame, cs_bytes_of(t.zeroes, LIMIT)));
}

Test(frame_limit, one_byte_more_does_not_come_down_and_its_sender_is_told)
{
    cs_bytes frame;
    struct chanserv_counters seen;

    t.give = LIMIT + 1;
    cr_assert_not(chanserv_range_frame(t.source, &frame));
    cr_assert_eq(chanserv_source_status(t.source), CS_ETOOBIG);
    cr_assert_eq(t.ended, CS_ETOOBIG);
    chanserv_server_counters(t.server, &seen);
    cr_assert_eq(seen.frames_too_large, 1);
    cr_assert_eq(seen.frame_bytes_out, 0, "nothing of it was sent");
}

Test(frame_limit, a_frame_of_100_mib_goes_up)
{
    cr_assert_eq(chanserv_source_send(t.source, cs_bytes_of(t.zeroes, LIMIT), CS_NOW), CS_OK);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.heard, LIMIT);
}

Test(frame_limit, one_byte_more_does_not_go_up_and_its_sender_is_told)
{
    cr_assert_eq(chanserv_source_send(t.source, cs_bytes_of(t.zeroes, LIMIT + 1), CS_NOW),
                 CS_ETOOBIG);
    cr_assert_eq(chanserv_source_send(t.source, cs_str("x"), CS_NOW), CS_OK, "nothing has ended");
    cs_loop_settle(t.loop);
    cr_assert_eq(t.heard, 1);
}
