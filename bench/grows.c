/* grows -- does a frame cost more when there are more streams?  A server and its client on one loop in
 * one process, joined by TCP.  All streams are open; in each step ten of them, the next ten in turn,
 * say one frame.  So a step is the same work however many streams there are.
 *
 *     bench/grows STREAMS [FRAMES]    prints one JSON line; exit 1 when a byte was wrong
 *
 * bench/grows.sh runs it under callgrind, which counts only what is done in measured(). */
#include "bench/kit.h"

enum { AT_ONCE = 10, FRAMES = 100000 };

static struct {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_outlet **outlets;
    uint64_t streams, announced, opened, left, want, got;
} b;

/* ---- The server's end ------------------------------------------------------------------------------- */

struct voice {
    bool speaks;
    uint64_t at;
};

static cs_err voice_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    (void)out;
    struct voice *v = state;
    if (!v->speaks)
        return CS_AGAIN;
    v->speaks = false;
    *frame = kit_frame(v->at++, SMALL);
    if (kit_corrupts())
        *frame = kit_spoiled(*frame);
    return CS_OK;
}
static const struct chanserv_outlet_ops voice_ops = {.state_bytes = sizeof(struct voice),
                                                     .next = voice_next};

static cs_err announce(chanserv_post *post, void *state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        const struct voice v = {0};
        if (b.announced == b.streams)
            return CS_DONE;
        cs_err err = chanserv_announce(post, kit_frame(0, HDR), &voice_ops, (void *)&v,
                                       &b.outlets[b.announced]);
        if (err != CS_OK)
            return err;
        b.announced++;
    }
    return CS_OK;
}
static const struct chanserv_post_ops announce_ops = {.next = announce};

static cs_err voices(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    return chanserv_post_keep(post, &announce_ops, NULL);
}

/* The next ten have something to say. */
static void step(void)
{
    for (int i = 0; i < AT_ONCE; i++) {
        chanserv_outlet *out = b.outlets[b.want++ % b.streams];
        struct voice *v = chanserv_outlet_state(out);
        v->speaks = true;
        chanserv_outlet_wake(out);
    }
}

/* ---- The client's end ------------------------------------------------------------------------------- */

static void on_frames(chanserv_source *src, void *state)
{
    uint64_t *at = state;
    cs_bytes frame;
    while (chanserv_source_recv(src, &frame) == CS_OK) {
        if (!kit_is_frame(frame, (*at)++, SMALL))
            kit_wrong("a frame came with the wrong content");
        b.got++;
    }
    if (b.left == 0 || b.got < b.want)
        return;
    b.left -= AT_ONCE < b.left ? AT_ONCE : b.left;
    if (b.left > 0)
        step();
    else
        cs_loop_stop(b.loop);
}

static void on_source_end(chanserv_source *src, cs_err why, void *state)
{
    (void)why, (void)state;
    if (b.left > 0)
        kit_wrong(chanserv_source_errmsg(src));
}
static const struct chanserv_source_ops source_ops = {
    .state_bytes = sizeof(uint64_t), .readable = on_frames, .end = on_source_end};

static void on_feed(chanserv_feed *feed, void *state)
{
    chanserv_source *src;
    (void)state;
    while (chanserv_feed_recv(feed, &src) == CS_OK) {
        uint64_t at = 0;
        if (chanserv_source_start(src, &source_ops, &at) != CS_OK)
            kit_wrong("a source did not start");
        b.opened++;
    }
}

static void on_feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)state;
    if (why != CS_DONE || b.opened != b.streams)
        kit_wrong(chanserv_feed_errmsg(feed));
    cs_loop_stop(b.loop);
}
static const struct chanserv_feed_ops feed_ops = {.readable = on_feed, .end = on_feed_end};

/* ---- Both ------------------------------------------------------------------------------------------- */

static void settled(void *user)
{
    (void)user;
    cs_loop_stop(b.loop);
}

static void prepare(void)
{
    chanserv_feed *feed;
    cs_timer *timer;
    b.loop = kit_loop();
    b.outlets = calloc(b.streams, sizeof(chanserv_outlet *));
    if (!b.outlets || chanserv_server_new(b.loop, NULL, &b.server) != CS_OK ||
        chanserv_serve(b.server, "voices", voices, NULL) != CS_OK ||
        chanserv_listen(b.server, "127.0.0.1:0") != CS_OK)
        DIE("no server");
    b.client = kit_client(b.loop, strrchr(chanserv_server_addr(b.server, 0), ':') + 1);
    if (chanserv_lookup_and_post(b.client, "voices", cs_str(""), NULL, &feed) != CS_OK ||
        chanserv_feed_start(feed, &feed_ops, NULL) != CS_OK ||
        cs_timer_new(b.loop, settled, NULL, &timer) != CS_OK)
        kit_wrong("no post");
    cs_loop_run(b.loop);
    cs_timer_set(timer, 500); /* until the server has seen them all opened */
    cs_loop_run(b.loop);
    cs_timer_free(timer);
}

static void say(uint64_t frames)
{
    b.left = frames;
    step();
    cs_loop_run(b.loop);
}

__attribute__((noinline)) static void measured(uint64_t frames)
{
    say(frames);
}

int main(int argc, char **argv)
{
    uint64_t frames = argc > 2 ? strtoull(argv[2], NULL, 10) : FRAMES;
    meter m = {0};
    if (argc < 2 || (b.streams = strtoull(argv[1], NULL, 10)) < AT_ONCE || frames == 0)
        DIE("usage: %s STREAMS [FRAMES]    at least %d streams", argv[0], AT_ONCE);
    prepare();
    say(b.streams); /* a stream's first frame has the answer's header before it */
    b.got = b.want = 0;
    meter_start(&m);
    measured(frames);
    meter_stop(&m, b.got);
    printf("{\"streams\":%llu,\"frames\":%llu,\"ns_a_frame\":%.1f}\n",
           (unsigned long long)b.streams, (unsigned long long)b.got,
           (m.t1 - m.t0) * 1e9 / (double)b.got);
    fflush(stdout);
    chanserv_client_free(b.client);
    chanserv_server_free(b.server);
    cs_loop_free(b.loop);
    free(b.outlets);
    return 0;
}
