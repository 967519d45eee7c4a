/* w7 talk: one source that listens gives back what it is told, a frame at a time. */
#include "bench/peer.h"

static struct {
    cs_loop *loop;
    uint64_t at, said_ns;
    bool over;
    meter m;
    lat latency;
} b;

static void say(chanserv_source *src)
{
    b.said_ns = now_ns();
    if (chanserv_source_send(src, kit_frame(b.at, SMALL), CS_NOW) != CS_OK)
        kit_wrong("a frame was not taken");
}

static void on_frames(chanserv_source *src, void *state)
{
    cs_bytes frame;
    (void)state;
    while (!b.over && chanserv_source_recv(src, &frame) == CS_OK) {
        lat_add(&b.latency, now_ns() - b.said_ns);
        if (!kit_is_frame(frame, b.at++, SMALL))
            kit_wrong("a frame came back with other content");
        b.over = meter_tick(&b.m, b.at);
        if (b.over)
            cs_loop_stop(b.loop);
        else
            say(src);
    }
}

static void on_source_end(chanserv_source *src, cs_err why, void *state)
{
    (void)why, (void)state;
    if (!b.over)
        kit_wrong(chanserv_source_errmsg(src));
}
static const struct chanserv_source_ops talk_ops = {.readable = on_frames, .end = on_source_end};

void peer_talk(const char *port, const struct kit_work *work)
{
    chanserv_feed *feed;
    chanserv_source *src;
    b.loop = kit_loop();
    chanserv_client *client = kit_client(b.loop, port);
    meter_init(&b.m);
    if (chanserv_lookup_and_post(client, "echo", cs_str(""), NULL, &feed) != CS_OK ||
        !chanserv_range_source(feed, &src) || !chanserv_source_has_uplink(src) ||
        chanserv_source_start(src, &talk_ops, NULL) != CS_OK)
        kit_wrong("nobody to talk to");
    say(src);
    cs_loop_run(b.loop);
    if (!b.over)
        kit_wrong("ended early");
    kit_emit("chanserv", work, &b.m, &b.latency);
    chanserv_client_free(client);
    cs_loop_free(b.loop);
    free(b.latency.v);
}
