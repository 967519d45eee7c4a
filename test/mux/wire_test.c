/* Connections that do not speak HTTP/2: from their first byte to their end, on a raw link in memory. */
#include "mux/across.h"
#include "mux/mux__in.h"
#include "test/mux/secure.h"
#include "test/support/failing.h"
#include "test/support/fake_peer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#define GET "GET / HTTP/1.1\r\n\r\n"

enum { BIG = 1024 * 1024 };

static struct {
    cs_loop *loop;
    mux_handlers *handlers;
    mux__link *peer; /* the other end; NULL: it hung up */
    char got[256];   /* what came there: the first of it, */
    size_t got_len;  /* and how much; each byte of BIG is checked */
    bool deaf;       /* it reads nothing, */
    bool hung_up;    /* or read the end */

    mux_wire *wire;
    bool leaves; /* nobody accepts */
    bool rolls;  /* wants to be told */
    int idle;    /* so often readable takes nothing, and then turns reading off */
    void (*on_readable)(void), (*on_writable)(void);
    char heard[256]; /* what the wire received: bytes, and "|" for the end */
    int readables, writables, offers, ends, rolled;
    cs_err why, last;
    size_t sent;
    int64_t ended_ms;
} t;

/* ---- The wire's side -------------------------------------------------------------------------- */

static void take(void)
{
    char bytes[7]; /* so that there is more than one piece */
    size_t n;

    while ((t.last = mux_wire_recv(t.wire, bytes, sizeof bytes, &n)) == CS_OK)
        strncat(t.heard, bytes, n);
    if (t.last == CS_DONE)
        strcat(t.heard, "|");
}

static void on_readable(mux_wire *wire, void *state)
{
    cr_assert_eq(t.ends, 0);
    cr_assert_eq(wire, t.wire);
    cr_assert_eq(mux_wire_state(wire), state);
    cr_assert_eq(*(int *)state, 42);
    t.readables++;
    if (t.idle > 0) {
        if (--t.idle == 0)
            mux_wire_want(wire, false);
        return;
    }
    take();
    if (t.on_readable)
        t.on_readable();
}

static void on_writable(mux_wire *wire, void *state)
{
    (void)wire, (void)state;
    cr_assert_eq(t.ends, 0);
    t.writables++;
    if (t.on_writable)
        t.on_writable();
}

static void on_end(mux_wire *wire, cs_err why, void *state)
{
    cr_assert_eq(wire, t.wire);
    cr_assert_eq(*(int *)state, 42);
    cr_assert_geq(mux_wire_peer(wire)->addr.len, 0);
    t.ends++;
    t.why = why;
    t.wire = NULL;
    t.ended_ms = cs_loop_now_ms(t.loop);
}

static void on_rolled(mux_wire *wire, void *state)
{
    (void)wire, (void)state;
    t.rolled++;
}

static const struct mux_wire_ops ops = {
    .state_bytes = sizeof(int), .readable = on_readable, .writable = on_writable, .end = on_end};
static const struct mux_wire_ops rolled_ops = {.state_bytes = sizeof(int),
                                               .readable = on_readable,
                                               .writable = on_writable,
                                               .end = on_end,
                                               .rolled = on_rolled};

static void take_in(mux_wire *wire, void *user)
{
    int state = 42;
    size_t n;
    char byte;

    cr_assert_eq(user, &t);
    t.offers++;
    cr_assert_eq(mux_wire_recv(wire, &byte, 1, &n), CS_EMISUSE, "it is nobody's yet");
    if (t.leaves || mux_wire_accept(wire, t.rolls ? &rolled_ops : &ops, &state) != CS_OK)
        return;
    cr_assert_eq(mux_wire_accept(wire, &ops, &state), CS_EMISUSE);
    t.wire = wire;
    cr_assert_eq(mux_wire_loop(wire), t.loop);
}

/* ---- The peer's ------------------------------------------------------------------------------- */

static char nth(size_t i)
{
    return (char)('a' + i % 23);
}

static void on_peer_ready(int can, void *user)
{
    char bytes[5000];
    size_t n;
    cs_err err = CS_AGAIN;

    (void)can, (void)user;
    while (!t.deaf && (err = mux__link_read(t.peer, bytes, sizeof bytes, &n)) == CS_OK) {
        for (size_t i = 0; i < n; i++, t.got_len++) {
            if (t.got_len < sizeof t.got - 1)
                t.got[t.got_len] = bytes[i];
            if (t.sent > 0)
                cr_assert_eq(bytes[i], nth(t.got_len));
        }
    }
    t.hung_up = t.hung_up || cs_failed(err) || err == CS_DONE;
    mux__link_want(t.peer, !t.deaf && !t.hung_up, false);
}

