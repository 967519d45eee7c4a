/* signals -- SIGTERM and SIGINT stop the loops of the servers that asked for it, and run() then
 * sees what is to be done.
 *
 * A handler and not a signalfd: threads that were there before run() would have to block the
 * signals too, or die of them.  The table is a few servers long, because that is what run in one
 * process at the same time. */
#include "chanserv/server__in.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

enum { LOOPS = 16 };

static _Atomic(cs_loop *) loops[LOOPS];
static atomic_bool came[LOOPS];
static const int signals[] = {SIGTERM, SIGINT};

/* Guards the count and what was there before, between threads that run servers. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int users;
static struct sigaction before[sizeof signals / sizeof *signals];

static void stop_all(int number)
{
    (void)number;
    for (int i = 0; i < LOOPS; i++) {
        cs_loop *loop = atomic_load(&loops[i]);

        if (loop) {
            atomic_store(&came[i], true);
            cs_loop_stop(loop);
        }
    }
}

cs_err chanserv__signals_on(cs_loop *loop)
{
    struct sigaction action = {.sa_handler = stop_all, .sa_flags = SA_RESTART};
    cs_err err = CS_ELIMIT;

    sigemptyset(&action.sa_mask);
    pthread_mutex_lock(&lock);
    for (int i = 0; i < LOOPS && err != CS_OK; i++) {
        if (!atomic_load(&loops[i])) {
            atomic_store(&came[i], false);
            atomic_store(&loops[i], loop);
            err = CS_OK;
        }
    }
    if (err == CS_OK && users++ == 0) {
        for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
            (void)sigaction(signals[i], &action, &before[i]);
    }
    pthread_mutex_unlock(&lock);
    return err;
}

bool chanserv__signals_came(cs_loop *loop)
{
    for (int i = 0; i < LOOPS; i++)
        if (atomic_load(&loops[i]) == loop)
            return atomic_exchange(&came[i], false);
    return false;
}

void chanserv__signals_off(cs_loop *loop)
{
    pthread_mutex_lock(&lock);
    if (--users == 0) {
        for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
            (void)sigaction(signals[i], &before[i], NULL);
    }
    for (int i = 0; i < LOOPS; i++) {
        if (atomic_load(&loops[i]) == loop) {
            atomic_store(&loops[i], NULL);
            break;
        }
    }
    pthread_mutex_unlock(&lock);
}
