/* loops_tsan -- a server of three loops and fifty clients that do as chance says, for ThreadSanitizer.
 *
 * Connections come to each loop in turn; a client posts, reads, skips, cancels and talks.  What a service
 * that is not parallel counts has no lock: if its code ran on two threads, that would be a race.  One
 * reader stalls all the while.  Counters are asked for meanwhile, and add up; then the server drains, and
 * everything has ended once.  Another, on a loop of ours, is freed in a callback while it runs.
 */
#include "chanserv/chanserv.h"
#include "chanserv/stat.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOPS = 3, CLIENTS = 50, WORKERS = 6, SOURCES = 8, FRAMES = 300, LARGE = 100000 };
enum services { SERIAL, PARALLEL, BOTH };

static struct {
    enum services services;
    chanserv_server *server;
    char addr[64];
    /* Of the serial service: on its loop alone. */
    int serial_runs, serial_open;
    const void *serial_thread;
    atomic_int runs, opened, ended, threads_seen;
    atomic_int next, well, asked;
    struct chanserv_counters last;
    uint64_t took_us; /* all posts */ /* the server's thread */
} t;

static _Thread_local char here; /* its address names the thread */
static _Thread_local bool seen;

/* ---- The services ---------------------------------------------------------------------------- */

struct out {
    uint32_t said, frame, frames;
    bool is_serial, is_open;
};

static void touch_serial(int open)
{
    t.serial_open += open;
    if (!t.serial_thread)
        t.serial_thread = &here;
    if (t.serial_thread != &here)
        abort();
}

static cs_err out_open(chanserv_outlet *o, uint64_t from, void *state)
{
    struct out *out = state;

    (void)o, (void)from;
    out->is_open = true;
    atomic_fetch_add(&t.opened, 1);
    if (out->is_serial)
        touch_serial(1);
    return CS_OK;
}

static cs_err out_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    static const char large[LARGE];
    struct out *out = state;

    (void)o;
    if (out->is_serial)
        touch_serial(0);
    if (out->said == out->frames)
        return CS_DONE;
    out->frame = out->said++;
    *frame = out->frame % 100 == 99 ? cs_bytes_of(large, sizeof large)
                                    : cs_bytes_of(&out->frame, sizeof out->frame);
    return CS_OK;
}

static void out_end(chanserv_outlet *o, cs_err why, void *state)
{
    struct out *out = state;

    (void)o, (void)why;
    if (out->is_serial && out->is_open)
        touch_serial(-1);
    atomic_fetch_add(&t.ended, out->is_open);
}

static cs_err echo_next(chanserv_outlet *o, cs_ref *frame, void *state)
{
    (void)state;
    return chanserv_outlet_recv_ref(o, frame);
}

static void echo_readable(chanserv_outlet *o, void *state)
{
    (void)state;
    chanserv_outlet_wake(o);
}

static cs_err announce(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops count_ops = {
        .state_bytes = sizeof(struct out), .open = out_open, .next = out_next, .end = out_end};
    static const struct chanserv_outlet_ops echo_ops = {
        .next_ref = echo_next, .readable = echo_readable, .uplink = true};
    struct out out = {.frames = cs_same(body, cs_str("stall")) ? UINT32_MAX : FRAMES,
                      .is_serial = user != NULL};
    cs_err err = CS_OK;

    if (!seen)
        atomic_fetch_add(&t.threads_seen, 1);
    seen = true;
    atomic_fetch_add(&t.runs, 1);
    if (user) {
        t.serial_runs++;
        touch_serial(0);
    }
    for (int i = 0; i < SOURCES && err == CS_OK; i++)
        err = chanserv_announce(post, body, &count_ops, &out, NULL);
    if (err == CS_OK)
        err = chanserv_announce(post, body, &echo_ops, NULL, NULL);
    return err == CS_OK ? CS_DONE : err;
}

/* ---- Clients --------------------------------------------------------------------------------- */

