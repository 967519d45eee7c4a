/* wired -- see wired.h. */
#include "test/mux/wired.h"

#include <criterion/criterion.h>
#include <string.h>

struct wired wired;

/* ---- The wire's side -------------------------------------------------------------------------- */

static void take(void)
{
    char bytes[7]; /* so that there is more than one piece */
    size_t n;

    while ((wired.last = mux_wire_recv(wired.wire, bytes, sizeof bytes, &n)) == CS_OK)
        strncat(wired.heard, bytes, n);
    if (wired.last == CS_DONE)
        strcat(wired.heard, "|");
}

static void on_readable(mux_wire *wire, void *state)
{
    cr_assert_eq(wired.ends, 0);
    cr_assert_eq(wire, wired.wire);
    cr_assert_eq(mux_wire_state(wire), state);
    cr_assert_eq(*(int *)state, 42);
    wired.readables++;
    if (wired.idle > 0) {
        if (--wired.idle == 0)
            mux_wire_want(wire, false);
        return;
    }
    take();
    if (wired.on_readable)
        wired.on_readable();
}

static void on_writable(mux_wire *wire, void *state)
{
    (void)wire, (void)state;
    cr_assert_eq(wired.ends, 0);
    wired.writables++;
    if (wired.on_writable)
        wired.on_writable();
}

static void on_end(mux_wire *wire, cs_err why, void *state)
{
    cr_assert_eq(wire, wired.wire);
    cr_assert_eq(*(int *)state, 42);
    cr_assert_geq(mux_wire_peer(wire)->addr.len, 0);
    wired.ends++;
    wired.why = why;
    wired.wire = NULL;
    wired.ended_ms = cs_loop_now_ms(wired.loop);
}

static void on_rolled(mux_wire *wire, void *state)
{
    (void)wire, (void)state;
    wired.rolled++;
}

static const struct mux_wire_ops ops = {
    .state_bytes = sizeof(int), .readable = on_readable, .writable = on_writable, .end = on_end};
static const struct mux_wire_ops rolled_ops = {.state_bytes = sizeof(int),
                                               .readable = on_readable,
                                               .writable = on_writable,
                                               .end = on_end,
                                               .rolled = on_rolled};

void wired_take_in(mux_wire *wire, void *user)
{
    int state = 42;
    size_t n;
    char byte;

    cr_assert_eq(user, &wired);
    wired.offers++;
    cr_assert_eq(mux_wire_recv(wire, &byte, 1, &n), CS_EMISUSE, "it is nobody's yet");
    if (wired.leaves || mux_wire_accept(wire, wired.rolls ? &rolled_ops : &ops, &state) != CS_OK)
        return;
    cr_assert_eq(mux_wire_accept(wire, &ops, &state), CS_EMISUSE);
    wired.wire = wire;
    cr_assert_eq(mux_wire_loop(wire), wired.loop);
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
    while (!wired.deaf && (err = mux__link_read(wired.peer, bytes, sizeof bytes, &n)) == CS_OK) {
        for (size_t i = 0; i < n; i++, wired.got_len++) {
            if (wired.got_len < sizeof wired.got - 1)
                wired.got[wired.got_len] = bytes[i];
            if (wired.sent > 0)
                cr_assert_eq(bytes[i], nth(wired.got_len));
        }
    }
    wired.hung_up = wired.hung_up || cs_failed(err) || err == CS_DONE;
    mux__link_want(wired.peer, !wired.deaf && !wired.hung_up, false);
}

void wired_peer(mux__link *link)
{
    wired.peer = link;
    mux__link_listen(link, on_peer_ready, NULL);
    mux__link_want(link, true, false);
}

void wired_say_bytes(const void *bytes, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)bytes, len};
    size_t n = 0;

    cr_assert_eq(mux__link_write(wired.peer, &iov, 1, &n), CS_OK);
    cr_assert_eq(n, len);
}

void wired_say(const char *text)
{
    wired_say_bytes(text, strlen(text));
}

void wired_hang_up(void)
{
    mux__link_free(wired.peer);
    wired.peer = NULL;
}

void wired_hear(void)
{
    wired.deaf = false;
    mux__link_want(wired.peer, true, false);
}

/* ---- The two ---------------------------------------------------------------------------------- */

void wired_settle(void)
{
    cr_assert_lt(cs_loop_settle(wired.loop), 100000);
}

const struct mux_stats *wired_stats(void)
{
    return mux_handlers_stats(wired.handlers);
}

void wired_make(void)
{
    memset(&wired, 0, sizeof wired);
    cr_assert_eq(cs_loop_new_virtual(&wired.loop), CS_OK);
    cr_assert_eq(mux_handlers_new(&wired.handlers), CS_OK);
    mux_handlers_set_wire(wired.handlers, wired_take_in, &wired);
}

void wired_dial(const struct mux_options *options)
{
    mux__link *ends[2];

    cr_assert_eq(mux__link_pair(wired.loop, ends), CS_OK);
    wired_peer(ends[0]);
    cr_assert_eq(mux__conn_accept(wired.loop, ends[1], options, wired.handlers,
                                  &wired.handlers->local_conns, NULL),
                 CS_OK);
    wired_settle();
}

void wired_begin(void)
{
    wired_make();
    wired_dial(NULL);
}

void wired_end(void)
{
    mux__link_free(wired.peer);
    wired_settle();
    cr_assert_eq(wired_stats()->connections, 0);
    mux_handlers_free(wired.handlers);
    wired_settle();
    cr_assert_null(wired.wire, "a wire without an end");
    cs_loop_free(wired.loop);
}

void wired_send(const char *text)
{
    const cs_bytes pieces[] = {cs_bytes_of(NULL, 0), cs_bytes_of(text, 1),
                               cs_bytes_of(text + 1, strlen(text) - 1)};
    size_t taken;

    cr_assert_eq(mux_wire_send(wired.wire, pieces, 3, &taken), CS_OK);
    cr_assert_eq(taken, strlen(text));
}

void wired_answer(void)
{
    if (!strstr(wired.heard, "\r\n\r\n"))
        return;
    wired_send("HTTP/1.1 200 OK\r\n\r\n");
    mux_wire_finish(wired.wire);
}

void wired_pour(void)
{
    char bytes[3][9000];
    cs_bytes pieces[3];
    cs_err err = CS_OK;
    size_t taken;

    while (wired.sent < WIRED_BIG && err == CS_OK) {
        size_t at = wired.sent;

        for (int i = 0; i < 3; i++) {
            size_t len = WIRED_BIG - at < sizeof bytes[i] ? WIRED_BIG - at : sizeof bytes[i];

            for (size_t k = 0; k < len; k++)
                bytes[i][k] = nth(at + k);
            pieces[i] = cs_bytes_of(bytes[i], len);
            at += len;
        }
        err = mux_wire_send(wired.wire, pieces, 3, &taken);
        cr_assert(err != CS_OK || wired.sent + taken == at);
        wired.sent += taken;
    }
}
