/* client__in -- the inside of the client: what its files share.
 *
 *   client   the lists of what is alive, the budget of frames being put together
 *   node     an address that was joined: a connection, and what it said of its services
 *   line     what a feed and a source have in common: a stream, who listens, how it ended
 *   feed     a line of announcements;  source   a line of frames
 *   request  of a feed, until the source function runs: it may have to go to another node
 *   bond     a session with a node: what its Session streams are about;  tie  a line of it
 *
 * Everything lives on one cs_loop and is guarded by its lock (base/turn.h), which costs nothing
 * unless the client has a thread of its own.  The exception is what the comment of a field calls
 * the consumer's: it is touched without the lock, by the one thread that receives.  "Entered" below
 * means: the caller is between cs_loop_enter() and cs_loop_leave(), or in a callback of the loop.
 */
#ifndef CHANSERV_CLIENT_IN_H
#define CHANSERV_CLIENT_IN_H

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/trace.h"
#include "base/turn.h"
#include "chanserv/client.h"
#include "chanserv/server__in.h"
#include "chanserv/whole__in.h"
#include "mux/lasting.h"
#include "mux/rx.h"
#include "proto/status.h"
#include "proto/wire.h"

#include <stdatomic.h>

struct chanserv_client {
    cs_loop *loop; /* NULL: freed, and the loop was the user's, which may be gone */
    struct chanserv_client_options options; /* with the defaults filled in */
    struct mux_tls *tls;                    /* a copy, what options.net.tls points at; or NULL */
    struct chanserv__pairs *bearer;         /* what the token makes of every call; or NULL */
    char *suffix;                           /* ".a.b" of the name space, or "" */
    struct cs_list feeds, kept, sets;
    struct cs_list nodes;   /* in the order of joining */
    struct cs_list left;    /* nodes that were left, and have something running */
    struct cs_list waiting; /* requests that no node can take now */
    uint64_t node_id;       /* of the last that joined */
    uint64_t turn;          /* of the node that got the last post: the next one's is behind it */
    struct chanserv__lookup *lookup; /* who serves what, once it was asked; or NULL */
    cs_task nodes_task;              /* something about the nodes has changed */
    cs_task task;                    /* the last steps of chanserv_client_free() */
    size_t refs;                     /* the user's, one of each line and set */
    size_t lines;                    /* whose memory is there */
    size_t streams;                  /* of mux, whose end() has not come */
    int64_t message_max;             /* bytes of one message on the wire */
    size_t credit_bytes;     /* taken and not given back, above which a source gives back at once */
    atomic_llong assembling; /* bytes of frames being put together */
    bool shared;             /* the loop is ours and has a thread */
    bool resumes_local;      /* sessions inside the process too: they were asked for */
    bool freed;
};

/* Who is told that a line has something new: a call that waits, or a member of a set. */
struct chanserv__watcher {
    /* `gone`: the line is closed; forget it. */
    void (*tell)(struct chanserv__watcher *watcher, bool gone);
};

struct chanserv__line {
    chanserv_client *client;
    struct cs_link link; /* in client->feeds; of a source feed->sources, feed->told, client->kept */
    cs_task task;        /* CALL: callbacks; REAP: it goes */
    mux_stream *stream;  /* NULL: not opened, or ended */
    struct chanserv__watcher *watcher;
    void *state;
    struct chanserv__tie *tie; /* it outlives its connection; or NULL */
    cs_timer *timer;           /* of silence; NULL unless the option is on */
    char *errmsg;              /* written once, before anybody can see that it failed */
    cs_err status;             /* once `over` */
    atomic_bool dropped; /* cancelled, or failed here: what arrived is not delivered any more */
    bool is_feed;
    bool opened;         /* asked for */
    bool over;           /* nothing more will arrive */
    bool by_us;          /* it ended because the application said so: no failure */
    bool told;           /* the application received the end */
    bool closed;         /* the application let go of it */
    bool started : 1;    /* it has ops, */
    bool owns_state : 1; /* and their state was copied */
    bool ended;          /* ops->end() was called */
    bool armed;          /* ops->readable() may be called */
    bool news;           /* there may be something to receive */
    bool silent : 1;     /* the timer runs */
    bool detached : 1;   /* what carried it broke, */
    bool heard_so : 1;   /* and ops->detached() was called, and ops->attached() not since */
};

