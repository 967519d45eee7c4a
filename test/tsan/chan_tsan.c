/* chan_tsan -- cs_chan under ThreadSanitizer: many threads, one small channel, select, ends in the
 * middle.  Prints one line and exits 0. */
#include "base/chan.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(x) ((x) ? (void)0 : fail(__LINE__, #x))

enum { SENDERS = 4, RECEIVERS = 4, MESSAGES = 100000, ROUNDS = 300 };

static void fail(int line, const char *what)
{
    fprintf(stderr, "chan_tsan.c:%d: %s is not so\n", line, what);
    exit(1);
}

static pthread_t start(void *(*fn)(void *user), void *user)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, fn, user) == 0);
    return thread;
}

static cs_chan *chan_of(int64_t bytes)
{
    cs_chan *chan = NULL;

    CHECK(cs_chan_new(bytes, &chan) == CS_OK);
    return chan;
}

/* A message is who sent it and which of his it is: each receiver must see them rise. */
struct message {
    uint32_t sender, number;
};

/* ---- One channel, everybody ---------------------------------------------------------------- */

static cs_chan *shared;
static atomic_uint received;
static atomic_ullong sum;

static void *send_many(void *user)
{
    uint32_t sender = (uint32_t)(uintptr_t)user;

    for (uint32_t i = 0; i < MESSAGES / SENDERS; i++) {
        struct message m = {sender, i};
        CHECK(cs_chan_send(shared, cs_bytes_of(&m, sizeof(m)), CS_FOREVER) == CS_OK);
    }
    return NULL;
}

static void *recv_many(void *user)
{
    int64_t last[SENDERS] = {-1, -1, -1, -1};

    (void)user;
    for (cs_ref msg = {0}; cs_chan_range(shared, &msg);) {
        struct message m;
        CHECK(msg.bytes.len == sizeof(m));
        memcpy(&m, msg.bytes.base, sizeof(m));
        CHECK(m.sender < SENDERS && last[m.sender] < m.number);
        last[m.sender] = m.number;
        atomic_fetch_add(&received, 1);
        atomic_fetch_add(&sum, m.number);
    }
    return NULL;
}

static void everybody_on_one_channel(void)
{
    pthread_t senders[SENDERS], receivers[RECEIVERS];
    uint64_t each = MESSAGES / SENDERS;

    shared = chan_of(40);
    for (int i = 0; i < RECEIVERS; i++)
        receivers[i] = start(recv_many, NULL);
    for (int i = 0; i < SENDERS; i++)
        senders[i] = start(send_many, (void *)(uintptr_t)i);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i], NULL);
    cs_chan_close(shared, CS_DONE);
    for (int i = 0; i < RECEIVERS; i++)
        pthread_join(receivers[i], NULL);
    CHECK(atomic_load(&received) == MESSAGES);
    CHECK(atomic_load(&sum) == SENDERS * (each * (each - 1) / 2));
    cs_chan_free(shared);
}

/* ---- Select beside plain receivers --------------------------------------------------------- */

static cs_chan *left, *right;
static atomic_uint taken, given;

/* Offers one message to both sides at once, until he has given his share. */
static void *offer(void *user)
{
    struct cs_case cases[2] = {{.chan = left}, {.chan = right}};

    (void)user;
    for (int i = 0; i < 4000; i++) {
        int went;
        CHECK(cs_ref_copy(cs_str("either"), &cases[0].send) == CS_OK);
        cases[1].send = cs_ref_dup(cases[0].send);
        went = cs_select(cases, 2, CS_FOREVER);
        CHECK(went >= 0 && cases[went].err == CS_OK && !cases[went].send.block);
        cs_ref_drop(&cases[1 - went].send);
        atomic_fetch_add(&given, 1);
    }
    return NULL;
}

static void *take_either(void *user)
{
    struct cs_case cases[2] = {{.chan = left}, {.chan = right}};

    (void)user;
    while (cases[0].chan || cases[1].chan) {
        int went = cs_select(cases, 2, CS_FOREVER);
        CHECK(went >= 0);
        if (cases[went].err == CS_OK)
            atomic_fetch_add(&taken, 1);
        else
            cases[went].chan = NULL; /* as in Go: it is never ready again */
        cs_ref_drop(&cases[went].recv);
    }
    return NULL;
}

static void *take_left(void *user)
{
    (void)user;
    for (cs_ref msg = {0}; cs_chan_range(left, &msg);)
        atomic_fetch_add(&taken, 1);
    return NULL;
}

static void *take_right_in_no_time(void *user)
{
    cs_err err;
    cs_ref msg;

    (void)user;
    while ((err = cs_chan_recv(right, 1, &msg)) != CS_DONE)
        if (err == CS_OK) {
            cs_ref_drop(&msg);
            atomic_fetch_add(&taken, 1);
        }
    return NULL;
}

