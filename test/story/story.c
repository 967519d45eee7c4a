#include "test/story/story.h"

#include "chanserv/client__in.h"
#include "mux/local.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- What is in a frame --------------------------------------------------------------------- */

enum { STARTS = 65521 };

/* Every frame is a piece of these bytes, at a place that its plan and number say. */
static const uint8_t *noise(void)
{
    static uint8_t *bytes;
    uint64_t x = 88172645463325252u;
    const size_t len = STORY_BYTES_MAX + STARTS;

    if (bytes)
        return bytes;
    bytes = malloc(len + 8);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < len; i += sizeof x) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(bytes + i, &x, sizeof x);
    }
    return bytes;
}

cs_bytes story_payload(const struct plan *plan, int number)
{
    const size_t at = (plan->index * 7919 + (size_t)number * 104729) % STARTS;
    size_t len = (size_t)plan->bytes;

    if (plan->varied && len)
        len = (at * 31 + (size_t)number) % (len + 1);
    return cs_bytes_of(noise() + at, len);
}

/* ---- The producer --------------------------------------------------------------------------- */

static cs_err plan_open(chanserv_outlet *outlet, uint64_t from, void *state)
{
    struct plan *plan = state;

    plan->opens++;
    plan->opened_ms = cs_loop_now_ms(chanserv_post_loop(chanserv_outlet_post(outlet)));
    if (plan->refuses)
        return plan->refuses;
    return from == 0 ? CS_OK : CS_ERANGE;
}

static cs_err plan_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct plan *plan = state;

    plan->asked++;
    cr_assert_eq(plan->ends, 0, "asked after its end");
    if (plan->waits_at > 0 && plan->given == plan->waits_at && !plan->goes)
        return CS_AGAIN;
    if (plan->gap > 0 && plan->given == plan->gap_at && !plan->gapped) {
        chanserv_outlet_skip(outlet, plan->gap, CHANSERV_GAP_OVERFLOW);
        plan->gapped = true;
    }
    if (plan->given < plan->frames) {
        *frame = story_payload(plan, plan->given++);
        return CS_OK;
    }
    if (plan->words)
        return chanserv_outlet_fail(outlet, plan->last, "%s", plan->words);
    return plan->last ? plan->last : CS_DONE;
}

static void plan_end(chanserv_outlet *outlet, cs_err why, void *state)
{
    struct plan *plan = state;

    plan->ends++;
    plan->why = why;
    plan->end_ms = cs_loop_now_ms(chanserv_post_loop(chanserv_outlet_post(outlet)));
    plan->outlet = NULL;
    snprintf(plan->reason, sizeof plan->reason, "%s", chanserv_outlet_reason(outlet));
}

const struct chanserv_outlet_ops story_lazy_ops = {
    .open = plan_open, .next = plan_next, .end = plan_end};
const struct chanserv_outlet_ops story_eager_ops = {
    .open = plan_open, .next = plan_next, .end = plan_end, .eager = true};

/* ---- The service ---------------------------------------------------------------------------- */

cs_err story_announce(struct plan *plan, chanserv_post *post)
{
    char header[16];

    snprintf(header, sizeof header, "%zu", plan->index);
    plan->announced =
        chanserv_announce(post, cs_str(header), plan->eager ? &story_eager_ops : &story_lazy_ops,
                          plan, &plan->outlet);
    return plan->announced;
}

static cs_err announce_all(struct story *s, chanserv_post *post)
{
    for (size_t i = 0; i < s->plans_len; i++) {
        cs_err err = CS_OK;

        if (s->plans[i].announced != CS_OK)
            err = story_announce(&s->plans[i], post);
        if (err != CS_OK)
            return err;
    }
    return CS_OK;
}

struct kept {
    struct story *story;
};

static cs_err post_next(chanserv_post *post, void *state)
{
    struct story *s = ((struct kept *)state)->story;
    cs_err err = announce_all(s, post);

    if (err != CS_OK)
        return err;
    return s->answer ? s->answer : CS_DONE;
}

static void post_closed(chanserv_post *post, cs_err why, void *state)
{
    struct story *s = ((struct kept *)state)->story;

    (void)post;
    s->closes++;
    s->closed_why = why;
    s->post = NULL;
}

static void post_end(chanserv_post *post, cs_err why, void *state)
{
    struct story *s = ((struct kept *)state)->story;

    (void)post;
    s->ends++;
    s->end_why = why;
    cr_assert_leq(s->ends, s->closes, "closed, then end");
}

static const struct chanserv_post_ops post_ops = {
    .state_bytes = sizeof(struct kept), .next = post_next, .closed = post_closed, .end = post_end};

static cs_err flood(chanserv_post *post, cs_bytes body, void *user)
{
    struct kept kept = {.story = user};
    cs_err err;

    (void)body;
    err = chanserv_post_keep(post, &post_ops, &kept);
    if (err != CS_OK)
        return err;
    kept.story->posts++;
    kept.story->post = post;
    if (kept.story->words)
        chanserv_post_fail(post, kept.story->answer, "%s", kept.story->words);
    return post_next(post, &kept);
}

/* ---- The two sides -------------------------------------------------------------------------- */

