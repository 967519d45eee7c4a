/* interrupt -- see interrupt.h. */
#include "tools/interrupt.h"
#include "tools/tool.h"

#include <signal.h>
#include <unistd.h>

static void signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
}

void interrupt_block(void)
{
    sigset_t set;

    signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void *listen_to_signals(void *user)
{
    struct interrupt *interrupt = user;
    sigset_t set;
    int which, before;

    signals(&set);
    if (sigwait(&set, &which) != 0)
        return NULL;
    atomic_store(&interrupt->which, which);
    /* Cancelled in a write() in there it would leave the client locked. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    interrupt->fn(interrupt->user);
    pthread_setcancelstate(before, NULL);
    if (sigwait(&set, &which) == 0)
        _exit(TOOL_SIGNAL + which);
    return NULL;
}

int interrupt_listen(struct interrupt *interrupt, const char *command)
{
    if (pthread_create(&interrupt->thread, NULL, listen_to_signals, interrupt) == 0)
        return 0;
    tool_complain(command, "no thread for signals");
    return tool_exit_of(CS_ESYS);
}

void interrupt_end(struct interrupt *interrupt)
{
    pthread_cancel(interrupt->thread);
    pthread_join(interrupt->thread, NULL);
}

int interrupt_which(struct interrupt *interrupt)
{
    return atomic_load(&interrupt->which);
}
