/* turn -- the four phases, and what is posted for them.
 *
 * A phase takes all that is queued for it when it begins.  What is posted meanwhile for a
 * later phase finds its queue still untaken; what is posted for this phase or an earlier one
 * stays in its queue for the next turn.  So the order follows from the lists alone.
 */
#include "base/loop__in.h"
#include "base/mem.h"

#include <time.h>

void cs_task_init(cs_task *task, void (*fn)(cs_task *task))
{
    cs_link_init(&task->link);
    task->fn = fn;
}

void cs_task_post(cs_loop *loop, enum cs_phase phase, cs_task *task)
{
    if (cs_linked(&task->link))
        return;
    cs_list_push(&loop->queued[phase], &task->link);
    if ((int)phase <= loop->phase)
        cs__loop_kick(loop);
}

void cs_task_drop(cs_task *task)
{
    cs_unlink(&task->link);
}

bool cs_loop_in_turn(const cs_loop *loop)
{
    return atomic_load_explicit(&loop->turning, memory_order_relaxed) == cs__thread_here();
}

bool cs_loop_is_mine(cs_loop *loop)
{
    return atomic_load_explicit(&loop->runner, memory_order_relaxed) == cs__thread_here();
}

bool cs_loop_is_virtual(const cs_loop *loop)
{
    return loop->is_virtual;
}

/* ---- The clock ---------------------------------------------------------------------------- */

static int64_t read_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t cs_loop_now_us(cs_loop *loop)
{
    if (loop->is_virtual)
        return loop->now_us;
    if (!cs_loop_in_turn(loop))
        return read_clock();
    if (loop->stale) {
        loop->now_us = read_clock();
        loop->stale = false;
    }
    return loop->now_us;
}

int64_t cs_loop_now_ms(cs_loop *loop)
{
    return cs_loop_now_us(loop) / 1000;
}

/* ---- Calls from anywhere ------------------------------------------------------------------ */

void cs_knock_init(cs_knock *knock, void (*fn)(cs_knock *knock))
{
    cs_link_init(&knock->link);
    knock->fn = fn;
}

void cs_loop_knock(cs_loop *loop, cs_knock *knock)
{
    bool is_new;

    pthread_mutex_lock(&loop->calls_lock);
    is_new = !cs_linked(&knock->link);
    if (is_new)
        cs_list_push(&loop->calls, &knock->link);
    atomic_store(&loop->called, true);
    pthread_mutex_unlock(&loop->calls_lock);
    if (!is_new)
        return;
    /* Only in a callback do we know for certain that libevent is ours to touch: a thread that
     * ran the loop once may have handed it to another since. */
    if (cs_loop_in_turn(loop))
        cs__loop_kick(loop);
    else
        cs__loop_ring(loop);
}

void cs_knock_drop(cs_loop *loop, cs_knock *knock)
{
    pthread_mutex_lock(&loop->calls_lock);
    cs_unlink(&knock->link);
    pthread_mutex_unlock(&loop->calls_lock);
}

static void call(cs_knock *knock)
{
    struct cs__call *call = CS_CONTAINER(knock, struct cs__call, knock);
    void (*fn)(void *user) = call->fn;
    void *user = call->user;

    cs_free(call);
    fn(user);
}

cs_err cs_loop_call(cs_loop *loop, void (*fn)(void *user), void *user)
{
    struct cs__call *made = cs_alloc(sizeof *made);

    if (!made)
        return CS_ENOMEM;
    cs_knock_init(&made->knock, call);
    made->fn = fn;
    made->user = user;
    cs_loop_knock(loop, &made->knock);
    return CS_OK;
}

/* Only those that were there: what they knock again is for the next turn.  Each is taken under the lock,
 * for until then another thread may look whether it is queued. */
static void run_calls(cs_loop *loop)
{
    struct cs_list mine;
    struct cs_link *link;

    if (!atomic_load(&loop->called))
        return;
    cs_list_init(&mine);
    pthread_mutex_lock(&loop->calls_lock);
    cs_list_move(&mine, &loop->calls);
    atomic_store(&loop->called, false);
    while ((link = cs_list_pop(&mine))) {
        cs_knock *knock = CS_CONTAINER(link, cs_knock, link);

        pthread_mutex_unlock(&loop->calls_lock);
        knock->fn(knock);
        pthread_mutex_lock(&loop->calls_lock);
    }
    pthread_mutex_unlock(&loop->calls_lock);
}

/* ---- A turn ------------------------------------------------------------------------------- */

static void run_phase(cs_loop *loop, int phase)
{
    struct cs_link *link;

    loop->phase = phase;
    cs_list_move(&loop->running, &loop->queued[phase]);
    while ((link = cs_list_pop(&loop->running))) {
        cs_task *task = CS_CONTAINER(link, cs_task, link);
        task->fn(task);
    }
}

bool cs__turn_needed(const cs_loop *loop)
{
    for (int phase = 0; phase < CS_PHASES; phase++)
        if (!cs_list_empty(&loop->queued[phase]))
            return true;
    return !cs_list_empty(&loop->running) || atomic_load(&loop->called);
}

/* On a shared loop only the loop's thread turns; it wakes who waits for its calm.  (Not by a
 * task: two who wait would see each other's posted, and wait for ever.) */
struct last_turn {
    struct cs_link link; /* in loop->last */
    cs_waiter waiter;
    size_t turns;
};

static void wake_last(cs_loop *loop)
{
    bool calm = !cs__turn_needed(loop);
    struct cs_link *link = cs_list_first(&loop->last), *next;

    for (; link; link = next) {
        struct last_turn *last = CS_CONTAINER(link, struct last_turn, link);
        next = cs_list_next(&loop->last, link);
        if (++last->turns < CS__TURNS_MAX && !calm)
            continue;
        cs_unlink(link);
        cs_waiter_wake(loop, &last->waiter);
    }
}

