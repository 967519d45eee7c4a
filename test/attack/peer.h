/* peer -- the other end of a connection to a real socket, that says whatever a scenario wants.
 *
 * Frames are written by hand, right or wrong, and gathered until peer_flush(); what comes back is
 * counted.  While it writes it also reads, unless it was made deaf.  All by one thread, with
 * deadlines: nothing here waits for ever. */
#ifndef TEST_ATTACK_PEER_H
#define TEST_ATTACK_PEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION,
    PRIORITY_UPDATE = 16,
    FRAME_TYPES,
    END_STREAM = 1, /* flags */
    ACK = 1,
    END_HEADERS = 4,
    PADDED = 8,
    WITH_PRIORITY = 0x20
};

/* What was done, all peers of a scenario together: one that does nothing proves nothing. */
struct work {
    uint64_t connections, frames, bytes; /* made and sent */
    uint64_t seen, ends, cuts; /* frames that came; streams that ended; who hung up on us */
};

struct peer {
    struct work *work;
    int fd;
    bool ended;     /* the connection is over */
    bool deaf;      /* takes nothing from the socket */
    bool rude;      /* acknowledges neither SETTINGS nor PING */
    bool calm;      /* heard GOAWAY with ENHANCE_YOUR_CALM */
    size_t preface; /* bytes of it that are still to come, where we are the server */
    uint8_t *out, *in;
    size_t out_len, out_max, in_len, in_max;
    void *inflater;
    uint64_t seen[FRAME_TYPES];
    uint64_t data;    /* bytes */
    uint64_t granted; /* credit for streams, all together or only for this one */
    uint32_t counts;
    uint64_t opened;                  /* answers that began: HEADERS that end nothing */
    uint64_t ends;                    /* streams ended, by trailers or reset */
    uint64_t statuses[17];            /* of them with grpc-status */
    uint64_t resets[16];              /* of them by RST_STREAM, by code */
    uint32_t reset_code, goaway_code; /* the last one's */
    int status;                       /* of the answer that came last; -1: none */
    char goaway_words[128];
    size_t gone;    /* for who counts what went */
    char path[128]; /* of the request that came last */
    void (*on_data)(struct peer *peer, uint32_t id, const uint8_t *bytes, size_t len);
    void (*on_headers)(struct peer *peer, uint32_t id, int flags);
    void *user;
    /* What recv() and send() do else, and the end of it: see secure.h. */
    ssize_t (*take)(struct peer *peer, void *to, size_t size);
    ssize_t (*give)(struct peer *peer, const void *bytes, size_t len);
    void (*done)(struct peer *peer);
    void *secure;
};

/* Connects to 127.0.0.1:port from 127.0.0.`from`.  False: nobody there, or no descriptor. */
bool peer_dial(struct peer *peer, int port, int from, struct work *work);
/* And the preface, SETTINGS without a word. */
bool peer_open(struct peer *peer, int port, int from, struct work *work);
bool peer_greet(struct peer *peer); /* only these, of who has dialed; flushes them */
/* The server's side of a connection that was accepted. */
void peer_take(struct peer *peer, int fd, struct work *work);
void peer_free(struct peer *peer);
void peer_reset(struct peer *peer); /* the same with a RST of TCP */

void peer_bytes(struct peer *peer, const void *bytes, size_t len);
void peer_frame(struct peer *peer, int type, int flags, uint32_t id, const void *payload,
                size_t len);
void peer_word(struct peer *peer, int type, uint32_t id,
               uint32_t word); /* RST_STREAM and the like */
void peer_setting(struct peer *peer, unsigned id, uint32_t value);
/* A request for /chanserv.v1.Chanserv/METHOD, nothing behind it. */
void peer_request(struct peer *peer, uint32_t id, const char *method);
/* One message, and END_STREAM if it is the last. */
void peer_message(struct peer *peer, uint32_t id, const void *bytes, size_t len, bool end);
/* Post and PostRequest{service, body, inline_bytes 4 KiB}. */
void peer_post(struct peer *peer, uint32_t id, const char *service, const char *body);

/* False: the connection is over, or it takes nothing for `PEER_PATIENCE_MS`; of who is deaf, who may
 * have to wait for ever, for `DEAF_PATIENCE_MS`. */
enum { PEER_PATIENCE_MS = 5000, DEAF_PATIENCE_MS = 500 };
bool peer_flush(struct peer *peer);
/* Hears until the count is there, it is over, or so long. */
bool peer_until(struct peer *peer, const uint64_t *count, uint64_t at_least, int ms);
void peer_hear(struct peer *peer, int ms);
bool peer_until_ended(struct peer *peer, int ms);

/* ---- Blocks of header fields ---------------------------------------------------------------- */

struct block {
    size_t len;
    uint8_t bytes[256 * 1024];
};

/* Literals that leave the table as it is (RFC 7541, 6.2.2). */
void block_field(struct block *block, const char *name, const char *value);
/* A literal that goes into the table (6.2.1), its value `len` times `fill`. */
void block_keep(struct block *block, const char *name, char fill, size_t len);
void block_number(struct block *block, uint8_t first, int prefix, uint64_t number); /* 5.1 */
void block_request(struct block *block, const char *method, const char *path);

int64_t now_ms(void);
void nap_ms(int ms);

#endif
