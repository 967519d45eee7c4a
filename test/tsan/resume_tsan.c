/* resume_tsan -- a client of many threads whose connection is cut again and again, for ThreadSanitizer.
 *
 * Four threads read sixty sources of one post through a relay that closes each connection after a few
 * reads.  Every frame must arrive once and in order, and the source function must run once.  The next
 * connection comes to the next loop of the server, and finds the session on the one where it lives.
 */
#include "chanserv/chanserv.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOURCES = 60, FRAMES = 5000, READERS = 4, CUTS = 50, CUT_MS = 10, TURNS = 20 };

static struct {
    chanserv_source *sources[SOURCES];
    atomic_int runs, next, whole, cuts, seen;
    atomic_bool over;
    int listens, port;
} t;

/* ---- The server ------------------------------------------------------------------------------ */

static cs_err count(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    uint32_t *said = state;

    (void)o;
    if (said[0] == FRAMES)
        return CS_DONE;
    said[1] = said[0]++;
    *frame = cs_bytes_of(&said[1], sizeof said[1]);
    return CS_OK;
}

static cs_err numbers(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = 2 * sizeof(uint32_t),
                                                   .next = count};
    cs_err err = CS_OK;

    (void)user;
    atomic_fetch_add(&t.runs, 1);
    for (int i = 0; i < SOURCES && err == CS_OK; i++)
        err = chanserv_announce(post, body, &ops, NULL, NULL);
    return err == CS_OK ? CS_DONE : err;
}

static void *serve(void *server)
{
    chanserv_server_run(server);
    return NULL;
}

/* ---- The relay ------------------------------------------------------------------------------- */

static int local_socket(int port, bool listens)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (listens ? bind(fd, (struct sockaddr *)&at, len) || listen(fd, 8) ||
                      getsockname(fd, (struct sockaddr *)&at, &len)
                : connect(fd, (struct sockaddr *)&at, len))
        abort();
    if (listens)
        t.port = ntohs(at.sin_port);
    return fd;
}

static bool pass(int from, int to)
{
    char bytes[16384];
    ssize_t n = recv(from, bytes, sizeof bytes, 0), at = 0, sent;

    while (at < n) {
        if ((sent = send(to, bytes + at, (size_t)(n - at), MSG_NOSIGNAL)) <= 0)
            return false;
        at += sent;
    }
    return n > 0;
}

/* One connection at a time: a client that resumes has one. */
static void *relay(void *user)
{
    int port = *(int *)user;

    while (!atomic_load(&t.over)) {
        struct pollfd waits = {.fd = t.listens, .events = POLLIN};
        if (poll(&waits, 1, 10) <= 0)
            continue;
        int near = accept(t.listens, NULL, NULL), far = local_socket(port, false);
        struct pollfd fds[] = {{.fd = near, .events = POLLIN}, {.fd = far, .events = POLLIN}};
        bool stands = true;

        for (int turns = 0; stands && !atomic_load(&t.over); turns++) {
            (void)poll(fds, 2, CUT_MS);
            for (int i = 0; i < 2 && stands; i++)
                if (fds[i].revents)
                    stands = pass(fds[i].fd, fds[!i].fd);
            if (turns >= TURNS && atomic_load(&t.cuts) < CUTS) {
                atomic_fetch_add(&t.cuts, 1);
                stands = false;
            }
        }
        close(near);
        close(far);
    }
    return NULL;
}

/* ---- The client ------------------------------------------------------------------------------ */

static void *reader(void *user)
{
    int i;

    (void)user;
    while ((i = atomic_fetch_add(&t.next, 1)) < SOURCES) {
        uint32_t expected = 0, said;
        cs_bytes frame;

        while (chanserv_range_frame(t.sources[i], &frame)) {
            memcpy(&said, frame.base, sizeof said);
            if (said != expected)
                break;
            expected++;
            if (chanserv_source_is_detached(t.sources[i]))
                atomic_fetch_add(&t.seen, 1);
            chanserv_source_set_state(t.sources[i], NULL); /* no lock, beside what the loop does */
        }
        if (expected == FRAMES && chanserv_source_status(t.sources[i]) == CS_DONE)
            atomic_fetch_add(&t.whole, 1);
        else
            fprintf(stderr, "source %d: %u frames, %s\n", i, (unsigned)expected,
                    chanserv_source_errmsg(t.sources[i]));
    }
    return NULL;
}

static bool read_all(const char *addr)
{
    const struct chanserv_client_options options = {.resume_ms = 60000};
    pthread_t readers[READERS];
    chanserv_client *client;
    chanserv_feed *feed;
    int n = 0;

    if (chanserv_client_new(NULL, &options, &client) != CS_OK ||
        chanserv_join(client, addr) != CS_OK ||
        chanserv_lookup_and_post(client, "numbers", cs_str("h"), NULL, &feed) != CS_OK)
        return false;
    while (n < SOURCES && chanserv_range_source(feed, &t.sources[n]))
        chanserv_source_keep(t.sources[n++]);
    for (int i = 0; n == SOURCES && i < READERS; i++)
        if (pthread_create(&readers[i], NULL, reader, NULL) != 0)
            abort();
    for (int i = 0; n == SOURCES && i < READERS; i++)
        pthread_join(readers[i], NULL);
    for (int i = 0; i < n; i++)
        chanserv_source_close(t.sources[i]);
    chanserv_feed_close(feed);
    chanserv_client_free(client);
    return n == SOURCES;
}

static bool trial(int loops, bool parallel)
{
    const struct chanserv_server_options options = {.loops = loops};
    chanserv_server *server;
    pthread_t serving, relaying;
    char addr[32];
    bool good;
    int port;

    memset(&t, 0, sizeof t);
    if (chanserv_server_new(NULL, &options, &server) != CS_OK ||
        (parallel ? chanserv_serve_parallel : chanserv_serve)(server, "numbers", numbers, NULL) !=
            CS_OK ||
        chanserv_listen(server, "127.0.0.1:0") != CS_OK)
        return false;
    port = atoi(strrchr(chanserv_server_addr(server, 0), ':') + 1);
    t.listens = local_socket(0, true);
    snprintf(addr, sizeof addr, "127.0.0.1:%d", t.port);
    if (pthread_create(&serving, NULL, serve, server) != 0 ||
        pthread_create(&relaying, NULL, relay, &port) != 0)
        return false;
    good = read_all(addr) && atomic_load(&t.whole) == SOURCES && atomic_load(&t.runs) == 1 &&
           atomic_load(&t.cuts) > 2;
    atomic_store(&t.over, true);
    pthread_join(relaying, NULL);
    chanserv_server_stop(server);
    pthread_join(serving, NULL);
    chanserv_server_free(server);
    close(t.listens);
    printf("resume_tsan: %d loops: %s: %d of %d sources whole, %d cuts, seen by %d frames\n", loops,
           good ? "well" : "FAILED", atomic_load(&t.whole), SOURCES, atomic_load(&t.cuts),
           atomic_load(&t.seen));
    return good;
}

int main(void)
{
    bool one = trial(1, false), two = trial(2, false), three = trial(3, true);

    return one && two && three ? 0 : 1;
}
