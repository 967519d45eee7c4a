/* frames -- from messages to frames: numbers, gaps, parts, and what rode in the announcement.
 *
 * The consumer's file: no lock, no loop, only what belongs to the one thread that receives.
 *
 * Numbers: every message has one, parts singly; a gap stands for as many as it
 * dropped; a heartbeat has none.  The number of a frame in parts is that of its last part.
 */
#include "chanserv/client__in.h"

/* ---- Parts --------------------------------------------------------------------------------- */

static struct chanserv__assembly assembly_of(const chanserv_source *source)
{
    chanserv_client *client = source->line.client;

    return (struct chanserv__assembly){.used = &client->assembling,
                                       .bytes_max = client->options.assembly_bytes,
                                       .frame_max = client->options.frame_max_bytes};
}

static void whole_drop(chanserv_source *source)
{
    const struct chanserv__assembly of = assembly_of(source);

    chanserv__whole_drop(&source->intake->whole, &of);
}

cs_err chanserv__frame_expect(chanserv_source *source)
{
    if (source->intake)
        return CS_OK;
    if (!(source->intake = cs_zalloc(sizeof *source->intake)))
        return CS_ENOMEM;
    mux_rx_init(&source->intake->rx, source->line.client->message_max);
    source->intake->from = source->number;
    return CS_OK;
}

cs_err chanserv__frame_move(chanserv_source *source, cs_ref *ret)
{
    const struct chanserv__assembly of = assembly_of(source);

    return chanserv__whole_move(&source->intake->whole, &of, ret);
}

/* ---- Numbers ------------------------------------------------------------------------------- */

static cs_err gap_add(chanserv_source *source, uint64_t count)
{
    if (source->intake->whole || count > UINT64_MAX - source->number)
        return CS_EPROTO;
    source->number += count;
    source->intake->gap_run += count;
    return CS_OK;
}

static void hand_out(chanserv_source *source)
{
    source->intake->seq = source->number++;
    source->intake->gap = source->intake->gap_run;
    source->intake->gap_run = 0;
}

/* All that is not one payload in one message.  CS_AGAIN: that was no (whole) frame. */
static cs_err take_odd(chanserv_source *source, const struct wire_frame *f,
                       struct chanserv__got *ret)
{
    const struct chanserv__assembly of = assembly_of(source);
    cs_err err;

    if (f->kind == WIRE_HEARTBEAT)
        return CS_AGAIN;
    if (f->kind == WIRE_GAP)
        return (err = gap_add(source, f->gap_count)) == CS_OK ? CS_AGAIN : err;
    if (source->number == UINT64_MAX)
        return CS_EPROTO;
    if ((err = chanserv__whole_add(&source->intake->whole, &of, f->payload)) != CS_OK)
        return err;
    if (f->more) {
        source->number++;
        return CS_AGAIN;
    }
    source->intake->whole->complete = true;
    hand_out(source);
    ret->payload = cs_bytes_of(source->intake->whole->base, source->intake->whole->len);
    ret->message = cs_bytes_of(NULL, 0);
    return CS_OK;
}

/* ---- Inline -------------------------------------------------------------------------------- */

/* How many numbers a frame takes. */
static uint64_t numbers_of(const struct wire_frame *f)
{
    return f->kind == WIRE_GAP ? f->gap_count : f->kind == WIRE_PAYLOAD;
}

cs_err chanserv__frame_inline(chanserv_source *source, const struct wire_announcement *a)
{
    struct chanserv__inlined *in;
    size_t bytes = 0;
    uint64_t number = 0;
    uint8_t *to;

    for (size_t i = 0; i < a->frames_len; i++) {
        if (a->frames[i].more || numbers_of(&a->frames[i]) > UINT64_MAX - number)
            return CS_EPROTO;
        number += numbers_of(&a->frames[i]);
        bytes += a->frames[i].kind == WIRE_PAYLOAD ? a->frames[i].payload.len : 0;
    }
    if (a->frames_len == 0)
        return CS_OK;
    if (chanserv__frame_expect(source) != CS_OK)
        return CS_ENOMEM;
    in = cs_alloc(sizeof *in + a->frames_len * sizeof *in->frames + bytes);
    if (!in)
        return CS_ENOMEM;
    in->at = 0;
    in->len = a->frames_len;
    to = (uint8_t *)(in->frames + in->len);
    for (size_t i = 0; i < in->len; i++) {
        struct wire_frame *f = &in->frames[i];
        *f = a->frames[i];
        if (f->kind != WIRE_PAYLOAD)
            continue;
        if (f->payload.len)
            memcpy(to, f->payload.base, f->payload.len);
        f->payload.base = to;
        to += f->payload.len;
    }
    source->intake->inlined = in;
    return CS_OK;
}

