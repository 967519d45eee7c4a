/* beside: how late is a frame of a small source, while another one saturates the connection? */
#include "bench/peer.h"

static struct {
    const struct kit_work *work;
    cs_loop *loop;
    uint64_t small_at, large_at;
    bool over;
    meter m;
    lat latency;
} b;

static void on_large(chanserv_source *src, void *state)
{
    cs_bytes frame;
    (void)state;
    while (!b.over && chanserv_source_recv(src, &frame) == CS_OK)
        if (!kit_is_frame(frame, b.large_at++, b.work->size))
            kit_wrong("a large frame came with the wrong content");
}

static void on_small(chanserv_source *src, void *state)
{
    cs_bytes frame;
    uint64_t said_ns;
    (void)state;
    while (!b.over && chanserv_source_recv(src, &frame) == CS_OK) {
        uint8_t plain[SMALL];
        if (frame.len != SMALL)
            kit_wrong("a small frame came with the wrong length");
        memcpy(plain, frame.base, SMALL);
        memcpy(&said_ns, plain, sizeof said_ns);
        memcpy(plain, kit_frame(b.small_at, SMALL).base, sizeof said_ns);
        if (!kit_is_frame(cs_bytes_of(plain, SMALL), b.small_at++, SMALL))
            kit_wrong("a small frame came with the wrong content");
        lat_add(&b.latency, now_ns() - said_ns);
        b.over = meter_tick(&b.m, b.small_at);
        if (b.over)
            cs_loop_stop(b.loop);
    }
}

static void on_source_end(chanserv_source *src, cs_err why, void *state)
{
    (void)why, (void)state;
    if (!b.over)
        kit_wrong(chanserv_source_errmsg(src));
}
static const struct chanserv_source_ops small_ops = {.readable = on_small, .end = on_source_end};
static const struct chanserv_source_ops large_ops = {.readable = on_large, .end = on_source_end};

static void start(chanserv_client *client, const char *service, const char *request,
                  const struct chanserv_source_ops *ops)
{
    chanserv_feed *feed;
    chanserv_source *src;
    if (chanserv_lookup_and_post(client, service, cs_str(request), NULL, &feed) != CS_OK ||
        !chanserv_range_source(feed, &src) || chanserv_source_start(src, ops, NULL) != CS_OK)
        kit_wrong("no source");
}

void peer_beside(const char *port, const struct kit_work *work)
{
    b.work = work;
    b.loop = kit_loop();
    chanserv_client *client = kit_client(b.loop, port);
    meter_init(&b.m);
    start(client, work->service, work->request, &large_ops);
    start(client, "stamps", "", &small_ops);
    cs_loop_run(b.loop);
    if (!b.over || b.large_at == 0)
        kit_wrong("ended early");
    kit_emit("chanserv", work, &b.m, &b.latency);
    chanserv_client_free(client);
    cs_loop_free(b.loop);
    free(b.latency.v);
}
