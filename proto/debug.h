/* debug -- the messages of debug.proto, as a server writes them.  Room header. */
#ifndef WIRE_DEBUG_H
#define WIRE_DEBUG_H

#include "base/inner.h"
#include "base/mem.h"

/* A StatRequest.  CS_EPROTO. */
CS_INNER cs_err wire_stat_parse(cs_bytes msg, uint32_t *ret_max);

/* A StatReply is these behind each other, in any order.  CS_OK; CS_ENOMEM: nothing was added.  Texts that
 * are no UTF-8 go out with '?' in their place. */
enum wire_stat_number { /* the fields of a StatEntry that are numbers: X(name, field) below */
#define WIRE_STAT_NUMBERS(X)                                                                       \
    X(KIND, 1)                                                                                     \
    X(LOOP, 2)                                                                                     \
    X(NUMBER, 3)                                                                                   \
    X(OF, 4)                                                                                       \
    X(AGE_MS, 8)                                                                                   \
    X(STILL_MS, 9)                                                                                 \
    X(BYTES_IN, 10)                                                                                \
    X(BYTES_OUT, 11)                                                                               \
    X(MESSAGES, 12)                                                                                \
    X(QUEUED, 13)                                                                                  \
    X(KEPT, 14)                                                                                    \
    X(CREDIT, 15)                                                                                  \
    X(PARTS, 16)
#define X(name, field) WIRE_STAT_##name,
                        WIRE_STAT_NUMBERS(X)
#undef X
                            WIRE_STAT_COUNT
};
struct wire_stat {
    uint64_t numbers[WIRE_STAT_COUNT]; /* credit: as int64 */
    cs_bytes service, peer, waits;
};
CS_INNER cs_err wire_stat_add(struct cs_buf *to, const struct wire_stat *stat);
CS_INNER cs_err wire_stat_add_left(struct cs_buf *to, uint64_t left);
CS_INNER cs_err wire_stat_add_counter(struct cs_buf *to, const char *name, uint64_t value);

#endif
