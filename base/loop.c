/* loop -- the loop as an object, and how libevent drives it.
 *
 * Three events ride on the event_base:
 *
 *     turn     has no descriptor; it is made active when a turn is needed, so it comes
 *              behind the descriptors that are active in the same dispatch
 *     clock    a timeout, for the earliest of our timers or a moment before it
 *     bell     an eventfd, which other threads and signal handlers write
 *
 * This file, loop_io.c and loop_sleep.c are the only ones that know libevent.
 */
#include "base/loop__in.h"
#include "base/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- A turn, please ----------------------------------------------------------------------- */

/* Within a turn whoever runs it looks at `due` when it is over. */
void cs__loop_kick(cs_loop *loop)
{
    if (loop->due)
        return;
    loop->due = true;
    if (loop->is_virtual || loop->phase != CS__NO_TURN)
        return;
    if (loop->is_shared && !cs_loop_is_mine(loop))
        loop->to_ring = true;
    else
        event_active(loop->event[CS__EVENT_TURN], EV_TIMEOUT, 0);
}

/* By way of a timeout of zero: an event made active there and then would run again before libevent looks
 * at any descriptor, and busy tasks would starve the network. */
void cs__loop_kick_later(cs_loop *loop)
{
    static const struct timeval at_once = {0, 0};

    if (!loop->due || loop->is_virtual)
        return;
    if (event_add(loop->event[CS__EVENT_TURN], &at_once) != 0)
        event_active(loop->event[CS__EVENT_TURN], EV_TIMEOUT, 0);
}

/* Nothing here but atomics and write(2), for cs_loop_stop in a signal handler. */
void cs__loop_ring(cs_loop *loop)
{
    static const uint64_t one = 1;
    ssize_t n;

    if (loop->bell < 0 || atomic_exchange(&loop->rung, true))
        return;
    /* It cannot be full, since it is written once and then read. */
    do
        n = write(loop->bell, &one, sizeof one);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        atomic_store(&loop->rung, false);
}

/* A turn that was asked for meanwhile could not be made active, by a thread that did not dispatch. */
void cs__loop_take(cs_loop *loop)
{
    atomic_store(&loop->runner, cs__thread_here());
    if (loop->due)
        event_active(loop->event[CS__EVENT_TURN], EV_TIMEOUT, 0);
    cs__loop_arm(loop);
}

/* The clock is only ever moved forward: one that goes off early costs a turn, while moving
 * it back each time a keepalive is put off would cost two heap operations a turn. */
void cs__loop_arm(cs_loop *loop)
{
    int64_t due = cs__timers_earliest(loop), left;
    struct timeval after;

    if (loop->is_virtual || due >= loop->armed_us)
        return;
    left = due - cs_loop_now_us(loop);
    if (left < 0)
        left = 0;
    after.tv_sec = (time_t)(left / 1000000);
    after.tv_usec = (suseconds_t)(left % 1000000);
    if (event_add(loop->event[CS__EVENT_CLOCK], &after) == 0)
        loop->armed_us = due;
    else /* no memory: better a busy loop than a deaf one */
        event_active(loop->event[CS__EVENT_TURN], EV_TIMEOUT, 0);
}

/* ---- What libevent calls ------------------------------------------------------------------ */

void cs__callback_begin(cs_loop *loop)
{
    cs_loop_enter(loop);
    cs__loop_hold(loop);
    loop->stale = true;
    atomic_store_explicit(&loop->runner, cs__thread_here(), memory_order_relaxed);
    atomic_store_explicit(&loop->turning, cs__thread_here(), memory_order_relaxed);
}

void cs__callback_end(cs_loop *loop)
{
    atomic_store_explicit(&loop->turning, NULL, memory_order_relaxed);
    cs_loop_leave(loop);
    cs__loop_release(loop);
}

static void on_turn(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    cs__callback_begin(user);
    cs__turn_row(user);
    cs__callback_end(user);
}

static void on_clock(evutil_socket_t fd, short what, void *user)
{
    cs_loop *loop = user;

    (void)fd;
    (void)what;
    cs__callback_begin(loop);
    loop->armed_us = CS__NEVER;
    cs__loop_kick(loop);
    cs__callback_end(loop);
}

