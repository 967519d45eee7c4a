/* whole -- see whole__in.h. */
#include "chanserv/whole__in.h"

#include "base/mem.h"

void chanserv__whole_drop(struct chanserv__whole **at, const struct chanserv__assembly *of)
{
    struct chanserv__whole *whole = *at;

    if (!whole)
        return;
    atomic_fetch_sub_explicit(of->used, (long long)whole->cap, memory_order_relaxed);
    cs_free(whole->base);
    cs_free(whole);
    *at = NULL;
}

static bool budget_take(const struct chanserv__assembly *of, size_t bytes)
{
    long long had = atomic_fetch_add_explicit(of->used, (long long)bytes, memory_order_relaxed);

    if (had + (long long)bytes <= of->bytes_max)
        return true;
    atomic_fetch_sub_explicit(of->used, (long long)bytes, memory_order_relaxed);
    return false;
}

/* By doubling, while the budget allows it; else exactly what is needed. */
static cs_err grow(struct chanserv__whole *whole, const struct chanserv__assembly *of, size_t need)
{
    size_t cap = 2 * whole->cap > need ? 2 * whole->cap : need;
    uint8_t *base;

    if (!budget_take(of, cap - whole->cap)) {
        cap = need;
        if (!budget_take(of, cap - whole->cap))
            return CS_ELIMIT;
    }
    if (!(base = cs_realloc(whole->base, cap))) {
        atomic_fetch_sub_explicit(of->used, (long long)(cap - whole->cap), memory_order_relaxed);
        return CS_ENOMEM;
    }
    whole->base = base;
    whole->cap = cap;
    return CS_OK;
}

cs_err chanserv__whole_add(struct chanserv__whole **at, const struct chanserv__assembly *of,
                           cs_bytes part)
{
    struct chanserv__whole *whole = *at;
    cs_err err;

    if (!whole && !(whole = *at = cs_zalloc(sizeof *whole)))
        return CS_ENOMEM;
    if ((int64_t)(whole->len + part.len) > of->frame_max)
        return CS_ETOOBIG;
    if (whole->len + part.len > whole->cap &&
        (err = grow(whole, of, whole->len + part.len)) != CS_OK)
        return err;
    if (part.len)
        memcpy(whole->base + whole->len, part.base, part.len);
    whole->len += part.len;
    return CS_OK;
}

cs_err chanserv__whole_move(struct chanserv__whole **at, const struct chanserv__assembly *of,
                            cs_ref *ret)
{
    struct chanserv__whole *whole = *at;
    cs_err err = cs_ref_wrap(cs_bytes_of(whole->base, whole->len), cs_free, whole->base, ret);

    if (err == CS_OK)
        whole->base = NULL;
    chanserv__whole_drop(at, of);
    return err;
}
