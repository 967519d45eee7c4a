/* fields -- blocks of header fields that are small to send and large to hold. */
#include "test/attack/attack.h"

#include <stdlib.h>
#include <string.h>

static void begin(struct block *block)
{
    block->len = 0;
    block_request(block, "POST", "/chanserv.v1.Chanserv/Post");
}

/* HEADERS and as many CONTINUATIONs as it takes; `flags`: END_STREAM or nothing. */
static void say(struct peer *peer, uint32_t id, int flags, const struct block *block)
{
    enum { FRAME = 16384 };
    size_t at = block->len < FRAME ? block->len : FRAME;
    peer_frame(peer, HEADERS, flags | (at == block->len ? END_HEADERS : 0), id, block->bytes, at);
    while (at < block->len) {
        size_t n = block->len - at < FRAME ? block->len - at : FRAME;
        at += n;
        peer_frame(peer, CONTINUATION, at == block->len ? END_HEADERS : 0, id,
                   block->bytes + at - n, n);
    }
}

/* One entry of almost 4 KiB in the table, and 15,000 times one byte that means it: 60 MiB. */
static void bomb(struct attack *attack)
{
    struct block *block = malloc(sizeof *block);
    struct peer *peer = attack_open(attack);
    begin(block);
    block_keep(block, "bomb", 'x', 4000);
    say(peer, 1, END_STREAM, block);
    for (uint32_t id = 3; id < 103 && !peer->ended; id += 2) {
        begin(block);
        memset(block->bytes + block->len, 0x80 | 62, 15000);
        block->len += 15000;
        say(peer, id, END_STREAM, block);
        peer_flush(peer);
    }
    peer_until(peer, &peer->ends, 50, 1000);
    free(block);
}

/* The same just below what is allowed, on streams that never end: it is held. */
static void held_bombs(struct attack *attack)
{
    struct block *block = malloc(sizeof *block);
    struct peer *peer = attack_open(attack);
    begin(block);
    block_keep(block, "bomb", 'x', 4000);
    say(peer, 1, 0, block);
    for (uint32_t id = 3; id < 8003 && !peer->ended && !peer->calm; id += 2) {
        begin(block);
        memset(block->bytes + block->len, 0x80 | 62, 15);
        block->len += 15;
        say(peer, id, 0, block);
        if (id % 64 == 1)
            peer_flush(peer);
    }
    peer_flush(peer);
    peer_until(peer, &peer->resets[11], 1, 2000);
    EXPECT(attack, peer->resets[11] > 0, "234 MiB of fields were held");
    free(block);
}

/* Fields as large as may be, in full, on streams that never end. */
static void held_fields(struct attack *attack)
{
    struct block *block = malloc(sizeof *block);
    struct peer *peer = attack_open(attack);
    char value[3000];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    begin(block);
    for (int i = 0; i < 20; i++)
        block_field(block, "held", value);
    for (uint32_t id = 1; id < 4001 && !peer->ended && !peer->calm; id += 2) {
        say(peer, id, 0, block);
        peer_flush(peer);
    }
    peer_until(peer, &peer->resets[11], 1, 2000);
    EXPECT(attack, peer->resets[11] > 0, "117 MiB of fields were held");
    free(block);
}

/* Very many that are almost nothing each. */
static void many_fields(struct attack *attack)
{
    struct block *block = malloc(sizeof *block);
    struct peer *peer = attack_open(attack);
    begin(block);
    for (int i = 0; i < 10000; i++)
        block_field(block, "a", "");
    for (uint32_t id = 1; id < 201 && !peer->ended && !peer->calm; id += 2) {
        say(peer, id, 0, block);
        peer_flush(peer);
    }
    peer_hear(peer, 100);
    free(block);
}

/* The table grows, shrinks to nothing and is filled again, all the time. */
static void table_churn(struct attack *attack)
{
    struct block *block = malloc(sizeof *block);
    struct peer *peer = attack_open(attack);
    for (uint32_t id = 1; id < 20001 && !peer->ended && !peer->calm; id += 2) {
        block->len = 0;
        block_number(block, 0x20, 5, 0);
        block_number(block, 0x20, 5, 4096);
        block_request(block, "POST", "/chanserv.v1.Chanserv/Nothing");
        for (int i = 0; i < 60; i++)
            block_keep(block, "churn", (char)('a' + i % 26), 20);
        say(peer, id, END_STREAM, block);
        if (id % 32 == 1)
            peer_flush(peer);
    }
    peer_flush(peer);
    peer_hear(peer, 100);
    free(block);
}

/* A connection each: what cannot be understood ends it. */
static void nonsense(struct attack *attack)
{
    static const struct {
        const char *bytes;
        size_t len;
    } blocks[] = {
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11}, /* an index beyond all numbers */
        {"\xbf", 1},                                          /* one that is in no table */
        {"\x80", 1},                                          /* index 0 */
        {"\x3f\xe1\xff\xff\xff\x0f", 6},                      /* a table of 4 GiB */
        {"\x00\x7f\xff\xff\xff\x0f"
         "abc",
         9},                                 /* a name of 256 MiB */
        {"\x00\x81\xff\x00", 4},             /* Huffman: padding that is none */
        {"\x00\x84\xff\xff\xff\xff\x00", 7}, /* Huffman: EOS inside */
        {"\x40", 1},                         /* cut in the middle */
    };
    for (int i = 0; i < 400; i++) {
        struct peer *peer = attack_open(attack);
        size_t n = (size_t)i % (sizeof blocks / sizeof *blocks);
        peer_frame(peer, HEADERS, END_HEADERS, 1, blocks[n].bytes, blocks[n].len);
        peer_flush(peer);
        EXPECT(attack, peer_until_ended(peer, PEER_PATIENCE_MS), "block %zu is understood", n);
        attack_drop(attack, peer);
    }
}

