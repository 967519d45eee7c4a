/* mem -- the allocator behind everything, text and bytes that grow, random bytes, the log. */
#include "base/mem.h"
#include "base/pool__in.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

/* ---- Allocation ---------------------------------------------------------------------------- */

static void *system_alloc(size_t size, void *user)
{
    (void)user;
    return cs__small_alloc(size);
}

static void *system_realloc(void *old, size_t size, void *user)
{
    (void)user;
    return realloc(old, size);
}

static void system_free(void *p, void *user)
{
    (void)user;
    cs__small_free(p);
}

static const struct cs_allocator system_allocator = {system_alloc, system_realloc, system_free,
                                                     NULL};
static struct cs_allocator memory = {system_alloc, system_realloc, system_free, NULL};

/* NULL, or a table with a hole, brings the system's allocator back. */
void cs_set_allocator(const struct cs_allocator *allocator)
{
    bool whole = allocator && allocator->alloc && allocator->realloc && allocator->free;

    memory = whole ? *allocator : system_allocator;
}

bool cs__mem_is_system(void)
{
    return memory.alloc == system_allocator.alloc;
}

/* The usual one without a detour: some forty calls a short stream. */
void *cs_alloc(size_t size)
{
    if (memory.alloc == system_alloc)
        return cs__small_alloc(size ? size : 1);
    return memory.alloc(size ? size : 1, memory.user);
}

void *cs_zalloc(size_t size)
{
    void *p = cs_alloc(size);

    if (p && size > 0)
        memset(p, 0, size);
    return p;
}

void *cs_realloc(void *old, size_t size)
{
    if (!old)
        return cs_alloc(size);
    return memory.realloc(old, size ? size : 1, memory.user);
}

void cs_free(void *p)
{
    if (!p)
        return;
    if (memory.free == system_free)
        cs__small_free(p);
    else
        memory.free(p, memory.user);
}

size_t cs_mem_resident(void)
{
    size_t all, pages = 0;
    FILE *in = fopen("/proc/self/statm", "re");

    if (in && fscanf(in, "%zu %zu", &all, &pages) != 2)
        pages = 0;
    if (in)
        fclose(in);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* The C library gives back only what lies behind the last block in use, wherever that is.  Of 200 MiB in
 * small pieces this takes 60 ms, and 12 ms where some are in use all over: then little goes back, and it is
 * tried again after one call, three, seven, up to 63. */
void cs_mem_trim(void)
{
#if defined(__GLIBC__) && !CS__KEEPS_NOTHING
    enum { MUCH = 16 * 1024 * 1024, LITTLE = MUCH / 4, PAUSE_MAX = 63 };
    static _Thread_local unsigned pause, left; /* calls */
    size_t before;

    if (left > 0) {
        left--;
        return;
    }
    if (!cs__mem_is_system() || mallinfo2().fordblks < MUCH)
        return;
    before = cs_mem_resident();
    cs__small_give_back(); /* each would hold its page */
    malloc_trim(0);
    pause = cs_mem_resident() + LITTLE < before ? 0 : 2 * pause + 1;
    if (pause > PAUSE_MAX)
        pause = PAUSE_MAX;
    left = pause;
#endif
}

void *cs_zalloc_with(size_t object, size_t extra)
{
    size_t rounded = cs_round_up(object);

    if (rounded < object || extra > SIZE_MAX - rounded)
        return NULL;
    return cs_zalloc(rounded + extra);
}

/* ---- Text ---------------------------------------------------------------------------------- */

char *cs_strdup(const char *s)
{
    return s ? cs_bytesdup(cs_str(s)) : NULL;
}

char *cs_bytesdup(cs_bytes b)
{
    char *copy = b.len < SIZE_MAX ? cs_alloc(b.len + 1) : NULL;

    if (!copy)
        return NULL;
    if (b.len > 0)
        memcpy(copy, b.base, b.len);
    copy[b.len] = '\0';
    return copy;
}

cs_bytes cs_bytes_put(char **at, cs_bytes bytes)
{
    char *to = *at;

    if (bytes.len > 0)
        memcpy(to, bytes.base, bytes.len);
    *at += bytes.len;
    return cs_bytes_of(to, bytes.len);
}

char *cs_vprintf(const char *format, va_list args)
{
    va_list again;
    char *text;
    int len;

    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0)
        return NULL;
    text = cs_alloc((size_t)len + 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, format, args);
    return text;
}

char *cs_printf(const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = cs_vprintf(format, args);
    va_end(args);
    return text;
}