/* First read, then allow the next ring, then look: whoever finds the bell still ringing has
 * left what he came with before we look. */
static void on_bell(evutil_socket_t fd, short what, void *user)
{
    cs_loop *loop = user;
    uint64_t rings;

    (void)what;
    cs__callback_begin(loop);
    if (read(fd, &rings, sizeof rings) < 0)
        rings = 0; /* it was not rung; a turn does no harm */
    atomic_store(&loop->rung, false);
    loop->due = true;
    event_active(loop->event[CS__EVENT_TURN], EV_TIMEOUT, 0);
    /* Held by this callback alone: the user dispatches, not cs_loop_run. */
    if (loop->held == 1 && atomic_exchange(&loop->stopped, false))
        event_base_loopbreak(loop->base);
    cs__callback_end(loop);
}

/* ---- Making and freeing ------------------------------------------------------------------- */

static void nothing(void *user)
{
    (void)user;
}

static void dispose(cs_loop *loop)
{
    for (int i = 0; i < CS__EVENTS; i++)
        if (loop->event[i])
            event_del(loop->event[i]);
    if (loop->bell >= 0)
        close(loop->bell);
    if (loop->owns_base)
        event_base_free(loop->base);
    cs_timer_free(loop->limit);
    cs_free(loop->timers.heap);
    pthread_mutex_destroy(&loop->calls_lock);
    pthread_mutex_destroy(&loop->lock);
    cs_free(loop);
}

static size_t event_room(void)
{
    return cs_round_up(event_get_struct_event_size());
}

static cs_loop *loop_alloc(void)
{
    cs_loop *loop = cs_zalloc_with(sizeof *loop, CS__EVENTS * event_room());

    if (!loop)
        return NULL;
    if (pthread_mutex_init(&loop->lock, NULL) != 0)
        goto free_loop;
    if (pthread_mutex_init(&loop->calls_lock, NULL) != 0)
        goto destroy_lock;
    for (int phase = 0; phase < CS_PHASES; phase++)
        cs_list_init(&loop->queued[phase]);
    cs_list_init(&loop->running);
    cs_list_init(&loop->calls);
    cs_list_init(&loop->woken);
    cs_list_init(&loop->last);
    cs_list_init(&loop->timers.expired);
    loop->phase = CS__NO_TURN;
    loop->bell = -1;
    loop->armed_us = CS__NEVER;
    atomic_store(&loop->runner, cs__thread_here());
    if (cs_timer_new(loop, nothing, NULL, &loop->limit) == CS_OK)
        return loop;
    cs_free(loop->timers.heap);
    pthread_mutex_destroy(&loop->calls_lock);
destroy_lock:
    pthread_mutex_destroy(&loop->lock);
free_loop:
    cs_free(loop);
    return NULL;
}

static void assign(cs_loop *loop, enum cs__event which, int fd, short what, event_callback_fn fn)
{
    char *room = cs_extra(loop, sizeof *loop);

    loop->event[which] = (struct event *)(void *)(room + (size_t)which * event_room());
    event_assign(loop->event[which], loop->base, fd, what, fn, loop);
}

/* Of epoll, of what libevent has for signals, and the bell: without one of these it would not fail but end
 * the process, so whether there are as many is asked first. */
enum { DESCRIPTORS = 6 };

static bool has_descriptors(void)
{
    int fds[DESCRIPTORS], n = 0;

    while (n < DESCRIPTORS && (fds[n] = eventfd(0, EFD_CLOEXEC)) >= 0)
        n++;
    for (int i = 0; i < n; i++)
        close(fds[i]);
    return n == DESCRIPTORS;
}

