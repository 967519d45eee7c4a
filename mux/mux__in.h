/* mux -- the objects of the room, as its files share them.  Private to mux.
 *
 *   conn.c     life of a connection: dialed, up, lost, freed
 *   conn_io.c  its reading and writing         calm.c     floods of frames that do no good
 *   shake.c    the handshake of TLS, between the two
 *   alive.c    keepalive and stalled streams     roll.c     a server's connection that goes
 *   front.c    what is dialed: connections to one address, and calls that wait for one
 *   unary.c    calls of one message each way      unary_serve.c  the server's side of them
 *   reach.c    how they get their links: dialed, or made inside the process
 *   across.c   between two loops of the process   pass.c  calls that go on at the other one
 *   behalf.c   who called, as bytes
 *   h2*.c      all that is spoken with nghttp2
 *   stream.c   life of a stream, and its calls        message.c  its messages, both ways
 *   stream_in.c  what nghttp2 says of it              stream_known.c  what its owner may ask
 *   peers.c    connections of one peer           held.c     what a peer makes us hold
 *   wire.c, wire_begin.c  connections that do not speak HTTP/2
 *   plain.c    requests that are not gRPC's
 *   call.c     gRPC's spelling of a request and of its answer
 *   meta.c     metadata      handlers.c  methods that are served      gzip.c  all that is zlib's
 *   lasting.c  calls that outlive their HTTP/2 streams; keep.c what such a call has sent; count.c what
 *              has arrived
 *
 * Nobody but h2*.c calls nghttp2, and nghttp2 calls nobody but them.  Inside its callbacks only
 * mux__stream_on_..., mux__stream_fill and mux__stream_emit run, and of the user's code only
 * `pull`: what these may call (send, finish, cancel, wake) only submits and posts.
 */
#ifndef MUX_IN_H
#define MUX_IN_H

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/turn.h"
#include "mux/calm__in.h"
#include "mux/count__in.h"
#include "mux/foreign.h"
#include "mux/gzip__in.h"
#include "mux/ids__in.h"
#include "mux/link__in.h"
#include "mux/mux.h"
#include "mux/out__in.h"
#include "mux/peers__in.h"
#include "mux/roll.h"
#include "mux/rx.h"
#include "mux/sendq__in.h"
#include "mux/stats.h"
#include "mux/tls__in.h"
#include "proto/status.h"

enum {
    MUX__WINDOW = 65535, /* RFC 9113, 6.9.2 */
    MUX__WINDOW_MIN = 16 * 1024,
    MUX__CONN_WINDOW = 16 * 1024 * 1024, /* never the bottleneck: it is given back on arrival */
    MUX__READ = 64 * 1024,               /* a block, and what a stalled stream may pin of it */
    MUX__READS = 4,                      /* a turn */
    MUX__UNPACK = 1024 * 1024, /* bytes of what came compressed, a turn; and one message */
    MUX__SEND_MAX = 16 * 1024  /* queued on a stream before send() says CS_AGAIN */
};

/* ---- Metadata ------------------------------------------------------------------------------ */

struct mux__meta {
    cs_pair *pairs;
    size_t len, cap;
};
cs_err mux__meta_make(struct mux__meta **meta); /* when there is none yet */
void mux__meta_free(struct mux__meta *meta);    /* NULL is fine */
cs_err mux__meta_add(struct mux__meta *meta, cs_bytes name, cs_bytes value); /* copies */
/* The same, as it comes: values of "-bin" names are decoded. */
cs_err mux__meta_add_wire(struct mux__meta *meta, cs_bytes name, cs_bytes text);
cs_err mux__meta_decode(struct mux__meta *meta); /* what was added as text; NULL is fine */
cs_err mux__meta_get(const struct mux__meta *meta, const char *name, cs_bytes *ret);
void mux__meta_remove(struct mux__meta *meta, cs_bytes name); /* the first of that name */

