/* peer -- see peer.h.  Header fields are inflated by nghttp2; all else is taken apart by hand. */
#include "test/attack/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 9, GATHER = 64 * 1024, ROOM = 64 * 1024, CALM = 11 };

int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void nap_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

/* ---- Life ------------------------------------------------------------------------------------ */

bool peer_dial(struct peer *peer, int port, int from, struct work *work)
{
    struct sockaddr_in here = {.sin_family = AF_INET},
                       there = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    memset(peer, 0, sizeof *peer);
    peer->work = work;
    peer->status = -1;
    here.sin_addr.s_addr = htonl(0x7f000000u | (uint32_t)from);
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->fd < 0)
        return false;
    (void)setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(peer->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(peer->fd, (struct sockaddr *)&here, sizeof here) != 0 ||
        connect(peer->fd, (struct sockaddr *)&there, sizeof there) != 0 ||
        fcntl(peer->fd, F_SETFL, O_NONBLOCK) != 0) {
        close(peer->fd);
        peer->fd = -1;
        peer->ended = true;
        return false;
    }
    work->connections++;
    return true;
}

bool peer_open(struct peer *peer, int port, int from, struct work *work)
{
    return peer_dial(peer, port, from, work) && peer_greet(peer);
}

bool peer_greet(struct peer *peer)
{
    peer_bytes(peer, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    peer_frame(peer, SETTINGS, 0, 0, NULL, 0);
    return peer_flush(peer);
}

void peer_take(struct peer *peer, int fd, struct work *work)
{
    memset(peer, 0, sizeof *peer);
    peer->work = work;
    peer->status = -1;
    peer->fd = fd;
    peer->preface = 24;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    work->connections++;
}

void peer_free(struct peer *peer)
{
    if (peer->done)
        peer->done(peer);
    if (peer->fd > 0)
        close(peer->fd);
    free(peer->out);
    free(peer->in);
    if (peer->inflater)
        nghttp2_hd_inflate_del(peer->inflater);
    memset(peer, 0, sizeof *peer);
    peer->fd = -1;
    peer->ended = true;
}

void peer_reset(struct peer *peer)
{
    struct linger linger = {.l_onoff = 1};
    (void)setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    peer_free(peer);
}

static void over(struct peer *peer)
{
    if (!peer->ended)
        peer->work->cuts++;
    peer->ended = true;
    peer->out_len = 0;
}

/* ---- Hearing --------------------------------------------------------------------------------- */

static uint32_t word_at(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static void hear_fields(struct peer *peer, const uint8_t *block, size_t len)
{
    nghttp2_hd_inflater *inflater = peer->inflater;
    nghttp2_nv nv;
    int flags;
    ssize_t n;
    if (!inflater && nghttp2_hd_inflate_new(&inflater) != 0)
        return;
    peer->inflater = inflater;
    peer->status = -1;
    do {
        flags = 0;
        n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, block, len, 1);
        if (n < 0)
            return;
        block += n;
        len -= (size_t)n;
        if (flags & NGHTTP2_HD_INFLATE_EMIT && nv.namelen == 11 &&
            memcmp(nv.name, "grpc-status", 11) == 0)
            peer->status = atoi((const char *)nv.value);
        if (flags & NGHTTP2_HD_INFLATE_EMIT && nv.namelen == 5 && memcmp(nv.name, ":path", 5) == 0)
            snprintf(peer->path, sizeof peer->path, "%s", (const char *)nv.value);
    } while (!(flags & NGHTTP2_HD_INFLATE_FINAL));
    nghttp2_hd_inflate_end_headers(inflater);
}

static void hear_end(struct peer *peer)
{
    peer->ends++;
    peer->work->ends++;
    if (peer->status >= 0 && peer->status < 17)
        peer->statuses[peer->status]++;
}

static void hear_goaway(struct peer *peer, const uint8_t *payload, size_t len)
{
    if (len < 8)
        return;
    peer->goaway_code = word_at(payload + 4);
    peer->calm = peer->calm || peer->goaway_code == CALM;
    snprintf(peer->goaway_words, sizeof peer->goaway_words, "%.*s", (int)(len - 8),
             (const char *)payload + 8);
}

static void hear_frame(struct peer *peer, const uint8_t *head, size_t len)
{
    int type = head[3], flags = head[4];
    uint32_t id = word_at(head + 5) & INT32_MAX;
    const uint8_t *payload = head + HEAD;
    peer->work->seen++;
    if (type < FRAME_TYPES)
        peer->seen[type]++;
    if (type == DATA) {
        peer->data += len;
        if (peer->on_data)
            peer->on_data(peer, id, payload, len);
    } else if (type == HEADERS) {
        size_t skip = flags & WITH_PRIORITY ? 5 : 0;
        if (len < skip)
            return;
        hear_fields(peer, payload + skip, len - skip);
        if (flags & END_STREAM)
            hear_end(peer);
        else
            peer->opened++;
        if (peer->on_headers)
            peer->on_headers(peer, id, flags);
    } else if (type == RST_STREAM && len == 4) {
        peer->reset_code = word_at(payload);
        peer->resets[peer->reset_code & 15]++;
        peer->ends++;
        peer->work->ends++;
    } else if (type == WINDOW_UPDATE && len == 4 && id > 0 && (!peer->counts || id == peer->counts))
        peer->granted += word_at(payload);
    else if (type == GOAWAY)
        hear_goaway(peer, payload, len);
    else if (type == SETTINGS && !(flags & ACK) && !peer->rude)
        peer_frame(peer, SETTINGS, ACK, 0, NULL, 0);
    else if (type == PING && !(flags & ACK) && !peer->rude)
        peer_frame(peer, PING, ACK, 0, payload, len);
}

static void hear_all(struct peer *peer)
{
    size_t at = peer->preface < peer->in_len ? peer->preface : peer->in_len, len;
    peer->preface -= at;
    while (peer->in_len - at >= HEAD) {
        len = word_at(peer->in + at) >> 8;
        if (peer->in_len - at < HEAD + len)
            break;
        hear_frame(peer, peer->in + at, len);
        at += HEAD + len;
    }
    if (at > 0)
        memmove(peer->in, peer->in + at, peer->in_len - at);
    peer->in_len -= at;
}

static void take(struct peer *peer)
{
    for (int i = 0; i < 16 && !peer->ended; i++) {
        if (peer->in_max - peer->in_len < ROOM &&
            !(peer->in = realloc(peer->in, peer->in_max += 2 * ROOM)))
            abort();
        ssize_t n = peer->take ? peer->take(peer, peer->in + peer->in_len, ROOM)
                               : recv(peer->fd, peer->in + peer->in_len, ROOM, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0)
            over(peer);
        else
            peer->in_len += (size_t)n;
        hear_all(peer);
    }
}

/* ---- Speaking -------------------------------------------------------------------------------- */

void peer_bytes(struct peer *peer, const void *bytes, size_t len)
{
    if (peer->ended)
        return;
    while (peer->out_max - peer->out_len < len)
        if (!(peer->out = realloc(peer->out, peer->out_max += GATHER)))
            abort();
    if (len > 0)
        memcpy(peer->out + peer->out_len, bytes, len);
    peer->out_len += len;
    peer->work->bytes += len;
}

void peer_frame(struct peer *peer, int type, int flags, uint32_t id, const void *payload,
                size_t len)
{
    const uint8_t head[HEAD] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
                                (uint8_t)type,        (uint8_t)flags,      (uint8_t)(id >> 24),
                                (uint8_t)(id >> 16),  (uint8_t)(id >> 8),  (uint8_t)id};
    peer_bytes(peer, head, HEAD);
    peer_bytes(peer, payload, len);
    peer->work->frames += !peer->ended;
}

