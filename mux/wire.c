/* wire -- see foreign.h: a connection whose first bytes are none of HTTP/2.
 *
 *     sniffs ──▶ HTTP/2
 *        └─────▶ wire ──▶ moved to its loop, if need be ──▶ accepted ──▶ over ──▶ end() ──▶ gone
 *
 * The connection (conn.c) stays what it was: in its port's list, counted, with its timer and its end.
 * Only what is read and written on it is somebody else's.  As on a stream, what happens is noted and
 * told by the call task. */
#include "mux/wire__in.h"

enum {
    LINGER_MS = 1000, /* for a peer that hangs up when he has read our last word, */
    OUT_MS = 30000,   /* and for that to go out */
    PIECES = 16
};

/* ---- What happens to it ----------------------------------------------------------------------- */

static void want(mux_wire *wire)
{
    const bool read = wire->finishing || (wire->reading && !wire->heard_end);

    if (wire->over)
        return;
    mux__link_watch(wire->conn->link, !read && !wire->heard_end);
    mux__link_want(wire->conn->link, read, wire->waits);
}

static void moves_bytes(mux_wire *wire)
{
    wire->conn->idle_ms = cs_loop_now_ms(wire->conn->loop);
}

static void lost(mux_wire *wire)
{
    mux__conn_lost(wire->conn, wire->finishing ? CS_DONE : CS_EPEER, "the peer left");
}

/* The last word goes out. */
static void say_last(mux_wire *wire)
{
    cs_err err = wire->out ? CS_OK : mux__link_shut(wire->conn->link);

    if (cs_failed(err)) {
        lost(wire);
        return;
    }
    wire->out = err == CS_OK;
    wire->waits = !wire->out;
    want(wire);
}

/* And what the peer still says is dropped.  Once he has hung up nothing is waited for but that. */
static void drop_input(mux_wire *wire)
{
    uint8_t waste[4096];
    size_t n = 0;
    cs_err err = CS_OK;

    for (int i = 0; i < MUX__READS * 4 && err == CS_OK; i++) {
        err = mux__link_read(wire->conn->link, waste, sizeof waste, &n);
        if (err == CS_OK) {
            wire->conn->stats->bytes_in += n;
            wire->conn->bytes_in += n;
        }
    }
    if (err == CS_DONE && !wire->out) {
        wire->heard_end = true;
        mux__link_want(wire->conn->link, false, true);
    } else if (err != CS_OK && err != CS_AGAIN) {
        lost(wire);
    }
}

void mux__wire_ready(int can, void *user)
{
    mux_wire *wire = user;

    if (can & CS_IO_GONE) {
        lost(wire);
        return;
    }
    if (can & CS_IO_WRITE) {
        wire->waits = false;
        wire->can_write = true;
        if (wire->finishing)
            say_last(wire);
        else
            want(wire);
    }
    if ((can & CS_IO_READ) && wire->finishing && !wire->over) {
        drop_input(wire);
        return;
    }
    wire->can_read = wire->can_read || (can & CS_IO_READ);
    mux__wire_post(wire);
}

static void on_linger(void *user)
{
    mux_wire *wire = user;
    int64_t waited = cs_loop_now_ms(wire->conn->loop) - wire->finished_ms;

    if (!wire->out && waited < OUT_MS)
        cs_timer_set(wire->linger, LINGER_MS);
    else
        mux__conn_lost(wire->conn, CS_DONE, "it was finished");
}

void mux__wire_over(mux_wire *wire, cs_err why)
{
    if (wire->over)
        return;
    wire->over = true;
    wire->why = why;
    if (wire->linger)
        cs_timer_set(wire->linger, CS_OFF);
    mux__wire_post(wire);
}

void mux__wire_roll(mux_wire *wire)
{
    wire->roll_due = true;
    mux__wire_post(wire);
}

/* ---- Telling it ------------------------------------------------------------------------------- */

