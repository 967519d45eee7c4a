/* nats -- NATS core through its server: ours publishes, the client subscribes; bench/run starts the
 * broker.  It drops slow readers, so w1 to w3 carry credit on a subject of its own, as a user adds who
 * may lose nothing.  A channel of w4 to w6 is a subscription of its own. */
#include "bench/peers/spot.h"
#include <nats/nats.h>

#define MUST(call)                                                                                 \
    do {                                                                                           \
        natsStatus status_ = (call);                                                               \
        if (status_)                                                                               \
            DIE("nats.c:%d: %s", __LINE__, natsStatus_GetText(status_));                           \
    } while (0)

static natsConnection *nc;
static const char *wl, *arg;
static size_t size;
static char body[1 << 20];
static char kind;

static void publish(const char *subject, const char *reply, size_t len)
{
    if (reply)
        MUST(natsConnection_PublishRequest(nc, subject, reply, body, (int)len));
    else
        MUST(natsConnection_Publish(nc, subject, body, (int)len));
}

static size_t stream_size(void)
{
    return kind == '3' ? SMALL : size;
}

/* Messages under way at most. */
static uint32_t window(void)
{
    return stream_size() > 4096 ? 8u * 1048576 / (uint32_t)stream_size() + 2 : 32768;
}

/* ---- The server -------------------------------------------------------------------------------- */

static void on_request(natsConnection *c, natsSubscription *s, natsMsg *message, void *user)
{
    (void)c, (void)s, (void)user;
    const char *reply = natsMsg_GetReply(message), *subject = natsMsg_GetSubject(message);
    if (!strcmp(subject, "echo"))
        publish(reply, NULL, SMALL);
    else if (!strcmp(subject, "list"))
        publish(reply, NULL, 4 * W5_SOURCES);
    else if (!strcmp(subject, "channel")) {
        publish(reply, NULL, HDR);
        publish(reply, NULL, SMALL);
        publish(reply, NULL, SMALL);
    } else
        for (int i = 0; i < W5_FRAMES; i++)
            publish(reply, NULL, SMALL);
    natsMsg_Destroy(message);
}

static void publish_all(natsSubscription *credits)
{
    uint64_t most = kind == '3' ? (uint64_t)W3_STREAMS * W3_MSGS : UINT64_MAX;
    uint32_t credit = 0;
    natsMsg *message;
    char subject[32] = "data";
    for (uint64_t i = 0; i < most; i++) {
        for (; credit == 0; credit += window() / 4) {
            if (natsSubscription_NextMsg(&message, credits, 20000))
                return;
            natsMsg_Destroy(message);
        }
        credit--;
        if (kind == '3')
            snprintf(subject, sizeof subject, "s.%d", (int)(i % W3_STREAMS));
        publish(subject, NULL, stream_size());
    }
    natsConnection_Flush(nc);
    pause();
}

static void server(void)
{
    static const char *const subjects[] = {"echo", "list", "channel", "source"};
    natsSubscription *s, *credits;
    spot_fill(body, sizeof body, 1);
    for (int i = 0; i < 4; i++)
        MUST(natsConnection_Subscribe(&s, nc, subjects[i], on_request, NULL));
    MUST(natsConnection_SubscribeSync(&credits, nc, "credit"));
    MUST(natsConnection_Flush(nc));
    ready();
    if (kind <= '3')
        publish_all(credits);
    else
        pause();
}

/* ---- The client: its callbacks come from one thread of the library's --------------------------------- */

static meter m;
static lat latency;
static uint64_t n;
static volatile int over;

static void look(natsMsg *message)
{
    spot_look(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message));
    natsMsg_Destroy(message);
}

static void on_data(natsConnection *c, natsSubscription *s, natsMsg *message, void *user)
{
    (void)c, (void)s, (void)user;
    look(message);
    if (over)
        return;
    if (++n % (window() / 4) == 0)
        publish("credit", NULL, 0);
    if (kind != '3')
        over = (n & (size > 4096 ? 0 : 63)) == 0 && meter_tick(&m, n);
    else if (n == (uint64_t)W3_STREAMS * W3_MSGS) {
        meter_stop(&m, n);
        over = 1;
    }
}

static void read_streams(void)
{
    int streams = kind == '3' ? W3_STREAMS : 1;
    natsSubscription *s;
    char subject[32] = "data";
    for (int i = 0; i < streams; i++) {
        if (kind == '3')
            snprintf(subject, sizeof subject, "s.%d", i);
        MUST(natsConnection_Subscribe(&s, nc, subject, on_data, NULL));
        MUST(natsSubscription_SetPendingLimits(s, -1, -1));
    }
    MUST(natsConnection_Flush(nc));
    if (kind == '3')
        meter_start(&m);
    for (int i = 0; i < 4; i++)
        publish("credit", NULL, 0);
    while (!over)
        usleep(20000);
    if (kind == '3')
        emit("nats", wl, arg, meter_rate(&m), "msgs/s", &m, "");
    else
        emit_stream("nats", wl, arg, size, &m);
}

