/* pool -- see pool__in.h. */
#include "base/pool__in.h"

#include <pthread.h>

enum { POOL_LEN = 16, POOL_SMALLEST = 32 * 1024, POOL_BYTES = 4 * 1024 * 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    void *memory;
    size_t cap;
} kept[POOL_LEN];
static size_t kept_len, kept_bytes;

/* Not for a small want in a large block: what it keeps alive would be more than it says. */
static bool suits(size_t cap, size_t size)
{
    return cap >= size && cap - size <= size / 4;
}

void *cs__pool_take(size_t size, size_t *ret_cap)
{
    void *memory = NULL;

    if (CS__KEEPS_NOTHING || size < POOL_SMALLEST || !cs__mem_is_system())
        return NULL;
    pthread_mutex_lock(&lock);
    for (size_t i = kept_len; i > 0 && !memory; i--) {
        if (!suits(kept[i - 1].cap, size))
            continue;
        memory = kept[i - 1].memory;
        *ret_cap = kept[i - 1].cap;
        kept_bytes -= *ret_cap;
        kept[i - 1] = kept[--kept_len];
    }
    pthread_mutex_unlock(&lock);
    return memory;
}

bool cs__pool_give(void *memory, size_t cap)
{
    bool taken = false;

    if (CS__KEEPS_NOTHING || cap < POOL_SMALLEST || !cs__mem_is_system())
        return false;
    pthread_mutex_lock(&lock);
    if (kept_len < POOL_LEN && kept_bytes + cap <= POOL_BYTES) {
        kept[kept_len].memory = memory;
        kept[kept_len++].cap = cap;
        kept_bytes += cap;
        taken = true;
    }
    pthread_mutex_unlock(&lock);
    return taken;
}
