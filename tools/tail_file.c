/* tail_file -- one name of a directory as a source: the lines of its file, and of those that take
 * the name over.
 *
 *     reading -> at the end: a later file? -> no: wait for an event
 *                            yes: the rest without newline is a frame; go on with that file
 */
#include "tools/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

/* Descriptors of files that wait to be read; a reader this far behind is told that he lost. */
enum { LATER_MAX = 256 };

/* ---- Names ---------------------------------------------------------------------------------- */

static int names_compare(const void *a, const void *b)
{
    return strcmp(((const struct tail_name *)a)->name, ((const struct tail_name *)b)->name);
}

struct tail_name *tail_name_find(struct tail *tail, const char *name)
{
    struct tail_name key = {.name = name}, *const * found;

    found = (struct tail_name *const *)tfind(&key, &tail->names, names_compare);
    return found ? *found : NULL;
}

static struct tail_name *name_get(struct tail *tail, const char *name)
{
    struct tail_name *of = tail_name_find(tail, name);
    size_t size = strlen(name) + 1;

    if (of)
        return of;
    of = malloc(sizeof *of + size);
    if (!of)
        return NULL;
    memcpy(of->text, name, size);
    of->name = of->text;
    LIST_INIT(&of->sources);
    if (tsearch(of, &tail->names, names_compare))
        return of;
    free(of);
    return NULL;
}

static cs_err follow_name(struct tail_source *s)
{
    s->of = name_get(s->tail, s->name);
    if (!s->of)
        return CS_ENOMEM;
    LIST_INSERT_HEAD(&s->of->sources, s, same);
    return CS_OK;
}

static void set_moved(struct tail_source *s, bool moved)
{
    if (s->moved == moved)
        return;
    s->moved = moved;
    if (moved)
        LIST_INSERT_HEAD(&s->tail->moved, s, moved_link);
    else
        LIST_REMOVE(s, moved_link);
}

static void unfollow_name(struct tail_source *s)
{
    if (!s->of)
        return;
    set_moved(s, false);
    LIST_REMOVE(s, same);
    if (LIST_EMPTY(&s->of->sources)) {
        tdelete(s->of, &s->tail->names, names_compare);
        free(s->of);
    }
    s->of = NULL;
}

/* ---- What the directory has to say ---------------------------------------------------------- */

/* Is it the file that we read, or wait to read, last? */
static bool is_last(const struct tail_source *s, const struct stat *st)
{
    const struct tail_later *last = s->later;

    while (last && last->next)
        last = last->next;
    if (last)
        return last->dev == st->st_dev && last->ino == st->st_ino;
    return s->fd >= 0 && s->dev == st->st_dev && s->ino == st->st_ino;
}

cs_err tail_file_add_later(struct tail_source *s, int fd, const struct stat *st)
{
    struct tail_later **at = &s->later, *later;

    if (s->later_len == LATER_MAX)
        return CS_EDATALOSS;
    later = malloc(sizeof *later);
    if (!later)
        return CS_ENOMEM;
    *later = (struct tail_later){.dev = st->st_dev, .ino = st->st_ino, .stop = st->st_size};
    later->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (later->fd < 0) {
        free(later);
        return tail_open_err(errno);
    }
    while (*at)
        at = &(*at)->next;
    *at = later;
    s->later_len++;
    return CS_OK;
}

void tail_file_took_over(struct tail_source *s, int fd, const struct stat *st)
{
    cs_err err = is_last(s, st) ? CS_OK : tail_file_add_later(s, fd, st);

    set_moved(s, false);
    if (err != CS_OK)
        s->why = err;
    chanserv_outlet_wake(s->outlet);
}

void tail_file_lost_name(struct tail_source *s)
{
    set_moved(s, true);
}

/* Is it shorter than what was read of it? */
static bool is_shorter(struct tail_source *s)
{
    struct stat st;

    if (s->fd >= 0 && fstat(s->fd, &st) == 0 && st.st_size < s->at.pos)
        s->truncated = true;
    return s->truncated;
}

/* Looked at now, since it may have grown past our place again when we come to read it. */
void tail_file_changed(struct tail_source *s)
{
    (void)is_shorter(s);
    chanserv_outlet_wake(s->outlet);
}

/* ---- Reading -------------------------------------------------------------------------------- */

static void begin(struct tail_source *s)
{
    s->at = (struct tail_point){.pos = 0};
    s->truncated = false;
    s->mark_due = s->mark;
}

/* The next file, if there is one. */
static bool go_on(struct tail_source *s)
{
    struct tail_later *later = s->later;

    if (!later)
        return false;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = later->fd;
    s->dev = later->dev;
    s->ino = later->ino;
    s->stop = later->stop;
    begin(s);
    s->later = later->next;
    s->later_len--;
    free(later);
    return true;
}

