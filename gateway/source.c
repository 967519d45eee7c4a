/* source -- GET /v1/source/TICKET: one source, for a reader who may be cut and come back.
 *
 * A ticket opens once; so what it opened is kept beyond the request that opened it (kept__in.h).  A later
 * request takes it over: the connection of a browser that was cut may look alive for long.  What is older
 * than what is kept is said to be lost, and never left out in silence.  After its end it answers 204 for a
 * while, which is what stops an EventSource. */
#include "gateway/gateway__in.h"
#include "gateway/json.h"
#include "gateway/kept__in.h"
#include "proto/status.h"

/* ---- What happens to the source ----------------------------------------------------------------------------- */

static void begin(struct gateway__reader *r)
{
    if (r->begun)
        return;
    r->begun = true;
    gateway__stream_begin(r->request, r->dialect);
}

/* The first of these two calls says how the opening went. */
static void on_readable(chanserv_source *source, void *state)
{
    struct gateway__kept *k = ((struct gateway__ear *)state)->kept;

    (void)source;
    if (!k || !k->reader)
        return;
    k->opened = true;
    begin(k->reader);
    gateway_wake(k->reader->request);
}

static void on_end(chanserv_source *source, cs_err why, void *state)
{
    struct gateway__kept *k = ((struct gateway__ear *)state)->kept;
    struct gateway__reader *r = k ? k->reader : NULL;

    if (!r)
        return;
    if (!k->opened && cs_failed(why)) {
        gateway_fail(r->request, why, "%s", chanserv_source_errmsg(source));
        return;
    }
    on_readable(source, state);
}

static const struct chanserv_source_ops source_ops = {
    .state_bytes = sizeof(struct gateway__ear), .readable = on_readable, .end = on_end};

/* ---- The body ------------------------------------------------------------------------------------------------ */

static void put_gap(struct gateway__reader *r, uint64_t gap)
{
    if (gap == 0 || r->dialect == GATEWAY__RAW)
        return;
    if (r->dialect == GATEWAY__SSE)
        gateway__text_words(&r->line, "event: gap\ndata: ");
    gateway_json_gap(gateway__text_put, &r->line, CS_OFF, gap);
    gateway__line_end(&r->line, r->dialect);
}

static cs_bytes line_of(const struct gateway__reader *r)
{
    return cs_bytes_of(r->line.buf.base, r->line.buf.len);
}

static cs_err say_frame(struct gateway__reader *r, const struct gateway__frame *frame,
                        cs_bytes *piece)
{
    cs_ref_drop(&r->held);
    r->at = frame->seq + 1;
    r->line.buf.len = 0;
    r->line.err = CS_OK;
    if (r->dialect == GATEWAY__RAW) {
        r->held = cs_ref_dup(frame->ref);
        *piece = r->held.bytes;
        return CS_OK;
    }
    put_gap(r, frame->gap);
    if (r->dialect == GATEWAY__SSE)
        gateway_json_format(gateway__text_put, &r->line,
                            "id: %llu\ndata: ", (unsigned long long)frame->seq);
    gateway_json_frame(gateway__text_put, &r->line, CS_OFF, frame->seq, frame->ref.bytes);
    gateway__line_end(&r->line, r->dialect);
    *piece = line_of(r);
    return r->line.err;
}

/* What is raw has no room for words: its end is clean, or it is broken off. */
static cs_err say_end(struct gateway__reader *r, cs_bytes *piece)
{
    struct gateway__kept *k = r->kept;

    if (r->said)
        return CS_DONE;
    r->said = true;
    if (r->dialect == GATEWAY__RAW)
        return cs_failed(k->why) ? k->why : CS_DONE;
    r->line.buf.len = 0;
    r->line.err = CS_OK;
    put_gap(r, k->last_gap);
    if (r->dialect == GATEWAY__SSE)
        gateway__text_words(&r->line, "event: end\ndata: ");
    gateway_json_end(gateway__text_put, &r->line, CS_OFF, k->why,
                     cs_failed(k->why) ? chanserv_source_errmsg(k->source) : "");
    gateway__line_end(&r->line, r->dialect);
    *piece = line_of(r);
    return r->line.err;
}

/* The reader is told, and nobody can want the rest. */
static cs_err say_lost(struct gateway__reader *r, cs_bytes *piece)
{
    struct gateway__kept *k = r->kept;

    if (r->said)
        return CS_DONE;
    r->said = true;
    gateway__line_begin(&r->line, GATEWAY__SSE, "lost", NULL);
    gateway_json_format(gateway__text_put, &r->line, "{\"lost\":{\"from\":%llu,\"kept\":%llu}}",
                        (unsigned long long)r->at, (unsigned long long)gateway__kept_first(k));
    gateway__line_end(&r->line, GATEWAY__SSE);
    *piece = line_of(r);
    gateway__kept_lose(k);
    return r->line.err;
}

static cs_err next(gateway_request *request, cs_bytes *piece, void *state)
{
    struct gateway__reader *r = state;
    const struct gateway__frame *frame;
    cs_err err;

    (void)request;
    if (!r->kept)
        return CS_DONE;
    if (r->lost)
        return say_lost(r, piece);
    if (!(frame = gateway__kept_find(r->kept, r->at))) {
        err = gateway__kept_fetch(r->kept);
        if (err == CS_DONE)
            return say_end(r, piece);
        if (err != CS_OK)
            return err;
        frame = gateway__kept_find(r->kept, r->at);
    }
    return say_frame(r, frame, piece);
}

static void end(gateway_request *request, cs_err why, void *state)
{
    struct gateway__reader *r = state;

    (void)request, (void)why;
    cs_ref_drop(&r->held);
    cs_buf_fini(&r->line.buf);
    if (r->kept)
        gateway__kept_unread(r->kept);
}

