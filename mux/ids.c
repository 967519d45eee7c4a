/* ids -- see ids__in.h. */
#include "mux/ids__in.h"

#include <string.h>

void mux__ids_opened(struct mux__ids *ids, uint32_t id)
{
    uint32_t next = ids->last == 0 ? 1 : ids->last + 2;

    if (id % 2 == 0 || id <= ids->last)
        return;
    if (id > next) {
        if (ids->len == MUX__HOLES)
            memmove(ids->holes, ids->holes + 1, --ids->len * sizeof *ids->holes);
        ids->holes[ids->len].first = next;
        ids->holes[ids->len++].last = id - 2;
    }
    ids->last = id;
}

bool mux__ids_passed_over(const struct mux__ids *ids, uint32_t id)
{
    for (uint32_t i = 0; id % 2 == 1 && i < ids->len; i++)
        if (ids->holes[i].first <= id && id <= ids->holes[i].last)
            return true;
    return false;
}
