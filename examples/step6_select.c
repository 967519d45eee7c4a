/* step 6 -- select: sources, a channel of your own, a timeout, whichever is first; and Go's `go`.
 *     step6_select
 */
#include <chanserv/chanserv.h>
#include <stdio.h>

static cs_err produce(cs_chan *out, void *state) /* from the moment its source is opened */
{
    for (int i = 0; i < *(int *)state; i++)
        if (cs_chan_send(out, cs_str("tick"), CS_FOREVER) != CS_OK)
            return CS_ECANCELED; /* the reader left */
    return CS_DONE;
}

static cs_err ticks(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    for (int i = 1; i <= 3; i++)
        chanserv_go(post, cs_str("ticks"), produce, &i, sizeof i);
    return CS_DONE;
}

static cs_err range(chanserv_set *set) /* until it is empty: what has ended leaves it */
{
    int n[CHANSERV_CHAN_END + 1] = {0}; /* of each kind */
    struct chanserv_event ev;
    cs_err err;
    for (; (err = chanserv_select(set, 5000, &ev)) == CS_OK; n[ev.kind]++)
        if (ev.kind == CHANSERV_SOURCE)
            chanserv_set_add_source(set, ev.source);
        else if (ev.kind == CHANSERV_MESSAGE)
            cs_ref_drop(&ev.message);
    printf("%d sources, %d frames, %d message, %s\n", n[CHANSERV_SOURCE], n[CHANSERV_FRAME],
           n[CHANSERV_MESSAGE], err == CS_DONE ? "nothing left" : "silence for 5 seconds");
    return err;
}

int main(void)
{
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *feed;
    chanserv_set *set;
    cs_chan *own;
    if (cs_loop_new(NULL, &loop) || chanserv_server_new(loop, NULL, &server) ||
        chanserv_serve(server, "ticks", ticks, NULL) || chanserv_client_new(loop, NULL, &client) ||
        chanserv_join_local(client, server) || chanserv_set_new(client, &set) ||
        chanserv_lookup_and_post(client, "ticks", cs_str(""), NULL, &feed) ||
        chanserv_set_add_feed(set, feed) || cs_chan_new(0, &own) ||
        chanserv_set_add_chan(set, own) || cs_chan_send(own, cs_str("from any thread"), CS_NOW))
        return 1;
    cs_chan_close(own, CS_DONE), cs_chan_free(own); /* the set keeps it */
    bool failed = range(set) != CS_DONE;
    chanserv_set_free(set);
    chanserv_client_free(client);
    chanserv_server_free(server);
    cs_loop_free(loop);
    return failed;
}
