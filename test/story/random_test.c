/* A story that nobody wrote: posts, openings, reading a little, closing, cancelling, time passing
 * and connections breaking, in an order that a seed decides.  Whatever happens:
 *
 *   every frame is the one that belongs there      every outlet and every post ends once
 *   a good end has everything before it            in the end nothing is left of anything
 *
 * STORY_SEED=n runs that one alone; STORY_SEEDS=n so many of them. */
#include "test/story/story.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FEEDS = 6, READERS = 40, POSTS = 64, PLANS_A_SEED = 300 };

struct asked {           /* a post, as the server sees it */
    chanserv_post *post; /* NULL: closed */
    size_t left;         /* to announce */
    size_t announced;
    cs_err last; /* 0: CS_DONE */
    int closes, ends;
};
struct answered { /* a feed, as the client sees it */
    chanserv_feed *feed;
    struct asked *asked;
    size_t taken;
};
struct reader {
    chanserv_source *source;
    chanserv_feed *feed; /* NULL: kept */
    struct plan *plan;
    int frames;
    uint64_t next, gaps;
};
static struct chaos {
    struct story *s;
    uint64_t seed, dice;
    struct asked asked[POSTS];
    size_t asked_len;
    struct answered feeds[FEEDS];
    struct reader readers[READERS];
    bool dead; /* the connection hears nothing any more */
} c;

static unsigned long seen[64], frames_read; /* how often a source ended so, in all stories */

static unsigned dice(unsigned sides)
{
    c.dice ^= c.dice << 13;
    c.dice ^= c.dice >> 7;
    c.dice ^= c.dice << 17;
    return (unsigned)(c.dice >> 33) % sides;
}

/* ---- The server ------------------------------------------------------------------------------ */

static void make_plan(struct plan *plan)
{
    static const int sizes[] = {0, 5, 40, 300, 2500, 20000};

    plan->frames = (int)dice(30);
    plan->bytes = sizes[dice(6)];
    plan->varied = plan->bytes < 1000; /* those in one part */
    plan->last = dice(4) ? CS_OK : CS_EDATALOSS;
    plan->words = plan->last && dice(2) ? "sector 7 is gone" : NULL;
    plan->waits_at = dice(3) ? 0 : (int)dice(30);
    plan->gap = dice(4) ? 0 : 1 + dice(1000);
    plan->gap_at = (int)dice((unsigned)plan->frames + 1);
    plan->refuses = dice(12) ? CS_OK : CS_EPERM;
    plan->eager = dice(3) == 0;
    plan->parts = plan->varied ? 0 : (plan->bytes + 999) / 1000;
}

static cs_err more(chanserv_post *post, void *state)
{
    struct asked *a = *(struct asked **)state;

    for (size_t now = dice(6); a->left > 0; a->left--) {
        struct plan *plan;
        cs_err err;

        if (now-- == 0)
            return dice(2) ? CS_AGAIN : CS_OK;
        if (c.s->plans_len == PLANS_A_SEED)
            break;
        plan = story_plan(c.s, (struct plan){.frames = 0});
        make_plan(plan);
        err = story_announce(plan, post);
        if (err == CS_AGAIN)
            c.s->plans_len--;
        if (err != CS_OK)
            return err;
        a->announced++;
    }
    return a->last ? a->last : CS_DONE;
}

static void closed(chanserv_post *post, cs_err why, void *state)
{
    struct asked *a = *(struct asked **)state;

    (void)post;
    (void)why;
    a->post = NULL;
    a->closes++;
}

static void ended(chanserv_post *post, cs_err why, void *state)
{
    struct asked *a = *(struct asked **)state;

    (void)post;
    (void)why;
    a->ends++;
    cr_assert_eq(a->closes, 1);
}

static const struct chanserv_post_ops ops = {
    .state_bytes = sizeof(struct asked *), .next = more, .closed = closed, .end = ended};

