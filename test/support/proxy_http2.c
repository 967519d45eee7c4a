/* The proxy that speaks HTTP/2 on both sides.  A stream is two halves, one of each connection; what
 * arrives on one waits in the other until its window opens. */
#include "test/support/proxy__in.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { AHEAD = 1 << 20, PIECE = 16 * 1024, FIELDS = 64 };

/* Header fields while they come, and trailers until they go. */
struct fields {
    nghttp2_nv list[FIELDS];
    size_t len;
};

struct half {
    struct cs_link link;
    struct proxy__wire *wire;
    struct half *other; /* NULL: it is over there */
    int32_t id;
    uint8_t *waits; /* to be sent */
    size_t at, len, room;
    size_t owed; /* credit for what was received here and still waits there */
    bool ended;  /* behind what waits comes the end */
    bool trails; /* with trailers */
    bool over;   /* all was answered, and not all was asked: then it is reset */
    bool told;   /* its end went out */
    bool heard;  /* the end came in */
    struct fields fields, trailers;
};

/* A connection, with a client or with the server. */
struct proxy__wire {
    struct proxy__end end;
    struct proxy *proxy;
    nghttp2_session *session;
    struct cs_list halves;
    struct proxy__fate fate;
    const uint8_t *out; /* what nghttp2 gave, and the socket has not taken */
    size_t out_len;
    bool down; /* with a client */
};

static struct proxy__wire *wire_new(struct proxy *p, int fd, bool down);

/* ---- Halves -------------------------------------------------------------------------------- */

static void fields_clear(struct fields *f)
{
    for (size_t i = 0; i < f->len; i++) {
        free(f->list[i].name);
        free(f->list[i].value);
    }
    f->len = 0;
}

static struct half *half_new(struct proxy__wire *wire, int32_t id)
{
    struct half *h = calloc(1, sizeof *h);

    if (!h)
        abort();
    h->wire = wire;
    h->id = id;
    cs_list_push(&wire->halves, &h->link);
    return h;
}

static void half_free(struct half *h)
{
    if (h->other)
        h->other->other = NULL;
    cs_unlink(&h->link);
    fields_clear(&h->fields);
    fields_clear(&h->trailers);
    free(h->waits);
    free(h);
}

/* Not now: a callback of this connection may be under way. */
static void soon(struct proxy__wire *wire)
{
    wire->end.wants |= POLLOUT;
}

static void resume(struct half *h)
{
    (void)nghttp2_session_resume_data(h->wire->session, h->id);
    soon(h->wire);
}

static void reset(struct half *h, uint32_t code)
{
    (void)nghttp2_submit_rst_stream(h->wire->session, NGHTTP2_FLAG_NONE, h->id, code);
    soon(h->wire);
}

/* What the one half was told, the other hears in the proxy's words. */
static void half_lost(struct half *h, uint32_t code)
{
    struct half *other = h->other;

    if (!other)
        return;
    if (!other->wire->down && code != NGHTTP2_NO_ERROR)
        code = h->wire->proxy->options.no_error ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL;
    reset(other, code);
}

/* Credit goes back while less than AHEAD waits on the other side. */
static void pay(struct half *h)
{
    if (h->owed == 0 || (h->other && h->other->len >= AHEAD))
        return;
    (void)nghttp2_session_consume_stream(h->wire->session, h->id, h->owed);
    h->owed = 0;
    soon(h->wire);
}

static void add(struct half *h, const uint8_t *bytes, size_t len)
{
    if (h->at > 0 && h->at + h->len + len > h->room) {
        memmove(h->waits, h->waits + h->at, h->len);
        h->at = 0;
    }
    if (h->len + len > h->room) {
        h->room = 2 * (h->len + len);
        h->waits = realloc(h->waits, h->room);
        if (!h->waits)
            abort();
    }
    memcpy(h->waits + h->at + h->len, bytes, len);
    h->len += len;
    resume(h);
}

/* ---- Going out ----------------------------------------------------------------------------- */

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                       uint32_t *flags, nghttp2_data_source *from, void *user)
{
    struct half *h = from->ptr;
    size_t n = h->len < room ? h->len : room;

    (void)user;
    if (n == 0 && !h->ended)
        return NGHTTP2_ERR_DEFERRED;
    if (n > 0)
        memcpy(to, h->waits + h->at, n);
    h->at += n;
    h->len -= n;
    if (h->len == 0)
        h->at = 0;
    if (h->other)
        pay(h->other);
    if (h->len == 0 && h->ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (h->trails) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            (void)nghttp2_submit_trailer(session, id, h->trailers.list, h->trailers.len);
        }
    }
    return (ssize_t)n;
}

