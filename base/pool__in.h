/* pool -- large blocks that were dropped a moment ago, for the next who wants one.
 *
 * Private to base.  A busy connection takes and drops a block of some 64 KiB several times a turn;
 * given back to the C library each time, the kernel would take the pages away and zero them again
 * for each (a third of the receiving side's time at 64 KiB a frame).  At most POOL_BYTES are kept
 * in the process.  Off with an allocator of the user's, who wants to see every call, and under a
 * sanitizer that wants to.
 */
#ifndef CS_POOL_IN_H
#define CS_POOL_IN_H

#include "base/base.h"

/* Memory of at least `size` bytes, and how much it is: NULL: none is kept. */
void *cs__pool_take(size_t size, size_t *ret_cap);
bool cs__pool_give(void *memory, size_t cap); /* false: not kept, free it */

/* Is the C library's allocator in use? */
bool cs__mem_is_system(void);

#endif
