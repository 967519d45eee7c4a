/* feed -- a channel of sources: the Post stream, read an announcement at a time.
 *
 * Nothing is taken out of the stream before the application asks, so an application that does not
 * ask stops the source function on the other side.
 */
#include "chanserv/client__in.h"

#include <stdio.h>

enum { NAME_MAX_LEN = 255 };

/* ---- Ends ---------------------------------------------------------------------------------- */

/* Only the first failure counts. */
static void note(chanserv_feed *feed, cs_err err, const char *story)
{
    if (feed->failure != CS_OK || !cs_failed(err))
        return;
    feed->failure = err;
    cs_story(&feed->story, "post %s: %s", feed->service, story ? story : cs_strerror(err));
}

void chanserv__feed_note(chanserv_feed *feed, const chanserv_source *source)
{
    note(feed, source->line.status, source->line.errmsg);
}

void chanserv__feed_over(chanserv_feed *feed, cs_err why, const char *text)
{
    feed->line.over = true;
    feed->line.status = why;
    chanserv__line_heard(&feed->line);
    note(feed, why, text);
    chanserv__request_free(feed);
}

/* ---- What mux says ------------------------------------------------------------------------- */

static void on_readable(mux_stream *stream, void *state)
{
    chanserv_feed *feed = state;

    if (feed->line.over)
        return;
    if (mux_stream_has_headers(stream)) {
        feed->ready = true;
        chanserv__request_free(feed);
    }
    chanserv__line_heard(&feed->line);
    chanserv__tie_arrived(&feed->line);
    chanserv__line_arrived(&feed->line);
}

static void finish(chanserv_feed *feed, mux_stream *stream, cs_err why)
{
    const cs_pair *pairs;
    size_t n = 0;

    pairs = mux_stream_headers(stream, &n);
    if (n > 0) /* a refusal has trailers only: it never ran */
        feed->ready = true;
    feed->headers = chanserv__pairs_copy(pairs, n);
    pairs = mux_stream_trailers(stream, &n);
    chanserv__pairs_drop(feed->trailers);
    feed->trailers = chanserv__pairs_copy(pairs, n);
    chanserv__feed_over(feed, why, mux_stream_errmsg(stream));
}

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    chanserv_feed *feed = state;

    feed->line.stream = NULL;
    feed->line.client->streams--;
    chanserv__tie_ended(&feed->line, why);
    if (!feed->line.over && chanserv__request_again(feed, stream, why))
        return;
    if (!feed->line.over)
        finish(feed, stream, why);
    if (feed->line.closed)
        chanserv__line_settle(&feed->line);
    else
        chanserv__line_arrived(&feed->line);
}

const struct mux_stream_ops chanserv__feed_stream_ops = {.readable = on_readable, .end = on_end};

static void on_silence(void *user)
{
    chanserv_feed *feed = user;
    chanserv__line_fail(&feed->line, CS_ETIMEOUT, "no announcement for too long");
}

/* ---- Posting ------------------------------------------------------------------------------- */

static chanserv_feed *feed_new(chanserv_client *client, const char *service)
{
    size_t len = strlen(service) + 1;
    chanserv_feed *feed = cs_zalloc(sizeof *feed + len);

    if (!feed)
        return NULL;
    chanserv__line_init(&feed->line, client, true);
    feed->line.opened = true;
    memcpy(feed->service, service, len);
    cs_list_init(&feed->sources);
    cs_list_init(&feed->told);
    return feed;
}

/* Everything that the feed needs before it is sent; without memory what is there is closed. */
static cs_err prepare(chanserv_client *client, const char *service, const char *suffix,
                      cs_bytes body, const struct chanserv_post_options *options,
                      chanserv_feed **ret)
{
    chanserv_feed *feed = feed_new(client, service);
    cs_err err = CS_OK;

    if (!feed)
        return CS_ENOMEM;
    *ret = feed;
    cs_list_push(&client->feeds, &feed->line.link);
    feed->deadline_ms =
        options->timeout_ms > 0 ? cs_loop_now_ms(client->loop) + options->timeout_ms : CS_FOREVER;
    if (client->options.announce_timeout_ms > 0)
        err = cs_timer_new(client->loop, on_silence, feed, &feed->line.timer);
    if (err == CS_OK)
        err = chanserv__request_new(feed, suffix, body, options);
    return err;
}

