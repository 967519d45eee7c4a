/* request -- a post until it is certain that its source function runs: sent, sent again, waiting.
 *
 *     go ──▶ sent to whoever's turn it is ──▶ response HEADERS: from here on it may have run
 *      ▲ │             │ certainly never ran
 *      │ └▶ waits ◀────┘
 *      └─────┘ something about the nodes has changed, or the time is up
 *
 * What certainly never ran: nobody was reached, or the peer refused the stream (mux knows both), or
 * the answer is a status alone, with one of three reasons of the framework's.  Everything else is
 * the end of the post, because nothing can tell whether it ran. */
#include "chanserv/client__in.h"

#include <stdio.h>

enum { SENDS_MAX = 16, HERE_MAX = 3 };

static const char METHOD[] = "/chanserv.v1.Chanserv/Post";

/* ---- Its memory ------------------------------------------------------------------------------ */

static uint32_t inline_bytes(const chanserv_client *client, const struct chanserv_post_options *o)
{
    int64_t n = o->inline_bytes ? o->inline_bytes : client->options.inline_bytes;
    return n < 0 ? 0 : n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static void stop_waiting(struct chanserv__request *r)
{
    if (!cs_linked(&r->link))
        return;
    cs_unlink(&r->link);
    cs_timer_set(r->timer, CS_OFF);
    chanserv__nodes_changed(r->feed->line.client); /* perhaps nobody wants to know any more */
}

static void request_free(struct chanserv__request *r)
{
    stop_waiting(r);
    cs_timer_free(r->timer);
    cs_free(r->bytes);
    cs_free(r->tried);
    cs_free(r->words);
    cs_free(r);
}

void chanserv__request_free(chanserv_feed *feed)
{
    if (feed->request)
        request_free(feed->request);
    feed->request = NULL;
}

cs_err chanserv__request_new(chanserv_feed *feed, const char *suffix, cs_bytes body,
                             const struct chanserv_post_options *options)
{
    chanserv_client *client = feed->line.client;
    const size_t name_len = strlen(feed->service) + strlen(suffix);
    struct chanserv__request *r = cs_zalloc(sizeof *r + name_len + options->bucket.len);
    struct wire_post post = {
        .body = body, .bucket = options->bucket, .inline_bytes = inline_bytes(client, options)};
    cs_err err;

    if (!r)
        return CS_ENOMEM;
    cs_link_init(&r->link);
    r->feed = feed;
    memcpy(r->texts, feed->service, strlen(feed->service));
    memcpy(r->texts + strlen(feed->service), suffix, strlen(suffix));
    r->name = post.service = cs_bytes_of(r->texts, name_len);
    if (options->bucket.len)
        memcpy(r->texts + name_len, options->bucket.base, options->bucket.len);
    r->bucket = cs_bytes_of(r->texts + name_len, options->bucket.len);
    r->since_ms = cs_loop_now_ms(client->loop);
    if ((err = wire_post_pack(&post, &r->bytes, &r->len)) != CS_OK) {
        request_free(r);
        return err;
    }
    feed->request = r;
    return CS_OK;
}

/* ---- Sending --------------------------------------------------------------------------------- */

cs_err chanserv__request_send(chanserv_feed *feed, struct chanserv__node *node)
{
    struct chanserv__line *line = &feed->line;
    struct chanserv__request *r = feed->request;
    struct mux_call_options call = {.timeout_ms = 0};
    struct chanserv__bond *bond = chanserv__bond_of(node, feed->metadata);
    cs_err err;

    if (feed->deadline_ms != CS_FOREVER) {
        call.timeout_ms = (int)(feed->deadline_ms - cs_loop_now_ms(line->client->loop));
        if (call.timeout_ms <= 0)
            return CS_ETIMEOUT;
    }
    if (feed->metadata) {
        call.metadata = feed->metadata->pairs;
        call.metadata_len = feed->metadata->len;
    }
    r->sends++;
    stop_waiting(r);
    feed->node = chanserv__node_hold(node);
    chanserv__line_silent(line, line->client->options.announce_timeout_ms);
    if (bond) /* from here on the request may be gone: it may have failed at once */
        return chanserv__tie_open(line, bond, METHOD, &call, &chanserv__feed_stream_ops, feed);
    err =
        mux_stream_open(node->conn, METHOD, &call, &chanserv__feed_stream_ops, feed, &line->stream);
    if (err != CS_OK)
        return err;
    line->client->streams++;
    err = mux_stream_send(line->stream, cs_bytes_of(r->bytes, r->len), cs_bytes_of(NULL, 0));
    if (err == CS_OK)
        mux_stream_finish(line->stream, CS_OK, NULL);
    else if (err != CS_ENOMEM && err != CS_ETOOBIG)
        err = CS_OK; /* over before it began: end() will say how */
    return err;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

bool chanserv__request_tried(const struct chanserv__request *r, uint64_t node)
{
    int n = 0;

    for (size_t i = 0; i < r->tried_len; i++)
        n += r->tried[i] == node;
    return n >= HERE_MAX;
}

static cs_err tried(struct chanserv__request *r, uint64_t node, int times)
{
    uint64_t *all = cs_realloc(r->tried, (r->tried_len + HERE_MAX) * sizeof *all);

    if (!all)
        return CS_ENOMEM;
    r->tried = all;
    while (times-- > 0)
        all[r->tried_len++] = node;
    return CS_OK;
}

/* Somebody would take it, or cannot be asked, and has refused this one. */
static bool is_refused(const chanserv_client *client, const struct chanserv__request *r)
{
    const struct chanserv__node *node = chanserv__nodes_first(client);
    const bool one = chanserv__nodes_one(client);

    for (; node; node = chanserv__nodes_next(node)) {
        const bool blind = node->standing == CHANSERV__NODE_BLIND;

        if (one ? blind
                : chanserv__request_tried(r, node->id) &&
                      (blind || chanserv__node_can_take(node, r)))
            return true;
    }
    return false;
}

static bool nobody_answers(const chanserv_client *client, const char **words)
{
    const struct chanserv__node *node = chanserv__nodes_first(client);

    *words = node ? "no node has answered in time" : "every node was left";
    for (; node; node = chanserv__nodes_next(node)) {
        if (node->list || node->standing == CHANSERV__NODE_BLIND)
            return false;
        if (node->words)
            *words = node->words;
    }
    return true;
}

static void give_up(struct chanserv__request *r, int64_t waited_ms)
{
    struct chanserv__line *line = &r->feed->line;
    const char *words = r->words;
    cs_err why = r->why;
    char after[64], *story;

    if (why == CS_OK && nobody_answers(line->client, &words)) {
        chanserv__line_fail(line, CS_EREFUSED, words);
        return;
    }
    if (why != CS_OK && why != CS_ENOENT) {
        chanserv__line_fail(line, why, words);
        return;
    }
    snprintf(after, sizeof after, "; waited %lld ms for somebody to serve it",
             (long long)waited_ms);
    story =
        cs_printf("%s%s", why ? words : "NOT_FOUND: nobody serves it", waited_ms > 0 ? after : "");
    chanserv__line_fail(line, CS_ENOENT, story ? story : words);
    cs_free(story);
}

static void on_time(void *user)
{
    chanserv__request_look(user);
}

static cs_err wait(struct chanserv__request *r, int64_t left_ms)
{
    chanserv_client *client = r->feed->line.client;
    int patience_ms = chanserv__nodes_patience_ms(client, r);
    cs_err err = CS_OK;

    if (r->feed->deadline_ms != CS_FOREVER) {
        int64_t ms = r->feed->deadline_ms - cs_loop_now_ms(client->loop);
        left_ms = left_ms < 0 || ms < left_ms ? ms : left_ms;
    }
    if (patience_ms >= 0 && (left_ms < 0 || patience_ms < left_ms))
        left_ms = patience_ms;
    if (!r->timer)
        err = cs_timer_new(client->loop, on_time, r, &r->timer);
    if (err != CS_OK)
        return err;
    cs_timer_set(r->timer, left_ms < 0 ? CS_OFF : (int)left_ms);
    if (cs_linked(&r->link))
        return CS_OK;
    cs_list_push(&client->waiting, &r->link);
    chanserv__nodes_changed(client); /* they are to be watched */
    return CS_OK;
}

cs_err chanserv__request_go(chanserv_feed *feed)
{
    struct chanserv__request *r = feed->request;
    chanserv_client *client = feed->line.client;
    const int limit_ms = client->options.lookup_timeout_ms;
    const int64_t now = cs_loop_now_ms(client->loop);
    const bool answered = chanserv__nodes_answered(client);
    struct chanserv__node *node;
    bool over;

    if (feed->deadline_ms != CS_FOREVER && now >= feed->deadline_ms)
        return CS_ETIMEOUT;
    if ((node = chanserv__nodes_pick(client, r)))
        return chanserv__request_send(feed, node);
    if (r->why != CS_OK && answered && is_refused(client, r)) {
        chanserv__line_fail(&feed->line, r->why, r->words);
        return CS_OK;
    }
    over = limit_ms == CS_OFF ? answered : now - r->since_ms >= limit_ms;
    if (!over)
        return wait(r, limit_ms == CS_OFF ? CS_FOREVER : r->since_ms + limit_ms - now);
    give_up(r, now - r->since_ms);
    return CS_OK;
}

void chanserv__request_look(struct chanserv__request *r)
{
    chanserv_feed *feed = r->feed;
    cs_err err = chanserv__request_go(feed);

    if (err != CS_OK)
        chanserv__line_fail(&feed->line, err, NULL);
}

/* ---- Again ----------------------------------------------------------------------------------- */

enum verdict { PERHAPS_RAN, UNREACHED, NO_SERVICE, DRAINING, LIMIT };

static enum verdict judge(mux_stream *stream, cs_err why)
{
    cs_bytes token = {NULL, 0};
    size_t headers;

    if (mux_stream_never_ran(stream))
        return why == CS_EREFUSED || why == CS_EPEER || why == CS_EDRAIN || why == CS_EUNAVAIL
                   ? UNREACHED
                   : PERHAPS_RAN; /* or given up by us */
    (void)mux_stream_headers(stream, &headers);
    if (headers > 0 || mux_stream_trailer(stream, "chanserv-reason", &token) != CS_OK)
        return PERHAPS_RAN;
    if (cs_same(token, cs_str(wire_reason_token(WIRE_R_NO_SERVICE))))
        return why == CS_ENOENT ? NO_SERVICE : PERHAPS_RAN;
    if (cs_same(token, cs_str(wire_reason_token(WIRE_R_DRAINING))))
        return why == CS_EDRAIN ? DRAINING : PERHAPS_RAN;
    if (cs_same(token, cs_str(wire_reason_token(WIRE_R_LIMIT))))
        return why == CS_ELIMIT ? LIMIT : PERHAPS_RAN;
    return PERHAPS_RAN;
}

/* What a server said is worth more than that the next could not be reached. */
static void remember(chanserv_feed *feed, mux_stream *stream, cs_err why, enum verdict verdict)
{
    struct chanserv__request *r = feed->request;
    const cs_pair *pairs;
    size_t n;

    if (r->why != CS_OK && verdict == UNREACHED)
        return;
    r->why = why;
    cs_story(&r->words, "%s", mux_stream_errmsg(stream));
    pairs = mux_stream_trailers(stream, &n);
    chanserv__pairs_drop(feed->trailers);
    feed->trailers = chanserv__pairs_copy(pairs, n);
}

/* With one node it is asked again where that can help at once, or waited for. */
static bool one_again(struct chanserv__request *r, struct chanserv__node *node,
                      enum verdict verdict, cs_err why)
{
    if (verdict == NO_SERVICE) {
        chanserv__node_ask_anew(node);
        return r->feed->line.client->options.lookup_timeout_ms != CS_OFF &&
               node->standing != CHANSERV__NODE_BLIND;
    }
    return verdict == UNREACHED && (why == CS_EDRAIN || why == CS_EUNAVAIL) && r->sends < HERE_MAX;
}

static cs_err several_again(struct chanserv__request *r, struct chanserv__node *node,
                            enum verdict verdict, cs_err why)
{
    const bool blind = node->standing == CHANSERV__NODE_BLIND;

    if (verdict == UNREACHED && why == CS_EREFUSED)
        chanserv__node_failed(node, r->words ? r->words : cs_strerror(why));
    if (verdict == UNREACHED)
        return tried(r, node->id, 1);
    if (verdict == DRAINING)
        node->draining = true; /* until it says otherwise */
    if (verdict == NO_SERVICE)
        chanserv__node_ask_anew(node);
    return verdict == LIMIT || blind ? tried(r, node->id, HERE_MAX) : CS_OK;
}

bool chanserv__request_again(chanserv_feed *feed, mux_stream *stream, cs_err why)
{
    struct chanserv__request *r = feed->request;
    chanserv_client *client = feed->line.client;
    struct chanserv__node *node = feed->node;
    enum verdict verdict = r ? judge(stream, why) : PERHAPS_RAN;
    const bool one = chanserv__nodes_one(client) && node == chanserv__nodes_first(client);
    bool again;
    cs_err err = CS_OK;

    if (verdict == PERHAPS_RAN || client->freed)
        return false;
    remember(feed, stream, why, verdict);
    again = r->sends < SENDS_MAX;
    if (again && one)
        again = one_again(r, node, verdict, why);
    else if (again)
        again = (err = several_again(r, node, verdict, why)) == CS_OK;
    if (!again) {
        chanserv__feed_over(feed, r->why, r->words);
        return false;
    }
    CS_TRACE("client > post %s never ran: %s", feed->service, r->words);
    feed->node = NULL;
    chanserv__line_heard(&feed->line);
    if (one && verdict == UNREACHED)
        err = chanserv__request_send(feed, node);
    else
        err = chanserv__request_go(feed);
    chanserv__node_release(node);
    if (err != CS_OK)
        chanserv__line_fail(&feed->line, err, NULL);
    return true;
}
