/* meet_tsan -- parties on threads, for ThreadSanitizer.
 *
 * Four threads of one client pass a barrier many times: nobody passes before all four are there, and all meet
 * the same.  Then one waits for nobody, and is cancelled by another thread.
 */
#include "services/rendezvous/rendezvous.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { PARTIES = 4, ROUNDS = 40 };

static chanserv_client *client;
static atomic_int arrived[ROUNDS], passed, waits;

static void *run(void *server)
{
    chanserv_server_run(server);
    return NULL;
}

/* Has he met all four, when all were there? */
static bool pass(const char *actor, int round)
{
    const struct rendezvous_party *all;
    rendezvous_meeting *meeting;
    char generation[16];
    size_t n = 0;
    bool good;

    snprintf(generation, sizeof generation, "%d", round);
    const struct rendezvous_ask ask = {.event = cs_str("barrier"),
                                       .actor = cs_str(actor),
                                       .generation = cs_str(generation),
                                       .mates = PARTIES - 1};
    atomic_fetch_add(&arrived[round], 1);
    if (rendezvous_come(client, &ask, NULL, NULL, &meeting) != CS_OK)
        return false;
    good = rendezvous_meet(meeting) == CS_OK && atomic_load(&arrived[round]) == PARTIES &&
           rendezvous_parties(meeting, &all, &n) == CS_OK && n == PARTIES;
    rendezvous_close(meeting);
    return good;
}

static void *party(void *user)
{
    for (int round = 0; round < ROUNDS; round++)
        if (pass(user, round))
            atomic_fetch_add(&passed, 1);
        else
            break;
    return NULL;
}

static void *lonely(void *meeting)
{
    cs_bytes roster;

    if (rendezvous_range_roster(meeting, &roster))
        atomic_store(&waits, 1);
    return rendezvous_meet(meeting) == CS_ECANCELED ? meeting : NULL;
}

static bool is_cancelled(void)
{
    const struct rendezvous_ask ask = {
        .event = cs_str("nobody"), .actor = cs_str("alone"), .roster = true};
    rendezvous_meeting *meeting;
    pthread_t thread;
    void *was;

    if (rendezvous_come(client, &ask, NULL, NULL, &meeting) != CS_OK)
        return false;
    pthread_create(&thread, NULL, lonely, meeting);
    while (!atomic_load(&waits))
        sched_yield();
    rendezvous_cancel(meeting);
    pthread_join(thread, &was);
    rendezvous_close(meeting);
    return was;
}

int main(void)
{
    char actors[PARTIES][2] = {"a", "b", "c", "d"};
    pthread_t thread, threads[PARTIES];
    chanserv_server *server;
    rendezvous *desk;
    bool good;

    if (chanserv_server_new(NULL, NULL, &server) != CS_OK ||
        rendezvous_new(server, NULL, &desk) != CS_OK ||
        chanserv_listen(server, "127.0.0.1:0") != CS_OK ||
        chanserv_client_new(NULL, NULL, &client) != CS_OK ||
        chanserv_join(client, chanserv_server_addr(server, 0)) != CS_OK)
        return 1;
    pthread_create(&thread, NULL, run, server);
    for (int i = 0; i < PARTIES; i++)
        pthread_create(&threads[i], NULL, party, actors[i]);
    for (int i = 0; i < PARTIES; i++)
        pthread_join(threads[i], NULL);
    good = atomic_load(&passed) == PARTIES * ROUNDS && is_cancelled();
    chanserv_client_free(client);
    chanserv_server_stop(server);
    pthread_join(thread, NULL);
    rendezvous_free(desk);
    chanserv_server_free(server);
    puts(good ? "meet_tsan: 4 threads passed a barrier 40 times" : "meet_tsan: FAILED");
    return good ? 0 : 1;
}
