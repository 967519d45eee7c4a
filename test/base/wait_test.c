/* Waiting, on each of the three kinds of loop, and the loop with a thread of its own. */
#include "base/turn.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

TestSuite(wait, .timeout = 60);

/* A task that wakes a waiter, after having posted itself some times. */
struct waker {
    cs_task task;
    cs_loop *loop;
    cs_waiter *waiter;
    int delay, ran;
    pthread_t thread;
};

static void wake(cs_task *task)
{
    struct waker *waker = CS_CONTAINER(task, struct waker, task);

    waker->ran++;
    waker->thread = pthread_self();
    if (waker->delay-- > 0)
        cs_task_post(waker->loop, CS_CALL, task);
    else
        cs_waiter_wake(waker->loop, waker->waiter);
}

static struct waker waker_of(cs_loop *loop, cs_waiter *waiter, int delay)
{
    struct waker waker = {.loop = loop, .waiter = waiter, .delay = delay};

    cs_waiter_init(waiter);
    return waker;
}

static void wake_by_timer(void *user)
{
    struct waker *waker = user;
    cs_waiter_wake(waker->loop, waker->waiter);
}

/* What holds of every loop. */
static void check_waiting(cs_loop *loop)
{
    cs_waiter waiter;
    struct waker waker = waker_of(loop, &waiter, 3);

    cs_task_init(&waker.task, wake);
    cs_loop_enter(loop);
    cs_waiter_wake(loop, NULL);
    cr_assert_eq(cs_loop_wait(loop, &waiter, CS_NOW), CS_AGAIN);
    cr_assert_eq(cs_loop_wait(loop, &waiter, 1), CS_AGAIN);
    cs_task_post(loop, CS_CALL, &waker.task);
    cr_assert_eq(cs_loop_wait(loop, &waiter, CS_FOREVER), CS_OK);
    cr_assert_not(waiter.woken);
    cr_assert_eq(waker.ran, 4);
    cs_waiter_wake(loop, &waiter);
    cr_assert_eq(cs_loop_wait(loop, &waiter, CS_NOW), CS_OK);
    cr_assert_eq(cs_loop_wait(loop, &waiter, CS_NOW), CS_AGAIN);
    cs_waiter_wake(loop, &waiter);
    cr_assert_eq(cs_loop_wait(loop, &waiter, CS_FOREVER), CS_OK);
    cs_waiter_fini(&waiter);
    cs_loop_leave(loop);
}

/* A timer that is set by the waiting thread wakes it in time. */
static void check_timer(cs_loop *loop)
{
    cs_waiter waiter;
    struct waker waker = waker_of(loop, &waiter, 0);
    cs_timer *timer;

    cs_loop_enter(loop);
    cr_assert_eq(cs_timer_new(loop, wake_by_timer, &waker, &timer), CS_OK);
    cs_timer_set(timer, 3600000);
    cs_timer_set(timer, 2);
    cr_assert_eq(cs_loop_wait(loop, &waiter, CS_FOREVER), CS_OK);
    cs_timer_set(timer, 3600000);
    cr_assert_eq(cs_loop_wait(loop, &waiter, 1), CS_AGAIN);
    cs_timer_free(timer);
    cs_loop_leave(loop);
}

Test(wait, on_a_private_loop_the_caller_turns_it)
{
    cs_loop *loop;

    cr_assert_eq(cs_loop_new(NULL, &loop), CS_OK);
    check_waiting(loop);
    check_timer(loop);
    cs_loop_free(loop);
}

Test(wait, its_patience_is_forgotten_when_it_is_over)
{
    cs_loop *loop;
    cs_waiter waiter;
    struct waker waker;

    cr_assert_eq(cs_loop_new(NULL, &loop), CS_OK);
    waker = waker_of(loop, &waiter, 0);
    cs_task_init(&waker.task, wake);
    cs_task_post(loop, CS_CALL, &waker.task);
    cr_assert_eq(cs_loop_wait(loop, &waiter, 3600000), CS_OK);
    cr_assert_eq(cs_loop_run(loop), CS_OK); /* at once */
    cs_loop_free(loop);
}

Test(wait, on_a_virtual_loop_time_passes_as_needed)
{
    cs_loop *loop;

    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    check_waiting(loop);
    cr_assert_eq(cs_loop_now_us(loop), 1000);
    check_timer(loop);
    cr_assert_eq(cs_loop_now_us(loop), 4000);
    cs_loop_free(loop);
}

