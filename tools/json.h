/* json -- JSON written to a stream, so far as chanserv(1) needs it: strings. */
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H

#include "base/base.h"

#include <stdio.h>

/* Whole, shortest form, no surrogates, up to U+10FFFF (RFC 3629). */
bool json_is_utf8(cs_bytes b);

/* How many bytes the first character of `b` has; 0: it is none, or `b` is empty. */
size_t json_utf8_len(cs_bytes b);

/* "..." with the quotes.  What is not UTF-8 becomes U+FFFD: ask first when that matters. */
void json_put_string(FILE *to, cs_bytes text);

/* "..." of base64 with padding (RFC 4648, 4). */
void json_put_base64(FILE *to, cs_bytes bytes);

/* "NAME":"..." when it is text, else "NAME_base64" (or just "base64" if NAME is "text"). */
void json_put_member(FILE *to, const char *name, cs_bytes value);

#endif
