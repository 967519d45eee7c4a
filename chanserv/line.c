/* line -- what a feed and a source have in common: the life of a channel towards us.
 *
 *     runs -- over: nothing more arrives -- told: the application knows -- closed -- gone
 *
 * They come in this order but for two short cuts: an application may close at any time, and
 * a line that failed here is over at once.  It goes when it is closed, mux's stream has ended, and
 * its own end() was called; on a loop of the user's at the end of the turn, because callbacks
 * further up the stack may still look at its state.
 *
 * Callbacks are called in two ways: straight from mux's callbacks, which come once a turn, or
 * from a task, for all that happens by calls of the application.
 */
#include "chanserv/client__in.h"

static void line_task(cs_task *task);

void chanserv__line_init(struct chanserv__line *line, chanserv_client *client, bool is_feed)
{
    line->client = client;
    client->refs++;
    client->lines++;
    cs_link_init(&line->link);
    cs_task_init(&line->task, line_task);
    atomic_init(&line->dropped, false);
    line->is_feed = is_feed;
    line->armed = true;
}

static chanserv_feed *feed_of(struct chanserv__line *line)
{
    return CS_CONTAINER(line, chanserv_feed, line);
}
static chanserv_source *source_of(struct chanserv__line *line)
{
    return CS_CONTAINER(line, chanserv_source, line);
}

/* ---- Callbacks ----------------------------------------------------------------------------- */

/* Nothing is left to receive: what is left to tell is the end. */
static bool is_at_end(struct chanserv__line *line)
{
    if (!line->over)
        return false;
    return line->is_feed || line->told || chanserv__source_is_empty(source_of(line));
}

static void call_readable(struct chanserv__line *line)
{
    line->armed = line->news = false;
    if (line->is_feed)
        chanserv__feed_turn(feed_of(line));
    if (line->is_feed && feed_of(line)->ops->readable)
        feed_of(line)->ops->readable(feed_of(line), line->state);
    else if (!line->is_feed && source_of(line)->ops->readable)
        source_of(line)->ops->readable(source_of(line), line->state);
}

static void call_end(struct chanserv__line *line)
{
    cs_err why = line->status;

    line->ended = true;
    if (!line->is_feed && !line->told && !line->closed) /* it may find the last message cut off */
        why = chanserv__source_refill(source_of(line), CS_AGAIN);
    chanserv__line_told(line);
    if (line->is_feed && feed_of(line)->ops->end)
        feed_of(line)->ops->end(feed_of(line), why, line->state);
    else if (!line->is_feed && source_of(line)->ops->end)
        source_of(line)->ops->end(source_of(line), why, line->state);
    chanserv__line_settle(line);
}

static void call_detached(struct chanserv__line *line)
{
    const cs_err why = line->tie && line->tie->broken ? line->tie->broken->why : CS_EPEER;

    line->heard_so = true;
    if (line->is_feed && feed_of(line)->ops->detached)
        feed_of(line)->ops->detached(feed_of(line), why, line->state);
    else if (!line->is_feed && source_of(line)->ops->detached)
        source_of(line)->ops->detached(source_of(line), why, line->state);
}

static void call_attached(struct chanserv__line *line)
{
    line->heard_so = false;
    if (line->is_feed && feed_of(line)->ops->attached)
        feed_of(line)->ops->attached(feed_of(line), line->state);
    else if (!line->is_feed && source_of(line)->ops->attached)
        source_of(line)->ops->attached(source_of(line), line->state);
}

static void call(struct chanserv__line *line)
{
    if (!line->started || line->ended)
        return;
    if (line->is_feed && !line->closed)
        chanserv__feed_call(feed_of(line));
    if (line->detached != line->heard_so && !line->closed && !line->over) {
        if (line->detached)
            call_detached(line);
        else
            call_attached(line);
    }
    if (line->closed || is_at_end(line))
        call_end(line);
    else if (line->armed && line->news)
        call_readable(line);
}

static void line_task(cs_task *task)
{
    call(CS_CONTAINER(task, struct chanserv__line, task));
}

static void post(struct chanserv__line *line)
{
    if (line->client->loop)
        cs_task_post(line->client->loop, CS_CALL, &line->task);
}

static void tell(struct chanserv__line *line)
{
    line->news = true;
    if (line->watcher)
        line->watcher->tell(line->watcher, false);
}

void chanserv__line_arrived(struct chanserv__line *line)
{
    tell(line);
    call(line);
}

void chanserv__line_news(struct chanserv__line *line)
{
    tell(line);
    if (line->started)
        post(line);
}

void chanserv__line_detached(struct chanserv__line *line, bool detached)
{
    if (line->detached == detached)
        return;
    line->detached = detached;
    if (line->started)
        post(line);
}

