/* What a turn promises, on the virtual loop, where every turn can be counted. */
#include "base/turn.h"

#include <criterion/criterion.h>

/* A task that writes its letter, and then posts another for a phase, if told. */
struct letter {
    cs_task task;
    cs_loop *loop;
    char *page;
    char name;
    struct letter *next;
    enum cs_phase phase;
    int times; /* how often it still posts `next` */
};

static void write_letter(cs_task *task)
{
    struct letter *letter = CS_CONTAINER(task, struct letter, task);
    letter->page[strlen(letter->page)] = letter->name;
    if (letter->next && letter->times-- > 0)
        cs_task_post(letter->loop, letter->phase, &letter->next->task);
}

static struct letter letter_of(cs_loop *loop, char *page, char name)
{
    struct letter letter = {.loop = loop, .page = page, .name = name};
    return letter;
}

static cs_loop *loop;
static char page[64];

static void setup(void)
{
    memset(page, 0, sizeof page);
    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
}

static void teardown(void)
{
    cs_loop_free(loop);
}

TestSuite(turn, .init = setup, .fini = teardown);

static void write_end_of_turn(void *user)
{
    strcat(user, "|");
}

Test(turn, the_phases_come_in_their_order_and_tasks_in_theirs)
{
    struct letter letters[6];
    enum cs_phase phases[6] = {CS_REAP, CS_FLUSH, CS_CALL, CS_CALL, CS_IO, CS_REAP};

    for (int i = 0; i < 6; i++) {
        letters[i] = letter_of(loop, page, (char)('a' + i));
        cs_task_init(&letters[i].task, write_letter);
        cs_task_post(loop, phases[i], &letters[i].task);
    }
    cr_assert_eq(cs_loop_settle(loop), 1);
    cr_assert_str_eq(page, "ecdbaf");
    cr_assert_eq(cs_loop_settle(loop), 0);
}

Test(turn, a_task_posted_twice_runs_once)
{
    struct letter a = letter_of(loop, page, 'a');

    cs_task_init(&a.task, write_letter);
    cr_assert_not(cs_task_posted(&a.task));
    cs_task_post(loop, CS_CALL, &a.task);
    cs_task_post(loop, CS_IO, &a.task);
    cr_assert(cs_task_posted(&a.task));
    cs_loop_settle(loop);
    cr_assert_str_eq(page, "a");
    cr_assert_not(cs_task_posted(&a.task));
}

/* In which turn does what a CALL task posts for each of the phases run? */
static size_t turns_when_posting_for(enum cs_phase phase)
{
    struct letter a = letter_of(loop, page, 'a'), b = letter_of(loop, page, 'b');

    cs_task_init(&a.task, write_letter);
    cs_task_init(&b.task, write_letter);
    a.next = &b;
    a.phase = phase;
    a.times = 1;
    cs_task_post(loop, CS_CALL, &a.task);
    return cs_loop_settle(loop);
}

Test(turn, what_is_posted_for_a_later_phase_runs_in_the_same_turn)
{
    cr_assert_eq(turns_when_posting_for(CS_FLUSH), 1);
    cr_assert_eq(turns_when_posting_for(CS_REAP), 1);
    cr_assert_str_eq(page, "abab");
}

Test(turn, what_is_posted_for_this_phase_or_an_earlier_one_runs_in_the_next_turn)
{
    cr_assert_eq(turns_when_posting_for(CS_CALL), 2);
    cr_assert_eq(turns_when_posting_for(CS_IO), 2);
    cr_assert_str_eq(page, "abab");
}

Test(turn, a_task_that_posts_itself_runs_once_in_each_turn)
{
    struct letter a = letter_of(loop, page, 'a');

    cs_task_init(&a.task, write_letter);
    a.next = &a;
    a.phase = CS_CALL;
    a.times = 4;
    cs_task_post(loop, CS_CALL, &a.task);
    cr_assert_eq(cs_loop_settle(loop), 5);
    cr_assert_str_eq(page, "aaaaa");
}

struct dropper {
    cs_task task;
    cs_task *victim;
};

static void drop_other(cs_task *task)
{
    cs_task_drop(CS_CONTAINER(task, struct dropper, task)->victim);
}

Test(turn, a_task_may_drop_the_one_behind_it_in_the_same_phase)
{
    struct letter a = letter_of(loop, page, 'a'), b = letter_of(loop, page, 'b');
    struct dropper dropper = {.victim = &a.task};

    cs_task_init(&dropper.task, drop_other);
    cs_task_init(&a.task, write_letter);
    cs_task_init(&b.task, write_letter);
    cs_task_post(loop, CS_CALL, &dropper.task);
    cs_task_post(loop, CS_CALL, &a.task);
    cs_task_post(loop, CS_CALL, &b.task);
    cr_assert_eq(cs_loop_settle(loop), 1);
    cr_assert_str_eq(page, "b");
}

Test(turn, a_dropped_task_needs_no_turn)
{
    struct letter a = letter_of(loop, page, 'a');

    cs_task_init(&a.task, write_letter);
    cs_task_drop(&a.task);
    cs_task_post(loop, CS_CALL, &a.task);
    cs_task_drop(&a.task);
    cr_assert_eq(cs_loop_settle(loop), 0);
    cr_assert_str_eq(page, "");
}

Test(turn, a_loop_that_never_rests_is_left_after_a_million_turns)
{
    struct letter a = letter_of(loop, page, 'a');

    cs_task_init(&a.task, write_letter);
    a.page = (char[8]){0};
    a.name = 0;
    a.next = &a;
    a.times = 3000000;
    cs_task_post(loop, a.phase = CS_CALL, &a.task);
    cr_assert_eq(cs_loop_settle(loop), 1000000);
    cs_loop_last_turn(loop);
    cr_assert_eq(a.times, 1000000);
    cs_loop_advance(loop, 5);
    cr_assert_eq(cs_loop_now_ms(loop), 5);
    cs_task_drop(&a.task);
}

