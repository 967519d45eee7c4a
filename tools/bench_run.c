/* bench_run -- see bench.h. */
#include "tools/bench.h"
#include "tools/gen.h"

#include <inttypes.h>
#include <stdarg.h>

enum { FRAMES_AT_ONCE = 64, TOLD_MAX = 10 };

struct bench_post { /* the state of a feed; it is there as long as its sources */
    struct bench *bench;
    uint64_t number, begun_us;
    uint64_t announced, open; /* sources */
    bool answered;            /* a frame came */
    bool ended;               /* no more sources */
    bool failed;
};

struct bench_source {
    uint64_t frames, begun_us;
};

static void begin_posts(struct bench *b);

/* ---- What goes wrong ------------------------------------------------------------------------ */

static void CS_PRINTF(2, 3) tell_wrong(struct bench_post *p, const char *format, ...)
{
    struct bench *b = p->bench;
    char line[256];
    va_list args;
    int n = snprintf(line, sizeof line, "post %" PRIu64 ", ", p->number);

    p->failed = true;
    b->why = CS_EDATALOSS;
    if (b->wrong++ >= TOLD_MAX)
        return;
    va_start(args, format);
    vsnprintf(line + n, sizeof line - (size_t)n, format, args);
    va_end(args);
    b->tell(line, b->user);
}

/* A service that fails once will not do better the next time: no more of it. */
static void tell_failure(struct bench_post *p, cs_err why, const char *words)
{
    struct bench *b = p->bench;

    p->failed = true;
    if (b->why == CS_OK) {
        b->why = why;
        b->tell(words, b->user);
    }
    bench_stop(b);
}

static void check_frame(struct bench_post *p, uint64_t i, uint64_t j, cs_bytes frame)
{
    struct bench *b = p->bench;
    const uint8_t *bytes = frame.base;
    char text[GEN_TEXT_MAX];
    size_t n = gen_text(text, i, j), at = 0;

    if (j < b->frames && gen_check(bytes, frame.len, (size_t)b->size, i, j)) {
        b->frames_done++;
        b->bytes_done += frame.len;
        return;
    }
    if (j >= b->frames) {
        tell_wrong(p, "source @%" PRIu64 ": frame %" PRIu64 " of %" PRIu64, i, j, b->frames);
    } else if (frame.len != b->size) {
        tell_wrong(p, "source @%" PRIu64 ", frame %" PRIu64 ": %zu bytes, not %" PRIu64, i, j,
                   frame.len, b->size);
    } else {
        while (at < frame.len &&
               bytes[at] == (at < n ? (uint8_t)text[at] : gen_byte(gen_seed(i, j), at)))
            at++;
        tell_wrong(p, "source @%" PRIu64 ", frame %" PRIu64 ": byte %zu is wrong", i, j, at);
    }
}

/* ---- A source ------------------------------------------------------------------------------- */

static struct bench_post *post_of(chanserv_source *source)
{
    return chanserv_feed_state(chanserv_source_feed(source));
}

static void over_if_done(struct bench_post *p, chanserv_feed *feed)
{
    struct bench *b = p->bench;

    if (!p->ended || p->open > 0)
        return;
    b->posts_done += !p->failed;
    b->running--;
    chanserv_feed_close(feed);
    begin_posts(b);
    if (b->running == 0)
        b->over(b->user);
}

static void on_frames(chanserv_source *source, void *state)
{
    struct bench_post *p = post_of(source);
    uint64_t i = chanserv_source_index(source), gap;
    struct bench_source *s = state;
    cs_bytes frame;

    for (int n = 0; n < FRAMES_AT_ONCE; n++) {
        if (chanserv_source_recv(source, &frame) != CS_OK)
            return;
        if (!p->answered)
            latency_add(&p->bench->first_us, latency_now_us() - p->begun_us);
        p->answered = true;
        if ((gap = chanserv_source_gap(source)) > 0)
            tell_wrong(p, "source @%" PRIu64 ": %" PRIu64 " frames left out", i, gap);
        check_frame(p, i, s->frames++, frame);
    }
    chanserv_source_resume(source); /* the others' turn */
}

