/* wire_begin -- how a connection turns out to be a wire, and comes to the loop where it is one. */
#include "mux/across.h"
#include "mux/wire__in.h"

#include "base/ref.h"

enum { PREFACE_LEN = 24 };

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"; /* RFC 9113, 3.4 */

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

/* The byte at `at`, behind as much of the preface.  Whoever wants TLS would not read an answer. */
static bool begins_tls(size_t at, uint8_t c)
{
    return at == 0 && c == 0x16; /* a record of a handshake: RFC 8446, 5.1 */
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
    cs_task_init(&wire->call, mux__wire_call);
    return wire;
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
    mux__link_listen(conn->link, mux__wire_ready, wire);
    mux__link_want(conn->link, false, false); /* until it is accepted */
    if (was_due)
        conn->roll = MUX__OPEN;
    if (was_due)
        mux_conn_roll(conn);
    mux__wire_post(wire);
}

cs_err mux__wire_sniff(mux_conn *conn, const uint8_t *bytes, size_t len)
{
    size_t n = 0, at = conn->prefix;
    mux_wire *wire;

    while (n < len && at < PREFACE_LEN && bytes[n] == (uint8_t)PREFACE[at])
        n++, at++;
    if (at == PREFACE_LEN || (n < len && begins_tls(at, bytes[n]))) {
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
    struct mux__peer_count *of_peer; /* it is counted there as here; or NULL */
};

static void moved_free(struct moved *m)
{
    mux__peer_leave(m->handlers, m->of_peer);
    mux__link_free(m->link);
    cs_buf_fini(&m->early);
    cs_free(m);
}

/* What accepting one is, but that it was one already: counted as having come once. */
static cs_err settle_in(struct moved *m)
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
    mux__peer_give(conn, m->of_peer);
    m->of_peer = NULL;
    begin(wire);
    return CS_OK;
}

static void arrive(void *user)
{
    struct moved *m = user;

    if (!m->handlers->local_ended && (m->of_peer || !mux__handlers_are_full(m->handlers)) &&
        m->link->ops->join(m->link, m->loop) == CS_OK &&
        (m->of_peer || mux__peer_enter(m->handlers, m->link, &m->of_peer) == CS_OK))
        (void)settle_in(m); /* or it is gone */
    moved_free(m);
}

/* The connection ends here without a word.  Without memory it does so for good. */
void mux__wire_move(mux_wire *wire)
{
    mux_conn *conn = wire->conn;
    const mux_handlers *handlers = conn->handlers;
    struct moved *m = conn->link->ops->leave ? cs_zalloc(sizeof *m) : NULL;

    if (m) {
        conn->link->ops->leave(conn->link);
        *m = (struct moved){conn->link, handlers->wires_loop, handlers->wires_to,
                            conn->opt,  wire->early,          NULL};
        wire->early = (struct cs_buf){0};
        conn->link = NULL;
        if (m->handlers->peers == handlers->peers) {
            m->of_peer = conn->of_peer;
            conn->of_peer = NULL;
        }
        if (cs_loop_call(m->loop, arrive, m) != CS_OK)
            moved_free(m);
    }
    mux__conn_lost(conn, CS_DONE, "it went to another loop");
}

void mux_handlers_send_wires(mux_handlers *handlers, cs_loop *there, mux_handlers *to)
{
    handlers->wires_loop = there;
    handlers->wires_to = to;
}
