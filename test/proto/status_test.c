/* Codes, reasons and answers, from each to each. */
#include "proto/status.h"

#include <criterion/criterion.h>

static const struct {
    enum wire_reason reason;
    cs_err err;
    uint32_t code;
    const char *token;
} rows[] = {
#define X(name, err, code, token, words) {WIRE_R_##name, err, code, token},
    WIRE_REASONS(X)
#undef X
};
enum { ROWS = sizeof rows / sizeof *rows };

Test(status, every_row_comes_back_as_itself)
{
    cr_assert_eq(ROWS, WIRE_REASON_COUNT - 1);
    for (size_t i = 0; i < ROWS; i++) {
        cs_bytes token = cs_str(rows[i].token);

        cr_assert_eq(wire_reason_of(token, rows[i].code), rows[i].reason);
        cr_assert_str_eq(wire_reason_token(rows[i].reason), rows[i].token);
        cr_assert_eq(wire_reason_code(rows[i].reason), rows[i].code);
        cr_assert_eq(wire_reason_err(rows[i].reason), rows[i].err);
        cr_assert_gt(strlen(wire_reason_words(rows[i].reason)), 0);
        cr_assert_eq(wire_err_of(rows[i].code, token), rows[i].err);
    }
}

Test(status, the_code_of_a_row_is_the_code_of_its_error)
{
    for (size_t i = 0; i < ROWS; i++) {
        /* But of a session: there the call itself is answered, and not a channel of it. */
        if (rows[i].err == CS_ELOST && rows[i].code == 5)
            continue;
        cr_assert_eq(wire_code_of(rows[i].err), rows[i].code, "%s", rows[i].token);
    }
}

Test(status, a_lost_session_is_not_found_and_a_lost_channel_data_loss)
{
    cr_assert_eq(wire_err_of(5, cs_str("lost")), CS_ELOST);
    cr_assert_eq(wire_err_of(15, cs_str("lost")), CS_ELOST);
    cr_assert_eq(wire_code_of(CS_ELOST), 15);
}

Test(status, one_token_may_stand_in_two_rows)
{
    cr_assert_eq(wire_err_of(7, cs_str("denied")), CS_EPERM);
    cr_assert_eq(wire_err_of(16, cs_str("denied")), CS_EAUTH);
}

Test(status, a_token_with_another_code_is_an_applications_own)
{
    cr_assert_eq(wire_reason_of(cs_str("claimed"), 5), WIRE_NO_REASON);
    cr_assert_eq(wire_err_of(5, cs_str("claimed")), CS_ENOENT);
}

Test(status, an_unknown_token_is_an_applications_own)
{
    cr_assert_eq(wire_reason_of(cs_str("out-of-tea"), 14), WIRE_NO_REASON);
    cr_assert_eq(wire_reason_of(cs_str(""), 2), WIRE_NO_REASON);
    cr_assert_eq(wire_reason_of(cs_str("drain"), 14), WIRE_NO_REASON);
    cr_assert_eq(wire_reason_of(cs_bytes_of("draining\0", 9), 14), WIRE_NO_REASON);
    cr_assert_eq(wire_err_of(14, cs_str("out-of-tea")), CS_EUNAVAIL);
    cr_assert_eq(wire_err_of(14, cs_bytes_of(NULL, 0)), CS_EUNAVAIL);
}

Test(status, no_reason_has_no_token_and_no_words)
{
    cr_assert_str_eq(wire_reason_token(WIRE_NO_REASON), "");
    cr_assert_str_eq(wire_reason_words(WIRE_NO_REASON), "");
    cr_assert_eq(wire_reason_err(WIRE_NO_REASON), CS_EUNKNOWN);
    cr_assert_eq(wire_reason_code(WIRE_NO_REASON), 2);
    cr_assert_str_eq(wire_reason_token(WIRE_REASON_COUNT), "", "past the end is no reason");
}

Test(status, every_grpc_code_goes_out_and_comes_back)
{
    cr_assert_eq(wire_err_of(0, cs_str("")), CS_DONE);
    cr_assert_eq(wire_err_of(0, cs_str("lost")), CS_DONE, "fine is fine, whatever is beside it");
    for (uint32_t code = 1; code <= 16; code++) {
        cs_err err = wire_err_of(code, cs_str(""));
        cr_assert_eq((unsigned)err, 16 + code);
        cr_assert_eq(wire_code_of(err), code);
    }
}

