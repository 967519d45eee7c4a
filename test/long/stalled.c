/* stalled -- very many readers that do not read, and one beside them that does.
 *
 *   stalled [--tool PATH] [--streams N] [--session]
 *
 * Two `chanserv serve`, and a client of each in this process.  Of one, 2,000 sources by default are opened on
 * the client's connection and never read; then a source of each in turn is read to its end, some times over.
 * Exits with 0 when each that is stalled, beyond the first 200, holds less than its window and 4 KiB, in the
 * server and in the client, and reading beside all of them costs at most a fifth more: of the time that server
 * and client were on a processor, in the best round of each. */
#include "chanserv/chanserv.h"
#include "test/attack/peer.h"
#include "test/attack/victim.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SIZE = 100,
    FRAMES = 200000, /* of a round */
    ROUNDS = 9,
    QUIET_MS = 1000,
    LEFT_MS = 10000,
    WINDOW = 64,
    MORE = 4, /* KiB */
    WARM = 200,
    SLOWER = 120 /* percent */
};

struct side {
    struct victim server;
    clockid_t server_time;
    chanserv_client *client;
    double best_ms;
};

static struct {
    const char *tool;
    int streams;
    bool session;
    cs_loop *loop;
    struct side alone, beside;
    int opened, until, frames, open; /* stalled ones; of the round; the feed and its source */
} s = {.tool = "tools/chanserv", .streams = 2000};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "stalled: %s: %s\n", what, why);
    exit(1);
}

static void stop(void *loop)
{
    cs_loop_stop(loop);
}

static void rest(int ms)
{
    cs_timer *timer;
    if (cs_timer_new(s.loop, stop, s.loop, &timer) != CS_OK)
        die("a timer", "no memory");
    cs_timer_set(timer, ms);
    cs_loop_run(s.loop);
    cs_timer_free(timer);
}

/* ---- Those that do not read ------------------------------------------------------------------ */

static void unread(chanserv_source *source, void *state)
{
    (void)source, (void)state;
}

static void unread_end(chanserv_source *source, cs_err why, void *state)
{
    (void)state;
    if (why != CS_ECANCELED && why != CS_EPEER)
        die("a stalled source", chanserv_source_errmsg(source));
}

static const struct chanserv_source_ops unread_ops = {.readable = unread, .end = unread_end};

static void on_unread(chanserv_feed *feed, void *state)
{
    chanserv_source *source;
    (void)state;
    while (chanserv_feed_recv(feed, &source) == CS_OK) {
        if (chanserv_source_start(source, &unread_ops, NULL) != CS_OK)
            die("a stalled source", "no memory");
        if (++s.opened == s.until)
            cs_loop_stop(s.loop);
    }
}

static const struct chanserv_feed_ops unread_feed_ops = {.readable = on_unread};

static chanserv_feed *post(struct side *side, int sources, const struct chanserv_feed_ops *ops)
{
    char body[100];
    chanserv_feed *feed;
    snprintf(body, sizeof body, "sources=%d&frames=%d&size=%d", sources, FRAMES, SIZE);
    if (chanserv_lookup_and_post(side->client, "gen", cs_str(body), NULL, &feed) != CS_OK ||
        chanserv_feed_start(feed, ops, NULL) != CS_OK)
        die("a post", "no memory");
    return feed;
}

/* ---- The one that does ----------------------------------------------------------------------- */

static void over(void)
{
    if (--s.open == 0)
        cs_loop_stop(s.loop);
}

static void on_frames(chanserv_source *source, void *state)
{
    cs_bytes frame;
    (void)state;
    while (chanserv_source_recv(source, &frame) == CS_OK)
        s.frames += frame.len == SIZE;
}

static void on_source_end(chanserv_source *source, cs_err why, void *state)
{
    (void)state;
    if (why != CS_DONE)
        die("the source that is read", chanserv_source_errmsg(source));
    over();
}

static const struct chanserv_source_ops ops = {.readable = on_frames, .end = on_source_end};

static void on_source(chanserv_feed *feed, void *state)
{
    chanserv_source *source;
    (void)state;
    while (chanserv_feed_recv(feed, &source) == CS_OK) {
        s.open++;
        if (chanserv_source_start(source, &ops, NULL) != CS_OK)
            die("the source that is read", "no memory");
    }
}

static void on_feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)state;
    if (why != CS_DONE)
        die("its post", chanserv_feed_errmsg(feed));
    over();
}

