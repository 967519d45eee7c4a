/* Channels: one thread, several threads, memory that runs out.  Select and watchers: chan_select_
 * and chan_watch_test.c. */
#include "base/chan.h"
#include "base/chan__in.h"
#include "base/mem.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static cs_chan *chan_of(int64_t bytes)
{
    cs_chan *chan = NULL;

    cr_assert_eq(cs_chan_new(bytes, &chan), CS_OK);
    return chan;
}

static void expect(cs_chan *chan, const char *text)
{
    cs_ref msg = {0};

    cr_assert_eq(cs_chan_recv(chan, CS_NOW, &msg), CS_OK);
    cr_assert(cs_same(msg.bytes, cs_str(text)), "%.*s is not %s", CS_FMT(msg.bytes), text);
    cs_ref_drop(&msg);
}

static void expect_end(cs_chan *chan, cs_err why)
{
    cs_ref msg = {0};

    cr_assert_eq(cs_chan_recv(chan, CS_FOREVER, &msg), why);
    cr_assert_null(msg.block);
}

static void count_release(void *user)
{
    ++*(int *)user;
}

Test(chan, messages_come_in_the_order_they_were_sent)
{
    cs_chan *chan = chan_of(0);
    char text[16];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            snprintf(text, sizeof(text), "%d", i);
            cr_assert_eq(cs_chan_send(chan, cs_str(text), CS_NOW), CS_OK);
        }
        for (int i = 0; i < 100; i++) {
            snprintf(text, sizeof(text), "%d", i);
            expect(chan, text);
        }
    }
    cs_chan_free(chan);
}

Test(chan, a_full_channel_refuses_and_takes_nothing)
{
    cs_chan *chan = chan_of(6);
    int released = 0;
    cs_ref msg;

    cr_assert_eq(cs_ref_wrap(cs_str("mine"), count_release, &released, &msg), CS_OK);
    cr_assert_eq(cs_chan_send(chan, cs_str("abc"), CS_NOW), CS_OK);
    cr_assert_eq(cs_chan_give(chan, &msg, CS_NOW), CS_AGAIN);
    cr_assert_not_null(msg.block);
    cr_assert_eq(cs_chan_send(chan, cs_str("def"), CS_NOW), CS_OK);
    cr_assert_eq(cs_chan_send(chan, cs_str("g"), CS_NOW), CS_AGAIN);
    expect(chan, "abc");
    cr_assert_eq(cs_chan_give(chan, &msg, CS_NOW), CS_AGAIN);
    expect(chan, "def");
    cr_assert_eq(cs_chan_give(chan, &msg, CS_NOW), CS_OK);
    cr_assert(!msg.block && msg.bytes.len == 0);
    cr_assert_eq(released, 0);
    expect(chan, "mine");
    cr_assert_eq(released, 1);
    cs_chan_free(chan);
}

Test(chan, one_message_always_fits_however_large)
{
    static char large[100000];
    cs_chan *chan = chan_of(1);
    cs_ref msg;

    cr_assert_eq(cs_chan_send(chan, cs_bytes_of(large, sizeof(large)), CS_NOW), CS_OK);
    cr_assert_eq(cs_chan_send(chan, cs_str("x"), CS_NOW), CS_AGAIN);
    cr_assert_eq(cs_chan_recv(chan, CS_NOW, &msg), CS_OK);
    cr_assert_eq(msg.bytes.len, sizeof(large));
    cs_ref_drop(&msg);
    cr_assert_eq(cs_chan_send(chan, cs_str("x"), CS_NOW), CS_OK);
    cs_chan_free(chan);
}

Test(chan, empty_messages_are_messages_and_bounded)
{
    cs_chan *chan = chan_of(100);
    cs_ref none = {0};
    int n = 0;

    while (cs_chan_send(chan, cs_bytes_of(NULL, 0), CS_NOW) == CS_OK)
        cr_assert_lt(++n, 101);
    cr_assert_eq(n, 100);
    expect(chan, "");
    cr_assert_eq(cs_chan_give(chan, &none, CS_NOW), CS_OK);
    for (int i = 0; i < 100; i++)
        expect(chan, "");
    cr_assert_eq(cs_chan_recv(chan, CS_NOW, &none), CS_AGAIN);
    cs_chan_free(chan);
}

