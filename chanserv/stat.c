/* stat -- a server walked through: see stat.h.
 *
 * Each loop tells of itself on its own thread; what the others say comes packed, a struct chanserv_stat and
 * its two texts behind each other. */
#include "chanserv/loops__in.h"
#include "chanserv/session__in.h"

#include "mux/lasting.h"
#include "mux/roll.h"

const char *chanserv_waits_word(enum chanserv_waits waits)
{
    static const char *const words[] = {
#define X(name, word, what) word,
        CHANSERV_WAITS(X)
#undef X
    };
    return words[waits];
}

/* ---- Ages in three bytes -------------------------------------------------------------------- */

enum { QUARTER_MS = 250 };

static uint32_t quarters(const chanserv_server *server)
{
    return (uint32_t)(cs_loop_now_ms(server->loop) / QUARTER_MS) & 0xffffff;
}

void chanserv__stat_born(chanserv_outlet *o)
{
    const uint32_t now = quarters(o->post->server);

    for (int i = 0; i < 3; i++)
        o->born[i] = (uint8_t)(now >> 8 * i);
}

static int64_t age_ms(const chanserv_outlet *o)
{
    const uint32_t born = o->born[0] | (uint32_t)o->born[1] << 8 | (uint32_t)o->born[2] << 16;

    return (int64_t)((quarters(o->post->server) - born) & 0xffffff) * QUARTER_MS;
}

/* ---- A walk --------------------------------------------------------------------------------- */

struct walk {
    chanserv_server *server;
    int64_t now;
    size_t max;    /* how many more are told */
    uint64_t left; /* and how many were not */
    chanserv_stat_fn *fn;
    void *user;
};

static void tell(struct walk *w, struct chanserv_stat *stat)
{
    if (w->max == 0) {
        w->left++;
        return;
    }
    w->max--;
    stat->loop = (uint32_t)w->server->at.number;
    w->fn(stat, w->user);
}

static void on_conn(mux_conn *conn, void *user)
{
    struct walk *w = user;
    struct mux_conn_look look;
    struct chanserv_stat stat;

    mux_conn_look(conn, &look);
    stat = (struct chanserv_stat){.kind = CHANSERV_STAT_CONNECTION,
                                  .waits = look.blocked || (look.queued > 0 && look.credit <= 0)
                                               ? CHANSERV_WAITS_CONNECTION
                                               : CHANSERV_WAITS_NOTHING,
                                  .number = look.number,
                                  .of = look.number,
                                  .peer = mux_conn_peer(conn)->addr,
                                  .age_ms = look.age_ms,
                                  .still_ms = look.heard_ms,
                                  .bytes_in = look.bytes_in,
                                  .bytes_out = look.bytes_out,
                                  .queued = look.queued,
                                  .credit = look.credit,
                                  .parts = look.streams};
    tell(w, &stat);
}

/* The public part of its name, which is the key that it is found by. */
static uint64_t session_number(const struct chanserv__session *session)
{
    uint64_t number;

    memcpy(&number, session->id, sizeof number);
    return number;
}

static uint64_t count_channels(const struct chanserv__session *session)
{
    size_t at = 0;
    uint64_t n = 0;
    void *channel;

    for (; cs_row_each(&session->channels, &at, &channel); n++)
        ;
    return n;
}

static void tell_sessions(struct walk *w, const struct cs_list *sessions)
{
    struct cs_link *link = cs_list_first(sessions);

    for (; link; link = cs_list_next(sessions, link)) {
        const struct chanserv__session *s = CS_CONTAINER(link, struct chanserv__session, link);
        struct chanserv_stat stat = {.kind = CHANSERV_STAT_SESSION,
                                     .waits =
                                         s->stream ? CHANSERV_WAITS_NOTHING : CHANSERV_WAITS_READER,
                                     .number = session_number(s),
                                     .still_ms = s->stream ? 0 : w->now - s->since_ms,
                                     .kept = s->kept.bytes,
                                     .parts = count_channels(s)};

        if (s->stream) {
            stat.of = mux_conn_number(mux_stream_conn(s->stream));
            stat.peer = mux_stream_peer(s->stream)->addr;
        }
        tell(w, &stat);
    }
}

/* What holds a stream up that has something to send. */
static enum chanserv_waits waits_of(const struct chanserv_stat *stat, const mux_stream *stream)
{
    if (mux_stream_is_detached(stream))
        return CHANSERV_WAITS_READER;
    if (stat->queued == 0)
        return CHANSERV_WAITS_NOTHING;
    return stat->credit <= 0 ? CHANSERV_WAITS_WINDOW : CHANSERV_WAITS_CONNECTION;
}

static void add_stream(struct chanserv_stat *stat, const mux_stream *stream)
{
    const mux_keep *keep = mux_stream_is_lasting(stream) ? mux_stream_kept(stream) : NULL;

    stat->queued += mux_stream_queued(stream);
    stat->credit = mux_stream_window_left(stream);
    stat->still_ms = mux_stream_still_ms(stream);
    stat->kept = keep ? mux_keep_bytes(keep) : 0;
}

static enum chanserv_waits source_waits(const chanserv_outlet *o, struct chanserv_stat *stat)
{
    enum chanserv_waits waits;

    if (o->life == CHANSERV__QUEUED)
        return CHANSERV_WAITS_ROOM;
    if (o->life == CHANSERV__WAITING)
        return CHANSERV_WAITS_CLAIM;
    waits = waits_of(stat, o->u.open.stream);
    if (waits != CHANSERV_WAITS_NOTHING)
        return waits;
    if (o->flags & CHANSERV__ASLEEP)
        return CHANSERV_WAITS_PRODUCER;
    return stat->kept >= (uint64_t)o->post->server->options.keep_bytes ? CHANSERV_WAITS_ACKS
                                                                       : CHANSERV_WAITS_NOTHING;
}

