/* How long a loop looks for news before it sleeps.  That it is fast enough to find some is never certain, so who
 * wants to see that tries again until it did. */
#include "base/loop__in.h"

#include <criterion/criterion.h>
#include <event2/event.h>

static cs_loop *loop;
static cs_timer *timer;
static unsigned fired;

static void fire(void *user)
{
    (void)user;
    fired++;
}

static void setup(void)
{
    fired = 0;
    cr_assert_eq(cs_loop_new(NULL, &loop), CS_OK);
    cr_assert_eq(cs_timer_new(loop, fire, NULL, &timer), CS_OK);
}

static void teardown(void)
{
    if (loop)
        cs_timer_free(timer);
    cs_loop_free(loop);
}

TestSuite(loop_sleep, .init = setup, .fini = teardown, .timeout = 60);

static uint64_t looks(void)
{
    return cs_loop_busy_polls(loop).looks;
}

static uint64_t hits(void)
{
    return cs_loop_busy_polls(loop).hits;
}

static void wait_a_moment(void)
{
    const unsigned before = fired;

    cs_timer_set(timer, 1);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_eq(fired, before + 1);
}

static void look_always(void)
{
    cr_assert_eq(cs_loop_busy_poll(loop, CS_BUSY_POLL_MAX_US), CS_OK);
}

/* ---- As it is asked ------------------------------------------------------------------------- */

Test(loop_sleep, a_look_finds_what_comes_meanwhile)
{
    look_always();
    while (hits() == 0)
        wait_a_moment(); /* the timer of a millisecond is news, too */
    cr_assert_leq(hits(), looks());
}

Test(loop_sleep, a_look_that_finds_nothing_ends_in_sleep)
{
    cr_assert_eq(cs_loop_busy_poll(loop, 1), CS_OK);
    while (looks() == hits())
        wait_a_moment();
}

static void stays_off(int us)
{
    const uint64_t before = looks();

    cr_assert_eq(cs_loop_busy_poll(loop, us), CS_OK);
    for (int i = 0; i < 20; i++)
        wait_a_moment();
    cr_assert_eq(looks(), before);
}

Test(loop_sleep, it_can_be_off)
{
    stays_off(CS_OFF);
    stays_off(-1000);
}

Test(loop_sleep, it_has_a_bound_and_the_last_word_counts)
{
    cr_assert_eq(cs_loop_busy_poll(loop, CS_OFF), CS_OK);
    cr_assert_eq(cs_loop_busy_poll(loop, CS_BUSY_POLL_MAX_US + 1), CS_EINVAL);
    wait_a_moment();
    cr_assert_eq(looks(), 0);
    cr_assert_eq(cs_loop_busy_poll(loop, 0), CS_OK);
    while (looks() == 0)
        wait_a_moment();
}

/* ---- Who else is there ---------------------------------------------------------------------- */

static void *act_when_it_looks(void *act)
{
    while (looks() == 0)
        ;
    ((void (*)(void))(uintptr_t)act)();
    return NULL;
}

static void stop_it(void)
{
    cs_loop_stop(loop);
}

static pthread_t when_it_looks(void (*act)(void))
{
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, act_when_it_looks, (void *)(uintptr_t)act), 0);
    return thread;
}

Test(loop_sleep, it_can_be_stopped_while_it_looks)
{
    pthread_t thread = when_it_looks(stop_it);

    look_always();
    cs_timer_set(timer, 1000 * 1000);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    pthread_join(thread, NULL);
}

static struct event *theirs;
static int left;

static void on_theirs(evutil_socket_t fd, short what, void *user)
{
    static const struct timeval at_once = {0, 0};

    (void)fd, (void)what, (void)user;
    if (--left > 0)
        cr_assert_eq(event_add(theirs, &at_once), 0);
}

Test(loop_sleep, the_last_event_of_the_user_ends_the_run)
{
    look_always();
    theirs = event_new(cs_loop_base(loop), -1, 0, on_theirs, NULL);
    cr_assert_not_null(theirs);
    left = 5;
    on_theirs(-1, 0, NULL);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_eq(left, 0);
    event_free(theirs);
}

static void free_it(evutil_socket_t fd, short what, void *user)
{
    (void)fd, (void)what, (void)user;
    cs_timer_free(timer);
    cs_loop_free(loop);
    loop = NULL;
}

