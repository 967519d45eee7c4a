/* meet -- the client's end: a post, its meeting, and what they say.
 *
 *     come ──▶ rosters ──▶ match ─────────────────────────▶ over
 *                             └──▶ channels ──▶ feed ends ──┘     of who asked for them
 *
 * One step serves both who waits and who is called: they differ in how long a select may take. */
#include "services/rendezvous/meet.h"

#include "services/rendezvous/read.h"

#include "gateway/json.h"

#include <stdlib.h>

struct rendezvous_meeting {
    chanserv_feed *feed;
    chanserv_set *set;
    struct rendezvous_meeting_ops ops;
    void *user;
    bool wants_channels, has_source, feed_ended;
    cs_err why; /* CS_AGAIN: not over; CS_DONE: they have met */
    char *match;
    size_t match_len;
    chanserv_source **channels;
    size_t channels_len;
    struct rendezvous__match read; /* empty: nobody asked yet */
    bool *closed;
};

/* ---- What is asked -------------------------------------------------------------------------- */

static bool put_text(FILE *to, const char *name, cs_bytes text)
{
    if (text.len == 0)
        return true;
    fprintf(to, ",\"%s\":", name);
    rendezvous__put_string(to, text);
    return gateway_is_utf8(text);
}

static cs_err put_ask(FILE *to, const struct rendezvous_ask *ask)
{
    fprintf(to, "{\"roster\":%s,\"channels\":%s,\"mates\":%lld,\"timeout\":%d",
            ask->roster ? "true" : "false", ask->channels ? "true" : "false",
            ask->mates == CS_OFF ? 0LL : (long long)(ask->mates == 0 ? 1 : ask->mates),
            ask->timeout_ms);
    bool is_text = put_text(to, "event", ask->event) && put_text(to, "actor", ask->actor) &&
                   put_text(to, "payload", ask->payload) && put_text(to, "labels", ask->labels) &&
                   put_text(to, "selector", ask->selector) && put_text(to, "key", ask->key) &&
                   put_text(to, "generation", ask->generation);
    fputs(ask->list ? ",\"form\":\"list\"}" : "}", to);
    return is_text ? CS_OK : CS_EINVAL;
}

/* ---- A step --------------------------------------------------------------------------------- */

static bool is_roster(cs_bytes frame)
{
    static const char start[] = "{\"waiting\"";

    return frame.len >= sizeof start - 1 && memcmp(frame.base, start, sizeof start - 1) == 0;
}

static cs_err keep_channel(rendezvous_meeting *m, chanserv_source *source)
{
    chanserv_source **more;

    if (!m->wants_channels) {
        chanserv_source_close(source);
        return CS_OK;
    }
    if (!(more = rendezvous__alloc((m->channels_len + 1) * sizeof(chanserv_source *))))
        return CS_ENOMEM;
    if (m->channels_len > 0)
        memcpy(more, m->channels, m->channels_len * sizeof(chanserv_source *));
    more[m->channels_len++] = source;
    free(m->channels);
    m->channels = more;
    return CS_OK;
}

static cs_err keep_match(rendezvous_meeting *m, cs_bytes frame)
{
    if (m->match)
        return CS_EPROTO;
    if (!(m->match = rendezvous__alloc(frame.len + 1)))
        return CS_ENOMEM;
    memcpy(m->match, frame.base, frame.len);
    m->match_len = frame.len;
    return CS_OK;
}

static cs_err on_source(rendezvous_meeting *m, chanserv_source *source)
{
    if (m->has_source)
        return keep_channel(m, source);
    m->has_source = true;
    return chanserv_set_add_source(m->set, source);
}

/* Who has heard the match has met, however the post ends; but who wants channels may lack one. */
static void look(rendezvous_meeting *m, const struct chanserv_event *news)
{
    cs_err err = CS_OK;

    if (news->kind == CHANSERV_SOURCE)
        err = on_source(m, news->source);
    else if (news->kind == CHANSERV_FRAME)
        err = keep_match(m, news->frame);
    else if (news->kind == CHANSERV_FEED_END)
        m->feed_ended = true;
    if (err != CS_OK)
        m->why = err;
    else if (m->feed_ended && cs_failed(chanserv_feed_status(m->feed)))
        m->why = chanserv_feed_status(m->feed);
    else if (m->match && (m->feed_ended || !m->wants_channels))
        m->why = CS_DONE;
    else if (m->feed_ended && (!m->has_source || news->kind == CHANSERV_SOURCE_END))
        m->why = CS_EPROTO;
}

/* CS_OK: a roster; CS_DONE: it is over; CS_AGAIN; CS_EMISUSE. */
static cs_err step(rendezvous_meeting *m, int timeout_ms, cs_bytes *roster)
{
    struct chanserv_event news;
    cs_err err;

    while (m->why == CS_AGAIN) {
        if ((err = chanserv_select(m->set, timeout_ms, &news)) != CS_OK)
            return err == CS_DONE ? CS_EMISUSE : err;
        if (news.kind == CHANSERV_FRAME && is_roster(news.frame)) {
            *roster = news.frame;
            return CS_OK;
        }
        look(m, &news);
    }
    return CS_DONE;
}

