/* count -- how many messages have arrived whole, told from their bytes alone. */
#ifndef MUX_COUNT_IN_H
#define MUX_COUNT_IN_H

#include "mux/lasting.h"

struct mux__counting {
    uint64_t received;
    struct mux__half *half; /* of the message that has come in part; or NULL */
};

/* The next bytes of the stream, in any pieces.  False: no memory. */
bool mux__count(const struct mux_lasting_ops *ops, struct mux__counting *counting,
                const uint8_t *bytes, size_t len);

/* What comes next begins with a message: half of one is forgotten. */
void mux__count_anew(struct mux__counting *counting);

#endif
