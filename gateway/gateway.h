/* gateway -- the other dialects on the same port: HTTP/1.1 and HTTP/2 without gRPC.
 *
 *     curl, browsers ──▶ request ──▶ route ──▶ handler ──▶ reply, whole or piece by piece
 *
 * A handler is written once and serves both versions of HTTP, with and without TLS.  To the server
 * the gateway is a client like any other (chanserv_join_local), which says for whom it asks, so
 * authorisation, limits and counters are those of the one who called.
 *
 * Beside its routes every gRPC method of the server is there for pages, as gRPC-Web.
 *
 * It answers by itself, in JSON, what no handler need see: 403 for a page of a strange origin and
 * for a Host that is not ours, 404, 405, OPTIONS, 408, 413.  docs/GATEWAY has routes and shapes.
 *
 * THREADS    Everything belongs to the thread of the server's first loop.
 * CALLBACKS  Come only from the loop, never inside a call of yours.  From one you may call
 *            anything, frees included.
 * ERRORS     {"error":{"code":"NOT_FOUND","message":"..."}}, with the status of HTTP that belongs
 *            to the code.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "chanserv/chanserv.h"
#include "gateway/limits.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gateway gateway;
typedef struct gateway_request gateway_request; /* asked, and its answer under way */

struct gateway_options {
    GATEWAY_LIMITS(GATEWAY_LIMIT_FIELD, ) /* see limits.h */
    /* Names with spaces between that a Host may have beside loopback and IP addresses, without port:
     * "mq.example *.lan"; "*": any; NULL: none.  A page anywhere can make a browser ask localhost
     * under a name of its own: that is what this refuses.  Copied. */
    const char *hosts;
    /* Origins with spaces between whose pages may ask, "https://app.example"; "*": all; NULL: those
     * that a host above serves itself.  Copied. */
    const char *cors_origins;
    bool no_page; /* GET / is not there, or is a route of yours: else it is the page */
    int64_t reserved[4];
};

/* For the server's whole life, on all its ports, also those that listen later; one a server.  With
 * the routes of docs/GATEWAY.  CS_EEXIST: it has one; CS_EMISUSE: reserved, or its further loops
 * run; CS_ENOMEM. */
CS_API cs_err gateway_new(chanserv_server *server, const struct gateway_options *options,
                          gateway **ret);
/* Before its server.  Requests end CS_ECANCELED; see loop.h, FREEING. */
CS_API void gateway_free(gateway *gateway);               /* NULL is fine */
CS_API chanserv_client *gateway_client(gateway *gateway); /* the local one */
CS_API chanserv_server *gateway_server(gateway *gateway);

/* ---- Routes --------------------------------------------------------------------------------- */

/* A request has arrived, its body whole.  Answers as a source function does:
 *   CS_DONE   gateway_reply() was called
 *   CS_OK     gateway_begin() was called: ask ops->next() for the body   } only after
 *   CS_AGAIN  the answer comes later                                     } gateway_keep()
 *   failure   becomes a JSON error with the right status: see gateway_fail() */
typedef cs_err gateway_handler_fn(gateway_request *request, void *user);

/* "/event", or "/v1/source/" for all below it; of several the longest.  `method` NULL: any; HEAD is
 * answered by GET's unless it has its own, and OPTIONS by us.  Path and method are copied.
 * CS_EEXIST; CS_EINVAL: no path; CS_ENOMEM. */
CS_API cs_err gateway_route(gateway *gateway, const char *method, const char *path,
                            gateway_handler_fn *handler, void *user);

/* ---- Metrics of your own ------------------------------------------------------------------------ */

/* What a service beside the server's own tells of itself, in GET /metrics and in GET /v1/stat.  `part` is its
 * name: lower case letters and digits, a letter first, up to 63; not "chanserv".
 *
 *     {.name = "arrived", .help = "parties that came", .value = n}
 *         /metrics  PART_arrived_total 7
 *         /v1/stat  {...,"services":{"PART":{"arrived":7}}}
 *     {.name = "waiting", .help = "parties waiting now", .gauge = true, .label = "form", .of = "map", ...}
 *         /metrics  PART_waiting{form="map"} 7
 *         /v1/stat  {...,"services":{"PART":{"waiting":{"map":7}}}} */
typedef struct gateway_report gateway_report;
struct gateway_metric {
    const char *name;  /* lower case letters, digits, single "_" between them; up to 63 */
    const char *help;  /* one line */
    bool gauge;        /* goes down again; else it only goes up: a counter, "_total" */
    const char *label; /* NULL: none; else as a name */
    cs_bytes of;       /* its value: few and known ones, never what a client chooses */
    uint64_t value;    /* in base units: bytes, seconds */
};
/* From GET /metrics and GET /v1/stat, after authorise said CS_OK; tells all by gateway_report_put(), in the
 * same order each time.  Must not wait. */