static cs_err post(chanserv_client *client, const char *service, cs_bytes body,
                   const struct chanserv_post_options *options, chanserv_feed **ret)
{
    chanserv_feed *feed = NULL;
    cs_err err;

    if (!chanserv__nodes_first(client) || client->freed)
        return CS_EMISUSE;
    if (strlen(service) + strlen(client->suffix) > NAME_MAX_LEN)
        return CS_EMISUSE;
    err = prepare(client, service, client->suffix, body, options, &feed);
    if (err == CS_OK)
        err = chanserv__pairs_of_call(client, options, &feed->metadata);
    if (err == CS_OK)
        err = chanserv__request_go(feed);
    if (err != CS_OK) {
        if (feed)
            chanserv__line_close(&feed->line);
        return err;
    }
    CS_TRACE("client > post %s", feed->service);
    *ret = feed;
    return CS_OK;
}

cs_err chanserv__feed_local(chanserv_client *client, struct chanserv__node *node,
                            const char *service, cs_bytes body, chanserv_feed **ret)
{
    static const struct chanserv_post_options none = {0};
    chanserv_feed *feed = NULL;
    cs_err err = prepare(client, service, "", body, &none, &feed);

    if (err == CS_OK)
        err = chanserv__request_send(feed, node);
    if (err != CS_OK) {
        if (feed)
            chanserv__line_close(&feed->line);
        return err;
    }
    chanserv__request_free(feed); /* it is there or nowhere */
    *ret = feed;
    return CS_OK;
}

cs_err chanserv_lookup_and_post(chanserv_client *client, const char *service, cs_bytes body,
                                const struct chanserv_post_options *options, chanserv_feed **ret)
{
    static const struct chanserv_post_options none = {0};
    cs_err err;

    if (!options)
        options = &none;
    if (!service || !wire_service_name_ok(cs_str(service)) ||
        !chanserv__reserved_ok(options->reserved))
        return CS_EMISUSE;
    chanserv__enter(client);
    err = chanserv__pairs_ok(client, options) ? post(client, service, body, options, ret)
                                              : CS_EMISUSE;
    chanserv__leave(client);
    return err;
}

cs_err chanserv__feed_ask_bytes(chanserv_feed *feed, const struct wire_channel *channel,
                                uint64_t from, uint8_t **ret, size_t *ret_len)
{
    struct chanserv__request *r = feed->request;
    struct wire_post post = {.from = from, .channel = *channel};
    char name[NAME_MAX_LEN + 1];
    uint8_t *tail, *all;
    size_t len;
    cs_err err;

    if (!r) { /* it ran: its name is enough */
        snprintf(name, sizeof name, "%s%s", feed->service, feed->line.client->suffix);
        post.service = cs_str(name);
        return wire_post_pack(&post, ret, ret_len);
    }
    /* Fields may come in any order (protobuf, "Encoding"): the rest was packed before. */
    if ((err = wire_post_pack(&post, &tail, &len)) != CS_OK)
        return err;
    all = cs_alloc(r->len + len);
    if (all) {
        memcpy(all, r->bytes, r->len);
        memcpy(all + r->len, tail, len);
        *ret = all;
        *ret_len = r->len + len;
    }
    cs_free(tail);
    return all ? CS_OK : CS_ENOMEM;
}

/* ---- Receiving ----------------------------------------------------------------------------- */

/* The application asks for the next thing: sources whose end it was told may go. */
static void drop_told(chanserv_feed *feed)
{
    struct cs_link *link;

    while ((link = cs_list_first(&feed->told)))
        chanserv__line_close(CS_CONTAINER(link, struct chanserv__line, link));
}

/* CS_AGAIN: an announcement we have had already. */
static cs_err take(chanserv_feed *feed, cs_bytes msg, chanserv_source **ret)
{
    struct wire_announcement a;
    cs_err err = wire_announcement_unpack(msg, &a);

    if (err != CS_OK)
        return err;
    if (a.seq < feed->expected)
        err = CS_AGAIN;
    else if (a.seq > feed->expected)
        err = CS_EPROTO;
    else
        err = chanserv__source_new(feed, &a, ret);
    wire_announcement_clear(&a);
    if (err == CS_OK)
        feed->expected++;
    return err;
}

/* Whoever opens each source that comes takes much memory for a moment, until what he asks for is written: so that
 * is done before he gets the next ones. */
enum { A_TURN = 256 };

void chanserv__feed_turn(chanserv_feed *feed)
{
    feed->turn_left = A_TURN;
}

