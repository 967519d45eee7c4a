/* feed_known -- what an application may ask about a feed without receiving; and the metadata, which
 * outlive their stream. */
#include "chanserv/client__in.h"

/* The names and values follow the pairs. */
struct chanserv__pairs {
    size_t len;
    cs_pair pairs[];
};

struct chanserv__pairs *chanserv__pairs_copy(const cs_pair *pairs, size_t n)
{
    struct chanserv__pairs *copy;
    size_t bytes = 0;
    char *to;

    for (size_t i = 0; i < n; i++)
        bytes += pairs[i].name.len + pairs[i].value.len;
    if (n == 0 || !(copy = cs_alloc(sizeof *copy + n * sizeof *pairs + bytes)))
        return NULL;
    copy->len = n;
    to = (char *)(copy->pairs + n);
    for (size_t i = 0; i < n; i++) {
        const cs_bytes parts[2] = {pairs[i].name, pairs[i].value};
        cs_bytes kept[2];
        for (int part = 0; part < 2; part++) {
            if (parts[part].len)
                memcpy(to, parts[part].base, parts[part].len);
            kept[part] = cs_bytes_of(to, parts[part].len);
            to += parts[part].len;
        }
        copy->pairs[i] = (cs_pair){kept[0], kept[1]};
    }
    return copy;
}

static cs_bytes pairs_get(const struct chanserv__pairs *pairs, const char *name)
{
    cs_bytes none = {NULL, 0};

    for (size_t i = 0; pairs && i < pairs->len; i++)
        if (cs_same(pairs->pairs[i].name, cs_str(name)))
            return pairs->pairs[i].value;
    return none;
}

cs_err chanserv_feed_status(const chanserv_feed *feed)
{
    cs_err err;

    chanserv__enter(feed->line.client);
    if (feed->failure != CS_OK)
        err = feed->failure;
    else
        err = feed->line.over ? feed->line.status : CS_AGAIN;
    chanserv__leave(feed->line.client);
    return err;
}

const char *chanserv_feed_errmsg(const chanserv_feed *feed)
{
    const char *words;

    chanserv__enter(feed->line.client);
    if (feed->failure == CS_OK)
        words = "";
    else
        words = feed->story ? feed->story : cs_strerror(feed->failure);
    chanserv__leave(feed->line.client);
    return words;
}

cs_bytes chanserv_feed_header(const chanserv_feed *feed, const char *name)
{
    cs_bytes value = {NULL, 0};

    chanserv__enter(feed->line.client);
    if (feed->headers || !feed->line.stream)
        value = pairs_get(feed->headers, name);
    else
        (void)mux_stream_header(feed->line.stream, name, &value);
    chanserv__leave(feed->line.client);
    return value;
}

cs_bytes chanserv_feed_trailer(const chanserv_feed *feed, const char *name)
{
    cs_bytes value;

    chanserv__enter(feed->line.client);
    value = pairs_get(feed->trailers, name);
    chanserv__leave(feed->line.client);
    return value;
}