Test(wait, on_a_shared_loop_its_thread_turns_it)
{
    cs_loop *loop;

    cr_assert_eq(cs_loop_new_shared(&loop), CS_OK);
    cr_assert(cs_loop_is_shared(loop));
    check_waiting(loop);
    check_timer(loop);
    cs_loop_free(loop);
}

Test(wait, for_ever_on_a_virtual_loop_where_nothing_is_left_is_a_misuse)
{
    cs_loop *loop;
    cs_waiter waiter;

    cs_loop_new_virtual(&loop);
    cs_waiter_init(&waiter);
    cr_assert_eq(cs_loop_wait(loop, &waiter, CS_FOREVER), CS_EMISUSE);
    cs_loop_free(loop);
}

Test(wait, now_lets_happen_what_is_ready)
{
    cs_loop *loops[2];
    cs_waiter waiter;

    cs_loop_new(NULL, &loops[0]);
    cs_loop_new_virtual(&loops[1]);
    for (int i = 0; i < 2; i++) {
        struct waker waker = waker_of(loops[i], &waiter, 0);
        cs_task_init(&waker.task, wake);
        cs_task_post(loops[i], CS_CALL, &waker.task);
        cr_assert_eq(cs_loop_wait(loops[i], &waiter, CS_NOW), CS_OK);
        cs_loop_free(loops[i]);
    }
}

/* ---- Descriptors -------------------------------------------------------------------------- */

struct pipe_end {
    struct waker waker;
    int fd[2];
    cs_io *io;
    cs_err made;
};

static void on_readable(int can, void *user)
{
    struct pipe_end *end = user;

    cr_assert_eq(can, CS_IO_READ);
    cs_io_free(end->io);
    cs_waiter_wake(end->waker.loop, end->waker.waiter);
}

static void watch_pipe(cs_task *task)
{
    struct pipe_end *end =
        CS_CONTAINER(CS_CONTAINER(task, struct waker, task), struct pipe_end, waker);

    end->made = cs_io_new(end->waker.loop, end->fd[0], on_readable, end, &end->io);
    if (end->made == CS_OK)
        cs_io_want(end->io, CS_IO_READ);
}

static void check_descriptor(cs_loop *loop)
{
    cs_waiter waiter;
    struct pipe_end end = {.waker = waker_of(loop, &waiter, 0), .made = CS_AGAIN};

    cr_assert_eq(pipe2(end.fd, O_NONBLOCK | O_CLOEXEC), 0);
    cr_assert_eq(write(end.fd[1], "x", 1), 1);
    cs_task_init(&end.waker.task, watch_pipe);
    cs_loop_enter(loop);
    cs_task_post(loop, CS_IO, &end.waker.task);
    cr_assert_eq(cs_loop_wait(loop, &waiter, CS_FOREVER), CS_OK);
    cr_assert_eq(end.made, CS_OK);
    cs_loop_leave(loop);
    close(end.fd[0]);
    close(end.fd[1]);
}

Test(wait, a_descriptor_wakes_on_a_private_and_on_a_shared_loop)
{
    cs_loop *loop;

    cs_loop_new(NULL, &loop);
    check_descriptor(loop);
    cs_loop_free(loop);
    cs_loop_new_shared(&loop);
    check_descriptor(loop);
    cs_loop_free(loop);
}

/* ---- Shared loops ------------------------------------------------------------------------- */

Test(wait, a_shared_loop_refuses_what_belongs_to_its_thread)
{
    cs_loop *loop;
    cs_waiter waiter;
    cs_io *io;

    cs_loop_new_shared(&loop);
    cs_waiter_init(&waiter);
    cr_assert_eq(cs_loop_wait(loop, &waiter, CS_NOW), CS_EMISUSE); /* not entered */
    cs_loop_enter(loop);
    cr_assert_eq(cs_io_new(loop, 0, on_readable, NULL, &io), CS_EMISUSE);
    cs_loop_leave(loop);
    cr_assert_eq(cs_loop_run(loop), CS_EMISUSE);
    cr_assert_null(cs_loop_base(loop));
    cr_assert_not(cs_loop_is_mine(loop));
    cr_assert_not(cs_loop_in_turn(loop));
    cs_loop_stop(loop); /* does nothing: others may wait */
    check_waiting(loop);
    cs_loop_free(loop);
}

struct inside {
    struct waker waker;
    bool in_turn, is_mine;
    cs_err waited;
};

