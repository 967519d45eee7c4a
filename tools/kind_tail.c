/* kind_tail -- `tail:DIR`: each post announces the regular files directly in DIR, and those that
 * appear later; each of them is a source of lines.
 *
 * The body is "[GLOB][?OPTIONS]", with `&` between: "follow=0", "mark=1", and as often as one likes
 * "at=PLACE" (tail_place.h). */
#include "tools/tail.h"
#include "tools/kind.h"
#include "tools/tool.h"

#include <dirent.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ANNOUNCE_AT_ONCE = 64 };

/* ---- Which files ---------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int compare_queued(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_regular(const struct tail *tail, const char *name)
{
    char *path = tail_open_path(tail, name);
    struct stat st;
    bool regular = path && lstat(path, &st) == 0 && S_ISREG(st.st_mode);

    free(path);
    return regular;
}

/* Takes `name` into the names seen and into the queue. */
static cs_err enqueue(struct tail_post *p, const char *name)
{
    char *copy;

    if (p->len == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 64;
        char **queue = realloc(p->queue, cap * sizeof *queue);
        if (!queue)
            return CS_ENOMEM;
        p->queue = queue;
        p->cap = cap;
    }
    copy = strdup(name);
    if (!copy || !tsearch(copy, &p->seen, compare)) {
        free(copy);
        return CS_ENOMEM;
    }
    p->queue[p->len++] = copy;
    return CS_OK;
}

