/* Timers on the virtual clock, where they are exact. */
#include "base/turn.h"

#include <criterion/criterion.h>

struct alarm {
    cs_timer *timer;
    int64_t rang_us; /* the last time; -1: never */
    int rings;
    struct alarm *other; /* freed or moved by `act` */
    void (*act)(struct alarm *alarm);
    char name;
};

static cs_loop *loop;
static char rung[64];

static void ring(void *user)
{
    struct alarm *alarm = user;
    alarm->rang_us = cs_loop_now_us(loop);
    alarm->rings++;
    if (strlen(rung) + 1 < sizeof rung)
        rung[strlen(rung)] = alarm->name;
    if (alarm->act)
        alarm->act(alarm);
}

static void alarm_init(struct alarm *alarm, char name)
{
    *alarm = (struct alarm){.rang_us = -1, .name = name};
    cr_assert_eq(cs_timer_new(loop, ring, alarm, &alarm->timer), CS_OK);
}

static void setup(void)
{
    memset(rung, 0, sizeof rung);
    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
}

static void teardown(void)
{
    cs_loop_free(loop);
}

TestSuite(timer, .init = setup, .fini = teardown);

Test(timer, it_fires_once_at_its_time)
{
    struct alarm a;

    alarm_init(&a, 'a');
    cs_timer_set(a.timer, 30);
    cs_loop_advance(loop, 29);
    cr_assert_eq(a.rings, 0);
    cs_loop_advance(loop, 1);
    cr_assert_eq(a.rings, 1);
    cr_assert_eq(a.rang_us, 30000);
    cs_loop_advance(loop, 1000);
    cr_assert_eq(a.rings, 1);
    cs_timer_free(a.timer);
}

Test(timer, setting_moves_it_both_ways_and_off_stops_it)
{
    struct alarm a;

    alarm_init(&a, 'a');
    cs_timer_set(a.timer, 10);
    cs_timer_set(a.timer, 50);
    cs_loop_advance(loop, 49);
    cr_assert_eq(a.rings, 0);
    cs_timer_set(a.timer, 50);
    cs_timer_set(a.timer, 5);
    cs_loop_advance(loop, 5);
    cr_assert_eq(a.rang_us, 54000);
    cs_timer_set(a.timer, 5);
    cs_timer_set(a.timer, CS_OFF);
    cs_timer_set(a.timer, CS_OFF);
    cs_loop_advance(loop, 100);
    cr_assert_eq(a.rings, 1);
    cs_timer_free(a.timer);
}

Test(timer, equal_times_fire_in_the_order_they_were_set)
{
    struct alarm a, b, c;

    alarm_init(&a, 'a');
    alarm_init(&b, 'b');
    alarm_init(&c, 'c');
    cs_timer_set(a.timer, 7);
    cs_timer_set(b.timer, 7);
    cs_timer_set(c.timer, 7);
    cs_timer_set(a.timer, 7);
    cs_loop_advance(loop, 7);
    cr_assert_str_eq(rung, "bca");
    cs_timer_free(a.timer);
    cs_timer_free(b.timer);
    cs_timer_free(c.timer);
}

static void again(struct alarm *alarm)
{
    if (alarm->rings < 3)
        cs_timer_set(alarm->timer, 0);
}

Test(timer, one_that_is_set_for_now_in_its_own_callback_fires_in_the_next_turn)
{
    struct alarm a;

    alarm_init(&a, 'a');
    a.act = again;
    cs_timer_set(a.timer, 0);
    cr_assert_eq(cs_loop_settle(loop), 3);
    cr_assert_str_eq(rung, "aaa");
    cs_timer_free(a.timer);
}

static void free_myself(struct alarm *alarm)
{
    cs_timer_free(alarm->timer);
    alarm->timer = NULL;
}

Test(timer, it_may_be_freed_in_its_own_callback)
{
    struct alarm a, b;

    alarm_init(&a, 'a');
    alarm_init(&b, 'b');
    a.act = free_myself;
    cs_timer_set(a.timer, 1);
    cs_timer_set(b.timer, 1);
    cs_loop_advance(loop, 1);
    cr_assert_str_eq(rung, "ab");
    cs_timer_free(a.timer);
    cs_timer_free(b.timer);
}

static void free_other(struct alarm *alarm)
{
    cs_timer_free(alarm->other->timer);
}

static void move_other(struct alarm *alarm)
{
    cs_timer_set(alarm->other->timer, 4);
}

static void stop_other(struct alarm *alarm)
{
    cs_timer_set(alarm->other->timer, CS_OFF);
}

