/* status -- how an ending is said on the wire: gRPC's code, our reason, a message; and gRPC's
 * other spellings (grpc-timeout, percent-encoding, base64 of "-bin" metadata).
 *
 * Room header.  The table is that of docs/WIRE, Statuses: every status that the framework made, and
 * none that an application made, carries a reason token (trailer `chanserv-reason`).
 */
#ifndef WIRE_STATUS_H
#define WIRE_STATUS_H

#include "base/inner.h"

/* What can happen to a channel that the framework itself reports:
 *   X(name, cs_err that our side of the API answers, gRPC code, token, words for people)
 * The same error may stand in several rows (not-kept, bad-request ...). */
#define WIRE_REASONS(X)                                                                            \
    X(NO_SERVICE, CS_ENOENT, 5, "no-service", "no such service")                                   \
    X(DENIED, CS_EPERM, 7, "denied", "permission denied")                                          \
    X(NO_IDENTITY, CS_EAUTH, 16, "denied", "who are you?")                                         \
    X(BAD_REQUEST, CS_EINVAL, 3, "bad-request", "the request makes no sense")                      \
    X(LIMIT, CS_ELIMIT, 8, "limit", "a limit of the server is reached")                            \
    X(DRAINING, CS_EDRAIN, 14, "draining", "the server is going away")                             \
    X(UNKNOWN_TICKET, CS_ENOENT, 5, "unknown-ticket", "no such ticket")                            \
    X(EXPIRED, CS_EEXPIRED, 5, "expired", "the ticket was not used in time")                       \
    X(CLAIMED, CS_ECLAIMED, 6, "claimed", "the ticket was used already")                           \
    X(OTHER_INSTANCE, CS_EPRECOND, 9, "other-instance", "the ticket is of another process")        \
    X(NOT_KEPT, CS_ERANGE, 11, "not-kept", "older than what is kept")                              \
    X(NO_SESSION, CS_EPRECOND, 9, "no-session", "no such session here")                            \
    X(SUPERSEDED, CS_EABORTED, 10, "superseded", "a newer stream took over")                       \
    X(LOST, CS_ELOST, 15, "lost", "cut, and too late to resume without a hole")                    \
    X(SESSION_LOST, CS_ELOST, 5, "lost", "no such session here any more")                          \
    X(SESSION_EXISTS, CS_EEXIST, 6, "session-exists", "there is such a session already")           \
    X(DEADLINE, CS_ETIMEOUT, 4, "deadline", "the deadline passed")                                 \
    X(CANCELLED, CS_ECANCELED, 1, "cancelled", "cancelled")                                        \
    X(STALLED, CS_ESTALLED, 8, "stalled", "the reader took nothing for too long")                  \
    X(TOO_LARGE, CS_ETOOBIG, 8, "too-large", "over the size limit")                                \
    X(PEER_GONE, CS_EPEER, 14, "peer-gone", "the peer vanished")                                   \
    X(TRUNCATED, CS_EPROTO, 13, "truncated", "the stream ended without a status")                  \
    X(PROTOCOL, CS_EPROTO, 13, "protocol", "the peer broke the wire format")

enum wire_reason {
    WIRE_NO_REASON, /* an application's own status */
#define X(name, err, code, token, words) WIRE_R_##name,
    WIRE_REASONS(X)
#undef X
        WIRE_REASON_COUNT
};

const char *wire_reason_token(enum wire_reason reason); /* "" for WIRE_NO_REASON */
const char *wire_reason_words(enum wire_reason reason);
cs_err wire_reason_err(enum wire_reason reason);
uint32_t wire_reason_code(enum wire_reason reason);
enum wire_reason wire_reason_of(cs_bytes token, uint32_t code); /* both must match a row */

/* An application's status on its way out: 0 for CS_DONE (and CS_OK), its own gRPC code for
 * 17..32, the code beside it in base.h for 48 and up, 2 (UNKNOWN) for anything else. */
CS_INNER uint32_t wire_code_of(cs_err err);
/* A code and a token that arrived: CS_DONE for 0; the framework's error when the token says so,
 * else 16 + code; codes above 16 are CS_EUNKNOWN. */
cs_err wire_err_of(uint32_t code, cs_bytes token);
CS_INNER const char *wire_code_name(uint32_t code); /* "NOT_FOUND"; "CODE_77" is "UNKNOWN" */

/* What a stream without grpc-status died of (doc/PROTOCOL-HTTP2.md, "Errors"; and
 * doc/http-grpc-status-mapping.md, for clients only). */
cs_err wire_err_of_rst(uint32_t h2_error_code);
cs_err wire_err_of_http(unsigned http_status);

/* grpc-timeout: at most 8 digits and one of H M S m u n.  Parse rounds up to a millisecond;
 * CS_EINVAL when malformed.  Format: milliseconds if they fit 8 digits, else seconds ...; `to`
 * has room for 10 bytes, answers the length. */
CS_INNER cs_err wire_timeout_parse(cs_bytes text, int64_t *ret_ms);
size_t wire_timeout_format(char *to, int64_t ms);

/* grpc-message: all but 0x20..0x7E and '%' are %XX.  Input is cut to 1 KiB (at a character's
 * border) before it is encoded.  Decoding never fails: what is not an escape stays. */
enum { WIRE_MESSAGE_MAX = 1024, WIRE_MESSAGE_ENCODED_MAX = 3 * WIRE_MESSAGE_MAX };
CS_INNER size_t wire_percent_encode(char *to, cs_bytes utf8); /* `to`: WIRE_MESSAGE_ENCODED_MAX */
size_t wire_percent_decode(char *to, cs_bytes text); /* `to`: text.len; may be text itself */

/* "-bin" metadata.  Encoded without padding, decoded with or without; CS_EINVAL. */
CS_INNER size_t wire_base64_len(size_t len);
CS_INNER size_t wire_base64_encode(char *to, cs_bytes bytes);
CS_INNER cs_err wire_base64_decode(uint8_t *to, cs_bytes text,
                                   size_t *ret_len); /* `to`: text.len */

#endif
