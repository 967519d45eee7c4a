/* small -- see pool__in.h. */
#include "base/pool__in.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Class n holds blocks with room for at least 16 n - 8 bytes: what the C library rounds to. */
enum { GRAIN = 16, HEAD = 8, CLASSES = 65, EACH_MAX = 1024, BYTES_MAX = 1024 * 1024 };

struct waiting {
    struct waiting *next;
};

struct small {
    struct waiting *first[CLASSES];
    uint16_t len[CLASSES];
    size_t bytes;
};

static _Thread_local struct small *mine;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_exit;
static bool has_key;

static void give_back(struct small *small)
{
    for (size_t i = 0; i < CLASSES; i++) {
        struct waiting *block = small->first[i], *next;

        for (; block; block = next) {
            next = block->next;
            free(block);
        }
    }
    memset(small, 0, sizeof *small);
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
    mine = small;
    return small;
}

void *cs__small_alloc(size_t size)
{
    size_t n = (size + HEAD + GRAIN - 1) / GRAIN;
    struct waiting *block;

    if (CS__KEEPS_NOTHING || n >= CLASSES || !mine || !(block = mine->first[n]))
        return malloc(size);
    mine->first[n] = block->next;
    mine->len[n]--;
    mine->bytes -= n * GRAIN;
    return block;
}

void cs__small_free(void *memory)
{
    size_t n = CS__KEEPS_NOTHING ? CLASSES : (malloc_usable_size(memory) + HEAD) / GRAIN;
    struct small *small = mine;
    struct waiting *block = memory;

    if (n >= CLASSES || (!small && !(small = begin())) || small->len[n] >= EACH_MAX ||
        small->bytes + n * GRAIN > BYTES_MAX) {
        free(memory);
        return;
    }
    block->next = small->first[n];
    small->first[n] = block;
    small->len[n]++;
    small->bytes += n * GRAIN;
}

size_t cs__small_bytes(void)
{
    return mine ? mine->bytes : 0;
}
