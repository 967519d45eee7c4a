/* Connections that do not speak HTTP/2: from their first byte to their end. */
#include "mux/across.h"
#include "test/mux/talk.h"
#include "test/mux/wired.h"
#include "test/support/failing.h"
#include "test/support/fake_peer.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(wire, .init = wired_begin, .fini = wired_end);
TestSuite(wire_made, .init = wired_make, .fini = wired_end); /* nobody dialed yet */

/* ---- First bytes ------------------------------------------------------------------------------ */

Test(wire, gets_what_is_none_of_http2)
{
    cr_assert_eq(wired.got_len, 0, "nothing is said before it is known to whom");
    wired_say(WIRED_GET);
    wired_settle();
    cr_assert_str_eq(wired.heard, WIRED_GET);
    cr_assert_eq(wired.last, CS_AGAIN);
    cr_assert_eq(mux_wire_is_tls(wired.wire), false);
    cr_assert(cs_same(mux_wire_peer(wired.wire)->addr, cs_str("local")));
    cr_assert_eq(wired_stats()->connections, 1);
    wired_send("hello");
    wired_settle();
    cr_assert_str_eq(wired.got, "hello");
    cr_assert_eq(wired_stats()->bytes_in, strlen(WIRED_GET));
    cr_assert_eq(wired_stats()->bytes_out, 5);
    wired_hang_up();
    wired_settle();
    cr_assert_str_eq(wired.heard, WIRED_GET "|");
    cr_assert_eq(wired.ends, 0, "it may have closed its half only");
    mux_wire_cancel(wired.wire, CS_EPEER);
    wired_settle();
    cr_assert_eq(wired.why, CS_EPEER);
}

static void byte_by_byte(const char *text)
{
    wired_make();
    wired_dial(NULL);
    for (size_t i = 0; i < strlen(text); i++) {
        wired_say_bytes(text + i, 1);
        wired_settle();
    }
    cr_assert_eq(wired.offers, 1, "%s", text);
    cr_assert_str_eq(wired.heard, text);
    cr_assert_eq(wired.got_len, 0);
    mux_wire_cancel(wired.wire, CS_ECANCELED);
    wired_end();
}

Test(wire_first, is_taken_from_any_first_bytes_of_http1)
{
    byte_by_byte(WIRED_GET);
    byte_by_byte("POST /a HTTP/1.1\r\n\r\n");
    byte_by_byte("PRI /a HTTP/1.1\r\n\r\n");
    byte_by_byte("PRI * HTTP/1.1\r\n\r\n");
    byte_by_byte("PRI * HTTP/2.0\r\n\r\nSM\r\nX");
    byte_by_byte("P / HTTP/1.1\r\n\r\n");
    byte_by_byte("get / HTTP/1.1\r\n\r\n");
    byte_by_byte("\r\nGET / HTTP/1.1\r\n\r\n");
    byte_by_byte("M-SEARCH * HTTP/1.1\r\n\r\n");
}

/* What is neither is for whom wires are there to refuse, too. */
Test(wire_first, is_taken_from_what_nobody_speaks)
{
    byte_by_byte("\xff\xfe");
    byte_by_byte("(");
    byte_by_byte("PRI\x7f");
    byte_by_byte("SSH-2.0-client\r\n");
    byte_by_byte("P\x16\x03\x01");
}

static char logged[256];

static void on_log(cs_level level, const char *room, const char *line, void *user)
{
    (void)level, (void)room, (void)user;
    snprintf(logged, sizeof logged, "%s", line);
}

static void is_refused(const void *bytes, size_t len, const char *words)
{
    wired_make();
    cs_set_log(on_log, NULL, CS_INFO);
    wired_dial(NULL);
    wired_say_bytes(bytes, len);
    wired_settle();
    cr_assert_eq(wired.offers, 0);
    cr_assert(wired.hung_up);
    cr_assert_str_eq(logged, words);
    cr_assert_eq(wired.got_len, 0);
    wired_end();
}

