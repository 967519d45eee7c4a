/* nng -- over TCP.  w1, w2: push and pull.  w7: pair.  It has no streams on one connection. */
#include "bench/peers/tags.h"
#include <nng/nng.h>
#include <nng/protocol/pair1/pair.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>

static void must(int err)
{
    if (err)
        DIE("nng: %s", nng_strerror(err));
}

static void look(nng_msg *message)
{
    spot_look(nng_msg_body(message), nng_msg_len(message));
}

static void serve(nng_socket s, int echo, size_t size)
{
    nng_msg *message;
    for (;;) {
        if (echo && nng_recvmsg(s, &message, 0))
            return;
        if (!echo)
            must(nng_msg_alloc(&message, size));
        spot_seal(nng_msg_body(message), nng_msg_len(message));
        if (nng_sendmsg(s, message, 0))
            return;
    }
}

static void ping(nng_socket s, meter *m)
{
    nng_msg *message;
    uint64_t n = 0;
    lat latency = {0};
    must(nng_msg_alloc(&message, SMALL));
    spot_fill(nng_msg_body(message), SMALL, 0);
    do {
        uint64_t t = now_ns();
        must(nng_sendmsg(s, message, 0));
        must(nng_recvmsg(s, &message, 0));
        look(message);
        lat_add(&latency, now_ns() - t);
    } while (!meter_tick(m, ++n));
    emit_ping("nng", m, &latency);
}

static void read_messages(nng_socket s, meter *m, size_t size)
{
    nng_msg *message;
    uint64_t n = 0, mask = size > 4096 ? 0 : 63;
    do {
        must(nng_recvmsg(s, &message, 0));
        look(message);
        nng_msg_free(message);
    } while ((++n & mask) != 0 || !meter_tick(m, n));
}

int main(int argc, char **argv)
{
    if (argc < 4)
        DIE("usage: nng server|client PORT WORKLOAD [ARG]");
    bench_bound();
    const char *wl = argv[3], *arg = argc > 4 ? argv[4] : "";
    int server = argv[1][0] == 's', pair = wl[1] == '7';
    size_t size = strtoul(arg, NULL, 10);
    char endpoint[64];
    nng_socket s;
    meter m;
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%s", argv[2]);
    must(pair ? nng_pair1_open(&s) : server ? nng_push0_open(&s) : nng_pull0_open(&s));
    if (server && !pair)
        must(nng_socket_set_int(s, NNG_OPT_SENDBUF, size > 4096 ? 64 : 8192));
    must(nng_socket_set_size(s, NNG_OPT_RECVMAXSZ, 0));
    if (server) {
        must(nng_listen(s, endpoint, NULL, 0));
        ready();
        serve(s, pair, size);
        return 0;
    }
    must(nng_dial(s, endpoint, NULL, 0));
    meter_init(&m);
    if (pair)
        ping(s, &m);
    else {
        read_messages(s, &m, size);
        emit_stream("nng", wl, arg, size, &m);
    }
    _exit(0);
}
