/* Sources that live on something else than being asked: on what their reader says, and on the time. */
#include "bench/kit.h"

/* ---- echo: what was received is the next frame ----------------------------------------------------- */

static cs_err echo_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    (void)state;
    cs_err err = chanserv_outlet_recv(out, frame);
    if (err == CS_OK && kit_corrupts() && frame->len > 0)
        *frame = kit_spoiled(*frame);
    return err;
}

static void echo_readable(chanserv_outlet *out, void *state)
{
    (void)state;
    chanserv_outlet_wake(out);
}

static const struct chanserv_outlet_ops echo_ops = {
    .next = echo_next, .readable = echo_readable, .uplink = true};

cs_err kit_echo(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    cs_err err = chanserv_announce(post, kit_frame(0, HDR), &echo_ops, NULL, NULL);
    return err == CS_OK ? CS_DONE : err;
}

/* ---- stamps: the time is taken when there is something to say, not when there is room for it --------- */

struct stamps {
    chanserv_outlet *out;
    cs_timer *timer;
    uint64_t at, said_ns; /* of the frame that waits; 0: none */
    uint8_t frame[SMALL];
};

static void stamps_tick(void *user)
{
    struct stamps *s = user;
    if (s->said_ns == 0)
        s->said_ns = now_ns();
    chanserv_outlet_wake(s->out);
    cs_timer_set(s->timer, 1);
}

static cs_err stamps_next(chanserv_outlet *out, cs_bytes *frame, void *state)
{
    (void)out;
    struct stamps *s = state;
    if (s->said_ns == 0)
        return CS_AGAIN;
    cs_bytes rest = kit_frame(s->at, SMALL);
    if (s->at++ == 0 && kit_corrupts())
        rest = kit_spoiled(rest);
    memcpy(s->frame, rest.base, SMALL);
    memcpy(s->frame, &s->said_ns, sizeof s->said_ns);
    s->said_ns = 0;
    *frame = cs_bytes_of(s->frame, SMALL);
    return CS_OK;
}

static cs_err stamps_open(chanserv_outlet *out, uint64_t from, void *state)
{
    struct stamps *s = state;
    if (from != 0)
        return CS_ERANGE;
    s->out = out;
    cs_err err =
        cs_timer_new(chanserv_post_loop(chanserv_outlet_post(out)), stamps_tick, s, &s->timer);
    if (err == CS_OK)
        cs_timer_set(s->timer, 1);
    return err;
}

static void stamps_end(chanserv_outlet *out, cs_err why, void *state)
{
    (void)out, (void)why;
    struct stamps *s = state;
    cs_timer_free(s->timer);
}

static const struct chanserv_outlet_ops stamps_ops = {.state_bytes = sizeof(struct stamps),
                                                      .next = stamps_next,
                                                      .open = stamps_open,
                                                      .end = stamps_end};

cs_err kit_stamps(chanserv_post *post, cs_bytes body, void *user)
{
    (void)body, (void)user;
    const struct stamps s = {0};
    cs_err err = chanserv_announce(post, kit_frame(0, HDR), &stamps_ops, (void *)&s, NULL);
    return err == CS_OK ? CS_DONE : err;
}