static cs_err outcome(const rendezvous_meeting *m)
{
    return m->why == CS_DONE ? CS_OK : m->why;
}

static void on_news(void *user)
{
    rendezvous_meeting *m = user;
    bool closed = false;
    cs_bytes roster;
    cs_err err;

    if (m->why != CS_AGAIN)
        return;
    m->closed = &closed;
    while (!closed && (err = step(m, CS_NOW, &roster)) == CS_OK)
        if (m->ops.roster)
            m->ops.roster(m, roster, m->user);
    if (closed)
        return;
    m->closed = NULL;
    if (err == CS_DONE)
        m->ops.end(m, outcome(m), m->user);
}

/* ---- From outside --------------------------------------------------------------------------- */

cs_err rendezvous__come(chanserv_client *client, const struct rendezvous_ask *ask, cs_bytes body,
                        const struct rendezvous_meeting_ops *ops, void *user,
                        rendezvous_meeting **ret)
{
    const char *service = ask->service ? ask->service : "rendezvous";
    rendezvous_meeting *m = rendezvous__alloc(sizeof *m);
    cs_err err;

    if (!m)
        return CS_ENOMEM;
    *m = (rendezvous_meeting){.wants_channels = ask->channels, .why = CS_AGAIN, .user = user};
    if (ops)
        m->ops = *ops;
    if ((err = chanserv_set_new(client, &m->set)) == CS_OK &&
        (!ops || (err = chanserv_set_watch(m->set, on_news, m)) == CS_OK) &&
        (err = chanserv_lookup_and_post(client, service, body, ask->post, &m->feed)) == CS_OK &&
        (err = chanserv_set_add_feed(m->set, m->feed)) == CS_OK) {
        if (ops)
            on_news(m); /* nothing yet: so it is told of the first */
        *ret = m;
        return CS_OK;
    }
    rendezvous_close(m);
    return err;
}

static cs_err check(const struct rendezvous_ask *ask, const struct rendezvous_meeting_ops *ops)
{
    for (size_t i = 0; i < sizeof ask->reserved / sizeof *ask->reserved; i++)
        if (ask->reserved[i] != 0)
            return CS_EMISUSE;
    for (size_t i = 0; ops && i < sizeof ops->reserved / sizeof *ops->reserved; i++)
        if (ops->reserved[i])
            return CS_EMISUSE;
    if (ops && !ops->end)
        return CS_EMISUSE;
    return ask->event.len == 0 || ask->actor.len == 0 ? CS_EINVAL : CS_OK;
}

cs_err rendezvous_come(chanserv_client *client, const struct rendezvous_ask *ask,
                       const struct rendezvous_meeting_ops *ops, void *user,
                       rendezvous_meeting **ret)
{
    char *body = NULL;
    size_t len;
    cs_err err = check(ask, ops);
    FILE *to = err == CS_OK ? open_memstream(&body, &len) : NULL;

    if (!to)
        return err == CS_OK ? CS_ENOMEM : err;
    err = put_ask(to, ask);
    if (!rendezvous__put_end(to, &body))
        err = CS_ENOMEM;
    if (err == CS_OK)
        err = rendezvous__come(client, ask, cs_bytes_of(body, len), ops, user, ret);
    free(body);
    return err;
}

bool rendezvous_range_roster(rendezvous_meeting *m, cs_bytes *ret)
{
    return !m->ops.end && step(m, CS_FOREVER, ret) == CS_OK;
}

cs_err rendezvous_meet(rendezvous_meeting *m)
{
    cs_bytes roster;
    cs_err err = m->ops.end ? CS_EMISUSE : CS_OK;

    while (err == CS_OK)
        err = step(m, CS_FOREVER, &roster);
    return err == CS_DONE ? outcome(m) : err;
}

void rendezvous_cancel(rendezvous_meeting *m)
{
    chanserv_feed_cancel(m->feed);
}

void rendezvous_close(rendezvous_meeting *m)
{
    if (!m)
        return;
    if (m->closed)
        *m->closed = true;
    if (m->set)
        chanserv_set_free(m->set);
    if (m->feed)
        chanserv_feed_close(m->feed);
    free(m->match);
    free(m->channels);
    rendezvous__match_fini(&m->read);
    free(m);
}

const char *rendezvous_errmsg(const rendezvous_meeting *m)
{
    const char *words = chanserv_feed_errmsg(m->feed);

    return words[0] || !cs_failed(m->why) ? words : cs_strerror(m->why);
}

cs_bytes rendezvous_match(const rendezvous_meeting *m)
{
    return cs_bytes_of(m->match, m->match_len);
}

chanserv_source *rendezvous_channel(const rendezvous_meeting *m, size_t i)
{
    return i < m->channels_len ? m->channels[i] : NULL;
}

cs_err rendezvous_parties(rendezvous_meeting *m, const struct rendezvous_party **ret,
                          size_t *ret_len)
{
    cs_err err = m->why != CS_DONE ? CS_EMISUSE : CS_OK;

    if (err == CS_OK && !m->read.parties)
        err = rendezvous__match_read(rendezvous_match(m), &m->read);
    if (err == CS_OK) {
        *ret = m->read.parties;
        *ret_len = m->read.len;
    }
    return err;
}
