/* ticket -- what opens a source, once; and the memory of those that open nothing any more.
 *
 *   | instance 8 | home loop 1 | index 7 | secret 16 |
 *
 * The index is public and finds the outlet; the secret is compared in constant time, so that a
 * map's timing tells nothing (PROTOCOL, B19).  A ticket lives as long as its outlet; after that
 * the last 65,536 are remembered by index with what to answer (C11). */
#include "chanserv/server__in.h"

enum { HOME_AT = 8, INDEX_AT = 9, SECRET_AT = 16, SECRET = 16 };

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

cs_err chanserv__ticket_issue(chanserv_server *server, chanserv_outlet *outlet)
{
    struct chanserv__tickets *t = &server->tickets;
    cs_err err = secret_take(t, outlet->secret);

    if (err == CS_OK)
        err = cs_map_put(&t->live, t->last + 1, outlet);
    if (err == CS_OK)
        outlet->index = ++t->last;
    return err;
}

void chanserv__ticket_put(const chanserv_outlet *outlet, uint8_t *to)
{
    memcpy(to, outlet->post->server->instance, HOME_AT);
    to[HOME_AT] = 0; /* the server has one loop */
    for (int i = 0; i < 7; i++)
        to[INDEX_AT + i] = (uint8_t)(outlet->index >> (8 * (6 - i)));
    memcpy(to + SECRET_AT, outlet->secret, SECRET);
}

chanserv_outlet *chanserv__ticket_find(chanserv_server *server, cs_bytes ticket,
                                       enum wire_reason *ret_why, cs_err *ret_err)
{
    const uint8_t *at = ticket.base;
    chanserv_outlet *outlet;
    uint64_t index = 0;

    *ret_err = CS_OK;
    if (memcmp(at, server->instance, HOME_AT) != 0) {
        *ret_why = WIRE_R_OTHER_INSTANCE;
        return NULL;
    }
    *ret_why = WIRE_R_UNKNOWN_TICKET;
    if (at[HOME_AT] != 0)
        return NULL;
    for (int i = 0; i < 7; i++)
        index = index << 8 | at[INDEX_AT + i];
    outlet = cs_map_get(&server->tickets.live, index);
    if (outlet)
        return cs_same_secret(outlet->secret, at + SECRET_AT, SECRET) ? outlet : NULL;

    switch ((cs_err)(uintptr_t)cs_map_get(&server->tickets.dead, index)) {
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
        *ret_err = (cs_err)(uintptr_t)cs_map_get(&server->tickets.dead, index);
    }
    return NULL;
}

/* The ring grows to its full size only where that many die; without memory it stays small. */
static bool ring_grow(struct chanserv__tickets *t)
{
    size_t cap = t->ring_cap ? 2 * t->ring_cap : 64;
    uint64_t *ring;

    if (t->ring_cap >= CHANSERV__DEAD_MAX)
        return false;
    ring = cs_realloc(t->ring, cap * sizeof *ring);
    if (!ring)
        return false;
    t->ring = ring;
    t->ring_cap = cap;
    return true;
}

void chanserv__ticket_die(chanserv_server *server, chanserv_outlet *outlet, cs_err told)
{
    struct chanserv__tickets *t = &server->tickets;

    if (!outlet->index)
        return;
    (void)cs_map_remove(&t->live, outlet->index);
    if (t->ring_len == t->ring_cap && !ring_grow(t)) {
        if (t->ring_cap == 0)
            return;
        (void)cs_map_remove(&t->dead, t->ring[t->ring_at]); /* the oldest is forgotten */
        t->ring_len--;
    } else {
        /* Until it is full for good the ring begins at 0. */
        t->ring_at = t->ring_len;
    }
    /* Without memory it will be unknown, which is true as well. */
    (void)cs_map_put(&t->dead, outlet->index, (void *)(uintptr_t)told);
    t->ring[t->ring_at] = outlet->index;
    t->ring_at = (t->ring_at + 1) % t->ring_cap;
    t->ring_len++;
    outlet->index = 0;
}

void chanserv__tickets_fini(struct chanserv__tickets *t)
{
    cs_map_fini(&t->live);
    cs_map_fini(&t->dead);
    cs_free(t->ring);
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
    left = outlet->u.accept.since_ms + server->options.accept_timeout_ms -
           cs_loop_now_ms(server->loop);
    cs_timer_set(server->accept_timer, left > 0 ? (int)left : 0);
}

void chanserv__accept_wait(chanserv_outlet *outlet)
{
    chanserv_server *server = outlet->post->server;
    bool first = cs_list_empty(&server->accept);

    outlet->u.accept.since_ms = cs_loop_now_ms(server->loop);
    cs_link_init(&outlet->u.accept.link);
    if (server->options.accept_timeout_ms == CS_OFF || outlet->post->channel)
        return; /* in a session it lives until opened, skipped or done (PROTOCOL, A4) */
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

        if (outlet->u.accept.since_ms + server->options.accept_timeout_ms > now)
            break;
        server->counters.accept_timeouts++;
        chanserv__outlet_over(outlet, CS_EEXPIRED, CHANSERV__ACCEPT_TIMEOUT);
    }
    timer_set(server);
}
