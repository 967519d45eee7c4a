/* chanserv server -- answer a post with a channel of sources.
 *
 *     post ──▶ announce, announce, announce ... end        the master stream
 *                 │         │
 *                 ▼         ▼
 *               frames    frames ... end                   one stream a source
 *
 * A server calls your source function for each post.  It announces outlets: our end of a
 * source.  An outlet is asked for its next frame while its reader has room for one.
 *
 * THREADS    Your code runs on one loop, the server's first, however many carry the connections: a
 *            service needs no lock.  (chanserv_serve_parallel() runs it where the connection is.)
 *            Everything here belongs to the thread of that loop, except where a line says "any
 *            thread"; a post and its outlets to that of the loop where it runs.
 * CALLBACKS  Come only from the loop, never inside a call of yours.  From one you may call
 *            anything, frees included, except what waits: that answers CS_EMISUSE.
 * FAIRNESS   Outlets of a connection that have room take turns, 16 KiB each.
 */
#ifndef CHANSERV_SERVER_H
#define CHANSERV_SERVER_H

#include "base/chan.h"
#include "chanserv/limits.h"
#include "mux/foreign.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct chanserv_server chanserv_server;
typedef struct chanserv_post chanserv_post;     /* a request, and the channel that answers it */
typedef struct chanserv_outlet chanserv_outlet; /* our end of an announced source */

/* ---- Outlets: where a source's frames come from ------------------------------------------- */

struct chanserv_outlet_ops {
    size_t state_bytes; /* your state lives in the outlet: see mux.h, "State" */

    /* There is room for a frame: give the next one.
     *   CS_OK     `*frame` is it; it must stay put until next() or end() is called
     *   CS_AGAIN  nothing yet: ask again after chanserv_outlet_wake()
     *   CS_DONE   that was all
     *   failure   that was all, and it went wrong: the reader gets this status
     * Asked only while somebody has the source open and has room (see `eager`), so a slow
     * reader needs no attention from you: you are simply asked less. */
    cs_err (*next)(chanserv_outlet *outlet, cs_bytes *frame, void *state);

    /* The same by reference, instead of next(): yours moves to us and is sent without a copy. */
    cs_err (*next_ref)(chanserv_outlet *outlet, cs_ref *frame, void *state);

    /* Once, before the first next(): somebody wants the source.  The place to open files and
     * start work.  `from` is the number of the first frame wanted; frames are numbered from 0,
     * so 0 is the beginning.  CS_OK, or a failure, which refuses.  NULL: any `from` but what is
     * next gets CS_ERANGE (the reader: OUT_OF_RANGE, "not-kept"). */
    cs_err (*open)(chanserv_outlet *outlet, uint64_t from, void *state);

    /* Exactly once for every announced source, opened or not, last.  chanserv_outlet_reason()
     * has the finer word.
     *   CS_DONE       all of it was handed over            "done"
     *   CS_EPEER      the reader left or vanished          "client-left"
     *   CS_ECANCELED  given up before it was opened        "post-cancelled", "skipped"
     *   CS_ECANCELED  the reader wants no more of it       "cancelled"
     *   CS_ELOST      he did not come back in time         "lost"
     *   CS_EEXPIRED   nobody opened it in time             "accept-timeout"
     *   CS_ETIMEOUT   its deadline                         "deadline"
     *   CS_ESTALLED   the reader never took a byte         "stalled"
     *   CS_EDRAIN     the server is freed or stops         "shutdown"
     *   or the failure that next() or cancel() gave        "failed" */
    void (*end)(chanserv_outlet *outlet, cs_err why, void *state);

    /* Of a source with an uplink: there may be something to receive.  Once after it was opened,
     * and whenever chanserv_outlet_recv() said CS_AGAIN and more came since; once a turn.  What you
     * leave where it is stops the reader's sending, and nobody else. */
    void (*readable)(chanserv_outlet *outlet, void *state);

    /* Being asked has no effect on the world, so ask before anybody opens: small sources
     * then ride inside their announcement. */
    bool eager;
    /* The reader may send frames too: chanserv_outlet_recv().  `next` may then be NULL, of a source
     * that only listens: chanserv_outlet_finish() is how it ends. */
    bool uplink;

