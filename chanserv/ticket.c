/* ticket -- what opens a source, once; and the memory of those that open nothing any more.
 *
 *   | instance 8 | home loop 1 | index 7 | secret 16 |
 *
 * The index is public and finds the outlet: half of it is the outlet's place in a table, half a count of
 * all tickets.  The secret is compared in constant time, so that timing tells nothing.  A ticket lives as
 * long as its outlet; after that up to 65,536 are remembered by index with what to answer. */
#include "chanserv/server__in.h"

enum { HOME_AT = 8, INDEX_AT = 9, SECRET_AT = 16, SECRET = 16, TOLD_BITS = 8 };
enum { COUNT_BITS = 28, PLACES_MIN = 64, PLACES_FEW = 4096, PLACES_MAX = 1 << 28 };

struct chanserv__place {
    chanserv_outlet *outlet; /* NULL: free, */
    size_t next;             /* and then this one is */
};

/* Random bytes come from the system by the pool: a system call an announcement would show. */
static cs_err secret_take(struct chanserv__tickets *t, uint8_t *to)
{
    if (t->pool_left < SECRET) {
        cs_err err = cs_random(t->pool, sizeof t->pool);
        if (err != CS_OK)
            return err;
        t->pool_left = sizeof t->pool;
    }
    t->pool_left -= SECRET;
    memcpy(to, t->pool + t->pool_left, SECRET);
    memset(t->pool + t->pool_left, 0, SECRET);
    return CS_OK;
}

/* ---- Places --------------------------------------------------------------------------------- */

static cs_err places_grow(struct chanserv__tickets *t)
{
    const size_t cap = t->places_cap ? 2 * t->places_cap : PLACES_MIN;
    struct chanserv__place *places;

    if (cap > PLACES_MAX)
        return CS_ELIMIT;
    if (!(places = cs_realloc(t->places, cap * sizeof *places)))
        return CS_ENOMEM;
    for (size_t i = t->places_cap; i < cap; i++)
        places[i] = (struct chanserv__place){NULL, i + 1};
    t->places = places;
    t->places_cap = cap;
    return CS_OK;
}

static void place_leave(struct chanserv__tickets *t, size_t at)
{
    t->places[at] = (struct chanserv__place){NULL, t->free};
    t->free = at;
    if (--t->live > 0 || t->places_cap <= PLACES_FEW)
        return;
    cs_free(t->places); /* there have been very many */
    t->places = NULL;
    t->places_cap = t->free = 0;
}

static chanserv_outlet *place_find(const struct chanserv__tickets *t, uint64_t index)
{
    const uint64_t at = index >> COUNT_BITS;
    chanserv_outlet *outlet = at < t->places_cap ? t->places[at].outlet : NULL;

    return outlet && outlet->index == index ? outlet : NULL;
}

/* ---- Issued, found, dead -------------------------------------------------------------------- */

cs_err chanserv__ticket_issue(chanserv_server *server, chanserv_outlet *outlet)
{
    struct chanserv__tickets *t = &server->tickets;
    const size_t at = t->free;
    cs_err err = secret_take(t, outlet->secret);

    if (err == CS_OK && at == t->places_cap)
        err = places_grow(t);
    if (err != CS_OK)
        return err;
    t->free = t->places[at].next;
    t->places[at].outlet = outlet;
    t->live++;
    t->last = t->last % ((1 << COUNT_BITS) - 1) + 1; /* never 0 */
    outlet->index = (uint64_t)at << COUNT_BITS | t->last;
    return CS_OK;
}

void chanserv__ticket_put(const chanserv_outlet *outlet, uint8_t *to)
{
    memcpy(to, outlet->post->server->instance, HOME_AT);
    to[HOME_AT] = (uint8_t)outlet->post->server->at.number;
    for (int i = 0; i < 7; i++)
        to[INDEX_AT + i] = (uint8_t)(outlet->index >> (8 * (6 - i)));
    memcpy(to + SECRET_AT, outlet->secret, SECRET);
}

/* CS_OK: not remembered. */
static cs_err dead_told(const struct chanserv__tickets *t, uint64_t index)
{
    uint64_t slot = t->dead[index % t->dead_cap];

    return slot >> TOLD_BITS == index ? (cs_err)(slot & ((1 << TOLD_BITS) - 1)) : CS_OK;
}

chanserv_outlet *chanserv__ticket_find(chanserv_server *server, cs_bytes ticket,
                                       enum wire_reason *ret_why, cs_err *ret_err)
{
    const uint8_t *at = ticket.base;
    chanserv_outlet *outlet;
    uint64_t index = 0;
    cs_err told;

