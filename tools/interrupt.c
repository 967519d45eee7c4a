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

/* The signal that came; 0: it is over. */
static int next_signal(const struct interrupt *interrupt)
{
    sigset_t set;
    int which;

    signals(&set);
    return sigwait(&set, &which) == 0 && !atomic_load(&interrupt->over) ? which : 0;
}

static void *listen_to_signals(void *user)
{
    struct interrupt *interrupt = user;
    int which = next_signal(interrupt);

    if (which == 0)
        return NULL;
    atomic_store(&interrupt->which, which);
    interrupt->fn(interrupt->user);
    which = next_signal(interrupt);
    if (which != 0 && interrupt->hurry)
        interrupt->hurry(interrupt->user);
    if (which != 0)
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
    atomic_store(&interrupt->over, true);
    pthread_kill(interrupt->thread, SIGTERM); /* to that thread alone, which waits for it */
    pthread_join(interrupt->thread, NULL);
}

int interrupt_which(struct interrupt *interrupt)
{
    return atomic_load(&interrupt->which);
}
