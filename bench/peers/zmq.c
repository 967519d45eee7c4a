/* zmq -- libzmq over TCP.  w1, w2: PUSH/PULL, or with a "d" behind the workload DEALER/DEALER.  w3 to w5:
 * tags on one DEALER and ROUTER, without flow control for a tag.  w7: PAIR. */
#include "bench/peers/tags.h"
#include <zmq.h>

static char buf[1 << 20];
static void *context;

static void *open_socket(int type, int port, int server, size_t size)
{
    void *s = zmq_socket(context, type);
    int most = size > 4096 ? (int)(64u * 1048576 / size) : 100000, off = 0, on = 1;
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    zmq_setsockopt(s, ZMQ_SNDHWM, &most, sizeof most);
    zmq_setsockopt(s, ZMQ_RCVHWM, &most, sizeof most);
    zmq_setsockopt(s, ZMQ_LINGER, &off, sizeof off);
    if (type == ZMQ_ROUTER) /* it waits in place of dropping */
        zmq_setsockopt(s, ZMQ_ROUTER_MANDATORY, &on, sizeof on);
    if (server ? zmq_bind(s, endpoint) : zmq_connect(s, endpoint))
        DIE("zmq %s: %s", endpoint, zmq_strerror(zmq_errno()));
    if (server)
        ready();
    return s;
}

/* ---- The server -------------------------------------------------------------------------------- */

static struct {
    void *socket;
    char who[256];
    size_t who_len;
} reply;

static void put(uint32_t tag, size_t len)
{
    zmq_send(reply.socket, reply.who, reply.who_len, ZMQ_SNDMORE);
    zmq_send(reply.socket, &tag, 4, ZMQ_SNDMORE);
    zmq_send(reply.socket, buf, len, 0);
}

static void answer(uint32_t tag, uint32_t kind)
{
    if (kind == 4) {
        put(tag, HDR);
        put(tag, SMALL);
        put(tag, SMALL);
    }
    for (int round = 0; kind == 3 && round < W3_MSGS; round++)
        for (uint32_t s = 0; s < W3_STREAMS; s++)
            put(s, SMALL);
    for (uint32_t s = 0; kind == 5 && s < W5_SOURCES; s++) {
        put(tag + s, HDR);
        for (int i = 0; i < W5_FRAMES; i++)
            put(tag + s, SMALL);
    }
}

static void server(int port, const char *wl, const char *arg)
{
    size_t size = strtoul(arg, NULL, 10);
    spot_fill(buf, sizeof buf, 1);
    if (wl[1] <= '2') {
        void *s = open_socket(wl[2] == 'd' ? ZMQ_DEALER : ZMQ_PUSH, port, 1, size);
        while (zmq_send(s, buf, size, 0) >= 0)
            ;
    } else if (wl[1] == '7') {
        void *s = open_socket(ZMQ_PAIR, port, 1, SMALL);
        char got[SMALL];
        while (zmq_recv(s, got, sizeof got, 0) >= 0)
            zmq_send(s, buf, SMALL, 0);
    } else {
        uint32_t request[2];
        int n;
        reply.socket = open_socket(ZMQ_ROUTER, port, 1, SMALL);
        while ((n = zmq_recv(reply.socket, reply.who, sizeof reply.who, 0)) >= 0 &&
               zmq_recv(reply.socket, request, sizeof request, 0) == sizeof request) {
            reply.who_len = (size_t)n;
            answer(request[0], request[1]);
        }
    }
}

/* ---- The client -------------------------------------------------------------------------------- */

static void read_messages(int port, const char *wl, const char *arg)
{
    size_t size = strtoul(arg, NULL, 10), mask = size > 4096 ? 0 : 255;
    char workload[] = {wl[0], wl[1], 0};
    void *s = open_socket(wl[2] == 'd' ? ZMQ_DEALER : ZMQ_PULL, port, 0, size);
    uint64_t n = 0;
    zmq_msg_t message;
    meter m;
    meter_init(&m);
    zmq_msg_init(&message);
    while (zmq_msg_recv(&message, s, 0) >= 0) {
        spot_look(zmq_msg_data(&message), zmq_msg_size(&message));
        if ((++n & mask) == 0 && meter_tick(&m, n))
            break;
    }
    emit_stream("zmq", workload, arg, size, &m);
}

static void ping(int port)
{
    void *s = open_socket(ZMQ_PAIR, port, 0, SMALL);
    uint64_t n = 0;
    meter m;
    lat latency = {0};
    meter_init(&m);
    do {
        uint64_t t = now_ns();
        zmq_send(s, buf, SMALL, 0);
        zmq_recv(s, buf, sizeof buf, 0);
        spot_look(buf, SMALL);
        lat_add(&latency, now_ns() - t);
    } while (!meter_tick(&m, ++n));
    emit_ping("zmq", &m, &latency);
}

static void read_channels(int port, char kind, const char *arg)
{
    static struct tags channels;
    void *s = open_socket(ZMQ_DEALER, port, 0, SMALL);
    enum tags_answer answer = TAGS_ASK;
    uint32_t request[2] = {0, (uint32_t)(kind - '0')}, tag;
    int n, asks = tags_begin(&channels, kind, arg);
    while (answer != TAGS_STOP) {
        for (; answer == TAGS_ASK && asks > 0; asks--) {
            request[0] = tags_next(&channels);
            zmq_send(s, request, sizeof request, 0);
        }
        if (zmq_recv(s, &tag, 4, 0) != 4 || (n = zmq_recv(s, buf, sizeof buf, 0)) < 0)
            DIE("the server left");
        answer = tags_take(&channels, tag, buf, (size_t)n);
        asks = 1;
    }
    tags_emit(&channels, "zmq", arg);
}

static void client(int port, const char *wl, const char *arg)
{
    if (wl[1] <= '2')
        read_messages(port, wl, arg);
    else if (wl[1] == '7')
        ping(port);
    else
        read_channels(port, wl[1], arg);
    _exit(0);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        DIE("usage: zmq server|client PORT WORKLOAD [ARG]");
    bench_bound();
    context = zmq_ctx_new();
    (argv[1][0] == 's' ? server : client)(atoi(argv[2]), argv[3], argc > 4 ? argv[4] : "");
    return 0;
}
