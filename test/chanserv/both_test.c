/* Both halves of the room together: what needs a real client and a real server at once. */
#include "chanserv/chanserv.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>

struct world {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
};

static struct world world_of(cs_loop *loop, const struct chanserv_server_options *options,
                             chanserv_source_fn *fn)
{
    struct world w = {.loop = loop};
    cr_assert_eq(chanserv_server_new(loop, options, &w.server), CS_OK);
    cr_assert_eq(chanserv_serve(w.server, "s", fn, NULL), CS_OK);
    cr_assert_eq(chanserv_client_new(loop, NULL, &w.client), CS_OK);
    return w;
}

static void world_free(struct world *w)
{
    chanserv_client_free(w->client);
    chanserv_server_free(w->server);
    cs_loop_free(w->loop);
}

/* ---- A wake inside next() ------------------------------------------------------------------- */

static cs_err restless_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    int *asked = state;
    if ((*asked)++ % 3 != 2) {
        chanserv_outlet_wake(out); /* before the answer that it belongs to */
        return CS_AGAIN;
    }
    if (*asked > 9)
        return CS_DONE;
    *frame = cs_str("x");
    return CS_OK;
}

static const struct chanserv_outlet_ops restless_ops = {.state_bytes = sizeof(int),
                                                        .next = restless_next};

static cs_err restless_post_next(chanserv_post *post, void *state)
{
    int *asked = state;
    if (++*asked == 1) {
        chanserv_post_wake(post);
        return CS_AGAIN;
    }
    cs_err err = chanserv_announce(post, cs_str("h"), &restless_ops, NULL, NULL);
    return err == CS_OK ? CS_DONE : err;
}

static const struct chanserv_post_ops restless_post_ops = {.state_bytes = sizeof(int),
                                                           .next = restless_post_next};

static cs_err restless(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    return chanserv_post_keep(post, &restless_post_ops, NULL);
}

Test(both, a_wake_inside_next_is_not_lost)
{
    cs_loop *loop;
    chanserv_feed *feed;
    chanserv_source *source;
    cs_bytes frame;
    int frames = 0;
    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    struct world w = world_of(loop, NULL, restless);
    cr_assert_eq(chanserv_join_local(w.client, w.server), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "s", cs_str(""), NULL, &feed), CS_OK);
    cr_assert(chanserv_range_source(feed, &source));
    while (chanserv_range_frame(source, &frame))
        frames++;
    cr_assert_eq(chanserv_source_status(source), CS_DONE);
    cr_assert_eq(frames, 3);
    world_free(&w);
}

/* ---- A wait that nothing can end ------------------------------------------------------------- */

static cs_err silent_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    (void)out, (void)frame, (void)state;
    return CS_AGAIN;
}

static const struct chanserv_outlet_ops silent_ops = {.next = silent_next};

static cs_err silent(chanserv_post *post, cs_bytes body, void *user)
{
    (void)user;
    cs_err err = chanserv_announce(post, body, &silent_ops, NULL, NULL);
    return err == CS_OK ? CS_DONE : err;
}

Test(both, a_wait_that_nothing_can_end_fails_on_a_virtual_loop_though_keepalive_goes_on)
{
    cs_loop *loop;
    chanserv_feed *feed;
    chanserv_source *source;
    cs_bytes frame;
    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    struct world w = world_of(loop, NULL, silent);
    cr_assert_eq(chanserv_join_local(w.client, w.server), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "s", cs_str(""), NULL, &feed), CS_OK);
    cr_assert(chanserv_range_source(feed, &source));
    cr_assert_not(chanserv_range_frame(source, &frame));
    cr_assert_eq(chanserv_source_status(source), CS_EMISUSE);
    world_free(&w);
}

/* ---- connections_max ------------------------------------------------------------------------ */

static cs_err nothing(chanserv_post *post, cs_bytes body, void *user)
{
    (void)post, (void)body, (void)user;
    return CS_DONE;
}

Test(both, a_connection_beyond_connections_max_is_closed_at_once_and_counted)
{
    const struct chanserv_server_options options = {.connections_max = 1};
    struct chanserv_counters counters;
    cs_loop *loop;
    chanserv_client *second;
    chanserv_feed *feed;
    cr_assert_eq(cs_loop_new(NULL, &loop), CS_OK);
    struct world w = world_of(loop, &options, nothing);
    cr_assert_eq(chanserv_listen(w.server, "127.0.0.1:0"), CS_OK);
    const char *addr = chanserv_server_addr(w.server, 0);
    cr_assert_eq(chanserv_join(w.client, addr), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "s", cs_str(""), NULL, &feed), CS_OK);
    cr_assert_eq(chanserv_feed_close(feed), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "s", cs_str(""), NULL, &feed), CS_OK);
    cr_assert_eq(chanserv_feed_ready(feed), CS_OK);

    for (int resume_ms = CS_OFF; resume_ms <= 0; resume_ms++) {
        const struct chanserv_client_options with = {.resume_ms = resume_ms};
        cr_assert_eq(chanserv_client_new(loop, &with, &second), CS_OK);
        cr_assert_eq(chanserv_join(second, addr), CS_OK);
        cr_assert_eq(chanserv_lookup_and_post(second, "s", cs_str(""), NULL, &feed), CS_OK);
        cr_assert_eq(chanserv_feed_ready(feed), CS_EPEER);
        chanserv_server_counters(w.server, &counters);
        cr_assert_eq(counters.connections, 1);
        if (resume_ms == CS_OFF)
            cr_assert_eq(counters.connections_refused, 1);
        chanserv_client_free(second);
    }
    cr_assert_geq(counters.connections_refused, 3); /* one that resumes tries again, a few times */
    cr_assert_leq(counters.connections_refused, 8);
    world_free(&w);
}

