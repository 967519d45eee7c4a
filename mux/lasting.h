/* lasting -- a call that outlives the HTTP/2 streams which carry it.
 *
 * Room header, what sessions are made of (docs/WIRE, Sessions).  A lasting call whose stream is reset or lost
 * is not over but *detached*: nothing is sent and nothing received, its state and what it keeps (keep.h)
 * stay, and another stream can carry it on.
 *
 * A server's owner hears end() as soon as his last word is said, or overtook the rest; what is kept of the
 * call, and that word, stay until it is forgotten.  One that is over before that is *gone*: of it only what its
 * user has stays, until then.  A client's is over when the server's last word came, and goes with end().
 *
 *                  stream reset or lost
 *      attached ─────────────────────────▶ detached         limbo: where it lives meanwhile
 *         ▲      graft(), reopen()            │
 *         └───────────────────────────────────┘
 *
 * Everything on the loop of the stream.
 */
#ifndef MUX_LASTING_H
#define MUX_LASTING_H

#include "mux/keep.h"

/* A connection that never stands: for calls that have none.  Counts into `handlers`' figures, or, NULL,
 * nowhere.  Free it like any other, after its calls. */
cs_err mux_limbo_new(cs_loop *loop, mux_handlers *handlers, mux_conn **ret);

struct mux_lasting_ops {
    /* The stream is gone, for this reason; told in the CALL phase, instead of end().  Not told where a
     * server has said its last word: nothing is left to do but to say it again. */
    void (*detached)(mux_stream *stream, cs_err why, void *user);

    /* A client's: the server's last word came, but it is about the session and not about the call
     * (trailers can be asked for).  True: the call is detached and goes on.  NULL: never. */
    bool (*again)(mux_stream *stream, cs_err why, void *user);

    /* How many numbers a message takes that has arrived.  One that is longer than MUX_LASTING_HEAD
     * bytes, or compressed, takes one.  NULL: nobody counts. */
    uint64_t (*weigh)(cs_bytes message);

    /* What it keeps is counted there, from the first message on; as mux_keep_summed().  NULL: nowhere. */
    struct mux_keep_sum *(*sum)(void *user);
};
enum { MUX_LASTING_HEAD = 40 };

/* What lasting calls of one sort have in common; outlives them, or their end(). */
struct mux_lasting_sort {
    const struct mux_lasting_ops *ops;
    mux_conn *limbo; /* has them while nothing carries them */
    size_t keep_max; /* see mux_stream_last() */
    /* `user` is so many bytes, aligned for int64_t and pointers, which are copied, and the copy goes with the
     * stream; of NULL it is zeros.  0: it is passed as it is. */
    size_t user_bytes;
};

/* From now on `stream` is lasting.  What it sends is numbered from `first` on and kept:
 * mux_stream_room() is 0 while `keep_max` bytes, at most 1 GiB, are, not counting the newest message if it is
 * over 16 KiB; one message always fits.  `keep_max` 0:
 * it is not.  Before anything was sent; what is queued already is not kept.
 * CS_ENOMEM, CS_EMISUSE. */
cs_err mux_stream_last(mux_stream *stream, const struct mux_lasting_sort *sort, uint64_t first,
                       void *user);
void mux_stream_last_undo(mux_stream *stream); /* undoes it, in the same moment */

bool mux_stream_is_lasting(const mux_stream *stream);
bool mux_stream_is_detached(const mux_stream *stream);
/* Of a server's: then this, mux_stream_lasting_user() and mux_stream_forget() are all that may be asked. */
bool mux_stream_is_gone(const mux_stream *stream);
void *mux_stream_lasting_user(const mux_stream *stream); /* that the sort's ops get, or NULL */

/* What it keeps.  NULL: nothing, and nothing was sent so far. */
mux_keep *mux_stream_kept(const mux_stream *stream);

/* Of a call that keeps, as mux_keep_acked() and mux_keep_oldest(), whether something was sent or not.
 * CS_EMISUSE, and 0, of another one. */
cs_err mux_stream_acked(mux_stream *stream, uint64_t next);
uint64_t mux_stream_oldest(const mux_stream *stream);

/* Numbers of the messages that have arrived whole, on all its streams together; 0: nobody counts. */
uint64_t mux_stream_received(const mux_stream *stream);

/* Bytes that have arrived, for all calls that have this limbo. */
uint64_t mux_limbo_arrived(const mux_conn *limbo);

/* Resets the stream that carries it, if there is one: it is detached. */
void mux_stream_detach(mux_stream *stream);

/* It need not last any longer: what was said well is over (CS_DONE), everything else is cancelled with
 * `why`; end() comes, if it has not, and nothing of struct mux_lasting_ops.  What it keeps counts nowhere
 * any more.  A server's must be forgotten; where end() has come and nothing carries it, it is freed when this
 * returns. */
void mux_stream_forget(mux_stream *stream, cs_err why);

/* ---- A server's ----------------------------------------------------------------------------- */

/* `fresh`, a stream just accepted that has answered nothing yet, carries `stream` on, from number `from`:
 * what is kept goes out again, and what was said last.  If another stream carried it, that one ends
 * ABORTED `superseded`.  end() comes of `fresh`.  HEADERS are still to be sent.
 *   CS_ERANGE, CS_EINVAL  see mux_keep_attach(): `fresh` is yours to refuse
 *   CS_EMISUSE            over, aborted or not lasting; or `fresh` has answered */
cs_err mux_stream_graft(mux_stream *stream, mux_stream *fresh, uint64_t from);

/* Undoes mux_stream_set_header(), for the streams to come.  Harmless when there is no such header. */
void mux_stream_unset_header(mux_stream *stream, const char *name);

/* ---- A client's ----------------------------------------------------------------------------- */

/* As mux_stream_open() and mux_stream_last() take it. */
struct mux_lasting_call {
    const struct mux_lasting_sort *sort; /* without `keep_max`: `message` is all that it says */
    const char *method;
    const struct mux_call_options *options; /* or NULL */
    const struct mux_stream_ops *ops;
    void *state;
    void *user; /* of the sort's ops; see user_bytes */
};

/* A lasting call, made on `conn` with this one message.  `conn` NULL: without one it is detached from the first,
 * and mux_stream_reopen() makes it.  CS_ENOMEM; CS_EMISUSE: its options have metadata that may not be said. */
cs_err mux_stream_open_lasting(const struct mux_lasting_call *call, mux_conn *conn,
                               cs_bytes message, mux_stream **ret);

/* It is over, with `why` and these words; CS_OK, NULL: with those that detached it.  Harmless if it is not
 * detached. */
void mux_stream_give_up(mux_stream *stream, cs_err why, const char *words);

/* Calls again, on `conn`, with the same method and metadata and this one message; half-closes behind it
 * if the call was finished and keeps nothing.  What arrived half is dropped: the peer is asked to begin
 * with number mux_stream_received().  CS_EMISUSE: not detached; CS_ENOMEM. */
cs_err mux_stream_reopen(mux_stream *stream, mux_conn *conn, cs_bytes message);

/* Of a call that keeps: the peer wants what was sent from number `from` on.  CS_ERANGE, CS_EINVAL as
 * mux_keep_attach(). */
cs_err mux_stream_resend(mux_stream *stream, uint64_t from);

/* In end(), of any call: the other side gave a status, of gRPC's or HTTP's.  False: reset or lost. */
bool mux_stream_was_answered(const mux_stream *stream);
/* Of what was dialed: somebody has spoken HTTP/2 there, in this or in an earlier connection. */
bool mux_conn_was_met(const mux_conn *conn);

#endif
