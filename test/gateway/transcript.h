/* transcript -- what the reader of requests makes of some bytes, as one text:
 *
 *     GET /a?b of=h 1.1 keep | host: h | "body" .          a request, its end
 *     !400 a field has no colon                            refused
 *     ~                                                    a request that is not over
 */
#ifndef TEST_GATEWAY_TRANSCRIPT_H
#define TEST_GATEWAY_TRANSCRIPT_H

#include "gateway/http1__in.h"

enum { TRANSCRIPT_BODY_MAX = 100000 };

/* `bytes` in pieces of `step`; with a head of at most 64 KiB. */
void transcript(cs_bytes bytes, size_t step, struct cs_buf *ret);

#endif
