/* step 6 -- select: several feeds, a channel of your own and a timeout, whichever is ready.
 *
 *     step6_select
 */
#include <chanserv/chanserv.h>
#include <pthread.h>
#include <stdio.h>

/* Go's `go`: a thread a source, started when the source is opened. */
static cs_err produce(cs_chan *out, void *state)
{
    cs_err err = CS_OK;
    for (int i = 0; i < *(int *)state && err == CS_OK; i++)
        err = cs_chan_send(out, cs_str("tick"), CS_FOREVER);
    return err == CS_OK ? CS_DONE : err; /* CS_ECANCELED: the reader left */
}

static cs_err ticks(chanserv_post *post, cs_bytes body, void *user)
{
    int n = 3;
    (void)user;
    cs_err err = chanserv_go(post, body, produce, &n, sizeof n);
    return err == CS_OK ? CS_DONE : err;
}

static int range(chanserv_set *set, cs_chan *quit)
{
    struct chanserv_event ev;
    unsigned frames = 0, feeds = 0;
    cs_err err;
    while ((err = chanserv_select(set, 5000, &ev)) == CS_OK) {
        switch (ev.kind) {
        case CHANSERV_SOURCE: chanserv_set_add_source(set, ev.source); break;
        case CHANSERV_FRAME: frames++; break;
        case CHANSERV_SOURCE_END: printf("a source is over: %s\n", cs_strerror(ev.why)); break;
        case CHANSERV_FEED_END:
            if (++feeds == 2)
                cs_chan_close(quit, CS_DONE);
            break;
        case CHANSERV_MESSAGE: cs_ref_drop(&ev.message); break;
        case CHANSERV_CHAN_END: puts("told to quit"); break;
        }
    }
    printf("%u frames, %s\n", frames, err == CS_DONE ? "nothing left" : "nothing for 5 seconds");
    return !(frames == 6 && err == CS_DONE);
}

int main(void)
{
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *feed;
    chanserv_set *set;
    cs_chan *quit;
    if (cs_loop_new(NULL, &loop) || chanserv_server_new(loop, NULL, &server) ||
        chanserv_serve(server, "ticks", ticks, NULL) || chanserv_client_new(loop, NULL, &client) ||
        chanserv_join_local(client, server) || chanserv_set_new(client, &set) ||
        cs_chan_new(0, &quit) || chanserv_set_add_chan(set, quit))
        return 1;
    for (int i = 0; i < 2; i++)
        if (chanserv_lookup_and_post(client, "ticks", cs_str(i ? "b" : "a"), NULL, &feed) ||
            chanserv_set_add_feed(set, feed))
            return 1;
    int failed = range(set, quit);
    chanserv_set_free(set);
    cs_chan_free(quit);
    chanserv_client_free(client);
    chanserv_server_free(server);
    cs_loop_free(loop);
    return failed;
}
