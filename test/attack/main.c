/* attack -- hostile clients against `chanserv serve`, one scenario after the other.
 *
 *   attack [--tool PATH] [--certs DIR] [--seed N] [--list] [--explain] [NAME]...
 *
 * For each scenario a server is started, and an innocent client that goes on all the while.  It is
 * held when the memory of the server grew by 64 MiB at most, kept 24 MiB of that at most once the
 * attacker had left, its descriptors came back, its counter moved, it said little, the innocent
 * client was served within 2 s each time, and the server ends well when it is asked to.  Prints a
 * line a scenario, "ok attack: NAME" or "FAIL attack: NAME: why", and ends with 3 if one failed.  --certs
 * names what test/support/certs.sh made. */
#include "test/attack/attack.h"
#include "test/attack/good.h"
#include "test/attack/victim.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MIB = 1024 * 1024, PEAK_MAX = 64 * MIB, KEPT_MAX = 24 * MIB, WORDS_MAX = 64 * 1024 };
enum { WARM_MS = 60, SETTLE_MS = 5000, STOP_MS = 5000, LOOK_MS = 10, NICE = -10 };

static const char USUAL[] = "--service gen=gen --service echo=echo  --grace 500ms";

static struct {
    const char *tool, *certs;
    uint64_t seed;
    bool lists, explains;
} args = {.tool = "tools/chanserv", .certs = "certs", .seed = 1};

/* ---- What scenarios use ---------------------------------------------------------------------- */

void attack_wrong(struct attack *attack, const char *format, ...)
{
    va_list list;
    if (attack->why[0])
        return;
    va_start(list, format);
    vsnprintf(attack->why, sizeof attack->why, format, list);
    va_end(list);
}

static struct peer *add(struct attack *attack)
{
    struct peer *peer = attack->peers_len < PEERS_MAX ? calloc(1, sizeof *peer) : NULL;
    if (!peer)
        abort();
    attack->peers[attack->peers_len++] = peer;
    return peer;
}

struct peer *attack_dial(struct attack *attack)
{
    struct peer *peer = add(attack);
    if (!peer_dial(peer, attack->port, 1, &attack->work))
        attack_wrong(attack, "cannot connect");
    return peer;
}

struct peer *attack_open(struct attack *attack)
{
    struct peer *peer = add(attack);
    if (!peer_open(peer, attack->port, 1, &attack->work))
        attack_wrong(attack, "cannot connect");
    return peer;
}

void attack_drop(struct attack *attack, struct peer *peer)
{
    int i = 0;
    while (attack->peers[i] != peer)
        i++;
    attack->peers[i] = attack->peers[--attack->peers_len];
    peer_free(peer);
    free(peer);
}

void attack_hear(struct attack *attack)
{
    for (int i = 0; i < attack->peers_len; i++)
        if (!attack->peers[i]->deaf)
            peer_hear(attack->peers[i], 0);
}

