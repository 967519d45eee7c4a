/* step 7 -- goroutines: a thread a source, there and here.
 *     step7_goroutines
 */
#include <chanserv/chanserv.h>
#include <pthread.h>
#include <stdio.h>

static cs_err produce(cs_chan *out, void *lines) /* its thread begins when its source is opened */
{
    for (int i = 0; i < *(int *)lines; i++)
        if (cs_chan_send(out, cs_str("a line\n"), CS_FOREVER) != CS_OK)
            return CS_ECANCELED; /* the reader left */
    return CS_DONE;
}

static cs_err ten(chanserv_post *post, cs_bytes body, void *lines)
{
    for (int i = 0; i < 10; i++)
        chanserv_go(post, body, produce, lines, sizeof(int));
    return CS_DONE;
}

static void *consume(void *src)
{
    size_t bytes = 0;
    for (cs_bytes frame; chanserv_range_frame(src, &frame);)
        bytes += frame.len;
    return chanserv_source_status(src) == CS_DONE ? (void *)bytes : NULL;
}

static void *serve(void *server)
{
    return chanserv_server_run(server) == CS_OK ? server : NULL;
}

int main(void)
{
    pthread_t server_thread, threads[10];
    chanserv_server *server;
    chanserv_client *client; /* without a loop: any thread may wait for its sources */
    chanserv_feed *feed;
    chanserv_source *src[10];
    void *bytes;
    int lines = 1000, n = 0;
    if (chanserv_server_new(NULL, NULL, &server) || chanserv_serve(server, "ten", ten, &lines) ||
        chanserv_listen(server, "127.0.0.1:0") || chanserv_client_new(NULL, NULL, &client) ||
        chanserv_join(client, chanserv_server_addr(server, 0)) ||
        chanserv_lookup_and_post(client, "ten", cs_str("go"), NULL, &feed) ||
        pthread_create(&server_thread, NULL, serve, server))
        return 1;
    for (; n < 10 && chanserv_range_source(feed, &src[n]); n++)
        if (pthread_create(&threads[n], NULL, consume, chanserv_source_keep(src[n])))
            return 1;
    for (int i = 0; i < n && pthread_join(threads[i], &bytes) == 0; chanserv_source_close(src[i++]))
        printf("source %d: %zu bytes\n", i, (size_t)bytes);
    chanserv_client_free(client);
    chanserv_server_stop(server), pthread_join(server_thread, &bytes);
    chanserv_server_free(server);
    return !(n == 10 && bytes);
}
