/* limits -- whoever goes beyond what one may have of something, where that is set low. */
#include "test/attack/attack.h"
#include "test/attack/tickets.h"

#include <string.h>

/* ---- Of everybody, or of one ----------------------------------------------------------------- */

static void connections(struct attack *attack)
{
    for (int i = 0; i < 400; i++)
        attack_dial(attack);
    for (int64_t until = now_ms() + PEER_PATIENCE_MS;
         attack->work.cuts < 200 && now_ms() < until;) {
        attack_hear(attack);
        nap_ms(5);
    }
    EXPECT(attack, attack->work.cuts >= 200, "%llu of 400 were refused",
           (unsigned long long)attack->work.cuts);
}

static void posts(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    for (uint32_t i = 0; i < 500; i++)
        peer_post(peer, 2 * i + 1, "gen", "sources=1000000");
    peer_flush(peer);
    peer_until(peer, &peer->ends, 400, PEER_PATIENCE_MS);
    EXPECT(attack, peer->statuses[8] >= 400, "%llu of 500 were refused",
           (unsigned long long)peer->statuses[8]);
}

static void opens(struct attack *attack)
{
    struct peer *peer = tickets_take(attack, attack_open(attack), 1, "gen",
                                     "sources=300&frames=1000&delay_ms=10000", 300);
    for (uint32_t i = 0; i < 300; i++)
        tickets_open(peer, 2 * i + 3, tickets.all[i]);
    peer_flush(peer);
    peer_until(peer, &peer->statuses[8], 200, PEER_PATIENCE_MS);
    EXPECT(attack, peer->statuses[8] >= 200, "%llu of 300 were refused",
           (unsigned long long)peer->statuses[8]);
}

static void read_all(struct peer *peer)
{
    peer_setting(peer, 4, INT32_MAX);
    peer_word(peer, WINDOW_UPDATE, 0, INT32_MAX - 65535);
}

static void sources(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    read_all(peer);
    for (uint32_t i = 0; i < 20; i++)
        peer_post(peer, 2 * i + 1, "gen", "sources=1000");
    peer_flush(peer);
}

static void unread_sources(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer_setting(peer, 4, 0);
    for (uint32_t i = 0; i < 20; i++)
        peer_post(peer, 2 * i + 1, "gen", "sources=1000");
    peer_flush(peer);
}

static void request_streams(struct peer *peer)
{
    for (uint32_t i = 0; i < 400 && !peer->ended; i++)
        peer_request(peer, 2 * i + 1, "Post");
    peer_flush(peer);
}

/* By who never says that it knows the limit: each stream is refused... */
static void streams(struct attack *attack)
{
    struct peer *peer = attack_dial(attack);
    peer->rude = true;
    peer_greet(peer);
    request_streams(peer);
    EXPECT(attack, peer_until(peer, &peer->resets[7], 300, PEER_PATIENCE_MS),
           "%llu of 400 were refused", (unsigned long long)peer->resets[7]);
}

/* ... and by who has said so: the connection goes. */
static void known_streams(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer_until(peer, &peer->seen[SETTINGS], 2,
               PEER_PATIENCE_MS); /* theirs, and what answers ours */
    request_streams(peer);
    EXPECT(attack, peer_until_ended(peer, PEER_PATIENCE_MS) && peer->goaway_code == 1,
           "is not cut: %s", peer->goaway_words);
}

static void idle(struct attack *attack)
{
    for (int i = 0; i < 100; i++)
        attack_open(attack);
}

/* ---- Of bytes -------------------------------------------------------------------------------- */

static void frames(struct attack *attack)
{
    struct peer *peer =
        tickets_take(attack, attack_open(attack), 1, "gen", "sources=50&frames=10&size=5000", 50);
    for (uint32_t i = 0; i < 50; i++)
        tickets_open(peer, 2 * i + 3, tickets.all[i]);
    peer_flush(peer);
    peer_until(peer, &peer->statuses[8], 50, PEER_PATIENCE_MS);
    EXPECT(attack, peer->statuses[8] == 50, "%llu of 50 were refused",
           (unsigned long long)peer->statuses[8]);
}

/* Talk{open}, and then parts of a frame that never ends. */
static void parts(struct attack *attack)
{
    static uint8_t part[8000] = {0x12, 0xbd, 0x3e, 0x18, 1, 0x0a, 0xb8, 0x3e};
    uint8_t up[4 + TICKET] = {0x0a, 2 + TICKET, 0x0a, TICKET};
    struct peer *peer = tickets_take(attack, attack_open(attack), 1, "cat", "", 1);
    memcpy(up + 4, tickets.all[0], TICKET);
    peer_request(peer, 3, "Talk");
    peer_message(peer, 3, up, sizeof up, false);
    for (int i = 0; i < 60 && !peer->ended && peer->ends == 0; i++) {
        peer_message(peer, 3, part, sizeof part, false);
        peer_flush(peer);
        peer_hear(peer, 3);
    }
    peer_until(peer, &peer->statuses[8], 1, PEER_PATIENCE_MS);
    EXPECT(attack, peer->statuses[8] >= 1, "480 KB fit in 64 KiB");
}

