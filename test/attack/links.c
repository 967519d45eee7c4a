/* links -- connections that say nothing, little, half of it, or anything. */
#include "test/attack/attack.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* What a good client says to be served, as bytes. */
static struct peer tape_of(struct attack *attack)
{
    struct peer tape = {.work = &attack->work, .fd = -1};
    peer_bytes(&tape, PREFACE, 24);
    peer_frame(&tape, SETTINGS, 0, 0, NULL, 0);
    peer_setting(&tape, 4, 1 << 20);
    peer_word(&tape, WINDOW_UPDATE, 0, 1 << 20);
    peer_frame(&tape, PING, 0, 0, "12345678", 8);
    peer_post(&tape, 1, "echo", "one");
    peer_word(&tape, WINDOW_UPDATE, 1, 100);
    peer_post(&tape, 3, "gen", "sources=2&frames=1&size=64&eager=1");
    peer_word(&tape, RST_STREAM, 3, 8);
    peer_post(&tape, 5, "echo", "two");
    return tape;
}

/* ---- Silence --------------------------------------------------------------------------------- */

static void silent(struct attack *attack)
{
    for (int i = 0; i < 500; i++)
        attack_dial(attack)->rude = true;
}

static void slow_prefaces(struct attack *attack)
{
    for (int i = 0; i < 300; i++)
        attack_dial(attack)->rude = true; /* an answer would be no preface */
    for (int n = 0; n < 23; n++) {
        for (int i = 0; i < 300; i++) {
            peer_bytes(attack->peers[i], PREFACE + n, 1);
            peer_flush(attack->peers[i]);
        }
        nap_ms(50);
    }
    for (int i = 0; i < 300; i++)
        EXPECT(attack, peer_until_ended(attack->peers[i], PEER_PATIENCE_MS),
               "a preface may take for ever");
}

/* Each a client like others, but for their number. */
static void two_thousand(struct attack *attack)
{
    for (int i = 0; i < 2000; i++)
        attack_open(attack);
    for (int i = 0; i < 2000; i += 100)
        attack_is_served(attack, attack->peers[i], 1);
}

static void hang_up_at_once(struct attack *attack)
{
    struct peer peer;
    for (int i = 0; i < 5000; i++) {
        if (!peer_dial(&peer, attack->port, 1, &attack->work))
            attack_wrong(attack, "cannot connect");
        if (i % 2)
            peer_reset(&peer);
        else
            peer_free(&peer);
    }
    attack_is_served(attack, attack_open(attack), 1);
}

/* Asks for much, takes nothing and goes, again and again. */
static void ask_and_go(struct attack *attack)
{
    struct peer peer;
    for (int i = 0; i < 1000; i++) {
        if (!peer_open(&peer, attack->port, 1, &attack->work))
            attack_wrong(attack, "cannot connect");
        for (uint32_t id = 1; id < 20; id += 2)
            peer_post(&peer, id, "gen", "sources=100&frames=10&size=4000&eager=1");
        peer_flush(&peer);
        peer_reset(&peer);
    }
    attack_is_served(attack, attack_open(attack), 1);
}

/* ---- A good conversation, badly delivered ---------------------------------------------------- */

static void byte_by_byte(struct attack *attack)
{
    struct peer tape = tape_of(attack);
    struct peer *peer = attack_dial(attack);
    peer->rude = true; /* an answer would stand in the middle of a frame */
    for (size_t i = 0; i < tape.out_len && peer_flush(peer); i++)
        peer_bytes(peer, tape.out + i, 1);
    peer_flush(peer);
    EXPECT(attack, peer_until(peer, &peer->statuses[0], 2, PEER_PATIENCE_MS), "%llu answers, %s",
           (unsigned long long)peer->statuses[0], peer->goaway_words);
    peer_free(&tape);
}

static void truncated(struct attack *attack)
{
    struct peer tape = tape_of(attack), peer;
    for (size_t i = 0; i < tape.out_len; i++) {
        if (!peer_dial(&peer, attack->port, 1, &attack->work))
            attack_wrong(attack, "cannot connect");
        peer_bytes(&peer, tape.out, i);
        peer_flush(&peer);
        if (i % 3 == 0) {
            shutdown(peer.fd, SHUT_WR);
            EXPECT(attack, peer_until_ended(&peer, PEER_PATIENCE_MS),
                   "%zu bytes and no more: it stays", i);
        }
        if (i % 3 == 1)
            peer_reset(&peer);
        else
            peer_free(&peer);
    }
    attack_is_served(attack, attack_open(attack), 1);
    peer_free(&tape);
}

