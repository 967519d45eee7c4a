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
#include "base/map.h"
#include "base/mem.h"
#include "base/turn.h"
#include "gateway/gateway.h"

/* ---- What a connection can do for the answer ---------------------------------------------------- */

struct gateway__answer {
    int status; /* 200..599 */
    /* Names in lower case, a NUL behind each; valid during the call; nothing about the connection, the
     * length or the date. */
    const cs_pair *headers;
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

/* What a gateway_put_fn writes to; the first failure sticks. */
struct gateway__text {
    struct cs_buf buf;
    cs_err err;
};
void gateway__text_put(void *to, const void *bytes, size_t len);
void gateway__text_words(struct gateway__text *to, const char *words);

/* ---- Carriers: what a gateway gives the server -------------------------------------------------- */

struct mux_wire;
void gateway__conn1_accept(struct mux_wire *wire, void *gateway); /* a mux_wire_fn */
void gateway__conn2_accept(mux_stream *stream, void *gateway); /* a mux_accept_fn, of plain ones */

/* ---- The gateway -------------------------------------------------------------------------------- */

/* A connection that has something to end when the gateway goes: in gateway->carriers while it lives. */
struct gateway__carrier {
    struct cs_link link;
    void (*end)(struct gateway__carrier *carrier,
                cs_err why); /* at once; its request has been ended */
};

struct gateway__route;
struct gateway__part;
struct gateway {
    chanserv_server *server;
    chanserv_client *client;
    mux_conn *calls; /* to the same server, for web.c; NULL: there were none yet */
    cs_loop *loop;
    struct gateway_options options; /* resolved: no zeros; no limit: INT64_MAX, CS_FOREVER */
    char *hosts, *origins;          /* ours; or NULL */
    struct gateway__route *routes;
    struct gateway__part *parts; /* that tell of themselves, the first first */
    struct cs_list requests, carriers;
    /* What GET /v1/source/ opened, until nobody can want it any more; kept.c */
    struct cs_names kept;
    struct cs_names named;    /* what drop.c finds, by tickets */
    struct cs_list lingering; /* of these, those that nobody reads, */
    int64_t lingering_bytes;  /* and what they keep */
    cs_task reap;
    bool freed; /* nothing new; it goes with its last request and carrier */
};

extern const struct mux_options gateway__net; /* of its connections to the server */

/* The last of these calls lets go of a gateway that was freed. */
void gateway__carrier_add(gateway *gateway, struct gateway__carrier *carrier);
void gateway__carrier_gone(gateway *gateway, struct gateway__carrier *carrier);
void gateway__let_go(gateway *gateway); /* a request has gone */

/* ---- routes.c ------------------------------------------------------------------------------------ */

struct gateway__found {
    gateway_handler_fn *handler; /* NULL: no route has this path, or none this method */
    void *user;
    size_t rest;     /* of the path, where what follows the route begins */
    char allow[128]; /* "GET, HEAD, OPTIONS": of this path; "": there is none */
};
void gateway__routes_find(const gateway *gateway, cs_bytes method, cs_bytes path,
                          struct gateway__found *ret);
void gateway__routes_free(gateway *gateway);
cs_err gateway__routes_mount(gateway *gateway); /* our own */
cs_err
gateway__metrics_mount(gateway *gateway); /* /metrics, /healthz, /readyz: metrics.c; stat.c */
cs_err gateway__stat(gateway_request *request, void *gateway);
/* "# HELP" and "# TYPE" of a metric. */
void gateway__metric_head(struct gateway__text *to, const char *name, const char *help,
                          const char *type);

/* ---- report.c: what services tell of themselves --------------------------------------------------- */

void gateway__reports_metrics(const gateway *gateway, struct gateway__text *to);
/* {"PART":{...},...} */
void gateway__reports_stat(const gateway *gateway, struct gateway__text *to);
void gateway__reports_free(gateway *gateway);

/* ---- The routes: post.c, source.c, services.c; `user` is the gateway ------------------------------ */

enum gateway__dialect { GATEWAY__RAW, GATEWAY__NDJSON, GATEWAY__SSE };
/* What Accept wants; `standard` when it says nothing of it. */
enum gateway__dialect gateway__dialect_of(const gateway_request *request,
                                          enum gateway__dialect standard);
/* The head of an answer that is a stream. */
void gateway__stream_begin(gateway_request *request, enum gateway__dialect dialect);
/* In front of a line and behind it; `event` NULL: the usual kind; `id` NULL: none. */
void gateway__line_begin(struct gateway__text *to, enum gateway__dialect dialect, const char *event,
                         const uint64_t *id);
void gateway__line_end(struct gateway__text *to, enum gateway__dialect dialect);

cs_err gateway__post(gateway_request *request, void *user);
cs_err gateway__services(gateway_request *request, void *user);
cs_err gateway__source(gateway_request *request, void *user);
void gateway__kept_free(gateway *gateway); /* all of them */
/* "/v1/source/" and the ticket in hexadecimal digits. */
enum { GATEWAY__TICKET = 64, GATEWAY__URL = 11 + 2 * GATEWAY__TICKET + 1 };
void gateway__source_url(cs_bytes ticket, char to[GATEWAY__URL]);
bool gateway__ticket_parse(cs_bytes text, uint8_t to[GATEWAY__TICKET], size_t *len);

/* ---- drop.c: the sources that a reader of a post can end, by their tickets ------------------------ */

cs_err gateway__drop(gateway_request *request, void *gateway);
/* `list`: of the post; CS_ENOMEM. */
cs_err gateway__named_add(gateway *gateway, struct cs_list *list, chanserv_source *source);
void gateway__named_gone(gateway *gateway, const chanserv_source *source); /* or was not there */
void gateway__named_free(gateway *gateway, struct cs_list *list);

cs_err gateway__page_mount(gateway *gateway); /* GET /, unless no_page: page.c */

/* ---- guard.c ------------------------------------------------------------------------------------- */

struct gateway__asks { /* empty: it says nothing of that */
    cs_bytes authority, origin, fetch_site, fetch_mode;
    bool is_tls;
};
/* May this page, or whoever it is, ask this?  NULL: yes, and `*cross` is set when it is another
 * origin's, which its answer must name; else the words for 403. */
const char *gateway__guard(const gateway *gateway, const struct gateway__asks *asks, bool *cross);

/* ---- request.c, reply.c -------------------------------------------------------------------------- */

enum { GATEWAY__PIECE = 64 * 1024, GATEWAY__PARAMS_MAX = 256 };

enum gateway__stage {
    GATEWAY__COMES,   /* the request */
    GATEWAY__ASKED,   /* the handler was, or is being */
    GATEWAY__ANSWERS, /* the head of the answer is out */
    GATEWAY__LAST,    /* all of its body is known: `rest` */
    GATEWAY__OVER     /* parted; end() comes, and its memory goes */
};

struct gateway__web { /* all false: it is none of gRPC-Web */
    bool is;
    bool sends_text, reads_text; /* in base64 */
};

struct gateway_request {
    gateway *gateway;
    struct cs_link link;
    const struct gateway__transport *transport; /* NULL: parted */
    void *carrier;
    enum gateway__stage stage;
    struct mux_peer *peer; /* a copy */
    cs_task task;          /* to ask for more of the body; when over: end() */
    cs_timer *timer;       /* of the body; or NULL */

