/* whole__in -- a frame that is put together of its parts, on either side.  Private to chanserv.
 *
 * What is being put together shares a budget with all others that are, because a peer decides
 * how many there are at once. */
#ifndef CHANSERV_WHOLE_IN_H
#define CHANSERV_WHOLE_IN_H

#include "base/base.h"

#include <stdatomic.h>

struct chanserv__whole {
    uint8_t *base;
    size_t len, cap; /* the budget has given `cap` */
    bool complete;   /* handed out */
};

struct chanserv__assembly {
    atomic_llong *used; /* bytes of all that are put together now */
    int64_t bytes_max;  /* of all of them */
    int64_t frame_max;  /* of one */
};

/* Appends a part to `*whole`, which is made when it is NULL.  CS_ETOOBIG: the frame; CS_ELIMIT: all
 * of them; CS_ENOMEM. */
cs_err chanserv__whole_add(struct chanserv__whole **whole, const struct chanserv__assembly *of,
                           cs_bytes part);
void chanserv__whole_drop(struct chanserv__whole **whole, const struct chanserv__assembly *of);
/* Moves the bytes into a reference of the caller's; `*whole` is gone, whatever it answers. */
cs_err chanserv__whole_move(struct chanserv__whole **whole, const struct chanserv__assembly *of,
                            cs_ref *ret);

#endif