static const struct gateway_reply_ops reader_ops = {
    .state_bytes = sizeof(struct gateway__reader), .next = next, .end = end};

/* ---- The request --------------------------------------------------------------------------------------------- */

/* Below 2^63; false: it is none. */
static bool parse_number(cs_bytes text, uint64_t *ret)
{
    uint64_t n = 0;

    if (text.len == 0 || text.len > 18)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char c = ((const char *)text.base)[i];

        if (c < '0' || c > '9')
            return false;
        n = 10 * n + (uint64_t)(c - '0');
    }
    *ret = n;
    return true;
}

/* Who may come back: an identity if there is one, else an address whatever its port. */
static cs_err owner_of(const gateway_request *request, struct gateway__text *to)
{
    const struct mux_peer *peer = gateway_peer(request);
    const cs_bytes token = gateway_header(request, "authorization");
    size_t host = peer->addr.len;

    while (host > 0 && ((const char *)peer->addr.base)[host - 1] != ':')
        host--;
    gateway_json_format(gateway__text_put, to, "%lld\n", (long long)peer->uid);
    gateway__text_put(to, peer->tls_subject.base, peer->tls_subject.len);
    gateway__text_put(to, "\n", 1);
    gateway__text_put(to, token.base, token.len);
    if (peer->uid < 0 && peer->tls_subject.len + token.len == 0)
        gateway__text_put(to, peer->addr.base, host);
    return to->err;
}

static cs_err open_source(struct gateway__reader *r, gateway *gw, cs_bytes ticket, cs_bytes owner)
{
    struct chanserv_post_options options = {.timeout_ms = 0};
    struct gateway__ear ear;
    chanserv_source *source;
    cs_err err = gateway__kept_new(gw, ticket, owner, &ear.kept);

    if (err != CS_OK)
        return err;
    r->kept = ear.kept;
    ear.kept->reader = r;
    ear.kept->next = r->at;
    gateway_on_behalf(r->request, &options);
    err = chanserv_open_ticket_for(gw->client, NULL, ticket, r->at, &options, &source);
    if (err == CS_OK && (err = chanserv_source_start(source, &source_ops, &ear)) != CS_OK)
        chanserv_source_close(source);
    else if (err == CS_OK)
        ear.kept->source = source;
    return err == CS_OK ? CS_AGAIN : err;
}

/* `k` was opened before.  The frame that is wanted is kept, or is the next, or never will be. */
static cs_err take_over(struct gateway__reader *r, struct gateway__kept *k)
{
    if (k->over && (r->at >= k->next || !k->source)) { /* read, or lost */
        gateway_reply(r->request, 204, NULL, cs_bytes_of(NULL, 0));
        return CS_DONE;
    }
    if (r->at > k->next)
        return gateway_fail(r->request, CS_ERANGE, "the next frame has the number %llu",
                            (unsigned long long)k->next);
    r->lost = !gateway__kept_find(k, r->at) ? r->at < k->next : gateway__kept_first(k) > r->at;
    chanserv_server_foreign(k->gateway->server)->http_not_kept += r->lost;
    if (r->lost && r->dialect != GATEWAY__SSE)
        return gateway_fail(r->request, CS_ERANGE, "what is kept begins with the number %llu",
                            (unsigned long long)gateway__kept_first(k));
    if (k->reader) {
        k->reader->kept = NULL;
        gateway_wake(k->reader->request);
    }
    gateway__kept_read(k);
    k->reader = r;
    r->kept = k;
    begin(r);
    return CS_OK;
}

static cs_err read_or_open(gateway_request *request, struct gateway__reader *r, cs_bytes ticket)
{
    gateway *gw = gateway_of(request);
    struct gateway__kept *k = cs_names_get(&gw->kept, ticket);
    struct gateway__text owner = {.err = CS_OK};
    cs_err err = owner_of(request, &owner);

    if (err == CS_OK && !k)
        err = open_source(r, gw, ticket, cs_bytes_of(owner.buf.base, owner.buf.len));
    else if (err == CS_OK && !cs_same(k->owner, cs_bytes_of(owner.buf.base, owner.buf.len)))
        err = gateway_fail(request, CS_ECLAIMED, "somebody else has opened it");
    else if (err == CS_OK && !k->opened)
        err = gateway_fail(request, CS_ECLAIMED, "it is being opened");
    else if (err == CS_OK)
        err = take_over(r, k);
    cs_buf_fini(&owner.buf);
    return err;
}

/* Last-Event-ID is what was received last, `from` what is wanted first. */
static cs_err number_wanted(gateway_request *request, uint64_t *ret)
{
    const cs_bytes last = gateway_header(request, "last-event-id");
    const cs_bytes from = gateway_param(request, "from");

    if (last.len > 0 && parse_number(last, ret)) {
        ++*ret;
        return CS_OK;
    }
    if (last.len > 0 || (from.base && !parse_number(from, ret)))
        return gateway_fail(request, CS_EINVAL, "the number of a frame is decimal, below 10^18");
    return CS_OK;
}

cs_err gateway__source(gateway_request *request, void *user)
{
    struct gateway__reader born = {.request = request,
                                   .dialect = gateway__dialect_of(request, GATEWAY__RAW)};
    uint8_t ticket[GATEWAY__TICKET];
    size_t len;
    cs_err err;

    (void)user;
    if (!gateway__ticket_parse(gateway_path_rest(request), ticket, &len))
        return gateway_fail(request, CS_ENOENT, "no ticket is written so");
    if ((err = number_wanted(request, &born.at)) != CS_OK ||
        (err = gateway_keep(request, &reader_ops, &born)) != CS_OK)
        return err;
    return read_or_open(request, gateway_state(request), cs_bytes_of(ticket, len));
}
