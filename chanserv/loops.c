/* loops -- see loops__in.h: the loops of a server, from its making to its end.
 *
 *     new ──▶ begin: threads run ──▶ pause: they have stopped ──▶ end: one after the other goes
 *                 ▲                       │
 *                 └───────────────────────┘
 *
 * Only between begin and pause is there more than one thread, and then each server belongs to its own:
 * what one asks of another is an errand, heard at the beginning of a turn there.
 *
 * One port listens, on loop 0, and connections go round: a socket of each loop's own (SO_REUSEPORT) would
 * let a second process take the same port in silence, could not be a unix socket or a given one, and gives
 * two clients to one loop as often as not. */
#include "chanserv/loops__in.h"

#include "mux/across.h"

#include <stdio.h>
#include <time.h>

enum { DRAIN = 1, RELOAD = 2, COUNT = 4, STAT = 8 }; /* errands */
enum { COUNT_MS = 100, STAY_MS = 1000 * 3600 };

/* ---- Errands ----------------------------------------------------------------------------------- */

static void count(chanserv_server *server)
{
    struct chanserv__loops *loops = server->loops;
    struct chanserv__counted now;

    chanserv__counters_here(server, &now);
    pthread_mutex_lock(&loops->lock);
    server->at.counted = now;
    server->at.counted_at = loops->asked;
    pthread_cond_signal(&loops->counted);
    pthread_mutex_unlock(&loops->lock);
}

static void stat(chanserv_server *server)
{
    struct chanserv__loops *loops = server->loops;

    pthread_mutex_lock(&loops->lock);
    chanserv__stat_pack(server, loops->stat_max);
    server->at.counted_at = loops->asked;
    pthread_cond_signal(&loops->counted);
    pthread_mutex_unlock(&loops->lock);
}

static void on_errand(cs_knock *knock)
{
    chanserv_server *server = CS_CONTAINER(knock, chanserv_server, at.knock);
    const unsigned what = atomic_exchange(&server->at.errands, 0);

    if (what & DRAIN)
        chanserv_server_drain(server, atomic_load(&server->at.grace_ms));
    if ((what & RELOAD) && chanserv_server_reload(server) != CS_OK)
        cs_log(CS_ERROR, "server", "loop %zu: %s", server->at.number, server->story);
    if (what & COUNT)
        count(server);
    if (what & STAT)
        stat(server);
}

static void send_errand(chanserv_server *to, unsigned what)
{
    atomic_fetch_or(&to->at.errands, what);
    cs_loop_knock(to->loop, &to->at.knock);
}

/* ---- Making them ------------------------------------------------------------------------------- */

static void nothing(void *user)
{
    (void)user;
}

static cs_err add(struct chanserv__loops *loops, chanserv_server *server)
{
    struct chanserv__at *at = &server->at;
    const size_t n = loops->len++;

    loops->all[n] = server;
    server->loops = loops;
    server->totals = loops->all[0]->totals;
    at->number = n;
    cs_knock_init(&at->knock, on_errand);
    at->ways = cs_zalloc(loops->cap * sizeof *at->ways);
    return at->ways ? cs_timer_new(server->loop, nothing, NULL, &at->stays) : CS_ENOMEM;
}

static cs_err add_another(struct chanserv__loops *loops, cs_loop *loop,
                          const struct chanserv_server_options *options)
{
    const chanserv_server *first = loops->all[0];
    chanserv_server *server;
    cs_err err = chanserv_server_new(loop, options, &server);

    if (err != CS_OK)
        return err;
    memcpy(server->instance, first->instance, sizeof server->instance);
    memcpy(server->instance_hex, first->instance_hex, sizeof server->instance_hex);
    mux_handlers_count_with(server->handlers, first->handlers);
    return add(loops, server);
}

static struct chanserv__loops *alloc(size_t n)
{
    struct chanserv__loops *loops =
        cs_zalloc_with(sizeof *loops, n * (sizeof *loops->all + sizeof *loops->threads));
    pthread_condattr_t attr;

    if (!loops)
        return NULL;
    loops->cap = n;
    loops->all = cs_extra(loops, sizeof *loops);
    loops->threads = (pthread_t *)(void *)(loops->all + n);
    pthread_mutex_init(&loops->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&loops->counted, &attr);
    pthread_condattr_destroy(&attr);
    return loops;
}

cs_err chanserv__loops_new(chanserv_server *server, const struct chanserv_server_options *options,
                           cs_loop *loop, size_t n)
{
    struct chanserv__loops *loops = alloc(n);
    struct chanserv_server_options other = *options;
    cs_err err;

    if (!loops)
        return CS_ENOMEM;
    other.loops = 1;
    other.signals = false;
    other.drains = NULL;
    err = add(loops, server);
    while (err == CS_OK && loops->len < n)
        err = add_another(loops, loop, &other);
    return err;
}

