/* source -- GET /v1/source/TICKET: one source, for a reader who may be cut and come back.
 *
 *     source ──▶ kept: the frames written last ──▶ the request that reads now
 *
 * A ticket opens once; so what it opened is kept here, with the last keep_bytes of its frames, and while
 * nobody reads it waits linger_ms for the same caller.  A later request takes it over: the connection
 * of a browser that was cut may look alive for long (PROTOCOL, C4 and C5).  What is older than what is
 * kept is said to be lost, and never left out in silence.  After its end it answers 204 for a while,
 * which is what stops an EventSource (C2). */
#include "gateway/gateway__in.h"
#include "gateway/json.h"
#include "proto/status.h"

#include <stdio.h>

enum { KEPT_BYTES = 1024 /* about, of one without its frames */ };

struct frame {
    struct cs_link link;
    uint64_t seq, gap; /* that many were left out before it */
    cs_ref ref;
};

struct kept {
    gateway *gateway;
    struct cs_link link; /* of gateway->lingering */
    int64_t counted;     /* there */
    chanserv_source *source;
    struct reader *reader; /* or NULL */
    struct cs_list frames; /* the last ones */
    size_t bytes;          /* of them */
    uint64_t next;         /* number of the next one of the source */
    uint64_t last_gap;     /* before its end */
    bool opened;
    bool over; /* the source is, and all of it is in `frames` or was */
    cs_err why;
    cs_timer *linger;
    cs_bytes ticket, owner; /* behind it */
};

struct ear { /* the source's state, which may stay longer */
    struct kept *kept;
};

struct reader { /* a request's state */
    gateway_request *request;
    struct kept *kept; /* NULL: taken over, or gone */
    enum gateway__dialect dialect;
    uint64_t at; /* number of the frame wanted next */
    bool begun;
    bool lost; /* to be told, and then it is over */
    bool said; /* the last word */
    cs_ref held;
    struct gateway__text line;
};

/* ---- Tickets as text ----------------------------------------------------------------------------------- */

