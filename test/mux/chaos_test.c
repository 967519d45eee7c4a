/* Many calls at once on one connection, each side doing anything at any time; told again for
 * each seed.  Every message says whose it is and which, so nothing can be lost, doubled or out of
 * order unseen; and when all is quiet every call has ended, once, on both sides. */
#include "mux/local.h"
#include "mux/stats.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define METHOD "/test.Chaos/Call"
enum { CALLS = 40, STEPS = 400 };

struct half {
    mux_stream *stream;
    struct half *far;
    uint32_t to_send, sent, got, max_len;
    bool pulls, paused, given_up, is_server, finished;
    int ends;
    cs_err why;
};

static struct {
    cs_loop *loop;
    mux_handlers *handlers;
    mux_conn *conn;
    struct half halves[CALLS][2];
    int opened;
    unsigned dice; /* of this telling; not rand(), so that a seed is a story */
} w;

static uint32_t roll(uint32_t n)
{
    w.dice = w.dice * 1103515245u + 12345u;
    return (w.dice >> 8) % n;
}

static void give_up(struct half *h)
{
    h->given_up = h->far->given_up = true;
    if (roll(2) && h->is_server)
        mux_stream_abort(h->stream, CS_EABORTED, "by chance");
    else
        mux_stream_cancel(h->stream, CS_ECANCELED);
}

static void finish(struct half *h)
{
    if (h->finished)
        return;
    h->finished = true;
    mux_stream_finish(h->stream, h->is_server ? CS_DONE : CS_OK, NULL);
}

static cs_err send_one(struct half *h)
{
    static uint8_t bytes[200000];
    size_t len = sizeof h->sent + roll(roll(10) ? 100 : h->max_len);
    memcpy(bytes, &h->sent, sizeof h->sent);
    memset(bytes + sizeof h->sent, (int)(h->sent & 0xff), len - sizeof h->sent);
    cs_err err;
    if (roll(2)) {
        err = mux_stream_send(h->stream, cs_bytes_of(bytes, 3), cs_bytes_of(bytes + 3, len - 3));
    } else {
        cs_ref ref;
        if ((err = cs_ref_copy(cs_bytes_of(bytes + 4, len - 4), &ref)) != CS_OK)
            return err;
        err = mux_stream_send_ref(h->stream, cs_bytes_of(bytes, 4), &ref);
        cs_ref_drop(&ref);
    }
    if (err == CS_OK)
        h->sent++;
    return err;
}

/* As many as there is room for, or a few less. */
static void send_some(struct half *h)
{
    cs_err err = CS_OK;
    while (err == CS_OK && h->sent < h->to_send && mux_stream_room(h->stream) > 0)
        if ((err = send_one(h)) == CS_OK && h->pulls && roll(5) == 0)
            return;
    if (err == CS_OK && h->sent < h->to_send && !h->pulls)
        err = send_one(h);
    if (cs_failed(err))
        cr_assert(err != CS_EMISUSE || h->finished, "%s", cs_strerror(err));
    else if (h->sent == h->to_send)
        finish(h);
}

static void take_some(struct half *h)
{
    cs_bytes m;
    cs_err err = CS_OK;
    uint32_t n;
    while (!h->paused && (err = mux_stream_recv(h->stream, &m)) == CS_OK) {
        cr_assert_geq(m.len, sizeof n);
        memcpy(&n, m.base, sizeof n);
        cr_assert_eq(n, h->got, "message %u where %u was due", n, h->got);
        for (size_t i = sizeof n; i < m.len; i++)
            cr_assert_eq(((const uint8_t *)m.base)[i], (uint8_t)n);
        h->got++;
        if (roll(200) == 0)
            h->paused = true;
    }
}

static void on_readable(mux_stream *stream, void *state)
{
    struct half *h = state;
    cr_assert_eq(h->stream, stream);
    take_some(h);
}

static void on_writable(mux_stream *stream, void *state)
{
    struct half *h = state;
    cr_assert_eq(h->stream, stream);
    if (!h->pulls)
        send_some(h);
}

