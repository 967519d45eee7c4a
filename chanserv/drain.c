/* drain -- a server that goes, and breaks nothing that its grace leaves time for.
 *
 *      SERVES ──▶ DRAINS ───────────────▶ ENDS ───────────────▶ OVER
 *                 no new posts            the grace is over:    nothing is left, or
 *                                         all ends `draining`   half a second went by
 *                    └── nothing runs any more ──────────────────────▶
 *
 * While it drains, each connection is rolled over (mux/roll.h) as soon as no ticket can come of it
 * any more: no post that it carried is open, none has a source that nobody opened.  Who comes anew
 * comes to open or to take up what was here, and may as long as there is anything.  At half the
 * grace all go, and with the last one the listeners.
 *
 * It is looked at now and then, so that nothing is asked of a server that does not drain. */
#include "chanserv/loops__in.h"
#include "chanserv/session__in.h"

#include "mux/across.h"
#include "mux/keep.h"
#include "mux/lasting.h"
#include "mux/roll.h"

enum { LOOK_MS = 20, LAST_WORDS_MS = 500, SAME_MS = 100 };

/* ---- What still runs ------------------------------------------------------------------------ */

/* One of which all has arrived waits to be forgotten, and for nothing else. */
static bool channel_runs(const struct chanserv__channel *channel)
{
    const mux_keep *keep =
        chanserv__channel_stream(channel) ? mux_stream_kept(channel->stream) : NULL;

    return chanserv__channel_post(channel) || chanserv__channel_outlet(channel) ||
           (keep && mux_keep_bytes(keep) > 0);
}

static bool session_runs(const struct chanserv__session *session)
{
    size_t at = 0;
    void *channel;

    while (cs_row_each(&session->channels, &at, &channel))
        if (channel_runs(channel))
            return true;
    return false;
}

static bool one_runs(const struct cs_list *sessions)
{
    struct cs_link *link = cs_list_first(sessions);

    while (link && !session_runs(CS_CONTAINER(link, struct chanserv__session, link)))
        link = cs_list_next(sessions, link);
    return link != NULL;
}

/* Connections that go stand until their last call has ended, whatever it is. */
static bool nothing_runs(const chanserv_server *server)
{
    return cs_list_empty(&server->posts) &&
           mux_handlers_stats(server->handlers)->connections == 0 && !one_runs(&server->attached) &&
           !one_runs(&server->lingering);
}

/* His connection takes no more calls; or it is of another loop, and there all do so. */
static bool its_client_goes(const struct chanserv__session *session)
{
    return mux_stream_is_across(session->stream)
               ? chanserv__loops_shut(session->server)
               : mux_conn_takes_none(mux_stream_conn(session->stream));
}

/* A session moves with its channels; one that has none that run is no reason to stay. */
static void end_idle_sessions(chanserv_server *server)
{
    struct cs_link *link, *next;

    for (link = cs_list_first(&server->attached); link; link = next) {
        struct chanserv__session *session = CS_CONTAINER(link, struct chanserv__session, link);

        next = cs_list_next(&server->attached, link);
        if (!session_runs(session) && (server->dying || its_client_goes(session)))
            chanserv__session_shut(session);
    }
}

/* ---- Connections go ------------------------------------------------------------------------- */

struct tour {
    chanserv_server *server;
    struct cs_map held; /* numbers of connections that tickets may still come of */
    size_t found, stay; /* of these: that stand; connections that do not go yet */
    size_t across;      /* posts of other loops' connections that tickets may come of */
    bool all, wanted;   /* half the grace is over; tickets or sessions are there to be taken, */
    bool elsewhere;     /* on another loop, by connections of this one */
};

static bool may_be_opened(const chanserv_post *post)
{
    return (post->stream && !post->closing) || post->unopened > 0;
}

/* CS_ENOMEM: all of them, until the next look. */
static cs_err find_held(chanserv_server *server, struct tour *tour)
{
    struct cs_link *link = cs_list_first(&server->posts);
    cs_err err = CS_OK;

    for (; link && err != CS_ENOMEM; link = cs_list_next(&server->posts, link)) {
        chanserv_post *post = CS_CONTAINER(link, chanserv_post, link);

        if (!may_be_opened(post))
            continue;
        if (post->connection == 0)
            tour->across++;
        else
            err = cs_map_put(&tour->held, post->connection, post);
    }
    atomic_store(&server->at.held, tour->across);
    return err == CS_ENOMEM ? err : CS_OK;
}

static void perhaps_roll(mux_conn *conn, void *user)
{
    struct tour *tour = user;
    const uint64_t number = mux_conn_number(conn);
    const bool held = cs_map_get(&tour->held, number) != NULL;
    const bool came_anew = number > tour->server->drain.before;

    tour->found += held;
    if (!tour->all && (held || tour->elsewhere || (came_anew && tour->wanted)))
        tour->stay++;
    else
        mux_conn_roll(conn);
}