static void look_inside(cs_task *task)
{
    struct inside *inside =
        CS_CONTAINER(CS_CONTAINER(task, struct waker, task), struct inside, waker);
    cs_loop *loop = inside->waker.loop;
    cs_waiter waiter;

    inside->in_turn = cs_loop_in_turn(loop);
    inside->is_mine = cs_loop_is_mine(loop);
    cs_waiter_init(&waiter);
    cs_loop_enter(loop); /* it holds the lock already */
    inside->waited = cs_loop_wait(loop, &waiter, 1);
    cs_loop_leave(loop);
    cs_loop_last_turn(loop);
    cs_waiter_wake(loop, inside->waker.waiter);
}

Test(wait, nothing_waits_on_the_loops_own_thread)
{
    cs_loop *loop;
    cs_waiter waiter;
    struct inside inside = {0};

    cs_loop_new_shared(&loop);
    inside.waker = waker_of(loop, &waiter, 0);
    cs_task_init(&inside.waker.task, look_inside);
    cs_loop_enter(loop);
    cs_task_post(loop, CS_CALL, &inside.waker.task);
    cr_assert_eq(cs_loop_wait(loop, &waiter, CS_FOREVER), CS_OK);
    cs_loop_leave(loop);
    cr_assert(inside.in_turn);
    cr_assert(inside.is_mine);
    cr_assert_eq(inside.waited, CS_EMISUSE);
    cs_loop_free(loop);
}

Test(wait, a_waiter_lets_go_of_every_entry_and_gets_them_back)
{
    cs_loop *loop;
    cs_waiter waiter;
    struct waker waker;

    cs_loop_new_shared(&loop);
    waker = waker_of(loop, &waiter, 2);
    cs_task_init(&waker.task, wake);
    cs_loop_enter(loop);
    cs_loop_enter(loop);
    cs_task_post(loop, CS_CALL, &waker.task);
    cr_assert_eq(cs_loop_wait(loop, &waiter, CS_FOREVER), CS_OK);
    cs_loop_leave(loop);
    cr_assert_eq(cs_loop_wait(loop, &waiter, CS_NOW), CS_AGAIN); /* still entered */
    cs_loop_leave(loop);
    cr_assert_eq(cs_loop_wait(loop, &waiter, CS_NOW), CS_EMISUSE);
    cs_loop_free(loop);
}

Test(wait, the_last_turn_of_a_shared_loop_is_over_when_it_returns)
{
    cs_loop *loop;
    cs_waiter waiter;
    struct waker waker;

    cs_loop_new_shared(&loop);
    waker = waker_of(loop, &waiter, 100);
    cs_task_init(&waker.task, wake);
    cs_loop_enter(loop);
    cs_task_post(loop, CS_REAP, &waker.task);
    cs_loop_leave(loop);
    cs_loop_last_turn(loop);
    cr_assert_eq(waker.ran, 101);
    cs_loop_enter(loop);
    waker.delay = 10;
    cs_task_post(loop, CS_REAP, &waker.task);
    cs_loop_last_turn(loop);
    cr_assert_eq(waker.ran, 112);
    cs_loop_leave(loop);
    cs_loop_free(loop);
}

Test(wait, freeing_a_shared_loop_runs_what_is_posted)
{
    cs_loop *loop;
    cs_waiter waiter;
    struct waker waker;

    cs_loop_new_shared(&loop);
    waker = waker_of(loop, &waiter, 5);
    cs_task_init(&waker.task, wake);
    cs_loop_enter(loop);
    cs_task_post(loop, CS_REAP, &waker.task);
    cs_loop_free(loop); /* leaves what was entered */
    cr_assert_eq(waker.ran, 6);
    cr_assert_not(pthread_equal(waker.thread, pthread_self()));
}

static void free_inside(void *user)
{
    cs_loop_free(user);
}

static void say_done(void *user)
{
    sem_post(user);
}

Test(wait, a_shared_loop_may_be_freed_on_its_own_thread)
{
    cs_loop *loop;
    sem_t done;

    sem_init(&done, 0, 0);
    cs_loop_new_shared(&loop);
    cs_loop_enter(loop); /* so that both calls are there when it turns */
    cs_loop_call(loop, free_inside, loop);
    cs_loop_call(loop, say_done, &done);
    cs_loop_leave(loop);
    sem_wait(&done);
    sem_destroy(&done);
}

/* ---- Guests ------------------------------------------------------------------------------- */

