/* chanserv client -- post a request, range over the sources that answer it.
 *
 *   client ── lookup_and_post ──▶ feed: a channel of sources
 *                                  └──▶ source: a channel of frames
 *
 * Both channels are asked for the next item and answer as everything does: CS_OK, CS_AGAIN,
 * CS_DONE, or a failure.  On that stand two ways to live with it:
 *
 *   range    waits for the answer.  Loops read like Go's.
 *   ops      tell you when asking is worth while.  You run the loop, and never wait.
 *
 * A client is made for one of three lives:
 *   loop NULL           it has a thread of its own.  Range from any thread.
 *   a loop              recv and ops on the loop's thread.  Range there too, while the loop is
 *                       not running (it then turns the loop); inside a callback: CS_EMISUSE.
 *   a virtual loop      the same, and waiting moves the clock.  A wait that nothing can ever
 *                       end fails at once with CS_EMISUSE "nothing left to wait for".
 *
 * THREADS    With its own thread: any call from any thread, but one thread at a time for each
 *            feed, source or set; _cancel() alone may always come from elsewhere, and wakes
 *            who waits there.
 * LIFETIME   The client owns its feeds, a feed owns its sources.  A source whose end you were
 *            told is there until you ask its feed (or set) for the next thing; one you do not
 *            close lives as long as its feed.  chanserv_source_keep() makes it yours, for
 *            instance for another thread.  Every close and free takes NULL.
 */
#ifndef CHANSERV_CLIENT_H
#define CHANSERV_CLIENT_H

#include "base/chan.h"
#include "mux/mux.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct chanserv_client chanserv_client;
typedef struct chanserv_feed chanserv_feed;     /* channel of sources */
typedef struct chanserv_source chanserv_source; /* channel of frames */
struct chanserv_server;

/* ---- Joining ------------------------------------------------------------------------------ */

struct chanserv_client_options {
    struct mux_options net;
    /* "a.b": every name NAME means NAME.a.b on the wire; NULL: none; copied. */
    const char *name_space;
    /* Sent with each call as "authorization: Bearer TOKEN", unless a post's metadata say
     * "authorization" themselves; empty: none; copied. */
    cs_bytes token;
    /* 30 000: how long a broken connection may take to come back.  Until then what runs is
     * detached, and goes on when it is back, with nothing lost and nothing twice, if the server has
     * sessions (docs/WIRE, "Sessions"); a refused dial is no end.  Past it, and past the server's
     * own limit (linger_ms), and at once when another process answers there, all of it ends
     * CS_ELOST.  A post whose session the server has not answered yet has not gone out: it waits for
     * that, or for another session, as long, and ends CS_EPEER; and so it does, without waiting, where
     * three connections broke and nobody ever spoke HTTP/2.  CS_OFF, and with a server that has
     * none: they end with their connection.  Inside the process nothing breaks: chanserv_join_local()
     * makes a session only if this is above 0. */
    int resume_ms;
    /* 10 000: for somebody to serve the name.  CS_OFF: only until every node has said what it
     * serves; with one node, not at all. */
    int lookup_timeout_ms;
    int announce_timeout_ms; /* off: silence between two announcements */
    int frame_timeout_ms;    /* off: silence of a source that is being read */
    int64_t inline_bytes;    /* 4 KiB of an eager source may ride in its announcement; CS_OFF */
    int64_t frame_max_bytes; /* 100 MiB: a frame put together of its parts */
    int64_t assembly_bytes;  /* 256 MiB: all frames being put together, of this client */
    int busy_poll_us; /* of its loop, a given one too, see cs_loop_busy_poll(); 0 says nothing */
    int64_t reserved[8];
};

/* CS_EINVAL: `name_space` is no name, `token` has more than printable ASCII without spaces, or
 * `busy_poll_us` is out of bounds;
 * CS_EMISUSE: reserved; CS_ENOMEM; CS_ESYS: no thread. */
CS_API cs_err chanserv_client_new(cs_loop *loop, const struct chanserv_client_options *options,
                                  chanserv_client **ret);

