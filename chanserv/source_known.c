/* source_known -- what an application may ask about a source without receiving. */
#include "chanserv/client__in.h"

cs_bytes chanserv_source_header(const chanserv_source *source)
{
    return cs_bytes_of(source->texts, source->header_len);
}

cs_bytes chanserv_source_ticket(const chanserv_source *source)
{
    return cs_bytes_of(source->texts + source->header_len, source->ticket_len);
}

uint64_t chanserv_source_seq(const chanserv_source *source)
{
    return source->intake ? source->intake->seq : 0;
}

uint64_t chanserv_source_gap(const chanserv_source *source)
{
    return source->intake ? source->intake->gap : 0;
}

uint64_t chanserv_source_index(const chanserv_source *source)
{
    return source->index;
}

bool chanserv_source_has_uplink(const chanserv_source *source)
{
    return source->uplink;
}

cs_err chanserv_source_status(const chanserv_source *source)
{
    cs_err err;

    chanserv__enter(source->line.client);
    err = source->line.told || source->line.by_us ? source->line.status : CS_AGAIN;
    chanserv__leave(source->line.client);
    return err;
}

const char *chanserv_source_errmsg(const chanserv_source *source)
{
    const char *words = "";

    chanserv__enter(source->line.client);
    if (source->line.over && cs_failed(source->line.status))
        words = source->line.errmsg ? source->line.errmsg : cs_strerror(source->line.status);
    chanserv__leave(source->line.client);
    return words;
}

bool chanserv_source_is_detached(const chanserv_source *source)
{
    bool detached;

    chanserv__enter(source->line.client);
    detached = source->line.detached && !source->line.over;
    chanserv__leave(source->line.client);
    return detached;
}

chanserv_feed *chanserv_source_feed(const chanserv_source *source)
{
    return chanserv__source_feed(source);
}
