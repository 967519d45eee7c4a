/* kind -- the kinds of service that `chanserv serve` knows: NAME=KIND:ARGS.
 *
 * A kind is opened once for each --service, answers posts by its source function, and is closed
 * after the server is freed, so that states may point at it to the last.
 */
#ifndef TOOLS_KIND_H
#define TOOLS_KIND_H

#include "chanserv/chanserv.h"

struct tool_kind {
    const char *name;
    /* `args` is what stands behind the colon, NULL without one.  A failure comes with words in
     * `why`; CS_EINVAL: the arguments make no sense. */
    cs_err (*open)(cs_loop *loop, const char *args, void **ret, char *why, size_t why_len);
    chanserv_source_fn *post;
    bool is_stateless; /* posts have nothing in common: they may run on several loops at once */
    void (*close)(void *service);
};
extern const struct tool_kind tool_kind_gen, tool_kind_echo, tool_kind_tail, tool_kind_exec,
    tool_kind_exec_uplink, tool_kind_stdin;

/* For kinds that take no arguments and need no memory. */
cs_err tool_kind_no_args(cs_loop *loop, const char *args, void **ret, char *why, size_t why_len);
void tool_kind_nothing(void *service);

#endif
