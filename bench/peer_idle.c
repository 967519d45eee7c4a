/* w6: every source is open, none has anything to say.  What does one cost? */
#include "bench/peer.h"

static struct {
    cs_loop *loop;
    uint64_t opened;
    bool over;
} b;

static void on_source_end(chanserv_source *src, cs_err why, void *state)
{
    (void)why, (void)state;
    if (!b.over)
        kit_wrong(chanserv_source_errmsg(src));
}
static const struct chanserv_source_ops source_ops = {.end = on_source_end};

static void on_feed(chanserv_feed *feed, void *state)
{
    chanserv_source *src;
    (void)state;
    while (chanserv_feed_recv(feed, &src) == CS_OK) {
        if (!kit_is_frame(chanserv_source_header(src), 0, HDR))
            kit_wrong("a header came with the wrong content");
        if (chanserv_source_start(src, &source_ops, NULL) != CS_OK)
            kit_wrong("a source did not start");
        b.opened++;
    }
}

static void on_feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)state;
    if (why != CS_DONE)
        kit_wrong(chanserv_feed_errmsg(feed));
    cs_loop_stop(b.loop);
}
static const struct chanserv_feed_ops feed_ops = {.readable = on_feed, .end = on_feed_end};

static void settled(void *loop)
{
    cs_loop_stop(loop);
}

void peer_wait_ms(cs_loop *loop, int ms)
{
    cs_timer *timer;
    if (cs_timer_new(loop, settled, loop, &timer) != CS_OK)
        kit_wrong("no timer");
    cs_timer_set(timer, ms);
    cs_loop_run(loop);
    cs_timer_free(timer);
}

void peer_idle(const char *port, const struct kit_work *work)
{
    chanserv_feed *warm, *feed;
    meter m;
    long n = atol(work->arg);
    b.loop = kit_loop();
    chanserv_client *client = kit_client(b.loop, port);
    meter_init(&m);
    if (chanserv_lookup_and_post(client, "ping", cs_str(""), NULL, &warm) != CS_OK ||
        chanserv_feed_ready(warm) != CS_OK)
        kit_wrong("no connection");
    chanserv_feed_close(warm);
    peer_wait_ms(b.loop, 100);
    long s0 = mem_srv("VmRSS:"), c0 = mem_kb(getpid(), "VmRSS:");
    meter_start(&m);
    if (chanserv_lookup_and_post(client, "idles", cs_str(work->arg), NULL, &feed) != CS_OK ||
        chanserv_feed_start(feed, &feed_ops, NULL) != CS_OK)
        kit_wrong("no post");
    cs_loop_run(b.loop);
    meter_stop(&m, b.opened);
    peer_wait_ms(b.loop, 500); /* until the server has seen them all opened */
    if (n <= 0 || b.opened != (uint64_t)n)
        kit_wrong("not all sources came");
    emit_idle("chanserv", work->arg, n, s0, c0, &m);
    b.over = true;
    chanserv_client_free(client);
    cs_loop_free(b.loop);
}
