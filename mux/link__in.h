/* link -- the bytes of one connection, wherever they come from: a socket, or memory.
 *
 * Private to mux.  A link is a table, so that TLS and in-memory pairs are links like others.
 * Nothing here knows HTTP/2.
 *
 *   dial   address -> (names resolved on a helper thread, addresses tried in turn) -> link
 *   port   accept -> link
 *   pair   two links, each the other's far end (virtual loops, joins within a process)
 */
#ifndef MUX_LINK_IN_H
#define MUX_LINK_IN_H

#include "base/mem.h"
#include "base/turn.h"
#include "mux/mux.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

typedef struct mux__link mux__link;

struct mux__link_ops {
    /* CS_OK: *ret > 0 bytes read; CS_AGAIN nothing now; CS_DONE the peer closed in good order;
     * CS_EPEER or CS_ESYS: broken, final.  CS_EREFUSED: final too, and the peer read nothing of
     * what was written. */
    cs_err (*read)(mux__link *link, void *to, size_t room, size_t *ret);
    /* CS_OK: *ret > 0 bytes taken; CS_AGAIN none now; a failure as above. */
    cs_err (*write)(mux__link *link, const struct iovec *iov, int iov_len, size_t *ret);
    void (*want)(mux__link *link, bool read, bool write);
    void (*free)(mux__link *link); /* closes; legal in `ready` */

    /* What wires need (wire.c), and not every link has.
     * Our half ends behind what was written, and reading goes on.  CS_AGAIN: not all is out yet; to be
     * asked again when there is room to write. */
    cs_err (*shut)(mux__link *link);
    /* While it is not read: `ready` with CS_IO_GONE when the peer has hung up or closed its half. */
    void (*watch)(mux__link *link, bool on);
    /* To another loop: left on the thread of its own, joined on that of the other, where it wants nothing
     * at first.  CS_ENOMEM: good for freeing alone.  Between the two, and on either, it may be freed. */
    void (*leave)(mux__link *link);
    cs_err (*join)(mux__link *link, cs_loop *loop);
    /* The peer is on another processor, as far as can be told: what is written now it may begin with while
     * we go on. */
    bool (*is_apart)(mux__link *link);
};

/* `ready(can, user)`: CS_IO_READ and/or CS_IO_WRITE of what was wanted, CS_IO_GONE when watched. */
typedef void mux__ready_fn(int can, void *user);

struct mux__link {
    const struct mux__link_ops *ops;
    cs_loop *loop;
    mux__ready_fn *ready;
    void *user;
    struct mux_peer peer;
    char addr[136];  /* what peer.addr is a view of */
    const char *why; /* what broke it, where the link knows more than its answer says; or NULL */
    bool timed_out;  /* its handshake */
    bool is_tls;
    bool is_http1; /* TLS: the peer did not ask for HTTP/2 */
};

static inline cs_err mux__link_read(mux__link *l, void *to, size_t room, size_t *ret)
{
    return l->ops->read(l, to, room, ret);
}
static inline cs_err mux__link_write(mux__link *l, const struct iovec *iov, int n, size_t *ret)
{
    return l->ops->write(l, iov, n, ret);
}
static inline void mux__link_want(mux__link *l, bool read, bool write)
{
    l->ops->want(l, read, write);
}
static inline cs_err mux__link_shut(mux__link *l)
{
    return l->ops->shut ? l->ops->shut(l) : CS_OK;
}
static inline void mux__link_watch(mux__link *l, bool on)
{
    if (l->ops->watch)
        l->ops->watch(l, on);
}
static inline bool mux__link_is_apart(mux__link *l)
{
    return l->ops->is_apart && l->ops->is_apart(l);
}
void mux__link_free(mux__link *link); /* NULL is fine */

/* Set before anything is wanted; a new link wants nothing and tells nobody. */
static inline void mux__link_listen(mux__link *l, mux__ready_fn *ready, void *user)
{
    l->ready = ready;
    l->user = user;
}

