/* post -- POST /v1/post/SERVICE: a post and its sources as one stream of lines.
 *
 *     the answer's room ──▶ next() ──▶ feed, source, feed, source ... a line each
 *
 * Nothing is taken that there is no room for, so who reads slowly slows the producers and nobody else. */
#include "gateway/gateway__in.h"
#include "gateway/json.h"

#include <stdio.h>

struct live {
    gateway_request *request;
    enum gateway__dialect dialect;
    chanserv_feed *feed;
    chanserv_set *set;
    cs_bytes open;  /* which sources, by the text of their headers; base NULL: all */
    bool announces; /* and opens none */
    bool names;     /* each can be ended alone, by its URL: */
    struct cs_list named;
    cs_task task; /* begins the answer */
    bool begun;
    bool over; /* the feed: */
    cs_err why;
    bool said; /* that it is */
    bool turn; /* whose it is to be asked first: the set's */
    struct gateway__text line;
};

struct ear { /* the feed's state, which may stay longer than the request */
    struct live *live;
};

/* ---- What happens to the feed --------------------------------------------------------------------------- */

static void begin(struct live *l)
{
    if (l->begun)
        return;
    l->begun = true;
    gateway__stream_begin(l->request, l->dialect);
}

static void on_task(cs_task *task)
{
    begin(CS_CONTAINER(task, struct live, task));
}

/* Not at once: a source function that fails there and then still gets a status of its own. */
static void on_ready(chanserv_feed *feed, void *state)
{
    struct ear *ear = state;

    (void)feed;
    if (ear->live)
        cs_task_post(gateway_of(ear->live->request)->loop, CS_CALL, &ear->live->task);
}

static void on_readable(chanserv_feed *feed, void *state)
{
    struct ear *ear = state;

    (void)feed;
    if (ear->live)
        gateway_wake(ear->live->request);
}

static void on_end(chanserv_feed *feed, cs_err why, void *state)
{
    struct ear *ear = state;
    struct live *l = ear->live;

    if (!l)
        return;
    l->over = true;
    l->why = why;
    if (!l->begun && cs_failed(why)) {
        gateway_fail(l->request, why, "%s", chanserv_feed_errmsg(feed));
        return;
    }
    begin(l);
    gateway_wake(l->request);
}

static const struct chanserv_feed_ops feed_ops = {
    .state_bytes = sizeof(struct ear), .ready = on_ready, .readable = on_readable, .end = on_end};

static void on_set(void *user)
{
    struct live *l = user;

    gateway_wake(l->request);
}

/* ---- Lines ------------------------------------------------------------------------------------------------ */

static cs_err announce(struct live *l, chanserv_source *source)
{
    char url[GATEWAY__URL];
    cs_err err;

    gateway__source_url(chanserv_source_ticket(source), url);
    gateway__line_begin(&l->line, l->dialect, NULL, NULL);
    gateway_json_announce(gateway__text_put, &l->line, (int64_t)chanserv_source_index(source),
                          chanserv_source_header(source), l->announces || l->names ? url : NULL);
    if (l->announces)
        return CS_OK;
    if (l->names && (err = gateway__named_add(gateway_of(l->request), &l->named, source)) != CS_OK)
        return err;
    return chanserv_set_add_source(l->set, source);
}

/* CS_DONE: it is over. */
static cs_err from_feed(struct live *l)
{
    chanserv_source *source;
    cs_err err;

    while ((err = chanserv_feed_recv(l->feed, &source)) == CS_OK) {
        if (!l->open.base || cs_glob(l->open, chanserv_source_header(source)))
            return announce(l, source);
        chanserv_server_skip(gateway_of(l->request)->server, chanserv_source_ticket(source));
        chanserv_source_close(source);
    }
    return err == CS_AGAIN ? CS_AGAIN : CS_DONE;
}

/* A gap stands in front of what came behind it, in the same piece. */
static void add_gap(struct live *l, chanserv_source *source)
{
    const uint64_t gap = chanserv_source_gap(source);

    if (gap == 0)
        return;
    gateway_json_gap(gateway__text_put, &l->line, (int64_t)chanserv_source_index(source), gap);
    gateway__line_end(&l->line, l->dialect);
    gateway__text_words(&l->line, l->dialect == GATEWAY__SSE ? "data: " : "");
}

