/* loop_watch -- see loop_watch.h. */
#include "tools/loop_watch.h"

#include <event2/event.h>
#include <stdlib.h>

struct tool_watch {
    struct event *event;
    void (*readable)(void *user);
    void *user;
};

static void on_event(evutil_socket_t fd, short what, void *user)
{
    struct tool_watch *watch = user;

    (void)fd;
    (void)what;
    watch->readable(watch->user);
}

cs_err tool_watch_new(cs_loop *loop, int fd, void (*readable)(void *user), void *user,
                      struct tool_watch **ret)
{
    struct event_base *base = cs_loop_base(loop);
    struct tool_watch *watch;

    if (!base)
        return CS_ENOTSUP;
    watch = malloc(sizeof *watch);
    if (!watch)
        return CS_ENOMEM;
    watch->readable = readable;
    watch->user = user;
    watch->event = event_new(base, fd, EV_READ | EV_PERSIST, on_event, watch);
    if (!watch->event || event_add(watch->event, NULL) != 0) {
        tool_watch_free(watch);
        return CS_ENOMEM;
    }
    *ret = watch;
    return CS_OK;
}

void tool_watch_free(struct tool_watch *watch)
{
    if (!watch)
        return;
    if (watch->event)
        event_free(watch->event);
    free(watch);
}
