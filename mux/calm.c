/* calm -- see calm__in.h: heads of frames are counted into buckets, and who makes one run over is cut.
 * So is whoever sends on a stream that was passed over.
 *
 * A bucket holds as many as its option says and leaks a tenth of that each second.  What does some
 * good pays: a stream for four of a kind, DATA that we sent for a PING each frame (clients measure so,
 * a round trip at a time) and for a WINDOW_UPDATE each KiB. */
#include "mux/mux__in.h"

#include <stdio.h>

enum {
    HEAD = 9,
    PREFACE = 24,
    ONE = 10000,     /* see struct mux__calm */
    EMPTY_MS = 10000 /* a tenth a second */
};
enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE };
enum { PROTOCOL_ERROR = 1 };
enum { CONTINUATION = 9, PRIORITY_UPDATE = 16 };
enum { END_STREAM = 1, END_HEADERS = 4, PADDED = 8 };
enum pays { NOTHING, STREAMS, FRAMES, BYTES };

/* In the order of enum mux__bucket. */
static const struct row {
    size_t option, counter;
    const char *words, *goaway;
    enum pays pays;
} rows[] = {
#define ROW(option, counter, pays)                                                                 \
    {                                                                                              \
        offsetof(struct mux_options, option), offsetof(struct mux_stats, counter), #option,        \
            #option, pays                                                                          \
    }
    ROW(resets_max, cut_resets, NOTHING),
    ROW(faults_max, cut_faults, NOTHING),
    ROW(settings_max, cut_settings, NOTHING),
    /* The text that clients of gRPC know: they ping less from then on (gRFC A8). */
    {offsetof(struct mux_options, pings_max), offsetof(struct mux_stats, cut_pings), "pings_max",
     "too_many_pings", FRAMES},
    ROW(empty_data_max, cut_empty_data, NOTHING),
    ROW(priorities_max, cut_priorities, FRAMES),
    ROW(window_updates_max, cut_window_updates, BYTES),
    ROW(unknown_max, cut_unknown, STREAMS),
    ROW(continuations_max, cut_continuations, NOTHING),
    ROW(header_timeout_ms, header_timeouts, NOTHING),
#undef ROW
};

void mux__calm_begin(mux_conn *conn)
{
    conn->ids = (struct mux__ids){0};
    conn->calm = (struct mux__calm){.left = conn->is_server ? PREFACE : 0};
}

/* ---- Cutting -------------------------------------------------------------------------------- */

void mux__calm_cut(mux_conn *conn, int row)
{
    enum { CLOSE_MS = 1000 }; /* closed at once, what he has not read would be lost to him */
    const struct row *r = &rows[row];

    if (conn->calm.cut)
        return;
    conn->calm.cut = true;
    ++*(uint64_t *)((char *)conn->stats + r->counter);
    if (conn->is_server)
        cs_log(CS_INFO, "mux", "connection of %.*s: cut: beyond %s", CS_FMT(conn->link->peer.addr),
               r->words);
    snprintf(conn->calm_words, sizeof conn->calm_words, "the peer went beyond %s", r->words);
    mux__h2_enough(conn, r->goaway);
    mux__alive_close(conn, conn->is_server ? CLOSE_MS : 1);
    mux__conn_flush_soon(conn);
}

static uint64_t paid(const struct mux__calm *calm, enum pays pays)
{
    const uint64_t all[] = {[NOTHING] = 0,
                            [STREAMS] = calm->streams,
                            [FRAMES] = 4 * calm->streams + calm->frames,
                            [BYTES] = 4 * calm->streams + calm->bytes / 1024};

    return all[pays];
}

void mux__calm_take(mux_conn *conn, enum mux__bucket bucket)
{
    const struct row *r = &rows[bucket];
    struct mux__calm *calm = &conn->calm;
    int64_t max = *(const int64_t *)((const char *)&conn->opt + r->option);
    int64_t now = cs_loop_now_ms(conn->loop), spent = calm->buckets[bucket].spent, credit;

    if (max == CS_OFF || calm->cut)
        return;
    if (max > INT32_MAX)
        max = INT32_MAX;
    credit = (int64_t)(paid(calm, r->pays) - calm->buckets[bucket].paid);
    if (r->pays != STREAMS && credit > max)
        credit = max; /* what was good long ago is no leave to flood */
    if (spent > 0) {
        int64_t ms = now - calm->buckets[bucket].at_ms;
        int64_t leaked = (ms < EMPTY_MS ? ms : EMPTY_MS) * max;

        spent = spent > leaked ? spent - leaked : 0;
    }
    spent -= credit * ONE;
    if (spent < 0 && r->pays != STREAMS)
        spent = 0;
    calm->buckets[bucket].spent = spent + ONE;
    calm->buckets[bucket].at_ms = now;
    calm->buckets[bucket].paid = paid(calm, r->pays);
    if (spent + ONE > max * ONE)
        mux__calm_cut(conn, (int)bucket);
}

