/* conn1_out -- what goes out: the transport of answers, and the wire's side of it. */
#include "gateway/conn1__in.h"

/* ---- To the wire ------------------------------------------------------------------------------ */

static void is_sent(struct gateway__conn1 *conn)
{
    conn->out.len = conn->out_at = 0;
    if (!conn->request)
        cs_buf_fini(&conn->out);
    if (conn->last) {
        conn->over = true;
        mux_wire_finish(conn->wire);
    }
}

void gateway__conn1_flush(struct gateway__conn1 *conn)
{
    cs_bytes piece = cs_bytes_of(conn->out.base + conn->out_at, gateway__conn1_unsent(conn));
    size_t taken = 0;
    cs_err err = CS_OK;

    if (conn->over || conn->blocked)
        return;
    if (piece.len > 0)
        err = mux_wire_send(conn->wire, &piece, 1, &taken);
    conn->out_at += taken;
    conn->blocked = err == CS_AGAIN;
    if (taken > 0 && conn->patience == GATEWAY__ROOM)
        conn->patience = GATEWAY__NONE; /* he reads: the time begins anew */
    if (err == CS_OK)
        is_sent(conn);
    else if (err != CS_AGAIN)
        conn->over = true;
    if (err == CS_OK && !conn->over)
        cs_task_post(conn->gateway->loop, CS_CALL, &conn->call);
    gateway__conn1_await(conn);
}

static void post_flush(struct gateway__conn1 *conn)
{
    cs_task_post(conn->gateway->loop, CS_FLUSH, &conn->flush);
}

void gateway__conn1_say(struct gateway__conn1 *conn, const char *text)
{
    if (cs_buf_add(&conn->out, cs_str(text)) == CS_OK)
        post_flush(conn);
    else
        gateway__conn1_cancel(conn, CS_ENOMEM);
}

void gateway__conn1_last(struct gateway__conn1 *conn)
{
    conn->last = true;
    post_flush(conn);
}

void gateway__conn1_cancel(struct gateway__conn1 *conn, cs_err why)
{
    if (conn->over)
        return;
    conn->over = true;
    mux_wire_cancel(conn->wire, why);
    gateway__conn1_await(conn);
}

/* ---- The transport ---------------------------------------------------------------------------- */

/* An answer before the end of its request: what is missing is read only if it is here already, or
 * else an endless body would be read for nothing (RFC 9112, 9.3). */
static bool is_near(const struct gateway__conn1 *conn)
{
    return !conn->http1.chunked && conn->http1.left <= gateway__conn1_unread(conn);
}

static cs_err begin(void *carrier, const struct gateway__answer *answer)
{
    struct gateway__conn1 *conn = carrier;
    const bool counts = answer->length >= 0 && answer->status != 204 && answer->status != 304;
    const bool open = answer->length < 0 && !answer->bare;
    struct gateway__http1_answer said = {.status = answer->status,
                                         .fields = answer->headers,
                                         .fields_len = answer->headers_len,
                                         .length = counts ? answer->length : -1,
                                         .chunked = open && conn->minor > 0,
                                         .old = conn->minor == 0};

    if (conn->over)
        return CS_EPEER;
    /* To HTTP/1.0 a body without a length ends with the connection. */
    said.closes = !conn->keeps || conn->deaf || conn->rolled || (conn->in_body && !is_near(conn)) ||
                  (open && !said.chunked);
    if (gateway__http1_say(&conn->out, &said, time(NULL)) != CS_OK)
        return CS_ENOMEM;
    conn->begun = true;
    conn->chunked = said.chunked;
    conn->closes = said.closes;
    post_flush(conn);
    return CS_OK;
}

static cs_err write_piece(void *carrier, cs_bytes piece)
{
    struct gateway__conn1 *conn = carrier;

    if (conn->over)
        return CS_EPEER;
    if (gateway__conn1_unsent(conn) > 0 &&
        gateway__conn1_unsent(conn) + piece.len > GATEWAY__OUT_MAX) {
        conn->wants_room = true;
        return CS_AGAIN;
    }
    if (conn->out_at > 0) {
        memmove(conn->out.base, conn->out.base + conn->out_at, gateway__conn1_unsent(conn));
        conn->out.len -= conn->out_at;
        conn->out_at = 0;
    }
    post_flush(conn);
    return gateway__http1_say_piece(&conn->out, piece, conn->chunked);
}

static void part(struct gateway__conn1 *conn)
{
    conn->request = NULL;
    conn->wants_room = false;
    if (conn->closes)
        conn->last = true;
    post_flush(conn);
}

static void finish(void *carrier)
{
    struct gateway__conn1 *conn = carrier;

    /* Without a piece before it there may be no memory for it, and the client sees a body cut off. */
    if (conn->chunked && cs_buf_add(&conn->out, cs_str(GATEWAY__LAST_CHUNK)) != CS_OK)
        gateway__conn1_cancel(conn, CS_ENOMEM);
    part(conn);
}

/* An answer that has begun is cut: without its last chunk, or short of its length.  (Of one to HTTP/1.0
 * without a length nobody can tell.) */
static void break_off(void *carrier, cs_err why)
{
    struct gateway__conn1 *conn = carrier;

    conn->closes = true;
    part(conn);
    if (conn->begun) {
        gateway__conn1_flush(conn);
        gateway__conn1_cancel(conn, why);
    } else
        gateway__conn1_say(conn, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n"
                                 "connection: close\r\n\r\n");
}

const struct gateway__transport gateway__conn1_transport = {
    .begin = begin, .write = write_piece, .finish = finish, .abort = break_off};
