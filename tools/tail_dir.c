/* tail_dir -- a directory and what happens in it, by inotify(7).
 *
 * Events are read into a list before they are handled, for two reasons: an event says a name, and
 * by the time we come to open it that name may stand for another file, which the events behind it
 * tell; and a name that was opened while it changed hands shows in the events that arrived
 * meanwhile, so that it can be opened again. */
#include "tools/tail.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
    NAMES_CHANGED = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE,
    DIRECTORY_GONE = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED,
    WATCHED = NAMES_CHANGED | IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF,
    /* A name that changes hands faster than we can open it is given up after so many times; its
     * next event begins anew. */
    TRIES = 32
};

/* ---- Events, read --------------------------------------------------------------------------- */

static bool same_again(const struct tail *tail, const struct inotify_event *e, const char *name)
{
    const struct tail_event *last = tail->len > tail->at ? &tail->events[tail->len - 1] : NULL;

    return last && e->mask == IN_MODIFY && last->mask == IN_MODIFY && name && last->name &&
           strcmp(last->name, name) == 0;
}

/* An open file, though deleted, holds its directory, and then IN_DELETE_SELF waits for whom it is
 * to wake: so the directory above is asked too. */
static bool is_removal(const struct tail *tail, const struct inotify_event *e)
{
    return e->len > 0 && tail->name && strcmp(e->name, tail->name) == 0;
}

static void event_add_to(struct tail *tail, const struct inotify_event *e)
{
    bool above = e->wd >= 0 && e->wd == tail->above;
    const char *name = e->len > 0 && !above ? e->name : NULL;
    struct tail_event *to;

    if (above && !is_removal(tail, e))
        return;
    if (e->mask & IN_Q_OVERFLOW)
        tail->missed = true;
    if (same_again(tail, e, name))
        return;
    if (tail->len == tail->cap) {
        size_t cap = tail->cap ? 2 * tail->cap : 64;
        to = realloc(tail->events, cap * sizeof *to);
        if (!to) {
            tail->missed = true;
            return;
        }
        tail->events = to;
        tail->cap = cap;
    }
    to = &tail->events[tail->len];
    *to = (struct tail_event){.mask = above ? IN_DELETE_SELF : e->mask, .cookie = e->cookie};
    if (name && !(to->name = strdup(name)))
        tail->missed = true;
    else
        tail->len++;
}

static void events_read(struct tail *tail)
{
    union {
        struct inotify_event align;
        char bytes[16384];
    } buffer;
    ssize_t n;

    while (tail->inotify >= 0 && (n = read(tail->inotify, buffer.bytes, sizeof buffer.bytes)) > 0) {
        for (ssize_t at = 0; at < n;) {
            const void *p = buffer.bytes + at;
            const struct inotify_event *e = p;
            event_add_to(tail, e);
            at += (ssize_t)(sizeof *e + e->len);
        }
    }
}

/* ---- Where is it now? ----------------------------------------------------------------------- */

static bool is_about(const struct tail_event *e, uint32_t mask, const char *name)
{
    return (e->mask & mask) && e->name && strcmp(e->name, name) == 0;
}

/* The name by now of what was called `name` behind the event before `at`; NULL: it is gone. */
static const char *name_by_now(const struct tail *tail, size_t at, const char *name)
{
    for (; at < tail->len; at++) {
        const struct tail_event *e = &tail->events[at];
        if (is_about(e, IN_DELETE | IN_CREATE | IN_MOVED_TO, name))
            return NULL; /* or another took its place */
        if (!is_about(e, IN_MOVED_FROM, name))
            continue;
        for (name = NULL; !name && ++at < tail->len;) {
            if ((tail->events[at].mask & IN_MOVED_TO) && tail->events[at].cookie == e->cookie)
                name = tail->events[at].name;
        }
        if (!name)
            return NULL; /* out of the directory */
    }
    return name;
}

/* The file that was called `name` when all events before `at` had happened. */
static int open_stable(struct tail *tail, size_t at, const char *name, struct stat *ret)
{
    for (int i = 0; i < TRIES; i++) {
        const char *now;
        bool changed = false;
        int fd, error;
        size_t before;

        events_read(tail);
        before = tail->len;
        now = name_by_now(tail, at, name);
        if (!now)
            break;
        fd = tail_open_name(tail, now, ret);
        error = errno;
        events_read(tail);
        for (size_t k = before; k < tail->len && !changed; k++)
            changed = is_about(&tail->events[k], NAMES_CHANGED, now);
        if (!changed) {
            errno = error;
            return fd;
        }
        if (fd >= 0)
            close(fd);
    }
    errno = ENOENT;
    return -1;
}

/* ---- Events, handled ------------------------------------------------------------------------ */