void cs_story(char **story, const char *format, ...)
{
    va_list args;
    char *text;

    if (!story)
        return;
    va_start(args, format);
    text = cs_vprintf(format, args);
    va_end(args);
    if (!text)
        return;
    /* Only now: the arguments may quote the old text. */
    cs_free(*story);
    *story = text;
}

/* ---- Bytes that grow ----------------------------------------------------------------------- */

cs_err cs_buf_reserve(struct cs_buf *buf, size_t more)
{
    size_t need, cap = buf->cap < 32 ? 64 : buf->cap;
    uint8_t *base;

    if (more > SIZE_MAX - buf->len)
        return CS_ENOMEM;
    need = buf->len + more;
    if (need <= buf->cap)
        return CS_OK;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    base = cs_realloc(buf->base, cap);
    if (!base)
        return CS_ENOMEM;
    buf->base = base;
    buf->cap = cap;
    return CS_OK;
}

cs_err cs_buf_add(struct cs_buf *buf, cs_bytes bytes)
{
    cs_err err = cs_buf_reserve(buf, bytes.len);

    if (err == CS_OK && bytes.len > 0) {
        memcpy(buf->base + buf->len, bytes.base, bytes.len);
        buf->len += bytes.len;
    }
    return err;
}

void cs_buf_fini(struct cs_buf *buf)
{
    cs_free(buf->base);
    *buf = (struct cs_buf){0};
}

/* ---- Random bytes and secrets -------------------------------------------------------------- */

/* Tickets and seeds are 8 to 32 bytes each: one system call fetches enough for a few dozen. */
static struct {
    pthread_mutex_t lock;
    uint8_t bytes[512];
    size_t left; /* unused, at the end of `bytes` */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static cs_err random_fill(uint8_t *to, size_t len)
{
    while (len > 0) {
        ssize_t got = getrandom(to, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return CS_ESYS;
        to += got;
        len -= (size_t)got;
    }
    return CS_OK;
}

cs_err cs_random(void *to, size_t len)
{
    cs_err err = CS_OK;
    uint8_t *from;

    if (len > sizeof(pool.bytes) / 4)
        return random_fill(to, len);
    pthread_mutex_lock(&pool.lock);
    if (pool.left < len) {
        err = random_fill(pool.bytes, sizeof(pool.bytes));
        pool.left = err == CS_OK ? sizeof(pool.bytes) : 0;
    }
    if (err == CS_OK && len > 0) {
        from = pool.bytes + sizeof(pool.bytes) - pool.left;
        memcpy(to, from, len);
        explicit_bzero(from, len); /* a secret lies in one place only */
        pool.left -= len;
    }
    pthread_mutex_unlock(&pool.lock);
    return err;
}

bool cs_same_secret(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a, *y = b;
    volatile uint64_t differs = 0; /* nobody may conclude anything before the end */
    uint64_t p, q;
    size_t i = 0;

    for (; len - i >= sizeof p; i += sizeof p) {
        memcpy(&p, x + i, sizeof p);
        memcpy(&q, y + i, sizeof q);
        differs = differs | (p ^ q);
    }
    for (; i < len; i++)
        differs = differs | (uint64_t)(x[i] ^ y[i]);
    return differs == 0;
}

/* ---- The log ------------------------------------------------------------------------------- */

/* The sink runs under the lock: lines come one at a time, and once cs_set_log() has returned the
 * old sink is not running any more.  The level is read without it, because most lines go
 * nowhere. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static cs_log_fn *log_sink;
static void *log_user;
static atomic_int log_up_to = -1; /* -1: nothing */

void cs_set_log(cs_log_fn *log, void *user, cs_level up_to)
{
    pthread_mutex_lock(&log_lock);
    log_sink = log;
    log_user = user;
    atomic_store_explicit(&log_up_to, log ? (int)up_to : -1, memory_order_relaxed);
    pthread_mutex_unlock(&log_lock);
}

void cs_log(cs_level level, const char *room, const char *format, ...)
{
    char line[1024]; /* what is longer is cut, so that logging needs no memory */
    va_list args;

    if ((int)level > atomic_load_explicit(&log_up_to, memory_order_relaxed))
        return;
    va_start(args, format);
    if (vsnprintf(line, sizeof(line), format, args) < 0)
        line[0] = '\0';
    va_end(args);
    /* What a peer wrote may be quoted here, and must not be able to forge a line. */
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    pthread_mutex_lock(&log_lock);
    if (log_sink)
        log_sink(level, room, line, log_user);
    pthread_mutex_unlock(&log_lock);
}