/* Fields on their way out; the first failure sticks in `err`. */
struct mux__field {
    cs_bytes name, value;
    bool lasting; /* both stay where they are for as long as the stream: no copy */
};
struct mux__fields {
    struct mux__field few[16], *all;
    size_t len, cap;
    void *texts; /* made for them */
    cs_err err;
};
void mux__fields_init(struct mux__fields *fields);
void mux__fields_fini(struct mux__fields *fields);
void mux__fields_add(struct mux__fields *fields, cs_bytes name, cs_bytes value, bool lasting);
/* Lives with them; NULL: no memory. */
char *mux__fields_text(struct mux__fields *fields, size_t len);
void mux__fields_add_meta(struct mux__fields *fields, const struct mux__meta *meta); /* or NULL */

/* ---- Handlers ------------------------------------------------------------------------------ */

struct mux__handler {
    mux_accept_fn *accept;
    void *user;
    cs_bytes method; /* lives behind the struct, with a NUL */
};
struct mux_handlers { /* counted: a connection may outlive its server by a turn */
    unsigned refs;
    int64_t connections_max; /* 0, CS_OFF: any number */
    int64_t peer_max;        /* the same, of one peer */
    bool has_complained;     /* of too many, since there were fewer */
    struct mux__peers *peers;
    struct cs_names methods;
    struct mux__handler *found;     /* the one asked for last, or NULL */
    struct cs_list local_conns;     /* servers' ends of mux_dial_local(), */
    struct cs_list across_conns;    /* and of mux_dial_across() */
    bool local_ended, across_ended; /* no more of them: mux_handlers_end_local() */
    mux_accept_fn *plain;           /* or NULL */
    void *plain_user;
    mux_wire_fn *wires; /* or NULL */
    void *wires_user;
    cs_loop *wires_loop;    /* of: */
    mux_handlers *wires_to; /* another loop's, whose they become; or NULL */
    struct mux_stats stats, across_stats;
    struct mux__gzip *gzip; /* of all connections; NULL: nothing was compressed yet */
    size_t unpacked;        /* in this turn */
    cs_timer *trim;         /* runs when a connection has gone; NULL: none has yet */
    bool trims;
};

/* One of its connections has gone: what that held is given back to the system, soon. */
void mux__handlers_trim(mux_handlers *handlers, cs_loop *loop);
void mux__handlers_drop(mux_handlers *handlers);
struct mux__handler *mux__handlers_find(mux_handlers *handlers, cs_bytes method); /* or NULL */

/* ---- Connections --------------------------------------------------------------------------- */

/* See h2_head.c. */
struct mux__h2_head {
    void *authority; /* nghttp2's, counted; or NULL */
    bool is_https, is_options, is_star;
};

enum { MUX__FREED = 4 };
enum mux__conn_state { MUX__IDLE, MUX__DIALING, MUX__UP, MUX__OVER };
/* See roll.h; DUE: as soon as it stands. */
enum mux__roll { MUX__OPEN, MUX__DUE, MUX__NOTICE, MUX__LAST, MUX__SHUT };

/* What mux_dial() gives. */
struct mux__front {
    mux_conn *main;          /* what the user holds; one of the connections */
    struct cs_list siblings; /* the others */
    size_t siblings_len;
    struct cs_list waiting; /* calls that no connection has taken yet */
    struct cs_list unaries; /* every mux_unary() under way */
    cs_task place;          /* them */
    cs_timer *timer;        /* to dial again, or for calls whose patience is over */
    int64_t again_ms;       /* not dialed before */
    int64_t full_ms;        /* since when calls wait while a connection stands, or CS_OFF */
    unsigned failures;      /* in a row: dials that did not lead to SETTINGS */
    unsigned turned_away;   /* in a row: connections that were told to go before any answer */
    uint32_t limit; /* streams a connection that the peer was last seen to allow; 0: unknown */
    bool met;       /* a peer said SETTINGS, once */
    /* Begins to dial, and ends in mux__conn_dialed(), then or later; NULL: nobody to dial. */
    cs_err (*dial)(mux_conn *conn);
    mux_handlers *local; /* mux_dial_local() */
    struct mux_options local_options;
    mux__tls *local_tls; /* the other end's */
    mux__tls *tls;       /* NULL: plain text, or: */
    char *tls_words;     /* what is wrong with the files it was to be made of */
    void *dial_user;
    struct mux__there *there; /* mux_dial_across(): where to; or NULL */
};

