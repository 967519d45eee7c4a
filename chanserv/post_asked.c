/* post_asked -- what a post can be asked about itself, and the metadata of its answer. */
#include "chanserv/session__in.h"

/* gRPC's names in lower case; "grpc-" and ours are the framework's to set. */
static bool name_ok(const char *name)
{
    if (!*name || strncmp(name, "grpc-", 5) == 0 || strncmp(name, "chanserv-", 9) == 0)
        return false;
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] == '\0';
}

cs_err chanserv_post_set_header(chanserv_post *post, const char *name, cs_bytes value)
{
    if (!post->in_function || post->cut || !name_ok(name))
        return CS_EMISUSE;
    return mux_stream_set_header(post->stream, name, value);
}

cs_err chanserv_post_set_trailer(chanserv_post *post, const char *name, cs_bytes value)
{
    if (!post->stream || post->said || post->cut || !name_ok(name))
        return CS_EMISUSE;
    return mux_stream_set_trailer(post->stream, name, value);
}

void *chanserv_post_state(const chanserv_post *post)
{
    return post->state;
}

cs_bytes chanserv_post_service(const chanserv_post *post)
{
    return post->service;
}

cs_bytes chanserv_post_bucket(const chanserv_post *post)
{
    return post->bucket;
}

cs_bytes chanserv_post_body(const chanserv_post *post)
{
    return post->body;
}

cs_bytes chanserv_post_metadata(const chanserv_post *post, const char *name)
{
    for (size_t i = 0; i < post->metadata_len; i++) {
        if (cs_same(post->metadata[i].name, cs_str(name)))
            return post->metadata[i].value;
    }
    return cs_bytes_of(NULL, 0);
}

/* A post that is over has no deadline any more. */
int chanserv_post_time_left_ms(const chanserv_post *post)
{
    return post->stream ? mux_stream_time_left_ms(post->stream) : CS_FOREVER;
}

const struct mux_peer *chanserv_post_peer(const chanserv_post *post)
{
    return &post->peer;
}

cs_loop *chanserv_post_loop(const chanserv_post *post)
{
    return post->server->loop;
}

void chanserv_post_linger(chanserv_post *post, int linger_ms)
{
    int most = post->server->options.linger_ms;

    if (!post->in_function || most == CS_OFF)
        return;
    post->linger_ms = linger_ms < 0                        ? CS_OFF
                      : linger_ms == 0 || linger_ms > most ? most
                                                           : linger_ms;
    if (post->channel)
        chanserv__channel_linger(post->channel, post->linger_ms);
}