    /* The reader's connection broke, and he may come back within the linger; he has.  Only with readers
     * that have a session.  While he is away nothing is asked; a hold that cannot be confirmed should
     * not be trusted. */
    void (*detached)(chanserv_outlet *outlet, void *state);
    void (*attached)(chanserv_outlet *outlet, void *state);
    void (*reserved[1])(void);
};

/* Something to say after CS_AGAIN.  Harmless otherwise. */
CS_API void chanserv_outlet_wake(chanserv_outlet *outlet);

/* In open(): the first frame will have this number, as for a log that is older than its reader.
 * CS_EMISUSE when frames have been given already, or it is above 2^63 - 1; CS_ENOMEM. */
CS_API cs_err chanserv_outlet_number(chanserv_outlet *outlet, uint64_t seq);

/* The number that the next frame given will have; of one in parts: its first. */
CS_API uint64_t chanserv_outlet_next_number(const chanserv_outlet *outlet);

/* Before the next frame, `count` frames were left out on purpose: the reader sees the gap in
 * band, also when the next answer is CS_AGAIN or CS_DONE.  Gaps that follow each other are one.
 * The source ends CS_EMISUSE when the number of its next frame would be above 2^63 - 1, and is
 * cancelled with CS_ENOMEM without memory for the gap. */
enum chanserv_gap { CHANSERV_GAP_OVERFLOW = 1, CHANSERV_GAP_EXPIRED, CHANSERV_GAP_REPLACED };
CS_API void chanserv_outlet_skip(chanserv_outlet *outlet, uint64_t count, enum chanserv_gap why);

/* Write the message that the reader will see, and answer `err`:
 *     return chanserv_outlet_fail(outlet, CS_ESYS, "read %s: %s", path, strerror(errno)); */
CS_API cs_err chanserv_outlet_fail(chanserv_outlet *outlet, cs_err err, const char *format, ...)
    CS_PRINTF(3, 4);

/* End it from outside next(): after what was given, with this status (CS_DONE or CS_OK: well). */
CS_API void chanserv_outlet_finish(chanserv_outlet *outlet, cs_err status);

/* End it now: frames under way are dropped, the reader gets `why` (a failure). */
CS_API void chanserv_outlet_cancel(chanserv_outlet *outlet, cs_err why);

/* The next frame that the reader sent.  `*ret` is valid until you ask this outlet for the next one,
 * at most until the source is over.
 *   CS_AGAIN    nothing yet, or nobody has opened it: readable() tells
 *   CS_DONE     the reader has said its last word, or opened the source without an uplink; frames
 *               to it go on.  The same once the source has ended well: our last word ends both ways
 *   CS_ENOTSUP  the source has no uplink
 *   failure     how the source ended, or was about to.  A reader that sends what makes no sense
 *               ends it with CS_EPROTO; a frame over frame_max_bytes with CS_ETOOBIG; all frames
 *               being put together over assembly_bytes with CS_ELIMIT */
CS_API cs_err chanserv_outlet_recv(chanserv_outlet *outlet, cs_bytes *ret);
CS_API cs_err chanserv_outlet_recv_ref(chanserv_outlet *outlet, cs_ref *ret); /* yours to drop */

/* Of the frame last received: its number, from 0, and how many the reader left out before it. */
CS_API uint64_t chanserv_outlet_seq(const chanserv_outlet *outlet);
CS_API uint64_t chanserv_outlet_gap(const chanserv_outlet *outlet);

/* From now on the frames come from `chan` instead of next(): each message is one, its close is
 * the source's status, and when the reader leaves, its senders get CS_ECANCELED.  Keeps a count
 * of the channel's own.  CS_EMISUSE: poured already; CS_ENOMEM. */
CS_API cs_err chanserv_outlet_pour(chanserv_outlet *outlet, cs_chan *chan);

CS_API bool chanserv_outlet_is_open(const chanserv_outlet *outlet);
CS_API const char *chanserv_outlet_reason(const chanserv_outlet *outlet); /* in end() */
/* In end() too: what the reader said why, or "". */
CS_API const char *chanserv_outlet_words(const chanserv_outlet *outlet);
CS_API void *chanserv_outlet_state(const chanserv_outlet *outlet);
CS_API chanserv_post *chanserv_outlet_post(const chanserv_outlet *outlet); /* outlives the outlet */

