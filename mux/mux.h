/* mux -- many ordered message streams over one HTTP/2 connection.  A gRPC client and
 * server without stubs.
 *
 *   port      listens, and makes a connection of each that comes
 *   conn      one connection: mux_dial()ed, or accepted by a port
 *   stream    one call: messages both ways, each way ordered and flow-controlled
 *
 * THREADS    Everything belongs to the thread of its loop.  Nothing here takes a lock.
 * CALLBACKS  Come only from the loop, once per turn; from one you may call anything.
 * CREDIT     A stream nobody reads stops its own sender and no other: credit for the connection
 *            goes back when bytes arrive, credit for the stream when a message is taken
 *            (RFC 9113, 5.2).
 * WIRE       gRPC over HTTP/2 (doc/PROTOCOL-HTTP2.md of grpc/grpc): `method` is
 *            "/package.Service/Method", a message is what follows one 5-byte prefix.
 */
#ifndef MUX_MUX_H
#define MUX_MUX_H

#include "base/base.h"
#include "base/loop.h"
#include "mux/limits.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mux_port mux_port;
typedef struct mux_conn mux_conn;
typedef struct mux_stream mux_stream;

/* Transport security: TLS 1.2 (ECDHE, AEAD) and 1.3, by ALPN "h2".  Files are PEM and are read when
 * the port or the connection is made, and a port's again by mux_port_reload(); what is wrong with
 * them is said then (see mux_listen(), mux_dial(), mux_tls_check()). */
struct mux_tls {
    const char *cert_file;   /* ours, then its chain; a server needs one, a client if it is asked */
    const char *key_file;    /* not encrypted; NULL: it is in cert_file */
    const char *ca_file;     /* whom to believe.  Client, NULL: the system's.  Server, NULL: clients
                                are not asked for a certificate; else they must show one of these */
    const char *server_name; /* client: the name to verify and to send; NULL: the host dialed, or
                                "localhost" for a unix socket */
    bool no_verify;          /* client: believe anybody.  For tests */
    void *reserved[4];
};

struct mux_options {
    const struct mux_tls *tls; /* NULL: plain text, HTTP/2 by prior knowledge; copied */
    int64_t window_bytes;      /* a stream, towards us, at first; 0: 64 KiB (RFC 9113: 65 535);
                                  at least 16 KiB */
    int64_t window_max_bytes;  /* to which it may grow while it pays; 0: 4 MiB; CS_OFF: never */
    int dial_timeout_ms;       /* 0: 5 000, for all addresses of a name and the handshake of TLS
                                  together; and so long a call waits for a place when the
                                  peer's limit of streams is reached */
    int ping_interval_ms;      /* 0: 30 000 without a sign of life, then PING.  A server
                                  that says too_many_pings halves a client's, for its next one */
    int ping_timeout_ms;       /* 0: 10 000 for its answer, then every stream ends CS_EPEER */
    int connection_age_ms;     /* off: a connection this old, a tenth more or less, takes no new
                                  calls, and goes when its last one has ended: a port's, and one
                                  that was dialed.  It is hard on clients behind a balancer that
                                  dial again all at once */
    int64_t calls_max;         /* 0: 1 000 000 000 calls that a dialed connection carries; then it
                                  is as if it were old.  HTTP/2 has numbers for 2^30, which is
                                  what CS_OFF means */
    int connections_max;       /* 0: 4; to one peer when it limits streams.  CS_OFF: 1.  Those that
                                  are going away do not count */
    /* Compress what gets smaller, for a peer that reads gzip (a server is believed to).  What comes
     * compressed is always read. */
    bool gzip;
    MUX_LIMITS(MUX_LIMIT_FIELD, ) /* what a peer may do: limits.h has each, with its standard */
    int64_t reserved[8];
};

/* Who is at the other end.  Lives as long as the connection. */
struct mux_peer {
    cs_bytes addr;         /* "127.0.0.1:41234", "[::1]:41234", "unix:/path", "local" */
    int64_t uid, gid, pid; /* unix sockets, else -1 */
    /* Of a verified certificate, else empty: "CN=alice,O=example" (RFC 2253), and its names,
     * "DNS:a.example", "URI:spiffe://...", "IP:10.0.0.1", "email:...". */
    cs_bytes tls_subject;
    const cs_bytes *tls_sans;
    size_t tls_sans_len;
    void *reserved[4];
};

