/* loop_watch -- be told when a descriptor is readable or writable, on a cs_loop.
 *
 * The one place of tools/ that speaks libevent, by way of cs_loop_base(). */
#ifndef TOOLS_LOOP_WATCH_H
#define TOOLS_LOOP_WATCH_H

#include "base/loop.h"

struct tool_watch;

/* `readable` comes each time there is something to read, until it is freed.  CS_ENOTSUP: a virtual
 * loop has no descriptors; CS_ENOMEM. */
cs_err tool_watch_new(cs_loop *loop, int fd, void (*readable)(void *user), void *user,
                      struct tool_watch **ret);

/* `ready` comes once for each tool_watch_arm(), and is not armed yet.  The errors of
 * tool_watch_new(); arming: CS_ENOMEM. */
enum tool_ready { TOOL_READABLE, TOOL_WRITABLE };
cs_err tool_watch_new_once(cs_loop *loop, int fd, enum tool_ready what, void (*ready)(void *user),
                           void *user, struct tool_watch **ret);
cs_err tool_watch_arm(struct tool_watch *watch);

/* NULL is fine; the descriptor stays open, and is closed after this. */
void tool_watch_free(struct tool_watch *watch);

#endif
