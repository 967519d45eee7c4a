/* The face of channels for loops, on a virtual loop. */
#include "base/chan.h"
#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static size_t live;
static bool exhausted;

static void *some_alloc(size_t size, void *user)
{
    void *p = exhausted ? NULL : malloc(size);

    (void)user;
    live += p != NULL;
    return p;
}

static void *some_realloc(void *old, size_t size, void *user)
{
    (void)user;
    return exhausted ? NULL : realloc(old, size);
}

static void some_free(void *p, void *user)
{
    (void)user;
    live--;
    free(p);
}

static cs_loop *loop;
static cs_chan *chan;
static int ready_calls;

static void setup(void)
{
    struct cs_allocator some = {some_alloc, some_realloc, some_free, NULL};

    cs_set_allocator(&some);
    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    cr_assert_eq(cs_chan_new(2, &chan), CS_OK);
}

static void teardown(void)
{
    cs_chan_free(chan);
    cs_loop_settle(loop);
    cs_loop_free(loop);
    cr_assert_eq(live, 0u);
}

TestSuite(watch, .init = setup, .fini = teardown);

static void count(void *user)
{
    ++*(int *)user;
}

static int settled(void)
{
    cs_loop_settle(loop);
    return ready_calls;
}

static void watch_recv(void)
{
    cr_assert_eq(cs_chan_watch_recv(chan, loop, count, &ready_calls), CS_OK);
}

static void send_one(void)
{
    cr_assert_eq(cs_chan_send(chan, cs_str("x"), CS_NOW), CS_OK);
}

/* True: there was one. */
static bool recv_one(void)
{
    cs_ref msg;
    cs_err err = cs_chan_recv(chan, CS_NOW, &msg);

    if (err == CS_OK)
        cs_ref_drop(&msg);
    return err == CS_OK;
}

Test(watch, a_message_calls_the_loop_that_was_told_again)
{
    cr_assert_not(recv_one());
    watch_recv();
    cr_assert_eq(settled(), 0);
    send_one();
    cr_assert_eq(ready_calls, 0); /* never inside a call of ours */
    cr_assert_eq(settled(), 1);
}

Test(watch, one_call_for_many_messages_and_none_before_again)
{
    watch_recv();
    send_one();
    send_one();
    cr_assert_eq(settled(), 1);
    cr_assert(recv_one());
    send_one();
    cr_assert_eq(settled(), 1); /* it was not told CS_AGAIN: it knows that there is more */
    cr_assert(recv_one());
    cr_assert(recv_one());
    cr_assert_not(recv_one());
    cr_assert_eq(settled(), 1);
    send_one();
    cr_assert_eq(settled(), 2);
}

Test(watch, there_is_never_more_than_one_call_under_way)
{
    watch_recv();
    for (int i = 0; i < 5; i++) {
        send_one();
        cr_assert(recv_one());
        cr_assert_not(recv_one());
    }
    cr_assert_eq(settled(), 1);
    send_one();
    cr_assert_eq(settled(), 2);
}

Test(watch, a_message_that_came_before_the_watcher_is_told_to_it)
{
    send_one();
    watch_recv();
    cr_assert_eq(settled(), 1);
}

Test(watch, an_end_calls_like_a_message)
{
    watch_recv();
    cs_chan_close(chan, CS_EPEER);
    cr_assert_eq(settled(), 1);
}

Test(watch, a_cancel_calls_both_sides)
{
    int writable = 0;

    send_one();
    send_one();
    cr_assert_eq(cs_chan_send(chan, cs_str("x"), CS_NOW), CS_AGAIN);
    cr_assert_eq(cs_chan_watch_send(chan, loop, count, &writable), CS_OK);
    cr_assert_eq(settled(), 0);
    cr_assert_eq(writable, 0);
    watch_recv();
    cs_chan_cancel(chan);
    cr_assert_eq(settled(), 1);
    cr_assert_eq(writable, 1);
}

Test(watch, room_calls_when_it_is_enough_for_what_was_refused)
{
    send_one();
    send_one();
    cr_assert_eq(cs_chan_send(chan, cs_str("xx"), CS_NOW), CS_AGAIN);
    cr_assert_eq(cs_chan_watch_send(chan, loop, count, &ready_calls), CS_OK);
    cr_assert_eq(settled(), 0);
    cr_assert(recv_one());
    (void)settled();
    ready_calls = 0;
    cr_assert_eq(cs_chan_send(chan, cs_str("xx"), CS_NOW), CS_AGAIN);
    cr_assert_eq(settled(), 0); /* room for one is not room for two */
    cr_assert(recv_one());
    cr_assert_eq(settled(), 1);
    cr_assert_eq(cs_chan_send(chan, cs_str("xx"), CS_NOW), CS_OK);
}

