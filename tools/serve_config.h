/* serve_config -- what `chanserv serve` is told, on its command line and by --config FILE.
 *
 * One table has every option: its name, its unit and where it goes.  The command line has it with
 * "--" in front; the file as "name = value", a line each.  An option that may be repeated gets what
 * the file says and then what the command line says; of any other the command line's word counts.
 */
#ifndef TOOLS_SERVE_CONFIG_H
#define TOOLS_SERVE_CONFIG_H

#include "chanserv/chanserv.h"
#include "gateway/gateway.h"
#include "services/rendezvous/rendezvous.h"

enum { CONFIG_LIST_MAX = 256, CONFIG_OPTIONS_MAX = 96 };

struct config_text {
    const char *text;
    unsigned line; /* of the file; 0: of the command line */
};

struct config_list {
    struct config_text items[CONFIG_LIST_MAX];
    size_t len;
};

struct serve_config {
    struct config_list listen, service, client_san, allow_uid;
    /* `text` NULL: not given. */
    struct config_text cert, key, client_ca, token_file, node, name_space, hosts, cors, log,
        log_format;
    bool insecure, verbose, gzip, no_gateway, no_page, rendezvous;
    struct chanserv_server_options options; /* the limits and timeouts; nothing else is set */
    struct gateway_options http;            /* the same of the gateway */
    struct rendezvous_options meets;        /* ... of --rendezvous */
    struct mux_tls tls;                     /* config_options() fills it */
    const char *file;                       /* --config, or NULL */
    bool check;                             /* --check-config */
    char *content;                          /* of the file, cut into texts */
    unsigned line_of[CONFIG_OPTIONS_MAX];   /* where the file has an option */
};

/* Reads the command line, and the file that it names; texts are views of both.  Answers an exit
 * code, having said what is wrong: of a file everything, of a command line the first thing.
 * *ret_help: help is wanted, and nothing else. */
int config_parse(struct serve_config *config, int argc, char **argv, bool *ret_help);
void config_fini(struct serve_config *config);

/* "chanserv serve: FILE:LINE: WHAT", or with line 0 as tool_usage() says it: answers TOOL_USAGE. */
int config_wrong(const struct serve_config *config, unsigned line, const char *format, ...)
    CS_PRINTF(3, 4);
/* "--" on the command line, "" in the file: what stands in front of an option's name. */
const char *config_dashes(unsigned line);

/* What does not fit together, and addresses that make no sense: 0, or TOOL_USAGE. */
int config_check(const struct serve_config *config);

/* The log as it is asked for.  Answers an exit code, having complained. */
struct log_rules;
int config_log(const struct serve_config *config, struct log_rules *ret);

/* What a server is made with; views of `config`. */
struct chanserv_server_options config_options(struct serve_config *config);

/* The name of each option, NULL past the last. */
const char *config_name(size_t i);

#endif
