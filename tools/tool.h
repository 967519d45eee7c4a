/* tool -- what the subcommands of chanserv(1) share: exit codes, complaints, values of options.
 *
 * Private to tools/.  Only public headers and libc stand below it.
 */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include "chanserv/chanserv.h"

#include <getopt.h>
#include <stdio.h>

/* ---- Subcommands ---------------------------------------------------------------------------- */

struct tool_command {
    const char *name;
    const char *line; /* what it does, in a line */
    const char *help; /* all of --help, or its beginning */
    const char
        *more; /* its rest, where one literal would be too long for C (4095 bytes); NULL: none */
    int (*run)(int argc, char **argv);
    bool client; /* it has the options of tools/connect.h too */
};
extern const struct tool_command tool_serve, tool_post, tool_talk, tool_services, tool_stat,
    tool_top, tool_meet, tool_rtt, tool_bench;
extern const char tool_exit_help[];

/* ---- Exit codes: 0, 16 + gRPC's code, and these --------------------------------------------- */

enum { TOOL_USAGE = 64, TOOL_IO = 74, TOOL_SIGNAL = 128 };
int tool_exit_of(cs_err err);           /* 0 for CS_OK and CS_DONE */
unsigned tool_code_of(cs_err err);      /* gRPC's code */
const char *tool_code_name(cs_err err); /* "OK", "NOT_FOUND" */

/* ---- Talking to people ---------------------------------------------------------------------- */

/* "chanserv post: WHAT"; the second adds where help is and answers TOOL_USAGE. */
void tool_complain(const char *command, const char *format, ...) CS_PRINTF(2, 3);
int tool_usage(const char *command, const char *format, ...) CS_PRINTF(2, 3);
int tool_failed(const char *command, cs_err err);  /* the same of a failure: its exit code */
int tool_help(const struct tool_command *command); /* answers 0, or TOOL_IO */

/* The log on standard error, as text: everything with --verbose, else as CHANSERV_LOG says, else
 * `otherwise`.  Answers an exit code; complained of a CHANSERV_LOG that is none.  The second only says the
 * level, which is left alone when nobody asked for another. */
int tool_log(const char *command, bool verbose, cs_level otherwise);
int tool_log_level(const char *command, bool verbose, cs_level *level);

/* Everything written got there?  Answers `code`, or complains and answers TOOL_IO. */
int tool_close_stdout(const char *command, int code);

/* ---- Values --------------------------------------------------------------------------------- */

/* 0..max in decimal, nothing else. */
bool tool_number(cs_bytes text, uint64_t max, uint64_t *ret);

/* "5", "1.5s", "250ms", "2m", "1h": more than 0 and at most INT_MAX milliseconds. */
bool tool_duration_ms(const char *text, int *ret);

/* Is this a traceparent as https://www.w3.org/TR/trace-context says (3.2)? */
bool tool_is_traceparent(cs_bytes text);

/* "a=1&b=2", a pair a call; false at the end.  A part without "=" has value.base NULL. */
bool tool_query_next(cs_bytes *rest, cs_pair *ret);

#endif
