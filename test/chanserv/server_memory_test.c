/* The server when memory fails, one allocation after another: nothing leaks, everything ends, and
 * what ends well was whole. */
#include "test/support/failing.h"
#include "chanserv/server__in.h"
#include "raw.h"

enum { SOURCES = 4 };

static struct {
    cs_loop *loop;
    chanserv_server *server;
    mux_conn *conn;
    int begun, ended, announced, frames[SOURCES], outlets, outlet_ends, closed, ends;
    uint8_t tickets[SOURCES][32];
    bool has_ticket[SOURCES];
    bool deaf; /* the client's own memory failed */
} t;

/* ---- A service that uses everything --------------------------------------------------------- */

static cs_err three_next(chanserv_outlet *o, cs_bytes *frame, void *state)
{
    static const char large[3000];
    int *n = state;

    if (*n == 1)
        chanserv_outlet_skip(o, 1, CHANSERV_GAP_OVERFLOW);
    *frame = cs_bytes_of(large, *n == 2 ? sizeof large : 5);
    return (*n)++ < 3 ? CS_OK : CS_DONE;
}

static cs_err three_next_ref(chanserv_outlet *o, cs_ref *frame, void *state)
{
    cs_bytes bytes = {NULL, 0};
    cs_err err = three_next(o, &bytes, state);

    if (err != CS_OK)
        return err;
    err = cs_ref_copy(bytes, frame);
    return err == CS_OK ? CS_OK : chanserv_outlet_fail(o, err, "no memory for a frame");
}

static void outlet_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)o, (void)why, (void)state;
    t.outlet_ends++;
}

static const struct chanserv_outlet_ops plain = {
    .state_bytes = sizeof(int), .next = three_next, .end = outlet_end};
static const struct chanserv_outlet_ops by_ref = {
    .state_bytes = sizeof(int), .next_ref = three_next_ref, .end = outlet_end};
static const struct chanserv_outlet_ops eager = {
    .state_bytes = sizeof(int), .next = three_next, .end = outlet_end, .eager = true};

static cs_err pour_three(chanserv_post *post)
{
    cs_chan *chan;
    cs_err err = cs_chan_new(0, &chan);

    if (err != CS_OK)
        return err;
    for (int i = 0; i < 3 && err == CS_OK; i++)
        err = cs_chan_send(chan, cs_str("abcde"), CS_NOW);
    cs_chan_close(chan, CS_DONE);
    if (err == CS_OK)
        err = chanserv_announce_chan(post, cs_str("poured"), chan);
    cs_chan_free(chan);
    return err;
}

static cs_err announce_one(chanserv_post *post, const struct chanserv_outlet_ops *ops)
{
    cs_err err = chanserv_announce(post, cs_str("header"), ops, NULL, NULL);

    t.outlets += err == CS_OK;
    return err;
}

/* What announce() answers is forgotten on purpose: the post must remember. */
static cs_err post_next(chanserv_post *post, void *state)
{
    int *n = state;

    switch ((*n)++) {
    case 0:
        (void)announce_one(post, &by_ref);
        return CS_OK;
    case 1:
        (void)announce_one(post, &eager);
        return CS_OK;
    case 2:
        return pour_three(post);
    default:
        return CS_DONE;
    }
}

static void post_closed(chanserv_post *post, cs_err why, void *state)
{
    (void)post, (void)why, (void)state;
    t.closed++;
}

static void post_end(chanserv_post *post, cs_err why, void *state)
{
    (void)post, (void)why, (void)state;
    cr_assert_eq(t.closed, 1);
    cr_assert_eq(t.outlet_ends, t.outlets);
    t.ends++;
}

static cs_err all(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {
        .state_bytes = sizeof(int), .next = post_next, .closed = post_closed, .end = post_end};
    cs_err err = chanserv_post_keep(post, &ops, NULL);

    (void)body, (void)user;
    if (err != CS_OK)
        return chanserv_post_fail(post, err, "no memory to keep it");
    (void)chanserv_post_set_header(post, "own", cs_str("header"));
    (void)chanserv_post_set_trailer(post, "own", cs_str("trailer"));
    (void)announce_one(post, &plain);
    t.closed = 0;
    return CS_OK;
}

/* ---- A client that opens all ---------------------------------------------------------------- */

