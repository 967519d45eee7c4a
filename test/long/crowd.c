/* crowd -- very many connections at once, of which most have nothing to say.
 *
 *   crowd [--tool PATH] [--connections N] [--certs DIR]
 *
 * 10,000 clients by default, each with a connection of its own to one `chanserv serve`, all in this process.
 * Each posts when it comes, and each again when all are there; then memory is looked at on both ends.  Exits
 * with 0 when all were served, an idle connection holds less than 32 KiB in the server, and a client with all
 * that it is less than 40; with TLS 64 and 96.  --certs names what test/support/certs.sh made. */
#include "chanserv/chanserv.h"
#include "test/attack/peer.h"
#include "test/attack/victim.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    AT_ONCE = 100,
    WARM = 20,
    QUIET_MS = 2500,
    LEFT_MS = 60000,
    PLAIN = 32,
    PLAIN_CLIENT = 40,
    SECURE = 64,
    SECURE_CLIENT = 96
};

static struct {
    const char *tool, *certs;
    int want;
    struct victim server;
    cs_loop *loop;
    struct one {
        chanserv_client *client;
        chanserv_feed *feed;
        int open; /* the post, and its source */
        bool heard;
    } * all;
    int begun, served, until; /* of this round */
    struct chanserv_client_options options;
    struct mux_tls tls;
    char ca[512];
} c = {.tool = "tools/chanserv", .want = 10000};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "crowd: %s: %s\n", what, why);
    exit(1);
}

/* ---- A post ---------------------------------------------------------------------------------- */

static void begin(void);

static void on_frames(chanserv_source *source, void *state)
{
    struct one *one = *(struct one **)state;
    cs_bytes frame;
    while (chanserv_source_recv(source, &frame) == CS_OK)
        one->heard = cs_same(frame, cs_str("here"));
}

/* Of the post and of its source, whichever ends last. */
static void on_end(struct one *one)
{
    if (--one->open > 0)
        return;
    if (!one->heard)
        die("a post", "came without its source");
    (void)chanserv_feed_close(one->feed);
    if (++c.served == c.until)
        cs_loop_stop(c.loop);
    else
        begin();
}

static void on_source_end(chanserv_source *source, cs_err why, void *state)
{
    if (why != CS_DONE)
        die("a source", chanserv_source_errmsg(source));
    on_end(*(struct one **)state);
}

static const struct chanserv_source_ops source_ops = {
    .state_bytes = sizeof(struct one *), .readable = on_frames, .end = on_source_end};

static void on_feed(chanserv_feed *feed, void *state)
{
    struct one *one = *(struct one **)state;
    chanserv_source *source;
    while (chanserv_feed_recv(feed, &source) == CS_OK) {
        one->open++;
        if (chanserv_source_start(source, &source_ops, &one) != CS_OK)
            die("a source", "no memory");
    }
}

static void on_feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    if (why != CS_DONE)
        die("a post", chanserv_feed_errmsg(feed));
    on_end(*(struct one **)state);
}

static const struct chanserv_feed_ops feed_ops = {
    .state_bytes = sizeof(struct one *), .readable = on_feed, .end = on_feed_end};

/* A client that is not there yet is made. */
static void begin(void)
{
    char addr[32];
    struct one *one = &c.all[c.begun];
    if (c.begun == c.until)
        return;
    c.begun++;
    snprintf(addr, sizeof addr, "127.0.0.1:%d", c.server.port);
    if (!one->client && (chanserv_client_new(c.loop, &c.options, &one->client) != CS_OK ||
                         chanserv_join(one->client, addr) != CS_OK))
        die("a client", "no memory");
    one->heard = false;
    one->open = 1;
    if (chanserv_lookup_and_post(one->client, "echo", cs_str("here"), NULL, &one->feed) != CS_OK ||
        chanserv_feed_start(one->feed, &feed_ops, &one) != CS_OK)
        die("a post", "no memory");
}

/* Each of them from the first, so many. */
static void serve_all(int from, int until)
{
    c.begun = c.served = from;
    c.until = until;
    for (int i = 0; i < AT_ONCE; i++)
        begin();
    cs_loop_run(c.loop);
}