Test(status, codes_that_grpc_does_not_have_are_unknown)
{
    cr_assert_eq(wire_err_of(17, cs_str("")), CS_EUNKNOWN);
    cr_assert_eq(wire_err_of(UINT32_MAX, cs_str("lost")), CS_EUNKNOWN);
}

Test(status, the_errors_beyond_grpc_travel_as_the_code_beside_them)
{
    cr_assert_eq(wire_code_of(CS_EMISUSE), 13);
    cr_assert_eq(wire_code_of(CS_ENOMEM), 8);
    cr_assert_eq(wire_code_of(CS_ETOOBIG), 8);
    cr_assert_eq(wire_code_of(CS_ESYS), 13);
    cr_assert_eq(wire_code_of(CS_EPROTO), 13);
    cr_assert_eq(wire_code_of(CS_EREFUSED), 14);
    cr_assert_eq(wire_code_of(CS_EPEER), 14);
    cr_assert_eq(wire_code_of(CS_EDRAIN), 14);
    cr_assert_eq(wire_code_of(CS_ELOST), 15);
    cr_assert_eq(wire_code_of(CS_ECLAIMED), 6);
    cr_assert_eq(wire_code_of(CS_EEXPIRED), 5);
    cr_assert_eq(wire_code_of(CS_ESTALLED), 8);
}

Test(status, what_is_no_failure_and_no_error_of_ours)
{
    static const int odd[] = {CS_AGAIN, 3, 15, 16, 33, 47, 60, 1000};

    cr_assert_eq(wire_code_of(CS_OK), 0);
    cr_assert_eq(wire_code_of(CS_DONE), 0);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        cr_assert_eq(wire_code_of((cs_err)odd[i]), 2, "%d", odd[i]);
}

Test(status, codes_have_grpcs_names)
{
    static const char *const names[] = {
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

    for (uint32_t code = 0; code <= 16; code++)
        cr_assert_str_eq(wire_code_name(code), names[code]);
    cr_assert_str_eq(wire_code_name(17), "UNKNOWN");
    cr_assert_str_eq(wire_code_name(77), "UNKNOWN");
}

Test(status, a_reset_stream_says_what_it_died_of)
{
    static const uint32_t internal[] = {0, 1, 2, 3, 4, 5, 6, 9, 10, 13, 14, UINT32_MAX};

    cr_assert_eq(wire_err_of_rst(7), CS_EUNAVAIL);
    cr_assert_eq(wire_err_of_rst(8), CS_ECANCELED);
    cr_assert_eq(wire_err_of_rst(11), CS_ELIMIT);
    cr_assert_eq(wire_err_of_rst(12), CS_EPERM);
    for (size_t i = 0; i < sizeof internal / sizeof *internal; i++)
        cr_assert_eq(wire_err_of_rst(internal[i]), CS_EINTERNAL);
}

Test(status, an_http_status_without_grpc_status)
{
    cr_assert_eq(wire_err_of_http(400), CS_EINTERNAL);
    cr_assert_eq(wire_err_of_http(401), CS_EAUTH);
    cr_assert_eq(wire_err_of_http(403), CS_EPERM);
    cr_assert_eq(wire_err_of_http(404), CS_ENOTSUP);
    cr_assert_eq(wire_err_of_http(429), CS_EUNAVAIL);
    cr_assert_eq(wire_err_of_http(431), CS_EINTERNAL);
    cr_assert_eq(wire_err_of_http(502), CS_EUNAVAIL);
    cr_assert_eq(wire_err_of_http(503), CS_EUNAVAIL);
    cr_assert_eq(wire_err_of_http(504), CS_EUNAVAIL);
    cr_assert_eq(wire_err_of_http(200), CS_EUNKNOWN);
    cr_assert_eq(wire_err_of_http(302), CS_EUNKNOWN);
    cr_assert_eq(wire_err_of_http(500), CS_EUNKNOWN);
    cr_assert_eq(wire_err_of_http(0), CS_EUNKNOWN);
}
