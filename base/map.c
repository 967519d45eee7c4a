/* map -- open addressing with linear probing, for numbers and for names.
 *
 * A removed entry leaves a mark in its slot, so nothing moves: the entry that cs_map_each() gave
 * last may be removed while going on.  Marks count as used until the table is built again,
 * which it is for the number of entries it then has, so a table that was once large shrinks.
 */
#include "base/map.h"
#include "base/mem.h"

struct cs_map_slot {
    uint64_t key;
    void *value; /* NULL: free; REMOVED: was used */
};

struct cs_name_slot {
    cs_bytes key;
    uint64_t hash;
    void *value;
};

static char removed_mark;
#define REMOVED ((void *)&removed_mark)

static bool is_live(const void *value)
{
    return value && value != REMOVED;
}

/* Slots for `len` entries and one more: a power of two, at most half full when built, so that
 * a quarter of it at least is free for new entries before it must be built again; a small one, that may fill and
 * empty very often, a quarter. */
static size_t cap_for(size_t len)
{
    enum { SMALL = 4096 };
    const size_t share = len < SMALL ? 4 : 2;
    size_t cap = 8;

    while (cap / share < len + 1)
        cap *= 2;
    return cap;
}

/* One slot in four stays free: a search ends there.  Of a large table one in eight: its searches are longer
 * for it by a line of the cache or two, and its slots are what most of it costs. */
static bool is_full(size_t used, size_t cap)
{
    enum { LARGE = 16384 };

    return used + 1 > cap - cap / (cap < LARGE ? 4 : 8);
}

/* The seed is what makes collisions unforeseeable.  Should the system have no random bytes,
 * the address of the table has to do. */
static uint64_t new_seed(const void *table)
{
    uint64_t seed;

    return cs_random(&seed, sizeof(seed)) == CS_OK ? seed : (uint64_t)(uintptr_t)table;
}

/* ---- Hashing ------------------------------------------------------------------------------- */

static uint64_t rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

