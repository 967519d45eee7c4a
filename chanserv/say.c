/* say -- what the application sends to the producer of a source.
 *
 * A frame is taken whole or not at all.  One that is longer than a part is copied once (or moved),
 * and its parts go as mux takes them: until the last has gone no other frame is taken.  Below, a
 * frame without a block is the caller's bytes.  A call that waits has a place of its own here,
 * because the source's watcher may be a set, or another thread that receives. */
#include "chanserv/client__in.h"

#include "mux/rx.h"

enum { PART = 1 << 20 }; /* as the server cuts by default; any gRPC server takes 4 MiB */

struct chanserv__sender {
    cs_waiter waiter;
    cs_loop *loop;
    cs_err status; /* once `over` */
    bool over;     /* the source is, and perhaps its memory is not there any more */
};

/* ---- Sending ------------------------------------------------------------------------------- */

static struct chanserv__say *say_of(chanserv_source *source)
{
    if (!source->say)
        source->say = cs_zalloc(sizeof *source->say);
    return source->say;
}

static bool has_rest(const chanserv_source *source)
{
    return source->say && source->say->rest.block;
}

static cs_err send_parts(chanserv_source *source)
{
    cs_ref *rest = &source->say->rest;
    cs_err err = CS_OK;

    while (err == CS_OK && rest->block) {
        bool more = rest->bytes.len > PART;
        uint8_t head[WIRE_UP_HEAD];
        size_t len = more ? PART : rest->bytes.len;
        cs_bytes front = cs_bytes_of(head, wire_up_head(head, len, more));
        cs_ref piece = cs_ref_slice(*rest, 0, len);

        err = mux_stream_send_ref(source->line.stream, front, &piece);
        cs_ref_drop(&piece);
        if (err != CS_OK)
            break;
        rest->bytes = cs_bytes_of((const char *)rest->bytes.base + len, rest->bytes.len - len);
        if (!more)
            cs_ref_drop(rest);
    }
    return err;
}

static cs_err send_one(chanserv_source *source, cs_bytes front, cs_ref *frame)
{
    if (frame->block)
        return mux_stream_send_ref(source->line.stream, front, frame);
    return mux_stream_send(source->line.stream, front, frame->bytes);
}

/* Nothing was taken before the first part is: until then the reference stays the caller's too. */
static cs_err send_long(chanserv_source *source, cs_ref *frame)
{
    struct chanserv__say *say = say_of(source);
    size_t len = frame->bytes.len;
    cs_err err;

    if (!say)
        return CS_ENOMEM;
    if (mux_stream_room(source->line.stream) == 0) /* then mux says why, and looks no further */
        return send_one(source, cs_bytes_of(NULL, 0), frame);
    say->rest = *frame;
    if (!frame->block && (err = cs_ref_copy(frame->bytes, &say->rest)) != CS_OK) {
        say->rest = (cs_ref){0};
        return err;
    }
    err = send_parts(source);
    if (say->rest.bytes.len == len) {
        if (!frame->block)
            cs_ref_drop(&say->rest);
        say->rest = (cs_ref){0};
        return err;
    }
    if (err == CS_OK || err == CS_AGAIN)
        return CS_OK;
    *frame = (cs_ref){0};
    chanserv__line_fail(&source->line, err, NULL); /* half a frame is out */
    return err;
}

static cs_err send_short(chanserv_source *source, cs_ref *frame)
{
    uint8_t head[WIRE_UP_HEAD];

    return send_one(source, cs_bytes_of(head, wire_up_head(head, frame->bytes.len, false)), frame);
}

static cs_err try_send(chanserv_source *source, cs_ref *frame)
{
    struct chanserv__line *line = &source->line;
    cs_err err;

    if (!source->uplink)
        return CS_ENOTSUP;
    if (source->finished)
        return CS_EMISUSE;
    if ((int64_t)frame->bytes.len > line->client->options.frame_max_bytes)
        return CS_ETOOBIG;
    chanserv__source_ask(source);
    if (line->over)
        return line->status;
    if (mux_stream_is_over(line->stream)) /* what it sent before is not all taken yet */
        return mux_stream_why(line->stream);
    if (has_rest(source))
        err = CS_AGAIN;
    else
        err = frame->bytes.len > PART ? send_long(source, frame) : send_short(source, frame);
    if (err == CS_AGAIN)
        source->stuck = true;
    source->spoke = source->spoke || err == CS_OK;
    return err;
}

