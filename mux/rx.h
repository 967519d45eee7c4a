/* rx -- bytes of a stream that arrived and wait to be taken, still encoded.
 *
 * Room header: the client's sources take whole runs of bytes out of a stream with mux_stream_take()
 * and decode them on the consumer's thread, so that threads meet once per batch and not per frame.
 *
 *   segment   a view into a counted block: bytes as they came in one DATA frame
 *   rx        a list of segments, and how far the first message in it has been put together
 *
 * An rx belongs to one thread at a time.  Everything undelivered stays encoded: 64 KiB of empty
 * messages would be nine times their size as structs.
 */
#ifndef MUX_RX_H
#define MUX_RX_H

#include "base/list.h"
#include "mux/mux.h"

struct mux_segment {
    struct mux_segment *next;
    const uint8_t *at; /* not yet taken: at .. end */
    const uint8_t *end;
    cs_block *block; /* one reference */
    bool own;        /* nobody else sees the block: more may be written behind `end` */
    bool restart;    /* a message begins here; one that began before and did not end never will */
};

/* How much long messages may take together while they are put together; each by its length, so that each
 * that has begun comes to its end.  One alone may be of any length. */
struct mux_rx_room {
    int64_t used, max;
    struct cs_list waits; /* every mux_rx that has to wait; its bytes wait in its segments */
    bool freed;           /* since somebody looked */
};

struct mux_rx {
    struct mux_segment *first, *last;
    cs_block *held; /* what the last message is a view into, when its segment has gone */
    /* A message under way, or handed out, that lies in several segments or was compressed. */
    struct mux_rx_big *big;
    struct mux_rx_room *room; /* NULL: no bound */
    struct cs_link waits;     /* in its list: */
    uint32_t waits_for;       /* so much, a message that is long and not whole */
    struct cs_link fresh;     /* in the connection's list of what mux_rx_settle() must look at */
    uint32_t bytes;           /* in the segments, not yet taken */
    uint32_t taken;           /* wire bytes taken since mux_rx_credit() asked */
    uint32_t message_max;     /* a prefix that promises more is CS_ETOOBIG */
    bool lent;                /* the last message is a view into the first segment's block */
    bool gzip;                /* messages may be compressed */
    bool restart_next;        /* the next segment is a restart */
    bool restarts;            /* there may be such segments */
};

void mux_rx_init(struct mux_rx *rx, int64_t message_max);
void mux_rx_fini(struct mux_rx *rx);

/* The next whole message, without its prefix and as it was before it was compressed; valid until
 * the next call on this rx but mux_rx_credit() and mux_rx_append().  CS_AGAIN: no whole one is
 * there (what is there of a long one has been put together and counts as taken, so that it may be
 * longer than the window).  CS_ETOOBIG (on the wire, or unpacked), CS_EPROTO (compressed without a
 * coding, or not whole), CS_ENOMEM: final. */
cs_err mux_rx_next(struct mux_rx *rx, cs_bytes *ret);

/* Of a body without messages: the next bytes, as many as lie together.  CS_AGAIN: none are there. */
cs_err mux_rx_piece(struct mux_rx *rx, cs_bytes *ret);

/* Was the next message compressed, as far as can be told from what is there? */
bool mux__rx_next_is_packed(const struct mux_rx *rx);
static inline bool mux_rx_is_packed(const struct mux_rx *rx)
{
    return rx->gzip && mux__rx_next_is_packed(rx);
}

/* The same message once more, as a reference of your own, after CS_OK: for keeping it. */
cs_err mux_rx_keep(struct mux_rx *rx, cs_bytes message, cs_ref *ret);

/* How many wire bytes were taken since the last call: credit to give back. */
size_t mux_rx_credit(struct mux_rx *rx);

/* In the middle of a message?  At the end of a stream that is a truncation. */
bool mux_rx_partial(const struct mux_rx *rx);

/* What is added from now on begins with a message: half of one that stands before is dropped, when its
 * turn comes. */
void mux_rx_restart(struct mux_rx *rx);

/* Appends all that `from` has not taken, of the same stream; leaves `from` empty. */
void mux_rx_append(struct mux_rx *rx, struct mux_rx *from);

/* Adds a view into `block`, which is counted once more.  CS_ENOMEM. */
cs_err mux_rx_add(struct mux_rx *rx, const uint8_t *bytes, size_t len, cs_block *block);

/* At the end of a turn: what is left and small is copied out of the large blocks that it arrived
 * in, so that few bytes do not pin them.  Best effort: without memory they stay. */
void mux_rx_settle(struct mux_rx *rx);

/* Moves what has arrived on a stream into `rx`; answers how many bytes.  mux_stream_recv() must not
 * be used on that stream.  The bytes still count against the stream's window until
 * mux_stream_credit() gives them back. */
size_t mux_stream_take(mux_stream *stream, struct mux_rx *rx);
size_t mux_stream_waiting(const mux_stream *stream); /* that many */
void mux_stream_credit(mux_stream *stream, size_t bytes);

/* Of this stream's messages only, instead of message_max_bytes; best effort: without memory that stays. */
void mux_stream_message_max(mux_stream *stream, uint32_t bytes);

/* Has everything of the stream arrived (end() comes in the next turn)?  Then this is why. */
bool mux_stream_is_over(const mux_stream *stream);
cs_err mux_stream_why(const mux_stream *stream);

/* The message that mux_stream_recv() gave last, as a reference of your own. */
cs_err mux_stream_keep(mux_stream *stream, cs_bytes message, cs_ref *ret);

#endif
