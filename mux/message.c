/* message -- the messages of a stream, both ways, and the credit that goes back. */
#include "mux/mux__in.h"

#include "base/ref.h"
#include "proto/wire.h"

/* ---- Sending -------------------------------------------------------------------------------- */

size_t mux_stream_queued(const mux_stream *stream)
{
    return stream->out.bytes;
}

/* In a pull one more message like the last has to fit in: so DATA ends where a message does, and while others
 * have their turns no chunk is held for the rest of one. */
static bool fits_no_more(const mux_stream *stream)
{
    const uint32_t bytes = stream->out.bytes;

    return bytes >= stream->send_max ||
           (stream->in_pull && bytes > 0 && bytes + stream->step > stream->send_max);
}

/* What was sent and is not acknowledged counts too, where it is kept. */
static bool look_whether_full(const mux_stream *stream)
{
    struct mux_keep *keep = stream->out.keep;

    if (fits_no_more(stream) || stream->cut || stream->resends)
        return true;
    if (!keep || (!keep->rest && !mux__keep_is_full(keep)))
        return false;
    if (!keep->rest)
        mux__keep_waits(keep);
    return true;
}

/* Asked twice a frame: looked at once a pull. */
static bool is_full(mux_stream *stream)
{
    if (stream->in_pull && stream->out.bytes < stream->conn->clear)
        return false;
    if (look_whether_full(stream))
        return true;
    if (stream->in_pull) {
        const uint32_t most = stream->send_max > stream->step ? stream->send_max - stream->step : 0;
        size_t *clear = &stream->conn->clear;
        *clear = stream->out.bytes;
        if (stream->step > 0 && *clear < most) /* else nothing is known of the next one */
            *clear += mux__sendq_least_room(&stream->out, most);
    }
    return false;
}

size_t mux_stream_room(mux_stream *stream)
{
    if (stream->over || stream->finished || is_full(stream))
        return 0;
    return stream->send_max - stream->out.bytes;
}

static inline cs_err may_send(mux_stream *stream)
{
    if (stream->over)
        return stream->why == CS_DONE ? CS_ECANCELED : stream->why;
    if (stream->finished)
        return CS_EMISUSE;
    if (is_full(stream)) {
        stream->writable_due = true;
        return CS_AGAIN;
    }
    return stream->lasts && !stream->out.keep ? mux__lasting_keeps(stream) : CS_OK;
}

void mux__stream_sent(mux_stream *stream)
{
    if (stream->in_pull || stream->waits || stream->over || stream->cut)
        return; /* nghttp2 is asking for it this very moment, or will */
    if (stream->submitted)
        mux__h2_resume(stream);
    else if (stream->is_server)
        mux__call_answer(stream);
    mux__conn_flush_soon(stream->conn);
}

/* CS_AGAIN: it goes as it is. */
static cs_err send_packed(mux_stream *stream, cs_bytes head, cs_bytes tail)
{
    mux_conn *conn = stream->conn;
    uint8_t prefix[WIRE_PREFIX];
    size_t len;
    cs_block *block = mux__gzip_pack(conn->gzip, head, tail, &len);
    if (!block)
        return CS_AGAIN;
    wire_prefix_put(prefix, true, (uint32_t)len);
    const cs_bytes parts[] = {cs_bytes_of(prefix, sizeof prefix),
                              cs_bytes_of(cs_block_bytes(block), len)};
    cs_err err = mux__sendq_add(&stream->out, parts, 2);
    cs_block_drop(block);
    if (err != CS_OK)
        return err;
    if (stream->out.keep)
        stream->out.keep->packs = true;
    conn->stats->messages_gzipped++;
    conn->stats->gzip_saved += head.len + tail.len - len;
    mux__stream_sent(stream);
    return CS_OK;
}

cs_err mux__message_queue(mux_stream *stream, cs_bytes message)
{
    uint8_t prefix[WIRE_PREFIX];
    wire_prefix_put(prefix, false, (uint32_t)message.len);
    const cs_bytes parts[] = {cs_bytes_of(prefix, sizeof prefix), message};
    return mux__sendq_add(&stream->out, parts, 2);
}

