/* loops: two clients, on two connections, of a source each that works for its frames. */
#include "bench/peer.h"

enum { CLIENTS = 2 };

static struct {
    cs_loop *loop;
    uint64_t at[CLIENTS], frames;
    bool over;
    meter m;
} b;

static void on_readable(chanserv_source *src, void *state)
{
    uint64_t *at = state;
    cs_bytes frame;
    while (!b.over && chanserv_source_recv(src, &frame) == CS_OK) {
        if (!kit_is_hash(frame, (*at)++))
            kit_wrong("a frame came with the wrong content");
        b.over = meter_tick(&b.m, ++b.frames);
        if (b.over)
            cs_loop_stop(b.loop);
    }
}

static void on_end(chanserv_source *src, cs_err why, void *state)
{
    (void)why, (void)state;
    if (!b.over)
        kit_wrong(chanserv_source_errmsg(src));
}
static const struct chanserv_source_ops ops = {.readable = on_readable, .end = on_end};

void peer_loops(const char *port, const struct kit_work *work)
{
    chanserv_client *clients[CLIENTS];
    chanserv_source *src;
    chanserv_feed *feed;
    kit_hash_init();
    b.loop = kit_loop();
    meter_init(&b.m);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = kit_client(b.loop, port);
        if (chanserv_lookup_and_post(clients[i], work->service, cs_str(""), NULL, &feed) != CS_OK ||
            !chanserv_range_source(feed, &src) ||
            chanserv_source_start(src, &ops, &b.at[i]) != CS_OK)
            kit_wrong("no source");
    }
    cs_loop_run(b.loop);
    if (!b.over)
        kit_wrong("ended early");
    kit_emit("chanserv", work, &b.m, &(lat){0});
    for (int i = 0; i < CLIENTS; i++)
        chanserv_client_free(clients[i]);
    cs_loop_free(b.loop);
}