Test(chan, without_a_number_it_holds_64_kib_and_a_negative_one_is_misuse)
{
    static char kib[1024];
    cs_chan *chan = chan_of(0), *none = NULL;
    int n = 0;

    while (cs_chan_send(chan, cs_bytes_of(kib, sizeof(kib)), CS_NOW) == CS_OK)
        cr_assert_lt(++n, 65);
    cr_assert_eq(n, 64);
    cr_assert_eq(cs_chan_new(-1, &none), CS_EMISUSE);
    cr_assert_null(none);
    cs_chan_free(chan);
}

Test(chan, a_close_lets_the_last_messages_through)
{
    cs_chan *chan = chan_of(0);

    cr_assert_eq(cs_chan_send(chan, cs_str("last"), CS_NOW), CS_OK);
    cs_chan_close(chan, CS_OK);
    cr_assert_eq(cs_chan_send(chan, cs_str("later"), CS_NOW), CS_EMISUSE);
    cr_assert_eq(cs_chan_send(chan, cs_str("later"), CS_FOREVER), CS_EMISUSE);
    expect(chan, "last");
    expect_end(chan, CS_DONE);
    expect_end(chan, CS_DONE);
    cs_chan_free(chan);
}

Test(chan, the_first_close_counts)
{
    static const struct {
        cs_err why, told;
    } ends[] = {{CS_DONE, CS_DONE},
                {CS_OK, CS_DONE},
                {CS_AGAIN, CS_EMISUSE}, /* no reason to end */
                {CS_EDATALOSS, CS_EDATALOSS},
                {CS_ECANCELED, CS_ECANCELED}};

    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        cs_chan *chan = chan_of(0);
        cs_chan_close(chan, ends[i].why);
        cs_chan_close(chan, CS_EPEER);
        expect_end(chan, ends[i].told);
        cs_chan_free(chan);
    }
}

Test(chan, a_cancel_drops_what_is_queued)
{
    cs_chan *chan = chan_of(0);
    int released = 0;
    cs_ref msg;

    for (int i = 0; i < 3; i++) {
        cr_assert_eq(cs_ref_wrap(cs_str("mine"), count_release, &released, &msg), CS_OK);
        cr_assert_eq(cs_chan_give(chan, &msg, CS_NOW), CS_OK);
    }
    cs_chan_cancel(chan);
    cr_assert_eq(released, 3);
    cr_assert_eq(cs_chan_send(chan, cs_str("x"), CS_FOREVER), CS_ECANCELED);
    expect_end(chan, CS_ECANCELED);
    cs_chan_cancel(chan);
    cs_chan_close(chan, CS_DONE);
    expect_end(chan, CS_ECANCELED);
    cr_assert_eq(cs_chan_send(chan, cs_str("x"), CS_NOW), CS_EMISUSE);
    cs_chan_free(chan);
}

static void close_chan(void *user)
{
    cs_chan_close(user, CS_DONE);
}

Test(chan, a_release_may_call_in)
{
    cs_chan *chan = chan_of(0);
    cs_ref msg;

    cr_assert_eq(cs_ref_wrap(cs_str("x"), close_chan, chan, &msg), CS_OK);
    cr_assert_eq(cs_chan_give(chan, &msg, CS_NOW), CS_OK);
    cs_chan_cancel(chan);
    cr_assert_eq(cs_chan_send(chan, cs_str("x"), CS_NOW), CS_EMISUSE);
    cs_chan_free(chan);
}

Test(chan, the_last_owner_takes_the_messages_along)
{
    cs_chan *chan = chan_of(0);
    int released = 0;
    cs_ref msg;

    cr_assert_eq(cs_ref_wrap(cs_str("mine"), count_release, &released, &msg), CS_OK);
    cr_assert_eq(cs_chan_give(chan, &msg, CS_NOW), CS_OK);
    cr_assert_eq(cs_chan_keep(chan), chan);
    cs_chan_free(chan);
    cr_assert_eq(released, 0);
    cs_chan_free(chan);
    cr_assert_eq(released, 1);
    cs_chan_free(NULL);
}

