/* row -- a map for numbers that count up, as a peer gives them to what he opens.
 *
 * Room header.  A number lies where its low bits say, and is found in one step; what finds its place
 * taken, because somebody stays long or counts in his own way, is in a cs_map behind, whose seed no
 * peer knows.  {0} is an empty row.  A value is never NULL.  While going through with _each(), the
 * entry that it gave last may be removed, and nothing put.
 */
#ifndef CS_ROW_H
#define CS_ROW_H

#include "base/map.h"

struct cs_row_slot {
    uint64_t key;
    void *value; /* NULL: free */
};

struct cs_row {
    struct cs_row_slot *slots;
    size_t cap, here; /* a power of two, or 0; entries in it */
    size_t few;       /* how often in a row somebody came who found hardly any */
    struct cs_map rest;
    uint64_t rest_max; /* no key behind is greater: one that is new is not looked for there */
};

cs_err cs_row_put(struct cs_row *row, uint64_t key, void *value); /* CS_EEXIST, CS_ENOMEM */
void *cs_row_remove(struct cs_row *row, uint64_t key);            /* what it was, or NULL */
void cs_row_fini(struct cs_row *row);
bool cs_row_each(const struct cs_row *row, size_t *at, void **value); /* *at begins at 0 */

static inline void *cs_row_get(const struct cs_row *row, uint64_t key) /* NULL: not there */
{
    if (row->cap > 0) {
        const struct cs_row_slot *slot = &row->slots[key & (row->cap - 1)];
        if (slot->key == key && slot->value)
            return slot->value;
    }
    return row->rest.len > 0 && key <= row->rest_max ? cs_map_get(&row->rest, key) : NULL;
}

#endif
