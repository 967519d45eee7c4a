/* mem -- the allocator behind everything, and the two shapes that grow: text and bytes.
 *
 * Room header: for the library's own rooms, not installed.  Every allocation of the library
 * (and of nghttp2 and protobuf-c inside it) passes here, so a test can fail each in turn.
 */
#ifndef CS_MEM_H
#define CS_MEM_H

#include "base/inner.h"

#include <stdarg.h>

CS_INNER void *cs_alloc(size_t size);  /* NULL: no memory.  size 0 answers a pointer too */
CS_INNER void *cs_zalloc(size_t size); /* the same, zeroed */
CS_INNER void *cs_realloc(void *old, size_t size);
CS_INNER void cs_free(void *p); /* NULL is fine */

/* Chunks, which streams send from: sizes above the one and up to the other.  Of these, as of small sizes, some dozens
 * that were let go of wait for who asks next. */
enum { CS_CHUNK_LEAST = 16 * 1024, CS_CHUNK = CS_CHUNK_LEAST + 128 };

/* What was let go of goes back to the system, when it is much; else it stays for who asks next.  To be
 * called seldom: it looks through all that is free, and now and then does nothing, where that was in vain. */
void cs_mem_trim(void);
size_t
cs_mem_resident(void); /* bytes of the process that lie in memory; 0: the system does not say */

/* An object with `extra` bytes behind it, all zero; the extra begins at cs_extra(). */
void *cs_zalloc_with(size_t object, size_t extra);
static inline size_t cs_round_up(size_t n)
{
    return (n + 15u) & ~(size_t)15u;
}
static inline void *cs_extra(void *object, size_t object_size)
{
    return (char *)object + cs_round_up(object_size);
}

CS_INNER char *cs_strdup(const char *s); /* NULL: no memory, or s is NULL */
CS_INNER char *cs_bytesdup(cs_bytes b);  /* NUL appended */
char *cs_printf(const char *format, ...) CS_PRINTF(1, 2);
CS_INNER char *cs_vprintf(const char *format, va_list args);

/* Copies `bytes` to `*at`, which moves behind them; answers the copy.  There is room for them. */
CS_INNER cs_bytes cs_bytes_put(char **at, cs_bytes bytes);

/* An error story of an object: replaced, never leaked; NULL-safe; keeps the old text when there
 * is no memory for the new one. */
void cs_story(char **story, const char *format, ...) CS_PRINTF(2, 3);

/* Bytes that grow at the end.  {0} is empty. */
struct cs_buf {
    uint8_t *base;
    size_t len, cap;
};
CS_INNER cs_err cs_buf_reserve(struct cs_buf *buf, size_t more); /* room for `more` behind len */
CS_INNER cs_err cs_buf_add(struct cs_buf *buf, cs_bytes bytes);
CS_INNER void cs_buf_fini(struct cs_buf *buf); /* leaves {0} */

/* Random bytes from the system; never fails in practice, CS_ESYS if it does. */
cs_err cs_random(void *to, size_t len);

/* Equal?  In a time that depends on `len` alone: for secrets. */
bool cs_same_secret(const void *a, const void *b, size_t len);
/* The same of eight bytes, without a call. */
static inline bool cs_same_secret8(const void *a, const void *b)
{
    volatile uint64_t differs; /* nobody may conclude anything from a part of it */
    uint64_t p, q;

    memcpy(&p, a, sizeof p);
    memcpy(&q, b, sizeof q);
    differs = p ^ q;
    return differs == 0;
}

void cs_log(cs_level level, const char *room, const char *format, ...) CS_PRINTF(3, 4);

#endif
