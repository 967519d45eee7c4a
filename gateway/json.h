/* json -- JSON as it is said here, by the gateway and by `chanserv post --json`: strings, and the
 * lines of a post.
 *
 *     {"announce":{"source":0,"header":"..."}}
 *     {"frame":{"source":0,"seq":0,"text":"..."}}
 *     {"gap":{"source":0,"count":3}}
 *     {"end":{"source":0,"code":"OK"}}              and, at last, {"end":{"code":"OK"}}
 *
 * Bytes that are no UTF-8 stand as base64, under another name: "base64" for "text", "header_base64"
 * for "header".  All that is written goes through `put`, piece by piece; any thread.
 */
#ifndef GATEWAY_JSON_H
#define GATEWAY_JSON_H

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void gateway_put_fn(void *to, const void *bytes, size_t len);

/* How many bytes the first character of `b` has: whole, shortest form, no surrogates, up to U+10FFFF
 * (RFC 3629).  0: it is none, or `b` is empty. */
CS_API size_t gateway_utf8_len(cs_bytes b);
CS_API bool gateway_is_utf8(cs_bytes b);

/* "..." with the quotes.  What is not UTF-8 becomes U+FFFD: ask first when that matters. */
CS_API void gateway_json_string(gateway_put_fn *put, void *to, cs_bytes text);
/* "..." of base64 with padding (RFC 4648, 4). */
CS_API void gateway_json_base64(gateway_put_fn *put, void *to, cs_bytes bytes);
/* "NAME":"..." when it is text, else "NAME_base64":"..." (or just "base64" if NAME is "text"). */
CS_API void gateway_json_member(gateway_put_fn *put, void *to, const char *name, cs_bytes value);
/* printf of what needs no escapes: up to 127 bytes. */
CS_API void gateway_json_format(gateway_put_fn *put, void *to, const char *format, ...)
    CS_PRINTF(3, 4);

/* Lines, without their end.  `source`: its place in the feed, or CS_OFF: of the only one. */
CS_API void gateway_json_announce(gateway_put_fn *put, void *to, int64_t source, cs_bytes header,
                                  const char *url); /* where it can be had; or NULL */
CS_API void gateway_json_frame(gateway_put_fn *put, void *to, int64_t source, uint64_t seq,
                               cs_bytes frame);
CS_API void gateway_json_gap(gateway_put_fn *put, void *to, int64_t source, uint64_t count);
/* Of the feed too; `words` of a failure, or "". */
CS_API void gateway_json_end(gateway_put_fn *put, void *to, int64_t source, cs_err why,
                             const char *words);

/* What runs on a server (chanserv/stat.h), an object as GET /v1/stat has it: what is 0 or empty is left out,
 * but for its number.  `waits` stands for its `waits`: a server may be newer and have other words. */
struct chanserv_stat;
CS_API void gateway_json_stat(gateway_put_fn *put, void *to, const struct chanserv_stat *stat,
                              cs_bytes waits);

#ifdef __cplusplus
}
#endif
#endif
