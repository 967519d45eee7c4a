/* step 4 -- a slow reader: it stops its own producer and nobody else.  Two sources without end;
 * one is opened and not read, of the other a million frames are.
 *
 *     step4_slow
 */
#include <chanserv/chanserv.h>
#include <stdio.h>

static uint64_t asked[2];

static cs_err endless_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    int *which = state;
    (void)out;
    asked[*which]++;
    *frame = cs_str("sixteen bytes...");
    return CS_OK;
}
static const struct chanserv_outlet_ops endless_ops = {.state_bytes = sizeof(int),
                                                       .next = endless_next};

static cs_err endless(chanserv_post *post, cs_bytes body, void *user)
{
    (void)user;
    for (int i = 0; i < 2; i++)
        chanserv_announce(post, body, &endless_ops, &i, NULL);
    return CS_DONE;
}

int main(void)
{
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *feed;
    chanserv_source *slow, *fast;
    cs_bytes frame;
    if (cs_loop_new(NULL, &loop) || chanserv_server_new(loop, NULL, &server) ||
        chanserv_serve(server, "endless", endless, NULL) ||
        chanserv_client_new(loop, NULL, &client) || chanserv_join_local(client, server) ||
        chanserv_lookup_and_post(client, "endless", cs_str(""), NULL, &feed))
        return 1;
    if (!chanserv_range_source(feed, &slow) || !chanserv_range_source(feed, &fast) ||
        chanserv_source_open(slow, 0) != CS_OK)
        return 1;
    uint64_t got = 0;
    while (got < 1000000 && chanserv_range_frame(fast, &frame))
        got++;
    printf("read %llu frames of one source; the other's producer was asked %s\n",
           (unsigned long long)got,
           asked[0] == 0      ? "for nothing"
           : asked[0] < 20000 ? "until its reader's window was full, and no more"
                              : "too often");
    chanserv_client_free(client);
    chanserv_server_free(server);
    cs_loop_free(loop);
    return !(got == 1000000 && asked[0] > 0 && asked[0] < 20000);
}