static void count_frames(cs_bytes msg, int *frames)
{
    struct wire_frame frame;

    if (wire_frame_parse(msg, &frame) == CS_OK && frame.kind == WIRE_PAYLOAD && !frame.more)
        ++*frames;
}

static void master_heard(cs_bytes msg)
{
    struct wire_announcement a;

    if (wire_announcement_unpack(msg, &a) != CS_OK) {
        t.deaf = true;
        return;
    }
    cr_assert_lt(a.seq, SOURCES);
    cr_assert(t.deaf || a.seq == (uint64_t)t.announced);
    t.announced++;
    for (size_t i = 0; i < a.frames_len; i++)
        t.frames[a.seq] += a.frames[i].kind == WIRE_PAYLOAD;
    if (a.end.present)
        cr_assert(a.end.code != 0 || t.frames[a.seq] == 3);
    else
        memcpy(t.tickets[a.seq], a.ticket.base, 32);
    t.has_ticket[a.seq] = !a.end.present;
    wire_announcement_clear(&a);
}

static void readable(mux_stream *stream, void *state)
{
    cs_bytes msg;

    while (mux_stream_recv(stream, &msg) == CS_OK) {
        if (!state)
            master_heard(msg);
        else if (state != t.frames - 1)
            count_frames(msg, state);
    }
}

static void end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream;
    t.ended++;
    if (why != CS_DONE || t.deaf)
        return;
    cr_assert(state || t.announced == SOURCES);
    cr_assert(!state || *(int *)state == 3);
}

static void call(const char *method, void *state, const uint8_t *msg, size_t len)
{
    static const struct mux_stream_ops ops = {.readable = readable, .end = end};
    mux_stream *stream;

    if (mux_stream_open(t.conn, method, NULL, &ops, state, &stream) != CS_OK)
        return;
    t.begun++;
    if (mux_stream_send(stream, cs_bytes_of(msg, len), cs_bytes_of(NULL, 0)) != CS_OK)
        mux_stream_cancel(stream, CS_ENOMEM);
    else
        mux_stream_finish(stream, CS_OK, NULL);
    cs_loop_settle(t.loop);
}

static void post_and_open(void)
{
    struct wire_post post = {.service = cs_str("all"), .body = cs_str("body"), .inline_bytes = 100};
    uint8_t *msg;
    size_t len;

    if (wire_post_pack(&post, &msg, &len) == CS_OK) {
        call("/chanserv.v1.Chanserv/Post", NULL, msg, len);
        cs_free(msg);
    }
    for (int i = 0; i < SOURCES; i++) {
        struct wire_open open = {.ticket = {t.tickets[i], 32},
                                 .from = (uint64_t)t.frames[i] + (t.frames[i] > 1)};

        if (!t.has_ticket[i] || wire_open_pack(&open, &msg, &len) != CS_OK)
            continue;
        call("/chanserv.v1.Chanserv/Open", &t.frames[i], msg, len);
        cs_free(msg);
    }
}

static void story(void)
{
    struct chanserv_server_options o = {.part_bytes = 1000,
                                        .serving_timeout_ms = 60000,
                                        .sourcing_timeout_ms = 60000,
                                        .write_timeout_ms = 60000};

    memset(&t, 0, sizeof t);
    if (cs_loop_new_virtual(&t.loop) != CS_OK)
        return;
    if (chanserv_server_new(t.loop, &o, &t.server) != CS_OK) {
        cs_loop_free(t.loop);
        return;
    }
    (void)chanserv_serve(t.server, "all", all, NULL);
    if (mux_dial_local(t.loop, NULL, chanserv__server_net(t.server),
                       chanserv__server_handlers(t.server), &t.conn) == CS_OK) {
        call("/chanserv.v1.Chanserv/Services", t.frames - 1, NULL, 0);
        post_and_open();
        cs_loop_advance(t.loop, 30001);
        mux_conn_free(t.conn);
        cs_loop_settle(t.loop);
        cr_assert_eq(t.ended, t.begun);
    }
    chanserv_server_free(t.server);
    cr_assert_leq(t.ends, 1);
    cr_assert_eq(t.outlet_ends, t.outlets);
    cs_loop_free(t.loop);
}

Test(server_memory, fails_and_nothing_leaks_hangs_or_ends_well_without_being_whole)
{
    cr_assert_gt(failing_story(story), 100);
}
