/* A connection that breaks at each moment there is: after the first turn of the loop, after the second, and so on to
 * the last, twice each time.  Between the last frame and the status, between the status and "done", within a frame
 * of many parts, in front of a gap and behind it: the story is the same (docs/CONFORMANCE, 3, 4, 5 and 15). */
#include "chanserv/chanserv.h"
#include "chanserv/client__in.h"
#include "mux/local.h"
#include "mux/stats.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { LARGE = 64 * 1024 * 1024, STEADY = 4000, STEADY_BYTES = 3000 };

static struct {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *stays, *feed;
    char story[1024];
    int runs, ends, over, breaks, turns, every;
    int again; /* breaks to come, each so many turns after it goes on */
    size_t steady;
    cs_task breaker;
} w;

/* ---- Services: one source with all that there is, a frame of 64 MiB, and many in a row --------------- */

static uint8_t large[LARGE];

static void end_counted(chanserv_outlet *o, cs_err why, void *state)
{
    (void)o, (void)why, (void)state;
    w.ends++;
}

static cs_err all_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    static const size_t lens[] = {0, 100, 70000, 1};
    int *at = state;

    if (*at > 0)
        chanserv_outlet_skip(o, (uint64_t)*at + 1, CHANSERV_GAP_OVERFLOW);
    if (*at == 4) /* a gap at the end */
        return CS_DONE;
    *frame = cs_bytes_of(large, lens[(*at)++]);
    return CS_OK;
}

static cs_err large_next(chanserv_outlet *o, cs_ref *frame, void *state)
{
    int *at = state;

    (void)o;
    return (*at)++ ? CS_DONE : cs_ref_wrap(cs_bytes_of(large, LARGE), NULL, NULL, frame);
}

static cs_err steady_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    int *at = state;

    (void)o;
    if (*at == STEADY)
        return CS_DONE;
    *frame = cs_bytes_of(large + *at, STEADY_BYTES);
    ++*at;
    return CS_OK;
}

static const struct chanserv_outlet_ops all_ops = {
    .state_bytes = sizeof(int), .next = all_next, .end = end_counted};
static const struct chanserv_outlet_ops large_ops = {
    .state_bytes = sizeof(int), .next_ref = large_next, .end = end_counted};
static const struct chanserv_outlet_ops steady_ops = {
    .state_bytes = sizeof(int), .next = steady_next, .end = end_counted};

static cs_err serve(chanserv_post *post, cs_bytes body, void *user)
{
    int at = 0;

    (void)body;
    w.runs++;
    return chanserv_announce(post, cs_str("a source"), user, &at, NULL) == CS_OK ? CS_DONE
                                                                                 : CS_ENOMEM;
}

/* Says nothing, and holds the session. */
static cs_err stay(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops;

    (void)body, (void)user;
    return chanserv_post_keep(post, &ops, NULL) == CS_OK ? CS_AGAIN : CS_ENOMEM;
}

/* ---- The client ------------------------------------------------------------------------------------ */

static void tell(const char *format, ...) CS_PRINTF(1, 2);
static void tell(const char *format, ...)
{
    size_t n = strlen(w.story);
    va_list args;

    va_start(args, format);
    vsnprintf(w.story + n, sizeof w.story - n, format, args);
    va_end(args);
}

static void on_frames(chanserv_source *source, void *state)
{
    cs_bytes frame;

    (void)state;
    while (chanserv_source_recv(source, &frame) == CS_OK) {
        size_t at = w.steady * (frame.len == STEADY_BYTES);

        cr_assert(memcmp(frame.base, large + at, frame.len) == 0);
        w.steady += frame.len == STEADY_BYTES;
        if (frame.len != STEADY_BYTES)
            tell("%u: %u left out, %zu bytes; ", (unsigned)chanserv_source_seq(source),
                 (unsigned)chanserv_source_gap(source), frame.len);
    }
}

static void break_after(int turns);

static void on_attached(chanserv_source *source, void *state)
{
    (void)source, (void)state;
    if (w.again > 0) {
        w.again--;
        break_after(w.every + 3);
    }
}

static void on_source_end(chanserv_source *source, cs_err why, void *state)
{
    (void)state;
    tell("%s, %u left out; ", cs_strerror(why), (unsigned)chanserv_source_gap(source));
    w.over++;
}

static void on_feed(chanserv_feed *feed, void *state)
{
    static const struct chanserv_source_ops ops = {
        .readable = on_frames, .end = on_source_end, .attached = on_attached};
    chanserv_source *source;

    (void)state;
    while (chanserv_feed_recv(feed, &source) == CS_OK)
        cr_assert_eq(chanserv_source_start(source, &ops, NULL), CS_OK);
}

static void on_feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)state;
    cr_assert_eq(why, CS_DONE, "broken after %d: %s", w.every, chanserv_feed_errmsg(feed));
    w.over++;
}

/* ---- Breaking --------------------------------------------------------------------------------------- */

static mux_conn *conn(void)
{
    return chanserv__nodes_first(w.client)->conn;
}

