/* trap -- hostile servers against `chanserv post`, one scenario after the other.
 *
 *   trap [--tool PATH] [--seed N] [--step N] [--sane] [NAME]...
 *
 * For each a client is started that posts here, and is answered by what its scenario wants; what it does
 * not care for is answered as a good server does.  It is held when the client ends by itself within its
 * own times, with an exit code that says what went wrong and a line for people, and its memory has grown
 * by 64 MiB at most.  --step N: of scenarios of more than 50 clients each N-th; --sane: the client was built
 * with a sanitizer, so memory is not judged.  Prints and ends as attack does. */
#include "test/attack/trap.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PEAK_MAX_KIB = 64 * 1024,
    PATIENCE_MS = 20000,
    LATE_MS = 6000,
    ALIVE_KIB = 16 * 1024,
    MANY = 50,
    NICE = -10
};

static struct {
    const char *tool;
    uint64_t seed;
    int step;
    bool sane;
} args = {.tool = "tools/chanserv", .seed = 1, .step = 1};

/* ---- A good server --------------------------------------------------------------------------- */

void trap_answer(struct peer *peer, uint32_t id)
{
    struct block block;
    block.len = 0;
    block_field(&block, ":status", "200");
    block_field(&block, "content-type", "application/grpc");
    block_field(&block, "chanserv-instance", "0102030405060708");
    peer_frame(peer, HEADERS, END_HEADERS, id, block.bytes, block.len);
}

void trap_end(struct peer *peer, uint32_t id, const char *status)
{
    struct block block;
    block.len = 0;
    block_field(&block, "grpc-status", status);
    peer_frame(peer, HEADERS, END_HEADERS | END_STREAM, id, block.bytes, block.len);
}

void trap_announce(struct peer *peer, uint32_t id, unsigned seq, size_t ticket)
{
    uint8_t bytes[256] = {0x08};
    size_t len = 1;
    for (; seq > 127; seq >>= 7)
        bytes[len++] = (uint8_t)(seq | 128);
    bytes[len++] = (uint8_t)seq;
    bytes[len++] = 0x12;
    bytes[len++] = (uint8_t)ticket; /* below 128 */
    memset(bytes + len, 't', ticket);
    len += ticket;
    memcpy(bytes + len,
           "\x1a\x01"
           "a",
           3);
    peer_message(peer, id, bytes, len + 3, false);
}

void trap_session(struct peer *peer, uint32_t id)
{
    trap_answer(peer, id);
    peer_message(peer, id, "\x0a\x08\1\2\3\4\5\6\7\x08\x10\xe8\x07", 13, false);
}

static bool is(const struct peer *peer, const char *method)
{
    const char *slash = strrchr(peer->path, '/');
    return slash && strcmp(slash + 1, method) == 0;
}

void trap_good(struct peer *peer, uint32_t id)
{
    if (is(peer, "Session")) {
        trap_session(peer, id);
    } else if (is(peer, "Post")) {
        trap_answer(peer, id);
        trap_announce(peer, id, 0, 32);
        peer_message(peer, id, "\x08\1\x1a\1b\x22\4\x0a\2hi\x2a\0", 13, false);
        trap_end(peer, id, "0");
    } else if (is(peer, "Open")) {
        trap_answer(peer, id);
        peer_message(peer, id, "\x0a\5hello", 7, false);
        trap_end(peer, id, "0");
    } else {
        trap_end(peer, id, "12");
    }
}

bool trap_asks(const struct peer *peer, const char *method)
{
    return is(peer, method);
}

/* ---- A client -------------------------------------------------------------------------------- */

struct client {
    pid_t pid;
    int said, status;
    long kib;
    bool ended;
};

static void client_start(struct client *client, int port, const struct trap *trap)
{
    char addr[64], options[512], *words[32] = {(char *)args.tool, (char *)"post"};
    int n = 2, null;
    *client = (struct client){.said = memfd_create("said", MFD_CLOEXEC)};
    snprintf(addr, sizeof addr, "127.0.0.1:%d", port);
    snprintf(options, sizeof options, "%s", trap->options);
    client->pid = fork();
    if (client->pid != 0)
        return;
    for (char *word = strtok(options, " "); word; word = strtok(NULL, " "))
        words[n++] = word;
    words[n++] = addr;
    words[n++] = (char *)"gen";
    words[n++] = (char *)"sources=2";
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(client->said, STDERR_FILENO);
    execv(args.tool, words);
    _exit(127);
}

