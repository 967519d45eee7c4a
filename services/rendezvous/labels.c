/* labels -- "k=v,k2=v2", and whether a selector takes them. */
#include "services/rendezvous/labels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void *(*rendezvous__alloc)(size_t size) = malloc;

/* ---- Labels --------------------------------------------------------------------------------- */

int rendezvous__by_name(const void *a, const void *b)
{
    return cs_order(*(const cs_bytes *)a, *(const cs_bytes *)b);
}

static int by_name_and_place(const void *a, const void *b)
{
    const cs_pair *x = a, *y = b;
    int order = cs_order(x->name, y->name);

    /* Names lie where they stood: of equal ones the later one comes later. */
    return order ? order : (x->name.base > y->name.base) - (x->name.base < y->name.base);
}

static size_t count_of(cs_bytes text, char c)
{
    const char *at = text.base;
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += at[i] == c;
    return n;
}

/* Room for `pairs` and a copy of the text behind them. */
static cs_pair *room_for(struct rendezvous__labels *labels, size_t pairs, size_t text)
{
    const size_t size = pairs * sizeof(cs_pair) + text + 1;

    labels->block = rendezvous__alloc(size);
    labels->bytes = rendezvous__cost(size);
    labels->all = labels->block;
    labels->len = 0;
    return labels->block;
}

static cs_err bad_item(char *why, cs_bytes text, const char *item, const char *end)
{
    snprintf(why, RENDEZVOUS__WHY, "column %zu: \"%.*s\" is not KEY=VALUE",
             (size_t)(item - (const char *)text.base) + 1, (int)(end - item < 60 ? end - item : 60),
             item);
    return CS_EINVAL;
}

cs_err rendezvous__labels_parse(cs_bytes text, struct rendezvous__labels *ret,
                                char why[RENDEZVOUS__WHY])
{
    struct rendezvous__labels labels;
    cs_pair *all = room_for(&labels, count_of(text, ',') + 1, text.len);
    size_t n = 0, kept = 0;

    if (!all)
        return CS_ENOMEM;
    char *item = (char *)(all + count_of(text, ',') + 1), *end = item + text.len;
    cs_bytes copy = {item, text.len};
    if (text.len > 0)
        memcpy(item, text.base, text.len);
    while (item <= end) {
        char *comma = memchr(item, ',', (size_t)(end - item));
        char *stop = comma ? comma : end;
        char *sign = memchr(item, '=', (size_t)(stop - item));
        if (!sign || memchr(sign + 1, '=', (size_t)(stop - sign - 1))) {
            cs_err err = bad_item(why, copy, item, stop);
            free(labels.block);
            return err;
        }
        all[n++] = (cs_pair){{item, (size_t)(sign - item)}, {sign + 1, (size_t)(stop - sign - 1)}};
        item = stop + 1;
    }
    qsort(all, n, sizeof *all, by_name_and_place);
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || !cs_same(all[i].name, all[i + 1].name))
            all[kept++] = all[i];
    labels.len = kept;
    *ret = labels;
    return CS_OK;
}

cs_err rendezvous__labels_of(cs_bytes actor, struct rendezvous__labels *ret)
{
    struct rendezvous__labels labels;
    cs_pair *all = room_for(&labels, 1, actor.len);

    if (!all)
        return CS_ENOMEM;
    memcpy(all + 1, actor.len > 0 ? actor.base : "", actor.len);
    *all = (cs_pair){cs_str("actor"), {all + 1, actor.len}};
    labels.len = 1;
    *ret = labels;
    return CS_OK;
}

void rendezvous__labels_fini(struct rendezvous__labels *labels)
{
    free(labels->block);
    *labels = (struct rendezvous__labels){0};
}

const cs_bytes *rendezvous__label(const struct rendezvous__labels *labels, cs_bytes key)
{
    const cs_pair *found = labels->len > 0 ? bsearch(&key, labels->all, labels->len,
                                                     sizeof *labels->all, rendezvous__by_name)
                                           : NULL;

    return found ? &found->value : NULL;
}

/* ---- Does it take them? --------------------------------------------------------------------- */

bool rendezvous__integer(cs_bytes text, int64_t *ret)
{
    enum { LONGEST = 64 }; /* zeroes may come first */
    const char *at = text.base;
    char copy[LONGEST + 1], *end;
    size_t i = text.len > 0 && (at[0] == '-' || at[0] == '+');

    if (i == text.len || text.len > LONGEST)
        return false;
    for (; i < text.len; i++)
        if (at[i] < '0' || at[i] > '9')
            return false;
    memcpy(copy, at, text.len);
    copy[text.len] = '\0';
    errno = 0;
    *ret = strtoll(copy, &end, 10);
    return errno == 0;
}

static bool is_among(const struct rendezvous__demand *demand, cs_bytes value)
{
    return bsearch(&value, demand->values, demand->values_len, sizeof value, rendezvous__by_name);
}

static bool is_met(const struct rendezvous__demand *demand, const cs_bytes *value)
{
    int64_t number;

    switch (demand->op) {
    case RENDEZVOUS__HAS:
        return value;
    case RENDEZVOUS__LACKS:
        return !value;
    case RENDEZVOUS__IN:
        return value && is_among(demand, *value);
    case RENDEZVOUS__OUT:
        return !value || !is_among(demand, *value);
    case RENDEZVOUS__ABOVE:
        return value && rendezvous__integer(*value, &number) && number > demand->bound;
    case RENDEZVOUS__BELOW:
        return value && rendezvous__integer(*value, &number) && number < demand->bound;
    }
    return false;
}

bool rendezvous__selector_takes(const struct rendezvous__selector *selector,
                                const struct rendezvous__labels *labels)
{
    for (size_t i = 0; i < selector->len; i++)
        if (!is_met(&selector->all[i], rendezvous__label(labels, selector->all[i].key)))
            return false;
    return true;
}
