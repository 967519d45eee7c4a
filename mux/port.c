#include "mux/across.h"
#include "mux/peers__in.h"
#include "mux/roll.h"
#include "mux/sock__in.h"
#include "mux/stats.h"
#include "mux/tls.h"
#include "mux/tls__in.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ACCEPTS = 64,   /* a wake-up; a flood of dials must not keep the loop from its streams */
    PAUSE_MS = 100, /* without descriptors or memory, accept() would fail in a busy loop */
    BACKLOG = 1024,
    WINDOW = 65535,        /* a stream's, where nobody says anything (RFC 9113, 6.9.2) */
    LOWAT_MAX = 256 * 1024 /* as much as is read at once */
};

struct mux_port {
    cs_loop *loop;
    struct mux_options options;
    mux_handlers *handlers;
    struct cs_list conns;
    mux__tls *tls;               /* NULL: plain text */
    struct mux_tls *tls_options; /* what it is made of */
    int fd;
    cs_io *io;
    cs_timer *pause;
    bool has_complained; /* of the episode that goes on */
    bool is_local;
    bool was_given;      /* the socket */
    mux_share_fn *whose; /* NULL: all connections are ours */
    void *whose_user;
    char addr[136];
    struct mux__sockaddr sa;
    struct stat file; /* the socket file we made; st_ino 0: none */
};

/* ---- Accepting ---------------------------------------------------------------------------- */

/* How much the kernel may hold back before it wakes us: a quarter of what a stream may come to, as
 * on the client's side (conn.c). */
static size_t lowat_max(const struct mux_options *options)
{
    int64_t window = options->window_max_bytes;

    if (window == CS_OFF)
        window = options->window_bytes > 0 ? options->window_bytes : WINDOW;
    return window > 0 && window / 4 < LOWAT_MAX ? (size_t)(window / 4) : LOWAT_MAX;
}

/* On the port's thread. */
static void keep(mux_port *port, int fd)
{
    struct mux__peer_count *of_peer = NULL;
    mux__link *link;
    mux_conn *conn;

    if (mux__handlers_are_full(port->handlers)) {
        close(fd);
        return;
    }
    if (mux__link_of_socket(port->loop, fd, lowat_max(&port->options), &link) != CS_OK) {
        close(fd);
        return;
    }
    if (mux__peer_enter(port->handlers, link, &of_peer) != CS_OK ||
        mux__conn_accept_tls(port->loop, link, port->tls, &port->options, port->handlers,
                             &port->conns, &conn) != CS_OK) {
        mux__peer_leave(port->handlers, of_peer);
        mux__link_free(link);
        return;
    }
    mux__peer_give(conn, of_peer);
}

struct handed {
    mux_port *port;
    int fd;
};

static void arrive(void *user)
{
    struct handed *handed = user;

    keep(handed->port, handed->fd);
    cs_free(handed);
}

static void take(mux_port *port, int fd)
{
    mux_port *whose = port->whose ? port->whose(port, port->whose_user) : NULL;
    struct handed *handed = whose ? cs_alloc(sizeof *handed) : NULL;

    if (handed) {
        *handed = (struct handed){whose, fd};
        if (cs_loop_call(whose->loop, arrive, handed) == CS_OK)
            return;
        cs_free(handed);
    }
    keep(port, fd); /* without memory too */
}

static void pause_for(mux_port *port, int error)
{
    char words[MUX__WORDS];

    cs_io_want(port->io, 0);
    cs_timer_set(port->pause, PAUSE_MS);
    if (port->has_complained)
        return;
    port->has_complained = true;
    mux_handlers_stats(port->handlers)->accepts_paused++;
    mux__sock_words(error, words, sizeof words);
    cs_log(CS_WARN, "mux", "accept %s: %s; no new connections for now", port->addr, words);
}

static void on_pause(void *user)
{
    mux_port *port = user;

    cs_io_want(port->io, CS_IO_READ);
}

/* Errors of the connection, which Linux hands out here, not of the listener (accept(2)). */
static bool is_of_the_peer(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM: /* a firewall's word */
        return true;
    default:
        return false;
    }
}