/* Are these options good, now?  Reads the files and lets them go again.  CS_EINVAL, CS_ESYS,
 * CS_EMISUSE or CS_ENOMEM as of mux_listen(); `why`, of `why_len` bytes, gets the words:
 * "tls: ca.pem: no such file or directory".  Any thread. */
CS_API cs_err mux_tls_check(const struct mux_tls *tls, bool server, char *why, size_t why_len);

/* ---- Streams ------------------------------------------------------------------------------ */

struct mux_stream_ops {
    size_t state_bytes; /* see "State" below */

    /* recv() answered CS_AGAIN (or was never asked) and now has something to say, be it
     * CS_DONE.  What you leave unread stays, and shuts the window; call mux_stream_resume() to
     * be told of it again. */
    void (*readable)(mux_stream *stream, void *state);

    /* send() answered CS_AGAIN and would now take a message. */
    void (*writable)(mux_stream *stream, void *state);

    /* The other way to send: asked for messages while the connection has room for some of this
     * stream, several times a turn if they go that fast.  Send while mux_stream_room() is not 0.
     * Having sent nothing (and not finished) means: nothing now; mux_stream_wake() asks again.
     * Not asked before the first mux_stream_wake(). */
    void (*pull)(mux_stream *stream, void *state);

    /* Exactly once, last, after every message that arrived was taken or given up.  `why` is
     * CS_DONE when the call ended in good order (a client: status 0; a server: our status was
     * sent).  The stream goes when this returns. */
    void (*end)(mux_stream *stream, cs_err why, void *state);

    /* At most once: the connection takes no new calls (its age, mux_port_roll(); a client's also: its
     * calls_max, and that the server said so), and stands for those that it has.  A call that would
     * go on for ever may end now, so that it is made again elsewhere. */
    void (*rolled)(mux_stream *stream, void *state);

    void (*reserved[3])(void);
};

/* State.  Wherever ops meet a `state` parameter: with ops->state_bytes 0 the pointer is
 * kept as it is; with n, the n bytes it points at (zeroes when NULL) are copied into the
 * object, your functions get a pointer to the copy (aligned for any type), and it goes with
 * the object, after `end`.  So an object of yours needs no malloc and no free.  Keep it small
 * (it is there from the first moment on) and let no pointer lead into the original. */

struct mux_call_options {
    int timeout_ms;          /* 0: none; travels as grpc-timeout and is kept on both sides */
    const cs_pair *metadata; /* names in lower case; values of "-bin" names are bytes; copied */
    size_t metadata_len;
    int64_t send_max_bytes; /* queued before send() says CS_AGAIN; 0: 16 KiB */
    /* Wait, within timeout_ms: until a dial succeeds instead of CS_EREFUSED, and for a place
     * instead of CS_ELIMIT.  Dials come 100 ms apart, twice as far each time, up to 5 s, a fifth
     * more or less. */
    bool wait_for_ready;
    int64_t reserved[4];
};

/* Begin a call.  CS_EMISUSE for a malformed method or metadata, CS_ENOMEM; everything the peer
 * or the network can do wrong comes through end(). `method` must stay as long as the stream. */
CS_API cs_err mux_stream_open(mux_conn *conn, const char *method,
                              const struct mux_call_options *options,
                              const struct mux_stream_ops *ops, void *state, mux_stream **ret);

/* May this be metadata of a call?  A name of lower case letters, digits and "-_." that neither HTTP/2
 * nor gRPC has a use for ("host", "grpc-..."), and a value of printable ASCII, without a space at its
 * ends, unless the name ends in "-bin". */
CS_API bool mux_metadata_ok(cs_bytes name, cs_bytes value);

/* How many bytes wait in the stream's queue for the peer's window, and how many more it takes
 * before send() answers CS_AGAIN.  While room is not 0 the next message is taken whatever its
 * size (but for CS_ENOMEM). */