Test(chan, range_drops_each_message_and_ends_with_the_channel)
{
    cs_chan *chan = chan_of(0);
    int released = 0, n = 0;
    cs_ref msg;

    for (int i = 0; i < 3; i++) {
        cr_assert_eq(cs_ref_wrap(cs_str("mine"), count_release, &released, &msg), CS_OK);
        cr_assert_eq(cs_chan_give(chan, &msg, CS_NOW), CS_OK);
    }
    cs_chan_close(chan, CS_EPEER);
    for (cs_ref m = {0}; cs_chan_range(chan, &m);)
        cr_assert_eq(released, n++);
    cr_assert_eq(n, 3);
    cr_assert_eq(released, 3);
    expect_end(chan, CS_EPEER);
    cs_chan_free(chan);
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

Test(chan, a_wait_that_runs_out_is_again)
{
    cs_chan *chan = chan_of(1);
    int64_t start = now_us();
    cs_ref msg;

    cr_assert_eq(cs_chan_recv(chan, 15, &msg), CS_AGAIN);
    cr_assert_geq(now_us() - start, 15000);
    cr_assert_eq(cs_chan_send(chan, cs_str("x"), 15), CS_OK);
    start = now_us();
    cr_assert_eq(cs_chan_send(chan, cs_str("y"), 15), CS_AGAIN);
    cr_assert_geq(now_us() - start, 15000);
    expect(chan, "x");
    cr_assert_eq(chan->sides[CS__RECV].promised, 0u);
    cr_assert_eq(chan->sides[CS__SEND].promised, 0u);
    cr_assert(cs_list_empty(&chan->sides[CS__SEND].places));
    cs_chan_free(chan);
}

/* ---- Threads ------------------------------------------------------------------------------- */

struct waiting {
    cs_chan *chan;
    const char *text; /* NULL: receives */
    cs_err err;
    cs_ref msg;
    pthread_t thread;
};

static void *wait_for_it(void *user)
{
    struct waiting *w = user;

    w->err = w->text ? cs_chan_send(w->chan, cs_str(w->text), CS_FOREVER)
                     : cs_chan_recv(w->chan, CS_FOREVER, &w->msg);
    return NULL;
}

/* Until `n` threads stand in the queue of that side: no clock is needed to know that they wait. */
static void until_waiting(cs_chan *chan, enum cs__way way, size_t n)
{
    size_t found;

    do {
        sched_yield();
        found = 0;
        pthread_mutex_lock(&chan->lock);
        struct cs_list *places = &chan->sides[way].places;
        for (struct cs_link *at = cs_list_first(places); at; at = cs_list_next(places, at))
            found++;
        pthread_mutex_unlock(&chan->lock);
    } while (found < n);
}

static void start(struct waiting *w, size_t already)
{
    cr_assert_eq(pthread_create(&w->thread, NULL, wait_for_it, w), 0);
    until_waiting(w->chan, w->text ? CS__SEND : CS__RECV, already + 1);
}

Test(chan, a_message_wakes_the_receiver_that_came_first, .timeout = 60)
{
    struct waiting w[3] = {{0}};
    cs_chan *chan = chan_of(0);

    for (size_t i = 0; i < 3; i++) {
        w[i].chan = chan;
        start(&w[i], i);
    }
    cr_assert_eq(cs_chan_send(chan, cs_str("x"), CS_NOW), CS_OK);
    pthread_join(w[0].thread, NULL);
    cr_assert_eq(w[0].err, CS_OK);
    cr_assert(cs_same(w[0].msg.bytes, cs_str("x")));
    cs_ref_drop(&w[0].msg);
    cs_chan_close(chan, CS_EPEER);
    for (size_t i = 1; i < 3; i++) {
        pthread_join(w[i].thread, NULL);
        cr_assert_eq(w[i].err, CS_EPEER);
    }
    cs_chan_free(chan);
}

Test(chan, room_wakes_as_many_senders_as_it_has_room_for, .timeout = 60)
{
    struct waiting w[3] = {{.text = "a"}, {.text = "b"}, {.text = "c"}};
    cs_chan *chan = chan_of(2);

    cr_assert_eq(cs_chan_send(chan, cs_str("xy"), CS_NOW), CS_OK);
    for (size_t i = 0; i < 3; i++) {
        w[i].chan = chan;
        start(&w[i], i);
    }
    expect(chan, "xy");
    pthread_join(w[0].thread, NULL);
    pthread_join(w[1].thread, NULL);
    cr_assert(w[0].err == CS_OK && w[1].err == CS_OK);
    cr_assert_eq(chan->used, 2u);
    until_waiting(chan, CS__SEND, 1);
    cs_chan_cancel(chan);
    pthread_join(w[2].thread, NULL);
    cr_assert_eq(w[2].err, CS_ECANCELED);
    cs_chan_free(chan);
}

Test(chan, a_large_message_does_not_hold_up_a_small_one_behind_it, .timeout = 60)
{
    struct waiting large = {.text = "0123456789"}, small = {.text = "s"};
    cs_chan *chan = large.chan = small.chan = chan_of(10);

    cr_assert_eq(cs_chan_send(chan, cs_str("abcde"), CS_NOW), CS_OK);
    cr_assert_eq(cs_chan_send(chan, cs_str("fghij"), CS_NOW), CS_OK);
    start(&large, 0);
    start(&small, 1);
    expect(chan, "abcde");
    pthread_join(small.thread, NULL);
    cr_assert_eq(small.err, CS_OK);
    expect(chan, "fghij");
    expect(chan, "s");
    pthread_join(large.thread, NULL);
    expect(chan, "0123456789");
    cs_chan_free(chan);
}

Test(chan, a_close_tells_the_senders_that_wait, .timeout = 60)
{
    struct waiting w = {.text = "more"};
    cs_chan *chan = w.chan = chan_of(1);

    cr_assert_eq(cs_chan_send(chan, cs_str("x"), CS_NOW), CS_OK);
    start(&w, 0);
    cs_chan_close(chan, CS_DONE);
    pthread_join(w.thread, NULL);
    cr_assert_eq(w.err, CS_EMISUSE);
    expect(chan, "x");
    expect_end(chan, CS_DONE);
    cs_chan_free(chan);
}

Test(chan, a_cancel_wakes_the_receivers_too, .timeout = 60)
{
    struct waiting w = {0};
    cs_chan *chan = w.chan = chan_of(1);

    start(&w, 0);
    cs_chan_cancel(chan);
    pthread_join(w.thread, NULL);
    cr_assert_eq(w.err, CS_ECANCELED);
    cs_chan_free(chan);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static size_t live, calls, fail_at;

static void *some_alloc(size_t size, void *user)
{
    (void)user;
    if (++calls == fail_at)
        return NULL;
    live++;
    return malloc(size);
}

static void *some_realloc(void *old, size_t size, void *user)
{
    (void)user;
    return ++calls == fail_at ? NULL : realloc(old, size);
}

static void some_free(void *p, void *user)
{
    (void)user;
    live--;
    free(p);
}

/* Sends 20 messages, each again when memory ran out; true: it ran out. */
static bool twenty_messages(void)
{
    cs_chan *chan;
    char text[16];
    bool failed = false;

    if (cs_chan_new(0, &chan) != CS_OK)
        return true;
    for (int i = 0; i < 20; i++) {
        cs_err err;
        snprintf(text, sizeof(text), "%d", i);
        while ((err = cs_chan_send(chan, cs_str(text), CS_FOREVER)) == CS_ENOMEM)
            failed = true;
        cr_assert_eq(err, CS_OK);
    }
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof(text), "%d", i);
        expect(chan, text);
    }
    cs_chan_free(chan);
    return failed;
}

Test(chan, when_memory_runs_out_nothing_is_taken_and_nothing_lost)
{
    struct cs_allocator some = {some_alloc, some_realloc, some_free, NULL};
    bool failed = true;

    cs_set_allocator(&some);
    for (fail_at = 1; failed; fail_at++) {
        calls = 0;
        failed = twenty_messages();
        cr_assert_eq(failed, calls >= fail_at);
        cr_assert_eq(live, 0u);
    }
    cr_assert_geq(fail_at, 22u);
}
