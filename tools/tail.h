/* tail -- the inside of the service kind "tail": what its files share.
 *
 *   kind_tail   the service, and a post: which files are announced
 *   tail_dir    the directory: inotify, what its events mean
 *   tail_open   a file of it, by its name or by what it is
 *   tail_file   one file as a source: its lines, and those of the files that take over its name
 *   tail_begin  where it begins for a reader who says a place (tail_place)
 *
 * ROTATION  A source stands for a name, as with `tail -F`.  When another file takes the name over
 * (a is renamed to a.1, a new a is made), the source reads the old one to its end and goes on with
 * the new one.  Each successor is opened as soon as its event is seen, whether or not the reader
 * has room, so a reader that is many rotations behind misses none; where events come in a bundle,
 * they tell under which name a successor is to be found by now.
 */
#ifndef TOOLS_TAIL_H
#define TOOLS_TAIL_H

#include "tools/lines.h"
#include "tools/loop_watch.h"
#include "tools/tail_place.h"
#include "chanserv/chanserv.h"

#include <sys/queue.h>
#include <sys/stat.h>

struct tail_event {
    uint32_t mask, cookie;
    char *name; /* NULL: of the directory itself */
};

LIST_HEAD(tail_sources, tail_source);

/* The open sources that follow one name. */
struct tail_name {
    const char *name;
    struct tail_sources sources;
    char text[];
};

struct tail {
    cs_loop *loop;
    char *path;
    bool there;  /* or it is gone, and the next post looks again.  No descriptor of it is held: the
                    kernel would not say that it is removed */
    int inotify; /* with two watches: the directory, and the one above for its removal */
    int above;   /* the second watch, -1: none */
    char *name;  /* of the directory in the one above */
    struct tool_watch *watch;
    void *names;               /* tsearch(3) tree of struct tail_name */
    struct tail_sources moved; /* whose file has lost its name: any event may be about it */
    struct tail_event *events; /* [at, len): read and not handled yet */
    size_t at, len, cap;
    bool missed;                  /* events are lost: look at everything */
    LIST_HEAD(, tail_post) posts; /* that follow */
};

struct tail_post {
    struct tail *tail;
    chanserv_post *post;
    cs_bytes glob;
    bool follow, linked;
    bool mark;    /* tell where lines are */
    void *places; /* of struct tail_place: where sources go on */
    void *seen;   /* tsearch(3) tree of char *: every name is announced once */
    char **queue; /* of those, [at, len) are not announced yet */
    size_t at, len, cap;
    LIST_ENTRY(tail_post) link;
};

/* A file that took over the name of the one before it. */
struct tail_later {
    int fd;
    dev_t dev;
    ino_t ino;
    int64_t stop;
    struct tail_later *next;
};

struct tail_source {
    struct tail *tail;
    struct tail_name *of; /* NULL: not opened, or does not follow */
    const char *name;     /* the post's */
    chanserv_outlet *outlet;
    bool follow;
    bool truncated; /* seen to be shorter than what was read */
    bool moved;     /* the last of its files has lost the name */
    cs_err why;     /* it must end: CS_OK if not */
    int fd;         /* -1: none */
    dev_t dev;
    ino_t ino;
    struct tail_point at;           /* what was read of it */
    int64_t stop;                   /* where it ends if it does not follow */
    const struct tail_place *place; /* the post's: where it begins; NULL: at the beginning */
    bool mark, mark_due;            /* a mark is asked for; and it comes next */
    char *marked;                   /* the last one */
    struct lines lines;
    struct tail_later *later;
    unsigned later_len;
    LIST_ENTRY(tail_source) same, moved_link;
};

/* ---- tail_dir ------------------------------------------------------------------------------- */

cs_err tail_dir_open(struct tail *tail); /* errno has the reason for CS_ENOENT, CS_EPERM, CS_ESYS */
void tail_dir_close(struct tail *tail);

/* As tail_open_name(), for one who will follow the name: by and by he is told of every file
 * that takes it over, none left out, and calls tail_dir_look() when he is in the list of the name. */
int tail_dir_open_file(struct tail *tail, const char *name, struct stat *ret);
void tail_dir_look(struct tail *tail); /* handles what has happened */

/* ---- tail_open ------------------------------------------------------------------------------ */

/* Opens the regular file that has this name: -1 and errno.  EMLINK, which open() does not know,
 * says that it is no regular file. */
int tail_open_name(const struct tail *tail, const char *name, struct stat *ret);

/* This file, by whatever name it is there: -1, it is not. */
int tail_open_id(const struct tail *tail, struct tail_id id, struct stat *ret);

char *tail_open_path(const struct tail *tail, const char *name); /* NULL: no memory; free() it */
cs_err tail_open_err(int error); /* an errno, as what a reader is told */

/* ---- kind_tail ------------------------------------------------------------------------------ */

/* A name is there: announce it if it is new and wanted. */
void tail_post_offer(struct tail_post *p, const char *name);
void tail_post_scan(struct tail_post *p); /* offers every name there is */
void tail_post_gone(struct tail_post *p); /* the directory is: the post ends */

/* ---- tail_file ------------------------------------------------------------------------------ */

extern const struct chanserv_outlet_ops tail_file_ops; /* state: struct tail_source */

/* Its name now belongs to this file.  `fd` is the caller's. */
void tail_file_took_over(struct tail_source *s, int fd, const struct stat *st);
cs_err tail_file_add_later(struct tail_source *s, int fd, const struct stat *st);
void tail_file_lost_name(struct tail_source *s);
void tail_file_changed(struct tail_source *s); /* it may have more, or less */
struct tail_name *tail_name_find(struct tail *tail, const char *name);

/* ---- tail_begin ----------------------------------------------------------------------------- */

/* `fd`, if any, is what has the name now.  An error: CS_ENOMEM, CS_ELIMIT (descriptors),
 * CS_EDATALOSS (too many files between). */
cs_err tail_begin_at_place(struct tail_source *s, const struct stat *st);

#endif