void peer_word(struct peer *peer, int type, uint32_t id, uint32_t word)
{
    const uint8_t bytes[4] = {(uint8_t)(word >> 24), (uint8_t)(word >> 16), (uint8_t)(word >> 8),
                              (uint8_t)word};
    peer_frame(peer, type, 0, id, bytes, 4);
}

void peer_setting(struct peer *peer, unsigned id, uint32_t value)
{
    const uint8_t bytes[6] = {(uint8_t)(id >> 8),     (uint8_t)id,           (uint8_t)(value >> 24),
                              (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    peer_frame(peer, SETTINGS, 0, 0, bytes, 6);
}

void peer_request(struct peer *peer, uint32_t id, const char *method)
{
    struct block block;
    char path[128];
    snprintf(path, sizeof path, "/chanserv.v1.Chanserv/%s", method);
    block.len = 0;
    block_request(&block, "POST", path);
    peer_frame(peer, HEADERS, END_HEADERS, id, block.bytes, block.len);
}

void peer_message(struct peer *peer, uint32_t id, const void *bytes, size_t len, bool end)
{
    uint8_t *message = malloc(5 + len);
    if (!message)
        abort();
    message[0] = 0;
    message[1] = (uint8_t)(len >> 24);
    message[2] = (uint8_t)(len >> 16);
    message[3] = (uint8_t)(len >> 8);
    message[4] = (uint8_t)len;
    if (len > 0)
        memcpy(message + 5, bytes, len);
    peer_frame(peer, DATA, end ? END_STREAM : 0, id, message, 5 + len);
    free(message);
}

void peer_post(struct peer *peer, uint32_t id, const char *service, const char *body)
{
    uint8_t request[600];
    size_t len = 0, n = strlen(service);
    request[len++] = 0x0a;
    request[len++] = (uint8_t)n;
    memcpy(request + len, service, n);
    len += n;
    n = strlen(body);
    request[len++] = 0x12;
    request[len++] = (uint8_t)n;
    memcpy(request + len, body, n);
    len += n;
    request[len++] = 0x20; /* inline_bytes 4,096 */
    request[len++] = 0x80;
    request[len++] = 0x20;
    peer_request(peer, id, "Post");
    peer_message(peer, id, request, len, true);
}

/* ---- Time ------------------------------------------------------------------------------------ */

/* Waits for the socket, at most so long; false: nothing happened. */
static bool turn(struct peer *peer, int ms)
{
    struct pollfd p = {.fd = peer->fd, .events = 0};
    if (!peer->deaf)
        p.events |= POLLIN;
    if (peer->out_len > 0)
        p.events |= POLLOUT;
    int found = poll(&p, 1, ms);
    if (found <= 0)
        return found < 0 && errno == EINTR;
    if (p.revents & POLLIN || (p.revents & (POLLHUP | POLLERR) && !peer->deaf))
        take(peer);
    else if (p.revents & (POLLHUP | POLLERR))
        over(peer);
    if (!peer->ended && p.revents & POLLOUT) {
        ssize_t n = peer->give ? peer->give(peer, peer->out, peer->out_len)
                               : send(peer->fd, peer->out, peer->out_len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            if (!peer->deaf)
                take(peer); /* its last words */
            over(peer);
        } else if (n > 0) {
            memmove(peer->out, peer->out + n, peer->out_len - (size_t)n);
            peer->out_len -= (size_t)n;
        }
    }
    return true;
}

bool peer_flush(struct peer *peer)
{
    int patience = peer->deaf ? DEAF_PATIENCE_MS : PEER_PATIENCE_MS;
    int64_t until = now_ms() + patience, left;
    size_t before = peer->out_len;
    while (!peer->ended && peer->out_len > 0 && (left = until - now_ms()) > 0) {
        turn(peer, (int)left);
        if (peer->out_len < before)
            until = now_ms() + patience;
        before = peer->out_len;
    }
    return !peer->ended && peer->out_len == 0;
}

bool peer_until(struct peer *peer, const uint64_t *count, uint64_t at_least, int ms)
{
    int64_t until = now_ms() + ms, left = ms;
    while (!peer->ended && *count < at_least && left >= 0) {
        if (!turn(peer, (int)left))
            break;
        left = until - now_ms();
    }
    return *count >= at_least;
}

void peer_hear(struct peer *peer, int ms)
{
    static const uint64_t never;
    (void)peer_until(peer, &never, 1, ms);
}

bool peer_until_ended(struct peer *peer, int ms)
{
    peer_hear(peer, ms);
    return peer->ended;
}

/* ---- Blocks of header fields ----------------------------------------------------------------- */

void block_number(struct block *block, uint8_t first, int prefix, uint64_t number)
{
    uint64_t max = (UINT64_C(1) << prefix) - 1;
    if (number < max) {
        block->bytes[block->len++] = (uint8_t)(first | number);
        return;
    }
    block->bytes[block->len++] = (uint8_t)(first | max);
    for (number -= max; number >= 128; number >>= 7)
        block->bytes[block->len++] = (uint8_t)(number | 128);
    block->bytes[block->len++] = (uint8_t)number;
}

static void text(struct block *block, const char *from, size_t len)
{
    block_number(block, 0, 7, len);
    if (len > sizeof block->bytes - block->len)
        abort();
    memcpy(block->bytes + block->len, from, len);
    block->len += len;
}

void block_field(struct block *block, const char *name, const char *value)
{
    block->bytes[block->len++] = 0;
    text(block, name, strlen(name));
    text(block, value, strlen(value));
}

void block_keep(struct block *block, const char *name, char fill, size_t len)
{
    block->bytes[block->len++] = 0x40;
    text(block, name, strlen(name));
    block_number(block, 0, 7, len);
    if (len > sizeof block->bytes - block->len)
        abort();
    memset(block->bytes + block->len, fill, len);
    block->len += len;
}

void block_request(struct block *block, const char *method, const char *path)
{
    block_field(block, ":method", method);
    block_field(block, ":scheme", "http");
    block_field(block, ":path", path);
    block_field(block, ":authority", "127.0.0.1");
    block_field(block, "te", "trailers");
    block_field(block, "content-type", "application/grpc");
}
