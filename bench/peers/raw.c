/* raw -- plain TCP, the physical limit.  A frame is a u32 stream, a u32 length and the payload (w1: no
 * stream; w2: bytes and no more), gathered in writes of 64 KiB.
 *
 * A letter behind the workload is another way to do it: w1one, a send() for each message; w1t and w2t,
 * 256 KiB and SO_RCVLOWAT, so that the receiver is woken less often; w4conn, a connection a channel. */
#include "bench/peers/tags.h"

enum { BUF = 65536, TUNED_BUF = 4 * BUF, REQUEST = 8, BATCH = 1024 };

static size_t batch = BUF; /* what a read or write takes */

/* ---- The server -------------------------------------------------------------------------------- */

static char out[2 * TUNED_BUF];
static size_t out_len;

static int flush(int fd)
{
    int err = out_len ? send_all(fd, out, out_len) : 0;
    out_len = 0;
    return err;
}

static void put(uint32_t id, uint32_t len)
{
    memcpy(out + out_len, &id, 4);
    memcpy(out + out_len + 4, &len, 4);
    spot_fill(out + out_len + 8, len, 1);
    out_len += 8 + len;
}

static void channel(uint32_t id)
{
    put(id, HDR);
    put(id, SMALL);
    put(id, SMALL);
}

static void serve_connections(int listener)
{
    char request[REQUEST];
    int fd;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        tcp_nodelay(fd);
        if (!recv_all(fd, request, REQUEST)) {
            channel(1);
            flush(fd);
        }
        close(fd);
    }
}

static void serve_messages(int fd, int one_by_one, uint32_t size)
{
    static char message[4 + BUF];
    memcpy(message, &size, 4);
    spot_fill(message + 4, size, 1);
    while (one_by_one)
        if (send_all(fd, message, 4 + size))
            return;
    do
        for (; out_len + 4 + size <= batch; out_len += 4 + size)
            memcpy(out + out_len, message, 4 + size);
    while (!flush(fd));
}

static void serve_bytes(int fd)
{
    spot_fill(out, sizeof out, 1); /* and not the zero page that all share */
    while (!send_all(fd, out, batch))
        ;
}

static void serve_streams(int fd)
{
    char go;
    if (recv_all(fd, &go, 1))
        return;
    for (int round = 0; round < W3_MSGS; round++)
        for (uint32_t id = 0; id < W3_STREAMS; id++) {
            put(id, SMALL);
            if (out_len > BUF - 256 && flush(fd))
                return;
        }
    flush(fd);
    pause();
}

static void serve_echo(int fd)
{
    char message[SMALL];
    while (!recv_all(fd, message, SMALL)) {
        spot_fill(message, SMALL, 1);
        if (send_all(fd, message, SMALL))
            return;
    }
}

/* w4, w5: a request is an id and a kind. */
static void serve_requests(int fd)
{
    static uint32_t asked[BUF / 4];
    size_t have = 0;
    ssize_t got;
    while ((got = recv(fd, (char *)asked + have, sizeof asked - have, 0)) > 0) {
        size_t at = 0;
        for (have += (size_t)got; at + REQUEST <= have; at += REQUEST) {
            uint32_t id = asked[at / 4];
            if (asked[at / 4 + 1] == 4)
                channel(id);
            else
                for (uint32_t s = 0; s < W5_SOURCES; s++) {
                    put(id + s, HDR);
                    for (int i = 0; i < W5_FRAMES; i++)
                        put(id + s, SMALL);
                }
            if (out_len > BUF && flush(fd))
                return;
        }
        if (flush(fd))
            return;
        memmove(asked, (char *)asked + at, have - at);
        have -= at;
    }
}

static void server(int port, const char *wl, const char *arg)
{
    int listener = tcp_listen(port);
    ready();
    if (!strcmp(wl, "w4conn"))
        serve_connections(listener);
    int fd = accept(listener, NULL, NULL);
    tcp_nodelay(fd);
    switch (wl[1]) {
    case '1':
        serve_messages(fd, !strcmp(wl, "w1one"), (uint32_t)atol(arg));
        break;
    case '2':
        serve_bytes(fd);
        break;
    case '3':
        serve_streams(fd);
        break;
    case '7':
        serve_echo(fd);
        break;
    default:
        serve_requests(fd);
    }
}

/* ---- The client -------------------------------------------------------------------------------- */

static char in[2 * TUNED_BUF];
static meter m;
static lat latency;

