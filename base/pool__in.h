/* pool -- memory that was let go of a moment ago, for the next who wants some: large blocks (pool.c),
 * and small ones (small.c).
 *
 * Private to base.  A busy connection takes and drops a block of some 64 KiB several times a turn;
 * given back to the C library each time, the kernel would take the pages away and zero them again
 * for each (a third of the receiving side's time at 64 KiB a frame).  At most POOL_BYTES are kept
 * in the process.
 *
 * A hundred streams ask at once for the same dozen small sizes, and let go of them at once, and the C
 * library's own quick list has seven of each.  At most 1 MiB waits in each thread (w4, 100 in flight:
 * a seventh more streams a second), and of the 16 KiB that a stream sends from 64: what a session keeps comes and
 * goes at the end of the heap, and its pages with it, tens of thousands a second (w1, 1 KiB: 1.5 times the rate).
 *
 * Off with an allocator of the user's, who wants to see every call, and under a
 * sanitizer that wants to.
 */
#ifndef CS_POOL_IN_H
#define CS_POOL_IN_H

#include "base/base.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CS__KEEPS_NOTHING 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CS__KEEPS_NOTHING 1
#endif
#endif
#ifndef CS__KEEPS_NOTHING
#define CS__KEEPS_NOTHING 0
#endif

/* Memory of at least `size` bytes, and how much it is: NULL: none is kept. */
void *cs__pool_take(size_t size, size_t *ret_cap);
bool cs__pool_give(void *memory, size_t cap); /* false: not kept, free it */

/* What malloc() and free() do; of a thread that ends nothing is left. */
void *cs__small_alloc(size_t size);
void cs__small_free(void *memory);
size_t cs__small_bytes(void);   /* that wait in this thread */
void cs__small_give_back(void); /* these, to the C library */

/* Is the C library's allocator in use? */
bool cs__mem_is_system(void);

#endif
