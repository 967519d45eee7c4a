/* fake_peer -- see fake_peer.h.  What it says is written by hand, so that it can be wrong; what it
 * hears is taken apart by hand too, but for the header fields, which nghttp2 inflates. */
#include "test/support/fake_peer.h"

#include "base/mem.h"
#include "mux/link__in.h"
#include "mux/mux__in.h"
#include "mux/tls__in.h"

#include <criterion/criterion.h>
#include <nghttp2/nghttp2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEAD = 9, SAID = 64 * 1024, ACK = 1, ENHANCE_YOUR_CALM = 11 };

struct fake_peer {
    mux__link *link;
    nghttp2_hd_inflater *inflater;
    uint8_t *in, *out;
    size_t in_len, out_len, data;
    bool mute, hung_up, expects_preface, silent, deaf, shakes;
    char said[SAID], text[256];
    size_t said_len, text_len;
};

/* ---- Speaking ----------------------------------------------------------------------------- */

static void write_out(fake_peer *peer)
{
    size_t n;
    if (peer->shakes)
        return;
    while (peer->out_len > 0) {
        struct iovec v = {peer->out, peer->out_len};
        cs_err err = mux__link_write(peer->link, &v, 1, &n);
        if (err != CS_OK) {
            peer->out_len = err == CS_AGAIN ? peer->out_len : 0; /* nobody is there any more */
            break;
        }
        memmove(peer->out, peer->out + n, peer->out_len - n);
        peer->out_len -= n;
    }
    mux__link_want(peer->link, !peer->hung_up && !peer->deaf, peer->out_len > 0);
}

static void say(fake_peer *peer, const void *bytes, size_t len)
{
    peer->out = realloc(peer->out, peer->out_len + len + 1);
    cr_assert(peer->out);
    if (len > 0)
        memcpy(peer->out + peer->out_len, bytes, len);
    peer->out_len += len;
}

void fake_bytes(fake_peer *peer, cs_bytes bytes)
{
    say(peer, bytes.base, bytes.len);
    write_out(peer);
}

void fake_frame(fake_peer *peer, int type, int flags, int32_t id, cs_bytes payload)
{
    const uint8_t head[HEAD] = {(uint8_t)(payload.len >> 16),
                                (uint8_t)(payload.len >> 8),
                                (uint8_t)payload.len,
                                (uint8_t)type,
                                (uint8_t)flags,
                                (uint8_t)(id >> 24),
                                (uint8_t)(id >> 16),
                                (uint8_t)(id >> 8),
                                (uint8_t)id};
    say(peer, head, sizeof head);
    say(peer, payload.base, payload.len);
    write_out(peer);
}

static void put32(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> (24 - 8 * i));
}

void fake_word(fake_peer *peer, int type, int32_t id, uint32_t word)
{
    uint8_t bytes[4];
    put32(bytes, word);
    fake_frame(peer, type, 0, id, cs_bytes_of(bytes, sizeof bytes));
}

void fake_settings(fake_peer *peer, unsigned id, uint32_t value)
{
    uint8_t bytes[6] = {(uint8_t)(id >> 8), (uint8_t)id};
    put32(bytes + 2, value);
    fake_frame(peer, FAKE_SETTINGS, 0, 0, cs_bytes_of(bytes, sizeof bytes));
    if (peer->silent) /* what it owes */
        fake_frame(peer, FAKE_SETTINGS, ACK, 0, cs_bytes_of(NULL, 0));
    peer->silent = false;
}

void fake_goaway(fake_peer *peer, int32_t last_id, uint32_t error)
{
    uint8_t bytes[8];
    put32(bytes, (uint32_t)last_id);
    put32(bytes + 4, error);
    fake_frame(peer, FAKE_GOAWAY, 0, 0, cs_bytes_of(bytes, sizeof bytes));
}

/* RFC 7541, 6.2.2: a literal that nobody indexes, its length in one byte or two or three. */
static size_t put_text(uint8_t *to, const char *text)
{
    size_t len = strlen(text), at = 0, rest = len - 127;
    if (len < 127)
        to[at++] = (uint8_t)len;
    else {
        to[at++] = 127;
        for (; rest >= 128; rest /= 128)
            to[at++] = (uint8_t)(rest % 128 + 128);
        to[at++] = (uint8_t)rest;
    }
    memcpy(to + at, text, len);
    return at + len;
}

