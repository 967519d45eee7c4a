/* status -- gRPC's codes, our reasons and the answers of our API, from each to each. */
#include "proto/status.h"

static const struct {
    cs_err err;
    uint32_t code;
    const char *token, *words;
} reasons[WIRE_REASON_COUNT] = {[WIRE_NO_REASON] = {CS_EUNKNOWN, 2, "", ""},
#define X(name, err, code, token, words) [WIRE_R_##name] = {err, code, token, words},
                                WIRE_REASONS(X)
#undef X
};

enum { CODE_UNKNOWN = 2, CODE_LAST = 16 };

static enum wire_reason in_table(enum wire_reason reason)
{
    return (unsigned)reason < WIRE_REASON_COUNT ? reason : WIRE_NO_REASON;
}

const char *wire_reason_token(enum wire_reason reason)
{
    return reasons[in_table(reason)].token;
}

const char *wire_reason_words(enum wire_reason reason)
{
    return reasons[in_table(reason)].words;
}

cs_err wire_reason_err(enum wire_reason reason)
{
    return reasons[in_table(reason)].err;
}

uint32_t wire_reason_code(enum wire_reason reason)
{
    return reasons[in_table(reason)].code;
}

enum wire_reason wire_reason_of(cs_bytes token, uint32_t code)
{
    for (unsigned r = WIRE_NO_REASON + 1; r < WIRE_REASON_COUNT; r++) {
        if (reasons[r].code == code && cs_same(token, cs_str(reasons[r].token)))
            return (enum wire_reason)r;
    }
    return WIRE_NO_REASON;
}

uint32_t wire_code_of(cs_err err)
{
    if (err == CS_OK || err == CS_DONE)
        return 0;
    if (err >= CS_ECANCELED && err <= CS_EAUTH)
        return (uint32_t)err - 16;
    switch (err) {
    case CS_EMISUSE:
    case CS_ESYS:
    case CS_EPROTO:
        return 13;
    case CS_ENOMEM:
    case CS_ETOOBIG:
    case CS_ESTALLED:
        return 8;
    case CS_EREFUSED:
    case CS_EPEER:
    case CS_EDRAIN:
        return 14;
    case CS_ELOST:
        return 15;
    case CS_ECLAIMED:
        return 6;
    case CS_EEXPIRED:
        return 5;
    default:
        return CODE_UNKNOWN;
    }
}

cs_err wire_err_of(uint32_t code, cs_bytes token)
{
    enum wire_reason reason;

    if (code == 0)
        return CS_DONE;
    if (code > CODE_LAST)
        return CS_EUNKNOWN;
    reason = wire_reason_of(token, code);
    return reason == WIRE_NO_REASON ? (cs_err)(16 + code) : wire_reason_err(reason);
}

const char *wire_code_name(uint32_t code)
{
    static const char *const names[CODE_LAST + 1] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };

    return names[code <= CODE_LAST ? code : CODE_UNKNOWN];
}

cs_err wire_err_of_rst(uint32_t h2_error_code)
{
    switch (h2_error_code) {
    case 7: /* REFUSED_STREAM: it never ran */
        return CS_EUNAVAIL;
    case 8: /* CANCEL */
        return CS_ECANCELED;
    case 11: /* ENHANCE_YOUR_CALM */
        return CS_ELIMIT;
    case 12: /* INADEQUATE_SECURITY */
        return CS_EPERM;
    default:
        return CS_EINTERNAL;
    }
}

cs_err wire_err_of_http(unsigned http_status)
{
    switch (http_status) {
    case 400:
    case 431:
        return CS_EINTERNAL;
    case 401:
        return CS_EAUTH;
    case 403:
        return CS_EPERM;
    case 404:
        return CS_ENOTSUP;
    case 429:
    case 502:
    case 503:
    case 504:
        return CS_EUNAVAIL;
    default:
        return CS_EUNKNOWN;
    }
}
