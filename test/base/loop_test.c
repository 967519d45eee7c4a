/* The loop on libevent: running and stopping, descriptors, a base of the user's, threads. */
#include "base/mem.h"
#include "base/turn.h"

#include <criterion/criterion.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static cs_loop *loop;
static char page[64];

static void setup(void)
{
    memset(page, 0, sizeof page);
    cr_assert_eq(cs_loop_new(NULL, &loop), CS_OK);
}

static void teardown(void)
{
    cs_loop_free(loop);
}

TestSuite(loop, .init = setup, .fini = teardown, .timeout = 60);

static void note(const char *what)
{
    cr_assert_lt(strlen(page) + strlen(what), sizeof page);
    strcat(page, what);
}

static void note_call(void *user)
{
    note(user);
}

static void stop_loop(void *user)
{
    (void)user;
    cs_loop_stop(loop);
}

/* ---- Running and stopping ----------------------------------------------------------------- */

Test(loop, a_run_with_nothing_to_wait_for_returns)
{
    cr_assert_eq(cs_loop_run(loop), CS_OK);
}

Test(loop, a_run_lasts_until_the_timers_and_calls_are_through)
{
    cs_timer *timer;

    cr_assert_eq(cs_timer_new(loop, note_call, (char *)"t", &timer), CS_OK);
    cs_timer_set(timer, 1);
    cr_assert_eq(cs_loop_call(loop, note_call, (char *)"c"), CS_OK);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_str_eq(page, "ct");
    cs_timer_free(timer);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
}

Test(loop, a_stop_before_the_run_ends_the_next_run_and_no_other)
{
    cs_loop_call(loop, note_call, (char *)"c");
    cs_loop_stop(loop);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_str_eq(page, "");
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_str_eq(page, "c");
}

static void wait_now(void)
{
    cs_waiter waiter;

    cs_waiter_init(&waiter);
    cr_assert_eq(cs_loop_wait(loop, &waiter, CS_NOW), CS_AGAIN);
}

Test(loop, a_stop_is_for_a_run_and_not_for_a_wait)
{
    cs_timer *distant;

    cs_timer_new(loop, note_call, (char *)"t", &distant);
    cs_timer_set(distant, 3600000);
    cs_loop_stop(loop);
    wait_now();
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_str_eq(page, "");
    cs_timer_free(distant);
}

Test(loop, a_timer_that_is_gone_is_not_waited_for)
{
    cs_timer *distant;

    cs_timer_new(loop, note_call, (char *)"t", &distant);
    cs_timer_set(distant, 3600000);
    wait_now();
    cs_timer_free(distant);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
}

static void on_signal(int number)
{
    (void)number;
    cs_loop_stop(loop);
}

static void raise_signal(void *user)
{
    (void)user;
    raise(SIGUSR1);
}

Test(loop, a_signal_handler_may_stop_it)
{
    cs_timer *distant;

    signal(SIGUSR1, on_signal);
    cs_timer_new(loop, note_call, (char *)"t", &distant);
    cs_timer_set(distant, 3600000);
    cs_loop_call(loop, raise_signal, NULL);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_str_eq(page, "");
    cs_timer_free(distant);
}

static void run_inside(void *user)
{
    *(cs_err *)user = cs_loop_run(loop);
}

Test(loop, it_does_not_run_inside_itself)
{
    cs_err err = CS_OK;

    cs_loop_call(loop, run_inside, &err);
    cs_loop_run(loop);
    cr_assert_eq(err, CS_EMISUSE);
}

static void free_loop(void *user)
{
    (void)user;
    cs_loop_free(loop);
}

Test(loop, freed_in_a_callback_it_goes_when_the_run_returns)
{
    cs_loop *kept = loop;

    cs_loop_new(NULL, &loop);
    cs_loop_call(loop, free_loop, NULL);
    cs_loop_call(loop, note_call, (char *)"c");
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_str_eq(page, "c");
    loop = kept;
}

/* ---- The clock ---------------------------------------------------------------------------- */

struct twice {
    int64_t first_us, second_us;
};

static void wait_a_microsecond(void)
{
    struct timespec from, now;

    clock_gettime(CLOCK_MONOTONIC, &from);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while (now.tv_sec == from.tv_sec && now.tv_nsec - from.tv_nsec < 2000);
}

static void look_twice(void *user)
{
    struct twice *twice = user;

    twice->first_us = cs_loop_now_us(loop);
    wait_a_microsecond();
    twice->second_us = cs_loop_now_us(loop);
}

Test(loop, time_stands_still_during_a_turn_and_nowhere_else)
{
    struct twice inside, outside;

    look_twice(&outside);
    cr_assert_gt(outside.second_us, outside.first_us);
    cs_loop_call(loop, look_twice, &inside);
    cs_loop_run(loop);
    cr_assert_eq(inside.second_us, inside.first_us);
    cr_assert_gt(inside.first_us, outside.second_us);
}

