/* cuts -- a hundred sources of ten thousand frames and conversations, through a proxy that cuts.
 *
 *   cuts [--cuts N] [--seed S] [--proxy bytes|http2] [--no-error] [--swallow] [--delay MS] [--sources N]
 *        [--talks N] [--frames N]
 *
 * Server, client and proxy are threads of this process.  Both sides know what each frame has to be.
 * While the proxy has cuts left the client posts again.  Prints what it saw as one line; exits with
 * 0 when every byte of every frame came once and in order, both ways, and each source function ran
 * once for each post.
 */
#include "chanserv/chanserv.h"
#include "test/support/proxy.h"

#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { NUMBERS, ECHO, KINDS };
enum {
    NOISE = 192 * 1024,
    OFFSETS = 64 * 1024,
    SOURCES_MAX = 1000,
    TALKS_MAX = 100,
    PATIENCE_MS = 60000,
    SAY_MS = 300000 /* what is cut all the time takes little */
};

static struct {
    int cuts, sources, talks, frames, delay_ms;
    unsigned seed;
    bool http2, no_error, swallow;
} args = {.cuts = 1000, .sources = 100, .talks = 1, .frames = 10000, .seed = 1};

static struct {
    uint8_t noise[NOISE];
    atomic_int runs[KINDS], posts[KINDS], ends, wrong;
    atomic_ullong said, echoed;
    uint64_t frames, bytes, gaps;
} t;

static void complain(const char *format, ...) CS_PRINTF(1, 2);
static void complain(const char *format, ...)
{
    va_list list;

    if (atomic_fetch_add(&t.wrong, 1) >= 20)
        return;
    va_start(list, format);
    fputs("cuts: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
}

static uint32_t number_in(cs_bytes body)
{
    uint32_t number = 0;

    memcpy(&number, body.base, body.len < sizeof number ? body.len : sizeof number);
    return number;
}

/* ---- What both sides know -------------------------------------------------------------------- */

static uint64_t mixed(uint64_t z)
{
    z += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static void make_noise(void)
{
    for (size_t i = 0; i < NOISE; i++)
        t.noise[i] = (uint8_t)mixed(args.seed + i);
}

/* Most are short, some empty, one in a thousand up to 70,000 bytes. */
static cs_bytes frame_of(uint32_t post, uint32_t source, uint64_t number)
{
    uint64_t dice = mixed(mixed(((uint64_t)post << 32) + source) + number);
    size_t len = 8 + dice % 120, kind = (dice >> 16) % 1000;

    if (kind == 0)
        len = (dice >> 32) % 70000;
    else if (kind < 30)
        len = 0;
    return cs_bytes_of(t.noise + (dice >> 40) % OFFSETS, len);
}

/* Every tenth source leaves out a number now and then, but not its last. */
static bool is_left_out(uint32_t source, uint64_t number)
{
    return source % 10 == 3 && number % 97 == 5 && number + 1 < (uint64_t)args.frames;
}

/* ---- The server ------------------------------------------------------------------------------ */

struct count {
    uint32_t post, source;
    uint64_t at;
};

static cs_err count_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    struct count *c = state;

    if (is_left_out(c->source, c->at)) {
        chanserv_outlet_skip(o, 1, CHANSERV_GAP_OVERFLOW);
        c->at++;
    }
    if (c->at >= (uint64_t)args.frames)
        return CS_DONE;
    *frame = frame_of(c->post, c->source, c->at++);
    return CS_OK;
}

static void on_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)state;
    atomic_fetch_add(&t.ends, 1);
    if (why != CS_DONE)
        complain("the server's end of a source: %s, %s", cs_strerror(why),
                 chanserv_outlet_reason(o));
}

static cs_err numbers(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops lazy = {
        .state_bytes = sizeof(struct count), .next = count_next, .end = on_end};
    static const struct chanserv_outlet_ops eager = {
        .state_bytes = sizeof(struct count), .next = count_next, .end = on_end, .eager = true};
    const uint32_t number = number_in(body);
    cs_err err = CS_OK;

    (void)user;
    t.runs[NUMBERS]++;
    for (uint32_t i = 0; i < (uint32_t)args.sources && err == CS_OK; i++) {
        struct count c = {.post = number, .source = i};
        err = chanserv_announce(post, body, i % 4 ? &lazy : &eager, &c, NULL);
    }
    return err == CS_OK ? CS_DONE : err;
}