static void headers(fake_peer *peer, int32_t id, bool end, va_list args)
{
    uint8_t block[16 * 1024];
    size_t len = 0;
    const char *name;
    while ((name = va_arg(args, const char *))) {
        block[len++] = 0;
        len += put_text(block + len, name);
        len += put_text(block + len, va_arg(args, const char *));
    }
    fake_frame(peer, FAKE_HEADERS, FAKE_END_HEADERS | (end ? FAKE_END : 0), id,
               cs_bytes_of(block, len));
}

void fake_headers(fake_peer *peer, int32_t id, int end, ...)
{
    va_list args;
    va_start(args, end);
    headers(peer, id, end, args);
    va_end(args);
}

void fake_request(fake_peer *peer, int32_t id, bool end, const char *method)
{
    fake_headers(peer, id, end, ":method", "POST", ":scheme", "http", ":path", method, ":authority",
                 "fake", "te", "trailers", "content-type", "application/grpc", NULL);
}

void fake_answer(fake_peer *peer, int32_t id)
{
    fake_headers(peer, id, false, ":status", "200", "content-type", "application/grpc", NULL);
}

void fake_message(fake_peer *peer, int32_t id, const char *text, bool end)
{
    uint8_t bytes[4096];
    size_t len = strlen(text);
    cr_assert_lt(len, sizeof bytes - 5);
    bytes[0] = 0;
    put32(bytes + 1, (uint32_t)len);
    memcpy(bytes + 5, text, len);
    fake_frame(peer, FAKE_DATA, end ? FAKE_END : 0, id, cs_bytes_of(bytes, len + 5));
}

/* ---- Hearing ------------------------------------------------------------------------------ */

static void CS_PRINTF(2, 3) note(fake_peer *peer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(peer->said + peer->said_len, SAID - peer->said_len, format, args);
    va_end(args);
    peer->said_len += (size_t)n < SAID - peer->said_len ? (size_t)n : SAID - peer->said_len - 1;
}

static void note_fields(fake_peer *peer, uint8_t *block, size_t len)
{
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(peer->inflater, &nv, &flags, block, len, 1);
        cr_assert_geq(n, 0);
        block += n;
        len -= (size_t)n;
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            note(peer, " %.*s=%.*s", (int)nv.namelen, (char *)nv.name, (int)nv.valuelen,
                 (char *)nv.value);
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    nghttp2_hd_inflate_end_headers(peer->inflater);
}

static void note_text(fake_peer *peer, const uint8_t *bytes, size_t len)
{
    size_t room = sizeof peer->text - 1 - peer->text_len;
    if (len > room)
        len = room;
    memcpy(peer->text + peer->text_len, bytes, len);
    peer->text_len += len;
    peer->text[peer->text_len] = 0;
}

static uint32_t get32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static void hear_frame(fake_peer *peer, const uint8_t *head, uint8_t *payload, size_t len)
{
    static const char *const names[] = {"DATA",     "HEADERS",      "PRIORITY",       "RST_STREAM",
                                        "SETTINGS", "PUSH_PROMISE", "PING",           "GOAWAY",
                                        "WINDOW",   "CONTINUATION", "PRIORITY_UPDATE"};
    int type = head[3], flags = head[4];
    int32_t id = (int32_t)get32(head + 5);
    note(peer, "%s %d", (size_t)type < sizeof names / sizeof names[0] ? names[type] : "?", (int)id);
    if (type <= FAKE_HEADERS && flags & FAKE_END)
        note(peer, " end");
    if (type == FAKE_HEADERS)
        note_fields(peer, payload, len);
    else if (type == FAKE_DATA) {
        peer->data += len;
        note_text(peer, payload, len);
        note(peer, " %zu", len);
    } else if (type == FAKE_RST || type == FAKE_WINDOW)
        note(peer, " %u", get32(payload));
    else if (type == FAKE_GOAWAY)
        note(peer, " %u %u", get32(payload), get32(payload + 4));
    else if (flags & ACK)
        note(peer, " ack");
    if (type == FAKE_GOAWAY && get32(payload + 4) == ENHANCE_YOUR_CALM)
        note(peer, " %.*s", (int)(len - 8), (char *)payload + 8);
    note(peer, "\n");
    if (type == FAKE_SETTINGS && !(flags & ACK) && !peer->silent)
        fake_frame(peer, FAKE_SETTINGS, ACK, 0, cs_bytes_of(NULL, 0));
    if (type == FAKE_PING && !(flags & ACK) && !peer->mute)
        fake_frame(peer, FAKE_PING, ACK, 0, cs_bytes_of(payload, len));
}

