/* row -- see row.h. */
#include "base/row.h"

#include "base/mem.h"

enum { CAP_MIN = 8, SMALL = 64 };

static struct cs_row_slot *home(const struct cs_row *row, uint64_t key)
{
    return &row->slots[key & (row->cap - 1)];
}

static cs_err rest_put(struct cs_row *row, uint64_t key, void *value)
{
    if (row->rest.len == 0 || key > row->rest_max)
        row->rest_max = key;
    return cs_map_put(&row->rest, key, value);
}

/* Two entries may want one place of a smaller row: the second goes to the rest. */
static bool move_all(struct cs_row *to, struct cs_row *from)
{
    for (size_t i = 0; i < from->cap; i++) {
        const struct cs_row_slot *slot = &from->slots[i];

        if (!slot->value)
            continue;
        if (!home(to, slot->key)->value) {
            *home(to, slot->key) = *slot;
            to->here++;
        } else if (rest_put(from, slot->key, slot->value) != CS_OK) {
            return false;
        }
    }
    return true;
}

/* What is in both, row and rest, after a move that failed. */
static void take_back(struct cs_row *row)
{
    for (size_t i = 0; i < row->cap; i++)
        if (row->slots[i].value)
            (void)cs_map_remove(&row->rest, row->slots[i].key);
}

/* False: no memory, and all is as it was. */
static bool build(struct cs_row *row, size_t cap)
{
    struct cs_row built = {.cap = cap};

    if (!(built.slots = cs_zalloc(cap * sizeof *built.slots)))
        return false;
    if (!move_all(&built, row)) {
        take_back(row);
        cs_free(built.slots);
        return false;
    }
    cs_free(row->slots);
    row->slots = built.slots;
    row->cap = built.cap;
    row->here = built.here;
    row->few = 0;
    return true;
}

/* Half of its places taken by those who are at home: it is worth twice as many.  Few, and that for long: half.
 * Who fills and empties it all the time passes by few each time. */
static void fit(struct cs_row *row, uint64_t key)
{
    const bool few = row->cap > SMALL && row->here < row->cap / 8;

    row->few = few ? row->few + 1 : 0;
    if (row->cap == 0) {
        (void)build(row, CAP_MIN);
    } else if (home(row, key)->value && row->here >= row->cap / 2) {
        (void)build(row, 2 * row->cap);
    } else if (row->few > row->cap / 8) {
        (void)build(row, row->cap / 2);
    }
}

cs_err cs_row_put(struct cs_row *row, uint64_t key, void *value)
{
    if (!value)
        return CS_EMISUSE;
    if (cs_row_get(row, key))
        return CS_EEXIST;
    fit(row, key);
    if (row->cap == 0 || home(row, key)->value)
        return rest_put(row, key, value);
    *home(row, key) = (struct cs_row_slot){key, value};
    row->here++;
    return CS_OK;
}

void *cs_row_remove(struct cs_row *row, uint64_t key)
{
    struct cs_row_slot *slot = row->cap > 0 ? home(row, key) : NULL;
    void *value;

    if (!slot || slot->key != key || !slot->value)
        return cs_map_remove(&row->rest, key);
    value = slot->value;
    slot->value = NULL;
    row->here--;
    return value;
}

void cs_row_fini(struct cs_row *row)
{
    cs_free(row->slots);
    cs_map_fini(&row->rest);
    *row = (struct cs_row){0};
}

bool cs_row_each(const struct cs_row *row, size_t *at, void **value)
{
    while (*at < row->cap) {
        void *found = row->slots[(*at)++].value;
        if (found) {
            *value = found;
            return true;
        }
    }
    size_t behind = *at - row->cap;
    bool found = cs_map_each(&row->rest, &behind, value);
    *at = row->cap + behind;
    return found;
}
