/* set -- Go's select over feeds, sources and channels.
 *
 * Members that may have something stand in a queue.  Whoever gives an item goes to its end, whoever
 * has nothing leaves it and is put back by the hook that wakes range, too.  So an event costs
 * the same with a thousand members, and a busy one cannot starve the others.
 */
#include "chanserv/client__in.h"

enum kind { FEED, SOURCE, CHAN };

struct member {
    struct chanserv__watcher watcher; /* first */
    struct cs_link link;              /* of set->members */
    struct cs_link ready;             /* of set->ready */
    chanserv_set *set;
    enum kind kind;
    union {
        chanserv_feed *feed;
        chanserv_source *source;
        cs_chan *chan;
    } u;
    /* Of a source: where its next frame lay when it was asked last, and may still. */
    const struct chanserv__intake *intake;
    const struct mux_segment *segment;
    const uint8_t *bytes;
};

struct chanserv_set {
    struct cs_link link; /* of client->sets */
    chanserv_client *client;
    struct cs_list members, ready;
    struct member *ended; /* a source whose end was the last event: it goes with the next call */
    cs_waiter *waiter;    /* of the select that waits */
    bool *freed;          /* told to it, when a callback frees the set meanwhile */
    void (*watch)(void *user);
    void *watch_user;
    cs_task task; /* calls it */
    bool armed;   /* select answered CS_AGAIN */
};

/* ---- Members ------------------------------------------------------------------------------- */

static void make_ready(struct member *m)
{
    chanserv_set *set = m->set;

    if (set->ended == m || cs_linked(&m->ready))
        return;
    cs_list_push(&set->ready, &m->ready);
    if (set->waiter)
        cs_waiter_wake(set->client->loop, set->waiter);
    if (set->watch && set->armed)
        cs_task_post(set->client->loop, CS_CALL, &set->task);
}

static void member_free(struct member *m)
{
    if (m->set->ended == m)
        m->set->ended = NULL;
    cs_unlink(&m->link);
    cs_unlink(&m->ready);
    cs_free(m);
}

static void on_tell(struct chanserv__watcher *watcher, bool gone)
{
    struct member *m = (struct member *)(void *)watcher;

    if (gone)
        member_free(m);
    else
        make_ready(m);
}

static void on_chan(void *user)
{
    make_ready(user);
}

static void member_drop(struct member *m)
{
    if (m->kind == CHAN) {
        cs_chan_watch_recv(m->u.chan, m->set->client->loop, NULL, NULL);
        cs_chan_free(m->u.chan);
    } else if (m->kind == FEED) {
        m->u.feed->line.watcher = NULL;
    } else {
        m->u.source->line.watcher = NULL;
    }
    member_free(m);
}

static struct member *member_new(chanserv_set *set, enum kind kind)
{
    struct member *m = cs_zalloc(sizeof *m);

    if (!m)
        return NULL;
    m->watcher.tell = on_tell;
    m->set = set;
    m->kind = kind;
    cs_link_init(&m->ready);
    cs_list_push(&set->members, &m->link);
    return m;
}

/* ---- Adding -------------------------------------------------------------------------------- */

static cs_err add_line(chanserv_set *set, struct chanserv__line *line, struct member **ret)
{
    if (set->client->freed || line->client != set->client || line->watcher || line->started ||
        line->closed)
        return CS_EMISUSE;
    if (!(*ret = member_new(set, line->is_feed ? FEED : SOURCE)))
        return CS_ENOMEM;
    line->watcher = &(*ret)->watcher;
    make_ready(*ret);
    return CS_OK;
}

cs_err chanserv_set_add_feed(chanserv_set *set, chanserv_feed *feed)
{
    struct member *m;
    cs_err err;

    chanserv__enter(set->client);
    if ((err = add_line(set, &feed->line, &m)) == CS_OK)
        m->u.feed = feed;
    chanserv__leave(set->client);
    return err;
}

void chanserv_set_remove_feed(chanserv_set *set, chanserv_feed *feed)
{
    struct chanserv__watcher *watcher;

    chanserv__enter(set->client);
    watcher = feed->line.watcher;
    if (watcher && watcher->tell == on_tell && ((struct member *)(void *)watcher)->set == set)
        member_drop((struct member *)(void *)watcher);
    chanserv__leave(set->client);
}

