/* map -- open addressing, from a 64-bit number or from bytes to a pointer.
 *
 * Room header.  A key of bytes is not copied: it must live as long as its entry (it usually
 * lies in the object that the entry points at).  {0} is an empty map.  A value is never NULL.
 * While going through with _each(), the entry that it gave last may be removed.
 */
#ifndef CS_MAP_H
#define CS_MAP_H

#include "base/inner.h"

struct cs_map_slot;
struct cs_map {
    struct cs_map_slot *slots;
    size_t len, cap;
    size_t used;   /* slots that hold an entry, or did */
    uint64_t seed; /* random: a peer cannot choose keys that collide */
};

void *cs_map_get(const struct cs_map *map, uint64_t key);         /* NULL: not there */
cs_err cs_map_put(struct cs_map *map, uint64_t key, void *value); /* CS_EEXIST, CS_ENOMEM */
void *cs_map_remove(struct cs_map *map, uint64_t key);            /* what it was, or NULL */
void cs_map_fini(struct cs_map *map);
bool cs_map_each(const struct cs_map *map, size_t *at, void **value); /* *at begins at 0 */

/* The same with names. */
struct cs_names {
    struct cs_name_slot *slots;
    size_t len, cap, used;
    uint64_t seed;
};
CS_INNER void *cs_names_get(const struct cs_names *names, cs_bytes key);
CS_INNER cs_err cs_names_put(struct cs_names *names, cs_bytes key, void *value);
CS_INNER void *cs_names_remove(struct cs_names *names, cs_bytes key);
CS_INNER void cs_names_fini(struct cs_names *names);
CS_INNER bool cs_names_each(const struct cs_names *names, size_t *at, void **value);

#endif