/* ---- Posts: what is asked, and the channel that answers it -------------------------------- */

/* The source function.  Announce what there is, and answer as an outlet does:
 *   CS_DONE   that was all: the channel of sources ends in good order
 *   CS_OK     more at once: ask ops->next()           } only after chanserv_post_keep()
 *   CS_AGAIN  more after chanserv_post_wake()         } (CS_EMISUSE otherwise)
 *   failure   refused, or broken off: the client gets this status
 * `body` is valid until it returns.  An announce() that failed, or was told CS_AGAIN and then
 * forgotten, turns CS_DONE into a failure: nothing is lost in silence. */
typedef cs_err chanserv_source_fn(chanserv_post *post, cs_bytes body, void *user);

struct chanserv_post_ops {
    size_t state_bytes;
    /* There is room for announcements: announce one or more and answer CS_OK; or CS_AGAIN,
     * nothing until chanserv_post_wake(); CS_DONE; a failure.  If announce() says CS_AGAIN,
     * return that: next() comes again by itself when there is room. */
    cs_err (*next)(chanserv_post *post, void *state);
    /* Once: the channel of sources is over, nothing more can be announced.  CS_DONE: every
     * announcement was handed over; CS_EPEER: the client left; CS_ETIMEOUT (its deadline, or one
     * of the server's), CS_EDRAIN; or the failure that the post ended with.  When the client left,
     * or the framework ended the post, sources that nobody opened end now; all others run on. */
    void (*closed)(chanserv_post *post, cs_err why, void *state);
    /* Once, last, after closed() and after end() of every outlet: whatever its outlets share can
     * live in the state of a post. */
    void (*end)(chanserv_post *post, cs_err why, void *state);
    void (*reserved[4])(void);
};

/* I am not done when the source function returns, or want to know what becomes of it.  Only in
 * the source function, once; else CS_EMISUSE. */
CS_API cs_err chanserv_post_keep(chanserv_post *post, const struct chanserv_post_ops *ops,
                                 void *state);
CS_API void *chanserv_post_state(const chanserv_post *post);
CS_API void chanserv_post_wake(chanserv_post *post);

/* The last word of a kept post, after what was announced.  Harmless when it is over. */
CS_API void chanserv_post_finish(chanserv_post *post, cs_err status);

/* As chanserv_outlet_fail(): sets the message, answers `err`. */
CS_API cs_err chanserv_post_fail(chanserv_post *post, cs_err err, const char *format, ...)
    CS_PRINTF(3, 4);

/* Announce a source.  `header` (up to 64 KiB) is copied.  `state`: see mux.h, "State".  `ret` may
 * be NULL.
 *   CS_AGAIN    a megabyte of announcements waits for the client, or 65,536 sources of this post
 *               wait to be opened: not taken
 *   CS_ETOOBIG  the header;  CS_ELIMIT  a limit of the server;  CS_ENOMEM
 *   CS_ECANCELED  the post is over;  CS_EMISUSE  ops without next (and uplink), readable without
 *   uplink, or reserved set
 * When it is not CS_OK nothing was taken and end() will not come. */
CS_API cs_err chanserv_announce(chanserv_post *post, cs_bytes header,
                                const struct chanserv_outlet_ops *ops, void *state,
                                chanserv_outlet **ret);

/* A source fed by a channel from the start: chanserv_outlet_pour(). */
CS_API cs_err chanserv_announce_chan(chanserv_post *post, cs_bytes header, cs_chan *chan);

/* Go's `go`: when the source is opened, `run` starts on a thread of its own, with a copy of
 * `state`, and sends frames to `out`; what it returns is the source's status. When a send
 * answers CS_ECANCELED the reader has left: return. A server being freed waits for it. */
typedef cs_err chanserv_go_fn(cs_chan *out, void *state);
CS_API cs_err chanserv_go(chanserv_post *post, cs_bytes header, chanserv_go_fn *run,
                          const void *state, size_t state_bytes);

/* Metadata for the client.  A header goes with the first bytes of the answer: only in the source
 * function.  A trailer goes behind the status: until the post is over.  Names: lower case letters,
 * digits, "-_."; not "grpc-" nor "chanserv-".  Copied.  CS_EMISUSE, CS_ENOMEM. */