static void on_pull(mux_stream *stream, void *state)
{
    struct half *h = state;
    cr_assert_eq(h->stream, stream);
    if (roll(500) == 0)
        give_up(h);
    else if (roll(10))
        send_some(h);
    else
        mux_stream_wake(stream); /* and nothing said */
}

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    struct half *h = state;
    cr_assert_eq(h->stream, stream, "a second end");
    h->stream = NULL;
    h->ends++;
    h->why = why;
}

static const struct mux_stream_ops ops = {
    .readable = on_readable, .writable = on_writable, .pull = on_pull, .end = on_end};

static void begin(struct half *h)
{
    static const uint32_t counts[] = {0, 1, 5, 100, 1000};
    h->to_send = counts[roll(5)];
    h->max_len = roll(4) ? 3000 : 150000;
    h->pulls = roll(2);
    if (h->pulls)
        mux_stream_wake(h->stream);
    else
        send_some(h);
}

/* Calls are accepted in the order in which they were opened, but for those cancelled on the way: a
 * header says which it is. */
static void on_accept(mux_stream *stream, void *user)
{
    cs_bytes which;
    (void)user;
    if (mux_stream_header(stream, "which-bin", &which) != CS_OK || which.len != 1)
        return;
    struct half *h = &w.halves[*(const uint8_t *)which.base][1];
    if (mux_stream_accept(stream, &ops, h) != CS_OK)
        return;
    h->stream = stream;
    h->is_server = true;
    begin(h);
}

static void open_one(void)
{
    uint8_t which = (uint8_t)w.opened;
    const cs_pair pair = {cs_str("which-bin"), cs_bytes_of(&which, 1)};
    const struct mux_call_options options = {
        .metadata = &pair, .metadata_len = 1, .send_max_bytes = 1 + roll(40000)};
    struct half *h = &w.halves[w.opened][0];
    if (mux_stream_open(w.conn, METHOD, &options, &ops, h, &h->stream) != CS_OK)
        return;
    w.opened++;
    begin(h);
}

static void step(void);

static void again(void *user)
{
    (void)user;
    step();
}

static void step(void)
{
    struct half *h = &w.halves[roll(CALLS)][roll(2)];
    switch (roll(12)) {
    case 0:
    case 1:
        if (w.opened < CALLS)
            open_one();
        break;
    case 2:
        h->paused = true;
        break;
    case 3:
    case 4:
        h->paused = false;
        if (h->stream)
            mux_stream_resume(h->stream);
        break;
    case 5:
        if (h->stream && roll(10) == 0)
            give_up(h);
        break;
    case 6:
        if (h->stream)
            mux_stream_wake(h->stream);
        break;
    case 7:
        cs_loop_settle(w.loop);
        break;
    case 8:
        if (h->stream && h->is_server)
            mux_stream_send_headers(h->stream);
        break;
    default:
        (void)cs_loop_call(w.loop, again, NULL);
        cs_loop_advance(w.loop, 0);
        break;
    }
}

static void let_all_run(void)
{
    for (int round = 0; round < 1000; round++) {
        bool quiet = true;
        for (int i = 0; i < w.opened; i++)
            for (int j = 0; j < 2; j++) {
                struct half *h = &w.halves[i][j];
                h->paused = false;
                if (!h->stream)
                    continue;
                quiet = false;
                mux_stream_resume(h->stream);
            }
        cr_assert_lt(cs_loop_settle(w.loop), 1000000);
        if (quiet)
            return;
    }
}