/* CS_DONE: no source is open. */
static cs_err from_set(struct live *l)
{
    struct chanserv_event ev;
    cs_err err = chanserv_select(l->set, CS_NOW, &ev);
    int64_t index;

    if (err != CS_OK)
        return err;
    index = (int64_t)chanserv_source_index(ev.source);
    gateway__line_begin(&l->line, l->dialect, NULL, NULL);
    add_gap(l, ev.source);
    if (ev.kind == CHANSERV_FRAME)
        gateway_json_frame(gateway__text_put, &l->line, index, chanserv_source_seq(ev.source),
                           ev.frame);
    else
        gateway_json_end(gateway__text_put, &l->line, index, ev.why,
                         chanserv_source_errmsg(ev.source));
    if (l->names && ev.kind != CHANSERV_FRAME)
        gateway__named_gone(gateway_of(l->request), ev.source);
    return CS_OK;
}

static cs_err last_line(struct live *l)
{
    if (l->said)
        return CS_DONE;
    l->said = true;
    gateway__line_begin(&l->line, l->dialect, "end", NULL);
    gateway_json_end(gateway__text_put, &l->line, CS_OFF, l->why,
                     cs_failed(l->why) ? chanserv_feed_errmsg(l->feed) : "");
    return CS_OK;
}

/* The two take turns. */
static cs_err next_line(struct live *l)
{
    cs_err (*const ask[])(struct live *) = {from_feed, from_set};
    cs_err first, second;

    l->turn = !l->turn;
    first = ask[l->turn](l);
    if (first != CS_AGAIN && first != CS_DONE)
        return first;
    second = ask[!l->turn](l);
    if (second != CS_AGAIN && second != CS_DONE)
        return second;
    return first == CS_DONE && second == CS_DONE && l->over ? last_line(l) : CS_AGAIN;
}

static cs_err next(gateway_request *request, cs_bytes *piece, void *state)
{
    struct live *l = state;
    cs_err err = next_line(l);

    (void)request;
    if (err != CS_OK)
        return err;
    gateway__line_end(&l->line, l->dialect);
    *piece = cs_bytes_of(l->line.buf.base, l->line.buf.len);
    return l->line.err;
}

static void end(gateway_request *request, cs_err why, void *state)
{
    struct live *l = state;

    (void)why;
    cs_task_drop(&l->task);
    gateway__named_free(gateway_of(request), &l->named);
    chanserv_set_free(l->set);
    if (l->feed) {
        ((struct ear *)chanserv_feed_state(l->feed))->live = NULL;
        chanserv_feed_close(l->feed);
    }
    cs_buf_fini(&l->line.buf);
}

static const struct gateway_reply_ops live_ops = {
    .state_bytes = sizeof(struct live), .next = next, .end = end};

/* ---- The post --------------------------------------------------------------------------------------------- */

static cs_err start(struct live *l, const char *service)
{
    struct chanserv_post_options options = {.inline_bytes = l->announces || l->names ? CS_OFF : 0};
    chanserv_client *client = gateway_client(gateway_of(l->request));
    struct ear ear = {l};
    chanserv_feed *feed;
    cs_err err;

    gateway_on_behalf(l->request, &options);
    if ((err = chanserv_set_new(client, &l->set)) != CS_OK)
        return err;
    if ((err = chanserv_set_watch(l->set, on_set, l)) != CS_OK)
        return err;
    err = chanserv_lookup_and_post(client, service, gateway_body(l->request), &options, &feed);
    if (err != CS_OK)
        return err == CS_EMISUSE ? CS_EINVAL : err;
    if ((err = chanserv_feed_start(feed, &feed_ops, &ear)) == CS_OK)
        l->feed = feed;
    else
        chanserv_feed_close(feed);
    return err;
}

cs_err gateway__post(gateway_request *request, void *user)
{
    const cs_bytes name = gateway_path_rest(request);
    const cs_bytes mode = gateway_param(request, "mode");
    const struct live born = {.request = request,
                              .dialect = gateway__dialect_of(request, GATEWAY__NDJSON),
                              .open = gateway_param(request, "open"),
                              .announces = cs_same(mode, cs_str("announce")),
                              .names = cs_same(mode, cs_str("named"))};
    struct live *live;
    char service[256];
    cs_err err;

    (void)user;
    if (name.len >= sizeof service)
        return gateway_fail(request, CS_EINVAL, "the name of a service has 255 bytes at most");
    snprintf(service, sizeof service, "%.*s", CS_FMT(name));
    if ((err = gateway_keep(request, &live_ops, (void *)(uintptr_t)&born)) != CS_OK)
        return err;
    live = gateway_state(request);
    cs_task_init(&live->task, on_task);
    cs_list_init(&live->named);
    err = start(live, service);
    return err == CS_OK ? CS_AGAIN
                        : gateway_fail(request, err, "post %s: %s", service, cs_strerror(err));
}
