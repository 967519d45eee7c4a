/* client_tsan -- many threads on one client, for ThreadSanitizer.
 *
 * Eight threads share out a hundred sources of one post and read them to their end, while another
 * cancels some of them, whenever it happens to come by.  Everything that was not cancelled must
 * arrive whole and in order.  Three rounds: over TCP, over a unix socket, and compressed (each
 * reader unpacks on its own thread).
 */
#include "chanserv/chanserv.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SOURCES = 100, FRAMES = 300, READERS = 8, FRAME_BYTES = 200 };

struct producer {
    uint32_t said;
    char frame[FRAME_BYTES];
};

static cs_err produce(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    struct producer *p = state;

    (void)out;
    if (p->said == FRAMES)
        return CS_DONE;
    memcpy(p->frame, &p->said, sizeof p->said);
    p->said++;
    *frame = cs_bytes_of(p->frame, sizeof p->frame);
    return CS_OK;
}

static cs_err hundred(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(struct producer),
                                                   .next = produce};
    cs_err err = CS_OK;

    (void)user;
    for (int i = 0; i < SOURCES && err == CS_OK; i++)
        err = chanserv_announce(post, body, &ops, NULL, NULL);
    return err == CS_OK ? CS_DONE : err;
}

struct round {
    chanserv_source *sources[SOURCES];
    atomic_int next, whole, cancelled, wrong;
    atomic_bool over;
};

static void read_one(struct round *r, chanserv_source *source)
{
    uint32_t expected = 0, said;
    cs_bytes frame;

    while (chanserv_range_frame(source, &frame)) {
        memcpy(&said, frame.base, sizeof said);
        if (frame.len != FRAME_BYTES || said != expected || chanserv_source_seq(source) != said)
            atomic_fetch_add(&r->wrong, 1);
        expected++;
    }
    if (chanserv_source_status(source) == CS_ECANCELED)
        atomic_fetch_add(&r->cancelled, 1);
    else if (chanserv_source_status(source) == CS_DONE && expected == FRAMES)
        atomic_fetch_add(&r->whole, 1);
    else
        atomic_fetch_add(&r->wrong, 1);
}

static void *reader(void *user)
{
    struct round *r = user;
    int i;

    while ((i = atomic_fetch_add(&r->next, 1)) < SOURCES)
        read_one(r, r->sources[i]);
    return NULL;
}

static void *canceller(void *user)
{
    struct round *r = user;
    unsigned seed = 7;

    for (int i = 0; i < 20 && !atomic_load(&r->over); i++) {
        chanserv_source_cancel(r->sources[rand_r(&seed) % SOURCES]);
        for (int pause = 0; pause < 50; pause++)
            sched_yield();
    }
    return NULL;
}

static void *run(void *server)
{
    chanserv_server_run(server);
    return NULL;
}

static bool post_and_take(chanserv_client *client, struct round *r, chanserv_feed **feed)
{
    if (chanserv_lookup_and_post(client, "hundred", cs_str("h"), NULL, feed) != CS_OK)
        return false;
    for (int i = 0; i < SOURCES; i++) {
        if (!chanserv_range_source(*feed, &r->sources[i]))
            return false;
        chanserv_source_keep(r->sources[i]);
    }
    return true;
}

static bool read_all(chanserv_client *client)
{
    static struct round r;
    pthread_t readers[READERS], other;
    chanserv_feed *feed;

    memset(&r, 0, sizeof r);
    if (!post_and_take(client, &r, &feed))
        return false;
    pthread_create(&other, NULL, canceller, &r);
    for (int i = 0; i < READERS; i++)
        pthread_create(&readers[i], NULL, reader, &r);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    atomic_store(&r.over, true);
    pthread_join(other, NULL);
    for (int i = 0; i < SOURCES; i++)
        if (i % 2) /* the others go after the client */
            chanserv_source_close(r.sources[i]);
    chanserv_feed_close(feed);
    chanserv_client_free(client);
    for (int i = 0; i < SOURCES; i += 2)
        chanserv_source_close(r.sources[i]);
    return atomic_load(&r.wrong) == 0 &&
           atomic_load(&r.whole) + atomic_load(&r.cancelled) == SOURCES &&
           atomic_load(&r.whole) >= SOURCES - 20;
}

static bool round_over(const char *addr, bool gzip)
{
    const struct chanserv_server_options serve_so = {.net.gzip = gzip};
    const struct chanserv_client_options read_so = {.net.gzip = gzip};
    struct chanserv_counters seen;
    chanserv_server *server;
    chanserv_client *client;
    pthread_t thread;
    bool good;

    if (chanserv_server_new(NULL, &serve_so, &server) != CS_OK ||
        chanserv_serve(server, "hundred", hundred, NULL) != CS_OK ||
        chanserv_listen(server, addr) != CS_OK ||
        chanserv_client_new(NULL, &read_so, &client) != CS_OK ||
        chanserv_join(client, chanserv_server_addr(server, 0)) != CS_OK)
        return false;
    pthread_create(&thread, NULL, run, server);
    good = read_all(client);
    chanserv_server_stop(server);
    pthread_join(thread, NULL);
    chanserv_server_counters(server, &seen);
    chanserv_server_free(server);
    return good && (seen.messages_gzipped > 0) == gzip;
}

int main(void)
{
    char path[64];
    bool good;

    snprintf(path, sizeof path, "unix:@client_tsan.%ld", (long)getpid());
    good = round_over("127.0.0.1:0", false) && round_over(path, false) && round_over(path, true);
    puts(good ? "client_tsan: 8 threads read 100 sources, three times" : "client_tsan: FAILED");
    return good ? 0 : 1;
}