struct mux_conn {
    struct cs_link link_in;   /* of the port's list, or of its front's siblings */
    struct mux__front *front; /* a client's */
    cs_loop *loop;
    struct mux_options opt; /* with the defaults filled in */
    bool is_server, freed, goaway;
    bool settled;   /* the peer's SETTINGS came */
    bool spent;     /* a client's: it is old, or its calls are used up */
    bool told;      /* a client's: its calls know that it takes no more */
    bool answers;   /* a client's: a call was answered, well or not */
    bool is_across; /* a server's: its peer is another loop of the process, */
    bool is_local;  /* or of this one */
    uint32_t open;  /* a client's streams that nghttp2 has, */
    uint32_t calls; /* and has had */
    uint32_t
        user_room; /* of calls that may come to last, because others did: bytes for their users; or 0 */
    bool failed;    /* nghttp2 had no memory for what must be said: cut at the next flush */
    cs_err end_why; /* what its streams are told when it is freed; 0: CS_ECANCELED */
    enum mux__conn_state state;
    char *addr; /* what is dialed, or NULL */
    char *authority;
    mux__dial *dial;
    int64_t dialed_ms;          /* when it began */
    mux__link *link;            /* DIALING: with TLS, while hands are shaken */
    struct mux_peer no_peer;    /* while there is no link */
    void *h2;                   /* nghttp2's session */
    void *h2_freed[MUX__FREED]; /* what it freed while it starved: see h2.c */
    int h2_freed_len;
    bool h2_starves;
    bool windows_moved; /* by SETTINGS, and what nghttp2 says to that is not all written */
    struct mux__out out;
    bool blocked;   /* the kernel takes no more: wait for CS_IO_WRITE */
    mux_wire *wire; /* it does not speak HTTP/2: all else is idle; or NULL */
    bool sniffs;    /* which of the two is not known yet, and nothing is said; */
    uint8_t prefix; /* so much of HTTP/2's preface has come */
    struct cs_list streams;
    struct cs_list fresh; /* every mux_rx that got bytes this turn */
    cs_block *block;      /* where the next read goes, or NULL */
    size_t unpacked;      /* a client's: in this turn */
    uint64_t bytes_in, bytes_out;
    mux_handlers *handlers;
    struct mux__peer_count *of_peer; /* a port's; or NULL */
    struct mux_stats *stats, own_stats;
    struct mux__gzip **gzip, *own_gzip; /* the handlers', or its own */
    cs_task flush, settle, reap, rolled;
    cs_timer *alive, *roll_timer;
    enum mux__roll roll; /* a server's */
    uint32_t last_id;    /* LAST: what came later is refused */
    uint64_t number;     /* a server's */
    int64_t heard_ms;    /* the last sign of life */
    int64_t up_ms;       /* since when it stands, */
    int64_t idle_ms;     /* and has no stream */
    int64_t pinged_ms;
    int64_t look_ms;  /* when alive.c looks next */
    int64_t close_ms; /* of one that was cut */
    bool pinged;
    int64_t grown;    /* of window_grow_bytes */
    uint64_t arrived; /* a limbo's: bytes, on all its calls */
    struct mux__calm calm;
    char calm_words[48];           /* why it was cut */
    struct mux__ids ids;           /* a client's: as we wrote them */
    struct mux__h2_head head;      /* of the request that comes */
    uint32_t fields, header_bytes; /* of the header list that comes, */
    struct cs_buf aside;           /* and what plain.c notes of it */
    struct {
        int64_t lists, ahead, said; /* said: field sections that are not written */
        struct mux_rx_room room;
    } held;       /* see held.h */
    size_t clear; /* in a pull: so far its queue grows and nobody need look whether it is full */
    char *story;
};

cs_err mux__conn_new(cs_loop *loop, const struct mux_options *options, bool is_server,
                     mux_conn **ret);
