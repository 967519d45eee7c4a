#include "test/mux/talk.h"
#include "test/support/fake_peer.h"

#include "mux/stats.h"

#include <criterion/criterion.h>

static struct talk t;

Test(alive, a_swallowed_peer_is_found_out_in_forty_seconds)
{
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    mux_conn_swallow(t.conn);
    cs_loop_advance(t.loop, 39999);
    cr_assert_eq(c->ends, 0);
    cs_loop_advance(t.loop, 1);
    cr_assert_eq(c->ends, 1);
    cr_assert_eq(c->why, CS_EPEER);
    cr_assert_eq(c->ended_ms, 40000);
    cr_assert_eq(t.server[0].ends, 1);
    cr_assert_eq(t.server[0].why, CS_EPEER);
    cr_assert_eq(mux_conn_stats(t.conn)->pings_lost, 1);
    talk_end(&t);
}

Test(alive, a_live_peer_may_be_silent_for_ever)
{
    talk_begin(&t, NULL, NULL);
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    cs_loop_advance(t.loop, 24 * 3600 * 1000);
    cr_assert_eq(c->ends + t.server[0].ends, 0);
    side_finish(&t.server[0], CS_DONE);
    talk_settle(&t);
    cr_assert_eq(c->why, CS_DONE);
    talk_end(&t);
}

Test(alive, the_times_are_options_and_can_be_off)
{
    const struct mux_options soon = {.ping_interval_ms = 100, .ping_timeout_ms = 20};
    const struct mux_options never = {.ping_interval_ms = CS_OFF, .stall_timeout_ms = CS_OFF};
    talk_begin(&t, &soon, &never);
    struct side *c = talk_open(&t, 0);
    talk_settle(&t);
    mux_conn_swallow(t.conn);
    cs_loop_advance(t.loop, 120);
    cr_assert_eq(c->why, CS_EPEER);
    cs_loop_advance(t.loop, 1000 * 1000);
    cr_assert_eq(t.server[0].ends, 0);
    talk_end(&t);
}

Test(alive, a_ping_is_sent_only_after_silence)
{
    fake_peer *peer;
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    peer = fake_server(t.loop, NULL, &t.conn);
    cs_loop_advance(t.loop, 20000);
    fake_settings(peer, 4, 65535); /* any sign of life will do */
    cs_loop_advance(t.loop, 29999);
    cr_assert(!strstr(fake_said(peer), "PING 0\n"));
    cs_loop_advance(t.loop, 1);
    cr_assert(strstr(fake_said(peer), "PING 0\n"));
    fake_mute(peer);
    cs_loop_advance(t.loop, 30000);
    cr_assert(!fake_hung_up(peer));
    cs_loop_advance(t.loop, 10000);
    cr_assert(fake_hung_up(peer));
    mux_conn_free(t.conn);
    talk_settle(&t);
    fake_free(peer);
    cs_loop_free(t.loop);
}

/* ---- Stalls --------------------------------------------------------------------------------- */

static fake_peer *with_a_window_of(uint32_t window)
{
    talk_handlers(&t);
    fake_peer *peer = fake_client(t.loop, NULL, t.handlers);
    fake_settings(peer, 4, window);
    fake_request(peer, 1, true, TALK_METHOD);
    talk_settle(&t);
    cr_assert_eq(t.accepted, 1);
    side_send(&t.server[0], "something");
    talk_settle(&t);
    return peer;
}

static void leave(fake_peer *peer)
{
    mux_handlers_free(t.handlers);
    talk_settle(&t);
    fake_free(peer);
    cs_loop_free(t.loop);
}

Test(alive, a_window_that_never_opens_ends_the_stream)
{
    fake_peer *peer = with_a_window_of(0);
    cs_loop_advance(t.loop, 29000);
    cr_assert_eq(t.server[0].ends, 0);
    cr_assert_eq(fake_heard(peer), 0);
    cs_loop_advance(t.loop, 31000);
    cr_assert_eq(t.server[0].ends, 1);
    cr_assert_eq(t.server[0].why, CS_ESTALLED);
    cr_assert(strstr(fake_said(peer), "grpc-status=8"));
    cr_assert(strstr(fake_said(peer), "chanserv-reason=stalled"));
    leave(peer);
}

Test(alive, a_reader_that_took_one_byte_and_stopped_is_left_alone)
{
    fake_peer *peer = with_a_window_of(1);
    cr_assert_eq(fake_heard(peer), 1);
    cs_loop_advance(t.loop, 3600 * 1000);
    cr_assert_eq(t.server[0].ends, 0);
    fake_word(peer, FAKE_WINDOW, 1, 1000);
    talk_settle(&t);
    cr_assert_eq(fake_heard(peer), 14);
    leave(peer);
}

Test(alive, a_request_that_waits_for_its_turn_is_not_stalled)
{
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    fake_peer *peer = fake_server(t.loop, NULL, &t.conn);
    fake_settings(peer, 3, 1); /* one stream at a time */
    talk_settle(&t);
    talk_open(&t, 0);
    struct side *c = talk_open_with(&t, 1, &(struct mux_call_options){.wait_for_ready = true});
    side_send(c, "later");
    cs_loop_advance(t.loop, 200 * 1000);
    cr_assert_eq(c->ends, 0);
    fake_headers(peer, 1, true, ":status", "200", "grpc-status", "0", NULL);
    talk_settle(&t);
    cr_assert(strstr(fake_said(peer), "DATA 3 10\n"), "%s", fake_said(peer));
    mux_conn_free(t.conn);
    talk_settle(&t);
    fake_free(peer);
    cs_loop_free(t.loop);
}
