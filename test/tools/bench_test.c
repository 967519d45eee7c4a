/* The machine of `chanserv bench`, against services that do right and services that lie. */
#include "test/support/failing.h"
#include "tools/bench.h"
#include "tools/gen.h"
#include "tools/kind.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { SOURCES = 3, FRAMES = 4, SIZE = 100 };

/* What a lying service does, once a post: to frame 2 of source 1, or around it. */
enum lie {
    TRUTH,
    ONE_BIT,
    LAST_BYTE,
    TOO_SHORT,
    DOUBLED,
    SWAPPED,
    LEFT_OUT,
    ENDS_EARLY,
    GOES_ON,
    OTHER_NAME,
    SOURCE_MISSING,
    SOURCE_SURPLUS,
    SOURCE_FAILS,
    POST_FAILS
};

struct liar {
    enum lie lie;
    uint64_t i, j;
    uint8_t frame[SIZE];
};

static cs_err lie_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct liar *s = state;
    uint64_t j = s->j, end = FRAMES;
    size_t size = SIZE;

    if (s->i == 1) {
        end += s->lie == GOES_ON;
        end -= s->lie == ENDS_EARLY;
        if (s->lie == SOURCE_FAILS && j == 2)
            return chanserv_outlet_fail(outlet, CS_EPERM, "no more of this");
        if (s->lie == LEFT_OUT && j == 2)
            j = ++s->j;
        if (s->lie == DOUBLED && j == 3)
            j = 2;
        if (s->lie == SWAPPED && (j == 2 || j == 3))
            j = 5 - j;
    }
    if (s->j >= end)
        return CS_DONE;
    gen_fill(s->frame, SIZE, s->i, j);
    if (s->i == 1 && j == 2) {
        s->frame[57] ^= s->lie == ONE_BIT ? 8 : 0;
        s->frame[SIZE - 1] ^= s->lie == LAST_BYTE ? 255 : 0;
        size -= s->lie == TOO_SHORT;
    }
    s->j++;
    *frame = cs_bytes_of(s->frame, size);
    return CS_OK;
}

static cs_err lie_post(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(struct liar),
                                                   .next = lie_next};
    enum lie lie = *(enum lie *)user;
    uint64_t sources = SOURCES;
    char header[32];
    cs_err err;

    cr_assert(cs_same(body, cs_str("sources=3&frames=4&size=100")));
    sources += lie == SOURCE_SURPLUS;
    sources -= lie == SOURCE_MISSING;
    for (struct liar s = {.lie = lie}; s.i < sources; s.i++) {
        snprintf(header, sizeof header, "source @%d", lie == OTHER_NAME && s.i == 1 ? 2 : (int)s.i);
        err = chanserv_announce(post, cs_str(header), &ops, &s, NULL);
        if (err != CS_OK)
            return err;
    }
    return lie == POST_FAILS ? chanserv_post_fail(post, CS_EUNAVAIL, "tired") : CS_DONE;
}

struct world {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    struct bench bench;
    char told[4096];
    int over;
};

static void tell(const char *line, void *user)
{
    struct world *w = user;
    size_t len = strlen(w->told);

    snprintf(w->told + len, sizeof w->told - len, "%s\n", line);
}

static void over(void *user)
{
    struct world *w = user;

    w->over++;
}

static cs_err world_new(struct world *w, chanserv_source_fn *fn, void *user)
{
    cs_err err = cs_loop_new_virtual(&w->loop);

    w->bench = (struct bench){.service = "gen",
                              .sources = SOURCES,
                              .frames = FRAMES,
                              .size = SIZE,
                              .posts = 5,
                              .parallel = 2,
                              .tell = tell,
                              .over = over,
                              .user = w};
    if (err == CS_OK)
        err = chanserv_server_new(w->loop, NULL, &w->server);
    if (err == CS_OK)
        err = chanserv_serve(w->server, "gen", fn, user);
    if (err == CS_OK)
        err = chanserv_client_new(w->loop, NULL, &w->client);
    return err == CS_OK ? chanserv_join_local(w->client, w->server) : err;
}

static void world_free(struct world *w)
{
    if (w->client)
        chanserv_client_free(w->client);
    if (w->server)
        chanserv_server_free(w->server);
    if (w->loop)
        cs_loop_free(w->loop);
}

Test(bench, what_gen_makes_is_right)
{
    static struct world w;

    cr_assert_eq(world_new(&w, tool_kind_gen.post, NULL), CS_OK);
    cr_assert_eq(bench_begin(&w.bench, w.client), CS_OK);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.over, 1);
    cr_assert_eq(w.bench.why, CS_OK);
    cr_assert_eq(w.bench.wrong, 0);
    cr_assert_eq(w.bench.posts_done, 5);
    cr_assert_eq(w.bench.sources_done, 15);
    cr_assert_eq(w.bench.frames_done, 60);
    cr_assert_eq(w.bench.bytes_done, 6000);
    cr_assert_eq(w.bench.source_us.count, 15);
    cr_assert_eq(w.bench.first_us.count, 5);
    cr_assert_str_eq(w.told, "");
    world_free(&w);
}

