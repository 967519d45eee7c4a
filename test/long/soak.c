/* soak -- a server and a client for a long time, under all that they may meet: what they leave behind must
 * be nothing.
 *
 *   soak [--tool PATH] [--seconds N]
 *
 * `chanserv serve` is posted to by `chanserv bench`, which never pauses and checks each byte, by clients
 * that come and go, are killed, cancel, hang up, read slowly or not at all, and by floods that stay below the
 * limits.  Every ten seconds they rest, and memory and descriptors are looked at.  Prints a line a minute;
 * at the end how memory grows, without the first fifth.  Exits with 1 if one of those clients was not served,
 * a descriptor is left, or, of runs of ten minutes and more, the server or the client grows by more than 1 MiB
 * an hour, and by more than half of one. */
#include "test/attack/peer.h"
#include "test/attack/victim.h"

#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MIB = 1024 * 1024, GROWS_MAX = 1, JUDGED_S = 600 };
static const double SPREAD = 0.5; /* MiB, from one look to the next */
enum { WORK_MS = 8000, QUIET_MS = 1800, LOOKS = 5, LOOK_MS = 40, NICE = 19 };
enum { SLOW = 4, PLACES = 4096, WELL_MS = 10000 };

static const char OPTIONS[] = "--service gen=gen --service echo=echo --grace 500ms "
                              "--connection-age 20s --stall-timeout 5s";
static const char LARGE[] = "sources=50&frames=2&size=4000&eager=1";
static const char ENDLESS[] = "sources=3&frames=100000&delay_ms=1000&eager=1";

static struct {
    const char *tool;
    int seconds;
    struct victim server, client; /* of the client only the process */
    struct work work;
    struct peer slow[SLOW]; /* readers that stay for some rounds */
    unsigned rounds, wrong;
    char why[256]; /* the first that was wrong */
} soak = {.tool = "tools/chanserv", .seconds = 600};

static void expect(bool right, const char *what, const struct peer *peer)
{
    if (right)
        return;
    if (soak.wrong++ == 0)
        snprintf(soak.why, sizeof soak.why, "%s (status %d, %s)", what, peer ? peer->status : -1,
                 peer ? peer->goaway_words : "");
}

/* ---- Who comes and goes ---------------------------------------------------------------------- */

static void begin(struct peer *peer)
{
    expect(peer_open(peer, soak.server.port, 1, &soak.work), "cannot connect", NULL);
}

static void post(struct peer *peer, unsigned from, unsigned n, const char *body)
{
    for (unsigned i = from; i < from + n; i++)
        peer_post(peer, 2 * i + 1, "gen", body);
    peer_flush(peer);
}

static void posts(void)
{
    struct peer peer;
    begin(&peer);
    post(&peer, 0, 20, "sources=5&frames=1&size=200&eager=1");
    peer_until(&peer, &peer.ends, 20, WELL_MS);
    expect(peer.statuses[0] == 20, "posts are not served", &peer);
    peer_free(&peer);
}

static void cancels(void)
{
    struct peer peer;
    begin(&peer);
    post(&peer, 0, 100, ENDLESS);
    expect(peer_until(&peer, &peer.opened, 100, WELL_MS), "what is to be cancelled", &peer);
    for (uint32_t i = 0; i < 100; i++)
        peer_word(&peer, RST_STREAM, 2 * i + 1, 8);
    post(&peer, 100, 1, "sources=1");
    expect(peer_until(&peer, &peer.statuses[0], 1, WELL_MS), "who cancels is cut", &peer);
    peer_free(&peer);
}

static void hang_up(void)
{
    struct peer peer;
    begin(&peer);
    post(&peer, 0, 10, soak.rounds % 3 ? LARGE : ENDLESS);
    peer_until(&peer, &peer.opened, soak.rounds % 10, WELL_MS);
    peer_reset(&peer);
}

/* The oldest goes, another comes; those between hear a little, or have no window at all. */
static void read_slowly(void)
{
    struct peer *peer = &soak.slow[soak.rounds % SLOW];
    peer_free(peer);
    begin(peer);
    if (soak.rounds % 3 == 0) {
        peer_setting(peer, 4, 0);
    } else {
        peer_setting(peer, 4, INT32_MAX);
        peer_word(peer, WINDOW_UPDATE, 0, INT32_MAX - 65535);
    }
    post(peer, 0, 20, LARGE);
    for (int i = 0; i < SLOW; i++)
        peer_hear(&soak.slow[i], 0);
}

