/* chan -- Go's channel of bytes, between threads, or between a thread and a loop.
 * Here is the channel itself; who waits for one or for several is in select.c, and how the two
 * work together in chan__in.h.
 */
#include "base/chan__in.h"
#include "base/mem.h"

/* ---- The queue ----------------------------------------------------------------------------- */

static bool ring_push(struct cs__ring *ring, cs_ref *msg)
{
    if (ring->len == ring->cap) {
        size_t cap = ring->cap ? ring->cap * 2 : 16;
        cs_ref *refs = cs_alloc(cap * sizeof(*refs));
        if (!refs)
            return false;
        for (size_t i = 0; i < ring->len; i++)
            refs[i] = ring->refs[(ring->head + i) & (ring->cap - 1)];
        cs_free(ring->refs);
        *ring = (struct cs__ring){refs, 0, ring->len, cap};
    }
    ring->refs[(ring->head + ring->len++) & (ring->cap - 1)] = *msg;
    *msg = (cs_ref){0};
    return true;
}

static cs_ref ring_pop(struct cs__ring *ring)
{
    cs_ref msg = ring->refs[ring->head];

    ring->head = (ring->head + 1) & (ring->cap - 1);
    ring->len--;
    return msg;
}

static void ring_fini(struct cs__ring *ring)
{
    while (ring->len > 0) {
        cs_ref msg = ring_pop(ring);
        cs_ref_drop(&msg);
    }
    cs_free(ring->refs);
    *ring = (struct cs__ring){0};
}

/* ---- What each side can do, under the lock ------------------------------------------------- */

bool cs__chan_can_go(const cs_chan *chan, enum cs__way way, size_t cost, size_t promised)
{
    if (chan->canceled || (chan->closed && (way == CS__SEND || chan->queue.len == 0)))
        return true;
    if (way == CS__RECV)
        return promised < chan->queue.len;
    if (chan->queue.len == 0 && promised == 0)
        return true;
    return chan->used <= chan->limit && promised <= chan->limit - chan->used &&
           cost <= chan->limit - chan->used - promised;
}

static cs_err refuse(struct cs__side *side, size_t cost)
{
    if (side->refused == 0 || cost < side->refused)
        side->refused = cost;
    return CS_AGAIN;
}

cs_err cs__chan_send_answer(cs_chan *chan, size_t cost)
{
    /* Closed first: whether a send is misuse must not depend on how fast the receiver is. */
    if (chan->closed)
        return CS_EMISUSE;
    if (chan->canceled)
        return CS_ECANCELED;
    return cs__chan_can_go(chan, CS__SEND, cost, 0) ? CS_OK : refuse(&chan->sides[CS__SEND], cost);
}

cs_err cs__chan_put(cs_chan *chan, size_t cost, cs_ref *msg)
{
    cs_err err = cs__chan_send_answer(chan, cost);

    if (err != CS_OK)
        return err;
    if (!ring_push(&chan->queue, msg))
        return CS_ENOMEM;
    chan->used += cost;
    return CS_OK;
}

cs_err cs__chan_take(cs_chan *chan, cs_ref *ret)
{
    if (chan->canceled)
        return CS_ECANCELED;
    if (chan->queue.len == 0)
        return chan->closed ? chan->why : refuse(&chan->sides[CS__RECV], 1);
    *ret = ring_pop(&chan->queue);
    chan->used -= cs__chan_cost(ret->bytes.len);
    /* A burst of tiny messages leaves a large ring behind: not for ever. */
    if (chan->queue.len == 0 && chan->queue.cap > 256)
        ring_fini(&chan->queue);
    return CS_OK;
}

/* ---- Waking -------------------------------------------------------------------------------- */

static void run_watch(void *user);

/* Calls who can go on one side, in the order they came; a large message that does not fit yet
 * does not hold up a small one behind it. */
static void stir_side(cs_chan *chan, enum cs__way way)
{
    struct cs__side *side = &chan->sides[way];
    struct cs__watch *watch = side->watch;
    struct cs_link *link = cs_list_first(&side->places);

    while (link) {
        struct cs__place *place = CS_CONTAINER(link, struct cs__place, link);
        link = cs_list_next(&side->places, link);
        if (cs__chan_can_go(chan, way, place->cost, side->promised)) {
            cs_unlink(&place->link);
            side->promised += place->cost;
            place->called = true;
            cs__waiter_wake(place->waiter);
        } else if (way == CS__RECV) {
            break; /* they all want the same */
        }
    }
    if (!watch || watch->calling || side->refused == 0 ||
        !cs__chan_can_go(chan, way, side->refused, 0))
        return;
    /* If there is no memory for the call, `refused` stays and the next event tries again. */
    if (cs_loop_call(watch->loop, run_watch, watch) == CS_OK) {
        watch->calling = true;
        side->refused = 0;
        atomic_fetch_add_explicit(&chan->holds, 1, memory_order_relaxed);
    }
}

