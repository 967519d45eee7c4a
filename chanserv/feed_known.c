/* feed_known -- what an application may ask about a feed without receiving. */
#include "chanserv/client__in.h"

cs_err chanserv_feed_status(const chanserv_feed *feed)
{
    cs_err err;

    chanserv__enter(feed->line.client);
    if (feed->failure != CS_OK)
        err = feed->failure;
    else
        err = feed->line.over ? feed->line.status : CS_AGAIN;
    chanserv__leave(feed->line.client);
    return err;
}

const char *chanserv_feed_errmsg(const chanserv_feed *feed)
{
    const char *words;

    chanserv__enter(feed->line.client);
    if (feed->failure == CS_OK)
        words = "";
    else
        words = feed->story ? feed->story : cs_strerror(feed->failure);
    chanserv__leave(feed->line.client);
    return words;
}

cs_bytes chanserv_feed_header(const chanserv_feed *feed, const char *name)
{
    cs_bytes value = {NULL, 0};

    chanserv__enter(feed->line.client);
    if (feed->headers || !feed->line.stream)
        value = chanserv__pairs_get(feed->headers, name);
    else
        (void)mux_stream_header(feed->line.stream, name, &value);
    chanserv__leave(feed->line.client);
    return value;
}

bool chanserv_feed_is_detached(const chanserv_feed *feed)
{
    bool detached;

    chanserv__enter(feed->line.client);
    detached = feed->line.detached && !feed->line.over;
    chanserv__leave(feed->line.client);
    return detached;
}

cs_bytes chanserv_feed_trailer(const chanserv_feed *feed, const char *name)
{
    cs_bytes value;

    chanserv__enter(feed->line.client);
    value = chanserv__pairs_get(feed->trailers, name);
    chanserv__leave(feed->line.client);
    return value;
}