/* A block of fields that comes a byte a frame and never ends; two hundred of them. */
static void slow_fields(struct attack *attack)
{
    struct peer *peers[200];
    for (int i = 0; i < 200; i++) {
        peers[i] = attack_open(attack);
        peers[i]->rude = true; /* an answer would have no place in it */
        peer_frame(peers[i], HEADERS, 0, 1, NULL, 0);
    }
    for (int n = 0; n < 7; n++) {
        for (int i = 0; i < 200; i++) {
            peer_frame(peers[i], CONTINUATION, 0, 1, "\x88", 1);
            peer_flush(peers[i]);
        }
        nap_ms(150);
    }
    for (int i = 0; i < 200; i++)
        EXPECT(attack, peer_until_ended(peers[i], PEER_PATIENCE_MS), "it goes on for ever");
}

/* Two hundred blocks that are nearly as large as may be, and lack only their end. */
static void held_blocks(struct attack *attack)
{
    struct block *block = malloc(sizeof *block);
    begin(block);
    block_keep(block, "held", 'x', 60000);
    for (int i = 0; i < 200; i++) {
        struct peer *peer = attack_open(attack);
        peer->rude = true;
        peer_frame(peer, HEADERS, 0, 1, block->bytes, 16384);
        for (size_t at = 16384; at + 16384 < block->len; at += 16384)
            peer_frame(peer, CONTINUATION, 0, 1, block->bytes + at, 16384);
        peer_flush(peer);
    }
    free(block);
}

/* Requests that are none: no path, two, upper case, a pseudo field behind the others, ... */
static void strange_requests(struct attack *attack)
{
    static const char *const strange[][4] = {
        {":method", "POST", ":scheme", "http"},
        {":path", "/chanserv.v1.Chanserv/Post", ":path", "/"},
        {":method", "PO ST", ":path", "/chanserv.v1.Chanserv/Post"},
        {":method", "POST", ":path", "chanserv.v1.Chanserv/Post"},
        {":method", "POST", ":path", ""},
        {":status", "200", ":path", "/"},
        {"X", "y", ":path", "/"},
        {"x", "y\r\nz: 1", ":method", "POST"},
        {":method", "CONNECT", ":authority", "somewhere:80"},
        {":protocol", "websocket", ":method", "CONNECT"},
        {":method", "OPTIONS", ":path", "*"},
        {"transfer-encoding", "chunked", ":method", "POST"},
    };
    enum { ROUNDS = 1000 };
    struct block *block = malloc(sizeof *block);
    struct peer *peer = attack_open(attack);
    for (uint32_t i = 0; i < ROUNDS && !peer->ended && !peer->calm; i++) {
        const char *const *with = strange[i % (sizeof strange / sizeof *strange)];
        block->len = 0;
        block_field(block, with[0], with[1]);
        block_field(block, with[2], with[3]);
        block_field(block, "content-type", "application/grpc");
        say(peer, 2 * i + 1, END_STREAM, block);
        peer_flush(peer);
    }
    peer_until(peer, &peer->ends, ROUNDS, 500);
    EXPECT(attack, peer->statuses[0] == 0, "one was served");
    free(block);
}

const struct scenario attack_fields[] = {{.name = "field-bomb",
                                          .limit = "header_max_bytes",
                                          .counter = "headers_refused",
                                          .moves = 10,
                                          .least = 2,
                                          .run = bomb},
                                         {.name = "held-bombs",
                                          .limit = "connection_memory_bytes",
                                          .counter = "memory_refused",
                                          .moves = 100,
                                          .least = 100,
                                          .run = held_bombs},
                                         {.name = "held-fields",
                                          .limit = "connection_memory_bytes",
                                          .counter = "memory_refused",
                                          .moves = 100,
                                          .least = 100,
                                          .run = held_fields},
                                         {.name = "many-fields",
                                          .limit = "header_fields_max",
                                          .counter = "header_fields_refused",
                                          .moves = 10,
                                          .least = 2,
                                          .run = many_fields},
                                         {.name = "table-churn",
                                          .counter = "bytes_in",
                                          .moves = 100000,
                                          .least = 100,
                                          .run = table_churn},
                                         {.name = "nonsense-fields",
                                          .counter = "connections_total",
                                          .moves = 400,
                                          .least = 400,
                                          .run = nonsense},
                                         {.name = "slow-fields",
                                          .limit = "header_timeout_ms",
                                          .counter = "header_timeouts",
                                          .moves = 200,
                                          .least = 1000,
                                          .options = "--header-timeout 500ms",
                                          .run = slow_fields},
                                         {.name = "held-blocks",
                                          .limit = "header_timeout_ms",
                                          .counter = "header_timeouts",
                                          .moves = 200,
                                          .least = 600,
                                          .options = "--header-timeout 1s",
                                          .run = held_blocks},
                                         {.name = "strange-requests",
                                          .counter = "bytes_in",
                                          .moves = 10000,
                                          .least = 100,
                                          .run = strange_requests},
                                         {.name = NULL}};
