/* A story that nobody wrote, of several nodes: they come and go, links break and go silent, names
 * are served and are not, and posts go on all the time.  Whatever happens
 *
 *   no source function runs twice for one post     a post that ended well ran
 *   one whose end says that it never ran, did not  every post ends, and nothing is left of it
 *
 * and when the storm is over a post runs.  STORY_SEED=n runs that one alone. */
#include "test/story/many.h"

#include "mux/local.h"

#include <stdio.h>
#include <stdlib.h>

enum { POSTS = 200, RUNNING = 12, STEPS = 300, LOOKUPS = 2 };

static struct {
    uint64_t seed, dice;
    int runs[POSTS];
    int posts;
    struct {
        chanserv_feed *feed;
        int number;
        bool holds;
    } running[RUNNING];
    chanserv_feed *lookups[LOOKUPS];
} c;

static unsigned long seen[64]; /* how often a post ended so, in all stories */

static unsigned dice(unsigned sides)
{
    c.dice ^= c.dice << 13;
    c.dice ^= c.dice >> 7;
    c.dice ^= c.dice << 17;
    return (unsigned)(c.dice >> 33) % sides;
}

/* ---- The servers ------------------------------------------------------------------------------ */

static cs_err hold(chanserv_post *post, void *state)
{
    (void)post, (void)state;
    return CS_AGAIN;
}

static cs_err count(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {.next = hold};
    int number;
    bool holds;

    (void)user;
    cr_assert_eq(body.len, sizeof number + 1);
    memcpy(&number, body.base, sizeof number);
    holds = ((const char *)body.base)[sizeof number] != 0;
    c.runs[number]++;
    cr_assert_eq(c.runs[number], 1, "post %d ran twice", number);
    if (!holds)
        return CS_DONE;
    cr_assert_eq(chanserv_post_keep(post, &ops, NULL), CS_OK);
    return CS_AGAIN;
}

static void bring(int i)
{
    many_server(i);
    if (dice(4))
        cr_assert_eq(chanserv_serve(many.servers[i], "x", count, NULL), CS_OK);
    if (dice(2))
        cr_assert_eq(chanserv_serve(many.servers[i], "y", count, NULL), CS_OK);
    many_join(i);
}

/* Those of servers that are no more. */
static void leave_gone(void)
{
    struct chanserv__node *node = chanserv__nodes_first(many.client), *next;

    for (; node; node = next) {
        next = chanserv__nodes_next(node);
        if (node->standing == CHANSERV__NODE_GONE && !chanserv__nodes_one(many.client))
            chanserv__node_leave(node);
    }
    chanserv__nodes_changed(many.client);
}

static void act_server(void)
{
    const int i = (int)dice(MANY);

    switch (dice(8)) {
    case 0:
    case 1:
        if (many.servers[i])
            many_down_one(i);
        break;
    case 2:
        leave_gone();
        break;
    case 3:
        if (many.servers[i])
            (void)chanserv_unserve(many.servers[i], dice(2) ? "x" : "y");
        break;
    case 4:
        if (many.servers[i])
            (void)chanserv_serve(many.servers[i], dice(2) ? "x" : "y", count, NULL);
        break;
    default:
        if (!many.servers[i])
            bring(i);
    }
}

static void act_link(void)
{
    struct chanserv__node *node = chanserv__nodes_first(many.client);

    for (unsigned n = dice(MANY); node && n > 0; n--)
        node = chanserv__nodes_next(node);
    if (!node)
        return;
    if (dice(3))
        mux_conn_break(node->conn);
    else
        mux_conn_swallow(node->conn);
}

/* ---- The client ------------------------------------------------------------------------------- */

static void act_post(void)
{
    static const char *const buckets[] = {"", "", "red", "blue"};
    uint8_t body[sizeof c.posts + 1];
    struct chanserv_post_options options = {.timeout_ms = dice(5) ? 0 : 1 + (int)dice(15000)};
    const unsigned i = dice(RUNNING);

    if (c.running[i].feed || c.posts == POSTS || !chanserv__nodes_first(many.client))
        return;
    options.bucket = cs_str(buckets[dice(4)]);
    c.running[i].holds = dice(4) == 0;
    memcpy(body, &c.posts, sizeof c.posts);
    body[sizeof c.posts] = c.running[i].holds;
    cr_assert_eq(chanserv_lookup_and_post(many.client, dice(3) ? "x" : "y",
                                          cs_bytes_of(body, sizeof body), &options,
                                          &c.running[i].feed),
                 CS_OK);
    c.running[i].number = c.posts++;
}

static void judge(int number, cs_err why, const char *words)
{
    seen[why]++;
    switch (why) {
    case CS_DONE:
        cr_assert_eq(c.runs[number], 1, "post %d ended well", number);
        break;
    case CS_ENOENT:
    case CS_EREFUSED:
        cr_assert_eq(c.runs[number], 0, "post %d never ran: %s", number, words);
        break;
    case CS_EPEER:
    case CS_EDRAIN:
    case CS_ETIMEOUT:
    case CS_ECANCELED:
        break;
    default:
        cr_assert_fail("post %d: %s", number, words);
    }
}

