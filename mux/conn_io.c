/* conn_io -- a connection reads and writes.
 *
 * A turn: read what came (CS_IO), users' callbacks (CS_CALL, stream.c), fill and write (CS_FLUSH),
 * and copy small leftovers out of large blocks (CS_REAP). */
#include "mux/mux__in.h"

#include "base/ref.h"

#include <stdio.h>

static void want(mux_conn *conn)
{
    if (conn->link)
        mux__link_want(conn->link, !conn->calm.paused, conn->blocked);
}

static bool fresh_block(mux_conn *conn)
{
    if (conn->block && cs_block_is_mine(conn->block))
        return true;
    cs_block_drop(conn->block); /* somebody still reads in it */
    conn->block = cs_block_new(MUX__READ);
    return conn->block;
}

static void broke_rules(mux_conn *conn, cs_err err, const char *story)
{
    if (err == CS_ENOMEM)
        story = "no memory";
    else if (conn->is_server) /* nobody else would tell whoever runs it */
        cs_log(CS_INFO, "mux", "connection of %.*s: %s", CS_FMT(conn->link->peer.addr), story);
    mux__conn_lost(conn, err == CS_ENOMEM ? err : CS_EPROTO, story);
}

/* The peer asks and does not take the answers.  A share of 2: half as much. */
static bool leaves_answers(const mux_conn *conn, int share)
{
    return (conn->opt.control_max != CS_OFF && conn->calm.owed > conn->opt.control_max / share) ||
           mux__held_unread(conn, share);
}

/* Only what needs no window stops reading.  DATA that waits to be written never does, else both sides could
 * wait for each other's credit; a client may not stop to read because it wants to ask more. */
static void pause_reading(mux_conn *conn)
{
    if (conn->calm.paused || !conn->blocked || !leaves_answers(conn, 1))
        return;
    conn->calm.paused = true;
    conn->stats->reads_paused++;
    want(conn);
}

static void go_on_reading(mux_conn *conn)
{
    if (!conn->calm.paused || leaves_answers(conn, 2))
        return;
    conn->calm.paused = false;
    want(conn);
}

/* Of bytes that are not HTTP/2.  A handshake of TLS begins with a record 22 of version 3.x (RFC
 * 8446, 5.1). */
static const char *foreign_words(const mux_conn *conn, const uint8_t *bytes, size_t len)
{
    return conn->is_server && len > 1 && bytes[0] == 22 && bytes[1] == 3
               ? "the client speaks TLS, and this port is plain text"
               : "the peer does not speak HTTP/2";
}

/* Of a peer that is gone.  A port with TLS hangs up on plain text before it has said anything. */
static const char *gone_words(const mux_conn *conn, cs_err err)
{
    bool is_mute = conn->front && !conn->front->tls && !conn->settled;
    if (err == CS_DONE)
        return is_mute ? "the peer closed the connection without a word; does it want TLS?"
                       : "the peer closed the connection";
    return is_mute ? "the connection was reset without a word; does the peer want TLS?"
                   : "the connection was reset";
}

static void link_ended(mux_conn *conn, cs_err err)
{
    bool drained = err == CS_DONE && conn->goaway;
    char story[MUX__TLS_WORDS]; /* what the link says goes with it */
    snprintf(story, sizeof story, "%s",
             drained                             ? "the server is going away"
             : err != CS_DONE && conn->link->why ? conn->link->why
                                                 : gone_words(conn, err));
    mux__conn_lost(conn, drained ? CS_EDRAIN : err == CS_EREFUSED ? err : CS_EPEER, story);
}

static void read_some(mux_conn *conn)
{
    pause_reading(conn);
    for (int i = 0; i < MUX__READS && conn->state == MUX__UP && !conn->calm.paused; i++) {
        size_t n = 0;
        if (!fresh_block(conn)) {
            mux__conn_lost(conn, CS_ENOMEM, "no memory to read");
            return;
        }
        cs_err err = mux__link_read(conn->link, cs_block_bytes(conn->block), MUX__READ, &n);
        if (err == CS_AGAIN)
            break;
        if (err != CS_OK) {
            link_ended(conn, err);
            return;
        }
        conn->stats->bytes_in += n;
        conn->bytes_in += n;
        mux__alive_heard(conn);
        if (conn->sniffs &&
            (err = mux__wire_sniff(conn, cs_block_bytes(conn->block), n)) != CS_OK) {
            if (err != CS_DONE)
                broke_rules(conn, err, "the client did not ask for HTTP/2 (ALPN h2)");
            return;
        }
        if ((err = mux__h2_feed(conn, cs_block_bytes(conn->block), n)) != CS_OK) {
            broke_rules(conn, err, foreign_words(conn, cs_block_bytes(conn->block), n));
            return;
        }
        mux__conn_flush_soon(conn);
        pause_reading(conn);
        if (n < MUX__READ)
            break;
    }
    mux__alive_look(conn);
    if (conn->block && cs_block_is_mine(conn->block)) {
        cs_block_drop(conn->block); /* an idle connection keeps no buffer */
        conn->block = NULL;
    }
    if (!cs_list_empty(&conn->fresh))
        cs_task_post(conn->loop, CS_REAP, &conn->settle);
}

