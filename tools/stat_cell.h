/* stat_cell -- the cells of the tables of `chanserv stat` and `chanserv top`, for people. */
#ifndef TOOLS_STAT_CELL_H
#define TOOLS_STAT_CELL_H

#include "tools/stat_list.h"

#include <stdio.h>

enum { STAT_CELL_MAX = 32 };

enum stat_column {
    STAT_NUMBER, /* "LOOP/NUMBER"; on the first loop, and of a source, the number alone */
    STAT_OF,     /* the same; "-": of none */
    STAT_AGE,
    STAT_STILL,
    STAT_IN,
    STAT_OUT,
    STAT_MESSAGES,
    STAT_QUEUED,
    STAT_KEPT,
    STAT_CREDIT,
    STAT_PARTS,
    STAT_WAITS
};

/* The cell of one column; of what the server says letters only, and no more than ten. */
void stat_cell(char to[STAT_CELL_MAX], enum stat_column column, const struct stat_entry *entry);

/* "0", "999", "1.2k", "12k", "999M": at most five characters. */
void stat_amount(char to[STAT_CELL_MAX], double amount);
/* "7ms", "1.5s", "59s", "3m", "2h", "400d". */
void stat_time(char to[STAT_CELL_MAX], int64_t ms);

/* Who it is: its service if it has one, and its peer; at most `columns` on a terminal, and nothing that
 * moves the cursor. */
void stat_put_name(FILE *to, const struct stat_entry *entry, size_t columns);

#endif
