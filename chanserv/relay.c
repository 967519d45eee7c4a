/* relay -- a source from there is a source from here: an outlet whose producer is a source.
 *
 *      there ── frames ──▶ source | outlet ── frames ──▶ our reader
 *            ◀── uplink ──        |        ◀── uplink ──
 *
 * Each is asked by the other: next_ref() of the outlet receives from the source, so our reader's
 * window is what holds up the producer there; the uplink the other way round.  Nothing is queued
 * here but one frame that the producer there had no room for.
 *
 * `near` lives in the outlet, `far` in the source, and which goes first can be either: who goes
 * lets go of the other. */
#include "chanserv/adapters.h"

struct near {
    chanserv_source *source; /* kept: ours to close */
    cs_ref up;               /* `is_stuck`: a frame from our reader that is not sent on yet */
    bool is_stuck;
    bool is_started; /* there is a `far` */
};
struct far {
    chanserv_outlet *outlet; /* NULL: it has ended */
};

/* ---- Up: from our reader to the producer there ---------------------------------------------- */

/* The next frame to send; CS_OK: it is in `near`. */
static cs_err hear(chanserv_outlet *o, struct near *near)
{
    cs_err err = near->is_stuck ? CS_OK : chanserv_outlet_recv_ref(o, &near->up);

    if (err == CS_DONE)
        chanserv_source_finish(near->source);
    if (err != CS_OK || near->is_stuck)
        return err;
    near->is_stuck = true;
    if (chanserv_outlet_gap(o) == 0)
        return CS_OK;
    err = chanserv_outlet_fail(o, CS_ENOTSUP, "a gap in what is sent up cannot be relayed");
    chanserv_outlet_cancel(o, err);
    return err;
}

static void relay_up(chanserv_outlet *o, void *state)
{
    struct near *near = state;
    cs_err err;

    while (hear(o, near) == CS_OK) {
        err = chanserv_source_send_ref(near->source, &near->up, CS_NOW);
        if (err == CS_AGAIN)
            return; /* on_writable() */
        near->is_stuck = false;
        cs_ref_drop(&near->up);
        /* Any other failure is how the source ended: relay_next() comes to that. */
        if (err == CS_ENOMEM || err == CS_ETOOBIG)
            chanserv_outlet_cancel(
                o, chanserv_outlet_fail(o, err, "relay to %.*s: %s",
                                        CS_FMT(chanserv_post_service(chanserv_outlet_post(o))),
                                        cs_strerror(err)));
    }
}

/* ---- The source there ----------------------------------------------------------------------- */

static void on_readable(chanserv_source *source, void *state)
{
    struct far *far = state;

    (void)source;
    chanserv_outlet_wake(far->outlet);
}

static void on_writable(chanserv_source *source, void *state)
{
    struct far *far = state;

    (void)source;
    relay_up(far->outlet, chanserv_outlet_state(far->outlet));
}

/* Nothing is left to receive but the end. */
static void on_end(chanserv_source *source, cs_err why, void *state)
{
    struct far *far = state;

    (void)source, (void)why;
    if (far->outlet)
        chanserv_outlet_wake(far->outlet);
}

static const struct chanserv_source_ops far_ops = {.state_bytes = sizeof(struct far),
                                                   .readable = on_readable,
                                                   .writable = on_writable,
                                                   .end = on_end};

/* ---- Our outlet ------------------------------------------------------------------------------ */

static cs_err relay_open(chanserv_outlet *o, uint64_t from, void *state)
{
    struct near *near = state;
    struct far far = {.outlet = o};
    cs_err err = chanserv_source_status(near->source);

    if (cs_failed(err)) /* its client is gone */
        return chanserv_outlet_fail(o, err, "%s", chanserv_source_errmsg(near->source));
    err = chanserv_source_open(near->source, from);
    if (err == CS_OK)
        err = chanserv_source_start(near->source, &far_ops, &far);
    near->is_started = err == CS_OK;
    if (err == CS_EMISUSE)
        chanserv_outlet_fail(o, err, "the source to relay is open already, or not of this loop");
    return err;
}

static cs_err relay_next(chanserv_outlet *o, cs_ref *frame, void *state)
{
    struct near *near = state;
    cs_err err = chanserv_source_recv_ref(near->source, frame);

    if (err == CS_AGAIN)
        return err;
    chanserv_outlet_skip(o, chanserv_source_gap(near->source), CHANSERV_GAP_OVERFLOW);
    if (cs_failed(err))
        chanserv_outlet_fail(o, err, "%s", chanserv_source_errmsg(near->source));
    return err;
}