/* ---- Calls -------------------------------------------------------------------------------- */

static void call_again(void *user)
{
    strcat(user, "c");
    if (strlen(user) < 3)
        cr_assert_eq(cs_loop_call(loop, call_again, user), CS_OK);
}

Test(turn, calls_run_before_the_phases_in_their_order)
{
    struct letter a = letter_of(loop, page, 'a');

    cs_task_init(&a.task, write_letter);
    cs_task_post(loop, CS_IO, &a.task);
    cs_loop_call(loop, call_again, page);
    cs_loop_call(loop, write_end_of_turn, page);
    cr_assert_str_eq(page, "");
    cr_assert_eq(cs_loop_settle(loop), 2);
    cr_assert_str_eq(page, "c|ac");
}

Test(turn, a_call_that_is_still_waiting_runs_when_the_loop_is_freed)
{
    cs_loop *short_lived;

    cr_assert_eq(cs_loop_new_virtual(&short_lived), CS_OK);
    cs_loop_call(short_lived, write_end_of_turn, page);
    cs_loop_free(short_lived);
    cr_assert_str_eq(page, "|");
}

/* ---- Inside and outside ------------------------------------------------------------------- */

struct inside {
    cs_task task;
    bool in_turn, is_mine;
    size_t settled;
    cs_err waited, ran;
    int64_t before_ms, after_ms;
};

static void look(cs_task *task)
{
    struct inside *inside = CS_CONTAINER(task, struct inside, task);
    cs_waiter waiter;

    inside->in_turn = cs_loop_in_turn(loop);
    inside->is_mine = cs_loop_is_mine(loop);
    inside->settled = cs_loop_settle(loop);
    inside->before_ms = cs_loop_now_ms(loop);
    cs_loop_advance(loop, 10);
    inside->after_ms = cs_loop_now_ms(loop);
    cs_waiter_init(&waiter);
    waiter.woken = true;
    inside->waited = cs_loop_wait(loop, &waiter, CS_NOW);
    inside->ran = cs_loop_run(loop);
    cs_loop_last_turn(loop);
}

Test(turn, inside_a_turn_nothing_turns_or_waits)
{
    struct inside inside = {.settled = 9};

    cs_task_init(&inside.task, look);
    cs_task_post(loop, CS_CALL, &inside.task);
    cr_assert_not(cs_loop_in_turn(loop));
    cr_assert_eq(cs_loop_settle(loop), 1);
    cr_assert(inside.in_turn);
    cr_assert(inside.is_mine);
    cr_assert_eq(inside.settled, 0);
    cr_assert_eq(inside.after_ms, inside.before_ms + 10);
    cr_assert_eq(inside.waited, CS_EMISUSE);
    cr_assert_eq(inside.ran, CS_EMISUSE);
    cr_assert_not(cs_loop_in_turn(loop));
}

Test(turn, the_last_turn_runs_what_is_posted_and_what_that_posts)
{
    struct letter a = letter_of(loop, page, 'a'), b = letter_of(loop, page, 'b');

    cs_task_init(&a.task, write_letter);
    cs_task_init(&b.task, write_letter);
    a.next = &b;
    a.phase = CS_IO;
    a.times = 1;
    cs_task_post(loop, CS_REAP, &a.task);
    cs_loop_last_turn(loop);
    cr_assert_str_eq(page, "ab");
}

static void free_loop(cs_task *task)
{
    (void)task;
    cs_loop_free(loop);
}

Test(turn, a_loop_freed_in_its_own_task_goes_after_the_tasks_that_are_posted)
{
    cs_loop *kept = loop;
    struct letter a;
    cs_task task;

    cs_loop_new_virtual(&loop);
    a = letter_of(loop, page, 'a');
    cs_task_init(&a.task, write_letter);
    cs_task_init(&task, free_loop);
    cs_task_post(loop, CS_CALL, &task);
    cs_task_post(loop, CS_REAP, &a.task);
    cr_assert_eq(cs_loop_settle(loop), 1);
    cr_assert_str_eq(page, "a");
    loop = kept;
}

/* ---- Running a virtual loop --------------------------------------------------------------- */

static void stop(void *user)
{
    (void)user;
    cs_loop_stop(loop);
}

Test(turn, a_virtual_run_jumps_from_timer_to_timer_until_none_is_left)
{
    cs_timer *timer;

    cs_timer_new(loop, write_end_of_turn, page, &timer);
    cs_timer_set(timer, 86400000);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_str_eq(page, "|");
    cr_assert_eq(cs_loop_now_ms(loop), 86400000);
    cs_timer_free(timer);
}

Test(turn, a_virtual_run_ends_when_stopped)
{
    cs_timer *timer, *later;

    cs_timer_new(loop, stop, NULL, &timer);
    cs_timer_new(loop, write_end_of_turn, page, &later);
    cs_timer_set(timer, 10);
    cs_timer_set(later, 20);
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_eq(cs_loop_now_ms(loop), 10);
    cr_assert_str_eq(page, "");
    cr_assert_eq(cs_loop_run(loop), CS_OK);
    cr_assert_str_eq(page, "|");
    cs_timer_free(timer);
    cs_timer_free(later);
}

Test(turn, a_virtual_loop_has_no_descriptors)
{
    cs_io *io;

    cr_assert(cs_loop_is_virtual(loop));
    cr_assert_not(cs_loop_is_shared(loop));
    cr_assert_eq(cs_io_new(loop, 0, NULL, NULL, &io), CS_EMISUSE);
    cr_assert_eq(cs_loop_base(loop), NULL);
}
