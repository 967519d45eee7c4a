/* wire -- see foreign.h: a connection whose first bytes are none of HTTP/2.
 *
 *     sniffs ──▶ HTTP/2
 *        └─────▶ wire ──▶ moved to its loop, if need be ──▶ accepted ──▶ over ──▶ end() ──▶ gone
 *
 * The connection (conn.c) stays what it was: in its port's list, counted, with its timer and its end.
 * Only what is read and written on it is somebody else's.  As on a stream, what happens is noted and
 * told by the call task. */
#include "mux/across.h"
#include "mux/mux__in.h"

#include "base/ref.h"

enum {
    PREFACE_LEN = 24,
    LINGER_MS = 1000, /* for a peer that hangs up when he has read our last word, */
    OUT_MS = 30000,   /* and for that to go out */
    PIECES = 16
};

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"; /* RFC 9113, 3.4 */

struct mux_wire {
    mux_conn *conn;
    const struct mux_wire_ops *ops;
    void *state;
    cs_task call;
    struct cs_buf early; /* what was read to find out, from `at` on */
    size_t at;
    cs_timer *linger; /* NULL before mux_wire_finish() */
    int64_t finished_ms;
    cs_err why;
    bool accepted, owns_state, is_tls;
    bool reading;   /* wanted */
    bool heard_end; /* the peer's last word was taken */
    bool can_read;  /* as far as we know */
    bool can_write; /* to be told */
    bool waits;     /* for room to write */
    bool roll_due;  /* to be told */
    bool finishing;
    bool out; /* our last word has gone, and our half is closed */
    bool over;
};

static void call(cs_task *task);
static void on_ready(int can, void *user);

/* ---- What it speaks --------------------------------------------------------------------------- */

bool mux__wire_may_come(const mux_conn *conn)
{
    return conn->is_server && !conn->is_across && conn->handlers->wires &&
           (!conn->link->is_tls || conn->link->is_http1);
}

bool mux__is_token(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c));
}

/* The byte at `at`, behind as much of the preface. */
static bool may_be_http1(size_t at, uint8_t c)
{
    if (c == '\r' || c == '\n' || mux__is_token(c))
        return true;
    return at > 0 && c >= ' ' && c <= '~';
}

static mux_wire *wire_new(mux_conn *conn, cs_bytes before, cs_bytes early)
{
    mux_wire *wire = cs_zalloc(sizeof *wire);

    if (!wire)
        return NULL;
    if (cs_buf_add(&wire->early, before) != CS_OK || cs_buf_add(&wire->early, early) != CS_OK) {
        cs_buf_fini(&wire->early);
        cs_free(wire);
        return NULL;
    }
    wire->conn = conn;
    wire->reading = true;
    cs_task_init(&wire->call, call);
    return wire;
}

static void post(mux_wire *wire)
{
    cs_task_post(wire->conn->loop, CS_CALL, &wire->call);
}

static void begin(mux_wire *wire)
{
    mux_conn *conn = wire->conn;
    const bool was_due = conn->roll == MUX__DUE;

    conn->wire = wire;
    conn->sniffs = false;
    wire->is_tls = conn->link->is_tls;
    cs_task_drop(&conn->flush);
    conn->idle_ms = cs_loop_now_ms(conn->loop);
    mux__link_listen(conn->link, on_ready, wire);
    mux__link_want(conn->link, false, false); /* until it is accepted */
    if (was_due)
        conn->roll = MUX__OPEN;
    if (was_due)
        mux_conn_roll(conn);
    post(wire);
}

cs_err mux__wire_sniff(mux_conn *conn, const uint8_t *bytes, size_t len)
{
    size_t n = 0, at = conn->prefix;
    mux_wire *wire;

    while (n < len && at < PREFACE_LEN && bytes[n] == (uint8_t)PREFACE[at])
        n++, at++;
    if (at == PREFACE_LEN || (n < len && !may_be_http1(at, bytes[n]))) {
        if (at == PREFACE_LEN && conn->link->is_http1)
            return CS_EPROTO;
        conn->sniffs = false;
        mux__roll_met(conn);
        return CS_OK;
    }
    if (n == len) {
        conn->prefix = (uint8_t)at;
        return CS_OK;
    }
    wire = wire_new(conn, cs_bytes_of(PREFACE, conn->prefix), cs_bytes_of(bytes, len));
    if (!wire)
        return CS_ENOMEM;
    mux__h2_free(conn);
    cs_block_drop(conn->block);
    conn->block = NULL;
    begin(wire);
    return CS_DONE;
}

/* ---- To another loop -------------------------------------------------------------------------- */

struct moved {
    mux__link *link;
    cs_loop *loop;
    mux_handlers *handlers;
    struct mux_options options;
    struct cs_buf early;
};

static void moved_free(struct moved *m)
{
    mux__link_free(m->link);
    cs_buf_fini(&m->early);
    cs_free(m);
}

/* What accepting one is, but that it was one already: counted as having come once. */
static cs_err settle_in(struct moved *m, struct mux__peer_count *of_peer)
{
    mux_handlers *handlers = m->handlers;
    mux_conn *conn;
    mux_wire *wire;
    cs_err err = mux__conn_new(m->loop, &m->options, true, &conn);

    if (err != CS_OK)
        return err;
    wire = wire_new(conn, cs_bytes_of(m->early.base, m->early.len), (cs_bytes){NULL, 0});
    if (!wire) {
        mux_conn_free(conn);
        return CS_ENOMEM;
    }
    conn->handlers = handlers;
    handlers->refs++;
    conn->stats = &handlers->stats;
    conn->gzip = &handlers->gzip;
    cs_list_push(&handlers->local_conns, &conn->link_in);
    mux__conn_up(conn, m->link);
    conn->stats->connections_total--;
    m->link = NULL;
    mux__peer_give(conn, of_peer);
    begin(wire);
    return CS_OK;
}

static void arrive(void *user)
{
    struct moved *m = user;
    struct mux__peer_count *of_peer = NULL;

    if (!m->handlers->local_ended && !mux__handlers_are_full(m->handlers) &&
        m->link->ops->join(m->link, m->loop) == CS_OK &&
        mux__peer_enter(m->handlers, m->link, &of_peer) == CS_OK && settle_in(m, of_peer) != CS_OK)
        mux__peer_leave(m->handlers, of_peer);
    moved_free(m);
}

/* The connection ends here without a word.  Without memory it does so for good. */
static void move(mux_wire *wire)
{
    mux_conn *conn = wire->conn;
    const mux_handlers *handlers = conn->handlers;
    struct moved *m = conn->link->ops->leave ? cs_zalloc(sizeof *m) : NULL;

    if (m) {
        conn->link->ops->leave(conn->link);
        *m = (struct moved){conn->link, handlers->wires_loop, handlers->wires_to, conn->opt,
                            wire->early};
        wire->early = (struct cs_buf){0};
        conn->link = NULL;
        if (cs_loop_call(m->loop, arrive, m) != CS_OK)
            moved_free(m);
    }
    mux__conn_lost(conn, CS_DONE, "it went to another loop");
}

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

static void on_ready(int can, void *user)
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
    post(wire);
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
    post(wire);
}

void mux__wire_roll(mux_wire *wire)
{
    wire->roll_due = true;
    post(wire);
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
        move(wire);
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
        post(wire);
}

static void call(cs_task *task)
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
        post(wire);
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

void mux_handlers_send_wires(mux_handlers *handlers, cs_loop *there, mux_handlers *to)
{
    handlers->wires_loop = there;
    handlers->wires_to = to;
}