cs_err chanserv_set_add_source(chanserv_set *set, chanserv_source *source)
{
    struct member *m;
    cs_err err;

    chanserv__enter(set->client);
    if ((err = add_line(set, &source->line, &m)) == CS_OK) {
        m->u.source = source;
        chanserv__source_ask(source);
    }
    chanserv__leave(set->client);
    return err;
}

static cs_err add_chan(chanserv_set *set, cs_chan *chan)
{
    struct member *m;
    cs_err err;

    if (set->client->freed)
        return CS_EMISUSE;
    if (!(m = member_new(set, CHAN)))
        return CS_ENOMEM;
    m->u.chan = chan;
    if ((err = cs_chan_watch_recv(chan, set->client->loop, on_chan, m)) != CS_OK) {
        member_free(m);
        return err;
    }
    cs_chan_keep(chan);
    make_ready(m);
    return CS_OK;
}

cs_err chanserv_set_add_chan(chanserv_set *set, cs_chan *chan)
{
    cs_err err;

    chanserv__enter(set->client);
    err = add_chan(set, chan);
    chanserv__leave(set->client);
    return err;
}

/* ---- Select -------------------------------------------------------------------------------- */

static bool ask_feed(struct member *m, struct chanserv_event *ev)
{
    cs_err err;

    ev->feed = m->u.feed;
    err = chanserv__feed_recv(m->u.feed, &ev->source);
    if (err == CS_AGAIN)
        return false;
    if (err == CS_OK) {
        ev->kind = CHANSERV_SOURCE;
        make_ready(m);
        return true;
    }
    ev->kind = CHANSERV_FEED_END;
    ev->why = err;
    member_drop(m);
    return true;
}

static void note_next(struct member *m)
{
    m->intake = m->u.source->intake;
    m->segment = m->intake ? m->intake->rx.first : NULL;
    m->bytes = m->segment ? m->segment->at : NULL;
}

static bool ask_source(struct member *m, struct chanserv_event *ev)
{
    struct chanserv__got got;
    cs_err err;

    ev->source = m->u.source;
    ev->feed = chanserv__source_feed(m->u.source);
    err = chanserv__source_next(m->u.source, true, &got);
    if (err == CS_AGAIN)
        return false;
    if (err == CS_OK) {
        ev->kind = CHANSERV_FRAME;
        ev->frame = got.payload;
        note_next(m);
        make_ready(m);
        return true;
    }
    ev->kind = CHANSERV_SOURCE_END;
    ev->why = err;
    cs_unlink(&m->link);
    cs_unlink(&m->ready);
    m->set->ended = m;
    return true;
}

static bool ask_chan(struct member *m, struct chanserv_event *ev)
{
    cs_err err;

    ev->chan = m->u.chan;
    err = cs_chan_recv(m->u.chan, CS_NOW, &ev->message);
    if (err == CS_AGAIN)
        return false;
    if (err == CS_OK) {
        ev->kind = CHANSERV_MESSAGE;
        make_ready(m);
        return true;
    }
    ev->kind = CHANSERV_CHAN_END;
    ev->why = err;
    member_drop(m);
    return true;
}

/* The member whose turn comes after some others: now is the time to fetch what it will be asked for. */
static const struct member *soon(const chanserv_set *set)
{
    enum { TURNS = 4 };
    const struct cs_link *link = set->ready.head.next;

    for (int i = 1; i < TURNS; i++)
        link = link->next;
    return link == &set->ready.head ? NULL : CS_CONTAINER(link, struct member, ready);
}

/* With many members what leads to a frame does not stay in the cache until it is their turn, and these are loads
 * that follow one another: they are begun some turns before. */
static bool ask(chanserv_set *set, struct chanserv_event *ev)
{
    static bool (*const kinds[])(struct member *, struct chanserv_event *) = {
        [FEED] = ask_feed, [SOURCE] = ask_source, [CHAN] = ask_chan};
    struct cs_link *link;

    while ((link = cs_list_pop(&set->ready))) {
        struct member *m = CS_CONTAINER(link, struct member, ready);
        const struct member *later = soon(set);
        if (later) {
            __builtin_prefetch(later->ready.next);
            if (later->bytes) {
                __builtin_prefetch(later->u.source);
                __builtin_prefetch(&later->u.source->line.dropped);
                __builtin_prefetch(&later->u.source->intake);
                __builtin_prefetch(later->intake);
                __builtin_prefetch(&later->intake->seq);
                __builtin_prefetch(later->segment);
                __builtin_prefetch(later->bytes);
                __builtin_prefetch(later->bytes + 64);
            }
        }
        memset(ev, 0, sizeof *ev);
        if (kinds[m->kind](m, ev))
            return true;
    }
    return false;
}

