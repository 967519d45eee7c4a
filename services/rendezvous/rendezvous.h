/* rendezvous -- N parties meet over the network, and all of them learn what each has brought.
 *
 *     {"event":"e","actor":"a"} ──▶ waits ◀── {"event":"e","actor":"b"}
 *                                     │
 *                {"payloads":{"a":"...","b":"..."}} for both, at once
 *
 * A service on chanserv(7), and nothing but that: each who comes is a post.  He names an event and himself,
 * and waits until a group is there: parties that all accept each other, as many as the one of them who wants
 * most.  What he is by labels, whom he accepts by a selector (the grammar of Kubernetes); of the groups that
 * are possible the oldest party decides, then the next oldest.  All of a group meet or none: who leaves
 * before that dissolves it, and the others keep their places.
 *
 * WHAT IS ASKED  a JSON object; all but the first two may be left out:
 *   event, actor  up to 255 bytes each
 *   mates         1: how many others he wants to meet, at least.  0: nobody, and he has met at once
 *   payload       "": for his mates; up to payload_max_bytes
 *   labels        "actor=ACTOR": what he is, "k=v,k2=v2"
 *   selector      "actor!=ACTOR": whom he accepts
 *   timeout       milliseconds, then he ends CS_ETIMEOUT, and hears who was there.  0: none
 *   form          "map", where an actor has one payload and so does not meet himself; "list"
 *   key           his retry with the same one goes on in his place, or hears how it ended: his place is
 *                 kept key_ms for that, which else is free as soon as he leaves
 *   generation    "": only who says the same is meant: the rounds of a barrier
 *   channels      false: a source both ways to each mate who wants that, too
 *   roster        true: who is there, while he waits
 *
 * WHAT COMES  one source, "meeting".  Its frames: rosters, at most ten a second and only the newest,
 * {"waiting":{"here":["a","b"],"missing":1}}; then the match, last, {"payloads":{...}} with sorted keys, or
 * of form "list" {"parties":[{"actor":"a","payload":"...","labels":{...}},...]} by age.  With `channels` a
 * source to each mate follows, whose header is his actor: what goes up comes down on his side.
 *
 * HTTP, with a gateway: GET /event?event=&actor=&..., or POST with a form or the object above, blocks until
 * the match and answers it.  GET /stats: who waits.
 */
#ifndef SERVICES_RENDEZVOUS_H
#define SERVICES_RENDEZVOUS_H

#include "gateway/gateway.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rendezvous rendezvous;

struct rendezvous_options {
    const char *service;       /* NULL: "rendezvous"; copied */
    int64_t waiters_max;       /* 0: 10 000, of all events; CS_OFF: none */
    int64_t payload_max_bytes; /* 0: 64 KiB */
    int64_t text_max_bytes;    /* 0: 4 KiB: of labels, of a selector */
    int key_ms;                /* 0: 10 000 */
    int64_t reserved[8];
};

/* What has happened, X(name, help). */
#define RENDEZVOUS_COUNTERS(X)                                                                     \
    X(waiting, "parties waiting now")                                                              \
    X(arrived, "parties that came")                                                                \
    X(matched, "parties that met")                                                                 \
    X(groups, "groups that met")                                                                   \
    X(dissolved, "groups of which somebody left before they had met")                              \
    X(left, "parties that left before they met")                                                   \
    X(timeouts, "parties whose timeout passed")                                                    \
    X(resumed, "retries that went on in their place, or heard how it had ended")                   \
    X(greedy, "searches that were not exact: more than 64 were possible, or it took too long")     \
    X(refused_bad, "parties that asked what makes no sense")                                       \
    X(refused_limit, "parties refused by waiters_max")
struct rendezvous_counters {
#define X(name, help) uint64_t name;
    RENDEZVOUS_COUNTERS(X)
#undef X
};

/* Serves it, on the server's first loop.  Errors of chanserv_serve(); CS_EMISUSE: reserved. */
CS_API cs_err rendezvous_new(chanserv_server *server, const struct rendezvous_options *options,
                             rendezvous **ret);
/* GET and POST /event, GET /stats.  Errors of gateway_route(). */
CS_API cs_err rendezvous_mount(rendezvous *desk, gateway *gw);
/* Before its server.  Who waits ends CS_EUNAVAIL; routes stay, so after the gateway if it is mounted. */
CS_API void rendezvous_free(rendezvous *desk);
CS_API void rendezvous_count(const rendezvous *desk, struct rendezvous_counters *ret);

#ifdef __cplusplus
}
#endif
#endif
