/* kind_exec -- `exec:COMMAND` and `exec-uplink:COMMAND`: each post is a process of its own.
 *
 * Nothing of what comes from the network is part of the command: it is on standard input, and what
 * was asked by whom is in the environment. */
#include "tools/exec.h"
#include "tools/environment.h"
#include "tools/kind.h"
#include "tools/tool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

struct exec {
    char *command;
    bool uplink;
    struct process_list processes; /* of posts, and those that posts have left to their end */
};

/* ---- Its exit ------------------------------------------------------------------------------- */

static cs_err say_exit(chanserv_post *post, int status)
{
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    char text[16];
    cs_err err;

    snprintf(text, sizeof text, "%d", number);
    err = chanserv_post_set_trailer(post, WIFSIGNALED(status) ? "exit-signal" : "exit-status",
                                    cs_str(text));
    if (err != CS_OK || (WIFEXITED(status) && number == 0))
        return err;
    if (WIFSIGNALED(status))
        return chanserv_post_fail(post, CS_EUNKNOWN, "killed by signal %d (%s)", number,
                                  strsignal(number));
    return chanserv_post_fail(post, CS_EUNKNOWN, "exit status %d", number);
}

static void exited(int status, void *user)
{
    struct exec_post *x = user;

    x->process = NULL;
    exec_in_close(x);
    for (size_t i = 0; i < 2; i++)
        exec_out_exited(&x->out[i]);
    chanserv_post_finish(x->post, say_exit(x->post, status));
    if (x->out[0].outlet) /* an uplink's source has waited for this */
        chanserv_outlet_wake(x->out[0].outlet);
}

/* ---- A post --------------------------------------------------------------------------------- */

static void post_closed(chanserv_post *post, cs_err why, void *state)
{
    struct exec_post *x = state;

    (void)post;
    (void)why;
    exec_in_close(x);
    if (!x->process)
        return;
    x->given_up = true;
    process_end(x->process);
    process_forget(x->process);
    x->process = NULL;
    for (size_t i = 0; i < 2; i++) {
        if (x->out[i].outlet)
            chanserv_outlet_wake(x->out[i].outlet);
        else
            exec_out_close(&x->out[i]);
    }
}

static void post_end(chanserv_post *post, cs_err why, void *state)
{
    struct exec_post *x = state;

    (void)post;
    (void)why;
    for (size_t i = 0; i < 2; i++)
        exec_out_close(&x->out[i]);
}

static const struct chanserv_post_ops post_ops = {
    .state_bytes = sizeof(struct exec_post), .closed = post_closed, .end = post_end};

static cs_err start(struct exec_post *x, struct exec *exec, struct process_pipes *ret)
{
    cs_bytes trace = chanserv_post_metadata(x->post, "traceparent");
    const cs_pair pairs[] = {
        {cs_str("CHANSERV_SERVICE"), chanserv_post_service(x->post)},
        {cs_str("CHANSERV_BUCKET"), chanserv_post_bucket(x->post)},
        {cs_str("CHANSERV_PEER"), chanserv_post_peer(x->post)->addr},
        {cs_str("TRACEPARENT"), tool_is_traceparent(trace) ? trace : cs_bytes_of(NULL, 0)},
    };
    char **env = tool_environment(pairs, sizeof pairs / sizeof *pairs);
    const struct process_plan plan = {
        .command = exec->command, .env = env, .exited = exited, .user = x};
    cs_err err;

    if (!env)
        return CS_ENOMEM;
    err = process_new(x->loop, &plan, &exec->processes, ret, &x->process);
    free(env);
    if (err != CS_OK)
        return chanserv_post_fail(x->post, err, "start /bin/sh: %s", strerror(errno));
    return CS_OK;
}

static cs_err run(struct exec_post *x, struct exec *exec, cs_bytes body)
{
    struct process_pipes pipes;
    cs_err err = start(x, exec, &pipes);

    if (err != CS_OK)
        return err;
    for (size_t i = 0; i < 2; i++)
        x->out[i] = (struct exec_out){.x = x, .fd = pipes.out[i]};
    x->out[0].is_uplink = exec->uplink;
    err = exec_in_init(x, pipes.in, body);
    if (err == CS_OK)
        err = exec_out_announce(&x->out[0], exec->uplink ? "stdio" : "stdout");
    if (err == CS_OK)
        err = exec_out_announce(&x->out[1], "stderr");
    if (err == CS_AGAIN) /* without one of them it cannot run, and waiting is for the exit */
        return chanserv_post_fail(x->post, CS_ELIMIT, "there is no room for its sources");
    if (err != CS_OK)
        return err;
    x->in.uplink = exec->uplink ? x->out[0].outlet : NULL;
    exec_in_run(x);
    return CS_AGAIN; /* until it exits */
}

static cs_err exec_post(chanserv_post *post, cs_bytes body, void *user)
{
    struct exec_post x = {.post = post, .loop = chanserv_post_loop(post), .in = {.fd = -1}};
    cs_err err;

    x.out[0].fd = x.out[1].fd = -1;
    err = chanserv_post_keep(post, &post_ops, &x);
    return err == CS_OK ? run(chanserv_post_state(post), user, body) : err;
}

/* ---- The service ---------------------------------------------------------------------------- */

static void exec_close(void *service)
{
    struct exec *exec = service;

    process_list_end(&exec->processes);
    free(exec->command);
    free(exec);
}

static cs_err open_as(const char *kind, bool uplink, const char *args, void **ret, char *why,
                      size_t why_len)
{
    struct exec *exec;

    if (!args || !*args) {
        snprintf(why, why_len, "wants a command: %s:COMMAND", kind);
        return CS_EINVAL;
    }
    exec = calloc(1, sizeof *exec);
    if (!exec || !(exec->command = strdup(args))) {
        free(exec);
        return CS_ENOMEM;
    }
    exec->uplink = uplink;
    LIST_INIT(&exec->processes);
    *ret = exec;
    return CS_OK;
}

static cs_err exec_open(cs_loop *loop, const char *args, void **ret, char *why, size_t why_len)
{
    (void)loop;
    return open_as("exec", false, args, ret, why, why_len);
}

static cs_err uplink_open(cs_loop *loop, const char *args, void **ret, char *why, size_t why_len)
{
    (void)loop;
    return open_as("exec-uplink", true, args, ret, why, why_len);
}

const struct tool_kind tool_kind_exec = {
    .name = "exec", .open = exec_open, .post = exec_post, .close = exec_close};
const struct tool_kind tool_kind_exec_uplink = {
    .name = "exec-uplink", .open = uplink_open, .post = exec_post, .close = exec_close};