/* Once a turn, as long as there is one; after w.every of them it breaks. */
static void turn(cs_task *task)
{
    if (++w.turns < w.every) {
        cs_task_post(w.loop, CS_REAP, task);
        return;
    }
    w.breaks++;
    mux_conn_break(conn());
}

static void break_after(int turns)
{
    w.turns = 0;
    w.every = turns;
    cs_task_post(w.loop, CS_REAP, &w.breaker);
}

static void post(const char *service)
{
    static const struct chanserv_feed_ops ops = {.readable = on_feed, .end = on_feed_end};

    cr_assert_eq(chanserv_lookup_and_post(w.client, service, cs_str(""), NULL, &w.feed), CS_OK);
    cr_assert_eq(chanserv_feed_start(w.feed, &ops, NULL), CS_OK);
}

/* The session stands when this returns: before, nobody could know that a post ran. */
static void begin(const struct chanserv_client_options *options)
{
    static const struct chanserv_server_options parts = {.part_bytes = 16 * 1024};

    memset(&w, 0, sizeof w);
    for (size_t i = large[LARGE - 1] ? LARGE : 0; i < LARGE; i++)
        large[i] = (uint8_t)(i * 2654435761u >> 16);
    cs_task_init(&w.breaker, turn);
    cr_assert_eq(cs_loop_new_virtual(&w.loop), CS_OK);
    cr_assert_eq(chanserv_server_new(w.loop, &parts, &w.server), CS_OK);
    cr_assert_eq(chanserv_serve(w.server, "all", serve, (void *)(uintptr_t)&all_ops), CS_OK);
    cr_assert_eq(chanserv_serve(w.server, "large", serve, (void *)(uintptr_t)&large_ops), CS_OK);
    cr_assert_eq(chanserv_serve(w.server, "steady", serve, (void *)(uintptr_t)&steady_ops), CS_OK);
    cr_assert_eq(chanserv_serve(w.server, "stays", stay, NULL), CS_OK);
    cr_assert_eq(chanserv_client_new(w.loop, options, &w.client), CS_OK);
    cr_assert_eq(chanserv_join_local(w.client, w.server), CS_OK);
    cr_assert_eq(chanserv_lookup_and_post(w.client, "stays", cs_str(""), NULL, &w.stays), CS_OK);
    cs_loop_advance(w.loop, 1000);
}

/* All is over, once, and the server has forgotten it. */
static void end(void)
{
    struct chanserv_counters c;

    cs_loop_advance(w.loop, 10000);
    cr_assert_eq(w.over, 2, "broken after %d: %s", w.every, w.story);
    cr_assert_eq(w.runs, 1);
    cr_assert_eq(w.ends, 1);
    cr_assert_eq(chanserv_feed_close(w.feed), CS_OK);
    cs_loop_advance(w.loop, 100);
    chanserv_server_counters(w.server, &c);
    cr_assert_eq(c.channels, 1);
    cr_assert_eq(c.sessions_kept, 0);
    cr_assert_eq(c.sessions_total, 1);
    chanserv_client_free(w.client);
    chanserv_server_free(w.server);
    cs_loop_free(w.loop);
}

Test(moment, each_break_leaves_the_story_as_it_is)
{
    static const char story[] = "0: 0 left out, 0 bytes; 3: 2 left out, 100 bytes; "
                                "11: 3 left out, 70000 bytes; 16: 4 left out, 1 bytes; "
                                "ended in good order, 5 left out; ";
    int last = 0;

    for (int first = 1; first < 200 && last < 8; first++)
        for (int second = 1; second <= 9; second += 4) {
            begin(&(struct chanserv_client_options){.resume_ms = 20000});
            post("all");
            break_after(first);
            cs_loop_advance(w.loop, 1); /* acknowledgements and "done" wait for 20 ms */
            last += w.over == 2 && second == 1;
            cs_loop_advance(w.loop, 200);
            break_after(second);
            end();
            cr_assert_str_eq(w.story, story, "broken after %d and %d turns: %s", first, second,
                             w.story);
        }
    cr_assert_eq(last, 8, "it was broken when all had come, too");
}

/* Each time some parts of it have come. */
Test(moment, a_frame_of_64_mib_is_put_together_over_breaks)
{
    begin(&(struct chanserv_client_options){.resume_ms = 20000});
    post("large");
    w.again = 20;
    break_after(8);
    cs_loop_advance(w.loop, 10000);
    cr_assert_geq(w.breaks, 15, "only %d", w.breaks);
    end();
    cr_assert_str_eq(w.story,
                     "4095: 0 left out, 67108864 bytes; ended in good order, 0 left out; ");
}

/* A stream whose window had grown goes on with one that has not. */
Test(moment, a_window_that_grew_is_small_again_after_a_break)
{
    begin(&(struct chanserv_client_options){.resume_ms = 20000});
    post("steady");
    w.again = 5;
    break_after(20);
    cs_loop_advance(w.loop, 10000);
    cr_assert_geq(w.breaks, 4, "only %d", w.breaks);
    cr_assert_gt(mux_conn_stats(conn())->windows_grown, 1);
    end();
    cr_assert_eq(w.steady, STEADY);
}
