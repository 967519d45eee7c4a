/* connect -- what every client subcommand has: its options, where the server is, the client.
 *
 *   struct connect c = {.command = &tool_post, .own = options};
 *   code = connect_parse(&c, argc, argv, set_option, &post, &first)
 *   if (code == CONNECT_GO) ... argv[first] ... connect_client(&c, NULL, &client), connect_post()
 *   connect_free(&c), on every way out
 *
 * What answers an exit code answers 0 when all is well, and has complained when not.
 */
#ifndef TOOLS_CONNECT_H
#define TOOLS_CONNECT_H

#include "tools/tool.h"

enum { CONNECT_METADATA_MAX = 64, CONNECT_OPTIONS_MAX = 48 };
enum { CONNECT_GO = -1 }; /* no exit code: there is something to do */

struct connect {
    const struct tool_command *command;
    const struct option *own; /* numbers from 256 to 511; no name of ours */

    /* As asked for. */
    struct chanserv_client_options with;
    int timeout_ms; /* 0: none */
    bool verbose;
    cs_pair metadata[CONNECT_METADATA_MAX];
    size_t metadata_len;
    char *addrs; /* from the command line or CHANSERV_ADDR: each a string, one behind the other */
    size_t addrs_len;

    /* Its own. */
    struct mux_tls tls;
    bool tls_asked;
    const char *token_file;
    char *token, *bearer;
    struct option table[CONNECT_OPTIONS_MAX];
};

/* The options above, behind those of the command in its help. */
extern const char connect_help[];

/* Takes an option of the command's own, with `optarg`.  Answers an exit code. */
typedef int connect_set_fn(void *command, int option);

/* The command line: options, then [ADDR], from there or the environment, and everything else that
 * the environment says.  What has a ':' is an address, for no name of a service has one.  *first is
 * the operand behind ADDR; `first` NULL: there shall be none.  CONNECT_GO, or an exit code: there is
 * nothing (more) to do. */
int connect_parse(struct connect *c, int argc, char **argv, connect_set_fn *set, void *command,
                  int *first);

/* The same of a command that posts: SERVICE and [BODY] behind ADDR; *body NULL: there is none. */
int connect_parse_post(struct connect *c, int argc, char **argv, connect_set_fn *set, void *command,
                       const char **service, const char **body);

/* Behind the options: ADDR and the environment.  Answers an exit code; `optind` moves. */
int connect_surroundings(struct connect *c, int argc, char **argv);

/* The log, the files that were named, and a client that has joined every address.  Answers an exit
 * code.  Below it the same in parts, for who dials himself: what comes before the client, what a
 * CS_EINVAL of an address is, and the token as metadata, as the client sends it. */
int connect_client(struct connect *c, cs_loop *loop, chanserv_client **ret);

int connect_prepare(struct connect *c);
int connect_bad_addr(const struct connect *c, const char *addr);
cs_err connect_add_bearer(struct connect *c); /* CS_ENOMEM; CS_ELIMIT: too many metadata */

/* chanserv_lookup_and_post() with the options.  Answers an exit code.  Below it the same in parts:
 * the options, and what a failure of the call is. */
int connect_post(const struct connect *c, chanserv_client *client, const char *service,
                 cs_bytes body, chanserv_feed **ret);
struct chanserv_post_options connect_asked(const struct connect *c);
int connect_post_failed(const struct connect *c, const char *service, cs_err err);

/* The next of the addresses; NULL: it was the last.  `addr` NULL: the first. */
const char *connect_addr(const struct connect *c, const char *addr);

void connect_free(struct connect *c);

#endif