/* CS_OK: look again; CS_DONE: it has no more. */
static cs_err read_more(struct tail_source *s)
{
    uint8_t last[TAIL_LAST], *to;
    struct iovec into[2];
    size_t len;
    ssize_t n;

    if (s->fd < 0 || (!s->follow && s->at.pos >= s->stop))
        return CS_DONE;
    to = lines_room(&s->lines, &len);
    if (!to)
        return CS_ENOMEM;
    if (!s->follow && (int64_t)len > s->stop - s->at.pos)
        len = (size_t)(s->stop - s->at.pos);
    into[0] = (struct iovec){last, s->at.last_len};
    into[1] = (struct iovec){to, len};
    do
        n = preadv(s->fd, into, 2, s->at.pos - s->at.last_len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return chanserv_outlet_fail(s->outlet, CS_ESYS, "read %s: %s", s->name, strerror(errno));
    n -= s->at.last_len;
    if (s->follow && (n < 0 || memcmp(last, s->at.last, s->at.last_len) != 0)) {
        s->truncated = true;
        return CS_OK;
    }
    if (n <= 0)
        return CS_DONE;
    tail_point_pass(&s->at, to, (size_t)n);
    lines_added(&s->lines, (size_t)n);
    return CS_OK;
}

static cs_err wait_for_more(struct tail_source *s)
{
    if (lines_empty(&s->lines))
        lines_clear(&s->lines); /* a source that waits costs no block */
    if (s->tail->there)
        return CS_AGAIN;
    return chanserv_outlet_fail(s->outlet, CS_EUNAVAIL, "the directory of %s is gone", s->name);
}

/* Nothing that was read waits when one is due. */
static cs_err give_mark(struct tail_source *s, cs_bytes *frame)
{
    free(s->marked);
    s->marked = tail_mark_new(tail_id_of(s->fd), s->at.pos);
    if (!s->marked)
        return CS_ENOMEM;
    s->mark_due = false;
    *frame = cs_str(s->marked);
    return CS_OK;
}

/* At the end of the file, with no whole line left.  CS_OK: look again. */
static cs_err at_end(struct tail_source *s, cs_bytes *frame)
{
    bool is_over = !s->follow || s->later || !s->tail->there;

    if ((is_over && lines_rest(&s->lines, frame)) || go_on(s))
        return CS_OK;
    return s->follow ? wait_for_more(s) : CS_DONE;
}

static cs_err file_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct tail_source *s = state;
    cs_err err;

    *frame = cs_bytes_of(NULL, 0);
    while (!frame->base) {
        if (s->mark_due && s->fd >= 0)
            return give_mark(s, frame);
        if (lines_next(&s->lines, frame))
            break;
        if (s->why == CS_EDATALOSS)
            return chanserv_outlet_fail(outlet, s->why, "more than %d rotations of %s behind",
                                        (int)LATER_MAX, s->name);
        if (s->why != CS_OK)
            return s->why;
        if (s->truncated) { /* from the beginning, behind what was read before */
            if (lines_rest(&s->lines, frame))
                break;
            begin(s);
            continue;
        }
        err = read_more(s);
        if (err == CS_DONE)
            err = at_end(s, frame);
        if (err != CS_OK)
            return err;
    }
    return CS_OK;
}

/* ---- Open and end --------------------------------------------------------------------------- */

static cs_err fail_open(struct tail_source *s, int error)
{
    const char *words = error == EMLINK || error == ELOOP ? "not a regular file" : strerror(error);

    return chanserv_outlet_fail(s->outlet, tail_open_err(error), "open %s: %s", s->name, words);
}

static cs_err file_open(chanserv_outlet *outlet, uint64_t from, void *state)
{
    struct tail_source *s = state;
    struct stat st = {.st_ino = 0};
    cs_err err = CS_OK;
    bool absent;

    s->outlet = outlet;
    if (from != 0)
        return chanserv_outlet_fail(outlet, CS_ERANGE, "a file is read from its beginning");
    s->fd = s->follow ? tail_dir_open_file(s->tail, s->name, &st)
                      : tail_open_name(s->tail, s->name, &st);
    absent = s->fd < 0;
    if (absent && !(s->follow && errno == ENOENT))
        return fail_open(s, errno);
    s->mark_due = s->mark;
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    s->stop = st.st_size;
    if (s->place)
        err = tail_begin_at_place(s, &st);
    if (err == CS_OK && s->follow)
        err = follow_name(s);
    if (err != CS_OK || !s->follow)
        return err;
    set_moved(s, absent);
    tail_dir_look(s->tail);
    return CS_OK;
}

static void file_end(chanserv_outlet *outlet, cs_err why, void *state)
{
    struct tail_source *s = state;

    (void)outlet;
    (void)why;
    unfollow_name(s);
    while (go_on(s))
        continue;
    if (s->fd >= 0)
        close(s->fd);
    lines_clear(&s->lines);
    free(s->marked);
}

const struct chanserv_outlet_ops tail_file_ops = {.state_bytes = sizeof(struct tail_source),
                                                  .open = file_open,
                                                  .next = file_next,
                                                  .end = file_end};
