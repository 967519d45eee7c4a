/* server__in -- what the files of the server share.  Private to chanserv.
 *
 *   server ─┬─ services          by name
 *           ├─ posts ── post ─┬─ queue     outlets whose announcement is not yet said
 *           │                 ├─ waiting   said, and nobody has opened them
 *           │                 └─ open      each with a stream of its own
 *           ├─ tickets           index -> outlet, and the dead
 *           ├─ accept            all waiting outlets in order of being said
 *           └─ gos               threads of chanserv_go
 *
 * An outlet is on its way through four lives: QUEUED, WAITING, OPEN, OVER; only forward, and any
 * of them may be left out.  A post is over when its stream is; its record stays until its last
 * outlet is gone.
 */
#ifndef CHANSERV_SERVER_IN_H
#define CHANSERV_SERVER_IN_H

#include "base/map.h"
#include "base/mem.h"
#include "base/trace.h"
#include "base/turn.h"
#include "chanserv/server.h"
#include "chanserv/stat.h"
#include "chanserv/whole__in.h"
#include "mux/keep.h"
#include "mux/lasting.h"
#include "mux/stats.h"
#include "proto/status.h"
#include "proto/wire.h"

/* ---- For the client half (chanserv_join_local) --------------------------------------------- */

mux_handlers *chanserv__server_handlers(struct chanserv_server *server);
const struct mux_options *chanserv__server_net(struct chanserv_server *server);

/* ---- Why an outlet ended: the finer word ---------------------------------------------------- */

#define CHANSERV__REASONS(X)                                                                       \
    X(NONE, "")                                                                                    \
    X(FINISHED, "done")                                                                            \
    X(LEFT, "client-left")                                                                         \
    X(POST_CANCELLED, "post-cancelled")                                                            \
    X(ACCEPT_TIMEOUT, "accept-timeout")                                                            \
    X(DEADLINE, "deadline")                                                                        \
    X(STALLED, "stalled")                                                                          \
    X(SHUTDOWN, "shutdown")                                                                        \
    X(SKIPPED, "skipped")                                                                          \
    X(CANCELLED, "cancelled")                                                                      \
    X(LOST, "lost")                                                                                \
    X(FAILED, "failed")
enum chanserv__reason {
#define X(name, token) CHANSERV__##name,
    CHANSERV__REASONS(X)
#undef X
};

/* ---- Outlets --------------------------------------------------------------------------------- */

enum chanserv__life { CHANSERV__QUEUED, CHANSERV__WAITING, CHANSERV__OPEN, CHANSERV__OVER };

enum {
    CHANSERV__HELD = 1, /* `held` is a frame, or what is left of one */
    CHANSERV__GAP = 2,  /* `gap` numbers were left out behind what is held */
    CHANSERV__LAST = 4, /* `status` is the last word, behind both */
    CHANSERV__PENDING = CHANSERV__HELD | CHANSERV__GAP | CHANSERV__LAST,
    CHANSERV__SAID = 8,      /* the last word was given to the stream, which now only has to end */
    CHANSERV__CUT = 16,      /* the same, and it overtook the frames */
    CHANSERV__ASKED = 32,    /* open() was called, ahead of anybody's opening */
    CHANSERV__GIVEN = 64,    /* a frame was given */
    CHANSERV__OPENING = 128, /* open() is on the stack */
    CHANSERV__ASLEEP = 256,  /* the producer said CS_AGAIN and was not woken */
    CHANSERV__BRIEF = 512    /* QUEUED: the header lies in `u.brief` */
};

struct chanserv__owner;
struct chanserv__outlet_times; /* outlet_times.c; only when an option asks for it */

/* What few of them need. */
struct chanserv__outlet_more {
    cs_ref held;  /* see CHANSERV__HELD; block NULL: the producer's */
    uint64_t gap; /* numbers that were left out: see CHANSERV__GAP */
    uint8_t gap_why;
    cs_chan *chan; /* poured: frames come from here */
    char *message; /* chanserv_outlet_fail() */
    struct chanserv__outlet_times *times;
};

