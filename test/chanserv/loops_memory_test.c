/* A server of several loops, with each allocation failing in turn. */
#include "looped.h"

#include "test/support/failing.h"

static struct {
    cs_loop *loop;
    chanserv_server *server;
    mux_conn *conn;
    int ends, begun;
    uint8_t ticket[32];
    bool has_ticket;
} m;

static cs_err next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    int *said = state;

    (void)o;
    *frame = cs_str("x");
    return (*said)++ < 3 ? CS_OK : CS_DONE;
}

static cs_err count(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {.state_bytes = sizeof(int), .next = next};

    (void)body, (void)user;
    return chanserv_announce(post, cs_str("h"), &ops, NULL, NULL) == CS_OK ? CS_DONE : CS_ENOMEM;
}

static void readable(mux_stream *stream, void *state)
{
    struct wire_announcement a;
    cs_bytes msg;

    while (mux_stream_recv(stream, &msg) == CS_OK)
        if (state && wire_announcement_unpack(msg, &a) == CS_OK) {
            if ((m.has_ticket = a.ticket.len == 32))
                memcpy(m.ticket, a.ticket.base, 32);
            wire_announcement_clear(&a);
        }
}

static void end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)state;
    /* A list of services ends with the connection. */
    cr_assert(why == CS_DONE || why == CS_ECANCELED || failing_failed(), "%s", cs_strerror(why));
    m.ends++;
}

static void call(const char *method, bool is_post, uint8_t *msg, size_t len)
{
    static const struct mux_stream_ops ops = {.readable = readable, .end = end};
    mux_stream *stream;

    if (msg && mux_stream_open(m.conn, method, NULL, &ops, is_post ? &m : NULL, &stream) == CS_OK) {
        m.begun++;
        if (mux_stream_send(stream, cs_bytes_of(msg, len), cs_bytes_of(NULL, 0)) == CS_OK)
            mux_stream_finish(stream, CS_OK, NULL);
        else
            mux_stream_cancel(stream, CS_ENOMEM);
    }
    cs_free(msg);
    cs_loop_settle(m.loop);
}

static void calls(void)
{
    const struct wire_post post = {.service = cs_str("s")};
    struct wire_open open = {.ticket = cs_bytes_of(m.ticket, 32)};
    uint8_t *msg = NULL;
    size_t len = 0;

    (void)wire_post_pack(&post, &msg, &len);
    call("/chanserv.v1.Chanserv/Post", true, msg, len);
    msg = NULL;
    if (m.has_ticket)
        (void)wire_open_pack(&open, &msg, &len);
    call("/chanserv.v1.Chanserv/Open", false, msg, len);
    call("/chanserv.v1.Chanserv/Services", false, cs_zalloc(1), 0);
}

static bool up(void)
{
    static const struct chanserv_server_options none;

    return chanserv_server_new(m.loop, NULL, &m.server) == CS_OK &&
           chanserv__loops_new(m.server, &none, m.loop, 2) == CS_OK &&
           chanserv_serve(m.server, "s", count, NULL) == CS_OK &&
           chanserv_serve_parallel(m.server, "p", count, NULL) == CS_OK &&
           chanserv_handle(m.server, "/a.B/C", looped_handled, NULL) == CS_OK &&
           chanserv__loops_begin(m.server) == CS_OK &&
           mux_dial_local(m.loop, NULL, NULL, m.server->loops->all[1]->handlers, &m.conn) == CS_OK;
}

static void story(void)
{
    memset(&m, 0, sizeof m);
    if (cs_loop_new_virtual(&m.loop) != CS_OK)
        return;
    if (up()) {
        calls();
        if (!failing_failed())
            cr_assert(m.has_ticket);
    }
    mux_conn_free(m.conn);
    cs_loop_settle(m.loop);
    chanserv_server_free(m.server);
    cs_loop_settle(m.loop);
    cr_assert_eq(m.ends, m.begun);
    cs_loop_free(m.loop);
}

Test(loops_memory, survives_every_failed_allocation)
{
    cr_assert_geq(failing_story(story), 200);
}
