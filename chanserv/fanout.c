/* fanout -- any number of readers of one ring, each at its own place.
 *
 *     ───┤ 17 │ 18 │ 19 │ 20 │ 21 │ 22 │ 23 │┄┄┄
 *          ▲              ▲                   ▲
 *       a slow one     another           `idle`: has all, and is woken when there is more
 *
 * Each place counts the readers that stand there, so the publisher knows without looking at them
 * whether its oldest frame may go.  A reader whose place is gone notices when it is asked, which is
 * when it has room: publishing costs nothing for those that are behind.
 *
 * Those that wait are woken by the first frame and leave `idle`, where they come again only when
 * they were asked and had all: so it is once a turn, without a timer. */
#include "base/list.h"
#include "base/mem.h"
#include "chanserv/adapters.h"
#include "chanserv/ring__in.h"

enum { RING_BYTES = 1 << 20, PART_BYTES = 1 << 20 };

struct chanserv_fanout {
    cs_loop *loop;
    struct chanserv_fanout_options options; /* as they were given */
    struct chanserv__ring ring;
    size_t open;
    struct cs_list all;  /* readers, from their announcement on */
    struct cs_list idle; /* those that wait for the next frame */
    cs_timer *writable;  /* NULL unless there is somebody to tell */
    uint64_t blocked;    /* `waiting`: the place that was still wanted */
    bool waiting;        /* publish() said CS_AGAIN */
    bool finished;
    cs_err status; /* once `finished` */
};

/* The state of an outlet. */
struct reader {
    chanserv_fanout *fanout; /* NULL: freed */
    chanserv_outlet *outlet;
    struct cs_link link, idle;
    uint64_t place, number; /* of its next frame, once `open` */
    bool open;
};

/* ---- Places -------------------------------------------------------------------------------- */

static void stand(struct reader *r, uint64_t place)
{
    r->place = place;
    r->number = chanserv__ring_number(&r->fanout->ring, place);
    ++*chanserv__ring_readers(&r->fanout->ring, place);
}

static void step_off(struct reader *r)
{
    chanserv_fanout *f = r->fanout;
    size_t *count = chanserv__ring_readers(&f->ring, r->place);

    if (!count || --*count > 0 || !f->waiting || r->place != f->blocked)
        return;
    f->waiting = false;
    if (f->writable)
        cs_timer_set(f->writable, 0);
}

static void wake_idle(chanserv_fanout *f)
{
    struct cs_link *link;

    while ((link = cs_list_pop(&f->idle)))
        chanserv_outlet_wake(CS_CONTAINER(link, struct reader, idle)->outlet);
}

/* ---- A reader ------------------------------------------------------------------------------ */

static cs_err reader_open(chanserv_outlet *o, uint64_t from, void *state)
{
    struct reader *r = state;
    chanserv_fanout *f = r->fanout;
    const struct chanserv__ring *ring = &f->ring;
    uint64_t kept = ring->head - ring->tail, place = chanserv__ring_place(ring, from);
    cs_err err = CS_OK;

    if (from == 0) {
        uint64_t back = f->options.history > 0 ? (uint64_t)f->options.history : 0;

        place = ring->head - (back < kept ? back : kept);
        err = chanserv_outlet_number(o, chanserv__ring_number(ring, place));
    } else if (place > ring->head) {
        err = chanserv_outlet_fail(o, CS_ERANGE, "frame %llu is not kept: there are %llu to %llu",
                                   (unsigned long long)from,
                                   (unsigned long long)chanserv__ring_number(ring, ring->tail),
                                   (unsigned long long)ring->number);
    }
    if (err != CS_OK)
        return err;
    r->open = true;
    f->open++;
    stand(r, place);
    return CS_OK;
}

/* It fell out of the ring. */
static cs_err catch_up(struct reader *r)
{
    const chanserv_fanout *f = r->fanout;
    bool latest = f->options.slow == CHANSERV_SLOW_LATEST;
    uint64_t to = latest ? f->ring.head - 1 : f->ring.tail;

    if (f->options.slow == CHANSERV_SLOW_CUT)
        return chanserv_outlet_fail(r->outlet, CS_ERANGE,
                                    "too slow: frame %llu is not kept any more",
                                    (unsigned long long)r->number);
    chanserv_outlet_skip(r->outlet, chanserv__ring_number(&f->ring, to) - r->number,
                         latest ? CHANSERV_GAP_REPLACED : CHANSERV_GAP_OVERFLOW);
    stand(r, to);
    return CS_OK;
}

static cs_err reader_next(chanserv_outlet *o, cs_ref *frame, void *state)
{
    struct reader *r = state;
    chanserv_fanout *f = r->fanout;
    cs_err err;

    if (chanserv_outlet_next_number(o) != r->number)
        return chanserv_outlet_fail(o, CS_EMISUSE,
                                    "the server cuts frames into other parts than its fan-out");
    if (r->place == f->ring.head) {
        if (f->finished)
            return f->status;
        if (!cs_linked(&r->idle))
            cs_list_push(&f->idle, &r->idle);
        return CS_AGAIN;
    }
    if (r->place < f->ring.tail && (err = catch_up(r)) != CS_OK)
        return err;
    *frame = chanserv__ring_dup(&f->ring, r->place);
    step_off(r);
    stand(r, r->place + 1);
    return CS_OK;
}