/* Metadata, with names and values behind them; shared by those that count. */
struct chanserv__pairs {
    size_t refs, len;
    cs_pair pairs[];
};

enum chanserv__standing {
    CHANSERV__NODE_UNASKED, /* nobody wants to know what it serves */
    CHANSERV__NODE_ASKED,   /* its first answer is to come; or, with a list, its connection broke */
    CHANSERV__NODE_LISTED,
    CHANSERV__NODE_GONE, /* it could not be reached; tried again and again while somebody wants it */
    CHANSERV__NODE_BLIND /* it answers, but does not say what it serves */
};

/* What a node serves, as it said; one block. */
struct chanserv__list {
    cs_bytes node;
    size_t len;
    cs_bytes names[]; /* sorted */
};

struct chanserv__node {
    chanserv_client *client;
    struct cs_link link; /* in client->nodes, or client->left */
    uint64_t id;
    char *addr;                   /* NULL: inside the process */
    const mux_handlers *handlers; /* of the server inside the process; its memory stays */
    mux_conn *conn;               /* NULL: the client is freed */
    size_t refs;                  /* the list's, and of each feed, source and watch */
    enum chanserv__standing standing;
    struct chanserv__list *list; /* NULL: not known */
    uint8_t instance[8];         /* as the list */
    bool draining;               /* as the list: it takes no posts */
    bool hushed;                 /* the watch ends because we end it */
    bool untaken;                /* or because its list could not be taken */
    bool resting;                /* it is not dialed before the timer says so */
    char *words;                 /* why it is gone, or blind; or NULL */
    cs_err why;                  /* it is blind: the failure that its watch ended with */
    mux_stream *watch;
    struct chanserv__bond *bond; /* or NULL */
    int64_t listed_ms;           /* since when this watch speaks */
    cs_timer *again;
    int delay_ms; /* 0: what breaks next is dialed again at once */
};

/* A post until its response HEADERS are here: before them it can be known that it never ran. */
struct chanserv__request {
    struct cs_link link; /* in client->waiting */
    chanserv_feed *feed;
    cs_timer *timer; /* to look again although nothing has changed */
    int64_t since_ms;
    uint8_t *bytes; /* the packed message */
    size_t len;
    uint64_t *tried; /* nodes that refused; one that did three times, or for good, is not asked */
    size_t tried_len;
    int sends;
    cs_err why; /* the refusal that will be told if nobody takes it; CS_OK: none yet */
    char *words;
    cs_bytes name, bucket; /* in `texts`; the name with its name space */
    char texts[];
};

struct chanserv_feed {
    struct chanserv__line line;
    const struct chanserv_feed_ops *ops;
    struct cs_list sources; /* announced and alive */
    struct cs_list told;    /* their end was told: they go when the feed is asked again */
    uint64_t expected;      /* seq of the next announcement */
    uint32_t turn_left;     /* sources it may give before it is the others' turn, once started */
    int64_t deadline_ms;    /* on the loop's clock; CS_FOREVER */
    cs_err failure;         /* the first of the feed or of a source that was read; or CS_OK */
    char *story;            /* of `failure` */
    struct chanserv__node *node;                /* where it was sent; or NULL */
    struct chanserv__request *request;          /* NULL: nothing is left to be sent again */
    struct chanserv__pairs *metadata;           /* of the post and of its Opens; or NULL */
    struct chanserv__origin *origin;            /* of its sources; or NULL */
    struct chanserv__pairs *headers, *trailers; /* kept when the stream ends */
    bool ready;                                 /* the response headers came */
    bool ready_told;                            /* ops->ready() was called */
    char service[];
};