static cs_err serve(chanserv_post *post, cs_bytes body, void *user)
{
    struct asked *a = &c.asked[*(const uint8_t *)body.base];

    (void)user;
    cr_assert_eq(chanserv_post_keep(post, &ops, &a), CS_OK);
    a->post = post;
    a->left = dice(12);
    a->last = dice(5) ? CS_OK : CS_EABORTED;
    return more(post, &a);
}

/* What producers do by themselves. */
static void act_outlet(void)
{
    struct plan *plan;

    if (c.s->plans_len == 0)
        return;
    plan = &c.s->plans[dice((unsigned)c.s->plans_len)];
    if (!plan->outlet)
        return;
    switch (dice(8)) {
    case 0:
        chanserv_outlet_finish(plan->outlet, CS_ERANGE);
        break;
    case 1:
        chanserv_outlet_cancel(plan->outlet, CS_ELIMIT);
        break;
    case 2:
        chanserv_outlet_wake(plan->outlet);
        break;
    default:
        plan->goes = true;
        chanserv_outlet_wake(plan->outlet);
    }
}

static void act_post(void)
{
    struct asked *a;

    if (c.asked_len == 0)
        return;
    a = &c.asked[dice((unsigned)c.asked_len)];
    if (a->post && dice(4) > 0)
        chanserv_post_wake(a->post);
    else if (a->post)
        chanserv_post_finish(a->post, a->last = CS_EABORTED);
}

/* ---- The client ------------------------------------------------------------------------------ */

static void post(void)
{
    const uint8_t number = (uint8_t)c.asked_len;
    const struct chanserv_post_options options = {.timeout_ms = dice(4) ? 0 : (int)dice(20000),
                                                  .inline_bytes = dice(3) ? 0 : CS_OFF};
    struct answered *f = NULL;

    for (size_t i = 0; i < FEEDS; i++)
        f = c.feeds[i].feed ? f : &c.feeds[i];
    if (!f || c.asked_len == POSTS)
        return;
    cr_assert_eq(
        chanserv_lookup_and_post(c.s->client, "chaos", cs_bytes_of(&number, 1), &options, &f->feed),
        CS_OK);
    f->asked = &c.asked[c.asked_len++];
    f->taken = 0;
}

static void forget_readers(const chanserv_feed *feed)
{
    for (size_t i = 0; i < READERS; i++)
        if (c.readers[i].source && c.readers[i].feed == feed)
            c.readers[i].source = NULL;
}

static void let_go(struct answered *f)
{
    forget_readers(f->feed);
    if (dice(3) == 0)
        chanserv_feed_cancel(f->feed);
    (void)chanserv_feed_close(f->feed);
    f->feed = NULL;
}

static void judge_feed(const struct answered *f, cs_err err)
{
    const struct asked *a = f->asked;

    if (err == CS_DONE || (err == CS_EABORTED && a->last == CS_EABORTED))
        cr_assert_eq(f->taken, a->announced, "%zu of %zu announcements", f->taken, a->announced);
    else
        cr_assert(err == CS_ETIMEOUT || err == CS_EPEER || err == CS_EREFUSED, "feed: %s: %s",
                  cs_strerror(err), chanserv_feed_errmsg(f->feed));
}

static void take(struct answered *f)
{
    chanserv_source *source;
    struct reader *r = NULL;
    cs_err err;

    for (size_t i = 0; i < READERS; i++)
        r = c.readers[i].source ? r : &c.readers[i];
    if (!r)
        return;
    err = chanserv_feed_recv(f->feed, &source);
    if (err == CS_AGAIN)
        return;
    if (err != CS_OK) {
        judge_feed(f, err);
        if (dice(2))
            let_go(f);
        return;
    }
    f->taken++;
    char header[16];
    snprintf(header, sizeof header, "%.*s", CS_FMT(chanserv_source_header(source)));
    *r = (struct reader){.source = source, .feed = f->feed};
    r->plan = &c.s->plans[strtoul(header, NULL, 10)];
    if (dice(6) == 0) {
        chanserv_source_keep(source);
        r->feed = NULL;
    }
}