static void say_bytes(const void *bytes, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)bytes, len};
    size_t n = 0;

    cr_assert_eq(mux__link_write(t.peer, &iov, 1, &n), CS_OK);
    cr_assert_eq(n, len);
}

static void say(const char *text)
{
    say_bytes(text, strlen(text));
}

static void hang_up(void)
{
    mux__link_free(t.peer);
    t.peer = NULL;
}

static void hear(void) /* after it was deaf */
{
    t.deaf = false;
    mux__link_want(t.peer, true, false);
}

/* ---- The two ---------------------------------------------------------------------------------- */

static void settle(void)
{
    cr_assert_lt(cs_loop_settle(t.loop), 100000);
}

static const struct mux_stats *stats(void)
{
    return mux_handlers_stats(t.handlers);
}

static void make(void)
{
    memset(&t, 0, sizeof t);
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    cr_assert_eq(mux_handlers_new(&t.handlers), CS_OK);
    mux_handlers_set_wire(t.handlers, take_in, &t);
}

static void dial_with(const struct mux_options *options)
{
    mux__link *ends[2];

    cr_assert_eq(mux__link_pair(t.loop, ends), CS_OK);
    t.peer = ends[0];
    mux__link_listen(t.peer, on_peer_ready, NULL);
    mux__link_want(t.peer, true, false);
    cr_assert_eq(
        mux__conn_accept(t.loop, ends[1], options, t.handlers, &t.handlers->local_conns, NULL),
        CS_OK);
    settle();
}

static void begin(void)
{
    make();
    dial_with(NULL);
}

static void end(void)
{
    mux__link_free(t.peer);
    settle();
    cr_assert_eq(stats()->connections, 0);
    mux_handlers_free(t.handlers);
    settle();
    cr_assert_null(t.wire, "a wire without an end");
    cs_loop_free(t.loop);
}

TestSuite(wire, .init = begin, .fini = end);
TestSuite(wire_made, .init = make, .fini = end); /* nobody dialed yet */

static void send_text(const char *text)
{
    const cs_bytes pieces[] = {cs_bytes_of(NULL, 0), cs_bytes_of(text, 1),
                               cs_bytes_of(text + 1, strlen(text) - 1)};
    size_t taken;

    cr_assert_eq(mux_wire_send(t.wire, pieces, 3, &taken), CS_OK);
    cr_assert_eq(taken, strlen(text));
}

static void answer(void)
{
    if (!strstr(t.heard, "\r\n\r\n"))
        return;
    send_text("HTTP/1.1 200 OK\r\n\r\n");
    mux_wire_finish(t.wire);
}

/* ---- First bytes ------------------------------------------------------------------------------ */

Test(wire, gets_what_is_none_of_http2)
{
    cr_assert_eq(t.got_len, 0, "nothing is said before it is known to whom");
    say(GET);
    settle();
    cr_assert_str_eq(t.heard, GET);
    cr_assert_eq(t.last, CS_AGAIN);
    cr_assert_eq(mux_wire_is_tls(t.wire), false);
    cr_assert(cs_same(mux_wire_peer(t.wire)->addr, cs_str("local")));
    cr_assert_eq(stats()->connections, 1);
    send_text("hello");
    settle();
    cr_assert_str_eq(t.got, "hello");
    cr_assert_eq(stats()->bytes_in, strlen(GET));
    cr_assert_eq(stats()->bytes_out, 5);
    hang_up();
    settle();
    cr_assert_str_eq(t.heard, GET "|");
    cr_assert_eq(t.ends, 0, "it may have closed its half only");
    mux_wire_cancel(t.wire, CS_EPEER);
    settle();
    cr_assert_eq(t.why, CS_EPEER);
}

static void byte_by_byte(const char *text)
{
    make();
    dial_with(NULL);
    for (size_t i = 0; i < strlen(text); i++) {
        say_bytes(text + i, 1);
        settle();
    }
    cr_assert_eq(t.offers, 1, "%s", text);
    cr_assert_str_eq(t.heard, text);
    cr_assert_eq(t.got_len, 0);
    mux_wire_cancel(t.wire, CS_ECANCELED);
    end();
}

Test(wire_first, is_taken_from_any_first_bytes_of_http1)
{
    byte_by_byte(GET);
    byte_by_byte("POST /a HTTP/1.1\r\n\r\n");
    byte_by_byte("PRI /a HTTP/1.1\r\n\r\n");
    byte_by_byte("PRI * HTTP/1.1\r\n\r\n");
    byte_by_byte("PRI * HTTP/2.0\r\n\r\nSM\r\nX");
    byte_by_byte("P / HTTP/1.1\r\n\r\n");
    byte_by_byte("get / HTTP/1.1\r\n\r\n");
    byte_by_byte("\r\nGET / HTTP/1.1\r\n\r\n");
    byte_by_byte("M-SEARCH * HTTP/1.1\r\n\r\n");
}

