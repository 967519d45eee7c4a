/* source_open -- the Open of a source: where it goes, and when it goes again.
 *
 * It goes to the node of the feed's post, and nowhere else: a ticket opens at the process that
 * announced it.  An Open that the peer certainly did not process is made again, there, a few
 * times.  A ticket that came by other hands may belong to any node; it begins with the instance, so
 * it is usually known which; else they are asked in turn until one knows it. */
#include "chanserv/client__in.h"

enum { SENDS_MAX = 3, INSTANCE = 8 };

static void on_silence(void *user)
{
    chanserv_source *source = user;
    chanserv__line_fail(&source->line, CS_ETIMEOUT, "no frame for too long");
}

/* ---- Once ------------------------------------------------------------------------------------ */

size_t chanserv__source_ask_bytes(chanserv_source *source, const struct wire_channel *channel,
                                  uint64_t from, uint8_t to[WIRE_OPEN_MAX])
{
    const struct wire_open open = {
        .ticket = chanserv_source_ticket(source), .from = from, .channel = *channel};

    return source->uplink ? wire_up_open_put(to, &open) : wire_open_put(to, &open);
}

static cs_err send_plain(chanserv_source *source, const char *method,
                         const struct mux_call_options *call)
{
    static const struct wire_channel none;
    struct chanserv__line *line = &source->line;
    uint8_t bytes[WIRE_OPEN_MAX];
    const size_t len =
        chanserv__source_ask_bytes(source, &none, chanserv__source_from(source), bytes);
    cs_err err = mux_stream_open(source->origin->node->conn, method, call,
                                 &chanserv__source_stream_ops, source, &line->stream);

    if (err == CS_OK) {
        line->client->streams++;
        err = mux_stream_send(line->stream, cs_bytes_of(bytes, len), cs_bytes_of(NULL, 0));
        if (err == CS_OK && (!source->uplink || (source->finished && source->sends > 1)))
            mux_stream_finish(line->stream, CS_OK, NULL);
        else if (err != CS_OK && err != CS_ENOMEM && err != CS_ETOOBIG)
            err = CS_OK; /* over before it began: end() will say how */
    }
    return err;
}

static cs_err send_request(chanserv_source *source, int timeout_ms)
{
    const char *method =
        source->uplink ? "/chanserv.v1.Chanserv/Talk" : "/chanserv.v1.Chanserv/Open";
    const struct chanserv__pairs *metadata = source->origin->metadata;
    struct chanserv__bond *bond = chanserv__bond_of(source->origin->node, metadata);
    struct mux_call_options call = {.timeout_ms = timeout_ms};
    cs_err err;

    if (metadata) {
        call.metadata = metadata->pairs;
        call.metadata_len = metadata->len;
    }
    source->sends++;
    if (!bond)
        return send_plain(source, method, &call);
    err = chanserv__tie_open(&source->line, bond, method, &call, &chanserv__source_stream_ops,
                             source);
    if (err == CS_OK && source->uplink && source->finished)
        mux_stream_finish(source->line.stream, CS_OK, NULL);
    return err;
}

/* Each Open carries what is left of the post's deadline. */
static cs_err ask(chanserv_source *source)
{
    struct chanserv__line *line = &source->line;
    cs_loop *loop = line->client->loop;
    int silence_ms = line->client->options.frame_timeout_ms;
    int64_t left_ms = 0;
    cs_err err = CS_OK;

    if (source->origin->deadline_ms != CS_FOREVER) {
        left_ms = source->origin->deadline_ms - cs_loop_now_ms(loop);
        if (left_ms <= 0)
            return CS_ETIMEOUT;
    }
    if (silence_ms > 0 && !line->timer)
        err = cs_timer_new(loop, on_silence, source, &line->timer);
    if (err == CS_OK)
        err = send_request(source, (int)left_ms);
    chanserv__line_silent(line, silence_ms);
    return err;
}

void chanserv__source_ask(chanserv_source *source)
{
    struct chanserv__line *line = &source->line;
    cs_err err;

    if (line->opened)
        return;
    line->opened = true;
    if (line->over)
        return;
    CS_TRACE("client > open #%u", (unsigned)source->index);
    if (source->intake)
        source->intake->from = chanserv__frame_after(source);
    if ((err = ask(source)) != CS_OK)
        chanserv__line_fail(line, err, NULL);
}

/* ---- Again ----------------------------------------------------------------------------------- */

static bool is_elsewhere(mux_stream *stream, cs_err why)
{
    cs_bytes token;

    return why == CS_EPRECOND && mux_stream_trailer(stream, "chanserv-reason", &token) == CS_OK &&
           cs_same(token, cs_str(wire_reason_token(WIRE_R_OTHER_INSTANCE)));
}

