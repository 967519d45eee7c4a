/* page__in -- gateway/page.html as it is served.  Private to gateway. */
#ifndef GATEWAY_PAGE_IN_H
#define GATEWAY_PAGE_IN_H

#include "gateway/gateway__in.h"

extern const cs_bytes gateway__page;
/* Its Content-Security-Policy: its own script and style, known by their hashes, its own server, and no more. */
extern const char gateway__page_policy[];

#endif