static void select_loses_nothing(void)
{
    pthread_t offering[3], taking[4];

    left = chan_of(6);
    right = chan_of(12);
    for (int i = 0; i < 3; i++)
        offering[i] = start(offer, NULL);
    taking[0] = start(take_either, NULL);
    taking[1] = start(take_either, NULL);
    taking[2] = start(take_left, NULL);
    taking[3] = start(take_right_in_no_time, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(offering[i], NULL);
    cs_chan_close(left, CS_DONE);
    cs_chan_close(right, CS_DONE);
    for (int i = 0; i < 4; i++)
        pthread_join(taking[i], NULL);
    CHECK(atomic_load(&given) == 12000 && atomic_load(&taken) == 12000);
    cs_chan_free(left);
    cs_chan_free(right);
}

/* ---- Ends in the middle -------------------------------------------------------------------- */

static void *send_to_the_end(void *user)
{
    cs_err err;

    while ((err = cs_chan_send(user, cs_str("more"), CS_FOREVER)) == CS_OK)
        ;
    CHECK(err == CS_EMISUSE || err == CS_ECANCELED);
    cs_chan_free(user);
    return NULL;
}

static void *recv_to_the_end(void *user)
{
    for (cs_ref msg = {0}; cs_chan_range(user, &msg);)
        ;
    cs_chan_free(user);
    return NULL;
}

static void *select_to_the_end(void *user)
{
    struct cs_case cases[2] = {{.chan = user}, {.chan = user}};
    int went;

    CHECK(cs_ref_copy(cs_str("more"), &cases[1].send) == CS_OK);
    while ((went = cs_select(cases, 2, CS_FOREVER)) >= 0 && cases[went].err == CS_OK) {
        cs_ref_drop(&cases[0].recv);
        if (!cases[1].send.block)
            CHECK(cs_ref_copy(cs_str("more"), &cases[1].send) == CS_OK);
    }
    cs_ref_drop(&cases[1].send);
    cs_chan_free(user);
    return NULL;
}

static void *close_it(void *user)
{
    cs_chan_close(user, CS_EPEER);
    cs_chan_free(user);
    return NULL;
}

static void *cancel_it(void *user)
{
    cs_chan_cancel(user);
    cs_chan_free(user);
    return NULL;
}

/* Each thread has a count of its own and frees it as soon as it knows of the end. */
static void ends_in_the_middle(void)
{
    static void *(*const all[])(void *) = {send_to_the_end, send_to_the_end,   recv_to_the_end,
                                           recv_to_the_end, select_to_the_end, close_it,
                                           cancel_it};
    enum { ALL = sizeof(all) / sizeof(*all) };

    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[ALL];
        cs_chan *chan = chan_of(8);
        /* Close alone and cancel alone as well as both: round by round. */
        int n = round % 3 == 0 ? ALL : ALL - 1;
        for (int i = 0; i < n; i++) {
            bool cancel = i == ALL - 2 && round % 3 == 1;
            threads[i] = start(cancel ? cancel_it : all[i], cs_chan_keep(chan));
        }
        cs_chan_free(chan);
        for (int i = 0; i < n; i++)
            pthread_join(threads[i], NULL);
    }
}

/* ---- A loop at one end --------------------------------------------------------------------- */

static cs_loop *loop;
static cs_chan *to_loop, *from_loop;
static unsigned relayed;
static bool relay_ended;
static cs_ref held; /* what from_loop had no room for */

/* Moves what it can, as a producer on the loop would; it is called for each side. */
static void relay(void *user)
{
    cs_err err = CS_OK;

    (void)user;
    while (err == CS_OK) {
        err = held.block ? CS_OK : cs_chan_recv(to_loop, CS_NOW, &held);
        if (err == CS_OK && (err = cs_chan_give(from_loop, &held, CS_NOW)) == CS_OK)
            relayed++;
    }
    if (err == CS_AGAIN)
        return;
    CHECK(err == CS_DONE);
    cs_chan_close(from_loop, CS_DONE);
    CHECK(cs_chan_watch_recv(to_loop, NULL, NULL, NULL) == CS_OK);
    CHECK(cs_chan_watch_send(from_loop, NULL, NULL, NULL) == CS_OK);
    relay_ended = true;
    cs_loop_stop(loop);
}

static void *feed_loop(void *user)
{
    (void)user;
    for (int i = 0; i < 10000; i++)
        CHECK(cs_chan_send(to_loop, cs_str("through"), CS_FOREVER) == CS_OK);
    cs_chan_close(to_loop, CS_DONE);
    return NULL;
}

static void *drain_loop(void *user)
{
    unsigned n = 0;

    (void)user;
    for (cs_ref msg = {0}; cs_chan_range(from_loop, &msg);)
        n++;
    CHECK(n == 10000);
    return NULL;
}

static void a_loop_relays(void)
{
    pthread_t feeding, draining;

    CHECK(cs_loop_new(NULL, &loop) == CS_OK);
    to_loop = chan_of(70);
    from_loop = chan_of(35);
    CHECK(cs_chan_watch_recv(to_loop, loop, relay, NULL) == CS_OK);
    CHECK(cs_chan_watch_send(from_loop, loop, relay, NULL) == CS_OK);
    feeding = start(feed_loop, NULL);
    draining = start(drain_loop, NULL);
    while (!relay_ended)
        CHECK(!cs_failed(cs_loop_run(loop)));
    CHECK(relayed == 10000 && !held.block);
    pthread_join(feeding, NULL);
    pthread_join(draining, NULL);
    cs_chan_free(to_loop);
    cs_chan_free(from_loop);
    cs_loop_free(loop);
}

int main(void)
{
    everybody_on_one_channel();
    select_loses_nothing();
    ends_in_the_middle();
    a_loop_relays();
    printf("chan_tsan: %d messages through one channel, 12000 by select, %d ends, 10000 relayed\n",
           MESSAGES, ROUNDS);
    return 0;
}