/* ---- Frames --------------------------------------------------------------------------------- */

static void block_begins(mux_conn *conn, uint8_t flags)
{
    MUX__CALM_OPENED(conn);
    conn->calm.in_block = !(flags & END_HEADERS);
    conn->calm.blocks = 0;
    if (conn->calm.in_block)
        conn->calm.block_ms = cs_loop_now_ms(conn->loop);
}

static void block_goes_on(mux_conn *conn, uint8_t flags)
{
    conn->calm.in_block = !(flags & END_HEADERS);
    if (conn->opt.continuations_max != CS_OFF && ++conn->calm.blocks > conn->opt.continuations_max)
        mux__calm_cut(conn, MUX__CONTINUATIONS);
}

/* `pad`: what stands behind the head of a padded frame. */
static void on_frame(mux_conn *conn, uint32_t len, uint8_t type, uint8_t flags, uint8_t pad)
{
    conn->calm.met = true;
    switch (type) {
    case DATA:
        if (!(flags & END_STREAM) && (len == 0 || (flags & PADDED && len <= 1 + (uint32_t)pad)))
            mux__calm_take(conn, MUX__EMPTY_DATA);
        break;
    case HEADERS:
        block_begins(conn, flags);
        break;
    case CONTINUATION:
        block_goes_on(conn, flags);
        break;
    case SETTINGS:
    case GOAWAY:
        mux__calm_take(conn, MUX__SETTINGS);
        break;
    case PING:
        mux__calm_take(conn, MUX__PINGS);
        break;
    case PRIORITY:
    case PRIORITY_UPDATE:
        mux__calm_take(conn, MUX__PRIORITIES);
        break;
    case WINDOW_UPDATE:
        mux__calm_take(conn, MUX__WINDOW_UPDATES);
        break;
    default: /* RST_STREAM too: the stream that it resets has paid for it, however long ago */
        mux__calm_take(conn, MUX__UNKNOWN);
    }
}

static uint32_t length(const uint8_t *head)
{
    return (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
}

static size_t head_bytes(const uint8_t *head)
{
    return head[3] == DATA && head[4] & PADDED && length(head) > 0 ? HEAD + 1 : HEAD;
}

/* On which stream it is; RFC 9113, 5.1, 5.1.1 and 6.3.  Of unknown kinds nothing is asked (4.1). */
static void on_stream(mux_conn *conn, const uint8_t *head)
{
    uint32_t id = (uint32_t)(head[5] & 0x7f) << 24 | (uint32_t)head[6] << 16 |
                  (uint32_t)head[7] << 8 | head[8];

    if (head[3] == HEADERS && conn->is_server)
        mux__ids_opened(&conn->ids, id);
    if (head[3] == PRIORITY ? id == 0
                            : conn->ids.len > 0 && head[3] <= CONTINUATION &&
                                  mux__ids_passed_over(&conn->ids, id)) {
        mux__h2_breach(conn, PROTOCOL_ERROR);
        mux__conn_flush_soon(conn);
    }
}

/* Of a head that came in pieces; answers how many bytes were its. */
static size_t gather(mux_conn *conn, const uint8_t *bytes, size_t len)
{
    struct mux__calm *calm = &conn->calm;
    size_t at = 0;

    while (at < len && (calm->have < HEAD || calm->have < head_bytes(calm->head)))
        calm->head[calm->have++] = bytes[at++];
    if (calm->have < HEAD || calm->have < head_bytes(calm->head))
        return at;
    calm->left = length(calm->head) - (calm->have - HEAD);
    calm->have = 0;
    on_stream(conn, calm->head);
    on_frame(conn, length(calm->head), calm->head[3], calm->head[4], calm->head[HEAD]);
    return at;
}

void mux__calm_feed(mux_conn *conn, const uint8_t *bytes, size_t len)
{
    struct mux__calm *calm = &conn->calm;
    size_t at = 0, n;

    while (at < len && !calm->cut) {
        const uint8_t *head = bytes + at;

        if (calm->left > 0) {
            n = calm->left < len - at ? calm->left : len - at;
            calm->left -= (uint32_t)n;
            at += n;
        } else if (calm->have > 0 || len - at <= HEAD) {
            at += gather(conn, head, len - at);
        } else {
            calm->left = length(head);
            at += HEAD;
            on_stream(conn, head);
            if (head[3] != DATA || calm->left == 0 || head[4] & PADDED)
                on_frame(conn, calm->left, head[3], head[4], head[HEAD]);
        }
    }
}
