/* Requests by HTTP/2: as frames, on a virtual loop. */
#include "browser.h"
#include "test/support/failing.h"
#include "test/support/fake_peer.h"

#include <criterion/criterion.h>
#include <stdio.h>

static mux_handlers *handlers;
static fake_peer *peer;

static cs_err up(const struct mux_options *options)
{
    cs_err err = world_up(NULL);

    handlers = NULL;
    peer = NULL;
    if (err == CS_OK && (err = mux_handlers_new(&handlers)) == CS_OK) {
        mux_handlers_set_plain(handlers, gateway__conn2_accept, world.gw);
        peer = fake_client(world.loop, options, handlers);
        cs_loop_settle(world.loop);
        fake_forget(peer);
    }
    return err;
}

static void down(void)
{
    if (peer)
        fake_free(peer);
    if (world.loop)
        cs_loop_settle(world.loop);
    mux_handlers_free(handlers);
    world_down();
}

static void begin(void)
{
    cr_assert_eq(up(NULL), CS_OK);
}

TestSuite(conn2, .init = begin, .fini = down);

#define TO(method, path)                                                                           \
    ":method", method, ":scheme", "http", ":path", path, ":authority", "localhost"

static void body(const char *text, bool last)
{
    fake_frame(peer, FAKE_DATA, last ? FAKE_END : 0, 1, cs_str(text));
    cs_loop_settle(world.loop);
}

static void expect_head(const char *head)
{
    cs_loop_settle(world.loop);
    cr_assert_eq(strncmp(fake_said(peer), head, strlen(head)), 0, "%s", fake_said(peer));
}

Test(conn2, a_get)
{
    fake_headers(peer, 1, true, TO("GET", "/v1/services"), NULL);
    expect_head("HEADERS 1 :status=200 cache-control=no-store content-type=application/json "
                "x-content-type-options=nosniff content-length=");
    cr_assert_eq(strncmp(fake_text(peer), "{\"services\":[", 13), 0);
    cr_assert(strstr(fake_said(peer), "DATA 1 end"), "%s", fake_said(peer));
    cr_assert(!strstr(fake_said(peer), "RST"));
}

/* gRPC-Web is a plain stream too; and its deadline is a status, not a reset. */
Test(conn2, a_call_of_grpc_web)
{
    fake_headers(peer, 1, false, TO("POST", "/chanserv.v1.Chanserv/Post"), "content-type",
                 "application/grpc-web-text", "grpc-timeout", "1S", NULL);
    body("AAAAAAgKBG", false);
    body("hvbGQSAA==", true);
    expect_head("HEADERS 1 :status=200 ");
    cr_assert(strstr(fake_said(peer), " content-type=application/grpc-web-text+proto "), "%s",
              fake_said(peer));
    cr_assert(!strstr(fake_said(peer), "DATA"), "%s", fake_said(peer));
    world_tick();
    cr_assert_eq(strncmp(fake_text(peer), "AAAA", 4), 0, "an announcement");
    fake_forget(peer);
    cs_loop_advance(world.loop, 1001);
    cr_assert_eq(strncmp(fake_text(peer), "gAAA", 4), 0, "trailers: %s", fake_said(peer));
    cr_assert(strstr(fake_said(peer), "DATA 1 end"), "%s", fake_said(peer));
    cr_assert(!strstr(fake_said(peer), "RST"), "%s", fake_said(peer));
}

Test(conn2, a_head_has_the_length_and_nothing_else)
{
    fake_headers(peer, 1, true, TO("HEAD", "/v1/services"), NULL);
    expect_head("HEADERS 1 end :status=200 cache-control=no-store content-type=application/json "
                "x-content-type-options=nosniff content-length=");
}

Test(conn2, a_post_whose_body_comes_in_pieces)
{
    fake_headers(peer, 1, false, TO("POST", "/v1/post/gen"), NULL);
    body("1", false);
    body(" ", false);
    cr_assert_str_eq(fake_said(peer), "");
    body("2", true);
    expect_head("HEADERS 1 :status=200 cache-control=no-store referrer-policy=no-referrer "
                "x-accel-buffering=no content-type=application/x-ndjson "
                "x-content-type-options=nosniff\n");
    cr_assert_str_eq(fake_text(peer), "{\"announce\":{\"source\":0,\"header\":\"s0\"}}\n"
                                      "{\"frame\":{\"source\":0,\"seq\":0,\"text\":\"f0\"}}\n"
                                      "{\"frame\":{\"source\":0,\"seq\":1,\"text\":\"f1\"}}\n"
                                      "{\"end\":{\"source\":0,\"code\":\"OK\"}}\n"
                                      "{\"end\":{\"code\":\"OK\"}}\n");
}

Test(conn2, the_window_holds_up_the_producers)
{
    size_t before;

    fake_headers(peer, 1, false, TO("POST", "/v1/post/gen"), NULL);
    body("2 1000 4096", true);
    cr_assert_eq(fake_heard(peer), 65535);
    before = world_made();
    cr_assert_lt(before, 120);
    cs_loop_advance(world.loop, 1000);
    cr_assert_eq(world_made(), before);
    fake_word(peer, FAKE_WINDOW, 1, 100000);
    fake_word(peer, FAKE_WINDOW, 0, 100000);
    cs_loop_settle(world.loop);
    cr_assert_eq(fake_heard(peer), 165535);
    cr_assert_gt(world_made(), before);
}

