/* TLS on real sockets: ports, dials, and much at once. */
#include "mux/mux__in.h"
#include "test/mux/secure.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static mux_port *port;
static char why[400];

static void on_late(void *user)
{
    (void)user;
    cr_assert_fail("nothing came for thirty seconds");
}

static void run(void)
{
    cs_timer *late;

    cr_assert_eq(cs_timer_new(secure.loop, on_late, NULL, &late), CS_OK);
    cs_timer_set(late, 30000);
    cr_assert_eq(cs_loop_run(secure.loop), CS_OK);
    cs_timer_free(late);
}

static void begin(void)
{
    secure_begin();
    cs_loop_free(secure.loop);
    cr_assert_eq(cs_loop_new(NULL, &secure.loop), CS_OK);
}

static void leave(void)
{
    mux_conn_free(secure.conn);
    mux_port_free(port);
    cs_loop_last_turn(secure.loop);
    mux_handlers_free(secure.handlers);
    cs_loop_last_turn(secure.loop);
    cs_loop_free(secure.loop);
    certs_end();
}

TestSuite(tls_port, .init = begin, .fini = leave);

static void wake_it(struct side *s)
{
    mux_stream_wake(s->stream);
}

static void stop_at_the_end(struct side *s)
{
    cs_loop_stop(s->talk->loop);
}

static void listen_with(const char *addr, const struct mux_tls *tls)
{
    struct mux_options options = {.tls = tls};

    cr_assert_eq(mux_listen(secure.loop, addr, &options, secure.handlers, &port, why, sizeof why),
                 CS_OK, "%s", why);
}

static struct side *call(const char *addr, const struct mux_tls *tls)
{
    struct mux_options options = {.tls = tls};
    struct side *c;

    cr_assert_eq(mux_dial(secure.loop, addr, &options, &secure.conn), CS_OK);
    secure.server[0] = (struct side){.pulls_of = 1000, .pull_left = 5000, .finishes = true};
    secure.server[0].on_accept = wake_it;
    secure.client[0].on_end = stop_at_the_end;
    c = talk_open(&secure, 0);
    side_send(c, "hello");
    side_finish(c, CS_OK);
    run();
    return c;
}

static void expect_all(const struct side *c)
{
    cr_assert_eq(c->why, CS_DONE, "%s", c->errmsg);
    cr_assert_eq(c->messages, 5000);
    cr_assert_eq(mux_handlers_stats(secure.handlers)->tls_connections_total, 1);
}

static const char *localhost(void)
{
    static char addr[64];

    snprintf(addr, sizeof addr, "localhost:%s", strrchr(mux_port_addr(port), ':') + 1);
    return addr;
}

/* ---- Good order ----------------------------------------------------------------------------- */

Test(tls_port, calls_run_over_tcp)
{
    struct mux_tls server = secure_server("server"), client = secure_client();

    listen_with("127.0.0.1:0", &server);
    expect_all(call(localhost(), &client));
    cr_assert_eq(mux_conn_peer(secure.conn)->tls_sans_len, 3);
}

Test(tls_port, calls_run_to_an_address)
{
    struct mux_tls server = secure_server("server"), client = secure_client();

    listen_with("127.0.0.1:0", &server);
    expect_all(call(mux_port_addr(port), &client));
}

Test(tls_port, calls_run_over_unix_sockets)
{
    struct mux_tls server = secure_server("server"), client = secure_client();
    char addr[64];

    snprintf(addr, sizeof addr, "unix:@tls-port-test-%ld", (long)getpid());
    listen_with(addr, &server);
    expect_all(call(addr, &client));
    cr_assert_eq(mux_conn_peer(secure.conn)->uid, (int64_t)getuid());
}

Test(tls_port, both_may_show_certificates)
{
    struct mux_tls server = secure_server("server"), client = secure_client();

    server.ca_file = client.ca_file;
    client.cert_file = certs_path("client.pem");
    client.key_file = certs_path("client.key");
    listen_with("127.0.0.1:0", &server);
    expect_all(call(localhost(), &client));
}

/* ---- What goes wrong ------------------------------------------------------------------------ */

static void refused(const char *story, const struct mux_tls *client)
{
    char want[300];
    struct side *c = call(localhost(), client);

    snprintf(want, sizeof want, story, localhost());
    cr_assert_str_eq(c->errmsg, want);
    cr_assert_eq(c->why, CS_EREFUSED);
    cr_assert(c->never_ran);
}

