/* source -- a channel of frames: announced, opened when somebody asks, received, ended.
 *
 * What arrives goes from mux's stream into the source's own `rx` a batch at a time, and is decoded
 * there by the consumer without the lock: threads meet once a batch.  Credit goes back when a
 * batch is used up, or a quarter of the window, so that the sender never runs dry meanwhile.
 */
#include "chanserv/client__in.h"

enum { SHOWN = 40 };

static chanserv_client *client_of(const chanserv_source *source)
{
    return source->line.client;
}

/* ---- Born ---------------------------------------------------------------------------------- */

static void ended_at_birth(chanserv_source *source, const struct wire_status *end)
{
    cs_err why = wire_err_of(end->code, end->reason);
    cs_bytes words = end->message.len ? end->message : cs_str(cs_strerror(why));
    char *text = NULL;

    if (cs_failed(why))
        text = cs_printf("%s: %.*s", wire_code_name(end->code), CS_FMT(words));
    chanserv__source_over(source, why, text);
    cs_free(text);
}

struct chanserv__origin *chanserv__origin_new(chanserv_feed *feed, struct chanserv__node *node,
                                              struct chanserv__pairs *metadata, int64_t deadline_ms)
{
    struct chanserv__origin *origin = cs_alloc(sizeof *origin);

    if (origin)
        *origin = (struct chanserv__origin){.refs = 1,
                                            .feed = feed,
                                            .node = chanserv__node_hold(node),
                                            .metadata = chanserv__pairs_hold(metadata),
                                            .deadline_ms = deadline_ms};
    return origin;
}

void chanserv__origin_drop(struct chanserv__origin *origin)
{
    if (!origin || --origin->refs > 0)
        return;
    chanserv__node_release(origin->node);
    chanserv__pairs_drop(origin->metadata);
    cs_free(origin);
}

chanserv_source *chanserv__source_make(chanserv_client *client, struct chanserv__origin *origin,
                                       cs_bytes header, cs_bytes ticket)
{
    chanserv_source *source = cs_zalloc(sizeof *source + header.len + ticket.len);
    char *at;

    if (!source)
        return NULL;
    at = source->texts;
    source->header_len = (uint32_t)cs_bytes_put(&at, header).len;
    source->ticket_len = (uint8_t)cs_bytes_put(&at, ticket).len;
    chanserv__line_init(&source->line, client, false);
    source->origin = origin;
    origin->refs++;
    return source;
}

cs_err chanserv__source_new(chanserv_feed *feed, const struct wire_announcement *a,
                            chanserv_source **ret)
{
    chanserv_source *source;
    cs_err err;

    if (a->header.len > UINT32_MAX || a->ticket.len > CHANSERV__TICKET_MAX ||
        (a->ticket.len == 0 && !a->end.present))
        return CS_EPROTO;
    if (!feed->origin &&
        !(feed->origin = chanserv__origin_new(feed, feed->node, feed->metadata, feed->deadline_ms)))
        return CS_ENOMEM;
    source = chanserv__source_make(feed->line.client, feed->origin, a->header, a->ticket);
    if (!source)
        return CS_ENOMEM;
    source->index = a->seq;
    source->uplink = a->uplink;
    err = chanserv__frame_inline(source, a);
    if (err != CS_OK) {
        chanserv__line_close(&source->line);
        return err;
    }
    if (a->end.present)
        ended_at_birth(source, &a->end);
    else
        source->master = chanserv__tie_hold(feed->line.tie);
    cs_list_push(&feed->sources, &source->line.link);
    *ret = source;
    return CS_OK;
}

/* ---- Ends ---------------------------------------------------------------------------------- */

/* The beginning of the header, as far as it can be shown. */
static void show(const chanserv_source *source, char to[SHOWN + 1])
{
    size_t n = source->header_len < SHOWN ? source->header_len : SHOWN;

    for (size_t i = 0; i < n; i++)
        to[i] = source->texts[i] >= ' ' && source->texts[i] <= '~' ? source->texts[i] : '.';
    to[n] = '\0';
}

void chanserv__source_over(chanserv_source *source, cs_err why, const char *text)
{
    struct chanserv__line *line = &source->line;
    char header[SHOWN + 1];

    line->over = true;
    line->status = why;
    chanserv__say_over(source);
    chanserv__line_heard(line);
    if (!cs_failed(why) || line->by_us || line->errmsg)
        return;
    show(source, header);
    cs_story(&line->errmsg, "source %llu (%s): %s", (unsigned long long)source->index, header,
             text ? text : cs_strerror(why));
}

bool chanserv__source_is_empty(const chanserv_source *source)
{
    return !chanserv__frame_is_inline(source) && !source->arrived &&
           (!source->intake || source->intake->rx.bytes == 0);
}

