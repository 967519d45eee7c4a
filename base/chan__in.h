/* chan__in -- the inside of cs_chan, shared by chan.c and select.c.
 *
 * Each channel has one lock and two sides.  Whoever must wait brings a waiter (a condition of
 * its own) and leaves a place in the queue of each channel that it waits for:
 *
 *     waiter of a thread in cs_select ◀── place in the receivers of channel A
 *                                     ◀── place in the senders of channel B
 *
 * When something changes, cs__chan_stir() calls as many places as can go: it takes them out of
 * the queue and wakes their waiters.  A place that was called holds a promise of what it was
 * called for; the promise is kept by trying again, or handed on by leaving.  That is why a
 * thread that was called here and then took its message elsewhere loses nobody's wake-up.
 *
 * Locks: a waiter's, and the one around a loop's list of calls, are taken while a channel's is
 * held.  Two channels are never locked at once, so a select cannot deadlock.
 */
#ifndef CS_CHAN__IN_H
#define CS_CHAN__IN_H

#include "base/chan.h"
#include "base/list.h"

#include <pthread.h>
#include <stdatomic.h>

enum cs__way { CS__RECV, CS__SEND };

struct cs__waiter {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
};

/* One thread's interest in one side of one channel. */
struct cs__place {
    struct cs_link link; /* in the queue of a side, while nobody called */
    struct cs__waiter *waiter;
    cs_chan *chan; /* NULL: never ready */
    enum cs__way way;
    size_t cost; /* what it wants of its side: bytes to send, or one message */
    bool called; /* a promise of `cost` is ours */
    cs_ref *msg; /* in or out */
};

/* What cs_chan_watch_recv() or _send() asked for.  It goes when it was taken away and no call
 * for it is under way. */
struct cs__watch {
    cs_chan *chan; /* held while a call is under way */
    cs_loop *loop;
    void (*ready)(void *user); /* NULL: taken away */
    void *user;
    bool calling; /* a call is under way */
};

struct cs__side {
    struct cs_list places; /* first come, first called */
    size_t promised;       /* the costs of those that were called and have not tried again */
    size_t refused;        /* the smallest cost that got CS_AGAIN since the last call; or 0 */
    struct cs__watch *watch;
};

struct cs__ring {
    cs_ref *refs;
    size_t head, len, cap;
};

struct cs_chan {
    atomic_size_t users; /* the counts of cs_chan_keep() */
    atomic_size_t holds; /* all users together are one; each call under way is one more */
    pthread_mutex_t lock;
    struct cs__side sides[2]; /* by enum cs__way */
    struct cs__ring queue;
    size_t used, limit; /* bytes */
    bool closed, canceled;
    cs_err why; /* of close */
};

/* An empty message costs one byte: with nothing, a flood of them would have no bound. */
static inline size_t cs__chan_cost(size_t len)
{
    return len > 0 ? len : 1;
}

/* The rest is called under the channel's lock. */

/* Would this side answer something other than CS_AGAIN, with `promised` given to others? */
bool cs__chan_can_go(const cs_chan *chan, enum cs__way way, size_t cost, size_t promised);
/* What a send of this cost has to be told; CS_OK: there is room. */
cs_err cs__chan_send_answer(cs_chan *chan, size_t cost);
cs_err cs__chan_put(cs_chan *chan, size_t cost, cs_ref *msg);
cs_err cs__chan_take(cs_chan *chan, cs_ref *ret);
/* After every change: wakes whoever can go now. */
void cs__chan_stir(cs_chan *chan);

void cs__waiter_wake(struct cs__waiter *waiter);

#endif
