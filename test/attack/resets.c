/* resets -- streams that are opened to be thrown away: by the client (rapid reset, CVE-2023-44487), or
 * by a server that is made to reset them (MadeYouReset, CVE-2025-8671), by each way there is. */
#include "test/attack/attack.h"

#include <string.h>

enum { STREAMS = 20000, BATCH = 100, BIG = 32 * 1024 };

typedef void one_stream(struct peer *peer, uint32_t id);

/* Does one of it for each stream, until it is cut or has done all. */
static void each_stream(struct peer *peer, int streams, one_stream *one)
{
    for (int i = 0; i < streams && !peer->ended && !peer->calm; i++) {
        one(peer, (uint32_t)(2 * i + 1));
        if (i % BATCH == BATCH - 1 || peer->out_len > BIG)
            peer_flush(peer);
    }
    peer_flush(peer);
}

static struct peer *on_streams(struct attack *attack, int streams, one_stream *one)
{
    struct peer *peer = attack_open(attack);
    each_stream(peer, streams, one);
    return peer;
}

/* ---- By the client --------------------------------------------------------------------------- */

static void post_and_reset(struct peer *peer, uint32_t id)
{
    peer_post(peer, id, "gen", "sources=1000");
    peer_word(peer, RST_STREAM, id, 8);
}

static void rapid_reset(struct attack *attack)
{
    on_streams(attack, STREAMS, post_and_reset);
}

static void request_and_reset(struct peer *peer, uint32_t id)
{
    peer_request(peer, id, "Post");
    peer_word(peer, RST_STREAM, id, 8);
}

static void rapid_reset_unasked(struct attack *attack)
{
    on_streams(attack, STREAMS, request_and_reset);
}

/* From many connections in turn, as a botnet does it: each stays below what a connection may. */
static void reset_and_leave(struct attack *attack)
{
    for (int i = 0; i < 200; i++) {
        struct peer *peer = attack_open(attack);
        for (uint32_t id = 1; id < 200 && !peer->ended; id += 2)
            post_and_reset(peer, id);
        peer_flush(peer);
        if (i % 10 == 0)
            peer_until(peer, &peer->seen[SETTINGS], 1, 200);
        attack_drop(attack, peer);
    }
}

/* Thousands of posts run, and are cancelled all at once. */
static void cancel_storm(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    for (int round = 0; round < 5 && !peer->ended && !peer->calm; round++) {
        uint64_t opened = peer->opened + peer->ends;
        uint32_t first = (uint32_t)(round * 2000 + 1);
        for (uint32_t id = first; id < first + 2000; id += 2)
            peer_post(peer, id, "gen", "sources=20&frames=1000000&delay_ms=1000");
        peer_flush(peer);
        peer_until(peer, &peer->opened, opened + 1000, 200);
        for (uint32_t id = first; id < first + 2000; id += 2)
            peer_word(peer, RST_STREAM, id, 8);
        peer_flush(peer);
    }
}

/* ---- By the server --------------------------------------------------------------------------- */

static void window_of_nothing(struct peer *peer, uint32_t id)
{
    peer_request(peer, id, "Post");
    peer_word(peer, WINDOW_UPDATE, id, 0);
}

static void window_too_large(struct peer *peer, uint32_t id)
{
    peer_request(peer, id, "Post");
    peer_word(peer, WINDOW_UPDATE, id, INT32_MAX);
}

static void data_behind_the_end(struct peer *peer, uint32_t id)
{
    peer_post(peer, id, "gen", "sources=1&frames=1000&delay_ms=1000");
    peer_frame(peer, DATA, 0, id, "more", 4);
}

static void headers_behind_the_end(struct peer *peer, uint32_t id)
{
    peer_post(peer, id, "gen", "sources=1&frames=1000&delay_ms=1000");
    peer_request(peer, id, "Post");
}

static void depends_on_itself(struct peer *peer, uint32_t id)
{
    const uint8_t on_itself[5] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                                  (uint8_t)id, 16};
    peer_request(peer, id, "Post");
    peer_frame(peer, PRIORITY, 0, id, on_itself, 5);
}

static void priority_of_bad_length(struct peer *peer, uint32_t id)
{
    peer_request(peer, id, "Post");
    peer_frame(peer, PRIORITY, 0, id, "four", 4);
}

static void more_than_its_length(struct peer *peer, uint32_t id)
{
    struct block block;
    block.len = 0;
    block_request(&block, "POST", "/chanserv.v1.Chanserv/Post");
    block_field(&block, "content-length", "3");
    peer_frame(peer, HEADERS, END_HEADERS, id, block.bytes, block.len);
    peer_frame(peer, DATA, 0, id, "four", 4);
}

