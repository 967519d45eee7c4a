/* The tool stands on public headers alone, so it has gRPC's codes and names a second time: held here
 * to base.h, as test/proto/status_test.c holds those of the wire. */
#include "tools/tool.h"

#include <criterion/criterion.h>

static const struct {
    cs_err err;
    unsigned code;
    const char *name;
} rows[] = {{CS_OK, 0, "OK"},
            {CS_DONE, 0, "OK"},
            {CS_ECANCELED, 1, "CANCELLED"},
            {CS_EUNKNOWN, 2, "UNKNOWN"},
            {CS_EINVAL, 3, "INVALID_ARGUMENT"},
            {CS_ETIMEOUT, 4, "DEADLINE_EXCEEDED"},
            {CS_ENOENT, 5, "NOT_FOUND"},
            {CS_EEXIST, 6, "ALREADY_EXISTS"},
            {CS_EPERM, 7, "PERMISSION_DENIED"},
            {CS_ELIMIT, 8, "RESOURCE_EXHAUSTED"},
            {CS_EPRECOND, 9, "FAILED_PRECONDITION"},
            {CS_EABORTED, 10, "ABORTED"},
            {CS_ERANGE, 11, "OUT_OF_RANGE"},
            {CS_ENOTSUP, 12, "UNIMPLEMENTED"},
            {CS_EINTERNAL, 13, "INTERNAL"},
            {CS_EUNAVAIL, 14, "UNAVAILABLE"},
            {CS_EDATALOSS, 15, "DATA_LOSS"},
            {CS_EAUTH, 16, "UNAUTHENTICATED"},
            {CS_EMISUSE, 13, "INTERNAL"},
            {CS_ENOMEM, 8, "RESOURCE_EXHAUSTED"},
            {CS_ETOOBIG, 8, "RESOURCE_EXHAUSTED"},
            {CS_ESYS, 13, "INTERNAL"},
            {CS_EPROTO, 13, "INTERNAL"},
            {CS_EREFUSED, 14, "UNAVAILABLE"},
            {CS_EPEER, 14, "UNAVAILABLE"},
            {CS_EDRAIN, 14, "UNAVAILABLE"},
            {CS_ELOST, 15, "DATA_LOSS"},
            {CS_ECLAIMED, 6, "ALREADY_EXISTS"},
            {CS_EEXPIRED, 5, "NOT_FOUND"},
            {CS_ESTALLED, 8, "RESOURCE_EXHAUSTED"}};

Test(status, each_error_has_the_code_name_and_exit_that_base_h_says)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int exit_code = cs_failed(rows[i].err) ? 16 + (int)rows[i].code : 0;

        cr_assert_eq(tool_code_of(rows[i].err), rows[i].code, "%s", rows[i].name);
        cr_assert_str_eq(tool_code_name(rows[i].err), rows[i].name);
        cr_assert_eq(tool_exit_of(rows[i].err), exit_code, "%s", rows[i].name);
    }
}
