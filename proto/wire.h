/* wire -- bytes to messages and back: no socket, no clock, no state but what is passed in.
 *
 * Room header (not installed).  Three layers, each tested whole and one byte at a time:
 *
 *   prefix    gRPC's five bytes in front of a message
 *   Frame     the hot message
 *   control   PostRequest, OpenRequest, Announcement ...
 *
 * All by hand, and held equal to protobuf-c's by tests, but for the list of services, which is
 * protobuf-c's.  Everything decoded is a view into the message given (the list of services: into
 * `owned`); strings are checked in the raw bytes (protobuf-c would cut them at a NUL).
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "base/base.h"

/* ---- The five bytes (doc/PROTOCOL-HTTP2.md of grpc/grpc, Length-Prefixed-Message) ---------- */

enum { WIRE_PREFIX = 5 };
static inline void wire_prefix_put(uint8_t *to, bool compressed, uint32_t len)
{
    to[0] = compressed;
    to[1] = (uint8_t)(len >> 24);
    to[2] = (uint8_t)(len >> 16);
    to[3] = (uint8_t)(len >> 8);
    to[4] = (uint8_t)len;
}
static inline uint32_t wire_prefix_len(const uint8_t *from)
{
    return (uint32_t)from[1] << 24 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 8 | from[4];
}

/* ---- Varints ------------------------------------------------------------------------------- */

enum { WIRE_VARINT_MAX = 10 };
static inline size_t wire_varint_put(uint8_t *to, uint64_t v) /* answers how many bytes */
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        to[n++] = (uint8_t)(v | 0x80);
    to[n++] = (uint8_t)v;
    return n;
}

/* ---- Frame --------------------------------------------------------------------------------- */

enum wire_frame_kind { WIRE_HEARTBEAT, WIRE_PAYLOAD, WIRE_GAP };
struct wire_frame {
    enum wire_frame_kind kind;
    bool more;           /* the payload continues in the next message */
    cs_bytes payload;    /* WIRE_PAYLOAD: a view into the message */
    uint64_t gap_count;  /* WIRE_GAP */
    uint32_t gap_reason; /* 1 overflow, 2 expired, 3 replaced */
};

/* What goes in front of a payload so that both together are a Frame message (without the five
 * bytes): `to` has room for WIRE_FRAME_HEAD.  Answers its length: 2 for short payloads. */
enum { WIRE_FRAME_HEAD = 2 + 1 + WIRE_VARINT_MAX };
static inline size_t wire_frame_head(uint8_t *to, size_t payload_len, bool more)
{
    size_t n = 0;
    if (more) { /* field 3 first, so that the payload is last and can be sent by reference */
        to[n++] = 3 << 3;
        to[n++] = 1;
    }
    to[n++] = 1 << 3 | 2;
    return n + wire_varint_put(to + n, payload_len);
}
/* A whole gap message; answers its length, at most WIRE_GAP_MAX. */
enum { WIRE_GAP_MAX = 2 + 2 * (1 + WIRE_VARINT_MAX) };
size_t wire_gap_put(uint8_t *to, uint64_t count, uint32_t reason);

/* CS_OK, or CS_EPROTO: not a Frame.  Unknown fields are passed over, of a oneof the last one
 * counts, as protobuf says. */
cs_err wire_frame_parse_slow(cs_bytes msg, struct wire_frame *ret);
static inline cs_err wire_frame_parse(cs_bytes msg, struct wire_frame *ret)
{
    const uint8_t *p = (const uint8_t *)msg.base;
    if (msg.len >= 2 && p[0] == 0x0a && p[1] < 0x80 && (size_t)p[1] + 2 == msg.len) {
        ret->kind = WIRE_PAYLOAD; /* nearly all of them: one short payload, nothing else */
        ret->more = false;
        ret->payload = cs_bytes_of(p + 2, msg.len - 2);
        return CS_OK;
    }
    return wire_frame_parse_slow(msg, ret);
}

/* ---- Up: what a reader says in Talk --------------------------------------------------------- */

enum wire_up_kind { WIRE_UP_NOTHING, WIRE_UP_OPEN, WIRE_UP_FRAME };
struct wire_up {
    enum wire_up_kind kind;  /* WIRE_UP_NOTHING: a heartbeat, or something newer than we are */
    cs_bytes open;           /* WIRE_UP_OPEN: an OpenRequest, not looked into */
    struct wire_frame frame; /* WIRE_UP_FRAME */
};

/* CS_OK, or CS_EPROTO: not an Up.  Views, as of a Frame. */
cs_err wire_up_parse(cs_bytes msg, struct wire_up *ret);

/* As wire_frame_head(), of an Up with a frame; 4 for short payloads. */
enum { WIRE_UP_HEAD = 1 + WIRE_VARINT_MAX + WIRE_FRAME_HEAD };
size_t wire_up_head(uint8_t *to, size_t payload_len, bool more);

/* ---- Session: what its two sides say -------------------------------------------------------- */

struct wire_skips { /* {0} has none */
    cs_bytes fields, packed;
};
struct wire_ack {
    uint32_t number;
    uint64_t next;
    bool done;
    cs_bytes reason; /* text */
    struct wire_skips skips;
};
struct wire_session_up {
    cs_bytes session; /* empty, or 16 bytes */
    uint32_t attempt;
    cs_bytes acks; /* for wire_ack_next() */
};
struct wire_session_down {
    cs_bytes instance;
    uint32_t linger_ms;
    cs_bytes acks;
};