Test(wire_first, is_none_of_what_begins_tls)
{
    is_refused("\x16\x03\x01\x02", 4,
               "connection of local: the client speaks TLS, and this port is plain text");
}

Test(wire_made, is_refused_as_ever_without_a_function)
{
    cs_set_log(on_log, NULL, CS_INFO);
    mux_handlers_set_wire(wired.handlers, NULL, NULL);
    wired_dial(NULL);
    cr_assert_gt(wired.got_len, 9, "SETTINGS need nobody's word");
    wired_say(WIRED_GET);
    wired_settle();
    cr_assert(wired.hung_up);
    cr_assert_str_eq(logged, "connection of local: the peer does not speak HTTP/2");
}

Test(wire, is_closed_when_nobody_takes_it)
{
    wired.leaves = true;
    wired_say(WIRED_GET);
    wired_settle();
    cr_assert_eq(wired.offers, 1);
    cr_assert(wired.hung_up);
    cr_assert_eq(wired.got_len, 0);
    cr_assert_eq(wired.ends, 0);
}

Test(wire, that_loses_its_function_meanwhile_is_closed)
{
    wired_say("P");
    wired_settle();
    mux_handlers_set_wire(wired.handlers, NULL, NULL);
    wired_say("OST");
    wired_settle();
    cr_assert(wired.hung_up);
}

Test(wire_made, leaves_http2_alone)
{
    struct talk talk = {.loop = wired.loop, .handlers = wired.handlers};
    fake_peer *fake = fake_client_mute(wired.loop, NULL, wired.handlers);
    const char *preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    for (size_t i = 0; i < 24; i++) {
        wired_settle();
        cr_assert_str_eq(fake_said(fake), "", "after %zu bytes", i);
        fake_bytes(fake, cs_bytes_of(preface + i, 1));
    }
    wired_settle();
    cr_assert_neq(strstr(fake_said(fake), "SETTINGS"), NULL);
    fake_frame(fake, FAKE_SETTINGS, 0, 0, cs_str(""));
    fake_forget(fake);
    fake_request(fake, 1, true, "/no.such/Method");
    wired_settle();
    cr_assert_neq(strstr(fake_said(fake), "grpc-status=12"), NULL, "%s", fake_said(fake));
    cr_assert_eq(wired.offers, 0);
    fake_free(fake);
    wired_settle();
    cr_assert_eq(mux_dial_local(wired.loop, NULL, NULL, wired.handlers, &talk.conn), CS_OK);
    wired_settle();
    cr_assert_str_eq(mux_conn_errmsg(talk.conn), "");
    mux_conn_free(talk.conn);
}

/* ---- Both ways -------------------------------------------------------------------------------- */

Test(wire, sends_as_fast_as_the_peer_reads)
{
    wired.on_writable = wired_pour;
    wired.deaf = true;
    wired_say(WIRED_GET);
    wired_settle();
    wired.deaf = true;
    wired_pour();
    wired_settle();
    cr_assert_eq(wired.sent, 256 * 1024, "what is under way, and nothing is queued");
    cr_assert_eq(wired.writables, 0);
    wired_hear();
    wired_settle();
    cr_assert_eq(wired.sent, WIRED_BIG);
    cr_assert_eq(wired.got_len, WIRED_BIG);
    cr_assert_gt(wired.writables, 2);
    cr_assert_eq(wired_stats()->bytes_out, WIRED_BIG);
    mux_wire_finish(wired.wire);
    wired_settle();
    cr_assert(wired.hung_up);
}

Test(wire, hears_a_half_close_and_still_answers)
{
    wired.on_readable = wired_answer;
    wired_say(WIRED_GET);
    cr_assert_eq(mux__link_shut(wired.peer), CS_OK);
    wired_settle();
    cr_assert_str_eq(wired.got, "HTTP/1.1 200 OK\r\n\r\n");
    cr_assert(wired.hung_up);
    cr_assert_eq(wired.ends, 1, "who closed his half has nothing to lose");
    cr_assert_eq(wired.why, CS_DONE);
}

