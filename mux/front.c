/* front -- what mux_dial() gives: connections to one address, and calls that wait for a place.
 *
 *     open ──▶ waiting ──▶ a connection that stands, takes calls, and has a place left
 *                 ▲   │
 *                 │   └──▶ over: nobody answers there, or no place became free in time
 *                 └─── not written yet when the connection shrank or went away (recall)
 *
 * nghttp2 would queue what the peer's limit does not let out, without a word and without end; so
 * nothing is given to it that cannot go.  The main connection is the object that the user holds,
 * the others are its siblings, dialed one at a time when all that stand are full or going away.  A
 * sibling that is lost goes; the main one waits to be dialed again. */
#include "mux/lasting.h"
#include "mux/mux__in.h"

#include <stdio.h>

enum {
    FIRST_FLIGHT = 100, /* calls before the peer has said how many it allows (RFC 9113, 6.5.2) */
    AGAIN_MS = 100, /* from one failed dial to the next: doubled each time, a fifth more or less */
    AGAIN_MAX_MS = 5000
};

static void place(cs_task *task);

static void on_timer(void *user)
{
    place(&((struct mux__front *)user)->place);
}

cs_err mux__front_new(mux_conn *conn)
{
    struct mux__front *front = cs_zalloc(sizeof *front);
    if (!front)
        return CS_ENOMEM;
    if (cs_timer_new(conn->loop, on_timer, front, &front->timer) != CS_OK) {
        cs_free(front);
        return CS_ENOMEM;
    }
    front->main = conn;
    front->full_ms = CS_OFF;
    cs_list_init(&front->siblings);
    cs_list_init(&front->waiting);
    cs_list_init(&front->unaries);
    cs_task_init(&front->place, place);
    conn->front = front;
    return CS_OK;
}

void mux__front_free(struct mux__front *front)
{
    cs_task_drop(&front->place);
    cs_timer_free(front->timer);
    mux__handlers_drop(front->local);
    mux__tls_drop(front->local_tls);
    mux__tls_drop(front->tls);
    cs_free(front->tls_words);
    cs_free(front->there);
    cs_free(front);
}

mux_conn *mux__front_next(const struct mux__front *front, const mux_conn *conn)
{
    struct cs_link *link = conn == front->main ? cs_list_first(&front->siblings)
                                               : cs_list_next(&front->siblings, &conn->link_in);
    return link ? CS_CONTAINER(link, mux_conn, link_in) : NULL;
}

/* ---- Places --------------------------------------------------------------------------------- */

/* It stands, and takes calls now or later. */
static bool takes(const mux_conn *conn)
{
    return conn->state == MUX__UP && !conn->goaway && !conn->spent;
}

static uint32_t limit_of(const mux_conn *conn)
{
    if (conn->settled)
        return mux__h2_streams_max(conn);
    uint32_t seen = conn->front->limit; /* a sibling will be told what its elder was */
    return seen > 0 && seen < FIRST_FLIGHT ? seen : FIRST_FLIGHT;
}

static mux_conn *roomy(const struct mux__front *front)
{
    mux_conn *conn = front->main;
    while (conn && !(takes(conn) && conn->open < limit_of(conn)))
        conn = mux__front_next(front, conn);
    return conn;
}

mux_conn *mux__front_standing(const struct mux__front *front)
{
    mux_conn *conn = front->main;
    while (conn && !takes(conn))
        conn = mux__front_next(front, conn);
    return conn;
}

static void wait_first(mux_stream *stream)
{
    struct mux__front *front = stream->conn->front;
    cs_unlink(&stream->link_in);
    cs_list_push_front(&front->waiting, &stream->link_in);
    stream->conn = front->main;
    stream->waits = true;
}

static void move_to(mux_stream *stream, mux_conn *conn)
{
    cs_unlink(&stream->link_in);
    cs_list_push(&conn->streams, &stream->link_in);
    stream->conn = conn;
    stream->waits = false;
}

void mux__front_give_up(mux_stream *stream)
{
    move_to(stream, stream->conn);
}

static void tell_calls(mux_conn *conn)
{
    if (!conn->told)
        cs_task_post(conn->loop, CS_CALL, &conn->rolled);
    conn->told = true;
}

void mux__front_spent(mux_conn *conn)
{
    conn->spent = true;
    tell_calls(conn);
    mux__conn_stream_gone(conn);
}

/* CS_AGAIN: the connection's ids are used up; the stream waits, first in line. */
static cs_err put(mux_stream *stream, mux_conn *conn)
{
    move_to(stream, conn);
    cs_err err = mux__call_request(stream);
    if (err == CS_AGAIN) {
        wait_first(stream);
        mux__front_spent(conn);
        return err;
    }
    if (++conn->calls == conn->opt.calls_max)
        mux__front_spent(conn);
    stream->born_ms = (uint32_t)cs_loop_now_ms(conn->loop);
    mux__conn_flush_soon(conn);
    return err;
}

