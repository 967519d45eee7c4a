/* stat_ask -- asking a server what runs on it: what `chanserv stat` and `chanserv top` share. */
#ifndef TOOLS_STAT_ASK_H
#define TOOLS_STAT_ASK_H

#include "tools/connect.h"
#include "tools/interrupt.h"
#include "tools/stat_list.h"

struct stat_ask {
    struct connect connect;
    uint64_t max; /* entries of each loop; 0: as many as the server likes */

    /* An answer, whose list it may keep (then *list is {0} behind it), or a failure. */
    void (*answered)(struct stat_list *list, void *user);
    void (*failed)(cs_err why, const char *words, void *user);
    void *user;

    const char *addr;
    cs_loop *loop;
    mux_conn *conn;
    cs_timer *next;
    struct interrupt interrupt;
};

/* --max N. */
int stat_ask_set_max(struct stat_ask *ask);

/* connect_parse() with one address, and 5 s of time if nothing else is said.  CONNECT_GO, or an exit code. */
int stat_ask_parse(struct stat_ask *ask, int argc, char **argv, connect_set_fn *set);

/* A loop and a connection; the loop, with the first question, until it is stopped.  0 or an exit code. */
int stat_ask_start(struct stat_ask *ask);
int stat_ask_run(struct stat_ask *ask);
void stat_ask_free(struct stat_ask *ask); /* all of it, on every way out */

/* In answered() or failed(): the next question. */
void stat_ask_again(struct stat_ask *ask, int after_ms);

#endif
