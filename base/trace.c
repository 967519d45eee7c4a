/* trace -- lines for the sink of a story test. */
#include "base/trace.h"

#include <stdarg.h>
#include <stdio.h>

cs_trace_fn *cs_trace_sink;
static void *sink_user;

void cs_set_trace(cs_trace_fn *sink, void *user)
{
    cs_trace_sink = sink;
    sink_user = user;
}

/* No memory is asked for: a story that fails each allocation in turn must count the same ones
 * whether it is traced or not. */
void cs_trace_line(const char *format, ...)
{
    char line[1024]; /* what is longer is cut */
    va_list args;

    if (!cs_trace_sink)
        return;
    va_start(args, format);
    if (vsnprintf(line, sizeof(line), format, args) < 0)
        line[0] = '\0';
    va_end(args);
    cs_trace_sink(line, sink_user);
}