Test(wire, reads_nothing_while_reading_is_off)
{
    char more[4096] = {0};

    wired.idle = 3;
    wired_say(WIRED_GET);
    wired_settle();
    cr_assert_eq(wired.readables, 3, "again each turn");
    wired_say_bytes(more, sizeof more);
    wired_settle();
    cr_assert_eq(wired.readables, 3);
    cr_assert_eq(wired_stats()->bytes_in, strlen(WIRED_GET));
    mux_wire_want(wired.wire, true);
    wired_settle();
    cr_assert_str_eq(wired.heard, WIRED_GET);
    cr_assert_eq(wired_stats()->bytes_in, strlen(WIRED_GET) + sizeof more);
    wired.idle = 2;
    wired_say("x");
    wired_settle();
    cr_assert_eq(wired.idle, 0, "of what lies in the link too");
    mux_wire_cancel(wired.wire, CS_ECANCELED);
}

Test(wire, answers_what_it_can_after_its_end)
{
    const cs_bytes piece = cs_str("x");
    size_t n;
    char byte;

    wired_say(WIRED_GET);
    wired_settle();
    mux_wire_finish(wired.wire);
    cr_assert_eq(mux_wire_send(wired.wire, &piece, 1, &n), CS_EMISUSE);
    cr_assert_eq(n, 0);
    cr_assert_eq(mux_wire_recv(wired.wire, &byte, 1, &n), CS_EMISUSE);
    mux_wire_finish(wired.wire);
    mux_wire_cancel(wired.wire, CS_EABORTED);
    cr_assert_eq(mux_wire_send(wired.wire, &piece, 1, &n), CS_EABORTED);
    cr_assert_eq(mux_wire_recv(wired.wire, &byte, 1, &n), CS_EABORTED);
    mux_wire_cancel(wired.wire, CS_EPEER);
    wired_settle();
    cr_assert_eq(wired.ends, 1);
    cr_assert_eq(wired.why, CS_EABORTED);
}

/* ---- The end ---------------------------------------------------------------------------------- */

Test(wire, finishes_and_waits_for_the_peer_to_hang_up)
{
    wired.on_readable = wired_answer;
    wired_say(WIRED_GET);
    wired_settle();
    cr_assert_str_eq(wired.got, "HTTP/1.1 200 OK\r\n\r\n");
    cr_assert(wired.hung_up, "its half is closed");
    cr_assert_eq(wired.ends, 0);
    wired_say("and this, which nobody reads");
    wired_settle();
    cr_assert_eq(wired.readables, 1);
    cr_assert_eq(wired.ends, 0, "the peer may be reading still");
    wired_hang_up();
    wired_settle();
    cr_assert_eq(wired.ends, 1);
    cr_assert_eq(wired.why, CS_DONE);
    cr_assert_str_eq(wired.heard, WIRED_GET);
}

Test(wire, waits_for_a_second_and_no_longer)
{
    wired.on_readable = wired_answer;
    wired_say(WIRED_GET);
    wired_settle();
    for (int i = 0; i < 9; i++) {
        cs_loop_advance(wired.loop, 100);
        wired_say("more");
    }
    wired_settle();
    cr_assert_eq(wired.ends, 0);
    cs_loop_advance(wired.loop, 101);
    wired_settle();
    cr_assert_eq(wired.ends, 1);
    cr_assert_eq(wired.why, CS_DONE);
    cr_assert_eq(wired.ended_ms, 1000);
}

