/* outlet -- our end of a source: it asks its producer, and gives the reader's stream what it got.
 *
 *      held frame (or the rest of it)  ->  gap  ->  last word
 *
 * is the order of what can be pending; while nothing is, the producer is asked.  A gap that was
 * declared before a frame goes out with that frame, so what is pending behind `held` came after. */
#include "chanserv/server__in.h"

#include "mux/lasting.h"

/* Below this a copy into the stream's queue costs less than carrying a reference. */
enum { REF_MIN = 4096 };

/* Frames are numbered up to here: a number that wrapped around would make no sense to the reader,
 * and in an announcement it would take the sources beside it along. */
#define NUMBER_MAX ((uint64_t)INT64_MAX)

cs_err chanserv__outlet_ask(chanserv_outlet *o, cs_ref *frame)
{
    void *state = chanserv__outlet_state(o);
    cs_err err;

    if (o->more && o->more->chan)
        err = cs_chan_recv(o->more->chan, CS_NOW, frame);
    else if (o->ops->next)
        err = o->ops->next(o, &frame->bytes, state);
    else if (o->ops->next_ref)
        err = o->ops->next_ref(o, frame, state);
    else
        err = CS_AGAIN; /* it only listens */
    if (err == CS_OK)
        o->flags |= CHANSERV__GIVEN;
    else
        *frame = (cs_ref){{NULL, 0}, NULL}; /* what came with a refusal is nobody's promise */
    return err;
}

cs_err chanserv__outlet_hold(chanserv_outlet *o, cs_ref *frame)
{
    struct chanserv__outlet_more *more = chanserv__outlet_more(o);

    if (!more) {
        cs_ref_drop(frame);
        return CS_ENOMEM;
    }
    more->held = *frame;
    o->flags |= CHANSERV__HELD;
    return CS_OK;
}

bool chanserv__outlet_too_large(chanserv_outlet *o, const cs_ref *frame)
{
    chanserv_server *server = o->post->server;

    if (frame->bytes.len <= (uint64_t)server->options.frame_max_bytes)
        return false;
    server->counters.frames_too_large++;
    chanserv_outlet_fail(o, CS_ETOOBIG, "a frame of %zu bytes is over the limit", frame->bytes.len);
    chanserv__outlet_last(o, CS_ETOOBIG);
    o->framework = WIRE_R_TOO_LARGE;
    return true;
}

void chanserv__outlet_last(chanserv_outlet *o, cs_err status)
{
    if (o->flags & (CHANSERV__LAST | CHANSERV__CUT))
        return;
    o->status = status == CS_OK ? CS_DONE : status == CS_AGAIN ? CS_EMISUSE : status;
    o->reason = cs_failed(o->status) ? CHANSERV__FAILED : CHANSERV__FINISHED;
    o->flags |= CHANSERV__LAST;
}

/* The stream took nothing although it had room: no memory, or it is over and end() will come. */
static void not_taken(chanserv_outlet *o, cs_err err)
{
    if (err == CS_ENOMEM)
        chanserv__outlet_cut(o, WIRE_R_LIMIT, CS_ENOMEM, CHANSERV__FAILED);
}

/* One message.  `*frame` moves when it can and that pays; else it stays the caller's. */
static inline cs_err send_piece(chanserv_outlet *o, cs_ref *frame, bool more)
{
    uint8_t head[WIRE_FRAME_HEAD];
    cs_bytes front = cs_bytes_of(head, wire_frame_head(head, frame->bytes.len, more));
    cs_err err;

    if (frame->block && frame->bytes.len >= REF_MIN)
        err = mux_stream_send_ref(o->u.open.stream, front, frame);
    else
        err = mux_stream_send(o->u.open.stream, front, frame->bytes);
    if (err == CS_OK)
        o->next++;
    return err;
}

static inline void count_frame(chanserv_outlet *o, size_t len)
{
    o->post->server->counters.frames_out++;
    o->post->server->counters.frame_bytes_out += len;
}

/* The next part of what is held, or all that is left of it. */
static cs_err send_held(chanserv_outlet *o)
{
    const size_t part = (size_t)o->post->server->options.part_bytes;
    cs_ref *held = &o->more->held;
    const size_t len = held->bytes.len;
    cs_ref piece;
    cs_err err;

    if (len <= part) {
        err = send_piece(o, held, false);
        if (err == CS_OK) {
            count_frame(o, len);
            cs_ref_drop(held);
            o->flags &= (uint16_t)~CHANSERV__HELD;
        }
        return err;
    }
    if (held->block)
        piece = cs_ref_slice(*held, 0, part);
    else
        piece = (cs_ref){cs_bytes_of(held->bytes.base, part), NULL};
    err = send_piece(o, &piece, true);
    cs_ref_drop(&piece);
    if (err == CS_OK) {
        held->bytes.base = (const char *)held->bytes.base + part;
        held->bytes.len -= part;
        o->post->server->counters.frame_bytes_out += part;
    }
    return err;
}

