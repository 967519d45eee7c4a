/* outside -- a program of somebody else: knows the installed headers and chanserv.pc, no more.
 * A server and a client on one loop, over a socket; prints what the client read. */
#include <chanserv/chanserv.h>

#include <stdio.h>

struct ticker {
    int said;
};

static cs_err ticker_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct ticker *ticker = state;
    (void)outlet;
    if (ticker->said++ > 0)
        return CS_DONE;
    *frame = cs_str("tick");
    return CS_OK;
}

static cs_err ticker(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(struct ticker),
                                                   .next = ticker_next};
    (void)user;
    cs_err err = chanserv_announce(post, body, &ops, NULL, NULL);
    return err ? err : CS_DONE;
}

int main(void)
{
    cs_loop *loop = NULL;
    chanserv_server *server = NULL;
    chanserv_client *client = NULL;
    chanserv_feed *feed = NULL;
    chanserv_source *source = NULL;
    cs_bytes frame;
    if (cs_loop_new(NULL, &loop) || chanserv_server_new(loop, NULL, &server) ||
        chanserv_serve(server, "ticker", ticker, NULL) || chanserv_listen(server, "127.0.0.1:0") ||
        chanserv_client_new(loop, NULL, &client) ||
        chanserv_join(client, chanserv_server_addr(server, 0)) ||
        chanserv_lookup_and_post(client, "ticker", cs_str("hello"), NULL, &feed))
        return 1;
    while (chanserv_range_source(feed, &source)) {
        printf("%.*s:", CS_FMT(chanserv_source_header(source)));
        while (chanserv_range_frame(source, &frame))
            printf(" %.*s", CS_FMT(frame));
        printf("\n");
    }
    if (cs_failed(chanserv_feed_status(feed)))
        fprintf(stderr, "%s\n", chanserv_feed_errmsg(feed));
    cs_err err = chanserv_feed_close(feed);
    chanserv_client_free(client);
    chanserv_server_free(server);
    cs_loop_free(loop);
    return cs_failed(err);
}
