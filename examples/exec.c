/* exec -- a process for each post, its output a source: from the reader's window to the pipe.  A
 * slow reader fills the pipe, and the kernel stops the process; when the client leaves, its whole
 * group is killed; how it exits is how the post ends.
 *
 *     exec COMMAND [ADDR]        then: chanserv post ADDR exec
 */
#include <chanserv/chanserv.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct pipe_end { /* of an outlet */
    int fd;
    struct event *readable; /* once it is open */
    char *buf;
};
struct proc {  /* of a post */
    pid_t pid; /* and its group's; 0: none (any more) */
    int pidfd;
    struct event *exited;
};
enum { BUF = 16384 };

/* ---- Its output ------------------------------------------------------------------------------ */

static void on_readable(int fd, short what, void *outlet)
{
    (void)fd, (void)what;
    chanserv_outlet_wake(outlet);
}

static cs_err pipe_open(chanserv_outlet *out, uint64_t from, void *state)
{
    struct event_base *base = cs_loop_base(chanserv_post_loop(chanserv_outlet_post(out)));
    struct pipe_end *e = state;
    if (from > 0)
        return CS_ERANGE;
    e->buf = malloc(BUF);
    e->readable = event_new(base, e->fd, EV_READ, on_readable, out);
    return e->buf && e->readable ? CS_OK : CS_ENOMEM;
}

/* Read only when there is room. */
static cs_err pipe_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    struct pipe_end *e = state;
    ssize_t n = read(e->fd, e->buf, BUF);
    if (n > 0) {
        *frame = cs_bytes_of(e->buf, (size_t)n);
        return CS_OK;
    }
    if (n == 0)
        return CS_DONE;
    if (errno != EAGAIN && errno != EINTR)
        return chanserv_outlet_fail(out, CS_ESYS, "read: %s", strerror(errno));
    return event_add(e->readable, NULL) == 0 ? CS_AGAIN : CS_ENOMEM;
}

static void pipe_end(chanserv_outlet *out, cs_err why, void *state)
{
    struct pipe_end *e = state;
    (void)out, (void)why;
    if (e->readable)
        event_free(e->readable);
    free(e->buf);
    close(e->fd); /* a process that goes on writing gets SIGPIPE */
}

static const struct chanserv_outlet_ops pipe_ops = {
    .state_bytes = sizeof(struct pipe_end), .open = pipe_open, .next = pipe_next, .end = pipe_end};

/* ---- The process ----------------------------------------------------------------------------- */

static void on_exit_of(int fd, short what, void *post)
{
    struct proc *p = chanserv_post_state(post);
    int status = 0;
    (void)fd, (void)what;
    waitpid(p->pid, &status, 0);
    p->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        chanserv_post_finish(post, CS_DONE);
    else
        chanserv_post_finish(
            post, chanserv_post_fail(post, CS_EABORTED, "%s %d",
                                     WIFEXITED(status) ? "exit status" : "signal",
                                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status)));
}

static void proc_closed(chanserv_post *post, cs_err why, void *state)
{
    struct proc *p = state;
    (void)post, (void)why;
    if (p->exited)
        event_free(p->exited);
    if (p->pid > 0) { /* the client left */
        kill(-p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
    }
    if (p->pidfd >= 0)
        close(p->pidfd);
}

static const struct chanserv_post_ops proc_ops = {.state_bytes = sizeof(struct proc),
                                                  .closed = proc_closed};

/* In a group of its own, with `out` as its output. */
static int start(const char *command, int out, pid_t *pid)
{
    char *argv[] = {"sh", "-c", (char *)(uintptr_t)command, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
    int failed = posix_spawn(pid, "/bin/sh", &files, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    if (failed)
        *pid = 0;
    return failed;
}

static cs_err exec(chanserv_post *post, cs_bytes body, void *command)
{
    struct proc *p, none = {.pidfd = -1};
    int fds[2];
    cs_err err = chanserv_post_keep(post, &proc_ops, &none);
    (void)body;
    if (err != CS_OK)
        return err;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return chanserv_post_fail(post, CS_ESYS, "pipe: %s", strerror(errno));
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    err = chanserv_announce(post, cs_str("stdout"), &pipe_ops,
                            &(struct pipe_end){fds[0], NULL, NULL}, NULL);
    p = chanserv_post_state(post);
    if (err != CS_OK)
        close(fds[0]);
    else if ((errno = start(command, fds[1], &p->pid)) != 0 ||
             (p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0)) < 0 ||
             !(p->exited = event_new(cs_loop_base(chanserv_post_loop(post)), p->pidfd, EV_READ,
                                     on_exit_of, post)) ||
             event_add(p->exited, NULL) != 0)
        err = chanserv_post_fail(post, CS_ESYS, "start: %s", strerror(errno));
    close(fds[1]);
    return err == CS_OK ? CS_AGAIN : err; /* on_exit_of() finishes it */
}

int main(int argc, char **argv)
{
    const struct chanserv_server_options options = {.signals = true};
    chanserv_server *server;
    if (argc < 2 || chanserv_server_new(NULL, &options, &server) != CS_OK)
        return 1;
    chanserv_serve(server, "exec", exec, argv[1]);
    if (chanserv_listen(server, argc > 2 ? argv[2] : "localhost:5555") == CS_OK)
        printf("listening %s\n", chanserv_server_addr(server, 0));
    fflush(stdout);
    cs_err err = chanserv_server_run(server);
    if (cs_failed(err))
        fprintf(stderr, "%s\n", chanserv_server_errmsg(server));
    chanserv_server_free(server);
    return cs_failed(err);
}