/* Does its reader go on in a file that has lost the name?  One that is gone is not waited for. */
static bool is_elsewhere(const struct tail_post *p, const char *name)
{
    const struct tail_place *place = p->follow ? tail_place_find(&p->places, name) : NULL;
    struct stat st;
    int fd = place ? tail_open_id(p->tail, place->id, &st) : -1;

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static cs_err offer(struct tail_post *p, const char *name)
{
    if (name[0] == '.' || !cs_glob(p->glob, cs_str(name)) || tfind(name, &p->seen, compare) ||
        !(is_regular(p->tail, name) || is_elsewhere(p, name)))
        return CS_OK;
    return enqueue(p, name);
}

static void out_of_memory(struct tail_post *p)
{
    chanserv_post_finish(p->post, CS_ENOMEM);
}

void tail_post_offer(struct tail_post *p, const char *name)
{
    if (offer(p, name) != CS_OK)
        out_of_memory(p);
    else if (p->at < p->len)
        chanserv_post_wake(p->post);
}

struct offering {
    struct tail_post *post;
    cs_err err;
};

static void offer_place(const void *node, VISIT visit, void *user)
{
    const struct tail_place *place = *(struct tail_place *const *)node;
    struct offering *o = user;

    if ((visit == postorder || visit == leaf) && o->err == CS_OK)
        o->err = offer(o->post, place->name);
}

/* In the order of their names. */
static cs_err scan(struct tail_post *p)
{
    struct offering offering = {.post = p, .err = CS_OK};
    size_t from = p->len;
    struct dirent *entry;
    cs_err err = CS_OK;
    DIR *dir = opendir(p->tail->path);

    if (!dir)
        return chanserv_post_fail(p->post, tail_open_err(errno), "open %s: %s", p->tail->path,
                                  strerror(errno));
    while (err == CS_OK && (entry = readdir(dir)))
        err = offer(p, entry->d_name);
    closedir(dir);
    twalk_r(p->places, offer_place, &offering);
    if (err == CS_OK)
        err = offering.err;
    if (p->len > from)
        qsort(p->queue + from, p->len - from, sizeof *p->queue, compare_queued);
    return err;
}

void tail_post_scan(struct tail_post *p)
{
    cs_err err = scan(p);

    if (err != CS_OK)
        chanserv_post_finish(p->post, err);
    else
        chanserv_post_wake(p->post);
}

/* ---- A post --------------------------------------------------------------------------------- */

static void post_unlink(struct tail_post *p)
{
    if (p->linked)
        LIST_REMOVE(p, link);
    p->linked = false;
}

void tail_post_gone(struct tail_post *p)
{
    post_unlink(p);
    chanserv_post_finish(p->post, chanserv_post_fail(p->post, CS_EUNAVAIL,
                                                     "the directory %s is gone", p->tail->path));
}

static cs_err post_next(chanserv_post *post, void *state)
{
    struct tail_post *p = state;
    cs_err err;

    for (int n = 0; n < ANNOUNCE_AT_ONCE && p->at < p->len; n++) {
        const char *name = p->queue[p->at];
        struct tail_source source = {.tail = p->tail,
                                     .name = name,
                                     .follow = p->follow,
                                     .mark = p->mark,
                                     .place = tail_place_find(&p->places, name),
                                     .fd = -1};
        err = chanserv_announce(post, cs_str(name), &tail_file_ops, &source, NULL);
        if (err != CS_OK)
            return err;
        p->at++;
    }
    if (p->at < p->len)
        return CS_OK;
    p->at = p->len = 0;
    return p->follow ? CS_AGAIN : CS_DONE;
}

static void post_closed(chanserv_post *post, cs_err why, void *state)
{
    (void)post;
    (void)why;
    post_unlink(state);
}

static void post_end(chanserv_post *post, cs_err why, void *state)
{
    struct tail_post *p = state;

    (void)post;
    (void)why;
    post_unlink(p);
    tdestroy(p->seen, free);
    tail_places_free(p->places);
    free(p->queue);
}

static const struct chanserv_post_ops post_ops = {.state_bytes = sizeof(struct tail_post),
                                                  .next = post_next,
                                                  .closed = post_closed,
                                                  .end = post_end};

static cs_err set_flag(chanserv_post *post, const cs_pair *option, bool *ret)
{
    if (!cs_same(option->value, cs_str("0")) && !cs_same(option->value, cs_str("1")))
        return chanserv_post_fail(post, CS_EINVAL, "tail: %.*s is 0 or 1, not '%.*s'",
                                  CS_FMT(option->name), CS_FMT(option->value));
    *ret = cs_same(option->value, cs_str("1"));
    return CS_OK;
}

static cs_err set_option(chanserv_post *post, const cs_pair *option, struct tail_post *p)
{
    cs_err err;

    if (cs_same(option->name, cs_str("follow")))
        return set_flag(post, option, &p->follow);
    if (cs_same(option->name, cs_str("mark")))
        return set_flag(post, option, &p->mark);
    if (!cs_same(option->name, cs_str("at")))
        return chanserv_post_fail(post, CS_EINVAL, "tail: no option is called '%.*s'",
                                  CS_FMT(option->name));
    err = tail_place_add(&p->places, option->value);
    return err == CS_EINVAL
               ? chanserv_post_fail(post, err,
                                    "tail: '%.*s' is no place, or the second of that name",
                                    CS_FMT(option->value))
               : err;
}

static cs_err parse(chanserv_post *post, cs_bytes body, struct tail_post *p)
{
    size_t len = tail_options_at(body), behind = len < body.len ? len + 1 : len;
    cs_bytes options = cs_bytes_of((const char *)body.base + behind, body.len - behind);
    cs_pair option;
    cs_err err = CS_OK;

    p->follow = true;
    p->glob = cs_bytes_of(body.base, len);
    while (err == CS_OK && tool_query_next(&options, &option))
        err = set_option(post, &option, p);
    if (err != CS_OK)
        return err;
    if (len > 0 && memchr(body.base, '/', len))
        return chanserv_post_fail(post, CS_EINVAL,
                                  "tail: names have no '/': only files directly in the directory "
                                  "are announced");
    if (len == 0)
        p->glob = cs_str("*");
    return CS_OK;
}

static cs_err tail_post(chanserv_post *post, cs_bytes body, void *user)
{
    struct tail_post asked = {.tail = user, .post = post}, *p;
    cs_err err = parse(post, body, &asked);

    if (err == CS_OK && !asked.tail->there && (err = tail_dir_open(asked.tail)) != CS_OK)
        err = chanserv_post_fail(post, CS_EUNAVAIL, "watch %s: %s", asked.tail->path,
                                 strerror(errno));
    if (err == CS_OK)
        err = chanserv_post_keep(post, &post_ops, &asked);
    if (err != CS_OK) {
        tail_places_free(asked.places);
        return err;
    }
    p = chanserv_post_state(post);
    if (p->follow) {
        LIST_INSERT_HEAD(&p->tail->posts, p, link);
        p->linked = true;
    }
    return scan(p);
}

/* ---- The service ---------------------------------------------------------------------------- */

static void tail_close(void *service)
{
    struct tail *tail = service;

    tail_dir_close(tail);
    while (tail->at < tail->len)
        free(tail->events[tail->at++].name);
    free(tail->events);
    free(tail->path);
    free(tail->name);
    free(tail);
}

static cs_err tail_open(cs_loop *loop, const char *args, void **ret, char *why, size_t why_len)
{
    struct tail *tail;
    cs_err err;

    if (!args || !*args) {
        snprintf(why, why_len, "wants a directory: tail:DIR");
        return CS_EINVAL;
    }
    tail = calloc(1, sizeof *tail);
    if (!tail)
        return CS_ENOMEM;
    tail->loop = loop;
    tail->inotify = tail->above = -1;
    LIST_INIT(&tail->moved);
    LIST_INIT(&tail->posts);
    tail->path = strdup(args);
    err = tail->path ? tail_dir_open(tail) : CS_ENOMEM;
    if (err != CS_OK) {
        snprintf(why, why_len, "watch %s: %s", args, strerror(errno));
        tail_close(tail);
        return err;
    }
    *ret = tail;
    return CS_OK;
}

const struct tool_kind tool_kind_tail = {
    .name = "tail", .open = tail_open, .post = tail_post, .close = tail_close};