static void on_source_end(chanserv_source *source, cs_err why, void *state)
{
    struct bench_post *p = post_of(source);
    struct bench *b = p->bench;
    struct bench_source *s = state;

    if (cs_failed(why)) {
        tell_failure(p, why, chanserv_source_errmsg(source));
    } else if (s->frames < b->frames) {
        tell_wrong(p, "source @%" PRIu64 ": %" PRIu64 " frames of %" PRIu64,
                   chanserv_source_index(source), s->frames, b->frames);
    } else {
        latency_add(&b->source_us, latency_now_us() - s->begun_us);
        b->sources_done++;
    }
    p->open--;
    over_if_done(p, chanserv_source_feed(source));
}

static const struct chanserv_source_ops source_ops = {
    .state_bytes = sizeof(struct bench_source), .readable = on_frames, .end = on_source_end};

/* ---- A post --------------------------------------------------------------------------------- */

static void on_sources(chanserv_feed *feed, void *state)
{
    struct bench_post *p = state;
    struct bench_source s = {.frames = 0};
    chanserv_source *source;
    char header[32];
    cs_err err;

    while (chanserv_feed_recv(feed, &source) == CS_OK) {
        snprintf(header, sizeof header, "source @%" PRIu64, p->announced);
        if (!cs_same(chanserv_source_header(source), cs_str(header)))
            tell_wrong(p, "source @%" PRIu64 " is called '%.*s'", p->announced,
                       CS_FMT(chanserv_source_header(source)));
        p->announced++;
        s.begun_us = latency_now_us();
        err = chanserv_source_start(source, &source_ops, &s);
        if (err == CS_OK)
            p->open++;
        else
            tell_failure(p, err, cs_strerror(err));
    }
}

static void on_feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    struct bench_post *p = state;

    p->ended = true;
    if (cs_failed(why))
        tell_failure(p, why, chanserv_feed_errmsg(feed));
    else if (p->announced != p->bench->sources)
        tell_wrong(p, "%" PRIu64 " sources of %" PRIu64, p->announced, p->bench->sources);
    over_if_done(p, feed);
}

static const struct chanserv_feed_ops feed_ops = {
    .state_bytes = sizeof(struct bench_post), .readable = on_sources, .end = on_feed_end};

static cs_err begin_post(struct bench *b)
{
    struct bench_post p = {.bench = b, .number = b->begun, .begun_us = latency_now_us()};
    chanserv_feed *feed;
    cs_err err = chanserv_lookup_and_post(b->client, b->service, cs_str(b->body), &b->with, &feed);

    if (err != CS_OK)
        return err;
    err = chanserv_feed_start(feed, &feed_ops, &p);
    if (err != CS_OK) {
        chanserv_feed_close(feed);
        return err;
    }
    b->begun++;
    b->running++;
    return CS_OK;
}

static void begin_posts(struct bench *b)
{
    while (!b->stopped && b->running < b->parallel && (b->posts == 0 || b->begun < b->posts)) {
        cs_err err = begin_post(b);
        if (err == CS_OK)
            continue;
        if (b->begun > 0 && b->why == CS_OK)
            b->tell(cs_strerror(err), b->user);
        if (b->why == CS_OK)
            b->why = err;
        bench_stop(b);
    }
}

/* ---- All of it ------------------------------------------------------------------------------ */

cs_err bench_begin(struct bench *b, chanserv_client *client)
{
    b->client = client;
    snprintf(b->body, sizeof b->body, "sources=%" PRIu64 "&frames=%" PRIu64 "&size=%" PRIu64,
             b->sources, b->frames, b->size);
    begin_posts(b);
    return b->begun > 0 ? CS_OK : b->why;
}

void bench_stop(struct bench *b)
{
    b->stopped = true;
}

void bench_cancel(struct bench *b)
{
    bench_stop(b);
    if (b->why == CS_OK)
        b->why = CS_ECANCELED;
    chanserv_client_cancel(b->client);
}