/* There may be a million of these: what is not needed at the same time shares its place. */
struct chanserv_outlet {
    const struct chanserv_outlet_ops *ops;
    chanserv_post *post;
    struct cs_link link; /* of one of its post's lists, until OVER */
    union {
        cs_ref header; /* QUEUED only; or, when BRIEF, */
        struct {
            uint8_t len, bytes[23];
        } brief;
        struct {
            struct cs_link link; /* of server->accept */
            int64_t since_us;
        } accept; /* WAITING only */
        struct {
            struct chanserv__uplink *up;       /* opened by Talk; or NULL */
            struct chanserv__channel *channel; /* of a session; or NULL */
            mux_stream *stream;
        } open;       /* OPEN only */
        cs_task task; /* OVER only: end(), then its memory */
    } u;
    uint64_t index; /* the public part of its ticket; 0: none yet */
    uint8_t secret[16];
    uint64_t next;                      /* the number of the next message that is sent */
    struct chanserv__outlet_more *more; /* or NULL */
    cs_err status;                      /* the last word; OVER: what end() is told */
    uint32_t seq;                       /* its place in the post, for traces */
    uint16_t flags;
    uint8_t life, reason, framework; /* framework: enum wire_reason of `status` */
    uint8_t born[3];                 /* when, in quarters of a second, modulo 2^24: see stat.c */
    /* The state of ops->state_bytes bytes follows, or the pointer to it. */
};

static inline void *chanserv__outlet_state(const chanserv_outlet *outlet)
{
    /* The const is the caller's promise about the outlet, not about the user's state in it. */
    void *extra = cs_extra((void *)(uintptr_t)outlet, sizeof *outlet);
    return outlet->ops->state_bytes ? extra : *(void **)extra;
}

static inline cs_bytes chanserv__outlet_header(const chanserv_outlet *outlet) /* QUEUED only */
{
    return outlet->flags & CHANSERV__BRIEF ? cs_bytes_of(outlet->u.brief.bytes, outlet->u.brief.len)
                                           : outlet->u.header.bytes;
}

static inline const char *chanserv__outlet_message(const chanserv_outlet *outlet) /* or NULL */
{
    return outlet->more ? outlet->more->message : NULL;
}
/* Makes it when it is not there; NULL: no memory. */
struct chanserv__outlet_more *chanserv__outlet_more(chanserv_outlet *outlet);

/* Makes it, QUEUED but in no list yet; `chanserv__outlet_discard` is for one that stays so. */
cs_err chanserv__outlet_new(chanserv_post *post, cs_bytes header,
                            const struct chanserv_outlet_ops *ops, const void *state,
                            chanserv_outlet **ret);
void chanserv__outlet_discard(chanserv_outlet *outlet);

/* The producer's answer; a frame with block NULL is still the producer's. */
cs_err chanserv__outlet_ask(chanserv_outlet *outlet, cs_ref *frame);
cs_err chanserv__outlet_call_open(chanserv_outlet *outlet, uint64_t from);
bool chanserv__outlet_too_large(chanserv_outlet *outlet, const cs_ref *frame); /* then it failed */
void chanserv__outlet_last(chanserv_outlet *outlet, cs_err status);
/* The frame is the next to go, and is taken, also with CS_ENOMEM. */
cs_err chanserv__outlet_hold(chanserv_outlet *outlet, cs_ref *frame);

/* A status of the framework's: an open one overtakes its frames, any other ends here and now. */
void chanserv__outlet_cut(chanserv_outlet *outlet, enum wire_reason framework, cs_err why,
                          enum chanserv__reason reason);
/* It is over: out of all lists, its ticket dead; end() comes in the CALL phase. */
void chanserv__outlet_over(chanserv_outlet *outlet, cs_err why, enum chanserv__reason reason);