static void hear(fake_peer *peer)
{
    size_t at = peer->expects_preface ? 24 : 0;
    if (peer->in_len < at)
        return;
    peer->expects_preface = false;
    while (peer->in_len - at >= HEAD) {
        uint8_t *head = peer->in + at;
        size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (peer->in_len - at < HEAD + len)
            break;
        hear_frame(peer, head, head + HEAD, len);
        at += HEAD + len;
    }
    memmove(peer->in, peer->in + at, peer->in_len - at);
    peer->in_len -= at;
}

static void on_ready(int can, void *user)
{
    enum { ROOM = 64 * 1024 };
    fake_peer *peer = user;
    size_t n = 0;
    (void)can;
    while (!peer->hung_up && !peer->deaf) {
        peer->in = realloc(peer->in, peer->in_len + ROOM);
        cr_assert(peer->in);
        cs_err err = mux__link_read(peer->link, peer->in + peer->in_len, ROOM, &n);
        if (err == CS_AGAIN)
            break;
        if (err == CS_OK)
            peer->in_len += n;
        else
            peer->hung_up = true;
    }
    hear(peer);
    write_out(peer);
}

/* ---- Life --------------------------------------------------------------------------------- */

static mux__tls *server_tls, *client_tls; /* NULL: plain text */

static void tls_be(mux__tls **tls, const struct mux_tls *options, bool is_server)
{
    char words[MUX__TLS_WORDS];
    mux__tls_drop(*tls);
    *tls = NULL;
    if (options)
        cr_assert_eq(mux__tls_new(options, is_server, "localhost", tls, words, sizeof words), CS_OK,
                     "%s", words);
}

void fake_tls(const struct mux_tls *server, const struct mux_tls *client)
{
    tls_be(&server_tls, server, true);
    tls_be(&client_tls, client, false);
}

static void on_shaken(const char *why, void *user)
{
    fake_peer *peer = user;
    cr_assert_not(why, "%s", why);
    peer->shakes = false;
    mux__link_listen(peer->link, on_ready, peer);
    write_out(peer);
}

static fake_peer *fake_new(mux__link *link, bool is_server)
{
    mux__tls *tls = is_server ? server_tls : client_tls;
    fake_peer *peer = calloc(1, sizeof *peer);
    cr_assert(peer);
    peer->link = link;
    cr_assert_eq(nghttp2_hd_inflate_new(&peer->inflater), 0);
    peer->shakes = tls != NULL;
    if (tls)
        cr_assert_eq(mux__tls_link(tls, link, CS_OFF, on_shaken, peer, &peer->link), CS_OK);
    else
        mux__link_listen(link, on_ready, peer);
    return peer;
}

fake_peer *fake_server(cs_loop *loop, const struct mux_options *options, mux_conn **ret)
{
    mux__link *ends[2];
    cr_assert_eq(mux__link_pair(loop, ends), CS_OK);
    cr_assert_eq(mux__conn_new(loop, options, false, ret), CS_OK);
    (*ret)->authority = cs_strdup("fake");
    cr_assert_eq(mux__h2_new(*ret), CS_OK);
    (*ret)->front->tls = client_tls ? mux__tls_hold(client_tls) : NULL;
    (*ret)->dialed_ms = cs_loop_now_ms(loop);
    cr_assert_eq(mux__conn_begin(*ret, ends[0], client_tls), CS_OK);
    fake_peer *peer = fake_new(ends[1], true);
    peer->expects_preface = true;
    fake_frame(peer, FAKE_SETTINGS, 0, 0, cs_bytes_of(NULL, 0));
    return peer;
}

