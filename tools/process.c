/* process -- see process.h.
 *
 * Whether a group still has somebody can only be asked when its leader is reaped: until then the
 * zombie is a member.  From there on the group's number is held by the members that were found; it
 * could be another's only if they all left and the kernel came round to the same number within the
 * grace. */
#include "tools/process.h"
#include "tools/loop_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* From SIGKILL to looking whether there are dead to bury. */
enum { BURIAL_MS = 100 };

struct process {
    pid_t pid; /* also its group */
    int pidfd;
    bool ending, killed, reaped;
    struct tool_watch *watch; /* of the pidfd */
    cs_timer *grace;
    void (*exited)(int status, void *user); /* NULL: forgotten */
    void *user;
    LIST_ENTRY(process) link;
};

static void process_free(struct process *p)
{
    LIST_REMOVE(p, link);
    tool_watch_free(p->watch);
    if (p->pidfd >= 0)
        close(p->pidfd);
    if (p->grace)
        cs_timer_free(p->grace);
    free(p);
}

/* ---- Its end -------------------------------------------------------------------------------- */

/* Of one that is reaped.  The first process of a container is whom orphans come to: then it is ours
 * to bury them, and otherwise init's. */
static bool group_lives(const struct process *p)
{
    while (waitpid(-p->pid, NULL, WNOHANG) > 0)
        continue;
    return kill(-p->pid, 0) == 0;
}

/* What is stopped would not take the signal. */
static void terminate(struct process *p)
{
    p->ending = true;
    (void)kill(-p->pid, SIGTERM);
    (void)kill(-p->pid, SIGCONT);
}

void process_end(struct process *p)
{
    if (p->ending)
        return;
    terminate(p);
    cs_timer_set(p->grace, PROCESS_GRACE_MS);
}

static void grace_is_over(void *user)
{
    struct process *p = user;

    (void)kill(-p->pid, SIGKILL);
    if (!p->reaped) /* on_exit_of() comes */
        return;
    if (p->killed || !group_lives(p)) {
        process_free(p);
        return;
    }
    p->killed = true;
    cs_timer_set(p->grace, BURIAL_MS);
}

void process_forget(struct process *p)
{
    p->exited = NULL;
}

static bool reap(struct process *p, int *ret_status)
{
    pid_t pid;

    do
        pid = waitpid(p->pid, ret_status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    p->reaped = pid == p->pid;
    return p->reaped;
}

static void on_exit_of(void *user)
{
    struct process *p = user;
    int status;

    if (!reap(p, &status))
        return;
    tool_watch_free(p->watch);
    p->watch = NULL;
    close(p->pidfd);
    p->pidfd = -1;
    if (p->exited)
        p->exited(status, p->user);
    p->exited = NULL;
    if (group_lives(p))
        process_end(p);
    else
        process_free(p);
}

/* ---- All of them, with nobody running the loop ---------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wait_for(struct process *p, int64_t until)
{
    struct pollfd on = {.fd = p->pidfd, .events = POLLIN};
    int64_t left = until - now_ms();
    int status;

    if (!p->reaped && (poll(&on, 1, left > 0 ? (int)left : 0) >= 0 || errno == EINTR))
        (void)reap(p, &status);
}

/* Of the members of a group that are not our children nobody tells when they are gone. */
static void wait_for_group(struct process *p, int64_t until)
{
    const struct timespec tick = {.tv_nsec = 10000000};

    while (p->reaped && group_lives(p) && now_ms() < until)
        nanosleep(&tick, NULL);
}

void process_list_end(struct process_list *list)
{
    int64_t until = now_ms() + PROCESS_GRACE_MS;
    struct process *p;

    LIST_FOREACH(p, list, link)
    terminate(p);
    LIST_FOREACH(p, list, link)
    wait_for(p, until);
    LIST_FOREACH(p, list, link)
    wait_for_group(p, until);
    LIST_FOREACH(p, list, link)
    {
        if (!p->reaped || group_lives(p))
            (void)kill(-p->pid, SIGKILL);
    }
    until = now_ms() + PROCESS_GRACE_MS; /* one that the kernel holds is left to init */
    while ((p = LIST_FIRST(list)) != NULL) {
        wait_for(p, until);
        wait_for_group(p, until);
        process_free(p);
    }
}

/* ---- Its start ------------------------------------------------------------------------------ */

static cs_err err_of(int error)
{
    switch (error) {
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case E2BIG:
        return CS_ELIMIT;
    case ENOMEM:
        return CS_ENOMEM;
    default:
        return CS_ESYS;
    }
}

/* Of pipe i ends[2 * i] is for reading; ours does not block. */
static int open_pipes(int ends[6])
{
    for (size_t i = 0; i < 3; i++) {
        if (pipe2(&ends[2 * i], O_CLOEXEC) != 0 ||
            fcntl(ends[i == 0 ? 1 : 2 * i], F_SETFL, O_NONBLOCK) != 0)
            return errno;
    }
    return 0;
}

/* An errno, as the calls of posix_spawn(3) answer. */
static int set_attributes(posix_spawnattr_t *attr)
{
    sigset_t all, none;
    int error;

    sigfillset(&all);
    sigemptyset(&none);
    error = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                               POSIX_SPAWN_SETSIGMASK);
    if (!error)
        error = posix_spawnattr_setpgroup(attr, 0);
    if (!error)
        error = posix_spawnattr_setsigdefault(attr, &all);
    return error ? error : posix_spawnattr_setsigmask(attr, &none);
}