/* SplitMix64. */
uint64_t attack_random(struct attack *attack)
{
    uint64_t z = attack->seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void attack_is_served(struct attack *attack, struct peer *peer, uint32_t id)
{
    uint64_t good = peer->statuses[0];
    peer_post(peer, id, "echo", "still here?");
    EXPECT(attack, peer_flush(peer), "is cut: %s", peer->goaway_words);
    EXPECT(attack, peer_until(peer, &peer->statuses[0], good + 1, PEER_PATIENCE_MS),
           "is not served: status %d, reset %u, %s", peer->status, peer->reset_code,
           peer->goaway_words);
}

void attack_is_cut(struct attack *attack, struct peer *peer)
{
    EXPECT(attack, peer->calm || peer_until_ended(peer, PEER_PATIENCE_MS),
           "is not cut after %llu frames", (unsigned long long)attack->work.frames);
}

/* ---- Judging --------------------------------------------------------------------------------- */

struct before {
    struct look look;
    int64_t counter, connections;
};

static bool has_moved(const struct victim *victim, const struct scenario *scenario,
                      const struct before *before)
{
    return victim_counter(victim, scenario->counter) - before->counter >= scenario->moves;
}

/* The server has yet to read what was sent, and may be slow: who leaves before may take it along. */
static void be_heard(struct attack *attack, const struct scenario *scenario, struct victim *victim,
                     const struct before *before)
{
    int64_t until = now_ms() + SETTLE_MS;
    do {
        attack_hear(attack);
        if (!victim_count(victim) || now_ms() > until)
            return;
    } while (!has_moved(victim, scenario, before) || attack->work.seen + attack->work.cuts == 0);
}

/* The attacker has left: connections and descriptors come back, and memory. */
static struct look settle(struct attack *attack, const struct scenario *scenario,
                          struct victim *victim, const struct before *before)
{
    int64_t until = now_ms() + SETTLE_MS;
    struct look look;
    for (;;) {
        EXPECT(attack, victim_count(victim), "the server answers no signal");
        look = victim_look(victim);
        if (attack->why[0] || now_ms() > until || !victim_is_alive(victim) ||
            (has_moved(victim, scenario, before) && look.fds == before->look.fds &&
             victim_counter(victim, "connections") <= before->connections &&
             look.rss - before->look.rss <= KEPT_MAX))
            return look;
        nap_ms(LOOK_MS);
    }
}

static void judge_look(struct attack *attack, const struct before *before, const struct look *after,
                       int64_t peak)
{
    EXPECT(attack, peak <= PEAK_MAX, "memory grew by %lld MiB", (long long)(peak / MIB));
    EXPECT(attack, after->rss - before->look.rss <= KEPT_MAX, "memory kept %lld MiB",
           (long long)((after->rss - before->look.rss) / MIB));
    EXPECT(attack, after->fds == before->look.fds, "descriptors: %d before, %d after",
           before->look.fds, after->fds);
}

static void judge_work(struct attack *attack, const struct scenario *scenario,
                       const struct victim *victim, const struct before *before)
{
    const struct work *work = &attack->work;
    int64_t now = victim_counter(victim, scenario->counter);
    EXPECT(attack, now >= 0, "there is no counter %s", scenario->counter);
    EXPECT(attack, has_moved(victim, scenario, before), "%s moved by %lld", scenario->counter,
           (long long)(now - before->counter));
    EXPECT(attack, victim_counter(victim, "connections") <= before->connections,
           "%lld connections stay", (long long)victim_counter(victim, "connections"));
    EXPECT(attack, work->frames + work->connections >= scenario->least,
           "it did not attack: %llu frames, %llu connections", (unsigned long long)work->frames,
           (unsigned long long)work->connections);
    EXPECT(attack, work->seen + work->cuts > 0, "it saw no answer");
}

static void leave(struct attack *attack)
{
    while (attack->peers_len > 0)
        attack_drop(attack, attack->peers[0]);
}

/* What is left when all is over; `words` gets what the server said. */
static void judge_end(struct attack *attack, struct victim *victim, char *words, size_t size)
{
    EXPECT(attack, victim_is_alive(victim), "the server died");
    EXPECT(attack, victim_stop(victim, STOP_MS), "the server does not end well");
    EXPECT(attack, victim_words(victim, words, size) <= WORDS_MAX, "the server says too much");
}

static void rage(struct attack *attack, const struct scenario *scenario, struct victim *victim,
                 struct good *good)
{
    struct before before;
    struct look after;
    int64_t peak, began;

    nap_ms(WARM_MS);
    good_rest(good);
    began = now_ms();
    do /* its connections that went have to be gone */
        EXPECT(attack, victim_count(victim), "no counters");
    while (!attack->why[0] && victim_counter(victim, "connections") > victim->own + 1 &&
           now_ms() < began + SETTLE_MS);
    before.counter = victim_counter(victim, scenario->counter);
    before.connections = victim_counter(victim, "connections");
    victim_forget_peak(victim);
    before.look = victim_look(victim);
    good_go(good);
    began = now_ms();
    scenario->run(attack);
    be_heard(attack, scenario, victim, &before);
    began = now_ms() - began;
    good_rest(good);
    EXPECT(attack, !atomic_load(&good->failed), "the innocent client was not served");
    leave(attack);
    after = settle(attack, scenario, victim, &before);
    peak = after.peak - before.look.rss;
    if (args.explains)
        printf("%s", victim->counters);
    judge_look(attack, &before, &after, peak);
    judge_work(attack, scenario, victim, &before);
    printf("   %-28s %8llu frames %6llu connections %9llu heard %5lld ms, cpu %5lld ms, "
           "peak %5.1f, kept %5.1f MiB\n",
           scenario->name, (unsigned long long)attack->work.frames,
           (unsigned long long)attack->work.connections, (unsigned long long)attack->work.seen,
           (long long)began, (long long)(after.cpu_ms - before.look.cpu_ms), (double)peak / MIB,
           (double)(after.rss - before.look.rss) / MIB);
}

static bool try(const struct scenario *scenario)
{
    struct attack *attack = calloc(1, sizeof *attack);
    struct victim victim;
    struct good good;
    char options[1024], words[4096] = "";

    if (!attack)
        abort();
    attack->seed = args.seed;
    snprintf(options, sizeof options, "%s %s", USUAL, scenario->options ? scenario->options : "");
    if (scenario->secure)
        snprintf(options + strlen(options), sizeof options - strlen(options),
                 " --cert %s/server.pem --key %s/server.key", args.certs, args.certs);
    if (!victim_start(&victim, args.tool, options, scenario->data_mib)) {
        printf("FAIL attack: %s: no server\n", scenario->name);
        free(attack);
        return false;
    }
    attack->port = victim.port;
    victim.own = victim_count(&victim) ? victim_counter(&victim, "connections") : 0;
    if (!good_start(&good, victim.port, scenario))
        abort();
    rage(attack, scenario, &victim, &good);
    good_stop(&good);
    if (good.why[0])
        snprintf(attack->why, sizeof attack->why, "the innocent client: %s", good.why);
    EXPECT(attack, good.rounds > 0 && good.slowest_ms <= GOOD_LIMIT_MS,
           "the innocent client waited for %d ms", good.slowest_ms);
    judge_end(attack, &victim, words, sizeof words);
    if (attack->why[0])
        printf("FAIL attack: %s: %s\n%s", scenario->name, attack->why, words);
    else
        printf("ok attack: %s (an innocent client: %d times, %d ms at most)\n", scenario->name,
               good.rounds, good.slowest_ms);
    fflush(stdout);
    bool held = !attack->why[0];
    close(victim.said);
    free(attack);
    return held;
}

/* ---- The program ----------------------------------------------------------------------------- */

static const struct scenario *const groups[] = {
    attack_resets, attack_floods,   attack_fields,   attack_windows,
    attack_links,  attack_bodies,   attack_sessions, attack_limits,
    attack_secure, attack_harmless, attack_http1,    attack_http1_sources};

static bool is_wanted(const char *name, int argc, char **argv)
{
    for (int i = optind; i < argc; i++)
        if (strncmp(name, argv[i], strlen(argv[i])) == 0)
            return true;
    return optind == argc;
}

static int run_all(int argc, char **argv)
{
    int good = 0, bad = 0;
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
        for (const struct scenario *s = groups[g]; s->name; s++) {
            if (!is_wanted(s->name, argc, argv))
                continue;
            if (args.lists)
                printf("%s %s %s\n", s->name, s->limit ? s->limit : "-", s->counter);
            else if (try(s))
                good++;
            else
                bad++;
        }
    if (args.lists)
        return 0;
    if (good + bad == 0)
        fprintf(stderr, "attack: no scenario is called so\n");
    return bad ? 3 : good ? 0 : 64;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"tool", required_argument, NULL, 't'}, {"certs", required_argument, NULL, 'c'},
        {"seed", required_argument, NULL, 's'}, {"list", no_argument, NULL, 'l'},
        {"explain", no_argument, NULL, 'e'},    {NULL, 0, NULL, 0}};
    struct rlimit files;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (c) {
        case 't':
            args.tool = optarg;
            break;
        case 'c':
            args.certs = optarg;
            break;
        case 's':
            args.seed = strtoull(optarg, NULL, 10);
            break;
        case 'l':
            args.lists = true;
            break;
        case 'e':
            args.explains = true;
            break;
        default:
            return 64;
        }
    signal(SIGPIPE, SIG_IGN);
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* who may: other work is not what is measured */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    return run_all(argc, argv);
}