Test(conn2, who_resets_takes_the_post_along)
{
    fake_headers(peer, 1, true, TO("POST", "/v1/post/hold"), NULL);
    expect_head("HEADERS 1 :status=200");
    fake_word(peer, FAKE_RST, 1, 8);
    cs_loop_settle(world.loop);
    cr_assert_str_eq(world.said, "hold the peer vanished; ");
}

Test(conn2, who_hangs_up_takes_the_post_along)
{
    fake_headers(peer, 1, true, TO("POST", "/v1/post/hold"), NULL);
    expect_head("HEADERS 1 :status=200");
    fake_free(peer);
    peer = NULL;
    cs_loop_settle(world.loop);
    cr_assert_str_eq(world.said, "hold the peer vanished; ");
}

/* Else a reset would follow, on which curl loses the answer. */
Test(conn2, an_early_answer_waits_for_the_request)
{
    fake_headers(peer, 1, false, TO("POST", "/v1/nothing"), NULL);
    cs_loop_settle(world.loop);
    cr_assert(!strstr(fake_said(peer), " end"), "%s", fake_said(peer));
    body("some", false);
    cr_assert(!strstr(fake_said(peer), " end "), "%s", fake_said(peer));
    body("more", true);
    expect_head("HEADERS 1 :status=404");
    cr_assert(strstr(fake_said(peer), "DATA 1 end"), "%s", fake_said(peer));
    cr_assert(!strstr(fake_said(peer), "RST"));
}

Test(conn2, but_not_for_ever)
{
    fake_headers(peer, 1, false, TO("POST", "/v1/nothing"), NULL);
    cs_loop_settle(world.loop);
    cs_loop_advance(world.loop, 999);
    cr_assert(!strstr(fake_said(peer), " end"), "%s", fake_said(peer));
    cs_loop_advance(world.loop, 1);
    cr_assert(strstr(fake_said(peer), "DATA 1 end"), "%s", fake_said(peer));
}

Test(conn2, while_it_comes_for_ten_seconds)
{
    fake_headers(peer, 1, false, TO("POST", "/v1/nothing"), NULL);
    for (int i = 0; i < 19; i++) {
        body("some", false);
        cs_loop_advance(world.loop, 500);
        cr_assert(!strstr(fake_said(peer), " end"), "%d: %s", i, fake_said(peer));
    }
    body("some", false);
    cs_loop_advance(world.loop, 499);
    cr_assert(!strstr(fake_said(peer), " end"), "%s", fake_said(peer));
    cs_loop_advance(world.loop, 1);
    cr_assert(strstr(fake_said(peer), "DATA 1 end"), "%s", fake_said(peer));
}

Test(conn2, a_body_that_is_too_long_is_413_by_its_length)
{
    fake_headers(peer, 1, false, TO("POST", "/v1/post/gen"), "content-length", "1048577", NULL);
    expect_head("HEADERS 1 :status=413");
}

Test(conn2, a_failed_answer_is_reset)
{
    fake_headers(peer, 1, true, TO("POST", "/v1/post/hold"), NULL);
    cs_loop_settle(world.loop);
    gateway_free(world.gw);
    world.gw = NULL;
    cs_loop_settle(world.loop);
    cr_assert(strstr(fake_said(peer), "RST_STREAM 1"), "%s", fake_said(peer));
    cr_assert_str_eq(world.said, "hold the peer vanished; ");
}

/* ---- Without memory ---------------------------------------------------------------------------------- */

/* The peer needs some of its own, so only what happens between is without it. */
static bool story(size_t nth)
{
    bool failed;

    failing_arm(0);
    cr_assert_eq(up(NULL), CS_OK);
    failing_arm(nth);
    fake_headers(peer, 1, false, TO("POST", "/v1/post/gen"), NULL);
    fake_frame(peer, FAKE_DATA, FAKE_END, 1, cs_str("1 1"));
    cs_loop_settle(world.loop);
    cs_loop_advance(world.loop, 1000);
    failed = failing_failed();
    cr_assert(failed || strstr(fake_said(peer), "DATA 1 end"), "%s", fake_said(peer));
    cr_assert(strstr(fake_said(peer), " end") || strstr(fake_said(peer), "RST_STREAM 1") ||
                  strstr(fake_said(peer), "GOAWAY") || fake_hung_up(peer),
              "%zu: %s", nth, fake_said(peer));
    failing_arm(0);
    down();
    cr_assert_eq(failing_live(), 0, "%zu alive after allocation %zu failed", failing_live(), nth);
    return failed;
}

Test(conn2_memory, every_failed_allocation)
{
    size_t n = 1;

    failing_count();
    while (story(n))
        n++;
    cr_assert_gt(n, 50);
}