/* Of each kind less than the limits let by at once. */
static void flood(void)
{
    struct peer peer;
    begin(&peer);
    peer_request(&peer, 1, "Post");
    for (int i = 0; i < 400; i++) {
        peer_frame(&peer, PING, 0, 0, "12345678", 8);
        peer_frame(&peer, DATA, 0, 1, NULL, 0);
        peer_frame(&peer, 0xf1, 0, 0, "unknown", 7);
        peer_word(&peer, WINDOW_UPDATE, 0, 1);
        if (i % 8 == 0)
            peer_setting(&peer, 4, (uint32_t)(65535 + i));
    }
    peer_word(&peer, RST_STREAM, 1, 8);
    post(&peer, 1, 1, "sources=1");
    expect(peer_until(&peer, &peer.statuses[0], 1, WELL_MS), "a flood below the limits", &peer);
    peer_free(&peer);
}

static void say_nonsense(void)
{
    struct peer peer;
    begin(&peer);
    for (uint32_t i = 0; i < 20; i++) {
        peer_request(&peer, 4 * i + 1, "Nothing");
        peer_post(&peer, 4 * i + 3, "nobody", "");
    }
    peer_flush(&peer);
    expect(peer_until(&peer, &peer.ends, 40, WELL_MS), "nonsense is not answered", &peer);
    peer_bytes(&peer, "and what is no frame at all", 27);
    peer_flush(&peer);
    peer_hear(&peer, 5);
    peer_free(&peer);
}

/* ---- Processes ------------------------------------------------------------------------------- */

/* Words behind "chanserv", the last is NULL; {addr} is its address. */
static pid_t start(const char *const *words)
{
    char addr[32];
    char *argv[24] = {(char *)soak.tool};
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    snprintf(addr, sizeof addr, "127.0.0.1:%d", soak.server.port);
    for (int i = 0; words[i]; i++)
        argv[i + 1] = strcmp(words[i], "{addr}") == 0 ? addr : (char *)words[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
        _exit(126);
    execv(soak.tool, argv);
    _exit(127);
}

static void run_client(void)
{
    static const char *const well[] = {"post", "{addr}", "gen", "sources=20&frames=20&size=1000",
                                       NULL};
    int status = -1;
    waitpid(start(well), &status, 0);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "`chanserv post` fails", NULL);
}

