/* count -- how many messages have arrived whole, told from their bytes alone.
 *
 * A message is looked at where it lies; of one that lies in several pieces, and may be short, the
 * beginning is put together.
 */
#ifndef MUX_COUNT_IN_H
#define MUX_COUNT_IN_H

#include "mux/lasting.h"

struct mux__counting {
    uint64_t received;
    uint8_t *head; /* WIRE_PREFIX + MUX_LASTING_HEAD bytes, `have` of them; or NULL */
    uint32_t left; /* bytes to come of a long message */
    uint32_t have;
};

/* The next bytes of the stream, in any pieces.  False: no memory. */
bool mux__count(const struct mux_lasting_ops *ops, struct mux__counting *counting,
                const uint8_t *bytes, size_t len);

/* What comes next begins with a message: half of one is forgotten. */
void mux__count_anew(struct mux__counting *counting);

#endif