static void tell_source(struct walk *w, const chanserv_outlet *o)
{
    struct chanserv_stat stat = {.kind = CHANSERV_STAT_SOURCE,
                                 .number = o->seq,
                                 .of = o->post->number,
                                 .service = o->post->service,
                                 .peer = o->post->peer.addr,
                                 .age_ms = age_ms(o),
                                 .messages = o->next};

    if (w->max == 0) { /* a post may have many */
        w->left++;
        return;
    }
    if (o->life == CHANSERV__OPEN) {
        stat.peer = mux_stream_peer(o->u.open.stream)->addr;
        add_stream(&stat, o->u.open.stream);
    } else {
        stat.still_ms = stat.age_ms;
    }
    stat.waits = source_waits(o, &stat);
    tell(w, &stat);
}

static void tell_sources(struct walk *w, const struct cs_list *outlets)
{
    struct cs_link *link = cs_list_first(outlets);

    for (; link; link = cs_list_next(outlets, link))
        tell_source(w, CS_CONTAINER(link, chanserv_outlet, link));
}

static enum chanserv_waits post_waits(const chanserv_post *post, const struct chanserv_stat *stat)
{
    enum chanserv_waits waits;

    if (!post->stream)
        return CHANSERV_WAITS_SOURCES;
    waits = waits_of(stat, post->stream);
    if (waits != CHANSERV_WAITS_NOTHING || post->hungry || post->closing)
        return waits;
    return CHANSERV_WAITS_PRODUCER;
}

static void tell_post(struct walk *w, const chanserv_post *post)
{
    struct chanserv_stat stat = {.kind = CHANSERV_STAT_POST,
                                 .number = post->number,
                                 .of = post->connection,
                                 .service = post->service,
                                 .peer = post->peer.addr,
                                 .age_ms = w->now - post->since_us / 1000,
                                 .messages = post->seq,
                                 .queued = post->queue_bytes,
                                 .parts = post->outlets};

    if (post->stream)
        add_stream(&stat, post->stream);
    stat.waits = post_waits(post, &stat);
    tell(w, &stat);
    tell_sources(w, &post->open);
    tell_sources(w, &post->waiting);
    tell_sources(w, &post->queue);
}

/* Of this loop alone; answers how many were left out. */
static uint64_t stat_here(chanserv_server *server, size_t max, chanserv_stat_fn *fn, void *user)
{
    struct walk w = {
        .server = server, .now = cs_loop_now_ms(server->loop), .max = max, .fn = fn, .user = user};
    struct cs_link *link = cs_list_first(&server->posts);

    for (size_t i = 0; i < server->ports_len; i++)
        mux_port_each(server->ports[i], on_conn, &w);
    mux_handlers_each_local(server->handlers, on_conn, &w);
    tell_sessions(&w, &server->attached);
    tell_sessions(&w, &server->lingering);
    for (; link; link = cs_list_next(&server->posts, link))
        tell_post(&w, CS_CONTAINER(link, chanserv_post, link));
    return w.left;
}

/* ---- Several loops -------------------------------------------------------------------------- */

static void pack(const struct chanserv_stat *stat, void *user)
{
    chanserv_server *server = user;
    struct cs_buf *to = &server->at.stat;
    const size_t before = to->len;

    if (cs_buf_add(to, cs_bytes_of(stat, sizeof *stat)) != CS_OK ||
        cs_buf_add(to, stat->service) != CS_OK || cs_buf_add(to, stat->peer) != CS_OK) {
        to->len = before;
        server->at.stat_left++;
    }
}

void chanserv__stat_pack(chanserv_server *server, size_t max)
{
    server->at.stat.len = 0;
    server->at.stat_left = 0;
    server->at.stat_left += stat_here(server, max, pack, server);
}

static void unpack(const struct cs_buf *from, chanserv_stat_fn *fn, void *user)
{
    struct chanserv_stat stat;

    for (size_t at = 0; at < from->len;) {
        memcpy(&stat, from->base + at, sizeof stat);
        at += sizeof stat;
        stat.service.base = from->base + at;
        at += stat.service.len;
        stat.peer.base = from->base + at;
        at += stat.peer.len;
        fn(&stat, user);
    }
}

static uint64_t stat_of_others(chanserv_server *server, size_t max, chanserv_stat_fn *fn,
                               void *user)
{
    struct chanserv__loops *loops = server->loops;
    uint64_t left = 0;

    chanserv__loops_stat(server, max);
    for (size_t i = 1; i < loops->len; i++) {
        struct chanserv__at *at = &loops->all[i]->at;
        struct cs_buf packed;

        pthread_mutex_lock(&loops->lock); /* it may be late, and saying it now */
        packed = at->stat;
        at->stat = (struct cs_buf){.len = 0};
        left += at->stat_left;
        at->stat_left = 0;
        pthread_mutex_unlock(&loops->lock);
        unpack(&packed, fn, user);
        cs_buf_fini(&packed);
    }
    return left;
}

void chanserv_server_stat(chanserv_server *server, size_t max, chanserv_stat_fn *fn, void *user,
                          uint64_t *ret_left)
{
    uint64_t left = stat_here(server, max, fn, user);

    if (server->loops)
        left += stat_of_others(server, max, fn, user);
    if (ret_left)
        *ret_left = left;
}
