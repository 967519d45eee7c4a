/* harmless -- clients that do what attackers do and mean well: none of them is cut. */
#include "test/attack/tickets.h"

#include <string.h>
#include <sys/socket.h>

static const char ENDLESS[] = "sources=1&frames=1000000&delay_ms=10000&eager=1";

static struct peer *open_wide(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer_setting(peer, 4, INT32_MAX);
    peer_word(peer, WINDOW_UPDATE, 0, INT32_MAX - 65535);
    return peer;
}

/* Opens 10,000 sources in a row, and cancels each without a look at it. */
static void cancelled_sources(struct attack *attack)
{
    enum { SOURCES = 10000, SOME = 500 };
    struct peer *peer = open_wide(attack);
    uint32_t id = 1;
    for (int round = 0; round < SOURCES / SOME && !attack->why[0]; round++) {
        uint32_t post = id;
        tickets_take(attack, peer, post, "gen", "sources=500&frames=1000&delay_ms=10000", SOME);
        for (int i = 0; i < SOME; i++) {
            tickets_open(peer, id += 2, tickets.all[i]);
            peer_word(peer, RST_STREAM, id, 8);
            if (i % 50 == 49)
                peer_flush(peer);
        }
        peer_word(peer, RST_STREAM, post, 8);
        id += 2;
    }
    attack_is_served(attack, peer, id);
    EXPECT(attack, !peer->calm, "is cut: %s", peer->goaway_words);
}

/* Posts `body` some at a time, and resets each once it has begun to be answered, or has ended. */
static void each_reset(struct attack *attack, struct peer *peer, const char *body,
                       const uint64_t *count)
{
    enum { POSTS = 3000, SOME = 50 };
    uint32_t id = 1;
    for (int round = 0; round < POSTS / SOME && !attack->why[0]; round++) {
        uint64_t until = *count + SOME;
        uint32_t first = id;
        for (int i = 0; i < SOME; i++, id += 2)
            peer_post(peer, id, "gen", body);
        peer_flush(peer);
        EXPECT(attack, peer_until(peer, count, until, PEER_PATIENCE_MS), "is not answered: %s",
               peer->goaway_words);
        for (; first < id; first += 2)
            peer_word(peer, RST_STREAM, first, 8);
    }
    attack_is_served(attack, peer, id);
    EXPECT(attack, !peer->calm, "is cut: %s", peer->goaway_words);
}

static void answered_and_reset(struct attack *attack)
{
    struct peer *peer = open_wide(attack);
    each_reset(attack, peer, ENDLESS, &peer->opened);
}

static void finished_and_reset(struct attack *attack)
{
    struct peer *peer = open_wide(attack);
    each_reset(attack, peer, "sources=1&frames=1&size=64&eager=1", &peer->ends);
}

/* Say that they say no more while they are still served, and hear all that there is to hear. */
static void half_closed(struct attack *attack)
{
    for (int i = 0; i < 300; i++) {
        struct peer *peer = attack_open(attack);
        peer_until(peer, &peer->seen[SETTINGS], 2, PEER_PATIENCE_MS);
        peer_post(peer, 1, "gen", i % 2 ? ENDLESS : "sources=1&frames=1&size=64&eager=1");
        peer_flush(peer);
        shutdown(peer->fd, SHUT_WR);
    }
    for (int i = 0; i < 300; i++)
        EXPECT(attack, peer_until_ended(attack->peers[i], PEER_PATIENCE_MS), "it stays half open");
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* What nobody reads fills what the process may have; new posts are refused, and not when it is gone. */
static void memory(struct attack *attack)
{
    enum { POSTS = 4000, SOME = 50 };
    int64_t until = now_ms() + 2 * PEER_PATIENCE_MS;
    struct peer *peer = attack_open(attack);
    bool again = false;
    peer_setting(peer, 4, 0);
    for (uint32_t i = 0; i < POSTS && peer->statuses[8] == 0 && !peer->ended; i++) {
        peer_post(peer, 2 * i + 1, "gen", "sources=100&frames=1&size=4000&eager=1");
        if (i % SOME == SOME - 1) {
            peer_flush(peer);
            peer_hear(peer, 10);
        }
    }
    EXPECT(attack, peer_until(peer, &peer->statuses[8], 1, PEER_PATIENCE_MS), "none is refused");
    attack_drop(attack, peer);
    while (!again && now_ms() < until) {
        nap_ms(50);
        peer = attack_open(attack);
        peer_post(peer, 1, "echo", "and now?");
        peer_flush(peer);
        peer_until(peer, &peer->ends, 1, PEER_PATIENCE_MS);
        again = peer->statuses[0] == 1;
        attack_drop(attack, peer);
    }
    EXPECT(attack, again, "all are refused for ever");
}

const struct scenario attack_harmless[] = {{.name = "cancelled-sources",
                                            .counter = "streams_total",
                                            .moves = 10000,
                                            .least = 20000,
                                            .run = cancelled_sources},
                                           {.name = "answered-and-reset",
                                            .counter = "posts_total",
                                            .moves = 3000,
                                            .least = 6000,
                                            .options = "--resets-max 100",
                                            .run = answered_and_reset},
                                           {.name = "finished-and-reset",
                                            .counter = "posts_total",
                                            .moves = 3000,
                                            .least = 6000,
                                            .options = "--resets-max 100",
                                            .run = finished_and_reset},
                                           {.name = "half-closed",
                                            .counter = "connections_total",
                                            .moves = 300,
                                            .least = 600,
                                            .run = half_closed},
                                           {.name = "memory",
                                            .limit = "memory_max_percent",
                                            .counter = "posts_refused_memory",
                                            .moves = 1,
                                            .least = 500,
                                            .options = "--memory-max-percent 30",
                                            .run = memory,
                                            .fate = REFUSED,
                                            .data_mib = 96},
                                           {.name = NULL}};
