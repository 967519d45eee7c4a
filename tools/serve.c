/* serve -- `chanserv serve`: a server of ready-made kinds of service. */
#include "tools/log.h"
#include "tools/serve__in.h"
#include "tools/tool.h"

#include <signal.h>
#include <stdlib.h>

static const struct tool_kind *const kinds[] = {&tool_kind_tail,        &tool_kind_gen,
                                                &tool_kind_echo,        &tool_kind_exec,
                                                &tool_kind_exec_uplink, &tool_kind_stdin};

static const char help[] =
    "Usage: chanserv serve [OPTION]... --service NAME=KIND[:ARGS]...\n"
    "Serve until SIGTERM or SIGINT, which drains; the second ends at once.  Prints\n"
    "\"listening ADDR\" for each listener when ready, and on SIGUSR1 its counters on standard "
    "error.\n"
    "\n"
    "      --listen ADDR     host:port, [v6]:port, :port, unix:/path, fd:N; port 0 picks one\n"
    "                        (without: 127.0.0.1:5555); may be repeated\n"
    "      --service NAME=KIND[:ARGS]\n"
    "                        serve NAME (letters, digits, \"._/-\"); may be repeated\n"
    "      --config FILE     lines NAME = VALUE, the names of these options; chanserv.conf(5)\n"
    "      --check-config    say what is wrong with all that, and do not serve\n"
    "      --gzip            compress what gets smaller, for clients that read gzip\n"
    "      --node NAME       the stable name of this server, for buckets (without: host:port)\n"
    "      --name-space NS   serve NAME as NAME.NS\n"
    "      --loops N         serve connections on N threads (1)\n"
    "      --busy-poll TIME  look for news so long before each sleep: 50us, 1ms, off\n"
    "                        (50us while it pays)\n"
    "      --no-gateway      gRPC alone: no HTTP for curl and browsers\n"
    "      --no-page         no page at GET /\n"
    "      --rendezvous      parties meet (chanserv meet, GET /event)\n"
    "      --hosts NAMES     names of ours that browsers may use, with spaces between (*.lan);\n"
    "                        localhost and addresses they may always\n"
    "      --cors ORIGINS    whose pages may ask: \"https://app.example ...\", or \"*\" for all\n"
    "  -v, --verbose         log lines on standard error (or CHANSERV_LOG=error|warn|info|debug)\n"
    "      --log LEVEL[,ROOM=LEVEL...]\n"
    "                        how many: warn,mux=debug; rooms: loop, mux, chanserv, server, client\n"
    "      --log-format FORMAT\n"
    "                        text, logfmt or json (text)\n"
    "  -h, --help            this text\n"
    "\n";

static const char more_help[] =
    "Who may connect, and do what (any rule that admits is enough; without one, everybody may):\n"
    "      --cert FILE       TLS with this certificate (PEM); SIGHUP: again\n"
    "      --key FILE        its key, if it is not in the same file\n"
    "      --client-ca FILE  clients must show a certificate that one of these signed\n"
    "      --client-san SAN-GLOB[=GLOB,...]\n"
    "                        admit names of client certificates (DNS:*.example) to services\n"
    "      --token-file FILE lines TOKEN GLOB[,GLOB...]: admit tokens to services; SIGHUP: again\n"
    "      --allow-uid USER[=GLOB,...]\n"
    "                        admit users of unix sockets, by name or number, to services\n"
    "      --insecure        let strangers in: listen beyond this machine in plain text\n"
    "\n"
    "Timeouts (5, 1.5s, 250ms, 2m, 1h, off):\n"
    "      --serving-timeout --sourcing-timeout --write-timeout --ping-interval --ping-timeout\n"
    "      --linger --grace --connection-age --accept-timeout --handshake-timeout\n"
    "      --preface-timeout --header-timeout --stall-timeout --idle-timeout\n"
    "      --http-request-timeout --http-idle-timeout --http-stall-timeout --http-linger\n"
    "Sizes (65536, 64KiB, 1MiB, 1GiB, off):\n"
    "      --inline-max --part --body-max --header-max --window --window-max --post-queue\n"
    "      --frame-max --assembly --lingering --keep --attached --message-max --fields-max\n"
    "      --window-grow --connection-memory --rendezvous-waiting-max\n"
    "      --http-header-max --http-body-max --http-keep --http-lingering\n"
    "Numbers (1 and up, off):\n"
    "      --connections-max --connections-peer-max --posts-max --posts-peer-max --opens-peer-max\n"
    "      --memory-max-percent --sources-max --post-sources-max --sessions-max --channels-max\n"
    "      --lingering-max --lingering-peer-max --header-fields-max --streams-max --control-max\n"
    "      --resets-max --faults-max --settings-max --pings-max --empty-data-max --priorities-max\n"
    "      --window-updates-max --unknown-max --continuations-max --rendezvous-waiters-max\n"
    "\n"
    "Kinds:\n"
    "  tail:DIR   the lines of the regular files in DIR, and what is appended to them;\n"
    "             body [GLOB][?follow=0&mark=1&at=NAME@PLACE...]\n"
    "  gen        generated sources, each byte known to both sides;\n"
    "             body sources=5&frames=2&size=64&delay_ms=0&status=0&eager=0\n"
    "  echo       one source: the lines of the body\n"
    "  exec:COMMAND\n"
    "             /bin/sh -c COMMAND for each post: the body is its standard input, stdout and\n"
    "             stderr are sources, and its exit status is the post's\n"
    "  exec-uplink:COMMAND\n"
    "             the same, but one source, stdio, goes both ways; stderr is the other\n"
    "  stdin:[history=N]\n"
    "             the lines of our standard input, for every reader: from now on, or N back\n";