static void greet(fake_peer *peer, int streams_max)
{
    if (streams_max > 0)
        fake_settings(peer, 3, (uint32_t)streams_max);
    else
        fake_frame(peer, FAKE_SETTINGS, 0, 0, cs_bytes_of(NULL, 0));
}

static void net_answer(struct fake_net *net, mux_conn *conn)
{
    mux__link *ends[2];
    if (net->refuses != 0) {
        net->refuses -= net->refuses > 0;
        mux__conn_dialed(conn, NULL, "dial fake: nobody is there");
        return;
    }
    cr_assert_lt(net->peers_len, 16);
    cr_assert_eq(mux__link_pair(conn->loop, ends), CS_OK);
    mux__conn_dialed(conn, ends[0], NULL);
    fake_peer *peer = fake_new(ends[1], true);
    peer->expects_preface = true;
    net->peers[net->peers_len++] = peer;
    peer->silent = net->silent;
    if (net->silent)
        mux__link_want(peer->link, true, false);
    else
        greet(peer, net->streams_max);
}

static cs_err net_dial(mux_conn *conn)
{
    struct fake_net *net = conn->front->dial_user;
    net->dials++;
    if (net->holds)
        net->held = conn;
    else
        net_answer(net, conn);
    return CS_OK;
}

void fake_net_dial(struct fake_net *net, cs_loop *loop, const struct mux_options *options,
                   mux_conn **ret)
{
    cr_assert_eq(mux__conn_new(loop, options, false, ret), CS_OK);
    (*ret)->authority = cs_strdup("fake");
    (*ret)->front->tls = client_tls ? mux__tls_hold(client_tls) : NULL;
    (*ret)->front->dial = net_dial;
    (*ret)->front->dial_user = net;
    cr_assert_eq(mux__conn_dial(*ret), CS_OK);
}

void fake_net_answer(struct fake_net *net)
{
    mux_conn *conn = net->held;
    cr_assert(conn);
    net->held = NULL;
    net_answer(net, conn);
}

void fake_net_free(struct fake_net *net)
{
    for (int i = 0; i < net->peers_len; i++)
        fake_free(net->peers[i]);
}

void fake_spend_ids(mux_conn *conn)
{
    cr_assert_eq(nghttp2_session_set_next_stream_id(conn->h2, INT32_MAX), 0);
}

fake_peer *fake_client_mute(cs_loop *loop, const struct mux_options *options,
                            mux_handlers *handlers)
{
    mux__link *ends[2];
    cr_assert_eq(mux__link_pair(loop, ends), CS_OK);
    cr_assert_eq(mux__conn_accept_tls(loop, ends[1], server_tls, options, handlers,
                                      &handlers->local_conns, NULL),
                 CS_OK);
    fake_peer *peer = fake_new(ends[0], false);
    peer->silent = true;
    return peer;
}

fake_peer *fake_client(cs_loop *loop, const struct mux_options *options, mux_handlers *handlers)
{
    fake_peer *peer = fake_client_mute(loop, options, handlers);
    peer->silent = false;
    say(peer, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    fake_frame(peer, FAKE_SETTINGS, 0, 0, cs_bytes_of(NULL, 0));
    return peer;
}

void fake_free(fake_peer *peer)
{
    mux__link_free(peer->link);
    nghttp2_hd_inflate_del(peer->inflater);
    free(peer->in);
    free(peer->out);
    free(peer);
}

const char *fake_said(const fake_peer *peer)
{
    return peer->said;
}

void fake_forget(fake_peer *peer)
{
    peer->said_len = peer->text_len = 0;
    peer->said[0] = peer->text[0] = 0;
}

bool fake_hung_up(const fake_peer *peer)
{
    return peer->hung_up;
}

size_t fake_heard(const fake_peer *peer)
{
    return peer->data;
}

const char *fake_text(const fake_peer *peer)
{
    return peer->text;
}

void fake_deaf(fake_peer *peer, bool deaf)
{
    peer->deaf = deaf;
    write_out(peer);
}

void fake_mute(fake_peer *peer)
{
    peer->mute = true;
}
