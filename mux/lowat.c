#include "mux/sock__in.h"

/* A busy receiver is woken less often when the kernel waits until a good piece is there.  The
 * price is the last piece of a burst, which waits for the timer; so the mark goes up only in a
 * steady stream, and each time that it held something back it takes twice as long to go up
 * again. */
enum {
    READ_LARGE = 48 * 1024,
    READ_SMALL = 16 * 1024,
    MARK_FIRST = 16 * 1024,
    PATIENCE = 4,
    PATIENCE_MAX = 1024,
    HOLD_MS = 1
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void set_mark(struct mux__lowat *lowat, size_t mark)
{
    int value = (int)mark;

    if (mark == lowat->mark)
        return;
    if (setsockopt(lowat->fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof value) != 0)
        return; /* then the old mark stands, and the next read tries again */
    lowat->mark = mark;
    cs_timer_set(lowat->timer, mark > 1 ? HOLD_MS : CS_OFF);
    lowat->has_read = false;
}

static void on_timer(void *user)
{
    struct mux__lowat *lowat = user;

    if (lowat->has_read) {
        lowat->has_read = false;
        cs_timer_set(lowat->timer, HOLD_MS);
        return;
    }
    if (lowat->patience < PATIENCE_MAX)
        lowat->patience *= 2;
    lowat->streak = 0;
    set_mark(lowat, 1);
    if (lowat->mark > 1)
        cs_timer_set(lowat->timer, HOLD_MS);
}

cs_err mux__lowat_init(struct mux__lowat *lowat, cs_loop *loop, int fd, size_t max)
{
    *lowat = (struct mux__lowat){.fd = fd, .max = max, .mark = 1, .patience = PATIENCE};
    if (max > INT32_MAX)
        lowat->max = INT32_MAX;
    return max <= 1 ? CS_OK : cs_timer_new(loop, on_timer, lowat, &lowat->timer);
}

void mux__lowat_fini(struct mux__lowat *lowat)
{
    if (lowat->timer)
        cs_timer_free(lowat->timer);
    lowat->timer = NULL;
}

void mux__lowat_read(struct mux__lowat *lowat, size_t bytes)
{
    size_t mark;

    if (!lowat->timer)
        return;
    lowat->has_read = true;
    if (bytes < READ_SMALL) {
        lowat->streak = 0;
        set_mark(lowat, 1);
    } else if (bytes <= READ_LARGE) {
        lowat->streak = 0;
    } else if (++lowat->streak >= lowat->patience) {
        /* More than half of what comes at once would be waiting for what the window forbids. */
        mark = lowat->mark > 1 ? lowat->mark * 2 : MARK_FIRST;
        mark = least(mark, least(bytes / 2, lowat->max));
        lowat->streak = 0;
        if (mark > lowat->mark)
            set_mark(lowat, mark);
    }
}