/* A reset drops what still waits in nghttp2, so the end goes first. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct half *h = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)user;
    if (!h || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
        (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    h->told = true;
    if (h->over)
        reset(h, NGHTTP2_NO_ERROR);
    return 0;
}

static bool write_out(struct proxy__wire *wire)
{
    for (;;) {
        size_t most;
        ssize_t n;

        if (wire->out_len == 0) {
            n = nghttp2_session_mem_send(wire->session, &wire->out);
            if (n <= 0)
                return n == 0;
            wire->out_len = (size_t)n;
        }
        most = wire->out_len;
        if (wire->fate.bytes >= 0 && (uint64_t)wire->fate.bytes < most)
            most = (size_t)wire->fate.bytes;
        n = send(wire->end.fd, wire->out, most, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        wire->out += n;
        wire->out_len -= (size_t)n;
        if (wire->fate.bytes >= 0 && (wire->fate.bytes -= n) == 0)
            return true;
    }
}

/* ---- Coming in ----------------------------------------------------------------------------- */

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct proxy__wire *wire = user;

    if (wire->down && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id,
                                             half_new(wire, frame->hd.stream_id));
    return 0;
}

static void *copy(const uint8_t *bytes, size_t len)
{
    void *to = malloc(len + 1);

    if (!to)
        abort();
    return memcpy(to, bytes, len);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct half *h = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)flags, (void)user;
    if (h && h->fields.len < FIELDS)
        h->fields.list[h->fields.len++] = (nghttp2_nv){.name = copy(name, name_len),
                                                       .namelen = name_len,
                                                       .value = copy(value, value_len),
                                                       .valuelen = value_len};
    return 0;
}

/* The connection to the server, made when there is none that takes streams. */
static struct proxy__wire *upstream(struct proxy *p)
{
    int fd;

    if (!p->up && (fd = proxy__connect(p)) >= 0)
        p->up = wire_new(p, fd, false);
    return p->up;
}

static void begin_request(struct half *h, bool ended)
{
    struct proxy__wire *up = upstream(h->wire->proxy);
    struct half *there;
    nghttp2_data_provider from;

    if (!up) {
        reset(h, NGHTTP2_REFUSED_STREAM);
        return;
    }
    there = half_new(up, 0);
    from = (nghttp2_data_provider){.source.ptr = there, .read_callback = on_read};
    there->ended = ended;
    there->other = h;
    h->other = there;
    there->id = nghttp2_submit_request(up->session, NULL, h->fields.list, h->fields.len,
                                       ended ? NULL : &from, there);
    if (there->id < 0) {
        half_free(there);
        reset(h, NGHTTP2_REFUSED_STREAM);
    }
    soon(up);
}

static void begin_answer(struct half *h, bool ended)
{
    struct half *there = h->other;
    nghttp2_data_provider from = {.source.ptr = there, .read_callback = on_read};

    (void)nghttp2_submit_response(there->wire->session, there->id, h->fields.list, h->fields.len,
                                  ended ? NULL : &from);
    soon(there->wire);
}

