/* stream_known -- what its owner may ask a call. */
#include "mux/held.h"
#include "mux/mux__in.h"

cs_err mux_stream_header(const mux_stream *stream, const char *name, cs_bytes *ret)
{
    return mux__extra_of(stream) ? mux__meta_get(mux__extra_of(stream)->headers, name, ret)
                                 : CS_ENOENT;
}

cs_err mux_stream_trailer(const mux_stream *stream, const char *name, cs_bytes *ret)
{
    return mux__extra_of(stream) ? mux__meta_get(mux__extra_of(stream)->trailers, name, ret)
                                 : CS_ENOENT;
}

static const cs_pair *pairs(const struct mux__meta *meta, size_t *n)
{
    *n = meta ? meta->len : 0;
    return meta ? meta->pairs : NULL;
}

const cs_pair *mux_stream_headers(const mux_stream *stream, size_t *n)
{
    return pairs(mux__extra_of(stream) ? mux__extra_of(stream)->headers : NULL, n);
}

const cs_pair *mux_stream_trailers(const mux_stream *stream, size_t *n)
{
    return pairs(mux__extra_of(stream) ? mux__extra_of(stream)->trailers : NULL, n);
}

bool mux_stream_has_headers(const mux_stream *stream)
{
    return stream->remote_headers;
}

const char *mux_stream_errmsg(const mux_stream *stream)
{
    const char *story = mux__story_of(stream);
    return story ? story : cs_strerror(stream->why);
}

bool mux_stream_never_ran(const mux_stream *stream)
{
    return !stream->is_server && !stream->remote_headers && !mux__lasting_ran(stream) &&
           (stream->refused || !stream->request_out);
}

int mux_stream_time_left_ms(const mux_stream *stream)
{
    if (!mux__extra_of(stream) || !mux__extra_of(stream)->deadline)
        return CS_FOREVER;
    int64_t left = mux__extra_of(stream)->deadline_ms - cs_loop_now_ms(stream->conn->loop);
    return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

const struct mux_peer *mux_stream_peer(const mux_stream *stream)
{
    const struct mux__extra *extra = mux__extra_of(stream);
    return extra && extra->peer ? extra->peer : mux_conn_peer(stream->conn);
}

mux_conn *mux_stream_conn(const mux_stream *stream)
{
    return stream->conn->front ? stream->conn->front->main : stream->conn;
}

int64_t mux_stream_still_ms(const mux_stream *stream)
{
    return (uint32_t)cs_loop_now_ms(stream->conn->loop) - stream->born_ms;
}

void *mux_stream_state(const mux_stream *stream)
{
    return stream->state;
}

bool mux_stream_is_heard(const mux_stream *stream)
{
    return stream->remote_done;
}

bool mux_stream_is_over(const mux_stream *stream)
{
    return stream->over;
}

cs_err mux_stream_why(const mux_stream *stream)
{
    return stream->why;
}

void mux_stream_drop_headers(mux_stream *stream)
{
    if (!mux__extra_of(stream))
        return;
    mux__held_list_gone(stream);
    mux__meta_free(mux__extra_of(stream)->headers);
    mux__extra_of(stream)->headers = NULL;
}
