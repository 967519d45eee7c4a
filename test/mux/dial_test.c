#include "mux/link__in.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static struct {
    cs_loop *loop;
    mux__dial *dial;
    mux__link *link;
    char why[512];
    int told;
    bool frees; /* in `done` */
    int listener;
    char addr[64]; /* where it listens */
} t;

static void on_dialed(mux__link *link, const char *why, void *user)
{
    (void)user;
    t.told++;
    t.link = link;
    cr_assert_eq(!link, !!why);
    if (t.frees) {
        mux__dial_free(t.dial);
        t.dial = NULL;
    }
    snprintf(t.why, sizeof t.why, "%s", why ? why : "");
    cs_loop_stop(t.loop);
}

static void open_loop(void)
{
    cr_assert_eq(cs_loop_new(NULL, &t.loop), CS_OK);
    t.listener = -1;
}

static void close_loop(void)
{
    mux__dial_free(t.dial);
    mux__link_free(t.link);
    if (t.listener >= 0)
        close(t.listener);
    cs_loop_free(t.loop);
}

static int bound(const char *text, int *family)
{
    struct mux__sockaddr sa[MUX__ADDRS_MAX];
    struct mux__addr addr;
    size_t n;
    int fd;

    cr_assert_eq(mux__addr_parse(text, &addr), CS_OK);
    cr_assert_eq(mux__addr_expand(&addr, sa, &n), CS_OK);
    *family = sa[0].u.any.sa_family;
    fd = socket(*family, SOCK_STREAM, 0);
    if (fd >= 0 && bind(fd, &sa[0].u.any, sa[0].len) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static uint16_t port_of(int fd)
{
    struct mux__sockaddr sa = {.len = sizeof sa.u};

    cr_assert_eq(getsockname(fd, &sa.u.any, &sa.len), 0);
    return ntohs(sa.u.any.sa_family == AF_INET ? sa.u.v4.sin_port : sa.u.v6.sin6_port);
}

/* Listens where the system likes, and writes `format` with that port. */
static bool listen_at(const char *where, const char *format, int backlog)
{
    char port[8];
    const char *at = strchr(format, '#');
    int family;

    t.listener = bound(where, &family);
    if (t.listener < 0)
        return false;
    cr_assert_eq(listen(t.listener, backlog), 0);
    if (!at) {
        snprintf(t.addr, sizeof t.addr, "%s", format);
        return true;
    }
    snprintf(port, sizeof port, "%u", (unsigned)port_of(t.listener));
    snprintf(t.addr, sizeof t.addr, "%.*s%s", (int)(at - format), format, port);
    return true;
}

static void begin(const char *addr, int timeout_ms)
{
    cr_assert_eq(mux__dial_new(t.loop, addr, timeout_ms, 0, on_dialed, NULL, &t.dial), CS_OK);
    cr_assert_eq(t.told, 0, "not from within");
}

static void run(const char *addr, int timeout_ms)
{
    begin(addr, timeout_ms);
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cr_assert_eq(t.told, 1);
}

static void expect_link(void)
{
    struct iovec iov = {t.addr, 1};
    size_t n;
    char got;
    int fd = accept(t.listener, NULL, NULL);

    cr_assert_not_null(t.link, "%s", t.why);
    cr_assert_geq(fd, 0);
    cr_assert_eq(mux__link_write(t.link, &iov, 1, &n), CS_OK);
    cr_assert_eq(recv(fd, &got, 1, 0), 1);
    cr_assert_eq(got, t.addr[0]);
    close(fd);
}

/* An abstract name nobody else has. */
static const char *unix_name(void)
{
    static char name[64];

    snprintf(name, sizeof name, "unix:@chanserv-dial-test-%ld", (long)getpid());
    return name;
}

TestSuite(dial, .init = open_loop, .fini = close_loop);

Test(dial, reaches_a_number)
{
    cr_assert(listen_at("127.0.0.1:0", "127.0.0.1:#", 8));
    run(t.addr, 5000);
    expect_link();
    cr_assert(cs_same(t.link->peer.addr, cs_str(t.addr)));
}

Test(dial, reaches_localhost_on_v4)
{
    cr_assert(listen_at("127.0.0.1:0", "localhost:#", 8));
    run(t.addr, 5000);
    expect_link();
}

Test(dial, reaches_localhost_on_v6_alone)
{
    if (!listen_at("[::1]:0", "localhost:#", 8))
        cr_skip("no IPv6 here");
    run(t.addr, 5000);
    expect_link();
}

Test(dial, reaches_a_unix_socket)
{
    cr_assert(listen_at(unix_name(), unix_name(), 8));
    run(t.addr, 5000);
    expect_link();
    cr_assert(cs_same(t.link->peer.addr, cs_str(t.addr)));
    cr_assert_eq(t.link->peer.pid, (int64_t)getpid());
}

/* inet_aton() knows "127.1", and our parser does not: a look-up that needs no network. */
Test(dial, looks_up_names)
{
    cr_assert(listen_at("127.0.0.1:0", "127.1:#", 8));
    run(t.addr, 5000);
    expect_link();
}

/* No label of a name may have more than 63 letters (RFC 1035), so nobody is asked for this. */
Test(dial, says_that_a_name_is_not_known)
{
    char addr[100], head[120];

    snprintf(addr, sizeof addr, "%070d:1", 0);
    memset(addr, 'a', 70);
    snprintf(head, sizeof head, "dial %s: ", addr);
    run(addr, 20000);
    cr_assert_null(t.link);
    cr_assert_eq(strncmp(t.why, head, strlen(head)), 0, "%s", t.why);
    cr_assert_gt(strlen(t.why), strlen(head));
    cr_assert_null(strstr(t.why, "timed out"));
}

Test(dial, tells_one_story_when_all_addresses_refuse)
{
    char addr[64], why[128];
    int family, fd = bound("127.0.0.1:0", &family); /* bound, not listening: nobody else gets it */

    snprintf(addr, sizeof addr, "localhost:%u", (unsigned)port_of(fd));
    snprintf(why, sizeof why, "dial %s: connection refused", addr);
    run(addr, 5000);
    cr_assert_null(t.link);
    if (!strstr(t.why, "[::1]")) /* a host without IPv6 says so */
        cr_assert_str_eq(t.why, why);
    close(fd);
}

Test(dial, says_why_a_path_does_not_answer)
{
    run("unix:/nowhere/at/all", 5000);
    cr_assert_str_eq(t.why, "dial unix:/nowhere/at/all: no such file or directory");
}

Test(dial, refuses_what_can_only_be_listened_on)
{
    static const char *const bad[] = {":80", "127.0.0.1:0", "fd:3", "localhost", "", "unix:"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(mux__dial_new(t.loop, bad[i], 1, 0, on_dialed, NULL, &t.dial), CS_EINVAL);
    cr_expect_null(t.dial);
}

Test(dial, may_be_freed_in_done)
{
    t.frees = true;
    run("unix:/nowhere/at/all", 5000);
    cr_assert_str_eq(t.why, "dial unix:/nowhere/at/all: no such file or directory");
}

Test(dial, may_be_freed_in_done_of_a_success)
{
    t.frees = true;
    cr_assert(listen_at("127.0.0.1:0", "127.0.0.1:#", 8));
    run(t.addr, 5000);
    expect_link();
}

Test(dial, says_nothing_after_it_was_freed)
{
    cr_assert(listen_at("127.0.0.1:0", "127.0.0.1:#", 8));
    begin(t.addr, 5000);
    mux__dial_free(t.dial);
    t.dial = NULL;
    cr_assert_eq(cs_loop_run(t.loop), CS_OK); /* ends because nothing is left */
    cr_assert_eq(t.told, 0);
}

static void give_up(cs_task *task)
{
    (void)task;
    mux__dial_free(t.dial);
    t.dial = NULL;
}

/* In the turn in which the helper thread begins; its answer could come in the next at best. */
Test(dial, may_be_freed_while_the_name_is_looked_up)
{
    cs_task task;

    cs_task_init(&task, give_up);
    begin("127.1:1", 5000);
    cs_task_post(t.loop, CS_CALL, &task);
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cr_assert_null(t.dial);
    cr_assert_eq(t.told, 0);
}

/* A backlog of one that is full: the next connect() is told to come again. */
static void fill(int ret[8])
{
    struct mux__sockaddr sa = {.len = sizeof sa.u};

    cr_assert_eq(getsockname(t.listener, &sa.u.any, &sa.len), 0);
    for (int i = 0; i < 8; i++) {
        ret[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(ret[i], &sa.u.any, sa.len) != 0)
            cr_assert_eq(errno, EAGAIN);
    }
}

static void drop(int fds[8])
{
    for (int i = 0; i < 8; i++)
        close(fds[i]);
}

Test(dial, gives_up_when_its_time_is_over)
{
    char why[128];
    int fds[8];

    cr_assert(listen_at(unix_name(), unix_name(), 0));
    fill(fds);
    snprintf(why, sizeof why, "dial %s: timed out", t.addr);
    run(t.addr, 30);
    cr_assert_str_eq(t.why, why);
    drop(fds);
}

static void make_room(void *user)
{
    struct pollfd some = {.fd = t.listener, .events = POLLIN};

    (void)user;
    while (poll(&some, 1, 0) == 1)
        close(accept(t.listener, NULL, NULL));
}

Test(dial, comes_again_when_there_is_room)
{
    cs_timer *timer;
    int fds[8];

    cr_assert(listen_at(unix_name(), unix_name(), 0));
    fill(fds);
    begin(t.addr, 20000);
    cr_assert_eq(cs_timer_new(t.loop, make_room, NULL, &timer), CS_OK);
    cs_timer_set(timer, 20);
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cr_assert_not_null(t.link, "%s", t.why);
    cs_timer_free(timer);
    drop(fds);
}

/* A TCP port that is there and never answers: its backlog is full, and further SYNs are dropped.
 * And a socket bound to the same port of [::1], or -1 where there is no IPv6. */
static int silent_localhost(int fds[8])
{
    struct mux__sockaddr sa = {.len = sizeof sa.u};
    char v6[32];
    int family;

    cr_assert(listen_at("127.0.0.1:0", "localhost:#", 0));
    cr_assert_eq(getsockname(t.listener, &sa.u.any, &sa.len), 0);
    for (int i = 0; i < 8; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fds[i], &sa.u.any, sa.len) != 0)
            cr_assert_eq(errno, EINPROGRESS);
    }
    snprintf(v6, sizeof v6, "[::1]:%u", (unsigned)port_of(t.listener));
    return bound(v6, &family);
}

Test(dial, tries_the_next_address_beside_one_that_does_not_answer)
{
    int fds[8], second = silent_localhost(fds);

    if (second < 0)
        cr_skip("no IPv6 here");
    cr_assert_eq(listen(second, 8), 0);
    run(t.addr, 20000);
    cr_assert_not_null(t.link, "%s", t.why);
    cr_assert_eq(strncmp(t.link->addr, "[::1]:", 6), 0);
    close(second);
    drop(fds);
}

Test(dial, tells_each_story_when_they_differ)
{
    int fds[8], second = silent_localhost(fds), port = port_of(t.listener);
    char why[160];

    if (second < 0)
        cr_skip("no IPv6 here");
    snprintf(why, sizeof why,
             "dial localhost:%d: 127.0.0.1:%d: timed out; [::1]:%d: connection refused", port, port,
             port);
    run(t.addr, 400);
    cr_assert_str_eq(t.why, why);
    close(second);
    drop(fds);
}

Test(dial, a_loop_that_was_busy_for_too_long_says_so_once)
{
    cr_assert(listen_at("127.0.0.1:0", "127.0.0.1:#", 8));
    begin(t.addr, 1);
    /* The time is over before the first turn: timers come before tasks. */
    for (int64_t then = cs_loop_now_us(t.loop); cs_loop_now_us(t.loop) - then < 3000;)
        continue;
    cr_assert_eq(cs_loop_run(t.loop), CS_OK);
    cr_assert_eq(cs_loop_run(t.loop), CS_OK); /* ends because nothing is left */
    cr_assert_eq(t.told, 1);
    cr_assert_not_null(strstr(t.why, ": timed out"));
}

Test(dial_virtual, has_no_sockets)
{
    cr_assert_eq(cs_loop_new_virtual(&t.loop), CS_OK);
    cr_assert_eq(mux__dial_new(t.loop, "a:1", 0, 0, on_dialed, NULL, &t.dial), CS_OK);
    cs_loop_settle(t.loop);
    cr_assert_eq(t.told, 1);
    cr_assert_str_eq(t.why, "dial a:1: a virtual loop has no sockets");
    cs_loop_advance(t.loop, 60000);
    cr_assert_eq(t.told, 1);
    mux__dial_free(t.dial);
    cs_loop_free(t.loop);
}

/* ---- From another thread than the loop's -------------------------------------------------- */

static struct {
    cs_loop *loop;
    cs_waiter waiter;
    mux__link *link;
    pthread_t thread; /* that called `done` */
    int told;
} s;

static void on_shared(mux__link *link, const char *why, void *user)
{
    (void)why;
    (void)user;
    s.told++;
    s.link = link;
    s.thread = pthread_self();
    cs_waiter_wake(s.loop, &s.waiter);
}

Test(dial_shared, is_done_on_the_loops_thread)
{
    mux__dial *dial;

    cr_assert(listen_at("127.0.0.1:0", "127.0.0.1:#", 8));
    cr_assert_eq(cs_loop_new_shared(&s.loop), CS_OK);
    cs_loop_enter(s.loop);
    cs_waiter_init(&s.waiter);
    cr_assert_eq(mux__dial_new(s.loop, t.addr, 5000, 0, on_shared, NULL, &dial), CS_OK);
    while (s.told == 0)
        cr_assert_eq(cs_loop_wait(s.loop, &s.waiter, 5000), CS_OK);
    cs_waiter_fini(&s.waiter);
    cr_assert_not_null(s.link);
    cr_assert_not(pthread_equal(s.thread, pthread_self()));
    mux__dial_free(dial);
    mux__link_free(s.link);
    cs_loop_leave(s.loop);
    cs_loop_free(s.loop);
    close(t.listener);
}

Test(dial_shared, may_be_freed_by_another_thread_at_any_moment)
{
    mux__dial *dial;

    cr_assert(listen_at("127.0.0.1:0", "127.1:#", 64));
    cr_assert_eq(cs_loop_new_shared(&s.loop), CS_OK);
    for (int i = 0; i < 40; i++) {
        cs_loop_enter(s.loop);
        cs_waiter_init(&s.waiter);
        s.link = NULL;
        cr_assert_eq(
            mux__dial_new(s.loop, i % 2 ? t.addr : "127.0.0.1:1", 5000, 0, on_shared, NULL, &dial),
            CS_OK);
        (void)cs_loop_wait(s.loop, &s.waiter, i % 4); /* for not long enough, perhaps */
        mux__dial_free(dial);
        cs_waiter_fini(&s.waiter);
        mux__link_free(s.link);
        cs_loop_leave(s.loop);
    }
    cs_loop_free(s.loop);
    close(t.listener);
}

/* ---- Without memory ----------------------------------------------------------------------- */

static void fail_each(const char *format, const char *where)
{
    size_t nth = 0;
    bool reached = false;

    while (!reached) {
        t.told = 0;
        t.dial = NULL;
        t.link = NULL;
        cr_assert_eq(cs_loop_new(NULL, &t.loop), CS_OK);
        cr_assert(listen_at(where, format, 64));
        failing_arm(++nth);
        if (mux__dial_new(t.loop, t.addr, 5000, 0, on_dialed, NULL, &t.dial) == CS_OK) {
            cr_assert_eq(cs_loop_run(t.loop), CS_OK);
            cr_assert_eq(t.told, 1, "the %zuth", nth);
        }
        reached = !failing_failed();
        failing_arm(0);
        cr_assert(!reached || t.link);
        close_loop();
        cr_assert_eq(failing_live(), 0, "after the %zuth", nth);
    }
    cr_assert_geq(nth, 5);
}

Test(dial_without_memory, fails_clean, .init = failing_count)
{
    fail_each("127.0.0.1:#", "127.0.0.1:0");
}

Test(dial_without_memory, fails_clean_on_a_unix_socket, .init = failing_count)
{
    fail_each(unix_name(), unix_name());
}
