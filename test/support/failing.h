/* failing -- a story told again and again, each time with one more allocation failing.
 *
 *     static void story(void) { ... everything is made, used and freed in here ... }
 *     Test(suite, survives_every_failed_allocation) { failing_story(story); }
 */
#ifndef TEST_SUPPORT_FAILING_H
#define TEST_SUPPORT_FAILING_H

#include <stdbool.h>
#include <stddef.h>

/* Tells `story` with its 1st, 2nd ... allocation failing, until one telling asks for no more.
 * After each nothing may be alive.  Prints "failed 1..N, live 0" and answers N.  It sets the
 * library's allocator, so it comes before anything else of the library in the process. */
size_t failing_story(void (*story)(void));

/* The same with every `step`th allocation, and from there on all fail, to the end of the story. */
void failing_drought(void (*story)(void), size_t step);

/* In a story: has this telling's allocation failed already? */
bool failing_failed(void);

/* By hand: the `nth` from now on fails, and failing_failed() tells; 0: none does.  Begins with
 * failing_count(). */
void failing_arm(size_t nth);

/* Counts without failing: how many allocations are alive, and how many bytes they have. */
void failing_count(void);
size_t failing_live(void);
size_t failing_live_bytes(void);

#endif
