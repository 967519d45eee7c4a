/* pairs -- metadata that outlive the call or the stream which they came with. */
#include "chanserv/client__in.h"
#include "mux/behalf.h"

/* `a`, then `b`; NULL: no memory. */
static struct chanserv__pairs *join(const cs_pair *a, size_t a_len, const cs_pair *b, size_t b_len)
{
    struct chanserv__pairs *copy;
    size_t bytes = 0, n = a_len + b_len;
    char *to;

    for (size_t i = 0; i < n; i++) {
        const cs_pair *pair = i < a_len ? &a[i] : &b[i - a_len];
        bytes += pair->name.len + pair->value.len;
    }
    copy = cs_alloc(sizeof *copy + n * sizeof *a + bytes);
    if (!copy)
        return NULL;
    copy->refs = 1;
    copy->len = n;
    to = (char *)(copy->pairs + n);
    for (size_t i = 0; i < n; i++) {
        const cs_pair *pair = i < a_len ? &a[i] : &b[i - a_len];
        copy->pairs[i].name = cs_bytes_put(&to, pair->name);
        copy->pairs[i].value = cs_bytes_put(&to, pair->value);
    }
    return copy;
}

struct chanserv__pairs *chanserv__pairs_copy(const cs_pair *pairs, size_t n)
{
    return n > 0 ? join(pairs, n, NULL, 0) : NULL;
}

struct chanserv__pairs *chanserv__pairs_hold(struct chanserv__pairs *pairs)
{
    if (pairs)
        pairs->refs++;
    return pairs;
}

void chanserv__pairs_drop(struct chanserv__pairs *pairs)
{
    if (pairs && --pairs->refs == 0)
        cs_free(pairs);
}

cs_bytes chanserv__pairs_get(const struct chanserv__pairs *pairs, const char *name)
{
    for (size_t i = 0; pairs && i < pairs->len; i++)
        if (cs_same(pairs->pairs[i].name, cs_str(name)))
            return pairs->pairs[i].value;
    return cs_bytes_of(NULL, 0);
}

bool chanserv__pairs_ok(const chanserv_client *client, const struct chanserv_post_options *options)
{
    const struct chanserv__node *node = options->peer ? chanserv__nodes_first(client) : NULL;

    for (; node; node = chanserv__nodes_next(node))
        if (!node->handlers)
            return false;
    for (size_t i = 0; i < options->metadata_len; i++)
        if (!mux_metadata_ok(options->metadata[i].name, options->metadata[i].value))
            return false;
    return true;
}

/* And for whom it is. */
static cs_err with_peer(const struct mux_peer *peer, struct chanserv__pairs **pairs)
{
    const size_t len = mux_peer_packed_len(peer);
    uint8_t *packed = cs_alloc(len), *to = packed;
    const cs_pair pair = {cs_str(MUX_BEHALF), {packed, len}};
    struct chanserv__pairs *all;

    if (!packed)
        return CS_ENOMEM;
    mux_peer_pack(peer, &to);
    all = join(*pairs ? (*pairs)->pairs : NULL, *pairs ? (*pairs)->len : 0, &pair, 1);
    cs_free(packed);
    if (!all)
        return CS_ENOMEM;
    chanserv__pairs_drop(*pairs);
    *pairs = all;
    return CS_OK;
}

cs_err chanserv__pairs_of_call(chanserv_client *client, const struct chanserv_post_options *options,
                               struct chanserv__pairs **ret)
{
    const struct chanserv__pairs *bearer = client->bearer;
    const cs_pair *more = options->metadata;
    const size_t n = options->metadata_len;

    for (size_t i = 0; i < n; i++)
        if (cs_same(more[i].name, cs_str("authorization")))
            bearer = NULL;
    if (n == 0)
        *ret = chanserv__pairs_hold(client->bearer);
    else if (!(*ret = join(bearer ? bearer->pairs : NULL, bearer ? bearer->len : 0, more, n)))
        return CS_ENOMEM;
    return options->peer ? with_peer(options->peer, ret) : CS_OK;
}

cs_err chanserv__pairs_bearer(cs_bytes token, struct chanserv__pairs **ret)
{
    char *text = cs_printf("Bearer %.*s", CS_FMT(token));
    cs_pair pair = {cs_str("authorization"), {NULL, 0}};

    if (!text)
        return CS_ENOMEM;
    pair.value = cs_str(text);
    *ret = join(&pair, 1, NULL, 0);
    cs_free(text);
    return *ret ? CS_OK : CS_ENOMEM;
}
