/* looped -- see looped.h. */
#include "looped.h"

#include "mux/roll.h"

struct looped looped;

/* ---- Services: "N" frames of a byte, and "ears", which say what they hear --------------------- */

struct count {
    int left;
    bool is_large;
};

static cs_err count_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    static const char large[1000];
    struct count *c = state;

    (void)o;
    if (c->left == 0)
        return CS_DONE;
    c->left--;
    looped.asked++;
    *frame = c->is_large ? cs_bytes_of(large, sizeof large) : cs_str("x");
    return CS_OK;
}

static void count_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)why, (void)state;
    raw_say("%s; ", chanserv_outlet_reason(o));
}

cs_err looped_count(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {
        .state_bytes = sizeof(struct count), .next = count_next, .end = count_end};
    struct count c = {.left = *(const char *)body.base - '0'};

    (void)user;
    if (c.left == 0)
        c = (struct count){1000000, true};
    looped.ran_on = post->server;
    looped.uid = chanserv_post_peer(post)->uid;
    snprintf(looped.peer, sizeof looped.peer, "%.*s %.*s", CS_FMT(chanserv_post_peer(post)->addr),
             CS_FMT(chanserv_post_metadata(post, "who")));
    return chanserv_announce(post, cs_str("h"), &ops, &c, &looped.outlet) == CS_OK ? CS_DONE
                                                                                   : CS_ENOMEM;
}

static void ear_readable(chanserv_outlet *o, void *state)
{
    cs_bytes frame;
    cs_err err;

    (void)state;
    while ((err = chanserv_outlet_recv(o, &frame)) == CS_OK)
        raw_say("%.*s; ", CS_FMT(frame));
    if (err == CS_DONE)
        chanserv_outlet_finish(o, CS_DONE);
}

static cs_err ear(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops ops = {
        .readable = ear_readable, .end = count_end, .uplink = true};

    (void)body, (void)user;
    looped.ran_on = post->server;
    return chanserv_announce(post, cs_str("h"), &ops, NULL, &looped.outlet) == CS_OK ? CS_DONE
                                                                                     : CS_ENOMEM;
}

static void handled_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why, (void)state;
}

void looped_handled(mux_stream *stream, void *user)
{
    static const struct mux_stream_ops ops = {.end = handled_end};

    (void)user;
    looped.handled++;
    cr_assert_eq(mux_stream_accept(stream, &ops, NULL), CS_OK);
    mux_stream_finish(stream, CS_EABORTED, "handled");
}

/* ---- Loops ------------------------------------------------------------------------------------- */

struct chanserv__loops *looped_loops(void)
{
    return raw.server->loops;
}

void looped_at(int loop)
{
    chanserv_server *first = raw.server;

    raw.conn = looped.conns[loop];
    if (raw.conn)
        return;
    raw.server = looped_loops()->all[loop];
    raw_join();
    raw.server = first;
    looped.conns[loop] = raw.conn;
}

void looped_lose(int loop)
{
    mux_conn_break(looped.conns[loop]);
    cs_loop_settle(raw.loop);
    mux_conn_free(looped.conns[loop]);
    cs_loop_settle(raw.loop);
    looped.conns[loop] = raw.conn = NULL;
}

static void roll(mux_conn *conn, void *user)
{
    (void)user;
    mux_conn_roll(conn);
}

void looped_roll(int loop)
{
    mux_handlers_each_local(looped_loops()->all[loop]->handlers, roll, NULL);
}

static bool serial_too = true, stays_too;

/* A post that stays, and a source that says nothing. */
static cs_err nothing_yet(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    (void)o, (void)frame, (void)state;
    return CS_AGAIN;
}

static cs_err stay(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_outlet_ops quiet = {.next = nothing_yet};
    static const struct chanserv_post_ops ops = {.state_bytes = 0};
    cs_err err = chanserv_post_keep(post, &ops, NULL);

    (void)body, (void)user;
    if (err == CS_OK)
        err = chanserv_announce(post, cs_str("h"), &quiet, NULL, NULL);
    return err == CS_OK ? CS_AGAIN : err;
}

void looped_up_with(const struct chanserv_server_options *options)
{
    memset(&looped, 0, sizeof looped);
    raw_up(options);
    looped.conns[0] = raw.conn;
    cr_assert_eq(chanserv__loops_new(raw.server, options, raw.loop, LOOPED), CS_OK);
    cr_assert_eq(chanserv_serve_parallel(raw.server, "p", looped_count, NULL), CS_OK);
    cr_assert_eq(chanserv_serve_parallel(raw.server, "p.ear", ear, NULL), CS_OK);
    if (stays_too)
        cr_assert_eq(chanserv_serve_parallel(raw.server, "p.stay", stay, NULL), CS_OK);
    if (serial_too) {
        cr_assert_eq(chanserv_serve(raw.server, "s", looped_count, NULL), CS_OK);
        cr_assert_eq(chanserv_serve(raw.server, "s.ear", ear, NULL), CS_OK);
    }
    cr_assert_eq(chanserv_handle(raw.server, "/a.B/C", looped_handled, NULL), CS_OK);
    cr_assert_eq(chanserv__loops_begin(raw.server), CS_OK);
}

void looped_up(void)
{
    static const struct chanserv_server_options none;

    looped_up_with(&none);
}

void looped_up_parallel(void)
{
    serial_too = false;
    looped_up();
}

void looped_up_stay(const struct chanserv_server_options *options)
{
    serial_too = false;
    stays_too = true;
    looped_up_with(options);
}

void looped_down(void)
{
    for (int i = 0; i < LOOPED; i++)
        if (looped.conns[i] && looped.conns[i] != raw.conn)
            mux_conn_free(looped.conns[i]);
    raw_down();
}

void looped_say(struct raw_call *c, const void *msg, size_t len, bool last)
{
    raw_send(c, msg, len, last);
    cs_loop_settle(raw.loop);
}

struct raw_call *looped_open_paused(const struct raw_call *post, int timeout_ms)
{
    const struct wire_open asked = {.ticket = cs_bytes_of(post->tickets[0], 32)};
    struct raw_call *open = raw_open_with(&asked, timeout_ms);

    raw_pause(open);
    cs_loop_settle(raw.loop);
    return open;
}