CS_API cs_err chanserv_post_set_header(chanserv_post *post, const char *name, cs_bytes value);
CS_API cs_err chanserv_post_set_trailer(chanserv_post *post, const char *name, cs_bytes value);

/* How long this post and its sources wait for a client with a session whose connection broke, instead of
 * options.linger_ms and at most that.  CS_OFF: not at all, as a hold or a presence may want.  In the
 * source function. */
CS_API void chanserv_post_linger(chanserv_post *post, int linger_ms);

/* What was asked.  Valid while the post is; the body: until the source function returns, longer
 * if the post is kept. */
CS_API cs_bytes chanserv_post_service(const chanserv_post *post);
CS_API cs_bytes chanserv_post_bucket(const chanserv_post *post); /* empty: none */
CS_API cs_bytes chanserv_post_body(const chanserv_post *post);
/* The body as a reference of your own, without a copy: stays as long as you keep it, on any thread.
 * While the body is valid, once it is not: CS_EMISUSE.  CS_ENOMEM. */
CS_API cs_err chanserv_post_body_ref(chanserv_post *post, cs_ref *ret);
CS_API cs_bytes chanserv_post_metadata(const chanserv_post *post, const char *name); /* or empty */
CS_API int chanserv_post_time_left_ms(const chanserv_post *post); /* CS_FOREVER: no deadline */
CS_API const struct mux_peer *chanserv_post_peer(const chanserv_post *post);
CS_API cs_loop *chanserv_post_loop(const chanserv_post *post);

/* ---- The server --------------------------------------------------------------------------- */

/* May this peer do this?  Asked before any code of a service or method runs:
 *   CHANSERV_POST  Post, also to a name that nobody serves: who may not use it learns no more
 *   CHANSERV_OPEN  Open and Talk; `service` is that of the post that announced the source
 *   CHANSERV_LIST  Services, for each name: what is refused is not shown.  When every name there is
 *                  gets CS_EAUTH, so does the call
 *   CHANSERV_RAW   a method of chanserv_handle(); `service` is its path, "/pkg.Service/Method"
 * Must not wait.  CS_OK; CS_EAUTH: who are you?; CS_EPERM: known, but not allowed. */
enum chanserv_verb { CHANSERV_POST, CHANSERV_OPEN, CHANSERV_LIST, CHANSERV_RAW };
enum { CHANSERV_WHY_MAX = 256 };
struct chanserv_request {
    enum chanserv_verb verb;
    cs_bytes service;
    char *why; /* of CHANSERV_WHY_MAX bytes: what a caller that is refused reads; "": the usual */
    const struct mux_peer *peer;
    const cs_pair *metadata; /* "authorization" and the like */
    size_t metadata_len;
};
typedef cs_err chanserv_authorise_fn(const struct chanserv_request *request, void *user);

struct chanserv_server_options {
    struct mux_options net;
    /* "a.b": NAME is served as NAME.a.b, and everything here, the hook too, still says NAME; NULL:
     * none; copied. */
    const char *name_space;
    /* The stable name that buckets are hashed with: 1..255 of printable ASCII, no space; NULL:
     * host:port of the first listener; copied. */
    const char *node;
    chanserv_authorise_fn *authorise; /* NULL: everybody may do everything */
    void *authorise_user;
    bool signals;            /* run(): SIGTERM and SIGINT drain it; the second ends it at once */
    bool insecure;           /* listen beyond loopback without TLS: CS_EPERM otherwise */
    int loops;               /* 1, at most 255: while run() does, the others run on threads */
    int busy_poll_us;        /* of its loops, `loop` too, see cs_loop_busy_poll(); 0 says nothing */
    int serving_timeout_ms;  /* off: a post, and from their opening each of its sources */
    int sourcing_timeout_ms; /* off: silence between two announcements */
    int write_timeout_ms;    /* off: an open source has frames and the reader takes none */
    int64_t inline_max_bytes; /* 64 KiB: of an eager source in its announcement, if asked for */
    int64_t part_bytes;       /* 1 MiB: larger frames travel in parts of this size */
    int64_t body_max_bytes;   /* 4 MiB: a post's body, with all of its request */
    int64_t header_max_bytes; /* 64 KiB: a source's header */
    int linger_ms;            /* 30 000: a session whose connection broke; CS_OFF: no sessions */
    int grace_ms;             /* 5 000: a drain; CS_OFF: it ends all at once */
    CHANSERV_LIMITS(MUX_LIMIT_FIELD, ) /* see limits.h */
    /* Told from the loop: a drain has begun; then, `over`, last: see chanserv_server_drain(). */
    void (*drains)(bool over, void *user);
    void *drains_user;
    int64_t reserved[3];
};