void chanserv__loops_free(chanserv_server *server)
{
    struct chanserv__loops *loops = server->loops;

    if (!loops)
        return;
    cs_timer_free(server->at.stays);
    cs_knock_drop(server->loop, &server->at.knock);
    cs_free(server->at.ways);
    cs_buf_fini(&server->at.stat);
    if (server->at.number > 0)
        return;
    cs_map_fini(&loops->sessions);
    pthread_cond_destroy(&loops->counted);
    pthread_mutex_destroy(&loops->lock);
    cs_free(loops);
}

/* ---- Running ------------------------------------------------------------------------------------ */

static void *run(void *user)
{
    chanserv_server *server = user;

    while (!atomic_load(&server->loops->stops)) {
        cs_timer_set(server->at.stays, STAY_MS); /* a loop without anything would end */
        if (cs_loop_run(server->loop) != CS_OK)
            break;
    }
    return NULL;
}

/* Of what sessions keep.  Who waits for room waits on his own loop, so each has a part. */
static void share_out(struct chanserv__loops *loops)
{
    for (size_t i = 0; i < loops->len; i++) {
        loops->all[i]->kept_attached.bytes_max /= loops->len;
        loops->all[i]->kept_lingering.bytes_max /= loops->len;
    }
}

static void decide(struct chanserv__loops *loops)
{
    const struct cs_names *services = &loops->all[0]->services;
    size_t at = 0;
    void *service;

    if (loops->begun)
        return;
    loops->begun = true;
    loops->parallel = services->len > 0;
    while (cs_names_each(services, &at, &service))
        loops->parallel = loops->parallel && ((struct chanserv__service *)service)->parallel;
    if (loops->parallel)
        share_out(loops);
}

cs_err chanserv__loops_begin(chanserv_server *server)
{
    struct chanserv__loops *loops = server->loops;

    decide(loops);
    if (cs_loop_is_virtual(server->loop))
        return CS_OK;
    while (loops->running + 1 < loops->len) {
        size_t n = loops->running;

        if (pthread_create(&loops->threads[n], NULL, run, loops->all[n + 1]) != 0) {
            chanserv__loops_pause(server);
            return CS_ESYS;
        }
        loops->running++;
    }
    return CS_OK;
}

void chanserv__loops_pause(chanserv_server *server)
{
    struct chanserv__loops *loops = server->loops;

    atomic_store(&loops->stops, true);
    for (size_t i = 0; i < loops->running; i++)
        cs_loop_stop(loops->all[i + 1]->loop);
    while (loops->running > 0)
        pthread_join(loops->threads[--loops->running], NULL);
    atomic_store(&loops->stops, false);
}

/* What one says is on its way over several loops. */
static void settle(struct chanserv__loops *loops)
{
    enum { ROUNDS = 8 };

    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < loops->len; i++)
            cs_loop_last_turn(loops->all[i]->loop);
}

void chanserv__loops_end(chanserv_server *server)
{
    struct chanserv__loops *loops = server->loops;

    for (size_t i = 1; i < loops->len; i++)
        chanserv__server_tell_all(loops->all[i]);
    settle(loops);
    loops->ended = true;
    while (loops->len > 1) {
        chanserv_server_free(loops->all[loops->len - 1]);
        loops->len--;
    }
    settle(loops);
}

/* ---- Ports -------------------------------------------------------------------------------------- */

/* Each in turn, but for those whose thread is not there, or waits for no more. */
static mux_port *whose(const mux_port *port, void *user)
{
    chanserv_server *server = user, *next;
    struct chanserv__loops *loops = server->loops;
    size_t i = 0;

    loops->next = (loops->next + 1) % (loops->running + 1);
    next = loops->all[loops->next];
    if (next == server || atomic_load(&next->at.shut))
        return NULL;
    while (server->ports[i] != port)
        i++;
    return next->ports[i];
}

cs_err chanserv__loops_listen(chanserv_server *server, mux_port *port, char *why, size_t why_len)
{
    struct chanserv__loops *loops = server->loops;
    cs_err err = CS_OK;

    if (loops->running > 0) {
        snprintf(why, why_len, "listen %s: not while several loops run", mux_port_addr(port));
        return CS_EMISUSE;
    }
    loops->next = loops->len - 1;
    for (size_t i = 1; i < loops->len && err == CS_OK; i++) {
        chanserv_server *other = loops->all[i];
        mux_port **ports = cs_realloc(other->ports, (other->ports_len + 1) * sizeof *other->ports);

        if (!ports)
            return CS_ENOMEM;
        other->ports = ports;
        err = mux_port_beside(other->loop, port, &other->options.net, other->handlers,
                              &ports[other->ports_len], why, why_len);
        other->ports_len += err == CS_OK;
    }
    if (err == CS_OK)
        mux_port_share(port, whose, server);
    return err;
}