CS_API size_t mux_stream_queued(const mux_stream *stream);
CS_API size_t mux_stream_room(mux_stream *stream);

/* Queue one message: CS_OK it will be sent after all before it; CS_AGAIN not taken, the queue is
 * full; CS_ENOMEM not taken; CS_EPEER or another failure: the stream is over or finished.
 * `head` and `tail` are joined into one message and copied. */
CS_API CS_MUST_USE cs_err mux_stream_send(mux_stream *stream, cs_bytes head, cs_bytes tail);

/* The same without copying the tail, which is moved ({0} when taken). */
CS_API CS_MUST_USE cs_err mux_stream_send_ref(mux_stream *stream, cs_bytes head, cs_ref *tail);

/* There is something to pull.  Harmless at any time. */
CS_API void mux_stream_wake(mux_stream *stream);

/* The next message, valid until you ask for the one after; taking it is what opens the window
 * for the peer.  CS_AGAIN: readable() will tell.  CS_DONE: the other side has said its last
 * word (a server reads the client's half-close; a client reads the end, end() tells the status).
 * A failure: the peer broke the framing, or a message is over the limit: the stream ends so. */
CS_API cs_err mux_stream_recv(mux_stream *stream, cs_bytes *ret);
CS_API void mux_stream_resume(mux_stream *stream);
/* A server's call: what came before it broke can still be received, in end(); CS_DONE behind it, if the
 * client's last word was there, else why the call ended.  Without this it is dropped. */
CS_API void mux_stream_hear_out(mux_stream *stream);

/* Our last word, after what is queued.  A client's half-closes: `status` CS_OK, message NULL.  A
 * server's is the status (CS_DONE and CS_OK are gRPC's 0), with a message for people (UTF-8;
 * NULL: cs_strerror for failures). */
CS_API void mux_stream_finish(mux_stream *stream, cs_err status, const char *message);

/* A server's last word at once: what is queued is dropped, the status overtakes it.  Never OK. */
CS_API void mux_stream_abort(mux_stream *stream, cs_err status, const char *message);

/* Both ways, now, by RST_STREAM(CANCEL); end(why) still comes. */
CS_API void mux_stream_cancel(mux_stream *stream, cs_err why);

/* What the other side said.  A server's requests: at once.  A client's answers: headers from the
 * first readable() on, trailers in end().  CS_ENOENT: it said no such thing. */
CS_API cs_err mux_stream_header(const mux_stream *stream, const char *name, cs_bytes *ret);
CS_API cs_err mux_stream_trailer(const mux_stream *stream, const char *name, cs_bytes *ret);
CS_API const cs_pair *mux_stream_headers(const mux_stream *stream, size_t *n);
CS_API const cs_pair *mux_stream_trailers(const mux_stream *stream, size_t *n); /* in end() */
CS_API void mux_stream_drop_headers(mux_stream *stream);      /* no longer needed: saves memory */
CS_API bool mux_stream_has_headers(const mux_stream *stream); /* client: the answer has begun */
CS_API bool mux_stream_is_heard(const mux_stream *stream);    /* the peer's last word has come */

/* In end(): one line, never NULL: what the peer's message said, or what happened here. */
CS_API const char *mux_stream_errmsg(const mux_stream *stream);

/* In end() of a client's: the peer certainly did not process the call, so it may be made again
 * without harm: nobody was reached, the request never left, or the peer refused it (REFUSED_STREAM,
 * or a GOAWAY that leaves it out).  An answer, be it a status alone, is for you to judge: false. */
CS_API bool mux_stream_never_ran(const mux_stream *stream);

/* Until the deadline that the call carries; CS_FOREVER without one. */
CS_API int mux_stream_time_left_ms(const mux_stream *stream);
CS_API const struct mux_peer *mux_stream_peer(const mux_stream *stream);
CS_API mux_conn *mux_stream_conn(const mux_stream *stream);
CS_API void *mux_stream_state(const mux_stream *stream);

/* A server's side: what to say before the first message, and after the last.  Copied.  CS_EMISUSE
 * for a bad name or when it is too late, CS_ENOMEM. */
