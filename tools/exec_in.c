/* exec_in -- what goes into the standard input of a command.  See exec.h.
 *
 * A command need not read it: then the pipe is full and we wait, or it is broken, and what would go
 * there is thrown away, as a shell does with the rest of `cat file | head`. */
#include "tools/exec.h"

#include <errno.h>
#include <unistd.h>

static void ready(void *user)
{
    exec_in_run(user);
}

cs_err exec_in_init(struct exec_post *x, int fd, cs_bytes body)
{
    x->in = (struct exec_in){.fd = fd, .rest = body};
    return tool_watch_new_once(x->loop, fd, TOOL_WRITABLE, ready, x, &x->in.watch);
}

static void close_pipe(struct exec_in *in)
{
    tool_watch_free(in->watch);
    in->watch = NULL;
    if (in->fd >= 0)
        close(in->fd);
    in->fd = -1;
}

static void frame_done(struct exec_in *in)
{
    cs_ref_drop(&in->frame);
    in->rest = cs_bytes_of(NULL, 0);
}

void exec_in_close(struct exec_post *x)
{
    close_pipe(&x->in);
    frame_done(&x->in);
    x->in.uplink = NULL;
}

/* CS_AGAIN: the pipe is full. */
static cs_err write_rest(struct exec_in *in)
{
    while (in->rest.len > 0 && in->fd >= 0) {
        ssize_t n = write(in->fd, in->rest.base, in->rest.len);

        if (n >= 0)
            in->rest = cs_bytes_of((const char *)in->rest.base + n, in->rest.len - (size_t)n);
        else if (errno == EAGAIN)
            return tool_watch_arm(in->watch) == CS_OK ? CS_AGAIN : CS_ENOMEM;
        else if (errno != EINTR)
            close_pipe(in);
    }
    frame_done(in);
    return CS_OK;
}

void exec_in_run(struct exec_post *x)
{
    struct exec_in *in = &x->in;
    cs_err err;

    while ((err = write_rest(in)) == CS_OK && in->uplink &&
           (err = chanserv_outlet_recv_ref(in->uplink, &in->frame)) == CS_OK)
        in->rest = in->frame.bytes;
    if (err == CS_ENOMEM) /* half of it must not look like all of it */
        chanserv_post_finish(x->post, err);
    else if (err != CS_AGAIN)
        exec_in_close(x);
}
