/* web__in -- gRPC-Web between its bytes (web_frame.c) and the calls that are made of it (web.c).
 *
 * doc/PROTOCOL-WEB.md of grpc/grpc: messages behind five bytes as in gRPC; the trailers are one more,
 * whose first byte is 0x80, of lines "name: value"; and all of it may be in base64, a piece at a time,
 * each with its padding.  Private to gateway.
 */
#ifndef GATEWAY_WEB_IN_H
#define GATEWAY_WEB_IN_H

#include "gateway/gateway__in.h"

/* A POST of "application/grpc-web", "-text", "+proto": which, and what it accepts. */
struct gateway__web gateway__web_of(const gateway_request *request);
const char *gateway__web_type(struct gateway__web web); /* of the answer */
/* Is it the path of a method of a service that the server has? */
bool gateway__web_has(const gateway_request *request);
cs_err gateway__web(gateway_request *request, void *user); /* a gateway_handler_fn */

/* Base64, also of several pieces that have paddings of their own, added to `to`.  CS_EINVAL; CS_ENOMEM. */
cs_err gateway__web_decode(cs_bytes text, struct cs_buf *to);
/* The next message, from the front of `*rest`.  CS_DONE; CS_EPROTO: it is cut, or no message; CS_ENOTSUP: it
 * is compressed. */
cs_err gateway__web_message(cs_bytes *rest, cs_bytes *ret);

/* One frame, as it goes out. */
enum gateway__web_kind { GATEWAY__WEB_MESSAGE = 0, GATEWAY__WEB_TRAILERS = 0x80 };
void gateway__web_add(struct gateway__text *to, struct gateway__web web,
                      enum gateway__web_kind kind, cs_bytes bytes);
/* The status of gRPC that belongs to it, and its words (without those that mux puts before what a server
 * said), as lines of trailers. */
void gateway__web_add_status(struct gateway__text *to, cs_err err, const char *words);
void gateway__web_add_line(struct gateway__text *to, cs_pair pair); /* -bin: base64 */
/* All of an answer that is a failure. */
void gateway__web_add_error(struct gateway__text *to, struct gateway__web web, cs_err err,
                            const char *words);

bool gateway__is_binary(cs_bytes name); /* "...-bin", whose values are bytes to gRPC */

#endif