/* What its session holds lingers, until its time is up. */
static void kill_client(void)
{
    static const char *const endless[] = {"post", "{addr}", "gen", ENDLESS, NULL};
    pid_t pid = start(endless);
    nap_ms(100);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* ---- Looking --------------------------------------------------------------------------------- */

struct place {
    double hours;
    struct look server, client;
};
static struct place places[PLACES];
static int places_len;

static void rest(void)
{
    for (int i = 0; i < SLOW; i++)
        peer_free(&soak.slow[i]);
    nap_ms(QUIET_MS);
}

/* The least of some: what is held for a moment is not meant. */
static struct look look_at(const struct victim *victim)
{
    struct look least = victim_look(victim), look;
    for (int i = 1; i < LOOKS; i++) {
        nap_ms(LOOK_MS);
        look = victim_look(victim);
        least.rss = look.rss < least.rss ? look.rss : least.rss;
        least.fds = look.fds < least.fds ? look.fds : least.fds;
        least.cpu_ms = look.cpu_ms;
    }
    return least;
}

static void note(double hours)
{
    if (places_len < PLACES)
        places[places_len++] = (struct place){hours, look_at(&soak.server), look_at(&soak.client)};
}

static void say_minute(void)
{
    static const char *const told[] = {"connections",      "connections_total", "posts_total",
                                       "sources_total",    "streams_total",     "sessions",
                                       "sessions_resumed", "sessions_kept",     "cut_resets",
                                       "cut_faults",       "streams_stalled"};
    const struct place *p = &places[places_len - 1];
    printf("%6.1f min: server %.2f MiB %d descriptors, client %.2f MiB %d", p->hours * 60,
           (double)p->server.rss / MIB, p->server.fds, (double)p->client.rss / MIB, p->client.fds);
    expect(victim_count(&soak.server), "the server answers no signal", NULL);
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        printf(" %s=%lld", told[i], (long long)victim_counter(&soak.server, told[i]));
    putchar('\n');
    fflush(stdout);
}

/* How much higher the highest of the second half is than that of the first, behind the first fifth.  What is
 * lower for a while the C library gave back, and takes again: a line through such a saw says little. */
static double rise(bool of_client)
{
    const int first = places_len / 5, half = (first + places_len) / 2;
    double highest[2] = {0};
    for (int i = first; i < places_len; i++) {
        const struct look *look = of_client ? &places[i].client : &places[i].server;
        highest[i >= half] = fmax(highest[i >= half], (double)look->rss / MIB);
    }
    return highest[1] - highest[0];
}

/* From the middle of the one to that of the other. */
static double hours_apart(void)
{
    return (places[places_len - 1].hours - places[places_len / 5].hours) / 2;
}

static bool grows(double mib)
{
    return soak.seconds >= JUDGED_S && mib > SPREAD && mib > GROWS_MAX * hours_apart();
}

/* ---- The program ----------------------------------------------------------------------------- */

static void work(int64_t until)
{
    static void (*const kinds[])(void) = {posts,       cancels, hang_up,
                                          read_slowly, flood,   say_nonsense};
    while (now_ms() < until) {
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            kinds[i]();
        if (soak.rounds % 10 == 0)
            run_client();
        if (soak.rounds % 10 == 5)
            kill_client();
        soak.rounds++;
        nap_ms(50);
    }
}

/* The client ends by itself, and well, when the time is up. */
static void run_all(void)
{
    char duration[32];
    const char *const words[] = {"bench",  "--sources", "20", "--duration",
                                 duration, "{addr}",    NULL};
    int64_t began = now_ms(), minute = 0;
    int status = -1;
    snprintf(duration, sizeof duration, "%ds", soak.seconds);
    soak.client.pid = start(words);
    while (now_ms() - began < (int64_t)soak.seconds * 1000 - 2 * (WORK_MS + QUIET_MS) ||
           places_len < 2) {
        work(now_ms() + WORK_MS);
        rest();
        note((double)(now_ms() - began) / 3600e3);
        if ((now_ms() - began) / 60000 > minute) {
            minute = (now_ms() - began) / 60000;
            say_minute();
        }
    }
    waitpid(soak.client.pid, &status, 0);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "`chanserv bench` fails", NULL);
}

static bool judge(int fds)
{
    int64_t until = now_ms() + WELL_MS;
    double server = rise(false), client = rise(true);
    struct look look;
    do {
        nap_ms(100);
        look = victim_look(&soak.server);
    } while (look.fds != fds && now_ms() < until);
    printf("soak: %u rounds, %llu connections; in %.1f minutes the server grew by %.2f MiB, the "
           "client by "
           "%.2f; descriptors: %d before, %d after; %u wrong%s%s\n",
           soak.rounds, (unsigned long long)soak.work.connections, 60 * hours_apart(), server,
           client, fds, look.fds, soak.wrong, soak.wrong ? ": " : "", soak.why);
    return soak.wrong == 0 && look.fds == fds && !grows(server) && !grows(client);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"tool", required_argument, NULL, 't'}, {"seconds", required_argument, NULL, 's'}, {0}};
    bool held;
    int fds;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (c == 't')
            soak.tool = optarg;
        else if (c == 's')
            soak.seconds = atoi(optarg);
        else
            return 64;
    signal(SIGPIPE, SIG_IGN);
    setpriority(PRIO_PROCESS, 0, NICE);
    for (int i = 0; i < SLOW; i++)
        soak.slow[i].fd = -1, soak.slow[i].ended = true;
    if (!victim_start(&soak.server, soak.tool, OPTIONS, 0))
        return 1;
    run_client();
    nap_ms(QUIET_MS);
    fds = victim_look(&soak.server).fds;
    run_all();
    held = judge(fds);
    if (!victim_stop(&soak.server, WELL_MS)) {
        puts("soak: the server does not end well");
        held = false;
    }
    puts(held ? "ok soak" : "FAIL soak");
    return !held;
}
