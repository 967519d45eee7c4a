/* traps_slow -- hostile servers again: those that hold back, that give no window, or that change it all the
 * time, and what traps.c has not. */
#include "test/attack/trap.h"

#include <string.h>
#include <sys/socket.h>

enum { HALVES = 6 }; /* ways to stop in the middle of a handshake */
static const char BRIEF[] = "--timeout 1s --resume off";

static void note_post(struct trapped *t, struct peer *peer, uint32_t id)
{
    if (!trap_asks(peer, "Post")) {
        trap_good(peer, id);
        return;
    }
    trap_answer(peer, id);
    t->id = id;
}

/* ---- Frames of nothing ----------------------------------------------------------------------- */

static void padded_data(struct trapped *t, struct peer *peer)
{
    for (int i = 0; i < 500 && t->id > 0; i++)
        peer_frame(peer, DATA, PADDED, t->id, "\3\0\0\0", 4);
}

/* ---- Fields ---------------------------------------------------------------------------------- */

static void note_alone(struct trapped *t, struct peer *peer, uint32_t id)
{
    if (trap_asks(peer, "Post"))
        t->id = id;
    else
        trap_good(peer, id);
}

/* Informational answers whose fields go into the table, each in place of others. */
static void table_churn(struct trapped *t, struct peer *peer)
{
    struct block block;
    for (int i = 0; i < 50 && t->id > 0; i++) {
        block.len = 0;
        block_field(&block, ":status", "103");
        block_keep(&block, "churn", (char)('a' + i % 26), 1000 + (size_t)i * 20);
        peer_frame(peer, HEADERS, END_HEADERS, t->id, block.bytes, block.len);
    }
}

/* An answer whose fields come a byte at a time, and never all. */
static void slow_fields(struct trapped *t, struct peer *peer)
{
    enum { STEP = 50 };
    static const char field[] = "\x00\x7d"; /* its name has 125 bytes */
    if (t->id == 0 || t->turns % STEP != 0)
        return;
    if (t->seq == 0)
        peer_frame(peer, HEADERS, 0, t->id, "\x88", 1);
    else
        peer_frame(peer, CONTINUATION, 0, t->id, t->seq < 3 ? field + t->seq - 1 : "a", 1);
    t->seq++;
}

/* ---- Windows --------------------------------------------------------------------------------- */

static void greet_without_window(struct trapped *t, struct peer *peer)
{
    (void)t;
    peer_setting(peer, 4, 0);
}

/* The message of an Open cannot come, and is waited for. */
static void wait_for_open(struct trapped *t, struct peer *peer, uint32_t id)
{
    (void)t;
    if (!trap_asks(peer, "Open"))
        trap_good(peer, id);
}

static void window_lies(struct trapped *t, struct peer *peer)
{
    for (int i = 0; i < 20 && t->id > 0; i++) {
        peer_setting(peer, 4, i % 2 ? 0 : 0x7fffffff);
        peer_word(peer, WINDOW_UPDATE, t->id, 1);
    }
}

/* ---- Pace ------------------------------------------------------------------------------------ */

/* All of it is good, and each byte is a segment. */
static void byte_by_byte(struct trapped *t, struct peer *peer)
{
    (void)t;
    for (size_t i = 0; i < peer->out_len; i++)
        if (send(peer->fd, peer->out + i, 1, MSG_NOSIGNAL) != 1)
            break;
    peer->work->bytes += peer->out_len;
    peer->out_len = 0;
}

static void hear_nothing(struct trapped *t, struct peer *peer)
{
    (void)t;
    peer_frame(peer, SETTINGS, 0, 0, NULL, 0);
    peer->deaf = true;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

/* The first bytes of a server's handshake, and then an alert, or no more; at last not even those. */
static void half_handshake(struct trapped *t, struct peer *peer)
{
    static const char hello[] = "\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03";
    static const char alert[] = "\x15\x03\x03\x00\x02\x02\x50";
    const int parts = HALVES - 1 - t->round;
    peer->rude = true;
    if (parts % 3 > 0)
        peer_bytes(peer, hello, parts % 3 == 1 ? 3 : sizeof hello - 1);
    if (parts >= 3) {
        peer_bytes(peer, alert, sizeof alert - 1);
        t->hangs_up = parts % 2;
    }
}

const struct trap traps_slow[] = {
    {.name = "padded-data",
     .options = BRIEF,
     .least = 1000,
     .request = note_post,
     .tick = padded_data},
    {.name = "table-churn",
     .options = BRIEF,
     .least = 1000,
     .request = note_alone,
     .tick = table_churn},
    {.name = "slow-fields",
     .options = BRIEF,
     .least = 10,
     .request = note_alone,
     .tick = slow_fields},
    {.name = "zero-window",
     .options = BRIEF,
     .least = 1,
     .greet = greet_without_window,
     .request = wait_for_open},
    {.name = "window-lies",
     .options = BRIEF,
     .least = 100,
     .request = note_post,
     .tick = window_lies},
    {.name = "byte-by-byte",
     .options = BRIEF,
     .clients = 3,
     .least = 200,
     .may_be_well = true,
     .tick = byte_by_byte},
    {.name = "deaf", .options = BRIEF, .least = 1, .greet = hear_nothing, .is_mute = true},
    {.name = "half-handshakes",
     .options = "--timeout 1s --resume off --tls",
     .clients = HALVES,
     .least = 5,
     .greet = half_handshake,
     .is_mute = true},
    {.name = NULL}};