Test(tls_port, a_client_without_a_certificate_hears_why)
{
    struct mux_tls server = secure_server("server"), client = secure_client();

    server.ca_file = client.ca_file;
    listen_with("127.0.0.1:0", &server);
    refused("%s: tls: the server demands a client certificate", &client);
}

Test(tls_port, a_plain_port_does_not_speak_tls)
{
    struct mux_tls client = secure_client();

    listen_with("127.0.0.1:0", NULL);
    refused("dial %s: tls: the server does not speak TLS", &client);
    cr_assert_not_null(strstr(secure_log, ": the client speaks TLS, and this port is plain text"),
                       "%s", secure_log);
}

Test(tls_port, a_secure_port_hangs_up_on_plain_text)
{
    struct mux_tls server = secure_server("server");
    struct side *c;

    listen_with("127.0.0.1:0", &server);
    c = call(localhost(), NULL);
    cr_assert(cs_failed(c->why));
    cr_assert_eq(c->messages, 0);
    cr_assert_not_null(strstr(c->errmsg, "want TLS?"), "%s", c->errmsg);
    cr_assert_not_null(strstr(secure_log, ": tls: the client does not speak TLS"), "%s",
                       secure_log);
    cr_assert_eq(mux_handlers_stats(secure.handlers)->tls_handshakes_failed, 1);
}

static int silent_client(void)
{
    struct mux__sockaddr sa[MUX__ADDRS_MAX];
    struct mux__addr addr;
    size_t n;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(mux__addr_parse(mux_port_addr(port), &addr), CS_OK);
    cr_assert_eq(mux__addr_expand(&addr, sa, &n), CS_OK);
    cr_assert_eq(connect(fd, &sa[0].u.any, sa[0].len), 0);
    return fd;
}

static void stop_soon(void *user)
{
    cs_loop_stop(user);
}

Test(tls_port, a_slow_handshake_is_cut)
{
    struct mux_tls server = secure_server("server");
    struct mux_options options = {.tls = &server, .handshake_timeout_ms = 20};
    cs_timer *timer;
    char byte;
    int fd;

    cr_assert_eq(
        mux_listen(secure.loop, "127.0.0.1:0", &options, secure.handlers, &port, why, sizeof why),
        CS_OK);
    fd = silent_client();
    cr_assert_eq(cs_timer_new(secure.loop, stop_soon, secure.loop, &timer), CS_OK);
    while (mux_handlers_stats(secure.handlers)->tls_handshakes_failed == 0) {
        cs_timer_set(timer, 5);
        run();
    }
    cr_assert_eq(recv(fd, &byte, 1, 0), 0);
    cr_assert_not_null(strstr(secure_log, ": tls: the handshake timed out"), "%s", secure_log);
    cs_timer_free(timer);
    close(fd);
}

Test(tls_port, handshakes_count_as_connections)
{
    struct mux_tls server = secure_server("server");
    const struct mux_stats *stats = mux_handlers_stats(secure.handlers);
    cs_timer *timer;
    char byte;
    int fd, late;

    listen_with("127.0.0.1:0", &server);
    mux_handlers_set_max(secure.handlers, 1);
    cr_assert_eq(cs_timer_new(secure.loop, stop_soon, secure.loop, &timer), CS_OK);
    fd = silent_client();
    late = silent_client();
    while (stats->connections_refused == 0) {
        cs_timer_set(timer, 1);
        run();
    }
    cr_assert_eq(stats->tls_handshakes, 1);
    cr_assert_eq(recv(late, &byte, 1, 0), 0);
    close(late);
    close(fd);
    while (stats->tls_handshakes > 0) {
        cs_timer_set(timer, 1);
        run();
    }
    cr_assert_not(mux__handlers_are_full(secure.handlers));
    cs_timer_free(timer);
}