static bool read_one(chanserv_source *source, uint32_t frames)
{
    uint32_t expected = 0, said;
    cs_bytes frame;

    while (expected < frames && chanserv_range_frame(source, &frame)) {
        memcpy(&said, frame.base, sizeof said);
        if (expected % 100 == 99 ? frame.len != LARGE : said != expected)
            return false;
        expected++;
    }
    return expected == frames || (expected == FRAMES && chanserv_source_status(source) == CS_DONE);
}

static bool talk(chanserv_source *source)
{
    cs_bytes back;

    for (int i = 0; i < 5; i++)
        if (chanserv_source_send(source, cs_str("hello"), CS_FOREVER) != CS_OK ||
            !chanserv_range_frame(source, &back) || !cs_same(back, cs_str("hello")))
            return false;
    chanserv_source_finish(source);
    return !chanserv_range_frame(source, &back) && chanserv_source_status(source) == CS_DONE;
}

static bool post_once(chanserv_client *client, const char *service, unsigned *chance)
{
    chanserv_source *source;
    chanserv_feed *feed;
    bool good = true;

    if (chanserv_lookup_and_post(client, service, cs_str("h"), NULL, &feed) != CS_OK)
        return false;
    for (int i = 0; good && i <= SOURCES && chanserv_range_source(feed, &source); i++) {
        const int does = rand_r(chance) % 4;

        if (i == SOURCES)
            good = talk(source);
        else if (does > 0)
            good = read_one(source, does == 1 ? (uint32_t)(rand_r(chance) % FRAMES) : FRAMES + 1);
        if (does < 2)
            chanserv_source_close(source);
    }
    return chanserv_feed_close(feed) == CS_OK && good;
}

static chanserv_client *join(unsigned chance)
{
    const struct chanserv_client_options plain = {.resume_ms = CS_OFF};
    chanserv_client *client;

    if (chanserv_client_new(NULL, chance % 2 ? &plain : NULL, &client) != CS_OK ||
        chanserv_join(client, t.addr) != CS_OK)
        abort();
    return client;
}

static void *work(void *user)
{
    int i;

    (void)user;
    while ((i = atomic_fetch_add(&t.next, 1)) < CLIENTS) {
        unsigned chance = (unsigned)i + 1;
        chanserv_client *client = join(chance);
        bool good = true;

        for (int n = 0; n < 2 && good; n++)
            good = post_once(client,
                             t.services == SERIAL || (t.services == BOTH && rand_r(&chance) % 2)
                                 ? "serial"
                                 : "parallel",
                             &chance);
        if (good)
            atomic_fetch_add(&t.well, 1);
        else
            fprintf(stderr, "client %d failed\n", i);
        chanserv_client_free(client);
    }
    return NULL;
}

/* ---- The server ------------------------------------------------------------------------------- */

static void *serve(void *server)
{
    return chanserv_server_run(server) == CS_OK ? server : NULL;
}

static void ask(void *server)
{
    struct chanserv_counters now;
    struct chanserv_histograms times;

    chanserv_server_counters(server, &now);
    chanserv_server_histograms(server, &times);
    if (now.posts_total < t.last.posts_total || now.frames_out < t.last.frames_out ||
        times.post.sum_us < t.took_us)
        abort();
    t.took_us = times.post.sum_us;
    t.last = now;
    atomic_fetch_add(&t.asked, 1);
}

static void drain(void *server)
{
    chanserv_server_drain(server, 2000);
}

static bool is_whole(const struct chanserv_counters *c, bool drained)
{
    return drained && c->posts_total == (uint64_t)atomic_load(&t.runs) && c->posts == 0 &&
           c->sources_open == 0 && c->sources_waiting == 0 && c->sessions == 0 &&
           c->connections == 0 && c->connections_total >= CLIENTS && t.serial_open == 0 &&
           atomic_load(&t.opened) == atomic_load(&t.ended);
}