/* Of a plain stream's body. */
static cs_err send_piece(mux_stream *stream, cs_bytes head, cs_bytes tail)
{
    const cs_bytes parts[] = {head, tail};
    stream->step = 0;
    if (head.len + tail.len == 0)
        return CS_OK;
    cs_err err = mux__sendq_add(&stream->out, parts, 2);
    if (err == CS_OK)
        mux__stream_sent(stream);
    return err;
}

cs_err mux_stream_send(mux_stream *stream, cs_bytes head, cs_bytes tail)
{
    /* Bytes: a copy is cheaper than a call; the next one is probably as long. */
    enum { FEW = 16, SMALL = 1024 };
    uint8_t prefix[WIRE_PREFIX];
    cs_err err = may_send(stream);
    if (err != CS_OK)
        return err;
    if (head.len + tail.len > INT32_MAX)
        return CS_ETOOBIG;
    if (mux__is_raw(stream))
        return send_piece(stream, head, tail);
    if (stream->gzip_out && (err = send_packed(stream, head, tail)) != CS_AGAIN)
        return err;
    const size_t all = WIRE_PREFIX + head.len + tail.len;
    uint8_t *to = mux__sendq_claim(&stream->out, all);
    stream->step = (uint16_t)(all <= SMALL ? all : 0);
    if (to) {
        wire_prefix_put(to, false, (uint32_t)(head.len + tail.len));
        to += WIRE_PREFIX;
        if (head.len <= FEW) {
            for (size_t i = 0; i < head.len; i++)
                to[i] = ((const uint8_t *)head.base)[i];
        } else {
            memcpy(to, head.base, head.len);
        }
        if (tail.len > 0)
            memcpy(to + head.len, tail.base, tail.len);
    } else {
        wire_prefix_put(prefix, false, (uint32_t)(head.len + tail.len));
        const cs_bytes parts[] = {cs_bytes_of(prefix, sizeof prefix), head, tail};
        if ((err = mux__sendq_add(&stream->out, parts, 3)) != CS_OK)
            return err;
    }
    mux__stream_sent(stream);
    return CS_OK;
}

cs_err mux_stream_send_heavy(mux_stream *stream, cs_bytes message, uint64_t numbers)
{
    uint8_t prefix[WIRE_PREFIX];
    cs_err err = may_send(stream);
    if (err != CS_OK)
        return err;
    if (message.len > INT32_MAX)
        return CS_ETOOBIG;
    wire_prefix_put(prefix, false, (uint32_t)message.len);
    const cs_bytes parts[] = {cs_bytes_of(prefix, sizeof prefix), message};
    err = mux__sendq_add_heavy(&stream->out, parts, 2, numbers);
    if (err == CS_OK)
        mux__stream_sent(stream);
    return err;
}

cs_err mux_stream_send_ref(mux_stream *stream, cs_bytes head, cs_ref *tail)
{
    uint8_t prefix[WIRE_PREFIX];
    cs_err err;
    if (tail->bytes.len < MUX__OUT_SHORT) { /* would be copied on its way out all the same */
        if ((err = mux_stream_send(stream, head, tail->bytes)) == CS_OK)
            cs_ref_drop(tail);
        return err;
    }
    if ((err = may_send(stream)) != CS_OK)
        return err;
    if (head.len + tail->bytes.len > INT32_MAX)
        return CS_ETOOBIG;
    if (stream->gzip_out && (err = send_packed(stream, head, tail->bytes)) != CS_AGAIN) {
        if (err == CS_OK)
            cs_ref_drop(tail);
        return err;
    }
    wire_prefix_put(prefix, false, (uint32_t)(head.len + tail->bytes.len));
    const cs_bytes parts[] = {cs_bytes_of(prefix, mux__is_raw(stream) ? 0 : sizeof prefix), head};
    if ((err = mux__sendq_add_ref(&stream->out, parts, 2, tail)) == CS_OK)
        mux__stream_sent(stream);
    return err;
}

void mux__stream_has_room(mux_stream *stream)
{
    if (stream->over)
        return;
    if (stream->awake)
        mux__stream_sent(stream);
    if (stream->writable_due)
        mux__stream_post(stream);
}

