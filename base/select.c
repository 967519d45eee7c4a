/* select -- waiting for a channel or several: send, recv, range and Go's select are one thing. */
#include "base/chan__in.h"
#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <time.h>

/* ---- Places -------------------------------------------------------------------------------- */

/* Gives the promise back, for the caller to stir. */
static bool place_release(struct cs__place *place)
{
    bool called = place->called;

    if (called)
        place->chan->sides[place->way].promised -= place->cost;
    place->called = false;
    return called;
}

/* One try.  With a waiter, a place that is told CS_AGAIN stands in the queue afterwards: it was
 * looked at under the same lock as what would call it, so no call is missed. */
static cs_err place_try(struct cs__place *place, struct cs__waiter *waiter)
{
    cs_chan *chan = place->chan;
    bool called;
    cs_err err;

    pthread_mutex_lock(&chan->lock);
    called = place_release(place);
    if (place->way == CS__SEND)
        err = cs__chan_put(chan, place->cost, place->msg);
    else
        err = cs__chan_take(chan, place->msg);
    if (err != CS_AGAIN) {
        cs_unlink(&place->link); /* or stir might call ourselves */
    } else if (waiter && !cs_linked(&place->link)) {
        struct cs_list *places = &chan->sides[place->way].places;
        place->waiter = waiter;
        if (called) /* it was first, and somebody was faster: still first */
            cs_list_push_front(places, &place->link);
        else
            cs_list_push(places, &place->link);
    }
    /* Even if nothing has changed: a watcher's call may be owed since memory ran out. */
    cs__chan_stir(chan);
    pthread_mutex_unlock(&chan->lock);
    return err;
}

static void place_leave(struct cs__place *place)
{
    cs_chan *chan = place->chan;

    pthread_mutex_lock(&chan->lock);
    cs_unlink(&place->link);
    if (place_release(place))
        cs__chan_stir(chan);
    pthread_mutex_unlock(&chan->lock);
}

static bool place_can_go(const struct cs__place *place)
{
    cs_chan *chan = place->chan;
    bool can;

    pthread_mutex_lock(&chan->lock);
    can = cs__chan_can_go(chan, place->way, place->cost, 0);
    pthread_mutex_unlock(&chan->lock);
    return can;
}

/* ---- Waiting ------------------------------------------------------------------------------- */

void cs__waiter_wake(struct cs__waiter *waiter)
{
    pthread_mutex_lock(&waiter->lock);
    waiter->woken = true;
    pthread_cond_signal(&waiter->cond);
    pthread_mutex_unlock(&waiter->lock);
}

static void waiter_init(struct cs__waiter *waiter)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&waiter->cond, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&waiter->lock, NULL);
    waiter->woken = false;
}

static void waiter_fini(struct cs__waiter *waiter)
{
    pthread_cond_destroy(&waiter->cond);
    pthread_mutex_destroy(&waiter->lock);
}

/* False: the time is up and nobody called. */
static bool waiter_wait(struct cs__waiter *waiter, const struct timespec *until)
{
    int err = 0;
    bool woken;

    pthread_mutex_lock(&waiter->lock);
    while (!waiter->woken && err != ETIMEDOUT)
        err = until ? pthread_cond_timedwait(&waiter->cond, &waiter->lock, until)
                    : pthread_cond_wait(&waiter->cond, &waiter->lock);
    woken = waiter->woken;
    waiter->woken = false;
    pthread_mutex_unlock(&waiter->lock);
    return woken;
}