/* Where a server is: "host:port", "[v6]:port", "unix:/path".  Reached in the background: never
 * waits, and fails only for an address that makes no sense (CS_EINVAL), CS_ENOMEM, and CS_EEXIST:
 * this client has joined it already.  The first post reports what the network says.  A session is
 * made there at once (resume_ms), so that a post need not wait for it; when nothing runs, a connection
 * that is lost is not made again before somebody needs it.
 *
 * Join several, and each post goes to one that serves its name: in turn, or by its bucket.  They
 * are then watched; one that drains, or whose connection broke and could not be made again, gets no
 * posts until it is back.  Two addresses of one process are one node. */
CS_API cs_err chanserv_join(chanserv_client *client, const char *addr);

/* No new posts go there.  What runs, runs on, over the connection that it has; sources announced
 * there can still be opened.  CS_ENOENT: it was not joined.  CS_EINVAL: NULL. */
CS_API cs_err chanserv_leave(chanserv_client *client, const char *addr);

/* A server of this process, on the same loop, without a socket.  Same limits, same credit.
 * CS_EEXIST: joined already.  CS_EMISUSE: another loop, or a client with a thread of its own.
 * Free the client before the server, or the server first: both are fine. */
CS_API cs_err chanserv_join_local(chanserv_client *client, struct chanserv_server *server);

/* Cancels and closes all that is left but what was kept.  Nobody may be waiting in it: cancel,
 * then join your threads.  Kept sources end with CS_ECANCELED and are still yours to close. */
CS_API void chanserv_client_free(chanserv_client *client);
CS_API cs_loop *chanserv_client_loop(const chanserv_client *client); /* NULL: a thread of its own */
CS_API void chanserv_client_cancel(chanserv_client *client); /* every feed and source; any thread */

/* ---- Posting ------------------------------------------------------------------------------ */

struct chanserv_post_options {
    int timeout_ms; /* off; travels: both sides end the post, and its sources, by then */
    /* Told to the source function; and of several nodes that serve the name, always the same one
     * gets it, while it is there.  No lock: two clients may see different nodes for a while. */
    cs_bytes bucket;
    /* For the source function and whoever authorises, the opening of its sources too; copied.  With
     * an "authorization" other than the client's it is no part of its session: not resumed. */
    const cs_pair *metadata;
    size_t metadata_len;
    int64_t inline_bytes; /* 0: the client's */
    /* For whom it is made, to a server of this process (chanserv_join_local() and nothing else, or
     * CS_EMISUSE): what chanserv_post_peer() and whoever authorises see, and whose it counts as; of
     * the opening of its sources too.  NULL: us; copied. */
    const struct mux_peer *peer;
    int64_t reserved[8];
};

/* Never waits.  Fails only for what is wrong with the call (CS_EMISUSE: no join, a bad name of a
 * service or of metadata; CS_ENOMEM); what the network or the server has to say, the feed says.
 *
 * The feed waits up to lookup_timeout_ms for somebody to serve the name, then ends CS_ENOENT (or
 * CS_EREFUSED: no node can be reached).  With one node it does not wait for the network: a dial
 * that is refused ends it at once.  A post that certainly never ran goes to another node by itself,
 * and no other post does: a source function never runs twice for one post. */
CS_API cs_err chanserv_lookup_and_post(chanserv_client *client, const char *service, cs_bytes body,
                                       const struct chanserv_post_options *options,
                                       chanserv_feed **ret);

/* Who serves what: a source for each service name that matches the shell pattern (its header is the
 * name).  A frame is the set of its nodes, names one a line and sorted; one comes at first, and
 * each time the set has changed.  The source ends CS_DONE when nobody is left, and a new one is
 * announced when somebody is back.  Nodes that cannot be reached are waited for.  The feed ends
 * when you close it, or when no node will say what it serves, at once, with the status and words of
 * the first: CS_ENOTSUP, CS_EAUTH, CS_EPERM; CS_EINTERNAL: its list is nonsense, or of more than
 * 65,536 names; CS_ELIMIT: longer than net.message_max_bytes.  CS_EMISUSE: no join; CS_ENOMEM. */