/* Frames that rode in the announcement, in one block with their payloads. */
struct chanserv__inlined {
    size_t at, len;
    struct wire_frame frames[];
};
enum { CHANSERV__TICKET_MAX = 64 };
/* Where sources are opened, and how; shared by those of a feed. */
struct chanserv__origin {
    size_t refs;
    chanserv_feed *feed; /* or NULL */
    struct chanserv__node *node;
    struct chanserv__pairs *metadata; /* or NULL */
    int64_t deadline_ms;              /* or CS_FOREVER */
};
/* What a source has as soon as something comes; the consumer's. */
struct chanserv__intake {
    struct mux_rx rx;
    struct chanserv__inlined *inlined;
    struct chanserv__whole *whole; /* a frame being put together, or handed out */
    uint64_t seq;                  /* of the frame last handed out */
    uint64_t gap;                  /* told with it */
    uint64_t gap_run;              /* to be told with the next */
    uint64_t from;                 /* as chanserv__source_from() */
};
struct chanserv_source { /* 100,000 of them may be open and idle */
    struct chanserv__line line;
    const struct chanserv_source_ops *ops;
    struct chanserv__origin *origin;
    struct chanserv__tie *master; /* its feed's: held until an Open was answered; or NULL */
    struct mux_rx *arrived;       /* the rest of the stream, when all of it has come; or NULL */
    struct chanserv__say *say;    /* what few sends need; or NULL */
    uint32_t header_len;
    uint8_t ticket_len;
    bool uplink;        /* its producer listens: opened by Talk */
    bool kept;          /* its feed let go of it, or it is closed */
    unsigned sends : 4; /* how often it was opened */
    bool anywhere : 1;  /* by a ticket of which nobody knows the node */
    bool spoke : 1;     /* frames were sent: it cannot be opened a second time */
    bool finished : 1;  /* our last word to it was said */
    bool stuck : 1;     /* a send was told CS_AGAIN */
    uint64_t index;
    /* The consumer's: */
    uint64_t number;                 /* of the next message */
    struct chanserv__intake *intake; /* NULL: nothing came yet */
    char texts[];                    /* header, then ticket */
};

/* ---- client.c ------------------------------------------------------------------------------ */

static inline void chanserv__enter(chanserv_client *client)
{
    if (client->loop)
        cs_loop_enter(client->loop);
}
static inline void chanserv__leave(chanserv_client *client)
{
    if (client->loop)
        cs_loop_leave(client->loop);
}
/* The same around a call that may let go of the last thing that keeps the client's memory. */
void chanserv__client_hold(chanserv_client *client);
void chanserv__client_release(chanserv_client *client);
bool chanserv__reserved_ok(const int64_t reserved[8]);

/* ---- node.c, nodes.c: all entered ----------------------------------------------------------- */

/* One more in the client's list; takes `conn`.  `addr` NULL: inside the process. */
cs_err chanserv__node_new(chanserv_client *client, const char *addr, mux_conn *conn,
                          struct chanserv__node **ret);
struct chanserv__node *chanserv__node_hold(struct chanserv__node *node);
void chanserv__node_release(struct chanserv__node *node); /* NULL is fine */
void chanserv__node_leave(struct chanserv__node *node);   /* out of the list; what runs, runs on */
void chanserv__node_cut(struct chanserv__node *node);     /* left, and the client goes */
void chanserv__node_watch(struct chanserv__node *node);   /* asks what it serves, unless it is */
void chanserv__node_unwatch(struct chanserv__node *node);
void chanserv__node_ask_anew(struct chanserv__node *node); /* what it said is not true any more */
void chanserv__node_failed(struct chanserv__node *node, const char *words);
bool chanserv__node_serves(const struct chanserv__node *node, cs_bytes name);
cs_bytes chanserv__node_name(const struct chanserv__node *node);

static inline struct chanserv__node *chanserv__node_of(struct cs_link *link)
{
    return link ? CS_CONTAINER(link, struct chanserv__node, link) : NULL;
}
struct chanserv__node *chanserv__nodes_first(const chanserv_client *client); /* or NULL */
struct chanserv__node *chanserv__nodes_next(const struct chanserv__node *node);
bool chanserv__nodes_one(const chanserv_client *client); /* there is one and no other */
/* Of each it is known what it serves, or that it will not say. */
bool chanserv__nodes_answered(const chanserv_client *client);
struct chanserv__node *chanserv__nodes_by_addr(const chanserv_client *client, const char *addr);
bool chanserv__node_can_take(const struct chanserv__node *node,
                             const struct chanserv__request *request);
/* The same process was joined by another address before. */
bool chanserv__node_is_twin(const struct chanserv__node *node);
/* Whose turn it is to take the request; NULL: nobody's, now. */
struct chanserv__node *chanserv__nodes_pick(chanserv_client *client,
                                            const struct chanserv__request *request);
/* How long until it shall be asked again although nothing has changed; or CS_FOREVER. */
int chanserv__nodes_patience_ms(const chanserv_client *client,
                                const struct chanserv__request *request);
void chanserv__nodes_init(chanserv_client *client);
cs_err chanserv__nodes_add(chanserv_client *client, const char *addr, mux_conn *conn,
                           struct chanserv__node **ret);
