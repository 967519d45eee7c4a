/* loop_sleep -- how a loop sleeps until there is news, and how long it looks for them before.
 *
 * To wake a processor takes some 5 us, and 50 and more where it is a virtual one or sleeps deeply, and nearly
 * as much of the processors' time; an answer often takes less.  Who looks for as long as waking would cost pays
 * twice as much at worst.  At best two that talk to one another both look, and nobody is ever woken.
 *
 * Which it will be is not known before, so what is spent in vain is bounded: a share of the time.  What was not
 * spent may be spent later, up to a bound, so that two who start to talk find one another.
 */
#include "base/loop__in.h"

#include <event2/event.h>
#include <sched.h>

cs_err cs_loop_busy_poll(cs_loop *loop, int us)
{
    if (us != CS_OFF && (us < 0 || us > CS_BUSY_POLL_MAX_US))
        return CS_EINVAL;
    atomic_store(&loop->busy_poll_us, us);
    return CS_OK;
}

struct cs_busy_polls cs_loop_busy_polls(const cs_loop *loop)
{
    return (struct cs_busy_polls){atomic_load(&loop->looks), atomic_load(&loop->hits)};
}

/* Who dispatches is one thread at a time, and who asks may be another. */
static void count(_Atomic(uint64_t) *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

enum { FAILED = -1, NOTHING, NEWS };

/* One pass, as a sleep would be followed by: EVLOOP_NONBLOCK alone goes on as long as there is something.  Whether
 * an event that is not ours was news is not known: then it was none, and the next look follows. */
static int look_once(cs_loop *loop)
{
    int done;

    loop->called_back = false;
    done = event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    if (done != 0) /* 1: it has no events at all, and would not sleep either */
        return done < 0 ? FAILED : NEWS;
    return loop->called_back || event_base_got_break(loop->base) || event_base_got_exit(loop->base)
               ? NEWS
               : NOTHING;
}

/* Counted in what a share of is ours. */
static bool can_spare(cs_loop *loop, int64_t now)
{
    const int64_t most = (int64_t)CS__SPARE_US * CS__SPARE_SHARE;

    loop->spare += now - loop->spare_at_us;
    loop->spare_at_us = now;
    if (loop->spare > most)
        loop->spare = most;
    return loop->spare >= CS_BUSY_POLL_US * CS__SPARE_SHARE;
}

/* Who has the answer may need the processor that we look on, so each time it is offered.  Where somebody
 * else takes it for longer than we would have looked, that was in vain, too: who sleeps gets it back sooner. */
static int look_for(cs_loop *loop, int us)
{
    const int64_t from = cs_loop_now_us(loop);
    int64_t now = from, was;
    int seen;

    if (us == 0 && !can_spare(loop, from))
        return NOTHING;
    us = us ? us : CS_BUSY_POLL_US;
    if ((seen = look_once(loop)) != NOTHING)
        return seen;
    count(&loop->looks);
    do {
        sched_yield();
        seen = look_once(loop);
        was = now;
        now = cs_loop_now_us(loop);
    } while (seen == NOTHING && now - from < us);
    if (seen == NEWS)
        count(&loop->hits);
    if (seen != NEWS || now - was > us)
        loop->spare -= (now - from) * CS__SPARE_SHARE;
    return seen;
}

static int look_and_sleep(cs_loop *loop)
{
    const int us = atomic_load_explicit(&loop->busy_poll_us, memory_order_relaxed);
    const int seen = us == CS_OFF ? NOTHING : look_for(loop, us);

    return seen == NOTHING ? event_base_loop(loop->base, EVLOOP_ONCE) : seen;
}

cs_err cs__loop_dispatch(cs_loop *loop, bool block)
{
    int done = block ? look_and_sleep(loop) : event_base_loop(loop->base, EVLOOP_NONBLOCK);
    return done < 0 ? CS_ESYS : CS_OK;
}