static void reader_end(chanserv_outlet *o, cs_err why, void *state)
{
    struct reader *r = state;

    (void)o, (void)why;
    if (!r->fanout)
        return;
    cs_unlink(&r->link);
    cs_unlink(&r->idle);
    if (!r->open)
        return;
    r->fanout->open--;
    step_off(r);
}

static const struct chanserv_outlet_ops reader_ops = {.state_bytes = sizeof(struct reader),
                                                      .open = reader_open,
                                                      .next_ref = reader_next,
                                                      .end = reader_end};

/* ---- The fan-out --------------------------------------------------------------------------- */

static void tell_writable(void *user)
{
    chanserv_fanout *f = user;

    f->options.writable(f, f->options.user);
}

static bool options_ok(const struct chanserv_fanout_options *o)
{
    for (size_t i = 0; i < sizeof o->reserved / sizeof *o->reserved; i++)
        if (o->reserved[i])
            return false;
    return (o->bytes >= 0 || o->frames > 0) && (int)o->slow >= CHANSERV_SLOW_SKIP &&
           o->slow <= CHANSERV_SLOW_WAIT;
}

cs_err chanserv_fanout_new(cs_loop *loop, const struct chanserv_fanout_options *options,
                           chanserv_fanout **ret)
{
    static const struct chanserv_fanout_options none = {.bytes = 0};
    const struct chanserv_fanout_options *o = options ? options : &none;
    chanserv_fanout *f;

    if (!options_ok(o))
        return CS_EMISUSE;
    if (!(f = cs_zalloc(sizeof *f)))
        return CS_ENOMEM;
    if (o->writable && cs_timer_new(loop, tell_writable, f, &f->writable) != CS_OK) {
        cs_free(f);
        return CS_ENOMEM;
    }
    f->loop = loop;
    f->options = *o;
    f->ring.bytes_max = o->bytes == 0 ? RING_BYTES : o->bytes < 0 ? INT64_MAX : o->bytes;
    f->ring.frames_max = o->frames > 0 ? o->frames : INT64_MAX;
    f->ring.part_bytes = o->part_bytes > 0 ? o->part_bytes : PART_BYTES;
    cs_list_init(&f->all);
    cs_list_init(&f->idle);
    *ret = f;
    return CS_OK;
}

cs_err chanserv_fanout_publish(chanserv_fanout *f, cs_ref *frame)
{
    uint64_t tail = chanserv__ring_tail_with(&f->ring, frame->bytes.len), wanted;
    cs_ref kept = *frame;
    cs_err err = CS_OK;

    if (f->finished)
        return CS_EMISUSE;
    if (f->options.slow == CHANSERV_SLOW_WAIT &&
        (wanted = chanserv__ring_wanted(&f->ring, tail)) < tail) {
        f->waiting = true;
        f->blocked = wanted;
        return CS_AGAIN;
    }
    if (!frame->block)
        err = cs_ref_copy(frame->bytes, &kept);
    if (err == CS_OK && (err = chanserv__ring_push(&f->ring, tail, &kept)) == CS_OK) {
        *frame = kept;
        wake_idle(f);
    } else if (!frame->block) {
        cs_ref_drop(&kept);
    }
    return err;
}

cs_err chanserv_fanout_announce(chanserv_fanout *f, chanserv_post *post, cs_bytes header)
{
    struct reader *r;
    chanserv_outlet *o;
    cs_err err;

    if (chanserv_post_loop(post) != f->loop)
        return CS_EMISUSE;
    err = chanserv_announce(post, header, &reader_ops, NULL, &o);
    if (err != CS_OK)
        return err;
    r = chanserv_outlet_state(o);
    r->fanout = f;
    r->outlet = o;
    cs_link_init(&r->idle);
    cs_list_push(&f->all, &r->link);
    return CS_OK;
}

size_t chanserv_fanout_readers(const chanserv_fanout *f)
{
    return f->open;
}

uint64_t chanserv_fanout_next_number(const chanserv_fanout *f)
{
    return f->ring.number;
}

void chanserv_fanout_finish(chanserv_fanout *f, cs_err status)
{
    if (f->finished)
        return;
    f->finished = true;
    f->status = status == CS_OK ? CS_DONE : status == CS_AGAIN ? CS_EMISUSE : status;
    wake_idle(f);
}

void chanserv_fanout_free(chanserv_fanout *f)
{
    struct cs_link *link;

    if (!f)
        return;
    while ((link = cs_list_pop(&f->all))) {
        struct reader *r = CS_CONTAINER(link, struct reader, link);

        cs_unlink(&r->idle);
        r->fanout = NULL; /* its end() is to come */
        chanserv_outlet_cancel(r->outlet, CS_ECANCELED);
    }
    cs_timer_free(f->writable);
    chanserv__ring_fini(&f->ring);
    cs_free(f);
}