    char *texts; /* what these point into */
    cs_bytes method, path, query, authority, origin;
    size_t rest_at; /* of path */
    cs_pair *fields;
    size_t fields_len;
    cs_pair *behalf; /* those that a post made for it carries */
    size_t behalf_len;
    struct gateway__web web;
    cs_pair *params;
    size_t params_len;
    char *params_text;
    struct cs_buf body;

    gateway_handler_fn *handler;
    void *user;
    const struct gateway_reply_ops *ops; /* NULL: not kept */
    void *state, *state_block;
    bool in_handler, in_pump, cross, is_head;
    bool broken; /* a header could not be remembered */
    char *words; /* of gateway_fail(), in the handler */
    cs_pair *headers;
    size_t headers_len, headers_cap;
    cs_bytes piece;     /* of the body, not taken yet */
    struct cs_buf rest; /* LAST: what `piece` is of */
    cs_err why;         /* OVER: for end() */
};

/* Answers an error, in JSON or as gRPC-Web has it; what was begun is broken off. */
void gateway__request_error(gateway_request *request, int status, cs_err err, const char *words);
/* The same where no handler was asked, and counts it. */
void gateway__request_reject(gateway_request *request, int status, cs_err err, const char *words);
/* As gateway_reply(), with any status; parts, now or when it was written. */
void gateway__reply(gateway_request *request, int status, const char *type, cs_bytes body);
/* More of the body, if there is room and something to say. */
void gateway__request_pump(gateway_request *request);
/* Parted: end() comes with the next turn. */
void gateway__request_over(gateway_request *request, cs_err why);
void gateway__request_abort(gateway_request *request, cs_err why);
void gateway__reply_fini(gateway_request *request);
/* Once, before anybody asks for one: CS_EINVAL, CS_ENOMEM. */
cs_err gateway__params_read(gateway_request *request, char why[CHANSERV_WHY_MAX]);

#endif