/* ---- What an open source costs that says nothing ------------------------------------------------ */

enum { QUIET = 1000 };

static cs_err quiet_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    (void)out, (void)frame, (void)state;
    return CS_AGAIN;
}
static const struct chanserv_outlet_ops quiet_ops = {.next = quiet_next};

static cs_err quiet_post_next(chanserv_post *post, void *state)
{
    int *announced = state;
    if ((*announced)++ == QUIET)
        return CS_DONE;
    return chanserv_announce(post, cs_str("sixteen bytes..."), &quiet_ops, NULL, NULL);
}
static const struct chanserv_post_ops quiet_post_ops = {.state_bytes = sizeof(int),
                                                        .next = quiet_post_next};

static cs_err quiet(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    return chanserv_post_keep(post, &quiet_post_ops, NULL);
}

static size_t cost_of_quiet(int resume_ms)
{
    const struct chanserv_client_options with = {.resume_ms = resume_ms};
    struct world w = {0};
    chanserv_feed *feed;
    chanserv_source *source;
    size_t before, after;
    cr_assert_eq(cs_loop_new_virtual(&w.loop), CS_OK);
    w = world_of(w.loop, NULL, quiet);
    chanserv_client_free(w.client);
    cr_assert_eq(chanserv_client_new(w.loop, &with, &w.client), CS_OK);
    cr_assert_eq(chanserv_join_local(w.client, w.server), CS_OK);
    before = failing_live_bytes();
    cr_assert_eq(chanserv_lookup_and_post(w.client, "s", cs_str(""), NULL, &feed), CS_OK);
    for (int i = 0; i < QUIET; i++) {
        cr_assert(chanserv_range_source(feed, &source));
        cr_assert_eq(chanserv_source_open(source, 0), CS_OK);
    }
    cs_loop_settle(w.loop);
    after = failing_live_bytes();
    chanserv_feed_close(feed);
    world_free(&w);
    return (after - before) / QUIET;
}

Test(both, an_open_source_that_says_nothing_costs_little)
{
    size_t plain, lasting;
    failing_count();
    plain = cost_of_quiet(CS_OFF);
    cr_assert_leq(plain, 1376, "%zu bytes, both sides together", plain);
    lasting = cost_of_quiet(20000);
    cr_assert_leq(lasting, 1648, "with a session %zu", lasting);
}

/* ---- Very many sources ---------------------------------------------------------------------- */

static struct {
    int turns, most;
    unsigned seen;
} many;

static void many_readable(chanserv_feed *feed, void *state)
{
    chanserv_source *source;
    cs_err err;
    int n = 0;

    (void)state;
    many.turns++;
    while ((err = chanserv_feed_recv(feed, &source)) == CS_OK) {
        cr_assert_eq(chanserv_source_index(source), many.seen++);
        chanserv_source_close(source);
        n++;
    }
    cr_assert_eq(err, CS_AGAIN);
    cr_assert_eq(chanserv_feed_recv(feed, &source), CS_AGAIN, "not before the next turn");
    many.most = n > many.most ? n : many.most;
}

Test(both, who_gets_very_many_sources_gets_some_a_turn)
{
    enum { SOME = 256 };
    static const struct chanserv_feed_ops ops = {.readable = many_readable};
    cs_loop *loop;
    struct world w;
    chanserv_feed *feed;

    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    w = world_of(loop, NULL, quiet);
    cr_assert_eq(chanserv_join_local(w.client, w.server), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "s", cs_str(""), NULL, &feed), CS_OK);
    cs_loop_settle(loop); /* nearly all of them have come */
    cr_assert_eq(chanserv_feed_start(feed, &ops, NULL), CS_OK);
    cs_loop_settle(loop);
    cr_assert_eq(many.seen, QUIET, "in %d turns", many.turns);
    cr_assert_leq(many.most, SOME);
    cr_assert_geq(many.turns, QUIET / SOME);
    chanserv_feed_close(feed);
    world_free(&w);
}
