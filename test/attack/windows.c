/* windows -- readers that do not read, and credit that is a lie. */
#include "test/attack/attack.h"

#include <string.h>

/* Posts `n` times for one source with its first frame in the announcement... */
static void post_all(struct peer *peer, int n, const char *body)
{
    for (int i = 0; i < n && !peer->ended && !peer->calm; i++) {
        peer_post(peer, (uint32_t)(2 * i + 1), "gen", body);
        if (i % 50 == 49)
            peer_flush(peer);
    }
    peer_flush(peer);
}

static const char LARGE[] = "sources=100&frames=1&size=4000&eager=1";

/* ... with windows that never open: each is ended once its time is up. */
static void zero_window(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer_setting(peer, 4, 0);
    post_all(peer, 1000, LARGE);
    peer_until(peer, &peer->ends, 1000, 2 * PEER_PATIENCE_MS);
    EXPECT(attack, peer->ended || peer->ends == 1000, "%llu streams of 1,000 were ended",
           (unsigned long long)peer->ends);
}

/* One byte a second would do to live for ever. */
static void windows_of_a_byte(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer_setting(peer, 4, 0);
    post_all(peer, 200, LARGE);
    peer_until(peer, &peer->opened, 200, PEER_PATIENCE_MS);
    for (int round = 0; round < 40 && !peer->ended && !peer->calm; round++) {
        for (uint32_t id = 1; id < 400; id += 2)
            peer_word(peer, WINDOW_UPDATE, id, 1);
        peer_flush(peer);
        peer_hear(peer, 10);
    }
    EXPECT(attack, peer->ended || peer->calm || peer->data >= 200, "no byte came");
}

/* All the credit there is, and a socket that takes nothing. */
static void slow_read(struct attack *attack)
{
    for (int n = 0; n < 10; n++) {
        struct peer *peer = attack_open(attack);
        peer->deaf = true;
        peer_setting(peer, 4, INT32_MAX);
        peer_word(peer, WINDOW_UPDATE, 0, INT32_MAX - 65535);
        post_all(peer, 50, LARGE);
    }
    nap_ms(500);
    for (int n = 0; n < attack->peers_len; n++) {
        attack->peers[n]->deaf = false;
        peer_hear(attack->peers[n], 0);
    }
}

/* Takes a little now and then. */
static void dribble(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer_setting(peer, 4, INT32_MAX);
    peer_word(peer, WINDOW_UPDATE, 0, INT32_MAX - 65535);
    post_all(peer, 100, LARGE);
    peer->deaf = true;
    for (int i = 0; i < 100; i++) {
        nap_ms(5);
        peer->deaf = i % 10 != 9;
        peer_hear(peer, 0);
    }
}

/* The first window of all streams goes up and down: each time each of them has to be looked at. */
static void windows_up_and_down(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer_setting(peer, 4, 0);
    post_all(peer, 800, LARGE);
    for (int i = 0; i < 20000 && !peer->ended && !peer->calm; i++) {
        peer_setting(peer, 4, i % 2 ? 0 : 1);
        if (i % 100 == 99)
            peer_flush(peer);
    }
    peer_flush(peer);
    peer_hear(peer, 100);
}

/* Credit until it overflows, of the connection and of a stream; and a setting that overflows what is
 * open. */
static void lies(struct attack *attack)
{
    for (int i = 0; i < 300; i++) {
        struct peer *peer = attack_open(attack);
        peer_post(peer, 1, "gen", LARGE);
        if (i % 3 == 0) {
            peer_word(peer, WINDOW_UPDATE, 0, INT32_MAX);
        } else if (i % 3 == 1) {
            peer_word(peer, WINDOW_UPDATE, 1, INT32_MAX - 65535);
            peer_setting(peer, 4, INT32_MAX);
        } else {
            peer_setting(peer, 4, UINT32_MAX);
        }
        peer_flush(peer);
        peer_until(peer, &peer->resets[3], 1, PEER_PATIENCE_MS);
        EXPECT(attack, peer->ended || peer->resets[3] > 0, "lie %d is believed", i % 3);
        attack_drop(attack, peer);
    }
}

/* The frame size it may be sent goes below what is allowed, and up to all there is. */
static void frame_sizes(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer_setting(peer, 5, 16383);
    peer_flush(peer);
    EXPECT(attack, peer_until_ended(peer, PEER_PATIENCE_MS), "frames of 16,383 are possible");
    peer = attack_open(attack);
    peer_setting(peer, 5, (1 << 24) - 1);
    peer_setting(peer, 4, INT32_MAX);
    peer_word(peer, WINDOW_UPDATE, 0, INT32_MAX - 65535);
    post_all(peer, 100, LARGE);
    EXPECT(attack, peer_until(peer, &peer->data, 1 << 20, PEER_PATIENCE_MS), "no data came");
}

/* More than the window that it was given. */
static void more_than_a_window(struct attack *attack)
{
    static uint8_t full[16384];
    struct peer *peer = attack_open(attack);
    peer_request(peer, 1, "Post");
    full[1] = 0xff; /* 16 MiB are to come */
    for (int i = 0; i < 100 && !peer->ended; i++) {
        peer_frame(peer, DATA, 0, 1, full, sizeof full);
        peer_flush(peer);
    }
    EXPECT(attack, peer_until(peer, &peer->ends, 1, PEER_PATIENCE_MS) || peer->ended,
           "100 frames fit in 4");
}

const struct scenario attack_windows[] = {
    {.name = "zero-window",
     .limit = "stall_timeout_ms",
     .counter = "streams_stalled",
     .moves = 1000,
     .least = 1000,
     .options = "--stall-timeout 1s",
     .run = zero_window},
    {.name = "windows-of-a-byte",
     .counter = "posts_total",
     .moves = 200,
     .least = 1000,
     .options = "--stall-timeout 1s",
     .run = windows_of_a_byte},
    {.name = "slow-read", .counter = "posts_total", .moves = 400, .least = 1000, .run = slow_read},
    {.name = "dribble", .counter = "posts_total", .moves = 90, .least = 100, .run = dribble},
    {.name = "windows-up-and-down",
     .counter = "posts_total",
     .moves = 100,
     .least = 1000,
     .run = windows_up_and_down},
    {.name = "window-lies",
     .counter = "connections_total",
     .moves = 300,
     .least = 600,
     .run = lies},
    {.name = "frame-sizes",
     .counter = "connections_total",
     .moves = 2,
     .least = 100,
     .run = frame_sizes},
    {.name = "more-than-a-window",
     .counter = "bytes_in",
     .moves = 65536,
     .least = 5,
     .run = more_than_a_window},
    {.name = NULL}};
