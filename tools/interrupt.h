/* interrupt -- SIGINT and SIGTERM of a client subcommand, told to a function that may take locks.
 *
 * One thread waits for them, since only a wait can be interrupted safely.  Who interrupts twice
 * does not want to wait for whoever reads our output: the second one ends the process at once.
 */
#ifndef TOOLS_INTERRUPT_H
#define TOOLS_INTERRUPT_H

#include <pthread.h>
#include <stdatomic.h>

struct interrupt {
    void (*fn)(void *user);    /* once, on the thread that waits */
    void (*hurry)(void *user); /* or NULL: the second one came, and all ends when it returns */
    void *user;
    pthread_t thread;
    atomic_int which;
    atomic_bool over; /* the thread is to end */
};

/* Before there are threads, so that none of them gets the signals. */
void interrupt_block(void);

/* Listen until interrupt_end().  0, or the exit code: `command` has complained. */
int interrupt_listen(struct interrupt *interrupt, const char *command);
void interrupt_end(struct interrupt *interrupt); /* fn() has returned or is not called any more */

/* The signal that came, 0: none; any thread. */
int interrupt_which(struct interrupt *interrupt);

#endif
