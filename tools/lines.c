/* lines -- see lines.h. */
#include "tools/lines.h"

#include <stdlib.h>

static bool give(struct lines *lines, size_t len, cs_bytes *ret)
{
    *ret = cs_bytes_of(lines->base + lines->from, len);
    lines->from += len;
    lines->scanned = lines->from;
    return true;
}

bool lines_next(struct lines *lines, cs_bytes *ret)
{
    size_t len = lines->end - lines->from, seen = lines->scanned - lines->from;
    const uint8_t *newline = NULL;

    if (len > LINES_MAX)
        len = LINES_MAX;
    if (seen < len)
        newline = memchr(lines->base + lines->scanned, '\n', len - seen);
    if (newline)
        return give(lines, (size_t)(newline - lines->base) + 1 - lines->from, ret);
    if (len == LINES_MAX)
        return give(lines, len, ret);
    lines->scanned = lines->end;
    return false;
}

bool lines_rest(struct lines *lines, cs_bytes *ret)
{
    return !lines_empty(lines) && give(lines, lines->end - lines->from, ret);
}

uint8_t *lines_room(struct lines *lines, size_t *ret_len)
{
    if (!lines->base && !(lines->base = malloc(LINES_BLOCK)))
        return NULL;
    if (lines->from > 0) {
        memmove(lines->base, lines->base + lines->from, lines->end - lines->from);
        lines->end -= lines->from;
        lines->scanned -= lines->from;
        lines->from = 0;
    }
    *ret_len = LINES_BLOCK - lines->end;
    return lines->base + lines->end;
}

void lines_added(struct lines *lines, size_t len)
{
    lines->end += len;
}

void lines_clear(struct lines *lines)
{
    free(lines->base);
    *lines = (struct lines){.base = NULL};
}