void mux__conn_up(mux_conn *conn, mux__link *link);
/* Up at once, or with TLS when hands are shaken (shake.c).  Takes the link on CS_OK only. */
cs_err mux__conn_begin(mux_conn *conn, mux__link *link, mux__tls *tls);
void mux__conn_lost(mux_conn *conn, cs_err why, const char *story);
void mux__conn_listen(mux_conn *conn); /* to its link */
void mux__conn_flush_soon(mux_conn *conn);
void mux__conn_flush(cs_task *task);
void mux__conn_settle(cs_task *task);
void mux__conn_stream_gone(mux_conn *conn); /* the last one of a freed connection frees it */
cs_err mux__conn_dial(mux_conn *conn);      /* CS_EREFUSED: there is nobody to dial */
void mux__conn_dialed(mux_conn *conn, mux__link *link, const char *why);
cs_err mux__conn_sibling(struct mux__front *front, mux_conn **ret); /* not dialed yet */
void mux__options_fill(struct mux_options *to, const struct mux_options *from);

cs_err mux__front_new(mux_conn *conn);
void mux__front_free(struct mux__front *front);
mux_conn *mux__front_next(const struct mux__front *front, const mux_conn *conn); /* or NULL */
mux_conn *mux__front_standing(const struct mux__front *front); /* one that takes calls, or NULL */
cs_err mux__front_open(mux_stream *stream);                    /* CS_ENOMEM */
void mux__front_give_up(mux_stream *stream);                   /* it waits no more */
void mux__front_settings(mux_conn *conn);                      /* they came */
void mux__front_goaway(mux_conn *conn, bool tired_of_pings);
void mux__front_spent(mux_conn *conn); /* it takes no new calls any more */
void mux__front_answered(mux_conn *conn);
void mux__front_closed(mux_conn *conn); /* a stream of it */
void mux__front_lost(mux_conn *conn, bool settled, cs_err why, const char *story);
bool mux__front_is_empty(const struct mux__front *front); /* but for the main connection */
void mux__front_end(struct mux__front *front, cs_err why, const char *story);

/* first x 2^n, at most max; a fifth more or less */
int mux__pause_ms(int first, int max, unsigned n);

/* CS_ECANCELED, also those that have no stream now. */
void mux__unaries_end(struct mux__front *front);

void mux__alive_start(mux_conn *conn);
void mux__alive_heard(mux_conn *conn);
void mux__alive_look(mux_conn *conn); /* when it must: something has begun that has a time */
void mux__alive_close(mux_conn *conn, int ms); /* then it is lost, if the peer does not hang up */

void mux__roll_up(mux_conn *conn);  /* it stands: its age begins */
void mux__roll_met(mux_conn *conn); /* it speaks HTTP/2 */
void mux__roll_answered(mux_conn *conn);
void mux__roll_tell(cs_task *task);
bool mux__roll_shuts(mux_conn *conn); /* all is said: it waits for its peer to hang up */
void mux__roll_stop(mux_conn *conn);

/* ---- wire.c: connections that are none of HTTP/2 ---------------------------------------------- */

bool mux__wire_may_come(const mux_conn *conn); /* on this connection, which stands */
/* Bytes that came first: CS_OK, they may be HTTP/2's, and are for nghttp2; CS_DONE: it is a wire now, and has
 * them; CS_EPROTO: HTTP/2, which TLS did not agree on; CS_ENOMEM. */
cs_err mux__wire_sniff(mux_conn *conn, const uint8_t *bytes, size_t len);
bool mux__is_token(uint8_t c);                   /* RFC 9110, 5.6.2 */
void mux__wire_over(mux_wire *wire, cs_err why); /* its connection is lost */
void mux__wire_roll(mux_wire *wire);

/* ---- Streams ------------------------------------------------------------------------------- */

/* What few streams have. */
struct mux__extra {
    struct mux_peer *peer; /* who it is that called from another loop, or whom it is for; or NULL */
    struct mux__meta *headers, *trailers, *own_headers, *own_trailers;
    cs_timer *deadline;
    int64_t deadline_ms;
    uint32_t listed; /* what `headers` count for */
    char *story;     /* what end() is told, or what our status says */
};