/* ---- Waiting ------------------------------------------------------------------------------- */

void chanserv__say_over(chanserv_source *source)
{
    struct chanserv__sender *sender = source->say ? source->say->sender : NULL;

    if (!sender)
        return;
    source->say->sender = NULL;
    sender->over = true;
    sender->status = source->line.status;
    cs_waiter_wake(sender->loop, &sender->waiter);
}

static int left_ms(const struct chanserv__sender *sender, int timeout_ms, int64_t until_ms)
{
    int64_t left = until_ms - cs_loop_now_ms(sender->loop);

    if (timeout_ms < 0)
        return CS_FOREVER;
    return left > 0 ? (int)left : CS_NOW;
}

/* It was told CS_AGAIN: asks again whenever mux takes more. */
static cs_err wait_and_send(chanserv_source *source, cs_ref *frame, int timeout_ms)
{
    struct chanserv__sender sender = {.loop = source->line.client->loop};
    struct chanserv__say *say = say_of(source);
    int64_t until_ms = cs_loop_now_ms(sender.loop) + timeout_ms;
    cs_err err;

    if (!say)
        return CS_ENOMEM;
    if (say->sender)
        return CS_EMISUSE;
    cs_waiter_init(&sender.waiter);
    say->sender = &sender;
    do {
        err = cs_loop_wait(sender.loop, &sender.waiter, left_ms(&sender, timeout_ms, until_ms));
        if (err == CS_OK && !sender.over)
            err = try_send(source, frame);
        else if (err == CS_OK)
            err = CS_DONE;
        else
            break;
    } while (err == CS_AGAIN);
    if (sender.over)
        err = sender.status;
    else
        say->sender = NULL;
    cs_waiter_fini(&sender.waiter);
    return err;
}

cs_err chanserv_source_send_ref(chanserv_source *source, cs_ref *frame, int timeout_ms)
{
    chanserv_client *client = source->line.client;
    cs_err err;

    chanserv__client_hold(client);
    err = try_send(source, frame);
    if (err == CS_AGAIN && timeout_ms != CS_NOW)
        err = wait_and_send(source, frame, timeout_ms);
    if (err == CS_OK)
        *frame = (cs_ref){0};
    chanserv__client_release(client);
    return err;
}

cs_err chanserv_source_send(chanserv_source *source, cs_bytes frame, int timeout_ms)
{
    cs_ref borrowed = {frame, NULL};

    return chanserv_source_send_ref(source, &borrowed, timeout_ms);
}

/* ---- What mux says ------------------------------------------------------------------------- */

static void finish_now(chanserv_source *source)
{
    if (source->finished && !has_rest(source) && source->line.stream)
        mux_stream_finish(source->line.stream, CS_OK, NULL);
}

/* The parts that wait go first; then who was told to come again is told. */
void chanserv__say_writable(chanserv_source *source)
{
    struct chanserv__line *line = &source->line;

    if (line->over)
        return;
    if (has_rest(source) && !mux_stream_is_over(line->stream)) {
        cs_err err = send_parts(source);
        if (err == CS_AGAIN)
            return;
        if (err != CS_OK) {
            chanserv__line_fail(line, err, NULL); /* half a frame is out */
            return;
        }
        finish_now(source);
    }
    if (!source->stuck)
        return;
    source->stuck = false;
    if (source->say && source->say->sender)
        cs_waiter_wake(line->client->loop, &source->say->sender->waiter);
    else if (line->started && !line->ended && !line->closed && source->ops->writable)
        source->ops->writable(source, line->state);
}

void chanserv_source_finish(chanserv_source *source)
{
    chanserv_client *client = source->line.client;

    chanserv__client_hold(client);
    if (source->uplink && !source->finished) {
        source->finished = true;
        chanserv__source_ask(source);
        finish_now(source);
    }
    chanserv__client_release(client);
}

void chanserv__say_free(chanserv_source *source)
{
    if (!source->say)
        return;
    cs_ref_drop(&source->say->rest);
    cs_free(source->say);
}