static void wire_free(mux_wire *wire)
{
    mux_conn *conn = wire->conn;

    conn->wire = NULL;
    cs_task_drop(&wire->call);
    cs_timer_free(wire->linger);
    cs_buf_fini(&wire->early);
    if (wire->owns_state)
        cs_free(wire->state);
    cs_free(wire);
    mux__conn_stream_gone(conn);
}

static void offer(mux_wire *wire)
{
    mux_handlers *handlers = wire->conn->handlers;

    if (handlers->wires_to) {
        mux__wire_move(wire);
        return;
    }
    if (handlers->wires)
        handlers->wires(wire, handlers->wires_user);
    if (!wire->accepted && !wire->over)
        mux__conn_lost(wire->conn, CS_ENOTSUP, "nobody took it");
}

static bool has_early(const mux_wire *wire)
{
    return wire->at < wire->early.len;
}

static void tell_roll(mux_wire *wire)
{
    wire->roll_due = false;
    if (wire->ops->rolled)
        wire->ops->rolled(wire, wire->state);
    else
        mux__conn_lost(wire->conn, CS_EDRAIN, "it was rolled over");
}

static void tell_readable(mux_wire *wire)
{
    wire->can_read = false; /* the link tells again of what is left */
    if (wire->ops->readable)
        wire->ops->readable(wire, wire->state);
    if (has_early(wire) && wire->reading)
        mux__wire_post(wire);
}

void mux__wire_call(cs_task *task)
{
    mux_wire *wire = CS_CONTAINER(task, mux_wire, call);

    if (!wire->accepted && !wire->over)
        offer(wire);
    if (wire->roll_due && !wire->over && !wire->finishing)
        tell_roll(wire);
    if (wire->reading && (wire->can_read || has_early(wire)) && !wire->over && !wire->finishing)
        tell_readable(wire);
    if (wire->can_write && !wire->over && !wire->finishing) {
        wire->can_write = false;
        if (wire->ops->writable)
            wire->ops->writable(wire, wire->state);
    }
    if (!wire->over)
        return;
    if (wire->accepted)
        wire->ops->end(wire, wire->why, wire->state);
    wire_free(wire);
}

/* ---- Its calls -------------------------------------------------------------------------------- */

cs_err mux_wire_accept(mux_wire *wire, const struct mux_wire_ops *ops, void *state)
{
    if (wire->accepted || wire->over || !ops->end)
        return CS_EMISUSE;
    if (ops->state_bytes > 0) {
        void *copy = cs_zalloc(ops->state_bytes);

        if (!copy)
            return CS_ENOMEM;
        if (state)
            memcpy(copy, state, ops->state_bytes);
        state = copy;
        wire->owns_state = true;
    }
    wire->ops = ops;
    wire->state = state;
    wire->accepted = true;
    want(wire);
    return CS_OK;
}

static cs_err recv_early(mux_wire *wire, void *to, size_t size, size_t *n)
{
    const size_t left = wire->early.len - wire->at;

    *n = size < left ? size : left;
    memcpy(to, (const char *)wire->early.base + wire->at, *n);
    wire->at += *n;
    if (!has_early(wire)) {
        cs_buf_fini(&wire->early);
        wire->at = 0;
    }
    return CS_OK;
}

/* What it is no more fit for, or CS_OK. */
static cs_err ended(const mux_wire *wire)
{
    if (wire->over)
        return cs_failed(wire->why) ? wire->why : CS_ECANCELED;
    return wire->accepted && !wire->finishing ? CS_OK : CS_EMISUSE;
}

cs_err mux_wire_recv(mux_wire *wire, void *to, size_t size, size_t *n)
{
    cs_err err = ended(wire);

    if (err != CS_OK)
        return err;
    if (size == 0)
        return CS_AGAIN;
    if (has_early(wire))
        return recv_early(wire, to, size, n);
    if (wire->heard_end)
        return CS_DONE;
    err = mux__link_read(wire->conn->link, to, size, n);
    if (err == CS_OK) {
        wire->conn->stats->bytes_in += *n;
        wire->conn->bytes_in += *n;
        moves_bytes(wire);
    } else if (err == CS_DONE) {
        wire->heard_end = true;
        want(wire);
    } else if (err != CS_AGAIN) {
        mux__conn_lost(wire->conn, err == CS_ENOMEM ? err : CS_EPEER, "the peer left");
    }
    return err;
}

