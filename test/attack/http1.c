/* http1 -- clients of HTTP/1.1 that mean two things at once, take their time, or never listen. */
#include "test/attack/http1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HOST HTTP1_HOST
#define POST "POST /v1/post/echo HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define SMUGGLED "GET /v1/services HTTP/1.1\r\n" HOST "\r\n"

struct peer *http1_dial(struct attack *attack, const char *words)
{
    struct peer *peer = attack_dial(attack);
    peer->rude = true; /* it speaks no HTTP/2 at all */
    peer_bytes(peer, words, strlen(words));
    peer_flush(peer);
    return peer;
}

bool http1_begins(const struct peer *peer, const char *with)
{
    return peer->in_len >= strlen(with) && memcmp(peer->in, with, strlen(with)) == 0;
}

static int answers(const struct peer *peer)
{
    static const char head[] = "HTTP/1.1 ";
    const uint8_t *p = peer->in, *end = p + peer->in_len;
    int n = 0;
    while (p < end && (p = memmem(p, (size_t)(end - p), head, sizeof head - 1))) {
        p++;
        n++;
    }
    return n;
}

void http1_is_answered(struct attack *attack, struct peer *peer, const char *status, int ms)
{
    char head[32];
    snprintf(head, sizeof head, "HTTP/1.1 %s", status);
    EXPECT(attack, peer_until_ended(peer, ms), "is not let go that deserves a %s", status);
    EXPECT(attack, http1_begins(peer, head) && answers(peer) == 1, "%d answers, %.40s; wanted %s",
           answers(peer), peer->in ? (const char *)peer->in : "nothing", status);
}

