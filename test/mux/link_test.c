#include "mux/sock__in.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

static struct {
    cs_loop *loop;
    mux__link *link;
    int far; /* the other end, a blocking socket of the test */
    int told, can;
    bool frees;
} t;

static void on_ready(int can, void *user)
{
    (void)user;
    t.told++;
    t.can |= can;
    if (t.frees) {
        mux__link_free(t.link);
        t.link = NULL;
    } else {
        mux__link_want(t.link, false, false);
    }
    cs_loop_stop(t.loop);
}

/* Two ends of a connection over the loopback. */
static void connect_tcp(int ret[2])
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr *sa = (struct sockaddr *)(void *)&in;
    socklen_t len = sizeof in;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_eq(bind(listener, sa, len), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(getsockname(listener, sa, &len), 0);
    ret[1] = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(ret[1], sa, len), 0);
    ret[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    cr_assert_geq(ret[0], 0);
    close(listener);
}

static void open_link(const int fds[2])
{
    cr_assert_eq(cs_loop_new(NULL, &t.loop), CS_OK);
    cr_assert_eq(mux__link_of_socket(t.loop, fds[0], 16 * 1024, &t.link), CS_OK);
    mux__link_listen(t.link, on_ready, NULL);
    t.far = fds[1];
}

static void open_tcp(void)
{
    int fds[2];

    connect_tcp(fds);
    open_link(fds);
}

