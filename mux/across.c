/* across -- a link in memory whose two ends live on two loops, and the connection over it.
 *
 *     write: lock, into the other end's ring, knock at its loop      } a knock that was not heard
 *     read:  lock, out of ours, knock if the other waits for room    } yet is not repeated
 *
 * What a loop knows of its end alone (ready, user, task) is touched by its thread alone; all else is
 * under the lock. */
#include "mux/across.h"

#include "mux/mux__in.h"
#include "mux/ring__in.h"

#include <pthread.h>

struct across;

struct end {
    mux__link link;
    struct across *across;
    struct end *far;
    cs_task task;
    cs_knock knock;
    struct mux__ring in; /* on their way to this end */
    bool is_freed, wants_read, wants_write;
};

struct across {
    pthread_mutex_t lock;
    struct end ends[2];
    int holders; /* ends that are not freed, and callbacks under way */
};

static struct end *of(mux__link *link)
{
    return CS_CONTAINER(link, struct end, link);
}

/* ---- Under the lock -------------------------------------------------------------------------- */

static int can(const struct end *end)
{
    const struct mux__ring *out = &end->far->in;
    int what = 0;

    if (end->wants_read && (end->in.len > 0 || end->far->is_freed))
        what |= CS_IO_READ;
    if (end->wants_write && (end->far->is_freed || out->len < out->limit))
        what |= CS_IO_WRITE;
    return what;
}

static void knock_at(struct end *end)
{
    if (!end->is_freed)
        cs_loop_knock(end->link.loop, &end->knock);
}

/* ---- The end's own thread --------------------------------------------------------------------- */

static void post(struct end *end)
{
    cs_task_post(end->link.loop, CS_IO, &end->task);
}

static void let_go(struct across *across)
{
    bool last;

    pthread_mutex_lock(&across->lock);
    last = --across->holders == 0;
    pthread_mutex_unlock(&across->lock);
    if (!last)
        return;
    for (int i = 0; i < 2; i++)
        mux__ring_fini(&across->ends[i].in);
    pthread_mutex_destroy(&across->lock);
    cs_free(across);
}

/* Its readiness is a level, as a socket's. */
static void deliver(cs_task *task)
{
    struct end *end = CS_CONTAINER(task, struct end, task);
    struct across *across = end->across;
    int what;
    bool more;

    pthread_mutex_lock(&across->lock);
    what = can(end);
    across->holders++;
    pthread_mutex_unlock(&across->lock);
    if (what && end->link.ready)
        end->link.ready(what, end->link.user);
    pthread_mutex_lock(&across->lock);
    more = what && !end->is_freed && can(end);
    pthread_mutex_unlock(&across->lock);
    if (more)
        post(end);
    let_go(across);
}

static void heard(cs_knock *knock)
{
    post(CS_CONTAINER(knock, struct end, knock));
}

/* ---- The table -------------------------------------------------------------------------------- */

static cs_err across_read(mux__link *link, void *to, size_t room, size_t *ret)
{
    struct end *end = of(link);
    cs_err err = CS_AGAIN;

    pthread_mutex_lock(&end->across->lock);
    if (end->in.len > 0 && room > 0) {
        *ret = room < end->in.len ? room : end->in.len;
        mux__ring_get(&end->in, to, *ret);
        err = CS_OK;
        if (end->far->wants_write)
            knock_at(end->far);
    } else if (end->far->is_freed) {
        err = CS_DONE;
    }
    pthread_mutex_unlock(&end->across->lock);
    return err;
}

static cs_err across_write(mux__link *link, const struct iovec *iov, int iov_len, size_t *ret)
{
    struct end *end = of(link);
    cs_err err = CS_AGAIN;
    size_t taken = 0;

    pthread_mutex_lock(&end->across->lock);
    if (end->far->is_freed)
        err = CS_EPEER;
    else
        taken = mux__ring_put_all(&end->far->in, iov, iov_len);
    if (taken > 0) {
        *ret = taken;
        err = CS_OK;
        knock_at(end->far);
    }
    pthread_mutex_unlock(&end->across->lock);
    return err;
}

static void across_want(mux__link *link, bool read, bool write)
{
    struct end *end = of(link);
    bool now;

    pthread_mutex_lock(&end->across->lock);
    end->wants_read = read;
    end->wants_write = write;
    now = can(end);
    pthread_mutex_unlock(&end->across->lock);
    if (now)
        post(end);
}