void cs__chan_stir(cs_chan *chan)
{
    stir_side(chan, CS__RECV);
    stir_side(chan, CS__SEND);
}

/* ---- Ending -------------------------------------------------------------------------------- */

void cs_chan_close(cs_chan *chan, cs_err why)
{
    pthread_mutex_lock(&chan->lock);
    if (!chan->closed) {
        chan->closed = true;
        /* "Not now" is no reason to end; saying DONE instead would be a lie. */
        chan->why = why == CS_AGAIN ? CS_EMISUSE : cs_failed(why) ? why : CS_DONE;
        cs__chan_stir(chan);
    }
    pthread_mutex_unlock(&chan->lock);
}

void cs_chan_cancel(cs_chan *chan)
{
    struct cs__ring dropped;

    pthread_mutex_lock(&chan->lock);
    dropped = chan->queue;
    chan->queue = (struct cs__ring){0};
    chan->used = 0;
    chan->canceled = true;
    cs__chan_stir(chan);
    pthread_mutex_unlock(&chan->lock);
    /* Outside: a message's release may call in again. */
    ring_fini(&dropped);
}

/* ---- The face for loops -------------------------------------------------------------------- */

static void chan_unhold(cs_chan *chan)
{
    if (atomic_fetch_sub_explicit(&chan->holds, 1, memory_order_acq_rel) != 1)
        return;
    ring_fini(&chan->queue);
    pthread_mutex_destroy(&chan->lock);
    cs_free(chan);
}

/* On the loop. */
static void run_watch(void *user)
{
    struct cs__watch *watch = user;
    cs_chan *chan = watch->chan;
    void (*ready)(void *user);
    void *ready_user;

    pthread_mutex_lock(&chan->lock);
    watch->calling = false;
    ready = watch->ready;
    ready_user = watch->user;
    if (!ready)
        cs_free(watch);
    pthread_mutex_unlock(&chan->lock);
    if (ready)
        ready(ready_user); /* may take the watcher away, and free the channel */
    chan_unhold(chan);
}

static void unwatch(struct cs__side *side)
{
    struct cs__watch *watch = side->watch;

    side->watch = NULL;
    if (!watch)
        return;
    watch->ready = NULL;
    if (!watch->calling)
        cs_free(watch);
}

/* A new watcher counts as one that was refused: a message that came before it is told to it,
 * because nobody else would. */
static cs_err watch_side(cs_chan *chan, enum cs__way way, cs_loop *loop, void (*ready)(void *user),
                         void *user)
{
    struct cs__side *side = &chan->sides[way];
    struct cs__watch *watch = NULL;

    if (ready && !loop)
        return CS_EMISUSE;
    if (ready) {
        watch = cs_alloc(sizeof(*watch));
        if (!watch)
            return CS_ENOMEM;
        *watch = (struct cs__watch){chan, loop, ready, user, false};
    }
    pthread_mutex_lock(&chan->lock);
    unwatch(side);
    side->watch = watch;
    if (watch) {
        refuse(side, 1);
        cs__chan_stir(chan);
    }
    pthread_mutex_unlock(&chan->lock);
    return CS_OK;
}

cs_err cs_chan_watch_recv(cs_chan *chan, cs_loop *loop, void (*ready)(void *user), void *user)
{
    return watch_side(chan, CS__RECV, loop, ready, user);
}

cs_err cs_chan_watch_send(cs_chan *chan, cs_loop *loop, void (*ready)(void *user), void *user)
{
    return watch_side(chan, CS__SEND, loop, ready, user);
}

/* ---- Life ---------------------------------------------------------------------------------- */

cs_err cs_chan_new(int64_t bytes, cs_chan **ret)
{
    cs_chan *chan;

    if (bytes < 0)
        return CS_EMISUSE;
    chan = cs_zalloc(sizeof(*chan));
    if (!chan)
        return CS_ENOMEM;
    if (pthread_mutex_init(&chan->lock, NULL) != 0) {
        cs_free(chan);
        return CS_ESYS;
    }
    atomic_init(&chan->users, 1);
    atomic_init(&chan->holds, 1);
    chan->limit = bytes > 0 ? (size_t)bytes : 64 * 1024;
    cs_list_init(&chan->sides[CS__RECV].places);
    cs_list_init(&chan->sides[CS__SEND].places);
    *ret = chan;
    return CS_OK;
}

cs_chan *cs_chan_keep(cs_chan *chan)
{
    atomic_fetch_add_explicit(&chan->users, 1, memory_order_relaxed);
    return chan;
}

void cs_chan_free(cs_chan *chan)
{
    if (!chan || atomic_fetch_sub_explicit(&chan->users, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_lock(&chan->lock);
    unwatch(&chan->sides[CS__RECV]);
    unwatch(&chan->sides[CS__SEND]);
    pthread_mutex_unlock(&chan->lock);
    chan_unhold(chan);
}