static char logged[256];

static void on_log(cs_level level, const char *room, const char *line, void *user)
{
    (void)level, (void)room, (void)user;
    snprintf(logged, sizeof logged, "%s", line);
}

static void is_refused(const void *bytes, size_t len, const char *words)
{
    make();
    cs_set_log(on_log, NULL, CS_INFO);
    dial_with(NULL);
    say_bytes(bytes, len);
    settle();
    cr_assert_eq(t.offers, 0);
    cr_assert(t.hung_up);
    cr_assert_str_eq(logged, words);
    cr_assert_eq(t.got_len, 0);
    end();
}

Test(wire_first, is_none_of_what_begins_no_request)
{
    is_refused("\x16\x03\x01\x02", 4,
               "connection of local: the client speaks TLS, and this port is plain text");
    is_refused("\0", 1, "connection of local: the peer does not speak HTTP/2");
    is_refused("\xff\xfe", 2, "connection of local: the peer does not speak HTTP/2");
    is_refused("(", 1, "connection of local: the peer does not speak HTTP/2");
    is_refused("PRI\x7f", 4, "connection of local: the peer does not speak HTTP/2");
}

Test(wire_made, is_refused_as_ever_without_a_function)
{
    cs_set_log(on_log, NULL, CS_INFO);
    mux_handlers_set_wire(t.handlers, NULL, NULL);
    dial_with(NULL);
    cr_assert_gt(t.got_len, 9, "SETTINGS need nobody's word");
    say(GET);
    settle();
    cr_assert(t.hung_up);
    cr_assert_str_eq(logged, "connection of local: the peer does not speak HTTP/2");
}

Test(wire, is_closed_when_nobody_takes_it)
{
    t.leaves = true;
    say(GET);
    settle();
    cr_assert_eq(t.offers, 1);
    cr_assert(t.hung_up);
    cr_assert_eq(t.got_len, 0);
    cr_assert_eq(t.ends, 0);
}

Test(wire, that_loses_its_function_meanwhile_is_closed)
{
    say("P");
    settle();
    mux_handlers_set_wire(t.handlers, NULL, NULL);
    say("OST");
    settle();
    cr_assert(t.hung_up);
}

Test(wire_made, leaves_http2_alone)
{
    struct talk talk = {.loop = t.loop, .handlers = t.handlers};
    fake_peer *fake = fake_client_mute(t.loop, NULL, t.handlers);
    const char *preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    for (size_t i = 0; i < 24; i++) {
        settle();
        cr_assert_str_eq(fake_said(fake), "", "after %zu bytes", i);
        fake_bytes(fake, cs_bytes_of(preface + i, 1));
    }
    settle();
    cr_assert_neq(strstr(fake_said(fake), "SETTINGS"), NULL);
    fake_frame(fake, FAKE_SETTINGS, 0, 0, cs_str(""));
    fake_forget(fake);
    fake_request(fake, 1, true, "/no.such/Method");
    settle();
    cr_assert_neq(strstr(fake_said(fake), "grpc-status=12"), NULL, "%s", fake_said(fake));
    cr_assert_eq(t.offers, 0);
    fake_free(fake);
    settle();
    cr_assert_eq(mux_dial_local(t.loop, NULL, NULL, t.handlers, &talk.conn), CS_OK);
    settle();
    cr_assert_str_eq(mux_conn_errmsg(talk.conn), "");
    mux_conn_free(talk.conn);
}

/* ---- Both ways -------------------------------------------------------------------------------- */

static void pour(void)
{
    char bytes[3][9000];
    cs_bytes pieces[3];
    cs_err err = CS_OK;
    size_t taken;

    while (t.sent < BIG && err == CS_OK) {
        size_t at = t.sent;

        for (int i = 0; i < 3; i++) {
            size_t len = BIG - at < sizeof bytes[i] ? BIG - at : sizeof bytes[i];

            for (size_t k = 0; k < len; k++)
                bytes[i][k] = nth(at + k);
            pieces[i] = cs_bytes_of(bytes[i], len);
            at += len;
        }
        err = mux_wire_send(t.wire, pieces, 3, &taken);
        cr_assert(err != CS_OK || t.sent + taken == at);
        t.sent += taken;
    }
}

