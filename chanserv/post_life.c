/* post_life -- how a post comes and goes: its memory, and what the end of its stream means.
 *
 * The stream may be over long before the record: outlets that are open, or still may be opened,
 * keep it; end() is the last that is heard of it. */
#include "chanserv/session__in.h"

#include "mux/roll.h"
#include "mux/rx.h"

/* ---- Its memory: what was asked must outlive the stream and the connection ------------------ */

/* It lives as long as its connection, which a post may outlive. */
static void copy_peer(struct mux_peer *to, const struct mux_peer *from, cs_bytes *sans, char **at)
{
    *to = *from;
    to->addr = cs_bytes_put(at, from->addr);
    to->tls_subject = cs_bytes_put(at, from->tls_subject);
    for (size_t i = 0; i < from->tls_sans_len; i++)
        sans[i] = cs_bytes_put(at, from->tls_sans[i]);
    to->tls_sans = sans;
}

static size_t peer_size(const struct mux_peer *peer)
{
    size_t size = peer->addr.len + peer->tls_subject.len;

    for (size_t i = 0; i < peer->tls_sans_len; i++)
        size += sizeof *peer->tls_sans + peer->tls_sans[i].len;
    return size;
}

static void copy_asked(chanserv_post *post, mux_stream *stream, const struct wire_post *asked)
{
    const cs_pair *pairs = mux_stream_headers(stream, &post->metadata_len);
    const struct mux_peer *peer = mux_stream_peer(stream);
    cs_bytes *sans;
    char *at;

    post->metadata = cs_extra(post, sizeof *post);
    sans = (cs_bytes *)(post->metadata + post->metadata_len);
    at = (char *)(sans + peer->tls_sans_len);
    for (size_t i = 0; i < post->metadata_len; i++) {
        post->metadata[i].name = cs_bytes_put(&at, pairs[i].name);
        post->metadata[i].value = cs_bytes_put(&at, pairs[i].value);
    }
    copy_peer(&post->peer, peer, sans, &at);
    post->service = cs_bytes_put(&at, asked->service);
    post->bucket = cs_bytes_put(&at, asked->bucket);
}

void chanserv__post_count(chanserv_post *post, int by)
{
    post->server->counters.posts += (uint64_t)by;
    post->owner->posts += by;
    chanserv__total_add(post->server, &post->server->totals->posts, by);
}

chanserv_post *chanserv__post_new(chanserv_server *server, mux_stream *stream,
                                  const struct wire_post *asked, struct chanserv__owner *owner)
{
    size_t n, size = asked->service.len + asked->bucket.len + peer_size(mux_stream_peer(stream));
    const cs_pair *pairs = mux_stream_headers(stream, &n);
    chanserv_post *post;

    for (size_t i = 0; i < n; i++)
        size += sizeof *pairs + pairs[i].name.len + pairs[i].value.len;
    post = cs_zalloc_with(sizeof *post, size);
    if (!post)
        return NULL;
    copy_asked(post, stream, asked);
    mux_stream_drop_headers(stream);
    post->server = server;
    post->owner = owner;
    post->service = chanserv__short_name(server, post->service);
    post->stream = stream;
    post->connection = mux_conn_number(mux_stream_conn(stream));
    post->number = ++server->posts_made;
    post->since_us = cs_loop_now_us(server->loop);
    post->linger_ms = server->options.linger_ms;
    post->inline_bytes = asked->inline_bytes;
    cs_task_init(&post->task, chanserv__post_run);
    cs_list_init(&post->queue);
    cs_list_init(&post->waiting);
    cs_list_init(&post->open);
    cs_list_push(&server->posts, &post->link);
    chanserv__post_count(post, 1);
    return post;
}

static void timers_free(chanserv_post *post)
{
    if (post->serving)
        cs_timer_free(post->serving);
    if (post->sourcing)
        cs_timer_free(post->sourcing);
    post->serving = post->sourcing = NULL;
}

/* The body, and what it is a view into. */
void chanserv__post_body_free(chanserv_post *post)
{
    cs_free(post->request);
    post->request = NULL;
    cs_ref_drop(&post->shared);
    post->body = cs_bytes_of(NULL, 0);
}