/* CS_EINVAL: `name_space`, `node`, `busy_poll_us` or `loops`, also more than one where `loop` is virtual or has
 * a thread;
 * CS_ENOMEM, CS_ESYS; CS_EMISUSE: reserved.
 * `loop` NULL: the server has its own.  The calls that set it up are sticky: the first one
 * that fails is what run() answers, so a short program checks once. */
CS_API cs_err chanserv_server_new(cs_loop *loop, const struct chanserv_server_options *options,
                                  chanserv_server **ret);

/* CS_EINVAL: not a name (1..255 of letters, digits, "._/-", the name space included); CS_EEXIST;
 * CS_ENOMEM; CS_EMISUSE: it began to run, on several loops, with none but parallel services. */
CS_API cs_err chanserv_serve(chanserv_server *server, const char *service, chanserv_source_fn *fn,
                             void *user);
/* The same on the loop of the connection that the post came by: `fn`, all of the post and its outlets, and
 * `authorise` too where it is asked about them, run on as many threads as there are loops, one post on one.
 * Sessions live on the loop where they began when every service is parallel, else on the first: there
 * their posts run.  CS_EMISUSE: it has run, on several loops. */
CS_API cs_err chanserv_serve_parallel(chanserv_server *server, const char *service,
                                      chanserv_source_fn *fn, void *user);
/* Posts run on.  CS_ENOENT; CS_EMISUSE: a parallel one, once it has run on several loops. */
CS_API cs_err chanserv_unserve(chanserv_server *server, const char *service);

/* A gRPC method of your own, "/pkg.Service/Method", on all ports of the server: `accept` as for
 * mux_handle(), after `authorise` said CS_OK.  Its streams end CS_EDRAIN when the server is freed.
 * For the server's whole life, on its first loop.  CS_EINVAL: no such path; CS_EEXIST; CS_ENOMEM;
 * CS_EMISUSE: it has run, on several loops. */
CS_API cs_err chanserv_handle(chanserv_server *server, const char *method, mux_accept_fn *accept,
                              void *user);

/* What comes to its ports, those that listen later too, and is not gRPC: mux/foreign.h has both.  All
 * of it comes on the first loop.  NULL: as before, it is refused.  CS_EEXIST: there is one; CS_EMISUSE:
 * further loops run. */
struct chanserv_foreign {
    mux_wire_fn *wire;    /* connections that do not speak HTTP/2; or NULL */
    mux_accept_fn *plain; /* requests of HTTP/2 that are not gRPC; or NULL */
    void *user;
};
CS_API cs_err chanserv_server_set_foreign(chanserv_server *server,
                                          const struct chanserv_foreign *foreign);

/* A connection to it in the process, for calls of any method: as mux_dial() makes one, without tls.  On its
 * first loop (or nobody runs it); it may stay longer than the server, whose end ends its calls.  CS_ENOMEM. */
CS_API cs_err chanserv_server_dial(chanserv_server *server, const struct mux_options *options,
                                   mux_conn **ret);

/* Asks options.authorise as calls are: of requests that came by another way.  CS_OK too when there is
 * no hook.  A failure counts as posts_refused_denied; request->why, of CHANSERV_WHY_MAX bytes, has the
 * words, perhaps "". */
CS_API cs_err chanserv_server_authorise(chanserv_server *server,
                                        const struct chanserv_request *request);
/* The names that it serves, without the name space: CS_OK, one a call, from *at = 0 on; CS_DONE.  Valid
 * until it serves another or one less. */
CS_API cs_err chanserv_server_service(const chanserv_server *server, size_t *at, cs_bytes *ret);
/* Nobody will open what this ticket is of: its source ends CS_ECANCELED, "skipped", and does not wait for
 * accept_timeout_ms.  Nothing is done about what is opened already, or is no source of this loop. */
CS_API void chanserv_server_skip(chanserv_server *server, cs_bytes ticket);