CS_API cs_err mux_stream_set_header(mux_stream *stream, const char *name, cs_bytes value);
CS_API cs_err mux_stream_set_trailer(mux_stream *stream, const char *name, cs_bytes value);
CS_API void mux_stream_send_headers(mux_stream *stream); /* now, without waiting for a message */

/* ---- Connections -------------------------------------------------------------------------- */

/* "host:port", "[v6]:port", "unix:/path".  Returns at once and dials in the background, all
 * addresses of a name in turn.  Calls that are opened meanwhile wait for it; when it fails they end
 * CS_EREFUSED, with a line that says why: "dial a.example:443: tls: certificate expired on ...".
 * So they do when a file of options->tls is missing or wrong (mux_tls_check() tells at once), and
 * when a server refuses our certificate, which with TLS 1.3 it does after the connection stands.
 * After a failure or a loss the next mux_stream_open() dials again.
 *
 * It may come to be several connections to the same address, and you need not know: further ones
 * are dialed, one at a time, when the peer's limit of streams is reached, up to connections_max;
 * when all are full, calls wait for a place, dial_timeout_ms at most, and end CS_ELIMIT.  One that
 * the peer ends by GOAWAY takes no new calls, which go to a fresh one, and stands until its last
 * call has ended; calls that the GOAWAY leaves out end CS_EDRAIN.  All that ends so never ran:
 * mux_stream_never_ran().  CS_EINVAL: the address makes no sense; CS_EMISUSE: options->tls was
 * never initialised; CS_ENOMEM. */
CS_API cs_err mux_dial(cs_loop *loop, const char *addr, const struct mux_options *options,
                       mux_conn **ret);
CS_API void mux_conn_free(mux_conn *conn);                /* every stream ends with CS_ECANCELED */
CS_API const char *mux_conn_errmsg(const mux_conn *conn); /* "dial 127.0.0.1:5555: connection
                                                             refused"; "" when one stands */
CS_API const struct mux_peer *mux_conn_peer(const mux_conn *conn);

/* ---- One message there, one back: the client's side ----------------------------------------- */

typedef struct mux_call mux_call;

/* The end of a unary call, once.  CS_OK: `reply` is its message, valid during this call.  Else
 * `reply` is empty and `errmsg` one line: what the server said, or what happened.  CS_EPROTO too
 * when the server said OK with no message, or several. */
typedef void mux_reply_fn(cs_err err, cs_bytes reply, const char *errmsg, void *user);

/* `method`, `request` and the options are copied; `*ret`, if `ret` is not NULL, is valid until
 * `reply` has returned.  A call that certainly never ran (mux_stream_never_ran()) because the
 * server refused it or went away is made again within its deadline, three times at most: at once
 * after a GOAWAY, else after 50, 100 and 200 ms, a fifth more or less.  CS_EMISUSE for a malformed
 * method or metadata, CS_ENOMEM, CS_ECANCELED the connection was freed; then no `reply` comes. */
CS_API cs_err mux_unary(mux_conn *conn, const char *method, cs_bytes request,
                        const struct mux_call_options *options, mux_reply_fn *reply, void *user,
                        mux_call **ret);
CS_API void mux_call_cancel(mux_call *call); /* reply(CS_ECANCELED) comes, soon; not in it */
/* In `reply`: the stream, for its headers and trailers; NULL when there was none. */
CS_API const mux_stream *mux_call_stream(const mux_call *call);

/* ---- Ports -------------------------------------------------------------------------------- */

/* A peer opened a stream.  Take it with mux_stream_accept() before returning, else it is refused
 * with CS_ENOTSUP (CS_ENOMEM, when that was why).  Requests that are not gRPC are answered 415 and
 * never come here; methods that nobody handles get UNIMPLEMENTED. */
typedef void mux_accept_fn(mux_stream *stream, void *user);
CS_API cs_err mux_stream_accept(mux_stream *stream, const struct mux_stream_ops *ops, void *state);
/* From now on the stream has these callbacks and this state, which is never copied: ops->state_bytes
 * does not count.  A copy that was its state before is freed, there and then.  Not in pull() or end(). */
CS_API void mux_stream_hand_over(mux_stream *stream, const struct mux_stream_ops *ops, void *state);

