/* conn1 -- a connection that speaks HTTP/1.1: requests in turn, and their answers in the same.
 *
 * Private to gateway.
 *
 *     wire ──▶ in ──▶ http1 ──▶ request ──▶ its handler
 *      ▲    16 KiB                             │
 *      └───── out, 64 KiB ◀── transport ◀──────┘
 *
 * One request at a time: the next one is read when this one is answered.  Meanwhile what the client
 * sends on waits in `in`, and when that is full on the wire; so the connection always sees that he
 * hangs up, and who asks without reading the answers is not read either.
 *
 *     idle ──▶ head ──▶ body ──▶ answer ──▶ idle
 *       └───────┴────────┴────────┴──▶ last: `out` goes out, then the wire is finished
 */
#ifndef GATEWAY_CONN1_IN_H
#define GATEWAY_CONN1_IN_H

#include "gateway/gateway__in.h"
#include "gateway/http1__in.h"
#include "mux/foreign.h"

enum {
    GATEWAY__IN_MAX = 16 * 1024,
    GATEWAY__OUT_MAX = 64 * 1024,
    GATEWAY__TURN_MAX = 8 /* requests of a connection in a turn: others have theirs meanwhile */
};

/* What the timer is for. */
enum gateway__patience {
    GATEWAY__NONE,
    GATEWAY__IDLE, /* the next request */
    GATEWAY__HEAD, /* the rest of a head */
    GATEWAY__ROOM, /* the client, to read on */
};

struct gateway__conn1 {
    struct gateway__carrier carrier;
    gateway *gateway;
    mux_wire *wire;
    struct gateway__http1 http1;
    struct cs_buf in, out;
    size_t in_at, out_at; /* what was taken from their front */
    cs_timer *timer;
    enum gateway__patience patience;
    cs_task call, flush;

    gateway_request *request; /* of whom an answer is due; NULL: none, or we have parted */
    int minor;                /* his version */
    bool keeps;               /* he lets the connection stay */
    bool in_body;             /* his request has not come whole */
    bool begun, chunked;      /* his answer */
    bool wants_room;          /* it was told CS_AGAIN */

    int asked; /* requests in this turn */

    bool blocked; /* the wire takes nothing for now */
    bool rolled;  /* no new requests */
    bool deaf;    /* nothing that comes now makes sense */
    bool closes;  /* the answer says that it is the last one */
    bool last;    /* what is in `out` is all */
    bool over;    /* finished or cancelled; end() comes */
};

static inline size_t gateway__conn1_unread(const struct gateway__conn1 *conn)
{
    return conn->in.len - conn->in_at;
}
static inline size_t gateway__conn1_unsent(const struct gateway__conn1 *conn)
{
    return conn->out.len - conn->out_at;
}

extern const struct gateway__transport gateway__conn1_transport;

/* A line of our own, "100 Continue" or an error for which no memory is left. */
void gateway__conn1_say(struct gateway__conn1 *conn, const char *text);
/* `out` goes to the wire, as far as it takes it. */
void gateway__conn1_flush(struct gateway__conn1 *conn);
/* Nothing more is said: what is in `out` goes out, and then the wire ends. */
void gateway__conn1_last(struct gateway__conn1 *conn);
/* At once.  The request, if there is one, hears of it with the wire's end. */
void gateway__conn1_cancel(struct gateway__conn1 *conn, cs_err why);
/* The timer is set to what there is to wait for. */
void gateway__conn1_await(struct gateway__conn1 *conn);

#endif
