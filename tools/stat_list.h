/* stat_list -- what a server answers to Stat of chanserv.v1.Debug (proto/debug.proto), read by hand. */
#ifndef TOOLS_STAT_LIST_H
#define TOOLS_STAT_LIST_H

#include "chanserv/stat.h"

struct stat_entry {
    struct chanserv_stat stat; /* but for `waits`, */
    cs_bytes waits;            /* which is the server's word */
};

struct stat_counter {
    cs_bytes name;
    uint64_t value;
};

struct stat_list { /* {0} is empty; all bytes live in `message` */
    struct stat_entry *entries;
    struct stat_counter *counters;
    size_t entries_len, counters_len;
    uint64_t left; /* so many entries were left out */
    void *message;
};

/* A message StatReply; entries of kinds that later versions have are left out.  CS_EPROTO: it is none;
 * CS_ENOMEM. */
cs_err stat_list_parse(cs_bytes message, struct stat_list *ret);
void stat_list_free(struct stat_list *list); /* leaves {0} */

/* 0: no such counter. */
uint64_t stat_list_counter(const struct stat_list *list, const char *name);

#endif
