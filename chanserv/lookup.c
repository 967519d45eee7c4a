/* lookup -- who serves what, as a feed: a source for each name, ended when nobody serves it.
 *
 * It is answered by a server of our own, inside the process, on the client's loop.  So a lookup is
 * a feed like any other, with a reader that may be slow: a source's frame is made when its reader
 * has room for it, and is what is true then.
 *
 *   lookup     the server, and the node by which we reach it
 *   search     a post to it: a pattern
 *   found      a name that matched, until nobody serves it; its outlet, until its reader leaves */
#include "base/map.h"
#include "chanserv/client__in.h"
#include "mux/local.h"

#include <stdlib.h>

#define SERVICE "lookup"

struct chanserv__lookup {
    chanserv_client *client; /* NULL: freed */
    chanserv_server *server;
    struct chanserv__node *node;
    struct cs_list searches;
    size_t refs; /* the client's, and of each search */
    cs_task task;
};

struct search {
    struct chanserv__lookup *lookup;
    struct cs_link link;
    chanserv_post *post;
    struct cs_list found;
    struct cs_names names; /* those found that are not over */
    bool changed;          /* it begins anew; else it goes on where it was told to wait: */
    uint64_t at_node;
    size_t at;
};

struct found {
    struct cs_link link;
    struct search *search;
    chanserv_outlet *outlet; /* NULL: over */
    struct cs_buf text;      /* the frame given last */
    bool over;               /* nobody serves it: that was its last word */
    bool seen;               /* in the list that is gone through now */
    size_t name_len;
    char name[]; /* without the name space */
};

static void drop(struct chanserv__lookup *lookup)
{
    if (--lookup->refs == 0)
        cs_free(lookup);
}

/* ---- What is served -------------------------------------------------------------------------- */

static bool counts(const struct chanserv__node *node)
{
    return node->list && !node->draining && !chanserv__node_is_twin(node);
}

/* Without the name space; empty: of another one. */
static cs_bytes short_name(const chanserv_client *client, cs_bytes full)
{
    const size_t len = strlen(client->suffix);

    if (full.len <= len ||
        memcmp((const char *)full.base + full.len - len, client->suffix, len) != 0)
        return cs_bytes_of(NULL, 0);
    return cs_bytes_of(full.base, full.len - len);
}

static int by_text(const void *a, const void *b)
{
    return cs_order(*(const cs_bytes *)a, *(const cs_bytes *)b);
}

static size_t nodes_of(const chanserv_client *client, cs_bytes full, cs_bytes *names)
{
    const struct chanserv__node *node = chanserv__nodes_first(client);
    size_t n = 0;

    for (; node; node = chanserv__nodes_next(node)) {
        if (!counts(node) || !chanserv__node_serves(node, full))
            continue;
        if (names)
            names[n] = chanserv__node_name(node);
        n++;
    }
    return n;
}

/* The names of the nodes, one a line; none: empty. */
static cs_err write_nodes(const chanserv_client *client, const struct found *found,
                          struct cs_buf *to)
{
    char *full = cs_printf("%.*s%s", (int)found->name_len, found->name, client->suffix);
    size_t n = full ? nodes_of(client, cs_str(full), NULL) : 0;
    cs_bytes *names = full ? cs_alloc(n * sizeof *names) : NULL;
    cs_err err = names ? CS_OK : CS_ENOMEM;

    if (names) {
        nodes_of(client, cs_str(full), names);
        qsort(names, n, sizeof *names, by_text);
    }
    for (size_t i = 0; i < n && err == CS_OK; i++) {
        if (i > 0 && cs_same(names[i], names[i - 1]))
            continue;
        if (i > 0)
            err = cs_buf_add(to, cs_str("\n"));
        if (err == CS_OK)
            err = cs_buf_add(to, names[i]);
    }
    cs_free(names);
    cs_free(full);
    return err;
}

/* ---- A name that was found ------------------------------------------------------------------- */

static cs_err found_next(chanserv_outlet *outlet, cs_bytes *frame, void *state)
{
    struct found *found = state;
    struct cs_buf text = {NULL, 0, 0};
    cs_err err = CS_DONE;

    (void)outlet;
    if (found->search->lookup->client)
        err = write_nodes(found->search->lookup->client, found, &text);
    if (err == CS_OK && (text.len == 0 || cs_same(cs_bytes_of(text.base, text.len),
                                                  cs_bytes_of(found->text.base, found->text.len))))
        err = CS_AGAIN; /* search_next() sees to its end */
    if (err != CS_OK) {
        cs_buf_fini(&text);
        return err;
    }
    cs_buf_fini(&found->text);
    found->text = text;
    *frame = cs_bytes_of(text.base, text.len);
    return CS_OK;
}

