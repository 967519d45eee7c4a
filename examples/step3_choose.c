/* step 3 -- headers, and dropping: a source that is not opened costs its announcement, one that is
 * dropped half-way tells its producer why.  Server and client share a loop, without a socket.
 *
 *     step3_choose
 */
#include <chanserv/chanserv.h>
#include <stdio.h>

static cs_err line_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    (void)out;
    ++*(int *)state;
    *frame = cs_str("a line");
    return CS_OK; /* there is always one more */
}

static void line_end(chanserv_outlet *out, cs_err why, void *state)
{
    printf("producer: %s, ended: %s (%s)\n", *(int *)state ? "was asked" : "was never asked",
           chanserv_outlet_reason(out), cs_strerror(why));
}

static const struct chanserv_outlet_ops line_ops = {
    .state_bytes = sizeof(int), .next = line_next, .end = line_end};

static cs_err logs(chanserv_post *post, cs_bytes body, void *user)
{
    static const char *const names[] = {"a.log", "b.txt", "c.log"};
    (void)body, (void)user;
    for (int i = 0; i < 3; i++)
        chanserv_announce(post, cs_str(names[i]), &line_ops, NULL, NULL);
    return CS_DONE;
}

int main(void)
{
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;
    chanserv_feed *feed;
    if (cs_loop_new(NULL, &loop) || chanserv_server_new(loop, NULL, &server) ||
        chanserv_serve(server, "logs", logs, NULL) || chanserv_client_new(loop, NULL, &client) ||
        chanserv_join_local(client, server) ||
        chanserv_lookup_and_post(client, "logs", cs_str(""), NULL, &feed))
        return 1;
    chanserv_source *src;
    cs_bytes frame;
    while (chanserv_range_source(feed, &src)) {
        if (!cs_glob(cs_str("*.log"), chanserv_source_header(src)))
            continue; /* not interested: nothing was asked of its producer */
        for (int i = 0; i < 2 && chanserv_range_frame(src, &frame); i++)
            printf("%.*s #%d: %.*s\n", CS_FMT(chanserv_source_header(src)), i, CS_FMT(frame));
        chanserv_source_close(src); /* enough */
    }
    chanserv_client_free(client);
    chanserv_server_free(server);
    cs_loop_free(loop);
    return 0;
}