/* Soon everybody who waits looks again. */
void chanserv__nodes_changed(chanserv_client *client);
void chanserv__nodes_end(chanserv_client *client);

/* ---- bucket.c -------------------------------------------------------------------------------- */

uint64_t chanserv__bucket_weight(cs_bytes bucket, cs_bytes node);

/* ---- request.c: all entered ------------------------------------------------------------------ */

cs_err chanserv__request_new(chanserv_feed *feed, const char *suffix, cs_bytes body,
                             const struct chanserv_post_options *options);
void chanserv__request_free(chanserv_feed *feed);
cs_err chanserv__request_send(chanserv_feed *feed, struct chanserv__node *node);
/* Sends it to whoever's turn it is, or waits for somebody. A failure has not been told. */
cs_err chanserv__request_go(chanserv_feed *feed);
/* The same for one that waits; a failure ends the feed. */
void chanserv__request_look(struct chanserv__request *request);
/* The stream has ended: it never ran, and goes on somewhere else. */
bool chanserv__request_again(chanserv_feed *feed, mux_stream *stream, cs_err why);
bool chanserv__request_tried(const struct chanserv__request *request, uint64_t node);

/* ---- lookup.c: all entered ------------------------------------------------------------------- */

bool chanserv__lookup_wants(const chanserv_client *client); /* somebody looks */
void chanserv__lookup_changed(chanserv_client *client);
void chanserv__lookup_end(chanserv_client *client);

/* ---- bond.c, bond_call.c, bond_say.c: all entered -------------------------------------------- */

/* A session with the process that a node is (docs/WIRE, Sessions). */
enum chanserv__bond_standing {
    CHANSERV__BOND_NONE,   /* nobody knows of it yet */
    CHANSERV__BOND_ASKED,  /* a Session call is out; with attempt 1 nobody waits for its answer */
    CHANSERV__BOND_STANDS, /* answered */
    CHANSERV__BOND_BROKEN, /* its stream is gone; taken up again, until `give_up` */
    CHANSERV__BOND_OFF     /* the server has no sessions */
};

enum { CHANSERV__DONES = 4096 };

struct chanserv__bond {
    struct chanserv__node *node;
    mux_conn *limbo;
    struct mux_lasting_sort posting, reading, talking;
    mux_stream *stream; /* the Session call; or NULL */
    mux_stream *next;   /* it moves: the call that takes its place once it is answered; or NULL */
    enum chanserv__bond_standing standing;
    uint8_t id[16];
    uint32_t attempt, asked, number; /* asked: the highest attempt so far; number: given last */
    struct cs_list ties;             /* in the order in which they go out again */
    struct cs_map talks;             /* by number, the lines that keep what they send */
    struct cs_list due;              /* of these: have something to acknowledge */
    struct cs_buf out;               /* last words of those that are gone, encoded */
    uint32_t *dones; /* whom they were about: said again on the next stream, in a ring */
    size_t dones_at, dones_len;
    uint64_t acked; /* bytes that had arrived when acknowledgements went out last */
    uint32_t dues;  /* how many have come to be in `due` since */
    cs_task task;   /* something has changed */
    cs_timer *flush, *again, *give_up;
    char *story;                        /* how it broke last; or NULL */
    int64_t rolled_ms;                  /* it had to leave a connection last */
    int delay_ms, linger_ms;            /* linger_ms: the server's; 0: not known */
    int strangers;                      /* broke in a row where nobody ever spoke HTTP/2 */
    bool moved;                         /* something arrived, here or there, since it broke last */
    bool leaves;                        /* the connection of `stream` takes no new calls */
    bool elsewhere;                     /* what is dialed now is another process */
    bool flushes, rests, doomed, freed; /* the first three: their timers run */
};

/* NULL: this node, or this client, has none, or not for a call with this metadata. */
struct chanserv__bond *chanserv__bond_of(struct chanserv__node *node,
                                         const struct chanserv__pairs *metadata);
void chanserv__bond_free(struct chanserv__bond *bond);  /* NULL is fine */
void chanserv__bond_bye(struct chanserv__bond *bond);   /* NULL is fine: the client goes */
void chanserv__bond_begin(struct chanserv__bond *bond); /* makes its call, unless it is made */
/* Makes one, and its call, before anybody needs it: the node is dialed for another reason.  Then the first
 * post need not wait for the answer. */
