/* Go's select over channels. */
#include "base/chan.h"
#include "base/chan__in.h"
#include "base/mem.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdlib.h>

static cs_chan *chan_of(int64_t bytes)
{
    cs_chan *chan = NULL;

    cr_assert_eq(cs_chan_new(bytes, &chan), CS_OK);
    return chan;
}

static void send_now(cs_chan *chan, const char *text)
{
    cr_assert_eq(cs_chan_send(chan, cs_str(text), CS_NOW), CS_OK);
}

static void until_waiting(cs_chan *chan, enum cs__way way)
{
    bool found;

    do {
        sched_yield();
        pthread_mutex_lock(&chan->lock);
        found = !cs_list_empty(&chan->sides[way].places);
        pthread_mutex_unlock(&chan->lock);
    } while (!found);
}

Test(select, without_a_channel_it_waits_for_the_clock_alone)
{
    struct cs_case cases[2] = {{.chan = NULL}, {.chan = NULL}};

    cr_assert_eq(cs_select(cases, 2, CS_NOW), -1);
    cr_assert_eq(cs_select(cases, 2, 5), -1);
    cr_assert_eq(cs_select(NULL, 0, 5), -1);
}

Test(select, takes_the_one_case_that_can_go)
{
    cs_chan *a = chan_of(1), *b = chan_of(1);
    struct cs_case cases[3] = {{.chan = NULL}, {.chan = a}, {.chan = b}};

    cr_assert_eq(cs_select(cases, 3, CS_NOW), -1);
    send_now(b, "x");
    cr_assert_eq(cs_select(cases, 3, CS_FOREVER), 2);
    cr_assert_eq(cases[2].err, CS_OK);
    cr_assert(cs_same(cases[2].recv.bytes, cs_str("x")));
    cs_ref_drop(&cases[2].recv);
    cs_chan_close(a, CS_EPEER);
    cr_assert_eq(cs_select(cases, 3, CS_FOREVER), 1);
    cr_assert_eq(cases[1].err, CS_EPEER);
    cr_assert_null(cases[1].recv.block);
    cs_chan_free(a);
    cs_chan_free(b);
}

Test(select, a_send_is_taken_only_when_it_went)
{
    cs_chan *chan = chan_of(1);
    struct cs_case one = {.chan = chan};

    cr_assert_eq(cs_ref_copy(cs_bytes_of(NULL, 0), &one.send), CS_OK);
    cr_assert_eq(cs_select(&one, 1, CS_NOW), 0);
    cr_assert_eq(one.err, CS_OK);
    cr_assert_null(one.send.block);
    cr_assert_eq(cs_ref_copy(cs_str("x"), &one.send), CS_OK);
    cr_assert_eq(cs_select(&one, 1, CS_NOW), -1);
    cr_assert_eq(cs_select(&one, 1, 5), -1);
    cr_assert_not_null(one.send.block);
    cs_chan_cancel(chan);
    cr_assert_eq(cs_select(&one, 1, CS_FOREVER), 0);
    cr_assert_eq(one.err, CS_ECANCELED);
    cr_assert_not_null(one.send.block);
    cs_ref_drop(&one.send);
    cs_chan_free(chan);
}

/* With fair dice a case among three is below 220 of 900 rounds once in 10^9 runs. */
Test(select, chooses_at_random_among_those_that_can)
{
    cs_chan *chans[4];
    struct cs_case cases[4];
    int count[4] = {0};

    for (int i = 0; i < 4; i++) {
        chans[i] = chan_of(1);
        cases[i] = (struct cs_case){.chan = chans[i]};
        if (i != 2)
            send_now(chans[i], "x");
    }
    for (int i = 0; i < 900; i++) {
        int k = cs_select(cases, 4, CS_FOREVER);
        cr_assert(k >= 0 && k != 2);
        count[k]++;
        cs_ref_drop(&cases[k].recv);
        send_now(chans[k], "x");
    }
    for (int i = 0; i < 4; i++) {
        cr_assert(i == 2 || count[i] > 220, "case %d: %d times", i, count[i]);
        cs_chan_free(chans[i]);
    }
}

struct selecting {
    struct cs_case cases[2];
    int went;
    pthread_t thread;
};

static void *select_both(void *user)
{
    struct selecting *s = user;

    s->went = cs_select(s->cases, 2, CS_FOREVER);
    return NULL;
}