static void open_unix(void)
{
    int fds[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cr_assert_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    open_link(fds);
}

static void close_link(void)
{
    mux__link_free(t.link);
    if (t.far >= 0)
        close(t.far);
    cs_loop_free(t.loop);
}

static void close_far(void)
{
    close(t.far);
    t.far = -1;
}

static void shut_far(void)
{
    cr_assert_eq(shutdown(t.far, SHUT_WR), 0);
}

static void reset_far(void)
{
    struct linger now = {.l_onoff = 1};

    cr_assert_eq(setsockopt(t.far, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close_far();
}

/* Behind a look at the descriptors. */
static void stop_later(void *user)
{
    if (!user)
        cr_assert_eq(cs_loop_call(t.loop, stop_later, t.loop), CS_OK);
    else
        cs_loop_stop(t.loop);
}

static cs_err put(const char *text, size_t *n)
{
    char copy[64];
    struct iovec iov[2] = {{.iov_base = copy, .iov_len = 1},
                           {.iov_base = copy + 1, .iov_len = strlen(text) - 1}};

    memcpy(copy, text, strlen(text) + 1);
    return mux__link_write(t.link, iov, 2, n);
}

TestSuite(link_of_tcp, .init = open_tcp, .fini = close_link);
TestSuite(link_of_unix, .init = open_unix, .fini = close_link);

Test(link_of_tcp, bytes_go_both_ways)
{
    char got[16] = "";
    size_t n = 0;

    cr_assert_eq(put("hello", &n), CS_OK);
    cr_assert_eq(n, 5);
    cr_assert_eq(recv(t.far, got, sizeof got, 0), 5);
    cr_assert_str_eq(got, "hello");
    cr_assert_eq(mux__link_read(t.link, got, sizeof got, &n), CS_AGAIN);
    cr_assert_eq(send(t.far, "there", 5, 0), 5);
    mux__link_want(t.link, true, false);
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cr_assert_eq(t.can, CS_IO_READ);
    cr_assert_eq(mux__link_read(t.link, got, sizeof got, &n), CS_OK);
    cr_assert_eq(n, 5);
    cr_assert_eq(memcmp(got, "there", 5), 0);
}

Test(link_of_tcp, a_full_one_takes_nothing_and_tells_when_it_does)
{
    static char chunk[65536];
    struct iovec iov = {chunk, sizeof chunk};
    size_t sent = 0, n;
    cs_err err;

    while ((err = mux__link_write(t.link, &iov, 1, &n)) == CS_OK)
        sent += n;
    cr_assert_eq(err, CS_AGAIN);
    mux__link_want(t.link, false, true);
    while (sent > 0)
        sent -= (size_t)recv(t.far, chunk, sizeof chunk < sent ? sizeof chunk : sent, 0);
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cr_assert_eq(t.can, CS_IO_WRITE);
    cr_assert_eq(mux__link_write(t.link, &iov, 1, &n), CS_OK);
}

Test(link_of_tcp, more_pieces_than_the_system_takes_go_in_part)
{
    static struct iovec iov[3000];
    char x = 'x';
    size_t n;

    for (int i = 0; i < 3000; i++)
        iov[i] = (struct iovec){&x, 1};
    cr_assert_eq(mux__link_write(t.link, iov, 3000, &n), CS_OK);
    cr_assert_eq(n, 1024);
}

Test(link_of_tcp, no_room_is_not_the_end)
{
    char x;
    size_t n;

    cr_assert_eq(mux__link_read(t.link, &x, 0, &n), CS_AGAIN);
}

Test(link_of_tcp, a_closed_peer_is_done)
{
    char got[16];
    size_t n;

    close_far();
    mux__link_want(t.link, true, false);
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cr_assert_eq(mux__link_read(t.link, got, sizeof got, &n), CS_DONE);
}

/* Nothing is read, and nobody may be woken turn by turn for what waits. */
static void leaves(void (*how)(void), bool write_too)
{
    char got[16];
    size_t n = 0;

    mux__link_watch(t.link, true);
    mux__link_want(t.link, false, write_too);
    if (!write_too) {
        cr_assert_eq(send(t.far, "some", 4, 0), 4);
        cr_assert_eq(cs_loop_call(t.loop, stop_later, NULL), CS_OK);
        cr_assert_eq(cs_loop_run(t.loop), CS_OK);
        cr_assert_eq(t.told, 0, "bytes are none of it");
    }
    how();
    while (!(t.can & (write_too ? CS_IO_GONE | CS_IO_WRITE : CS_IO_GONE)))
        cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    mux__link_watch(t.link, false);
    if (how == shut_far && !write_too) {
        cr_assert_eq(mux__link_read(t.link, got, sizeof got, &n), CS_OK);
        cr_assert_eq(n, 4, "they are still there");
    }
}

Test(link_of_tcp, tells_that_an_unread_peer_closed_its_half)
{
    leaves(shut_far, false);
}

Test(link_of_tcp, tells_that_an_unread_peer_was_reset)
{
    leaves(reset_far, false);
}

Test(link_of_tcp, tells_that_while_it_waits_for_room_too)
{
    leaves(reset_far, true);
}

Test(link_of_unix, tells_that_an_unread_peer_left)
{
    leaves(close_far, false);
}

/* A full link wants room, and hears that nobody will make it. */
Test(link_of_tcp, tells_a_writer_that_nobody_reads_any_more)
{
    static char chunk[65536];
    struct iovec iov = {chunk, sizeof chunk};
    size_t n;

    while (mux__link_write(t.link, &iov, 1, &n) == CS_OK)
        ;
    mux__link_watch(t.link, true);
    mux__link_want(t.link, false, true);
    shut_far();
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cr_assert_eq(t.can, CS_IO_GONE);
}

Test(link_of_tcp, closes_its_half_and_still_reads)
{
    char got[16];
    size_t n;

    cr_assert_eq(put("bye", &n), CS_OK);
    cr_assert_eq(mux__link_shut(t.link), CS_OK);
    cr_assert_eq(recv(t.far, got, sizeof got, MSG_WAITALL), 3);
    cr_assert_eq(send(t.far, "bye", 3, 0), 3);
    mux__link_want(t.link, true, false);
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cr_assert_eq(mux__link_read(t.link, got, sizeof got, &n), CS_OK);
}

Test(link_of_tcp, goes_to_another_loop)
{
    cs_loop *before = t.loop;
    char got[16];
    size_t n;

    t.link->ops->leave(t.link);
    cr_assert_eq(cs_loop_new(NULL, &t.loop), CS_OK);
    cr_assert_eq(t.link->ops->join(t.link, t.loop), CS_OK);
    cs_loop_free(before);
    cr_assert_eq(send(t.far, "here", 4, 0), 4);
    mux__link_want(t.link, true, false);
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cr_assert_eq(mux__link_read(t.link, got, sizeof got, &n), CS_OK);
    cr_assert_eq(n, 4);
}

Test(link_of_tcp, may_be_freed_between_two_loops)
{
    t.link->ops->leave(t.link);
    mux__link_free(t.link);
    t.link = NULL;
}

Test(link_of_tcp, a_reset_is_the_peers_failure_and_no_signal)
{
    char got[16];
    size_t n;

    signal(SIGPIPE, SIG_DFL);
    reset_far();
    mux__link_want(t.link, true, false);
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cr_assert_eq(mux__link_read(t.link, got, sizeof got, &n), CS_EPEER);
    cr_assert_eq(put("into the void", &n), CS_EPEER);
    cr_assert_eq(put("into the void", &n), CS_EPEER);
}

Test(link_of_tcp, may_be_freed_in_ready)
{
    t.frees = true;
    mux__link_want(t.link, true, true);
    cr_assert_eq(send(t.far, "x", 1, 0), 1);
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cr_assert_eq(t.told, 1);
    cr_assert_null(t.link);
    cr_assert_eq(recv(t.far, &t.can, 1, 0), -1, "closed with a byte unread is a reset");
}

Test(link_of_tcp, does_not_wait_for_more_to_send)
{
    int fds[2], on = 0;
    socklen_t len = sizeof on;
    mux__link *link;

    connect_tcp(fds);
    cr_assert_eq(mux__link_of_socket(t.loop, fds[0], 0, &link), CS_OK);
    cr_assert_eq(getsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    cr_assert_neq(on, 0);
    mux__link_free(link);
    close(fds[1]);
}

Test(link_of_tcp, knows_its_peer)
{
    struct mux__sockaddr sa = {.len = sizeof sa.u};
    char addr[136];

    cr_assert_eq(getsockname(t.far, &sa.u.any, &sa.len), 0);
    mux__sockaddr_format(&sa, addr, sizeof addr);
    cr_assert(cs_same(t.link->peer.addr, cs_str(addr)));
    cr_assert_eq(t.link->peer.uid, -1);
    cr_assert_eq(t.link->peer.pid, -1);
}

/* The processors that this thread may run on: how many, and the first two. */
static int processors(size_t ret[2])
{
    cpu_set_t mine;
    int n = 0;

    cr_assert_eq(sched_getaffinity(0, sizeof mine, &mine), 0);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &mine) && n++ < 2)
            ret[n - 1] = cpu;
    return n;
}

static void move_to(size_t cpu)
{
    cpu_set_t there;

    CPU_ZERO(&there);
    CPU_SET(cpu, &there);
    cr_assert_eq(sched_setaffinity(0, sizeof there, &there), 0);
}

static void peer_writes_on(size_t cpu)
{
    char byte;
    size_t n;

    move_to(cpu);
    cr_assert_eq(write(t.far, "x", 1), 1);
    while (mux__link_read(t.link, &byte, 1, &n) == CS_AGAIN)
        ;
}

Test(link_of_tcp, knows_whether_the_peer_is_on_another_processor)
{
    size_t cpus[2];
    const int n = processors(cpus);

    peer_writes_on(cpus[0]);
    cr_assert_not(mux__link_is_apart(t.link));
    if (n > 1) { /* with one there is no other */
        peer_writes_on(cpus[1]);
        cr_assert_not(mux__link_is_apart(t.link));
        move_to(cpus[0]);
        cr_assert(mux__link_is_apart(t.link));
    }
}

Test(link_of_unix, does_not_know_where_the_peer_is)
{
    cr_assert_not(mux__link_is_apart(t.link));
}

Test(link_of_unix, knows_whose_process_is_there)
{
    cr_assert_eq(t.link->peer.uid, (int64_t)getuid());
    cr_assert_eq(t.link->peer.gid, (int64_t)getgid());
    cr_assert_eq(t.link->peer.pid, (int64_t)getpid());
    cr_assert(cs_same(t.link->peer.addr, cs_str("unix:")));
}

Test(link_of_unix, bytes_and_the_end_go_through)
{
    char got[16] = "";
    size_t n;

    signal(SIGPIPE, SIG_DFL);
    cr_assert_eq(put("hello", &n), CS_OK);
    cr_assert_eq(recv(t.far, got, sizeof got, 0), 5);
    cr_assert_str_eq(got, "hello");
    close_far();
    cr_assert_eq(mux__link_read(t.link, got, sizeof got, &n), CS_DONE);
    cr_assert_eq(put("into the void", &n), CS_EPEER);
}

Test(link_without_memory, takes_no_descriptor, .init = failing_count)
{
    size_t alive, nth = 0;
    int fds[2];
    mux__link *link = NULL;
    cs_loop *loop;
    cs_err err;

    connect_tcp(fds);
    cr_assert_eq(cs_loop_new(NULL, &loop), CS_OK);
    alive = failing_live();
    do {
        failing_arm(++nth);
        err = mux__link_of_socket(loop, fds[0], 16 * 1024, &link);
        failing_arm(0);
        if (err != CS_OK) {
            cr_assert_eq(err, CS_ENOMEM);
            cr_assert_leq(failing_live(), alive + 1, "the loop may keep a place for a timer");
            cr_assert_eq(fcntl(fds[0], F_GETFD), 0, "still open");
        }
    } while (err != CS_OK);
    cr_assert_geq(nth, 4, "the link, its timer, its events");
    mux__link_free(link);
    cr_assert_eq(fcntl(fds[0], F_GETFD), -1);
    close(fds[1]);
    cs_loop_free(loop);
    cr_assert_eq(failing_live(), 0);
}

/* ---- The low-water mark, on a clock of ours ----------------------------------------------- */

static struct {
    cs_loop *loop;
    struct mux__lowat lowat;
    int fds[2];
} m;

static void open_mark(void)
{
    cr_assert_eq(cs_loop_new_virtual(&m.loop), CS_OK);
    connect_tcp(m.fds);
    cr_assert_eq(mux__lowat_init(&m.lowat, m.loop, m.fds[0], 64 * 1024), CS_OK);
}

static void close_mark(void)
{
    mux__lowat_fini(&m.lowat);
    close(m.fds[0]);
    close(m.fds[1]);
    cs_loop_free(m.loop);
}

static int mark(void)
{
    int value = -1;
    socklen_t len = sizeof value;

    cr_assert_eq(getsockopt(m.fds[0], SOL_SOCKET, SO_RCVLOWAT, &value, &len), 0);
    return value;
}

static void read_often(size_t bytes, int times)
{
    while (times-- > 0)
        mux__lowat_read(&m.lowat, bytes);
}

TestSuite(lowat, .init = open_mark, .fini = close_mark);

Test(lowat, goes_up_in_a_steady_stream_and_no_higher_than_allowed)
{
    read_often(100 * 1024, 3);
    cr_assert_eq(mark(), 1);
    read_often(100 * 1024, 1);
    cr_assert_eq(mark(), 16 * 1024);
    read_often(100 * 1024, 4);
    cr_assert_eq(mark(), 32 * 1024);
    read_often(100 * 1024, 100);
    cr_assert_eq(mark(), 50 * 1024, "half of what comes at once");
    read_often(200 * 1024, 100);
    cr_assert_eq(mark(), 64 * 1024);
    read_often(50 * 1024, 100);
    cr_assert_eq(mark(), 64 * 1024, "it works as it is");
}

Test(lowat, large_reads_now_and_then_leave_it_alone)
{
    for (int i = 0; i < 20; i++) {
        read_often(100 * 1024, 3);
        read_often(20 * 1024, 1);
    }
    cr_assert_eq(mark(), 1);
}

Test(lowat, goes_down_after_a_small_read)
{
    read_often(200 * 1024, 100);
    read_often(20 * 1024, 100);
    cr_assert_eq(mark(), 64 * 1024);
    read_often(100, 1);
    cr_assert_eq(mark(), 1);
}

Test(lowat, goes_down_when_nothing_comes)
{
    read_often(100 * 1024, 4);
    for (int i = 0; i < 5; i++) {
        read_often(20 * 1024, 1);
        cs_loop_advance(m.loop, 1);
        cr_assert_eq(mark(), 16 * 1024, "busy");
    }
    cs_loop_advance(m.loop, 1);
    cr_assert_eq(mark(), 1);
}

Test(lowat, is_slower_to_rise_when_it_has_held_something_back)
{
    read_often(100 * 1024, 4);
    cs_loop_advance(m.loop, 2);
    cr_assert_eq(mark(), 1);
    read_often(100 * 1024, 7);
    cr_assert_eq(mark(), 1);
    read_often(100 * 1024, 1);
    cr_assert_eq(mark(), 16 * 1024);
}

Test(lowat, never_adapts_when_it_must_not)
{
    struct mux__lowat fixed;

    cr_assert_eq(mux__lowat_init(&fixed, m.loop, m.fds[0], 0), CS_OK);
    for (int i = 0; i < 100; i++)
        mux__lowat_read(&fixed, 100 * 1024);
    cr_assert_eq(mark(), 1);
    mux__lowat_fini(&fixed);
}
