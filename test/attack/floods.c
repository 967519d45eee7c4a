/* floods -- frames that cost nothing to send and do nothing: as many as the socket takes. */
#include "test/attack/attack.h"

#include <stdio.h>
#include <string.h>

enum { FRAMES = 200000, BATCH = 500 };

/* Until it is cut or has sent all. */
static void flood(struct attack *attack, struct peer *peer, int frames,
                  void (*one)(struct attack *attack, struct peer *peer, int i))
{
    for (int i = 0; i < frames && !peer->ended && !peer->calm; i++) {
        one(attack, peer, i);
        if (i % BATCH == BATCH - 1 && !peer_flush(peer))
            return;
    }
    peer_flush(peer);
}

static void one_settings(struct attack *attack, struct peer *peer, int i)
{
    (void)attack;
    peer_setting(peer, 4, (uint32_t)(65535 + i % 2));
}

static void settings(struct attack *attack)
{
    flood(attack, attack_open(attack), FRAMES, one_settings);
}

/* Whose acknowledgements nobody takes. */
static void settings_unheard(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer->deaf = true;
    flood(attack, peer, FRAMES, one_settings);
    peer->deaf = false;
}

/* Each as many entries as a frame holds. */
static void large_settings(struct attack *attack)
{
    static uint8_t entries[2700 * 6];
    struct peer *peer = attack_open(attack);
    for (size_t i = 0; i < sizeof entries; i += 6)
        entries[i] = 0x7f; /* 0x7f00: nobody knows it */
    for (int i = 0; i < 2000 && !peer->ended && !peer->calm; i++) {
        peer_frame(peer, SETTINGS, 0, 0, entries, sizeof entries);
        peer_flush(peer);
    }
    peer_hear(peer, 20);
}

static void one_ack(struct attack *attack, struct peer *peer, int i)
{
    (void)attack;
    (void)i;
    peer_frame(peer, SETTINGS, ACK, 0, NULL, 0);
}

static void settings_acks(struct attack *attack)
{
    flood(attack, attack_open(attack), FRAMES, one_ack);
}

static void one_ping(struct attack *attack, struct peer *peer, int i)
{
    (void)attack;
    (void)i;
    peer_frame(peer, PING, 0, 0, "12345678", 8);
}

static void pings(struct attack *attack)
{
    flood(attack, attack_open(attack), FRAMES, one_ping);
}

static void pings_unheard(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer->deaf = true;
    flood(attack, peer, 4 * FRAMES, one_ping);
    peer->deaf = false;
}

static void one_pong(struct attack *attack, struct peer *peer, int i)
{
    (void)attack;
    (void)i;
    peer_frame(peer, PING, ACK, 0, "12345678", 8);
}

static void pongs(struct attack *attack)
{
    flood(attack, attack_open(attack), FRAMES, one_pong);
}

static void one_empty_data(struct attack *attack, struct peer *peer, int i)
{
    (void)attack;
    (void)i;
    peer_frame(peer, DATA, 0, 1, NULL, 0);
}

static void empty_data(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer_request(peer, 1, "Post");
    flood(attack, peer, FRAMES, one_empty_data);
}

/* 255 bytes of padding and nothing else; the credit for it, that comes by half a window, is waited for. */
static void padded_data(struct attack *attack)
{
    enum { WINDOW = 65535, FRAME = 256, SOME = WINDOW / 2 / FRAME };
    uint8_t padding[FRAME] = {255};
    struct peer *peer = attack_open(attack);
    uint64_t sent = 0;
    peer_request(peer, 1, "Post");
    while (sent < 50000 * FRAME && !peer->ended && !peer->calm) {
        for (int i = 0; i < SOME; i++, sent += FRAME)
            peer_frame(peer, DATA, PADDED, 1, padding, FRAME);
        peer_flush(peer);
        if (sent > WINDOW / 2 &&
            !peer_until(peer, &peer->granted, sent - WINDOW / 2, PEER_PATIENCE_MS))
            break;
    }
}

