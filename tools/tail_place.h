/* tail_place -- where a reader of the kind "tail" is, so that he can go on in another post.
 *
 * Who asks with "mark=1" is told by a frame "\nFILE:OFFSET" what the lines behind it are of: the
 * file, and the byte that the first of them begins at.  No line looks like that, for a line ends
 * with its first newline.  From there on he counts bytes, and goes on with
 * "at=NAME@FILE:OFFSET:LAST": LAST are the bytes before OFFSET, at most TAIL_LAST, in hexadecimal.
 * They and FILE are held against what is there, so that a place is never one of another file.
 */
#ifndef TOOLS_TAIL_PLACE_H
#define TOOLS_TAIL_PLACE_H

#include "base/base.h"

#include <stdio.h>

/* How much of what was read is held against the file at each further reading, so that one which was
 * truncated and has grown past our place again is found out. */
enum { TAIL_LAST = 32 };

/* A point in a file, and the bytes before it. */
struct tail_point {
    int64_t pos;
    uint8_t last[TAIL_LAST];
    uint8_t last_len;
};
void tail_point_pass(struct tail_point *point, const void *bytes, size_t len);

/* Does the file have these bytes there? */
bool tail_point_holds(const struct tail_point *point, int fd);

/* A file, whatever its name is: the number of an inode is given again, but not with the same birth
 * (0: the file system knows of none). */
struct tail_id {
    uint64_t ino, born_ns;
};
struct tail_id tail_id_of(int fd);
static inline bool tail_id_same(struct tail_id a, struct tail_id b)
{
    return a.ino == b.ino && a.born_ns == b.born_ns;
}

struct tail_place {
    struct tail_id id;
    struct tail_point point;
    bool known; /* or there was no mark yet */
    bool asked; /* this post began there, and no mark has said so */
    char name[];
};

/* Places by name: a tsearch(3) tree.  The second makes it if need be (NULL: no memory). */
struct tail_place *tail_place_find(void *const *places, const char *name);
struct tail_place *tail_place_make(void **places, cs_bytes name);
void tail_places_free(void *places);

/* "NAME@FILE:OFFSET[:LAST]": CS_OK; CS_EINVAL: it is none, or the name is there; CS_ENOMEM. */
cs_err tail_place_add(void **places, cs_bytes text);
void tail_place_write(const struct tail_place *place, FILE *to); /* the same */

/* A mark as a frame, with malloc(); NULL: no memory. */
char *tail_mark_new(struct tail_id id, int64_t pos);
bool tail_mark_read(cs_bytes frame, struct tail_id *id, int64_t *pos); /* false: it is a line */

/* "[GLOB][?OPTIONS]": where the question mark of the options is; body.len: there is none.  It is a
 * wildcard too, so only one with the name of an option behind it counts. */
size_t tail_options_at(cs_bytes body);

#endif