/* "host:port", "[v6]:port", ":port", "unix:/path"; port 0 picks one.  "fd:3": a socket that listens
 * already, see mux_listen().  With options.net.tls.  CS_EINVAL, CS_ESYS, CS_EPERM: see `insecure`;
 * errmsg has the words.  With several loops connections go to each in turn, and CS_EMISUSE: it runs. */
CS_API cs_err chanserv_listen(chanserv_server *server, const char *addr);
/* With the real port; NULL past the last. */
CS_API const char *chanserv_server_addr(const chanserv_server *server, size_t i);

/* Reads the files of options.net.tls again, as after a new certificate.  CS_OK: new connections use
 * what is in them, and those that stand are rolled over: see mux_port_roll().  A failure, with words
 * in errmsg: the old ones stay in use.  CS_ENOTSUP: it listens nowhere, or without TLS; CS_EINVAL,
 * CS_ESYS, CS_ENOMEM. */
CS_API cs_err chanserv_server_reload(chanserv_server *server);

/* The server goes, and breaks nothing that the grace leaves time for:
 *   1  New posts are refused (UNAVAILABLE, "draining": they never ran, and go to another node at
 *      once), and lists of services say so.  Tickets can still be opened, sessions taken up.
 *   2  A connection is rolled over (mux_port_roll()) when no post of it is open and no source of it
 *      waits to be opened, and every one at half the grace.  With the last one the listeners close.
 *   3  At the end of the grace, which is earlier when nothing runs any more, what is left ends
 *      UNAVAILABLE "draining", and the server is over: run() answers CS_OK, within half a second,
 *      and options.drains tells.  It is still to be freed.
 * `grace_ms` 0: options.grace_ms; CS_OFF: at once.  Called again it can only become shorter.  Who
 * only watches services, or has a session and no channel in it, is not waited for. */
CS_API void chanserv_server_drain(chanserv_server *server, int grace_ms);

/* Until it is stopped, or drained: CS_OK.  Its further loops run as long, on threads of their own;
 * CS_ESYS: one could not be started. */
CS_API cs_err chanserv_server_run(chanserv_server *server);
CS_API void chanserv_server_stop(chanserv_server *server); /* any thread, signal handlers too */
CS_API void chanserv_server_free(chanserv_server *server); /* see loop.h, FREEING */
CS_API const char *chanserv_server_errmsg(const chanserv_server *server);
CS_API cs_loop *chanserv_server_loop(const chanserv_server *server);

/* ---- Looking inside ----------------------------------------------------------------------- */

/* What a gateway counts: see chanserv_server_foreign(). */
#define CHANSERV_FOREIGN_COUNTERS(X)                                                               \
    X(http_requests, "requests of HTTP/1.1, and of HTTP/2 without gRPC")                           \
    X(http_refused_bad, "of these, that made no sense: 400, 417, 501, 505")                        \
    X(http_refused_origin, "of these, of a strange page or to a strange host: 403")                \
    X(http_refused_path, "of these, for what is not there, or not by this method: 404, 405")       \
    X(http_heads_refused, "of these, refused 414 or 431: header_max_bytes of a gateway")           \
    X(http_bodies_refused, "of these, refused 413: body_max_bytes of a gateway")                   \
    X(http_timeouts, "of these, refused 408: request_timeout_ms of a gateway")                     \
    X(http_idle, "connections of HTTP/1.1 closed between two requests: idle_timeout_ms")           \
    X(http_stalled, "connections of HTTP/1.1 cut, their answer unread: stall_timeout_ms")          \
    X(http_lingered, "sources that no reader came back to: linger_ms of a gateway")                \
    X(http_not_kept, "readers that came back for what is kept no more: keep_bytes of a gateway")   \
    X(http_lingering_lost, "sources that wait for their reader, ended: lingering_bytes")

