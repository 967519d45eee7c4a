/* outlet_times -- the clocks of an open outlet that are off by default.
 *
 *   serving   runs from its opening; ends it, whatever it does
 *   write     runs while frames wait for a reader who takes none */
#include "chanserv/server__in.h"

enum { LOOKS = 8 }; /* in a write timeout; what went out just before the first costs one more */

struct chanserv__outlet_times {
    cs_timer *serving, *write;
    size_t queued; /* bytes that waited when we looked last */
    int in_vain;   /* looks since something went out */
    bool running;
};

static void serving_due(void *user)
{
    chanserv__outlet_cut(user, WIRE_R_DEADLINE, CS_ETIMEOUT, CHANSERV__DEADLINE);
}

static void look_later(chanserv_outlet *o)
{
    int after_ms = o->post->server->options.write_timeout_ms / LOOKS;

    cs_timer_set(o->more->times->write, after_ms > 0 ? after_ms : 1);
}

static void write_start(chanserv_outlet *o)
{
    o->more->times->queued = mux_stream_queued(o->u.open.stream);
    o->more->times->running = o->more->times->queued > 0;
    o->more->times->in_vain = 0;
    if (o->more->times->running)
        look_later(o);
    else
        cs_timer_set(o->more->times->write, CS_OFF);
}

/* Less than before: the reader took something since, be it without our having been asked. */
static void write_due(void *user)
{
    chanserv_outlet *o = user;
    size_t queued = mux_stream_queued(o->u.open.stream);

    if (queued == 0 || queued < o->more->times->queued)
        write_start(o);
    else if (++o->more->times->in_vain < LOOKS)
        look_later(o);
    else
        chanserv__outlet_cut(o, WIRE_R_STALLED, CS_ESTALLED, CHANSERV__STALLED);
}

cs_err chanserv__times_new(chanserv_outlet *o)
{
    const struct chanserv_server_options *options = &o->post->server->options;
    cs_loop *loop = o->post->server->loop;
    cs_err err = CS_OK;

    if (options->serving_timeout_ms == CS_OFF && options->write_timeout_ms == CS_OFF)
        return CS_OK;
    if (!chanserv__outlet_more(o) || !(o->more->times = cs_zalloc(sizeof *o->more->times)))
        return CS_ENOMEM;
    if (options->serving_timeout_ms != CS_OFF)
        err = cs_timer_new(loop, serving_due, o, &o->more->times->serving);
    if (err == CS_OK && options->write_timeout_ms != CS_OFF)
        err = cs_timer_new(loop, write_due, o, &o->more->times->write);
    if (err != CS_OK)
        chanserv__times_free(o);
    else if (o->more->times->serving)
        cs_timer_set(o->more->times->serving, options->serving_timeout_ms);
    return err;
}

void chanserv__times_free(chanserv_outlet *o)
{
    if (!o->more || !o->more->times)
        return;
    if (o->more->times->serving)
        cs_timer_free(o->more->times->serving);
    if (o->more->times->write)
        cs_timer_free(o->more->times->write);
    cs_free(o->more->times);
    o->more->times = NULL;
}

/* What went out between two pulls is the reader's taking. */
void chanserv__times_before_pull(chanserv_outlet *o)
{
    if (o->more->times->running && mux_stream_queued(o->u.open.stream) < o->more->times->queued)
        o->more->times->running = false;
}

void chanserv__times_after_pull(chanserv_outlet *o)
{
    struct chanserv__outlet_times *times = o->more->times;

    /* A timeout, or the producer, may have ended it meanwhile. */
    if (!times || !times->write || o->life != CHANSERV__OPEN || o->flags & CHANSERV__CUT)
        return;
    if (!times->running)
        write_start(o);
    else
        times->queued = mux_stream_queued(o->u.open.stream);
}