Test(wire, sends_as_fast_as_the_peer_reads)
{
    t.on_writable = pour;
    t.deaf = true;
    say(GET);
    settle();
    t.deaf = true;
    pour();
    settle();
    cr_assert_eq(t.sent, 256 * 1024, "what is under way, and nothing is queued");
    cr_assert_eq(t.writables, 0);
    hear();
    settle();
    cr_assert_eq(t.sent, BIG);
    cr_assert_eq(t.got_len, BIG);
    cr_assert_gt(t.writables, 2);
    cr_assert_eq(stats()->bytes_out, BIG);
    mux_wire_finish(t.wire);
    settle();
    cr_assert(t.hung_up);
}

Test(wire, hears_a_half_close_and_still_answers)
{
    t.on_readable = answer;
    say(GET);
    cr_assert_eq(mux__link_shut(t.peer), CS_OK);
    settle();
    cr_assert_str_eq(t.got, "HTTP/1.1 200 OK\r\n\r\n");
    cr_assert(t.hung_up);
    cr_assert_eq(t.ends, 1, "who closed his half has nothing to lose");
    cr_assert_eq(t.why, CS_DONE);
}

Test(wire, reads_nothing_while_reading_is_off)
{
    char more[4096] = {0};

    t.idle = 3;
    say(GET);
    settle();
    cr_assert_eq(t.readables, 3, "again each turn");
    say_bytes(more, sizeof more);
    settle();
    cr_assert_eq(t.readables, 3);
    cr_assert_eq(stats()->bytes_in, strlen(GET));
    mux_wire_want(t.wire, true);
    settle();
    cr_assert_str_eq(t.heard, GET);
    cr_assert_eq(stats()->bytes_in, strlen(GET) + sizeof more);
    t.idle = 2;
    say("x");
    settle();
    cr_assert_eq(t.idle, 0, "of what lies in the link too");
    mux_wire_cancel(t.wire, CS_ECANCELED);
}

Test(wire, answers_what_it_can_after_its_end)
{
    const cs_bytes piece = cs_str("x");
    size_t n;
    char byte;

    say(GET);
    settle();
    mux_wire_finish(t.wire);
    cr_assert_eq(mux_wire_send(t.wire, &piece, 1, &n), CS_EMISUSE);
    cr_assert_eq(n, 0);
    cr_assert_eq(mux_wire_recv(t.wire, &byte, 1, &n), CS_EMISUSE);
    mux_wire_finish(t.wire);
    mux_wire_cancel(t.wire, CS_EABORTED);
    cr_assert_eq(mux_wire_send(t.wire, &piece, 1, &n), CS_EABORTED);
    cr_assert_eq(mux_wire_recv(t.wire, &byte, 1, &n), CS_EABORTED);
    mux_wire_cancel(t.wire, CS_EPEER);
    settle();
    cr_assert_eq(t.ends, 1);
    cr_assert_eq(t.why, CS_EABORTED);
}

/* ---- The end ---------------------------------------------------------------------------------- */

Test(wire, finishes_and_waits_for_the_peer_to_hang_up)
{
    t.on_readable = answer;
    say(GET);
    settle();
    cr_assert_str_eq(t.got, "HTTP/1.1 200 OK\r\n\r\n");
    cr_assert(t.hung_up, "its half is closed");
    cr_assert_eq(t.ends, 0);
    say("and this, which nobody reads");
    settle();
    cr_assert_eq(t.readables, 1);
    cr_assert_eq(t.ends, 0, "the peer may be reading still");
    hang_up();
    settle();
    cr_assert_eq(t.ends, 1);
    cr_assert_eq(t.why, CS_DONE);
    cr_assert_str_eq(t.heard, GET);
}

Test(wire, waits_for_a_second_and_no_longer)
{
    t.on_readable = answer;
    say(GET);
    settle();
    for (int i = 0; i < 9; i++) {
        cs_loop_advance(t.loop, 100);
        say("more");
    }
    settle();
    cr_assert_eq(t.ends, 0);
    cs_loop_advance(t.loop, 101);
    settle();
    cr_assert_eq(t.ends, 1);
    cr_assert_eq(t.why, CS_DONE);
    cr_assert_eq(t.ended_ms, 1000);
}

static void hangs_up_in(const char *said, bool idle, bool breaks, bool sends, cs_err why)
{
    begin();
    t.idle = idle;
    t.deaf = true;
    t.on_writable = pour;
    if (said)
        say(said);
    settle();
    if (sends)
        pour();
    if (sends)
        settle();
    if (breaks)
        mux__link_pair_break(t.peer);
    else
        hang_up();
    settle();
    cr_assert_eq(t.ends, why == CS_OK ? 0 : 1, "%s", said);
    cr_assert_eq(t.why, why, "%s: %s", said, cs_strerror(t.why));
    if (t.wire)
        mux_wire_cancel(t.wire, CS_EPEER);
    end();
}