/* Bodies as fast as they are taken, so that windows would grow. */
static void uploads(struct attack *attack)
{
    enum { WINDOW = 65535, FRAMES = 191, FRAME = 16384 };
    static uint8_t bytes[FRAME];
    struct peer *peer = attack_open(attack);
    for (uint32_t id = 1; id < 8; id += 2) {
        uint64_t sent = 5, granted = peer->granted;
        peer->counts = id;
        peer_request(peer, id, "Post");
        peer_frame(peer, DATA, 0, id, "\0\0\x30\0\0", 5);
        for (int i = 0; i < FRAMES && !peer->ended; i++) {
            uint64_t needed = granted + sent + FRAME;
            if (needed > WINDOW &&
                !peer_until(peer, &peer->granted, needed - WINDOW, PEER_PATIENCE_MS))
                break;
            peer_frame(peer, DATA, 0, id, bytes, FRAME);
            peer_flush(peer);
            sent += FRAME;
        }
    }
}

const struct scenario attack_limits[] = {
    {.name = "too-many-connections",
     .limit = "connections_max",
     .counter = "connections_refused",
     .moves = 290,
     .least = 400,
     .options = "--connections-max 100 --loops 2",
     .run = connections,
     .fate = CROWDED},
    {.name = "too-many-connections-of-one",
     .limit = "connections_peer_max",
     .counter = "connections_peer_refused",
     .moves = 290,
     .least = 400,
     .options = "--connections-peer-max 100 --loops 3",
     .run = connections},
    {.name = "too-many-posts",
     .limit = "posts_max",
     .counter = "posts_refused_limit",
     .moves = 400,
     .least = 500,
     .options = "--posts-max 50",
     .run = posts,
     .fate = REFUSED},
    {.name = "too-many-posts-of-one",
     .limit = "posts_peer_max",
     .counter = "posts_peer_refused",
     .moves = 400,
     .least = 500,
     .options = "--posts-peer-max 50",
     .run = posts},
    {.name = "too-many-opens-of-one",
     .limit = "opens_peer_max",
     .counter = "opens_peer_refused",
     .moves = 200,
     .least = 300,
     .options = "--opens-peer-max 50",
     .run = opens},
    {.name = "too-many-sources",
     .limit = "sources_max",
     .counter = "announce_refused_limit",
     .moves = 1,
     .least = 20,
     .options = "--sources-max 5000",
     .run = sources,
     .fate = REFUSED},
    {.name = "too-many-unopened",
     .limit = "post_sources_max",
     .counter = "announce_unopened",
     .moves = 1,
     .least = 20,
     .options = "--post-sources-max 100",
     .run = sources},
    {.name = "too-many-unread",
     .limit = "post_queue_bytes",
     .counter = "announce_again",
     .moves = 1,
     .least = 20,
     .options = "--post-queue 1KiB",
     .run = unread_sources},
    {.name = "too-many-streams",
     .limit = "streams_max",
     .counter = "streams_refused",
     .moves = 300,
     .least = 300,
     .options = "--streams-max 100",
     .run = streams},
    {.name = "too-many-known-streams",
     .limit = "streams_max",
     .counter = "streams_refused",
     .moves = 1,
     .least = 100,
     .options = "--streams-max 100",
     .run = known_streams},
    {.name = "idle-connections",
     .limit = "idle_timeout_ms",
     .counter = "connections_idle",
     .moves = 100,
     .least = 100,
     .options = "--idle-timeout 300ms",
     .run = idle},
    {.name = "frames-too-large",
     .limit = "frame_max_bytes",
     .counter = "frames_too_large",
     .moves = 50,
     .least = 50,
     .options = "--frame-max 1000",
     .run = frames},
    {.name = "parts-without-end",
     .limit = "assembly_bytes",
     .counter = "assembly_refused",
     .moves = 1,
     .least = 5,
     .options = "--assembly 64KiB --service cat=exec-uplink:cat",
     .run = parts},
    {.name = "uploads",
     .limit = "window_grow_bytes",
     .counter = "windows_kept",
     .moves = 1,
     .least = 100,
     .options = "--window-grow 64KiB",
     .run = uploads},
    {.name = NULL}};
