/* rendezvous -- pairs that meet, and what one more who comes costs where many wait.
 *
 *     bench/rendezvous server PORT meet [CONNECTIONS]     as bench/kit.h says
 *     bench/rendezvous client PORT meet CONNECTIONS       one JSON line: pairs that met
 *     bench/rendezvous crowd SHAPE WAITERS [STEPS]        in one process, without a network: one JSON line
 *
 * A pair is two posts and two answers, each over a connection of its own where there are enough; so many
 * pairs are under way at once.  Of a crowd all wait at one event, and in each step one comes:
 *
 *   barrier   all want more than there are; who comes leaves again
 *   pairs     each wants one certain other, who comes; then he comes again himself
 *   refusals  nobody wants a value, all refuse a label that all have; who comes leaves again
 *
 * bench/rendezvous.sh runs crowd under callgrind, which counts only what is done in measured().
 * BENCH_CORRUPT: one brings something else than his mate expects. */
#include "bench/kit.h"

#include <services/rendezvous/rendezvous.h>
#include <sys/resource.h>

enum { SLOTS_OF_ONE = 100, SLOTS_MAX = 500, STEPS = 500, TEXT = 64 };

struct party {
    rendezvous_meeting *meeting;
    char actor[TEXT / 2], payload[2 * TEXT], selector[TEXT];
};

struct slot { /* a pair that meets again and again */
    struct party parties[2];
    char event[TEXT];
    uint64_t round, came_ns;
    int told;
};

static struct {
    cs_loop *loop;
    chanserv_client **clients;
    size_t clients_len;
    struct slot slots[SLOTS_MAX];
    uint64_t done, told;
    bool over;
    meter m;
    lat latency;
} b;

/* Who has met is who was meant, with what they brought. */
static void check(rendezvous_meeting *meeting, const struct slot *slot)
{
    const struct rendezvous_party *all;
    size_t n;
    if (rendezvous_parties(meeting, &all, &n) != CS_OK || n != 2)
        kit_wrong("no pair has met");
    for (int i = 0; i < 2; i++)
        if (!cs_same(all[i].actor, cs_str(slot->parties[i].actor)) ||
            !cs_same(all[i].payload, cs_str(slot->parties[i].payload)))
            kit_wrong("a party brought something else");
}

/* ---- Pairs ------------------------------------------------------------------------------------------- */

static void begin_round(struct slot *slot);

static void on_end(rendezvous_meeting *meeting, cs_err why, void *user)
{
    struct slot *slot = user;
    if (why != CS_OK)
        kit_wrong(rendezvous_errmsg(meeting));
    check(meeting, slot);
    rendezvous_close(meeting);
    if (++slot->told < 2)
        return;
    lat_add(&b.latency, now_ns() - slot->came_ns);
    if (meter_tick(&b.m, ++b.done)) {
        b.over = true;
        cs_loop_stop(b.loop);
    } else {
        begin_round(slot);
    }
}
static const struct rendezvous_meeting_ops ops = {.end = on_end};

static void begin_round(struct slot *slot)
{
    const size_t at = (size_t)(slot - b.slots);
    slot->round++;
    slot->told = 0;
    slot->came_ns = now_ns();
    for (size_t i = 0; i < 2; i++) {
        struct party *party = &slot->parties[i];
        snprintf(party->payload, sizeof party->payload, "what %s brings in round %llu",
                 party->actor, (unsigned long long)slot->round);
        struct rendezvous_ask ask = {.event = cs_str(slot->event),
                                     .actor = cs_str(party->actor),
                                     .payload = cs_str(kit_corrupts() ? "x" : party->payload)};
        if (rendezvous_come(b.clients[(2 * at + i) % b.clients_len], &ask, &ops, slot,
                            &party->meeting) != CS_OK)
            kit_wrong("nobody came");
    }
}

static void client(const char *port, const char *arg)
{
    const struct rlimit files = {65536, 65536};
    char extra[128];
    size_t slots;
    b.clients_len = strtoul(arg, NULL, 10);
    b.clients = calloc(b.clients_len, sizeof(chanserv_client *));
    if (b.clients_len == 0 || !b.clients)
        DIE("meet: over how many connections?");
    slots = b.clients_len == 1              ? SLOTS_OF_ONE
            : b.clients_len < 2 * SLOTS_MAX ? b.clients_len / 2
                                            : SLOTS_MAX;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* if we may not, joining says so */
    b.loop = kit_loop();
    for (size_t i = 0; i < b.clients_len; i++)
        b.clients[i] = kit_client(b.loop, port);
    meter_init(&b.m);
    for (size_t i = 0; i < slots; i++) {
        snprintf(b.slots[i].event, TEXT, "event-%zu", i);
        snprintf(b.slots[i].parties[0].actor, TEXT / 2, "left-%zu", i);
        snprintf(b.slots[i].parties[1].actor, TEXT / 2, "right-%zu", i);
        begin_round(&b.slots[i]);
    }
    cs_loop_run(b.loop);
    if (!b.over)
        kit_wrong("ended early");
    emit("chanserv", "meet", arg, meter_rate(&b.m), "pairs/s", &b.m,
         lat_json(&b.latency, extra, sizeof extra));
    _exit(fflush(stdout) != 0); /* what still waits is of no interest */
}

static int serve(const char *port)
{
    const struct chanserv_server_options options = {.signals = true, .grace_ms = CS_OFF};
    const struct rlimit files = {65536, 65536};
    chanserv_server *server;
    rendezvous *desk;
    char addr[TEXT];
    (void)setrlimit(RLIMIT_NOFILE, &files);
    snprintf(addr, sizeof addr, "127.0.0.1:%s", port);
    if (chanserv_server_new(NULL, &options, &server) != CS_OK ||
        rendezvous_new(server, NULL, &desk) != CS_OK || chanserv_listen(server, addr) != CS_OK)
        DIE("no server");
    ready();
    cs_err err = chanserv_server_run(server);
    rendezvous_free(desk);
    chanserv_server_free(server);
    return cs_failed(err);
}

