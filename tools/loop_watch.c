/* loop_watch -- see loop_watch.h. */
#include "tools/loop_watch.h"

#include <event2/event.h>
#include <stdlib.h>

struct tool_watch {
    struct event *event;
    void (*ready)(void *user);
    void *user;
};

static void on_event(evutil_socket_t fd, short what, void *user)
{
    struct tool_watch *watch = user;

    (void)fd;
    (void)what;
    watch->ready(watch->user);
}

static cs_err watch_new(cs_loop *loop, int fd, short what, void (*ready)(void *user), void *user,
                        struct tool_watch **ret)
{
    struct event_base *base = cs_loop_base(loop);
    struct tool_watch *watch;

    if (!base)
        return CS_ENOTSUP;
    watch = malloc(sizeof *watch);
    if (!watch)
        return CS_ENOMEM;
    watch->ready = ready;
    watch->user = user;
    watch->event = event_new(base, fd, what, on_event, watch);
    if (!watch->event) {
        tool_watch_free(watch);
        return CS_ENOMEM;
    }
    *ret = watch;
    return CS_OK;
}

cs_err tool_watch_new(cs_loop *loop, int fd, void (*readable)(void *user), void *user,
                      struct tool_watch **ret)
{
    struct tool_watch *watch;
    cs_err err = watch_new(loop, fd, EV_READ | EV_PERSIST, readable, user, &watch);

    if (err != CS_OK)
        return err;
    err = tool_watch_arm(watch);
    if (err != CS_OK)
        tool_watch_free(watch);
    else
        *ret = watch;
    return err;
}

cs_err tool_watch_new_once(cs_loop *loop, int fd, enum tool_ready what, void (*ready)(void *user),
                           void *user, struct tool_watch **ret)
{
    return watch_new(loop, fd, what == TOOL_READABLE ? EV_READ : EV_WRITE, ready, user, ret);
}

cs_err tool_watch_arm(struct tool_watch *watch)
{
    return event_add(watch->event, NULL) == 0 ? CS_OK : CS_ENOMEM;
}

void tool_watch_free(struct tool_watch *watch)
{
    if (!watch)
        return;
    if (watch->event)
        event_free(watch->event);
    free(watch);
}
