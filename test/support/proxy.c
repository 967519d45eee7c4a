/* proxy -- see proxy.h.  A thread, a poll(), and the dice. */
#include "test/support/proxy__in.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { SOCKET_BYTES = 64 * 1024, ENDS = 1024 };

int64_t proxy__now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- The dice ------------------------------------------------------------------------------ */

/* splitmix64 */
static uint64_t roll(struct proxy *p)
{
    uint64_t z = p->dice += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static enum proxy_act pick_act(struct proxy *p)
{
    enum proxy_act act;

    do
        act = (enum proxy_act)(1u << roll(p) % 5);
    while (!(p->options.acts & (unsigned)act));
    return act;
}

/* The n-th fate is the same whatever the others are. */
struct proxy__fate proxy__fate(struct proxy *p)
{
    struct proxy__fate fate = {.bytes = -1};
    uint64_t most = (uint64_t)p->options.bytes;

    if (!p->options.acts)
        return fate;
    p->dice = ((uint64_t)p->options.seed << 32) + p->fates++;
    fate.act = pick_act(p);
    fate.down = roll(p) % 4 != 0;
    if (roll(p) % 4 == 0) /* early, where all begins */
        most = most >> roll(p) % 16;
    fate.bytes = 1 + (int64_t)(roll(p) % (most ? most : 1));
    return fate;
}

bool proxy__may(struct proxy *p, enum proxy_act act)
{
    if (p->options.most > 0 && p->acts >= p->options.most)
        return false;
    if (act == PROXY_STALL) {
        atomic_fetch_add(&p->stalls, 1);
        return true;
    }
    p->acts++;
    atomic_fetch_add(act == PROXY_RESET  ? &p->resets
                     : act == PROXY_END  ? &p->ends_
                     : act == PROXY_HALF ? &p->halves
                                         : &p->swallowed,
                     1);
    atomic_fetch_add(&p->cuts, 1);
    return true;
}

/* ---- Sockets ------------------------------------------------------------------------------- */

/* Small, so that what a cut throws away is little. */
static void shape(int fd)
{
    int bytes = SOCKET_BYTES, on = 1;

    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void slow_down_not(int fd)
{
    fcntl(fd, F_SETFL, O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int proxy__connect(struct proxy *p)
{
    const char *target = p->options.target, *colon = strrchr(target, ':');
    const bool local = strncmp(target, "unix:", 5) == 0;
    struct sockaddr_in in = loopback(colon ? atoi(colon + 1) : 0);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM, 0), err;

    if (fd < 0)
        return -1;
    shape(fd);
    if (local)
        snprintf(un.sun_path, sizeof un.sun_path, "%s", target + 5);
    err = local ? connect(fd, (struct sockaddr *)&un, sizeof un)
                : connect(fd, (struct sockaddr *)&in, sizeof in);
    if (err != 0) {
        close(fd);
        return -1;
    }
    slow_down_not(fd);
    return fd;
}

void proxy__add(struct proxy *p, struct proxy__end *end, int fd)
{
    end->fd = fd;
    end->gone = false;
    slow_down_not(fd);
    cs_list_push(&p->ends, &end->link);
}

void proxy__drop(struct proxy__end *end, bool reset)
{
    const struct linger now = {.l_onoff = 1};

    if (end->gone)
        return;
    if (reset)
        setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(end->fd);
    end->fd = -1;
    end->gone = true;
}

static void on_client(struct proxy__end *end, short events)
{
    struct proxy *p = CS_CONTAINER(end, struct proxy, listener);
    int fd;

    (void)events;
    while ((fd = accept(end->fd, NULL, NULL)) >= 0) {
        shape(fd);
        atomic_fetch_add(&p->connections, 1);
        if (p->options.kind == PROXY_HTTP2)
            proxy__http2_begin(p, fd);
        else
            proxy__bytes_begin(p, fd);
    }
}

static void on_bell(struct proxy__end *end, short events)
{
    uint64_t rung;

    (void)events;
    if (read(end->fd, &rung, sizeof rung) < 0)
        return; /* it was read already */
}

/* ---- The thread ---------------------------------------------------------------------------- */

/* Once around: everybody who can go on, or whose time has come. */
static void turn(struct proxy *p)
{
    struct proxy__end *ends[ENDS];
    struct pollfd fds[ENDS];
    struct cs_link *link;
    int64_t wait_ms = -1, now = proxy__now_ms();
    nfds_t n = 0;

    for (link = cs_list_first(&p->ends); link && n < ENDS; link = cs_list_next(&p->ends, link)) {
        struct proxy__end *end = CS_CONTAINER(link, struct proxy__end, link);
        int64_t left = end->at_ms > now ? end->at_ms - now : 0;

        if (end->at_ms && (wait_ms < 0 || left < wait_ms))
            wait_ms = left;
        /* Whom nobody listens to has nothing to tell: not even that he hung up. */
        fds[n] = (struct pollfd){.fd = end->wants ? end->fd : -1, .events = end->wants};
        ends[n++] = end;
    }
    if (poll(fds, n, (int)wait_ms) < 0)
        return;
    now = proxy__now_ms();
    for (nfds_t i = 0; i < n; i++)
        if (!ends[i]->gone && (fds[i].revents || (ends[i]->at_ms && ends[i]->at_ms <= now)))
            ends[i]->ready(ends[i], fds[i].revents);
}

static void sweep(struct proxy *p)
{
    struct cs_link *link, *next;

    for (link = cs_list_first(&p->ends); link; link = next) {
        struct proxy__end *end = CS_CONTAINER(link, struct proxy__end, link);

        next = cs_list_next(&p->ends, link);
        if (!end->gone)
            continue;
        cs_unlink(&end->link);
        if (end->forget)
            end->forget(end);
    }
}

static void *run(void *user)
{
    struct proxy *p = user;
    struct cs_link *link;

    while (!atomic_load(&p->stops)) {
        turn(p);
        sweep(p);
    }
    cs_unlink(&p->waker.link); /* who stops us may be ringing still */
    for (link = cs_list_first(&p->ends); link; link = cs_list_next(&p->ends, link))
        proxy__drop(CS_CONTAINER(link, struct proxy__end, link), false);
    sweep(p);
    return NULL;
}

static bool listens(struct proxy *p)
{
    struct sockaddr_in at = loopback(0);
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0)
        return false;
    shape(fd);
    p->listener.ready = on_client;
    p->listener.wants = POLLIN;
    proxy__add(p, &p->listener, fd);
    if (bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return false;
    snprintf(p->addr, sizeof p->addr, "127.0.0.1:%d", ntohs(at.sin_port));
    return true;
}

proxy *proxy_start(const struct proxy_options *options)
{
    struct proxy *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->options = *options;
    p->options.target = strdup(options->target);
    if (options->kind == PROXY_HTTP2)
        p->options.acts &= PROXY_RESET | PROXY_END;
    cs_list_init(&p->ends);
    p->bell = eventfd(0, 0);
    p->waker.ready = on_bell;
    p->waker.wants = POLLIN;
    if (p->bell >= 0)
        proxy__add(p, &p->waker, p->bell);
    if (p->bell < 0 || !p->options.target || !listens(p) ||
        pthread_create(&p->thread, NULL, run, p) != 0) {
        proxy__drop(&p->listener, false);
        proxy__drop(&p->waker, false);
        free((char *)p->options.target);
        free(p);
        return NULL;
    }
    return p;
}

const char *proxy_addr(const proxy *p)
{
    return p->addr;
}

void proxy_count(proxy *p, struct proxy_counts *ret)
{
    *ret = (struct proxy_counts){.connections = atomic_load(&p->connections),
                                 .cuts = atomic_load(&p->cuts),
                                 .resets = atomic_load(&p->resets),
                                 .ends = atomic_load(&p->ends_),
                                 .halves = atomic_load(&p->halves),
                                 .swallows = atomic_load(&p->swallowed),
                                 .stalls = atomic_load(&p->stalls),
                                 .upstream = atomic_load(&p->upstream)};
}

static void ring(struct proxy *p)
{
    const uint64_t one = 1;

    if (write(p->bell, &one, sizeof one) < 0)
        abort();
}

void proxy_swallow(proxy *p, bool swallows)
{
    atomic_store(&p->swallows, swallows);
    ring(p);
}

void proxy_stop(proxy *p)
{
    if (!p)
        return;
    atomic_store(&p->stops, true);
    ring(p);
    pthread_join(p->thread, NULL);
    close(p->bell);
    free((char *)p->options.target);
    free(p);
}