/* The finaliser of MurmurHash3: each bit of the input flips half of the output. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
    x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

/* Four numbers in a row lie side by side, in one line of the cache: most of our keys are counted. */
static uint64_t hash_number(uint64_t key, uint64_t seed)
{
    return mix(mix(key >> 2 ^ seed) + rotate(seed, 32)) << 2 | (key & 3);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3.  The second half of its key follows from the seed: 64 secret bits are plenty for
 * a table in memory. */
static uint64_t hash_bytes(cs_bytes key, uint64_t seed)
{
    uint64_t other = mix(seed);
    uint64_t v[4] = {
        seed ^ UINT64_C(0x736f6d6570736575),
        other ^ UINT64_C(0x646f72616e646f6d),
        seed ^ UINT64_C(0x6c7967656e657261),
        other ^ UINT64_C(0x7465646279746573),
    };
    const uint8_t *at = key.base;
    size_t left = key.len;
    uint64_t word;

    for (; left >= sizeof(word); left -= sizeof(word), at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    if (left > 0)
        memcpy(&word, at, left);
    /* The length, so that trailing zeros tell keys apart; the shift is modulo 256 by design. */
    word ^= (uint64_t)key.len << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- Numbers ------------------------------------------------------------------------------- */

static struct cs_map_slot *map_find(const struct cs_map *map, uint64_t key)
{
    size_t mask = map->cap - 1;

    if (map->cap == 0)
        return NULL;
    for (size_t i = hash_number(key, map->seed) & mask;; i = (i + 1) & mask) {
        struct cs_map_slot *slot = &map->slots[i];
        if (!slot->value)
            return NULL;
        if (slot->key == key && slot->value != REMOVED)
            return slot;
    }
}

static void map_place(struct cs_map *map, uint64_t key, void *value)
{
    size_t mask = map->cap - 1, i = hash_number(key, map->seed) & mask;

    while (is_live(map->slots[i].value))
        i = (i + 1) & mask;
    map->used += !map->slots[i].value;
    map->slots[i] = (struct cs_map_slot){key, value};
    map->len++;
}

static cs_err map_build(struct cs_map *map)
{
    struct cs_map old = *map, built = {.cap = cap_for(map->len), .seed = map->seed};
    size_t size = sizeof(*built.slots);

    built.slots = built.cap <= SIZE_MAX / size ? cs_zalloc(built.cap * size) : NULL;
    if (!built.slots)
        return CS_ENOMEM;
    if (old.cap == 0)
        built.seed = new_seed(built.slots);
    for (size_t i = 0; i < old.cap; i++)
        if (is_live(old.slots[i].value))
            map_place(&built, old.slots[i].key, old.slots[i].value);
    cs_free(old.slots);
    *map = built;
    return CS_OK;
}

void *cs_map_get(const struct cs_map *map, uint64_t key)
{
    struct cs_map_slot *slot = map_find(map, key);

    return slot ? slot->value : NULL;
}

/* Where it may go, if the key is not there: a mark on the way, or where the search ended. */
static struct cs_map_slot *map_seek(const struct cs_map *map, uint64_t key, bool *found)
{
    size_t mask = map->cap - 1;
    struct cs_map_slot *mark = NULL;

    for (size_t i = hash_number(key, map->seed) & mask;; i = (i + 1) & mask) {
        struct cs_map_slot *slot = &map->slots[i];
        *found = slot->key == key && is_live(slot->value);
        if (*found || !slot->value)
            return *found || !mark ? slot : mark;
        if (!mark && slot->value == REMOVED)
            mark = slot;
    }
}

cs_err cs_map_put(struct cs_map *map, uint64_t key, void *value)
{
    struct cs_map_slot *slot = NULL;
    bool found = false;

    if (!value)
        return CS_EMISUSE;
    if (map->cap > 0)
        slot = map_seek(map, key, &found);
    if (found)
        return CS_EEXIST;
    if (is_full(map->used, map->cap)) {
        cs_err err = map_build(map);
        if (err != CS_OK)
            return err;
        map_place(map, key, value);
        return CS_OK;
    }
    map->used += !slot->value;
    *slot = (struct cs_map_slot){key, value};
    map->len++;
    return CS_OK;
}

void *cs_map_remove(struct cs_map *map, uint64_t key)
{
    struct cs_map_slot *slot = map_find(map, key);
    size_t mask = map->cap - 1, i;
    void *value;

    if (!slot)
        return NULL;
    value = slot->value;
    slot->value = REMOVED;
    map->len--;
    /* Marks with nothing behind them guide no search: a map that fills and empties all the time
     * would only be built again and again for them. */
    i = (size_t)(slot - map->slots);
    if (!map->slots[(i + 1) & mask].value)
        for (; map->slots[i].value == REMOVED; i = (i - 1) & mask, map->used--)
            map->slots[i].value = NULL;
    return value;
}

void cs_map_fini(struct cs_map *map)
{
    cs_free(map->slots);
    *map = (struct cs_map){0};
}

bool cs_map_each(const struct cs_map *map, size_t *at, void **value)
{
    while (*at < map->cap) {
        void *found = map->slots[(*at)++].value;
        if (is_live(found)) {
            *value = found;
            return true;
        }
    }
    return false;
}

/* ---- Names --------------------------------------------------------------------------------- */

static struct cs_name_slot *names_find(const struct cs_names *names, cs_bytes key)
{
    size_t mask = names->cap - 1;
    uint64_t hash;

    if (names->cap == 0)
        return NULL;
    hash = hash_bytes(key, names->seed);
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct cs_name_slot *slot = &names->slots[i];
        if (!slot->value)
            return NULL;
        /* The key of a removed entry may be gone: it must not be looked at. */
        if (slot->value != REMOVED && slot->hash == hash && cs_same(slot->key, key))
            return slot;
    }
}

static void names_place(struct cs_names *names, struct cs_name_slot entry)
{
    size_t mask = names->cap - 1, i = entry.hash & mask;

    while (is_live(names->slots[i].value))
        i = (i + 1) & mask;
    names->used += !names->slots[i].value;
    names->slots[i] = entry;
    names->len++;
}

static cs_err names_build(struct cs_names *names)
{
    struct cs_names old = *names, built = {.cap = cap_for(names->len), .seed = names->seed};
    size_t size = sizeof(*built.slots);

    built.slots = built.cap <= SIZE_MAX / size ? cs_zalloc(built.cap * size) : NULL;
    if (!built.slots)
        return CS_ENOMEM;
    if (old.cap == 0)
        built.seed = new_seed(built.slots);
    for (size_t i = 0; i < old.cap; i++)
        if (is_live(old.slots[i].value))
            names_place(&built, old.slots[i]);
    cs_free(old.slots);
    *names = built;
    return CS_OK;
}

void *cs_names_get(const struct cs_names *names, cs_bytes key)
{
    struct cs_name_slot *slot = names_find(names, key);

    return slot ? slot->value : NULL;
}

cs_err cs_names_put(struct cs_names *names, cs_bytes key, void *value)
{
    if (!value)
        return CS_EMISUSE;
    if (names_find(names, key))
        return CS_EEXIST;
    if (is_full(names->used, names->cap)) {
        cs_err err = names_build(names);
        if (err != CS_OK)
            return err;
    }
    names_place(names, (struct cs_name_slot){key, hash_bytes(key, names->seed), value});
    return CS_OK;
}

void *cs_names_remove(struct cs_names *names, cs_bytes key)
{
    struct cs_name_slot *slot = names_find(names, key);
    size_t mask = names->cap - 1, i;
    void *value;

    if (!slot)
        return NULL;
    value = slot->value;
    *slot = (struct cs_name_slot){.value = REMOVED};
    names->len--;
    i = (size_t)(slot - names->slots);
    if (!names->slots[(i + 1) & mask].value)
        for (; names->slots[i].value == REMOVED; i = (i - 1) & mask, names->used--)
            names->slots[i].value = NULL;
    return value;
}

void cs_names_fini(struct cs_names *names)
{
    cs_free(names->slots);
    *names = (struct cs_names){0};
}

bool cs_names_each(const struct cs_names *names, size_t *at, void **value)
{
    while (*at < names->cap) {
        void *found = names->slots[(*at)++].value;
        if (is_live(found)) {
            *value = found;
            return true;
        }
    }
    return false;
}
