/* loop -- whose turn it is.
 *
 * A loop delivers all callbacks, keeps all timers, and owns the end of the turn, where
 * what was queued is written and what was freed goes.  It rides on an event_base of
 * yours, on one of its own, or on a virtual clock for tests.  Several servers and
 * clients on one loop share one turn, so a relay costs no extra wake-up.
 *
 * THREADS  A loop and everything on it belong to the thread that runs it.  Four calls may
 *          come from any thread: cs_loop_call, cs_loop_stop, cs_loop_is_mine, cs_loop_busy_poll.
 * FREEING  What you free in a callback goes at the end of the turn.  Freeing a server or a
 *          client from outside turns the loop a last time, so that each end() has come
 *          when it returns and what your states point at may go.
 * The only files that speak libevent's core are base/loop.c and loop_*.c.
 */
#ifndef CS_LOOP_H
#define CS_LOOP_H

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;
typedef struct cs_loop cs_loop;

/* `base` NULL: the loop makes its own.  Otherwise you run it, in any way you like.  CS_ESYS: no descriptors
 * for it; CS_ENOMEM. */
CS_API cs_err cs_loop_new(struct event_base *base, cs_loop **ret);
CS_API void cs_loop_free(cs_loop *loop); /* after everything that lives on it */

CS_API cs_err cs_loop_run(cs_loop *loop);   /* until stopped, or nothing is left to wait for */
CS_API void cs_loop_stop(cs_loop *loop);    /* any thread; safe in a signal handler */
CS_API bool cs_loop_is_mine(cs_loop *loop); /* am I the thread that runs it? */

/* For your own descriptors and signals; NULL on a virtual loop. */
CS_API struct event_base *cs_loop_base(cs_loop *loop);

/* Run fn(user) on the loop, soon, once, in order of the calls; from any thread. */
CS_API cs_err cs_loop_call(cs_loop *loop, void (*fn)(void *user), void *user);

/* Busy polling: for how many microseconds the loop looks for news before it sleeps.  To wake a processor takes
 * longer than most answers, and nearly as much of its time: in a ping-pong, or with calls one after the other,
 * that is most of what they cost.
 *   0        (the standard) CS_BUSY_POLL_US, as long as the loop spends no more than a fiftieth of the time in
 *            vain, and a tenth of a second at once.  A loop that hears nothing sleeps; one that hears something
 *            every CS_BUSY_POLL_US keeps a processor busy
 *   CS_OFF   (any negative) never
 *   1 ..     so long each time, whatever comes of it: that may be a whole processor
 * Each look offers the processor to who else waits for it (sched_yield).  It is for cs_loop_run(), threads of ours
 * and who waits on the loop: a base that you dispatch sleeps as you say, and a virtual loop never.  (It asks
 * the base how many events were active at most, and sets that to 0.)  From its next sleep on; the last word counts.  CS_EINVAL: more than CS_BUSY_POLL_MAX_US.  Any thread. */
enum { CS_BUSY_POLL_US = 50, CS_BUSY_POLL_MAX_US = 10000 };
CS_API cs_err cs_loop_busy_poll(cs_loop *loop, int us);

/* Monotonic milliseconds, the same during one turn. */
CS_API int64_t cs_loop_now_ms(cs_loop *loop);

/* A timer that fires once for each set. Setting moves it; CS_OFF stops it. */
typedef struct cs_timer cs_timer;
CS_API cs_err cs_timer_new(cs_loop *loop, void (*fn)(void *user), void *user, cs_timer **ret);
CS_API void cs_timer_set(cs_timer *timer, int after_ms);
CS_API void cs_timer_free(cs_timer *timer); /* it will not fire again */

/* ---- Virtual: the time is what you say ---------------------------------------------------- */

CS_API cs_err cs_loop_new_virtual(cs_loop **ret);

/* Turn until nothing is left to do at this moment. Answers how many turns it took. */
CS_API size_t cs_loop_settle(cs_loop *loop);

/* Move the clock, stopping at each timer on the way to settle.  In a callback only the clock moves,
 * as if the callback had taken so long. */
CS_API void cs_loop_advance(cs_loop *loop, int ms);

#ifdef __cplusplus
}
#endif
#endif
