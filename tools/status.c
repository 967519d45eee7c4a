/* status -- how an ending is called: gRPC's code and its name, and the exit code for scripts. */
#include "tools/tool.h"

const char tool_exit_help[] =
    "Exit codes of chanserv(1):\n"
    "\n"
    "    0   everything ended well (OK)\n"
    "   17   CANCELLED             25   FAILED_PRECONDITION\n"
    "   18   UNKNOWN               26   ABORTED\n"
    "   19   INVALID_ARGUMENT      27   OUT_OF_RANGE\n"
    "   20   DEADLINE_EXCEEDED     28   UNIMPLEMENTED\n"
    "   21   NOT_FOUND             29   INTERNAL\n"
    "   22   ALREADY_EXISTS        30   UNAVAILABLE (connection refused, peer gone)\n"
    "   23   PERMISSION_DENIED     31   DATA_LOSS\n"
    "   24   RESOURCE_EXHAUSTED    32   UNAUTHENTICATED\n"
    "   64   the command line makes no sense\n"
    "   74   standard input or output could not be read or written\n"
    "  130   a client: interrupted by SIGINT; 143: by SIGTERM\n"
    "\n"
    "17 to 32 are 16 + the gRPC status code: of the post, or, if that ended well, of the first\n"
    "source that did not.\n";

static const char *const names[] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

/* The second column of base.h, which what goes over the wire is held to as well. */
unsigned tool_code_of(cs_err err)
{
    if (err >= CS_ECANCELED && err <= CS_EAUTH)
        return (unsigned)err - 16;
    switch (err) {
    case CS_OK:
    case CS_AGAIN:
    case CS_DONE:
        return 0;
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
        return 2;
    }
}

const char *tool_code_name(cs_err err)
{
    return names[tool_code_of(err)];
}

int tool_exit_of(cs_err err)
{
    return cs_failed(err) ? 16 + (int)tool_code_of(err) : 0;
}
