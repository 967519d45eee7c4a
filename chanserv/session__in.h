/* session__in -- what outlives a connection, on the server's side.  Private to chanserv.
 *
 *   session   what a client's Session streams are about, one after the other; has channels
 *   owner     whose sessions they are
 *   channel   a post or a source of it: (session, number).  Its stream is lasting (mux/lasting.h):
 *             a post or an outlet of a session looks to the rest of the server like any other
 *
 * A channel is there until the client says that it is done with it, or the session is gone: so a number
 * runs a source function once.  One whose stream is gone for want of memory stays as a
 * number that is lost, with the memory of that stream, in which it lies.
 */
#ifndef CHANSERV_SESSION_IN_H
#define CHANSERV_SESSION_IN_H

#include "base/row.h"
#include "chanserv/server__in.h"

enum { CHANSERV__SESSION_ID = 16 };

struct chanserv__session {
    chanserv_server *server;
    struct cs_link link;      /* of server->attached or server->lingering, the oldest first */
    mux_stream *stream;       /* NULL: it lingers */
    struct cs_row channels;   /* by number */
    struct cs_list acks;      /* uplinks of which the client is to be told what has arrived */
    cs_timer *timer;          /* while it lingers */
    cs_task judge;            /* REAP: channels that do not linger */
    int64_t since_ms;         /* it lingers */
    struct mux_keep_sum kept; /* by its channels: of server->kept_attached or ->kept_lingering */
    struct chanserv__owner *owner;
    struct cs_link of_owner; /* of owner->lingering, while it does */
    uint32_t attempt;
    bool greets; /* SessionDown is to begin with who we are */
    uint8_t id[CHANSERV__SESSION_ID];
};

/* Who may take a session up, with whose others it is counted while it lingers, and who posts. */
struct chanserv__owner {
    struct cs_list lingering; /* the oldest first */
    int64_t lingering_len;
    int64_t posts, opens;   /* that run, and sources of his posts that are open */
    bool has_complained;    /* that he has too many */
    size_t holds, name_len; /* sessions and posts; the name begins with uid */
    int64_t uid;
    uint64_t subject_len;
    char words[]; /* subject, then token */
};

struct chanserv__channel { /* of each source that is open */
    struct chanserv__session *session;
    mux_stream *stream; /* lasting, in whose memory it lies */
    union {             /* whose channel it is, while that lives; or NULL */
        chanserv_post *post;
        chanserv_outlet *outlet;
    } of;
    int64_t since_ms; /* it was detached last */
    uint32_t number;
    uint32_t linger_ms : 31;
    bool is_post : 1;
};
/* NULL: it is gone. */
static inline mux_stream *chanserv__channel_stream(const struct chanserv__channel *channel)
{
    return mux_stream_is_gone(channel->stream) ? NULL : channel->stream;
}
static inline void chanserv__channel_linger(struct chanserv__channel *channel,
                                            int ms) /* or CS_OFF */
{
    channel->linger_ms = ms > 0 ? (uint32_t)ms & INT32_MAX : 0;
}
static inline chanserv_post *chanserv__channel_post(const struct chanserv__channel *channel)
{
    return channel->is_post ? channel->of.post : NULL;
}
static inline chanserv_outlet *chanserv__channel_outlet(const struct chanserv__channel *channel)
{
    return channel->is_post ? NULL : channel->of.outlet;
}

/* ---- session.c ------------------------------------------------------------------------------- */

void chanserv__session_accept(mux_stream *stream, void *user);

/* ---- session_life.c -------------------------------------------------------------------------- */

/* The session that a request names: WIRE_NO_REASON, or why not. */
enum wire_reason chanserv__session_find(chanserv_server *server, mux_stream *stream,
                                        const struct wire_channel *asked,
                                        struct chanserv__session **ret);
void chanserv__session_judge(struct chanserv__session *session); /* at the end of the turn */
void chanserv__session_shut(struct chanserv__session *session);  /* it ends `draining` */
void chanserv__sessions_end(chanserv_server *server);            /* all, at once */

/* The client of `call` asks for one, new or again: it is its object; or why not. */
enum wire_reason chanserv__session_take_up(struct chanserv__call *call, mux_stream *stream,
                                           const struct wire_session_up *up);
void chanserv__session_linger(struct chanserv__session *session); /* its stream is gone */
/* Its channels end with this, as far as they have not ended, and it goes. */
void chanserv__session_end(struct chanserv__session *session, cs_err why,
                           enum chanserv__reason reason);

/* ---- owner.c --------------------------------------------------------------------------------- */

/* Whose a session made by this stream is, held once more; NULL: no memory. */
struct chanserv__owner *chanserv__owner_of(chanserv_server *server, const mux_stream *stream);
struct chanserv__owner *chanserv__owner_hold(struct chanserv__owner *owner);
void chanserv__owner_drop(chanserv_server *server, struct chanserv__owner *owner);
/* He has `has` of something; is that as many as one may have?  Then it is said, once, and counted. */
bool chanserv__owner_is_full(struct chanserv__owner *owner, int64_t has, int64_t max,
                             const char *limit, uint64_t *counter);
/* Is the stream one of his; of those without any identity each may be any other. */
bool chanserv__owner_is(const struct chanserv__owner *owner, const mux_stream *stream);

/* ---- channel.c ------------------------------------------------------------------------------- */

extern const struct mux_lasting_ops chanserv__channel_lasting; /* user: the channel */

/* A new one, of `post` or of `outlet`, on a stream that has answered nothing yet; messages are numbered from
 * `first`.  CS_ENOMEM; CS_ELIMIT: channels_max. */
cs_err chanserv__channel_new(struct chanserv__session *session, uint32_t number, mux_stream *stream,
                             chanserv_post *post, chanserv_outlet *outlet, uint64_t first,
                             struct chanserv__channel **ret);

/* A stream came that names it: goes on there, or refuses. */
void chanserv__channel_attach(struct chanserv__channel *channel, mux_stream *stream, bool is_post,
                              uint64_t from);

/* The client has received so much, or will not open these, or is done.  CS_EINVAL: it cannot have. */
cs_err chanserv__channel_acked(struct chanserv__channel *channel, const struct wire_ack *ack);

/* It ends with this, as far as it has not ended, and goes. */
void chanserv__channel_end(struct chanserv__channel *channel, cs_err why,
                           enum chanserv__reason reason, cs_bytes words);

/* An outlet waits to be opened, and can be skipped; or does so no more. */
void chanserv__channel_waits(chanserv_outlet *outlet, bool waits);

/* The producer has taken frames of the reader's. */
void chanserv__channel_took(chanserv_outlet *outlet);

#endif
