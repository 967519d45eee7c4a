/* serve -- `chanserv serve`: a server of ready-made kinds of service. */
#include "tools/tool.h"
#include "tools/kind.h"

#include <signal.h>
#include <stdlib.h>

enum { LISTEN_MAX = 64, SERVICES_MAX = 256, WHY = 512 };

struct service {
    char *name;
    const struct tool_kind *kind;
    void *state;
};

struct serve {
    const char *listen[LISTEN_MAX];
    struct service services[SERVICES_MAX];
    size_t listen_len, services_len;
    bool insecure, verbose;
    cs_loop *loop;
    chanserv_server *server;
};

static const struct tool_kind *const kinds[] = {&tool_kind_tail, &tool_kind_gen, &tool_kind_echo,
                                                &tool_kind_exec, &tool_kind_exec_uplink};

static const char help[] =
    "Usage: chanserv serve [--listen ADDR]... --service NAME=KIND[:ARGS]...\n"
    "Serve until SIGTERM or SIGINT.  Prints \"listening ADDR\" for each listener when ready.\n"
    "\n"
    "      --listen ADDR     host:port, [v6]:port, :port, unix:/path; port 0 picks one\n"
    "                        (without: 127.0.0.1:5555)\n"
    "      --service NAME=KIND[:ARGS]\n"
    "                        serve NAME (letters, digits, \"._/-\"); may be repeated\n"
    "      --insecure        let strangers in: listen beyond this machine in plain text\n"
    "  -v, --verbose         log lines on standard error\n"
    "  -h, --help            this text\n"
    "\n"
    "Kinds:\n"
    "  tail:DIR   the lines of the regular files in DIR, and what is appended to them;\n"
    "             body [GLOB][?follow=0]\n"
    "  gen        generated sources, each byte known to both sides;\n"
    "             body sources=5&frames=2&size=64&delay_ms=0&status=0&eager=0\n"
    "  echo       one source: the lines of the body\n"
    "  exec:COMMAND\n"
    "             /bin/sh -c COMMAND for each post: the body is its standard input, stdout and\n"
    "             stderr are sources, and its exit status is the post's\n"
    "  exec-uplink:COMMAND\n"
    "             the same, but one source, stdio, goes both ways; stderr is the other\n";

/* ---- The command line ----------------------------------------------------------------------- */

