/* peer -- chanserv in the same rounds as its peers: what a user of the public API gets, with
 * every default on.
 *
 *     peer server PORT WORKLOAD [ARG]     prints "ready"; SIGTERM ends it
 *     peer client PORT WORKLOAD [ARG]     prints one JSON line; exit 1 when a byte was wrong
 *
 * w1, w2  one source without end        w3  1,000 sources x 1,000 frames
 * w4      open, two frames, end         w5  posts of 100 sources x 10 frames
 * w6      idle open sources             w7  ping-pong: a post, and its answer inline
 * w3-stalled  w3 beside one more source that is open, full and never read
 *
 * All content is checked: a frame is one of a few patterns, by its number.  BENCH_CORRUPT=1 makes
 * the server flip one byte, and the client must notice.  BENCH_RESUME=MS: the client's resume_ms, -1
 * for off; what sessions cost is the difference. */
#include "bench/bench.h"

#include <chanserv/chanserv.h>

enum { PATTERNS = 8, LARGEST = 1 << 20, W4_BURST = 256 };

static uint8_t *patterns[PATTERNS];
static uint64_t corrupt_at = UINT64_MAX;

static void patterns_make(void)
{
    for (int i = 0; i < PATTERNS; i++) {
        patterns[i] = malloc(LARGEST);
        if (!patterns[i])
            DIE("no memory");
        uint32_t x = 2463534242u + (uint32_t)i;
        for (size_t at = 0; at < LARGEST; at++) {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            patterns[i][at] = (uint8_t)x;
        }
    }
}

static cs_bytes frame_of(uint64_t number, size_t size)
{
    return cs_bytes_of(patterns[number % PATTERNS], size);
}

/* ---- Server: every source counts its frames and gives the pattern of the number -------------- */

struct flow {
    uint64_t at, len; /* len frames; UINT64_MAX: without end */
    size_t size;
};

static cs_bytes flipped(cs_bytes frame)
{
    static uint8_t spoiled[LARGEST];
    memcpy(spoiled, frame.base, frame.len);
    spoiled[frame.len / 2] ^= 1;
    return cs_bytes_of(spoiled, frame.len);
}

static cs_err flow_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    (void)out;
    struct flow *f = state;
    if (f->at == f->len)
        return CS_DONE;
    *frame = frame_of(f->at, f->size);
    if (f->at == corrupt_at)
        *frame = flipped(*frame);
    f->at++;
    return CS_OK;
}

/* Large frames go by reference: the patterns stay where they are. */
static cs_err flow_next_ref(chanserv_outlet *out, cs_ref *frame, void *state)
{
    cs_err err = flow_next(out, &frame->bytes, state);
    frame->block = NULL;
    if (err == CS_OK)
        err = cs_ref_wrap(frame->bytes, NULL, NULL, frame);
    return err;
}

static cs_err idle_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    (void)out, (void)frame, (void)state;
    return CS_AGAIN;
}

static const struct chanserv_outlet_ops flow_ops = {.state_bytes = sizeof(struct flow),
                                                    .next = flow_next};
static const struct chanserv_outlet_ops eager_ops = {
    .state_bytes = sizeof(struct flow), .next = flow_next, .eager = true};
static const struct chanserv_outlet_ops large_ops = {.state_bytes = sizeof(struct flow),
                                                     .next_ref = flow_next_ref};
static const struct chanserv_outlet_ops idle_ops = {.next = idle_next};

struct series {
    uint64_t left;
    const struct chanserv_outlet_ops *ops;
    struct flow flow;
};

static cs_err series_next(chanserv_post *post, void *state)
{
    struct series *s = state;
    for (int i = 0; i < W4_BURST; i++) {
        if (s->left == 0)
            return CS_DONE;
        cs_err err = chanserv_announce(post, frame_of(0, HDR), s->ops,
                                       s->ops->state_bytes ? &s->flow : NULL, NULL);
        if (err != CS_OK)
            return err;
        s->left--;
    }
    return CS_OK;
}
static const struct chanserv_post_ops series_ops = {.state_bytes = sizeof(struct series),
                                                    .next = series_next};

