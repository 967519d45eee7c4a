/* ids -- which of a connection's stream ids were passed over.
 *
 * A client opens streams in the order of their ids, and opening one closes all below it that were never
 * opened (RFC 9113, 5.1.1).  nghttp2 cannot tell those from streams that are over, and is silent about
 * frames on them, which are against the rules; those on streams that are over are late, no more.
 */
#ifndef MUX_IDS_IN_H
#define MUX_IDS_IN_H

#include "base/base.h"

enum { MUX__HOLES = 16 }; /* the latest; who makes more has the first ones forgotten */

struct mux__ids {
    uint32_t last; /* opened */
    uint32_t len;
    struct {
        uint32_t first, last;
    } holes[MUX__HOLES];
};

void mux__ids_opened(struct mux__ids *ids, uint32_t id);
bool mux__ids_passed_over(const struct mux__ids *ids, uint32_t id);

#endif