/* ---- Looking --------------------------------------------------------------------------------- */

static void stop(void *loop)
{
    cs_loop_stop(loop);
}

static void rest(int ms)
{
    cs_timer *timer;
    if (cs_timer_new(c.loop, stop, c.loop, &timer) != CS_OK)
        die("a timer", "no memory");
    cs_timer_set(timer, ms);
    cs_loop_run(c.loop);
    cs_timer_free(timer);
}

static int64_t connections(void)
{
    if (!victim_count(&c.server))
        die("the server", "answers no signal");
    return victim_counter(&c.server, "connections");
}

static void look(int64_t to[2])
{
    const struct victim self = {.pid = getpid()};
    rest(QUIET_MS);
    to[0] = victim_look(&c.server).rss;
    to[1] = victim_look(&self).rss;
}

static bool are_small(const int64_t before[2], const int64_t after[2])
{
    double n = c.want - WARM, server = (double)(after[0] - before[0]) / 1024 / n,
           client = (double)(after[1] - before[1]) / 1024 / n;
    printf("crowd: %d connections%s; each holds %.1f KiB in the server, each client %.1f KiB\n",
           c.want, c.certs ? " with TLS" : "", server, client);
    return server < (c.certs ? SECURE : PLAIN) && client < (c.certs ? SECURE_CLIENT : PLAIN_CLIENT);
}

/* ---- The program ----------------------------------------------------------------------------- */

/* All of them go, and the server has room again. */
static bool leave(int fds)
{
    int64_t until = now_ms() + LEFT_MS;
    for (int i = 0; i < c.want; i++)
        chanserv_client_free(c.all[i].client);
    free(c.all);
    cs_loop_free(c.loop);
    while (victim_look(&c.server).fds > fds && now_ms() < until)
        nap_ms(20);
    printf("crowd: descriptors of the server: %d before, %d after\n", fds,
           victim_look(&c.server).fds);
    return victim_look(&c.server).fds == fds;
}

static void start(void)
{
    char options[1500];
    int len = snprintf(options, sizeof options,
                       "--service echo=echo --connections-max off --connections-peer-max off "
                       "--sessions-max off --idle-timeout off --grace 1s");
    if (c.certs) {
        snprintf(options + len, sizeof options - (size_t)len,
                 " --cert %s/server.pem --key %s/server.key", c.certs, c.certs);
        snprintf(c.ca, sizeof c.ca, "%s/ca.pem", c.certs);
        c.tls.ca_file = c.ca;
        c.options.net.tls = &c.tls;
    }
    if (!victim_start(&c.server, c.tool, options, 0))
        die("the server", "does not start");
    c.all = calloc((size_t)c.want, sizeof *c.all);
    if (!c.all || cs_loop_new(NULL, &c.loop) != CS_OK)
        die("a loop", "no memory");
}

static bool run(void)
{
    int64_t before[2], after[2], own, stand;
    int fds = 0;
    bool held;
    start();
    own = connections(); /* its gateway's */
    fds = victim_look(&c.server).fds;
    serve_all(0, WARM);
    look(before);
    serve_all(WARM, c.want);
    serve_all(0, c.want);
    look(after);
    stand = connections() - own;
    held = stand == c.want;
    printf("crowd: %lld connections stand\n", (long long)stand);
    held = are_small(before, after) && held;
    held = leave(fds) && held;
    return victim_stop(&c.server, LEFT_MS) && held;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"tool", required_argument, NULL, 't'},
                                          {"connections", required_argument, NULL, 'n'},
                                          {"certs", required_argument, NULL, 'c'},
                                          {0}};
    struct rlimit files;
    bool held;
    for (int opt; (opt = getopt_long(argc, argv, "", known, NULL)) != -1;)
        if (opt == 't')
            c.tool = optarg;
        else if (opt == 'n')
            c.want = atoi(optarg);
        else if (opt == 'c')
            c.certs = optarg;
        else
            return 64;
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (c.want <= WARM)
        return 64;
    held = run();
    puts(held ? "ok crowd" : "FAIL crowd");
    return !held;
}
