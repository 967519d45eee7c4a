/* serve__in -- what the files of `chanserv serve` share: serve.c is the command, serve_config.c and
 * its neighbours what it is told, serve_parts.c the services and rules made of that, serve_signals.c
 * SIGHUP and SIGUSR1. */
#ifndef TOOLS_SERVE__IN_H
#define TOOLS_SERVE__IN_H

#include "gateway/admin.h"
#include "gateway/gateway.h"
#include "services/rendezvous/rendezvous.h"
#include "tools/auth.h"
#include "tools/kind.h"
#include "tools/loop_watch.h"
#include "tools/notify.h"
#include "tools/serve_config.h"

struct serve_service {
    char *name;
    const struct tool_kind *kind;
    void *state;
};

struct serve {
    const struct tool_kind *const *kinds;
    size_t kinds_len;
    struct serve_config config;
    struct serve_service services[CONFIG_LIST_MAX];
    size_t services_len;
    struct auth *auth;
    struct notify notify;
    struct tool_watch *signals;
    int signal_fd;
    cs_loop *loop;
    chanserv_server *server;
    gateway *gateway; /* NULL: --no-gateway */
    rendezvous *rendezvous;
    gateway_admin *admin;
};

/* Each answers an exit code, and has complained: with --check-config of everything, else of the
 * first thing. */
int serve__services(struct serve *s); /* opens them */
int serve__rules(struct serve *s);    /* who may do what */

/* A file of tokens was read that has none: says so. */
void serve__no_tokens(const struct serve *s);

/* From now on SIGHUP reads the files of tokens and certificates again, and SIGUSR1 writes all counters
 * to standard error. */
cs_err serve__signals(struct serve *s);
void serve__signals_off(struct serve *s);

#endif