Test(tls_port, a_port_may_go_in_the_middle_of_a_handshake)
{
    struct mux_tls server = secure_server("server");
    cs_timer *timer;
    char byte;
    int fd;

    listen_with("127.0.0.1:0", &server);
    fd = silent_client();
    cr_assert_eq(cs_timer_new(secure.loop, stop_soon, secure.loop, &timer), CS_OK);
    while (mux_handlers_stats(secure.handlers)->tls_handshakes == 0) {
        cs_timer_set(timer, 1);
        run();
    }
    mux_port_free(port);
    port = NULL;
    cs_loop_last_turn(secure.loop);
    cr_assert_eq(recv(fd, &byte, 1, 0), 0);
    cr_assert_eq(mux_handlers_stats(secure.handlers)->tls_handshakes, 0);
    cs_timer_free(timer);
    close(fd);
}

/* ---- Much of it ----------------------------------------------------------------------------- */

enum { FLOOD = 64 * 1024 * 1024, PIECE = 64 * 1024 };

static void finish_when_both_are_through(struct side *s)
{
    side_take(s);
    s->finishes = s->last == CS_DONE;
    if (s->finishes && s->pull_left == 0)
        side_finish(s, CS_DONE);
}

Test(tls_port, sixty_four_mebibytes_both_ways_at_once_through_tiny_buffers)
{
    struct mux_tls server = secure_server("server"), client = secure_client();
    int fds[2], small = 4096;
    mux__link *ends[2];
    struct side *c = &secure.client[0], *s = &secure.server[0];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
        cr_assert_eq(mux__link_of_socket(secure.loop, fds[i], 0, &ends[i]), CS_OK);
    }
    secure_dial(ends[0], &client, "localhost");
    secure_accept(ends[1], &server);
    *s = (struct side){.pulls_of = PIECE, .pull_left = FLOOD / PIECE};
    s->on_accept = wake_it;
    s->on_readable = finish_when_both_are_through;
    *c = (struct side){.pulls_of = PIECE, .pull_left = FLOOD / PIECE, .finishes = true};
    c->on_end = stop_at_the_end;
    talk_open(&secure, 0);
    mux_stream_wake(c->stream);
    run();
    cr_assert_eq(c->bytes, FLOOD);
    cr_assert_eq(s->bytes, FLOOD);
    cr_assert_eq(c->why, CS_DONE, "%s", c->errmsg);
}

/* ---- Sockets that were handed over ---------------------------------------------------------- */

static int listening(void)
{
    struct mux__sockaddr sa[MUX__ADDRS_MAX];
    struct mux__addr addr;
    size_t n;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(mux__addr_parse("127.0.0.1:0", &addr), CS_OK);
    cr_assert_eq(mux__addr_expand(&addr, sa, &n), CS_OK);
    cr_assert_eq(bind(fd, &sa[0].u.any, sa[0].len), 0);
    cr_assert_eq(listen(fd, 8), 0);
    return fd;
}

static const char *name_of(int fd)
{
    static char name[16];

    snprintf(name, sizeof name, "fd:%d", fd);
    return name;
}

Test(tls_port, a_socket_that_was_handed_over_is_listened_on)
{
    struct mux_tls server = secure_server("server"), client = secure_client();
    int fd = listening();

    listen_with(name_of(fd), &server);
    cr_assert_eq(strncmp(mux_port_addr(port), "127.0.0.1:", 10), 0, "%s", mux_port_addr(port));
    cr_assert(mux_port_is_local(port));
    cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    expect_all(call(localhost(), &client));
    mux_port_free(port);
    port = NULL;
    cr_assert_eq(fcntl(fd, F_GETFD), -1, "it went with its port");
}

static void does_not_take(int fd, cs_err err, const char *words)
{
    char want[100];

    cr_assert_eq(
        mux_listen(secure.loop, name_of(fd), NULL, secure.handlers, &port, why, sizeof why), err);
    snprintf(want, sizeof want, "listen fd:%d: %s", fd, words);
    cr_assert_str_eq(why, want);
}

Test(tls_port, what_is_no_listening_socket_is_left_alone)
{
    int fds[2], fd = socket(AF_INET, SOCK_STREAM, 0);

    does_not_take(fd, CS_EINVAL, "not a listening stream socket");
    cr_assert_geq(fcntl(fd, F_GETFD), 0);
    close(fd);
    does_not_take(fd, CS_ESYS, "bad file descriptor");
    cr_assert_eq(pipe(fds), 0);
    does_not_take(fds[0], CS_ESYS, "socket operation on non-socket");
    close(fds[0]);
    close(fds[1]);
}