/* ---- Descriptors -------------------------------------------------------------------------- */

struct end {
    int fd[2];
    cs_io *io;
    cs_task task;
    const char *name;
};

static void note_task(cs_task *task)
{
    (void)task;
    note("t");
}

static void on_io(int can, void *user)
{
    struct end *end = user;
    char byte;

    cr_assert(cs_loop_in_turn(loop));
    cr_assert(cs_loop_is_mine(loop));
    note(end->name);
    if (can & CS_IO_WRITE) {
        cs_io_want(end->io, 0);
    } else if (read(end->fd[0], &byte, 1) <= 0) {
        cs_io_free(end->io);
        end->io = NULL;
    }
    cs_task_post(loop, CS_CALL, &end->task);
}

/* Of a pipe: end 0 to be read, 1 to be written. */
static void open_end(struct end *end, const char *name, int which)
{
    cr_assert_eq(pipe2(end->fd, O_NONBLOCK), 0);
    end->name = name;
    cs_task_init(&end->task, note_task);
    cr_assert_eq(cs_io_new(loop, end->fd[which], on_io, end, &end->io), CS_OK);
}

static void close_end(struct end *end)
{
    cs_io_free(end->io);
    close(end->fd[0]);
    if (end->fd[1] >= 0)
        close(end->fd[1]);
}

Test(loop, a_descriptor_is_told_when_it_can_be_read_and_when_it_ended)
{
    struct end a;

    open_end(&a, "a", 0);
    cs_io_want(a.io, CS_IO_READ);
    cr_assert_eq(write(a.fd[1], "xy", 2), 2);
    close(a.fd[1]);
    a.fd[1] = -1;
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_str_eq(page, "atatat");
    cr_assert_null(a.io);
    close_end(&a);
}

Test(loop, a_descriptor_that_wants_nothing_keeps_nobody_waiting)
{
    struct end a;

    open_end(&a, "w", 1);
    cs_io_want(a.io, CS_IO_READ | CS_IO_WRITE);
    cs_io_want(a.io, CS_IO_WRITE);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_str_eq(page, "wt");
    close_end(&a);
}

Test(loop, a_turn_comes_behind_all_descriptors_of_the_same_moment)
{
    struct end ends[3];

    for (int i = 0; i < 3; i++) {
        open_end(&ends[i], "w", 1);
        cs_io_want(ends[i].io, CS_IO_WRITE);
    }
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_str_eq(page, "wwwttt");
    for (int i = 0; i < 3; i++)
        close_end(&ends[i]);
}

struct busy {
    cs_task task;
    struct end *end;
    int turns;
    bool heeds;
};

/* The descriptor becomes readable while the turns go on. */

static void post_again(cs_task *task)
{
    struct busy *busy = CS_CONTAINER(task, struct busy, task);

    if (++busy->turns == 3)
        cr_assert_eq(write(busy->end->fd[1], "x", 1), 1);
    if (busy->heeds)
        cs_loop_heed(loop);
    if (page[0] == '\0' && busy->turns < 100000)
        cs_task_post(loop, CS_IO, task);
}

static int turns_until_it_hears(bool heeds)
{
    struct end a;
    struct busy busy = {.end = &a, .heeds = heeds};

    open_end(&a, "r", 0);
    cs_io_want(a.io, CS_IO_READ);
    cs_task_init(&busy.task, post_again);
    cs_task_post(loop, CS_IO, &busy.task);
    while (page[0] == '\0')
        wait_now();
    cr_assert_str_eq(page, "rt");
    close_end(&a);
    return busy.turns;
}

Test(loop, tasks_that_post_one_another_do_not_starve_the_descriptors)
{
    cr_assert_lt(turns_until_it_hears(false), 10);
}

/* There is something to be read behind the third turn, and the fourth comes behind that. */
Test(loop, who_heeds_hears_behind_the_turn)
{
    cr_assert_eq(turns_until_it_hears(true), 4);
}

struct chain {
    cs_task task;
    enum cs_phase phase;
    int turns, left;
};

static void follow(cs_task *task)
{
    struct chain *chain = CS_CONTAINER(task, struct chain, task);

    chain->turns++;
    if (--chain->left > 0)
        cs_task_post(loop, chain->phase, task);
}

/* How many turns of such a chain go by before the kernel is asked for news. */
static int turns_in_a_row(enum cs_phase phase, int len)
{
    struct chain chain = {.phase = phase, .left = len};
    int turns;

    cs_task_init(&chain.task, follow);
    cs_task_post(loop, phase, &chain.task);
    event_base_loop(cs_loop_base(loop), EVLOOP_ONCE);
    turns = chain.turns;
    while (chain.left > 0)
        event_base_loop(cs_loop_base(loop), EVLOOP_ONCE);
    cr_assert_eq(chain.turns, len);
    return turns;
}