/* One message there, one back, the server's side.  With
 *
 *     static const struct mux_method hello = {say_hello, NULL};
 *     mux_handle(handlers, "/pkg.Greeter/Hello", mux_serve_unary, (void *)&hello);
 *
 * say_hello() gets each request when all of it is there, and answers it once, then or later.
 * Another number of messages is UNIMPLEMENTED (doc/statuscodes.md of grpc/grpc). */
typedef struct mux_request mux_request;
typedef void mux_unary_fn(mux_request *request, cs_bytes message, void *user);
struct mux_method { /* stays as long as the handlers */
    mux_unary_fn *fn;
    void *user;
};
CS_API void mux_serve_unary(mux_stream *stream, void *method); /* a mux_accept_fn */

/* The answer, once: CS_OK and a message (copied), or a failure and a line for people (NULL:
 * cs_strerror()).  `request` and its message are gone after it. */
CS_API void mux_request_answer(mux_request *request, cs_err status, cs_bytes reply,
                               const char *errmsg);
/* Its stream, for metadata both ways, the peer and the time left; NULL: the client has left, or the
 * deadline passed, or the server ends, and nobody waits for the answer any more. */
CS_API mux_stream *mux_request_stream(const mux_request *request);

/* What a server answers on all its ports: a table of methods, "/pkg.Service/Method". */
typedef struct mux_handlers mux_handlers;
CS_API cs_err mux_handlers_new(mux_handlers **ret);
CS_API void mux_handlers_free(mux_handlers *handlers); /* after its ports and connections */
/* That ports have accepted, at once; one more is closed as soon as it comes.  At first, and with CS_OFF: any
 * number. */
CS_API void mux_handlers_set_max(mux_handlers *handlers, int64_t connections);
/* The same, of one peer: an address whatever its port, or a user at unix sockets. */
CS_API void mux_handlers_set_peer_max(mux_handlers *handlers, int64_t connections);
CS_API cs_err mux_handle(mux_handlers *handlers, const char *method, mux_accept_fn *accept,
                         void *user);

/* What mux_listen() would say of an address by its looks: CS_OK, CS_EINVAL.  *ret_far: somebody on another
 * machine could come to it; false, too, of what does not show it: a name, "fd:3".  From any thread. */
CS_API cs_err mux_addr_check(const char *addr, bool *ret_far);

/* "host:port", "[v6]:port", ":port" (all addresses), "unix:/path".  Port 0 picks one.  "fd:3": a
 * stream socket that listens already, from a supervisor (systemd passes 3 and on); it is taken over
 * on CS_OK, made non-blocking and closed on exec, and closed with the port.
 * CS_EINVAL: the address, or what stands in a file of options->tls, makes no sense; CS_ESYS: the
 * system said no; CS_EMISUSE: the loop is virtual or shared, or options->tls was never initialised;
 * CS_ENOMEM.  `why`, of `why_len` bytes, gets the words for it:
 * "listen :80: permission denied", "listen :443: tls: key.pem does not belong to cert.pem". */
CS_API cs_err mux_listen(cs_loop *loop, const char *addr, const struct mux_options *options,
                         mux_handlers *handlers, mux_port **ret, char *why, size_t why_len);
CS_API const char *mux_port_addr(const mux_port *port); /* with the real port number */
CS_API bool mux_port_is_local(const mux_port *port);    /* loopback or unix: no stranger gets in */
/* Every connection of it is rolled over: clients are told to make new calls elsewhere (GOAWAY in two
 * steps, so that none is refused that was on its way), and it goes when its last call has ended. */
CS_API void mux_port_roll(mux_port *port);
/* Reads the files of options->tls again.  CS_OK: new connections use what is in them, and those that
 * stand are rolled over.  A failure, as of mux_listen(): all stays as it is, and `why` has the words.
 * CS_ENOTSUP: the port has no TLS. */
CS_API cs_err mux_port_reload(mux_port *port, char *why, size_t why_len);
CS_API void mux_port_free(mux_port *port); /* stops listening, ends its connections: CS_EDRAIN */

#ifdef __cplusplus
}
#endif
#endif
