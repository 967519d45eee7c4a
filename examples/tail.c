/* tail -- tail -F of a directory: a post is a place in the list of names, a reader a place in its
 * file.  Nothing is queued for anybody, however many follow and however slow they are.
 *
 *     tail DIR [ADDR]        then: chanserv post ADDR tail ''; chanserv post ADDR tail '?follow=0'
 *
 * Truncated and rotated files are left out: see tools/tail*.c.
 */
#include <chanserv/chanserv.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/queue.h>
#include <unistd.h>

struct name {
    STAILQ_ENTRY(name) next;
    char text[NAME_MAX + 1];
};
struct watch { /* of a post */
    LIST_ENTRY(watch) link;
    chanserv_post *post;
    const struct name *last; /* announced */
    bool follow;
};
struct file { /* of an outlet */
    LIST_ENTRY(file) link;
    chanserv_outlet *outlet;
    const struct name *name;
    FILE *lines;
    char *line;
    size_t size;
    bool follow;
};

static const char *dir;
static STAILQ_HEAD(, name) names = STAILQ_HEAD_INITIALIZER(names);
static LIST_HEAD(, watch) watches = LIST_HEAD_INITIALIZER(watches);
static LIST_HEAD(, file) files = LIST_HEAD_INITIALIZER(files);

/* ---- A file ----------------------------------------------------------------------------------- */

static cs_err file_open(chanserv_outlet *out, uint64_t from, void *state)
{
    struct file *f = state;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, f->name->text);
    if (from > 0)
        return CS_ERANGE;
    if (!(f->lines = fopen(path, "re")))
        return chanserv_outlet_fail(out, CS_ESYS, "open %s: %s", path, strerror(errno));
    f->outlet = out;
    LIST_INSERT_HEAD(&files, f, link);
    return CS_OK;
}

/* The next line; half a line waits for the rest of it, unless nobody waits. */
static cs_err file_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    struct file *f = state;
    off_t at = ftello(f->lines);
    ssize_t n = getline(&f->line, &f->size, f->lines);
    bool whole = n > 0 && f->line[n - 1] == '\n';
    if (whole || (n > 0 && !f->follow)) {
        *frame = cs_bytes_of(f->line, (size_t)n - whole);
        return CS_OK;
    }
    if (ferror(f->lines) || fseeko(f->lines, at, SEEK_SET) != 0)
        return chanserv_outlet_fail(out, CS_ESYS, "read %s: %s", f->name->text, strerror(errno));
    return f->follow ? CS_AGAIN : CS_DONE; /* on_change() wakes it */
}

static void file_end(chanserv_outlet *out, cs_err why, void *state)
{
    struct file *f = state;
    (void)out, (void)why;
    if (f->lines) {
        LIST_REMOVE(f, link);
        fclose(f->lines);
    }
    free(f->line);
}

static const struct chanserv_outlet_ops file_ops = {
    .state_bytes = sizeof(struct file), .open = file_open, .next = file_next, .end = file_end};

/* ---- The list of names ------------------------------------------------------------------------ */

static cs_err watch_next(chanserv_post *post, void *state)
{
    struct watch *w = state;
    const struct name *name = w->last ? STAILQ_NEXT(w->last, next) : STAILQ_FIRST(&names);
    if (!name)
        return w->follow ? CS_AGAIN : CS_DONE; /* on_change() wakes it */
    struct file file = {.name = name, .follow = w->follow};
    cs_err err = chanserv_announce(post, cs_str(name->text), &file_ops, &file, NULL);
    if (err == CS_OK)
        w->last = name;
    return err;
}

static void watch_end(chanserv_post *post, cs_err why, void *state)
{
    (void)post, (void)why;
    LIST_REMOVE((struct watch *)state, link);
}

static const struct chanserv_post_ops watch_ops = {
    .state_bytes = sizeof(struct watch), .next = watch_next, .end = watch_end};

static cs_err tail(chanserv_post *post, cs_bytes body, void *user)
{
    struct watch w = {.post = post, .follow = !cs_same(body, cs_str("?follow=0"))};
    cs_err err = chanserv_post_keep(post, &watch_ops, &w);
    (void)user;
    if (err == CS_OK)
        LIST_INSERT_HEAD(&watches, (struct watch *)chanserv_post_state(post), link);
    return err; /* CS_OK: ask watch_next() */
}

/* ---- What happens on disk --------------------------------------------------------------------- */

static void add_name(const char *text)
{
    struct name *name;
    STAILQ_FOREACH(name, &names, next)
    if (strcmp(name->text, text) == 0)
        return;
    if (text[0] == '.' || !(name = calloc(1, sizeof *name)))
        return;
    snprintf(name->text, sizeof name->text, "%s", text);
    STAILQ_INSERT_TAIL(&names, name, next);
}

/* Something changed: whoever waits looks again at its own place. */
static void on_change(int fd, short what, void *user)
{
    _Alignas(struct inotify_event) char buf[65536];
    ssize_t n = read(fd, buf, sizeof buf);
    struct watch *w;
    struct file *f;
    (void)what, (void)user;
    for (char *at = buf; at < buf + n;) {
        const struct inotify_event *ev = (const void *)at;
        at += sizeof *ev + ev->len;
        if (ev->mask & (IN_CREATE | IN_MOVED_TO) && !(ev->mask & IN_ISDIR))
            add_name(ev->name);
    }
    LIST_FOREACH(w, &watches, link)
    chanserv_post_wake(w->post);
    LIST_FOREACH(f, &files, link)
    chanserv_outlet_wake(f->outlet);
}

static int list(void)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    struct dirent **entries;
    int n = -1;
    if (fd >= 0 && inotify_add_watch(fd, dir, IN_CREATE | IN_MOVED_TO | IN_MODIFY) >= 0)
        n = scandir(dir, &entries, NULL, alphasort);
    if (n < 0)
        return -1;
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_type == DT_REG)
            add_name(entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return fd;
}

int main(int argc, char **argv)
{
    const struct chanserv_server_options options = {.signals = true};
    cs_loop *loop;
    chanserv_server *server;
    int fd;
    dir = argc > 1 ? argv[1] : ".";
    if ((fd = list()) < 0) {
        fprintf(stderr, "%s: %s\n", dir, strerror(errno));
        return 1;
    }
    if (cs_loop_new(NULL, &loop) || chanserv_server_new(loop, &options, &server))
        return 1;
    struct event *change = event_new(cs_loop_base(loop), fd, EV_READ | EV_PERSIST, on_change, NULL);
    if (!change || event_add(change, NULL) != 0)
        return 1;
    chanserv_serve(server, "tail", tail, NULL);
    if (chanserv_listen(server, argc > 2 ? argv[2] : "localhost:5555") == CS_OK)
        printf("listening %s\n", chanserv_server_addr(server, 0));
    fflush(stdout);
    cs_err err = chanserv_server_run(server);
    if (cs_failed(err))
        fprintf(stderr, "%s\n", chanserv_server_errmsg(server));
    chanserv_server_free(server);
    event_free(change);
    close(fd);
    for (struct name *name; (name = STAILQ_FIRST(&names));) {
        STAILQ_REMOVE_HEAD(&names, next);
        free(name);
    }
    cs_loop_free(loop);
    return cs_failed(err);
}