cs_err chanserv__line_start(struct chanserv__line *line, size_t state_bytes, void *state)
{
    if (line->client->shared || line->client->freed || line->started || line->closed ||
        line->watcher)
        return CS_EMISUSE;
    if (state_bytes) {
        void *copy = cs_zalloc(state_bytes);
        if (!copy)
            return CS_ENOMEM;
        if (state)
            memcpy(copy, state, state_bytes);
        line->owns_state = true;
        state = copy;
    }
    line->state = state;
    line->started = true;
    post(line);
    return CS_OK;
}

/* ---- Silence ------------------------------------------------------------------------------- */

/* Asking again in vain does not make the silence younger. */
void chanserv__line_silent(struct chanserv__line *line, int timeout_ms)
{
    if (!line->timer || line->over || line->silent)
        return;
    line->silent = true;
    cs_timer_set(line->timer, timeout_ms);
}

void chanserv__line_heard(struct chanserv__line *line)
{
    line->silent = false;
    if (line->timer)
        cs_timer_set(line->timer, CS_OFF);
}

/* ---- Ends ---------------------------------------------------------------------------------- */

static void over(struct chanserv__line *line, cs_err err, const char *text)
{
    atomic_store_explicit(&line->dropped, true, memory_order_relaxed);
    if (!line->is_feed)
        chanserv__source_over(source_of(line), err, text);
    else if (!line->over)
        chanserv__feed_over(feed_of(line), err, text);
    if (line->stream)
        mux_stream_cancel(line->stream, err);
}

void chanserv__line_fail(struct chanserv__line *line, cs_err err, const char *text)
{
    if (line->told || line->closed)
        return;
    over(line, err, text);
    chanserv__line_news(line);
}

void chanserv__line_cancel(struct chanserv__line *line)
{
    if (line->told || line->closed)
        return;
    if (!line->over || !line->is_feed) {
        line->by_us = true;
        over(line, CS_ECANCELED, NULL);
    }
    chanserv__line_news(line);
}

void chanserv__line_told(struct chanserv__line *line)
{
    if (line->told)
        return;
    line->told = true;
    chanserv__line_heard(line);
    if (line->started && !line->ended)
        post(line);
    if (line->is_feed) {
        CS_TRACE("client > feed over: %s", cs_strerror(line->status));
        return;
    }
    chanserv_source *source = source_of(line);
    chanserv_feed *feed = chanserv__source_feed(source);
    CS_TRACE("client > #%u over: %s", (unsigned)source->index, cs_strerror(line->status));
    if (feed && !line->closed) {
        if (cs_failed(line->status) && !line->by_us)
            chanserv__feed_note(feed, source);
        cs_unlink(&line->link);
        cs_list_push(&feed->told, &line->link);
    }
}

/* ---- Going --------------------------------------------------------------------------------- */

static void line_free(struct chanserv__line *line)
{
    line->client->refs--;
    line->client->lines--;
    cs_task_drop(&line->task);
    cs_unlink(&line->link);
    cs_timer_free(line->timer);
    cs_free(line->errmsg);
    if (line->owns_state)
        cs_free(line->state);
    if (line->is_feed)
        chanserv__feed_free(feed_of(line));
    else
        chanserv__source_free(source_of(line));
}

static void line_reap(cs_task *task)
{
    struct chanserv__line *line = CS_CONTAINER(task, struct chanserv__line, task);
    chanserv_client *client = line->client;

    chanserv__client_hold(client);
    line_free(line);
    chanserv__client_release(client);
}

void chanserv__line_settle(struct chanserv__line *line)
{
    if (!line->closed || line->stream || (line->started && !line->ended))
        return;
    /* With a thread of its own there are no callbacks, so nobody is still looking. */
    if (line->client->shared || !line->client->loop) {
        line_free(line);
        return;
    }
    cs_task_drop(&line->task);
    cs_task_init(&line->task, line_reap);
    cs_task_post(line->client->loop, CS_REAP, &line->task);
}

void chanserv__line_close(struct chanserv__line *line)
{
    struct chanserv__watcher *watcher = line->watcher;

    if (line->closed)
        return;
    if (!line->told && (!line->over || !line->is_feed)) {
        line->by_us = true;
        over(line, CS_ECANCELED, NULL);
    }
    line->closed = true;
    line->watcher = NULL;
    chanserv__line_heard(line);
    cs_unlink(&line->link);
    if (line->is_feed)
        chanserv__feed_let_go(feed_of(line));
    else
        source_of(line)->kept = true;
    if (watcher)
        watcher->tell(watcher, true);
    if (line->started && !line->ended)
        post(line);
    chanserv__line_settle(line);
}