static void on_fields(struct half *h, const nghttp2_frame *frame)
{
    const bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        begin_request(h, ended);
    } else if (h->other && frame->headers.cat == NGHTTP2_HCAT_RESPONSE) {
        begin_answer(h, ended);
    } else if (h->other) { /* trailers */
        h->other->trailers = h->fields;
        h->fields.len = 0;
        h->other->trails = true;
    }
    fields_clear(&h->fields);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct proxy__wire *wire = user;
    struct half *h = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    if (frame->hd.type == NGHTTP2_GOAWAY && wire->proxy->up == wire)
        wire->proxy->up = NULL; /* what it carries it may finish */
    if (!h)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS)
        on_fields(h, frame);
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
        (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    h->heard = true;
    if (h->other) {
        h->other->ended = true;
        resume(h->other);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t len, void *user)
{
    struct half *h = nghttp2_session_get_stream_user_data(session, id);

    (void)flags, (void)user;
    (void)nghttp2_session_consume_connection(session, len);
    if (!h || !h->other)
        return 0;
    h->owed += len;
    add(h->other, bytes, len);
    pay(h);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct half *h = nghttp2_session_get_stream_user_data(session, id);

    (void)user;
    if (!h)
        return 0;
    if (code != NGHTTP2_NO_ERROR || !h->other || !h->other->ended)
        half_lost(h, code);
    else if (h->other->wire->down && !h->other->heard && h->other->told)
        reset(h->other, NGHTTP2_NO_ERROR);
    else
        h->other->over = h->other->wire->down && !h->other->heard;
    nghttp2_session_set_stream_user_data(session, id, NULL);
    half_free(h);
    return 0;
}

/* ---- A connection -------------------------------------------------------------------------- */

static void forget(struct proxy__end *end)
{
    struct proxy__wire *wire = CS_CONTAINER(end, struct proxy__wire, end);
    struct cs_link *link;

    while ((link = cs_list_first(&wire->halves)) != NULL)
        half_free(CS_CONTAINER(link, struct half, link));
    nghttp2_session_del(wire->session);
    free(wire);
}

static void wire_end(struct proxy__wire *wire, bool by_reset)
{
    struct cs_link *link;

    if (wire->end.gone)
        return;
    if (wire->proxy->up == wire)
        wire->proxy->up = NULL;
    while ((link = cs_list_first(&wire->halves)) != NULL) {
        struct half *h = CS_CONTAINER(link, struct half, link);

        half_lost(h, NGHTTP2_INTERNAL_ERROR);
        half_free(h);
    }
    proxy__drop(&wire->end, by_reset);
}

/* The last byte of its time has passed: true when that was its end. */
static bool happens(struct proxy__wire *wire)
{
    struct proxy *p = wire->proxy;

    if (wire->fate.bytes != 0)
        return false;
    wire->fate.bytes = -1;
    if (!proxy__may(p, wire->fate.act))
        return false;
    if (!wire->down)
        atomic_fetch_add(&p->upstream, 1);
    wire_end(wire, wire->fate.act == PROXY_RESET);
    return true;
}

/* False: it is over.  The bytes of both ways count. */
static bool read_in(struct proxy__wire *wire)
{
    uint8_t piece[PIECE];
    size_t most = sizeof piece;
    ssize_t n;

    if (wire->fate.bytes >= 0 && (uint64_t)wire->fate.bytes < most)
        most = (size_t)wire->fate.bytes;
    n = recv(wire->end.fd, piece, most, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN;
    if (n == 0 || nghttp2_session_mem_recv(wire->session, piece, (size_t)n) < 0)
        return false;
    if (wire->fate.bytes >= 0)
        wire->fate.bytes -= n;
    return true;
}

static void on_ready(struct proxy__end *end, short events)
{
    struct proxy__wire *wire = CS_CONTAINER(end, struct proxy__wire, end);

    (void)events;
    if (!read_in(wire)) {
        wire_end(wire, true);
        return;
    }
    if (happens(wire))
        return;
    end->wants = POLLIN;
    if (!write_out(wire)) {
        wire_end(wire, true);
        return;
    }
    if (happens(wire))
        return;
    if (wire->out_len > 0 || nghttp2_session_want_write(wire->session))
        end->wants = POLLIN | POLLOUT;
    else if (!nghttp2_session_want_read(wire->session))
        wire_end(wire, false);
}

static nghttp2_session *session_new(struct proxy__wire *wire)
{
    nghttp2_session_callbacks *calls;
    nghttp2_option *option;
    nghttp2_session *session = NULL;

    if (nghttp2_session_callbacks_new(&calls) != 0 || nghttp2_option_new(&option) != 0)
        abort();
    nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(calls, on_sent);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_peer_max_concurrent_streams(option, 1 << 20);
    nghttp2_option_set_stream_reset_rate_limit(option, UINT64_C(1) << 40, UINT64_C(1) << 30);
    if ((wire->down ? nghttp2_session_server_new2 : nghttp2_session_client_new2)(&session, calls,
                                                                                 wire, option) != 0)
        abort();
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(calls);
    return session;
}

static struct proxy__wire *wire_new(struct proxy *p, int fd, bool down)
{
    const nghttp2_settings_entry many = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1 << 20};
    struct proxy__wire *wire = calloc(1, sizeof *wire);

    if (!wire)
        abort();
    wire->proxy = p;
    wire->down = down;
    wire->fate = proxy__fate(p);
    cs_list_init(&wire->halves);
    wire->session = session_new(wire);
    wire->end.ready = on_ready;
    wire->end.forget = forget;
    wire->end.wants = POLLIN | POLLOUT;
    (void)nghttp2_submit_settings(wire->session, NGHTTP2_FLAG_NONE, &many, 1);
    proxy__add(p, &wire->end, fd);
    return wire;
}

void proxy__http2_begin(struct proxy *p, int fd)
{
    (void)wire_new(p, fd, true);
}
