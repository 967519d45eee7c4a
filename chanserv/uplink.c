/* uplink -- what the reader of a source sends to its producer.
 *
 * A frame is decoded when the producer asks for it, and not before: what it does not ask for stays in
 * mux's stream and shuts the reader's window, so nothing here can grow but one frame in parts. */
#include "chanserv/session__in.h"

#include "mux/rx.h"

/* What a receive yields: see struct chanserv__got, the same on the other side. */
struct got {
    cs_bytes payload;
    cs_bytes message; /* that payload is a part of; or empty */
};

static struct chanserv__assembly assembly_of(const chanserv_outlet *o)
{
    chanserv_server *server = o->post->server;

    return (struct chanserv__assembly){.used = &server->totals->assembling,
                                       .bytes_max = server->options.assembly_bytes,
                                       .frame_max = server->options.frame_max_bytes};
}

static void whole_drop(chanserv_outlet *o)
{
    const struct chanserv__assembly of = assembly_of(o);

    chanserv__whole_drop(&o->u.open.up->whole, &of);
}

void chanserv__uplink_free(chanserv_outlet *o)
{
    if (!o->u.open.up)
        return;
    whole_drop(o);
    cs_unlink(&o->u.open.up->ack);
    cs_free(o->u.open.up);
    o->u.open.up = NULL;
}

/* May it still be listened to?  Our last word ends both ways. */
static bool is_listening(const chanserv_outlet *o)
{
    return o->life == CHANSERV__OPEN &&
           !(o->flags & (CHANSERV__LAST | CHANSERV__CUT | CHANSERV__OPENING));
}

void chanserv__uplink_readable(chanserv_outlet *o)
{
    if (!is_listening(o) || !o->ops->readable || (o->u.open.up && !o->u.open.up->armed))
        return;
    if (o->u.open.up)
        o->u.open.up->armed = false;
    o->ops->readable(o, chanserv__outlet_state(o));
}

/* ---- Receiving ------------------------------------------------------------------------------ */

/* The reader is at fault, or there is no memory: it ends. */
static cs_err broke(chanserv_outlet *o, cs_err err)
{
    enum wire_reason reason = chanserv__reason_of(err);

    o->post->server->counters.frames_in_refused += err != CS_ENOMEM;
    o->post->server->counters.assembly_refused += err == CS_ELIMIT;
    o->post->server->counters.frames_too_large += err == CS_ETOOBIG;
    chanserv__outlet_cut(o, reason ? reason : WIRE_R_PROTOCOL, err, CHANSERV__FAILED);
    return err;
}

static cs_err last_word(chanserv_outlet *o)
{
    struct chanserv__uplink *up = o->u.open.up;

    if (up->whole) /* in the middle of a frame */
        return broke(o, CS_EPROTO);
    up->done = true;
    up->gap = up->gap_run;
    up->gap_run = 0;
    return CS_DONE;
}

static cs_err take_gap(struct chanserv__uplink *up, uint64_t count)
{
    if (up->whole || count > UINT64_MAX - up->number)
        return CS_EPROTO;
    up->number += count;
    up->gap_run += count;
    return CS_AGAIN;
}

/* CS_AGAIN: that was no (whole) frame. */
static cs_err take_frame(chanserv_outlet *o, const struct wire_frame *f, struct got *ret)
{
    const struct chanserv__assembly of = assembly_of(o);
    struct chanserv__uplink *up = o->u.open.up;
    cs_err err;

    if (f->kind == WIRE_HEARTBEAT)
        return CS_AGAIN;
    if (f->kind == WIRE_GAP)
        return take_gap(up, f->gap_count);
    if (up->number == UINT64_MAX)
        return CS_EPROTO;
    if (!f->more && !up->whole) {
        if ((int64_t)f->payload.len > of.frame_max)
            return CS_ETOOBIG;
        ret->payload = f->payload;
    } else {
        err = chanserv__whole_add(&up->whole, &of, f->payload);
        if (err != CS_OK)
            return err;
        up->number += f->more;
        if (f->more)
            return CS_AGAIN;
        up->whole->complete = true;
        ret->payload = cs_bytes_of(up->whole->base, up->whole->len);
        ret->message = cs_bytes_of(NULL, 0);
    }
    up->seq = up->number++;
    up->gap = up->gap_run;
    up->gap_run = 0;
    return CS_OK;
}