/* It outlives its HTTP/2 stream.  Behind it lies what its user has: lasting.c. */
struct mux__lasting {
    const struct mux_lasting_sort *sort;
    struct mux__extra *extra;
    union {
        uint64_t room;  /* behind it, before it lasts */
        uint64_t first; /* number of the first message it sends; or, once it keeps one, */
        struct mux_keep *keep;
    } of;
    cs_err why; /* it is detached; to be told */
    bool tell : 1;
    bool ended : 1;  /* our last word was said, and its owner told: end() */
    bool ran : 1;    /* a client's: on some stream it may have been processed */
    bool keeps : 1;  /* what it sends, */
    bool made : 1;   /* and there is something to keep it in */
    bool points : 1; /* behind it is a pointer to what its user has */
    bool stays : 1;  /* when it is over its memory stays until it is forgotten */
    bool gone : 1;   /* it is over, and only its memory is there */
};

/* What it has as soon as something arrives on it. */
struct mux__inflow {
    struct mux_rx rx;
    mux_stream *stream;
    uint32_t half;                 /* of rx.bytes: counted, because a message is not whole */
    struct mux__counting counting; /* of a lasting one */
    uint32_t credit_due;           /* taken, and not told to nghttp2 yet */
    uint32_t credited;             /* taken since the window was made so, at */
    uint32_t window_at_ms;
};

/* What belongs to the HTTP/2 stream and not to the call: a lasting one leaves it behind, or takes another's. */
#define MUX__WIRE                                                                                  \
    struct mux_rx *rx; /* of a struct mux__inflow; NULL before the first byte */                   \
    int32_t id;                                                                                    \
    uint32_t window;      /* towards us, what it has been made */                                  \
    uint32_t born_ms;     /* or when DATA went out; modulo 2^32: only differences are looked at */ \
    uint16_t reserved;    /* bytes nghttp2 was told of and has not asked for yet: a DATA frame */  \
    uint16_t http_status; /* the answer's, when it is not 200; a plain one's, once it was said */  \
    uint8_t peer_status;  /* the trailers': grpc-status */                                         \
    bool submitted : 1;   /* nghttp2 knows our HEADERS */                                          \
    bool trailers_out : 1; /* submitted */                                                         \
    bool sent_any : 1;                                                                             \
    bool remote_headers : 1;                                                                       \
    bool remote_done : 1; /* END_STREAM came */                                                    \
    bool has_status : 1;  /* trailers had grpc-status */                                           \
    bool bare : 1;        /* client: the answer was a status alone */                              \
    bool request_out : 1; /* client: our HEADERS are on their way */                               \
    bool refused : 1;     /* client: the peer said that it did not process the call */             \
    bool dry : 1;         /* recv() said CS_AGAIN and nothing came since */                        \
    bool mute : 1;        /* server: has said nothing, and nghttp2 will not ask again: h2_out.c */ \
    bool gzip_in : 1;     /* the peer's messages may be compressed */                              \
    bool gzip_out : 1;    /* ours may */
struct mux__wire {
    MUX__WIRE
};