static void act_feed(unsigned i)
{
    chanserv_source *source;
    cs_err err;

    if (!c.running[i].feed)
        return;
    if (dice(20) == 0 || (c.running[i].holds && dice(6) == 0))
        chanserv_feed_cancel(c.running[i].feed);
    err = chanserv_feed_recv(c.running[i].feed, &source);
    if (err == CS_AGAIN)
        return;
    judge(c.running[i].number, err, chanserv_feed_errmsg(c.running[i].feed));
    (void)chanserv_feed_close(c.running[i].feed);
    c.running[i].feed = NULL;
}

static void act_lookup(void)
{
    chanserv_feed **feed = &c.lookups[dice(LOOKUPS)];
    chanserv_source *source;
    cs_bytes frame;

    if (!*feed && chanserv__nodes_first(many.client)) {
        cr_assert_eq(chanserv_lookup(many.client, dice(2) ? "*" : "x", feed), CS_OK);
    } else if (*feed && dice(3) == 0) {
        (void)chanserv_feed_close(*feed);
        *feed = NULL;
    } else if (*feed) {
        while (chanserv_feed_recv(*feed, &source) == CS_OK)
            while (chanserv_source_recv(source, &frame) == CS_OK)
                cr_assert_gt(frame.len, 0);
    }
}

/* ---- The story -------------------------------------------------------------------------------- */

static void act(void)
{
    switch (dice(16)) {
    case 0:
        act_server();
        break;
    case 1:
        if (dice(3) == 0)
            act_link();
        break;
    case 2:
        act_lookup();
        break;
    case 3:
        cs_loop_advance(many.loop, (int)dice(dice(10) ? 300 : 20000));
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        act_post();
        break;
    case 8:
    case 9:
        cs_loop_settle(many.loop);
        break;
    default:
        act_feed(dice(RUNNING));
    }
}

/* Whoever was swallowed is found dead by then, and every wait is over. */
static void the_storm_is_over(void)
{
    chanserv_feed *feed;
    uint8_t body[sizeof c.posts + 1] = {0};

    if (!many.servers[0])
        many_server(0);
    (void)chanserv_join_local(many.client, many.servers[0]); /* it may have been left */
    (void)chanserv_serve(many.servers[0], "x", count, NULL);
    cs_loop_advance(many.loop, 60000);
    for (unsigned i = 0; i < RUNNING; i++) {
        if (c.running[i].feed && c.running[i].holds)
            chanserv_feed_cancel(c.running[i].feed);
        while (c.running[i].feed) {
            act_feed(i);
            cr_assert(!c.running[i].feed || chanserv_feed_status(c.running[i].feed) != CS_AGAIN,
                      "post %d never ends", c.running[i].number);
        }
    }
    c.runs[POSTS - 1] = 0;
    memcpy(body, &(int){POSTS - 1}, sizeof c.posts);
    cr_assert_eq(
        chanserv_lookup_and_post(many.client, "x", cs_bytes_of(body, sizeof body), NULL, &feed),
        CS_OK);
    many_ends(feed, CS_OK, "");
    cr_assert_eq(c.runs[POSTS - 1], 1);
}

static void tell(uint64_t seed)
{
    memset(&c, 0, sizeof c);
    c.seed = seed;
    c.dice = seed * 2654435761u + 88172645463325252u;
    many_up();
    for (int i = 0; i < MANY; i++)
        if (dice(2))
            bring(i);
    for (int step = 0; step < STEPS; step++)
        act();
    if (dice(4))
        the_storm_is_over();
    many_down();
}

static void on_fini(void)
{
    if (c.seed)
        fprintf(stderr, "STORY_SEED=%llu\n", (unsigned long long)c.seed);
}

TestSuite(flapping, .fini = on_fini, .timeout = 300);

Test(flapping, no_post_runs_twice_and_each_is_told_what_became_of_it)
{
    const char *one = getenv("STORY_SEED"), *many_seeds = getenv("STORY_SEEDS");
    const uint64_t first = one ? strtoull(one, NULL, 10) : 1;
    const uint64_t n = one ? 1 : many_seeds ? strtoull(many_seeds, NULL, 10) : 300;

    for (uint64_t seed = first; seed < first + n; seed++)
        tell(seed);
    c.seed = 0;
    fprintf(stderr,
            "%llu stories: %lu posts ended well, %lu never ran, %lu refused, %lu cut, %lu drained, "
            "%lu late\n",
            (unsigned long long)n, seen[CS_DONE], seen[CS_ENOENT], seen[CS_EREFUSED],
            seen[CS_EPEER], seen[CS_EDRAIN], seen[CS_ETIMEOUT]);
    if (one)
        return;
    cr_expect_gt(seen[CS_DONE], 0);
    cr_expect_gt(seen[CS_ENOENT], 0);
    cr_expect_gt(seen[CS_EPEER], 0);
    cr_expect_gt(seen[CS_EDRAIN], 0);
}