static cs_err echo_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    struct count *c = state;
    cs_err err = chanserv_outlet_recv(o, frame);

    if (err == CS_OK && !cs_same(*frame, frame_of(c->post, UINT32_MAX, c->at++)))
        complain("the server was told a wrong frame, %llu", (unsigned long long)c->at - 1);
    return err;
}

static void echo_readable(chanserv_outlet *o, void *state)
{
    (void)state;
    chanserv_outlet_wake(o);
}

static cs_err echo(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(struct count),
                                                   .uplink = true,
                                                   .next = echo_next,
                                                   .readable = echo_readable,
                                                   .end = on_end};
    struct count c = {.post = number_in(body)};
    cs_err err = chanserv_announce(post, body, &ops, &c, NULL);

    (void)user;
    t.runs[ECHO]++;
    return err == CS_OK ? CS_DONE : err;
}

static void *serve(void *server)
{
    chanserv_server_run(server);
    return NULL;
}

/* ---- The client: the conversation ------------------------------------------------------------- */

struct talk {
    chanserv_client *client;
    chanserv_source *source;
    uint32_t post;
};

static void *say(void *user)
{
    struct talk *talk = user;
    cs_err err;

    for (uint64_t i = 0; i < (uint64_t)args.frames; i++) {
        err = chanserv_source_send(talk->source, frame_of(talk->post, UINT32_MAX, i), SAY_MS);
        if (err != CS_OK) {
            complain("frame %llu was not sent: %s", (unsigned long long)i, cs_strerror(err));
            chanserv_source_cancel(talk->source);
            return NULL;
        }
        t.said++;
    }
    chanserv_source_finish(talk->source);
    return NULL;
}

static void *converse(void *user)
{
    struct talk *talk = user;
    cs_bytes body = cs_bytes_of(&talk->post, sizeof talk->post), frame;
    chanserv_feed *feed;
    pthread_t speaker;
    uint64_t at = 0;
    cs_err why;

    t.posts[ECHO]++;
    if (chanserv_lookup_and_post(talk->client, "echo", body, NULL, &feed) != CS_OK)
        abort();
    if (chanserv_range_source(feed, &talk->source)) {
        if (chanserv_source_open(talk->source, 0) != CS_OK ||
            pthread_create(&speaker, NULL, say, talk) != 0)
            abort();
        while (chanserv_range_frame(talk->source, &frame))
            if (!cs_same(frame, frame_of(talk->post, UINT32_MAX, at++)))
                complain("the echo of %llu is wrong", (unsigned long long)at - 1);
        pthread_join(speaker, NULL);
    }
    t.echoed += at;
    why = chanserv_feed_status(feed);
    if (why != CS_DONE && why != CS_AGAIN)
        complain("the conversation: %s", chanserv_feed_errmsg(feed));
    if (at != (uint64_t)args.frames)
        complain("%llu echoes", (unsigned long long)at);
    chanserv_feed_close(feed);
    return NULL;
}

/* ---- The client: the sources ------------------------------------------------------------------ */

static void check(uint32_t post, const struct chanserv_event *event, uint64_t *at)
{
    uint32_t source = (uint32_t)chanserv_source_index(event->source);
    uint64_t gap = chanserv_source_gap(event->source);

    t.gaps += gap;
    if (gap != is_left_out(source, *at))
        complain("#%u: a gap of %llu at %llu", (unsigned)source, (unsigned long long)gap,
                 (unsigned long long)*at);
    *at += gap;
    if (chanserv_source_seq(event->source) != *at)
        complain("#%u: %llu instead of %llu", (unsigned)source,
                 (unsigned long long)chanserv_source_seq(event->source), (unsigned long long)*at);
    if (!cs_same(event->frame, frame_of(post, source, *at)))
        complain("#%u: frame %llu is wrong", (unsigned)source, (unsigned long long)*at);
    t.frames++;
    t.bytes += event->frame.len;
    ++*at;
}