struct mux_stream {         /* 100,000 of them may be open and idle: small things are small */
    struct cs_link link_in; /* of the connection's streams */
    mux_conn *conn;
    const struct mux_stream_ops *ops;
    void *state;
    cs_task call; /* to say what happened */
    struct mux__sendq out;
    union {
        struct {
            MUX__WIRE
        };
        struct mux__wire wire; /* all of it */
    };
    union {
        struct mux__extra *extra;     /* or NULL; unless it */
        struct mux__lasting *lasting; /* lasts, and the extra is there */
    } more;
    union {
        const char *method;           /* a client's */
        struct mux__handler *handler; /* a server's */
    } what;
    uint32_t send_max;
    uint32_t ahead; /* mux_stream_hold() */
    cs_err why : 8;
    cs_err status : 7; /* ours (server), once finished: below 128 */
    bool is_server : 1;
    bool accepted : 1;
    bool no_memory : 1;  /* to be accepted */
    bool owns_state : 1; /* it is a copy */
    bool acceptable : 1; /* on_headers: wants to be accepted */
    bool told : 1;       /* call: readable */
    bool in_pull : 1;
    bool writable_due : 1; /* send said CS_AGAIN */
    bool awake : 1;        /* pull has something, as far as we know */
    bool finished : 1;     /* our last word was said */
    bool aborted : 1;      /* ... and overtakes what is queued */
    bool over : 1;         /* nothing more happens on the wire; end() comes */
    bool drop_rx : 1;      /* what was not taken is given up */
    bool hears_out : 1;    /* server: not because the call is over */
    bool broken : 1;       /* recv() failed: the framing */
    bool is_post : 1;      /* what a request must be: POST, application/grpc, ... */
    bool is_grpc : 1;
    bool has_timeout : 1;
    bool bad_timeout : 1;
    bool bad_coding : 1;
    bool plain : 1;       /* server: plain.c */
    bool framed : 1;      /* and it came from another loop: its pieces are messages */
    bool passes : 1;      /* client: pass.c; readable() also says that it is over */
    bool impatient : 1;   /* a refusal has waited long enough for the rest of its request */
    bool big_headers : 1; /* over a limit of limits.h; the rest was passed over */
    bool has_room : 1;    /* for its struct mux__lasting, behind it: lasting.c */
    bool waits : 1;       /* client: for a connection */
    bool patient : 1;     /* client: wait_for_ready */
    bool lasts : 1;       /* lasting.c; and of such a stream: */
    bool cut : 1;         /* nothing carries it now */
    bool resends : 1;  /* client: what it kept is to be sent first, when the peer said from where */
    bool wake_due : 1; /* woken within a pull that had nothing: asked again in the next turn */
    bool longed : 1;   /* since the window was made so: something came when all had been taken */
    uint16_t step;     /* the last message's bytes, if it was small */
};

/* In zeroed memory; CS_ENOMEM. */
cs_err mux__stream_begin(mux_stream *stream, mux_conn *conn, const struct mux_stream_ops *ops,
                         void *state);
mux_stream *mux__stream_new(mux_conn *conn, const struct mux_stream_ops *ops, void *state);
cs_err mux__stream_options(mux_stream *stream, const struct mux_call_options *options);
void mux__stream_free(mux_stream *stream); /* without a word */
/* Its story, instead of the one so far; best effort. */
void mux__stream_tell(mux_stream *stream, const char *format, ...) CS_PRINTF(2, 3);
void mux__stream_over(mux_stream *stream, cs_err why, const char *story);
/* The wire is done with it, and nobody said so: over, unless it is lasting. */
void mux__stream_broken(mux_stream *stream, cs_err why, const char *story);
void mux__stream_sent(mux_stream *stream);     /* there is something to send */
void mux__stream_has_room(mux_stream *stream); /* for more of it */
void mux__stream_post(mux_stream *stream);     /* its call task */
cs_err mux__stream_reason(mux_stream *stream, enum wire_reason reason); /* the trailer */
/* The framework ends it: at once, with this reason, on the wire and here. */
void mux__stream_kill(mux_stream *stream, enum wire_reason reason);
struct mux__extra *mux__stream_extra(mux_stream *stream); /* NULL: no memory */
static inline struct mux__lasting *mux__lasting_of(const mux_stream *stream)
{
    return stream->lasts ? stream->more.lasting : NULL;
}
static inline struct mux__extra *mux__extra_of(const mux_stream *stream) /* or NULL */
{
    return stream->lasts ? stream->more.lasting->extra : stream->more.extra;
}
static inline char *mux__story_of(const mux_stream *stream) /* or NULL */
{
    return mux__extra_of(stream) ? mux__extra_of(stream)->story : NULL;
}
cs_err mux__stream_set_deadline(mux_stream *stream, int64_t ms);
static inline struct mux__inflow *mux__inflow_of(const mux_stream *stream) /* or NULL */
{
    return stream->rx ? CS_CONTAINER(stream->rx, struct mux__inflow, rx) : NULL;
}
void mux__inflow_restart(mux_stream *stream); /* what carries it is new */
void mux__inflow_free(mux_stream *stream);
struct mux_rx *mux__stream_rx(mux_stream *stream); /* made when it is not there; NULL: no memory */

