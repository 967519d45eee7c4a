/* nodes -- the addresses that were joined, and whose turn it is.
 *
 * With one node nobody asks what it serves: a post goes out at once, and only when it comes back
 * with "no such service" is there something to wait for.  With several each is
 * watched, and a post goes
 *
 *   round robin     to the nodes that say they serve it;
 *   with a bucket   to the one that the bucket belongs to (bucket.c), once all nodes have answered
 *                   or are known to be gone, or a second has passed: two clients shall agree;
 *   else            to those that do not say what they serve, if there are such. */
#include "chanserv/client__in.h"
#include "mux/local.h"

enum { PATIENCE_MS = 1000 };

struct chanserv__node *chanserv__nodes_first(const chanserv_client *client)
{
    return chanserv__node_of(cs_list_first(&client->nodes));
}

struct chanserv__node *chanserv__nodes_next(const struct chanserv__node *node)
{
    return chanserv__node_of(cs_list_next(&node->client->nodes, &node->link));
}

bool chanserv__nodes_one(const chanserv_client *client)
{
    struct cs_link *first = cs_list_first(&client->nodes);

    return first && first == cs_list_last(&client->nodes);
}

static bool has_answered(const struct chanserv__node *node)
{
    return node->list || node->standing == CHANSERV__NODE_GONE ||
           node->standing == CHANSERV__NODE_BLIND;
}

bool chanserv__nodes_answered(const chanserv_client *client)
{
    const struct chanserv__node *node = chanserv__nodes_first(client);

    while (node && has_answered(node))
        node = chanserv__nodes_next(node);
    return !node;
}

bool chanserv__node_is_twin(const struct chanserv__node *node)
{
    static const uint8_t none[sizeof node->instance];
    const struct chanserv__node *other = chanserv__nodes_first(node->client);

    if (memcmp(node->instance, none, sizeof none) == 0)
        return false;
    while (other != node && memcmp(other->instance, node->instance, sizeof none) != 0)
        other = chanserv__nodes_next(other);
    return other != node;
}

/* ---- Whose turn it is ------------------------------------------------------------------------ */

bool chanserv__node_can_take(const struct chanserv__node *node,
                             const struct chanserv__request *request)
{
    return chanserv__node_serves(node, request->name) && !chanserv__node_is_twin(node);
}

static bool is_better(const struct chanserv__node *node, uint64_t weight,
                      const struct chanserv__node *best, uint64_t best_weight, bool by_weight)
{
    const uint64_t turn = node->client->turn;

    if (!best)
        return true;
    if (by_weight)
        return weight > best_weight;
    return node->id > turn && best->id <= turn;
}

/* The best of the nodes that serve it, or else of the blind. */
static struct chanserv__node *best_of(chanserv_client *client,
                                      const struct chanserv__request *request, bool blind)
{
    struct chanserv__node *node = chanserv__nodes_first(client), *best = NULL;
    const bool by_weight = request->bucket.len > 0;
    uint64_t weight = 0, best_weight = 0;

    for (; node; node = chanserv__nodes_next(node)) {
        if (!(blind ? node->standing == CHANSERV__NODE_BLIND
                    : chanserv__node_can_take(node, request)) ||
            chanserv__request_tried(request, node->id))
            continue;
        if (by_weight)
            weight = chanserv__bucket_weight(request->bucket, chanserv__node_name(node));
        if (is_better(node, weight, best, best_weight, by_weight)) {
            best = node;
            best_weight = weight;
        }
    }
    return best;
}

static bool waits_for_all(const chanserv_client *client, const struct chanserv__request *request)
{
    return request->bucket.len > 0 && !chanserv__nodes_answered(client) &&
           cs_loop_now_ms(client->loop) - request->since_ms < PATIENCE_MS;
}

int chanserv__nodes_patience_ms(const chanserv_client *client,
                                const struct chanserv__request *request)
{
    if (!waits_for_all(client, request))
        return CS_FOREVER;
    return (int)(request->since_ms + PATIENCE_MS - cs_loop_now_ms(client->loop));
}

struct chanserv__node *chanserv__nodes_pick(chanserv_client *client,
                                            const struct chanserv__request *request)
{
    struct chanserv__node *node;

    if (chanserv__nodes_one(client) && request->why == CS_OK)
        return chanserv__nodes_first(client);
    if (!chanserv__nodes_one(client) && waits_for_all(client, request))
        return NULL;
    node = best_of(client, request, false);
    if (!node && !chanserv__nodes_one(client))
        node = best_of(client, request, true);
    if (node)
        client->turn = node->id;
    return node;
}

