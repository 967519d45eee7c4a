/* ring -- the last frames of a fan-out, each kept once: bounded, numbered, and with a count of
 * those who want it next. */
#include "chanserv/ring__in.h"

#include "base/mem.h"

enum { PLACE_BYTES = 64, FIRST_SLOTS = 16 };

struct chanserv__slot {
    cs_ref frame;
    uint64_t number; /* of its first part */
    size_t readers;
};

static struct chanserv__slot *slot_of(const struct chanserv__ring *ring, uint64_t place)
{
    return &ring->slots[place & (ring->cap - 1)];
}

static int64_t cost(size_t len)
{
    return (int64_t)len + PLACE_BYTES;
}

uint64_t chanserv__ring_tail_with(const struct chanserv__ring *ring, size_t len)
{
    const int64_t room = ring->bytes_max - cost(len);
    uint64_t tail = ring->tail;
    int64_t bytes = ring->bytes;

    for (; tail < ring->head; tail++) {
        if (bytes <= room && (int64_t)(ring->head - tail) < ring->frames_max)
            break;
        bytes -= cost(slot_of(ring, tail)->frame.bytes.len);
    }
    return tail;
}

uint64_t chanserv__ring_wanted(const struct chanserv__ring *ring, uint64_t tail)
{
    uint64_t place = ring->tail;

    while (place < tail && slot_of(ring, place)->readers == 0)
        place++;
    return place;
}

static cs_err grow(struct chanserv__ring *ring)
{
    size_t cap = ring->cap ? ring->cap * 2 : FIRST_SLOTS;
    struct chanserv__slot *slots = cs_zalloc(cap * sizeof *slots);

    if (!slots)
        return CS_ENOMEM;
    for (uint64_t place = ring->tail; place < ring->head; place++)
        slots[place & (cap - 1)] = *slot_of(ring, place);
    cs_free(ring->slots);
    ring->slots = slots;
    ring->cap = cap;
    return CS_OK;
}

static void evict(struct chanserv__ring *ring, uint64_t tail)
{
    while (ring->tail < tail) {
        struct chanserv__slot *oldest = slot_of(ring, ring->tail++);

        ring->bytes -= cost(oldest->frame.bytes.len);
        cs_ref_drop(&oldest->frame);
    }
}

/* How many numbers it takes: the server gives one to each part. */
static uint64_t parts(const struct chanserv__ring *ring, size_t len)
{
    const uint64_t part = (uint64_t)ring->part_bytes;

    return len <= part ? 1 : (len + part - 1) / part;
}

cs_err chanserv__ring_push(struct chanserv__ring *ring, uint64_t tail, cs_ref *frame)
{
    cs_err err;

    if (ring->head - tail == ring->cap && (err = grow(ring)) != CS_OK)
        return err;
    evict(ring, tail);
    *slot_of(ring, ring->head) = (struct chanserv__slot){
        .frame = *frame, .number = ring->number, .readers = ring->caught_up};
    ring->bytes += cost(frame->bytes.len);
    ring->number += parts(ring, frame->bytes.len);
    ring->head++;
    ring->caught_up = 0;
    *frame = (cs_ref){{NULL, 0}, NULL};
    return CS_OK;
}

cs_ref chanserv__ring_dup(const struct chanserv__ring *ring, uint64_t place)
{
    return cs_ref_dup(slot_of(ring, place)->frame);
}

uint64_t chanserv__ring_number(const struct chanserv__ring *ring, uint64_t place)
{
    return place == ring->head ? ring->number : slot_of(ring, place)->number;
}

uint64_t chanserv__ring_place(const struct chanserv__ring *ring, uint64_t number)
{
    const uint64_t none = ring->head + 1;
    uint64_t low = ring->tail, high = none;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (chanserv__ring_number(ring, middle) < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < none && chanserv__ring_number(ring, low) == number ? low : none;
}

size_t *chanserv__ring_readers(struct chanserv__ring *ring, uint64_t place)
{
    if (place == ring->head)
        return &ring->caught_up;
    return place < ring->tail ? NULL : &slot_of(ring, place)->readers;
}

void chanserv__ring_fini(struct chanserv__ring *ring)
{
    evict(ring, ring->head);
    cs_free(ring->slots);
}
