/* story -- a server and a client of ours on one virtual loop, and sources that do what a plan says.
 *
 * A plan is what a producer will do; beside it stands what became of it.  A reader knows what every
 * frame must be, so whatever is read is compared, byte by byte and number by number.
 */
#ifndef TEST_STORY_STORY_H
#define TEST_STORY_STORY_H

#include "chanserv/client.h"
#include "chanserv/server.h"

#include <criterion/criterion.h>

enum { STORY_PLANS = 2048, STORY_ENDLESS = 1 << 30, STORY_BYTES_MAX = 8 * 1024 * 1024 };

struct plan {
    int frames;        /* so many, then `last` */
    int bytes;         /* of each frame */
    bool varied;       /* of each frame at most */
    cs_err last;       /* 0: CS_DONE */
    const char *words; /* of `last`; NULL: none of its own */
    int waits_at;      /* CS_AGAIN before this frame, until `goes`; 0: never */
    bool goes;
    int gap_at;     /* leaves out `gap` numbers before this frame, or before the end */
    uint64_t gap;   /* 0: leaves out none */
    int parts;      /* messages that a frame travels in; 0: one */
    cs_err refuses; /* of open() */
    bool eager;

    chanserv_outlet *outlet; /* NULL: not announced, or over */
    size_t index;
    cs_err announced; /* what announce() answered */
    int opens, asked, given, ends;
    bool gapped;
    cs_err why;
    char reason[20];
    int64_t opened_ms, end_ms;
};

struct story {
    cs_loop *loop;
    chanserv_server *server;
    chanserv_client *client;

    /* The service "flood" announces the plans, then answers this. */
    struct plan plans[STORY_PLANS];
    size_t plans_len;
    cs_err answer; /* 0: CS_DONE; CS_AGAIN: keeps the post, and goes on when it is woken */
    const char *words;
    chanserv_post *post; /* the one that was kept; NULL: over */
    int posts, closes, ends;
    cs_err closed_why, end_why;

    chanserv_source *sources[STORY_PLANS]; /* what story_take() took */
    size_t sources_len;
    cs_err feed_end; /* what recv said last */
};

struct story *story_new(const struct chanserv_server_options *server,
                        const struct chanserv_client_options *client); /* NULL: as they come */
void story_free(struct story *s); /* each announced plan must have ended once */

struct plan *story_plan(struct story *s, struct plan plan);
chanserv_feed *story_post(struct story *s); /* to "flood", settled */
chanserv_feed *story_post_for(struct story *s, int timeout_ms);
void story_take(struct story *s, chanserv_feed *feed); /* all that is there */
/* plan, post and take of one source */
chanserv_source *story_source(struct story *s, struct plan plan, chanserv_feed **feed);

void story_go(struct story *s, struct plan *plan); /* what it waited for has come */

/* For services of a test's own: the state of the outlet is the plan. */
extern const struct chanserv_outlet_ops story_lazy_ops, story_eager_ops;
cs_err story_announce(struct plan *plan, chanserv_post *post);

/* The payload of a frame, as the plan numbered `index` gives it. */
cs_bytes story_payload(const struct plan *plan, int number);

/* This frame of that plan is what was received. */
void story_compare(const struct plan *plan, const chanserv_source *source, cs_bytes frame);

/* Reads up to `frames` frames while there are any, and compares them.  The last answer goes to
 * `ret`: CS_OK (all were there), CS_AGAIN, CS_DONE or the failure. */
int story_read(struct story *s, chanserv_source *source, int frames, cs_err *ret);
/* Reads to the end, all in place, and answers how it ended. */
cs_err story_drain(struct story *s, chanserv_source *source);

void story_break(struct story *s);   /* the link is reset, and both sides hear of it */
void story_swallow(struct story *s); /* the peer's machine has lost its power */
struct chanserv_counters story_counters(const struct story *s);

#define story_wants(err, wanted)                                                                   \
    do {                                                                                           \
        const cs_err got_ = (err);                                                                 \
        cr_assert_eq(got_, wanted, "%s: %s", #err, cs_strerror(got_));                             \
    } while (0)
#define story_ended(which, err, word)                                                              \
    do {                                                                                           \
        const struct plan *p_ = (which);                                                           \
        cr_assert_eq(p_->ends, 1, "%d ends", p_->ends);                                            \
        cr_assert_eq(p_->why, err, "ended with %s", cs_strerror(p_->why));                         \
        cr_assert_str_eq(p_->reason, word);                                                        \
    } while (0)

#endif
