/* print -- what `chanserv post` writes for each thing that happens: for people, as JSON, or raw.
 *
 * Everything goes through one buffered stream; the caller flushes when nothing more is there. */
#ifndef TOOLS_PRINT_H
#define TOOLS_PRINT_H

#include "chanserv/chanserv.h"

#include <stdio.h>

enum print_format { PRINT_TEXT, PRINT_JSON, PRINT_RAW };

struct print {
    FILE *to;
    enum print_format format;
    bool chatty; /* text: announcements and ends too */
};

void print_announce(const struct print *print, const chanserv_source *source);
void print_frame(const struct print *print, const chanserv_source *source, cs_bytes frame);
void print_gap(const struct print *print, const chanserv_source *source); /* nothing if there is
                                                                             none */
void print_source_end(const struct print *print, const chanserv_source *source, cs_err why);
void print_end(const struct print *print, cs_err why, const char *errmsg);

/* One line of it: no character moves the cursor or begins a line of its own.  Control characters,
 * and bytes that are not UTF-8, become \xNN. */
void print_line(FILE *to, cs_bytes text);

/* As much of it as surely fits `columns` of a terminal: what may be wide counts two.  How many it took. */
size_t print_line_cut(FILE *to, cs_bytes text, size_t columns);

#endif
