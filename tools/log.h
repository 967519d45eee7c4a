/* log -- the log on standard error: which lines of which rooms, and what a line looks like.
 *
 *     chanserv: mux: accept 127.0.0.1:5555: too many open files            text
 *     ts=2026-01-02T03:04:05.678Z level=warn room=mux msg="accept ..."     logfmt
 *     {"ts":"2026-01-02T03:04:05.678Z","level":"warn","room":"mux","msg":"accept ..."}
 *
 * One line an event, written at once.  Where systemd's journal reads, each begins with "<4>" or so, its
 * priority (sd-daemon(3)).  What looks like a ticket or a token is masked.
 */
#ifndef TOOLS_LOG_H
#define TOOLS_LOG_H

#include "base/base.h"

#include <stdio.h>
#include <time.h>

enum log_format { LOG_TEXT, LOG_LOGFMT, LOG_JSON };
/* X(room): those that have something to say. */
#define LOG_ROOMS(X) X(loop) X(mux) X(chanserv) X(server) X(client)
enum log_room {
#define X(room) LOG_OF_##room,
    LOG_ROOMS(X)
#undef X
        LOG_ROOMS_LEN
};

struct log_rules {
    cs_level level;
    cs_level rooms[LOG_ROOMS_LEN]; /* instead, */
    bool said[LOG_ROOMS_LEN];      /* of those that this is true of */
    enum log_format format;
    bool journal; /* its prefixes */
};

/* "info", "mux=debug", "warn,mux=debug,loop=error".  False: it is none, and `rules` may be changed. */
bool log_parse_levels(struct log_rules *rules, const char *text);
bool log_parse_format(struct log_rules *rules, const char *text);

/* A line, if the rules say so. */
void log_put(const struct log_rules *rules, FILE *to, cs_level level, const char *room,
             const char *line, const struct timespec *at);

/* Is the journal what standard error goes to?  JOURNAL_STREAM says which file it is. */
bool log_to_journal(void);

/* The log goes to standard error by these rules, which are copied; before there are threads. */
void log_begin(const struct log_rules *rules);

#endif