/* ---- Setting up ----------------------------------------------------------------------------- */

static int complain_of_listen(const struct serve *s, const char *addr, cs_err err)
{
    if (err == CS_EPERM)
        tool_complain("serve",
                      "listen %s: refused: that is beyond this machine, and everything would go "
                      "in plain text.  Give --cert and --key for TLS; or listen on 127.0.0.1, "
                      "[::1] or unix:/path (and let a proxy or ssh carry it); or, on a network "
                      "where everybody may read and post, give --insecure",
                      addr);
    else
        tool_complain("serve", "%s", chanserv_server_errmsg(s->server));
    return tool_exit_of(err);
}

static int listen_at(struct serve *s, const char *addr)
{
    cs_err err = chanserv_listen(s->server, addr);

    return err == CS_OK ? 0 : complain_of_listen(s, addr, err);
}

/* What a service manager listens at for us, what we were told, or what is usual. */
static int listen_everywhere(struct serve *s)
{
    char addr[32];
    int code = 0;

    for (int i = 0; i < s->notify.fds && code == 0; i++) {
        snprintf(addr, sizeof addr, "fd:%d", NOTIFY_FIRST_FD + i);
        code = listen_at(s, addr);
    }
    for (size_t i = 0; i < s->config.listen.len && code == 0; i++)
        code = listen_at(s, s->config.listen.items[i].text);
    if (code == 0 && s->notify.fds == 0 && s->config.listen.len == 0)
        code = listen_at(s, "127.0.0.1:5555");
    return code;
}

/* From now on we are not what to restart us for. */
static void on_drains(bool over, void *user)
{
    struct serve *s = user;

    if (!over)
        notify_say(&s->notify, "STOPPING=1");
}

/* Curl and browsers, and what operators' tools ask, on every port. */
static int mount_gateway(struct serve *s)
{
    struct gateway_options with = s->config.http;
    cs_err err = CS_OK;

    with.hosts = s->config.hosts.text;
    with.cors_origins = s->config.cors.text;
    with.no_page = s->config.no_page;
    if (!s->config.no_gateway)
        err = gateway_new(s->server, &with, &s->gateway);
    if (err == CS_OK && s->config.rendezvous)
        err = rendezvous_new(s->server, &s->config.meets, &s->rendezvous);
    if (err == CS_OK && s->rendezvous && s->gateway)
        err = rendezvous_mount(s->rendezvous, s->gateway);
    if (err == CS_OK)
        err = gateway_admin_new(s->server, &s->admin);
    if (err == CS_OK)
        return 0;
    if (err == CS_EEXIST && !s->rendezvous)
        return tool_usage("serve",
                          "--rendezvous serves the name rendezvous, and so does a --service");
    tool_complain("serve", "%s", cs_strerror(err));
    return tool_exit_of(err);
}

