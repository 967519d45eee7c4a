#include "mux/ring__in.h"

/* Two ends in one object, which goes with the second of them, or with the callback that is
 * still on the stack then. */
struct pair;

struct end {
    mux__link link;
    struct pair *pair;
    struct end *far;
    cs_task task;
    struct mux__ring in; /* on their way to this end */
    size_t visible;      /* of `in`: what was there when the IO phase began */
    bool far_gone;       /* the same, of the far end's being freed, */
    bool far_shut;       /* and of its half's being closed */
    bool is_freed, is_shut;
    bool wants_read, wants_write, watched;
};

struct pair {
    struct end ends[2];
    int holders; /* ends not freed, and a callback under way */
    bool swallows, broken;
};

static struct end *of(mux__link *link)
{
    return CS_CONTAINER(link, struct end, link);
}

/* ---- What an end can, and when it is told ------------------------------------------------- */

static int can(const struct end *end)
{
    const struct pair *pair = end->pair;
    const struct mux__ring *out = &end->far->in;
    int what = 0;

    const bool gone = end->far_gone || end->far_shut;

    if (end->wants_read && (pair->broken || (!pair->swallows && (end->visible || gone))))
        what |= CS_IO_READ;
    if (end->watched && !end->wants_read && (pair->broken || (!pair->swallows && gone)))
        what |= CS_IO_GONE;
    if (end->wants_write &&
        (pair->broken || pair->swallows || end->far_gone || out->len < out->limit))
        what |= CS_IO_WRITE;
    return what;
}

static void post(struct end *end)
{
    if (!end->is_freed)
        cs_task_post(end->link.loop, CS_IO, &end->task);
}

static void let_go(struct pair *pair)
{
    if (--pair->holders > 0)
        return;
    mux__ring_fini(&pair->ends[0].in);
    mux__ring_fini(&pair->ends[1].in);
    cs_free(pair);
}

/* Once a turn: what was written in the last becomes visible, and the end is told.  Like a socket's
 * its readiness is a level: what is wanted and left undone is told again in the next turn. */
static void deliver(cs_task *task)
{
    struct end *end = CS_CONTAINER(task, struct end, task);
    struct pair *pair = end->pair;
    int what;

    end->visible = end->in.len;
    end->far_gone = end->far->is_freed;
    end->far_shut = end->far->is_shut;
    what = can(end);
    if (what == 0 || !end->link.ready)
        return;
    pair->holders++;
    end->link.ready(what, end->link.user);
    if (can(end))
        post(end);
    let_go(pair);
}

/* ---- The table ---------------------------------------------------------------------------- */

static cs_err pair_read(mux__link *link, void *to, size_t room, size_t *ret)
{
    struct end *end = of(link);

    if (end->pair->broken)
        return CS_EPEER;
    if (end->pair->swallows || room == 0)
        return CS_AGAIN;
    if (end->visible == 0)
        return (end->far_gone || end->far_shut) && end->in.len == 0 ? CS_DONE : CS_AGAIN;
    *ret = room < end->visible ? room : end->visible;
    mux__ring_get(&end->in, to, *ret);
    end->visible -= *ret;
    if (end->far->wants_write)
        post(end->far);
    return CS_OK;
}

static cs_err pair_write(mux__link *link, const struct iovec *iov, int iov_len, size_t *ret)
{
    struct end *end = of(link), *far = end->far;
    size_t sum = mux__iov_bytes(iov, iov_len), taken;

    if (end->pair->broken)
        return CS_EPEER;
    if (sum == 0)
        return CS_AGAIN;
    if (!end->pair->swallows && end->far_gone)
        return CS_EPEER;
    if (end->pair->swallows || far->is_freed) {
        *ret = sum; /* nobody is there, and this end has not heard of it */
        return CS_OK;
    }
    taken = mux__ring_put_all(&far->in, iov, iov_len);
    if (taken == 0)
        return CS_AGAIN;
    post(far);
    *ret = taken;
    return CS_OK;
}

static void pair_want(mux__link *link, bool read, bool write)
{
    struct end *end = of(link);

    end->wants_read = read;
    end->wants_write = write;
    if (can(end))
        post(end);
}

static void pair_watch(mux__link *link, bool on)
{
    of(link)->watched = on;
    if (can(of(link)))
        post(of(link));
}

static cs_err pair_shut(mux__link *link)
{
    of(link)->is_shut = true;
    post(of(link)->far);
    return CS_OK;
}

static void pair_free(mux__link *link)
{
    struct end *end = of(link);

    end->is_freed = true;
    end->wants_read = end->wants_write = end->watched = false;
    cs_task_drop(&end->task);
    post(end->far);
    let_go(end->pair);
}

static const struct mux__link_ops pair_ops = {.read = pair_read,
                                              .write = pair_write,
                                              .want = pair_want,
                                              .free = pair_free,
                                              .shut = pair_shut,
                                              .watch = pair_watch};

/* ---- From outside ------------------------------------------------------------------------- */

static bool end_init(struct end *end, struct pair *pair, struct end *far, cs_loop *loop)
{
    struct mux_peer *peer = &end->link.peer;

    end->link.ops = &pair_ops;
    end->link.loop = loop;
    memcpy(end->link.addr, "local", sizeof "local");
    peer->addr = cs_str(end->link.addr);
    peer->uid = peer->gid = peer->pid = -1;
    end->pair = pair;
    end->far = far;
    cs_task_init(&end->task, deliver);
    return mux__ring_init(&end->in) == CS_OK;
}

cs_err mux__link_pair(cs_loop *loop, mux__link *ret[2])
{
    struct pair *pair = cs_zalloc(sizeof *pair);
    struct end *a, *b;

    if (!pair)
        return CS_ENOMEM;
    a = &pair->ends[0];
    b = &pair->ends[1];
    pair->holders = 1;
    if (!end_init(a, pair, b, loop) || !end_init(b, pair, a, loop)) {
        let_go(pair);
        return CS_ENOMEM;
    }
    pair->holders = 2;
    ret[0] = &a->link;
    ret[1] = &b->link;
    return CS_OK;
}

void mux__link_pair_swallow(mux__link *link)
{
    struct pair *pair = of(link)->pair;

    pair->swallows = true;
    for (int i = 0; i < 2; i++)
        if (can(&pair->ends[i]))
            post(&pair->ends[i]); /* a writer that waited has all the room there is */
}

void mux__link_pair_break(mux__link *link)
{
    struct pair *pair = of(link)->pair;

    pair->broken = true;
    for (int i = 0; i < 2; i++)
        if (can(&pair->ends[i]))
            post(&pair->ends[i]);
}
