/* stat_ask -- see stat_ask.h. */
#include "tools/stat_ask.h"

enum { TIMEOUT_MS = 5000, REPLY_MAX = 64 << 20, MAX_MAX = 10000, REQUEST_MAX = 11 };

int stat_ask_set_max(struct stat_ask *ask)
{
    if (tool_number(cs_str(optarg), MAX_MAX, &ask->max) && ask->max > 0)
        return 0;
    return tool_usage(ask->connect.command->name, "--max wants a number from 1 to %d, not '%s'",
                      MAX_MAX, optarg);
}

int stat_ask_parse(struct stat_ask *ask, int argc, char **argv, connect_set_fn *set)
{
    struct connect *c = &ask->connect;
    int code = connect_parse(c, argc, argv, set, ask->user, NULL);

    if (code != CONNECT_GO)
        return code;
    ask->addr = connect_addr(c, NULL);
    if (connect_addr(c, ask->addr))
        return tool_usage(c->command->name, "one address, not several");
    if (c->timeout_ms == 0)
        c->timeout_ms = TIMEOUT_MS;
    return CONNECT_GO;
}

static void on_reply(cs_err err, cs_bytes reply, const char *errmsg, void *user)
{
    struct stat_ask *ask = user;
    struct stat_list list;

    if (err == CS_OK && (err = stat_list_parse(reply, &list)) == CS_OK) {
        ask->answered(&list, ask->user);
        stat_list_free(&list);
        return;
    }
    ask->failed(err, errmsg && errmsg[0] ? errmsg : cs_strerror(err), ask->user);
}

/* The request: field 1, a varint, if there is anything to say. */
static size_t put_request(const struct stat_ask *ask, uint8_t to[REQUEST_MAX])
{
    size_t n = 0;

    if (ask->max == 0)
        return 0;
    to[n++] = 1 << 3;
    for (uint64_t left = ask->max; left > 0; left >>= 7)
        to[n++] = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    return n;
}

static void put_question(void *user)
{
    struct stat_ask *ask = user;
    const struct connect *c = &ask->connect;
    const struct mux_call_options call = {
        .timeout_ms = c->timeout_ms, .metadata = c->metadata, .metadata_len = c->metadata_len};
    uint8_t request[REQUEST_MAX];
    cs_err err =
        mux_unary(ask->conn, "/chanserv.v1.Debug/Stat",
                  cs_bytes_of(request, put_request(ask, request)), &call, on_reply, ask, NULL);

    if (err != CS_OK)
        ask->failed(err, cs_strerror(err), ask->user);
}

void stat_ask_again(struct stat_ask *ask, int after_ms)
{
    cs_timer_set(ask->next, after_ms);
}

static void stop(void *user)
{
    cs_loop_stop(user);
}

static void interrupted(void *user)
{
    struct stat_ask *ask = user;

    if (cs_loop_call(ask->loop, stop, ask->loop) != CS_OK)
        cs_loop_stop(ask->loop);
}

int stat_ask_start(struct stat_ask *ask)
{
    struct connect *c = &ask->connect;
    int code = connect_prepare(c);
    cs_err err;

    if (code != 0)
        return code;
    c->with.net.message_max_bytes = REPLY_MAX;
    err = cs_loop_new(NULL, &ask->loop);
    if (err == CS_OK)
        err = cs_timer_new(ask->loop, put_question, ask, &ask->next);
    if (err == CS_OK)
        err = connect_add_bearer(c);
    if (err == CS_OK)
        err = mux_dial(ask->loop, ask->addr, &c->with.net, &ask->conn);
    if (err == CS_EINVAL)
        return connect_bad_addr(c, ask->addr);
    return err == CS_OK ? 0 : tool_failed(c->command->name, err);
}

int stat_ask_run(struct stat_ask *ask)
{
    int code;
    cs_err err;

    ask->interrupt.fn = interrupted;
    ask->interrupt.user = ask;
    code = interrupt_listen(&ask->interrupt, ask->connect.command->name);
    if (code != 0)
        return code;
    cs_timer_set(ask->next, 0);
    err = cs_loop_run(ask->loop);
    interrupt_end(&ask->interrupt);
    if (interrupt_which(&ask->interrupt))
        return TOOL_SIGNAL + interrupt_which(&ask->interrupt);
    return err == CS_OK ? 0 : tool_failed(ask->connect.command->name, err);
}

void stat_ask_free(struct stat_ask *ask)
{
    if (ask->conn)
        mux_conn_free(ask->conn);
    if (ask->next)
        cs_timer_free(ask->next);
    if (ask->loop)
        cs_loop_free(ask->loop);
    connect_free(&ask->connect);
}
