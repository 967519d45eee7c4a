/* sessions -- what is kept for those who may come back, and for those who never opened. */
#include "test/attack/attack.h"
#include "test/attack/tickets.h"

#include <string.h>

enum { SESSION = 16, ROOM = 300 };

static void draw(struct attack *attack, uint8_t *session)
{
    for (int i = 0; i < SESSION; i++)
        session[i] = (uint8_t)attack_random(attack);
}

/* SessionUp{session, attempt}; the stream stays open. */
static void session_up(struct peer *peer, uint32_t id, const uint8_t *session, unsigned attempt)
{
    uint8_t up[ROOM] = {0x0a, SESSION};
    size_t len = 2 + SESSION;
    memcpy(up + 2, session, SESSION);
    for (up[len++] = 0x10; attempt > 127; attempt >>= 7)
        up[len++] = (uint8_t)(attempt | 128);
    up[len++] = (uint8_t)attempt;
    peer_request(peer, id, "Session");
    peer_message(peer, id, up, len, false);
}

/* Behind its tag: Channel{session, 1, number}, number below 128. */
static size_t put_channel(uint8_t *to, const uint8_t *session, unsigned number)
{
    size_t len = 3;
    memcpy(to, (const uint8_t[]){SESSION + 6, 0x0a, SESSION}, len);
    memcpy(to + len, session, SESSION);
    len += SESSION;
    memcpy(to + len, (const uint8_t[]){0x10, 1, 0x18, (uint8_t)number}, 4);
    return len + 4;
}

/* PostRequest{service "gen", body, channel{session, 1, number}}, number below 128. */
static void session_post(struct peer *peer, uint32_t id, const uint8_t *session, unsigned number,
                         const char *body)
{
    uint8_t post[ROOM] = {0x0a, 3, 'g', 'e', 'n', 0x12, (uint8_t)strlen(body)};
    size_t len = 7 + strlen(body);
    memcpy(post + 7, body, strlen(body));
    post[len++] = 0x32;
    len += put_channel(post + len, session, number);
    peer_request(peer, id, "Post");
    peer_message(peer, id, post, len, true);
}

/* Made, given something to keep, and left. */
static void abandoned(struct attack *attack)
{
    uint8_t session[SESSION];
    for (int i = 0; i < 1000; i++) {
        struct peer *peer = attack_open(attack);
        draw(attack, session);
        session_up(peer, 1, session, 1);
        for (unsigned n = 1; n < 5; n++)
            session_post(peer, 2 * n + 1, session, n, "sources=20&frames=100&size=1000");
        peer_flush(peer);
        if (i % 10 == 0)
            peer_until(peer, &peer->opened, 5, 1000);
        attack_drop(attack, peer);
    }
    attack_is_served(attack, attack_open(attack), 1);
}

/* One with many posts, and no acknowledgements. */
static void channels(struct attack *attack)
{
    uint8_t session[SESSION];
    struct peer *peer = attack_open(attack);
    draw(attack, session);
    session_up(peer, 1, session, 1);
    for (unsigned n = 1; n < 120; n++)
        session_post(peer, 2 * n + 1, session, n, "sources=100");
    peer_flush(peer);
    EXPECT(attack, peer_until(peer, &peer->opened, 2, PEER_PATIENCE_MS), "nobody was served");
}

/* OpenRequest{ticket, channel{session, 1, number}}, number below 128. */
static void session_open(struct peer *peer, uint32_t id, const uint8_t *session, unsigned number,
                         const uint8_t *ticket)
{
    uint8_t open[ROOM] = {0x0a, TICKET};
    size_t len = 2 + TICKET;
    memcpy(open + 2, ticket, TICKET);
    open[len++] = 0x1a;
    len += put_channel(open + len, session, number);
    peer_request(peer, id, "Open");
    peer_message(peer, id, open, len, true);
}

