/* url -- what stands in a URL, read strictly: an escape that is none, and whatever would have to be
 * guessed, is an error.
 *
 * Private to gateway; of both dialects.  Pure: nothing is allocated, and `to` has room for as many
 * bytes as went in.
 */
#ifndef GATEWAY_URL_IN_H
#define GATEWAY_URL_IN_H

#include "base/base.h"

int gateway__url_digit(uint8_t c); /* a hexadecimal one: 0 to 15; -1: it is none */

/* "%41" becomes "A".  CS_EINVAL: an escape without two hexadecimal digits, or a NUL, plain or escaped. */
cs_err gateway__url_decode(cs_bytes text, char *to, cs_bytes *ret);

/* Where that fails, from the front of `text`; its length: nowhere. */
size_t gateway__url_wrong(cs_bytes text);

/* The same of a path, which begins with "/".  CS_EINVAL too: a segment "." or "..", written as it is
 * or with escapes, a "\", and a "/" in an escape: routes are found by what is written, and nobody walks
 * up. */
cs_err gateway__url_path(cs_bytes path, char *to, cs_bytes *ret);

/* The next "name=value" of a query or a form, from the front of `*rest`; "+" is a space, "name" alone
 * has an empty value, and empty ones ("&&") are passed over.  Moves `*to` behind what it wrote.
 * CS_DONE: there is none; CS_EINVAL as above, and `*rest` begins with the wrong one. */
cs_err gateway__url_form_next(cs_bytes *rest, char **to, cs_pair *ret);

/* Is it host[:port]?  A name of letters, digits, "-", "_" and ".", an IPv4 address, or an IPv6 address
 * in brackets; a port is 1 to 65535.  Cuts it in two; `*ret_port` is 0 when there is none. */
bool gateway__url_host(cs_bytes authority, cs_bytes *ret_host, int *ret_port);

#endif
