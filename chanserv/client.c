/* client -- the object: its loop, its options, and how all of it goes.
 *
 * Going takes its time: streams end in a turn of the loop, callbacks are called, memory goes
 * behind them.  Every line and set keeps the client's memory, so that what the application
 * kept can still be closed when the client is long freed.
 */
#include "chanserv/client__in.h"
#include "mux/tls.h"

enum {
    INLINE_BYTES = 4 * 1024,
    WINDOW_BYTES = 64 * 1024, /* mux's default */
    LOOKUP_MS = 10000,
    RESUME_MS = 30000,
    MESSAGE_MAX = 4 * 1024 * 1024,
    FRAME_MAX = 100 * 1024 * 1024,
    ASSEMBLY = 256 * 1024 * 1024
};

bool chanserv__reserved_ok(const int64_t reserved[8])
{
    for (int i = 0; i < 8; i++)
        if (reserved[i])
            return false;
    return true;
}

/* ---- Memory -------------------------------------------------------------------------------- */

static void client_destroy(chanserv_client *client)
{
    chanserv__pairs_drop(client->bearer);
    cs_free(client->suffix);
    cs_free(client->tls);
    cs_free(client);
}

void chanserv__client_hold(chanserv_client *client)
{
    chanserv__enter(client);
    client->refs++;
}

void chanserv__client_release(chanserv_client *client)
{
    cs_loop *loop = client->loop;
    bool shared = client->shared, last = --client->refs == 0;

    if (loop)
        cs_loop_leave(loop);
    if (!last)
        return;
    if (shared)
        cs_loop_free(loop);
    client_destroy(client);
}

/* ---- Going --------------------------------------------------------------------------------- */

/* Everything but what was kept is gone, and what was kept is at rest. */
static bool is_at_rest(const chanserv_client *client)
{
    const struct cs_link *link = cs_list_first(&client->kept);
    size_t kept = 0;

    for (; link; link = cs_list_next(&client->kept, link)) {
        const struct chanserv__line *line = CS_CONTAINER(link, struct chanserv__line, link);
        if (cs_task_posted(&line->task))
            return false;
        kept++;
    }
    return client->streams == 0 && client->lines == kept;
}

/* A loop of the user's may be freed after the client, although something was kept. */
static void forget_loop(chanserv_client *client)
{
    struct cs_link *link = cs_list_first(&client->kept);

    for (; link; link = cs_list_next(&client->kept, link)) {
        struct chanserv__line *line = CS_CONTAINER(link, struct chanserv__line, link);
        cs_timer_free(line->timer);
        line->timer = NULL;
    }
    client->loop = NULL;
}

/* In the REAP phase, turn after turn until all streams have ended. */
static void last_steps(cs_task *task)
{
    chanserv_client *client = CS_CONTAINER(task, chanserv_client, task);

    if (!is_at_rest(client)) {
        cs_task_post(client->loop, CS_REAP, task);
        return;
    }
    if (client->shared)
        return; /* chanserv_client_free() is waiting, on another thread */
    chanserv__client_hold(client);
    forget_loop(client);
    client->refs--;
    chanserv__client_release(client);
}

static void end_all(chanserv_client *client)
{
    struct cs_link *link;

    while ((link = cs_list_first(&client->feeds)))
        chanserv__line_close(CS_CONTAINER(link, struct chanserv__line, link));
    for (link = cs_list_first(&client->kept); link; link = cs_list_next(&client->kept, link)) {
        struct chanserv__line *line = CS_CONTAINER(link, struct chanserv__line, link);
        chanserv__line_cancel(line);
        if (line->started && !line->told) {
            /* Its end() comes now: what was left unread shall not wait for a loop.  The gap before
             * its last frame was told with that. */
            chanserv_source *source = CS_CONTAINER(line, chanserv_source, line);
            if (source->intake)
                source->intake->gap = 0;
            chanserv__line_told(line);
        }
    }
    while ((link = cs_list_first(&client->sets)))
        chanserv__set_orphan(link);
}

void chanserv_client_free(chanserv_client *client)
{
    if (!client)
        return;
    cs_loop *loop = client->loop;
    chanserv__client_hold(client);
    client->freed = true;
    end_all(client);
    chanserv__lookup_end(client);
    chanserv__nodes_end(client);
    cs_task_post(loop, CS_REAP, &client->task);
    chanserv__leave(client);
    cs_loop_last_turn(loop);
    chanserv__enter(client);
    if (client->shared)
        client->refs--;
    chanserv__client_release(client);
}