static void on_accept(int can, void *user)
{
    mux_port *port = user;
    int fd;

    (void)can;
    for (int i = 0; i < ACCEPTS; i++) {
        fd = accept4(port->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            port->has_complained = false;
            take(port, fd);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (!is_of_the_peer(errno)) {
            pause_for(port, errno);
            return;
        }
    }
}

/* ---- Listening ---------------------------------------------------------------------------- */

/* A socket file outlives the process that made it.  It is in the way only if nobody listens. */
static bool remove_stale(const struct mux__sockaddr *sa)
{
    struct stat st;
    int fd, refused;

    if (sa->u.any.sa_family != AF_UNIX || sa->u.un.sun_path[0] == '\0')
        return false;
    if (lstat(sa->u.un.sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = mux__sock_new(AF_UNIX);
    if (fd < 0)
        return false;
    refused = connect(fd, &sa->u.any, sa->len) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused && unlink(sa->u.un.sun_path) == 0;
}

static void set_up(int fd, const struct mux__sockaddr *sa)
{
    static const struct in6_addr any = IN6ADDR_ANY_INIT;
    int on = 1, only;

    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (sa->u.any.sa_family != AF_INET6)
        return;
    only = memcmp(&sa->u.v6.sin6_addr, &any, sizeof any) != 0;
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
}

/* 0, or errno. */
static int listen_at(mux_port *port, const struct mux__sockaddr *sa)
{
    int fd = mux__sock_new(sa->u.any.sa_family), error = 0;

    if (fd < 0)
        return errno;
    set_up(fd, sa);
    if (bind(fd, &sa->u.any, sa->len) != 0)
        error = errno;
    if (error == EADDRINUSE && remove_stale(sa))
        error = bind(fd, &sa->u.any, sa->len) != 0 ? errno : 0;
    if (error == 0 && listen(fd, BACKLOG) != 0)
        error = errno;
    port->sa.len = sizeof port->sa.u;
    if (error == 0 && getsockname(fd, &port->sa.u.any, &port->sa.len) != 0)
        error = errno;
    if (error != 0) {
        close(fd);
        return error;
    }
    if (sa->u.any.sa_family == AF_UNIX && sa->u.un.sun_path[0] != '\0' &&
        lstat(sa->u.un.sun_path, &port->file) != 0)
        port->file.st_ino = 0;
    port->fd = fd;
    return 0;
}

/* One socket, on the first address whose family this host has.  On any other error the next is
 * not tried: "localhost:80" that is taken on 127.0.0.1 must not quietly be [::1]:80. */
static cs_err listen_on(mux_port *port, const struct mux__addr *addr, char *words, size_t len)
{
    struct mux__addrs addrs = {0};
    int error = EADDRNOTAVAIL;

    if (mux__addr_expand(addr, addrs.at, &addrs.len) != CS_OK)
        mux__resolve_now(addr, true, &addrs);
    if (addrs.len == 0) {
        snprintf(words, len, "%s", addrs.words);
        return CS_ESYS;
    }
    for (size_t i = 0; i < addrs.len; i++) {
        error = listen_at(port, &addrs.at[i]);
        if (error != EAFNOSUPPORT && error != EADDRNOTAVAIL)
            break;
    }
    mux__sock_words(error, words, len);
    return error == 0 ? CS_OK : CS_ESYS;
}

/* A socket that a supervisor listens on for us, as systemd does.  It stays the supervisor's until
 * all is well; its file is not ours to remove. */
static cs_err adopt(mux_port *port, int fd, char *words, size_t len)
{
    int listens = 0, type = 0;
    socklen_t size = sizeof listens;

    port->sa.len = sizeof port->sa.u;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
        getsockname(fd, &port->sa.u.any, &port->sa.len) != 0) {
        mux__sock_words(errno, words, len);
        return CS_ESYS;
    }
    if (!listens || type != SOCK_STREAM) {
        snprintf(words, len, "not a listening stream socket");
        return CS_EINVAL;
    }
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        mux__sock_words(errno, words, len);
        return CS_ESYS;
    }
    port->fd = fd;
    port->was_given = true;
    return CS_OK;
}

static void stop_listening(mux_port *port)
{
    struct stat st;
    const char *path = port->sa.u.un.sun_path;

    if (port->io)
        cs_io_free(port->io);
    cs_timer_free(port->pause);
    /* Unlinked while it still listens, so that nobody finds it stale; and only if it is ours
     * still, and not a successor's. */
    if (port->file.st_ino != 0 && lstat(path, &st) == 0 && st.st_ino == port->file.st_ino &&
        st.st_dev == port->file.st_dev)
        unlink(path);
    if (port->fd >= 0)
        close(port->fd);
    port->io = NULL;
    port->pause = NULL;
    port->file.st_ino = 0;
    port->fd = -1;
}

static void port_gone(mux_port *port)
{
    stop_listening(port);
    mux__tls_drop(port->tls);
    cs_free(port->tls_options);
    cs_free(port);
}

static cs_err load_tls(mux_port *port, char *words, size_t len)
{
    cs_err err = CS_OK;

    if (!port->options.tls)
        return CS_OK;
    err = mux__tls_new(port->options.tls, true, NULL, &port->tls, words, len);
    if (err == CS_OK && !(port->tls_options = mux_tls_dup(port->options.tls)))
        err = CS_ENOMEM;      /* said already */
    port->options.tls = NULL; /* it may be gone soon */
    return err;
}

static cs_err port_open(mux_port *port, const char *addr, char *words, size_t len)
{
    struct mux__addr parsed;
    cs_err err;

    if (mux__addr_parse(addr, &parsed) != CS_OK) {
        snprintf(words, len, "not an address");
        return CS_EINVAL;
    }
    if (cs_loop_is_virtual(port->loop)) {
        snprintf(words, len, "a virtual loop has no sockets");
        return CS_EMISUSE;
    }
    if (cs_loop_is_shared(port->loop) && !cs_loop_in_turn(port->loop)) {
        snprintf(words, len, "a port belongs on a loop of yours"); /* descriptors: see turn.h */
        return CS_EMISUSE;
    }
    if ((err = load_tls(port, words, len)) != CS_OK)
        return err;
    err = parsed.is_fd ? adopt(port, parsed.fd, words, len) : listen_on(port, &parsed, words, len);
    if (err != CS_OK)
        return err;
    port->is_local = mux__sockaddr_is_local(&port->sa);
    mux__sockaddr_format(&port->sa, port->addr, sizeof port->addr);
    snprintf(words, len, "no memory");
    err = cs_timer_new(port->loop, on_pause, port, &port->pause);
    if (err == CS_OK)
        err = cs_io_new(port->loop, port->fd, on_accept, port, &port->io);
    if (err == CS_OK)
        cs_io_want(port->io, CS_IO_READ);
    return err;
}

static mux_port *port_new(cs_loop *loop, const struct mux_options *options, mux_handlers *handlers)
{
    mux_port *port = cs_zalloc(sizeof *port);

    if (!port)
        return NULL;
    port->loop = loop;
    port->handlers = handlers;
    port->fd = -1;
    if (options)
        port->options = *options;
    cs_list_init(&port->conns);
    return port;
}

cs_err mux_listen(cs_loop *loop, const char *addr, const struct mux_options *options,
                  mux_handlers *handlers, mux_port **ret, char *why, size_t why_len)
{
    mux_port *port = port_new(loop, options, handlers);
    char words[MUX__TLS_WORDS] = "no memory";
    cs_err err = port ? port_open(port, addr, words, sizeof words) : CS_ENOMEM;

    if (err == CS_OK) {
        *ret = port;
        return CS_OK;
    }
    if (why && why_len > 0)
        snprintf(why, why_len, "listen %s: %s", addr ? addr : "(null)", words);
    if (port && port->was_given)
        port->fd = -1;
    if (port)
        port_gone(port);
    return err;
}

cs_err mux_port_beside(cs_loop *loop, const mux_port *port, const struct mux_options *options,
                       mux_handlers *handlers, mux_port **ret, char *why, size_t why_len)
{
    mux_port *beside = port_new(loop, options, handlers);
    char words[MUX__TLS_WORDS] = "no memory";
    cs_err err = beside ? load_tls(beside, words, sizeof words) : CS_ENOMEM;

    if (err == CS_OK) {
        beside->is_local = port->is_local;
        memcpy(beside->addr, port->addr, sizeof beside->addr);
        *ret = beside;
        return CS_OK;
    }
    snprintf(why, why_len, "listen %s: %s", port->addr, words);
    if (beside)
        port_gone(beside);
    return err;
}

void mux_port_share(mux_port *port, mux_share_fn *whose, void *user)
{
    port->whose = whose;
    port->whose_user = user;
}

const char *mux_port_addr(const mux_port *port)
{
    return port->addr;
}

bool mux_port_is_local(const mux_port *port)
{
    return port->is_local;
}

/* ---- Going ---------------------------------------------------------------------------------- */

void mux_port_roll(mux_port *port)
{
    mux__conns_roll(&port->conns);
}

void mux_port_each(mux_port *port, mux_conn_fn *fn, void *user)
{
    mux__conns_each(&port->conns, fn, user);
}

cs_err mux_port_reload(mux_port *port, char *why, size_t why_len)
{
    mux__tls *fresh;
    cs_err err;

    if (!port->tls_options) {
        if (why && why_len > 0)
            snprintf(why, why_len, "%s: this port has no TLS", port->addr);
        return CS_ENOTSUP;
    }
    err = mux__tls_new(port->tls_options, true, NULL, &fresh, why, why_len);
    if (err != CS_OK)
        return err;
    mux__tls_drop(port->tls);
    port->tls = fresh;
    mux_port_roll(port);
    return CS_OK;
}

void mux_port_shut(mux_port *port)
{
    if (port->fd < 0)
        return;
    for (int i = 0; i < BACKLOG / ACCEPTS;
         i++) /* the kernel has let them in, and would reset them */
        on_accept(CS_IO_READ, port);
    stop_listening(port);
}

void mux_port_free(mux_port *port)
{
    if (!port)
        return;
    mux__conns_end(&port->conns, CS_EDRAIN);
    port_gone(port);
}