static cs_err finish(chanserv_source *source)
{
    struct chanserv__line *line = &source->line;

    if (line->told)
        return line->status;
    if (line->status == CS_DONE && chanserv__frame_is_partial(source))
        chanserv__source_over(source, CS_EPROTO, "cut off in the middle of a frame");
    chanserv__frame_give_up(source);
    if (source->intake) {
        source->intake->gap = source->intake->gap_run;
        source->intake->gap_run = 0;
    }
    chanserv__line_told(line);
    return line->status;
}

/* ---- What mux says ------------------------------------------------------------------------- */

/* When everything has come, taking it makes mux tell the end at once, and not a turn (and, with
 * a thread of its own, a wake-up) after the last frame was used up.  The consumer may be another
 * thread: then its rx is not ours to touch. */
static void take_rest(chanserv_source *source, mux_stream *stream)
{
    struct mux_rx *rest;

    if (mux_stream_waiting(stream) == 0)
        return;
    if (!client_of(source)->shared) {
        if (chanserv__frame_expect(source) == CS_OK)
            mux_stream_take(stream, &source->intake->rx);
        return;
    }
    if (source->arrived || !(rest = cs_alloc(sizeof *rest)))
        return; /* it will be taken when it is asked for */
    mux_rx_init(rest, client_of(source)->message_max);
    mux_stream_take(stream, rest);
    source->arrived = rest;
}

/* Before the Open was answered, possibly after a break or two, the server's end of the post is all that
 * keeps the source there. */
static void let_go_of_master(chanserv_source *source, bool answered)
{
    struct chanserv__tie *master = source->master;

    source->master = NULL;
    if (master && !answered && master->line && !master->line->over)
        chanserv__bond_skip(master->bond, master->number, source->index);
    chanserv__tie_release(master);
}

static void on_readable(mux_stream *stream, void *state)
{
    chanserv_source *source = state;

    if (source->line.over)
        return;
    let_go_of_master(source, true);
    chanserv__tie_arrived(&source->line);
    mux_stream_drop_headers(stream); /* they said that it is open, and nothing else */
    if (mux_stream_is_over(stream))
        take_rest(source, stream);
    chanserv__line_heard(&source->line);
    chanserv__line_arrived(&source->line);
}

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    chanserv_source *source = state;
    struct chanserv__line *line = &source->line;

    line->stream = NULL;
    line->client->streams--;
    chanserv__tie_ended(line, why);
    if (!line->over && chanserv__source_again(source, stream, why))
        return;
    if (!line->over)
        chanserv__source_over(source, why, mux_stream_errmsg(stream));
    let_go_of_master(source, false);
    if (line->closed)
        chanserv__line_settle(line);
    else
        chanserv__line_arrived(line);
}

static void on_writable(mux_stream *stream, void *state)
{
    (void)stream;
    chanserv__say_writable(state);
}

const struct mux_stream_ops chanserv__source_stream_ops = {
    .readable = on_readable, .writable = on_writable, .end = on_end};

/* ---- Receiving ----------------------------------------------------------------------------- */

static void credit(chanserv_source *source)
{
    size_t bytes = source->intake ? mux_rx_credit(&source->intake->rx) : 0;

    if (bytes && source->line.stream && !source->line.over)
        mux_stream_credit(source->line.stream, bytes);
}

static bool is_dropped(const chanserv_source *source)
{
    return atomic_load_explicit(&source->line.dropped, memory_order_relaxed);
}

/* What mux has for us.  CS_AGAIN: nothing; CS_ENOMEM. */
static cs_err take_more(chanserv_source *source)
{
    mux_stream *stream = source->line.stream;
    struct mux_rx *rest = source->arrived;

    credit(source);
    if (stream && mux_stream_waiting(stream) == 0)
        stream = NULL;
    if (!stream && !rest)
        return CS_AGAIN;
    if (chanserv__frame_expect(source) != CS_OK)
        return CS_ENOMEM;
    if (stream) {
        mux_stream_take(stream, &source->intake->rx);
        return CS_OK;
    }
    mux_rx_append(&source->intake->rx, rest);
    mux_rx_fini(rest);
    cs_free(rest);
    source->arrived = NULL;
    return CS_OK;
}

cs_err chanserv__source_refill(chanserv_source *source, cs_err why)
{
    struct chanserv__line *line = &source->line;

    if (line->told)
        return line->status;
    chanserv__source_ask(source);
    if (why == CS_AGAIN && !is_dropped(source))
        why = chanserv__frame_is_inline(source) ? CS_OK : take_more(source);
    if (cs_failed(why) && !is_dropped(source))
        chanserv__line_fail(line, why, chanserv__frame_words(why));
    if (is_dropped(source))
        return finish(source);
    if (why == CS_OK) {
        chanserv__line_heard(line);
        return CS_OK;
    }
    if (line->over)
        return finish(source);
    line->armed = true;
    line->news = false;
    chanserv__line_silent(line, line->client->options.frame_timeout_ms);
    return CS_AGAIN;
}