void chanserv__bond_ahead(struct chanserv__node *node);
void chanserv__bond_changed(struct chanserv__bond *bond);
bool chanserv__bond_carries(const struct chanserv__bond *bond); /* its calls may go out */
/* The server has no sessions, as it seems. */
void chanserv__bond_off(struct chanserv__bond *bond);
void chanserv__bond_stands(struct chanserv__bond *bond); /* it was answered */
/* Attempt 1 failed without an answer, so that none of its ties is out.  After CS_EPEER they wait for
 * another session, but for posts that can go to another node; else they are told. */
void chanserv__bond_unheard(struct chanserv__bond *bond, cs_err why, const char *words);
/* Its stream, or the attempt at one, has failed: it is taken up again after a rest. */
void chanserv__bond_broke(struct chanserv__bond *bond, const char *words);
/* It goes on after the delay of the moment: none the first time, then longer and longer. */
void chanserv__bond_rest(struct chanserv__bond *bond);
/* From now on it has resume_ms, or the linger if that is shorter; once for a break. */
void chanserv__bond_doom(struct chanserv__bond *bond, const char *words);
/* It is over, and so are its ties; `anew` as at chanserv__tie_lost(). */
void chanserv__bond_lose(struct chanserv__bond *bond, cs_err why, const char *words, bool anew);
void chanserv__bond_anew(struct chanserv__bond *bond); /* from now on it is another session */

void chanserv__bond_call(struct chanserv__bond *bond); /* makes its call: the next attempt */
/* The connection of its stream takes no new calls: it moves, or ends if nobody needs it. */
void chanserv__bond_leave(struct chanserv__bond *bond);
void chanserv__bond_drop(mux_stream **stream); /* cancels it and leaves NULL; NULL is fine */

void chanserv__bond_flush(struct chanserv__bond *bond);   /* now, what there is to say */
void chanserv__bond_arrived(struct chanserv__bond *bond); /* it will */
void chanserv__bond_due(struct chanserv__bond *bond, struct chanserv__tie *tie); /* its number */
void chanserv__bond_done(struct chanserv__bond *bond, uint32_t number, cs_bytes why, bool now);
void chanserv__bond_skip(struct chanserv__bond *bond, uint32_t number, uint64_t seq);
void chanserv__bond_say_again(struct chanserv__bond *bond); /* what was said to the stream before */

/* ---- tie.c: all entered ---------------------------------------------------------------------- */

/* Of each source that is open: small, and in the memory of its stream.  A feed's has its own, because it may
 * stay for longer. */
struct chanserv__tie {
    struct chanserv__bond *bond;
    struct chanserv__line *line;     /* NULL: its stream has ended */
    struct cs_link link, due;        /* of the bond's lists */
    uint64_t acked;                  /* received, as the server was told */
    struct chanserv__broken *broken; /* it broke once; or NULL */
    uint32_t number;
    uint32_t refs : 27; /* the line's; a feed's: and of each source whose Open was not answered */
    bool own : 1;       /* memory: a feed's */
    bool plain : 1;     /* the server has no sessions, */
    bool out : 1;       /* to the server, once at least */
    bool alone : 1;     /* and it went out so: it does not outlive its stream */
    bool unsaid : 1;    /* the server's last word was about the session: it is asked again */
};

struct chanserv__broken {
    uint64_t progress;     /* received and heard, when it was opened last */
    int64_t not_before_ms; /* it is opened again */
    cs_err why;            /* it was detached last */
    uint32_t attempt;      /* of the session, when it broke last */
    int breaks;            /* in a row, without progress, while the session stood */
};

/* As mux_stream_open(), for a line that outlives its connection: it goes out as soon as it can. */
cs_err chanserv__tie_open(struct chanserv__line *line, struct chanserv__bond *bond,
                          const char *method, const struct mux_call_options *options,
                          const struct mux_stream_ops *ops, void *state);