/* Reads as fast as it comes, and acknowledges nothing of it. */
static void never_acknowledged(struct attack *attack)
{
    enum { SOURCES = 40 };
    uint8_t session[SESSION];
    struct peer *peer = attack_open(attack);
    peer_setting(peer, 4, INT32_MAX);
    peer_word(peer, WINDOW_UPDATE, 0, INT32_MAX - 65535);
    draw(attack, session);
    session_up(peer, 1, session, 1);
    tickets_take(attack, peer, 3, "gen", "sources=40&frames=1000&size=4000", SOURCES);
    peer->on_data = NULL;
    for (unsigned n = 0; n < SOURCES; n++)
        session_open(peer, 2 * n + 5, session, n + 1, tickets.all[n]);
    peer_flush(peer);
    peer_until(peer, &peer->data, SOURCES * 256 * 1024, PEER_PATIENCE_MS);
    EXPECT(attack, peer->data >= SOURCES * 256 * 1024, "only %llu bytes came",
           (unsigned long long)peer->data);
    EXPECT(attack, peer->data < SOURCES * 300 * 1024, "%llu bytes came",
           (unsigned long long)peer->data);
}

/* As many as a connection takes. */
static void many(struct attack *attack)
{
    uint8_t session[SESSION];
    struct peer *peer = attack_open(attack);
    for (uint32_t id = 1; id < 20001 && !peer->ended && !peer->calm; id += 2) {
        draw(attack, session);
        session_up(peer, id, session, 1);
        if (id % 64 == 1)
            peer_flush(peer);
    }
    peer_flush(peer);
}

/* Taken up again and again. */
static void attempts(struct attack *attack)
{
    uint8_t session[SESSION];
    struct peer *peer = attack_open(attack);
    draw(attack, session);
    for (uint32_t i = 0; i < 10000 && !peer->ended && !peer->calm; i++) {
        session_up(peer, 2 * i + 1, session, i + 1);
        if (i % 64 == 63)
            peer_flush(peer);
    }
    peer_flush(peer);
    peer_until(peer, &peer->ends, 9999, PEER_PATIENCE_MS);
    EXPECT(attack, peer->ended || peer->calm || peer->statuses[10] > 1000, "nobody was superseded");
}

/* Heartbeats, and acknowledgements of what there never was. */
static void acks(struct attack *attack)
{
    uint8_t session[SESSION];
    struct peer *peer = attack_open(attack);
    draw(attack, session);
    session_up(peer, 1, session, 1);
    for (int i = 0; i < 100000 && !peer->ended && !peer->calm && peer->ends == 0; i++) {
        if (i % 2)
            peer_message(peer, 1, "", 0, false);
        else
            peer_message(peer, 1, "\x1a\x04\x08\x7f\x10\x00", 6, false);
        if (i % 250 == 249)
            peer_flush(peer);
    }
    peer_flush(peer);
    peer_hear(peer, 50);
}

/* Channels of sessions that nobody made. */
static void of_nobody(struct attack *attack)
{
    uint8_t session[SESSION];
    struct peer *peer = attack_open(attack);
    for (uint32_t id = 1; id < 20001 && !peer->ended && !peer->calm; id += 2) {
        draw(attack, session);
        session_post(peer, id, session, 1, "sources=1");
        if (id % 64 == 1)
            peer_flush(peer);
    }
    peer_flush(peer);
    peer_until(peer, &peer->ends, 10000, PEER_PATIENCE_MS);
    EXPECT(attack, peer->ended || peer->calm || peer->statuses[9] >= 10000,
           "%llu refused of 10,000", (unsigned long long)peer->statuses[9]);
}

/* Announcements without end, that nobody reads. */
static void unread(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer_flush(peer);
    peer->deaf = true;
    for (uint32_t id = 1; id < 40 && !peer->ended; id += 2)
        peer_post(peer, id, "gen", "sources=1000000000");
    peer_flush(peer);
    nap_ms(500);
    peer->deaf = false;
    peer_hear(peer, 0);
}