void mux__conn_settle(cs_task *task)
{
    mux_conn *conn = CS_CONTAINER(task, mux_conn, settle);
    struct cs_link *link;
    conn->unpacked = 0;
    if (conn->handlers)
        conn->handlers->unpacked = 0;
    while ((link = cs_list_pop(&conn->fresh)))
        mux_rx_settle(CS_CONTAINER(link, struct mux_rx, fresh));
    if (conn->block && (conn->state != MUX__UP || cs_block_is_mine(conn->block))) {
        cs_block_drop(conn->block);
        conn->block = NULL;
    }
}

/* A peer that takes nothing more may have said something before, statuses for example. */
static void hear_last_words(mux_conn *conn)
{
    uint64_t before;
    do {
        before = conn->stats->bytes_in;
        read_some(conn);
    } while (conn->state == MUX__UP && conn->stats->bytes_in > before);
}

/* Writes what the batch holds; false: the kernel takes no more, or the link broke. */
static bool write_out(mux_conn *conn)
{
    struct mux__out *out = &conn->out;
    while (out->at < out->len) {
        size_t n = 0;
        cs_err err = mux__link_write(conn->link, out->iov + out->at, out->len - out->at, &n);
        if (err == CS_AGAIN) {
            conn->blocked = true;
            want(conn);
            return false;
        }
        if (err != CS_OK) {
            hear_last_words(conn);
            mux__conn_lost(conn, CS_EPEER, gone_words(conn, err));
            return false;
        }
        conn->stats->bytes_out += n;
        conn->bytes_out += n;
        mux__out_written(out, n);
    }
    mux__out_reset(out);
    return true;
}

void mux__conn_flush(cs_task *task)
{
    enum { BATCHES = 4 }; /* a turn; then others get theirs, and reading does */
    mux_conn *conn = CS_CONTAINER(task, mux_conn, flush);
    if (conn->state != MUX__UP || ((conn->blocked || conn->sniffs) && !conn->failed))
        return;
    for (int i = 0; i < BATCHES; i++) {
        if (conn->failed || !mux__out_ready(&conn->out)) {
            mux__conn_lost(conn, CS_ENOMEM, "no memory to write");
            return;
        }
        cs_err err = mux__h2_fill(conn);
        if (err != CS_OK) {
            broke_rules(conn, err, "the peer does not speak HTTP/2");
            return;
        }
        go_on_reading(conn);
        bool full = mux__out_full(&conn->out) || conn->out.len > MUX__OUT_IOV / 2 ||
                    conn->out.copied > MUX__OUT_COPIES / 2;
        if (!write_out(conn))
            return;
        if (mux__h2_is_over(conn)) {
            bool goes = conn->goaway || conn->roll >= MUX__LAST;
            if (!mux__roll_shuts(conn))
                mux__conn_lost(conn, goes ? CS_EDRAIN : CS_EPROTO,
                               goes ? "the server is going away"
                                    : "the peer broke the rules of HTTP/2");
            return;
        }
        if (!full && !mux__h2_has_more(conn))
            return;
        if (!full && i > 0)
            break;
    }
    if (mux__h2_has_more(conn)) {
        cs_task_post(conn->loop, CS_FLUSH, &conn->flush);
        cs_loop_heed(conn->loop); /* what it sent may be acknowledged */
    }
}

void mux__conn_flush_soon(mux_conn *conn)
{
    if (conn->state == MUX__UP && !conn->blocked)
        cs_task_post(conn->loop, CS_FLUSH, &conn->flush);
}

static void on_ready(int can, void *user)
{
    mux_conn *conn = user;
    if (can & CS_IO_WRITE) {
        conn->blocked = false;
        want(conn);
        if (conn->out.at < conn->out.len && !write_out(conn))
            return;
        mux__conn_flush_soon(conn);
    }
    if (can & CS_IO_READ)
        read_some(conn);
}

void mux__conn_listen(mux_conn *conn)
{
    mux__link_listen(conn->link, on_ready, conn);
    want(conn);
}