static cs_err send_gap(chanserv_outlet *o)
{
    uint8_t msg[WIRE_GAP_MAX];
    const uint64_t gap = o->more->gap;
    size_t len = wire_gap_put(msg, gap, o->more->gap_why);
    cs_err err = mux_stream_send_heavy(o->u.open.stream, cs_bytes_of(msg, len), gap);

    if (err == CS_OK) {
        o->next += gap;
        o->more->gap = 0;
        o->flags &= (uint16_t)~CHANSERV__GAP;
        o->post->server->counters.gaps++;
    }
    return err;
}

static void say_last(chanserv_outlet *o)
{
    const char *message = chanserv__outlet_message(o);

    o->flags |= CHANSERV__SAID;
    if (o->framework)
        chanserv__refuse(o->u.open.stream, (enum wire_reason)o->framework, message);
    else
        mux_stream_finish(o->u.open.stream, o->status, cs_failed(o->status) ? message : NULL);
}

/* Answers whether the loop of pull may go on. */
static bool send_pending(chanserv_outlet *o)
{
    cs_err err;

    if (o->flags & CHANSERV__HELD) {
        err = send_held(o);
    } else if (o->flags & CHANSERV__GAP) {
        err = send_gap(o);
    } else {
        say_last(o);
        return false;
    }
    if (err != CS_OK)
        not_taken(o, err);
    return err == CS_OK;
}

/* The producer gave a frame and it cannot simply go: a gap goes first, or it has parts. */
static bool take_frame(chanserv_outlet *o, cs_ref *frame)
{
    cs_err err;

    if (chanserv__outlet_too_large(o, frame)) {
        cs_ref_drop(frame);
        return true;
    }
    if (o->flags & CHANSERV__GAP) {
        err = send_gap(o);
        if (err != CS_OK) {
            cs_ref_drop(frame);
            not_taken(o, err);
            return false;
        }
    }
    err = chanserv__outlet_hold(o, frame);
    if (err != CS_OK)
        not_taken(o, err);
    return err == CS_OK;
}

/* The hottest loop of the server: one branch for everything that is rare. */
static void pump(chanserv_outlet *o)
{
    const chanserv_server *server = o->post->server;
    const size_t whole = (size_t)(server->options.part_bytes < server->options.frame_max_bytes
                                      ? server->options.part_bytes
                                      : server->options.frame_max_bytes);

    while (mux_stream_room(o->u.open.stream) > 0) {
        cs_ref frame = {{NULL, 0}, NULL};
        cs_err err;

        if (o->flags & CHANSERV__PENDING) {
            if (!send_pending(o))
                return;
            continue;
        }
        if (o->flags & CHANSERV__ASLEEP)
            return;                   /* the stream asks once more after everything it got */
        o->flags |= CHANSERV__ASLEEP; /* until it answers, or is woken meanwhile */
        err = chanserv__outlet_ask(o, &frame);
        if (err == CS_AGAIN)
            return; /* woken meanwhile: the stream asks again, in another turn */
        o->flags &= (uint16_t)~CHANSERV__ASLEEP;
        if (o->flags & CHANSERV__CUT) { /* in next() */
            cs_ref_drop(&frame);
            return;
        }
        if (err == CS_OK && !(o->flags & CHANSERV__GAP) && frame.bytes.len <= whole) {
            const size_t len = frame.bytes.len;

            err = send_piece(o, &frame, false);
            cs_ref_drop(&frame);
            if (err != CS_OK) {
                not_taken(o, err);
                return;
            }
            count_frame(o, len);
        } else if (err == CS_OK) {
            if (!take_frame(o, &frame))
                return;
        } else {
            chanserv__outlet_last(o, err);
        }
    }
}

void chanserv__outlet_pull(mux_stream *stream, void *state)
{
    chanserv_outlet *o = state;

    (void)stream;
    if (o->flags & (CHANSERV__SAID | CHANSERV__CUT))
        return;
    if (o->more && o->more->times)
        chanserv__times_before_pull(o);
    pump(o);
    if (o->more && o->more->times)
        chanserv__times_after_pull(o);
}