static bool client_is_over(struct client *client)
{
    struct rusage usage;
    if (!client->ended && wait4(client->pid, &client->status, WNOHANG, &usage) == client->pid) {
        client->ended = true;
        client->kib = usage.ru_maxrss;
    }
    return client->ended;
}

/* ---- One against the other ------------------------------------------------------------------- */

void trap_wrong(struct trapped *t, const char *format, ...)
{
    va_list list;
    if (t->why[0])
        return;
    va_start(list, format);
    vsnprintf(t->why, sizeof t->why, format, list);
    va_end(list);
}

static void on_headers(struct peer *peer, uint32_t id, int flags)
{
    struct trapped *t = peer->user;
    (void)flags;
    t->requests++;
    if (t->trap->request)
        t->trap->request(t, peer, id);
    else
        trap_good(peer, id);
}

static void let_in(struct trapped *t, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), on = 1;
    struct peer *peer;
    if (fd < 0)
        return;
    if (t->peers_len == TRAP_PEERS || !(peer = calloc(1, sizeof *peer))) {
        close(fd);
        trap_wrong(t, "the client dials without end");
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    t->peers[t->peers_len++] = peer;
    peer_take(peer, fd, &t->work);
    peer->on_headers = on_headers;
    peer->user = t;
    if (t->trap->greet)
        t->trap->greet(t, peer);
    else
        peer_frame(peer, SETTINGS, 0, 0, NULL, 0);
}

/* What goes beyond the cut does not go, nor does anything behind it. */
static bool cut(struct trapped *t, struct peer *peer)
{
    size_t left = t->cut_at > peer->gone ? t->cut_at - peer->gone : 0;
    if (t->cut_at == 0 || peer->out_len < left) {
        peer->gone += peer->out_len;
        return false;
    }
    peer->out_len = left;
    peer->gone += left;
    return true;
}

static void serve(struct trapped *t)
{
    for (int i = 0; i < t->peers_len; i++) {
        struct peer *peer = t->peers[i];
        if (peer->ended)
            continue;
        peer_hear(peer, 0);
        if (t->trap->tick)
            t->trap->tick(t, peer);
        bool last = cut(t, peer);
        peer_flush(peer);
        if (last || t->hangs_up) {
            peer_free(peer);
            t->hangs_up = false;
        }
    }
}

static void judge(struct trapped *t, struct client *client, int64_t took)
{
    char words[4096];
    ssize_t n = pread(client->said, words, sizeof words - 1, 0);
    int code = WIFEXITED(client->status) ? WEXITSTATUS(client->status) : -1;
    words[n > 0 ? n : 0] = '\0';
    if (took > LATE_MS && !args.sane)
        trap_wrong(t, "the client ended after %lld ms", (long long)took);
    if (WIFSIGNALED(client->status))
        trap_wrong(t, "the client died of signal %d: %s", WTERMSIG(client->status), words);
    if (!(code == 0 && t->trap->may_be_well) && (code < 17 || code > 32))
        trap_wrong(t, "the client ended with %d after %lld ms: %s", code, (long long)took, words);
    if (code != 0 && strncmp(words, "chanserv: ", 10) != 0)
        trap_wrong(t, "no line for people: %s", words);
    if (!args.sane && client->kib > PEAK_MAX_KIB + ALIVE_KIB)
        trap_wrong(t, "the client grew to %ld MiB", client->kib / 1024);
    if (client->kib > t->kib)
        t->kib = client->kib;
    t->codes[code > 0 && code < 33 ? code : 0]++;
    snprintf(t->said, sizeof t->said, "%.*s", (int)strcspn(words, "\n"), words);
}

