/* serve_signals -- SIGHUP: tokens and certificates again; SIGUSR1: how things stand. */
#include "tools/serve__in.h"
#include "tools/tool.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WHY = 512 };

/* For the handler, which has nothing else. */
static volatile sig_atomic_t wake_fd = -1, hung_up, asked;

static void on_signal(int number)
{
    uint64_t one = 1;

    if (number == SIGHUP)
        hung_up = 1;
    else
        asked = 1;
    (void)!write(wake_fd, &one, sizeof one);
}

static void read_again(struct serve *s)
{
    char why[WHY];

    if (s->config.token_file.text &&
        auth_read_tokens(s->auth, s->config.token_file.text, why, sizeof why) != CS_OK)
        tool_complain("serve", "%s; the tokens from before stay", why);
    else if (s->config.token_file.text && !auth_has_tokens(s->auth))
        serve__no_tokens(s);
    if (s->config.cert.text && chanserv_server_reload(s->server) != CS_OK)
        tool_complain("serve", "%s; the certificate from before stays",
                      chanserv_server_errmsg(s->server));
}

/* One line, so that it stays together wherever it goes. */
static void say_counters(const struct serve *s)
{
    struct chanserv_counters now;
    char line[16 * 1024];
    size_t at = 0;

    chanserv_server_counters(s->server, &now);
#define X(name, help)                                                                              \
    if (at < sizeof line)                                                                          \
        at += (size_t)snprintf(line + at, sizeof line - at, " " #name "=%" PRIu64, now.name);
    CHANSERV_COUNTERS(X)
#undef X
    fprintf(stderr, "chanserv serve: counters:%s\n", line);
}

static void on_wake(void *user)
{
    struct serve *s = user;
    uint64_t count;

    if (read(s->signal_fd, &count, sizeof count) < 0)
        return;
    if (hung_up) {
        hung_up = 0;
        read_again(s);
    }
    if (asked) {
        asked = 0;
        say_counters(s);
    }
}

/* Without a file to read SIGHUP ends us as it ends others, unless we are somebody's service. */
cs_err serve__signals(struct serve *s)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    cs_err err;

    s->signal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->signal_fd < 0)
        return CS_ESYS;
    wake_fd = s->signal_fd;
    err = tool_watch_new(s->loop, s->signal_fd, on_wake, s, &s->signals);
    if (err != CS_OK)
        return err;
    sigaction(SIGUSR1, &action, NULL);
    if (s->config.token_file.text || s->config.cert.text || s->notify.path[0])
        sigaction(SIGHUP, &action, NULL);
    return CS_OK;
}

void serve__signals_off(struct serve *s)
{
    tool_watch_free(s->signals);
    if (s->signal_fd < 0)
        return;
    signal(SIGHUP, SIG_IGN); /* we are going already */
    signal(SIGUSR1, SIG_IGN);
    wake_fd = -1;
    close(s->signal_fd);
}