/* Some bytes of it are others, twice, or not there. */
static void mutate(struct attack *attack, struct peer *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint64_t dice = attack_random(attack);
        uint8_t byte = from[i];
        size_t run = (dice >> 32) % 40;
        if (i < 24 || dice % 100 != 0) { /* most are right; or nothing would get far */
            peer_bytes(to, &byte, 1);
            continue;
        }
        switch (dice >> 8 & 3) {
        case 0:
            byte ^= (uint8_t)(1 << (dice >> 16 & 7));
            break;
        case 1:
            byte = (uint8_t)(dice >> 24);
            break;
        case 2:
            i += run;
            continue;
        default:
            peer_bytes(to, from + i, run < len - i ? run : len - i);
        }
        peer_bytes(to, &byte, 1);
    }
}

static void mutated(struct attack *attack)
{
    struct peer tape = tape_of(attack), peer;
    for (int i = 0; i < 2000; i++) {
        if (!peer_dial(&peer, attack->port, 1, &attack->work))
            attack_wrong(attack, "cannot connect");
        mutate(attack, &peer, tape.out, tape.out_len);
        peer_flush(&peer);
        peer_hear(&peer, 0);
        peer_free(&peer);
    }
    attack_is_served(attack, attack_open(attack), 1);
    peer_free(&tape);
}

/* ---- No conversation at all ------------------------------------------------------------------ */

static void strangers(struct attack *attack)
{
    static const char *const says[] = {
        "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a handshake of TLS, nearly, and more of it",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand then something else altogether, and more of it",
        "PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n",
        "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
        "HELP me\nQUIT\n and some more words, so that it is enough to judge\n",
    };
    for (int i = 0; i < 600; i++) {
        const char *words = says[i % 6];
        struct peer *peer = attack_dial(attack);
        peer_bytes(peer, words, strlen(words));
        peer_flush(peer);
        EXPECT(attack, peer_until_ended(peer, PEER_PATIENCE_MS), "stays with who says %.20s",
               words);
        attack_drop(attack, peer);
    }
}

/* Each type of frame, of lengths and on streams that it must not have. */
static void frames_of_each_kind(struct attack *attack)
{
    static const uint8_t bytes[20000];
    static const size_t lengths[] = {0, 1, 3, 4, 5, 6, 7, 8, 9, 12, 16384, 16385};
    static const uint32_t ids[] = {0, 1, 2, 3, 0x7fffffff, 0x80000001};
    for (int type = 0; type < 12; type++)
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
            for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
                struct peer *peer = attack_open(attack);
                peer_request(peer, 1, "Post");
                peer_frame(peer, type, (int)(attack_random(attack) & 0xff), ids[i], bytes,
                           lengths[l]);
                peer_flush(peer);
                peer_hear(peer, 0);
                attack_drop(attack, peer);
            }
    attack_is_served(attack, attack_open(attack), 1);
}

const struct scenario attack_links[] = {
    {.name = "silent",
     .limit = "preface_timeout_ms",
     .counter = "preface_timeouts",
     .moves = 500,
     .least = 500,
     .options = "--preface-timeout 500ms",
     .run = silent},
    {.name = "slow-prefaces",
     .limit = "preface_timeout_ms",
     .counter = "preface_timeouts",
     .moves = 300,
     .least = 300,
     .options = "--preface-timeout 500ms",
     .run = slow_prefaces},
    {.name = "two-thousand-connections",
     .counter = "connections_total",
     .moves = 2000,
     .least = 4000,
     .run = two_thousand},
    {.name = "hang-up-at-once",
     .counter = "connections_total",
     .moves = 2000,
     .least = 5000,
     .run = hang_up_at_once},
    {.name = "ask-and-go",
     .counter = "connections_total",
     .moves = 500,
     .least = 10000,
     .run = ask_and_go},
    {.name = "byte-by-byte", .counter = "bytes_in", .moves = 500, .least = 1, .run = byte_by_byte},
    {.name = "truncated",
     .counter = "connections_total",
     .moves = 500,
     .least = 500,
     .run = truncated},
    {.name = "mutated",
     .counter = "connections_total",
     .moves = 1000,
     .least = 2000,
     .run = mutated},
    {.name = "strangers",
     .counter = "connections_total",
     .moves = 600,
     .least = 600,
     .run = strangers},
    {.name = "frames-of-each-kind",
     .counter = "connections_total",
     .moves = 800,
     .least = 2000,
     .run = frames_of_each_kind},
    {.name = NULL}};
