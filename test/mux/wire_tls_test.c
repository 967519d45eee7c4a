/* Connections that do not speak HTTP/2, over TLS: agreed on by ALPN, or by their first bytes. */
#include "test/mux/secure.h"
#include "test/mux/wired.h"

#include <criterion/criterion.h>

static struct foreign f;

static void dial_tls(const uint8_t *alpn, unsigned alpn_len)
{
    struct mux_tls server = secure_server("server");
    SSL_CTX *ctx = foreign_ctx(false, NULL);
    mux__link *ends[2];

    if (alpn)
        SSL_CTX_set_alpn_protos(ctx, alpn, alpn_len);
    cr_assert_eq(mux__link_pair(wired.loop, ends), CS_OK);
    secure_accept(ends[1], &server);
    foreign_begin(&f, ends[0], ctx, false);
    wired_settle();
}

static void begin_tls(void)
{
    secure_begin();
    memset(&wired, 0, sizeof wired);
    wired.loop = secure.loop;
    wired.handlers = secure.handlers;
    mux_handlers_set_wire(wired.handlers, wired_take_in, &wired);
}

static void end_tls(void)
{
    foreign_end(&f);
    wired_settle();
    cr_assert_null(wired.wire, "a wire without an end");
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
    wired.on_readable = wired_answer;
    for (size_t i = 0; i < strlen(WIRED_GET); i++) {
        foreign_send(&f, &WIRED_GET[i], 1);
        wired_settle();
    }
    cr_assert_eq(wired.offers, 1);
    cr_assert_eq(f.got_len, strlen("HTTP/1.1 200 OK\r\n\r\n"));
    cr_assert_eq(SSL_get_shutdown(f.ssl), SSL_RECEIVED_SHUTDOWN, "close_notify comes first");
    cr_assert_eq(wired.ends, 1, "this peer hangs up");
    cr_assert_eq(wired.why, CS_DONE);
    cr_assert_eq(wired_stats()->tls_connections_total, 1);
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
    foreign_send(&f, WIRED_GET, sizeof WIRED_GET - 1);
    wired_settle();
    cr_assert(mux_wire_is_tls(wired.wire));
    mux_wire_cancel(wired.wire, CS_ECANCELED);
    wired_settle();
}

Test(wire_tls, speaks_http2_with_who_offers_both)
{
    dial_tls(both, sizeof both);
    cr_assert_gt(f.got_len, 9);
    cr_assert_eq(f.got[3], 4, "SETTINGS, without waiting");
    foreign_send(&f, WIRED_GET, sizeof WIRED_GET - 1);
    wired_settle();
    cr_assert_eq(wired.offers, 0);
}

Test(wire_tls, refuses_http2_that_was_not_agreed_on)
{
    dial_tls(NULL, 0);
    foreign_send(&f, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    wired_settle();
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
    wired.idle = 1;
    foreign_send(&f, WIRED_GET, sizeof WIRED_GET - 1);
    wired_settle();
    cr_assert_not_null(wired.wire);
    mux__link_free(f.link);
    f.link = NULL;
    wired_settle();
    cr_assert_eq(wired.why, CS_EPEER);
}

/* What the records hold in reserve goes out before the half is closed. */
Test(wire_tls, sends_all_before_it_says_goodbye)
{
    dial_tls(both, 9);
    wired.on_writable = wired_pour;
    foreign_send(&f, WIRED_GET, sizeof WIRED_GET - 1);
    wired_settle();
    f.link->ready = NULL; /* deaf */
    wired_pour();
    wired_settle();
    cr_assert_lt(wired.sent, WIRED_BIG);
    wired.on_writable = NULL;
    mux_wire_finish(wired.wire);
    cs_loop_advance(wired.loop, 5000);
    cr_assert_eq(wired.ends, 0, "a last word that is under way is not cut off");
    for (int i = 0; i < 10; i++) {
        foreign_pump(&f);
        wired_settle();
    }
    cr_assert_eq(f.got_len, wired.sent);
    cs_loop_advance(wired.loop, 1001);
    cr_assert_eq(wired.why, CS_DONE);
}