Test(loop, what_one_thing_leads_to_takes_one_look_at_the_kernel_and_who_only_writes_looks_each_time)
{
    cr_assert_eq(turns_in_a_row(CS_CALL, 3), 3);
    cr_assert_eq(turns_in_a_row(CS_IO, 4), 4);
    cr_assert_eq(turns_in_a_row(CS_REAP, 4), 4);
    cr_assert_eq(turns_in_a_row(CS_CALL, 100), 6);
    cr_assert_eq(turns_in_a_row(CS_FLUSH, 3), 1);
}

static void free_io(int can, void *user)
{
    cs_io **io = user;

    (void)can;
    note("f");
    cs_io_free(io[0]);
    cs_io_free(io[1]);
    io[0] = io[1] = NULL;
}

Test(loop, a_descriptor_freed_by_another_is_not_told_any_more)
{
    int fd[2];
    cs_io *io[2];

    cr_assert_eq(pipe2(fd, O_NONBLOCK), 0);
    cr_assert_eq(cs_io_new(loop, fd[1], free_io, io, &io[0]), CS_OK);
    cr_assert_eq(cs_io_new(loop, fd[1], free_io, io, &io[1]), CS_OK);
    cs_io_want(io[0], CS_IO_WRITE);
    cs_io_want(io[1], CS_IO_WRITE);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_str_eq(page, "f");
    close(fd[0]);
    close(fd[1]);
}

Test(loop, no_descriptor_is_a_misuse)
{
    cs_io *io;

    cr_assert_eq(cs_io_new(loop, -1, free_io, NULL, &io), CS_EMISUSE);
    cs_io_free(NULL);
}

/* ---- A base of the user's ----------------------------------------------------------------- */

static void on_event(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    note(user);
}

Test(loop, what_the_user_put_on_the_base_is_waited_for)
{
    static const struct timeval soon = {0, 1000};

    cr_assert_not_null(cs_loop_base(loop));
    event_base_once(cs_loop_base(loop), -1, EV_TIMEOUT, on_event, (char *)"u", &soon);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_str_eq(page, "u");
}

static void break_base(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(user);
}

Test(loop, a_break_of_the_user_ends_the_run)
{
    static const struct timeval soon = {0, 1000};
    cs_timer *distant;

    cs_timer_new(loop, note_call, (char *)"t", &distant);
    cs_timer_set(distant, 3600000);
    event_base_once(cs_loop_base(loop), -1, EV_TIMEOUT, break_base, cs_loop_base(loop), &soon);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cs_timer_free(distant);
}

Test(loop, it_turns_on_a_base_that_the_user_runs_until_stopped)
{
    struct event_base *base = event_base_new();
    cs_loop *kept = loop;
    cs_timer *timer;

    cr_assert_eq(cs_loop_new(base, &loop), CS_OK);
    cr_assert_eq(cs_loop_base(loop), base);
    cs_timer_new(loop, stop_loop, NULL, &timer);
    cs_timer_set(timer, 1);
    cs_loop_call(loop, note_call, (char *)"c");
    cr_assert_eq(event_base_dispatch(base), 0);
    cr_assert(event_base_got_break(base));
    cr_assert_str_eq(page, "c");
    cs_timer_set(timer, 1);
    cs_loop_call(loop, note_call, (char *)"c");
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_str_eq(page, "cc");
    cs_timer_free(timer);
    cs_loop_free(loop);
    cr_assert_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
    event_base_free(base);
    loop = kept;
}

Test(loop, freed_in_a_callback_it_leaves_the_users_base_running)
{
    struct event_base *base = event_base_new();
    cs_loop *kept = loop;

    cs_loop_new(base, &loop);
    cs_loop_call(loop, free_loop, NULL);
    cr_assert_eq(event_base_dispatch(base), 1); /* no event is left on it */
    event_base_free(base);
    loop = kept;
}

/* ---- Other threads ------------------------------------------------------------------------ */

enum { CALLS = 1000 };

struct caller {
    pthread_t thread;
    int got, wrong;
    bool is_mine;
};

struct count {
    struct caller *caller;
    int number;
};

static void count_call(void *user)
{
    struct count *count = user;

    if (count->number != count->caller->got++)
        count->caller->wrong++;
    free(count);
}

static void *call_often(void *user)
{
    struct caller *caller = user;

    caller->is_mine = cs_loop_is_mine(loop);
    for (int i = 0; i < CALLS; i++) {
        struct count *count = malloc(sizeof *count);
        *count = (struct count){caller, i};
        if (cs_loop_call(loop, count_call, count) != CS_OK)
            free(count);
    }
    return NULL;
}

