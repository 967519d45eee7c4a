/* keepalive -- how long both sides take to find out that nothing passes any more, though nobody said so.
 *
 *   keepalive                             through a proxy that swallows everything
 *   keepalive HERE THERE ADDRESS COMMAND  the server in the network namespace HERE, at ADDRESS, the client
 *                                         in THERE (files, as of ip netns); COMMAND breaks the link
 *
 * Exits with 0 when both knew within ping_interval_ms + ping_timeout_ms, and a little for the machine.
 */
#include "chanserv/chanserv.h"
#include "test/support/proxy.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { INTERVAL_MS = 600, TIMEOUT_MS = 400, MACHINE_MS = 500 };

static const struct mux_options quick = {.ping_interval_ms = INTERVAL_MS,
                                         .ping_timeout_ms = TIMEOUT_MS};
static atomic_llong server_knew_ms;

static long long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "keepalive: %s\n", why);
    exit(1);
}

/* This thread, and those that it makes from now on. */
static void enter(const char *ns)
{
    int fd = ns ? open(ns, O_RDONLY | O_CLOEXEC) : -1;

    if (ns && (fd < 0 || setns(fd, CLONE_NEWNET) != 0))
        give_up("no such network namespace");
    if (fd >= 0)
        close(fd);
}

/* ---- The server ------------------------------------------------------------------------------ */

static cs_err once(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    bool *said = state;

    (void)o;
    *frame = cs_str("here");
    return *said ? CS_AGAIN : (*said = true, CS_OK);
}

static void on_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)o, (void)state, (void)why;
    server_knew_ms = now_ms();
}

static cs_err stay(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {
        .state_bytes = sizeof(bool), .next = once, .end = on_end};
    bool said = false;

    (void)user;
    return chanserv_announce(post, body, &ops, &said, NULL) == CS_OK ? CS_DONE : CS_ENOMEM;
}

static void *serve(void *server)
{
    chanserv_server_run(server);
    return NULL;
}

static chanserv_server *server_at(const char *addr, pthread_t *ret)
{
    const struct chanserv_server_options options = {
        .linger_ms = CS_OFF, .insecure = true, .net = quick};
    chanserv_server *server;

    if (chanserv_server_new(NULL, &options, &server) != CS_OK ||
        chanserv_serve(server, "stay", stay, NULL) != CS_OK ||
        chanserv_listen(server, addr) != CS_OK || pthread_create(ret, NULL, serve, server) != 0)
        give_up("no server");
    return server;
}

/* ---- The client, and all of it ---------------------------------------------------------------- */

/* Returns when it knew; *ret_broke: when the link was broken. */
static long long read_until_it_ends(chanserv_client *client, proxy *p, const char *command,
                                    long long *ret_broke)
{
    chanserv_source *source;
    chanserv_feed *feed;
    long long knew;
    cs_bytes frame;

    if (chanserv_lookup_and_post(client, "stay", cs_str(""), NULL, &feed) != CS_OK ||
        !chanserv_range_source(feed, &source) || chanserv_source_open(source, 0) != CS_OK ||
        !chanserv_range_frame(source, &frame))
        give_up("nothing came");
    if (p)
        proxy_swallow(p, true);
    else if (system(command) != 0) /* NOLINT: it is the caller's */
        give_up("the link cannot be broken");
    *ret_broke = now_ms();
    if (chanserv_range_frame(source, &frame))
        give_up("something came");
    knew = now_ms();
    printf("keepalive: the client is told: %s\n", chanserv_source_errmsg(source));
    chanserv_feed_close(feed);
    return knew;
}

static int report(long long broke, long long knew)
{
    const long long most = INTERVAL_MS + TIMEOUT_MS;
    long long server, client = knew - broke;

    for (int i = 0; i < 10 * (INTERVAL_MS + TIMEOUT_MS) && !server_knew_ms; i++)
        usleep(1000);
    server = server_knew_ms ? server_knew_ms - broke : -1;
    bool good = server >= 0 && server <= most + MACHINE_MS && client <= most + MACHINE_MS;
    printf("keepalive %s: the server knew after %lld ms, the client after %lld ms; the options say "
           "%lld\n",
           good ? "well" : "FAILED", server, client, most);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct chanserv_client_options options = {.resume_ms = CS_OFF, .net = quick};
    const bool spaces = argc == 5;
    chanserv_server *server;
    chanserv_client *client;
    pthread_t serving;
    proxy *p = NULL;
    long long broke, knew;
    int status;

    if (argc != 1 && !spaces) {
        fputs("usage: keepalive [HERE THERE ADDRESS COMMAND]\n", stderr);
        return 64;
    }
    enter(spaces ? argv[1] : NULL);
    server = server_at(spaces ? argv[3] : "127.0.0.1:0", &serving);
    enter(spaces ? argv[2] : NULL);
    if (!spaces && !(p = proxy_start(&(struct proxy_options){
                         .kind = PROXY_BYTES, .target = chanserv_server_addr(server, 0)})))
        give_up("no proxy");
    if (chanserv_client_new(NULL, &options, &client) != CS_OK ||
        chanserv_join(client, p ? proxy_addr(p) : chanserv_server_addr(server, 0)) != CS_OK)
        give_up("no client");
    knew = read_until_it_ends(client, p, spaces ? argv[4] : NULL, &broke);
    status = report(broke, knew);
    chanserv_client_free(client);
    chanserv_server_stop(server);
    pthread_join(serving, NULL);
    chanserv_server_free(server);
    proxy_stop(p);
    return status;
}