/* ---- Something has changed ------------------------------------------------------------------- */

static void tend(chanserv_client *client)
{
    struct chanserv__node *node = chanserv__nodes_first(client);
    const bool wanted = !cs_list_empty(&client->waiting) || chanserv__lookup_wants(client) ||
                        !chanserv__nodes_one(client);

    for (; node; node = chanserv__nodes_next(node)) {
        if (wanted)
            chanserv__node_watch(node);
        else
            chanserv__node_unwatch(node);
    }
}

/* Those that wait still may be at the end of the list again: each is looked at once. */
static void look(chanserv_client *client)
{
    struct cs_list all;
    struct cs_link *link;

    cs_list_init(&all);
    cs_list_move(&all, &client->waiting);
    while ((link = cs_list_pop(&all))) {
        cs_list_push(&client->waiting, link);
        chanserv__request_look(CS_CONTAINER(link, struct chanserv__request, link));
    }
}

static void on_changed(cs_task *task)
{
    chanserv_client *client = CS_CONTAINER(task, chanserv_client, nodes_task);

    tend(client);
    look(client);
    chanserv__lookup_changed(client);
}

void chanserv__nodes_init(chanserv_client *client)
{
    cs_list_init(&client->nodes);
    cs_list_init(&client->left);
    cs_list_init(&client->waiting);
    cs_task_init(&client->nodes_task, on_changed);
}

void chanserv__nodes_changed(chanserv_client *client)
{
    if (!client->freed)
        cs_task_post(client->loop, CS_CALL, &client->nodes_task);
}

void chanserv__nodes_end(chanserv_client *client)
{
    struct chanserv__node *node;

    cs_task_drop(&client->nodes_task);
    while ((node = chanserv__nodes_first(client)))
        chanserv__node_leave(node);
    while ((node = chanserv__node_of(cs_list_first(&client->left))))
        chanserv__node_cut(node);
}

/* ---- Joining and leaving --------------------------------------------------------------------- */

cs_err chanserv__nodes_add(chanserv_client *client, const char *addr, mux_conn *conn,
                           struct chanserv__node **ret)
{
    cs_err err = chanserv__node_new(client, addr, conn, ret);

    if (err != CS_OK) {
        mux_conn_free(conn);
        return err;
    }
    cs_list_push(&client->nodes, &(*ret)->link);
    chanserv__bond_ahead(*ret);
    chanserv__nodes_changed(client);
    return CS_OK;
}

struct chanserv__node *chanserv__nodes_by_addr(const chanserv_client *client, const char *addr)
{
    struct chanserv__node *node = chanserv__nodes_first(client);

    while (node && !(node->addr && strcmp(node->addr, addr) == 0))
        node = chanserv__nodes_next(node);
    return node;
}

cs_err chanserv_join(chanserv_client *client, const char *addr)
{
    struct chanserv__node *node;
    mux_conn *conn;
    cs_err err = CS_EEXIST;

    if (!addr)
        return CS_EINVAL;
    chanserv__enter(client);
    if (!chanserv__nodes_by_addr(client, addr))
        err = mux_dial(client->loop, addr, &client->options.net, &conn);
    if (err == CS_OK)
        err = chanserv__nodes_add(client, addr, conn, &node);
    chanserv__leave(client);
    return err;
}

cs_err chanserv_join_local(chanserv_client *client, struct chanserv_server *server)
{
    struct chanserv__node *node = chanserv__nodes_first(client);
    mux_conn *conn;
    cs_err err;

    if (client->shared || chanserv_server_loop(server) != client->loop)
        return CS_EMISUSE;
    for (; node; node = chanserv__nodes_next(node))
        if (node->handlers == chanserv__server_handlers(server))
            return CS_EEXIST;
    err = mux_dial_local(client->loop, &client->options.net, chanserv__server_net(server),
                         chanserv__server_handlers(server), &conn);
    if (err == CS_OK)
        err = chanserv__nodes_add(client, NULL, conn, &node);
    if (err != CS_OK)
        return err;
    node->handlers = chanserv__server_handlers(server);
    return CS_OK;
}

cs_err chanserv_leave(chanserv_client *client, const char *addr)
{
    struct chanserv__node *node;

    if (!addr)
        return CS_EINVAL;
    chanserv__enter(client);
    node = chanserv__nodes_by_addr(client, addr);
    if (node) {
        chanserv__node_leave(node);
        chanserv__nodes_changed(client);
    }
    chanserv__leave(client);
    return node ? CS_OK : CS_ENOENT;
}