/* CS_OK, or CS_EPROTO: not such a message, whatever its acks say.  Views, as of a Frame. */
cs_err wire_session_up_parse(cs_bytes msg, struct wire_session_up *ret);
cs_err wire_session_down_parse(cs_bytes msg, struct wire_session_down *ret);

/* One a call, in order: CS_OK; CS_DONE that was all; CS_EPROTO it is none, and nor was the message one. */
cs_err wire_ack_next(cs_bytes *acks, struct wire_ack *ret);
bool wire_skip_next(struct wire_skips *skips, uint64_t *ret);

/* A message is its head, which later ones do without, and any number of acks behind each other.
 * Each answers its length. */
enum {
    WIRE_SESSION_MAX = 2 + 64 + 1 + WIRE_VARINT_MAX, /* session and instance: at most 64 bytes */
    WIRE_ACK_REASON_MAX = 256,                       /* what is longer is cut */
    WIRE_ACK_MAX = 4 + 2 * (1 + WIRE_VARINT_MAX) + 2 + 3 + WIRE_ACK_REASON_MAX,
    WIRE_SKIP_MAX = 2 + 2 * (1 + WIRE_VARINT_MAX)
};
size_t wire_session_up_put(uint8_t *to, cs_bytes session, uint32_t attempt);
size_t wire_session_down_put(uint8_t *to, cs_bytes instance, uint32_t linger_ms);
size_t wire_ack_put(uint8_t *to, uint32_t number, uint64_t next, bool done, cs_bytes reason);
size_t wire_skip_put(uint8_t *to, uint32_t number, uint64_t seq); /* an ack that skips one */

/* ---- Control messages ---------------------------------------------------------------------- */

struct wire_channel {
    bool present;
    cs_bytes session; /* 16 bytes when present */
    uint32_t attempt, number;
};
struct wire_post {
    cs_bytes service, body, bucket;
    uint32_t inline_bytes;
    uint64_t from;
    struct wire_channel channel;
};
struct wire_open {
    cs_bytes ticket;
    uint64_t from;
    struct wire_channel channel;
};
struct wire_status {
    bool present;
    uint32_t code; /* gRPC's */
    cs_bytes message, reason;
};
struct wire_announcement {
    uint64_t seq;
    cs_bytes ticket, header;
    struct wire_frame *frames; /* frames_len of them; whole payloads and gaps */
    size_t frames_len;
    /* Writing: more of them, behind the others, as wire_inline_put() leaves them. */
    cs_bytes encoded;
    struct wire_status end;
    bool eager, uplink;
};
enum { WIRE_SERVICES_MAX = 65536 }; /* names in a list; one of more is CS_EPROTO */
struct wire_services {
    cs_bytes instance, node;
    bool draining;
    cs_bytes *names; /* names_len of them */
    size_t names_len;
    void *owned; /* what all its views point into: the message may go; wire_services_clear() */
};

/* Decoding: CS_OK; CS_EPROTO not such a message, a string with a NUL or bad UTF-8, a session of
 * other than 16 bytes, an announcement of more than 65,536 frames, a list of more than 131,088
 * fields; CS_ENOMEM of an unpack.  What was unpacked is to be cleared, on CS_OK and only then. */
cs_err wire_post_parse(cs_bytes msg, struct wire_post *ret);
cs_err wire_open_parse(cs_bytes msg, struct wire_open *ret);
cs_err wire_announcement_unpack(cs_bytes msg, struct wire_announcement *ret);
void wire_announcement_clear(struct wire_announcement *announcement);
cs_err wire_services_unpack(cs_bytes msg, struct wire_services *ret);
void wire_services_clear(struct wire_services *services);

/* Encoding: the message's bytes in memory of yours (cs_free, base/mem.h). CS_OK, CS_ENOMEM.  In
 * strings a NUL and what is not UTF-8 go out as '?', so that the peer can take the message. */
cs_err wire_post_pack(const struct wire_post *post, uint8_t **ret, size_t *ret_len);
cs_err wire_open_pack(const struct wire_open *open, uint8_t **ret, size_t *ret_len);
cs_err wire_up_open_pack(const struct wire_open *open, uint8_t **ret, size_t *ret_len); /* an Up */
cs_err wire_announcement_pack(const struct wire_announcement *a, uint8_t **ret, size_t *ret_len);

/* The same into memory that is there: of that length, or of WIRE_OPEN_MAX bytes with a ticket of at most 64;
 * answers the length. */
enum { WIRE_OPEN_MAX = 3 + 2 + 64 + 1 + WIRE_VARINT_MAX + 2 + 18 + 2 * (1 + WIRE_VARINT_MAX) };
size_t wire_announcement_len(const struct wire_announcement *a);
size_t wire_announcement_put(uint8_t *to, const struct wire_announcement *a);
size_t wire_open_put(uint8_t *to, const struct wire_open *open);
size_t wire_up_open_put(uint8_t *to, const struct wire_open *open);
cs_err wire_services_pack(const struct wire_services *services, uint8_t **ret, size_t *ret_len);

/* A frame as it stands in an announcement; WIRE_INLINE_HEAD bytes and those of its payload at most. */
enum { WIRE_INLINE_HEAD = 1 + WIRE_VARINT_MAX + WIRE_GAP_MAX };
size_t wire_inline_put(uint8_t *to, const struct wire_frame *frame);

/* 1..255 bytes of [A-Za-z0-9._/-]. */
bool wire_service_name_ok(cs_bytes name);

#endif