static uint64_t number(cs_bytes body, size_t word)
{
    char text[64];
    char *at = text;
    size_t n = body.len < sizeof text - 1 ? body.len : sizeof text - 1;
    memcpy(text, body.base, n);
    text[n] = 0;
    for (; word > 0; word--)
        (void)strtoull(at, &at, 10);
    return strtoull(at, NULL, 10);
}

/* "SOURCES FRAMES SIZE", 0 for as many as one likes. */
static cs_err flows(chanserv_post *post, cs_bytes body, void *user)
{
    (void)user;
    struct series s = {.left = number(body, 0),
                       .flow = {.len = number(body, 1), .size = number(body, 2)}};
    if (s.flow.size > LARGEST)
        return CS_EINVAL;
    s.left = s.left ? s.left : UINT64_MAX;
    s.flow.len = s.flow.len ? s.flow.len : UINT64_MAX;
    s.ops = s.flow.size > 4096 ? &large_ops : &flow_ops;
    cs_err err = chanserv_post_keep(post, &series_ops, &s);
    return err;
}

static cs_err idles(chanserv_post *post, cs_bytes body, void *user)
{
    (void)user;
    struct series s = {.left = number(body, 0), .ops = &idle_ops};
    return chanserv_post_keep(post, &series_ops, &s);
}

static cs_err ping(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    struct flow f = {.len = 1, .size = SMALL};
    cs_err err = chanserv_announce(post, frame_of(0, HDR), &eager_ops, &f, NULL);
    return err == CS_OK ? CS_DONE : err;
}

static int server(const char *port)
{
    char addr[64];
    chanserv_server *s;
    struct chanserv_server_options options = {.signals = true};
    if (getenv("BENCH_CORRUPT"))
        corrupt_at = 0;
    snprintf(addr, sizeof addr, "127.0.0.1:%s", port);
    if (chanserv_server_new(NULL, &options, &s) != CS_OK)
        DIE("no server");
    chanserv_serve(s, "flows", flows, NULL);
    chanserv_serve(s, "idles", idles, NULL);
    chanserv_serve(s, "ping", ping, NULL);
    if (chanserv_listen(s, addr) != CS_OK)
        DIE("%s", chanserv_server_errmsg(s));
    ready();
    cs_err err = chanserv_server_run(s);
    chanserv_server_free(s);
    return cs_failed(err);
}

/* ---- Client: callbacks on one loop ----------------------------------------------------------- */

static struct bench {
    const char *workload, *arg;
    cs_loop *loop;
    chanserv_client *client;
    size_t size;
    uint64_t frames_each; /* 0: without end */
    uint64_t in_flight, in_flight_max;
    uint64_t done; /* units: frames, or sources, or rounds */
    uint64_t want; /* 0: until the meter says so */
    bool count_frames, over;
    meter m;
    lat latency;
    long rss_server, rss_client;
    uint64_t posted_ns;
    chanserv_feed *feed, *last; /* running; over but for its sources */
} b;

static void wrong(const char *what)
{
    fprintf(stderr, "peer: %s\n", what);
    _exit(1);
}

static void tick(void)
{
    if (b.over || b.want ? b.done < b.want : !meter_tick(&b.m, b.done))
        return;
    if (b.want && !b.over)
        meter_stop(&b.m, b.done);
    b.over = true;
    cs_loop_stop(b.loop);
}

struct reader {
    uint64_t at, born_ns;
};

static void on_feed(chanserv_feed *feed, void *state);
static void next_post(void);

static void on_frames(chanserv_source *src, void *state)
{
    struct reader *r = state;
    cs_bytes frame;
    while (chanserv_source_recv(src, &frame) == CS_OK) {
        if (frame.len != b.size || memcmp(frame.base, patterns[r->at % PATTERNS], b.size) != 0)
            wrong("a frame came with the wrong content");
        r->at++;
        if (b.count_frames && (++b.done & 1023) == 0)
            tick();
    }
    if (b.count_frames)
        tick();
}