static void shut(chanserv_server *server)
{
    for (size_t i = 0; i < server->ports_len; i++)
        mux_port_shut(server->ports[i]);
    mux_handlers_shut_local(server->handlers);
    server->drain.shut = true;
    atomic_store(&server->at.shut, true);
}

/* The first listens for all of them. */
static bool others_let_shut(const chanserv_server *server)
{
    return server->at.number > 0 || chanserv__loops_shut(server);
}

static void go_on(chanserv_server *server, bool all)
{
    struct tour tour = {.server = server, .all = all};
    const bool away = one_runs(&server->lingering);

    if (find_held(server, &tour) == CS_OK || all) {
        tour.elsewhere = chanserv__loops_held(server) > 0;
        tour.wanted = tour.held.len > 0 || tour.across > 0 || away;
        for (size_t i = 0; i < server->ports_len; i++)
            mux_port_each(server->ports[i], perhaps_roll, &tour);
        mux_handlers_each_local(server->handlers, perhaps_roll, &tour);
        /* Tickets and sessions whose connection is gone can be taken by another one. */
        if (all || (tour.stay == 0 && tour.found == tour.held.len && tour.across == 0 && !away &&
                    others_let_shut(server)))
            shut(server);
    }
    cs_map_fini(&tour.held);
    end_idle_sessions(server);
}

/* The first goes last. */
static bool is_done(const chanserv_server *server)
{
    return nothing_runs(server) && (server->at.number > 0 || chanserv__loops_over(server));
}

/* ---- Its steps ------------------------------------------------------------------------------ */

static void tell(chanserv_server *server, bool over)
{
    if (server->options.drains)
        server->options.drains(over, server->options.drains_user);
}

static void over(chanserv_server *server)
{
    server->drain.stage = CHANSERV__DRAINED;
    atomic_store(&server->at.over, true);
    CS_TRACE("server > drained");
    if (server->ran)
        cs_loop_stop(server->loop);
    tell(server, true);
}

static void end(chanserv_server *server, int64_t now)
{
    server->drain.stage = CHANSERV__ENDS;
    server->drain.end_ms = now + LAST_WORDS_MS;
    chanserv__server_tell_all(server);
    go_on(server, true);
}

void chanserv__drain_look(void *user)
{
    chanserv_server *server = user;
    struct chanserv__drain *drain = &server->drain;
    const int64_t now = cs_loop_now_ms(server->loop);

    if (!drain->told) {
        drain->told = true;
        tell(server, false);
        if (server->freed)
            return;
    }
    if (drain->stage == CHANSERV__ENDS) {
        end_idle_sessions(server);
        if (now >= drain->end_ms || is_done(server)) {
            over(server);
            return;
        }
    } else if (now >= drain->end_ms) {
        end(server, now);
    } else {
        go_on(server, now >= drain->half_ms);
        if (drain->shut && is_done(server)) {
            chanserv__server_tell_all(server);
            over(server);
            return;
        }
    }
    cs_timer_set(drain->timer, LOOK_MS);
}

void chanserv_server_drain(chanserv_server *server, int grace_ms)
{
    struct chanserv__drain *drain = &server->drain;
    const int64_t now = cs_loop_now_ms(server->loop);
    const int64_t grace = grace_ms == 0 ? server->options.grace_ms : grace_ms < 0 ? 0 : grace_ms;

    if (server->dying)
        return;
    if (drain->stage == CHANSERV__SERVES) {
        drain->since_ms = now;
        CS_TRACE("server > drains, %lld ms at most", (long long)grace);
        drain->stage = CHANSERV__DRAINS;
        drain->before = mux_handlers_stats(server->handlers)->connections_total;
        drain->half_ms = drain->end_ms = INT64_MAX;
        chanserv__services_changed(server);
    }
    if (now + grace < drain->end_ms) {
        drain->half_ms = now + grace / 2;
        drain->end_ms = now + grace;
    }
    cs_timer_set(drain->timer, 0);
    if (server->loops && server->at.number == 0) {
        struct tour tour = {.server = server};

        (void)find_held(server, &tour); /* the others look at it */
        cs_map_fini(&tour.held);
        chanserv__loops_drain(server, grace > 0 ? (int)grace : CS_OFF);
    }
}

/* The first drains, the second ends it.  One that follows at once is the same (timeout(1) sends it
 * to its child, and to its group). */
bool chanserv__drain_signal(chanserv_server *server)
{
    if (server->freed)
        return false;
    if (server->drain.stage == CHANSERV__SERVES) {
        chanserv_server_drain(server, 0);
        return true;
    }
    return server->drain.stage != CHANSERV__DRAINED &&
           cs_loop_now_ms(server->loop) - server->drain.since_ms < SAME_MS;
}