Test(watch, a_watcher_that_was_taken_away_is_not_called)
{
    watch_recv();
    send_one();
    cr_assert_eq(cs_chan_watch_recv(chan, loop, NULL, NULL), CS_OK); /* the call is under way */
    cr_assert_eq(settled(), 0);
    cr_assert_eq(cs_chan_watch_recv(chan, NULL, NULL, NULL), CS_OK);
    send_one();
    cr_assert_eq(settled(), 0);
}

Test(watch, a_new_watcher_takes_the_place_of_the_old)
{
    int second = 0;

    watch_recv();
    send_one();
    cr_assert_eq(cs_chan_watch_recv(chan, loop, count, &second), CS_OK);
    cr_assert_eq(settled(), 0);
    cr_assert_eq(second, 1);
}

Test(watch, a_watcher_needs_a_loop)
{
    cr_assert_eq(cs_chan_watch_recv(chan, NULL, count, &ready_calls), CS_EMISUSE);
}

Test(watch, freeing_the_channel_makes_a_call_under_way_harmless)
{
    int *gone = cs_zalloc(sizeof(*gone)); /* a late call would be found by the sanitizer */

    cr_assert_eq(cs_chan_watch_recv(chan, loop, count, gone), CS_OK);
    cr_assert_eq(cs_chan_watch_send(chan, loop, count, gone), CS_OK);
    send_one();
    cs_chan_free(chan);
    chan = NULL;
    cs_free(gone);
    cr_assert_eq(settled(), 0);
}

static void free_it(void *user)
{
    (void)user;
    ready_calls++;
    cs_chan_free(chan);
    chan = NULL;
}

Test(watch, the_channel_may_be_freed_in_the_call)
{
    cr_assert_eq(cs_chan_watch_recv(chan, loop, free_it, NULL), CS_OK);
    send_one();
    cr_assert_eq(settled(), 1);
    cr_assert_null(chan);
}

static void move_all(void *user)
{
    (void)user;
    while (recv_one())
        ready_calls++;
}

Test(watch, a_reader_on_the_loop_gets_all_of_many)
{
    cr_assert_eq(cs_chan_watch_recv(chan, loop, move_all, NULL), CS_OK);
    for (int i = 0; i < 100; i++) {
        send_one();
        if (i % 3 == 0 || i % 2 == 1)
            cs_loop_settle(loop);
    }
    cr_assert_eq(settled(), 100);
}

Test(watch, without_memory_for_the_watcher_the_old_one_stays)
{
    int second = 0;

    watch_recv();
    exhausted = true;
    cr_assert_eq(cs_chan_watch_recv(chan, loop, count, &second), CS_ENOMEM);
    exhausted = false;
    send_one();
    cr_assert_eq(settled(), 1);
    cr_assert_eq(second, 0);
}

/* The message needs no memory here, so that it is the loop's call alone that gets none. */
static void send_with_no_memory_for_the_call(void)
{
    cs_ref msg;

    send_one();
    cr_assert(recv_one());
    cr_assert_not(recv_one());
    (void)settled();
    ready_calls = 0;
    cr_assert_eq(cs_ref_copy(cs_str("x"), &msg), CS_OK);
    exhausted = true;
    cr_assert_eq(cs_chan_give(chan, &msg, CS_NOW), CS_OK);
    exhausted = false;
    cr_assert_eq(settled(), 0);
}

Test(watch, a_call_that_found_no_memory_is_made_at_the_next_send)
{
    watch_recv();
    send_with_no_memory_for_the_call();
    send_one();
    cr_assert_eq(settled(), 1);
}

Test(watch, a_call_that_found_no_memory_is_made_at_the_next_refusal)
{
    watch_recv();
    send_with_no_memory_for_the_call();
    cr_assert_eq(cs_chan_send(chan, cs_str("xx"), CS_NOW), CS_AGAIN);
    cr_assert_eq(settled(), 1);
}

Test(watch, a_call_that_found_no_memory_is_made_at_the_close)
{
    watch_recv();
    send_with_no_memory_for_the_call();
    cs_chan_close(chan, CS_DONE);
    cr_assert_eq(settled(), 1);
}
