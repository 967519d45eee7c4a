/* Sources that come, say their frames and end: a post at a time, until the meter has seen enough. */
#include "bench/peer.h"

static struct {
    const struct kit_work *work;
    cs_loop *loop;
    chanserv_client *client;
    uint64_t in_flight, done; /* sources open now; units: frames or sources */
    bool counts_frames, over;
    meter m;
    lat latency;
    uint64_t posted_ns;
    chanserv_feed *feed, *last; /* running; over but for its sources */
} b;

struct reader {
    uint64_t at, born_ns;
};

static void on_feed(chanserv_feed *feed, void *state);
static void next_post(void);

static void tick(void)
{
    if (b.over || (b.work->want ? b.done < b.work->want : !meter_tick(&b.m, b.done)))
        return;
    if (b.work->want)
        meter_stop(&b.m, b.done);
    b.over = true;
    cs_loop_stop(b.loop);
}

static void on_frames(chanserv_source *src, void *state)
{
    struct reader *r = state;
    cs_bytes frame;
    while (chanserv_source_recv(src, &frame) == CS_OK) {
        if (!kit_is_frame(frame, r->at, b.work->size))
            kit_wrong("a frame came with the wrong content");
        r->at++;
        if (b.counts_frames && (++b.done & 1023) == 0)
            tick();
    }
    if (b.counts_frames)
        tick();
}

static void on_source_end(chanserv_source *src, cs_err why, void *state)
{
    struct reader *r = state;
    if (b.over)
        return;
    if (why != CS_DONE)
        kit_wrong(chanserv_source_errmsg(src));
    if (r->at != b.work->frames)
        kit_wrong("a source ended with the wrong number of frames");
    b.in_flight--;
    if (!b.counts_frames) {
        lat_add(&b.latency, now_ns() - r->born_ns);
        b.done++;
        tick();
    }
    if (b.feed)
        on_feed(b.feed, NULL);
    next_post();
}

static const struct chanserv_source_ops reader_ops = {
    .state_bytes = sizeof(struct reader), .readable = on_frames, .end = on_source_end};

static void on_feed(chanserv_feed *feed, void *state)
{
    chanserv_source *src;
    (void)state;
    while (!b.over && b.in_flight < b.work->in_flight && chanserv_feed_recv(feed, &src) == CS_OK) {
        struct reader r = {.born_ns = b.work->sources == 1 ? b.posted_ns : now_ns()};
        if (!kit_is_frame(chanserv_source_header(src), 0, HDR))
            kit_wrong("a header came with the wrong content");
        b.in_flight++;
        if (chanserv_source_start(src, &reader_ops, &r) != CS_OK)
            kit_wrong("a source did not start");
    }
}

static void on_feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)state;
    if (b.over)
        return;
    if (why != CS_DONE)
        kit_wrong(chanserv_feed_errmsg(feed));
    b.feed = NULL;
    if (b.work->again) {
        b.last = feed;
        next_post();
    }
}

static const struct chanserv_feed_ops feed_ops = {.readable = on_feed, .end = on_feed_end};

static void post(void)
{
    b.posted_ns = now_ns();
    if (chanserv_lookup_and_post(b.client, b.work->service, cs_str(b.work->request), NULL,
                                 &b.feed) != CS_OK ||
        chanserv_feed_start(b.feed, &feed_ops, NULL) != CS_OK)
        kit_wrong("no post");
}

/* Once the last post and all its sources are over. */
static void next_post(void)
{
    if (b.over || b.in_flight > 0 || !b.last)
        return;
    chanserv_feed_close(b.last);
    b.last = NULL;
    post();
}

/* A source without end that is opened, and from which nothing is taken. */
static void stall_one(void)
{
    chanserv_feed *feed;
    chanserv_source *src;
    if (chanserv_lookup_and_post(b.client, "flows", cs_str("1 0 64"), NULL, &feed) != CS_OK ||
        !chanserv_range_source(feed, &src) || chanserv_source_open(src, 0) != CS_OK)
        kit_wrong("no source to stall");
    peer_wait_ms(b.loop, 100);
}

void peer_flows(const char *port, const struct kit_work *work)
{
    b.work = work;
    b.counts_frames = kit_counts_frames(work);
    b.loop = kit_loop();
    b.client = kit_client(b.loop, port);
    meter_init(&b.m);
    if (!strcmp(work->arg, "stalled"))
        stall_one();
    if (work->want)
        meter_start(&b.m);
    post();
    cs_loop_run(b.loop);
    if (!b.over)
        kit_wrong("ended early");
    kit_emit("chanserv", work, &b.m, &b.latency);
    chanserv_client_free(b.client);
    cs_loop_free(b.loop);
    free(b.latency.v);
}
