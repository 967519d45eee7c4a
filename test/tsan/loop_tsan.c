/* Threads on a shared loop, for ThreadSanitizer (Criterion does not run under it).
 *
 * Several threads enter, post, set timers and wait for what the loop's thread answers; others
 * only call.  In any build the counts must be right; with ThreadSanitizer there must be no race.
 */
#include "base/turn.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 400, LOOPS = 5 };

#define CHECK(what) check((what), #what, __LINE__)

static void check(bool good, const char *what, int line)
{
    if (good)
        return;
    fprintf(stderr, "line %d: %s does not hold\n", line, what);
    exit(1);
}

/* What a thread asks and the loop's thread answers. */
struct asker {
    cs_task task;
    cs_loop *loop;
    cs_timer *timer;
    cs_waiter waiter;
    int asked, answered;
    long called; /* by the loop's thread alone */
};

static void answer(cs_task *task)
{
    struct asker *asker = CS_CONTAINER(task, struct asker, task);
    asker->answered = asker->asked;
    cs_waiter_wake(asker->loop, &asker->waiter);
}

static void answer_late(void *user)
{
    answer(&((struct asker *)user)->task);
}

static void count_call(void *user)
{
    ((struct asker *)user)->called++;
}

/* By a task, by a timer, or given up at once. */
static void ask(struct asker *asker, int round)
{
    cs_loop *loop = asker->loop;

    cs_loop_enter(loop);
    asker->asked = round;
    if (round % 8 == 0)
        cs_timer_set(asker->timer, round % 3);
    else
        cs_task_post(loop, round % 2 ? CS_CALL : CS_REAP, &asker->task);
    if (round % 16 == 5) {
        cs_err err = cs_loop_wait(loop, &asker->waiter, CS_NOW);
        CHECK(err == CS_AGAIN);
    }
    while (asker->answered != round) {
        cs_err err = cs_loop_wait(loop, &asker->waiter, round % 5 ? CS_FOREVER : 1);
        CHECK(err == CS_OK || (err == CS_AGAIN && round % 5 == 0));
    }
    asker->waiter.woken = false;
    cs_loop_leave(loop);
}

static void *run_asker(void *user)
{
    struct asker *asker = user;
    cs_loop *loop = asker->loop;

    cs_loop_enter(loop);
    CHECK(cs_timer_new(loop, answer_late, asker, &asker->timer) == CS_OK);
    cs_loop_leave(loop);
    for (int round = 1; round <= ROUNDS; round++) {
        ask(asker, round);
        CHECK(cs_loop_call(loop, count_call, asker) == CS_OK);
        CHECK(!cs_loop_is_mine(loop));
        CHECK(!cs_loop_in_turn(loop));
    }
    cs_loop_last_turn(loop);
    cs_loop_enter(loop);
    CHECK(asker->called == ROUNDS);
    cs_timer_free(asker->timer);
    cs_loop_leave(loop);
    return NULL;
}

static void shared_loop(void)
{
    struct asker askers[THREADS] = {0};
    pthread_t threads[THREADS];
    cs_loop *loop;

    CHECK(cs_loop_new_shared(&loop) == CS_OK);
    for (int i = 0; i < THREADS; i++) {
        askers[i].loop = loop;
        cs_task_init(&askers[i].task, answer);
        cs_waiter_init(&askers[i].waiter);
        CHECK(pthread_create(&threads[i], NULL, run_asker, &askers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cs_loop_free(loop);
}

/* What is still posted when the loop is freed runs first, and is seen by who freed it. */
static void freed_at_once(void)
{
    struct asker asker = {0};

    CHECK(cs_loop_new_shared(&asker.loop) == CS_OK);
    cs_task_init(&asker.task, answer);
    cs_loop_enter(asker.loop);
    asker.asked = 1;
    cs_task_post(asker.loop, CS_REAP, &asker.task);
    cs_loop_leave(asker.loop);
    CHECK(cs_loop_call(asker.loop, count_call, &asker) == CS_OK);
    cs_loop_free(asker.loop);
    CHECK(asker.answered == 1);
    CHECK(asker.called == 1);
}

/* ---- A private loop, called and stopped by other threads ---------------------------------- */

struct calls {
    cs_loop *loop;
    long called;
};

static void count(void *user)
{
    struct calls *calls = user;
    if (++calls->called == (long)THREADS * ROUNDS)
        cs_loop_stop(calls->loop);
}

static void *run_caller(void *user)
{
    struct calls *calls = user;
    for (int i = 0; i < ROUNDS; i++)
        CHECK(cs_loop_call(calls->loop, count, calls) == CS_OK);
    return NULL;
}

static void never(void *user)
{
    (void)user;
    CHECK(false);
}

static void private_loop(void)
{
    struct calls calls = {0};
    pthread_t threads[THREADS];
    cs_timer *distant;

    CHECK(cs_loop_new(NULL, &calls.loop) == CS_OK);
    CHECK(cs_timer_new(calls.loop, never, NULL, &distant) == CS_OK);
    cs_timer_set(distant, 3600000);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, run_caller, &calls) == 0);
    CHECK(cs_loop_run(calls.loop) == CS_OK);
    CHECK(calls.called == (long)THREADS * ROUNDS);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cs_timer_free(distant);
    cs_loop_free(calls.loop);
}

int main(void)
{
    alarm(240); /* a lost wake-up shall not hang the build */
    for (int i = 0; i < LOOPS; i++) {
        shared_loop();
        freed_at_once();
        private_loop();
    }
    return 0;
}