uint64_t chanserv__frame_after(const chanserv_source *source)
{
    const struct chanserv__inlined *in = source->intake ? source->intake->inlined : NULL;
    uint64_t number = source->number;

    for (size_t i = in ? in->at : 0; in && i < in->len; i++)
        number += numbers_of(&in->frames[i]);
    return number;
}

void chanserv__frame_skip(chanserv_source *source, uint64_t from)
{
    struct chanserv__inlined *in = source->intake ? source->intake->inlined : NULL;

    while (in && in->at < in->len && source->number < from) {
        struct wire_frame *f = &in->frames[in->at];
        uint64_t n = numbers_of(f), left_out = from - source->number;
        if (n > left_out) { /* `from` is in the middle of a gap: what is left of it */
            f->gap_count -= left_out;
            n = left_out;
        } else {
            in->at++;
        }
        source->number += n;
    }
    if (source->number < from)
        source->number = from;
}

static cs_err inline_next(chanserv_source *source, struct chanserv__got *ret)
{
    struct chanserv__inlined *in = source->intake->inlined;

    while (in->at < in->len) {
        const struct wire_frame *f = &in->frames[in->at++];
        if (f->kind == WIRE_PAYLOAD) {
            hand_out(source);
            ret->payload = f->payload;
            ret->message = cs_bytes_of(NULL, 0);
            return CS_OK;
        }
        if (f->kind == WIRE_GAP && gap_add(source, f->gap_count) != CS_OK)
            return CS_EPROTO;
    }
    cs_free(in);
    source->intake->inlined = NULL;
    return CS_AGAIN;
}

/* ---- The next ------------------------------------------------------------------------------ */

cs_err chanserv__frame_next(chanserv_source *source, struct chanserv__got *ret)
{
    int64_t most = source->line.client->options.frame_max_bytes;
    struct wire_frame f;
    cs_bytes msg;
    cs_err err;

    if (!source->intake)
        return CS_AGAIN;
    if (source->intake->whole && source->intake->whole->complete)
        whole_drop(source);
    if (source->intake->inlined && (err = inline_next(source, ret)) != CS_AGAIN)
        return err;
    do {
        if ((err = mux_rx_next(&source->intake->rx, &msg)) != CS_OK ||
            (err = wire_frame_parse(msg, &f)) != CS_OK)
            return err;
        if (f.kind == WIRE_PAYLOAD && !f.more && !source->intake->whole &&
            source->number < UINT64_MAX && (int64_t)f.payload.len <= most) {
            hand_out(source);
            ret->payload = f.payload;
            ret->message = msg;
            return CS_OK;
        }
        err = take_odd(source, &f, ret);
    } while (err == CS_AGAIN);
    return err;
}

bool chanserv__frame_is_partial(const chanserv_source *source)
{
    const struct chanserv__intake *intake = source->intake;

    return intake && (mux_rx_partial(&intake->rx) || (intake->whole && !intake->whole->complete));
}

/* Nobody will ever get it, and others wait for its share of the budget. */
void chanserv__frame_give_up(chanserv_source *source)
{
    if (source->intake && source->intake->whole && !source->intake->whole->complete)
        whole_drop(source);
}

void chanserv__frame_drop(chanserv_source *source)
{
    if (!source->intake)
        return;
    whole_drop(source);
    cs_free(source->intake->inlined);
    mux_rx_fini(&source->intake->rx);
    cs_free(source->intake);
    source->intake = NULL;
}

const char *chanserv__frame_words(cs_err err)
{
    switch (err) {
    case CS_EPROTO:
        return "frame makes no sense";
    case CS_ETOOBIG:
        return "frame is over frame_max_bytes or message_max_bytes";
    case CS_ELIMIT:
        return "frames being put together are over assembly_bytes";
    default:
        return NULL;
    }
}
