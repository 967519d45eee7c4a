/* services -- `chanserv services [ADDR]`: the names that are served, once or as they change.
 *
 * Each address is asked by itself, by the method Services, which answers with the whole list at
 * once and again whenever it has changed.  What one of them does not answer is told, and does not
 * keep the others' answers back. */
#include "tools/services.h"

#include <stdlib.h>

enum { TIMEOUT_MS = 5000, AGAIN_MS = 1000 };

static const char help[] =
    "Usage: chanserv services [OPTION]... [ADDR]\n"
    "Print the names that are served at ADDR, sorted, one a line; of several nodes with the nodes\n"
    "that serve them.  A server names only what we may post to.\n"
    "\n"
    "      --only GLOB           only names that match GLOB\n"
    "      --watch               go on: \"+ NAME\" and \"- NAME\" as they come and go\n"
    "      --json                one JSON object a line\n"
    "\n"
    "An answer that takes longer than --timeout (5s) has failed.\n";

/* ---- The command line ----------------------------------------------------------------------- */

enum { ONLY = 256, WATCH, JSON };
static const struct option options[] = {{"only", required_argument, NULL, ONLY},
                                        {"watch", no_argument, NULL, WATCH},
                                        {"json", no_argument, NULL, JSON},
                                        {NULL, 0, NULL, 0}};

static int set_option(void *command, int option)
{
    struct services *s = command;

    if (option == ONLY)
        s->only = optarg;
    else if (option == WATCH)
        s->watch = true;
    else
        s->json = true;
    return 0;
}

/* CONNECT_GO, or an exit code. */
static int parse(struct services *s, int argc, char **argv)
{
    int code = connect_parse(&s->connect, argc, argv, set_option, s, NULL);

    if (code != CONNECT_GO)
        return code;
    if (s->connect.timeout_ms == 0 && !s->watch)
        s->connect.timeout_ms = TIMEOUT_MS;
    return CONNECT_GO;
}

/* ---- A node --------------------------------------------------------------------------------- */

static void answered(struct services_node *node)
{
    struct services *s = node->services;

    if (!s->watch && --s->waiting == 0)
        cs_loop_stop(s->loop);
    if (s->watch && fflush(stdout) != 0)
        cs_loop_stop(s->loop);
}

/* A node that drains takes no posts: it serves nothing. */
static cs_err take_list(struct services_node *node, cs_bytes message)
{
    struct service_list list, before = node->list;
    cs_err err = service_list_parse(message, &list);

    if (err != CS_OK)
        return err;
    if (list.draining) {
        if (!node->services->watch)
            tool_complain("services", "%s: it is going away", node->addr);
        list.len = 0;
    }
    node->list = list;
    node->told = false;
    if (node->services->watch)
        services_put_changes(node, &before);
    service_list_free(&before);
    return CS_OK;
}

static void on_readable(mux_stream *stream, void *state)
{
    struct services_node *node = state;
    bool some = false;
    cs_bytes message;
    cs_err err;

    while ((err = mux_stream_recv(stream, &message)) == CS_OK) {
        err = take_list(node, message);
        if (err != CS_OK) {
            mux_stream_cancel(stream, err);
            return;
        }
        some = true;
        if (!node->services->watch)
            break;
    }
    if (some && !node->services->watch) {
        node->stream = NULL;
        mux_stream_cancel(stream, CS_ECANCELED);
    }
    if (some)
        answered(node);
}

/* Without --watch whoever failed has answered.  With it he may come back. */
static void failed(struct services_node *node, cs_err why, const char *words)
{
    struct services *s = node->services;
    struct service_list before = node->list;

    if (s->why == CS_OK)
        s->why = why;
    if (!node->told)
        tool_complain("services", "%s: %s", node->addr, words);
    node->told = true;
    if (s->watch) {
        node->list = (struct service_list){.node = before.node};
        services_put_changes(node, &before);
        node->list.node = cs_bytes_of(NULL, 0);
        service_list_free(&before);
        cs_timer_set(node->again, AGAIN_MS);
    }
    answered(node);
}

static void on_end(mux_stream *stream, cs_err why, void *state)
{
    struct services_node *node = state;

    if (node->services->over || node->stream != stream)
        return;
    node->stream = NULL;
    if (cs_failed(why))
        failed(node, why, mux_stream_errmsg(stream));
    else
        failed(node, CS_EUNAVAIL, "the server ended its list");
    if (why == CS_ETIMEOUT && node->services->watch)
        cs_loop_stop(node->services->loop); /* --timeout */
}

