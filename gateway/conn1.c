/* conn1 -- see conn1__in.h: what comes in, and who has waited long enough. */
#include "gateway/conn1__in.h"

/* ---- Patience --------------------------------------------------------------------------------- */

static enum gateway__patience patience(const struct gateway__conn1 *conn)
{
    if (conn->over)
        return GATEWAY__NONE;
    if (conn->blocked)
        return GATEWAY__ROOM;
    if (conn->request || conn->in_body || conn->last)
        return GATEWAY__NONE; /* the request has a time of its own */
    return gateway__http1_is_between(&conn->http1) ? GATEWAY__IDLE : GATEWAY__HEAD;
}

void gateway__conn1_await(struct gateway__conn1 *conn)
{
    const struct gateway_options *options = &conn->gateway->options;
    enum gateway__patience now = patience(conn);

    if (now == conn->patience)
        return;
    conn->patience = now;
    cs_timer_set(conn->timer, now == GATEWAY__NONE   ? CS_OFF
                              : now == GATEWAY__HEAD ? options->request_timeout_ms
                              : now == GATEWAY__ROOM ? options->stall_timeout_ms
                                                     : options->idle_timeout_ms);
}

/* ---- Requests --------------------------------------------------------------------------------- */

static cs_err request_new(struct gateway__conn1 *conn)
{
    conn->begun = conn->chunked = conn->wants_room = false;
    conn->patience = GATEWAY__NONE;
    return gateway__request_new(conn->gateway, &gateway__conn1_transport, conn,
                                mux_wire_peer(conn->wire), &conn->request);
}

static void no_memory(struct gateway__conn1 *conn)
{
    conn->deaf = true;
    gateway__conn1_say(conn, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n"
                             "connection: close\r\n\r\n");
    gateway__conn1_last(conn);
}

static void refuse(struct gateway__conn1 *conn, int status, const char *words)
{
    conn->deaf = true;
    if (!conn->request) {
        conn->minor = 1;
        if (request_new(conn) != CS_OK) {
            no_memory(conn);
            return;
        }
    }
    gateway__request_refuse(conn->request, status, words);
}

static cs_err copy_fields(const struct gateway__http1 *http1, size_t len, cs_pair **ret)
{
    cs_pair *fields = cs_alloc((len + 1) * sizeof *fields);

    if (!fields)
        return CS_ENOMEM;
    for (size_t i = 0; i < len; i++)
        fields[i] = gateway__http1_field(http1, i);
    *ret = fields;
    return CS_OK;
}

static void take_head(struct gateway__conn1 *conn, const struct gateway__http1_head *head)
{
    struct gateway__head asked = {.method = head->method,
                                  .target = head->target,
                                  .authority = head->authority,
                                  .fields_len = head->fields_len,
                                  .length = head->length,
                                  .is_tls = mux_wire_is_tls(conn->wire)};
    cs_pair *fields;

    conn->asked++;
    conn->minor = head->minor;
    conn->keeps = head->keeps;
    conn->in_body = true;
    if (copy_fields(&conn->http1, head->fields_len, &fields) != CS_OK) {
        no_memory(conn);
        return;
    }
    asked.fields = fields;
    if (request_new(conn) != CS_OK)
        no_memory(conn);
    else if (gateway__request_head(conn->request, &asked) && head->expects &&
             gateway__conn1_unread(conn) == 0)
        gateway__conn1_say(conn, "HTTP/1.1 100 Continue\r\n\r\n");
    cs_free(fields);
}

static void take(struct gateway__conn1 *conn, const struct gateway__http1_event *event)
{
    if (event->kind == GATEWAY__HTTP1_HEAD)
        take_head(conn, &event->head);
    else if (event->kind == GATEWAY__HTTP1_END)
        conn->in_body = false;
    if (!conn->request)
        return; /* answered already: the rest is dropped */
    if (event->kind == GATEWAY__HTTP1_BODY)
        gateway__request_body(conn->request, event->piece);
    else if (event->kind == GATEWAY__HTTP1_END)
        gateway__request_end(conn->request);
}

/* Is anything to be made of what comes now? */
static bool listens(struct gateway__conn1 *conn)
{
    if (conn->over || conn->last || conn->deaf)
        return false;
    if (conn->in_body)
        return true;
    if (conn->request || conn->blocked || gateway__conn1_unsent(conn) >= GATEWAY__OUT_MAX)
        return false;
    if (conn->asked >= GATEWAY__TURN_MAX) {
        cs_task_post(conn->gateway->loop, CS_CALL, &conn->call);
        return false;
    }
    if (!conn->rolled || !gateway__http1_is_between(&conn->http1) ||
        gateway__conn1_unread(conn) > 0)
        return true;
    gateway__conn1_last(conn);
    return false;
}

static void digest(struct gateway__conn1 *conn)
{
    struct gateway__http1_event event;

    cs_err err = CS_OK;

    while (err == CS_OK && listens(conn)) {
        cs_bytes rest = cs_bytes_of(conn->in.base + conn->in_at, gateway__conn1_unread(conn));
        err = gateway__http1_next(&conn->http1, &rest, &event);
        conn->in_at = conn->in.len - rest.len;
        if (err == CS_OK)
            take(conn, &event);
        else if (err != CS_AGAIN)
            refuse(conn, conn->http1.status, conn->http1.words);
    }
    if (gateway__conn1_unread(conn) == 0) {
        cs_buf_fini(&conn->in);
        conn->in_at = 0;
    }
}

/* ---- The wire --------------------------------------------------------------------------------- */

