/* How long a loop looks for news before it sleeps.  That it is fast enough to find some is never certain, so who
 * wants to see that tries again until it did. */
#include "base/loop__in.h"

#include <criterion/criterion.h>

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

/* ---- As it is asked ------------------------------------------------------------------------- */

Test(loop_sleep, a_look_finds_what_comes_meanwhile)
{
    cr_assert_eq(cs_loop_busy_poll(loop, CS_BUSY_POLL_MAX_US), CS_OK);
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

Test(loop_sleep, it_can_be_off)
{
    cr_assert_eq(cs_loop_busy_poll(loop, CS_OFF), CS_OK);
    for (int i = 0; i < 20; i++)
        wait_a_moment();
    cr_assert_eq(looks(), 0);
}

Test(loop_sleep, it_has_bounds)
{
    cr_assert_eq(cs_loop_busy_poll(loop, CS_BUSY_POLL_MAX_US + 1), CS_EINVAL);
    cr_assert_eq(cs_loop_busy_poll(loop, CS_OFF - 1), CS_EINVAL);
    cr_assert_eq(cs_loop_busy_poll(loop, CS_OFF), CS_OK);
    cr_assert_eq(cs_loop_busy_poll(loop, 0), CS_OK);
    while (looks() == 0) /* the last word counts */
        wait_a_moment();
}

/* ---- By itself ------------------------------------------------------------------------------ */

enum { A_LOOK = CS_BUSY_POLL_US * CS__SPARE_SHARE };

/* What may be spent, less what time has brought. */
static int64_t balance(void)
{
    return loop->spare - loop->spare_at_us;
}

Test(loop_sleep, a_look_in_vain_has_its_price)
{
    uint64_t all, good;
    int64_t before;

    loop->spare_at_us = cs_loop_now_us(loop);
    loop->spare = CS__SPARE_US; /* some, and far from the most that can be spared */
    do {
        before = balance();
        all = looks();
        good = hits();
        wait_a_moment();
    } while (looks() - all == hits() - good);
    cr_assert_leq(balance(), before - A_LOOK);
}

Test(loop_sleep, who_has_nothing_to_spare_sleeps)
{
    loop->spare_at_us = cs_loop_now_us(loop);
    loop->spare = -(int64_t)1000 * 1000 * 3600; /* for an hour */
    for (int i = 0; i < 20; i++)
        wait_a_moment();
    cr_assert_eq(looks(), 0);
    loop->spare = A_LOOK;
    while (looks() == 0)
        wait_a_moment();
}

Test(loop_sleep, what_is_spared_is_bounded)
{
    loop->spare = INT64_MAX / 2;
    wait_a_moment();
    cr_assert_leq(loop->spare, (int64_t)CS__SPARE_US * CS__SPARE_SHARE);
}
