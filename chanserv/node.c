/* node -- an address that was joined: its connection, and the watch that tells what it serves.
 *
 *     UNASKED ──▶ ASKED ──▶ LISTED          the watch is a stream of Services
 *        ▲          │  ▲       │ broke: dialed again at once, and believed meanwhile
 *        │          ▼  └───────┘
 *     nobody     GONE, BLIND                could not be reached; will not say
 *     wants it
 *
 * A node is watched while somebody wants to know (nodes.c): with one node and nothing to wait for,
 * nobody does.  What is lost is dialed again once at once, then less and less often, each time a
 * little sooner or later than the others do, so that a server that comes back is not met by all. */
#include "chanserv/client__in.h"

#include <stdlib.h>

enum { FIRST_MS = 100, LONGEST_MS = 5000 };

/* ---- What it serves -------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return cs_order(*(const cs_bytes *)a, *(const cs_bytes *)b);
}

/* A node's name is shown to people, one a line. */
static cs_bytes put_line(char *to, cs_bytes line)
{
    for (size_t i = 0; i < line.len; i++) {
        char c = ((const char *)line.base)[i];
        to[i] = c > ' ' && c <= '~' ? c : '?';
    }
    return cs_bytes_of(to, line.len);
}

static struct chanserv__list *list_copy(const struct wire_services *s)
{
    struct chanserv__list *list;
    size_t bytes = s->node.len;
    char *to;

    for (size_t i = 0; i < s->names_len; i++)
        bytes += s->names[i].len;
    list = cs_alloc(sizeof *list + s->names_len * sizeof *list->names + bytes);
    if (!list)
        return NULL;
    to = (char *)(list->names + s->names_len);
    list->node = put_line(to, s->node);
    to += s->node.len;
    list->len = 0;
    for (size_t i = 0; i < s->names_len; i++) {
        if (wire_service_name_ok(s->names[i]))
            list->names[list->len++] = cs_bytes_put(&to, s->names[i]);
    }
    qsort(list->names, list->len, sizeof *list->names, by_name);
    return list;
}

bool chanserv__node_serves(const struct chanserv__node *node, cs_bytes name)
{
    const struct chanserv__list *list = node->list;

    return list && !node->draining &&
           bsearch(&name, list->names, list->len, sizeof name, by_name) != NULL;
}

cs_bytes chanserv__node_name(const struct chanserv__node *node)
{
    if (node->list && node->list->node.len > 0)
        return node->list->node;
    return cs_str(node->addr ? node->addr : "local");
}

static void forget(struct chanserv__node *node)
{
    cs_free(node->list);
    node->list = NULL;
    node->draining = false;
    memset(node->instance, 0, sizeof node->instance);
}

static cs_err learn(struct chanserv__node *node, cs_bytes msg)
{
    struct chanserv__list *list;
    struct wire_services s;
    cs_err err = wire_services_unpack(msg, &s);

    if (err != CS_OK)
        return err;
    if ((list = list_copy(&s))) {
        forget(node);
        node->list = list;
        node->draining = s.draining;
        if (s.instance.len == sizeof node->instance)
            memcpy(node->instance, s.instance.base, sizeof node->instance);
    }
    wire_services_clear(&s);
    if (!list)
        return CS_ENOMEM;
    if (node->standing != CHANSERV__NODE_LISTED)
        node->listed_ms = cs_loop_now_ms(node->client->loop);
    node->standing = CHANSERV__NODE_LISTED;
    if (node->delay_ms > FIRST_MS)
        node->delay_ms = FIRST_MS;
    cs_free(node->words);
    node->words = NULL;
    CS_TRACE("client > %.*s serves %zu", CS_FMT(chanserv__node_name(node)), node->list->len);
    return CS_OK;
}

/* ---- Out of reach ---------------------------------------------------------------------------- */

static void rest(struct chanserv__node *node)
{
    uint8_t dice = 128;
    int ms;

    if (node->delay_ms < FIRST_MS)
        node->delay_ms = FIRST_MS;
    (void)cs_random(&dice, sizeof dice);
    ms = node->delay_ms * (384 + dice) / 512; /* 3/4 to 5/4 of it */
    node->delay_ms = node->delay_ms * 8 / 5 < LONGEST_MS ? node->delay_ms * 8 / 5 : LONGEST_MS;
    node->resting = true;
    cs_timer_set(node->again, ms);
}

