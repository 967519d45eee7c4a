/* traps -- what hostile servers say to a client of ours. */
#include "test/attack/trap.h"

#include <stdio.h>
#include <string.h>

enum { MANY = 200 };
static const char PATIENT[] = "--timeout 1s --resume 500ms", BRIEF[] = "--timeout 1s --resume off";

static bool asks(const struct peer *peer, const char *method)
{
    return trap_asks(peer, method);
}

/* Well, as long as it is not the call that the scenario is about. */
static bool other_than(struct peer *peer, uint32_t id, const char *method)
{
    if (asks(peer, method))
        return false;
    trap_good(peer, id);
    return true;
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void say_nothing(struct trapped *t, struct peer *peer)
{
    peer->rude = true;
    (void)t;
}

static void say_http(struct trapped *t, struct peer *peer)
{
    peer->rude = true;
    static const char *const words[] = {
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nwhat?",
        "\x15\x03\x01\x00\x02\x02\x46", /* an alert of TLS */
        "SSH-2.0-nothing of the kind\r\n and then much more of it",
        "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    };
    const char *say = words[t->round % 4];
    peer_bytes(peer, say, t->round % 4 == 3 ? 14 : strlen(say));
    t->hangs_up = t->round % 8 < 4;
}

static void hang_up(struct trapped *t, struct peer *peer)
{
    peer->rude = true;
    t->hangs_up = true;
}

static void goaway_at_once(struct trapped *t, struct peer *peer)
{
    static uint8_t words[8 + 8000];
    peer_frame(peer, SETTINGS, 0, 0, NULL, 0);
    words[7] = (uint8_t)(t->round % 14);
    memset(words + 8, 'x', sizeof words - 8);
    peer_frame(peer, GOAWAY, 0, 0, words, sizeof words);
    t->hangs_up = t->round % 2;
}

static void goaways(struct trapped *t, struct peer *peer)
{
    uint8_t last[8] = {0x7f, 0xff, 0xff, 0xff};
    for (int i = 0; i < 1000 && t->requests > 0; i++) {
        last[3] = (uint8_t)(255 - i % 256);
        peer_frame(peer, GOAWAY, 0, 0, last, sizeof last);
    }
}

/* ---- Floods, while it waits for the answer to its post --------------------------------------- */

static void all_but_post(struct trapped *t, struct peer *peer, uint32_t id)
{
    if (!other_than(peer, id, "Post")) {
        trap_answer(peer, id);
        t->id = id;
    }
}

static void flood(struct trapped *t, struct peer *peer, int type, const void *bytes, size_t len,
                  bool on_stream)
{
    for (int i = 0; i < 500 && t->id > 0; i++)
        peer_frame(peer, type, 0, on_stream ? t->id : 0, bytes, len);
}

static void settings(struct trapped *t, struct peer *peer)
{
    flood(t, peer, SETTINGS, "\0\4\0\1\0\0", 6, false);
}

static void pings(struct trapped *t, struct peer *peer)
{
    flood(t, peer, PING, "12345678", 8, false);
}

static void empty_data(struct trapped *t, struct peer *peer)
{
    flood(t, peer, DATA, NULL, 0, true);
}

static void windows(struct trapped *t, struct peer *peer)
{
    flood(t, peer, WINDOW_UPDATE, "\0\0\0\1", 4, false);
}

static void unknown(struct trapped *t, struct peer *peer)
{
    flood(t, peer, 0xf1, "unknown", 7, true);
}

static void priorities(struct trapped *t, struct peer *peer)
{
    flood(t, peer, PRIORITY, "\0\0\0\0\20", 5, true);
}

static void continuations(struct trapped *t, struct peer *peer)
{
    if (t->id == 0)
        return;
    if (t->seq++ == 0)
        peer_frame(peer, HEADERS, 0, t->id, NULL, 0);
    flood(t, peer, CONTINUATION, NULL, 0, true);
}

/* Informational answers (100) without end, before the answer. */
static void informed(struct trapped *t, struct peer *peer, uint32_t id)
{
    if (!other_than(peer, id, "Post"))
        t->id = id;
}

static void informations(struct trapped *t, struct peer *peer)
{
    struct block block;
    block.len = 0;
    block_field(&block, ":status", "103");
    block_field(&block, "link", "</somewhere>; rel=preload; and some words, so that it is long");
    for (int i = 0; i < 200 && t->id > 0; i++)
        peer_frame(peer, HEADERS, END_HEADERS, t->id, block.bytes, block.len);
}

/* Frames that are none, of a source that is open. */
static void heartbeats_open(struct trapped *t, struct peer *peer, uint32_t id)
{
    if (!other_than(peer, id, "Open")) {
        trap_answer(peer, id);
        t->id = id;
    }
}

static void heartbeats(struct trapped *t, struct peer *peer)
{
    for (int i = 0; i < 500 && t->id > 0; i++)
        peer_message(peer, t->id, "", 0, false);
}

/* More of a source than anybody allowed for. */
static void frames(struct trapped *t, struct peer *peer)
{
    static uint8_t frame[16000] = {0x0a, 0xfc, 0x7c};
    for (int i = 0; i < 20 && t->id > 0; i++)
        peer_message(peer, t->id, frame, 3 + 15996, false);
}

/* ---- Announcements --------------------------------------------------------------------------- */

static void announcements(struct trapped *t, struct peer *peer)
{
    enum { ALL = 60000 }; /* a client that opens one holds 1.5 KiB for it */
    for (int i = 0; i < 100 && t->id > 0 && t->seq < ALL; i++)
        trap_announce(peer, t->id, t->seq++, 32);
}

/* As many, and nobody answers the Opens. */
static void open_nothing(struct trapped *t, struct peer *peer, uint32_t id)
{
    if (asks(peer, "Open"))
        return;
    all_but_post(t, peer, id);
}

static void odd_announcements(struct trapped *t, struct peer *peer, uint32_t id)
{
    static const struct {
        const char *bytes;
        size_t len;
    } odd[] = {
        {"\x08\x05\x12\x01t", 5},                                    /* seq 5 is not next */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\1t", 13}, /* 2^64 - 1 */
        {"\x1a\1a", 3},                                              /* no ticket */
        {"\x12\0", 2},                                               /* an empty one */
        {"\x12\xff\xff\xff\x0f", 5},                                 /* of 32 MiB, cut */
        {"\x2a\2\x08\x63", 4},                                       /* it ended with 99 */
        {"\x2a\4\x12\2\xff\xfe", 6}, /* with words that are not UTF-8 */
        {"\x22\x0f\x12\x0d\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01", 17}, /* a gap */
        {"\x12\1t\x2a\0\x12\1u", 8},     /* ended, and with two tickets */
        {"\xff\xff\xff\xff", 4},         /* nothing at all */
        {"\x0b\x0b\x0b\x0b\x0b\x0b", 6}, /* groups, nested */
        {"\x22\2\x0a\x7f", 4},           /* a frame that is cut */
    };
    size_t n = (size_t)t->round % (sizeof odd / sizeof *odd);
    if (other_than(peer, id, "Post"))
        return;
    trap_answer(peer, id);
    peer_message(peer, id, odd[n].bytes, odd[n].len, false);
    trap_end(peer, id, "0");
}

static void long_tickets(struct trapped *t, struct peer *peer, uint32_t id)
{
    static const size_t lengths[] = {64, 65, 127, 100};
    if (other_than(peer, id, "Post"))
        return;
    trap_answer(peer, id);
    trap_announce(peer, id, 0, lengths[t->round % 4]);
    trap_end(peer, id, "0");
}

/* ---- Sources --------------------------------------------------------------------------------- */

static void odd_frames(struct trapped *t, struct peer *peer, uint32_t id)
{
    static const struct {
        const char *bytes;
        size_t len;
    } odd[] = {
        {"\x12\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13}, /* a gap of 2^64 - 1 */
        {"\x12\2\x08\0", 4},                                          /* of nothing */
        {"\x0a\x7f", 2},                                              /* a payload that is cut */
        {"\x18\1\x12\2\x08\1", 6},                                    /* a gap in parts */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11},
        {"\x0a\1a\x12\2\x08\1", 7}, /* both */
    };
    size_t n = (size_t)t->round % (sizeof odd / sizeof *odd);
    if (other_than(peer, id, "Open"))
        return;
    trap_answer(peer, id);
    for (int i = 0; i < 3; i++)
        peer_message(peer, id, odd[n].bytes, odd[n].len, false);
    trap_end(peer, id, "0");
}

/* A part, and a part, and a part. */
static void parts(struct trapped *t, struct peer *peer)
{
    static uint8_t part[16000] = {0x18, 1, 0x0a, 0xfa, 0x7c};
    for (int i = 0; i < 50 && t->id > 0; i++)
        peer_message(peer, t->id, part, 5 + 15994, false);
}

static void length_lies(struct trapped *t, struct peer *peer, uint32_t id)
{
    if (other_than(peer, id, t->round % 2 ? "Open" : "Post"))
        return;
    trap_answer(peer, id);
    peer_frame(peer, DATA, 0, id, t->round % 4 < 2 ? "\0\xff\xff\xff\xff" : "\0\0\x40\0\1", 5);
}

/* 128 MiB of zeroes, by hand: a member that says that it is that much, or that it is a thousand. */
static void bombs(struct trapped *t, struct peer *peer, uint32_t id)
{
    static const uint8_t member[] = {0, 0, 0, 0, 0, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0x63};
    uint8_t message[5 + 20000] = {1};
    struct block block;
    size_t len = 5 + (size_t)(t->round % 3 == 0 ? 300 : 20000 - 1);
    if (other_than(peer, id, t->round % 2 ? "Open" : "Post"))
        return;
    block.len = 0;
    block_field(&block, ":status", "200");
    block_field(&block, "content-type", "application/grpc");
    if (t->round % 5 != 4)
        block_field(&block, "grpc-encoding", t->round % 5 == 3 ? "deflate" : "gzip");
    peer_frame(peer, HEADERS, END_HEADERS, id, block.bytes, block.len);
    memset(message + 5, t->round % 7, len - 5);
    memcpy(message + 5, member + 5, sizeof member - 5);
    message[3] = (uint8_t)((len - 5) >> 8);
    message[4] = (uint8_t)(len - 5);
    memcpy(message + len - 4, t->round % 2 ? "\0\0\0\x08" : "\xe8\3\0\0", 4);
    for (size_t at = 0; at < len; at += 16000)
        peer_frame(peer, DATA, 0, id, message + at, len - at < 16000 ? len - at : 16000);
    trap_end(peer, id, "0");
}

/* ---- Fields ---------------------------------------------------------------------------------- */

static void field_bomb(struct trapped *t, struct peer *peer, uint32_t id)
{
    struct block block;
    (void)t;
    if (other_than(peer, id, "Post"))
        return;
    block.len = 0;
    block_field(&block, ":status", "200");
    block_keep(&block, "bomb", 'x', 4000);
    memset(block.bytes + block.len, 0x80 | 62, 12000);
    block.len += 12000;
    peer_frame(peer, HEADERS, END_HEADERS, id, block.bytes, block.len);
}

static void odd_fields(struct trapped *t, struct peer *peer, uint32_t id)
{
    static const char *const odd[][4] = {
        {":status", "abc", "a", "b"},
        {":status", "404", "content-type", "text/html"},
        {":status", "503", "grpc-status", "0"},
        {":status", "200", "content-type", "text/html"},
        {":path", "/", ":status", "200"},
        {"a", "b", "c", "d"},
        {":status", "200", "grpc-status", "999999999999999999999"},
        {":status", "200", "grpc-status", "-1"},
        {":status", "200", "grpc-message", "%zz%"},
        {":status", "101", "upgrade", "h3"},
        {":status", "200", "content-length", "5"},
        {":status", "200", "Upper", "case"},
    };
    size_t n = (size_t)t->round % (sizeof odd / sizeof *odd);
    struct block block;
    if (other_than(peer, id, t->round % 2 ? "Session" : "Post"))
        return;
    block.len = 0;
    block_field(&block, odd[n][0], odd[n][1]);
    block_field(&block, odd[n][2], odd[n][3]);
    peer_frame(peer, HEADERS, END_HEADERS | END_STREAM, id, block.bytes, block.len);
}

static void nonsense(struct trapped *t, struct peer *peer, uint32_t id)
{
    static const char *const blocks[] = {"\xff\xff\xff\xff\xff\x7f", "\xbf", "\x80",
                                         "\x3f\xe1\xff\xff\xff\x0f", "\x40"};
    const char *block = blocks[t->round % 5];
    if (!other_than(peer, id, "Post"))
        peer_frame(peer, HEADERS, END_HEADERS, id, block, strlen(block));
}

/* ---- HTTP/2 ---------------------------------------------------------------------------------- */

static void resets(struct trapped *t, struct peer *peer, uint32_t id)
{
    static const char *const methods[] = {"Post", "Open", "Session"};
    if (!other_than(peer, id, methods[t->round % 3]))
        peer_word(peer, RST_STREAM, id, (uint32_t)(t->round / 3));
}

/* What a server must not say, in the middle of a good answer. */
static void against_rules(struct trapped *t, struct peer *peer, uint32_t id)
{
    static uint8_t large[20000];
    if (other_than(peer, id, "Post"))
        return;
    trap_answer(peer, id);
    switch (t->round) {
    case 0:
        peer_frame(peer, DATA, 0, 0, "x", 1);
        break;
    case 1:
        peer_frame(peer, DATA, 0, id + 20, "x", 1);
        break;
    case 2:
        trap_answer(peer, id + 20);
        break;
    case 3:
        trap_answer(peer, 2);
        break;
    case 4:
        peer_frame(peer, PUSH_PROMISE, END_HEADERS, id, "\0\0\0\2\x88", 5);
        break;
    case 5:
        peer_frame(peer, CONTINUATION, END_HEADERS, id, "\x88", 1);
        break;
    case 6:
        peer_frame(peer, DATA, 0, id, large, sizeof large);
        break;
    case 7:
        peer_word(peer, WINDOW_UPDATE, 0, 0x7fffffff);
        break;
    case 8:
        peer_word(peer, WINDOW_UPDATE, id, 0x7fffffff);
        break;
    case 9:
        peer_word(peer, WINDOW_UPDATE, id, 0);
        break;
    case 10:
        peer_setting(peer, 4, UINT32_MAX);
        break;
    case 11:
        peer_setting(peer, 5, 1);
        break;
    case 12:
        peer_setting(peer, 2, 1);
        break;
    case 13:
        peer_frame(peer, SETTINGS, 0, 0, "x", 1);
        break;
    case 14:
        peer_frame(peer, SETTINGS, 0, id, NULL, 0);
        break;
    case 15:
        peer_frame(peer, PING, 0, 0, "x", 1);
        break;
    case 16:
        peer_frame(peer, RST_STREAM, 0, id, "x", 1);
        break;
    case 17:
        peer_word(peer, RST_STREAM, id + 20, 8);
        break;
    case 18:
        peer_frame(peer, GOAWAY, 0, 0, "x", 1);
        break;
    case 19:
        peer_frame(peer, DATA, PADDED, id, "\xff", 1);
        break;
    case 20:
        peer_frame(peer, DATA, END_STREAM, id, NULL, 0);
        break;
    case 21:
        trap_answer(peer, id);
        break;
    case 22:
        peer_setting(peer, 8, 7);
        break;
    case 23:
        trap_end(peer, id, "0");
        peer_frame(peer, DATA, 0, id, "more", 4);
        break;
    case 24:
        peer_frame(peer, PRIORITY, 0, id, (uint8_t[]){0, 0, 0, (uint8_t)id, 16}, 5);
        break;
    case 25:
        peer_frame(peer, PRIORITY, 0, id, "four", 4);
        break;
    default:
        peer_frame(peer, HEADERS, END_HEADERS | WITH_PRIORITY, id, "\0", 1);
    }
    if (t->round != 20)
        trap_announce(peer, id, 0, 32);
    trap_end(peer, id, "0");
    trap_end(peer, id, "0");
}

/* There was place for streams, and now there is none. */
static void no_places(struct trapped *t, struct peer *peer, uint32_t id)
{
    (void)t;
    if (asks(peer, "Post") || t->round % 2)
        peer_setting(peer, 3, 0);
    trap_good(peer, id);
}

static void greet_without_places(struct trapped *t, struct peer *peer)
{
    (void)t;
    peer_setting(peer, 3, 0);
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static void odd_sessions(struct trapped *t, struct peer *peer, uint32_t id)
{
    static const struct {
        const char *bytes;
        size_t len;
    } odd[] = {
        {"", 0},
        {"\x0a\0", 2},
        {"\x0a\x08\1\2\3\4\5\6\7\x08\x10\xff\xff\xff\xff\x0f", 16}, /* kept for 49 days */
        {"\x0a\x08\1\2\3\4\5\6\7\x08\x10\0", 12},                   /* for no time */
        {"\x0a\x08\1\2\3\4\5\6\7\x08\x1a\4\x08\1\x10\x7f", 16},     /* acks of what was not sent */
        {"\x0a\x08\1\2\3\4\5\6\7\x08\x1a\4\x08\x7f\x10\1", 16},     /* of nobody */
        {"\xff\xff\xff", 3},
    };
    size_t n = (size_t)t->round % (sizeof odd / sizeof *odd);
    if (other_than(peer, id, "Session"))
        return;
    trap_answer(peer, id);
    peer_message(peer, id, odd[n].bytes, odd[n].len, false);
    if (t->round % 2)
        trap_end(peer, id, t->round % 4 == 1 ? "0" : "14");
}

/* Each attempt is answered, and broken at once. */
static void fickle(struct trapped *t, struct peer *peer, uint32_t id)
{
    trap_good(peer, id);
    t->hangs_up = asks(peer, "Session");
}

/* ---- A good answer, badly delivered ---------------------------------------------------------- */

static void garbled(struct trapped *t, struct peer *peer)
{
    for (size_t i = 0; i < peer->out_len; i++)
        if (trap_random(t) % 60 == 0)
            peer->out[i] = (uint8_t)trap_random(t);
}

const struct trap traps[] = {
    {.name = "silent", .options = BRIEF, .greet = say_nothing, .is_mute = true},
    {.name = "hang-up", .options = BRIEF, .greet = hang_up, .is_mute = true},
    {.name = "hang-up-again", .options = PATIENT, .greet = hang_up, .is_mute = true},
    {.name = "strangers",
     .options = BRIEF,
     .clients = 8,
     .least = 8,
     .greet = say_http,
     .is_mute = true},
    {.name = "goaway-at-once",
     .options = BRIEF,
     .clients = 3,
     .least = 3,
     .greet = goaway_at_once,
     .is_mute = true},
    {.name = "goaways",
     .options = PATIENT,
     .least = 1000,
     .request = all_but_post,
     .tick = goaways},
    {.name = "settings",
     .options = BRIEF,
     .least = 1000,
     .request = all_but_post,
     .tick = settings},
    {.name = "pings", .options = BRIEF, .least = 1000, .request = all_but_post, .tick = pings},
    {.name = "empty-data",
     .options = BRIEF,
     .least = 1000,
     .request = all_but_post,
     .tick = empty_data},
    {.name = "windows", .options = BRIEF, .least = 1000, .request = all_but_post, .tick = windows},
    {.name = "unknown-frames",
     .options = BRIEF,
     .least = 1000,
     .request = all_but_post,
     .tick = unknown},
    {.name = "priorities",
     .options = BRIEF,
     .least = 1000,
     .request = all_but_post,
     .tick = priorities},
    {.name = "continuations",
     .options = BRIEF,
     .least = 10,
     .request = all_but_post,
     .tick = continuations},
    {.name = "informations",
     .options = BRIEF,
     .least = 1000,
     .request = informed,
     .tick = informations},
    {.name = "heartbeats",
     .options = BRIEF,
     .least = 1000,
     .request = heartbeats_open,
     .tick = heartbeats},
    {.name = "frames", .options = BRIEF, .least = 1000, .request = heartbeats_open, .tick = frames},
    {.name = "parts", .options = BRIEF, .least = 1000, .request = heartbeats_open, .tick = parts},
    {.name = "announcements",
     .many_requests = true,
     .options = BRIEF,
     .least = 1000,
     .request = all_but_post,
     .tick = announcements},
    {.name = "announcements-unopened",
     .many_requests = true,
     .options = BRIEF,
     .least = 1000,
     .request = open_nothing,
     .tick = announcements},
    {.name = "odd-announcements",
     .options = BRIEF,
     .clients = 12,
     .least = 12,
     .may_be_well = true,
     .request = odd_announcements},
    {.name = "long-tickets",
     .options = BRIEF,
     .clients = 4,
     .least = 4,
     .may_be_well = true,
     .request = long_tickets},
    {.name = "odd-frames",
     .options = BRIEF,
     .clients = 6,
     .least = 6,
     .may_be_well = true,
     .request = odd_frames},
    {.name = "lengths-that-lie",
     .options = BRIEF,
     .clients = 4,
     .least = 4,
     .request = length_lies},
    {.name = "gzip-bombs", .options = BRIEF, .clients = 15, .least = 15, .request = bombs},
    {.name = "field-bomb", .options = BRIEF, .least = 1, .request = field_bomb},
    {.name = "odd-fields",
     .options = BRIEF,
     .clients = 24,
     .least = 24,
     .may_be_well = true,
     .request = odd_fields},
    {.name = "nonsense-fields", .options = BRIEF, .clients = 5, .least = 5, .request = nonsense},
    {.name = "resets",
     .options = BRIEF,
     .clients = 42,
     .least = 42,
     .may_be_well = true,
     .request = resets},
    {.name = "resets-again",
     .options = PATIENT,
     .clients = 6,
     .least = 6,
     .may_be_well = true,
     .request = resets},
    {.name = "against-the-rules",
     .options = BRIEF,
     .clients = 27,
     .least = 27,
     .may_be_well = true,
     .request = against_rules},
    {.name = "no-places",
     .options = BRIEF,
     .clients = 2,
     .least = 1,
     .may_be_well = true,
     .request = no_places},
    {.name = "never-a-place",
     .options = BRIEF,
     .least = 1,
     .is_mute = true,
     .greet = greet_without_places},
    {.name = "odd-sessions",
     .options = PATIENT,
     .clients = 14,
     .least = 14,
     .may_be_well = true,
     .request = odd_sessions},
    {.name = "fickle-sessions",
     .options = PATIENT,
     .least = 10,
     .may_be_well = true,
     .request = fickle},
    {.name = "truncated",
     .options = BRIEF,
     .clients = 420,
     .cuts = true,
     .least = 420,
     .may_be_well = true,
     .is_mute = true},
    {.name = "garbled",
     .options = BRIEF,
     .clients = MANY,
     .least = MANY,
     .may_be_well = true,
     .is_mute = true,
     .tick = garbled},
    {.name = NULL}};