/* ---- A crowd ----------------------------------------------------------------------------------------- */

static struct {
    enum shape { BARRIER, PAIRS, REFUSALS } shape;
    size_t len;
    struct slot *all; /* one who waits, and in PAIRS his mate */
    chanserv_server *server;
    rendezvous *desk;
    uint64_t arrivals;
} c;

static void on_crowd_end(rendezvous_meeting *meeting, cs_err why, void *user)
{
    if (why != CS_OK || c.shape != PAIRS)
        kit_wrong(why == CS_OK ? "somebody has met" : rendezvous_errmsg(meeting));
    check(meeting, user);
    b.told++;
}
static const struct rendezvous_meeting_ops crowd_ops = {.end = on_crowd_end};

static void come(struct slot *slot, int i)
{
    struct party *party = &slot->parties[i];
    const struct rendezvous_ask ask = {.event = cs_str("e"),
                                       .actor = cs_str(party->actor),
                                       .payload = cs_str(kit_corrupts() ? "x" : party->payload),
                                       .labels = cs_str(c.shape == REFUSALS ? "zone=a" : ""),
                                       .selector = cs_str(c.shape == REFUSALS ? "!zone"
                                                          : c.shape == PAIRS  ? party->selector
                                                                              : ""),
                                       .mates = c.shape == BARRIER ? 1000000 : 1};
    if (rendezvous_come(b.clients[0], &ask, &crowd_ops, slot, &party->meeting) != CS_OK)
        kit_wrong("nobody came");
    cs_loop_settle(b.loop);
    c.arrivals++;
}

static void go(struct slot *slot, int i)
{
    rendezvous_close(slot->parties[i].meeting);
    cs_loop_settle(b.loop);
}

/* Who comes in PAIRS meets; and the one whom he met is there again after that. */
static void step(struct slot *slot)
{
    const uint64_t told = b.told;
    come(slot, 1);
    if (c.shape == PAIRS && b.told != told + 2)
        kit_wrong("two have not met");
    go(slot, 1);
    if (c.shape != PAIRS)
        return;
    go(slot, 0);
    come(slot, 0);
}

__attribute__((noinline)) static void measured(size_t steps)
{
    for (size_t i = 0; i < steps; i++)
        step(&c.all[i * 7919 % c.len]);
}

static void crowd_up(void)
{
    static chanserv_client *only;
    const struct rendezvous_options options = {.waiters_max = CS_OFF};
    c.all = calloc(c.len, sizeof *c.all);
    b.clients = &only;
    if (!c.all || cs_loop_new_virtual(&b.loop) != CS_OK ||
        chanserv_server_new(b.loop, NULL, &c.server) != CS_OK ||
        rendezvous_new(c.server, &options, &c.desk) != CS_OK ||
        chanserv_client_new(b.loop, NULL, &only) != CS_OK ||
        chanserv_join_local(only, c.server) != CS_OK)
        DIE("no server");
    for (size_t i = 0; i < c.len; i++) {
        struct party *parties = c.all[i].parties;
        snprintf(parties[0].actor, TEXT / 2, "l%zu", i);
        snprintf(parties[1].actor, TEXT / 2, "r%zu", i);
        for (int p = 0; p < 2; p++) {
            snprintf(parties[p].payload, sizeof parties[p].payload, "what %s brings",
                     parties[p].actor);
            snprintf(parties[p].selector, TEXT, "actor=%s", parties[!p].actor);
        }
        come(&c.all[i], 0);
    }
}

static int crowd(const char *shape, const char *waiters, const char *steps)
{
    static const char *const shapes[] = {"barrier", "pairs", "refusals"};
    struct rendezvous_counters count;
    size_t n = steps ? strtoul(steps, NULL, 10) : STEPS;
    c.len = strtoul(waiters, NULL, 10);
    while (c.shape < 3 && strcmp(shapes[c.shape], shape))
        c.shape++;
    if (c.shape == 3 || c.len == 0)
        DIE("crowd barrier|pairs|refusals WAITERS [STEPS]");
    crowd_up();
    c.arrivals = 0;
    meter_start(&b.m);
    measured(n);
    meter_stop(&b.m, c.arrivals);
    rendezvous_count(c.desk, &count);
    if (count.waiting != c.len)
        kit_wrong("not all of them wait");
    printf("{\"shape\":\"%s\",\"waiters\":%zu,\"arrivals\":%llu,\"ns_an_arrival\":%.1f}\n", shape,
           c.len, (unsigned long long)c.arrivals, (b.m.t1 - b.m.t0) * 1e9 / (double)c.arrivals);
    for (size_t i = 0; i < c.len; i++)
        rendezvous_close(c.all[i].parties[0].meeting);
    chanserv_client_free(b.clients[0]);
    rendezvous_free(c.desk);
    chanserv_server_free(c.server);
    cs_loop_free(b.loop);
    free(c.all);
    return fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    bench_bound();
    if (argc >= 4 && !strcmp(argv[1], "crowd"))
        return crowd(argv[2], argv[3], argc > 4 ? argv[4] : NULL);
    if (argc < 4 || strcmp(argv[3], "meet") != 0)
        DIE("usage: %s server|client PORT meet [CONNECTIONS], or crowd SHAPE WAITERS [STEPS]",
            argv[0]);
    if (!strcmp(argv[1], "server"))
        return serve(argv[2]);
    client(argv[2], argc > 4 ? argv[4] : "");
    return 0;
}
