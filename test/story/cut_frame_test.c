/* One long frame of many parts, and a connection that breaks within it, again and again: it arrives whole
 * and once, both ways, and what windows had grown by comes back at each break. */
#include "chanserv/chanserv.h"
#include "chanserv/client__in.h"
#include "mux/lasting.h"
#include "mux/local.h"
#include "mux/mux__in.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { FRAME = 64 << 20, CUTS = 10, EVERY = 6 };

static struct {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_source *source;
    uint8_t *frame;
    chanserv_outlet *outlet;
    int turns, cuts, within, grown;
    size_t given, heard;
    cs_err ended;
} t;

static cs_err next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)o, (void)state;
    *frame = cs_bytes_of(t.frame, FRAME);
    return t.given++ == 0 ? CS_OK : CS_AGAIN;
}

static void hear(chanserv_outlet *o)
{
    cs_bytes frame;
    cs_err err;

    while ((err = chanserv_outlet_recv(o, &frame)) == CS_OK)
        t.heard += cs_same(frame, cs_bytes_of(t.frame, FRAME));
    if (err == CS_DONE)
        chanserv_outlet_finish(o, CS_DONE);
}

static void end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)o, (void)state;
    t.outlet = NULL;
    t.ended = why;
}

static const struct chanserv_outlet_ops down_ops = {.next = next, .end = end, .uplink = true};
static const struct chanserv_outlet_ops up_ops = {.end = end, .uplink = true};

static cs_err announce(chanserv_post *post, cs_bytes body, void *user)
{
    (void)user;
    return chanserv_announce(post, body, body.len ? &up_ops : &down_ops, NULL, &t.outlet) == CS_OK
               ? CS_DONE
               : CS_ENOMEM;
}

/* A window a millisecond; every so many of those in which it goes on, a cut. */
static void go_on(void)
{
    mux_conn *conn = chanserv__nodes_first(t.client)->conn;
    mux_stream *stream = t.source->line.stream;

    if (t.cuts < CUTS && conn && stream && !mux_stream_is_detached(stream) &&
        ++t.turns % EVERY == 0) {
        t.within += mux_stream_received(stream) > 0 || mux_keep_oldest(mux_stream_kept(stream)) > 0;
        t.grown += conn->grown > 0;
        mux_conn_break(conn);
        t.cuts++;
    }
    cs_loop_advance(t.loop, 1);
    if (t.outlet)
        hear(t.outlet);
}

static void up(void)
{
    memset(&t, 0, sizeof t);
    t.frame = malloc(FRAME);
    cr_assert(t.frame);
    for (uint32_t i = 0; i < FRAME / 4; i++)
        memcpy(t.frame + (size_t)4 * i, &(uint32_t){i * 2654435761u}, 4);
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    cr_assert_eq(chanserv_server_new(t.loop, NULL, &t.server), CS_OK);
    chanserv_serve(t.server, "s", announce, NULL);
    cr_assert_eq(chanserv_client_new(t.loop, &(struct chanserv_client_options){.resume_ms = 20000},
                                     &t.client),
                 CS_OK);
    cr_assert_eq(chanserv_join_local(t.client, t.server), CS_OK);
}

static void down(void)
{
    chanserv_client_free(t.client);
    chanserv_server_free(t.server);
    cs_loop_free(t.loop);
    free(t.frame);
}

TestSuite(cut_frame, .init = up, .fini = down);

static void begin(const char *body)
{
    chanserv_feed *feed;

    cr_assert_eq(chanserv_lookup_and_post(t.client, "s", cs_str(body), NULL, &feed), CS_OK);
    cr_assert(chanserv_range_source(feed, &t.source));
    cr_assert_eq(chanserv_source_open(t.source, 0), CS_OK);
}

static void counts(void)
{
    struct chanserv_counters seen;

    chanserv_server_counters(t.server, &seen);
    cr_assert_eq(t.cuts, CUTS, "only %d in %d turns", t.cuts, t.turns);
    cr_assert_gt(t.within, CUTS / 2, "only %d", t.within);
    cr_assert_geq(seen.channels_resumed, CUTS, "%d", (int)seen.channels_resumed);
}

Test(cut_frame, comes_down_whole_and_what_windows_had_grown_by_comes_back)
{
    cs_bytes frame;
    cs_err err = CS_AGAIN;

    begin("");
    for (int i = 0; i < 60000 && (err = chanserv_source_recv(t.source, &frame)) == CS_AGAIN; i++)
        go_on();
    cr_assert_eq(err, CS_OK, "%s", chanserv_source_errmsg(t.source));
    cr_assert(cs_same(frame, cs_bytes_of(t.frame, FRAME)));
    counts();
    cr_assert_gt(t.grown, 3, "%d", t.grown);
    mux_conn *conn = chanserv__nodes_first(t.client)->conn;
    cr_assert_leq(t.given, 2, "it was asked for again");
    chanserv_source_close(t.source);
    cs_loop_advance(t.loop, 100);
    cr_assert_eq(conn->grown, 0, "%lld", (long long)conn->grown);
}

Test(cut_frame, goes_up_whole)
{
    cs_bytes frame;
    cs_err err = CS_AGAIN;

    begin("up");
    cr_assert_eq(chanserv_source_send(t.source, cs_bytes_of(t.frame, FRAME), CS_NOW), CS_OK);
    chanserv_source_finish(t.source);
    for (int i = 0; i < 60000 && (err = chanserv_source_recv(t.source, &frame)) == CS_AGAIN; i++)
        go_on();
    cr_assert_eq(err, CS_DONE, "%s", chanserv_source_errmsg(t.source));
    cr_assert_eq(t.heard, 1);
    cr_assert_eq(t.ended, CS_DONE);
    counts();
}