static void place_all(struct mux__front *front)
{
    struct cs_link *link;
    mux_conn *conn;
    while ((link = cs_list_first(&front->waiting)) && (conn = roomy(front))) {
        mux_stream *stream = CS_CONTAINER(link, mux_stream, link_in);
        cs_err err = put(stream, conn);
        if (err != CS_OK && err != CS_AGAIN)
            mux__stream_over(stream, err, NULL);
    }
}

/* ---- Dialing -------------------------------------------------------------------------------- */

static bool may_dial(const struct mux__front *front)
{
    int64_t max = front->main->opt.connections_max, n = 0;
    for (const mux_conn *conn = front->main; conn; conn = mux__front_next(front, conn)) {
        if (conn->state == MUX__DIALING || (takes(conn) && !conn->settled))
            return false; /* one at a time: it may be enough */
        n += takes(conn);
    }
    return n < max && cs_loop_now_ms(front->main->loop) >= front->again_ms;
}

int mux__pause_ms(int first, int max, unsigned n)
{
    int ms = first;
    uint32_t random = UINT32_MAX / 2;
    (void)cs_random(&random, sizeof random); /* without it nothing but the spread is lost */
    while (n-- > 0 && ms < max)
        ms *= 2;
    if (ms > max)
        ms = max;
    return ms - ms / 5 + (int)(random % (uint32_t)(2 * ms / 5 + 1));
}

static void pause_dials(struct mux__front *front, unsigned n)
{
    front->again_ms = cs_loop_now_ms(front->main->loop) + mux__pause_ms(AGAIN_MS, AGAIN_MAX_MS, n);
}

/* Nobody was reached.  Who waits for a full connection to get a place goes on waiting, and so do
 * calls that wait for ready; the others are told. */
static void failed(struct mux__front *front, cs_err why, const char *story)
{
    struct cs_link *link, *next;
    pause_dials(front, front->failures++);
    for (link = mux__front_standing(front) ? NULL : cs_list_first(&front->waiting); link;
         link = next) {
        mux_stream *stream = CS_CONTAINER(link, mux_stream, link_in);
        next = cs_list_next(&front->waiting, link);
        if (!stream->patient)
            mux__stream_broken(stream, why, story);
    }
}

static void dial(struct mux__front *front)
{
    mux_conn *conn = front->main;
    cs_err err = conn->state == MUX__IDLE ? CS_OK : mux__conn_sibling(front, &conn);
    if (err == CS_OK)
        err = mux__conn_dial(conn);
    if (err == CS_OK)
        return;
    failed(front, err, err == CS_EREFUSED ? "the connection is gone" : cs_strerror(err));
    if (conn != front->main)
        mux_conn_free(conn);
}

/* ---- Waiting -------------------------------------------------------------------------------- */

/* Milliseconds that a call has left to find all connections full; -1: any number. */
static int64_t patience(const struct mux__front *front, const mux_stream *stream)
{
    int64_t now = cs_loop_now_ms(front->main->loop), full = now - front->full_ms;
    int64_t waited = (uint32_t)now - stream->born_ms;
    if (stream->patient || front->main->opt.dial_timeout_ms == CS_OFF)
        return -1;
    if (waited > full)
        waited = full;
    return waited < front->main->opt.dial_timeout_ms ? front->main->opt.dial_timeout_ms - waited
                                                     : 0;
}

static void no_place(struct mux__front *front, mux_stream *stream)
{
    unsigned n = 0;
    char story[128];
    for (mux_conn *conn = front->main; conn; conn = mux__front_next(front, conn))
        n += takes(conn);
    snprintf(story, sizeof story,
             "the server allows %u streams a connection, and %u connection%s full",
             limit_of(mux__front_standing(front)), n, n == 1 ? " is" : "s are");
    front->main->stats->streams_no_place++;
    mux__stream_broken(stream, CS_ELIMIT, story);
}

/* Ends those whose patience is over; answers in how many milliseconds the next one's is, or -1. */
static int64_t end_impatient(struct mux__front *front)
{
    struct cs_link *link, *next;
    for (link = cs_list_first(&front->waiting); link; link = next) {
        mux_stream *stream = CS_CONTAINER(link, mux_stream, link_in);
        int64_t left = patience(front, stream);
        next = cs_list_next(&front->waiting, link);
        if (left > 0)
            return left; /* they stand in order */
        if (left == 0)
            no_place(front, stream);
    }
    return -1;
}

