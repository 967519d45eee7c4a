/* step 5 -- no waiting: callbacks on an event_base of your own, sources picked by their header.
 *     step5_callbacks [ADDR]        with step1_serve behind ADDR
 */
#include <chanserv/chanserv.h>
#include <event2/event.h>
#include <stdio.h>

static int reading; /* sources that have not ended */

/* Once a turn while there is something: take what is there.  What you leave stops the producer. */
static void on_frames(chanserv_source *src, void *state)
{
    cs_bytes frame;
    while (chanserv_source_recv(src, &frame) == CS_OK)
        ++*(int *)state;
}

static void on_source_end(chanserv_source *src, cs_err why, void *state)
{
    printf("source %d: %d frames, %s\n", (int)chanserv_source_index(src), *(int *)state,
           cs_strerror(why));
    reading--;
}

static const struct chanserv_source_ops source_ops = {
    .state_bytes = sizeof(int), .readable = on_frames, .end = on_source_end};

static void on_sources(chanserv_feed *feed, void *state)
{
    chanserv_source *src;
    (void)state;
    while (chanserv_feed_recv(feed, &src) == CS_OK)
        if (cs_glob(cs_str("h?llo"), chanserv_source_header(src)))
            reading += chanserv_source_start(src, &source_ops, NULL) == CS_OK;
        else
            chanserv_source_close(src); /* its producer is never asked */
}
static const struct chanserv_feed_ops feed_ops = {.readable = on_sources};

int main(int argc, char **argv)
{
    struct event_base *base = event_base_new();
    cs_loop *loop;
    chanserv_client *client;
    chanserv_feed *feed, *other;
    if (!base || cs_loop_new(base, &loop) || chanserv_client_new(loop, NULL, &client) ||
        chanserv_join(client, argc > 1 ? argv[1] : "localhost:5555") ||
        chanserv_lookup_and_post(client, "ticker", cs_str("hello"), NULL, &feed) ||
        chanserv_lookup_and_post(client, "ticker", cs_str("adieu"), NULL, &other) ||
        chanserv_feed_start(feed, &feed_ops, NULL) || chanserv_feed_start(other, &feed_ops, NULL))
        return 1;
    while (chanserv_feed_status(feed) == CS_AGAIN || chanserv_feed_status(other) == CS_AGAIN ||
           reading > 0)
        event_base_loop(base, EVLOOP_ONCE); /* among all the rest that your program does */
    bool failed = cs_failed(chanserv_feed_status(feed));
    chanserv_client_free(client);
    cs_loop_free(loop);
    event_base_free(base);
    return failed;
}
