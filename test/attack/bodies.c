/* bodies -- messages that are not what they say, or mean nothing; and tickets that were guessed. */
#include "test/attack/attack.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MIB = 1024 * 1024 };

/* A request that says gzip. */
static void packed_request(struct peer *peer, uint32_t id, const char *coding)
{
    struct block block;
    block.len = 0;
    block_request(&block, "POST", "/chanserv.v1.Chanserv/Post");
    if (coding)
        block_field(&block, "grpc-encoding", coding);
    peer_frame(peer, HEADERS, END_HEADERS, id, block.bytes, block.len);
}

/* One message in as many DATA frames as it takes. */
static void say(struct peer *peer, uint32_t id, bool packed, const uint8_t *bytes, size_t len)
{
    const uint8_t prefix[5] = {packed, (uint8_t)(len >> 24), (uint8_t)(len >> 16),
                               (uint8_t)(len >> 8), (uint8_t)len};
    peer_frame(peer, DATA, 0, id, prefix, 5);
    while (len > 0) {
        size_t n = len < 16384 ? len : 16384;
        peer_frame(peer, DATA, len == n ? END_STREAM : 0, id, bytes, n);
        bytes += n;
        len -= n;
    }
}

/* A post whose body is `inside` zeroes, as one member; answers its length. */
static size_t pack(uint8_t *to, size_t size, size_t inside, uint32_t claims)
{
    z_stream z = {0};
    static uint8_t zeroes[MIB] = "\x0a\x04"
                                 "echo\x12\xff\xff\xff\x7f";
    if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    z.next_out = to;
    z.avail_out = (uInt)size;
    for (size_t done = 0; done < inside; done += MIB) {
        z.next_in = zeroes;
        z.avail_in = inside - done < MIB ? (uInt)(inside - done) : MIB;
        if (deflate(&z, done + MIB >= inside ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_ERROR)
            abort();
    }
    size_t len = z.total_out;
    deflateEnd(&z);
    if (claims)
        for (int i = 0; i < 4; i++)
            to[len - 4 + (size_t)i] = (uint8_t)(claims >> 8 * i);
    return len;
}

/* A member of 128 MiB in 130 KB, that says so; or says that it is 1,000 bytes. */
static void bombs(struct attack *attack, uint32_t claims)
{
    uint8_t *bomb = malloc(MIB);
    size_t len = pack(bomb, MIB, 128 * MIB, claims);
    for (int i = 0; i < 30; i++) {
        struct peer *peer = attack_open(attack);
        for (uint32_t id = 1; id < 8 && !peer->ended; id += 2) {
            packed_request(peer, id, "gzip");
            say(peer, id, true, bomb, len);
            peer_flush(peer);
            peer_hear(peer, 1);
        }
        EXPECT(attack, peer_until(peer, &peer->ends, 1, PEER_PATIENCE_MS) || peer->ended,
               "no answer to a bomb");
        EXPECT(attack, peer->statuses[0] == 0, "a bomb was served");
        attack_drop(attack, peer);
    }
    free(bomb);
}

static void bombs_that_say_so(struct attack *attack)
{
    bombs(attack, 0);
}

static void bombs_that_lie(struct attack *attack)
{
    bombs(attack, 1000);
}

/* As large as may be, unpacked: 4 MiB in 4 KB, of several connections at once. */
static void bombs_within_bounds(struct attack *attack, int connections, uint32_t each)
{
    uint8_t *bomb = malloc(MIB);
    size_t len = pack(bomb, MIB, 4 * MIB - 100, 0);
    for (int i = 0; i < connections; i++)
        attack_open(attack);
    for (uint32_t n = 0; n < each; n++)
        for (int i = 0; i < connections; i++) {
            packed_request(attack->peers[i], 2 * n + 1, "gzip");
            say(attack->peers[i], 2 * n + 1, true, bomb, len);
        }
    for (int i = 0; i < connections; i++)
        peer_flush(attack->peers[i]);
    for (int i = 0; i < connections; i++) {
        struct peer *peer = attack->peers[i];
        peer_until(peer, &peer->ends, each, 4 * PEER_PATIENCE_MS);
        EXPECT(attack, peer->ended || peer->ends >= each, "%llu answers of %u",
               (unsigned long long)peer->ends, each);
    }
    free(bomb);
}

static void bombs_of_one(struct attack *attack)
{
    bombs_within_bounds(attack, 1, 50);
}

static void bombs_of_many(struct attack *attack)
{
    bombs_within_bounds(attack, 8, 12);
}

/* Flags and codings that do not belong together, members that are none. */
static void packed_wrong(struct attack *attack)
{
    static const char *const codings[] = {"gzip", NULL, "identity", "deflate", "gzip,gzip", ""};
    uint8_t bytes[300];
    struct peer *peer = attack_open(attack);
    for (uint32_t i = 0; i < 3000 && !peer->ended && !peer->calm; i++) {
        for (size_t n = 0; n < sizeof bytes; n++)
            bytes[n] = (uint8_t)attack_random(attack);
        if (i % 2)
            memcpy(bytes, "\x1f\x8b\x08\x00", 4);
        packed_request(peer, 2 * i + 1, codings[i % 6]);
        say(peer, 2 * i + 1, true, bytes, 1 + i % sizeof bytes);
        if (i % 16 == 15)
            peer_flush(peer);
    }
    peer_flush(peer);
    peer_until(peer, &peer->ends, 3000, 2000);
    EXPECT(attack, peer->statuses[0] == 0, "one was served");
}

/* The prefix promises 4 GiB, or all that may be; nothing comes. */
static void lengths_that_lie(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    for (uint32_t i = 0; i < 4000 && !peer->ended && !peer->calm; i++) {
        peer_request(peer, 2 * i + 1, "Post");
        peer_frame(peer, DATA, 0, 2 * i + 1, i % 2 ? "\0\xff\xff\xff\xff" : "\0\0\x3f\xff\xff", 5);
        if (i % 64 == 63)
            peer_flush(peer);
    }
    peer_flush(peer);
    peer_until(peer, &peer->ends, 2000, 500);
}

/* Messages that stay halves, as much of them as a window takes. */
static void halves(struct attack *attack)
{
    static uint8_t half[16384];
    struct peer *peer = attack_open(attack);
    for (uint32_t id = 1; id < 4000 && !peer->ended && !peer->calm; id += 2) {
        peer_request(peer, id, "Post");
        peer_frame(peer, DATA, 0, id, "\0\0\x3f\xff\xff", 5);
        for (int i = 0; i < 4; i++)
            peer_frame(peer, DATA, 0, id, half, i < 3 ? sizeof half : 16000);
        peer_flush(peer);
    }
    peer_hear(peer, 100);
}

/* Anything, to each method. */
static void noise(struct attack *attack)
{
    static const char *const methods[] = {"Post", "Open", "Talk", "Session", "Services"};
    uint8_t bytes[64];
    struct peer *peer = attack_open(attack);
    for (uint32_t i = 0; i < 10000 && !peer->calm; i++) {
        size_t len = attack_random(attack) % sizeof bytes;
        for (size_t n = 0; n < len; n++)
            bytes[n] = (uint8_t)(attack_random(attack) & (n % 3 ? 0xff : 0x3f));
        peer_request(peer, 2 * i + 1, methods[i % 5]);
        peer_message(peer, 2 * i + 1, bytes, len, true);
        if (i % 32 == 31)
            peer_flush(peer);
    }
    peer_flush(peer);
    peer_until(peer, &peer->ends, 8000, PEER_PATIENCE_MS);
    EXPECT(attack, peer->calm || peer->ends >= 5000, "%llu answers of 8,000",
           (unsigned long long)peer->ends);
}

/* A message that is nested as deep as it is long. */
static void nested(struct attack *attack)
{
    static uint8_t deep[60000];
    struct peer *peer = attack_open(attack);
    for (uint32_t i = 0; i < 200 && !peer->ended; i++) {
        memset(deep, i % 2 ? 0x0a : 0x2b, sizeof deep); /* lengths, or groups */
        peer_request(peer, 2 * i + 1, i % 4 < 2 ? "Post" : "Talk");
        say(peer, 2 * i + 1, false, deep, sizeof deep);
        peer_flush(peer);
    }
    peer_until(peer, &peer->ends, 200, PEER_PATIENCE_MS);
    EXPECT(attack, peer->ends >= 100, "%llu answers of 200", (unsigned long long)peer->ends);
}

/* Tickets of this very process, but for the secret. */
static void keep_ticket(struct peer *peer, uint32_t id, const uint8_t *bytes, size_t len)
{
    (void)id;
    for (size_t i = 5; i + 34 <= len; i++)
        if (bytes[i] == 0x12 && bytes[i + 1] == 32) {
            memcpy(peer->user, bytes + i, 34);
            ((uint8_t *)peer->user)[0] = 0x0a;
            return;
        }
}

static void guessed_tickets(struct attack *attack)
{
    uint8_t ticket[34] = {0};
    struct peer *peer = attack_open(attack);
    peer->on_data = keep_ticket;
    peer->user = ticket;
    peer_post(peer, 1, "gen", "sources=1&frames=1000000");
    peer_flush(peer);
    peer_until(peer, &peer->ends, 1, PEER_PATIENCE_MS);
    EXPECT(attack, ticket[0] == 0x0a, "no ticket came");
    for (uint32_t id = 3; id < 20003 && !peer->ended && !peer->calm; id += 2) {
        for (int i = 18; i < 34; i++)
            ticket[i] = (uint8_t)attack_random(attack);
        peer_request(peer, id, "Open");
        peer_message(peer, id, ticket, sizeof ticket, true);
        if (id % 64 == 1)
            peer_flush(peer);
    }
    peer_flush(peer);
    peer_until(peer, &peer->ends, 10000, PEER_PATIENCE_MS);
    EXPECT(attack, peer->statuses[0] <= 1, "one of them opens it");
}

const struct scenario attack_bodies[] = {
    {.name = "gzip-bombs",
     .counter = "bytes_in",
     .moves = MIB,
     .least = 100,
     .run = bombs_that_say_so},
    {.name = "gzip-bombs-that-lie",
     .counter = "bytes_in",
     .moves = MIB,
     .least = 100,
     .run = bombs_that_lie},
    {.name = "gzip-bombs-within-bounds",
     .counter = "streams_total",
     .moves = 50,
     .least = 100,
     .run = bombs_of_one},
    {.name = "gzip-bombs-of-many",
     .counter = "streams_total",
     .moves = 96,
     .least = 200,
     .run = bombs_of_many},
    {.name = "packed-wrong",
     .counter = "streams_total",
     .moves = 1000,
     .least = 3000,
     .run = packed_wrong},
    {.name = "lengths-that-lie",
     .limit = "message_max_bytes",
     .counter = "messages_refused",
     .moves = 100,
     .least = 2000,
     .run = lengths_that_lie},
    {.name = "halves",
     .limit = "connection_memory_bytes",
     .counter = "memory_refused",
     .moves = 100,
     .least = 500,
     .run = halves},
    {.name = "noise", .counter = "posts_refused_bad", .moves = 100, .least = 1000, .run = noise},
    {.name = "nested", .counter = "streams_total", .moves = 100, .least = 200, .run = nested},
    {.name = "guessed-tickets",
     .counter = "opens_refused_ticket",
     .moves = 1000,
     .least = 1000,
     .run = guessed_tickets},
    {.name = NULL}};
