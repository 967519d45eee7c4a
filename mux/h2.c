/* h2 -- a session of nghttp2; see h2__in.h. */
#include "mux/h2__in.h"

/* ---- Memory --------------------------------------------------------------------------------- */

/* nghttp2 1.52 frees a DATA frame, remembers it and frees it again with its session, when its queue
 * found no memory to grow.  So once it was told that there is none, the first things it frees stay
 * until its next call, or its end. */
static void *noted(mux_conn *conn, void *p)
{
    if (!p)
        conn->h2_starves = true;
    return p;
}
static void *mem_malloc(size_t size, void *user)
{
    return noted(user, cs_alloc(size));
}
static void mem_free(void *p, void *user)
{
    mux_conn *conn = user;
    for (int i = 0; i < conn->h2_freed_len; i++)
        if (p == conn->h2_freed[i])
            return;
    if (conn->h2_starves && p && conn->h2_freed_len < MUX__FREED)
        conn->h2_freed[conn->h2_freed_len++] = p;
    else
        cs_free(p);
}
static void *mem_calloc(size_t n, size_t size, void *user)
{
    return noted(user, size && n > SIZE_MAX / size ? NULL : cs_zalloc(n * size));
}
static void *mem_realloc(void *p, size_t size, void *user)
{
    return noted(user, cs_realloc(p, size));
}
static void mem_settle(mux_conn *conn)
{
    conn->h2_starves = false;
    while (conn->h2_freed_len > 0)
        cs_free(conn->h2_freed[--conn->h2_freed_len]);
}

/* ---- A session ------------------------------------------------------------------------------ */

static nghttp2_session_callbacks *callbacks_new(void)
{
    nghttp2_session_callbacks *cb;
    if (nghttp2_session_callbacks_new(&cb) != 0)
        return NULL;
    mux__h2_hears(cb);
    mux__h2_speaks(cb);
    return cb;
}

static nghttp2_option *options_new(void)
{
    nghttp2_option *o;
    if (nghttp2_option_new(&o) != 0)
        return NULL;
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1); /* else every finished stream stays in memory */
    /* nghttp2's own limiter ends a connection after 1,000 resets, good client or not: cancelling
     * is normal here. */
    nghttp2_option_set_stream_reset_rate_limit(o, UINT64_C(1) << 40, UINT64_C(1) << 30);
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(o, 1); /* h2_head.c */
    nghttp2_option_set_max_continuations(o, SIZE_MAX); /* and its others are ours: calm.c */
    nghttp2_option_set_max_outbound_ack(o, SIZE_MAX);
    return o;
}

static int say_settings(mux_conn *conn)
{
    nghttp2_session *h2 = conn->h2;
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
         conn->is_server ? (uint32_t)conn->opt.streams_max : 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)conn->opt.window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)conn->opt.header_max_bytes},
        /* A server's equal streams take turns by RFC 9218, 10 (see mux__h2_answer), and the old
         * tree costs nothing.  A client's can be made equal in nghttp2 by the old tree alone. */
        {conn->is_server ? NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES : NGHTTP2_SETTINGS_ENABLE_PUSH,
         conn->is_server},
    };
    size_t n = sizeof entries / sizeof entries[0];
    int rv = nghttp2_submit_settings(h2, NGHTTP2_FLAG_NONE, entries, n);
    if (rv == 0)
        rv = nghttp2_session_set_local_window_size(h2, NGHTTP2_FLAG_NONE, 0, MUX__CONN_WINDOW);
    return rv;
}

cs_err mux__h2_new(mux_conn *conn)
{
    nghttp2_mem mem = {conn, mem_malloc, mem_free, mem_calloc, mem_realloc};
    nghttp2_session_callbacks *cb = callbacks_new();
    nghttp2_option *option = options_new();
    nghttp2_session *h2 = NULL;
    int rv = NGHTTP2_ERR_NOMEM;
    if (cb && option)
        rv = conn->is_server ? nghttp2_session_server_new3(&h2, cb, conn, option, &mem)
                             : nghttp2_session_client_new3(&h2, cb, conn, option, &mem);
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(option);
    if (rv != 0) {
        mem_settle(conn);
        return CS_ENOMEM;
    }
    conn->h2 = h2;
    mux__calm_begin(conn);
    mux__held_begin(conn);
    if (say_settings(conn) == 0)
        return CS_OK;
    mux__h2_free(conn);
    return CS_ENOMEM;
}

