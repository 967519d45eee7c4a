/* kind_gen -- a service of generated sources: as many as asked, each byte known to both sides.
 *
 * The body says what is wanted, "sources=5&frames=2&size=64&delay_ms=0&status=0&eager=0". */
#include "tools/kind.h"
#include "tools/gen.h"
#include "tools/tool.h"

#include <stdlib.h>

/* How many announcements are made before others get their turn. */
enum { ANNOUNCE_AT_ONCE = 64, EAGER_SIZE_MAX = 4096 };

struct gen_asked {
    uint64_t sources, frames, size, delay_ms, status, eager;
};

/* The state of a post; its sources look here too, for it outlives them. */
struct gen {
    struct gen_asked asked;
    uint64_t announced;
};

struct gen_source {
    struct gen *gen;
    uint8_t *frame; /* the one given last, asked.size bytes; from open() on */
    cs_timer *timer;
    int64_t due_ms; /* when the next frame may be given */
    uint64_t i, j;
};

/* ---- A source ------------------------------------------------------------------------------- */

static void gen_due(void *user)
{
    chanserv_outlet_wake(user);
}

static cs_err gen_open(chanserv_outlet *outlet, uint64_t from, void *state)
{
    cs_loop *loop = chanserv_post_loop(chanserv_outlet_post(outlet));
    struct gen_source *s = state;

    if (from > s->gen->asked.frames)
        return chanserv_outlet_fail(outlet, CS_ERANGE, "there are %llu frames, and no frame %llu",
                                    (unsigned long long)s->gen->asked.frames,
                                    (unsigned long long)from);
    s->j = from;
    s->due_ms = cs_loop_now_ms(loop);
    s->frame = malloc(s->gen->asked.size ? (size_t)s->gen->asked.size : 1);
    if (!s->frame)
        return CS_ENOMEM;
    if (s->gen->asked.delay_ms == 0)
        return CS_OK;
    return cs_timer_new(loop, gen_due, outlet, &s->timer);
}

static cs_err gen_last_word(chanserv_outlet *outlet, const struct gen_source *s)
{
    if (s->gen->asked.status == 0)
        return CS_DONE;
    return chanserv_outlet_fail(outlet, (cs_err)(16 + s->gen->asked.status),
                                "source @%llu ends as asked: schön, 好的 ✓",
                                (unsigned long long)s->i);
}

static cs_err gen_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct gen_source *s = state;
    const struct gen_asked *asked = &s->gen->asked;

    if (s->j == asked->frames)
        return gen_last_word(outlet, s);
    if (s->timer) {
        int64_t now = cs_loop_now_ms(chanserv_post_loop(chanserv_outlet_post(outlet)));
        if (now < s->due_ms) {
            cs_timer_set(s->timer, (int)(s->due_ms - now));
            return CS_AGAIN;
        }
        s->due_ms = now + (int64_t)asked->delay_ms;
    }
    gen_fill(s->frame, (size_t)asked->size, s->i, s->j++);
    *frame = cs_bytes_of(s->frame, (size_t)asked->size);
    return CS_OK;
}

static void gen_end(chanserv_outlet *outlet, cs_err why, void *state)
{
    struct gen_source *s = state;

    (void)outlet;
    (void)why;
    if (s->timer)
        cs_timer_free(s->timer);
    free(s->frame);
}

static const struct chanserv_outlet_ops lazy_ops = {
    .state_bytes = sizeof(struct gen_source), .open = gen_open, .next = gen_next, .end = gen_end};
static const struct chanserv_outlet_ops eager_ops = {.state_bytes = sizeof(struct gen_source),
                                                     .open = gen_open,
                                                     .next = gen_next,
                                                     .end = gen_end,
                                                     .eager = true};

/* ---- What is asked -------------------------------------------------------------------------- */

static cs_err gen_parse(chanserv_post *post, cs_bytes body, struct gen_asked *asked)
{
    const struct {
        const char *name;
        uint64_t max, *to;
    } known[] = {
        {"sources", 1000000000, &asked->sources}, {"frames", UINT32_MAX, &asked->frames},
        {"size", 100 << 20, &asked->size},        {"delay_ms", 86400000, &asked->delay_ms},
        {"status", 16, &asked->status},           {"eager", 1, &asked->eager},
    };
    enum { KNOWN = sizeof known / sizeof *known };
    cs_pair pair;
    size_t k;

    while (tool_query_next(&body, &pair)) {
        for (k = 0; k < KNOWN && !cs_same(pair.name, cs_str(known[k].name)); k++)
            continue;
        if (k == KNOWN)
            return chanserv_post_fail(post, CS_EINVAL,
                                      "gen: '%.*s' is none of sources, frames, size, delay_ms, "
                                      "status, eager",
                                      CS_FMT(pair.name));
        if (!tool_number(pair.value, known[k].max, known[k].to))
            return chanserv_post_fail(
                post, CS_EINVAL, "gen: %s is a number from 0 to %llu, not '%.*s'", known[k].name,
                (unsigned long long)known[k].max, (int)pair.value.len,
                pair.value.len ? (const char *)pair.value.base : "");
    }
    /* An eager source has its first frame in memory before anybody opens it. */
    if (asked->eager && asked->size > EAGER_SIZE_MAX)
        return chanserv_post_fail(post, CS_EINVAL, "gen: an eager source has frames of %d at most",
                                  EAGER_SIZE_MAX);
    return CS_OK;
}

/* ---- A post --------------------------------------------------------------------------------- */

static cs_err gen_post_next(chanserv_post *post, void *state)
{
    struct gen *gen = state;
    const struct chanserv_outlet_ops *ops = gen->asked.eager ? &eager_ops : &lazy_ops;
    char header[32];
    cs_err err;

    for (int n = 0; n < ANNOUNCE_AT_ONCE && gen->announced < gen->asked.sources; n++) {
        struct gen_source source = {.gen = gen, .i = gen->announced};
        snprintf(header, sizeof header, "source @%llu", (unsigned long long)source.i);
        err = chanserv_announce(post, cs_str(header), ops, &source, NULL);
        if (err != CS_OK)
            return err;
        gen->announced++;
    }
    return gen->announced < gen->asked.sources ? CS_OK : CS_DONE;
}

static const struct chanserv_post_ops gen_ops = {.state_bytes = sizeof(struct gen),
                                                 .next = gen_post_next};

static cs_err gen_post(chanserv_post *post, cs_bytes body, void *user)
{
    struct gen gen = {.asked = {.sources = 5, .frames = 2, .size = 64}};
    cs_err err = gen_parse(post, body, &gen.asked);

    (void)user;
    if (err == CS_OK)
        err = chanserv_post_keep(post, &gen_ops, &gen);
    return err;
}

const struct tool_kind tool_kind_gen = {.name = "gen",
                                        .open = tool_kind_no_args,
                                        .post = gen_post,
                                        .is_stateless = true,
                                        .close = tool_kind_nothing};