static void gone(struct chanserv__node *node, const char *words)
{
    node->standing = CHANSERV__NODE_GONE;
    forget(node);
    cs_story(&node->words, "%s", words);
    rest(node);
    CS_TRACE("client > %.*s is gone: %s", CS_FMT(chanserv__node_name(node)), words);
}

static void on_rested(void *user)
{
    struct chanserv__node *node = user;

    node->resting = false;
    chanserv__nodes_changed(node->client);
}

static void hush(struct chanserv__node *node)
{
    if (!node->watch)
        return;
    node->hushed = true;
    mux_stream_cancel(node->watch, CS_ECANCELED);
}

void chanserv__node_failed(struct chanserv__node *node, const char *words)
{
    if (node->standing == CHANSERV__NODE_LISTED || node->standing == CHANSERV__NODE_GONE)
        return; /* of one that speaks to us, the watch knows better */
    hush(node);
    gone(node, words);
    chanserv__nodes_changed(node->client);
}

/* Its watch ended, and not by us. */
static void judge(struct chanserv__node *node, cs_err why, const char *words)
{
    if (node->standing == CHANSERV__NODE_LISTED) {
        if (cs_loop_now_ms(node->client->loop) - node->listed_ms > LONGEST_MS)
            node->delay_ms = 0;
        if (node->delay_ms > 0 || why == CS_EDRAIN || why == CS_EPROTO || why == CS_ETOOBIG) {
            gone(node, words);
            return;
        }
        node->standing = CHANSERV__NODE_ASKED; /* and asked again when nodes.c looks */
        node->delay_ms = FIRST_MS;
        return;
    }
    switch (why) {
    case CS_DONE:
    case CS_ELIMIT:
    case CS_ENOMEM:
    case CS_EUNAVAIL:
    case CS_EREFUSED:
    case CS_EPEER:
    case CS_EDRAIN:
        gone(node, words);
        break;
    default:
        node->standing = CHANSERV__NODE_BLIND;
        node->why = why;
        forget(node);
        cs_story(&node->words, "%s", words);
        CS_TRACE("client > %.*s does not say what it serves: %s", CS_FMT(chanserv__node_name(node)),
                 words);
    }
}

/* ---- The watch ------------------------------------------------------------------------------- */

#define UNTAKEN "its list of services makes no sense, or has more than 65,536 names"
_Static_assert(WIRE_SERVICES_MAX == 65536, "as people are told");

static void on_readable(mux_stream *stream, void *state)
{
    struct chanserv__node *node = state;
    cs_bytes msg;
    cs_err err;

    while ((err = mux_stream_recv(stream, &msg)) == CS_OK) {
        if (node->hushed)
            continue;
        if ((err = learn(node, msg)) != CS_OK) {
            node->untaken = err == CS_EPROTO;
            mux_stream_cancel(stream, err);
            return;
        }
        chanserv__nodes_changed(node->client);
    }
}

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    struct chanserv__node *node = state;
    const char *words = node->untaken ? UNTAKEN : mux_stream_errmsg(stream);

    node->watch = NULL;
    node->client->streams--;
    if (!node->hushed && node->conn)
        judge(node, why, words);
    node->hushed = node->untaken = false;
    chanserv__nodes_changed(node->client);
    chanserv__node_release(node);
}

/* The connection goes when its last call has, and is not kept up by this one.  If the next goes too
 * before long, it is. */
static void on_rolled(mux_stream *stream, void *state)
{
    struct chanserv__node *node = state;

    (void)stream;
    if (node->hushed || node->standing != CHANSERV__NODE_LISTED ||
        cs_loop_now_ms(node->client->loop) - node->listed_ms <= LONGEST_MS)
        return;
    hush(node);
    node->standing = CHANSERV__NODE_ASKED; /* and asked again when nodes.c looks */
}