typedef void gateway_report_fn(gateway_report *report, void *user);
/* For the gateway's whole life.  `part` is copied.  CS_EINVAL: no such name, or no `fn`; CS_EEXIST; CS_ENOMEM. */
CS_API cs_err gateway_add_report(gateway *gateway, const char *part, gateway_report_fn *fn,
                                 void *user);
/* All is copied.  Nothing is told of what is refused, which the rest does not suffer from:
 *   CS_EINVAL  a name or label that cannot be ("le" and "quantile", "_total" of a gauge, and "_sum", "_count",
 *              "_bucket", "_created" and "_info" at the end of a name belong to others); no help, or not one
 *              line of UTF-8; `of` is not UTF-8
 *   CS_EEXIST  told before: the same name and value of the label; or another between the two; or the same
 *              name of another kind or with another label
 *   CS_ELIMIT  more than GATEWAY_SERIES_MAX values of one label
 *   CS_ENOMEM  and the answer becomes 500 */
enum { GATEWAY_SERIES_MAX = 64 };
CS_API cs_err gateway_report_put(gateway_report *report, const struct gateway_metric *metric);

/* ---- What is asked: valid until the handler returns, of a kept request until its end() --------- */

CS_API cs_bytes gateway_method(const gateway_request *request);
CS_API cs_bytes gateway_path(const gateway_request *request);      /* decoded */
CS_API cs_bytes gateway_path_rest(const gateway_request *request); /* what follows the route */
/* Of the query, else of a body that is a form, decoded; of several the first.  base NULL: absent. */
CS_API cs_bytes gateway_param(const gateway_request *request, const char *name);
CS_API cs_bytes gateway_header(const gateway_request *request, const char *name); /* lower case */
CS_API cs_bytes gateway_body(const gateway_request *request);
CS_API const struct mux_peer *gateway_peer(const gateway_request *request);
/* Does Accept name this type, "text/event-stream", itself? */
CS_API bool gateway_accepts(const gateway_request *request, const char *type);
CS_API gateway *gateway_of(const gateway_request *request);

/* Of a post made for this client: its peer, "authorization", and what begins with "x-".  They point
 * into the request, and are copied by who gets them. */
CS_API void gateway_on_behalf(const gateway_request *request, struct chanserv_post_options *ret);

/* May this client do this?  As the server asks its hook of calls; CS_OK without one.  For handlers
 * that do not post: `verb` CHANSERV_RAW and the route's path.  A failure is for gateway_fail(). */
CS_API cs_err gateway_authorise(gateway_request *request, enum chanserv_verb verb,
                                cs_bytes service);

/* ---- The answer -------------------------------------------------------------------------------- */

struct gateway_reply_ops {
    size_t state_bytes; /* see mux.h, "State" */
    /* There is room: the next piece of the body.  The answers of an outlet; a piece must stay put
     * until next() or end() is called.  A failure breaks the answer off. */
    cs_err (*next)(gateway_request *request, cs_bytes *piece, void *state);
    /* Exactly once, last: CS_DONE the answer was handed over, CS_EPEER the client left, CS_ECANCELED
     * the gateway went, or the failure it was answered with.  The request goes when this returns. */
    void (*end)(gateway_request *request, cs_err why, void *state);
    void (*reserved[4])(void);
};
/* Keep a request that cannot be answered yet, in the handler; as chanserv_post_keep().  CS_EMISUSE:
 * not there, or twice; CS_ENOMEM. */
CS_API cs_err gateway_keep(gateway_request *request, const struct gateway_reply_ops *ops,
                           void *state);
CS_API void *gateway_state(const gateway_request *request);

/* Before the answer begins; copied.  CS_EMISUSE: too late, or a name or value that cannot be;
 * CS_ENOMEM, which is also remembered, and the answer becomes 500. */
CS_API cs_err gateway_set_header(gateway_request *request, const char *name, cs_bytes value);

/* The whole answer; copied.  `content_type` NULL: there is none.  Once; harmless when the client
 * has left. */
CS_API void gateway_reply(gateway_request *request, int status, const char *content_type,
                          cs_bytes body);
/* The words for an error, in the handler, whose answer it is:
 *     return gateway_fail(request, CS_ENOENT, "no source %s", name);
 * Later, of a kept request: answers it now.  Once the answer has begun it is broken off.  Answers
 * err. */
CS_API cs_err gateway_fail(gateway_request *request, cs_err err, const char *format, ...)
    CS_PRINTF(3, 4);
/* The head of the answer, of a kept request; then ops->next() is asked for the body. */
CS_API void gateway_begin(gateway_request *request, int status, const char *content_type);
/* Something to say after CS_AGAIN.  Harmless otherwise. */
CS_API void gateway_wake(gateway_request *request);

/* The status of HTTP of a failure: 404 of CS_ENOENT, 503 of CS_EUNAVAIL ...; of an answer: 200. */
CS_API int gateway_status_of(cs_err err);

#ifdef __cplusplus
}
#endif
#endif
