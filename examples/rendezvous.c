/* rendezvous -- two who know of each other only the name of what they wait for: a machine that comes up,
 * and its customer.  Each is a thread with a client of its own, as if it was a process elsewhere; they meet,
 * and then talk over a channel that the service relays.
 *
 *     rendezvous
 */
#include <pthread.h>
#include <services/rendezvous/rendezvous.h>
#include <stdio.h>
#include <string.h>

struct party {
    const char *actor, *payload, *says, *addr;
    char heard[160]; /* empty: it went wrong */
};

/* Says its word to its mate, and hears his. */
static void talk(struct party *me, rendezvous_meeting *meeting)
{
    chanserv_source *mate = rendezvous_channel(meeting, 0);
    const struct rendezvous_party *all;
    cs_bytes word;
    size_t n;

    if (!mate || rendezvous_parties(meeting, &all, &n) != CS_OK || n != 2 ||
        chanserv_source_send(mate, cs_str(me->says), CS_FOREVER) != CS_OK ||
        !chanserv_range_frame(mate, &word))
        return;
    const struct rendezvous_party *other = &all[cs_same(all[0].actor, cs_str(me->actor))];
    snprintf(me->heard, sizeof me->heard, "%s met %.*s, who brought %.*s and says: %.*s", me->actor,
             CS_FMT(other->actor), CS_FMT(other->payload), CS_FMT(word));
}

static void *party(void *user)
{
    struct party *me = user;
    const struct rendezvous_ask ask = {.event = cs_str("VM-is-up"),
                                       .actor = cs_str(me->actor),
                                       .payload = cs_str(me->payload),
                                       .channels = true,
                                       .timeout_ms = 30000};
    rendezvous_meeting *meeting;
    chanserv_client *client;

    if (chanserv_client_new(NULL, NULL, &client) || chanserv_join(client, me->addr) ||
        rendezvous_come(client, &ask, NULL, NULL, &meeting))
        return NULL;
    if (rendezvous_meet(meeting) == CS_OK)
        talk(me, meeting);
    else
        fprintf(stderr, "%s\n", rendezvous_errmsg(meeting));
    rendezvous_close(meeting);
    chanserv_client_free(client);
    return NULL;
}

static void *serve(void *server)
{
    return chanserv_server_run(server) == CS_OK ? server : NULL;
}

int main(void)
{
    struct party parties[] = {{"VM", "192.168.1.1", "I am up", NULL, ""},
                              {"CUST", "a key", "thank you", NULL, ""}};
    pthread_t server_thread, threads[2];
    chanserv_server *server;
    rendezvous *desk;

    if (chanserv_server_new(NULL, NULL, &server) || rendezvous_new(server, NULL, &desk) ||
        chanserv_listen(server, "127.0.0.1:0") ||
        pthread_create(&server_thread, NULL, serve, server))
        return 1;
    for (int i = 0; i < 2; i++) {
        parties[i].addr = chanserv_server_addr(server, 0);
        if (pthread_create(&threads[i], NULL, party, &parties[i]))
            return 1;
    }
    for (int i = 0; i < 2 && pthread_join(threads[i], NULL) == 0; i++)
        puts(parties[i].heard);
    chanserv_server_stop(server), pthread_join(server_thread, NULL);
    rendezvous_free(desk);
    chanserv_server_free(server);
    return !(parties[0].heard[0] && parties[1].heard[0]);
}