/* Of a stream that was handed over to it. */
void chanserv__outlet_pull(mux_stream *stream, void *outlet);
void chanserv__outlet_stream_end(mux_stream *stream, cs_err why, void *outlet);

cs_err chanserv__times_new(chanserv_outlet *outlet); /* starts serving_timeout_ms */
void chanserv__times_free(chanserv_outlet *outlet);
void chanserv__times_before_pull(chanserv_outlet *outlet);
void chanserv__times_after_pull(chanserv_outlet *outlet);

/* ---- Uplinks: what the reader says; uplink.c ------------------------------------------------- */

struct chanserv__uplink {
    chanserv_outlet *outlet;
    struct cs_link ack; /* of its session's acks */
    struct chanserv__whole *whole;
    uint64_t number;   /* of the next message */
    uint64_t seq, gap; /* of the frame last received */
    uint64_t gap_run;  /* to be told with the next */
    bool done;         /* its last word was received */
    bool armed;        /* readable() may be called */
};

void chanserv__uplink_free(chanserv_outlet *outlet); /* OPEN only */
void chanserv__uplink_readable(chanserv_outlet *outlet);

/* ---- Posts ----------------------------------------------------------------------------------- */

struct chanserv_post {
    chanserv_server *server;
    struct chanserv__owner *owner;     /* with whose others it is counted */
    mux_stream *stream;                /* NULL: over */
    struct chanserv__channel *channel; /* of a session; or NULL */
    int linger_ms;                     /* with a session: how long it waits for its client */
    const struct chanserv_post_ops *ops;
    void *state, *state_block; /* state_block: ours to free */
    struct cs_link link;       /* of server->posts */
    struct cs_list queue, waiting, open;
    struct cs_map *skippable; /* those in waiting, by seq; or NULL: none was skipped so far */
    size_t outlets;           /* whose memory is still there */
    size_t unopened;          /* in queue and waiting */
    size_t queue_bytes;       /* of the announcements in queue */
    uint64_t seq;             /* of the next announcement */
    cs_task task;             /* next(); when over: end(), then its memory */
    cs_timer *serving, *sourcing;
    cs_err status, why;         /* what it ended with; what closed() and end() are told */
    cs_err lost;                /* an announcement that failed: nothing is lost in silence */
    cs_err cut;                 /* the framework ended it */
    enum wire_reason framework; /* of `status` */
    bool in_function, kept, hungry, closing, said, gone;
    bool full;    /* an announcement was told to wait: all are, until there is room */
    bool refused; /* and none was taken since */
    uint32_t inline_bytes;
    uint64_t connection; /* the number of the one that carries it, or did */
    uint64_t number;     /* on this loop, from 1 */
    int64_t since_us;
    char *message;
    char *request; /* what the body is a view into, */
    cs_ref shared; /* or, once somebody has a reference to it, our own */
    cs_bytes service, bucket, body;
    cs_pair *metadata;
    size_t metadata_len;
    struct mux_peer peer;
};

void chanserv__post_accept(mux_stream *stream, void *user);
chanserv_post *chanserv__post_new(chanserv_server *server, mux_stream *stream,
                                  const struct wire_post *asked,
                                  struct chanserv__owner *owner); /* NULL: no memory */
void chanserv__post_count(chanserv_post *post, int by);           /* 1: it runs; -1: no more */
void chanserv__post_free(chanserv_post *post);
void chanserv__post_run(cs_task *task); /* asks next() */
void chanserv__post_body_free(chanserv_post *post);
void chanserv__post_stream_end(mux_stream *stream, cs_err why, void *state);
/* A status of the framework's, at once. */
void chanserv__post_cut(chanserv_post *post, enum wire_reason framework, cs_err why);
void chanserv__post_end_unopened(chanserv_post *post, cs_err why, enum chanserv__reason reason);
void chanserv__post_room(chanserv_post *post);        /* perhaps there is room again */
void chanserv__post_outlet_gone(chanserv_post *post); /* an outlet's memory is gone */
void chanserv__announce_pull(mux_stream *stream, void *state);
void chanserv__announce_queue(chanserv_outlet *outlet);
cs_err chanserv__announce_check(chanserv_post *post, cs_bytes header);
cs_err chanserv__announce_lost(chanserv_post *post, cs_err err); /* remembers, and answers err */