static int spawn(const struct process_plan *plan, const int ends[6], pid_t *ret)
{
    char *const argv[] = {"sh", "-c", (char *)plan->command, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    int error = posix_spawnattr_init(&attr);

    if (error)
        return error;
    error = posix_spawn_file_actions_init(&files);
    if (!error) {
        error = posix_spawn_file_actions_adddup2(&files, ends[0], 0);
        if (!error)
            error = posix_spawn_file_actions_adddup2(&files, ends[3], 1);
        if (!error)
            error = posix_spawn_file_actions_adddup2(&files, ends[5], 2);
        if (!error)
            error = set_attributes(&attr);
        if (!error)
            error = posix_spawn(ret, "/bin/sh", &files, &attr, argv, plan->env);
        posix_spawn_file_actions_destroy(&files);
    }
    posix_spawnattr_destroy(&attr);
    return error;
}

static void kill_now(pid_t pid)
{
    (void)kill(-pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* It runs: be told when it does not.  glibc has a name for the call only since 2.36. */
static cs_err watch_exit(cs_loop *loop, struct process *p)
{
    cs_err err;

    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (p->pidfd < 0)
        return err_of(errno);
    err = tool_watch_new(loop, p->pidfd, on_exit_of, p, &p->watch);
    if (err == CS_ENOMEM)
        errno = ENOMEM;
    return err;
}

static cs_err start(cs_loop *loop, struct process *p, const struct process_plan *plan, int ends[6])
{
    cs_err err;
    int error = open_pipes(ends);

    if (!error)
        error = spawn(plan, ends, &p->pid);
    if (error) {
        errno = error;
        return err_of(error);
    }
    err = watch_exit(loop, p);
    if (err != CS_OK) {
        error = errno;
        kill_now(p->pid);
        errno = error;
    }
    return err;
}

cs_err process_new(cs_loop *loop, const struct process_plan *plan, struct process_list *list,
                   struct process_pipes *ret_pipes, struct process **ret)
{
    int ends[6] = {-1, -1, -1, -1, -1, -1}, error;
    struct process *p = calloc(1, sizeof *p);
    cs_err err;

    if (!p)
        return CS_ENOMEM;
    p->pidfd = -1;
    p->exited = plan->exited;
    p->user = plan->user;
    LIST_INSERT_HEAD(list, p, link);
    errno = ENOMEM;
    err = cs_timer_new(loop, grace_is_over, p, &p->grace);
    if (err == CS_OK)
        err = start(loop, p, plan, ends);
    error = errno;
    if (err == CS_OK) {
        *ret_pipes = (struct process_pipes){.in = ends[1], .out = {ends[2], ends[4]}};
        ends[1] = ends[2] = ends[4] = -1;
        *ret = p;
    } else {
        process_free(p);
    }
    for (size_t i = 0; i < 6; i++) {
        if (ends[i] >= 0)
            close(ends[i]);
    }
    errno = error;
    return err;
}
