/* peers -- see peers__in.h. */
#include "mux/mux__in.h"

#include <stdio.h>

struct mux__peer_count {
    int64_t connections;
    bool has_complained; /* since it was below the limit */
    size_t len;
    char name[];
};

/* "127.0.0.1", "[::1]", "uid 1000". */
static cs_bytes name_of(const mux__link *link, char *text, size_t size)
{
    const char *at = link->peer.addr.base;
    size_t n = link->peer.addr.len;

    if (link->peer.uid >= 0) {
        snprintf(text, size, "uid %lld", (long long)link->peer.uid);
        return cs_str(text);
    }
    while (n > 0 && at[n - 1] != ':')
        n--;
    return cs_bytes_of(at, n > 0 ? n - 1 : link->peer.addr.len);
}

static struct mux__peer_count *count_new(mux_handlers *handlers, cs_bytes name)
{
    struct mux__peer_count *count = cs_zalloc(sizeof *count + name.len);

    if (!count)
        return NULL;
    count->len = name.len;
    memcpy(count->name, name.base, name.len);
    if (cs_names_put(&handlers->peers, cs_bytes_of(count->name, count->len), count) == CS_OK)
        return count;
    cs_free(count);
    return NULL;
}

static void complain(struct mux__peer_count *count)
{
    if (!count->has_complained)
        cs_log(CS_WARN, "mux", "%.*s has %lld connections, and gets no more", (int)count->len,
               count->name, (long long)count->connections);
    count->has_complained = true;
}

cs_err mux__peer_enter(mux_handlers *handlers, const mux__link *link, struct mux__peer_count **ret)
{
    char text[32];
    cs_bytes name = name_of(link, text, sizeof text);
    struct mux__peer_count *count;

    if (handlers->peer_max <= 0)
        return CS_OK;
    count = cs_names_get(&handlers->peers, name);
    if (!count && !(count = count_new(handlers, name)))
        return CS_ENOMEM;
    if (count->connections >= handlers->peer_max) {
        handlers->stats.connections_peer_refused++;
        complain(count);
        return CS_ELIMIT;
    }
    count->connections++;
    *ret = count;
    return CS_OK;
}

void mux__peer_give(mux_conn *conn, struct mux__peer_count *count)
{
    conn->of_peer = count;
}

void mux__peer_leave(mux_handlers *handlers, struct mux__peer_count *count)
{
    if (!count)
        return;
    count->has_complained = false;
    if (--count->connections > 0)
        return;
    (void)cs_names_remove(&handlers->peers, cs_bytes_of(count->name, count->len));
    cs_free(count);
}