/* How a source ended must agree with what its producer did. */
static void judge(const struct reader *r, cs_err err)
{
    const struct plan *p = r->plan;
    const uint64_t gaps = r->gaps + chanserv_source_gap(r->source);

    seen[err]++;
    switch (err) {
    case CS_DONE:
    case CS_EDATALOSS:
        cr_assert_eq(err, p->last ? p->last : CS_DONE);
        cr_assert_eq(r->frames, p->frames);
        cr_assert_eq(gaps, p->gap);
        if (p->words)
            cr_assert(strstr(chanserv_source_errmsg(r->source), p->words));
        break;
    case CS_ERANGE: /* finished: after all that was given */
        cr_assert_eq(r->frames, p->given, "%d of %d", r->frames, p->given);
        break;
    case CS_EPERM: /* by open() */
        cr_assert_eq(p->refuses, CS_EPERM);
        cr_assert_eq(r->frames, 0);
        break;
    case CS_ELIMIT:    /* cancelled by the producer */
    case CS_ECANCELED: /* by us */
    case CS_ETIMEOUT:
    case CS_EPEER:
    case CS_EREFUSED:
    case CS_EEXPIRED:
        break;
    default:
        cr_assert_fail("source: %s", chanserv_source_errmsg(r->source));
    }
}

static void read_some(struct reader *r)
{
    cs_bytes frame;
    cs_err err = CS_OK;

    for (unsigned n = dice(30); n > 0 && err == CS_OK; n--) {
        err = chanserv_source_recv(r->source, &frame);
        if (err == CS_OK) {
            const int parts = r->plan->parts > 1 ? r->plan->parts : 1;

            r->next += (uint64_t)parts - 1 + chanserv_source_gap(r->source);
            cr_assert_eq(chanserv_source_seq(r->source), r->next);
            r->next++;
            r->frames++;
            frames_read++;
            r->gaps += chanserv_source_gap(r->source);
            story_compare(r->plan, r->source, frame);
        }
    }
    if (err == CS_OK || err == CS_AGAIN)
        return;
    judge(r, err);
    if (!r->feed || dice(2))
        chanserv_source_close(r->source);
    r->source = NULL;
}

static void act_reader(void)
{
    struct reader *r = &c.readers[dice(READERS)];

    if (!r->source)
        return;
    switch (dice(12)) {
    case 0:
        chanserv_source_close(r->source);
        r->source = NULL;
        break;
    case 1:
        chanserv_source_cancel(r->source);
        break;
    default:
        read_some(r);
    }
}

/* ---- The world ------------------------------------------------------------------------------- */

/* Feeds and sources die with it; what was kept is still to be closed. */
static void new_client(void)
{
    static const struct chanserv_client_options options = {.net = {.window_bytes = 16384}};

    chanserv_client_free(c.s->client);
    for (size_t i = 0; i < FEEDS; i++)
        c.feeds[i].feed = NULL;
    for (size_t i = 0; i < READERS; i++) {
        struct reader *r = &c.readers[i];

        if (r->source && !r->feed)
            chanserv_source_close(r->source);
        r->source = NULL;
    }
    cr_assert_eq(chanserv_client_new(c.s->loop, &options, &c.s->client), CS_OK);
    cr_assert_eq(chanserv_join_local(c.s->client, c.s->server), CS_OK);
    c.dead = false;
}

static void act_world(void)
{
    switch (dice(50)) {
    case 0:
        story_break(c.s);
        c.dead = true;
        break;
    case 1:
        if (!c.dead)
            story_swallow(c.s);
        c.dead = true;
        break;
    case 2:
        new_client();
        break;
    case 3:
        cs_loop_advance(c.s->loop, (int)dice(45000));
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        cs_loop_advance(c.s->loop, (int)dice(2000));
        break;
    default:
        cs_loop_settle(c.s->loop);
    }
    if (c.dead && dice(4) == 0)
        new_client();
}