/* ... that are read and not opened: their time runs out. */
static void unopened(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    peer_setting(peer, 4, INT32_MAX);
    peer_word(peer, WINDOW_UPDATE, 0, INT32_MAX - 65535);
    for (uint32_t id = 1; id < 21; id += 2)
        peer_post(peer, id, "gen", "sources=5000");
    peer_flush(peer);
    peer_until(peer, &peer->ends, 10, PEER_PATIENCE_MS);
}

/* Posts that run for ever. */
static void endless_posts(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    for (uint32_t id = 1; id < 20001 && !peer->ended && !peer->calm; id += 2) {
        peer_post(peer, id, "gen", "sources=1&frames=1000000&delay_ms=60000&eager=1");
        if (id % 64 == 1)
            peer_flush(peer);
    }
    peer_flush(peer);
}

/* Everybody watches the list of services. */
static void watchers(struct attack *attack)
{
    struct peer *peer = attack_open(attack);
    for (uint32_t id = 1; id < 20001 && !peer->ended && !peer->calm; id += 2) {
        peer_request(peer, id, "Services");
        peer_message(peer, id, "", 0, true);
        if (id % 64 == 1)
            peer_flush(peer);
    }
    peer_flush(peer);
}

const struct scenario attack_sessions[] = {
    {.name = "abandoned-sessions",
     .limit = "lingering_peer_max",
     .counter = "lingering_peer_lost",
     .moves = 100,
     .least = 4000,
     .run = abandoned},
    {.name = "too-many-abandoned",
     .limit = "lingering_max",
     .counter = "lingering_lost",
     .moves = 100,
     .least = 4000,
     .options = "--lingering-max 20",
     .run = abandoned},
    {.name = "abandoned-with-much",
     .limit = "lingering_bytes",
     .counter = "lingering_bytes_lost",
     .moves = 10,
     .least = 4000,
     .options = "--lingering 10KiB",
     .run = abandoned},
    {.name = "too-many-sessions",
     .limit = "sessions_max",
     .counter = "sessions_refused_limit",
     .moves = 1000,
     .least = 1000,
     .options = "--sessions-max 100",
     .run = many},
    {.name = "too-many-channels",
     .limit = "channels_max",
     .counter = "channels_refused",
     .moves = 10,
     .least = 100,
     .options = "--channels-max 50",
     .run = channels},
    {.name = "unacknowledged",
     .limit = "attached_bytes",
     .counter = "sessions_waits",
     .moves = 1,
     .least = 10,
     .options = "--attached 10KiB",
     .run = channels},
    {.name = "never-acknowledged",
     .limit = "keep_bytes",
     .counter = "keep_waits",
     .moves = 40,
     .least = 40,
     .options = "--keep 256KiB",
     .run = never_acknowledged},
    {.name = "many-sessions",
     .counter = "sessions_total",
     .moves = 1000,
     .least = 1000,
     .run = many},
    {.name = "attempts",
     .counter = "sessions_resumed",
     .moves = 1000,
     .least = 1000,
     .run = attempts},
    {.name = "acks", .counter = "sessions_total", .moves = 1, .least = 10, .run = acks},
    {.name = "sessions-of-nobody",
     .counter = "streams_total",
     .moves = 10000,
     .least = 10000,
     .run = of_nobody},
    {.name = "unread-announcements",
     .counter = "sources_total",
     .moves = 500,
     .least = 20,
     .run = unread},
    {.name = "unopened-sources",
     .limit = "accept_timeout_ms",
     .counter = "accept_timeouts",
     .moves = 10000,
     .least = 10,
     .options = "--accept-timeout 500ms",
     .run = unopened},
    {.name = "endless-posts",
     .counter = "posts_total",
     .moves = 1000,
     .least = 1000,
     .run = endless_posts},
    {.name = "watchers", .counter = "streams_total", .moves = 1000, .least = 1000, .run = watchers},
    {.name = NULL}};
