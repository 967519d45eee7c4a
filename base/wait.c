/* wait -- who sleeps until the loop has something for him, and the loop with its own thread.
 *
 * The lock of a shared loop is recursive by hand: a waiter lets go of all its depth at
 * once.  Sleepers are signalled, and the loop's thread is rung, when the lock is let go: both
 * need it first thing, and would run into it while the turn or the caller goes on.
 *
 * Who waits may turn the loop himself, as a guest: then what he waits for is read, and used, by one thread, and
 * nobody is woken.  For this the thread stands back when it has woken the only sleeper: he will be back soon.
 * When he is not it goes on, so that keepalive is answered and his news are read while he is busy.
 */
#include "base/loop__in.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

/* Of the thread with a guest who does not come back: once or twice that. */
enum { PATIENCE_US = 500 };

struct sleeper {
    struct cs_link link; /* in loop->woken */
    pthread_cond_t cond;
    bool signalled;
};

const void *cs__thread_here(void)
{
    static _Thread_local char here;
    return &here;
}

/* ---- The lock ----------------------------------------------------------------------------- */

static bool holds_lock(const cs_loop *loop)
{
    return atomic_load_explicit(&loop->holder, memory_order_relaxed) == cs__thread_here();
}

static void set_holder(cs_loop *loop, const void *thread, unsigned depth)
{
    atomic_store_explicit(&loop->holder, thread, memory_order_relaxed);
    loop->depth = depth;
}

static void call_back(cs_loop *loop)
{
    loop->stands_back = false;
    pthread_cond_signal(&loop->back);
}

/* For a turn.  Of a guest who has just left it is expected that he waits again. */
static void ring(cs_loop *loop)
{
    if (!loop->stands_back || loop->has_guest)
        cs__loop_ring(loop);
    else if (loop->last_guest != cs__thread_here())
        call_back(loop);
}

/* Just before the lock goes, and not after: then the sleeper, or the loop, may be gone. */
static void call_others(cs_loop *loop)
{
    struct cs_link *link;

    while ((link = cs_list_pop(&loop->woken))) {
        struct sleeper *sleeper = CS_CONTAINER(link, struct sleeper, link);
        sleeper->signalled = loop->signalled = true;
        loop->asleep--;
        pthread_cond_signal(&sleeper->cond);
    }
    if (loop->to_ring)
        ring(loop);
    loop->to_ring = false;
}

void cs_loop_enter(cs_loop *loop)
{
    if (!loop->is_shared)
        return;
    if (holds_lock(loop)) {
        loop->depth++;
        return;
    }
    pthread_mutex_lock(&loop->lock);
    set_holder(loop, cs__thread_here(), 1);
}

void cs_loop_leave(cs_loop *loop)
{
    if (!loop->is_shared || --loop->depth > 0)
        return;
    call_others(loop);
    set_holder(loop, NULL, 0);
    pthread_mutex_unlock(&loop->lock);
}

bool cs_loop_is_shared(const cs_loop *loop)
{
    return loop->is_shared;
}

/* ---- Waiters ------------------------------------------------------------------------------ */

void cs_waiter_init(cs_waiter *waiter)
{
    waiter->woken = false;
    waiter->sleeper = NULL;
}

void cs_waiter_fini(cs_waiter *waiter)
{
    cs_waiter_init(waiter);
}

void cs_waiter_wake(cs_loop *loop, cs_waiter *waiter)
{
    struct sleeper *sleeper;

    if (!waiter)
        return;
    waiter->woken = true;
    sleeper = waiter->sleeper;
    if (sleeper && !cs_linked(&sleeper->link))
        cs_list_push(&loop->woken, &sleeper->link);
}

static bool cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    bool made;

    if (pthread_condattr_init(&attr) != 0)
        return false;
    made = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
           pthread_cond_init(cond, &attr) == 0;
    pthread_condattr_destroy(&attr);
    return made;
}

/* Once; until `end_us` at the latest (CS__NEVER: it does not come).  False: it has come. */
static bool sleep_once(cs_loop *loop, pthread_cond_t *cond, int64_t end_us)
{
    struct timespec end = {.tv_sec = (time_t)(end_us / 1000000),
                           .tv_nsec = (long)(end_us % 1000000) * 1000};

    if (end_us == CS__NEVER)
        return pthread_cond_wait(cond, &loop->lock) == 0;
    return pthread_cond_timedwait(cond, &loop->lock, &end) == 0;
}

static cs_err sleep_until(cs_loop *loop, cs_waiter *waiter, int64_t end_us)
{
    struct sleeper sleeper = {.signalled = false};
    unsigned depth = loop->depth;

    if (!cond_init(&sleeper.cond))
        return CS_ESYS;
    cs_link_init(&sleeper.link);
    loop->asleep++;
    call_others(loop);
    waiter->sleeper = &sleeper;
    set_holder(loop, NULL, 0);
    while (!waiter->woken && sleep_once(loop, &sleeper.cond, end_us))
        ;
    set_holder(loop, cs__thread_here(), depth);
    waiter->sleeper = NULL;
    if (!sleeper.signalled)
        loop->asleep--;
    cs_unlink(&sleeper.link);
    pthread_cond_destroy(&sleeper.cond);
    return waiter->woken ? CS_OK : CS_AGAIN;
}

/* The lock is let go while nothing is called, as by the thread. */
static cs_err dispatch_entered(cs_loop *loop)
{
    unsigned depth = loop->depth;
    cs_err err;

    call_others(loop);
    set_holder(loop, NULL, 0);
    pthread_mutex_unlock(&loop->lock);
    err = cs__loop_dispatch(loop, true);
    pthread_mutex_lock(&loop->lock);
    set_holder(loop, cs__thread_here(), depth);
    return err;
}