static void watch(struct mux__front *front)
{
    int64_t now = cs_loop_now_ms(front->main->loop), left = -1;
    bool dialing = false;
    for (mux_conn *conn = front->main; conn; conn = mux__front_next(front, conn))
        dialing = dialing || conn->state == MUX__DIALING;
    if (cs_list_empty(&front->waiting) || !mux__front_standing(front))
        front->full_ms = CS_OFF;
    else {
        if (front->full_ms == CS_OFF)
            front->full_ms = now;
        if (!dialing) /* else it may be over at any moment, and has a limit of its own */
            left = end_impatient(front);
    }
    if (!cs_list_empty(&front->waiting) && !dialing && front->again_ms > now &&
        (left < 0 || front->again_ms - now < left))
        left = front->again_ms - now;
    cs_timer_set(front->timer, left < 0 ? CS_OFF : left < INT32_MAX ? (int)left : INT32_MAX);
}

static void place(cs_task *task)
{
    struct mux__front *front = CS_CONTAINER(task, struct mux__front, place);
    if (front->main->freed)
        return;
    place_all(front);
    if (!cs_list_empty(&front->waiting) && may_dial(front)) {
        dial(front);
        place_all(front); /* inside the process it stands at once */
    }
    watch(front);
}

static void place_soon(struct mux__front *front)
{
    if (!cs_list_empty(&front->waiting))
        cs_task_post(front->main->loop, CS_CALL, &front->place);
}

/* ---- What happens to it --------------------------------------------------------------------- */

cs_err mux__front_open(mux_stream *stream)
{
    struct mux__front *front = stream->conn->front;
    mux_conn *conn = cs_list_empty(&front->waiting) ? roomy(front) : NULL;
    if (conn) {
        cs_err err = put(stream, conn);
        if (err != CS_AGAIN)
            return err;
    } else {
        cs_unlink(&stream->link_in);
        cs_list_push(&front->waiting, &stream->link_in);
        stream->waits = true;
    }
    if (!stream->patient && !mux__front_standing(front))
        front->again_ms = 0; /* who does not wait for ready is answered by a dial of its own */
    place_soon(front);
    return CS_OK;
}

/* The last `n` of the calls that nghttp2 has not begun to write: they wait again, and first. */
static void recall(mux_conn *conn, uint32_t n)
{
    struct cs_link *link, *before;
    for (link = cs_list_last(&conn->streams); link && n > 0; link = before) {
        mux_stream *stream = CS_CONTAINER(link, mux_stream, link_in);
        before = link->prev == &conn->streams.head ? NULL : link->prev;
        if (stream->over || stream->request_out)
            continue;
        mux__h2_detach(stream);
        mux__h2_reset(stream, false);
        stream->id = 0;
        stream->reserved = 0;
        stream->submitted = false;
        wait_first(stream);
        n--;
    }
}

void mux__front_settings(mux_conn *conn)
{
    struct mux__front *front = conn->front;
    if (!front)
        return;
    conn->settled = true;
    front->met = true;
    front->limit = mux__h2_streams_max(conn);
    front->failures = 0;
    front->again_ms = 0;
    if (conn->open > front->limit)
        recall(conn, conn->open - front->limit);
    place_soon(front);
}

bool mux_conn_was_met(const mux_conn *conn)
{
    return conn->front && conn->front->met;
}

void mux__front_goaway(mux_conn *conn, bool tired_of_pings)
{
    if (!conn->front)
        return;
    /* The second in a row that answers nothing is as a dial that failed: else a server could make us
     * dial without end. */
    if (!conn->told && !conn->answers && conn->front->turned_away++ > 0)
        pause_dials(conn->front, conn->front->turned_away - 2);
    struct mux_options *opt = &conn->front->main->opt;
    if (tired_of_pings && opt->ping_interval_ms != CS_OFF && opt->ping_interval_ms < INT32_MAX / 2)
        opt->ping_interval_ms *= 2; /* of the connections that follow */
    tell_calls(conn);
    recall(conn, UINT32_MAX);
    place_soon(conn->front);
}

void mux__front_answered(mux_conn *conn)
{
    conn->answers = true;
    if (conn->front)
        conn->front->turned_away = 0;
}

void mux__front_closed(mux_conn *conn)
{
    if (!conn->front)
        return;
    conn->open--;
    place_soon(conn->front);
}

void mux__front_lost(mux_conn *conn, bool settled, cs_err why, const char *story)
{
    struct mux__front *front = conn->front;
    if (!front || front->main->freed)
        return;
    if (!settled)
        failed(front, why, story);
    place_soon(front);
}

bool mux__front_is_empty(const struct mux__front *front)
{
    return front->siblings_len == 0 && cs_list_empty(&front->unaries);
}

void mux__front_end(struct mux__front *front, cs_err why, const char *story)
{
    struct cs_link *link;
    while ((link = cs_list_first(&front->waiting)))
        mux__stream_over(CS_CONTAINER(link, mux_stream, link_in), why, story);
    for (link = cs_list_first(&front->siblings); link;
         link = cs_list_next(&front->siblings, link)) {
        mux_conn *sibling = CS_CONTAINER(link, mux_conn, link_in);
        sibling->end_why = why;
        mux_conn_free(sibling);
    }
    cs_timer_set(front->timer, CS_OFF);
    mux__unaries_end(front);
}
