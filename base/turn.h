/* turn -- the inside of the loop, for the rooms that live on it.
 *
 * Room header.  A turn goes through four phases, each a queue of tasks:
 *
 *     IO      in-memory links deliver what was written in the last turn
 *     CALL    users' callbacks: readable, writable, ready, end ...
 *     FLUSH   producers are pulled and what is queued is written
 *     REAP    what was freed goes
 *
 * A task that is posted for a phase still to come runs in this turn; one for the phase that
 * is running, or for one that has passed, runs in the next.  So nothing runs twice a turn.
 *
 * SHARED LOOPS  cs_loop_new_shared() makes a loop with a thread of its own, for blocking
 * clients.  Everything on it is guarded by one lock: the loop's thread holds it whenever it
 * is not asleep in the kernel, any other thread holds it between cs_loop_enter() and
 * cs_loop_leave().  Under the lock any thread may call what lives on the loop, as long as it
 * only touches memory, tasks and timers; descriptors (cs_io) are touched in tasks alone.  These
 * run on the loop's thread, or on one that waits and turns the loop meanwhile: which one does not
 * matter to them, they have the lock.  On other loops enter and leave cost nothing.
 */
#ifndef CS_TURN_H
#define CS_TURN_H

#include "base/inner.h"
#include "base/list.h"
#include "base/loop.h"

enum cs_phase { CS_IO, CS_CALL, CS_FLUSH, CS_REAP, CS_PHASES };

typedef struct cs_task {
    struct cs_link link;
    void (*fn)(struct cs_task *task);
} cs_task;

CS_INNER void cs_task_init(cs_task *task, void (*fn)(cs_task *task));
CS_INNER void cs_task_post(cs_loop *loop, enum cs_phase phase,
                           cs_task *task); /* queued already: no-op */
CS_INNER void cs_task_drop(cs_task *task); /* it will not run */
static inline bool cs_task_posted(const cs_task *task)
{
    return cs_linked(&task->link);
}

/* Is a callback of this loop on the stack of the calling thread?  Then nothing may wait. */
CS_INNER bool cs_loop_in_turn(const cs_loop *loop);
bool cs_loop_is_virtual(const cs_loop *loop);

/* cs_loop_call() that cannot fail: what is to be done is kept by the caller.  Any thread; a knock that has
 * not been heard yet is not queued again.  `fn` runs on the loop at the beginning of a turn, and may
 * knock again or free it.  Dropping is for the loop's thread (or nobody's): it will not be heard. */
typedef struct cs_knock {
    struct cs_link link;
    void (*fn)(struct cs_knock *knock);
} cs_knock;
void cs_knock_init(cs_knock *knock, void (*fn)(cs_knock *knock));
void cs_loop_knock(cs_loop *loop, cs_knock *knock);
void cs_knock_drop(cs_loop *loop, cs_knock *knock);

/* Microseconds of the monotonic (or virtual) clock, the same during one turn. */
int64_t cs_loop_now_us(cs_loop *loop);

/* Who has done as much as is good at once, and has more to do, asks for news of the kernel before the next turn. */
void cs_loop_heed(cs_loop *loop);

/* How often it looked before a sleep, as cs_loop_busy_poll() says, and how often that found something.  Any
 * thread. */
struct cs_busy_polls {
    uint64_t looks, hits;
};
struct cs_busy_polls cs_loop_busy_polls(const cs_loop *loop);

/* This timer only looks after something, as keepalive does.  It does its work, but on a virtual
 * loop nobody waits for ever for the sake of such timers alone: when many of them fired and nothing
 * else did, nothing is left to wait for. */
void cs_timer_is_upkeep(cs_timer *timer);

/* Turn until nothing is posted: for freeing from outside.  From within a turn: returns at once. */
CS_INNER void cs_loop_last_turn(cs_loop *loop);

/* ---- Descriptors ---------------------------------------------------------------------------
 * `fn` is called with what is possible, out of wanted; CS_IO_READ also for end and error.  CS_IO_GONE:
 * the other side closed its half, all, or was lost, also behind bytes that nobody reads; of use without
 * CS_IO_READ alone, and never told where the system cannot tell. */
enum { CS_IO_READ = 1, CS_IO_WRITE = 2, CS_IO_GONE = 4 };
typedef struct cs_io cs_io;
cs_err cs_io_new(cs_loop *loop, int fd, void (*fn)(int can, void *user), void *user, cs_io **ret);
void cs_io_want(cs_io *io, int what); /* 0: nothing for now */
void cs_io_free(cs_io *io);           /* does not close the descriptor; legal in fn */

/* ---- Waiting -------------------------------------------------------------------------------
 * What a blocking call does: try, and when told CS_AGAIN wait to be woken, and try again.
 *
 *     cs_loop_enter(loop);
 *     cs_waiter_init(&w);
 *     object->waiter = &w;
 *     while ((err = try(object)) == CS_AGAIN && (err = cs_loop_wait(loop, &w, left)) == CS_OK)
 *         ;
 *     object->waiter = NULL;
 *     cs_waiter_fini(&w);
 *     cs_loop_leave(loop);
 *
 * CS_OK woken (or perhaps: look again); CS_AGAIN the time is up; CS_EMISUSE inside a
 * callback, or on a virtual loop where nothing is left that could ever wake it.  On a shared
 * loop the lock is let go meanwhile, and who waits often turns the loop in place of its thread,
 * which goes on by itself within a millisecond when he does something else; on any other the caller
 * turns the loop. */
typedef struct cs_waiter {
    bool woken;
    void *sleeper; /* private to the loop: a condition variable while somebody sleeps */
} cs_waiter;
void cs_waiter_init(cs_waiter *waiter);
void cs_waiter_fini(cs_waiter *waiter);
void cs_waiter_wake(cs_loop *loop, cs_waiter *waiter); /* on the loop, or entered; NULL is fine */
cs_err cs_loop_wait(cs_loop *loop, cs_waiter *waiter, int timeout_ms);

/* ---- A loop with a thread of its own ------------------------------------------------------- */

cs_err cs_loop_new_shared(cs_loop **ret); /* cs_loop_free() joins the thread */
bool cs_loop_is_shared(const cs_loop *loop);
void cs_loop_enter(cs_loop *loop);
void cs_loop_leave(cs_loop *loop);

#endif