struct story *story_new(const struct chanserv_server_options *server,
                        const struct chanserv_client_options *client)
{
    struct story *s = calloc(1, sizeof *s);

    cr_assert_not_null(s);
    cr_assert_eq(cs_loop_new_virtual(&s->loop), CS_OK);
    cr_assert_eq(chanserv_server_new(s->loop, server, &s->server), CS_OK);
    cr_assert_eq(chanserv_serve(s->server, "flood", flood, s), CS_OK);
    cr_assert_eq(chanserv_client_new(s->loop, client, &s->client), CS_OK);
    cr_assert_eq(chanserv_join_local(s->client, s->server), CS_OK);
    return s;
}

void story_free(struct story *s)
{
    chanserv_client_free(s->client);
    chanserv_server_free(s->server);
    cs_loop_free(s->loop);
    cr_assert_eq(s->ends, s->posts, "each post ends once: %d of %d", s->ends, s->posts);
    for (size_t i = 0; i < s->plans_len; i++)
        if (s->plans[i].announced == CS_OK)
            cr_assert_eq(s->plans[i].ends, 1, "plan %zu has %d ends", i, s->plans[i].ends);
    free(s);
}

struct plan *story_plan(struct story *s, struct plan plan)
{
    struct plan *to = &s->plans[s->plans_len];

    cr_assert_lt(s->plans_len, STORY_PLANS);
    *to = plan;
    to->announced = CS_AGAIN;
    to->index = s->plans_len++;
    return to;
}

chanserv_feed *story_post_for(struct story *s, int timeout_ms)
{
    const struct chanserv_post_options options = {.timeout_ms = timeout_ms};
    chanserv_feed *feed;

    cr_assert_eq(chanserv_lookup_and_post(s->client, "flood", cs_str("body"), &options, &feed),
                 CS_OK);
    cs_loop_settle(s->loop);
    return feed;
}

chanserv_feed *story_post(struct story *s)
{
    return story_post_for(s, 0);
}

void story_take(struct story *s, chanserv_feed *feed)
{
    chanserv_source *source;

    for (;;) {
        while ((s->feed_end = chanserv_feed_recv(feed, &source)) == CS_AGAIN &&
               cs_loop_settle(s->loop) > 0)
            ; /* taking opens the window */
        if (s->feed_end != CS_OK)
            return;
        cr_assert_lt(s->sources_len, STORY_PLANS);
        cr_assert_eq(chanserv_source_index(source), s->sources_len, "announcements in order");
        s->sources[s->sources_len++] = source;
    }
}

chanserv_source *story_source(struct story *s, struct plan plan, chanserv_feed **feed)
{
    story_plan(s, plan);
    *feed = story_post(s);
    story_take(s, *feed);
    cr_assert_eq(s->sources_len, s->plans_len);
    return s->sources[s->sources_len - 1];
}

void story_go(struct story *s, struct plan *plan)
{
    plan->goes = true;
    if (plan->outlet)
        chanserv_outlet_wake(plan->outlet);
    cs_loop_settle(s->loop);
}

/* ---- The reader ----------------------------------------------------------------------------- */

/* Taking opens the window, so there may be more as long as the loop has something to do. */
static cs_err recv_one(struct story *s, chanserv_source *source, cs_bytes *frame)
{
    cs_err err;

    while ((err = chanserv_source_recv(source, frame)) == CS_AGAIN && cs_loop_settle(s->loop) > 0)
        ;
    return err;
}

/* Which of its plan's frames it is follows from its number alone. */
void story_compare(const struct plan *plan, const chanserv_source *source, cs_bytes frame)
{
    const uint64_t parts = plan->parts > 0 ? (uint64_t)plan->parts : 1;
    uint64_t number = chanserv_source_seq(source);
    cs_bytes wanted;

    if (plan->gap > 0 && number >= (uint64_t)plan->gap_at * parts + plan->gap)
        number -= plan->gap;
    number /= parts;
    wanted = story_payload(plan, (int)number);
    cr_assert(cs_same(frame, wanted), "source %zu, frame %d: %zu bytes, wanted %zu", plan->index,
              (int)number, frame.len, wanted.len);
}

int story_read(struct story *s, chanserv_source *source, int frames, cs_err *ret)
{
    uint64_t expected = 0;
    cs_err err = CS_OK;
    cs_bytes frame;
    int n = 0;

    for (; n < frames && (err = recv_one(s, source, &frame)) == CS_OK; n++) {
        const struct plan *plan = &s->plans[chanserv_source_index(source)];
        uint64_t messages = plan->parts > 0 ? (uint64_t)plan->parts : 1;

        if (n > 0)
            cr_assert_eq(chanserv_source_seq(source),
                         expected + messages - 1 + chanserv_source_gap(source));
        expected = chanserv_source_seq(source) + 1;
        story_compare(plan, source, frame);
    }
    *ret = err;
    return n;
}

cs_err story_drain(struct story *s, chanserv_source *source)
{
    cs_err err;

    (void)story_read(s, source, STORY_ENDLESS, &err);
    return err;
}

/* ---- What the world does to them ------------------------------------------------------------ */

void story_break(struct story *s)
{
    mux_conn_break(chanserv__nodes_first(s->client)->conn);
    cs_loop_settle(s->loop);
}

void story_swallow(struct story *s)
{
    mux_conn_swallow(chanserv__nodes_first(s->client)->conn);
}

struct chanserv_counters story_counters(const struct story *s)
{
    struct chanserv_counters counters;

    chanserv_server_counters(s->server, &counters);
    return counters;
}
