/* stranger -- somebody who connects to a server inside the process, says some bytes and leaves. */
#ifndef TEST_SUPPORT_STRANGER_H
#define TEST_SUPPORT_STRANGER_H

#include "base/loop.h"
#include "mux/mux.h"

/* On a virtual loop; back when it has settled. */
void stranger_says(cs_loop *loop, mux_handlers *handlers, cs_bytes bytes);

#endif