/* Every counter, one table: X(name, help).  What ends with "now" goes down again, the rest only up. */
#define CHANSERV_COUNTERS(X)                                                                       \
    X(connections, "connections, a gateway's own too, open now")                                   \
    X(connections_total, "connections accepted")                                                   \
    X(accepts_paused, "times nobody was let in for want of descriptors or memory")                 \
    X(connections_rolled, "connections told to go: their age, a new certificate, a drain")         \
    X(tls_connections_total, "connections with TLS whose handshake went well")                     \
    X(tls_handshakes, "TLS handshakes under way now")                                              \
    X(tls_handshakes_failed, "TLS handshakes that failed or took too long")                        \
    X(posts, "posts running now")                                                                  \
    X(posts_total, "posts that reached their source function")                                     \
    X(posts_refused_no_service, "posts for a service that nobody serves")                          \
    X(posts_refused_denied, "calls that the authorise hook refused")                               \
    X(posts_refused_bad, "posts and opens that made no sense")                                     \
    X(posts_refused_draining, "posts refused: the server drains")                                  \
    X(sources_total, "sources announced")                                                          \
    X(sources_waiting, "sources announced and not opened, now")                                    \
    X(sources_open, "sources open now")                                                            \
    X(sources_inline, "sources that rode whole in their announcement")                             \
    X(opens_refused_ticket, "opens with a ticket that is unknown, dead or of another process")     \
    X(opens_refused_claimed, "opens with a ticket that was used before")                           \
    X(deadlines, "posts and sources ended by a deadline or timeout")                               \
    X(memory_ended, "posts and sources ended because memory was short and nobody read them")       \
    X(readers_left, "sources whose reader left before their end")                                  \
    X(frames_out, "frames handed over, parts counted once")                                        \
    X(frame_bytes_out, "payload bytes handed over")                                                \
    X(talks, "sources opened by a reader that may send frames too")                                \
    X(frames_in, "frames taken from readers, parts counted once")                                  \
    X(frame_bytes_in, "payload bytes taken from readers")                                          \
    X(frames_in_refused, "readers ended for what they sent")                                       \
    X(gaps, "gaps sent")                                                                           \
    X(go_threads, "threads of chanserv_go running now")                                            \
    X(sessions, "sessions there are now")                                                          \
    X(sessions_total, "sessions made")                                                             \
    X(sessions_lingering, "sessions whose connection broke, now")                                  \
    X(sessions_resumed, "sessions taken up again")                                                 \
    X(sessions_lost, "sessions given up: linger_ms, or one of the limits of lingering")            \
    X(sessions_refused, "sessions refused, for whatever reason")                                   \
    X(sessions_kept, "bytes kept for sessions until they are acknowledged, now")                   \
    X(channels, "posts and sources of sessions that their client is not done with, now")           \
    X(channels_resumed, "posts and sources that went on, on another stream")                       \
    X(bytes_in, "bytes read from connections")                                                     \
    X(bytes_out, "bytes written to connections")                                                   \
    X(queued_bytes, "bytes that wait to go out, of all streams, now")                              \
    X(streams, "HTTP/2 streams open now")                                                          \
    X(streams_total, "HTTP/2 streams opened")                                                      \
    X(busy_polls, "looks for news of loops that had nothing to do (busy_poll_us)")                 \
    X(busy_poll_hits, "looks that found something, so that the loop did not sleep")                \
    X(bad_requests, "requests that were not gRPC, or of no known method")                          \
    X(pings_lost, "connections ended because a PING stayed without answer")                        \
    X(messages_gzipped, "messages sent compressed")                                                \
    X(gzip_saved, "bytes that compressing them saved")                                             \
    CHANSERV_FOREIGN_COUNTERS(X)                                                                   \
    CHANSERV_LIMIT_COUNTERS(X)                                                                     \
    MUX_LIMIT_COUNTERS(X)

struct chanserv_counters {
#define X(name, help) uint64_t name;
    CHANSERV_COUNTERS(X)
#undef X
};
/* On the server's thread (or with nobody running it).  Of several loops: the sum; a loop that is busy for
 * 100 ms adds what it counted when it was asked last. */
CS_API void chanserv_server_counters(chanserv_server *server, struct chanserv_counters *ret);

/* For a gateway (chanserv_server_set_foreign()) to count in: plain numbers, of the thread of the server's
 * first loop; there as long as the server. */
struct chanserv_foreign_counters {
#define X(name, help) uint64_t name;
    CHANSERV_FOREIGN_COUNTERS(X)
#undef X
};
CS_API struct chanserv_foreign_counters *chanserv_server_foreign(chanserv_server *server);

#ifdef __cplusplus
}
#endif
#endif
