#include "mux/across.h"
#include "mux/link__in.h"
#include "mux/stats.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    cs_loop *loop;
    mux_handlers *handlers;
    mux_port *port;
    char why[160];
    char dir[32], path[64], addr[80]; /* "unix:" before the path */
} t;

static void open_loop(void)
{
    cr_assert_eq(cs_loop_new(NULL, &t.loop), CS_OK);
    cr_assert_eq(mux_handlers_new(&t.handlers), CS_OK);
    snprintf(t.dir, sizeof t.dir, "%s", "/tmp/chanserv-port-XXXXXX");
    cr_assert_not_null(mkdtemp(t.dir));
    snprintf(t.path, sizeof t.path, "%s/socket", t.dir);
    snprintf(t.addr, sizeof t.addr, "unix:%s", t.path);
}

static void close_loop(void)
{
    mux_port_free(t.port);
    cs_loop_last_turn(t.loop);
    mux_handlers_free(t.handlers);
    cs_loop_free(t.loop);
    unlink(t.path);
    rmdir(t.dir);
}

static cs_err listen_on(const char *addr, mux_port **ret)
{
    t.why[0] = '\0';
    return mux_listen(t.loop, addr, NULL, t.handlers, ret, t.why, sizeof t.why);
}

static void open_port(const char *addr)
{
    cr_assert_eq(listen_on(addr, &t.port), CS_OK, "%s", t.why);
}

