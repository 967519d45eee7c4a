/* talk_tsan -- blocking sends from many threads, for ThreadSanitizer.
 *
 * Eight sources say back what they hear.  Each has a thread that sends and another that receives,
 * so that every wait there is happens: for room, for frames, for the end.  A ninth producer hears
 * nothing; who waits there for room is cancelled by another thread.
 */
#include "chanserv/chanserv.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { SOURCES = 8, FRAMES = 3000, FRAME_BYTES = 200, LONG = (2 << 20) + 3 };

/* ---- The server ----------------------------------------------------------------------------- */

static cs_err echo_next(chanserv_outlet *out, cs_ref *frame, void *state)
{
    (void)state;
    return chanserv_outlet_recv_ref(out, frame);
}
static void echo_readable(chanserv_outlet *out, void *state)
{
    (void)state;
    chanserv_outlet_wake(out);
}
static const struct chanserv_outlet_ops echo_ops = {
    .next_ref = echo_next, .readable = echo_readable, .uplink = true};
static const struct chanserv_outlet_ops deaf_ops = {.uplink = true};

static cs_err nine(chanserv_post *post, cs_bytes body, void *user)
{
    cs_err err = CS_OK;

    (void)user;
    for (int i = 0; i < SOURCES && err == CS_OK; i++)
        err = chanserv_announce(post, body, &echo_ops, NULL, NULL);
    if (err == CS_OK)
        err = chanserv_announce(post, body, &deaf_ops, NULL, NULL);
    return err == CS_OK ? CS_DONE : err;
}

static void *run(void *server)
{
    chanserv_server_run(server);
    return NULL;
}

/* ---- The client ----------------------------------------------------------------------------- */

static atomic_int whole, wrong, waits, lets;
static char longest[LONG];

static void let_go(void *user)
{
    (void)user;
    atomic_fetch_add(&lets, 1);
}

static void *sender(void *user)
{
    char frame[FRAME_BYTES] = {0};
    cs_ref last = {0};
    cs_err err = CS_OK;

    for (uint32_t i = 0; i < FRAMES && err == CS_OK; i++) {
        memcpy(frame, &i, sizeof i);
        err = chanserv_source_send(user, cs_bytes_of(frame, sizeof frame), CS_FOREVER);
    }
    if (err == CS_OK)
        err = cs_ref_wrap(cs_bytes_of(longest, sizeof longest), let_go, NULL, &last);
    if (err == CS_OK) /* the client's thread, or the end of the client, lets go of it */
        err = chanserv_source_send_ref(user, &last, CS_FOREVER);
    if (err != CS_OK)
        atomic_fetch_add(&wrong, 1);
    chanserv_source_finish(user);
    return NULL;
}

static void *receiver(void *user)
{
    uint32_t expected = 0, said;
    size_t last = 0;
    cs_bytes frame;

    while (chanserv_range_frame(user, &frame)) {
        memcpy(&said, frame.base, sizeof said);
        last = frame.len;
        if (last == FRAME_BYTES && said != expected++)
            atomic_fetch_add(&wrong, 1);
    }
    if (chanserv_source_status(user) == CS_DONE && expected == FRAMES && last == LONG)
        atomic_fetch_add(&whole, 1);
    return NULL;
}

static void *stuck(void *user)
{
    char frame[FRAME_BYTES] = {0};
    cs_err err;

    do {
        err = chanserv_source_send(user, cs_bytes_of(frame, sizeof frame), CS_NOW);
        if (err == CS_AGAIN) {
            atomic_store(&waits, 1);
            err = chanserv_source_send(user, cs_bytes_of(frame, sizeof frame), CS_FOREVER);
        }
    } while (err == CS_OK);
    if (err != CS_ECANCELED)
        atomic_fetch_add(&wrong, 1);
    return NULL;
}

static bool talk(chanserv_client *client)
{
    chanserv_source *sources[SOURCES + 1];
    pthread_t threads[2 * SOURCES], waiting;
    chanserv_feed *feed;

    if (chanserv_lookup_and_post(client, "nine", cs_str("h"), NULL, &feed) != CS_OK)
        return false;
    for (int i = 0; i <= SOURCES; i++)
        if (!chanserv_range_source(feed, &sources[i]) ||
            chanserv_source_open(chanserv_source_keep(sources[i]), 0) != CS_OK)
            return false;
    pthread_create(&waiting, NULL, stuck, sources[SOURCES]);
    for (int i = 0; i < SOURCES; i++) {
        pthread_create(&threads[2 * i], NULL, sender, sources[i]);
        pthread_create(&threads[2 * i + 1], NULL, receiver, sources[i]);
    }
    for (int i = 0; i < 2 * SOURCES; i++)
        pthread_join(threads[i], NULL);
    while (!atomic_load(&waits))
        sched_yield();
    chanserv_source_cancel(sources[SOURCES]);
    pthread_join(waiting, NULL);
    for (int i = 0; i <= SOURCES; i++)
        chanserv_source_close(sources[i]);
    return chanserv_feed_close(feed) == CS_OK && atomic_load(&whole) == SOURCES &&
           atomic_load(&wrong) == 0;
}

int main(void)
{
    chanserv_server *server;
    chanserv_client *client;
    pthread_t thread;
    bool good;

    if (chanserv_server_new(NULL, NULL, &server) != CS_OK ||
        chanserv_serve(server, "nine", nine, NULL) != CS_OK ||
        chanserv_listen(server, "127.0.0.1:0") != CS_OK ||
        chanserv_client_new(NULL, NULL, &client) != CS_OK ||
        chanserv_join(client, chanserv_server_addr(server, 0)) != CS_OK)
        return 1;
    pthread_create(&thread, NULL, run, server);
    good = talk(client);
    chanserv_client_free(client);
    good = good && atomic_load(&lets) == SOURCES;
    chanserv_server_stop(server);
    pthread_join(thread, NULL);
    chanserv_server_free(server);
    puts(good ? "talk_tsan: 8 threads sent what 8 others received" : "talk_tsan: FAILED");
    return good ? 0 : 1;
}
