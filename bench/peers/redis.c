/* redis -- publish and subscribe through hiredis: the server publishes, in pipelines, and the client
 * subscribes; bench/run starts the broker, which buffers what the subscriber has not read.  w1, w2, w3, w7. */
#include "bench/peers/tags.h"
#include <hiredis/hiredis.h>

static char body[1 << 20];
static redisContext *publisher, *subscriber;
static size_t size;

static redisContext *dial(int port)
{
    redisContext *c = redisConnect("127.0.0.1", port);
    if (!c || c->err)
        DIE("redis: %s", c ? c->errstr : "no memory");
    return c;
}

static void done(redisReply *reply)
{
    if (!reply)
        DIE("redis: %s", publisher->errstr);
    freeReplyObject(reply);
}

static void subscribe(const char *channel)
{
    done(redisCommand(subscriber, "SUBSCRIBE %s", channel));
}

/* The next message: type, channel, payload. */
static void next(void)
{
    redisReply *reply;
    if (redisGetReply(subscriber, (void **)&reply))
        DIE("redis: %s", subscriber->errstr);
    if (reply->elements == 3 && strcmp(reply->element[1]->str, "go") != 0)
        spot_look(reply->element[2]->str, reply->element[2]->len);
    freeReplyObject(reply);
}

static void publish_all(int streams)
{
    int batch = size > 4096 ? 4 : 256;
    uint64_t most = streams > 1 ? (uint64_t)W3_STREAMS * W3_MSGS : UINT64_MAX;
    redisReply *reply;
    for (uint64_t i = 0; i < most;) {
        for (int k = 0; k < batch; k++, i++)
            redisAppendCommand(publisher, "PUBLISH s.%d %b", (int)(i % (uint64_t)streams), body,
                               size);
        for (int k = 0; k < batch; k++) {
            if (redisGetReply(publisher, (void **)&reply))
                return;
            freeReplyObject(reply);
        }
    }
}

static void server(char kind, int streams)
{
    spot_fill(body, sizeof body, 1);
    subscribe("go");
    ready();
    next(); /* somebody has subscribed */
    if (kind != '7') {
        publish_all(streams);
        pause();
    }
    for (;;) {
        next();
        done(redisCommand(publisher, "PUBLISH pong %b", body, size));
    }
}

static void ping(void)
{
    uint64_t n = 0;
    lat latency = {0};
    meter m;
    meter_init(&m);
    do {
        uint64_t t = now_ns();
        done(redisCommand(publisher, "PUBLISH go %b", body, size));
        next();
        lat_add(&latency, now_ns() - t);
    } while (!meter_tick(&m, ++n));
    emit_ping("redis", &m, &latency);
}

static void client(char kind, int streams, const char *arg)
{
    char channel[32];
    uint64_t n = 0, mask = size > 4096 ? 0 : 63;
    meter m;
    if (kind == '7')
        subscribe("pong");
    for (int i = 0; kind != '7' && i < streams; i++) {
        snprintf(channel, sizeof channel, "s.%d", i);
        subscribe(channel);
    }
    done(redisCommand(publisher, "PUBLISH go x"));
    if (kind == '7') {
        ping();
        return;
    }
    meter_init(&m);
    if (kind != '3') {
        do
            next();
        while ((++n & mask) != 0 || !meter_tick(&m, n));
        emit_stream("redis", (char[]){'w', kind, 0}, arg, size, &m);
        return;
    }
    meter_start(&m);
    while (n++ < (uint64_t)W3_STREAMS * W3_MSGS)
        next();
    meter_stop(&m, n - 1);
    emit("redis", "w3", arg, meter_rate(&m), "msgs/s", &m, "");
}

int main(int argc, char **argv)
{
    if (argc < 4)
        DIE("usage: redis server|client PORT WORKLOAD [ARG]");
    bench_bound();
    const char *arg = argc > 4 ? argv[4] : "";
    char kind = argv[3][1];
    int streams = kind == '3' ? W3_STREAMS : 1, port = atoi(argv[2]);
    size = kind == '3' || kind == '7' ? SMALL : strtoul(arg, NULL, 10);
    publisher = dial(port);
    subscriber = dial(port);
    if (argv[1][0] == 's')
        server(kind, streams);
    else
        client(kind, streams, arg);
    return 0;
}