/* One client, from its start to its end. */
static void spring(struct trapped *t, int listener, int port)
{
    struct client client;
    int64_t began = now_ms();
    client_start(&client, port, t->trap);
    t->peers_len = 0;
    t->turns = 0;
    while (!client_is_over(&client) && now_ms() - began < PATIENCE_MS) {
        struct pollfd p[1 + TRAP_PEERS] = {{.fd = listener, .events = POLLIN}};
        for (int i = 0; i < t->peers_len; i++)
            p[1 + i] =
                (struct pollfd){.fd = t->peers[i]->ended ? -1 : t->peers[i]->fd, .events = POLLIN};
        poll(p, (nfds_t)(1 + t->peers_len), 1);
        t->turns++;
        if (p[0].revents & POLLIN)
            let_in(t, listener);
        serve(t);
    }
    if (!client.ended) {
        kill(client.pid, SIGKILL);
        waitpid(client.pid, &client.status, 0);
        trap_wrong(t, "the client hangs");
    } else {
        judge(t, &client, now_ms() - began);
    }
    close(client.said);
    for (int i = 0; i < t->peers_len; i++) {
        peer_free(t->peers[i]);
        free(t->peers[i]);
    }
}

static int listen_somewhere(int *port)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(fd, (struct sockaddr *)&here, len) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&here, &len) != 0)
        abort();
    *port = ntohs(here.sin_port);
    return fd;
}

static bool try(const struct trap *trap)
{
    struct trapped *t = calloc(1, sizeof *t);
    int port, listener = listen_somewhere(&port), clients = 0;
    const int step = trap->clients > MANY ? args.step : 1;
    int64_t began = now_ms();
    if (!t)
        abort();
    t->trap = trap;
    t->seed = args.seed;
    for (int i = 0; i < (trap->clients ? trap->clients : 1) && !t->why[0]; i += step) {
        t->round = i;
        t->cut_at = trap->cuts ? (size_t)i + 1 : 0;
        spring(t, listener, port);
        clients++;
    }
    close(listener);
    if (t->work.frames + t->work.bytes < trap->least || (t->requests == 0 && !trap->is_mute))
        trap_wrong(t, "it did nothing: %llu frames, %llu requests",
                   (unsigned long long)t->work.frames, (unsigned long long)t->requests);
    if (t->requests > (trap->many_requests ? 200000u : 200u * (unsigned)clients))
        trap_wrong(t, "the client asks without end: %llu requests",
                   (unsigned long long)t->requests);
    printf("   %-28s %6d clients %6llu connections %7llu frames %6llu requests %5lld ms, %3ld MiB: "
           "%s\n",
           trap->name, clients, (unsigned long long)t->work.connections,
           (unsigned long long)t->work.frames, (unsigned long long)t->requests,
           (long long)(now_ms() - began), t->kib / 1024, t->said);
    if (t->why[0])
        printf("FAIL trap: %s: round %d: %s\n", trap->name, t->round, t->why);
    else
        printf("ok trap: %s\n", trap->name);
    fflush(stdout);
    bool held = !t->why[0];
    free(t);
    return held;
}

uint64_t trap_random(struct trapped *t)
{
    uint64_t z = t->seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"tool", required_argument, NULL, 't'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"step", required_argument, NULL, 'n'},
                                            {"sane", no_argument, NULL, 'a'},
                                            {NULL, 0, NULL, 0}};
    int good = 0, bad = 0;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (c) {
        case 't':
            args.tool = optarg;
            break;
        case 's':
            args.seed = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            args.step = atoi(optarg);
            break;
        case 'a':
            args.sane = true;
            break;
        default:
            return 64;
        }
    signal(SIGPIPE, SIG_IGN);
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* who may: other work is not what is measured */
    const struct trap *const all[] = {traps, traps_slow};
    for (size_t a = 0; a < sizeof all / sizeof *all; a++)
        for (const struct trap *trap = all[a]; trap->name; trap++) {
            bool wanted = optind == argc;
            for (int i = optind; i < argc; i++)
                wanted = wanted || strncmp(trap->name, argv[i], strlen(argv[i])) == 0;
            if (wanted && try(trap))
                good++;
            else
                bad += wanted;
        }
    return bad ? 3 : good ? 0 : 64;
}