enum channel_kind { CHANNEL, LIST, SOURCE };
struct channel {
    enum channel_kind kind;
    int got;
    uint64_t born_ns;
    natsSubscription *s;
};
static int subscribed; /* w5: sources that are open, of the list before */

static void on_channel(natsConnection *c, natsSubscription *s, natsMsg *message, void *user);

static void open_channel(enum channel_kind of)
{
    static const char *const subjects[] = {"channel", "list", "source"};
    static uint64_t inboxes;
    struct channel *h = calloc(1, sizeof *h);
    char inbox[32];
    h->kind = of;
    h->born_ns = now_ns();
    snprintf(inbox, sizeof inbox, "i.%llu", (unsigned long long)inboxes++);
    MUST(natsConnection_Subscribe(&h->s, nc, inbox, on_channel, h));
    publish(subjects[of], inbox, 8);
}

static void on_channel(natsConnection *c, natsSubscription *s, natsMsg *message, void *user)
{
    static const int wanted[] = {3, 1, W5_FRAMES};
    struct channel *h = user;
    (void)c;
    look(message);
    if (over || ++h->got != wanted[h->kind])
        return;
    natsSubscription_Unsubscribe(s);
    natsSubscription_Destroy(s);
    if (h->kind == CHANNEL) {
        lat_add(&latency, now_ns() - h->born_ns);
        over = (++n & (atoi(arg) == 1 ? 0 : 15)) == 0 && meter_tick(&m, n);
        if (!over)
            open_channel(CHANNEL);
    } else if (h->kind == LIST)
        for (subscribed = 0; subscribed < W5_SOURCES; subscribed++)
            open_channel(SOURCE);
    else {
        n++;
        if (--subscribed == 0 && !(over = meter_tick(&m, n)))
            open_channel(LIST);
    }
    free(h);
}

static void read_channels(void)
{
    char extra[160] = "";
    for (int i = kind == '4' ? atoi(arg) : 1; i > 0; i--)
        open_channel(kind == '4' ? CHANNEL : LIST);
    while (!over)
        usleep(20000);
    if (kind == '4')
        lat_json(&latency, extra, sizeof extra);
    emit("nats", wl, arg, meter_rate(&m), kind == '4' ? "streams/s" : "sources/s", &m, extra);
}

static void ping(void)
{
    natsSubscription *s;
    natsMsg *message;
    char extra[160];
    MUST(natsConnection_SubscribeSync(&s, nc, "pong"));
    do {
        uint64_t t = now_ns();
        publish("echo", "pong", SMALL);
        MUST(natsSubscription_NextMsg(&message, s, 5000));
        look(message);
        lat_add(&latency, now_ns() - t);
    } while (!meter_tick(&m, ++n));
    lat_json(&latency, extra, sizeof extra);
    emit("nats", wl, arg, lat_us(&latency, .5), "us", &m, extra);
}

static void idle(void)
{
    long many = atol(arg);
    natsSubscription *s;
    char subject[32];
    MUST(natsConnection_Flush(nc));
    long server_kb = mem_srv("VmRSS:"), client_kb = mem_kb(getpid(), "VmRSS:");
    meter_start(&m);
    for (long i = 0; i < many; i++) {
        snprintf(subject, sizeof subject, "idle.%ld", i);
        MUST(natsConnection_Subscribe(&s, nc, subject, on_data, NULL));
    }
    MUST(natsConnection_FlushTimeout(nc, 20000));
    meter_stop(&m, (uint64_t)many);
    usleep(500000);
    emit_idle("nats", arg, many, server_kb, client_kb, &m);
}

static void client(void)
{
    spot_fill(body, sizeof body, 0);
    meter_init(&m);
    if (kind == '7')
        ping();
    else if (kind == '6')
        idle();
    else if (kind <= '3')
        read_streams();
    else
        read_channels();
    _exit(0);
}

int main(int argc, char **argv)
{
    natsOptions *options;
    char url[64];
    if (argc < 4)
        DIE("usage: nats server|client PORT WORKLOAD [ARG]");
    bench_bound();
    wl = argv[3];
    kind = wl[1];
    arg = argc > 4 ? argv[4] : "";
    size = strtoul(arg, NULL, 10);
    snprintf(url, sizeof url, "nats://127.0.0.1:%s", argv[2]);
    MUST(natsOptions_Create(&options));
    MUST(natsOptions_SetURL(options, url));
    MUST(natsOptions_UseGlobalMessageDelivery(options, true));
    MUST(natsOptions_SetMaxPendingMsgs(options, 1 << 20)); /* credit is what bounds it */
    nats_SetMessageDeliveryPoolSize(1);
    if (kind == '7' || !strcmp(arg, "1"))
        MUST(natsOptions_SetSendAsap(options, true));
    MUST(natsConnection_Connect(&nc, options));
    if (argv[1][0] == 's')
        server();
    else
        client();
    return 0;
}
