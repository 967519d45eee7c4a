/* small -- see pool__in.h. */
#include "base/mem.h"
#include "base/pool__in.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Class n holds blocks with room for at least 16 n - 8 bytes: what the C library rounds to. */
enum { GRAIN = 16, HEAD = 8, CLASSES = 65, BYTES_MAX = 1024 * 1024 };
/* Chunks: the C library would give the pages of those that were acknowledged back to the system each time, and get
 * others. */
enum { CHUNKS = 64 };

struct waiting {
    struct waiting *next;
};

struct small {
    struct waiting *first[CLASSES];
    size_t room; /* bytes that may still come to wait */
    struct waiting *chunks;
    size_t chunks_len;
};

static _Thread_local struct small *mine;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_exit;
static bool has_key;

static void free_all(struct waiting *block)
{
    for (struct waiting *next; block; block = next) {
        next = block->next;
        free(block);
    }
}

static void give_back(struct small *small)
{
    for (size_t i = 0; i < CLASSES; i++)
        free_all(small->first[i]);
    free_all(small->chunks);
    *small = (struct small){.room = BYTES_MAX};
}

void cs__small_give_back(void)
{
    if (mine)
        give_back(mine);
}

static void thread_ends(void *user)
{
    struct small *small = user;

    mine = NULL;
    give_back(small);
    free(small);
}

static void make_key(void)
{
    has_key = pthread_key_create(&at_exit, thread_ends) == 0;
}

/* NULL: nothing is kept; a thread that ends must not leave its blocks behind. */
static struct small *begin(void)
{
    struct small *small;

    (void)pthread_once(&once, make_key);
    if (!has_key || !(small = calloc(1, sizeof *small)))
        return NULL;
    if (pthread_setspecific(at_exit, small) != 0) {
        free(small);
        return NULL;
    }
    small->room = BYTES_MAX;
    mine = small;
    return small;
}

__attribute__((noinline)) static void *take(size_t size)
{
    struct waiting *block = mine ? mine->chunks : NULL;

    if (CS__KEEPS_NOTHING || size <= CS_CHUNK_LEAST || size > CS_CHUNK)
        return malloc(size);
    if (!block)
        return malloc(CS_CHUNK);
    mine->chunks = block->next;
    mine->chunks_len--;
    return block;
}

static bool keep_chunk(void *memory)
{
    struct waiting *block = memory;
    const size_t size = malloc_usable_size(memory);

    if (!mine || mine->chunks_len == CHUNKS || size < CS_CHUNK || size >= CS_CHUNK + GRAIN)
        return false;
    block->next = mine->chunks;
    mine->chunks = block;
    mine->chunks_len++;
    return true;
}

void *cs__small_alloc(size_t size)
{
    size_t n = (size + HEAD + GRAIN - 1) / GRAIN;
    struct small *small = mine;
    struct waiting *block;

    if (CS__KEEPS_NOTHING || n >= CLASSES || !small || !(block = small->first[n]))
        return take(size);
    small->first[n] = block->next;
    small->room += n * GRAIN;
    return block;
}

/* The first one of a thread, and what is not kept. */
__attribute__((noinline)) static void let_go(void *memory)
{
    if (!CS__KEEPS_NOTHING && !mine && begin())
        cs__small_free(memory);
    else if (CS__KEEPS_NOTHING || !keep_chunk(memory))
        free(memory);
}

void cs__small_free(void *memory)
{
    size_t n = CS__KEEPS_NOTHING ? CLASSES : (malloc_usable_size(memory) + HEAD) / GRAIN;
    struct small *small = mine;
    struct waiting *block = memory;

    if (n >= CLASSES || !small || small->room < n * GRAIN) {
        let_go(memory);
        return;
    }
    small->room -= n * GRAIN;
    block->next = small->first[n];
    small->first[n] = block;
}

size_t cs__small_bytes(void)
{
    return mine ? BYTES_MAX - mine->room + mine->chunks_len * CS_CHUNK : 0;
}
