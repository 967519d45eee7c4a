/* The proxy of bytes: two sockets, and for each a little that waits to be written to it. */
#include "test/support/proxy__in.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PIECE = 16 * 1024 };

struct side {
    struct proxy__end end;
    struct pair *pair;
    struct side *other;
    size_t at, len; /* of what waits */
    int64_t due_ms; /* when that may be written */
    bool ended;     /* it will write no more */
    bool shut;      /* and the other was told so */
    uint8_t waits[PIECE];
};

struct pair {
    struct proxy *proxy;
    struct side client, server;
    struct proxy__fate fate;
    int64_t stalled_ms; /* until then */
    bool swallows;
    int refs;
};

static void forget(struct proxy__end *end)
{
    struct pair *pair = CS_CONTAINER(end, struct side, end)->pair;

    if (--pair->refs == 0)
        free(pair);
}

static void finish(struct pair *pair, bool reset)
{
    proxy__drop(&pair->client.end, reset);
    proxy__drop(&pair->server.end, reset);
}

static bool is_fated(const struct side *to)
{
    const struct pair *pair = to->pair;

    return pair->fate.bytes >= 0 && pair->fate.down == (to == &pair->client);
}

/* The last byte of its time has passed. */
static void happen(struct side *to)
{
    struct pair *pair = to->pair;
    enum proxy_act act = pair->fate.act;

    pair->fate.bytes = -1;
    if (!proxy__may(pair->proxy, act))
        return;
    switch (act) {
    case PROXY_RESET:
    case PROXY_END:
        finish(pair, act == PROXY_RESET);
        break;
    case PROXY_HALF:
        shutdown(to->end.fd, SHUT_WR);
        to->shut = true;
        to->len = 0;
        break;
    case PROXY_SWALLOW:
        pair->swallows = true;
        break;
    case PROXY_STALL:
        pair->stalled_ms = proxy__now_ms() + pair->proxy->options.stall_ms;
        pair->fate = proxy__fate(pair->proxy);
        break;
    }
}

/* What waits for `to` comes from the other; no more than may pass. */
static void take(struct side *to, int64_t now)
{
    struct side *from = to->other;
    struct pair *pair = to->pair;
    size_t room = PIECE;
    ssize_t n;

    if (to->len > 0 || from->ended)
        return;
    if (is_fated(to) && pair->fate.bytes < PIECE)
        room = (size_t)pair->fate.bytes;
    n = recv(from->end.fd, to->waits, room, MSG_DONTWAIT);
    if (n > 0 && !pair->swallows && !to->shut) {
        to->at = 0;
        to->len = (size_t)n;
        to->due_ms = now + pair->proxy->options.delay_ms;
    }
    if (n == 0)
        from->ended = true;
    else if (n < 0 && errno != EAGAIN && pair->swallows)
        from->ended = true;
    else if (n < 0 && errno != EAGAIN)
        finish(pair, true);
}

static void give(struct side *to, int64_t now)
{
    size_t len = to->len;
    ssize_t n;

    if (to->len == 0 || now < to->due_ms)
        return;
    if (is_fated(to) &&
        to->pair->fate.bytes < (int64_t)len) /* after a stall: it was taken before */
        len = (size_t)to->pair->fate.bytes;
    n = send(to->end.fd, to->waits + to->at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN)
            finish(to->pair, true);
        return;
    }
    to->at += (size_t)n;
    to->len -= (size_t)n;
    if (is_fated(to) && (to->pair->fate.bytes -= n) == 0)
        happen(to);
}

static void go_on(struct side *to, int64_t now)
{
    give(to, now);
    if (!to->end.gone)
        take(to, now);
    if (!to->end.gone && !to->pair->swallows)
        give(to, now);
    if (!to->end.gone && to->other->ended && to->len == 0 && !to->shut && !to->pair->swallows) {
        shutdown(to->end.fd, SHUT_WR);
        to->shut = true;
    }
}

/* What its socket is waited for. */
static void want(struct side *s, int64_t now)
{
    struct side *other = s->other;

    s->end.wants = 0;
    s->end.at_ms = 0;
    if (now < s->pair->stalled_ms) {
        s->end.at_ms = s->pair->stalled_ms;
        return;
    }
    if (!s->ended && other->len == 0)
        s->end.wants |= POLLIN;
    if (s->len > 0 && now < s->due_ms)
        s->end.at_ms = s->due_ms;
    else if (s->len > 0)
        s->end.wants |= POLLOUT;
}

static void on_ready(struct proxy__end *end, short events)
{
    struct pair *pair = CS_CONTAINER(end, struct side, end)->pair;
    int64_t now = proxy__now_ms();

    (void)events;
    if (atomic_load(&pair->proxy->swallows))
        pair->swallows = true;
    if (pair->swallows)
        pair->client.len = pair->server.len = 0;
    if (now >= pair->stalled_ms) {
        go_on(&pair->client, now);
        if (!pair->client.end.gone)
            go_on(&pair->server, now);
    }
    if (pair->client.end.gone)
        return;
    if ((pair->client.shut && pair->server.shut) ||
        (pair->swallows && pair->client.ended && pair->server.ended)) {
        finish(pair, false);
        return;
    }
    want(&pair->client, now);
    want(&pair->server, now);
}

static void side_begin(struct side *s, struct pair *pair, struct side *other, int fd)
{
    s->pair = pair;
    s->other = other;
    s->end.ready = on_ready;
    s->end.forget = forget;
    s->end.wants = POLLIN;
    pair->refs++;
    proxy__add(pair->proxy, &s->end, fd);
}

void proxy__bytes_begin(struct proxy *p, int fd)
{
    struct pair *pair = calloc(1, sizeof *pair);
    struct proxy__end refused = {.fd = fd};
    int far = pair ? proxy__connect(p) : -1;

    if (far < 0) {
        free(pair);
        proxy__drop(&refused, true);
        return;
    }
    pair->proxy = p;
    pair->fate = proxy__fate(p);
    side_begin(&pair->client, pair, &pair->server, fd);
    side_begin(&pair->server, pair, &pair->client, far);
}
