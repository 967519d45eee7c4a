/* loop__in -- what loop.c, loop_io.c, loop_sleep.c, turn.c, timer.c and wait.c know of one another.
 *
 * Private to these six files.  A turn is made necessary by cs__loop_kick(), and run by
 * whoever drives the loop:
 *
 *     real loop      libevent calls back (loop.c); the thread may be the loop's own (wait.c)
 *     virtual loop   settle, advance, run and wait call cs__turn() themselves (turn.c)
 *
 * Callbacks of one loop never nest, so `turning` is set and cleared, not counted.
 */
#ifndef CS_LOOP__IN_H
#define CS_LOOP__IN_H

#include "base/turn.h"

#include <pthread.h>
#include <stdatomic.h>

/* A loop whose tasks keep posting one another must not hang who waits for its calm. */
#define CS__TURNS_MAX 1000000u

#define CS__NEVER INT64_MAX

/* The budget of busy polling in vain: a fiftieth of the time, and so much saved at most (loop_sleep.c). */
enum { CS__BUDGET_SHARE = 50, CS__BUDGET_US = 100000 };

/* The values of `phase` when none is running. */
enum { CS__BEFORE_PHASES = -1, CS__NO_TURN = CS_PHASES };

enum cs__event { CS__EVENT_TURN, CS__EVENT_CLOCK, CS__EVENT_BELL, CS__EVENTS };

struct event;

struct cs__call { /* of cs_loop_call() */
    cs_knock knock;
    void (*fn)(void *user);
    void *user;
};

struct cs_timer {
    cs_loop *loop;
    void (*fn)(void *user);
    void *user;
    struct cs_link expired; /* in cs__timers.expired, between falling due and firing */
    int64_t due_us;
    uint64_t set; /* how many were set before it: equal times fire in this order */
    size_t place; /* in the heap, from 1; 0: not there */
    bool upkeep;
};

/* A binary heap by (due_us, set); heap[0] is not used.  cap grows with every timer that is
 * made, so that setting one needs no memory and cannot fail. */
struct cs__timers {
    struct cs_timer **heap;
    size_t len, cap, made;
    uint64_t sets;
    unsigned upkeeps; /* that fired in a row, and nothing else since somebody began to wait */
    struct cs_list expired;
};

struct cs_loop {
    bool is_virtual, is_shared, owns_base;

    /* Any thread. */
    _Atomic(const void *) runner;  /* the thread that runs it, or ran it last */
    _Atomic(const void *) turning; /* the thread that has a callback of ours on its stack */
    atomic_bool stopped;
    atomic_bool called; /* `calls` is worth its lock */
    atomic_bool rung;   /* the bell rings already */
    atomic_int busy_poll_us;
    _Atomic(uint64_t) looks, hits; /* of cs_loop_busy_polls() */
    pthread_mutex_t calls_lock;
    struct cs_list calls; /* knocks */

    /* The loop's thread; on a shared loop, whoever holds its lock. */
    struct cs_list queued[CS_PHASES];
    struct cs_list running; /* what is left of the phase that runs */
    int phase;
    bool due;   /* a turn is coming */
    bool stale; /* the clock has to be read */
    bool heeds; /* of a row of turns this one is the last */
    int64_t now_us;
    struct cs__timers timers;
    unsigned held;   /* frames on the stack, or a thread, that still need the loop */
    bool doomed;     /* freed inside: goes when nobody holds it */
    cs_timer *limit; /* of cs_loop_wait on a private loop */

    /* libevent: see loop.c. */
    struct event_base *base;
    struct event *event[CS__EVENTS];
    int bell;         /* an eventfd; -1 on a virtual loop */
    int64_t armed_us; /* what the clock event waits for, or CS__NEVER */

    /* Who dispatches: see loop_sleep.c. */
    int64_t budget, budget_at_us; /* what there was then, times CS__BUDGET_SHARE */

    /* Shared loops: see wait.c. */
    pthread_mutex_t lock;
    _Atomic(const void *) holder;
    unsigned depth;
    struct cs_list woken; /* sleepers to be signalled when the lock is let go */
    struct cs_list last;  /* who waits in cs_loop_last_turn */
    bool to_ring;         /* and the bell to be rung */
    bool ending;
    pthread_t thread;
    unsigned asleep;        /* sleepers that were not signalled */
    bool signalled;         /* some were, in this round of the thread */
    bool stands_back;       /* the thread lets who waits turn the loop, and sleeps on */
    pthread_cond_t back;    /* this; when it shall turn again */
    bool has_guest;         /* somebody who waits turns it now; */
    unsigned guests;        /* how many did so far, */
    const void *last_guest; /* and the last one's thread */
    bool dozes;             /* the thread, standing back, until the guest leaves */
};

/* ---- loop.c ---- */
void cs__loop_kick(cs_loop *loop); /* a turn, soon */
void cs__loop_kick_later(
    cs_loop *loop);                   /* if one is due: when the kernel has been asked for news */
void cs__loop_ring(cs_loop *loop);    /* the same from any thread */
void cs__loop_take(cs_loop *loop);    /* who dispatches next is another thread than before */
void cs__loop_arm(cs_loop *loop);     /* the libevent timer, for the earliest of ours */
void cs__loop_destroy(cs_loop *loop); /* last turns included */

static inline void cs__loop_hold(cs_loop *loop)
{
    loop->held++;
}
void cs__loop_release(cs_loop *loop);

/* Around everything that calls out: takes the lock, says that we are inside. */
void cs__callback_begin(cs_loop *loop);
void cs__callback_end(cs_loop *loop);

/* ---- loop_sleep.c ---- */
cs_err cs__loop_dispatch(cs_loop *loop, bool block); /* CS_ESYS: libevent refuses */

/* ---- turn.c ---- */
void cs__turn(cs_loop *loop);
void cs__turn_row(cs_loop *loop);          /* a few, while one leads to another */
bool cs__turn_needed(const cs_loop *loop); /* something is posted or was called */
size_t cs__turns(cs_loop *loop);           /* until it is not, or CS__TURNS_MAX */
bool cs__turn_virtual_step(cs_loop *loop); /* one turn or one jump; false: nothing is left */

/* ---- timer.c ---- */
int64_t cs__timers_earliest(const cs_loop *loop); /* CS__NEVER: none is set */
void cs__timers_fire(cs_loop *loop);
void cs__timer_move(cs_timer *timer, int after_ms); /* cs_timer_set without the kick */

/* ---- wait.c ---- */
const void *cs__thread_here(void); /* names the calling thread */
cs_err cs__thread_start(cs_loop *loop);
void cs__thread_end(cs_loop *loop); /* joins it */
cs_err cs__loop_wait_virtual(cs_loop *loop, cs_waiter *waiter, int timeout_ms);

#endif
