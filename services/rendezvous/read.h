/* read -- JSON as parties send it and are told it, by RFC 8259: strings, integers, true and false.  Private
 * to rendezvous/.
 *
 * Strings are unpacked one behind the other, where `to` points; what is unpacked is never longer.  What is
 * not UTF-8 is refused, so that whoever meets him can be told in JSON, too. */
#ifndef RENDEZVOUS_READ_H
#define RENDEZVOUS_READ_H

#include "services/rendezvous/labels.h"

#include <stdio.h>

struct rendezvous__reader {
    const char *start, *at, *end;
    char *to; /* where unpacked bytes go */
    char *why;
};

struct rendezvous__value {
    enum { RENDEZVOUS__TEXT, RENDEZVOUS__NUMBER, RENDEZVOUS__TRUTH } kind;
    cs_bytes text;
    int64_t number;
};

/* Room for what it unpacks, which is the caller's to free; NULL: no memory. */
char *rendezvous__read_begin(struct rendezvous__reader *r, cs_bytes json,
                             char why[RENDEZVOUS__WHY]);
/* CS_EINVAL: nothing but blanks may be left. */
cs_err rendezvous__read_end(struct rendezvous__reader *r);
/* The next sign but for blanks, if it is `c`. */
bool rendezvous__read_sign(struct rendezvous__reader *r, char c);
/* CS_EINVAL, with the column in `why`. */
cs_err rendezvous__read_string(struct rendezvous__reader *r, cs_bytes *ret);
cs_err rendezvous__read_value(struct rendezvous__reader *r, struct rendezvous__value *ret);
cs_err rendezvous__read_wrong(struct rendezvous__reader *r, const char *what);

/* To say it: a string with its quotes; and what was said to an open_memstream(): `*text`, complete, or NULL.
 * `to` NULL: as if it had failed. */
void rendezvous__put_string(FILE *to, cs_bytes text);
char *rendezvous__put_end(FILE *to, char **text);

#endif