static void one_priority(struct attack *attack, struct peer *peer, int i)
{
    const uint8_t on[5] = {0, 0, 0, (uint8_t)(i % 2), 16};
    (void)attack;
    peer_frame(peer, PRIORITY, 0, (uint32_t)(3 + 2 * (i % 1000000)), on, 5);
}

/* On streams that are not there: each once was a node of a tree. */
static void priorities(struct attack *attack)
{
    flood(attack, attack_open(attack), FRAMES, one_priority);
}

static void one_priority_update(struct attack *attack, struct peer *peer, int i)
{
    const uint8_t what[] = {0, 0, (uint8_t)(i >> 7), (uint8_t)(i << 1 | 1), 'u', '=', '1'};
    (void)attack;
    peer_frame(peer, PRIORITY_UPDATE, 0, 0, what, sizeof what);
}

static void priority_updates(struct attack *attack)
{
    flood(attack, attack_open(attack), FRAMES, one_priority_update);
}

static void one_window(struct attack *attack, struct peer *peer, int i)
{
    (void)attack;
    (void)i;
    peer_word(peer, WINDOW_UPDATE, 0, 1);
}

static void windows(struct attack *attack)
{
    flood(attack, attack_open(attack), FRAMES, one_window);
}

static void one_unknown(struct attack *attack, struct peer *peer, int i)
{
    (void)attack;
    peer_frame(peer, 0xf0, 0xff, (uint32_t)i & 3, "unknown", 7);
}

static void unknown_frames(struct attack *attack)
{
    flood(attack, attack_open(attack), FRAMES, one_unknown);
}

static void one_goaway(struct attack *attack, struct peer *peer, int i)
{
    static const uint8_t goaway[64];
    (void)attack;
    (void)i;
    peer_frame(peer, GOAWAY, 0, 0, goaway, sizeof goaway);
}

static void goaways(struct attack *attack)
{
    flood(attack, attack_open(attack), FRAMES, one_goaway);
}

static void one_reset(struct attack *attack, struct peer *peer, int i)
{
    (void)attack;
    (void)i;
    peer_word(peer, RST_STREAM, 1, 8);
}

/* Of one stream that is over, again and again. */
static void resets_of_the_dead(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    attack_is_served(attack, peer, 1);
    flood(attack, peer, FRAMES, one_reset);
}

static void one_continuation(struct attack *attack, struct peer *peer, int i)
{
    (void)attack;
    (void)i;
    peer_frame(peer, CONTINUATION, 0, 1, NULL, 0);
}

/* CVE-2024-28182: a block of fields that never ends, of nothing... */
static void continuations(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer_frame(peer, HEADERS, 0, 1, NULL, 0);
    flood(attack, peer, FRAMES, one_continuation);
    EXPECT(attack, peer_until_ended(peer, PEER_PATIENCE_MS), "is not cut");
}

static void one_full_continuation(struct attack *attack, struct peer *peer, int i)
{
    struct block block;
    (void)attack;
    (void)i;
    block.len = 0;
    for (int n = 0; n < 100; n++)
        block_field(&block, "a-name-of-a-field", "and a value that is not very long either");
    peer_frame(peer, CONTINUATION, 0, 1, block.bytes, block.len);
}

/* ... and of fields. */
static void full_continuations(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer_frame(peer, HEADERS, 0, 1, NULL, 0);
    flood(attack, peer, 2000, one_full_continuation);
    EXPECT(attack, peer_until_ended(peer, PEER_PATIENCE_MS), "is not cut");
}

/* Calls of nobody, whose answers nobody takes; each has other words, so that none is short. */
static void one_call(struct attack *attack, struct peer *peer, int i)
{
    struct block block;
    char path[160];
    (void)attack;
    snprintf(path, sizeof path, "/nobody/%0150d", i);
    block.len = 0;
    block_request(&block, "POST", path);
    peer_frame(peer, HEADERS, END_HEADERS | END_STREAM, (uint32_t)(2 * i + 1), block.bytes,
               block.len);
}

static void answers_unheard(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer->deaf = true;
    flood(attack, peer, FRAMES, one_call);
    peer->deaf = false;
    peer_hear(peer, 200);
}