static void act(void)
{
    struct answered *f = &c.feeds[dice(FEEDS)];

    switch (dice(16)) {
    case 0:
        post();
        break;
    case 1:
    case 2:
    case 3:
        if (f->feed)
            take(f);
        break;
    case 4:
        if (f->feed && dice(4) == 0)
            let_go(f);
        break;
    case 5:
        act_outlet();
        break;
    case 6:
        act_post();
        break;
    case 7:
        act_world();
        break;
    case 8:
    case 9:
        cs_loop_settle(c.s->loop);
        break;
    default:
        act_reader();
    }
}

static void nothing_is_left(void)
{
    struct chanserv_counters n;

    new_client();
    cs_loop_advance(c.s->loop,
                    60000); /* the peer that was swallowed is found dead, tickets expire */
    n = story_counters(c.s);
    cr_assert_eq(n.posts, 0);
    cr_assert_eq(n.sources_open, 0);
    cr_assert_eq(n.sources_waiting, 0);
    cr_assert_eq(n.streams, 0);
    cr_assert_eq(n.connections, 1);
    for (size_t i = 0; i < c.asked_len; i++)
        cr_assert_eq(c.asked[i].ends, c.asked[i].closes, "post %zu: %d ends, %d closes", i,
                     c.asked[i].ends, c.asked[i].closes);
}

static void tell(uint64_t seed)
{
    struct chanserv_server_options options = {.part_bytes = 1000};

    memset(&c, 0, sizeof c);
    c.seed = seed;
    c.dice = seed * 2654435761u + 88172645463325252u;
    if (dice(3) == 0)
        options.post_sources_max = 1 + dice(8);
    if (dice(3) == 0)
        options.post_queue_bytes = 100;
    if (dice(4) == 0)
        options.accept_timeout_ms = 1 + (int)dice(1000);
    if (dice(4) == 0)
        options.serving_timeout_ms = 1 + (int)dice(5000);
    c.s = story_new(&options, NULL);
    cr_assert_eq(chanserv_serve(c.s->server, "chaos", serve, NULL), CS_OK);
    for (int step = 0; step < 600; step++)
        act();
    if (dice(4) > 0)
        nothing_is_left();
    else
        for (size_t i = 0; i < READERS; i++) /* the end comes as it finds them */
            if (c.readers[i].source && !c.readers[i].feed)
                chanserv_source_close(c.readers[i].source);
    if (dice(3) == 0) {
        chanserv_server_free(c.s->server);
        c.s->server = NULL;
    }
    story_free(c.s);
    for (size_t i = 0; i < c.asked_len; i++)
        cr_assert(c.asked[i].closes == c.asked[i].ends && c.asked[i].ends <= 1);
}

/* Criterion and the sanitizers say what went wrong; this says in which story. */
static void on_abort(int number)
{
    char line[64];
    const int len = snprintf(line, sizeof line, "STORY_SEED=%llu\n", (unsigned long long)c.seed);
    const ssize_t written = write(STDERR_FILENO, line, (size_t)len);

    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

static void on_fini(void)
{
    if (c.seed)
        fprintf(stderr, "STORY_SEED=%llu\n", (unsigned long long)c.seed);
}

Test(random, stories_keep_every_promise, .fini = on_fini, .timeout = 300)
{
    const char *one = getenv("STORY_SEED"), *many = getenv("STORY_SEEDS");
    static const cs_err ends[] = {CS_DONE,      CS_EDATALOSS, CS_ERANGE, CS_EPERM,   CS_ELIMIT,
                                  CS_ECANCELED, CS_ETIMEOUT,  CS_EPEER,  CS_EEXPIRED};
    const uint64_t seeds = many ? strtoull(many, NULL, 10) : 300;

    signal(SIGABRT, on_abort);
    if (one) {
        tell(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= seeds; seed++)
        tell(seed);
    c.seed = 0;
    if (!many) /* they were stories worth telling */
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
            cr_expect_gt(seen[ends[i]], 0, "no source ended with: %s", cs_strerror(ends[i]));
    fprintf(stderr, "%llu stories, %lu frames, %lu good ends\n", (unsigned long long)seeds,
            frames_read, seen[CS_DONE]);
}