CS_API cs_err chanserv_lookup(chanserv_client *client, const char *pattern, chanserv_feed **ret);

/* A source by its ticket, from whatever hands it came, opened from frame number `from` on; it is
 * kept: yours to close.  `addr`: a node that was joined; NULL: the one that the ticket names, or
 * all of them in turn.  Frames cannot be sent to its producer.  What the server says, the source
 * says; CS_EINVAL: no ticket; CS_ENOENT: `addr` was not joined; CS_EMISUSE: no join; CS_ENOMEM. */
CS_API cs_err chanserv_open_ticket(chanserv_client *client, const char *addr, cs_bytes ticket,
                                   uint64_t from, chanserv_source **ret);

/* The same with metadata, timeout and peer of `options`, which are as of a post; the rest of them is
 * not looked at. */
CS_API cs_err chanserv_open_ticket_for(chanserv_client *client, const char *addr, cs_bytes ticket,
                                       uint64_t from, const struct chanserv_post_options *options,
                                       chanserv_source **ret);

/* ---- Range: waits ------------------------------------------------------------------------- */

/* Next source; false when the channel is over: chanserv_feed_status() says how. */
CS_API bool chanserv_range_source(chanserv_feed *feed, chanserv_source **ret);

/* Next frame; false when the source is over. The first call opens it: a source you never ask
 * costs its announcement, and holds up nobody. `*ret` is valid until you ask this source for
 * the next one, or close it. */
CS_API bool chanserv_range_frame(chanserv_source *source, cs_bytes *ret);

/* Open it now, without waiting, from frame number `from` on (0: the beginning).  CS_EMISUSE: it is
 * open. */
CS_API cs_err chanserv_source_open(chanserv_source *source, uint64_t from);

/* The server has taken the post and the source function has begun: what happens from now on is
 * seen. CS_OK, or how the feed ended. */
CS_API cs_err chanserv_feed_ready(chanserv_feed *feed);

/* Go's select.  A set of feeds, sources and channels; each select is the next thing that happened
 * to any of them.  Fair: the members that have something take turns, one item each.  A member
 * leaves the set with its last event.  All feeds and sources of a set belong to one client. */
typedef struct chanserv_set chanserv_set;
enum chanserv_event_kind {
    CHANSERV_SOURCE,     /* feed has a new source */
    CHANSERV_FEED_END,   /* feed is over: why */
    CHANSERV_FRAME,      /* source has a frame, valid until the next call on the set */
    CHANSERV_SOURCE_END, /* source is over: why */
    CHANSERV_MESSAGE,    /* chan has a message: `message`, yours to drop */
    CHANSERV_CHAN_END    /* chan is closed: why */
};
struct chanserv_event {
    enum chanserv_event_kind kind;
    chanserv_feed *feed; /* also of `source`; NULL when kept */
    chanserv_source *source;
    cs_chan *chan;
    cs_bytes frame;
    cs_ref message;
    cs_err why;
    void *reserved[2];
};
CS_API cs_err chanserv_set_new(chanserv_client *client, chanserv_set **ret);
CS_API void chanserv_set_free(chanserv_set *set); /* the members are not touched */
CS_API cs_err chanserv_set_add_feed(chanserv_set *set, chanserv_feed *feed);
/* It is not asked for sources any more: what was announced waits, then its server does.  Those that came
 * stay members.  Add it again, before long: a server gives up what is not opened in time.  Harmless when
 * it is not in the set. */
CS_API void chanserv_set_remove_feed(chanserv_set *set, chanserv_feed *feed);
CS_API cs_err chanserv_set_add_source(chanserv_set *set, chanserv_source *source); /* opens it */
CS_API cs_err chanserv_set_add_chan(chanserv_set *set, cs_chan *chan); /* keeps one of its own */