static void over(const struct chanserv_event *event, uint64_t at)
{
    if (event->why != CS_DONE)
        complain("#%u: %s", (unsigned)chanserv_source_index(event->source),
                 chanserv_source_errmsg(event->source));
    else if (at != (uint64_t)args.frames)
        complain("#%u: ends well after %llu", (unsigned)chanserv_source_index(event->source),
                 (unsigned long long)at);
}

static void read_all(chanserv_client *client, uint32_t post)
{
    uint64_t at[SOURCES_MAX] = {0};
    struct chanserv_event event;
    chanserv_feed *feed;
    chanserv_set *set;
    cs_err err;

    t.posts[NUMBERS]++;
    if (chanserv_lookup_and_post(client, "numbers", cs_bytes_of(&post, sizeof post), NULL, &feed) !=
            CS_OK ||
        chanserv_set_new(client, &set) != CS_OK || chanserv_set_add_feed(set, feed) != CS_OK)
        abort();
    while ((err = chanserv_select(set, PATIENCE_MS, &event)) == CS_OK) {
        if (event.kind == CHANSERV_SOURCE && chanserv_set_add_source(set, event.source) != CS_OK)
            complain("a source cannot be read");
        else if (event.kind == CHANSERV_FEED_END && event.why != CS_DONE)
            complain("the feed: %s", chanserv_feed_errmsg(feed));
        else if (event.kind == CHANSERV_FRAME)
            check(post, &event, &at[chanserv_source_index(event.source)]);
        else if (event.kind == CHANSERV_SOURCE_END)
            over(&event, at[chanserv_source_index(event.source)]);
    }
    if (err != CS_DONE)
        complain("nothing comes: %s", cs_strerror(err));
    chanserv_set_free(set);
    chanserv_feed_close(feed);
}

static void client(proxy *p)
{
    const struct chanserv_client_options options = {
        .resume_ms = PATIENCE_MS, .net = {.ping_interval_ms = 1000, .ping_timeout_ms = 1000}};
    struct proxy_counts counts = {0};
    chanserv_client *c;
    uint32_t round = 0;

    if (chanserv_client_new(NULL, &options, &c) != CS_OK ||
        chanserv_join(c, proxy_addr(p)) != CS_OK)
        abort();
    do {
        struct talk talks[TALKS_MAX];
        pthread_t talkers[TALKS_MAX];

        round++;
        for (int i = 0; i < args.talks; i++) {
            talks[i] = (struct talk){.client = c, .post = round * TALKS_MAX + (uint32_t)i};
            if (pthread_create(&talkers[i], NULL, converse, &talks[i]) != 0)
                abort();
        }
        if (args.sources > 0)
            read_all(c, round);
        for (int i = 0; i < args.talks; i++)
            pthread_join(talkers[i], NULL);
        proxy_count(p, &counts);
    } while (counts.cuts < args.cuts && t.wrong == 0);
    chanserv_client_free(c);
}

/* ---- All of it -------------------------------------------------------------------------------- */

static int usage(void)
{
    fputs("usage: cuts [--cuts N] [--seed S] [--proxy bytes|http2] [--no-error] [--swallow] "
          "[--delay MS] [--sources N] [--talks N] [--frames N]\n",
          stderr);
    return 64;
}

static bool parse(int argc, char **argv)
{
    static const struct option options[] = {{"cuts", 1, NULL, 'c'},    {"seed", 1, NULL, 's'},
                                            {"proxy", 1, NULL, 'p'},   {"no-error", 0, NULL, 'n'},
                                            {"swallow", 0, NULL, 'w'}, {"delay", 1, NULL, 'd'},
                                            {"sources", 1, NULL, 'S'}, {"talks", 1, NULL, 't'},
                                            {"frames", 1, NULL, 'f'},  {NULL, 0, NULL, 0}};
    int o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (o == 'c')
            args.cuts = atoi(optarg);
        else if (o == 's')
            args.seed = (unsigned)atoi(optarg);
        else if (o == 'p')
            args.http2 = strcmp(optarg, "http2") == 0;
        else if (o == 'n')
            args.no_error = true;
        else if (o == 'w')
            args.swallow = true;
        else if (o == 'd')
            args.delay_ms = atoi(optarg);
        else if (o == 'S')
            args.sources = atoi(optarg);
        else if (o == 't')
            args.talks = atoi(optarg);
        else if (o == 'f')
            args.frames = atoi(optarg);
        else
            return false;
    }
    return optind == argc && args.sources >= 0 && args.sources <= SOURCES_MAX && args.talks >= 0 &&
           args.talks <= TALKS_MAX && args.sources + args.talks > 0 && args.frames > 0;
}

