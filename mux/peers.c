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

/* ---- The table ------------------------------------------------------------------------------- */

cs_err mux__peers_new(struct mux__peers **ret)
{
    struct mux__peers *peers = cs_zalloc(sizeof *peers);

    if (!peers)
        return CS_ENOMEM;
    pthread_mutex_init(&peers->lock, NULL);
    peers->refs = 1;
    *ret = peers;
    return CS_OK;
}

struct mux__peers *mux__peers_hold(struct mux__peers *peers)
{
    pthread_mutex_lock(&peers->lock);
    peers->refs++;
    pthread_mutex_unlock(&peers->lock);
    return peers;
}

void mux__peers_drop(struct mux__peers *peers)
{
    bool last;

    pthread_mutex_lock(&peers->lock);
    last = --peers->refs == 0;
    pthread_mutex_unlock(&peers->lock);
    if (!last)
        return;
    cs_names_fini(&peers->names);
    pthread_mutex_destroy(&peers->lock);
    cs_free(peers);
}

int64_t mux__peers_all(struct mux__peers *peers)
{
    int64_t all;

    pthread_mutex_lock(&peers->lock);
    all = peers->all;
    pthread_mutex_unlock(&peers->lock);
    return all;
}

/* ---- Coming and going -------------------------------------------------------------------------- */

static struct mux__peer_count *count_new(struct mux__peers *peers, cs_bytes name)
{
    struct mux__peer_count *count = cs_zalloc(sizeof *count + name.len);

    if (!count)
        return NULL;
    count->len = name.len;
    memcpy(count->name, name.base, name.len);
    if (cs_names_put(&peers->names, cs_bytes_of(count->name, count->len), count) == CS_OK)
        return count;
    cs_free(count);
    return NULL;
}

/* The lock is held. */
static cs_err enter(struct mux__peers *peers, cs_bytes name, int64_t max,
                    struct mux__peer_count **ret)
{
    struct mux__peer_count *count = cs_names_get(&peers->names, name);

    if (!count && !(count = count_new(peers, name)))
        return CS_ENOMEM;
    *ret = count;
    if (max > 0 && count->connections >= max)
        return CS_ELIMIT;
    count->connections++;
    peers->all++;
    return CS_OK;
}

cs_err mux__peer_enter(mux_handlers *handlers, const mux__link *link, struct mux__peer_count **ret)
{
    struct mux__peers *peers = handlers->peers;
    struct mux__peer_count *count = NULL;
    bool is_news = false;
    char text[32];
    cs_bytes name = name_of(link, text, sizeof text);
    cs_err err;

    pthread_mutex_lock(&peers->lock);
    err = enter(peers, name, handlers->peer_max, &count);
    if (err == CS_ELIMIT) {
        is_news = !count->has_complained;
        count->has_complained = true;
    }
    pthread_mutex_unlock(&peers->lock);
    handlers->stats.connections_peer_refused += err == CS_ELIMIT;
    if (is_news)
        cs_log(CS_WARN, "mux", "%.*s has %lld connections, and gets no more", CS_FMT(name),
               (long long)handlers->peer_max);
    if (err == CS_OK)
        *ret = count;
    return err;
}

void mux__peer_give(mux_conn *conn, struct mux__peer_count *count)
{
    conn->of_peer = count;
}

void mux__peer_leave(mux_handlers *handlers, struct mux__peer_count *count)
{
    struct mux__peers *peers = handlers->peers;

    if (!count)
        return;
    pthread_mutex_lock(&peers->lock);
    peers->all--;
    count->has_complained = false;
    if (--count->connections > 0)
        count = NULL; /* it stays */
    else
        (void)cs_names_remove(&peers->names, cs_bytes_of(count->name, count->len));
    pthread_mutex_unlock(&peers->lock);
    cs_free(count);
}