void mux__h2_free(mux_conn *conn)
{
    mux__h2_head_begins(conn);
    nghttp2_session_del(conn->h2);
    conn->h2 = NULL;
    mem_settle(conn);
}

cs_err mux__h2_feed(mux_conn *conn, const uint8_t *bytes, size_t len)
{
    mem_settle(conn);
    if (conn->calm.cut)
        return CS_OK; /* until the peer has read why, and hangs up */
    ssize_t n = nghttp2_session_mem_recv(conn->h2, bytes, len);
    if (n == NGHTTP2_ERR_NOMEM)
        return CS_ENOMEM;
    if (n >= 0)
        mux__calm_feed(conn, bytes, len);
    return n < 0 ? CS_EPROTO : CS_OK;
}

cs_err mux__h2_fill(mux_conn *conn)
{
    mem_settle(conn);
    int rv = nghttp2_session_send(conn->h2);
    if (!nghttp2_session_want_write(conn->h2))
        conn->windows_moved = false;
    if (rv == 0)
        return CS_OK;
    return rv == NGHTTP2_ERR_NOMEM ? CS_ENOMEM : CS_EPROTO;
}

bool mux__h2_is_over(const mux_conn *conn)
{
    return !nghttp2_session_want_read(conn->h2) && !nghttp2_session_want_write(conn->h2);
}

bool mux__h2_has_more(const mux_conn *conn)
{
    return nghttp2_session_want_write(conn->h2);
}

int64_t mux__h2_waiting(const mux_conn *conn)
{
    enum { FRAME = 512 }; /* with what an ended stream has until its last word is written */
    return conn->held.said + FRAME * (int64_t)nghttp2_session_get_outbound_queue_size(conn->h2);
}

uint32_t mux__h2_streams_max(const mux_conn *conn)
{
    return nghttp2_session_get_remote_settings(conn->h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

void mux__h2_ping(mux_conn *conn)
{
    nghttp2_submit_ping(conn->h2, NGHTTP2_FLAG_NONE, NULL);
}

void mux__h2_goodbye(mux_conn *conn)
{
    nghttp2_session_terminate_session(conn->h2, NGHTTP2_NO_ERROR);
}

void mux__h2_breach(mux_conn *conn, uint32_t error)
{
    mux__h2_must(conn, nghttp2_session_terminate_session(conn->h2, error));
}

void mux__h2_must(mux_conn *conn, int rv)
{
    if (rv != NGHTTP2_ERR_NOMEM)
        return;
    conn->failed = true;
    cs_task_post(conn->loop, CS_FLUSH, &conn->flush);
}

void mux__h2_enough(mux_conn *conn, const char *why)
{
    mux__h2_must(conn, nghttp2_submit_goaway(conn->h2, NGHTTP2_FLAG_NONE,
                                             nghttp2_session_get_last_proc_stream_id(conn->h2),
                                             NGHTTP2_ENHANCE_YOUR_CALM, (const uint8_t *)why,
                                             strlen(why)));
}

void mux__h2_notice(mux_conn *conn)
{
    mux__h2_must(conn, nghttp2_submit_shutdown_notice(conn->h2)); /* the PING: on_frame_send */
}

uint32_t mux__h2_last(mux_conn *conn)
{
    int32_t id = nghttp2_session_get_last_proc_stream_id(conn->h2);
    mux__h2_must(conn,
                 nghttp2_submit_goaway(conn->h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR, NULL, 0));
    return (uint32_t)id;
}

int64_t mux__h2_conn_window(const mux_conn *conn)
{
    return nghttp2_session_get_remote_window_size(conn->h2);
}
