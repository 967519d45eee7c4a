/* http1 -- requests of HTTP/1.1, read strictly: RFC 9112 and 9110, and 400 for whatever two readers
 * could understand in two ways.
 *
 * Private to gateway.  Bytes in, events out: no socket, no clock.  How the bytes are cut makes no
 * difference, be it one at a time.
 *
 *     between ──▶ line ──▶ fields ──▶ HEAD ──▶ length or chunks: BODY... ──▶ END ──▶ between
 *        │          └─────────┴────────────────────┴──▶ refused: status and words, for good
 *        └ one empty line before a request is passed over (RFC 9112, 2.2)
 *
 * Stricter than the RFC allows us to be: no space around a chunk's size; no port 0, no empty port and
 * no escapes in a host; nothing that is folded; two fields that say how long the body is are too many
 * even if they agree.  An absolute-form target counts, whatever Host says (RFC 9112, 3.2.2), but Host
 * must be there and make sense.
 */
#ifndef GATEWAY_HTTP1_IN_H
#define GATEWAY_HTTP1_IN_H

#include "base/mem.h"

#include <time.h>

enum {
    GATEWAY__HEAD_MAX = 65536,   /* bytes of request line and fields, with their ends: else 431 */
    GATEWAY__FIELDS_MAX = 256,   /* else 431 */
    GATEWAY__TARGET_MAX = 16384, /* bytes: else 414 */
    GATEWAY__METHOD_MAX = 32,    /* bytes; the longest registered one has 17: else 501 */
    GATEWAY__EXTENSIONS_MAX = 4096, /* bytes of chunk extensions in one body, ignored: else 400 */
    GATEWAY__TRAILERS_MAX = 8192,   /* bytes behind the last chunk, dropped: else 431 */
};

enum gateway__http1_kind {
    GATEWAY__HTTP1_HEAD, /* first, once */
    GATEWAY__HTTP1_BODY, /* any number: the next piece of the body, never empty */
    GATEWAY__HTTP1_END,  /* last, once: what follows is the next request */
};

/* Views stay valid until the call that follows END, or fini. */
struct gateway__http1_head {
    cs_bytes method;    /* as it was sent: methods have a case */
    cs_bytes target;    /* "/path?query" with its escapes, or "*" (of OPTIONS) */
    cs_bytes authority; /* host[:port], of the target or else of Host; empty: HTTP/1.0 without */
    size_t fields_len;
    int64_t length; /* of the body; -1: it comes in chunks */
    int minor;      /* HTTP/1.x: 0, or 1 and above */
    bool keeps;     /* the peer lets the connection stay for another request */
    bool expects;   /* the peer waits for a 100 (Continue) before it sends the body */
};

struct gateway__http1_event {
    enum gateway__http1_kind kind;
    struct gateway__http1_head head; /* of HEAD */
    cs_bytes piece;                  /* of BODY: a view of what was fed */
};

/* A part of the head, while that may still move. */
struct gateway__span {
    uint32_t at, len;
};
struct gateway__http1_field {
    struct gateway__span name, value;
};

enum gateway__http1_state {
    GATEWAY__BETWEEN,
    GATEWAY__FIELDS,
    GATEWAY__LENGTH,
    GATEWAY__CHUNK_SIZE,
    GATEWAY__CHUNK,
    GATEWAY__CHUNK_END,
    GATEWAY__TRAILERS,
    GATEWAY__REFUSED,
};

struct gateway__http1 {
    size_t head_max;  /* bytes of request line and fields, with their ends: else 431 */
    int64_t body_max; /* bytes: else 413 */
    enum gateway__http1_state state;
    int status;        /* when refused: 4xx or 5xx */
    const char *words; /* and why; static */