static struct timespec time_in(int ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* Takes one of the places that can go, each as likely as the others; -1: none can. */
static int go_now(struct cs__place *places, int n, cs_err *err)
{
    uint32_t random[2];

    for (;;) {
        int chosen = -1;
        uint32_t can = 0;
        for (int i = 0; i < n; i++) {
            if (!places[i].chan || (n > 1 && !place_can_go(&places[i])))
                continue;
            /* The k-th that can go displaces the one chosen before in one case of k. */
            if (can++ == 0 || (cs_random(random, sizeof(random)) == CS_OK &&
                               ((uint64_t)random[0] << 32 | random[1]) % can == 0))
                chosen = i;
        }
        if (chosen < 0)
            return -1;
        *err = place_try(&places[chosen], NULL);
        if (*err != CS_AGAIN)
            return chosen;
        /* It could go and now cannot: somebody was faster.  Look at all of them again. */
        if (n == 1)
            return -1;
    }
}

/* Answers the place that went, and what it was told in `*err`; -1 after the timeout. */
static int go(struct cs__place *places, int n, int timeout_ms, cs_err *err)
{
    struct timespec until = {0};
    struct cs__waiter waiter;
    int went = go_now(places, n, err);
    bool waiting = true;

    if (went >= 0 || timeout_ms == CS_NOW)
        return went;
    if (timeout_ms > 0)
        until = time_in(timeout_ms);
    waiter_init(&waiter);
    while (went < 0 && waiting) {
        for (int i = 0; i < n && went < 0; i++)
            if (places[i].chan && (*err = place_try(&places[i], &waiter)) != CS_AGAIN)
                went = i;
        if (went < 0) {
            waiting = waiter_wait(&waiter, timeout_ms < 0 ? NULL : &until);
            /* Called by several at once, it chooses afresh. */
            if (waiting && n > 1)
                went = go_now(places, n, err);
        }
    }
    /* Nobody finds the waiter any more once its places have left. */
    for (int i = 0; i < n; i++)
        if (places[i].chan)
            place_leave(&places[i]);
    waiter_fini(&waiter);
    return went;
}

static void place_init(struct cs__place *place, cs_chan *chan, enum cs__way way, cs_ref *msg)
{
    *place = (struct cs__place){.chan = chan, .way = way, .msg = msg};
    place->cost = way == CS__SEND ? cs__chan_cost(msg->bytes.len) : 1;
    cs_link_init(&place->link);
}

/* ---- Sending and receiving ----------------------------------------------------------------- */

static cs_err go_alone(cs_chan *chan, enum cs__way way, cs_ref *msg, int timeout_ms)
{
    struct cs__place place;
    cs_err err = CS_AGAIN;

    place_init(&place, chan, way, msg);
    return go(&place, 1, timeout_ms, &err) < 0 ? CS_AGAIN : err;
}

cs_err cs_chan_give(cs_chan *chan, cs_ref *msg, int timeout_ms)
{
    return go_alone(chan, CS__SEND, msg, timeout_ms);
}

cs_err cs_chan_recv(cs_chan *chan, int timeout_ms, cs_ref *ret)
{
    return go_alone(chan, CS__RECV, ret, timeout_ms);
}

cs_err cs_chan_send(cs_chan *chan, cs_bytes msg, int timeout_ms)
{
    cs_ref copy;
    cs_err err;

    /* Asked first, because a copy that is refused at once was made for nothing. */
    pthread_mutex_lock(&chan->lock);
    err = cs__chan_send_answer(chan, cs__chan_cost(msg.len));
    if (err == CS_AGAIN)
        cs__chan_stir(chan);
    pthread_mutex_unlock(&chan->lock);
    if (cs_failed(err) || (err == CS_AGAIN && timeout_ms == CS_NOW))
        return err;
    err = cs_ref_copy(msg, &copy);
    if (err != CS_OK)
        return err;
    err = cs_chan_give(chan, &copy, timeout_ms);
    cs_ref_drop(&copy);
    return err;
}

bool cs_chan_range(cs_chan *chan, cs_ref *msg)
{
    cs_ref_drop(msg);
    return cs_chan_recv(chan, CS_FOREVER, msg) == CS_OK;
}

int cs_select(struct cs_case *cases, size_t n, int timeout_ms)
{
    struct cs__place few[16], *places = few;
    cs_err err = CS_AGAIN;
    int went;

    if (n > sizeof(few) / sizeof(*few))
        places = n <= INT_MAX ? cs_alloc(n * sizeof(*places)) : NULL;
    for (size_t i = 0; places && i < n; i++) {
        enum cs__way way = cases[i].send.block ? CS__SEND : CS__RECV;
        cs_ref *msg = way == CS__SEND ? &cases[i].send : &cases[i].recv;
        place_init(&places[i], cases[i].chan, way, msg);
    }
    if (!places) {
        /* -1 would say that the time is up: the first case tells it instead. */
        cases[0].err = CS_ENOMEM;
        return 0;
    }
    went = go(places, (int)n, timeout_ms, &err);
    if (went >= 0)
        cases[went].err = err;
    if (places != few)
        cs_free(places);
    return went;
}
