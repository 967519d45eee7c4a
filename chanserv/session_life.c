/* session_life -- a client's session: found, made, taken up again, and what becomes of its channels when he
 * is not there (docs/WIRE, Sessions).
 *
 *      attempt 1 ──▶ ATTACHED ◀────────── attempt n + 1 ──────────┐
 *                      │  └── its stream is reset or lost ──▶ LINGERING
 *                      │ bye, or nonsense                         │ linger_ms, or too many of them
 *                      ▼                                          ▼
 *                    GONE: channels are cancelled               GONE: channels are lost
 */
#include "chanserv/loops__in.h"
#include "chanserv/session__in.h"

#include "mux/lasting.h"

enum { PUBLIC = 8 };
_Static_assert(CHANSERV__SESSION_ID == PUBLIC + 8, "what is secret has eight bytes");

/* ---- Found ----------------------------------------------------------------------------------- */

static uint64_t key_of(cs_bytes id)
{
    uint64_t key;

    memcpy(&key, id.base, PUBLIC);
    return key;
}

/* Who asks often asks for the same one as before. */
static struct chanserv__session *find_any(chanserv_server *server, cs_bytes id)
{
    struct chanserv__session *found = server->found;

    if (!found || key_of(cs_bytes_of(found->id, sizeof found->id)) != key_of(id))
        server->found = found = cs_map_get(&server->sessions, key_of(id));
    return found;
}

/* NULL: there is none, or it is another's. */
static inline struct chanserv__session *find(chanserv_server *server, mux_stream *stream,
                                             cs_bytes id)
{
    struct chanserv__session *session = find_any(server, id);

    if (!session || !cs_same_secret8((const uint8_t *)id.base + PUBLIC, session->id + PUBLIC) ||
        !chanserv__owner_is(session->owner, stream))
        return NULL;
    return session;
}

enum wire_reason chanserv__session_find(chanserv_server *server, mux_stream *stream,
                                        const struct wire_channel *asked,
                                        struct chanserv__session **ret)
{
    struct chanserv__session *session;

    if (asked->number == 0 || asked->attempt == 0)
        return WIRE_R_BAD_REQUEST;
    session = find(server, stream, asked->session);
    if (!session || asked->attempt > session->attempt)
        return WIRE_R_NO_SESSION;
    if (asked->attempt < session->attempt)
        return WIRE_R_SUPERSEDED;
    *ret = session;
    return WIRE_NO_REASON;
}

/* ---- The end of one -------------------------------------------------------------------------- */

static void lingers_no_more(struct chanserv__session *session)
{
    if (session->stream || !cs_linked(&session->link))
        return; /* or it has just been made */
    session->server->counters.sessions_lingering--;
    chanserv__total_add(session->server, &session->server->totals->lingering, -1);
    session->owner->lingering_len--;
    cs_unlink(&session->of_owner);
    cs_timer_set(session->timer, CS_OFF);
}

static void session_free(struct chanserv__session *session)
{
    if (session->owner)
        chanserv__owner_drop(session->server, session->owner);
    if (session->timer)
        cs_timer_free(session->timer);
    cs_free(session);
}

void chanserv__session_end(struct chanserv__session *session, cs_err why,
                           enum chanserv__reason reason)
{
    chanserv_server *server = session->server;
    size_t at = 0;
    void *channel;

    lingers_no_more(session);
    while (cs_row_each(&session->channels, &at, &channel))
        chanserv__channel_end(channel, why, reason, cs_bytes_of(NULL, 0));
    cs_row_fini(&session->channels);
    (void)cs_map_remove(&server->sessions, key_of(cs_bytes_of(session->id, sizeof session->id)));
    if (server->found == session)
        server->found = NULL;
    chanserv__loops_forget(server, key_of(cs_bytes_of(session->id, sizeof session->id)));
    cs_unlink(&session->link);
    cs_task_drop(&session->judge);
    server->counters.sessions--;
    chanserv__total_add(server, &server->totals->sessions, -1);
    session_free(session);
}

