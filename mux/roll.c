/* roll -- see roll.h: a server's connection goes, and nothing that was on its way is lost.  Of a client's,
 * its age and who is told. */
#include "mux/roll.h"

#include "mux/mux__in.h"

/* A round trip is all that NOTICE waits for, and a peer that has heard GOAWAY hangs up by itself: a
 * second is for those who do not. */
enum { NOTICE_MS = 1000, SHUT_MS = 1000 };

static void on_timer(void *user);

static bool has_timer(mux_conn *conn)
{
    return conn->roll_timer || cs_timer_new(conn->loop, on_timer, conn, &conn->roll_timer) == CS_OK;
}

/* ---- The steps ------------------------------------------------------------------------------ */

static void last(mux_conn *conn)
{
    conn->roll = MUX__LAST;
    conn->last_id = mux__h2_last(conn);
    if (conn->roll_timer)
        cs_timer_set(conn->roll_timer, CS_OFF);
    cs_task_post(conn->loop, CS_CALL, &conn->rolled); /* nghttp2 may be on the stack */
    mux__conn_flush_soon(conn);
}

static void notice(mux_conn *conn)
{
    conn->roll = MUX__NOTICE;
    conn->stats->connections_rolled++;
    if (!has_timer(conn)) { /* then at once: what is refused never ran */
        last(conn);
        return;
    }
    cs_timer_set(conn->roll_timer, NOTICE_MS);
    mux__h2_notice(conn);
    mux__conn_flush_soon(conn);
}

/* Who has said nothing yet may be about to, and is told in the words of what he speaks. */
static void begin(mux_conn *conn)
{
    if (conn->sniffs) {
        conn->roll = MUX__DUE;
        if (has_timer(conn))
            cs_timer_set(conn->roll_timer, NOTICE_MS);
    } else if (conn->wire) {
        conn->roll = MUX__LAST;
        conn->stats->connections_rolled++;
        if (conn->roll_timer)
            cs_timer_set(conn->roll_timer, CS_OFF);
        mux__wire_roll(conn->wire);
    } else {
        notice(conn);
    }
}

static void on_timer(void *user)
{
    mux_conn *conn = user;

    if (!conn->is_server)
        mux__front_spent(conn);
    else if (conn->roll == MUX__OPEN)
        mux_conn_roll(conn); /* it is old */
    else if (conn->roll == MUX__DUE)
        mux__conn_lost(conn, CS_EDRAIN, "it said nothing, and was rolled over");
    else if (conn->roll == MUX__NOTICE)
        last(conn);
    else
        mux__conn_lost(conn, CS_EDRAIN, "it was rolled over");
}

void mux__roll_answered(mux_conn *conn)
{
    if (conn->roll == MUX__NOTICE)
        last(conn);
}

/* A link that is closed while its peer still talks may be reset, and take along what he has not
 * read yet. */
bool mux__roll_shuts(mux_conn *conn)
{
    if (conn->roll == MUX__LAST && conn->roll_timer) {
        conn->roll = MUX__SHUT;
        cs_timer_set(conn->roll_timer, SHUT_MS);
    }
    return conn->roll == MUX__SHUT;
}

void mux__roll_tell(cs_task *task)
{
    mux_conn *conn = CS_CONTAINER(task, mux_conn, rolled);
    struct cs_link *link, *next;

    for (link = cs_list_first(&conn->streams); link; link = next) {
        mux_stream *stream = CS_CONTAINER(link, mux_stream, link_in);

        next = cs_list_next(&conn->streams, link);
        if (!stream->over && stream->ops && stream->ops->rolled)
            stream->ops->rolled(stream, stream->state);
    }
}

/* ---- When ----------------------------------------------------------------------------------- */

/* A tenth more or less, so that what was dialed at the same time does not come back so. */
static int about(int ms)
{
    uint32_t random = UINT32_MAX / 2;

    (void)cs_random(&random, sizeof random); /* without it nothing but the spread is lost */
    return (int)(ms - ms / 10 + (int64_t)(random % (2 * (uint32_t)(ms / 10) + 1)));
}

void mux__roll_up(mux_conn *conn)
{
    if (conn->is_server && !conn->is_across)
        conn->number = conn->stats->connections_total;
    if (conn->roll == MUX__DUE)
        begin(conn);
    else if (conn->opt.connection_age_ms != CS_OFF && has_timer(conn))
        cs_timer_set(conn->roll_timer, about(conn->opt.connection_age_ms));
}

void mux__roll_met(mux_conn *conn)
{
    if (conn->roll == MUX__DUE)
        notice(conn);
}

void mux__roll_stop(mux_conn *conn)
{
    cs_task_drop(&conn->rolled);
    if (conn->roll_timer)
        cs_timer_set(conn->roll_timer, CS_OFF);
}

void mux_conn_roll(mux_conn *conn)
{
    if (!conn->is_server || conn->freed || conn->roll != MUX__OPEN)
        return;
    if (conn->state == MUX__UP)
        begin(conn);
    else if (conn->state == MUX__DIALING)
        conn->roll = MUX__DUE;
}

bool mux_conn_takes_none(const mux_conn *conn)
{
    return conn->roll >= MUX__LAST;
}

uint64_t mux_conn_number(const mux_conn *conn)
{
    return conn->number;
}

void mux__conns_each(struct cs_list *conns, mux_conn_fn *fn, void *user)
{
    struct cs_link *link, *next;

    for (link = cs_list_first(conns); link; link = next) {
        mux_conn *conn = CS_CONTAINER(link, mux_conn, link_in);

        next = cs_list_next(conns, link);
        if (conn->state == MUX__UP)
            fn(conn, user);
    }
}

void mux__conns_roll(struct cs_list *conns)
{
    struct cs_link *link;

    for (link = cs_list_first(conns); link; link = cs_list_next(conns, link))
        mux_conn_roll(CS_CONTAINER(link, mux_conn, link_in));
}