static void on_source_end(chanserv_source *src, cs_err why, void *state)
{
    struct reader *r = state;
    if (b.over)
        return;
    if (why != CS_DONE)
        wrong(chanserv_source_errmsg(src));
    if (r->at != b.frames_each)
        wrong("a source ended with the wrong number of frames");
    b.in_flight--;
    if (!b.count_frames) {
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
    while (!b.over && b.in_flight < b.in_flight_max && chanserv_feed_recv(feed, &src) == CS_OK) {
        struct reader r = {.born_ns = strcmp(b.workload, "w7") ? now_ns() : b.posted_ns};
        if (!cs_same(chanserv_source_header(src), frame_of(0, HDR)))
            wrong("a header came with the wrong content");
        b.in_flight++;
        if (chanserv_source_start(src, &reader_ops, &r) != CS_OK)
            wrong("a source did not start");
    }
}

static void post(void);

/* w5 and w7: the next post, once the last one and all its sources are over. */
static void next_post(void)
{
    if (b.over || b.in_flight > 0 || !b.last)
        return;
    chanserv_feed_close(b.last);
    b.last = NULL;
    post();
}

static void on_feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)state;
    if (b.over)
        return;
    if (why != CS_DONE)
        wrong(chanserv_feed_errmsg(feed));
    b.feed = NULL;
    if (!strcmp(b.workload, "w5") || !strcmp(b.workload, "w7")) {
        b.last = feed;
        next_post();
    }
}

static const struct chanserv_feed_ops feed_ops = {.readable = on_feed, .end = on_feed_end};

static const char *service;
static char request[64];

static void post(void)
{
    b.posted_ns = now_ns();
    if (chanserv_lookup_and_post(b.client, service, cs_str(request), NULL, &b.feed) != CS_OK ||
        chanserv_feed_start(b.feed, &feed_ops, NULL) != CS_OK)
        wrong("no post");
}

/* ---- w6: every source is open, none has anything to say --------------------------------------- */

static void on_idle_end(chanserv_source *src, cs_err why, void *state)
{
    (void)why, (void)state;
    if (!b.over)
        wrong(chanserv_source_errmsg(src));
}
static const struct chanserv_source_ops idle_reader_ops = {.end = on_idle_end};

static void on_idle_feed(chanserv_feed *feed, void *state)
{
    chanserv_source *src;
    (void)state;
    while (chanserv_feed_recv(feed, &src) == CS_OK) {
        if (chanserv_source_start(src, &idle_reader_ops, NULL) != CS_OK)
            wrong("a source did not start");
        b.done++;
    }
}
static void on_idle_feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)state;
    if (why != CS_DONE)
        wrong(chanserv_feed_errmsg(feed));
    cs_loop_stop(b.loop);
}
static const struct chanserv_feed_ops idle_feed_ops = {.readable = on_idle_feed,
                                                       .end = on_idle_feed_end};

static void settled(void *user)
{
    (void)user;
    cs_loop_stop(b.loop);
}

static void wait_ms(int ms)
{
    cs_timer *timer;
    if (cs_timer_new(b.loop, settled, NULL, &timer) != CS_OK)
        wrong("no timer");
    cs_timer_set(timer, ms);
    cs_loop_run(b.loop);
    cs_timer_free(timer);
}

static void idle(void)
{
    chanserv_feed *warm, *feed;
    long n = atol(b.arg);
    if (chanserv_lookup_and_post(b.client, "ping", cs_str(""), NULL, &warm) != CS_OK ||
        chanserv_feed_ready(warm) != CS_OK)
        wrong("no connection");
    chanserv_feed_close(warm);
    wait_ms(100);
    long s0 = mem_srv("VmRSS:"), c0 = mem_kb(getpid(), "VmRSS:");
    meter_start(&b.m);
    if (chanserv_lookup_and_post(b.client, "idles", cs_str(b.arg), NULL, &feed) != CS_OK ||
        chanserv_feed_start(feed, &idle_feed_ops, NULL) != CS_OK)
        wrong("no post");
    cs_loop_run(b.loop);
    meter_stop(&b.m, b.done);
    wait_ms(500); /* until the server has claimed them all */
    if (b.done != (uint64_t)n)
        wrong("not all sources came");
    emit_idle("chanserv", b.arg, n, s0, c0, &b.m);
    b.over = true;
}