static void across_free(mux__link *link)
{
    struct end *end = of(link);

    cs_task_drop(&end->task);
    pthread_mutex_lock(&end->across->lock);
    end->is_freed = true;
    end->wants_read = end->wants_write = false;
    knock_at(end->far);
    pthread_mutex_unlock(&end->across->lock);
    cs_knock_drop(end->link.loop, &end->knock); /* nobody knocks there any more */
    let_go(end->across);
}

static const struct mux__link_ops across_ops = {
    .read = across_read, .write = across_write, .want = across_want, .free = across_free};

static cs_err end_init(struct end *end, struct across *across, struct end *far, cs_loop *loop)
{
    struct mux_peer *peer = &end->link.peer;

    end->link.ops = &across_ops;
    end->link.loop = loop;
    memcpy(end->link.addr, "local", sizeof "local");
    peer->addr = cs_str(end->link.addr);
    peer->uid = peer->gid = peer->pid = -1;
    end->across = across;
    end->far = far;
    cs_task_init(&end->task, deliver);
    cs_knock_init(&end->knock, heard);
    return mux__ring_init(&end->in);
}

/* As mux__link_pair(), of two loops: each end belongs to the thread of its own. */
static cs_err link_across(cs_loop *near, cs_loop *far, mux__link *ret[2])
{
    struct across *across = cs_zalloc(sizeof *across);
    struct end *a, *b;

    if (!across)
        return CS_ENOMEM;
    a = &across->ends[0];
    b = &across->ends[1];
    if (pthread_mutex_init(&across->lock, NULL) != 0) {
        cs_free(across);
        return CS_ENOMEM;
    }
    across->holders = 1;
    if (end_init(a, across, b, near) != CS_OK || end_init(b, across, a, far) != CS_OK) {
        let_go(across);
        return CS_ENOMEM;
    }
    across->holders = 2;
    ret[0] = &a->link;
    ret[1] = &b->link;
    return CS_OK;
}

/* ---- The connection ---------------------------------------------------------------------------- */

struct mux__there {
    cs_loop *loop;
    mux_handlers *handlers; /* of that loop: only looked at there */
};

struct newcomer {
    mux__link *link;
    mux_handlers *handlers;
    struct mux_options options;
};

/* On the other loop.  If it is not taken its far end hears that this one is gone. */
static void arrive(void *user)
{
    struct newcomer *n = user;

    if (n->handlers->across_ended ||
        mux__conn_accept(n->link->loop, n->link, &n->options, n->handlers,
                         &n->handlers->across_conns, NULL) != CS_OK)
        mux__link_free(n->link);
    cs_free(n);
}

static cs_err dial_across(mux_conn *conn)
{
    const struct mux__there *there = conn->front->there;
    struct newcomer *n = cs_zalloc(sizeof *n);
    mux__link *ends[2];
    cs_err err;

    if (!n)
        return CS_ENOMEM;
    if ((err = link_across(conn->loop, there->loop, ends)) != CS_OK) {
        cs_free(n);
        return err;
    }
    *n = (struct newcomer){ends[1], there->handlers, conn->opt};
    if ((err = cs_loop_call(there->loop, arrive, n)) != CS_OK) {
        cs_free(n);
        mux__link_free(ends[0]);
        mux__link_free(ends[1]);
        return err;
    }
    mux__conn_dialed(conn, ends[0], NULL);
    return CS_OK;
}

cs_err mux_dial_across(cs_loop *loop, const struct mux_options *options, cs_loop *there,
                       mux_handlers *handlers, mux_conn **ret)
{
    struct mux_options own = *options;
    mux_conn *conn;
    cs_err err;

    own.tls = NULL;
    own.ping_interval_ms = own.connection_age_ms = own.connections_max = CS_OFF;
    own.stall_timeout_ms = CS_OFF;        /* who has the call sees to that, */
    own.connection_memory_bytes = CS_OFF; /* and to this */
    if ((err = mux__conn_new(loop, &own, false, &conn)) != CS_OK)
        return err;
    conn->front->dial = dial_across;
    conn->front->there = cs_alloc(sizeof *conn->front->there);
    conn->authority = cs_strdup("local");
    if (!conn->front->there || !conn->authority) {
        mux_conn_free(conn);
        return CS_ENOMEM;
    }
    *conn->front->there = (struct mux__there){there, handlers};
    if ((err = mux__conn_dial(conn)) != CS_OK)
        mux_conn_free(conn);
    else
        *ret = conn;
    return err;
}

const struct mux_stats *mux_handlers_across(mux_handlers *handlers)
{
    return &handlers->across_stats;
}

bool mux_stream_is_across(const mux_stream *stream)
{
    return stream->conn->is_across;
}