/* Names are judged here. */
static int make_server(struct serve *s)
{
    struct chanserv_server_options with = config_options(&s->config);
    cs_err err;

    with.signals = true;
    with.drains = on_drains;
    with.drains_user = s;
    if (auth_has_rules(s->auth)) {
        with.authorise = auth_judge;
        with.authorise_user = s->auth;
    }
    err = chanserv_server_new(s->loop, &with, &s->server);
    if (err != CS_OK) {
        tool_complain("serve", "%s", cs_strerror(err));
        return tool_exit_of(err);
    }
    for (size_t i = 0; i < s->services_len; i++) {
        const struct serve_service *service = &s->services[i];

        /* The rules may change while they are asked, on the first loop. */
        bool parallel = service->kind->is_stateless && !with.authorise;

        err = (parallel ? chanserv_serve_parallel : chanserv_serve)(
            s->server, service->name, service->kind->post, service->state);
        if (err == CS_EINVAL || err == CS_EEXIST)
            return config_wrong(&s->config, s->config.service.items[i].line, "%s",
                                chanserv_server_errmsg(s->server));
        if (err != CS_OK) {
            tool_complain("serve", "%s", chanserv_server_errmsg(s->server));
            return tool_exit_of(err);
        }
    }
    return mount_gateway(s);
}

static void say_ready(const struct serve *s)
{
    const char *addr, *first = chanserv_server_addr(s->server, 0);
    size_t i = 0;

    for (; (addr = chanserv_server_addr(s->server, i)); i++)
        printf("listening %s\n", addr);
    notify_say(&s->notify, "READY=1\nSTATUS=%zu service%s at %s%s", s->services_len,
               s->services_len == 1 ? "" : "s", first ? first : "nowhere", i > 1 ? " ..." : "");
}

static int set_up(struct serve *s)
{
    int code = make_server(s);
    cs_err err;

    if (code == 0)
        code = listen_everywhere(s);
    if (code != 0)
        return code;
    err = serve__signals(s);
    if (err == CS_OK)
        err = notify_watch(&s->notify, s->loop);
    if (err != CS_OK) {
        tool_complain("serve", "%s", cs_strerror(err));
        return tool_exit_of(err);
    }
    say_ready(s);
    return tool_close_stdout("serve", 0);
}

/* ---- Serving -------------------------------------------------------------------------------- */

/* While we are going, one more signal (as timeout(1) sends, to us and to our group) changes
 * nothing: this is what run() puts back when it returns. */
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

/* Everything that can be said about the configuration without listening. */
static int prepare(struct serve *s)
{
    bool look = s->config.check;
    int code = config_check(&s->config), rules = 0, services = 0;

    if (code == 0 || look)
        rules = serve__rules(s);
    if ((code == 0 && rules == 0) || look)
        services = serve__services(s);
    if (look && code == 0 && rules == 0 && services == 0)
        services = make_server(s);
    code = code ? code : rules ? rules : services;
    return look && code ? TOOL_USAGE : code;
}

static void serve_fini(struct serve *s)
{
    gateway_admin_free(s->admin);
    gateway_free(s->gateway);
    rendezvous_free(s->rendezvous);
    chanserv_server_free(s->server);
    for (size_t i = 0; i < s->services_len; i++) {
        s->services[i].kind->close(s->services[i].state);
        free(s->services[i].name);
    }
    notify_fini(&s->notify);
    serve__signals_off(s);
    auth_free(s->auth);
    config_fini(&s->config);
    cs_loop_free(s->loop);
}

static int start(struct serve *s, int argc, char **argv)
{
    struct log_rules log;
    bool wants_help;
    int code = config_parse(&s->config, argc, argv, &wants_help);

    if (wants_help)
        return tool_help(&tool_serve);
    if (code != 0 && !s->config.check)
        return code;
    if (code == 0)
        code = config_log(&s->config, &log);
    if (code == 0)
        log_begin(&log);
    if (s->config.check) {
        int more = prepare(s);

        return code ? code : more;
    }
    if (code == 0)
        code = prepare(s);
    return code ? code : serve(s);
}

static int run(int argc, char **argv)
{
    /* Too large for a stack that somebody else may have made. */
    struct serve *s = calloc(1, sizeof *s);
    cs_err err = s ? cs_loop_new(NULL, &s->loop) : CS_ENOMEM;
    int code;

    if (err != CS_OK) {
        free(s);
        tool_complain("serve", "%s", cs_strerror(err));
        return tool_exit_of(err);
    }
    s->kinds = kinds;
    s->kinds_len = sizeof kinds / sizeof *kinds;
    s->signal_fd = -1;
    notify_init(&s->notify);
    code = start(s, argc, argv);
    serve_fini(s);
    free(s);
    return code;
}

const struct tool_command tool_serve = {.name = "serve",
                                        .line = "serve directories, generated data, an echo",
                                        .help = help,
                                        .more = more_help,
                                        .run = run};
