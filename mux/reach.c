/* reach -- how a client's connection gets its link: dialed, or made inside the process. */
#include "mux/local.h"
#include "mux/mux__in.h"

cs_err mux__conn_dial(mux_conn *conn)
{
    if (!conn->front->dial)
        return CS_EREFUSED;
    cs_err err = mux__h2_new(conn);
    if (err != CS_OK)
        return err;
    conn->state = MUX__DIALING;
    conn->dialed_ms = cs_loop_now_ms(conn->loop);
    err = conn->front->dial(conn);
    if (err != CS_OK) {
        conn->state = MUX__IDLE;
        mux__h2_free(conn);
    }
    return err;
}

void mux__conn_dialed(mux_conn *conn, mux__link *link, const char *why)
{
    mux__dial_free(conn->dial);
    conn->dial = NULL;
    if (!link)
        mux__conn_lost(conn, CS_EREFUSED, why);
    else if (mux__conn_begin(conn, link, conn->front->tls) != CS_OK) {
        mux__link_free(link);
        mux__conn_lost(conn, CS_ENOMEM, "no memory for a connection");
    }
}

/* What is wrong with the files is told to each call: mux_dial() has no words. */
static cs_err load_tls(mux_conn *conn, const char *host)
{
    struct mux__front *front = conn->front;
    const struct mux_tls *options = conn->opt.tls;
    char words[MUX__TLS_WORDS];
    conn->opt.tls = NULL; /* it may be gone soon */
    if (!options)
        return CS_OK;
    cs_err err = mux__tls_new(options, false, host, &front->tls, words, sizeof words);
    if (err != CS_EINVAL && err != CS_ESYS)
        return err;
    front->tls_words = cs_strdup(words);
    return front->tls_words ? CS_OK : CS_ENOMEM;
}

/* ---- An address ----------------------------------------------------------------------------- */

static void on_dialed(mux__link *link, const char *why, void *user)
{
    mux__conn_dialed(user, link, why);
}

/* How much the kernel may hold back before it wakes us: a quarter of what a stream may come to. */
static size_t lowat(const mux_conn *conn)
{
    int64_t window =
        conn->opt.window_max_bytes == CS_OFF ? conn->opt.window_bytes : conn->opt.window_max_bytes;
    return window / 4 > 256 * 1024 ? 256 * 1024 : (size_t)(window / 4);
}

/* The end of making one: it dials, or what went wrong so far is all that there is of it. */
static cs_err begin(mux_conn *conn, cs_err err, mux_conn **ret)
{
    if (err == CS_OK)
        err = mux__conn_dial(conn);
    if (err == CS_OK)
        *ret = conn;
    else
        mux_conn_free(conn);
    return err;
}

static cs_err dial_addr(mux_conn *conn)
{
    cs_err err = mux__dial_new(conn->loop, conn->addr, conn->opt.dial_timeout_ms, lowat(conn),
                               on_dialed, conn, &conn->dial);
    if (err == CS_OK && conn->front->tls_words)
        mux__dial_refuse(conn->dial, conn->front->tls_words);
    return err;
}

cs_err mux_dial(cs_loop *loop, const char *addr, const struct mux_options *options, mux_conn **ret)
{
    struct mux__addr parsed;
    mux_conn *conn;
    cs_err err = mux__addr_parse(addr, &parsed);
    if (err != CS_OK)
        return err;
    if ((err = mux__conn_new(loop, options, false, &conn)) != CS_OK)
        return err;
    conn->front->dial = dial_addr;
    conn->addr = cs_strdup(addr);
    conn->authority = cs_strdup(parsed.is_unix ? "localhost" : addr);
    if (!conn->addr || !conn->authority)
        err = CS_ENOMEM;
    else
        err = load_tls(conn, parsed.is_unix ? "localhost" : parsed.host);
    return begin(conn, err, ret);
}

/* ---- Inside the process --------------------------------------------------------------------- */

static cs_err dial_local(mux_conn *conn)
{
    struct mux__front *front = conn->front;
    mux__link *ends[2];
    if (front->local->local_ended)
        return CS_EREFUSED;
    cs_err err = mux__link_pair(conn->loop, ends);
    if (err != CS_OK)
        return err;
    err = mux__conn_accept_tls(conn->loop, ends[1], front->local_tls, &front->local_options,
                               front->local, &front->local->local_conns, NULL);
    if (err == CS_OK)
        mux__conn_dialed(conn, ends[0], NULL);
    else
        for (int i = 0; i < 2; i++)
            mux__link_free(ends[i]);
    return err;
}

/* Where nobody listens in: TLS only if both sides ask for it. */
static cs_err load_local_tls(mux_conn *conn)
{
    struct mux__front *front = conn->front;
    const struct mux_tls *server = front->local_options.tls;
    front->local_options.tls = NULL;
    if (!server)
        conn->opt.tls = NULL;
    cs_err err = load_tls(conn, "localhost");
    if (err != CS_OK || (!front->tls && !front->tls_words))
        return err;
    return front->tls ? mux__tls_new(server, true, NULL, &front->local_tls, NULL, 0) : CS_EINVAL;
}

cs_err mux_dial_local(cs_loop *loop, const struct mux_options *client_options,
                      const struct mux_options *server_options, mux_handlers *handlers,
                      mux_conn **ret)
{
    mux_conn *conn;
    cs_err err = mux__conn_new(loop, client_options, false, &conn);
    if (err != CS_OK)
        return err;
    conn->front->dial = dial_local;
    conn->front->local = handlers;
    handlers->refs++;
    if (server_options)
        conn->front->local_options = *server_options;
    conn->authority = cs_strdup("local");
    err = conn->authority ? load_local_tls(conn) : CS_ENOMEM;
    return begin(conn, err, ret);
}

static void each_link(mux_conn *conn, void (*fn)(mux__link *end))
{
    for (; conn; conn = mux__front_next(conn->front, conn))
        if (conn->link)
            fn(conn->front->tls ? mux__tls_inner(conn->link) : conn->link);
}

void mux_conn_swallow(mux_conn *conn)
{
    each_link(conn, mux__link_pair_swallow);
}

void mux_conn_break(mux_conn *conn)
{
    each_link(conn, mux__link_pair_break);
}

void mux_conn_lose(mux_conn *conn)
{
    mux__conn_lost(conn, CS_EPEER, "the connection was reset");
}

void mux_conn_redirect(mux_conn *conn, mux_handlers *handlers)
{
    mux__handlers_drop(conn->front->local);
    conn->front->local = handlers;
    handlers->refs++;
}
