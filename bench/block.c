/* block -- the workloads of bench/peer by a client that waits: it has a loop of its own on a thread of
 * its own, and is used as Go's channels are.  How to call it: bench/kit.h.
 *
 * A post of one source, and w4 with one in flight, by range; a post of several by select. */
#include "bench/kit.h"

static struct {
    const struct kit_work *work;
    chanserv_client *client;
    bool counts_frames;
    uint64_t done, posted_ns;
    meter m;
    lat latency;
} b;

static bool enough(void)
{
    if (b.work->want)
        return b.done >= b.work->want;
    return (!b.counts_frames || (b.done & (b.work->size > 4096 ? 0 : 63)) == 0) &&
           meter_tick(&b.m, b.done);
}

static void look(cs_bytes frame, uint64_t at)
{
    if (!kit_is_frame(frame, at, b.work->size))
        kit_wrong("a frame came with the wrong content");
    if (b.counts_frames)
        b.done++;
}

static void source_ended(uint64_t at, cs_err why, const char *errmsg)
{
    if (why != CS_DONE)
        kit_wrong(errmsg);
    if (at != b.work->frames)
        kit_wrong("a source ended with the wrong number of frames");
    if (!b.counts_frames)
        b.done++;
}

static void header(const chanserv_source *src)
{
    if (!kit_is_frame(chanserv_source_header(src), 0, HDR))
        kit_wrong("a header came with the wrong content");
}

/* True when it is enough. */
static bool by_range(chanserv_feed *feed)
{
    chanserv_source *src;
    while (chanserv_range_source(feed, &src)) {
        cs_bytes frame;
        uint64_t at = 0, born = b.work->sources == 1 ? b.posted_ns : now_ns();
        header(src);
        while (chanserv_range_frame(src, &frame)) {
            look(frame, at++);
            if (b.counts_frames && enough())
                return true;
        }
        source_ended(at, chanserv_source_status(src), chanserv_source_errmsg(src));
        if (!b.counts_frames)
            lat_add(&b.latency, now_ns() - born);
        chanserv_source_close(src);
        if (enough())
            return true;
    }
    return false;
}

static bool by_select(chanserv_feed *feed)
{
    static uint64_t at[W3_STREAMS];
    struct chanserv_event event;
    chanserv_set *set;
    bool stop = false;
    memset(at, 0, sizeof at);
    if (b.work->sources > W3_STREAMS || chanserv_set_new(b.client, &set) != CS_OK ||
        chanserv_set_add_feed(set, feed) != CS_OK)
        kit_wrong("no set");
    while (!stop && chanserv_select(set, CS_FOREVER, &event) == CS_OK) {
        uint64_t i = event.source ? chanserv_source_index(event.source) : 0;
        if (event.kind == CHANSERV_SOURCE) {
            header(event.source);
            if (i >= W3_STREAMS || chanserv_set_add_source(set, event.source) != CS_OK)
                kit_wrong("a source did not start");
        } else if (event.kind == CHANSERV_FRAME)
            look(event.frame, at[i]++);
        else if (event.kind == CHANSERV_SOURCE_END)
            source_ended(at[i], event.why, chanserv_source_errmsg(event.source));
        stop = enough();
    }
    chanserv_set_free(set);
    return stop;
}

static void client(const char *port, const struct kit_work *work)
{
    bool ranges = work->sources == 1 || work->in_flight == 1, stop = false;
    /* An argument in words is a variant that bench/peer has. */
    if (!strcmp(work->name, "w6") || !strcmp(work->name, "beside") || *work->arg > '9' ||
        (!ranges && work->sources == 0))
        DIE("%s %s: not a workload for a client that waits", work->name, work->arg);
    b.work = work;
    b.counts_frames = kit_counts_frames(work);
    b.client = kit_client(NULL, port);
    meter_init(&b.m);
    if (work->want)
        meter_start(&b.m);
    while (!stop) {
        chanserv_feed *feed;
        b.posted_ns = now_ns();
        if (chanserv_lookup_and_post(b.client, work->service, cs_str(work->request), NULL, &feed) !=
            CS_OK)
            kit_wrong("no post");
        stop = ranges ? by_range(feed) : by_select(feed);
        if (!stop && chanserv_feed_status(feed) != CS_DONE)
            kit_wrong(chanserv_feed_errmsg(feed));
        if (!stop && !work->again)
            kit_wrong("ended early");
        chanserv_feed_close(feed);
    }
    if (work->want)
        meter_stop(&b.m, b.done);
    kit_emit("chanserv-block", work, &b.m, &b.latency);
    chanserv_client_free(b.client);
    free(b.latency.v);
}

int main(int argc, char **argv)
{
    return kit_main(argc, argv, client);
}
