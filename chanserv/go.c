/* go -- Go's `go`: a thread of its own that feeds a source from its opening on.
 *
 * The thread has the channel, a copy of the state, and nothing of the server's but the loop that
 * it tells of its end.  Its record belongs to the server's list until the thread was joined, so
 * no thread ever runs behind freed memory. */
#include "chanserv/server__in.h"

#include <pthread.h>
#include <signal.h>

struct go {
    struct cs_link link; /* of server->gos, from the start of the thread until it is joined */
    chanserv_server *server;
    chanserv_go_fn *run;
    cs_chan *chan; /* the outlet's has a count of its own */
    pthread_t thread;
    int refs; /* of the outlet; and of the thread, until thread_over() has run */
    bool running;
    bool told; /* written by the thread last, read after it was joined */
    /* The state follows. */
};

static void go_drop(struct go *go)
{
    if (--go->refs > 0)
        return;
    cs_chan_free(go->chan);
    cs_free(go);
}

static void thread_drop(struct go *go)
{
    go->server->calls--;
    go_drop(go);
}

static void join(struct go *go)
{
    (void)pthread_join(go->thread, NULL);
    cs_unlink(&go->link);
    go->running = false;
    go->server->counters.go_threads--;
}

/* On the loop: the thread has nothing left to do but end.  One that could not say so (no memory
 * for the call) is joined when the server goes. */
static void thread_over(void *user)
{
    struct go *go = user;

    if (go->running)
        join(go);
    thread_drop(go);
}

static void *thread_main(void *arg)
{
    struct go *go = arg;
    cs_err err = go->run(go->chan, cs_extra(go, sizeof *go));

    if (err == CS_OK)
        err = CS_DONE;
    cs_chan_close(go->chan, err == CS_AGAIN ? CS_EMISUSE : err);
    go->told = cs_loop_call(go->server->loop, thread_over, go) == CS_OK;
    return NULL;
}

/* Signals are for the program's own threads. */
static int thread_start(struct go *go)
{
    sigset_t all, before;
    int failed;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&go->thread, NULL, thread_main, go);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static cs_err go_open(chanserv_outlet *o, uint64_t from, void *state)
{
    struct go *go = state;
    cs_err err;

    if (from != 0) /* it makes its frames once, from the first on */
        return chanserv_outlet_fail(o, CS_ERANGE, "these frames can be had from 0 on only");
    err = chanserv_outlet_pour(o, go->chan);
    if (err != CS_OK)
        return err;
    if (thread_start(go) != 0)
        return chanserv_outlet_fail(o, CS_ELIMIT, "no thread can be started");
    go->refs++;
    go->running = true;
    go->server->calls++;
    go->server->counters.go_threads++;
    cs_list_push(&go->server->gos, &go->link);
    return CS_OK;
}

static void go_end(chanserv_outlet *o, cs_err why, void *state)
{
    (void)o, (void)why;
    go_drop(state);
}

static const struct chanserv_outlet_ops go_ops = {.open = go_open, .end = go_end};

cs_err chanserv_go(chanserv_post *post, cs_bytes header, chanserv_go_fn *run, const void *state,
                   size_t state_bytes)
{
    cs_err err = chanserv__announce_check(post, header);
    chanserv_outlet *o = NULL;
    struct go *go;

    if (err != CS_OK)
        return err;
    go = cs_zalloc_with(sizeof *go, state_bytes);
    if (!go || cs_chan_new(0, &go->chan) != CS_OK ||
        chanserv__outlet_new(post, header, &go_ops, go, &o) != CS_OK) {
        if (go && go->chan)
            cs_chan_free(go->chan);
        cs_free(go);
        return chanserv__announce_lost(post, CS_ENOMEM);
    }
    cs_link_init(&go->link);
    go->refs = 1;
    go->server = post->server;
    go->run = run;
    if (state_bytes && state)
        memcpy(cs_extra(go, sizeof *go), state, state_bytes);
    chanserv__announce_queue(o);
    return CS_OK;
}

void chanserv__go_stop(chanserv_server *server)
{
    struct cs_link *link = cs_list_first(&server->gos);

    for (; link; link = cs_list_next(&server->gos, link))
        cs_chan_cancel(CS_CONTAINER(link, struct go, link)->chan);
}

void chanserv__go_join(chanserv_server *server)
{
    struct cs_link *link;

    while ((link = cs_list_first(&server->gos)) != NULL) {
        struct go *go = CS_CONTAINER(link, struct go, link);

        join(go);
        if (!go->told)
            thread_drop(go);
    }
}
