/* outside_rendezvous -- a program of somebody else: knows the installed headers and chanserv-rendezvous.pc,
 * no more.  Two parties meet in one process, on a clock that nobody waits for; prints what one hears. */
#include <services/rendezvous/rendezvous.h>

#include <stdio.h>
#include <stdlib.h>

static void must(cs_err err)
{
    if (err == CS_OK)
        return;
    fprintf(stderr, "%s\n", cs_strerror(err));
    exit(1);
}

int main(void)
{
    static const char *const asks[] = {"{\"event\":\"e\",\"actor\":\"a\",\"payload\":\"1\"}",
                                       "{\"event\":\"e\",\"actor\":\"b\",\"payload\":\"2\"}"};
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *feeds[2];
    chanserv_source *meeting;
    rendezvous *desk;
    cs_loop *loop;
    cs_bytes match;

    must(cs_loop_new_virtual(&loop));
    must(chanserv_server_new(loop, NULL, &server));
    must(rendezvous_new(server, NULL, &desk));
    must(chanserv_client_new(loop, NULL, &client));
    must(chanserv_join_local(client, server));
    for (int i = 0; i < 2; i++)
        must(chanserv_lookup_and_post(client, "rendezvous", cs_str(asks[i]), NULL, &feeds[i]));
    cs_loop_settle(loop);
    must(chanserv_feed_recv(feeds[0], &meeting));
    must(chanserv_source_open(meeting, 0));
    cs_loop_settle(loop);
    must(chanserv_source_recv(meeting, &match));
    printf("%.*s\n", CS_FMT(match));
    chanserv_client_free(client);
    rendezvous_free(desk);
    chanserv_server_free(server);
    cs_loop_free(loop);
    return 0;
}
