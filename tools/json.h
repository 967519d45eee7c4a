/* json -- where gateway/json.h writes to in chanserv(1): a stream, whose error flag is the answer. */
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H

#include "gateway/json.h"

#include <stdio.h>

static inline void json_put(void *to, const void *bytes, size_t len) /* a gateway_put_fn */
{
    fwrite(bytes, 1, len, to);
}

#endif
