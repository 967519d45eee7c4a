/* wait -- who sleeps until the loop has something for him, and the loop with its own thread.
 *
 * The lock of a shared loop is recursive by hand: a waiter lets go of all its depth at
 * once.  Sleepers are signalled, and the loop's thread is rung, when the lock is let go: both
 * need it first thing, and would run into it while the turn or the caller goes on.
 */
#include "base/loop__in.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

struct sleeper {
    struct cs_link link; /* in loop->woken */
    pthread_cond_t cond;
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

/* Just before the lock goes, and not after: then the sleeper, or the loop, may be gone. */
static void call_others(cs_loop *loop)
{
    struct cs_link *link;

    while ((link = cs_list_pop(&loop->woken)))
        pthread_cond_signal(&CS_CONTAINER(link, struct sleeper, link)->cond);
    if (loop->to_ring)
        cs__loop_ring(loop);
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

static bool sleeper_init(struct sleeper *sleeper)
{
    pthread_condattr_t attr;
    bool made;

    cs_link_init(&sleeper->link);
    if (pthread_condattr_init(&attr) != 0)
        return false;
    made = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
           pthread_cond_init(&sleeper->cond, &attr) == 0;
    pthread_condattr_destroy(&attr);
    return made;
}

/* Until woken, or `end_us` has come (CS__NEVER: it does not). */
static void sleep_until(cs_loop *loop, const cs_waiter *waiter, pthread_cond_t *cond,
                        int64_t end_us)
{
    struct timespec end = {.tv_sec = (time_t)(end_us / 1000000),
                           .tv_nsec = (long)(end_us % 1000000) * 1000};
    int failed = 0;

    while (!waiter->woken && failed == 0)
        failed = end_us == CS__NEVER ? pthread_cond_wait(cond, &loop->lock)
                                     : pthread_cond_timedwait(cond, &loop->lock, &end);
}

static cs_err wait_shared(cs_loop *loop, cs_waiter *waiter, int timeout_ms)
{
    struct sleeper sleeper;
    unsigned depth = loop->depth;

    if (waiter->woken || timeout_ms == CS_NOW)
        return waiter->woken ? CS_OK : CS_AGAIN;
    if (!sleeper_init(&sleeper))
        return CS_ESYS;
    int64_t end = timeout_ms < 0 ? CS__NEVER : cs_loop_now_us(loop) + (int64_t)timeout_ms * 1000;
    call_others(loop);
    waiter->sleeper = &sleeper;
    set_holder(loop, NULL, 0);
    sleep_until(loop, waiter, &sleeper.cond, end);
    set_holder(loop, cs__thread_here(), depth);
    waiter->sleeper = NULL;
    cs_unlink(&sleeper.link);
    pthread_cond_destroy(&sleeper.cond);
    return waiter->woken ? CS_OK : CS_AGAIN;
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

static void *run_thread(void *user)
{
    cs_loop *loop = user;
    bool orphan;

    atomic_store(&loop->runner, cs__thread_here());
    cs_loop_enter(loop);
    while (!loop->ending) {
        cs_loop_leave(loop);
        cs__loop_dispatch(loop, true);
        cs_loop_enter(loop);
    }
    cs__turns(loop);
    orphan = loop->doomed;
    cs_loop_leave(loop);
    if (orphan) /* freed in a callback, so nobody joins us */
        cs__loop_destroy(loop);
    return NULL;
}

/* Signals are for the threads of the user. */
cs_err cs__thread_start(cs_loop *loop)
{
    sigset_t all, old;
    int failed;

    loop->held = 1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    failed = pthread_create(&loop->thread, NULL, run_thread, loop);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed ? CS_ESYS : CS_OK;
}

void cs__thread_end(cs_loop *loop)
{
    cs_loop_enter(loop);
    loop->ending = true;
    cs__loop_ring(loop);
    while (holds_lock(loop)) /* also what the caller forgot to leave */
        cs_loop_leave(loop);
    pthread_join(loop->thread, NULL);
}