void http1_is_served(struct attack *attack)
{
    struct peer *peer =
        http1_dial(attack, "GET /v1/services HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    http1_is_answered(attack, peer, "200", PEER_PATIENCE_MS);
}

/* ---- Two requests in one ---------------------------------------------------------------------- */

static void smuggling(struct attack *attack)
{
    static const struct {
        const char *words, *status;
    } says[] = {
        {POST "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" SMUGGLED, "400"},
        {POST "Content-Length: 0, 44\r\n\r\n" SMUGGLED, "400"},
        {POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED, "400"},
        {POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" SMUGGLED, "400"},
        {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" SMUGGLED,
         "400"},
        {POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" SMUGGLED, "501"},
        {POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" SMUGGLED, "501"},
        {POST "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n" SMUGGLED, "400"},
        {POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" SMUGGLED, "400"},
        {POST "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED, "400"},
        {POST "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED, "400"},
        {POST "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED, "400"},
        {POST "Content-Length: +0\r\n\r\n" SMUGGLED, "400"},
        {POST "Content-Length: 0x0\r\n\r\n" SMUGGLED, "400"},
        {POST "Content-Length 0\r\n\r\n" SMUGGLED, "400"},
        {POST HOST "Content-Length: 0\r\n\r\n" SMUGGLED, "400"},
        {"POST /v1/post/echo HTTP/1.0\r\n" HOST
         "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
         "400"},
        {"GET /v1/services HTTP/1.1\r\n\r\n" SMUGGLED, "400"},
        {"GET /v1/services HTTP/1.1 \r\n" HOST "\r\n" SMUGGLED, "400"},
        {"GET /v1/../v1/services HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" SMUGGLED, "400"},
        {CHUNKED "0x0\r\n\r\n" SMUGGLED, "400"},
        {CHUNKED "+0\r\n\r\n" SMUGGLED, "400"},
        {CHUNKED " 0\r\n\r\n" SMUGGLED, "400"},
        {CHUNKED "0\n\r\n" SMUGGLED, "400"},
        {CHUNKED "1\r\nxy\r\n0\r\n\r\n" SMUGGLED, "400"},
        {CHUNKED "1;\n\r\nx\r\n0\r\n\r\n" SMUGGLED, "400"},
        {CHUNKED "fffffffffffffffff\r\n" SMUGGLED, "400"},
        {CHUNKED "ffffffffffffffff\r\n" SMUGGLED, "413"},
    };
    for (size_t i = 0; i < 20 * sizeof says / sizeof says[0]; i++) {
        size_t at = i % (sizeof says / sizeof says[0]);
        struct peer *peer = http1_dial(attack, says[at].words);
        http1_is_answered(attack, peer, says[at].status, PEER_PATIENCE_MS);
        attack_drop(attack, peer);
    }
    http1_is_served(attack);
}

/* ---- Without end ------------------------------------------------------------------------------ */

/* A byte now and then: the head as a whole has its time. */
static void slow_heads(struct attack *attack)
{
    for (int i = 0; i < 300; i++)
        http1_dial(attack, "GET / HTTP/1.1\r\n" HOST "X: ");
    for (int n = 0; n < 110; n++) {
        for (int i = 0; i < 300; i++) {
            peer_bytes(attack->peers[i], "y", 1);
            peer_flush(attack->peers[i]);
        }
        nap_ms(100);
    }
    for (int i = 0; i < 300; i++)
        http1_is_answered(attack, attack->peers[i], "408", PEER_PATIENCE_MS);
}

/* Nobody reads them to an end that does not come; the client may find out by a reset only. */
static void without_end(struct attack *attack, const char *begin, const char *part,
                        const char *status)
{
    char head[32];
    for (int i = 0; i < 100; i++) {
        struct peer *peer = http1_dial(attack, begin);
        for (int n = 0; n < 200; n++)
            for (int k = 0; k < 20; k++)
                peer_bytes(peer, part, strlen(part));
        peer_flush(peer);
        EXPECT(attack, peer_until_ended(peer, PEER_PATIENCE_MS), "%.9s ... is read for ever", part);
        snprintf(head, sizeof head, "HTTP/1.1 %s", status);
        EXPECT(attack, peer->in_len == 0 || http1_begins(peer, head), "%.40s; wanted %s",
               (const char *)peer->in, status);
        attack_drop(attack, peer);
    }
}

#define LONG                                                                                       \
    "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" \
    "yyyy"

static void endless_heads(struct attack *attack)
{
    without_end(attack, "GET / HTTP/1.1\r\n" HOST, "X: " LONG "\r\n", "431");
    without_end(attack, "GET / HTTP/1.1\r\n" HOST "X: ", LONG, "431");
    without_end(attack, "GET /", LONG, "414");
    without_end(attack, "GET / HTTP/1.1\r\n" HOST, "X:\r\n", "431");
    http1_is_served(attack);
}

static void endless_bodies(struct attack *attack)
{
    char part[sizeof LONG + 16];
    snprintf(part, sizeof part, "%zx\r\n" LONG "\r\n", sizeof LONG - 1);
    without_end(attack, CHUNKED, part, "413");
    without_end(attack, POST "Content-Length: 100000\r\n\r\n", LONG, "413");
    http1_is_served(attack);
}

static void endless_chunks(struct attack *attack)
{
    without_end(attack, CHUNKED "1;", LONG, "400");
    without_end(attack, CHUNKED, "1;" LONG "\r\nx\r\n", "400");
    without_end(attack, CHUNKED "0\r\n", "X: " LONG "\r\n", "431");
    http1_is_served(attack);
}

/* ---- Who never listens ------------------------------------------------------------------------ */

/* As much as the socket takes. */
static void push(struct attack *attack, struct peer *peer, const char *bytes, size_t len)
{
    ssize_t n = send(peer->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    attack->work.bytes += n > 0 ? (size_t)n : 0;
}

static void pipelined_unread(struct attack *attack)
{
    static char many[100 * sizeof SMUGGLED];
    for (int i = 0; i < 100; i++)
        strcat(many, SMUGGLED);
    for (int i = 0; i < 200; i++)
        http1_dial(attack, "")->deaf = true;
    for (int n = 0; n < 100; n++) {
        for (int i = 0; i < 200; i++)
            push(attack, attack->peers[i], many, strlen(many));
        nap_ms(10);
    }
    http1_is_served(attack);
}

static void ask_gen(char words[256], const char *body)
{
    snprintf(words, 256, "POST /v1/post/gen HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n%s",
             strlen(body), body);
}

/* Each source of each has a window, and takes it: 40 times 20 of them. */
static void answers_unread(struct attack *attack)
{
    char words[256];
    ask_gen(words, "sources=20&frames=1000&size=4000");
    for (int i = 0; i < 40; i++)
        http1_dial(attack, words)->deaf = true;
    nap_ms(500);
    http1_is_served(attack);
}

static void ask_and_go(struct attack *attack)
{
    char words[256];
    struct peer peer;
    ask_gen(words, "sources=20&frames=10&size=4000");
    for (int i = 0; i < 1000; i++) {
        if (!peer_dial(&peer, attack->port, 1, &attack->work))
            attack_wrong(attack, "cannot connect");
        peer_bytes(&peer, words, strlen(words) - (size_t)(i % 3 == 0));
        peer_flush(&peer);
        if (i % 2)
            peer_reset(&peer);
        else
            peer_free(&peer);
    }
    http1_is_served(attack);
}

/* Answered, and no word more. */
static void silent_between(struct attack *attack)
{
    for (int i = 0; i < 100; i++)
        http1_dial(attack, SMUGGLED);
    for (int i = 0; i < 100; i++)
        http1_is_answered(attack, attack->peers[i], "200", PEER_PATIENCE_MS);
}

/* ---- Who waits with much ---------------------------------------------------------------------- */

/* "0=,1=,2=,...": each of a few bytes, that cost eighty times as much. */
static void put_many(char *to, size_t most, const char *format)
{
    size_t n = 0;
    for (int i = 0; n + 8 < most; i++)
        n += (size_t)sprintf(to + n, format, i);
    to[n - 1] = '\0';
}

/* Each at an event of its own, so that nobody has the labels of another. */
static void waiters(struct attack *attack)
{
    static char labels[4096], selector[4096], body[10000], words[11000];
    enum { WAITERS = 200, TOO_MANY = 150 };
    int refused = 0;
    put_many(labels, sizeof labels, "%d=,");
    put_many(selector, sizeof selector, "%d,");
    for (int i = 0; i < WAITERS; i++) {
        int n = snprintf(body, sizeof body,
                         "{\"event\":\"%d\",\"actor\":\"a\",\"labels\":\"%s\",\"selector\":\"%s\"}",
                         i, labels, selector);
        snprintf(words, sizeof words,
                 "POST /event HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n%s", n, body);
        http1_dial(attack, words);
        nap_ms(3);
    }
    for (int64_t until = now_ms() + PEER_PATIENCE_MS; refused < TOO_MANY && now_ms() < until;) {
        nap_ms(20);
        attack_hear(attack);
        refused = 0;
        for (int i = 0; i < WAITERS; i++)
            refused += http1_begins(attack->peers[i], "HTTP/1.1 429");
    }
    EXPECT(attack, refused >= TOO_MANY, "%d of %d were refused", refused, WAITERS);
    http1_is_served(attack);
}

const struct scenario attack_http1[] = {{.name = "smuggling",
                                         .counter = "http_refused_bad",
                                         .moves = 540,
                                         .least = 560,
                                         .run = smuggling},
                                        {.name = "slow-heads",
                                         .limit = "request_timeout_ms",
                                         .counter = "http_timeouts",
                                         .moves = 300,
                                         .least = 300,
                                         .run = slow_heads},
                                        {.name = "endless-heads",
                                         .limit = "header_max_bytes",
                                         .counter = "http_heads_refused",
                                         .moves = 400,
                                         .least = 400,
                                         .run = endless_heads},
                                        {.name = "endless-chunks",
                                         .counter = "http_refused_bad",
                                         .moves = 200,
                                         .least = 300,
                                         .run = endless_chunks},
                                        {.name = "endless-bodies",
                                         .limit = "body_max_bytes",
                                         .counter = "http_bodies_refused",
                                         .moves = 200,
                                         .least = 200,
                                         .options = "--http-body-max 64KiB",
                                         .run = endless_bodies},
                                        {.name = "silent-between-requests",
                                         .limit = "idle_timeout_ms",
                                         .counter = "http_idle",
                                         .moves = 100,
                                         .least = 100,
                                         .options = "--http-idle-timeout 300ms",
                                         .run = silent_between},
                                        {.name = "answers-never-read",
                                         .limit = "stall_timeout_ms",
                                         .counter = "http_stalled",
                                         .moves = 40,
                                         .least = 40,
                                         .options = "--http-stall-timeout 500ms",
                                         .run = answers_unread},
                                        {.name = "pipelined-unread",
                                         .counter = "http_requests",
                                         .moves = 200,
                                         .least = 200,
                                         .run = pipelined_unread},
                                        {.name = "answers-unread",
                                         .counter = "http_requests",
                                         .moves = 40,
                                         .least = 40,
                                         .run = answers_unread},
                                        {.name = "ask-by-http1-and-go",
                                         .counter = "connections_total",
                                         .moves = 500,
                                         .least = 1000,
                                         .run = ask_and_go},
                                        {.name = "waiters-with-labels",
                                         .counter = "http_requests",
                                         .moves = 200,
                                         .least = 200,
                                         .options = "--rendezvous --rendezvous-waiting-max 8MiB",
                                         .run = waiters},
                                        {.name = NULL}};