static void relay_end(chanserv_outlet *o, cs_err why, void *state)
{
    struct near *near = state;

    (void)o, (void)why;
    if (near->is_started)
        ((struct far *)chanserv_source_state(near->source))->outlet = NULL;
    cs_ref_drop(&near->up);
    chanserv_source_close(near->source);
}

static const struct chanserv_outlet_ops relay_ops = {.state_bytes = sizeof(struct near),
                                                     .open = relay_open,
                                                     .next_ref = relay_next,
                                                     .end = relay_end};
static const struct chanserv_outlet_ops relay_both_ops = {.state_bytes = sizeof(struct near),
                                                          .open = relay_open,
                                                          .next_ref = relay_next,
                                                          .readable = relay_up,
                                                          .end = relay_end,
                                                          .uplink = true};

cs_err chanserv_relay_source(chanserv_post *post, cs_bytes header, chanserv_source *source)
{
    const bool both = chanserv_source_has_uplink(source);
    struct near near = {.source = source};
    cs_err err = chanserv_announce(post, header.len ? header : chanserv_source_header(source),
                                   both ? &relay_both_ops : &relay_ops, &near, NULL);

    if (err == CS_OK)
        chanserv_source_keep(source);
    return err;
}

/* ---- A whole feed ---------------------------------------------------------------------------- */

/* The same two ends: in the post and in the feed. */
struct near_post {
    chanserv_feed *feed;      /* NULL: it has ended, with `status` */
    chanserv_source *waiting; /* kept: its announcement was told to come again; or NULL */
    cs_err status;
};
struct far_feed {
    chanserv_post *post; /* NULL: it is over */
};

static cs_err next_source(chanserv_post *post, void *state)
{
    struct near_post *near = state;
    cs_err err;

    if (!near->waiting) {
        if (!near->feed)
            return near->status;
        err = chanserv_feed_recv(near->feed, &near->waiting);
        if (cs_failed(err))
            chanserv_post_fail(post, err, "%s", chanserv_feed_errmsg(near->feed));
        if (err != CS_OK)
            return err;
        chanserv_source_keep(near->waiting);
    }
    err = chanserv_relay_source(post, cs_bytes_of(NULL, 0), near->waiting);
    if (err == CS_OK)
        near->waiting = NULL;
    return err;
}

static void post_closed(chanserv_post *post, cs_err why, void *state)
{
    struct near_post *near = state;

    (void)post, (void)why;
    chanserv_source_close(near->waiting);
    if (!near->feed)
        return;
    ((struct far_feed *)chanserv_feed_state(near->feed))->post = NULL;
    chanserv_feed_close(near->feed);
}

static const struct chanserv_post_ops near_post_ops = {
    .state_bytes = sizeof(struct near_post), .next = next_source, .closed = post_closed};

static void feed_readable(chanserv_feed *feed, void *state)
{
    struct far_feed *far = state;

    (void)feed;
    chanserv_post_wake(far->post);
}

static void feed_end(chanserv_feed *feed, cs_err why, void *state)
{
    struct far_feed *far = state;
    struct near_post *near;

    if (!far->post)
        return;
    near = chanserv_post_state(far->post);
    near->feed = NULL;
    near->status = why;
    if (cs_failed(why))
        chanserv_post_fail(far->post, why, "%s", chanserv_feed_errmsg(feed));
    chanserv_post_wake(far->post);
    chanserv_feed_close(feed);
}

static const struct chanserv_feed_ops far_feed_ops = {
    .state_bytes = sizeof(struct far_feed), .readable = feed_readable, .end = feed_end};

cs_err chanserv_relay_feed(chanserv_post *post, chanserv_feed *feed)
{
    struct near_post near = {.feed = feed};
    struct far_feed far = {.post = post};
    cs_err err = chanserv_post_keep(post, &near_post_ops, &near);

    if (err != CS_OK)
        return err;
    err = chanserv_feed_start(feed, &far_feed_ops, &far);
    if (err != CS_OK) {
        struct near_post *kept = chanserv_post_state(post);

        kept->feed = NULL;
        kept->status = err;
    }
    return err;
}