    struct cs_buf head; /* the lines, ends included; names are in lower case */
    size_t line;        /* where the present one begins in `head`, or in `aside` */
    bool blank;         /* the empty line before the request was there */
    bool ended;         /* what is here is of the request before */
    struct gateway__span method, target, authority; /* its own, of a target that is a URL */
    int minor;
    struct gateway__http1_field *fields;
    size_t fields_len, fields_cap;

    /* What the fields say about the message itself: how often, and the last one. */
    int hosts, lengths, codings, expectations;
    struct gateway__span host, length, coding, expectation;
    bool close, keep_alive;

    struct cs_buf aside; /* the size of a chunk, or trailers: the head must not move meanwhile */
    bool chunked;
    uint64_t left;    /* of the body, or of the chunk */
    uint64_t taken;   /* of the body, in chunks */
    size_t extension; /* bytes of extensions so far */
};

void gateway__http1_init(struct gateway__http1 *http1, size_t head_max, int64_t body_max);
void gateway__http1_fini(struct gateway__http1 *http1);

/* Takes from the front of `in`.  CS_OK: here is an event; `in` may hold more.  CS_AGAIN: all of `in`
 * was taken, and more is needed.  CS_EPROTO: refused, for good; http1->status and ->words say how the
 * peer is told before the connection closes.  CS_ENOMEM: for good too, and status is 503. */
cs_err gateway__http1_next(struct gateway__http1 *http1, cs_bytes *in,
                           struct gateway__http1_event *ret);

/* Nothing of a request has come since the last one ended. */
bool gateway__http1_is_between(const struct gateway__http1 *http1);

/* The field `i` of the head, `i` < fields_len: name in lower case, value without spaces around. */
cs_pair gateway__http1_field(const struct gateway__http1 *http1, size_t i);

/* ---- Answers ---------------------------------------------------------------------------------- */

struct gateway__http1_answer {
    int status;
    const cs_pair *fields; /* nothing about the connection, the length or the date */
    size_t fields_len;
    int64_t length; /* -1: nothing is said about it */
    bool chunked;
    bool closes; /* it is the last one */
    bool old;    /* to HTTP/1.0, which must be told that the connection stays */
};

/* The last chunk, and no trailers. */
#define GATEWAY__LAST_CHUNK "0\r\n\r\n"

/* Adds the head of an answer; CS_ENOMEM: nothing was. */
cs_err gateway__http1_say(struct cs_buf *to, const struct gateway__http1_answer *answer,
                          time_t now);
/* Adds a piece of its body, of at least one byte; CS_ENOMEM: nothing was.  When it was, there is room
 * for the last chunk too, even when nothing else could be had. */
cs_err gateway__http1_say_piece(struct cs_buf *to, cs_bytes piece, bool chunked);

/* ---- Between http1.c, http1_head.c and http1_body.c ------------------------------------------- */

cs_err gateway__http1_refuse(struct gateway__http1 *http1, int status, const char *words);

/* One more line of `in` into `buf`, of which it and those before have at most `max` bytes, ends
 * included.  CS_OK: `*ret` is its length without the end, from http1->line; CS_AGAIN; CS_ETOOBIG;
 * CS_EPROTO: it does not end as a line must, refused; CS_ENOMEM. */
cs_err gateway__http1_line(struct gateway__http1 *http1, cs_bytes *in, struct cs_buf *buf,
                           size_t max, size_t *ret);

/* Where the colon is, and the value without the spaces around: CS_OK, or refused. */
cs_err gateway__http1_split(struct gateway__http1 *http1, const uint8_t *line, size_t len,
                            size_t *ret_name, struct gateway__span *ret_value);

cs_err gateway__http1_request_line(struct gateway__http1 *http1, size_t len);
cs_err gateway__http1_take_field(struct gateway__http1 *http1, size_t len);
cs_err gateway__http1_judge(struct gateway__http1 *http1); /* the head is complete: which body? */

/* As _next(), of a body. */
cs_err gateway__http1_body(struct gateway__http1 *http1, cs_bytes *in,
                           struct gateway__http1_event *ret);

#endif
