/* tail_place -- see tail_place.h. */
#include "tools/tail_place.h"
#include "tools/tool.h"

#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Points and files ----------------------------------------------------------------------- */

void tail_point_pass(struct tail_point *point, const void *bytes, size_t len)
{
    const uint8_t *from = bytes;
    size_t keep = len >= TAIL_LAST                    ? 0
                  : point->last_len + len > TAIL_LAST ? TAIL_LAST - len
                                                      : point->last_len;

    point->pos += (int64_t)len;
    if (len > TAIL_LAST) {
        from += len - TAIL_LAST;
        len = TAIL_LAST;
    }
    memmove(point->last, point->last + point->last_len - keep, keep);
    if (len > 0)
        memcpy(point->last + keep, from, len);
    point->last_len = (uint8_t)(keep + len);
}

bool tail_point_holds(const struct tail_point *point, int fd)
{
    uint8_t last[TAIL_LAST];
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) != 0 || st.st_size < point->pos)
        return false;
    n = pread(fd, last, point->last_len, point->pos - point->last_len);
    return n == point->last_len && memcmp(last, point->last, point->last_len) == 0;
}

struct tail_id tail_id_of(int fd)
{
    struct statx st = {.stx_mask = 0};
    struct tail_id id = {.ino = 0};

    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) != 0)
        return id;
    id.ino = st.stx_ino;
    if (st.stx_mask & STATX_BTIME)
        id.born_ns = (uint64_t)st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec;
    return id;
}

/* ---- By name -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct tail_place *)a)->name, ((const struct tail_place *)b)->name);
}

static struct tail_place *place_new(cs_bytes name)
{
    struct tail_place *place = calloc(1, sizeof *place + name.len + 1);

    if (place && name.len > 0)
        memcpy(place->name, name.base, name.len);
    return place;
}

struct tail_place *tail_place_find(void *const *places, const char *name)
{
    struct tail_place *key = place_new(cs_str(name)), *const *found = NULL;

    if (key)
        found = (struct tail_place *const *)tfind(key, places, compare);
    free(key);
    return found ? *found : NULL;
}

struct tail_place *tail_place_make(void **places, cs_bytes name)
{
    struct tail_place *place = place_new(name), **there;

    if (!place)
        return NULL;
    there = (struct tail_place **)tsearch(place, places, compare);
    if (!there || *there != place)
        free(place);
    return there ? *there : NULL;
}

void tail_places_free(void *places)
{
    tdestroy(places, free);
}

/* ---- In words ------------------------------------------------------------------------------- */

static bool is_plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

void tail_place_write(const struct tail_place *place, FILE *to)
{
    for (const char *p = place->name; *p; p++)
        fprintf(to, is_plain((uint8_t)*p) ? "%c" : "%%%02x", (uint8_t)*p);
    fprintf(to, "@%" PRIx64 ".%" PRIx64 ":%" PRId64 ":", place->id.ino, place->id.born_ns,
            place->point.pos);
    for (size_t i = 0; i < place->point.last_len; i++)
        fprintf(to, "%02x", place->point.last[i]);
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Two digits; -1. */
static int octet(const uint8_t *p, const uint8_t *end)
{
    int high = end - p >= 2 ? digit(p[0]) : -1, low = high >= 0 ? digit(p[1]) : -1;

    return low < 0 ? -1 : high * 16 + low;
}

static bool read_hex(cs_bytes text, uint64_t *ret)
{
    const uint8_t *p = text.base;

    *ret = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (digit(p[i]) < 0)
            return false;
        *ret = *ret * 16 + (uint64_t)digit(p[i]);
    }
    return text.len > 0 && text.len <= 16;
}

/* What is before the first `mark`, which goes; false: it is not there. */
static bool cut(cs_bytes *rest, char mark, cs_bytes *ret)
{
    const uint8_t *at = rest->len > 0 ? memchr(rest->base, mark, rest->len) : NULL;

    if (!at)
        return false;
    *ret = cs_bytes_of(rest->base, (size_t)(at - (const uint8_t *)rest->base));
    *rest = cs_bytes_of(at + 1, rest->len - ret->len - 1);
    return true;
}

/* "INO.BORN:OFFSET" */
static bool read_where(cs_bytes ino, cs_bytes born, cs_bytes offset, struct tail_id *id,
                       int64_t *pos)
{
    uint64_t number;

    if (!read_hex(ino, &id->ino) || !read_hex(born, &id->born_ns) ||
        !tool_number(offset, INT64_MAX, &number))
        return false;
    *pos = (int64_t)number;
    return true;
}

static bool read_last(cs_bytes text, struct tail_point *point)
{
    const uint8_t *p = text.base, *end = p + text.len;

    if (text.len > 2 * TAIL_LAST || (int64_t)text.len / 2 > point->pos)
        return false;
    for (; p < end; p += 2) {
        int byte = octet(p, end);
        if (byte < 0)
            return false;
        point->last[point->last_len++] = (uint8_t)byte;
    }
    return true;
}

/* In place, with an end; false: it is no name. */
static bool read_name(struct tail_place *place, size_t len)
{
    const uint8_t *p = (const uint8_t *)place->name, *end = p + len;
    char *to = place->name;

    while (p < end) {
        int byte = *p == '%' ? octet(p + 1, end) : *p;
        if (byte <= 0 || byte == '/')
            return false;
        p += *p == '%' ? 3 : 1;
        *to++ = (char)byte;
    }
    *to = '\0';
    return to > place->name;
}

cs_err tail_place_add(void **places, cs_bytes text)
{
    cs_bytes name, ino, born, offset;
    struct tail_place *place, **there;

    if (!cut(&text, '@', &name) || !cut(&text, '.', &ino) || !cut(&text, ':', &born))
        return CS_EINVAL;
    if (!cut(&text, ':', &offset)) {
        offset = text;
        text.len = 0;
    }
    if (!(place = place_new(name)))
        return CS_ENOMEM;
    if (!read_name(place, name.len) ||
        !read_where(ino, born, offset, &place->id, &place->point.pos) ||
        !read_last(text, &place->point)) {
        free(place);
        return CS_EINVAL;
    }
    there = (struct tail_place **)tsearch(place, places, compare);
    if (there && *there == place)
        return CS_OK;
    free(place);
    return there ? CS_EINVAL : CS_ENOMEM;
}

char *tail_mark_new(struct tail_id id, int64_t pos)
{
    char *mark;

    return asprintf(&mark, "\n%" PRIx64 ".%" PRIx64 ":%" PRId64, id.ino, id.born_ns, pos) < 0
               ? NULL
               : mark;
}

bool tail_mark_read(cs_bytes frame, struct tail_id *id, int64_t *pos)
{
    const char *text = frame.base;
    cs_bytes rest, ino, born;

    if (frame.len < 2 || text[0] != '\n')
        return false;
    rest = cs_bytes_of(text + 1, frame.len - 1);
    return cut(&rest, '.', &ino) && cut(&rest, ':', &born) && read_where(ino, born, rest, id, pos);
}

size_t tail_options_at(cs_bytes body)
{
    static const char *const names[] = {"?follow=", "?mark=", "?at="};
    const char *text = body.base;

    for (size_t at = 0; at < body.len; at++) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            size_t len = strlen(names[i]);
            if (at + len <= body.len && memcmp(text + at, names[i], len) == 0)
                return at;
        }
    }
    return body.len;
}