void mux_stream_wake(mux_stream *stream)
{
    if (stream->awake || stream->over || stream->finished)
        return;
    stream->awake = true;
    if (!stream->in_pull)
        mux__stream_sent(stream);
}

/* Pulled here, one turn at a time and no more than goes out now: so a producer that nobody reads
 * is not asked (DESIGN, promise 5). */
static void pull(mux_stream *stream, size_t max)
{
    const uint32_t send_max = stream->send_max;

    if (max < send_max) {
        stream->send_max = (uint32_t)max;
        mux__sendq_expect(&stream->out, max);
    }
    stream->in_pull = true;
    stream->conn->clear = 0;
    while (stream->awake && mux_stream_room(stream) > 0) {
        size_t before = stream->out.bytes;
        stream->awake = false; /* unless pull says otherwise */
        stream->ops->pull(stream, stream->state);
        stream->conn->clear = 0; /* the loop looks afresh, as the next pull will */
        if (stream->over)
            break;
        if (stream->out.bytes > before)
            stream->awake = true;
        else if (stream->awake) { /* a wake within it: not now again, that might never end */
            stream->awake = false;
            stream->wake_due = true;
            mux__stream_post(stream);
        }
    }
    stream->in_pull = false;
    stream->send_max = send_max;
}

size_t mux__stream_fill(mux_stream *stream, size_t max, bool *end)
{
    if (!stream->aborted && mux__sendq_has_rest(&stream->out) &&
        mux__keep_unpack(stream->out.keep, &stream->out, max) != CS_OK)
        mux_stream_cancel(stream, CS_ENOMEM);
    if (stream->ops && stream->ops->pull)
        pull(stream, max);
    if (stream->over || stream->aborted || stream->trailers_out)
        return 0;
    size_t n = stream->out.bytes < max ? stream->out.bytes : max;
    *end = stream->finished && n == stream->out.bytes && !stream->resends &&
           !mux__sendq_has_rest(&stream->out);
    return n;
}

/* ---- Credit --------------------------------------------------------------------------------- */

void mux__inflow_restart(mux_stream *stream)
{
    struct mux__inflow *in = mux__inflow_of(stream);
    if (!in)
        return;
    in->credit_due = in->credited = 0;
    in->window_at_ms = (uint32_t)cs_loop_now_ms(stream->conn->loop);
}

/* The window grows while it pays: a whole one was taken within a second and its reader had to wait
 * meanwhile, so he keeps up and the sender may have waited.  Out of a budget for the connection, given
 * at grant time and never taken back by holding credit. */
static void grow(mux_stream *stream)
{
    mux_conn *conn = stream->conn;
    struct mux__inflow *in = mux__inflow_of(stream);
    uint32_t now = (uint32_t)cs_loop_now_ms(conn->loop);
    int64_t window = stream->window;
    if (in->credited < window || conn->opt.window_max_bytes == CS_OFF)
        return;
    bool pays = stream->longed && now - in->window_at_ms < 1000;
    in->credited = 0;
    stream->longed = false;
    in->window_at_ms = now;
    if (!pays || 2 * window > conn->opt.window_max_bytes)
        return;
    if (conn->opt.window_grow_bytes != CS_OFF &&
        conn->grown + window > conn->opt.window_grow_bytes) {
        conn->stats->windows_kept++;
        return;
    }
    conn->grown += window;
    conn->stats->windows_grown++;
    stream->window *= 2;
    mux__h2_grow(stream, stream->window);
}

void mux_stream_credit(mux_stream *stream, size_t bytes)
{
    struct mux__inflow *in = mux__inflow_of(stream);
    if (!in || stream->over || stream->cut || stream->id <= 0)
        return; /* what it came on is gone; 0 would be the connection's own window */
    in->credit_due += (uint32_t)bytes;
    in->credited += (uint32_t)bytes;
    if (in->credit_due < stream->window / 4)
        return; /* a sender that waits has used the whole window: then there is this much */
    mux__h2_credit(stream, in->credit_due);
    in->credit_due = 0;
    grow(stream);
    mux__conn_flush_soon(stream->conn);
}