void chanserv__loops_reload(chanserv_server *server)
{
    for (size_t i = 1; i < server->loops->len; i++)
        send_errand(server->loops->all[i], RELOAD);
}

/* ---- Counting ----------------------------------------------------------------------------------- */

static void sum(struct chanserv__counted *to, const struct chanserv__counted *from)
{
#define X(name, help) to->counters.name += from->counters.name;
    CHANSERV_COUNTERS(X)
#undef X
#define X(name, help) cs_histogram_sum(&to->histograms.name, &from->histograms.name);
    CHANSERV_HISTOGRAMS(X)
#undef X
}

static bool all_answered(const struct chanserv__loops *loops)
{
    for (size_t i = 1; i < loops->len; i++)
        if (loops->all[i]->at.counted_at != loops->asked)
            return false;
    return true;
}

/* Each says what it counts at the beginning of its next turn; one that is late said so before. */
static void ask(struct chanserv__loops *loops, unsigned what)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += COUNT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&loops->lock);
    loops->asked++;
    pthread_mutex_unlock(&loops->lock);
    for (size_t i = 1; i < loops->len; i++)
        send_errand(loops->all[i], what);
    pthread_mutex_lock(&loops->lock);
    while (!all_answered(loops) &&
           pthread_cond_timedwait(&loops->counted, &loops->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&loops->lock);
}

void chanserv__loops_count(chanserv_server *server, struct chanserv__counted *add_to)
{
    struct chanserv__loops *loops = server->loops;

    if (loops->running > 0)
        ask(loops, COUNT);
    else
        for (size_t i = 1; i < loops->len; i++)
            count(loops->all[i]);
    pthread_mutex_lock(&loops->lock);
    for (size_t i = 1; i < loops->len; i++)
        sum(add_to, &loops->all[i]->at.counted);
    pthread_mutex_unlock(&loops->lock);
}

void chanserv__loops_stat(chanserv_server *server, size_t max)
{
    struct chanserv__loops *loops = server->loops;

    pthread_mutex_lock(&loops->lock);
    loops->stat_max = max;
    for (size_t i = 1; i < loops->len; i++)
        cs_buf_fini(&loops->all[i]->at.stat); /* one that is late says nothing, not what was */
    pthread_mutex_unlock(&loops->lock);
    if (loops->running > 0)
        ask(loops, STAT);
    else
        for (size_t i = 1; i < loops->len; i++)
            stat(loops->all[i]);
}

/* ---- Draining ----------------------------------------------------------------------------------- */

void chanserv__loops_drain(chanserv_server *server, int grace_ms)
{
    for (size_t i = 1; i < server->loops->len; i++) {
        chanserv_server *other = server->loops->all[i];

        atomic_store(&other->at.grace_ms, grace_ms);
        send_errand(other, DRAIN);
    }
}

size_t chanserv__loops_held(const chanserv_server *server)
{
    size_t held = 0;

    for (size_t i = 0; server->loops && i < server->loops->len; i++)
        if (server->loops->all[i] != server)
            held += atomic_load(&server->loops->all[i]->at.held);
    return held;
}

bool chanserv__loops_shut(const chanserv_server *server)
{
    for (size_t i = 0; server->loops && i < server->loops->len; i++)
        if (server->loops->all[i] != server && !atomic_load(&server->loops->all[i]->at.shut))
            return false;
    return true;
}

bool chanserv__loops_over(const chanserv_server *server)
{
    for (size_t i = 0; server->loops && i < server->loops->len; i++)
        if (server->loops->all[i] != server && !atomic_load(&server->loops->all[i]->at.over))
            return false;
    return true;
}

/* ---- Sessions ----------------------------------------------------------------------------------- */

cs_err chanserv__loops_home(chanserv_server *server, uint64_t session)
{
    struct chanserv__loops *loops = server->loops;
    cs_err err;

    if (!loops || !loops->parallel)
        return CS_OK;
    pthread_mutex_lock(&loops->lock);
    err = cs_map_put(&loops->sessions, session, server);
    pthread_mutex_unlock(&loops->lock);
    return err;
}

void chanserv__loops_forget(chanserv_server *server, uint64_t session)
{
    struct chanserv__loops *loops = server->loops;

    if (!loops || !loops->parallel)
        return;
    pthread_mutex_lock(&loops->lock);
    (void)cs_map_remove(&loops->sessions, session);
    pthread_mutex_unlock(&loops->lock);
}