static void took_over(struct tail *tail, struct tail_name *of, size_t behind)
{
    struct tail_source *s;
    struct stat st;
    int fd = open_stable(tail, behind, of->name, &st), error = errno;

    LIST_FOREACH(s, &of->sources, same)
    {
        if (fd >= 0) {
            tail_file_took_over(s, fd, &st);
        } else {
            tail_file_lost_name(s); /* it may be readable later, or come back */
            if (tail_open_err(error) == CS_ELIMIT || tail_open_err(error) == CS_ENOMEM)
                s->why = tail_open_err(error);
        }
    }
    if (fd >= 0)
        close(fd);
}

/* What names the directory has is not known any more: look at each. */
static void look_at_everything(struct tail *tail);

static void gone(struct tail *tail)
{
    struct tail_post *p;

    tail_dir_close(tail);
    while ((p = LIST_FIRST(&tail->posts)))
        tail_post_gone(p);
    tail->missed = true; /* every source is to notice */
}

static void handle(struct tail *tail, const struct tail_event *e)
{
    struct tail_name *of = e->name ? tail_name_find(tail, e->name) : NULL;
    struct tail_source *s;
    struct tail_post *p;

    if (e->mask & DIRECTORY_GONE) {
        gone(tail);
        return;
    }
    if (of && (e->mask & (IN_MOVED_FROM | IN_DELETE))) {
        LIST_FOREACH(s, &of->sources, same)
        tail_file_lost_name(s);
    }
    /* A file that may not be read yet may be when its mode has changed. */
    s = of ? LIST_FIRST(&of->sources) : NULL;
    if (s && ((e->mask & (IN_CREATE | IN_MOVED_TO)) || ((e->mask & IN_ATTRIB) && s->moved)))
        took_over(tail, of, tail->at);
    if (of) {
        LIST_FOREACH(s, &of->sources, same)
        tail_file_changed(s);
    }
    LIST_FOREACH(s, &tail->moved, moved_link)
    chanserv_outlet_wake(s->outlet);
    if (e->name && (e->mask & (IN_CREATE | IN_MOVED_TO))) {
        LIST_FOREACH(p, &tail->posts, link)
        tail_post_offer(p, e->name);
    }
}

static void events_handle(struct tail *tail)
{
    for (;;) {
        while (tail->at < tail->len) {
            /* The list may move under our hands. */
            struct tail_event e = tail->events[tail->at++];
            if (tail->there)
                handle(tail, &e);
            free(e.name);
        }
        tail->at = tail->len = 0;
        if (!tail->missed)
            return;
        tail->missed = false;
        look_at_everything(tail);
    }
}

static void look_at_name(const void *node, VISIT visit, void *user)
{
    struct tail_name *of = *(struct tail_name *const *)node;
    struct tail *tail = user;
    struct tail_source *s;

    if (visit != postorder && visit != leaf)
        return;
    if (tail->there) {
        LIST_FOREACH(s, &of->sources, same)
        tail_file_lost_name(s); /* until the file is found that has it */
        took_over(tail, of, tail->len);
    }
    LIST_FOREACH(s, &of->sources, same)
    tail_file_changed(s);
}

static void look_at_everything(struct tail *tail)
{
    struct tail_post *p;

    twalk_r(tail->names, look_at_name, tail);
    LIST_FOREACH(p, &tail->posts, link)
    tail_post_scan(p);
}

void tail_dir_look(struct tail *tail)
{
    events_read(tail);
    events_handle(tail);
}

static void readable(void *user)
{
    tail_dir_look(user);
}

int tail_dir_open_file(struct tail *tail, const char *name, struct stat *ret)
{
    tail_dir_look(tail);
    if (tail->there)
        return open_stable(tail, tail->at, name, ret);
    errno = ENOENT;
    return -1;
}

/* ---- Open and close ------------------------------------------------------------------------- */

/* Without it (the root has none above, or it may not be read) removal is noticed later. */
static void watch_above(struct tail *tail)
{
    char *path = realpath(tail->path, NULL), *slash = path ? strrchr(path, '/') : NULL;

    free(tail->name);
    tail->name = slash && slash[1] ? strdup(slash + 1) : NULL;
    if (tail->name) {
        slash[slash == path] = 0;
        tail->above =
            inotify_add_watch(tail->inotify, path, IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR);
    }
    free(path);
}

cs_err tail_dir_open(struct tail *tail)
{
    cs_err err;
    int error;

    tail->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (tail->inotify < 0)
        return tail_open_err(errno);
    if (inotify_add_watch(tail->inotify, tail->path, WATCHED | IN_ONLYDIR) < 0) {
        error = errno;
        tail_dir_close(tail);
        errno = error;
        return tail_open_err(error);
    }
    watch_above(tail);
    err = tool_watch_new(tail->loop, tail->inotify, readable, tail, &tail->watch);
    if (err != CS_OK) {
        tail_dir_close(tail);
        errno = err == CS_ENOMEM ? ENOMEM : ENOTSUP;
        return err;
    }
    tail->there = true;
    return CS_OK;
}

void tail_dir_close(struct tail *tail)
{
    tool_watch_free(tail->watch);
    tail->watch = NULL;
    if (tail->inotify >= 0)
        close(tail->inotify);
    tail->inotify = tail->above = -1;
    tail->there = false;
}
