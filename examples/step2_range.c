/* step 2 -- a client: range over the sources, range over the frames, look at the status once.
 *
 *     step2_range [ADDR]
 */
#include <chanserv/chanserv.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    chanserv_client *client;
    chanserv_feed *sources;
    if (chanserv_client_new(NULL, NULL, &client) != CS_OK ||
        chanserv_join(client, argc > 1 ? argv[1] : "localhost:5555") != CS_OK ||
        chanserv_lookup_and_post(client, "ticker", cs_str("hello"), NULL, &sources) != CS_OK)
        return 1;

    chanserv_source *src;
    cs_bytes frame;
    while (chanserv_range_source(sources, &src)) {
        printf("[HEAD] %.*s\n", CS_FMT(chanserv_source_header(src)));
        while (chanserv_range_frame(src, &frame)) /* the first call opens the source */
            printf("got frame: %.*s\n", CS_FMT(frame));
    }

    /* The first thing that went wrong anywhere in it: a refused dial, a source that was cut ... */
    bool failed = cs_failed(chanserv_feed_status(sources));
    if (failed)
        fprintf(stderr, "%s\n", chanserv_feed_errmsg(sources));
    chanserv_client_free(client);
    return failed;
}