/* ---- Receiving ------------------------------------------------------------------------------ */

static cs_err broke(mux_stream *stream, cs_err err)
{
    if (!stream->broken) {
        stream->broken = true;
        stream->conn->stats->messages_refused += err == CS_ETOOBIG;
        if (!stream->over) {
            enum wire_reason reason = err == CS_ETOOBIG  ? WIRE_R_TOO_LARGE
                                      : err == CS_EPROTO ? WIRE_R_PROTOCOL
                                                         : WIRE_R_LIMIT;
            mux__stream_kill(stream, reason);
        }
        if (!stream->is_server)
            stream->why = err;
        stream->drop_rx = true;
        mux__stream_post(stream);
    }
    return err;
}

static cs_err nothing_left(mux_stream *stream)
{
    bool last = stream->over || stream->remote_done;
    stream->dry = true;
    if (stream->over)
        mux__stream_post(stream);
    if (!last)
        return CS_AGAIN;
    if (stream->is_server && stream->rx && mux_rx_partial(stream->rx))
        return broke(stream, CS_EPROTO);
    return stream->is_server && !stream->remote_done ? stream->why : CS_DONE;
}

/* Four KiB may be four MiB, for which 9 ms go by: so much is unpacked a turn, of all connections, and what
 * is left waits for the next, so that others are served in between. */
static size_t *unpacked(mux_conn *conn)
{
    return conn->handlers ? &conn->handlers->unpacked : &conn->unpacked;
}

cs_err mux_stream_recv(mux_stream *stream, cs_bytes *ret)
{
    if (stream->aborted) /* not a last word of the peer's */
        return stream->status;
    if (stream->broken || stream->drop_rx)
        return stream->over && stream->why != CS_DONE ? stream->why : CS_DONE;
    if (!stream->rx)
        return nothing_left(stream);
    bool packed = mux_rx_is_packed(stream->rx);
    if (packed && *unpacked(stream->conn) >= MUX__UNPACK) {
        mux_stream_resume(stream);
        return CS_AGAIN;
    }
    mux__held_half_gone(stream);
    cs_err err = mux__is_raw(stream) ? mux_rx_piece(stream->rx, ret) : mux_rx_next(stream->rx, ret);
    mux__held_room(stream->conn);
    if (packed && err == CS_OK) {
        *unpacked(stream->conn) += ret->len;
        cs_task_post(stream->conn->loop, CS_REAP, &stream->conn->settle);
    }
    mux_stream_credit(stream, mux_rx_credit(stream->rx));
    if (err == CS_AGAIN)
        return stream->is_server && !mux__held_half(stream) ? broke(stream, CS_ELIMIT)
                                                            : nothing_left(stream);
    return err == CS_OK ? CS_OK : broke(stream, err);
}

void mux_stream_hear_out(mux_stream *stream)
{
    stream->hears_out = true;
}

void mux_stream_message_max(mux_stream *stream, uint32_t bytes)
{
    if (!stream->drop_rx && mux__stream_rx(stream))
        stream->rx->message_max = bytes;
}

cs_err mux_stream_keep(mux_stream *stream, cs_bytes message, cs_ref *ret)
{
    return mux_rx_keep(stream->rx, message, ret);
}

void mux_stream_resume(mux_stream *stream)
{
    stream->told = true;
    mux__stream_post(stream);
}

size_t mux_stream_waiting(const mux_stream *stream)
{
    return stream->rx ? stream->rx->bytes : 0;
}

size_t mux_stream_take(mux_stream *stream, struct mux_rx *rx)
{
    mux_conn *conn = stream->conn;
    size_t n = mux_stream_waiting(stream);
    if (n == 0)
        return 0;
    mux_rx_append(rx, stream->rx);
    cs_unlink(&stream->rx->fresh);
    if (cs_loop_is_shared(conn->loop))
        mux_rx_settle(rx); /* goes to another thread: now or never */
    else if (!cs_linked(&rx->fresh)) {
        cs_list_push(&conn->fresh, &rx->fresh);
        cs_task_post(conn->loop, CS_REAP, &conn->settle);
    }
    if (stream->over)
        mux__stream_post(stream);
    return n;
}