/* ---- Calls: what all our streams have in common ---------------------------------------------- */

struct chanserv__call { /* the state of a mux stream */
    chanserv_server *server;
    void *object;  /* the post or session that it is the stream of */
    char *request; /* the one message, until it is used */
    size_t request_len;
    bool heard; /* the request is complete, or refused */
};

/* The checks of an Open or Talk, and the claim; NULL: refused.  The stream is the outlet's from then on:
 * it is to be handed over to it. */
chanserv_outlet *chanserv__open_claim(mux_stream *stream, chanserv_server *server,
                                      const struct wire_open *asked, bool talks);

/* Reads the one message and the half-close behind it: CS_OK exactly once, when both are there;
 * anything else: nothing to do now.  What is not such a request has then been refused. */
cs_err chanserv__call_read(mux_stream *stream, struct chanserv__call *call);
/* The same of a stream that was heard to its end, without a copy: `*ret` is valid until the stream is asked
 * for more. */
cs_err chanserv__call_whole(mux_stream *stream, chanserv_server *server, cs_bytes *ret);
void chanserv__call_clear(struct chanserv__call *call);
void chanserv__call_unopened(mux_stream *stream, cs_err why,
                             void *call); /* end() of one that claimed none */

/* A status of the framework's: with the trailer that says so.  `message` NULL: the usual words. */
void chanserv__refuse(mux_stream *stream, enum wire_reason reason, const char *message);
void chanserv__abort(mux_stream *stream, enum wire_reason reason);
enum wire_reason chanserv__reason_of(cs_err err); /* of a failure that we made */
/* Why a stream ended that had not said its last word. */
cs_err chanserv__why_of(cs_err mux_why, enum chanserv__reason *ret);

/* Asks the hook; `why`, of CHANSERV_WHY_MAX bytes, gets its words, perhaps "". */
cs_err chanserv__authorise(chanserv_server *server, enum chanserv_verb verb, cs_bytes service,
                           mux_stream *stream, char *why);
/* Refuses, for the hook said `err`, and counts it. */
void chanserv__deny(chanserv_server *server, mux_stream *stream, cs_err err, const char *why);

void chanserv__open_accept(mux_stream *stream, void *user);
void chanserv__talk_accept(mux_stream *stream, void *user);
void chanserv__services_accept(mux_stream *stream, void *user);
void chanserv__services_changed(chanserv_server *server);
void chanserv__services_shut(chanserv_server *server);

/* ---- Tickets --------------------------------------------------------------------------------- */

enum { CHANSERV__TICKET = 32, CHANSERV__DEAD_MAX = 65536, CHANSERV__POOL = 512 };

struct chanserv__tickets {
    struct chanserv__place *places; /* of those that live, claimed ones included */
    size_t places_cap, live;
    size_t free;    /* first place that is free, or places_cap */
    uint64_t *dead; /* by index: index << 8 | what an Open is told, a cs_err; 0: free; never NULL */
    size_t dead_cap;
    uint64_t last; /* count given last */
    uint8_t pool[CHANSERV__POOL];
    size_t pool_left;
};

cs_err chanserv__ticket_issue(chanserv_server *server, chanserv_outlet *outlet);
void chanserv__ticket_put(const chanserv_outlet *outlet, uint8_t *to);
/* The outlet behind it, claimed or not; NULL: *ret_why is what to answer: WIRE_NO_REASON and
 * *ret_err for an application's own status. */