/* CS_OK; CS_AGAIN: nothing within timeout_ms; CS_DONE: the set is empty; CS_EMISUSE: would wait in
 * a callback, or for ever on a virtual loop. */
CS_API cs_err chanserv_select(chanserv_set *set, int timeout_ms, struct chanserv_event *ret);

/* The face for loops: select with CS_NOW; `ready(user)` on the client's loop when it answered
 * CS_AGAIN and would now not.  CS_EMISUSE on a client with a thread of its own. */
CS_API cs_err chanserv_set_watch(chanserv_set *set, void (*ready)(void *user), void *user);

/* ---- Ops: you run the loop ---------------------------------------------------------------- */

struct chanserv_feed_ops {
    size_t state_bytes;                              /* see mux.h, "State" */
    void (*ready)(chanserv_feed *feed, void *state); /* see chanserv_feed_ready() */
    /* recv said CS_AGAIN, ask again.  Leave announcements where they are and the source function
     * stops; chanserv_feed_resume() when you are ready for them. */
    void (*readable)(chanserv_feed *feed, void *state);
    void (*end)(chanserv_feed *feed, cs_err why, void *state); /* exactly once, last */
    /* What carried it broke, for this reason, and it waits to go on (see resume_ms).  Nothing need
     * be done.  attached(): it goes on.  They come in turn, detached() first, and end() may come
     * instead of attached(). */
    void (*detached)(chanserv_feed *feed, cs_err why, void *state);
    void (*attached)(chanserv_feed *feed, void *state);
    void (*reserved[2])(void);
};
struct chanserv_source_ops {
    size_t state_bytes;
    /* recv said CS_AGAIN, ask again.  Leave frames where they are and the producer stops;
     * chanserv_source_resume() when you are ready for them. */
    void (*readable)(chanserv_source *source, void *state);
    /* Exactly once, last: after you received every frame that arrived, or closed it. */
    void (*end)(chanserv_source *source, cs_err why, void *state);
    /* chanserv_source_send() said CS_AGAIN and would now take a frame; perhaps. */
    void (*writable)(chanserv_source *source, void *state);
    /* As a feed's.  What arrived before can still be received, and is worth receiving. */
    void (*detached)(chanserv_source *source, cs_err why, void *state);
    void (*attached)(chanserv_source *source, void *state);
    void (*reserved[1])(void);
};
/* Starting a source opens it.  CS_EMISUSE on a client with a thread of its own or that is freed,
 * or started before. */
CS_API cs_err chanserv_feed_start(chanserv_feed *feed, const struct chanserv_feed_ops *ops,
                                  void *state);
CS_API cs_err chanserv_source_start(chanserv_source *source, const struct chanserv_source_ops *ops,
                                    void *state);
CS_API void *chanserv_feed_state(const chanserv_feed *feed);
CS_API void *chanserv_source_state(const chanserv_source *source);
CS_API void chanserv_source_set_state(chanserv_source *source, void *state); /* without ops */

/* The three answers, never waiting.  A frame is valid until the next recv on this source, or its
 * close.  The end of the channel is CS_DONE or its failure, each time it is asked.  A feed that was started
 * gives at most 256 sources a turn: then it says CS_AGAIN though there may be more, and readable() follows. */
CS_API cs_err chanserv_feed_recv(chanserv_feed *feed, chanserv_source **ret);
CS_API cs_err chanserv_source_recv(chanserv_source *source, cs_bytes *ret);

/* A frame to keep, pass on, relay: yours to drop. */
CS_API cs_err chanserv_source_recv_ref(chanserv_source *source, cs_ref *ret);
/* readable() comes again, once, not within the call, though recv has not said CS_AGAIN. */
CS_API void chanserv_feed_resume(chanserv_feed *feed);
CS_API void chanserv_source_resume(chanserv_source *source);

/* ---- Speaking to the producer -------------------------------------------------------------- */