/* What nghttp2 says. */
mux_stream *mux__stream_on_begin(mux_conn *conn, int32_t id);
cs_err mux__stream_on_header(mux_stream *stream, cs_bytes name, cs_bytes value);
void mux__stream_on_headers(mux_stream *stream, bool last); /* last: no DATA, no trailers come */
void mux__stream_on_data(mux_stream *stream, const uint8_t *bytes, size_t len);
void mux__stream_on_remote_end(mux_stream *stream);
void mux__stream_on_close(mux_stream *stream, uint32_t h2_error);

/* What nghttp2 asks: how many bytes go in the next DATA, 0: none now.  *end: and then our half is
 * over. */
size_t mux__stream_fill(mux_stream *stream, size_t max, bool *end);

/* ---- lasting.c: calls that outlive their streams --------------------------------------------- */

mux_stream *mux__lasting_new(mux_conn *conn); /* a server's, with room for it to last; or NULL */
void mux__lasting_free(mux_stream *stream);   /* or, of one that stays, all but its memory */
void mux__keep_promise(mux_stream *from, mux_stream *to); /* what nghttp2 was promised; keep.c */
cs_err mux__message_queue(mux_stream *stream, cs_bytes message); /* behind nothing, and not kept */
void mux__lasting_tell(mux_stream *stream); /* detached(); or end(), when all is said */
/* They arrived; false: no memory. */
bool mux__lasting_count(mux_stream *stream, const uint8_t *bytes, size_t len);
cs_err mux__lasting_keeps(mux_stream *stream);           /* it is about to send; CS_ENOMEM */
bool mux__lasting_again(mux_stream *stream, cs_err why); /* the last word was none of the call's */
bool mux__lasting_ran(const mux_stream *stream);         /* perhaps, on an earlier stream */

/* ---- held.c: what a peer makes us hold --------------------------------------------------------- */

void mux__held_begin(mux_conn *conn);                  /* its HTTP/2 is new */
bool mux__held_is_full(const mux_conn *conn);          /* it gets no more streams */
void mux__held_list(mux_stream *stream, size_t bytes); /* of its request, beside what it has */
void mux__held_list_gone(mux_stream *stream);
bool mux__held_half(
    mux_stream *stream); /* what is there is no message yet; false: it is too much */
void mux__held_half_gone(mux_stream *stream);
void mux__held_room(
    mux_conn *conn); /* messages that waited for room hear of it, if there is more */
/* The peer leaves more answers unread than this share of what it may. */
bool mux__held_unread(const mux_conn *conn, int share);
void mux__held_move(mux_stream *stream, mux_conn *to);

/* ---- call.c: gRPC's spelling --------------------------------------------------------------- */

cs_err mux__call_request_header(mux_stream *stream, cs_bytes name, cs_bytes value);
cs_err mux__call_answer_header(mux_stream *stream, cs_bytes name, cs_bytes value);
void mux__call_request_ready(mux_stream *stream); /* accept, or answer what is wrong with it */
bool mux__call_waits(mux_stream *stream);         /* with that, for the end of the request */
void mux__call_answer_begins(mux_stream *stream, bool last); /* client: all headers are there */
void mux__call_ended(mux_stream *stream); /* client: from trailers to why and story */
void mux__call_reset(mux_stream *stream, uint32_t h2_error);
cs_err mux__call_request(mux_stream *stream); /* submits; CS_AGAIN: as mux__h2_request() */
void mux__call_answer(mux_stream *stream);    /* submits the HEADERS, Trailers-Only if it is over */
void mux__call_trailers(mux_stream *stream);  /* submits the status */

/* ---- plain.c: requests that are not gRPC's ----------------------------------------------------- */

static inline bool mux__is_raw(const mux_stream *stream) /* no messages are on the wire */
{
    return stream->plain && !stream->framed;
}
/* Of one between loops: what it would say of its head, as metadata, and back.  Not what that is: CS_ENOENT. */
cs_err mux__plain_wrap(mux_stream *stream, cs_bytes name, cs_bytes value);
cs_err mux__plain_unwrap(mux_stream *near, const cs_pair *pair);
cs_err mux__plain_note(mux_stream *stream, cs_bytes name,
                       cs_bytes value);     /* of its head; CS_ENOMEM */