/* Waits for a task until it was run on the waiting thread: once the loop's own has stood back. */
static bool be_guest(cs_loop *loop)
{
    enum { ENOUGH = 100000 };
    cs_waiter waiter;
    struct waker waker = waker_of(loop, &waiter, 0);
    bool was = false;

    cs_task_init(&waker.task, wake);
    cs_loop_enter(loop);
    for (int i = 0; i < ENOUGH && !was; i++) {
        cs_task_post(loop, CS_CALL, &waker.task);
        cr_assert_eq(cs_loop_wait(loop, &waiter, CS_FOREVER), CS_OK);
        was = pthread_equal(waker.thread, pthread_self());
    }
    cs_loop_leave(loop);
    return was;
}

static cs_loop *loop_with_guest(void)
{
    cs_loop *loop;

    cr_assert_eq(cs_loop_new_shared(&loop), CS_OK);
    cr_assert(be_guest(loop));
    cr_assert_not(cs_loop_is_mine(loop), "only while it waits");
    return loop;
}

Test(wait, who_waits_again_turns_a_shared_loop)
{
    cs_loop *loop = loop_with_guest();

    check_waiting(loop);
    check_timer(loop);
    cr_assert(be_guest(loop));
    cs_loop_last_turn(loop);
    cs_loop_free(loop);
}

struct told {
    cs_task task;
    sem_t sem;
    pthread_t thread;
};

static void tell(cs_task *task)
{
    struct told *told = CS_CONTAINER(task, struct told, task);

    told->thread = pthread_self();
    sem_post(&told->sem);
}

/* What he posted, and nothing rang for. */
static void check_thread_goes_on(cs_loop *loop)
{
    struct told told;

    sem_init(&told.sem, 0, 0);
    cs_task_init(&told.task, tell);
    cs_loop_enter(loop);
    cs_task_post(loop, CS_CALL, &told.task);
    cs_loop_leave(loop);
    sem_wait(&told.sem);
    cr_assert_not(pthread_equal(told.thread, pthread_self()));
    sem_destroy(&told.sem);
}

Test(wait, when_the_guest_does_not_come_back_the_thread_goes_on)
{
    cs_loop *loop = loop_with_guest();

    check_thread_goes_on(loop);
    check_waiting(loop);
    check_thread_goes_on(loop);
    cs_loop_free(loop);
}

/* Long enough for the thread not to look any more. */
Test(wait, a_guest_who_stayed_long_is_not_the_last)
{
    cs_loop *loop = loop_with_guest();
    cs_waiter waiter;

    cs_waiter_init(&waiter);
    cs_loop_enter(loop);
    cr_assert_eq(cs_loop_wait(loop, &waiter, 30), CS_AGAIN);
    cs_loop_leave(loop);
    check_thread_goes_on(loop);
    cs_loop_free(loop);
}

static void *wait_there(void *user)
{
    struct waker *waker = user;

    cs_loop_enter(waker->loop);
    cs_task_post(waker->loop, CS_CALL, &waker->task);
    cr_assert_eq(cs_loop_wait(waker->loop, waker->waiter, CS_FOREVER), CS_OK);
    cs_loop_leave(waker->loop);
    return NULL;
}

/* He sleeps while the guest turns, and the thread turns for him when the guest has left. */
Test(wait, beside_a_guest_others_sleep)
{
    cs_loop *loop = loop_with_guest();
    cs_waiter mine, other;
    struct waker waker = waker_of(loop, &other, 5000);
    pthread_t thread;

    cs_waiter_init(&mine);
    cs_task_init(&waker.task, wake);
    cs_loop_enter(loop);
    cr_assert_eq(pthread_create(&thread, NULL, wait_there, &waker), 0);
    cr_assert_eq(cs_loop_wait(loop, &mine, 1), CS_AGAIN);
    cs_loop_leave(loop);
    pthread_join(thread, NULL);
    cr_assert_eq(waker.ran, 5001);
    cs_loop_free(loop);
}

Test(wait, a_shared_loop_is_freed_beside_a_thread_that_stands_back)
{
    cs_loop_free(loop_with_guest());
}

Test(wait, a_shared_loop_may_be_freed_by_a_call_behind_a_guest)
{
    cs_loop *loop = loop_with_guest();
    sem_t done;

    sem_init(&done, 0, 0);
    cs_loop_enter(loop);
    cs_loop_call(loop, free_inside, loop);
    cs_loop_call(loop, say_done, &done);
    cs_loop_leave(loop);
    sem_wait(&done);
    sem_destroy(&done);
}