static void malformed(struct peer *peer, uint32_t id)
{
    struct block block;
    block.len = 0;
    block_request(&block, "POST", "/chanserv.v1.Chanserv/Post");
    block_field(&block, "connection", "close");
    peer_frame(peer, HEADERS, END_HEADERS, id, block.bytes, block.len);
}

static void trailers_without_end(struct peer *peer, uint32_t id)
{
    struct block block;
    block.len = 0;
    block_field(&block, "x", "y");
    peer_request(peer, id, "Post");
    peer_frame(peer, HEADERS, END_HEADERS, id, block.bytes, block.len);
}

/* It may do it for as long as its mistakes are few, and is then told to go, or at once. */
#define MADE(name)                                                                                 \
    static void made_##name(struct attack *attack)                                                 \
    {                                                                                              \
        attack_is_cut(attack, on_streams(attack, STREAMS, name));                                  \
    }
MADE(window_of_nothing)
MADE(window_too_large)
MADE(data_behind_the_end)
MADE(headers_behind_the_end)
MADE(priority_of_bad_length)
MADE(more_than_its_length)
MADE(malformed)
MADE(trailers_without_end)
#undef MADE

/* Nobody looks at priorities, so that nothing is reset. */
static void made_depends_on_itself(struct attack *attack)
{
    struct peer *peer = on_streams(attack, STREAMS, depends_on_itself);
    attack_is_served(attack, peer, 2 * STREAMS + 1);
    EXPECT(attack, peer->ends == 1, "%llu streams ended", (unsigned long long)peer->ends);
}

/* Not gRPC at all, so that each is answered and reset. */
static void wrong_method(struct peer *peer, uint32_t id)
{
    peer_request(peer, id, "Nothing");
}

static void unknown_methods(struct attack *attack)
{
    on_streams(attack, STREAMS, wrong_method);
}

const struct scenario attack_resets[] = {{.name = "rapid-reset",
                                          .limit = "resets_max",
                                          .counter = "cut_resets",
                                          .moves = 1,
                                          .least = 1000,
                                          .options = "--resets-max 1000",
                                          .run = rapid_reset},
                                         {.name = "rapid-reset-unasked",
                                          .counter = "streams_total",
                                          .moves = 1000,
                                          .least = 1000,
                                          .run = rapid_reset_unasked},
                                         {.name = "rapid-reset-and-leave",
                                          .counter = "connections_total",
                                          .moves = 200,
                                          .least = 1000,
                                          .run = reset_and_leave},
                                         {.name = "cancel-storm",
                                          .counter = "posts_total",
                                          .moves = 900,
                                          .least = 1000,
                                          .run = cancel_storm},
                                         {.name = "made-reset-window-of-nothing",
                                          .counter = "streams_total",
                                          .moves = 1,
                                          .least = 20,
                                          .run = made_window_of_nothing},
                                         {.name = "made-reset-window-too-large",
                                          .limit = "faults_max",
                                          .counter = "cut_faults",
                                          .moves = 1,
                                          .least = 20,
                                          .run = made_window_too_large},
                                         {.name = "made-reset-data-behind-the-end",
                                          .counter = "streams_total",
                                          .moves = 1,
                                          .least = 2,
                                          .run = made_data_behind_the_end},
                                         {.name = "made-reset-headers-behind-the-end",
                                          .counter = "streams_total",
                                          .moves = 1,
                                          .least = 2,
                                          .run = made_headers_behind_the_end},
                                         {.name = "made-reset-depends-on-itself",
                                          .counter = "streams_total",
                                          .moves = 1,
                                          .least = 2,
                                          .run = made_depends_on_itself},
                                         {.name = "made-reset-priority-of-bad-length",
                                          .counter = "streams_total",
                                          .moves = 1,
                                          .least = 2,
                                          .run = made_priority_of_bad_length},
                                         {.name = "made-reset-more-than-its-length",
                                          .limit = "faults_max",
                                          .counter = "cut_faults",
                                          .moves = 1,
                                          .least = 2,
                                          .run = made_more_than_its_length},
                                         {.name = "made-reset-malformed",
                                          .limit = "faults_max",
                                          .counter = "cut_faults",
                                          .moves = 1,
                                          .least = 2,
                                          .run = made_malformed},
                                         {.name = "made-reset-trailers-without-end",
                                          .limit = "faults_max",
                                          .counter = "cut_faults",
                                          .moves = 1,
                                          .least = 2,
                                          .run = made_trailers_without_end},
                                         {.name = "unknown-methods",
                                          .counter = "bad_requests",
                                          .moves = 1000,
                                          .least = 1000,
                                          .run = unknown_methods},
                                         {.name = NULL}};