void chanserv__tie_sorts(struct chanserv__bond *bond);
void chanserv__tie_go(struct chanserv__tie *tie); /* if it is detached and may go */
/* Number of the first message that its line, which is there, asked for. */
uint64_t chanserv__tie_first(const struct chanserv__tie *tie);
void chanserv__tie_arrived(struct chanserv__line *line); /* something did; NULL tie is fine */
/* Every message of it below `next` has arrived at the server.  Its line is there. */
void chanserv__tie_heard(struct chanserv__tie *tie, uint64_t next);
/* The stream of the line has ended with this. */
void chanserv__tie_ended(struct chanserv__line *line, cs_err why);
struct chanserv__tie *chanserv__tie_hold(struct chanserv__tie *tie); /* NULL is fine */
void chanserv__tie_release(struct chanserv__tie *tie);               /* NULL is fine */
/* Its session was never answered, see chanserv__bond_unheard(); `last`: there will be no other. */
void chanserv__tie_unheard(struct chanserv__tie *tie, cs_err why, const char *words, bool last);
/* Its session is lost.  With a new one at once (`anew`) a post that never went out goes there. */
void chanserv__tie_lost(struct chanserv__tie *tie, cs_err why, const char *words, bool anew);
/* What a feed or a source asks for, with its place in the session; `from` counts it all. */
cs_err chanserv__feed_ask_bytes(chanserv_feed *feed, const struct wire_channel *channel,
                                uint64_t from, uint8_t **ret, size_t *ret_len);
size_t chanserv__source_ask_bytes(chanserv_source *source, const struct wire_channel *channel,
                                  uint64_t from, uint8_t to[WIRE_OPEN_MAX]);

/* ---- line.c: all entered ------------------------------------------------------------------- */

void chanserv__line_init(struct chanserv__line *line, chanserv_client *client, bool is_feed);
cs_err chanserv__line_start(struct chanserv__line *line, size_t state_bytes, void *state);
/* Something arrived, from a callback of mux: users' callbacks may be called here. */
void chanserv__line_arrived(struct chanserv__line *line);
/* Something is new, from anywhere: they are called later. */
void chanserv__line_news(struct chanserv__line *line);
/* It is detached, or is not any more: they are told later. */
void chanserv__line_detached(struct chanserv__line *line, bool detached);
/* It ends here and now with a failure of our own; `text` in people's words, or NULL. */
void chanserv__line_fail(struct chanserv__line *line, cs_err err, const char *text);
void chanserv__line_cancel(struct chanserv__line *line);
/* The end was handed to the application. */
void chanserv__line_told(struct chanserv__line *line);
void chanserv__line_close(struct chanserv__line *line);
/* What was closed goes as soon as nothing can call it any more. */
void chanserv__line_settle(struct chanserv__line *line);
/* Silence begins; something came. */
void chanserv__line_silent(struct chanserv__line *line, int timeout_ms);
void chanserv__line_heard(struct chanserv__line *line);

/* ---- feed.c: all entered ------------------------------------------------------------------- */

cs_err chanserv__feed_recv(chanserv_feed *feed, chanserv_source **ret);
void chanserv__feed_over(chanserv_feed *feed, cs_err why, const char *text);
void chanserv__feed_call(chanserv_feed *feed); /* ops->ready() */
void chanserv__feed_turn(chanserv_feed *feed); /* it has its turn */
void chanserv__feed_note(chanserv_feed *feed, const chanserv_source *source);
void chanserv__feed_cancel(chanserv_feed *feed);
void chanserv__feed_let_go(chanserv_feed *feed); /* closes its sources */
void chanserv__feed_free(chanserv_feed *feed);
/* A post to a server of our own, by its one node. */
cs_err chanserv__feed_local(chanserv_client *client, struct chanserv__node *node,
                            const char *service, cs_bytes body, chanserv_feed **ret);

extern const struct mux_stream_ops chanserv__feed_stream_ops;

/* ---- pairs.c --------------------------------------------------------------------------------- */

/* Without memory for them the metadata are lost, and nothing else: NULL. */
struct chanserv__pairs *chanserv__pairs_copy(const cs_pair *pairs, size_t n);
struct chanserv__pairs *chanserv__pairs_hold(struct chanserv__pairs *pairs); /* NULL is fine */
void chanserv__pairs_drop(struct chanserv__pairs *pairs);
cs_bytes chanserv__pairs_get(const struct chanserv__pairs *pairs, const char *name); /* or empty */
/* What the calls of a post carry: its metadata, and the token unless these say who it is. */
cs_err chanserv__pairs_of_call(chanserv_client *client, const struct chanserv_post_options *options,
                               struct chanserv__pairs **ret);
/* May a post have them?  (But for the reserved.) */
bool chanserv__pairs_ok(const chanserv_client *client, const struct chanserv_post_options *options);
cs_err chanserv__pairs_bearer(cs_bytes token, struct chanserv__pairs **ret);

