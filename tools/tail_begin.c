/* tail_begin -- where a source begins whose reader has been there before: in the file that he read
 * last, by whatever name it is there now, and then in those that followed it. */
#include "tools/tail.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct follower {
    int fd;
    struct tail_id id;
    int64_t turn; /* among those of one tick of the file system's clock */
    struct stat st;
};

struct followers {
    struct follower *list;
    size_t len;
};

/* "NAME.1", "NAME-20300101": what had the name, as logrotate(8) calls it then: NAME.2 is older, and
 * so is an earlier day. */
static bool is_rotated(const char *entry, const char *name, int64_t *turn)
{
    size_t len = strlen(name);

    if (strncmp(entry, name, len) != 0 || (entry[len] != '.' && entry[len] != '-'))
        return false;
    *turn = (int64_t)(strtoull(entry + len + 1, NULL, 10) & INT64_MAX);
    if (entry[len] == '.')
        *turn = -*turn;
    entry += len + 1;
    return entry[0] && !entry[strspn(entry, "0123456789-")];
}

/* Younger than the reader's file, and not the one that has the name; CS_ENOMEM. */
static cs_err consider(const struct tail_source *s, const char *entry, struct tail_id now,
                       struct followers *ret)
{
    struct follower it, *list;
    bool wanted;

    if (!is_rotated(entry, s->name, &it.turn) ||
        (it.fd = tail_open_name(s->tail, entry, &it.st)) < 0)
        return CS_OK;
    it.id = tail_id_of(it.fd);
    wanted = it.id.born_ns >= s->place->id.born_ns && !tail_id_same(it.id, s->place->id) &&
             !tail_id_same(it.id, now);
    for (size_t i = 0; i < ret->len; i++)
        wanted = wanted && !tail_id_same(it.id, ret->list[i].id); /* it was renamed just now */
    list = wanted ? realloc(ret->list, (ret->len + 1) * sizeof *list) : NULL;
    if (!list) {
        close(it.fd);
        return wanted ? CS_ENOMEM : CS_OK;
    }
    list[ret->len++] = it;
    ret->list = list;
    return CS_OK;
}

static int compare_born(const void *a, const void *b)
{
    const struct follower *first = a, *second = b;

    if (first->id.born_ns != second->id.born_ns)
        return first->id.born_ns > second->id.born_ns ? 1 : -1;
    return (first->turn > second->turn) - (first->turn < second->turn);
}

/* Those that had the name between the reader's file and the one that has it now, in the order of
 * their births: they come before that. */
static cs_err add_between(struct tail_source *s)
{
    struct tail_id now = s->fd >= 0 ? tail_id_of(s->fd) : (struct tail_id){.ino = 0};
    struct followers between = {.len = 0};
    struct dirent *entry;
    cs_err err = CS_OK;
    DIR *dir = s->place->id.born_ns ? opendir(s->tail->path) : NULL;

    while (dir && err == CS_OK && (entry = readdir(dir)))
        err = consider(s, entry->d_name, now, &between);
    if (dir)
        closedir(dir);
    if (between.len > 0)
        qsort(between.list, between.len, sizeof *between.list, compare_born);
    for (size_t i = 0; i < between.len; i++) {
        if (err == CS_OK)
            err = tail_file_add_later(s, between.list[i].fd, &between.list[i].st);
        close(between.list[i].fd);
    }
    free(between.list);
    return err;
}

static void use(struct tail_source *s, int fd, const struct stat *st)
{
    s->fd = fd;
    s->dev = st->st_dev;
    s->ino = st->st_ino;
    s->stop = st->st_size;
}

cs_err tail_begin_at_place(struct tail_source *s, const struct stat *st)
{
    bool still = s->fd >= 0 && tail_id_same(tail_id_of(s->fd), s->place->id);
    struct stat was;
    int fd = still ? -1 : tail_open_id(s->tail, s->place->id, &was);
    cs_err err = still ? CS_OK : add_between(s);

    if (s->fd >= 0 && (fd >= 0 || s->later)) {
        if (err == CS_OK)
            err = tail_file_add_later(s, s->fd, st);
        close(s->fd);
        s->fd = -1;
    }
    if (fd >= 0)
        use(s, fd, &was);
    if ((still || fd >= 0) && tail_point_holds(&s->place->point, s->fd))
        s->at = s->place->point;
    return err;
}
