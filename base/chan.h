/* chan -- Go's channel of bytes, between threads, or between a thread and a loop.
 *
 * The one seam of the library: nothing else takes a lock.  Bounded in bytes.  Any number
 * of senders and receivers.  Sending and receiving are a matter of a timeout: CS_NOW
 * answers CS_AGAIN where it would wait, n waits n ms and then answers CS_AGAIN.
 *
 *      sender                        receiver
 *      send ... send close(why) ──▶  recv ... recv, then why (CS_DONE: in good order)
 *      CS_ECANCELED  ◀────────────── cancel: queued messages are dropped
 */
#ifndef CS_CHAN_H
#define CS_CHAN_H

#include "base/base.h"
#include "base/loop.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cs_chan cs_chan;

/* Holds up to `bytes` (0: 64 KiB), and always at least one message however large; an empty one
 * counts as one byte.  CS_EMISUSE: negative, a channel is never without a bound. */
CS_API cs_err cs_chan_new(int64_t bytes, cs_chan **ret);

/* A channel is counted: each thread or owner keeps one and frees one. */
CS_API cs_chan *cs_chan_keep(cs_chan *chan);
CS_API void cs_chan_free(cs_chan *chan);

/* CS_OK taken; CS_AGAIN no room in time; CS_ECANCELED nobody will ever receive; CS_EMISUSE it
 * was closed. */
CS_API CS_MUST_USE cs_err cs_chan_send(cs_chan *chan, cs_bytes msg, int timeout_ms); /* copies */
/* moves; {0} when taken */
CS_API CS_MUST_USE cs_err cs_chan_give(cs_chan *chan, cs_ref *msg, int timeout_ms);

/* CS_OK a message, yours to drop; CS_AGAIN none in time; CS_DONE or the closer's failure
 * once the last one was received; CS_ECANCELED after cancel. */
CS_API CS_MUST_USE cs_err cs_chan_recv(cs_chan *chan, int timeout_ms, cs_ref *ret);

/* for (cs_ref m = {0}; cs_chan_range(chan, &m); ) ... drops the last one for you */
CS_API bool cs_chan_range(cs_chan *chan, cs_ref *msg);

/* the senders' last word; first call counts */
CS_API void cs_chan_close(cs_chan *chan, cs_err why);
CS_API void cs_chan_cancel(cs_chan *chan); /* the receivers leave */

/* Go's select.  Waits until one case can go, takes it at random among those that can, and
 * answers its place, or -1 after timeout_ms.  A case is a receive, or a send when
 * `send.block` is set.  More than 16 cases need memory: if there is none, the answer is 0 and
 * cases[0].err is CS_ENOMEM. */
struct cs_case {
    cs_chan *chan; /* NULL: never ready, as in Go */
    cs_ref send;   /* in: the message; {0} when it was taken */
    cs_ref recv;   /* out: the message, yours to drop */
    cs_err err;    /* out: what send or recv answered: CS_OK, CS_DONE, or a failure */
};
CS_API int cs_select(struct cs_case *cases, size_t n, int timeout_ms);

/* The face for loops: `ready(user)` on the loop when recv (or send) answered CS_AGAIN and
 * would now not; a new watcher counts as one that was told CS_AGAIN.  One watcher a side; a NULL
 * function takes it away, and then not even a call that is under way arrives. */
CS_API cs_err cs_chan_watch_recv(cs_chan *chan, cs_loop *loop, void (*ready)(void *user),
                                 void *user);
CS_API cs_err cs_chan_watch_send(cs_chan *chan, cs_loop *loop, void (*ready)(void *user),
                                 void *user);

#ifdef __cplusplus
}
#endif
#endif
