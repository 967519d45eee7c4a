/* loop_sleep -- how a loop sleeps until there is news, and busy polling: it looks for them before.
 *
 * To wake a processor takes some 5 us, and 50 and more where it is a virtual one or sleeps deeply, and nearly
 * as much of the processors' time; an answer often takes less.  Who looks for as long as waking would cost pays
 * twice as much at worst.  At best two that talk to one another both look, and nobody is ever woken.
 *
 * Which it will be is not known before, so what is spent in vain has a budget: it grows with time, by a share of
 * it, up to a bound.  There is some to begin with, so that two who start to talk find one another.
 */
#include "base/loop__in.h"

#include <event2/event.h>
#include <sched.h>

cs_err cs_loop_busy_poll(cs_loop *loop, int us)
{
    if (us > CS_BUSY_POLL_MAX_US)
        return CS_EINVAL;
    atomic_store(&loop->busy_poll_us, us < 0 ? CS_OFF : us);
    return CS_OK;
}

/* In this order: no more hits than looks. */
struct cs_busy_polls cs_loop_busy_polls(const cs_loop *loop)
{
    struct cs_busy_polls ret;

    ret.hits = atomic_load(&loop->hits);
    ret.looks = atomic_load(&loop->looks);
    return ret;
}

/* Who dispatches is one thread at a time, and who asks may be another. */
static void count(_Atomic(uint64_t) *counter)
{
    atomic_store(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1);
}

enum { FAILED = -1, NOTHING, NEWS };

static bool is_over(const cs_loop *loop)
{
    return event_base_got_break(loop->base) || event_base_got_exit(loop->base);
}

/* Asked after each pass, so that it tells of this one and of what was made active since the last. */
static bool was_active(cs_loop *loop)
{
    return event_base_get_max_events(loop->base, EVENT_BASE_COUNT_ACTIVE, 1) > 0;
}

static int sleep_once(cs_loop *loop)
{
    int done = event_base_loop(loop->base, EVLOOP_ONCE);

    (void)was_active(loop);
    return done;
}

/* One pass, as would follow a sleep: EVLOOP_NONBLOCK alone goes on as long as there is something.  Whatever was
 * active is news, a signal and the user's own events too: whoever runs the loop shall see whether it goes on. */
static int look_once(cs_loop *loop)
{
    int done = event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);

    if (done != 0) /* 1: it has no events at all, and would not sleep either */
        return done < 0 ? FAILED : NEWS;
    return was_active(loop) || is_over(loop) ? NEWS : NOTHING;
}

/* ---- The budget ----------------------------------------------------------------------------- */

/* In microseconds times CS__BUDGET_SHARE, so that time is added as it is. */
static const int64_t budget_max = (int64_t)CS__BUDGET_US * CS__BUDGET_SHARE;

/* Of a process that stood still it is not asked to sleep fifty times as long. */
static void earn(cs_loop *loop, int64_t now)
{
    loop->budget += now - loop->budget_at_us;
    loop->budget_at_us = now;
    if (loop->budget > budget_max)
        loop->budget = budget_max;
    if (loop->budget < -budget_max)
        loop->budget = -budget_max;
}

/* ---- Looking -------------------------------------------------------------------------------- */

/* Who has the answer may need the processor that we look on.  Answers how long it was gone: longer than we
 * would have looked, and somebody else needs it, and who sleeps gets it back sooner. */
static int64_t offer_processor(cs_loop *loop, int64_t now)
{
    (void)sched_yield();
    return cs_loop_now_us(loop) - now;
}

/* *lost: how much of it was spent in vain. */
static int look_until(cs_loop *loop, int64_t from, int us, int64_t *lost)
{
    int64_t away;
    int seen = look_once(loop);

    *lost = 0;
    if (seen != NOTHING)
        return seen;
    count(&loop->looks);
    if ((away = offer_processor(loop, from)) > us)
        *lost = away;
    while (!is_over(loop)) {
        if ((seen = look_once(loop)) != NOTHING)
            break;
        if ((away = cs_loop_now_us(loop) - from) < us)
            continue;
        *lost = away;
        return NOTHING;
    }
    count(&loop->hits);
    return seen == FAILED ? FAILED : NEWS;
}

static int look(cs_loop *loop, int us)
{
    const int64_t now = cs_loop_now_us(loop);
    int64_t lost;
    int seen;

    if (us > 0)
        return look_until(loop, now, us, &lost);
    earn(loop, now);
    if (loop->budget < (int64_t)CS_BUSY_POLL_US * CS__BUDGET_SHARE)
        return NOTHING;
    seen = look_until(loop, now, CS_BUSY_POLL_US, &lost);
    loop->budget -= lost * CS__BUDGET_SHARE;
    return seen;
}

cs_err cs__loop_dispatch(cs_loop *loop, bool block)
{
    const int us = atomic_load_explicit(&loop->busy_poll_us, memory_order_relaxed);
    int done = NOTHING;

    if (!block)
        done = event_base_loop(loop->base, EVLOOP_NONBLOCK);
    else if (us == CS_OFF || (done = look(loop, us)) == NOTHING)
        done = sleep_once(loop);
    return done < 0 ? CS_ESYS : CS_OK;
}