static const struct lies {
    enum lie lie;
    cs_err why;
    const char *told;
} lies[] = {
    {TRUTH, CS_OK, ""},
    {ONE_BIT, CS_EDATALOSS, "post 0, source @1, frame 2: byte 57 is wrong\n"},
    {LAST_BYTE, CS_EDATALOSS, "post 0, source @1, frame 2: byte 99 is wrong\n"},
    {TOO_SHORT, CS_EDATALOSS, "post 0, source @1, frame 2: 99 bytes, not 100\n"},
    {DOUBLED, CS_EDATALOSS, "post 0, source @1, frame 3: byte 2 is wrong\n"},
    {SWAPPED, CS_EDATALOSS,
     "post 0, source @1, frame 2: byte 2 is wrong\npost 0, source @1, frame 3: byte 2 is wrong\n"},
    {LEFT_OUT, CS_EDATALOSS,
     "post 0, source @1, frame 2: byte 2 is wrong\npost 0, source @1: 3 frames of 4\n"},
    {ENDS_EARLY, CS_EDATALOSS, "post 0, source @1: 3 frames of 4\n"},
    {GOES_ON, CS_EDATALOSS, "post 0, source @1: frame 4 of 4\n"},
    {OTHER_NAME, CS_EDATALOSS, "post 0, source @1 is called 'source @2'\n"},
    {SOURCE_MISSING, CS_EDATALOSS, "post 0, 2 sources of 3\n"},
    {SOURCE_SURPLUS, CS_EDATALOSS, "post 0, 4 sources of 3\n"},
    {SOURCE_FAILS, CS_EPERM, "source 1 (source @1): PERMISSION_DENIED: no more of this\n"},
    {POST_FAILS, CS_EUNAVAIL, "post gen: UNAVAILABLE: tired\n"},
};

Test(bench, no_lie_is_believed)
{
    static struct world w;

    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        enum lie lie = lies[i].lie;
        w = (struct world){.over = 0};
        cr_assert_eq(world_new(&w, lie_post, &lie), CS_OK);
        w.bench.posts = w.bench.parallel = 1;
        cr_assert_eq(bench_begin(&w.bench, w.client), CS_OK);
        cs_loop_settle(w.loop);
        cr_assert_eq(w.over, 1);
        cr_expect_eq(w.bench.why, lies[i].why, "lie %d: %s", (int)lie, cs_strerror(w.bench.why));
        cr_expect_eq(strncmp(w.told, lies[i].told, strlen(lies[i].told)), 0, "lie %d: %s", (int)lie,
                     w.told);
        cr_expect_eq(w.bench.wrong > 0, lies[i].why == CS_EDATALOSS);
        cr_expect_eq(w.bench.posts_done, lie == TRUTH);
        world_free(&w);
    }
}

Test(bench, after_a_failure_no_post_begins)
{
    static struct world w;
    enum lie lie = POST_FAILS;

    cr_assert_eq(world_new(&w, lie_post, &lie), CS_OK);
    w.bench.posts = 0;
    cr_assert_eq(bench_begin(&w.bench, w.client), CS_OK);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.over, 1);
    cr_assert_eq(w.bench.begun, 2);
    cr_assert_eq(w.bench.why, CS_EUNAVAIL);
    world_free(&w);
}

Test(bench, a_corrupt_frame_is_worse_than_a_failure_and_only_the_first_are_told)
{
    static struct world w;
    enum lie lie = ONE_BIT;
    size_t lines = 0;

    cr_assert_eq(world_new(&w, lie_post, &lie), CS_OK);
    w.bench.posts = 30;
    cr_assert_eq(bench_begin(&w.bench, w.client), CS_OK);
    cs_loop_settle(w.loop);
    for (const char *p = w.told; (p = strchr(p, '\n')); p++)
        lines++;
    cr_assert_eq(w.bench.wrong, 30);
    cr_assert_eq(lines, 10);
    world_free(&w);
}

static cs_err no_source(chanserv_post *post, void *state)
{
    (void)post;
    (void)state;
    return CS_AGAIN;
}

static cs_err silent_post(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {.next = no_source};

    (void)body;
    (void)user;
    return chanserv_post_keep(post, &ops, NULL);
}

Test(bench, is_cancelled_in_the_middle)
{
    static struct world w;

    cr_assert_eq(world_new(&w, silent_post, NULL), CS_OK);
    cr_assert_eq(bench_begin(&w.bench, w.client), CS_OK);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.over, 0);
    bench_cancel(&w.bench);
    cs_loop_settle(w.loop);
    cr_assert_eq(w.over, 1);
    cr_assert_eq(w.bench.why, CS_ECANCELED);
    cr_assert_str_eq(w.told, "");
    world_free(&w);
}

/* Whatever fails: it ends, and says that something failed. */
static void story(void)
{
    static struct world w;

    w = (struct world){.over = 0};
    if (world_new(&w, tool_kind_gen.post, NULL) == CS_OK &&
        bench_begin(&w.bench, w.client) == CS_OK) {
        cs_loop_settle(w.loop);
        cr_assert_eq(w.over, 1);
        cr_assert(w.bench.posts_done == 5 || w.bench.why != CS_OK);
        cr_assert(w.bench.why == CS_OK || w.told[0]);
    }
    world_free(&w);
}

Test(bench, survives_every_failed_allocation)
{
    failing_story(story);
}
