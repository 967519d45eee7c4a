/* top__in -- `chanserv top`: what its parts share, the rows, the table and the terminal. */
#ifndef TOOLS_TOP__IN_H
#define TOOLS_TOP__IN_H

#include "tools/stat_list.h"

#include <stdio.h>
#include <termios.h>

enum top_sort { TOP_BYTES, TOP_FRAMES, TOP_QUEUED, TOP_SORTS };
extern const char *const top_sort_names[TOP_SORTS];

struct top_row {
    const struct stat_entry *entry;
    double bytes_s, frames_s; /* below 0: it was not there before */
};

struct top_view {
    const char *addr;
    enum top_sort sort;
    struct stat_list before, now; /* two answers, */
    int64_t apart_ms;             /* and the time between them; 0: there is one */
    const char *trouble;          /* why there is no newer one; or NULL */
    size_t width, height;         /* of the terminal; SIZE_MAX: as much as there is */
    const char *line_end;
};

/* The entries of `now`, the first by the sort first; equal ones as the server has them.  It is freed with
 * free(); NULL: CS_ENOMEM.  `before` is put in another order. */
struct top_row *top_rows_new(struct top_view *view);

/* CS_ENOMEM. */
cs_err top_put(FILE *to, struct top_view *view);

/* The terminal as it was, for top_screen_end(), which may be called from anywhere, and again. */
struct top_screen {
    bool live, keys; /* standard output, standard input is a terminal */
    struct termios before;
};
void top_screen_begin(struct top_screen *screen);
void top_screen_end(const struct top_screen *screen);
void top_screen_size(size_t *ret_width, size_t *ret_height); /* 80 x 24 if it does not say */

#endif