static void start(struct selecting *s)
{
    cr_assert_eq(pthread_create(&s->thread, NULL, select_both, s), 0);
    until_waiting(s->cases[0].chan, s->cases[0].send.block ? CS__SEND : CS__RECV);
    until_waiting(s->cases[1].chan, s->cases[1].send.block ? CS__SEND : CS__RECV);
}

Test(select, is_woken_by_any_of_its_channels, .timeout = 60)
{
    for (int i = 0; i < 2; i++) {
        struct selecting s = {.cases = {{.chan = chan_of(1)}, {.chan = chan_of(1)}}};
        start(&s);
        send_now(s.cases[i].chan, "x");
        pthread_join(s.thread, NULL);
        cr_assert_eq(s.went, i);
        cr_assert_eq(s.cases[i].err, CS_OK);
        cs_ref_drop(&s.cases[i].recv);
        for (int k = 0; k < 2; k++) {
            cr_assert(cs_list_empty(&s.cases[k].chan->sides[CS__RECV].places));
            cr_assert_eq(s.cases[k].chan->sides[CS__RECV].promised, 0u);
            cs_chan_free(s.cases[k].chan);
        }
    }
}

Test(select, sends_and_receives_in_one_statement, .timeout = 60)
{
    struct selecting s = {.cases = {{.chan = chan_of(1)}, {.chan = chan_of(1)}}};
    cs_ref msg;

    send_now(s.cases[0].chan, "x");
    cr_assert_eq(cs_ref_copy(cs_str("y"), &s.cases[0].send), CS_OK);
    start(&s);
    cr_assert_eq(cs_chan_recv(s.cases[0].chan, CS_NOW, &msg), CS_OK);
    cs_ref_drop(&msg);
    pthread_join(s.thread, NULL);
    cr_assert_eq(s.went, 0);
    cr_assert_null(s.cases[0].send.block);
    cr_assert_eq(cs_chan_recv(s.cases[0].chan, CS_NOW, &msg), CS_OK);
    cr_assert(cs_same(msg.bytes, cs_str("y")));
    cs_ref_drop(&msg);
    cs_chan_free(s.cases[0].chan);
    cs_chan_free(s.cases[1].chan);
}

static void *recv_one(void *user)
{
    cs_ref msg;

    if (cs_chan_recv(user, CS_FOREVER, &msg) == CS_OK)
        cs_ref_drop(&msg);
    return NULL;
}

/* The selecting thread is called by both channels and takes one message.  The receiver that
 * stands behind it must not sleep beside the other. */
Test(select, hands_on_the_call_that_it_did_not_need, .timeout = 60)
{
    for (int i = 0; i < 200; i++) {
        cs_chan *a = chan_of(1), *b = chan_of(1);
        struct selecting s = {.cases = {{.chan = a}, {.chan = b}}};
        cs_ref msg;
        pthread_t behind;

        start(&s);
        cr_assert_eq(pthread_create(&behind, NULL, recv_one, a), 0);
        send_now(b, "x");
        send_now(a, "y");
        pthread_join(s.thread, NULL);
        if (s.went == 0) /* it was not b's: now the receiver waits for one */
            send_now(a, "z");
        pthread_join(behind, NULL);
        cs_ref_drop(&s.cases[s.went].recv);
        if (s.went == 0) {
            cr_assert_eq(cs_chan_recv(b, CS_NOW, &msg), CS_OK);
            cs_ref_drop(&msg);
        }
        cr_assert_eq(a->queue.len + b->queue.len, 0u);
        cs_chan_free(a);
        cs_chan_free(b);
    }
}

static void *no_memory(size_t size, void *user)
{
    (void)size;
    (void)user;
    return NULL;
}

static void *no_more_memory(void *old, size_t size, void *user)
{
    (void)old;
    (void)size;
    (void)user;
    return NULL;
}

static void just_free(void *p, void *user)
{
    (void)user;
    free(p);
}

Test(select, with_many_cases_it_needs_memory_and_says_when_there_is_none)
{
    struct cs_allocator none = {no_memory, no_more_memory, just_free, NULL};
    struct cs_case cases[40] = {{0}};
    cs_chan *chan = chan_of(1);

    send_now(chan, "x");
    cases[33].chan = chan;
    cs_set_allocator(&none);
    cr_assert_eq(cs_select(cases, 40, CS_FOREVER), 0);
    cr_assert_eq(cases[0].err, CS_ENOMEM);
    cs_set_allocator(NULL);
    cr_assert_eq(cs_select(cases, 40, CS_FOREVER), 33);
    cr_assert_eq(cases[33].err, CS_OK);
    cs_ref_drop(&cases[33].recv);
    cs_chan_free(chan);
}