struct place { /* in the pieces that are sent */
    const cs_bytes *pieces;
    size_t left, at;
};

static int gather(const struct place *from, struct iovec iov[PIECES])
{
    int n = 0;

    for (size_t i = 0; i < from->left && n < PIECES; i++) {
        const size_t skip = i == 0 ? from->at : 0;

        if (from->pieces[i].len > skip)
            iov[n++] = (struct iovec){(char *)(uintptr_t)from->pieces[i].base + skip,
                                      from->pieces[i].len - skip};
    }
    return n;
}

static void skip(struct place *place, size_t n)
{
    while (place->left > 0 && n >= place->pieces->len - place->at) {
        n -= place->pieces->len - place->at;
        place->pieces++;
        place->left--;
        place->at = 0;
    }
    place->at += n;
}

cs_err mux_wire_send(mux_wire *wire, const cs_bytes *pieces, size_t pieces_len, size_t *taken)
{
    struct place place = {pieces, pieces_len, 0};
    struct iovec iov[PIECES];
    cs_err err = ended(wire);
    int len;

    *taken = 0;
    skip(&place, 0); /* leading ones of nothing */
    while (err == CS_OK && (len = gather(&place, iov)) > 0) {
        size_t n = 0;

        err = mux__link_write(wire->conn->link, iov, len, &n);
        if (err != CS_OK)
            break;
        wire->conn->stats->bytes_out += n;
        wire->conn->bytes_out += n;
        *taken += n;
        skip(&place, n);
    }
    if (*taken > 0)
        moves_bytes(wire);
    if (err == CS_AGAIN) {
        wire->waits = true;
        want(wire);
    } else if (err != CS_OK && !wire->over && !wire->finishing && wire->accepted) {
        mux__conn_lost(wire->conn, err == CS_ENOMEM ? err : CS_EPEER, "the peer left");
    }
    return err;
}

void mux_wire_want(mux_wire *wire, bool reading)
{
    if (!wire->accepted || wire->finishing || wire->reading == reading)
        return;
    wire->reading = reading;
    want(wire);
    if (reading && has_early(wire))
        mux__wire_post(wire);
}

void mux_wire_finish(mux_wire *wire)
{
    if (!wire->accepted || wire->over || wire->finishing)
        return;
    wire->finishing = true;
    wire->finished_ms = cs_loop_now_ms(wire->conn->loop);
    cs_buf_fini(&wire->early);
    wire->at = 0;
    say_last(wire);
    if (wire->over)
        return;
    if (cs_timer_new(wire->conn->loop, on_linger, wire, &wire->linger) == CS_OK)
        cs_timer_set(wire->linger, LINGER_MS);
    else
        mux__conn_lost(wire->conn, CS_DONE, "it was finished");
}

void mux_wire_cancel(mux_wire *wire, cs_err why)
{
    if (!wire->over)
        mux__conn_lost(wire->conn, why == CS_OK ? CS_ECANCELED : why, "it was cancelled");
}

const struct mux_peer *mux_wire_peer(const mux_wire *wire)
{
    return mux_conn_peer(wire->conn);
}

bool mux_wire_is_tls(const mux_wire *wire)
{
    return wire->is_tls;
}

void *mux_wire_state(const mux_wire *wire)
{
    return wire->state;
}

cs_loop *mux_wire_loop(const mux_wire *wire)
{
    return wire->conn->loop;
}

void mux_handlers_set_wire(mux_handlers *handlers, mux_wire_fn *accept, void *user)
{
    handlers->wires = accept;
    handlers->wires_user = user;
}