/* Its name may be found again. */
static void forget(struct found *found)
{
    if (!found->over)
        (void)cs_names_remove(&found->search->names, cs_bytes_of(found->name, found->name_len));
    found->over = true;
}

static void found_free(struct found *found)
{
    forget(found);
    cs_unlink(&found->link);
    cs_buf_fini(&found->text);
    cs_free(found);
}

/* One that the reader closed stays, so that it is not announced again. */
static void found_end(chanserv_outlet *outlet, cs_err why, void *state)
{
    struct found *found = state;

    (void)outlet, (void)why;
    found->outlet = NULL;
    if (found->over || !cs_linked(&found->link))
        found_free(found);
}

static cs_err announce(struct search *search, cs_bytes name)
{
    /* Being asked has no effect: who serves it now may ride in the announcement. */
    static const struct chanserv_outlet_ops ops = {
        .next = found_next, .end = found_end, .eager = true};
    struct found *found = cs_zalloc(sizeof *found + name.len);
    cs_err err;

    if (!found)
        return CS_ENOMEM;
    found->search = search;
    found->seen = true;
    found->name_len = name.len;
    memcpy(found->name, name.base, name.len);
    cs_link_init(&found->link);
    cs_list_push(&search->found, &found->link);
    err = cs_names_put(&search->names, cs_bytes_of(found->name, name.len), found);
    if (err == CS_OK)
        err = chanserv_announce(search->post, name, &ops, found, &found->outlet);
    if (err != CS_OK)
        found_free(found);
    return err;
}

/* ---- A search -------------------------------------------------------------------------------- */

/* Not CS_OK: to be gone on with at the name that failed. */
static cs_err search_node(struct search *search, const struct chanserv__node *node)
{
    const chanserv_client *client = search->lookup->client;
    cs_err err = CS_OK;

    if (node->id != search->at_node)
        search->at = 0;
    search->at_node = node->id;
    for (; search->at < node->list->len; search->at++) {
        cs_bytes name = short_name(client, node->list->names[search->at]);
        struct found *found;

        if (name.len == 0 || !cs_glob(chanserv_post_body(search->post), name))
            continue;
        if ((found = cs_names_get(&search->names, name)))
            found->seen = true;
        else if ((err = announce(search, name)) != CS_OK)
            break;
    }
    return err;
}

/* Those that nobody serves end; of the others the set of nodes may have changed. */
static void end_unseen(struct search *search)
{
    struct cs_link *link = cs_list_first(&search->found), *next;

    for (; link; link = next) {
        struct found *found = CS_CONTAINER(link, struct found, link);

        next = cs_list_next(&search->found, link);
        if (found->outlet && found->seen) {
            chanserv_outlet_wake(found->outlet);
        } else if (found->outlet) {
            forget(found);
            chanserv_outlet_finish(found->outlet, CS_DONE);
        } else if (!found->seen) {
            found_free(found);
        }
    }
}

static void begin_anew(struct search *search)
{
    struct cs_link *link = cs_list_first(&search->found);

    for (; link; link = cs_list_next(&search->found, link))
        CS_CONTAINER(link, struct found, link)->seen = false;
    search->changed = false;
    search->at_node = 0;
}

/* All of them are blind, and not asked again: nothing would ever be found, and nobody told why.
 * One that is out of reach may come back; the first that was joined speaks for all. */
static const struct chanserv__node *all_blind(const chanserv_client *client)
{
    const struct chanserv__node *first = chanserv__nodes_first(client), *node = first;

    while (node && node->standing == CHANSERV__NODE_BLIND)
        node = chanserv__nodes_next(node);
    return node ? NULL : first;
}

static cs_err search_next(chanserv_post *post, void *state)
{
    struct search *search = state;
    const struct chanserv__node *node;
    cs_err err = CS_OK;

    if (!search->lookup->client)
        return CS_DONE;
    if (search->changed)
        begin_anew(search);
    node = chanserv__nodes_first(search->lookup->client);
    for (; node && err == CS_OK; node = chanserv__nodes_next(node))
        if (node->id >= search->at_node && counts(node))
            err = search_node(search, node);
    if (err != CS_OK)
        return err;
    end_unseen(search);
    if (!(node = all_blind(search->lookup->client)))
        return CS_AGAIN;
    return chanserv_post_fail(post, node->why, "%.*s does not say what it serves: %s",
                              CS_FMT(chanserv__node_name(node)), node->words ? node->words : "");
}