/* The source whose end was the last event goes, unless it was kept. */
static void drop_ended(chanserv_set *set)
{
    struct member *m = set->ended;
    chanserv_source *source;

    if (!m)
        return;
    source = m->u.source;
    member_drop(m);
    if (chanserv__source_feed(source))
        chanserv__line_close(&source->line);
}

/* CS_OK: look again. */
static cs_err doze(chanserv_set *set, int timeout_ms)
{
    cs_waiter waiter;
    bool freed = false;
    cs_err err;

    cs_waiter_init(&waiter);
    set->waiter = &waiter;
    set->freed = &freed;
    err = cs_loop_wait(set->client->loop, &waiter, timeout_ms);
    cs_waiter_fini(&waiter);
    if (freed)
        return CS_ECANCELED;
    set->waiter = NULL;
    set->freed = NULL;
    return err;
}

static cs_err select_in(chanserv_set *set, int timeout_ms, struct chanserv_event *ret)
{
    int64_t end_ms = 0, left_ms = timeout_ms;
    struct chanserv_event ev;
    cs_err err;

    drop_ended(set);
    if (timeout_ms > 0 && set->client->loop)
        end_ms = cs_loop_now_ms(set->client->loop) + timeout_ms;
    for (;;) {
        if (ask(set, &ev)) {
            *ret = ev;
            return CS_OK;
        }
        if (cs_list_empty(&set->members))
            return CS_DONE;
        set->armed = true;
        if (timeout_ms == CS_NOW)
            return CS_AGAIN;
        if ((err = doze(set, (int)left_ms)) != CS_OK)
            return err;
        if (timeout_ms > 0 && (left_ms = end_ms - cs_loop_now_ms(set->client->loop)) < 0)
            left_ms = 0;
    }
}

cs_err chanserv_select(chanserv_set *set, int timeout_ms, struct chanserv_event *ret)
{
    chanserv_client *client = set->client;
    cs_err err;

    chanserv__client_hold(client);
    err = select_in(set, timeout_ms, ret);
    chanserv__client_release(client);
    return err;
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void call_watch(cs_task *task)
{
    chanserv_set *set = CS_CONTAINER(task, chanserv_set, task);

    if (!set->watch || !set->armed)
        return;
    set->armed = false;
    set->watch(set->watch_user); /* may free the set */
}

cs_err chanserv_set_watch(chanserv_set *set, void (*ready)(void *user), void *user)
{
    if (set->client->shared)
        return CS_EMISUSE;
    set->watch = ready;
    set->watch_user = user;
    set->armed = true;
    if (ready && set->client->loop && !cs_list_empty(&set->ready))
        cs_task_post(set->client->loop, CS_CALL, &set->task);
    return CS_OK;
}

cs_err chanserv_set_new(chanserv_client *client, chanserv_set **ret)
{
    chanserv_set *set = cs_zalloc(sizeof *set);

    if (!set)
        return CS_ENOMEM;
    set->client = client;
    cs_list_init(&set->members);
    cs_list_init(&set->ready);
    cs_task_init(&set->task, call_watch);
    chanserv__enter(client);
    client->refs++;
    cs_list_push(&client->sets, &set->link);
    chanserv__leave(client);
    *ret = set;
    return CS_OK;
}

static void empty(chanserv_set *set)
{
    struct cs_link *link;

    cs_task_drop(&set->task);
    cs_unlink(&set->link);
    if (set->ended)
        member_drop(set->ended);
    while ((link = cs_list_first(&set->members)))
        member_drop(CS_CONTAINER(link, struct member, link));
}

void chanserv__set_orphan(struct cs_link *link)
{
    empty(CS_CONTAINER(link, chanserv_set, link));
}

void chanserv_set_free(chanserv_set *set)
{
    chanserv_client *client;

    if (!set)
        return;
    client = set->client;
    chanserv__client_hold(client);
    empty(set);
    if (set->freed) {
        *set->freed = true;
        cs_waiter_wake(client->loop, set->waiter);
    }
    cs_free(set);
    client->refs--;
    chanserv__client_release(client);
}
