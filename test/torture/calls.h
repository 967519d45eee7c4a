/* calls -- the calls of the system and all that takes memory, counted, and one of them failing.
 *
 * Whoever in the program makes them, the library, one that it uses or a thread of theirs.  A call that has
 * several ways to fail fails by each in turn: calls_arm(n, way).
 */
#ifndef TEST_TORTURE_CALLS_H
#define TEST_TORTURE_CALLS_H

#include <stdbool.h>
#include <stddef.h>

/* EVENT: allocations of libevent; OURS: of the library, and of nghttp2 and protobuf-c for it; TLS: of OpenSSL. */
enum calls_kind { CALLS_SYSTEM, CALLS_EVENT, CALLS_OURS, CALLS_TLS, CALLS_KINDS };
enum { CALLS_WAYS = 4 };

/* Before anything else of the library, of libevent or of OpenSSL. */
void calls_begin(void);

/* The nth of that kind from now on fails; 0: none does, and they are counted. */
void calls_arm(enum calls_kind kind, size_t nth, int way);
/* What failed: "accept4: EMFILE"; NULL: none has.  Once it failed in its last way. */
const char *calls_failed(bool *ret_last_way);

size_t calls_made(void); /* of the kind, since it was armed */

/* Waits until as few threads are left as when it began; a minute at most. */
void calls_rest(void);
/* Alive now: allocations of libevent and of the library, and descriptors. */
size_t calls_allocations(void);
size_t calls_tls_allocations(void); /* OpenSSL's, which keeps some for the next time */
size_t calls_descriptors(void);

#endif
