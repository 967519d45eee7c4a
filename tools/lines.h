/* lines -- cuts a stream of bytes into lines, without copying them.
 *
 *     base          from           scanned        end            cap
 *      |  given out  |  no newline  |  not looked  |  room for    |
 *      |             |  in here     |  at yet      |  more        |
 *
 * A line has its newline.  One that is longer than LINES_MAX comes in pieces of LINES_MAX.  What
 * was given out is valid until the next call here.
 */
#ifndef TOOLS_LINES_H
#define TOOLS_LINES_H

#include "base/base.h"

/* A piece is a frame's size; the block has room for a whole piece behind one that is not whole. */
enum { LINES_MAX = 64 << 10, LINES_BLOCK = 2 * LINES_MAX };

struct lines { /* {0} is empty and has no block yet */
    uint8_t *base;
    size_t from, scanned, end;
};

/* The next line, or piece of one; false: more bytes are needed. */
bool lines_next(struct lines *lines, cs_bytes *ret);

/* What is left, and is no line for want of a newline; false: nothing is. */
bool lines_rest(struct lines *lines, cs_bytes *ret);

/* Where more bytes go, at least LINES_MAX of them when lines_next() was false; say how many with
 * lines_added().  NULL: no memory. */
uint8_t *lines_room(struct lines *lines, size_t *ret_len);
void lines_added(struct lines *lines, size_t len);

/* Forget everything and give the block back. */
void lines_clear(struct lines *lines);
static inline bool lines_empty(const struct lines *lines)
{
    return lines->from == lines->end;
}

#endif
