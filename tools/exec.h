/* exec -- the inside of the service kinds "exec" and "exec-uplink": what their three files share.
 *
 *   kind_exec   the service, and a post: a process from its start to its exit
 *   exec_in     what goes into its standard input: the body, then the frames of an uplink
 *   exec_out    its standard output and its standard error as sources
 *
 *     body, frames ──▶ exec_in ──▶ stdin │ /bin/sh -c │ stdout, stderr ──▶ exec_out ──▶ sources
 *
 * Nothing is kept between a pipe and the network but the one frame under way: who does not read
 * stops the process on its pipe, and a process that does not read stops the sender of the uplink.
 */
#ifndef TOOLS_EXEC_H
#define TOOLS_EXEC_H

#include "tools/loop_watch.h"
#include "tools/process.h"
#include "chanserv/chanserv.h"

struct exec_post;

struct exec_in {
    int fd;                   /* -1: closed, by us or by the process; frames are then thrown away */
    cs_bytes rest;            /* to be written before anything else */
    cs_ref frame;             /* that `rest` is a part of; empty: of the body */
    chanserv_outlet *uplink;  /* where frames come from; NULL: nothing comes behind `rest` */
    struct tool_watch *watch; /* armed while the pipe is full */
};

struct exec_out {
    struct exec_post *x;
    chanserv_outlet *outlet; /* NULL: over */
    int fd;                  /* -1: it has ended */
    bool is_uplink;          /* the reader speaks too: it lasts as long as the process */
    bool opened;
    uint8_t *block;           /* what was read last; only while there is something to read */
    struct tool_watch *watch; /* of `fd`, while it is open or drained */
};

/* The state of a post, which outlives its outlets and its process. */
struct exec_post {
    chanserv_post *post;
    cs_loop *loop;
    struct process *process; /* NULL: reaped, or not ours to wait for any more */
    bool given_up;           /* the process did not end by itself */
    struct exec_in in;
    struct exec_out out[2];
};

/* ---- exec_in -------------------------------------------------------------------------------- */

/* `fd` is its from now on, also when that fails: CS_ENOMEM, CS_ENOTSUP. */
cs_err exec_in_init(struct exec_post *x, int fd, cs_bytes body);
void exec_in_run(struct exec_post *x);   /* moves what can be moved now */
void exec_in_close(struct exec_post *x); /* what is not written yet is dropped; harmless again */

/* ---- exec_out ------------------------------------------------------------------------------- */

/* Announces o->fd. */
cs_err exec_out_announce(struct exec_out *o, const char *header);
void exec_out_close(struct exec_out *o); /* the pipe; harmless again */

/* The process has: a pipe that is empty for good does not wait for somebody to open its source. */
void exec_out_exited(struct exec_out *o);

#endif