    *ret_err = CS_OK;
    if (memcmp(at, server->instance, HOME_AT) != 0) {
        *ret_why = WIRE_R_OTHER_INSTANCE;
        return NULL;
    }
    *ret_why = WIRE_R_UNKNOWN_TICKET;
    if (at[HOME_AT] != server->at.number)
        return NULL;
    for (int i = 0; i < 7; i++)
        index = index << 8 | at[INDEX_AT + i];
    outlet = place_find(&server->tickets, index);
    if (outlet)
        return cs_same_secret(outlet->secret, at + SECRET_AT, SECRET) ? outlet : NULL;

    told = dead_told(&server->tickets, index);
    switch (told) {
    case CS_OK: /* not remembered */
        break;
    case CS_EEXPIRED:
        *ret_why = WIRE_R_EXPIRED;
        break;
    case CS_ECLAIMED:
        *ret_why = WIRE_R_CLAIMED;
        break;
    default:
        *ret_why = WIRE_NO_REASON;
        *ret_err = told;
    }
    return NULL;
}

/* There from the beginning: who comes back when memory was short is told what became of his source. */
cs_err chanserv__tickets_init(struct chanserv__tickets *t)
{
    enum { CAP = 64 };

    t->dead = cs_zalloc(CAP * sizeof *t->dead);
    t->dead_cap = t->dead ? CAP : 0;
    return t->dead ? CS_OK : CS_ENOMEM;
}

/* They are counted in order, so those that died lately hardly ever share a slot; when two do, the
 * table grows, or at its full size, and without memory, the later death counts.  One look there, and no
 * order kept. */
static bool dead_grow(struct chanserv__tickets *t)
{
    size_t cap = 2 * t->dead_cap;
    uint64_t *dead;

    if (t->dead_cap >= CHANSERV__DEAD_MAX || !(dead = cs_zalloc(cap * sizeof *dead)))
        return false;
    for (size_t i = 0; i < t->dead_cap; i++)
        if (t->dead[i])
            dead[(t->dead[i] >> TOLD_BITS) % cap] = t->dead[i];
    cs_free(t->dead);
    t->dead = dead;
    t->dead_cap = cap;
    return true;
}

void chanserv__ticket_die(chanserv_server *server, chanserv_outlet *outlet, cs_err told)
{
    struct chanserv__tickets *t = &server->tickets;
    uint64_t index = outlet->index;

    if (!index)
        return;
    outlet->index = 0;
    place_leave(t, (size_t)(index >> COUNT_BITS));
    while (t->dead[index % t->dead_cap] && dead_grow(t))
        ;
    t->dead[index % t->dead_cap] = index << TOLD_BITS | (uint64_t)told;
}

void chanserv__tickets_fini(struct chanserv__tickets *t)
{
    cs_free(t->places);
    cs_free(t->dead);
    memset(t, 0, sizeof *t);
}

/* ---- The accept timeout: one list and one timer, because it is the same for all ------------- */

static void timer_set(chanserv_server *server)
{
    struct cs_link *first = cs_list_first(&server->accept);
    chanserv_outlet *outlet;
    int64_t left;

    if (!first)
        return; /* it may fire in vain */
    outlet = CS_CONTAINER(first, chanserv_outlet, u.accept.link);
    left = outlet->u.accept.since_us / 1000 + server->options.accept_timeout_ms -
           cs_loop_now_ms(server->loop);
    cs_timer_set(server->accept_timer, left > 0 ? (int)left : 0);
}

void chanserv__accept_wait(chanserv_outlet *outlet)
{
    chanserv_server *server = outlet->post->server;
    bool first = cs_list_empty(&server->accept);

    outlet->u.accept.since_us = cs_loop_now_us(server->loop);
    cs_link_init(&outlet->u.accept.link);
    if (server->options.accept_timeout_ms == CS_OFF || outlet->post->channel)
        return; /* in a session it lives until opened, skipped or done */
    cs_list_push(&server->accept, &outlet->u.accept.link);
    if (first)
        timer_set(server);
}

void chanserv__accept_due(void *user)
{
    chanserv_server *server = user;
    int64_t now = cs_loop_now_ms(server->loop);
    struct cs_link *first;

    while ((first = cs_list_first(&server->accept)) != NULL) {
        chanserv_outlet *outlet = CS_CONTAINER(first, chanserv_outlet, u.accept.link);

        if (outlet->u.accept.since_us / 1000 + server->options.accept_timeout_ms > now)
            break;
        server->counters.accept_timeouts++;
        chanserv__outlet_over(outlet, CS_EEXPIRED, CHANSERV__ACCEPT_TIMEOUT);
    }
    timer_set(server);
}
