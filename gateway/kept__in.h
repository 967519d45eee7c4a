/* kept -- what a ticket opened, beyond the request that opened it.
 *
 *     source ──▶ kept: the frames written last ──▶ the request that reads now
 *
 * Private to gateway.  The last keep_bytes of its frames are here, and while nobody reads it waits
 * linger_ms for the same caller; of all that wait so the one that does longest goes when they have more
 * than lingering_bytes.
 */
#ifndef GATEWAY_KEPT_IN_H
#define GATEWAY_KEPT_IN_H

#include "gateway/gateway__in.h"

struct gateway__frame {
    struct cs_link link;
    uint64_t seq, gap; /* that many were left out before it */
    cs_ref ref;
};

struct gateway__kept {
    gateway *gateway;
    struct cs_link link; /* of gateway->lingering */
    int64_t counted;     /* there */
    chanserv_source *source;
    struct gateway__reader *reader; /* or NULL */
    struct cs_list frames;          /* the last ones */
    size_t bytes;                   /* of them */
    uint64_t next;                  /* number of the next one of the source */
    uint64_t last_gap;              /* before its end */
    bool opened;
    bool over; /* the source is, and all of it is in `frames` or was */
    cs_err why;
    cs_timer *linger;
    cs_bytes ticket, owner; /* behind it */
};

struct gateway__ear { /* the source's state, which may stay longer */
    struct gateway__kept *kept;
};

struct gateway__reader { /* a request's state */
    gateway_request *request;
    struct gateway__kept *kept; /* NULL: taken over, or gone */
    enum gateway__dialect dialect;
    uint64_t at; /* number of the frame wanted next */
    bool begun;
    bool lost; /* to be told, and then it is over */
    bool said; /* the last word */
    cs_ref held;
    struct gateway__text line;
};

/* Nothing is opened yet, and nobody reads.  CS_ENOMEM. */
cs_err gateway__kept_new(gateway *gw, cs_bytes ticket, cs_bytes owner, struct gateway__kept **ret);
void gateway__kept_unread(struct gateway__kept *kept); /* its reader left: waits, or is gone */
void gateway__kept_read(struct gateway__kept *kept);   /* it need not wait any more */
/* Nobody can want the rest: source and frames go. */
void gateway__kept_lose(struct gateway__kept *kept);

/* One more frame; the answers of a source, and once it is over, always CS_DONE. */
cs_err gateway__kept_fetch(struct gateway__kept *kept);
/* The first of those there with this number or a later one; NULL: there is none. */
const struct gateway__frame *gateway__kept_find(const struct gateway__kept *kept, uint64_t seq);
/* The lowest number there, or the next. */
uint64_t gateway__kept_first(const struct gateway__kept *kept);

#endif
