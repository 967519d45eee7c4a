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
    if (link)
        mux__conn_up(conn, link);
    else
        mux__conn_lost(conn, CS_EREFUSED, why);
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

static cs_err dial_addr(mux_conn *conn)
{
    return mux__dial_new(conn->loop, conn->addr, conn->opt.dial_timeout_ms, lowat(conn), on_dialed,
                         conn, &conn->dial);
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
        err = mux__conn_dial(conn);
    if (err == CS_OK)
        *ret = conn;
    else
        mux_conn_free(conn);
    return err;
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
    err = mux__conn_accept(conn->loop, ends[1], &front->local_options, front->local,
                           &front->local->local_conns, NULL);
    if (err == CS_OK)
        mux__conn_dialed(conn, ends[0], NULL);
    else
        for (int i = 0; i < 2; i++)
            mux__link_free(ends[i]);
    return err;
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
    err = conn->authority ? mux__conn_dial(conn) : CS_ENOMEM;
    if (err == CS_OK)
        *ret = conn;
    else
        mux_conn_free(conn);
    return err;
}

static void each_link(mux_conn *conn, void (*fn)(mux__link *end))
{
    for (; conn; conn = mux__front_next(conn->front, conn))
        if (conn->link)
            fn(conn->link);
}

void mux_conn_swallow(mux_conn *conn)
{
    each_link(conn, mux__link_pair_swallow);
}

void mux_conn_break(mux_conn *conn)
{
    each_link(conn, mux__link_pair_break);
}