/* Send a frame to a producer that listens; opens the source.  Copied.  It waits, as long as
 * `timeout_ms`, CS_NOW or CS_FOREVER say, while the producer does not ask for what was sent.
 *   CS_OK       it is on its way, behind all before it
 *   CS_AGAIN    not taken, the time is up; ops->writable() tells when it is worth while
 *   CS_ENOTSUP  the producer does not listen
 *   CS_ETOOBIG  over frame_max_bytes;  CS_ENOMEM;  both: not taken, and nothing has ended
 *   CS_EMISUSE  it said its last word, would have to wait in a callback (or for ever on a virtual
 *               loop), or another thread waits here
 *   or how the source ended, CS_DONE included: the producer's last word ends both ways
 * Once a source is open, one thread may send while another receives. */
CS_API CS_MUST_USE cs_err chanserv_source_send(chanserv_source *source, cs_bytes frame,
                                               int timeout_ms);

/* The same without copying: `*frame` moves, and is {0} when it was taken; else it is still yours.
 * (One without a block is copied.)  Its last reference goes on whatever thread is done with it, in
 * the middle of the client: a release of yours must not call the client. */
CS_API CS_MUST_USE cs_err chanserv_source_send_ref(chanserv_source *source, cs_ref *frame,
                                                   int timeout_ms);

/* Our last word to the producer, after what was sent; frames from it go on.  Opens the source.
 * Harmless when it is over or nobody listens. */
CS_API void chanserv_source_finish(chanserv_source *source);

/* ---- What is known of a feed -------------------------------------------------------------- */

/* CS_AGAIN while it runs, CS_DONE when it ended well; else the first thing that went wrong in
 * it, a source you were reading included. */
CS_API cs_err chanserv_feed_status(const chanserv_feed *feed);

/* "post ticker: dial 127.0.0.1:5555: connection refused"; "" when nothing is wrong; lives with
 * it. */
CS_API const char *chanserv_feed_errmsg(const chanserv_feed *feed);
/* What carried it broke, and it waits to go on (see resume_ms); any thread. */
CS_API bool chanserv_feed_is_detached(const chanserv_feed *feed);
CS_API cs_bytes chanserv_feed_header(const chanserv_feed *feed, const char *name);  /* when ready */
CS_API cs_bytes chanserv_feed_trailer(const chanserv_feed *feed, const char *name); /* when over */
CS_API void chanserv_feed_cancel(chanserv_feed *feed); /* and its sources, but those kept; any
                                                          thread */
/* Let go of it and all its sources; the status, with CS_OK if nothing had gone wrong. */
CS_API cs_err chanserv_feed_close(chanserv_feed *feed);

/* ---- What is known of a source ------------------------------------------------------------ */

CS_API cs_bytes chanserv_source_header(const chanserv_source *source); /* lives with it */
CS_API cs_bytes chanserv_source_ticket(const chanserv_source *source); /* a capability: whoever has
                                                                          it may open, once */
CS_API uint64_t chanserv_source_seq(const chanserv_source *source);    /* number of the frame last
                                                                       received, from 0 */
CS_API uint64_t chanserv_source_gap(const chanserv_source *source); /* frames that the producer left
                                                                       out before it */
CS_API uint64_t chanserv_source_index(const chanserv_source *source); /* its place in the feed, from
                                                                         0 */
CS_API bool chanserv_source_has_uplink(const chanserv_source *source); /* its producer listens */
CS_API cs_err chanserv_source_status(const chanserv_source *source);   /* CS_AGAIN while it runs */
CS_API const char *chanserv_source_errmsg(const chanserv_source *source);
CS_API bool chanserv_source_is_detached(const chanserv_source *source); /* as a feed; any thread */
CS_API chanserv_feed *chanserv_source_feed(const chanserv_source *source); /* NULL when kept */

CS_API void chanserv_source_cancel(chanserv_source *source); /* any thread; it ends CS_ECANCELED */
CS_API chanserv_source *chanserv_source_keep(chanserv_source *source); /* outlives its feed: close
                                                                          it */
CS_API void chanserv_source_close(chanserv_source *source); /* not (any more) interested */

#ifdef __cplusplus
}
#endif
#endif