static void read_connections(int port)
{
    char answer[8 * 3 + HDR + 2 * SMALL], request[REQUEST] = {0};
    struct linger at_once = {1, 0};
    char extra[160];
    uint64_t n = 0;
    do {
        uint64_t t = now_ns();
        int fd = tcp_connect(port);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        if (send_all(fd, request, REQUEST) || recv_all(fd, answer, sizeof answer))
            DIE("the server left");
        spot_look(answer, sizeof answer);
        close(fd);
        lat_add(&latency, now_ns() - t);
    } while (!meter_tick(&m, ++n));
    emit("raw-tcp-connect", "w4", "", meter_rate(&m), "streams/s", &m,
         lat_json(&latency, extra, sizeof extra));
}

static void read_messages(int fd, const char *arg)
{
    size_t have = 0;
    ssize_t got;
    uint64_t n = 0;
    while (!meter_tick(&m, n) && (got = recv(fd, in + have, batch, 0)) > 0) {
        size_t at = 0;
        uint32_t len;
        have += (size_t)got;
        while (at + 4 <= have && (memcpy(&len, in + at, 4), at + 4 + len <= have)) {
            spot_look(in + at + 4, len);
            at += 4 + len;
            n++;
        }
        memmove(in, in + at, have - at);
        have -= at;
    }
    emit_stream("raw-tcp", "w1", arg, (size_t)atol(arg), &m);
}

static void read_bytes(int fd, const char *arg)
{
    uint64_t n = 0;
    ssize_t got;
    size_t size = strtoul(arg, NULL, 10);
    while (!meter_tick(&m, n / size) && (got = recv(fd, in, batch, 0)) > 0) {
        spot_look(in, (size_t)got);
        n += (size_t)got;
    }
    emit_stream("raw-tcp", "w2", arg, size, &m);
}

static void ping(int fd)
{
    char message[SMALL];
    uint64_t n = 0;
    spot_fill(message, SMALL, 0);
    do {
        uint64_t t = now_ns();
        if (send_all(fd, message, SMALL) || recv_all(fd, message, SMALL))
            DIE("the server left");
        spot_look(message, SMALL);
        lat_add(&latency, now_ns() - t);
    } while (!meter_tick(&m, ++n));
    emit_ping("raw-tcp", &m, &latency);
}

static struct tags channels;
static uint32_t requests[2 * BATCH];
static size_t requested;

static void ask(void)
{
    requests[2 * requested] = tags_next(&channels);
    requests[2 * requested++ + 1] = (uint32_t)(channels.kind - '0');
}

/* All whole frames of `have` bytes; how many bytes they were. */
static size_t take(size_t have, int *stop)
{
    size_t at = 0;
    uint32_t head[2];
    while (!*stop && at + 8 <= have && (memcpy(head, in + at, 8), at + 8 + head[1] <= have)) {
        enum tags_answer answer = tags_take(&channels, head[0], in + at + 8, head[1]);
        *stop = answer == TAGS_STOP;
        if (answer == TAGS_ASK)
            ask();
        at += 8 + head[1];
    }
    return at;
}

static void read_channels(int fd, char kind, const char *arg)
{
    size_t have = 0;
    ssize_t got;
    int stop = 0;
    for (int i = tags_begin(&channels, kind, arg); i > 0; i--)
        ask();
    if (kind == '3' ? send_all(fd, "g", 1) : send_all(fd, requests, REQUEST * requested))
        DIE("the server left");
    while (!stop && (got = recv(fd, in + have, BUF, 0)) > 0) {
        have += (size_t)got;
        requested = 0;
        size_t at = take(have, &stop);
        memmove(in, in + at, have - at);
        have -= at;
        if (requested && send_all(fd, requests, REQUEST * requested))
            break;
    }
    if (!stop)
        DIE("the server left");
    tags_emit(&channels, "raw-tcp", arg);
}

static void client(int port, const char *wl, const char *arg)
{
    meter_init(&m);
    if (!strcmp(wl, "w4conn")) {
        read_connections(port);
        return;
    }
    int fd = tcp_connect(port);
    if (wl[2] == 't')
        setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &(int){TUNED_BUF}, sizeof(int));
    if (wl[1] == '1')
        read_messages(fd, arg);
    else if (wl[1] == '2')
        read_bytes(fd, arg);
    else if (wl[1] == '7')
        ping(fd);
    else
        read_channels(fd, wl[1], arg);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        DIE("usage: raw server|client PORT WORKLOAD [ARG]");
    bench_bound();
    if (argv[3][2] == 't')
        batch = TUNED_BUF;
    (argv[1][0] == 's' ? server : client)(atoi(argv[2]), argv[3], argc > 4 ? argv[4] : "");
    return 0;
}
