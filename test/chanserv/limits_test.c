/* What one peer may have of a server, whatever there is left of it; and what happens when memory is
 * short. */
#include "raw.h"

#include "chanserv/server__in.h"

#include <sys/resource.h>

static cs_err nothing_yet(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)o, (void)frame, (void)state;
    return CS_AGAIN;
}

static const struct chanserv_outlet_ops quiet = {.next = nothing_yet};

/* Three sources that say nothing; a body keeps the post. */
static cs_err three(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {.state_bytes = 0};

    (void)user;
    if (body.len > 0)
        cr_assert_eq(chanserv_post_keep(post, &ops, NULL), CS_OK);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(chanserv_announce(post, cs_str("s"), &quiet, NULL, NULL), CS_OK);
    return body.len > 0 ? CS_AGAIN : CS_DONE;
}

static void up(const struct chanserv_server_options *options)
{
    raw_up(options);
    cr_assert_eq(chanserv_serve(raw.server, "three", three, NULL), CS_OK);
}

Test(peer, has_so_many_posts_and_another_has_his_own)
{
    up(&(struct chanserv_server_options){.posts_peer_max = 2});
    struct raw_call *first = raw_post("three", "keep");

    raw_runs(first);
    raw_runs(raw_post("three", "keep"));
    raw_ended(raw_post("three", "keep"), CS_ELIMIT, "limit", "");
    cr_assert_eq(raw_counters().posts_peer_refused, 1);
    cr_assert_eq(raw_counters().posts, 2);
    raw.token = "Bearer another";
    raw_runs(raw_post("three", "keep"));
    raw.token = NULL;
    raw_leave(first);
    raw_runs(raw_post("three", "keep"));
    raw_ended(raw_post("three", "keep"), CS_ELIMIT, "limit", "");
    cr_assert_eq(raw_counters().posts_peer_refused, 2);
    raw_down();
}

Test(peer, has_so_many_open_sources_and_a_refused_ticket_stays_good)
{
    up(&(struct chanserv_server_options){.opens_peer_max = 2});
    struct raw_call *post = raw_post("three", ""), *first = raw_open(post, 0, 0);

    raw_runs(first);
    raw_runs(raw_open(post, 1, 0));
    raw_ended(raw_open(post, 2, 0), CS_ELIMIT, "limit", "");
    cr_assert_eq(raw_counters().opens_peer_refused, 1);
    cr_assert_eq(raw_counters().sources_waiting, 1);
    raw_leave(first);
    raw_runs(raw_open(post, 2, 0));
    cr_assert_eq(raw_counters().opens_peer_refused, 1);
    raw_down();
}

Test(peer, limits_can_be_switched_off)
{
    up(&(struct chanserv_server_options){.posts_peer_max = CS_OFF, .opens_peer_max = CS_OFF});
    for (int i = 0; i < 8; i++) {
        struct raw_call *post = raw_post("three", "keep");

        raw_runs(post);
        for (size_t j = 0; j < 3; j++)
            raw_runs(raw_open(post, j, 0));
    }
    raw_down();
}

/* ---- Memory --------------------------------------------------------------------------------- */

static int64_t percent;

static size_t used(void)
{
    return (size_t)(chanserv__memory_there() / 100 * percent);
}

static cs_err always(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    static const char bytes[1000];

    (void)o, (void)state;
    *frame = cs_bytes_of(bytes, sizeof bytes);
    return CS_OK;
}

static cs_err floods(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops endless = {.next = always};

    (void)body, (void)user;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(chanserv_announce(post, cs_str("s"), &endless, NULL, NULL), CS_OK);
    return CS_DONE;
}

static void up_short(int64_t max)
{
    up(&(struct chanserv_server_options){.memory_max_percent = max});
    cr_assert_eq(chanserv_serve(raw.server, "floods", floods, NULL), CS_OK);
    raw.server->memory.used = used;
    percent = 0;
}

/* An endless source that nobody reads; the others follow a second later each. */
static struct raw_call *stalled(const struct raw_call *post, size_t i)
{
    struct wire_open open = {.ticket = cs_bytes_of(post->tickets[i], 32)};
    struct raw_call *call = raw_open_with(&open, 0);

    raw_pause(call);
    cs_loop_settle(raw.loop);
    cs_loop_advance(raw.loop, 1000);
    return call;
}

Test(memory, that_is_short_refuses_posts_until_it_is_not)
{
    up_short(0);
    percent = 89;
    raw_runs(raw_post("three", "keep"));
    cs_loop_advance(raw.loop, 100);
    percent = 91;
    raw_ended(raw_post("three", "keep"), CS_ELIMIT, "limit", "");
    cr_assert_eq(raw_counters().posts_refused_memory, 1);
    percent = 0;
    cs_loop_advance(raw.loop, 99);
    raw_ended(raw_post("three", "keep"), CS_ELIMIT, "limit", "");
    cs_loop_advance(raw.loop, 1);
    raw_runs(raw_post("three", "keep"));
    cr_assert_eq(raw_counters().posts_refused_memory, 2);
    raw_down();
}

Test(memory, that_is_short_ends_what_stands_still_the_longest_first)
{
    up_short(0);
    struct raw_call *post = raw_post("floods", "");
    struct raw_call *first = stalled(post, 0), *second = stalled(post, 1);
    struct raw_call *quiet_one = raw_open(raw_post("three", ""), 0, 0);

    percent = 95;
    for (int i = 0; i < 3; i++) { /* what has nothing to send holds nothing */
        cs_loop_advance(raw.loop, 100);
        raw_ended(raw_post("three", "keep"), CS_ELIMIT, "limit", "");
        raw_resume(first);
        cs_loop_settle(raw.loop);
        raw_ended(first, CS_ESTALLED, "stalled", "");
        if (i == 0)
            raw_runs(second);
        cr_assert_eq(raw_counters().memory_ended, i == 0 ? 1 : 2);
    }
    raw_resume(second);
    cs_loop_settle(raw.loop);
    raw_ended(second, CS_ESTALLED, "stalled", "");
    raw_runs(quiet_one);
    raw_down();
}

Test(memory, is_no_matter_when_the_limit_is_off)
{
    up_short(CS_OFF);
    percent = 1000;
    raw_runs(raw_post("three", "keep"));
    cr_assert_eq(raw_counters().posts_refused_memory, 0);
    raw_down();
}

Test(memory, may_be_more_than_there_is)
{
    up_short(INT64_MAX - 1);
    percent = 1000;
    raw_runs(raw_post("three", "keep"));
    cr_assert_eq(raw_counters().posts_refused_memory, 0);
    raw_down();
}

Test(memory, is_measured)
{
    cr_assert_gt((int64_t)cs_mem_resident(), 1 << 20);
    cr_assert_lt((int64_t)cs_mem_resident(), chanserv__memory_there());
}

Test(memory, there_is_no_more_than_the_process_may_have)
{
    int64_t there = chanserv__memory_there(), then;
    struct rlimit data, less;

    cr_assert_eq(getrlimit(RLIMIT_DATA, &data), 0);
    less = data;
    less.rlim_cur = 512 << 20;
    cr_assert_eq(setrlimit(RLIMIT_DATA, &less), 0);
    then = chanserv__memory_there();
    cr_assert_eq(setrlimit(RLIMIT_DATA, &data), 0);
    cr_assert_eq(then, 512 << 20);
    cr_assert_gt(there, then);
}