static void hangs_up_in(const char *said, bool idle, bool breaks, bool sends, cs_err why)
{
    wired_begin();
    wired.idle = idle;
    wired.deaf = true;
    wired.on_writable = wired_pour;
    if (said)
        wired_say(said);
    wired_settle();
    if (sends)
        wired_pour();
    if (sends)
        wired_settle();
    if (breaks)
        mux__link_pair_break(wired.peer);
    else
        wired_hang_up();
    wired_settle();
    cr_assert_eq(wired.ends, why == CS_OK ? 0 : 1, "%s", said);
    cr_assert_eq(wired.why, why, "%s: %s", said, cs_strerror(wired.why));
    if (wired.wire)
        mux_wire_cancel(wired.wire, CS_EPEER);
    wired_end();
}

Test(wire_left, by_a_peer_in_each_state)
{
    for (int breaks = 0; breaks <= 1; breaks++) {
        hangs_up_in(NULL, false, breaks, false, CS_OK); /* nothing came, and nobody is told */
        hangs_up_in("PRI *", false, breaks, false, CS_OK);
        /* Not read: it is found out all the same, also behind what waits to be sent. */
        hangs_up_in("G", true, breaks, false, CS_EPEER);
        hangs_up_in(WIRED_GET, true, breaks, true, CS_EPEER);
        hangs_up_in(WIRED_GET, false, breaks, true, CS_EPEER);
    }
    hangs_up_in(WIRED_GET, false, true, false, CS_EPEER);
    hangs_up_in(WIRED_GET, false, false, false, CS_OK); /* the end was received: see above */
}

Test(wire, that_is_not_read_is_left_behind_bytes_that_wait)
{
    wired.idle = 1;
    wired_say(WIRED_GET);
    wired_settle();
    wired_say("more");
    wired_settle();
    cr_assert_eq(wired.ends, 0);
    cr_assert_eq(mux__link_shut(wired.peer), CS_OK);
    wired_settle();
    cr_assert_eq(wired.why, CS_EPEER);
}

Test(wire, ends_with_its_port)
{
    wired_say(WIRED_GET);
    wired_settle();
    mux_handlers_end_local(wired.handlers);
    wired_settle();
    cr_assert_eq(wired.ends, 1);
    cr_assert_eq(wired.why, CS_EDRAIN);
    cr_assert(wired.hung_up);
}

static void lose(void)
{
    mux_wire_cancel(wired.wire, CS_EABORTED);
}

Test(wire, may_be_cancelled_in_any_callback)
{
    wired.on_readable = lose;
    wired_say(WIRED_GET);
    wired_settle();
    cr_assert_eq(wired.why, CS_EABORTED);
    cr_assert_eq(wired.ends, 1);
}

/* ---- Memory ----------------------------------------------------------------------------------- */

static void story(void)
{
    mux__link *ends[2] = {NULL, NULL};

    memset(&wired, 0, sizeof wired);
    if (cs_loop_new_virtual(&wired.loop) != CS_OK)
        return;
    if (mux_handlers_new(&wired.handlers) == CS_OK) {
        mux_handlers_set_wire(wired.handlers, wired_take_in, &wired);
        wired.on_readable = wired_answer;
        if (mux__link_pair(wired.loop, ends) == CS_OK) {
            wired_peer(ends[0]);
            if (mux__conn_accept(wired.loop, ends[1], NULL, wired.handlers,
                                 &wired.handlers->local_conns, NULL) != CS_OK)
                mux__link_free(ends[1]);
            else
                wired_say("PUT / HTTP/1.1\r\n\r\n");
            wired_settle();
            cr_assert(failing_failed() || wired.got_len > 0);
            cr_assert(wired.hung_up, "answered, or closed");
            cs_loop_advance(wired.loop, 1001);
            cr_assert_null(wired.wire);
            mux__link_free(wired.peer);
        }
        wired_settle();
        mux_handlers_free(wired.handlers);
        wired_settle();
    }
    cs_loop_free(wired.loop);
}

Test(wire_memory, survives_every_failed_allocation)
{
    cr_assert_gt(failing_story(story), 20);
}