Test(loop, calls_of_other_threads_come_all_and_in_order)
{
    struct caller callers[2] = {0};

    cr_assert(cs_loop_is_mine(loop));
    for (int i = 0; i < 2; i++)
        pthread_create(&callers[i].thread, NULL, call_often, &callers[i]);
    while (callers[0].got < CALLS || callers[1].got < CALLS)
        cr_assert_eq(cs_loop_run(loop), CS_OK);
    for (int i = 0; i < 2; i++) {
        pthread_join(callers[i].thread, NULL);
        cr_assert_not(callers[i].is_mine);
        cr_assert_eq(callers[i].wrong, 0);
    }
}

static void *stop_from_afar(void *user)
{
    stop_loop(user);
    return NULL;
}

static void start_stopper(void *user)
{
    pthread_create(user, NULL, stop_from_afar, NULL);
}

Test(loop, another_thread_may_stop_it)
{
    pthread_t thread;
    cs_timer *distant;

    cs_timer_new(loop, note_call, (char *)"t", &distant);
    cs_timer_set(distant, 3600000);
    cs_loop_call(loop, start_stopper, &thread);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    pthread_join(thread, NULL);
    cs_timer_free(distant);
}

/* ---- No memory ---------------------------------------------------------------------------- */

static int left_to_alloc, living;

static void *scarce_alloc(size_t size, void *user)
{
    (void)user;
    if (left_to_alloc-- <= 0)
        return NULL;
    living++;
    return malloc(size);
}

static void *scarce_realloc(void *old, size_t size, void *user)
{
    (void)user;
    if (left_to_alloc-- <= 0)
        return NULL;
    living += old == NULL;
    return realloc(old, size);
}

static void scarce_free(void *p, void *user)
{
    (void)user;
    living -= p != NULL;
    free(p);
}

static cs_err use_everything(cs_err (*make)(cs_loop **ret))
{
    cs_loop *made;
    cs_timer *timer;
    cs_err err = make(&made);

    if (err != CS_OK)
        return err;
    if ((err = cs_timer_new(made, note_call, NULL, &timer)) == CS_OK) {
        err = cs_loop_call(made, note_call, (char *)"c");
        cs_timer_free(timer);
    }
    cs_loop_free(made);
    return err;
}

static cs_err make_private(cs_loop **ret)
{
    return cs_loop_new(NULL, ret);
}

/* Failing the first allocation, then the second, and so on, until none fails. */
static void fail_each(cs_err (*make)(cs_loop **ret))
{
    int fails = 0;

    page[0] = '\0';
    for (left_to_alloc = 0; use_everything(make) != CS_OK; left_to_alloc = ++fails) {
        cr_assert_eq(living, 0);
        cr_assert_lt(fails, 100);
    }
    cr_assert_gt(fails, 3);
    cr_assert_eq(living, 0);
    cr_assert_str_eq(page, "c");
}

static const struct cs_allocator scarce = {scarce_alloc, scarce_realloc, scarce_free, NULL};

Test(no_memory, each_allocation_of_a_loop_may_fail, .timeout = 60)
{
    cs_set_allocator(&scarce);
    fail_each(make_private);
    fail_each(cs_loop_new_virtual);
    fail_each(cs_loop_new_shared);
}

Test(no_memory, a_descriptor_needs_one_allocation, .timeout = 60)
{
    cs_io *io = NULL;

    cs_set_allocator(&scarce);
    left_to_alloc = 100;
    cr_assert_eq(cs_loop_new(NULL, &loop), CS_OK);
    left_to_alloc = 0;
    cr_assert_eq(cs_io_new(loop, 0, free_io, NULL, &io), CS_ENOMEM);
    cr_assert_null(io);
    cs_loop_free(loop);
    cr_assert_eq(living, 0);
}

/* ---- Without descriptors ------------------------------------------------------------------------ */

Test(loop_made, without_descriptors_fails_and_nothing_else)
{
    struct rlimit before, few;
    cs_err err = CS_ESYS;
    int free_fd = dup(0);

    cr_assert_geq(free_fd, 0);
    close(free_fd);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (rlim_t spare = 0; spare < 64 && err != CS_OK; spare++) {
        few = before;
        few.rlim_cur = (rlim_t)free_fd + spare;
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
        err = cs_loop_new(NULL, &loop);
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
        cr_assert(err == CS_ESYS || (err == CS_OK && spare > 3), "%d spare", (int)spare);
        if (err == CS_OK)
            cs_loop_free(loop);
    }
    cr_assert_eq(err, CS_OK);
}