static cs_err take(chanserv_outlet *o, struct got *ret)
{
    struct wire_up said;
    cs_err err;

    do {
        err = mux_stream_recv(o->u.open.stream, &ret->message);
        if (err == CS_AGAIN)
            o->u.open.up->armed = true;
        if (err == CS_AGAIN || err == CS_DONE)
            return err == CS_DONE ? last_word(o) : err;
        if (err == CS_ETIMEOUT || err == CS_ESTALLED)
            return err; /* mux has ended it: its end() is on the way */
        if (err == CS_OK)
            err = wire_up_parse(ret->message, &said);
        if (err == CS_OK && said.kind == WIRE_UP_OPEN)
            err = CS_EPROTO; /* once is enough */
        if (err != CS_OK)
            return broke(o, err);
        err = said.kind == WIRE_UP_FRAME ? take_frame(o, &said.frame, ret) : CS_AGAIN;
        if (o->u.open.channel && !cs_failed(err))
            chanserv__channel_took(o);
    } while (err == CS_AGAIN);
    return err == CS_OK ? CS_OK : broke(o, err);
}

static cs_err receive(chanserv_outlet *o, struct got *ret)
{
    cs_err err;

    if (!o->ops->uplink)
        return CS_ENOTSUP;
    if (o->life == CHANSERV__OVER || o->flags & (CHANSERV__LAST | CHANSERV__CUT))
        return o->status;
    if (!is_listening(o))
        return CS_AGAIN;
    if (!o->u.open.up || o->u.open.up->done)
        return CS_DONE;
    if (o->u.open.up->whole && o->u.open.up->whole->complete)
        whole_drop(o);
    if (mux_stream_is_over(o->u.open.stream)) { /* its end() is on the way */
        enum chanserv__reason reason;
        return chanserv__why_of(mux_stream_why(o->u.open.stream), &reason);
    }
    err = take(o, ret);
    if (err == CS_OK) {
        o->post->server->counters.frames_in++;
        o->post->server->counters.frame_bytes_in += ret->payload.len;
    }
    return err;
}

cs_err chanserv_outlet_recv(chanserv_outlet *o, cs_bytes *ret)
{
    struct got got;
    cs_err err = receive(o, &got);

    if (err == CS_OK)
        *ret = got.payload;
    return err;
}

static cs_err keep(chanserv_outlet *o, const struct got *got, cs_ref *ret)
{
    const struct chanserv__assembly of = assembly_of(o);
    cs_ref message;
    cs_err err;

    if (!got->message.base)
        return chanserv__whole_move(&o->u.open.up->whole, &of, ret);
    if ((err = mux_stream_keep(o->u.open.stream, got->message, &message)) != CS_OK)
        return err;
    *ret = cs_ref_slice(message,
                        (size_t)((const char *)got->payload.base - (const char *)got->message.base),
                        got->payload.len);
    cs_ref_drop(&message);
    return CS_OK;
}

cs_err chanserv_outlet_recv_ref(chanserv_outlet *o, cs_ref *ret)
{
    struct got got;
    cs_err err = receive(o, &got);

    if (err != CS_OK || (err = keep(o, &got, ret)) == CS_OK)
        return err;
    return broke(o, err); /* the frame is lost: it must not go on as if nothing had happened */
}

uint64_t chanserv_outlet_seq(const chanserv_outlet *o)
{
    return o->life == CHANSERV__OPEN && o->u.open.up ? o->u.open.up->seq : 0;
}

uint64_t chanserv_outlet_gap(const chanserv_outlet *o)
{
    return o->life == CHANSERV__OPEN && o->u.open.up ? o->u.open.up->gap : 0;
}
