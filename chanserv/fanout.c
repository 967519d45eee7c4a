/* fanout -- a ring of frames that any number of readers read, each at its own place.
 *
 *        tail                                head: the place of the next frame
 *         ▼                                   ▼
 *     ───┤ 17 │ 18 │ 19 │ 20 │ 21 │ 22 │ 23 │┄┄┄
 *          ▲              ▲                   ▲
 *       a slow one     another           `idle`: has all, and is woken when there is more
 *
 * A slot counts the readers whose next frame it is, so the publisher knows without looking at
 * them whether its oldest frame may go.  A reader whose slot is gone notices when it is asked, which
 * is when it has room: publishing costs nothing for those that are behind.
 *
 * A place counts frames, a number counts what the server does: messages, of which a long frame is
 * several.  Those that wait are woken by the first frame and leave `idle`, where they come again only when they
 * were asked and had all: so it is once a turn, without a timer. */
#include "base/list.h"
#include "base/mem.h"
#include "chanserv/adapters.h"

enum { RING_BYTES = 1 << 20, PART_BYTES = 1 << 20, PLACE_BYTES = 64, FIRST_SLOTS = 16 };

struct slot {
    cs_ref frame;
    uint64_t number; /* of its first part */
    size_t readers;  /* whose next frame this is */
};