Test(wire_left, by_a_peer_in_each_state)
{
    for (int breaks = 0; breaks <= 1; breaks++) {
        hangs_up_in(NULL, false, breaks, false, CS_OK); /* nothing came, and nobody is told */
        hangs_up_in("PRI *", false, breaks, false, CS_OK);
        /* Not read: it is found out all the same, also behind what waits to be sent. */
        hangs_up_in("G", true, breaks, false, CS_EPEER);
        hangs_up_in(GET, true, breaks, true, CS_EPEER);
        hangs_up_in(GET, false, breaks, true, CS_EPEER);
    }
    hangs_up_in(GET, false, true, false, CS_EPEER);
    hangs_up_in(GET, false, false, false, CS_OK); /* the end was received: see above */
}

Test(wire, that_is_not_read_is_left_behind_bytes_that_wait)
{
    t.idle = 1;
    say(GET);
    settle();
    say("more");
    settle();
    cr_assert_eq(t.ends, 0);
    cr_assert_eq(mux__link_shut(t.peer), CS_OK);
    settle();
    cr_assert_eq(t.why, CS_EPEER);
}

Test(wire, ends_with_its_port)
{
    say(GET);
    settle();
    mux_handlers_end_local(t.handlers);
    settle();
    cr_assert_eq(t.ends, 1);
    cr_assert_eq(t.why, CS_EDRAIN);
    cr_assert(t.hung_up);
}

static void lose(void)
{
    mux_wire_cancel(t.wire, CS_EABORTED);
}

Test(wire, may_be_cancelled_in_any_callback)
{
    t.on_readable = lose;
    say(GET);
    settle();
    cr_assert_eq(t.why, CS_EABORTED);
    cr_assert_eq(t.ends, 1);
}

/* ---- Going ------------------------------------------------------------------------------------ */

static void roll(mux_conn *conn, void *user)
{
    (void)user;
    mux_conn_roll(conn);
}

static void roll_all(void)
{
    mux_handlers_each_local(t.handlers, roll, NULL);
    settle();
}

Test(wire, is_told_to_go_once_and_finishes)
{
    t.rolls = true;
    say(GET);
    settle();
    roll_all();
    roll_all();
    cr_assert_eq(t.rolled, 1);
    cr_assert_eq(stats()->connections_rolled, 1);
    cs_loop_advance(t.loop, 3600 * 1000);
    cr_assert_eq(t.ends, 0, "it has time until its port is freed");
    send_text("bye");
    mux_wire_finish(t.wire);
    hang_up();
    settle();
    cr_assert_eq(t.why, CS_DONE);
}

Test(wire, ends_at_once_when_it_has_no_ear_for_that)
{
    say(GET);
    settle();
    roll_all();
    cr_assert_eq(t.why, CS_EDRAIN);
}

Test(wire, that_has_said_nothing_is_waited_for)
{
    roll_all();
    cs_loop_advance(t.loop, 999);
    cr_assert(!t.hung_up);
    cs_loop_advance(t.loop, 1);
    settle();
    cr_assert(t.hung_up);
    cr_assert_eq(t.got_len, 0);
}

Test(wire, that_begins_then_is_told_at_once)
{
    t.rolls = true;
    say("G");
    roll_all();
    say("ET");
    settle();
    cr_assert_eq(t.offers, 1);
    cr_assert_eq(t.rolled, 1);
    cs_loop_advance(t.loop, 10 * 1000);
    cr_assert_eq(t.ends, 0);
    mux_wire_cancel(t.wire, CS_EDRAIN);
}

Test(wire_made, or_goes_as_http2_does)
{
    fake_peer *fake = fake_client_mute(t.loop, NULL, t.handlers);

    fake_bytes(fake, cs_str("PRI * HTTP/2"));
    roll_all();
    cr_assert_str_eq(fake_said(fake), "");
    fake_bytes(fake, cs_str(".0\r\n\r\nSM\r\n\r\n"));
    settle();
    cr_assert_neq(strstr(fake_said(fake), "GOAWAY"), NULL, "%s", fake_said(fake));
    fake_free(fake);
}

Test(wire, is_old_one_day)
{
    t.rolls = true;
    hang_up();
    dial_with(&(struct mux_options){.connection_age_ms = 60 * 1000});
    say(GET);
    settle();
    cs_loop_advance(t.loop, 67 * 1000);
    cr_assert_eq(t.rolled, 1);
    cs_loop_advance(t.loop, 67 * 1000);
    cr_assert_eq(t.ends, 0);
    mux_wire_cancel(t.wire, CS_EDRAIN);
}

