/* nodes_tsan -- several nodes and many threads on one client, for ThreadSanitizer.
 *
 * Four threads post to three servers and read the answers, a fifth looks who serves what, while one
 * server stops, another comes, and a node is left.  No post may run twice, each that ended well
 * ran, and none may fail but by the stop of the server that it ran on.
 */
#include "chanserv/chanserv.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { SERVERS = 4, THREADS = 4, POSTS = 150 };

static struct {
    chanserv_client *client;
    struct node {
        chanserv_server *server;
        pthread_t thread;
        char addr[64];
    } nodes[SERVERS];
    atomic_int runs[THREADS * POSTS];
    atomic_int wrong, cut, served, changes;
} t;

static cs_err give(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    int *given = state;

    (void)outlet;
    *frame = cs_str("frame");
    return (*given)++ < 3 ? CS_OK : CS_DONE;
}

static cs_err count(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(int), .next = give};
    cs_err err;
    int number;

    (void)user;
    memcpy(&number, body.base, sizeof number);
    if (atomic_fetch_add(&t.runs[number], 1) > 0)
        atomic_fetch_add(&t.wrong, 1);
    err = chanserv_announce(post, cs_str("h"), &ops, NULL, NULL);
    return err == CS_OK ? CS_DONE : err;
}

/* ---- The servers ----------------------------------------------------------------------------- */

static void *run(void *server)
{
    chanserv_server_run(server);
    return NULL;
}

static bool start(struct node *n, int i)
{
    char name[8];
    const struct chanserv_server_options options = {.node = name};

    snprintf(name, sizeof name, "n%d", i);
    if (chanserv_server_new(NULL, &options, &n->server) != CS_OK ||
        chanserv_serve(n->server, "x", count, NULL) != CS_OK ||
        chanserv_listen(n->server, "127.0.0.1:0") != CS_OK)
        return false;
    snprintf(n->addr, sizeof n->addr, "%s", chanserv_server_addr(n->server, 0));
    return pthread_create(&n->thread, NULL, run, n->server) == 0;
}

static void stop(struct node *n)
{
    chanserv_server_stop(n->server);
    pthread_join(n->thread, NULL);
    chanserv_server_free(n->server);
}

/* ---- The client ------------------------------------------------------------------------------ */

static void post(int number)
{
    const struct chanserv_post_options options = {
        .bucket = number % 3 ? cs_str("") : cs_bytes_of(&number, sizeof number)};
    chanserv_source *source;
    chanserv_feed *feed;
    cs_bytes frame;
    cs_err err;

    if (chanserv_lookup_and_post(t.client, "x", cs_bytes_of(&number, sizeof number), &options,
                                 &feed) != CS_OK) {
        atomic_fetch_add(&t.wrong, 1);
        return;
    }
    while (chanserv_range_source(feed, &source))
        while (chanserv_range_frame(source, &frame))
            ;
    err = chanserv_feed_status(feed);
    if (err == CS_DONE)
        atomic_fetch_add(&t.served, 1);
    else if (err == CS_EDRAIN || err == CS_EPEER || /* a source that nobody is there to open */
             (err == CS_EREFUSED && atomic_load(&t.runs[number]) == 1) ||
             err == CS_ELOST) /* the good-bye was lost with what we sent in between */
        atomic_fetch_add(&t.cut, 1);
    else
        atomic_fetch_add(&t.wrong, 1);
    if (err == CS_DONE && atomic_load(&t.runs[number]) != 1)
        atomic_fetch_add(&t.wrong, 1);
    if (atomic_load(&t.wrong))
        fprintf(stderr, "post %d: %s\n", number, chanserv_feed_errmsg(feed));
    chanserv_feed_close(feed);
}

static void *poster(void *user)
{
    const int first = (int)((struct node *)user - t.nodes) * POSTS;

    for (int i = 0; i < POSTS; i++)
        post(first + i);
    return NULL;
}

static void *looker(void *user)
{
    chanserv_feed *feed = user;
    chanserv_source *source;
    cs_bytes frame;

    while (chanserv_range_source(feed, &source))
        while (chanserv_range_frame(source, &frame))
            atomic_fetch_add(&t.changes, 1);
    return NULL;
}

static bool wait_for(int posts)
{
    while (atomic_load(&t.served) + atomic_load(&t.cut) < posts && !atomic_load(&t.wrong))
        sched_yield();
    return !atomic_load(&t.wrong);
}

static bool story(void)
{
    pthread_t posters[THREADS], other;
    chanserv_feed *feed;

    for (int i = 0; i < 3; i++)
        if (!start(&t.nodes[i], i) || chanserv_join(t.client, t.nodes[i].addr) != CS_OK)
            return false;
    if (chanserv_lookup(t.client, "*", &feed) != CS_OK)
        return false;
    pthread_create(&other, NULL, looker, feed);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&posters[i], NULL, poster, &t.nodes[i]);
    wait_for(POSTS);
    stop(&t.nodes[0]);
    wait_for(2 * POSTS);
    if (!start(&t.nodes[3], 3) || chanserv_join(t.client, t.nodes[3].addr) != CS_OK ||
        chanserv_leave(t.client, t.nodes[1].addr) != CS_OK)
        return false;
    for (int i = 0; i < THREADS; i++)
        pthread_join(posters[i], NULL);
    chanserv_feed_cancel(feed);
    pthread_join(other, NULL);
    chanserv_client_free(t.client);
    for (int i = 1; i < SERVERS; i++)
        stop(&t.nodes[i]);
    return atomic_load(&t.changes) >= 2;
}

int main(void)
{
    const struct chanserv_client_options options = {.resume_ms = 1000};
    bool good = chanserv_client_new(NULL, &options, &t.client) == CS_OK && story();

    good = good && !atomic_load(&t.wrong) && atomic_load(&t.served) > THREADS * POSTS / 2;
    printf("nodes_tsan: %s: %d posts ended well, %d were cut, %d changes were seen\n",
           good ? "4 threads on 4 nodes" : "FAILED", atomic_load(&t.served), atomic_load(&t.cut),
           atomic_load(&t.changes));
    return good ? 0 : 1;
}