/* A blocking socket of the test, connected to what an address says. */
static int client_of(const char *text)
{
    struct mux__sockaddr sa[MUX__ADDRS_MAX];
    struct mux__addr addr;
    size_t n;
    int fd;

    cr_assert_eq(mux__addr_parse(text, &addr), CS_OK);
    cr_assert_eq(mux__addr_expand(&addr, sa, &n), CS_OK);
    fd = socket(sa[0].u.any.sa_family, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, &sa[0].u.any, sa[0].len) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static void stop(void *user)
{
    cs_loop_stop(user);
}

/* Turns the loop until the client has bytes: a server's SETTINGS come unasked. */
static bool is_served(int fd)
{
    cs_timer *timer;
    char head[9] = {0};
    ssize_t n = -1;

    cr_assert_eq(cs_timer_new(t.loop, stop, t.loop, &timer), CS_OK);
    for (int i = 0; i < 5000 && n < 0; i++) {
        cs_timer_set(timer, 1);
        cr_assert_eq(cs_loop_run(t.loop), CS_OK);
        n = recv(fd, head, sizeof head, MSG_DONTWAIT);
        cr_assert(n >= 0 || errno == EAGAIN);
    }
    cs_timer_free(timer);
    return n == sizeof head && head[3] == 4; /* RFC 9113, 6.5 */
}

TestSuite(port, .init = open_loop, .fini = close_loop);

Test(port, zero_is_a_port_that_was_free)
{
    int fd;

    open_port("127.0.0.1:0");
    cr_assert_eq(strncmp(mux_port_addr(t.port), "127.0.0.1:", 10), 0);
    cr_assert_neq(atoi(mux_port_addr(t.port) + 10), 0);
    cr_assert(mux_port_is_local(t.port));
    fd = client_of(mux_port_addr(t.port));
    cr_assert_geq(fd, 0);
    cr_assert(is_served(fd));
    close(fd);
}

Test(port, serves_many_at_once_and_ends_them)
{
    int fds[100];
    char rest[4096];

    open_port("127.0.0.1:0");
    for (int i = 0; i < 100; i++)
        cr_assert_geq(fds[i] = client_of(mux_port_addr(t.port)), 0);
    for (int i = 0; i < 100; i++)
        cr_assert(is_served(fds[i]));
    mux_port_free(t.port);
    t.port = NULL;
    cs_loop_last_turn(t.loop);
    for (int i = 0; i < 100; i++) {
        while (recv(fds[i], rest, sizeof rest, 0) > 0)
            ;
        close(fds[i]);
    }
}

Test(port, nobody_gets_in_after_it_was_freed)
{
    char addr[64];

    open_port("127.0.0.1:0");
    snprintf(addr, sizeof addr, "%s", mux_port_addr(t.port));
    mux_port_free(t.port);
    t.port = NULL;
    cr_assert_eq(client_of(addr), -1);
    mux_port_free(NULL);
}

Test(port, all_addresses_are_reached_by_v4_and_are_not_local)
{
    char addr[64];
    int fd;

    open_port(":0");
    cr_assert_not(mux_port_is_local(t.port));
    snprintf(addr, sizeof addr, "127.0.0.1%s", strrchr(mux_port_addr(t.port), ':'));
    fd = client_of(addr);
    cr_assert_geq(fd, 0);
    cr_assert(is_served(fd));
    close(fd);
}

Test(port, localhost_is_v4_for_everybody)
{
    open_port("localhost:0");
    cr_assert_eq(strncmp(mux_port_addr(t.port), "127.0.0.1:", 10), 0);
    cr_assert(mux_port_is_local(t.port));
}

Test(port, listens_on_a_name)
{
    open_port("127.1:0"); /* no number to us, but to the resolver */
    cr_assert_eq(strncmp(mux_port_addr(t.port), "127.0.0.1:", 10), 0);
}

Test(port, says_that_an_address_is_taken)
{
    mux_port *second = NULL;
    char addr[64], why[128];

    open_port("127.0.0.1:0");
    snprintf(addr, sizeof addr, "localhost%s", strrchr(mux_port_addr(t.port), ':'));
    snprintf(why, sizeof why, "listen %s: address already in use", addr);
    cr_assert_eq(listen_on(addr, &second), CS_ESYS, "and not on [::1] instead");
    cr_assert_str_eq(t.why, why);
    cr_assert_null(second);
}

Test(port, refuses_what_is_no_address)
{
    cr_assert_eq(listen_on("5555", &t.port), CS_EINVAL);
    cr_assert_str_eq(t.why, "listen 5555: not an address");
    cr_assert_eq(mux_listen(t.loop, "5555", NULL, t.handlers, &t.port, NULL, 0), CS_EINVAL);
    cr_assert_null(t.port);
}

Test(port, needs_a_loop_with_sockets)
{
    cs_loop *loop;

    cr_assert_eq(cs_loop_new_virtual(&loop), CS_OK);
    cr_assert_eq(mux_listen(loop, "127.0.0.1:0", NULL, t.handlers, &t.port, t.why, sizeof t.why),
                 CS_EMISUSE);
    cr_assert_str_eq(t.why, "listen 127.0.0.1:0: a virtual loop has no sockets");
    cs_loop_free(loop);
}

Test(port, a_unix_socket_comes_and_goes_with_it)
{
    struct stat st;
    int fd;

    open_port(t.addr);
    cr_assert_str_eq(mux_port_addr(t.port), t.addr);
    cr_assert(mux_port_is_local(t.port));
    fd = client_of(t.addr);
    cr_assert_geq(fd, 0);
    cr_assert(is_served(fd));
    close(fd);
    mux_port_free(t.port);
    t.port = NULL;
    cr_assert_eq(stat(t.path, &st), -1);
}

Test(port, a_socket_file_of_the_dead_is_replaced)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(un.sun_path, t.path, strlen(t.path));
    cr_assert_eq(bind(fd, (struct sockaddr *)(void *)&un, sizeof un), 0);
    cr_assert_eq(listen(fd, 1), 0);
    close(fd); /* the file stays */
    open_port(t.addr);
    fd = client_of(t.addr);
    cr_assert(is_served(fd));
    close(fd);
}

Test(port, a_socket_file_of_the_living_is_left_alone)
{
    mux_port *second = NULL;
    int fd;

    open_port(t.addr);
    cr_assert_eq(listen_on(t.addr, &second), CS_ESYS);
    cr_assert_not_null(strstr(t.why, ": address already in use"));
    fd = client_of(t.addr);
    cr_assert(is_served(fd));
    close(fd);
}

Test(port, a_file_that_is_no_socket_is_left_alone)
{
    struct stat st;
    int fd = open(t.path, O_CREAT | O_WRONLY, 0600);

    close(fd);
    cr_assert_eq(listen_on(t.addr, &t.port), CS_ESYS);
    cr_assert_eq(stat(t.path, &st), 0);
    cr_assert(S_ISREG(st.st_mode));
}

Test(port, the_socket_file_of_a_successor_is_left_alone)
{
    struct stat st;
    mux_port *second;

    open_port(t.addr);
    cr_assert_eq(unlink(t.path), 0);
    cr_assert_eq(listen_on(t.addr, &second), CS_OK);
    mux_port_free(t.port);
    t.port = second;
    cr_assert_eq(stat(t.path, &st), 0);
}

static int warnings;

static void on_log(cs_level level, const char *room, const char *line, void *user)
{
    (void)room;
    (void)user;
    if (level == CS_WARN && strstr(line, "too many open files"))
        warnings++;
}

