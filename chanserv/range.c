/* range -- the blocking skin: ask, and when told CS_AGAIN wait to be woken, and ask again.
 *
 * A wait that cannot be (in a callback, or on a virtual loop where nothing will ever happen) ends
 * what was waited for with CS_EMISUSE: a loop that just stopped would look like a clean end.
 */
#include "chanserv/client__in.h"

struct sleeper {
    struct chanserv__watcher watcher; /* first: on the stack of the call that waits */
    struct chanserv__line *line;
    cs_loop *loop;
    cs_waiter waiter;
    bool busy; /* somebody else is waiting for it already */
    bool gone; /* closed meanwhile, in a callback: its memory is not there any more */
};

static void on_tell(struct chanserv__watcher *watcher, bool gone)
{
    struct sleeper *s = (struct sleeper *)(void *)watcher;

    s->gone = gone;
    cs_waiter_wake(s->loop, &s->waiter);
}

/* It sleeps on nothing that a set, or somebody else, is waiting for. */
static void sleeper_begin(struct sleeper *s, struct chanserv__line *line)
{
    chanserv__client_hold(line->client);
    s->watcher.tell = on_tell;
    s->line = line;
    s->loop = line->client->loop;
    s->gone = false;
    s->busy = line->watcher != NULL;
    cs_waiter_init(&s->waiter);
    if (!s->busy)
        line->watcher = &s->watcher;
}

static void sleeper_end(struct sleeper *s, chanserv_client *client)
{
    if (!s->gone && !s->busy)
        s->line->watcher = NULL;
    cs_waiter_fini(&s->waiter);
    chanserv__client_release(client);
}

/* CS_OK: look again. */
static cs_err doze(struct sleeper *s)
{
    cs_err err = s->busy ? CS_EMISUSE : cs_loop_wait(s->loop, &s->waiter, CS_FOREVER);
    return s->gone ? CS_ECANCELED : err;
}

static void fail(struct sleeper *s, cs_err err)
{
    const char *words = "nothing left to wait for";

    if (s->gone)
        return;
    if (s->busy)
        words = "somebody else waits for it already";
    else if (cs_loop_in_turn(s->loop))
        words = "a callback must not wait";
    chanserv__line_fail(s->line, err, err == CS_EMISUSE ? words : NULL);
}

bool chanserv_range_source(chanserv_feed *feed, chanserv_source **ret)
{
    chanserv_client *client = feed->line.client;
    struct sleeper s;
    cs_err err, waited = CS_OK;

    sleeper_begin(&s, &feed->line);
    while ((err = chanserv__feed_recv(feed, ret)) == CS_AGAIN && (waited = doze(&s)) == CS_OK)
        ;
    if (err == CS_AGAIN)
        fail(&s, waited);
    sleeper_end(&s, client);
    return err == CS_OK;
}

/* CS_OK: ask the source again. */
static cs_err wait_for_bytes(chanserv_source *source)
{
    chanserv_client *client = source->line.client;
    struct sleeper s;
    cs_err err;

    sleeper_begin(&s, &source->line);
    err = chanserv__source_refill(source, CS_AGAIN);
    if (err == CS_AGAIN && (err = doze(&s)) != CS_OK) {
        fail(&s, err);
        if (!s.gone)
            err = chanserv__source_refill(source, CS_AGAIN);
    }
    sleeper_end(&s, client);
    return err;
}

bool chanserv_range_frame(chanserv_source *source, cs_bytes *ret)
{
    cs_err err;

    while ((err = chanserv_source_recv(source, ret)) == CS_AGAIN && wait_for_bytes(source) == CS_OK)
        ;
    return err == CS_OK;
}

cs_err chanserv_feed_ready(chanserv_feed *feed)
{
    chanserv_client *client = feed->line.client;
    struct sleeper s;
    cs_err err = CS_OK;

    sleeper_begin(&s, &feed->line);
    while (!feed->ready && !feed->line.over && (err = doze(&s)) == CS_OK)
        ;
    if (err == CS_OK && !feed->ready)
        err = feed->line.status;
    sleeper_end(&s, client);
    return err;
}