chanserv_outlet *chanserv__ticket_find(chanserv_server *server, cs_bytes ticket,
                                       enum wire_reason *ret_why, cs_err *ret_err);
void chanserv__ticket_die(chanserv_server *server, chanserv_outlet *outlet, cs_err told);
cs_err chanserv__tickets_init(struct chanserv__tickets *tickets); /* CS_ENOMEM */
void chanserv__tickets_fini(struct chanserv__tickets *tickets);

void chanserv__accept_wait(chanserv_outlet *outlet); /* from now on, until it leaves WAITING */
void chanserv__accept_due(void *server);             /* the timer's */

/* ---- The server ------------------------------------------------------------------------------ */

struct chanserv__service {
    chanserv_source_fn *fn;
    void *user;
    bool parallel; /* runs on the loop of the connection */
    size_t name_len;
    char name[]; /* the key of its entry */
};

struct chanserv__raw { /* a method of the server's own */
    chanserv_server *server;
    mux_accept_fn *accept;
    void *user;
    struct chanserv__raw *next; /* of server->raws */
    char method[];
};
void chanserv__raws_free(chanserv_server *server);

enum chanserv__stage { CHANSERV__SERVES, CHANSERV__DRAINS, CHANSERV__ENDS, CHANSERV__DRAINED };

struct chanserv__drain { /* drain.c */
    cs_timer *timer;
    enum chanserv__stage stage;
    int64_t since_ms;
    uint64_t before;         /* connections up to this number were there when it began */
    int64_t half_ms, end_ms; /* ENDS: of the last words */
    bool told, shut;         /* that it began; nobody listens any more */
};
void chanserv__drain_look(void *server);              /* the timer's */
bool chanserv__drain_signal(chanserv_server *server); /* run() shall go on */

struct chanserv__counted { /* all that is counted */
    struct chanserv_counters counters;
    struct chanserv_histograms histograms;
};

struct chanserv__loops; /* loops__in.h */
struct chanserv__at {   /* one loop of several */
    size_t number;      /* 0: the first, and the only one */
    mux_conn **ways;    /* to the others; NULL: not needed so far */
    cs_timer *stays;    /* so that its thread has something to wait for */
    cs_knock knock;
    atomic_uint errands;
    atomic_int grace_ms;
    /* While it drains; see chanserv__loops_held() and so on. */
    atomic_size_t held;
    atomic_bool shut, over;
    struct chanserv__counted counted; /* loops->lock; at the question */
    uint64_t counted_at;
    struct cs_buf stat; /* as those: see stat.c */
    uint64_t stat_left;
};

/* What runs, on all loops together.  Each looks before it takes, so together they may pass a limit by as many as
 * there are loops. */
struct chanserv__totals {
    atomic_llong posts, sessions, lingering, channels;
    atomic_llong outlets;    /* announced or open */
    atomic_llong assembling; /* bytes of readers' frames being put together */
};
static inline bool chanserv__total_is(const atomic_llong *total, int64_t limit)
{
    return atomic_load_explicit(total, memory_order_relaxed) >= limit;
}

