/* churn -- very many channels in one session, one after the other: what they leave behind must be nothing.
 *
 *   churn [--channels N] [--plain]
 *
 * Ten million by default: posts of 1,000 sources, two frames each, a hundred open at a time; client and
 * server are two processes.  Prints the memory of both when a tenth had passed, and at the end; exits with 0
 * when neither grew by 8 MiB or more.  --plain: the same without a session. */
#include "chanserv/chanserv.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOURCES = 1000, FRAMES = 2, OPEN = 100, GROWS_KB = 8 * 1024 };

static void die(const char *what, const char *why)
{
    fprintf(stderr, "churn: %s: %s\n", what, why);
    exit(1);
}

/* ---- The server's process --------------------------------------------------------------------- */

static cs_err next_frame(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    int *left = state;

    (void)o;
    if ((*left)-- == 0)
        return CS_DONE;
    *frame = cs_str("a frame");
    return CS_OK;
}

static const struct chanserv_outlet_ops outlet_ops = {.state_bytes = sizeof(int),
                                                      .next = next_frame};

static cs_err next_source(chanserv_post *post, void *state)
{
    int *left = state, frames = FRAMES;
    cs_err err;

    if (*left == 0)
        return CS_DONE;
    err = chanserv_announce(post, cs_str("a source"), &outlet_ops, &frames, NULL);
    *left -= err == CS_OK;
    return err;
}

static const struct chanserv_post_ops post_ops = {.state_bytes = sizeof(int), .next = next_source};

static cs_err serve(chanserv_post *post, cs_bytes body, void *user)
{
    int sources = SOURCES;

    (void)body, (void)user;
    return chanserv_post_keep(post, &post_ops, &sources);
}

static void run_server(const char *addr, int ready)
{
    struct chanserv_server_options options = {.signals = true};
    chanserv_server *server;

    if (chanserv_server_new(NULL, &options, &server) != CS_OK)
        die("server", "no memory");
    chanserv_serve(server, "churn", serve, NULL);
    if (chanserv_listen(server, addr) != CS_OK)
        die("server", chanserv_server_errmsg(server));
    close(ready);
    exit(chanserv_server_run(server) != CS_OK);
}

/* ---- The client's process --------------------------------------------------------------------- */

static struct {
    long channels, want, warm;
    pid_t server;
    long before[2], after[2]; /* KiB, of the server and of us */
    int open, frames;
    chanserv_client *client;
    chanserv_feed *feed;
    bool over; /* it, and not all of its sources */
    cs_loop *loop;
} c = {.want = 10000000};

static long resident_kb(pid_t pid)
{
    char path[64], line[128];
    long kb = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    if (!(file = fopen(path, "r")))
        die(path, "cannot be read");
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    fclose(file);
    return kb;
}

static void measure(long to[2])
{
    to[0] = resident_kb(c.server);
    to[1] = resident_kb(getpid());
}

static void on_feed(chanserv_feed *feed, void *state);
static void post(void);

static void next_post(void)
{
    if (!c.over || c.open > 0)
        return;
    (void)chanserv_feed_close(c.feed);
    c.feed = NULL;
    c.over = false;
    c.channels++;
    if (c.channels >= c.want)
        cs_loop_stop(c.loop);
    else
        post();
}

static void on_frames(chanserv_source *source, void *state)
{
    int *frames = state;
    cs_bytes frame;

    while (chanserv_source_recv(source, &frame) == CS_OK)
        ++*frames;
}

static void on_source_end(chanserv_source *source, cs_err why, void *state)
{
    const int *frames = state;

    if (why != CS_DONE || *frames != FRAMES)
        die("source", chanserv_source_errmsg(source));
    c.open--;
    c.channels++;
    if (c.channels == c.warm)
        measure(c.before);
    on_feed(c.feed, NULL);
    next_post();
}

static const struct chanserv_source_ops source_ops = {
    .state_bytes = sizeof(int), .readable = on_frames, .end = on_source_end};

static void on_feed(chanserv_feed *feed, void *state)
{
    chanserv_source *source;
    int none = 0;

    (void)state;
    while (c.open < OPEN && chanserv_feed_recv(feed, &source) == CS_OK) {
        c.open++;
        if (chanserv_source_start(source, &source_ops, &none) != CS_OK)
            die("source", "no memory");
    }
}

static void on_feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    (void)state;
    if (why != CS_DONE)
        die("post", chanserv_feed_errmsg(feed));
    c.over = true;
    next_post();
}

static const struct chanserv_feed_ops feed_ops = {.readable = on_feed, .end = on_feed_end};

static void post(void)
{
    if (chanserv_lookup_and_post(c.client, "churn", cs_str(""), NULL, &c.feed) != CS_OK ||
        chanserv_feed_start(c.feed, &feed_ops, NULL) != CS_OK)
        die("post", "no memory");
}

static bool is_flat(void)
{
    static const char *const who[] = {"server", "client"};
    bool flat = true;

    measure(c.after);
    printf("churn: %ld channels;", c.channels);
    for (int i = 0; i < 2; i++) {
        printf(" %s %ld KiB, then %ld KiB;", who[i], c.before[i], c.after[i]);
        flat = flat && c.after[i] - c.before[i] < GROWS_KB;
    }
    puts(flat ? " flat" : " GROWN");
    return flat;
}

static bool run_client(const char *addr, bool plain)
{
    struct chanserv_client_options options = {.resume_ms = plain ? CS_OFF : 0};

    c.warm = c.want / 10;
    if (cs_loop_new(NULL, &c.loop) != CS_OK ||
        chanserv_client_new(c.loop, &options, &c.client) != CS_OK ||
        chanserv_join(c.client, addr) != CS_OK)
        die("client", "no memory");
    post();
    cs_loop_run(c.loop);
    return is_flat();
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"channels", required_argument, NULL, 'c'}, {"plain", no_argument, NULL, 'p'}, {0}};
    char dir[] = "/tmp/churn.XXXXXX", addr[64];
    bool plain = false, flat;
    int opt, ready[2];

    while ((opt = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (opt == 'c')
            c.want = strtol(optarg, NULL, 10);
        else if (opt == 'p')
            plain = true;
        else
            return 2;
    }
    if (!mkdtemp(dir) || pipe(ready) != 0)
        die(dir, "cannot be made");
    snprintf(addr, sizeof addr, "unix:%s/s", dir);
    if ((c.server = fork()) == 0) {
        close(ready[0]);
        run_server(addr, ready[1]);
    }
    close(ready[1]);
    (void)!read(ready[0], &opt, 1); /* until it is closed: it listens, or is no more */
    flat = run_client(addr, plain);
    kill(c.server, SIGTERM);
    waitpid(c.server, NULL, 0);
    unlink(addr + sizeof "unix:" - 1);
    rmdir(dir);
    return !flat;
}
