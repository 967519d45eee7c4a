/* sendq -- see sendq__in.h. */
#include "mux/sendq__in.h"

#include "base/mem.h"

enum { CAP_MIN = 192, CAP_MAX = MUX__CHUNK }; /* a request and its head; a DATA frame */
_Static_assert((int)CAP_MAX >= (int)CS_CHUNK_LEAST && sizeof(mux__chunk) + CAP_MAX <= CS_CHUNK,
               "those that were acknowledged wait for who asks next");

static mux__chunk *chunk_new(size_t cap)
{
    mux__chunk *c = cs_alloc(sizeof *c + cap);
    if (!c)
        return NULL;
    c->next = NULL;
    c->refs = 1;
    c->cap = (uint32_t)cap;
    c->loose = c->heavy = false;
    c->first_at = 0;
    c->begun = 0;
    c->base = (const uint8_t *)(c + 1);
    c->len = 0;
    c->ref = (cs_ref){0};
    return c;
}

static void append(struct mux__sendq *q, mux__chunk *chunk)
{
    struct mux_keep *keep = q->keep;
    if (q->last) {
        q->last->next = chunk;
    } else {
        q->first = chunk;
        q->sent = 0;
    }
    q->last = chunk;
    if (!keep)
        return;
    if (keep->rest) { /* it is kept already, compressed */
        chunk->loose = true;
        return;
    }
    if (!keep->last)
        keep->first = chunk;
    else
        keep->last->next = chunk; /* all of it may have been sent, and the queue be empty */
    keep->last = chunk;
}

static void pop(struct mux__sendq *q)
{
    mux__chunk *first = q->first;
    q->first = first->next;
    if (!q->first)
        q->last = NULL;
    q->sent = 0;
    if (!q->keep || first->loose)
        mux__chunk_drop(first);
}

void mux__sendq_fini(struct mux__sendq *q)
{
    while (q->first)
        pop(q);
    q->bytes = 0;
    if (q->keep) {
        q->keep->stream = NULL;
        q->keep->rest = NULL;
    }
    q->keep = NULL;
}

static size_t spare(const struct mux__sendq *q)
{
    return q->last && q->last->cap > q->last->len ? q->last->cap - q->last->len : 0;
}

/* Room for `len` bytes in at most two chunks; nothing is lost when there is no memory. */
static cs_err reserve(struct mux__sendq *q, size_t len, mux__chunk **fresh)
{
    *fresh = NULL;
    size_t have = spare(q);
    if (have >= len)
        return CS_OK;
    size_t cap = q->last ? (size_t)q->last->cap * 4 : q->sent;
    if (cap < CAP_MIN)
        cap = CAP_MIN;
    if (cap > CAP_MAX)
        cap = CAP_MAX;
    if (cap < len - have)
        cap = len - have;
    *fresh = chunk_new(cap);
    return *fresh ? CS_OK : CS_ENOMEM;
}

static void fill(struct mux__sendq *q, const uint8_t *p, size_t len, mux__chunk **fresh)
{
    while (len > 0) {
        size_t n = spare(q);
        if (n == 0) {
            append(q, *fresh);
            *fresh = NULL;
            continue;
        }
        if (n > len)
            n = len;
        mux__chunk *c = q->last;
        memcpy((uint8_t *)(c + 1) + c->len, p, n);
        c->len += (uint32_t)n;
        p += n;
        len -= n;
        q->bytes += (uint32_t)n;
    }
}

/* `more` bytes of the same message, which takes so many numbers, will follow. */
static cs_err add(struct mux__sendq *q, const cs_bytes *parts, size_t n, size_t more,
                  uint64_t numbers)
{
    mux__chunk *fresh, *begins = spare(q) > 0 ? q->last : NULL;
    size_t len = 0, at = begins ? begins->len : 0;
    for (size_t i = 0; i < n; i++)
        len += parts[i].len;
    cs_err err = reserve(q, len, &fresh);
    if (err != CS_OK)
        return err;
    if (!begins)
        begins = fresh;
    for (size_t i = 0; i < n; i++)
        fill(q, parts[i].base, parts[i].len, &fresh);
    if (!q->keep || q->keep->rest)
        return CS_OK;
    mux__keep_count(q->keep, begins, at, len + more, numbers);
    return CS_OK;
}

cs_err mux__sendq_add(struct mux__sendq *q, const cs_bytes *parts, size_t n)
{
    return add(q, parts, n, 0, 1);
}

cs_err mux__sendq_add_heavy(struct mux__sendq *q, const cs_bytes *parts, size_t n, uint64_t numbers)
{
    if (q->last)
        q->last->cap = q->last->len; /* it gets a chunk of its own */
    cs_err err = add(q, parts, n, 0, numbers);
    if (err != CS_OK)
        return err;
    q->last->heavy = true;
    q->last->cap = q->last->len;
    return CS_OK;
}

cs_err mux__sendq_add_ref(struct mux__sendq *q, const cs_bytes *parts, size_t n, cs_ref *tail)
{
    mux__chunk *c = chunk_new(0);
    if (!c)
        return CS_ENOMEM;
    cs_err err = add(q, parts, n, tail->bytes.len, 1);
    if (err != CS_OK) {
        mux__chunk_drop(c);
        return err;
    }
    c->base = tail->bytes.base;
    c->len = (uint32_t)tail->bytes.len;
    c->cap = 0;
    c->ref = *tail;
    *tail = (cs_ref){0};
    q->bytes += (uint32_t)c->len;
    append(q, c);
    return CS_OK;
}

void mux__sendq_emit(struct mux__sendq *q, size_t len, struct mux__out *out)
{
    const uint32_t all = (uint32_t)(len < CAP_MAX / 2 ? len : CAP_MAX);
    bool mine = false;

    q->bytes -= (uint32_t)len;
    while (len > 0) {
        mux__chunk *c = q->first;
        size_t n = c->len - q->sent;
        if (n > len)
            n = len;
        mine = c->cap > 0;
        mux__out_piece(out, c->base + q->sent, n, c);
        q->sent += (uint32_t)n;
        len -= n;
        if (q->sent == c->len && (c->next || c->len >= c->cap))
            pop(q);
    }
    if (q->bytes == 0 && q->first)
        pop(q); /* what is left of a chunk is not worth keeping for an idle stream */
    if (!q->first && mine)
        q->sent = all; /* as much may come next time */
}

void mux__sendq_cut(struct mux__sendq *q, size_t keep)
{
    if (keep >= q->bytes)
        return;
    if (keep == 0) {
        mux__sendq_fini(q);
        return;
    }
    if (q->keep)
        mux__keep_let_go(q->keep, q);
    size_t left = keep + q->sent;
    mux__chunk *c = q->first;
    while (left > c->len) {
        left -= c->len;
        c = c->next;
    }
    c->len = (uint32_t)left;
    c->cap = (uint32_t)left; /* not written behind again: its bytes may be on their way */
    while (c->next) {
        mux__chunk *next = c->next;
        c->next = next->next;
        mux__chunk_drop(next);
    }
    q->last = c;
    q->bytes = (uint32_t)keep;
}

size_t mux__sendq_pieces(const struct mux__sendq *q, size_t len)
{
    size_t n = 0, have = 0;
    for (const mux__chunk *c = q->first; c && have < len; c = c->next, n++)
        have += c->len - (n == 0 ? q->sent : 0);
    return n;
}
