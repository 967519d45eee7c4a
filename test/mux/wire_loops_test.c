/* Connections that do not speak HTTP/2 and come to one loop, and are taken at another. */
#include "mux/across.h"
#include "test/mux/secure.h"
#include "test/mux/wired.h"

#include <criterion/criterion.h>
#include <unistd.h>

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
    cs_loop *loops[2] = {door.loop, wired.loop};

    for (int i = 0; i < 20; i++) {
        cr_assert_eq(cs_loop_call(loops[i % 2], stop, loops[i % 2]), CS_OK);
        cr_assert_eq(cs_loop_run(loops[i % 2]), CS_OK);
    }
}

static void begin_two(void)
{
    memset(&wired, 0, sizeof wired);
    cr_assert_eq(cs_loop_new(NULL, &wired.loop), CS_OK);
    cr_assert_eq(cs_loop_new(NULL, &door.loop), CS_OK);
    cr_assert_eq(mux_handlers_new(&wired.handlers), CS_OK);
    cr_assert_eq(mux_handlers_new(&door.handlers), CS_OK);
    mux_handlers_set_wire(wired.handlers, wired_take_in, &wired);
    mux_handlers_set_wire(door.handlers, never, NULL);
    mux_handlers_send_wires(door.handlers, wired.loop, wired.handlers);
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
    mux_handlers_end_local(wired.handlers);
    mux_handlers_end_local(door.handlers);
    turn_both();
    cr_assert_eq(wired_stats()->connections, 0);
    cr_assert_eq(mux_handlers_stats(door.handlers)->connections, 0);
    mux_handlers_free(wired.handlers);
    mux_handlers_free(door.handlers);
    cr_assert_null(wired.wire, "a wire without an end");
    cs_loop_free(wired.loop);
    cs_loop_free(door.loop);
}

TestSuite(wire_two, .init = begin_two, .fini = end_two);

Test(wire_two, moves_with_what_was_read)
{
    char got[64] = "";

    wired.on_readable = wired_answer;
    come(NULL);
    cr_assert_eq(send(door.far, "P", 1, 0), 1);
    turn_both();
    cr_assert_eq(send(door.far, "UT / HTTP/1.1\r\n", 15, 0), 15);
    turn_both();
    cr_assert_str_eq(wired.heard, "PUT / HTTP/1.1\r\n");
    cr_assert_eq(mux_handlers_stats(door.handlers)->connections, 0);
    cr_assert_eq(mux_handlers_stats(door.handlers)->connections_total, 1);
    cr_assert_eq(wired_stats()->connections, 1);
    cr_assert_eq(wired_stats()->connections_total, 0, "it came once");
    cr_assert_eq(mux_wire_peer(wired.wire)->uid, (int64_t)getuid());
    cr_assert_eq(send(door.far, "\r\n", 2, 0), 2);
    turn_both();
    cr_assert_gt(recv(door.far, got, sizeof got - 1, 0), 0);
    cr_assert_str_eq(got, "HTTP/1.1 200 OK\r\n\r\n");
    close(door.far);
    door.far = -1;
    turn_both();
    cr_assert_eq(wired.why, CS_DONE);
}

static void is_turned_away(void)
{
    char byte;

    come(NULL);
    cr_assert_eq(send(door.far, WIRED_GET, sizeof WIRED_GET - 1, 0), sizeof WIRED_GET - 1);
    turn_both();
    cr_assert_eq(wired.offers, 0);
    cr_assert_eq(recv(door.far, &byte, 1, 0), 0, "closed");
    close(door.far);
}

Test(wire_two, finds_the_limits_of_the_other_loop)
{
    come(NULL);
    cr_assert_eq(send(door.far, WIRED_GET, sizeof WIRED_GET - 1, 0), sizeof WIRED_GET - 1);
    turn_both();
    cr_assert_eq(wired.offers, 1);
    const int first = door.far;
    wired.offers = 0;
    mux_handlers_set_max(wired.handlers, 1);
    is_turned_away();
    cr_assert_eq(wired_stats()->connections_refused, 1);
    mux_handlers_set_max(wired.handlers, CS_OFF);
    mux_handlers_end_local(wired.handlers);
    turn_both();
    cr_assert_eq(wired.why, CS_EDRAIN);
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
    wired.on_readable = wired_answer;
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
    cr_assert_str_eq(wired.heard, "GET / HTTP/1.1\r\n\r\n");
    cr_assert_gt(SSL_read(ssl, got, sizeof got - 1), 0);
    cr_assert_str_eq(got, "HTTP/1.1 200 OK\r\n\r\n");
    cr_assert_eq(mux_handlers_stats(door.handlers)->tls_connections_total, 1);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    certs_end();
}