/* Others who sleep need somebody who turns. */
static void guest_leaves(cs_loop *loop)
{
    loop->has_guest = false;
    atomic_store(&loop->runner, NULL);
    if (loop->asleep > 0 || !loop->stands_back || loop->ending)
        call_back(loop);
    else if (loop->dozes)
        pthread_cond_signal(&loop->back);
}

static cs_err turn_as_guest(cs_loop *loop, const cs_waiter *waiter, int timeout_ms)
{
    cs_err err;

    loop->has_guest = true;
    loop->guests++;
    loop->last_guest = cs__thread_here();
    cs__timer_move(loop->limit, timeout_ms > 0 ? timeout_ms : CS_OFF);
    cs__loop_take(loop);
    do
        err = dispatch_entered(loop);
    while (err == CS_OK && !waiter->woken && !loop->ending &&
           (timeout_ms < 0 || loop->limit->place));
    cs__timer_move(loop->limit, CS_OFF);
    guest_leaves(loop);
    return err;
}

static cs_err wait_shared(cs_loop *loop, cs_waiter *waiter, int timeout_ms)
{
    int64_t end = CS__NEVER;

    if (waiter->woken || timeout_ms == CS_NOW)
        return waiter->woken ? CS_OK : CS_AGAIN;
    if (timeout_ms >= 0)
        end = cs_loop_now_us(loop) + (int64_t)timeout_ms * 1000;
    if (loop->stands_back && !loop->has_guest && !loop->ending) {
        if (turn_as_guest(loop, waiter, timeout_ms) == CS_OK && !loop->ending)
            return waiter->woken ? CS_OK : CS_AGAIN;
        call_back(loop);
    }
    return sleep_until(loop, waiter, end);
}

static cs_err wait_private(cs_loop *loop, cs_waiter *waiter, int timeout_ms)
{
    cs_err err = CS_OK;

    if (waiter->woken)
        return CS_OK;
    /* The timer of ours needs no turn to be armed: we are the ones who dispatch. */
    cs__timer_move(loop->limit, timeout_ms > 0 ? timeout_ms : CS_OFF);
    cs__loop_arm(loop);
    do
        err = cs__loop_dispatch(loop, timeout_ms != CS_NOW);
    while (err == CS_OK && !waiter->woken && !loop->doomed &&
           (timeout_ms < 0 || loop->limit->place));
    cs__timer_move(loop->limit, CS_OFF);
    if (err != CS_OK || loop->doomed)
        return CS_EMISUSE;
    return waiter->woken ? CS_OK : CS_AGAIN;
}

cs_err cs_loop_wait(cs_loop *loop, cs_waiter *waiter, int timeout_ms)
{
    cs_err err;

    if (loop->is_shared) {
        if (cs_loop_is_mine(loop) || !holds_lock(loop))
            return CS_EMISUSE;
        err = wait_shared(loop, waiter, timeout_ms);
    } else {
        if (loop->held > 0)
            return CS_EMISUSE;
        cs__loop_hold(loop);
        err = loop->is_virtual ? cs__loop_wait_virtual(loop, waiter, timeout_ms)
                               : wait_private(loop, waiter, timeout_ms);
        cs__loop_release(loop);
    }
    if (err == CS_OK)
        waiter->woken = false;
    return err;
}

/* ---- The thread --------------------------------------------------------------------------- */

/* Until somebody calls, or there was no guest for a while.  Beside one who stays nobody needs to look. */
static void stand_back(cs_loop *loop)
{
    unsigned seen = loop->guests;

    loop->stands_back = true;
    atomic_store(&loop->runner, NULL);
    call_others(loop);
    set_holder(loop, NULL, 0);
    while (loop->has_guest || (loop->stands_back && !loop->ending)) {
        if (sleep_once(loop, &loop->back,
                       loop->dozes ? CS__NEVER : cs_loop_now_us(loop) + PATIENCE_US)) {
            loop->dozes = false;
            continue;
        }
        loop->dozes = loop->has_guest && loop->guests == seen;
        loop->stands_back = loop->stands_back && (loop->has_guest || loop->guests != seen);
        seen = loop->guests;
    }
    loop->stands_back = loop->dozes = false;
    set_holder(loop, cs__thread_here(), 1);
    cs__loop_take(loop);
}

static void *run_thread(void *user)
{
    cs_loop *loop = user;
    bool orphan;

    atomic_store(&loop->runner, cs__thread_here());
    cs_loop_enter(loop);
    while (!loop->ending) {
        loop->signalled = false;
        (void)dispatch_entered(loop);
        call_others(loop);
        if (loop->signalled && loop->asleep == 0 && !loop->ending)
            stand_back(loop);
    }
    cs__turns(loop);
    orphan = loop->doomed;
    cs_loop_leave(loop);
    if (orphan) { /* freed in a callback, so nobody joins us */
        pthread_cond_destroy(&loop->back);
        cs__loop_destroy(loop);
    }
    return NULL;
}

/* Signals are for the threads of the user. */
cs_err cs__thread_start(cs_loop *loop)
{
    sigset_t all, old;
    int failed;

    if (!cond_init(&loop->back))
        return CS_ESYS;
    loop->held = 1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    failed = pthread_create(&loop->thread, NULL, run_thread, loop);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed)
        pthread_cond_destroy(&loop->back);
    return failed ? CS_ESYS : CS_OK;
}

void cs__thread_end(cs_loop *loop)
{
    cs_loop_enter(loop);
    loop->ending = true;
    call_back(loop);
    cs__loop_ring(loop);
    while (holds_lock(loop)) /* also what the caller forgot to leave */
        cs_loop_leave(loop);
    pthread_join(loop->thread, NULL);
    pthread_cond_destroy(&loop->back);
}