enum { LISTEN = 256, SERVICE, INSECURE };
static const struct option options[] = {{"listen", required_argument, NULL, LISTEN},
                                        {"service", required_argument, NULL, SERVICE},
                                        {"insecure", no_argument, NULL, INSECURE},
                                        {"verbose", no_argument, NULL, 'v'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

/* NAME=KIND[:ARGS]. */
static int add_service(struct serve *s, const char *text)
{
    const char *equals = strchr(text, '='), *colon = equals ? strchr(equals, ':') : NULL;
    struct service *service = &s->services[s->services_len];
    const struct tool_kind *kind = NULL;
    char why[WHY] = "";
    size_t kind_len;
    cs_err err;

    if (!equals || equals == text)
        return tool_usage("serve", "--service wants NAME=KIND[:ARGS], not '%s'", text);
    if (s->services_len == SERVICES_MAX)
        return tool_usage("serve", "more than %d services", SERVICES_MAX);
    kind_len = colon ? (size_t)(colon - equals - 1) : strlen(equals + 1);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (cs_same(cs_bytes_of(equals + 1, kind_len), cs_str(kinds[i]->name)))
            kind = kinds[i];
    }
    if (!kind)
        return tool_usage("serve",
                          "no kind of service is called '%.*s': tail:DIR, gen, echo, "
                          "exec:COMMAND, exec-uplink:COMMAND",
                          (int)kind_len, equals + 1);
    err = kind->open(s->loop, colon ? colon + 1 : NULL, &service->state, why, sizeof why);
    if (err == CS_EINVAL)
        return tool_usage("serve", "%s: %s", text, why);
    if (err == CS_OK && !(service->name = strndup(text, (size_t)(equals - text)))) {
        kind->close(service->state);
        err = CS_ENOMEM;
    }
    if (err != CS_OK) {
        tool_complain("serve", "%s: %s", text, why[0] ? why : cs_strerror(err));
        return tool_exit_of(err);
    }
    service->kind = kind;
    s->services_len++;
    return 0;
}

static int set_option(struct serve *s, int option)
{
    switch (option) {
    case LISTEN:
        if (s->listen_len == LISTEN_MAX)
            return tool_usage("serve", "more than %d listeners", LISTEN_MAX);
        s->listen[s->listen_len++] = optarg;
        return 0;
    case SERVICE:
        return add_service(s, optarg);
    case INSECURE:
        s->insecure = true;
        return 0;
    case 'v':
        s->verbose = true;
        return 0;
    default: /* getopt has said what is wrong */
        fputs("Try 'chanserv serve --help'.\n", stderr);
        return TOOL_USAGE;
    }
}

/* *done: there is nothing (more) to do, and the answer is the exit code. */
static int parse(struct serve *s, int argc, char **argv, bool *done)
{
    int option, code;

    *done = true;
    argv[0] = (char[]){"chanserv serve"};
    while ((option = getopt_long(argc, argv, "hv", options, NULL)) != -1) {
        if (option == 'h')
            return tool_help(&tool_serve);
        if ((code = set_option(s, option)) != 0)
            return code;
    }
    if (optind < argc)
        return tool_usage("serve", "'%s' is no option", argv[optind]);
    if (s->services_len == 0)
        return tool_usage("serve", "at least one --service is wanted");
    if (s->listen_len == 0)
        s->listen[s->listen_len++] = "127.0.0.1:5555";
    *done = false;
    return 0;
}

/* ---- Serving -------------------------------------------------------------------------------- */

static int complain_of_listen(const struct serve *s, const char *addr, cs_err err)
{
    if (err == CS_EINVAL)
        return tool_usage("serve", "'%s' is no address: host:port, [v6]:port, :port, unix:/path",
                          addr);
    if (err == CS_EPERM)
        tool_complain("serve",
                      "listen %s: refused: that is beyond this machine, and everything would go "
                      "in plain text.  TLS does not exist in chanserv yet.  Listen on 127.0.0.1, "
                      "[::1] or unix:/path (and let a proxy or ssh carry it), or, on a network "
                      "where everybody may read and post, give --insecure",
                      addr);
    else
        tool_complain("serve", "%s", chanserv_server_errmsg(s->server));
    return tool_exit_of(err);
}

static int set_up(struct serve *s)
{
    struct chanserv_server_options with = {.signals = true, .insecure = s->insecure};
    const char *addr;
    cs_err err = chanserv_server_new(s->loop, &with, &s->server);

    if (err != CS_OK) {
        tool_complain("serve", "%s", cs_strerror(err));
        return tool_exit_of(err);
    }
    for (size_t i = 0; i < s->services_len; i++) {
        struct service *service = &s->services[i];
        err = chanserv_serve(s->server, service->name, service->kind->post, service->state);
        if (err == CS_EINVAL || err == CS_EEXIST)
            return tool_usage("serve", "%s", chanserv_server_errmsg(s->server));
        if (err != CS_OK) {
            tool_complain("serve", "%s", chanserv_server_errmsg(s->server));
            return tool_exit_of(err);
        }
    }
    for (size_t i = 0; i < s->listen_len; i++) {
        err = chanserv_listen(s->server, s->listen[i]);
        if (err != CS_OK)
            return complain_of_listen(s, s->listen[i], err);
    }
    for (size_t i = 0; (addr = chanserv_server_addr(s->server, i)); i++)
        printf("listening %s\n", addr);
    return tool_close_stdout("serve", 0);
}

/* While we are going, one more signal (as timeout(1) sends, to us and to our group) changes nothing:
 * this is what run() puts back when it returns. */
static void on_second_signal(int number)
{
    (void)number;
}

static void let_signals_in(void *user)
{
    pthread_sigmask(SIG_UNBLOCK, user, NULL);
}

/* A signal that comes behind "listening", and before the loop runs, waits for it: whoever started
 * us may stop us as soon as he read that line. */
static int serve(struct serve *s)
{
    sigset_t set;
    int code;
    cs_err err;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGTERM, on_second_signal);
    signal(SIGINT, on_second_signal);
    code = set_up(s);
    if (code != 0)
        return code;
    err = cs_loop_call(s->loop, let_signals_in, &set);
    if (err == CS_OK)
        err = chanserv_server_run(s->server);
    if (cs_failed(err))
        tool_complain("serve", "%s", cs_strerror(err));
    return tool_exit_of(err);
}

static int run(int argc, char **argv)
{
    struct serve s = {.listen_len = 0};
    bool done;
    int code;
    cs_err err = cs_loop_new(NULL, &s.loop);

    if (err != CS_OK) {
        tool_complain("serve", "%s", cs_strerror(err));
        return tool_exit_of(err);
    }
    code = parse(&s, argc, argv, &done);
    if (!done) {
        tool_log_to_stderr(s.verbose ? CS_DEBUG : CS_ERROR);
        code = serve(&s);
    }
    if (s.server)
        chanserv_server_free(s.server);
    for (size_t i = 0; i < s.services_len; i++) {
        s.services[i].kind->close(s.services[i].state);
        free(s.services[i].name);
    }
    cs_loop_free(s.loop);
    return code;
}

const struct tool_command tool_serve = {.name = "serve",
                                        .line = "serve directories, generated data, an echo",
                                        .help = help,
                                        .run = run};