static bool trial(enum services services)
{
    const struct chanserv_server_options options = {.loops = LOOPS};
    pthread_t serving, workers[WORKERS];
    chanserv_source *stalled;
    chanserv_client *client;
    chanserv_feed *feed;
    cs_bytes frame;
    void *drained;
    bool good;

    memset(&t, 0, sizeof t);
    t.services = services;
    if (chanserv_server_new(NULL, &options, &t.server) != CS_OK ||
        (services != PARALLEL && chanserv_serve(t.server, "serial", announce, &here) != CS_OK) ||
        (services != SERIAL &&
         chanserv_serve_parallel(t.server, "parallel", announce, NULL) != CS_OK) ||
        chanserv_listen(t.server, "127.0.0.1:0") != CS_OK)
        return false;
    snprintf(t.addr, sizeof t.addr, "%s", chanserv_server_addr(t.server, 0));
    pthread_create(&serving, NULL, serve, t.server);
    client = join(0);
    good = chanserv_lookup_and_post(client, services == PARALLEL ? "parallel" : "serial",
                                    cs_str("stall"), NULL, &feed) == CS_OK &&
           chanserv_range_source(feed, &stalled) && chanserv_range_frame(stalled, &frame);
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&workers[i], NULL, work, NULL);
    for (int i = 0; i < 20; i++) {
        cs_loop_call(chanserv_server_loop(t.server), ask, t.server);
        usleep(5000);
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    good = good && chanserv_range_frame(stalled, &frame);
    chanserv_client_free(client);
    cs_loop_call(chanserv_server_loop(t.server), drain, t.server);
    pthread_join(serving, &drained);
    ask(t.server);
    good = good && is_whole(&t.last, drained != NULL) && atomic_load(&t.well) == CLIENTS &&
           atomic_load(&t.threads_seen) <= (services == SERIAL ? 1 : LOOPS);
    chanserv_server_free(t.server);
    printf("loops_tsan: %s: %s: %d of %d clients well, %d posts on %d threads, asked %d times\n",
           services == SERIAL     ? "serial"
           : services == PARALLEL ? "parallel"
                                  : "both",
           good ? "well" : "FAILED", atomic_load(&t.well), CLIENTS, atomic_load(&t.runs),
           atomic_load(&t.threads_seen), atomic_load(&t.asked));
    return good;
}

/* ---- Freed while it runs ------------------------------------------------------------------------ */

static void free_it(void *server)
{
    chanserv_server_free(server);
}

static bool freed_inside(void)
{
    const struct chanserv_server_options options = {.loops = LOOPS};
    chanserv_client *clients[LOOPS];
    chanserv_source *sources[LOOPS];
    pthread_t serving;
    chanserv_feed *feed;
    cs_bytes frame;
    cs_loop *loop;
    bool good = true;

    memset(&t, 0, sizeof t);
    if (cs_loop_new(NULL, &loop) != CS_OK ||
        chanserv_server_new(loop, &options, &t.server) != CS_OK ||
        chanserv_serve(t.server, "serial", announce, &here) != CS_OK ||
        chanserv_listen(t.server, "127.0.0.1:0") != CS_OK)
        return false;
    snprintf(t.addr, sizeof t.addr, "%s", chanserv_server_addr(t.server, 0));
    pthread_create(&serving, NULL, serve, t.server);
    for (int i = 0; i < LOOPS && good; i++) {
        clients[i] = join(1); /* without a session: it would wait for the server */
        good =
            chanserv_lookup_and_post(clients[i], "serial", cs_str("stall"), NULL, &feed) == CS_OK &&
            chanserv_range_source(feed, &sources[i]) && chanserv_range_frame(sources[i], &frame);
    }
    cs_loop_call(loop, free_it, t.server);
    pthread_join(serving, NULL);
    for (int i = 0; i < LOOPS && good; i++) {
        while (chanserv_range_frame(sources[i], &frame))
            ;
        good = cs_failed(chanserv_source_status(sources[i]));
        chanserv_client_free(clients[i]);
    }
    cs_loop_free(loop);
    good = good && t.serial_open == 0 && atomic_load(&t.opened) == atomic_load(&t.ended);
    printf("loops_tsan: freed while it runs: %s\n", good ? "well" : "FAILED");
    return good;
}

int main(void)
{
    bool serial = trial(SERIAL), parallel = trial(PARALLEL), both = trial(BOTH);

    return freed_inside() && serial && parallel && both ? 0 : 1;
}