static void lost(struct chanserv__session *session)
{
    CS_TRACE("server > session lost");
    session->server->counters.sessions_lost++;
    chanserv__session_end(session, CS_ELOST, CHANSERV__LOST);
}

void chanserv__session_shut(struct chanserv__session *session)
{
    if (session->stream) { /* it has had its last word, or has it now */
        struct chanserv__call *call = mux_stream_state(session->stream);

        call->object = NULL;
        call->heard = true;
        chanserv__abort(session->stream, WIRE_R_DRAINING);
    }
    chanserv__session_end(session, CS_EDRAIN, CHANSERV__SHUTDOWN);
}

void chanserv__sessions_end(chanserv_server *server)
{
    struct cs_list *lists[] = {&server->attached, &server->lingering};
    struct cs_link *link;

    for (size_t i = 0; i < 2; i++)
        while ((link = cs_list_first(lists[i])) != NULL)
            chanserv__session_shut(CS_CONTAINER(link, struct chanserv__session, link));
}

/* ---- Lingering ------------------------------------------------------------------------------- */

/* Channels whose own linger is over; answers in how many milliseconds the next one's is. */
static int64_t end_channels(struct chanserv__session *session)
{
    int64_t now = cs_loop_now_ms(session->server->loop), since;
    int64_t next = session->since_ms + session->server->options.linger_ms - now;
    size_t at = 0;
    void *value;

    while (cs_row_each(&session->channels, &at, &value)) {
        struct chanserv__channel *channel = value;
        int64_t left;

        since = channel->since_ms > session->since_ms ? channel->since_ms : session->since_ms;
        left = since + (int)channel->linger_ms - now;
        if (chanserv__channel_stream(channel) && !mux_stream_is_detached(channel->stream))
            continue;
        if (left <= 0)
            chanserv__channel_end(channel, CS_ELOST, CHANSERV__LOST, cs_bytes_of(NULL, 0));
        else if (left < next)
            next = left;
    }
    return next;
}

static void on_linger(void *user)
{
    struct chanserv__session *session = user;
    int64_t next = end_channels(session);

    if (next <= 0)
        lost(session);
    else
        cs_timer_set(session->timer, (int)next);
}

static void judge(cs_task *task)
{
    struct chanserv__session *session = CS_CONTAINER(task, struct chanserv__session, judge);

    if (!session->stream)
        on_linger(session);
}

void chanserv__session_judge(struct chanserv__session *session)
{
    cs_task_post(session->server->loop, CS_REAP, &session->judge);
}

/* What counts that there are too many of them; NULL: there are not. */
static uint64_t *crowd(chanserv_server *server)
{
    if (server->options.lingering_max < INT64_MAX &&
        chanserv__total_is(&server->totals->lingering, server->options.lingering_max + 1))
        return &server->counters.lingering_lost;
    return server->kept_lingering.bytes > server->kept_lingering.bytes_max
               ? &server->counters.lingering_bytes_lost
               : NULL;
}

/* So that vanishing is no attack: the oldest go first, of the same owner or of all. */
static void make_room(chanserv_server *server, const struct chanserv__session *newest)
{
    struct chanserv__owner *owner = newest->owner;
    struct chanserv__session *oldest;
    uint64_t *counter;

    for (;;) {
        if (owner->lingering_len > server->options.lingering_peer_max) {
            counter = &server->counters.lingering_peer_lost;
            oldest =
                CS_CONTAINER(cs_list_first(&owner->lingering), struct chanserv__session, of_owner);
        } else if ((counter = crowd(server))) {
            oldest =
                CS_CONTAINER(cs_list_first(&server->lingering), struct chanserv__session, link);
        } else {
            return;
        }
        if (oldest == newest)
            return;
        ++*counter;
        lost(oldest);
    }
}

