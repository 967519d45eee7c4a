#include "mux/sock__in.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <unistd.h>

struct sock_link {
    mux__link link;
    int fd;
    cs_io *io;
    int wanted;
    bool watched;
    bool is_local; /* the peer: on this machine */
    struct mux__lowat lowat;
    cs_task reap;
};

static struct sock_link *of(mux__link *link)
{
    return CS_CONTAINER(link, struct sock_link, link);
}

/* Is it the peer or its host that went, or is it our system that says no? */
static cs_err failure_of(int error)
{
    switch (error) {
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case ENETRESET:
        return CS_EPEER;
    case ENOMEM:
        return CS_ENOMEM;
    default:
        return CS_ESYS;
    }
}

static cs_err sock_read(mux__link *link, void *to, size_t room, size_t *ret)
{
    struct sock_link *sock = of(link);
    ssize_t n;

    if (room == 0)
        return CS_AGAIN; /* recv() would answer 0, which means the end */
    do
        n = recv(sock->fd, to, room, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        mux__lowat_read(&sock->lowat, (size_t)n);
        *ret = (size_t)n;
        return CS_OK;
    }
    if (n == 0)
        return CS_DONE;
    return errno == EAGAIN || errno == EWOULDBLOCK ? CS_AGAIN : failure_of(errno);
}

static cs_err sock_write(mux__link *link, const struct iovec *iov, int iov_len, size_t *ret)
{
    struct sock_link *sock = of(link);
    struct msghdr msg = {0};
    ssize_t n;

    /* Copied, because the struct is recvmsg()'s too and has no const; sendmsg() only reads. */
    memcpy(&msg.msg_iov, &iov, sizeof msg.msg_iov);
    msg.msg_iovlen = (size_t)(iov_len < IOV_MAX ? iov_len : IOV_MAX);
    do
        n = sendmsg(sock->fd, &msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        *ret = (size_t)n;
        return CS_OK;
    }
    if (n == 0 || errno == EAGAIN || errno == EWOULDBLOCK)
        return CS_AGAIN;
    return failure_of(errno);
}

static void want(struct sock_link *sock)
{
    const bool watch = sock->watched && !(sock->wanted & CS_IO_READ);

    cs_io_want(sock->io, sock->wanted | (watch ? CS_IO_GONE : 0));
}

static void sock_want(mux__link *link, bool read, bool write)
{
    of(link)->wanted = (read ? CS_IO_READ : 0) | (write ? CS_IO_WRITE : 0);
    want(of(link));
}

static void sock_watch(mux__link *link, bool on)
{
    of(link)->watched = on;
    want(of(link));
}

static cs_err sock_shut(mux__link *link)
{
    return shutdown(of(link)->fd, SHUT_WR) == 0 ? CS_OK : failure_of(errno);
}

static void reap(cs_task *task)
{
    struct sock_link *sock = CS_CONTAINER(task, struct sock_link, reap);

    mux__lowat_fini(&sock->lowat);
    cs_io_free(sock->io);
    close(sock->fd);
    cs_free(sock);
}

static void sock_free(mux__link *link)
{
    struct sock_link *sock = of(link);

    if (!cs_loop_is_shared(link->loop) || cs_loop_in_turn(link->loop)) {
        reap(&sock->reap);
        return;
    }
    /* Another thread, with the loop's lock: descriptors are not its to touch. */
    link->ready = NULL;
    cs_task_post(link->loop, CS_REAP, &sock->reap);
}

static void on_io(int can, void *user)
{
    struct sock_link *sock = user;

    if (sock->link.ready)
        sock->link.ready(can, sock->link.user); /* the link may be gone now */
}

static void sock_leave(mux__link *link)
{
    struct sock_link *sock = of(link);

    mux__lowat_fini(&sock->lowat);
    cs_io_free(sock->io);
    sock->io = NULL;
    sock->wanted = 0;
    sock->watched = false;
}

static cs_err sock_join(mux__link *link, cs_loop *loop)
{
    struct sock_link *sock = of(link);
    cs_err err = mux__lowat_init(&sock->lowat, loop, sock->fd, sock->lowat.max);

    link->loop = loop;
    return err == CS_OK ? cs_io_new(loop, sock->fd, on_io, sock, &sock->io) : err;
}

/* On the loopback interface the kernel knows where the peer wrote last; of unix sockets it does not. */
static bool sock_is_apart(mux__link *link)
{
    const struct sock_link *sock = of(link);
    int there = -1;
    socklen_t len = sizeof there;

    if (!sock->is_local)
        return true;
    (void)getsockopt(sock->fd, SOL_SOCKET, SO_INCOMING_CPU, &there, &len);
    return there >= 0 && there != sched_getcpu();
}

static const struct mux__link_ops sock_ops = {.read = sock_read,
                                              .write = sock_write,
                                              .want = sock_want,
                                              .free = sock_free,
                                              .shut = sock_shut,
                                              .watch = sock_watch,
                                              .leave = sock_leave,
                                              .join = sock_join,
                                              .is_apart = sock_is_apart};

/* Who is there.  The accepted end of a unix socket has a peer without a name, so that its own
 * (the listener's) says more. */
static void introduce(struct sock_link *sock)
{
    struct mux_peer *peer = &sock->link.peer;
    struct mux__sockaddr sa = {.len = sizeof sa.u};
    struct ucred cred;
    socklen_t len = sizeof cred;

    peer->uid = peer->gid = peer->pid = -1;
    if (getpeername(sock->fd, &sa.u.any, &sa.len) != 0)
        sa.u.any.sa_family = AF_UNSPEC; /* it has gone already: the first read will tell */
    if (sa.u.any.sa_family == AF_UNIX) {
        if (sa.len <= offsetof(struct sockaddr_un, sun_path)) {
            sa.len = sizeof sa.u;
            if (getsockname(sock->fd, &sa.u.any, &sa.len) != 0)
                sa.len = 0;
        }
        if (getsockopt(sock->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
            peer->uid = cred.uid;
            peer->gid = cred.gid;
            peer->pid = cred.pid;
        }
        sock->lowat.max = 0; /* poll() does not heed the mark of a unix socket */
    }
    sock->is_local = mux__sockaddr_is_local(&sa);
    mux__sockaddr_format(&sa, sock->link.addr, sizeof sock->link.addr);
    peer->addr = cs_str(sock->link.addr);
}

cs_err mux__link_of_socket(cs_loop *loop, int fd, size_t lowat_max, mux__link **ret)
{
    struct sock_link *sock = cs_zalloc(sizeof *sock);
    cs_err err;

    if (!sock)
        return CS_ENOMEM;
    sock->link.ops = &sock_ops;
    sock->link.loop = loop;
    sock->fd = fd;
    cs_task_init(&sock->reap, reap);
    sock->lowat.max = lowat_max;
    introduce(sock);
    err = mux__lowat_init(&sock->lowat, loop, fd, sock->lowat.max);
    if (err == CS_OK)
        err = cs_io_new(loop, fd, on_io, sock, &sock->io);
    if (err != CS_OK) {
        mux__lowat_fini(&sock->lowat);
        cs_free(sock);
        return err;
    }
    mux__sock_nodelay(fd);
    *ret = &sock->link;
    return CS_OK;
}

void mux__link_free(mux__link *link)
{
    if (link)
        link->ops->free(link);
}