/* ---- source.c ------------------------------------------------------------------------------ */

/* Of a source that is spoken to: a frame in parts under way, and the call that waits for room. */
struct chanserv__sender;
struct chanserv__say {
    cs_ref rest;
    struct chanserv__sender *sender;
};

/* What a receive yields. */
struct chanserv__got {
    cs_bytes payload;
    cs_bytes message; /* in the rx, which payload is a part of; or empty */
};

/* Entered. */
cs_err chanserv__source_new(chanserv_feed *feed, const struct wire_announcement *a,
                            chanserv_source **ret);
static inline chanserv_feed *chanserv__source_feed(const chanserv_source *source) /* or NULL */
{
    return source->kept ? NULL : source->origin->feed;
}
/* The first number that was asked for, once it is opened. */
static inline uint64_t chanserv__source_from(const chanserv_source *source)
{
    return source->intake ? source->intake->from : source->number;
}
/* Holds the origin; NULL: no memory. */
chanserv_source *chanserv__source_make(chanserv_client *client, struct chanserv__origin *origin,
                                       cs_bytes header, cs_bytes ticket);
struct chanserv__origin *chanserv__origin_new(chanserv_feed *feed, struct chanserv__node *node,
                                              struct chanserv__pairs *metadata,
                                              int64_t deadline_ms); /* NULL: no memory */
void chanserv__origin_drop(struct chanserv__origin *origin);        /* NULL is fine */
extern const struct mux_stream_ops chanserv__source_stream_ops;
/* The consumer has just found nothing more (`why` CS_AGAIN) or a failure in its rx.  CS_OK: there
 * is more now; CS_AGAIN; else the end, which is told herewith. */
cs_err chanserv__source_refill(chanserv_source *source, cs_err why);
void chanserv__source_over(chanserv_source *source, cs_err why, const char *text);
bool chanserv__source_is_empty(const chanserv_source *source);
void chanserv__source_free(chanserv_source *source);
/* The next frame; `entered`: the caller is. */
cs_err chanserv__source_next(chanserv_source *source, bool entered, struct chanserv__got *ret);

/* ---- source_open.c: all entered ------------------------------------------------------------- */

void chanserv__source_ask(chanserv_source *source); /* opens it, once */
/* The stream has ended: nobody heard of it, and it is opened again. */
bool chanserv__source_again(chanserv_source *source, mux_stream *stream, cs_err why);

/* ---- say.c: all entered -------------------------------------------------------------------- */

void chanserv__say_writable(chanserv_source *source); /* mux takes more: users' callbacks */
void chanserv__say_over(chanserv_source *source);     /* it is over: nobody waits any more */
void chanserv__say_free(chanserv_source *source);

/* ---- frames.c: the consumer's, without the lock -------------------------------------------- */

/* CS_OK; CS_AGAIN no whole frame is here; CS_EPROTO, CS_ETOOBIG, CS_ELIMIT, CS_ENOMEM: final. */
cs_err chanserv__frame_next(chanserv_source *source, struct chanserv__got *ret);
/* In the middle of a message, or of a frame in parts. */
bool chanserv__frame_is_partial(const chanserv_source *source);
/* Copies the frames of an announcement. */
cs_err chanserv__frame_inline(chanserv_source *source, const struct wire_announcement *a);
cs_err chanserv__frame_expect(chanserv_source *source); /* something comes: CS_OK, CS_ENOMEM */
/* Leaves out what is numbered below `from`, before anything was received. */
void chanserv__frame_skip(chanserv_source *source, uint64_t from);
/* The number of the first message after the inline frames. */
uint64_t chanserv__frame_after(const chanserv_source *source);
static inline bool chanserv__frame_is_inline(const chanserv_source *source)
{
    const struct chanserv__inlined *in = source->intake ? source->intake->inlined : NULL;

    return in && in->at < in->len;
}
/* Moves a frame put together out of the source. */
cs_err chanserv__frame_move(chanserv_source *source, cs_ref *ret);
void chanserv__frame_give_up(chanserv_source *source); /* what is not put together yet */
void chanserv__frame_drop(chanserv_source *source);    /* parts, inline frames and their memory */
const char *chanserv__frame_words(cs_err err);

/* ---- set.c --------------------------------------------------------------------------------- */

void chanserv__set_orphan(struct cs_link *link); /* the client is freed: the set becomes empty */

#endif