static const struct chanserv_feed_ops feed_ops = {.readable = on_source, .end = on_feed_end};

static double ms_of(clockid_t clock)
{
    struct timespec at;
    if (clock_gettime(clock, &at) != 0)
        die("a process", "has no clock");
    return (double)at.tv_sec * 1e3 + (double)at.tv_nsec / 1e6;
}

static void read_all(struct side *side)
{
    double took = -ms_of(side->server_time) - ms_of(CLOCK_PROCESS_CPUTIME_ID);
    s.frames = 0;
    s.open = 1;
    chanserv_feed *feed = post(side, 1, &feed_ops);
    cs_loop_run(s.loop);
    took += ms_of(side->server_time) + ms_of(CLOCK_PROCESS_CPUTIME_ID);
    if (s.frames != FRAMES)
        die("the source that is read", "frames are missing");
    (void)chanserv_feed_close(feed);
    if (side->best_ms == 0 || took < side->best_ms)
        side->best_ms = took;
}

/* ---- The program ----------------------------------------------------------------------------- */

static void begin(struct side *side)
{
    const struct chanserv_client_options options = {.resume_ms = s.session ? 0 : CS_OFF};
    char addr[32];
    if (!victim_start(&side->server, s.tool, "--service gen=gen --grace 1s --attached 1GiB", 0) ||
        clock_getcpuclockid(side->server.pid, &side->server_time) != 0)
        die("the server", "does not start");
    snprintf(addr, sizeof addr, "127.0.0.1:%d", side->server.port);
    if (chanserv_client_new(s.loop, &options, &side->client) != CS_OK ||
        chanserv_join(side->client, addr) != CS_OK)
        die("a client", "no memory");
    read_all(side); /* what is made once is made */
}

static void look(int64_t to[2])
{
    const struct victim self = {.pid = getpid()};
    rest(QUIET_MS);
    to[0] = victim_look(&s.beside.server).rss;
    to[1] = victim_look(&self).rss;
}

static bool are_bounded(const int64_t before[2], const int64_t after[2])
{
    const double n = 1024.0 * (s.streams - WARM), server = (double)(after[0] - before[0]) / n,
                 client = (double)(after[1] - before[1]) / n;
    printf("stalled: %d streams%s; each holds %.1f KiB in the server, %.1f KiB in the client\n",
           s.streams, s.session ? " of a session" : "", server, client);
    return client > WINDOW / 2.0 && client < WINDOW + MORE && server < WINDOW + MORE;
}

static bool is_undisturbed(void)
{
    double percent;
    s.alone.best_ms = s.beside.best_ms = 0;
    for (int i = 0; i < ROUNDS; i++) {
        read_all(&s.alone);
        read_all(&s.beside);
    }
    percent = 100 * s.beside.best_ms / s.alone.best_ms;
    printf("stalled: %d frames cost %.1f ms of processor alone, %.1f beside them: %.0f %%\n",
           FRAMES, s.alone.best_ms, s.beside.best_ms, percent);
    return percent <= SLOWER;
}

static void stall(int until)
{
    s.until = until;
    (void)post(&s.beside, until - s.opened, &unread_feed_ops);
    cs_loop_run(s.loop);
}

static bool run(void)
{
    int64_t before[2], after[2];
    bool held;
    begin(&s.alone);
    begin(&s.beside);
    stall(WARM);
    look(before);
    stall(s.streams);
    look(after);
    held = are_bounded(before, after);
    return is_undisturbed() && held;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"tool", required_argument, NULL, 't'},
                                          {"streams", required_argument, NULL, 'n'},
                                          {"session", no_argument, NULL, 's'},
                                          {0}};
    bool held;
    for (int opt; (opt = getopt_long(argc, argv, "", known, NULL)) != -1;)
        if (opt == 't')
            s.tool = optarg;
        else if (opt == 'n')
            s.streams = atoi(optarg);
        else if (opt == 's')
            s.session = true;
        else
            return 64;
    if (s.streams <= WARM)
        return 64;
    signal(SIGPIPE, SIG_IGN);
    if (cs_loop_new(NULL, &s.loop) != CS_OK)
        die("a loop", "no memory");
    held = run();
    chanserv_client_free(s.alone.client);
    chanserv_client_free(s.beside.client);
    cs_loop_free(s.loop);
    held = victim_stop(&s.alone.server, LEFT_MS) && held;
    held = victim_stop(&s.beside.server, LEFT_MS) && held;
    puts(held ? "ok stalled" : "FAIL stalled");
    return !held;
}
