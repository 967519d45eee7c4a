/* route -- at which loop a call is answered.
 *
 *     a post              of a parallel service: here; of any other: on loop 0
 *     an opening          on the loop that its ticket names
 *     what names a        where the session lives: on loop 0, or, when every service is parallel, on the
 *     session, and Session   loop of its first attempt
 *     all else            on loop 0
 *
 * What was passed once is answered where it arrives: what has moved or gone meanwhile is not there. */
#include "chanserv/loops__in.h"
#include "chanserv/session__in.h"

#include "mux/across.h"

enum { TICKET_LOOP = 8, SESSION_PUBLIC = 8 };

static bool is_here(const chanserv_server *server, const mux_stream *stream)
{
    return !server->loops || mux_stream_is_across(stream);
}

/* ---- Passing ----------------------------------------------------------------------------------- */

/* NULL: no memory, or nobody is there any more. */
static mux_conn *way(chanserv_server *server, size_t to)
{
    static const struct mux_options options = {.window_max_bytes = 1 << 20,
                                               .message_max_bytes = CS_OFF,
                                               .header_max_bytes = CS_OFF,
                                               .streams_max = CS_OFF};
    const chanserv_server *there = server->loops->all[to];
    mux_conn **known = &server->at.ways[to];

    if (server->loops->ended)
        return NULL;
    if (!*known &&
        mux_dial_across(server->loop, &options, there->loop, there->handlers, known) != CS_OK)
        *known = NULL;
    return *known;
}

static void passed_end(void *user)
{
    ((chanserv_server *)user)->calls--;
}

/* The call is one of the server's until passed_end(). */
static bool pass(mux_stream *stream, chanserv_server *server, size_t to, cs_bytes first, bool whole,
                 void (*rolled)(mux_stream *stream, void *user))
{
    const struct mux_pass how = {way(server, to), first, whole, rolled, passed_end, server};

    CS_TRACE("server > passed from loop %zu to loop %zu", server->at.number, to);
    return how.to && mux_stream_pass(stream, &how) == CS_OK;
}

/* Of a call whose first message was read. */
static void pass_read(mux_stream *stream, chanserv_server *server, size_t to, cs_bytes first,
                      bool whole, void (*rolled)(mux_stream *stream, void *user))
{
    if (!pass(stream, server, to, first, whole, rolled))
        chanserv__refuse(stream, WIRE_R_LIMIT, NULL);
}

static void refused_end(mux_stream *stream, cs_err why, void *state)
{
    (void)stream, (void)why;
    passed_end(state);
}

static const struct mux_stream_ops refused_ops = {.end = refused_end};

static void pass_unread(mux_stream *stream, chanserv_server *server,
                        void (*rolled)(mux_stream *stream, void *user))
{
    server->calls++;
    if (pass(stream, server, 0, cs_bytes_of(NULL, 0), false, rolled))
        return;
    (void)mux_stream_accept(stream, &refused_ops, server); /* needs no memory */
    chanserv__refuse(stream, WIRE_R_LIMIT, NULL);
}

/* ---- Where to ---------------------------------------------------------------------------------- */

static size_t home_of_session(chanserv_server *server, cs_bytes id)
{
    struct chanserv__loops *loops = server->loops;
    chanserv_server *home = NULL;
    uint64_t key;

    if (!loops->parallel)
        return 0;
    if (id.len < SESSION_PUBLIC)
        return server->at.number;
    memcpy(&key, id.base, SESSION_PUBLIC);
    if (!cs_map_get(&server->sessions, key)) {
        pthread_mutex_lock(&loops->lock);
        home = cs_map_get(&loops->sessions, key);
        pthread_mutex_unlock(&loops->lock);
    }
    return home ? home->at.number : server->at.number;
}

static size_t home_of_ticket(const chanserv_server *server, cs_bytes ticket)
{
    const uint8_t *at = ticket.base;

    if (ticket.len != CHANSERV__TICKET ||
        memcmp(at, server->instance, sizeof server->instance) != 0 ||
        at[TICKET_LOOP] >= server->loops->len)
        return server->at.number; /* it is refused wherever it comes */
    return at[TICKET_LOOP];
}

static size_t home_of_post(const chanserv_server *server, cs_bytes name)
{
    const struct chanserv__service *service = cs_names_get(&server->services, name);

    return service && service->parallel ? server->at.number : 0;
}

bool chanserv__route_post(mux_stream *stream, chanserv_server *server,
                          const struct wire_post *asked, cs_bytes first)
{
    size_t to;

    if (is_here(server, stream))
        return false;
    to = asked->channel.present ? home_of_session(server, asked->channel.session)
                                : home_of_post(server, asked->service);
    if (to == server->at.number)
        return false;
    pass_read(stream, server, to, first, true, NULL);
    return true;
}

bool chanserv__route_open(mux_stream *stream, chanserv_server *server,
                          const struct wire_open *asked, cs_bytes first, bool whole)
{
    size_t to;

    if (is_here(server, stream))
        return false;
    to = asked->channel.present ? home_of_session(server, asked->channel.session)
                                : home_of_ticket(server, asked->ticket);
    if (to == server->at.number)
        return false;
    pass_read(stream, server, to, first, whole, NULL);
    return true;
}

/* As session.c says of one that is here: it is taken up again on a new connection. */
static void session_rolled(mux_stream *stream, void *user)
{
    const chanserv_server *server = user;

    if (server->drain.stage == CHANSERV__SERVES)
        chanserv__abort(stream, WIRE_R_DRAINING);
}

bool chanserv__route_session(mux_stream *stream, chanserv_server *server, cs_bytes session,
                             cs_bytes first)
{
    size_t to;

    if (is_here(server, stream))
        return false;
    to = home_of_session(server, session);
    if (to == server->at.number)
        return false;
    pass_read(stream, server, to, first, false, session_rolled);
    return true;
}

/* As services.c says of its own. */
static void services_rolled(mux_stream *stream, void *user)
{
    const chanserv_server *server = user;

    if (server->drain.stage == CHANSERV__SERVES)
        mux_stream_finish(stream, CS_DONE, NULL);
    else
        chanserv__abort(stream, WIRE_R_DRAINING);
}

bool chanserv__route_services(mux_stream *stream, chanserv_server *server)
{
    if (is_here(server, stream) || server->at.number == 0)
        return false;
    pass_unread(stream, server, services_rolled);
    return true;
}

bool chanserv__route_raw(mux_stream *stream, chanserv_server *server)
{
    if (is_here(server, stream) || server->at.number == 0)
        return false;
    pass_unread(stream, server, NULL);
    return true;
}

void chanserv__route_plain(mux_stream *stream, void *server)
{
    pass_unread(stream, server, NULL);
}
