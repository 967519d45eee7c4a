/* chanserv adapters -- what most message queues need, built on the calls of server.h and client.h
 * alone.  Read their sources: they are the best examples of outlets.
 *
 *   relay     a source from there is a source from here
 *   fan-out   one publisher, any number of readers
 *
 * THREADS and CALLBACKS are as in server.h: everything belongs to one loop.
 */
#ifndef CHANSERV_ADAPTERS_H
#define CHANSERV_ADAPTERS_H

#include "chanserv/client.h"
#include "chanserv/server.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Relay -------------------------------------------------------------------------------- */

/* Announce `source` on `post`, under `header`, or its own when that is empty.  It is opened when
 * ours is, from the same number, and closed when ours has ended; it is the relay's from now on, and
 * needs its feed no more.  Frames pass by reference, each when our reader has room for it; gaps,
 * the status with its words, cancel, and what the reader sends pass too.  A status of the framework
 * there comes out as an application's: the same gRPC code, without `chanserv-reason`.
 *
 * The numbers are those from there if both servers cut frames at the same part_bytes; a gap passes
 * as CHANSERV_GAP_OVERFLOW, whatever it was.  Nobody can be told of a gap in what is sent to a
 * producer: a reader that leaves one ends with CS_ENOTSUP.
 *
 * The client of `source` lives on the server's loop, and nobody has opened the source: else our
 * reader gets INTERNAL, with words.  When the client is freed first: CS_ECANCELED.
 * Answers as chanserv_announce(); when that is not CS_OK the source is still yours. */
CS_API cs_err chanserv_relay_source(chanserv_post *post, cs_bytes header, chanserv_source *source);

/* Answer `post` with all that comes on `feed`: in a source function that has not kept its post, as
 *
 *     struct chanserv_post_options o = {.timeout_ms = chanserv_post_time_left_ms(post)};
 *     cs_err err = chanserv_lookup_and_post(there, "name", body, &o, &feed);
 *     if (err == CS_OK && (err = chanserv_relay_feed(post, feed)) != CS_OK)
 *         chanserv_feed_close(feed);
 *     return err;
 *
 * Each source is relayed under its own header; the post ends as the feed does, with its words;
 * metadata are not passed on.  The feed is the relay's, which closes it when the post is over;
 * sources that were announced by then go on.
 *
 * CS_EMISUSE: the post was kept, the feed was started, or its client has a thread of its own;
 * CS_ENOMEM.  When it is not CS_OK the feed is still yours, and the post can only end: answer the
 * failure. */
CS_API cs_err chanserv_relay_feed(chanserv_post *post, chanserv_feed *feed);

/* ---- Fan-out ------------------------------------------------------------------------------ */

/* A ring of the last frames, each kept once.  A reader is a place in the ring: it costs no queue,
 * however slow it is.  Frames are numbered from 0 by the fan-out, for all readers alike, so one
 * that lost its connection opens another source from where it was.  (A frame that travels in parts
 * has a number for each, as everywhere, and so has the gap that it leaves.) */
typedef struct chanserv_fanout chanserv_fanout;

/* What becomes of a reader that wants a frame which is not kept any more.  It is told when it next
 * has room for one. */
enum chanserv_slow {
    CHANSERV_SLOW_SKIP,   /* goes on at the oldest frame kept, after a CHANSERV_GAP_OVERFLOW */
    CHANSERV_SLOW_LATEST, /* goes on at the newest frame, after a CHANSERV_GAP_REPLACED */
    CHANSERV_SLOW_CUT,    /* ends with CS_ERANGE */
    CHANSERV_SLOW_WAIT    /* cannot be: publish() answers CS_AGAIN until the slowest has moved */
};

struct chanserv_fanout_options {
    int64_t bytes;  /* 1 MiB kept, each frame with 64 bytes for its place; the newest frame always
                       is, however large.  CS_OFF: only `frames` counts */
    int64_t frames; /* off: how many are kept */
    enum chanserv_slow slow;
    int64_t history;    /* 0: a newcomer begins with the next frame; n: up to n frames back */
    int64_t part_bytes; /* 1 MiB: as its servers', who end the readers with CS_EMISUSE when a frame
                           was cut otherwise */
    /* publish() said CS_AGAIN, and a reader has moved: try again.  From the loop, later. */
    void (*writable)(chanserv_fanout *fanout, void *user);
    void *user;
    int64_t reserved[4];
};

/* On the loop of the servers whose posts it is announced on.  Several loops: one fan-out each, fed
 * through a cs_chan.  CS_EMISUSE: neither `bytes` nor `frames` bounds it, no such `slow`, or
 * reserved set; CS_ENOMEM. */
CS_API cs_err chanserv_fanout_new(cs_loop *loop, const struct chanserv_fanout_options *options,
                                  chanserv_fanout **ret);

/* One more frame for everybody.  Moves the reference ({0} when taken) and does not copy (one
 * without a block is copied).  Its last reference goes in the middle of this call or of the server:
 * a release of yours must not call the fan-out.  Readers that wait are woken once a turn, however
 * many frames are published in it; those that are behind cost nothing here.
 *   CS_AGAIN    CHANSERV_SLOW_WAIT only: not taken, writable() tells
 *   CS_EMISUSE  after finish();  CS_ENOMEM;  both: not taken */
CS_API CS_MUST_USE cs_err chanserv_fanout_publish(chanserv_fanout *fanout, cs_ref *frame);

/* One more reader: announces a source on `post`.  It has its place from the moment it is opened:
 *   from 0      a newcomer: see `history`.  What was published before is a CHANSERV_GAP_EXPIRED, so
 *               that frames and gaps together always are all that was published
 *   from n > 0  somebody who has seen what is before n: goes on there.  CS_ERANGE when frame n is
 *               not kept any more, or was never published and is not the next
 * Answers as chanserv_announce(); CS_EMISUSE also when the post is of another loop. */
CS_API cs_err chanserv_fanout_announce(chanserv_fanout *fanout, chanserv_post *post,
                                       cs_bytes header);

/* How many have it open now; and the number that the next frame will have. */
CS_API size_t chanserv_fanout_readers(const chanserv_fanout *fanout);
CS_API uint64_t chanserv_fanout_next_number(const chanserv_fanout *fanout);

/* The last word: each reader, newcomers included, gets what is kept for it, then `status` (CS_OK is
 * CS_DONE).  The first call counts. */
CS_API void chanserv_fanout_finish(chanserv_fanout *fanout, cs_err status);

/* Now, from any callback too.  Readers that have not heard their last word get CS_ECANCELED, which
 * overtakes what is under way; writable() will not come.  Servers may be freed before or after. */
CS_API void chanserv_fanout_free(chanserv_fanout *fanout);

#ifdef __cplusplus
}
#endif
#endif