/* The clock is armed once, so that libevent has room for it and failing is known here. */
static cs_err attach(cs_loop *loop, struct event_base *base)
{
    static const struct timeval some_time = {3600, 0};

    loop->base = base ? base : has_descriptors() ? event_base_new() : NULL;
    loop->owns_base = !base && loop->base;
    if (!loop->base)
        return CS_ESYS;
    if ((loop->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0)
        return CS_ESYS;
    assign(loop, CS__EVENT_TURN, -1, 0, on_turn);
    assign(loop, CS__EVENT_CLOCK, -1, 0, on_clock);
    assign(loop, CS__EVENT_BELL, loop->bell, EV_READ | EV_PERSIST, on_bell);
    if (event_add(loop->event[CS__EVENT_CLOCK], &some_time) != 0 ||
        event_add(loop->event[CS__EVENT_BELL], NULL) != 0)
        return CS_ESYS;
    event_del(loop->event[CS__EVENT_CLOCK]);
    return CS_OK;
}

static cs_err loop_new(struct event_base *base, bool shared, cs_loop **ret)
{
    cs_loop *loop = loop_alloc();
    cs_err err;

    if (!loop)
        return CS_ENOMEM;
    loop->is_shared = shared;
    if ((err = attach(loop, base)) == CS_OK && shared) {
        atomic_store(&loop->runner, NULL);
        err = cs__thread_start(loop);
    }
    if (err == CS_OK)
        *ret = loop;
    else
        dispose(loop);
    return err;
}

cs_err cs_loop_new(struct event_base *base, cs_loop **ret)
{
    return loop_new(base, false, ret);
}

cs_err cs_loop_new_shared(cs_loop **ret)
{
    return loop_new(NULL, true, ret);
}

cs_err cs_loop_new_virtual(cs_loop **ret)
{
    cs_loop *loop = loop_alloc();

    if (!loop)
        return CS_ENOMEM;
    loop->is_virtual = true;
    *ret = loop;
    return CS_OK;
}

void cs__loop_destroy(cs_loop *loop)
{
    loop->doomed = false;
    loop->held = 1;
    cs__turns(loop);
    dispose(loop);
}

void cs__loop_release(cs_loop *loop)
{
    if (--loop->held == 0 && loop->doomed)
        cs__loop_destroy(loop);
}

void cs_loop_free(cs_loop *loop)
{
    if (!loop)
        return;
    if (loop->is_shared && cs_loop_is_mine(loop)) {
        pthread_detach(loop->thread);
        loop->doomed = loop->ending = true;
    } else if (loop->is_shared) {
        cs__thread_end(loop);
        cs__loop_destroy(loop);
    } else if (loop->held > 0) {
        loop->doomed = true;
    } else {
        cs__loop_destroy(loop);
    }
}

/* A shared loop's base belongs to its thread. */
struct event_base *cs_loop_base(cs_loop *loop)
{
    return loop->is_shared ? NULL : loop->base;
}

/* ---- Running ------------------------------------------------------------------------------ */

/* Descriptors and what the user put on the base count, our bell and clock do not. */
static bool is_something_left(const cs_loop *loop)
{
    int ours;

    if (loop->due || loop->timers.len > 0 || cs__turn_needed(loop))
        return true;
    if (loop->is_virtual)
        return false;
    ours = 1 + (event_pending(loop->event[CS__EVENT_CLOCK], EV_TIMEOUT, NULL) ? 1 : 0);
    return event_base_get_num_events(loop->base, EVENT_BASE_COUNT_ADDED) > ours;
}

/* False: the run is over, because nothing is left or the user ended libevent's own loop. */
static bool run_once(cs_loop *loop, cs_err *err)
{
    if (!is_something_left(loop))
        return false;
    if (loop->is_virtual)
        return cs__turn_virtual_step(loop);
    *err = cs__loop_dispatch(loop, true);
    return *err == CS_OK && !event_base_got_break(loop->base) && !event_base_got_exit(loop->base);
}

cs_err cs_loop_run(cs_loop *loop)
{
    cs_err err = CS_OK;

    if (loop->is_shared || loop->held > 0)
        return CS_EMISUSE;
    atomic_store(&loop->runner, cs__thread_here());
    loop->timers.upkeeps = 0;
    cs__loop_hold(loop);
    while (!atomic_load(&loop->stopped) && !loop->doomed && run_once(loop, &err))
        ;
    atomic_store(&loop->stopped, false);
    cs__loop_release(loop);
    return err;
}

/* A shared loop runs until it is freed: those who wait on it must not be left alone. */
void cs_loop_stop(cs_loop *loop)
{
    if (loop->is_shared)
        return;
    atomic_store(&loop->stopped, true);
    cs__loop_ring(loop);
}