/* ... and each call is given up before that. */
static void one_call_given_up(struct attack *attack, struct peer *peer, int i)
{
    one_call(attack, peer, i);
    peer_word(peer, RST_STREAM, (uint32_t)(2 * i + 1), 8);
}

static void answers_given_up(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer->deaf = true;
    flood(attack, peer, FRAMES, one_call_given_up);
    peer->deaf = false;
    peer_hear(peer, 200);
}

const struct scenario attack_floods[] = {{.name = "settings",
                                          .limit = "settings_max",
                                          .counter = "cut_settings",
                                          .moves = 1,
                                          .least = 1000,
                                          .run = settings},
                                         {.name = "settings-unheard",
                                          .counter = "bytes_in",
                                          .moves = 10000,
                                          .least = 1000,
                                          .run = settings_unheard},
                                         {.name = "large-settings",
                                          .limit = "settings_max",
                                          .counter = "cut_settings",
                                          .moves = 0,
                                          .least = 2,
                                          .run = large_settings},
                                         {.name = "settings-acks",
                                          .counter = "bytes_in",
                                          .moves = 10000,
                                          .least = 1000,
                                          .run = settings_acks},
                                         {.name = "pings",
                                          .limit = "pings_max",
                                          .counter = "cut_pings",
                                          .moves = 1,
                                          .least = 1000,
                                          .run = pings},
                                         {.name = "pings-unheard",
                                          .limit = "control_max",
                                          .counter = "reads_paused",
                                          .moves = 1,
                                          .least = 1000,
                                          .options = "--pings-max off",
                                          .run = pings_unheard},
                                         {.name = "pongs",
                                          .limit = "pings_max",
                                          .counter = "cut_pings",
                                          .moves = 1,
                                          .least = 1000,
                                          .run = pongs},
                                         {.name = "empty-data",
                                          .limit = "empty_data_max",
                                          .counter = "cut_empty_data",
                                          .moves = 1,
                                          .least = 1000,
                                          .run = empty_data},
                                         {.name = "padded-data",
                                          .limit = "empty_data_max",
                                          .counter = "cut_empty_data",
                                          .moves = 1,
                                          .least = 250,
                                          .run = padded_data},
                                         {.name = "priorities",
                                          .limit = "priorities_max",
                                          .counter = "cut_priorities",
                                          .moves = 1,
                                          .least = 1000,
                                          .run = priorities},
                                         {.name = "priority-updates",
                                          .limit = "priorities_max",
                                          .counter = "cut_priorities",
                                          .moves = 1,
                                          .least = 1000,
                                          .run = priority_updates},
                                         {.name = "windows",
                                          .limit = "window_updates_max",
                                          .counter = "cut_window_updates",
                                          .moves = 1,
                                          .least = 1000,
                                          .run = windows},
                                         {.name = "unknown-frames",
                                          .limit = "unknown_max",
                                          .counter = "cut_unknown",
                                          .moves = 1,
                                          .least = 1000,
                                          .run = unknown_frames},
                                         {.name = "goaways",
                                          .limit = "settings_max",
                                          .counter = "cut_settings",
                                          .moves = 1,
                                          .least = 1000,
                                          .run = goaways},
                                         {.name = "resets-of-the-dead",
                                          .limit = "unknown_max",
                                          .counter = "cut_unknown",
                                          .moves = 1,
                                          .least = 1000,
                                          .run = resets_of_the_dead},
                                         {.name = "continuations",
                                          .limit = "continuations_max",
                                          .counter = "cut_continuations",
                                          .moves = 1,
                                          .least = 8,
                                          .run = continuations},
                                         {.name = "full-continuations",
                                          .limit = "continuations_max",
                                          .counter = "cut_continuations",
                                          .moves = 1,
                                          .least = 3,
                                          .run = full_continuations},
                                         {.name = "answers-unheard",
                                          .limit = "connection_memory_bytes",
                                          .counter = "reads_paused",
                                          .moves = 1,
                                          .least = 1000,
                                          .run = answers_unheard},
                                         {.name = "answers-given-up",
                                          .counter = "bytes_in",
                                          .moves = 10000,
                                          .least = 1000,
                                          .run = answers_given_up},
                                         {.name = NULL}};