struct chanserv_server {
    cs_loop *loop;
    struct chanserv__loops *loops; /* NULL: it has one */
    struct chanserv__at at;
    struct chanserv_server_options options; /* resolved: no zeros, no CS_OFF */
    struct mux_tls *tls;                    /* a copy, what options.net.tls points at; or NULL */
    uint8_t instance[8];
    char instance_hex[17];
    char *suffix; /* ".a.b" of the name space, or NULL; suffix_len bytes */
    size_t suffix_len;
    char *node; /* NULL: not given */
    mux_handlers *handlers;
    mux_port **ports;
    size_t ports_len;
    struct cs_names services;
    struct cs_list posts, accept, watchers, gos, looks;
    struct cs_map sessions;          /* by the public part of their names */
    struct chanserv__session *found; /* of them, by whoever asked last; or NULL */
    struct cs_names owners;          /* of sessions */
    struct cs_list attached, lingering;
    struct mux_keep_total kept_attached, kept_lingering;
    mux_conn *limbo; /* where calls of sessions live that have no connection; NULL: no sessions */
    struct mux_lasting_sort lasting;
    struct chanserv__raw *raws;
    cs_timer *accept_timer;
    struct chanserv__tickets tickets;
    struct cs_buf inlined; /* frames that ride in the announcement which is being said */
    size_t calls;          /* streams of ours that have not ended */
    uint64_t posts_made;
    struct chanserv__totals *totals, own_totals; /* those of loop 0 are everybody's */
    struct chanserv_counters counters;
    struct chanserv_histograms histograms;
    struct chanserv_foreign_counters foreign;
    cs_err sticky; /* the first call of setting up that failed */
    char *story;
    cs_task reap;
    struct chanserv__drain drain;
    struct chanserv__memory {
        size_t (*used)(void); /* by the process */
        int64_t there, looked_ms;
        bool looked, is_short;
    } memory;
    bool *gone; /* run()'s: set when our memory goes */
    bool own_loop, ran;
    bool run_ends;    /* run() sees to our end, when it is freed there */
    bool dying;       /* all has been told to end: nothing new */
    bool has_foreign; /* chanserv_server_set_foreign() */
    bool freed;       /* by its owner */
    bool dead;        /* and its listeners are gone */
};
static inline void chanserv__total_add(const chanserv_server *server, atomic_llong *total, int by)
{
    if (server->loops)
        atomic_fetch_add_explicit(total, by, memory_order_relaxed);
    else /* nobody else counts, and it is a good deal cheaper */
        atomic_store_explicit(total, atomic_load_explicit(total, memory_order_relaxed) + by,
                              memory_order_relaxed);
}

/* server_options.c */
/* 0 and CS_OFF are numbers then. */
void chanserv__options_resolve(struct chanserv_server_options *o);
/* Nothing stands where it is reserved. */
bool chanserv__options_are_known(const struct chanserv_server_options *o);
/* Name space and node. */
bool chanserv__options_names_ok(const struct chanserv_server_options *o);

/* stat.c */
void chanserv__stat_born(chanserv_outlet *outlet);
/* What is on this loop, packed behind each other in `at.stat`, for another loop to unpack. */
void chanserv__stat_pack(chanserv_server *server, size_t max);

/* look.c: who wants to know what changes here. */
void chanserv__looks_tell(chanserv_server *server);
void chanserv__looks_fini(chanserv_server *server);

/* What this loop counts. */
void chanserv__counters_here(chanserv_server *server, struct chanserv__counted *ret);
/* memory.c: something begins; is there no room for it? */
bool chanserv__memory_is_short(chanserv_server *server);
int64_t chanserv__memory_there(void); /* the least of machine, control group and RLIMIT_DATA */

/* Every channel ends UNAVAILABLE `draining`, every thread is told. */
void chanserv__server_tell_all(chanserv_server *server);

/* The first call of setting up that fails is what run() answers: remembers, and answers err. */
cs_err chanserv__stick(chanserv_server *server, cs_err err, const char *what, const char *words);
/* Is it a name of ours; and what it is without the name space, of such a one. */
bool chanserv__in_space(const chanserv_server *server, cs_bytes full);
cs_bytes chanserv__short_name(const chanserv_server *server, cs_bytes full);

void chanserv__go_stop(chanserv_server *server); /* cancels every channel */
void chanserv__go_join(chanserv_server *server); /* waits for the threads */

cs_err chanserv__signals_on(cs_loop *loop);
void chanserv__signals_off(cs_loop *loop);
bool chanserv__signals_came(cs_loop *loop); /* one did, since it was asked last */

#endif