/* Nobody knows where it belongs, so its origin is its own: the next in the order of joining, if there is one. */
static bool go_on(chanserv_source *source)
{
    struct chanserv__node *node = chanserv__nodes_first(source->line.client);

    while (node && node->id <= source->origin->node->id)
        node = chanserv__nodes_next(node);
    if (!node)
        return false;
    chanserv__node_release(source->origin->node);
    source->origin->node = chanserv__node_hold(node);
    source->sends = 0;
    return true;
}

bool chanserv__source_again(chanserv_source *source, mux_stream *stream, cs_err why)
{
    const bool unheard = mux_stream_never_ran(stream) &&
                         (why == CS_EDRAIN || why == CS_EUNAVAIL || why == CS_EREFUSED);
    cs_err err;

    if (source->spoke || source->line.client->freed || !source->origin->node->conn)
        return false;
    if (!unheard && !is_elsewhere(stream, why))
        return false;
    if (!unheard || why == CS_EREFUSED || source->sends >= SENDS_MAX) {
        if (!source->anywhere || !go_on(source))
            return false;
    }
    CS_TRACE("client > open #%u again: %s", (unsigned)source->index, mux_stream_errmsg(stream));
    if ((err = ask(source)) != CS_OK)
        chanserv__line_fail(&source->line, err, NULL);
    return true;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

cs_err chanserv_source_open(chanserv_source *source, uint64_t from)
{
    chanserv_client *client = source->line.client;
    cs_err err = CS_EMISUSE;

    chanserv__enter(client);
    if (!source->line.opened && !source->line.closed) {
        /* What rode whole in its announcement is refused here, as the server would. */
        if (source->line.over && source->line.status == CS_DONE &&
            from > chanserv__frame_after(source))
            chanserv__line_fail(&source->line, CS_ERANGE, "there is no such frame");
        chanserv__frame_skip(source, from);
        chanserv__source_ask(source);
        err = CS_OK;
    }
    chanserv__leave(client);
    return err;
}

/* The node that the ticket names, if it is known; else the first. */
static struct chanserv__node *node_of(chanserv_client *client, cs_bytes ticket, bool *ret_sure)
{
    struct chanserv__node *node = chanserv__nodes_first(client);

    for (; node; node = chanserv__nodes_next(node)) {
        if (node->list && ticket.len > INSTANCE &&
            memcmp(node->instance, ticket.base, INSTANCE) == 0) {
            *ret_sure = true;
            return node;
        }
    }
    *ret_sure = false;
    return chanserv__nodes_first(client);
}

static cs_err open_at(chanserv_client *client, struct chanserv__node *node, cs_bytes ticket,
                      uint64_t from, const struct chanserv_post_options *options,
                      chanserv_source **ret)
{
    const int64_t until =
        options->timeout_ms > 0 ? cs_loop_now_ms(client->loop) + options->timeout_ms : CS_FOREVER;
    struct chanserv__origin *origin = NULL;
    struct chanserv__pairs *metadata = NULL;
    chanserv_source *source;

    if (chanserv__pairs_of_call(client, options, &metadata) == CS_OK)
        origin = chanserv__origin_new(NULL, node, metadata, until);
    chanserv__pairs_drop(metadata);
    source = origin ? chanserv__source_make(client, origin, cs_bytes_of(NULL, 0), ticket) : NULL;
    chanserv__origin_drop(origin);
    if (!source)
        return CS_ENOMEM;
    cs_list_push(&client->kept, &source->line.link);
    chanserv__frame_skip(source, from);
    *ret = source;
    return CS_OK;
}

cs_err chanserv_open_ticket(chanserv_client *client, const char *addr, cs_bytes ticket,
                            uint64_t from, chanserv_source **ret)
{
    return chanserv_open_ticket_for(client, addr, ticket, from, NULL, ret);
}

cs_err chanserv_open_ticket_for(chanserv_client *client, const char *addr, cs_bytes ticket,
                                uint64_t from, const struct chanserv_post_options *options,
                                chanserv_source **ret)
{
    static const struct chanserv_post_options none = {0};
    struct chanserv__node *node;
    bool sure = true;
    cs_err err = CS_EMISUSE;

    options = options ? options : &none;
    if (ticket.len == 0 || ticket.len > CHANSERV__TICKET_MAX)
        return CS_EINVAL;
    if (!chanserv__reserved_ok(options->reserved))
        return CS_EMISUSE;
    chanserv__enter(client);
    if (!client->freed && chanserv__nodes_first(client) && chanserv__pairs_ok(client, options)) {
        node = addr ? chanserv__nodes_by_addr(client, addr) : node_of(client, ticket, &sure);
        err = node ? open_at(client, node, ticket, from, options, ret) : CS_ENOENT;
        if (err == CS_OK) {
            (*ret)->anywhere = !sure;
            chanserv__source_ask(*ret);
        }
    }
    chanserv__leave(client);
    return err;
}
