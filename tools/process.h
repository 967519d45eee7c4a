/* process -- a shell command as a child of ours: started, told to end, and reaped.
 *
 *     running ── it exits ──────────────▶ reaped ── its group is empty ──▶ freed
 *        │                                  │  else SIGTERM, the grace, SIGKILL
 *        └─ process_end(): SIGTERM, the grace, SIGKILL ──▶ reaped
 *
 * Each is the leader of a process group of its own, and the group is what is ended: what a command
 * leaves behind in it does not outlive the command.  What has left the group (setsid(1)) does.
 * A process is waited for by its pidfd (Linux 5.3), so no handler of SIGCHLD is needed.
 */
#ifndef TOOLS_PROCESS_H
#define TOOLS_PROCESS_H

#include "base/loop.h"

#include <sys/queue.h>

/* Between SIGTERM and SIGKILL. */
enum { PROCESS_GRACE_MS = 2000 };

struct process;
LIST_HEAD(process_list, process); /* those that are not freed yet; {NULL} is empty */

struct process_plan {
    const char *command; /* for /bin/sh -c */
    char *const *env;
    /* Once, from the loop, when it is reaped: `status` as waitpid(2) has it.  The process is not
     * yours any more.  Not after process_forget(). */
    void (*exited)(int status, void *user);
    void *user;
};

/* Our ends of its pipes, non-blocking and closed on exec. */
struct process_pipes {
    int in;     /* write: its standard input */
    int out[2]; /* read: its standard output, its standard error */
};

/* Starts it with default signals and an empty signal mask, in our directory, with three descriptors
 * and no others of ours.  `ret_pipes` are yours to close.  CS_ELIMIT: no more processes or
 * descriptors may be had; CS_ENOMEM; CS_ESYS; errno has the reason; CS_ENOTSUP: a virtual loop. */
cs_err process_new(cs_loop *loop, const struct process_plan *plan, struct process_list *list,
                   struct process_pipes *ret_pipes, struct process **ret);

/* End its group.  Harmless when that is under way. */
void process_end(struct process *p);

/* Do not call exited().  It goes on until it exits, by itself or by process_end(). */
void process_forget(struct process *p);

/* Ends all that are left and waits for them, the grace at most for SIGTERM; the loop does not run
 * meanwhile, and exited() does not come. */
void process_list_end(struct process_list *list);

#endif