static void ask(void *user)
{
    static const struct mux_stream_ops ops = {.readable = on_readable, .end = on_end};
    struct services_node *node = user;
    const struct connect *c = &node->services->connect;
    struct mux_call_options call = {
        .timeout_ms = c->timeout_ms, .metadata = c->metadata, .metadata_len = c->metadata_len};
    cs_bytes nothing = {NULL, 0};
    cs_err err = mux_stream_open(node->conn, "/chanserv.v1.Chanserv/Services", &call, &ops, node,
                                 &node->stream);

    if (err != CS_OK) {
        node->stream = NULL;
        failed(node, err, cs_strerror(err));
        return;
    }
    err = mux_stream_send(node->stream, nothing, nothing);
    if (err == CS_OK)
        mux_stream_finish(node->stream, CS_OK, NULL);
    else
        mux_stream_cancel(node->stream, err);
}

/* ---- All of it ------------------------------------------------------------------------------ */

static void stop(void *user)
{
    cs_loop_stop(user);
}

static void interrupted(void *user)
{
    struct services *s = user;

    if (cs_loop_call(s->loop, stop, s->loop) != CS_OK)
        cs_loop_stop(s->loop);
}

static int ask_all(struct services *s)
{
    int code = interrupt_listen(&s->interrupt, "services");
    cs_err err;

    if (code != 0)
        return code;
    err = cs_loop_run(s->loop);
    interrupt_end(&s->interrupt);
    s->over = true;
    if (interrupt_which(&s->interrupt))
        return TOOL_SIGNAL + interrupt_which(&s->interrupt);
    if (err == CS_OK && !s->watch)
        err = services_put(s);
    return tool_exit_of(err == CS_OK ? s->why : err);
}

/* Answers an exit code. */
static int new_node(struct services *s, const char *addr)
{
    struct services_node *node = &s->nodes[s->len];
    cs_err err = cs_timer_new(s->loop, ask, node, &node->again);

    node->services = s;
    node->addr = addr;
    s->len++;
    if (err == CS_OK)
        err = mux_dial(s->loop, addr, &s->connect.with.net, &node->conn);
    if (err == CS_EINVAL)
        return connect_bad_addr(&s->connect, addr);
    if (err == CS_OK) {
        s->waiting++;
        cs_timer_set(node->again, 0);
        return 0;
    }
    return tool_failed("services", err);
}

static int start(struct services *s)
{
    int code = connect_prepare(&s->connect);
    size_t n = 0;
    cs_err err;

    if (code != 0)
        return code;
    for (const char *a = NULL; (a = connect_addr(&s->connect, a));)
        n++;
    err = cs_loop_new(NULL, &s->loop);
    if (err == CS_OK && !(s->nodes = calloc(n, sizeof *s->nodes)))
        err = CS_ENOMEM;
    if (err == CS_OK)
        err = connect_add_bearer(&s->connect);
    if (err != CS_OK)
        return tool_failed("services", err);
    for (const char *a = NULL; code == 0 && (a = connect_addr(&s->connect, a));)
        code = new_node(s, a);
    return code != 0 ? code : ask_all(s);
}

static void end(struct services *s)
{
    s->over = true;
    for (size_t i = 0; i < s->len; i++) {
        if (s->nodes[i].conn)
            mux_conn_free(s->nodes[i].conn);
        if (s->nodes[i].again)
            cs_timer_free(s->nodes[i].again);
        service_list_free(&s->nodes[i].list);
    }
    if (s->loop)
        cs_loop_free(s->loop);
    free(s->nodes);
}

static int run(int argc, char **argv)
{
    struct services s = {.connect = {.command = &tool_services, .own = options},
                         .interrupt = {.fn = interrupted, .user = &s}};
    int code = parse(&s, argc, argv);

    if (code == CONNECT_GO) {
        interrupt_block();
        code = start(&s);
        end(&s);
        code = tool_close_stdout("services", code);
    }
    connect_free(&s.connect);
    return code;
}

const struct tool_command tool_services = {.name = "services",
                                           .line = "which services there are, and who serves them",
                                           .help = help,
                                           .run = run,
                                           .client = true};