/* Room for more: nothing once `in` is full. */
static cs_err make_room(struct gateway__conn1 *conn, size_t *ret)
{
    if (conn->in_at > 0) {
        memmove(conn->in.base, conn->in.base + conn->in_at, gateway__conn1_unread(conn));
        conn->in.len -= conn->in_at;
        conn->in_at = 0;
    }
    if (conn->last || conn->deaf)
        conn->in.len = 0; /* nobody will look at it */
    *ret = GATEWAY__IN_MAX - conn->in.len;
    return cs_buf_reserve(&conn->in, *ret);
}

/* Who closes his half has left if an answer is due, as he might: it cannot be told from leaving. */
static void heard_end(struct gateway__conn1 *conn)
{
    if (conn->request || (conn->in_body && !conn->last))
        gateway__conn1_cancel(conn, CS_EPEER);
    else
        gateway__conn1_last(conn);
}

static void settle(struct gateway__conn1 *conn)
{
    if (conn->over)
        return;
    mux_wire_want(conn->wire,
                  gateway__conn1_unread(conn) < GATEWAY__IN_MAX || conn->last || conn->deaf);
    gateway__conn1_await(conn);
}

static void readable(mux_wire *wire, void *state)
{
    enum { READS = 4 }; /* a turn */
    struct gateway__conn1 *conn = state;
    cs_err err = CS_OK;

    for (int i = 0; i < READS && err == CS_OK && !conn->over; i++) {
        size_t room, len;
        if (make_room(conn, &room) != CS_OK) {
            gateway__conn1_cancel(conn, CS_ENOMEM);
            return;
        }
        if (room == 0)
            break;
        err = mux_wire_recv(wire, conn->in.base + conn->in.len, room, &len);
        if (err == CS_OK) {
            conn->in.len += len;
            digest(conn);
        } else if (err == CS_DONE)
            heard_end(conn);
        else if (err != CS_AGAIN)
            conn->over = true;
    }
    settle(conn);
}

static void writable(mux_wire *wire, void *state)
{
    struct gateway__conn1 *conn = state;

    (void)wire;
    conn->blocked = false;
    gateway__conn1_flush(conn);
}

static void rolled(mux_wire *wire, void *state)
{
    struct gateway__conn1 *conn = state;

    (void)wire;
    conn->rolled = true;
    digest(conn); /* which ends it if nothing is under way */
    settle(conn);
}

static void end(mux_wire *wire, cs_err why, void *state)
{
    struct gateway__conn1 *conn = state;

    (void)wire;
    conn->over = true;
    if (conn->request)
        gateway__request_left(conn->request, why == CS_DONE ? CS_EPEER : why);
    cs_task_drop(&conn->call);
    cs_task_drop(&conn->flush);
    cs_timer_free(conn->timer);
    gateway__http1_fini(&conn->http1);
    cs_buf_fini(&conn->in);
    cs_buf_fini(&conn->out);
    gateway__carrier_gone(conn->gateway, &conn->carrier);
    cs_free(conn);
}

/* ---- By itself -------------------------------------------------------------------------------- */

/* There is room again, or an answer is over. */
static void on_call(cs_task *task)
{
    struct gateway__conn1 *conn = CS_CONTAINER(task, struct gateway__conn1, call);

    conn->asked = 0;
    if (conn->request && conn->wants_room && !conn->over) {
        conn->wants_room = false;
        gateway__request_room(conn->request);
    }
    digest(conn);
    settle(conn);
}

static void on_flush(cs_task *task)
{
    gateway__conn1_flush(CS_CONTAINER(task, struct gateway__conn1, flush));
}

static void on_timer(void *user)
{
    struct gateway__conn1 *conn = user;
    enum gateway__patience what = conn->patience;

    chanserv_server_foreign(conn->gateway->server)->http_idle += what == GATEWAY__IDLE;
    chanserv_server_foreign(conn->gateway->server)->http_stalled += what == GATEWAY__ROOM;
    conn->patience = GATEWAY__NONE;
    if (what == GATEWAY__ROOM)
        gateway__conn1_cancel(conn, CS_ESTALLED);
    else if (what == GATEWAY__HEAD)
        refuse(conn, 408, "the head did not come in time");
    else if (what == GATEWAY__IDLE)
        gateway__conn1_last(conn);
    settle(conn);
}

static void carrier_end(struct gateway__carrier *carrier, cs_err why)
{
    gateway__conn1_cancel(CS_CONTAINER(carrier, struct gateway__conn1, carrier), why);
}

void gateway__conn1_accept(mux_wire *wire, void *user)
{
    static const struct mux_wire_ops ops = {
        .readable = readable, .writable = writable, .end = end, .rolled = rolled};
    gateway *of = user;
    struct gateway__conn1 *conn = cs_zalloc(sizeof *conn);

    if (!conn || cs_timer_new(of->loop, on_timer, conn, &conn->timer) != CS_OK ||
        mux_wire_accept(wire, &ops, conn) != CS_OK) {
        if (conn)
            cs_timer_free(conn->timer);
        cs_free(conn);
        return;
    }
    conn->carrier.end = carrier_end;
    conn->gateway = of;
    conn->wire = wire;
    cs_task_init(&conn->call, on_call);
    cs_task_init(&conn->flush, on_flush);
    gateway__http1_init(&conn->http1, (size_t)of->options.header_max_bytes,
                        of->options.body_max_bytes);
    gateway__carrier_add(of, &conn->carrier);
    gateway__conn1_await(conn);
}