/* ---- What a producer may say ---------------------------------------------------------------- */

/* There is something to send.  In open() it would send HEADERS before the refusal. */
static void poke(chanserv_outlet *o)
{
    if (o->life == CHANSERV__OPEN && !(o->flags & CHANSERV__OPENING))
        mux_stream_wake(o->u.open.stream);
}

void chanserv_outlet_wake(chanserv_outlet *o)
{
    o->flags &= (uint16_t)~CHANSERV__ASLEEP;
    poke(o);
}

/* False: no memory. */
static bool gap_add(chanserv_outlet *o, uint64_t count, enum chanserv_gap why)
{
    if (count == 0)
        return true;
    if (!chanserv__outlet_more(o))
        return false;
    o->more->gap += count;
    o->more->gap_why = (uint8_t)why;
    o->flags |= CHANSERV__GAP;
    return true;
}

cs_err chanserv_outlet_number(chanserv_outlet *o, uint64_t seq)
{
    if (!(o->flags & CHANSERV__OPENING) || o->flags & CHANSERV__GIVEN || seq < o->next ||
        seq > NUMBER_MAX)
        return CS_EMISUSE;
    /* The reader counts from the number it asked for; what is not there any more is a gap. */
    o->flags &= (uint16_t)~CHANSERV__GAP;
    if (o->more)
        o->more->gap = 0;
    return gap_add(o, seq - o->next, CHANSERV_GAP_EXPIRED) ? CS_OK : CS_ENOMEM;
}

uint64_t chanserv_outlet_next_number(const chanserv_outlet *o)
{
    const uint64_t part = (uint64_t)o->post->server->options.part_bytes;
    const uint64_t held = o->flags & CHANSERV__HELD ? o->more->held.bytes.len : 0;
    uint64_t next = o->next;

    if (o->flags & CHANSERV__HELD)
        next += held <= part ? 1 : (held + part - 1) / part;
    if (o->flags & CHANSERV__GAP)
        next += o->more->gap;
    return next;
}

void chanserv_outlet_skip(chanserv_outlet *o, uint64_t count, enum chanserv_gap why)
{
    if (count == 0 || o->life == CHANSERV__OVER || o->flags & (CHANSERV__LAST | CHANSERV__CUT))
        return;
    if (o->next > NUMBER_MAX || count > NUMBER_MAX - o->next ||
        (o->more && o->more->gap > NUMBER_MAX - o->next - count)) {
        chanserv_outlet_finish(
            o, chanserv_outlet_fail(o, CS_EMISUSE, "it left out more frames than have numbers"));
        return;
    }
    if (gap_add(o, count, why))
        poke(o);
    else
        chanserv_outlet_cancel(o, CS_ENOMEM);
}

cs_err chanserv_outlet_fail(chanserv_outlet *o, cs_err err, const char *format, ...)
{
    struct chanserv__outlet_more *more = chanserv__outlet_more(o);
    char *message;
    va_list args;

    va_start(args, format);
    message = more ? cs_vprintf(format, args) : NULL;
    va_end(args);
    if (message) {
        cs_free(more->message);
        more->message = message;
    }
    return err;
}

void chanserv_outlet_finish(chanserv_outlet *o, cs_err status)
{
    if (o->life == CHANSERV__OVER)
        return;
    chanserv__outlet_last(o, status);
    poke(o);
}

void chanserv_outlet_cancel(chanserv_outlet *o, cs_err why)
{
    if (!cs_failed(why))
        why = CS_EMISUSE;
    if (o->life == CHANSERV__OVER || o->flags & CHANSERV__CUT)
        return;
    if (o->life == CHANSERV__WAITING) {
        chanserv__outlet_over(o, why, CHANSERV__FAILED);
        return;
    }
    o->flags &= (uint16_t)~CHANSERV__LAST; /* it overtakes a last word too */
    chanserv__outlet_last(o, why);
    o->framework = WIRE_NO_REASON;
    o->flags |= CHANSERV__CUT;
    if (o->life == CHANSERV__QUEUED) { /* the announcement will say it */
        o->flags &= (uint16_t)~CHANSERV__GAP;
        return;
    }
    mux_stream_abort(o->u.open.stream, why, chanserv__outlet_message(o));
}

bool chanserv_outlet_is_open(const chanserv_outlet *o)
{
    return o->life == CHANSERV__OPEN;
}

void *chanserv_outlet_state(const chanserv_outlet *o)
{
    return chanserv__outlet_state(o);
}

chanserv_post *chanserv_outlet_post(const chanserv_outlet *o)
{
    return o->post;
}