cs_err chanserv__source_next(chanserv_source *source, bool entered, struct chanserv__got *ret)
{
    chanserv_client *client = client_of(source);
    cs_err err;
    bool got;

    for (;;) {
        err = CS_AGAIN;
        if (source->line.opened && !source->line.told && !is_dropped(source))
            err = chanserv__frame_next(source, ret);
        got = err == CS_OK;
        if (got && source->intake->rx.taken < client->credit_bytes)
            return CS_OK;
        if (!entered)
            chanserv__enter(client);
        if (got)
            credit(source);
        else
            err = chanserv__source_refill(source, err);
        if (!entered)
            chanserv__leave(client);
        if (got || err != CS_OK)
            return err;
    }
}

cs_err chanserv_source_recv(chanserv_source *source, cs_bytes *ret)
{
    struct chanserv__got got;
    cs_err err = chanserv__source_next(source, false, &got);

    if (err == CS_OK)
        *ret = got.payload;
    return err;
}

static cs_err keep_frame(chanserv_source *source, const struct chanserv__got *got, cs_ref *ret)
{
    cs_ref message;
    cs_err err;

    if (!got->message.base)
        return source->intake->whole ? chanserv__frame_move(source, ret)
                                     : cs_ref_copy(got->payload, ret);
    if ((err = mux_rx_keep(&source->intake->rx, got->message, &message)) != CS_OK)
        return err;
    *ret = cs_ref_slice(message,
                        (size_t)((const char *)got->payload.base - (const char *)got->message.base),
                        got->payload.len);
    cs_ref_drop(&message);
    return CS_OK;
}

cs_err chanserv_source_recv_ref(chanserv_source *source, cs_ref *ret)
{
    struct chanserv__got got;
    cs_err err = chanserv__source_next(source, false, &got);

    if (err != CS_OK || (err = keep_frame(source, &got, ret)) == CS_OK)
        return err;
    /* The frame is lost, so the source must not go on as if nothing had happened. */
    chanserv__enter(client_of(source));
    err = chanserv__source_refill(source, err);
    chanserv__leave(client_of(source));
    return err;
}

/* ---- Callbacks ----------------------------------------------------------------------------- */

cs_err chanserv_source_start(chanserv_source *source, const struct chanserv_source_ops *ops,
                             void *state)
{
    cs_err err;

    for (size_t i = 0; i < sizeof ops->reserved / sizeof *ops->reserved; i++)
        if (ops->reserved[i])
            return CS_EMISUSE;
    chanserv__enter(client_of(source));
    err = chanserv__line_start(&source->line, ops->state_bytes, state);
    if (err == CS_OK) {
        source->ops = ops;
        chanserv__source_ask(source);
        if (!chanserv__source_is_empty(source))
            source->line.news = true;
    }
    chanserv__leave(client_of(source));
    return err;
}

void *chanserv_source_state(const chanserv_source *source)
{
    return source->line.state;
}

void chanserv_source_set_state(chanserv_source *source, void *state)
{
    if (!source->line.started)
        source->line.state = state;
}

/* There may be nothing, but only asking would tell. */
void chanserv_source_resume(chanserv_source *source)
{
    chanserv__enter(client_of(source));
    source->line.armed = true;
    chanserv__line_news(&source->line);
    chanserv__leave(client_of(source));
}

/* ---- Going --------------------------------------------------------------------------------- */

void chanserv_source_cancel(chanserv_source *source)
{
    chanserv__enter(client_of(source));
    chanserv__line_cancel(&source->line);
    chanserv__leave(client_of(source));
}

chanserv_source *chanserv_source_keep(chanserv_source *source)
{
    chanserv_client *client = client_of(source);

    chanserv__enter(client);
    if (chanserv__source_feed(source)) {
        source->kept = true;
        cs_unlink(&source->line.link);
        cs_list_push(&client->kept, &source->line.link);
    }
    chanserv__leave(client);
    return source;
}

void chanserv_source_close(chanserv_source *source)
{
    chanserv_client *client;

    if (!source)
        return;
    client = client_of(source);
    chanserv__client_hold(client);
    chanserv__line_close(&source->line);
    chanserv__client_release(client);
}

void chanserv__source_free(chanserv_source *source)
{
    let_go_of_master(source, false);
    if (source->arrived) {
        mux_rx_fini(source->arrived);
        cs_free(source->arrived);
    }
    chanserv__say_free(source);
    chanserv__frame_drop(source);
    chanserv__origin_drop(source->origin);
    cs_free(source);
}
