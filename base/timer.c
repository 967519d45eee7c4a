/* timer -- a heap of our own, so that the real clock and the virtual one share it.
 *
 * What falls due is first moved from the heap to a list, then fired.  A callback may set or
 * free any timer, its own and those still in the list included; what it sets for now
 * fires in the next turn, never in this one.
 */
#include "base/loop__in.h"
#include "base/mem.h"

static bool before(const cs_timer *a, const cs_timer *b)
{
    return a->due_us < b->due_us || (a->due_us == b->due_us && a->set < b->set);
}

static void put(struct cs__timers *timers, size_t place, cs_timer *timer)
{
    timers->heap[place] = timer;
    timer->place = place;
}

static void sift_up(struct cs__timers *timers, size_t place, cs_timer *timer)
{
    while (place > 1 && before(timer, timers->heap[place / 2])) {
        put(timers, place, timers->heap[place / 2]);
        place /= 2;
    }
    put(timers, place, timer);
}

static void sift_down(struct cs__timers *timers, size_t place, cs_timer *timer)
{
    for (size_t child; (child = place * 2) <= timers->len; place = child) {
        if (child < timers->len && before(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (!before(timers->heap[child], timer))
            break;
        put(timers, place, timers->heap[child]);
    }
    put(timers, place, timer);
}

static void sift(struct cs__timers *timers, size_t place, cs_timer *timer)
{
    if (place > 1 && before(timer, timers->heap[place / 2]))
        sift_up(timers, place, timer);
    else
        sift_down(timers, place, timer);
}

static void take_out(struct cs__timers *timers, cs_timer *timer)
{
    size_t place = timer->place;

    cs_unlink(&timer->expired);
    if (!place)
        return;
    timer->place = 0;
    cs_timer *last = timers->heap[timers->len--];
    if (last != timer)
        sift(timers, place, last);
}

int64_t cs__timers_earliest(const cs_loop *loop)
{
    return loop->timers.len ? loop->timers.heap[1]->due_us : CS__NEVER;
}

void cs__timers_fire(cs_loop *loop)
{
    struct cs__timers *timers = &loop->timers;
    struct cs_link *link;

    if (!timers->len)
        return;
    int64_t now = cs_loop_now_us(loop);
    while (cs__timers_earliest(loop) <= now) {
        cs_timer *timer = timers->heap[1];
        take_out(timers, timer);
        cs_list_push(&timers->expired, &timer->expired);
    }
    while ((link = cs_list_pop(&timers->expired))) {
        cs_timer *timer = CS_CONTAINER(link, cs_timer, expired);
        timers->upkeeps = timer->upkeep ? timers->upkeeps + 1 : 0;
        timer->fn(timer->user);
    }
}

cs_err cs_timer_new(cs_loop *loop, void (*fn)(void *user), void *user, cs_timer **ret)
{
    struct cs__timers *timers = &loop->timers;
    cs_timer *timer;

    if (timers->made + 1 >= timers->cap) {
        size_t cap = timers->cap ? timers->cap * 2 : 16;
        cs_timer **heap = cs_realloc(timers->heap, cap * sizeof *heap);
        if (!heap)
            return CS_ENOMEM;
        timers->heap = heap;
        timers->cap = cap;
    }
    if (!(timer = cs_zalloc(sizeof *timer)))
        return CS_ENOMEM;
    timers->made++;
    timer->loop = loop;
    timer->fn = fn;
    timer->user = user;
    cs_link_init(&timer->expired);
    *ret = timer;
    return CS_OK;
}

void cs_timer_is_upkeep(cs_timer *timer)
{
    timer->upkeep = true;
}

void cs__timer_move(cs_timer *timer, int after_ms)
{
    struct cs__timers *timers = &timer->loop->timers;

    if (after_ms < 0) {
        take_out(timers, timer);
        return;
    }
    cs_unlink(&timer->expired);
    timer->due_us = cs_loop_now_us(timer->loop) + (int64_t)after_ms * 1000;
    timer->set = timers->sets++;
    sift(timers, timer->place ? timer->place : ++timers->len, timer);
}

void cs_timer_set(cs_timer *timer, int after_ms)
{
    cs_loop *loop = timer->loop;

    cs__timer_move(timer, after_ms);
    /* A turn arms the clock at its end.  Outside, one is needed if this is the new earliest;
     * a clock that goes off too early is harmless and left alone. */
    if (loop->phase == CS__NO_TURN && cs__timers_earliest(loop) < loop->armed_us)
        cs__loop_kick(loop);
}

void cs_timer_free(cs_timer *timer)
{
    if (!timer)
        return;
    take_out(&timer->loop->timers, timer);
    timer->loop->timers.made--;
    cs_free(timer);
}