cs_err chanserv_post_body_ref(chanserv_post *post, cs_ref *ret)
{
    cs_err err = CS_OK;

    if (!post->request && !post->shared.block)
        return CS_EMISUSE;
    if (!post->shared.block)
        err = cs_ref_wrap(post->body, cs_free, post->request, &post->shared);
    if (err != CS_OK)
        return err;
    post->request = NULL;
    *ret = cs_ref_dup(post->shared);
    return CS_OK;
}

void chanserv__post_free(chanserv_post *post)
{
    cs_task_drop(&post->task);
    timers_free(post);
    cs_unlink(&post->link);
    chanserv__owner_drop(post->server, post->owner);
    if (post->channel)
        post->channel->of.post = NULL;
    if (post->skippable)
        cs_map_fini(post->skippable);
    cs_free(post->skippable);
    cs_free(post->state_block);
    cs_free(post->message);
    chanserv__post_body_free(post);
    cs_free(post);
}

/* ---- Its end -------------------------------------------------------------------------------- */

static void reap_task(cs_task *task)
{
    chanserv__post_free(CS_CONTAINER(task, chanserv_post, task));
}

static void end_task(cs_task *task)
{
    chanserv_post *post = CS_CONTAINER(task, chanserv_post, task);

    if (post->ops && post->ops->end)
        post->ops->end(post, post->why, post->state);
    cs_task_init(task, reap_task);
    cs_task_post(post->server->loop, CS_REAP, task);
}

static void perhaps_end(chanserv_post *post)
{
    if (post->stream || post->outlets > 0 || post->gone)
        return;
    post->gone = true;
    cs_task_drop(&post->task);
    cs_task_init(&post->task, end_task);
    cs_task_post(post->server->loop, CS_CALL, &post->task);
}

void chanserv__post_outlet_gone(chanserv_post *post)
{
    post->outlets--;
    perhaps_end(post);
}

void chanserv__post_end_unopened(chanserv_post *post, cs_err why, enum chanserv__reason reason)
{
    struct cs_list *lists[] = {&post->queue, &post->waiting};
    struct cs_link *link;

    for (size_t i = 0; i < 2; i++) {
        while ((link = cs_list_first(lists[i])) != NULL)
            chanserv__outlet_over(CS_CONTAINER(link, chanserv_outlet, link), why, reason);
    }
}

/* The stream is over and so is the channel of sources.  A master that the server ended leaves its
 * sources alone (they may still be opened); one that was cut takes the unopened with it: B8. */
void chanserv__post_stream_end(mux_stream *stream, cs_err why, void *state)
{
    struct chanserv__call *call = state;
    chanserv_post *post = call->object;
    enum chanserv__reason reason = CHANSERV__FINISHED;
    bool whole;

    (void)stream;
    call->server->calls--;
    chanserv__call_clear(call);
    call->object = NULL;
    if (!post)
        return;
    whole = why == CS_DONE && post->said && !post->cut;
    if (post->cut)
        (void)chanserv__why_of(post->cut, &reason);
    post->why = whole ? post->status : post->cut ? post->cut : chanserv__why_of(why, &reason);
    post->stream = NULL;
    post->closing = true;
    cs_task_drop(&post->task);
    timers_free(post);
    chanserv__post_count(post, -1);
    cs_histogram_add(&post->server->histograms.post,
                     cs_loop_now_us(post->server->loop) - post->since_us);
    post->server->counters.deadlines += reason == CHANSERV__DEADLINE;
    CS_TRACE("server > post over: %s", cs_strerror(post->why));
    if (post->ops && post->ops->closed)
        post->ops->closed(post, post->why, post->state);
    if (!whole &&
        (reason == CHANSERV__DEADLINE || reason == CHANSERV__SHUTDOWN || reason == CHANSERV__LOST))
        chanserv__post_end_unopened(post, post->why, reason);
    else if (!whole)
        chanserv__post_end_unopened(post, CS_ECANCELED, CHANSERV__POST_CANCELLED);
    perhaps_end(post);
}

void chanserv__post_cut(chanserv_post *post, enum wire_reason framework, cs_err why)
{
    if (!post->stream || post->cut)
        return;
    post->cut = why;
    post->closing = true;
    /* Trailers-Only would say that the function never ran. */
    mux_stream_send_headers(post->stream);
    chanserv__abort(post->stream, framework);
}
