/* tail_open -- a file of the directory, opened by its name or by what it is. */
#include "tools/tail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TRIES = 32 }; /* of one that changes its name faster than we can open it */

cs_err tail_open_err(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return CS_ENOENT;
    case EACCES:
    case EPERM:
        return CS_EPERM;
    case ELOOP:
    case EMLINK:
        return CS_EPRECOND;
    case EMFILE:
    case ENFILE:
    case ENOSPC: /* of inotify: the user has too many watches */
        return CS_ELIMIT;
    case ENOMEM:
        return CS_ENOMEM;
    default:
        return CS_ESYS;
    }
}

char *tail_open_path(const struct tail *tail, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", tail->path, name) < 0 ? NULL : path;
}

int tail_open_name(const struct tail *tail, const char *name, struct stat *ret)
{
    char *path = tail_open_path(tail, name);
    int fd = -1, error = ENOMEM;

    if (path) {
        /* Not blocking: what looked like a file may have become a fifo. */
        fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        error = errno;
        free(path);
    }
    if (fd < 0) {
        errno = error;
        return -1;
    }
    if (fstat(fd, ret) == 0 && S_ISREG(ret->st_mode))
        return fd;
    close(fd);
    errno = EMLINK;
    return -1;
}

/* *moved: it was there, and had another name when we came. */
static int open_entry(const struct tail *tail, const char *name, struct tail_id id,
                      struct stat *ret, bool *moved)
{
    int fd = tail_open_name(tail, name, ret);

    if (fd < 0) {
        *moved = *moved || errno == ENOENT;
        return -1;
    }
    if (tail_id_same(tail_id_of(fd), id))
        return fd;
    *moved = *moved || ret->st_ino != id.ino;
    close(fd);
    return -1;
}

int tail_open_id(const struct tail *tail, struct tail_id id, struct stat *ret)
{
    bool moved = true;
    int fd = -1;

    for (int i = 0; i < TRIES && moved && fd < 0; i++) {
        DIR *dir = opendir(tail->path);
        struct dirent *entry;

        moved = false;
        while (dir && fd < 0 && (entry = readdir(dir))) {
            if (entry->d_ino == id.ino)
                fd = open_entry(tail, entry->d_name, id, ret, &moved);
        }
        if (dir)
            closedir(dir);
    }
    return fd;
}
