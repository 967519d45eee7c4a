/* Connections that do not speak HTTP/2, when they are to go: told, old, idle, late. */
#include "test/mux/wired.h"
#include "test/support/fake_peer.h"

#include <criterion/criterion.h>

TestSuite(wire_going, .init = wired_begin, .fini = wired_end);
TestSuite(wire_going_made, .init = wired_make, .fini = wired_end);

static void roll(mux_conn *conn, void *user)
{
    (void)user;
    mux_conn_roll(conn);
}

static void roll_all(void)
{
    mux_handlers_each_local(wired.handlers, roll, NULL);
    wired_settle();
}

Test(wire_going, is_told_to_go_once_and_finishes)
{
    wired.rolls = true;
    wired_say(WIRED_GET);
    wired_settle();
    roll_all();
    roll_all();
    cr_assert_eq(wired.rolled, 1);
    cr_assert_eq(wired_stats()->connections_rolled, 1);
    cs_loop_advance(wired.loop, 3600 * 1000);
    cr_assert_eq(wired.ends, 0, "it has time until its port is freed");
    wired_send("bye");
    mux_wire_finish(wired.wire);
    wired_hang_up();
    wired_settle();
    cr_assert_eq(wired.why, CS_DONE);
}

Test(wire_going, ends_at_once_when_it_has_no_ear_for_that)
{
    wired_say(WIRED_GET);
    wired_settle();
    roll_all();
    cr_assert_eq(wired.why, CS_EDRAIN);
}

Test(wire_going, that_has_said_nothing_is_waited_for)
{
    roll_all();
    cs_loop_advance(wired.loop, 999);
    cr_assert(!wired.hung_up);
    cs_loop_advance(wired.loop, 1);
    wired_settle();
    cr_assert(wired.hung_up);
    cr_assert_eq(wired.got_len, 0);
}

Test(wire_going, that_begins_then_is_told_at_once)
{
    wired.rolls = true;
    wired_say("G");
    roll_all();
    wired_say("ET");
    wired_settle();
    cr_assert_eq(wired.offers, 1);
    cr_assert_eq(wired.rolled, 1);
    cs_loop_advance(wired.loop, 10 * 1000);
    cr_assert_eq(wired.ends, 0);
    mux_wire_cancel(wired.wire, CS_EDRAIN);
}

Test(wire_going_made, or_goes_as_http2_does)
{
    fake_peer *fake = fake_client_mute(wired.loop, NULL, wired.handlers);

    fake_bytes(fake, cs_str("PRI * HTTP/2"));
    roll_all();
    cr_assert_str_eq(fake_said(fake), "");
    fake_bytes(fake, cs_str(".0\r\n\r\nSM\r\n\r\n"));
    wired_settle();
    cr_assert_neq(strstr(fake_said(fake), "GOAWAY"), NULL, "%s", fake_said(fake));
    fake_free(fake);
}

Test(wire_going, is_old_one_day)
{
    wired.rolls = true;
    wired_hang_up();
    wired_dial(&(struct mux_options){.connection_age_ms = 60 * 1000});
    wired_say(WIRED_GET);
    wired_settle();
    cs_loop_advance(wired.loop, 67 * 1000);
    cr_assert_eq(wired.rolled, 1);
    cs_loop_advance(wired.loop, 67 * 1000);
    cr_assert_eq(wired.ends, 0);
    mux_wire_cancel(wired.wire, CS_EDRAIN);
}

Test(wire_going, is_idle_when_nothing_moves)
{
    wired.rolls = true;
    wired_hang_up();
    wired_dial(&(struct mux_options){.idle_timeout_ms = 60 * 1000});
    wired_say(WIRED_GET);
    wired_settle();
    for (int i = 0; i < 4; i++) {
        cs_loop_advance(wired.loop, 40 * 1000);
        if (i % 2)
            wired_say("x");
        else
            wired_send("tick");
        wired_settle();
    }
    cr_assert_eq(wired.rolled, 0);
    cs_loop_advance(wired.loop, 61 * 1000);
    cr_assert_eq(wired.rolled, 1);
    cr_assert_eq(wired_stats()->connections_idle, 1);
    mux_wire_cancel(wired.wire, CS_EDRAIN);
}

Test(wire_going, must_begin_in_time)
{
    wired_say("P");
    cs_loop_advance(wired.loop, 9999);
    cr_assert(!wired.hung_up);
    cs_loop_advance(wired.loop, 2);
    wired_settle();
    cr_assert(wired.hung_up);
    cr_assert_eq(wired_stats()->preface_timeouts, 1);
}

Test(wire_going, that_began_is_not_cut_for_want_of_http2)
{
    wired_say("G");
    cs_loop_advance(wired.loop, 120 * 1000);
    cr_assert_eq(wired.ends, 0);
    cr_assert_eq(wired.got_len, 0, "nor is it asked for a PING");
    mux_wire_cancel(wired.wire, CS_EPEER);
}