Test(timer, one_that_is_due_may_be_freed_moved_or_stopped_by_another_that_is_due)
{
    struct alarm act[3], freed, moved, stopped;
    struct alarm *others[3] = {&freed, &moved, &stopped};
    void (*acts[3])(struct alarm *) = {free_other, move_other, stop_other};

    for (int i = 0; i < 3; i++) {
        alarm_init(&act[i], (char)('1' + i));
        alarm_init(others[i], (char)('a' + i));
        act[i].act = acts[i];
        act[i].other = others[i];
        cs_timer_set(act[i].timer, 1);
    }
    for (int i = 0; i < 3; i++)
        cs_timer_set(others[i]->timer, 1);
    cs_loop_advance(loop, 1);
    cr_assert_str_eq(rung, "123");
    cs_loop_advance(loop, 100);
    cr_assert_str_eq(rung, "123b");
    cr_assert_eq(moved.rang_us, 5000);
    for (int i = 0; i < 3; i++)
        cs_timer_free(act[i].timer);
    cs_timer_free(moved.timer);
    cs_timer_free(stopped.timer);
}

static void take_100_ms(struct alarm *alarm)
{
    (void)alarm;
    cs_loop_advance(loop, 100);
    cr_expect_str_eq(rung, "a", "nothing rings within it");
}

Test(timer, a_callback_that_takes_long_makes_the_others_late)
{
    struct alarm a, b;

    alarm_init(&a, 'a');
    alarm_init(&b, 'b');
    a.act = take_100_ms;
    cs_timer_set(a.timer, 10);
    cs_timer_set(b.timer, 20);
    cs_loop_advance(loop, 50);
    cr_assert_str_eq(rung, "ab");
    cr_assert_eq(b.rang_us, 110000);
    cr_assert_eq(cs_loop_now_us(loop), 110000, "time does not go back");
    cs_timer_free(a.timer);
    cs_timer_free(b.timer);
}

Test(timer, advancing_stops_at_each_timer_on_the_way)
{
    struct alarm a, b;

    alarm_init(&a, 'a');
    alarm_init(&b, 'b');
    cs_timer_set(b.timer, 20);
    cs_timer_set(a.timer, 10);
    cs_loop_advance(loop, 1000);
    cr_assert_eq(a.rang_us, 10000);
    cr_assert_eq(b.rang_us, 20000);
    cr_assert_eq(cs_loop_now_us(loop), 1000000);
    cs_loop_advance(loop, -5);
    cr_assert_eq(cs_loop_now_us(loop), 1000000);
    cs_timer_free(a.timer);
    cs_timer_free(b.timer);
}

Test(timer, freeing_nothing_is_fine)
{
    cs_timer_free(NULL);
    cr_assert_eq(cs_loop_settle(loop), 0);
}

/* Many timers, set, moved, stopped and freed by a fixed sequence of pseudo-random numbers; a
 * plain array says what ought to happen. */
#define MANY 200

static unsigned next_number(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

static void check_against_array(struct alarm *alarms, int64_t *due_us, int *rings)
{
    for (int i = 0; i < MANY; i++) {
        if (due_us[i] >= 0 && due_us[i] <= cs_loop_now_us(loop)) {
            cr_assert_eq(alarms[i].rang_us, due_us[i]);
            due_us[i] = -1;
            rings[i]++;
        }
        cr_assert_eq(alarms[i].rings, rings[i]);
    }
}

Test(timer, the_heap_does_what_an_array_would)
{
    static struct alarm alarms[MANY];
    static int64_t due_us[MANY];
    static int rings[MANY];
    unsigned seed = 1;

    for (int i = 0; i < MANY; i++) {
        alarm_init(&alarms[i], 'x');
        due_us[i] = -1;
    }
    for (int step = 0; step < 20000; step++) {
        unsigned which = next_number(&seed) % MANY, what = next_number(&seed) % 16;
        int after_ms = (int)(next_number(&seed) % 100);
        if (what == 0) {
            cs_loop_advance(loop, 1 + after_ms / 10);
            check_against_array(alarms, due_us, rings);
        } else if (what == 1) {
            cs_timer_free(alarms[which].timer);
            alarm_init(&alarms[which], 'x');
            due_us[which] = -1;
            rings[which] = 0;
        } else if (what == 2) {
            cs_timer_set(alarms[which].timer, CS_OFF);
            due_us[which] = -1;
        } else {
            cs_timer_set(alarms[which].timer, after_ms + 1);
            due_us[which] = cs_loop_now_us(loop) + (after_ms + 1) * 1000;
        }
    }
    for (int i = 0; i < MANY; i++)
        cs_timer_free(alarms[i].timer);
}
