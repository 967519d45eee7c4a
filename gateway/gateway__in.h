/* gateway__in -- a request between the connection that carries it and the handler that answers it.
 * Private to gateway.
 *
 *   conn1.c  HTTP/1.1 ─┐  head, body, end, room, left  ┌──────────────────┐  routes.c: whose is it?
 *                      ├──────────────────────────────▶│ gateway__request │  guard.c:  may it be?
 *   conn2.c  HTTP/2   ─┘◀──────────────────────────────│    request.c     │  then the handler
 *                          begin, write, finish, abort └──────────────────┘
 *
 * A carrier makes one for each request it reads and tells it what comes; the request answers through the
 * carrier's transport, whenever it can, also inside each of these calls.  They part exactly once:
 * by finish() or abort(), after which the request calls its carrier no more and must not be told anything
 * (it frees itself), or by gateway__request_left(), the other way round.
 */
#ifndef GATEWAY_IN_H
#define GATEWAY_IN_H

#include "base/list.h"
#include "base/mem.h"
#include "base/turn.h"
#include "gateway/gateway.h"

/* ---- What a connection can do for the answer ---------------------------------------------------- */

struct gateway__answer {
    int status;             /* 200..599 */
    const cs_pair *headers; /* names in lower case; valid during the call; nothing about the
                               connection, the length or the date */
    size_t headers_len;
    int64_t length; /* of the body; -1: it ends with finish() */
    bool bare; /* no body follows, whatever the headers say (HEAD, 204, 304): finish() comes next */
};

struct gateway__transport {
    /* Once, first.  CS_OK, or a failure: it cannot be said, and abort() comes next. */
    cs_err (*begin)(void *carrier, const struct gateway__answer *answer);
    /* CS_OK taken, copied; CS_AGAIN not taken: gateway__request_room() tells; a failure: abort() comes
     * next.  Pieces are of 1 byte to 64 KiB, and never more in all than `length`. */
    cs_err (*write)(void *carrier, cs_bytes piece);
    /* The answer is whole.  The body of the request may not have come whole: what follows of it is
     * the carrier's to drop, or to cut. */
    void (*finish)(void *carrier);
    /* It stays unfinished, and the client must be able to tell: the connection is closed without
     * the last chunk, the stream is reset. */
    void (*abort)(void *carrier, cs_err why);
};

/* ---- What a connection tells of the request ------------------------------------------------------ */

struct gateway__head {
    cs_bytes method;       /* a token */
    cs_bytes target;       /* origin-form, "/path?query", not decoded; or "*" */
    cs_bytes authority;    /* the Host that counts; empty: HTTP/1.0 without one */
    const cs_pair *fields; /* names in lower case; as they came, of several equal ones each */
    size_t fields_len;
    int64_t length; /* of the body: 0 none, -1 not known yet */
    bool is_tls;
};

/* A request begins; `peer` stays as long as the carrier.  CS_ENOMEM. */
cs_err gateway__request_new(gateway *gateway, const struct gateway__transport *transport,
                            void *carrier, const struct mux_peer *peer, gateway_request **ret);
/* All of it is copied.  False: it is answered already, or was not to be had for want of memory
 * (aborted), and the two have parted.  True: the body is wanted (say "100 Continue" now if it waits
 * for that); then body() for each piece, and end(), also if there is none. */
bool gateway__request_head(gateway_request *request, const struct gateway__head *head);
/* False: parted, as above. */
bool gateway__request_body(gateway_request *request, cs_bytes piece);
/* The handler is asked, and may have answered, and parted, when this returns. */
void gateway__request_end(gateway_request *request);
/* It does not make sense, or comes too slowly: answered with `status` (400, 408, 413, 414, 417, 431,
 * 501, 505) and these words, NULL: the usual.  Any time before end(); they have parted when this returns. */
void gateway__request_refuse(gateway_request *request, int status, const char *message);
/* write() said CS_AGAIN and would now take a piece. */
void gateway__request_room(gateway_request *request);
/* The client is not there any more, or the connection ends for this reason: the carrier must not be
 * called from now on. */
void gateway__request_left(gateway_request *request, cs_err why);

/* ---- Carriers: what a gateway gives the server -------------------------------------------------- */

struct mux_wire;
void gateway__conn1_accept(struct mux_wire *wire, void *gateway); /* a mux_wire_fn */
void gateway__conn2_accept(mux_stream *stream, void *gateway); /* a mux_accept_fn, of plain ones */

/* Resolved: no zeros; CS_OFF as CS_FOREVER or INT64_MAX. */
const struct gateway_options *gateway__options(const gateway *gateway);
cs_loop *gateway__loop(const gateway *gateway);

#endif