Test(loop_sleep, an_event_of_the_user_may_free_it)
{
    static const struct timeval soon = {0, 2000};

    look_always();
    cr_assert_eq(event_base_once(cs_loop_base(loop), -1, EV_TIMEOUT, free_it, NULL, &soon), 0);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_null(loop);
}

Test(loop_sleep, who_waits_for_less_than_a_look_does_not_wait_for_ever)
{
    cs_loop *shared;
    cs_waiter waiter;

    cr_assert_eq(cs_loop_new_shared(&shared), CS_OK);
    cr_assert_eq(cs_loop_busy_poll(shared, CS_BUSY_POLL_MAX_US), CS_OK);
    cs_waiter_init(&waiter);
    for (int i = 0; i < 20; i++) {
        cs_loop_enter(shared);
        cr_assert_eq(cs_loop_wait(shared, &waiter, 1), CS_AGAIN);
        cs_loop_leave(shared);
    }
    cs_waiter_fini(&waiter);
    cs_loop_free(shared); /* while its thread looks */
}

/* ---- By itself ------------------------------------------------------------------------------ */

enum { A_LOOK = CS_BUSY_POLL_US * CS__BUDGET_SHARE };

/* Without what time has brought. */
static int64_t balance(void)
{
    return loop->budget - loop->budget_at_us;
}

/* So much, and far from the most that there can be. */
static void begin_with(int64_t budget)
{
    loop->budget_at_us = cs_loop_now_us(loop);
    loop->budget = budget;
}

Test(loop_sleep, a_look_in_vain_has_its_price)
{
    uint64_t all, good;
    int64_t before;

    begin_with(CS__BUDGET_US);
    do {
        before = balance();
        all = looks();
        good = hits();
        wait_a_moment();
    } while (looks() - all == hits() - good);
    cr_assert_leq(balance(), before - A_LOOK);
}

static void work(void *user)
{
    const int64_t end = cs_loop_now_us(loop) + 1000;

    (void)user;
    while (cs_loop_now_us(loop) < end)
        loop->stale = true;
    cs_loop_stop(loop);
}

static void let_it_work(void)
{
    cr_assert_eq(cs_loop_call(loop, work, NULL), CS_OK);
}

/* Whether a look was followed by work, and cost nothing. */
static bool works_for_nothing(void)
{
    int64_t before;
    pthread_t thread;

    atomic_store(&loop->looks, 0);
    atomic_store(&loop->hits, 0);
    begin_with(CS__BUDGET_US);
    before = balance();
    thread = when_it_looks(let_it_work);
    cs_timer_set(timer, 1000 * 1000);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    pthread_join(thread, NULL);
    return looks() == 1 && hits() == 1 && balance() == before;
}

/* It is not where the call came late, or somebody else had the processor: then again. */
Test(loop_sleep, a_look_that_leads_to_work_is_free)
{
    int tries = 1;

    while (tries < 2000 && !works_for_nothing())
        tries++;
    cr_assert_lt(tries, 2000);
}

Test(loop_sleep, who_has_nothing_to_spend_sleeps)
{
    begin_with(-(int64_t)CS__BUDGET_US * CS__BUDGET_SHARE);
    for (int i = 0; i < 20; i++)
        wait_a_moment();
    cr_assert_eq(looks(), 0);
    begin_with(A_LOOK);
    while (looks() == 0)
        wait_a_moment();
}

Test(loop_sleep, a_budget_has_bounds)
{
    const int64_t most = (int64_t)CS__BUDGET_US * CS__BUDGET_SHARE;

    begin_with(INT64_MAX / 2);
    wait_a_moment();
    cr_assert_leq(loop->budget, most);
    begin_with(INT64_MIN / 2);
    wait_a_moment();
    cr_assert_geq(loop->budget, -most);
}

Test(loop_sleep, what_was_asked_for_costs_nothing)
{
    int64_t before;

    begin_with(CS__BUDGET_US);
    before = balance();
    cr_assert_eq(cs_loop_busy_poll(loop, 1), CS_OK);
    while (looks() == hits())
        wait_a_moment();
    cr_assert_eq(balance(), before);
}