static void search_closed(chanserv_post *post, cs_err why, void *state)
{
    struct search *search = state;

    (void)post, (void)why;
    search->post = NULL;
    cs_unlink(&search->link);
    if (search->lookup->client)
        chanserv__nodes_changed(search->lookup->client); /* perhaps nobody looks any more */
}

static void search_end(chanserv_post *post, cs_err why, void *state)
{
    struct search *search = state;
    struct cs_link *link;

    (void)post, (void)why;
    while ((link = cs_list_first(&search->found)))
        found_free(CS_CONTAINER(link, struct found, link));
    cs_names_fini(&search->names);
    drop(search->lookup);
}

static cs_err search_begin(chanserv_post *post, cs_bytes body, void *user)
{
    static const struct chanserv_post_ops ops = {.state_bytes = sizeof(struct search),
                                                 .next = search_next,
                                                 .closed = search_closed,
                                                 .end = search_end};
    struct chanserv__lookup *lookup = user;
    struct search *search;
    cs_err err = chanserv_post_keep(post, &ops, NULL);

    (void)body;
    if (err != CS_OK)
        return err;
    search = chanserv_post_state(post);
    search->lookup = lookup;
    search->post = post;
    search->changed = true;
    lookup->refs++;
    cs_list_init(&search->found);
    cs_list_push(&lookup->searches, &search->link);
    if (lookup->client)
        chanserv__nodes_changed(lookup->client); /* they are to be watched */
    return search_next(post, search);
}

/* ---- The server of our own ------------------------------------------------------------------- */

static void free_server(cs_task *task)
{
    struct chanserv__lookup *lookup = CS_CONTAINER(task, struct chanserv__lookup, task);

    chanserv_server_free(lookup->server); /* in a turn: it ends its posts, and goes behind them */
    drop(lookup);
}

static cs_err reach(struct chanserv__lookup *lookup)
{
    chanserv_client *client = lookup->client;
    mux_conn *conn;
    cs_err err = mux_dial_local(client->loop, NULL, chanserv__server_net(lookup->server),
                                chanserv__server_handlers(lookup->server), &conn);

    if (err != CS_OK)
        return err;
    err = chanserv__node_new(client, NULL, conn, &lookup->node);
    if (err != CS_OK)
        mux_conn_free(conn);
    return err;
}

static cs_err lookup_new(chanserv_client *client)
{
    static const struct chanserv_server_options options = {.accept_timeout_ms = CS_OFF};
    struct chanserv__lookup *lookup = cs_zalloc(sizeof *lookup);
    cs_err err;

    if (!lookup)
        return CS_ENOMEM;
    lookup->client = client;
    lookup->refs = 1;
    cs_list_init(&lookup->searches);
    cs_task_init(&lookup->task, free_server);
    err = chanserv_server_new(client->loop, &options, &lookup->server);
    if (err == CS_OK)
        err = chanserv_serve(lookup->server, SERVICE, search_begin, lookup);
    if (err == CS_OK)
        err = reach(lookup);
    if (err == CS_OK) {
        client->lookup = lookup;
        return CS_OK;
    }
    lookup->client = NULL;
    if (lookup->server)
        cs_task_post(client->loop, CS_CALL, &lookup->task);
    else
        cs_free(lookup);
    return err;
}

bool chanserv__lookup_wants(const chanserv_client *client)
{
    return client->lookup && !cs_list_empty(&client->lookup->searches);
}

void chanserv__lookup_changed(chanserv_client *client)
{
    struct cs_link *link;

    if (!client->lookup)
        return;
    link = cs_list_first(&client->lookup->searches);
    for (; link; link = cs_list_next(&client->lookup->searches, link)) {
        struct search *search = CS_CONTAINER(link, struct search, link);

        search->changed = true;
        chanserv_post_wake(search->post);
    }
}

void chanserv__lookup_end(chanserv_client *client)
{
    struct chanserv__lookup *lookup = client->lookup;

    if (!lookup)
        return;
    client->lookup = NULL;
    lookup->client = NULL;
    chanserv__node_cut(lookup->node);
    chanserv__node_release(lookup->node);
    cs_task_post(client->loop, CS_CALL, &lookup->task);
}

cs_err chanserv_lookup(chanserv_client *client, const char *pattern, chanserv_feed **ret)
{
    cs_err err = CS_EMISUSE;

    chanserv__enter(client);
    if (pattern && !client->freed && chanserv__nodes_first(client)) {
        err = client->lookup ? CS_OK : lookup_new(client);
        if (err == CS_OK)
            err = chanserv__feed_local(client, client->lookup->node, SERVICE, cs_str(pattern), ret);
    }
    chanserv__leave(client);
    return err;
}