/* The caller has said cs__callback_begin(). */
void cs__turn(cs_loop *loop)
{
    loop->due = loop->heeds = false;
    loop->phase = CS__BEFORE_PHASES;
    run_calls(loop);
    cs__timers_fire(loop);
    for (int phase = 0; phase < CS_PHASES; phase++)
        run_phase(loop, phase);
    loop->phase = CS__NO_TURN;
    if (!cs_list_empty(&loop->last))
        wake_last(loop);
    cs__loop_arm(loop);
}

void cs_loop_heed(cs_loop *loop)
{
    loop->heeds = true;
}

/* Is there more than what waits to be written?  That comes behind what is there to be read: who writes a
 * lot shall hear, too. */
static bool goes_on(const cs_loop *loop)
{
    return loop->due && !loop->heeds && !loop->doomed && !loop->ending &&
           !atomic_load(&loop->stopped) &&
           (!cs_list_empty(&loop->queued[CS_CALL]) || !cs_list_empty(&loop->queued[CS_IO]) ||
            !cs_list_empty(&loop->queued[CS_REAP]));
}

/* What one thing leads to takes a turn or three, and the kernel is asked for news once.  The caller has
 * said cs__callback_begin(). */
void cs__turn_row(cs_loop *loop)
{
    enum { ROW = 6 };

    cs__turn(loop);
    for (int i = 1; i < ROW && goes_on(loop); i++) {
        loop->stale = true;
        cs__turn(loop);
    }
    cs__loop_kick_later(loop);
}

static void turn_once(cs_loop *loop)
{
    cs__callback_begin(loop);
    cs__turn(loop);
    cs__callback_end(loop);
}

size_t cs__turns(cs_loop *loop)
{
    size_t turns = 0;
    while (turns < CS__TURNS_MAX && cs__turn_needed(loop)) {
        turn_once(loop);
        turns++;
    }
    cs__loop_kick_later(loop);
    return turns;
}

void cs_loop_last_turn(cs_loop *loop)
{
    struct last_turn last = {.turns = 0};

    if (cs_loop_in_turn(loop))
        return;
    if (!loop->is_shared) {
        cs__loop_hold(loop);
        cs__turns(loop);
        cs__loop_release(loop);
        return;
    }
    cs_loop_enter(loop);
    cs_waiter_init(&last.waiter);
    cs_list_push(&loop->last, &last.link);
    cs__loop_kick(loop);
    if (cs_loop_wait(loop, &last.waiter, CS_FOREVER) != CS_OK)
        cs_unlink(&last.link); /* there was no way to sleep */
    cs_waiter_fini(&last.waiter);
    cs_loop_leave(loop);
}

/* ---- The virtual loop --------------------------------------------------------------------- */

static bool restless(const cs_loop *loop)
{
    return cs__turn_needed(loop) || cs__timers_earliest(loop) <= loop->now_us;
}

static size_t settle(cs_loop *loop)
{
    size_t turns = 0;
    for (; turns < CS__TURNS_MAX && restless(loop); turns++)
        turn_once(loop);
    return turns;
}

size_t cs_loop_settle(cs_loop *loop)
{
    size_t turns;

    if (!loop->is_virtual || loop->held > 0)
        return 0;
    cs__loop_hold(loop);
    turns = settle(loop);
    cs__loop_release(loop);
    return turns;
}

/* More than any keepalive needs to find out that its peer is dead. */
static bool only_upkeep_is_left(const cs_loop *loop)
{
    enum { ENOUGH = 64 };
    return loop->timers.upkeeps > ENOUGH;
}

/* Settles at every timer up to `end_us`, as long as `waiter` is not woken.  False: there is no
 * more timer to go to, or the loop does not come to rest. */
static bool travel(cs_loop *loop, int64_t end_us, const cs_waiter *waiter)
{
    loop->timers.upkeeps = 0;
    for (;;) {
        if (settle(loop) == CS__TURNS_MAX)
            return false;
        if (waiter && waiter->woken)
            return true;
        int64_t next = cs__timers_earliest(loop);
        if (next > end_us || next == CS__NEVER)
            return false;
        if (end_us == CS__NEVER && only_upkeep_is_left(loop))
            return false;
        loop->now_us = next;
    }
}

/* A callback may have moved the clock further. */
static void arrive(cs_loop *loop, int64_t end_us)
{
    if (loop->now_us < end_us)
        loop->now_us = end_us;
}

void cs_loop_advance(cs_loop *loop, int ms)
{
    if (!loop->is_virtual || ms < 0)
        return;
    int64_t end = loop->now_us + (int64_t)ms * 1000;
    if (cs_loop_in_turn(loop))
        loop->now_us = end;
    if (loop->held > 0)
        return;
    cs__loop_hold(loop);
    travel(loop, end, NULL);
    arrive(loop, end);
    cs__loop_release(loop);
}

cs_err cs__loop_wait_virtual(cs_loop *loop, cs_waiter *waiter, int timeout_ms)
{
    int64_t end = timeout_ms < 0 ? CS__NEVER : loop->now_us + (int64_t)timeout_ms * 1000;

    if (travel(loop, end, waiter))
        return CS_OK;
    if (timeout_ms < 0)
        return CS_EMISUSE;
    arrive(loop, end);
    return CS_AGAIN;
}

bool cs__turn_virtual_step(cs_loop *loop)
{
    if (restless(loop)) {
        turn_once(loop);
        return true;
    }
    if (cs__timers_earliest(loop) == CS__NEVER || only_upkeep_is_left(loop))
        return false;
    loop->now_us = cs__timers_earliest(loop);
    return true;
}
