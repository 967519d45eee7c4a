/* calm -- what a peer may do in a row without any good.
 *
 * It follows the frames that come, by their heads alone, beside nghttp2: that says nothing of frames
 * that it ignores, and those are what floods are made of.
 */
#ifndef MUX_CALM_IN_H
#define MUX_CALM_IN_H

#include "mux/mux.h"

/* One for each row of limits.h that has a bucket. */
enum mux__bucket {
    MUX__RESETS,
    MUX__FAULTS,
    MUX__SETTINGS,
    MUX__PINGS,
    MUX__EMPTY_DATA,
    MUX__PRIORITIES,
    MUX__WINDOW_UPDATES,
    MUX__UNKNOWN,
    MUX__BUCKETS,
    MUX__CONTINUATIONS = MUX__BUCKETS, /* has none */
    MUX__HEADER_TIMEOUT                /* nor this */
};

struct mux__calm {
    uint32_t left; /* bytes of a frame that are still to pass by */
    uint8_t have;  /* of the head that has come in part */
    uint8_t head[10];
    bool in_block;  /* a header block has begun and not ended, */
    bool met;       /* the peer's first frame came */
    bool cut;       /* beyond a limit: nothing that comes counts any more */
    bool paused;    /* not read: the peer leaves answers where they are */
    int32_t blocks; /* its CONTINUATIONs */
    uint32_t owed;  /* answers to SETTINGS and PING that are not written */
    int64_t block_ms;
    uint64_t streams, frames, bytes; /* what pays: opened; and of DATA, that we sent */
    struct {
        int64_t spent; /* in ten thousandths, */
        int64_t at_ms; /* as of then, */
        uint64_t paid; /* and so far */
    } buckets[MUX__BUCKETS];
};

void mux__calm_begin(mux_conn *conn); /* its HTTP/2 is new */
void mux__calm_feed(mux_conn *conn, const uint8_t *bytes, size_t len);
void mux__calm_take(mux_conn *conn, enum mux__bucket bucket); /* one out of it */
void mux__calm_cut(mux_conn *conn, int row); /* one of the above: GOAWAY, and the end is near */

#define MUX__CALM_OPENED(conn) ((conn)->calm.streams++)
#define MUX__CALM_SENT(conn, len) ((conn)->calm.frames++, (conn)->calm.bytes += (len))

#endif