extern const char mux__plain_method[];      /* what a plain one is between loops */
void mux__plain_begin(mux_stream *stream);  /* the head is here: is it one? */
void mux__plain_answer(mux_stream *stream); /* as mux__call_answer() */
void mux__plain_trailers(mux_stream *stream);
static inline bool mux__plain_failed(const mux_stream *stream) /* we did; NULL is fine */
{
    return stream && mux__is_raw(stream) && stream->aborted;
}
bool mux__plain_ends(mux_stream *stream); /* with what DATA goes out now; and so it does */
bool mux__plain_field_ok(cs_bytes name, cs_bytes value);

/* ---- pass.c: calls from another loop ---------------------------------------------------------- */

/* Its first message says who called, and with which metadata: is it still to come? */
bool mux__pass_waits(mux_stream *stream);
/* A status that overtakes what was sent says so to who passes it on. */
void mux__pass_cut(const mux_stream *stream, struct mux__fields *fields);

/* ---- behalf.c: calls for somebody else -------------------------------------------------------- */

/* Of a request: it is his from now on.  CS_ENOMEM. */
cs_err mux__behalf_take(mux_stream *stream);
/* Bytes behind their length, and `*to` or `*at` moves on. */
size_t mux__packed_len(cs_bytes b);
void mux__pack(uint8_t **to, cs_bytes b);
cs_bytes mux__unpack(const uint8_t **at);

/* ---- h2*.c: nghttp2 ------------------------------------------------------------------------ */

cs_err mux__h2_new(mux_conn *conn);
void mux__h2_free(mux_conn *conn);
cs_err mux__h2_feed(mux_conn *conn, const uint8_t *bytes, size_t len); /* CS_EPROTO, CS_ENOMEM */
cs_err mux__h2_fill(mux_conn *conn); /* the output's batch: until it is full or all is said */
bool mux__h2_is_over(const mux_conn *conn);  /* wants neither to read nor to write */
bool mux__h2_has_more(const mux_conn *conn); /* wants to write */
/* What nghttp2 holds to be written, but for DATA and its own streams; about. */
int64_t mux__h2_waiting(const mux_conn *conn);
void mux__h2_ping(mux_conn *conn);
void mux__h2_goodbye(mux_conn *conn);                 /* GOAWAY */
void mux__h2_breach(mux_conn *conn, uint32_t error);  /* GOAWAY, by nghttp2's own way */
void mux__h2_enough(mux_conn *conn, const char *why); /* GOAWAY ENHANCE_YOUR_CALM */
void mux__h2_notice(mux_conn *conn);   /* GOAWAY that leaves nothing out, and a PING behind it */
uint32_t mux__h2_last(mux_conn *conn); /* GOAWAY behind the last stream that came: its id */

uint32_t mux__h2_streams_max(const mux_conn *conn); /* that the peer allows us */
/* CS_AGAIN: the connection's ids are used up. */
cs_err mux__h2_request(mux_stream *stream, const struct mux__field *fields, size_t n);
cs_err mux__h2_answer(mux_stream *stream, const struct mux__field *fields, size_t n, bool end);
cs_err mux__h2_trailers(mux_stream *stream, const struct mux__field *fields, size_t n);
void mux__h2_resume(mux_stream *stream);
bool mux__h2_said_all(const mux_stream *stream);         /* our END_STREAM went out */
void mux__h2_reset(mux_stream *stream, bool refused);    /* CANCEL, or REFUSED_STREAM */
void mux__h2_fail(mux_stream *stream);                   /* INTERNAL_ERROR */
void mux__h2_detach(mux_stream *stream);                 /* nghttp2 forgets the object */
void mux__h2_attach(mux_stream *stream, mux_conn *conn); /* and knows it by its id from now on */
void mux__h2_credit(mux_stream *stream, size_t n);
void mux__h2_grow(mux_stream *stream, int64_t window);
int64_t mux__h2_send_window(const mux_stream *stream);
int64_t mux__h2_conn_window(const mux_conn *conn); /* the same of all its streams together */

#endif