static int highest_fd(void)
{
    int fd = dup(0);

    close(fd);
    return fd;
}

/* Each test is a process of its own, so the limit is nobody else's. */
Test(port, without_descriptors_it_waits_and_complains_once)
{
    struct rlimit before, few;
    cs_timer *timer;
    int fd;

    cs_set_log(on_log, NULL, CS_WARN);
    open_port("127.0.0.1:0");
    fd = client_of(mux_port_addr(t.port));
    cr_assert_eq(cs_timer_new(t.loop, stop, t.loop, &timer), CS_OK);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)highest_fd();
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    cs_timer_set(timer, 250); /* three times it tries */
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cr_assert_eq(warnings, 1);
    cr_assert_eq(mux_handlers_stats(t.handlers)->accepts_paused, 1, "an episode counts once");
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    cr_assert(is_served(fd));
    cs_timer_free(timer);
    close(fd);
}

/* ---- Connections of one peer ---------------------------------------------------------------- */

static bool is_hung_up_on(int fd)
{
    char rest[4096];
    ssize_t n;

    while ((n = recv(fd, rest, sizeof rest, 0)) > 0)
        ;
    return n == 0 || errno == ECONNRESET;
}

static void turn(void)
{
    cs_timer *timer;

    cr_assert_eq(cs_timer_new(t.loop, stop, t.loop, &timer), CS_OK);
    cs_timer_set(timer, 1);
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cs_timer_free(timer);
}

/* What ports of two loops accept, which here are one. */
Test(port, two_tables_of_methods_may_count_together)
{
    mux_handlers *others;
    mux_port *other;
    int fds[3], late;

    open_port("127.0.0.1:0");
    cr_assert_eq(mux_handlers_new(&others), CS_OK);
    mux_handlers_count_with(others, t.handlers);
    mux_handlers_set_max(t.handlers, 3);
    mux_handlers_set_peer_max(others, 2);
    cr_assert_eq(mux_listen(t.loop, "127.0.0.1:0", NULL, others, &other, NULL, 0), CS_OK);
    cr_assert_geq(fds[0] = client_of(mux_port_addr(t.port)), 0);
    cr_assert_geq(fds[1] = client_of(mux_port_addr(other)), 0);
    cr_assert(is_served(fds[0]) && is_served(fds[1]));
    cr_assert_geq(late = client_of(mux_port_addr(other)), 0);
    while (mux_handlers_stats(others)->connections_peer_refused == 0)
        turn();
    close(late);
    cr_assert_geq(fds[2] = client_of(mux_port_addr(t.port)), 0);
    cr_assert(is_served(fds[2]));
    cr_assert_geq(late = client_of(mux_port_addr(t.port)), 0);
    while (mux_handlers_stats(t.handlers)->connections_refused == 0)
        turn();
    close(late);
    close(fds[1]); /* the other's */
    while (mux_handlers_stats(others)->connections > 0)
        turn();
    cr_assert_geq(late = client_of(mux_port_addr(t.port)), 0);
    cr_assert(is_served(late));
    close(late);
    close(fds[0]);
    close(fds[2]);
    mux_port_free(other);
    cs_loop_last_turn(t.loop);
    mux_handlers_free(others);
}

static void two_and_no_more(const char *addr)
{
    int fds[3], other;
    const struct mux_stats *stats = mux_handlers_stats(t.handlers);

    open_port(addr);
    mux_handlers_set_peer_max(t.handlers, 2);
    for (int i = 0; i < 2; i++) {
        cr_assert_geq(fds[i] = client_of(mux_port_addr(t.port)), 0);
        cr_assert(is_served(fds[i]));
    }
    cr_assert_geq(fds[2] = client_of(mux_port_addr(t.port)), 0);
    while (stats->connections_peer_refused == 0)
        turn();
    cr_assert(is_hung_up_on(fds[2]));
    cr_assert_eq(stats->connections, 2);
    close(fds[0]);
    while (stats->connections > 1)
        turn();
    cr_assert_geq(other = client_of(mux_port_addr(t.port)), 0);
    cr_assert(is_served(other));
    cr_assert_eq(stats->connections_peer_refused, 1);
    close(fds[1]);
    close(fds[2]);
    close(other);
}

Test(port, an_address_has_so_many_connections_and_no_more)
{
    two_and_no_more("127.0.0.1:0");
}

Test(port, and_so_has_a_user_at_a_unix_socket)
{
    two_and_no_more(t.addr);
}
