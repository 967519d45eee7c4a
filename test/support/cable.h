/* cable -- a connection inside the process, on a virtual loop, whose bytes take their time, and that breaks
 * behind a byte of the test's choice. */
#ifndef TEST_SUPPORT_CABLE_H
#define TEST_SUPPORT_CABLE_H

#include "base/list.h"
#include "mux/mux.h"

enum cable_way { CABLE_UP, CABLE_DOWN }; /* to the server, to the client */

struct cable {
    cs_loop *loop;
    mux_handlers *handlers;    /* whom the next dial meets */
    struct mux_options server; /* of the server's end */
    int delay_ms;      /* each way; a dial takes both, and is accepted one later, as TCP does it */
    int64_t cut_at[2]; /* what passes of the first connection; then it breaks.  -1: all */
    int64_t passed[2]; /* of the first connection */
    int dials;         /* seen */
    bool cut;          /* it breaks in a millisecond */
    struct cs_list lines;
};

/* `delay_ms` and `cut_at` may be set until the loop runs. */
void cable_init(struct cable *cable, cs_loop *loop, mux_handlers *handlers);
/* As mux_dial() does, through the cable. */
void cable_dial(struct cable *cable, const struct mux_options *options, mux_conn **ret);
void cable_fini(struct cable *cable); /* after both sides */

#endif
