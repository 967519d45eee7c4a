/* keep -- messages of a stream that stay until the other end has acknowledged them.
 *
 * Room header.  A channel of a session outlives the streams that carry it (docs/WIRE, Sessions): what was
 * sent is kept in the order of its numbers, and another stream goes on where the last one broke.
 * Send queue and retention are one: a message is written once, sent from where it lies, and dropped
 * at its acknowledgement.  A chunk goes when all that begins in it is acknowledged, so that a little
 * more stays than must.
 *
 * Everything on the loop of the stream.
 */
#ifndef MUX_KEEP_H
#define MUX_KEEP_H

#include "base/list.h"
#include "base/turn.h"
#include "mux/mux.h"

typedef struct mux_keep mux_keep;

/* What very many of them keep together.  While `bytes` has reached `bytes_max`, mux_stream_room() is 0 on each
 * stream of theirs that waits for an acknowledgement: one message always fits.  Some 16 a turn of those that
 * wait go on when there is room again, in the order in which they came to wait. */
struct mux_keep_total {
    cs_loop *loop;
    uint64_t bytes, bytes_max;
    uint64_t waits;     /* how often a stream came to wait for it, */
    uint64_t own_waits; /* and one of those for an acknowledgement, its own bound reached */
    struct cs_list waiting;
    cs_task task;
};
void mux_keep_total_init(struct mux_keep_total *total, cs_loop *loop, uint64_t bytes_max);
void mux_keep_total_fini(struct mux_keep_total *total);

/* What some of them keep, as a part of a total, that may become another. */
struct mux_keep_sum {
    struct mux_keep_total *total; /* or NULL */
    uint64_t bytes;
};
void mux_keep_sum_move(struct mux_keep_sum *sum, struct mux_keep_total *total); /* or NULL */

/* From now on what it keeps counts there; `sum` outlives it, or it is told NULL before. */
void mux_keep_summed(mux_keep *keep, struct mux_keep_sum *sum);

/* From now on `stream` sends what is kept from number `from` on, and keeps what it is given; what it
 * has queued already goes first and is not kept.  It is not told: wake it.  When the stream is over, the
 * messages stay here.  What was compressed is unpacked on its way to a peer that reads no gzip.
 *   CS_ERANGE  `from` was acknowledged      CS_EINVAL  it is above next, or in the middle of a gap
 *   CS_EMISUSE the stream is over, or another one sends from here; or it has something queued while
 *              there is something here to send again */
cs_err mux_keep_attach(mux_keep *keep, mux_stream *stream, uint64_t from);

/* Every number below `next` has arrived.  Lower than before: nothing.  CS_EINVAL: it was not even
 * sent. */
cs_err mux_keep_acked(mux_keep *keep, uint64_t next);

/* As mux_stream_send(), of a message that takes so many numbers: a gap. */
cs_err mux_stream_send_heavy(mux_stream *stream, cs_bytes message, uint64_t numbers);

uint64_t mux_keep_oldest(const mux_keep *keep); /* number of the first that can be sent again */
uint64_t mux_keep_next(const mux_keep *keep);   /* of the next message */
size_t mux_keep_bytes(const mux_keep *keep);

#endif