static cs_err ask(struct chanserv__node *node)
{
    static const struct mux_stream_ops ops = {
        .readable = on_readable, .end = on_end, .rolled = on_rolled};
    const struct chanserv__pairs *bearer = node->client->bearer;
    struct mux_call_options call = {.timeout_ms = 0};
    cs_err err;

    if (bearer) {
        call.metadata = bearer->pairs;
        call.metadata_len = bearer->len;
    }
    err = mux_stream_open(node->conn, "/chanserv.v1.Chanserv/Services", &call, &ops, node,
                          &node->watch);
    if (err != CS_OK)
        return err;
    node->client->streams++;
    chanserv__node_hold(node);
    err = mux_stream_send(node->watch, cs_bytes_of(NULL, 0), cs_bytes_of(NULL, 0));
    if (err == CS_ENOMEM)
        mux_stream_cancel(node->watch, err);
    else
        mux_stream_finish(node->watch, CS_OK, NULL);
    chanserv__bond_ahead(node);
    return CS_OK;
}

void chanserv__node_watch(struct chanserv__node *node)
{
    cs_err err;

    if (node->watch || node->resting || !node->conn || node->standing == CHANSERV__NODE_BLIND)
        return;
    if (node->standing == CHANSERV__NODE_UNASKED)
        node->standing = CHANSERV__NODE_ASKED;
    if ((err = ask(node)) != CS_OK)
        gone(node, cs_strerror(err));
}

void chanserv__node_unwatch(struct chanserv__node *node)
{
    hush(node);
    cs_timer_set(node->again, CS_OFF);
    node->resting = false;
    node->delay_ms = 0;
    node->standing = CHANSERV__NODE_UNASKED;
    forget(node);
}

void chanserv__node_ask_anew(struct chanserv__node *node)
{
    if (node->standing != CHANSERV__NODE_LISTED)
        return;
    hush(node);
    node->standing = CHANSERV__NODE_ASKED;
    forget(node);
    chanserv__nodes_changed(node->client);
}

/* ---- Coming and going ------------------------------------------------------------------------ */

static void node_free(struct chanserv__node *node)
{
    if (node->bond && !node->bond->freed)
        chanserv__bond_bye(node->bond);
    chanserv__bond_free(node->bond);
    if (node->conn)
        mux_conn_free(node->conn);
    cs_unlink(&node->link);
    cs_timer_free(node->again);
    cs_free(node->list);
    cs_free(node->words);
    cs_free(node->addr);
    cs_free(node);
}

cs_err chanserv__node_new(chanserv_client *client, const char *addr, mux_conn *conn,
                          struct chanserv__node **ret)
{
    struct chanserv__node *node = cs_zalloc(sizeof *node);
    cs_err err = node ? cs_timer_new(client->loop, on_rested, node, &node->again) : CS_ENOMEM;

    if (err == CS_OK && addr && !(node->addr = cs_strdup(addr))) {
        cs_timer_free(node->again);
        err = CS_ENOMEM;
    }
    if (err != CS_OK) {
        cs_free(node);
        return err;
    }
    cs_timer_is_upkeep(node->again);
    node->client = client;
    node->conn = conn;
    node->refs = 1;
    node->id = ++client->node_id;
    cs_link_init(&node->link);
    *ret = node;
    return CS_OK;
}

struct chanserv__node *chanserv__node_hold(struct chanserv__node *node)
{
    node->refs++;
    return node;
}

void chanserv__node_release(struct chanserv__node *node)
{
    if (!node)
        return;
    if (--node->refs == 0)
        node_free(node);
    else if (node->refs == 1 && node->bond && node->bond->stream && !node->bond->freed)
        chanserv__bond_bye(node->bond); /* it was left, and only its session is still there */
}

void chanserv__node_leave(struct chanserv__node *node)
{
    chanserv__node_unwatch(node);
    cs_unlink(&node->link);
    cs_list_push(&node->client->left, &node->link);
    chanserv__node_release(node);
}

void chanserv__node_cut(struct chanserv__node *node)
{
    chanserv__bond_bye(node->bond);
    mux_conn_free(node->conn);
    cs_timer_free(node->again);
    node->conn = NULL;
    node->again = NULL;
    cs_unlink(&node->link);
}