static double seconds_since(const struct timespec *began)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - began->tv_sec) + (double)(now.tv_nsec - began->tv_nsec) / 1e9;
}

static int report(const struct proxy_counts *p, const struct chanserv_counters *c, double seconds)
{
    const uint64_t each = (uint64_t)args.sources * (uint64_t)args.frames;
    const int numbers = t.posts[NUMBERS], talks = t.posts[ECHO];
    bool good = t.wrong == 0 && t.runs[NUMBERS] == numbers && t.runs[ECHO] == talks &&
                p->cuts == args.cuts && t.frames + t.gaps == (uint64_t)numbers * each &&
                t.said == (uint64_t)talks * (uint64_t)args.frames && t.echoed == t.said &&
                t.ends == numbers * args.sources + talks && c->sources_open == 0 && c->posts == 0;

    printf("cuts %s: seed %u, %s%s: %d cuts (%d resets, %d ends, %d halves, %d swallowed, %d of "
           "them upstream) and %d stalls of %d connections; %d posts, %d runs; %llu frames, "
           "%llu gaps, %llu said, %llu echoed; %llu resumed, %llu channels; %d wrong; %.1f s\n",
           good ? "well" : "FAILED", args.seed, args.http2 ? "http2" : "bytes",
           args.no_error ? " no-error" : "", p->cuts, p->resets, p->ends, p->halves, p->swallows,
           p->upstream, p->stalls, p->connections, numbers + talks, t.runs[NUMBERS] + t.runs[ECHO],
           (unsigned long long)t.frames, (unsigned long long)t.gaps, t.said, t.echoed,
           (unsigned long long)c->sessions_resumed, (unsigned long long)c->channels_resumed,
           t.wrong, seconds);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct chanserv_server_options quick = {
        .net = {.ping_interval_ms = 1000, .ping_timeout_ms = 1000}};
    struct proxy_options options = {.acts = PROXY_RESET | PROXY_END | PROXY_HALF | PROXY_STALL,
                                    .bytes = 300000,
                                    .stall_ms = 20};
    struct chanserv_counters counters;
    struct proxy_counts counts;
    struct timespec began;
    chanserv_server *server;
    pthread_t serving;
    proxy *p;

    if (!parse(argc, argv))
        return usage();
    clock_gettime(CLOCK_MONOTONIC, &began);
    make_noise();
    if (chanserv_server_new(NULL, &quick, &server) != CS_OK ||
        chanserv_serve(server, "numbers", numbers, NULL) != CS_OK ||
        chanserv_serve(server, "echo", echo, NULL) != CS_OK ||
        chanserv_listen(server, "127.0.0.1:0") != CS_OK)
        return 1;
    options.kind = args.http2 ? PROXY_HTTP2 : PROXY_BYTES;
    options.target = chanserv_server_addr(server, 0);
    options.seed = args.seed;
    options.most = args.cuts;
    if (args.swallow)
        options.acts |= PROXY_SWALLOW;
    if (args.cuts == 0)
        options.acts = 0;
    options.no_error = args.no_error;
    options.delay_ms = args.delay_ms;
    if (!(p = proxy_start(&options)) || pthread_create(&serving, NULL, serve, server) != 0)
        return 1;
    client(p);
    proxy_count(p, &counts);
    proxy_stop(p);
    chanserv_server_stop(server);
    pthread_join(serving, NULL);
    chanserv_server_counters(server, &counters);
    chanserv_server_free(server);
    return report(&counts, &counters, seconds_since(&began));
}