/* A connected, non-blocking stream socket; takes the descriptor only on CS_OK.
 *
 * Reading adapts the kernel's low-water mark (SO_RCVLOWAT): above 48 KiB a read it goes up, to at
 * most `lowat_max` (a quarter of the window, so that flow control cannot deadlock against it), so
 * that a busy receiver is woken less often; under 16 KiB a read, or 1 ms after a mark was set
 * without anything to read, it goes down to 1 again. */
cs_err mux__link_of_socket(cs_loop *loop, int fd, size_t lowat_max, mux__link **ret);

/* Two ends; each holds up to 256 KiB on its way.  On one loop, delivered in the IO phase of the
 * turn after the one it was written in.  Freeing one end makes the other read CS_DONE. */
cs_err mux__link_pair(cs_loop *loop, mux__link *ret[2]);
void mux__link_pair_swallow(mux__link *end); /* both ways: taken, never delivered; no end either */
void mux__link_pair_break(mux__link *end);   /* both ends: CS_EPEER from now on */

/* ---- Addresses ------------------------------------------------------------------------------
 * "host:port", "[v6]:port", ":port" (listening), "unix:/path" ("unix:@name" is abstract), "fd:3"
 * (listening: a socket that was handed to us). */
struct mux__addr {
    bool is_unix, is_fd;
    int fd;
    char host[256]; /* "" : all addresses */
    uint16_t port;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
};
cs_err mux__addr_parse(const char *text, struct mux__addr *ret); /* CS_EINVAL */

struct mux__sockaddr {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    } u;
    socklen_t len;
};
bool mux__sockaddr_is_local(const struct mux__sockaddr *sa); /* loopback or unix */
void mux__sockaddr_format(const struct mux__sockaddr *sa, char *to, size_t len);

/* The addresses behind an address, without asking anybody: numbers, unix paths, and "localhost"
 * (::1 and 127.0.0.1 both, RFC 6761).  CS_AGAIN: it is a name that must be looked up. */
enum { MUX__ADDRS_MAX = 16 };
cs_err mux__addr_expand(const struct mux__addr *addr, struct mux__sockaddr *ret, size_t *ret_len);

/* ---- Dialing -------------------------------------------------------------------------------
 * `done` once, from the loop, unless freed before: link (yours) and why NULL, or NULL and
 * one line, "dial localhost:5555: connection refused" (one story for all addresses; when they
 * differ, "dial x:1: [::1]:1: connection refused; 127.0.0.1:1: timed out"). */
typedef struct mux__dial mux__dial;
typedef void mux__dialed_fn(mux__link *link, const char *why, void *user);
cs_err mux__dial_new(cs_loop *loop, const char *addr, int timeout_ms, size_t lowat_max,
                     mux__dialed_fn *done, void *user, mux__dial **ret);
/* Instead of dialing it ends with these words, in the turn in which it would begin. */
void mux__dial_refuse(mux__dial *dial, const char *words);
void mux__dial_free(mux__dial *dial);

/* ---- Listening: mux/port.c hands each link to the connection room -------------------------- */

/* Makes a server connection of it; takes the link only on CS_OK (conn.c). The connection unlinks
 * itself from `conns` when it goes. */
cs_err mux__conn_accept(cs_loop *loop, mux__link *link, const struct mux_options *options,
                        mux_handlers *handlers, struct cs_list *conns, mux_conn **ret);
/* The same, once the handshake is over; `tls` NULL: at once. */
struct mux__tls;
cs_err mux__conn_accept_tls(cs_loop *loop, mux__link *link, struct mux__tls *tls,
                            const struct mux_options *options, mux_handlers *handlers,
                            struct cs_list *conns, mux_conn **ret);

/* As many connections as mux_handlers_set_max() allows?  Counts the refusal. */
bool mux__handlers_are_full(mux_handlers *handlers);

/* Ends every connection of the list, and their streams with `why`; leaves it empty (conn.c). */
void mux__conns_end(struct cs_list *conns, cs_err why);

/* Rolls each over; calls `fn` for each that stands (roll.c). */
void mux__conns_roll(struct cs_list *conns);
void mux__conns_each(struct cs_list *conns, void (*fn)(mux_conn *conn, void *user), void *user);

#endif