void chanserv__session_linger(struct chanserv__session *session)
{
    chanserv_server *server = session->server;

    CS_TRACE("server > session detached");
    session->stream = NULL;
    session->since_ms = cs_loop_now_ms(server->loop);
    mux_keep_sum_move(&session->kept, &server->kept_lingering);
    server->counters.sessions_lingering++;
    chanserv__total_add(server, &server->totals->lingering, 1);
    session->owner->lingering_len++;
    cs_list_push(&session->owner->lingering, &session->of_owner);
    cs_unlink(&session->link);
    cs_list_push(&server->lingering, &session->link);
    cs_timer_set(session->timer, server->options.linger_ms);
    chanserv__session_judge(session);
    make_room(server, session);
}

/* ---- The beginning --------------------------------------------------------------------------- */

static struct chanserv__session *session_new(chanserv_server *server, mux_stream *stream,
                                             cs_bytes id)
{
    struct chanserv__session *session = cs_zalloc(sizeof *session);

    if (!session)
        return NULL;
    session->server = server;
    memcpy(session->id, id.base, sizeof session->id);
    cs_link_init(&session->link);
    cs_link_init(&session->of_owner);
    cs_list_init(&session->acks);
    cs_task_init(&session->judge, judge);
    session->owner = chanserv__owner_of(server, stream);
    if (!session->owner ||
        cs_timer_new(server->loop, on_linger, session, &session->timer) != CS_OK ||
        cs_map_put(&server->sessions, key_of(id), session) != CS_OK) {
        session_free(session);
        return NULL;
    }
    if (chanserv__loops_home(server, key_of(id)) != CS_OK) {
        (void)cs_map_remove(&server->sessions, key_of(id));
        session_free(session);
        return NULL;
    }
    server->counters.sessions++;
    chanserv__total_add(server, &server->totals->sessions, 1);
    server->counters.sessions_total++;
    return session;
}

/* Acknowledgements that were under way broke with the stream, and a reader who keeps all that he may says
 * nothing more that could be acknowledged. */
static void say_again(struct chanserv__session *session)
{
    size_t at = 0;
    void *value;

    while (cs_row_each(&session->channels, &at, &value)) {
        chanserv_outlet *o = chanserv__channel_outlet(value);

        if (o && o->u.open.up)
            chanserv__channel_took(o);
    }
}

static void attach(struct chanserv__session *session, mux_stream *stream, uint32_t attempt)
{
    mux_stream *before = session->stream;

    lingers_no_more(session);
    session->stream = stream;
    session->attempt = attempt;
    session->greets = true;
    say_again(session);
    cs_unlink(&session->link);
    cs_list_push(&session->server->attached, &session->link);
    mux_keep_sum_move(&session->kept, &session->server->kept_attached);
    if (before) {
        ((struct chanserv__call *)mux_stream_state(before))->object = NULL;
        chanserv__abort(before, WIRE_R_SUPERSEDED);
    }
    mux_stream_drop_headers(stream);
    mux_stream_send_headers(stream);
    mux_stream_wake(stream);
}

/* Rule 1. */
enum wire_reason chanserv__session_take_up(struct chanserv__call *call, mux_stream *stream,
                                           const struct wire_session_up *up)
{
    chanserv_server *server = call->server;
    struct chanserv__session *session;

    if (up->session.len != CHANSERV__SESSION_ID || up->attempt == 0)
        return WIRE_R_BAD_REQUEST;
    if (server->dying)
        return WIRE_R_DRAINING;
    session = find(server, stream, up->session);
    if (up->attempt == 1 && cs_map_get(&server->sessions, key_of(up->session)))
        return WIRE_R_SESSION_EXISTS;
    if (up->attempt > 1 && !session)
        return WIRE_R_SESSION_LOST;
    if (session && up->attempt <= session->attempt)
        return WIRE_R_SUPERSEDED;
    if (!session && chanserv__total_is(&server->totals->sessions, server->options.sessions_max)) {
        server->counters.sessions_refused_limit++;
        return WIRE_R_LIMIT;
    }
    if (!session && !(session = session_new(server, stream, up->session)))
        return WIRE_R_LIMIT;
    server->counters.sessions_resumed += up->attempt > 1;
    attach(session, stream, up->attempt);
    call->object = session;
    return WIRE_NO_REASON;
}