/* `streams`: what the server allows a connection; 0: enough for all. */
static void set_up(unsigned seed, int streams)
{
    struct mux_options narrow = {.window_bytes = 16384, .window_max_bytes = CS_OFF};
    struct mux_options grows = {.window_max_bytes = 1 << 20, .window_grow_bytes = 3 << 20};
    struct mux_options plain = {.window_bytes = 0};
    narrow.dial_timeout_ms = grows.dial_timeout_ms = CS_OFF; /* a place is waited for */
    narrow.streams_max = plain.streams_max = streams;
    memset(&w, 0, sizeof w);
    w.dice = seed;
    for (int i = 0; i < CALLS; i++)
        for (int j = 0; j < 2; j++)
            w.halves[i][j].far = &w.halves[i][!j];
    cr_assert_eq(cs_loop_new_virtual(&w.loop), CS_OK);
    cr_assert_eq(mux_handlers_new(&w.handlers), CS_OK);
    cr_assert_eq(mux_handle(w.handlers, METHOD, on_accept, NULL), CS_OK);
    cr_assert_eq(mux_dial_local(w.loop, roll(2) ? &narrow : &grows, roll(2) ? &narrow : &plain,
                                w.handlers, &w.conn),
                 CS_OK);
    if (streams > 0)
        cs_loop_settle(w.loop); /* else the first flight does not know of it, and is refused */
}

static void tear_down(void)
{
    mux_conn_free(w.conn);
    cs_loop_settle(w.loop);
    mux_handlers_free(w.handlers);
    cs_loop_settle(w.loop);
    cs_loop_free(w.loop);
}

static void expect_ends(unsigned seed)
{
    for (int i = 0; i < w.opened; i++) {
        const struct half *c = &w.halves[i][0], *s = &w.halves[i][1];
        cr_assert(!c->stream && !s->stream, "seed %u: call %d hangs: %u/%u sent, %u got; %u/%u, %u",
                  seed, i, c->sent, c->to_send, c->got, s->sent, s->to_send, s->got);
        cr_assert_eq(c->ends, 1, "seed %u", seed);
        cr_assert_leq(s->ends, 1);
    }
}

static unsigned connections; /* that it took */

static void chaos(unsigned seed, int streams)
{
    set_up(seed, streams);
    for (int i = 0; i < STEPS; i++)
        step();
    let_all_run();
    expect_ends(seed);
    for (int i = 0; i < w.opened; i++) {
        const struct half *c = &w.halves[i][0], *s = &w.halves[i][1];
        if (c->given_up)
            continue;
        cr_assert_eq(c->why, CS_DONE, "seed %u: %s", seed, cs_strerror(c->why));
        cr_assert_eq(s->why, CS_DONE, "seed %u: %s", seed, cs_strerror(s->why));
        cr_assert_eq(c->got, s->to_send, "seed %u: %u of %u", seed, c->got, s->to_send);
    }
    connections = (unsigned)mux_conn_stats(w.conn)->connections_total;
    tear_down();
}

/* In the middle of it all the link breaks, one end's host dies, or an end is freed. */
static void catastrophe(unsigned seed)
{
    set_up(seed, seed % 3 == 0 ? 2 : 0);
    for (uint32_t i = roll(STEPS); i > 0; i--)
        step();
    switch (seed % 4) {
    case 0:
        mux_conn_break(w.conn);
        break;
    case 1:
        mux_conn_swallow(w.conn);
        cs_loop_advance(w.loop, 60000);
        break;
    case 2:
        mux_conn_free(w.conn);
        break;
    default:
        mux_handlers_end_local(w.handlers);
    }
    for (int i = 0; i < 50; i++) { /* streams opened now end too */
        if (seed % 4 == 0 || seed % 4 == 3)
            step();
    }
    let_all_run();
    expect_ends(seed);
    if (seed % 4 == 2)
        w.conn = NULL;
    tear_down();
}

Test(chaos, nothing_is_lost_and_nothing_hangs)
{
    for (unsigned seed = 1; seed <= 12; seed++)
        chaos(seed, 0);
}

Test(chaos, nothing_is_lost_or_refused_where_few_streams_are_allowed)
{
    for (unsigned seed = 1; seed <= 12; seed++) {
        chaos(seed, 1 + (int)(seed % 3));
        cr_assert(connections >= 2 && connections <= 4, "seed %u took %u connections", seed,
                  connections);
    }
}

Test(chaos, every_call_ends_whatever_happens_to_the_connection)
{
    for (unsigned seed = 1; seed <= 40; seed++)
        catastrophe(seed);
}