void chanserv_client_cancel(chanserv_client *client)
{
    struct cs_link *link;

    chanserv__enter(client);
    for (link = cs_list_first(&client->feeds); link; link = cs_list_next(&client->feeds, link))
        chanserv__feed_cancel(CS_CONTAINER(link, chanserv_feed, line.link));
    for (link = cs_list_first(&client->kept); link; link = cs_list_next(&client->kept, link))
        chanserv__line_cancel(CS_CONTAINER(link, struct chanserv__line, link));
    chanserv__leave(client);
}

/* ---- Made ---------------------------------------------------------------------------------- */

static int64_t option(int64_t given, int64_t otherwise, int64_t off)
{
    return given == 0 ? otherwise : given < 0 ? off : given;
}

/* As it stands in a header field. */
static bool token_ok(cs_bytes token)
{
    const char *at = token.base;

    for (size_t i = 0; i < token.len; i++)
        if (at[i] <= ' ' || at[i] > '~')
            return false;
    return true;
}

/* What was given may go when chanserv_client_new() returns, so nobody shall look at it again. */
static cs_err copy_texts(chanserv_client *client)
{
    struct chanserv_client_options *o = &client->options;
    cs_err err = CS_OK;

    if ((o->name_space && !wire_service_name_ok(cs_str(o->name_space))) || !token_ok(o->token))
        return CS_EINVAL;
    client->suffix = o->name_space ? cs_printf(".%s", o->name_space) : cs_strdup("");
    client->tls = o->net.tls ? mux_tls_dup(o->net.tls) : NULL;
    if (!client->suffix || (o->net.tls && !client->tls))
        return CS_ENOMEM;
    o->net.tls = client->tls;
    if (o->token.len > 0)
        err = chanserv__pairs_bearer(o->token, &client->bearer);
    o->name_space = NULL;
    o->token = cs_bytes_of(NULL, 0);
    return err;
}

static void fill_options(chanserv_client *client, const struct chanserv_client_options *given)
{
    struct chanserv_client_options *o = &client->options;

    *o = *given;
    o->lookup_timeout_ms = (int)option(o->lookup_timeout_ms, LOOKUP_MS, CS_OFF);
    o->inline_bytes = option(o->inline_bytes, INLINE_BYTES, 0);
    client->resumes_local = o->resume_ms > 0;
    o->resume_ms = (int)option(o->resume_ms, RESUME_MS, CS_OFF);
    o->frame_max_bytes = option(o->frame_max_bytes, FRAME_MAX, INT64_MAX);
    o->assembly_bytes = option(o->assembly_bytes, ASSEMBLY, INT64_MAX);
    client->message_max = option(o->net.message_max_bytes, MESSAGE_MAX, UINT32_MAX);
    client->credit_bytes = (size_t)(option(o->net.window_bytes, WINDOW_BYTES, WINDOW_BYTES) / 4);
}

cs_err chanserv_client_new(cs_loop *loop, const struct chanserv_client_options *options,
                           chanserv_client **ret)
{
    static const struct chanserv_client_options none = {.inline_bytes = 0};
    chanserv_client *client;
    cs_err err;

    if (!options)
        options = &none;
    if (!chanserv__reserved_ok(options->reserved) || !chanserv__reserved_ok(options->net.reserved))
        return CS_EMISUSE;
    if (options->busy_poll_us > CS_BUSY_POLL_MAX_US)
        return CS_EINVAL;
    if (!(client = cs_zalloc(sizeof *client)))
        return CS_ENOMEM;
    fill_options(client, options);
    err = copy_texts(client);
    if (err == CS_OK && !loop)
        err = cs_loop_new_shared(&loop);
    if (err != CS_OK) {
        client_destroy(client);
        return err;
    }
    if (options->busy_poll_us != 0)
        (void)cs_loop_busy_poll(loop, options->busy_poll_us);
    client->loop = loop;
    client->shared = cs_loop_is_shared(loop);
    client->refs = 1;
    chanserv__nodes_init(client);
    cs_list_init(&client->feeds);
    cs_list_init(&client->kept);
    cs_list_init(&client->sets);
    cs_task_init(&client->task, last_steps);
    atomic_init(&client->assembling, 0);
    *ret = client;
    return CS_OK;
}

cs_loop *chanserv_client_loop(const chanserv_client *client)
{
    return client->shared ? NULL : client->loop;
}