Test(wire, is_idle_when_nothing_moves)
{
    t.rolls = true;
    hang_up();
    dial_with(&(struct mux_options){.idle_timeout_ms = 60 * 1000});
    say(GET);
    settle();
    for (int i = 0; i < 4; i++) {
        cs_loop_advance(t.loop, 40 * 1000);
        if (i % 2)
            say("x");
        else
            send_text("tick");
        settle();
    }
    cr_assert_eq(t.rolled, 0);
    cs_loop_advance(t.loop, 61 * 1000);
    cr_assert_eq(t.rolled, 1);
    cr_assert_eq(stats()->connections_idle, 1);
    mux_wire_cancel(t.wire, CS_EDRAIN);
}

Test(wire, must_begin_in_time)
{
    say("P");
    cs_loop_advance(t.loop, 9999);
    cr_assert(!t.hung_up);
    cs_loop_advance(t.loop, 2);
    settle();
    cr_assert(t.hung_up);
    cr_assert_eq(stats()->preface_timeouts, 1);
}

Test(wire, that_began_is_not_cut_for_want_of_http2)
{
    say("G");
    cs_loop_advance(t.loop, 120 * 1000);
    cr_assert_eq(t.ends, 0);
    cr_assert_eq(t.got_len, 0, "nor is it asked for a PING");
    mux_wire_cancel(t.wire, CS_EPEER);
}

/* ---- TLS -------------------------------------------------------------------------------------- */

static struct foreign f;

static void dial_tls(const uint8_t *alpn, unsigned alpn_len)
{
    struct mux_tls server = secure_server("server");
    SSL_CTX *ctx = foreign_ctx(false, NULL);
    mux__link *ends[2];

    if (alpn)
        SSL_CTX_set_alpn_protos(ctx, alpn, alpn_len);
    cr_assert_eq(mux__link_pair(t.loop, ends), CS_OK);
    secure_accept(ends[1], &server);
    foreign_begin(&f, ends[0], ctx, false);
    settle();
}

static void begin_tls(void)
{
    secure_begin();
    memset(&t, 0, sizeof t);
    t.loop = secure.loop;
    t.handlers = secure.handlers;
    mux_handlers_set_wire(t.handlers, take_in, &t);
}

static void end_tls(void)
{
    foreign_end(&f);
    settle();
    cr_assert_null(t.wire, "a wire without an end");
    secure_end();
}

TestSuite(wire_tls, .init = begin_tls, .fini = end_tls);

