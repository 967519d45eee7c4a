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
 *   event, actor  up to 255 bytes each, none of them zero; so are key and generation
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
 * the match and answers it.  GET /stats: who waits, all or the oldest `limit`.
 */
#ifndef SERVICES_RENDEZVOUS_H
#define SERVICES_RENDEZVOUS_H

#include "gateway/gateway.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rendezvous rendezvous;

struct rendezvous_options {
    const char *service; /* NULL: "rendezvous"; copied */
    /* 0: 10 000, of all events; CS_OFF: none.  And twice as many places in all, of who has met or was late
     * and is still told so, or may come again by his key.  Beyond, who comes ends CS_ELIMIT. */
    int64_t waiters_max;
    int64_t payload_max_bytes; /* 0: 64 KiB */
    int64_t text_max_bytes;    /* 0: 4 KiB: of labels, of a selector */
    int key_ms;                /* 0: 10 000 */
    /* 0: 256 MiB; CS_OFF: none.  Of memory, for all places together: what they ask, what finding a mate by
     * labels and selectors takes (eighty times what they are long, when each is short), the roster each
     * had last, matches until all have heard them, and of a request by HTTP its body twice.  Beyond, who
     * comes ends CS_ELIMIT, and who waits stays. */
    int64_t waiting_max_bytes;
    int64_t reserved[7];
};

/* What has happened, X(name, help).  What is "now" goes down again, the rest only up. */
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
    X(refused_limit, "parties refused by waiters_max")                                             \
    X(waiting_bytes, "bytes of memory that places take now")                                       \
    X(refused_bytes, "parties refused by waiting_max_bytes")
struct rendezvous_counters {
#define X(name, help) uint64_t name;
    RENDEZVOUS_COUNTERS(X)
#undef X
};

/* Serves it, on the server's first loop, whose thread all of it belongs to.  Errors of
 * chanserv_serve(); CS_EMISUSE: reserved. */
CS_API cs_err rendezvous_new(chanserv_server *server, const struct rendezvous_options *options,
                             rendezvous **ret);
/* GET and POST /event, GET /stats, and the counters in GET /metrics and /v1/stat as "rendezvous".  Errors of
 * gateway_route() and gateway_add_report(). */
CS_API cs_err rendezvous_mount(rendezvous *desk, gateway *gw);
/* Before its server.  Who waits ends CS_EUNAVAIL; routes stay, so after the gateway if it is mounted.  NULL is
 * fine. */
CS_API void rendezvous_free(rendezvous *desk);
CS_API void rendezvous_count(const rendezvous *desk, struct rendezvous_counters *ret);

/* ---- To meet: a client's end ---------------------------------------------------------------- */

/* What is asked, as above; what is zero is as if it was left out. */
struct rendezvous_ask {
    const char *service;                                               /* NULL: "rendezvous" */
    cs_bytes event, actor, payload, labels, selector, key, generation; /* UTF-8 */
    int64_t mates;  /* 0: 1; CS_OFF: nobody, and you have met at once */
    int timeout_ms; /* 0: none */
    bool list;      /* form "list" */
    bool channels;
    bool roster;
    /* Of the post: metadata, bucket ...; its timeout would end it without saying who was there.  NULL: none. */
    const struct chanserv_post_options *post;
    int64_t reserved[4];
};

/* Who waits, or has met.  It belongs to its client as a feed does, also to which thread: client.h, THREADS. */
typedef struct rendezvous_meeting rendezvous_meeting;

struct rendezvous_meeting_ops {
    /* Who is there, as above, valid until this returns; of who asked for it.  NULL: of no interest. */
    void (*roster)(rendezvous_meeting *meeting, cs_bytes roster, void *user);
    /* Exactly once, and last: CS_OK they have met, or how it failed.  Not after a close. */
    void (*end)(rendezvous_meeting *meeting, cs_err why, void *user);
    void (*reserved[4])(void);
};

/* Comes, and never waits.  All of `ask` is copied.
 *
 * `ops` NULL: you wait yourself, by the two calls below, and before long: a server gives up whose answers
 * nobody opens (CS_ENOENT).  With ops, of which end() is required, all is told on the client's loop, never
 * inside a call of yours; from there you may call anything, the close included.
 *
 * Fails only for what is wrong with the call: CS_EINVAL: no event, no actor, a text that is not UTF-8;
 * CS_EMISUSE: reserved, no end(), ops and a client with a thread of its own, or as chanserv_lookup_and_post();
 * CS_ENOMEM.  What the service has to say, the meeting does: CS_EINVAL what makes no sense to it, CS_ETIMEOUT,
 * CS_ELIMIT, CS_EPRECOND the key was used for something else, CS_EABORTED a retry with the key goes on,
 * CS_EUNAVAIL it ends, CS_ECANCELED, and how a post can end. */
CS_API cs_err rendezvous_come(chanserv_client *client, const struct rendezvous_ask *ask,
                              const struct rendezvous_meeting_ops *ops, void *user,
                              rendezvous_meeting **ret);

/* Waits until they have met: CS_OK, or how it failed.  CS_EMISUSE: with ops, in a callback, or for ever on a
 * virtual loop; it waits on then. */
CS_API cs_err rendezvous_meet(rendezvous_meeting *meeting);
/* The same with the rosters on the way: the next one, valid until the next call on this meeting; false when it
 * is over, and rendezvous_meet() says how without waiting. */
CS_API bool rendezvous_range_roster(rendezvous_meeting *meeting, cs_bytes *ret);

/* From any thread: it ends CS_ECANCELED, if it had not ended, and the place is free. */
CS_API void rendezvous_cancel(rendezvous_meeting *meeting);
/* Frees it, and all below.  Who still waits leaves; with a key his place is kept.  NULL is fine.  Before its
 * client; not while another thread waits in it. */
CS_API void rendezvous_close(rendezvous_meeting *meeting);

/* What went wrong, "post rendezvous: INVALID_ARGUMENT: mates: ..."; "" when nothing did.  Lives with it. */
CS_API const char *rendezvous_errmsg(const rendezvous_meeting *meeting);

/* Who has met, you among them, sorted or by age as above. */
struct rendezvous_party {
    cs_bytes actor, payload;
    const cs_pair *labels; /* of form "list", by name */
    size_t labels_len;
};
/* All of this lives with the meeting.  CS_EMISUSE: they have not met; CS_EPROTO: not a match as we know it;
 * CS_ENOMEM. */
CS_API cs_err rendezvous_parties(rendezvous_meeting *meeting, const struct rendezvous_party **ret,
                                 size_t *ret_len);
/* The same as it came: JSON; empty: they have not met. */
CS_API cs_bytes rendezvous_match(const rendezvous_meeting *meeting);
/* Of who asked for channels: a source to each mate who did, by age, both ways (chanserv_source_send()); its
 * header is the actor.  NULL: there is none of this number.  chanserv_source_keep() takes it along. */
CS_API chanserv_source *rendezvous_channel(const rendezvous_meeting *meeting, size_t i);

#ifdef __cplusplus
}
#endif
#endif