void gateway__source_url(cs_bytes ticket, char to[GATEWAY__URL])
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = ticket.base;
    char *at = to + snprintf(to, GATEWAY__URL, "/v1/source/");

    for (size_t i = 0; i < ticket.len && i < GATEWAY__TICKET; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    *at = '\0';
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool gateway__ticket_parse(cs_bytes text, uint8_t to[GATEWAY__TICKET], size_t *len)
{
    const char *c = text.base;

    if (text.len == 0 || text.len % 2 || text.len > 2 * GATEWAY__TICKET)
        return false;
    for (size_t i = 0; i < text.len; i += 2) {
        const int high = digit(c[i]), low = digit(c[i + 1]);

        if (high < 0 || low < 0)
            return false;
        to[i / 2] = (uint8_t)(high << 4 | low);
    }
    *len = text.len / 2;
    return true;
}

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

/* ---- Kept ---------------------------------------------------------------------------------------------- */

static void drop_first(struct kept *k)
{
    struct frame *frame = CS_CONTAINER(cs_list_pop(&k->frames), struct frame, link);

    k->bytes -= frame->ref.bytes.len;
    cs_ref_drop(&frame->ref);
    cs_free(frame);
}

static void drop_frames(struct kept *k)
{
    while (!cs_list_empty(&k->frames))
        drop_first(k);
}

static void let_go_of_source(struct kept *k)
{
    if (!k->source)
        return;
    ((struct ear *)chanserv_source_state(k->source))->kept = NULL;
    chanserv_source_close(k->source);
    k->source = NULL;
}

static void stop_lingering(struct kept *k)
{
    k->gateway->lingering_bytes -= k->counted;
    k->counted = 0;
    cs_unlink(&k->link);
    cs_timer_set(k->linger, CS_OFF);
}

static void kept_free(struct kept *k)
{
    if (k->linger)
        stop_lingering(k);
    (void)cs_names_remove(&k->gateway->kept, k->ticket);
    if (k->reader)
        k->reader->kept = NULL;
    let_go_of_source(k);
    drop_frames(k);
    cs_timer_free(k->linger);
    cs_free(k);
}

void gateway__kept_free(gateway *gw)
{
    size_t at = 0;
    void *kept;

    while (cs_names_each(&gw->kept, &at, &kept))
        kept_free(kept);
    cs_names_fini(&gw->kept);
}

static void on_linger(void *user)
{
    struct kept *k = user;

    chanserv_server_foreign(k->gateway->server)->http_lingered++;
    kept_free(k);
}

static void make_room(gateway *gw)
{
    while (gw->lingering_bytes > gw->options.lingering_bytes) {
        chanserv_server_foreign(gw->server)->http_lingering_lost++;
        kept_free(CS_CONTAINER(cs_list_first(&gw->lingering), struct kept, link));
    }
}

/* Nobody reads it. */
static void wait_for_reader(struct kept *k)
{
    k->reader = NULL;
    if (k->gateway->freed || !k->opened) {
        kept_free(k);
        return;
    }
    cs_timer_set(k->linger, k->gateway->options.linger_ms);
    k->counted = KEPT_BYTES + (int64_t)k->bytes;
    cs_list_push(&k->gateway->lingering, &k->link);
    k->gateway->lingering_bytes += k->counted;
    make_room(k->gateway);
}

static cs_err remember(struct kept *k, cs_ref *ref)
{
    struct frame *frame = cs_zalloc(sizeof *frame);

    if (!frame)
        return CS_ENOMEM;
    frame->seq = chanserv_source_seq(k->source);
    frame->gap = chanserv_source_gap(k->source);
    frame->ref = *ref;
    cs_list_push(&k->frames, &frame->link);
    k->bytes += ref->bytes.len;
    k->next = frame->seq + 1;
    while (k->bytes > (uint64_t)k->gateway->options.keep_bytes &&
           cs_list_first(&k->frames) != &frame->link)
        drop_first(k);
    return CS_OK;
}

/* One more; the answers of a source, and once it is over, always CS_DONE. */
static cs_err fetch(struct kept *k)
{
    cs_ref ref;
    cs_err err;

    if (k->over)
        return CS_DONE;
    err = chanserv_source_recv_ref(k->source, &ref);
    if (err == CS_OK) {
        if ((err = remember(k, &ref)) != CS_OK)
            cs_ref_drop(&ref);
        return err;
    }
    if (err == CS_AGAIN)
        return err;
    k->over = true;
    k->why = err;
    k->last_gap = chanserv_source_gap(k->source);
    return CS_DONE;
}

/* ---- What happens to the source ----------------------------------------------------------------------------- */

static void begin(struct reader *r)
{
    if (r->begun)
        return;
    r->begun = true;
    gateway__stream_begin(r->request, r->dialect);
}

/* The first of these two calls says how the opening went. */
static void on_readable(chanserv_source *source, void *state)
{
    struct kept *k = ((struct ear *)state)->kept;

    (void)source;
    if (!k || !k->reader)
        return;
    k->opened = true;
    begin(k->reader);
    gateway_wake(k->reader->request);
}

static void on_end(chanserv_source *source, cs_err why, void *state)
{
    struct kept *k = ((struct ear *)state)->kept;
    struct reader *r = k ? k->reader : NULL;

    if (!r)
        return;
    if (!k->opened && cs_failed(why)) {
        gateway_fail(r->request, why, "%s", chanserv_source_errmsg(source));
        return;
    }
    on_readable(source, state);
}

static const struct chanserv_source_ops source_ops = {
    .state_bytes = sizeof(struct ear), .readable = on_readable, .end = on_end};

/* ---- The body ------------------------------------------------------------------------------------------------ */

static void put_gap(struct reader *r, uint64_t gap)
{
    if (gap == 0 || r->dialect == GATEWAY__RAW)
        return;
    if (r->dialect == GATEWAY__SSE)
        gateway__text_words(&r->line, "event: gap\ndata: ");
    gateway_json_gap(gateway__text_put, &r->line, CS_OFF, gap);
    gateway__line_end(&r->line, r->dialect);
}

static cs_bytes line_of(const struct reader *r)
{
    return cs_bytes_of(r->line.buf.base, r->line.buf.len);
}

static cs_err say_frame(struct reader *r, const struct frame *frame, cs_bytes *piece)
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
static cs_err say_end(struct reader *r, cs_bytes *piece)
{
    struct kept *k = r->kept;

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
static cs_err say_lost(struct reader *r, cs_bytes *piece)
{
    struct kept *k = r->kept;
    const struct frame *first = cs_list_empty(&k->frames)
                                    ? NULL
                                    : CS_CONTAINER(cs_list_first(&k->frames), struct frame, link);

    if (r->said)
        return CS_DONE;
    r->said = k->over = true;
    gateway__line_begin(&r->line, GATEWAY__SSE, "lost", NULL);
    gateway_json_format(gateway__text_put, &r->line, "{\"lost\":{\"from\":%llu,\"kept\":%llu}}",
                        (unsigned long long)r->at,
                        (unsigned long long)(first ? first->seq : k->next));
    gateway__line_end(&r->line, GATEWAY__SSE);
    *piece = line_of(r);
    let_go_of_source(k);
    drop_frames(k);
    return r->line.err;
}

static const struct frame *find(const struct kept *k, uint64_t seq)
{
    struct cs_link *link = cs_list_last(&k->frames), *found = NULL;

    for (; link && CS_CONTAINER(link, struct frame, link)->seq >= seq;
         link = link->prev == &k->frames.head ? NULL : link->prev)
        found = link;
    return found ? CS_CONTAINER(found, struct frame, link) : NULL;
}

static cs_err next(gateway_request *request, cs_bytes *piece, void *state)
{
    struct reader *r = state;
    const struct frame *frame;
    cs_err err;

    (void)request;
    if (!r->kept)
        return CS_DONE;
    if (r->lost)
        return say_lost(r, piece);
    if (!(frame = find(r->kept, r->at))) {
        err = fetch(r->kept);
        if (err == CS_DONE)
            return say_end(r, piece);
        if (err != CS_OK)
            return err;
        frame = find(r->kept, r->at);
    }
    return say_frame(r, frame, piece);
}

static void end(gateway_request *request, cs_err why, void *state)
{
    struct reader *r = state;

    (void)request, (void)why;
    cs_ref_drop(&r->held);
    cs_buf_fini(&r->line.buf);
    if (r->kept)
        wait_for_reader(r->kept);
}

static const struct gateway_reply_ops reader_ops = {
    .state_bytes = sizeof(struct reader), .next = next, .end = end};

/* ---- The request --------------------------------------------------------------------------------------------- */

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

static cs_err kept_new(gateway *gw, cs_bytes ticket, cs_bytes owner, struct kept **ret)
{
    struct kept *k = cs_zalloc(sizeof *k + ticket.len + owner.len);
    char *to = (char *)(k + 1);
    cs_err err;

    if (!k)
        return CS_ENOMEM;
    k->gateway = gw;
    k->ticket = cs_bytes_put(&to, ticket);
    k->owner = cs_bytes_put(&to, owner);
    cs_list_init(&k->frames);
    cs_link_init(&k->link);
    err = cs_timer_new(gw->loop, on_linger, k, &k->linger);
    if (err == CS_OK)
        err = cs_names_put(&gw->kept, k->ticket, k);
    if (err == CS_OK)
        *ret = k;
    else
        kept_free(k);
    return err;
}

static cs_err open_source(struct reader *r, gateway *gw, cs_bytes ticket, cs_bytes owner)
{
    struct chanserv_post_options options = {.timeout_ms = 0};
    struct ear ear;
    chanserv_source *source;
    cs_err err = kept_new(gw, ticket, owner, &ear.kept);

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

static uint64_t first_kept(const struct kept *k)
{
    struct cs_link *first = cs_list_first(&k->frames);

    return first ? CS_CONTAINER(first, struct frame, link)->seq : k->next;
}

/* `k` was opened before.  The frame that is wanted is kept, or is the next, or never will be. */
static cs_err take_over(struct reader *r, struct kept *k)
{
    if (k->over && (r->at >= k->next || !k->source)) { /* read, or lost */
        gateway_reply(r->request, 204, NULL, cs_bytes_of(NULL, 0));
        return CS_DONE;
    }
    if (r->at > k->next)
        return gateway_fail(r->request, CS_ERANGE, "the next frame has the number %llu",
                            (unsigned long long)k->next);
    r->lost = !find(k, r->at) ? r->at < k->next : first_kept(k) > r->at;
    if (r->lost && r->dialect != GATEWAY__SSE)
        return gateway_fail(r->request, CS_ERANGE, "what is kept begins with the number %llu",
                            (unsigned long long)first_kept(k));
    if (k->reader) {
        k->reader->kept = NULL;
        gateway_wake(k->reader->request);
    }
    stop_lingering(k);
    k->reader = r;
    r->kept = k;
    begin(r);
    return CS_OK;
}

static cs_err read_or_open(gateway_request *request, struct reader *r, cs_bytes ticket)
{
    gateway *gw = gateway_of(request);
    struct kept *k = cs_names_get(&gw->kept, ticket);
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

/* Last-Event-ID is what was received last, `from` what is wanted first (PROTOCOL, C1 and C3). */
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
    struct reader born = {.request = request,
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