static const uint8_t both[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1', 2, 'h', '2'};

static void answers_over_tls(const char *agreed)
{
    const unsigned char *name;
    unsigned len;

    SSL_get0_alpn_selected(f.ssl, &name, &len);
    cr_assert_eq(len, strlen(agreed));
    cr_assert_eq(memcmp(name ? name : (const unsigned char *)"", agreed, len), 0);
    cr_assert_eq(f.got_len, 0);
    t.on_readable = answer;
    for (size_t i = 0; i < strlen(GET); i++) {
        foreign_send(&f, &GET[i], 1);
        settle();
    }
    cr_assert_eq(t.offers, 1);
    cr_assert_eq(f.got_len, strlen("HTTP/1.1 200 OK\r\n\r\n"));
    cr_assert_eq(SSL_get_shutdown(f.ssl), SSL_RECEIVED_SHUTDOWN, "close_notify comes first");
    cr_assert_eq(t.ends, 1, "this peer hangs up");
    cr_assert_eq(t.why, CS_DONE);
    cr_assert_eq(stats()->tls_connections_total, 1);
}

Test(wire_tls, is_agreed_on)
{
    dial_tls(both, 9);
    answers_over_tls("http/1.1");
}

Test(wire_tls, is_taken_from_who_offers_nothing)
{
    dial_tls(NULL, 0);
    answers_over_tls("");
}

Test(wire_tls, knows_that_it_is)
{
    dial_tls(both, 9);
    foreign_send(&f, GET, sizeof GET - 1);
    settle();
    cr_assert(mux_wire_is_tls(t.wire));
    mux_wire_cancel(t.wire, CS_ECANCELED);
    settle();
}

Test(wire_tls, speaks_http2_with_who_offers_both)
{
    dial_tls(both, sizeof both);
    cr_assert_gt(f.got_len, 9);
    cr_assert_eq(f.got[3], 4, "SETTINGS, without waiting");
    foreign_send(&f, GET, sizeof GET - 1);
    settle();
    cr_assert_eq(t.offers, 0);
}

Test(wire_tls, refuses_http2_that_was_not_agreed_on)
{
    dial_tls(NULL, 0);
    foreign_send(&f, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    settle();
    cr_assert_eq(f.got_len, 0);
    cr_assert(f.is_over);
    cr_assert_str_eq(secure_log,
                     "connection of local: the client did not ask for HTTP/2 (ALPN h2)");
}

Test(wire_tls, refuses_who_offers_something_else)
{
    static const uint8_t odd[] = {6, 's', 'p', 'd', 'y', '/', '3'};

    dial_tls(odd, sizeof odd);
    cr_assert(f.is_over);
    cr_assert_neq(strstr(secure_log, "the client does not ask for HTTP/2 (ALPN h2)"), NULL);
}

Test(wire_tls, hears_that_a_peer_who_is_not_read_left)
{
    dial_tls(both, 9);
    t.idle = 1;
    foreign_send(&f, GET, sizeof GET - 1);
    settle();
    cr_assert_not_null(t.wire);
    mux__link_free(f.link);
    f.link = NULL;
    settle();
    cr_assert_eq(t.why, CS_EPEER);
}

/* What the records hold in reserve goes out before the half is closed. */
Test(wire_tls, sends_all_before_it_says_goodbye)
{
    dial_tls(both, 9);
    t.on_writable = pour;
    foreign_send(&f, GET, sizeof GET - 1);
    settle();
    f.link->ready = NULL; /* deaf */
    pour();
    settle();
    cr_assert_lt(t.sent, BIG);
    t.on_writable = NULL;
    mux_wire_finish(t.wire);
    cs_loop_advance(t.loop, 5000);
    cr_assert_eq(t.ends, 0, "a last word that is under way is not cut off");
    for (int i = 0; i < 10; i++) {
        foreign_pump(&f);
        settle();
    }
    cr_assert_eq(f.got_len, t.sent);
    cs_loop_advance(t.loop, 1001);
    cr_assert_eq(t.why, CS_DONE);
}

/* ---- To another loop -------------------------------------------------------------------------- */

/* Real sockets: a link in memory stays where it is.  The door is the loop that they come to. */
static struct {
    cs_loop *loop;
    mux_handlers *handlers;
    int far;
} door;

static void never(mux_wire *wire, void *user)
{
    (void)wire, (void)user;
    cr_assert_fail("it is taken at the other loop");
}

static void stop(void *user)
{
    cs_loop_stop(user);
}

/* Each loop turns a few times, and sees its descriptors. */
static void turn_both(void)
{
    cs_loop *loops[2] = {door.loop, t.loop};

    for (int i = 0; i < 20; i++) {
        cr_assert_eq(cs_loop_call(loops[i % 2], stop, loops[i % 2]), CS_OK);
        cr_assert_eq(cs_loop_run(loops[i % 2]), CS_OK);
    }
}

static void begin_two(void)
{
    memset(&t, 0, sizeof t);
    cr_assert_eq(cs_loop_new(NULL, &t.loop), CS_OK);
    cr_assert_eq(cs_loop_new(NULL, &door.loop), CS_OK);
    cr_assert_eq(mux_handlers_new(&t.handlers), CS_OK);
    cr_assert_eq(mux_handlers_new(&door.handlers), CS_OK);
    mux_handlers_set_wire(t.handlers, take_in, &t);
    mux_handlers_set_wire(door.handlers, never, NULL);
    mux_handlers_send_wires(door.handlers, t.loop, t.handlers);
}

static void come(mux__tls *tls)
{
    mux__link *link;
    int fds[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    door.far = fds[1];
    cr_assert_eq(mux__link_of_socket(door.loop, fds[0], 0, &link), CS_OK);
    cr_assert_eq(mux__conn_accept_tls(door.loop, link, tls, NULL, door.handlers,
                                      &door.handlers->local_conns, NULL),
                 CS_OK);
}

static void end_two(void)
{
    if (door.far >= 0)
        close(door.far);
    mux_handlers_end_local(t.handlers);
    mux_handlers_end_local(door.handlers);
    turn_both();
    cr_assert_eq(stats()->connections, 0);
    cr_assert_eq(mux_handlers_stats(door.handlers)->connections, 0);
    mux_handlers_free(t.handlers);
    mux_handlers_free(door.handlers);
    cr_assert_null(t.wire, "a wire without an end");
    cs_loop_free(t.loop);
    cs_loop_free(door.loop);
}

TestSuite(wire_two, .init = begin_two, .fini = end_two);

Test(wire_two, moves_with_what_was_read)
{
    char got[64] = "";

    t.on_readable = answer;
    come(NULL);
    cr_assert_eq(send(door.far, "P", 1, 0), 1);
    turn_both();
    cr_assert_eq(send(door.far, "UT / HTTP/1.1\r\n", 15, 0), 15);
    turn_both();
    cr_assert_str_eq(t.heard, "PUT / HTTP/1.1\r\n");
    cr_assert_eq(mux_handlers_stats(door.handlers)->connections, 0);
    cr_assert_eq(mux_handlers_stats(door.handlers)->connections_total, 1);
    cr_assert_eq(stats()->connections, 1);
    cr_assert_eq(stats()->connections_total, 0, "it came once");
    cr_assert_eq(mux_wire_peer(t.wire)->uid, (int64_t)getuid());
    cr_assert_eq(send(door.far, "\r\n", 2, 0), 2);
    turn_both();
    cr_assert_gt(recv(door.far, got, sizeof got - 1, 0), 0);
    cr_assert_str_eq(got, "HTTP/1.1 200 OK\r\n\r\n");
    close(door.far);
    door.far = -1;
    turn_both();
    cr_assert_eq(t.why, CS_DONE);
}

static void is_turned_away(void)
{
    char byte;

    come(NULL);
    cr_assert_eq(send(door.far, GET, sizeof GET - 1, 0), sizeof GET - 1);
    turn_both();
    cr_assert_eq(t.offers, 0);
    cr_assert_eq(recv(door.far, &byte, 1, 0), 0, "closed");
    close(door.far);
}

Test(wire_two, finds_the_limits_of_the_other_loop)
{
    come(NULL);
    cr_assert_eq(send(door.far, GET, sizeof GET - 1, 0), sizeof GET - 1);
    turn_both();
    cr_assert_eq(t.offers, 1);
    const int first = door.far;
    t.offers = 0;
    mux_handlers_set_max(t.handlers, 1);
    is_turned_away();
    cr_assert_eq(stats()->connections_refused, 1);
    mux_handlers_set_max(t.handlers, CS_OFF);
    mux_handlers_end_local(t.handlers);
    turn_both();
    cr_assert_eq(t.why, CS_EDRAIN);
    is_turned_away(); /* nobody is there any more */
    door.far = first;
}

/* What OpenSSL has in hand goes along. */
Test(wire_two, moves_with_its_tls)
{
    static const uint8_t http1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    struct mux_tls server;
    char words[MUX__TLS_WORDS], got[64] = "";
    mux__tls *tls;
    SSL_CTX *ctx;
    SSL *ssl;

    certs_begin();
    server = secure_server("server");
    cr_assert_eq(mux__tls_new(&server, true, NULL, &tls, words, sizeof words), CS_OK, "%s", words);
    t.on_readable = answer;
    come(tls);
    mux__tls_drop(tls);
    ctx = foreign_ctx(false, NULL);
    SSL_CTX_set_alpn_protos(ctx, http1, sizeof http1);
    ssl = SSL_new(ctx);
    SSL_set_fd(ssl, door.far);
    for (int i = 0; i < 5 && SSL_connect(ssl) != 1; i++)
        turn_both();
    cr_assert_eq(SSL_write(ssl, "GET / HTTP", 10), 10);
    cr_assert_eq(SSL_write(ssl, "/1.1\r\n\r\n", 8), 8);
    turn_both();
    cr_assert_str_eq(t.heard, "GET / HTTP/1.1\r\n\r\n");
    cr_assert_gt(SSL_read(ssl, got, sizeof got - 1), 0);
    cr_assert_str_eq(got, "HTTP/1.1 200 OK\r\n\r\n");
    cr_assert_eq(mux_handlers_stats(door.handlers)->tls_connections_total, 1);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    certs_end();
}

/* ---- Memory ----------------------------------------------------------------------------------- */

static void story(void)
{
    mux__link *ends[2] = {NULL, NULL};

    memset(&t, 0, sizeof t);
    if (cs_loop_new_virtual(&t.loop) != CS_OK)
        return;
    if (mux_handlers_new(&t.handlers) == CS_OK) {
        mux_handlers_set_wire(t.handlers, take_in, &t);
        t.on_readable = answer;
        if (mux__link_pair(t.loop, ends) == CS_OK) {
            t.peer = ends[0];
            mux__link_listen(t.peer, on_peer_ready, NULL);
            mux__link_want(t.peer, true, false);
            if (mux__conn_accept(t.loop, ends[1], NULL, t.handlers, &t.handlers->local_conns,
                                 NULL) != CS_OK)
                mux__link_free(ends[1]);
            else
                say("PUT / HTTP/1.1\r\n\r\n");
            settle();
            cr_assert(failing_failed() || t.got_len > 0);
            cr_assert(t.hung_up, "answered, or closed");
            cs_loop_advance(t.loop, 1001);
            cr_assert_null(t.wire);
            mux__link_free(t.peer);
        }
        settle();
        mux_handlers_free(t.handlers);
        settle();
    }
    cs_loop_free(t.loop);
}

Test(wire_memory, survives_every_failed_allocation)
{
    cr_assert_gt(failing_story(story), 20);
}