struct chanserv_fanout {
    cs_loop *loop;
    struct chanserv_fanout_options options; /* with the defaults filled in */
    struct slot *slots;                     /* place n is slot n & (cap - 1); NULL: none yet */
    size_t cap;                             /* a power of two */
    uint64_t tail, head;                    /* places: frames, counted from the first */
    uint64_t number;                        /* of the next frame */
    int64_t bytes;                          /* kept, as options.bytes counts them */
    size_t caught_up;                       /* readers whose next frame is `head` */
    size_t open;
    struct cs_list all;  /* readers, from their announcement on */
    struct cs_list idle; /* those that wait for `head` */
    cs_timer *writable;  /* NULL unless there is somebody to tell */
    uint64_t blocked;    /* `waiting`: the frame that was still wanted */
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

/* ---- The ring ------------------------------------------------------------------------------ */

static struct slot *slot_of(const chanserv_fanout *f, uint64_t place)
{
    return &f->slots[place & (f->cap - 1)];
}

/* The number of the frame at this place; of the next one at `head`. */
static uint64_t number_at(const chanserv_fanout *f, uint64_t place)
{
    return place == f->head ? f->number : slot_of(f, place)->number;
}

/* The first place from `tail` on with this number or a higher one; beyond `head`: none. */
static uint64_t place_of(const chanserv_fanout *f, uint64_t number)
{
    uint64_t low = f->tail, high = f->head + 1;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (number_at(f, middle) < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* How many numbers it takes: the server gives one to each part. */
static uint64_t parts(const chanserv_fanout *f, cs_bytes frame)
{
    uint64_t part = (uint64_t)f->options.part_bytes;

    return frame.len <= part ? 1 : (frame.len + part - 1) / part;
}

static int64_t cost(cs_bytes frame)
{
    return (int64_t)frame.len + PLACE_BYTES;
}

static cs_err grow(chanserv_fanout *f)
{
    size_t cap = f->cap ? f->cap * 2 : FIRST_SLOTS;
    struct slot *slots = cs_zalloc(cap * sizeof *slots);

    if (!slots)
        return CS_ENOMEM;
    for (uint64_t n = f->tail; n < f->head; n++)
        slots[n & (cap - 1)] = *slot_of(f, n);
    cs_free(f->slots);
    f->slots = slots;
    f->cap = cap;
    return CS_OK;
}

/* The oldest that may stay when a frame of `more` comes. */
static uint64_t new_tail(const chanserv_fanout *f, int64_t more)
{
    uint64_t tail = f->tail;
    int64_t bytes = f->bytes;

    for (; tail < f->head; tail++) {
        int64_t frames = (int64_t)(f->head - tail);

        if (bytes <= f->options.bytes - more && frames < f->options.frames)
            break;
        bytes -= cost(slot_of(f, tail)->frame.bytes);
    }
    return tail;
}

/* Does anybody still want a frame below `tail`?  Then it is `blocked`. */
static bool is_wanted(chanserv_fanout *f, uint64_t tail)
{
    for (uint64_t n = f->tail; n < tail; n++) {
        if (slot_of(f, n)->readers > 0) {
            f->blocked = n;
            return true;
        }
    }
    return false;
}

static void evict(chanserv_fanout *f, uint64_t tail)
{
    while (f->tail < tail) {
        struct slot *oldest = slot_of(f, f->tail++);

        f->bytes -= cost(oldest->frame.bytes);
        cs_ref_drop(&oldest->frame);
    }
}

static void push(chanserv_fanout *f, cs_ref frame)
{
    f->bytes += cost(frame.bytes);
    *slot_of(f, f->head) =
        (struct slot){.frame = frame, .number = f->number, .readers = f->caught_up};
    f->number += parts(f, frame.bytes);
    f->head++;
    f->caught_up = 0;
}

/* ---- Places -------------------------------------------------------------------------------- */

/* Who stands at this place?  NULL: its frame is gone, and nobody counts those that want it. */
static size_t *count_at(chanserv_fanout *f, uint64_t place)
{
    if (place == f->head)
        return &f->caught_up;
    return place < f->tail ? NULL : &slot_of(f, place)->readers;
}

static void stand(struct reader *r, uint64_t place)
{
    r->place = place;
    r->number = number_at(r->fanout, place);
    ++*count_at(r->fanout, place);
}

static void step_off(struct reader *r)
{
    chanserv_fanout *f = r->fanout;
    size_t *count = count_at(f, r->place);

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
    uint64_t kept = f->head - f->tail, place = place_of(f, from);
    cs_err err = CS_OK;

    if (from == 0) {
        uint64_t back = f->options.history > 0 ? (uint64_t)f->options.history : 0;

        place = f->head - (back < kept ? back : kept);
        err = chanserv_outlet_number(o, number_at(f, place));
    } else if (place > f->head || number_at(f, place) != from) {
        err = chanserv_outlet_fail(o, CS_ERANGE, "frame %llu is not kept: there are %llu to %llu",
                                   (unsigned long long)from,
                                   (unsigned long long)number_at(f, f->tail),
                                   (unsigned long long)f->number);
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
    uint64_t to = latest ? f->head - 1 : f->tail;

    if (f->options.slow == CHANSERV_SLOW_CUT)
        return chanserv_outlet_fail(r->outlet, CS_ERANGE,
                                    "too slow: frame %llu is not kept any more",
                                    (unsigned long long)r->number);
    chanserv_outlet_skip(r->outlet, number_at(f, to) - r->number,
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
    if (r->place == f->head) {
        if (f->finished)
            return f->status;
        if (!cs_linked(&r->idle))
            cs_list_push(&f->idle, &r->idle);
        return CS_AGAIN;
    }
    if (r->place < f->tail && (err = catch_up(r)) != CS_OK)
        return err;
    *frame = cs_ref_dup(slot_of(f, r->place)->frame);
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

static bool fill_options(struct chanserv_fanout_options *o)
{
    bool is_bounded = o->bytes >= 0 || o->frames > 0;

    for (size_t i = 0; i < sizeof o->reserved / sizeof *o->reserved; i++)
        if (o->reserved[i])
            return false;
    o->bytes = o->bytes == 0 ? RING_BYTES : o->bytes < 0 ? INT64_MAX : o->bytes;
    o->frames = o->frames > 0 ? o->frames : INT64_MAX;
    o->part_bytes = o->part_bytes > 0 ? o->part_bytes : PART_BYTES;
    return is_bounded && (int)o->slow >= CHANSERV_SLOW_SKIP && o->slow <= CHANSERV_SLOW_WAIT;
}

cs_err chanserv_fanout_new(cs_loop *loop, const struct chanserv_fanout_options *options,
                           chanserv_fanout **ret)
{
    struct chanserv_fanout_options o = {.bytes = 0};
    chanserv_fanout *f;

    if (options)
        o = *options;
    if (!fill_options(&o))
        return CS_EMISUSE;
    if (!(f = cs_zalloc(sizeof *f)))
        return CS_ENOMEM;
    if (o.writable && cs_timer_new(loop, tell_writable, f, &f->writable) != CS_OK) {
        cs_free(f);
        return CS_ENOMEM;
    }
    f->loop = loop;
    f->options = o;
    cs_list_init(&f->all);
    cs_list_init(&f->idle);
    *ret = f;
    return CS_OK;
}

cs_err chanserv_fanout_publish(chanserv_fanout *f, cs_ref *frame)
{
    uint64_t tail = new_tail(f, cost(frame->bytes));
    cs_ref kept = *frame;
    cs_err err;

    if (f->finished)
        return CS_EMISUSE;
    if (f->options.slow == CHANSERV_SLOW_WAIT && is_wanted(f, tail)) {
        f->waiting = true;
        return CS_AGAIN;
    }
    if (f->head - tail == f->cap && (err = grow(f)) != CS_OK)
        return err;
    if (!kept.block && (err = cs_ref_copy(frame->bytes, &kept)) != CS_OK)
        return err;
    *frame = (cs_ref){{NULL, 0}, NULL};
    evict(f, tail);
    push(f, kept);
    wake_idle(f);
    return CS_OK;
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
    return f->number;
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
    evict(f, f->head);
    cs_free(f->slots);
    cs_free(f);
}