static bool had_its_turn(chanserv_feed *feed)
{
    struct chanserv__line *line = &feed->line;

    if (!line->started || !line->stream || line->over || feed->turn_left > 0)
        return false;
    line->armed = true;
    mux_stream_resume(line->stream);
    return true;
}

cs_err chanserv__feed_recv(chanserv_feed *feed, chanserv_source **ret)
{
    struct chanserv__line *line = &feed->line;
    cs_err err = CS_AGAIN, got;
    cs_bytes msg;

    drop_told(feed);
    while (line->stream && !line->over && err == CS_AGAIN &&
           (got = mux_stream_recv(line->stream, &msg)) == CS_OK)
        err = take(feed, msg, ret);
    if (err == CS_OK)
        return CS_OK;
    if (err != CS_AGAIN)
        chanserv__line_fail(line, err, err == CS_EPROTO ? "announcement makes no sense" : NULL);
    if (line->over) {
        chanserv__line_told(line);
        return line->status;
    }
    /* Nothing is here, or mux has yet to tell how it ended. */
    line->armed = true;
    line->news = false;
    if (line->stream)
        chanserv__line_silent(line, line->client->options.announce_timeout_ms);
    return CS_AGAIN;
}

cs_err chanserv_feed_recv(chanserv_feed *feed, chanserv_source **ret)
{
    cs_err err;

    chanserv__enter(feed->line.client);
    err = had_its_turn(feed) ? CS_AGAIN : chanserv__feed_recv(feed, ret);
    if (err == CS_OK && feed->line.started)
        feed->turn_left--;
    chanserv__leave(feed->line.client);
    return err;
}

/* ---- Callbacks ----------------------------------------------------------------------------- */

void chanserv__feed_call(chanserv_feed *feed)
{
    if (!feed->ready || feed->ready_told)
        return;
    feed->ready_told = true;
    if (feed->ops->ready)
        feed->ops->ready(feed, feed->line.state);
}

cs_err chanserv_feed_start(chanserv_feed *feed, const struct chanserv_feed_ops *ops, void *state)
{
    cs_err err;

    for (size_t i = 0; i < sizeof ops->reserved / sizeof *ops->reserved; i++)
        if (ops->reserved[i])
            return CS_EMISUSE;
    chanserv__enter(feed->line.client);
    err = chanserv__line_start(&feed->line, ops->state_bytes, state);
    if (err == CS_OK) {
        feed->ops = ops;
        chanserv__feed_turn(feed);
    }
    chanserv__leave(feed->line.client);
    return err;
}

void *chanserv_feed_state(const chanserv_feed *feed)
{
    return feed->line.state;
}

/* There may be nothing, but only asking would tell. */
void chanserv_feed_resume(chanserv_feed *feed)
{
    chanserv__enter(feed->line.client);
    feed->line.armed = true;
    chanserv__line_news(&feed->line);
    chanserv__leave(feed->line.client);
}

/* ---- Going --------------------------------------------------------------------------------- */

static void cancel_all(struct cs_list *sources)
{
    for (struct cs_link *link = cs_list_first(sources), *next; link; link = next) {
        next = cs_list_next(sources, link);
        chanserv__line_cancel(CS_CONTAINER(link, struct chanserv__line, link));
    }
}

void chanserv__feed_cancel(chanserv_feed *feed)
{
    cancel_all(&feed->sources);
    chanserv__line_cancel(&feed->line);
}

void chanserv_feed_cancel(chanserv_feed *feed)
{
    chanserv__enter(feed->line.client);
    chanserv__feed_cancel(feed);
    chanserv__leave(feed->line.client);
}

void chanserv__feed_let_go(chanserv_feed *feed)
{
    struct cs_link *link;

    drop_told(feed);
    while ((link = cs_list_first(&feed->sources)))
        chanserv__line_close(CS_CONTAINER(link, struct chanserv__line, link));
}

cs_err chanserv_feed_close(chanserv_feed *feed)
{
    chanserv_client *client;
    cs_err err;

    if (!feed)
        return CS_OK;
    client = feed->line.client;
    chanserv__client_hold(client);
    err = feed->failure;
    chanserv__line_close(&feed->line);
    chanserv__client_release(client);
    return err;
}

void chanserv__feed_free(chanserv_feed *feed)
{
    chanserv__request_free(feed);
    chanserv__origin_drop(feed->origin);
    chanserv__node_release(feed->node);
    chanserv__pairs_drop(feed->metadata);
    chanserv__pairs_drop(feed->headers);
    chanserv__pairs_drop(feed->trailers);
    cs_free(feed->story);
    cs_free(feed);
}
