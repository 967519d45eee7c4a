/* Very many channels in one session, one after the other: nothing of them stays (docs/CONFORMANCE, 19; ten
 * million of them are test/long/churn). */
#include "chanserv/chanserv.h"
#include "chanserv/client__in.h"
#include "chanserv/server__in.h"
#include "mux/local.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>

enum { SOURCES = 100, POSTS = 300, WARM = 60, GROWS = 16 * 1024 };

static struct {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    size_t ended, left;
} w;

static cs_err next_frame(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    int *left = state;

    (void)o;
    if ((*left)-- == 0)
        return CS_DONE;
    *frame = cs_str("a frame");
    return CS_OK;
}

static const struct chanserv_outlet_ops outlet_ops = {.state_bytes = sizeof(int),
                                                      .next = next_frame};

static cs_err serve(chanserv_post *post, cs_bytes body, void *user)
{
    int frames = 2;

    (void)body, (void)user;
    for (int i = 0; i < SOURCES; i++)
        if (chanserv_announce(post, cs_str("a source"), &outlet_ops, &frames, NULL) != CS_OK)
            return CS_ENOMEM;
    return CS_DONE;
}

/* One in five is left after its beginning. */
static void on_frames(chanserv_source *source, void *state)
{
    const int *i = state;
    cs_bytes frame;

    if (*i % 5 == 0 && chanserv_source_recv(source, &frame) == CS_OK) {
        chanserv_source_close(source);
        w.left++;
        return;
    }
    while (chanserv_source_recv(source, &frame) == CS_OK)
        ;
}

static void on_source_end(chanserv_source *source, cs_err why, void *state)
{
    (void)source, (void)state;
    w.ended += why == CS_DONE;
}

/* One in a hundred is not opened. */
static void on_feed(chanserv_feed *feed, void *state)
{
    static const struct chanserv_source_ops ops = {
        .state_bytes = sizeof(int), .readable = on_frames, .end = on_source_end};
    chanserv_source *source;

    (void)state;
    for (int i = 0; chanserv_feed_recv(feed, &source) == CS_OK; i++) {
        if (i == 33) {
            chanserv_source_close(source);
            w.left++;
        } else {
            cr_assert_eq(chanserv_source_start(source, &ops, &i), CS_OK);
        }
    }
}

static void on_feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)feed, (void)state;
    cr_assert_eq(why, CS_DONE);
}

static void post(void)
{
    static const struct chanserv_feed_ops ops = {.readable = on_feed, .end = on_feed_end};
    chanserv_feed *feed;

    cr_assert_eq(chanserv_lookup_and_post(w.client, "churn", cs_str(""), NULL, &feed), CS_OK);
    cr_assert_eq(chanserv_feed_start(feed, &ops, NULL), CS_OK);
    cs_loop_advance(w.loop, 50);
    cr_assert_eq(chanserv_feed_close(feed), CS_OK);
}

/* Bytes; but for the dead tickets, which have a table of 512 KiB in the end. */
static size_t alive(void)
{
    return failing_live_bytes() - w.server->tickets.dead_cap * sizeof *w.server->tickets.dead;
}

/* Thirty thousand, with a connection that breaks between them. */
Test(churn, leaves_nothing_behind)
{
    static const struct chanserv_client_options options = {.resume_ms = 20000};
    struct chanserv_counters c;
    size_t warm = 0;

    failing_count();
    cr_assert_eq(cs_loop_new_virtual(&w.loop), CS_OK);
    cr_assert_eq(chanserv_server_new(w.loop, NULL, &w.server), CS_OK);
    cr_assert_eq(chanserv_serve(w.server, "churn", serve, NULL), CS_OK);
    cr_assert_eq(chanserv_client_new(w.loop, &options, &w.client), CS_OK);
    cr_assert_eq(chanserv_join_local(w.client, w.server), CS_OK);
    for (int i = 0; i < POSTS; i++) {
        post();
        if (i % 20 == 19) {
            mux_conn_break(chanserv__nodes_first(w.client)->conn);
            cs_loop_advance(w.loop, 1000);
        }
        if (i == WARM - 1)
            warm = alive();
    }
    cr_assert_eq(w.ended + w.left, POSTS * SOURCES);
    cr_assert_gt(w.ended, POSTS * SOURCES / 2);
    cr_assert_leq(alive(), warm + GROWS, "%zu bytes, then %zu", warm, alive());
    chanserv_server_counters(w.server, &c);
    cr_assert_eq(c.sessions_total, 1);
    cr_assert_geq(c.sessions_resumed, POSTS / 20 - 1);
    cr_assert_leq(c.channels, 1);
    cr_assert_eq(c.sessions_kept, 0);
    chanserv_client_free(w.client);
    chanserv_server_free(w.server);
    cs_loop_free(w.loop);
    cr_assert_eq(failing_live(), 0);
}
