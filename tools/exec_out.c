/* exec_out -- the standard output of a command, or its standard error, as a source.  See exec.h.
 *
 *     announced ── opened ──▶ read while the reader has room ──▶ end of file: over
 *         │                       └─ the reader leaves: closed, and the command gets SIGPIPE
 *         └─ nobody opens it in time, or the reader says that he will not: what comes is thrown
 *            away, as by 2>/dev/null
 */
#include "tools/exec.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* What a pipe holds on Linux. */
enum { BLOCK = 64 << 10 };

void exec_out_close(struct exec_out *o)
{
    tool_watch_free(o->watch);
    o->watch = NULL;
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
    free(o->block);
    o->block = NULL;
}

static ssize_t read_block(int fd, void *to)
{
    ssize_t n;

    do
        n = read(fd, to, BLOCK);
    while (n < 0 && errno == EINTR);
    return n;
}

/* ---- A reader ------------------------------------------------------------------------------- */

static void readable(void *user)
{
    struct exec_out *o = user;

    chanserv_outlet_wake(o->outlet);
}

static cs_err out_open(chanserv_outlet *outlet, uint64_t from, void *state)
{
    struct exec_out *o = state;

    if (from != 0)
        return chanserv_outlet_fail(outlet, CS_ERANGE, "a pipe is read from its beginning");
    o->opened = true;
    if (o->fd < 0)
        return CS_OK;
    return tool_watch_new_once(o->x->loop, o->fd, TOOL_READABLE, readable, o, &o->watch);
}

/* Nothing is in the pipe: a source that waits costs no block. */
static cs_err wait_for_more(struct exec_out *o)
{
    free(o->block);
    o->block = NULL;
    return tool_watch_arm(o->watch) == CS_OK ? CS_AGAIN : CS_ENOMEM;
}

/* A command that was ended from outside has not written all it would have. */
static cs_err at_end(struct exec_out *o)
{
    exec_out_close(o);
    if (o->x->given_up)
        return chanserv_outlet_fail(o->outlet, CS_ECANCELED, "the command was ended");
    return o->is_uplink && o->x->process ? CS_AGAIN : CS_DONE;
}

static cs_err out_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct exec_out *o = state;
    ssize_t n;

    if (o->fd < 0)
        return at_end(o);
    if (!o->block && !(o->block = malloc(BLOCK)))
        return CS_ENOMEM;
    n = read_block(o->fd, o->block);
    if (n < 0 && errno == EAGAIN)
        return wait_for_more(o);
    if (n < 0)
        return chanserv_outlet_fail(outlet, CS_ESYS, "read the pipe: %s", strerror(errno));
    if (n == 0)
        return at_end(o);
    *frame = cs_bytes_of(o->block, (size_t)n);
    return CS_OK;
}

static void uplink_readable(chanserv_outlet *outlet, void *state)
{
    struct exec_out *o = state;

    (void)outlet;
    exec_in_run(o->x);
}

/* ---- Nobody --------------------------------------------------------------------------------- */

static void drain(void *user)
{
    static uint8_t nowhere[BLOCK];
    struct exec_out *o = user;
    ssize_t n = read_block(o->fd, nowhere);

    if (n == 0 || (n < 0 && errno != EAGAIN))
        exec_out_close(o);
}

static void out_end(chanserv_outlet *outlet, cs_err why, void *state)
{
    struct exec_out *o = state;
    bool unread = why == CS_EEXPIRED || strcmp(chanserv_outlet_reason(outlet), "skipped") == 0;
    bool unwanted = !o->opened && unread && o->x->process && o->fd >= 0;

    o->outlet = NULL;
    if (o->is_uplink)
        exec_in_close(o->x);
    if (!unwanted || tool_watch_new(o->x->loop, o->fd, drain, o, &o->watch) != CS_OK)
        exec_out_close(o);
}

void exec_out_exited(struct exec_out *o)
{
    struct pollfd on = {.fd = o->fd, .events = POLLIN};

    if (!o->opened && poll(&on, 1, 0) == 1 && on.revents == POLLHUP)
        exec_out_close(o);
}

static const struct chanserv_outlet_ops out_ops = {
    .open = out_open, .next = out_next, .end = out_end};
static const struct chanserv_outlet_ops uplink_ops = {.open = out_open,
                                                      .next = out_next,
                                                      .end = out_end,
                                                      .readable = uplink_readable,
                                                      .uplink = true};

cs_err exec_out_announce(struct exec_out *o, const char *header)
{
    return chanserv_announce(o->x->post, cs_str(header), o->is_uplink ? &uplink_ops : &out_ops, o,
                             &o->outlet);
}
