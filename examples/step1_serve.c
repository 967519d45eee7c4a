/* step 1 -- a server: a source function under a name, and a producer that is asked for frames.
 *
 *     step1_serve [ADDR]        then: step2_range [ADDR], or: chanserv post ADDR ticker hello
 */
#include <chanserv/chanserv.h>
#include <stdio.h>

struct ticker {
    int said;
};

/* Asked for the next frame while a reader has room for one.  The state is the source's own. */
static cs_err ticker_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    struct ticker *t = state;
    (void)out;
    switch (t->said++) {
    case 0: *frame = cs_str("wait for me!"); return CS_OK;
    case 1: *frame = cs_str("ok I'm ready"); return CS_OK;
    default: return CS_DONE;
    }
}

static const struct chanserv_outlet_ops ticker_ops = {.state_bytes = sizeof(struct ticker),
                                                      .next = ticker_next};

/* Called for each post: announces what there is.  Nothing is produced before somebody opens it. */
static cs_err ticker(chanserv_post *post, cs_bytes body, void *user)
{
    (void)user;
    for (int i = 0; i < 5; i++)
        chanserv_announce(post, body, &ticker_ops, NULL, NULL);
    return CS_DONE;
}

int main(int argc, char **argv)
{
    const struct chanserv_server_options options = {.signals = true};
    chanserv_server *server;
    if (chanserv_server_new(NULL, &options, &server) != CS_OK)
        return 1;
    chanserv_serve(server, "ticker", ticker, NULL);
    if (chanserv_listen(server, argc > 1 ? argv[1] : "localhost:5555") == CS_OK) {
        printf("listening %s\n", chanserv_server_addr(server, 0));
        fflush(stdout);
    }
    cs_err err = chanserv_server_run(server); /* also what serve or listen had to say */
    if (cs_failed(err))
        fprintf(stderr, "%s\n", chanserv_server_errmsg(server));
    chanserv_server_free(server);
    return cs_failed(err);
}