/* ---- One workload ---------------------------------------------------------------------------- */

/* A source without end that is opened, and from which nothing is taken. */
static void stall_one(void)
{
    chanserv_feed *feed;
    chanserv_source *src;
    if (chanserv_lookup_and_post(b.client, "flows", cs_str("1 0 64"), NULL, &feed) != CS_OK ||
        !chanserv_range_source(feed, &src) || chanserv_source_open(src, 0) != CS_OK)
        wrong("no source to stall");
    wait_ms(100);
}

static void plan(const char *sources, const char *frames)
{
    service = "flows";
    snprintf(request, sizeof request, "%s %s %zu", sources, frames, b.size);
    b.frames_each = strtoull(frames, NULL, 10);
}

static void run(void)
{
    const char *w = b.workload;
    char extra[128] = "";
    b.size = SMALL;
    b.in_flight_max = UINT64_MAX;
    meter_init(&b.m);
    if (!strcmp(w, "w1") || !strcmp(w, "w2")) {
        b.size = strtoul(b.arg, NULL, 10);
        b.count_frames = true;
        plan("1", "0");
    } else if (!strcmp(w, "w3")) {
        b.count_frames = true;
        b.want = (uint64_t)W3_STREAMS * W3_MSGS;
        plan("1000", "1000");
        if (!strcmp(b.arg, "stalled"))
            stall_one();
        meter_start(&b.m);
    } else if (!strcmp(w, "w4")) {
        b.in_flight_max = strtoul(b.arg, NULL, 10);
        plan("0", "2");
    } else if (!strcmp(w, "w5"))
        plan("100", "10");
    else if (!strcmp(w, "w7")) {
        service = "ping";
        b.frames_each = 1;
    } else
        DIE("peer: unknown workload %s", w);
    post();
    cs_loop_run(b.loop);
    if (!b.over)
        wrong("ended early");
    if (b.count_frames && !b.want)
        emit_stream("chanserv", w, b.arg, b.size, &b.m);
    else if (b.count_frames)
        emit("chanserv", w, b.arg, meter_rate(&b.m), "msgs/s", &b.m, "");
    else if (!strcmp(w, "w7")) {
        lat_json(&b.latency, extra, sizeof extra);
        emit("chanserv", w, b.arg, lat_us(&b.latency, .5), "us", &b.m, extra);
    } else
        emit("chanserv", w, b.arg, meter_rate(&b.m), !strcmp(w, "w4") ? "streams/s" : "sources/s",
             &b.m, !strcmp(w, "w4") ? lat_json(&b.latency, extra, sizeof extra) : "");
}

static int client(const char *port)
{
    struct chanserv_client_options options = {0};
    char addr[64];
    snprintf(addr, sizeof addr, "127.0.0.1:%s", port);
    if (getenv("BENCH_RESUME"))
        options.resume_ms = atoi(getenv("BENCH_RESUME"));
    if (cs_loop_new(NULL, &b.loop) != CS_OK ||
        chanserv_client_new(b.loop, &options, &b.client) != CS_OK ||
        chanserv_join(b.client, addr) != CS_OK)
        DIE("no client");
    if (!strcmp(b.workload, "w6"))
        idle();
    else
        run();
    chanserv_client_free(b.client);
    cs_loop_free(b.loop);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        DIE("usage: peer server|client PORT WORKLOAD [ARG]");
    bench_bound();
    patterns_make();
    b.workload = argv[3];
    b.arg = argc > 4 ? argv[4] : "";
    return strcmp(argv[1], "server") == 0 ? server(argv[2]) : client(argv[2]);
}
