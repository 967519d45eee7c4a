/* options -- values as people type them, and how the tool answers wrong ones. */
#include "tools/connect.h"
#include "tools/print.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>

/* ---- Values --------------------------------------------------------------------------------- */

bool tool_number(cs_bytes text, uint64_t max, uint64_t *ret)
{
    const char *p = text.base;
    uint64_t n = 0;

    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(p[i] - '0');
        if (digit > 9 || n > (max - digit) / 10 || digit > max)
            return false;
        n = n * 10 + digit;
    }
    *ret = n;
    return true;
}

bool tool_duration_ms(const char *text, int *ret)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"", 1e3}, {"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 36e5}};
    char *unit;
    double n;

    if ((*text < '0' || *text > '9') && *text != '.')
        return false;
    errno = 0;
    n = strtod(text, &unit);
    if (errno != 0)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(unit, units[i].name) != 0)
            continue;
        n *= units[i].ms;
        if (!(n > 0) || n > INT_MAX)
            return false;
        *ret = n < 1 ? 1 : (int)n;
        return true;
    }
    return false;
}

bool tool_query_next(cs_bytes *rest, cs_pair *ret)
{
    const char *from = rest->base, *end, *equals;
    size_t len;

    if (rest->len == 0)
        return false;
    end = memchr(from, '&', rest->len);
    len = end ? (size_t)(end - from) : rest->len;
    equals = len > 0 ? memchr(from, '=', len) : NULL;
    ret->name = cs_bytes_of(from, equals ? (size_t)(equals - from) : len);
    ret->value = cs_bytes_of(NULL, 0);
    if (equals)
        ret->value = cs_bytes_of(equals + 1, len - ret->name.len - 1);
    *rest = end ? cs_bytes_of(end + 1, rest->len - len - 1) : cs_bytes_of(NULL, 0);
    return true;
}

static bool is_hex(cs_bytes text, size_t from, size_t len, bool may_be_zero)
{
    const char *p = (const char *)text.base + from;
    bool zero = true;

    for (size_t i = 0; i < len; i++) {
        if (!(p[i] >= '0' && p[i] <= '9') && !(p[i] >= 'a' && p[i] <= 'f'))
            return false;
        zero = zero && p[i] == '0';
    }
    return may_be_zero || !zero;
}

/* VERSION-TRACE-PARENT-FLAGS; "ff" is no version, 00 ends there, later ones may say more behind
 * another "-". */
bool tool_is_traceparent(cs_bytes text)
{
    enum { TRACE = 3, PARENT = 36, FLAGS = 53, END = 55 };
    const char *p = text.base;

    if (text.len < END || p[TRACE - 1] != '-' || p[PARENT - 1] != '-' || p[FLAGS - 1] != '-' ||
        !is_hex(text, 0, 2, true) || !is_hex(text, TRACE, 32, false) ||
        !is_hex(text, PARENT, 16, false) || !is_hex(text, FLAGS, 2, true))
        return false;
    if (memcmp(p, "ff", 2) == 0)
        return false;
    return text.len == END || (memcmp(p, "00", 2) != 0 && p[END] == '-');
}

/* ---- Talking -------------------------------------------------------------------------------- */

/* The words may be a stranger's: whatever they are they stay one line, and move no cursor.  Written at once,
 * so that nobody reads half of it. */
static void complain(const char *command, const char *format, va_list args)
{
    char *text = NULL, *line = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&line, &len);

    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    fprintf(to ? to : stderr, "chanserv%s%s: ", command ? " " : "", command ? command : "");
    print_line(to ? to : stderr, cs_str(text ? text : "out of memory"));
    fputc('\n', to ? to : stderr);
    if (to && fclose(to) == 0)
        fwrite(line, 1, len, stderr);
    free(line);
    free(text);
}

void tool_complain(const char *command, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(command, format, args);
    va_end(args);
}

int tool_usage(const char *command, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(command, format, args);
    va_end(args);
    fprintf(stderr, "Try 'chanserv %s%s--help'.\n", command ? command : "", command ? " " : "");
    return TOOL_USAGE;
}

int tool_failed(const char *command, cs_err err)
{
    tool_complain(command, "%s", cs_strerror(err));
    return tool_exit_of(err);
}

int tool_help(const struct tool_command *command)
{
    fputs(command->help, stdout);
    if (command->more)
        fputs(command->more, stdout);
    if (command->client)
        fputs(connect_help, stdout);
    return tool_close_stdout(command->name, 0);
}

/* A reader that has seen enough (EPIPE) is nothing to talk about. */
int tool_close_stdout(const char *command, int code)
{
    bool failed = fflush(stdout) != 0 || ferror(stdout) != 0;

    if (!failed || errno == EPIPE)
        return code;
    tool_complain(command, "write standard output: %s", strerror(errno));
    return TOOL_IO;
}
